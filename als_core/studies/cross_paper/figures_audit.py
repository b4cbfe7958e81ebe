"""Figures of the pages on printed numbers and on numbers of donors, with their words and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.ticker import FixedLocator, NullFormatter

from als_core.claims.findings import CATEGORIES, SEVERITIES, Finding
from als_core.figures.drawn import Drawn
from als_core.figures.primitives import (
    ON_COLOUR,
    draw_curves,
    draw_reference,
    draw_rows,
    legend,
    panels,
    percent_axis,
)
from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style

PAPER_NAMES = {
    "xia2024": "Xia 2024",
    "miao2023": "Miao",  # its year is not printed
    "turrisi2024": "Turrisi 2024",
    "panagiotaras": "Panagiotaras",
    "wang2023": "Wang 2023",
}
PAPER_COLOURS = dict(zip(PAPER_NAMES, PALETTE, strict=False))
SEVERITY_SHADES = dict(zip(SEVERITIES, (1.0, 0.55, 0.3, 0.12), strict=True))  # opacity of one colour


@house_style()
def findings_map(findings: Sequence[Finding]) -> Drawn:
    """Draw every finding as a tile with its id, by paper (rows) and category (columns), shaded by severity."""
    columns = ["id", "paper", "category", "severity", "title"]
    tiles = pd.DataFrame([[getattr(each, name) for name in columns] for each in findings], columns=columns)
    across, apart = 5, 5.5  # tiles in a line of a column, width of a column
    counts = tiles.groupby(["paper", "category"]).size()
    lines = {paper: max(1, int(np.ceil(counts[paper].max() / across))) for paper in PAPER_NAMES}
    figure, (axes,) = panels(1, height=0.55 + 0.27 * (sum(lines.values()) + 0.6 * len(lines)))
    top = 0.0
    for paper, name in PAPER_NAMES.items():
        axes.text(-0.35, top + lines[paper] / 2, name, ha="right", va="center", fontsize=9)
        for column, category in enumerate(CATEGORIES):
            here = tiles[(tiles["paper"] == paper) & (tiles["category"] == category)]
            for place, row in enumerate(here.itertuples()):
                x, y = column * apart + place % across, top + place // across
                shade, corners = SEVERITY_SHADES[row.severity], "round,pad=0,rounding_size=0.12"
                box = {"boxstyle": corners, "facecolor": PALETTE[0], "alpha": shade, "mutation_aspect": 1}
                axes.add_patch(FancyBboxPatch((x + 0.06, y + 0.06), 0.86, 0.86, **box))
                ink = ON_COLOUR if shade == 1 else INK
                axes.text(x + 0.49, y + 0.5, row.id, ha="center", va="center", fontsize=8, color=ink)
        top += lines[paper] + 0.6
        axes.axhline(top - 0.3, color=GRID, linewidth=0.6)
    for column, category in enumerate(CATEGORIES):
        name = category.replace(" ", "\n", 1)
        axes.text(column * apart + across / 2, -0.35, name, ha="center", va="bottom", fontsize=8.5)
    axes.set(xlim=(-3.9, len(CATEGORIES) * apart), ylim=(top, -1.6))
    axes.set_axis_off()
    handles = [Patch(color=PALETTE[0], alpha=shade, label=name) for name, shade in SEVERITY_SHADES.items()]
    axes.legend(handles=handles, ncols=4, loc="upper center", bbox_to_anchor=(0.55, 0.02))
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in SEVERITIES.items())
    by_paper = ", ".join(
        f"{PAPER_NAMES[name]} {n}" for name, n in tiles["paper"].value_counts(sort=False).items()
    )
    return Drawn(
        figure,
        f"The {len(tiles)} findings by paper and category, darker where they matter more. {meanings.capitalize()}.",
        "Grid of tiles with the ids of the findings, papers as rows and four categories as columns, shaded by "
        f"severity. Findings by paper: {by_paper}.",
        tiles,
    )


@house_style()
def headline_intervals(results: pd.DataFrame) -> Drawn:
    """Draw printed results as dots, with the interval if images (thick) or donors alone (thin) are independent.

    results: as `headlines.with_intervals` returns them. A cross marks the answer that needs no image.
    """
    figure, (axes,) = panels(1, height=0.9 + 0.34 * len(results))
    table = results.assign(name=[
        f"{PAPER_NAMES[row.paper]}: {row.result}, {row.measure}\n{row.images} images, {row.donors} {row.unit}"
        for row in results.itertuples()
    ])  # fmt: skip
    colours = dict(zip(table["name"], table["paper"].map(PAPER_COLOURS), strict=True))
    draw_rows(axes, table[["name", "low", "high"]], colour=colours, linewidth=5)
    ends = {"donor_low": "low", "donor_high": "high"}
    draw_rows(axes, table[["name", "value", *ends]].rename(columns=ends), colour=colours)
    draw_rows(axes, table[["name", "trivial"]].rename(columns={"trivial": "value"}), colour=INK, kind="cross")
    axes.set(xlim=(0.3, 1.01), xlabel="Accuracy or AUC")
    axes.tick_params(axis="y", labelsize=8)
    thick = Line2D([], [], color=MUTED, linewidth=5, label="95 %, images independent")
    thin = Line2D([], [], color=MUTED, linewidth=1.4, marker="o", label="as printed; 95 %, donors alone")
    cross = Line2D([], [], color=INK, marker="x", linestyle="", label="without an image")
    figure.legend(handles=[thin, thick, cross], ncols=3, loc="outside upper center", columnspacing=1.2)
    rows = [
        f"{row.result} {row.measure} {row.value:.2f}, {row.low:.2f} to {row.high:.2f} by images, "
        f"{row.donor_low:.2f} to {row.donor_high:.2f} by donors, without an image {row.trivial:.2f}"
        for row in results.itertuples()
    ]
    return Drawn(
        figure,
        "Main printed results with two 95 % intervals each, and the answer that needs no image. Donors of the tissue "
        "study are counted in its public list of images; test images and cases of the crops study are inferred "
        "(findings M5, M7); the accuracy of the T1w study follows from its printed precision, recall and F1 (finding "
        "T4). Accuracies of the Alzheimer slides are taken to be of the printed validation parts, which the slides do not "
        "say.",
        f"Forest plot of {len(results)} printed accuracies and areas under the curve, each with a thick and a thin "
        f"interval and a cross. {'; '.join(rows)}.",
        results,
    )


@house_style()
def mcnemar_ranges(ranges: pd.DataFrame, best: str) -> Drawn:
    """Draw the range of exact McNemar p values that counts alone leave, for each comparison, on a log axis.

    ranges: columns name, right, least, greatest. best: the model the others are compared with.
    """
    figure, (axes,) = panels(1, height=0.75 + 0.36 * len(ranges))
    for place, row in enumerate(ranges.itertuples()):
        colour = PALETTE[4] if row.least > 0.05 else PALETTE[2] if row.greatest < 0.05 else PALETTE[5]
        axes.plot([row.least, row.greatest], [place, place], "o-", color=colour, linewidth=6, markersize=6)
        text = f"{row.least:.2g}" + (f" to {row.greatest:.2g}" if row.least < row.greatest else "")
        axes.text(1.25, place, text, va="center", fontsize=8)
    draw_reference(axes, 0.05, colour=INK)
    axes.set_xscale("log")
    ticks = [0.001, 0.01, 0.05, 0.1, 1]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(range(len(ranges)), ranges["name"])
    axes.set(xlim=(0.001, 4), ylim=(len(ranges) - 0.5, -0.5), xlabel="p, over every overlap of the errors")
    axes.tick_params(axis="y", length=0)
    rows = [f"{row.name} {row.least:.3g} to {row.greatest:.3g}" for row in ranges.itertuples(index=False)]
    return Drawn(
        figure,
        f"Range of p for {best} against each other model of Table 1 in Xia 2024, over all overlaps of errors. Green "
        "lies wholly below 0.05, red wholly above; olive reaches from one side to the other.",
        f"Horizontal ranges of p on a logarithmic axis with a dashed line at 0.05. {'; '.join(rows)}.",
        ranges,
    )


@house_style()
def sizes_that_fit(fits: Mapping[str, Sequence[int]], largest: int) -> Drawn:
    """Draw, for each group of printed shares, the numbers of images of which all of them can be shares.

    fits: label -> sizes, none above `largest`.
    """
    figure, (axes,) = panels(1, height=0.7 + 0.42 * len(fits))
    for place, sizes in enumerate(fits.values()):
        axes.vlines(sizes, place - 0.32, place + 0.32, color=PALETTE[0], linewidth=1.1)
        for size in sizes if len(sizes) <= 3 else ():
            axes.text(size, place - 0.36, f" {size}", ha="center", va="bottom", fontsize=8)
    axes.set_yticks(range(len(fits)), list(fits), fontsize=8)
    axes.set(xlim=(0, largest), ylim=(len(fits) - 0.5, -0.75), xlabel="Number of images")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    rows = [f"{name}: {', '.join(map(str, sizes[:4]))}" for name, sizes in fits.items()]
    return Drawn(
        figure,
        "Numbers of images of which the printed shares of the crops study can be shares, a tick each. Where few fit, "
        "the numbers are written out.",
        f"Rows of ticks along an axis from 0 to {largest} images. Smallest sizes by row: {'; '.join(rows)}.",
        pd.DataFrame(
            [(name, size) for name, sizes in fits.items() for size in sizes], columns=["printed", "images"]
        ),
    )


@house_style()
def possible_metrics(tables: pd.DataFrame, trivial: tuple[float, float]) -> Drawn:
    """Draw F1 against balanced accuracy of every table of counts that agrees with printed metrics.

    tables: columns name, f1, balanced_accuracy, one row a table. trivial: the same two for always answering ALS.
    """
    figure, (axes,) = panels(1, height=3.3, width=WIDTH * 0.72)
    parts = list(tables.groupby("name", sort=False))
    for (name, part), colour in zip(parts, PALETTE, strict=False):
        label = f"{name} ({len(part)} tables)"
        axes.plot(
            part["balanced_accuracy"], part["f1"], "o", color=colour, markersize=5, alpha=0.75, label=label
        )
    axes.plot(*trivial[::-1], "x", color=INK, markersize=9, markeredgewidth=2, label="always ALS")
    draw_reference(axes, trivial[0], colour=INK, along="y")
    axes.set(xlabel="Balanced accuracy", ylabel="F1, ALS positive", xlim=(0.48, 0.7))
    axes.grid()
    axes.legend(loc="lower left", bbox_to_anchor=(0.02, 0.02))
    rows = [
        f"{name}: F1 {part['f1'].min():.3f} to {part['f1'].max():.3f}, balanced accuracy "
        f"{part['balanced_accuracy'].min():.3f} to {part['balanced_accuracy'].max():.3f}"
        for name, part in parts
    ]
    always_als = pd.DataFrame([("always ALS", *trivial)], columns=["name", "f1", "balanced_accuracy"])
    return Drawn(
        figure,
        "Every table of counts that agrees with Table 4 of Turrisi 2024, by F1 and balanced accuracy. The dashed line "
        "is the F1 of always answering ALS.",
        f"Scatter of F1 against balanced accuracy in {len(parts)} clusters. {'; '.join(rows)}; always ALS: F1 "
        f"{trivial[0]:.3f}, balanced accuracy {trivial[1]:.1f}.",
        pd.concat([tables, always_als], ignore_index=True),
    )


@house_style()
def width_by_donors(curves: pd.DataFrame, marks: pd.DataFrame) -> Drawn:
    """Draw how far from a measured accuracy the true one may lie, against the number of donors.

    curves: columns label, donors, half_width. marks: printed results; columns paper, label, donors, low, high, the half
    widths if images are independent and if each donor counts once.
    """
    figure, (axes,) = panels(1, height=4.1)
    shades = np.linspace(0.25, 0.95, curves["label"].nunique())
    for (label, part), shade in zip(curves.groupby("label", sort=False), shades, strict=True):
        axes.plot(part["donors"], part["half_width"], color=PALETTE[6], alpha=shade, linewidth=1.4)
        last = part.iloc[-1]
        axes.text(last["donors"] * 1.05, last["half_width"], label, va="center", fontsize=8, color=MUTED)
    again = marks.groupby("donors").cumcount()  # a second mark at one number of donors is moved to the right
    shared = marks["donors"].duplicated(keep=False)
    placed = marks.assign(donors=marks["donors"] * 1.08**again)
    for row, moved, crowded in zip(placed.itertuples(), again, shared, strict=True):
        colour = PAPER_COLOURS.get(row.paper, INK)
        ends = {"linewidth": 4, "alpha": 0.8, "marker": "o", "markersize": 5, "solid_capstyle": "butt"}
        axes.plot([row.donors, row.donors], [row.low, row.high], color=colour, **ends)
        end, offset, align = (row.low, (0, -11), "center") if moved else (row.high, (-5, 8), "left")
        if crowded and not moved:
            offset, align = (5, 8), "right"
        text = {"textcoords": "offset points", "va": "center", "fontsize": 8, "color": colour}
        axes.annotate(row.label, (row.donors, end), offset, ha=align, **text)
    axes.set(
        xscale="log", yscale="log", xlabel="Donors", ylabel="Half width of the 95 % interval of accuracy"
    )
    axes.set_xlim(curves["donors"].min() * 0.9, curves["donors"].max() * 4.2)
    axes.set_ylim(
        curves["half_width"].min() * 0.85, 1.4 * max(curves["half_width"].max(), marks["high"].max())
    )
    ticks = [tick for tick in (5, 10, 20, 50, 100, 200, 500, 1000) if tick <= curves["donors"].max()]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    widths = [0.01, 0.02, 0.05, 0.1, 0.2]
    axes.set_yticks(widths, [f"± {100 * width:.0f} points" for width in widths])
    axes.minorticks_off()
    axes.grid()
    rows = [
        f"{row.label}: {row.donors} donors, ± {100 * row.low:.1f} to {100 * row.high:.1f} points"
        for row in marks.itertuples()
    ]
    own = marks.loc[marks["paper"] == "this book", "accuracy"]
    assumed = f" This book's cohort is drawn at an assumed accuracy of {own.iloc[0]:g}." if len(own) else ""
    return Drawn(
        figure,
        "Half width of the 95 % interval of an accuracy against the number of donors, with the printed results as "
        "coloured bars. A bar reaches from all images independent (lower end) to each donor counting once (upper end). "
        "Donors of the tissue study are all those of its public list, the most that its test images can come from; donors "
        "of the crops study are its inferred test cases; those of the Alzheimer slides are the printed validation parts, an "
        f"assumption. The abstract page of Wang 2023 prints no accuracy.{assumed}",
        "Falling grey curves of interval half width against donors on logarithmic axes, with a coloured bar for each "
        f"printed result. {'; '.join(rows)}.",
        pd.concat([curves.assign(mark="curve"), marks.assign(mark="printed result")], ignore_index=True),
    )


@house_style()
def coverage_by_correlation(table: pd.DataFrame, cohorts: int) -> Drawn:
    """Draw the share of simulated cohorts whose 95 % interval contains the true accuracy.

    table: columns interval (a label), correlation, coverage. cohorts: how many were simulated for each point.
    """
    figure, (axes,) = panels(1, height=2.9, width=WIDTH * 0.72)
    colours = dict(zip(table["interval"].unique(), (PALETTE[1], PALETTE[2]), strict=True))
    for name, part in table.groupby("interval", sort=False):
        draw_curves(axes, part, "correlation", {"coverage": colours[name]})
        axes.plot(part["correlation"], part["coverage"], "o", color=colours[name], markersize=4)
    draw_reference(axes, 0.95, colour=INK, along="y")
    axes.set(xlabel="Correlation between images of one donor", ylabel="Cohorts covered", ylim=(0.2, 1.02))
    percent_axis(axes, "y")
    legend(figure, {name: ("interval", colour) for name, colour in colours.items()})
    naive, known = (table[table["interval"] == name].set_index("correlation")["coverage"] for name in colours)
    falling = ", ".join(f"{100 * value:.0f} % at {r:g}" for r, value in naive.items())
    return Drawn(
        figure,
        f"Share of {cohorts:,} simulated cohorts (20 donors, ten images each) whose 95 % interval contains the true "
        "accuracy, by correlation within donors.",
        f"Two lines of coverage against correlation. With the correlation known it is {100 * known.min():.0f} to "
        f"{100 * known.max():.0f} %; with every image taken as independent it is {falling}.",
        table,
    )
