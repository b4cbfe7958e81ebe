"""How well one number tells two kinds of groups apart, when samples of one group are not independent.

For a quick look at shortcuts: does brightness, sharpness or file size alone separate the classes, donor by
donor? Two answers, each with its null, both with the group as the unit:

- groups are ranked by their median: AUC, and an exact permutation test over groups;
- a threshold learnt from all other groups classifies the samples of each group: balanced accuracy, with an
  interval over groups, beside the same procedure with permuted labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from als_core.statistics.intervals import Interval, bootstrap_over_groups
from als_core.statistics.metrics import balanced_accuracy, one_confusion_each
from als_core.statistics.paired import permute_labels_over_groups

MOST_ARRANGEMENTS = 200_000  # of labels over groups that are all tried; above, as many are drawn as asked for


@dataclass(frozen=True)
class Separation:
    """Result of `separate_groups`.

    groups : DataFrame
        Columns group, positive, samples, median; by falling median.
    auc : float
        Chance that a positive group has the larger median, 0 to 1; ties count half.
    p : float
        Two-sided, over arrangements of the labels over groups.
    arrangements : int
        How many were tried; `exact` if these are all there are.
    accuracy : Interval
        Interval of `balanced_accuracy` over groups.
    null : float (permutations,)
        Balanced accuracies with permuted labels.
    """

    groups: pd.DataFrame
    auc: float
    p: float
    arrangements: int
    exact: bool
    balanced_accuracy: float
    accuracy: Interval
    null: np.ndarray

    @property
    def complete(self) -> bool:
        """Whether no group of one kind lies among those of the other."""
        return self.auc in (0.0, 1.0)


def separate_groups(
    values: np.ndarray,
    positive: np.ndarray,
    groups: np.ndarray,
    generator: np.random.Generator,
    permutations: int = 1000,
) -> Separation:
    """Measure how well `values` tell positive groups from the others.

    Parameters
    ----------
    values : float (n,)
    positive : bool (n,)
        The same for all samples of a group; at least two groups of either kind.
    groups : (n,)
        Name of each sample's group.
    permutations : int
        Of the labels over groups, for the null of the balanced accuracy (and of the AUC where there are more
        than `MOST_ARRANGEMENTS`).

    Raises
    ------
    ValueError
        For a group of both kinds, or fewer than two groups of a kind.
    """
    values, positive = np.asarray(values, float), np.asarray(positive, bool)
    names, number = np.unique(groups, return_inverse=True)
    kind = np.zeros(len(names), bool)
    kind[number] = positive
    if (kind[number] != positive).any() or not 2 <= kind.sum() <= len(names) - 2:
        raise ValueError("each group needs one label, and each label two groups")
    medians = np.array([np.median(values[number == each]) for each in range(len(names))])
    auc, p, arrangements, exact = _rank_test(medians, kind, generator, permutations)
    predicted = _predict_left_out(values, positive, number)
    confusions = one_confusion_each(positive.astype(int), predicted.astype(int), 2)
    score = float(balanced_accuracy(confusions.sum(0)))
    null = np.empty(permutations)
    for at in range(permutations):
        labels = permute_labels_over_groups(positive.astype(int), number, generator).astype(bool)
        predicted = _predict_left_out(values, labels, number)
        null[at] = (predicted[labels].mean() + (~predicted[~labels]).mean()) / 2
    table = pd.DataFrame(
        {"group": names, "positive": kind, "samples": np.bincount(number), "median": medians}
    ).sort_values("median", ascending=False, ignore_index=True)
    interval = bootstrap_over_groups(confusions, number, balanced_accuracy, generator, strata=positive)
    return Separation(table, auc, p, arrangements, exact, score, interval, null)


def best_threshold(values: np.ndarray, positive: np.ndarray) -> tuple[float, bool]:
    """Find the threshold with the largest balanced accuracy, and whether positive samples lie above it.

    Half way between two neighbouring values; the lowest of equals.
    """
    order = np.argsort(values, kind="stable")
    ordered, signs = values[order], positive[order]
    # share of positives, less that of the others, that lie at or below each value
    gap = np.cumsum(signs) / signs.sum() - np.cumsum(~signs) / (~signs).sum()
    cuts = np.flatnonzero(ordered[1:] > ordered[:-1])
    if not len(cuts):
        return float(ordered[0]), True
    best = cuts[np.abs(gap[cuts]).argmax()]
    return float((ordered[best] + ordered[best + 1]) / 2), bool(gap[best] < 0)


def _predict_left_out(values: np.ndarray, positive: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Classify the samples of each group by the threshold of all others, bool (n,)."""
    predicted = np.empty(len(values), bool)
    for group in range(number.max() + 1):
        held_out = number == group
        threshold, above = best_threshold(values[~held_out], positive[~held_out])
        predicted[held_out] = (values[held_out] > threshold) == above
    return predicted


def _rank_test(
    medians: np.ndarray, kind: np.ndarray, generator: np.random.Generator, permutations: int
) -> tuple[float, float, int, bool]:
    """AUC of the groups' medians, its two-sided p, number of arrangements, and whether these are all."""
    ranks, count = rankdata(medians), int(kind.sum())
    least, most = count * (count + 1) / 2, count * (len(kind) - count)
    exact = comb(len(kind), count) <= MOST_ARRANGEMENTS
    if exact:
        sums = ranks[np.array(list(combinations(range(len(kind)), count)))].sum(1)
    else:
        sums = np.array([ranks[generator.permutation(kind)].sum() for _ in range(permutations)])
    auc, all_aucs = (ranks[kind].sum() - least) / most, (sums - least) / most
    extreme = int((np.abs(all_aucs - 0.5) >= abs(auc - 0.5) - 1e-12).sum())
    p = extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)
    return float(auc), float(p), len(sums), exact
