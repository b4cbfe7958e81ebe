"""Run the benchmarks and write results/latest.json: `make bench`, or `python -m benchmarks --quick --only steps`.

Every part writes its rows as soon as it is done, and rows of parts that were not run stay as they were, with
the date they were measured on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from als_core.storage import atomic_write
from als_core.studies.xia2024.cohort import SYNTHETIC, choose, open_cohort
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.synthetic import TissueParameters
from benchmarks.measuring import copying_speed, in_fresh_process, row
from benchmarks.weights import stand_in

RESULTS = Path(__file__).parent / "results" / "latest.json"
SEEDS, TRAINING_IMAGES, ALL_IMAGES = 5, 1140, 190 + 1026
HEADS = ("resnet18", "densenet121")
# of issue "Fast": folded fp32, then reduced precision, at 128 and at 400 pixels
STEP_TARGETS = {
    ("resnet18_se", 128): (2.3, 4.0), ("resnet18_se", 400): (2.6, 4.8),
    ("resnet18_cbam", 128): (2.0, 2.9), ("resnet18_cbam", 400): (2.4, 4.1),
    ("miniset_densesenet", 128): (3.0, 5.0), ("miniset_densesenet", 400): (6.0, 9.5),
    ("basic_cnn", 128): (2.7, 5.0), ("basic_cnn", 400): (2.2, 5.8),
}  # fmt: skip
HEAD_TARGETS = {
    ("resnet18", 128): (280, 300), ("resnet18", 400): (1200, 1700),
    ("densenet121", 128): (850, 950), ("densenet121", 400): (3800, 5500),
}  # fmt: skip
TABLE_TARGETS = {128: (3.5, 6.0), 400: (4.6, 9.0)}
MODES = {"fp32": "folded fp32", "bf16": "reduced precision (bf16)"}
COMPILED = {"fp32 compiled": "folded fp32 compiled", "bf16 compiled": "bf16 compiled"}
COMPILED_TARGETS = {("miniset_densesenet", 128): (None, 7.5), ("miniset_densesenet", 400): (None, None)}
PLAIN = ("ordinary", "ordinary, memory kept")


class Bench:
    """One run of the benchmarks on one cohort: fresh processes, one thread each, and the file they end up in."""

    def __init__(self, chosen: str, rounds: int, room: Path, networks: Sequence[str]):
        self.chosen, self.rounds, self.room, self.networks = chosen, rounds, room, networks
        # of what takes longest, two at least where more than one is asked for: a run shall end within an afternoon
        self.fewer_rounds = min(rounds, max(2, rounds - 1))
        self.cohort = open_cohort(chosen, TissueParameters())
        # one thread, and no GPU but where a GPU is what is measured
        self.environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "ALS_RESULTS": str(room / "results")}  # fmt: skip
        self.memory: list[float] = []  # how fast it was copied before each process of the part
        self.found: dict[str, Any] = {"rows": [], "parts": {}}
        if RESULTS.exists():
            self.found = json.loads(RESULTS.read_text())

    def fresh(self, module: str, *arguments: Any, **environment: str) -> tuple[dict, dict[str, float]]:
        load = os.getloadavg()[0]
        self.memory.append(copying_speed())
        told, spent = in_fresh_process(
            f"benchmarks.{module}", *arguments, environment=self.environment | environment
        )
        return told | {"load": round(load, 1)}, spent

    def keep(self, part: str, found: Any, rows: list[dict[str, Any]]) -> None:
        """Put a part's rows in place of those it gave before, and write the file."""
        stamp = {"part": part, "device": device(), "measured": datetime.now(UTC).isoformat(timespec="minutes"),
                 "cohort": self.cohort.name, "load": round(os.getloadavg()[0], 1)}  # fmt: skip
        if self.memory:
            stamp["memory_gb_per_second"] = [
                round(edge(self.memory), 1) for edge in (min, statistics.median, max)
            ]
            self.memory.clear()
        self.found["rows"] = [each for each in self.found["rows"] if each["part"] != part] + [each | stamp for each in rows]  # fmt: skip
        self.found["parts"][part] = stamp | found
        gpu = any(name.startswith("gpu ") for name in self.found["parts"])
        self.found |= {"device": device(), "versions": versions(), "gpu": "measured" if gpu else "not measured"}  # fmt: skip
        with atomic_write(RESULTS) as temporary:
            temporary.write_text(json.dumps(self.found, indent=1) + "\n")

    def in_turns(self, name: str, side: int, ways: Sequence[str], rounds: int) -> dict[str, Any]:
        """Costs of each way in each round, each in a fresh process; a round goes through the ways, the next one back."""
        pictures = self.pictures()
        told, _ = self.fresh("steps", name, side, "equality", pictures)
        told |= {"costs": {way: [] for way in ways}, "ways": {}}
        if any(way in COMPILED for way in ways):
            told["compiled"], _ = self.fresh("steps", name, side, "equality compiled", pictures)
        for number in range(rounds):
            for way in list(ways)[:: -1 if number % 2 else 1]:
                found, _ = self.fresh("steps", name, side, way, pictures)
                told["costs"][way].append(found["cost"])
                told["ways"][way] = found
        return told

    def steps(self, sides: tuple[int, ...]) -> None:
        """The four networks that train inside: one training step, per image."""
        for side, name in ((side, name) for side in sides for name in self.networks if name not in HEADS):
            rounds = self.fewer_rounds if side > 128 else self.rounds
            targets = dict(zip(MODES, STEP_TARGETS[name, side], strict=True))
            targets |= dict(zip(COMPILED, COMPILED_TARGETS.get((name, side), ()), strict=False))
            told = self.in_turns(name, side, (*PLAIN, *targets), rounds)
            costs, rows = told["costs"], []
            for mode, target in targets.items():
                size = f"{told['images']} images in batches of {told['batch']}"
                # a difference: where it is small, noise may exceed it
                start = max(0.0, told["ways"][mode]["start"]["clock"])
                size += f"; without {start:.1f} s at the start of a run, once"
                if mode in COMPILED:
                    size += f"; without {told['ways'][mode]['first step']['clock']:.0f} s of compiling, once"
                apart = (told["compiled"] if mode in COMPILED else told)["difference in double"]
                double = f"scores to {apart:.0e} in float64 after three Adam steps"
                rows.append(
                    row(f"{RECIPES[name].name}, training step, {side} px, {(MODES | COMPILED)[mode]}", costs["ordinary"], costs[mode],
                        target=target, equal_within="not equal: see reduced precision" if "bf16" in mode else double,
                        scaled=size, network=name, side=side, mode=mode,
                        memory_kept=ratio(costs["ordinary, memory kept"], costs[mode]))
                )  # fmt: skip
            self.keep(f"steps {name} {side}", told, rows)

    def heads(self, sides: tuple[int, ...]) -> None:
        """ResNet18 and DenseNet121 from a cold start to five finished runs."""
        serial = self.found["parts"]["augmentation"]["costs"]["ordinary"]
        for side in sides:
            for name in (each for each in HEADS if each in self.networks):
                told = self.in_turns(name, side, PLAIN, self.rounds)
                _, imports = self.fresh("imports")
                recipe, rows = RECIPES[name], []
                images = SEEDS * recipe.epochs * TRAINING_IMAGES

                def whole(costs: list, images=images, told=told, imports=imports) -> list:
                    share = images / told["images"]
                    return [
                        {by: imports[by] + serial[0][by] + share * each[by] for by in each} for each in costs
                    ]

                plain, kept = (whole(told["costs"][way]) for way in PLAIN)
                some = np.stack([cv2.resize(self.cohort.image(i), (128, 128)) for i in range(16)])
                weights = stand_in(name, some, self.room)
                for mode, target in zip(MODES, HEAD_TARGETS[name, side], strict=True):
                    with tempfile.TemporaryDirectory(dir=self.room) as results:
                        parts, spent = self.fresh(
                            "heads", name, side, mode, self.cohort.folder, weights, ALS_RESULTS=results
                        )
                    told[f"ours {mode}"] = parts | {"cost": spent}
                    equal = f"{told['other predictions']} of 32 predictions differ, scores to {told['difference']:.0e}"
                    rows.append(
                        row(f"{recipe.name} recipe, cold, end to end, {side} px, {MODES[mode]}", plain, [spent] * len(plain),
                            target=target, equal_within=equal if mode == "fp32" else "not equal: see reduced precision",
                            scaled=f"ordinary: {told['images']} images measured, times {images / told['images']:.0f} for {SEEDS} seeds of {recipe.epochs} epochs; its validation left out. Ours: really run, once, its weights read from a file",
                            network=name, side=side, mode=mode, memory_kept=ratio(kept, [spent] * len(kept)))
                    )  # fmt: skip
                self.keep(f"heads {name} {side}", told, rows)

    def table(self, sides: tuple[int, ...]) -> None:
        """The whole of Table 1, from what was measured."""
        for side in sides:
            rows, parts = [], self.found["parts"]
            wanted = [f"{'heads' if name in HEADS else 'steps'} {name} {side}" for name in RECIPES]
            if not all(each in parts for each in wanted):
                continue
            for mode, target in zip(MODES, TABLE_TARGETS[side], strict=True):
                totals = {way: {"processor": 0.0, "clock": 0.0} for way in (*PLAIN, "ours")}
                for name, part in zip(RECIPES, wanted, strict=True):
                    told, images = parts[part], SEEDS * RECIPES[name].epochs * TRAINING_IMAGES
                    for by in ("processor", "clock"):
                        for way in PLAIN:
                            totals[way][by] += middle(told["costs"][way], by) * images / told["images"]
                        if name in HEADS:
                            totals["ours"][by] += told[f"ours {mode}"]["cost"][by]
                        else:
                            prefix = told["ways"][mode]["prefix"][by] * ALL_IMAGES / told["images"]
                            totals["ours"][by] += (
                                prefix + middle(told["costs"][mode], by) * images / told["images"]
                            )
                rows.append(
                    row(f"Whole of Table 1, {side} px, {MODES[mode]}", [totals["ordinary"]], [totals["ours"]], target=target,
                        equal_within="as the rows it is made of",
                        scaled="sum over six networks of measured seconds per image x 1140 images x epochs of Table 3 x 5 seeds; ours with frozen prefixes, heads as run",
                        network="all", side=side, mode=mode, memory_kept=ratio([totals["ordinary, memory kept"]], [totals["ours"]]))
                )  # fmt: skip
            self.keep(f"table {side}", {}, rows)

    def gpu(self) -> None:
        """All six networks at full size on a GPU, where there is one."""
        if not torch.cuda.is_available():
            print("No GPU: its part is not measured.")
            return
        own = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        for name in RECIPES:
            told, _ = in_fresh_process("benchmarks.gpu", name, 400, self.pictures(), "cuda", TRAINING_IMAGES, environment=own)  # fmt: skip
            self.keep(f"gpu {name}", told, [])

    def augmentation(self) -> None:
        told, _ = self.fresh("others", "augmentation", self.fewer_rounds, self.cohort.folder)
        same = "every image equal, byte by byte (a sample compared)" if told["same"] else "NOT equal"
        names = {"first": ("first time", 1), "second": ("second time (kept)", 50)}
        self.keep("augmentation", told, [
            row(f"Nine augmentations of {told['images']} images at 400 px, {name}", told["costs"]["ordinary"], told["costs"][way],
                target=target, equal_within=same, scaled="ordinary: serial OpenCV, results as PNG files")
            for way, (name, target) in names.items()
        ])  # fmt: skip

    def occlusion(self) -> None:
        told, _ = self.fresh("others", "occlusion", self.rounds, self.cohort.folder)
        names = {"batched": ("batched", 1.5), "receptive field": ("receptive field only", 5)}
        self.keep("occlusion", told, [
            row(f"Occlusion map in 3-D, {told['positions']} positions, {name}", told["costs"]["ordinary"], told["costs"][way],
                target=target, equal_within=f"{told['differences'][way]:.0e} of the largest drop, fp32",
                scaled="one volume of 45 x 50 x 45, network of the slides (small); ours keeps its freed memory",
                memory_kept=ratio(told["costs"]["ordinary, memory kept"], told["costs"][way]))
            for way, (name, target) in names.items()
        ])  # fmt: skip

    def classifiers(self) -> None:
        told, _ = self.fresh("others", "classifiers", self.fewer_rounds, self.cohort.folder)
        equal = f"{told['other answers']} of {told['answers']} answers of the six classical methods differ"
        self.keep("classifiers", told, [
            row("24 nested configurations (8 methods, 3 tables)", told["costs"]["ordinary"], told["costs"]["ours"], target=1.5, by="clock",
                equal_within=equal, scaled=f"{told['subjects']} subjects; by the clock, {told['jobs']} processes against one")
        ])  # fmt: skip

    def plain_part(self, name: str) -> None:
        """A part that gives no rows of the table: reduced precision, growth, profile."""
        self.keep(name, self.fresh("others", name, 1, self.cohort.folder)[0], [])

    def book(self) -> None:
        """The whole book in `quick`, from nothing and again; on all cores, unlike the rest."""
        environment = {key: value for key, value in self.environment.items() if key != "OMP_NUM_THREADS"}
        told, _ = in_fresh_process(
            "benchmarks.book", self.chosen, "quick", self.room, environment=environment
        )
        self.keep("book", told, [])

    def pictures(self) -> Path:
        """The cohort's images as PNG files at full size, for the ordinary script to decode."""
        from PIL import Image

        folder = self.room / "pictures"
        if not folder.exists():
            folder.mkdir()
            for number in range(len(self.cohort.labels)):
                Image.fromarray(self.cohort.image(number)).save(folder / f"{number:03d}.png")
        return folder


def middle(costs: list[dict[str, float]], by: str = "processor") -> float:
    return statistics.median(each[by] for each in costs)


def ratio(baseline: list, ours: list) -> float:
    return statistics.median(b["processor"] / o["processor"] for b, o in zip(baseline, ours, strict=True))


def device() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{name}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    import cv2
    import numpy
    import sklearn
    import torchvision

    modules = (torch, torchvision, numpy, sklearn, cv2)
    return {"python": platform.python_version()} | {each.__name__: each.__version__ for each in modules}


def parts_of(bench: Bench, sides: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    yield "augmentation", bench.augmentation
    yield "occlusion", bench.occlusion
    yield "classifiers", bench.classifiers
    yield "growth", lambda: bench.plain_part("growth")
    yield "profile", lambda: bench.plain_part("profile")
    yield "precision", lambda: bench.plain_part("precision")
    yield "steps", lambda: bench.steps(sides)
    yield "heads", lambda: bench.heads(sides)
    yield "table", lambda: bench.table(sides)
    yield "gpu", bench.gpu
    yield "book", bench.book


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3, help="of each comparison; --quick is one")
    options.add_argument(
        "--quick", action="store_const", const=1, dest="rounds", help="one round of everything"
    )
    options.add_argument("--only", nargs="*", help="names of parts: steps, heads, table, ...")
    options.add_argument("--networks", nargs="*", default=list(RECIPES), help="of steps and heads")
    options.add_argument("--sides", nargs="*", type=int, default=[128, 400])
    chosen = options.parse_args()
    name = choose().cohort
    with tempfile.TemporaryDirectory(prefix="als-bench-") as room:
        bench = Bench(name if name != "auto" else SYNTHETIC, chosen.rounds, Path(room), chosen.networks)
        for part, work in parts_of(bench, tuple(chosen.sides)):
            if chosen.only is None or part in chosen.only:
                work()


if __name__ == "__main__":
    main()
