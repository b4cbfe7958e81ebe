"""Colour features against plain NumPy, blind to where things lie; stained area on a field of known stains."""

import numpy as np
import pytest

from als_core.studies.xia2024.features import (
    CHANNELS,
    COLOUR_NAMES,
    PERCENTILES,
    STAINED_ABOVE,
    STATISTICS,
    colour_statistics,
    stained_area,
)
from als_core.studies.xia2024.staining import STAINS, separate_stains, transmittance

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 12, 10, 3), dtype=np.uint8)


def test_each_column_is_the_statistic_it_is_called():
    features = colour_statistics(IMAGES)
    assert features.shape == (4, len(COLOUR_NAMES)) == (4, 6 * 7) and features.dtype == np.float64
    for image, row in zip(IMAGES, features, strict=True):
        channels = {"red": image[..., 0], "green": image[..., 1], "blue": image[..., 2]}
        channels |= dict(zip(STAINS, np.moveaxis(separate_stains(image), -1, 0), strict=True))
        told = dict(zip(COLOUR_NAMES, row, strict=True))
        for name in CHANNELS:
            values = channels[name].astype(float).ravel()
            expected = [values.mean(), values.std(), *(np.percentile(values, p) for p in PERCENTILES)]
            for statistic, value in zip(STATISTICS, expected, strict=True):
                assert told[f"{name}, {statistic}"] == pytest.approx(value, abs=1e-4)


def test_only_colour_counts_and_not_its_place():
    shuffled = np.random.default_rng(1).permutation(IMAGES.reshape(4, -1, 3), axis=1).reshape(IMAGES.shape)
    np.testing.assert_allclose(colour_statistics(shuffled), colour_statistics(IMAGES), rtol=1e-6)
    np.testing.assert_array_equal(stained_area(shuffled), stained_area(IMAGES))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_stained_area_is_the_share_that_was_stained(share):
    stains = np.zeros((20, 20, 2))
    stains[..., 0] = 0.2  # haematoxylin everywhere
    stains[: round(20 * share), :, 1] = STAINED_ABOVE + 0.1
    stains[round(20 * share) :, :, 1] = STAINED_ABOVE - 0.1
    assert stained_area(np.rint(255 * transmittance(stains)).astype(np.uint8)[None]) == pytest.approx(
        np.array([[share]])
    )
