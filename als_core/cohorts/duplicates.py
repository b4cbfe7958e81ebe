"""Images that are the same, byte for byte or nearly, which no honest split may put on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import imagehash
import numpy as np
from PIL import Image

# Two micrographs of one slide differ in many of the 64 bits of a perceptual hash (the closest two
# different fields of the Xia release differ in 14); a re-saved, re-compressed or slightly shifted copy
# differs in a few. The correlation of small grey copies then rules out chance agreement of hashes.
NEAR_HASH_BITS = 6
NEAR_CORRELATION = 0.95
THUMBNAIL_SIDE = 32


@dataclass(frozen=True)
class ImagePair:
    """Two samples (0-based row numbers) whose images are the same, and how nearly."""

    first: int
    second: int
    identical: bool


@dataclass(frozen=True)
class Fingerprint:
    """What near-identity is judged on: 64 hash bits and a grey thumbnail."""

    bits: np.ndarray  # bool (64,)
    thumbnail: np.ndarray  # float32 (THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def fingerprint(picture: Image.Image) -> Fingerprint:
    """Perceptual hash (discrete cosine transform) and thumbnail of an image."""
    grey = picture.convert("L")
    thumbnail = grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return Fingerprint(imagehash.phash(grey).hash.ravel(), np.asarray(thumbnail, dtype=np.float32))


def find_twins(digests: Sequence[str], fingerprints: Sequence[Fingerprint | None]) -> tuple[ImagePair, ...]:
    """Pairs of samples whose files are byte-identical or whose images are nearly so.

    digests: SHA-256 of each file. fingerprints: as `fingerprint` gives them, None where a file could
    not be decoded. An image without contrast has no near twin: nothing tells it from another.
    """
    usable = [i for i, mark in enumerate(fingerprints) if mark is not None]
    near: set[tuple[int, int]] = set()
    if len(usable) > 1:
        bits = np.stack([fingerprints[i].bits for i in usable]).astype(np.float32)
        distance = bits @ (1 - bits).T
        distance = distance + distance.T
        for a, b in np.argwhere(np.triu(distance <= NEAR_HASH_BITS, k=1)):
            first, second = fingerprints[usable[a]].thumbnail, fingerprints[usable[b]].thumbnail
            if first.std() > 0 and second.std() > 0:
                correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
                if correlation >= NEAR_CORRELATION:
                    near.add((usable[a], usable[b]))
    by_digest: dict[str, list[int]] = {}
    for number, digest in enumerate(digests):
        by_digest.setdefault(digest, []).append(number)
    same = {pair for numbers in by_digest.values() for pair in combinations(numbers, 2)}
    return tuple(ImagePair(a, b, (a, b) in same) for a, b in sorted(near | same))
