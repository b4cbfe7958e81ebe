"""Figures of the audit: findings at a glance, what printed numbers leave possible, leaks replayed, donors needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.ticker import FixedLocator, NullFormatter, PercentFormatter

from als_core.figures.style import GRID, GROUND, INK, MUTED, PALETTE, WIDTH, house_style

PAPER_NAMES = {
    "xia2024": "Xia 2024",
    "miao2023": "Miao",  # its year is not printed
    "turrisi2024": "Turrisi 2024",
    "panagiotaras": "Panagiotaras",
    "wang2023": "Wang 2023",
}
PAPER_COLOURS = dict(zip(PAPER_NAMES, PALETTE, strict=False))
# severity is an order: from a strong colour to grey
SEVERITY_COLOURS = {"critical": "#c8473c", "major": "#d97a1e", "moderate": "#2477b3", "minor": "#6b7580"}
KIND_COLOURS = dict(zip(("tissue", "crops", "brains", "feature tables"), PALETTE, strict=False))


@house_style()
def findings_map(findings: pd.DataFrame, categories: Sequence[str]) -> Figure:
    """Every finding as a tile with its id, by paper (rows) and category (columns), coloured by severity.

    findings: columns id, paper, category, severity.
    """
    across, tile = 5, 0.98
    counts = findings.groupby(["paper", "category"]).size()
    lines = {paper: max(1, int(np.ceil(counts[paper].max() / across))) for paper in PAPER_NAMES}
    height = sum(lines.values()) + 0.6 * len(lines)
    figure, axes = plt.subplots(figsize=(WIDTH, 0.55 + 0.27 * height))
    top = 0.0
    for paper, name in PAPER_NAMES.items():
        axes.text(-0.35, top + lines[paper] / 2, name, ha="right", va="center", fontsize=9)
        for column, category in enumerate(categories):
            here = findings[(findings["paper"] == paper) & (findings["category"] == category)]
            for place, row in enumerate(here.itertuples()):
                x, y = column * (across + 0.5) + place % across, top + place // across
                axes.add_patch(
                    FancyBboxPatch((x + 0.06, y + 0.06), tile - 0.12, tile - 0.12, boxstyle="round,pad=0,rounding_size=0.12",
                                   facecolor=SEVERITY_COLOURS[row.severity], edgecolor="none", mutation_aspect=1)
                )  # fmt: skip
                axes.text(x + 0.49, y + 0.5, row.id, ha="center", va="center", fontsize=8, color=GROUND)
        top += lines[paper] + 0.6
        axes.axhline(top - 0.3, color=GRID, linewidth=0.6)
    for column, category in enumerate(categories):
        axes.text(column * (across + 0.5) + across / 2, -0.35, category.replace(" ", "\n", 1), ha="center", va="bottom", fontsize=8.5)  # fmt: skip
    axes.set(xlim=(-3.9, len(categories) * (across + 0.5)), ylim=(top, -1.6))
    axes.set_axis_off()
    handles = [Patch(color=colour, label=name) for name, colour in SEVERITY_COLOURS.items()]
    axes.legend(handles=handles, ncols=4, loc="upper center", bbox_to_anchor=(0.55, 0.02))
    plt.close(figure)
    return figure


@house_style()
def headline_intervals(results: pd.DataFrame) -> Figure:
    """Printed results as points, with the interval if images (thick) or donors alone (thin) are independent.

    results: as `evidence.headlines.with_intervals` gives them. A cross marks what is reached without an image.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.34 * len(results)))
    for place, row in enumerate(results.itertuples()):
        colour = PAPER_COLOURS[row.paper]
        axes.plot([row.donor_low, row.donor_high], [place, place], color=colour, linewidth=1.2)
        axes.plot(
            [row.low, row.high], [place, place], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt"
        )
        axes.plot(row.value, place, "o", color=colour, markersize=6)
        axes.plot(row.trivial, place, "x", color=INK, markersize=6, markeredgewidth=1.6)
    names = [f"{PAPER_NAMES[r.paper]}: {r.result}, {r.measure}\n{r.images} images, {r.donors} {r.unit}" for r in results.itertuples()]  # fmt: skip
    axes.set_yticks(range(len(results)), names, fontsize=8)
    axes.set(xlim=(0.3, 1.01), xlabel="Accuracy or AUC")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    handles = [
        Line2D([], [], color=MUTED, marker="o", linestyle="", label="as printed"),
        Line2D([], [], color=MUTED, linewidth=5, alpha=0.45, label="95 %, images independent"),
        Line2D([], [], color=MUTED, linewidth=1.2, label="95 %, donors alone"),
        Line2D([], [], color=INK, marker="x", linestyle="", label="without an image"),
    ]
    axes.legend(handles=handles, ncols=4, loc="lower center", bbox_to_anchor=(0.3, 1.0), columnspacing=1.2)
    plt.close(figure)
    return figure


@house_style()
def mcnemar_ranges(ranges: pd.DataFrame) -> Figure:
    """What an exact McNemar test can say of counts alone: the range of p for each comparison, on a log axis.

    ranges: columns name, least, greatest.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.75 + 0.36 * len(ranges)))
    for place, row in enumerate(ranges.itertuples()):
        colour = PALETTE[4] if row.least > 0.05 else PALETTE[2] if row.greatest < 0.05 else PALETTE[5]
        axes.plot([row.least, row.greatest], [place, place], "o-", color=colour, linewidth=6, markersize=6)
        axes.text(1.25, place, f"{row.least:.2g} to {row.greatest:.2g}" if row.least < row.greatest else f"{row.least:.2g}",
                  va="center", fontsize=8)  # fmt: skip
    axes.axvline(0.05, color=INK, linestyle="--", linewidth=1)
    axes.set_xscale("log")
    ticks = [0.001, 0.01, 0.05, 0.1, 1]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(range(len(ranges)), ranges["name"])
    axes.set(
        xlim=(0.001, 4),
        ylim=(len(ranges) - 0.5, -0.5),
        xlabel="p, over every way in which the errors can overlap",
    )
    axes.tick_params(axis="y", length=0)
    plt.close(figure)
    return figure


@house_style()
def sizes_that_fit(fits: Mapping[str, Sequence[int]], largest: int) -> Figure:
    """For each group of printed shares the numbers of images of which they all can be shares, as ticks.

    fits: label to sizes, none above `largest`.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.7 + 0.42 * len(fits)))
    for place, sizes in enumerate(fits.values()):
        axes.vlines(sizes, place - 0.32, place + 0.32, color=PALETTE[0], linewidth=1.1)
        if len(sizes) <= 3:
            for size in sizes:
                axes.text(size, place - 0.36, f" {size}", ha="center", va="bottom", fontsize=8)
    axes.set_yticks(range(len(fits)), list(fits), fontsize=8)
    axes.set(xlim=(0, largest), ylim=(len(fits) - 0.5, -0.75), xlabel="Number of images")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    plt.close(figure)
    return figure


@house_style()
def possible_metrics(tables: pd.DataFrame, trivial: tuple[float, float]) -> Figure:
    """F1 against balanced accuracy of every table of counts that agrees with the printed metrics.

    tables: columns name, f1, balanced_accuracy, one row a table. trivial: the same two for answering one class.
    """
    figure, axes = plt.subplots(figsize=(WIDTH * 0.72, 3.3))
    for (name, part), colour in zip(tables.groupby("name", sort=False), PALETTE, strict=False):
        axes.plot(part["balanced_accuracy"], part["f1"], "o", color=colour, markersize=5, alpha=0.75, label=f"{name} ({len(part)} tables)")  # fmt: skip
    axes.plot(*trivial[::-1], "x", color=INK, markersize=9, markeredgewidth=2, label="always ALS")
    axes.axhline(trivial[0], color=INK, linestyle="--", linewidth=0.9)
    axes.set(xlabel="Balanced accuracy", ylabel="F1, ALS positive", xlim=(0.48, 0.7))
    axes.grid()
    axes.legend(loc="lower left", bbox_to_anchor=(0.02, 0.02))
    plt.close(figure)
    return figure


@house_style()
def leak_shifts(directions: pd.DataFrame, order: Sequence[str]) -> Figure:
    """How far each switch moves the AUC of null cohorts, by kind of material, with 95 % intervals.

    directions: from `training.leak_switches.directions`. order: the switches from top to bottom. An open circle
    at 0 marks a switch that does not apply to a kind.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.5 * len(order)))
    for number, (kind, colour) in enumerate(KIND_COLOURS.items()):
        rows = directions[directions["kind"] == kind].set_index("switches")
        for place, name in enumerate(order):
            y = place + (number - 1.5) * 0.17
            if name not in rows.index or rows.loc[name, "declared"] == "not applicable":
                axes.plot(0, y, "o", color=colour, markersize=4, fillstyle="none", alpha=0.7)
                continue
            shift, half = rows.loc[name, "shift"], 1.96 * rows.loc[name, "error"]
            axes.plot([shift - half, shift + half], [y, y], color=colour, linewidth=1.6)
            axes.plot(shift, y, "o", color=colour, markersize=5)
    axes.axvline(0, color=MUTED, linewidth=0.9)
    axes.set_yticks(range(len(order)), order)
    axes.set(xlabel="Reported AUC minus that of the honest protocol, where there is nothing to find")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    handles = [
        Line2D([], [], color=colour, marker="o", linewidth=1.6, label=kind)
        for kind, colour in KIND_COLOURS.items()
    ]
    handles.append(
        Line2D([], [], color=MUTED, marker="o", fillstyle="none", linestyle="", label="does not apply")
    )
    axes.legend(handles=handles, ncols=5, loc="lower center", bbox_to_anchor=(0.4, 1.0), columnspacing=1.2)
    plt.close(figure)
    return figure


@house_style()
def something_from_nothing(steps: pd.DataFrame) -> Figure:
    """Reported AUC of null cohorts as one switch after another is turned on, and what the models are worth.

    steps: from `training.leak_switches.summary`, sets of `stacked` in their order, one kind of material or more.
    """
    kinds = steps["kind"].unique()
    figure, panels = plt.subplots(1, len(kinds), figsize=(WIDTH, 3.6), sharey=True, squeeze=False)
    for axes, kind in zip(panels[0], kinds, strict=True):
        part = steps[steps["kind"] == kind].reset_index(drop=True)
        places = np.arange(len(part))
        axes.fill_between([-0.6, len(part) - 0.4], 0.5, 0, color=GRID, alpha=0.35, linewidth=0)
        axes.bar(places, part["reported"] - 0.5, bottom=0.5, width=0.72, color=KIND_COLOURS[kind])
        axes.vlines(places, part["low"], part["high"], color=INK, linewidth=1)
        axes.plot(places, part["deployed"], "D", color=INK, markersize=4.5, markerfacecolor=GROUND)
        for place, row in part.iterrows():
            axes.text(
                place,
                min(max(row["high"], row["deployed"] + 0.02, 0.5) + 0.02, 1.03),
                f"{row['reported']:.2f}".removeprefix("0"),
                ha="center",
                va="bottom",
                rotation=90,
                fontsize=8,
            )
        axes.set_xticks(places, part["switches"], rotation=90, fontsize=8)
        axes.set(xlim=(-0.6, len(part) - 0.4), ylim=(0.3, 1.13), title=kind)
        axes.axhline(0.5, color=MUTED, linewidth=0.9)
    panels[0, 0].set_ylabel("AUC, nothing to find")
    handles = [Patch(color=MUTED, label="reported"), Line2D([], [], color=INK, marker="D", markerfacecolor=GROUND, linestyle="", label="the same models on new donors")]  # fmt: skip
    figure.legend(handles=handles, ncols=2, loc="outside upper right")
    plt.close(figure)
    return figure


@house_style()
def leaks_by_donors(
    table: pd.DataFrame, effects: Mapping[str, Mapping[float, str]], lines: Mapping[str, str]
) -> Figure:
    """Reported AUC against the number of donors, by kind (columns) and size of the effect (rows).

    table: from `training.leak_switches.summary`. effects: kind -> effect -> its name, the same names in the same
    order for every kind. lines: name of a set of switches -> its label. Dashed: the honest models on new donors.
    """
    kinds, names = list(effects), list(next(iter(effects.values())).values())
    figure, grid = plt.subplots(len(names), len(kinds), figsize=(WIDTH, 1.35 * len(names) + 0.9), sharey=True, sharex="col", squeeze=False)  # fmt: skip
    colours = dict(zip(lines, (PALETTE[2], PALETTE[1], PALETTE[4]), strict=False))
    for (row, column), axes in np.ndenumerate(grid):
        kind = kinds[column]
        effect = list(effects[kind])[row]
        here = table[(table["kind"] == kind) & (table["effect"] == effect)]
        for name, colour in colours.items():
            part = here[here["switches"] == name].sort_values("donors")
            axes.fill_between(
                part["donors"], part["low"], part["high"], color=colour, alpha=0.25, linewidth=0
            )
            axes.plot(part["donors"], part["reported"], color=colour, marker="o", markersize=3)
        honest = here[here["switches"] == next(iter(lines))].sort_values("donors")
        axes.plot(honest["donors"], honest["deployed"], color=INK, linestyle="--", linewidth=1)
        axes.axhline(0.5, color=MUTED, linewidth=0.8)
        axes.set(xscale="log", ylim=(0.38, 1.04))
        ticks = sorted(here["donors"].unique())
        axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=8)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        axes.grid(axis="y")
        if row == 0:
            axes.set_title(kind, fontsize=9)
        if column == 0:
            axes.set_ylabel(f"AUC\n{names[row]}", fontsize=8.5)
    figure.supxlabel("Donors of the cohort (cases, patients, subjects)", fontsize=9)
    handles = [
        Line2D([], [], color=colours[name], marker="o", markersize=3, label=label)
        for name, label in lines.items()
    ]
    handles.append(
        Line2D([], [], color=INK, linestyle="--", linewidth=1, label="honest models on new donors")
    )
    figure.legend(handles=handles, ncols=2, loc="outside upper center")
    plt.close(figure)
    return figure


@house_style()
def draws_by_split(draws: pd.DataFrame) -> Figure:
    """AUC of every draw under two splits, with the labels as they are and dealt anew to donors.

    draws: from `training.leak_switches.by_image_and_by_donor`: columns labels, split, reported.
    """
    rows = list(draws.groupby(["labels", "split"], sort=False))
    figure, axes = plt.subplots(figsize=(WIDTH, 0.7 + 0.42 * len(rows)))
    rng = np.random.default_rng(0)
    for place, ((_, split), part) in enumerate(rows):
        colour = PALETTE[2] if split == "by donor" else PALETTE[1]
        axes.plot(
            part["reported"],
            place + rng.uniform(-0.2, 0.2, len(part)),
            "o",
            color=colour,
            alpha=0.45,
            markersize=4,
        )
        axes.plot([part["reported"].mean()] * 2, [place - 0.34, place + 0.34], color=INK, linewidth=2)
        axes.text(1.03, place, f"mean {part['reported'].mean():.2f}", va="center", fontsize=8)
    axes.axvline(0.5, color=MUTED, linewidth=0.9)
    axes.set_yticks(range(len(rows)), [f"{labels}, split {split}" for (labels, split), _ in rows])
    axes.set(xlabel="AUC, mean of five splits, one point a draw", xlim=(0, 1.18))
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    plt.close(figure)
    return figure


@house_style()
def width_by_donors(curves: pd.DataFrame, marks: pd.DataFrame) -> Figure:
    """How sure an accuracy is against the number of donors, with printed results marked.

    curves: columns label, donors, half_width. marks: columns paper, label, donors, low, high: half widths if images
    are independent and if each donor counts once.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 4.1))
    shades = np.linspace(0.25, 0.95, curves["label"].nunique())
    for (label, part), shade in zip(curves.groupby("label", sort=False), shades, strict=True):
        axes.plot(part["donors"], part["half_width"], color=PALETTE[6], alpha=shade, linewidth=1.4)
        last = part.iloc[-1]
        axes.text(last["donors"] * 1.05, last["half_width"], label, va="center", fontsize=8, color=MUTED)
    # a mark that shares its number of donors stands a little to the right, with its name at the lower end
    again = marks.groupby("donors").cumcount()
    for row, moved in zip(
        marks.assign(donors=marks["donors"] * 1.08**again).itertuples(), again, strict=True
    ):
        colour = PAPER_COLOURS.get(row.paper, INK)
        axes.plot(
            [row.donors, row.donors], [row.low, row.high], color=colour, linewidth=4, alpha=0.8, marker="o",
            markersize=5, solid_capstyle="butt",
        )  # fmt: skip
        axes.annotate(
            row.label, (row.donors, row.low if moved else row.high), (7, 0), textcoords="offset points",
            va="center", fontsize=8, color=colour,
        )  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel="Donors", ylabel="Half width of the 95 % interval of accuracy"
    )
    axes.set_xlim(curves["donors"].min(), curves["donors"].max() * 4.2)
    axes.set_ylim(
        curves["half_width"].min() * 0.85, 1.35 * max(curves["half_width"].max(), marks["high"].max())
    )
    ticks = [tick for tick in (5, 10, 20, 50, 100, 200, 500, 1000) if tick <= curves["donors"].max()]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    widths = [0.01, 0.02, 0.05, 0.1, 0.2]
    axes.set_yticks(widths, [f"± {100 * width:.0f} points" for width in widths])
    axes.minorticks_off()
    axes.grid()
    plt.close(figure)
    return figure


@house_style()
def coverage_by_correlation(table: pd.DataFrame) -> Figure:
    """Share of simulated cohorts whose 95 % interval holds the true accuracy, against the correlation in donors.

    table: columns interval (a label), correlation, coverage.
    """
    figure, axes = plt.subplots(figsize=(WIDTH * 0.72, 2.7))
    for (label, part), colour in zip(
        table.groupby("interval", sort=False), (PALETTE[1], PALETTE[2]), strict=False
    ):
        axes.plot(part["correlation"], part["coverage"], color=colour, marker="o", markersize=4, label=label)
    axes.axhline(0.95, color=INK, linestyle="--", linewidth=0.9)
    axes.set(xlabel="Correlation between images of one donor", ylabel="Cohorts covered", ylim=(0.2, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid()
    axes.legend(loc="lower left")
    plt.close(figure)
    return figure
