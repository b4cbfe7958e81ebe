"""What the landing page and the overviews say follows from the claims."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from als_core.book import landing
from als_core.claims.claims import every_claim
from als_core.figures.style import to_svg
from als_core.refusal import counted


@pytest.fixture
def rows() -> list[dict]:
    return every_claim([])


def judged(rows, verdicts):
    """The rows with other verdicts, by claim id."""
    return [row | {"verdict": verdicts.get(row["id"], row["verdict"])} for row in rows]


AUC = "miao2023.section3.resnet50.auc"
ACCURACY = "xia2024.table1.resnet18.accuracy"


def test_before_any_page_nothing_holds(rows):
    assert landing.what_holds(rows).startswith("None of the")


def test_agreement_is_counted_by_its_kind_and_a_trained_result_is_missed(rows):
    text = landing.what_holds(judged(rows, {AUC: "adds up", ACCURACY: "as built"}))
    assert "2 of" in text and "1 by arithmetic on the paper's own numbers" in text
    assert text.endswith("No trained result is among them.")
    measured = landing.what_holds([row | {"shown": "0.75"} for row in judged(rows, {AUC: "reproduced"})])
    assert "No trained result" not in measured and ": 0.75 here, 0.73 printed." in measured


def test_disagreement_is_counted_in_issues_and_not_in_cells(rows):
    only = [row for row in rows if row["verdict"] == "conflicts"]
    assert 0 < landing.findings_behind(only, landing.CONFLICTS) < len(only)
    text = landing.what_conflicts(rows)
    assert f"({counted(landing.findings_behind(rows, landing.CONFLICTS), 'issue')}): " in text
    assert "cannot hold under any reading" in text
    assert landing.what_conflicts([]) == "No printed number was found to disagree with another."


def test_trained_targets_are_counted_as_judged_settled_and_left(rows):
    text = landing.what_was_not_tested(judged(rows, {ACCURACY: "differs", AUC: "stand-in"}))
    assert "1 is judged by training here" in text and "For 1 this book has only" in text
    assert "other images than the public ones" not in text
    assert "this build uses other images than the public ones" in landing.what_was_not_tested(
        judged(rows, {AUC: "stand-in"}), public=False
    )


def test_an_unknown_verdict_is_counted_and_not_lost(rows):
    counts = landing.tally(judged(rows, {AUC: "as sung"}))
    assert counts["as sung"] == 1 and "not a target" not in counts
    assert sum(counts.values()) == sum(row["verdict"] != "not a target" for row in rows)


def test_plain_words_are_three_sentences(rows):
    text = landing.plain_words(rows, synthetic=True)
    assert (
        "Xia 2024 describes a split by class and does not mention persons, and Miao does not say what it separates"
        in text
    )
    assert text.count("\n") == 2 and "repeat and judge none" in text and "drawn by a program" in text
    assert "drawn by a program" not in landing.plain_words(rows, synthetic=False)


def test_a_panel_leaves_out_the_pictures_that_it_does_not_show():
    figure = Figure()
    for number, one in enumerate(figure.subplots(2, 2).flat):
        one.imshow(np.full((4, 4), number), vmin=0, vmax=3)
    svg = to_svg(figure, "four")
    assert svg.count("<image ") == 4
    panel = landing.cut_out(svg, (0.5, 0, 1, 0.5))
    kept = re.findall(r'<image [^>]*xlink:href="([^"]+)"', panel)
    assert kept == [re.findall(r'<image [^>]*xlink:href="([^"]+)"', svg)[1]]


def test_a_panel_is_cut_out_of_a_figure():
    svg = '<?xml version="1.0"?>\n<svg width="200pt" height="100pt" viewBox="0 0 200 100" version="1.1"><g/></svg>'
    panel = landing.cut_out(svg, (0.5, 0, 1, 0.5))
    assert 'viewBox="100 0 100 50"' in panel and 'width="100pt"' in panel and panel.startswith("<?xml")
    assert 'version="1.1"' in panel and panel.endswith("<g/></svg>")


def test_a_panel_has_the_first_sentence_of_its_caption_for_who_hears_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(landing, "repository", lambda: tmp_path)
    page = tmp_path / "book" / "xia2024" / "07_by_donor"
    page.mkdir(parents=True)
    (page / "dots.svg").write_text('<svg viewBox="0 0 200 100" version="1.1"><g/></svg>')
    source = (
        '```{figure} 07_by_donor/dots.svg\n:name: dots\n:alt: "Dots."\n\nAccuracy by donor. More words.\n```'
    )
    page.with_suffix(".ipynb").write_text(json.dumps({"cells": [{"source": [source]}]}))
    whole = landing._picture("xia2024", [["xia2024/07_by_donor", "dots"]])
    assert ':alt: "Accuracy by donor. The page is ' in whole and "More words" not in whole
    part = landing._picture("xia2024", [["xia2024/07_by_donor", "dots", [0, 0, 1, 1]]])
    assert ':alt: "A part of this figure: Accuracy by donor.' in part


@pytest.mark.parametrize("paper", ["xia2024", "miao2023", "turrisi2024", "panagiotaras", "wang2023"])
def test_an_overview_has_question_data_method_result_and_sources(paper, rows):
    text = landing.overview_text(paper, rows)
    for part in (
        "**Question.**",
        "## Data",
        "## Method",
        "## Results as printed",
        "## What it found",
        "## Sources",
    ):
        assert part in text
    several = {
        "xia2024": "a page for each of seven networks",
        "miao2023": "a page for each of three networks",
    }
    assert several.get(paper, "## Sources") in text
    assert landing.papers()[paper]["printed"] and text.count("claims.html#") == len(
        landing.papers()[paper]["printed"]
    )


def test_an_overview_says_at_its_findings_that_the_data_are_synthetic(rows):
    drawn = [row | {"cohort": "synthetic-crops"} for row in rows]
    assert landing.DRAWN in landing.overview_text("miao2023", drawn)
    assert landing.DRAWN not in landing.overview_text("miao2023", rows)
    partly = [row | {"cohort": "features" if row["id"] == AUC else "synthetic-crops"} for row in rows]
    assert landing.DRAWN not in landing.overview_text("miao2023", partly)


def test_a_conflict_of_printed_numbers_shows_no_number_of_synthetic_data(rows):
    claim = next(row for row in rows if row["id"] == "miao2023.section4_5.mobile_net_v3.test_accuracy")
    drawn = claim | {"verdict": "conflicts", "shown": "56.67%", "cohort": "synthetic-crops"}
    assert "56.67" not in landing._printed_table([drawn])
    assert "56.67" not in landing._printed_table([drawn | {"cohort": "my-crops"}])
    assert "56.67" in landing._printed_table([drawn | {"cohort": "miao2023"}])


def test_what_is_not_judged_is_counted_by_its_reason(rows):
    of_paper = [row for row in judged(rows, {AUC: "stand-in"}) if row["id"] in (AUC, ACCURACY)]
    assert landing._counts(of_paper).endswith(
        "is judged: 1 was computed with other data, weights or sizes and 1 was not computed."
    )
    mixed = judged(of_paper, {AUC: "adds up"})
    assert "1 agrees with what this book computed and 1 is not judged (not computed)" in landing._counts(
        mixed
    )


def test_the_landing_page_has_a_card_for_each_paper(rows):
    text = landing.landing_text(rows, "Cohort: none.")
    assert text.count("{container} als-paper\n") == len(landing.papers())
    assert all(name in text for name in ("What holds", "What conflicts", "Not tested", "The images"))


def test_the_trainings_of_a_paper_are_listed_one_a_network():
    text = landing.training_text("xia2024")
    assert text.count("{doc}") == 7 and "Training: Miniset-DenseSENet" in text
    assert landing.training_text("wang2023").count("{doc}") == 0


def test_other_images_than_the_public_ones_are_named_so():
    assert landing.what_the_images_show("It is so.", public=True) == "It is so."
    assert landing.what_the_images_show("It is so.", public=False).startswith("This build uses other images")
    assert "was not made" in landing.what_the_images_show("", public=True)
