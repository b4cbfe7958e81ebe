"""A frozen dense block of DenseNet in one buffer, for CPUs: the same numbers, fewer passes over less memory.

Layer by layer PyTorch joins all earlier maps anew, shifts them, rectifies them and keeps the outcome for the
backward pass. Here every layer writes its maps behind the others in one buffer, rectified maps are made again where the
backward pass wants them, and a layer's gradient is added to that of all maps so far in the memory of its own mask
(after Pleiss et al. 2017, "Memory-efficient implementation of DenseNets", kept to what a frozen block needs: no
gradient of its weights).
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d
from torchvision.models.densenet import _DenseBlock

from als_core.models.folding import ChannelAffine, replaced, where_positive

MANY_PLACES = 50 * 50  # of a map, from which on oneDNN's rectifying convolution gains something


def in_one_buffer(stage: nn.Module) -> nn.Module:
    """The stage with each folded dense block in its form in one buffer; other modules stay, and share their tensors.

    Whatever type the block is to compute in, it must have before.
    """
    return replaced(stage, _DenseBlock, lambda block: FrozenDenseBlock(block) if _is_folded(block) else block)


def _is_folded(block: _DenseBlock) -> bool:
    """Whether this is what `folding.folded` makes of a dense block."""
    layers = list(block.children())
    return all(
        isinstance(layer.norm1, ChannelAffine) and isinstance(layer.norm2, nn.Identity) for layer in layers
    )


class FrozenDenseBlock(nn.Module):
    """As the folded block it is made of, (b, c, h, w) -> (b, c + layers x growth, h, w), channels last."""

    def __init__(self, block: _DenseBlock):
        super().__init__()
        self.block = block
        self.layers = nn.ModuleList(_Layer(layer) for layer in block.children())

    def forward(self, maps: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return _in_pieces(self.block, maps)
        return _InOneBuffer.apply(maps, tuple(self.layers))


def _in_pieces(block: _DenseBlock, maps: Tensor) -> Tensor:
    """The folded block as `torch.compile` writes it best: every layer joins rectified pieces, one of each layer before.

    Rectified after being joined, all earlier maps would be kept once for every layer that reads them. In pieces they
    are kept once, and the sum of a piece's gradients, with their masks, is one pass.
    """
    pieces = [maps]
    for layer in block.children():
        firsts = accumulate((piece.shape[1] for piece in pieces), initial=0)
        rectified = [layer.norm1(piece, first).relu() for piece, first in zip(pieces, firsts, strict=False)]
        pieces.append(layer.conv2(layer.conv1(torch.cat(rectified, 1)).relu()))
    return torch.cat(pieces, 1)


class _Layer(nn.Module):
    """One dense layer's fixed tensors, channels last: rectify, 1 x 1 convolution, rectify, 3 x 3 convolution.

    Where no scale changes a sign, relu(x + s) = max(x, -s) + s, and the sum with s goes into the convolution's bias.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        lasting = {"memory_format": torch.channels_last}
        affine, narrow, wide = layer.norm1, layer.conv1, layer.conv2
        self.growth, self.shifts_only = wide.out_channels, affine.shifts_only
        bias = narrow.weight.new_zeros(narrow.out_channels) if narrow.bias is None else narrow.bias.detach()
        if self.shifts_only:
            bias = bias + narrow.weight.detach()[:, :, 0, 0] @ affine.shift.flatten()
        self.register_buffer("scale", affine.scale)
        self.register_buffer("shift", affine.shift)
        self.register_buffer("low", -affine.shift)
        self.register_buffer("narrow", narrow.weight.detach().contiguous(**lasting))
        self.register_buffer("bias", bias)
        self.register_buffer("back", narrow.weight.detach().transpose(0, 1).contiguous(**lasting))
        self.register_buffer("wide", wide.weight.detach().contiguous(**lasting))
        # the gradient of a 3 x 3 convolution is one with its weights turned, and as such a few per cent faster
        self.register_buffer("turned", wide.weight.detach().flip(2, 3).transpose(0, 1).contiguous(**lasting))

    def through(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """All maps so far -> the 1 x 1 convolution's rectified output, and the new maps."""
        if self.shifts_only:
            rectified = torch.maximum(maps, self.low)
        else:
            rectified = torch.addcmul(self.shift, maps, self.scale).clamp_min_(0)
        narrow = _rectified(rectified, self.narrow, self.bias)
        return narrow, conv2d(narrow, self.wide, padding=1)

    def with_gradient(self, total: Tensor, of_new: Tensor, maps: Tensor, narrow: Tensor) -> Tensor:
        """`total` plus the gradient of all maps so far, found from that of the new ones; in memory of its own.

        The gradient times a mask of zeros and ones, added in the same pass, reads and writes a quarter less memory than
        PyTorch's own gradient of a rectifier and a sum.
        """
        of_narrow = where_positive(conv2d(of_new, self.turned, padding=1), narrow, 0)
        of_rectified = conv2d(of_narrow, self.back)
        if self.shifts_only:
            passes = torch.gt(maps, self.low, out=torch.empty_like(of_rectified))
        else:
            passes = torch.addcmul(self.shift, maps, self.scale).gt_(0).mul_(self.scale)
        return torch.addcmul(total, of_rectified, passes, out=passes)


def _rectified(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """relu of a 1 x 1 convolution.

    oneDNN rectifies while it writes, which spares a pass over large maps (3 per cent of DenseNet121's forward pass at
    400 pixels); for small ones nothing is gained. Only PyTorch's compiler calls it so; there is no
    public name for it.
    """
    if (
        maps.dtype == torch.float32
        and maps.shape[2:].numel() >= MANY_PLACES
        and torch.backends.mkldnn.is_available()
    ):
        once = [1, 1]
        return torch.ops.mkldnn._convolution_pointwise(
            maps, weight, bias, [0, 0], once, once, 1, "relu", [], ""
        )
    return conv2d(maps, weight, bias).clamp_min_(0)


class _InOneBuffer(torch.autograd.Function):
    """(maps, layers) -> the maps and, behind them, those of every layer."""

    @staticmethod
    def forward(ctx, maps: Tensor, layers: tuple[_Layer, ...]) -> Tensor:
        images, done, *sides = maps.shape
        shape = (images, done + sum(layer.growth for layer in layers), *sides)
        buffer = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
        buffer[:, :done] = maps
        ctx.layers, ctx.narrow = layers, []
        for layer in layers:
            narrow, buffer[:, done : done + layer.growth] = layer.through(buffer[:, :done])
            done += layer.growth
            if ctx.needs_input_grad[0]:
                ctx.narrow.append(narrow)
        ctx.save_for_backward(buffer)
        return buffer

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (buffer,) = ctx.saved_tensors
        total, done = gradient, gradient.shape[1]
        for layer, narrow in zip(reversed(ctx.layers), reversed(ctx.narrow), strict=True):
            new = total[:, done - layer.growth : done].contiguous(memory_format=torch.channels_last)
            done -= layer.growth
            total = layer.with_gradient(total[:, :done], new, buffer[:, :done], narrow)
        return total, None
