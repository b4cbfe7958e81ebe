"""One contract for every registered method, in 2-D and 3-D; a new method is covered by being registered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from als_core.explain.interception import count_hooks
from als_core.explain.methods import METHODS
from als_core.explain.overlap import mass_inside, pointing_game, voxel_auc
from als_core.refusal import RefusedInput

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@every_method
def test_shape_type_sign_and_repeatability(method, plant):
    heatmap = plant.call(method)
    assert heatmap.shape == plant.images[:, 0].shape
    assert heatmap.dtype == plant.images.dtype and heatmap.device == plant.images.device
    assert not heatmap.requires_grad
    assert heatmap.isfinite().all() and (heatmap != 0).flatten(1).any(1).all()
    assert torch.equal(heatmap, plant.call(method))
    if method.sign == "non-negative":
        assert heatmap.min() >= 0


@every_method
def test_finds_the_planted_patch(method, plant):
    if method.name == "area_occlusion":  # it can be no finer than its areas: the hottest hold the patch
        for heatmap, truth in zip(plant.call(method).numpy(), plant.truths, strict=True):
            touched = np.unique(plant.areas[truth])
            assert heatmap[truth].mean() > heatmap[~np.isin(plant.areas, touched)].max()
        return
    for heatmap, truth in zip(plant.call(method).abs().numpy(), plant.truths, strict=True):
        assert voxel_auc(heatmap, truth) > 0.95
        assert mass_inside(heatmap, truth) > 0.4 > 5 * truth.mean()
        assert pointing_game(heatmap, truth) == 1


@every_method
def test_each_image_is_explained_by_itself_and_for_its_own_target(method, plant):
    together = plant.call(method)
    explain = method.bound(**plant.settings)
    alone = explain(plant.model, plant.images[1:2], int(plant.targets[1]))
    torch.testing.assert_close(together[1:2], alone)
    other = explain(plant.model, plant.images[1:2], 1 - int(plant.targets[1]))
    if method.name != "sensitivity":  # the two scores are each other's negative, which it cannot tell
        assert not torch.allclose(together[1:2], other)


@every_method
def test_the_model_is_left_as_it_was(method, plant):
    parameters = {name: value.clone() for name, value in plant.model.state_dict().items()}
    plant.model.head.weight.requires_grad_(False)
    plant.model.head.weight.grad = torch.ones_like(plant.model.head.weight)
    hooks, images = count_hooks(plant.model), plant.images.clone()
    with torch.inference_mode():
        quiet = plant.call(method)
    torch.testing.assert_close(quiet.clone(), plant.call(method))
    assert count_hooks(plant.model) == hooks == 0
    assert all(torch.equal(parameters[name], value) for name, value in plant.model.state_dict().items())
    grads = {name: p.grad for name, p in plant.model.named_parameters()}
    assert torch.equal(grads.pop("head.weight"), torch.ones_like(plant.model.head.weight))
    assert all(grad is None for grad in grads.values())
    assert not plant.model.head.weight.requires_grad and plant.model.head.bias.requires_grad
    assert not plant.model.training and not plant.images.requires_grad and torch.equal(plant.images, images)


@every_method
def test_nothing_is_left_behind_by_an_exception(method, plant):
    class Failing(nn.Module):
        def forward(self, x):
            raise OSError("the disk is gone")

    plant.model.head = Failing().eval()
    with pytest.raises(OSError, match="the disk is gone"):
        plant.call(method)
    assert count_hooks(plant.model) == 0
    assert type(torch.relu(torch.ones(1, requires_grad=True)).grad_fn).__name__ == "ReluBackward0"


@every_method
def test_single_precision_agrees_with_double(method, plant):
    double = plant.call(method)
    single = method.bound(**plant.settings)(plant.model.float(), plant.images.float(), plant.targets)
    assert single.dtype == torch.float32
    assert (single.double() - double).abs().max() < 1e-3 * double.abs().max()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_method
def test_a_gpu_agrees_with_the_cpu(method, plant):
    here = plant.call(method)
    there = method.bound(**plant.settings)(plant.model.cuda(), plant.images.cuda(), plant.targets)
    assert there.is_cuda
    assert (there.cpu() - here).abs().max() < 1e-6 * here.abs().max()


@every_method
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: (p.model.train(), p.images, p.targets), "training mode"),
        (lambda p: (p.model, p.images[0, 0, 0], p.targets), r"\(N, C, H, W\) or \(N, C, D, H, W\)"),
        (lambda p: (p.model, p.images * float("nan"), p.targets), "NaN"),
        (lambda p: (p.model, (p.images > 0).byte(), p.targets), "floating point"),
        (lambda p: (p.model, p.images.float(), p.targets), "as the model"),
        (lambda p: (p.model, p.images, p.targets.double()), "whole numbers"),
        (lambda p: (p.model, p.images, p.targets[:2]), "one class, or"),
        (lambda p: (p.model, p.images, 2), "0 to 1"),
        (lambda p: (p.model, p.images, -1), "0 to 1"),
        (lambda p: (nn.Sequential(p.model, nn.Unflatten(1, (2, 1))).eval(), p.images, 0), "scores"),
    ],
    ids=[
        "mode",
        "shape",
        "nan",
        "integer",
        "dtype",
        "target-type",
        "target-count",
        "class",
        "negative",
        "output",
    ],
)
def test_bad_calls_are_refused(method, plant, change, words):
    settings = plant.settings | {"layer": "head"} if words == "scores" else plant.settings
    if words == "scores":
        settings = plant.settings | {"layer": "0.body.spread"}
    with pytest.raises(RefusedInput, match=words):
        method.bound(**settings)(*change(plant))


def test_all_problems_of_a_call_are_told_at_once(plant):
    with pytest.raises(RefusedInput, match="2 problems") as refusal:
        METHODS["sensitivity"].bound()(plant.model.train(), plant.images * float("nan"), 0)
    assert {problem.where for problem in refusal.value.problems} == {"model", "images"}


def test_the_registry_says_what_its_methods_are():
    assert len(METHODS) >= 9
    for name, method in METHODS.items():
        assert method.name == name and method.title and method.unit and method.reference
        assert set(method.needs) <= {"gradient", "relu", "rules", "layer", "patch", "stride", "areas"} | {
            "fill",
            "baseline",
            "steps",
        }
