"""What every figure of the book must say, and every mark it draws: for tests of figure functions."""

from __future__ import annotations

import re

from matplotlib.text import Text

from als_core.figures.drawn import Drawn
from als_core.figures.style import SMALLEST_TEXT, to_svg


def assert_words(drawn: Drawn) -> None:
    """Caption, alternative text and data are whole; text is large enough; the figure can be written."""
    first = re.split(r"(?<=[.?])\s", drawn.caption, maxsplit=1)[0]
    assert first.endswith(".") and len(first.split()) <= 25, first
    assert len(drawn.alt) >= 30 and drawn.alt.endswith("."), drawn.alt
    for text in (drawn.caption, drawn.alt):
        assert not re.search(r"\bnan\b|\bNone\b|\d%|  |(?<![\w.])-\d", text), text
    assert len(drawn.data), "a figure offers every mark it draws"
    assert min(text.get_fontsize() for text in texts(drawn.figure)) >= SMALLEST_TEXT
    assert to_svg(drawn.figure, "figure").startswith("<?xml")


def texts(figure) -> list[Text]:
    """The texts of a figure that are not empty."""
    return [text for text in figure.findobj(Text) if text.get_text()]


def words(figure) -> list[str]:
    """What the texts of a figure say."""
    return [text.get_text() for text in texts(figure)]
