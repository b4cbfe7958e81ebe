"""Two at once: the second waits and says for whom, whatever is killed; caches and full disks end in words."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from typer.testing import CliRunner

from als_core import __main__ as command_line
from als_core.book import build
from als_core.book.checkout_lock import checkout_held
from als_core.book.failures import failure_kept, told_plainly
from als_core.cohorts.sources import fetch
from als_core.refusal import RefusedInput
from als_core.storage import atomic_write

HOLDER = """
import subprocess, sys, time
from als_core.book.checkout_lock import checkout_held
with checkout_held(print) as held:
    if sys.argv[1] == "with work":
        work = subprocess.Popen([sys.executable, "-c", "import time; print('at work', flush=True); time.sleep(60)"], pass_fds=[held])
        print(work.pid, flush=True)
    print("held", flush=True)
    time.sleep(60)
"""


def holder(*arguments: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE, text=True)
    process.lines = []
    while "held\n" not in process.lines:
        process.lines.append(process.stdout.readline())
        assert process.lines[-1], "it ended"
    return process


def held_within(seconds: float, told: list[str]) -> bool:
    """Whether the checkout can be had in that time."""
    got = threading.Event()

    def wait() -> None:
        with checkout_held(told.append):
            got.set()

    threading.Thread(target=wait, daemon=True).start()
    return got.wait(seconds)


def test_the_second_book_waits_says_for_whom_and_a_kill_frees_it():
    first, told = holder("alone"), []
    assert not held_within(0.3, told)
    assert len(told) == 1 and f"process {first.pid} since" in told[0] and "waiting" in told[0]
    first.kill()
    first.wait()
    assert held_within(10, told)


def test_while_the_work_of_a_killed_book_goes_on_the_next_one_waits():
    first = holder("with work")
    work = int(next(line for line in first.lines if line.strip().isdigit()))
    first.kill()
    first.wait()
    assert not held_within(0.3, [])
    os.kill(work, signal.SIGKILL)
    assert held_within(10, [])


@pytest.fixture
def server(public_server):
    """Twenty-four files, a tenth of a second each: time to be killed in."""
    return public_server(24, size=2000, seconds=0.1)


FETCH = """
import sys
from als_core.cohorts.sources import Source, fetch
fetch("stand-in", Source.model_validate_json(sys.argv[1]), progress=False)
"""


def fetching(server) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", FETCH, server.source.model_dump_json()])


def test_a_killed_download_goes_on_where_it_was(server, tmp_path):
    images = tmp_path / "cache" / "stand-in" / "images"
    victim = fetching(server)
    while len(list(images.glob("[0-9]*.tif"))) < 8:
        assert victim.poll() is None, "it was to be killed before it ended"
        time.sleep(0.02)
    victim.kill()
    victim.wait()
    there = {path.name: path.stat().st_mtime_ns for path in images.glob("[0-9]*.tif")}
    assert 8 <= len(there) < 24
    time.sleep(0.3)  # what the dead one had asked for has been answered
    server.asked.clear()
    fetch("stand-in", server.source, progress=False)
    assert len(server.asked) == 24 - len(there)
    assert all((images / name).stat().st_mtime_ns == written for name, written in there.items())
    assert all(
        hashlib.sha256((images.parent / path).read_bytes()).hexdigest() == digest
        for path, digest in server.source.files().items()
    )


def test_two_checkouts_fill_one_cache_once(server):
    both = [fetching(server), fetching(server)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(server.asked) == sorted(f"/{number}.tif" for number in range(24))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a disk of its own cannot be mounted here; needs the rights of root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_the_old_file_stays(small_disk, capsys):
    (small_disk / "book").write_text("old")
    with pytest.raises(SystemExit) as ended, told_plainly(), atomic_write(small_disk / "book") as temporary:
        temporary.write_bytes(b"x" * 2_000_000)
    assert "the disk is full" in str(ended.value)
    assert [path.name for path in small_disk.iterdir()] == ["book"]
    assert (small_disk / "book").read_text() == "old"


def test_a_read_only_cache_is_told(server, small_disk, monkeypatch):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    monkeypatch.setenv("ALS_CACHE", str(small_disk / "cache"))
    with pytest.raises((RefusedInput, SystemExit)) as caught, told_plainly():
        fetch("stand-in", server.source, progress=False)
    assert ("cache" in str(caught.value) and "only" in str(caught.value)) or "cannot be written" in str(
        caught.value
    )


def test_a_full_disk_during_a_book_leaves_the_book_before(monkeypatch, tmp_path):
    """The graph failed and there is no room: no site with holes takes the place of the whole one."""
    monkeypatch.setattr(command_line, "_settle_cohort", lambda *_: {"slug": "s", "cohort": "synthetic"})
    monkeypatch.setattr(command_line.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    monkeypatch.setattr(command_line.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3_000_000}))
    monkeypatch.setattr(build, "build_book", lambda *_, **__: pytest.fail("a site was built"))
    told = CliRunner().invoke(command_line.app, ["book", "synthetic", "--profile", "test"])
    assert told.exit_code == 1 and "The disk is full (3 MB left)" in told.output


def test_what_a_job_failed_of_stands_on_the_page_that_is_not_made(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "repository", lambda: tmp_path)
    monkeypatch.setattr(build, "book_pages", lambda: ["study/01_page"])
    training = build.failure_file("test", "slug", "train/resnet18")
    words = "ResNet18 (published), seed 3: training loss nan in epoch 7; the run was stopped"
    with pytest.raises(RuntimeError), failure_kept(training):
        raise RuntimeError(f"{words}\nand more, with paths of this machine")
    assert build._publish("test", "slug") == ["study/01_page"]
    shown = (tmp_path / "book" / "study" / "01_page.md").read_text()
    assert f"RuntimeError: {words}\n" in shown and "and more" not in shown
    with failure_kept(training):
        pass
    build._publish("test", "slug")
    assert words not in (tmp_path / "book" / "study" / "01_page.md").read_text()


def test_leavings_of_a_killed_build_are_removed_by_the_next(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "repository", lambda: tmp_path)
    monkeypatch.setattr(build, "_built", lambda *_: tmp_path)
    left = tmp_path / "_build" / ".html.abc" / "_build"
    left.mkdir(parents=True)
    (tmp_path / "_build" / "html").mkdir()
    build.build_book("test", "slug")
    assert sorted(path.name for path in (tmp_path / "_build").iterdir()) == [".locks", "html"]
