"""One number against two kinds of groups: agrees with textbook tests, and finds nothing where there is nothing."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from als_core.statistics.paired import permutation_p_value
from als_core.statistics.separation import best_threshold, separate_groups


def cohort(shift, seed=0, kinds=(5, 10), samples=6):
    """Values of groups with a mean of their own, raised by `shift` where the group is positive."""
    generator = np.random.default_rng(seed)
    kind = np.repeat([True, False], kinds)
    means = generator.normal(size=len(kind)) + shift * kind
    groups = np.repeat([f"d{at}" for at in range(len(kind))], samples)
    values = np.repeat(means, samples) + 0.3 * generator.normal(size=len(groups))
    return values, np.repeat(kind, samples), groups


def test_the_rank_test_is_the_exact_mann_whitney_test_on_medians():
    values, positive, groups = cohort(1.0)
    found = separate_groups(values, positive, groups, np.random.default_rng(0), 20)
    table = found.groups
    first, second = (table.loc[table["positive"] == kind, "median"] for kind in (True, False))
    expected = mannwhitneyu(first, second, alternative="two-sided", method="exact")
    assert found.auc == pytest.approx(expected.statistic / (len(first) * len(second)))
    assert found.auc == pytest.approx(roc_auc_score(table["positive"], table["median"]))
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.exact and found.arrangements == comb(15, 5) == 3003


@pytest.mark.parametrize("sign", [1, -1])
def test_complete_separation_has_the_smallest_p_there_is(sign):
    values, positive, groups = cohort(20.0)
    found = separate_groups(sign * values, positive, groups, np.random.default_rng(0), 50)
    assert found.complete and found.auc == (1 if sign > 0 else 0)
    assert found.p == pytest.approx(2 / 3003)
    assert found.balanced_accuracy == 1
    assert (found.null < 1).mean() > 0.9


def test_the_threshold_is_the_best_of_all_cuts():
    generator = np.random.default_rng(1)
    values, positive = generator.normal(size=40).round(1), generator.random(40) > 0.6
    threshold, above = best_threshold(values, positive)
    score = balanced_accuracy_score(positive, (values > threshold) == above)
    cuts = [(balanced_accuracy_score(positive, (values > cut) == up)) for cut in np.unique(values) for up in (True, False)]  # fmt: skip
    assert score == pytest.approx(max(cuts))
    assert best_threshold(np.ones(4), np.array([True, False, True, False])) == (1.0, True)


def test_a_held_out_group_has_no_say_in_its_own_threshold():
    values = np.array([1.0, 1, 2, 2, 10, 10, 9, 9])
    positive = np.repeat([False, True], 4)
    groups = np.repeat(list("abcd"), 2)
    found = separate_groups(values, positive, groups, np.random.default_rng(0), 10)
    assert found.balanced_accuracy == 1
    moved = np.where(groups == "a", 30.0, values)  # an extreme group is wrong by the threshold of the others
    assert separate_groups(moved, positive, groups, np.random.default_rng(0), 10).balanced_accuracy < 1


@pytest.mark.slow
def test_nothing_is_found_where_there_is_nothing():
    """Over 200 cohorts without an effect, p is small as often as it says, and the accuracy lies in its null."""
    found = [
        separate_groups(*cohort(0.0, seed), np.random.default_rng(seed + 999), 19) for seed in range(200)
    ]
    assert np.mean([each.p < 0.1 for each in found]) < 0.17  # 0.1 + 3 sd of 200
    assert np.mean([permutation_p_value(each.balanced_accuracy, each.null) <= 0.1 for each in found]) < 0.17
    assert abs(np.mean([each.balanced_accuracy - each.null.mean() for each in found])) < 0.05


def test_mixed_groups_and_single_groups_are_refused():
    values, positive, groups = cohort(0.0)
    positive[0] = False
    with pytest.raises(ValueError, match="one label"):
        separate_groups(values, positive, groups, np.random.default_rng(0))
    values, positive, groups = cohort(0.0, kinds=(1, 4))
    with pytest.raises(ValueError, match="two groups"):
        separate_groups(values, positive, groups, np.random.default_rng(0))
