"""What a page says of the data behind a table or figure."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from als_core.book.page import Page


@pytest.mark.parametrize(
    ("kind", "note"), [("synthetic", "*Synthetic cohort.*"), ("own", "*Own cohort.*"), ("published", "")]
)
def test_only_what_shows_the_cohort_is_marked_as_such(kind, note, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr("als_core.book.page.publish_display_data", lambda data: shown.append(str(data)))
    page = Page("panagiotaras/01_scans_and_training", "paper")
    page._cohort = SimpleNamespace(kind=kind, name="brains")
    numbers = pd.DataFrame({"n": [1]})
    for of_cohort in (True, False):
        page.table(numbers, "a-table", "Counted.", of_cohort=of_cohort)
        page.figure(
            Figure(),
            "a-figure",
            "Counted.",
            "Nothing is drawn in this figure of a test.",
            numbers,
            of_cohort=of_cohort,
        )
    assert len(shown) == 4 and all("Counted." in block for block in shown)
    assert [("cohort.*" in block) for block in shown] == [bool(note)] * 2 + [False] * 2
    assert all(note in block for block in shown[:2])
