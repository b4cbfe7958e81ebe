"""How well a heatmap meets a map of the truth: Dice over all thresholds, mass inside, AUC, pointing game.

All scores take one heatmap and one truth (bool) of the same shape, and `within` (bool), the voxels that
count, such as the brain; by default all. Higher is better for each. They look at the heatmap's positive
values; pass `np.abs(heatmap)` where both signs mean relevance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from als_core.refusal import Problem, refuse_if


@dataclass(frozen=True)
class DiceCurve:
    """Dice of the truth and the hottest voxels, for every number of voxels kept.

    kept: share of voxels kept, ascending from 0 to 1; dice: 0..1. best_area is the area under the curve
    of a heatmap that ranks the truth first, the most that this truth allows.
    """

    kept: np.ndarray
    dice: np.ndarray
    best_area: float

    @property
    def area(self) -> float:
        """Area under dice over kept, 0 <= area <= best_area < 1."""
        return float(np.trapezoid(self.dice, self.kept))


def dice_curve(heatmap: np.ndarray, truth: np.ndarray, within: np.ndarray | None = None) -> DiceCurve:
    """Dice 2|A and B| / (|A| + |B|) as the threshold falls.

    Among voxels of equal value it is what a random order of them gives on average.
    """
    values, inside = _voxels(heatmap, truth, within)
    order = np.argsort(-values, kind="stable")
    last_of_value = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    count, size = np.arange(len(values) + 1), inside.sum()
    hits = np.interp(
        count, np.append(0, last_of_value + 1), np.append(0, inside[order].cumsum()[last_of_value])
    )
    kept, best = count / len(values), 2 * np.minimum(count, size) / (count + size)
    return DiceCurve(kept, 2 * hits / (count + size), float(np.trapezoid(best, kept)))


def dice_area(heatmap: np.ndarray, truth: np.ndarray, within: np.ndarray | None = None) -> float:
    """Area under the Dice curve as a share of the best this truth allows, 0..1."""
    curve = dice_curve(heatmap, truth, within)
    return curve.area / curve.best_area


def mass_inside(heatmap: np.ndarray, truth: np.ndarray, within: np.ndarray | None = None) -> float:
    """Share of the positive heat that lies inside the truth, 0..1; NaN where there is no positive heat.

    Chance is the truth's share of the voxels.
    """
    values, inside = _voxels(heatmap, truth, within)
    positive = np.maximum(values, 0)
    total = positive.sum()
    return float(positive[inside].sum() / total) if total > 0 else float("nan")


def voxel_auc(heatmap: np.ndarray, truth: np.ndarray, within: np.ndarray | None = None) -> float:
    """Probability that a voxel of the truth is hotter than one outside, 0..1, ties half; chance 0.5."""
    values, inside = _voxels(heatmap, truth, within)
    size, others = inside.sum(), (~inside).sum()
    return float((rankdata(values)[inside].sum() - size * (size + 1) / 2) / (size * others))


def pointing_game(heatmap: np.ndarray, truth: np.ndarray, within: np.ndarray | None = None) -> float:
    """Share of the hottest voxels (one, unless several tie) that lie in the truth, 0..1.

    Zhang et al. 2018 (doi 10.1007/s11263-017-1059-x), without their tolerance around the truth. Chance is
    the truth's share of the voxels, which is what a constant heatmap scores.
    """
    values, inside = _voxels(heatmap, truth, within)
    return float(inside[values == values.max()].mean())


@dataclass(frozen=True)
class OverlapScore:
    """A score from 0 to 1, higher is better."""

    function: Callable[..., float]
    title: str


SCORES = {
    "dice_area": OverlapScore(dice_area, "Dice area (share of best)"),
    "mass_inside": OverlapScore(mass_inside, "Mass inside"),
    "voxel_auc": OverlapScore(voxel_auc, "AUC of voxels"),
    "pointing_game": OverlapScore(pointing_game, "Pointing game"),
}


@dataclass(frozen=True)
class AreaRelevance:
    """Per area, ascending by label (A,): its label, its heat per voxel and its part of all heat.

    mean is in the heatmap's unit; a large area does not lead by size alone. share is |heat| in the area
    over |heat| in all areas, 0..1, and concentration is that share over the area's share of voxels: 1 is
    what an even heatmap gives.
    """

    areas: np.ndarray
    mean: np.ndarray
    share: np.ndarray
    concentration: np.ndarray


def relevance_by_area(heatmap: np.ndarray, areas: np.ndarray) -> AreaRelevance:
    """How a heatmap (*spatial) is spread over the labels above 0 of `areas` (*spatial, whole numbers)."""
    heatmap, areas = np.asarray(heatmap, dtype=float), np.asarray(areas)
    problems = []
    if heatmap.shape != areas.shape or not np.issubdtype(areas.dtype, np.integer) or not (areas > 0).any():
        found = f"{areas.dtype} {areas.shape}, {int((areas > 0).sum())} labelled voxels"
        problems.append(Problem("areas", found, f"integer labels {heatmap.shape}", "Resample them."))
    refuse_if("relevance by area", problems)
    labelled = areas > 0
    labels, place, voxels = np.unique(areas[labelled], return_inverse=True, return_counts=True)
    mean = np.bincount(place, heatmap[labelled]) / voxels
    absolute = np.bincount(place, np.abs(heatmap[labelled]))
    share = absolute / absolute.sum() if absolute.sum() > 0 else np.full(len(labels), np.nan)
    return AreaRelevance(labels, mean, share, share / (voxels / voxels.sum()))


def _voxels(
    heatmap: np.ndarray, truth: np.ndarray, within: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Values and truth of the voxels that count, (V,) each, once they can be compared."""
    heatmap, truth = np.asarray(heatmap, dtype=float), np.asarray(truth)
    counted = np.ones(heatmap.shape, dtype=bool) if within is None else np.asarray(within)
    problems = []
    for name, mask in (("truth", truth), ("within", counted)):
        if mask.shape != heatmap.shape or mask.dtype != bool:
            found, expected = f"{mask.dtype} {mask.shape}", f"bool {heatmap.shape}"
            problems.append(Problem(name, found, expected, "Resample or threshold it to the heatmap."))
    refuse_if("overlap", problems)
    values, inside = heatmap[counted], truth[counted]
    if not np.isfinite(values).all():
        problems.append(Problem("heatmap", "NaN or infinite values", "finite values", "Check the method."))
    if not inside.any() or inside.all():
        found = f"{int(inside.sum())} of {inside.size} voxels"
        problems.append(Problem("truth", found, "some voxels, not all", "Check threshold and mask."))
    refuse_if("overlap", problems)
    return values, inside
