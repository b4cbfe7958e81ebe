"""What leaks are replayed on: banks of features of many synthetic donors, each drawn without and with the disease.

A bank is computed once. Cohorts are dealt from it by choosing donors and giving each a label, so a null cohort
costs nothing: with no effect the label has no part in any feature. Four kinds: fields of tissue (Xia 2024),
crops with two of a case (Miao), brains at several visits (Panagiotaras), one row of a table a subject (Turrisi).
Models on them are linear; what a network would add is left to a cross-check (`convolutional_check`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from als_core.studies.brains import synthetic as synthetic_brain
from als_core.studies.miao2023 import synthetic as synthetic_crops
from als_core.studies.turrisi2024.feature_table import synthetic_feature_table
from als_core.studies.xia2024 import synthetic as synthetic_tissue
from als_core.studies.xia2024.augmentation import AUGMENTATIONS

COPIES = ("crop", "scale")
"""Augmentations whose copies a bank of images holds, by name in `images.augmentation`; both of Fig. 5 of Xia 2024."""
QUANTILES = np.linspace(0.02, 0.98, 9)
SCALES = (1, 2, 4)  # pixels between which differences are taken
WIDTH = 100  # random features
BLOCK = 8  # voxels of a brain whose mean is one feature


@dataclass(frozen=True)
class Samples:
    """A cohort as features.

    features: float64 (n, 1 + copies, F), each sample and its augmented copies. positive: bool (n,).
    groups: int (n,), the donor of each sample.
    """

    features: np.ndarray
    positive: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Bank:
    """Features of many donors, the same donors at every size of the disease effect.

    features: effect -> float64 (donors, samples of a donor, 1 + copies, F). positive_share: of the donors of a
    cohort, 0 to 1, as in the study the kind stands for. donor: what the kind calls a donor.
    """

    kind: str
    features: Mapping[float, np.ndarray]
    positive_share: float
    donor: str

    @property
    def donors(self) -> int:
        return len(self.features[0.0])

    def deal(self, effect: float, donors: int, rng: np.random.Generator) -> tuple[Samples, Samples]:
        """A cohort of `donors`, and all other donors of the bank as fresh ones, of both labels alike.

        Raises ValueError where fewer than two donors are left.
        """
        if donors > self.donors - 2:
            raise ValueError(f"{donors} of {self.donors} donors leave fewer than two fresh ones")
        order = rng.permutation(self.donors)
        return (
            self._labelled(order[:donors], effect, self.positive_share),
            self._labelled(order[donors:], effect, 0.5),
        )

    def _labelled(self, donors: np.ndarray, effect: float, share: float) -> Samples:
        positive = np.arange(len(donors)) < round(share * len(donors))
        features = np.where(
            positive[:, None, None, None], self.features[effect][donors], self.features[0.0][donors]
        )
        each = features.shape[1]
        return Samples(
            features.reshape(-1, *features.shape[2:]),
            np.repeat(positive, each),
            np.repeat(np.arange(len(donors)), each),
        )


def tissue_field(effect: float, donor: int, field: int, side: int, seed: int) -> np.ndarray:
    """One field of one slide of a donor who has the disease, uint8 (side, side, 3). effect: 0 shows no sign of it."""
    parameters = synthetic_tissue.TissueParameters(disease_effect=effect, side=side)
    group = f"donor-{donor:03d}"
    row = SimpleNamespace(path=f"{donor:03d}-{field}", label="concordant", group=group, slide=f"{group}-BA44")
    return synthetic_tissue.render_field(parameters, row, seed)[0]


def null_tissue_images(donors: int, fields: int, side: int, seed: int, jobs: int = 1) -> np.ndarray:
    """Fields of donors in none of which the disease shows, uint8 (donors, fields, side, side, 3)."""
    every = ((0.0, donor, field, side, seed) for donor in range(donors) for field in range(fields))
    images = np.stack(_in_parallel(tissue_field, every, jobs))
    return images.reshape(donors, fields, *images.shape[1:])


def tissue_bank(
    donors: int, fields: int, effects: Sequence[float], side: int, seed: int, jobs: int = 1
) -> Bank:
    """Fields of one slide a donor, `side` pixels; two of three donors have ALS, as in Xia 2024.

    effects: sizes of the disease effect beside 0; 1 is moderate. jobs: threads.
    """

    def image(effect: float, donor: int, field: int) -> np.ndarray:
        return tissue_field(effect, donor, field, side, seed)

    return Bank("tissue", _of_images(image, donors, fields, effects, jobs), 2 / 3, "donor")


def crop_bank(cases: int, effects: Sequence[float], side: int, seed: int, jobs: int = 1) -> Bank:
    """Two crops a case, `side` pixels; 17 of 26 cases have ALS, as listed by Miao et al."""

    def image(effect: float, case: int, crop: int) -> np.ndarray:
        parameters = synthetic_crops.CropParameters(disease_effect=effect, side=side)
        row = SimpleNamespace(path=f"{case:03d}-{crop}", label=synthetic_crops.CASE, group=f"case-{case:03d}")
        return synthetic_crops.render_crop(parameters, row, seed).image

    return Bank("crops", _of_images(image, cases, 2, effects, jobs), 17 / 26, "case")


def brain_bank(patients: int, visits: int, effects: Sequence[float], seed: int, jobs: int = 1) -> Bank:
    """Scans of 4 mm at several visits a patient; half have Alzheimer's disease, as on the slides of Panagiotaras.

    Features are means over blocks of `BLOCK` voxels a side, where the brain is. No copies: that study has none.
    """

    def features(effect: float, patient: int) -> np.ndarray:
        parameters = synthetic_brain.BrainParameters(effect=effect, seed=seed)
        table = pd.DataFrame(
            {"group": f"P{patient:03d}", "visit": range(visits), "age": 75.0 + np.arange(visits), "sex": "FM"[patient % 2],
             "label": "AD", "field_strength": 1.5}
        )  # fmt: skip
        return np.stack([_blocks(synthetic_brain.render(parameters, row)) for _, row in table.iterrows()])

    every = {effect: np.stack(_in_parallel(features, ((effect, p) for p in range(patients)), jobs))
             for effect in (0.0, *effects)}  # fmt: skip
    inside = every[0.0].mean((0, 1)) > 0.1 * every[0.0].mean((0, 1)).max()
    return Bank(
        "brains", {effect: values[:, :, None, inside] for effect, values in every.items()}, 0.5, "patient"
    )


def table_bank(subjects: int, effects: Sequence[float], seed: int, columns: int = 107) -> Bank:
    """One row of `columns` features a subject; 548 of 654 subjects have ALS, as in Turrisi 2024."""
    people = pd.DataFrame(
        {"subject": range(subjects), "label": "ALS", "age": np.linspace(40, 80, subjects), "sex": "F"}
    )
    features = {
        effect: synthetic_feature_table(
            np.random.default_rng(seed), people, columns, effect
        ).features.to_numpy()
        for effect in (0.0, *effects)
    }
    return Bank(
        "feature tables",
        {e: values[:, None, None, :] for e, values in features.items()},
        548 / 654,
        "subject",
    )


def image_features(image: np.ndarray) -> np.ndarray:
    """Colour and texture of an image as numbers: quantiles of each channel, and the spread of its differences.

    image: uint8 (H, W, 3). Returns float64 (36,): for each channel 9 quantiles and the standard deviation of
    differences between pixels 1, 2 and 4 apart. What recognises a stain or a microscope also recognises a donor.
    """
    values = image.astype(np.float32)
    levels = np.quantile(values, QUANTILES, axis=(0, 1)).ravel()
    texture = [(values[:, step:] - values[:, :-step]).std((0, 1)) for step in SCALES]
    return np.concatenate([levels, *texture]).astype(np.float64)


def random_features(values: np.ndarray, width: int = WIDTH) -> np.ndarray:
    """Rectified random sums of standardised features, float64 (..., width): what the untrained layers of a network give.

    values: (..., F). A linear model on them can follow bends that it could not on the features themselves. Means
    and spreads are those of all values, the random sums always the same; no label is looked at.
    """
    flat = values.reshape(-1, values.shape[-1])
    spread = flat.std(0)
    standard = (values - flat.mean(0)) / np.where(spread == 0, 1, spread)
    rng = np.random.default_rng(0)
    sums = rng.standard_normal((values.shape[-1], width)) / np.sqrt(values.shape[-1])
    return np.maximum(standard @ sums + rng.standard_normal(width), 0)


def cohort_samples(images: np.ndarray, positive: np.ndarray, groups: np.ndarray, side: int = 100) -> Samples:
    """A cohort's own images (n, H, W, 3), reduced to `side` pixels, as samples without copies."""
    small = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    features = random_features(np.stack([image_features(image) for image in small]))
    _, number = np.unique(groups, return_inverse=True)
    return Samples(features[:, None], np.asarray(positive, bool), number)


def _of_images(
    image: Callable[[float, int, int], np.ndarray],
    donors: int,
    each: int,
    effects: Sequence[float],
    jobs: int,
) -> dict[float, np.ndarray]:
    def features(effect: float, donor: int, number: int) -> np.ndarray:
        drawn = image(effect, donor, number)
        return np.stack(
            [image_features(view) for view in (drawn, *(AUGMENTATIONS[name](drawn) for name in COPIES))]
        )

    def every() -> Iterator[tuple[float, int, int]]:
        return ((e, d, n) for e in (0.0, *effects) for d in range(donors) for n in range(each))

    values = random_features(np.stack(_in_parallel(features, every(), jobs)))
    shaped = values.reshape(1 + len(effects), donors, each, *values.shape[1:])
    return dict(zip((0.0, *effects), shaped, strict=True))


def _blocks(volume: np.ndarray) -> np.ndarray:
    """Means over blocks of a volume; what is left over at the far sides is cut off."""
    sides = [length // BLOCK for length in volume.shape]
    cut = volume[tuple(slice(0, side * BLOCK) for side in sides)]
    x, y, z = sides
    return cut.reshape(x, BLOCK, y, BLOCK, z, BLOCK).mean((1, 3, 5)).ravel().astype(np.float64)


def _in_parallel(function: Callable, arguments: Iterator[tuple], jobs: int) -> list:
    return Parallel(n_jobs=jobs, prefer="threads")(delayed(function)(*each) for each in arguments)
