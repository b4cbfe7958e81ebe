"""The whole chain: seven inputs in the same folds, and no tested case in any training."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from drawn_words import assert_words

from als_core.statistics.paired import mcnemar_exact
from als_core.studies.miao2023 import chain, figures, words, words_chain
from als_core.studies.miao2023.filters import FILTERS, enlarge
from als_core.studies.miao2023.protocol import Chain, CropSettings, SuperResolution
from als_core.studies.miao2023.restoration import count_all
from als_core.studies.miao2023.super_resolution import make_pairs
from als_core.studies.miao2023.synthetic import CropParameters, synthetic_crops_arrays
from als_core.studies.miao2023.train import majority_share

TINY = SuperResolution(factor=2, channels=4, blocks=1, content_steps=3, further_steps=2, batch=2, patch=8)
SETTINGS = Chain(side=32, copies=2, super_resolution=TINY)
OPTIONS = {"weights": "random", "device": torch.device("cpu"), "epochs": 2}
SIGNAL, NULL = "with a sign", "without a sign"


@pytest.fixture(scope="module")
def crops():
    images, truths, masks, table = synthetic_crops_arrays(CropParameters(side=64), 0)
    return images[..., 0], truths, masks, table


def classify(crops, **changed):
    images, truths, _, table = crops
    given = {
        "truth": truths,
        "labels": (table["label"] == "ALS").to_numpy(),
        "cases": table["group"].to_numpy(),
    }
    return chain.classify_inputs(images, **given | changed, settings=SETTINGS, seed=0, **OPTIONS)


@pytest.fixture(scope="module")
def result(crops):
    return classify(crops)


def test_every_input_has_the_same_folds_and_tests_every_crop_once(crops, result):
    _, _, _, table = crops
    assert len(result.folds) == 5
    for (_, name), part in result.predictions.groupby(["network", "input"]):
        assert sorted(part["crop"]) == list(range(39)), name
        for fold in result.folds:
            assert sorted(part.loc[part["number"] == fold.number, "crop"]) == fold.test_crops.tolist()
    assert set(result.predictions["input"]) == set(chain.INPUTS) and len(chain.INPUTS) == 3 + len(FILTERS)
    assert set(result.predictions["network"]) == {"mobilenet_v3", chain.MEASURED}
    for fold in result.folds:
        cases = table["group"].to_numpy()
        assert not set(cases[fold.train_crops]) & set(cases[fold.test_crops])


def test_no_tested_case_touches_the_generator_that_enlarges_it(crops, result, monkeypatch):
    """Neither the rows a generator is given, nor a change of all tested cases, reach its weights."""
    images, truths, _, table = crops
    cases, fold = table["group"].to_numpy(), result.folds[0]
    given, train = [], chain.train_super_resolution

    def spy(pairs, rows, *more, **named):
        given.append(rows)
        return train(pairs, rows, *more, **named)

    monkeypatch.setattr(chain, "train_super_resolution", spy)
    pairs = make_pairs(images, truths, TINY, 0)
    enlarged = chain.enlarge_for_fold(pairs, fold, SETTINGS, 0)
    assert not set(cases[given[0]]) & set(cases[fold.test_crops])
    tested = np.isin(cases, cases[fold.test_crops])
    spoilt = pairs._replace(low=pairs.low.copy(), high=pairs.high.copy())
    spoilt.low[tested], spoilt.high[tested] = 255 - spoilt.low[tested], 0
    again = chain.enlarge_for_fold(spoilt, fold, SETTINGS, 0)
    np.testing.assert_array_equal(again[~tested], enlarged[~tested])
    np.testing.assert_array_equal(result.tested[chain.GAN][fold.test_crops], enlarged[fold.test_crops])


def test_inputs_are_what_their_names_say(crops, result):
    images, truths, masks, _ = crops
    np.testing.assert_array_equal(result.tested["raw"], images)
    np.testing.assert_array_equal(result.tested["median"][4], FILTERS["median"](images[4]))
    low = make_pairs(images, truths, TINY, 0).low
    np.testing.assert_array_equal(result.tested["bicubic"][4], enlarge(low[4], 2, "bicubic"))
    counts = count_all(result.tested, masks)
    assert list(counts.index) == list(chain.INPUTS) and counts[["found", "missed"]].sum(axis=1).nunique() == 1


def test_the_classifiers_see_no_label_of_a_tested_crop(crops, result):
    labels = (crops[3]["label"] == "ALS").to_numpy()
    fold = result.folds[0]
    flipped = np.where(np.isin(np.arange(39), fold.test_crops), ~labels, labels)
    part = result.predictions.query("number == 0 and input == 'raw'").sort_values(["network", "crop"])
    pool = chain.make_pool(chain._colours(crops[0]), [fold], 32, 0)
    base = chain.load_base("mobilenet_v3", "random", chain._colours(crops[0]), 32)
    recipe = chain.build_recipe("mobilenet_v3", *chain.CELL, side=32, epochs=2)
    features = chain.base_features(base, pool, None, torch.device("cpu"))
    again = chain.train_splits(
        recipe, features, pool, [fold._replace(labels=flipped)], crops[3]["group"].to_numpy(), 0
    )
    expected = part.loc[part["network"] == "mobilenet_v3", "score"]
    np.testing.assert_allclose(again.predictions.sort_values("crop")["score"], expected, atol=1e-5)


def made_up(right_by_input, cases=20):
    """Predictions in which each input classifies the given number of cases correctly, the first ones."""
    truth = np.arange(cases) % 2 == 0
    return pd.concat(
        [
            pd.DataFrame(
                {"input": name, "network": "mobilenet_v3", "number": 0,
                 "case": [f"c{n:02d}" for n in range(cases)],
                 "truth": truth, "score": np.where((np.arange(cases) < right) == truth, 0.9, 0.1)}
            )
            for name, right in right_by_input.items()
        ]
    )  # fmt: skip


def test_two_inputs_are_compared_on_the_same_cases():
    row = chain.compare_inputs(made_up({"gan": 18, "bicubic": 8}), "gan", "bicubic", 0)
    assert row["difference"] == 0.5 and (row["only_first"], row["only_second"]) == (10, 0)
    assert row["p_value"] == mcnemar_exact(np.arange(20) < 18, np.arange(20) < 8).p_value
    assert 0 < row["low"] < 0.5 < row["high"] < 1
    same = chain.compare_inputs(made_up({"gan": 8, "bicubic": 8}), "gan", "bicubic", 0)
    assert same["difference"] == same["low"] == same["high"] == 0 and same["p_value"] == 1


def compared(**differences):
    """Comparisons whose interval is 0.1 to either side, by cohort."""
    rows = {
        (cohort, "mobilenet_v3"): {"difference": d, "low": d - 0.1, "high": d + 0.1, "p_value": 0.04}
        for cohort, d in zip((SIGNAL, NULL), differences.values(), strict=True)
    }
    return pd.DataFrame(rows).T


@pytest.mark.parametrize(
    ("signal", "null", "said"),
    [
        (0.05, 0.0, "no help is shown"),
        (0.3, -0.4, "also by −40 points on crops without a sign: this is no evidence"),
        (0.3, 0.1, "by less on crops without a sign: it helps."),
        (-0.3, 0.1, "by less on crops without a sign: it harms."),
    ],
)
def test_help_is_called_real_only_beyond_its_interval_and_the_null(signal, null, said):
    table = compared(signal=signal, null=null)
    counts = pd.DataFrame(
        {"found": [9, 12, 13], "missed": [4, 1, 0], "invented": [0, 1, 2]}, index=["bicubic", "gan", "Truth"]
    )
    text = words_chain.is_the_help_real(table, counts, SIGNAL, NULL)
    assert (
        said in text
        and "12 of 13 aggregates" in text
        and "marks 1 spot after the GAN, 0 after interpolation and 2 in the truth" in text
    )
    unchanged = compared(signal=0, null=0).assign(low=0.0, high=0.0)
    assert "changes no decision of MobileNetV3" in words_chain.is_the_help_real(unchanged, None, SIGNAL, NULL)
    assert (
        "weak test"
        not in words_chain.help_box("own", table, None, SIGNAL, NULL, 26, "imagenet", 4)["how_sure"]
    )
    box = words_chain.help_box("synthetic", table, None, SIGNAL, NULL, 26, "random", 4)
    assert "Measured on synthetic crops, reduced 4 times and enlarged again." in box["found"]
    assert "a weak test of help" in box["how_sure"]
    assert said in box["found"] and f"{abs(round(100 * null))} percentage points" in box["how_sure"]


def test_figures_and_tables_of_the_chain_say_what_they_show(crops, result):
    images, _, masks, table = crops
    permuted = result._replace(predictions=result.predictions.assign(score=1 - result.predictions["score"]))
    cohorts = {SIGNAL: result, NULL: permuted}
    scores = pd.concat([chain.score_inputs(each.predictions).assign(cohort=n) for n, each in cohorts.items()])
    assert len(scores) == 2 * 2 * len(chain.INPUTS) and scores["input"].tolist()[:7] == list(chain.INPUTS)
    drawn = figures.input_accuracies(
        scores, majority_share(table["label"] == "ALS", table["group"].to_numpy())
    )
    assert_words(drawn)
    assert (
        len(drawn.data) == len(scores)
        and f"Reduced, then GAN {round(100 * scores['accuracy'].iloc[6])} %" in drawn.alt
    )
    assert_words(figures.input_images(result.tested, [0, 30], table))
    counts = count_all(result.tested, masks).rename(index=figures.INPUT_NAMES)
    assert_words(figures.aggregate_counts(counts, len(images)))
    comparisons = chain.compare_all(cohorts, "gan", "bicubic", 0)
    text = words_chain.inputs_compared(scores, comparisons)
    assert text.count("\n- ") == 3 and "on the same cases" in text
    assert text.count(" of 26 cases correct on GAN-enlarged crops, ") == 4
    listed = figures.prediction_table(chain.predictions_by_case(result.predictions))
    assert len(listed) == 2 * 26 and set(figures.INPUT_NAMES.values()) < set(listed)
    assert set(listed["Classifier"]) == {"MobileNetV3", "Measured features"} and set(listed["ALS"]) == {
        "yes",
        "no",
    }
    rows = words.chain_rows(replace(CropSettings(), chain=SETTINGS), "random")
    assert rows["Image side"][0] == "32 pixels" and rows["Starting weights"][0] == "random"
