"""What chance alone does: the best of several runs, equal cells of two tables, groups torn by a random split."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from scipy import stats


class BestOfRuns(NamedTuple):
    """Expected best share of `runs` runs, chance that the best reaches a count, and that one run does."""

    expected: float
    reached: float
    reached_by_one: float


class RandomSplit(NamedTuple):
    """What a split of samples at random does to their groups.

    none_torn: chance that no group is on both sides. torn: expected number of groups that are.
    seen: expected share of the test samples whose group has a sample in training.
    """

    none_torn: float
    torn: float
    seen: float


def best_of_runs(n: int, share: float, runs: int, count: int) -> BestOfRuns:
    """The best of several runs whose true accuracy is `share`, each on n test samples, independent.

    >>> best = best_of_runs(n=38, share=34 / 38, runs=5, count=37)
    >>> [round(value, 3) for value in best]
    [0.949, 0.341, 0.08]
    """
    below = stats.binom.cdf(np.arange(n + 1), n, share) ** runs
    at_least = stats.binom.sf(count - 1, n, share)
    return BestOfRuns(float((1 - below[:-1]).sum() / n), float(1 - (1 - at_least) ** runs), float(at_least))


def chance_of_equal_cells(equal: int, cells: int, values: int) -> float:
    """Chance that at least `equal` of `cells` cells of two independent tables agree to the last digit.

    values: how many different values a cell can have, all equally likely.

    >>> round(chance_of_equal_cells(equal=2, cells=2, values=10), 3)
    0.01
    """
    return float(stats.binom.sf(equal - 1, cells, 1 / values))


def random_split(group_sizes: Sequence[int], test: int) -> RandomSplit:
    """A split that takes `test` samples at random and does not look at groups.

    >>> split = random_split([2] * 13 + [1] * 13, test=12)  # 39 crops of 26 cases
    >>> round(split.none_torn, 5), round(split.torn, 1), round(split.seen, 2)
    (0.00031, 5.7, 0.47)
    """
    sizes, total = [int(size) for size in group_sizes], int(sum(group_sizes))
    ways = [1] + [0] * test  # whole groups that fill k test places
    for size in sizes:
        for k in range(test, size - 1, -1):
            ways[k] += ways[k - size]
    torn = sum(
        1 - _all_in_test(size, total, test) - _all_in_test(size, total, total - test) for size in sizes
    )
    alone = np.array([_all_in_test(size - 1, total - 1, test - 1) for size in sizes])
    seen = float((np.array(sizes) * (1 - alone)).sum() / total)
    return RandomSplit(ways[test] / comb(total, test), torn, seen)


def _all_in_test(samples: int, total: int, test: int) -> float:
    """Chance that these samples are all among `test` drawn of `total`."""
    return comb(total - samples, test - samples) / comb(total, test) if samples <= test else 0.0
