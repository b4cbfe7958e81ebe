"""Bounds against every ranking and every table of small samples, and against SciPy and statsmodels."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar

from als_core.statistics.bounds import (
    METRICS,
    accuracy_bounds_of_auc,
    auc_bounds_of_accuracy,
    every_table,
    least_difference,
    least_mean_auc,
    mcnemar_range,
    possible_tables,
    tables_with_errors,
)
from als_core.statistics.curves import auc_bounds, auprc_bounds


def answers_of(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return true and predicted class of each sample of a 2 x 2 table."""
    cells = [(truth, answer) for truth in (0, 1) for answer in (0, 1) for _ in range(table[truth, answer])]
    return tuple(np.array(cells).T)


def rankings(positives: int, negatives: int):
    """Yield every ranking of the samples without ties, as labels from the highest score down."""
    total = positives + negatives
    for places in combinations(range(total), positives):
        labels = np.zeros(total, int)
        labels[list(places)] = 1
        yield labels


def auc_and_accuracies(labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the AUC of a ranking, and the accuracy at each of its thresholds."""
    auc = sk.roc_auc_score(labels, -np.arange(len(labels)))
    called = np.arange(len(labels) + 1)
    hits = np.concatenate([[0], np.cumsum(labels)])
    return auc, (hits + (len(labels) - labels.sum()) - (called - hits)) / len(labels)


@pytest.mark.parametrize(("positives", "negatives"), [(3, 3), (5, 2), (2, 6), (6, 4)])
def test_accuracy_and_auc_bound_each_other_for_every_ranking(positives, negatives):
    share = positives / (positives + negatives)
    least_auc_at: dict[float, float] = {}
    for labels in rankings(positives, negatives):
        auc, accuracies = auc_and_accuracies(labels)
        bounds = accuracy_bounds_of_auc(auc, share)
        assert bounds.least - 1e-9 <= accuracies.max() <= bounds.most + 1e-9
        for accuracy in accuracies:
            assert auc_bounds_of_accuracy(accuracy, share).least - 1e-9 <= auc
            assert auc <= auc_bounds_of_accuracy(accuracy, share).most + 1e-9
            key = round(float(accuracy), 9)
            least_auc_at[key] = min(auc, least_auc_at.get(key, 1.0))
    # attained: errors in the rarer class alone are a whole number of samples there
    attained = [accuracy for accuracy in least_auc_at if accuracy >= max(share, 1 - share)]
    for accuracy in attained:
        assert least_auc_at[accuracy] == pytest.approx(
            auc_bounds_of_accuracy(accuracy, share).least, abs=1e-6
        )


def test_least_accuracy_of_an_auc_is_attained_in_the_limit():
    # the curve that never rises above a line of equal accuracy, in fine steps: its area is the given AUC
    share, auc = 0.7, 0.9
    accuracy = accuracy_bounds_of_auc(auc, share).least
    alarms = np.linspace(0, 1, 200_001)
    found = np.clip((accuracy - (1 - share) * (1 - alarms)) / share, 0, 1)
    assert np.trapezoid(found, alarms) == pytest.approx(auc, abs=1e-4)
    assert (share * found + (1 - share) * (1 - alarms)).max() == pytest.approx(accuracy, abs=1e-9)


@pytest.mark.parametrize(("positives", "negatives"), [(4, 2), (2, 4), (5, 1)])
def test_bounds_of_curves_over_every_ranking(positives, negatives):
    areas = [
        sk.average_precision_score(labels, -np.arange(len(labels)))
        for labels in rankings(positives, negatives)
    ]
    assert min(areas) == pytest.approx(auprc_bounds(positives, negatives).least)
    least: dict[tuple[int, int], float] = {}
    for labels in rankings(positives, negatives):
        auc, _ = auc_and_accuracies(labels)
        hits = np.concatenate([[0], np.cumsum(labels)])
        for called, found in enumerate(hits):
            point = int(found), int(negatives - (called - found))
            least[point] = min(auc, least.get(point, 1.0))
    for (found, spared), auc in least.items():
        assert auc == pytest.approx(auc_bounds(found / positives, spared / negatives).least)


@pytest.mark.parametrize("printed", [
    {"recall": "0.75"}, {"precision": "0.67", "recall": "0.50"}, {"f1": "0.86", "specificity": "0.33"},
    {"accuracy": "0.80", "matthews": "0.52"}, {"precision_other": "0.50", "balanced_accuracy": "0.54"},
])  # fmt: skip
def test_possible_tables_are_those_whose_metrics_by_scikit_learn_print_as_given(printed):
    positives, negatives = 8, 3
    by_name = {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "f1": sk.f1_score,
        "matthews": sk.matthews_corrcoef,
        "precision": lambda t, a: sk.precision_score(t, a, zero_division=np.nan),
        "precision_other": lambda t, a: sk.precision_score(t, a, pos_label=0, zero_division=np.nan),
        "recall": sk.recall_score,
        "specificity": lambda t, a: sk.recall_score(t, a, pos_label=0),
    }
    assert set(by_name) == set(METRICS)
    expected = []
    for table in every_table(positives, negatives):
        truth, answer = answers_of(table)
        values = [(by_name[name](truth, answer), float(text)) for name, text in printed.items()]
        if all(abs(value - text) <= 0.005 + 1e-12 for value, text in values):
            expected.append(table.tolist())
    assert possible_tables(positives, negatives, **printed).tolist() == expected


def test_metrics_that_exclude_each_other_leave_no_table():
    assert len(possible_tables(548, 106, precision="0.88", recall="0.95", f1="0.92")) == 11
    assert not len(possible_tables(548, 106, precision="0.88", recall="0.95", f1="0.80"))


def test_tables_with_errors_equal_enumeration():
    sizes, errors = (2, 3, 1), 2
    rows = [[cell for cell in product(range(size + 1), repeat=3) if sum(cell) == size] for size in sizes]
    expected = {
        table for table in product(*rows) if sum(sizes) - sum(table[i][i] for i in range(3)) == errors
    }
    assert {tuple(map(tuple, table.tolist())) for table in tables_with_errors(sizes, errors)} == expected


@pytest.mark.parametrize(
    ("first", "second", "n"), [(34, 33, 38), (34, 24, 38), (34, 27, 38), (5, 5, 8), (8, 0, 8), (0, 0, 3)]
)
def test_mcnemar_range_equals_statsmodels_over_every_overlap(first, second, n):
    p = []
    for both in range(min(first, second) + 1):
        neither = n - first - second + both
        if neither >= 0:
            p.append(mcnemar([[both, first - both], [second - both, neither]], exact=True).pvalue)
    assert mcnemar_range(first, second, n) == pytest.approx((min(1.0, np.nanmin(p)) if not np.isnan(p).all() else 1.0,
                                                            min(1.0, np.nanmax(p)) if not np.isnan(p).all() else 1.0))  # fmt: skip


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
def test_least_difference_is_the_first_that_can_be_significant(level):
    n = 60
    first = min(d for d in range(1, 40) if mcnemar_range(20 + d, 20, n).least < level)
    assert least_difference(level) == first


def test_least_mean_auc_is_attained_by_its_runs_and_not_undercut_by_pairs_of_tables():
    printed = {"precision": "0.75", "recall": "0.75"}
    mixed = least_mean_auc(4, 3, **printed)
    forced = METRICS["recall"](mixed.tables) * METRICS["specificity"](mixed.tables)
    assert mixed.weights.sum() == pytest.approx(1) and mixed.weights @ forced == pytest.approx(
        mixed.least_auc
    )
    for name, text in printed.items():
        assert mixed.weights @ METRICS[name](mixed.tables) == pytest.approx(float(text), abs=0.005 + 1e-9)
    tables = [table for table in every_table(4, 3) if np.isfinite(METRICS["precision"](table))]
    for one, other in combinations(tables, 2):  # no halves of two tables do better
        pair = np.stack([one, other])
        if all(abs(METRICS[name](pair).mean() - float(text)) <= 0.005 for name, text in printed.items()):
            assert (METRICS["recall"](pair) * METRICS["specificity"](pair)).mean() >= mixed.least_auc - 1e-9
    single = possible_tables(4, 3, **printed)
    assert mixed.least_auc <= (METRICS["recall"](single) * METRICS["specificity"](single)).min() + 1e-9


def test_least_mean_auc_refuses_means_that_no_runs_have():
    with pytest.raises(ValueError, match="no runs"):
        least_mean_auc(4, 3, precision="0.75", recall="0.75", f1="0.10")
