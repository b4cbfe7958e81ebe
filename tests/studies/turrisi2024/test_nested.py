"""Both protocols and their leaks: what test subjects can reach, metrics, signal and no signal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from als_core.refusal import RefusedInput
from als_core.statistics.null_check import PERMUTED
from als_core.storage import repository
from als_core.studies.turrisi2024 import nested_cv
from als_core.studies.turrisi2024.classifiers import DEMOGRAPHIC_BASELINE, METHODS, Method
from als_core.studies.turrisi2024.feature_table import demographic_features, synthetic_feature_table
from als_core.studies.turrisi2024.leaks import LEAKS, check_leaks, null_labels, replay
from als_core.studies.turrisi2024.nested_cv import (
    CONFIGURATION,
    PROTOCOLS,
    always_positive,
    as_published,
    count_metrics,
    fold_metrics,
    mean_and_sd,
    metric_intervals,
    nested,
    outer_folds,
    study,
)
from als_core.studies.turrisi2024.small_network import SmallNetwork

PUBLISHED = repository() / "data" / "published"
PUBLISHED_COHORT = np.repeat([True, False], [548, 106])
SVM = replace(METHODS["SVM (P)"], grid={"C": (0.1, 10), "d": (2, 3)})


def quick_network(seed: int) -> SmallNetwork:
    return SmallNetwork(trials=1, max_epochs=12, learning_rate=0.03, batch_size=64, random_state=seed)


def table(seed: int, size: int = 90, columns: int = 12, effect: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng((11, seed))
    made = synthetic_feature_table(rng, np.arange(size) < size - size // 6, columns, effect)
    return made.features.to_numpy(), made.positive


def test_fold_and_smote_sizes_are_those_printed():
    printed = pd.read_csv(PUBLISHED / "turrisi2024_resampling.csv").set_index("item")["value_as_printed"]
    folds = outer_folds(PUBLISHED_COHORT, 42)
    assert {len(train) for train, _ in folds} == {int(printed["training size per split"])}
    assert {len(test) for _, test in folds} == {int(printed["testing size per split"])}
    balanced = []
    for train, _ in folds:
        smote = METHODS["Knn"].pipeline(0)["smote"]
        features = np.random.default_rng(0).normal(size=(len(train), 4))
        balanced.append(len(smote.fit_resample(features, PUBLISHED_COHORT[train])[1]))
    assert sorted(balanced) == [730, 730, 732]
    assert str(min(balanced)) == printed["augmented training size"]
    assert smote.k_neighbors == 5


def test_always_answering_als_reaches_91_18():
    metrics = fold_metrics(always_positive(PUBLISHED_COHORT))
    assert round(100 * metrics["f1"].mean(), 2) == 91.18
    assert metrics["balanced_accuracy"].tolist() == [0.5] * 3
    printed = pd.read_csv(PUBLISHED / "turrisi2024_table3_f1.csv")["f1_mean_percent"]
    assert (printed > 100 * metrics["f1"].mean()).sum() == 1


def test_metrics_are_those_of_scikit_learn():
    predictions = nested(*table(0, effect=2.0), SVM, 0).predictions
    for row in fold_metrics(predictions).to_dict("records"):
        part = predictions.query("fold == @row['fold']")
        truth, answer, score = part["positive"], part["answer"], part["score"]
        expected = {
            "f1": sk.f1_score(truth, answer),
            "f1_other": sk.f1_score(truth, answer, pos_label=False),
            "precision": sk.precision_score(truth, answer),
            "precision_other": sk.precision_score(truth, answer, pos_label=False),
            "recall": sk.recall_score(truth, answer),
            "recall_other": sk.recall_score(truth, answer, pos_label=False),
            "accuracy": sk.accuracy_score(truth, answer),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, answer),
            "matthews": sk.matthews_corrcoef(truth, answer),
            "auc": sk.roc_auc_score(truth, score),
            "auprc": sk.average_precision_score(truth, score),
            "auprc_other": sk.average_precision_score(~truth, -score),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        assert set(row) == {*expected, "fold", "trial"}


def first_score(protocol, features: np.ndarray, positive: np.ndarray) -> float:
    """Score of the first test subject of the first outer fold."""
    _, test = outer_folds(positive, 3)[0]
    predictions = protocol(features, positive, SVM, 3, 5).predictions
    return predictions.query("fold == 0").set_index("sample").loc[test[0], "score"]


def test_moving_the_other_test_subjects_changes_no_score_unless_there_is_a_leak():
    features, positive = table(1)
    _, test = outer_folds(positive, 3)[0]
    moved = features.copy()
    moved[test[1:]] *= 50
    smote_first = LEAKS["SMOTE before splitting"].protocol
    assert first_score(nested, features, positive) == first_score(nested, moved, positive)
    assert first_score(smote_first, features, positive) != first_score(smote_first, moved, positive)
    assert sorted(nested(features, positive, SVM, 3).predictions["sample"]) == list(range(90))
    assert LEAKS["tuned on test folds"].protocol(features, positive, SVM, 3, 5).optima["fold"].nunique() == 3


def test_the_papers_protocol_has_one_optimum_that_a_plain_grid_search_finds():
    features, positive = table(1, effect=1.0)
    outcome = as_published(features, positive, SVM, 3, 5)
    chosen = outcome.optima.groupby("parameter")["value"].unique().map(list)
    splits = StratifiedShuffleSplit(3, test_size=0.2, random_state=42)
    assert all(len(test) == 18 for _, test in splits.split(features, positive))
    grid = {"classify__C": (0.1, 10), "classify__degree": (2, 3)}
    search = GridSearchCV(SVM.pipeline(3), grid, scoring="balanced_accuracy", cv=splits).fit(
        features, positive.astype(int)
    )
    assert chosen.to_dict() == {
        "C": [search.best_params_["classify__C"]],
        "d": [search.best_params_["classify__degree"]],
    }
    fixed = replace(SVM, grid={"C": tuple(chosen["C"]), "d": tuple(chosen["d"])})
    pd.testing.assert_frame_equal(outcome.predictions, nested(features, positive, fixed, 3, 5).predictions)


def test_both_protocols_share_a_method_that_has_nothing_to_tune(monkeypatch):
    features, positive = table(2)
    network = Method("DNNt", quick_network, is_network=True)
    calls = []
    fit = SmallNetwork.fit
    monkeypatch.setattr(SmallNetwork, "fit", lambda self, *data: calls.append(1) or fit(self, *data))
    results = study({"a": pd.DataFrame(features)}, positive, [network, SVM], PROTOCOLS)
    assert len(calls) == 3  # one fit per outer fold, not per protocol
    by_protocol = dict(list(results.predictions.query("method == 'DNNt'").groupby("protocol")))
    same = [by_protocol[name].drop(columns="protocol").reset_index(drop=True) for name in PROTOCOLS]
    pd.testing.assert_frame_equal(*same)
    assert list(results.predictions)[:3] == CONFIGURATION
    assert set(results.optima["protocol"]) == set(PROTOCOLS) and set(results.optima["method"]) == {"SVM (P)"}


def test_smote_before_splitting_numbers_synthetic_subjects_beyond_the_real_ones():
    features, positive = table(2)
    predictions = LEAKS["SMOTE before splitting"].protocol(features, positive, SVM, 0, 5).predictions
    assert len(predictions) == 2 * positive.sum()
    real = predictions.query("sample < 90").sort_values("sample")
    np.testing.assert_array_equal(real["positive"], positive)
    assert not predictions.query("sample >= 90")["positive"].any()


def test_intervals_agree_with_the_whole_and_narrow_with_subjects():
    wide = []
    for size in (90, 900):
        predictions = nested(*table(3, size, effect=1.5), replace(SVM, grid={"C": (1,)}), 0).predictions
        intervals = metric_intervals(predictions, np.random.default_rng(0), 300)
        assert (intervals["low"] <= intervals["value"]).all()
        assert (intervals["value"] <= intervals["high"]).all()
        assert intervals.loc["auc", "value"] == pytest.approx(fold_metrics(predictions)["auc"].mean())
        pooled = sk.balanced_accuracy_score(predictions["positive"], predictions["answer"])
        assert intervals.loc["balanced_accuracy", "value"] == pytest.approx(pooled)
        wide.append(intervals["high"] - intervals["low"])
    assert wide[1]["auc"] < wide[0]["auc"] / 2


def test_an_undefined_metric_is_never_averaged_away():
    assert np.isnan(count_metrics(np.array([[0, 5], [0, 9]]))["precision_other"])
    assert np.isnan(mean_and_sd(fold_metrics(always_positive(PUBLISHED_COHORT)))["matthews", "mean"].item())


def test_a_study_beats_the_baselines_where_there_is_something_to_find():
    rng = np.random.default_rng(5)
    positive = np.arange(240) < 201
    subjects = pd.DataFrame({"age": rng.normal(62, 12, 240), "sex": rng.choice(["F", "M"], 240)})
    made = {name: synthetic_feature_table(rng, positive, 20, 3.0) for name in ("Radiomics", "DL7")}
    outcome = study({name: one.features for name, one in made.items()}, positive, [SVM, METHODS["Knn"]])
    table3 = mean_and_sd(fold_metrics(outcome.predictions))
    assert table3.index.tolist() == [
        ("nested", name, method) for method in ("SVM (P)", "Knn") for name in made
    ]
    best = table3["balanced_accuracy", "mean"].groupby("representation").max()
    assert (best > 0.65).all()  # always answering ALS: 0.5
    baseline = study({"age and sex": demographic_features(subjects)}, positive, [DEMOGRAPHIC_BASELINE])
    assert fold_metrics(baseline.predictions)["auc"].mean() < 0.75
    assert not len(baseline.optima)


def test_a_bad_table_is_refused_before_anything_is_fitted(monkeypatch):
    monkeypatch.setattr(nested_cv, "tuned", lambda *a: pytest.fail("fitted"))
    features, positive = table(6)
    good, bad = pd.DataFrame(features), pd.DataFrame(features).assign(flat=1.0)
    bad.iloc[3, 2] = np.nan
    with pytest.raises(RefusedInput) as refused:
        study({"good": good, "bad": bad}, positive)
    assert [problem.where for problem in refused.value.problems] == ["bad, column 2", "bad, column flat"]
    with pytest.raises(RefusedInput, match="neighbours of SMOTE"):
        study({"good": good.head(85)}, positive[:85])


def test_the_number_of_processes_changes_nothing():
    features, positive = table(7)
    both = [study({"a": pd.DataFrame(features)}, positive, [SVM], jobs=jobs) for jobs in (1, 2)]
    pd.testing.assert_frame_equal(both[0].predictions, both[1].predictions)


def test_null_labels_have_the_published_share_or_what_smote_needs():
    many = null_labels(654, 3, neighbours=5, seed=0)
    assert [int((~labels).sum()) for labels in many] == [106] * 3
    assert (many[0] != many[1]).any()
    few = null_labels(32, 1, neighbours=5, seed=0)[0]
    assert (~few).sum() == 14


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "count"),
    [(SVM, 50), (Method("DNNt", quick_network, is_network=True), 30)],
    ids=["SVM", "DNNt"],
)
def test_without_a_signal_nested_is_at_chance_and_every_leak_moves_as_declared(method, count):
    features, labels = zip(*(table(seed) for seed in range(count)), strict=True)
    checked = check_leaks(replay({"noise": np.stack(features)}, labels, [method])).set_index("procedure")
    applied = {name for name, leak in LEAKS.items() if leak.applies(method)}
    assert set(checked.index) == {PERMUTED, *applied}
    assert checked.loc[PERMUTED, "declared"] == "none" and checked["holds"].all(), checked.to_string()
