"""Linear heads on fixed features: all seeds of a recipe at once, as one batched layer with Adam by hand.

Where all but the last linear layer is frozen, a run is a logistic regression trained by Adam. K of them
share the features and differ in initial values and order of images, and in labels and training rows
if asked, so K matrices are stacked and each step is three batched operations. It is `torch.optim.Adam`
on cross-entropy, step by step; the accuracy curves equal those of the plain loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from als_core.training.epochs import (
    as_history,
    epoch_generator,
    is_better,
    raise_if_diverged,
    raise_if_not_finite,
    require_validation,
)
from als_core.training.recipe import Recipe

BETAS, EPSILON = (0.9, 0.999), 1e-8  # the defaults of torch.optim.Adam, which Table 3 does not change


@dataclass(frozen=True)
class Heads:
    """K trained heads.

    weights: (K, C + 1, classes), the bias as last row, of the epoch that the checkpoint rule kept.
    histories: one a head, columns as `epochs.HISTORY`. chosen_epochs: (K,), from 1.
    """

    weights: Tensor
    histories: tuple[pd.DataFrame, ...]
    chosen_epochs: np.ndarray

    def scores(self, features: Tensor) -> Tensor:
        """Class scores (logits) of every head for features (n, C): (K, n, classes)."""
        return _with_one(features.to(self.weights)) @ self.weights


def stacked(heads: Sequence[nn.Linear]) -> Tensor:
    """Initial values of linear layers (C -> classes) as (K, C + 1, classes), the bias as last row."""
    return torch.stack([torch.cat([head.weight.T, head.bias[None]]) for head in heads]).detach().clone()


def unstacked(weights: Tensor) -> dict[str, Tensor]:
    """One head's (C + 1, classes) as the state of its linear layer."""
    return {"weight": weights[:-1].T.contiguous(), "bias": weights[-1].contiguous()}


def train_heads(
    recipe: Recipe,
    features: Tensor,
    labels: Tensor,
    train: Tensor,
    validation: Tensor,
    starts: Tensor,
    seeds: Sequence[int],
) -> Heads:
    """Train K linear heads for the recipe's epochs.

    features: (N, C) of any floating type; computing is in the type of `starts`. labels: int64 (N,), or
    (K, N) for a head with labels of its own (permuted ones, say). train: rows (n,), or (K, n).
    validation: rows (m,) or (K, m), possibly none. starts: (K, C + 1, classes). seeds: K, for the order
    of images (`epochs.epoch_generator`, as in `fit`). Features, labels and starts are on one device.
    Raises `Diverged`, and ValueError where the recipe needs validation rows and there are none,
    or the recipe mirrors images or follows a plateau, which heads on fixed features do not do.
    """
    if recipe.flip or recipe.plateau:
        raise ValueError(f"{recipe.title}: mirrored images or a plateau schedule need `fit.fit`")
    require_validation(recipe, validation.numel())
    if len(seeds) == 1:
        # one matrix alone takes other routines than a stack, which round otherwise
        pair = train_heads(
            recipe, features, labels.expand(2, -1), train.expand(2, -1), validation.expand(2, -1),
            starts.expand(2, -1, -1), [*seeds, *seeds],
        )  # fmt: skip
        return Heads(pair.weights[:1], pair.histories[:1], pair.chosen_epochs[:1])
    device, dtype = starts.device, starts.dtype
    count, classes = len(seeds), starts.shape[2]
    labels = labels.expand(count, len(features))
    train, validation = train.expand(count, -1).to(device), validation.expand(count, -1).to(device)
    one_hot = nn.functional.one_hot(labels, classes).to(dtype)  # (K, N, classes)
    inputs = _with_one(features.to(dtype))  # (N, C + 1)
    head = torch.arange(count, device=device)[:, None]

    weights = starts.clone()
    mean, square = torch.zeros_like(weights), torch.zeros_like(weights)
    kept, best, chosen = weights.clone(), np.full(count, -np.inf), np.zeros(count, dtype=int)
    rows: list[list[list[float]]] = [[] for _ in seeds]
    steps = 0
    for epoch in tqdm(
        range(1, recipe.epochs + 1), f"{recipe.name}, {count} heads", unit="epoch", disable=None
    ):
        shuffles = [torch.randperm(train.shape[1], generator=epoch_generator(seed, epoch)) for seed in seeds]
        order = train.gather(1, torch.stack(shuffles).to(device))
        loss_sum, right = torch.zeros(count, dtype=dtype, device=device), torch.zeros_like(head[:, 0])
        for picked in order.split(recipe.batch_size, dim=1):  # (K, b)
            steps += 1
            batch, target = inputs[picked], one_hot[head, picked]  # (K, b, C + 1), (K, b, classes)
            scores = torch.bmm(batch, weights)
            log_shares = scores.log_softmax(2)
            loss_sum -= (log_shares * target).sum((1, 2))
            right += (scores.argmax(2) == labels.gather(1, picked)).sum(1)
            error = (log_shares.exp() - target).div_(picked.shape[1])
            # weight decay as torch.optim.Adam has it: an L2 term of the gradient, the bias included
            gradient = torch.baddbmm(weights, batch.transpose(1, 2), error, beta=recipe.weight_decay)
            mean.lerp_(gradient, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            spread = (square.sqrt() / (1 - BETAS[1] ** steps) ** 0.5).add_(EPSILON)
            weights.addcdiv_(mean, spread, value=-recipe.learning_rate / (1 - BETAS[0] ** steps))
        losses, accuracies = (loss_sum / order.shape[1]).tolist(), (right.double() / order.shape[1]).tolist()
        for seed, loss in zip(seeds, losses, strict=True):
            raise_if_diverged(recipe, seed, epoch, loss, classes)
        validation_loss, validation_accuracy = _validate(inputs, one_hot, validation, weights)
        for k in range(count):
            rows[k].append([epoch, losses[k], accuracies[k], validation_loss[k], validation_accuracy[k],
                            recipe.learning_rate])  # fmt: skip
            if is_better(recipe, validation_accuracy[k], best[k]):
                kept[k], best[k], chosen[k] = weights[k], validation_accuracy[k], epoch
    for seed, epoch, head in zip(seeds, chosen, kept, strict=True):
        raise_if_not_finite(recipe.title, seed, int(epoch), head, "weight")
    return Heads(kept, tuple(as_history(each) for each in rows), chosen)


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


def _validate(
    inputs: Tensor, one_hot: Tensor, rows: Tensor, weights: Tensor
) -> tuple[list[float], list[float]]:
    """Mean cross-entropy and accuracy of each head on its rows (K, m); NaN where m is 0."""
    target = one_hot[torch.arange(len(rows), device=rows.device)[:, None], rows]
    scores = torch.bmm(inputs[rows], weights)
    loss = -(scores.log_softmax(2) * target).sum(2).mean(1)
    accuracy = (scores.argmax(2) == target.argmax(2)).double().mean(1)
    return loss.tolist(), accuracy.tolist()
