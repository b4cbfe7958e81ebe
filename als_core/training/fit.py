"""The fit loop: one run of a recipe on CPU or GPU, on images or on a frozen prefix's output.

An interrupted run goes on from the last state it saved and ends with the same bits on a CPU with the
same number of threads: a state holds weights, optimiser, history and the weights kept so far, and all
that is random in an epoch is drawn from generators made of the run's seed and the epoch's number.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from als_core.models.stages import first_live_stage, live_stages
from als_core.storage import atomic_write
from als_core.training.compiling import maybe_compile
from als_core.training.epochs import (
    accuracy_and_loss,
    as_history,
    epoch_generator,
    epoch_seed,
    is_better,
    raise_if_diverged,
    raise_if_not_finite,
    require_validation,
    seeded_dropout,
)
from als_core.training.features import Inputs
from als_core.training.recipe import Recipe
from als_core.training.tail import TrainableTail

EVALUATION_BATCH = 64


@dataclass(frozen=True)
class Fitted:
    """What training left: the history (columns `course.HISTORY`) and the epoch whose weights the network has."""

    history: pd.DataFrame
    chosen_epoch: int


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

    network: stages with what trains set (`models.stages.set_trainable`), on the device of `inputs`.
    inputs: images, or what `stages[:first_run_stage(recipe, network)]` gives for them where that is
    not 0. labels: int64 (N,), one a row of inputs. train, validation: rows. seed: for the order of
    images, mirroring and dropout. state: a file of this run's own (named by its key), saved every
    `save_every` epochs and gone on from where it is there; whoever has written the results removes it.
    Raises `Diverged`, ValueError where the recipe needs validation rows and there are none, and RefusedInput where
    it is to be compiled and there is no compiler.
    """
    require_validation(recipe, len(validation))
    device, labels = inputs.device, labels.to(inputs.device)
    n_classes = int(labels.max()) + 1
    part = network.stages[first_run_stage(recipe, network) :]
    part.to(memory_format=torch.channels_last)
    running = build_tail(recipe, network, device)
    form = maybe_compile(recipe, running)
    optimizer = torch.optim.Adam(
        [each for each in network.parameters() if each.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,  # one pass over the weights instead of ten
    )
    schedule = recipe.plateau and torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        factor=recipe.plateau.factor,
        patience=recipe.plateau.patience,
        min_lr=recipe.plateau.minimum,
    )
    course: dict[str, Any] = {"history": [], "best": -np.inf, "chosen": 0, "kept": None}
    if state is not None and state.exists():
        saved = torch.load(state, map_location="cpu", weights_only=True)
        part.load_state_dict(saved["part"])
        optimizer.load_state_dict(saved["optimizer"])
        if schedule:
            schedule.load_state_dict(saved["schedule"])
        course = saved["course"]

    done = len(course["history"])
    title = f"{recipe.name}, seed {seed}"
    for epoch in tqdm(
        range(done + 1, recipe.epochs + 1), title, recipe.epochs, unit="epoch", initial=done, disable=None
    ):
        rate = optimizer.param_groups[0]["lr"]
        loss, accuracy = _train_epoch(recipe, running, form, inputs, labels, train, optimizer, seed, epoch)
        raise_if_diverged(recipe, seed, epoch, loss, n_classes)
        scores = _scores(running, inputs, validation)
        raise_if_not_finite(recipe.title, seed, epoch, scores)
        validation_accuracy, validation_loss = accuracy_and_loss(scores, labels[validation.to(device)])
        if schedule:
            schedule.step(validation_loss)
        course["history"].append([epoch, loss, accuracy, validation_loss, validation_accuracy, rate])
        if is_better(recipe, validation_accuracy, course["best"]):
            course |= {"best": validation_accuracy, "chosen": epoch}
            if recipe.checkpoint != "last epoch":  # the network ends with those by itself
                course["kept"] = deepcopy(part.state_dict())
        if state is not None and (epoch % save_every == 0 or epoch == recipe.epochs):
            now = {"part": part.state_dict(), "optimizer": optimizer.state_dict(), "course": course}
            with atomic_write(state) as temporary:
                torch.save(now | ({"schedule": schedule.state_dict()} if schedule else {}), temporary)
    if recipe.checkpoint != "last epoch":
        part.load_state_dict(course["kept"])
    network.eval()
    return Fitted(as_history(course["history"]), course["chosen"])


def first_run_stage(recipe: Recipe, network: nn.Module) -> int:
    """Index of the first stage that runs in each step; those before it are the cached frozen prefix.

    The first live stage, or 0 where images are mirrored at random: a mirrored image has other maps.
    """
    return 0 if recipe.flip else first_live_stage(network)


def build_tail(recipe: Recipe, network: nn.Module, device: torch.device) -> TrainableTail:
    """What each step runs of a network on `device`, sharing what trains with it."""
    part = network.stages[first_run_stage(recipe, network) :]
    return TrainableTail(part, live_stages(network), recipe.precision, device)


def class_scores(recipe: Recipe, network: nn.Module, inputs: Inputs, rows: Tensor) -> Tensor:
    """Scores (logits) of rows of `inputs`, (n, C) in the network's floating type, all stages in eval mode.

    inputs: as in `fit`.
    """
    return _scores(build_tail(recipe, network, inputs.device), inputs, rows)


@torch.no_grad()
def _scores(running: TrainableTail, inputs: Inputs, rows: Tensor) -> Tensor:
    running.mode(training=False)
    scores = [running(inputs.batch(batch)) for batch in rows.split(EVALUATION_BATCH)]
    return torch.cat(scores) if scores else torch.empty(0, 1, dtype=inputs.dtype, device=inputs.device)


def _train_epoch(
    recipe: Recipe,
    running: TrainableTail,
    form: Callable[[Tensor], Tensor],
    inputs: Inputs,
    labels: Tensor,
    train: Tensor,
    optimizer: torch.optim.Optimizer,
    seed: int,
    epoch: int,
) -> tuple[float, float]:
    """One pass over the training rows, through `running` as `form` calls it: mean loss and accuracy, each batch taken before its step."""
    generator = epoch_generator(seed, epoch)
    order = train[torch.randperm(len(train), generator=generator)]
    mirrored = torch.rand(len(train), generator=generator) < 0.5
    loss_sum = torch.zeros((), dtype=torch.float64, device=inputs.device)
    right = torch.zeros((), dtype=torch.int64, device=inputs.device)
    running.mode(training=True)
    with seeded_dropout(epoch_seed(seed, epoch), inputs.device):
        for rows, flips in zip(
            order.split(recipe.batch_size), mirrored.split(recipe.batch_size), strict=True
        ):
            target = labels[rows.to(inputs.device)]
            scores = form(inputs.batch(rows, flips if recipe.flip else None))
            loss = cross_entropy(scores, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(rows)
            right += (scores.argmax(1) == target).sum()
    return loss_sum.item() / len(train), right.item() / len(train)
