"""Pre-processing of Miao et al. 2023 (Sections 2.1 and 2.2): filters, low-resolution pairs, balancing copies.

The paper names Gaussian, median and mean filtering and histogram equalisation (Fig. 7 shows the first), the
making of low-resolution images by down-sampling and noise, and rotated, shifted and scaled copies until the
classes are equal. It prints no constant of any of them: this book's are in `FILTERS` and `AFFINE_LIMITS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import cv2
import numpy as np

from als_core.cohorts.quality import require_rgb8
from als_core.refusal import Problem, refuse_if


def to_grey(image: np.ndarray) -> np.ndarray:
    """Return RGB, uint8 (H, W, 3), as uint8 (H, W): the channel where all three are equal, else the luma."""
    require_rgb8(image)
    if (image == image[..., :1]).all():
        return np.ascontiguousarray(image[..., 0])
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def gaussian(image: np.ndarray, *, sd: float) -> np.ndarray:
    """Weighted mean of the surround, weights falling off as a Gaussian of `sd` pixels."""
    return cv2.GaussianBlur(image, (0, 0), sd)


def median(image: np.ndarray, *, width: int) -> np.ndarray:
    """Median of the square of `width` pixels around each pixel."""
    return cv2.medianBlur(image, width)


def mean(image: np.ndarray, *, width: int) -> np.ndarray:
    """Mean of the square of `width` pixels around each pixel."""
    return cv2.blur(image, (width, width))


def equalise(image: np.ndarray) -> np.ndarray:
    """Histogram equalisation: grey levels mapped so that each is about equally common."""
    return cv2.equalizeHist(image)


@dataclass(frozen=True)
class Filter:
    """One filter with its constants.

    Call it with a grey image, uint8 (H, W), to get a new image of that shape.
    """

    name: str
    title: str
    method: Callable[..., np.ndarray]
    constants: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Raises ValueError for anything but uint8 (H, W)."""
        require_grey8(image)
        return self.method(image, **self.constants)


FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        each.name: each
        for each in (
            Filter("gaussian", "Gaussian filter", gaussian, {"sd": 1.0}),
            Filter("median", "Median filter", median, {"width": 3}),
            Filter("mean", "Mean filter", mean, {"width": 3}),
            Filter("equalise", "Histogram equalisation", equalise),
        )
    }
)
"""The four of Section 2.2.1."""


def require_grey8(image: np.ndarray) -> None:
    """Raise ValueError unless `image` is uint8 of shape (H, W) with at least one pixel."""
    found = np.asarray(image)
    if found.dtype != np.uint8 or found.ndim != 2 or found.size == 0:
        raise ValueError(f"found {found.dtype} {found.shape}; expected an 8-bit grey image, uint8 (H, W)")


def trim(image: np.ndarray, factor: int) -> np.ndarray:
    """Cut off the last rows and columns of an image (H, W, ...) that `factor` does not divide."""
    height, width = (side // factor * factor for side in image.shape[:2])
    if not height or not width:
        raise ValueError(f"an image of {image.shape[0]} x {image.shape[1]} pixels is smaller than {factor}")
    return image[:height, :width]


def low_resolution(
    image: np.ndarray, factor: int, generator: np.random.Generator, *, noise_sd: float
) -> np.ndarray:
    """Reduce an image to means over `factor` x `factor` pixels and add Gaussian noise.

    image : uint8 (H, W), both sides divisible by `factor` (`trim`)
    noise_sd : in levels of 255

    Returns uint8 (H / factor, W / factor). Raises ValueError for other images.
    """
    require_grey8(image)
    height, width = image.shape
    if height % factor or width % factor:
        raise ValueError(f"{height} x {width} pixels are not divisible by {factor}; trim the image first")
    blocks = image.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    noisy = blocks + generator.normal(0, noise_sd, blocks.shape)
    return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)


def enlarge(image: np.ndarray, factor: int, method: str) -> np.ndarray:
    """Enlarge uint8 (H, W) to (factor H, factor W). method: nearest or bicubic."""
    require_grey8(image)
    how = {"nearest": cv2.INTER_NEAREST, "bicubic": cv2.INTER_CUBIC}[method]
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=how)


AFFINE_LIMITS: Mapping[str, float] = MappingProxyType({"rotation": 20.0, "shift": 0.05, "scale": 0.1})
"""Largest rotation in degrees, shift as a share of the side, and change of scale of a balancing copy."""


def random_affine(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rotate, shift and scale an image at random within `AFFINE_LIMITS`; mirroring fills the border.

    image: uint8 (H, W) or (H, W, 3). Draws, in this order: rotation, shift along x and y, logarithm of the
    scale.
    """
    height, width = image.shape[:2]
    rotation = generator.uniform(-AFFINE_LIMITS["rotation"], AFFINE_LIMITS["rotation"])
    right, down = generator.uniform(-AFFINE_LIMITS["shift"], AFFINE_LIMITS["shift"], 2)
    reach = math.log1p(AFFINE_LIMITS["scale"])
    scale = math.exp(generator.uniform(-reach, reach))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rotation, scale)
    matrix[:, 2] += right * width, down * height
    return cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def image_counts(labels: np.ndarray, total: int, balanced: bool) -> np.ndarray:
    """Return how many images each sample contributes to a set of `total`, itself included, int (n,).

    labels : (n,)
    balanced : True: every class gets the same number (Section 2.1); False: every sample does. Remainders
        go one each to the first samples.

    Raises RefusedInput where a sample would contribute none: the set must hold all originals.
    """
    labels = np.asarray(labels)
    parts = (
        [np.flatnonzero(labels == name) for name in np.unique(labels)]
        if balanced
        else [np.arange(len(labels))]
    )
    counts = np.zeros(len(labels), dtype=int)
    for number, rows in enumerate(parts):
        share = total // len(parts) + (number < total % len(parts))
        counts[rows] = share // len(rows) + (np.arange(len(rows)) < share % len(rows))
    problem = Problem("images", str(total), "at least one of every sample", "Ask for more images.")
    refuse_if("Multiplying the images", [problem] if (counts < 1).any() else [])
    return counts


def affine_copies(images: np.ndarray, counts: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make `counts[i]` copies of each image i with `random_affine`.

    images: uint8 (n, H, W) or (n, H, W, 3). Copy k of image i does not depend on the other counts.
    Returns the copies, uint8 (sum of counts, ...), image by image, and the image each is of, int (sum of
    counts,).
    """
    sources = np.repeat(np.arange(len(images)), counts)
    copies = [
        random_affine(images[source], np.random.default_rng([seed, source, number]))
        for source, count in enumerate(counts)
        for number in range(count)
    ]
    return np.stack(copies) if copies else images[:0].copy(), sources
