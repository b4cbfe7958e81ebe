"""Figures of the brain volume study: slices, learning curves, accuracies by fold, heatmaps and brain areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style

AXES = ("x", "y", "z")
HEAT, EDGE = "inferno", "#4aa3c7"
SLIDE_GRID = (193, 229, 193)  # voxels; the printed slice numbers lie evenly about its middle
FAMILY = {"AD": PALETTE[4], "CN": PALETTE[0], "1.5T": PALETTE[0], "3T": PALETTE[1]}
MOST_AREAS = 32


def slice_numbers(printed: pd.DataFrame, shape: Sequence[int]) -> dict[str, list[int]]:
    """The printed slice positions as slice numbers of our grid, at the same share of each side.

    printed: columns axis and slice_index, as transcribed. shape: of the volume, voxels.
    """
    return {
        axis: [
            int((index + 0.5) / side * own) for index in printed.loc[printed["axis"] == axis, "slice_index"]
        ]
        for axis, side, own in zip(AXES, SLIDE_GRID, shape, strict=True)
    }


@house_style()
def slices(
    volume: np.ndarray, numbers: Mapping[str, Sequence[int]], printed: Mapping[str, Sequence[int]]
) -> Figure:
    """Slices of one volume (X, Y, Z), a row an axis, titled by the position that the slides print."""
    columns = max(map(len, numbers.values()))
    figure, grid = plt.subplots(len(numbers), columns, figsize=(WIDTH, 0.95 * WIDTH * len(numbers) / columns))
    brain = volume != 0
    low, high = np.percentile(volume[brain], [1, 99])
    for row, axis in zip(grid, numbers, strict=True):
        span = _span(_plane_of_all(brain, axis))
        for panel, number, name in zip(row, numbers[axis], printed[axis], strict=True):
            picture = np.where(_plane(brain, axis, number), _plane(volume, axis, number), np.nan)
            panel.imshow(picture[span], vmin=low, vmax=high)
            panel.set_title(f"{axis} = {name}", fontsize=8.5)
            panel.set_axis_off()
    plt.close(figure)
    return figure


@house_style()
def learning_curves(curves: pd.DataFrame) -> Figure:
    """Loss and accuracy by epoch, a column a field strength; thin lines folds, thick lines their mean.

    curves: columns field, fold, and those of `training.volumes.CURVES`.
    """
    fields = list(curves["field"].unique())
    figure, grid = plt.subplots(2, len(fields), figsize=(WIDTH, 4.2), sharex="col", sharey="row")
    for column, field in enumerate(fields):
        for panel, measure in zip(grid[:, column], ("loss", "accuracy"), strict=True):
            for part, colour in (("train", PALETTE[0]), ("validation", PALETTE[1])):
                own = curves[curves["field"] == field].pivot(
                    index="epoch", columns="fold", values=f"{part}_{measure}"
                )
                panel.plot(own.index, own, color=colour, linewidth=0.7, alpha=0.5)
                panel.plot(own.index, own.mean(axis=1), color=colour, linewidth=2, label=part)
            panel.set_ylabel(measure.capitalize() if not column else "")
            panel.grid(axis="y")
            panel.xaxis.get_major_locator().set_params(integer=True)
        grid[0, column].set_title(field)
        grid[1, column].set_xlabel("Epoch")
    grid[0, 0].legend()
    plt.close(figure)
    return figure


@house_style()
def fold_accuracies(folds: pd.DataFrame, pooled: pd.DataFrame) -> Figure:
    """Accuracy of every fold, of all scans with its interval, of the majority answer, and as printed.

    folds: columns field, accuracy. pooled: one row a field, columns field, accuracy, low, high, majority,
    printed, spread.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.95 * len(pooled)))
    for place, row in enumerate(pooled.itertuples()):
        own = folds.loc[folds["field"] == row.field, "accuracy"]
        colour = FAMILY[row.field]
        axes.errorbar(
            row.accuracy,
            place,
            xerr=[[row.accuracy - row.low], [row.high - row.accuracy]],
            fmt="o",
            color=colour,
            capsize=3,
            markersize=8,
        )
        axes.plot(own, place - 0.22 + np.zeros(len(own)), "|", color=colour, markersize=11, alpha=0.8)
        axes.errorbar(
            row.printed,
            place + 0.25,
            xerr=row.spread,
            fmt="D",
            color=MUTED,
            capsize=3,
            markersize=5,
            linewidth=1,
        )
        axes.vlines(row.majority, place - 0.4, place + 0.4, color=INK, linewidth=1.4, linestyle=(0, (3, 2)))
    axes.set_yticks(range(len(pooled)), pooled["field"])
    axes.set(xlabel="Accuracy", xlim=(0, 1.02), ylim=(len(pooled) - 0.4, -0.6))
    axes.grid(axis="x")
    figure.legend(
        handles=[
            Line2D([], [], marker="|", linestyle="", color=MUTED, markersize=11, label="a fold"),
            Line2D([], [], marker="o", color=MUTED, markersize=8, label="all scans, 95 % over patients"),
            Line2D([], [], color=INK, linestyle=(0, (3, 2)), label="commonest label"),
            Line2D([], [], marker="D", color=MUTED, markersize=5, linewidth=1, label="printed on the slides"),
        ],
        loc="outside upper left",
        ncols=4,
        fontsize=8,
    )
    plt.close(figure)
    return figure


@house_style()
def null_histograms(
    values: Mapping[str, pd.Series], chance: float | None, lines: Mapping[str, float], title: str
) -> Figure:
    """Histograms of one measure over null cohorts, with the chance level and values to compare them with."""
    figure, axes = plt.subplots(figsize=(WIDTH, 2.5))
    everything = np.concatenate([*values.values(), list(lines.values()), [] if chance is None else [chance]])
    bins = np.linspace(everything.min() - 0.01, everything.max() + 0.01, 31)
    handles = []
    for (name, one), colour in zip(values.items(), (PALETTE[0], PALETTE[1]), strict=False):
        axes.hist(one, bins, color=colour, alpha=0.65)
        axes.axvline(one.mean(), color=colour, linewidth=2)
        handles.append(Patch(color=colour, alpha=0.65, label=f"{name} (mean {one.mean():.2f})"))
    for (name, value), colour in zip(lines.items(), PALETTE[4:], strict=False):
        axes.axvline(value, color=colour, linewidth=2.2)
        handles.append(Line2D([], [], color=colour, linewidth=2.2, label=f"{name} ({value:.2f})"))
    if chance is not None:
        axes.axvline(chance, color=INK, linestyle=(0, (3, 2)), linewidth=1.2)
        handles.append(Line2D([], [], color=INK, linestyle=(0, (3, 2)), label=f"chance ({chance:.2f})"))
    axes.set(xlabel=title, ylabel="Null cohorts")
    figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=8)
    plt.close(figure)
    return figure


@house_style()
def heatmap_slices(
    template: np.ndarray, maps: Mapping[str, Mapping[str, np.ndarray]], truth: np.ndarray
) -> Figure:
    """Average heatmaps over the template: a row a method, three planes for each label, the truth outlined.

    template, truth (bool): (X, Y, Z). maps: method to label to relevance (X, Y, Z), 0 and up; each map is
    coloured from 0 to its own 99.5th percentile. Planes go where the truth is widest.
    """
    labels = list(next(iter(maps.values())))
    cuts = {axis: _widest(truth, place) for place, axis in enumerate(AXES)}
    figure, grid = plt.subplots(
        len(maps), 3 * len(labels), figsize=(WIDTH, 0.35 + 1.13 * len(maps)), squeeze=False
    )
    for row, (method, own) in zip(grid, maps.items(), strict=True):
        for place, label in enumerate(labels):
            scale = max(np.percentile(own[label][template > 0.1], 99.5), 1e-12)
            for panel, (axis, number) in zip(row[3 * place : 3 * place + 3], cuts.items(), strict=True):
                panel.imshow(
                    _overlaid(_plane(template, axis, number), _plane(own[label], axis, number) / scale)
                )
                panel.contour(
                    _plane(truth, axis, number).astype(float),
                    [0.5],
                    colors=EDGE,
                    linewidths=0.9,
                    corner_mask=False,
                )
                panel.set(xticks=[], yticks=[])
                for spine in panel.spines.values():
                    spine.set_visible(False)
        row[0].set_ylabel(method.replace(" ", "\n", 1), fontsize=8)
    for place, label in enumerate(labels):
        for panel, axis in zip(
            grid[0, 3 * place : 3 * place + 3], ("from the side", "from the front", "from above"), strict=True
        ):
            panel.set_title(f"{label}\n{axis}", fontsize=8, loc="center")
    plt.close(figure)
    return figure


@house_style()
def area_relevance(table: pd.DataFrame) -> Figure:
    """Relevance per brain area, corrected for size: a panel a method, a line an area, a dot a label.

    table: columns method, label, area, concentration (1: what an even map gives). Areas are ordered by
    their mean; of more than MOST_AREAS only the first are drawn.
    """
    order = list(table.groupby("area")["concentration"].mean().sort_values(ascending=False).index)[
        :MOST_AREAS
    ]
    methods = list(table["method"].unique())
    figure, grid = plt.subplots(1, len(methods), figsize=(WIDTH, 0.8 + 0.18 * len(order)), sharey=True)
    for panel, method in zip(grid, methods, strict=True):
        own = table[table["method"] == method].pivot(index="area", columns="label", values="concentration")
        own = own.loc[order]
        panel.hlines(order, own.min(axis=1), own.max(axis=1), color=MUTED, linewidth=1)
        for label, hollow in zip(own, (False, True), strict=False):
            panel.plot(own[label], order, "o", color=FAMILY[label], markersize=4.5, label=label,
                       markerfacecolor="none" if hollow else FAMILY[label])  # fmt: skip
        panel.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        panel.set_title(method.replace(" ", "\n", 1), fontsize=8.5)
        panel.set_xlim(left=0)
        panel.tick_params(axis="y", length=0, labelsize=8)
        panel.grid(axis="x")
    grid[0].invert_yaxis()
    grid[0].legend(loc="lower right", fontsize=8, handletextpad=0.1)
    figure.supxlabel("Share of relevance over share of voxels (1: even)", fontsize=9, color=INK)
    plt.close(figure)
    return figure


@house_style()
def concentration(table: pd.DataFrame) -> Figure:
    """How far relevance gathers in the true effect map: effect on, effect off, and equally smooth random maps.

    table: one row a method, columns method, on, off, null_low, null_high.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.42 * len(table)))
    places = np.arange(len(table))
    axes.barh(places, table["null_high"] - table["null_low"], left=table["null_low"], height=0.5, color=GRID)
    axes.hlines(places, table["off"], table["on"], color=MUTED, linewidth=1)
    axes.plot(table["off"], places, "o", color=FAMILY["CN"], markerfacecolor="none", markersize=8)
    axes.plot(table["on"], places, "o", color=FAMILY["AD"], markersize=8)
    axes.axvline(0.5, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    axes.set_yticks(places, table["method"])
    axes.set(xlabel="AUC of voxels: inside against outside the true effect map", xlim=(0, 1.02))
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.grid(axis="x")
    figure.legend(
        handles=[
            Line2D([], [], marker="o", linestyle="", color=FAMILY["AD"], markersize=8, label="effect on"),
            Line2D([], [], marker="o", linestyle="", color=FAMILY["CN"], markerfacecolor="none", markersize=8, label="effect off"),
            Patch(color=GRID, label="random maps as smooth, 95 %"),
        ],
        loc="outside upper left",
        ncols=3,
    )  # fmt: skip
    plt.close(figure)
    return figure


def _plane(volume: np.ndarray, axis: str, number: int) -> np.ndarray:
    """One slice as a picture: front or right to the right, up or front on top."""
    return np.rot90(volume.take(number, axis=AXES.index(axis)))


def _widest(mask: np.ndarray, axis: int) -> int:
    others = tuple(other for other in range(3) if other != axis)
    return int(mask.sum(axis=others).argmax())


def _plane_of_all(mask: np.ndarray, axis: str) -> np.ndarray:
    """Where any slice of the mask (bool) has something, as a picture."""
    return np.rot90(mask.any(axis=AXES.index(axis)))


def _span(picture: np.ndarray) -> tuple[slice, slice]:
    """The smallest rectangle that holds what is True."""
    ends = [np.flatnonzero(picture.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    return tuple(slice(first, last + 1) for first, last in ends)


def _overlaid(ground: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Heat in colour over a grey picture, RGBA 0 to 1, clear where the ground is 0.

    The more heat, the less is seen of the ground.
    """
    heat = np.clip(heat, 0, 1)
    grey = np.repeat((ground / max(ground.max(), 1e-9))[..., None], 3, axis=2)
    strength = heat[..., None] ** 0.75
    colour = (1 - strength) * grey + strength * mpl.colormaps[HEAT](0.25 + 0.7 * heat)[..., :3]
    return np.concatenate([colour, (ground > 0.02)[..., None]], axis=2)
