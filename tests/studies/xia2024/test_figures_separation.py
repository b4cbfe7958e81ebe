"""Figures of the page on what separates the classes: marks, words and data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import toy_training
from drawn_words import assert_words
from matplotlib.colors import to_hex
from separation_rows import separation_rows

from als_core.figures.primitives import NULL
from als_core.studies.xia2024 import figures_separation as figures
from als_core.studies.xia2024.separation import (
    ALL_CUES,
    BY_DONOR,
    BY_IMAGE,
    COGNITION,
    CUES,
    DISEASE,
    EVERY_CLASS,
)

CLASSES = ("concordant", "control", "discordant")


@pytest.fixture
def table():
    rows = [
        (question, split, name, 0.5, score, 0.4, 0.9, 0.5, 0.07, 0.4, 0.6, 0.012)
        for question in (EVERY_CLASS, DISEASE, COGNITION)
        for split in (BY_IMAGE, BY_DONOR)
        for name, score in (("A", 0.8), ("B", 0.6))
    ]
    return separation_rows(rows)


def test_scores_are_drawn_over_the_band_of_their_null(table):
    drawn = figures.scores_by_split(table, EVERY_CLASS)
    assert_words(drawn)
    bands = drawn.figure.axes[0].patches
    assert len(bands) == 2 and to_hex(bands[0].get_facecolor()) == NULL
    assert bands[0].get_width() == pytest.approx(0.2)
    assert "A, by image 80 %, permuted 50 %, p 0.012" in drawn.alt
    assert len(drawn.data) == 4 and len(drawn.figure.axes) == 2


def test_both_questions_and_every_cue_have_their_row(table):
    drawn = figures.scores_by_question(table)
    assert_words(drawn)
    assert set(drawn.data["question"]) == {DISEASE, COGNITION} and set(drawn.data["split"]) == {BY_DONOR}
    by_donor = table[
        (table["split"] == BY_DONOR) & (table["question"] != EVERY_CLASS) & (table["name"] == "A")
    ]
    ladder = pd.concat([by_donor.assign(cue=cue) for cue in reversed(CUES)])
    drawn = figures.scores_by_cue(ladder)
    assert_words(drawn)
    labels = [text.get_text().replace("\n", " ") for text in drawn.figure.axes[0].get_yticklabels()]
    assert labels == [f"A, {cue}" for cue in CUES] and labels[-1].endswith(ALL_CUES)


def test_scores_are_listed_with_interval_null_and_p(table):
    row = figures.score_rows(table).iloc[0]
    assert row["Balanced accuracy"] == "80 %" and row["95 % over donors"] == "40 % to 90 %"
    assert row["Labels permuted, mean ± SD"] == "50 % ± 7 %" and row["p"] == "0.012"


def test_a_donor_whose_vote_is_right_is_framed():
    votes = pd.DataFrame({"name": ["A", "A", "B"], "group": ["d1", "d2", "d1"], "label": [1, 0, 1],
                          "share": [0.9, 0.3, 0.2], "vote": [1, 2, 0], "right": [True, False, False]})  # fmt: skip
    drawn = figures.donor_grid(votes, CLASSES)
    assert_words(drawn)
    axes = drawn.figure.axes[0]
    frames = [patch.get_xy() for patch in axes.patches if not patch.get_fill()]
    assert frames == [(-0.47, 0.55)]  # second row: d1, control
    assert [text.get_text() for text in axes.get_yticklabels()] == ["d2 (concordant)", "d1 (control)"]
    assert "A 1 of 2 and B 0 of 1" in drawn.alt
    assert drawn.data["label"].tolist() == ["control", "concordant", "control"]
    rows = figures.vote_rows(votes)
    assert rows["Donors right"].tolist() == ["1 of 2", "0 of 1"]


def test_a_vote_says_whether_more_than_the_head_of_its_network_was_trained(tmp_path):
    cohort = toy_training.cohort_split_images()[0]
    samples = cohort.samples.assign(group=np.arange(len(cohort.samples)) // 3)
    trained = {
        "Whole": toy_training.train(tmp_path),
        "Head": toy_training.train(tmp_path, toy_training.HEAD_ONLY),
    }
    frozen = {(EVERY_CLASS, BY_DONOR, "Head, frozen"): np.ones((len(samples), 3), int)}
    votes = figures.donor_votes(frozen, trained, replace(cohort, samples=samples))
    assert list(dict.fromkeys(votes["name"])) == ["Head, frozen", "Whole, trained", "Head, head trained"]
    assert not votes.loc[votes["name"] == "Head, frozen", "right"].any()  # every vote is a tie


def test_single_measures_are_one_column_each():
    quality = pd.DataFrame(np.ones((3, 4)), columns=list(figures.MEASURES))
    found = figures.single_measures(quality)
    assert list(found) == list(figures.MEASURES.values()) and found["Sharpness alone"].shape == (3, 1)
