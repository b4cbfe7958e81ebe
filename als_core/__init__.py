"""Data, models, training, explanation and claims behind the ALS Imaging Companion: an engine, and studies of papers.

The engine knows no paper. Each package of `studies` holds the code of one paper; `studies.brains` serves three of
them, and `studies.cross_paper` compares papers. `refusal` and `storage` lie below all packages.
"""

__version__ = "0.1.0"

ENGINE = ("statistics", "cohorts", "models", "training", "explain", "claims", "figures", "book")
"""Packages of the engine: a module imports only from its own package and from those before it in this order."""
