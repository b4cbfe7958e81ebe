"""Heatmaps of tissue: the matrix of true and predicted classes, and heat on lesions (Xia 2024, Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from als_core.book import interactive
from als_core.figures.drawn import Drawn, listed, number
from als_core.figures.pictures import canvas, draw_image, overlay
from als_core.figures.primitives import draw_reference, draw_rows, legend, panels
from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style
from als_core.refusal import counted

SHOWN = 240  # pixels on each side of a picture in the matrix
LOOKS = {
    "own": (PALETTE[0], "its own lesion", -0.27),
    "others": (PALETTE[6], "lesions of others", 0.0),
    "noise": (PALETTE[1], "its own lesion, random head", 0.27),
}


@dataclass(frozen=True)
class Cell:
    """What represents one pair of classes in the matrix.

    image : uint8 (H, W, 3)
    heat : float (h, w) >= 0, or None
    note : str
        One or two lines below the image.
    places : height and width of the maps the heat was made from
    lesion : bool (H, W), or None
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
    """Make the cells of a class matrix, by true and predicted class.

    chosen : one row per cell, columns label, predicted, count, path, seed, score, sample
    (`heatmaps.examples_of_pairs`); images and heat in its order. lesions : by sample.
    """
    return {
        (row.label, row.predicted): Cell(
            image,
            None if heat is None else heat[place],
            f"{counted(row.count, 'case')}\n{Path(row.path).name}, seed {row.seed}, {row.score:.2f}",
            places,
            (lesions or {}).get(row.sample),
        )
        for place, (row, image) in enumerate(zip(chosen.itertuples(), images, strict=True))
    }


@house_style()
def class_matrix(
    chosen: pd.DataFrame,
    cells: Mapping[tuple[str, str], Cell],
    classes: Sequence[str],
    title: str,
    note: str = "",
) -> Drawn:
    """Draw rows of true and columns of predicted classes: the image, and the heat over its grey copy (Fig. 3).

    Pairs of classes without a cell stay empty and say so. Heat is on the scale of its own maximum, with the
    borders of the places it was computed at; lesions are outlined on the image.

    chosen : the table that `cells` were made from. title : first sentence of the caption. note : its rest.
    """
    heated = any(cell.heat is not None for cell in cells.values())
    pictures = 2 if heated else 1
    left, head, between, notes = 0.24, 0.24, 0.12, 0.36
    pitch = (WIDTH - left) / len(classes)
    size = min((pitch - between) / pictures, 1.7)
    foot = 0.45 if heated else 0.0
    height = head + len(classes) * (size + notes) + foot
    figure, paper = canvas(height)

    def panel(x: float, y: float, width: float = size) -> Axes:
        return figure.add_axes((x / WIDTH, y / height, (width - 0.03) / WIDTH, (size - 0.03) / height))

    for (row, true), (column, predicted) in product(enumerate(classes), enumerate(classes)):
        x, y = left + pitch * column, height - head - row * (size + notes) - size
        if cell := cells.get((true, predicted)):
            _fill([panel(x + size * place, y) for place in range(pictures)], cell)
            paper.text(
                x + size * pictures / 2, y - 0.03, cell.note, ha="center", va="top", fontsize=8, color=MUTED
            )
        else:
            _empty(panel(x, y, size * pictures))
        if row == 0:
            middle = x + size * pictures / 2
            paper.text(middle, height, f"predicted {predicted}", ha="center", va="top", fontsize=9)
        if column == 0:
            paper.text(0, y + size / 2, f"true {true}", rotation=90, ha="left", va="center", fontsize=9)
    if heated:
        _heat_scale(figure.add_axes((0.3, 0.22 / height, 0.4, 0.1 / height)))
    cases = listed(f"{row.label} as {row.predicted} {row.count}" for row in chosen.itertuples())
    heat = [None if cell.heat is None else float(cell.heat.max()) for cell in cells.values()]
    return Drawn(
        figure,
        f"{title} {note}".strip(),
        f"Matrix of {len(classes)} by {len(classes)} cells, empty or with an image"
        f"{' and its heatmap' if heated else ''}. Cases by true and predicted class: {cases}.",
        chosen.assign(greatest_heat=heat),
    )


def heat_to_lay_over(chosen: pd.DataFrame, cells: Mapping[tuple[str, str], Cell]) -> str:
    """Lay the heat of each cell of `class_matrix` over its image, with a slider of opacity (HTML)."""
    named = {
        f"{row.label}, predicted {row.predicted} ({Path(row.path).name})": cells[row.label, row.predicted]
        for row in chosen.itertuples()
    }
    return interactive.heatmap_overlay(
        {name: _square(cell.image) for name, cell in named.items()},
        {name: cell.heat for name, cell in named.items()},
        "the chosen test image",
        menu="Image, by its true class",
    )


@house_style()
def heat_on_lesions(table: pd.DataFrame, means: pd.DataFrame, unit: str, strangers: str) -> Drawn:
    """Draw heat on an image's own lesion, on lesions of others, and by a random head, by layer.

    Parameters
    ----------
    table : DataFrame
        One row per image, run and layer: layer, own, others, noise, in units of an even map.
    means : DataFrame
        Columns layer, height and width of its maps, kind (`own`, `others`, `noise`), mean, low, high; layers
        in their order.
    unit, strangers : str
        What was resampled ("donors"), and whose lesions are compared ("other donors").
    """
    titles = {row.layer: f"{row.layer}, {row.height} × {row.width}" for row in means.itertuples()}
    figure, (axes,) = panels(1, height=0.9 + 0.75 * len(titles))
    for kind, (colour, _, shift) in LOOKS.items():
        dots = pd.DataFrame({"name": table["layer"].map(titles), "value": table[kind]}).dropna()
        rows = means[means["kind"] == kind].rename(columns={"mean": "value"})
        rows = rows.assign(name=rows["layer"].map(titles))[["name", "value", "low", "high"]]
        order = list(titles.values())
        draw_rows(axes, rows[["name"]], dots=dots, order=order, colour=colour, shift=shift, spread=0.2)
        draw_rows(axes, rows, order=order, colour=INK, shift=shift, kind="tick", linewidth=2)
    draw_reference(axes, 1)
    axes.set(xlabel="Heat on the lesion, times that of an even map", xlim=(0, None))
    entries = {title: ("dot", colour) for colour, title, _ in LOOKS.values()}
    legend(figure, entries | {"mean, 95 %": ("tick", INK), "even map": ("dashed", MUTED)}, columns=5)
    said = [
        f"{row.layer}, {LOOKS[row.kind][1]} {number(row.mean)} ({number(row.low)} to {number(row.high)})"
        for row in means.itertuples()
        if row.kind in LOOKS
    ]
    return Drawn(
        figure,
        "Share of the heat for the true class that lies on the lesion, over the lesion's share of the image, by layer. "
        f"A dot is an image and run. Intervals are over {unit}; others are {strangers}; se1 to se3 are the gates.",
        f"Dots for each layer: heat on an image's own lesion, on lesions of others, and by a random head. Means: {'; '.join(said)}.",
        table,
    )


def _fill(axes: Sequence[Axes], cell: Cell) -> None:
    image, lesion = (
        None if each is None else cv2.resize(_square(each), (SHOWN, SHOWN), interpolation=cv2.INTER_AREA)
        for each in (cell.image, None if cell.lesion is None else cell.lesion.astype(np.float32))
    )
    draw_image(axes[0], image, outline=None if lesion is None else lesion > 0.5)
    if cell.heat is None:
        return
    draw_image(axes[1], overlay(image, cell.heat))
    for count, line in zip(cell.places, (axes[1].axhline, axes[1].axvline), strict=True):
        for border in range(1, count):
            line(border * SHOWN / count - 0.5, color="#ffffff", linewidth=0.5, alpha=0.6)
    if not cell.heat.any():
        box = {"facecolor": "#1f2328", "linewidth": 0, "pad": 2}
        style = {"ha": "center", "va": "center", "fontsize": 8, "color": "#ffffff", "bbox": box}
        axes[1].text(0.5, 0.5, "no heat", transform=axes[1].transAxes, **style)


def _square(image: np.ndarray) -> np.ndarray:
    """The central square, which is what a network sees of an image."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _empty(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=GRID, linestyle=(0, (2, 3)))
    axes.text(0.5, 0.5, "none", ha="center", va="center", fontsize=8, color=MUTED)


def _heat_scale(axes: Axes) -> None:
    middle = np.full((4, 256, 3), 185, np.uint8)
    axes.imshow(overlay(middle, np.tile(np.linspace(0, 1, 256), (4, 1))), aspect="auto", extent=(0, 1, 0, 1))
    axes.set(yticks=[], xticks=[0, 0.5, 1])
    axes.set_xticklabels(["0", "heat, share of its maximum", "1"])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
