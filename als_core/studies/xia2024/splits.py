"""What the tissue study learns from and is judged on: its split, and its augmented training set (Xia 2024, 4.2, 4.4)."""

from __future__ import annotations

import numpy as np

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split, guard, split_by_image
from als_core.storage import results_folder
from als_core.studies.xia2024.augmentation import FIGURE_5
from als_core.studies.xia2024.augmented_set import AugmentedSet, augmented_set


def published_split(cohort: Cohort, seed: int = 0) -> Split:
    """The split of section 4.2.1: by image, stratified by class, 6:2:2. It promises no more than that."""
    split = split_by_image(cohort.labels, np.random.default_rng(seed))
    return guard(split, cohort.groups, cohort.twins, cohort.samples["path"].tolist())


def augmented_training_set(
    cohort: Cohort, split: Split, seed: int = 0, progress: bool = False
) -> AugmentedSet:
    """The training images and their nine augmented copies (section 4.4), made once and kept.

    Only training images are augmented, after the split, so no copy of a test image is learnt from.
    """
    folder = results_folder() / "augmented"
    images = cohort.images(split.rows("train"))
    return augmented_set(images, FIGURE_5, seed, folder, progress)
