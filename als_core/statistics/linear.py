"""Ridge regression as a cheap classifier: exact, without settings to tune, and quick enough for a permutation test.

All classes have the same total weight, so that the score of a rare class is not pulled to 0, and a fold that holds out
more of one class than of another has no advantage. Everything runs on the matrix of inner products of the samples, so
that a permutation of the labels costs one linear system a fold.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from als_core.statistics.paired import one_label_each

PENALTY = 1.0  # on squared weights of standardised features, for each training sample
FOLDS = 5

Fold = tuple[np.ndarray, np.ndarray]
"""Training rows and test rows."""


def gram_matrix(features: np.ndarray) -> np.ndarray:
    """Return inner products of features (n, d), each divided by its standard deviation over all samples, (n, n).

    The standard deviation knows no label, so test samples may be part of it.
    """
    sd = features.std(0)
    scaled = (features - features.mean(0)) / np.where(sd > 0, sd, 1)
    return scaled @ scaled.T


def predict_folds(gram: np.ndarray, labels: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Predict the class of each test sample by ridge regression with classes of equal weight, int64 (n,).

    Parameters
    ----------
    gram : float (n, n)
        Of `gram_matrix`.
    labels : int (n,)
        Class numbers from 0; every training part holds every class.
    folds : list of (training rows, test rows)
        Samples in no test part get -1.

    Notes
    -----
    For each class the minimum of sum_i w_i (y_i - x_i b - c)^2 + `PENALTY` n |b|^2, y_i being 1 in the class and 0
    elsewhere, in its dual form; the largest fitted value is the prediction (the first of equals).
    """
    classes = int(labels.max()) + 1
    one_hot = np.eye(classes)[labels]
    predicted = np.full(len(labels), -1, dtype=np.int64)
    for train, test in folds:
        weight = len(train) / (classes * np.bincount(labels[train], minlength=classes))[labels[train]]
        share = weight / weight.sum()
        inner, across = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
        row, level = inner @ share, share @ inner @ share
        system = inner - row[:, None] - row + level  # inner products about the weighted mean
        system[np.diag_indices_from(system)] += PENALTY * len(train) / weight
        dual = cho_solve(cho_factor(system), one_hot[train] - 1 / classes)
        held_out = across - (across @ share)[:, None] - row + level
        predicted[test] = (held_out @ dual).argmax(1)
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
