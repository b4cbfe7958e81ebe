"""The protocol as Turrisi 2024 describes it, and four leaks, each as a protocol of its own beside the nested one.

A leak lets something of the test subjects into what is fitted, or mislabels what comes out. Each declares
which way it should move a score where there is nothing to find, and is held to that on null tables. The leaks are
those that the paper's description or its first author's public code make thinkable; that any of them made a
published number is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

from als_core.studies.turrisi2024.classifiers import METHODS, Method, tuned
from als_core.studies.turrisi2024.feature_table import NEIGHBOURS
from als_core.studies.turrisi2024.nested_cv import (
    Outcome,
    Protocol,
    fold_metrics,
    inner_folds,
    judged,
    nested,
)

Direction = Literal["up", "none", "mirrored", "not applicable"]
PERMUTED = "labels permuted"


def as_described(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """One optimum a method, found on all subjects, then judged on outer folds of the same subjects.

    Section 2.4 says stratified 3-fold with a test size of 20 %, which only three shuffled splits can have.
    """
    labels = positive.astype(int)
    splits = StratifiedShuffleSplit(3, test_size=0.2, random_state=seed)
    _, chosen = tuned(method, features, labels, seed, splits, neighbours)

    def fit(train: np.ndarray, test: np.ndarray):
        return method.fitted(chosen, features[train], labels[train], seed, neighbours), chosen

    return judged(features, positive, seed, fit)


def smote_before_splitting(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """All subjects scaled and oversampled at once, then the nested protocol on real and made-up subjects alike.

    Made-up subjects have `sample` numbers from n on, and are judged too.
    """
    scale_and_smote = METHODS["Knn"].pipeline(seed, neighbours)[:-1]
    features, labels = scale_and_smote.fit_resample(features, positive.astype(int))
    return nested(features, labels == 1, method, seed, neighbours)


def tuned_on_test_folds(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """The hyper-parameters of each outer fold are those that do best on its own test subjects."""
    labels = positive.astype(int)

    def fit(train: np.ndarray, test: np.ndarray):
        _, chosen = tuned(method, features, labels, seed, [(train, test)], neighbours)
        return method.fitted(chosen, features[train], labels[train], seed, neighbours), chosen

    return judged(features, positive, seed, fit)


def network_trained_on(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """One network for all folds: in the second and third it goes on from weights that saw their test subjects."""
    pipeline = method.pipeline(seed, neighbours).set_params(classify__warm_start=True)

    def fit(train: np.ndarray, test: np.ndarray):
        return pipeline.fit(features[train], positive[train].astype(int)), {}

    return judged(features, positive, seed, fit)


def gamma_and_degree_unused(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """C, gamma and degree are tuned in the inner folds, and then C alone is used."""
    labels = positive.astype(int)

    def fit(train: np.ndarray, test: np.ndarray):
        _, chosen = tuned(method, features[train], labels[train], seed, inner_folds(seed), neighbours)
        used = {"C": chosen["C"]}
        return method.fitted(used, features[train], labels[train], seed, neighbours), used

    return judged(features, positive, seed, fit)


def class_zero_scores(
    features: np.ndarray, positive: np.ndarray, method: Method, seed: int, neighbours: int = NEIGHBOURS
) -> Outcome:
    """The nested protocol, with the other class's score handed to the curves: the AUC becomes 1 - AUC."""
    outcome = nested(features, positive, method, seed, neighbours)
    return Outcome(outcome.predictions.assign(score=-outcome.predictions["score"]), outcome.optima)


@dataclass(frozen=True)
class Leak:
    """A protocol that lets something through.

    direction: which way it moves `metric` where nothing is to be found, for the methods it `applies` to.
    """

    name: str
    protocol: Protocol
    metric: str
    direction: Direction
    applies: Callable[[Method], bool]

    def direction_for(self, method: Method) -> Direction:
        return self.direction if self.applies(method) else "not applicable"


LEAKS = {
    leak.name: leak
    for leak in (
        Leak("as described", as_described, "balanced_accuracy", "up", lambda m: bool(m.grid)),
        Leak("SMOTE before splitting", smote_before_splitting, "auc", "up", lambda m: True),
        Leak("tuned on test folds", tuned_on_test_folds, "balanced_accuracy", "up", lambda m: bool(m.grid)),
        Leak("network trained on across folds", network_trained_on, "auc", "up", lambda m: m.is_network),
        Leak("gamma and degree unused", gamma_and_degree_unused, "auc", "none", lambda m: len(m.grid) > 1),
        Leak("class-0 scores", class_zero_scores, "auc", "mirrored", lambda m: True),
    )
}


def replay(
    tables: Sequence[tuple[np.ndarray, np.ndarray]],
    methods: Sequence[Method],
    seed: int = 0,
    neighbours: int = NEIGHBOURS,
    jobs: int = 1,
) -> pd.DataFrame:
    """Every method on every table by the nested protocol, with permuted labels, and with each leak that applies.

    tables: (features, positive), such as null cohorts; table number i is replayed with the seed `seed` + i.
    One row a table, method and protocol ("nested", `PERMUTED` or a leak's name), with `auc` and
    `balanced_accuracy`, means over folds and trials. A progress bar goes to stderr.
    """
    tasks = []
    for number, (features, positive) in enumerate(tables):
        shuffled = np.random.default_rng((seed, number)).permutation(positive)
        for method in methods:
            runs = [("nested", nested, positive), (PERMUTED, nested, shuffled)]
            runs += [(leak.name, leak.protocol, positive) for leak in LEAKS.values() if leak.applies(method)]
            tasks += [(number, method, name, run, features, labels) for name, run, labels in runs]
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        work = Parallel(return_as="generator", batch_size=1)(
            delayed(_replayed)(*task, seed + task[0], neighbours) for task in tasks
        )
        rows = list(tqdm(work, total=len(tasks), desc="leaks", unit="run", disable=None))
    return pd.DataFrame(rows)


def directions(replayed: pd.DataFrame, methods: Sequence[Method]) -> pd.DataFrame:
    """Did each leak move its score as declared? One row a method and leak, beside the permuted-label check.

    replayed: from `replay`. Columns: method, protocol, metric, nested and moved (means over tables), shift and
    its standard error, declared, holds. "up" holds where the mean shift is above two standard errors, "none"
    and the permuted labels where it is within three, "mirrored" where every AUC is 1 minus the nested one. A
    leak that does not apply has no numbers.
    """
    rows = []
    for method in methods:
        ours = replayed[replayed["method"] == method.name].set_index(["protocol", "table"])
        declared = {PERMUTED: ("auc", "none")}
        declared |= {leak.name: (leak.metric, leak.direction_for(method)) for leak in LEAKS.values()}
        for protocol, (metric, direction) in declared.items():
            row = {"method": method.name, "protocol": protocol, "metric": metric, "declared": direction}
            rows.append(row)
            if direction == "not applicable":
                continue
            before, after = ours.loc["nested"][metric], ours.loc[protocol][metric]
            shift = after - before
            error = shift.std() / np.sqrt(len(shift))
            holds = {
                "up": shift.mean() > 2 * error,
                "none": abs(shift.mean()) <= 3 * error,
                "mirrored": bool(np.allclose(after, 1 - before)),
            }[direction]
            row |= {"nested": before.mean(), "moved": after.mean(), "shift": shift.mean(), "error": error}
            row["holds"] = bool(holds)
    return pd.DataFrame(rows)


def _replayed(
    number: int,
    method: Method,
    name: str,
    protocol: Protocol,
    features: np.ndarray,
    positive: np.ndarray,
    seed: int,
    neighbours: int,
) -> dict:
    metrics = fold_metrics(protocol(features, positive, method, seed, neighbours).predictions)
    means = metrics[["auc", "balanced_accuracy"]].mean().to_dict()
    return {"table": number, "method": method.name, "protocol": name} | means
