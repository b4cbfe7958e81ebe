"""Null maps: the spectrum they keep, the place they do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from als_core.explain.nulls import atlas_only, phase_randomised
from als_core.explain.overlap import voxel_auc
from als_core.statistics.paired import permutation_p_value


@pytest.mark.parametrize("shape", [(16, 15), (9, 8, 7), (8, 8, 8)])
def test_phase_randomised_keeps_the_power_spectrum(shape):
    heatmap = gaussian_filter(np.random.default_rng(0).standard_normal(shape), 1) - 0.3
    random = phase_randomised(heatmap, np.random.default_rng(1))
    power = [np.abs(np.fft.fftn(values)) ** 2 for values in (heatmap, random)]
    np.testing.assert_allclose(power[1], power[0], rtol=1e-8, atol=1e-10)
    assert random.mean() == pytest.approx(heatmap.mean())
    assert random.var() == pytest.approx(heatmap.var())
    assert abs(np.corrcoef(random.ravel(), heatmap.ravel())[0, 1]) < 0.5
    np.testing.assert_array_equal(random, phase_randomised(heatmap, np.random.default_rng(1)))


def test_a_map_without_knowledge_meets_its_null_as_often_as_it_should():
    """Over maps drawn as the null is, the p-values are uniform."""
    rng = np.random.default_rng(0)
    truth = np.zeros((12, 12), dtype=bool)
    truth[3:6, 4:9] = True
    values = []
    for _ in range(60):
        heatmap = gaussian_filter(rng.standard_normal((12, 12)), 1.5, mode="wrap")
        null = [voxel_auc(phase_randomised(heatmap, rng), truth) for _ in range(19)]
        values.append(permutation_p_value(voxel_auc(heatmap, truth), null))
    assert kstest(np.array(values) - rng.random(60) / 20, "uniform").pvalue > 0.01
    assert permutation_p_value(voxel_auc(truth + 0.0, truth), null) == 1 / 20


def test_atlas_only_is_constant_over_areas_and_ignores_the_image():
    areas = np.array([[0, 3, 3], [8, 8, 0]])
    random = atlas_only(areas, np.random.default_rng(0))
    assert (random[areas == 0] == 0).all()
    for area in (3, 8):
        assert len(np.unique(random[areas == area])) == 1 and 0 < random[areas == area][0] < 1
    assert random[0, 1] != random[1, 0]
