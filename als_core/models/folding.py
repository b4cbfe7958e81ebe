"""Frozen stages in their cheapest equal form: the same numbers to rounding, less work and memory.

A batch norm in eval mode is a fixed scale and shift of each channel. After a convolution it is
multiplied into that convolution's weights; elsewhere it becomes one fused product and sum, which keeps no
copy of its input for the backward pass. Before a ReLU and a convolution the size of each scale passes through the
ReLU into the convolution; where all scales are positive, only the shift is left. A mean pool after a 1 x 1
convolution is moved before it, and a maximum pool before a ReLU: they commute, and what follows the pool sees a
quarter of the places.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.densenet import _DenseLayer
from torchvision.models.resnet import BasicBlock, Bottleneck

IN_ORDER = (nn.Sequential, BasicBlock, Bottleneck, _DenseLayer)
"""Modules in which a batch norm registered right after a convolution takes that convolution's output alone."""


class ChannelAffine(nn.Module):
    """Maps times a scale plus a shift for each channel: what a batch norm in eval mode computes."""

    def __init__(self, norm: nn.BatchNorm2d):
        super().__init__()
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - norm.running_mean * scale
        self.register_buffer("scale", scale.detach()[:, None, None])
        self.register_buffer("shift", shift.detach()[:, None, None])
        self.shifts_only = False

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.shift if self.shifts_only else torch.addcmul(self.shift, maps, self.scale)

    def scale_through(self, convolution: nn.Conv2d) -> None:
        """Hand the size of each scale on to a convolution that a ReLU separates from this; signs and zeros stay."""
        size = torch.where(self.scale == 0, 1, self.scale.abs())
        convolution.weight.mul_(size)
        self.scale, self.shift = self.scale / size, self.shift / size
        self.shifts_only = bool((self.scale == 1).all())


def folded(stage: nn.Module) -> nn.Module:
    """A frozen copy of a stage in eval mode, its batch norms folded; `stage` is left as it is.

    Any module may be given: what is not known to be foldable is copied.
    """
    copy = deepcopy(stage).eval().requires_grad_(False)
    for module in list(copy.modules()):
        if isinstance(module, IN_ORDER):
            _fold_children(module)
    return pooled_first(copy)


def pooled_first(stage: nn.Module) -> nn.Module:
    """The stage with each pool moved before what commutes with it, changed in place."""
    for module in stage.modules():
        if isinstance(module, nn.Sequential):
            for first, second in pairwise([name for name, _ in module.named_children()]):
                layer, following = getattr(module, first), getattr(module, second)
                if _commute(layer, following):
                    setattr(module, first, following)
                    setattr(module, second, layer)
    return stage


def _fold_children(module: nn.Module) -> None:
    names = [name for name, _ in module.named_children()]
    for first, second in pairwise(names):
        layer, following = getattr(module, first), getattr(module, second)
        if isinstance(layer, nn.Conv2d) and type(following) is nn.BatchNorm2d:
            setattr(module, first, fuse_conv_bn_eval(layer, following).requires_grad_(False))
            setattr(module, second, nn.Identity())
    for name, layer in list(module.named_children()):
        if type(layer) is nn.BatchNorm2d:
            setattr(module, name, ChannelAffine(layer))
    layers = list(module.children())
    for affine, relu, convolution in zip(layers, layers[1:], layers[2:], strict=False):
        if isinstance(affine, ChannelAffine) and type(relu) is nn.ReLU and _is_whole(convolution):
            affine.scale_through(convolution)


def _is_whole(layer: nn.Module | None) -> bool:
    """Whether this is a convolution that sees all channels at once."""
    return type(layer) is nn.Conv2d and layer.groups == 1


def _commute(layer: nn.Module, following: nn.Module) -> bool:
    """Whether this is a ReLU before a maximum pool, or a 1 x 1 convolution before a mean pool without padding."""
    if type(layer) is nn.ReLU:
        return type(following) is nn.MaxPool2d
    return (
        type(layer) is nn.Conv2d
        and type(following) is nn.AvgPool2d
        and (layer.kernel_size, layer.stride, layer.padding) == ((1, 1), (1, 1), (0, 0))
        and following.padding == 0
    )
