"""Downloads that are killed, run twice at once, or meet a full or read-only disk."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time

import pytest

from als_core.book.failures import exit_with_message
from als_core.cohorts.sources import fetch
from als_core.refusal import RefusedInput
from als_core.storage import atomic_write


@pytest.fixture
def server(public_server):
    """Serves twenty-four files, a tenth of a second each, so that there is time for a kill."""
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
        assert victim.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    victim.kill()
    victim.wait()
    there = {path.name: path.stat().st_mtime_ns for path in images.glob("[0-9]*.tif")}
    assert 8 <= len(there) < 24
    time.sleep(0.3)  # requests of the killed process have been answered
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


def test_a_full_disk_ends_with_a_message_and_the_old_file_stays(small_disk):
    (small_disk / "book").write_text("old")
    with (
        pytest.raises(SystemExit) as ended,
        exit_with_message(),
        atomic_write(small_disk / "book") as temporary,
    ):
        temporary.write_bytes(b"x" * 2_000_000)
    assert "the disk is full" in str(ended.value)
    assert [path.name for path in small_disk.iterdir()] == ["book"]
    assert (small_disk / "book").read_text() == "old"


def test_a_read_only_cache_ends_with_a_message(server, small_disk, monkeypatch):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    monkeypatch.setenv("ALS_CACHE", str(small_disk / "cache"))
    with pytest.raises((RefusedInput, SystemExit)) as caught, exit_with_message():
        fetch("stand-in", server.source, progress=False)
    text = str(caught.value)
    assert ("cache" in text and "only" in text) or "cannot be written" in text
