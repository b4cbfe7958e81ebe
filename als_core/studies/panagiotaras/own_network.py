"""Drawn images with a known sign, and the words, for the page on heatmaps of a reader's own network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from als_core.explain.methods import METHODS
from als_core.figures.drawn import percent

BRIGHTER = 1.5  # the sign, in standard deviations of the noise
NEEDS = "The methods of this book: what each needs, and what its values mean."
WORDS = {
    "gradient": "a differentiable network", "relu": "ReLUs", "rules": "operations that LRP knows",
    "layer": "`layer`, a name", "patch": "`patch`", "areas": "`areas`", "stride": "`stride`", "fill": "`fill`",
    "baseline": "`baseline`", "steps": "`steps`",
}  # fmt: skip


def draw(count: int, sides: Sequence[int], seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """Draw noise images, every other one with a brighter square (cube) in one place.

    Returns
    -------
    images float32 (count, 1, *sides), labels int64 (count,), and where the sign is, bool (*sides)
    """
    generator = np.random.default_rng([seed, len(sides)])
    sign = np.zeros(sides, dtype=bool)
    sign[tuple(slice(side // 4, side // 4 + side // 4) for side in sides)] = True
    labels = np.arange(count) % 2
    images = generator.standard_normal((count, 1, *sides)) + BRIGHTER * sign * labels.reshape(
        -1, *[1] * (len(sides) + 1)
    )
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels), sign


def octants(sides: Sequence[int]) -> np.ndarray:
    """A label image that cuts each side in quarters: int (*sides), 1 and up."""
    quarters = [np.arange(side) * 4 // side for side in sides]
    mesh = np.meshgrid(*quarters, indexing="ij")
    return 1 + sum(axis * 4**place for place, axis in enumerate(mesh))


def first_with_sign(images: Tensor, labels: Tensor) -> int:
    """The first image of class 1."""
    return int(torch.nonzero(labels == 1)[0, 0])


def pictures(
    images: Tensor, maps: Mapping[str, Tensor], sign: np.ndarray, shown: int
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """One image, its positive heat by method and the sign as pictures (H, W); of a volume the slice through
    the sign.
    """
    middle = int(np.median(np.argwhere(sign)[:, -1]))

    def flat(voxels: np.ndarray) -> np.ndarray:
        return voxels[..., middle] if voxels.ndim == 3 else voxels

    heat = {name: flat(np.maximum(one[shown].double().numpy(force=True), 0)) for name, one in maps.items()}
    return flat(images[shown, 0].numpy()), heat, flat(sign)


def share_inside(maps: Mapping[str, Tensor], sign: np.ndarray, shown: int) -> dict[str, float]:
    """Share of each method's positive heat inside the sign."""
    shares = {}
    for name, one in maps.items():
        heat = np.maximum(one[shown].double().numpy(force=True), 0)
        shares[name] = float(heat[sign].sum() / max(heat.sum(), 1e-12))
    return shares


@torch.inference_mode()
def in_words(network: nn.Module, images: Tensor, labels: Tensor) -> str:
    """How well the network does on images that it was not trained on."""
    right = (network(images).argmax(1) == labels).double().mean().item()
    return (
        f"The network classifies {percent(right)} of {len(labels)} images correctly that it was not trained "
        "on."
    )


def needs() -> pd.DataFrame:
    """What each method of METHODS needs and returns, a row a method."""
    return pd.DataFrame(
        {
            "Method": method.title,
            "Name": f"`{name}`",
            "Needs": ", ".join(WORDS[need] for need in method.needs),
            "Values": f"{method.sign}; {method.unit}",
        }
        for name, method in METHODS.items()
    )


def answer(maps: Mapping[str, Tensor], sign: np.ndarray, shown: int) -> dict[str, str]:
    """The answer box, from the heatmaps of the volume."""
    shares = share_inside(maps, sign, shown)
    best = max(shares, key=shares.get)
    return {
        "question": "How do I get these heatmaps for a network of my own?",
        "found": "With one call for each method. On a drawn volume whose sign fills "
        f"{percent(float(sign.mean()))} of it, {best.lower()} puts {percent(shares[best])} of its relevance "
        "there.",
        "how_sure": "One network and one volume: the page shows how, not which method is best.",
        "not_shown": "Whether a heatmap of your network shows what you hope. Compare it with one of a "
        "network that had nothing to learn.",
    }
