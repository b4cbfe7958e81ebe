"""Trivial baselines: what is reached without looking at an image."""

from __future__ import annotations

import numpy as np


def majority_class(training_labels: np.ndarray, n_classes: int) -> int:
    """The commonest class among the training labels; of equally common ones the first."""
    return int(np.argmax(prior(training_labels, n_classes)))


def prior(training_labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Share of each class among the training labels, float64 (n_classes,), sums to 1.

    Raises ValueError where there is no label, or one outside 0 .. n_classes - 1.
    """
    training_labels = np.asarray(training_labels)
    if not training_labels.size or training_labels.min() < 0 or training_labels.max() >= n_classes:
        raise ValueError(f"training labels must be there and lie in 0 .. {n_classes - 1}")
    return np.bincount(training_labels, minlength=n_classes) / len(training_labels)


def expected_accuracy_of_guessing(
    training_labels: np.ndarray, test_labels: np.ndarray, n_classes: int
) -> float:
    """Mean accuracy of drawing each answer at random by the training shares: sum of p_train x p_test."""
    return float(prior(training_labels, n_classes) @ prior(test_labels, n_classes))
