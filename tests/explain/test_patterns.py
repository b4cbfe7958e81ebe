"""Haufe patterns: the worked example, the formula written out, and a noise-cancelling voxel."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVC

from als_core.explain.patterns import activation_pattern, svm_maps
from als_core.refusal import RefusedInput


def test_worked_example():
    """Four samples of two features with covariance 4/3 times the identity."""
    features = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    # w = (1, 2): Cov(X) w = 4/3 (1, 2); the output has variance 4/3 * 5; the pattern is (1, 2) / 5
    np.testing.assert_allclose(activation_pattern(features, np.array([1.0, 2.0])), [0.2, 0.4])


@pytest.mark.parametrize("outputs", [1, 3])
def test_is_covariance_times_weights_over_the_outputs_covariance(outputs):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30, 5)) @ rng.standard_normal((5, 5)) + 3
    weights = rng.standard_normal((5, outputs))
    spread = np.atleast_2d(np.cov(features @ weights, rowvar=False))
    expected = np.cov(features, rowvar=False) @ weights @ np.linalg.inv(spread)
    np.testing.assert_allclose(activation_pattern(features, weights), expected)
    if outputs == 1:
        regressed = LinearRegression().fit(features @ weights, features).coef_[:, 0]  # Haufe, equation 7
        np.testing.assert_allclose(activation_pattern(features, weights[:, 0]), regressed)


def test_a_voxel_that_cancels_noise_has_weight_but_no_pattern():
    """Haufe et al. 2014, section 2.2: x1 = signal + noise, x2 = noise; the best weights are (1, -1)."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    noise = rng.standard_normal(400)
    images = np.zeros((400, 2, 2))
    images[:, 0, 0] = 2 * labels + noise
    images[:, 1, 1] = noise
    maps = svm_maps(images, labels, mask=np.array([[True, False], [False, True]]))
    assert maps.weights[1, 1] == pytest.approx(-maps.weights[0, 0], rel=0.2)
    assert abs(maps.pattern[1, 1]) < 0.1 * maps.pattern[0, 0]
    assert maps.pattern[0, 0] > 0 and (maps.weights[[0, 1], [1, 0]] == 0).all()


def test_svm_maps_are_those_of_the_fitted_machine():
    rng = np.random.default_rng(1)
    images, labels = rng.standard_normal((20, 3, 4, 2)), np.repeat(["AD", "NC"], 10)
    images[labels == "NC", 1] += 1
    maps = svm_maps(images, labels)
    machine = SVC(kernel="linear", C=1.0).fit(images.reshape(20, -1), labels)
    np.testing.assert_allclose(maps.weights.ravel(), machine.coef_[0])
    covariance = np.cov(images.reshape(20, -1), rowvar=False)
    expected = (
        covariance @ machine.coef_[0] / np.var(machine.decision_function(images.reshape(20, -1)), ddof=1)
    )
    np.testing.assert_allclose(maps.pattern.ravel(), expected)


@pytest.mark.parametrize(
    ("features", "weights", "words"),
    [
        (np.ones((4, 2)), np.ones(2), "constant"),
        (np.eye(4), np.ones((4, 2)), "repeated"),
        (np.eye(4), np.ones(3), "one weight per feature"),
        (np.eye(4) * np.nan, np.ones(4), "NaN"),
        (np.ones((1, 2)), np.ones(2), "samples >= 2"),
    ],
)
def test_bad_input_is_refused(features, weights, words):
    with pytest.raises(RefusedInput, match=words):
        activation_pattern(features, weights)


def test_svm_maps_need_two_classes_and_a_mask_on_the_grid():
    with pytest.raises(RefusedInput, match="2 problems"):
        svm_maps(np.ones((3, 2, 2)), np.arange(3), mask=np.ones((3, 3)))
