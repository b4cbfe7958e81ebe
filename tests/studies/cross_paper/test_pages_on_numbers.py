"""Figures and sentences of the pages on printed numbers and on donors: words and data follow from the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from als_core.claims.findings import findings
from als_core.claims.published import claim_named
from als_core.studies.cross_paper import figures_audit as figures
from als_core.studies.cross_paper import words_audit
from als_core.studies.cross_paper.headlines import headlines, printed_widths, with_intervals
from als_core.studies.miao2023.audit import sizes_of_shares
from als_core.studies.turrisi2024.audit import always_als_metrics, possible_metrics
from als_core.studies.xia2024.audit import (
    differences_from_best,
    images_by_class,
    mcnemar_table,
    public_manifest,
)

FOUND = list(findings().values())


class Cohort:
    groups = np.repeat(np.arange(12).astype(str), 5)

    def __len__(self):
        return len(self.groups)


def curves() -> pd.DataFrame:
    return pd.DataFrame(
        [("1 image a donor", n, 1 / n) for n in (5, 50, 500)], columns=["label", "donors", "half_width"]
    )


def covered() -> pd.DataFrame:
    rows = [("every image independent", 0.5, 0.57), ("correlation known", 0.5, 0.95)]
    return pd.DataFrame(rows, columns=["interval", "correlation", "coverage"])


DRAWN = {
    "findings": lambda: figures.findings_map(FOUND),
    "headlines": lambda: figures.headline_intervals(with_intervals(headlines())),
    "mcnemar": lambda: figures.mcnemar_ranges(mcnemar_table(), "Miniset-DenseSENet"),
    "sizes": lambda: figures.sizes_that_fit(sizes_of_shares(450), 450),
    "tables": lambda: figures.possible_metrics(possible_metrics(), always_als_metrics()),
    "widths": lambda: figures.width_by_donors(curves(), printed_widths(Cohort(), 0.85)),
    "coverage": lambda: figures.coverage_by_correlation(covered(), 300),
}
IN_ALT = {
    "findings": "Xia 2024 18", "headlines": "ResNet18 accuracy 0.87", "mcnemar": "ResNet18+CBAM 0.0156 to 0.118",
    "sizes": "70.34% (test accuracy): 118, 145", "tables": "always ALS: F1 0.912", "widths": "Miao: 8 donors",
    "coverage": "57 % at 0.5",
}  # fmt: skip
MARKS = {
    "findings": len(FOUND),
    "headlines": 10,
    "mcnemar": 5,
    "tables": 11 + 12 + 30 + 1,
    "widths": 3 + 6,
    "coverage": 2,
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_a_short_first_sentence_its_main_numbers_and_every_mark(name):
    drawn = DRAWN[name]()
    assert len(drawn.caption.partition(". ")[0].split()) <= 25
    assert IN_ALT[name] in drawn.alt
    if name in MARKS:
        assert len(drawn.data) == MARKS[name]


def test_a_tick_is_drawn_for_every_size_in_the_data():
    drawn = DRAWN["sizes"]()
    ticks = sum(len(each.get_segments()) for each in drawn.figure.axes[0].collections)
    assert len(drawn.data) == ticks == sum(map(len, sizes_of_shares(450).values()))


def test_the_answer_on_findings_counts_them_and_says_whether_they_agree():
    checks = pd.DataFrame({"finding": ["X1", "X2"], "agrees": [True, True]})
    answer = words_audit.answer_on_findings(FOUND, checks)
    assert "Of 49 findings, 3 are about numbers that cannot hold as labelled, 25 about" in answer["found"]
    assert answer["how_sure"].startswith(
        "All 2 entries of the findings (numbers and quoted words) agree with this page."
    )
    off = words_audit.answer_on_findings(FOUND, checks.assign(agrees=[True, False]))
    assert "those of X2 do not agree" in off["how_sure"]


def test_the_answer_on_donors_is_that_of_its_tables():
    needed = pd.DataFrame({"within": [0.1, 0.05, 0.05], "donors": [20, 78, 196]})
    answer = words_audit.answer_on_donors(printed_widths(Cohort(), 0.85), needed, covered(), 0.85)
    said = (
        "accuracy of 0.89 measured on 38 images of at most 15 donors is known to within ± 10 percentage points if all images "
        "are independent, and to ± 16 or more if each donor counts once."
    )
    assert said in answer["found"]
    assert "takes 78 to 196 donors" in answer["found"]
    assert "in as few as 57 %" in answer["how_sure"]
    assert "78 donors with ten images each, and still 71 donors" in words_audit.images_for_donors(78, 71)


def test_captions_count_copies_and_images():
    listed = public_manifest()
    assert words_audit.images_caption(listed).endswith("Two of the files are byte-for-byte the same.")
    doubled = pd.concat([listed, listed.head(3)])
    assert words_audit.images_caption(doubled).endswith("4 of the files repeat another one byte for byte.")
    assert "190 public images" in words_audit.outliers_caption(len(listed))


def test_the_public_list_is_counted_by_class():
    table = images_by_class(public_manifest())
    assert table.columns.tolist() == ["Class", "Donors", "Slides", "Images"]
    assert (
        table["Images"].sum() == 190 and table["Slides"].sum() == 19 and table["Donors"].tolist() == [5, 5, 5]
    )


def test_captions_state_what_is_assumed():
    assert "printed validation parts" in figures.headline_intervals(with_intervals(headlines())).caption
    marks = printed_widths(Cohort(), 0.85)
    caption = figures.width_by_donors(curves(), marks).caption
    assert "validation parts, an assumption" in caption and caption.endswith(
        "at an assumed accuracy of 0.85."
    )
    published = marks[marks["paper"] != "this book"]
    assert "this book's cohort" not in figures.width_by_donors(curves(), published).caption.lower()


def test_printed_widths_have_one_row_a_paper_and_the_own_cohort():
    table = printed_widths(Cohort(), 0.85).set_index("label")
    assert table.loc["this book's cohort", ["donors", "images"]].tolist() == [12, 60]
    assert (table["low"] <= table["high"]).all() and len(table) == 6
    main = (
        claim_named("xia2024.table1.miniset_densesenet.accuracy").value / 100
    )  # not its best run, nor ResNet18
    assert table.loc["Xia 2024", "accuracy"] == main


def test_differences_from_the_best_model_are_whole_images():
    differences = dict(differences_from_best())
    assert differences["ResNet18"] == pytest.approx(1 / 38) and differences["Basic CNN"] == pytest.approx(
        10 / 38
    )
