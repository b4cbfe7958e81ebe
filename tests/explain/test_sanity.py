"""The judge can say yes, and it can say no."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from scipy.stats import spearmanr
from torch import nn

from als_core.explain.methods import METHODS
from als_core.explain.overlap import voxel_auc
from als_core.explain.sanity import (
    Check,
    cascade,
    judge,
    rank_correlation,
    untrained,
)


def dice_rolls(seed=0):
    return torch.Generator().manual_seed(seed)


def edges(model, images, target):
    """A broken method: an edge detector, which never asks the model."""
    gradients = torch.gradient(images[:, 0], dim=tuple(range(1, images.ndim - 1)))
    return sum(gradient.abs() for gradient in gradients)


def fixed_noise(model, images, target):
    """A broken method: the same random map for every model."""
    return torch.rand(images[:, 0].shape, generator=dice_rolls(7), dtype=images.dtype)


class FreshNoise:
    """A broken method: another random map at every call."""

    def __init__(self):
        self.generator = dice_rolls(7)

    def __call__(self, model, images, target):
        return torch.rand(images[:, 0].shape, generator=self.generator, dtype=images.dtype)


def nothing(model, images, target):
    return torch.zeros_like(images[:, 0])


def verdict(explainer, plant):
    call = (plant.model.float(), plant.images.float(), plant.targets)
    checks = judge(explainer, *call, generator=dice_rolls(), steps=5)
    return {check.name: check for check in checks}


def test_methods_that_pass_also_find_the_planted_patch(plant):
    passed = 0
    for name, method in METHODS.items():
        checks = verdict(method.importance(**plant.settings), plant)
        if not all(check.passed for check in checks.values()):
            continue
        passed += 1
        if name != "area_occlusion":
            explain = method.importance(**plant.settings)
            heatmaps = explain(plant.model, plant.images.float(), plant.targets).numpy()
            assert min(map(voxel_auc, heatmaps, plant.truths)) > 0.95
    assert passed >= len(METHODS) - 1  # areas can be too coarse to beat random maps


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (edges, "depends on parameters"),
        (fixed_noise, "depends on parameters"),
        (FreshNoise(), "repeatable"),
        (nothing, "speaks"),
    ],
    ids=["edges", "fixed-noise", "fresh-noise", "nothing"],
)
def test_broken_methods_fail_for_their_own_reason(broken, reason, plant):
    checks = verdict(broken, plant)
    assert not checks[reason].passed


def test_a_limit_is_met_from_below_and_never_by_nan():
    assert Check("a", "b", 0.5, 0.5).passed
    assert not Check("a", "b", 0.51, 0.5).passed and not Check("a", "b", float("nan"), 0.5).passed


@pytest.mark.parametrize("shape", [(3, 9, 8), (2, 9, 8, 7)])
def test_rank_correlation_equals_scipy_s(shape):
    rng = np.random.default_rng(0)
    first = torch.tensor(rng.integers(0, 5, shape) + 0.5)
    second = torch.tensor(rng.random(shape)) + 0.5 * first
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlation(first, second), expected)
    constant = rank_correlation(first, torch.ones_like(first))
    assert np.isnan(constant).all()


def test_the_cascade_goes_from_the_last_module_to_the_first(small_network, some_images):
    model, images = small_network(2), some_images(2, count=8)
    before = deepcopy(model.state_dict())
    changed_so_far = []
    for name, copy in cascade(model, images, dice_rolls()):
        now = copy.state_dict()
        changed = {key.rpartition(".")[0] for key in now if not torch.equal(now[key], before[key])}
        changed_so_far.append(name)
        assert changed == set(changed_so_far)
        assert not any(module.training for module in copy.modules())
    names = [name for name, module in model.named_modules() if [*module.parameters(recurse=False)]]
    assert changed_so_far == names[::-1]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_an_untrained_network_keeps_the_scale_and_passes_a_signal(small_network, some_images):
    model, images = small_network(3), some_images(3, count=8)
    noise = untrained(model, images, dice_rolls())
    for (name, trained), random in zip(model.named_parameters(), noise.parameters(), strict=True):
        if "norm" not in name and trained.numel() > 50:
            assert random.std().item() == pytest.approx(trained.square().mean().sqrt().item(), rel=0.3)
    normalised = noise[0][0].norm(noise[0][0].conv(images))
    torch.testing.assert_close(normalised.mean((0, 2, 3, 4)), torch.zeros(4).double(), atol=1e-6, rtol=0)
    again = untrained(model, images, dice_rolls())
    for first, second in zip(noise.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(first, second)


def test_an_empty_background_does_not_count_as_likeness():
    rng = np.random.default_rng(0)
    brain = np.zeros((20, 20), dtype=bool)
    brain[6:14, 6:14] = True
    first, second = (torch.tensor(rng.random((2, 20, 20)) * brain) for _ in range(2))
    assert rank_correlation(first, second).min() > 0.7
    assert np.abs(rank_correlation(first, second, brain)).max() < 0.3
    expected = [spearmanr(a[brain], b[brain]).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlation(first, second, brain), expected)


def test_only_voxels_within_are_judged(plant):
    """Noise around a good map spoils it, unless the noise lies where nobody looks."""
    margin = ~binary_dilation(plant.truths.any(axis=0))
    good = METHODS["lrp_zplus"].importance()

    def spoiled(model, images, target):
        return good(model, images, target).masked_fill(torch.tensor(margin), 1e6)

    call = (plant.model.float(), plant.images.float(), plant.targets)
    everywhere, inside = (
        {
            check.name: check.value
            for check in judge(spoiled, *call, generator=dice_rolls(), steps=5, within=mask)
        }
        for mask in (None, ~margin)
    )
    assert inside["depends on parameters"] < everywhere["depends on parameters"] - 0.1
    assert inside["faithful"] < 0.1 < everywhere["faithful"]


def test_a_bare_module_without_parameters_can_be_judged():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    images = torch.rand(2, 1, 2, 2, generator=dice_rolls())
    checks = judge(
        METHODS["sensitivity"].importance(), model, images, 0, generator=dice_rolls(), steps=2, nulls=3
    )
    assert [check.name for check in checks] == ["repeatable", "speaks", "depends on parameters", "faithful"]
