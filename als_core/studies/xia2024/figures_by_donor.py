"""Figures and tables of the study by donor: accuracy beside its null under each split, and what became of each donor."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator, PercentFormatter

from als_core.figures.style import GRID, INK, PALETTE, WIDTH, house_style
from als_core.studies.xia2024.figures_benchmark import DEEPEST, p_value, percent
from als_core.studies.xia2024.figures_data import class_colours

NULL = PALETTE[1]


@house_style()
def accuracy_by_protocol(table: pd.DataFrame) -> Figure:
    """Accuracy of each classifier with its interval, over the band of its null; a panel a protocol.

    table: columns name, protocol, accuracy, low, high, null_mean, null_low, null_high (`by_donor.summary`);
    a classifier without a null has NaN there.
    """
    names, protocols = (list(dict.fromkeys(table[column])) for column in ("name", "protocol"))
    figure, panels = plt.subplots(
        1, len(protocols), figsize=(WIDTH, 1.15 + 0.34 * len(names)), sharey=True, squeeze=False
    )
    for axes, protocol in zip(panels[0], protocols, strict=True):
        for row in table[table["protocol"] == protocol].itertuples():
            place = names.index(row.name)
            axes.barh(
                place, row.null_high - row.null_low, left=row.null_low, height=0.56, color=NULL, alpha=0.35
            )
            axes.vlines(row.null_mean, place - 0.28, place + 0.28, color=NULL, linewidth=1.6)
            axes.hlines(place, row.low, row.high, color=PALETTE[0], linewidth=1.4)
            axes.plot(row.accuracy, place, "o", color=PALETTE[0], markersize=6)
        axes.set(title=protocol.capitalize(), xlim=(0, 1), xlabel="Accuracy")
        axes.xaxis.set_major_locator(MultipleLocator(0.5))
        axes.xaxis.set_minor_locator(MultipleLocator(0.25))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="x", which="both")
        axes.tick_params(axis="y", length=0)
    panels[0, 0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.45, -0.55))
    handles = [
        Line2D([], [], color=PALETTE[0], marker="o", markersize=6, label="observed, 95 %"),
        Patch(color=NULL, alpha=0.35, linewidth=0, label="labels permuted, 5 to 95 %"),
        Line2D([], [], color=NULL, marker="|", linestyle="", markersize=10, markeredgewidth=1.6, label="their mean"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    figure.get_layout_engine().set(wspace=0.06)  # room between the 100 % of a panel and the 0 % of the next
    plt.close(figure)
    return figure


@house_style()
def donor_grid(votes: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """What became of each donor: share of right answers as shade and number, framed where the donor's vote is right.

    votes: columns name (of the classifier), group, label (class number), share, right, as `by_donor.group_votes`.
    """
    names = list(dict.fromkeys(votes["name"]))
    donors = votes.drop_duplicates("group").sort_values(["label", "group"])
    order = donors["group"].tolist()
    colours = class_colours(classes)
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * len(order)))
    for row in votes.itertuples():
        column, line = names.index(row.name), order.index(row.group)
        corner = (column - 0.46, line - 0.42)
        axes.add_patch(
            plt.Rectangle(corner, 0.92, 0.84, color=PALETTE[0], alpha=DEEPEST * row.share, linewidth=0)
        )
        edge = {"edgecolor": INK, "linewidth": 1.3} if row.right else {"edgecolor": GRID, "linewidth": 0.6}
        axes.add_patch(plt.Rectangle(corner, 0.92, 0.84, fill=False, **edge))
        axes.text(column, line, f"{row.share:.0%}", ha="center", va="center", fontsize=8)
    labels = [f"{group} ({classes[label]})" for group, label in zip(order, donors["label"], strict=True)]
    axes.set_yticks(range(len(order)), labels)
    for text, label in zip(axes.get_yticklabels(), donors["label"], strict=True):
        text.set_color(colours[classes[label]])
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names])
    axes.set(xlim=(-0.55, len(names) - 0.45), ylim=(len(order) - 0.4, -0.6))
    axes.tick_params(length=0, labelsize=8)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    plt.close(figure)
    return figure


def protocol_rows(table: pd.DataFrame) -> pd.DataFrame:
    """`by_donor.summary` of several classifiers and protocols as a reader wants it, accuracies in percent.

    table: as in `accuracy_by_protocol`, and answers, null_sd and p.
    """
    nothing = table["p"].isna()
    return pd.DataFrame(
        {
            "Split": table["protocol"],
            "Classifier": table["name"],
            "Answers": table["answers"],
            "Accuracy": table["accuracy"].map(percent),
            "95 %": [
                f"{percent(a)} to {percent(b)}" for a, b in zip(table["low"], table["high"], strict=True)
            ],
            "Labels permuted, mean ± SD": np.where(
                nothing,
                "not computed",
                table["null_mean"].map(percent) + " ± " + table["null_sd"].map(percent),
            ),
            "p": ["" if none else p_value(p) for none, p in zip(nothing, table["p"], strict=True)],
        }
    )


def vote_rows(votes: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """How many donors each classifier's votes name correctly. intervals: low and high, indexed by name."""
    counts = votes.groupby("name", sort=False)["right"].agg(["sum", "size"])
    return pd.DataFrame(
        {
            "Classifier": counts.index,
            "Donors right": [f"{k} of {n}" for k, n in counts.itertuples(index=False)],
            "95 %, donors independent": [
                f"{percent(low)} to {percent(high)}"
                for low, high in intervals.loc[counts.index, ["low", "high"]].itertuples(index=False)
            ],
        }
    )


def recognition_rows(table: pd.DataFrame) -> pd.DataFrame:
    """`by_donor.recognition_table` as a reader wants it."""
    return pd.DataFrame(
        {
            "Named": table["unit"],
            "Classifier": table["name"],
            "Right": [f"{k} of {n}" for k, n in zip(table["right"], table["answers"], strict=True)],
            "Percent": table["share"].map(percent),
            "Chance, percent": (1 / table["units"]).map(percent),
        }
    )
