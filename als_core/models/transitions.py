"""A frozen transition of DenseNet, and the gate before it, slab by slab, for CPUs: the same numbers, fewer passes.

Gate, batch norm, rectifier and mean pool each walk through the largest maps of the network, and so do their gradients.
Here they are done one after the other on as much as fits into a processor's cache, and nothing of full size is kept for
the backward pass but the maps themselves. What is frozen gets no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torchvision.models.densenet import _Transition

from als_core.models.attention import SqueezeExcitation
from als_core.models.folding import ChannelAffine, replaced, where_positive

mean_pool = torch.ops.aten.avg_pool2d.out
"""PyTorch's mean pool, written to where it belongs."""

SLAB = 2**19  # bytes of maps done at once: with two buffers of the same size they stay in 2 MiB of cache


def in_slabs(stage: nn.Module) -> nn.Module:
    """The stage with each folded transition in its form in slabs; other modules stay, and share their tensors.

    Whatever type the transition is to compute in, it must have before.
    """
    return replaced(stage, _Transition, lambda each: FrozenTransition(each) if _is_folded(each) else each)


def _is_folded(transition: _Transition) -> bool:
    """Whether this is what `folding.folded` makes of a transition."""
    affine, relu, pool, convolution = transition.children()
    return (
        (type(affine), type(relu), type(pool)) == (ChannelAffine, nn.ReLU, nn.AvgPool2d)
        and (pool.kernel_size, pool.stride, pool.padding) == (2, 2, 0)
        and type(convolution) is nn.Conv2d
    )


class FrozenTransition(nn.Module):
    """As the folded transition it is made of, (b, c, h, w) -> (b, c', h // 2, w // 2), channels last."""

    def __init__(self, transition: _Transition):
        super().__init__()
        self.transition = transition
        self.affine, _, _, self.convolution = transition.children()

    def forward(self, maps: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self.transition(maps)
        return self.of_weighted(maps, maps.new_ones(maps.shape[:2]))

    def of_weighted(self, maps: Tensor, weights: Tensor) -> Tensor:
        """The transition of maps whose channels are weighted, weights (b, c)."""
        factors = weights * self.affine.scale.flatten()
        return self.convolution(_RectifyAndPool.apply(maps, factors, self.affine.shift))


class GatedTransition(nn.Module):
    """A squeeze-and-excitation gate, found in at least fp32, and the frozen transition it stands before."""

    def __init__(self, gate: SqueezeExcitation, transition: FrozenTransition):
        super().__init__()
        self.gate, self.transition = gate, transition

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            maps, means = channel_means(maps)
            weights = self.gate.of_means(means).to(maps.dtype)
            if torch.compiler.is_compiling():
                return self.transition(maps * weights[:, :, None, None])
            return self.transition.of_weighted(maps, weights)


def channel_means(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The maps (b, c, h, w) and their means (b, c) in at least fp32.

    Whoever goes on with the maps takes those that come out: their gradient then takes up that of the means in one pass.
    """
    if torch.compiler.is_compiling() or maps.device.type != "cpu":
        return maps, maps.mean((2, 3), dtype=torch.promote_types(maps.dtype, torch.float32))
    return _ChannelMeans.apply(maps)


class _ChannelMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps: Tensor) -> tuple[Tensor, Tensor]:
        ctx.places = maps.shape[2] * maps.shape[3]
        wide = torch.promote_types(maps.dtype, torch.float32)
        share = torch.full((ctx.places,), 1 / ctx.places, dtype=wide)
        means = torch.empty(maps.shape[:2], dtype=wide)
        # as a product with a vector: PyTorch's own mean of maps channels last takes twice as long, of bf16 more
        for image, its in zip(maps.permute(0, 2, 3, 1).flatten(1, 2), means, strict=True):
            torch.mv(image.to(wide).t(), share, out=its)
        return maps.view_as(maps), means

    @staticmethod
    @once_differentiable
    def backward(ctx, of_maps: Tensor, of_means: Tensor) -> Tensor:
        return of_maps + (of_means / ctx.places).to(of_maps.dtype)[:, :, None, None]


class _RectifyAndPool(torch.autograd.Function):
    """(maps, factors (b, c), shift (c, 1, 1)) -> means over 2 x 2 places of relu(maps x factors + shift).

    What the factors' gradient needs of the maps, their means over the places that the rectifier lets pass, is found on
    the way forward and is a quarter as large as they are.
    """

    @staticmethod
    def forward(ctx, maps: Tensor, factors: Tensor, shift: Tensor) -> Tensor:
        images, channels, height, width = maps.shape
        shape = (images, channels, height // 2, width // 2)
        pooled = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
        passing = torch.empty_like(pooled) if ctx.needs_input_grad[1] else None
        for some, rows, half in _slabs(maps):
            slab = maps[some, :, rows]
            weighted = torch.addcmul(shift, slab, factors[some, :, None, None])
            if passing is not None:
                mean_pool(where_positive(slab, weighted, 0), [2, 2], out=passing[some, :, half])
            mean_pool(weighted.clamp_min_(0), [2, 2], out=pooled[some, :, half])
        ctx.save_for_backward(maps if ctx.needs_input_grad[0] else None, factors, shift, passing)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        maps, factors, shift, passing = ctx.saved_tensors
        of_maps = None if maps is None else _gradient_of_maps(maps, factors, shift, gradient)
        if passing is None:
            return of_maps, None, None
        of_factors = torch.empty(factors.shape, dtype=torch.promote_types(factors.dtype, torch.float32))
        for one, mean, its in zip(gradient, passing, of_factors, strict=True):
            torch.sum((one * mean).to(its.dtype), (1, 2), out=its)
        return of_maps, of_factors.to(factors.dtype), None


def _gradient_of_maps(maps: Tensor, factors: Tensor, shift: Tensor, gradient: Tensor) -> Tensor:
    even = [side // 2 * 2 for side in maps.shape[2:]]
    answer = torch.empty_like(maps)
    # a pool of 2 x 2 leaves out the last of an odd number of rows or columns
    answer[:, :, even[0] :] = 0
    answer[:, :, :, even[1] :] = 0
    of_weighted = gradient * (factors / 4)[:, :, None, None]
    for some, rows, half in _slabs(maps):
        slab = some, slice(None), rows, slice(even[1])
        weighted = _squares(torch.addcmul(shift, maps[slab], factors[some, :, None, None]))
        values = of_weighted[some, :, half, None, :, None]
        where_positive.grad_input(values, weighted, 0, grad_input=_squares(answer[slab]))
    return answer


def _squares(maps: Tensor) -> Tensor:
    """(b, c, h, w) as (b, c, h / 2, 2, w / 2, 2)."""
    return maps.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))


def _slabs(maps: Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Images, rows and half as many rows after the pool, of parts of maps not much larger than `SLAB`."""
    images, channels, height, width = maps.shape
    row = channels * width * maps.element_size()
    rows = max(1, min(height // 2, SLAB // (2 * row)))
    some = max(1, SLAB // (row * height))
    for image in range(0, images, some):
        for start in range(0, height // 2, rows):
            stop = min(start + rows, height // 2)
            yield slice(image, image + some), slice(2 * start, 2 * stop), slice(start, stop)
