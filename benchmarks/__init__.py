"""Measure the companion against an ordinary script: `make bench` writes results/latest.json."""
