"""Colour features of a stained field, for the trivial baselines of the tissue study.

A network that is no better than these may have learnt no more than that stain and tone differ between classes.
"""

from __future__ import annotations

import numpy as np

from als_core.studies.xia2024.staining import STAINS, separate_stains

CHANNELS = ("red", "green", "blue", *STAINS)
PERCENTILES = (5, 25, 50, 75, 95)
STATISTICS = ("mean", "sd", *(f"percentile {p}" for p in PERCENTILES))
COLOUR_NAMES = tuple(f"{channel}, {statistic}" for statistic in STATISTICS for channel in CHANNELS)
"""Columns of `colour_statistics`, in order."""

STAINED_ABOVE = 0.3
"""DAB concentration (optical density along the stain's vector) above which a pixel counts as stained brown.

About three times that of the neuropil in the authors' images; fixed before anything was classified.
"""


def colour_statistics(images: np.ndarray) -> np.ndarray:
    """Measure mean, SD and five percentiles of red, green, blue and of the three separated stains of each image.

    images: uint8 (n, H, W, 3), RGB. Returns float64 (n, 42), columns `COLOUR_NAMES`: colours in levels 0 .. 255,
    stains in optical density. Positions play no part: shuffled pixels give the same.
    """
    return np.stack([_statistics(image) for image in images])


def stained_area(images: np.ndarray) -> np.ndarray:
    """Measure the share of each image's pixels that are stained brown (DAB above `STAINED_ABOVE`), float64 (n, 1), 0 .. 1."""
    dab = STAINS.index("dab")
    return np.array([[(separate_stains(image)[..., dab] > STAINED_ABOVE).mean()] for image in images])


def _statistics(image: np.ndarray) -> np.ndarray:
    channels = np.concatenate([image.astype(np.float32), separate_stains(image)], axis=-1)
    values = np.sort(channels.reshape(-1, len(CHANNELS)).T)  # sorted, percentiles cost half
    spread = [values.mean(1, dtype=np.float64), values.std(1, dtype=np.float64)]
    return np.concatenate([*spread, *np.percentile(values, PERCENTILES, axis=1)])
