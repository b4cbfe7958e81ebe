"""Run a recipe that trains only a head, from a cold start: published images, augmented copies, epochs and seeds.

`python -m benchmarks.heads NETWORK SIDE COHORT WEIGHTS EPOCHS SEEDS RESULTS` trains with RESULTS, an empty folder, as
results folder. The cost is that of the process, imports and augmentation included. WEIGHTS: a file of backbone weights.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from als_core.models.weights import random_backbone
from als_core.storage import results_folder
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.synthetic import TissueParameters
from als_core.studies.xia2024.train import training_images
from als_core.training.features import as_input
from als_core.training.train import build_network, scaling_of, train_recipe


def write_weights(network: str, images: np.ndarray, folder: Path) -> Path:
    """Write random backbone weights under torchvision's names, as ImageNet weights are one file.

    images : uint8 (n, H, W, 3), on which batch-norm statistics are measured, so that features have a usual size.
    """
    built = build_network(replace(RECIPES[network], side=images.shape[1]), 3, seed=0)
    scaled = as_input(torch.from_numpy(images), scaling_of(built))
    path = folder / f"{network}.pth"
    state = random_backbone(built.backbone, seed=0, images=scaled)
    torch.save(
        {key: each for key, each in state.items() if not key.startswith(built.backbone.left_out)}, path
    )
    return path


def main(
    network: str, side: int, cohort: str, weights: Path | str, epochs: int, seeds: int, results: str
) -> dict[str, Any]:
    """Train all seeds and return how many runs and training images there were."""
    torch.set_num_threads(1)
    opened = open_cohort(cohort, TissueParameters(), progress=False)
    os.environ["ALS_RESULTS"] = results  # only now: the cohort itself may be there already
    split = published_split(opened)
    recipe = replace(RECIPES[network], side=side, epochs=epochs)
    images = training_images(recipe, opened, split)
    runs = train_recipe(
        recipe, opened, split, range(seeds), images, weights=str(weights),
        runs=results_folder() / "runs", features=results_folder() / "features",
    )  # fmt: skip
    return {"runs": len(runs), "training_images": len(images.training_rows(split))}


if __name__ == "__main__":
    network, side, cohort, weights, epochs, seeds, results = sys.argv[1:]
    print(json.dumps(main(network, int(side), cohort, weights, int(epochs), int(seeds), results)))
