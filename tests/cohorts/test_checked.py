"""A cohort is checked once: the kept result equals a new one, and any change of the input makes the check run again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from als_core.cohorts import checked
from als_core.cohorts.check import About, check_folder
from als_core.cohorts.checked import checked_folder
from als_core.cohorts.cohort import Cohort
from als_core.refusal import RefusedInput
from als_core.storage import results_folder

ABOUT = About(title="Toy", citation="Someone")


@pytest.fixture
def folder(cohort_folder) -> Path:
    """A cohort folder with one pair of near-duplicates, whose files are older than a moment."""
    made = cohort_folder()
    first, second = sorted((made / "images").iterdir())[:2]
    second.write_bytes(first.read_bytes())
    for file in (made / "images").iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    return made


@pytest.fixture
def checks(monkeypatch) -> list[Path]:
    """Folders that were checked whole, in order."""
    folders: list[Path] = []

    def counted(folder, *arguments, **options):
        folders.append(folder)
        return check_folder(folder, *arguments, **options)

    monkeypatch.setattr(checked, "check_folder", counted)
    return folders


def test_a_second_process_gets_the_same_result_without_a_check(folder, checks):
    first, again = checked_folder(folder, None, ABOUT), checked_folder(folder, None, ABOUT)
    assert len(checks) == 1
    assert first.twins, "the pair of near-duplicates is part of the result"
    for name, value in vars(first).items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, getattr(again, name))
        else:
            assert value == getattr(again, name)
    assert Cohort.load(folder).digest == Cohort.load(folder).digest and len(checks) == 2


def rewrite(folder: Path) -> None:
    file = next((folder / "images").iterdir())
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(file)


def retime(folder: Path) -> None:
    os.utime(next((folder / "images").iterdir()), ns=(1, 1_700_000_000_000_000_001))


def relabel(folder: Path) -> None:
    table = pd.read_csv(folder / "manifest.csv").assign(age=50)
    table.to_csv(folder / "manifest.csv", index=False)


def describe(folder: Path) -> None:
    (folder / "cohort.yml").write_text("title: Another")


def damage(folder: Path) -> None:
    for kept in (results_folder() / "checked").iterdir():
        kept.write_text("{")


def edit_code(folder: Path) -> None:
    checked.code_digest = lambda *_: "edited"


@pytest.mark.parametrize("change", [rewrite, retime, relabel, describe, damage, edit_code])
def test_a_change_makes_the_check_run_again(folder, checks, change, monkeypatch):
    monkeypatch.setattr(checked, "code_digest", checked.code_digest)
    checked_folder(folder)
    change(folder)
    now = checked_folder(folder)
    assert len(checks) == 2
    pd.testing.assert_frame_equal(now.samples, check_folder(folder).samples)


def test_a_missing_image_is_refused_after_a_check_that_passed(folder):
    checked_folder(folder)
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(RefusedInput, match="no such file"):
        checked_folder(folder)


def test_files_written_a_moment_ago_are_checked_again(folder, checks):
    for file in (folder / "images").iterdir():
        os.utime(file, (time.time() + 10, time.time() + 10))
    checked_folder(folder)
    assert not (results_folder() / "checked").exists()


def test_a_read_only_results_folder_only_costs_time(folder, checks, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", "/proc/none")
    assert len(checked_folder(folder).samples) == len(checked_folder(folder).samples)
    assert len(checks) == 2
