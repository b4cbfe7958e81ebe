"""Architectures drawn from the networks themselves, stage by stage, and tables of their costs (Xia 2024, Fig. 6).

What is drawn is what `als_core.models.cost.describe` found in the modules: names, shapes, parameters and
which of them train. Lengths are in inches, so that text keeps its size in points.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import groupby, pairwise
from math import log2

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Polygon, Rectangle

from als_core.claims.printed import Printed, agrees_as_printed
from als_core.figures.drawn import Drawn, listed
from als_core.figures.pictures import canvas, draw_arrow, draw_box
from als_core.figures.primitives import ON_COLOUR
from als_core.figures.style import GRID, GROUND, INK, MUTED, PALETTE, WIDTH, house_style
from als_core.models.cost import Cost
from als_core.refusal import counted
from als_core.studies.xia2024.recipes import PRINTED, RELEASED_VARIANT
from als_core.studies.xia2024.words import decimal
from als_core.training.recipe import Plateau, Recipe

PILL = 0.27  # height of a gate
GAP = 0.09  # between two stages
GATE = re.compile(r"(?:se|cbam)(\d+)")  # gates of either kind at one place share a row
LEGEND = {
    "trains": {"facecolor": PALETTE[0]},
    "frozen": {"facecolor": GRID},
    "frozen, in training mode": {"facecolor": GRID, "edgecolor": PALETTE[1], "linestyle": (0, (3, 2))},
    "nothing to train": {"facecolor": GROUND, "edgecolor": MUTED},
}
COST_COLUMNS = {"flops": "published_flops", "params": "parameters"}
SETTINGS = (
    "Batch norm: `eval` keeps the statistics of frozen stages, `train` lets them follow the batches. Scaling: whose "
    "mean and SD of each colour. Flip: training images are mirrored at random. Checkpoint: the epoch that is kept. "
    "Plateau: how the learning rate falls."
)
WIRE = {"color": MUTED, "linewidth": 0.9, "zorder": 0, "solid_capstyle": "butt"}

Networks = Mapping[tuple[str, str], pd.DataFrame]
"""(network, variant) to its stages, as `describe` lists them, with a bool column `active` where some frozen
stages run in training mode (`models.stages.set_trainable`)."""


@house_style()
def stage_drawing(networks: Networks, input_shape: Sequence[int], title: str) -> Drawn:
    """Draw networks side by side from image to scores, stages at the same place on one row.

    A shape is as wide as the maps are large (on a logarithmic scale), and gates have round ends. At the left
    is what a stage is, in the shape its number of parameters, at the right the size of its output for an
    image of `input_shape` (1, channels, height, width). Networks of one name are next to each other.

    title : first sentence of the caption.
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
    figure, axes = canvas(height)
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
                axes.plot([middle, middle], [top, top - tall], **WIRE)
                continue
            stage = here.iloc[0]
            side = _side(stage["output_shape"])
            widths = [_width(value, full, pitch * 0.86) for value in (sides[key], side)]
            axes.plot([middle, middle], [top, top - tall], **WIRE)
            _stage(axes, stage, middle, (top - GAP, top - tall), widths)
            sides[key] = side
        top -= tall
    _totals(axes, networks, middles, start, top)
    _legend(figure, networks)
    active = any(stages.get("active", pd.Series(dtype=bool)).any() for stages in networks.values())
    dashed = " Dashed outlines: frozen stages whose batch norm and dropout still run in training mode."
    said = [
        f"{name}, {variant}: {', '.join(stages['stage'])}; {stages['parameters'].sum():,} parameters, "
        f"of which {stages['trainable'].sum():,} train."
        for (name, variant), stages in networks.items()
    ]
    return Drawn(
        figure,
        title + (dashed if active else ""),
        "A column of shapes for each network and variant, narrowing from the image to the scores. "
        + " ".join(said),
        stage_table(networks),
    )


@house_style()
def gate_drawing(steps: pd.DataFrame, shape: Sequence[int], name: str) -> Drawn:
    """Draw a squeeze-and-excitation gate, from maps of `shape` (1, channels, height, width) to gated maps (Fig. 6 (1)).

    steps : layers of the gate as `describe` lists them; boxes are as tall as the vectors that leave them are
    long (on a logarithmic scale). name : of the gate and its network, for the caption.
    """
    figure, axes = canvas(2.3)
    trunk, branch = 1.62, 0.66
    shown = steps[steps["kind"] != "flatten"]  # changes the shape on paper, and no value
    middles = [1.53 + 0.93 * place for place in range(len(shown))]
    meeting = middles[-1] + 0.6
    small = {"fontsize": 8, "color": MUTED}
    draw_arrow(axes, (0.9, trunk), (meeting - 0.12, trunk))
    draw_arrow(axes, (meeting + 0.12, trunk), (WIDTH - 0.92, trunk))
    draw_arrow(axes, (1.05, trunk), (1.05, branch), (middles[0] - 0.39, branch))
    draw_arrow(axes, (middles[-1] + 0.39, branch), (meeting, branch), (meeting, trunk - 0.12))
    for first, second in pairwise(middles):
        draw_arrow(axes, (first + 0.39, branch), (second - 0.39, branch))
    most = log2(shown["output_shape"].map(lambda size: size[1]).max())
    for middle, step in zip(middles, shown.itertuples(), strict=True):
        tall = 0.28 + 0.5 * log2(step.output_shape[1]) / most
        words = "\n".join(_short(step.kind).split(" ", 1))
        ink = ON_COLOUR if step.parameters else INK
        draw_box(axes, (middle, branch), (0.78, tall), words, ink=ink, **_look(step.parameters, True))
        below = f"{step.parameters:,}\nparameters" if step.parameters else _size(step.output_shape)
        axes.text(middle, branch - 0.44, below, ha="center", va="top", **small)
    axes.add_patch(Circle((meeting, trunk), 0.12, facecolor=GROUND, edgecolor=INK, linewidth=1))
    axes.text(meeting, trunk, "×", ha="center", va="center", fontsize=10)
    axes.text(
        (1.05 + meeting) / 2, trunk + 0.06, "the maps u, unchanged", ha="center", va="bottom", fontsize=8
    )
    axes.text(1.11, branch + 0.5, "squeeze: z, the mean of each map", va="center", **small)
    axes.text(meeting - 0.08, branch + 0.5, "excite: s = σ(W₂ ReLU(W₁ z))", ha="right", va="center", **small)
    _plates(axes, 0.42, trunk, [0.5] * 5, GRID)
    _plates(axes, WIDTH - 0.46, trunk, [0.2, 0.75, 0.35, 1.0, 0.55], PALETTE[0])
    for middle, title in ((0.47, "maps u"), (WIDTH - 0.44, "gated maps su")):
        axes.text(middle, trunk + 0.47, title, ha="center", va="bottom", fontsize=8.5)
        axes.text(middle, trunk - 0.42, _size(shape), ha="center", va="top", **small)
    weights = listed(f"{count:,}" for count in steps["parameters"] if count)
    return Drawn(
        figure,
        f"The squeeze-and-excitation gate {name} (Fig. 6 (1) in the paper). "
        "Blue layers have parameters; boxes are as tall as their output is long, on a logarithmic scale.",
        f"Block diagram of a gate. {shape[1]} maps of {shape[2]} by {shape[3]} run to a multiplication; a branch takes the "
        f"mean of each map, then linear layers of {weights} parameters with a ReLU between and a sigmoid, and joins "
        "them there.",
        steps.assign(output_shape=steps["output_shape"].map(_size)),
    )


def stage_table(networks: Networks) -> pd.DataFrame:
    """List the numbers behind a drawing: one row per stage of each network, shapes without the batch axis."""
    tables = [
        stages.assign(network=name, variant=variant, output_shape=stages["output_shape"].map(_size))
        for (name, variant), stages in networks.items()
    ]
    together = pd.concat(tables, ignore_index=True)
    return together[["network", "variant", *(c for c in together if c not in ("network", "variant"))]]


def settings_that_differ(published: Mapping[str, Recipe], released: Mapping[str, Recipe]) -> pd.DataFrame:
    """List the settings, other than what trains, in which two variants of the recipes differ, by network.

    Columns Setting, As printed, As released, Networks (`all`, or the names of those it holds for).
    """
    settings = [
        field.name
        for field in fields(Recipe)
        if field.name
        not in ("name", "network", "variant", "trains", "options", "builder", "paper", "reduced_from")
    ]
    rows = [
        (setting.replace("_", " "), *map(_said, values), one.name)
        for setting in settings
        for one, other in ((published[name], released[name]) for name in released)
        if len(set(values := (getattr(one, setting), getattr(other, setting)))) == 2
    ]
    columns = ["Setting", "As printed", "As released", "Networks"]
    table = pd.DataFrame(rows, columns=columns).groupby(columns[:3], sort=False, as_index=False)["Networks"]
    return table.agg(lambda names: "all" if len(names) == len(released) else ", ".join(names))


def cost_table(stages: Networks, counted: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """List what one image costs each network, and how many parameters there are and train, by variant.

    counted : network -> stages that the printed row covers, where these are not all; it gets a row of its own.
    """
    rows = []
    for name in dict.fromkeys(name for name, _ in stages):
        covered = [(f"{name}, stages the paper counts", counted[name])] if name in counted else []
        for title, kept in [*covered, (name, list(stages[name, PRINTED]["stage"]))]:
            published, released = (
                stages[name, variant].set_index("stage").reindex(kept).fillna(0)
                for variant in (PRINTED, RELEASED_VARIANT)
            )
            rows.append(
                {
                    "Network": title,
                    "FLOPs, as printed": f"{published['published_flops'].sum():,.0f}",
                    "Exact MACs": f"{published['macs'].sum():,.0f}",
                    "Parameters": f"{published['parameters'].sum():,.0f}",
                    "Train (as printed)": f"{published['trainable'].sum():,.0f}",
                    "Train (as released)": f"{released['trainable'].sum():,.0f}",
                }
            )
    return pd.DataFrame(rows)


def variants_table(stages: Networks) -> pd.DataFrame:
    """List which stages train in each variant of each network, and their dropout."""
    rows = []
    for name in dict.fromkeys(name for name, _ in stages):
        both = {variant: stages[name, variant] for variant in (PRINTED, RELEASED_VARIANT)}
        trains = {f"Trains ({variant})": _training(each) for variant, each in both.items()}
        dropout = {f"Dropout ({variant})": _dropout(each) for variant, each in both.items()}
        rows.append({"Network": name} | trains | dropout)
    return pd.DataFrame(rows)


def hyper_parameters(recipes: Iterable[Recipe]) -> pd.DataFrame:
    """List the hyper-parameters of recipes, as Table 3 of the paper does."""
    return pd.DataFrame(
        {
            "Network": recipe.name,
            "Learning rate": decimal(recipe.learning_rate),
            "Batch size": recipe.batch_size,
            "Optimiser": recipe.optimizer,
            "Epochs": recipe.epochs,
            "Weight decay": decimal(recipe.weight_decay),
        }
        for recipe in recipes
    )


def hyper_parameter_claims(recipes: Mapping[str, Recipe]) -> dict[str, float]:
    """Give the cells of Table 3, and of section 4.5.2 for Miniset-DenseSENet, by claim id. recipes: by network."""
    settings = ("learning_rate", "batch_size", "epochs", "weight_decay")
    printed_as = {"basic_cnn": "3_layer_cnn"}
    table = {
        f"xia2024.table3.{printed_as.get(name, name)}.{setting}": getattr(recipe, setting)
        for name, recipe in recipes.items()
        for setting in settings
    }
    text = {
        f"xia2024.section4_5_2.training.{setting}": getattr(recipes["miniset_densesenet"], setting)
        for setting in settings[:3]
    }
    return table | text


def gate_places(output_shapes: pd.Series) -> dict[str, int]:
    """Give the channels of each stage that a gate can follow: those with maps. output_shapes: by stage."""
    return {stage: size[1] for stage, size in output_shapes.items() if len(size) == 4 and stage != "norm"}


def as_run(recipes: Mapping[str, Recipe], spent: Mapping[str, Cost]) -> pd.DataFrame:
    """List the sizes at which the networks are trained in a profile. recipes, spent: by network."""
    return pd.DataFrame(
        {
            "Network": recipe.name,
            "Side in pixels": recipe.side,
            "Images per training image": recipe.copies,
            "Batch size": recipe.batch_size,
            "Epochs": recipe.epochs,
            "MACs per image": f"{spent[name].macs:,}",
            "Parameters that train": f"{spent[name].parameters_trainable:,}",
        }
        for name, recipe in recipes.items()
    )


def as_run_caption(classes: int, runs: int, recorded: bool) -> str:
    """Caption `as_run`. runs: of each network. recorded: whether recorded runs are shown where there are any."""
    sizes = f"Sizes of the runs trained on these pages: {classes} classes, {counted(runs, 'run')} of each network."
    instead = " Recorded runs are shown instead where there are any."
    return sizes + instead if recorded else sizes


def recovered_words(
    sides: Sequence[int],
    places: int,
    tried: int,
    fitting: int,
    transitions_fit: bool,
    one_weight: int,
    printed: Printed,
) -> str:
    """Say what Table 1 leaves open about the networks.

    Parameters
    ----------
    sides : sequence of int
        Image sides, of those from 396 to 401 pixels, that print the FLOPs of the networks without gates.
    places, tried, fitting : int
        Stages that a gate can follow, choices of stages and reductions, and how many print `printed`.
    transitions_fit : bool
        Whether gates after the three transitions that reduce 4 times are among them.
    one_weight : int
        Parameters of the network with one weight per channel, as section 4.5 prints a gate.
    printed : Printed
        Parameters of Miniset-DenseSENet.
    """
    among = ", gates after the three transitions that reduce 4 times among them" if transitions_fit else ""
    letter = "prints" if agrees_as_printed(one_weight, printed) else "does not print"
    return (
        f"**The side of the images.** Of the sides from 396 to 401 pixels, {listed(sides)} print the FLOPs of the three "
        "networks without gates. The paper says 400.\n\n"
        f"**Where the gates are.** A gate can follow any of {places} stages of DenseNet121, and reduce its channels 2, 4, 8, "
        f"16 or 32 times. Of these {tried:,} combinations {fitting} print {printed.text} parameters{among}. Drawn and "
        "trained here are gates after the first three dense blocks that reduce 16 times: section 4.5.1 puts them between "
        "the dense blocks, 16 is the usual reduction, and the released code has the same.\n\n"
        f"**What a gate is.** Section 4.5 prints the gate as one weight for each channel. Taken literally, the network would "
        f"have {one_weight:,} parameters, which {letter} {printed.text}; two linear layers, as in the caption of Fig. 6, do."
    )


def cost_answer(agreeing: int, cells: int, fitting: int) -> dict[str, str]:
    """Fill the answer box of the page on the networks.

    agreeing : cells of Table 1 that come out as printed, of `cells`. fitting : gate configurations with the printed size.
    """
    count = f"All {cells}" if agreeing == cells else f"{agreeing} of {cells}"
    return {
        "question": "Can the six networks be rebuilt from the paper, and do they cost what it prints?",
        "found": f"{count} costs in Table 1 (FLOPs and parameters) come out as printed when the networks are rebuilt and counted.",
        "how_sure": "The counts are exact. But widths and gates were recovered from these very numbers, so the agreement "
        f"is no independent test: {fitting} arrangements of gates have the printed number of parameters.",
        "not_shown": "That these are the authors' networks to the last layer, or how well any of them classifies images.",
    }


def _training(stages: pd.DataFrame) -> str:
    live = stages["trainable"] > 0
    return "everything" if live[stages["parameters"] > 0].all() else ", ".join(stages["stage"][live])


def _dropout(stages: pd.DataFrame) -> str:
    return ", ".join(sorted(set(re.findall(r"dropout ([\d.]+)", " ".join(stages["kind"]))))) or "none"


def _said(value: object) -> str:
    match value:
        case Plateau():
            return f"× {decimal(value.factor)} where the validation loss no longer falls, down to {decimal(value.minimum)}"
        case bool() | None:
            return "yes" if value else "no"
        case float():
            return decimal(value)
    return str(value)


def compact(count: float) -> str:
    """A count in a few characters: 3,075, 335 k, 2.16 M, 9.21 G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= (10_000 if unit == "k" else size):
            return f"{f'{count / size:#.3g}'.rstrip('.')} {unit}"
    return f"{count:,.0f}"


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
        draw_box(axes, (middle, (upper + lower) / 2), (widths[1], PILL), round_ends=True, **look)
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
