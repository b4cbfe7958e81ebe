"""The classifiers of Miao et al. 2023 on crops: a frozen base, a trained head, grids of learning rate and batch size.

Section 2.4 trains for 20 epochs; Fig. 11, 13 and 15 vary learning rate and batch size. Optimiser, loss and image
size are not printed: here Adam on cross-entropy. What is learnt from and judged on is in `crop_trials`.

The base is frozen, so its output is computed once per image, and all heads of a protocol are trained
together on it (`als_core.training.heads`). The variant `last block` trains the last block of the base too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from als_core.models.stages import IMAGENET_SCALING, Scaling, StagedNetwork, first_live_stage, seeded
from als_core.models.weights import WeightsChoice, available_weights, load_weights
from als_core.studies.miao2023.networks import CROP_NETWORKS, build_crop_network
from als_core.studies.miao2023.splits import Pool, Trial
from als_core.training.features import (
    Inputs,
    as_input,
    cohort_scaling,
    frozen_inputs,
)
from als_core.training.fit import class_scores, fit
from als_core.training.heads import stacked, train_heads
from als_core.training.images import resized
from als_core.training.recipe import Recipe

LEARNING_RATES = (1e-4, 5e-4, 1e-3)
BATCH_SIZES = (128, 32, 16)
EPOCHS = 20
GRID = tuple((rate, batch) for batch in BATCH_SIZES for rate in LEARNING_RATES)
"""The nine cells of Fig. 11, 13 and 15, in printed order: (learning rate, batch size)."""
PLOTTED: Mapping[str, tuple[float, int]] = MappingProxyType(
    {"vgg16": (1e-3, 256), "resnet50": (1e-4, 16), "mobilenet_v3": (1e-3, 32)}
)
"""The configuration whose course is printed: Fig. 10; Fig. 12 and 14; Fig. 16 and 17."""


class Trained(NamedTuple):
    """predictions: one row a trial and test image: protocol, number, crop, copy, case, truth, score (of ALS,
    0..1). logs: one row a trial and epoch: protocol, number, epoch, loss, accuracy, of the training images
    while they are learnt from, as Keras prints them. Both start with network, learning_rate, batch_size."""

    predictions: pd.DataFrame
    logs: pd.DataFrame


def crop_recipe(
    network: str,
    learning_rate: float,
    batch_size: int,
    *,
    side: int,
    epochs: int = EPOCHS,
    variant: str = "frozen base",
) -> Recipe:
    """The recipe of a cell. No weight decay and no choice of epoch: the paper mentions neither."""
    entry = CROP_NETWORKS[network]
    return Recipe(
        entry.display, network, variant, learning_rate, batch_size, epochs, 0.0, entry.variants[variant],
        side=side, copies=1, checkpoint="last epoch",
    )  # fmt: skip


class Base(NamedTuple):
    """A network with its weights, how pixels are scaled for it, and one sentence on its weights."""

    network: StagedNetwork
    scaling: Scaling
    sentence: str


def crop_base(name: str, weights: str, images: np.ndarray, side: int, variant: str = "frozen base") -> Base:
    """A network with named weights (`als_core.models.weights`).

    images: crops uint8 (n, H, H, 3). Pretrained weights get pixels scaled as ImageNet's were. `random` ones get
    them scaled by the crops' own mean and sd, and measure their batch-norm statistics on them; neither knows
    a label.
    """
    network = build_crop_network(name, side=side, variant=variant, seed=0)
    small = resized(images, side)
    scaling = cohort_scaling(small) if weights == "random" else IMAGENET_SCALING
    loaded = load_weights(network, weights, images=as_input(torch.from_numpy(small), scaling))
    return Base(network, scaling, loaded.sentence)


def base_inputs(base: Base, pool: Pool, stages: int, folder: Path | None, device: torch.device) -> Inputs:
    """What the first `stages` stages give for every image of the pool; kept in `folder` where one is named."""
    prefix = base.network.stages[:stages]
    return frozen_inputs(prefix, [pool.images], base.scaling, device=device, folder=folder)


def base_features(base: Base, pool: Pool, folder: Path | None, device: torch.device) -> Tensor:
    """What the head is fed for every image of the pool, float32 (m, C)."""
    inputs = base_inputs(base, pool, len(base.network.stages) - 1, folder, device)
    return inputs.batch(torch.arange(len(inputs)))


def train_trials(
    recipe: Recipe, features: Tensor, pool: Pool, trials: Sequence[Trial], cases: np.ndarray, seed: int
) -> Trained:
    """Train one head a trial on the base's features and score its test images.

    features: (m, C), one row an image of the pool. cases: (crops,). seed: initial values and order of images.
    """
    predictions, logs = [], []
    for size in dict.fromkeys(len(trial.train) for trial in trials):
        company = [trial for trial in trials if len(trial.train) == size]
        seeds = [seed + trial.number for trial in company]
        starts = stacked([_linear(features.shape[1], each) for each in seeds]).to(features.device)
        labels = torch.from_numpy(np.stack([trial.labels[pool.pairs[:, 0]] for trial in company]))
        train = torch.from_numpy(np.stack([pool.rows(trial.train) for trial in company]))
        nothing = torch.empty(0, dtype=torch.int64)
        heads = train_heads(
            recipe, features, labels.long().to(features.device), train, nothing, starts, seeds
        )
        scores = heads.scores(features).double().softmax(2)[..., 1].cpu().numpy()  # (K, m)
        for trial, score, history in zip(company, scores, heads.histories, strict=True):
            predictions.append(_predicted(trial, score[pool.rows(trial.test)], cases))
            logs.append(_log(trial, history))
    return Trained(*(_told(tables, recipe) for tables in (predictions, logs)))


def train_cells(
    network: str,
    cells: Iterable[tuple[float, int]],
    features: Tensor,
    pool: Pool,
    trials: Sequence[Trial],
    cases: np.ndarray,
    seed: int,
    epochs: int = EPOCHS,
) -> Trained:
    """`train_trials` for every cell (learning rate, batch size) of a grid, one after the other."""
    side = pool.images.shape[1]
    trained = [
        train_trials(
            crop_recipe(network, *cell, side=side, epochs=epochs), features, pool, trials, cases, seed
        )
        for cell in cells
    ]
    return Trained(*(pd.concat(tables, ignore_index=True) for tables in zip(*trained, strict=True)))


def train_last_block(
    network: str,
    weights: str,
    images: np.ndarray,
    cell: tuple[float, int],
    pool: Pool,
    trials: Sequence[Trial],
    cases: np.ndarray,
    seed: int,
    *,
    epochs: int,
    device: torch.device,
) -> Trained:
    """As `train_trials` for the variant in which the last block of the base trains with the head.

    images: the crops, for `crop_base`. The stages before that block stay frozen and run once per image.
    """
    side = pool.images.shape[1]
    recipe = crop_recipe(network, *cell, side=side, epochs=epochs, variant="last block")
    base = crop_base(network, weights, images, side, "last block")
    inputs = base_inputs(base, pool, first_live_stage(base.network), None, device)
    nothing = torch.empty(0, dtype=torch.int64)
    predictions, logs = [], []
    for trial in trials:
        trained = deepcopy(base.network).to(device)
        labels = torch.from_numpy(trial.labels[pool.pairs[:, 0]]).long()
        train, test = (torch.from_numpy(pool.rows(part)) for part in (trial.train, trial.test))
        fitted = fit(recipe, trained, inputs, labels, train, nothing, seed + trial.number)
        scores = class_scores(recipe, trained, inputs, test).double().softmax(1)[:, 1].cpu().numpy()
        predictions.append(_predicted(trial, scores, cases))
        logs.append(_log(trial, fitted.history))
    return Trained(*(_told(tables, recipe) for tables in (predictions, logs)))


def settle_weights(wanted: str) -> WeightsChoice:
    """The weights that all three bases get: `imagenet`, `random`, or `imagenet if cached`, and why.

    `imagenet` downloads what is not cached (650 MB) and refuses to do without; `imagenet if cached` takes random
    weights where one of the three files is not there, so that the networks stay comparable.
    """
    backbones = [entry.backbone for entry in CROP_NETWORKS.values()]
    if wanted == "imagenet if cached":
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        lacking = [
            entry.display
            for entry in CROP_NETWORKS.values()
            if not (cache / entry.backbone.imagenet.url.rsplit("/", 1)[-1]).exists()
        ]
        if lacking:
            return WeightsChoice(
                "random",
                f"No ImageNet weights of {', '.join(lacking)} are cached here, so the bases of all three networks have random weights.",
            )
    choices = [available_weights(wanted.removesuffix(" if cached"), backbone) for backbone in backbones]
    return WeightsChoice(choices[0].name, " ".join(dict.fromkeys(choice.reason for choice in choices)))


def train_network(
    network: str,
    cells: Iterable[tuple[float, int]],
    images: np.ndarray,
    pool: Pool,
    trials: Sequence[Trial],
    cases: np.ndarray,
    seed: int,
    *,
    weights: str,
    epochs: int,
    features: Path | None,
    device: torch.device,
) -> Trained:
    """Every trial for the given cells of one network. images: the crops, for `crop_base`. features: where the
    base's output is kept, None to keep it in memory."""
    base = crop_base(network, weights, images, pool.images.shape[1])
    given = base_features(base, pool, features, device)
    return train_cells(network, cells, given, pool, trials, cases, seed, epochs)


def _predicted(trial: Trial, scores: np.ndarray, cases: np.ndarray) -> pd.DataFrame:
    crops, copies = trial.test.T
    told = {"protocol": trial.protocol, "number": trial.number, "crop": crops, "copy": copies}
    return pd.DataFrame(told | {"case": cases[crops], "truth": trial.labels[crops], "score": scores})


def _log(trial: Trial, history: pd.DataFrame) -> pd.DataFrame:
    named = {"protocol": trial.protocol, "number": trial.number, "epoch": history["epoch"]}
    return pd.DataFrame(named | {"loss": history["train_loss"], "accuracy": history["train_accuracy"]})


def _told(tables: Sequence[pd.DataFrame], recipe: Recipe) -> pd.DataFrame:
    told = {name: getattr(recipe, name) for name in ("network", "learning_rate", "batch_size")}
    return pd.concat(
        [pd.DataFrame(told, index=table.index).join(table) for table in tables], ignore_index=True
    )


def _linear(features: int, seed: int) -> nn.Linear:
    with seeded(seed):
        return nn.Linear(features, 2)
