"""Nested cross-validation and its leaks: what test subjects can reach, metrics, signal and no signal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.turrisi2024 import nested_cv as nested_module
from als_core.studies.turrisi2024.classifiers import DEMOGRAPHIC_BASELINE, METHODS, Method
from als_core.studies.turrisi2024.feature_table import (
    demographic_features,
    synthetic_demographics,
    synthetic_feature_table,
)
from als_core.studies.turrisi2024.leaks import LEAKS, PERMUTED, directions, replay
from als_core.studies.turrisi2024.nested_cv import (
    always_positive,
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
    made = synthetic_feature_table(rng, synthetic_demographics(rng, size), columns, effect)
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


def test_every_subject_is_judged_once_a_trial_and_by_no_model_that_saw_anything_of_it():
    """Moving all other test subjects of a fold far away leaves a subject's score as it was, unless there is a leak."""
    features, positive = table(1)
    _, test = outer_folds(positive, 3)[0]
    moved = features.copy()
    moved[test[1:]] *= 50

    def first_score(protocol, values):
        predictions = protocol(values, positive, SVM, 3, 5).predictions
        return predictions.query("fold == 0").set_index("sample").loc[test[0], "score"]

    assert first_score(nested, features) == first_score(nested, moved)
    smote_first = LEAKS["SMOTE before splitting"].protocol
    assert first_score(smote_first, features) != first_score(smote_first, moved)
    assert sorted(nested(features, positive, SVM, 3).predictions["sample"]) == list(range(90))
    assert (
        (LEAKS["tuned on test folds"].protocol(features, positive, SVM, 3, 5).optima["fold"]).nunique() == 3
    )
    described = LEAKS["as described"].protocol(features, positive, SVM, 3, 5).optima
    assert (described.groupby("parameter")["value"].nunique() == 1).all()


def test_made_up_subjects_are_numbered_beyond_the_real_ones():
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


def test_a_study_is_tidy_and_beats_the_baselines_where_there_is_something_to_find():
    rng = np.random.default_rng(5)
    subjects = synthetic_demographics(rng, 240)
    made = {name: synthetic_feature_table(rng, subjects, 20, 3.0) for name in ("Radiomics", "DL7")}
    positive = made["DL7"].positive
    outcome = study({name: one.features for name, one in made.items()}, positive, [SVM, METHODS["Knn"]])
    table3 = mean_and_sd(fold_metrics(outcome.predictions))
    assert table3.index.tolist() == [
        ("Radiomics", "SVM (P)"),
        ("DL7", "SVM (P)"),
        ("Radiomics", "Knn"),
        ("DL7", "Knn"),
    ]
    best = table3["balanced_accuracy", "mean"].groupby("representation").max()
    assert (best > 0.65).all()  # always answering ALS: 0.5
    assert set(outcome.optima.columns) == {"representation", "method", "fold", "parameter", "value"}
    known = demographic_features(subjects)
    baseline = study({"age and sex": known}, positive, [DEMOGRAPHIC_BASELINE])
    assert fold_metrics(baseline.predictions)["auc"].mean() < 0.75
    assert not len(baseline.optima)


def test_a_bad_table_is_refused_before_anything_is_fitted(monkeypatch):
    monkeypatch.setattr(nested_module, "tuned", lambda *a: pytest.fail("fitted"))
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "count"),
    [(SVM, 50), (Method("DNNt", quick_network, is_network=True), 30)],
    ids=["SVM", "DNNt"],
)
def test_where_there_is_nothing_nested_is_at_chance_and_every_leak_moves_as_declared(method, count):
    tables = [table(seed) for seed in range(count)]
    found = directions(replay(tables, [method]), [method]).set_index("protocol")
    assert found.loc[PERMUTED, "holds"]
    declared = found["declared"]
    assert set(found.index) == {PERMUTED, *LEAKS}
    assert (declared == "not applicable").equals(found["holds"].isna())
    assert found["holds"].dropna().all(), found
