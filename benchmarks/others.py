"""The other comparisons: augmentation, three-dimensional occlusion, nested classifiers, reduced precision, growth, profile.

`python -m benchmarks.others PART ROUNDS COHORT` prints what it found as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import ordinary
from benchmarks.measuring import alternated, cost, give_memory_back


def augmentation(rounds: int, cohort: str) -> dict:
    """Nine augmentations of the training images: serially to PNG files, then ours the first and the second time."""
    from als_core.cohorts.cohort import Cohort
    from als_core.studies.xia2024.augmentation import AUGMENTATIONS, FIGURE_5
    from als_core.studies.xia2024.augmented_set import augmented_set
    from als_core.studies.xia2024.splits import published_split

    loaded = Cohort.load(Path(cohort))
    rows = published_split(loaded).rows("train")
    files = [loaded.folder / loaded.samples["path"][row] for row in rows]
    images, generator = loaded.images(rows), np.random.default_rng(0)
    chosen = [AUGMENTATIONS[name] for name in FIGURE_5]
    methods = [partial(each, generator=generator) if each.random else each for each in chosen]
    costs = defaultdict(list)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            costs["ordinary"].append(cost(lambda f=folder: ordinary.augment(files, methods, Path(f))))
            for time in ("first", "second"):
                work = lambda f=folder: augmented_set(images, FIGURE_5, 0, Path(f) / "ours", progress=False)  # noqa: E731
                costs[time].append(cost(work))
            made = work()
    place = len(images)
    same = all(
        np.array_equal(made.images[place * (1 + number) + row], chosen[number](images[row]))
        for number in range(len(chosen)) if not chosen[number].random for row in (0, place - 1)
    )  # fmt: skip
    return {"costs": costs, "same": same, "images": place}


def occlusion(rounds: int, cohort: str) -> dict:
    """One map of the slides' network at 4 mm: one pass a position, batched, and by receptive field."""
    from als_core.training.memory import keep_freed_memory
    from torch import nn

    from als_core.explain.occlusion import occlusion as ours
    from als_core.studies.brains.networks import panagiotaras_network

    class Opaque(nn.Module):  # hides that the network is a sequence: every position runs in full, in batches
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, volumes):
            return self.network(volumes)

    torch.set_num_threads(1)
    shape, patch = (45, 50, 45), 5
    network = panagiotaras_network(shape, "small", seed=0).eval()
    opaque = Opaque(network).eval()
    volume = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    found = {}

    def way(name, memory, work):
        memory()
        found[name] = work()

    def kept():
        keep_freed_memory(huge_pages=False)  # those could not be given back for the next way

    plainly = lambda: ordinary.occlude(network, volume, 0, patch)  # noqa: E731
    ways = {
        "ordinary": (give_memory_back, plainly),
        "ordinary, memory kept": (kept, plainly),
        "batched": (kept, lambda: ours(opaque, volume, 0, patch=patch)),
        "receptive field": (kept, lambda: ours(network, volume, 0, patch=patch)),
    }
    costs = alternated({name: partial(way, name, *what) for name, what in ways.items()}, rounds)
    plain = torch.from_numpy(found["ordinary"]).float()
    for axis in range(3):
        plain = plain.repeat_interleave(patch, axis)
    scale = plain.abs().max().item()
    differences = {name: (found[name].reshape(plain.shape) - plain).abs().max().item() / scale for name in ("batched", "receptive field")}  # fmt: skip
    return {"costs": costs, "differences": differences, "positions": int(found["ordinary"].size)}


def classifiers(rounds: int, cohort: str) -> dict:
    """Eight methods on three tables by nested cross-validation: plain loops of scikit-learn, and ours on all cores."""
    import os

    import pandas as pd
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import Pipeline
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    from als_core.studies.turrisi2024.classifiers import METHODS, in_pipeline
    from als_core.studies.turrisi2024.nested_cv import study
    from als_core.studies.turrisi2024.small_network import SmallNetwork

    torch.set_num_threads(1)
    generator, n = np.random.default_rng(0), 90
    positive = np.arange(n) % 3 > 0
    tables = {name: pd.DataFrame(generator.normal(size=(n, width)) + 0.3 * positive[:, None] * (np.arange(width) < 10))
              for name, width in (("Radiomics", 107), ("DL7", 256), ("DL8", 128))}  # fmt: skip
    answers: dict[str, list] = {}

    def plain() -> None:
        answers["ordinary"] = []
        for method in METHODS.values():
            for table in tables.values():
                features, labels = table.to_numpy(float), positive.astype(int)
                for train, test in StratifiedKFold(3, shuffle=True, random_state=42).split(features, labels):
                    if method.is_network:
                        for trial in range(5):  # one network after the other
                            network = SmallNetwork(watch="training" if method.name == "DNNt" else "validation", trials=1, random_state=trial)  # fmt: skip
                            steps = [
                                ("scale", StandardScaler()),
                                ("smote", SMOTE(random_state=42)),
                                ("classify", network),
                            ]
                            Pipeline(steps).fit(features[train], labels[train]).predict(features[test])
                        continue
                    steps = [
                        ("scale", StandardScaler()),
                        ("smote", SMOTE(random_state=42)),
                        ("classify", method.make(42)),
                    ]
                    inner = StratifiedKFold(3, shuffle=True, random_state=42)
                    grid = {key: list(values) for key, values in in_pipeline(method.grid).items()}
                    search = GridSearchCV(Pipeline(steps), grid, scoring="balanced_accuracy", cv=inner)
                    answers["ordinary"] += (
                        search.fit(features[train], labels[train]).predict(features[test]).tolist()
                    )

    def ours() -> None:
        found = study(tables, positive, jobs=os.cpu_count() or 1)
        classical = found.predictions[~found.predictions["method"].str.startswith("DNN")]
        answers["ours"] = classical["answer"].astype(int).tolist()

    costs = alternated({"ordinary": plain, "ours": ours}, rounds)
    other = int(np.sum(np.array(answers["ordinary"]) != np.array(answers["ours"])))
    return {
        "costs": costs,
        "subjects": n,
        "answers": len(answers["ours"]),
        "other answers": other,
        "jobs": os.cpu_count(),
    }


def _small_run(images: np.ndarray, network: str, precision: str, epochs: int, nudge: float = 0.0):
    """Predictions of ResNet18+SE or another recipe on all images after some epochs on the first two thirds."""
    from als_core.studies.xia2024.recipes import RECIPES
    from als_core.training.features import Inputs, as_input
    from als_core.training.fit import class_scores, fit
    from benchmarks.steps import inputs_of, same_start

    side, labels = images.shape[1], torch.arange(len(images)) % 3
    ours, _ = same_start(network, side, torch.float32)
    from als_core.models.stages import IMAGENET_SCALING
    from als_core.models.weights import calibrate_batch_norm

    calibrate_batch_norm(ours, as_input(torch.from_numpy(images), IMAGENET_SCALING))
    recipe = replace(RECIPES[network], side=side, epochs=epochs, batch_size=16, precision=precision, checkpoint="last epoch")  # fmt: skip
    inputs = inputs_of(recipe, ours, images)
    if nudge:  # of what the first trained stage gets: stored maps, or images once they are scaled
        maps = (
            as_input(block, inputs.scaling).permute(0, 2, 3, 1) if block.dtype == torch.uint8 else block
            for block in inputs.blocks
        )
        inputs = Inputs(
            tuple(each * (1 + nudge) for each in maps), inputs.scaling, inputs.dtype, inputs.device
        )
    rows, train = torch.arange(len(images)), torch.arange(len(images) * 2 // 3)
    fit(recipe, ours, inputs, labels, train, rows[:0], seed=0)
    return class_scores(recipe, ours, inputs, rows).softmax(1)


def precision(rounds: int, cohort: str) -> dict:
    """What bf16 changes in predictions, beside what a change of 1e-6 in the inputs changes in fp32."""
    from als_core.cohorts.cohort import Cohort
    from als_core.studies.xia2024.recipes import RECIPES
    from als_core.training.images import resized
    from benchmarks.steps import HEADS

    torch.set_num_threads(1)
    images = resized(Cohort.load(Path(cohort)).images(), 64)
    epochs, found = 10, {}
    for network in (each for each in RECIPES if each not in HEADS):
        exact = _small_run(images, network, "fp32", epochs)
        others = {
            "noise floor": _small_run(images, network, "fp32", epochs, nudge=1e-6),
            "bf16": _small_run(images, network, "bf16", epochs),
        }
        found[network] = {
            name: {"other predictions": int((shares.argmax(1) != exact.argmax(1)).sum()),
                   "largest difference of a share": (shares - exact).abs().max().item()}
            for name, shares in others.items()
        }  # fmt: skip
    return {"images": len(images), "epochs": epochs, "networks": found}


def growth(rounds: int, cohort: str) -> dict:
    """Cost of ResNet18+SE at 64 pixels, prefix and one epoch, against the number of (random) images."""
    from als_core.training.memory import keep_freed_memory

    from als_core.studies.xia2024.recipes import RECIPES
    from als_core.training.fit import fit
    from benchmarks.steps import inputs_of, same_start

    torch.set_num_threads(1)
    keep_freed_memory()
    generator, found = np.random.default_rng(0), []
    recipe = replace(RECIPES["resnet18_se"], side=64, epochs=1, batch_size=95, checkpoint="last epoch")
    for n in (95, 95, 190, 380, 760):  # the first once more: it warms up
        images = generator.integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
        network, _ = same_start("resnet18_se", 64, torch.float32)
        given: list = []
        prefix = cost(lambda i=images, w=network, g=given: g.append(inputs_of(recipe, w, i)))
        rows = torch.arange(n)
        epoch = cost(lambda w=network, r=rows, g=given: fit(recipe, w, g[0], r % 3, r, r[:0], seed=0))
        found.append({"images": n, "prefix": prefix["processor"], "epoch": epoch["processor"]})
    return {"sizes": found[1:]}


KINDS = {
    "convolutions": ("convolution_backward", "mkldnn_convolution", "_slow_conv", "thnn_conv"),
    "batch norm": ("batch_norm",),
    "pooling": ("pool", "scatter"),
    "linear layers": ("addmm", "aten::mm", "bmm"),
    "Adam": ("fused_adam",),
    "copies and joins": ("copy_", "aten::cat", "index"),
}


def profile(rounds: int, cohort: str) -> dict:
    """Where a training step of ours spends its processor time at 128 pixels, by kind of operation, as shares."""
    from als_core.training.memory import keep_freed_memory
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    from als_core.studies.xia2024.recipes import RECIPES
    from als_core.training.fit import fit
    from benchmarks.steps import HEADS, inputs_of, same_start

    torch.set_num_threads(1)
    keep_freed_memory()
    images = np.random.default_rng(0).integers(0, 256, (64, 128, 128, 3), dtype=np.uint8)
    rows, shares = torch.arange(64), {}
    for name in (each for each in RECIPES if each not in HEADS):
        recipe = replace(RECIPES[name], side=128, epochs=1, batch_size=32, checkpoint="last epoch")
        network, _ = same_start(name, 128, torch.float32)
        inputs = inputs_of(recipe, network, images)
        fit(recipe, network, inputs, rows % 3, rows, rows[:0], seed=0)
        with profiled(activities=[ProfilerActivity.CPU]) as found:
            fit(recipe, network, inputs, rows % 3, rows, rows[:0], seed=0)
        spent: dict[str, float] = defaultdict(float)
        for each in found.key_averages():
            kind = next(
                (kind for kind, words in KINDS.items() if any(word in each.key for word in words)), "all else"
            )
            spent[kind] += each.self_cpu_time_total
        shares[name] = {kind: value / sum(spent.values()) for kind, value in spent.items()}
    return {"shares": shares}


PARTS = {each.__name__: each for each in (augmentation, occlusion, classifiers, precision, growth, profile)}

if __name__ == "__main__":
    part, rounds, cohort = sys.argv[1:]
    print(json.dumps(PARTS[part](int(rounds), cohort)))
