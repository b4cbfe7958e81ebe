"""A dense block in one buffer is the folded block: values, gradients, either precision, with and without gradients."""

from copy import deepcopy

import pytest
import torch
from batch_norms import filled
from torch import nn
from torchvision.models.densenet import _DenseBlock

from als_core.models import dense_blocks
from als_core.models.dense_blocks import FrozenDenseBlock, in_one_buffer
from als_core.models.folding import folded
from als_core.models.stages import seeded


def a_block(negative: bool) -> nn.Module:
    """Four layers of growth 3 on 5 channels; scales of either sign and none at all where `negative`."""
    with seeded(0):
        return filled(_DenseBlock(4, 5, bn_size=2, growth_rate=3, drop_rate=0.0), negative)


def maps_of(dtype):
    maps = torch.randn(3, 5, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(dtype)
    return maps.contiguous(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize("negative", [False, True])
def test_values_and_gradients_are_those_of_the_block(negative):
    plain = a_block(negative).double()
    ours = in_one_buffer(nn.Sequential(folded(plain)))
    assert type(ours[0]) is FrozenDenseBlock
    assert [layer.shifts_only for layer in ours[0].layers] == [not negative] * 4
    # the form for compiling, without a compiler
    traced = torch.compile(ours, backend="aot_eager", fullgraph=True)
    found = []
    for network in (plain, traced, ours):
        given = maps_of(torch.float64)
        answer = network(given)
        found.append((answer, *torch.autograd.grad(answer.pow(3).sum(), given)))
    for own, *others in zip(*found, strict=True):
        for got in others:
            torch.testing.assert_close(got, own, rtol=1e-11, atol=1e-12)
    assert answer.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(ours(maps_of(torch.float64).detach()), found[0][0].detach())


@pytest.mark.parametrize(("reduced", "bound"), [(torch.float32, 1e-6), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("many", [1, 10**9])
def test_in_less_than_double_it_is_as_near_to_the_truth_as_the_block(reduced, bound, many, monkeypatch):
    monkeypatch.setattr(dense_blocks, "MANY_PLACES", many)
    exact, errors = None, []
    for dtype, change in ((torch.float64, False), (reduced, False), (reduced, True)):
        network = folded(a_block(False)).to(dtype)
        given = maps_of(dtype)
        answer = (in_one_buffer(network) if change else network)(given)
        (gradient,) = torch.autograd.grad(answer.double().pow(2).sum(), given)
        both = torch.cat([answer.double().flatten(), gradient.double().flatten()])
        exact = both if exact is None else exact
        errors.append((both - exact).norm() / exact.norm())
    assert 0 < errors[2] < 1.5 * errors[1] < bound


def test_a_block_that_trains_or_is_not_folded_stays():
    block = a_block(False)
    assert in_one_buffer(block) is block
    half = deepcopy(folded(block))
    half.denselayer2.norm2 = nn.BatchNorm2d(6)
    assert in_one_buffer(half) is half
