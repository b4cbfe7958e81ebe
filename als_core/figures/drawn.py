"""A figure with the words that go with it: what every figure function of a study returns.

Caption and alternative text are made beside the plot, from the same table, so that a test can hold both
against it; `Page.show` puts them on a page.
"""

from __future__ import annotations

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
