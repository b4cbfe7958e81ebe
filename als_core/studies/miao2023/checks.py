"""Checks on the crop classifiers: crops without any sign of disease, and classical methods.

Without a sign, a split by case must score at chance, and a split that leaks need not: `no_signal` trains on
cohorts whose labels mean nothing. Section 4.4 of Miao et al. says that deep learning did better than
traditional methods, without numbers: `train_classical` gives these methods the same folds of cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from skimage.feature import graycomatrix, graycoprops
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from als_core.statistics.null_check import check_directions
from als_core.statistics.paired import permute_labels_over_groups
from als_core.studies.miao2023.protocol import (
    BY_CASE,
    BY_CROP,
    COPIES_FIRST,
    CropSplit,
    NoSignal,
    draw_splits,
    make_pool,
)
from als_core.studies.miao2023.restoration import find_spots, sharpness
from als_core.studies.miao2023.synthetic import CASE, CropParameters, synthetic_crops_arrays
from als_core.studies.miao2023.train import (
    base_features,
    build_recipe,
    load_base,
    score_cases,
    split_aucs,
    train_splits,
)

PERMUTED = "by case, labels permuted"
LEVELS = 32  # grey levels of the co-occurrence matrix
PERCENTILES = (5, 25, 50, 75, 95, 99.5)

CLASSICAL: Mapping[str, Callable[[int], BaseEstimator]] = MappingProxyType(
    {
        "Logistic regression": lambda seed: LogisticRegression(class_weight="balanced", max_iter=1000),
        "SVM (RBF)": lambda seed: SVC(class_weight="balanced"),
        "Nearest neighbours": lambda seed: KNeighborsClassifier(5),
        "Random forest": lambda seed: RandomForestClassifier(class_weight="balanced", random_state=seed),
    }
)
"""Seed -> unfitted classifier, with scikit-learn's defaults but for balanced classes where it has them."""


def no_signal(settings: NoSignal) -> pd.DataFrame:
    """Measure MobileNetV3's mean AUC by protocol on synthetic cohorts without a sign of disease: a row each.

    Cases keep their look, so a crop can be recognised as one of its case. The base has random weights and is
    the same for all. Columns: cohort, `by case`, `by case, labels permuted` (across cases), `by crop` and
    `augment, then split`.
    """
    side = settings.side
    recipe = build_recipe("mobilenet_v3", 1e-3, 16, side=side)
    drawing = {"repeats": settings.repeats, "copies": settings.copies, "balanced": False}
    rows, base = [], None
    for seed in tqdm(range(settings.cohorts), "cohorts without a sign", disable=None):
        parameters = CropParameters(disease_effect=0, side=max(side, 64))
        images, _, _, table = synthetic_crops_arrays(parameters, seed)
        labels, cases = (table["label"] == CASE).to_numpy(), table["group"].to_numpy()
        splits = [
            split
            for protocol in (BY_CASE, BY_CROP, COPIES_FIRST)
            for split in draw_splits(labels, cases, protocol, seed, **drawing)
        ]
        generator = np.random.default_rng([seed, 1])
        for number in range(settings.permutations):
            permuted = permute_labels_over_groups(labels, cases, generator)
            drawn = draw_splits(permuted, cases, BY_CASE, seed + number, **drawing)
            splits += [s._replace(protocol=PERMUTED, number=len(splits) + s.number) for s in drawn]
        pool = make_pool(images, splits, side, seed)
        base = base or load_base("mobilenet_v3", "random", images, side)
        features = base_features(base, pool, None, torch.device("cpu"))
        aucs = split_aucs(train_splits(recipe, features, pool, splits, cases, seed).predictions)
        rows.append({"cohort": seed} | aucs.groupby("protocol", sort=False)["auc"].mean().to_dict())
    return pd.DataFrame(rows, columns=["cohort", BY_CASE, PERMUTED, BY_CROP, COPIES_FIRST])


def shifts(aucs: pd.DataFrame) -> pd.DataFrame:
    """Measure how far each protocol's AUC lies above that of the split by case with permuted labels.

    aucs: from `no_signal`. Columns protocol, cohorts, auc (mean over cohorts), and shift, error and in_errors as in
    `null_check.check_directions`.
    """
    declared = dict.fromkeys((BY_CASE, BY_CROP, COPIES_FIRST), "none")
    compared = check_directions(aucs, declared, PERMUTED)
    table = compared.rename(columns={"procedure": "protocol", "score": "auc"})
    return table[["protocol", "cohorts", "auc", "shift", "error", "in_errors"]]


def compare_methods(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score networks and classical methods on cases: `train.score_cases` by network, with the column kind."""
    scores = score_cases(predictions, ["network", "protocol"])
    kinds = np.where(scores["network"].isin(list(CLASSICAL)), "classical", "network on a frozen base")
    return scores.assign(kind=kinds)


def classical_features(crops: np.ndarray) -> pd.DataFrame:
    """Measure brightness, sharpness, texture and spots of uint8 crops (n, H, W): one row each, in order.

    Columns: percentiles and sd of brightness (levels), sharpness, contrast, homogeneity, energy and
    correlation of the grey-level co-occurrence matrix one pixel away (mean of four directions), and the
    number of spots.
    """
    rows = []
    for crop in crops:
        row = {f"p{p:g}": np.percentile(crop, p) for p in PERCENTILES}
        row |= {"sd": crop.std(), "sharpness": sharpness(crop)}
        coarse = (crop.astype(int) * LEVELS // 256).astype(np.uint8)
        angles = np.arange(4) * np.pi / 4
        matrix = graycomatrix(coarse, [1], angles, levels=LEVELS, symmetric=True, normed=True)
        for name in ("contrast", "homogeneity", "energy", "correlation"):
            row[name] = graycoprops(matrix, name).mean()
        rows.append(row | {"spots": find_spots(crop).max()})
    return pd.DataFrame(rows).astype(float)


def train_classical(
    features: pd.DataFrame,
    splits: Sequence[CropSplit],
    cases: np.ndarray,
    seed: int,
    methods: Sequence[str] = tuple(CLASSICAL),
) -> pd.DataFrame:
    """Fit every classical method on the training crops of each split and score its test crops.

    Copies are not used. Columns: network (the method), protocol, number, crop, case, truth, score. The score
    is a probability; for an SVM it is the decision function plus 0.5, so that 0.5 is its boundary.
    """
    values, tables = features.to_numpy(), []
    for name in methods:
        for split in splits:
            train, test = split.train_crops, split.test_crops
            model = make_pipeline(StandardScaler(), CLASSICAL[name](seed)).fit(
                values[train], split.labels[train]
            )
            if hasattr(model, "predict_proba"):
                score = model.predict_proba(values[test])[:, 1]
            else:
                score = model.decision_function(values[test]) + 0.5
            columns = {"network": name, "protocol": split.protocol, "number": split.number, "crop": test}
            columns |= {"case": cases[test], "truth": split.labels[test], "score": score}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
