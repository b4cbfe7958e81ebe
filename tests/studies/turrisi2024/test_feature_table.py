"""Feature tables: published margins, chosen effects, and everything wrong with a file at once."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.turrisi2024.feature_table import (
    MARGINS,
    demographic_features,
    feature_problems,
    least_class_size,
    load_feature_table,
    synthetic_demographics,
    synthetic_feature_table,
)

PUBLISHED = repository() / "data" / "published"


def test_margins_are_those_printed():
    cohort = pd.read_csv(PUBLISHED / "turrisi2024_cohort.csv").set_index(["group", "subgroup"])["n_subjects"]
    sexes = pd.read_csv(PUBLISHED / "turrisi2024_table1b_demographics.csv").query("variable == 'sex'")
    ages = pd.read_csv(PUBLISHED / "turrisi2024_text_demographics.csv").set_index(["group", "statistic"])
    for group in MARGINS:
        assert group.size == cohort[group.label, "all"]
        counts = sexes.query("group == @group.label").set_index("level")["n"]
        assert (group.female, group.male) == (counts["F"], counts["M"])
        printed = ages["value_as_printed"][group.label].astype(int)
        assert group.age_mean == printed["mean age"]
        assert group.age_sd == printed["SD age"]
        assert (group.age_least, group.age_most) == (printed["minimum age"], printed["maximum age"])
    mimics = cohort["mimicking"].drop("all")
    assert dict(MARGINS[1].diagnoses) == mimics.to_dict()


def test_synthetic_subjects_have_the_margins():
    table = synthetic_demographics(np.random.default_rng(0))
    assert table.groupby(["label", "sex"]).size().to_dict() == {
        ("ALS", "F"): 230,
        ("ALS", "M"): 318,
        ("mimicking", "F"): 34,
        ("mimicking", "M"): 72,
    }
    assert sorted(table.query("label == 'mimicking'")["diagnosis"].value_counts()) == [6, 10, 28, 62]
    for group in MARGINS:
        age = table.query("label == @group.label")["age"]
        assert age.between(group.age_least, group.age_most).all()
        assert abs(age.mean() - group.age_mean) < 4 * group.age_sd / np.sqrt(group.size)
        assert age.std() == pytest.approx(group.age_sd, rel=0.2)
        assert stats.skew(age) < 0  # as the paper's Fig. 2 shows
    small = synthetic_demographics(np.random.default_rng(0), 65)
    assert small["label"].value_counts().to_dict() == {"ALS": 54, "mimicking": 11}
    assert small["subject"].is_unique


def test_effects_are_there_when_asked_for_and_not_otherwise():
    subjects = synthetic_demographics(np.random.default_rng(1), 3000)
    age = subjects["age"].rank()

    def strongest(**effects):
        table = synthetic_feature_table(np.random.default_rng(2), subjects, columns=30, **effects)
        label = max(
            abs(roc_auc_score(table.positive, column) - 0.5) for column in table.features.to_numpy().T
        )
        return label, max(abs(table.features.rank().corrwith(age.set_axis(table.features.index))))

    label, of_age = strongest()
    assert label < 0.06
    assert of_age < 0.1
    assert strongest(effect=1.5)[0] > 0.12
    assert strongest(age_effect=0.9)[1] > 0.2


def test_a_file_is_read_back(tmp_path):
    subjects = synthetic_demographics(np.random.default_rng(3), 120)
    made = synthetic_feature_table(np.random.default_rng(4), subjects, columns=3)
    file = tmp_path / "features.csv"
    subjects.join(made.features, on="subject").drop(columns="diagnosis").to_csv(file, index=False)
    read = load_feature_table(file)
    pd.testing.assert_frame_equal(read.features, made.features)
    np.testing.assert_array_equal(read.positive, made.positive)
    assert demographic_features(read.demographics)["female"].sum() == (subjects["sex"] == "F").sum()


def test_everything_wrong_with_a_file_is_said_at_once(tmp_path):
    subjects = synthetic_demographics(np.random.default_rng(3), 60)  # 10 mimics
    table = subjects.drop(columns="diagnosis").assign(good=np.arange(60.0), flat=1.0, text="x")
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
