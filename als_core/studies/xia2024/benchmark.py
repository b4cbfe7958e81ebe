"""Answers of networks and baselines on the same samples, and the tables that compare them (Xia 2024, Table 1, Fig. 2 and 7).

Imports no torch: everything here comes from predictions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from als_core.cohorts.splits import Split
from als_core.statistics import metrics
from als_core.statistics.intervals import bootstrap_mean, clopper_pearson
from als_core.statistics.linear import predict_folds, standardised
from als_core.statistics.metrics import majority_class
from als_core.statistics.paired import mcnemar_exact, paired_permutation_over_groups
from als_core.studies.xia2024.audit import ranking_claims
from als_core.studies.xia2024.features import colour_statistics, stained_area
from als_core.studies.xia2024.recipes import OF_PAPER, RECIPES
from als_core.training.runs import Run

MAJORITY, AREA, COLOUR = "Majority class", "Stained area", "Colour statistics"
ALS_OR_CONTROL, KIND_OF_ALS = "ALS or control", "Concordant or discordant"


@dataclass(frozen=True)
class Answers:
    """What one network or baseline answered, and the truth.

    name: as on the pages. truth: class numbers (n,). given: class numbers (runs, n), one row a run; a
    baseline has one. groups: (n,) or None. learns: whether it is a network.
    """

    name: str
    truth: np.ndarray
    given: np.ndarray
    groups: np.ndarray | None
    n_classes: int
    learns: bool = True

    @property
    def confusions(self) -> np.ndarray:
        """Counts of (true, answered) class of each run, int64 (runs, C, C)."""
        return np.stack([metrics.confusion_matrix(self.truth, run, self.n_classes) for run in self.given])

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is right, bool (runs, n)."""
        return self.given == self.truth


def histories(runs: Sequence[Run]) -> pd.DataFrame:
    """The histories of all seeds of one network, one under the other, with its name and the place of the run."""
    name = runs[0].about["recipe"]["name"]
    return pd.concat(
        [run.history.assign(name=name, run=place) for place, run in enumerate(runs)], ignore_index=True
    )


def answers_of_runs(runs: Sequence[Run], groups: np.ndarray | None) -> Answers:
    """Answers of all seeds of one network on the test part. groups: of every sample of the cohort."""
    tables = [run.predictions for run in runs]
    numbers = {name: number for number, name in enumerate(runs[0].classes)}
    rows = np.flatnonzero(tables[0]["part"] == "test")
    truth, *given = (
        column.iloc[rows].map(numbers).to_numpy(np.int64)
        for column in (tables[0]["label"], *(table["predicted"] for table in tables))
    )
    name = runs[0].about["recipe"]["name"]
    return Answers(name, truth, np.stack(given), None if groups is None else groups[rows], len(numbers))


def baseline_features(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return features of the baselines that see an image, by name, of uint8 images (n, H, W, 3)."""
    return {AREA: stained_area(images), COLOUR: colour_statistics(images)}


def baseline_answers(
    features: dict[str, np.ndarray], labels: np.ndarray, split: Split, groups: np.ndarray | None
) -> list[Answers]:
    """Fit the baselines to the training part and ask them about the test part, as the networks are.

    The majority class of the training part, and ridge regression (`als_core.statistics.linear`) on each feature set.
    """
    train, test = split.rows("train"), split.rows("test")
    classes = int(labels.max()) + 1
    predicted = {MAJORITY: np.full(len(test), majority_class(labels[train], classes))}
    for name, each in features.items():
        predicted[name] = predict_folds(standardised(each), labels, [(train, test)])[test]
    of_test = None if groups is None else groups[test]
    return [
        Answers(name, labels[test], given[None], of_test, classes, learns=False)
        for name, given in predicted.items()
    ]


def two_questions(confusion: np.ndarray, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read the three classes as two questions: ALS or control, and the kind of ALS among ALS called ALS.

    confusion: int (3, 3). Returns two int (2, 2), rows the truth; control comes first in the first one.
    """
    control = list(classes).index("control")
    als = [place for place in range(len(classes)) if place != control]
    return metrics.merge_classes(confusion, ((control,), als)), confusion[np.ix_(als, als)]


def question_table(answers: Iterable[Answers], classes: Sequence[str]) -> pd.DataFrame:
    """One row a question of `two_questions` and run: question, name, run, right, n, value (NaN for no image)."""
    rows = [
        (question, each.name, run, int(np.trace(matrix)), int(matrix.sum()))
        for each in answers
        for run, confusion in enumerate(each.confusions)
        for question, matrix in zip(
            (ALS_OR_CONTROL, KIND_OF_ALS), two_questions(confusion, classes), strict=True
        )
    ]
    table = pd.DataFrame(rows, columns=["question", "name", "run", "right", "n"])
    return table.assign(value=(table["right"] / table["n"]).where(table["n"] > 0))


def run_table(answers: Iterable[Answers]) -> pd.DataFrame:
    """One row a run: name, run, correct, n, accuracy, matthews (NaN where undefined), classes named."""
    rows = []
    for each in answers:
        confusions = each.confusions
        columns = {
            "correct": metrics.accuracy_counts(confusions)[0],
            "n": confusions.sum((1, 2)),
            "accuracy": metrics.accuracy(confusions),
            "matthews": metrics.matthews(confusions),
            "classes_named": (confusions.sum(1) > 0).sum(1),
        }
        rows.append(pd.DataFrame({"name": each.name, "run": range(len(each.given))} | columns))
    return pd.concat(rows, ignore_index=True)


def class_table(answers: Iterable[Answers], classes: Sequence[str]) -> pd.DataFrame:
    """One row a run, class and measure (sensitivity, specificity): name, run, class, measure, k, n, value."""
    rows = []
    counts = {"sensitivity": metrics.sensitivity_counts, "specificity": metrics.specificity_counts}
    for each in answers:
        for measure, count in counts.items():
            for run, (ks, ns) in enumerate(zip(*count(each.confusions), strict=True)):
                for name, k, n in zip(classes, ks.tolist(), ns.tolist(), strict=True):
                    value = k / n if n else math.nan
                    rows.append((each.name, run, name, measure, k, n, value))
    return pd.DataFrame(rows, columns=["name", "run", "class", "measure", "k", "n", "value"])


def accuracy_table(answers: Iterable[Answers], seed: int = 0) -> pd.DataFrame:
    """One row a network or baseline over its runs.

    Columns: name, runs, n, correct (of each run), mean, median, sd (NaN for one run), least, greatest, all
    shares. low, high: Clopper-Pearson 95 % of the middle run, of two the lower one, samples taken as
    independent. group_low, group_high: of the mean over runs, whole groups resampled;
    NaN without groups, or where the part has only one.
    """
    rows = []
    for each in answers:
        shares = each.right.mean(1)
        correct = each.right.sum(1)
        middle = int(np.sort(correct)[(len(correct) - 1) // 2])
        exact = clopper_pearson(middle, len(each.truth))
        row = {
            "name": each.name,
            "runs": len(shares),
            "n": len(each.truth),
            "correct": correct.tolist(),
            "mean": shares.mean(),
            "median": np.median(correct) / len(each.truth),
            "sd": shares.std(ddof=1) if len(shares) > 1 else math.nan,
            "least": shares.min(),
            "greatest": shares.max(),
            "low": exact.low,
            "high": exact.high,
            "group_low": math.nan,
            "group_high": math.nan,
        }
        if each.groups is not None and len(set(each.groups)) > 1:
            drawn = bootstrap_mean(each.right.mean(0), each.groups, np.random.default_rng(seed))
            row |= {"group_low": drawn.low, "group_high": drawn.high}
        rows.append(row)
    return pd.DataFrame(rows)


def paired_table(pairs: Iterable[tuple[Answers, Answers]], seed: int = 0) -> pd.DataFrame:
    """One row a pair of answers on the same samples: first against second.

    Columns: first, second, difference of the mean accuracies; mcnemar_least and mcnemar_greatest, exact p of
    each run of the first with the run of the second of the same place (the only one of a baseline); p of the
    mean over runs, exchanged by whole groups (by image without groups). All p two-sided and uncorrected.
    """
    rows = []
    for first, second in pairs:
        count = max(len(first.given), len(second.given))
        runs = [
            (first.right[i % len(first.right)], second.right[i % len(second.right)]) for i in range(count)
        ]
        each_run = [mcnemar_exact(*pair).p_value for pair in runs]
        units = np.arange(len(first.truth)) if first.groups is None else first.groups
        means = (each.right.mean(0) for each in (first, second))
        over_groups = paired_permutation_over_groups(*means, units, np.random.default_rng(seed))
        rows.append(
            {
                "first": first.name,
                "second": second.name,
                "difference": over_groups.difference,
                "mcnemar_least": min(each_run),
                "mcnemar_greatest": max(each_run),
                "p": over_groups.p_value,
            }
        )
    return pd.DataFrame(rows)


def compared(answers: Sequence[Answers], best: str, plain: str) -> list[tuple[Answers, Answers]]:
    """The pairs that the paper ranks: `best` against every other one, and the other networks against `plain`."""
    by_name = {each.name: each for each in answers}
    pairs = [(by_name[best], each) for each in answers if each.name != best]
    others = [each for each in answers if each.learns and each.name not in (best, plain)]
    return pairs + [(each, by_name[plain]) for each in others]


def as_printed(
    answers: Iterable[Answers], classes: Sequence[str], histories: pd.DataFrame
) -> dict[str, float]:
    """What the paper prints about its test set, from these answers, by claim id and in the claim's unit.

    Averages are means over runs. Where the text leaves open what a number is, one reading was fixed:
    section 2.2, three ResNets: the mean over their runs. ResNet18 and Miniset-DenseSENet in four of five
    runs: the lower of their medians. Abstract: accuracy of ALS against control in the best run for it, as the abstract
    words it; sensitivity and specificity of the control class in the best run for three classes. Classes are only
    looked at where the cohort has the paper's. A run that predicts one class only has no Matthews correlation; it counts
    as 0, as in scikit-learn. Accuracy at the end of training (Fig. 2), from `histories`: mean over
    runs of the last epoch's validation accuracy.
    """
    by_name = {each.name: each for each in answers}
    best = by_name[RECIPES["miniset_densesenet"].name]
    shares = 100 * best.right.mean(1)
    correlations = np.nan_to_num(metrics.matthews(best.confusions))
    accuracy = {network: 100 * by_name[RECIPES[network].name].right.mean() for network in OF_PAPER}
    found = {f"xia2024.table1.{network}.accuracy": value for network, value in accuracy.items()}
    last = histories.groupby(["name", "run"])["validation_accuracy"].last().groupby("name").mean()
    ended = {network: 100 * last[RECIPES[network].name] for network in OF_PAPER}
    found |= ranking_claims(accuracy, ended) | {
        "xia2024.section2_2.every_run.accuracy": shares.min(),
        "xia2024.section2_2.best_run.accuracy": shares.max(),
        "xia2024.section5.mean.mcc": correlations.mean(),
        "xia2024.section5.best_run.mcc": correlations.max(),
    }
    if set(classes) == {"control", "concordant", "discordant"}:
        control = list(classes).index("control")
        als = [number for number in range(len(classes)) if number != control]
        two_classes = metrics.merge_classes(best.confusions, ((control,), als))
        sensitivity = {name: metrics.sensitivity(each.confusions) for name, each in by_name.items()}
        specificity = {name: metrics.specificity(each.confusions) for name, each in by_name.items()}
        ours, theirs = sensitivity[best.name], specificity[best.name]
        resnets = [RECIPES[network].name for network in ("resnet18", "resnet18_se", "resnet18_cbam")]
        medians = [np.median(sensitivity[name][:, control]) for name in (resnets[0], best.name)]
        top = int(shares.argmax())
        found |= {
            "xia2024.section2_2.three_resnets.control.specificity": np.mean(
                [specificity[name][:, control].mean() for name in resnets]
            ),
            "xia2024.section2_2.resnet18_and_miniset.control.sensitivity": min(medians),
            "xia2024.section2_2.als_classes.sensitivity": 100 * np.delete(ours, control, 1).mean(),
            "xia2024.section2_2.als_classes.specificity": 100 * np.delete(theirs, control, 1).mean(),
            "xia2024.section5.control_best.sensitivity": ours[:, control].max(),
            "xia2024.section5.control_worst.specificity": theirs[:, control].min(),
            "xia2024.abstract.headline.accuracy": 100 * metrics.accuracy(two_classes).max(),
            "xia2024.abstract.headline.sensitivity": ours[top, control],
            "xia2024.abstract.headline.specificity": theirs[top, control],
        }
    return found


def networks_behind(claim: str) -> tuple[str, ...]:
    """Return the networks whose runs a claim of the paper on its test set speaks about."""
    named = [network for network in OF_PAPER if f".{network}." in claim]
    if "_minus_" in claim:
        return tuple(claim.split(".")[-2].split("_minus_"))
    if "three_resnets" in claim:
        return ("resnet18", "resnet18_se", "resnet18_cbam")
    if "resnet18_and_miniset" in claim:
        return ("resnet18", "miniset_densesenet")
    return tuple(named) or ("miniset_densesenet",)


def gates_alone(gated: Sequence[Run], plain: Sequence[Run], groups: np.ndarray | None) -> list[Answers]:
    """Return the answers with gates and without them, the second named for its hyper-parameters."""
    without = answers_of_runs(plain, groups)
    named = replace(without, name="DenseNet121, as Miniset-DenseSENet")
    return [answers_of_runs(gated, groups), named]
