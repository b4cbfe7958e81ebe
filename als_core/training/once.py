"""One maker at a time: a lock beside what is made, and the leavings of makers that were killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def made_once(path: Path) -> Iterator[None]:
    """Hold the lock of what is made at `path`; wait where another process has it.

    Whoever gets it looks first whether the thing is there by now. A killed process holds no lock.
    """
    lock = FileLock(path.parent / ".locks" / f"{path.name}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    lock.acquire()
    try:
        remove_orphans(path)
        yield
    finally:
        lock.release()


def remove_orphans(path: Path) -> None:
    """Remove what `storage.written_whole` of this path left where it was killed. Call it with the lock held."""
    for orphan in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(orphan)
