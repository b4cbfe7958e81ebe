"""Figures and tables of the page on what separates the classes: scores beside their nulls, cues, donors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.group_word import DONOR, GroupWord
from als_core.cohorts.quality import AXIS_LABELS
from als_core.figures.drawn import Drawn, listed, p_value, percent, percent_range
from als_core.figures.primitives import (
    NULL,
    draw_cells,
    draw_reference,
    draw_rows,
    legend,
    panels,
    percent_axis,
)
from als_core.figures.style import PALETTE, house_style
from als_core.statistics.intervals import clopper_pearson
from als_core.studies.xia2024.by_donor import count_predictions, group_votes
from als_core.studies.xia2024.separation import ALONE, BY_DONOR, COGNITION, CUES, DISEASE, EVERY_CLASS
from als_core.studies.xia2024.words import recipe_of, trains_head_only
from als_core.training.runs import Run

MEASURES = {
    "laplacian_variance": f"Sharpness{ALONE}",
    "snr": f"Signal-to-noise{ALONE}",
    "brightness_mean": f"Brightness{ALONE}",
    "contrast_sd": f"Contrast{ALONE}",
}
PERSON = GroupWord("person", "people")  # whom a section of synthetic tissue is of
MARKS = {
    "observed, 95 %": ("interval", PALETTE[0]),
    "labels permuted, 5 to 95 %": ("band", NULL),
    "their mean": ("tick", NULL),
}


def slides_of(samples: pd.DataFrame) -> np.ndarray | None:
    """Return the slide of each sample, or None where the manifest names none."""
    return samples["slide"].to_numpy(str) if "slide" in samples else None


def single_measures(quality: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return each quality measure as features of one column, by what it is called on the page."""
    return {
        title: quality[[column]].to_numpy(float)
        for column, title in MEASURES.items()
        if column in AXIS_LABELS
    }


def _panels_of_scores(table: pd.DataFrame, column: str, values: Sequence[str], row: str = "name"):
    order = list(dict.fromkeys(table[row]))
    figure, grid = panels(len(values), height=1.15 + 0.3 * len(order), sharey=True)
    rows = table.rename(columns={"score": "value"})
    for axes, value in zip(grid, values, strict=True):
        part = rows[rows[column] == value]
        draw_rows(axes, part, row=row, order=order)
        percent_axis(axes).set(title=value[0].upper() + value[1:], xlim=(0, 1.02), xlabel="Balanced accuracy")
        draw_reference(axes, float(part["chance"].iloc[0]), kind="dotted")
    legend(figure, MARKS)
    return figure


def _spoken(table: pd.DataFrame, columns: Sequence[str]) -> str:
    return "; ".join(
        f"{', '.join(str(getattr(row, column)) for column in columns)} {percent(row.score)}, permuted "
        f"{percent(row.null)}, p {p_value(row.p)}"
        for row in table.itertuples()
    )


def _with_word(table: pd.DataFrame, unit: GroupWord) -> pd.DataFrame:
    """Name the split by group with a cohort's word."""
    return table.replace({"split": {BY_DONOR: f"by {unit.one}"}})


@house_style()
def scores_by_split(
    table: pd.DataFrame, question: str, synthetic: bool = False, unit: GroupWord = DONOR
) -> Drawn:
    """Draw the score of each set of features under each split, over the band of its null; a panel per split."""
    unit = PERSON if synthetic else unit
    part = _with_word(table[table["question"] == question], unit)
    where = "on synthetic tissue without a disease effect" if synthetic else "under each split"
    return Drawn(
        _panels_of_scores(part, "split", list(dict.fromkeys(part["split"]))),
        f"Balanced accuracy of each classifier {where}, beside its null. Intervals are over "
        f"{unit.many}, and so are permutations. Dotted: guessing.",
        f"Dots with intervals over bands of the null. {_spoken(part, ['name', 'split'])}.",
        part,
    )


@house_style()
def scores_by_question(table: pd.DataFrame, unit: GroupWord = DONOR) -> Drawn:
    """Draw the score by donor for each of the two contrasts; a panel per question."""
    part = _with_word(table[(table["split"] == BY_DONOR) & (table["question"] != EVERY_CLASS)], unit)
    return Drawn(
        _panels_of_scores(part, "question", [DISEASE, COGNITION]),
        f"Balanced accuracy in {unit.many} that were not seen before, for the two questions of the study. Marks as above.",
        f"Dots with intervals over bands of the null. {_spoken(part, ['question', 'name'])}.",
        part,
    )


@house_style()
def scores_by_cue(table: pd.DataFrame, unit: GroupWord = DONOR) -> Drawn:
    """Draw the score by donor after each cue was made equal in all images; a panel per question."""
    part = _with_word(table, unit).assign(step=table["name"] + ", " + table["cue"])
    order = [f"{name}, {cue}" for name in dict.fromkeys(part["name"]) for cue in CUES]
    part = part.set_index("step").loc[[step for step in order if step in set(part["step"])]].reset_index()
    return Drawn(
        _panels_of_scores(part, "question", list(dict.fromkeys(table["question"])), row="step"),
        f"Balanced accuracy in new {unit.many} as cues are removed from all images. From top to bottom: the images as they "
        "are, then with one cue made equal in all images, then with all of them. Marks as above.",
        f"Dots with intervals over bands of the null. {_spoken(part, ['question', 'step'])}.",
        part,
    )


def score_rows(table: pd.DataFrame, unit: GroupWord = DONOR) -> pd.DataFrame:
    """Format `separation.separation_table`: one row per question, split and classifier."""
    table = _with_word(table, unit)
    return pd.DataFrame(
        {
            "Question": table["question"],
            "Split": table["split"],
            "Classifier": table["name"],
            "Balanced accuracy": table["score"].map(percent),
            f"95 % over {unit.many}": [
                percent_range(*ends) for ends in zip(table["low"], table["high"], strict=True)
            ],
            "Labels permuted, mean ± SD": [
                f"{percent(mean)} ± {percent(sd)}"
                for mean, sd in zip(table["null"], table["null_sd"], strict=True)
            ],
            "p": table["p"].map(p_value),
            "p, any classifier": table["p_family"].map(p_value),
        }
    )


def donor_votes(
    counts: Mapping[tuple[str, str, str], np.ndarray], trained: Mapping[str, Sequence[Run]], cohort: Cohort
) -> pd.DataFrame:
    """Return one row per classifier and held-out donor (`by_donor.group_votes`), with the classifier's name.

    counts: of `separation.separation_table`. trained: runs under splits by donor, by name; the name says where all
    stages but the head are frozen.
    """
    if cohort.groups is None:
        return pd.DataFrame()
    predicted = {
        name: each
        for (question, split, name), each in counts.items()
        if (question, split) == (EVERY_CLASS, BY_DONOR)
    }
    predicted = {name: each for name, each in predicted.items() if name not in MEASURES.values()}
    for name, runs in trained.items():
        part = "head trained" if trains_head_only(recipe_of(runs)) else "trained"
        predicted[f"{name}, {part}"] = count_predictions(runs)
    tables = [
        group_votes(each, cohort.labels, cohort.groups).assign(name=name) for name, each in predicted.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


@house_style()
def donor_grid(votes: pd.DataFrame, classes: Sequence[str], unit: GroupWord = DONOR) -> Drawn:
    """Draw the share of images of each held-out donor that each classifier gets right, framed where its vote is right.

    votes : columns name (of the classifier), group, label (class number), share, right (`by_donor.group_votes`).
    """
    names = list(dict.fromkeys(votes["name"]))
    donors = votes.drop_duplicates("group").sort_values(["label", "group"]).set_index("group")["label"]
    shares, right = (
        votes.pivot(index="group", columns="name", values=column).reindex(index=donors.index, columns=names)
        for column in ("share", "right")
    )
    labels = donors.map(lambda label: classes[label])
    figure, (axes,) = panels(1, height=0.9 + 0.24 * len(donors))
    draw_cells(
        axes,
        shares.to_numpy(float),
        shares.map(percent).to_numpy(),
        [f"{group} ({label})" for group, label in labels.items()],
        [name.replace(", ", " ").replace(" ", "\n").replace("-", "-\n") for name in names],
        framed=right.fillna(False).to_numpy(bool),
    )
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8)
    totals = votes.groupby("name", sort=False)["right"].agg(["sum", "size"])
    return Drawn(
        figure,
        f"Share of the images of each {unit.one} that each classifier gets right while the {unit.one} is held out. "
        f"A frame marks {unit.a} whose vote is right: its commonest predicted class is its own.",
        f"Grid of {unit.many} by classifiers. {unit.many.capitalize()} right: "
        f"{listed(f'{name} {k} of {n}' for name, k, n in totals.itertuples())}.",
        votes.assign(label=votes["label"].map(lambda label: classes[label])),
    )


def vote_rows(votes: pd.DataFrame, unit: GroupWord = DONOR) -> pd.DataFrame:
    """List how many donors each classifier's votes get right, with the exact interval over donors."""
    rows = []
    for name, part in votes.groupby("name", sort=False):
        right, n = int(part["right"].sum()), len(part)
        low, high = clopper_pearson(right, n)
        rows.append(
            {
                "Classifier": name,
                f"{unit.many.capitalize()} right": f"{right} of {n}",
                "95 %": percent_range(low, high),
            }
        )
    return pd.DataFrame(rows)


def recognition_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Format `separation.recognition_table`."""
    return pd.DataFrame(
        {
            "Recognised": table["unit"],
            "Classifier": table["name"],
            "Images right": table["share"].map(percent),
            "Chance": (1 / table["units"]).map(percent),
        }
    )
