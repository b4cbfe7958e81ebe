"""How sure can an accuracy be? By how many donors, how many images of each, and how alike those are.

Images of one donor are right or wrong together. With correlation r within donors and m images of each, n images
say as much as n / (1 + (m - 1) r) independent ones (Kish 1965), and never more than donors / r of them.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from als_core.statistics.intervals import Interval

MOST_DONORS = 10**7


def design_effect(images_per_donor: float, correlation: float) -> float:
    """By how much clustering multiplies the variance of an accuracy. correlation: 0 to 1, within donors.

    >>> design_effect(images_per_donor=10, correlation=0.5)
    5.5
    """
    if images_per_donor < 1 or not 0 <= correlation <= 1:
        raise ValueError(
            f"{images_per_donor} images a donor, correlation {correlation}: 1 or more, and 0 to 1"
        )
    return 1 + (images_per_donor - 1) * correlation


def effective_size(donors: float, images_per_donor: float, correlation: float) -> float:
    """How many independent images say as much about an accuracy.

    >>> round(effective_size(donors=15, images_per_donor=10, correlation=0.5), 1)
    27.3
    """
    return donors * images_per_donor / design_effect(images_per_donor, correlation)


def accuracy_interval(
    accuracy: float,
    donors: float,
    images_per_donor: float = 1,
    correlation: float = 0.0,
    level: float = 0.95,
) -> Interval:
    """Wilson's interval of an accuracy (0 to 1), at the effective number of images.

    >>> interval = accuracy_interval(34 / 38, donors=38)  # each image from a donor of its own
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.759, 0.958)
    >>> interval = accuracy_interval(34 / 38, donors=15, images_per_donor=38 / 15, correlation=0.5)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.701, 0.969)
    """
    n = effective_size(donors, images_per_donor, correlation)
    z = float(stats.norm.ppf((1 + level) / 2))
    centre = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    name = f"Wilson {100 * level:g} % at {n:.1f} effective images"
    return Interval(max(0.0, centre - half), min(1.0, centre + half), name)


def half_width(
    accuracy: float,
    donors: float,
    images_per_donor: float = 1,
    correlation: float = 0.0,
    level: float = 0.95,
) -> float:
    """Half the width of `accuracy_interval`: how far from the printed accuracy the true one may lie."""
    interval = accuracy_interval(accuracy, donors, images_per_donor, correlation, level)
    return (interval.high - interval.low) / 2


def donors_needed(
    accuracy: float,
    within: float,
    images_per_donor: float = 1,
    correlation: float = 0.0,
    level: float = 0.95,
) -> int:
    """Fewest donors for an interval of at most plus or minus `within`.

    >>> donors_needed(0.9, within=0.05, images_per_donor=10, correlation=0.5)
    78
    >>> donors_needed(0.9, within=0.05, images_per_donor=1000, correlation=0.5)  # images cannot replace donors
    71
    """
    if not 0 < within < 0.5:
        raise ValueError(f"an accuracy known within {within}: above 0, below 0.5")

    def wide(donors: int) -> bool:
        return half_width(accuracy, donors, images_per_donor, correlation, level) > within

    most = 1
    while wide(most):
        most *= 2
        if most > MOST_DONORS:
            raise ValueError(f"more than {MOST_DONORS} donors would be needed")
    least = most // 2  # too few, or 0
    while most - least > 1:
        middle = (most + least) // 2
        least, most = (middle, most) if wide(middle) else (least, middle)
    return most


def donors_to_tell_apart(
    difference: float,
    discordant: float,
    images_per_donor: float = 1,
    correlation: float = 0.0,
    power: float = 0.8,
    level: float = 0.05,
) -> int:
    """Donors for a paired test (McNemar) of two classifiers to find a difference in accuracy.

    difference: of the two accuracies. discordant: share of images that just one of them gets right; at least
    the difference. correlation: within donors, of which of the two is right. By the normal approximation of
    Connor (1987, doi 10.2307/2531961), two-sided, times the design effect.

    >>> donors_to_tell_apart(1 / 38, discordant=5 / 38)
    1489
    """
    if not 0 < difference <= discordant <= 1:
        raise ValueError(
            f"difference {difference}, discordant {discordant}: 0 < difference <= discordant <= 1"
        )
    z_level, z_power = stats.norm.ppf([1 - level / 2, power])
    images = (z_level * discordant**0.5 + z_power * (discordant - difference**2) ** 0.5) ** 2 / difference**2
    return math.ceil(images * design_effect(images_per_donor, correlation) / images_per_donor)


def within_donor_correlation(right: np.ndarray, groups: np.ndarray) -> float:
    """How alike the images of a donor are in being right or wrong: the one-way analysis-of-variance estimate.

    right: bool (n,), each image. groups: (n,) its donor. 1: all alike; 0: as alike as images of different
    donors; below 0 by chance. NaN where it is not defined: all right, all wrong, one donor, or one image of each.

    >>> within_donor_correlation([1, 1, 0, 0], ["a", "a", "b", "b"])
    1.0
    """
    right = np.asarray(right, float)
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    donors, n = len(sizes), len(right)
    if donors < 2 or donors == n:
        return math.nan
    means = np.bincount(number, right) / sizes
    between = (sizes * (means - right.mean()) ** 2).sum() / (donors - 1)
    within = ((right - means[number]) ** 2).sum() / (n - donors)
    size = (n - (sizes**2).sum() / n) / (donors - 1)
    whole = between + (size - 1) * within
    return float((between - within) / whole) if whole > 0 else math.nan


def simulated_accuracies(
    accuracy: float,
    donors: int,
    images_per_donor: int,
    correlation: float,
    cohorts: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Accuracies of simulated cohorts, float64 (cohorts,): each donor has a true accuracy of its own.

    Donors' accuracies follow the beta distribution with this mean in which images correlate as asked
    (correlation 1: every donor is all right or all wrong).
    """
    if correlation == 0:
        each = np.full((cohorts, donors), accuracy)
    elif correlation == 1:
        each = generator.binomial(1, accuracy, (cohorts, donors)).astype(float)
    else:
        weight = 1 / correlation - 1
        each = generator.beta(accuracy * weight, (1 - accuracy) * weight, (cohorts, donors))
    return generator.binomial(images_per_donor, each).sum(1) / (donors * images_per_donor)


def coverage(
    accuracy: float,
    donors: int,
    images_per_donor: int,
    correlation: float,
    assumed: float,
    cohorts: int,
    generator: np.random.Generator,
) -> float:
    """Share of simulated cohorts whose 95 % interval holds the true accuracy, 0 to 1.

    assumed: the correlation the interval is made with; 0 counts every image as independent.
    """
    seen = simulated_accuracies(accuracy, donors, images_per_donor, correlation, cohorts, generator)
    values, number = np.unique(seen, return_inverse=True)
    intervals = [accuracy_interval(value, donors, images_per_donor, assumed) for value in values]
    holds = np.array([one.low <= accuracy <= one.high for one in intervals])
    return float(holds[number].mean())
