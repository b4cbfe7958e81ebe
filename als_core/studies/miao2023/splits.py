"""Which images a crop classifier learns from and is judged on: four protocols, and the pool of all their images.

Section 2.4 of Miao et al. splits 70 to 30 and does not say what is split; section 4.2 mentions a
cross-validation, without numbers.

by crop              70 / 30 of the crops; copies are made of training crops alone
by case              70 / 30 of the cases, so that no case is on both sides
cross-validation     five folds of cases
augment, then split  copies of all crops first, then 70 / 30 of all images: ten images a crop and one more, which
                     is 391 = 273 + 118 for 39 crops. The printed accuracies point to these sizes; that they
                     came about in this way is inferred, not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from als_core.studies.miao2023.filters import moved_copies, shares_of
from als_core.training.images import resized

TEST_SHARE = 0.3
FOLDS = 5
HONEST, PUBLISHED, FOLDED, LEAKING = "by case", "by crop", "cross-validation", "augment, then split"
PROTOCOLS = (HONEST, PUBLISHED, FOLDED, LEAKING)


class Trial(NamedTuple):
    """One head: the images it learns from and is judged on, as pairs (crop, copy), copy 0 being the crop itself.

    train: int (n, 2). test: int (m, 2). labels: whether each crop counts as ALS, bool (crops,).
    """

    protocol: str
    number: int
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Pool:
    """Every image that some trial asks for: uint8 (m, side, side, 3), and int (m, 2), which (crop, copy) it is."""

    images: np.ndarray
    pairs: np.ndarray

    def rows(self, pairs: np.ndarray) -> np.ndarray:
        """Rows of these (crop, copy) in the pool. Raises KeyError for one that is not in it."""
        place = {pair: row for row, pair in enumerate(map(tuple, self.pairs.tolist()))}
        return np.array([place[pair] for pair in map(tuple, pairs.tolist())], dtype=np.int64)


def draw_trials(
    labels: np.ndarray,
    cases: np.ndarray,
    protocol: str,
    seed: int,
    *,
    repeats: int,
    copies: int = 10,
    balanced: bool = True,
) -> list[Trial]:
    """Splits of a protocol with the training images of each, `repeats` of them (folds: five, whatever repeats is).

    labels: bool (n,), True for ALS. cases: (n,). copies: images a crop on average, itself included; every trial
    of a protocol learns from the same number of images. balanced: see `shares_of`; where augmentation comes
    first, images stay in proportion to crops, as the printed VGG16 log has them.
    """
    labels, cases, every = np.asarray(labels, bool), np.asarray(cases), np.arange(len(labels))
    generator = np.random.default_rng([seed, PROTOCOLS.index(protocol)])
    if protocol == LEAKING:
        shown = _shown(every, shares_of(labels, copies * len(labels) + 1, balanced=False))
        splits = [
            train_test_split(shown, test_size=TEST_SHARE, random_state=_state(generator))
            for _ in range(repeats)
        ]
        return [Trial(protocol, number, *split, labels) for number, split in enumerate(splits)]
    if protocol == FOLDED:
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=_state(generator))
        splits = list(folds.split(every, labels, cases))
    elif protocol == PUBLISHED:
        splits = [_held_out(every, labels, generator) for _ in range(repeats)]
    else:
        names, first = np.unique(cases, return_index=True)
        held = [_held_out(names, labels[first], generator) for _ in range(repeats)]
        splits = [tuple(np.flatnonzero(np.isin(cases, part)) for part in split) for split in held]
    total = copies * round((1 - TEST_SHARE) * len(labels))
    return [
        Trial(
            protocol,
            number,
            _shown(train, shares_of(labels[train], total, balanced)),
            _shown(np.sort(test), np.ones(len(test), int)),
            labels,
        )
        for number, (train, test) in enumerate(splits)
    ]


def make_pool(images: np.ndarray, trials: Iterable[Trial], side: int, seed: int) -> Pool:
    """The images that the trials ask for, copies made of the full crops and then reduced.

    images: uint8 (n, H, H, 3). Copies are the same whichever other images are in the pool.
    """
    pairs = np.unique(
        np.concatenate([part for trial in trials for part in (trial.train, trial.test)]), axis=0
    )
    counts = np.array([pairs[pairs[:, 0] == crop, 1].max(initial=0) for crop in range(len(images))])
    copies, sources = moved_copies(images, counts, seed)
    numbers = np.concatenate([np.arange(1, count + 1) for count in counts])
    made = np.concatenate(
        [_shown(np.arange(len(images)), np.ones(len(images), int)), np.c_[sources, numbers]]
    )
    return Pool(resized(np.concatenate([images, copies]), side), made)


def every_trial(
    labels: np.ndarray, cases: np.ndarray, seed: int, *, repeats: int, copies: int
) -> list[Trial]:
    """The trials of all four protocols, as `draw_trials` gives them."""
    amounts = {"repeats": repeats, "copies": copies}
    return [trial for each in PROTOCOLS for trial in draw_trials(labels, cases, each, seed, **amounts)]


def _shown(crops: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pairs (crop, copy) of the first `counts` images of each crop, (sum of counts, 2)."""
    return np.array(
        [(crop, copy) for crop, count in zip(crops, counts, strict=True) for copy in range(count)]
    )


def _held_out(
    units: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Units (crops or cases) split 70 to 30 within each label, the test part rounded up."""
    return tuple(
        train_test_split(units, test_size=TEST_SHARE, stratify=labels, random_state=_state(generator))
    )


def _state(generator: np.random.Generator) -> int:
    """scikit-learn takes integers for seeds, not generators."""
    return int(generator.integers(2**32))
