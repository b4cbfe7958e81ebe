"""Metrics against scikit-learn, the two-class formulas of the appendix, and hand-counted examples."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.dummy import DummyClassifier

from als_core.statistics import metrics

HAND = np.array([[5, 1, 0], [2, 3, 1], [0, 0, 4]])  # 16 samples, 12 right


def answers(seed: int, n: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, n)
    return truth, np.where(generator.random(n) < 0.6, truth, generator.integers(0, classes, n))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_equal_scikit_learn(classes):
    truth, predicted = answers(classes, classes=classes)
    confusion = metrics.confusion_matrix(truth, predicted, classes)
    np.testing.assert_array_equal(confusion, sklearn_metrics.confusion_matrix(truth, predicted))
    assert metrics.accuracy(confusion) == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert metrics.matthews(confusion) == pytest.approx(sklearn_metrics.matthews_corrcoef(truth, predicted))
    assert metrics.balanced_accuracy(confusion) == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(truth, predicted)
    )
    by_class = sklearn_metrics.multilabel_confusion_matrix(truth, predicted)  # (class, [[tn, fp], [fn, tp]])
    for number, ((tn, fp), (fn, tp)) in enumerate(by_class):
        assert metrics.sensitivity(confusion)[number] == pytest.approx(tp / (tp + fn))
        assert metrics.specificity(confusion)[number] == pytest.approx(tn / (tn + fp))


def test_counts_of_a_hand_counted_matrix():
    np.testing.assert_array_equal(metrics.accuracy_counts(HAND), (12, 16))
    np.testing.assert_array_equal(metrics.sensitivity_counts(HAND), ([5, 3, 4], [6, 6, 4]))
    np.testing.assert_array_equal(metrics.specificity_counts(HAND), ([8, 9, 11], [10, 10, 12]))


def test_two_class_matthews_is_equation_3():
    tn, fp, fn, tp = 11, 4, 3, 9
    expected = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert metrics.matthews(np.array([[tn, fp], [fn, tp]])) == pytest.approx(expected)


def test_each_metric_takes_matrices_with_leading_axes():
    matrices = np.stack([metrics.confusion_matrix(*answers(seed), 3) for seed in range(6)]).reshape(
        2, 3, 3, 3
    )
    for metric in (
        metrics.accuracy, metrics.balanced_accuracy, metrics.matthews, metrics.sensitivity,
        metrics.specificity,
    ):  # fmt: skip
        np.testing.assert_allclose(metric(matrices)[1, 2], metric(matrices[1, 2]))


def test_undefined_metrics_are_nan_and_stay_nan_in_averages():
    absent = metrics.confusion_matrix(np.array([0, 0, 1]), np.array([0, 2, 1]), 3)
    assert np.isnan(metrics.sensitivity(absent)[2])
    assert np.isnan(metrics.balanced_accuracy(absent))
    assert metrics.specificity(absent)[2] == pytest.approx(2 / 3)
    one_answer = metrics.confusion_matrix(np.array([0, 1, 2]), np.array([1, 1, 1]), 3)
    assert np.isnan(metrics.matthews(one_answer))
    assert np.isnan(metrics.accuracy(np.zeros((3, 3), dtype=int)))


def test_confusion_matrices_of_single_samples_add_up():
    truth, predicted = answers(9)
    each = metrics.one_confusion_each(truth, predicted, 3)
    np.testing.assert_array_equal(each.sum(0), metrics.confusion_matrix(truth, predicted, 3))


@pytest.mark.parametrize(("truth", "predicted"), [([0, 3], [0, 1]), ([0, 1], [0, -1]), ([0, 1], [0])])
def test_class_numbers_out_of_range_are_refused(truth, predicted):
    with pytest.raises(ValueError, match="class"):
        metrics.confusion_matrix(np.array(truth), np.array(predicted), 3)


def test_merged_classes_are_those_of_merged_answers():
    truth, predicted = answers(4)
    merged = metrics.merge_classes(metrics.confusion_matrix(truth, predicted, 3), ((0,), (1, 2)))
    expected = sklearn_metrics.confusion_matrix(truth > 0, predicted > 0)
    np.testing.assert_array_equal(merged, expected)
    np.testing.assert_array_equal(
        metrics.merge_classes(np.stack([HAND, 2 * HAND]), ((0, 1, 2),)), [[[16]], [[32]]]
    )


def test_the_majority_class_is_the_commonest_and_the_first_of_ties():
    labels = np.array([2, 1, 1, 0, 2, 1])
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((6, 1)), labels)
    assert metrics.majority_class(labels, 3) == dummy.predict(np.zeros((1, 1)))[0]
    assert metrics.majority_class(np.array([2, 1, 1, 2, 0]), 3) == 1


@pytest.mark.parametrize("labels", [[], [0, 3], [-1]])
def test_labels_out_of_range_have_no_majority_class(labels):
    with pytest.raises(ValueError, match="training labels"):
        metrics.majority_class(np.array(labels, dtype=int), 3)
