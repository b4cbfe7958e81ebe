"""What survives a split by donor: the same classifiers under splits that keep less or more apart, and the null of each.

Four protocols, each a list of folds (rows to train on, rows to be judged on):

by image            folds stratified by class, blind to slides and donors, as in section 4.2.1 of Xia 2024
by slide            one slide of each class held out together; another slide of its donor may be trained on
by donor            one donor of each class held out together
one donor left out  each donor by itself. The classes left for training are then out of balance against the
                    held-out one, so chance is far below 1 / classes: it means something beside its null alone

The null deals the labels anew to whole donors and repeats the protocol from its folds on. Whatever accuracy is
left then comes from recognising slides and donors, for there is no class left to recognise.

Classifiers are linear: ridge regression on class indicators, in closed form, so that hundreds of permutations
cost little. Features of no column at all make it the majority class of the training part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.linalg import solve
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from tqdm import tqdm

from als_core.cohorts.splits import Split
from als_core.statistics.intervals import Interval, bootstrap_over_groups
from als_core.statistics.paired import permutation_p_value, permute_labels_over_groups
from als_core.training.runs import Run

Fold = tuple[np.ndarray, np.ndarray]

BY_IMAGE, BY_SLIDE, BY_DONOR, LEFT_OUT = "by image", "by slide", "by donor", "one donor left out"
FOLDS = 5  # of a round by image, where no donors set their number
PENALTY = 1.0  # on squared weights of standardised features, for each training sample


@dataclass(frozen=True)
class ByDonorAmounts:
    """How much of the study by donor a profile does.

    rounds: how often the folds of a protocol are drawn anew. permutations: of the labels over donors.
    heads: networks whose frozen features a linear classifier gets. trained: networks trained whole under
    one round of splits by donor.
    """

    rounds: int = 10
    permutations: int = 1000
    heads: tuple[str, ...] = ("resnet18", "densenet121")
    trained: tuple[str, ...] = ("resnet18_se",)


@dataclass(frozen=True)
class Protocol:
    """folds: (labels, generator) -> one round of folds. drawn: whether another round has other folds."""

    folds: Callable[[np.ndarray, np.random.Generator], list[Fold]]
    drawn: bool = True


@dataclass(frozen=True)
class Trials:
    """The observed labels and their folds over all rounds, and the same for each permutation of the labels."""

    labels: np.ndarray
    folds: list[Fold]
    permuted: list[tuple[np.ndarray, list[Fold]]]


def protocols(
    labels: np.ndarray, groups: np.ndarray | None, slides: np.ndarray | None = None
) -> dict[str, Protocol]:
    """The protocols that a cohort allows, by name, in the order of the module's text.

    labels: int (n,). groups, slides: names (n,), or None. A unit is held out with one of each class, so each
    class needs two units; units that hold several classes are shared out over `FOLDS` folds instead.
    """
    donors = _fewest_units(labels, groups)
    found = {BY_IMAGE: Protocol(partial(_by_image, count=donors if donors > 1 else FOLDS))}
    if donors > 1:
        if _fewest_units(labels, slides) > 1 and len(set(slides)) > len(set(groups)):
            found[BY_SLIDE] = Protocol(partial(_one_of_each_class, units=slides))
        found[BY_DONOR] = Protocol(partial(_one_of_each_class, units=groups))
        found[LEFT_OUT] = Protocol(partial(_each_alone, units=groups), drawn=False)
    return found


def trials(
    protocol: Protocol,
    labels: np.ndarray,
    groups: np.ndarray | None,
    rounds: int,
    permutations: int,
    seed: int = 0,
) -> Trials:
    """The folds of a protocol, and of as many permuted labels; all classifiers are judged on the same ones."""

    def folds(labels: np.ndarray, generator: np.random.Generator) -> list[Fold]:
        each = (protocol.folds(labels, generator) for _ in range(rounds if protocol.drawn else 1))
        return [fold for folds in each for fold in folds]

    permuted = []
    for number in range(permutations):
        generator = np.random.default_rng((seed, number))
        dealt = permuted_labels(labels, groups, generator)
        permuted.append((dealt, folds(dealt, generator)))
    return Trials(labels, folds(labels, np.random.default_rng(seed)), permuted)


def permuted_labels(
    labels: np.ndarray, groups: np.ndarray | None, generator: np.random.Generator
) -> np.ndarray:
    """Labels dealt anew: to whole groups; within groups where these hold several labels; to samples without groups."""
    if groups is None:
        return generator.permutation(labels)
    if holds_one_label(labels, groups):
        return permute_labels_over_groups(labels, groups, generator)
    dealt = labels.copy()
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        dealt[rows] = generator.permutation(labels[rows])
    return dealt


def linear_answers(
    features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Class numbers of the test rows by ridge regression on class indicators, int64 (len(test),).

    features: float (n, d), standardised with mean and sd of the training rows; d may be 0, and then the
    commonest training class is the answer (the first of equals). The penalty is `PENALTY` times the number
    of training rows.
    """
    mean, sd = features[train].mean(0), features[train].std(0)
    sd = np.where(sd > 0, sd, 1)
    known, new = (features[train] - mean) / sd, (features[test] - mean) / sd
    targets = np.eye(labels.max() + 1)[labels[train]]
    shares = targets.mean(0)
    # of the two equal forms the one with the smaller system, by features or by samples
    by_features = known.shape[1] < len(known)
    system = known.T @ known if by_features else known @ known.T
    system[np.diag_indices_from(system)] += PENALTY * len(known)
    right = targets - shares
    if by_features:
        weights = solve(system, known.T @ right, assume_a="pos") if known.shape[1] else known.T @ right
    else:
        weights = known.T @ solve(system, right, assume_a="pos")
    return (new @ weights + shares).argmax(1)


def calls(features: np.ndarray, labels: np.ndarray, folds: Sequence[Fold]) -> np.ndarray:
    """How often each sample was called each class over all folds, int64 (n, C)."""
    counts = np.zeros((len(labels), labels.max() + 1), dtype=np.int64)
    for train, test in folds:
        counts[test, linear_answers(features, labels, train, test)] += 1
    return counts


def calls_of_runs(runs: Sequence[Run]) -> np.ndarray:
    """How often each sample was called each class by runs that had it in their test part, int64 (n, C)."""
    classes = list(runs[0].classes)
    counts = np.zeros((len(runs[0].predictions), len(classes)), dtype=np.int64)
    for run in runs:
        rows = np.flatnonzero(run.predictions["part"] == "test")
        counts[rows, run.predictions["predicted"].iloc[rows].map(classes.index)] += 1
    return counts


def accuracy_of_calls(counts: np.ndarray, labels: np.ndarray) -> float:
    """Share of right answers among all answers, 0 .. 1."""
    return float(counts[np.arange(len(labels)), labels].sum() / counts.sum())


def null_accuracies(features: np.ndarray, trials: Trials) -> np.ndarray:
    """Accuracy under each permutation of the labels, float64 (permutations,)."""
    return np.array(
        [accuracy_of_calls(calls(features, labels, folds), labels) for labels, folds in trials.permuted]
    )


def study(
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray | None,
    slides: np.ndarray | None,
    amounts: ByDonorAmounts,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[tuple[str, str], np.ndarray]]:
    """Every classifier under every protocol that the cohort allows, beside its null.

    features: by the name of the classifier. Returns one row a protocol and classifier (protocol, name and
    what `summary` gives), and the `calls` by (protocol, name). A progress bar goes to stderr.
    """
    rows, counts = [], {}
    for protocol, drawn in protocols(labels, groups, slides).items():
        judged = trials(drawn, labels, groups, amounts.rounds, amounts.permutations, seed)
        for name, each in tqdm(features.items(), protocol, unit="classifier", disable=None):
            counts[protocol, name] = calls(each, labels, judged.folds)
            null = null_accuracies(each, judged) if amounts.permutations else None
            found = summary(counts[protocol, name], labels, groups, null, seed)
            rows.append({"protocol": protocol, "name": name} | found)
    return pd.DataFrame(rows), counts


def group_votes(counts: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """One row a group that was judged: label (of its first sample), share of right answers, vote and whether it is right.

    The vote of a group is the class that all answers on its samples name most often (the first of equals).
    """
    rows = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        answers, label = counts[members].sum(0), labels[members[0]]
        if answers.sum():
            right = counts[members, labels[members]].sum() / answers.sum()
            vote = int(answers.argmax())
            rows.append(
                {"group": group, "label": label, "share": right, "vote": vote, "right": vote == label}
            )
    return pd.DataFrame(rows)


def summary(
    counts: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, null: np.ndarray | None, seed: int = 0
) -> dict[str, float]:
    """Accuracy with its interval over groups, and where it lies in its null.

    null: accuracies with permuted labels, or None where none were computed. Returns accuracy, low, high
    (`interval_over_groups`), answers; null_mean, null_sd, null_low, null_high (5 and 95 percent) and p, NaN
    without a null; p is one-sided, (b + 1) / (n + 1).
    """
    accuracy = accuracy_of_calls(counts, labels)
    interval = interval_over_groups(counts, labels, groups, np.random.default_rng(seed))
    found = {"accuracy": accuracy, "low": interval.low, "high": interval.high, "answers": int(counts.sum())}
    if null is None:
        return found | dict.fromkeys(("null_mean", "null_sd", "null_low", "null_high", "p"), np.nan)
    low, high = np.quantile(null, [0.05, 0.95])
    return found | {
        "null_mean": null.mean(),
        "null_sd": null.std(ddof=1),
        "null_low": low,
        "null_high": high,
        "p": permutation_p_value(accuracy, null),
    }


def interval_over_groups(
    counts: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, generator: np.random.Generator
) -> Interval:
    """95 % interval of the accuracy, whole groups drawn anew (each image by itself where there are no groups).

    The classifiers are not trained anew, so this is the spread over the donors judged and not over the
    donors learnt from.
    """
    judged = counts.sum(1) > 0
    units = np.arange(len(labels)) if groups is None else groups
    right = counts[np.arange(len(labels)), labels]
    sums = np.stack([right, counts.sum(1)], axis=1)[judged]
    return bootstrap_over_groups(sums, units[judged], lambda s: s[:, 0] / s[:, 1], generator)


def splits_by_donor(labels: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> list[Split]:
    """A round of splits for networks that train: fold j is the test part, fold j + 1 validates, the rest trains.

    Each donor of the round is tested once. With five donors a class that is 6 : 2 : 2, as in the split by image.
    Raises ValueError where there are fewer than three folds, so that nothing would be left to train on.
    """
    folds = [test for _, test in _one_of_each_class(labels, generator, groups)]
    if len(folds) < 3:
        raise ValueError(f"{len(folds)} folds by donor: three are needed to train, validate and test")
    splits = []
    for number, test in enumerate(folds):
        parts = np.full(len(labels), "train", dtype="<U10")
        parts[folds[(number + 1) % len(folds)]] = "validation"
        parts[test] = "test"
        splits.append(Split(f"by donor, fold {number + 1} of {len(folds)}", "group", parts))
    return splits


def recognition_table(
    features: Mapping[str, np.ndarray], units: Mapping[str, np.ndarray], seed: int = 0
) -> pd.DataFrame:
    """How well slides or donors themselves are recognised: one row a classifier and kind of unit.

    units: by kind ("slide", "donor"), the name of each sample's unit. Folds by image, stratified by unit; units
    with fewer images than `FOLDS` are left out, and a kind of which fewer than two are left. Columns: name,
    unit, right, answers, units, share (0 .. 1).
    """
    rows = []
    for unit, names in units.items():
        _, number, sizes = np.unique(names, return_inverse=True, return_counts=True)
        kept = np.flatnonzero(sizes[number] >= FOLDS)
        left, labels = np.unique(number[kept], return_inverse=True)
        if len(left) < 2:
            continue
        folds = _by_image(labels, np.random.default_rng(seed), FOLDS)
        for name, each in features.items():
            counts = calls(each[kept], labels, folds)
            right = int(counts[np.arange(len(labels)), labels].sum())
            rows.append((name, unit, right, len(labels), len(left), right / len(labels)))
    return pd.DataFrame(rows, columns=["name", "unit", "right", "answers", "units", "share"])


def can_validate(labels: np.ndarray, groups: np.ndarray) -> bool:
    """Whether each class has the three donors that `splits_by_donor` needs."""
    return _fewest_units(labels, groups) >= 3


def holds_one_label(labels: np.ndarray, units: np.ndarray) -> bool:
    """Whether every unit's samples have one label."""
    pairs = {(unit, label) for unit, label in zip(units.tolist(), labels.tolist(), strict=True)}
    return len(pairs) == len(set(units.tolist()))


def _fewest_units(labels: np.ndarray, units: np.ndarray | None) -> int:
    """Units of the class that has fewest; 0 without units."""
    if units is None:
        return 0
    return min(len(set(units[labels == label])) for label in np.unique(labels))


def _by_image(labels: np.ndarray, generator: np.random.Generator, count: int) -> list[Fold]:
    folds = min(count, np.bincount(labels).min())
    splitter = StratifiedKFold(folds, shuffle=True, random_state=int(generator.integers(2**32)))
    return list(splitter.split(labels, labels))


def _one_of_each_class(labels: np.ndarray, generator: np.random.Generator, units: np.ndarray) -> list[Fold]:
    """As many folds as the class with fewest units has units; no unit is held out twice."""
    if not holds_one_label(labels, units):
        folds = min(FOLDS, _fewest_units(labels, units))
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(generator.integers(2**32)))
        return list(splitter.split(labels, labels, units))
    by_class = [generator.permutation(np.unique(units[labels == label])) for label in np.unique(labels)]
    folds = []
    for together in zip(*by_class, strict=False):
        held = np.isin(units, together)
        folds.append((np.flatnonzero(~held), np.flatnonzero(held)))
    return folds


def _each_alone(labels: np.ndarray, generator: np.random.Generator, units: np.ndarray) -> list[Fold]:
    return [(np.flatnonzero(units != unit), np.flatnonzero(units == unit)) for unit in np.unique(units)]
