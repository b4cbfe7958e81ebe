"""Is a printed share possible at all? A share of n things is k / n, and not every percentage is one.

The check is known as GRIM (Brown and Heathers 2017, doi 10.1177/1948550616673876). A printed number stands
for every value that rounds to it; a tie may be rounded either way, so both ends count. Arithmetic is exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy import stats

_PRINTED = re.compile(r"(?P<digits>\d+)(?:\.(?P<decimals>\d+))?\s?(?P<percent>%)?")


def printed_range(text: str, truncated: bool = False) -> tuple[Fraction, Fraction]:
    """Least and greatest share that a printed share can stand for.

    text: `0.8947` or `89.47%`. truncated: digits were cut off and not rounded; the upper end is then just not
    reached. Raises ValueError for anything else than one plain number.

    >>> [float(end) for end in printed_range("89.47%")]
    [0.89465, 0.89475]
    """
    lowest, highest, unit = _range(text, truncated)
    return Fraction(lowest, unit), Fraction(highest, unit)


def possible_counts(text: str, n: int, runs: int = 1, truncated: bool = False) -> tuple[int, ...]:
    """Every count that prints as this share: of n things, or of n in each of `runs` runs that are averaged.

    Empty where there is none: then the share is of another number of things, or of nothing countable.

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
    """Every n from `smallest` to `largest` of which all the printed shares are shares.

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
    """How large a part of all values from 0 to 1 with so many decimals is a share of n things, 0 to 1.

    The chance that a value which is no share of n looks like one. Small means that the check can say no.

    >>> round(share_of_values_possible(decimals=4, n=391), 3)
    0.039
    """
    values = 10**decimals + 1
    lowest = np.arange(values, dtype=np.int64) * 2 - 1
    counts = -(-n * lowest // (2 * 10**decimals)), n * (lowest + 2) // (2 * 10**decimals)
    return float((np.maximum(counts[0], 0) <= np.minimum(counts[1], n)).mean())


def chance_of_whole_count(n: int, share: float, runs: int) -> float:
    """Chance that the mean of `runs` counts out of n is itself a whole number, so that it looks like one run.

    Counts are independent and binomial; for any but extreme shares the answer is nearly 1 / runs.

    >>> round(chance_of_whole_count(n=38, share=0.89, runs=5), 3)
    0.2
    """
    total = n * runs
    return float(stats.binom.pmf(np.arange(0, total + 1, runs), total, share).sum())


def split_sizes(total: int, share: float) -> dict[str, tuple[int, int]]:
    """Sizes of what is left and of the part of `share`, for each way of rounding that part.

    scikit-learn's `train_test_split` rounds the test part up.

    >>> split_sizes(391, 0.3)
    {'up': (273, 118), 'down': (274, 117), 'nearest': (274, 117)}
    """
    exact = Fraction(str(share)) * total
    parts = {"up": math.ceil(exact), "down": math.floor(exact), "nearest": math.floor(exact + Fraction(1, 2))}
    return {rounding: (total - part, part) for rounding, part in parts.items()}


def _range(text: str, truncated: bool = False) -> tuple[int, int, int]:
    """Ends of the range as whole numbers of one over the third: exact, and quick to compare with k / n."""
    match = _PRINTED.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not one plain number such as 0.8947 or 89.47%")
    decimals = match["decimals"] or ""
    unit = 2 * 10 ** len(decimals) * (100 if match["percent"] else 1)
    value = 2 * int(match["digits"] + decimals)
    return (value, value + 2, unit) if truncated else (value - 1, value + 1, unit)
