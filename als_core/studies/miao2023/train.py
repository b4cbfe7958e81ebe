"""The classifiers of Miao et al. 2023 on crops: frozen base, trained head, grids, and their scores.

Section 2.4 trains for 20 epochs; Fig. 11, 13 and 15 vary learning rate and batch size. Optimiser, loss and
image size are not printed: here Adam on cross-entropy. `protocol` says which images are trained on and tested
on.

With a frozen base, its output is computed once per image and all heads of a protocol are trained together on
it (`als_core.training.heads`). `fine_tune` trains the last block, or all layers, as well.

Predictions have a row for every split and test image: network, learning_rate, batch_size, protocol, number
(of the split), crop, copy, case, truth (True for ALS) and score (of ALS, 0 .. 1). ALS is the positive class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from als_core.cohorts.group_word import CASE, GroupWord
from als_core.models.stages import IMAGENET_SCALING, Scaling, StagedNetwork, first_live_stage, seeded
from als_core.models.weights import WeightsChoice, available_weights, load_weights
from als_core.statistics import metrics
from als_core.statistics.curves import auc_by_column
from als_core.statistics.intervals import clopper_pearson
from als_core.studies.miao2023 import audit
from als_core.studies.miao2023.networks import CROP_NETWORKS, build_crop_network
from als_core.studies.miao2023.protocol import BY_CASE, BY_CROP, COPIES_FIRST, CropSplit, Pool, shown_as
from als_core.training.features import (
    Inputs,
    as_input,
    cohort_scaling,
    frozen_inputs,
    image_inputs,
)
from als_core.training.fit import class_scores, fit
from als_core.training.heads import stacked, train_heads
from als_core.training.images import resized
from als_core.training.recipe import Recipe

LEARNING_RATES = (1e-4, 5e-4, 1e-3)
BATCH_SIZES = (128, 32, 16)
EPOCHS = 20
RISES_AFTER = 17  # the epoch after which the loss of Fig. 16 rises, as the text says
GRID = tuple((rate, batch) for batch in BATCH_SIZES for rate in LEARNING_RATES)
"""The nine cells of Fig. 11, 13 and 15, in printed order: (learning rate, batch size)."""


@dataclass(frozen=True)
class Printed:
    """One network in the paper: its name there, its figures, and the setting whose training is shown."""

    name: str
    cell: tuple[float, int]
    log_figure: int
    grid_figure: int

    @property
    def figures(self) -> str:
        """Both figures, as "Fig. 10 and 11"."""
        return f"Fig. {min(self.log_figure, self.grid_figure)} and {max(self.log_figure, self.grid_figure)}"

    @property
    def source(self) -> str:
        """Name of paper and figures, for a page's provenance."""
        return f"Miao et al., {self.figures}"

    def log(self) -> pd.DataFrame | None:
        """Read the printed log: columns epoch, loss, accuracy; None where only a curve is printed."""
        if self.log_figure == 16:
            return None
        return audit.log(self.log_figure).astype({"epoch": int, "loss": float, "accuracy": float})

    def grid(self) -> pd.DataFrame:
        """Read the printed grid: columns batch_size, learning_rate, accuracy."""
        return audit.grid(self.name).astype({"accuracy": float, "batch_size": int, "learning_rate": float})

    def claims(self, by_epoch: pd.DataFrame, nine: pd.DataFrame) -> dict[str, float]:
        """Return the regenerated values of the network's trained claims, by claim id.

        by_epoch : mean loss and accuracy of the training images over splits by crop, index epoch
        nine : `score_cells` of the grid
        """
        last = by_epoch.iloc[-1]
        values = {f"miao2023.section3.{self.name}.loss": last["loss"]}
        if self.log_figure == 16:
            # the epoch of the lowest mean loss: where it is the last one, loss rises after no earlier epoch
            values["miao2023.fig16.mobile_net_v3.loss_rises_after"] = int(by_epoch["loss"].idxmin())
            if len(by_epoch) > RISES_AFTER:
                first, turn, end = by_epoch["loss"].iloc[[0, RISES_AFTER - 1, -1]]
                values["miao2023.fig16.mobile_net_v3.loss_17_minus_first.loss"] = turn - first
                values["miao2023.fig16.mobile_net_v3.loss_last_minus_17.loss"] = end - turn
        else:
            for epoch, row in by_epoch.iterrows():
                for column in ("loss", "accuracy"):
                    values[f"miao2023.fig{self.log_figure}.epoch{epoch}.{column}"] = row[column]
        if self.name == "vgg16":
            values["miao2023.section2_4.vgg16.accuracy"] = 100 * last["accuracy"]
        for row in nine[nine["protocol"] == BY_CROP].itertuples():
            rate = f"{row.learning_rate:g}".replace(".", "_")
            cell = f"miao2023.fig{self.grid_figure}.lr{rate}.batch{row.batch_size}.accuracy"
            values[cell] = row.train_accuracy
        return values


PRINTED: Mapping[str, Printed] = MappingProxyType(
    {
        "vgg16": Printed("vgg16", (1e-3, 256), 10, 11),
        "resnet50": Printed("resnet50", (1e-4, 16), 12, 13),
        "mobilenet_v3": Printed("mobile_net_v3", (1e-3, 32), 16, 15),
    }
)
"""By network. Fig. 14 is of ResNet50's setting, Fig. 17 of mobile_net_v3's."""
PLOTTED: Mapping[str, tuple[float, int]] = MappingProxyType({n: each.cell for n, each in PRINTED.items()})
"""Learning rate and batch size of the training that the paper shows, by network."""
FINE_TUNING = (1e-4, 16)
"""Learning rate and batch size of the variants that train more than the head."""
CELL = ["network", "learning_rate", "batch_size", "protocol"]


class Heads(NamedTuple):
    """What trained classifiers left.

    predictions : see the module
    logs : one row per split and epoch: network, learning_rate, batch_size, protocol, number, epoch, loss and
        accuracy, measured on the training images while they are trained on, as Keras prints them
    """

    predictions: pd.DataFrame
    logs: pd.DataFrame


class Base(NamedTuple):
    """A network with its weights, how pixels are scaled for it, and one sentence on its weights."""

    network: StagedNetwork
    scaling: Scaling
    sentence: str


def build_recipe(
    network: str,
    learning_rate: float,
    batch_size: int,
    *,
    side: int,
    epochs: int = EPOCHS,
    variant: str = "frozen base",
) -> Recipe:
    """Build the recipe of a cell. No weight decay and no choice of epoch: the paper mentions neither."""
    entry = CROP_NETWORKS[network]
    return Recipe(
        entry.display, network, variant, learning_rate, batch_size, epochs, 0.0, entry.variants[variant],
        side=side, copies=1, checkpoint="last epoch",
    )  # fmt: skip


def choose_weights(wanted: str) -> WeightsChoice:
    """Choose the starting weights of all three bases: `imagenet`, `random`, or `imagenet if cached`; say why.

    `imagenet` downloads missing files (650 MB) and refuses to do without; `imagenet if cached` takes random
    weights where one of the three files is missing, so that the networks stay comparable.
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
            reason = (
                f"No ImageNet weights of {', '.join(lacking)} are cached here, "
                "so the bases of all three networks have random weights."
            )
            return WeightsChoice("random", reason)
    choices = [available_weights(wanted.removesuffix(" if cached"), backbone) for backbone in backbones]
    return WeightsChoice(choices[0].name, " ".join(dict.fromkeys(choice.reason for choice in choices)))


def load_base(name: str, weights: str, images: np.ndarray, side: int, variant: str = "frozen base") -> Base:
    """Build a network and load its weights (`als_core.models.weights`).

    images: crops uint8 (n, H, H, 3). Pretrained weights get pixels scaled as ImageNet's were. `random`
    weights get pixels scaled by the crops' own mean and sd, and batch-norm statistics measured on the crops;
    neither uses a label.
    """
    network = build_crop_network(name, side=side, variant=variant, seed=0)
    small = resized(images, side)
    scaling = cohort_scaling(small) if weights == "random" else IMAGENET_SCALING
    loaded = load_weights(network, weights, images=as_input(torch.from_numpy(small), scaling))
    return Base(network, scaling, loaded.sentence)


def base_inputs(base: Base, pool: Pool, stages: int, folder: Path | None, device: torch.device) -> Inputs:
    """Run the first `stages` stages on every image of the pool; keep the output in `folder`, if given."""
    if stages == 0:
        return image_inputs([pool.images], base.scaling, torch.float32, device)
    prefix = base.network.stages[:stages]
    return frozen_inputs(prefix, [pool.images], base.scaling, device=device, folder=folder)


def base_features(base: Base, pool: Pool, folder: Path | None, device: torch.device) -> Tensor:
    """Compute the input of the head for every image of the pool, float32 (m, C)."""
    inputs = base_inputs(base, pool, len(base.network.stages) - 1, folder, device)
    return inputs.batch(torch.arange(len(inputs)))


def train_splits(
    recipe: Recipe, features: Tensor, pool: Pool, splits: Sequence[CropSplit], cases: np.ndarray, seed: int
) -> Heads:
    """Train one head per split on the base's features and score its test images.

    features : (m, C), one row per image of the pool
    cases : (crops,)
    seed : of initial values and order of images
    """
    predictions, logs = [], []
    for size in dict.fromkeys(len(split.train) for split in splits):
        same_size = [split for split in splits if len(split.train) == size]
        seeds = [seed + split.number for split in same_size]
        starts = stacked([_linear(features.shape[1], each) for each in seeds]).to(features.device)
        labels = torch.from_numpy(np.stack([split.labels[pool.pairs[:, 0]] for split in same_size]))
        train = torch.from_numpy(np.stack([pool.rows(split.train) for split in same_size]))
        validation = torch.empty(0, dtype=torch.int64)
        heads = train_heads(
            recipe, features, labels.long().to(features.device), train, validation, starts, seeds
        )
        scores = heads.scores(features).double().softmax(2)[..., 1].cpu().numpy()  # (K, m)
        for split, score, history in zip(same_size, scores, heads.histories, strict=True):
            predictions.append(_predictions(split, score[pool.rows(split.test)], cases))
            logs.append(_log(split, history))
    return Heads(*(_with_recipe(tables, recipe) for tables in (predictions, logs)))


def train_grid(
    network: str,
    cells: Iterable[tuple[float, int]],
    features: Tensor,
    pool: Pool,
    splits: Sequence[CropSplit],
    cases: np.ndarray,
    seed: int,
    epochs: int = EPOCHS,
) -> Heads:
    """Run `train_splits` for every cell (learning rate, batch size) of a grid, one after the other."""
    side = pool.images.shape[1]
    recipes = [build_recipe(network, *cell, side=side, epochs=epochs) for cell in cells]
    trained = [train_splits(recipe, features, pool, splits, cases, seed) for recipe in recipes]
    return gather(trained)


def fine_tune(
    network: str,
    variant: str,
    weights: str,
    images: np.ndarray,
    pool: Pool,
    splits: Sequence[CropSplit],
    cases: np.ndarray,
    seed: int,
    *,
    epochs: int,
    device: torch.device,
) -> Heads:
    """Train the last block or all layers with the head, at `FINE_TUNING`, and score the test images.

    variant : of `networks.VARIANTS`. Stages before the first that trains stay frozen and run once per image.
    images : the crops, for `load_base`
    """
    side = pool.images.shape[1]
    recipe = build_recipe(network, *FINE_TUNING, side=side, epochs=epochs, variant=variant)
    base = load_base(network, weights, images, side, variant)
    inputs = base_inputs(base, pool, first_live_stage(base.network), None, device)
    validation = torch.empty(0, dtype=torch.int64)
    predictions, logs = [], []
    for split in splits:
        trained = deepcopy(base.network).to(device)
        labels = torch.from_numpy(split.labels[pool.pairs[:, 0]]).long()
        train, test = (torch.from_numpy(pool.rows(part)) for part in (split.train, split.test))
        fitted = fit(recipe, trained, inputs, labels, train, validation, seed + split.number)
        scores = class_scores(recipe, trained, inputs, test).double().softmax(1)[:, 1].cpu().numpy()
        predictions.append(_predictions(split, scores, cases))
        logs.append(_log(split, fitted.history))
    return Heads(*(_with_recipe(tables, recipe) for tables in (predictions, logs)))


def gather(heads: Iterable[Heads]) -> Heads:
    """Join the predictions and the logs of several trainings."""
    return Heads(*(pd.concat(tables, ignore_index=True) for tables in zip(*heads, strict=True)))


def at_cell(table: pd.DataFrame, cell: tuple[float, int]) -> pd.DataFrame:
    """Select the rows of one setting (learning rate, batch size)."""
    return table[(table["learning_rate"] == cell[0]) & (table["batch_size"] == cell[1])]


def plotted_log(logs: pd.DataFrame, cell: tuple[float, int]) -> pd.DataFrame:
    """Select the log of one setting on splits by crop and by case."""
    return at_cell(logs, cell)[lambda table: table["protocol"].isin([BY_CROP, BY_CASE])]


def nine_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of the nine printed cells."""
    inside = [cell in GRID for cell in zip(scores["learning_rate"], scores["batch_size"], strict=True)]
    return scores[inside]


def accuracy_grids(
    nine: pd.DataFrame, printed: pd.DataFrame, figure: int, unit: GroupWord = CASE
) -> dict[str, pd.DataFrame]:
    """Arrange accuracies as the paper's grids: title to a table, batch sizes (falling) by learning rates.

    nine : `score_cells` of the grid; printed : columns batch_size, learning_rate, accuracy
    """
    by_crop, by_case = (nine[nine["protocol"] == protocol] for protocol in (BY_CROP, BY_CASE))
    columns = {
        f"Printed, Fig. {figure}": (printed, "accuracy"),
        "Here: training images": (by_crop, "train_accuracy"),
        "Here: other crops": (by_crop, "accuracy"),
        f"Here: other {unit.many}": (by_case, "accuracy"),
    }
    return {
        title: table.pivot(index="batch_size", columns="learning_rate", values=column)[::-1]
        for title, (table, column) in columns.items()
    }


def majority_share(labels: np.ndarray, cases: np.ndarray) -> float:
    """Return the share of cases that have the commoner label."""
    share = pd.Series(labels).groupby(cases).first().mean()
    return float(max(share, 1 - share))


def constant_losses(als_share: float) -> dict[str, float]:
    """Return the cross-entropy of always giving the class shares and of always giving one half, by name."""
    entropy = float(-(als_share * np.log(als_share) + (1 - als_share) * np.log(1 - als_share)))
    half = float(np.log(2))
    return {f"class shares, {entropy:.3f}": entropy, f"one half, {half:.3f}": half}


def auc_claims(scored: pd.DataFrame) -> dict[str, float]:
    """Return the regenerated values of the printed AUCs and accuracies, and the differences that the text orders.

    scored: index network and protocol.
    """
    two = {"resnet50": "resnet50", "mobile_net_v3": "mobilenet_v3"}
    values = {
        f"miao2023.section3.{name}.auc": scored.loc[(model, BY_CROP), "auc"] for name, model in two.items()
    }
    by_crop = scored.xs(BY_CROP, level="protocol")
    train = 100 * by_crop["train_accuracy"]
    values |= {
        "miao2023.section3.mobile_net_v3_minus_resnet50.auc": by_crop["auc"]["mobilenet_v3"]
        - by_crop["auc"]["resnet50"],
        "miao2023.section3.resnet50_minus_mobile_net_v3.training_accuracy": train["resnet50"]
        - train["mobilenet_v3"],
        "miao2023.section4_1_1.mobile_net_v3_minus_vgg16.training_accuracy": train["mobilenet_v3"]
        - train["vgg16"],
    }
    least = min(scored.loc[(model, BY_CROP), "train_accuracy"] for model in two.values())
    values["miao2023.section3.resnet50_and_mobile_net_v3.accuracy"] = 100 * least
    tested = scored.loc[("mobilenet_v3", BY_CROP), "accuracy"]
    return values | {"miao2023.section4_5.mobile_net_v3.test_accuracy": 100 * tested}


_COLUMNS = {
    "protocol": "Split", "batch_size": "Batch", "learning_rate": "Learning rate",
    "train_accuracy": "Training accuracy", "accuracy": "Test accuracy", "precision": "Precision",
    "sensitivity": "Sensitivity", "specificity": "Specificity", "auc": "AUC",
    "tp": "TP", "fn": "FN", "fp": "FP", "tn": "TN", "cases": "Cases", "right": "Correct",
    "low": "Low", "high": "High",
}  # fmt: skip


def _named(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    text = table.round(3).assign(learning_rate=table["learning_rate"].map("{:g}".format))
    return text[columns].rename(columns=_COLUMNS)


def cell_table(nine: pd.DataFrame, unit: GroupWord = CASE) -> pd.DataFrame:
    """Name the columns of `score_cells` for people."""
    named = _named(nine, list(_COLUMNS)[:13])
    return named.assign(Split=named["Split"].map(lambda protocol: shown_as(protocol, unit)))


def case_table(nine: pd.DataFrame, unit: GroupWord = CASE) -> pd.DataFrame:
    """Name the columns of `score_cases` for people."""
    columns = ["batch_size", "learning_rate", "cases", "right", "accuracy", "low", "high"]
    return _named(nine, [*columns, "sensitivity", "specificity", "auc"]).rename(
        columns={"Test accuracy": "Accuracy", "Cases": unit.many.capitalize()}
    )


def tuned_table(tuned: Mapping[str, Heads]) -> pd.DataFrame:
    """List the scores of the variants that train more than the head."""
    rows = []
    for variant, heads in tuned.items():
        (score,) = score_cells(heads.predictions, heads.logs).to_dict("records")
        crops = int(sum(score[name] for name in ("tp", "fn", "fp", "tn")))
        epochs = int(heads.logs["epoch"].max())
        rows.append((variant, epochs, score["train_accuracy"], crops, score["accuracy"], score["auc"]))
    columns = ["Part trained", "Epochs", "Training accuracy", "Test crops", "Test accuracy", "AUC"]
    return pd.DataFrame(rows, columns=columns).round(3)


LONGER = 10
"""How many times as many epochs `train_longer` takes."""


def train_longer(
    network: str,
    features: Tensor,
    pool: Pool,
    splits: Sequence[CropSplit],
    cases: np.ndarray,
    seed: int,
    epochs: int,
) -> float:
    """Return the mean AUC of a network at its plotted setting after `LONGER` times as many epochs."""
    side = pool.images.shape[1]
    recipe = build_recipe(network, *PLOTTED[network], side=side, epochs=LONGER * epochs)
    heads = train_splits(recipe, features, pool, splits, cases, seed)
    return float(split_aucs(heads.predictions)["auc"].mean())


def follow_feature_strength(
    predictions: pd.DataFrame, network: str, features: Tensor, pool: Pool
) -> dict[str, float]:
    """Correlate the scores of a network with the mean feature of each image, by protocol.

    A head that has learned only which label is commoner scores an image by how strongly it drives all
    features.
    """
    strength = features.mean(1).cpu().numpy()
    correlations = {}
    for protocol in (BY_CASE, COPIES_FIRST):
        part = predictions[(predictions["network"] == network) & (predictions["protocol"] == protocol)]
        rows = pool.rows(part[["crop", "copy"]].to_numpy())
        correlations[protocol] = float(np.corrcoef(part["score"], strength[rows])[0, 1])
    return correlations


def score_cells(predictions: pd.DataFrame, logs: pd.DataFrame) -> pd.DataFrame:
    """Score test images: one row per cell and protocol.

    Columns: `CELL`, train_accuracy and train_loss (of the last epoch, mean over splits), accuracy, precision,
    sensitivity, specificity (ALS positive, counts of all splits added up), tp, fn, fp, tn, and auc, the mean
    over splits whose test images are of both classes.
    """
    last = logs[logs["epoch"] == logs["epoch"].max()]
    learned = last.groupby(CELL, sort=False)[["accuracy", "loss"]].mean()
    learned.columns = ["train_accuracy", "train_loss"]
    tested = pd.DataFrame({cell: _scores(part) for cell, part in predictions.groupby(CELL, sort=False)}).T
    tested[_COUNTS] = tested[_COUNTS].astype(int)
    aucs = split_aucs(predictions).groupby(CELL, sort=False)["auc"].mean()
    tested.index.names = CELL
    return learned.loc[tested.index].join(tested).join(aucs).reset_index()


def average_by_case(predictions: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """Average the scores of each case's test images: columns `by`, number, case, truth and score."""
    keys = [*by, "number", "case"]
    return predictions.groupby(keys, as_index=False, sort=False).agg(
        truth=("truth", "first"), score=("score", "mean")
    )


def score_cases(predictions: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """Score cases by the mean score of their test images: one row per value of the columns `by`.

    Meant for a cross-validation, where every case is tested once: columns cases, right, accuracy with its
    exact interval (low, high), sensitivity, specificity, auc over all cases, and in how many pairs of cases of one
    fold the case with ALS has the higher score (ranked, of pairs; a tie counts half).
    """
    rows = []
    for key, part in average_by_case(predictions, by).groupby(list(by), sort=False):
        scores = _scores(part)
        right, n = scores["tp"] + scores["tn"], len(part)
        low, high = clopper_pearson(right, n)
        row = {"cases": n, "right": right, "accuracy": right / n, "low": low, "high": high}
        row |= {name: scores[name] for name in ("sensitivity", "specificity")}
        row |= _ranked_pairs(part)
        rows.append(dict(zip(by, key, strict=True)) | row | {"auc": _auc(part)})
    return pd.DataFrame(rows)


def _ranked_pairs(cases: pd.DataFrame) -> dict[str, float]:
    """Count pairs of an ALS case and another of the same fold, and in how many ALS has the higher score."""
    ranked = pairs = 0
    for _, fold in cases.groupby("number"):
        truth = fold["truth"].to_numpy(bool)
        scores = fold["score"].to_numpy()
        difference = scores[truth][:, None] - scores[~truth]
        ranked += (np.sign(difference) / 2 + 0.5).sum()
        pairs += difference.size
    return {"ranked": float(ranked), "pairs": int(pairs)}


def split_aucs(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute the AUC of every split: columns `CELL`, number, auc; NaN for test images of one class."""
    aucs = {key: _auc(part) for key, part in predictions.groupby([*CELL, "number"], sort=False)}
    return pd.Series(aucs, name="auc").rename_axis([*CELL, "number"]).reset_index()


_COUNTS = ["tp", "fn", "fp", "tn"]


def _scores(predictions: pd.DataFrame) -> dict[str, float]:
    truth, called = predictions["truth"].to_numpy(int), (predictions["score"] > 0.5).to_numpy(int)
    confusion = metrics.confusion_matrix(truth, called, 2)
    (tn, fp), (fn, tp) = confusion.tolist()
    return {
        "accuracy": float(metrics.accuracy(confusion)),
        "precision": tp / (tp + fp) if tp + fp else np.nan,
        "sensitivity": float(metrics.sensitivity(confusion)[1]),
        "specificity": float(metrics.specificity(confusion)[1]),
        **dict(zip(_COUNTS, (tp, fn, fp, tn), strict=True)),
    }


def _auc(predictions: pd.DataFrame) -> float:
    truth = predictions["truth"].to_numpy(bool)
    if truth.all() or not truth.any():
        return np.nan
    return float(auc_by_column(truth, predictions["score"].to_numpy()))


def _predictions(split: CropSplit, scores: np.ndarray, cases: np.ndarray) -> pd.DataFrame:
    crops, copies = split.test.T
    columns = {"protocol": split.protocol, "number": split.number, "crop": crops, "copy": copies}
    return pd.DataFrame(columns | {"case": cases[crops], "truth": split.labels[crops], "score": scores})


def _log(split: CropSplit, history: pd.DataFrame) -> pd.DataFrame:
    columns = {"protocol": split.protocol, "number": split.number, "epoch": history["epoch"]}
    return pd.DataFrame(columns | {"loss": history["train_loss"], "accuracy": history["train_accuracy"]})


def _with_recipe(tables: Sequence[pd.DataFrame], recipe: Recipe) -> pd.DataFrame:
    table = pd.concat(tables, ignore_index=True)
    for place, name in enumerate(CELL[:3]):
        table.insert(place, name, getattr(recipe, name))
    return table


def _linear(features: int, seed: int) -> nn.Linear:
    with seeded(seed):
        return nn.Linear(features, 2)
