"""What figures, tables and boxes of the crops study say, held against the numbers they are made from."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from drawn_words import assert_words
from drawn_words import words as texts_of

from als_core.claims.published import claim_named, published_table
from als_core.claims.published import claims as published_claims
from als_core.claims.verdicts import VERDICTS, Circumstances, judge
from als_core.cohorts.group_word import GroupWord
from als_core.studies.miao2023 import audit, figures, figures_roc, train, words
from als_core.studies.miao2023.checks import PERMUTED, compare_methods, shifts
from als_core.studies.miao2023.networks import VARIANTS, cost_table
from als_core.studies.miao2023.protocol import (
    BY_CASE,
    BY_CROP,
    COPIES_FIRST,
    CROSS_VALIDATED,
    PROTOCOLS,
    CropSettings,
    SuperResolution,
)
from als_core.studies.miao2023.restoration import count_all, judge_restorations, measure_filters, summarise
from als_core.studies.miao2023.synthetic import CropParameters, plan, synthetic_crops_arrays

NETWORKS = tuple(train.PRINTED)
SETTING = dict(zip(train.CELL[1:3], train.PLOTTED["vgg16"], strict=True)) | {"ranked": 27.0, "pairs": 31}
TRAINED = pd.Series([0.84, 0.96])


@pytest.fixture(scope="module")
def crops():
    images, truths, masks, table = synthetic_crops_arrays(CropParameters(side=64), 0)
    return images[..., 0], truths, masks, table


@pytest.fixture(scope="module")
def heads():
    """Predictions and logs of all networks at two settings, drawn at random."""
    rng = np.random.default_rng(0)
    predictions, logs = [], []
    for network in NETWORKS:
        for rate, batch in dict.fromkeys([*train.GRID, train.PLOTTED[network]]):
            cell = {"network": network, "learning_rate": rate, "batch_size": batch}
            for protocol in PROTOCOLS:
                for number in range(2):
                    truth = np.arange(12) < 8
                    part = {
                        "protocol": protocol,
                        "number": number,
                        "crop": np.arange(12),
                        "copy": 0,
                        "truth": truth,
                    }
                    part |= {"case": [f"{protocol}{number}{n // 2}" for n in range(12)]}
                    predictions.append(
                        pd.DataFrame(cell | part | {"score": 0.3 * truth + 0.7 * rng.uniform(size=12)})
                    )
                    losses = [0.7, 0.5, 0.6]
                    log = {"protocol": protocol, "number": number, "epoch": [1, 2, 3], "loss": losses}
                    logs.append(pd.DataFrame(cell | log | {"accuracy": [0.5, 0.6, 0.7]}))
    return train.Heads(pd.concat(predictions, ignore_index=True), pd.concat(logs, ignore_index=True))


def whole(text):
    """A text that a page shows: whole sentences, no missing value, no ASCII minus before a number."""
    assert (
        text.strip(" *").endswith((".", ")"))
        and "nan" not in text
        and "None" not in text
        and "  " not in text
    ), text
    assert "{" not in text.replace("{ref}", ""), text
    return text


def whole_box(box):
    assert set(box) == {"question", "found", "how_sure", "not_shown"} and box["question"].endswith("?")
    for text in list(box.values())[1:]:
        whole(text)
    return box


def test_crops_and_filters(crops):
    images, truths, masks, table = crops
    facts, effects = audit.cases_in_a_split_by_crop(), measure_filters(images[:4], truths[:4], masks[:4])
    assert_words(figures.pipeline())
    assert "39 crops of 26 cases, of which 13 have two crops" in figures.listing(plan()).alt
    assert_words(figures.listing(plan()))
    for specimens in ((None, None), (truths[:2], masks[:2])):
        assert_words(figures.example_crops(images[:2], *specimens, table.iloc[:2]))
    assert_words(figures.filtered(images[0], "one.png"))
    assert_words(figures.filter_effects(effects))
    small, sr = images[0][::2, ::2], SuperResolution(factor=2)
    drawn = figures.copies(images[0], small, [images[0]] * 4, sr)
    assert_words(drawn)
    assert (
        "rotated by up to 20 degrees, shifted by up to 5 % of the side and scaled by up to 10 %"
        in drawn.caption
    )
    medians = effects.drop(columns="crop").groupby("filter", sort=False).median()
    medians.loc["Median filter", "PSNR to the truth (dB)"] = 99
    medians["Aggregates missed or invented"] = [0, 2, 1, 2, 4]
    text = whole(words.filters(medians))
    assert text.startswith(
        "On synthetic crops, smoothing brings a crop nearer to the noise-free truth: median PSNR 99.0 dB"
    )
    assert "after the median filter," in text
    assert "in a crop is 1 after it, 0 without a filter and 4 after histogram equalisation" in text
    medians.loc["Before", "PSNR to the truth (dB)"] = 100
    assert "smoothing does not bring a crop nearer" in words.filters(medians)
    assert "only their sharpness" in whole(words.filters(medians[["Sharpness (levels²/pixel²)"]]))
    assert "39 crops of only 26 cases" in whole_box(words.crops_box(facts, medians))["found"]
    text = whole(words.listing(facts))
    assert "39 crops are of 26 cases" in text
    assert "the chance that no case has crops in both parts would be 0.00031." in text
    als = np.arange(39) < 28
    text = whole(words.balancing(np.where(als, 7, 17) - (np.arange(39) == 0), als, 26, 391))
    assert (
        "a crop of ALS is shown 6 or 7 times and a control 17 times" in text
        and "log is of 391 images" in text
    )
    assert words.filter_constants()["Constants"].tolist() == [
        "sd 1 pixel",
        "width 3 pixels",
        "width 3 pixels",
        "none",
    ]


def test_super_resolution(crops):
    images, truths, masks, table = crops
    methods = {
        "nearest": images[:6],
        "bicubic": images[:6],
        "content": truths[:6] // 2,
        "adversarial": images[1:7],
    }
    summary = summarise(
        judge_restorations(methods, truths[:6], masks[:6], table["group"][:6]), 0, resamples=50
    )
    assert_words(figures.restoration(summary, 6, 3))
    low = images[:2, ::2, ::2]
    shown = {name: part[:2] for name, part in methods.items()}
    assert_words(
        figures.enlarged_crops(low, shown, truths[:2], masks[:2], table.iloc[:2][["path", "label", "group"]])
    )
    names = {figures.METHODS[name]: part for name, part in methods.items()}
    names |= {"Crop as recorded": images[:6], "Truth": truths[:6]}
    counts = count_all(names, masks[:6])
    assert_words(figures.aggregate_counts(counts, 6))
    for box in (words.super_resolution_box("synthetic", summary, c, 6, 3) for c in (counts, None)):
        whole_box(box)
    whole(words.gains(summary))
    whole(
        words.what_is_trained(
            SuperResolution(factor=2), SimpleNamespace(low=low, high=images), 4, 1, 1, False
        )
    )
    steps = pd.DataFrame({"step": [1, 2, 3, 3], "generator": ["both", "both", "content", "adversarial"]})
    steps = steps.assign(content=[0.4, 0.2, 0.1, 0.1], adversarial=[np.nan] * 3 + [0.7], perceptual=np.nan)
    assert_words(figures.super_resolution_losses(steps.assign(discriminator=steps["adversarial"])))


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        (3, "Spots outside aggregates: 0, 3 and 2. Whether they are the same spots was not compared"),
        (0, "Spots outside aggregates: 0, 0 and 2."),
    ],
)
def test_spots_outside_aggregates_are_compared_with_those_of_interpolation_and_truth(outside, said):
    counts = pd.DataFrame(
        {"found": [8, 9, 7, 10], "missed": [2, 1, 3, 0], "invented": [0, outside, 1, 2]},
        index=[figures.METHODS["bicubic"], figures.METHODS["adversarial"], "Crop as recorded", "Truth"],
    )
    text = whole(words.aggregates(counts))
    assert said in text and ("compared" in text) == (outside > 0)
    assert "Of 10 aggregates in these crops, the spot rule finds 8 after bicubic" in text
    gain = {"method": "adversarial", "measure": "psnr", "gain": 1.0, "gain_low": 0.5, "gain_high": 1.5}
    gains = pd.DataFrame([gain, gain | {"method": "content", "gain": 1.2}])
    own = words.super_resolution_box("own", gains, None, 6, 3)["found"]
    assert "a generative network trained on crops as recorded comes nearer" in own
    box = words.super_resolution_box("synthetic", gains, counts, 6, 3)
    assert (
        "trained on the noise-free truth comes nearer to the truth than plain interpolation" in box["found"]
    )
    assert "95 % interval +0.50 to +1.50; without the adversarial loss +1.20 dB)" in box["found"]
    assert (
        f"the spot rule finds 9 of 10 aggregates and marks {outside} spots outside aggregates; after interpolation 8 and 0, "
        "in the crops as recorded 7 and 1, in the truth itself 10 and 2." in box["found"]
    )
    assert "In the truth itself the rule marks 2 spots" in figures.aggregate_counts(counts, 6).caption


@pytest.mark.parametrize("network", NETWORKS)
def test_a_training_page(heads, network):
    printed, predictions = train.PRINTED[network], heads.predictions[heads.predictions["network"] == network]
    scored = train.score_cells(predictions, heads.logs[heads.logs["network"] == network])
    nine = train.nine_cells(scored)
    assert len(nine) == 9 * len(PROTOCOLS)
    log = train.plotted_log(heads.logs[heads.logs["network"] == network], printed.cell)
    losses = train.constant_losses(audit.als_share())
    drawn = figures.training_log(log, printed.log(), losses, network, printed.log_figure)
    assert_words(drawn)
    assert len(drawn.data) == len(log) + (0 if printed.log() is None else len(printed.log()))
    assert list(losses) == ["class shares, 0.595", "one half, 0.693"]
    assert "Thin lines are splits (2 by case and 2 by crop), thick lines their means" in drawn.caption
    last = log[(log["protocol"] == BY_CROP) & (log["epoch"] == log["epoch"].max())]
    assert f"After the last epoch here, by crop: loss {last['loss'].mean():.3f}, accuracy" in drawn.alt
    dishes = figures.training_log(log, None, losses, network, 16, GroupWord("dish", "dishes"))
    assert "(2 by dish and 2 by crop)" in dishes.caption and "here, by dish" in texts_of(dishes.figure)
    grids = train.accuracy_grids(nine, printed.grid(), printed.grid_figure)
    drawn = figures.accuracy_grids(grids, network, 2)
    assert_words(drawn)
    assert len(drawn.data) == 4 * 9 and next(iter(grids)) == f"Printed, Fig. {printed.grid_figure}"
    by_epoch = log[log["protocol"] == BY_CROP].groupby("epoch")[["loss", "accuracy"]].mean()
    assert "in epoch 2 of 3, and rises after it" in whole(words.training_log(by_epoch, 2))
    assert whole(words.training_log(by_epoch.iloc[:2], 1)).endswith("is lowest in the last epoch (2).")
    text = whole(
        words.printed_numbers(
            network,
            audit.means_of_the_grids(),
            audit.cells_that_repeat_another_grid(),
            audit.log_against_a_constant_answer(),
            audit.sizes_behind_the_test_accuracy(),
        )
    )
    said = {
        "vgg16": ("are close to those of always giving the class shares", "the closeness is a coincidence."),
        "mobilenet_v3": ("as independent tables would about once in 190 billion",),
    }
    assert all(part in text for part in said.get(network, ()))
    assert len(train.cell_table(nine).columns) == 13
    cases = train.nine_cells(train.score_cases(predictions[predictions["protocol"] == CROSS_VALIDATED]))
    assert list(train.case_table(cases))[:4] == ["Batch", "Learning rate", "Cases", "Correct"]
    claims = printed.claims(by_epoch, nine)
    for claim, value in claims.items():  # a synthetic page shows no green verdict
        verdict = judge(claim_named(claim), value, Circumstances("synthetic")).kind
        assert verdict in VERDICTS and verdict != "reproduced", claim
    assert len(claims) > 9 and sum(".lr0_" in claim for claim in claims) == 9
    if network == "mobilenet_v3":
        assert claims["miao2023.fig16.mobile_net_v3.loss_rises_after"] == 2
        assert not any("loss_17" in claim for claim in claims)  # three epochs have no seventeenth
        falling = pd.DataFrame({"loss": [*np.linspace(1, 0.2, 17), 0.3, 0.4, 0.5], "accuracy": 0.5})
        longer = printed.claims(falling.set_index(pd.RangeIndex(1, 21, name="epoch")), nine)
        assert longer["miao2023.fig16.mobile_net_v3.loss_17_minus_first.loss"] == pytest.approx(-0.8)
        assert longer["miao2023.fig16.mobile_net_v3.loss_last_minus_17.loss"] == pytest.approx(0.3)
        assert set(longer) <= set(published_claims())


@pytest.mark.parametrize(
    ("right", "low", "high", "said"),
    [
        (13, 0.3, 0.7, "inside the interval: accuracy alone shows no difference from the constant answer."),
        (25, 0.8, 1.0, "below the interval"),
        (3, 0.0, 0.3, "above the interval"),
    ],
)
def test_cases_are_compared_with_the_constant_answer(right, low, high, said):
    row = {"right": right, "cases": 26, "accuracy": right / 26, "low": low, "high": high} | SETTING
    text = whole(words.cases_right(row, 0.65))
    assert said in text and text.endswith("ranks ALS above the other label in 27 of 31 pairs of cases.")
    assert "correctly at a threshold of 0.5 (" in text
    found = whole_box(words.training_box("own", "VGG16", row, TRAINED, 0.65))["found"]
    assert f"(learning rate 0.001, batch size 256), VGG16 classifies {right} of 26 unseen cases" in found
    assert "it reaches 90 % on its training images on average (84 % to 96 % between splits)." in found
    assert "within folds ranks ALS above the other label in 27 of 31 pairs of cases" in found


def test_fine_tuning_is_listed_and_its_omission_said(heads):
    predictions = heads.predictions[
        (heads.predictions["network"] == "vgg16") & (heads.predictions["batch_size"] == 256)
    ]
    logs = heads.logs[(heads.logs["network"] == "vgg16") & (heads.logs["batch_size"] == 256)]
    one = train.Heads(predictions.query("protocol == 'by case'"), logs.query("protocol == 'by case'"))
    assert train.tuned_table({"last block": one}).iloc[0].tolist()[:2] == ["last block", 3]
    assert words.left_out(CropSettings(), VARIANTS) == "Every variant was trained."
    assert "leaves out *all layers*;" in whole(
        words.left_out(CropSettings(fine_tuned=("last block",)), VARIANTS)
    )


def test_roc_curves_and_leaks(heads):
    plotted = train.gather(
        train.Heads(*(train.at_cell(t[t["network"] == n], train.PLOTTED[n]) for t in heads)) for n in NETWORKS
    )
    scored = train.score_cells(*plotted).set_index(["network", "protocol"])
    drawn = figures_roc.roc_curves(plotted.predictions, train.PLOTTED, scored)
    assert_words(drawn)
    assert {"x", "y", "threshold"} < set(drawn.data) and set(drawn.data["protocol"]) == {BY_CASE, BY_CROP}
    aucs = train.split_aucs(plotted.predictions)
    assert_words(figures_roc.protocol_aucs(aucs))
    bounds = pd.DataFrame({"accuracy": [0.6, 1.0], "least_auc": [0.2, 1.0]})
    assert_words(
        figures_roc.accuracy_against_auc(bounds, audit.als_share(), audit.accuracy_against_auc()["least_auc"])
    )
    text = whole(
        words.incompatible(
            audit.accuracy_against_auc(),
            audit.difference_of_two_aucs(),
            audit.cases_in_a_split_by_crop()["test_cases"],
            audit.sizes_behind_the_test_accuracy()["of_listed"],
        )
    )
    assert (
        "accuracy 0.9925 and the printed AUC 0.73" in text
        and "sets of 8 cases, p = 0.31, and of 12 crops, 0.23" in text
    )
    assert (
        "from one network on one test set**, unless more than 97.2 % of its images are of one class" in text
    )
    order = words.split_order(audit.sizes_behind_the_logged_shares(), audit.steps_of_the_resnet50_log())
    assert (
        "the ResNet50 log is of 400 images (finding M9)" in order
        and "391 is the size of a *training* log" in order
    )
    assert "is 273 and 118, of which 95.24 % and 70.34 % are possible" in whole(order)
    assert "(391 is ten for each of 39 crops, and one more)" in whole(words.leak(scored, (273, 118), 391))
    assert "ten for each" not in whole(words.leak(scored, (90, 28), 391))
    strength = {BY_CASE: -0.76, COPIES_FIRST: 0.93}
    scored.loc[("vgg16", COPIES_FIRST), "auc"], scored.loc[("vgg16", BY_CASE), "auc"] = 0.47, 0.95
    text = whole(words.undertrained("vgg16", scored, strength, 0.98))
    assert "One possible reason" in text and "Leak and class balance were not varied separately." in text
    assert "(AUC 0.47) than by case (0.95)" in text and "correlation 0.93;" in text and "−0.76" in text
    scored.loc[("vgg16", COPIES_FIRST), "auc"] = 0.99
    assert "scores no lower with the leak" in whole(words.undertrained("vgg16", scored, strength, 0.98))
    scored["tn"] = 0
    assert words.no_controls(scored).startswith("VGG16, ResNet50 and MobileNetV3 recognised no control")
    auc = train.auc_claims(scored)
    assert auc["miao2023.section3.mobile_net_v3_minus_resnet50.auc"] == pytest.approx(
        auc["miao2023.section3.mobile_net_v3.auc"] - auc["miao2023.section3.resnet50.auc"]
    )
    assert set(auc) <= set(published_claims()) and {claim for claim in auc if "_minus_" not in claim} == {
        "miao2023.section3.resnet50.auc",
        "miao2023.section3.mobile_net_v3.auc",
        "miao2023.section3.resnet50_and_mobile_net_v3.accuracy",
        "miao2023.section4_5.mobile_net_v3.test_accuracy",
    }


def test_no_signal_classical_methods_and_cost(heads):
    rng = np.random.default_rng(0)
    null = pd.DataFrame(rng.normal(0.5, 0.05, (9, 4)), columns=[BY_CASE, PERMUTED, BY_CROP, COPIES_FIRST])
    null.insert(0, "cohort", range(9))
    moved = shifts(null).set_index("protocol")
    assert_words(figures_roc.no_signal_aucs(null))
    assert "within three standard errors" in whole(words.no_signal(null, moved))
    moved["in_errors"] = [-0.6, 0.7, 3.9]
    box = words.roc_box(
        audit.accuracy_against_auc(), moved, audit.difference_of_two_aucs(), 8, 12, audit.als_share()
    )
    whole_box(box)
    assert "copies first is 3.9 standard errors above that of permuted labels" in box["how_sure"]
    assert (
        "split by case, 0.6 standard errors below it" in box["how_sure"] and "(71.8 % ALS)" in box["how_sure"]
    )
    assert "On 9 synthetic cohorts drawn without disease" in box["found"]
    assert "p = 0.31 on about 8 test cases and 0.23 on 12 test crops" in box["not_shown"]
    folded = heads.predictions.query(
        "protocol == 'cross-validation' and learning_rate == 0.001 and batch_size == 32"
    )
    compared = compare_methods(
        pd.concat([folded, folded.assign(network="Random forest", score=folded["truth"] * 1.0)])
    )
    assert_words(figures_roc.case_accuracies(compared, 0.65))
    text = whole(words.classical(compared))
    assert "The best of 1 classical method, Random forest, classifies 12 of 12 cases" in text
    assert "the best of 3 networks, VGG16, 10. Each" in text and "9 settings of each network" in text
    assert text.endswith("do not show that either kind is better.")
    costs = pd.DataFrame({"network": ["VGG16"], "variant": ["frozen base"], "step_ms": [60.0]})
    costs = costs.assign(parameters=1e6, trainable=2e6, macs=3e6, inference_ms=1, inference_mib=1, step_mib=1)
    (row,) = cost_table(costs, 1000).to_dict("records")
    twice = pd.concat([costs, costs.assign(inference_ms=2.04, step_ms=123.4)])
    assert cost_table(twice, 1000)["One image (ms)"].tolist() == ["1.5", "1.5"]
    assert cost_table(twice, 1000)["Training (minutes)"].tolist() == ["1", "2.1"]
    assert (
        row["Part trained"] == "head"
        and row["Training (minutes)"] == "1"
        and row["Parameters trained"] == "2,000,000"
    )
    table = audit.announced_table(published_table("miao2023_promised_not_reported"))
    assert len(table) == 10 and (table["In this book"] != "").all()
    assert "Of 10 items that the paper names or describes, 6 are not printed and 4 only in part" in whole(
        words.announced(audit.announced_results_and_time(), table)
    )


@pytest.mark.parametrize("kind", ["synthetic", "own"])
def test_substitutions_name_what_was_replaced(kind):
    settings = CropSettings(epochs=20)
    shown = words.substitutions(kind, words.network_rows(settings, "random"))
    assert shown["rows"]["Starting weights"][0] == "random" and shown["forbids"].startswith("Do not compare")
    assert shown["rows"]["Epochs"] == ("20", "20")  # equal pairs are left out by the page
    assert "4 times" in words.super_resolution_rows(settings)["Enlargement"][0]


def test_no_text_on_a_figure_is_cut_or_repeated():
    assert len(set(texts_of(figures.pipeline().figure))) == 2 * len(figures.PIPELINE)


def test_a_readers_word_replaces_cases_in_everything_said_of_the_readers_crops(heads):
    dish = GroupWord("dish", "dishes")
    folded = heads.predictions.query(
        "protocol == 'cross-validation' and learning_rate == 0.001 and batch_size == 32"
    )
    scored = train.score_cells(heads.predictions, heads.logs)
    by_cell = scored.drop_duplicates(["network", "protocol"]).set_index(["network", "protocol"])
    plotted = pd.concat([train.at_cell(p, train.PLOTTED[n]) for n, p in heads.predictions.groupby("network")])
    compared = compare_methods(pd.concat([folded, folded.assign(network="Random forest")]))
    nine = train.nine_cells(scored[scored["network"] == "vgg16"])
    right = {"right": 9, "cases": 26, "accuracy": 0.3, "low": 0.1, "high": 0.7} | SETTING
    settings, counts = CropSettings(), np.array([3, 3])
    said = [
        *(value for pair in words.network_rows(settings, "random", dish).values() for value in pair),
        words.chain_rows(settings, "random", dish)["Splits"][0],
        words.balancing(counts, np.array([True, False]), 26, 391, dish),
        words.cases_right(right, 0.65, dish),
        *words.training_box("own", "VGG16", right, TRAINED, 0.65, dish).values(),
        words.undertrained("vgg16", by_cell, {BY_CASE: 0.1, COPIES_FIRST: 0.2}, 0.6, dish),
        words.classical(compared, dish),
        *train.case_table(train.nine_cells(train.score_cases(folded)), dish).columns,
        *train.cell_table(nine, dish)["Split"],
        *train.accuracy_grids(nine, nine[nine["protocol"] == BY_CASE], 12, dish),
        *figures.prediction_table(folded[["network", "case", "truth", "score"]], dish).columns,
    ]
    drawings = [
        figures_roc.roc_curves(plotted, train.PLOTTED, by_cell, dish),
        figures_roc.protocol_aucs(train.split_aucs(plotted), dish),
        figures_roc.case_accuracies(compared, 0.65, dish),
    ]
    for drawn in drawings:
        assert_words(drawn)
        said += [drawn.caption, drawn.alt, *texts_of(drawn.figure)]
    assert "dish" in drawings[0].caption and "26 dishes are classified" in words.cases_right(
        right, 0.65, dish
    )
    assert [text for text in said if re.search(r"\bcases?\b", text, re.I)] == []
