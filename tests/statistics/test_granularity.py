"""Printed shares and chances against enumeration of everything that can happen."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal, localcontext
from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from als_core.statistics.granularity import (
    best_of_runs,
    chance_of_equal_cells,
    chance_of_whole_count,
    possible_counts,
    possible_sizes,
    printed_range,
    random_split,
    share_of_values_possible,
    split_sizes,
)


def prints(count: int, n: int, text: str, rounding: str) -> bool:
    """Return whether count / n, written in the form of `text`, is `text`."""
    digits = Decimal(text.rstrip("%"))
    with localcontext(prec=60):
        value = Decimal(count) * (100 if "%" in text else 1) / Decimal(n)
        return value.quantize(digits, rounding=rounding) == digits


@pytest.mark.parametrize(
    "text", ["89.47%", "97.37%", "0.95", "0.5", "63.2%", "0.7034", "1", "0", "50%", "0.125", "100%"]
)
@pytest.mark.parametrize(("n", "runs"), [(1, 1), (8, 1), (24, 1), (38, 1), (38, 5), (40, 1), (7, 3)])
def test_possible_counts_are_those_that_print_as_the_text_with_ties_rounded_either_way(text, n, runs):
    total = n * runs
    either = [k for k in range(total + 1)
              if prints(k, total, text, ROUND_HALF_UP) or prints(k, total, text, ROUND_HALF_DOWN)]  # fmt: skip
    assert list(possible_counts(text, n, runs)) == either
    cut = [k for k in range(total + 1) if prints(k, total, text, ROUND_DOWN)]
    assert list(possible_counts(text, n, runs, truncated=True)) == cut


def test_possible_sizes_are_those_at_which_every_share_is_a_count():
    texts = ["0.7034", "0.9524"]
    expected = [n for n in range(1, 1100) if all(possible_counts(text, n) for text in texts)]
    assert possible_sizes(texts, 1099) == expected == [735, 799, 988, 1008, 1072]
    assert possible_sizes(texts, 1099, smallest=800) == [988, 1008, 1072]


@pytest.mark.parametrize("text", ["", "about 90%", "-0.5", "0.5 ± 0.1", "9 of 10", ".5"])
def test_text_that_is_not_one_plain_number_is_refused(text):
    with pytest.raises(ValueError, match="not one plain number"):
        printed_range(text)


@pytest.mark.parametrize(("decimals", "n"), [(1, 3), (2, 7), (2, 150), (3, 38)])
def test_share_of_values_possible_counts_the_values_that_are_shares(decimals, n):
    values = [f"{v / 10**decimals:.{decimals}f}" for v in range(10**decimals + 1)]
    expected = np.mean([bool(possible_counts(value, n)) for value in values])
    assert share_of_values_possible(decimals, n) == pytest.approx(expected)


def test_chance_of_a_whole_count_equals_enumeration():
    n, share, runs = 3, 0.6, 3
    one = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    expected = sum(np.prod([one[k] for k in counts]) for counts in product(range(n + 1), repeat=runs)
                   if sum(counts) % runs == 0)  # fmt: skip
    assert chance_of_whole_count(n, share, runs) == pytest.approx(expected)


def test_split_sizes_rounded_up_are_those_of_scikit_learn():
    from sklearn.model_selection import train_test_split

    for total in (39, 100, 190, 391):
        train, test = train_test_split(range(total), test_size=0.3)
        assert split_sizes(total, 0.3)["up"] == (len(train), len(test))
    assert split_sizes(10, 0.25) == {"up": (7, 3), "down": (8, 2), "nearest": (7, 3)}


def test_best_of_runs_equals_enumeration():
    n, share, runs, count = 4, 0.7, 3, 4
    one = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    expected = reached = 0.0
    for counts in product(range(n + 1), repeat=runs):
        chance = np.prod([one[k] for k in counts])
        expected += chance * max(counts) / n
        reached += chance * (max(counts) >= count)
    assert best_of_runs(n, share, runs, count) == pytest.approx((expected, reached, one[4]))


def test_chance_of_equal_cells_equals_enumeration():
    cells, values = 3, 3
    tables = list(product(range(values), repeat=cells))
    expected = np.mean([sum(a == b for a, b in zip(one, other, strict=True)) >= 2
                        for one in tables for other in tables])  # fmt: skip
    assert chance_of_equal_cells(2, cells, values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sizes", "test"), [([2, 2, 1], 2), ([3, 2, 2, 1], 4), ([1, 1, 1], 1), ([4, 2], 3), ([2, 2], 2)]
)
def test_random_split_equals_enumeration(sizes, test):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    none_torn, torn, seen = [], [], []
    for chosen in combinations(range(len(groups)), test):
        held, rest = groups[list(chosen)], np.delete(groups, chosen)
        both = set(held) & set(rest)
        none_torn.append(not both)
        torn.append(len(both))
        seen.append(np.isin(held, rest).mean())
    assert random_split(sizes, test) == pytest.approx((np.mean(none_torn), np.mean(torn), np.mean(seen)))
