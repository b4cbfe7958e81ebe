"""Figures of training, benchmark and splits by donor draw every run, and their words hold the numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import toy_training
from drawn_words import assert_words, words
from matplotlib.colors import to_hex
from sklearn.metrics import matthews_corrcoef

from als_core.figures.primitives import TRAINING, VALIDATION
from als_core.studies.xia2024 import figures_benchmark as figures
from als_core.training.runs import Run

CLASSES = ("concordant", "control", "discordant")


@pytest.fixture
def histories():
    epochs = np.tile([1, 2, 3], 2)
    return pd.DataFrame(
        {
            "name": "ResNet18",
            "run": np.repeat([0, 1], 3),
            "epoch": epochs,
            "train_loss": 1 / epochs,
            "validation_loss": 1.2 / epochs,
            "train_accuracy": epochs / 4,
            "validation_accuracy": [0.2, 0.6, 0.5, 0.3, 0.4, 0.7],
        }
    )


def test_training_is_blue_and_validation_orange_with_a_dot_at_the_kept_epoch(histories):
    drawn = figures.training_curves("ResNet18", histories, [2, 3], 0.37)
    assert_words(drawn)
    for axes in drawn.figure.axes:
        curves = [line for line in axes.lines if line.get_marker() == ""]
        assert [to_hex(line.get_color()) for line in curves] == [TRAINING] * 2 + [VALIDATION] * 2
    dots = [line.get_xydata().tolist()[0] for line in drawn.figure.axes[1].lines if line.get_marker() == "o"]
    assert dots == [[2, 0.6], [3, 0.7]]
    assert "60 % and 70 %; weights kept of epoch 2 and 3; the majority class gets 37 %" in drawn.alt
    assert drawn.data.loc[drawn.data["kept"], "validation_accuracy"].tolist() == [0.6, 0.7]


def test_without_a_validation_part_only_training_is_drawn(histories):
    alone = histories.assign(validation_loss=np.nan, validation_accuracy=np.nan)
    drawn = figures.training_curves("ResNet18", alone, [3, 3], None)
    assert_words(drawn)
    assert "no validation part" in drawn.caption and "alidation" not in drawn.alt and "nan" not in drawn.alt
    for axes in drawn.figure.axes:
        assert {to_hex(line.get_color()) for line in axes.lines} == {TRAINING}


def test_validation_curves_have_one_panel_per_network(histories):
    both = pd.concat([histories, histories.assign(name="Basic CNN")])
    drawn = figures.validation_curves(both, 0.37)
    assert_words(drawn)
    assert len(drawn.figure.axes) == 2 and "ResNet18 70 % and Basic CNN 70 %" in drawn.alt
    assert len(drawn.data) == 12


@pytest.mark.parametrize("published", [None, pd.Series({"ResNet18": 0.868})])
def test_every_run_is_a_dot_and_the_printed_value_a_diamond(published):
    runs = pd.DataFrame({"name": ["ResNet18"] * 3 + ["Majority class"], "run": [0, 1, 2, 0], "correct": [30, 31, 29, 14],
                         "n": 38, "accuracy": [0.79, 0.82, 0.76, 0.37], "matthews": [0.7, 0.72, 0.65, np.nan]})  # fmt: skip
    table = pd.DataFrame(
        {
            "name": ["ResNet18", "Majority class"],
            "mean": [0.79, 0.37],
            "low": [0.63, 0.22],
            "high": [0.9, 0.54],
        }
    )
    drawn = figures.runs_as_points(runs, table, published)
    assert_words(drawn)
    left, right = drawn.figure.axes
    counts = [
        sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() == "o")
        for axes in (left, right)
    ]
    assert counts == [4, 3]  # an undefined correlation is not drawn, and said
    diamonds = [line.get_xydata()[0].tolist() for line in left.lines if line.get_marker() == "D"]
    assert diamonds == ([[0.868, 0.0]] if published is not None else [])
    assert ("Diamonds" in drawn.caption) == (published is not None)
    assert "where one class only is predicted: " in drawn.caption and "(1 run)" in drawn.caption


def test_classes_keep_their_colours():
    rows = [(name, run, label, measure, 1, 2, 0.5) for name in ("A", "B") for run in range(2) for label in CLASSES
            for measure in ("sensitivity", "specificity")]  # fmt: skip
    table = pd.DataFrame(rows, columns=["name", "run", "class", "measure", "k", "n", "value"])
    drawn = figures.class_measures(table, CLASSES)
    assert_words(drawn)
    colours = {to_hex(line.get_color()) for line in drawn.figure.axes[0].lines if line.get_marker() == "o"}
    assert colours == set(figures.class_colours(CLASSES).values())
    assert "A 50 % and B 50 %" in drawn.alt


def test_confusion_counts_are_in_picture_and_data():
    drawn = figures.confusion_matrices({"A": np.array([[9, 1], [2, 8]])}, ("x", "y"))
    assert_words(drawn)
    assert {"9\n90 %", "Predicted class", "True class"} <= set(words(drawn.figure))
    assert "1 matrix of true by predicted class. Correct over all runs: A 17 of 20." in drawn.alt
    assert drawn.data["count"].tolist() == [9, 1, 2, 8]


def test_tables_write_percentages_ranges_and_minus_signs():
    table = pd.DataFrame({"name": ["A"], "n": 38, "correct": [[30, 31]], "mean": 0.803, "median": 0.789, "sd": 0.0186,
                          "low": 0.627, "high": 0.904, "group_low": np.nan, "group_high": np.nan})  # fmt: skip
    (row,) = figures.accuracy_rows(table, pd.Series({"A": "86.84%"})).to_dict("records")
    assert (
        row["Correct of 38, by run"] == "30, 31" and row["Mean"] == "80.3 %" and row["Published"] == "86.84%"
    )
    assert row["95 % of the middle run (of two, the lower), images independent"] == "62.7 % to 90.4 %"
    assert row["95 % of the mean, donors resampled"] == ""
    odd = figures.accuracy_rows(table.assign(correct=[[30, 31, 29]]), None)
    assert "95 % of the middle run, images independent" in odd
    pairs = pd.DataFrame({"first": ["A"], "second": ["B"], "difference": [-0.053], "mcnemar_least": [0.12],
                          "mcnemar_greatest": [0.51], "p": [0.22]})  # fmt: skip
    (pair,) = figures.paired_rows(pairs).to_dict("records")
    assert pair["Difference, points"] == "−5.3" and pair["McNemar p, by run"] == "0.12 to 0.51"


@pytest.mark.parametrize(
    ("batch_norm", "weights", "trains", "said"),
    [
        ("eval", "imagenet", 10, "keeps the statistics of its pretraining"),
        ("eval", "random", 10, "measured once on the training images, then kept"),
        ("adapt", "imagenet", 10, "measured once on the training images, then kept"),
        ("train", "random", 10, "follows the batches"),
        ("eval", "random", 100, "no stage is frozen"),
    ],
)
def test_the_training_card_says_what_the_batch_norm_of_frozen_stages_does(
    tmp_path, batch_norm, weights, trains, said
):
    (run,) = toy_training.train(tmp_path, toy_training.HEAD_ONLY, seeds=(0,))
    recipe = {**run.about["recipe"], "batch_norm": batch_norm}
    changed = Run(run.folder, {**run.about, "recipe": recipe, "weights": weights})
    card = figures.training_card([changed], "Because.", (trains, 100)).set_index("What")["How"]
    assert card["Batch norm of frozen stages"] == said
    assert card["Trains"] == f"pool, head: {trains} of 100 parameters"
    assert card["Starts from"].endswith(". Because.")
    recorded = Run(run.folder, {**changed.about, "weights_sentence": "From a file."}, recorded=True)
    card = figures.training_card([recorded], "Because.", (trains, 100)).set_index("What")["How"]
    assert card["Starts from"].endswith(". From a file."), (
        "why this machine would choose weights is beside the point"
    )


def test_sizes_mark_recorded_runs_and_smaller_images(tmp_path):
    (run,) = toy_training.train(tmp_path, toy_training.HEAD_ONLY, seeds=(0,))
    smaller = {**run.about["recipe"], "reduced_from": [["side", 400]], "name": "Smaller"}
    runs = {
        "a": [Run(run.folder, run.about, recorded=True)],
        "b": [Run(run.folder, {**run.about, "recipe": smaller})],
    }
    sizes = figures.run_sizes(runs)
    assert sizes == {"Toy head": "recorded, published size", "Smaller": f"profile, {smaller['side']} px"}
    table = pd.DataFrame({"name": ["Smaller", "Colour"], "n": 38, "correct": [[30], [31]], "mean": 0.8, "median": 0.8,
                          "sd": 0.0, "low": 0.6, "high": 0.9, "group_low": np.nan, "group_high": np.nan})  # fmt: skip
    assert figures.accuracy_rows(table, None, sizes=sizes)["Runs"].tolist() == [sizes["Smaller"], ""]


def test_each_run_has_both_matthews_correlations():
    matrices = {"validation": np.eye(3, dtype=int), "test": np.array([[6, 0, 0], [4, 2, 0], [5, 0, 1]])}
    history = pd.DataFrame({"epoch": [1, 2]})
    run = SimpleNamespace(
        about={"seed": 3, "chosen_epoch": 1}, history=history, classes=CLASSES, confusion=matrices.get
    )
    (row,) = figures.run_rows([run]).to_dict("records")
    true, called = np.repeat([0, 1, 2], 6), np.array([0] * 10 + [1] * 2 + [0] * 5 + [2])
    each = [matthews_corrcoef(true == label, called == label) for label in range(3)]
    assert row["MCC"] == f"{matthews_corrcoef(true, called):.2f}"
    assert row["MCC, class against rest"] == f"{np.mean(each):.2f}" != row["MCC"]
    assert row["Correct, test"] == "9 of 18" and row["Epoch kept"] == "1 of 2"
