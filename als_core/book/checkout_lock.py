"""One `als book` at a time in a checkout: who comes second says whom it waits for, and waits."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from als_core.storage import results_folder


@contextmanager
def checkout_held(tell: Callable[[str], None]) -> Iterator[int]:
    """Hold this checkout for making its book, and yield the file descriptor of the lock.

    The lock lies with the open file: it ends with the last process that has the descriptor, however that
    ends. Give it to the process that does the work, so that the work goes on undisturbed if only this one
    is killed. tell: is given the sentence about who has it, where someone has.
    """
    path = results_folder() / ".book.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            tell(f"A book is being made in this checkout by {stream.read() or 'another process'}; waiting.")
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} since {datetime.now():%H:%M:%S}")
        stream.flush()
        yield stream.fileno()
