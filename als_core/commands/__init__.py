"""Commands of `als` that need more than a few lines; they are above the engine and the studies."""
