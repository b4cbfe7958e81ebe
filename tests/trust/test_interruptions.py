"""Kill -9 in the middle of a job, take it up again, and find the bytes of a job nobody disturbed.

`tests/interruptions.py` does so with the whole book and records every kill in `data/trust/interruptions*.csv`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import interruptions
import psutil
import pytest

from als_core.storage import repository
from als_core.studies.brains.cohorts import open_synthetic_brains
from als_core.studies.brains.synthetic import BrainParameters
from als_core.studies.cross_paper.book_data import settle
from als_core.studies.miao2023.cohort import open_crops
from als_core.studies.miao2023.synthetic import CropParameters
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters


@pytest.fixture
def als(tmp_path, monkeypatch) -> Callable[..., psutil.Popen]:
    """Starts a job of the graph with results of its own, named by the first argument."""
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "state"))
    given = tmp_path / "state.json"
    given.write_text(json.dumps(settle("synthetic", {}, "test")[0]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def start(results: str, *job: str) -> psutil.Popen:
        (tmp_path / results).mkdir(exist_ok=True)
        cohorts = tmp_path / results / "cohorts"
        if not cohorts.exists():  # made once, as `als book` does
            cohorts.symlink_to(tmp_path / "state" / "cohorts")
        command = [sys.executable, "-m", "als_core", *job, "--state", str(given)]
        environment = os.environ | {"ALS_RESULTS": str(tmp_path / results)}
        return psutil.Popen(
            command, env=environment, cwd=repository(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    return start


def kill_when(process: psutil.Popen, ready: Callable[[], bool], later: float = 0.0) -> None:
    """Kill -9 the process and all below it as soon as something is there."""
    while not ready():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    time.sleep(later)
    assert process.poll() is None, "it ended before it could be killed"
    for each in [process, *process.children(recursive=True)]:
        each.kill()
    process.wait()


def files(folder: Path) -> dict[str, bytes]:
    """Tables and figures under a folder, by their path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in interruptions.COMPARED
    }


@pytest.mark.slow
def test_a_killed_page_is_made_again_with_the_same_bytes(als, tmp_path):
    page = "xia2024/02_augmentation"
    pages = {name: tmp_path / name / "test" for name in ("whole", "broken")}
    whole, victim = (als(name, "page", page) for name in pages)
    kill_when(victim, lambda: bool(list(pages["broken"].rglob(".02_augmentation.*/*/raw.ipynb"))), later=2)
    assert not list(pages["broken"].rglob("page.ipynb"))
    assert whole.wait() == 0 and als("broken", "page", page).wait() == 0
    made = files(pages["whole"])
    assert len(made) >= 5 and made == files(pages["broken"])
    assert not list(pages["broken"].rglob(".02_augmentation.*"))


@pytest.mark.slow
def test_a_killed_training_keeps_finished_runs_and_ends_with_the_same_bytes(als, tmp_path):
    whole, victim = (als(name, "train", "basic_cnn") for name in ("whole", "broken"))

    def finished() -> list[Path]:
        return [path for path in (tmp_path / "broken").rglob("run.json") if "/." not in path.as_posix()]

    kill_when(victim, lambda: bool(finished()))
    (run,) = finished()
    written = run.stat().st_mtime_ns
    assert whole.wait() == 0 and als("broken", "train", "basic_cnn").wait() == 0
    assert run.stat().st_mtime_ns == written, "a finished run was made again"
    made = files(tmp_path / "whole")
    assert len(made) == 4 and made == files(tmp_path / "broken")


OPENED = {
    "tissue": lambda: open_cohort("synthetic", TissueParameters(side=48, donors_per_class=2), progress=False),
    "crops": lambda: open_crops("synthetic", CropParameters(side=48)),
    "brains": lambda: open_synthetic_brains(
        BrainParameters(structure="turrisi2024", fraction=0.02), progress=False
    ),
}


@pytest.mark.parametrize("kind", OPENED)
def test_leftovers_of_a_killed_synthetic_cohort_are_removed(kind):
    first = OPENED[kind]()
    left = first.folder.parent / f".{first.folder.name}.killed"
    first.folder.rename(left)
    assert OPENED[kind]().digest == first.digest
    assert first.folder.is_dir() and not left.exists()
