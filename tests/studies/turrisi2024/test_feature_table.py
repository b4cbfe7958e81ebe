"""Feature tables: published margins, chosen effects, and everything wrong with a file at once."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from als_core.refusal import RefusedInput
from als_core.studies.turrisi2024.feature_table import (
    demographic_features,
    feature_problems,
    least_class_size,
    load_feature_table,
    synthetic_feature_table,
)


def subjects_of(table, positive_label="ALS"):
    """The rows of a file of features: subject, label, age and sex."""
    labels = np.where(table.positive, positive_label, "mimicking")
    ages = np.linspace(30, 80, len(labels))
    return pd.DataFrame({"subject": table.features.index, "label": labels, "age": ages, "sex": "F"})


def test_an_effect_is_there_when_asked_for_and_not_otherwise():
    positive = np.arange(3000) < 2500

    def strongest(effect):
        table = synthetic_feature_table(np.random.default_rng(2), positive, columns=30, effect=effect)
        return max(abs(roc_auc_score(positive, column) - 0.5) for column in table.features.to_numpy().T)

    assert strongest(0.0) < 0.06
    assert strongest(1.5) > 0.12


def test_a_file_is_read_back(tmp_path):
    made = synthetic_feature_table(np.random.default_rng(4), np.arange(120) < 100, columns=3)
    subjects = subjects_of(made)
    file = tmp_path / "features.csv"
    subjects.join(made.features, on="subject").to_csv(file, index=False)
    read = load_feature_table(file)
    pd.testing.assert_frame_equal(read.features, made.features)
    np.testing.assert_array_equal(read.positive, made.positive)
    assert demographic_features(read.demographics)["female"].all()


def test_everything_wrong_with_a_file_is_said_at_once(tmp_path):
    made = synthetic_feature_table(np.random.default_rng(3), np.arange(60) < 50)  # 10 mimics
    table = subjects_of(made).assign(good=np.arange(60.0), flat=1.0, text="x")
    table.loc[7, "good"] = np.nan
    table.loc[8, "age"] = 300
    table.loc[9, "sex"] = "male"
    table.loc[10, "subject"] = "S0001"
    table.to_csv(tmp_path / "features.csv", index=False)
    with pytest.raises(RefusedInput) as refused:
        load_feature_table(tmp_path / "features.csv")
    found = {(problem.where, problem.row) for problem in refused.value.problems}
    assert found == {
        ("column subject", 12),
        ("column age", 10),
        ("column sex", 11),
        ("column flat", None),
        ("2 places", None),
        ("other class", None),
    }
    (cells,) = (problem for problem in refused.value.problems if problem.count == 2)
    assert [example.split(" (")[0] for example in cells.examples] == [
        "column good, line 9",
        "column text, line 2",
    ]
    pd.DataFrame({"name": ["a"], "label": ["x"], "age": [1]}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(RefusedInput) as refused:
        load_feature_table(tmp_path / "other.csv")
    assert {problem.where for problem in refused.value.problems} == {
        "column subject",
        "header",
        "column label",
    }


def test_the_least_class_size_is_what_the_folds_leave():
    for neighbours in (1, 3, 5):
        for members in range(6, 25):
            positive = np.arange(60 + members) >= 60
            left = []
            for outer, _ in StratifiedKFold(3).split(positive, positive):
                inner = StratifiedKFold(3).split(outer, positive[outer])
                left += [positive[outer][train].sum() for train, _ in inner]
            fits = min(left) > neighbours
            assert fits == (members >= least_class_size(neighbours))
            values = pd.DataFrame(np.random.default_rng(0).normal(size=(len(positive), 2)))
            assert fits == (not feature_problems(values, positive, neighbours))


def test_a_class_smaller_than_the_folds_is_refused():
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)))
    (problem,) = feature_problems(values, np.arange(50) < 2)
    assert "3 folds" in problem.expected
