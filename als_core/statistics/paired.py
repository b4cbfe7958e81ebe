"""Paired tests of two classifiers on the same samples, and permutation tests over groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Sums of the same numbers in another order differ by rounding; a permuted value this near counts as equal.
_ROUNDING = 1e-12


class McNemar(NamedTuple):
    """Discordant counts and the two-sided exact p value."""

    only_first_right: int
    only_second_right: int
    p_value: float


class PairedPermutation(NamedTuple):
    """Mean difference first - second, and the two-sided p value."""

    difference: float
    p_value: float


def mcnemar_exact(first_right: np.ndarray, second_right: np.ndarray) -> McNemar:
    """Compare two classifiers with the exact McNemar test on the same samples, bool (n,) each.

    Takes samples as independent. p = 1 where the two never differ.
    """
    from scipy.stats import binomtest  # half a second, which `als check` need not wait

    first_right, second_right = _same_length(np.asarray(first_right, bool), np.asarray(second_right, bool))
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    differing = only_first + only_second
    p_value = binomtest(only_first, differing).pvalue if differing else 1.0
    return McNemar(only_first, only_second, float(p_value))


def paired_permutation_over_groups(
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray,
    generator: np.random.Generator,
    permutations: int = 2**16,
) -> PairedPermutation:
    """Test that two scores of the same samples have equal means, exchanging them by whole groups.

    first, second: score of each sample (1 right, 0 wrong, say), (n,). All 2^G sign patterns of G groups are tried
    where they are no more than `permutations` (p is then exact), else that many at random (p = (b + 1) / (n + 1)).
    """
    first, second = _same_length(np.asarray(first, float), np.asarray(second, float))
    names, number = np.unique(groups, return_inverse=True)
    totals = np.bincount(number, weights=first - second) / len(first)
    exact = 2 ** len(names) <= permutations
    if exact:
        flipped = (np.arange(2 ** len(names))[:, None] >> np.arange(len(names))) & 1
    else:
        flipped = generator.integers(0, 2, (permutations, len(names)))
    null = np.abs((1 - 2 * flipped) @ totals)
    difference = float(totals.sum())
    as_far = int((null >= abs(difference) - _ROUNDING).sum())
    p_value = as_far / len(null) if exact else (as_far + 1) / (len(null) + 1)
    return PairedPermutation(difference, p_value)


def permutation_p_value(observed: float, null: np.ndarray) -> float:
    """Return the one-sided p value of a score that is large when there is an effect: (b + 1) / (n + 1).

    b of the n permuted scores reach the observed one (Phipson and Smyth 2010), so p is never 0.
    Raises ValueError for a NaN score, which cannot be ranked.
    """
    null = np.asarray(null, dtype=float)
    if np.isnan(observed) or np.isnan(null).any():
        raise ValueError("an undefined (NaN) score has no place in a permutation test")
    return (int((null >= observed - _ROUNDING).sum()) + 1) / (len(null) + 1)


def permute_labels_over_groups(
    labels: np.ndarray, groups: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Permute labels across whole groups, (n,), keeping the number of groups of each label.

    Groups of unequal size change the number of samples of each label. Raises ValueError where a group has two labels.
    """
    labels, groups = _same_length(np.asarray(labels), np.asarray(groups))
    names, first, number = np.unique(groups, return_index=True, return_inverse=True)
    label_of_group = labels[first]
    torn = names[np.unique(number[label_of_group[number] != labels])]
    if len(torn):
        raise ValueError(f"groups with more than one label: {', '.join(map(str, torn))}")
    return generator.permutation(label_of_group)[number]


def permute_labels(
    labels: np.ndarray, groups: np.ndarray | None, generator: np.random.Generator
) -> np.ndarray:
    """Permute labels over whole groups, within groups that hold several labels, or over samples without groups."""
    if groups is None:
        return generator.permutation(labels)
    if one_label_each(labels, groups):
        return permute_labels_over_groups(labels, groups, generator)
    permuted = labels.copy()
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        permuted[rows] = generator.permutation(labels[rows])
    return permuted


def one_label_each(labels: np.ndarray, units: np.ndarray) -> bool:
    """Whether the samples of every unit have one label."""
    pairs = {(unit, label) for unit, label in zip(units.tolist(), labels.tolist(), strict=True)}
    return len(pairs) == len(set(units.tolist()))


def _same_length(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(
            f"one value of each for the same samples: got shapes {first.shape} and {second.shape}"
        )
    return first, second
