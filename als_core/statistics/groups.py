"""Do two groups differ? From counts (chi-square), from samples (Kolmogorov-Smirnov), from printed numbers.

Turrisi 2024 (Table 2) states neither a continuity correction nor how p was had; both readings are given.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats


class ChiSquare(NamedTuple):
    """A chi-square statistic, its degrees of freedom and the probability of one at least as large."""

    statistic: float
    p: float
    degrees: int


class KolmogorovSmirnov(NamedTuple):
    """The largest distance between two distribution functions, and p: exact, and by two approximations.

    p_finite: the one-sample distribution at the effective size n1 n2 / (n1 + n2), rounded, which is what
    SciPy calls asymptotic. p_limit: Kolmogorov's limit for infinite samples. p_exact is NaN where only the
    distance is known and not the samples.
    """

    distance: float
    p_exact: float
    p_finite: float
    p_limit: float


def percentages(counts: np.ndarray) -> np.ndarray:
    """Percent of each column's sum, (levels, groups): every column adds up to 100."""
    counts = np.asarray(counts, float)
    return 100 * counts / counts.sum(0)


def chi_square(counts: np.ndarray, yates: bool) -> ChiSquare:
    """Pearson's chi-square of independence for counts (levels, groups); Yates acts on 2 x 2 tables alone.

    Raises ValueError for a row or column without counts, and for Yates on a larger table, where SciPy would
    leave it out without a word.
    """
    counts = np.asarray(counts)
    if yates and counts.shape != (2, 2):
        raise ValueError(f"Yates' correction is for 2 x 2 tables, not {counts.shape}: pass yates=False")
    found = stats.chi2_contingency(counts, correction=yates)
    return ChiSquare(float(found.statistic), float(found.pvalue), int(found.dof))


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> KolmogorovSmirnov:
    """Two-sample, two-sided test on samples (n1,) and (n2,). Ties, as in ages in years, make p_exact too large."""
    found = stats.ks_2samp(first, second, method="exact")
    approximate = ks_from_distance(found.statistic, len(first), len(second))
    return approximate._replace(p_exact=float(found.pvalue))


def ks_from_distance(distance: float, n_first: int, n_second: int) -> KolmogorovSmirnov:
    """What a printed distance and the two group sizes say about p, where the samples are not public."""
    size = n_first * n_second / (n_first + n_second)
    return KolmogorovSmirnov(
        float(distance),
        math.nan,
        float(stats.kstwo.sf(distance, round(size))),
        float(stats.kstwobign.sf(distance * math.sqrt(size))),
    )


def ks_distance_at_least(counts: np.ndarray) -> float:
    """The least Kolmogorov-Smirnov distance that samples binned into these counts can have.

    counts: (bins in order, 2 groups). The distribution functions are known at the bin edges only; between
    them the distance can be larger.
    """
    shares = percentages(counts).cumsum(0) / 100
    return float(np.abs(shares[:, 0] - shares[:, 1]).max())
