"""Splits share out samples as they say, and the guard refuses a split that breaks its promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from als_core.cohorts.duplicates import ImagePair
from als_core.cohorts.splits import (
    PARTS,
    Split,
    groups_across,
    guard,
    read_splits,
    split_by_group,
    split_by_image,
    split_leaks,
    split_table,
)
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


@given(st.lists(st.integers(3, 9), min_size=2, max_size=5), st.integers(0, 2**31))
def test_rare_labels_are_in_every_part(sizes, seed):
    """Six images of two labels, or one label with three among many: the smallest that the check lets pass."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = split_by_image(labels, np.random.default_rng(seed)).parts
    for part in PARTS:
        assert set(labels[parts == part]) == set(labels)


def test_a_label_with_two_samples_cannot_be_in_three_parts():
    with pytest.raises(RefusedInput, match="label 1: found 2 samples"):
        split_by_image(np.array([0] * 9 + [1] * 2), np.random.default_rng(0))


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


PARTED = np.array(["train", "train", "validation", "test"])


def test_the_guard_names_groups_and_copies():
    groups = np.array(["a", "b", "b", "c"])
    with pytest.raises(RefusedInput) as caught:
        guard(Split("s", "group", PARTED), groups, [ImagePair(0, 3, True)], ["p0", "p1", "p2", "p3"])
    report = str(caught.value)
    assert "group b: found samples in train and validation" in report
    assert "p0 and p3: found byte-identical images in train and test" in report


def test_the_guard_lets_an_image_split_pass_and_needs_groups_for_the_other():
    split = Split("s", "image", PARTED)
    assert guard(split, None, [ImagePair(0, 3, True)]) is split
    with pytest.raises(RefusedInput, match="no group column"):
        guard(Split("s", "group", PARTED), None)


def test_groups_across_lists_parts_in_order():
    assert groups_across(Split("s", "image", PARTED), np.array(["a", "b", "b", "b"])) == {
        "b": ("train", "validation", "test")
    }


PATHS = ["a.png", "b.png", "c.png", "d.png"]


def test_a_split_is_written_and_read_back(tmp_path):
    split = Split("s", "image", PARTED)
    tables = [split_table(split, PATHS), split_table(Split("s", "image", PARTED[::-1]), PATHS).assign(fold=1)]
    pd.concat(tables).to_csv(tmp_path / "split.csv", index=False)
    first, second = read_splits(tmp_path / "split.csv", PATHS)
    assert first.parts.tolist() == PARTED.tolist() and second.parts.tolist() == PARTED[::-1].tolist()
    assert (first.name, second.name) == ("fold 0", "fold 1")


def test_somebody_else_s_split_may_leave_images_out_and_name_parts_otherwise(tmp_path):
    (tmp_path / "theirs.csv").write_text("Path;Part\na.png;Training\nc.png;val\n")
    (split,) = read_splits(tmp_path / "theirs.csv", PATHS)
    assert split.parts.tolist() == ["train", "", "validation", ""] and split.name == "theirs"


def test_a_path_is_the_same_with_and_without_a_leading_dot(tmp_path):
    (tmp_path / "split.csv").write_text("path,part\n./a.png,train\nb.png,test\n")
    (split,) = read_splits(tmp_path / "split.csv", ["a.png", "./b.png"])
    assert split.parts.tolist() == ["train", "test"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path\na.png\n", "no column `part`"),
        ("path,part\n", "no rows"),
        ("path,part\nz.png,train\n", "path z.png"),
        ("path,part\na.png,holdout\n", "part holdout"),
        ("path,part\na.png,train\na.png,test\n", "a.png again"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(tmp_path, text, words):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(RefusedInput, match=words):
        read_splits(tmp_path / "split.csv", PATHS)


def test_leaks_are_groups_and_copies_in_two_parts():
    pairs = [ImagePair(0, 1, True, "byte-identical"), ImagePair(1, 3, False, "nearly identical, mirrored")]
    leaks = split_leaks(Split("s", "group", PARTED), np.array(["x", "y", "y", "z"]), pairs)
    assert leaks[["kind", "parts", "how"]].to_numpy().tolist() == [
        ["group", ("train", "validation"), "group y"],
        ["copies", ("train", "test"), "nearly identical, mirrored"],
    ]
    assert split_leaks(Split("s", "group", PARTED), None, ()).empty


def test_copies_leak_through_a_set_whose_first_image_is_in_no_part_and_overlaps_pair_by_pair():
    pairs = [ImagePair(0, 1, False, "mirrored"), ImagePair(0, 2, False, "upside down")]
    split = Split("s", "group", np.array(["", "train", "test"]))
    (leak,) = split_leaks(split, None, pairs).itertuples()
    assert (leak.kind, leak.samples, leak.parts) == ("copies", (1, 2), ("train", "test"))
    assert leak.how == "copies of one image"
    assert split_leaks(split, None, (), pairs).empty, "tiles that overlap a third need not overlap each other"
