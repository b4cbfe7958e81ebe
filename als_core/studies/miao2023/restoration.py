"""How near a restored image comes to the truth: PSNR, SSIM, sharpness, and the aggregates in it.

The paper names no measure of its super-resolution step. These need a reference without noise, which only a
synthetic crop has; for a reader's own crops the reference is the crop itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity

from als_core.studies.miao2023.filters import require_grey8

SPOT_SD = 0.02
"""Sd of the spot filter as a share of the side, for spots of about sqrt(2) times that radius."""
SPOT_CONTRAST = 0.2
"""Least response of the spot filter, as a share of full brightness, of what is counted as an aggregate."""
DISC_RESPONSE = 2 / np.e
"""Greatest response of the scaled Laplacian of Gaussian to a disc of brightness 1: at radius sqrt(2) sd."""


class Counted(NamedTuple):
    """Aggregates of an image against the mask.

    found, missed: aggregates of the mask with and without a spot on them. invented: spots on none.
    """

    found: int
    missed: int
    invented: int


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / mean squared difference); infinite for equal images.

    image, truth: uint8 (H, W). Raises ValueError for other images or two sizes.
    """
    _require_pair(image, truth)
    squared = np.mean((image.astype(float) - truth.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / squared)) if squared else float("inf")


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of uint8 (H, W) images, -1 .. 1 (Wang et al. 2004, doi 10.1109/TIP.2003.819861).

    With the Gaussian window of sd 1.5 pixels and the constants of that paper, by scikit-image.
    """
    _require_pair(image, truth)
    return float(
        structural_similarity(
            image, truth, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def sharpness(image: np.ndarray) -> float:
    """Mean squared gradient (central differences) of a uint8 (H, W) image, levels² per pixel².

    Noise raises it as edges do: compare it with that of the truth, 1 being as sharp.
    """
    require_grey8(image)
    rows, columns = np.gradient(image.astype(float))
    return float(np.mean(rows**2 + columns**2))


def find_spots(image: np.ndarray) -> np.ndarray:
    """Bright compact spots of a uint8 (H, W) image, numbered: int (H, W), 0 where there is none.

    A spot is a connected region in which the response of a Laplacian of Gaussian, scaled so that a disc of
    full brightness and the filter's size gives about 1, exceeds `SPOT_CONTRAST`.
    """
    require_grey8(image)
    sd = SPOT_SD * image.shape[0]
    response = -ndimage.gaussian_laplace(image / 255.0, sd) * sd**2 / DISC_RESPONSE
    return ndimage.label(response > SPOT_CONTRAST, np.ones((3, 3)))[0]


def count_aggregates(image: np.ndarray, mask: np.ndarray) -> Counted:
    """What of the aggregates in `mask`, bool (H, W), is seen in `image`, uint8 (H, W).

    An aggregate is a connected region of the mask; it is found where a spot (`find_spots`) touches it. A spot
    that touches none is invented.
    """
    mask = np.asarray(mask, bool)
    if mask.shape != image.shape:
        raise ValueError(f"an image of {image.shape} and a mask of {mask.shape} pixels")
    spots = find_spots(image)
    aggregates, count = ndimage.label(mask, np.ones((3, 3)))
    found = len(np.unique(aggregates[mask & (spots > 0)]))
    touching = np.unique(spots[mask & (spots > 0)])
    return Counted(found, count - found, int(spots.max()) - len(touching))


def _require_pair(image: np.ndarray, truth: np.ndarray) -> None:
    require_grey8(image)
    require_grey8(truth)
    if image.shape != truth.shape:
        raise ValueError(f"images of {image.shape} and {truth.shape} pixels cannot be compared")
