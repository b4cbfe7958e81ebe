"""Heatmaps of tissue: the matrix of true and predicted classes, and heat on lesions (Xia 2024, Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine

from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style

HEAT = "YlOrRd"
STRENGTH = 0.75  # how much of the image the greatest heat covers
SHOWN = 240  # pixels on each side of a picture in the matrix


@dataclass(frozen=True)
class Cell:
    """What stands for one pair of classes: image uint8 (H, W, 3), heat (h, w) >= 0 or None, lesion bool or None.

    places: height and width of the maps the heat was made from. note: one or two lines below.
    """

    image: np.ndarray
    heat: np.ndarray | None
    note: str
    places: tuple[int, int] = (1, 1)
    lesion: np.ndarray | None = None


def pair_cells(
    chosen: pd.DataFrame,
    images: Sequence[np.ndarray],
    heat: Sequence[np.ndarray] | None = None,
    places: tuple[int, int] = (1, 1),
    lesions: Mapping[int, np.ndarray] | None = None,
) -> dict[tuple[str, str], Cell]:
    """Cells of a class matrix, by true and predicted class.

    chosen: columns label, predicted, count, path, seed, score, sample, one row a cell
    (`explain.tissue_heatmaps.standing_for_pairs`); images and heat in its order. lesions: by sample.
    """
    return {
        (row.label, row.predicted): Cell(
            image,
            None if heat is None else heat[place],
            f"{row.count} {'case' if row.count == 1 else 'cases'}\n{Path(row.path).name}, seed {row.seed}, {row.score:.2f}",
            places,
            (lesions or {}).get(row.sample),
        )
        for place, (row, image) in enumerate(zip(chosen.itertuples(), images, strict=True))
    }


@house_style()
def class_matrix(cells: Mapping[tuple[str, str], Cell], classes: Sequence[str]) -> Figure:
    """Fig. 3: rows are true classes, columns predicted ones; in each cell the image, and the heat over its grey copy.

    Pairs of classes that are not in `cells` stay empty and say so. Heat is drawn on the scale of its own
    maximum, with the borders of the places it was computed at; lesions are outlined on the image.
    """
    panels = 2 if any(cell.heat is not None for cell in cells.values()) else 1
    left, head, between, notes = 0.24, 0.24, 0.12, 0.36
    pitch = (WIDTH - left) / len(classes)
    size = min((pitch - between) / panels, 1.7)
    foot = 0.45 if panels == 2 else 0.0
    height = head + len(classes) * (size + notes) + foot
    figure = plt.figure(figsize=(WIDTH, height))
    figure.set_layout_engine(PlaceHolderLayoutEngine(True, True))  # places are given in inches below

    def panel(x: float, y: float, width: float = size) -> Axes:
        axes = figure.add_axes((x / WIDTH, y / height, (width - 0.03) / WIDTH, (size - 0.03) / height))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=GRID)
        return axes

    for (row, true), (column, predicted) in product(enumerate(classes), enumerate(classes)):
        x, y = left + pitch * column, height - head - row * (size + notes) - size
        if cell := cells.get((true, predicted)):
            _fill([panel(x + size * place, y) for place in range(panels)], cell)
        else:
            _empty(panel(x, y, size * panels))
        middle = (x + size * panels / 2) / WIDTH
        note = {"ha": "center", "va": "top", "fontsize": 8, "color": MUTED}
        figure.text(middle, (y - 0.03) / height, cell.note if cell else "", **note)
        if row == 0:
            figure.text(middle, 1, f"predicted {predicted}", ha="center", va="top", fontsize=9)
        if column == 0:
            title = {"rotation": 90, "ha": "left", "va": "center", "fontsize": 9}
            figure.text(0, (y + size / 2) / height, f"true {true}", **title)
    if foot:
        _heat_scale(figure.add_axes((0.3, 0.22 / height, 0.4, 0.1 / height)))
    plt.close(figure)
    return figure


@house_style()
def heat_on_lesions(table: pd.DataFrame, means: pd.DataFrame) -> Figure:
    """Heat on an image's own lesion, on lesions of others, and by a head of noise, by layer: a point an image and run.

    table: columns layer, own, others, noise, one row an image, run and layer. means: columns layer, height and
    width of its maps, kind (`own`, `others`, `noise`), mean, low, high. In units of what an even map gives;
    layers in the order of `means`.
    """
    layers = {row.layer: f"{row.layer}\n{row.height} × {row.width}" for row in means.itertuples()}
    looks = {
        "own": (PALETTE[0], "its own lesion", -0.27),
        "others": (MUTED, "lesions of others", 0.0),
        "noise": (PALETTE[1], "its own lesion, by a head of noise", 0.27),
    }
    figure, axes = plt.subplots(figsize=(WIDTH, 3.1))
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    for kind, (colour, title, shift) in looks.items():
        for place, layer in enumerate(layers):
            values = table.loc[table["layer"] == layer, kind].dropna().sort_values().to_numpy()
            spread = (np.arange(len(values)) * 0.618) % 1 - 0.5  # even, and the same each time
            label = title if place == 0 else None
            axes.scatter(
                place + shift + 0.2 * spread, values, 10, color=colour, alpha=0.5, linewidths=0, label=label
            )
            mean = means[(means["layer"] == layer) & (means["kind"] == kind)].iloc[0]
            ends = np.array([[mean["mean"] - mean["low"]], [mean["high"] - mean["mean"]]])
            axes.errorbar(
                place + shift,
                mean["mean"],
                ends,
                fmt="_",
                color=INK,
                markersize=22,
                capsize=5,
                elinewidth=1.4,
            )
    axes.set_xticks(range(len(layers)), layers.values())
    axes.set(
        ylabel="Heat on the lesion,\ntimes that of an even map",
        xlim=(-0.5, len(layers) - 0.5),
        ylim=(0, None),
    )
    axes.text(1.01, 1, "even\nmap", transform=axes.get_yaxis_transform(), ha="left", va="center", fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=3)
    plt.close(figure)
    return figure


def heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Heat over the grey copy of an image, as uint8 RGB; the hotter, the less of the image is seen.

    image: uint8 (H, W, 3). heat: (h, w), >= 0, any scale, taken relative to its maximum; zero everywhere
    leaves the grey image.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2) / 255
    share = cv2.resize(heat.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    share = (share / share.max() if share.max() > 0 else share)[..., None]
    colour = mpl.colormaps[HEAT](share[..., 0])[..., :3]
    return np.rint(255 * (grey + STRENGTH * share * (colour - grey))).astype(np.uint8)


def _fill(axes: Sequence[Axes], cell: Cell) -> None:
    image = cv2.resize(_square(cell.image), (SHOWN, SHOWN), interpolation=cv2.INTER_AREA)
    axes[0].imshow(image)
    if cell.lesion is not None and cell.lesion.any():
        lesion = cv2.resize(cell.lesion.astype(np.float32), (SHOWN, SHOWN), interpolation=cv2.INTER_AREA)
        axes[0].contour(lesion, levels=[0.5], colors=[PALETTE[3]], linewidths=0.7)
    if cell.heat is None:
        return
    axes[1].imshow(heated(image, cell.heat))
    for count, line in zip(cell.places, (axes[1].axhline, axes[1].axvline), strict=True):
        for border in range(1, count):
            line(border * SHOWN / count - 0.5, color="#ffffff", linewidth=0.5, alpha=0.6)
    if not cell.heat.any():
        axes[1].text(0.5, 0.5, "no heat", transform=axes[1].transAxes, ha="center", va="center", fontsize=8,
                     color="#ffffff", bbox={"facecolor": "#1f2328", "linewidth": 0, "pad": 2})  # fmt: skip


def _square(image: np.ndarray) -> np.ndarray:
    """The central square, which is what a network sees of an image."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _empty(axes: Axes) -> None:
    axes.spines[:].set_linestyle((0, (2, 3)))
    axes.text(0.5, 0.5, "none", ha="center", va="center", fontsize=8, color=MUTED)


def _heat_scale(axes: Axes) -> None:
    middle = np.full((4, 256, 3), 185, np.uint8)
    axes.imshow(heated(middle, np.tile(np.linspace(0, 1, 256), (4, 1))), aspect="auto", extent=(0, 1, 0, 1))
    axes.set(yticks=[], xticks=[0, 0.5, 1])
    axes.set_xticklabels(["0", "heat, share of its maximum", "1"])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
