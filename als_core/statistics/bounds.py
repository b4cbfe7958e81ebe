"""Bounds that printed metrics leave: tables of counts that agree with them, and the areas and p values they allow.

For papers that print metrics and no counts. Nothing here assumes a distribution: some set of predictions attains each
bound, and none exceeds it. Bounds of AUPRC, and of AUC from one operating point, are in `curves`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import linprog

from als_core.statistics.curves import Bounds, auc_bounds
from als_core.statistics.granularity import printed_range
from als_core.statistics.metrics import accuracy, balanced_accuracy, matthews

_ROUNDING = 1e-12  # a metric that falls on the end of a printed range is inside it


class PRange(NamedTuple):
    """Least and greatest p value over every way in which the errors can overlap."""

    least: float
    greatest: float


class Mixture(NamedTuple):
    """Least mean AUC of runs whose mean metrics are as printed, and the tables (weight, 2, 2) that attain it."""

    least_auc: float
    weights: np.ndarray
    tables: np.ndarray


def _share(part: Callable, whole: Callable) -> Callable[[np.ndarray], np.ndarray]:
    def ratio(table: np.ndarray) -> np.ndarray:
        top, bottom = np.asarray(part(table), float), np.asarray(whole(table), float)
        return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)

    return ratio


def _cell(truth: int, answer: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda table: np.asarray(table)[..., truth, answer]


_TN, _FP, _FN, _TP = _cell(0, 0), _cell(0, 1), _cell(1, 0), _cell(1, 1)

# of tables (..., 2, 2), rows the truth, columns the answer, the positive class last
METRICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": _share(lambda t: 2 * _TP(t), lambda t: 2 * _TP(t) + _FP(t) + _FN(t)),
    "matthews": matthews,
    "precision": _share(_TP, lambda t: _TP(t) + _FP(t)),
    "precision_other": _share(_TN, lambda t: _TN(t) + _FN(t)),
    "recall": _share(_TP, lambda t: _TP(t) + _FN(t)),
    "specificity": _share(_TN, lambda t: _TN(t) + _FP(t)),
}


def possible_tables(positives: int, negatives: int, **printed: str) -> np.ndarray:
    """List every 2 x 2 table of counts whose metrics print as given, int64 (tables, 2, 2); rows are the truth.

    positives, negatives: class sizes. printed: names of `METRICS` and their printed text, as in `precision="0.88"`.
    The result is empty where the metrics cannot belong to one set of predictions.

    >>> possible_tables(4, 4, recall="0.75", specificity="0.50").tolist()
    [[[2, 2], [1, 3]]]
    >>> len(possible_tables(548, 106, precision="0.88", recall="0.95", f1="0.92"))
    11
    """
    tables = every_table(positives, negatives)
    for name, text in printed.items():
        least, greatest = (float(end) for end in printed_range(text))
        values = METRICS[name](tables)
        tables = tables[(values >= least - _ROUNDING) & (values <= greatest + _ROUNDING)]
    return tables


def every_table(positives: int, negatives: int) -> np.ndarray:
    """List every 2 x 2 table of counts with these class sizes, int64 ((positives + 1) (negatives + 1), 2, 2)."""
    hits, alarms = np.meshgrid(np.arange(positives + 1), np.arange(negatives + 1), indexing="ij")
    cells = [negatives - alarms, alarms, positives - hits, hits]
    return np.stack([cell.ravel() for cell in cells], axis=-1).reshape(-1, 2, 2)


def tables_with_errors(class_sizes: tuple[int, ...], errors: int) -> Iterator[np.ndarray]:
    """Yield every confusion matrix of these class sizes with so many errors, int64 (C, C); rows are the truth.

    There are C (C - 1) kinds of error, so this is for few errors.

    >>> len(list(tables_with_errors((14, 12, 12), errors=1)))
    6
    """
    classes = range(len(class_sizes))
    kinds = [(truth, answer) for truth in classes for answer in classes if truth != answer]
    for made in combinations_with_replacement(kinds, errors):
        table = np.diag(class_sizes)
        for truth, answer in made:
            table[truth, truth] -= 1
            table[truth, answer] += 1
        if table.min() >= 0:
            yield table


def auc_bounds_of_accuracy(accuracy: float, positive_share: float) -> Bounds:
    """Return the bounds of the AUC when one threshold of the same scores has this accuracy.

    positive_share: of the samples, between 0 and 1. Of all operating points with this accuracy, those with all errors
    in the rarer class have the least area.

    >>> round(auc_bounds_of_accuracy(0.9925, positive_share=28 / 39).least, 3)
    0.973
    """
    shares = positive_share, 1 - positive_share
    least = (accuracy - max(shares)) / min(shares)  # sensitivity of the rarer class when all errors are in it
    return Bounds(max(0.0, least), 0.5, min(1.0, accuracy / min(shares)))


def accuracy_bounds_of_auc(auc: float, positive_share: float) -> Bounds:
    """Return the bounds of the accuracy at the best threshold for scores of this AUC.

    Least: no point of the curve lies above a line of equal accuracy, which cuts a triangle off the upper left corner
    of the ROC square. Chance: always answering the commoner class.

    >>> [round(bound, 3) for bound in accuracy_bounds_of_auc(0.94, positive_share=28 / 39)]
    [0.844, 0.718, 0.983]
    """
    shares = positive_share, 1 - positive_share
    corner = 1 - math.sqrt(2 * shares[0] * shares[1] * (1 - auc))
    return Bounds(max(*shares, corner), max(shares), max(shares) + min(shares) * auc)


def mcnemar_range(first_right: int, second_right: int, n: int) -> PRange:
    """Return the range of exact McNemar p values of two classifiers whose numbers right of n samples are printed.

    The errors may overlap in any way that the counts allow. Where `least` is above 0.05, no predictions with these
    counts would have been significant.

    >>> p = mcnemar_range(34, 33, n=38)
    >>> p.least, p.greatest
    (1.0, 1.0)
    >>> [round(end, 3) for end in mcnemar_range(34, 27, n=38)]
    [0.016, 0.118]
    """
    both = np.arange(max(0, first_right + second_right - n), min(first_right, second_right) + 1)
    only_first, only_second = first_right - both, second_right - both
    tail = stats.binom.cdf(np.minimum(only_first, only_second), only_first + only_second, 0.5)
    p_values = np.minimum(1.0, 2 * tail)
    return PRange(float(p_values.min()), float(p_values.max()))


def least_difference(level: float = 0.05) -> int:
    """Return the fewest samples by which one classifier must beat another for McNemar's exact p to be below `level`.

    Attained where the better one makes no error that the other does not make too, on any number of samples.

    >>> least_difference(0.05)
    6
    """
    return math.floor(math.log2(2 / level)) + 1


def least_mean_auc(positives: int, negatives: int, **printed: str) -> Mixture:
    """Return the least mean AUC of runs when the means of other metrics are as printed (a linear programme).

    Each run has one table of counts with these class sizes, and at least the AUC that its table forces. Runs may
    differ in any way, so this bound is below that of one set of predictions. Raises ValueError where no runs
    average to the printed values.
    """
    tables = every_table(positives, negatives)
    tables = tables[np.all([np.isfinite(METRICS[name](tables)) for name in printed], axis=0)]
    upper, ends = [], []
    for name, text in printed.items():
        least, greatest = (float(end) for end in printed_range(text))
        values = METRICS[name](tables)
        upper += [values, -values]
        ends += [greatest, -least]
    forced = auc_bounds(METRICS["recall"](tables), METRICS["specificity"](tables)).least
    found = linprog(forced, A_ub=np.array(upper), b_ub=ends, A_eq=np.ones((1, len(tables))), b_eq=[1])
    if not found.success:
        raise ValueError(f"no runs of {positives} and {negatives} samples average to {printed}")
    used = found.x > 1e-9
    return Mixture(float(found.fun), found.x[used], tables[used])
