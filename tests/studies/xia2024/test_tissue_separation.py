"""Which cue separates the classes: nulls on cohorts without effect, effects found, cues removed."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, kstest

from als_core.cohorts.quality import measure_quality
from als_core.studies.xia2024.separation import (
    BY_DONOR,
    BY_IMAGE,
    BY_SLIDE,
    COGNITION,
    CUES,
    DISEASE,
    EVERY_CLASS,
    equal_brightness_and_contrast,
    equal_sharpness,
    questions,
    recognition_table,
    score_of_counts,
    separation_table,
    splits_allowed,
)

DONORS, FIELDS, FEATURES = 15, 12, 20


def cohort(seed, effect=0.0):
    """Labels, donors and features in which donors differ and, with an effect, ALS from control as well."""
    generator = np.random.default_rng(seed)
    donor = np.repeat(np.arange(DONORS), FIELDS)
    labels = np.array(["concordant", "control", "discordant"])[donor % 3]
    offsets = generator.normal(0, 1.5, (DONORS, FEATURES))
    features = offsets[donor] + generator.normal(0, 1, (len(donor), FEATURES))
    features[labels != "control", :3] += effect
    return pd.Series(labels), donor.astype(str), {"features": features}


def table_of(seed, effect=0.0, permutations=39, rounds=1):
    labels, donors, features = cohort(seed, effect)
    table, _ = separation_table(
        features, questions(labels), donors, None, rounds=rounds, permutations=permutations, seed=seed
    )
    return table.set_index(["question", "split"])


def test_fifty_cohorts_without_effect_give_null_results():
    """By donor p values are those of chance for every question; by image the null is far above chance."""
    tables = [table_of(seed) for seed in range(50)]
    for question in (EVERY_CLASS, DISEASE, COGNITION):
        p_values = [table.loc[(question, BY_DONOR), "p"] for table in tables]
        assert binomtest(sum(p <= 0.1 for p in p_values), 50, 0.1).pvalue > 0.01, question
        assert kstest(p_values, "uniform").pvalue > 0.01, question
        by_image = np.mean([table.loc[(question, BY_IMAGE), "null"] for table in tables])
        assert by_image > tables[0].loc[(question, BY_IMAGE), "chance"] + 0.15, question


def test_an_effect_is_found_by_donor_and_the_other_question_stays_at_chance():
    table = table_of(3, effect=6.0, rounds=2)
    found = table.loc[(DISEASE, BY_DONOR)]
    assert found["score"] > 0.85 and found["p"] == 1 / 40 and found["low"] > found["null_high"]
    assert table.loc[(COGNITION, BY_DONOR), "p"] > 0.05


def test_the_best_of_many_useless_features_is_not_taken_for_an_effect():
    """With six sets of noise the smallest p is often small; the p value of the family keeps its level."""
    smallest, family = [], []
    for seed in range(24):
        labels, donors, _ = cohort(seed)
        generator = np.random.default_rng(1000 + seed)
        noise = {f"noise {each}": generator.normal(size=(len(donors), 4)) for each in range(6)}
        disease = questions(labels)[1:2]
        table, _ = separation_table(
            noise, disease, donors, None, rounds=1, permutations=19, splits=(BY_DONOR,), seed=seed
        )
        assert (table["p_family"] >= table["p"]).all()
        smallest.append(table["p"].min())
        family.append(table["p_family"].min())
    assert np.mean(np.array(smallest) <= 0.1) > 0.3
    assert binomtest(int(np.sum(np.array(family) <= 0.1)), 24, 0.1).pvalue > 0.01


def test_of_one_set_of_features_both_p_values_are_the_same():
    table = table_of(5)
    assert (table["p"] == table["p_family"]).all()


def test_questions_and_splits_are_those_the_cohort_allows():
    assert [each.name for each in questions(pd.Series(["a", "b", "c"]))] == [EVERY_CLASS]
    labels, donors, _ = cohort(0)
    codes = labels.factorize(sort=True)[0]
    slides = np.char.add(donors, np.array(["x", "y"])[np.arange(len(donors)) % 2])
    assert list(splits_allowed(codes, donors, slides)) == [BY_IMAGE, BY_SLIDE, BY_DONOR]
    assert list(splits_allowed(codes, donors, None)) == [BY_IMAGE, BY_DONOR]
    lonely = np.where(labels == "control", "one", donors)
    assert list(splits_allowed(codes, lonely, slides)) == [BY_IMAGE]
    assert list(splits_allowed(codes, None, None)) == [BY_IMAGE]


def test_a_score_by_hand():
    labels, groups = np.array([0, 0, 1, 1, 1]), np.array(["a", "a", "b", "b", "c"])
    counts = np.array([[2, 0], [0, 2], [1, 1], [0, 2], [0, 0]])  # c was never held out
    found = score_of_counts(counts, labels, groups)
    assert found["score"] == (2 / 4 + 3 / 4) / 2


def test_donors_are_recognised_where_they_differ():
    _, donors, features = cohort(0)
    table = recognition_table(features, {"donor": donors})
    assert table["units"].item() == DONORS and table["share"].item() > 0.9
    assert recognition_table(features, {"slide": np.arange(len(donors)).astype(str)}).empty


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (4, 120, 120, 3)).astype(float)
    scale = np.array([0.2, 0.5, 0.8, 1.0])[:, None, None, None]
    return (noise * scale + 10 * np.arange(4)[:, None, None, None]).clip(0, 255).astype(np.uint8)


def test_each_cue_is_gone_once_it_is_removed(images):
    measured = [measure_quality(each) for each in equal_brightness_and_contrast(images)]
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
