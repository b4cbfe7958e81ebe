"""Stain mixing and separation against scikit-image, a plain loop and hand-computed values."""

import numpy as np
import pytest
from skimage.color import hdx_from_rgb
from skimage.color import separate_stains as skimage_separate

from als_core.studies.xia2024.staining import (
    STAIN_VECTORS,
    optical_density,
    separate_stains,
    transmittance,
)


def mix_stains(concentrations):
    """Mixed stains on a white ground in eight bits, as `synthetic` photographs them."""
    return np.rint(255 * np.clip(transmittance(concentrations), 0, 1)).astype(np.uint8)


@pytest.fixture
def concentrations():
    rng = np.random.default_rng(3)
    return rng.uniform(0.1, [0.6, 0.6, 0.15], (7, 5, 3)).astype(np.float32)  # no channel above white


def test_vectors_are_those_of_ruifrok_and_johnston_at_unit_length():
    np.testing.assert_allclose(np.linalg.norm(STAIN_VECTORS, axis=1), 1)
    np.testing.assert_allclose(STAIN_VECTORS[0] / STAIN_VECTORS[0, 0], [1, 0.70 / 0.65, 0.29 / 0.65])
    np.testing.assert_allclose(STAIN_VECTORS[1] / STAIN_VECTORS[1, 0], [1, 0.57 / 0.27, 0.78 / 0.27])
    np.testing.assert_allclose(STAIN_VECTORS[:2] @ STAIN_VECTORS[2], 0, atol=1e-12)


def test_transmittance_is_beer_lambert_pixel_by_pixel(concentrations):
    light = transmittance(concentrations)
    for y, x in np.ndindex(light.shape[:2]):
        for channel in range(3):
            density = sum(concentrations[y, x, stain] * STAIN_VECTORS[stain, channel] for stain in range(3))
            assert light[y, x, channel] == pytest.approx(10**-density, rel=1e-5)


def test_separation_equals_scikit_image_with_the_same_vectors(concentrations):
    light = transmittance(concentrations)
    theirs = skimage_separate(light, np.linalg.inv(STAIN_VECTORS))
    # theirs are in units of 6 = -log10(1e-6), and cut off below 0
    np.testing.assert_allclose(separate_stains(light), 6 * theirs, atol=1e-4)


def test_separation_orders_pixels_as_scikit_images_haematoxylin_dab_matrix():
    stains = np.random.default_rng(0).uniform(0.05, 0.5, (200, 1, 2))
    image = mix_stains(stains)
    theirs = skimage_separate(image, hdx_from_rgb)
    for stain in range(2):
        assert (
            np.corrcoef(separate_stains(image)[..., stain].ravel(), theirs[..., stain].ravel())[0, 1] > 0.999
        )


def test_round_trip_in_floats_is_exact_and_in_eight_bits_within_rounding(concentrations):
    np.testing.assert_allclose(separate_stains(transmittance(concentrations)), concentrations, atol=1e-5)
    levels = mix_stains(concentrations)
    half_a_level = np.log10((levels.min() + 0.5) / levels.min())
    bound = half_a_level * np.abs(np.linalg.inv(STAIN_VECTORS)).sum(axis=0).max()
    assert np.abs(separate_stains(levels) - concentrations).max() <= bound + 1e-5


def test_two_stains_mean_no_residual(concentrations):
    without = concentrations.copy()
    without[..., 2] = 0
    np.testing.assert_allclose(transmittance(concentrations[..., :2]), transmittance(without), rtol=1e-6)


def test_black_counts_as_the_darkest_level_that_is_not_zero():
    levels = np.array([0, 1, 255], dtype=np.uint8)
    np.testing.assert_allclose(optical_density(levels), [np.log10(255), np.log10(255), 0], atol=1e-6)


def test_refuses_a_wrong_number_of_stains_and_darkness_without_end():
    with pytest.raises(ValueError, match="4 stains"):
        transmittance(np.zeros((2, 2, 4)))
    with pytest.raises(ValueError, match="above 0"):
        optical_density(np.array([0.5, 0.0]))
