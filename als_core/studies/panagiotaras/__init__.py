"""Panagiotaras: a 3-D network for Alzheimer MRI and four heatmap methods."""
