"""The ordinary way and ours, measured side by side: `make bench` writes results/latest.json."""
