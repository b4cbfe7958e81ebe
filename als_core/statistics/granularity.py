"""Which counts a printed share can be, and how often chance alone makes what is printed.

A share of n things is k / n, and not every percentage is one: the check is known as GRIM (Brown and Heathers 2017,
doi 10.1177/1948550616673876). A printed number represents every value that rounds to it; a tie may be rounded either
way, so both ends count. Arithmetic on printed shares is exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from math import comb
from typing import NamedTuple

import numpy as np
from scipy import stats

_PRINTED = re.compile(r"(?P<digits>\d+)(?:\.(?P<decimals>\d+))?\s?(?P<percent>%)?")


class BestOfRuns(NamedTuple):
    """Expected best share of several runs, chance that the best reaches a count, and that one run does."""

    expected: float
    reached: float
    reached_by_one: float


class RandomSplit(NamedTuple):
    """How a split of samples at random treats their groups.

    none_torn: chance that no group is on both sides. torn: expected number of groups that are.
    seen: expected share of the test samples whose group has a sample in training.
    """

    none_torn: float
    torn: float
    seen: float


def printed_range(text: str) -> tuple[Fraction, Fraction]:
    """Return the least and greatest share that a printed share can stand for.

    text: `0.8947` or `89.47%`, rounded. Raises ValueError for anything but one plain number.

    >>> [float(end) for end in printed_range("89.47%")]
    [0.89465, 0.89475]
    """
    lowest, highest, unit = _range(text)
    return Fraction(lowest, unit), Fraction(highest, unit)


def possible_counts(text: str, n: int, runs: int = 1, truncated: bool = False) -> tuple[int, ...]:
    """Return every count that prints as this share of n things, or of n in each of `runs` runs that are averaged.

    Empty where there is none: the share is then of another number of things. truncated: digits were cut off
    and not rounded; the upper end of the range is then just not reached.

    >>> possible_counts("89.47%", n=38)  # 34 of 38
    (34,)
    >>> possible_counts("90.00%", n=38)
    ()
    >>> possible_counts("90.00%", n=38, runs=5)  # 171 of 190
    (171,)
    """
    lowest, highest, unit = _range(text, truncated)
    total = n * runs
    last = -(-total * highest // unit) - 1 if truncated else total * highest // unit
    return tuple(range(max(0, -(-total * lowest // unit)), min(total, last) + 1))


def possible_sizes(texts: Sequence[str], largest: int, smallest: int = 1) -> list[int]:
    """Return every n from `smallest` to `largest` of which all the printed shares are shares.

    >>> possible_sizes(["0.7034"], largest=150)
    [118, 145]
    """
    sizes = np.arange(smallest, largest + 1)
    fits = np.ones(len(sizes), bool)
    for text in texts:
        lowest, highest, unit = _range(text)
        fits &= -(-sizes * lowest // unit) <= np.minimum(sizes * highest // unit, sizes)
    return sizes[fits].tolist()


def share_of_values_possible(decimals: int, n: int) -> float:
    """Return which part of all values from 0 to 1 with so many decimals is a share of n things, 0 to 1.

    This is the chance that a value which is no share of n looks like one: small means that the check can fail.

    >>> round(share_of_values_possible(decimals=4, n=391), 3)
    0.039
    """
    values = 10**decimals + 1
    lowest = np.arange(values, dtype=np.int64) * 2 - 1
    counts = -(-n * lowest // (2 * 10**decimals)), n * (lowest + 2) // (2 * 10**decimals)
    return float((np.maximum(counts[0], 0) <= np.minimum(counts[1], n)).mean())


def split_sizes(total: int, share: float) -> dict[str, tuple[int, int]]:
    """Return the sizes of the rest and of a part of `share`, for each way of rounding that part.

    scikit-learn's `train_test_split` rounds the test part up.

    >>> split_sizes(391, 0.3)
    {'up': (273, 118), 'down': (274, 117), 'nearest': (274, 117)}
    """
    exact = Fraction(str(share)) * total
    parts = {"up": math.ceil(exact), "down": math.floor(exact), "nearest": math.floor(exact + Fraction(1, 2))}
    return {rounding: (total - part, part) for rounding, part in parts.items()}


def chance_of_whole_count(n: int, share: float, runs: int) -> float:
    """Return the chance that the mean of `runs` counts out of n is a whole number, so that it looks like one run.

    Counts are independent and binomial; for all but extreme shares the answer is nearly 1 / runs.

    >>> round(chance_of_whole_count(n=38, share=0.89, runs=5), 3)
    0.2
    """
    total = n * runs
    return float(stats.binom.pmf(np.arange(0, total + 1, runs), total, share).sum())


def best_of_runs(n: int, share: float, runs: int, count: int) -> BestOfRuns:
    """Describe the best of several independent runs whose true accuracy is `share`, each on n test samples.

    >>> best = best_of_runs(n=38, share=34 / 38, runs=5, count=37)
    >>> [round(value, 3) for value in best]
    [0.949, 0.341, 0.08]
    """
    below = stats.binom.cdf(np.arange(n + 1), n, share) ** runs
    at_least = stats.binom.sf(count - 1, n, share)
    return BestOfRuns(float((1 - below[:-1]).sum() / n), float(1 - (1 - at_least) ** runs), float(at_least))


def chance_of_equal_cells(equal: int, cells: int, values: int) -> float:
    """Return the chance that at least `equal` of `cells` cells of two independent tables agree to the last digit.

    values: how many different values a cell can have, all equally likely.

    >>> round(chance_of_equal_cells(equal=2, cells=2, values=10), 3)
    0.01
    """
    return float(stats.binom.sf(equal - 1, cells, 1 / values))


def random_split(group_sizes: Sequence[int], test: int) -> RandomSplit:
    """Describe a split that takes `test` samples at random and does not look at groups.

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
    """Return the chance that these samples are all among `test` drawn of `total`."""
    return comb(total - samples, test - samples) / comb(total, test) if samples <= test else 0.0


def _range(text: str, truncated: bool = False) -> tuple[int, int, int]:
    """Return the ends of the range as whole multiples of 1 / the third number: exact, and quick to compare."""
    match = _PRINTED.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not one plain number such as 0.8947 or 89.47%")
    decimals = match["decimals"] or ""
    unit = 2 * 10 ** len(decimals) * (100 if match["percent"] else 1)
    value = 2 * int(match["digits"] + decimals)
    return (value, value + 2, unit) if truncated else (value - 1, value + 1, unit)
