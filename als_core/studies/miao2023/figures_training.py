"""Figures of the crops study's classifiers: logs, grids, ROC curves, leaks (Miao et al., Fig. 10 to 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import roc_curve

from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style

COLOURS = {
    "by case": PALETTE[0],
    "by crop": PALETTE[2],
    "cross-validation": PALETTE[3],
    "augment, then split": PALETTE[1],
    "by case, labels permuted": PALETTE[6],
}

ON_PALE = (
    "#14181d"  # on a coloured cell in light and dark pages alike, so none of the inks that are exchanged
)


@house_style()
def training_log(ours: pd.DataFrame, printed: pd.DataFrame | None, references: Mapping[str, float]) -> Figure:
    """Loss and accuracy of the training images by epoch: every trial thin, their mean thick, the printed log as dots.

    ours: columns protocol, number, epoch, loss, accuracy. printed: columns epoch, loss, accuracy, or None where
    none is printed. references: two losses to mark, by name.
    """
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.2))
    for axes, (column, label) in zip(
        panels, {"loss": "Loss (nats)", "accuracy": "Accuracy"}.items(), strict=True
    ):
        for protocol, part in ours.groupby("protocol", sort=False):
            for _, one in part.groupby("number"):
                axes.plot(one["epoch"], one[column], color=COLOURS[protocol], lw=0.5, alpha=0.5)
            mean = part.groupby("epoch")[column].mean()
            axes.plot(mean.index, mean, color=COLOURS[protocol], lw=2, label=f"here, {protocol}")
        if printed is not None:
            axes.plot(printed["epoch"], printed[column], "o", color=INK, ms=3.5, label="printed")
        axes.set(xlabel="Epoch", ylabel=label)
        axes.grid(axis="y")
    for style, (name, value) in zip(("--", ":"), references.items(), strict=True):
        panels[0].axhline(value, color=MUTED, ls=style, lw=1, label=name)
    panels[0].set_ylim(bottom=0)
    figure.legend(
        *panels[0].get_legend_handles_labels(), ncols=5, loc="outside lower center", columnspacing=1.2
    )
    plt.close(figure)
    return figure


@house_style()
def accuracy_grids(grids: Mapping[str, pd.DataFrame]) -> Figure:
    """Grids of accuracy side by side on one colour scale. grids: title to a table, batch sizes by learning rates."""
    figure, panels = plt.subplots(1, len(grids), figsize=(WIDTH, 2.3), squeeze=False)
    for axes, (title, grid) in zip(panels.ravel(), grids.items(), strict=True):
        axes.imshow(grid, vmin=0.3, vmax=1, cmap="Blues", aspect="auto")
        for (row, column), value in np.ndenumerate(grid.to_numpy(float)):
            colour = "white" if value > 0.8 else ON_PALE
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=8, color=colour)
        axes.set_xticks(range(grid.shape[1]), [f"{rate:g}" for rate in grid.columns], fontsize=8)
        axes.set_yticks(range(grid.shape[0]), grid.index, fontsize=8)
        axes.set(xlabel="Learning rate")
        axes.set_title(title, fontsize=8.5)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels[0, 0].set_ylabel("Batch size")
    plt.close(figure)
    return figure


@house_style()
def accuracy_against_auc(bounds: pd.DataFrame, points: Mapping[str, tuple[float, float]]) -> Figure:
    """Which accuracies and AUCs go together on one test set. bounds: columns accuracy, least_auc. points: (accuracy, auc)."""
    figure, axes = plt.subplots(figsize=(WIDTH * 0.7, 3.0))
    axes.fill_between(bounds["accuracy"], bounds["least_auc"], 1, color=PALETTE[0], alpha=0.18, lw=0)
    axes.plot(
        bounds["accuracy"], bounds["least_auc"], color=PALETTE[0], label="least AUC that an accuracy leaves"
    )
    for name, (accuracy, auc) in points.items():
        axes.plot(accuracy, auc, "X", color=PALETTE[4], ms=9, zorder=3)
        style = {"arrowstyle": "-", "color": MUTED, "lw": 0.8, "shrinkB": 6}
        axes.annotate(
            name, (accuracy, auc), (accuracy, auc - 0.28), ha="right", va="top", fontsize=8, arrowprops=style
        )
    axes.set(xlabel="Accuracy", ylabel="AUC", xlim=(0.6, 1.005), ylim=(0, 1.02))
    axes.grid()
    axes.legend(loc="upper left")
    plt.close(figure)
    return figure


@house_style()
def roc_curves(
    predictions: Mapping[str, pd.DataFrame], protocols: Sequence[str], aucs: pd.DataFrame
) -> Figure:
    """ROC curves of every trial, a panel a network.

    predictions: panel title to rows of one network with protocol, number, truth, score. aucs: mean AUC, indexed by
    (title, protocol), which the titles give.
    """
    figure, panels = plt.subplots(1, len(predictions), figsize=(WIDTH, 3.3), sharey=True, squeeze=False)
    for axes, (title, table) in zip(panels.ravel(), predictions.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls="--")
        for protocol in protocols:
            for _, one in table[table["protocol"] == protocol].groupby("number"):
                if one["truth"].nunique() == 2:
                    false, true, _ = roc_curve(one["truth"], one["score"])
                    axes.plot(false, true, color=COLOURS[protocol], lw=1, alpha=0.6)
        axes.set(xlabel="1 - specificity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        means = ", ".join(f"{aucs.loc[(title, protocol), 'auc']:.2f} {protocol}" for protocol in protocols)
        axes.set_title(f"{title}\nmean AUC {means}", fontsize=8)
        axes.grid()
    panels[0, 0].set_ylabel("Sensitivity")
    handles = [Line2D([], [], color=COLOURS[protocol], lw=1, label=protocol) for protocol in protocols]
    figure.legend(handles=handles, ncols=len(protocols), loc="outside lower center")
    plt.close(figure)
    return figure


@house_style()
def auc_by_protocol(aucs: pd.DataFrame, order: Sequence[str]) -> Figure:
    """AUC by protocol: a dot a value, and the mean. aucs: columns group (a panel each), protocol, auc."""
    groups = list(dict.fromkeys(aucs["group"]))
    figure, panels = plt.subplots(
        1, len(groups), figsize=(WIDTH, 0.9 + 0.34 * len(order)), sharey=True, squeeze=False
    )
    for axes, group in zip(panels.ravel(), groups, strict=True):
        part = aucs[aucs["group"] == group]
        for place, protocol in enumerate(order):
            values = np.sort(part.loc[part["protocol"] == protocol, "auc"].dropna())
            apart = place + 0.22 * ((np.arange(len(values)) % 5) - 2) / 2
            axes.plot(values, apart, "o", ms=3, alpha=0.55, color=COLOURS[protocol])
            if len(values):
                axes.plot([values.mean()] * 2, [place - 0.35, place + 0.35], color=INK, lw=2)
                axes.text(1.06, place, f"{values.mean():.2f}", va="center", fontsize=8)
        axes.text(1.06, -0.75, "mean", va="center", fontsize=8, color=MUTED)
        axes.axvline(0.5, color=MUTED, ls="--", lw=0.9)
        axes.set(xlabel="AUC", xlim=(-0.02, 1.04), ylim=(len(order) - 0.5, -0.6))
        axes.set_yticks(range(len(order)), order)
        axes.set_title(group, fontsize=8.5)
        axes.grid(axis="x", color=GRID)
    plt.close(figure)
    return figure


@house_style()
def accuracy_of_cases(table: pd.DataFrame, majority: float) -> Figure:
    """Accuracy on cases with its exact interval, one row a method. table: columns name, accuracy, low, high, kind."""
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.3 * len(table)))
    kinds = list(dict.fromkeys(table["kind"]))
    for number, kind in enumerate(kinds):
        part = table[table["kind"] == kind]
        places = np.flatnonzero(table["kind"] == kind)
        errors = (part["accuracy"] - part["low"], part["high"] - part["accuracy"])
        axes.errorbar(
            part["accuracy"], places, xerr=errors, fmt="o", capsize=3, color=PALETTE[number], label=kind
        )
    axes.axvline(majority, color=MUTED, ls="--", lw=0.9, label="always the commonest label")
    axes.set_yticks(range(len(table)), table["name"])
    axes.set(xlabel="Accuracy on cases, 95 % exact interval", xlim=(0, 1.02), ylim=(len(table) - 0.5, -0.5))
    axes.legend(loc="lower left")
    axes.grid(axis="x")
    plt.close(figure)
    return figure
