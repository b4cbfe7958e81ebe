"""Figures of the heatmap trial: the leaderboard as a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from als_core.book import interactive
from als_core.figures.drawn import Drawn
from als_core.figures.pictures import canvas, draw_image
from als_core.figures.style import GRID, MUTED, PALETTE, WIDTH, house_style
from als_core.studies.cross_paper import leaderboard, words_heatmaps
from als_core.studies.cross_paper.evaluation_sets import Subjects, edges, random_map

HEAT = "inferno"
CAPTION = (
    "Each method on one image, its mean overlap with the truth, and the checks that it passes (✓) or fails (✕). "
    "Overlap is the Dice area, as a share of the best possible. *Beats*: the lower end of a 95 % bootstrap interval "
    "of the lead over that null is above zero. *Needs what was learnt*: the map changes when noise replaces every "
    "parameter. *Marks what counts*: the score falls faster when the hottest places are covered than for random maps "
    "as smooth. The controls in italics never look at the network. A dot: the check does not apply."
)
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


def board_of(name: str, subjects: Subjects, scores: pd.DataFrame, marks: pd.DataFrame, seed: int) -> Board:
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
    score = scores[scores["score"] == leaderboard.SCORE].set_index("method")["mean"]
    return Board(name, picture, truth, heat, marks.loc[:, (marks != "-").any()], score)


@house_style()
def trial_grid(boards: Sequence[Board], titles: Mapping[str, str], controls: Sequence[str]) -> Drawn:
    """Methods by row; for each modality a small heatmap, its overlap and a mark for each check.

    titles: the rows from the top, by method. controls: rows that must fail, set apart below the others.
    The first row shows the image and where the truth is.
    """
    row, left, head, gap = 0.62, 1.62, 1.62, 0.16
    block = (WIDTH - left - gap * (len(boards) - 1)) / len(boards)
    height = head + row * (len(titles) + 1) + 0.12
    figure, under = canvas(height)
    under.set_ylim(height, 0)
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
    passing = " ".join(
        f"{board.title}. {words_heatmaps.passing_sentence(words_heatmaps.passing(board.marks), titles)}"
        for board in boards
    )
    alt = (
        f"Table of {len(titles) - len(controls)} methods and {len(controls)} controls by row: a small heatmap, an "
        f"overlap, and a tick or a cross for each check. {passing}"
    )
    return Drawn(
        figure, CAPTION, alt, pd.concat([_cells(board, titles) for board in boards], ignore_index=True)
    )


def heat_to_lay_over(board: Board, titles: Mapping[str, str]) -> str:
    """Lay the heat of each method over the image of a board, with a slider of opacity (HTML)."""
    grey = board.picture - board.picture.min()
    picture = (255 * grey / max(grey.max(), 1e-9)).astype(np.uint8)
    heat = {title: _clipped(board.heat[name]) for name, title in titles.items() if name in board.heat}
    return interactive.heatmap_overlay(
        picture, heat, f"the image under {board.title}", f"{board.title}: lay the heat over the image"
    )


def _clipped(heat: np.ndarray) -> np.ndarray:
    """Heat up to its 97th percentile, which is drawn as the hottest: single voxels would hide all others."""
    positive = heat[heat > 0]
    return np.minimum(heat, np.percentile(positive, 97)) if len(positive) else heat


def _cells(board: Board, titles: Mapping[str, str]) -> pd.DataFrame:
    """Every cell of a board: modality, method, overlap, check, mark."""
    marks = board.marks.loc[[name for name in titles if name in board.marks.index]]
    cells = marks.rename_axis("method").reset_index().melt("method", var_name="check", value_name="mark")
    return cells.assign(modality=board.title, overlap=cells["method"].map(board.score))


def _axes(figure: Figure, x: float, top: float, row: float, height: float) -> Axes:
    side = row - 0.05
    return figure.add_axes((x / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height))


def _thumbnail(axes: Axes, picture: np.ndarray, truth: np.ndarray | None = None, heat: bool = False) -> None:
    if heat:
        shown = _clipped(picture)
        axes.imshow(shown, cmap=HEAT, vmin=0, vmax=shown.max() or 1.0)
    else:
        draw_image(axes, picture - picture.min(), outline=truth, outline_colour=PALETTE[4])
    axes.set_axis_off()
