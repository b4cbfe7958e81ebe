"""Figures of the crops study's images: pipeline, listing, filters, super-resolution (Miao et al., Fig. 6, 7 and 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from scipy.ndimage import gaussian_filter

from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style

AGGREGATE = PALETTE[1]
METHODS = {
    "nearest": "Nearest",
    "bicubic": "Bicubic",
    "content": "Generator, content loss",
    "adversarial": "Generator, adversarial",
}
"""What a figure calls each method of enlarging."""


@house_style()
def pipeline(steps: Sequence[tuple[str, str]]) -> Figure:
    """Boxes joined by arrows, in rows of four read like text. steps: heading and a line on each."""
    columns, rows = 4, -(-len(steps) // 4)
    figure, axes = plt.subplots(figsize=(WIDTH, 1.15 * rows))
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.set_axis_off()
    for number, (heading, line) in enumerate(steps):
        x, y = number % columns, number // columns
        box = FancyBboxPatch(
            (x + 0.04, y + 0.14),
            0.8,
            0.68,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc="none",
            ec=PALETTE[0],
            lw=1.2,
        )
        axes.add_patch(box)
        axes.text(x + 0.44, y + 0.32, heading, ha="center", va="center", weight="bold", fontsize=8.5)
        axes.text(x + 0.44, y + 0.58, line, ha="center", va="center", fontsize=8, color=MUTED)
        if number + 1 < len(steps):
            start, end = _arrow(number, columns)
            style = {"arrowstyle": "-|>", "color": INK, "lw": 1, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", end, start, arrowprops=style)
    plt.close(figure)
    return figure


def _arrow(number: int, columns: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """From the box `number` to the next: to the right, or down to the start of the next row."""
    x, y = number % columns, number // columns
    if x + 1 < columns:
        return (x + 0.85, y + 0.48), (x + 1.03, y + 0.48)
    return (x + 0.44, y + 0.83), (0.44, y + 1.13)


@house_style()
def listing(samples: pd.DataFrame) -> Figure:
    """Fig. 6 as a picture: a column for each case, a square for each of its crops, classes one above the other.

    samples: columns group and label, one row a crop.
    """
    labels = sorted(samples["label"].unique())
    figure, panels = plt.subplots(len(labels), 1, figsize=(WIDTH, 0.35 + 1.15 * len(labels)), squeeze=False)
    cases = samples.groupby("label")["group"].nunique()
    for number, (axes, label) in enumerate(zip(panels.ravel(), labels, strict=True)):
        crops = samples[samples["label"] == label].groupby("group").size()
        for x, count in enumerate(crops):
            axes.scatter([x] * count, np.arange(count), marker="s", s=70, color=PALETTE[number])
        axes.set_xticks(range(len(crops)), crops.index, rotation=60, ha="right", fontsize=8)
        axes.set(xlim=(-0.6, cases.max() - 0.4), ylim=(-0.6, samples.groupby("group").size().max() - 0.4))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{label}: {crops.sum()} crops of {len(crops)} cases")
    plt.close(figure)
    return figure


@house_style()
def crop_rows(rows: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Rows of grey images under one heading each. rows: heading to images, uint8 (H, W), or bool for a mask."""
    columns = max(map(len, rows.values()))
    figure = plt.figure(figsize=(WIDTH, len(rows) * (WIDTH / columns + 0.22)))
    brightest = max(
        np.quantile(image, 0.999) for images in rows.values() for image in images if image.dtype != bool
    )
    # a figure a row: its heading is longer than an image, and as a title would widen the first
    for row, (heading, images) in zip(np.ravel(figure.subfigures(len(rows), 1)), rows.items(), strict=True):
        row.suptitle(heading, x=0, ha="left", fontsize=8.5)
        panels = row.subplots(1, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, image in zip(panels, images, strict=False):
            _show(axes, image, 1 if image.dtype == bool else brightest)
    plt.close(figure)
    return figure


@house_style()
def filtered(original: np.ndarray, by_filter: Mapping[str, np.ndarray]) -> Figure:
    """Fig. 7: a crop before and after each filter, whole and, below, the part with its brightest spot, enlarged."""
    images = {"Before": original} | dict(by_filter)
    figure, grid = plt.subplots(2, len(images), figsize=(WIDTH, 2 * WIDTH / len(images) + 0.3))
    window = _around_brightest(original)
    brightest = np.quantile(original, 0.999)
    for column, (title, image) in zip(grid.T, images.items(), strict=True):
        # an equalised image has other levels by design
        top = max(brightest, np.quantile(image, 0.98))
        _show(column[0], image, top)
        _show(column[1], image[window], top)
        column[0].set_title(title, fontsize=8)
    plt.close(figure)
    return figure


@house_style()
def filter_effects(table: pd.DataFrame) -> Figure:
    """What each filter does to every crop. table: columns filter, crop, and measures with their axis labels."""
    measures = [name for name in table if name not in ("filter", "crop")]
    order = list(dict.fromkeys(table["filter"]))
    figure, panels = plt.subplots(
        1, len(measures), figsize=(WIDTH, 0.8 + 0.32 * len(order)), sharey=True, squeeze=False
    )
    for axes, measure in zip(panels.ravel(), measures, strict=True):
        values = [table.loc[table["filter"] == name, measure] for name in order]
        axes.boxplot(values, orientation="horizontal", whis=(5, 95), widths=0.6, showfliers=False, **_BOX)
        axes.set_yticks(range(1, len(order) + 1), order)
        axes.set_xlabel(measure)
        if min(map(min, values)) > 0 and max(map(max, values)) > 20 * min(map(min, values)):
            axes.set_xscale("log")
        axes.grid(axis="x")
    panels[0, 0].invert_yaxis()
    plt.close(figure)
    return figure


@house_style()
def enlargements(
    low: Sequence[np.ndarray],
    by_method: Mapping[str, np.ndarray],
    truth: np.ndarray,
    masks: np.ndarray | None,
) -> Figure:
    """Crops in rows: the low-resolution image, each way of enlarging it, and the truth with its aggregates outlined.

    low: uint8 (h, w) each. by_method: method to uint8 (n, H, W). masks: bool (n, H, W), or None.
    """
    titles = ["Low resolution", *(METHODS[name].replace(", ", ",\n") for name in by_method), "Truth"]
    figure, grid = plt.subplots(
        len(truth), len(titles), squeeze=False, figsize=(WIDTH, len(truth) * WIDTH / len(titles) + 0.35)
    )
    for row, line in enumerate(grid):
        images = [low[row], *(images[row] for images in by_method.values()), truth[row]]
        for axes, image in zip(line, images, strict=True):
            _show(axes, image, np.quantile(truth[row], 0.999))
        if masks is not None:
            line[-1].contour(masks[row], [0.5], colors=AGGREGATE, linewidths=0.8)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=8)
    plt.close(figure)
    return figure


@house_style()
def super_resolution_course(history: pd.DataFrame) -> Figure:
    """Losses by step, smoothed over a twentieth of the steps. history: of `super_resolution.Trained`."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.6))
    window = max(1, history["step"].max() // 20)
    colours = {"both": MUTED, "content": PALETTE[0], "adversarial": AGGREGATE}
    words = {"both": "both, until they part", "content": "content loss", "adversarial": "adversarial"}
    for name, part in history.groupby("generator", sort=False):
        smooth = part["content"].rolling(window, min_periods=1).mean()
        left.plot(part["step"], smooth, color=colours[name], label=words[name])
    last = history[history["generator"] == "adversarial"]
    for column, label, colour in (
        ("adversarial", "generator's", AGGREGATE),
        ("discriminator", "discriminator's", PALETTE[2]),
    ):
        smooth = last[column].rolling(window, min_periods=1).mean()
        right.plot(last["step"], smooth, color=colour, label=label)
    right.axhline(np.log(2), color=MUTED, lw=0.8, ls="--", label="guessing, ln 2")
    left.set(
        yscale="log", xlabel="Step", ylabel="Mean squared error\n(share of full scale)²", title="Content"
    )
    right.set(xlabel="Step", ylabel="Cross-entropy (nats)", title="Adversarial part")
    for axes in (left, right):
        axes.grid(axis="y")
        axes.legend()
    plt.close(figure)
    return figure


@house_style()
def restoration(summary: pd.DataFrame, measures: Mapping[str, str]) -> Figure:
    """Mean of each measure by method with its interval.

    summary: of `super_resolution.summarise`. measures: column of the summary to its axis label.
    """
    order = list(dict.fromkeys(summary["method"]))
    figure, panels = plt.subplots(1, len(measures), figsize=(WIDTH, 0.8 + 0.32 * len(order)), sharey=True)
    for axes, (measure, label) in zip(np.ravel(panels), measures.items(), strict=True):
        part = summary[summary["measure"] == measure].set_index("method").loc[order]
        errors = (part["mean"] - part["low"], part["high"] - part["mean"])
        axes.errorbar(part["mean"], range(len(order)), xerr=errors, fmt="o", color=PALETTE[0], capsize=3)
        axes.set_yticks(range(len(order)), [METHODS[name] for name in order])
        axes.set(xlabel=label, ylim=(len(order) - 0.5, -0.5))
        axes.grid(axis="x")
    plt.close(figure)
    return figure


@house_style()
def aggregate_counts(counts: pd.DataFrame) -> Figure:
    """Aggregates found, missed and invented. counts: indexed by name of the image, those three columns."""
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.34 * len(counts)))
    places = np.arange(len(counts))
    colours = {"found": PALETTE[2], "missed": GRID, "invented": PALETTE[4]}
    start = np.zeros(len(counts))
    for name, colour in colours.items():
        axes.barh(places, counts[name], left=start, color=colour, label=name, height=0.62)
        start += counts[name].to_numpy()
    for place, row in zip(places, counts.itertuples(), strict=True):
        axes.text(
            start[place],
            place,
            f" {row.found:g} / {row.missed:g} / {row.invented:g}",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(places, counts.index)
    axes.set(xlabel="Aggregates: found / missed / invented", xlim=(0, max(start.max(), 1) * 1.15))
    axes.invert_yaxis()
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    plt.close(figure)
    return figure


def _around_brightest(image: np.ndarray) -> tuple[slice, slice]:
    """A third of an image each way, around its brightest spot."""
    spot = np.unravel_index(gaussian_filter(image.astype(float), len(image) / 50).argmax(), image.shape)
    third = len(image) // 3
    starts = [
        int(np.clip(at - third // 2, 0, side - third)) for at, side in zip(spot, image.shape, strict=True)
    ]
    return slice(starts[0], starts[0] + third), slice(starts[1], starts[1] + third)


_BOX = {
    "medianprops": {"color": AGGREGATE},
    "boxprops": {"color": INK},
    "whiskerprops": {"color": MUTED},
    "capprops": {"color": MUTED},
}


def _show(axes: plt.Axes, image: np.ndarray, brightest: float) -> None:
    axes.imshow(image, vmin=0, vmax=max(brightest, 1e-9), interpolation="nearest")
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)
