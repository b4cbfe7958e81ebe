"""Networks as rows of named stages, where their weights come from, and what they cost to run."""
