"""Channel and spatial attention: squeeze-and-excitation (SE) and CBAM, for 2-D feature maps.

Both are free of biases and reduce the channels 16-fold, the only setting known to give the parameter
counts printed in Xia et al. 2024, Table 1. Sources: Hu et al. 2018 (SE), Woo et al. 2018 (CBAM),
Xia et al. 2024, section 4.5 (SE). The mean over a map is an `nn.AdaptiveAvgPool2d`, because that is
what the published FLOPs convention counts (`als_core.models.cost`).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

REDUCTION = 16


def _bottleneck(channels: int, reduction: int) -> OrderedDict[str, nn.Module]:
    """Two linear maps without bias, `channels` to `channels // reduction` and back, a ReLU between."""
    if channels < reduction:
        raise ValueError(f"{channels} channels reduced {reduction}-fold leave none")
    return OrderedDict(
        squeeze=nn.Linear(channels, channels // reduction, bias=False),
        relu=nn.ReLU(),
        excite=nn.Linear(channels // reduction, channels, bias=False),
    )


class SqueezeExcitation(nn.Module):
    """Weighs every channel of a map by a gate in (0, 1) computed from the channel means.

    u (N, C, H, W) -> s_c u_c of the same shape, where z_c is the mean of u_c over the map and
    s = sigmoid(W2 relu(W1 z)), W1 (C / r, C), W2 (C, C / r), r the reduction.
    Hu et al. 2018, equations 2-4; Xia et al. 2024, section 4.5.
    """

    def __init__(self, channels: int, reduction: int = REDUCTION):
        super().__init__()
        self.gate = nn.Sequential(
            OrderedDict(
                average=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                **_bottleneck(channels, reduction),
                sigmoid=nn.Sigmoid(),
            )
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.gate(maps)[:, :, None, None]


class ChannelGate(nn.Module):
    """Gate in (0, 1) per channel: sigmoid of one shared two-layer map of the means plus that of the maxima.

    (N, C, H, W) -> (N, C, 1, 1). Woo et al. 2018, equation 2.
    """

    def __init__(self, channels: int, reduction: int = REDUCTION):
        super().__init__()
        self.average = nn.AdaptiveAvgPool2d(1)
        self.shared = nn.Sequential(_bottleneck(channels, reduction))

    def forward(self, maps: Tensor) -> Tensor:
        # not a max-pool layer, whose gradient is not deterministic on a GPU; and not `amax`: compiled in bf16, it looks
        # for its maximum among values that were rounded otherwise, finds none and divides by zero
        maxima = maps.flatten(2).max(dim=2).values
        score = self.shared(self.average(maps).flatten(1)) + self.shared(maxima)
        return torch.sigmoid(score)[:, :, None, None]


class SpatialGate(nn.Module):
    """Gate in (0, 1) per place: sigmoid of a 7 x 7 convolution of the channels' mean and maximum.

    (N, C, H, W) -> (N, 1, H, W). Woo et al. 2018, equation 3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, kernel_size=7, padding=3, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        summary = torch.cat([maps.mean(dim=1, keepdim=True), maps.max(dim=1, keepdim=True).values], dim=1)
        return torch.sigmoid(self.convolution(summary))


class CBAM(nn.Module):
    """The channel gate, then the spatial gate of what the first let through; shape is kept.

    Woo et al. 2018, equation 1: F' = M_c(F) F, then F'' = M_s(F') F'.
    """

    def __init__(self, channels: int, reduction: int = REDUCTION):
        super().__init__()
        self.channel = ChannelGate(channels, reduction)
        self.spatial = SpatialGate()

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps * self.channel(maps)
        return maps * self.spatial(maps)
