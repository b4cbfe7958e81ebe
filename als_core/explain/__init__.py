"""Heatmaps of what a network looked at, and the trial that tells good ones from pretty ones."""
