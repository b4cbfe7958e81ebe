"""Sentences of the tissue pages against the numbers they are made from."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from separation_rows import separation_rows
from toy_training import HEAD_ONLY, train

from als_core.cohorts.group_word import IMAGE
from als_core.studies.xia2024 import words, words_heatmaps, words_separation
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.benchmark import COLOUR, Answers, networks_behind, two_questions
from als_core.studies.xia2024.recipes import PAPER, RECIPES
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
    assert "from random weights in place of ImageNet's" in answer["found"]
    pretrained = [changed(run, weights="imagenet") for run in runs]
    assert "random" not in words.training_answer(pretrained, 1.0)["found"]
    assert "no run does better" in words.training_answer(runs, 1.0)["found"]
    assert "; the run does better than naming" in words.training_answer(runs[:1], 0.33)["found"]
    assert "; the run does not do better than naming" in words.training_answer(runs[:1], 1.0)["found"]
    if min(shares) < max(shares):
        between = words.training_answer(runs, (min(shares) + max(shares)) / 2)["found"]
        assert "1 of the 2 runs does better than naming" in between
    assert (
        "of 9 synthetic test images correctly" in words.training_answer(runs, 0.33, kind="synthetic")["found"]
    )
    assert "one test image is 11.1 percentage points." in answer["how_sure"]
    assert "{ref}`What separates the classes? <xia-by-donor>`" in answer["not_shown"]
    for text in answer.values():
        assert_plain(text)
    assert_plain(words.curves_words(runs))


def test_substitutions_say_what_differs_from_the_paper_and_nothing_else(runs):
    recipe = reduced(HEAD_ONLY, epochs=5)
    smaller = [changed(run, recipe=recipe.as_data()) for run in runs]
    rows = words.substitutions({"toy": smaller})
    full = "not in the paper; in full: 20 epochs; ImageNet weights"
    assert rows == {"Toy head": ("5 epochs; random weights", full)}
    of_paper = [changed(run, recipe=replace(recipe, paper=PAPER).as_data()) for run in 5 * runs[:1]]
    assert words.substitutions({"toy": of_paper})["Toy head"][1] == "20 epochs; ImageNet weights"
    said = words.forbids({"toy": smaller})
    assert "Toy head" in said and "paper" not in said
    both = words.forbids({"toy": smaller, "printed": of_paper})
    assert "with the paper's" in both and both.endswith(
        "Toy head, not in the paper: compare at equal sizes only."
    )
    fewer = reduced(replace(HEAD_ONLY, copies=10), copies=1)
    copies = words.substitutions(
        {"toy": [changed(run, recipe=fewer.as_data(), weights="imagenet") for run in runs]}
    )
    full = "not in the paper; in full: 10 images per training image"
    assert copies == {"Toy head": ("1 image per training image", full)}
    pretrained = [changed(run, weights="imagenet") for run in runs]
    assert words.substitutions({"toy": pretrained}) == {}
    assert "fewer runs" in words.forbids({"toy": pretrained})


def test_a_frozen_network_without_imagenet_weights_is_named(monkeypatch):
    had = {"resnet18": "random", "efficientnet_lite0": "imagenet-lite0"}
    monkeypatch.setattr(words, "tissue_weights", lambda name, amounts: SimpleNamespace(name=had[name]))
    rows = words.frozen_substitutions(list(had), TissueAmounts())
    assert rows == {"ResNet18, frozen": ("random weights", "ImageNet weights")}
    said = words.forbids({}, rows)
    assert_plain(said)
    assert "ResNet18, frozen" in said and words.forbids({}) == said.partition(" ResNet18")[0]


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


def test_attention_is_compared_with_the_same_network_without_it():
    truth = np.repeat([0, 1, 2], 4)
    half = np.where(np.arange(12) % 2, truth, (truth + 1) % 3)
    recipes = {recipe.name: recipe for recipe in RECIPES.values()}
    gated, plain = (Answers(RECIPES[name].name, truth, given[None], None, 3)
                    for name, given in (("resnet18_se", truth), ("resnet18", half)))  # fmt: skip
    at_size = [gated.name, plain.name, RECIPES["densenet121"].name]
    printed = pd.Series({gated.name: 0.8158, plain.name: 0.8684})
    (said,) = words._attention_against_plain([gated, plain], [gated.name], at_size, recipes, printed, IMAGE)
    assert said.startswith(
        "Whether attention helps is open: ResNet18+SE, in 1 run, minus ResNet18 is +50.0 points here"
    )
    assert "(−5.3 in the paper; p 0.031, permuted over images)" in said
    assert (
        "(epochs 300 in place of 150; learning rate 0.0005 in place of 0.0001; batch size 128 in place of 64; "
        in said
    )
    assert words._attention_against_plain([gated], [gated.name], [gated.name], recipes, printed, IMAGE) == []


def test_the_benchmark_says_both_questions(runs):
    truth = np.repeat([0, 1, 2], 4)
    given = np.array([[0, 0, 2, 2, 1, 1, 1, 1, 2, 2, 0, 0]])  # control right, the two kinds of ALS at chance
    name = runs[0].about["recipe"]["name"]
    answers = [Answers(name, truth, given, None, 3), Answers(COLOUR, truth, given, None, 3, learns=False)]
    answer = words.benchmark_answer(answers, CLASSES, {"toy": runs}, None)
    assert answer["found"].startswith(
        "No network was trained at published size with weights of the paper's kind. At the sizes of this page, "
        f"{name} gets 67 %"
    )
    assert "ALS or control: this network 100 %, colour alone 100 %" in answer["found"]
    asked = "Concordant or discordant, among ALS images called ALS: this network 50 %, colour alone 50 %, guessing 50 %"
    assert asked in answer["found"]
    assert "Whether attention helps is open" in answer["how_sure"]
    assert answer["how_sure"].startswith(
        "One split by image and 12 test images: one image is 8.3 percentage points."
    )
    pretrained = {"toy": [changed(run, weights="imagenet") for run in runs]}
    at_size = words.benchmark_answer(answers, CLASSES, pretrained, pd.Series({name: 0.9}))
    assert (
        f"At published size and with weights of the paper's kind, {name} gets 67 % (90 % in the paper) of 12 test images right"
        in at_size["found"]
    )
    assert f"The run of {name} is below the printed 90 %" in at_size["how_sure"]
    assert "this network 100 % (97.37% for Miniset-DenseSENet in the abstract), colour" in at_size["found"]
    assert "contains it" in at_size["how_sure"]  # 11 of 12: 62 to 100 %
    made = words.benchmark_answer(answers, CLASSES, pretrained, pd.Series({name: 0.9}), kind="synthetic")
    assert "of 12 synthetic test images right" in made["found"]
    assert not re.search("% in the paper|abstract|printed", " ".join(made.values())), (
        "no printed number beside synthetic images"
    )
    other = words.benchmark_answer(answers, ("control", "x", "y"), {"toy": runs}, None)
    assert "ALS" not in "".join(other.values()), "only the paper's classes are ALS"
    np.testing.assert_array_equal(two_questions(answers[0].confusions.sum(0), CLASSES)[0], [[4, 0], [0, 8]])
    for text in answer.values():
        assert_plain(text)


def test_both_questions_are_answered_by_the_networks_that_ran_at_size_where_any_did(runs):
    truth = np.repeat([0, 1, 2], 4)
    wrong, right = np.ones((1, 12), int), truth[None]  # all called control; all right
    answers = [
        Answers(name, truth, given, None, 3) for name, given in (("A", right), ("B", right), ("C", wrong))
    ]
    names = {name: {**runs[0].about["recipe"], "name": name, "paper": PAPER} for name in "ABC"}
    none = {name: [changed(run, recipe=recipe) for run in runs] for name, recipe in names.items()}
    found = words.benchmark_answer(answers, CLASSES, none, None)["found"]
    assert "ALS or control: all networks of this page 33 % to 100 %." in found
    but = "all networks of this page except C (called no ALS image ALS) 100 %, guessing"
    assert (
        f"called ALS: {but}" in found
        and "A gets 100 % and B gets 100 % of 12 test images right, the most of 3" in found
    )
    made = words.benchmark_answer(answers, CLASSES, none, pd.Series({"A": 0.9}), kind="synthetic")["found"]
    assert made.startswith(
        "Not answered here: no network was trained on the authors' images, at published size and from ImageNet weights. "
        "At the sizes of this page, A gets 100 % and B gets 100 % of 12 synthetic test images right, the most of 3 networks."
    )
    two = {
        name: [changed(run, weights="imagenet") for run in by] if name != "C" else by
        for name, by in none.items()
    }
    found = words.benchmark_answer(answers, CLASSES, two, None)["found"]
    assert "ALS or control: these networks 100 %." in found


def table(**p):
    rows = [
        (question, split, name, 0.5, score, 0.4, 0.9, 0.5, 0.07, 0.4, 0.6, p.get(question, 0.5))
        for question, score in ((EVERY_CLASS, 0.6), (DISEASE, 0.84), (COGNITION, 0.55))
        for split in (BY_IMAGE, BY_DONOR)
        for name in ("Lite", "Colour")
    ]
    return separation_rows(rows)


def test_what_separates_the_classes_follows_the_p_values():
    found = words_separation.separation_answer(table(**{DISEASE: 0.01, COGNITION: 0.4}), (15, 10))
    assert (
        "ALS and control sections differ: Lite has a balanced accuracy of 84 % in donors not seen before (guessing: 50 %)."
        in found["found"]
    )
    assert (
        "are not shown to differ: 55 % at best" in found["found"]
        and "over 15 and 10 donors" in found["how_sure"]
    )
    measured = table(**{DISEASE: 0.01, COGNITION: 0.4}).replace({"name": {"Colour": "Sharpness alone"}})
    measured.loc[measured["name"] == "Sharpness alone", "score"] -= 0.02
    assert "But sharpness alone gets 82 %" in words_separation.separation_answer(measured, (15, 10))["found"]
    together = words_separation.separation_answer(measured, (15, 10), together="3 of 3 ALS donors")
    assert (
        "gets 82 % and one folder of slide scans holds 3 of 3 ALS donors: this need not be"
        in together["found"]
    )
    made = words_separation.separation_answer(measured, (15, 10), kind="synthetic")
    assert "synthetic" in made["not_shown"] and "release" not in made["not_shown"]
    drawn = "A sign of disease was drawn into every synthetic ALS section and no control."
    kinds = "The two drawn kinds of ALS section are not shown to differ: balanced accuracy 55 % in new donors (guessing: 50 %)."
    assert made["found"] == f"{drawn} Lite finds it in new donors (balanced accuracy 84 %, p 0.010). {kinds}"
    own = words_separation.separation_answer(measured, (15, 10), kind="own")
    assert "release" not in own["not_shown"] and "synthetic" not in own["not_shown"]
    cues = measured[measured["split"] == BY_DONOR].assign(cue=ALL_CUES)
    open_ = words_separation.separation_answer(measured, (15, 10), ladder=cues)
    assert (
        "With colour, brightness, contrast and sharpness made equal, 84 % remain, so these alone do not"
        in open_["found"]
    )
    assert (
        "made equal"
        not in words_separation.separation_answer(measured, (15, 10), ladder=cues.assign(p=0.4))["found"]
    )
    lucky = measured.copy()
    lucky.loc[(lucky["question"] == COGNITION) & (lucky["name"] == "Lite"), "p"] = 0.04
    said = words_separation.separation_answer(lucky, (15, 10))["how_sure"]
    assert "Taken alone, Lite has p 0.040 for concordant against discordant; among 2 classifiers" in said
    nothing = words_separation.separation_answer(table(), (15, 10))
    assert "ALS and control sections are not shown to differ: the best balanced accuracy" in nothing["found"]
    missed = words_separation.separation_answer(table(**{COGNITION: 0.01}), (15, 10), kind="synthetic")[
        "found"
    ]
    assert missed.startswith(
        f"{drawn} With 15 donors these classifiers did not show it (best balanced accuracy 84 %, p 0.50): so small a cohort"
    )
    assert "The two drawn kinds of ALS section are separated: balanced accuracy 55 %" in missed
    empty = words_separation.separation_answer(table(), (15, 10), kind="synthetic", effect=0)["found"]
    assert empty.startswith(
        "No sign of disease was drawn into these synthetic sections, and no classifier is above chance"
    )
    false = words_separation.separation_answer(
        table(**{DISEASE: 0.01}), (15, 10), kind="synthetic", effect=0
    )["found"]
    assert false.endswith("a classifier is above chance in new donors: a false positive.")
    cognition = words_separation.separation_answer(table(**{DISEASE: 0.01, COGNITION: 0.01}), (15, 10))
    assert "(concordant and discordant) differ: 55 % at best" in cognition["found"]
    alone = table()[table()["question"] == EVERY_CLASS]
    assert "60 %" in words_separation.separation_answer(alone, (15, 10))["found"]
    by_image = alone[alone["split"] == BY_IMAGE]
    assert "too few donors" in words_separation.separation_answer(by_image, (3, 2))["how_sure"]
    assert (
        "belong together is not known"
        in words_separation.separation_answer(by_image, (0, 0), IMAGE)["how_sure"]
    )
    for answer in (found, nothing, cognition):
        for text in answer.values():
            assert_plain(text)


def test_what_augmentation_changes_is_said_where_runs_with_and_without_it_are_there():
    def of(*correct):
        return [SimpleNamespace(confusion=lambda k=k: np.array([[k, 10 - k], [0, 10]])) for k in correct]

    said = words.augmentation_words({
        "A, nine augmented copies": of(8, 9), "A, no augmentation": of(5, 7), "B, nine augmented copies": of(6), "B, no augmentation": of(6),
        "A, section 4.5.2": of(1),
    })  # fmt: skip
    assert said == (
        "The nine augmented copies change the test accuracy of A by +12.5 points (every run with them above every run "
        "without) and of B by 0.0 points."
    )
    assert words.augmentation_words({"A, section 4.5.2": of(1)}) == ""


def test_training_that_was_cut_says_what_was_cut(runs):
    cut = reduced(RECIPES["miniset_densesenet"], epochs=4, side=200, copies=1, batch_size=4)
    found = words.training_answer([changed(runs[0], recipe=cut.as_data())], 0.3)["found"]
    assert found.startswith(
        "Trained for 4 epochs in place of 200, on images of 200 pixels and without augmented copies, from random weights in "
        "place of ImageNet's, Miniset-DenseSENet classifies"
    )
    smaller = reduced(RECIPES["resnet18_cbam"], side=200)
    found = words.training_answer([changed(runs[0], recipe=smaller.as_data(), weights="imagenet")], 0.3)[
        "found"
    ]
    assert found.startswith("Trained on images of 200 pixels, ResNet18+CBAM classifies")


def test_words_on_splits_cues_tests_and_gates(runs):
    assert "60 %" in words_separation.split_words(table()) and "50 %" in words_separation.split_words(table())
    cues = table()[table()["split"] == BY_DONOR].assign(cue=ALL_CUES)
    assert "84 %" in words_separation.cue_words(
        cues
    ) and "is not shown to be above chance" in words_separation.cue_words(cues)
    assert_plain(words_separation.cue_words(cues.iloc[:0]))
    tests = pd.DataFrame({"first": ["A", "A", "B"], "second": ["B", "C", "C"], "p": [0.001, 0.04, 0.5]})
    said = words.paired_words(tests, "donors")
    assert said.startswith(
        "Of 3 comparisons, 2 have p below 0.05 in the test over donors: A against B (p 0.001) and A"
    )
    assert said.endswith("1 is below 0.05 / 3 = 0.017 (Bonferroni).")
    many = words.paired_words(pd.concat([tests.iloc[1:], *11 * [tests.iloc[2:]]]), "donors")
    assert many.endswith("None is below 0.05 / 13 = 0.0038 (Bonferroni).")
    assert "none has p" in words.paired_words(tests.iloc[2:], "donors")
    smaller = [changed(run, recipe=reduced(HEAD_ONLY, epochs=5).as_data()) for run in runs]
    said = words.gates_words(-0.013, 0.2, "donors", smaller)
    assert "1.3 percentage points lower" in said and "chance can explain this (p 0.20" in said
    assert said.endswith("they test nothing about the paper's gates.")
    pretrained = [changed(run, weights="imagenet") for run in runs]
    assert words.gates_words(0.013, 0.01, "donors", pretrained).endswith(
        "more than chance explains (p 0.010, two-sided, over donors)."
    )
    means = pd.DataFrame({"name": ["A", "B", "Colour"], "mean": [0.6, 0.4, 0.5], "n": 40})
    assert words.against_colour(means, ["A", "B"], "Colour") == (
        "Mean accuracy minus that of colour statistics alone, in percentage points: A +10.0 and B −10.0. One test image is "
        "2.5 points."
    )


def test_the_caption_of_the_comparisons_counts_those_that_test_the_papers_ranking(runs):
    def trained(name: str, weights: str = "imagenet", paper: str = "xia2024") -> list[Run]:
        recipe = {**runs[0].about["recipe"], "name": name, "paper": paper}
        return [changed(run, recipe=recipe, weights=weights) for run in runs]

    tests = pd.DataFrame({"first": ["A", "A", "A", "B"], "second": ["B", "C", "Colour", "C"]})
    three = {name: trained(name) for name in "ABC"}
    start = "The paper's comparisons, and those with networks and baselines that this book adds"
    caption = words.paired_caption(tests, three)
    assert caption.startswith(start) and caption.endswith("first minus second.")
    of_book = words.paired_caption(tests, three | {"C": trained("C", "random", "")})
    assert of_book == caption, "a network that is not in the paper says nothing of its ranking"
    some = words.paired_caption(tests, three | {"C": trained("C", "random")})
    assert "Only 1 of the 3 rows with two networks of the paper tests its ranking" in some
    none = words.paired_caption(tests, three | {"A": trained("A", "random"), "C": trained("C", "random")})
    assert "None of the 3 rows with two networks of the paper tests its ranking: in each, a network" in none


def test_words_on_heatmaps(runs):
    predicted = pd.DataFrame(
        {"sample": [0, 1, 0, 1], "run": [0, 0, 1, 1], "label": list("aabb"), "predicted": list("abbb")}
    )
    assert "1 and 2" in words_heatmaps.explained_words(runs, predicted)
    title, note = words_heatmaps.matrix_caption(runs, predicted, (13, 13), {0: np.zeros((2, 2), bool)})
    assert len(title.split()) <= 25 and "13 × 13" in note and "Lesions" not in note
    checks = pd.DataFrame({"seed": [0, 1], "correlation": [0.1, 0.2], "blank": [True, False]})
    assert "1 map of 2 is blank" in words_heatmaps.sanity_words(
        checks
    ) and "0.10 and 0.20" in words_heatmaps.sanity_words(checks)
    assert "not tested here" in words_heatmaps.sanity_words(None)
    assert "point nowhere" in words_heatmaps.heatmap_answer(runs, predicted, (1, 1))["found"]
    own = words_heatmaps.heatmap_answer(runs, predicted, (13, 13), "own")
    assert "point to regions" in own["found"] and not re.search(
        "disease|patholog|lesion", " ".join(own.values())
    )
    answer = words_heatmaps.heatmap_answer(runs, predicted, (13, 13))
    assert "classifies 75 % of the test images correctly (the commonest class: 100 %)" in answer["found"]
    assert "not known" not in answer["found"] and "Only its last layer" in answer["how_sure"]
    kinds = {"own": 1.0, "others": 0.99, "noise": 0.98, "difference": 0.01}
    means = pd.DataFrame(
        {"layer": "last", "kind": list(kinds), "mean": kinds.values(), "low": -0.1, "high": 1.1}
    )
    made = words_heatmaps.heatmap_answer(runs, predicted, (13, 13), "synthetic", means)
    assert made["found"].startswith(
        "The lesion of a synthetic image gets 1.00 times the heat of an even map (−0.10 to 1.10), lesions of other images "
        "0.99 times: not distinguishable from the lesions of others. "
    )
    assert made["not_shown"].startswith("Anything about real tissue")
    even = means.assign(low=-2e-16, high=-1e-16)  # a map of one value, but for rounding
    assert "not distinguishable" in words_heatmaps.lesion_words(even.assign(images=4, groups=2), "donors")
    kept = [Run(run.folder, run.about, True) for run in runs]
    assert words_heatmaps.heatmap_answer(kept, predicted, (13, 13))["found"].startswith(
        "Whether the map shows the disease is not"
    )
    for text in answer.values():
        assert_plain(text)


def test_votes_on_patients_name_the_best_classifier_and_that_it_was_chosen():
    rows = [
        (name, f"d{donor}", 1 + donor % 2, donor < right)
        for name, right in (("A, frozen", 4), ("B", 1), ("C", 2))
        for donor in range(5)
    ]
    votes = pd.DataFrame([*rows, ("B", "c", 0, True)], columns=["name", "group", "label", "right"])
    said = words_separation.patient_votes(votes, ("control", "concordant", "discordant"))
    assert said == (
        "By votes over three classes, A (frozen) gets 4 of 5 donors with ALS right, the other classifiers 1 to 2. The best of 3 "
        "can be so by chance."
    )
    made = words_separation.patient_votes(votes, ("control", "concordant", "discordant"), kind="synthetic")
    assert "4 of 5 synthetic donors with ALS right" in made
    assert words_separation.patient_votes(votes, ("control", "x", "y")) == ""


def test_donors_that_all_miss_are_named_and_the_two_checks_are_summed_up():
    votes = pd.DataFrame(
        {
            "name": ["A", "A", "B", "B"],
            "group": ["d1", "d2"] * 2,
            "label": [0, 1] * 2,
            "right": [True, False, False, False],
        }
    )
    assert words_separation.missed_by_all(votes, CLASSES) == "No classifier gets d2 (control) right."
    assert words_separation.missed_by_all(votes.iloc[:1], CLASSES).startswith("Each donor")
    recognised = pd.DataFrame({"name": ["A"], "unit": ["donor"], "share": [0.63], "units": [15]})
    said = words_separation.recognition_words(recognised, table())
    assert "A names the donor in 63 % of images (guessing 7 %)" in said
    assert "On synthetic tissue without a disease effect no classifier is above" in said
    assert "Lite and Colour is above" in words_separation.recognition_words(
        recognised, table(**{EVERY_CLASS: 0.01})
    )
    assert "no p below 0.010" in words_separation.scores_caption(100)
