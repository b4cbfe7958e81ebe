"""Areas under the ROC and precision-recall curves, for either class as positive, and their bounds.

AUPRC is the average precision of scikit-learn: precision weighted by the steps in recall, no interpolation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score


class CurveAreas(NamedTuple):
    """AUC is the same for both classes as positive; AUPRC is not. All from 0 to 1."""

    auc: float
    auprc: float
    auprc_other: float


class Bounds(NamedTuple):
    """Least attainable, expected of scores without information, and largest attainable value."""

    least: float
    chance: float
    most: float


def curve_areas(positive: np.ndarray, scores: np.ndarray) -> CurveAreas:
    """Compute the areas under the curves of scores, float (n,), for the class `positive`, bool (n,).

    A higher score means more positive; `auprc_other` takes the other class as positive and the negative scores.
    Raises ValueError where one class is missing: no curve exists.
    """
    positive = np.asarray(positive, bool)
    if positive.all() or not positive.any():
        raise ValueError("a curve needs samples of both classes")
    return CurveAreas(
        float(roc_auc_score(positive, scores)),
        float(average_precision_score(positive, scores)),
        float(average_precision_score(~positive, -np.asarray(scores))),
    )


def auc_by_column(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Compute the AUC of each column of scores (n, ...); ties count one half. positive: bool (n,), of both classes."""
    ranks = stats.rankdata(scores, axis=0)
    hits = int(positive.sum())
    return (ranks[positive].sum(0) - hits * (hits + 1) / 2) / (hits * (len(positive) - hits))


def auprc_bounds(positives: int, negatives: int) -> Bounds:
    """Return the bounds of average precision at these class sizes, without tied scores.

    Least: every negative is ranked first, so the k-th positive has precision k / (negatives + k). Chance is the share
    of positives, its limit for large samples.
    """
    rank = np.arange(1, positives + 1)
    return Bounds(float((rank / (negatives + rank)).mean()), positives / (positives + negatives), 1.0)


def auc_bounds(sensitivity: np.ndarray, specificity: np.ndarray) -> Bounds:
    """Return the bounds of the AUC when one threshold of the same scores has this sensitivity and specificity.

    The ROC curve never falls and passes through (1 - specificity, sensitivity): the least area lies right of and below
    that point, the largest leaves out only the area left of and above it. Takes arrays too.
    """
    return Bounds(sensitivity * specificity, 0.5, 1 - (1 - sensitivity) * (1 - specificity))


def auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the 95 % interval of a printed AUC from class sizes alone, by Hanley and McNeil (1982).

    Source: doi 10.1148/radiology.143.1.7063747. Where scores are available, a bootstrap assumes less.
    """
    q_positive, q_negative = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc)
    variance += (positives - 1) * (q_positive - auc**2) + (negatives - 1) * (q_negative - auc**2)
    half = stats.norm.ppf(0.975) * math.sqrt(variance / (positives * negatives))
    return max(0.0, auc - half), min(1.0, auc + half)
