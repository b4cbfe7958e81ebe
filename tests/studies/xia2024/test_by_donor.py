"""The study by donor: folds keep their promise, the linear classifier equals scikit-learn's, and the null is met."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from als_core.cohorts.splits import guard
from als_core.studies.xia2024.by_donor import (
    BY_DONOR,
    BY_IMAGE,
    BY_SLIDE,
    LEFT_OUT,
    ByDonorAmounts,
    accuracy_of_calls,
    calls,
    group_votes,
    linear_answers,
    null_accuracies,
    permuted_labels,
    protocols,
    recognition_table,
    splits_by_donor,
    study,
    summary,
    trials,
)
from als_core.studies.xia2024.features import colour_statistics
from als_core.studies.xia2024.synthetic import TissueParameters, synthetic_tissue_arrays
from als_core.training.runs import score_runs

# 5, 4 and 6 donors of a class, one slide each and two of the first of each class, 4 images a slide
LABELS = np.repeat([0, 1, 2], [24, 20, 28])
SLIDES = np.repeat([f"s{i:02d}" for i in range(18)], 4)
GROUPS = np.repeat([f"d{i:02d}" for i in (0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14)], 4)
NAMES = [BY_IMAGE, BY_SLIDE, BY_DONOR, LEFT_OUT]


def rows(seed: int = 0, d: int = 6, effect: float = 0.0) -> np.ndarray:
    """Features of noise, donors and, with `effect`, labels."""
    generator = np.random.default_rng(seed)
    donor = np.unique(GROUPS, return_inverse=True)[1]
    features = generator.normal(size=(72, d)) + 2 * generator.normal(size=(15, d))[donor]
    features[:, :3] += effect * np.eye(3)[LABELS]
    return features


def test_folds_keep_their_promise():
    found = protocols(LABELS, GROUPS, SLIDES)
    assert list(found) == NAMES
    for name, units, folds in ((BY_SLIDE, SLIDES, 5), (BY_DONOR, GROUPS, 4), (LEFT_OUT, GROUPS, 15)):
        drawn = found[name].folds(LABELS, np.random.default_rng(0))
        assert len(drawn) == folds
        held = [set(units[test]) for _, test in drawn]
        assert not set.intersection(*held) and all(not a & b for a, b in pairwise(held))
        for train, test in drawn:
            assert not set(units[train]) & set(units[test])
            assert sorted([*train, *test]) == list(range(72))
            if name != LEFT_OUT:
                assert sorted(LABELS[[np.flatnonzero(units == u)[0] for u in set(units[test])]]) == [0, 1, 2]
    by_image = found[BY_IMAGE].folds(LABELS, np.random.default_rng(0))
    assert sorted(np.concatenate([test for _, test in by_image])) == list(range(72)) and len(by_image) == 4


def test_what_a_cohort_does_not_allow_is_not_there():
    assert list(protocols(LABELS, None)) == [BY_IMAGE]
    assert list(protocols(LABELS, GROUPS)) == [BY_IMAGE, BY_DONOR, LEFT_OUT]
    lonely = np.where(LABELS == 1, "d05", GROUPS)
    assert list(protocols(LABELS, lonely, SLIDES)) == [BY_IMAGE]
    torn = np.array([f"d{i % 6}" for i in range(72)])  # each donor holds all classes
    drawn = protocols(LABELS, torn)[BY_DONOR].folds(LABELS, np.random.default_rng(0))
    assert len(drawn) == 5 and all(not set(torn[a]) & set(torn[b]) for a, b in drawn)
    dealt = permuted_labels(LABELS, torn, np.random.default_rng(0))
    assert (dealt != LABELS).any()
    assert all(sorted(dealt[torn == d]) == sorted(LABELS[torn == d]) for d in set(torn))


@pytest.mark.parametrize("d", [1, 5, 200])
def test_the_classifier_is_ridge_regression_on_standardised_features(d):
    generator = np.random.default_rng(d)
    features = generator.normal(size=(72, d)) * generator.uniform(0.1, 50, d) + LABELS[:, None]
    train, test = np.arange(0, 72, 2), np.arange(1, 72, 2)
    oracle = make_pipeline(StandardScaler(), RidgeClassifier(alpha=len(train)))
    expected = oracle.fit(features[train], LABELS[train]).predict(features[test])
    np.testing.assert_array_equal(linear_answers(features, LABELS, train, test), expected)


def test_without_features_it_is_the_majority_and_a_constant_one_changes_nothing():
    train, test = np.arange(20, 72), np.arange(20)
    for nothing in (np.empty((72, 0)), np.ones((72, 1))):
        assert set(linear_answers(nothing, LABELS, train, test)) == {2}
    # leaving a donor out makes its class rarer, here never the commonest: the majority is always wrong
    counts = calls(np.empty((72, 0)), LABELS, protocols(LABELS, GROUPS)[LEFT_OUT].folds(LABELS, None))
    assert accuracy_of_calls(counts, LABELS) == 0


def test_trials_deal_labels_to_donors_and_draw_folds_for_them():
    drawn = trials(protocols(LABELS, GROUPS)[BY_DONOR], LABELS, GROUPS, rounds=3, permutations=5)
    assert len(drawn.folds) == 12 and len(drawn.permuted) == 5
    for labels, folds in drawn.permuted:
        first = pd.Series(labels).groupby(GROUPS).agg(["min", "max"])
        assert (first["min"] == first["max"]).all()
        assert sorted(first["min"]) == sorted(pd.Series(LABELS).groupby(GROUPS).first())
        assert all(len(set(labels[test])) == 3 for _, test in folds)
    again = trials(protocols(LABELS, GROUPS)[BY_DONOR], LABELS, GROUPS, rounds=3, permutations=5)
    assert all((a[0] == b[0]).all() for a, b in zip(drawn.permuted, again.permuted, strict=True))


def test_votes_and_summary_by_hand():
    labels, groups = np.array([0, 0, 1, 1, 1]), np.array(["a", "a", "b", "b", "c"])
    counts = np.array([[2, 0], [0, 2], [1, 1], [0, 2], [0, 0]])  # c was never held out
    votes = group_votes(counts, labels, groups)
    assert votes.to_dict("list") == {
        "group": ["a", "b"], "label": [0, 1], "share": [0.5, 0.75], "vote": [0, 1], "right": [True, True],
    }  # fmt: skip
    found = summary(counts, labels, groups, np.array([0.1, 0.625, 0.9]))
    assert found["accuracy"] == 5 / 8 and found["answers"] == 8 and found["p"] == 3 / 4
    assert found["low"] == 0.5 and found["high"] == 0.75  # both draws of one donor
    assert np.isnan(summary(counts, labels, None, None)["p"])


def test_an_effect_is_found_and_a_donor_is_recognised():
    strong, _ = study({"x": rows(effect=8)}, LABELS, GROUPS, SLIDES, ByDonorAmounts(2, 19))
    assert list(strong["protocol"]) == NAMES and (strong["p"] <= 0.05).all()
    assert (strong["accuracy"] > 0.9).all()
    # slides have 4 images and donors 4 or 8, and recognition asks for 5
    known = recognition_table({"x": rows(d=20)}, {"slide": SLIDES, "donor": GROUPS})
    assert known["unit"].tolist() == ["donor"] and known["units"].tolist() == [3]
    assert known["share"].item() == 1 and known["answers"].item() == 24


def test_splits_for_networks_test_each_donor_of_the_round_once():
    splits = splits_by_donor(LABELS, GROUPS, np.random.default_rng(0))
    assert len(splits) == 4
    for split in splits:
        guard(split, GROUPS)
        assert all(len(set(LABELS[split.rows(part)])) == 3 for part in ("train", "validation", "test"))
    tested = np.concatenate([split.rows("test") for split in splits])
    assert len(tested) == len(set(tested)) and len(set(GROUPS[tested])) == 12
    with pytest.raises(ValueError, match="three are needed"):
        splits_by_donor(np.array([0, 0, 1, 1]), np.array(list("abcd")), np.random.default_rng(0))


def null_and_observed(
    parameters: TissueParameters, seeds: range, protocol: str
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of colour statistics on seeded cohorts, and its mean over permuted labels, one each a cohort."""
    observed, null = [], []
    for seed in seeds:
        images, _, table = synthetic_tissue_arrays(parameters, seed)
        labels, groups = table["label"].factorize(sort=True)[0], table["group"].to_numpy(str)
        features = colour_statistics(images)
        drawn = trials(protocols(labels, groups)[protocol], labels, groups, 2, 20, seed)
        observed.append(accuracy_of_calls(calls(features, labels, drawn.folds), labels))
        null.append(null_accuracies(features, drawn).mean())
    return np.array(observed), np.array(null)


SMALL = {"side": 32, "donors_per_class": 4, "donors_with_both_regions": 0, "fields_per_slide": 2}


@pytest.mark.slow
def test_without_disease_the_score_by_donor_is_that_of_permuted_labels():
    observed, null = null_and_observed(TissueParameters(disease_effect=0, **SMALL), range(60), BY_DONOR)
    difference = observed - null
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / np.sqrt(len(difference))


@pytest.mark.slow
def test_donors_alone_lift_the_score_by_image_and_not_by_donor():
    leaky = TissueParameters(disease_effect=0, donor_effect=3, **(SMALL | {"fields_per_slide": 4}))
    by_image, _ = null_and_observed(leaky, range(12), BY_IMAGE)
    by_donor, null = null_and_observed(leaky, range(12), BY_DONOR)
    error = by_image.std(ddof=1) / np.sqrt(12)
    assert by_image.mean() > 1 / 3 + 5 * error and by_image.mean() > 0.5
    difference = by_donor - null
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / np.sqrt(12)


def test_runs_are_counted_by_their_test_part(tmp_path):
    from toy_training import train

    from als_core.studies.xia2024.by_donor import calls_of_runs

    runs = train(tmp_path)
    counts = calls_of_runs(runs)
    labels = runs[0].predictions["label"].map(list(runs[0].classes).index).to_numpy()
    assert counts.sum() == 2 * 9 and set(counts.sum(1)) == {0, 2}
    assert accuracy_of_calls(counts, labels) == pytest.approx(score_runs(runs)["accuracy"].mean())
