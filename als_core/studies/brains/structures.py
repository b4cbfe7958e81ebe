"""How many patients and scans, of which age and sex: the published margins synthetic cohorts are drawn to.

Every number here is an input, taken from the papers' own tables; none may be counted as a reproduced result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtri


@dataclass(frozen=True)
class Ages:
    """Published summary of ages in years. bands: counts below 60, from 60 to 75, above 75, if printed."""

    mean: float
    sd: float
    least: float
    most: float
    median: float | None = None
    bands: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Arm:
    """The patients of one label.

    parts: for each part of the published fixed split its patients and scans. diagnoses: patients of each.
    men: their number, or None where it is not printed (then half).
    """

    label: str
    parts: dict[str, tuple[int, int]]
    diagnoses: dict[str, int]
    ages: Ages
    men: int | None = None

    @property
    def patients(self) -> int:
        return sum(patients for patients, _ in self.parts.values())


@dataclass(frozen=True)
class Structure:
    """A published cohort's margins. field_strength in tesla."""

    field_strength: float
    arms: tuple[Arm, ...]


# The slides print no ages; these are of the size usual in ADNI, and equal for both labels.
_ADNI_AGES = Ages(mean=75, sd=7, least=55, most=91)

STRUCTURES: dict[str, Structure] = {
    # Panagiotaras, "Data statistics for 1.5T images": 969 scans of 344 patients
    "panagiotaras-1.5T": Structure(
        1.5,
        (
            Arm("AD", {"train": (163, 399), "validation": (30, 76)}, {"AD": 193}, _ADNI_AGES),
            Arm("CN", {"train": (121, 395), "validation": (30, 99)}, {"CN": 151}, _ADNI_AGES),
        ),
    ),
    # Panagiotaras, "Data statistics for 3T images": 180 scans of 65 patients
    "panagiotaras-3T": Structure(
        3.0,
        (
            Arm("AD", {"train": (17, 48), "validation": (20, 40)}, {"AD": 37}, _ADNI_AGES),
            Arm("CN", {"train": (8, 25), "validation": (20, 67)}, {"CN": 28}, _ADNI_AGES),
        ),
    ),
    # Turrisi et al. 2024, sections 2.1 and 3.1.1, Table 1 (patients): 654 scans, one a patient
    "turrisi2024": Structure(
        1.5,
        (
            Arm(
                "ALS",
                {"all": (548, 548)},
                {"amyotrophic lateral sclerosis": 548},
                Ages(mean=64, sd=12, least=20, most=95, median=65, bands=(171, 293, 84)),
                men=318,
            ),
            Arm(
                "mimicking",
                {"all": (106, 106)},
                {
                    "cervical spondylotic myelopathy": 62,
                    "myasthenia gravis": 28,
                    "monomelic amyotrophy (Hirayama)": 10,
                    "peripheral motor neuropathy": 6,
                },
                Ages(mean=60, sd=15, least=17, most=85, median=62, bands=(42, 50, 14)),
                men=72,
            ),
        ),
    ),
}


def ages_of(ages: Ages, count: int) -> np.ndarray:
    """Ages in years, float64 (count,), ascending, that have the published summary.

    Without bands: normal quantiles, cut at the published range. With bands (whose sum must be `count`):
    the counts of each band, median, least and most are met, and a power-law tail at either end is bent
    until mean and sd are met too; rounded to 0.1 year.
    """
    if ages.bands is None:
        quantiles = ages.mean + ages.sd * ndtri((np.arange(count) + 0.5) / count)
        return np.round(np.clip(quantiles, ages.least, ages.most), 1)
    young, middle, old = ages.bands

    def drawn(powers: np.ndarray) -> np.ndarray:
        below = 59.9 - (59.9 - ages.least) * np.linspace(1, 0, young, endpoint=False) ** powers[0]
        ranks = np.arange(young, young + middle) + 0.5
        between = np.interp(ranks, [young, count / 2, young + middle], [60, ages.median, 75])
        above = 75.1 + (ages.most - 75.1) * np.linspace(1, 0, old, endpoint=False)[::-1] ** powers[1]
        return np.concatenate([below, between, above])

    def missed(powers: np.ndarray) -> list[float]:
        found = drawn(powers)
        return [found.mean() - ages.mean, found.std(ddof=1) - ages.sd]

    return np.round(drawn(least_squares(missed, [3.0, 3.0], bounds=(0.1, 20)).x), 1)


def thinned(values: np.ndarray, count: int) -> np.ndarray:
    """`count` of the values, evenly spaced over their order: a reduced margin with the same shares."""
    return values[((np.arange(count) + 0.5) * len(values) / count).astype(int)]
