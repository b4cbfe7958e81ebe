"""Recompute the numbers of the audit's findings on the Alzheimer slides (Panagiotaras).

Each function gives a finding's numbers by name, from the printed numbers alone; shares in percent, accuracies as
fractions, as the slides print them. `data/audit/numbers.csv` has the numbers as the findings state them.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from als_core.claims.findings import Facts, finding, named_ends, statements
from als_core.claims.published import claim_named, published_table
from als_core.statistics.power import accuracy_interval

FOLDS = 5
FIELDS = ("1.5T", "3T")


def counts() -> pd.Series:
    """Return numbers of images and patients by field strength, split, unit and class."""
    table = published_table("panagiotaras_data_statistics")
    return table.set_index(["field_strength", "split", "unit", "class"])["n"].sort_index()


def accuracy_of(field: str, quantity: str = "accuracy") -> float:
    """Return the printed mean accuracy at a field strength, 0 to 1, or its `accuracy_spread`."""
    return claim_named(f"panagiotaras.results.{field.lower().replace('.', '_')}.{quantity}").value


def spread_of(field: str) -> float:
    """Return the number printed after the plus-minus sign."""
    return accuracy_of(field, "accuracy_spread")


@finding("P1")
def shares_of_the_printed_splits() -> Facts:
    """Compare the patients of the printed validation parts with a fold of five, and check the sums."""
    n = counts()
    facts: Facts = {}
    for field, name in zip(FIELDS, ("at_15", "at_3"), strict=True):
        patients = n[field, "All", "patients", "all"]
        facts |= {
            f"{name}_percent": 100 * n[field, "Validation", "patients", "all"] / patients,
            f"{name}_fold": patients / FOLDS,
            f"{name}_validation": n[field, "Validation", "patients", "all"],
        }
    wide = n.unstack("split")
    by_class = n.unstack("class")
    holding = int((wide["All"] == wide["Train"] + wide["Validation"]).sum())
    holding += int((by_class["all"] == by_class["AD"] + by_class["CN"]).sum())
    return facts | {"sums": len(wide) + len(by_class), "sums_holding": holding}


@finding("P2")
def class_shares_at_3t() -> Facts:
    """Compare class shares of the 3T images in training and validation, and 0.69 with always answering CN."""
    n = counts()["3T"]
    shares = {part: n[part, "images", "AD"] / n[part, "images", "all"] for part in ("Train", "Validation")}
    majority = 1 - shares["Validation"]
    t = (accuracy_of("3T") - majority) / (spread_of("3T") / FOLDS**0.5)
    interval = accuracy_interval(accuracy_of("3T"), donors=n["Validation", "patients", "all"])
    return {
        "train_images": n["Train", "images", "all"],
        "validation_images": n["Validation", "images", "all"],
        "train_ad_percent": 100 * shares["Train"],
        "validation_ad_percent": 100 * shares["Validation"],
        "majority": majority,
        "p_folds": 2 * stats.t.sf(t, FOLDS - 1),
        **named_ends("low", "high", interval),
    }


@finding("P3")
def intervals_on_patients() -> Facts:
    """Compute intervals of the two accuracies on patients, and tests of their difference."""
    n = counts()
    facts: Facts = {}
    for field, name in zip(FIELDS, ("at_15", "at_3"), strict=True):
        held = n[field, "Validation"]
        interval = accuracy_interval(accuracy_of(field), donors=held["patients", "all"])
        facts |= {
            f"{name}_images_a_patient": held["images", "all"] / held["patients", "all"],
            **named_ends(f"{name}_low", f"{name}_high", interval),
        }
    folds = [(accuracy_of(field), spread_of(field), FOLDS) for field in FIELDS]
    at_3t, fold = accuracy_of("3T"), n["3T", "All", "patients", "all"] / FOLDS
    return facts | {
        "p_validation": _two_shares_p("Validation"),
        "p_all": _two_shares_p("All"),
        "p_folds": float(stats.ttest_ind_from_stats(*folds[0], *folds[1], equal_var=False).pvalue),
        "spread_of_13": (at_3t * (1 - at_3t) / fold) ** 0.5,
        "spread_printed": spread_of("3T"),
    }


@finding("P4")
def heatmaps_with_numbers() -> Facts:
    """Count the heatmap slides with values, and list the parts of the data."""
    figures = published_table("figures")
    heatmaps = figures[(figures["paper"] == "panagiotaras") & figures["label"].str.contains("heatmaps")]
    listed = [part for part in counts().index.unique("split") if part != "All"]
    return {
        "heatmap_slides": len(heatmaps),
        "with_values": int(heatmaps["published_values_file"].notna().sum()),
        "listed": ", ".join(sorted(listed)),
        "named": statements("P4")["heatmaps_of"],
    }


@finding("P5")
def sizes_of_the_printed_layers() -> Facts:
    """Count parameters of the printed layers, and pool sizes that lead to 5120 inputs of the first dense layer."""
    layers = published_table("panagiotaras_architecture").rename(
        columns={"in_features_or_channels": "inputs", "out_features_or_channels": "outputs"}
    )
    convolution, norm, linear = (
        layers[layers["type"] == name] for name in ("Conv3d", "BatchNorm3d", "Linear")
    )
    dense = linear["inputs"] * linear["outputs"] + linear["outputs"]
    kernels = 27 * convolution["inputs"] * convolution["outputs"] + convolution["outputs"]
    # a batch norm has a scale and a shift for each of its channels
    parameters = kernels.sum() + 2 * norm["inputs"].sum() + dense.sum()
    said = published_table("panagiotaras_methods_findings").set_index("topic")["statement"]
    return {
        "overview": said["preprocessing"].split(";")[0],
        "preprocessing": said["preprocessing (contradicts the overview)"].split(";")[0],
        "inputs": linear["inputs"].max(),
        "pools": sum(
            _after_blocks((193, 229, 193), pools) == linear["inputs"].max()
            for pools in product((2, 3), repeat=4)
        ),
        "parameters": parameters,
        "dense_percent": 100 * dense.max() / parameters,
    }


def _after_blocks(sides: tuple[int, ...], pools: tuple[int, ...]) -> int:
    """Count values after four blocks of an unpadded 3 x 3 x 3 convolution and a pool, 64 maps at the end."""
    for pool in pools:
        sides = tuple((side - 2) // pool for side in sides)
    return 64 * int(np.prod(sides))


def _two_shares_p(part: str) -> float:
    """Test the difference of the two accuracies, patients as trials (pooled normal approximation): two-sided p."""
    sizes = [counts()[field, part, "patients", "all"] for field in FIELDS]
    shares = [accuracy_of(field) for field in FIELDS]
    pooled = np.dot(shares, sizes) / sum(sizes)
    error = (pooled * (1 - pooled) * (1 / sizes[0] + 1 / sizes[1])) ** 0.5
    return float(2 * stats.norm.sf(abs(shares[0] - shares[1]) / error))
