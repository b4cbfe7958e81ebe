"""Hooks and interceptions: what they see, and that they end."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from als_core.explain.interception import (
    GuidedReLUs,
    captured_output,
    count_hooks,
    refuse_opaque,
    works_in_place,
)
from als_core.refusal import RefusedInput


def test_captured_output_removes_its_hook_also_after_an_exception():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with captured_output(model[0]) as outputs:
        assert count_hooks(model) == 1
        model(torch.ones(1, 2))
    assert count_hooks(model) == 0 and len(outputs) == 1
    with pytest.raises(OSError), captured_output(model[0]):
        raise OSError
    assert count_hooks(model) == 0


def test_every_spelling_of_relu_is_counted_however_nested():
    class Deep(nn.Module):
        def forward(self, x):
            x = F.relu(F.relu(x), inplace=True)
            x = torch.relu(x).relu()
            torch.relu_(x)
            F.relu_(x)
            return x.relu_()

    model = nn.Sequential(nn.ModuleList([nn.Sequential(nn.ReLU(inplace=True), nn.ReLU())])[0], Deep())
    with GuidedReLUs() as relus:
        model(torch.ones(2, 2))
    assert relus.count == 2 + 7
    model(torch.ones(2, 2))
    assert relus.count == 9


def test_an_in_place_relu_changes_the_tensor_that_others_hold():
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    with GuidedReLUs():
        held = x * 1
        F.relu(held, inplace=True)
    assert held.tolist() == [0.0, 2.0]
    (gradient,) = torch.autograd.grad(held, x, torch.tensor([1.0, -1.0]))
    assert gradient.tolist() == [0.0, 0.0]  # first by its input, second by its gradient


def test_scripted_modules_are_refused_by_name():
    model = nn.Sequential(nn.ReLU(), torch.jit.trace(nn.ReLU(), torch.ones(1)))
    with pytest.raises(RefusedInput, match="module '1'"):
        refuse_opaque(model, "guided backpropagation")
    refuse_opaque(model[:1], "guided backpropagation")


def test_in_place_is_told_by_name_or_setting():
    assert works_in_place(torch.Tensor.add_, {}) and works_in_place(F.relu, {"inplace": True})
    assert not works_in_place(torch.Tensor.__getitem__, {}) and not works_in_place(F.relu, {"inplace": False})
