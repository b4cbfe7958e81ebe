"""Architectures drawn from the networks themselves, stage by stage (Xia 2024, Fig. 6).

What is drawn is what `als_core.models.cost.describe` found in the modules: names, shapes, parameters and
what of them trains. Lengths are in inches, so that text keeps its size in points.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import groupby, pairwise
from math import log2

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import Circle, FancyBboxPatch, Patch, Polygon, Rectangle

from als_core.figures.style import GRID, GROUND, INK, MUTED, PALETTE, WIDTH, house_style
from als_core.training.recipe import Plateau, Recipe

TRAINS, FOLLOWS = PALETTE[0], PALETTE[1]
PILL = 0.27  # height of a gate
GAP = 0.09  # between two stages
ON_COLOUR = "#ffffff"  # text on a filled shape: the same on light and dark pages
GATE = re.compile(r"(?:se|cbam)(\d+)")  # gates of either kind at one place share a row
LEGEND = {
    "trains": {"facecolor": TRAINS},
    "frozen": {"facecolor": GRID},
    "frozen, in training mode": {"facecolor": GRID, "edgecolor": FOLLOWS, "linestyle": (0, (3, 2))},
    "nothing to train": {"facecolor": GROUND, "edgecolor": MUTED},
}

Networks = Mapping[tuple[str, str], pd.DataFrame]
"""(network, variant) to its stages, as `describe` lists them, with a bool column `active` where some frozen
stages run in training mode (`models.stages.set_trainable`)."""


@house_style()
def stage_drawing(networks: Networks, input_shape: Sequence[int]) -> Figure:
    """Networks side by side from image to scores, what they share on one row.

    A shape is as wide as the maps are large (on a logarithmic scale), and gates have round ends. At the
    left what a stage is, in the shape its parameters, at the right the size of its output for an image of
    `input_shape` (1, channels, height, width). Networks of one name stand next to each other.
    """
    rows = _rows(networks)
    words, sizes = 1.95, 0.98
    pitch = min((WIDTH - words - sizes) / len(networks), 1.25)
    start = (WIDTH - words - pitch * len(networks) - sizes) / 2
    middles = [start + words + pitch * (place + 0.5) for place in range(len(networks))]
    end = middles[-1] + pitch / 2 + 0.06
    heads, feet = 0.52, 1.0
    heights = [0.17 + 0.13 * max(2, len(row["lines"])) for row in rows]
    height = heads + sum(heights) + feet
    figure, axes = _paper(height)
    _headings(axes, networks, middles, height)

    top, full = height - heads, input_shape[-1]
    sides = dict.fromkeys(networks, full)
    for middle in middles:
        axes.plot([middle - pitch * 0.43, middle + pitch * 0.43], [top, top], color=INK, linewidth=1.2)
    axes.text(end, top, _size(input_shape), va="center", fontsize=8)
    for row, tall in zip(rows, heights, strict=True):
        centre = top - (tall + GAP) / 2
        name, *kinds = row["lines"]
        axes.text(start, centre, name + "\n" * len(kinds), va="center", fontsize=8.5)
        axes.text(start, centre, "\n" + "\n".join(kinds), va="center", fontsize=8, color=MUTED)
        axes.text(end, centre, row["size"], va="center", fontsize=8)
        for (key, stages), middle in zip(networks.items(), middles, strict=True):
            here = stages[stages["stage"].map(_place) == row["place"]]
            if here.empty:
                axes.plot([middle, middle], [top, top - tall], **_WIRE)
                continue
            stage = here.iloc[0]
            side = _side(stage["output_shape"])
            widths = [_width(value, full, pitch * 0.86) for value in (sides[key], side)]
            axes.plot([middle, middle], [top, top - tall], **_WIRE)
            _stage(axes, stage, middle, (top - GAP, top - tall), widths)
            sides[key] = side
        top -= tall
    _totals(axes, networks, middles, start, top)
    _legend(figure, networks)
    plt.close(figure)
    return figure


@house_style()
def gate_drawing(steps: pd.DataFrame, shape: Sequence[int]) -> Figure:
    """Fig. 6 (1): a squeeze-and-excitation gate, from maps of `shape` (1, channels, height, width) to gated maps.

    steps: the layers of the gate as `describe` lists them; boxes are as tall as the vectors that leave them
    are long (on a logarithmic scale).
    """
    figure, axes = _paper(2.3)
    trunk, branch = 1.62, 0.66
    shown = steps[steps["kind"] != "flatten"]  # changes the shape on paper, and no value
    middles = [1.53 + 0.93 * place for place in range(len(shown))]
    meeting = middles[-1] + 0.6
    axes.annotate("", (meeting - 0.12, trunk), (0.9, trunk), arrowprops=_ARROW)
    axes.annotate("", (WIDTH - 0.92, trunk), (meeting + 0.12, trunk), arrowprops=_ARROW)
    axes.plot([1.05, 1.05, middles[0] - 0.39], [trunk, branch, branch], **_WIRE)
    axes.plot([middles[-1] + 0.39, meeting], [branch, branch], **_WIRE)
    axes.annotate("", (meeting, trunk - 0.12), (meeting, branch), arrowprops=_ARROW)
    for first, second in pairwise(middles):
        axes.annotate("", (second - 0.39, branch), (first + 0.39, branch), arrowprops=_ARROW)
    most = log2(shown["output_shape"].map(lambda size: size[1]).max())
    for middle, step in zip(middles, shown.itertuples(), strict=True):
        tall = 0.28 + 0.5 * log2(step.output_shape[1]) / most
        box = Rectangle((middle - 0.39, branch - tall / 2), 0.78, tall, **_look(step.parameters, True))
        axes.add_patch(box)
        words = "\n".join(_short(step.kind).split(" ", 1))
        ink = ON_COLOUR if step.parameters else INK
        axes.text(middle, branch, words, ha="center", va="center", fontsize=8, color=ink)
        below = f"{step.parameters:,}\nparameters" if step.parameters else _size(step.output_shape)
        axes.text(middle, branch - 0.44, below, ha="center", va="top", fontsize=8, color=MUTED)
    axes.add_patch(Circle((meeting, trunk), 0.12, facecolor=GROUND, edgecolor=INK, linewidth=1))
    axes.text(meeting, trunk, "×", ha="center", va="center", fontsize=10)
    axes.text(
        (1.05 + meeting) / 2, trunk + 0.06, "the maps u, as they are", ha="center", va="bottom", fontsize=8
    )
    axes.text(1.11, branch + 0.5, "squeeze: z, the mean of each map", va="center", fontsize=8, color=MUTED)
    axes.text(meeting - 0.08, branch + 0.5, "excite: s = σ(W₂ ReLU(W₁ z))", ha="right", va="center", fontsize=8, color=MUTED)  # fmt: skip
    _plates(axes, 0.42, trunk, [0.5] * 5, GRID)
    _plates(axes, WIDTH - 0.46, trunk, [0.2, 0.75, 0.35, 1.0, 0.55], TRAINS)
    for middle, title in ((0.47, "maps u"), (WIDTH - 0.44, "gated maps su")):
        axes.text(middle, trunk + 0.47, title, ha="center", va="bottom", fontsize=8.5)
        axes.text(middle, trunk - 0.42, _size(shape), ha="center", va="top", fontsize=8, color=MUTED)
    plt.close(figure)
    return figure


def stage_table(networks: Networks) -> pd.DataFrame:
    """The numbers behind a drawing: one row a stage of each network, shapes without the batch axis."""
    tables = [
        stages.assign(network=name, variant=variant, output_shape=stages["output_shape"].map(_size))
        for (name, variant), stages in networks.items()
    ]
    together = pd.concat(tables, ignore_index=True)
    return together[["network", "variant", *(c for c in together if c not in ("network", "variant"))]]


def settings_that_differ(published: Mapping[str, Recipe], released: Mapping[str, Recipe]) -> pd.DataFrame:
    """Settings other than what trains in which two variants of the recipes part, by network.

    Columns Setting, Published variant, Released variant, Networks (`all`, or the names of those it holds for).
    """
    settings = [
        field.name for field in fields(Recipe) if field.name not in ("name", "network", "variant", "trains")
    ]
    rows = [
        (setting.replace("_", " "), *map(_said, values), one.name)
        for setting in settings
        for one, other in ((published[name], released[name]) for name in published)
        if len(set(values := (getattr(one, setting), getattr(other, setting)))) == 2
    ]
    columns = ["Setting", "Published variant", "Released variant", "Networks"]
    table = pd.DataFrame(rows, columns=columns).groupby(columns[:3], sort=False, as_index=False)["Networks"]
    return table.agg(lambda names: "all" if len(names) == len(published) else ", ".join(names))


def _said(value: object) -> str:
    match value:
        case Plateau():
            return f"× {value.factor:g} where the validation loss stands still, down to {value.minimum:g}"
        case bool() | None:
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
    return str(value)


def compact(count: float) -> str:
    """A count in a few characters: 3,075, 335 k, 2.16 M, 9.21 G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= (10_000 if unit == "k" else size):
            return f"{f'{count / size:#.3g}'.rstrip('.')} {unit}"
    return f"{count:,.0f}"


_WIRE = {"color": MUTED, "linewidth": 0.9, "zorder": 0, "solid_capstyle": "butt"}
_ARROW = {
    "arrowstyle": "-|>",
    "color": MUTED,
    "linewidth": 0.9,
    "shrinkA": 0,
    "shrinkB": 0,
    "mutation_scale": 8,
}


def _paper(height: float) -> tuple[Figure, Axes]:
    """A figure whose one pair of axes counts in inches."""
    figure = plt.figure(figsize=(WIDTH, height))
    figure.set_layout_engine(
        PlaceHolderLayoutEngine(True, True)
    )  # the one of the house style would stretch it
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    # a frame nobody sees, so that files are cropped to the paper and text comes out equally large in all
    axes.add_patch(Rectangle((0, 0), WIDTH, height, facecolor="none"))
    return figure, axes


def _place(stage: str) -> str:
    return GATE.sub(r"gate\1", stage)


def _rows(networks: Networks) -> list[dict]:
    """Rows of the drawing in order, each with its place, its lines of text and the size of its output."""
    order: list[str] = []
    for stages in networks.values():
        after = 0
        for place in stages["stage"].map(_place):
            if place not in order:
                order.insert(after, place)
            after = order.index(place) + 1
    every = pd.concat(networks.values(), ignore_index=True)
    rows = []
    for place in order:
        here = every[every["stage"].map(_place) == place]
        names = " / ".join(dict.fromkeys(here["stage"]))
        kinds = list(dict.fromkeys(_kind(kind) for kind in here["kind"]))
        lines = [line for kind in kinds for line in textwrap.wrap(kind, 31)]
        size = _size(here["output_shape"].iloc[0])
        rows.append({"place": place, "lines": [names, *lines], "size": size})
    return rows


def _kind(kind: str) -> str:
    """What a stage is, without the layers that have no say in its shape or its cost."""
    return _short(re.sub(r" \+ dropout [\d.]+|dropout [\d.]+ \+ ", "", kind))


def _short(kind: str) -> str:
    """A kind in the words of a drawing."""
    kind = re.sub(r"(?<=\d)x(?=\d)", "×", kind.replace(" x ", " × "))
    kind = re.sub(r"channel gate ([\d-]+) \+ (.*) spatial gate", r"CBAM \1, \2", kind)
    return kind.replace("convolution", "conv").replace("batch norm", "BN").replace(" stride ", " /")


def _side(shape: Sequence[int]) -> int:
    return shape[-1] if len(shape) == 4 else 1


def _size(shape: Sequence[int]) -> str:
    """Channels, height and width; trailing ones are left out."""
    return " × ".join(str(size) for size in (shape[1:] if _side(shape) > 1 else shape[1:2]))


def _width(side: int, full: int, widest: float) -> float:
    narrowest = min(0.46, widest)
    return narrowest + (widest - narrowest) * log2(side) / log2(full)


def _look(parameters: int, trains: bool, active: bool = False) -> dict:
    if active:
        return LEGEND["frozen, in training mode"] | {"linewidth": 1.1}
    if not parameters:
        return LEGEND["nothing to train"] | {"linewidth": 0.9}
    return LEGEND["trains" if trains else "frozen"]


def _stage(
    axes: Axes, stage: pd.Series, middle: float, ends: tuple[float, float], widths: list[float]
) -> None:
    """One stage as a shape from its input's width to its output's, its parameters written in it."""
    upper, lower = ends
    look = _look(stage["parameters"], stage["trainable"] > 0, bool(stage.get("active", False)))
    if GATE.fullmatch(stage["stage"]):
        corner = (middle - widths[1] / 2, (upper + lower - PILL) / 2)
        round_ends = f"round,pad=0,rounding_size={PILL / 2}"
        axes.add_patch(FancyBboxPatch(corner, widths[1], PILL, boxstyle=round_ends, **look))
    else:
        corners = [
            (middle + sign * width / 2, y) for width, y in zip(widths, ends, strict=True) for sign in (-1, 1)
        ]
        axes.add_patch(Polygon([corners[i] for i in (0, 1, 3, 2)], closed=True, **look))
    if stage["parameters"]:
        ink = ON_COLOUR if stage["trainable"] else INK
        text = compact(stage["parameters"])
        axes.text(middle, (upper + lower) / 2, text, ha="center", va="center", fontsize=8, color=ink)


def _headings(axes: Axes, networks: Networks, middles: Sequence[float], height: float) -> None:
    for name, group in groupby(range(len(middles)), key=lambda place: list(networks)[place][0]):
        places = list(group)
        middle = (middles[places[0]] + middles[places[-1]]) / 2
        axes.text(middle, height - 0.02, name, ha="center", va="top", fontsize=9, weight="bold")
        for place in places:
            axes.text(
                middles[place], height - 0.22, list(networks)[place][1], ha="center", va="top", fontsize=8, color=MUTED
            )  # fmt: skip


def _totals(axes: Axes, networks: Networks, middles: Sequence[float], start: float, top: float) -> None:
    words = ("parameters", "of them train", "FLOPs, as Table 1 counts")
    for line, word in enumerate(words):
        y = top - 0.2 - 0.17 * line
        axes.text(start, y, word, va="center", fontsize=8, color=MUTED)
        for stages, middle in zip(networks.values(), middles, strict=True):
            sums = stages[["parameters", "trainable", "published_flops"]].sum()
            axes.text(middle, y, compact(sums.iloc[line]), ha="center", va="center", fontsize=8)


def _legend(figure: Figure, networks: Networks) -> None:
    """The looks that occur in this drawing, below it."""
    every = pd.concat(networks.values(), ignore_index=True)
    active = every["active"].astype(bool) if "active" in every else pd.Series(False, every.index)
    there = {
        "trains": every["trainable"] > 0,
        "frozen": (every["trainable"] == 0) & (every["parameters"] > 0) & ~active,
        "frozen, in training mode": active,
        "nothing to train": (every["parameters"] == 0) & ~active,
    }
    patches = [Patch(label=name, linewidth=0.9, **look) for name, look in LEGEND.items() if there[name].any()]
    figure.legend(handles=patches, loc="lower center", ncols=len(patches), fontsize=8, borderaxespad=0)


def _plates(axes: Axes, middle: float, centre: float, strengths: Sequence[float], colour: str) -> None:
    """Maps as plates one behind the other, each as strongly filled as it says."""
    for place, strength in enumerate(strengths):
        shift = 0.05 * (len(strengths) / 2 - place)
        corner = (middle - 0.3 + shift, centre - 0.3 + shift)
        axes.add_patch(Rectangle(corner, 0.6, 0.6, facecolor=GROUND, edgecolor=MUTED, linewidth=0.8))
        axes.add_patch(Rectangle(corner, 0.6, 0.6, facecolor=colour, alpha=strength))
