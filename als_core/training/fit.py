"""The fit loop: one run of a recipe on CPU or GPU, on images or on a frozen prefix's output.

An interrupted run goes on from the last state it saved and ends with the same bits on a CPU with the same number of
threads: a state holds weights, optimiser, history and the weights kept so far, and all that is random in an epoch is
drawn from generators made of the run's seed and the epoch's number.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm import tqdm

from als_core.models.stages import first_live_stage, live_stages, seeded
from als_core.storage import atomic_write
from als_core.training.epochs import (
    accuracy_and_loss,
    as_history,
    epoch_generator,
    epoch_seed,
    is_better,
    raise_if_diverged,
    raise_if_not_finite,
    require_validation,
)
from als_core.training.features import Inputs
from als_core.training.recipe import Recipe
from als_core.training.tail import TrainableTail, maybe_compile

EVALUATION_BATCH = 64


@dataclass(frozen=True)
class Fitted:
    """What training left: the history (columns `epochs.HISTORY`) and the epoch whose weights the network has."""

    history: pd.DataFrame
    chosen_epoch: int


@dataclass
class _Progress:
    """How far a run is: history so far, best validation accuracy, its epoch and, unless the last epoch counts, its weights."""

    history: list[list[float]] = field(default_factory=list)
    best: float = -np.inf
    chosen: int = 0
    kept: dict[str, Tensor] | None = None


def fit(
    recipe: Recipe,
    network: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    train: Tensor,
    validation: Tensor,
    seed: int,
    *,
    state: Path | None = None,
    save_every: int = 10,
) -> Fitted:
    """Train `network` in place and leave it in eval mode with the weights the checkpoint rule kept.

    Parameters
    ----------
    recipe : Recipe
    network : nn.Module
        Stages with what trains set (`models.stages.set_trainable`), on the device of `inputs`.
    inputs : Inputs
        Images, or the output of `stages[:first_run_stage(recipe, network)]` for them where that is not 0.
    labels : int64 (N,)
        One a row of inputs.
    train, validation : int64 (n,)
        Rows.
    seed : int
        Of the order of images, mirroring and dropout.
    state : Path or None
        A file of this run's own, saved every `save_every` epochs; training goes on from it where it exists. The
        caller removes it once the results are written.

    Raises
    ------
    Diverged
        Where the loss, a score or a weight is not finite, or the loss is far above that of guessing.
    ValueError
        Where the recipe needs validation rows and there are none.
    RefusedInput
        Where the recipe is to be compiled and there is no compiler.
    """
    require_validation(recipe, len(validation))
    device, labels = inputs.device, labels.to(inputs.device)
    classes = int(labels.max()) + 1
    trained = network.stages[first_run_stage(recipe, network) :]
    tail = build_tail(recipe, network)
    step = maybe_compile(recipe, tail)
    optimizer = torch.optim.Adam(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    schedule = _schedule(recipe, optimizer)
    parts = {"part": trained, "optimizer": optimizer} | ({"schedule": schedule} if schedule else {})
    progress = _resume(state, parts)

    done = len(progress.history)
    epochs = range(done + 1, recipe.epochs + 1)
    title = f"{recipe.name}, seed {seed}"
    for epoch in tqdm(epochs, title, recipe.epochs, unit="epoch", initial=done, disable=None):
        rate = optimizer.param_groups[0]["lr"]

        # train: every row once, in an order of this epoch
        generator = epoch_generator(seed, epoch)
        order = train[torch.randperm(len(train), generator=generator)]
        mirrored = torch.rand(len(train), generator=generator) < 0.5
        loss_sum, correct = torch.zeros(2, dtype=torch.float64, device=device)
        tail.mode(training=True)
        with seeded(epoch_seed(seed, epoch), device):
            batches = zip(order.split(recipe.batch_size), mirrored.split(recipe.batch_size), strict=True)
            for rows, flips in batches:
                target = labels[rows.to(device)]
                scores = step(inputs.batch(rows, flips if recipe.flip else None))  # (b, classes)
                loss = cross_entropy(scores, target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss_sum += loss.detach() * len(rows)
                correct += (scores.argmax(1) == target).sum()
        train_loss, train_accuracy = loss_sum.item() / len(train), correct.item() / len(train)
        raise_if_diverged(recipe, seed, epoch, train_loss, classes)

        # validate: keep the weights of the best epoch, lower the learning rate on a plateau
        scores = _scores(tail, inputs, validation)
        raise_if_not_finite(recipe.title, seed, epoch, scores, "validation score")
        accuracy, validation_loss = accuracy_and_loss(scores, labels[validation.to(device)])
        if schedule:
            schedule.step(validation_loss)
        progress.history.append([epoch, train_loss, train_accuracy, validation_loss, accuracy, rate])
        if is_better(recipe, accuracy, progress.best):
            progress.best, progress.chosen = accuracy, epoch
            if recipe.checkpoint != "last epoch":  # the network ends with those by itself
                progress.kept = deepcopy(trained.state_dict())
        if state is not None and (epoch % save_every == 0 or epoch == recipe.epochs):
            _save(state, parts, progress)
    if progress.kept is not None:
        trained.load_state_dict(progress.kept)
    network.eval()
    return Fitted(as_history(progress.history), progress.chosen)


def first_run_stage(recipe: Recipe, network: nn.Module) -> int:
    """Return the index of the first stage that runs in each step; stages before it are the cached frozen prefix.

    The first live stage, or 0 where images are mirrored at random: a mirrored image has other feature maps.
    """
    return 0 if recipe.flip else first_live_stage(network)


def build_tail(recipe: Recipe, network: nn.Module) -> TrainableTail:
    """Return what each step runs of a network, sharing everything that trains with it."""
    stages = network.stages[first_run_stage(recipe, network) :]
    return TrainableTail(stages, live_stages(network), recipe.precision)


def class_scores(recipe: Recipe, network: nn.Module, inputs: Inputs, rows: Tensor) -> Tensor:
    """Return scores (logits) of rows of `inputs`, (n, classes), all stages in eval mode. inputs: as in `fit`."""
    return _scores(build_tail(recipe, network), inputs, rows)


@torch.no_grad()
def _scores(tail: TrainableTail, inputs: Inputs, rows: Tensor) -> Tensor:
    tail.mode(training=False)
    scores = [tail(inputs.batch(batch)) for batch in rows.split(EVALUATION_BATCH)]
    return torch.cat(scores) if scores else torch.empty(0, 1, dtype=inputs.dtype, device=inputs.device)


def _schedule(recipe: Recipe, optimizer: torch.optim.Optimizer) -> ReduceLROnPlateau | None:
    if recipe.plateau is None:
        return None
    plateau = recipe.plateau
    return ReduceLROnPlateau(
        optimizer, factor=plateau.factor, patience=plateau.patience, min_lr=plateau.minimum
    )


def _resume(state: Path | None, parts: dict[str, Any]) -> _Progress:
    """Load what an interrupted run saved into `parts` and return how far it was."""
    if state is None or not state.exists():
        return _Progress()
    saved = torch.load(state, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return _Progress(**saved["progress"])


def _save(state: Path, parts: dict[str, Any], progress: _Progress) -> None:
    saved = {name: part.state_dict() for name, part in parts.items()}
    with atomic_write(state) as temporary:
        torch.save(saved | {"progress": vars(progress)}, temporary)
