"""Does the score follow the voxels that a heatmap calls important? Three measures that need no truth.

| measure | asks | source |
|---|---|---|
| insertion, deletion | does the score rise or fall early, hottest voxels first? | Petsiuk et al. 2018 |
| faithfulness correlation | do subsets with more heat change the score more? | Bhatt et al. 2020 |
| infidelity | is the heat of a subset the change of the score? | Yeh et al. 2019 |

Sources: arXiv 1806.07421, section 4.2; arXiv 2005.00631, definition 3; arXiv 1901.09392, definition 2.1. All
of them ask the network about images it never saw, with voxels covered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from als_core.explain.contract import check_call
from als_core.explain.occlusion import Score, scores_as
from als_core.refusal import Problem, refuse_if


@dataclass(frozen=True)
class PerturbationCurve:
    """share (S + 1,), 0 to 1, of the voxels changed so far, hottest first; scores (N, S + 1)."""

    share: Tensor
    scores: Tensor

    @property
    def area(self) -> Tensor:
        """Area under score over share, (N,), in units of the score: 0..1 for probabilities."""
        return torch.trapezoid(self.scores, self.share, dim=1)


def perturbation_curve(
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    heatmaps: Tensor,
    kind: Literal["deletion", "insertion"],
    *,
    generator: torch.Generator,
    within: np.ndarray | None = None,
    steps: int = 10,
    fill: float | Tensor = 0.0,
    score: Score = "probability",
    batch: int = 8,
) -> PerturbationCurve:
    """Score of each image while its voxels are covered (deletion), or uncovered from nothing (insertion).

    heatmaps (N, *spatial): the order, highest value first; equal values in random order by `generator`
    (a CPU one). `within` bool (*spatial): the voxels that are changed, such as the brain (default all);
    the others stay as they are. `fill`: what covers, a number or a tensor that broadcasts to one image
    (C, *spatial). `batch`: images in a forward pass; larger ones are slower on a CPU, whose caches they leave.
    """
    targets = check_call(model, images, target)
    problems = []
    if heatmaps.shape != images[:, 0].shape:
        found, expected = tuple(heatmaps.shape), tuple(images[:, 0].shape)
        problems.append(Problem("heatmaps", f"shape {found}", f"{expected}", "Compute them on these images."))
    counted = np.ones(images.shape[2:], dtype=bool) if within is None else np.asarray(within)
    if counted.shape != images.shape[2:] or counted.dtype != bool:
        found, expected = f"{counted.dtype} {counted.shape}", f"bool {tuple(images.shape[2:])}"
        problems.append(Problem("within", found, expected, "Resample it to the images."))
    if not 1 <= steps <= counted.sum():
        problems.append(Problem("steps", str(steps), f"1 to {counted.sum()} voxels", "Change it."))
    if kind not in ("deletion", "insertion"):
        problems.append(Problem("kind", repr(kind), "'deletion' or 'insertion'", "Choose one."))
    refuse_if("insertion and deletion", problems)

    changing = torch.as_tensor(counted, device=images.device)
    # outside, -inf puts voxels last: they are never reached
    rank = _heat_rank(heatmaps.masked_fill(~changing, -torch.inf), generator)
    share = torch.linspace(0, 1, steps + 1, dtype=images.dtype, device=images.device)
    counts = (share * changing.sum()).round().long()
    cover = torch.as_tensor(fill, dtype=images.dtype, device=images.device).expand(images.shape[1:])
    scores = images.new_empty(len(images) * len(counts))
    with torch.no_grad():
        for start in range(0, len(scores), batch):
            pairs = torch.arange(start, min(start + batch, len(scores)), device=images.device)
            owners, stages = pairs // len(counts), pairs % len(counts)
            hottest = rank[owners] < counts[stages].view(-1, *[1] * (rank.ndim - 1))
            covered = hottest if kind == "deletion" else ~hottest & changing
            perturbed = torch.where(covered[:, None], cover, images[owners])
            scores[pairs] = scores_as(model, perturbed, targets[owners], score)
    return PerturbationCurve(share, scores.view(len(images), len(counts)))


def faithfulness(
    model: nn.Module, images: Tensor, target: int | Tensor, heatmaps: Tensor, **settings
) -> Tensor:
    """Insertion area minus deletion area, (N,), higher is better, -1..1 for probabilities; settings as
    `perturbation_curve`. An order that knows nothing gives about 0."""
    insertion = perturbation_curve(model, images, target, heatmaps, "insertion", **settings)
    deletion = perturbation_curve(model, images, target, heatmaps, "deletion", **settings)
    return insertion.area - deletion.area


@dataclass(frozen=True)
class SubsetDrops:
    """What happens when subsets of voxels are covered: predicted by the heatmap, and observed; (N, subsets).

    predicted: heat of the subset. observed: score of the whole image minus score with the subset covered.
    """

    predicted: Tensor
    observed: Tensor

    @property
    def correlation(self) -> Tensor:
        """Pearson's correlation of both over the subsets, (N,), -1 to 1, higher is better; any scale of heat.

        NaN where heatmap or score is the same for every subset.
        """
        centred = [values - values.mean(1, keepdim=True) for values in (self.predicted, self.observed)]
        first, second = (values / values.norm(dim=1, keepdim=True) for values in centred)
        return (first * second).sum(1)

    @property
    def infidelity(self) -> Tensor:
        """Mean squared difference, (N,) >= 0, lower is better; for methods whose unit is the score."""
        return (self.predicted - self.observed).square().mean(1)


def random_subsets(spatial: Sequence[int], size: int, count: int, *, generator: torch.Generator) -> Tensor:
    """Draw `count` subsets of `size` voxels each, bool (count, *spatial)."""
    voxels = math.prod(spatial)
    if not 1 <= size < voxels:
        problem = Problem("size", str(size), f"1 to {voxels - 1} of {voxels} voxels", "Change it.")
        refuse_if("subsets of voxels", [problem])
    order = torch.rand(count, voxels, generator=generator).argsort(dim=1)
    return (
        torch.zeros(count, voxels, dtype=torch.bool).scatter_(1, order[:, :size], True).view(count, *spatial)
    )


def subset_drops(
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    heatmaps: Tensor,
    subsets: Tensor,
    *,
    fill: float | Tensor = 0.0,
    batch: int = 8,
) -> SubsetDrops:
    """Cover each of the `subsets`, bool (count, *spatial), in each image; `fill` as `perturbation_curve`.

    Scores are logits.
    """
    targets = check_call(model, images, target)
    problems = []
    for name, found, expected in (
        ("heatmaps", heatmaps.shape, images[:, 0].shape),
        ("subsets", subsets.shape[1:], images.shape[2:]),
    ):
        if found != expected:
            remedy = "Compute them on these images."
            problems.append(Problem(name, f"shape {tuple(found)}", f"{tuple(expected)}", remedy))
    refuse_if("subsets of voxels", problems)
    cover = torch.as_tensor(fill, dtype=images.dtype, device=images.device).expand(images.shape[1:])
    subsets = subsets.to(images.device)
    observed = images.new_empty(len(images), len(subsets))
    with torch.no_grad():
        whole = scores_as(model, images, targets, "logit")
        for row, image in enumerate(images):
            for part in torch.arange(len(subsets), device=images.device).split(batch):
                covered = torch.where(subsets[part][:, None], cover, image)
                after = scores_as(model, covered, targets[row].expand(len(part)), "logit")
                observed[row, part] = whole[row] - after
    predicted = heatmaps.flatten(1) @ subsets.flatten(1).to(heatmaps).T
    return SubsetDrops(predicted, observed)


def _heat_rank(heatmaps: Tensor, generator: torch.Generator) -> Tensor:
    """Rank of each voxel within its image, 0 the hottest, ties in random order; int64, same shape."""
    values = heatmaps.flatten(1)
    shuffled = torch.randperm(values.shape[1], generator=generator).to(values.device)
    order = shuffled[values[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    positions = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, positions).view(heatmaps.shape)
