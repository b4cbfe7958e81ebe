"""The whole way from a checkout to a site, at the size of a test and with two of its pages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from checkouts import copy_checkout, run_in
from PIL import Image

pytestmark = pytest.mark.slow

PAGES = ("xia2024/01_cohort_and_quality", "xia2024/02_augmentation")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout"), PAGES)


@pytest.fixture(scope="module")
def als(checkout) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the command line in the copy."""
    return partial(run_in, checkout, "-m", "als_core")


def made(output: str) -> list[str]:
    return sorted(line.split(":")[0] for line in output.splitlines() if ": made in" in line)


def test_from_a_checkout_to_a_site_and_only_changed_pages_are_made_again(checkout, als):
    book = ("book", "synthetic", "--profile", "test")
    first = als(*book)
    assert first.returncode == 0, first.stdout + first.stderr
    assert made(first.stdout) == sorted(PAGES) and "Cohort: synthetic-tissue" in first.stdout
    site = checkout / "_build" / "html"
    page = (site / "book" / f"{PAGES[0]}.html").read_text()
    for words in ("Synthetic cohort", "not a target", "How this page was made", "Cite this page", "als-dark"):
        assert words in page
    downloaded = (site / "_notebooks" / f"{PAGES[0]}.ipynb").read_text()
    assert "<figcaption>" in downloaded and "application/vnd.als" not in downloaded
    for page_file in site.rglob("*.html"):
        assert "https://cdn" not in page_file.read_text() and "unpkg" not in page_file.read_text()

    again = als(*book)
    assert again.returncode == 0 and made(again.stdout) == [] and "Nothing to do" in again.stdout

    (checkout / "als_core" / "cohorts" / "splits.py").touch()
    assert "Nothing to do" in als(*book).stdout

    notebook = checkout / "notebooks" / f"{PAGES[1]}.py"
    sound = notebook.read_text()
    notebook.write_text(sound + "\n# %%\n# edited\n")
    shutil.rmtree(checkout / ".snakemake")  # without Snakemake's records an edit counts as well
    edited = als(*book)
    assert edited.returncode == 0 and made(edited.stdout) == [PAGES[1]], edited.stderr

    notebook.write_text(sound + "\n# %%\nraise RuntimeError('on purpose')\n")
    failed = als(*book)
    cause = re.compile(rf"^ *{PAGES[1]}: cell \d+ ended in RuntimeError: on purpose$", re.MULTILINE)
    assert failed.returncode == 1 and cause.search(failed.stderr), failed.stderr
    assert f"{PAGES[1]}: failed. cell" in failed.stdout
    assert "not made" in (site / "book" / f"{PAGES[1]}.html").read_text()
    assert "How this page was made" in (site / "book" / f"{PAGES[0]}.html").read_text()

    notebook.write_text(sound)
    mended = als(*book)
    assert mended.returncode == 0 and made(mended.stdout) == [PAGES[1]]


def test_only_the_pages_that_take_a_readers_data_are_made_again_for_them(tmp_path):
    tissue, crops = "xia2024/03_models_and_cost", "miao2023/01_crops_and_filters"
    root = copy_checkout(tmp_path / "checkout", (tissue, crops))
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["path,label,group"]
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{'ALS' if number < 6 else 'control'},case {number}")
    (folder / "manifest.csv").write_text("\n".join(rows))

    def book(*data: str) -> list[str]:
        done = run_in(root, "-m", "als_core", "book", *data, "--profile", "test")
        assert done.returncode == 0, done.stdout + done.stderr
        return made(done.stdout)

    def shown(page: str) -> str:
        return (root / "_build" / "html" / "book" / f"{page}.html").read_text()

    assert book("synthetic") == [crops, tissue] and "Not your data" not in shown(tissue)
    assert book("synthetic", "--crops", str(folder)) == [crops]
    assert "Your own cohort" in shown(crops) and "Not your data" not in shown(crops)
    assert "This page takes images, and this book was given none: mine (crops) is on" in shown(tissue)
    assert book("synthetic") == [], "both pages are there from before"
    assert "Your own cohort" not in shown(crops) and "Not your data" not in shown(tissue)


def test_claims_are_printed_as_json(checkout, als):
    rows = json.loads(als("claims", "--json").stdout)
    assert {
        "id",
        "paper",
        "location",
        "published",
        "regenerated",
        "verdict",
        "page",
        "cohort",
        "profile",
    } <= set(rows[0])
    by_id = {row["id"]: row for row in rows}
    row = by_id["xia2024.table2.original.size"]
    assert (row["verdict"], row["page"], row["profile"]) == ("not a target", PAGES[0], "test")
    assert by_id["turrisi2024.table2.sex.statistic"]["verdict"] != "reproduced"


def test_a_bad_folder_ends_in_its_problems_and_nothing_is_written(checkout, als, tmp_path):
    (tmp_path / "manifest.csv").write_text("path,label\na.png,x\nb.png,=1\n")

    def written() -> list[Path]:
        """Every file but Python's caches and the lock of the book, which is taken first."""
        lock = {checkout / "results", checkout / "results" / ".book.lock"}
        return [
            path
            for path in sorted(checkout.rglob("*"))
            if path not in lock and "__pycache__" not in path.parts
        ]

    before = written()
    done = als("book", str(tmp_path), "--profile", "test")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for words in ("a.png, line 2", "b.png, line 3", "=1", "no such file"):
        assert words in done.stderr
    assert written() == before
