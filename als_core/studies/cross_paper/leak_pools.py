"""Pools of features of many synthetic donors, from which cohorts for the replay of leaks are sampled.

A pool holds each donor's features without and with the disease, and is computed once. A cohort is a choice of
donors with a label each, so a null cohort costs nothing: with no effect the label has no part in any feature.
Four kinds: fields of tissue (Xia 2024), crops with two per case (Miao), brains at several visits
(Panagiotaras), one row of a table per subject (Turrisi). Sizes are the section `leaks` of a profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from als_core.studies.brains import synthetic as synthetic_brain
from als_core.studies.miao2023 import synthetic as synthetic_crops
from als_core.studies.turrisi2024.feature_table import synthetic_feature_table
from als_core.studies.xia2024 import synthetic as synthetic_tissue
from als_core.studies.xia2024.augmentation import AUGMENTATIONS

KINDS = ("tissue", "crops", "brains", "feature tables")
# Sizes of the disease effect beside none, chosen so that the weak one takes more donors than the studies
# have.
EFFECTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"tissue": (0.7, 2.0), "crops": (0.5, 1.5), "brains": (2.0, 5.0), "feature tables": (1.0, 2.5)}
)
SIGNALS = ("no signal", "weak signal", "strong signal")
COPIES = ("crop", "scale")  # augmentations of Fig. 5 of Xia 2024 whose copies a pool of images holds
QUANTILES = np.linspace(0.02, 0.98, 9)
SCALES = (1, 2, 4)  # pixels between which differences are taken
WIDTH = 100  # random features
BLOCK = 8  # voxels of a brain whose mean is one feature


@dataclass(frozen=True)
class KindAmounts:
    """Donors of one kind: in the pool, in a null cohort, and at each point of the curves."""

    pool: int
    null_cohort: int
    curve: tuple[int, ...]


@dataclass(frozen=True)
class LeakAmounts:
    """Sizes and repeats of the replay of leaks in a profile.

    fields : of a donor's tissue. visits : scans of a patient. side : of tissue and crops, in pixels.
    null_cohorts, curve_cohorts : of each kind, and behind each point of a curve.
    checks : null cohorts of the convolutional network. draws : permutations of the labels of the book's
        cohort.
    jobs : processes.
    """

    tissue: KindAmounts = KindAmounts(140, 15, (9, 15, 30, 60, 120))
    crops: KindAmounts = KindAmounts(140, 26, (13, 26, 60, 120))
    brains: KindAmounts = KindAmounts(140, 20, (8, 20, 60, 120))
    tables: KindAmounts = KindAmounts(760, 120, (60, 120, 300, 654))
    fields: int = 10
    visits: int = 3
    side: int = 96
    null_cohorts: int = 200
    curve_cohorts: int = 60
    checks: int = 40
    draws: int = 100
    jobs: int = 8

    def of(self, kind: str) -> KindAmounts:
        """Look up the amounts of one kind by its name."""
        return {"tissue": self.tissue, "crops": self.crops, "brains": self.brains}.get(kind, self.tables)


@dataclass(frozen=True)
class Samples:
    """A cohort as features.

    features : float64 (n, 1 + copies, F), each sample and its augmented copies.
    positive : bool (n,). groups : int (n,), the donor of each sample.
    """

    features: np.ndarray
    positive: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class FeaturePool:
    """Features of many donors, the same donors at every size of the disease effect.

    features : effect -> float64 (donors, samples of a donor, 1 + copies, F).
    positive_share : of the donors of a cohort, 0 to 1, as in the study the kind stands for.
    donor : what the kind calls a donor.
    """

    kind: str
    features: Mapping[float, np.ndarray]
    positive_share: float
    donor: str

    @property
    def donors(self) -> int:
        return len(self.features[0.0])

    def sample_cohort(self, effect: float, donors: int, rng: np.random.Generator) -> tuple[Samples, Samples]:
        """Sample a cohort of `donors`, and all other donors as new ones, of both labels alike.

        Raises ValueError where fewer than two donors are left.
        """
        if donors > self.donors - 2:
            raise ValueError(f"{donors} of {self.donors} donors leave fewer than two new ones")
        order = rng.permutation(self.donors)
        return (
            self._with_labels(order[:donors], effect, self.positive_share),
            self._with_labels(order[donors:], effect, 0.5),
        )

    def _with_labels(self, donors: np.ndarray, effect: float, share: float) -> Samples:
        positive = np.arange(len(donors)) < round(share * len(donors))
        none, some = self.features[0.0][donors], self.features[effect][donors]
        features = np.where(positive[:, None, None, None], some, none)
        each = features.shape[1]
        numbers = np.repeat(np.arange(len(donors)), each)
        return Samples(features.reshape(-1, *features.shape[2:]), np.repeat(positive, each), numbers)


def feature_pools(amounts: LeakAmounts, seed: int = 0) -> list[FeaturePool]:
    """Compute a pool of each kind, with every size of effect."""
    sizes = {kind: (amounts.of(kind).pool, EFFECTS[kind]) for kind in KINDS}
    return [
        tissue_pool(*sizes["tissue"], amounts.fields, amounts.side, seed, amounts.jobs),
        crop_pool(*sizes["crops"], amounts.side, seed, amounts.jobs),
        brain_pool(*sizes["brains"], amounts.visits, seed, amounts.jobs),
        table_pool(*sizes["feature tables"], seed),
    ]


def tissue_field(effect: float, donor: int, field: int, side: int, seed: int) -> np.ndarray:
    """Draw a field of a donor who has the disease, uint8 (side, side, 3). effect 0 shows no sign of it."""
    parameters = synthetic_tissue.TissueParameters(disease_effect=effect, side=side)
    group = f"donor-{donor:03d}"
    row = SimpleNamespace(path=f"{donor:03d}-{field}", label="concordant", group=group, slide=f"{group}-BA44")
    return synthetic_tissue.render_field(parameters, row, seed)[0]


def null_tissue_images(donors: int, fields: int, side: int, seed: int, jobs: int = 1) -> np.ndarray:
    """Draw fields of donors in none of which the disease shows, uint8 (donors, fields, side, side, 3)."""
    every = ((0.0, donor, field, side, seed) for donor in range(donors) for field in range(fields))
    images = np.stack(_in_parallel(tissue_field, every, jobs))
    return images.reshape(donors, fields, *images.shape[1:])


def tissue_pool(
    donors: int, effects: Sequence[float], fields: int, side: int, seed: int, jobs: int = 1
) -> FeaturePool:
    """Compute fields of one slide per donor, `side` pixels; two of three donors have ALS, as in Xia 2024.

    effects: sizes of the disease effect beside 0; 1 is moderate. jobs: threads.
    """

    def image(effect: float, donor: int, field: int) -> np.ndarray:
        return tissue_field(effect, donor, field, side, seed)

    return FeaturePool("tissue", _of_images(image, donors, fields, effects, jobs), 2 / 3, "donor")


def crop_pool(cases: int, effects: Sequence[float], side: int, seed: int, jobs: int = 1) -> FeaturePool:
    """Compute two crops per case, `side` pixels; 17 of 26 cases have ALS, as listed by Miao et al."""

    def image(effect: float, case: int, crop: int) -> np.ndarray:
        parameters = synthetic_crops.CropParameters(disease_effect=effect, side=side)
        row = SimpleNamespace(path=f"{case:03d}-{crop}", label=synthetic_crops.CASE, group=f"case-{case:03d}")
        return synthetic_crops.render_crop(parameters, row, seed).image

    return FeaturePool("crops", _of_images(image, cases, 2, effects, jobs), 17 / 26, "case")


def brain_pool(patients: int, effects: Sequence[float], visits: int, seed: int, jobs: int = 1) -> FeaturePool:
    """Compute 4 mm scans at several visits; half the patients have Alzheimer's disease (Panagiotaras).

    Features are means over blocks of `BLOCK` voxels a side, where the brain is. No copies: that study has
    none.
    """

    def features(effect: float, patient: int) -> np.ndarray:
        parameters = synthetic_brain.BrainParameters(effect=effect, seed=seed)
        about = {"group": f"P{patient:03d}", "sex": "FM"[patient % 2], "label": "AD", "field_strength": 1.5}
        scans = (pd.Series(about | {"visit": visit, "age": 75.0 + visit}) for visit in range(visits))
        return np.stack([_block_means(synthetic_brain.render(parameters, scan)) for scan in scans])

    every = {
        effect: np.stack(_in_parallel(features, ((effect, p) for p in range(patients)), jobs))
        for effect in (0.0, *effects)
    }
    mean = every[0.0].mean((0, 1))
    inside = {effect: values[:, :, None, mean > 0.1 * mean.max()] for effect, values in every.items()}
    return FeaturePool("brains", inside, 0.5, "patient")


def table_pool(subjects: int, effects: Sequence[float], seed: int, columns: int = 107) -> FeaturePool:
    """Compute one row of `columns` features per subject; 548 of 654 subjects have ALS, as in Turrisi 2024."""
    ill = np.ones(subjects, bool)
    values = {
        effect: synthetic_feature_table(np.random.default_rng(seed), ill, columns, effect).features.to_numpy()
        for effect in (0.0, *effects)
    }
    shaped = {effect: table[:, None, None, :] for effect, table in values.items()}
    return FeaturePool("feature tables", shaped, 548 / 654, "subject")


def image_features(image: np.ndarray) -> np.ndarray:
    """Measure colour and texture of an image: quantiles of each channel, and the spread of its differences.

    image: uint8 (H, W, 3). Returns float64 (36,): for each channel 9 quantiles and the standard deviation of
    differences between pixels 1, 2 and 4 apart. What recognises a stain or a microscope also recognises a
    donor.
    """
    values = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)  # sums over a channel are then faster
    levels = np.quantile(values, QUANTILES, axis=(1, 2)).ravel()
    texture = [(values[..., step:] - values[..., :-step]).std((1, 2)) for step in SCALES]
    return np.concatenate([levels, *texture]).astype(np.float64)


def random_features(values: np.ndarray) -> np.ndarray:
    """Compute rectified random sums of standardised features, float64 (..., WIDTH).

    values: (..., F). A linear model on them can follow bends that it could not on the features themselves.
    Means and spreads are those of all values, the random sums always the same; no label is used.
    """
    flat = values.reshape(-1, values.shape[-1])
    spread = flat.std(0)
    standard = (values - flat.mean(0)) / np.where(spread == 0, 1, spread)
    rng = np.random.default_rng(0)
    sums = rng.standard_normal((values.shape[-1], WIDTH)) / np.sqrt(values.shape[-1])
    return np.maximum(standard @ sums + rng.standard_normal(WIDTH), 0)


def cohort_samples(images: np.ndarray, positive: np.ndarray, groups: np.ndarray, side: int = 100) -> Samples:
    """Describe a cohort's own images (n, H, W, 3), reduced to `side` pixels, as samples without copies."""
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
        views = (drawn, *(AUGMENTATIONS[name](drawn) for name in COPIES))
        return np.stack([image_features(view) for view in views])

    every = ((e, d, n) for e in (0.0, *effects) for d in range(donors) for n in range(each))
    values = random_features(np.stack(_in_parallel(features, every, jobs)))
    shaped = values.reshape(1 + len(effects), donors, each, *values.shape[1:])
    return dict(zip((0.0, *effects), shaped, strict=True))


def _block_means(volume: np.ndarray) -> np.ndarray:
    """Average a volume over blocks; what is left over at the far sides is cut off."""
    x, y, z = (length // BLOCK for length in volume.shape)
    cut = volume[: x * BLOCK, : y * BLOCK, : z * BLOCK]
    return cut.reshape(x, BLOCK, y, BLOCK, z, BLOCK).mean((1, 3, 5)).ravel().astype(np.float64)


def _in_parallel(function: Callable, arguments: Iterator[tuple], jobs: int) -> list:
    return Parallel(n_jobs=jobs, prefer="threads")(delayed(function)(*each) for each in arguments)
