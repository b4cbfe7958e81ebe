"""A transition in slabs is the folded transition, alone and behind a gate: values and all gradients, either precision."""

import pytest
import torch
from batch_norms import filled
from torch import nn
from torchvision.models.densenet import _Transition

from als_core.models import transitions
from als_core.models.attention import SqueezeExcitation
from als_core.models.folding import folded
from als_core.models.stages import seeded
from als_core.models.transitions import FrozenTransition, GatedTransition, channel_means, in_slabs


def a_transition(negative: bool = False) -> nn.Module:
    """16 channels to 6, with scales of either sign and none at all where `negative`."""
    with seeded(0):
        return filled(_Transition(16, 6), negative)


def a_gate() -> SqueezeExcitation:
    with seeded(1):
        return SqueezeExcitation(16, reduction=4)


def maps_of(dtype, height: int, width: int):
    shape, generator = (5, 16, height, width), torch.Generator().manual_seed(1)
    maps = torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)
    return maps.contiguous(memory_format=torch.channels_last).requires_grad_()


def answer_and_gradients(network, maps, *parameters):
    answer = network(maps)
    return answer, *torch.autograd.grad(answer.double().pow(3).sum(), (maps, *parameters))


ROW = 16 * 9 * 8  # bytes of a row of maps 9 wide, in double precision


# two images at once, one image, four rows (the last slab has two), two rows: never less
@pytest.mark.parametrize("slab", [2 * 7 * ROW, 7 * ROW, 4 * ROW, 1])
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_values_and_gradients_are_those_of_the_layers(monkeypatch, slab, negative, gated):
    monkeypatch.setattr(transitions, "SLAB", slab)
    plain, gate = a_transition(negative).double(), a_gate().double()
    ours = in_slabs(nn.Sequential(folded(plain)))[0]
    assert type(ours) is FrozenTransition
    if gated:
        plain, ours = nn.Sequential(gate, plain), GatedTransition(gate, ours)
    parameters = tuple(gate.parameters()) if gated else ()
    found = [answer_and_gradients(each, maps_of(torch.float64, 7, 9), *parameters) for each in (plain, ours)]
    for own, got in zip(*found, strict=True):
        torch.testing.assert_close(got, own, rtol=1e-11, atol=1e-12)
    assert found[1][0].is_contiguous(memory_format=torch.channels_last)
    assert found[1][0].shape == (5, 6, 3, 4)
    with torch.inference_mode():
        torch.testing.assert_close(ours(maps_of(torch.float64, 7, 9).detach()), found[0][0].detach())


def test_maps_that_need_no_gradient_get_none_and_the_gate_its_own():
    gate, ours = a_gate().double(), FrozenTransition(folded(a_transition()).double())
    ours = GatedTransition(gate, ours)
    with_it = answer_and_gradients(ours, maps_of(torch.float64, 6, 4), *gate.parameters())
    answer = ours(maps_of(torch.float64, 6, 4).detach())
    without = torch.autograd.grad(answer.pow(3).sum(), tuple(gate.parameters()))
    for own, got in zip(with_it[2:], without, strict=True):
        torch.testing.assert_close(got, own)


def test_in_bf16_it_is_as_near_to_the_truth_as_the_layers():
    exact, errors = None, []
    for dtype, change in ((torch.float64, False), (torch.bfloat16, False), (torch.bfloat16, True)):
        network = folded(a_transition()).to(dtype)
        found = answer_and_gradients(in_slabs(network) if change else network, maps_of(dtype, 8, 8))
        both = torch.cat([each.double().flatten() for each in found])
        exact = both if exact is None else exact
        errors.append((both - exact).norm() / exact.norm())
    assert 0 < errors[2] < 1.5 * errors[1] < 0.1


def test_means_hand_on_the_gradient_of_the_maps():
    maps = maps_of(torch.float64, 3, 5)
    weights = torch.randn(5, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    same, means = channel_means(maps)
    torch.testing.assert_close(means, maps.mean((2, 3)))
    (got,) = torch.autograd.grad((same.pow(3).sum() + (means.pow(2) * weights).sum()), maps)
    (own,) = torch.autograd.grad((maps.pow(3).sum() + (maps.mean((2, 3)).pow(2) * weights).sum()), maps)
    torch.testing.assert_close(got, own)
    assert channel_means(maps.to(torch.bfloat16))[1].dtype == torch.float32


def test_no_image_at_all_gives_an_answer_without_images():
    ours = GatedTransition(a_gate().double(), FrozenTransition(folded(a_transition()).double()))
    assert ours(maps_of(torch.float64, 6, 4)[:0]).shape == (0, 6, 3, 2)


def test_a_transition_that_is_not_folded_stays():
    transition = a_transition()
    assert in_slabs(transition) is transition
