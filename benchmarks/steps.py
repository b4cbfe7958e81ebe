"""One epoch of one network at one side, the ordinary way or ours, in a process of its own; and whether both are equal.

`python -m benchmarks.steps NETWORK SIDE WAY FOLDER` prints costs as JSON. WAY: `ordinary`, `ordinary, memory kept`,
`fp32`, `bf16`, `equality`, each of these three also with ` compiled`. FOLDER holds PNG images.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from als_core.training.memory import keep_freed_memory
from torch.utils.data import DataLoader

from als_core.models.stages import IMAGENET_SCALING, first_live_stage, set_trainable
from als_core.models.weights import calibrate_batch_norm
from als_core.studies.xia2024.networks import build_tissue_network
from als_core.studies.xia2024.recipes import RECIPES
from als_core.training.features import frozen_inputs, image_inputs
from als_core.training.fit import class_scores, first_run_stage, fit
from als_core.training.recipe import Recipe
from benchmarks import ordinary
from benchmarks.measuring import cost

CPU = torch.device("cpu")
HEADS = ("resnet18", "densenet121")
# at 400 pixels less than the published batch where that would not fit into memory
SMALLER_BATCH = {"basic_cnn": 32}
SHOWN = 32  # images whose predictions are compared
EPOCHS = 3  # of ours, beyond a first one: what they cost more than that one alone leaves out a run's start
IMAGES_AT_128 = 512  # workers start once an epoch: few images would charge them to the ordinary script


def same_start(name: str, side: int, dtype: torch.dtype):
    """Our network and the ordinary one with the same values, and what trains set in both."""
    ours, plain = (
        build_tissue_network(name, side=side, seed=0).to(dtype),
        ordinary.network(name, side).to(dtype),
    )
    set_trainable(ours, RECIPES[name].trains)
    values = ours.state_dict().values()
    plain.load_state_dict(dict(zip(plain.state_dict(), values, strict=True)))
    return ours, plain


def inputs_of(recipe: Recipe, network, images: np.ndarray, device: torch.device = CPU):
    cut = first_run_stage(recipe, network)
    dtype = next(network.parameters()).dtype
    if not cut:
        return image_inputs([images], IMAGENET_SCALING, dtype, device)
    storage = "fp64" if dtype == torch.float64 else "fp32"
    return frozen_inputs(network.stages[:cut], [images], IMAGENET_SCALING, storage=storage, device=device,
                         folder=None, precision=recipe.precision)  # fmt: skip


def optimiser(model, recipe: Recipe) -> torch.optim.Adam:
    trained = [each for each in model.parameters() if each.requires_grad]
    return torch.optim.Adam(trained, recipe.learning_rate, weight_decay=recipe.weight_decay)


def loader_of(files, labels, side: int, batch: int) -> DataLoader:
    return DataLoader(ordinary.Pictures(files, labels, side), batch, shuffle=True, num_workers=2)


def difference_in_double(recipe: Recipe, images: np.ndarray) -> float:
    """Largest difference of a score after three Adam steps on eight small images, both in double precision."""
    side, rows = 64, torch.arange(8)
    small = np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA) for each in images[:8]])
    labels = rows % 3
    ours, plain = same_start(recipe.network, side, torch.float64)
    scaled = image_inputs([small], IMAGENET_SCALING, torch.float64, CPU).batch(rows)
    calibrate_batch_norm(ours, scaled)
    plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
    recipe = replace(recipe, side=side, batch_size=8, epochs=3, precision="fp32", checkpoint="last epoch")
    inputs = inputs_of(recipe, ours, small)
    fit(recipe, ours, inputs, labels, rows, rows[:0], seed=0)
    adam = optimiser(plain, recipe)
    for _ in range(3):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(plain(scaled), labels).backward()
        adam.step()
    with torch.no_grad():
        return (plain.eval()(scaled) - class_scores(recipe, ours, inputs, rows)).abs().max().item()


class Given:
    """The images of one epoch of a network at a side, and its recipe.

    count: how many images, in batches of the published size; None for what a CPU can do (see the constants).
    """

    def __init__(self, name: str, side: int, folder: Path, count: int | None = None):
        files = sorted(folder.glob("*.png"))
        self.recipe = replace(RECIPES[name], side=side, epochs=1, copies=1, checkpoint="last epoch")
        if side > 128 and count is None:
            self.recipe = replace(self.recipe, batch_size=SMALLER_BATCH.get(name, self.recipe.batch_size))
        self.count = count or (self.recipe.batch_size if side > 128 else IMAGES_AT_128)
        self.files = [files[i % len(files)] for i in range(self.count)]
        self.labels = [i % 3 for i in range(self.count)]

    def pixels(self, count: int) -> np.ndarray:
        side = (self.recipe.side, self.recipe.side)
        pictures = (cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in self.files[:count])
        return np.stack([cv2.resize(each, side, interpolation=cv2.INTER_AREA) for each in pictures])


def ordinary_epoch(given: Given) -> dict[str, Any]:
    """What one epoch of the ordinary script costs, after one step that is not measured."""
    _, plain = same_start(given.recipe.network, given.recipe.side, torch.float32)
    adam, batch = optimiser(plain, given.recipe), given.recipe.batch_size
    ordinary.train_epoch(plain, adam, loader_of(given.files[:batch], given.labels[:batch], given.recipe.side, batch))  # fmt: skip
    loader = loader_of(given.files, given.labels, given.recipe.side, batch)
    return {"cost": cost(lambda: ordinary.train_epoch(plain, adam, loader))}


def our_epoch(given: Given, way: str) -> dict[str, Any]:
    """What an epoch of ours costs, and what comes but once: the prefix, a first step, the start of a run.

    A run folds its frozen stages at its start, once for up to 250 epochs. So an epoch is a third of what a run of four
    epochs costs more than a run of one.
    """
    precision, *compiled = way.split()
    recipe = replace(given.recipe, precision=precision, compiled=bool(compiled))
    keep_freed_memory()
    ours, _ = same_start(recipe.network, recipe.side, torch.float32)
    images, found = given.pixels(given.count), []
    told: dict[str, Any] = {"prefix": cost(lambda: found.append(inputs_of(recipe, ours, images)))}
    rows, targets = torch.arange(given.count), torch.tensor(given.labels)

    def run(epochs: int, chosen: torch.Tensor) -> None:
        fit(replace(recipe, epochs=epochs), ours, found[0], targets, chosen, rows[:0], seed=0)

    told["first step"] = cost(lambda: run(1, rows[: recipe.batch_size]))
    # kept memory grows in a run's first steps only: these are not an epoch's
    run(EPOCHS, rows[: recipe.batch_size])
    one, more = (cost(lambda epochs=epochs: run(epochs, rows)) for epochs in (1, 1 + EPOCHS))
    epoch = {by: (more[by] - one[by]) / EPOCHS for by in one}
    start = {by: one[by] - epoch[by] for by in one}
    return told | {"cost": epoch, "start": start, "cut": first_live_stage(ours)}


def equality(given: Given) -> dict[str, Any]:
    """How far ours and the ordinary network are apart: heads on the same images in fp32, others after three steps."""
    recipe = given.recipe
    if recipe.network not in HEADS:
        return {"difference in double": difference_in_double(recipe, given.pixels(8))}
    ours, plain = same_start(recipe.network, recipe.side, torch.float32)
    shown, rows = given.pixels(SHOWN), torch.arange(SHOWN)
    with torch.no_grad():
        theirs = plain.eval()(image_inputs([shown], IMAGENET_SCALING, torch.float32, CPU).batch(rows))
    scores = class_scores(recipe, ours, inputs_of(recipe, ours, shown), rows)
    return {
        "difference": (scores - theirs).abs().max().item(),
        "other predictions": int((scores.argmax(1) != theirs.argmax(1)).sum()),
    }


def main(name: str, side: int, way: str, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    given = Given(name, side, folder)
    told = {"batch": given.recipe.batch_size, "images": given.count}
    kind, *compiled = way.split()
    if kind == "equality":
        shown = Given(name, side, folder, SHOWN)
        shown.recipe = replace(shown.recipe, compiled=bool(compiled))
        return told | equality(shown)
    if way == "ordinary, memory kept":
        keep_freed_memory(huge_pages=False)
    return told | (ordinary_epoch(given) if way.startswith("ordinary") else our_epoch(given, way))


if __name__ == "__main__":
    network, side, way, folder = sys.argv[1:]
    print(json.dumps(main(network, int(side), way, Path(folder))))
