"""One folder per study. A study imports the engine and `brains`; only `cross_paper` imports other studies."""
