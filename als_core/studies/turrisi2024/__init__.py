"""Turrisi 2024: T1w MRI of ALS and mimics, radiomics and deep features, eight classifiers."""
