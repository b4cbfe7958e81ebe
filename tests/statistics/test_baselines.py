"""Trivial baselines against scikit-learn's DummyClassifier and a simulation."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from als_core.statistics import baselines

TRAIN, TEST = np.array([2, 1, 1, 0, 2, 1]), np.array([0, 1, 2, 2])


def test_majority_and_prior_equal_the_dummy_classifier():
    nothing = np.zeros((len(TRAIN), 1))
    dummy = DummyClassifier(strategy="prior").fit(nothing, TRAIN)
    assert baselines.majority_class(TRAIN, 3) == dummy.predict(nothing[:1])[0]
    np.testing.assert_allclose(baselines.prior(TRAIN, 3), dummy.predict_proba(nothing[:1])[0])
    np.testing.assert_allclose(baselines.prior(TRAIN, 4)[3], 0)


def test_of_equally_common_classes_the_first_wins():
    assert baselines.majority_class(np.array([2, 1, 1, 2, 0]), 3) == 1


def test_expected_accuracy_of_guessing_is_what_guessing_gives():
    guesses = np.random.default_rng(0).choice(3, (20000, len(TEST)), p=baselines.prior(TRAIN, 3))
    assert baselines.expected_accuracy_of_guessing(TRAIN, TEST, 3) == pytest.approx(
        (guesses == TEST).mean(), abs=0.01
    )


@pytest.mark.parametrize("labels", [[], [0, 3], [-1]])
def test_labels_that_cannot_be_are_refused(labels):
    with pytest.raises(ValueError, match="training labels"):
        baselines.prior(np.array(labels, dtype=int), 3)
