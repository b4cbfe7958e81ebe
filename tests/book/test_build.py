"""Making the book: one at a time, failures named with their first cause, changes named with theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from copy import deepcopy
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from als_core.__main__ import app
from als_core.book import build, failures
from als_core.book.build import (
    book_lock,
    changes,
    changes_since_last,
    digests_file,
    make_book,
)
from als_core.book.contents import page_folder
from als_core.book.execute import NotebookFailed
from als_core.book.failures import BookFailed, first_cause, keep_failure
from als_core.book.freshness import drop_stale_pages
from als_core.refusal import Problem, RefusedInput

PAGE = "study/01_page"

HOLDER = """
import subprocess, sys, time
from als_core.book.build import book_lock
with book_lock(print) as held:
    if sys.argv[1] == "with work":
        work = subprocess.Popen([sys.executable, "-c", "import time; print('at work', flush=True); time.sleep(60)"], pass_fds=[held])
        print(work.pid, flush=True)
    print("held", flush=True)
    time.sleep(60)
"""


def start_holder(*arguments: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE, text=True)
    process.lines = []
    while "held\n" not in process.lines:
        process.lines.append(process.stdout.readline())
        assert process.lines[-1], "it ended"
    return process


def held_within(seconds: float, reported: list[str]) -> bool:
    """Whether the lock of the checkout can be had in that time."""
    got = threading.Event()

    def wait() -> None:
        with book_lock(reported.append):
            got.set()

    threading.Thread(target=wait, daemon=True).start()
    return got.wait(seconds)


def test_a_second_book_names_the_first_and_waits_and_a_kill_frees_it():
    first, reported = start_holder("alone"), []
    assert not held_within(0.3, reported)
    assert len(reported) == 1
    assert f"process {first.pid} since" in reported[0] and "waiting" in reported[0]
    first.kill()
    first.wait()
    assert held_within(10, reported)


def test_the_next_book_waits_while_the_jobs_of_a_killed_book_go_on():
    first = start_holder("with work")
    work = int(next(line for line in first.lines if line.strip().isdigit()))
    first.kill()
    first.wait()
    assert not held_within(0.3, [])
    os.kill(work, signal.SIGKILL)
    assert held_within(10, [])


def entry(slug: str, kind: str = "synthetic", **parameters: str) -> dict:
    return {"parameters": parameters, "name": slug, "kind": kind, "slug": slug, "digest": slug}


BOOK = {"profile": "test", "line": "Cohort: x.", "data": {"cohort": entry("s", cohort="synthetic")}}
PAGES = ("xia2024/01_cohort_and_quality", "xia2024/02_augmentation")


@pytest.fixture
def failed_graph(monkeypatch, tmp_path):
    """A book of two pages whose graph fails, in a folder of its own; Jupyter Book is not run."""
    monkeypatch.setattr(build, "repository", lambda: tmp_path)
    monkeypatch.setattr(failures, "book_pages", lambda: list(PAGES))
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    return tmp_path


def test_a_full_disk_during_a_book_leaves_the_book_before(monkeypatch, failed_graph):
    """The graph failed and the disk is full: no site with missing pages replaces the whole one."""
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    monkeypatch.setattr(build, "build_book", lambda *_, **__: pytest.fail("a site was built"))
    with pytest.raises(BookFailed, match=r"The disk is full \(3 MB free\)"):
        make_book(BOOK, [], 0)


def test_the_terminal_names_each_failed_job_with_its_first_cause(monkeypatch, failed_graph, capsys):
    monkeypatch.setattr(build, "build_book", lambda *_, **__: None)
    failing = NotebookFailed(
        f"{PAGES[0]}: cell 3 ended in KeyError: 'gone'\nThe partly executed notebook is /x"
    )
    for job, error in ((PAGES[0], failing), ("train/resnet18", ValueError(f"{DIVERGED}\nmore"))):
        with pytest.raises(type(error)), keep_failure(BOOK, job):
            raise error
    printed = capsys.readouterr().out
    assert (
        printed
        == f"{PAGES[0]}: failed. cell 3 ended in KeyError: 'gone'\ntrain/resnet18: failed. ValueError: {DIVERGED}\n"
    )
    with pytest.raises(BookFailed) as raised:
        make_book(BOOK, [], 0)
    assert str(raised.value).splitlines() == [
        "The book was built without 2 of its 2 pages.",
        f"  train/resnet18: ValueError: {DIVERGED}",
        f"  {PAGES[0]}: cell 3 ended in KeyError: 'gone'",
        f"  {PAGES[1]}: a training it needs failed, or its job was killed",
        "Logs are in logs/test/.",
    ]


def test_the_first_cause_of_a_refusal_is_its_first_problem():
    refusal = RefusedInput("The parameters of x", [Problem("cohorte", "a", "one of cohort", "Correct it.")])
    assert first_cause(refusal).endswith("1. cohorte: found a; expected one of cohort. Correct it.")


DIVERGED = "ResNet18, seed 3: training loss nan in epoch 7; the run was stopped"


def test_a_page_that_is_not_made_shows_why_its_training_failed(failed_graph):
    page = failed_graph / "book" / f"{PAGES[0]}.md"
    with pytest.raises(RuntimeError), keep_failure(BOOK, "train/resnet18"):
        raise RuntimeError(f"{DIVERGED}\nand more, with paths of this machine")
    build._publish(BOOK)
    assert f"RuntimeError: {DIVERGED}\n" in page.read_text() and "and more" not in page.read_text()
    with keep_failure(BOOK, "train/resnet18"):
        pass
    build._publish(BOOK)
    assert DIVERGED not in page.read_text()


def test_leftovers_of_a_killed_build_are_removed_by_the_next(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "repository", lambda: tmp_path)
    monkeypatch.setattr(build, "_build", lambda *_: tmp_path)
    left = tmp_path / "_build" / ".html.abc" / "_build"
    left.mkdir(parents=True)
    (tmp_path / "_build" / "html").mkdir()
    build.build_book(BOOK)
    assert sorted(path.name for path in (tmp_path / "_build").iterdir()) == [".locks", "html"]


MADE_FROM = {
    "profile": "test",
    "cohort": "abc",
    "Python": "3.11.7",
    "requirements.lock": "1",
    "als_core/studies/miao2023/filters.py": "1",
    "notebooks/study/01_page.py": "1",
    "data/published/study.csv": "1",
    "profiles/test.yml, sentence": "1",
}
BEFORE = {PAGE: {"made_from": MADE_FROM, "files": {"one.svg": "1", "one.csv": "1"}}}


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        ("profile", "profile (profile)"),
        ("profiles/test.yml, sentence", "profile (profiles/test.yml, sentence)"),
        ("cohort", "data (cohort)"),
        ("data/published/study.csv", "data (data/published/study.csv)"),
        ("als_core/studies/miao2023/filters.py", "code (als_core/studies/miao2023/filters.py)"),
        ("notebooks/study/01_page.py", "code (notebooks/study/01_page.py)"),
        ("requirements.lock", "library (requirements.lock)"),
        ("Python", "library (Python)"),
        (None, "none of its inputs"),
    ],
)
def test_a_changed_figure_is_listed_with_its_cause(cause, kind):
    now = deepcopy(BEFORE)
    now[PAGE]["files"]["one.svg"] = "2"
    if cause:
        now[PAGE]["made_from"][cause] = "2"
    (line,) = changes(BEFORE, now)
    assert line.startswith(f"{PAGE}: one.svg, because of {kind}")


def test_a_changed_input_without_effect_is_not_listed_and_new_or_missing_pages_are():
    now = deepcopy(BEFORE)
    now[PAGE]["made_from"]["als_core/studies/miao2023/filters.py"] = "2"
    assert changes(BEFORE, now) == []
    assert changes(BEFORE, {}) == [f"{PAGE}: not made"] and changes({}, BEFORE) == [f"{PAGE}: new"]


def test_each_book_is_compared_with_the_one_before(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "book_pages", lambda: list(PAGES))
    folder = page_folder(PAGES[0], BOOK)
    (folder / "files").mkdir(parents=True)

    def made(figure: str, code: str, cohort: str = "abc") -> None:
        inputs = {"als_core/studies/miao2023/filters.py": code}
        stamp = {"profile": "test", "cohort_digest": cohort, "python": "3.11.7", "inputs": inputs}
        (folder / "page.ipynb").write_text(json.dumps({"metadata": {"als": stamp}}))
        (folder / "files" / "one.svg").write_text(figure)
        (folder / "files" / "one.png").write_text("not compared")

    made("<svg>1</svg>", "1")
    assert changes_since_last(BOOK) == []
    older = tmp_path / "older.json"
    older.write_bytes(digests_file().read_bytes())
    made("<svg>2</svg>", "2")
    expected = f"{PAGES[0]}: one.svg, because of code (als_core/studies/miao2023/filters.py)"
    assert changes_since_last(BOOK) == [expected]
    assert changes_since_last(BOOK) == []
    assert CliRunner().invoke(app, ["changed", str(older)]).output.strip() == expected
    assert "No figure" in CliRunner().invoke(app, ["changed", str(digests_file())]).output
    made("<svg>3</svg>", "2", cohort="another")
    assert changes_since_last(BOOK) == [], "pages about another cohort differ for that reason"


def test_a_page_that_its_inputs_would_not_make_any_more_is_made_again():
    files = {page: page_folder(page, BOOK) / "page.ipynb" for page in PAGES}
    for key, file in zip(("now", "of older code"), files.values(), strict=True):
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"metadata": {"als": {"key": key}}}))
    drop_stale_pages(files, dict.fromkeys(PAGES, "now"))
    assert [file.exists() for file in files.values()] == [True, False]
