"""Tables of the benchmark against hand-made answers and trusted libraries."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from scipy.stats import binomtest
from toy_training import cohort_split_images, train

from als_core.studies.xia2024 import benchmark
from als_core.studies.xia2024.benchmark import Answers
from als_core.studies.xia2024.recipes import OF_PAPER, RECIPES

CLASSES = ("concordant", "control", "discordant")
TRUTH = np.repeat([0, 1, 2], [12, 14, 12])
GROUPS = np.array([f"d{label}{place % 5}" for label in range(3) for place in range((12, 14, 12)[label])])


def answers(name: str, right: list[int], seed: int = 0, groups=GROUPS, learns: bool = True) -> Answers:
    """Runs with these numbers of right answers among the 38, at random places."""
    generator = np.random.default_rng(seed)
    given = np.tile((TRUTH + 1) % 3, (len(right), 1))
    for run, count in zip(given, right, strict=True):
        places = generator.permutation(38)[:count]
        run[places] = TRUTH[places]
    return Answers(name, TRUTH, given, groups, 3, learns)


SIX = [
    answers(recipe.name, [20 + place, 30, 34, 25, 28], place)
    for place, recipe in enumerate(RECIPES[name] for name in OF_PAPER)
]


def test_accuracies_over_runs():
    (row,) = benchmark.accuracy_table([answers("x", [34, 30, 37, 31])]).to_dict("records")
    assert (row["runs"], row["n"], row["correct"]) == (4, 38, [34, 30, 37, 31])
    assert row["mean"] == pytest.approx(132 / 152) and row["median"] == 32.5 / 38
    assert row["sd"] == pytest.approx(np.std([34, 30, 37, 31], ddof=1) / 38)
    assert (row["least"], row["greatest"]) == (30 / 38, 37 / 38)
    exact = binomtest(31, 38).proportion_ci(0.95)  # of the lower of the middle two
    assert (row["low"], row["high"]) == (exact.low, exact.high)
    assert row["group_low"] < row["mean"] < row["group_high"]
    (alone,) = benchmark.accuracy_table([answers("x", [34], groups=None)]).to_dict("records")
    assert np.isnan([alone["sd"], alone["group_low"], alone["group_high"]]).all()


def test_runs_and_classes_equal_scikit_learn():
    entry = answers("x", [34, 20])
    table = benchmark.run_table([entry])
    by_class = benchmark.class_table([entry], CLASSES).set_index(["measure", "run", "class"])["value"]
    for run, given in enumerate(entry.given):
        assert table["accuracy"][run] == sklearn.metrics.accuracy_score(TRUTH, given)
        assert table["matthews"][run] == pytest.approx(sklearn.metrics.matthews_corrcoef(TRUTH, given))
        recall = sklearn.metrics.recall_score(TRUTH, given, average=None)
        np.testing.assert_allclose(by_class["sensitivity", run], recall)
        spared = [sklearn.metrics.recall_score(k != TRUTH, given != k) for k in range(3)]
        np.testing.assert_allclose(by_class["specificity", run], spared)


def test_pairs_are_those_the_paper_ranks_and_equal_answers_do_not_differ():
    baselines = [
        answers(name, [14], learns=False) for name in (benchmark.MAJORITY, benchmark.AREA, benchmark.COLOUR)
    ]
    pairs = benchmark.compared([*SIX, *baselines], "Miniset-DenseSENet", "Basic CNN")
    names = [(first.name, second.name) for first, second in pairs]
    assert len(names) == len(set(names)) == 5 + 3 + 4
    assert all(a == "Miniset-DenseSENet" or (b == "Basic CNN" and a != b) for a, b in names)
    table = benchmark.paired_table([(SIX[0], SIX[0]), (answers("x", [38, 38]), answers("y", [10], 1))])
    same, other = table.itertuples()
    assert (same.difference, same.p, same.mcnemar_least, same.mcnemar_greatest) == (0, 1, 1, 1)
    assert other.difference == pytest.approx(28 / 38)
    assert other.mcnemar_least == other.mcnemar_greatest == binomtest(28, 28).pvalue
    assert other.p < 0.001


HISTORIES = pd.DataFrame(
    [
        {
            "name": each.name,
            "run": run,
            "epoch": epoch,
            "validation_accuracy": 0.1 * place * epoch + 0.01 * run,
        }
        for place, each in enumerate(SIX)
        for run in (0, 1)
        for epoch in (0, 1)
    ]
)


def test_printed_quantities_by_hand():
    found = benchmark.as_printed(SIX, CLASSES, HISTORIES)
    best = SIX[-1]
    assert found["xia2024.table1.basic_cnn.accuracy"] == pytest.approx(100 * (20 + 30 + 34 + 25 + 28) / 190)
    two_classes = [np.mean((run == 1) == (TRUTH == 1)) for run in best.given]
    assert found["xia2024.abstract.headline.accuracy"] == pytest.approx(100 * max(two_classes))
    assert found["xia2024.section2_2.best_run.accuracy"] == pytest.approx(100 * 34 / 38)
    assert found["xia2024.section2_2.every_run.accuracy"] == pytest.approx(100 * 25 / 38)
    control = [np.mean(run[TRUTH == 1] == 1) for run in best.given]
    assert found["xia2024.section5.control_best.sensitivity"] == pytest.approx(max(control))
    assert found["xia2024.abstract.headline.sensitivity"] == pytest.approx(control[2])
    spared = [np.mean(run[TRUTH != 1] != 1) for run in best.given]
    assert found["xia2024.section5.control_worst.specificity"] == pytest.approx(min(spared))
    of_als = [np.mean(run[k == TRUTH] == k) for run in best.given for k in (0, 2)]
    assert found["xia2024.section2_2.als_classes.sensitivity"] == pytest.approx(100 * np.mean(of_als))
    lead = "xia2024.fig2.miniset_densesenet_minus_resnet18.convergence"
    assert found[lead] == pytest.approx(10 * (5 - 1))  # of the last epochs, means over two runs
    elsewhere = benchmark.as_printed(SIX, ("a", "b", "c"), HISTORIES)
    assert set(elsewhere) < set(found) and not any("control" in claim for claim in elsewhere)


def test_a_run_that_predicts_one_class_counts_with_a_matthews_correlation_of_0():
    best = SIX[-1]
    given = np.stack([best.given[0], np.zeros_like(TRUTH)])
    found = benchmark.as_printed([*SIX[:-1], replace(best, given=given)], CLASSES, HISTORIES)
    (defined,) = benchmark.metrics.matthews(replace(best, given=given[:1]).confusions)
    assert found["xia2024.section5.mean.mcc"] == pytest.approx(defined / 2)
    assert found["xia2024.section5.best_run.mcc"] == pytest.approx(max(defined, 0))


def test_every_printed_quantity_is_a_claim():
    from als_core.claims.published import claims

    assert set(benchmark.as_printed(SIX, CLASSES, HISTORIES)) <= set(claims())


def test_answers_of_runs_are_those_of_the_store(tmp_path):
    cohort, split, _ = cohort_split_images()
    runs = train(tmp_path)
    found = benchmark.answers_of_runs(runs, np.arange(45).astype(str))
    np.testing.assert_array_equal(found.right.sum(1), [run.confusion().trace() for run in runs])
    np.testing.assert_array_equal(found.truth, cohort.labels[split.rows("test")])
    np.testing.assert_array_equal(found.groups.astype(int), split.rows("test"))
    curves = benchmark.histories(runs)
    assert curves["run"].value_counts().tolist() == [20, 20] and set(curves["name"]) == {"Toy"}


def test_baselines_see_colour_and_not_the_test_labels():
    cohort, split, given = cohort_split_images()
    features = benchmark.baseline_features(given.images)
    assert list(features) == [benchmark.AREA, benchmark.COLOUR]
    majority, area, colour = benchmark.baseline_answers(features, cohort.labels, split, None)
    assert colour.right.all()  # each class has a colour of its own
    assert len(set(majority.given[0])) == 1 and area.given.shape == (1, 9)
    flipped = cohort.labels.copy()
    flipped[split.rows("test")] = (flipped[split.rows("test")] + 1) % 3
    again = benchmark.baseline_answers(features, flipped, split, None)[2]
    np.testing.assert_array_equal(again.given, colour.given)
