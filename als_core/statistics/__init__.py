"""Statistics on plain arrays: metrics, intervals, tests and trivial baselines; no images, no models, no files."""
