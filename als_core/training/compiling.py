"""A training step whose code `torch.compile` writes: a recipe's named choice.

It merges what lies between the convolutions, which pays where that is much of the work: a step of
Miniset-DenseSENet on a CPU, most of all in bf16. Writing the code takes one to two minutes a network and needs a
C++ compiler. The numbers are those of the other form to rounding, so a recipe's run has a key of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor

from als_core.refusal import Problem, refuse_if
from als_core.training.recipe import Recipe
from als_core.training.tail import TrainableTail

COMPILERS = ("g++", "clang++")


def maybe_compile(recipe: Recipe, running: TrainableTail) -> Callable[[Tensor], Tensor]:
    """What a training step of the recipe calls: `running` itself, or its compiled form.

    Batches of the recipe's size are compiled; the few images left over at the end of an epoch go through `running`,
    because each other size would be compiled anew. Raises RefusedInput where the recipe asks for compiling and
    there is no compiler.
    """
    if not recipe.compiled:
        return running
    refuse_if(f"Compiling {recipe.name}", _missing_compiler())
    compiled = torch.compile(running, dynamic=False)
    return lambda batch: compiled(batch) if len(batch) == recipe.batch_size else running(batch)


def _missing_compiler() -> list[Problem]:
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
    if any(shutil.which(each) for each in wanted):
        return []
    remedy = "Install one (Debian: g++), name yours in CXX, or leave the recipe's `compiled` at False."
    return [Problem("C++ compiler", f"no {' or '.join(wanted)} on the PATH", "one of them", remedy)]
