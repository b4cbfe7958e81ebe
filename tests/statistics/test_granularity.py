"""Printed shares against plain enumeration of counts, rounded by Python's own decimal arithmetic."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal, localcontext
from itertools import product
from math import comb

import numpy as np
import pytest

from als_core.statistics.granularity import (
    chance_of_whole_count,
    possible_counts,
    possible_sizes,
    printed_range,
    share_of_values_possible,
    split_sizes,
)


def prints(count: int, n: int, text: str, rounding: str) -> bool:
    """Whether count / n, written in the form of `text`, is `text`."""
    digits = Decimal(text.rstrip("%"))
    with localcontext(prec=60):
        value = Decimal(count) * (100 if "%" in text else 1) / Decimal(n)
        return value.quantize(digits, rounding=rounding) == digits


@pytest.mark.parametrize(
    "text", ["89.47%", "97.37%", "0.95", "0.5", "63.2%", "0.7034", "1", "0", "50%", "0.125", "100%"]
)
@pytest.mark.parametrize(("n", "runs"), [(1, 1), (8, 1), (24, 1), (38, 1), (38, 5), (40, 1), (7, 3)])
def test_counts_are_those_that_print_so_by_either_rounding_of_ties(text, n, runs):
    total = n * runs
    either = [k for k in range(total + 1)
              if prints(k, total, text, ROUND_HALF_UP) or prints(k, total, text, ROUND_HALF_DOWN)]  # fmt: skip
    assert list(possible_counts(text, n, runs)) == either
    cut = [k for k in range(total + 1) if prints(k, total, text, ROUND_DOWN)]
    assert list(possible_counts(text, n, runs, truncated=True)) == cut


def test_every_accuracy_of_table_1_of_xia_is_a_count_of_38():
    printed = {"63.16%": 24, "86.84%": 33, "78.95%": 30, "81.58%": 31, "71.05%": 27, "89.47%": 34}
    assert {text: possible_counts(text, 38) for text in printed} == {t: (k,) for t, k in printed.items()}


def test_sizes_are_those_of_which_every_share_has_a_count():
    texts = ["0.7034", "0.9524"]
    expected = [n for n in range(1, 1100) if all(possible_counts(text, n) for text in texts)]
    assert possible_sizes(texts, 1099) == expected == [735, 799, 988, 1008, 1072]
    assert possible_sizes(texts, 1099, smallest=800) == [988, 1008, 1072]


@pytest.mark.parametrize("text", ["", "about 90%", "-0.5", "0.5 ± 0.1", "9 of 10", ".5"])
def test_what_is_no_plain_number_is_refused(text):
    with pytest.raises(ValueError, match="not one plain number"):
        printed_range(text)


@pytest.mark.parametrize(("decimals", "n"), [(1, 3), (2, 7), (2, 150), (3, 38)])
def test_share_of_printable_values_that_are_shares(decimals, n):
    values = [f"{v / 10**decimals:.{decimals}f}" for v in range(10**decimals + 1)]
    expected = np.mean([bool(possible_counts(value, n)) for value in values])
    assert share_of_values_possible(decimals, n) == pytest.approx(expected)


def test_chance_of_a_whole_count_by_enumeration():
    n, share, runs = 3, 0.6, 3
    one = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    expected = sum(np.prod([one[k] for k in counts]) for counts in product(range(n + 1), repeat=runs)
                   if sum(counts) % runs == 0)  # fmt: skip
    assert chance_of_whole_count(n, share, runs) == pytest.approx(expected)


def test_parts_of_a_split_by_each_rounding():
    from sklearn.model_selection import train_test_split

    for total in (39, 100, 190, 391):
        train, test = train_test_split(range(total), test_size=0.3)
        assert split_sizes(total, 0.3)["up"] == (len(train), len(test))
    assert split_sizes(10, 0.25) == {"up": (7, 3), "down": (8, 2), "nearest": (7, 3)}
