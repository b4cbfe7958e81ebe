"""Scores of crop classifiers from their predictions: by cell of a grid, by case, and AUC by trial.

Predictions have a row for every trial and test image: network, learning_rate, batch_size, protocol, number (of
the trial), crop, copy, case, truth (True for ALS) and score (of ALS, 0 .. 1). ALS is the positive class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from als_core.statistics import metrics
from als_core.statistics.intervals import clopper_pearson

CELL = ["network", "learning_rate", "batch_size", "protocol"]


def score_cells(predictions: pd.DataFrame, logs: pd.DataFrame) -> pd.DataFrame:
    """One row a cell and protocol, from predictions and logs.

    Columns: `CELL`, train_accuracy and train_loss (of the last epoch, mean over trials), accuracy, precision,
    sensitivity, specificity (ALS positive, counts of all trials added up), tp, fn, fp, tn, and auc, the mean
    over trials whose test images are of both classes.
    """
    last = logs[logs["epoch"] == logs["epoch"].max()]
    learnt = last.groupby(CELL, sort=False)[["accuracy", "loss"]].mean()
    rows = []
    for cell, part in predictions.groupby(CELL, sort=False):
        told = dict(zip(CELL, cell, strict=True))
        told |= {"train_accuracy": learnt.loc[cell, "accuracy"], "train_loss": learnt.loc[cell, "loss"]}
        rows.append(told | _scored(part) | {"auc": float(trial_aucs(part)["auc"].mean())})
    return pd.DataFrame(rows)


def score_cases(predictions: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """One row a cell and protocol (columns `by`), a case being answered by the mean score of its test images.

    Meant for `cross-validation`, where every case is tested once: columns cases, right, accuracy with its exact
    interval (low, high), sensitivity, specificity, and auc over all cases.
    """
    by, rows = list(by), []
    for cell, part in predictions.groupby(by, sort=False):
        each = part.groupby(["number", "case"], as_index=False).agg(
            truth=("truth", "first"), score=("score", "mean")
        )
        scored = _scored(each)
        right, n = scored["tp"] + scored["tn"], len(each)
        low, high, *_ = clopper_pearson(right, n)
        rows.append(
            dict(zip(by, cell, strict=True))
            | {"cases": n, "right": right, "accuracy": right / n, "low": low, "high": high}
            | {name: scored[name] for name in ("sensitivity", "specificity")}
            | {"auc": float(roc_auc_score(each["truth"], each["score"]))}
        )
    return pd.DataFrame(rows)


def trial_aucs(predictions: pd.DataFrame) -> pd.DataFrame:
    """AUC of every trial: columns `CELL`, number, auc; NaN where its test images are of one class."""
    keys = [*CELL, "number"]
    rows = [
        dict(zip(keys, key, strict=True))
        | {"auc": roc_auc_score(part["truth"], part["score"]) if part["truth"].nunique() == 2 else np.nan}
        for key, part in predictions.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows)


def _scored(answers: pd.DataFrame) -> dict[str, float]:
    truth, called = answers["truth"].to_numpy(int), (answers["score"] > 0.5).to_numpy(int)
    confusion = metrics.confusion_matrix(truth, called, 2)
    (tn, fp), (fn, tp) = confusion.tolist()
    return {
        "accuracy": float(metrics.accuracy(confusion)),
        "precision": tp / (tp + fp) if tp + fp else np.nan,
        "sensitivity": float(metrics.sensitivity(confusion)[1]),
        "specificity": float(metrics.specificity(confusion)[1]),
        "tp": tp,
        "fn": fn,
        "fp": fp,
        "tn": tn,
    }
