"""Occlusion: what the score loses when a patch, or a whole area of an atlas, is covered.

Zeiler and Fergus 2014 (doi 10.1007/978-3-319-10590-1_53), section 4.2; by area, Rieke et al. 2018
(doi 10.1007/978-3-030-02628-8_3). Both signs are kept: positive where covering lowers the target's
score (the region speaks for it), negative where covering raises it. Covered images run in batches, and in
networks that are a plain sequence only what a region reaches is computed again (`receptive_field`).
The contract of all methods is in `als_core.explain.contract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from als_core.explain.contract import check_call, target_scores, to_heatmap
from als_core.explain.receptive_field import Region, as_sequence, occluded_scores
from als_core.refusal import Problem, refuse_if

Score = Literal["logit", "probability"]


def occlusion(
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    *,
    patch: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    fill: float | Tensor = 0.0,
    score: Score = "logit",
    batch: int = 16,
) -> Tensor:
    """Mean drop of the score over all patches that cover a voxel, signed.

    `patch`, `stride`: voxels, one number or one per axis; by default patches lie side by side
    (stride = patch). The last patch of an axis is flush with the edge. `fill`: what covers, a number or
    a tensor that broadcasts to one image (C, *spatial), such as a mean image. `score`: the unit of the
    heatmap, the model's own score or its softmax. `batch`: occluded images per forward pass, which
    moves no value beyond rounding; larger ones are slower on a CPU, whose caches they leave.
    """
    targets = check_call(model, images, target)
    spatial = images.shape[2:]
    patches = _per_axis(patch, len(spatial))
    strides = patches if stride is None else _per_axis(stride, len(spatial))
    _refuse_grid(spatial, patches, strides)
    starts = [
        sorted({*range(0, size - width + 1, step), size - width})
        for size, width, step in zip(spatial, patches, strides, strict=True)
    ]
    regions = [
        tuple(slice(start, start + width) for start, width in zip(corner, patches, strict=True))
        for corner in product(*starts)
    ]
    drops = score_drops(model, images, targets, regions, fill, score, batch)
    total, count = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    for region, drop in zip(regions, drops.T, strict=True):
        total[:, *region] += drop.view(-1, *[1] * len(spatial))
        count[region] += 1
    return to_heatmap((total / count)[:, None])


@dataclass(frozen=True)
class AreaEffects:
    """areas (A,), the labels above 0 in ascending order; drops (N, A), what the score loses without each."""

    areas: Tensor
    drops: Tensor


def area_effects(
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    *,
    areas: Tensor | np.ndarray,
    fill: float | Tensor = 0.0,
    score: Score = "logit",
    batch: int = 16,
) -> AreaEffects:
    """Drop of each image's score when one area at a time is covered by `fill`.

    `areas`: whole numbers on the images' spatial grid; 0 is background and stays. Other settings as
    `occlusion`. Raises RefusedInput for labels on another grid, with fractions, negative, or all 0.
    """
    targets = check_call(model, images, target)
    labels = checked_areas(areas, images.shape[2:]).to(images.device)
    values = labels.unique()
    values = values[values > 0]
    regions = [(labels == value,) for value in values]
    return AreaEffects(values, score_drops(model, images, targets, regions, fill, score, batch))


def area_occlusion(
    model: nn.Module, images: Tensor, target: int | Tensor, *, areas: Tensor | np.ndarray, **settings
) -> Tensor:
    """Every voxel of an area holds the drop of the score when that area is covered; background 0; signed.

    Settings, refusals and source as `area_effects`. A large area drops more than a small one: compare
    areas by `overlap.relevance_by_area`.
    """
    effects = area_effects(model, images, target, areas=areas, **settings)
    labels = checked_areas(areas, images.shape[2:]).to(images.device)
    place = torch.searchsorted(effects.areas, labels).clamp(max=len(effects.areas) - 1)
    return to_heatmap((effects.drops[:, place] * (labels > 0))[:, None])


def score_drops(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    regions: Sequence[Region],
    fill: float | Tensor,
    score: Score,
    batch: int,
) -> Tensor:
    """Score of the whole image minus that with each region covered, (N, regions)."""
    if batch < 1:
        refuse_if("occlusion", [Problem("batch", str(batch), "at least 1", "Raise it.")])
    cover = torch.as_tensor(fill, dtype=images.dtype, device=images.device).expand(images.shape[1:])
    with torch.no_grad():
        whole = torch.cat(
            [
                scores_as(model, part, classes, score)
                for part, classes in zip(images.split(batch), targets.split(batch), strict=True)
            ]
        )
        network = as_sequence(model, images[:1])
        if network is None:
            covered = _covered_in_full(model, images, targets, regions, cover, score, batch)
        else:
            every_class = torch.cat(
                [occluded_scores(network, part, regions, cover, batch) for part in images.split(batch)]
            )
            every_class = every_class.softmax(2) if score == "probability" else every_class
            covered = every_class[torch.arange(len(images), device=images.device), :, targets]
    return whole[:, None] - covered


def _covered_in_full(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    regions: Sequence[Region],
    cover: Tensor,
    score: Score,
    batch: int,
) -> Tensor:
    """Scores (N, regions) by one full forward pass for each image and region."""
    pairs = len(images) * len(regions)
    scores = images.new_empty(pairs)
    for start in range(0, pairs, batch):
        chunk = torch.arange(start, min(start + batch, pairs), device=images.device)
        owners = chunk // len(regions)
        covered = images[owners]
        for row, pair in zip(covered, chunk.tolist(), strict=True):
            region = regions[pair % len(regions)]
            row[:, *region] = cover[:, *region]
        scores[chunk] = scores_as(model, covered, targets[owners], score)
    return scores.view(len(images), len(regions))


def scores_as(model: nn.Module, images: Tensor, targets: Tensor, score: Score) -> Tensor:
    """The target's score (N,), as the model gives it or as a softmax probability."""
    if score == "probability":
        return target_scores(lambda batch: model(batch).softmax(1), images, targets)
    if score != "logit":
        refuse_if("occlusion", [Problem("score", repr(score), "'logit' or 'probability'", "Choose one.")])
    return target_scores(model, images, targets)


def checked_areas(areas: Tensor | np.ndarray, spatial: Sequence[int]) -> Tensor:
    """The label image as int64. Raises RefusedInput when it is not one on this grid."""
    labels = torch.as_tensor(areas)
    problems = []
    if tuple(labels.shape) != tuple(spatial):
        problems.append(
            Problem("areas", f"shape {tuple(labels.shape)}", f"{tuple(spatial)}, the images' grid",
                    "Resample the label image to the images, by nearest neighbour.")
        )  # fmt: skip
    if labels.is_floating_point() and not torch.equal(labels, labels.round()):
        problems.append(
            Problem("areas", "fractions", "whole numbers", "Resample labels by nearest neighbour only.")
        )
    elif not (labels > 0).any() or (labels < 0).any():
        problems.append(
            Problem("areas", f"labels {int(labels.min())} to {int(labels.max())}",
                    "0 for background and positive numbers", "Check the label image.")
        )  # fmt: skip
    refuse_if("area occlusion", problems)
    return labels.long()


def _per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _refuse_grid(spatial: Sequence[int], patches: tuple[int, ...], strides: tuple[int, ...]) -> None:
    problems = []
    if len(patches) != len(spatial) or len(strides) != len(spatial):
        found = f"patch {patches}, stride {strides}"
        problems.append(Problem("patch", found, f"{len(spatial)} numbers each", "Give one per axis."))
    elif any(not 1 <= width <= size for width, size in zip(patches, spatial, strict=True)):
        problems.append(Problem("patch", str(patches), f"1 to {tuple(spatial)}", "Fit it to the image."))
    elif any(not 1 <= step <= width for step, width in zip(strides, patches, strict=True)):
        expected = f"1 to the patch {patches}"
        problems.append(Problem("stride", str(strides), expected, "A larger one leaves voxels uncovered."))
    refuse_if(f"occlusion of {prod(spatial)} voxels", problems)
