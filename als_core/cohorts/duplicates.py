"""Find images that show the same: byte for byte, nearly, turned or mirrored, or shifted over one another.

| kind | found by | cost |
|---|---|---|
| identical | SHA-256 of the file | linear |
| near, in eight orientations | 64-bit perceptual hash, then grey copies, then what is left without the cohort's mean | quadratic, by matrix products |
| overlap | ORB features matched by approximate nearest neighbours, one common shift, then the shared part | `als leaks` only |

The hash is the sign pattern of the lowest 8 x 8 coefficients of a cosine transform (imagehash.phash). Mirroring
an image changes the signs of its odd coefficients and turning it transposes them, so that all eight orientations
follow from one transform.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from scipy.fft import dctn

from als_core.refusal import Problem

# Two micrographs of one slide differ in many of the 64 bits of a perceptual hash (the closest two
# different fields of the Xia release differ in 14); a re-saved, re-compressed or slightly shifted copy
# differs in a few. The correlation of small grey copies then rules out chance agreement of hashes.
NEAR_HASH_BITS = 6
NEAR_CORRELATION = 0.95
# Aligned images of different subjects (brain slices, centred cells) agree in all that is common to the cohort.
# Without the cohort's mean, copies still correlate, and different subjects do not.
NEAR_RESIDUAL = 0.8
CERTAIN_CORRELATION = 0.999  # needs no comparison with the cohort
LEAST_FOR_MEAN = 8  # images; the mean of fewer contains too much of each
THUMBNAIL_SIDE = 32
BLOCK = 256  # images compared at a time: bounds the memory

FEATURES = 400  # per image, for overlaps
OVERLAP_SIDE = 400  # pixels of the grey copy that features are found on
LEAST_MATCHES = 6  # features with one common shift
OVERLAP_CORRELATION = 0.9
LEAST_OVERLAP = 0.05  # of the area; less is too little to compare

# Each orientation as (transposed, rows reversed, columns reversed), applied in this order.
ORIENTATIONS = {
    "": (False, False, False),
    "mirrored": (False, False, True),
    "upside down": (False, True, False),
    "turned by 180°": (False, True, True),
    "mirrored and turned by 90°": (True, False, False),
    "turned by 90°": (True, False, True),
    "turned by 270°": (True, True, False),
    "mirrored and turned by 270°": (True, True, True),
}


@dataclass(frozen=True)
class ImagePair:
    """Two samples (0-based row numbers) whose images show the same. identical: byte for byte. how: in words."""

    first: int
    second: int
    identical: bool
    how: str = ""

    @property
    def nature(self) -> str:
        """How the two are alike, in words."""
        return self.how or ("byte-identical" if self.identical else "nearly identical")


@dataclass(frozen=True)
class Fingerprint:
    """What near-identity is judged on."""

    waves: np.ndarray  # float32 (8, 8), lowest coefficients of the cosine transform
    thumbnail: np.ndarray  # uint8 (THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def fingerprint(picture: Image.Image) -> Fingerprint:
    """Lowest cosine coefficients and thumbnail of an image."""
    grey = picture.convert("L")
    small = grey.resize((32, 32), Image.Resampling.LANCZOS)
    thumbnail = grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    waves = dctn(np.asarray(small, dtype=np.float64))[:8, :8]
    return Fingerprint(waves.astype(np.float32), np.asarray(thumbnail))


def find_twins(digests: Sequence[str], fingerprints: Sequence[Fingerprint | None]) -> tuple[ImagePair, ...]:
    """Pairs of samples whose files are byte-identical or whose images are nearly so, in any orientation.

    Of a set of copies every sample but the first is paired with an earlier one: n - 1 pairs, not n (n - 1) / 2.

    digests: SHA-256 of each file, empty where it could not be read. fingerprints: as `fingerprint` gives them, None where a file could
    not be decoded. An image without contrast has no near twin: nothing tells it from another.
    """
    first_of: dict[str, int] = {}
    pairs = {}
    for number, digest in enumerate(digests):
        if not digest:  # of a file that could not be read
            continue
        first = first_of.setdefault(digest, number)
        if first != number:
            pairs[number] = ImagePair(first, number, True, "byte-identical")
    usable = [
        i for i in first_of.values() if fingerprints[i] is not None and np.ptp(fingerprints[i].thumbnail)
    ]
    if len(usable) > 1:
        for b, (a, how) in _near([fingerprints[i] for i in usable]).items():
            pairs[usable[b]] = ImagePair(usable[a], usable[b], False, how)
    return tuple(sorted(pairs.values(), key=lambda pair: (pair.first, pair.second)))


def copy_sets(pairs: Sequence[ImagePair], count: int) -> list[tuple[int, ...]]:
    """Sets of samples that are copies of one another, directly or through others; rows ascending."""
    root = merge_over_pairs(np.arange(count), pairs)
    sets = defaultdict(list)
    for number in {number for pair in pairs for number in (pair.first, pair.second)}:
        sets[root[number]].append(number)
    return sorted(tuple(sorted(numbers)) for numbers in sets.values())


def merge_over_pairs(units: np.ndarray, pairs: Sequence[ImagePair]) -> np.ndarray:
    """Names of units (n,), where units that are linked by a pair get the name of the first of them."""
    units = np.array(units)
    for pair in pairs:
        first, second = units[pair.first], units[pair.second]
        if first != second:
            units[units == second] = first
    return units


def check_copies(
    table: pd.DataFrame, twins: tuple[ImagePair, ...], accepted: Sequence[str]
) -> tuple[list[Problem], list[int]]:
    """Copies under different labels or groups: the problems, or the rows to leave out where a reader accepts that."""
    problems: list[Problem] = []
    dropped: set[int] = set()
    for rows in copy_sets(twins, len(table)):
        names = [f"{table['path'][row]}, line {row + 2}" for row in rows]
        if table["label"][list(rows)].nunique() > 1:
            check, leave, expected = "ALS019", rows, "one label for copies of one image"
            found, action = "copies with different labels", "leave all of them out"
        elif "group" in table and table["group"][list(rows)].nunique() > 1:
            check, leave, expected = "ALS020", rows[1:], "copies of an image in one group"
            found, action = "copies in different groups", "keep only the first"
        else:
            continue
        if check in accepted:
            dropped |= set(leave)
        else:
            remedy = f"Correct the manifest, or add --accept {check} to {action}."
            place = f"{' and '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            problems.append(Problem(place, found, expected, remedy, check=check))
    return problems, sorted(dropped)


def _near(marks: Sequence[Fingerprint]) -> dict[int, tuple[int, str]]:
    """For each image that is nearly identical to an earlier one: the first such, and how the two are oriented."""
    waves = np.stack([mark.waves for mark in marks])
    thumbnails = np.stack([mark.thumbnail for mark in marks]).astype(np.float32)
    mean = thumbnails.mean(0) if len(marks) >= LEAST_FOR_MEAN else np.zeros_like(thumbnails[0])
    signs = {name: _signs(_turned(waves, way)) for name, way in ORIENTATIONS.items()}
    near = {}
    for start in range(0, len(marks), BLOCK):
        block = signs[""][start : start + BLOCK]
        how = np.full((len(block), len(marks) - start), "", dtype=object)
        same = np.zeros(how.shape, dtype=bool)
        for name, way in ORIENTATIONS.items():
            # 64 - 2 x the number of different bits
            alike = np.triu(block @ signs[name][start:].T >= 64 - 2 * NEAR_HASH_BITS, k=1) & ~same
            columns = np.flatnonzero(alike.any(0))
            if len(columns):
                others = thumbnails[start + columns]
                alike[:, columns] &= _same(thumbnails[start : start + BLOCK], others, mean, way)
                how[alike], same = name, same | alike
        for second in np.flatnonzero(same.any(0)):
            first = int(same[:, second].argmax())
            name = how[first, second]
            near.setdefault(
                start + int(second),
                (start + first, f"nearly identical, {name}" if name else "nearly identical"),
            )
    return near


def _signs(waves: np.ndarray) -> np.ndarray:
    """Perceptual hashes as 1 and -1, float32 (n, 64)."""
    flat = waves.reshape(len(waves), 64)
    return np.where(flat > np.median(flat, axis=1, keepdims=True), 1.0, -1.0).astype(np.float32)


def _same(
    first: np.ndarray, second: np.ndarray, mean: np.ndarray, way: tuple[bool, bool, bool]
) -> np.ndarray:
    """Whether thumbnails (m, H, W) show what others (n, H, W) in an orientation show, bool (m, n)."""
    plain = _correlations(first, _turned(second, way, signs=False))
    if not mean.any():
        return plain >= NEAR_CORRELATION
    left = _correlations(first - mean, _turned(second - mean, way, signs=False))
    return (plain >= CERTAIN_CORRELATION) | ((plain >= NEAR_CORRELATION) & (left >= NEAR_RESIDUAL))


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of each of m images with each of n, (m, n); 0 where one has no contrast."""
    scaled = []
    for images in (first, second):
        flat = images.reshape(len(images), -1)
        flat = flat - flat.mean(1, keepdims=True)
        scaled.append(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6))
    return scaled[0] @ scaled[1].T


def _turned(values: np.ndarray, way: tuple[bool, bool, bool], signs: bool = True) -> np.ndarray:
    """Images (..., H, W) in an orientation; with `signs`, their cosine coefficients."""
    transposed, rows, columns = way
    if transposed:
        values = values.swapaxes(-1, -2)
    if not signs:
        return values[..., :: -1 if rows else 1, :: -1 if columns else 1]
    alternating = (-1.0) ** np.arange(8)
    return values * (alternating[:, None] if rows else 1) * (alternating if columns else 1)


def find_overlaps(
    image: Callable[[int], np.ndarray], count: int, known: Sequence[ImagePair] = ()
) -> tuple[ImagePair, ...]:
    """Pairs of images that show the same place, shifted: tiles that overlap by at least a twentieth.

    image: sample number to uint8 (H, W, 3); each is read twice. Shifts only, no turning: tiles of one scan. known:
    copies; a pair within a set of them is left out.
    """
    orb = cv2.ORB_create(FEATURES, edgeThreshold=15, fastThreshold=7)
    places, descriptors, owners = [], [], []
    for number in range(count):
        found, described = orb.detectAndCompute(_grey(image(number)), None)
        if described is not None:
            places += [point.pt for point in found]
            descriptors.append(described)
            owners += [number] * len(found)
    if len(owners) < 2:
        return ()
    places, owners = np.array(places), np.array(owners)
    described = np.concatenate(descriptors)
    hashing = {"algorithm": 6, "table_number": 6, "key_size": 18, "multi_probe_level": 0}  # 6: by locality
    index = cv2.FlannBasedMatcher(hashing, {"checks": 32})
    shifts: defaultdict[tuple[int, int], list[np.ndarray]] = defaultdict(list)
    for matches in index.knnMatch(described, described, k=4):
        for match in matches:
            a, b = owners[match.queryIdx], owners[match.trainIdx]
            if a < b and match.distance <= 40:
                shifts[a, b].append(places[match.queryIdx] - places[match.trainIdx])
    sets, pairs = merge_over_pairs(np.arange(count), known), []
    for (a, b), moved in sorted(shifts.items()):
        if sets[a] == sets[b]:
            continue
        votes = Counter(tuple(np.round(shift / 4).astype(int)) for shift in moved)
        ((common, _),) = votes.most_common(1)
        close = [shift for shift in moved if np.abs(shift / 4 - common).max() <= 1.5]
        if len(close) >= LEAST_MATCHES and (share := _shared(image, a, b, np.median(close, axis=0))):
            pairs.append(
                ImagePair(int(a), int(b), False, f"the same place in {100 * share:.0f} % of the image")
            )
    return tuple(pairs)


def _grey(pixels: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = OVERLAP_SIDE / max(grey.shape)
    return grey if scale >= 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _shared(image: Callable[[int], np.ndarray], a: int, b: int, shift: np.ndarray) -> float:
    """Share of image a that image b shows too, moved by `shift` pixels (x, y) of the grey copy; 0 if it does not."""
    first, second = _grey(image(a)), _grey(image(b))
    best, share = 0.0, 0.0
    for x in range(round(shift[0]) - 1, round(shift[0]) + 2):
        for y in range(round(shift[1]) - 1, round(shift[1]) + 2):
            one = first[max(y, 0) : second.shape[0] + y, max(x, 0) : second.shape[1] + x]
            two = second[max(-y, 0) :, max(-x, 0) :][: one.shape[0], : one.shape[1]]
            if min(one.shape) > 8 and one.shape == two.shape:
                pair = (each[None].astype(np.float32) for each in (one, two))
                agreement = float(_correlations(*pair)[0, 0])
                if agreement > best:
                    best, share = agreement, one.size / first.size
    return share if best >= OVERLAP_CORRELATION and share >= LEAST_OVERLAP else 0.0
