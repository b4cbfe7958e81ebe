"""Paired tests against statsmodels and plain enumeration; permutations over groups against their rules."""

from itertools import product

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from als_core.statistics import paired


def test_mcnemar_equals_statsmodels():
    generator = np.random.default_rng(3)
    first, second = generator.random(38) < 0.9, generator.random(38) < 0.7
    table = [
        [(first & second).sum(), (first & ~second).sum()],
        [(~first & second).sum(), (~first & ~second).sum()],
    ]
    found = paired.mcnemar_exact(first, second)
    assert found.p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert (found.only_first_right, found.only_second_right) == (table[0][1], table[1][0])


def test_mcnemar_of_equal_answers_is_one():
    assert paired.mcnemar_exact(np.ones(5), np.ones(5)) == (0, 0, 1.0)


def test_paired_permutation_equals_enumeration_by_hand():
    generator = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c", "d", "e"], [2, 3, 1, 4, 2])
    first, second = generator.integers(0, 2, 12), generator.integers(0, 2, 12)
    observed = abs((first - second).mean())
    as_far = 0
    for signs in product([1, -1], repeat=5):
        sign = dict(zip("abcde", signs, strict=True))
        as_far += (
            abs(np.mean([sign[g] * (a - b) for g, a, b in zip(groups, first, second, strict=True)]))
            >= observed
        )
    found = paired.paired_permutation_over_groups(first, second, groups, generator)
    assert found.p_value == pytest.approx(as_far / 32)
    drawn = paired.paired_permutation_over_groups(first, second, groups, generator, permutations=10)
    assert 11 * drawn.p_value == pytest.approx(round(11 * drawn.p_value))  # (b + 1) / (10 + 1)


def test_thirty_images_of_three_donors_give_the_p_of_three():
    """All images of all donors favour the first: over images overwhelming, over 3 groups p = 2 / 2^3."""
    first, second, groups = np.ones(30), np.zeros(30), np.repeat([0, 1, 2], 10)
    found = paired.paired_permutation_over_groups(first, second, groups, np.random.default_rng(0))
    assert found.p_value == pytest.approx(2 / 8)
    assert paired.mcnemar_exact(first, second).p_value < 1e-8


def test_the_permutation_p_value_counts_the_observed_score():
    assert paired.permutation_p_value(0.9, np.full(99, 0.5)) == pytest.approx(1 / 100)
    assert paired.permutation_p_value(0.5, np.full(99, 0.5)) == 1
    assert paired.permutation_p_value(0.1 + 0.2, np.array([0.3, 0.0, 0.0])) == pytest.approx(2 / 4)
    with pytest.raises(ValueError, match="undefined"):
        paired.permutation_p_value(0.5, np.array([0.1, np.nan]))


def test_p_values_are_uniform_without_an_effect():
    generator = np.random.default_rng(5)
    values = [paired.permutation_p_value(x[0], x[1:]) for x in generator.random((2000, 20))]
    np.testing.assert_allclose(
        np.bincount(np.round(20 * np.array(values)).astype(int))[1:] / 2000, 1 / 20, atol=0.02
    )


def test_labels_move_with_their_whole_group():
    groups = np.repeat(["a", "b", "c", "d"], [3, 1, 2, 2])
    labels = np.repeat([0, 0, 1, 2], [3, 1, 2, 2])
    seen = set()
    for seed in range(40):
        permuted = paired.permute_labels_over_groups(labels, groups, np.random.default_rng(seed))
        of_group = {group: set(permuted[groups == group]) for group in np.unique(groups)}
        assert all(len(each) == 1 for each in of_group.values())
        assert sorted(next(iter(each)) for each in of_group.values()) == [0, 0, 1, 2]
        seen.add(tuple(permuted))
    assert len(seen) == 12  # 4! / 2! deals


def test_a_group_with_two_labels_is_refused_by_name():
    with pytest.raises(ValueError, match="more than one label: b"):
        paired.permute_labels_over_groups([0, 0, 1], ["a", "b", "b"], np.random.default_rng(0))
