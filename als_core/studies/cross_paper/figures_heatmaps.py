"""Figures of the heatmap studies: overlap with its nulls and ranks, average maps, and the leaderboard as a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.lines import Line2D

from als_core.figures.style import GRID, INK, MUTED, PALETTE, WIDTH, house_style
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import Subjects, edges, random_map

HEAT = "inferno"
NULL_LOOKS = {"same smoothness": "|", "atlas only": "x", "untrained": "s"}
PASS, FAIL = PALETTE[2], PALETTE[4]
MARKS = {"pass": ("✓", PASS), "fail": ("✕", FAIL), "-": ("·", MUTED)}
HEADINGS = {
    "same smoothness": "beats smooth noise",
    "atlas only": "beats random areas",
    "untrained": "beats untrained network",
    "depends on parameters": "needs what was learnt",
    "faithful": "marks what counts",
    "speaks": "is not blank",
    "repeatable": "is the same twice",
}


@dataclass(frozen=True)
class Board:
    """One modality of the grid. picture: (H, W) grey or (H, W, 3), what is explained. truth: bool (H, W).

    heat: (H, W), >= 0, by method. marks: methods by row, checks by column, cells "pass", "fail", "-".
    score: overlap by method, 0..1.
    """

    title: str
    picture: np.ndarray
    truth: np.ndarray
    heat: Mapping[str, np.ndarray]
    marks: pd.DataFrame
    score: Mapping[str, float]


def board_of(name: str, subjects: Subjects, standing: pd.DataFrame, marks: pd.DataFrame, seed: int) -> Board:
    """The board of one modality: every method's map of the first subject (a slice of a volume), and its marks."""
    controls = {"edges": edges, "random": random_map(torch.Generator().manual_seed(seed))}
    heat = leaderboard.first_maps(subjects, subjects.explainers() | controls)
    image, truth = subjects.images[0].cpu().numpy(), subjects.truths[0]
    if truth.ndim == 3:
        at = int(np.median(np.argwhere(truth)[:, 1]))
        heat = {method: one[:, at].T[::-1] for method, one in heat.items()}
        picture, truth = image[0, :, at].T[::-1], truth[:, at].T[::-1]
    else:
        low, high = image.min((1, 2), keepdims=True), image.max((1, 2), keepdims=True)
        picture = ((image - low) / (high - low)).transpose(1, 2, 0)
    score = standing[standing["score"] == leaderboard.SCORE].set_index("method")["mean"]
    return Board(name, picture, truth, heat, marks.loc[:, (marks != "-").any()], score)


@house_style()
def trial_grid(boards: Sequence[Board], titles: Mapping[str, str], controls: Sequence[str]) -> Figure:
    """Methods by row; for each modality a small heatmap, its overlap and a mark for each check.

    titles: the rows from the top, by method. controls: rows that must fail, set apart below the others.
    The first row shows the image and where the truth is.
    """
    row, left, head, gap = 0.44, 1.62, 1.62, 0.16
    block = (WIDTH - left - gap * (len(boards) - 1)) / len(boards)
    height = head + row * (len(titles) + 1) + 0.12
    figure = plt.figure(figsize=(WIDTH, height))
    figure.set_layout_engine(PlaceHolderLayoutEngine(True, True))
    under = figure.add_axes((0, 0, 1, 1))
    under.set(xlim=(0, WIDTH), ylim=(height, 0))
    under.set_axis_off()
    tops = {name: head + row * (place + 1) + 0.12 * (name in controls) for place, name in enumerate(titles)}
    for name, top in tops.items():
        style = {"fontstyle": "italic", "color": MUTED} if name in controls else {}
        under.text(left - 0.1, top + row / 2, titles[name], ha="right", va="center", fontsize=8.5, **style)
    under.text(left - 0.1, head + row / 2, "the image, truth outlined", ha="right", va="center", fontsize=8.5, color=MUTED)  # fmt: skip
    first_control = min((tops[name] for name in controls), default=height)
    under.plot([0, WIDTH], [first_control - 0.06] * 2, color=GRID, linewidth=0.8)
    for number, board in enumerate(boards):
        x = left + number * (block + gap)
        under.text(x, 0.02, board.title, va="top", fontsize=9.5, fontweight="bold")
        columns = list(board.marks.columns)
        step = (block - row - 0.42) / len(columns)
        under.text(x + row + 0.17, head - 0.04, "overlap", rotation=60, ha="left", va="bottom", fontsize=8, color=MUTED)  # fmt: skip
        for place, name in enumerate(columns):
            at = x + row + 0.42 + step * (place + 0.4)
            under.text(at, head - 0.04, HEADINGS[name], rotation=60, ha="left", va="bottom", fontsize=8, linespacing=0.95, rotation_mode="anchor")  # fmt: skip
        _thumbnail(_axes(figure, x, head, row, height), board.picture, board.truth)
        for name, top in tops.items():
            if name not in board.marks.index:
                under.text(x, top + row / 2, "needs an atlas", va="center", fontsize=8, color=MUTED)
                continue
            _thumbnail(_axes(figure, x, top, row, height), board.heat[name], heat=True)
            under.text(x + row + 0.19, top + row / 2, f"{board.score[name]:.2f}", ha="center", va="center", fontsize=8)  # fmt: skip
            for place, check in enumerate(columns):
                sign, colour = MARKS[board.marks.loc[name, check]]
                under.text(x + row + 0.42 + step * (place + 0.5), top + row / 2, sign, ha="center", va="center",
                           fontsize=11, color=colour, fontweight="bold")  # fmt: skip
    plt.close(figure)
    return figure


@house_style()
def overlap_and_ranks(
    standing: pd.DataFrame,
    subjects: pd.DataFrame,
    ranks: pd.DataFrame,
    titles: Mapping[str, str],
    met: str = "the true effect",
) -> Figure:
    """Left, each method's overlap by subject, mean and interval, with its nulls; right, how often it has each rank.

    standing: rows of `explain.leaderboard.standings` for one score. subjects: columns method, value. ranks: methods
    by row, rank by column, shares. Rows of the figure are `titles`, from the top. met: what overlap is measured with.
    """
    figure, (axes, grid) = plt.subplots(
        1, 2, figsize=(WIDTH, 0.9 + 0.47 * len(titles)), width_ratios=(2.1, 1)
    )
    own = standing.set_index("method")
    for place, name in enumerate(titles):
        colour = PALETTE[1] if name.startswith("svm") else PALETTE[0]
        values = subjects.loc[subjects["method"] == name, "value"].sort_values().to_numpy()
        axes.scatter(values, place - 0.2 + np.zeros(len(values)), s=9, color=colour, alpha=0.4, linewidths=0)
        one = own.loc[name]
        axes.plot([one["low"], one["high"]], [place, place], color=colour, linewidth=2.6)
        axes.plot(
            one["mean"], place, "D", color=colour, markersize=6, markeredgecolor=INK, markeredgewidth=0.6
        )
        for null, marker in NULL_LOOKS.items():
            axes.plot(one[null], place + 0.24, marker, color=MUTED, markersize=6, markerfacecolor="none")
    axes.set_yticks(range(len(titles)), titles.values())
    axes.set(ylim=(len(titles) - 0.5, -0.5), xlabel=f"Overlap with {met}\n(Dice area, share of the best possible)")  # fmt: skip
    axes.grid(axis="x")
    handles = [
        Line2D([], [], marker="D", color=INK, markersize=5, label="mean, 95 % interval"),
        *(Line2D([], [], marker=m, linestyle="", color=MUTED, markerfacecolor="none", label=f"null: {n}") for n, m in NULL_LOOKS.items()),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=4, columnspacing=1.2, handletextpad=0.4)
    shares = ranks.loc[list(titles)].to_numpy()
    count = len(titles)
    for (y, x), share in np.ndenumerate(shares):
        if share > 0:
            grid.add_patch(plt.Rectangle((x + 0.5, y - 0.5), 1, 1, color=PALETTE[0], alpha=0.15 + 0.75 * share, linewidth=0))  # fmt: skip
        if share >= 0.005:
            grid.text(x + 1, y, f"{100 * share:.0f}", ha="center", va="center", fontsize=8)
    grid.set(xlim=(0.5, count + 0.5), ylim=(count - 0.5, -0.5), xlabel="Rank, % of resamples", yticks=[])
    grid.set_xticks(range(1, count + 1))
    grid.spines["left"].set_visible(False)
    plt.close(figure)
    return figure


@house_style()
def average_maps(
    brain: np.ndarray,
    truth: np.ndarray,
    maps: Mapping[str, np.ndarray],
    cut: tuple[int, int],
    met: str = "true effect",
) -> Figure:
    """The truth, titled `met`, and each average map in one coronal and one axial slice, each on the scale of its 99.5th percentile.

    brain: (X, Y, Z) grey. truth: bool. maps: by title, >= 0. cut: numbers of the slices along y and z.
    """
    titles = [met.capitalize(), *maps]
    columns = 4
    rows = -(-len(titles) // columns)
    figure, panels = plt.subplots(2 * rows, columns, figsize=(WIDTH, 1.55 * 2 * rows))
    for panel in panels.flat:
        panel.set_axis_off()
    low, high = np.percentile(brain[brain != 0], [1, 99])
    for number, title in enumerate(titles):
        line, column = divmod(number, columns)
        for half, (axis, at) in enumerate(zip((1, 2), cut, strict=True)):
            panel = panels[2 * line + half, column]
            outline = truth.take(at, axis).T
            if number:
                heat = maps[title].take(at, axis).T
                top = np.percentile(maps[title][maps[title] > 0], 99.5) if maps[title].any() else 1.0
                panel.imshow(heat, origin="lower", cmap=HEAT, vmin=0, vmax=top)
            else:
                panel.imshow(brain.take(at, axis).T, origin="lower", vmin=low, vmax=high)
            if outline.any() and not outline.all():
                panel.contour(outline, levels=[0.5], colors=[PALETTE[7]], linewidths=1.0)
            if not half:
                panel.set_title(title, fontsize=8.5)
    plt.close(figure)
    return figure


@house_style()
def dice_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    best: tuple[np.ndarray, np.ndarray],
    met: str = "the true effect",
) -> Figure:
    """Dice with `met` over the share of voxels kept, by title; `best` is what a map that ranks the truth first would have."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    axes.plot(*best, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="best possible")
    for number, (title, (kept, dice)) in enumerate(curves.items()):
        dashes = (0, (3, 1)) if title.startswith("SVM") else "-"
        axes.plot(kept, dice, color=PALETTE[number % len(PALETTE)], linestyle=dashes, label=title)
    axes.set(xlabel="Share of brain voxels kept, the hottest first", ylabel=f"Dice with {met}", xlim=(0, 1), ylim=(0, 1.02))  # fmt: skip
    axes.grid()
    axes.legend(ncols=2)
    plt.close(figure)
    return figure


def _axes(figure: Figure, x: float, top: float, row: float, height: float) -> Axes:
    side = row - 0.05
    return figure.add_axes((x / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height))


def _thumbnail(axes: Axes, picture: np.ndarray, truth: np.ndarray | None = None, heat: bool = False) -> None:
    if heat:
        top = np.percentile(picture[picture > 0], 97) if (picture > 0).any() else 1.0
        axes.imshow(picture, cmap=HEAT, vmin=0, vmax=top)
    else:
        axes.imshow(picture)
        axes.contour(truth, levels=[0.5], colors=[PALETTE[4]], linewidths=0.6)
    axes.set_axis_off()
