"""Figures of the overlap study: overlap with nulls and ranks, average maps on a brain, Dice curves, likeness
of methods."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from als_core.book import interactive
from als_core.explain.overlap import DiceCurve
from als_core.figures.drawn import Drawn, number, percent
from als_core.figures.pictures import draw_slices
from als_core.figures.primitives import (
    DASHES,
    NULL,
    draw_cells,
    draw_curves,
    draw_rows,
    legend,
    panels,
    percent_axis,
)
from als_core.figures.style import INK, PALETTE
from als_core.refusal import counted

NETWORK, LINEAR = PALETTE[0], PALETTE[1]
NULLS = {"same smoothness": "tick", "atlas only": "cross", "untrained": "square"}
NULL_NAMES = {
    "same smoothness": "random maps as smooth",
    "atlas only": "random values by area",
    "untrained": "untrained network",
}
POINTS = 200  # of a Dice curve that are drawn


def overlap_and_ranks(
    scores: pd.DataFrame,
    values: pd.DataFrame,
    ranks: pd.DataFrame,
    titles: Mapping[str, str],
    met: str,
) -> Drawn:
    """Overlap of each method by patient with mean, interval and nulls; and how often the method has each
    rank.

    Parameters
    ----------
    scores : one row for each method, columns method, mean, low, high and one for each of NULLS
    values : columns subject, method, value
    ranks : methods by row, rank by column, shares of resamples
    titles : method -> title, from the top
    met : what overlap is measured with, such as "the true effect"
    """
    order = list(titles.values())
    colours = {title: LINEAR if name.startswith("svm") else NETWORK for name, title in titles.items()}
    named = scores.assign(name=scores["method"].map(titles), value=scores["mean"])
    dots = values.assign(name=values["method"].map(titles))
    figure, (axes, grid) = panels(2, height=0.9 + 0.5 * len(titles), width_ratios=(2.1, 1))
    draw_rows(axes, named[["name"]], dots=dots, colour=colours, order=order, spread=0.3, shift=-0.18)
    draw_rows(
        axes,
        named[["name", "value", "low", "high"]],
        colour=colours,
        order=order,
        linewidth=2.4,
        kind="diamond",
    )
    for null, kind in NULLS.items():
        draw_rows(
            axes,
            named.assign(value=named[null])[["name", "value"]],
            colour=NULL,
            order=order,
            shift=0.26,
            kind=kind,
        )
    axes.set(xlabel=f"Overlap with {met}\n(Dice area, share of the best possible)", xlim=(0, None))
    shares = ranks.loc[list(titles)].to_numpy()
    texts = np.array(
        [[f"{100 * share:.0f}" if share >= 0.005 else "" for share in row] for row in shares], object
    )
    draw_cells(grid, np.where(shares > 0, shares, np.nan), texts, [""] * len(order), ranks.columns)
    grid.set_xlabel("Rank, % of resamples")
    entries = {"mean, 95 % interval": ("diamond", INK), "a patient": ("dot", NETWORK)}
    entries |= {NULL_NAMES[null]: (kind, NULL) for null, kind in NULLS.items()}
    legend(figure, entries, loc="outside upper center", columns=3)
    subjects = values["subject"].nunique()
    caption = (
        f"Overlap of each heatmap with {met} in {counted(subjects, 'patient')}, beside three nulls; and each "
        "method's rank when patients are resampled. Heatmaps of the network blue, maps of the SVM orange. "
        "Intervals are over patients, not over trainings."
    )
    best = scores.sort_values("mean", ascending=False)
    alt = f"Dots with intervals for {counted(len(titles), 'method')}. " + "; ".join(
        f"{titles[row.method]} {number(row.mean)} ({number(row.low)} to {number(row.high)})"
        for row in best.itertuples(index=False)
    )
    means = scores.melt(["method", "low", "high"], ["mean", *NULLS], "mark", "value")
    cells = ranks.loc[list(titles)].rename_axis("method").reset_index().melt("method", var_name="rank")
    data = pd.concat(
        [values.assign(mark="patient"), means, cells.assign(mark="share of resamples")], ignore_index=True
    )
    return Drawn(figure, caption, f"{alt}. A grid shows the share of resamples at each rank.",
                 data[["mark", "method", "subject", "rank", "value", "low", "high"]])  # fmt: skip


def average_maps(
    brain: np.ndarray,
    truth: np.ndarray | None,
    maps: Mapping[str, np.ndarray],
    box_share: Mapping[str, float],
    met: str,
    subjects: int,
) -> Drawn:
    """Average heatmaps on a brain, in one slice from the front and one from above.

    Parameters
    ----------
    brain : (X, Y, Z), 0 outside
    truth : bool, outlined; None where nothing is compared with
    maps : title -> heat on the same grid, 0 and up
    box_share : title -> share of the heat inside the truth, NaN without one
    met : what is outlined
    """
    where = np.argwhere(brain > 0 if truth is None else truth)
    cuts = [("y", int(np.median(where[:, 1]))), ("z", int(np.median(where[:, 2])))]
    columns = 4
    pictures = {"Template": None, **maps}
    lines = -(-len(pictures) // columns)
    figure, axes = panels(2 * lines * columns, columns, height=1.6)
    rows = []
    for at, (title, heat) in enumerate(pictures.items()):
        line, column = divmod(at, columns)
        own = [axes[(2 * line + half) * columns + column] for half in range(2)]
        draw_slices(own, brain, cuts, titles=[title, ""], heat=heat, outline=truth)
        if heat is not None:
            rows += [{"map": title, "axis": axis, "slice": place, "mass_inside": box_share[title],
                      "full_colour_at": float(np.percentile(heat[brain != 0], 99.5))}
                     for axis, place in cuts]  # fmt: skip
    for panel in axes[2 * len(pictures) :]:
        panel.set_axis_off()
    outlined = "" if truth is None else f"; {met} is outlined in blue"
    caption = (
        f"Average heatmaps of {counted(subjects, 'patient')} on the template, from the front and from "
        f"above{outlined}. Each map is on its own scale, from nothing to its 99.5th percentile (dark red)."
    )
    inside = "" if truth is None else " Share of the heat inside the outline: " + "; ".join(
        f"{title} {percent(share)}" for title, share in box_share.items()
    ) + "."  # fmt: skip
    alt = f"Pairs of brain slices: the template, then the average map of each method: {'; '.join(maps)}.{inside}"
    return Drawn(figure, caption, alt, pd.DataFrame(rows))


def dice_curves(curves: Mapping[str, DiceCurve], best: DiceCurve, met: str) -> Drawn:
    """Dice with `met` over the share of voxels kept; `best` is of a map that ranks the truth first."""
    figure, (axes,) = panels(1, height=3.2)
    parts, entries = [], {"best possible": ("dashed", INK)}
    thin = np.unique(np.linspace(0, len(best.kept) - 1, POINTS).astype(int))
    for at, (title, curve) in enumerate({"best possible": best, **curves}.items()):
        points = pd.DataFrame({"map": title, "kept": curve.kept[thin], "dice": curve.dice[thin]})
        colour = INK if not at else PALETTE[(at - 1) % len(PALETTE)]
        draw_curves(axes, points, "kept", {"dice": colour})
        if not at or title.startswith("SVM"):
            axes.lines[-1].set(linestyle=DASHES, linewidth=1 if not at else 1.4)
        if at:
            entries[title] = ("dashed" if title.startswith("SVM") else "line", colour)
        parts.append(points)
    axes.set(
        xlabel="Share of brain voxels kept, the hottest first",
        ylabel=f"Dice with {met}",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    percent_axis(axes)
    legend(figure, entries, loc="outside right upper", columns=1)
    areas = "; ".join(f"{title} {number(one.area / one.best_area)}" for title, one in curves.items())
    caption = f"Dice of each average map with {met}, for every share of voxels kept."
    alt = (
        f"{counted(len(curves), 'curve')} that rise and fall under a dashed best. Areas as a share of the "
        f"best: {areas}."
    )
    return Drawn(figure, caption, alt, pd.concat(parts, ignore_index=True))


def dice_at_threshold(points: pd.DataFrame, met: str) -> str:
    """Move a threshold along `dice_curves` (HTML). points: the figure's data."""
    return interactive.curve_slider(
        points.assign(kept=100 * points["kept"]),
        x="kept",
        y="dice",
        by="map",
        x_label="Brain voxels kept, the hottest first (%)",
        y_label=f"Dice with {met}",
        heading="Keep more or fewer voxels",
    )


def method_likeness(correlations: pd.DataFrame) -> Drawn:
    """Rank correlation of the methods' average maps, methods by row and column."""
    figure, (axes,) = panels(1, height=0.6 * len(correlations))
    values = correlations.to_numpy()
    texts = np.array([[number(value) for value in row] for row in values], object)
    draw_cells(axes, np.clip(values, 0, 1), texts, list(correlations.index), list(correlations.columns))
    axes.set_xticks(range(len(correlations)), correlations.columns, rotation=35, ha="right")
    apart = values[~np.eye(len(values), dtype=bool)]
    caption = (
        "Rank correlation of the average maps of each two methods over the voxels of the brain. 1: the same "
        "order of voxels; 0: none in common."
    )
    alt = (
        f"Table of correlations between {counted(len(values), 'method')}, from {number(apart.min())} to "
        f"{number(apart.max())}."
    )
    data = (
        correlations.rename_axis("method")
        .reset_index()
        .melt("method", var_name="other", value_name="spearman")
    )
    return Drawn(figure, caption, alt, data)
