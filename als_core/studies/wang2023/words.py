"""What the overlap page says: its answer, what it used, and sentences that depend on numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.explain.overlap import SCORES
from als_core.figures.drawn import listed, number, percent
from als_core.refusal import counted
from als_core.studies.brains.words import drawn_effect

Lead = tuple[float, float, float]
"""Mean difference in overlap and the ends of its 95 % interval over patients."""

PUBLISHED = {"lrp": "lrp_epsilon", "ig": "integrated_gradients", "ggc": "guided_grad_cam"}
"""The abstract's three heatmap methods, with the rule of LRP that this page compares."""
COMPARED = ("svm_pattern", "svm_weights")
SURE = 0.975  # share of resamples from which a rank counts as shown; 0.025 and less: as refuted
BRIGHT = 2.0  # times its share of voxels: from here on heat at the cut edge is mentioned
QUESTION = (
    "Do heatmaps of a network find the disease better than a linear classifier, and is integrated gradients "
    "best?"
)
NO_REFERENCE = (
    "**No truth here.** Where the disease changes these brains is not known and no reference map was given, "
    "so no overlap is measured and the published ranking is not judged. Give a meta-analysis with `-p "
    "reference MAP.nii.gz`, or peaks with `-p reference PEAKS.csv`."
)
LEADS = (
    "Overlap of each heatmap less that of the SVM map, in the same patients, with the bootstrap interval "
    "over patients."
)
RANKING = (
    "The abstract's statements about overlap, each with what was measured here and its interval over "
    "patients."
)
MAPS = "positive values; absolute values where a sign is no evidence (guided Grad-CAM, SVM)"
FORBIDS = (
    "Do not read a rank on this page as the published one: scans, network and reference are not the paper's."
)
SAME_PLACES = (
    " The drawn disease changes the same places in every patient, which favours a map of group differences such as "
    "the SVM pattern."
)


def own_reference(record: Mapping[str, object]) -> str:
    """Which map or peaks take the place of the true effect."""
    made = f"{record['peaks']} peaks of {record['studies']} studies; p" if "peaks" in record else "threshold"
    inside = percent(float(record["inside_brain"]))
    return (
        f"**Compared with a map of your own**, `{record['file']}` ({made} {record['threshold']:g}, "
        f"{record['voxels']} voxels on the grid of the heatmaps, {inside} of what passes lies in the brain), "
        "and not with the true effect: where this page says *truth*, that map is meant."
    )


def compared_with(met: str) -> str:
    """What one patient's heatmap is compared with."""
    return "the change that the disease made in this very brain" if met == "the true effect" else met


def how_compared(learned: list[tuple[float, int, float, int]], folds: int, with_truth: str) -> str:
    """What was trained and what its maps are compared with.

    learned: accuracy, tested scans, share of the commonest label and explained patients of each fold.
    with_truth: "" where nothing is compared with.
    """
    accuracies, counts, shares, explained = zip(*learned, strict=True)
    tested, subjects, most = sum(counts), sum(explained), max(shares)
    right = np.average(accuracies, weights=counts)
    text = (
        f"A network and an SVM learn from the same scans in each of {folds} folds by patient. The networks "
        f"classify {percent(right)} of {tested} scans correctly that they have not seen (the commonest label "
        f"holds {percent(most)} or less in a fold). The first scan of each of {counted(subjects, 'patient')} "
        "is explained by the network of the fold that held it out"
    )
    return f"{text}, and its heatmap is compared with {with_truth}." if with_truth else f"{text}."


def verdict(lead: Lead) -> str:
    """What a difference and its interval show."""
    _, low, high = lead
    return "above" if low > 0 else "below" if high < 0 else "no difference shown"


def leads_table(leads: Mapping[tuple[str, str], Lead], titles: Mapping[str, str]) -> pd.DataFrame:
    """Each heatmap's lead over each SVM map in words."""
    return pd.DataFrame(
        {
            "Heatmap": titles[name],
            "Compared with": titles[svm],
            "Difference": number(lead[0], 3, signed=True),
            "95 % interval": f"{number(lead[1], 3, signed=True)} to {number(lead[2], 3, signed=True)}",
            "Here": verdict(lead),
        }
        for (name, svm), lead in leads.items()
    )


def ranking_table(
    leads: Mapping[tuple[str, str], Lead], first: pd.Series, titles: Mapping[str, str]
) -> pd.DataFrame:
    """The abstract's four statements about overlap, judged here.

    first: share of resamples in which each of the four compared maps is first.
    """
    words = {"above": "holds here", "below": "does not hold here", "no difference shown": "undecided here"}
    rows = []
    for name in PUBLISHED.values():
        mean, low, high = leads[name, "svm_pattern"]
        rows.append(
            {
                "Statement": f"{titles[name]} above SVM patterns",
                "Measured here": f"difference {number(mean, 3, signed=True)}",
                "Interval": f"{number(low, 3, signed=True)} to {number(high, 3, signed=True)}",
                "Verdict": words[verdict((mean, low, high))],
            }
        )
    share = first["integrated_gradients"]
    decided = (
        "holds here" if share >= SURE else "does not hold here" if share <= 1 - SURE else "undecided here"
    )
    shares = "; ".join(f"{titles[name]} {percent(each)}" for name, each in first.items())
    rows.append(
        {"Statement": "Integrated gradients first of the four",
         "Measured here": f"first in {percent(share)} of resamples",
         "Interval": shares, "Verdict": decided}
    )  # fmt: skip
    return pd.DataFrame(rows)


def nulls_in_words(scores: pd.DataFrame, titles: Mapping[str, str], nulls: tuple[str, ...]) -> str:
    """Which methods do not exceed all their nulls, and by how much they miss them."""
    at_null = [
        f"{titles[row['method']]} exceeds the null *{null}* by {number(row['mean'] - row[null], signed=True)} on average, "
        f"with a 95 % interval over the same patients that begins at {number(row[f'{null} low'], signed=True)}"
        for row in scores.to_dict("records")
        for null in nulls
        if not row[f"above {null}"]
    ]
    if not at_null:
        return "Every method exceeds all three nulls."
    return f"Not every method is shown to exceed all three nulls. {'; '.join(at_null)}."


def measures_in_words(wide: pd.DataFrame, titles: Mapping[str, str], share: float) -> str:
    """Which method is first by each measure, and whose hottest voxel is never in the truth.

    wide: methods by row, scores by column, means over patients. share: of the brain that the truth holds, on average.
    """
    first = {SCORES[name].title: titles[wide[name].idxmax()] for name in SCORES}
    leaders = set(first.values())
    if len(leaders) == 1:
        text = f"By all {len(first)} measures, {leaders.pop()} comes first."
    else:
        text = (
            f"First by measure: {'; '.join(f'{name}: {title}' for name, title in first.items())}. Which "
            "method is best therefore depends on a choice that the abstract does not print."
        )
    missed = wide[wide["pointing_game"] == 0]
    if len(missed):
        text += (
            f" The pointing game is 0.000 for {'; '.join(titles[name] for name in missed.index)}: in no patient is "
            "the hottest voxel inside the truth. Of all heat in these maps "
            f"{listed(map(percent, missed['mass_inside']))} is inside; in an even map it would be {percent(share)}."
        )
    return text


def edge_heat(maps: Mapping[str, np.ndarray], brain: np.ndarray) -> dict[str, float]:
    """Share of each map's heat on the brain's lower surface over that surface's share of the brain's voxels.

    The surface: voxels of the brain with none below them, under brain stem, cerebellum and temporal lobes. 1: what an
    even map has.
    """
    surface = brain & ~np.pad(brain, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    share = surface.sum() / brain.sum()
    return {
        name: float(heat[surface].sum() / max(heat[brain].sum(), 1e-12) / share)
        for name, heat in maps.items()
    }


def edge_in_words(ratios: Mapping[str, float]) -> str:
    """A sentence on the bright rim below the brain stem, and where there is none."""
    bright = {name: ratio for name, ratio in ratios.items() if ratio >= BRIGHT}
    if not bright:
        return f"No map has more than {number(max(ratios.values()), 1)} times the heat of an even map at the brain's lower edge."
    found = "; ".join(f"{name} {number(ratio, 1)} times" for name, ratio in bright.items())
    return (
        "**The bright rim at the lower edge**, below brain stem and temporal lobes, is no disease. The "
        "prepared volume is 0 outside the brain, and at this artificial edge some maps have far more heat "
        f"than an even map: {found}. Such heat lowers a map's overlap with the truth."
    )


def answer(
    scores: pd.DataFrame,
    leads: Mapping[tuple[str, str], Lead],
    titles: Mapping[str, str],
    met: str,
    averaged: Mapping[str, float],
    kind: str,
) -> dict[str, str]:
    """The answer box where overlap was measured.

    scores: one row for each method. met: what with. averaged: overlap of the average maps, by title. kind: of cohort.
    """
    by_average = averaged[titles["integrated_gradients"]], averaged[titles["svm_pattern"]]
    best = scores.loc[scores["mean"].idxmax()]
    mean, low, high = leads["integrated_gradients", "svm_pattern"]
    more = "more" if mean > 0 else "less"
    where = "synthetic brains" if kind == "synthetic" else "these brains"
    return {
        "question": QUESTION,
        "found": f"On {where}, the map that best matches {met} is {titles[best['method']]} (overlap "
        f"{number(best['mean'])}, as a share of the best possible). Integrated gradients, first in the paper, overlaps "
        f"{number(abs(mean))} {more} than SVM patterns scan by scan; averaged over patients first, integrated gradients has "
        f"{number(by_average[0])} and the SVM pattern {number(by_average[1])}.",
        "how_sure": f"The 95 % interval of that difference, over {int(best['subjects'])} patients, is "
        f"{number(low, signed=True)} to {number(high, signed=True)}. Networks were trained once for each "
        "fold; another training may order the methods otherwise. An SVM's map has seen many scans, a heatmap one."
        + (SAME_PLACES if kind == "synthetic" else ""),
        "not_shown": "Whether the ranking holds on the paper's ADNI scans against its meta-analysis of 77 studies: "
        "this book has neither.",
    }


def answer_without_truth(correlations: pd.DataFrame) -> dict[str, str]:
    """The answer box where nothing is known to compare maps with."""
    values = correlations.to_numpy()
    apart = values[~np.eye(len(values), dtype=bool)]
    return {
        "question": QUESTION,
        "found": "That cannot be measured on these brains: where the disease changes them is not known. The "
        f"methods' average maps agree with each other between {number(apart.min())} and "
        f"{number(apart.max())} (rank correlation).",
        "how_sure": "One network for each fold by patient; the correlations have no interval.",
        "not_shown": "Which method is right. For that, give a reference map or a list of peaks.",
    }


def substitutions(cohort: VolumeCohort, effect: float, met: str) -> tuple[dict[str, tuple[str, str]], str]:
    """What this page used and what the abstract names, setting -> (here, abstract); and what that forbids."""
    rows = {"Scans": (cohort.about.get("title") or cohort.name, "ADNI")}
    if cohort.kind == "synthetic":
        rows["Size of the disease's effect"] = drawn_effect(effect), "that of the disease"
    rows["Compared with"] = met or "nothing", "a meta-analysis of 77 studies"
    rows["Network, subjects, measure of overlap"] = "chosen here", "not printed in the abstract"
    return rows, FORBIDS


def claims(leads: Mapping[tuple[str, str], Lead], scores: pd.DataFrame, four: list[str]) -> dict[str, float]:
    """What the abstract ranks, by claim id: differences from SVM patterns, and the rank of integrated
    gradients.
    """
    ranks = scores.set_index("method")["mean"][four].rank(ascending=False)
    differences = {
        f"wang2023.abstract.overlap.{short}_minus_svm.difference": leads[name, "svm_pattern"][0]
        for short, name in PUBLISHED.items()
    }
    return differences | {"wang2023.abstract.overlap.ig.rank": int(ranks["integrated_gradients"])}


def measures_caption(share: float) -> str:
    """share: of the brain that the truth holds, on average."""
    return (
        "Four measures of overlap, means over patients; higher is better in each. Chance is 0.5 for the "
        f"AUC, and {number(share, 3)} for mass inside and the pointing game."
    )


def mass_inside(maps: Mapping[str, np.ndarray], truth: np.ndarray | None) -> dict[str, float]:
    """Share of each map's heat inside the truth; NaN without one."""
    return {
        name: float(heat[truth].sum() / heat.sum()) if truth is not None and heat.any() else float("nan")
        for name, heat in maps.items()
    }


def correlations(maps: Mapping[str, np.ndarray], brain: np.ndarray) -> pd.DataFrame:
    """Rank correlation of each two maps over the voxels of the brain, titles by row and column."""
    return pd.DataFrame({name: heat[brain] for name, heat in maps.items()}).corr("spearman")
