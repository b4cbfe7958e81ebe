"""Figures of the T1w study: ages, intensities, the extractor, its features, and what classifiers make of them (Turrisi 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style

GROUP_COLOURS = {"ALS": PALETTE[0], "mimicking": PALETTE[1]}
REPRESENTATION_COLOURS = {
    "Radiomics": PALETTE[0],
    "DL7": PALETTE[1],
    "DL8": PALETTE[2],
    "age and sex": PALETTE[6],
}
ON_COLOUR = "#ffffff"  # text on a filled shape: the same on light and dark pages


def group_colour(label: str) -> str:
    """ALS blue, whatever it is compared with orange."""
    return GROUP_COLOURS.get(label, GROUP_COLOURS["mimicking"])


@house_style()
def quantile_plots(quantiles: pd.DataFrame) -> Figure:
    """Fig. 2: ages of each group against the quantiles of a normal distribution with its mean and sd.

    quantiles: columns label, normal and age (years), one row a patient.
    """
    groups = list(quantiles.groupby("label"))
    figure, panels = plt.subplots(1, len(groups), figsize=(WIDTH, 3.1), sharex=True, sharey=True)
    ends = quantiles[["normal", "age"]].to_numpy()
    ends = [ends.min() - 2, ends.max() + 2]
    for axes, letter, (label, ours) in zip(panels, "ab", groups, strict=True):
        axes.plot(ends, ends, "--", color=MUTED, linewidth=1)
        axes.scatter(ours["normal"], ours["age"], s=9, color=group_colour(label), linewidth=0, alpha=0.7)
        axes.set(
            xlim=ends,
            ylim=ends,
            xlabel="Normal quantile (years)",
            title=f"({letter}) {label}, n = {len(ours)}",
        )
        axes.grid()
    panels[0].set_ylabel("Age (years)")
    plt.close(figure)
    return figure


@house_style()
def mean_histograms(histograms: pd.DataFrame) -> Figure:
    """Fig. 3: mean histogram of voxel values in each group, with one standard deviation around it.

    histograms: columns label, value (middle of the bin), mean and sd (voxels a patient).
    """
    groups = list(histograms.groupby("label"))
    figure, panels = plt.subplots(1, len(groups), figsize=(WIDTH, 2.9), sharex=True, sharey=True)
    for axes, letter, (label, ours) in zip(panels, "ab", groups, strict=True):
        width = np.diff(ours["value"])[0]
        axes.bar(ours["value"], ours["mean"], width=width * 0.92, color=group_colour(label))
        axes.vlines(
            ours["value"], (ours["mean"] - ours["sd"]).clip(0), ours["mean"] + ours["sd"], INK, linewidth=0.7
        )
        axes.set(xlabel="Voxel value (0 left out)", title=f"({letter}) {label}")
        axes.grid(axis="y")
    panels[0].set_ylabel("Voxels a patient")
    plt.close(figure)
    return figure


@house_style()
def extractor_drawing(stages: pd.DataFrame, input_shape: Sequence[int], taken: Mapping[str, str]) -> Figure:
    """Fig. 1: the blocks of the extractor from left to right, and where features are taken.

    stages: as `models.cost.describe` lists them. input_shape: (1, 1, Z, X, Y). taken: stage -> name of what is
    taken from it. A block is as tall as its maps are (on a logarithmic scale).
    """
    shown = stages[stages["output_shape"].map(len) == 5]
    figure, axes = plt.subplots(figsize=(WIDTH, 2.9))
    axes.set(xlim=(-0.75, len(shown) + 0.45), ylim=(-1.75, 1.6))
    axes.set_axis_off()
    tall = lambda shape: 0.35 + 0.25 * np.log2(shape[-1])  # noqa: E731
    axes.text(-0.4, 0, "T1w\n" + "\n× ".join(map(str, input_shape[2:])), ha="center", va="center", fontsize=8)
    for place, stage in enumerate(shown.itertuples()):
        height = tall(stage.output_shape)
        feature = taken.get(stage.stage)
        colour = REPRESENTATION_COLOURS.get(feature, PALETTE[6])
        axes.add_patch(Rectangle((place + 0.08, -height / 2), 0.84, height, facecolor=colour))
        axes.annotate("", (place + 0.09, 0), (place - 0.1, 0), arrowprops={"arrowstyle": "-", "color": MUTED})
        middle = place + 0.5
        pool = stage.kind.rpartition("max pool ")[2] if "max pool" in stage.kind else ""
        axes.text(middle, 0, f"{place + 1}", ha="center", va="center", color=ON_COLOUR, fontsize=9)
        axes.text(middle, 1.12, f"pool {pool}" if pool else "", ha="center", fontsize=8, color=MUTED)
        maps, *sides = stage.output_shape[1:]
        axes.text(
            middle, -1.12, f"{maps} maps\n" + "×".join(map(str, sides)), ha="center", va="top", fontsize=8
        )
        if feature:
            axes.annotate(
                feature, (middle, height / 2 + 0.02), (middle, 0.92),
                ha="center", fontsize=9.5, fontweight="bold", color=colour,
                arrowprops={"arrowstyle": "<-", "color": colour},
            )  # fmt: skip
    plt.close(figure)
    return figure


@house_style()
def separation(effects: pd.DataFrame) -> Figure:
    """How far the groups are apart in each feature: one dot a feature, by family or layer.

    effects: columns family, representation, feature, d (difference of the means over the pooled sd).
    """
    families = list(effects["family"].unique())
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.34 * len(families)))
    generator = np.random.default_rng(0)
    for place, family in enumerate(families):
        ours = effects[effects["family"] == family]
        height = place + generator.uniform(-0.27, 0.27, len(ours))
        colour = REPRESENTATION_COLOURS[ours["representation"].iloc[0]]
        axes.scatter(ours["d"], height, s=12, color=colour, alpha=0.65, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_yticks(range(len(families)), families)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("ALS less the others, in standard deviations")
    axes.grid(axis="x")
    plt.close(figure)
    return figure


@house_style()
def correlations(matrices: Mapping[str, np.ndarray]) -> Figure:
    """Correlation of every pair of features, a panel a representation. matrices: name -> (F, F), -1 to 1."""
    figure, panels = plt.subplots(1, len(matrices), figsize=(WIDTH, 2.7))
    for axes, (name, matrix) in zip(panels, matrices.items(), strict=True):
        shown = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        axes.set(title=f"{name}, {len(matrix)} features", xticks=[], yticks=[])
    bar = figure.colorbar(shown, ax=panels, shrink=0.8, pad=0.015)
    bar.set_label("Correlation", color=INK)
    plt.close(figure)
    return figure


@house_style()
def f1_dots(table: pd.DataFrame, lines: Mapping[str, float]) -> Figure:
    """Table 3 as dots: F1 of every method on every representation, regenerated beside printed.

    table: columns method, representation, mean, sd, printed, printed_sd (percent). lines: dashed lines, name
    to F1 in percent: first that of this page's cohort, then that of the paper's.
    """
    names = list(table["representation"].unique())
    methods = list(table["method"].unique())
    figure, panels = plt.subplots(
        1, len(names), figsize=(WIDTH, 1.35 + 0.33 * len(methods)), sharey=True, sharex=True
    )
    for axes, name in zip(panels, names, strict=True):
        ours = table[table["representation"] == name].set_index("method").reindex(methods)
        rows = np.arange(len(methods))
        colour = REPRESENTATION_COLOURS[name]
        axes.errorbar(ours["printed"], rows - 0.16, xerr=ours["printed_sd"], fmt="o", color=MUTED, mfc="none",
                      markersize=4.5, elinewidth=1, label="printed")  # fmt: skip
        axes.errorbar(ours["mean"], rows + 0.16, xerr=ours["sd"], fmt="o", color=colour, markersize=5, elinewidth=1.4,
                      label="this page")  # fmt: skip
        for value, style, ink in zip(lines.values(), ("--", ":"), (INK, MUTED), strict=False):
            axes.axvline(value, linestyle=style, color=ink, linewidth=1.2, zorder=0)
        axes.set(title=name, xlabel="F1 of ALS (%)")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    printed, ours = panels[0].containers[:2]
    handles = [
        ours,
        printed,
        *(plt.Line2D([], [], linestyle=s, color=i) for s, i in zip(("--", ":"), (INK, MUTED), strict=True)),
    ]
    figure.legend(handles, ["this page", "printed", *lines], loc="outside lower center", ncols=4, fontsize=8)
    plt.close(figure)
    return figure


@house_style()
def confusion_panels(counts: Mapping[str, np.ndarray], classes: tuple[str, str]) -> Figure:
    """Fig. 4: confusion matrices side by side, shaded by the share of the true class.

    counts: title to int (2, 2), rows the truth, columns the answer. classes: names in that order.
    """
    figure, panels = plt.subplots(1, len(counts), figsize=(WIDTH, 2.65), sharey=True)
    for axes, (title, matrix) in zip(panels, counts.items(), strict=True):
        _matrix(axes, np.asarray(matrix), title)
        axes.set_xticks((0, 1), classes)
        axes.set_yticks((0, 1), classes, rotation=90, va="center")
        axes.set_xlabel("Answer")
    panels[0].set_ylabel("Truth")
    plt.close(figure)
    return figure


def _matrix(axes: Axes, matrix: np.ndarray, title: str) -> None:
    shares = matrix / matrix.sum(1, keepdims=True)
    for row, column in np.ndindex(2, 2):
        share = shares[row, column]
        axes.add_patch(
            Rectangle(
                (column - 0.48, row - 0.48), 0.96, 0.96, facecolor=PALETTE[0], alpha=0.12 + 0.88 * share
            )
        )
        text = f"{matrix[row, column]}\n{share:.0%}"
        axes.text(
            column, row, text, ha="center", va="center", fontsize=9, color=ON_COLOUR if share > 0.75 else INK
        )
    axes.set(title=title, xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
    axes.set_aspect("equal")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


@house_style()
def null_dots(areas: pd.DataFrame) -> Figure:
    """AUC of the nested protocol on null cohorts, a dot each, beside that with permuted labels; means as lines.

    areas: columns representation, nested, permuted.
    """
    names = list(areas["representation"].unique())
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.62 * len(names)))
    generator = np.random.default_rng(0)
    for place, name in enumerate(names):
        ours = areas[areas["representation"] == name]
        for column, shift, colour in (
            ("nested", -0.2, REPRESENTATION_COLOURS[name]),
            ("permuted", 0.2, MUTED),
        ):
            height = place + shift + generator.uniform(-0.11, 0.11, len(ours))
            axes.scatter(ours[column], height, s=11, color=colour, alpha=0.6, linewidth=0)
            mean = ours[column].mean()
            axes.plot([mean, mean], [place + shift - 0.18, place + shift + 0.18], color=INK, linewidth=1.8)
    axes.axvline(0.5, color=GRID, linewidth=1.2, zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("AUC of one null cohort: colour, its labels; grey, permuted; line, mean")
    plt.close(figure)
    return figure
