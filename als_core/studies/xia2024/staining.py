"""Stains in transmitted light: mixing concentrations into colour, and separating colour into stains.

Absorbing stains add up in optical density (Beer-Lambert): each colour channel passes 10^-(c . s) of
the light, where c are the concentrations and s is how strongly each stain absorbs that channel.
Ruifrok and Johnston, "Quantification of histochemical staining by color deconvolution", Anal Quant
Cytol Histol 2001;23:291-299: densities and their normalisation, and the stain vectors.
"""

from __future__ import annotations

import numpy as np

STAINS = ("haematoxylin", "dab", "residual")

_MEASURED = np.array([[0.65, 0.70, 0.29], [0.27, 0.57, 0.78]])  # red, green, blue; haematoxylin, DAB

# One row per stain, of unit length; the residual is perpendicular to both and takes what they do not explain.
STAIN_VECTORS = np.vstack([_MEASURED, np.cross(*_MEASURED)])
STAIN_VECTORS /= np.linalg.norm(STAIN_VECTORS, axis=1, keepdims=True)
STAIN_VECTORS.setflags(write=False)


def transmittance(concentrations: np.ndarray) -> np.ndarray:
    """Return the share of the light that passes.

    concentrations: (..., 2) haematoxylin and DAB, or (..., 3) with the residual, in units of optical
    density along the stain's unit vector.
    Returns float32 (..., 3), red, green, blue; 1 where there is no stain.
    Raises ValueError for another number of stains.
    """
    concentrations = np.asarray(concentrations, dtype=np.float32)
    stains = concentrations.shape[-1] if concentrations.ndim else 0
    if stains not in (2, 3):
        raise ValueError(f"concentrations have {stains} stains in their last axis; expected 2 or 3")
    natural = (-np.log(10) * STAIN_VECTORS[:stains]).astype(np.float32)
    return np.exp(concentrations @ natural)


def optical_density(image: np.ndarray) -> np.ndarray:
    """Return the optical density −log10(I / I0) of each colour channel: float32, same shape as `image`.

    image: uint8 with I0 = 255, where 0 counts as 1 (density 2.41, the largest in eight bits), or
    a transmittance in floats with I0 = 1, all above 0.
    Raises ValueError for a transmittance of 0 or less, whose density is not finite.
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return _DENSITY_OF_LEVEL[image]
    if not (image > 0).all():
        raise ValueError("a transmittance must be above 0 everywhere")
    return -np.log10(image).astype(np.float32)


_DENSITY_OF_LEVEL = -np.log10(np.maximum(np.arange(256), 1) / 255).astype(np.float32)


def separate_stains(image: np.ndarray) -> np.ndarray:
    """Separate the stains of an image (colour deconvolution): concentrations of haematoxylin, DAB and residual, float32 (..., 3).

    image: (..., 3) red, green, blue, uint8 or transmittance as in `optical_density`. Inverse of
    `transmittance`. Not clipped: a colour that two stains cannot make shows as a residual or a slightly
    negative concentration.
    """
    return optical_density(image) @ np.linalg.inv(STAIN_VECTORS).astype(np.float32)
