"""Sentences of the tissue pages against the numbers they are made from."""

import re

import numpy as np
import pandas as pd
import pytest
from separation_rows import separation_rows
from toy_training import HEAD_ONLY, train

from als_core.cohorts.group_word import IMAGE
from als_core.studies.xia2024 import words
from als_core.studies.xia2024.benchmark import Answers, networks_behind, two_questions
from als_core.studies.xia2024.separation import ALL_CUES, BY_DONOR, BY_IMAGE, COGNITION, DISEASE, EVERY_CLASS
from als_core.training.recipe import reduced
from als_core.training.runs import Run

CLASSES = ("concordant", "control", "discordant")
RIDDLES = (" told", " anew", " stands", "at hand", "  ", " nan", "None", "-0")


def assert_plain(text: str) -> None:
    assert text and text[0].isupper() and text.rstrip()[-1] in ".?", text
    assert not any(riddle in text for riddle in RIDDLES), text


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs"), HEAD_ONLY)


def changed(run: Run, **about) -> Run:
    return Run(run.folder, {**run.about, **about}, about.pop("recorded", False))


def test_the_answer_of_a_training_page_names_the_range_over_runs(runs):
    answer = words.training_answer(runs, 0.33)
    shares = [np.trace(run.confusion()) / 9 for run in runs]
    assert f"{100 * max(shares):.0f} %" in answer["found"] and "of 9 test images" in answer["found"]
    assert "every run does better than naming the commonest class (33 %)" in answer["found"]
    assert "no run does better" in words.training_answer(runs, 1.0)["found"]
    for text in answer.values():
        assert_plain(text)
    assert_plain(words.curves_words(runs))


def test_substitutions_say_what_differs_from_the_paper_and_nothing_else(runs):
    recipe = reduced(HEAD_ONLY, epochs=5)
    smaller = [changed(run, recipe=recipe.as_data()) for run in runs]
    rows = words.substitutions({"toy": smaller})
    assert rows["epochs, Toy head"] == ("5", "20")
    assert rows["starting weights, Toy head"] == ("random", "ImageNet")
    assert "Toy head" in words.forbids({"toy": smaller})
    pretrained = [changed(run, weights="imagenet") for run in runs]
    assert words.substitutions({"toy": pretrained}) == {}
    assert "fewer runs" in words.forbids({"toy": pretrained})


def test_circumstances_follow_from_the_runs(runs):
    own = words.circumstances_of(runs, "published")
    assert (own.weights, own.amounts, own.seeds, own.data_of) == ("", True, 2, "xia2024")
    pretrained = words.circumstances_of([changed(run, weights="imagenet") for run in runs], "published")
    assert "torchvision" in pretrained.weights
    named = words.pretraining(changed(runs[0], weights="imagenet-cntk"))
    assert "CNTK" in named
    assert words.circumstances_of(runs, "synthetic").data_of == ""


def test_a_claim_on_two_networks_is_judged_by_the_one_farther_from_the_paper(runs):
    names = ("basic_cnn", "resnet18", "densenet121", "resnet18_se", "resnet18_cbam", "miniset_densesenet")
    by_network = {name: [changed(run, weights="imagenet") for run in runs] for name in names}
    by_network["densenet121"] = runs
    claims = ["xia2024.section3.resnet18_minus_densenet121.accuracy", "xia2024.table1.resnet18.accuracy"]
    found = words.claim_circumstances(claims, by_network, "published")
    assert found[claims[0]].weights == "" and found[claims[1]].weights
    assert networks_behind(claims[0]) == ("resnet18", "densenet121")
    assert networks_behind("xia2024.abstract.headline.accuracy") == ("miniset_densesenet",)
    assert len(networks_behind("xia2024.section2_2.three_resnets.control.specificity")) == 3


def test_the_benchmark_says_both_questions(runs):
    truth = np.repeat([0, 1, 2], 4)
    given = np.array([[0, 0, 2, 2, 1, 1, 1, 1, 2, 2, 0, 0]])  # control right, the two kinds of ALS at chance
    answers = [Answers("A", truth, given, None, 3), Answers("B", truth, given, None, 3, learns=False)]
    answer = words.benchmark_answer(answers, CLASSES, {"a": runs})
    assert "ALS or control, the networks reach 100 %" in answer["found"]
    assert "between the two classes of ALS they get 50 % right" in answer["found"]
    assert answer["found"].startswith("A is best here with 67 % of 12 test images")
    equal = [answers[0], Answers("C", truth, given, None, 3)]
    assert words.benchmark_answer(equal, CLASSES, {"a": runs})["found"].startswith("A and C are best here")
    other = words.benchmark_answer(answers, ("control", "x", "y"), {"a": runs})
    assert "ALS" not in "".join(other.values()), "only the paper's classes are ALS"
    np.testing.assert_array_equal(two_questions(answers[0].confusions.sum(0), CLASSES)[0], [[4, 0], [0, 8]])
    for text in answer.values():
        assert_plain(text)


def table(**p):
    rows = [
        (question, split, name, 0.5, score, 0.4, 0.9, 0.5, 0.07, 0.4, 0.6, p.get(question, 0.5))
        for question, score in ((EVERY_CLASS, 0.6), (DISEASE, 0.84), (COGNITION, 0.55))
        for split in (BY_IMAGE, BY_DONOR)
        for name in ("Lite", "Colour")
    ]
    return separation_rows(rows)


def test_what_separates_the_classes_follows_the_p_values():
    found = words.separation_answer(table(**{DISEASE: 0.01, COGNITION: 0.4}), 15)
    assert (
        "ALS against control: yes, 84 %" in found["found"]
        and "not shown to be above chance, 55 %" in found["found"]
    )
    nothing = words.separation_answer(table(), 15)
    assert "ALS against control: not shown" in nothing["found"]
    cognition = words.separation_answer(table(**{DISEASE: 0.01, COGNITION: 0.01}), 15)
    assert "above chance" in cognition["found"]
    alone = table()[table()["question"] == EVERY_CLASS]
    assert "60 %" in words.separation_answer(alone, 15)["found"]
    by_image = alone[alone["split"] == BY_IMAGE]
    assert "too few donors" in words.separation_answer(by_image, 3)["how_sure"]
    assert "belong together is not known" in words.separation_answer(by_image, 0, IMAGE)["how_sure"]
    for answer in (found, nothing, cognition):
        for text in answer.values():
            assert_plain(text)


def test_words_on_splits_cues_tests_and_gates():
    assert "60 %" in words.split_words(table()) and "50 %" in words.split_words(table())
    cues = table()[table()["split"] == BY_DONOR].assign(cue=ALL_CUES)
    assert "84 %" in words.cue_words(cues)
    assert_plain(words.cue_words(cues.iloc[:0]))
    tests = pd.DataFrame({"p": [0.001, 0.04, 0.5]})
    assert words.paired_words(tests, "donors").startswith("Of 3 comparisons, 2 have p below 0.05")
    assert "none are below" in words.paired_words(tests.iloc[2:], "donors")
    assert "−1.3 percentage points" in words.gates_words(-0.013, 0.2, "donors")
    means = pd.DataFrame({"name": ["A", "B", "Colour"], "mean": [0.6, 0.4, 0.5]})
    assert (
        words.ahead_of_colour(means, ["A", "B"], "Colour")
        == "On average A does better than colour statistics alone."
    )
    assert words.ahead_of_colour(means, ["B"], "Colour").startswith("No network")


def test_words_on_heatmaps(runs):
    predicted = pd.DataFrame(
        {"sample": [0, 1, 0, 1], "run": [0, 0, 1, 1], "label": list("aabb"), "predicted": list("abbb")}
    )
    assert "1 and 2" in words.explained_words(runs, predicted)
    title, note = words.matrix_caption(runs, predicted, (13, 13), {0: np.zeros((2, 2), bool)})
    assert len(title.split()) <= 25 and "13 × 13" in note and "Lesions" not in note
    checks = pd.DataFrame({"seed": [0, 1], "correlation": [0.1, 0.2], "blank": [True, False]})
    assert "1 map of 2 is blank" in words.sanity_words(checks) and "0.10 and 0.20" in words.sanity_words(
        checks
    )
    assert "not tested here" in words.sanity_words(None)
    assert "point nowhere" in words.heatmap_answer(runs, predicted, (1, 1))["found"]
    own = words.heatmap_answer(runs, predicted, (13, 13), own=True)
    assert "point to regions" in own["found"] and not re.search(
        "disease|patholog|lesion", " ".join(own.values())
    )
    for text in words.heatmap_answer(runs, predicted, (13, 13)).values():
        assert_plain(text)
