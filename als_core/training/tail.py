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
from torch.autograd.function import once_differentiable

from als_core.models.attention import CBAM, SqueezeExcitation
from als_core.models.cpu_forms import for_cpu
from als_core.models.folding import folded, pooled_first
from als_core.models.gated_maps import gated
from als_core.models.transitions import FrozenTransition, GatedTransition, channel_means


class TrainableTail(nn.Module):
    """Stages in the form they run in, (b, ...) of the network's floating type -> class scores of that type.

    Maps may come in bf16 as well where the stages run in it; scores are then fp32.
    """

    def __init__(self, part: nn.Sequential, live: Collection[str], precision: str, device: torch.device):
        super().__init__()
        self.live = frozenset(live)
        self.reduced = precision == "bf16"
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for name, stage in part.named_children():
            form = self._form(name, stage, device)
            before = next(reversed(stages), "")
            if isinstance(form, FrozenTransition) and isinstance(stages.get(before), Fp32Squeeze):
                stages[before] = GatedTransition(stages[before].stage, form)
            else:
                stages[name] = form
        self.stages = nn.Sequential(stages).to(memory_format=torch.channels_last)

    def _form(self, name: str, stage: nn.Module, device: torch.device) -> nn.Module:
        live = name in self.live
        running = pooled_first(sharing_copy(stage)) if live else folded(stage)
        if self.reduced and not live:
            running.to(torch.bfloat16)
        if device.type == "cpu":
            running = for_cpu(running)
        if not live:
            return running
        if isinstance(stage, SqueezeExcitation):
            return Fp32Squeeze(running)
        if isinstance(stage, CBAM):
            return Fp32Gate(running)
        return Fp32Stage(running) if name == "head" and self.reduced else running

    def mode(self, training: bool) -> TrainableTail:
        """Live stages in training or eval mode; frozen ones stay in eval mode."""
        for name, stage in self.stages.named_children():
            stage.train(training and name in self.live)
        return self

    def forward(self, batch: Tensor) -> Tensor:
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        given = torch.promote_types(batch.dtype, torch.float32)
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


class Fp32Squeeze(Fp32Stage):
    """An SE gate whose weights are found in at least fp32 and applied in the type of the maps."""

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            maps, means = channel_means(maps)
            return maps * self.stage.of_means(means)[:, :, None, None].to(maps.dtype)


class Fp32Gate(Fp32Stage):
    """A CBAM gate whose weights are found in at least fp32 and applied in the type of the maps."""

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            maps, *summary = mean_and_maximum(maps)
            score = sum(self.stage.channel.shared(each) for each in summary)
            return gated(maps, score.sigmoid(), self.stage.spatial.convolution.weight)


def mean_and_maximum(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The maps (b, c, h, w), and their mean and maximum over places, (b, c), in at least fp32.

    Whoever goes on with the maps takes those that come out: their gradient then takes up that of mean and maximum in
    one pass in the maps' own layout; PyTorch needs ten, some of them across it. Equal maxima share theirs, as in `amax`.
    """
    if torch.compiler.is_compiling() or maps.device.type != "cpu":  # counting maxima makes a GPU wait
        return maps, *_mean_and_maximum(maps)
    return _MeanAndMaximum.apply(maps)


def _mean_and_maximum(maps: Tensor) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(maps.dtype, torch.float32)
    return maps.mean((2, 3), dtype=wide), maps.amax((2, 3)).to(wide)


class _MeanAndMaximum(torch.autograd.Function):
    """`mean_and_maximum` with the gradient that its caller promises."""

    @staticmethod
    def forward(ctx, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, top = _mean_and_maximum(maps)
        ctx.save_for_backward(maps, top)
        return maps.view_as(maps), mean, top

    @staticmethod
    @once_differentiable
    def backward(ctx, of_maps: Tensor, of_mean: Tensor, of_top: Tensor) -> Tensor:
        maps, top = ctx.saved_tensors
        places, channels = maps[0, 0].numel(), maps.shape[1]
        answer = of_maps + (of_mean / places).to(maps.dtype)[:, :, None, None]
        # positions in memory of all maxima, and which maximum each of them is
        hits = (maps == top.to(maps.dtype)[:, :, None, None]).permute(0, 2, 3, 1).flatten().nonzero()[:, 0]
        which = hits // (places * channels) * channels + hits % channels
        share = of_top.flatten() / torch.bincount(which, minlength=top.numel())
        # it is contiguous; were it not, `view` would say so
        answer = answer.contiguous(memory_format=torch.channels_last)
        answer.permute(0, 2, 3, 1).view(-1).index_add_(0, hits, share.to(maps.dtype)[which])
        return answer


def sharing_copy(stage: nn.Module) -> nn.Module:
    """A copy of a module tree that shares every parameter and buffer with it."""
    tensors = (*stage.parameters(), *stage.buffers())
    return deepcopy(stage, {id(tensor): tensor for tensor in tensors})
