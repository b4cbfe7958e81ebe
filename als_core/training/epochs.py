"""What every way of training shares in an epoch: order of images, history, divergence, checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from als_core.training.recipe import Recipe

DIVERGED_AT = 100.0
"""Training has diverged when its loss is this many times the loss of guessing, ln(number of classes)."""

HISTORY = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate")
"""Columns of a history: training figures are means over the epoch's batches, each taken before its step,
in training mode; validation figures are taken after the epoch, in eval mode. Epochs count from 1."""


class Diverged(RuntimeError):
    """Training was stopped: a value is not finite, or the loss is far above that of guessing."""

    def __init__(self, recipe: str, seed: int, epoch: int, cause: str):
        self.recipe, self.seed, self.epoch, self.cause = recipe, seed, epoch, cause
        super().__init__(f"{recipe}, seed {seed}: {cause} in epoch {epoch}; the run was stopped")

    def __reduce__(self):
        return type(self), (self.recipe, self.seed, self.epoch, self.cause)


def raise_if_diverged(recipe: Recipe, seed: int, epoch: int, loss: float, n_classes: int) -> None:
    """Raise `Diverged` unless the epoch's training loss is below `DIVERGED_AT` times ln(n_classes)."""
    if not loss < DIVERGED_AT * log(n_classes):
        raise Diverged(recipe.title, seed, epoch, f"training loss {loss:g}")


def raise_if_not_finite(title: str, seed: int, epoch: int, values: Tensor, what: str = "value") -> None:
    """Raise `Diverged` where `values` are not all finite.

    title: of the recipe. what: name of a value for the message ("weight"). The loss of an epoch does not show the
    effect of its last step, so weights or scores are checked after it.
    """
    bad = int((~values.isfinite()).sum())
    if bad:
        raise Diverged(title, seed, epoch, f"{bad} of {values.numel()} {what}s not finite")


def require_validation(recipe: Recipe, samples: int) -> None:
    """Raise ValueError where checkpoint rule or plateau need validation samples and there are none."""
    if not samples and (recipe.checkpoint == "best validation" or recipe.plateau):
        raise ValueError(
            f"{recipe.title}: its checkpoint rule or schedule needs validation samples, and there are none"
        )


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of everything random in one epoch of a run; an interrupted run therefore resumes as it would have gone on."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Generator of one epoch's order of images (first) and of its mirrorings (after), on the CPU."""
    return torch.Generator().manual_seed(epoch_seed(seed, epoch))


def is_better(recipe: Recipe, validation_accuracy: float, best: float) -> bool:
    """Whether an epoch's weights replace those kept so far, by the recipe's checkpoint rule."""
    return recipe.checkpoint == "last epoch" or validation_accuracy > best


def as_history(rows: Sequence[Sequence[float]]) -> pd.DataFrame:
    """One row an epoch, columns `HISTORY`."""
    return pd.DataFrame(list(rows), columns=list(HISTORY)).astype({"epoch": int})


def accuracy_and_loss(scores: Tensor, labels: Tensor) -> tuple[float, float]:
    """Share of right answers and mean cross-entropy of scores (n, C); NaN of no samples."""
    if not len(labels):
        return float("nan"), float("nan")
    loss = torch.nn.functional.cross_entropy(scores, labels)
    return (scores.argmax(1) == labels).double().mean().item(), loss.item()
