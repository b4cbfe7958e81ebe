"""Folded stages give what the stages give, for values and for gradients, and leave them alone."""

import pytest
import torch
import torchvision
from torch import nn

from als_core.models.folding import ChannelAffine, folded
from als_core.studies.xia2024.build import build_tissue_network


def with_statistics(network):
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(0, 0.2, generator=generator)
    return network.double().eval()


TISSUE = ("basic_cnn", "resnet18_se", "resnet18_cbam", "miniset_densesenet")
NETWORKS = {name: lambda name=name: build_tissue_network(name, side=64, seed=0).stages for name in TISSUE} | {
    name: lambda name=name: nn.Sequential(
        *list(torchvision.models.get_model(name, weights=None).children())[:-1], nn.Flatten()
    )
    for name in ("resnet50", "mobilenet_v3_small")
}


@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_those_of_the_stages(name):
    plain = with_statistics(NETWORKS[name]())
    before = {key: value.clone() for key, value in plain.state_dict().items()}
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    copy = folded(plain)
    answers, gradients = [], []
    for network in (plain, copy):
        given = images.clone().requires_grad_()
        answers.append(network(given))
        gradients.append(torch.autograd.grad(answers[-1].square().sum(), given)[0])
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-11)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in copy.modules())
    assert not any(each.requires_grad for each in copy.parameters())
    assert all(torch.equal(value, before[key]) for key, value in plain.state_dict().items())


def test_only_what_a_convolution_alone_feeds_is_folded_into_it():
    """A batch norm before its convolution, as in DenseNet, stays a step of its own; a padded pool stays behind."""
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.AvgPool2d(2, padding=1))
    kinds = [type(layer) for layer in folded(with_statistics(layers))]
    assert kinds == [ChannelAffine, nn.Conv2d, nn.AvgPool2d]
    swapped = folded(nn.Sequential(nn.Conv2d(3, 4, 1), nn.AvgPool2d(2)))
    assert [type(layer) for layer in swapped] == [nn.AvgPool2d, nn.Conv2d]


@pytest.mark.parametrize(
    ("gammas", "shifts_only"), [((0.5, 2, 1e-3), True), ((0.5, -2, 1), False), ((0, 1, 2), False)]
)
def test_a_scale_goes_through_a_relu_into_the_convolution_behind_it(gammas, shifts_only):
    """Negative scales and none at all keep their place; the padding of the convolution does not see the scale."""
    plain = with_statistics(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1)))
    plain[0].weight.data = torch.tensor(gammas, dtype=torch.float64)
    copy = folded(plain)
    assert copy[0].shifts_only == shifts_only
    maps = [
        torch.randn(2, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        for _ in range(2)
    ]
    answers = [network(given.requires_grad_()) for network, given in zip((plain, copy), maps, strict=True)]
    torch.testing.assert_close(*answers, rtol=1e-12, atol=1e-13)
    gradients = [torch.autograd.grad(a.pow(2).sum(), m)[0] for a, m in zip(answers, maps, strict=True)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-13)
    depthwise = folded(
        with_statistics(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, groups=3)))
    )
    assert not depthwise[0].shifts_only
