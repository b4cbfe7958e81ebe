"""What a failed job leaves behind, and how an error ends on the terminal.

Each job of the book runs this, so it loads none of what draws pages or builds the site.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from als_core.book.contents import PAGE, book_pages, data_of, page_folder
from als_core.book.execute import NotebookFailed
from als_core.refusal import RefusedInput
from als_core.storage import results_folder, write_text_if_changed

STORAGE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "it may not be read or written; check its permissions",
}


class BookFailed(RuntimeError):
    """The book could not be built; the message says why and where the log is."""


def failure_file(book: dict[str, Any], job: str) -> Path:
    """File with the first cause of a job's failure. job: a page, or `train/<network>`."""
    about = book["data"]["cohort"] if job.startswith("train") else data_of(job, book)
    return results_folder() / book["profile"] / about["slug"] / "failed" / f"{job}.txt"


@contextmanager
def keep_failure(book: dict[str, Any], job: str) -> Iterator[None]:
    """On error, print job and cause in one line, write the cause to the job's failure file, and re-raise."""
    file = failure_file(book, job)
    file.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        cause = first_cause(error)
        print(f"{job}: failed. {cause}")
        with suppress(OSError):  # a full disk, for instance: that error is raised, not this one
            write_text_if_changed(file, f"{cause}\n")
        raise


def first_cause(error: BaseException) -> str:
    """Describe an error in one line: of a failed notebook the error of its cell, of a refusal its first problem."""
    line, *more = str(error).splitlines() or [""]
    if more and line.endswith("nothing was computed."):
        line = f"{line} {more[0].strip()}"
    return line.partition(": ")[2] if isinstance(error, NotebookFailed) else f"{type(error).__name__}: {line}"


def missing_pages(book: dict[str, Any]) -> list[str]:
    """Pages of the book that are not made."""
    return [page for page in book_pages() if not (page_folder(page, book) / PAGE).is_file()]


def failure_report(book: dict[str, Any], missing: list[str]) -> str:
    """What was not made and why, one line a page or training."""
    jobs = [*(f"train/{file.stem}" for file in failed_trainings(book)), *missing]
    causes = {job: file for job in jobs if (file := failure_file(book, job)).is_file()}
    lines = [f"  {job}: {file.read_text(encoding='utf-8').strip()}" for job, file in causes.items()]
    if waiting := [page for page in missing if page not in causes]:
        lines.append(f"  {', '.join(waiting)}: a training it needs failed, or its job was killed")
    title = f"The book was built without {len(missing)} of its {len(book_pages())} pages."
    return "\n".join([title, *lines, f"Logs are in logs/{book['profile']}/."])


def failed_trainings(book: dict[str, Any]) -> list[Path]:
    """The failure files of trainings."""
    return sorted(failure_file(book, "train").with_suffix("").glob("*.txt"))


@contextmanager
def exit_with_message() -> Iterator[None]:
    """End refusals, failed notebooks and storage errors with their message on stderr and exit code 1.

    All other errors keep their traceback.
    """
    try:
        yield
    except (RefusedInput, NotebookFailed, BookFailed, FileNotFoundError) as error:
        sys.exit(f"{error}")
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        place = error.filename or results_folder()
        sys.exit(
            f"{place}: {STORAGE_ERRORS[error.errno]}. No file is half-written; mend that and run it again."
        )
