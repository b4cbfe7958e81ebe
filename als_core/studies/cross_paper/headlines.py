"""The main printed result of each paper, its sample sizes, and the answer that needs no image.

`images` are what a paper counts; `donors` are the independent units behind them (donor, case, subject, patient).
"""

from __future__ import annotations

import pandas as pd

from als_core.claims.published import claim_named
from als_core.cohorts.cohort import Cohort
from als_core.statistics.bounds import METRICS
from als_core.statistics.curves import auc_interval
from als_core.statistics.power import accuracy_interval
from als_core.studies.cross_paper.figures_audit import PAPER_NAMES
from als_core.studies.miao2023 import audit as miao2023
from als_core.studies.panagiotaras import audit as panagiotaras
from als_core.studies.turrisi2024 import audit as turrisi2024
from als_core.studies.xia2024 import audit as xia2024

COLUMNS = ("paper", "result", "measure", "value", "images", "donors", "unit", "trivial", "trivial_is")


def headlines() -> pd.DataFrame:
    """Return the main results as printed, one row each, columns `COLUMNS`; of several on the same images the main one first.

    value, trivial: 0 to 1. trivial: what `trivial_is` reaches without an image. donors: of the test images, where they
    are known or follow from a listing.
    """
    return pd.DataFrame([*_xia(), *_miao(), *_turrisi(), *_panagiotaras()], columns=list(COLUMNS))


def with_intervals(results: pd.DataFrame) -> pd.DataFrame:
    """Add two 95 % intervals to `headlines`: with every image independent, and with every donor a single image.

    Columns low, high (images) and donor_low, donor_high. The truth lies between: the second takes all images of a donor
    as right or wrong together. AUCs by the formula of Hanley and McNeil.
    """
    shares = {"miao2023": miao2023.als_share(), "turrisi2024": _turrisi_als_share()}

    def interval(row: pd.Series, n: int) -> tuple[float, float]:
        if row["measure"] != "AUC":
            return accuracy_interval(row["value"], n)
        positives = min(n - 1, max(1, round(n * shares[row["paper"]])))
        return auc_interval(row["value"], positives, n - positives)

    ends = [(*interval(row, row["images"]), *interval(row, row["donors"])) for _, row in results.iterrows()]
    names = ["low", "high", "donor_low", "donor_high"]
    return results.join(pd.DataFrame(ends, columns=names, index=results.index))


def printed_widths(cohort: Cohort, accuracy: float) -> pd.DataFrame:
    """Return the half widths of the printed accuracies' intervals, one row per paper and number of donors.

    Columns paper, label, donors, images, accuracy, low (images independent) and high (each donor counts once). Of
    several results on the same images the main one is taken. The book's own cohort, where its donors are known, is a
    row with the given accuracy.
    """
    printed = headlines().query("measure == 'accuracy'").drop_duplicates(["paper", "donors"])
    rows = []
    for row in printed.itertuples():
        field = f" {row.result.split()[0]}" if row.paper == "panagiotaras" else ""
        rows.append((row.paper, PAPER_NAMES[row.paper] + field, row.donors, row.images, row.value))
    if cohort.groups is not None:
        rows.append(("this book", "this book's cohort", len(set(cohort.groups)), len(cohort), accuracy))
    table = pd.DataFrame(rows, columns=["paper", "label", "donors", "images", "accuracy"])
    for name, units in (("low", "images"), ("high", "donors")):
        pairs = zip(table["accuracy"], table[units], strict=True)
        table[name] = [accuracy_interval(value, n).half_width for value, n in pairs]
    return table


def _xia() -> list[tuple]:
    # the test images of a split by image come from nearly all donors of the public list
    donors = xia2024.public_manifest()["group"].nunique()
    sizes = (xia2024.TEST, donors, "donors", xia2024.CLASS_SIZES[0] / xia2024.TEST, "always control")
    rows = {
        "Miniset-DenseSENet": "table1.miniset_densesenet",
        "Miniset-DenseSENet, best run": "section2_2.best_run",
        "ResNet18": "table1.resnet18",
    }
    values = {name: claim_named(f"xia2024.{claim}.accuracy").value / 100 for name, claim in rows.items()}
    return [("xia2024", name, "accuracy", value, *sizes) for name, value in values.items()]


def _miao() -> list[tuple]:
    # 118 is the least size that gives 70.34 %; 30 % of 26 cases are 8
    sizes = (
        miao2023.sizes_behind_the_test_accuracy()["least_size"],
        miao2023.cases_in_a_split_by_crop()["test_cases"],
        "cases",
    )
    accuracy = claim_named("miao2023.section4_5.mobile_net_v3.test_accuracy").value / 100
    always_als = (miao2023.als_share(), "always ALS")
    rows = [("miao2023", "mobile_net_v3", "accuracy", accuracy, *sizes, *always_als)]
    for model, name in (("mobile_net_v3", "mobile_net_v3"), ("resnet50", "ResNet50")):
        auc = claim_named(f"miao2023.section3.{model}.auc").value
        rows.append(("miao2023", name, "AUC", auc, *sizes, 0.5, "no information"))
    return rows


def _turrisi_als_share() -> float:
    return turrisi2024.ALS / (turrisi2024.ALS + turrisi2024.MIMICS)


def _turrisi() -> list[tuple]:
    subjects = turrisi2024.ALS + turrisi2024.MIMICS
    sizes = (subjects, subjects, "subjects")
    implied = METRICS["accuracy"](
        turrisi2024.tables_of("dl7")
    ).mean()  # over the tables that agree with Table 4
    auc = claim_named("turrisi2024.table4.dl7.auc").value
    always_als = (_turrisi_als_share(), "always ALS")
    return [
        ("turrisi2024", "DL7 + SVM (P), implied", "accuracy", implied, *sizes, *always_als),
        ("turrisi2024", "DL7 + SVM (P)", "AUC", auc, *sizes, 0.5, "no information"),
    ]


def _panagiotaras() -> list[tuple]:
    rows = []
    for field in panagiotaras.FIELDS:
        held_out = panagiotaras.counts()[field, "Validation"]
        images, patients = int(held_out["images", "all"]), int(held_out["patients", "all"])
        trivial = max(held_out["images", "AD"], held_out["images", "CN"]) / images
        sizes = (images, patients, "patients", trivial, "always CN")
        rows.append(("panagiotaras", f"{field} scans", "accuracy", panagiotaras.accuracy_of(field), *sizes))
    return rows
