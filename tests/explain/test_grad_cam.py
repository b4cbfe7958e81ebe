"""Grad-CAM and guided Grad-CAM against Captum, and what they do with nothing to show."""

from __future__ import annotations

import pytest
import torch
import torchvision
from captum.attr import GuidedGradCam, LayerAttribution, LayerGradCam
from torch import nn

from als_core.explain.contract import blank
from als_core.explain.grad_cam import grad_cam, grad_cams, guided_grad_cam, layer_map
from als_core.refusal import RefusedInput


@pytest.fixture(scope="module")
def resnet():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.resnet18(num_classes=3).eval()


def test_equals_captum_on_a_torchvision_model(resnet):
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 2])
    for layer in ("layer4", "layer2.1.conv1"):
        module = resnet.get_submodule(layer)
        expected = LayerGradCam(resnet, module).attribute(images, targets)[:, 0]
        scale = expected.abs().max()
        assert (layer_map(resnet, images, targets, layer) - expected).abs().max() < 1e-5 * scale
        assert torch.equal(
            grad_cam(resnet, images, targets, layer=module), grad_cam(resnet, images, targets, layer=layer)
        )
        positive = LayerAttribution.interpolate(expected.clamp(min=0)[:, None], (64, 64), "bilinear")[:, 0]
        heatmap = grad_cam(resnet, images, targets, layer=layer)
        assert (heatmap - positive).abs().max() < 1e-5 * scale and heatmap.min() >= 0


def test_several_layers_cost_one_pass_and_give_what_each_gives_alone(resnet):
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    layers, passes = ["layer2.1.conv1", "layer3", "layer4"], []
    hook = resnet.register_forward_hook(lambda *_: passes.append(1))
    together = grad_cams(resnet, images, 1, layers=layers)
    hook.remove()
    assert len(passes) == 1
    for layer, heatmap in zip(layers, together, strict=True):
        torch.testing.assert_close(heatmap, grad_cam(resnet, images, 1, layer=layer))


@pytest.mark.parametrize("axes", [2, 3])
def test_guided_grad_cam_equals_captum(axes, small_network, some_images):
    model, images = small_network(axes), some_images(axes)
    mode = {2: "bilinear", 3: "trilinear"}[axes]
    for layer in ("1.0.0.norm", "0.0.relu"):
        with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
            expected = GuidedGradCam(model, model.get_submodule(layer)).attribute(
                images.clone(), 1, interpolate_mode=mode
            )
        torch.testing.assert_close(guided_grad_cam(model, images, 1, layer=layer), expected[:, 0].detach())


def test_a_map_without_evidence_is_returned_as_zero(small_network, some_images):
    model, images = small_network(2), some_images(2)
    model[3].weight.data.clamp_(max=0)  # every feature now lowers the hidden units
    model[3].bias.data.fill_(100)
    model[5].weight.data.abs_()
    for method in (grad_cam, guided_grad_cam):
        heatmap = method(model, images, 0, layer="1.0.0.relu")
        assert heatmap.shape == images[:, 0].shape and blank(heatmap).all()


def test_unusable_layers_are_refused(small_network, some_images):
    model, images = small_network(2), some_images(2)
    for layer, words in (
        ("3", "convolutional layer"),
        ("nowhere", "'nowhere'"),
        (nn.ReLU(), "another model"),
    ):
        for method in (grad_cam, guided_grad_cam):
            with pytest.raises(RefusedInput, match=words):
                method(model, images, 0, layer=layer)


def test_an_empty_or_repeated_layer_is_refused():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.crop, self.relu, self.unused = nn.Identity(), nn.ReLU(), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            nothing = self.crop(x[:, :, :0])
            return self.relu(self.relu(x)).mean((2, 3)) + nothing.sum((2, 3))

    images = torch.ones(1, 1, 4, 4)
    for layer, words in (("crop", "empty"), ("relu", "2 outputs"), ("unused", "0 outputs")):
        with pytest.raises(RefusedInput, match=words):
            guided_grad_cam(Odd().eval(), images, 0, layer=layer)
