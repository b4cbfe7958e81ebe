"""Training: recipes, the frozen-prefix cache, the fit loop and the store of runs."""
