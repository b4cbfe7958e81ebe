"""Leaks replayed, heatmaps on trial and headline intervals: what looks across the five papers."""
