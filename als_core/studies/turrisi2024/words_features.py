"""Computed sentences and tables of the page on features and their positive control (Turrisi et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from als_core.figures.drawn import as_written, counted, listed, number, p_value, percent
from als_core.statistics.null_check import PERMUTED
from als_core.studies.turrisi2024.radiomics import RadiomicSettings
from als_core.studies.turrisi2024.study import FINE_MM

COUNT_HEADS = ["Features of", "Features", "That differ between patients"]


CONTROL_TABLE = (
    "The positive control: mean AUC over draws of folds, the same with permuted labels, and the "
    "permutation p value."
)


def features_and_control(
    features: int,
    beyond: Mapping[str, float],
    control: pd.DataFrame,
    effect: float | None,
    random_weights: bool,
    patients: str = "ALS",
) -> dict[str, str]:
    """Answer the question of the page of features.

    beyond: share of features more than two standard errors apart, by representation. control: one row per
    deep representation, from `control_summary`. effect: of drawn atrophy; None for real patients.
    patients: their label on this page.
    """
    best = control.loc[control["auc"].idxmax()]
    answers = best["p"] <= 0.05
    verb = "reacts to" if answers else "does not measurably react to"
    shares = listed(
        f"{percent(share)} of {'the radiomic ones' if name == 'Radiomics' else name}"
        for name, share in beyond.items()
    )
    source = "An extractor with random weights" if random_weights else "The public extractor"
    brains, missing = "scans of the control's patients", "Whether it saw these very scans in its training."
    if effect is not None:
        brains = "drawn brains"
        missing = f"Real patients: the atrophy of the control is drawn at {effect:g} times its stated size."
    return {
        "question": "What is measured on a scan, and does the network that measures it see a disease at all?",
        "found": f"{features} features describe each brain; {shares} differ between the groups by more than "
        f"two standard errors, where 5 % would by chance. {source} {verb} the atrophy it was trained to find: AUC "
        f"{number(best['auc'])} on {brains}, {number(best['permuted'])} with permuted labels.",
        "how_sure": "Group differences of single features are exploratory: with hundreds of features the "
        f"largest is large by chance. The control is tested against {best['permutations']} permutations of its "
        f"labels (p {p_value(best['p'])}; none can be below {p_value(1 / (1 + best['permutations']))}).",
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


def largest_difference(effects: pd.DataFrame, patients: int) -> str:
    """Say which feature differs most, and why that is no finding. effects: from `study.group_differences`."""
    row = effects.loc[effects["d"].abs().idxmax()]
    return (
        f"The largest difference is that of `{row['feature']}`, {number(row['d'])} standard deviations. With "
        f"{counted(len(effects), 'feature')} and {counted(patients, 'patient')} the largest of them is large "
        "by chance as well: which features matter has to be judged on patients that were not looked at."
    )


def control_caption(has_atrophy: np.ndarray, draws: int, effect: float | None) -> str:
    """Caption the figure of the positive control. effect: of drawn atrophy; None for real patients."""
    sick, every = int(has_atrophy.sum()), len(has_atrophy)
    if effect is None:
        seen = f"Alzheimer's disease in {every} people"
        who = f"{sick} of them are patients, one scan each."
    else:
        seen = f"Alzheimer-like atrophy in {every} drawn brains"
        who = f"{sick} brains have the atrophy, drawn at {effect:g} times its stated size."
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
