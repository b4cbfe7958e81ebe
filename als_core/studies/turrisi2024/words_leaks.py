"""Computed sentences and tables on null cohorts and leaks, of the page of classifiers (Turrisi et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from als_core.figures.drawn import listed, number
from als_core.refusal import counted
from als_core.statistics.null_check import NONE_ERRORS, UP_ERRORS

DRAWN = "*Synthetic cohort.*"
NULL_TABLE = (
    f"Mean AUC of null cohorts, labels as they are and permuted, and the shift's standard error. {DRAWN}"
)
LEAK_TABLE = f"Each leak on null cohorts of radiomic features: score without and with it. {DRAWN}"
ENOUGH = 5  # null cohorts: with fewer, a standard error says too little for a verdict
STRICTNESS = (
    f"A rise has to exceed {UP_ERRORS} standard errors; a shift that should not be there may be up to {NONE_ERRORS}. "
    "Scores of class 0 are 1 − AUC by arithmetic. Cohorts are few, so a baseline that is low by chance makes the leaks of its "
    "method look larger."
)


def null_caption(method: str, cohorts: int, brains: int) -> str:
    """Caption the figure of null cohorts."""
    return (
        f"AUC of the nested protocol on {counted(cohorts, 'null cohort')} of {brains} drawn brains, with "
        f"random labels and with permuted ones. Method: {method} with two values of C. One dot per cohort. {DRAWN}"
    )


def leak_table(checked: pd.DataFrame) -> pd.DataFrame:
    """Lay out `leaks.check_leaks` for reading: what was declared, what was seen, and whether they agree."""
    metric = checked["metric"].map({"auc": "AUC", "balanced_accuracy": "balanced accuracy"})
    declared = checked["declared"].map({"up": "rises", "none": "no change", "mirrored": "1 − AUC"})
    return pd.DataFrame(
        {
            "Method": checked["method"],
            "Leak": checked["procedure"],
            "Score": metric,
            "Null cohorts": checked["cohorts"].astype(int),
            "Nested": checked["reference"].astype(float).round(3),
            "With the leak": checked["score"].astype(float).round(3),
            "Shift": checked["shift"].astype(float).round(3),
            "Standard error": checked["error"].astype(float).round(3),
            "Expected": declared,
            "As expected": [_verdict(row) for row in checked.to_dict("records")],
        }
    )


def _verdict(row: Mapping[str, object]) -> str:
    """Judge one shift; 1 − AUC is arithmetic and needs no number of cohorts."""
    if row["cohorts"] < ENOUGH and row["declared"] != "mirrored":
        return "too few to say"
    return "yes" if row["holds"] else "no"


def leaks_seen(checked: pd.DataFrame) -> str:
    """Say how many leaks raised their score as declared, and name the others. checked: from `leaks.check_leaks`.

    Counted are leaks that should raise a score, on at least `ENOUGH` cohorts. A shift where none should be is named.
    """
    failed = checked[
        (checked["declared"] == "none") & (checked["cohorts"] >= ENOUGH) & ~checked["holds"].astype(bool)
    ]
    rising = checked[(checked["declared"] == "up") & (checked["cohorts"] >= ENOUGH)]
    if rising.empty:
        return f"No leak was replayed on the {ENOUGH} null cohorts that a verdict needs."
    missed = rising[~rising["holds"].astype(bool)]
    said = [
        f"{len(rising) - len(missed)} of {counted(len(rising), 'leak')} that should raise a score "
        f"{'is' if len(rising) == 1 else 'are'} seen to do so, on at least {ENOUGH} null cohorts."
    ]
    if len(missed):
        named = listed(
            f"*{row['procedure']}* with {row['method']} ({number(row['shift'], 3, signed=True)}, standard "
            f"error {number(row['error'], 3)}, {counted(int(row['cohorts']), 'cohort')})"
            for row in missed.to_dict("records")
        )
        said.append(f"Not detected here: {named}.")
    if len(failed):
        wrong = listed(f"*{row['procedure']}* with {row['method']}" for row in failed.to_dict("records"))
        said.append(f"A shift is there where none should be: {wrong}.")
    return " ".join([*said, STRICTNESS])


def null_table(checked: pd.DataFrame) -> pd.DataFrame:
    """Lay out the check of null cohorts for reading: labels as they are against permuted ones."""
    table = leak_table(checked).drop(columns=["Leak", "Score", "Expected", "Method"])
    table.insert(0, "Features", checked["representation"].to_numpy())
    names = {
        "Nested": "AUC",
        "With the leak": "AUC, labels permuted",
        "As expected": "Within three standard errors",
    }
    return table.rename(columns=names)
