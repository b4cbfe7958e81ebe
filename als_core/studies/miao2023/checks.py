"""Two checks on the crop classifiers: crops without any sign of disease, and classical machine learning.

Without a sign, an honest split must score at chance, and a split that leaks must not: `no_signal` trains on
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

from als_core.statistics.paired import permute_labels_over_groups
from als_core.studies.miao2023.amounts import NoSignal
from als_core.studies.miao2023.restoration import find_spots, sharpness
from als_core.studies.miao2023.scores import trial_aucs
from als_core.studies.miao2023.splits import HONEST, LEAKING, PUBLISHED, Trial, draw_trials, make_pool
from als_core.studies.miao2023.synthetic import CASE, CropParameters, synthetic_crops_arrays
from als_core.studies.miao2023.train import EPOCHS, base_features, crop_base, crop_recipe, train_trials

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


def no_signal(
    amounts: NoSignal,
    *,
    network: str = "mobilenet_v3",
    cell: tuple[float, int] = (1e-3, 16),
    epochs: int = EPOCHS,
) -> pd.DataFrame:
    """Mean AUC by protocol on each of `amounts.cohorts` synthetic cohorts without a sign of disease.

    Cases keep their look, so a crop tells which case it is of. amounts: side of the crops in pixels, repeats of
    each protocol (splits), and permutations: times the labels are dealt anew to the cases, each with as many
    splits by case. The base has random weights and is the same for all. Columns: cohort, then `by case`, `by case, labels
    permuted`, `by crop` and `augment, then split`.
    """
    side = amounts.side
    recipe = crop_recipe(network, *cell, side=side, epochs=epochs)
    drawing = {"repeats": amounts.repeats, "copies": amounts.copies, "balanced": False}
    rows, base = [], None
    for seed in tqdm(range(amounts.cohorts), "cohorts without a sign", disable=None):
        parameters = CropParameters(disease_effect=0, side=max(side, 64))
        images, _, _, table = synthetic_crops_arrays(parameters, seed)
        labels, cases = (table["label"] == CASE).to_numpy(), table["group"].to_numpy()
        trials = [
            trial
            for protocol in (HONEST, PUBLISHED, LEAKING)
            for trial in draw_trials(labels, cases, protocol, seed, **drawing)
        ]
        generator = np.random.default_rng([seed, 1])
        for number in range(amounts.permutations):
            dealt = permute_labels_over_groups(labels, cases, generator)
            drawn = draw_trials(dealt, cases, HONEST, seed + number, **drawing)
            trials += [t._replace(protocol=PERMUTED, number=len(trials) + t.number) for t in drawn]
        pool = make_pool(images, trials, side, seed)
        base = base or crop_base(network, "random", images, side)
        features = base_features(base, pool, None, torch.device("cpu"))
        aucs = trial_aucs(train_trials(recipe, features, pool, trials, cases, seed).predictions)
        rows.append({"cohort": seed} | aucs.groupby("protocol", sort=False)["auc"].mean().to_dict())
    return pd.DataFrame(rows, columns=["cohort", HONEST, PERMUTED, PUBLISHED, LEAKING])


def shifts(aucs: pd.DataFrame) -> pd.DataFrame:
    """By how much each protocol's AUC lies above that of the honest split with permuted labels.

    aucs: from `no_signal`. Columns: protocol, auc (mean over cohorts), shift and its standard error over
    cohorts, in_errors (the one over the other).
    """
    rows = []
    for protocol in (HONEST, PUBLISHED, LEAKING):
        moved = aucs[protocol] - aucs[PERMUTED]
        error = moved.std() / np.sqrt(len(moved))
        row = {"protocol": protocol, "auc": aucs[protocol].mean(), "shift": moved.mean(), "error": error}
        rows.append(row | {"in_errors": moved.mean() / error})
    return pd.DataFrame(rows)


def classical_features(crops: np.ndarray) -> pd.DataFrame:
    """Brightness, sharpness, texture and spots of uint8 crops (n, H, W): one row each, in order.

    Columns: percentiles and sd of brightness (levels), sharpness, contrast, homogeneity, energy and correlation
    of the grey-level co-occurrence matrix one pixel away (mean of four directions), and the number of spots.
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
    features: pd.DataFrame, trials: Sequence[Trial], cases: np.ndarray, seed: int
) -> pd.DataFrame:
    """Predictions of every classical method on the trials' test crops, learnt from their training crops alone.

    Copies are not used. Columns: network (the method), protocol, number, crop, case, truth, score. The score
    is a probability, for an SVM its decision function moved so that 0.5 is its boundary.
    """
    values, tables = features.to_numpy(), []
    for name, make in CLASSICAL.items():
        for trial in trials:
            train, test = (np.unique(part[:, 0]) for part in (trial.train, trial.test))
            model = make_pipeline(StandardScaler(), make(seed)).fit(values[train], trial.labels[train])
            if hasattr(model, "predict_proba"):
                score = model.predict_proba(values[test])[:, 1]
            else:
                score = model.decision_function(values[test]) + 0.5
            told = {"network": name, "protocol": trial.protocol, "number": trial.number, "crop": test}
            tables.append(
                pd.DataFrame(told | {"case": cases[test], "truth": trial.labels[test], "score": score})
            )
    return pd.concat(tables, ignore_index=True)
