"""Nested cross-validation of the classifiers of Turrisi 2024, and the metrics of what it predicts.

Outer folds judge, inner folds choose: scaling, SMOTE and hyper-parameters see training subjects only. All
results are tidy predictions, one row a fold, trial and subject; every number of a table derives from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import StratifiedKFold
from tqdm import tqdm

from als_core.refusal import refuse_if
from als_core.statistics.curves import curve_areas
from als_core.statistics.intervals import draw_groups, percentile_interval
from als_core.statistics.metrics import accuracy, balanced_accuracy, confusion_matrix, matthews
from als_core.studies.turrisi2024.classifiers import METHODS, Method, trial_answers, trial_scores, tuned
from als_core.studies.turrisi2024.feature_table import INNER_FOLDS, NEIGHBOURS, OUTER_FOLDS, feature_problems

CONFIGURATION = ["representation", "method"]


@dataclass(frozen=True)
class Outcome:
    """What a protocol found.

    predictions: one row a fold, trial and test subject: `fold`, `trial` and `sample` (row of the table, int),
    `positive` (the truth, bool), `score` (higher is more positive), `answer` (bool). optima: one row a fold and
    hyper-parameter: `fold`, `parameter`, `value`. Of several configurations, `representation` and `method` too.
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
    """Stratified 3 x 3 nested cross-validation. features: float (n, F). positive: bool (n,)."""
    labels = positive.astype(int)

    def fit(train: np.ndarray, test: np.ndarray) -> tuple[Pipeline, dict[str, Any]]:
        return tuned(method, features[train], labels[train], seed, inner_folds(seed), neighbours)

    return judged(features, positive, seed, fit)


def judged(features: np.ndarray, positive: np.ndarray, seed: int, fit: Fit) -> Outcome:
    """What the pipelines that `fit` makes for each outer fold say about its test subjects.

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
    protocol: Protocol = nested,
    seed: int = 42,
    neighbours: int = NEIGHBOURS,
    jobs: int = 1,
) -> Outcome:
    """Every method on every representation by one protocol; a progress bar goes to stderr.

    representations: name -> features (n, F) of the same subjects in the same order. positive: bool (n,).
    jobs: processes, each with one thread; the outcome does not depend on it. Raises RefusedInput with the
    problems of every representation before anything is fitted.
    """
    problems = [
        replace(problem, where=f"{name}, {problem.where}")
        for name, features in representations.items()
        for problem in feature_problems(features, positive, neighbours)
    ]
    refuse_if("Features", problems)
    pairs = list(product(methods, representations))
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        work = Parallel(return_as="generator", batch_size=1)(
            delayed(protocol)(representations[name].to_numpy(np.float64), positive, method, seed, neighbours)
            for method, name in pairs
        )
        outcomes = list(tqdm(work, total=len(pairs), desc="classifiers", unit="configuration", disable=None))
    return together(
        named(outcome, name, method.name) for outcome, (method, name) in zip(outcomes, pairs, strict=True)
    )


def named(outcome: Outcome, representation: str, method: str) -> Outcome:
    """The outcome with the columns `representation` and `method` in front."""
    return Outcome(
        *(
            pd.concat({(representation, method): table}, names=CONFIGURATION).reset_index(CONFIGURATION)
            for table in (outcome.predictions, outcome.optima)
        )
    )


def together(outcomes: Iterable[Outcome]) -> Outcome:
    """Several named outcomes as one."""
    predictions, optima = zip(*((one.predictions, one.optima) for one in outcomes), strict=True)
    return Outcome(pd.concat(predictions, ignore_index=True), pd.concat(optima, ignore_index=True))


def always_positive(positive: np.ndarray, seed: int = 42) -> pd.DataFrame:
    """Tidy predictions of answering the positive class for everybody, on the same outer folds."""
    parts = [
        pd.DataFrame({"fold": fold, "trial": 0, "sample": test, "positive": positive[test]})
        for fold, (_, test) in enumerate(outer_folds(positive, seed))
    ]
    return pd.concat(parts, ignore_index=True).assign(score=0.0, answer=True)


def count_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of 2 x 2 counts (..., 2, 2), rows the truth, columns the answer, positive last; 0 to 1.

    `_other` takes the other class as positive, so `recall_other` is the specificity. `matthews` is -1 to 1, and
    NaN, like precision, where nobody is called one of the classes.
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
    """Counts over all given rows, int64 (2, 2): rows the truth, columns the answer, the positive class last."""
    return confusion_matrix(predictions["positive"].to_numpy(int), predictions["answer"].to_numpy(int), 2)


def fold_metrics(predictions: pd.DataFrame) -> pd.DataFrame:
    """All metrics of every fold and trial (and configuration, where there are several), one row each."""
    keys = [name for name in (*CONFIGURATION, "fold", "trial") if name in predictions]
    rows = []
    for key, part in predictions.groupby(keys, sort=False):
        areas = curve_areas(part["positive"].to_numpy(), part["score"].to_numpy())._asdict()
        rows.append(dict(zip(keys, key, strict=True)) | count_metrics(confusion(part)) | areas)
    return pd.DataFrame(rows)


def mean_and_sd(metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation of every metric over folds and trials, as Table 3 gives them.

    metrics: from `fold_metrics`. One row a configuration, columns (metric, mean or sd). A metric that is NaN in
    one fold is NaN, never a mean of the others.
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
    """Intervals of one configuration, subjects resampled within each class: columns value, low, high, by metric.

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
    name = f"bootstrap over {drawn.shape[1]} subjects"
    ends = {metric: percentile_interval(each, 0.95, name)[:2] for metric, each in resampled.items()}
    table = pd.DataFrame(ends, index=["low", "high"]).T
    table.insert(0, "value", pd.Series(values, dtype=float))
    return table.rename_axis("metric")
