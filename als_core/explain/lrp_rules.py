"""The rules of layer-wise relevance propagation, as data, and the arithmetic that applies one.

Bach et al. 2015 (doi 10.1371/journal.pone.0130140), equations 56 to 60; Montavon et al. 2019
(doi 10.1007/978-3-030-28954-6_10), section 10.2. With z_ij = x_i w_ij, z_j their sum plus the bias,
and (.)+ and (.)- the positive and the negative part:

    epsilon      R_i = sum_j  z_ij / (z_j + epsilon sign z_j)  R_j
    alpha-beta   R_i = sum_j (alpha z_ij+ / z_j+  -  beta z_ij- / z_j-) R_j,   alpha - beta = 1
    z+           alpha-beta with alpha 1, beta 0

The bias takes its share of R_j and keeps it: relevance that no input receives is absorbed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STABILISER = 1e-9  # keeps 0/0 at 0; too small to absorb anything a reader could see


@dataclass(frozen=True)
class Epsilon:
    """Shares in proportion to signed contributions; `epsilon`, in units of z, absorbs where z is small."""

    epsilon: float = 1e-6


@dataclass(frozen=True)
class AlphaBeta:
    """Shares positive and negative contributions apart, weighted alpha and -beta.

    Where a unit has no negative contribution at all, the positive ones share R_j once: alpha would
    otherwise create relevance from nothing.
    """

    alpha: float
    beta: float

    def __post_init__(self):
        if self.beta < 0 or abs(self.alpha - self.beta - 1) > 1e-9:
            raise ValueError(f"alpha - beta must be 1 and beta >= 0, not {self.alpha} and {self.beta}")


ZPLUS = AlphaBeta(alpha=1.0, beta=0.0)


@dataclass(frozen=True)
class Composite:
    """Which rule each kind of layer follows. Everything else is fixed, see `als_core.explain.lrp`."""

    convolution: Epsilon | AlphaBeta
    dense: Epsilon | AlphaBeta


COMPOSITES = {
    "epsilon": Composite(convolution=Epsilon(), dense=Epsilon()),
    "z+": Composite(convolution=ZPLUS, dense=Epsilon(STABILISER)),
    "alpha2beta1": Composite(convolution=AlphaBeta(2.0, 1.0), dense=Epsilon(STABILISER)),
}

Operation = Callable[..., Tensor]  # (input, weight, bias or None) -> output, linear in input and weight


def stabilised(values: Tensor, epsilon: float) -> Tensor:
    """values + epsilon times their sign, where the sign of zero is +1."""
    return values + torch.where(values < 0, -epsilon, epsilon)


def share_by(
    rule: Epsilon | AlphaBeta,
    operation: Operation,
    signal: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    relevance: Tensor,
) -> Tensor:
    """Relevance of the outputs of a linear layer, shared among its inputs by `rule`; shape of `signal`."""
    if isinstance(rule, Epsilon):
        return share(lambda x: operation(x, weight, bias), [signal], relevance, rule.epsilon)[0]
    positive, negative = signal.clamp(min=0), signal.clamp(max=0)
    above, below = weight.clamp(min=0), weight.clamp(max=0)
    parts = [(positive, above, below)]
    if (negative < 0).any():  # never behind a ReLU: half of the work saved
        parts.append((negative, below, above))
    bias_above, bias_below = (None, None) if bias is None else (bias.clamp(min=0), bias.clamp(max=0))

    def contributions(which: int, bias_part: Tensor | None) -> Callable[..., Tensor]:
        def total(*inputs: Tensor) -> Tensor:
            biases = [bias_part] + [None] * (len(inputs) - 1)
            terms = zip(inputs, parts, biases, strict=True)
            return sum(operation(x, part[which], extra) for x, part, extra in terms)

        return total

    inputs = [part[0] for part in parts]
    supporting = contributions(1, bias_above)
    if rule.beta == 0:
        return sum(share(supporting, inputs, relevance, STABILISER))
    opposing = contributions(2, bias_below)
    with torch.no_grad():
        opposed = opposing(*inputs) < 0
    for_share = sum(share(supporting, inputs, relevance * torch.where(opposed, rule.alpha, 1.0), STABILISER))
    against_share = sum(share(opposing, inputs, relevance * (opposed * rule.beta), STABILISER))
    return for_share - against_share


def share(
    total: Callable[..., Tensor], inputs: Sequence[Tensor], relevance: Tensor, epsilon: float
) -> list[Tensor]:
    """Epsilon rule for any function that is linear (or affine) in `inputs`: one relevance per input.

    The gradient of z weighted by R/z, times the input, is the sum over outputs of z_ij / z_j R_j, so
    no weight matrix needs to be written down.
    """
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        z = total(*leaves)
        gradients = torch.autograd.grad(z, leaves, relevance / stabilised(z.detach(), epsilon))
    return [leaf.detach() * gradient for leaf, gradient in zip(leaves, gradients, strict=True)]
