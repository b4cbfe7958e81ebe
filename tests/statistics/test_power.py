"""Intervals by number of donors against exact formulas, other libraries and simulated cohorts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar

from als_core.statistics.intervals import wilson
from als_core.statistics.power import (
    accuracy_interval,
    coverage,
    design_effect,
    donors_needed,
    donors_to_tell_apart,
    effective_size,
    simulate_accuracies,
    within_donor_correlation,
)


@pytest.mark.parametrize(("right", "n"), [(34, 38), (0, 12), (12, 12), (83, 118)])
def test_the_interval_at_one_image_a_donor_is_wilsons(right, n):
    ours, theirs = accuracy_interval(right / n, donors=n), wilson(right, n)
    assert ours[:2] == pytest.approx(theirs[:2])
    assert accuracy_interval(right / n, donors=n, images_per_donor=7, correlation=1)[:2] == pytest.approx(
        ours[:2]
    )
    assert accuracy_interval(right / n, donors=n / 2, images_per_donor=2)[:2] == pytest.approx(ours[:2])


@pytest.mark.parametrize(
    ("donors", "images", "correlation"), [(15, 10, 0.5), (40, 3, 0.2), (8, 15, 1.0), (30, 5, 0.0)]
)
def test_the_design_effect_is_the_variance_of_simulated_cohorts(donors, images, correlation):
    accuracies = simulate_accuracies(0.8, donors, images, correlation, 40_000, np.random.default_rng(0))
    assert accuracies.mean() == pytest.approx(0.8, abs=0.005)
    expected = 0.8 * 0.2 / effective_size(donors, images, correlation)
    assert accuracies.var() == pytest.approx(expected, rel=0.04)


def test_the_effective_size_is_bounded_by_the_donors():
    assert effective_size(10, 10**6, 0.5) == pytest.approx(20, rel=1e-4)
    assert design_effect(1, 1) == design_effect(50, 0) == 1


@pytest.mark.parametrize(("images", "correlation"), [(1, 0.0), (10, 0.5), (3, 0.2), (100, 1.0)])
@pytest.mark.parametrize("within", [0.03, 0.1])
def test_donors_needed_are_the_fewest_with_that_interval(images, correlation, within):
    donors = donors_needed(0.9, within, images, correlation)
    assert accuracy_interval(0.9, donors, images, correlation).half_width <= within
    assert donors == 1 or accuracy_interval(0.9, donors - 1, images, correlation).half_width > within


def test_intervals_of_images_taken_as_independent_cover_too_rarely():
    measured = simulate_accuracies(0.8, 20, 10, 0.5, 4000, np.random.default_rng(1))
    naive = coverage(measured, 0.8, 20, 10, assumed=0.0)
    honest = coverage(measured, 0.8, 20, 10, assumed=0.5)
    assert naive < 0.7 and 0.92 < honest < 0.98


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_within_donor_correlation_recovers_the_simulated_one(correlation):
    rng, donors, images = np.random.default_rng(2), 3000, 6
    if correlation:
        weight = 1 / correlation - 1
        each = rng.beta(0.7 * weight, 0.3 * weight, donors)
    else:
        each = np.full(donors, 0.7)
    groups = np.repeat(np.arange(donors), images)
    assert within_donor_correlation(rng.random(len(groups)) < each[groups], groups) == pytest.approx(
        correlation, abs=0.03
    )


def test_within_donor_correlation_equals_the_analysis_of_variance_of_statsmodels():
    rng = np.random.default_rng(3)
    groups = np.repeat([f"d{i}" for i in range(8)], 5)
    right = rng.random(40) < np.repeat(rng.random(8), 5)
    table = anova_lm(smf.ols("right ~ C(group)", pd.DataFrame({"right": right * 1.0, "group": groups})).fit())
    between, within = table["mean_sq"]
    assert within_donor_correlation(right, groups) == pytest.approx(
        (between - within) / (between + 4 * within)
    )


@pytest.mark.parametrize(
    ("right", "groups"),
    [([1, 0, 1], ["a", "a", "a"]), ([1, 0], ["a", "b"]), ([1, 1, 1, 1], ["a", "a", "b", "b"])],
)
def test_an_undefined_correlation_is_nan(right, groups):
    assert math.isnan(within_donor_correlation(right, groups))


def test_donors_to_tell_apart_give_the_requested_power():
    difference, discordant, power = 0.1, 0.3, 0.8
    n = donors_to_tell_apart(difference, discordant, power=power)
    rng = np.random.default_rng(4)
    shares = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    found = [mcnemar([[0, one], [other, 0]], exact=False, correction=False).pvalue < 0.05
             for one, other, _ in rng.multinomial(n, shares, 1500)]  # fmt: skip
    assert np.mean(found) == pytest.approx(power, abs=0.04)
    assert donors_to_tell_apart(difference, discordant, images_per_donor=10, correlation=1) == n
    assert donors_to_tell_apart(difference, discordant, images_per_donor=10, correlation=0) == math.ceil(
        n / 10
    )


@pytest.mark.parametrize(("call", "message"), [
    (lambda: design_effect(0.5, 0.1), "images a donor"),
    (lambda: design_effect(2, 1.1), "correlation 1.1"),
    (lambda: donors_needed(0.9, 0.0), "above 0"),
    (lambda: donors_needed(0.5, 1e-5), "more than"),
    (lambda: donors_to_tell_apart(0.3, 0.2), "difference 0.3"),
])  # fmt: skip
def test_values_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
