"""One network on one GPU at full size: epochs of the ordinary script and of ours, images per second, utilisation.

`python -m benchmarks.gpu NETWORK SIDE FOLDER DEVICE IMAGES` prints JSON. FOLDER holds PNG images, of which IMAGES are
taken, over and over if need be. Times are of the clock, to the end of the work on the device. `cpu` as DEVICE runs the
same code slowly: what the tests do.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from als_core.studies.xia2024.recipes import RECIPES
from als_core.training.fit import fit
from als_core.training.heads import stacked, train_heads
from als_core.training.recipe import Recipe
from benchmarks import ordinary
from benchmarks.steps import EPOCHS, HEADS, Given, inputs_of, loader_of, optimiser, same_start

MODES = ("fp32", "bf16", "fp32 compiled", "bf16 compiled")
SEEDS = 5


def clock(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds until the device has done the work."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def peak(precision: str, device: torch.device) -> float:
    """Most floating-point operations in a second that a matrix product reaches on the device (fp32: TF32 where it has it)."""
    size = 8192 if device.type == "cuda" else 1024
    torch.backends.cuda.matmul.allow_tf32 = True  # as cuDNN's convolutions do of themselves
    matrix = torch.ones(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else None)
    clock(lambda: matrix @ matrix, device)
    return 2 * size**3 / min(clock(lambda: matrix @ matrix, device) for _ in range(5))


def ordinary_epoch(given: Given, device: torch.device) -> float:
    """Seconds of an epoch of the ordinary script, after one batch that is not measured."""
    _, plain = same_start(given.recipe.network, given.recipe.side, torch.float32)
    adam, batch = optimiser(plain.to(device), given.recipe), given.recipe.batch_size
    for files, labels in ((given.files[:batch], given.labels[:batch]), (given.files, given.labels)):
        loader = loader_of(files, labels, given.recipe.side, batch)
        spent = clock(lambda loader=loader: ordinary.train_epoch(plain, adam, loader), device)
    return spent


def our_epoch(recipe: Recipe, given: Given, images: Any, device: torch.device) -> dict[str, float]:
    """Seconds of the frozen prefix (once a recipe), of the first step and of an epoch; operations of a step, an image.

    An epoch is, as in `steps`, what a run costs more for each epoch after its first.
    """
    ours, _ = same_start(recipe.network, recipe.side, torch.float32)
    ours.to(device)
    found: list[Any] = []
    prefix = clock(lambda: found.append(inputs_of(recipe, ours, images, device)), device)
    rows, labels = torch.arange(given.count), torch.tensor(given.labels)
    batch = rows[: recipe.batch_size]

    def run(recipe: Recipe, chosen: torch.Tensor, epochs: int = 1) -> None:
        fit(replace(recipe, epochs=epochs), ours, found[0], labels, chosen, rows[:0], seed=0)

    with FlopCounterMode(display=False) as counter:
        run(replace(recipe, compiled=False), batch)
    first = clock(lambda: run(recipe, batch), device)
    one, more = (clock(lambda epochs=epochs: run(recipe, rows, epochs), device) for epochs in (1, 1 + EPOCHS))
    epoch = (more - one) / EPOCHS
    return {"prefix": prefix, "first step": first, "epoch": epoch, "operations": counter.get_total_flops() / len(batch)}  # fmt: skip


def our_heads(recipe: Recipe, given: Given, images: Any, device: torch.device) -> dict[str, float]:
    """As `our_epoch` for a head alone: all epochs of all seeds are run, and an epoch is its share of them."""
    networks = [same_start(recipe.network, recipe.side, torch.float32)[0] for _ in range(SEEDS)]
    network, found = networks[0].to(device), []
    prefix = clock(lambda: found.append(inputs_of(recipe, network, images, device)), device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        inputs_of(recipe, network, images[: recipe.batch_size], device)
    rows, features = torch.arange(given.count), found[0].batch(torch.arange(given.count)).flatten(1)
    starts = stacked([each.stages.head for each in networks]).to(device)
    labels = torch.tensor(given.labels, device=device)
    spent = clock(lambda: train_heads(recipe, features, labels, rows, rows[:0], starts, range(SEEDS)), device)
    return {"prefix": prefix, "first step": 0.0, "epoch": spent / SEEDS / recipe.epochs,
            "operations": counter.get_total_flops() / min(recipe.batch_size, given.count)}  # fmt: skip


def rates(told: Mapping[str, float], heads: bool, count: int, epochs: int, peak: float) -> dict[str, float]:
    """Images in a second, the device's utilisation, and seconds of the whole recipe (all epochs, five seeds).

    Utilisation: operations of convolutions and products in a second over the peak; of the prefix where a head trains.
    """
    speed = count / told["epoch"]
    busy = count / told["prefix"] if heads else speed
    return {
        "images per second": speed,
        "utilisation": told["operations"] * busy / peak,
        "whole": told["prefix"] + SEEDS * epochs * told["epoch"],
    }


def main(name: str, side: int, folder: Path, device_name: str, count: int) -> dict[str, Any]:
    device, given = torch.device(device_name), Given(name, side, folder, count)
    images, heads, epochs = given.pixels(count), name in HEADS, RECIPES[name].epochs
    plain = ordinary_epoch(given, device)
    told: dict[str, Any] = {"images": count, "batch": given.recipe.batch_size, "side": side, "ours": {}}
    told["on"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    told["ordinary"] = {"epoch": plain, "images per second": count / plain, "whole": SEEDS * epochs * plain}
    for mode in MODES[:2] if heads or device.type == "cpu" else MODES:
        precision, *compiled = mode.split()
        recipe = replace(given.recipe, precision=precision, compiled=bool(compiled))
        if heads:
            found = our_heads(replace(recipe, epochs=epochs), given, images, device)
        else:
            found = our_epoch(recipe, given, images, device)
        told["ours"][mode] = found | rates(found, heads, count, epochs, peak(precision, device))
    return told


if __name__ == "__main__":
    network, side, folder, device, count = sys.argv[1:]
    print(json.dumps(main(network, int(side), Path(folder), device, int(count))))
