"""Sensitivity, guided backpropagation and integrated gradients against Captum and by hand."""

from __future__ import annotations

import pytest
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, Saliency
from torch import nn

from als_core.explain.contract import blank
from als_core.explain.gradients import (
    guided_backpropagation,
    guided_gradient,
    integrated_gradients,
    sensitivity,
)
from als_core.refusal import RefusedInput

both = pytest.mark.parametrize("axes", [2, 3])


@both
def test_sensitivity_is_captums_on_a_nested_model(axes, small_network, some_images):
    model, images = small_network(axes), some_images(axes)
    targets = torch.tensor([0, 2])
    for signed in (False, True):
        expected = Saliency(model).attribute(images.clone(), targets, abs=not signed)[:, 0]
        torch.testing.assert_close(sensitivity(model, images, targets, signed=signed), expected)


@both
def test_guided_backpropagation_is_captums_on_a_nested_model(axes, small_network, some_images):
    images, targets = some_images(axes), torch.tensor([0, 2])
    with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
        expected = GuidedBackprop(small_network(axes)).attribute(images.clone(), targets)
    plain = sensitivity(small_network(axes), images, targets, signed=True)
    for inplace in (False, True):
        model = small_network(axes, inplace=inplace)
        torch.testing.assert_close(guided_gradient(model, images, targets), expected)
        assert not torch.allclose(guided_backpropagation(model, images, targets), plain)


def test_channels_are_summed_or_the_strongest_taken():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4, 1, bias=False), nn.ReLU()).eval()
    model[1].weight.data = torch.tensor([[4.0, 0, 0, 0, -3.0, 0, 2.0, 0]])  # two channels of 2 x 2
    images = torch.full((1, 2, 2, 2), 2.0)
    assert sensitivity(model, images, 0).tolist() == [[[4.0, 0], [2.0, 0]]]
    assert sensitivity(model, images, 0, signed=True).tolist() == [[[1.0, 0], [2.0, 0]]]
    assert guided_backpropagation(model, images, 0, signed=False).tolist() == [[[4.0, 0], [2.0, 0]]]


def test_guided_backpropagation_refuses_a_model_without_relu():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Tanh()).eval()
    with pytest.raises(RefusedInput, match="no ReLU"):
        guided_backpropagation(model, torch.ones(1, 1, 2, 2), 0)


def test_a_score_without_gradient_is_refused():
    class Frozen(nn.Sequential):
        def forward(self, x):
            with torch.no_grad():
                return super().forward(x)

    with pytest.raises(RefusedInput, match="without gradient"):
        sensitivity(Frozen(nn.Flatten(), nn.Linear(4, 2)).eval(), torch.ones(1, 1, 2, 2), 0)


@both
def test_integrated_gradients_are_complete_and_captums(axes, small_network, some_images):
    model, images = small_network(axes), some_images(axes)
    targets = torch.tensor([0, 2])
    baseline = torch.full((1, *images.shape[2:]), 0.1, dtype=images.dtype)
    heatmap = integrated_gradients(model, images, targets, baseline=baseline, steps=128)
    with torch.no_grad():
        differences = model(images) - model(baseline.expand_as(images))
    difference = differences.gather(1, targets[:, None])[:, 0]
    off = heatmap.flatten(1).sum(1) - difference
    assert (off.abs() / difference.abs().clamp(min=1e-2)).max() < 0.01
    captum = IntegratedGradients(model).attribute(images, 0.1, target=targets, n_steps=128)
    torch.testing.assert_close(heatmap, captum[:, 0])
    in_parts = integrated_gradients(model, images, targets, baseline=baseline, steps=128, batch=7)
    torch.testing.assert_close(in_parts, heatmap)


def test_integrated_gradients_of_a_linear_model_are_weight_times_difference():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2).double()).eval()
    images = torch.arange(4.0, dtype=torch.float64).view(1, 1, 2, 2)
    heatmap = integrated_gradients(model, images, 1, baseline=1.0, steps=2)
    expected = (model[1].weight[1] * (images.flatten() - 1)).view(1, 2, 2)
    torch.testing.assert_close(heatmap, expected.detach())
    with pytest.raises(RefusedInput, match="steps"):
        integrated_gradients(model, images, 1, steps=0)


def test_a_map_of_zeros_alone_is_blank():
    assert blank(torch.tensor([[[0.3, 0.2]], [[0.0, 0.0]]])).tolist() == [False, True]
