"""Every network of the book can be explained by the methods that look inside it."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from als_core.explain.gradients import guided_backpropagation, sensitivity
from als_core.explain.lrp import propagate
from als_core.explain.lrp_rules import Composite, Epsilon
from als_core.models.attention import ChannelGate, SpatialGate, SqueezeExcitation
from als_core.studies.brains.networks import panagiotaras_network
from als_core.studies.miao2023.networks import CROP_NETWORKS, build_crop_network
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.recipes import OF_PAPER

NETWORKS = {
    **{name: lambda n=name: build_tissue_network(n, side=64, seed=0) for name in OF_PAPER},
    **{name: lambda n=name: build_crop_network(n, side=64, seed=0) for name in CROP_NETWORKS},
    "panagiotaras": lambda: panagiotaras_network((38, 40, 39), "small", seed=0),
}


@pytest.fixture(params=NETWORKS, scope="module")
def network(request):
    model = NETWORKS[request.param]().eval()
    shape = (1, 38, 40, 39) if request.param == "panagiotaras" else (3, 64, 64)
    return model, torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))


def test_guided_backpropagation_differs_from_the_gradient(network):
    model, images = network
    guided = guided_backpropagation(model, images, 1)
    plain = sensitivity(model, images, 1, signed=True)
    assert guided.shape == images[:, 0].shape
    assert (guided - plain).abs().max() > 0.01 * plain.abs().max() > 0


@pytest.mark.parametrize("rules", ["z+", "alpha2beta1"])
def test_lrp_explains_the_score_that_the_network_gives(network, rules):
    model, images = network
    result = propagate(model, images, 1, rules=rules)
    with torch.no_grad():
        torch.testing.assert_close(result.score, model(images)[:, 1], rtol=1e-3, atol=1e-5)
    assert result.heatmap.shape == images[:, 0].shape and result.heatmap.abs().max() > 0


def test_lrp_is_gradient_times_input_with_gates_held(network):
    """An exact statement about every network with ReLUs only, attention included."""
    model, images = deepcopy(network[0]).double(), network[1][:1].double()
    if any(isinstance(module, nn.Hardswish) for module in model.modules()):
        pytest.skip("MobileNetV3 has activations other than ReLU")
    relevance = propagate(model, images, 0, rules=Composite(Epsilon(1e-12), Epsilon(1e-12))).heatmap
    for module in model.modules():
        if isinstance(module, SqueezeExcitation | ChannelGate | SpatialGate):
            gate = getattr(module, "gate", module)
            gate.register_forward_hook(lambda module, inputs, output: output.detach())
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)
    expected = (gradient * images).sum(1)
    assert (relevance - expected).abs().max() < 1e-4 * expected.abs().max()
