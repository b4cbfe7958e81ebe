"""Recompute the numbers of the audit's findings on the crops study (Miao et al.).

Each function gives a finding's numbers by name, from the printed numbers alone; accuracies and shares in percent.
`data/audit/numbers.csv` has the numbers as the findings state them.
"""

from __future__ import annotations

import math

import pandas as pd
from scipy import stats

from als_core.claims.findings import Facts, finding, named_ends
from als_core.claims.published import claim_named, published_table
from als_core.statistics.bounds import accuracy_bounds_of_auc, auc_bounds_of_accuracy
from als_core.statistics.curves import auc_interval
from als_core.statistics.granularity import (
    chance_of_equal_cells,
    possible_counts,
    possible_sizes,
    printed_range,
    random_split,
    share_of_values_possible,
    split_sizes,
)
from als_core.statistics.intervals import clopper_pearson
from als_core.statistics.power import accuracy_interval

GRIDS = {
    "vgg16": "miao2023_fig11_vgg16_grid",
    "resnet50": "miao2023_fig13_resnet50_grid",
    "mobile_net_v3": "miao2023_fig15_mobilenetv3_grid",
}
TEST_SHARE = 0.3  # section 2.4


def crops() -> pd.DataFrame:
    """Read the listing of Fig. 6, one row a crop."""
    return published_table("miao2023_fig6_samples")


def als_share() -> float:
    """Return the share of ALS among the listed crops, 0 to 1."""
    return float((crops()["class_label"] == "ALS").mean())


def grid(model: str) -> pd.DataFrame:
    """Read a grid of accuracies by batch size and learning rate; every cell as the text that is printed."""
    return published_table(GRIDS[model], as_printed=True)


def log(figure: int) -> pd.DataFrame:
    """Read the training log of Fig. 10 or 12; every cell as the text that is printed."""
    name = {10: "miao2023_fig10_vgg16_training_log", 12: "miao2023_fig12_resnet50_training_log"}[figure]
    return published_table(name, as_printed=True)


@finding("M1")
def accuracy_against_auc() -> Facts:
    """Bound the AUC that goes with accuracy 0.9925, and the accuracy that goes with AUC 0.73."""
    accuracy = float(printed_range(claim_named("miao2023.fig13.lr0_0001.batch16.accuracy").printed.text)[0])
    auc = float(printed_range(claim_named("miao2023.section3.resnet50.auc").printed.text)[1])
    share = als_share()
    return {
        "least_auc": auc_bounds_of_accuracy(accuracy, share).least,
        "least_auc_balanced": auc_bounds_of_accuracy(accuracy, 0.5).least,
        "greatest_accuracy": accuracy_bounds_of_auc(auc, share).most,
        # all errors in the rarer class of share m: accuracy = 1 - m (1 - AUC)
        "share_needed_percent": 100 * (1 - (1 - accuracy) / (1 - auc)),
        "least_size": possible_sizes(["0.9925"], 400)[0],
        "log_count": possible_counts("0.9925", 400)[0],
    }


@finding("M2")
def means_of_the_grids() -> Facts:
    """Average the nine cells of each grid."""
    return {model: 100 * grid(model)["accuracy"].astype(float).mean() for model in GRIDS}


@finding("M3")
def cells_that_repeat_another_grid() -> Facts:
    """Count cells of Fig. 15 that repeat Fig. 13, and how likely that is for two independent tables."""
    ours, theirs = grid("mobile_net_v3")["accuracy"], grid("resnet50")["accuracy"]
    values = theirs.astype(float)
    different = round((values.max() - values.min()) * 1e4) + 1
    equal = int((ours == theirs).sum())
    (left,) = ours[ours != theirs].unique()
    return {
        "equal": equal,
        "cells": len(ours),
        "values": different,
        "chance": chance_of_equal_cells(equal, len(ours), different),
        "left": float(left),
        "left_cells": int((ours != theirs).sum()),
    }


@finding("M4")
def log_against_a_constant_answer() -> Facts:
    """Compare loss and accuracy of the VGG16 log with those of always giving the class shares."""
    share, losses = als_share(), log(10)["loss"].astype(float)
    average = claim_named("miao2023.section3.vgg16.average_accuracy").value / 100
    interval = accuracy_interval(average, donors=possible_sizes(log(10)["accuracy"], 1000)[0])
    return {
        "majority_percent": 100 * share,
        "entropy": float(stats.entropy([share, 1 - share])),
        "last_ten": losses[-10:].mean(),
        "spread": losses[-15:].std(),
        "balanced_entropy": float(stats.entropy([0.5, 0.5])),
        **named_ends("low_percent", "high_percent", interval, 100),
    }


@finding("M5")
def sizes_behind_the_test_accuracy() -> Facts:
    """List test sizes that give 70.34%, and bound the accuracy that goes with AUC 0.94."""
    printed = claim_named("miao2023.section4_5.mobile_net_v3.test_accuracy").printed.text
    auc = float(printed_range(claim_named("miao2023.section3.mobile_net_v3.auc").printed.text)[0])
    sizes = possible_sizes([printed], 240)
    count = possible_counts(printed, sizes[0])[0]
    return {
        "count": count,
        "least_size": sizes[0],
        "next_size": sizes[1],
        "of_listed": split_sizes(len(crops()), TEST_SHARE)["up"][1],
        "majority_percent": 100 * als_share(),
        **named_ends("low_percent", "high_percent", clopper_pearson(count, sizes[0]), 100),
        "reachable_percent": 100 * accuracy_bounds_of_auc(auc, als_share()).least,
    }


@finding("M6")
def sizes_behind_the_logged_shares() -> Facts:
    """List totals that fit the VGG16 log, and totals whose 70 / 30 split fits 95.24% and 70.34%."""
    totals = possible_sizes(log(10)["accuracy"], 1000)
    train = claim_named("miao2023.section3.mobile_net_v3.average_accuracy").printed.text.replace(" ", "")
    test = claim_named("miao2023.section4_5.mobile_net_v3.test_accuracy").printed.text
    fitting = [
        total
        for total in range(len(crops()), 1001)
        if possible_counts(train, split_sizes(total, TEST_SHARE)["up"][0])
        and possible_counts(test, split_sizes(total, TEST_SHARE)["up"][1])
    ]
    rest, held = split_sizes(totals[0], TEST_SHARE)["up"]
    copies = random_split([10] * (totals[0] // 10), test=held)
    return {
        "total": totals[0],
        "next_total": totals[1],
        "train": rest,
        "test": held,
        "train_right": possible_counts(train, rest)[0],
        "test_right": possible_counts(test, held)[0],
        "fitting": ", ".join(map(str, fitting)),
        "originals": len(crops()),
        "copy_in_training_percent": 100 * copies.seen,
    }


def sizes_of_shares(largest: int) -> dict[str, list[int]]:
    """List the numbers of images, up to `largest`, of which printed shares can be shares, by what is printed."""
    shares = {
        "VGG16 log, 20 accuracies": log(10)["accuracy"],
        "ResNet50 log, 20 accuracies": log(12)["accuracy"],
        "70.34% (test accuracy)": ["70.34%"],
        "95.24% (average accuracy)": ["95.24%"],
        "0.9925 (grid and log)": ["0.9925"],
    }
    return {name: possible_sizes(texts, largest) for name, texts in shares.items()}


@finding("M7")
def cases_in_a_split_by_crop() -> Facts:
    """Count crops and cases of Fig. 6, and how a random split by crop treats the cases."""
    listed = crops()
    cases = listed.groupby("case_id_sd_plus_second_field")["class_label"]
    sizes, labels = cases.size(), cases.first()
    split = random_split(sizes.tolist(), split_sizes(len(listed), TEST_SHARE)["up"][1])
    both = listed.groupby("sd_number")["class_label"].nunique()
    return {
        "crops": len(listed),
        "cases": len(sizes),
        "als_cases": int((labels == "ALS").sum()),
        "pairs": int((sizes == 2).sum()),
        "none_torn": split.none_torn,
        "torn": split.torn,
        "seen_percent": 100 * split.seen,
        "case_majority_percent": 100 * float((labels == "ALS").mean()),
        "test_cases": split_sizes(len(sizes), TEST_SHARE)["nearest"][1],
        "numbers": len(both),
        "numbers_with_both_labels": int((both > 1).sum()),
    }


@finding("M8")
def difference_of_two_aucs() -> Facts:
    """Compare AUC 0.94 with 0.73 as if on two independent sets of crops, of cases, and of copies."""
    aucs = [claim_named(f"miao2023.section3.{model}.auc").value for model in ("mobile_net_v3", "resnet50")]

    def p(positives: int, negatives: int) -> float:
        # no clipping at 1: the half width gives the standard error back
        errors = [(auc - auc_interval(auc, positives, negatives)[0]) / stats.norm.ppf(0.975) for auc in aucs]
        return float(2 * stats.norm.sf((aucs[0] - aucs[1]) / math.hypot(*errors)))

    return {
        "difference": aucs[0] - aucs[1],
        "p_crops": p(9, 3),
        "p_cases": p(5, 3),
        "p_copies": p(85, 33),
    }


@finding("M9")
def steps_of_the_resnet50_log() -> Facts:
    """Compare the sizes that fit the ResNet50 log with the sizes its steps can cover."""
    sizes = possible_sizes(log(12)["accuracy"], 1000)
    steps = claim_named("miao2023.fig12.steps_per_epoch").value
    batch = int(log(12)["batch_size"][0])
    covered = range(int(steps - 1) * batch + 1, int(steps) * batch + 1)
    return {
        "size": sizes[0],
        "next_size": sizes[1],
        "steps": steps,
        "steps_needed": math.ceil(sizes[0] / batch),
        "covered_least": covered[0],
        "covered_most": covered[-1],
        "fitting_covered": len(possible_sizes(log(12)["accuracy"], covered[-1], covered[0])),
        "batch_that_fits": ", ".join(
            str(each) for each in range(1, sizes[0]) if math.ceil(sizes[0] / each) == steps
        ),
    }


@finding("M10")
def common_sizes_of_the_grids() -> Facts:
    """Find the least size of which all nine cells of a grid are shares, and cells that fit the logs."""
    facts: Facts = {model: possible_sizes(grid(model)["accuracy"], 6000)[0] for model in GRIDS}
    return facts | {
        "vgg16_fit_391": sum(bool(possible_counts(cell, 391)) for cell in grid("vgg16")["accuracy"]),
        "resnet50_fit_400": sum(bool(possible_counts(cell, 400)) for cell in grid("resnet50")["accuracy"]),
        "chance_percent": 100 * share_of_values_possible(4, 391),
    }


@finding("M11")
def announced_results_and_time() -> Facts:
    """Count announced results without a number, and time the two logs."""
    import torch  # only here: the other findings need no network

    from als_core.models.cost import cost
    from als_core.studies.miao2023.networks import build_crop_network

    with torch.device("meta"):
        macs = [
            cost(build_crop_network(name, seed=0), (1, 3, 224, 224)).macs for name in ("vgg16", "resnet50")
        ]
    announced = published_table("miao2023_promised_not_reported")
    seconds = {figure: log(figure)["epoch_wall_time_s"].astype(float) for figure in (10, 12)}
    return {
        "announced": len(announced),
        "reported": int((announced["reported_anywhere"] != "no").sum()),
        "vgg16_hours": seconds[10].sum() / 3600,
        "resnet50_hours": seconds[12].sum() / 3600,
        "vgg16_seconds_an_image": seconds[10].mean() / possible_sizes(log(10)["accuracy"], 1000)[0],
        "resnet50_seconds_an_image": seconds[12].mean() / possible_sizes(log(12)["accuracy"], 1000)[0],
        "multiply_adds_ratio": macs[0] / macs[1],
    }


@finding("M12")
def differing_protocol_statements() -> Facts:
    """Compare the settings of the plotted runs that section 4.2 calls the same, and parts of the split."""
    runs = pd.concat([log(10), log(12), published_table("miao2023_roc_and_loss_figures", as_printed=True)])
    runs = runs[["model", "learning_rate", "batch_size"]].drop_duplicates()
    said = published_table("miao2023_protocol_statements").set_index("topic")["value_as_printed"]
    return {
        "settings": len(runs),
        "models": runs["model"].nunique(),
        "vgg16": _setting(runs, "VGG16"),
        "resnet50": _setting(runs, "ResNet50"),
        "mobile_net_v3": _setting(runs, "mobile_net_v3"),
        "split": said["split"],
        "split_4_2": said["split (contradicts 2.4)"],
        "augmentation": said["augmentation"],
        "augmentation_4_6": said["augmentation (contradicts 1.5 and 2.1)"],
    }


def _setting(runs: pd.DataFrame, model: str) -> str:
    (row,) = runs[runs["model"] == model].itertuples()
    return f"learning rate {row.learning_rate}, batch {row.batch_size}"


def announced_table(announced: pd.DataFrame) -> pd.DataFrame:
    """List what the paper names or describes, what it prints of it, and where this book shows its own."""
    items = announced["item"]
    place = pd.Series("the three training pages", items.index)
    place[items.str.contains("time|memory")] = "this page, table above"
    place[items.str.contains("traditional")] = "this page, figure above"
    place[items.str.contains("donors")] = "not possible: not public"
    return pd.DataFrame(
        {
            "Named": items,
            "In section": announced["promised_in_section"].map("{:g}".format),
            "Printed": announced["what_exists"].fillna("").replace("", "nothing"),
            "In this book": place,
        }
    )
