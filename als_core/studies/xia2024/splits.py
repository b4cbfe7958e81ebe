"""What the tissue study learns from and is judged on: its splits, and its augmented training set (Xia 2024, 4.2, 4.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split, guard, split_by_image
from als_core.storage import results_folder
from als_core.studies.xia2024.augmentation import FIGURE_5
from als_core.studies.xia2024.augmented_set import AugmentedSet, augmented_set


def published_split(cohort: Cohort, seed: int = 0) -> Split:
    """Return the split of section 4.2.1: by image, stratified by class, 6:2:2. It promises no more than that."""
    split = split_by_image(cohort.labels, np.random.default_rng(seed))
    return guard(split, cohort.groups, cohort.twins, cohort.samples["path"].tolist())


def second_split(cohort: Cohort, seed: int = 0) -> Split:
    """Return the split of section 4.5.2: 80 % for training and 20 % for testing, by image, stratified by class.

    No validation part is named there; the weights of the last epoch count.
    """
    published = published_split(cohort, seed)
    parts = np.where(published.parts == "validation", "train", published.parts)
    return Split("by image, 80/20", "image", parts)


def augmented_training_set(
    cohort: Cohort, split: Split, names: Sequence[str] = FIGURE_5, seed: int = 0
) -> AugmentedSet:
    """Return the training images and an augmented copy of each by every named augmentation (section 4.4), kept once made."""
    images = cohort.images(split.rows("train"))
    return augmented_set(images, names, seed, results_folder() / "augmented")
