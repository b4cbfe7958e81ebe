"""The tissue pages call a reader's groups by the reader's word, in every caption, alternative text, table and axis."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from drawn_words import words as words_in
from separation_rows import separation_rows
from toy_training import HEAD_ONLY, train

from als_core.cohorts.group_word import DONOR, IMAGE, GroupWord
from als_core.figures.drawn import Drawn
from als_core.statistics.separation import separate_groups
from als_core.studies.xia2024 import (
    figures_augmentation,
    figures_benchmark,
    figures_data,
    figures_separation,
    words,
    words_separation,
)
from als_core.studies.xia2024.benchmark import Answers
from als_core.studies.xia2024.separation import (
    ALL_CUES,
    BY_DONOR,
    BY_IMAGE,
    COGNITION,
    CUES,
    DISEASE,
    EVERY_CLASS,
)

DISH = GroupWord("dish", "dishes")
CLASSES = ("a_b", "c*d")


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    """Four groups of five images, two of each class; the images of the first class are the sharpest."""
    table = pd.DataFrame({"label": np.repeat(CLASSES, 10), "group": np.repeat(list("pqrs"), 5)})
    table = table.assign(path=[f"{n}.png" for n in range(20)], slide=table["group"] + "1", part="train")
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (20, 4))
    measures = pd.DataFrame(noise, columns=list(figures_data.AXIS_LABELS))
    measures["laplacian_variance"] *= np.repeat([900, 100], 10)
    return table.join(measures)


@pytest.fixture(scope="module")
def found(samples) -> dict:
    positive, groups = (samples["label"] == CLASSES[0]).to_numpy(), samples["group"].to_numpy()
    return {
        name: separate_groups(samples[name].to_numpy(), positive, groups, np.random.default_rng(0), 20)
        for name in figures_data.AXIS_LABELS
    }


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    rows = [
        (question, split, "A", 0.5, 0.8, 0.4, 0.9, 0.5, 0.07, 0.4, 0.6, 0.012)
        for question in (EVERY_CLASS, DISEASE, COGNITION)
        for split in (BY_IMAGE, BY_DONOR)
    ]
    return separation_rows(rows)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs"), HEAD_ONLY)


def spoken(shown: object) -> str:
    """Everything that a reader sees of a figure, a table, a box or a sentence."""
    if isinstance(shown, Drawn):
        return " ".join(
            [shown.caption, shown.alt, *words_in(shown.figure), *map(str, shown.data.to_numpy().ravel())]
        )
    if isinstance(shown, pd.DataFrame):
        return " ".join(map(str, [*shown.columns, *shown.to_numpy().ravel()]))
    text = " ".join(shown.values()) if isinstance(shown, dict) else shown
    return re.sub(r" <xia-[a-z-]+>`", "`", text)  # where a link leads to


@pytest.fixture(scope="module")
def everything(samples, found, scores, runs):
    """All that the pages say of groups, by name; a function of the word."""
    votes = pd.DataFrame(
        {"name": "A", "group": list("pq"), "label": [0, 1], "share": [0.6, 0.2], "right": [True, False]}
    )
    images = [np.zeros((8, 8, 3), np.uint8)] * 4
    same = {"snr": 1.0, "contrast": 1.0, "brightness": 0.0, "brightness_factor": 1.0}
    changes = pd.DataFrame({"sharpness": [0.5, 2.0], **same}, index=["Blur", "Noise"])
    report = pd.DataFrame(
        {"property": ["size"], "accuracy": 0.9, "chance": 0.5, "p": 0.1, "p_any": 0.1, "named": False}
    )
    accuracies = pd.DataFrame({"name": ["A"], "n": 8, "correct": [[4]], "mean": 0.5, "median": 0.5, "sd": 0.1,
                               "low": 0.2, "high": 0.7, "group_low": 0.3, "group_high": 0.6})  # fmt: skip
    answers = [
        Answers(runs[0].about["recipe"]["name"], np.repeat([0, 1], 4), np.array([[0, 1] * 4]), None, 2)
    ]
    sharp, every = found["laplacian_variance"], scores[scores["question"] == EVERY_CLASS]
    ladder = pd.concat([scores[(scores["split"] == BY_DONOR)].assign(cue=cue) for cue in CUES])
    flat = dict.fromkeys(found, found["snr"])
    data, split = figures_data, figures_separation
    marks = data.values_by_donor(samples, "laplacian_variance", sharp, CLASSES).data
    one = samples.drop_duplicates("slide")
    return lambda unit: {
        "values": data.values_by_donor(samples, "laplacian_variance", sharp, CLASSES, unit),
        "points": data.donors_to_point_at(marks, "laplacian_variance", unit),
        "measures": data.separation_table(found, CLASSES, unit),
        "finding": data.sharpness_finding(found, CLASSES, unit),
        "finding, overlap": data.sharpness_finding(flat, CLASSES, unit),
        "no finding": data.sharpness_finding({}, CLASSES, unit),
        "cohort": data.cohort_answer(samples, 0.5, found, CLASSES, unit),
        "cohort, overlap": data.cohort_answer(samples, 0.5, flat, CLASSES, unit),
        "cohort, nothing found": data.cohort_answer(samples, 0.5, {}, CLASSES, unit),
        "slides": data.slides_at_a_glance(images, one, samples, unit),
        "parts": data.donors_over_parts(samples, unit),
        "parts in words": data.donors_in_parts_words(2, 4, 0.5, unit),
        "shortcuts": data.shortcut_rows(report, unit),
        "splits": split.scores_by_split(scores, EVERY_CLASS, unit=unit),
        "questions": split.scores_by_question(scores, unit),
        "cues": split.scores_by_cue(ladder, unit),
        "scores": split.score_rows(scores, unit),
        "grid": split.donor_grid(votes, CLASSES, unit),
        "votes": split.vote_rows(votes, unit),
        "accuracies": figures_benchmark.accuracy_rows(accuracies, None, unit),
        "augmentation": figures_augmentation.augmentation_answer(changes, 4, 8, unit),
        "training": words.training_answer(runs, 0.3, unit),
        "benchmark": words.benchmark_answer(answers, CLASSES, {"toy": runs}, None, unit),
        "separation": words_separation.separation_answer(scores, (4, 3), unit),
        "separation, every class": words_separation.separation_answer(every, (4, 3), unit),
        "separation, by image": words_separation.separation_answer(every[every["split"] == BY_IMAGE], (4, 3), unit),
        "split words": words_separation.split_words(scores, unit),
        "split words, by image": words_separation.split_words(every[every["split"] == BY_IMAGE], unit),
        "cue words": words_separation.cue_words(ladder[ladder["cue"] == ALL_CUES], unit),
    }  # fmt: skip


def test_a_readers_word_replaces_the_papers_everywhere(everything):
    for name, shown in everything(DISH).items():
        text = spoken(shown)
        assert "dish" in text.lower(), name
        assert "donor" not in text.lower(), name


def test_papers_and_synthetic_cohorts_keep_donors(everything):
    assert [name for name, shown in everything(DONOR).items() if "donor" not in spoken(shown).lower()] == []


def test_without_groups_nothing_speaks_of_donors(everything):
    absent = everything(IMAGE)
    text = " ".join(spoken(shown) for shown in absent.values()).lower()
    assert "donor" not in text and "group" not in spoken(absent["accuracies"])
    assert not any("resampled" in column for column in absent["accuracies"])


def test_labels_are_shown_as_they_are_in_prose(everything):
    shown = everything(DISH)
    assert r"a\_b" in shown["finding"] and r"c\*d" in shown["cohort"]["found"]
    assert "a_b" in shown["values"].alt, "an alternative text is no Markdown"
