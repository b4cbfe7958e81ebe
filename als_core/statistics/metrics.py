"""Confusion matrices and the classification metrics of Xia 2024 (appendix A.3), all from counts.

Every metric takes confusion matrices with any leading axes, int (..., C, C), rows the true class and columns the
predicted one, and returns one value per matrix. 0 / 0 is NaN: a class that does not occur has no sensitivity, and an
average over classes is then NaN too, never the mean of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count (true, predicted) classes, int64 (n_classes, n_classes).

    truth, predicted: class numbers in 0 .. n_classes - 1, (n,). Raises ValueError for any other number.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(
            f"one true and one predicted class a sample: got shapes {truth.shape}, {predicted.shape}"
        )
    for name, classes in (("true", truth), ("predicted", predicted)):
        if classes.size and not (classes.min() >= 0 and classes.max() < n_classes):
            raise ValueError(
                f"{name} classes reach from {classes.min()} to {classes.max()}, not 0 to {n_classes - 1}"
            )
    counts = np.bincount(truth * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def one_confusion_each(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Return each sample's own confusion matrix, int64 (n, C, C), for a bootstrap to add up."""
    each = np.zeros((len(truth), n_classes, n_classes), dtype=np.int64)
    each[np.arange(len(truth)), truth, predicted] = 1
    return each


def merge_classes(confusion: np.ndarray, merged: Sequence[Sequence[int]]) -> np.ndarray:
    """Count the same answers among fewer classes: (..., C, C) to (..., len(merged), len(merged)).

    merged: the numbers of the classes that become one, such as ((0,), (1, 2)).
    """
    member = np.zeros((len(merged), confusion.shape[-1]), dtype=np.int64)
    for number, classes in enumerate(merged):
        member[number, list(classes)] = 1
    return member @ confusion @ member.T


def majority_class(training_labels: np.ndarray, n_classes: int) -> int:
    """Return the commonest class among the training labels; of equally common ones the first.

    Raises ValueError where there is no label, or one outside 0 .. n_classes - 1.
    """
    training_labels = np.asarray(training_labels)
    if not training_labels.size or training_labels.min() < 0 or training_labels.max() >= n_classes:
        raise ValueError(f"training labels must be there and lie in 0 .. {n_classes - 1}")
    return int(np.argmax(np.bincount(training_labels, minlength=n_classes)))


def accuracy_counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count correct samples and all samples, each (...)."""
    return np.trace(confusion, axis1=-2, axis2=-1), confusion.sum((-2, -1))


def sensitivity_counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each class, its samples found and all its samples, each (..., C)."""
    return np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1)


def specificity_counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each class, the samples of other classes not called it, and all of those, each (..., C)."""
    others = confusion.sum((-2, -1))[..., None] - confusion.sum(-1)
    falsely = confusion.sum(-2) - np.diagonal(confusion, axis1=-2, axis2=-1)
    return others - falsely, others


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the share of samples on the diagonal, 0 .. 1 (equation 4)."""
    return _ratio(*accuracy_counts(confusion))


def sensitivity(confusion: np.ndarray) -> np.ndarray:
    """Return TP / (TP + FN) of each class against the rest, (..., C), 0 .. 1 (equation 6)."""
    return _ratio(*sensitivity_counts(confusion))


def specificity(confusion: np.ndarray) -> np.ndarray:
    """Return TN / (TN + FP) of each class against the rest, (..., C), 0 .. 1 (equation 5)."""
    return _ratio(*specificity_counts(confusion))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the mean sensitivity over classes, 0 .. 1; NaN where a class does not occur."""
    return sensitivity(confusion).mean(-1)


def matthews(confusion: np.ndarray) -> np.ndarray:
    """Return the multi-class Matthews correlation R_K of Gorodkin (2004), -1 .. 1.

    Source: doi 10.1016/j.compbiolchem.2004.09.006. With two classes it is equation 3 of Xia 2024, which is not defined
    for three. NaN where all samples are of one class or all are called one class (scikit-learn returns 0 there).
    """
    confusion = np.asarray(confusion, dtype=float)
    n, correct = confusion.sum((-2, -1)), np.trace(confusion, axis1=-2, axis2=-1)
    true, called = confusion.sum(-1), confusion.sum(-2)
    covariance = correct * n - (true * called).sum(-1)
    spread = (n**2 - (true**2).sum(-1)) * (n**2 - (called**2).sum(-1))
    return _ratio(covariance, np.sqrt(spread))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, dtype=float), np.asarray(whole, dtype=float)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
