"""Batch norm in training mode for maps that lie channels last on a CPU.

PyTorch's own adds up all values of a channel one by one in the maps' type: in fp32 its scores are off by
1e-3 at ten million values. Here they are added up a few thousand at a time and the sums then combined, which
is as exact as the other layout and takes no longer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROWS = 4096  # values of a channel added up one by one


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
