"""Overlap scores against slow versions, scikit-learn and hand counts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from als_core.explain.overlap import (
    SCORES,
    dice_area,
    dice_curve,
    mass_inside,
    pointing_game,
    relevance_by_area,
    voxel_auc,
)
from als_core.refusal import RefusedInput


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_dice_curve_equals_dice_at_each_threshold(rng):
    heatmap = rng.integers(-3, 4, (4, 5, 3)) / 2  # with many ties
    truth = rng.random((4, 5, 3)) < 0.3
    curve = dice_curve(heatmap, truth)
    assert curve.dice[0] == curve.kept[0] == 0 and curve.kept[-1] == 1
    for threshold in np.unique(heatmap):
        kept = heatmap >= threshold
        dice = curve.dice[kept.sum()]
        assert dice == pytest.approx(f1_score(truth.ravel(), kept.ravel()))


def test_ties_count_as_a_random_order_on_average(rng):
    heatmap, truth = rng.integers(0, 3, (6, 6)).astype(float), rng.random((6, 6)) < 0.3
    orders = [dice_curve(heatmap + 0.1 * rng.random((6, 6)), truth).dice for _ in range(2000)]
    np.testing.assert_allclose(dice_curve(heatmap, truth).dice, np.mean(orders, axis=0), atol=0.01)


def test_dice_area_by_hand_and_its_best():
    # truth 1 of 4 voxels: perfect order gives dice 1, 2/3, 1/2, 2/5 at 1, 2, 3, 4 kept
    truth = np.array([[True, False], [False, False]])
    perfect = np.array([[4.0, 3.0], [2.0, 1.0]])
    best = (0.5 + (1 + 2 / 3) / 2 + (2 / 3 + 0.5) / 2 + (0.5 + 0.4) / 2) / 4
    curve = dice_curve(perfect, truth)
    assert curve.area == pytest.approx(best) and curve.best_area == pytest.approx(best)
    assert dice_area(perfect, truth) == 1
    worst = (0 + 0 + 0 + 0.4 / 2) / 4
    assert dice_curve(-perfect, truth).area == pytest.approx(worst)


def test_auc_is_scikit_learns(rng):
    heatmap, truth = rng.integers(0, 5, (6, 6)).astype(float), rng.random((6, 6)) < 0.4
    assert voxel_auc(heatmap, truth) == pytest.approx(roc_auc_score(truth.ravel(), heatmap.ravel()))


def test_mass_inside_counts_positive_heat_only():
    truth = np.array([True, True, False, False])
    assert mass_inside(np.array([3.0, -9.0, 1.0, 0.0]), truth) == 0.75
    assert np.isnan(mass_inside(np.array([-1.0, 0, 0, 0]), truth))


def test_pointing_game_shares_ties_and_tolerates():
    truth = np.zeros((5, 5), dtype=bool)
    truth[2, 2] = True
    hot = np.zeros((5, 5))
    hot[2, 3] = 1
    assert pointing_game(hot, truth) == 0
    hot[2, 2] = 1
    assert pointing_game(hot, truth) == 0.5
    assert pointing_game(np.ones((5, 5)), truth) == truth.mean()


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_every_score_keeps_its_range_and_direction(score, rng):
    truth = np.zeros((8, 8), dtype=bool)
    truth[2:4, 2:5] = True
    for _ in range(20):
        assert 0 <= score.function(rng.standard_normal((8, 8)), truth) <= 1
    perfect, opposite = truth.astype(float), (~truth).astype(float)
    assert score.function(perfect, truth) == pytest.approx(1)
    assert score.function(opposite, truth) < score.function(perfect + opposite, truth) < 1


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_only_voxels_within_count(score, rng):
    heatmap, truth = rng.standard_normal((6, 6)), rng.random((6, 6)) < 0.4
    within = np.zeros((6, 6), dtype=bool)
    within[:, 2:] = True
    changed = np.where(within, heatmap, 100.0)
    expected = score.function(heatmap[:, 2:], truth[:, 2:])
    assert score.function(changed, truth, within) == pytest.approx(expected)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_input_that_does_not_fit_is_refused(score):
    good = np.eye(3, dtype=bool)
    for heatmap, truth, within in (
        (np.zeros((3, 3)), np.eye(4, dtype=bool), None),
        (np.zeros((3, 3)), np.eye(3), None),
        (np.zeros((3, 3)), np.zeros((3, 3), dtype=bool), None),
        (np.zeros((3, 3)), good, ~good),
        (np.full((3, 3), np.nan), good, None),
    ):
        with pytest.raises(RefusedInput):
            score.function(heatmap, truth, within)


def test_relevance_by_area_corrects_for_size():
    areas = np.array([[0, 5, 5], [5, 5, 9]])
    heatmap = np.array([[7.0, 1.0, -2.0], [1.0, 2.0, 2.0]])
    result = relevance_by_area(heatmap, areas)
    assert result.areas.tolist() == [5, 9] and result.mean.tolist() == [0.5, 2.0]
    np.testing.assert_allclose(result.share, [6 / 8, 2 / 8])
    np.testing.assert_allclose(result.concentration, [6 / 8 / 0.8, 2 / 8 / 0.2])
    even = relevance_by_area(np.full(areas.shape, -3.0), areas)
    np.testing.assert_allclose(even.concentration, 1)
    assert np.isnan(relevance_by_area(np.zeros(areas.shape), areas).share).all()
    with pytest.raises(RefusedInput):
        relevance_by_area(heatmap, areas.astype(float))
