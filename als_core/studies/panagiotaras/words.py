"""What the pages on the Alzheimer slides say: answers, substitutions, sentences that depend on numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import binom

from als_core.claims.findings import Facts
from als_core.claims.published import published_table
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.figures.drawn import as_written, listed, number, p_value, percent
from als_core.refusal import RefusedInput, counted
from als_core.studies.brains.cohorts import PATIENTS
from als_core.studies.brains.synthetic import TRUTH_FROM
from als_core.studies.brains.training import PanagiotarasAmounts, image_folds
from als_core.studies.brains.words import drawn_effect

FORBIDS = (
    "Do not compare these accuracies with the printed ones: the brains are drawn, fewer and coarser, and "
    "the change in them was made large on purpose."
)
NO_TRUTH = (
    "**No truth here.** Where the disease changes these brains is not known, so no overlap with it is "
    "shown. What can be compared is the network and its twin that learned permuted labels."
)
# Of the linear model: a measure, and what the cohort itself is called beside its null cohorts.
MEASURES = {
    "accuracy": ("Accuracy by patient", "the cohort itself"),
    "auc": ("AUC of voxels of the weight map", "the cohort with the effect"),
}
NAMES = {"accuracy": "accuracy", "auc": "concentration"}  # in names of figures
LEADING = 4  # areas that are named in a sentence
MUCH = 0.2  # difference of rank and Pearson correlation from which it is mentioned
FORBIDS_REAL = (
    "Do not compare these accuracies with the printed ones: this is another choice of scans, at other sizes."
)


def about_brains(cohorts: Mapping[str, VolumeCohort]) -> str:
    """Which scans a page is made from, how many, and what was left out."""
    first = next(iter(cohorts.values()))
    parts = [
        f"{counted(len(cohort), 'scan')} of {counted(len(np.unique(cohort.groups)), 'person', 'people')} ({field}: "
        + listed(
            f"{n} labelled {as_written(label)}"
            for label, n in cohort.samples["label"].value_counts().sort_index().items()
        )
        + ")"
        for field, cohort in cohorts.items()
    ]
    text = f"**Scans.** {as_written(first.about.get('title') or first.name)}: {listed(parts)}."
    if first.kind == "synthetic":
        return (
            f"{text} ADNI gives its scans on application only; these are drawn with the printed numbers of "
            "scans a person."
        )
    text += (
        " Which ADNI scans the paper used is not printed,"
        if first.name == "adni"
        else " The paper used others,"
    )
    text += (
        " and **the true effect of the disease in these is not known**: what needs it is left out below, and "
        "this is said in its place."
    )
    notices = "".join(f"\n- {as_written(notice)}" for notice in dict.fromkeys(first.notices))
    return f"{text}\n{notices}" if notices else text


def substitutions(
    cohorts: Mapping[str, VolumeCohort], amounts: PanagiotarasAmounts
) -> dict[str, tuple[str, str]]:
    """What a page used, and what the slides used: setting -> (here, slides)."""
    counts = published_table("panagiotaras_data_statistics")
    whole = counts[(counts["split"] == "All") & (counts["class"] == "all")].set_index(
        ["field_strength", "unit"]
    )["n"]
    first = next(iter(cohorts.values()))
    rows = {"Scans": (first.about.get("title") or first.name, "ADNI")}
    for field, cohort in cohorts.items():
        if (field, "patients") in whole.index:
            here = f"{len(cohort)} of {len(np.unique(cohort.groups))}"
            rows[f"Scans of patients, {field}"] = (
                here,
                f"{whole[field, 'images']} of {whole[field, 'patients']}",
            )
    if first.kind == "synthetic":
        rows["Size of the disease's effect"] = drawn_effect(amounts.effect), "that of the disease"
    published = PanagiotarasAmounts()
    return rows | {
        "Voxel side": (f"{amounts.resolution} mm", f"{published.resolution} mm"),
        "Pools of the network": (amounts.variant, published.variant),
        "Epochs": (str(amounts.epochs), str(published.epochs)),
        "Folds": (str(amounts.folds), str(published.folds)),
    }


def forbids(cohorts: Mapping[str, VolumeCohort]) -> str:
    """The conclusion that the substitutions rule out."""
    return FORBIDS if next(iter(cohorts.values())).kind == "synthetic" else FORBIDS_REAL


def training_answer(pooled: pd.DataFrame, nulls: pd.DataFrame, kind: str, patients: str) -> dict[str, str]:
    """The answer box of the training page.

    Parameters
    ----------
    pooled : one row for each field strength, as `figures.accuracies` takes it
    nulls : accuracy in null cohorts, columns "Folds by scan" and "Folds by patient"
    kind : of the cohort
    patients : their label
    """
    means = nulls.mean()
    disease = "Alzheimer's disease" if patients == PATIENTS else f"patients labelled {patients}"
    what = "synthetic scans" if kind == "synthetic" else "these scans"
    reached = [
        f"{percent(row.accuracy)} at {row.field} (always the commonest label: {percent(row.majority)})"
        for row in pooled.itertuples()
    ]
    intervals = [f"{percent(row.low)} to {percent(row.high)} at {row.field}" for row in pooled.itertuples()]
    undecided = [row.field for row in pooled.itertuples() if row.low <= row.majority]
    unshown = (
        f" At {listed(undecided)} the network is not shown to do better than always giving the commonest label."
        if undecided
        else ""
    )
    return {
        "question": f"How well can a small 3-D network recognise {disease} in brain scans, and how much of "
        "that could come from recognising the patient?",
        "found": f"On {what} a linear model gets {percent(means['Folds by scan'])} right with folds by scan and "
        f"{percent(means['Folds by patient'])} with folds by patient where there is nothing to learn; the network was not "
        f"tried on this. The network classifies {listed(reached)} correctly, in patients it has not seen (over all scans; "
        "the slides do not say what their means are taken over).",
        "how_sure": f"The first comparison is over {len(nulls)} cohorts in which the labels mean nothing. "
        f"The 95 % intervals over patients are {listed(intervals)}.{unshown}",
        "not_shown": "Whether the accuracies printed on the slides hold: their scans (ADNI) are given on "
        "application only. The printed split keeps patients apart (its counts of patients add up); whether the five folds "
        "behind the accuracies do is not said.",
    }


def printed_split(sums: Facts, shares: Facts, printed: float) -> str:
    """What the two data tables say about the printed split. sums, shares: `audit.shares_of_the_printed_splits` and `audit.class_shares_at_3t`."""
    whole = (
        "All printed sums are the sums of their parts."
        if sums["sums_holding"] == sums["sums"]
        else f"{sums['sums_holding']} of the {sums['sums']} printed sums are the sums of their parts."
    )
    return (
        f"{whole} But the split is uneven. At 3T {number(sums['at_3_percent'], 0)} % of the patients are in "
        "the validation part (one fold of five would hold 20 %), and "
        f"{number(shares['train_ad_percent'], 0)} % of the training images show AD against "
        f"{number(shares['validation_ad_percent'], 0)} % of the validation images. Always answering CN would "
        f"be right for {percent(shares['majority'], 1)} of these validation images. The printed accuracy at 3T, {percent(printed)}, "
        "is to be read against that if it is of these images; the slide on the model names five-fold cross-validation."
    )


def network_size(
    total: int, by_hand: Facts, here: int, shape: tuple[int, ...], amounts: PanagiotarasAmounts
) -> str:
    """Parameters of the published network, by module and by hand, and of the one that this page trains."""
    agree = "the same number" if total == by_hand["parameters"] else f"{by_hand['parameters']:,.0f}"
    return (
        f"The published network has {total:,} parameters; a count by hand from the printed layers gives "
        f"{agree}. {number(by_hand['dense_percent'], 0)} % of them are in the first dense layer. This page "
        f"trains the variant *{amounts.variant}* on the box around the brain, {' × '.join(map(str, shape))} voxels of "
        f"{amounts.resolution} mm, with {here:,} parameters."
    )


def image_folds_in_words(cohort: VolumeCohort, folds: int, seed: int) -> str:
    """Say whether folds by scan that claim to separate patients are refused."""
    patients = len(np.unique(cohort.groups))
    try:
        image_folds(cohort, folds, seed, promise="group")
    except RefusedInput as refusal:
        torn = [problem for problem in refusal.problems if problem.where.startswith("group")]
        return (
            f"> The guard refuses the first split by scan: {len(torn)} of {patients} patients have scans in more than "
            f"one part. For example: *{as_written(f'{torn[0].where}, {torn[0].found}')}.*"
        )
    return (
        "> Each patient has one scan here, so that folds by scan are folds by patient and the guard has "
        "nothing to refuse."
    )


def areas_in_words(table: pd.DataFrame, label: str) -> str:
    """The areas of one label with most of a map for their size, the first LEADING. table: of `heatmaps.relevance_table`."""
    own = table[table["label"] == label].groupby("area")["concentration"].mean().dropna()
    sides: dict[str, list[str]] = {}
    for name in own.sort_values(ascending=False, kind="stable").index[:LEADING]:
        area, comma, side = name.rpartition(", ")
        area = area if comma else name
        plain = (
            area[1:2].islower() and "_" not in area
        )  # "Deep grey", and no label of an atlas such as "Insula_L"
        sides.setdefault(area[0].lower() + area[1:] if plain else area, []).extend([side] if comma else [])
    named = [
        f"{as_written(area)} ({' and '.join(sorted(side))})" if side else as_written(area)
        for area, side in sides.items()
    ]
    return listed(named) if named else "none, for the maps are empty"


def leading_areas(relevance: pd.DataFrame, change: pd.DataFrame | None, patients: str) -> tuple[str, str]:
    """`areas_in_words` of relevance, and of the drawn change: None, and "" for it, where that is not known."""
    return areas_in_words(relevance, patients), "" if change is None else areas_in_words(change, patients)


def focus_in_words(relevance: pd.DataFrame, change: pd.DataFrame | None, patients: str) -> str:
    """Where relevance and the drawn change are densest, beside what the slides say; arguments of `leading_areas`."""
    looked, changed = leading_areas(relevance, change, patients)
    text = (
        "The slides see the main focus of their network in the temporal lobe, especially its medial part. Here, in "
        f"patients and over the four methods, these areas have most relevance for their size: {looked}."
    )
    return f"{text} These have most of the drawn change for their size: {changed}." if changed else text


def heatmap_answer(
    reached: Mapping[str, float],
    alike: pd.DataFrame,
    table: pd.DataFrame | None,
    areas: tuple[str, str],
    scans: tuple[int, int],
    people: tuple[int, int],
    majority: float,
) -> dict[str, str]:
    """The answer box of the heatmap page.

    Parameters
    ----------
    reached : accuracy on scans not trained on, of the network "on" and its twin "off"
    alike : rank correlations of patients' and controls' average maps, column spearman
    table : as `figures.concentration` takes it; None where the true effect is not known
    areas : `areas_in_words` of the relevance, and of the drawn change ("" where it is not known)
    scans, people : explained, and how many of them are patients' or patients
    majority : share of the commonest label among the scans
    """
    answer = {
        "question": "Where does the network look, and does a heatmap show the disease or only the brain?",
        "not_shown": "What the slides' own heatmaps show: they are printed without any number about them.",
    }
    other = "on permuted labels" if table is None else "on brains without any change"
    sure = (
        f"One network, and a twin trained {other}. On {counted(scans[0], 'scan')} of "
        f"{counted(people[0], 'held-out person', 'held-out people')} they are right in {percent(reached['on'])} and "
        f"{percent(reached['off'])}; {by_guessing(reached['off'], people[0], majority)}."
    )
    if table is None:
        return answer | {
            "found": f"On these scans the areas with most relevance for their size are {areas[0]}. Average maps of patients and of "
            f"controls correlate with up to {number(alike['spearman'].max())}. Whether the maps show the disease cannot be "
            "measured here: where it changes these brains is not known.",
            "how_sure": sure,
        }
    best = table.loc[table["on"].idxmax()]
    return answer | {
        "found": f"On synthetic brains drawn with a known change, the areas with most relevance for their size are "
        f"{areas[0]}; the change is densest in {areas[1]}. The average map of the best method ({best['method'].lower()}) ranks a changed "
        f"voxel above an unchanged one in {percent(best['on'])} of pairs. For a network trained on brains without any "
        f"change it still does so in {percent(best['off'])}.",
        "how_sure": f"{sure} The scored maps are averages over {counted(scans[1], 'scan')} of "
        f"{counted(people[1], 'patient')}.",
    }


def by_guessing(accuracy: float, people: int, majority: float) -> str:
    """How likely guessing (the commonest label, where it is commoner) does as well as the twin, counted in people."""
    right = round(accuracy * people)
    chance = p_value(binom.sf(right - 1, people, max(0.5, majority)))
    return f"with {people} people, guessing does as well as the twin with probability {chance}"


def twin_in_words(reached: Mapping[str, float], labels: np.ndarray, groups: np.ndarray, kind: str) -> str:
    """Accuracy of the network and its twin on scans not trained on. labels, groups: of these scans."""
    twin = (
        "its twin, without an effect to learn,"
        if kind == "synthetic"
        else "its twin, which learned permuted labels,"
    )
    majority = np.bincount(labels).max() / len(labels)
    people = len(np.unique(groups))
    return (
        f"On {len(labels)} scans of {counted(people, 'person', 'people')} that were not trained on, the network "
        f"is right in {percent(reached['on'])}, and {twin} in {percent(reached['off'])}; always giving the "
        f"commonest label is right in {percent(majority)}. Scans of one person are nearly alike, so it is people that count: "
        f"{by_guessing(reached['off'], people, majority)}."
    )


def linear_in_words(nulls: pd.DataFrame, real: Mapping[str, float]) -> str:
    """How the linear model's accuracy and map compare with null cohorts. nulls: a row a cohort; real: of the cohort."""
    text = (
        f"The linear model is right for {percent(real['accuracy'])} of the patients where the disease has its effect, against "
        f"{percent(nulls['accuracy'].mean())} on average in null cohorts."
    )
    if "auc" in nulls:
        text += (
            f" The AUC of voxels of its map is {number(real['auc'])}, against {number(nulls['auc'].mean())}."
        )
    if "auc" in nulls and nulls["auc"].mean() > 0.5:
        text += (
            " Even maps of models that learned nothing gather somewhat inside the effect, because brains differ most "
            "there; 0.5 is therefore not the value to exceed."
        )
    return text


def truth_made_of(truth: np.ndarray | None) -> str:
    """What counts as the true effect, for the provenance."""
    return "not known" if truth is None else f"voxels above {TRUTH_FROM:g} of the largest change of signal"


def likeness_in_words(alike: pd.DataFrame) -> str:
    """What the correlation of patients' and controls' maps says about the slides' remark."""
    low, high = alike["spearman"].min(), alike["spearman"].max()
    alike = alike.dropna(subset=["spearman", "pearson"])
    if alike.empty:
        return "The maps are empty, so how alike those of patients and of controls are cannot be measured."
    apart = alike.loc[(alike["spearman"] - alike["pearson"]).abs().idxmax()]
    other = ""
    if abs(apart["spearman"] - apart["pearson"]) >= MUCH:
        other = (
            f" (for {apart['method'].lower()} the Pearson correlation is {number(apart['pearson'])}, the rank correlation "
            f"{number(apart['spearman'])})"
        )
    return (
        "The slides remark that the maps of patients and of controls look much alike. Measured here, their "
        f"rank correlation is between {number(low)} and {number(high)}{other}. Close to 1, the two average maps point at the "
        "same places. That holds for a network that looks at anatomy and for one that looks at the same changed region "
        "in both groups; the correlation alone cannot show which."
    )


def truth_in_words(table: pd.DataFrame, outside: float, areas: Iterable[str]) -> str:
    """How the network's maps, the twin's and random maps compare.

    outside: share of the truth in no area of the atlas. areas: names of the areas of the atlas.
    """
    better = table.loc[table["on"] > table["null_high"], "times"]
    low, high = (better if len(better) else table["times"]).agg(["min", "max"])
    above = int((table["off"] > table["null_high"]).sum())
    least = table.loc[table["on"].idxmin()]
    text = (
        "The drawn disease shrinks grey matter of the medial temporal lobes and widens the lateral ventricles. With it "
        "to learn, the maps that exceed random ones have, inside the true effect, in patients and over the whole brain, "
        f"{number(low, 1)} to {number(high, 1)} times the relevance of an even map. Against random maps, {above} of the {len(table)} "
        "methods would appear to find a disease in a network that never saw one: a network can be sensitive "
        "where brains differ most, and not only where it learned to look. The network trained without an "
        "effect is therefore the fair comparison, and random maps are too weak a one. It is one network, though."
    )
    if least["on"] <= least["null_high"]:
        without = (
            ""
            if any("ventricle" in name.lower() for name in areas)
            else ", which has none for the ventricles"
        )
        text += (
            f" {least['method']} stays within the random maps ({number(least['on'])}); {percent(outside)} of the effect "
            f"lies in no area of the atlas{without}, and a map by area cannot show it there."
        )
    return text
