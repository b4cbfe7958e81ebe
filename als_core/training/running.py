"""What runs in each step of training: the stages behind the cached prefix, in their fastest equal form.

Frozen stages are folded copies (`models.folding`); live ones share their parameters and statistics with the
network, so what the optimiser does to the one happens to the other. Maps lie channels last.

In reduced precision (`bf16`, which a recipe names and a run's key holds) frozen stages have bf16 weights and
live convolutions run under autocast, while gates, heads, the loss and Adam stay in fp32.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from copy import deepcopy

import torch
from torch import Tensor, nn

from als_core.models.attention import CBAM, SqueezeExcitation
from als_core.models.channels_last import in_channels_last
from als_core.models.folding import folded, pooled_first


class Running(nn.Module):
    """Stages in the form they run in, (b, ...) of the network's floating type -> class scores of that type."""

    def __init__(self, part: nn.Sequential, live: Collection[str], precision: str, device: torch.device):
        super().__init__()
        self.live = frozenset(live)
        self.reduced = precision == "bf16"
        stages = ((name, self._form(name, stage, device)) for name, stage in part.named_children())
        self.stages = nn.Sequential(OrderedDict(stages)).to(memory_format=torch.channels_last)

    def _form(self, name: str, stage: nn.Module, device: torch.device) -> nn.Module:
        live = name in self.live
        running = pooled_first(sharing_copy(stage)) if live else folded(stage)
        if device.type == "cpu":
            running = in_channels_last(running)
        if isinstance(stage, CBAM) and live:
            return Fp32Gate(running)
        if not self.reduced:
            return running
        if not live:
            return running.to(torch.bfloat16)
        if isinstance(stage, SqueezeExcitation):
            return Fp32Gate(running)
        return Fp32Stage(running) if name == "head" else running

    def mode(self, training: bool) -> Running:
        """Live stages in training or eval mode; frozen ones stay in eval mode."""
        for name, stage in self.stages.named_children():
            stage.train(training and name in self.live)
        return self

    def forward(self, batch: Tensor) -> Tensor:
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        given = batch.dtype
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=self.reduced):
            return self.stages(batch.to(torch.bfloat16) if self.reduced else batch).to(given)


class Fp32Stage(nn.Module):
    """A stage that computes in fp32 whatever it is given."""

    def __init__(self, stage: nn.Module):
        super().__init__()
        self.stage = stage

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            return self.stage(inputs.float())


class Fp32Gate(Fp32Stage):
    """An SE or CBAM gate whose weights are found in at least fp32 and applied in the type of the maps."""

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            if isinstance(self.stage, SqueezeExcitation):
                wide = torch.promote_types(maps.dtype, torch.float32)
                weights = self.stage.gate[2:](maps.mean((2, 3), dtype=wide))
                return maps * weights[:, :, None, None].to(maps.dtype)
            shared = self.stage.channel.shared
            score = sum(shared(each.flatten(1)) for each in _MeanAndMaximum.apply(maps, (2, 3)))
            maps = maps * score.sigmoid()[:, :, None, None].to(maps.dtype)
            summary = torch.cat(_MeanAndMaximum.apply(maps, (1,)), 1)
            return maps * self.stage.spatial.convolution(summary).sigmoid().to(maps.dtype)


class _MeanAndMaximum(torch.autograd.Function):
    """(maps, dimensions) -> mean and maximum over these, kept as 1, in at least fp32.

    The gradient of both in two passes over the maps, in their own layout; PyTorch needs eight, some of them across
    it. Equal maxima share theirs, as in `amax`.
    """

    @staticmethod
    def forward(ctx, maps: Tensor, dimensions: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(maps.dtype, torch.float32)
        mean = maps.mean(dimensions, keepdim=True, dtype=wide)
        top = maps.amax(dimensions, keepdim=True)
        ctx.save_for_backward(maps, top)
        ctx.dimensions = dimensions
        return mean, top.to(wide)

    @staticmethod
    def backward(ctx, of_mean: Tensor, of_top: Tensor) -> tuple[Tensor, None]:
        maps, top = ctx.saved_tensors
        highest = maps == top
        everywhere = of_mean * (top.numel() / maps.numel())
        # as bytes, because truth values are counted one by one
        many = highest.view(torch.uint8).sum(ctx.dimensions, keepdim=True, dtype=torch.int32)
        there = everywhere + of_top / many
        return torch.where(highest, there.to(maps.dtype), everywhere.to(maps.dtype)), None


def sharing_copy(stage: nn.Module) -> nn.Module:
    """A copy of a module tree that shares every parameter and buffer with it."""
    tensors = (*stage.parameters(), *stage.buffers())
    return deepcopy(stage, {id(tensor): tensor for tensor in tensors})
