"""A copy of this checkout without anything made, with few pages, and the command line in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import yaml

from als_core.storage import repository

COPIED = ("als_core", "book", "data", "notebooks", "profiles", "Snakefile", "_config.yml", "_toc.yml", "requirements.lock")  # fmt: skip


def copy_checkout(root: Path, also: Collection[str] = ()) -> Path:
    """Copy what a book is made from to `root`, and the files and folders named in `also`."""
    made = shutil.ignore_patterns(
        "__pycache__", "recorded", *(path.name for path in (repository() / "notebooks").iterdir())
    )
    for name in (*COPIED, *also):
        source = repository() / name
        ignore = made if name == "book" else shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, root / name, ignore=ignore) if source.is_dir() else shutil.copy(source, root)
    return root


def keep_pages(root: Path, pages: Collection[str]) -> None:
    """Leave in a copy's contents the prose, and of the pages made from notebooks only `pages`."""
    contents = yaml.safe_load((root / "_toc.yml").read_text())
    for part in contents["parts"]:
        part["chapters"] = [
            chapter
            for chapter in part["chapters"]
            if chapter["file"].count("/") == 1 or chapter["file"].removeprefix("book/") in pages
        ]
    contents["parts"] = [part for part in contents["parts"] if part["chapters"]]
    (root / "_toc.yml").write_text(yaml.safe_dump(contents, sort_keys=False))


@pytest.fixture(scope="session")
def run_in() -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command in a copy: its own modules and results, no real data."""

    def run(root: Path, *command: str) -> subprocess.CompletedProcess:
        environment = {k: v for k, v in os.environ.items() if k not in ("ALS_DATA", "ALS_RESULTS")}
        environment |= {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, check=False
        )

    return run
