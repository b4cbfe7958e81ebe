"""How sure an accuracy is, given the number of donors, of images of each, and how alike those images are.

Images of one donor are right or wrong together. With correlation r within donors and m images a donor, n images carry
as much information as n / (1 + (m - 1) r) independent ones (Kish 1965), and never more than donors / r.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from als_core.statistics.intervals import Interval

MOST_DONORS = 10**7


def design_effect(images_per_donor: float, correlation: float) -> float:
    """Return the factor by which clustering multiplies the variance of an accuracy.

    images_per_donor: 1 or more. correlation: within donors, 0 to 1. Raises ValueError for other values.

    >>> design_effect(images_per_donor=10, correlation=0.5)
    5.5
    """
    if images_per_donor < 1 or not 0 <= correlation <= 1:
        raise ValueError(
            f"{images_per_donor} images a donor, correlation {correlation}: 1 or more, and 0 to 1"
        )
    return 1 + (images_per_donor - 1) * correlation


def effective_size(donors: float, images_per_donor: float, correlation: float) -> float:
    """Return how many independent images carry as much information about an accuracy.

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
    """Return Wilson's interval of an accuracy (0 to 1) at the effective number of images.

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
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def donors_needed(
    accuracy: float, within: float, images_per_donor: float = 1, correlation: float = 0.0, level: float = 0.95
) -> int:
    """Return the fewest donors for an interval of at most plus or minus `within` (0 to 0.5).

    Raises ValueError for other widths, or where more than MOST_DONORS would be needed.

    >>> donors_needed(0.9, within=0.05, images_per_donor=10, correlation=0.5)
    78
    >>> donors_needed(0.9, within=0.05, images_per_donor=1000, correlation=0.5)  # images cannot replace donors
    71
    """
    if not 0 < within < 0.5:
        raise ValueError(f"an accuracy known within {within}: above 0, below 0.5")

    def is_wide(donors: int) -> bool:
        return accuracy_interval(accuracy, donors, images_per_donor, correlation, level).half_width > within

    most = 1
    while is_wide(most):
        most *= 2
        if most > MOST_DONORS:
            raise ValueError(f"more than {MOST_DONORS} donors would be needed")
    least = most // 2  # too few, or 0
    while most - least > 1:
        middle = (most + least) // 2
        least, most = (middle, most) if is_wide(middle) else (least, middle)
    return most


def donors_to_tell_apart(
    difference: float,
    discordant: float,
    images_per_donor: float = 1,
    correlation: float = 0.0,
    power: float = 0.8,
) -> int:
    """Return the donors that a paired test (McNemar) of two classifiers needs to find a difference in accuracy.

    Two-sided, at the level 0.05, by the normal approximation of Connor (1987, doi 10.2307/2531961), times the
    design effect.

    Parameters
    ----------
    difference : float
        Of the two accuracies.
    discordant : float
        Share of images that exactly one of the two gets right; at least the difference.
    correlation : float
        Within donors, of which of the two is right.

    >>> donors_to_tell_apart(1 / 38, discordant=5 / 38)
    1489
    """
    if not 0 < difference <= discordant <= 1:
        raise ValueError(
            f"difference {difference}, discordant {discordant}: 0 < difference <= discordant <= 1"
        )
    z_level, z_power = stats.norm.ppf([0.975, power])
    images = (z_level * discordant**0.5 + z_power * (discordant - difference**2) ** 0.5) ** 2 / difference**2
    return math.ceil(images * design_effect(images_per_donor, correlation) / images_per_donor)


def within_donor_correlation(right: np.ndarray, groups: np.ndarray) -> float:
    """Estimate how alike the images of a donor are in being right or wrong (one-way analysis of variance).

    right: bool (n,), each image. groups: (n,) its donor. 1 where all are alike, 0 where as alike as images of
    different donors, below 0 by chance. NaN where it is undefined: all right, all wrong, one donor, one image each.

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


def simulate_accuracies(
    accuracy: float,
    donors: int,
    images_per_donor: int,
    correlation: float,
    cohorts: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw the measured accuracies of `cohorts` simulated cohorts, float64 (cohorts,), each donor with its own.

    Donors' accuracies follow the beta distribution with this mean in which images correlate as asked
    (correlation 1: every donor is all right or all wrong).
    """
    each = np.full((cohorts, donors), accuracy)
    if correlation == 1:
        each = generator.binomial(1, each).astype(float)
    elif correlation > 0:
        weight = 1 / correlation - 1
        each = generator.beta(accuracy * weight, (1 - accuracy) * weight, (cohorts, donors))
    return generator.binomial(images_per_donor, each).sum(1) / (donors * images_per_donor)


def coverage(
    measured: np.ndarray, accuracy: float, donors: int, images_per_donor: int, assumed: float
) -> float:
    """Return the share of cohorts whose 95 % interval contains the true accuracy, 0 to 1.

    measured: accuracy of each cohort, (cohorts,). assumed: the correlation within donors that the interval is made
    with; 0 takes every image as independent.
    """
    values, number = np.unique(measured, return_inverse=True)
    intervals = [accuracy_interval(value, donors, images_per_donor, assumed) for value in values]
    contains = np.array([one.low <= accuracy <= one.high for one in intervals])
    return float(contains[number].mean())
