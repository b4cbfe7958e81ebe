"""Do two groups differ? From counts (chi-square), from samples (Kolmogorov-Smirnov), from printed numbers.

Turrisi 2024 (Table 2) states neither a continuity correction nor how p was computed; both readings are given.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats


class ChiSquare(NamedTuple):
    """A chi-square statistic, and the probability of one at least as large."""

    statistic: float
    p: float


class KolmogorovSmirnov(NamedTuple):
    """The largest distance between two distribution functions, and p: exact, and by two approximations.

    p_finite: the one-sample distribution at the effective size n1 n2 / (n1 + n2), rounded, which SciPy calls
    asymptotic. p_limit: Kolmogorov's limit for infinite samples. p_exact is NaN where only the distance is known.
    """

    distance: float
    p_exact: float
    p_finite: float
    p_limit: float


def percentages(counts: np.ndarray) -> np.ndarray:
    """Return counts in percent of each column's sum, (levels, groups)."""
    counts = np.asarray(counts, float)
    return 100 * counts / counts.sum(0)


def chi_square(counts: np.ndarray, yates: bool) -> ChiSquare:
    """Test the independence of counts (levels, groups) with Pearson's chi-square.

    Raises ValueError for a row or column without counts, and for Yates' correction on more than 2 x 2 counts, where
    SciPy silently leaves it out.
    """
    counts = np.asarray(counts)
    if yates and counts.shape != (2, 2):
        raise ValueError(f"Yates' correction is for 2 x 2 tables, not {counts.shape}: pass yates=False")
    found = stats.chi2_contingency(counts, correction=yates)
    return ChiSquare(float(found.statistic), float(found.pvalue))


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> KolmogorovSmirnov:
    """Test two samples (n1,) and (n2,), two-sided. Ties, as in ages in years, make p_exact too large."""
    found = stats.ks_2samp(first, second, method="exact")
    approximate = ks_from_distance(found.statistic, len(first), len(second))
    return approximate._replace(p_exact=float(found.pvalue))


def ks_from_distance(distance: float, n_first: int, n_second: int) -> KolmogorovSmirnov:
    """Return p for a printed distance and two group sizes, where the samples are not public."""
    size = n_first * n_second / (n_first + n_second)
    return KolmogorovSmirnov(
        float(distance),
        math.nan,
        float(stats.kstwo.sf(distance, round(size))),
        float(stats.kstwobign.sf(distance * math.sqrt(size))),
    )
