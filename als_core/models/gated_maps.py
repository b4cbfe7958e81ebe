"""CBAM's spatial gate and the weights of its channels, slab by slab, for CPUs: the same numbers, fewer passes.

Weighing channels, mean and maximum over channels and the gate each walk through maps that no cache holds, and so do
their gradients. Here they are done one after the other on as much as a cache holds, and of full size nothing is kept
for the backward pass but the maps themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from als_core.models.transitions import SLAB


def gated(maps: Tensor, weights: Tensor, kernel: Tensor) -> Tensor:
    """Maps (b, c, h, w), channels last, whose channels are weighted, weights (b, c), times CBAM's spatial gate of them.

    kernel (1, 2, k, k): of the convolution of the channels' mean and maximum. Weights and kernel are of at least fp32.
    Woo et al. 2018, equations 1 and 3.
    """
    if torch.compiler.is_compiling() or maps.device.type != "cpu":
        maps = maps * weights[:, :, None, None].to(maps.dtype)
        mean = maps.mean(1, keepdim=True, dtype=weights.dtype)
        summary = torch.cat([mean, maps.amax(1, keepdim=True).to(weights.dtype)], 1)
        return maps * _gate(summary, kernel).to(maps.dtype)
    return _Gated.apply(maps, weights, kernel)


def _gate(summary: Tensor, kernel: Tensor) -> Tensor:
    return conv2d(summary, kernel, padding=kernel.shape[-1] // 2).sigmoid()


class _Gated(torch.autograd.Function):
    """`gated` on a CPU. Weighted maps are made again wherever they are wanted."""

    @staticmethod
    def forward(ctx, maps: Tensor, weights: Tensor, kernel: Tensor) -> Tensor:
        narrow = weights.to(maps.dtype)
        summary = weights.new_empty((maps.shape[0], *maps.shape[2:], 2)).permute(0, 3, 1, 2)
        into, answer = _places(summary), torch.empty_like(maps, memory_format=torch.channels_last)
        for image, some, its in _slabs(maps):
            weighted = its * narrow[image]
            torch.mean(weighted, 1, dtype=weights.dtype, out=into[image, some, 0])
            into[image, some, 1] = weighted.amax(1)
        gates, answers = _places(_gate(summary, kernel).to(maps.dtype)), _places(answer)
        for image, some, its in _slabs(maps):
            torch.mul(its, narrow[image], out=answers[image, some]).mul_(gates[image, some])
        ctx.save_for_backward(maps, weights, kernel, summary)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        maps, weights, kernel, summary = ctx.saved_tensors
        with torch.enable_grad():  # the gate and what it needs are small: it is found again
            wanted = summary.detach().requires_grad_(), kernel.detach().requires_grad_()
            gate = _gate(*wanted)
        narrow, given = weights.to(maps.dtype), _places(gradient)
        of_gate = torch.empty_like(gate)
        of_gates = _places(of_gate)
        for image, some, its in _slabs(maps):
            of_gates[image, some, 0] = (given[image, some] * its) @ narrow[image]
        of_summary, of_kernel = torch.autograd.grad(gate, wanted, of_gate)

        gates, tops, of_means, of_tops = (
            _places(each.to(maps.dtype))
            for each in (gate.detach(), summary[:, 1:], of_summary[:, :1] / maps.shape[1], of_summary[:, 1:])
        )
        answer = (
            torch.empty_like(maps, memory_format=torch.channels_last) if ctx.needs_input_grad[0] else None
        )
        of_weights, ones = torch.zeros_like(weights), maps.new_ones(maps.shape[1], 1)
        for image, some, its in _slabs(maps):
            of_weighted = torch.addcmul(of_means[image, some], given[image, some], gates[image, some])
            weighted = its * narrow[image]
            hits = torch.eq(weighted, tops[image, some], out=weighted)
            # equal maxima share their gradient, as in `amax`
            of_weighted.addcmul_(hits, of_tops[image, some] / (hits @ ones))
            of_weights[image] += torch.mul(of_weighted, its, out=hits).sum(0, dtype=weights.dtype)
            if answer is not None:
                torch.mul(of_weighted, narrow[image], out=_places(answer)[image, some])
        return answer, of_weights, of_kernel


def _places(maps: Tensor) -> Tensor:
    """Maps (b, c, h, w), channels last, as (b, h x w, c) in the same memory."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def _slabs(maps: Tensor) -> Iterator[tuple[int, slice, Tensor]]:
    """An image, some of its places, and the maps there (places, c)."""
    count = max(1, SLAB // (maps.shape[1] * maps.element_size()))
    for image, places in enumerate(_places(maps)):
        for first in range(0, len(places), count):
            yield image, slice(first, first + count), places[first : first + count]
