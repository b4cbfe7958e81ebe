"""Layers for maps that lie channels last on a CPU, where PyTorch's own lose precision or time.

Batch norm in training mode: PyTorch's own adds up all values of a channel one by one in the maps' type: in fp32
its scores are off by 1e-3 at ten million values. Here they are added up a few thousand at a time and the sums
then combined, which is as exact as the other layout and takes no longer.

Wide convolutions of small maps: oneDNN needs 1.1 to 2 times as long for them as in the other layout (512 channels of
4 x 4 places: 127 against 231 GFLOP/s forward, 125 against 259 backward, AVX-512). They are computed there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROWS = 4096  # values of a channel added up one by one
# output places along a side, and output channels: up to the one and from the other on the other layout is faster
SMALL_SIDE, WIDE = 6, 256


def in_channels_last(stage: nn.Module) -> nn.Module:
    """A stage on a CPU for maps channels last, in training or eval mode: changed in place, all tensors still its own."""
    for module in list(stage.modules()):
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
        if places > SMALL_SIDE or maps.dtype == torch.bfloat16:
            return super().forward(maps)
        weight = self.weight.contiguous() if self._rearranged is None else self._rearranged
        if not self.weight.requires_grad:
            self._rearranged = weight
        answer = self._conv_forward(maps.contiguous(), weight, self.bias)
        return answer.contiguous(memory_format=torch.channels_last)


class ChannelsLastBatchNorm(nn.BatchNorm2d):
    """As `nn.BatchNorm2d`; shares weight, bias and statistics with the layer it is made of, which must have all."""

    def __init__(self, like: nn.BatchNorm2d):
        super().__init__(like.num_features, like.eps, like.momentum, device="meta")
        self._parameters.update(like._parameters)
        self._buffers.update(like._buffers)

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return super().forward(maps)
        normalised, mean, variance = _Normalise.apply(maps, self.weight, self.bias, self.eps)
        values = maps.numel() // maps.shape[1]
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (values / (values - 1)), self.momentum)
        return normalised


class _Normalise(torch.autograd.Function):
    """(maps, weight, bias, eps) -> normalised maps, and mean and (biased) variance of each channel."""

    @staticmethod
    def forward(ctx, maps: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        parts = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).split(ROWS)
        none = torch.zeros_like(
            weight
        )  # statistics of the weights' type, which bf16 maps have as well, are returned
        found = [torch.batch_norm_update_stats(part, none, none, 0.0) for part in parts]
        means, variances = (torch.stack(each) for each in zip(*found, strict=True))
        shares = means.new_tensor([len(part) for part in parts])[:, None]
        shares /= shares.sum()
        mean = (means * shares).sum(0)
        variance = ((variances + (means - mean).square()) * shares).sum(0)
        ctx.save_for_backward(maps, weight, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        normalised = torch.native_batch_norm(maps, weight, bias, mean, variance, False, 0.0, eps)[0]
        return normalised, mean, variance

    @staticmethod
    def backward(ctx, gradient: Tensor, *_) -> tuple[Tensor | None, ...]:
        maps, weight, mean, inverse_sd = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        return *torch.ops.aten.native_batch_norm_backward(
            gradient, maps, weight, None, None, mean, inverse_sd, True, ctx.eps, wanted
        ), None  # fmt: skip
