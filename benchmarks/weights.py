"""A file of pretrained weights for the benchmarks, where ImageNet's own may be out of reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from als_core.models.stages import IMAGENET_SCALING
from als_core.models.weights import calibrate_batch_norm
from als_core.studies.xia2024.networks import build_tissue_network
from als_core.training.features import as_input


def stand_in(network: str, images: np.ndarray, folder: Path) -> Path:
    """A file with random weights of a network's backbone under torchvision's names.

    Its batch norm fits the uint8 images (n, H, W, 3), so that features have the size they have with trained weights.
    """
    ours = build_tissue_network(network, side=images.shape[1], seed=0)
    calibrate_batch_norm(ours, as_input(torch.from_numpy(images), IMAGENET_SCALING))
    theirs = ours.backbone.renamed({name: name for name in ours.backbone.shapes()})
    path, state = folder / f"{network}.pth", ours.state_dict()
    torch.save({name: state[own] for own, name in theirs.items()}, path)
    return path
