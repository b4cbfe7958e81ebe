"""Figures of the tissue study's data: classes, quality, slides, copies, splits (Xia 2024, Fig. 1 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from als_core.cohorts.quality import AXIS_LABELS
from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """A colour for each class, the same on every page that shows the cohort."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(classes)}


@house_style()
def class_bars(counts: pd.Series) -> Figure:
    """Images per class as bars, the count at the end of each. counts: int, indexed by class."""
    figure, axes = plt.subplots(figsize=(WIDTH, 0.62 + 0.42 * len(counts)))
    colours = class_colours(list(counts.index))
    axes.barh(counts.index, counts, color=[colours[name] for name in counts.index], height=0.62)
    for place, count in enumerate(counts):
        axes.text(count, place, f" {count}", va="center", ha="left")
    axes.invert_yaxis()
    axes.set(xlabel="Images", xlim=(0, counts.max() * 1.08))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    plt.close(figure)
    return figure


@house_style()
def quality_violins(quality: pd.DataFrame, extremes: Mapping[str, np.ndarray]) -> Figure:
    """Fig. 1: violins of the four measures by class, and the images of least and greatest sharpness.

    quality: one row an image, columns of `AXIS_LABELS` and `label`. extremes: title to uint8 image, two.
    """
    figure = plt.figure(figsize=(WIDTH, 5.4))
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.05))
    classes = sorted(quality["label"].unique())
    for letter, (axes, (column, label)) in zip(
        "abcd", zip(upper.subplots(1, 4), AXIS_LABELS.items(), strict=True), strict=True
    ):
        sns.violinplot(
            quality,
            x="label",
            y=column,
            hue="label",
            order=classes,
            hue_order=classes,
            cut=0,
            inner="quart",
            palette=class_colours(classes),
            linewidth=0.8,
            legend=False,
            density_norm="width",
            ax=axes,
            linecolor=INK,
        )
        axes.set(xlabel="", ylabel="")
        name, _, unit = label.partition(" (")
        axes.set_title(f"({letter}) {name.partition(',')[0]}", fontsize=8.5)
        axes.set_ylabel(unit.rstrip(")") or "mean / sd", fontsize=8)
        axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", fontsize=8)
        axes.grid(axis="y")
    for axes, (title, image) in zip(lower.subplots(1, 2), extremes.items(), strict=True):
        _photograph(axes, image, title)
    plt.close(figure)
    return figure


@house_style()
def slides_at_a_glance(fields: Sequence[np.ndarray], table: pd.DataFrame) -> Figure:
    """One field of every slide, donors side by side within their class, regions one above the other.

    fields: uint8 images, one per row of `table` (columns label, group, region, slide), any order.
    """
    classes = sorted(table["label"].unique())
    regions = sorted(table["region"].unique())
    donors = {name: sorted(table.loc[table["label"] == name, "group"].unique()) for name in classes}
    columns = max(map(len, donors.values()))
    figure, grid = plt.subplots(
        len(classes) * len(regions),
        columns,
        squeeze=False,
        figsize=(WIDTH, 0.2 + len(classes) * len(regions) * WIDTH / (columns + 0.9) * 0.98),
    )
    for axes in grid.ravel():
        axes.set_axis_off()
    colours = class_colours(classes)
    for row, image in zip(table.itertuples(), fields, strict=True):
        line = classes.index(row.label) * len(regions) + regions.index(row.region)
        axes = grid[line, donors[row.label].index(row.group)]
        _photograph(axes, _halved(image))
        axes.set_axis_on()
        axes.set_title(row.group, fontsize=8, pad=2, color=MUTED)
        for spine in axes.spines.values():
            spine.set(visible=True, color=colours[row.label], linewidth=2)
    for line in range(grid.shape[0]):
        name, region = classes[line // len(regions)], regions[line % len(regions)]
        grid[line, 0].text(
            -0.16,
            0.5,
            f"{name}\n{region}",
            transform=grid[line, 0].transAxes,
            rotation=90,
            va="center",
            ha="center",
            fontsize=8,
            color=colours[name],
        )
    plt.close(figure)
    return figure


@house_style()
def groups_over_parts(table: pd.DataFrame, unit: str) -> Figure:
    """How a split shares out the samples of each group: one stacked bar a group.

    table: columns group, label, part (one row a sample). unit: what a group is called, for the axis.
    """
    order = table.drop_duplicates("group").sort_values(["label", "group"])["group"]
    counts = table.groupby(["group", "part"]).size().unstack(fill_value=0).reindex(order)
    labels = table.drop_duplicates("group").set_index("group")["label"]
    colours = class_colours(sorted(table["label"].unique()))
    figure, axes = plt.subplots(figsize=(WIDTH, 0.7 + 0.19 * len(order)))
    start = np.zeros(len(order))
    for part, shade in (("train", 0.35), ("validation", 0.65), ("test", 1.0)):
        width = counts.get(part, pd.Series(0, index=order)).to_numpy()
        axes.barh(
            order,
            width,
            left=start,
            color=[colours[labels[group]] for group in order],
            alpha=shade,
            height=0.72,
        )
        start += width
    axes.invert_yaxis()
    axes.set(xlabel="Images: train (pale), validation, test (full colour)", ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", length=0, labelsize=8)
    for text in axes.get_yticklabels():
        text.set_color(colours[labels[text.get_text()]])
    axes.grid(axis="x")
    plt.close(figure)
    return figure


@house_style()
def copies(first: np.ndarray, second: np.ndarray, names: tuple[str, str]) -> Figure:
    """Two images and the absolute difference between them, on one grey scale from 0 to 255."""
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, WIDTH / 3 + 0.1))
    _photograph(panels[0], first, names[0])
    _photograph(panels[1], second, names[1])
    difference = np.abs(first.astype(int) - second.astype(int)).max(axis=2)
    panels[2].imshow(difference, vmin=0, vmax=255)
    panels[2].set_title(f"Greatest difference: {difference.max()} of 255", fontsize=8.5)
    panels[2].set(xticks=[], yticks=[])
    plt.close(figure)
    return figure


@house_style()
def fields_side_by_side(rows: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Rows of fields under one heading each, to compare by eye. rows: heading to uint8 images."""
    columns = max(len(images) for images in rows.values())
    figure, grid = plt.subplots(
        len(rows), columns, squeeze=False, figsize=(WIDTH, len(rows) * (WIDTH / columns + 0.12))
    )
    for axes in grid.ravel():
        axes.set_axis_off()
    for line, (heading, images) in enumerate(rows.items()):
        for axes, image in zip(grid[line], images, strict=False):
            axes.set_axis_on()
            _photograph(axes, _halved(image))
        grid[line, 0].set_title(heading, fontsize=8.5)
    plt.close(figure)
    return figure


def _halved(image: np.ndarray) -> np.ndarray:
    """Half the width and height, averaged: small pictures need no more, and weigh a quarter."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return blocks.mean(axis=(1, 3)).round().astype(np.uint8)


def _photograph(axes: plt.Axes, image: np.ndarray, title: str = "") -> None:
    axes.imshow(image)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)
    if title:
        axes.set_title(title, fontsize=8.5)
