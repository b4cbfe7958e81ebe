"""Curve areas against pair counting, their bounds against every ranking there is."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from als_core.statistics.curves import auc_bounds, auc_by_column, auc_interval, auprc_bounds, curve_areas

FOLD = (183, 35)  # ALS and mimics in a test fold of Turrisi 2024


def test_curve_areas_equal_pair_counting():
    positive = np.array([True, True, False, True, False])
    scores = np.array([0.9, 0.4, 0.4, 0.2, 0.1])
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    areas = curve_areas(positive, scores)
    assert areas.auc == pytest.approx(np.mean(pairs))
    # thresholds 0.9, 0.4, 0.2, 0.1: recall 1/3, 2/3, 1, 1 at precision 1, 2/3, 3/4, 3/5
    assert areas.auprc == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    # mimics first: 0.1 alone (1/2 at 1), then 0.2, then 0.4 tied (1 at 2/4)
    assert areas.auprc_other == pytest.approx((1 + 2 / 4) / 2)
    assert curve_areas(~positive, -scores) == pytest.approx((areas.auc, areas.auprc_other, areas.auprc))
    assert curve_areas(positive, -scores).auc == pytest.approx(1 - areas.auc)


def test_areas_equal_scikit_learns_with_ties():
    rng = np.random.default_rng(2)
    positive, scores = rng.random(25) < 0.4, rng.integers(0, 6, (25, 3, 2)).astype(float)
    for i, j in np.ndindex(3, 2):
        column = scores[:, i, j]
        areas = curve_areas(positive, column)
        assert auc_by_column(positive, scores)[i, j] == pytest.approx(roc_auc_score(positive, column))
        assert areas.auc == pytest.approx(roc_auc_score(positive, column))
        assert areas.auprc_other == pytest.approx(average_precision_score(~positive, -column))


def test_auprc_bounds_hold_over_every_ranking():
    for positives, negatives in ((1, 4), (3, 3), (5, 2)):
        areas = []
        for chosen in combinations(range(positives + negatives), positives):
            positive = np.isin(np.arange(positives + negatives), chosen)
            areas.append(average_precision_score(positive, np.arange(positives + negatives)))
        bounds = auprc_bounds(positives, negatives)
        assert min(areas) == pytest.approx(bounds.least)
        assert max(areas) == pytest.approx(bounds.most)


def test_the_printed_auprc_lies_below_the_least_one():
    bounds = auprc_bounds(*FOLD)
    assert bounds.least == pytest.approx(0.652, abs=5e-4)
    assert bounds.chance == pytest.approx(0.839, abs=5e-4)
    assert bounds.least > 0.36
    assert auprc_bounds(*FOLD[::-1]).least < 0.36  # for mimics as positive it is possible


def test_auc_bounds_hold_for_random_scores():
    rng = np.random.default_rng(3)
    for _ in range(25):
        positive = np.arange(12) < rng.integers(2, 10)
        scores = rng.normal(size=12) + positive
        for false, true in list(zip(*roc_curve(positive, scores)[:2], strict=True)):
            bounds = auc_bounds(true, 1 - false)
            assert bounds.least - 1e-12 <= roc_auc_score(positive, scores) <= bounds.most + 1e-12
    assert auc_bounds(1.0, 1.0).least == auc_bounds(0.4, 1.0).most == 1.0


def test_hanley_mcneil_at_the_printed_auc():
    assert auc_interval(0.69, 548, 106) == pytest.approx((0.6405, 0.7395), abs=5e-5)


def test_a_single_class_has_no_curve_and_is_refused():
    with pytest.raises(ValueError, match="both classes"):
        curve_areas(np.ones(3, bool), np.arange(3))
