"""Pictures in the house style: photographs, brain slices, heat over images, and drawings made of boxes and arrows.

As in `als_core.figures.primitives`, each function takes arrays only, and none leaves a figure open in pyplot.
Lengths of grids and drawings are in inches, so that text keeps its size in points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import FancyBboxPatch, Rectangle

from als_core.figures.style import GRID, INK, MUTED, PALETTE, SMALLEST_TEXT, WIDTH, house_style

SMALL = 8.5  # points; titles and labels of pictures
HEAT = "YlOrRd"
HEAT_OPACITY = 0.75  # of the greatest heat
AXES = ("x", "y", "z")


@house_style()
def draw_image(
    axes: Axes,
    image: np.ndarray,
    title: str = "",
    *,
    frame: str = GRID,
    frame_width: float = 0.8,
    brightest: float | None = None,
    outline: np.ndarray | None = None,
    outline_colour: str = PALETTE[3],
) -> Axes:
    """Show an image without axes.

    Parameters
    ----------
    image : uint8 (H, W, 3), or (H, W) of any number or bool
        Grey images run from 0 to `brightest`, by default their maximum.
    frame : str
        Colour of the frame, `frame_width` points wide.
    outline : bool (H, W), optional
        Region whose border is drawn over the image.
    """
    grey = {"vmin": 0, "vmax": max(float(image.max()) if brightest is None else brightest, 1e-9)}
    axes.imshow(image, **(grey if image.ndim == 2 else {}))
    if outline is not None and outline.any() and not outline.all():
        axes.contour(outline.astype(float), [0.5], colors=outline_colour, linewidths=0.8)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=frame, linewidth=frame_width)
    if title:
        axes.set_title(title, fontsize=SMALL, pad=3)
    return axes


@house_style()
def image_grid(
    rows: Sequence[Sequence[np.ndarray | None]],
    *,
    titles: Sequence[Sequence[str]] | None = None,
    headings: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    frames: Sequence[Sequence[str]] | None = None,
    outlines: Sequence[Sequence[np.ndarray | None]] | None = None,
    label_colours: Sequence[str] | None = None,
    brightest: float | None = None,
    largest: float = 2.4,
) -> Figure:
    """Lay images out in rows, all equally large, at places given in inches.

    Parameters
    ----------
    rows : images by row, as `draw_image` takes them
        None leaves a place empty. The first image gives the shape of all places.
    titles : str by row and column, optional
        Above each image; "" for none.
    headings : str by row, optional
        Above the row, as long as need be.
    labels : str by row, optional
        Left of the row, turned upright, in `label_colours`.
    frames, outlines : by row and column, optional
        As in `draw_image`; "" and None for none.
    largest : float
        Greatest width of an image, inches.
    """
    columns = max(map(len, rows))
    first = next(image for row in rows for image in row if image is not None)
    ratio = first.shape[0] / first.shape[1]
    left, gap = (0.36 if labels else 0.0), 0.07
    width = min((WIDTH - left) / columns - gap, largest)
    above = [
        max(
            (0.06 + 0.15 * len(title.splitlines()) for title in (titles or [[]] * len(rows))[at] if title),
            default=0,
        )
        + (0.2 if headings else 0)
        for at in range(len(rows))
    ]
    height = sum(above) + len(rows) * (width * ratio + gap)
    figure, paper = canvas(height)
    top = height
    for at, row in enumerate(rows):
        top -= above[at] + width * ratio + gap
        if headings:
            paper.text(left, top + above[at] + width * ratio, headings[at], va="top", fontsize=SMALL)
        if labels:
            style = {"rotation": 90, "ha": "center", "va": "center", "fontsize": SMALLEST_TEXT}
            colour = label_colours[at] if label_colours else INK
            paper.text(0.17, top + width * ratio / 2, labels[at], color=colour, **style)
        for column, image in enumerate(row):
            if image is None:
                continue
            x = left + column * (width + gap)
            place = (x / WIDTH, top / height, width / WIDTH, width * ratio / height)
            frame = frames[at][column] if frames else ""
            draw_image(
                figure.add_axes(place),
                image,
                titles[at][column] if titles else "",
                brightest=brightest,
                outline=outlines[at][column] if outlines else None,
                **({"frame": frame, "frame_width": 2} if frame else {}),
            )
    return figure


def halved(image: np.ndarray) -> np.ndarray:
    """Average an image (H, W, ...) over 2 x 2 pixels, for pictures a few centimetres wide."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, *image.shape[2:])
    return blocks.mean(axis=(1, 3)).round().astype(image.dtype)


def overlay(ground: np.ndarray, heat: np.ndarray, *, top: float | None = None) -> np.ndarray:
    """Colour the grey copy of an image by heat: the hotter, the less is seen of the image.

    Parameters
    ----------
    ground : uint8 (H, W, 3), or (H, W) of any number
    heat : float (h, w), >= 0
        Resized to the image. Zero everywhere leaves the grey image.
    top : float, optional
        Heat at full colour; by default the map's own maximum.

    Returns
    -------
    uint8 (H, W, 3)
    """
    if ground.ndim == 3:
        grey = cv2.cvtColor(ground, cv2.COLOR_RGB2GRAY) / 255
    else:
        grey = np.nan_to_num(ground.astype(float)).clip(0)
        grey = grey / max(grey.max(), 1e-9)
    share = cv2.resize(heat.astype(np.float32), grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    greatest = share.max() if top is None else top
    share = np.clip(share / greatest, 0, 1)[..., None] if greatest > 0 else np.zeros((*grey.shape, 1))
    colour = mpl.colormaps[HEAT](share[..., 0])[..., :3]
    return np.rint(255 * (grey[..., None] + HEAT_OPACITY * share * (colour - grey[..., None]))).astype(
        np.uint8
    )


def plane(volume: np.ndarray, axis: str, number: int) -> np.ndarray:
    """Take one slice of a volume (X, Y, Z) as a picture: front or right to the right, up or front on top."""
    return np.rot90(volume.take(number, axis=AXES.index(axis)))


@house_style()
def draw_slices(
    row: Sequence[Axes],
    volume: np.ndarray,
    cuts: Sequence[tuple[str, int]],
    *,
    titles: Sequence[str] | None = None,
    heat: np.ndarray | None = None,
    outline: np.ndarray | None = None,
) -> None:
    """Show slices of a brain volume, one per axes, heat over them and a region outlined.

    Parameters
    ----------
    row : axes, one per cut
    volume : float (X, Y, Z)
        0 outside the brain; grey runs from its 1st to its 99th percentile, and outside is transparent.
    cuts : pairs of axis ("x", "y", "z") and slice number
    heat : float (X, Y, Z), >= 0, optional
        At full colour from its 99.5th percentile inside the brain.
    outline : bool (X, Y, Z), optional
    """
    brain = volume != 0
    low, high = np.percentile(volume[brain], [1, 99])
    grey = np.clip((volume - low) / max(high - low, 1e-9), 0, 1)
    top = None if heat is None else float(np.percentile(heat[brain], 99.5))
    for axes, (axis, number), title in zip(row, cuts, titles or [""] * len(cuts), strict=True):
        picture = (255 * plane(grey, axis, number)).astype(np.uint8)
        colours = np.repeat(picture[..., None], 3, axis=2)
        if heat is not None:
            colours = overlay(colours, plane(heat, axis, number), top=top)
        opaque = 255 * plane(brain, axis, number).astype(np.uint8)
        axes.imshow(np.dstack([colours, opaque]))
        edge = None if outline is None else plane(outline, axis, number)
        if edge is not None and edge.any() and not edge.all():
            axes.contour(edge.astype(float), [0.5], colors=PALETTE[7], linewidths=0.9, corner_mask=False)
        axes.set_axis_off()
        if title:
            axes.set_title(title, fontsize=SMALL)


def canvas(height: float) -> tuple[Figure, Axes]:
    """Make a figure of the page's width whose axes count in inches, for drawings and images.

    An invisible frame keeps it from being cropped, so text comes out equally large in all drawings.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH, height), layout=PlaceHolderLayoutEngine(True, True))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), WIDTH, height, facecolor="none"))
    return figure, axes


@house_style()
def draw_box(
    axes: Axes,
    centre: tuple[float, float],
    size: tuple[float, float],
    text: str = "",
    *,
    round_ends: bool = False,
    ink: str = INK,
    **look: Any,
) -> None:
    """Draw a box with text in it on a `canvas`. look: `facecolor`, `edgecolor`, `linestyle`, ... of a patch."""
    (x, y), (width, height) = centre, size
    radius = height / 2 if round_ends else 0.05
    box = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle=f"round,pad=0,rounding_size={min(radius, width / 2)}",
        **look,
    )
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", fontsize=SMALLEST_TEXT, color=ink)


@house_style()
def draw_arrow(axes: Axes, *points: tuple[float, float]) -> None:
    """Draw an arrow along points; corners between the first and the last stay square."""
    if len(points) > 2:
        x, y = zip(*points[:-1], strict=True)
        axes.plot(x, y, color=MUTED, linewidth=0.9, solid_capstyle="butt", solid_joinstyle="miter")
    look = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}  # fmt: skip
    axes.annotate("", points[-1], points[-2], arrowprops=look)


@house_style()
def flow_chart(steps: Sequence[tuple[str, str]]) -> Figure:
    """Draw steps as boxes joined by arrows, four in a line, read like text. steps: heading and one or two lines below it."""
    columns = 4
    lines = math.ceil(len(steps) / columns)
    pitch, tall = WIDTH / columns, 1.05
    width, height = pitch - 0.3, 0.72
    figure, axes = canvas(tall * lines)
    centres = [
        (pitch * (at % columns) + width / 2 + 0.02, tall * (lines - at // columns) - tall / 2)
        for at in range(len(steps))
    ]
    for at, ((x, y), (heading, line)) in enumerate(zip(centres, steps, strict=True)):
        draw_box(axes, (x, y), (width, height), facecolor="none", edgecolor=PALETTE[0], linewidth=1.2)
        axes.text(x, y + 0.17, heading, ha="center", va="center", weight="bold", fontsize=SMALL)
        axes.text(x, y - 0.13, line, ha="center", va="center", fontsize=SMALLEST_TEXT, color=MUTED)
        if at + 1 == len(steps):
            continue
        next_x, next_y = centres[at + 1]
        if next_y == y:
            draw_arrow(axes, (x + width / 2, y), (next_x - width / 2 - 0.02, y))
        else:
            between = (y + next_y) / 2
            corners = [
                (x, y - height / 2),
                (x, between),
                (next_x, between),
                (next_x, next_y + height / 2 + 0.02),
            ]
            draw_arrow(axes, *corners)
    return figure
