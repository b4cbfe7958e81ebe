"""How near a restored image comes to the truth: PSNR, SSIM, sharpness, and the aggregates in it.

The paper names no measure of its super-resolution step. These measures need a noise-free truth, which only a
synthetic crop has; for a reader's own crops the truth is the crop itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.metrics import structural_similarity

from als_core.statistics.intervals import bootstrap_mean
from als_core.studies.miao2023.filters import FILTERS, require_grey8

MEASURES = ("psnr", "ssim", "sharpness", "found", "missed", "invented")
REFERENCE = "bicubic"
"""The method that every other is compared with."""
SPOT_SD = 0.02
"""Sd of the spot filter as a share of the side, for spots of about sqrt(2) times that radius."""
SPOT_CONTRAST = 0.2
"""Least response of the spot filter, as a share of full brightness, of what is counted as an aggregate."""
DISC_RESPONSE = 2 / np.e
"""Greatest response of the scaled Laplacian of Gaussian to a disc of brightness 1: at radius sqrt(2) sd."""


class Counted(NamedTuple):
    """Aggregates of an image against the mask.

    found, missed : aggregates of the mask with and without a spot on them
    invented : spots on no aggregate
    """

    found: int
    missed: int
    invented: int


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(255² / mean squared difference).

    image, truth: uint8 (H, W); infinite where they are equal. Raises ValueError for other images or two
    sizes.
    """
    _require_pair(image, truth)
    squared = np.mean((image.astype(float) - truth.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / squared)) if squared else float("inf")


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Return the structural similarity of uint8 (H, W) images, -1 .. 1.

    With the Gaussian window of sd 1.5 pixels and the constants of Wang et al. 2004 (doi
    10.1109/TIP.2003.819861), by scikit-image.
    """
    _require_pair(image, truth)
    return float(
        structural_similarity(
            image, truth, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def sharpness(image: np.ndarray) -> float:
    """Return the mean squared gradient (central differences) of a uint8 (H, W) image, levels² per pixel².

    Noise raises it as edges do, so compare it with the sharpness of the truth.
    """
    require_grey8(image)
    rows, columns = np.gradient(image.astype(float))
    return float(np.mean(rows**2 + columns**2))


def find_spots(image: np.ndarray) -> np.ndarray:
    """Number the bright compact spots of a uint8 (H, W) image: int (H, W), 0 where there is no spot.

    A spot is a connected region in which the response of a Laplacian of Gaussian, scaled so that a disc of
    full brightness and the filter's size gives about 1, exceeds `SPOT_CONTRAST`.
    """
    require_grey8(image)
    sd = SPOT_SD * image.shape[0]
    response = -ndimage.gaussian_laplace(image / 255.0, sd) * sd**2 / DISC_RESPONSE
    return ndimage.label(response > SPOT_CONTRAST, np.ones((3, 3)))[0]


def count_aggregates(image: np.ndarray, mask: np.ndarray) -> Counted:
    """Count which aggregates of `mask`, bool (H, W), show as spots in `image`, uint8 (H, W).

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


def measure_filters(crops: np.ndarray, truth: np.ndarray | None, masks: np.ndarray | None) -> pd.DataFrame:
    """Measure every crop before and after each filter: columns filter, crop, and measures with units.

    crops, truth : uint8 (n, H, W); masks : bool (n, H, W); without truth and masks only sharpness is measured
    """
    rows = []
    methods = {"Before": np.copy} | {each.title: each for each in FILTERS.values()}
    for name, method in methods.items():
        for number, crop in enumerate(crops):
            image = method(crop)
            row = {"filter": name, "crop": number, "Sharpness (levels²/pixel²)": sharpness(image)}
            if truth is not None and masks is not None:
                row["PSNR to the truth (dB)"] = psnr(image, truth[number])
                row["Aggregates missed or invented"] = sum(count_aggregates(image, masks[number])[1:])
            rows.append(row)
    return pd.DataFrame(rows)


def judge_restorations(
    images: Mapping[str, np.ndarray], truth: np.ndarray, masks: np.ndarray | None, cases: Sequence[str]
) -> pd.DataFrame:
    """Measure every image against its truth: one row per method and crop, columns case and `MEASURES`.

    images : method to uint8 (n, H, W)
    truth : uint8 (n, H, W)
    masks : bool (n, H, W), or None where no aggregates are known; found, missed and invented are NaN then

    Sharpness is a share of the truth's.
    """
    rows = []
    for method, restorations in images.items():
        for number, (image, true, case) in enumerate(zip(restorations, truth, cases, strict=True)):
            row = {"method": method, "crop": number, "case": case}
            row |= {"psnr": psnr(image, true), "ssim": ssim(image, true)}
            row["sharpness"] = sharpness(image) / sharpness(true)
            counts = count_aggregates(image, masks[number]) if masks is not None else (np.nan,) * 3
            rows.append(row | dict(zip(Counted._fields, counts, strict=True)))
    return pd.DataFrame(rows)


def count_all(images: Mapping[str, np.ndarray], masks: np.ndarray) -> pd.DataFrame:
    """Count aggregates found, missed and invented in all images of each kind together; index: kind.

    images : kind to uint8 (n, H, W)
    masks : bool (n, H, W)
    """
    sums = {
        kind: np.sum([count_aggregates(*pair) for pair in zip(several, masks, strict=True)], axis=0)
        for kind, several in images.items()
    }
    return pd.DataFrame.from_dict(sums, orient="index", columns=list(Counted._fields))


def summarise(judged: pd.DataFrame, seed: int, resamples: int = 2000) -> pd.DataFrame:
    """Average every measure by method, with 95 % intervals; also its gain over `REFERENCE`, crop by crop.

    judged: from `judge_restorations`. Columns: method, measure, mean, low, high, gain, gain_low, gain_high.
    Whole cases are resampled, because crops of one case are alike.
    """
    base = judged[judged["method"] == REFERENCE].set_index("crop")
    rows = []
    for method, part in judged.groupby("method", sort=False):
        cases = part["case"].to_numpy()
        for measure in MEASURES:
            values = part[measure].to_numpy(float)
            gains = values - base.loc[part["crop"], measure].to_numpy(float)
            interval, of_gain = (
                bootstrap_mean(each, cases, np.random.default_rng(seed), resamples)
                for each in (values, gains)
            )
            rows.append((method, measure, values.mean(), *interval, gains.mean(), *of_gain))
    columns = ["method", "measure", "mean", "low", "high", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=columns)


def _require_pair(image: np.ndarray, truth: np.ndarray) -> None:
    require_grey8(image)
    require_grey8(truth)
    if image.shape != truth.shape:
        raise ValueError(f"images of {image.shape} and {truth.shape} pixels cannot be compared")
