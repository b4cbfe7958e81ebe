"""Recompute the numbers of the audit's findings on the tissue study (Xia 2024).

Each function gives a finding's numbers by name, from the printed numbers or from the public manifest of the images;
accuracies and shares in percent. `data/audit/numbers.csv` has the numbers as the findings state them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from als_core.claims.findings import Facts, finding, named_ends, statements
from als_core.claims.printed import agrees_as_printed
from als_core.claims.published import claim_named, printed_count, published_table
from als_core.statistics.bounds import least_difference, mcnemar_range, tables_with_errors
from als_core.statistics.granularity import (
    best_of_runs,
    chance_of_whole_count,
    possible_counts,
    random_split,
    split_sizes,
)
from als_core.statistics.intervals import clopper_pearson, wilson
from als_core.statistics.metrics import matthews
from als_core.statistics.power import accuracy_interval, effective_size
from als_core.storage import repository
from als_core.studies.xia2024.recipes import PRINTED, RECIPES, RELEASED, RELEASED_VARIANT

TEST = 38  # test images (Table 2); 14 control, 12 concordant, 12 discordant
CLASS_SIZES = (14, 12, 12)
RUNS = 5
MODELS = ("basic_cnn", "resnet18", "densenet121", "resnet18_se", "resnet18_cbam", "miniset_densesenet")
BEST = "miniset_densesenet"
FIG2_ORDER = (BEST, "resnet18", "resnet18_se", "resnet18_cbam", "densenet121", "basic_cnn")


def printed_accuracy(model: str) -> str:
    """Return the accuracy of a model in Table 1, as printed."""
    return claim_named(f"xia2024.table1.{model}.accuracy").printed.text


def images_right(model: str) -> int:
    """Return how many of the 38 test images that accuracy is."""
    (count,) = possible_counts(printed_accuracy(model), TEST)
    return count


def ranking_claims(accuracy: Mapping[str, float], convergence: Mapping[str, float]) -> dict[str, float]:
    """Return the differences behind the rankings that the paper prints in words, in points, by claim id.

    accuracy: mean test accuracy in percent by network (keys as in MODELS). convergence: mean validation accuracy at
    the end of training. A difference is left out where one of its networks is missing.
    """
    pairs = [("section2_2", "accuracy", model, "basic_cnn") for model in MODELS[1:]]
    pairs += [("section2_2", "accuracy", "resnet18", "resnet18_cbam")]
    pairs += [("section3", "accuracy", *pair) for pair in (("resnet18", "densenet121"), (BEST, "resnet18"))]
    pairs += [("section3", "accuracy", BEST, "resnet18_se")]
    pairs += [("fig2", "convergence", *pair) for pair in pairwise(FIG2_ORDER)]
    values = {"accuracy": accuracy, "convergence": convergence}
    return {
        f"xia2024.{place}.{better}_minus_{worse}.{quantity}": values[quantity][better]
        - values[quantity][worse]
        for place, quantity, better, worse in pairs
        if {better, worse} <= values[quantity].keys()
    }


@finding("X1")
def runs_above_90_percent() -> Facts:
    """Compare the counts of 38 above 90 % with the count that Table 1 prints as the average."""
    bound = claim_named("xia2024.section2_2.every_run.accuracy").value
    best, average = printed_count(claim_named("xia2024.section2_2.best_run.accuracy")), images_right(BEST)
    least = math.floor(TEST * bound / 100) + 1
    others = (RUNS * average - best) / (RUNS - 1)
    return {
        "least": least,
        "least_percent": 100 * least / TEST,
        "average": average,
        "average_percent": 100 * average / TEST,
        "best": best,
        "others_percent": 100 * others / TEST,
        "one_at_most": math.floor(others),
        "one_at_most_percent": 100 * math.floor(others) / TEST,
    }


@finding("X2")
def accuracies_that_are_counts_of_38() -> Facts:
    """Count the accuracies of Table 1 that are a count of 38, and how likely means of five runs all are."""
    chances = [chance_of_whole_count(TEST, images_right(model) / TEST, RUNS) for model in MODELS]
    return {
        "single_runs": sum(len(possible_counts(printed_accuracy(model), TEST)) == 1 for model in MODELS),
        "one_in": 1 / math.prod(chances),
    }


@finding("X3")
def best_of_five_runs() -> Facts:
    """Compute what the best of five runs is expected to be when the true accuracy is that of Table 1."""
    best = printed_count(claim_named("xia2024.section2_2.best_run.accuracy"))
    chance = best_of_runs(TEST, images_right(BEST) / TEST, RUNS, best)
    return {
        "best": best,
        "expected_percent": 100 * chance.expected,
        "reached": chance.reached,
        "reached_by_one": chance.reached_by_one,
        **named_ends("low_percent", "high_percent", clopper_pearson(best, TEST), 100),
    }


@finding("X4")
def counts_behind_a_specificity_of_095() -> Facts:
    """Count which numbers of images print as a specificity of 0.95, by class and by kind of rounding."""
    printed = claim_named("xia2024.section5.control_worst.specificity").printed.text
    others = TEST - CLASS_SIZES[0]
    truncated = possible_counts(printed, others, truncated=True)[0]
    sensitivity = clopper_pearson(truncated, others)
    return {
        "control_rounded": len(possible_counts(printed, others)),
        "als_class_rounded": len(possible_counts(printed, TEST - CLASS_SIZES[1])),
        "truncated": truncated,
        "others": others,
        "mean_of_runs": possible_counts(printed, others, RUNS)[0],
        "in_runs": others * RUNS,
        "als_sensitivity_percent": 100 * truncated / others,
        **named_ends("als_sensitivity_low", "als_sensitivity_high", sensitivity, 100),
        "als_specificity_low": 100 * clopper_pearson(CLASS_SIZES[0], CLASS_SIZES[0]).low,
    }


@finding("X5")
def accuracy_that_class_averages_leave() -> Facts:
    """Compute the accuracy and Matthews correlation that the averages by class leave possible."""
    found = claim_named("xia2024.section2_2.als_classes.sensitivity").value / 100
    spared = claim_named("xia2024.section2_2.als_classes.specificity").value / 100
    disease, every = RUNS * sum(CLASS_SIZES[1:]), RUNS * TEST  # answers over five runs
    missed = round(disease * (1 - found))
    false_alarms = (1 - spared) * RUNS * sum(TEST - size for size in CLASS_SIZES[1:])
    typical = [matthews(table) for table in tables_with_errors(CLASS_SIZES, TEST - images_right(BEST))]
    return {
        "missed": missed,
        "disease_answers": disease,
        # one control image was missed in the fifth run
        "most_percent": 100 * (every - missed - 1) / every,
        "needed_percent": 100 * (1 - (every - RUNS * images_right(BEST) - 1) / disease),
        "tables": len(typical),
        "mcc_least": float(min(typical)),
        "mcc_most": float(max(typical)),
        "mcc_best_least": float(min(matthews(table) for table in tables_with_errors(CLASS_SIZES, 1))),
        "control_specificity": 1 - (missed + 1 - false_alarms) / disease,
    }


@finding("X6")
def mcnemar_over_every_overlap() -> Facts:
    """Test Miniset-DenseSENet against each other model, over every way in which errors can overlap."""
    facts: Facts = {"least_difference": least_difference(0.05)}
    for model in MODELS[:-1]:
        p = mcnemar_range(images_right(BEST), images_right(model), TEST)
        facts |= {f"{model}_least": p.least, f"{model}_greatest": p.greatest}
    p = mcnemar_range(images_right("resnet18_cbam"), images_right("basic_cnn"), TEST)
    pooled = RUNS * np.array([[images_right(name), TEST - images_right(name)] for name in (BEST, "resnet18")])
    return facts | {
        "cbam_cnn_least": p.least,
        "cbam_cnn_greatest": p.greatest,
        "pooled_resnet18": stats.chi2_contingency(pooled, correction=False).pvalue,
    }


def mcnemar_table() -> pd.DataFrame:
    """Return the ranges of p against Miniset-DenseSENet: name, right (of 38), least, greatest; worst model first."""
    table = published_table("xia2024_table1_model_cost_accuracy").sort_values("avg_accuracy_percent")
    counts = [possible_counts(f"{percent:.2f}%", TEST)[0] for percent in table["avg_accuracy_percent"]]
    rows = zip(table["model"][:-1], counts[:-1], strict=True)
    return pd.DataFrame(
        [(name, count, *mcnemar_range(counts[-1], count, TEST)) for name, count in rows],
        columns=["name", "right", "least", "greatest"],
    )


def differences_from_best() -> list[tuple[str, float]]:
    """Return each other model of Table 1 and its difference in accuracy from the best, 0 to 1; worst model first."""
    table = mcnemar_table()
    return [(row.name, (images_right(BEST) - row.right) / TEST) for row in table.itertuples(index=False)]


@finding("X7")
def intervals_of_table_1() -> Facts:
    """Compute exact intervals of the six accuracies and of one class, and the accuracy of always answering control."""
    facts: Facts = {"majority_percent": 100 * CLASS_SIZES[0] / TEST}
    for model in MODELS:
        interval = clopper_pearson(images_right(model), TEST)
        facts |= named_ends(f"{model}_low", f"{model}_high", interval, 100)
    return facts | named_ends("class_low", "class_high", clopper_pearson(10, CLASS_SIZES[1]), 100)


def public_manifest() -> pd.DataFrame:
    """Read the public list of the study's images: path, label, group (donor), slide, region, sha256."""
    return pd.read_csv(repository() / "data/manifests/xia2024.csv")


def images_by_class(images: pd.DataFrame) -> pd.DataFrame:
    """Count donors, slides and images of the public list by class: columns Class, Donors, Slides, Images."""
    counts = images.groupby("label").agg(
        donors=("group", "nunique"), slides=("slide", "nunique"), images=("path", "size")
    )
    return counts.rename_axis("class").reset_index().rename(columns=str.capitalize)


@finding("X8")
def donors_and_slides_in_a_split_by_image() -> Facts:
    """Count donors, slides and copies in the public images, and how many a split by image puts on both sides."""
    images = public_manifest()
    donors, regions = images["group"].nunique(), images.groupby("group")["region"].nunique()
    sizes = zip(("control", "concordant", "discordant"), CLASS_SIZES, strict=True)
    seen = sum(
        test * random_split(images.loc[images["label"] == label, "slide"].value_counts(), test).seen
        for label, test in sizes
    )
    clustered = (donors, TEST / donors, 0.5)
    return {
        "images": len(images),
        "donors": donors,
        "slides": images["slide"].nunique(),
        "images_a_slide": int(images["slide"].value_counts().unique().item()),
        "donors_with_both_regions": int((regions == 2).sum()),
        "copies": int(images["sha256"].duplicated().sum()),
        "slide_seen_percent": 100 * seen / TEST,
        "images_a_donor_in_test": TEST / donors,
        "effective": effective_size(*clustered),
        **named_ends(
            "low_percent", "high_percent", accuracy_interval(images_right(BEST) / TEST, *clustered), 100
        ),
        **named_ends("naive_low_percent", "naive_high_percent", wilson(images_right(BEST), TEST), 100),
    }


@finding("X9")
def settings_beside_the_gates() -> Facts:
    """Compare the settings of DenseNet121 with and without SE in Table 3, and what trains in each model."""
    settings = published_table("xia2024_table3_hyperparameters").set_index("model")
    with_se, without = settings.loc["Miniset-DenseSENet"], settings.loc["DenseNet121"]
    trains = _trained_parameters(PRINTED)
    return {
        "settings_differing": sum(with_se[name] != without[name] for name in settings),
        "weight_decay_ratio": without["weight_decay"] / with_se["weight_decay"],
        "trains_resnet18": trains["resnet18"],
        "trains_densenet121": trains["densenet121"],
        "trains_miniset": trains[BEST],
        "trains_cbam": trains["resnet18_cbam"],
    }


@finding("X10")
def two_splits_and_recipes() -> Facts:
    """Compute the sizes of the two splits, and read the epochs of section 4.5.2 and the range of section 4.6."""
    counts = published_table("xia2024_class_counts").set_index("class")["n_images"]
    rest, test = split_sizes(int(counts.sum()), 0.2)["nearest"]
    epochs = "xia2024.section4_6.training.epochs"
    return {
        "test": test,
        "train_622": rest - test,
        "train_802": rest,
        "test_by_class": ", ".join(str(round(0.2 * counts[name])) for name in counts.index),
        "epochs": claim_named("xia2024.section4_5_2.training.epochs").value,
        "epochs_least": claim_named(f"{epochs}.minimum").value,
        "epochs_most": claim_named(f"{epochs}.maximum").value,
    }


@finding("X11")
def sums_of_the_augmented_row() -> Facts:
    """Add up the augmented row of Table 2."""
    train = claim_named("xia2024.table2.original.train").value
    held_out = 2 * claim_named("xia2024.table2.original.test").value
    copies = claim_named("xia2024.section4_2_1.augmentations.count").value
    return {
        "augmented": copies * train,
        "with_originals": (copies + 1) * train,
        "row_adds_up_to": copies * train + held_out,
        "whole": (copies + 1) * train + held_out,
        "printed": claim_named("xia2024.table2.augmented.size").value,
    }


@finding("X12")
def entries_of_the_augmentation_list() -> Facts:
    """Count the entries of the list of augmentations: different ones, those of Fig. 5, those set aside."""
    listed = published_table("xia2024_augmentations", as_printed=True)
    unique = listed.drop_duplicates("augmentation")
    return {
        "bullets": len(listed),
        "different": len(unique),
        "in_figure": int(unique["in_figure5_panel"].str.startswith("yes").sum()),
        "set_aside": int((unique["section3_says_not_used"] == "yes").sum()),
        "rotation": claim_named("xia2024.section4_4.rotation.angle").value,
    }


@finding("X13")
def costs_of_the_recovered_networks() -> Facts:
    """Count the costs of the recovered architectures, and the image sizes at which the printed FLOPs come out."""
    from als_core.models.cost import cost
    from als_core.studies.xia2024.build import COUNTED
    from als_core.studies.xia2024.recovered import sides_that_fit

    networks = _networks(PRINTED).items()
    costs = {name: cost(network, (1, 3, 400, 400), COUNTED.get(name)) for name, network in networks}
    matched = [
        agrees_as_printed(value, claim_named(f"xia2024.table1.{name}.{quantity}").printed)
        for name, each in costs.items()
        for quantity, value in (("flops", each.published_flops), ("params", each.parameters_total))
    ]
    return {
        "cells": len(matched),
        "cells_matched": sum(matched),
        "sides": ", ".join(map(str, sides_that_fit(MODELS[:3], (396, 397, 400, 401)))),
        "params_resnet18": costs["resnet18"].parameters_total,
        "params_miniset": costs[BEST].parameters_total,
        "params_basic_cnn": costs["basic_cnn"].parameters_total,
    }


@finding("X14")
def correlation_of_flops_and_accuracy() -> Facts:
    """Correlate the ranks of FLOPs and accuracy in Table 1, with all permutations as the null."""
    table = published_table("xia2024_table1_model_cost_accuracy")
    pairs = table[["flops_count", "avg_accuracy_percent"]].to_numpy().T
    test = stats.permutation_test(
        pairs[:1], lambda flops: stats.spearmanr(flops, pairs[1]).statistic, permutation_type="pairings",
        alternative="greater", n_resamples=np.inf, vectorized=False,
    )  # fmt: skip
    pretrained = pairs[:, table["model"] != "Basic CNN"]
    return {
        "correlation": test.statistic,
        "p": test.pvalue,
        "models": pairs.shape[1],
        "without_cnn": stats.spearmanr(*pretrained).statistic,
    }


@finding("X15")
def ranks_in_caption_and_table() -> Facts:
    """Compare the ranks in the caption of Fig. 2 with the ranks by the accuracy of Table 1."""
    caption = [text.strip() for text in statements("X15")["caption_order"].split(";")]
    table = published_table("xia2024_table1_model_cost_accuracy")
    ranked = table.sort_values("avg_accuracy_percent", ascending=False)["model"].tolist()
    return {
        "moved": sum(caption.index(name) != ranked.index(name) for name in ranked),
        "cbam_in_caption": caption.index("ResNet18+CBAM") + 1,
        "cbam_in_table": ranked.index("ResNet18+CBAM") + 1,
    }


@finding("X16")
def statements_on_outliers() -> Facts:
    """Quote what is said about outliers, by place."""
    return dict(statements("X16"))


def outliers(quality: pd.DataFrame) -> pd.DataFrame:
    """Count images outside the fences of Tukey (1.5 quartile ranges): columns measure, low, high.

    quality: one column a measure, from `als_core.cohorts.quality.quality_table`.
    """
    first, third = quality.quantile(0.25), quality.quantile(0.75)
    reach = 1.5 * (third - first)
    counts = pd.DataFrame({"low": (quality < first - reach).sum(), "high": (quality > third + reach).sum()})
    return counts.rename_axis("measure").reset_index()


@finding("X17")
def statements_on_early_diagnosis() -> Facts:
    """Quote what the images are and what is concluded from them, by place."""
    return dict(statements("X17"))


@finding("X18")
def trained_parts_in_text_and_code() -> Facts:
    """Compare what trains in each model by section 4.6 and in the released code."""
    by_text, by_code = _trained_parameters(PRINTED), _trained_parameters(RELEASED_VARIANT)
    return {
        "models": len(RELEASED),
        "differing": sum(set(RECIPES[name].trains) != set(each.trains) for name, each in RELEASED.items()),
        "miniset_published": by_text[BEST],
        "miniset_released": by_code[BEST],
        "densenet121_released": by_code["densenet121"],
    }


def _trained_parameters(variant: str) -> dict[str, int]:
    return {
        name: sum(each.numel() for each in network.parameters() if each.requires_grad)
        for name, network in _networks(variant).items()
    }


@cache
def _networks(variant: str) -> dict:
    """Build the six networks as shapes without values, which is all that counting needs."""
    import torch  # only here: the other findings need no network

    from als_core.studies.xia2024.build import build_tissue_network

    with torch.device("meta"):
        return {name: build_tissue_network(name, variant=variant, seed=0) for name in MODELS}
