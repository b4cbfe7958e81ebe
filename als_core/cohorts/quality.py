"""Four image-quality measures: sharpness, signal-to-noise ratio, brightness and contrast.

Xia et al. 2024 (Sections 2.1 and 4.3, Fig. 1, Appendix A.1) name them without definitions; these are those of
the authors' released code (`process_dataset/Image_quality_check.py`). The Laplacian variance, the mean and the sd
agree to float precision with the values that the release lists for its 190 images.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image

LAPLACIAN_SIDE = 256
"""Side in pixels of the square gray copy on which the Laplacian is taken."""


class Quality(NamedTuple):
    """Quality of one 8-bit RGB image; 1 level = 1/255 of full scale. Fields in the order of Fig. 1 (a) to (d).

    laplacian_variance: levels squared, >= 0; higher means sharper, and also noisier.
    snr: mean over sd of the gray image, without unit; NaN for an image of one gray level.
    brightness_mean, contrast_sd: mean and population sd of the gray image, levels, 0 to 255.
    """

    laplacian_variance: float
    snr: float
    brightness_mean: float
    contrast_sd: float


AXIS_LABELS = {
    "laplacian_variance": "Laplacian variance (levels²)",
    "snr": "Signal-to-noise ratio, mean / sd",
    "brightness_mean": "Mean brightness (levels, 0-255)",
    "contrast_sd": "Contrast, sd (levels)",
}
"""Axis label of each measure."""


def require_rgb8(image: np.ndarray) -> None:
    """Raise ValueError unless `image` is uint8 of shape (H, W, 3) with at least one pixel."""
    found = np.asarray(image)
    if found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3 or found.size == 0:
        raise ValueError(f"found {found.dtype} {found.shape}; expected an 8-bit RGB image, uint8 (H, W, 3)")


def measure_quality(image: np.ndarray) -> Quality:
    """Measure one image, uint8 (H, W, 3) in RGB order (OpenCV itself reads BGR: convert first).

    Gray is the luma 0.299 R + 0.587 G + 0.114 B, rounded. The mean, the sd and their ratio are taken at
    full size. The Laplacian (3 x 3: four neighbours minus four times the centre, mirrored at the border)
    is taken on a copy of 256 x 256, reduced with Pillow's antialiased bilinear filter. Reducing with
    OpenCV's bilinear filter, which does not antialias, would about double the values; and the copy is
    always square, so values of images with different sizes cannot be compared.

    The "signal-to-noise ratio" divides by the sd of the whole image, tissue structure included: it is the
    inverse of the coefficient of variation, not a measure of camera noise. On an image of one gray level
    it is undefined: NaN here, 0 in the release.

    Raises ValueError for anything but uint8 (H, W, 3).
    """
    require_rgb8(image)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean, sd = (
        float(luma.mean()),
        float(luma.std()),
    )  # cv2.meanStdDev gives some constant images an sd of 6e-8
    # Pillow's own luma, as released: it rounds the odd pixel otherwise than OpenCV's
    small = Image.fromarray(image).convert("L").resize((LAPLACIAN_SIDE,) * 2, Image.Resampling.BILINEAR)
    laplacian = cv2.Laplacian(np.asarray(small), cv2.CV_64F)
    return Quality(
        laplacian_variance=float(laplacian.var()),
        snr=mean / sd if sd > 0 else float("nan"),
        brightness_mean=mean,
        contrast_sd=sd,
    )


def quality_table(images: np.ndarray) -> pd.DataFrame:
    """Measure many images, any sequence of uint8 (H, W, 3) RGB: one row each, in order; columns of `Quality`.

    Runs in threads. Raises ValueError as `measure_quality`.
    """
    with ThreadPoolExecutor() as pool:
        return pd.DataFrame(list(pool.map(measure_quality, images)), columns=list(Quality._fields))
