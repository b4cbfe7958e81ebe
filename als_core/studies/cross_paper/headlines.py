"""The main printed result of each paper, with what it was measured on and what it has to be held against.

`images` are what a paper counts; `donors` are the independent units behind them (donor, case, subject, patient).
"""

from __future__ import annotations

import pandas as pd

from als_core.claims.published import claim_named
from als_core.statistics.bounds import METRICS
from als_core.statistics.curves import auc_interval
from als_core.statistics.power import accuracy_interval
from als_core.studies.miao2023 import audit as audit_miao2023
from als_core.studies.panagiotaras import audit as audit_panagiotaras
from als_core.studies.turrisi2024 import audit as audit_turrisi2024
from als_core.studies.xia2024 import audit as audit_xia2024

COLUMNS = ("paper", "result", "measure", "value", "images", "donors", "unit", "trivial", "trivial_is")


def headlines() -> pd.DataFrame:
    """Main results as printed, one row each, columns `COLUMNS`.

    value, trivial: 0 to 1. trivial: what `trivial_is` reaches without looking at an image. donors: of the
    test images, where they are known or follow from the listing; see the notes beside each row.
    """
    return pd.DataFrame([*_xia(), *_miao(), *_turrisi(), *_panagiotaras()], columns=list(COLUMNS))


def with_intervals(results: pd.DataFrame) -> pd.DataFrame:
    """`headlines` with two 95 % intervals: every image independent, and every donor a single image.

    Columns low, high (images) and donor_low, donor_high. The truth lies between: the second takes all images
    of a donor as right or wrong together. AUCs by the formula of Hanley and McNeil.
    """
    rows = []
    for row in results.itertuples():
        if row.measure == "AUC":
            ends = [auc_interval(row.value, *_by_class(n, row.paper)) for n in (row.images, row.donors)]
        else:
            ends = [accuracy_interval(row.value, n)[:2] for n in (row.images, row.donors)]
        rows.append([*ends[0], *ends[1]])
    return results.join(
        pd.DataFrame(rows, columns=["low", "high", "donor_low", "donor_high"], index=results.index)
    )


def _xia() -> list[tuple]:
    # the test images of a split by image come from nearly all donors of the public list
    donors = audit_xia2024.public_manifest()["group"].nunique()
    on = (
        audit_xia2024.TEST,
        donors,
        "donors",
        audit_xia2024.CLASS_SIZES[0] / audit_xia2024.TEST,
        "always control",
    )
    rows = [
        ("Miniset-DenseSENet, best run", claim_named("xia2024.section2_2.best_run.accuracy").value),
        ("Miniset-DenseSENet", claim_named("xia2024.table1.miniset_densesenet.accuracy").value),
        ("ResNet18", claim_named("xia2024.table1.resnet18.accuracy").value),
    ]
    return [("xia2024", name, "accuracy", percent / 100, *on) for name, percent in rows]


def _miao() -> list[tuple]:
    # 118 is the least size that gives 70.34 %; 30 % of 26 cases are 8
    found = audit_miao2023.m5()["least_size"], audit_miao2023.m7()["test_cases"]
    accuracy = claim_named("miao2023.section4_5.mobile_net_v3.test_accuracy").value / 100
    rows = [
        ("mobile_net_v3", "accuracy", accuracy, *found, "cases", audit_miao2023.als_share(), "always ALS")
    ]
    for model, name in (("mobile_net_v3", "mobile_net_v3"), ("resnet50", "ResNet50")):
        auc = claim_named(f"miao2023.section3.{model}.auc").value
        rows.append((name, "AUC", auc, *found, "cases", 0.5, "no information"))
    return [("miao2023", *row) for row in rows]


def _turrisi() -> list[tuple]:
    subjects = audit_turrisi2024.ALS + audit_turrisi2024.MIMICS
    tables = audit_turrisi2024.tables_of("dl7")
    implied = METRICS["accuracy"](tables).mean()  # of the tables of counts that agree with Table 4
    auc = claim_named("turrisi2024.table4.dl7.auc").value
    on = (subjects, subjects, "subjects")
    return [
        ("turrisi2024", "DL7 + SVM (P), implied", "accuracy", implied, *on, audit_turrisi2024.ALS / subjects, "always ALS"),
        ("turrisi2024", "DL7 + SVM (P)", "AUC", auc, *on, 0.5, "no information"),
    ]  # fmt: skip


def _panagiotaras() -> list[tuple]:
    rows = []
    for field in audit_panagiotaras.FIELDS:
        held = audit_panagiotaras.counts()[field, "Validation"]
        images, patients = int(held["images", "all"]), int(held["patients", "all"])
        trivial = max(held["images", "AD"], held["images", "CN"]) / images
        accuracy = audit_panagiotaras.accuracy_of(field)
        rows.append(
            (
                "panagiotaras",
                f"{field} scans",
                "accuracy",
                accuracy,
                images,
                patients,
                "patients",
                trivial,
                "always CN",
            )
        )
    return rows


def _by_class(n: int, paper: str) -> tuple[int, int]:
    """How many of n are positive and not, at the class shares of the paper."""
    share = audit_miao2023.als_share() if paper == "miao2023" else audit_turrisi2024.ALS / n
    positives = min(n - 1, max(1, round(n * share)))
    return positives, n - positives
