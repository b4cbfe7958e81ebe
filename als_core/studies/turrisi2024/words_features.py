"""Computed sentences and tables of the page on features and their positive control (Turrisi et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm

from als_core.figures.drawn import as_written, listed, number, p_value, percent
from als_core.refusal import counted
from als_core.statistics.null_check import PERMUTED
from als_core.studies.brains.words import drawn_effect
from als_core.studies.turrisi2024.radiomics import RadiomicSettings
from als_core.studies.turrisi2024.study import FINE_MM

COUNT_HEADS = ["Features of", "Features", "That differ between patients"]

CONTROL_TABLE = (
    "The positive control: mean AUC over draws of folds, the same with permuted labels, and the "
    "permutation p value."
)


def features_and_control(
    counts: tuple[int, int],
    beyond: Mapping[str, float],
    control: pd.DataFrame,
    effect: float | None,
    random_weights: bool,
    patients: str = "ALS",
    drawn: bool = False,
) -> dict[str, str]:
    """Answer the question of the page of features.

    counts: of features, and of those that differ between patients. beyond: share of the latter that are more than two
    standard errors apart, by representation. control: one row per deep representation, from `control_summary`.
    effect: of drawn atrophy; None for real patients. patients: their label on this page. drawn: whether they
    are drawn by a program.
    """
    features, varying = counts
    said_of = "With the drawn disease of the table below, " if drawn else ""
    best = control.loc[control["auc"].idxmax()]
    reached = [f"{number(row.auc)} ({row.representation})" for row in control.itertuples()]
    answers = best["p"] <= 0.05
    shares = listed(
        f"{percent(share)} of the {'radiomic' if name == 'Radiomics' else name} features"
        for name, share in beyond.items()
    )
    people, missing = (
        "scans of people with and without Alzheimer's disease",
        "Whether it saw these very scans in its training.",
    )
    if effect is not None:
        people = "drawn brains with and without atrophy"
        missing = f"Real patients: the atrophy of the control is {drawn_effect(effect)}."
    source = "The public extractor"
    if random_weights:
        source = "No public weights were available; an untrained network of the same shape"
        missing = (
            "The paper's trained network: the untrained one shows only whether a large difference survives the steps of "
            "this page."
        )
    verb = "separates" if answers else "does not measurably separate"
    allowed = 1 / (1 + best["permutations"])
    least = f"the smallest that {best['permutations']} permutations allow"
    tested = (
        least
        if np.isclose(best["p"], allowed)
        else f"against {best['permutations']} permutations of the labels"
    )
    return {
        "question": "What is measured on a scan, and does the network that measures it see a disease at all?",
        "found": f"{features} features describe each brain, and {varying} differ between patients. {said_of}{shares} differ "
        f"between the groups by more than two standard errors (5 % expected by chance). {source} {verb} {people}: "
        f"AUC {listed(reached)}, {number(best['permuted'])} with permuted labels.",
        "how_sure": "Group differences of single features are exploratory, and many features repeat each other: see the "
        f"number of directions. For {best['representation']} in the control, p {p_value(best['p'])}, {tested}.",
        "not_shown": f"{missing} The signs of {as_written(patients)} can be elsewhere in the brain.",
    }


def how_measured(resolution: int, settings: RadiomicSettings) -> str:
    """Say how radiomic and deep features are measured where the paper leaves it open."""
    halving = (
        ""
        if resolution == FINE_MM
        else f" The extractor was made for volumes of {FINE_MM} mm and halves them "
        f"first; at {resolution} mm the halving is left out."
    )
    return (
        "Radiomic features are measured inside the patient's brain after registration to MNI space at "
        f"{resolution} mm: the template's brain mask, where there is signal. Intensities are brought to mean "
        f"0 and a standard deviation of {settings.normalised_sd:g}, and grey levels are "
        f"{settings.bin_width:g} wide; the paper states neither. The 107 values are checked against "
        f"PyRadiomics in the tests.{halving}"
    )


def largest_difference(effects: pd.DataFrame, chance: float) -> str:
    """Say which feature differs most, and what chance gives.

    effects: from `study.group_differences`. chance: standard error of a difference where there is none.
    """
    row = effects.loc[effects["d"].abs().idxmax()]
    # median of the largest of so many independent differences
    by_chance = chance * norm.isf(np.log(2) / (2 * len(effects)))
    return (
        f"The largest difference is that of `{row['feature']}`, {number(row['d'])} standard deviations; if nothing differed, "
        f"the largest of {counted(len(effects), 'independent feature')} would be about {number(by_chance)}. Which features "
        "matter has to be judged on patients that were not looked at."
    )


def control_caption(has_atrophy: np.ndarray, draws: int, effect: float | None) -> str:
    """Caption the figure of the positive control. effect: of drawn atrophy; None for real patients."""
    sick, every = int(has_atrophy.sum()), len(has_atrophy)
    if effect is None:
        seen = f"Alzheimer's disease in {every} people"
        who = f"{sick} of them are patients, one scan each."
    else:
        seen = f"Alzheimer-like atrophy in {every} drawn brains"
        who = f"{sick} brains have the atrophy, {drawn_effect(effect)}."
    return (
        f"AUC for {seen}, from deep features, with labels as they are and permuted. {who} Method: a linear "
        f"SVM, nested protocol; one dot for each of {counted(draws, 'draw')} of folds.{control_mark(effect)}"
    )


def control_mark(effect: float | None) -> str:
    """What ends a caption on the positive control: a mark where its brains are drawn."""
    return "" if effect is None else " *Synthetic cohort.*"


def control_summary(by_protocol: pd.DataFrame, p_of: Callable[[float, np.ndarray], float]) -> pd.DataFrame:
    """Summarise the positive control: representation, auc and permuted (means over draws), p, permutations.

    by_protocol: a list of AUCs per representation (rows) and protocol (columns). p_of: `permutation_p_value`.
    """
    rows = []
    for name, row in by_protocol.iterrows():
        auc, permuted = np.mean(row["nested"]), np.array(row[PERMUTED])
        rows.append(
            {
                "representation": name,
                "auc": auc,
                "permuted": permuted.mean(),
                "p": p_of(auc, permuted),
                "permutations": len(permuted),
            }
        )
    return pd.DataFrame(rows)


def control_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Lay out `control_summary` for reading."""
    names = ["Features", "AUC", "AUC, labels permuted", "p", "Permutations"]
    return summary.round(3).set_axis(names, axis=1)
