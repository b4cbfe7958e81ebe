"""Measure the companion against an ordinary script and write results/latest.json: `make bench`.

The rows are those of comparisons.csv, with their targets. Each way runs in a fresh process with PyTorch on one thread.
A part replaces its rows when it is finished; rows of another machine are dropped, so all ratios are of one.

| part        | what is measured                                                                       |
|-------------|----------------------------------------------------------------------------------------|
| `steps`     | an epoch of the four networks that train inside, seconds per image                     |
| `heads`     | ResNet18 and DenseNet121: all epochs and seeds from a cold start, seconds              |
| `occlusion` | an occlusion map in three dimensions, seconds                                          |
| `book`      | nothing is run: the seconds that the pages of the last built book recorded             |
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import torch
from PIL import Image

from als_core.book.contents import book_pages, made_book, page_folder
from als_core.book.execute import PAGE
from als_core.book.freshness import stamp_of
from als_core.storage import atomic_write
from als_core.studies.xia2024.cohort import choose, open_cohort
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.synthetic import TissueParameters
from als_core.training.images import resized
from benchmarks.heads import write_weights
from benchmarks.measuring import Cost, Runner, alternate, compared, in_fresh_process

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results" / "latest.json"
COMPARISONS = pd.read_csv(FOLDER / "comparisons.csv")


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The defaults are the sizes of the table's targets.

    step_images, head_images : images in a measured epoch, of a training step and of the ordinary script for a head.
    epochs : int or None
        Of a cold run; None is the published number.
    """

    step_side: int = 128
    head_side: int = 400
    step_images: int = 512
    head_images: int = 256
    epochs: int | None = None
    seeds: int = 5
    volume_side: int = 45
    patch: int = 5
    rounds: int = 2


class Bench:
    """One run of the benchmarks on one cohort.

    cohort: name or folder, as `open_cohort` takes it. folder: empty, for images, weights and results. run: starts one
    way of a comparison. results: the file that is written.
    """

    def __init__(
        self, cohort: str, folder: Path, run: Runner, sizes: Sizes = Sizes(), results: Path = RESULTS
    ):
        self.cohort_name, self.folder, self.run, self.sizes, self.results = (
            cohort,
            folder,
            run,
            sizes,
            results,
        )
        self.cohort = open_cohort(cohort, TissueParameters(), progress=False)
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        for number in range(len(self.cohort.labels)):
            Image.fromarray(self.cohort.image(number)).save(self.pictures / f"{number:03d}.png")

    def steps(self) -> list[dict[str, Any]]:
        """Measure an epoch of the networks that train inside; costs are divided by its images."""
        sizes, rows = self.sizes, []
        for network, wanted in self._wanted("steps"):
            once: dict[str, float] = {}

            def measure(way: str, network=network, once=once) -> Cost:
                found, _ = self._step(network, sizes.step_side, way, sizes.step_images)
                once[way] = found.get("once", 0.0)
                return {by: seconds / sizes.step_images for by, seconds in found["cost"].items()}

            costs = self._alternate(measure, ["ordinary", *wanted])
            apart = self._step(network, sizes.step_side, "equality", sizes.step_images)[0]["difference"]
            rows += [
                compared(network, way, costs["ordinary"], costs[way], once_seconds=once[way],
                         difference=apart if way == "fp32" else None)
                for way in wanted
            ]  # fmt: skip
        return rows

    def heads(self) -> list[dict[str, Any]]:
        """Run recipes that train a head from a cold start; of the ordinary script one epoch in part, multiplied."""
        sizes, rows = self.sizes, []
        for network, wanted in self._wanted("heads"):
            shown = resized(self.cohort.images(range(16)), min(128, sizes.head_side))
            weights = write_weights(network, shown, self.folder)
            epochs = sizes.epochs or RECIPES[network].epochs
            share = sizes.seeds * epochs * self._training_images(network) / sizes.head_images

            def measure(way: str, network=network, weights=weights, epochs=epochs, share=share) -> Cost:
                if way == "ordinary":
                    found, _ = self._step(network, sizes.head_side, way, sizes.head_images)
                    return {by: seconds * share for by, seconds in found["cost"].items()}
                arguments = (network, sizes.head_side, self.cohort_name, weights, epochs, sizes.seeds)
                with tempfile.TemporaryDirectory(dir=self.folder) as empty:
                    return self.run("benchmarks.heads", *arguments, empty)[1]

            costs = self._alternate(measure, ["ordinary", *wanted])
            apart = self._step(network, sizes.head_side, "equality", sizes.head_images)[0]["difference"]
            rows += [
                compared(network, way, costs["ordinary"], costs[way], difference=apart, ordinary_scaled=share)
                for way in wanted
            ]
        return rows

    def occlusion(self) -> list[dict[str, Any]]:
        """Measure an occlusion map of a brain volume."""
        size, rows = (self.sizes.volume_side, self.sizes.patch), []
        for subject, wanted in self._wanted("occlusion"):
            costs = self._alternate(
                lambda way: self.run("benchmarks.occlusion", way, *size)[0]["cost"], ["ordinary", *wanted]
            )
            apart, _ = self.run("benchmarks.occlusion", "equality", *size)
            rows += [
                compared(subject, way, costs["ordinary"], costs[way], difference=apart[way]) for way in wanted
            ]
        return rows

    def write(self, part: str) -> None:
        """Measure a part and put its rows in place of earlier ones in the results file."""
        found = json.loads(self.results.read_text()) if self.results.exists() else {}
        if found.get("device") != device():
            found = {"rows": [], "book": None}
        found |= {
            "device": device(),
            "versions": {each.__name__: each.__version__ for each in (torch, cv2)},
            "cohort": self.cohort.name,
        }
        if part == "book":
            found["book"] = recorded_book()
        else:
            stamp = {"measured": datetime.now(UTC).date().isoformat()}
            rows = [{"part": part} | row | stamp for row in getattr(self, part)()]
            found["rows"] = [row for row in found["rows"] if row["part"] != part] + rows
        with atomic_write(self.results) as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n")

    def _wanted(self, part: str) -> list[tuple[str, list[str]]]:
        chosen = COMPARISONS[COMPARISONS["part"] == part]
        return [(subject, rows["way"].tolist()) for subject, rows in chosen.groupby("subject", sort=False)]

    def _alternate(self, measure: Any, ways: Sequence[str]) -> dict[str, list[Cost]]:
        return alternate({way: partial(measure, way) for way in ways}, self.sizes.rounds)

    def _step(self, network: str, side: int, way: str, count: int) -> tuple[dict[str, Any], Cost]:
        return self.run("benchmarks.steps", network, side, way, self.pictures, count)

    def _training_images(self, network: str) -> int:
        return RECIPES[network].copies * len(published_split(self.cohort).rows("train"))


PARTS = ("occlusion", "steps", "heads", "book")


def recorded_book() -> dict[str, Any] | None:
    """Return what the pages of the last built book recorded, or None where none was built.

    seconds: of all pages, one after the other; several run at a time, so the clock shows less.
    """
    with suppress(FileNotFoundError):
        made = made_book()
        stamps = {page: stamp_of(page_folder(page, made) / PAGE) for page in book_pages()}
        spent = {page: each["seconds"] for page, each in stamps.items()}
        longest = max(spent, key=spent.__getitem__)
        return {
            "profile": made["profile"], "pages": len(spent), "seconds": round(sum(spent.values()), 1),
            "longest_page": longest, "longest_seconds": spent[longest],
        }  # fmt: skip
    return None


def device() -> str:
    """Name the processor and count its cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    """Read the command line and measure."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=Sizes.rounds, help="of each comparison")
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    chosen = options.parse_args()
    # one thread, and no GPU: the companion would use it, and the ordinary script does not
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory(prefix="als-bench-") as folder:
        run, sizes = in_fresh_process(environment), Sizes(rounds=chosen.rounds)
        bench = Bench(choose().cohort, Path(folder), run, sizes)
        for part in chosen.only:
            bench.write(part)


if __name__ == "__main__":
    main()
