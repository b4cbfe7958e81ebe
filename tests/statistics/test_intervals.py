"""Intervals against statsmodels, a plain bootstrap loop, and a clustered example."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from als_core.statistics import intervals, metrics


@pytest.mark.parametrize(("successes", "trials"), [(0, 38), (34, 38), (38, 38), (1, 3)])
@pytest.mark.parametrize(
    ("interval", "method"), [(intervals.clopper_pearson, "beta"), (intervals.wilson, "wilson")]
)
def test_proportion_intervals_equal_statsmodels(successes, trials, interval, method):
    found = interval(successes, trials)
    assert found == pytest.approx(proportion_confint(successes, trials, 0.05, method))


def test_the_interval_of_no_trials_is_nan():
    assert np.isnan(intervals.clopper_pearson(0, 0)).all()


def clustered(generator: np.random.Generator, groups: int = 12, size: int = 10):
    """Samples of one group are all right or all wrong."""
    right = np.repeat(generator.random(groups) < 0.6, size)
    truth = np.repeat(np.arange(groups) % 3, size)
    return truth, np.where(right, truth, (truth + 1) % 3), np.repeat(np.arange(groups).astype(str), size)


def test_bootstrap_equals_a_plain_loop_over_drawn_groups():
    truth, predicted, groups = clustered(np.random.default_rng(1))
    found = intervals.bootstrap_over_groups(
        metrics.one_confusion_each(truth, predicted, 3), groups, metrics.accuracy,
        np.random.default_rng(7), resamples=200,
    )  # fmt: skip
    number, drawn = intervals.draw_groups(groups, 200, np.random.default_rng(7))
    plain = []
    for times in drawn:
        right = [truth[i] == predicted[i] for i in range(len(truth)) for _ in range(times[number[i]])]
        plain.append(np.mean(right))
    assert found == pytest.approx(np.quantile(plain, [0.025, 0.975]))
    assert found.half_width == pytest.approx((found.high - found.low) / 2)


def test_bootstrap_over_groups_is_wider_than_over_samples_where_groups_agree():
    truth, predicted, groups = clustered(np.random.default_rng(2))
    each = metrics.one_confusion_each(truth, predicted, 3)

    def width(units):
        interval = intervals.bootstrap_over_groups(each, units, metrics.accuracy, np.random.default_rng(0))
        return interval.high - interval.low

    assert width(groups) > 2 * width(np.arange(len(truth)))


def test_groups_are_drawn_whole_and_each_stratum_keeps_its_number():
    groups = np.repeat(["a", "b", "c", "d", "e"], [3, 1, 2, 2, 4])
    strata = np.repeat([0, 0, 1, 1, 1], [3, 1, 2, 2, 4])
    _, drawn = intervals.draw_groups(groups, 50, np.random.default_rng(0), strata)
    assert (drawn[:, :2].sum(1) == 2).all() and (drawn[:, 2:].sum(1) == 3).all()
    assert len(np.unique(drawn, axis=0)) > 5


def test_each_group_is_drawn_once_on_average():
    _, drawn = intervals.draw_groups(np.arange(6), 4000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(0), 1, atol=0.08)  # sd of a mean: sqrt(5/6) / sqrt(4000) = 0.014


def test_undefined_resamples_are_left_out():
    assert intervals.percentile_interval(np.array([np.nan, 0, 1, np.nan, 2])) == pytest.approx((0.05, 1.95))
    assert np.isnan(intervals.percentile_interval(np.full(3, np.nan))).all()


def test_too_few_groups_or_a_group_in_two_strata_are_refused():
    with pytest.raises(ValueError, match="only the group a"):
        intervals.draw_groups(np.array(["a", "a"]), 10, np.random.default_rng(0))
    with pytest.raises(ValueError, match="of stratum 1"):
        intervals.draw_groups(np.array(["a", "b", "c"]), 10, np.random.default_rng(0), np.array([0, 0, 1]))
    with pytest.raises(ValueError, match="more than one stratum: b"):
        intervals.draw_groups(np.array(["a", "b", "b"]), 10, np.random.default_rng(0), np.array([0, 0, 1]))
