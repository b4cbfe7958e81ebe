"""Errors that are the reader's to mend end in their own words and exit code 1; all others keep their traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from als_core.book.build import BookFailed
from als_core.book.execute import NotebookFailed
from als_core.refusal import RefusedInput
from als_core.storage import results_folder, write_text_if_changed

STORAGE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "it may not be written",
}


@contextmanager
def failure_kept(file: Path) -> Iterator[None]:
    """Leave in `file` in one line what the work within failed of, or nothing: the book's page shows it."""
    file.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        with suppress(OSError):  # a full disk, say: that is told, and not this
            write_text_if_changed(file, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}\n")
        raise


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
            f"{error.filename or results_folder()}: {STORAGE[error.errno]}. Nothing was half-written; mend that and run again."
        )
