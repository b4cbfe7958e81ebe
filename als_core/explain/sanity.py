"""Sanity checks that a heatmap method can fail: does its map come from what the network learned?

Adebayo et al. 2018 (arXiv 1810.03292): a map that stays the same when the network's parameters are
replaced by noise shows the image and not the decision.
`judge` adds that the map is repeatable, not blank, and that the score follows it better than it follows
random maps of the same smoothness. An explainer here is a method with its settings bound,
`explainer(model, images, targets) -> heatmaps`; give layers by name, as the model is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from als_core.explain.contract import blank, check_call
from als_core.explain.faithfulness import faithfulness
from als_core.explain.nulls import phase_randomised

Explainer = Callable[[nn.Module, Tensor, Tensor], Tensor]


def rank_correlation(first: Tensor, second: Tensor, within: np.ndarray | None = None) -> np.ndarray:
    """Spearman correlation over the voxels of each image, (N,), -1..1; NaN where a map is constant.

    For a sanity check against noise, near 0 is good and near 1 is bad. `within` bool (*spatial): the
    voxels that count; an empty background, the same in both maps, would pass for likeness.
    """
    counted = slice(None) if within is None else np.asarray(within).ravel()
    ranks = [rankdata(maps.flatten(1).cpu().numpy()[:, counted], axis=1) for maps in (first, second)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    lengths = [np.sqrt((rank**2).sum(axis=1)) for rank in centred]
    with np.errstate(invalid="ignore"):
        return (centred[0] * centred[1]).sum(axis=1) / (lengths[0] * lengths[1])


def cascade(model: nn.Module, images: Tensor, generator: torch.Generator) -> Iterator[tuple[str, nn.Module]]:
    """Randomise a copy of the model from its last module to its first; yield each name with the copy.

    Modules with parameters of their own, in the order the model registers them, last first. Normal
    draws of its root mean square replace each weight; biases become 0 and scales of normalisation 1, and
    batch norm among the randomised takes its statistics from `images`, so that the network still
    passes a signal of the usual size. The copy changes with the next step. `generator`: a CPU one.
    """
    copy = deepcopy(model)
    randomised: list[nn.Module] = []
    for name, module in reversed(list(copy.named_modules())):
        own = list(module.named_parameters(recurse=False))
        if not own:
            continue
        for role, parameter in own:
            _randomise(module, role, parameter.data, generator)
        randomised.append(module)
        _recalibrate([one for one in randomised if isinstance(one, _BatchNorm)], copy, images)
        yield name, copy


def untrained(model: nn.Module, images: Tensor, generator: torch.Generator) -> nn.Module:
    """A copy of the model with every parameter randomised, as at the end of `cascade`."""
    copy = model
    for _, copy in cascade(model, images, generator):  # noqa: B007
        pass
    return copy


def _randomise(module: nn.Module, role: str, values: Tensor, generator: torch.Generator) -> None:
    if role == "bias":  # a learned threshold among random weights would leave the network dead
        values.zero_()
    elif isinstance(module, _BatchNorm | nn.GroupNorm | nn.LayerNorm):
        values.fill_(1.0)
    else:
        noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
        values.copy_(noise * values.double().square().mean().sqrt().cpu())


def _recalibrate(norms: list[_BatchNorm], model: nn.Module, images: Tensor) -> None:
    tracking = [norm for norm in norms if norm.running_mean is not None]
    if not tracking:
        return
    momenta = [norm.momentum for norm in tracking]
    for norm in tracking:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average of what passes
        norm.train()
    with torch.no_grad():
        model(images)
    for norm, momentum in zip(tracking, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


@dataclass(frozen=True)
class Limits:
    """Where each check of `judge` draws its line: conventions, set before looking, shown with results."""

    difference: float = 1e-3
    blank: float = 0.5
    similarity: float = 0.5
    random: float = 0.1


@dataclass(frozen=True)
class Check:
    """One sanity check: what was measured, and the limit that it must not exceed."""

    name: str
    measured: str
    value: float
    limit: float

    @property
    def passed(self) -> bool:
        """At or below the limit; NaN does not pass."""
        return bool(self.value <= self.limit)


def judge(
    explainer: Explainer,
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    *,
    generator: torch.Generator,
    within: np.ndarray | None = None,
    fill: float | Tensor = 0.0,
    draws: int = 3,
    nulls: int = 5,
    steps: int = 10,
    trained: Tensor | None = None,
    blind: Sequence[Tensor] | None = None,
) -> tuple[Check, ...]:
    """Four checks of a method on a trained model; a method is sound here when all of them pass.

    `within` bool (*spatial): the voxels that count, such as the brain (default all). `trained`, `blind`: the
    method's heatmaps of the images by the model and by untrained networks, where they are there; by default they
    are made, by `draws` such networks.

    repeatable: largest difference between two runs, on the first image, as a share of the largest value.
    speaks: share of images whose heatmap is zero everywhere.
    depends on parameters: mean Spearman correlation of |heatmap| with that of an untrained network, over
    images and such networks; a constant map correlates with nothing and counts as 0.
    faithful: share of random maps, `nulls` of the same power spectrum for each image, that are at least
    as faithful as the method's (insertion minus deletion in `steps` steps, covered by `fill`); a map
    without knowledge gets about one half.

    LRP has one more, of its own: how much of the score the map does not share out, see `lrp.propagate`.
    """
    targets = check_call(model, images, target)
    trained = explainer(model, images, targets) if trained is None else trained
    again = explainer(model, images[:1], targets[:1])
    largest = float(trained.abs().max())
    difference = float((trained[:1] - again).abs().max()) / largest if largest else 0.0
    if blind is None:
        networks = (untrained(model, images, generator) for _ in range(draws))
        blind = [explainer(noise, images, targets) for noise in networks]
    correlations = [rank_correlation(trained.abs(), one.abs(), within) for one in blind]
    numbers = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))

    def faith(heatmaps: Tensor) -> Tensor:
        settings = {"generator": generator, "within": within, "steps": steps, "fill": fill}
        return faithfulness(model, images, targets, heatmaps, **settings)

    surrogates = [
        np.stack([phase_randomised(one.double().cpu().numpy(), numbers) for one in trained])
        for _ in range(nulls)
    ]
    own = faith(trained)
    as_good = torch.stack([faith(torch.as_tensor(null).to(images)) >= own for null in surrogates])
    return (
        Check("repeatable", "difference between two runs", difference, Limits.difference),
        Check("speaks", "share of blank maps", float(blank(trained).double().mean()), Limits.blank),
        Check(
            "depends on parameters",
            "Spearman with an untrained network",
            float(np.nan_to_num(correlations).mean()),
            Limits.similarity,
        ),
        Check("faithful", "share of random maps as good", float(as_good.double().mean()), Limits.random),
    )
