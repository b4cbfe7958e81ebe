"""Errors that are the reader's to mend end in their own words and exit code 1; all others keep their traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from als_core.pages.build import BookFailed
from als_core.pages.execute import NotebookFailed
from als_core.refusal import RefusedInput

STORAGE = {
    errno.ENOSPC: "the disk is full",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "it may not be written",
}


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn refusals, failed notebooks and storage errors into a message on stderr and exit code 1."""
    try:
        yield
    except (RefusedInput, NotebookFailed, BookFailed, FileNotFoundError) as error:
        sys.exit(f"{error}")
    except OSError as error:
        if error.errno not in STORAGE:
            raise
        sys.exit(
            f"{error.filename}: {STORAGE[error.errno]}. Nothing was half-written; mend that and run again."
        )
