"""Copies are found in every orientation, different images are not, and overlapping tiles are found by matching."""

from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from own_data import texture
from PIL import Image
from scipy.ndimage import gaussian_filter

from als_core.cohorts.duplicates import (
    ORIENTATIONS,
    ImagePair,
    copy_sets,
    find_overlaps,
    find_twins,
    fingerprint,
    merge_over_pairs,
)

TURNS = {
    "": None,
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "upside down": Image.Transpose.FLIP_TOP_BOTTOM,
    "turned by 180°": Image.Transpose.ROTATE_180,
    "turned by 90°": Image.Transpose.ROTATE_90,
    "turned by 270°": Image.Transpose.ROTATE_270,
    "mirrored and turned by 90°": Image.Transpose.TRANSPOSE,
    "mirrored and turned by 270°": Image.Transpose.TRANSVERSE,
}


def saved_again(picture: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=70)
    return Image.open(stream).convert("RGB")


def twins(pictures: list[Image.Image]) -> tuple[ImagePair, ...]:
    return find_twins(
        [str(number) for number in range(len(pictures))], [fingerprint(each) for each in pictures]
    )


def test_the_signs_of_the_coefficients_are_the_perceptual_hash():
    picture = Image.fromarray(texture(0, 96))
    waves = fingerprint(picture).waves
    np.testing.assert_array_equal(waves > np.median(waves), imagehash.phash(picture).hash)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_copy_saved_again_is_found_in_every_orientation(orientation):
    pictures = [Image.fromarray(texture(number, 96)) for number in range(12)]
    turned = pictures[4] if TURNS[orientation] is None else pictures[4].transpose(TURNS[orientation])
    (pair,) = twins([*pictures, saved_again(turned)])
    assert (pair.first, pair.second, pair.identical) == (4, 12, False)
    assert pair.how == f"nearly identical{', ' if orientation else ''}{orientation}"


def aligned_slice(subject: int, side: int = 96) -> np.ndarray:
    """A slice through an aligned head: coarse anatomy is common to all subjects, finer folds are the subject's own."""
    common = gaussian_filter(np.random.default_rng(99).normal(size=(side, side)), 7)
    own = gaussian_filter(np.random.default_rng(subject).normal(size=(side, side)), 2)
    grey = (128 + 50 * common / common.std() + 10 * own / own.std()).clip(0, 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def test_aligned_slices_of_different_people_are_no_copies_and_a_copy_among_them_is():
    pictures = [Image.fromarray(aligned_slice(subject)) for subject in range(12)]
    hashes = [imagehash.phash(each) for each in pictures]
    grey = np.stack([fingerprint(each).thumbnail.ravel() for each in pictures]).astype(float)
    close = [
        (a, b)
        for a in range(12)
        for b in range(a + 1, 12)
        if hashes[a] - hashes[b] <= 6 and np.corrcoef(grey[a], grey[b])[0, 1] > 0.95
    ]
    assert close, "the anatomy alone would make copies of them"
    assert twins(pictures) == ()
    (pair,) = twins([*pictures, saved_again(pictures[3])])
    assert (pair.first, pair.second) == (3, 12)


def test_twenty_copies_are_one_set_and_nineteen_pairs():
    marks = [fingerprint(Image.fromarray(texture(0)))] * 20
    pairs = find_twins(["same"] * 20, marks)
    assert len(pairs) == 19 and copy_sets(pairs, 24) == [tuple(range(20))]
    again = twins([saved_again(Image.fromarray(texture(0)))] * 3 + [Image.fromarray(texture(1))])
    assert copy_sets(again, 4) == [(0, 1, 2)]


def test_units_linked_by_copies_become_one():
    pairs = [ImagePair(0, 3, True), ImagePair(2, 4, False)]
    units = merge_over_pairs(np.array(["a", "a", "b", "b", "c"]), pairs)
    assert units.tolist() == ["a"] * 5


def test_tiles_that_overlap_are_found_and_others_are_not():
    scans = [texture(number, 500) for number in range(6)]
    tiles = [scan[top : top + 300, left : left + 300] for scan in scans for top, left in ((0, 0), (60, 150))]
    pairs = find_overlaps(lambda number: np.ascontiguousarray(tiles[number]), len(tiles))
    assert [(pair.first, pair.second) for pair in pairs] == [
        (number, number + 1) for number in range(0, 12, 2)
    ]
    assert all(pair.how == "the same place in 40 % of the image" for pair in pairs)
    known = find_overlaps(lambda number: np.ascontiguousarray(tiles[number]), len(tiles), pairs[:2])
    assert known == pairs[2:]
    first, second = pairs[0].second, pairs[1].second  # of one set, though no pair names the two together
    linked = [ImagePair(pairs[0].first, second, True), ImagePair(first, second, True)]
    known = find_overlaps(lambda number: np.ascontiguousarray(tiles[number]), len(tiles), linked)
    assert known == pairs[1:]
    apart = [scan[:240, :240] for scan in scans] + [scan[250:490, 250:490] for scan in scans]
    assert find_overlaps(lambda number: np.ascontiguousarray(apart[number]), len(apart)) == ()


def test_files_that_could_not_be_read_are_no_copies_of_one_another():
    assert find_twins(["", "", "a", "a"], [None] * 4) == (ImagePair(2, 3, True, "byte-identical"),)
