"""The part of a network that runs in each training step: everything behind the cached frozen prefix.

Live stages are the network's own modules, so what the optimiser changes is the network. Frozen stages are folded copies
(`als_core.models.folding`): their batch norm is part of their convolutions. Feature maps lie channels-last.
In `bf16` the stages run under autocast and frozen weights are bf16; the head, the loss and Adam stay fp32.
"""

from __future__ import annotations

import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from als_core.models.folding import folded
from als_core.refusal import Problem, refuse_if
from als_core.training.recipe import Recipe

COMPILERS = ("g++", "clang++")


class TrainableTail(nn.Module):
    """Stages in the form in which they train, (b, ...) -> class scores (b, classes) of at least fp32.

    stages : nn.Sequential
        Stages of a network from the first that is not frozen on; the last is the head.
    live : collection of str
        Names of the stages that train, or whose batch norm follows the batches.
    precision : "fp32" or "bf16"
    """

    def __init__(self, stages: nn.Sequential, live: Collection[str], precision: str):
        super().__init__()
        self.live = frozenset(live)
        self.reduced = precision == "bf16"
        forms = OrderedDict((name, self._form(name, stage)) for name, stage in stages.named_children())
        name, self.head = forms.popitem()
        self.head_is_live = name in self.live
        self.body = nn.Sequential(forms).to(memory_format=torch.channels_last)

    def _form(self, name: str, stage: nn.Module) -> nn.Module:
        if name in self.live:
            return stage
        return folded(stage).to(torch.bfloat16) if self.reduced else folded(stage)

    def mode(self, training: bool) -> TrainableTail:
        """Put live stages in training or eval mode; frozen ones stay in eval mode."""
        for name, stage in self.body.named_children():
            stage.train(training and name in self.live)
        self.head.train(training and self.head_is_live)
        return self

    def forward(self, batch: Tensor) -> Tensor:
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        if not self.reduced:
            return self.head(self.body(batch))
        with torch.autocast(batch.device.type, torch.bfloat16):
            features = self.body(batch.to(torch.bfloat16))
        return self.head(features.float())


def maybe_compile(recipe: Recipe, tail: TrainableTail) -> Callable[[Tensor], Tensor]:
    """Return what a training step of the recipe calls: `tail`, or its compiled form.

    Whole batches are compiled. The images left over at the end of an epoch go through `tail`, because each other
    batch size would be compiled again. Compiling takes one to two minutes a network.

    Raises
    ------
    RefusedInput
        Where the recipe asks for compiling and there is no C++ compiler.
    """
    if not recipe.compiled:
        return tail
    refuse_if(f"Compiling {recipe.name}", _missing_compiler())
    compiled = torch.compile(tail, dynamic=False)
    return lambda batch: compiled(batch) if len(batch) == recipe.batch_size else tail(batch)


def _missing_compiler() -> list[Problem]:
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
    if any(shutil.which(each) for each in wanted):
        return []
    remedy = "Install one (Debian: g++), name yours in CXX, or leave the recipe's `compiled` at False."
    return [Problem("C++ compiler", f"no {' or '.join(wanted)} on the PATH", "one of them", remedy)]
