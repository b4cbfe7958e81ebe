"""Plot primitives in the house style, shared by all studies.

Each takes arrays or tables and knows no study. `draw_*` draws on axes that it is given and returns them;
the others make a figure. Figure functions of a study, decorated with `@house_style()`, put them together and
add caption, alternative text and data (`als_core.figures.drawn.Drawn`). None leaves a figure open in pyplot.

| draws                                     | primitive                                 |
|-------------------------------------------|-------------------------------------------|
| values by epoch                           | `draw_curves`                             |
| runs, intervals, nulls, printed values    | `draw_rows`                               |
| spread of many values                     | `draw_distributions`, `draw_histograms`   |
| counts                                    | `draw_bars`                               |
| confusion matrices, tables of shares      | `confusion_figure`, `draw_cells`          |
| ROC curves                                | `roc_points`, `draw_roc_curves`           |

Photographs, brain slices, heatmaps and drawings are in `als_core.figures.pictures`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.metrics import roc_curve

from als_core.figures.style import INK, MUTED, PALETTE, WIDTH, house_style

TRAINING, VALIDATION = PALETTE[0], PALETTE[1]
"""The colours of the training and validation images in every figure of the book."""

NULL = PALETTE[6]
"""The colour of permuted labels and of other nulls, as bands and crosses."""

ON_COLOUR = "#ffffff"  # text on a filled shape: the same on light and dark pages
DASHES, DOTS = (0, (4, 3)), (0, (1, 2))
SMALL = 8.5  # points; titles of panels in a row, labels beside images
LONGEST_LINE, LONGEST_LEGEND = 28, 48  # characters of a name beside an axis, and in a legend
FAINTEST = 0.12  # opacity of a cell whose share is 0

MARKS = {
    "dot": {"marker": "o", "linestyle": ""},
    "open dot": {"marker": "o", "linestyle": "", "fillstyle": "none"},
    "square": {"marker": "s", "linestyle": "", "fillstyle": "none"},
    "cross": {"marker": "x", "linestyle": "", "markersize": 6, "markeredgewidth": 1.4},
    "tick": {"marker": "|", "linestyle": "", "markersize": 10, "markeredgewidth": 1.6},
    "diamond": {"marker": "D", "linestyle": "", "fillstyle": "none", "markersize": 6.5},
    "interval": {"marker": "o", "linestyle": "-", "linewidth": 1.4},
    "line": {"linestyle": "-"},
    "dashed": {"linestyle": DASHES, "linewidth": 1},
    "dotted": {"linestyle": DOTS, "linewidth": 1.2},
}
"""How each kind of mark looks, in plots and legends. A legend also knows "band" and "patch"."""


def panels(
    count: int, columns: int | None = None, *, height: float, width: float = WIDTH, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure with `count` panels in reading order, `columns` in a line, `height` inches a line.

    shared : passed to `Figure.subplots` (`sharex`, `sharey`, `width_ratios`).
    """
    columns = columns or count
    lines = math.ceil(count / columns)
    with house_style():
        figure = Figure(figsize=(width, height * lines))
        grid = figure.subplots(lines, columns, squeeze=False, **shared).ravel()
        if shared.get("sharey"):  # else the last number of one panel touches the first of the next
            figure.get_layout_engine().set(wspace=0.06)
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


@house_style()
def legend(
    figure: Figure | Axes,
    entries: Mapping[str, tuple[str, str]],
    *,
    columns: int | None = None,
    loc: str = "outside lower center",
) -> None:
    """Explain marks: label -> (kind, colour), kinds as in `MARKS`, or "band" (pale) and "patch" (full)."""
    fills = {"band": 0.35, "patch": 1.0}
    handles = [
        Patch(color=colour, alpha=fills[kind], linewidth=0, label=wrapped(label, LONGEST_LEGEND))
        if kind in fills
        else Line2D([], [], color=colour, label=wrapped(label, LONGEST_LEGEND), **MARKS[kind])
        for label, (kind, colour) in entries.items()
    ]
    figure.legend(handles=handles, loc=loc, ncols=columns or min(len(handles), 4), columnspacing=1.4)


def wrapped(name: object, width: int = LONGEST_LINE) -> str:
    """Break a long name, such as a reader's label, into lines."""
    return "\n".join(textwrap.wrap(str(name), width)) or str(name)


def percent_axis(axes: Axes, which: str = "x") -> Axes:
    """Label an axis of shares (0 to 1) in percent."""
    getattr(axes, f"{which}axis").set_major_formatter(PercentFormatter(1, symbol=" %"))
    return axes


@house_style()
def draw_curves(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    columns: Mapping[str, str],
    *,
    group: str | None = None,
    mean: bool = False,
    chosen: Mapping[str, Mapping[Any, float]] | None = None,
) -> Axes:
    """Draw columns of a table over `x`, a line per group.

    Parameters
    ----------
    table : DataFrame
        One row per group and value of `x`.
    x : str
        Column of the horizontal axis, such as "epoch".
    columns : mapping of column to colour
        For losses and accuracies by epoch: `TRAINING` and `VALIDATION`.
    group : str, optional
        Column that distinguishes lines (run, fold). Without it the table is one line.
    mean : bool
        Whether to draw groups as thin lines under a thick one, their mean.
    chosen : mapping of column to (group -> value of `x`), optional
        Points to mark with a dot, such as the epoch whose weights were kept.
    """
    parts = list(table.groupby(group, sort=False)) if group else [(None, table)]
    for column, colour in columns.items():
        for name, part in parts:
            thin = {"linewidth": 0.7, "alpha": 0.5} if mean else {"linewidth": 1.2, "alpha": 0.85}
            few = "o" if len(part) < 3 else ""
            axes.plot(part[x], part[column], color=colour, marker=few, markersize=3, **thin)
            if chosen and column in chosen:
                kept = part[part[x] == chosen[column][name]]
                axes.plot(kept[x], kept[column], "o", color=colour, markersize=6)
        if mean:
            averages = table.groupby(x)[column].mean()
            axes.plot(averages.index, averages, color=colour, linewidth=2)
    if pd.api.types.is_integer_dtype(table[x]):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.grid(axis="y")
    return axes


@house_style()
def draw_rows(
    axes: Axes,
    table: pd.DataFrame,
    *,
    row: str = "name",
    colour: str | Mapping[str, str] = PALETTE[0],
    dots: pd.DataFrame | None = None,
    order: Sequence[str] | None = None,
    shift: float = 0.0,
    spread: float = 0.45,
    kind: str = "dot",
    linewidth: float = 1.4,
) -> Axes:
    """Draw one horizontal row per name: value, interval, null, printed value, and a dot per run.

    Call it several times, with different `shift`, for several values in each row.

    Parameters
    ----------
    table : DataFrame
        One row per name. Each of these columns is drawn where it is there and not NaN: `value` (a mark),
        `low` and `high` (a line), `null_low` and `null_high` (a grey band), `null` (a grey tick in the band,
        a cross without one), `printed` (a diamond) with `printed_low` and `printed_high`.
    row : str
        Column with the names.
    colour : str or mapping of name to str
        Of values, intervals and dots.
    dots : DataFrame, optional
        Columns `row` and `value`: every run, donor or fold as a dot, fanned out so that none hides another.
    order : sequence of str, optional
        Names from top to bottom; by default as they come in `table`.
    shift : float
        Added to the place of every row (1 is the next row).
    spread : float
        Height over which dots are fanned out.
    kind : str
        Mark of `value`, one of `MARKS`.
    linewidth : float
        Of intervals, in points.
    """
    order = list(order if order is not None else dict.fromkeys(table[row]))
    colours = colour if isinstance(colour, Mapping) else dict.fromkeys(order, colour)
    for one in table.to_dict("records"):
        name = one[row]
        if name not in order:
            continue
        place = order.index(name) + shift
        value = {key: one[key] for key in one if not isinstance(one[key], str) and pd.notna(one[key])}
        band = {"null_low", "null_high"} <= value.keys()
        if band:
            width = value["null_high"] - value["null_low"]
            axes.barh(place, width, left=value["null_low"], height=0.56, color=NULL, alpha=0.35)
        if "null" in value:
            axes.plot(value["null"], place, color=NULL, **MARKS["tick" if band else "cross"])
        if {"low", "high"} <= value.keys():
            axes.hlines(place, value["low"], value["high"], color=colours[name], linewidth=linewidth)
        if "value" in value:
            size = {"markersize": 6} | MARKS[kind]
            axes.plot(value["value"], place, color=colours[name], **size)
        if {"printed_low", "printed_high"} <= value.keys():
            axes.hlines(place, value["printed_low"], value["printed_high"], color=INK, linewidth=1)
        if "printed" in value:
            axes.plot(value["printed"], place, color=INK, **MARKS["diamond"])
    if dots is not None:
        for name, part in dots.groupby(row, sort=False):
            if name in order:
                at = order.index(name) + shift + _fan(len(part), spread)
                axes.plot(part["value"], at, "o", color=colours[name], markersize=4.5, alpha=0.75)
    axes.set_yticks(range(len(order)), map(wrapped, order))
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return axes


@house_style()
def draw_reference(
    axes: Axes, value: float, *, colour: str = MUTED, kind: str = "dashed", along: str = "x"
) -> Axes:
    """Draw a line across the plot at a value of the `along` axis: chance, a majority class, a target."""
    line = axes.axvline if along == "x" else axes.axhline
    line(value, color=colour, zorder=0, **MARKS[kind])
    return axes


@house_style()
def draw_distributions(
    axes: Axes,
    table: pd.DataFrame,
    value: str,
    row: str,
    *,
    colours: Mapping[str, str] | str = PALETTE[0],
    order: Sequence[str] | None = None,
    violins: bool = False,
) -> Axes:
    """Draw the spread of `value` in each row: a box from 5 to 95 %, or a violin with its quartiles.

    table : one row per value, with the names of rows in column `row`. order : names from top to bottom.
    """
    order = list(order if order is not None else dict.fromkeys(table[row]))
    fills = {name: colours if isinstance(colours, str) else colours[name] for name in order}
    values = [table.loc[table[row] == name, value].dropna().to_numpy() for name in order]
    places = range(len(order))
    if violins:
        seaborn.violinplot(
            table, x=value, y=row, hue=row, order=order, hue_order=order, palette=fills, saturation=1, legend=False,
            inner=None, cut=0, width=0.85, density_norm="width", linewidth=0.6, alpha=0.75, ax=axes,
        )  # fmt: skip
        axes.set(xlabel="", ylabel="")
        for place, part in zip(places, values, strict=True):
            low, middle, high = np.quantile(part, (0.25, 0.5, 0.75))
            axes.hlines(place, low, high, color=INK, linewidth=2.4)
            axes.plot(middle, place, "o", color=ON_COLOUR, markeredgecolor=INK, markersize=4)
    else:
        # not seaborn's: its boxes draw a deprecation warning of Matplotlib, which a page may not show
        drawn = axes.boxplot(
            values,
            positions=places,
            orientation="horizontal",
            whis=(5, 95),
            widths=0.6,
            showfliers=False,
            patch_artist=True,
            medianprops={"color": INK, "linewidth": 1.4},
            whiskerprops={"color": MUTED},
            capprops={"color": MUTED},
        )
        for body, fill in zip(drawn["boxes"], fills.values(), strict=True):
            body.set(facecolor=fill, alpha=0.75, linewidth=0)
    axes.set_yticks(places, map(wrapped, order))
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return axes


@house_style()
def draw_histograms(
    axes: Axes,
    values: Mapping[str, np.ndarray],
    colours: Mapping[str, str],
    *,
    marks: Mapping[float, tuple[str, str]] | None = None,
) -> Axes:
    """Draw one histogram per name over 30 common bins, its mean as a line.

    values : name -> 1-d array. marks : value -> (kind, colour) of vertical lines, such as chance level.
    """
    marks = marks or {}
    everything = np.concatenate([*map(np.asarray, values.values()), list(marks)])
    edges = np.linspace(everything.min() - 0.01, everything.max() + 0.01, 31)
    for name, part in values.items():
        axes.hist(part, edges, color=colours[name], alpha=0.65)
        axes.axvline(np.mean(part), color=colours[name], linewidth=2)
    for value, (kind, colour) in marks.items():
        axes.axvline(value, color=colour, **MARKS[kind])
    return axes


@house_style()
def draw_bars(
    axes: Axes,
    table: pd.DataFrame,
    colours: Mapping[str, str] | pd.DataFrame,
    *,
    opacity: Mapping[str, float] | None = None,
    texts: Sequence[str] | None = None,
) -> Axes:
    """Draw one horizontal bar per row, its parts stacked.

    Parameters
    ----------
    table : DataFrame
        Rows are bars from top to bottom, columns their parts; counts or shares.
    colours : mapping of part to colour, or DataFrame of colours shaped like `table`
    opacity : mapping of part to 0 .. 1, optional
    texts : sequence of str, optional
        Written at the end of each bar.
    """
    places, start = np.arange(len(table)), np.zeros(len(table))
    for part in table:
        width = table[part].to_numpy(float)
        shade = opacity[part] if opacity else 1.0
        fill = colours[part] if isinstance(colours, Mapping) else list(colours[part])
        axes.barh(places, width, left=start, color=fill, alpha=shade, height=0.66)
        start += width
    for place, end, text in zip(places, start, texts or [], strict=False):
        axes.text(end, place, f" {text}", va="center", fontsize=SMALL)
    axes.set_yticks(places, map(wrapped, table.index))
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0, max(start.max(), 1e-9) * (1.1 if texts else 1.02))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return axes


@house_style()
def draw_cells(
    axes: Axes,
    shares: np.ndarray,
    texts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    framed: np.ndarray | None = None,
    square: bool = False,
) -> Axes:
    """Draw a table whose cells are the darker the larger their share: opacity 0.12 + 0.88 x share.

    Parameters
    ----------
    shares : float (R, C), 0 to 1
        NaN leaves a cell out.
    texts : str (R, C)
        Written into the cells.
    rows, columns : sequence of str
    framed : bool (R, C), optional
        Cells with an ink frame.
    square : bool
        Whether cells are as high as wide.
    """
    for (line, column), share in np.ndenumerate(shares):
        if math.isnan(share):
            continue
        corner = (column - 0.47, line - 0.45)
        opacity = FAINTEST + (1 - FAINTEST) * share
        axes.add_patch(Rectangle(corner, 0.94, 0.9, color=PALETTE[0], alpha=opacity, linewidth=0))
        if framed is not None and framed[line, column]:
            axes.add_patch(Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=INK, linewidth=1.3))
        # from this share on white text contrasts more with the palette's blue than ink does
        ink = ON_COLOUR if share > 0.88 else INK
        axes.text(column, line, texts[line, column], ha="center", va="center", fontsize=SMALL, color=ink)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set_aspect("equal" if square else "auto")
    axes.set_xticks(range(len(columns)), map(wrapped, columns))
    axes.set_yticks(range(len(rows)), map(wrapped, rows))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


@house_style()
def confusion_figure(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Draw confusion matrices, three in a row: count and share of the true class in each cell.

    matrices : title -> int (C, C), rows the true class, columns the predicted one.
    """
    columns = min(3, len(matrices))
    figure, grid = panels(len(matrices), columns, height=2.5, width=WIDTH * (0.34 + 0.22 * columns))
    few = len(classes) < 5
    for at, (axes, (title, matrix)) in enumerate(zip(grid, matrices.items(), strict=True)):
        matrix = np.asarray(matrix)
        shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        texts = np.empty(matrix.shape, object)
        for cell, count in np.ndenumerate(matrix):
            texts[cell] = f"{count:,}\n{100 * shares[cell]:.0f} %" if few else f"{count:,}"
        draw_cells(axes, shares, texts, classes, classes, square=True)
        lowest, leftmost = at + columns >= len(matrices), at % columns == 0
        axes.set_xticks(
            range(len(classes)),
            list(map(wrapped, classes)) if lowest else [""] * len(classes),
            rotation=35,
            ha="right",
        )
        axes.tick_params(labelleft=leftmost)
        axes.set_title(title, fontsize=9)
    figure.supxlabel("Predicted class", fontsize=9, color=INK)
    figure.supylabel("True class", fontsize=9, color=INK)
    return figure


def confusion_table(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> pd.DataFrame:
    """List every cell of confusion matrices: columns name, true, predicted, count."""
    rows = [
        (name, classes[true], classes[predicted], int(count))
        for name, matrix in matrices.items()
        for (true, predicted), count in np.ndenumerate(np.asarray(matrix))
    ]
    return pd.DataFrame(rows, columns=["name", "true", "predicted", "count"])


def roc_points(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """List every point of the ROC curve of each group.

    Parameters
    ----------
    table : DataFrame
        One row per sample; column `truth` is 0 or 1, `score` the larger the more likely 1.
    by : sequence of str
        Columns that distinguish curves. A group with one class only has no curve and is left out.

    Returns
    -------
    DataFrame
        Columns `by`, threshold, x and y: false and true positive rate.
    """
    curves = []
    for name, part in table.groupby(list(by), sort=False):
        if part["truth"].nunique() < 2:
            continue
        x, y, thresholds = roc_curve(part["truth"], part["score"], drop_intermediate=False)
        points = pd.DataFrame(dict(zip(by, name, strict=True)), index=range(len(x)))
        curves.append(points.assign(threshold=thresholds, x=x, y=y))
    columns = [*by, "threshold", "x", "y"]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=columns)


@house_style()
def draw_roc_curves(axes: Axes, points: pd.DataFrame, by: Sequence[str], colours: Mapping[str, str]) -> Axes:
    """Draw curves of `roc_points`, coloured by the first column of `by`, with the line of chance."""
    for name, part in points.groupby(list(by), sort=False):
        axes.plot(part["x"], part["y"], color=colours[name[0]], linewidth=1.1, alpha=0.7)
    axes.plot([0, 1], [0, 1], color=MUTED, **MARKS["dashed"])
    axes.set(xlabel="False positive rate (1 − specificity)", ylabel="Sensitivity")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid()
    return axes


def _fan(count: int, width: float) -> np.ndarray:
    """Offsets that keep `count` dots of one row apart: evenly where few, else a low-discrepancy sequence."""
    if count <= 8:
        return width * (np.arange(count) - (count - 1) / 2) / max(count, 2)
    return width * ((np.arange(count) * 0.618034) % 1 - 0.5)
