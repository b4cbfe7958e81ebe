"""Which cue separates the classes: the classifier against scikit-learn, nulls on cohorts without effect, cues removed."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, kstest
from sklearn.linear_model import Ridge

from als_core.cohorts.quality import measure_quality
from als_core.studies.xia2024.separation import (
    BY_DONOR,
    CUES,
    PENALTY,
    draw_folds,
    equal_brightness_and_contrast,
    equal_sharpness,
    gram_matrix,
    predict_folds,
    questions,
    separate,
    separation_table,
)

DONORS, FIELDS, FEATURES = 15, 12, 20


def features_without_effect(seed, effect=0.0):
    """Labels, donors and features in which donors differ and, with an effect, ALS from control as well."""
    generator = np.random.default_rng(seed)
    donor = np.repeat(np.arange(DONORS), FIELDS)
    labels = np.array(["concordant", "control", "discordant"])[donor % 3]
    offsets = generator.normal(0, 1.5, (DONORS, FEATURES))
    features = offsets[donor] + generator.normal(0, 1, (len(donor), FEATURES))
    features[labels != "control", :3] += effect
    return pd.Series(labels), donor.astype(str), features


def test_predictions_are_scikit_learn_s_weighted_ridge():
    labels, donors, features = features_without_effect(0, 1.0)
    positive = (labels != "control").to_numpy()
    folds = draw_folds(positive, donors, np.random.default_rng(1))
    predicted = predict_folds(gram_matrix(features), positive, folds)
    scaled = (features - features.mean(0)) / features.std(0)
    for train, test in folds:
        weight = np.where(positive[train], 0.5 / positive[train].mean(), 0.5 / (~positive[train]).mean())
        # scikit-learn's penalty stands beside weights that sum to n, as here
        ridge = Ridge(alpha=PENALTY * len(train)).fit(scaled[train], np.where(positive[train], 1, -1), weight)
        np.testing.assert_array_equal(predicted[test], ridge.predict(scaled[test]) > 0)


def test_each_unit_is_held_out_once_and_never_trained_on():
    labels, donors, _ = features_without_effect(0)
    positive = (labels != "control").to_numpy()
    folds = draw_folds(positive, donors, np.random.default_rng(0))
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(donors)))
    for train, test in folds:
        assert not set(donors[train]) & set(donors[test])
        assert positive[test].any() and not positive[test].all()


def test_fifty_cohorts_without_effect_give_null_results():
    """p values are those of chance for both questions, and the null of a split by image is far above one half."""
    p_values = {"ALS against control": [], "Concordant against discordant": []}
    by_image = []
    for seed in range(50):
        labels, donors, features = features_without_effect(seed)
        table = separation_table(
            {"features": features}, questions(labels), donors, None, rounds=1, permutations=39, seed=seed
        )
        for row in table[table["split"] == BY_DONOR].itertuples():
            p_values[row.question].append(row.p)
        by_image.append(table[table["split"] == "by image"]["null"].mean())
    for found in p_values.values():
        assert binomtest(sum(p <= 0.1 for p in found), 50, 0.1).pvalue > 0.01
        assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(by_image) > 0.7  # donors are recognised: a score by image is judged beside this null


def test_an_effect_is_found_by_donor():
    labels, donors, features = features_without_effect(3, effect=6.0)
    als, cognition = questions(labels)
    found = separate(features, als, donors, donors, rounds=2, permutations=39)
    assert found["score"] > 0.85 and found["p"] == 1 / 40 and found["low"] > found["null_high"]
    assert separate(features, cognition, donors, donors, rounds=2, permutations=39)["p"] > 0.05


def test_a_cohort_of_other_classes_has_no_such_questions():
    assert questions(pd.Series(["a", "b", "c"])) == []


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (4, 120, 120, 3)).astype(float)
    scale = np.array([0.2, 0.5, 0.8, 1.0])[:, None, None, None]
    return (noise * scale + 40 * np.arange(4)[:, None, None, None] / 4).clip(0, 255).astype(np.uint8)


def test_each_cue_is_gone_once_it_is_removed(images):
    level = equal_brightness_and_contrast(images)
    measured = [measure_quality(each) for each in level]
    assert np.ptp([each.brightness_mean for each in measured]) < 6
    assert np.ptp([each.contrast_sd for each in measured]) < 6
    before = [measure_quality(each).laplacian_variance for each in images]
    after = [measure_quality(each).laplacian_variance for each in equal_sharpness(images)]
    assert max(before) > 5 * min(before)
    np.testing.assert_allclose(after, min(before), rtol=0.1)
    for name, remove in CUES.items():
        made = remove(images)
        assert made.shape == images.shape and made.dtype == np.uint8, name
    assert (CUES["all of these"](images)[..., 0] == CUES["all of these"](images)[..., 2]).all()
