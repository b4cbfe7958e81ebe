"""The protocol of the crops study: sizes and repeats of a profile, splits, and training images.

Section 2.4 of Miao et al. splits 70 to 30 and does not say what is split; section 4.2 mentions a
cross-validation, without numbers. Four protocols:

by case              70 / 30 of the cases, so that no case is on both sides
by crop              70 / 30 of the crops; copies are made of training crops alone
cross-validation     five folds of cases
augment, then split  copies of all crops first, then 70 / 30 of all images: ten images per crop and one
                     more, which is 391 = 273 + 118 for 39 crops. The printed accuracies point to these
                     sizes; that they came about in this way is inferred, not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from als_core.cohorts.group_word import CASE, GroupWord
from als_core.studies.miao2023.filters import affine_copies, image_counts
from als_core.training.images import resized

TEST_SHARE = 0.3
FOLDS = 5
BY_CASE, BY_CROP, CROSS_VALIDATED, COPIES_FIRST = (
    "by case",
    "by crop",
    "cross-validation",
    "augment, then split",
)
PROTOCOLS = (BY_CASE, BY_CROP, CROSS_VALIDATED, COPIES_FIRST)


def shown_as(protocol: str, unit: GroupWord = CASE) -> str:
    """Name a protocol with a cohort's word for its cases."""
    return f"by {unit.one}" if protocol == BY_CASE else protocol


@dataclass(frozen=True)
class SuperResolution:
    """How the super-resolution network is built and trained, apart from its images and its seed.

    factor : 2 or 4
    channels, blocks : width and residual blocks of the generator
    content_steps : steps on the content loss, with a learning rate of Adam that falls to a tenth as a
        half cosine
    further_steps : steps after that at a tenth of the rate, by one copy of the generator on content alone
        and by another with the adversarial term too
    batch, patch : patches per step, and their side in low-resolution pixels
    adversarial, perceptual : weights of these terms beside a content loss of weight 1
    noise_sd : noise of the low-resolution images, in levels of 255
    """

    factor: Literal[2, 4] = 4
    channels: int = 64
    blocks: int = 16
    content_steps: int = 20_000
    further_steps: int = 10_000
    batch: int = 16
    patch: int = 24
    learning_rate: float = 5e-4
    adversarial: float = 1e-2
    perceptual: float = 1e-2
    noise_sd: float = 4.0


@dataclass(frozen=True)
class NoSignal:
    """Sizes and repeats of `checks.no_signal`.

    cohorts : synthetic cohorts
    side : of their crops, in pixels
    copies : training images per crop
    repeats : splits of each protocol
    permutations : permutations of the labels per cohort, each with as many splits by case
    """

    cohorts: int = 200
    side: int = 64
    copies: int = 10
    repeats: int = 10
    permutations: int = 10


@dataclass(frozen=True)
class Chain:
    """Sizes of `chain.classify_inputs`: filters or super-resolution first, then a classifier.

    network : classifier
    side : of what it sees, in pixels
    copies : training images per crop
    super_resolution : of the generator that each fold trains
    """

    network: str = "mobilenet_v3"
    side: int = 224
    copies: int = 10
    super_resolution: SuperResolution = field(default_factory=SuperResolution)


@dataclass(frozen=True)
class CropSettings:
    """How much of the crops study a profile does (its section `miao2023`); the defaults are those of `paper`.

    crop_side : of the synthetic crops, in pixels
    side : of what a classifier sees, in pixels
    epochs : of every head
    copies : training images per crop
    repeats : splits of each protocol
    fine_tuned : variants that train more than the head (see `networks.VARIANTS`)
    fine_tuned_epochs, fine_tuned_copies : of these variants
    timing_repeats : measurements whose median is shown
    weights : starting weights, see `train.choose_weights`
    """

    crop_side: int = 256
    super_resolution: SuperResolution = field(default_factory=SuperResolution)
    side: int = 224
    epochs: int = 20
    copies: int = 10
    repeats: int = 25
    fine_tuned: tuple[str, ...] = ("last block", "all layers")
    fine_tuned_epochs: int = 20
    fine_tuned_copies: int = 10
    no_signal: NoSignal = field(default_factory=NoSignal)
    chain: Chain = field(default_factory=Chain)
    timing_repeats: int = 5
    weights: Literal["imagenet", "imagenet if cached", "random"] = "imagenet"


class CropSplit(NamedTuple):
    """The images that a head trains on and is tested on, as pairs (crop, copy); copy 0 is the crop itself.

    train : int (n, 2)
    test : int (m, 2)
    labels : bool (crops,), whether each crop counts as ALS
    """

    protocol: str
    number: int
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray

    @property
    def train_crops(self) -> np.ndarray:
        """Numbers of the crops of which some image is in training."""
        return np.unique(self.train[:, 0])

    @property
    def test_crops(self) -> np.ndarray:
        """Numbers of the crops of which some image is tested."""
        return np.unique(self.test[:, 0])


@dataclass(frozen=True)
class Pool:
    """Every image that some split asks for, uint8 (m, side, side, 3), and its (crop, copy), int (m, 2)."""

    images: np.ndarray
    pairs: np.ndarray

    def rows(self, pairs: np.ndarray) -> np.ndarray:
        """Return the rows of these (crop, copy) in the pool. Raises KeyError for a pair that is not in it."""
        row_of = {pair: row for row, pair in enumerate(map(tuple, self.pairs.tolist()))}
        return np.array([row_of[pair] for pair in map(tuple, pairs.tolist())], dtype=np.int64)


def draw_splits(
    labels: np.ndarray,
    cases: np.ndarray,
    protocol: str,
    seed: int,
    *,
    repeats: int,
    copies: int = 10,
    balanced: bool = True,
) -> list[CropSplit]:
    """Draw splits of a protocol with the training images of each.

    labels : bool (n,), True for ALS
    cases : (n,)
    repeats : number of splits; a cross-validation always has five folds
    copies : images per crop on average, itself included; all splits of a protocol train on equally
        many images
    balanced : see `filters.image_counts`; where copies come first, images stay in proportion to crops, as
        in the printed VGG16 log
    """
    labels, cases, every = np.asarray(labels, bool), np.asarray(cases), np.arange(len(labels))
    generator = np.random.default_rng([seed, PROTOCOLS.index(protocol)])
    if protocol == COPIES_FIRST:
        images = _pairs(every, image_counts(labels, copies * len(labels) + 1, balanced=False))
        parts = [
            train_test_split(images, test_size=TEST_SHARE, random_state=_state(generator))
            for _ in range(repeats)
        ]
        return [CropSplit(protocol, number, *part, labels) for number, part in enumerate(parts)]
    if protocol == CROSS_VALIDATED:
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=_state(generator))
        parts = list(folds.split(every, labels, cases))
    elif protocol == BY_CROP:
        parts = [_hold_out(every, labels, generator) for _ in range(repeats)]
    else:
        names, first = np.unique(cases, return_index=True)
        held_out = [_hold_out(names, labels[first], generator) for _ in range(repeats)]
        parts = [tuple(np.flatnonzero(np.isin(cases, part)) for part in pair) for pair in held_out]
    total = copies * round((1 - TEST_SHARE) * len(labels))
    return [
        CropSplit(
            protocol,
            number,
            _pairs(train, image_counts(labels[train], total, balanced)),
            _pairs(np.sort(test), np.ones(len(test), int)),
            labels,
        )
        for number, (train, test) in enumerate(parts)
    ]


def draw_all_splits(
    labels: np.ndarray, cases: np.ndarray, seed: int, *, repeats: int, copies: int
) -> list[CropSplit]:
    """Draw the splits of all four protocols, as `draw_splits` does."""
    sizes = {"repeats": repeats, "copies": copies}
    return [split for each in PROTOCOLS for split in draw_splits(labels, cases, each, seed, **sizes)]


def make_pool(images: np.ndarray, splits: Iterable[CropSplit], side: int, seed: int) -> Pool:
    """Make the images that the splits ask for: copies of the full crops, then reduced to `side` pixels.

    images : uint8 (n, H, H, 3). Copies are the same whichever other images are in the pool.
    """
    pairs = np.unique(np.concatenate([part for s in splits for part in (s.train, s.test)]), axis=0)
    counts = np.array([pairs[pairs[:, 0] == crop, 1].max(initial=0) for crop in range(len(images))])
    copies, sources = affine_copies(images, counts, seed)
    numbers = np.concatenate([np.arange(1, count + 1) for count in counts])
    originals = _pairs(np.arange(len(images)), np.ones(len(images), int))
    made = np.concatenate([originals, np.c_[sources, numbers]])
    return Pool(resized(np.concatenate([images, copies]), side), made)


def _pairs(crops: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pairs (crop, copy) of the first `counts` images of each crop, (sum of counts, 2)."""
    return np.array([(crop, copy) for crop, n in zip(crops, counts, strict=True) for copy in range(n)])


def _hold_out(
    units: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Units (crops or cases) split 70 to 30 within each label, the test part rounded up."""
    return tuple(
        train_test_split(units, test_size=TEST_SHARE, stratify=labels, random_state=_state(generator))
    )


def _state(generator: np.random.Generator) -> int:
    """scikit-learn takes integers for seeds, not generators."""
    return int(generator.integers(2**32))
