"""A figure with the words that go with it, and how counts, shares and intervals are written in words.

Every figure function of a study returns a `Drawn`. Caption and alternative text are made beside the plot,
from the same table, so that a test can compare them with it; `Page.show` puts them on a page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawn:
    """A figure, its caption, its alternative text and every point it draws.

    figure : Figure
    caption : str
        The first sentence says what is seen, in at most 25 words; how to read the marks comes after it.
    alt : str
        What the figure shows, with its main numbers, for readers who do not see it.
    data : DataFrame
        One row per drawn mark; offered as CSV below the figure.
    """

    figure: Figure
    caption: str
    alt: str
    data: pd.DataFrame


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """Write a number with a real minus sign; empty for NaN. `signed` writes a plus sign, too."""
    if math.isnan(value):
        return ""
    text = f"{value:{'+' if signed else ''},.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else f"{0:.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """Write a share (0 to 1) as "95 %"; empty for NaN."""
    return f"{number(100 * share, digits)} %" if not math.isnan(share) else ""


def percent_range(low: float, high: float, digits: int = 0) -> str:
    """Write two shares as "39 % to 71 %", or as one where both read the same; empty for NaN."""
    ends = [percent(low, digits), percent(high, digits)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends) if all(ends) else ""


def p_value(p: float) -> str:
    """Write a p value with two significant digits, "< 0.001" below that; empty for NaN."""
    if math.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def as_written(text: object) -> str:
    r"""Write text from data on one line, so that Markdown shows it as it is: for every label, group and path in prose.

    >>> print(as_written("a_b <i>"))
    a\_b \<i\>
    """
    return re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", " ".join(str(text).split()))


def listed(names: Iterable[object], joined: str = "and") -> str:
    """Join names for a sentence: "a", "a and b", "a, b and c"."""
    *head, last = map(str, names)
    return f"{', '.join(head)} {joined} {last}" if head else last
