"""The images a recipe trains on and is judged on, at its size: one a sample, and augmented copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split
from als_core.refusal import Problem
from als_core.training.recipe import Recipe


@dataclass(frozen=True)
class TrainingImages:
    """Images of a cohort at a recipe's size.

    images : uint8 (n, side, side, 3)
        One a sample, in the cohort's order.
    copies : uint8 (m, side, side, 3) or None
        Augmented images.
    copies_of : int (m,) or None
        The sample each copy was made from. Copies of samples outside the training part are never used, so a set of
        copies can serve many splits.
    copies_digest : str
        Of how the copies were made: code and seed.
    """

    images: np.ndarray
    copies: np.ndarray | None = None
    copies_of: np.ndarray | None = None
    copies_digest: str = ""

    @property
    def blocks(self) -> list[np.ndarray]:
        """The images, and the copies where there are any."""
        return [self.images] if self.copies is None else [self.images, self.copies]

    @property
    def samples(self) -> np.ndarray:
        """The sample of each row of the blocks, one after the other."""
        originals = np.arange(len(self.images))
        return originals if self.copies is None else np.concatenate([originals, self.copies_of])

    def training_rows(self, split: Split) -> np.ndarray:
        """Rows of the blocks, one after the other, that show a training sample."""
        return np.flatnonzero(np.isin(self.samples, split.rows("train")))


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Return the central square of uint8 images (n, H, W, 3), as (n, side, side, 3).

    Area means to shrink, bilinear to enlarge. Images that are not square lose what lies outside the square, and are
    not distorted.
    """
    height, width = images.shape[1:3]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    images = images[:, top : top + square, left : left + square]
    if side == square:
        return images
    method = cv2.INTER_AREA if side < square else cv2.INTER_LINEAR
    return np.stack([cv2.resize(image, (side, side), interpolation=method) for image in images])


def shape_errors(images: TrainingImages, recipe: Recipe, cohort: Cohort, split: Split) -> Iterator[Problem]:
    """Yield everything about the images that does not fit recipe, cohort or split."""
    n = len(cohort.labels)
    if len(split.parts) != n:
        yield Problem("split", f"{len(split.parts)} samples", str(n), "Split this cohort.")
        return
    expected = (n, recipe.side, recipe.side, 3)
    if images.images.dtype != np.uint8 or images.images.shape != expected:
        found = f"{images.images.dtype} {images.images.shape}"
        remedy = "Give every sample, resized to the recipe's side."
        yield Problem("images", found, f"uint8 {expected}", remedy)
        return
    wanted, given = recipe.copies * len(split.rows("train")), len(images.training_rows(split))
    if wanted != given:
        remedy = "Give the copies the recipe names, or reduce the recipe to what there is."
        yield Problem("training images", str(given), f"{wanted} ({recipe.copies} a sample)", remedy)
