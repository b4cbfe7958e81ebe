"""Splits share out samples as they say, and the guard refuses a split that breaks its promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_core.cohorts.duplicates import ImagePair
from als_core.cohorts.splits import PARTS, Split, groups_across, guard, split_by_group, split_by_image
from als_core.refusal import RefusedInput


def test_the_published_division():
    labels = np.repeat([0, 1, 2], [60, 70, 60])
    split = split_by_image(labels, np.random.default_rng(0))
    assert {part: len(split.rows(part)) for part in PARTS} == {"train": 114, "validation": 38, "test": 38}
    assert np.bincount(labels[split.rows("test")]).tolist() == [12, 14, 12]


@given(st.lists(st.integers(5, 40), min_size=2, max_size=4), st.integers(0, 2**31))
def test_every_sample_is_in_one_part_and_every_label_in_all(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    split = split_by_image(labels, np.random.default_rng(seed))
    assert sorted(np.concatenate([split.rows(part) for part in PARTS])) == list(range(len(labels)))
    for part in PARTS:
        counts = np.bincount(labels[split.rows(part)], minlength=len(sizes))
        expected = np.array(sizes) * len(split.rows(part)) / len(labels)
        assert (np.abs(counts - expected) < 2).all()  # two draws, each rounded by less than one


@given(st.integers(0, 2**31), st.integers(3, 6), st.integers(1, 5))
def test_no_group_is_split(seed, groups_per_class, fields):
    groups = np.repeat([f"{c}{g}" for c in range(3) for g in range(groups_per_class)], fields)
    labels = np.repeat(np.arange(3), groups_per_class * fields)
    split = guard(split_by_group(labels, groups, np.random.default_rng(seed)), groups)
    assert groups_across(split, groups) == {}
    for part in PARTS:
        assert set(labels[split.rows(part)]) == {0, 1, 2}


def test_equal_generators_give_equal_splits():
    labels = np.repeat([0, 1], 20)
    first, again, other = (split_by_image(labels, np.random.default_rng(seed)).parts for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_too_few_groups_are_refused_by_name():
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array(["a", "b", "c", "d", "d", "e"])
    with pytest.raises(RefusedInput, match="label 1: found 2 group"):
        split_by_group(labels, groups, np.random.default_rng(0))


def test_shares_must_sum_to_one():
    with pytest.raises(ValueError, match="sum to 1"):
        split_by_image(np.repeat([0, 1], 20), np.random.default_rng(0), (0.6, 0.2, 0.3))


PARTED = np.array(["train", "train", "validation", "test"])


def test_the_guard_names_groups_and_copies():
    groups = np.array(["a", "b", "b", "c"])
    with pytest.raises(RefusedInput) as caught:
        guard(Split("s", "group", PARTED), groups, [ImagePair(0, 3, True)], ["p0", "p1", "p2", "p3"])
    report = str(caught.value)
    assert "group b: found samples in train and validation" in report
    assert "p0 and p3: found identical images in train and test" in report


def test_the_guard_lets_an_image_split_pass_and_needs_groups_for_the_other():
    split = Split("s", "image", PARTED)
    assert guard(split, None, [ImagePair(0, 3, True)]) is split
    with pytest.raises(RefusedInput, match="no group column"):
        guard(Split("s", "group", PARTED), None)


def test_groups_across_lists_parts_in_order():
    assert groups_across(Split("s", "image", PARTED), np.array(["a", "b", "b", "b"])) == {
        "b": ("train", "validation", "test")
    }
