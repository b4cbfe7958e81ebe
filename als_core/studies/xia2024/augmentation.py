"""The augmentations of Xia et al. 2024: nine shown in Fig. 5, two set aside in Section 3, two variants of ours.

Section 4.4 describes each in a sentence, without constants. The constants below are those of the authors'
released code (`process_dataset/utils_image.py`, YQ-XiaMLTech/ALS-classification) unless marked "ours". For
the gray, denoised, brightened and enhanced images that release (`1.py`) also lists Laplacian variances, and
these functions give the same values on the images that the tests compare.

Every function takes uint8 (H, W, 3) in RGB order and returns a new array of the same shape and dtype.
Constants live in `AUGMENTATIONS` and nowhere else, so that a cache key can hold them. Lengths are fractions
of a side (the release: pixels of a 400 px image), so a smaller copy of an image keeps the same field.

The release stores scaled and cropped images at their reduced size and enlarges them to 400 px when it loads
them for training. Here that enlargement is part of the augmentation: the output is what the network saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from als_core.cohorts.quality import require_rgb8

MINIMUM_SIDE = 16
"""Smallest height and width in pixels: the window of the bilateral filter, 15 px, has to fit."""


def flip(image: np.ndarray) -> np.ndarray:
    """Mirror left to right."""
    return cv2.flip(image, 1)


def gray(image: np.ndarray) -> np.ndarray:
    """Luma 0.299 R + 0.587 G + 0.114 B in all three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _smoothed_between_edges(
    image: np.ndarray,
    luma: np.ndarray,
    *,
    diameter: int,
    sigma_levels: float,
    sigma_pixels: float,
    canny_low: int,
    canny_high: int,
    dilations: int,
) -> np.ndarray:
    """Bilateral filter (window `diameter` px), except on Canny edges of `luma` widened by `dilations` pixels."""
    smoothed = cv2.bilateralFilter(image, diameter, sigma_levels, sigma_pixels)
    edges = cv2.dilate(cv2.Canny(luma, canny_low, canny_high), None, iterations=dilations) > 0
    smoothed[edges] = image[edges]
    return smoothed


def gray_denoised(image: np.ndarray, **filtering: float) -> np.ndarray:
    """Gray, then a bilateral filter that leaves edges alone."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(_smoothed_between_edges(luma, luma, **filtering), cv2.COLOR_GRAY2RGB)


def colour_denoised(image: np.ndarray, **filtering: float) -> np.ndarray:
    """Bilateral filter on the three channels together that leaves edges alone."""
    return _smoothed_between_edges(image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), **filtering)


def scale(image: np.ndarray, *, factor: float) -> np.ndarray:
    """Shrink to `factor` of each side and enlarge again, both bilinear: a slight blur, nothing moves."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (int(factor * width), int(factor * height)))
    return cv2.resize(small, (width, height))


def crop(image: np.ndarray, *, border: float) -> np.ndarray:
    """Cut `border` of each side (at least 1 px) off all four sides and enlarge the rest, bilinear."""
    height, width = image.shape[:2]
    rows, columns = (max(1, round(border * side)) for side in (height, width))
    return cv2.resize(image[rows : height - rows, columns : width - columns], (width, height))


def noise(image: np.ndarray, generator: np.random.Generator, *, levels: int) -> np.ndarray:
    """Add whole numbers drawn evenly from 0 to `levels` - 1 to every value, ending at 255.

    Never negative: before clipping it brightens by (levels - 1) / 2, sd sqrt((levels**2 - 1) / 12).
    """
    return cv2.add(image, generator.integers(0, levels, image.shape, dtype=np.uint8))


def perspective(image: np.ndarray, generator: np.random.Generator, *, shift_sd: float) -> np.ndarray:
    """Move each corner by a normal step, sd `shift_sd` of the side along each axis; black where nothing is left.

    The steps are `generator.normal(size=(4, 2))`: corners top left, top right, bottom left, bottom right; x, y.
    """
    height, width = image.shape[:2]
    right, bottom = width - 1, height - 1
    corners = np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], np.float32)
    moved = corners + generator.normal(size=(4, 2)) * shift_sd * np.array([width, height])
    return cv2.warpPerspective(
        image, cv2.getPerspectiveTransform(corners, moved.astype(np.float32)), (width, height)
    )


def rotate(image: np.ndarray) -> np.ndarray:
    """Turn by 90 degrees counter-clockwise; an image that is not square is then stretched to its old shape.

    Every pixel is kept. The release turns about a pixel corner, which loses one line and leaves it black.
    """
    height, width = image.shape[:2]
    turned = cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return turned if height == width else cv2.resize(turned, (width, height))


def brighten(image: np.ndarray, *, factor: float) -> np.ndarray:
    """Multiply every value by `factor`, ending at 255."""
    return cv2.convertScaleAbs(image, alpha=factor)


def colour_denoised_enhanced(
    image: np.ndarray, *, clip_limit: float, tiles: int, **filtering: float
) -> np.ndarray:
    """`colour_denoised`, then adaptive histogram equalisation (CLAHE, `tiles` x `tiles`) of Y in YUV."""
    yuv = cv2.cvtColor(colour_denoised(image, **filtering), cv2.COLOR_RGB2YUV)
    yuv[..., 0] = cv2.createCLAHE(clip_limit, (tiles, tiles)).apply(yuv[..., 0])
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB)


def gray_nonlocal(image: np.ndarray, *, strength: float, patch: int, search: int) -> np.ndarray:
    """Gray, then non-local means (Buades et al. 2005): `patch` and `search` windows in pixels, strength in levels."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(cv2.fastNlMeansDenoising(luma, None, strength, patch, search), cv2.COLOR_GRAY2RGB)


def colour_nonlocal(image: np.ndarray, *, strength: float, patch: int, search: int) -> np.ndarray:
    """Non-local means in CIELAB, lightness and colour apart, `strength` for both."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    denoised = cv2.fastNlMeansDenoisingColored(bgr, None, strength, strength, patch, search)
    return cv2.cvtColor(denoised, cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class Augmentation:
    """One augmentation with its constants; call it with an image, and with a generator where it is `random`.

    name: its key in `AUGMENTATIONS`. title: how a figure names it. panel: its letter in Fig. 5, or None.
    method, constants: the function and the keyword arguments it gets, as data for tables and cache keys.
    random: whether it draws; then a generator is required, else one is refused.
    variant_of: the name of the augmentation it stands in for, where it is not the paper's.
    added: whether it is neither the paper's nor a variant of it.
    """

    name: str
    title: str
    panel: str | None
    method: Callable[..., np.ndarray]
    constants: Mapping[str, float] = field(default_factory=dict)
    random: bool = False
    variant_of: str | None = None
    added: bool = False

    @property
    def status(self) -> str:
        """Where the paper stands on it: "in Fig. 5", "set aside in Section 3", "variant of <name>", or "added"."""
        if self.added:
            return "added"
        if self.variant_of:
            return f"variant of {self.variant_of}"
        return "in Fig. 5" if self.panel else "set aside in Section 3"

    def __call__(self, image: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        """uint8 (H, W, 3) RGB to a new uint8 (H, W, 3); the input is left as it was.

        Raises ValueError for another dtype or shape or a side below `MINIMUM_SIDE`, and TypeError for a
        missing generator, or for one that would have no effect.
        """
        require_rgb8(image)
        if min(image.shape[:2]) < MINIMUM_SIDE:
            found = f"{image.shape[0]} x {image.shape[1]} px"
            raise ValueError(f"{self.name}: found {found}; expected at least {MINIMUM_SIDE} px a side")
        if not self.random:
            if generator is not None:
                raise TypeError(f"{self.name} draws nothing: call it without a generator")
            return self.method(image, **self.constants)
        if generator is None:
            raise TypeError(f"{self.name} is random: it needs a generator")
        return self.method(image, generator, **self.constants)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distance of each value from the image's mean by `factor` (section 4.5.2 prints no constant)."""
    mean = float(image.mean())
    return cv2.convertScaleAbs(image, alpha=factor, beta=mean * (1 - factor))


_BETWEEN_EDGES = {
    "diameter": 15,
    "sigma_levels": 30,
    "sigma_pixels": 75,
    "canny_low": 50,
    "canny_high": 150,
    "dilations": 2,
}
_ENHANCING = _BETWEEN_EDGES | {"clip_limit": 4.0, "tiles": 10}
_NONLOCAL = {"strength": 3, "patch": 7, "search": 21}  # ours: OpenCV's defaults

AUGMENTATIONS: dict[str, Augmentation] = {
    augmentation.name: augmentation
    for augmentation in (
        Augmentation("flip", "Flipping", "a", flip),
        Augmentation("gray", "Grayscale", "b", gray),
        Augmentation("gray_denoised", "Gray denoised", "c", gray_denoised, _BETWEEN_EDGES),
        Augmentation("colour_denoised", "Colour denoised", "d", colour_denoised, _BETWEEN_EDGES),
        Augmentation("scale", "Scaling", "e", scale, {"factor": 0.9}),
        Augmentation("crop", "Cropping", "f", crop, {"border": 10 / 400}),
        Augmentation("noise", "Adding noise", "g", noise, {"levels": 10}, random=True),
        Augmentation("perspective", "Perspective", "h", perspective, {"shift_sd": 5 / 400}, random=True),
        Augmentation("rotate", "Rotating", "i", rotate),
        Augmentation("brighten", "Brightness enhancement", None, brighten, {"factor": 1.5}),
        Augmentation(
            "colour_denoised_enhanced", "Denoised and enhanced", None, colour_denoised_enhanced, _ENHANCING
        ),
        Augmentation("contrast", "Contrast", None, contrast, {"factor": 1.25}, added=True),
        Augmentation(
            "gray_nonlocal",
            "Gray, non-local means",
            "c",
            gray_nonlocal,
            _NONLOCAL,
            variant_of="gray_denoised",
        ),
        Augmentation(
            "colour_nonlocal",
            "Colour, non-local means",
            "d",
            colour_nonlocal,
            _NONLOCAL,
            variant_of="colour_denoised",
        ),
    )
}

FIGURE_5 = tuple(name for name, each in AUGMENTATIONS.items() if each.status == "in Fig. 5")
"""The nine of Fig. 5, panels (a) to (i); the training set of Table 2 is the originals and these."""

SECOND_PROTOCOL = ("rotate", "flip", "contrast")
"""Those that section 4.5.2 names for its own training protocol."""
