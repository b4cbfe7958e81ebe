"""Leaks: protocols that let something of the test subjects through, each checked on null cohorts.

A leak lets the test subjects influence what is fitted, or mislabels what comes out. Each declares which way
it should move a score where there is nothing to find, and `check_leaks` holds it to that. The leaks are those
that the paper's description leaves possible. Whether any of them made a published number is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from als_core.statistics import null_check
from als_core.statistics.null_check import PERMUTED, Direction, check_directions
from als_core.statistics.paired import permute_labels_over_groups
from als_core.studies.turrisi2024.audit import ALS, MIMICS
from als_core.studies.turrisi2024.classifiers import METHODS, Method, best_values
from als_core.studies.turrisi2024.feature_table import NEIGHBOURS, least_class_size
from als_core.studies.turrisi2024.nested_cv import (
    Outcome,
    Protocol,
    as_published,
    fold_metrics,
    inner_folds,
    nested,
    predict_folds,
)


def smote_before_splitting(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """Scale and oversample all subjects at once, then run the nested protocol on real and synthetic ones.

    Synthetic subjects have `sample` numbers from n on, and are judged too.
    """
    scale_and_smote = METHODS["Knn"].pipeline(seed, neighbours)[:-1]
    features, labels = scale_and_smote.fit_resample(features, positive.astype(int))
    return nested(features, labels == 1, method, seed, neighbours)


def tuned_on_test_folds(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """Choose the hyper-parameters of each outer fold by their result on its own test subjects."""
    labels = positive.astype(int)

    def fit(train: np.ndarray, test: np.ndarray):
        chosen = best_values(method, features, labels, seed, [(train, test)], neighbours)
        return method.fitted(chosen, features[train], labels[train], seed, neighbours), chosen

    return predict_folds(features, positive, seed, fit)


def network_trained_on(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """Train one network through all folds: from the second on, its weights have seen the test subjects."""
    pipeline = method.pipeline(seed, neighbours).set_params(classify__warm_start=True)

    def fit(train: np.ndarray, test: np.ndarray):
        return pipeline.fit(features[train], positive[train].astype(int)), {}

    return predict_folds(features, positive, seed, fit)


def gamma_and_degree_unused(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """Tune C, gamma and degree in the inner folds, and then use C alone."""
    labels = positive.astype(int)

    def fit(train: np.ndarray, test: np.ndarray):
        chosen = best_values(method, features[train], labels[train], seed, inner_folds(seed), neighbours)
        used = {"C": chosen["C"]}
        return method.fitted(used, features[train], labels[train], seed, neighbours), used

    return predict_folds(features, positive, seed, fit)


def class_zero_scores(outcome: Outcome) -> Outcome:
    """Give the scores of class 0 to the curves: the AUC becomes 1 - AUC."""
    return Outcome(outcome.predictions.assign(score=-outcome.predictions["score"]), outcome.optima)


@dataclass(frozen=True)
class Leak:
    """A protocol with a leak, or what is made of the nested protocol's outcome.

    direction: which way it moves `metric` where there is nothing to find, for the methods it `applies` to.
    """

    name: str
    protocol: Protocol | Callable[[Outcome], Outcome]
    metric: str
    direction: Direction
    applies: Callable[[Method], bool]
    of_outcome: bool = False


LEAKS = {
    leak.name: leak
    for leak in (
        Leak("tuned once", as_published, "balanced_accuracy", "up", lambda m: bool(m.grid)),
        Leak("SMOTE before splitting", smote_before_splitting, "auc", "up", lambda m: True),
        Leak("tuned on test folds", tuned_on_test_folds, "balanced_accuracy", "up", lambda m: bool(m.grid)),
        Leak("network trained on across folds", network_trained_on, "auc", "up", lambda m: m.is_network),
        Leak("gamma and degree unused", gamma_and_degree_unused, "auc", "none", lambda m: len(m.grid) > 1),
        Leak("class-0 scores", class_zero_scores, "auc", "mirrored", lambda m: True, of_outcome=True),
    )
}


def null_labels(subjects: int, cohorts: int, neighbours: int, seed: int) -> list[np.ndarray]:
    """Draw random labels, bool (subjects,) per cohort: mimics in the published share, or as SMOTE needs."""
    negatives = max(round(subjects * MIMICS / (ALS + MIMICS)), least_class_size(neighbours))
    generator = np.random.default_rng(seed)
    return [generator.permutation(subjects) >= negatives for _ in range(cohorts)]


def replay(
    representations: Mapping[str, np.ndarray],
    labels: Sequence[np.ndarray],
    methods: Sequence[Method],
    seed: int = 0,
    neighbours: int = NEIGHBOURS,
    jobs: int = 1,
    leaks: Mapping[str, Leak] = LEAKS,
) -> pd.DataFrame:
    """Run the nested protocol on cohorts: with their labels, with permuted ones, and with each leak.

    Parameters
    ----------
    representations : name -> features (n, F), the same in every cohort, or (cohorts, n, F).
    labels : bool (n,) of each cohort; cohort number i is replayed with the seed `seed` + i.
    leaks : leaks to replay; empty compares the labels with permuted ones only.

    Returns
    -------
    DataFrame
        One row per representation, cohort, method and protocol ("nested", `PERMUTED` or a leak's name), with
        `auc` and `balanced_accuracy`, means over folds and trials.
    """
    tasks = []
    for (name, features), (cohort, positive), method in product(
        representations.items(), enumerate(labels), methods
    ):
        subjects = np.arange(len(positive))
        shuffled = permute_labels_over_groups(positive, subjects, np.random.default_rng((seed, cohort)))
        runs = [("nested", nested, positive), (PERMUTED, nested, shuffled)]
        chosen = [leak for leak in leaks.values() if leak.applies(method)]
        runs += [(leak.name, leak.protocol, positive) for leak in chosen if not leak.of_outcome]
        after = [(leak.name, leak.protocol) for leak in chosen if leak.of_outcome]
        table = features[cohort] if features.ndim == 3 else features
        keys = {"representation": name, "cohort": cohort, "method": method.name}
        tasks.append((keys, runs, after, table, method, seed + cohort, neighbours))
    return null_check.replay(_score, tasks, jobs, "protocols")


def check_leaks(replayed: pd.DataFrame) -> pd.DataFrame:
    """Compare permuted labels and every replayed leak with the nested protocol, as each leak declares.

    replayed: from `replay`. One row per representation, method and procedure: metric, then the columns of
    `null_check.check_directions`.
    """
    parts = []
    for (name, method), part in replayed.groupby(["representation", "method"], sort=False):
        for procedure in part["protocol"].unique():
            if procedure == "nested":
                continue
            metric, direction = "auc", "none"
            if procedure != PERMUTED:
                metric, direction = LEAKS[procedure].metric, LEAKS[procedure].direction
            scores = part.pivot(index="cohort", columns="protocol", values=metric)
            row = check_directions(scores, {procedure: direction}, "nested")
            parts.append(row.assign(representation=name, method=method, metric=metric))
    return pd.concat(parts, ignore_index=True)


def _score(
    keys: Mapping[str, object],
    runs: Sequence[tuple[str, Protocol, np.ndarray]],
    after: Sequence[tuple[str, Callable[[Outcome], Outcome]]],
    features: np.ndarray,
    *settings: object,
) -> list[dict[str, object]]:
    """Score one cohort by each protocol, and what is made of the outcome of the first."""
    outcomes = {title: protocol(features, truth, *settings) for title, protocol, truth in runs}
    outcomes |= {title: change(outcomes["nested"]) for title, change in after}
    means = {
        title: fold_metrics(one.predictions)[["auc", "balanced_accuracy"]].mean()
        for title, one in outcomes.items()
    }
    return [keys | {"protocol": title} | mean.to_dict() for title, mean in means.items()]
