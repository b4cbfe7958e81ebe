"""Train the slides' network on brain volumes, patient by patient, and the linear stand-in used on null
cohorts.

Adam at 1e-4, batches of 5, 20 epochs, five folds: slide "Model" of Panagiotaras. The slides say neither how
folds were drawn nor which epoch was kept. Here no patient is in two parts of a fold, validation scans come
from the training folds and choose nothing, and the weights are those of the last epoch. Scans are read from
their memory-mapped files batch by batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from als_core.cohorts.splits import Split, guard
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import brain_box
from als_core.models.stages import seeded
from als_core.statistics.intervals import Interval, bootstrap_over_groups
from als_core.statistics.metrics import accuracy, one_confusion_each
from als_core.studies.brains.networks import VolumeNetwork, panagiotaras_network
from als_core.studies.brains.synthetic import BrainParameters
from als_core.training.epochs import (
    accuracy_and_loss,
    epoch_generator,
    epoch_seed,
    raise_if_not_finite,
)

LEARNING_RATE, BATCH = 1e-4, 5
FIELDS = ("1.5T", "3T")
CURVES = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class PanagiotarasAmounts:
    """How much of the slides' study a profile does; the defaults are the published sizes and repeats.

    Attributes
    ----------
    resolution : voxel side, mm
    variant : of the network, a key of `networks.PANAGIOTARAS_POOLS`; "published" sees the whole MNI grid,
        "small"
        the box around the brain
    fractions : share of the patients at each field strength
    effect : of disease in the synthetic brains (1: as `synthetic.DISEASES` states)
    patch : side of an occluded cube, mm
    null_cohorts, null_maps : draws that a value is compared with
    shown : voxel side of the scans in figures, mm
    """

    resolution: int = 1
    variant: Literal["published", "small"] = "published"
    fractions: tuple[float, float] = (1.0, 1.0)
    effect: float = 1.0
    epochs: int = 20
    folds: int = 5
    patch: int = 20
    null_cohorts: int = 200
    null_maps: int = 199
    shown: int = 2

    def brains(self, field: str) -> BrainParameters:
        """The synthetic cohort of a field strength, one of FIELDS."""
        return BrainParameters(
            structure=f"panagiotaras-{field}",
            fraction=self.fractions[FIELDS.index(field)],
            resolution=self.resolution,
            effect=self.effect,
        )

    @property
    def synthetic(self) -> dict[str, BrainParameters]:
        """The synthetic cohorts of both field strengths, as `cohorts.open_brains` takes them."""
        return {field: self.brains(field) for field in FIELDS}

    @property
    def box(self) -> Box:
        """The part of the MNI grid that the network sees."""
        return (slice(None),) * 3 if self.variant == "published" else brain_box(self.resolution)


def scans(cohort: VolumeCohort, rows: Sequence[int], box: Box) -> Tensor:
    """The box of these scans, float32 (n, 1, X, Y, Z), z-scored over the brain, 0 outside it."""
    return torch.from_numpy(np.array([cohort.volume(int(row))[box] for row in rows]))[:, None]


def patient_folds(
    cohort: VolumeCohort, number: int, seed: int, labels: np.ndarray | None = None
) -> list[Split]:
    """Stratified folds by patient: each fold is tested once, the next one is validation, the others train.

    labels: in place of the cohort's own, such as permuted ones; each needs at least `number` patients.
    Guarded: no patient is in two parts.
    """
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    labels = cohort.labels if labels is None else labels
    return _rotated(splitter.split(labels, labels, cohort.groups), cohort, "group")


def image_folds(
    cohort: VolumeCohort,
    number: int,
    seed: int,
    labels: np.ndarray | None = None,
    promise: Literal["image", "group"] = "image",
) -> list[Split]:
    """Stratified folds scan by scan: visits of one patient come into several parts.

    With the promise "group" the guard refuses such folds (RefusedInput); "image" allows them.
    """
    splitter = StratifiedKFold(number, shuffle=True, random_state=seed)
    labels = cohort.labels if labels is None else labels
    return _rotated(splitter.split(labels, labels), cohort, promise)


def _rotated(drawn, cohort: VolumeCohort, promise: Literal["image", "group"]) -> list[Split]:
    fold = np.empty(len(cohort), dtype=int)
    for number, (_, held) in enumerate(drawn):
        fold[held] = number
    count = fold.max() + 1
    splits = []
    for test in range(count):
        parts = np.where(fold == test, "test", np.where(fold == (test + 1) % count, "validation", "train"))
        split = Split(f"fold {test + 1} of {count}", promise, parts)
        splits.append(guard(split, cohort.groups, cohort.twins, cohort.samples["path"].tolist()))
    return splits


@dataclass(frozen=True)
class TrainedNetwork:
    """A network in eval mode with the weights of its last epoch, and its curves (columns CURVES).

    Training values are means over an epoch's batches, each measured before its step, with dropout;
    validation values are measured after the epoch, without dropout.
    """

    network: VolumeNetwork
    curves: pd.DataFrame


def train_volumes(
    cohort: VolumeCohort, train: np.ndarray, validation: np.ndarray, amounts: PanagiotarasAmounts, seed: int
) -> TrainedNetwork:
    """Train the slides' network on rows `train`, on a GPU where there is one; rows `validation` choose
    nothing.

    Initial values, order of scans and dropout follow from `seed`; no global generator is used. Raises
    `Diverged` for a non-finite loss or score.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    box = amounts.box
    network = panagiotaras_network(
        cohort.volume(int(train[0]))[box].shape, amounts.variant, seed=seed, classes=len(cohort.classes)
    ).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    labels, curves = torch.tensor(cohort.labels), []
    for epoch in range(1, amounts.epochs + 1):
        order = torch.randperm(len(train), generator=epoch_generator(seed, epoch)).numpy()
        loss_sum = right = 0.0
        network.train()
        with seeded(epoch_seed(seed, epoch), device):
            for rows in np.split(train[order], range(BATCH, len(train), BATCH)):
                scores = network(scans(cohort, rows, box).to(device))
                target = labels[rows].to(device)
                loss = cross_entropy(scores, target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss_sum += loss.item() * len(rows)
                right += (scores.argmax(1) == target).sum().item()
        network.eval()
        raise_if_not_finite(f"network of the slides ({amounts.variant})", seed, epoch, torch.tensor(loss_sum))
        scores_after = class_scores(network, cohort, validation, box).log_softmax(1)
        raise_if_not_finite(f"network of the slides ({amounts.variant})", seed, epoch, scores_after)
        validation_accuracy, validation_loss = accuracy_and_loss(scores_after, labels[validation])
        curves.append(
            (epoch, loss_sum / len(train), right / len(train), validation_loss, validation_accuracy)
        )
    return TrainedNetwork(network, pd.DataFrame(curves, columns=list(CURVES)))


@torch.inference_mode()
def class_scores(network: nn.Module, cohort: VolumeCohort, rows: np.ndarray, box: Box) -> Tensor:
    """Scores (logits) of these scans on the CPU, float32 (n, classes); a few scans in memory at a time."""
    device = next(network.parameters()).device
    parts = np.split(rows, range(BATCH, len(rows), BATCH))
    return torch.cat([network(scans(cohort, part, box).to(device)).cpu() for part in parts])


def predict(network: nn.Module, cohort: VolumeCohort, rows: np.ndarray, box: Box) -> pd.DataFrame:
    """Predict scans: one row a scan, columns scan, patient, label, predicted (class numbers), share.

    share: softmax of the first class.
    """
    shares = class_scores(network, cohort, rows, box).softmax(1).numpy()
    return prediction_table(rows, cohort.groups, cohort.labels, shares)


def prediction_table(
    rows: np.ndarray, groups: np.ndarray, labels: np.ndarray, shares: np.ndarray
) -> pd.DataFrame:
    answers = {"label": labels[rows], "predicted": shares.argmax(1), "share": shares[:, 0]}
    return pd.DataFrame({"scan": rows, "patient": groups[rows]} | answers)


def by_patient(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a patient: the mean share over its scans, and the predicted class of two."""
    each = predictions.groupby("patient", as_index=False).agg(
        {"fold": "first", "label": "first", "share": "mean"}
    )
    return each.assign(predicted=(each["share"] <= 0.5).astype(int))


def clustered_accuracy(predictions: pd.DataFrame, generator: np.random.Generator) -> tuple[float, Interval]:
    """Accuracy over scans, with its 95 % bootstrap interval over patients, drawn within each label."""
    truth, predicted = predictions["label"].to_numpy(), predictions["predicted"].to_numpy()
    each = one_confusion_each(truth, predicted, 2)
    patients = predictions["patient"].to_numpy(dtype=str)
    interval = bootstrap_over_groups(each, patients, accuracy, generator, strata=truth)
    return float(accuracy(each.sum(0))), interval
