"""What a heatmap's overlap with the truth is compared to: maps that know nothing of the image.

- `phase_randomised`: as smooth as the heatmap itself, in a random place;
- `atlas_only`: knows the areas, not the image;
- the heatmap of an untrained network: `als_core.explain.sanity.untrained` makes the network.
"""

from __future__ import annotations

import numpy as np


def phase_randomised(heatmap: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random map with the power spectrum, and so the smoothness, mean and variance, of `heatmap`.

    Any number of axes; float64 of its shape. The phases are those of white noise (Theiler et al. 1992,
    doi 10.1016/0167-2789(92)90102-S), which keeps the map real. Values are about Gaussian, also where
    the heatmap's are not, and do not respect its mask: score it `within` the same voxels.
    """
    spectrum = np.fft.rfftn(heatmap)
    noise = np.fft.rfftn(generator.standard_normal(heatmap.shape))
    randomised = np.abs(spectrum) * noise / np.abs(noise)
    randomised.flat[0] = spectrum.flat[0]  # the mean, with its sign
    return np.fft.irfftn(randomised, s=heatmap.shape, axes=range(heatmap.ndim))


def atlas_only(areas: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One random value, uniform on 0 to 1, for each area; 0 for the background. float64 of its shape."""
    labels, place = np.unique(areas, return_inverse=True)
    values = np.where(labels > 0, generator.random(len(labels)), 0.0)
    return values[place].reshape(areas.shape)
