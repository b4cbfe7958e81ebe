"""The eight classifiers: published grids and settings, score orientation, and the network against plain PyTorch."""

import inspect
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import SMOTE
from sklearn.metrics import f1_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from als_core.storage import repository
from als_core.studies.turrisi2024 import small_network
from als_core.studies.turrisi2024.classifiers import METHODS, PARAMETERS, trial_answers, trial_scores, tuned
from als_core.studies.turrisi2024.small_network import HIDDEN, SmallNetwork

PUBLISHED = repository() / "data" / "published"


def two_classes(seed: int, positives: int = 60, negatives: int = 24, features: int = 8, apart: float = 1.5):
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [positives, negatives])
    return rng.normal(size=(len(labels), features)) * 3 + 10 + apart * 3 * labels[:, None], labels


def test_grids_are_those_printed():
    printed = pd.read_csv(PUBLISHED / "turrisi2024_search_grids.csv")
    for method in METHODS.values():
        ours = {(letter, float(value)) for letter, values in method.grid.items() for value in values}
        names = [method.name, "SVM (all kernels)"] if method.name.startswith("SVM") else [method.name]
        rows = printed[printed["method"].isin(names)]
        assert ours == set(zip(rows["hyperparameter"], rows["candidate_value"].astype(float), strict=True))
    assert list(METHODS) == list(pd.read_csv(PUBLISHED / "turrisi2024_table3_f1.csv")["method"].unique())


def test_network_settings_are_those_printed():
    printed = pd.read_csv(PUBLISHED / "turrisi2024_dnn_settings.csv").set_index("setting")["value_as_printed"]
    ours = {name: p.default for name, p in inspect.signature(SmallNetwork).parameters.items()}
    assert printed["neurons"] == f"{HIDDEN[0]}, {HIDDEN[1]}, {small_network.CLASSES}"
    assert printed["DNNv validation share of the training set"] == f"{ours['validation_share']:.0%}"
    for setting, name in {
        "dropout after each layer": "dropout",
        "learning rate": "learning_rate",
        "l2 penalty": "l2_penalty",
        "maximum epochs": "max_epochs",
        "early-stopping patience": "patience",
        "trials per model": "trials",
    }.items():
        assert float(printed[setting]) == ours[name]


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_a_higher_score_means_more_positive_and_the_seed_decides_all(method):
    features, labels = two_classes(0)
    first = {letter: values[1] for letter, values in method.grid.items()}
    pipelines = [method.fitted(first, features, labels, seed, 5) for seed in (1, 1)]
    new, truth = two_classes(1)
    scores, answers = trial_scores(pipelines[0], new), trial_answers(pipelines[0], new)
    assert scores.shape == answers.shape == (5 if method.is_network else 1, len(truth))
    np.testing.assert_array_equal(scores, trial_scores(pipelines[1], new))
    # a low C and SMOTE can put everybody on one side: the order of the scores is what is tested
    assert all(roc_auc_score(truth, trial) > 0.8 for trial in scores)
    for trial, answer in zip(scores, answers, strict=True):
        assert answer.dtype == bool
        assert trial[answer].min(initial=np.inf) >= trial[~answer].max(initial=-np.inf)


def test_tuning_finds_what_a_plain_search_finds():
    features, labels = two_classes(2, apart=0.5)
    method = replace(METHODS["SVM (RBF)"], grid={"C": (0.1, 1, 10), "gamma": (0.01, 0.1, 1)})
    folds = StratifiedKFold(3)
    fitted, chosen = tuned(method, features, labels, 0, folds)
    scores = {}
    for cost in (0.1, 1, 10):
        for gamma in (0.01, 0.1, 1):
            found = []
            for train, test in folds.split(features, labels):
                scaler = StandardScaler().fit(features[train])
                smote = SMOTE(k_neighbors=5, random_state=0)
                inputs, targets = smote.fit_resample(scaler.transform(features[train]), labels[train])
                answers = (
                    SVC(C=cost, gamma=gamma).fit(inputs, targets).predict(scaler.transform(features[test]))
                )
                found.append(np.mean([(answers == labels[test])[labels[test] == c].mean() for c in (0, 1)]))
            scores[cost, gamma] = np.mean(found)
    assert (chosen["C"], chosen["gamma"]) == max(scores, key=scores.get)
    assert chosen["C"] == fitted["classify"].C


@pytest.mark.parametrize("name", ["SVM (P)", "Knn", "SVM (S)"])
def test_tuning_agrees_with_scikit_learns_search(name):
    features, labels = two_classes(3, apart=0.8)
    method, folds = METHODS[name], StratifiedKFold(3)
    grid = {f"classify__{PARAMETERS[letter]}": list(values) for letter, values in method.grid.items()}
    search = GridSearchCV(method.pipeline(0), grid, scoring="balanced_accuracy", cv=folds)
    search.fit(features, labels)
    fitted, chosen = tuned(method, features, labels, 0, folds)
    assert chosen == {
        letter: search.best_params_[f"classify__{PARAMETERS[letter]}"] for letter in method.grid
    }
    np.testing.assert_array_equal(fitted.predict(features), search.best_estimator_.predict(features))


def plain_network(weights, trial: int) -> torch.nn.Sequential:
    linear = [torch.nn.Linear(w.shape[1], w.shape[2]) for w, _ in weights]
    for layer, (weight, bias) in zip(linear, weights, strict=True):
        layer.weight.data, layer.bias.data = weight[trial].T.clone(), bias[trial, 0].clone()
    return torch.nn.Sequential(linear[0], torch.nn.ReLU(), linear[1], torch.nn.ReLU(), linear[2])


def test_side_by_side_trials_train_as_plain_networks_do():
    """Three epochs of full batches without dropout, against torch.nn and torch.optim, one trial at a time."""
    features, labels = two_classes(3)
    inputs, targets = torch.tensor(features, dtype=torch.float32), torch.tensor(labels)
    start = small_network.initial_weights((8, *HIDDEN, 2), 3, torch.Generator().manual_seed(5))
    ours = SmallNetwork(trials=3, max_epochs=1, dropout=0.0, batch_size=len(labels), warm_start=True)
    ours.weights_ = start
    plain = [plain_network(start, trial) for trial in range(3)]
    ours.fit(features, labels)  # F1 above the start's minus infinity: the first epoch is always kept
    for trial, network in enumerate(plain):
        optimiser = torch.optim.Adam(network.parameters(), 0.001, weight_decay=0.001)
        torch.nn.functional.cross_entropy(network(inputs), targets).backward()
        optimiser.step()
        expected = network(inputs).softmax(1)[:, 1].detach().numpy()
        np.testing.assert_allclose(ours.trial_scores(features)[trial], expected, atol=1e-6)


def test_what_is_watched_is_f1_and_the_balanced_loss():
    scores = torch.randn(2, 30, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(30) % 5 // 4  # six of class 1
    for trial in range(2):
        answers = scores[trial].argmax(1)
        assert small_network.f1_score(scores, labels)[trial] == pytest.approx(f1_score(labels, answers))
        weight = np.where(labels == 1, 1 / 6, 1 / 24)
        expected = log_loss(labels, scores[trial].double().softmax(1), sample_weight=weight)
        assert small_network.balanced_loss(scores, labels)[trial] == pytest.approx(expected)


def test_training_stops_after_patience_and_keeps_the_best_epoch(monkeypatch):
    features, labels = two_classes(4)
    merits = iter(
        [[0.1, 0.1], [0.5, 0.1], [0.2, 0.1], [0.2, 0.3], [0.9, 0.2], [0.2, 0.2], [0.2, 0.2], [1, 1]]
    )
    seen = []
    monkeypatch.setattr(small_network, "f1_score", lambda *a: seen.append(1) or torch.tensor(next(merits)))
    network = SmallNetwork(trials=2, patience=2, max_epochs=50).fit(features, labels)
    # trial 0: best at 2, waits over 3 and 4, so 0.9 at 5 comes too late; trial 1: best at 4 (after 1 + 2 waits)
    assert network.epochs_.tolist() == [2, 1]
    assert len(seen) == 5


def test_dropout_drops_a_fifth_and_keeps_the_mean():
    weights = [(torch.eye(50)[None], torch.zeros(1, 1, 50)), (torch.eye(50)[None], torch.zeros(1, 1, 50))]
    values = small_network.forward(weights, torch.ones(400, 50), 0.2, torch.Generator().manual_seed(0))
    assert (values == 0).float().mean() == pytest.approx(0.2, abs=0.01)
    assert set(values.unique().tolist()) == {0.0, 1.25}


def test_dnnv_oversamples_after_its_validation_share():
    seen = {}

    class Watching(SMOTE):
        def fit_resample(self, features, labels):
            seen["before"] = np.bincount(labels)
            resampled = super().fit_resample(features, labels)
            seen["after"] = np.bincount(resampled[1])
            return resampled

    features, labels = two_classes(5, positives=100, negatives=30)
    SmallNetwork("validation", max_epochs=1, oversampler=Watching(k_neighbors=5)).fit(features, labels)
    assert seen["before"].tolist() == [24, 80]
    assert seen["after"].tolist() == [80, 80]
    assert "smote" not in METHODS["DNNv"].pipeline(0).named_steps
    assert "smote" in METHODS["DNNt"].pipeline(0).named_steps


def test_a_warm_start_goes_on_and_a_cold_one_does_not():
    features, labels = two_classes(6)
    once, twice = SmallNetwork(max_epochs=2).fit(features, labels), SmallNetwork(max_epochs=2)
    twice.fit(features, labels).fit(features, labels)
    np.testing.assert_array_equal(once.trial_scores(features), twice.trial_scores(features))
    warm = SmallNetwork(max_epochs=2, warm_start=True)
    warm.fit(features, labels).fit(features, labels)
    assert np.abs(warm.trial_scores(features) - once.trial_scores(features)).max() > 1e-3
