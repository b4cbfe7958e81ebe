"""Cohorts: samples with labels and groups, their checking, splits, public sources, and synthetic cohorts."""
