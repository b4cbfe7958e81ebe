"""Networks trained under splits by donor, and what they say of each donor (beside `separation`, which trains none)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from als_core.cohorts.splits import Split
from als_core.statistics.linear import draw_folds, fewest_units
from als_core.training.runs import Run


@dataclass(frozen=True)
class ByDonorAmounts:
    """How much of the study by donor a profile does.

    rounds : how often folds are drawn. permutations : of the labels over donors. heads : networks whose frozen
    features a linear classifier gets. trained : networks that are trained under splits by donor; those with recorded runs
    are shown, too. cues : the network that the ladder of removed cues is shown to.
    """

    rounds: int = 10
    permutations: int = 1000
    heads: tuple[str, ...] = ("resnet18", "efficientnet_lite0", "densenet121")
    trained: tuple[str, ...] = ("resnet18", "efficientnet_lite0", "resnet18_se")
    cues: tuple[str, ...] = ("resnet18", "efficientnet_lite0")


def count_predictions(runs: Sequence[Run]) -> np.ndarray:
    """Count how often runs that had a sample in their test part predicted each class for it, int64 (n, C)."""
    classes = list(runs[0].classes)
    counts = np.zeros((len(runs[0].predictions), len(classes)), dtype=np.int64)
    for run in runs:
        rows = np.flatnonzero(run.predictions["part"] == "test")
        counts[rows, run.predictions["predicted"].iloc[rows].map(classes.index)] += 1
    return counts


def group_votes(counts: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Return one row a group with predictions: label (of its first sample), share of right predictions, vote, right.

    The vote of a group is the class predicted most often for its samples; −1, and not right, where two are equally
    often.
    """
    rows = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        answers, label = counts[members].sum(0), labels[members[0]]
        if answers.sum():
            right = counts[members, labels[members]].sum() / answers.sum()
            vote = int(answers.argmax()) if (answers == answers.max()).sum() == 1 else -1
            rows.append(
                {"group": group, "label": label, "share": right, "vote": vote, "right": vote == label}
            )
    return pd.DataFrame(rows)


def splits_by_donor(labels: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> list[Split]:
    """Return a round of splits for networks that train: fold j is the test part, fold j + 1 validates, the rest trains.

    Each donor of the round is tested once. With five donors a class that is 6 : 2 : 2, as in the split by image.
    Raises ValueError where there are fewer than three folds, so that nothing would be left to train on.
    """
    folds = [test for _, test in draw_folds(labels, groups, generator, len(set(groups)))]
    if len(folds) < 3:
        raise ValueError(f"{len(folds)} folds by donor: three are needed to train, validate and test")
    splits = []
    for number, test in enumerate(folds):
        parts = np.full(len(labels), "train", dtype="<U10")
        parts[folds[(number + 1) % len(folds)]] = "validation"
        parts[test] = "test"
        splits.append(Split(f"by donor, fold {number + 1} of {len(folds)}", "group", parts))
    return splits


def can_validate(labels: np.ndarray, groups: np.ndarray | None) -> bool:
    """Whether each class has the three donors that `splits_by_donor` needs."""
    return fewest_units(labels, groups) >= 3
