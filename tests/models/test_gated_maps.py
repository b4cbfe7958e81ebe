"""CBAM's gate in slabs is CBAM's gate: values and all gradients, with ties, in one slab or many, in either precision."""

import pytest
import torch

from als_core.models import gated_maps
from als_core.models.attention import CBAM
from als_core.models.gated_maps import gated
from als_core.models.stages import seeded


def given(dtype, high=3):
    """Maps with many equal maxima, weights of their channels, a kernel; all want a gradient."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, high, (3, 5, 6, 4), generator=generator).to(dtype)
    weights = torch.rand(3, 5, dtype=torch.float64, generator=generator)
    kernel = torch.randn(1, 2, 7, 7, dtype=torch.float64, generator=generator)
    wide = torch.promote_types(dtype, torch.float32)
    maps = maps.contiguous(memory_format=torch.channels_last)
    return [each.requires_grad_() for each in (maps, weights.to(wide), kernel.to(wide))]


def answers(function, *tensors, wanted=slice(None)):
    answer = function(*tensors)
    return answer, *torch.autograd.grad(answer.double().pow(3).sum(), tensors[wanted])


def plain(maps, weights, kernel):
    """CBAM's own spatial gate of weighted maps (Woo et al. 2018, equation 3)."""
    with seeded(0):
        gate = CBAM(16).to(kernel.dtype).spatial
    maps = maps * weights[:, :, None, None]
    return maps * torch.func.functional_call(gate, {"convolution.weight": kernel}, maps)


@pytest.mark.parametrize("slab", [1, 5 * 8 * 7, 2**19])
def test_values_and_gradients_are_those_of_cbam(slab, monkeypatch):
    """A place at a time, seven places of 24, and all at once."""
    monkeypatch.setattr(gated_maps, "SLAB", slab)
    tensors = given(torch.float64)
    compiled = torch.compile(gated, backend="aot_eager", fullgraph=True)
    wanted, *others = (answers(function, *tensors) for function in (plain, gated, compiled))
    for found in others:
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
    assert others[0][0].is_contiguous(memory_format=torch.channels_last)
    assert others[0][1].is_contiguous(memory_format=torch.channels_last)


def test_maps_that_want_no_gradient_get_none_and_the_others_theirs():
    tensors = given(torch.float64)
    all_of_them = answers(gated, *tensors)
    tensors[0].requires_grad_(False)
    torch.testing.assert_close(
        answers(gated, *tensors, wanted=slice(1, None)), all_of_them[:1] + all_of_them[2:]
    )


def test_in_bf16_it_is_as_near_to_the_truth_as_cbam():
    exact, errors = None, []
    for dtype, function in ((torch.float64, plain), (torch.bfloat16, plain_in_bf16), (torch.bfloat16, gated)):
        generator = torch.Generator().manual_seed(1)
        maps = torch.randn(3, 5, 6, 4, generator=generator).to(torch.bfloat16).to(dtype)
        wide = torch.promote_types(dtype, torch.float32)
        weights, kernel = (torch.rand(each, generator=generator).to(wide) for each in ((3, 5), (1, 2, 7, 7)))
        maps = maps.contiguous(memory_format=torch.channels_last)
        found = answers(function, *(each.requires_grad_() for each in (maps, weights, kernel / 10)))
        exact = found if exact is None else exact
        errors.append([(got.double() - it).norm() / it.norm() for got, it in zip(found, exact, strict=True)])
    assert [each.dtype for each in found] == [torch.bfloat16] * 2 + [torch.float32] * 2
    for ours, cbams in zip(errors[2], errors[1], strict=True):
        assert 0 < ours < 1.5 * cbams < 0.1


def plain_in_bf16(maps, weights, kernel):
    return plain(maps, weights.to(maps.dtype), kernel.to(maps.dtype))
