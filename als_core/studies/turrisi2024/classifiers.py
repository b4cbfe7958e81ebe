"""The eight classifiers of Turrisi 2024 with their published grids, each as a pipeline of scale, SMOTE, fit.

Everything that learns from data is a step of the pipeline, so fitting it on a training part keeps the test
part out. Class 1 is the positive class (ALS) throughout, and a higher score always means more positive.

Left open by the paper and chosen here: features are standardised before SMOTE; the SVMs' other parameters are
scikit-learn's defaults; hyper-parameters are chosen by balanced accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import check_cv
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from als_core.statistics.metrics import balanced_accuracy, confusion_matrix
from als_core.studies.turrisi2024.feature_table import NEIGHBOURS

COSTS = (0.0001, 0.001, 0.01, 0.1, 1, 10)
# the paper's letters, and the names scikit-learn has for them
PARAMETERS = {"k": "n_neighbors", "N": "n_estimators", "C": "C", "gamma": "gamma", "d": "degree"}


@dataclass(frozen=True)
class Method:
    """A classifier and the values tried for its hyper-parameters, under the paper's letters.

    make : seed -> unfitted classifier.
    oversamples_itself : SMOTE acts inside the classifier, after it took its validation share, and not in the
        pipeline; such a method has nothing to tune.
    """

    name: str
    make: Callable[[int], BaseEstimator]
    grid: Mapping[str, tuple] = field(default_factory=dict)
    is_network: bool = False
    oversamples_itself: bool = False

    def pipeline(self, seed: int, neighbours: int = NEIGHBOURS) -> Pipeline:
        """Build scaling, SMOTE and the classifier, unfitted."""
        smote = SMOTE(k_neighbors=neighbours, random_state=seed)
        classifier = self.make(seed)
        if self.oversamples_itself:
            return Pipeline(
                [("scale", StandardScaler()), ("classify", classifier.set_params(oversampler=smote))]
            )
        return Pipeline([("scale", StandardScaler()), ("smote", smote), ("classify", classifier)])

    def fitted(
        self, chosen: Mapping[str, Any], features: np.ndarray, labels: np.ndarray, seed: int, neighbours: int
    ) -> Pipeline:
        """Fit the pipeline with these values, under the paper's letters, to all given samples."""
        values = {f"classify__{PARAMETERS[letter]}": value for letter, value in chosen.items()}
        return self.pipeline(seed, neighbours).set_params(**values).fit(features, labels)


def _network(watch: str) -> Callable[[int], BaseEstimator]:
    def make(seed: int) -> BaseEstimator:
        from als_core.studies.turrisi2024.small_network import (
            SmallNetwork,  # imports torch, which worker processes without a network do not need
        )

        return SmallNetwork(watch=watch, random_state=seed)

    return make


def _svm(kernel: str) -> Callable[[int], BaseEstimator]:
    return lambda seed: SVC(kernel=kernel)  # deterministic


def _forest(seed: int) -> BaseEstimator:
    # with a warm start a larger forest begins with the trees of the smaller one, which are its own first trees
    return RandomForestClassifier(random_state=seed, warm_start=True)


METHODS = {
    method.name: method
    for method in (
        Method("SVM (L)", _svm("linear"), {"C": COSTS}),
        Method("SVM (P)", _svm("poly"), {"C": COSTS, "d": (2, 3)}),
        Method("SVM (RBF)", _svm("rbf"), {"C": COSTS, "gamma": (0.001, 0.01, 0.1, 1, 10)}),
        Method("SVM (S)", _svm("sigmoid"), {"C": COSTS}),
        Method("Knn", lambda seed: KNeighborsClassifier(), {"k": (3, 5, 7)}),
        Method("RF", _forest, {"N": (5, 100, 200, 500)}),
        Method("DNNt", _network("training"), is_network=True),
        Method("DNNv", _network("validation"), is_network=True, oversamples_itself=True),
    )
}
# age and sex alone: the baseline of every score
DEMOGRAPHIC_BASELINE = Method("age and sex", lambda seed: LogisticRegression())


def best_values(
    method: Method,
    features: np.ndarray,
    labels: np.ndarray,
    seed: int,
    folds: Any,
    neighbours: int = NEIGHBOURS,
) -> dict[str, Any]:
    """Choose hyper-parameters, under the paper's letters, by their mean score on `folds`; of equals the first.

    The same choice as scikit-learn's `GridSearchCV`, but faster: scaling and SMOTE are fitted once per fold,
    and a forest keeps its trees where more are wanted.

    features : float (n, F). labels : 0 and 1, (n,). folds : anything that scikit-learn takes as `cv`; not used
    for a method without hyper-parameters.
    """
    if not method.grid:
        return {}
    choices = [dict(zip(method.grid, values, strict=True)) for values in product(*method.grid.values())]
    scores = []
    for train, test in check_cv(folds, labels, classifier=True).split(features, labels):
        before = method.pipeline(seed, neighbours)[:-1]
        inputs, targets = before.fit_resample(features[train], labels[train])
        unseen, classifier = before["scale"].transform(features[test]), method.make(seed)
        for choice in choices:
            classifier.set_params(**{PARAMETERS[letter]: value for letter, value in choice.items()})
            counts = confusion_matrix(labels[test], classifier.fit(inputs, targets).predict(unseen), 2)
            scores.append(balanced_accuracy(counts))
    return choices[int(np.argmax(np.reshape(scores, (-1, len(choices))).mean(0)))]


def tuned(
    method: Method,
    features: np.ndarray,
    labels: np.ndarray,
    seed: int,
    folds: Any,
    neighbours: int = NEIGHBOURS,
) -> tuple[Pipeline, dict[str, Any]]:
    """Fit the method to all given samples with its `best_values`; return the pipeline and these values."""
    chosen = best_values(method, features, labels, seed, folds, neighbours)
    return method.fitted(chosen, features, labels, seed, neighbours), chosen


def trial_scores(pipeline: Pipeline, features: np.ndarray) -> np.ndarray:
    """Score the positive class by every trial, (trials, n): one trial for all methods but the networks.

    A probability, or for an SVM the signed distance from its boundary.
    """
    classifier = pipeline["classify"]
    if hasattr(classifier, "trial_scores"):
        return classifier.trial_scores(pipeline["scale"].transform(features)).astype(np.float64)
    if hasattr(classifier, "decision_function"):
        return pipeline.decision_function(features)[None]
    return pipeline.predict_proba(features)[None, :, 1]


def trial_answers(pipeline: Pipeline, features: np.ndarray) -> np.ndarray:
    """Classify by every trial, bool (trials, n), True for the positive class."""
    if hasattr(pipeline["classify"], "trial_scores"):
        return trial_scores(pipeline, features) > 0.5
    return pipeline.predict(features)[None] == 1
