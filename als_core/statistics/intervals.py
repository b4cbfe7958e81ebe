"""Intervals: exact and score intervals of a proportion, and the bootstrap over groups.

Fields of one slide and slides of one donor are alike. An interval of a proportion takes samples as independent and is
too narrow there; the bootstrap draws whole groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest


class Interval(NamedTuple):
    """Both ends of an interval, in the unit of what it is an interval of."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def clopper_pearson(successes: int, trials: int) -> Interval:
    """Return the exact 95 % interval of a proportion (Clopper and Pearson 1934). NaN for 0 trials."""
    return _proportion(successes, trials, "exact")


def wilson(successes: int, trials: int) -> Interval:
    """Return the 95 % score interval of a proportion (Wilson 1927). NaN for 0 trials."""
    return _proportion(successes, trials, "wilson")


def _proportion(successes: int, trials: int, method: str) -> Interval:
    if trials == 0:
        return Interval(np.nan, np.nan)
    ends = binomtest(int(successes), int(trials)).proportion_ci(0.95, method=method)
    return Interval(float(ends.low), float(ends.high))


def draw_groups(
    groups: np.ndarray, resamples: int, generator: np.random.Generator, strata: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw as many groups as there are, with replacement, `resamples` times.

    groups: (n,) name of each sample's group. strata: (n,) label within which groups are drawn, one label a group;
    None draws from all groups alike. Returns each sample's group number, int64 (n,), and how often each group was
    drawn, int64 (resamples, n_groups). Raises ValueError for fewer than two groups (in any stratum) and for a group
    in two strata.
    """
    names, number = np.unique(groups, return_inverse=True)
    stratum = np.zeros(len(names), dtype=np.int64)
    if strata is not None:
        labels, stratum_of_sample = np.unique(strata, return_inverse=True)
        stratum[number] = stratum_of_sample
        torn = np.unique(names[number[stratum[number] != stratum_of_sample]])
        if len(torn):
            raise ValueError(f"groups in more than one stratum: {', '.join(map(str, torn))}")
    drawn = np.zeros((resamples, len(names)), dtype=np.int64)
    for one in np.unique(stratum):
        members = np.flatnonzero(stratum == one)
        if len(members) < 2:
            where = "" if strata is None else f" of stratum {labels[one]}"
            raise ValueError(
                f"only the group {names[members[0]]}{where}: no spread between groups to draw from"
            )
        drawn[:, members] = generator.multinomial(
            len(members), np.full(len(members), 1 / len(members)), resamples
        )
    return number, drawn


def bootstrap_over_groups(
    contributions: np.ndarray,
    groups: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    generator: np.random.Generator,
    *,
    strata: np.ndarray | None = None,
    resamples: int = 2000,
) -> Interval:
    """Return the 95 % percentile interval of a statistic of sums over samples, with whole groups resampled.

    Parameters
    ----------
    contributions : array (n, ...)
        What each sample adds; `metrics.one_confusion_each` for any metric of a confusion matrix.
    groups : array (n,)
    statistic : callable
        Sums (resamples, ...) -> values (resamples,), such as `metrics.accuracy`.
    strata : array (n,), optional
        As in `draw_groups`; give the labels to keep every class in every resample.
    """
    number, drawn = draw_groups(groups, resamples, generator, strata)
    contributions = np.asarray(contributions)
    totals = np.zeros((drawn.shape[1], *contributions.shape[1:]), dtype=contributions.dtype)
    np.add.at(totals, number, contributions)
    values = np.asarray(statistic(np.tensordot(drawn, totals, axes=1)), dtype=float)
    return percentile_interval(values)


def bootstrap_mean(
    values: np.ndarray, groups: np.ndarray, generator: np.random.Generator, resamples: int = 2000
) -> Interval:
    """Return the 95 % percentile interval of a mean over samples, (n,), with whole groups resampled."""
    sums = np.stack([values, np.ones(len(values))], axis=1)
    return bootstrap_over_groups(sums, groups, lambda s: s[:, 0] / s[:, 1], generator, resamples=resamples)


def percentile_interval(values: np.ndarray) -> Interval:
    """Return the central 95 % of resampled values.

    NaN values are left out: a resample without any sample of a class has no balanced accuracy.
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return Interval(np.nan, np.nan)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Interval(float(low), float(high))
