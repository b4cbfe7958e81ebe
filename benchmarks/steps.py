"""Training steps of one network at one side: the ordinary script, the same with kept memory, and ours in both precisions.

`python -m benchmarks.steps NETWORK SIDE ROUNDS FOLDER` prints costs as JSON. FOLDER holds PNG images.
"""

from __future__ import annotations

import ctypes
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from als_core.models.stages import first_live_stage, set_trainable
from als_core.models.tissue import build_tissue_network
from als_core.models.weights import calibrate_batch_norm
from als_core.training.fit import class_scores, first_run_stage, fit
from als_core.training.memory import M_MMAP_MAX, M_TRIM_THRESHOLD, keep_freed_memory
from als_core.training.prefix import IMAGENET_SCALING, frozen_inputs, image_inputs
from als_core.training.recipes import RECIPES, Recipe
from benchmarks import ordinary
from benchmarks.measuring import alternated, cost

CPU = torch.device("cpu")
M_MMAP_THRESHOLD = -3  # malloc.h of glibc
HEADS = ("resnet18", "densenet121")
# at 400 pixels less than the published batch where that would not fit into memory, or where it does not matter
SMALLER_BATCH = {"basic_cnn": 32, "resnet18": 32, "densenet121": 16}
IMAGES_AT_128 = 512  # workers start once an epoch: few images would charge them to the ordinary script


def give_memory_back() -> None:
    """glibc as it is after a first large tensor was freed: those above 32 MB go back to the system at once."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 65536)
    libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
    libc.mallopt(M_TRIM_THRESHOLD, 64 << 20)
    libc.malloc_trim(0)


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


def inputs_of(recipe: Recipe, network, images: np.ndarray):
    cut = first_run_stage(recipe, network)
    dtype = next(network.parameters()).dtype
    if not cut:
        return image_inputs([images], IMAGENET_SCALING, dtype, CPU)
    storage = "fp64" if dtype == torch.float64 else "fp32"
    return frozen_inputs(network.stages[:cut], [images], IMAGENET_SCALING, storage=storage, device=CPU,
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


def main(name: str, side: int, rounds: int, folder: Path) -> dict:
    torch.set_num_threads(1)
    files = sorted(folder.glob("*.png"))
    recipe = replace(RECIPES[name], side=side, epochs=1, copies=1, checkpoint="last epoch")
    if side > 128:
        recipe = replace(recipe, batch_size=SMALLER_BATCH.get(name, recipe.batch_size))
    count = recipe.batch_size if side > 128 else IMAGES_AT_128
    chosen = [files[i % len(files)] for i in range(count)]
    labels = [i % 3 for i in range(count)]
    pictures = [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in chosen]
    images = np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA) for each in pictures])
    ours, plain = same_start(name, side, torch.float32)
    adam, loader = optimiser(plain, recipe), loader_of(chosen, labels, side, recipe.batch_size)
    rows, targets = torch.arange(count), torch.tensor(labels)
    reduced = replace(recipe, precision="bf16")

    def ordinary_way(keeping: bool) -> None:
        give_memory_back()  # workers are forked: what the process holds then is copied when it is written to
        if keeping:
            keep_freed_memory()
        ordinary.train_epoch(plain, adam, loader)

    def our_way(recipe: Recipe, inputs) -> None:
        keep_freed_memory()
        fit(recipe, ours, inputs, targets, rows, rows[:0], seed=0)

    ways = {}
    told = {"batch": recipe.batch_size, "images": count, "prefix": {}}
    keep_freed_memory()
    if name not in HEADS:
        # ours first, while what the warm-up took is still kept; the next round goes the other way
        for kind in (recipe, reduced):
            given: list = []
            told["prefix"][kind.precision] = cost(
                lambda k=kind, g=given: g.append(inputs_of(k, ours, images))
            )
            ways[kind.precision] = partial(our_way, kind, given[0])
            fit(kind, ours, given[0], targets, rows[: recipe.batch_size], rows[:0], seed=0)  # warms up
    ways["ordinary, memory kept"] = partial(ordinary_way, True)
    ways["ordinary"] = partial(ordinary_way, False)
    told["costs"] = alternated(ways, rounds)
    if name not in HEADS:
        told["difference in double"] = difference_in_double(recipe, images)
        told["cut"] = first_live_stage(ours)
    else:
        # the network may have trained by now: both heads get the same values again
        plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
        shown = images[:32]
        given = image_inputs([shown], IMAGENET_SCALING, torch.float32, CPU).batch(torch.arange(len(shown)))
        with torch.no_grad():
            theirs = plain.eval()(given)
        scores = class_scores(recipe, ours, inputs_of(recipe, ours, shown), torch.arange(len(shown)))
        told["difference"] = (scores - theirs).abs().max().item()
        told["other predictions"] = int((scores.argmax(1) != theirs.argmax(1)).sum())
    return told


if __name__ == "__main__":
    network, side, rounds, folder = sys.argv[1:]
    print(json.dumps(main(network, int(side), int(rounds), Path(folder))))
