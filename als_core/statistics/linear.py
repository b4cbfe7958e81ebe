"""Ridge regression as a cheap classifier: exact, without settings to tune, and quick enough for a permutation test.

All classes have the same total weight, so that the score of a rare class is not pulled to 0, and a fold that holds out
more of one class than of another has no advantage. Features have no more columns than samples, so that a permutation of
the labels costs one small linear system a fold.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from als_core.statistics.paired import one_label_each

PENALTY = 1.0  # on squared weights of standardised features, for each training sample
FOLDS = 5

Fold = tuple[np.ndarray, np.ndarray]
"""Training rows and test rows."""


def standardised(features: np.ndarray) -> np.ndarray:
    """Return features (n, d), each divided by its standard deviation over all samples, less their means.

    The standard deviation knows no label, so test samples may be part of it. Where there are more features than
    samples, n columns with the same inner products take their place: ridge regression knows no more than these.
    """
    sd = features.std(0)
    scaled = (features - features.mean(0)) / np.where(sd > 0, sd, 1)
    return np.linalg.qr(scaled.T, mode="r").T if scaled.shape[1] > len(scaled) else scaled


def predict_folds(features: np.ndarray, labels: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Predict the class of each test sample by ridge regression with classes of equal weight, int64 (n,).

    Parameters
    ----------
    features : float (n, d)
        Of `standardised`.
    labels : int (n,)
        Class numbers from 0; every training part holds every class.
    folds : list of (training rows, test rows)
        Samples in no test part get -1.

    Raises
    ------
    ValueError
        For features that are not finite, or so large that the system cannot be solved.

    Notes
    -----
    For each class the minimum of sum_i w_i (y_i - x_i b - c)^2 + `PENALTY` n |b|^2, y_i being 1 in the class and 0
    elsewhere; the largest fitted value is the prediction (the first of equals).
    """
    if not np.isfinite(features).all():
        raise ValueError("ridge regression: the features hold NaN or infinite values")
    classes = int(labels.max()) + 1
    one_hot = np.eye(classes)[labels]
    predicted = np.full(len(labels), -1, dtype=np.int64)
    for train, test in folds:
        weight = len(train) / (classes * np.bincount(labels[train], minlength=classes))[labels[train]]
        centred = features - weight @ features[train] / weight.sum()
        weighted = weight[:, None] * centred[train]
        system = weighted.T @ centred[train]
        system[np.diag_indices_from(system)] += PENALTY * len(train)
        # LAPACK itself: for a few columns SciPy's wrappers take longer than the solution
        _, slopes, failed = dposv(system, weighted.T @ (one_hot[train] - 1 / classes))
        if failed or not np.isfinite(system).all():
            raise ValueError("ridge regression: the system cannot be solved; scale the features")
        predicted[test] = (centred[test] @ slopes).argmax(1)
    return predicted


def draw_folds(
    labels: np.ndarray, units: np.ndarray | None, generator: np.random.Generator, count: int = FOLDS
) -> list[Fold]:
    """Draw one round of folds; each unit is held out once, with units of every other class.

    Parameters
    ----------
    labels : int (n,)
    units : (n,) or None
        Name of each sample's slide or donor, kept together; None draws folds of samples, stratified by class.
    generator : Generator
    count : int
        Folds; fewer where a class has fewer units.
    """
    if units is None:
        folds = min(count, int(np.bincount(labels).min()))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=int(generator.integers(2**32)))
        return list(splitter.split(labels, labels))
    kinds = [np.unique(units[labels == label]) for label in np.unique(labels)]
    folds = min(count, *map(len, kinds))
    if not one_label_each(labels, units):
        state = int(generator.integers(2**32))
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=state)
        return list(splitter.split(labels, labels, units))
    fold_of = {
        name: place % folds for names in kinds for place, name in enumerate(generator.permutation(names))
    }
    number = np.array([fold_of[unit] for unit in units])
    return [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in range(folds)]


def fewest_units(labels: np.ndarray, units: np.ndarray | None) -> int:
    """Return the number of units of the class that has fewest; 0 without units."""
    if units is None:
        return 0
    return min(len(set(units[labels == label])) for label in np.unique(labels))
