"""Measure training steps of one network, the ordinary way or the companion's, in a process of its own.

`python -m benchmarks.steps NETWORK SIDE WAY FOLDER COUNT` prints costs as JSON. WAY: `ordinary`, `fp32`, `bf16`,
`bf16 compiled` or `equality`. FOLDER has PNG images, of which COUNT are shown in an epoch.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from als_core.models.stages import IMAGENET_SCALING
from als_core.models.weights import calibrate_batch_norm
from als_core.studies.xia2024.recipes import RECIPES
from als_core.training.features import Inputs, frozen_inputs, image_inputs
from als_core.training.fit import class_scores, first_run_stage, fit
from als_core.training.recipe import Recipe
from als_core.training.train import build_network
from benchmarks import ordinary
from benchmarks.measuring import Cost, between, cost, used

CPU = torch.device("cpu")
CLASSES = 3
MEASURED_EPOCHS = 3  # of the companion; one before them and one after them are not measured
EQUALITY_SIDE, EQUALITY_IMAGES = 64, 8


@dataclass(frozen=True)
class TimedInputs(Inputs):
    """Inputs that note the time at which each training step asks for its batch."""

    readings: list[Cost] = field(default_factory=list)

    def batch(self, rows: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Return the batch of `Inputs.batch`."""
        self.readings.append(used())
        return super().batch(rows, mirrored)


def networks(recipe: Recipe, dtype: torch.dtype = torch.float32):
    """Build the companion's network and the ordinary one with equal values."""
    companion = build_network(recipe, CLASSES, seed=0).to(dtype)
    plain = ordinary.network(recipe.network, recipe.side).to(dtype)
    copy_values(companion, plain)
    return companion, plain


def copy_values(companion: torch.nn.Module, plain: torch.nn.Module) -> None:
    """Copy the companion's tensors, in their order, to the ordinary network."""
    values = companion.state_dict().values()
    plain.load_state_dict(dict(zip(plain.state_dict(), values, strict=True)))


def inputs_of(recipe: Recipe, network: torch.nn.Module, images: np.ndarray) -> Inputs:
    """Return what the trained part of a network is fed: uint8 images (n, H, W, 3) or the frozen prefix's output."""
    stage = first_run_stage(recipe, network)
    if not stage:
        return image_inputs([images], IMAGENET_SCALING, next(network.parameters()).dtype, CPU)
    settings = {"device": CPU, "folder": None, "precision": recipe.precision}
    return frozen_inputs(network.stages[:stage], [images], IMAGENET_SCALING, **settings)


def adam(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Adam:
    """Return the ordinary optimiser of a recipe."""
    trained = [each for each in model.parameters() if each.requires_grad]
    return torch.optim.Adam(trained, recipe.learning_rate, weight_decay=recipe.weight_decay)


def load_pixels(files: list[Path], side: int) -> np.ndarray:
    """Decode PNG images, uint8 (n, side, side, 3)."""
    pictures = (cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files)
    return np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA) for each in pictures])


def difference_in_double(recipe: Recipe, images: np.ndarray) -> float:
    """Return the largest difference of a score after three Adam steps on small images, both in double precision.

    images : uint8 (n, 64, 64, 3)
    """
    rows = torch.arange(len(images))
    labels = rows % CLASSES
    recipe = replace(recipe, side=images.shape[1], batch_size=len(images), epochs=3, checkpoint="last epoch")
    companion, plain = networks(recipe, torch.float64)
    scaled = image_inputs([images], IMAGENET_SCALING, torch.float64, CPU).batch(rows)
    calibrate_batch_norm(companion, scaled)
    copy_values(companion, plain)
    inputs = inputs_of(recipe, companion, images)
    fit(recipe, companion, inputs, labels, rows, rows[:0], seed=0)
    optimizer = adam(plain, recipe)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(plain(scaled), labels).backward()
        optimizer.step()
    with torch.no_grad():
        return (plain.eval()(scaled) - class_scores(recipe, companion, inputs, rows)).abs().max().item()


def ordinary_epoch(recipe: Recipe, files: list[Path]) -> Cost:
    """Measure an epoch of the ordinary script, after one batch that is not measured."""
    _, plain = networks(recipe)
    optimizer, batch = adam(plain, recipe), recipe.batch_size
    labels = [number % CLASSES for number in range(len(files))]

    def epoch(count: int) -> None:
        pictures = ordinary.Pictures(files[:count], labels[:count], recipe.side)
        loader = DataLoader(pictures, batch, shuffle=True, num_workers=2)
        ordinary.train_epoch(plain, optimizer, loader)

    epoch(batch)
    return cost(lambda: epoch(len(files)))


def companion_epoch(recipe: Recipe, files: list[Path]) -> dict[str, Any]:
    """Measure an epoch of the companion's `fit`, and the clock seconds before its second epoch (folding, compiling)."""
    network = build_network(recipe, CLASSES, seed=0)
    inputs = TimedInputs(**vars(inputs_of(recipe, network, load_pixels(files, recipe.side))))
    rows = torch.arange(len(files))
    recipe = replace(recipe, epochs=MEASURED_EPOCHS + 2)
    start = used()
    fit(recipe, network, inputs, rows % CLASSES, rows, rows[:0], seed=0)
    steps = len(inputs.readings) // recipe.epochs
    first, last = inputs.readings[steps], inputs.readings[steps * (1 + MEASURED_EPOCHS)]
    epoch = {by: seconds / MEASURED_EPOCHS for by, seconds in between(first, last).items()}
    return {"cost": epoch, "once": max(0.0, between(start, first)["clock"] - epoch["clock"])}


def main(name: str, side: int, way: str, folder: Path | str, count: int) -> dict[str, Any]:
    """Measure one way and return what is printed."""
    torch.set_num_threads(1)
    found = sorted(Path(folder).glob("*.png"))
    files = [found[number % len(found)] for number in range(count)]
    recipe = replace(RECIPES[name], side=side, checkpoint="last epoch")
    if way == "equality":
        pixels = load_pixels(files[:EQUALITY_IMAGES], EQUALITY_SIDE)
        return {"difference": difference_in_double(recipe, pixels)}
    recipe = replace(recipe, batch_size=min(recipe.batch_size, count))
    if way == "ordinary":
        return {"cost": ordinary_epoch(recipe, files)}
    precision, *compiled = way.split()
    return companion_epoch(replace(recipe, precision=precision, compiled=bool(compiled)), files)


if __name__ == "__main__":
    network, side, way, folder, count = sys.argv[1:]
    print(json.dumps(main(network, int(side), way, folder, int(count))))
