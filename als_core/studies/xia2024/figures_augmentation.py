"""Figures of the tissue study's augmentation (Xia 2024, Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from als_core.cohorts.quality import AXIS_LABELS
from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style


@house_style()
def augmentation_gallery(
    original: np.ndarray, augmented: Mapping[str, np.ndarray], columns: int = 3
) -> Figure:
    """Fig. 5: the original on top, its augmented copies below. augmented: title to uint8 image."""
    rows = -(-len(augmented) // columns)
    height, width = original.shape[:2]
    side = WIDTH / columns * 0.8
    figure, grid = plt.subplots(
        rows + 1,
        columns,
        squeeze=False,
        figsize=(side * columns, (side * height / width + 0.16) * (rows + 1)),
    )
    for axes in grid.ravel():
        axes.set_axis_off()
    _show(grid[0, 0], original, "Original")
    for axes, (title, image) in zip(grid[1:].ravel(), augmented.items(), strict=False):
        _show(axes, image, title)
    plt.close(figure)
    return figure


@house_style()
def quality_by_augmentation(quality: pd.DataFrame) -> Figure:
    """The four quality measures of the originals and of each augmented set: median, quartiles, 5 to 95 percent.

    quality: one row an image, columns of `AXIS_LABELS` and `augmentation` ("original" among its values).
    """
    order = list(dict.fromkeys(quality["augmentation"]))
    figure, panels = plt.subplots(1, 4, figsize=(WIDTH, 0.9 + 0.26 * len(order)), sharey=True)
    colours = {name: MUTED if name == "original" else PALETTE[0] for name in order}
    for letter, axes, (column, label) in zip("abcd", panels, AXIS_LABELS.items(), strict=False):
        sns.boxplot(
            quality,
            y="augmentation",
            x=column,
            hue="augmentation",
            order=order,
            hue_order=order,
            whis=(5, 95),
            palette=colours,
            width=0.6,
            linewidth=0.8,
            fliersize=0,
            legend=False,
            ax=axes,
            linecolor=INK,
        )
        median = quality.loc[quality["augmentation"] == "original", column].median()
        axes.axvline(median, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        name, _, unit = label.partition(" (")
        axes.set_title(f"({letter}) {name.partition(',')[0]}", fontsize=8.5)
        axes.set(xlabel=unit.rstrip(")") or "mean / sd", ylabel="")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    plt.close(figure)
    return figure


def _show(axes: plt.Axes, image: np.ndarray, title: str) -> None:
    axes.set_axis_on()
    axes.imshow(image)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=8.5)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)
