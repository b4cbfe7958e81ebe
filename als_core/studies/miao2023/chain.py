"""The paper's whole chain: filters or super-resolution first, then a classifier, in the same folds of cases.

Seven inputs go through two classifiers, a network on a frozen base and logistic regression on measured
features (`checks.classical_features`), which tell a limit of the input from a limit of the network:

raw                                the crops as recorded
gaussian, median, mean, equalise   the four filters of Section 2.2.1
bicubic                            crops reduced with noise, then enlarged by interpolation
gan                                the same reduced crops, enlarged by the adversarial generator

Each fold of the cross-validation trains its own generator on its training cases, so neither generator nor
classifier of a fold sees a case that the fold tests. Every input gets the same folds, the same copies and the
same initial values. `bicubic` and `gan` start from fewer pixels than the other inputs: super-resolution helps
the classifier if `gan` beats `bicubic`, and it restores what was lost as far as it reaches `raw`.

Accuracy alone cannot tell real help from an invention, so aggregates found, missed and invented are counted
(`restoration.count_all`) in the very images that are tested, and the chain is repeated on crops without a
sign of disease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from als_core.statistics.intervals import bootstrap_mean
from als_core.statistics.paired import mcnemar_exact
from als_core.studies.miao2023.checks import classical_features, train_classical
from als_core.studies.miao2023.filters import FILTERS, enlarge, trim
from als_core.studies.miao2023.protocol import CROSS_VALIDATED, Chain, CropSplit, draw_splits, make_pool
from als_core.studies.miao2023.super_resolution import (
    Pairs,
    apply_generator,
    make_pairs,
    train_super_resolution,
)
from als_core.studies.miao2023.train import (
    EPOCHS,
    average_by_case,
    base_features,
    build_recipe,
    load_base,
    score_cases,
    train_splits,
)

RAW, BICUBIC, GAN = "raw", "bicubic", "gan"
INPUTS = (RAW, *FILTERS, BICUBIC, GAN)
CELL = (1e-3, 16)
"""Learning rate and batch size of the network, of the printed grid."""
MEASURED = "Logistic regression"
"""Which of `checks.CLASSICAL` sees the measured features."""


class Chained(NamedTuple):
    """What the classifiers said of every input, and what the tested images show.

    predictions : input, network (or `MEASURED`), number (of the fold), crop, case, truth, score and more;
        every crop is tested once per input and classifier
    tested : input to uint8 (n, H, W), each crop as its fold tested it
    folds : the five splits
    """

    predictions: pd.DataFrame
    tested: dict[str, np.ndarray]
    folds: list[CropSplit]


def classify_inputs(
    crops: np.ndarray,
    truth: np.ndarray | None,
    labels: np.ndarray,
    cases: np.ndarray,
    settings: Chain,
    seed: int,
    *,
    weights: str,
    device: torch.device,
    epochs: int = EPOCHS,
) -> Chained:
    """Train and test the classifier on every input of `INPUTS` in the same five folds of cases.

    crops : uint8 (n, H, W)
    truth : uint8 (n, H, W), the targets of the generators; None: the crops themselves
    labels, cases : (n,), bool and names
    weights : starting weights of the base (`train.load_base`)
    """
    factor = settings.super_resolution.factor
    crops = np.stack([trim(crop, factor) for crop in crops])
    target = crops if truth is None else np.stack([trim(each, factor) for each in truth])
    pairs = make_pairs(crops, target, settings.super_resolution, seed)
    folds = draw_splits(labels, cases, CROSS_VALIDATED, seed, repeats=1, copies=settings.copies)
    plain = {RAW: crops} | {name: np.stack([f(crop) for crop in crops]) for name, f in FILTERS.items()}
    plain[BICUBIC] = np.stack([enlarge(low, factor, BICUBIC) for low in pairs.low])
    side = settings.side
    recipe = build_recipe(settings.network, *CELL, side=side, epochs=epochs)
    base = load_base(settings.network, weights, _colours(crops), side)

    def predict(images: np.ndarray, splits: Sequence[CropSplit]) -> pd.DataFrame:
        pool = make_pool(_colours(images), splits, side, seed)
        features = base_features(base, pool, None, device)
        heads = train_splits(recipe, features, pool, splits, cases, seed)
        classical = train_classical(classical_features(images), splits, cases, seed, [MEASURED])
        return pd.concat([heads.predictions, classical], ignore_index=True)

    tables = [predict(images, folds).assign(input=name) for name, images in plain.items()]
    tested = dict(plain) | {GAN: np.empty_like(crops)}
    for fold in tqdm(folds, "generators", disable=None):
        enlarged = enlarge_for_fold(pairs, fold, settings, seed, device)
        tables.append(predict(enlarged, [fold]).assign(input=GAN))
        tested[GAN][fold.test_crops] = enlarged[fold.test_crops]
    return Chained(pd.concat(tables, ignore_index=True), tested, folds)


def enlarge_for_fold(
    pairs: Pairs, fold: CropSplit, settings: Chain, seed: int, device: torch.device | None = None
) -> np.ndarray:
    """Train a generator on the training crops of a fold and enlarge all crops with it, uint8 (n, H, W)."""
    sizes, seed = settings.super_resolution, seed + fold.number
    trained = train_super_resolution(pairs, fold.train_crops, sizes, seed, device=device, on_content=False)
    return apply_generator(trained.adversarial, pairs.low)


def score_inputs(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score cases with `train.score_cases`: one row per network and input, in the order of `INPUTS`."""
    scores = score_cases(predictions, ["network", "input"]).set_index(["network", "input"])
    order = [(network, name) for network in predictions["network"].unique() for name in INPUTS]
    return scores.loc[order].reset_index()


def compare_inputs(predictions: pd.DataFrame, first: str, second: str, seed: int) -> pd.Series:
    """Compare the accuracy of one classifier on two inputs of the same cases.

    predictions: of one network.

    Entries: difference (first - second) with its 95 % interval (low, high; cases resampled), only_first and
    only_second (cases that only one input classifies correctly), p_value (exact McNemar test).
    """
    right = average_by_case(predictions, ["input"]).assign(
        right=lambda t: (t["score"] > 0.5) == t["truth"].astype(bool)
    )
    by_input = right.pivot(index="case", columns="input", values="right")
    one, other = by_input[first].to_numpy(bool), by_input[second].to_numpy(bool)
    test = mcnemar_exact(one, other)
    gains = one.astype(float) - other
    interval = bootstrap_mean(gains, by_input.index.to_numpy(), np.random.default_rng(seed))
    return pd.Series(
        {"difference": gains.mean(), "low": interval.low, "high": interval.high,
         "only_first": test.only_first_right, "only_second": test.only_second_right, "p_value": test.p_value}
    )  # fmt: skip


def compare_all(results: Mapping[str, Chained], first: str, second: str, seed: int) -> pd.DataFrame:
    """Run `compare_inputs` for every cohort and classifier; index: cohort and network."""
    rows = {
        (name, network): compare_inputs(part, first, second, seed)
        for name, result in results.items()
        for network, part in result.predictions.groupby("network", sort=False)
    }
    return pd.DataFrame(rows).T.rename_axis(["cohort", "network"])


def predictions_by_case(predictions: pd.DataFrame) -> pd.DataFrame:
    """List the score of every case: columns network, case, truth, and one per input."""
    scores = average_by_case(predictions, ["network", "input"])
    table = scores.pivot(index=["network", "case", "truth"], columns="input", values="score")
    return table[list(INPUTS)].rename_axis(columns=None).reset_index()


def _colours(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=3)
