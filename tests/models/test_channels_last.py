"""Layers for maps channels last against PyTorch's own: the same numbers, and batch norm as exact as in the other layout."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from als_core.models.channels_last import (
    ROWS,
    SMALL_SIDE,
    WIDE,
    ChannelsLastBatchNorm,
    PooledBatchNorm,
    WideConvolution,
    in_channels_last,
)


def maps_of(*shape, dtype=torch.float64, mean=0.0):
    maps = mean + torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return maps.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [3, 60])
def test_it_is_batch_norm_in_both_modes(side):
    """Values, three gradients and statistics, with fewer and with more values than are added up one by one."""
    maps = maps_of(5, 4, side, side)
    assert (maps[:, 0].numel() > ROWS) == (side == 60)
    own = nn.BatchNorm2d(4).double()
    own.weight.data.uniform_(0.5, 2), own.bias.data.normal_()
    like = deepcopy(own)
    ours = ChannelsLastBatchNorm(like)
    assert ours.weight is like.weight and ours.running_mean is like.running_mean
    for training in (True, True, False):
        found = []
        for layer in (own.train(training), ours.train(training)):
            given = maps.clone(memory_format=torch.preserve_format).requires_grad_()
            answer = layer(given)
            found.append(
                [answer, *torch.autograd.grad(answer.pow(3).sum(), [given, layer.weight, layer.bias])]
            )
        for ours_found, own_found in zip(*reversed(found), strict=True):
            torch.testing.assert_close(ours_found, own_found, rtol=1e-11, atol=1e-11)
    for name, value in own.state_dict().items():
        torch.testing.assert_close(like.state_dict()[name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weights", ["all positive", "of either sign"])
@pytest.mark.parametrize("side", [2, 7, 60])
def test_pooled_it_is_batch_norm_and_then_the_pool(side, weights):
    """Values, three gradients and statistics in both modes; equal maxima, odd sides, and the first of equals wins."""
    maps = maps_of(5, 4, side, side).mul(2).round()
    norm, pool = nn.BatchNorm2d(4).double(), nn.MaxPool2d(2)
    norm.weight.data = torch.tensor([0.5, 1.0, 2.0, 1.5]).double()
    if weights == "of either sign":
        norm.weight.data[1:3] = torch.tensor([-1.0, 0.0])
    norm.bias.data.normal_()
    own, ours = nn.Sequential(deepcopy(norm), pool), in_channels_last(nn.Sequential(norm, pool))
    assert type(ours[0]) is PooledBatchNorm and ours[0].weight is norm.weight
    for training in (True, True, False):
        found = []
        for layers in (own.train(training), ours.train(training)):
            given = maps.clone(memory_format=torch.preserve_format).requires_grad_()
            answer = layers(given)
            found.append([answer, *torch.autograd.grad(answer.pow(3).sum(), [given, *layers.parameters()])])
        for own_found, ours_found in zip(*found, strict=True):
            torch.testing.assert_close(ours_found, own_found, rtol=1e-11, atol=1e-11)
        assert ours_found.is_contiguous(memory_format=torch.channels_last) or ours_found.ndim == 1
    for name, value in own[0].state_dict().items():
        torch.testing.assert_close(norm.state_dict()[name], value, rtol=1e-12, atol=1e-12)


def test_pooled_in_bf16_it_is_as_near_to_the_truth_as_pytorchs_own():
    maps = maps_of(8, 3, 32, 32, mean=1.0)
    exact, errors = None, []
    for dtype, change in ((torch.float64, False), (torch.bfloat16, False), (torch.bfloat16, True)):
        layers = nn.Sequential(nn.BatchNorm2d(3, momentum=1.0), nn.MaxPool2d(2))
        layers = (layers.double() if dtype == torch.float64 else layers).train()
        ours = in_channels_last(layers) if change else layers
        given = maps.to(dtype).requires_grad_()
        (gradient,) = torch.autograd.grad(ours(given).double().pow(3).sum(), given)
        if exact is None:
            exact = gradient
        else:
            assert gradient.dtype == torch.bfloat16
            errors.append((gradient.double() - exact).norm() / exact.norm())
    assert errors[1] < 1.5 * errors[0] < 0.1


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(3), nn.MaxPool2d(2, stride=1), nn.MaxPool2d(2, padding=1), nn.AvgPool2d(2)], ids=str
)
def test_other_pools_are_left_alone(pool):
    kinds = [type(each) for each in in_channels_last(nn.Sequential(nn.BatchNorm2d(2), pool))]
    assert kinds == [ChannelsLastBatchNorm, type(pool)]


def test_sums_over_many_values_keep_the_precision_of_fp32():
    maps = maps_of(16, 2, 256, 256, dtype=torch.float32, mean=3.0)
    exact = nn.BatchNorm2d(2).double()(maps.double())
    errors = [
        (layer(maps) - exact).abs().max().item()
        for layer in (ChannelsLastBatchNorm(nn.BatchNorm2d(2)), nn.BatchNorm2d(2))
    ]
    assert errors[0] < 1e-5 < errors[1]


def test_statistics_of_reduced_maps_are_kept_in_fp32():
    maps = maps_of(8, 2, 64, 64, dtype=torch.float32, mean=1.0)
    layer = nn.BatchNorm2d(2, momentum=1.0)
    answer = ChannelsLastBatchNorm(layer)(maps.bfloat16())
    assert answer.dtype == torch.bfloat16 and layer.running_mean.dtype == torch.float32
    torch.testing.assert_close(layer.running_mean, maps.bfloat16().float().mean((0, 2, 3)))


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(("side", "stride"), [(3, 1), (SMALL_SIDE, 1), (SMALL_SIDE + 1, 1), (5, 2), (14, 2)])
def test_a_wide_convolution_is_the_convolution(side, stride, live):
    """Values and gradients of maps and weights, in both layouts; what comes out lies channels last."""
    own = nn.Conv2d(8, WIDE, 3, stride, padding=1).double().requires_grad_(live)
    ours = in_channels_last(nn.Sequential(deepcopy(own))).to(memory_format=torch.channels_last)
    assert type(ours[0]) is WideConvolution
    wanted = list(own.parameters()) if live else []
    for _ in range(2):  # the second time with the weight that was rearranged
        maps = [maps_of(5, 8, side, side).requires_grad_() for _ in range(2)]
        answers = own(maps[0]), ours(maps[1])
        assert answers[1].is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(*answers, rtol=1e-12, atol=1e-12)
        found = [
            torch.autograd.grad(answer.pow(3).sum(), [given, *parameters])
            for answer, given, parameters in zip(
                answers, maps, (wanted, list(ours.parameters()) if live else []), strict=True
            )
        ]
        for expected, got in zip(*found, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)


def test_what_a_step_does_to_a_live_weight_a_wide_convolution_sees():
    own = nn.Conv2d(4, WIDE, 3, padding=1)
    ours = in_channels_last(nn.Sequential(own))
    maps = maps_of(2, 4, 4, 4, dtype=torch.float32)
    before = ours(maps)
    with torch.no_grad():
        own.weight.mul_(2), own.bias.mul_(2)
    torch.testing.assert_close(ours(maps), 2 * before)
