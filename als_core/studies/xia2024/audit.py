"""The audit's computations on the tissue study (Xia 2024): one function a finding, named by its id.

Each gives the finding's numbers by name, from the printed numbers or from the public manifest of the images;
accuracies and shares in percent. What the numbers are said to be stands in `data/audit/numbers.csv`.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from als_core.claims.findings import Facts, statements
from als_core.claims.printed import agrees_as_printed
from als_core.claims.published import claim_named, printed_count, published_table
from als_core.statistics.bounds import least_difference, mcnemar_range, tables_with_errors
from als_core.statistics.chance import best_of_runs, random_split
from als_core.statistics.granularity import chance_of_whole_count, possible_counts, split_sizes
from als_core.statistics.intervals import clopper_pearson, wilson
from als_core.statistics.metrics import matthews
from als_core.statistics.power import accuracy_interval, effective_size
from als_core.storage import repository

TEST = 38  # test images (Table 2); 14 control, 12 concordant, 12 discordant
CLASS_SIZES = (14, 12, 12)
RUNS = 5
MODELS = ("basic_cnn", "resnet18", "densenet121", "resnet18_se", "resnet18_cbam", "miniset_densesenet")
BEST = "miniset_densesenet"


def accuracy_of(model: str) -> str:
    """The accuracy of a model in Table 1, as printed."""
    return claim_named(f"xia2024.table1.{model}.accuracy").printed.text


def right(model: str) -> int:
    """How many of the 38 test images that accuracy is."""
    (count,) = possible_counts(accuracy_of(model), TEST)
    return count


def x1() -> Facts:
    """Counts of 38 that are above 90%, against the count that Table 1 prints as the average."""
    bound = claim_named("xia2024.section2_2.every_run.accuracy").value
    best = printed_count(claim_named("xia2024.section2_2.best_run.accuracy"))
    least = math.floor(TEST * bound / 100) + 1
    average = right(BEST)
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
        "resnet18": right("resnet18"),
    }


def x2() -> Facts:
    """Accuracies of Table 1 that are a count of 38, and how likely that is for means of five runs."""
    chances = [chance_of_whole_count(TEST, right(model) / TEST, RUNS) for model in MODELS]
    return {
        "single_runs": sum(len(possible_counts(accuracy_of(model), TEST)) == 1 for model in MODELS),
        "models": len(MODELS),
        "as_means": sum(len(possible_counts(accuracy_of(model), TEST, RUNS)) == 1 for model in MODELS),
        "one_in": 1 / math.prod(chances),
    }


def x3() -> Facts:
    """What the best of five runs is expected to be when the true accuracy is that of Table 1."""
    best = printed_count(claim_named("xia2024.section2_2.best_run.accuracy"))
    chance = best_of_runs(TEST, right(BEST) / TEST, RUNS, best)
    ends = clopper_pearson(best, TEST)
    return {
        "best": best,
        "expected_percent": 100 * chance.expected,
        "reached": chance.reached,
        "reached_by_one": chance.reached_by_one,
        "low_percent": 100 * ends.low,
        "high_percent": 100 * ends.high,
    }


def x4() -> Facts:
    """Which counts print as a specificity of 0.95, by class and by how it was rounded."""
    printed = claim_named("xia2024.section5.control_worst.specificity").printed.text
    others, in_runs = TEST - CLASS_SIZES[0], (TEST - CLASS_SIZES[0]) * RUNS
    truncated = possible_counts(printed, others, truncated=True)[0]
    sensitivity, specificity = clopper_pearson(truncated, others), clopper_pearson(*[CLASS_SIZES[0]] * 2)
    return {
        "control_rounded": len(possible_counts(printed, others)),
        "als_class_rounded": len(possible_counts(printed, TEST - CLASS_SIZES[1])),
        "truncated": truncated,
        "others": others,
        "mean_of_runs": possible_counts(printed, others, RUNS)[0],
        "in_runs": in_runs,
        "als_sensitivity_percent": 100 * truncated / others,
        "als_sensitivity_low": 100 * sensitivity.low,
        "als_sensitivity_high": 100 * sensitivity.high,
        "als_specificity_low": 100 * specificity.low,
    }


def x5() -> Facts:
    """Accuracy and Matthews correlation that the class-wise averages leave possible."""
    found = claim_named("xia2024.section2_2.als_classes.sensitivity").value / 100
    spared = claim_named("xia2024.section2_2.als_classes.specificity").value / 100
    disease, every = RUNS * sum(CLASS_SIZES[1:]), RUNS * TEST  # answers over five runs
    missed = round(disease * (1 - found))
    needed = 1 - (every - RUNS * right(BEST) - 1) / disease  # one control image missed in the fifth run
    false_alarms = (1 - spared) * RUNS * sum(TEST - size for size in CLASS_SIZES[1:])
    typical = [matthews(table) for table in tables_with_errors(CLASS_SIZES, TEST - right(BEST))]
    best = [matthews(table) for table in tables_with_errors(CLASS_SIZES, 1)]
    return {
        "missed": missed,
        "disease_answers": disease,
        "most_percent": 100 * (every - missed - 1) / every,
        "needed_percent": 100 * needed,
        "tables": len(typical),
        "mcc_least": float(min(typical)),
        "mcc_most": float(max(typical)),
        "mcc_best_least": float(min(best)),
        "mcc_best_most": float(max(best)),
        "control_specificity": 1 - (missed + 1 - false_alarms) / disease,
    }


def x6() -> Facts:
    """Exact McNemar tests over every overlap of errors, Miniset-DenseSENet against each other model."""
    facts: Facts = {"least_difference": least_difference(0.05)}
    for model in MODELS[:-1]:
        p = mcnemar_range(right(BEST), right(model), TEST)
        facts |= {f"{model}_least": p.least, f"{model}_greatest": p.greatest}
    p = mcnemar_range(right("resnet18_cbam"), right("basic_cnn"), TEST)
    pooled = RUNS * np.array([[right(model), TEST - right(model)] for model in (BEST, "resnet18")])
    return facts | {
        "cbam_cnn_least": p.least,
        "cbam_cnn_greatest": p.greatest,
        "pooled_resnet18": stats.chi2_contingency(pooled, correction=False).pvalue,
    }


def mcnemar_table() -> pd.DataFrame:
    """The ranges of `x6` as a table: name, right (of 38), least, greatest; the worst model first."""
    table = published_table("xia2024_table1_model_cost_accuracy").sort_values("avg_accuracy_percent")
    counts = [possible_counts(f"{percent:.2f}%", TEST)[0] for percent in table["avg_accuracy_percent"]]
    rows = zip(table["model"][:-1], counts[:-1], strict=True)
    return pd.DataFrame(
        [(name, count, *mcnemar_range(counts[-1], count, TEST)) for name, count in rows],
        columns=["name", "right", "least", "greatest"],
    )


def x7() -> Facts:
    """Exact intervals of the six accuracies, of one class, and the accuracy of always answering control."""
    facts: Facts = {"majority_percent": 100 * CLASS_SIZES[0] / TEST}
    for model in MODELS:
        ends = clopper_pearson(right(model), TEST)
        facts |= {f"{model}_low": 100 * ends.low, f"{model}_high": 100 * ends.high}
    ends = clopper_pearson(10, CLASS_SIZES[1])
    return facts | {"class_low": 100 * ends.low, "class_high": 100 * ends.high}


def public_manifest() -> pd.DataFrame:
    """The public list of the study's images: path, label, group (donor), slide, region, sha256."""
    return pd.read_csv(repository() / "data" / "manifests" / "xia2024.csv")


def x8() -> Facts:
    """Donors, slides and copies in the public images, and what a split by image does to them."""
    images = public_manifest()
    test = {"control": 14, "concordant": 12, "discordant": 12}
    seen = {
        unit: sum(
            test[label] * random_split(part[unit].value_counts().tolist(), test[label]).seen
            for label, part in images.groupby("label")
        )
        / TEST
        for unit in ("group", "slide")
    }
    donors = images["group"].nunique()
    effective = effective_size(donors, TEST / donors, 0.5)
    ends = accuracy_interval(right(BEST) / TEST, donors, TEST / donors, 0.5)
    regions = images.groupby("group")["region"].nunique()
    return {
        "images": len(images),
        "donors": donors,
        "slides": images["slide"].nunique(),
        "images_a_slide": int(images["slide"].value_counts().unique().item()),
        "donors_with_both_regions": int((regions == 2).sum()),
        "copies": int(images["sha256"].duplicated().sum()),
        "slide_seen_percent": 100 * seen["slide"],
        "donor_seen_percent": 100 * seen["group"],
        "images_a_donor_in_test": TEST / donors,
        "effective": effective,
        "low_percent": 100 * ends.low,
        "high_percent": 100 * ends.high,
        "naive_low_percent": 100 * wilson(right(BEST), TEST).low,
        "naive_high_percent": 100 * wilson(right(BEST), TEST).high,
    }


def x9() -> Facts:
    """Settings of Table 3 that differ between DenseNet121 with and without SE, and what trains in each model."""
    networks = _networks()

    settings = published_table("xia2024_table3_hyperparameters").set_index("model")
    with_se, without = settings.loc["Miniset-DenseSENet"], settings.loc["DenseNet121"]
    differing = [name for name in settings if with_se[name] != without[name]]
    trains = {
        name: sum(each.numel() for each in networks[name].parameters() if each.requires_grad)
        for name in ("resnet18", "densenet121", BEST, "resnet18_cbam")
    }
    return {
        "settings_differing": len(differing),
        "weight_decay_ratio": without["weight_decay"] / with_se["weight_decay"],
        "trains_resnet18": trains["resnet18"],
        "trains_densenet121": trains["densenet121"],
        "trains_miniset": trains[BEST],
        "trains_cbam": trains["resnet18_cbam"],
    }


def x10() -> Facts:
    """Sizes of the two splits, and the epochs of section 4.5.2 against the range of section 4.6."""
    counts = published_table("xia2024_class_counts").set_index("class")["n_images"]
    rest, test = split_sizes(int(counts.sum()), 0.2)["nearest"]
    epochs = claim_named("xia2024.section4_5_2.training.epochs").value
    allowed = [
        claim_named(f"xia2024.section4_6.training.epochs.{end}").value for end in ("minimum", "maximum")
    ]
    return {
        "test": test,
        "train_622": rest - test,
        "train_802": rest,
        "test_by_class": ", ".join(str(round(0.2 * counts[name])) for name in counts.index),
        "epochs": epochs,
        "epochs_least": allowed[0],
        "epochs_most": allowed[1],
    }


def x11() -> Facts:
    """Sums of the augmented row of Table 2."""
    train = claim_named("xia2024.table2.original.train").value
    held = 2 * claim_named("xia2024.table2.original.test").value
    copies = claim_named("xia2024.section4_2_1.augmentations.count").value
    return {
        "augmented": copies * train,
        "with_originals": (copies + 1) * train,
        "row_adds_up_to": copies * train + held,
        "whole": (copies + 1) * train + held,
        "printed": claim_named("xia2024.table2.augmented.size").value,
    }


def x12() -> Facts:
    """The list of augmentations: bullets, different ones, those of Fig. 5, those set aside."""
    listed = published_table("xia2024_augmentations", as_printed=True)
    unique = listed.drop_duplicates("augmentation")
    return {
        "bullets": len(listed),
        "different": len(unique),
        "in_figure": int(unique["in_figure5_panel"].str.startswith("yes").sum()),
        "set_aside": int((unique["section3_says_not_used"] == "yes").sum()),
    }


def x13() -> Facts:
    """Costs of the recovered architectures, and the image sizes at which the printed FLOPs come out."""
    from als_core.models.cost import cost
    from als_core.studies.xia2024.networks import TISSUE_NETWORKS
    from als_core.studies.xia2024.recovered import sides_that_fit

    costs = {
        name: cost(network, (1, 3, 400, 400), TISSUE_NETWORKS[name].counted)
        for name, network in _networks().items()
    }
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


def x14() -> Facts:
    """Rank correlation of FLOPs and accuracy in Table 1, with all permutations as the null."""
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


def x15() -> Facts:
    """Ranks in the caption of Fig. 2 against ranks by the accuracy of Table 1."""
    caption = [text.strip() for text in statements("X15")["caption_order"].split(";")]
    table = published_table("xia2024_table1_model_cost_accuracy")
    ranked = table.sort_values("avg_accuracy_percent", ascending=False)["model"].tolist()
    moved = [name for name in ranked if caption.index(name) != ranked.index(name)]
    return {
        "moved": len(moved),
        "cbam_in_caption": caption.index("ResNet18+CBAM") + 1,
        "cbam_in_table": ranked.index("ResNet18+CBAM") + 1,
    }


def x16() -> Facts:
    """What is said about outliers, place by place."""
    return dict(statements("X16"))


def outliers(quality: pd.DataFrame) -> pd.DataFrame:
    """Images outside the fences of Tukey (1.5 quartile ranges), for each measure: columns measure, low, high.

    quality: from `images.quality.quality_table`. For x16, where the public images are at hand.
    """
    first, third = quality.quantile(0.25), quality.quantile(0.75)
    reach = 1.5 * (third - first)
    counts = pd.DataFrame({"low": (quality < first - reach).sum(), "high": (quality > third + reach).sum()})
    return counts.rename_axis("measure").reset_index()


def x17() -> Facts:
    """What the images are, and what is concluded from them, place by place."""
    return dict(statements("X17"))


def x18() -> Facts:
    """What trains in each model by section 4.6 and in the released code, and how much that is."""
    from als_core.studies.xia2024.networks import TISSUE_NETWORKS

    published, released = _networks(), _networks("released")
    trains = [{name: sum(each.numel() for each in network.parameters() if each.requires_grad)
               for name, network in networks.items()} for networks in (published, released)]  # fmt: skip
    variants = [network.variants for network in TISSUE_NETWORKS.values()]
    return {
        "models": len(variants),
        "differing": sum(each["published"].trains != each["released"].trains for each in variants),
        "miniset_published": trains[0][BEST],
        "miniset_released": trains[1][BEST],
        "densenet121_released": trains[1]["densenet121"],
    }


def _networks(variant: str = "published") -> dict:
    """The six networks as shapes without values, which is all that counting needs."""
    import torch  # for those who ask for it only

    from als_core.studies.xia2024.networks import build_tissue_network

    with torch.device("meta"):
        return {name: build_tissue_network(name, variant=variant, seed=0) for name in MODELS}
