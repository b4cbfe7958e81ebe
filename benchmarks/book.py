"""The whole book from nothing, and again with nothing to do, in a copy of this checkout: time and memory.

`python -m benchmarks.book COHORT PROFILE FOLDER` prints what it took as JSON. The copy is left in FOLDER.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from als_core.storage import repository
from benchmarks.measuring import cost

MADE = (".git", ".venv", ".snakemake", "_build", "logs", "results", "__pycache__")
EVERY = 0.5  # seconds between two looks at the memory


def made(folder: str, names: list[str]) -> set[str]:
    """What to leave out of a folder of the checkout: `shutil.copytree` asks."""
    return set(MADE) if Path(folder) == repository() else {"__pycache__"}


class Memory(threading.Thread):
    """Looks on at the memory of this process's descendants: `peak`, bytes resident at once, pages they share
    counted in each, and `largest`, of one process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = self.largest = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(EVERY):
            sizes = []
            for process in psutil.Process().children(recursive=True):
                try:
                    sizes.append(process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            self.peak, self.largest = max(self.peak, sum(sizes)), max(self.largest, *sizes, 0)


def build(root: Path, cohort: str, profile: str) -> dict[str, float | str]:
    """One `als book`: seconds by the clock and of the processor, GB, and the last line it printed."""
    command = [sys.executable, "-m", "als_core", "book", cohort, "--profile", profile]
    environment = {name: value for name, value in os.environ.items() if name != "ALS_RESULTS"}
    environment["PYTHONPATH"] = str(root)
    answers: list[str] = []

    def work() -> None:
        done = subprocess.run(
            command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        answers.extend(done.stdout.strip().splitlines())

    memory = Memory()
    memory.start()
    spent = cost(work)
    memory.ended.set()
    memory.join()
    gigabytes = {"peak_gb": memory.peak / 1e9, "largest_process_gb": memory.largest / 1e9}
    return spent | gigabytes | {"said": answers[-1], "pages": sum(": made in" in line for line in answers)}


def main(cohort: str, profile: str, folder: Path) -> dict:
    root = Path(shutil.copytree(repository(), folder / "checkout", ignore=made))
    return {"profile": profile, "first": build(root, cohort, profile), "again": build(root, cohort, profile)}


if __name__ == "__main__":
    cohort, profile, folder = sys.argv[1:]
    print(json.dumps(main(cohort, profile, Path(folder))))
