"""Reading a microscopy crop from a file as one grey image, or saying why it cannot be read.

Microscopes save 8, 12 or 16 bits, one channel or several, as colours or as pages of a TIFF. What can be read
one way only is read that way; what could be read in several, or shows nothing, is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from als_core.refusal import Problem, RefusedInput

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras record; 10 to 14 come in files of 16."""
MOST_TRIMMED = 0.2  # of the longer side; a crop further from square would lose what it shows
SMALLEST_SIDE = 32  # pixels; the networks' own limit


def read_channel(path: Path | str, channel: int | None = None) -> np.ndarray:
    """One channel of an image file as it is stored: uint8 or uint16 (H, W).

    channel: its number from 0, in the order red, green, blue or of the pages; needed where more than one
    holds something and they differ. A full alpha channel and empty channels do not count.
    Raises RefusedInput naming the file and the reason.
    """
    channels = _channels(Path(path))
    if channel is not None:
        if not 0 <= channel < len(channels):
            raise _refused(path, f"{len(channels)} channels", f"a channel {channel}", "Correct the number.")
        chosen = channels[channel]
    else:
        filled = [each for each in channels if each.any()]
        if any(not np.array_equal(filled[0], each) for each in filled[1:]):
            means = ", ".join(f"{number}: {each.mean():.0f}" for number, each in enumerate(channels))
            found = f"{len(filled)} channels that differ (means {means})"
            raise _refused(path, found, "one channel, or the number of one", "Say which channel is TDP-43.")
        chosen = filled[0] if filled else channels[0]
    if chosen.min() == chosen.max():
        remedy = "Export it again, or drop it."
        raise _refused(path, f"{chosen.max()} in every pixel", "an image that shows something", remedy)
    return np.ascontiguousarray(chosen)


def bit_depth(crops: Sequence[np.ndarray]) -> int:
    """The smallest of `DEPTHS` that holds every value of all crops, which must be from one camera."""
    largest = max(int(crop.max()) for crop in crops)
    return next(bits for bits in DEPTHS if largest < 2**bits)


def to_8_bits(crop: np.ndarray, bits: int) -> np.ndarray:
    """A crop of `bits` bits as uint8. Brightness relative to other crops of the same depth is kept."""
    if crop.max() >= 2**bits:
        raise ValueError(f"a value of {crop.max()} does not fit in {bits} bits")
    return crop if crop.dtype == np.uint8 else (crop >> max(bits - 8, 0)).astype(np.uint8)


def centre_square(crop: np.ndarray) -> np.ndarray:
    """The largest centred square of a crop (H, W, ...).

    Raises ValueError where that would cut off more than `MOST_TRIMMED` of the longer side, or leave fewer
    than `SMALLEST_SIDE` pixels.
    """
    height, width = crop.shape[:2]
    side = min(height, width)
    if side < (1 - MOST_TRIMMED) * max(height, width):
        raise ValueError(f"{width} x {height} pixels, too far from a square")
    if side < SMALLEST_SIDE:
        raise ValueError(f"{width} x {height} pixels, fewer than {SMALLEST_SIDE} a side")
    top, left = (height - side) // 2, (width - side) // 2
    return crop[top : top + side, left : left + side]


def _channels(path: Path) -> list[np.ndarray]:
    """Every channel of every page of a file, (H, W) each, colours in the order red, green, blue."""
    if not path.is_file():
        raise _refused(path, "no such file", "an image file", "Correct the path, or add the file.")
    try:
        _, pages = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # more pixels than OpenCV will allot
        raise _refused(
            path, f"a file that OpenCV refuses ({error.err})", "a crop", "Export it again."
        ) from error
    if not pages:
        raise _refused(path, "bytes that do not decode", "a PNG, TIFF or JPEG image", "Export it again.")
    channels: list[np.ndarray] = []
    for page in pages:
        layers = list(np.moveaxis(page, 2, 0)) if page.ndim == 3 else [page]
        if len(layers) == 4 and (layers[3] == np.iinfo(page.dtype).max).all():
            layers.pop()  # alpha, opaque everywhere
        channels += layers[2::-1] + layers[3:]  # OpenCV has blue first
    kinds = {str(each.dtype) for each in channels} - {"uint8", "uint16"}
    if kinds:
        expected = "whole numbers of 8 or 16 bits"
        raise _refused(path, f"{', '.join(sorted(kinds))} values", expected, "Save it as 16-bit TIFF.")
    return channels


def _refused(path: Path | str, found: str, expected: str, remedy: str) -> RefusedInput:
    return RefusedInput("A crop", [Problem(str(path), found, expected, remedy)])
