"""Ridge regression on inner products against scikit-learn, and folds that keep units apart."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from als_core.statistics.linear import (
    PENALTY,
    draw_folds,
    fewest_units,
    predict_folds,
    standardised,
)
from als_core.statistics.paired import permute_labels

# 5, 4 and 6 donors of a class, one slide each and two of the first of each class, 4 images a slide
LABELS = np.repeat([0, 1, 2], [24, 20, 28])
SLIDES = np.repeat([f"s{i:02d}" for i in range(18)], 4)
GROUPS = np.repeat([f"d{i:02d}" for i in (0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14)], 4)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("columns", [1, 5, 200])
def test_predictions_are_those_of_scikit_learn_s_weighted_ridge(classes, columns):
    generator = np.random.default_rng(columns)
    labels = np.minimum(LABELS, classes - 1)
    features = generator.normal(size=(72, columns)) * generator.uniform(0.1, 50, columns) + labels[:, None]
    folds = draw_folds(labels, GROUPS, generator)
    predicted = predict_folds(standardised(features), labels, folds)
    scaled = (features - features.mean(0)) / features.std(0)
    for train, test in folds:
        weight = len(train) / (classes * np.bincount(labels[train]))[labels[train]]
        oracle = Ridge(alpha=PENALTY * len(train)).fit(scaled[train], np.eye(classes)[labels[train]], weight)
        np.testing.assert_array_equal(predicted[test], oracle.predict(scaled[test]).argmax(1))


@pytest.mark.parametrize(("units", "count"), [(SLIDES, 5), (GROUPS, 4)])
def test_each_unit_is_held_out_once_and_never_trained_on(units, count):
    folds = draw_folds(LABELS, units, np.random.default_rng(0))
    assert len(folds) == count
    held = [set(units[test]) for _, test in folds]
    assert all(not one & other for one, other in pairwise(held)) and set.union(*held) == set(units)
    for train, test in folds:
        assert not set(units[train]) & set(units[test])
        assert sorted([*train, *test]) == list(range(72))
        assert len(set(LABELS[test])) == 3


def test_folds_of_images_are_stratified():
    folds = draw_folds(LABELS, None, np.random.default_rng(0))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(72)) and len(folds) == 5


def test_donors_of_several_classes_are_kept_whole_and_permuted_within():
    torn = np.array([f"d{i % 6}" for i in range(72)])  # each donor holds all classes
    folds = draw_folds(LABELS, torn, np.random.default_rng(0))
    assert len(folds) == 5 and all(not set(torn[a]) & set(torn[b]) for a, b in folds)
    permuted = permute_labels(LABELS, torn, np.random.default_rng(0))
    assert (permuted != LABELS).any()
    assert all(sorted(permuted[torn == d]) == sorted(LABELS[torn == d]) for d in set(torn))


def test_labels_are_permuted_over_whole_donors_or_over_samples():
    permuted = permute_labels(LABELS, GROUPS, np.random.default_rng(1))
    first = pd.Series(permuted).groupby(GROUPS).agg(["min", "max"])
    assert (first["min"] == first["max"]).all()
    assert sorted(first["min"]) == sorted(pd.Series(LABELS).groupby(GROUPS).first())
    assert sorted(permute_labels(LABELS, None, np.random.default_rng(1))) == sorted(LABELS)


def test_features_without_information_predict_one_class():
    folds = draw_folds(LABELS, GROUPS, np.random.default_rng(0))
    assert set(predict_folds(standardised(np.ones((72, 1))), LABELS, folds)) == {0}
    assert fewest_units(LABELS, GROUPS) == 4 and fewest_units(LABELS, None) == 0


def test_features_that_are_not_finite_are_refused():
    folds = draw_folds(LABELS, None, np.random.default_rng(0))
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinite"):
            predict_folds(np.full((72, 1), wrong), LABELS, folds)
    huge = 1e160 * np.random.default_rng(1).normal(size=(72, 2))
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(ValueError, match="cannot be solved"):
        predict_folds(huge, LABELS, folds)
