"""Chances against enumeration of everything that can happen."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from als_core.statistics.chance import best_of_runs, chance_of_equal_cells, random_split


def test_best_of_runs_by_enumeration():
    n, share, runs, count = 4, 0.7, 3, 4
    one = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    expected = reached = 0.0
    for counts in product(range(n + 1), repeat=runs):
        chance = np.prod([one[k] for k in counts])
        expected += chance * max(counts) / n
        reached += chance * (max(counts) >= count)
    assert best_of_runs(n, share, runs, count) == pytest.approx((expected, reached, one[4]))


def test_equal_cells_by_enumeration():
    cells, values = 3, 3
    tables = list(product(range(values), repeat=cells))
    expected = np.mean([sum(a == b for a, b in zip(one, other, strict=True)) >= 2
                        for one in tables for other in tables])  # fmt: skip
    assert chance_of_equal_cells(2, cells, values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sizes", "test"), [([2, 2, 1], 2), ([3, 2, 2, 1], 4), ([1, 1, 1], 1), ([4, 2], 3), ([2, 2], 2)]
)
def test_random_split_by_enumeration(sizes, test):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    none_torn, torn, seen = [], [], []
    for chosen in combinations(range(len(groups)), test):
        held, rest = groups[list(chosen)], np.delete(groups, chosen)
        both = set(held) & set(rest)
        none_torn.append(not both)
        torn.append(len(both))
        seen.append(np.isin(held, rest).mean())
    assert random_split(sizes, test) == pytest.approx((np.mean(none_torn), np.mean(torn), np.mean(seen)))
