"""The protocols of Turrisi 2024 and the metrics of their predictions.

- ``nested``: outer folds judge, inner folds choose; scaling, SMOTE and hyper-parameters see training subjects only
- ``as_published``, shown as "tuned once": the paper's words, read literally; one grid search on all subjects, then
  outer folds of the same subjects

Both judge on the same stratified outer folds. Results are tidy predictions, one row per fold, trial and
subject; every number of a table derives from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from tqdm import tqdm

from als_core.refusal import refuse_if
from als_core.statistics.curves import curve_areas
from als_core.statistics.intervals import draw_groups, percentile_interval
from als_core.statistics.metrics import accuracy, balanced_accuracy, confusion_matrix, matthews
from als_core.studies.turrisi2024.classifiers import (
    METHODS,
    Method,
    best_values,
    trial_answers,
    trial_scores,
    tuned,
)
from als_core.studies.turrisi2024.feature_table import INNER_FOLDS, NEIGHBOURS, OUTER_FOLDS, feature_problems

CONFIGURATION = ["protocol", "representation", "method"]
SEARCH_SPLITS, SEARCH_TEST_SHARE, SEARCH_STATE = 3, 0.2, 42  # section 2.4


@dataclass(frozen=True)
class Outcome:
    """The predictions of a protocol, and the hyper-parameters it chose.

    predictions : one row per fold, trial and test subject: `fold`, `trial` and `sample` (row of the table,
        int), `positive` (the truth, bool), `score` (higher is more positive), `answer` (bool).
    optima : one row per fold and hyper-parameter: `fold`, `parameter`, `value`.

    Results of several configurations also have the columns of `CONFIGURATION`.
    """

    predictions: pd.DataFrame
    optima: pd.DataFrame


Protocol = Callable[[np.ndarray, np.ndarray, Method, int, int], Outcome]
Fit = Callable[[np.ndarray, np.ndarray], tuple[Pipeline, dict[str, Any]]]


def outer_folds(positive: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of the stratified outer folds; the same for every method and representation."""
    folds = StratifiedKFold(OUTER_FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(positive)), positive))


def inner_folds(seed: int) -> StratifiedKFold:
    return StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed)


def nested(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """Run stratified 3 x 3 nested cross-validation. features: float (n, F). positive: bool (n,)."""
    labels = positive.astype(int)

    def fit(train: np.ndarray, test: np.ndarray) -> tuple[Pipeline, dict[str, Any]]:
        return tuned(method, features[train], labels[train], seed, inner_folds(seed), neighbours)

    return predict_folds(features, positive, seed, fit)


def as_published(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """Tune once on all subjects, then judge on outer folds of the same subjects.

    One reading of section 2.4 of the paper, which does not exclude a search inside each outer fold.
    A grid search over three stratified shuffled splits, a fifth of the subjects in each test part, random
    state 42. The score it maximises is not printed; balanced accuracy is used, as in `nested`.
    """
    labels = positive.astype(int)
    splits = StratifiedShuffleSplit(SEARCH_SPLITS, test_size=SEARCH_TEST_SHARE, random_state=SEARCH_STATE)
    chosen = best_values(method, features, labels, seed, splits, neighbours)

    def fit(train: np.ndarray, test: np.ndarray) -> tuple[Pipeline, dict[str, Any]]:
        return method.fitted(chosen, features[train], labels[train], seed, neighbours), chosen

    return predict_folds(features, positive, seed, fit)


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({"tuned once": as_published, "nested": nested})


def predict_folds(features: np.ndarray, positive: np.ndarray, seed: int, fit: Fit) -> Outcome:
    """Predict the test subjects of each outer fold with the pipeline that `fit` makes for it.

    fit: (training rows, test rows) -> fitted pipeline and the hyper-parameters chosen for it.
    """
    predictions, optima = [], []
    for fold, (train, test) in enumerate(outer_folds(positive, seed)):
        pipeline, chosen = fit(train, test)
        scores, answers = trial_scores(pipeline, features[test]), trial_answers(pipeline, features[test])
        trials = len(scores)
        columns = {
            "fold": fold,
            "trial": np.repeat(np.arange(trials), len(test)),
            "sample": np.tile(test, trials),
            "positive": np.tile(positive[test], trials),
            "score": scores.ravel(),
            "answer": answers.ravel(),
        }
        predictions.append(pd.DataFrame(columns))
        optima += [(fold, parameter, value) for parameter, value in chosen.items()]
    optima = pd.DataFrame(optima, columns=["fold", "parameter", "value"])
    return Outcome(pd.concat(predictions, ignore_index=True), optima)


def study(
    representations: Mapping[str, pd.DataFrame],
    positive: np.ndarray,
    methods: Sequence[Method] = tuple(METHODS.values()),
    protocols: Mapping[str, Protocol] = MappingProxyType({"nested": nested}),
    seed: int = 42,
    neighbours: int = NEIGHBOURS,
    jobs: int = 1,
) -> Outcome:
    """Run every method on every representation by each protocol; a progress bar goes to stderr.

    Parameters
    ----------
    representations : name -> features (n, F) of the same subjects in the same order.
    positive : bool (n,).
    protocols : name -> protocol, such as `PROTOCOLS`. A method without hyper-parameters is fitted once:
        nothing is tuned, so `nested` and `as_published` are the same.
    jobs : processes, each with one thread; the outcome does not depend on it.

    Raises
    ------
    RefusedInput
        With the problems of every representation, before anything is fitted.
    """
    problems = [
        replace(problem, where=f"{name}, {problem.where}")
        for name, features in representations.items()
        for problem in feature_problems(features, positive, neighbours)
    ]
    refuse_if("Features", problems)
    cells = list(product(methods, representations, protocols))
    same = next(iter(protocols))
    fitted = [cell for cell in cells if cell[0].grid or cell[2] == same]
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        work = Parallel(return_as="generator", batch_size=1)(
            delayed(protocols[protocol])(
                representations[name].to_numpy(np.float64), positive, method, seed, neighbours
            )
            for method, name, protocol in fitted
        )
        outcomes = list(tqdm(work, "classifiers", len(fitted), unit="configuration", disable=None))
    by_cell = {(m.name, name, p): one for (m, name, p), one in zip(fitted, outcomes, strict=True)}
    order = [(p, name, m.name) for m, name, p in cells]
    found = [by_cell.get((m, name, p)) or by_cell[m, name, same] for p, name, m in order]
    return Outcome(
        _stacked(order, [one.predictions for one in found]), _stacked(order, [one.optima for one in found])
    )


def _stacked(cells: Iterable[tuple[str, str, str]], tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of several configurations as one, with the columns of `CONFIGURATION` in front."""
    parts = [
        table.assign(**dict(zip(CONFIGURATION, cell, strict=True)))
        for cell, table in zip(cells, tables, strict=True)
    ]
    stacked = pd.concat(parts, ignore_index=True)
    return stacked[[*CONFIGURATION, *(name for name in stacked if name not in CONFIGURATION)]]


def always_positive(positive: np.ndarray, seed: int = 42) -> pd.DataFrame:
    """Predict the positive class for everybody, on the same outer folds."""
    parts = [
        pd.DataFrame({"fold": fold, "trial": 0, "sample": test, "positive": positive[test]})
        for fold, (_, test) in enumerate(outer_folds(positive, seed))
    ]
    return pd.concat(parts, ignore_index=True).assign(score=0.0, answer=True)


def count_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Compute metrics (0 to 1) of counts (..., 2, 2), rows the truth, columns the answer, positive last.

    `_other` takes the other class as positive, so `recall_other` is the specificity. `matthews` is -1 to 1,
    and NaN, like precision, where nobody is called one of the classes.
    """
    confusion = np.asarray(confusion, float)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    truths, answers = confusion.sum(-1), confusion.sum(-2)
    with np.errstate(invalid="ignore"):
        shares = {"f1": 2 * hits / (truths + answers), "precision": hits / answers, "recall": hits / truths}
    by_class = {
        f"{name}{end}": share[..., i] for name, share in shares.items() for i, end in ((1, ""), (0, "_other"))
    }
    return by_class | {
        "accuracy": accuracy(confusion),
        "balanced_accuracy": balanced_accuracy(confusion),
        "matthews": matthews(confusion),
    }


def confusion(predictions: pd.DataFrame) -> np.ndarray:
    """Count all rows, int64 (2, 2): rows the truth, columns the answer, the positive class last."""
    return confusion_matrix(predictions["positive"].to_numpy(int), predictions["answer"].to_numpy(int), 2)


def fold_metrics(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute all metrics of every fold and trial, and of every configuration; one row each."""
    keys = [name for name in (*CONFIGURATION, "fold", "trial") if name in predictions]
    rows = []
    for key, part in predictions.groupby(keys, sort=False):
        areas = curve_areas(part["positive"].to_numpy(), part["score"].to_numpy())._asdict()
        rows.append(dict(zip(keys, key, strict=True)) | count_metrics(confusion(part)) | areas)
    return pd.DataFrame(rows)


def mean_and_sd(metrics: pd.DataFrame) -> pd.DataFrame:
    """Average every metric over folds and trials, with its sample standard deviation, as Table 3 does.

    metrics: from `fold_metrics`. One row a configuration, columns (metric, mean or sd). A metric that is NaN
    in one fold is NaN, never a mean of the others.
    """
    values = metrics.drop(columns=["fold", "trial"])
    keys = [name for name in CONFIGURATION if name in values]
    groups = values.groupby(keys, sort=False) if keys else values.groupby(lambda _: "all")
    return pd.concat(
        {"mean": groups.agg(lambda x: x.mean(skipna=False)), "sd": groups.agg(lambda x: x.std(skipna=False))},
        axis=1,
    ).swaplevel(axis=1)


def metric_intervals(
    predictions: pd.DataFrame, generator: np.random.Generator, resamples: int = 1000
) -> pd.DataFrame:
    """Bootstrap one configuration, subjects resampled within each class: columns value, low, high, by metric.

    Counts are pooled over folds and trials; `auc` is the mean over folds and trials of the area within each,
    because scores of different models have no common scale. What the choice of folds adds is not in them.
    """
    truth, answer = predictions["positive"].to_numpy(int), predictions["answer"].to_numpy(int)
    number, drawn = draw_groups(predictions["sample"].to_numpy(), resamples, generator, truth)
    subjects = np.zeros((drawn.shape[1], 2, 2))
    np.add.at(subjects, (number, truth, answer), 1)
    values = count_metrics(subjects.sum(0))
    resampled = count_metrics(np.tensordot(drawn, subjects, axes=1))
    areas = []
    score = predictions["score"].to_numpy()
    times = np.concatenate([np.ones((1, drawn.shape[1])), drawn])  # the subjects as they are come first
    for rows in predictions.groupby(["fold", "trial"]).indices.values():
        ours, others = rows[truth[rows] == 1], rows[truth[rows] == 0]
        wins = np.sign(score[ours][:, None] - score[others]) / 2 + 0.5
        ours, others = times[:, number[ours]], times[:, number[others]]
        areas.append(((ours @ wins) * others).sum(1) / (ours.sum(1) * others.sum(1)))
    values["auc"], resampled["auc"] = np.mean(areas, 0)[0], np.mean(areas, 0)[1:]
    ends = {metric: percentile_interval(each) for metric, each in resampled.items()}
    table = pd.DataFrame(ends, index=["low", "high"]).T
    table.insert(0, "value", pd.Series(values, dtype=float))
    return table.rename_axis("metric")
