"""Layers for maps that lie channels last on a CPU, where PyTorch's own lose precision or time.

Batch norm in training mode: PyTorch's own adds up all values of a channel one by one in the maps' type: in fp32
its scores are off by 1e-3 at ten million values. Here they are added up a few thousand at a time and the sums
then combined, which is as exact as the other layout and takes no longer. With a maximum pool after it the maps are
pooled first and a quarter of the places is normalised; the gradient passes over the maps twice instead of six times.

Wide convolutions of small maps: oneDNN needs 1.1 to 2 times as long for them as in the other layout (512 channels of
4 x 4 places: 127 against 231 GFLOP/s forward, 125 against 259 backward, AVX-512). They are computed there.

Where `torch.compile` traces a network these layers are PyTorch's own: it writes its own code for them.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, max_pool2d_with_indices

ROWS = 4096  # values of a channel added up one by one
# output places along a side, and output channels: up to the one and from the other on the other layout is faster
SMALL_SIDE, WIDE = 6, 256


def in_channels_last(stage: nn.Module) -> nn.Module:
    """A stage on a CPU for maps channels last, in training or eval mode: changed in place, all tensors still its own."""
    for module in list(stage.modules()):
        if isinstance(module, nn.Sequential):
            for first, second in pairwise([name for name, _ in module.named_children()]):
                layer, following = getattr(module, first), getattr(module, second)
                if type(layer) is nn.BatchNorm2d and _halves(following):
                    setattr(module, first, PooledBatchNorm(layer))
                    setattr(module, second, nn.Identity())
        for name, layer in list(module.named_children()):
            if type(layer) is nn.BatchNorm2d:
                setattr(module, name, ChannelsLastBatchNorm(layer))
            elif type(layer) is nn.Conv2d and max(layer.kernel_size) > 1 and layer.out_channels >= WIDE:
                setattr(module, name, WideConvolution(layer))
    return stage


class WideConvolution(nn.Conv2d):
    """As `nn.Conv2d`; shares its tensors. Small maps are computed channels first and come out channels last.

    A frozen weight is rearranged once and must stay as it is. Maps in bf16 are computed as they lie: either layout
    takes the same time.
    """

    def __init__(self, like: nn.Conv2d):
        self.__dict__.update(like.__dict__)
        self._rearranged: Tensor | None = None

    def forward(self, maps: Tensor) -> Tensor:
        places = max(maps.shape[2:]) // max(self.stride)
        if places > SMALL_SIDE or maps.dtype == torch.bfloat16 or torch.compiler.is_compiling():
            return super().forward(maps)
        weight = self.weight.contiguous() if self._rearranged is None else self._rearranged
        if not self.weight.requires_grad:
            self._rearranged = weight
        answer = self._conv_forward(maps.contiguous(), weight, self.bias)
        return answer.contiguous(memory_format=torch.channels_last)


def _halves(layer: nn.Module) -> bool:
    """Whether this is a maximum pool over squares of 2 x 2 places that do not overlap."""
    if type(layer) is not nn.MaxPool2d or layer.return_indices:
        return False
    sizes = [each if isinstance(each, tuple) else (each, each) for each in (layer.kernel_size, layer.stride)]
    return sizes == [(2, 2), (2, 2)] and layer.padding == 0 and layer.dilation == 1


class ChannelsLastBatchNorm(nn.BatchNorm2d):
    """As `nn.BatchNorm2d`; shares weight, bias and statistics with the layer it is made of, which must have all."""

    def __init__(self, like: nn.BatchNorm2d):
        super().__init__(like.num_features, like.eps, like.momentum, device="meta")
        self._parameters.update(like._parameters)
        self._buffers.update(like._buffers)

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training or torch.compiler.is_compiling():
            return super().forward(maps)
        mean, variance = channel_statistics(maps.detach(), self.weight.dtype)
        self._follow(mean, variance, maps.numel() // maps.shape[1])
        return _Normalise.apply(maps, self.weight, self.bias, mean, variance, self.eps)

    def _follow(self, mean: Tensor, variance: Tensor, values: int) -> None:
        """Move the running statistics towards those of a batch of so many values a channel."""
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (values / (values - 1)), self.momentum)


class PooledBatchNorm(ChannelsLastBatchNorm):
    """Batch norm and then the maximum of each 2 x 2 places, (b, c, h, w) -> (b, c, h // 2, w // 2)."""

    def forward(self, maps: Tensor) -> Tensor:
        # where a weight is not above 0, the largest place is not the largest before the norm
        if not self.training or torch.compiler.is_compiling() or self.weight.min() <= 0:
            return max_pool2d(super().forward(maps), 2)
        mean, variance = channel_statistics(maps.detach(), self.weight.dtype)
        self._follow(mean, variance, maps.numel() // maps.shape[1])
        return _PoolAndNormalise.apply(maps, self.weight, self.bias, mean, variance, self.eps)


def channel_statistics(maps: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each channel of maps (b, c, h, w) channels last, in `dtype`."""
    parts = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).split(ROWS)
    # what comes back has the type of the statistics given, which need not be that of the maps
    none = maps.new_zeros(maps.shape[1], dtype=dtype)
    found = [torch.batch_norm_update_stats(part, none, none, 0.0) for part in parts]
    means, variances = (torch.stack(each) for each in zip(*found, strict=True))
    shares = means.new_tensor([len(part) for part in parts])[:, None]
    shares /= shares.sum()
    mean = (means * shares).sum(0)
    return mean, ((variances + (means - mean).square()) * shares).sum(0)


def _normalised(maps: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor, variance: Tensor, eps: float) -> Tensor:  # fmt: skip
    """(maps - mean) / sd x scale + shift, computed in at least fp32 whatever the maps' type."""
    return torch.native_batch_norm(maps, scale, shift, mean, variance, False, 0.0, eps)[0]


class _Normalise(torch.autograd.Function):
    """(maps, weight, bias, mean and variance of the maps, eps) -> normalised maps; the gradient knows whence both are."""

    @staticmethod
    def forward(ctx, maps: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:  # fmt: skip
        ctx.save_for_backward(maps, weight, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        return _normalised(maps, weight, bias, mean, variance, eps)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, inverse_sd = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        return *torch.ops.aten.native_batch_norm_backward(
            gradient, maps, weight, None, None, mean, inverse_sd, True, ctx.eps, wanted
        ), None, None, None  # fmt: skip


class _PoolAndNormalise(torch.autograd.Function):
    """As `_Normalise`, and pooled, for weights above 0.

    With z the normalised maps and g the gradient of their maxima, that of the maps is
    weight / sd x (g at the maxima - mean(g) - z mean(g z)), means over all places: g is 0 but at the maxima.
    """

    @staticmethod
    def forward(ctx, maps: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:  # fmt: skip
        top, where = max_pool2d_with_indices(maps, 2)
        ctx.save_for_backward(maps, weight, mean, variance, top, where)
        ctx.eps = eps
        return _normalised(top, weight, bias, mean, variance, eps)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, variance, top, where = ctx.saved_tensors
        given = (mean, variance, ctx.eps)
        wide = torch.promote_types(gradient.dtype, torch.float32)
        of_bias = gradient.sum((0, 2, 3), dtype=wide)
        of_weight = (gradient * _normalised(top, None, None, *given)).sum((0, 2, 3), dtype=wide)
        size = weight * (variance + ctx.eps).rsqrt()
        share = -size * maps.shape[1] / maps.numel()
        answer = _normalised(maps, share * of_weight, share * of_bias, *given)
        at_top = _normalised(top, share * of_weight, share * of_bias, *given)
        at_top.addcmul_(gradient, size.to(gradient.dtype)[:, None, None])
        # it is contiguous; were it not, `view` would say so
        answer = answer.contiguous(memory_format=torch.channels_last)
        rows = answer.permute(0, 2, 3, 1).view(len(answer), -1, answer.shape[1])
        where, at_top = (each.permute(0, 2, 3, 1).flatten(1, 2) for each in (where, at_top))
        # as bits: PyTorch writes bf16 values by way of an fp32 copy of all
        if answer.dtype == torch.bfloat16:
            rows, at_top = rows.view(torch.int16), at_top.view(torch.int16)
        rows.scatter_(1, where, at_top)
        return answer, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None, None, None
