"""Make the book: run what is not up to date, put finished pages into `book/`, build the site whole or keep the old one.

als book
  book_lock          one book at a time in a checkout
  make_book          Snakemake runs `als train`, `als page` and `als site` where their inputs changed
    build_book       pages into book/, claims page and landing page from the claims, then Jupyter Book
    changes_since_last   which figures differ from the last book, and why
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from als_core.book import site
from als_core.book.blocks import note_block
from als_core.book.contents import (
    DATA,
    FILES,
    PAGE,
    book_pages,
    data_of,
    page_folder,
    parameters_of,
    source_of,
)
from als_core.book.failures import BookFailed, failed_trainings, failure_file, failure_report, missing_pages
from als_core.book.freshness import stamp_of
from als_core.refusal import Problem, RefusedInput
from als_core.storage import (
    exclusive_lock,
    file_digest,
    repository,
    results_folder,
    write_text_if_changed,
)

SITE = "_build/html"
BUILT = "book.built"
FREE_DISK_NEEDED = 100_000_000
"""Bytes; a site has about 50 MB."""

FigureDigests = dict[str, dict[str, dict[str, str]]]
COMPARED = (".svg", ".csv")
KINDS = {
    "profile": "profile",
    "cohort": "data",
    "data/": "data",
    "requirements": "library",
    "Python": "library",
    "CITATION": "references",
    "": "code",
}
"""What kind of input a name is, by how it begins; the first that fits."""
KIND_WORDS = {"images": "images", "crops": "crops", "volumes": "scans", "features": "a feature table"}


# -- one book at a time ------------------------------------------------------------------------------------------


@contextmanager
def book_lock(report: Callable[[str], None]) -> Iterator[int]:
    """Hold this checkout for making its book, and yield the file descriptor of the lock.

    The lock belongs to the open file: it ends with the last process that has the descriptor, however that process
    ends. Pass it to the process that does the work, and the work goes on undisturbed if only this process is
    killed. `report` is called with a sentence that names the other process where one holds the lock.
    """
    path = results_folder() / ".book.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            report(f"A book is being made in this checkout by {stream.read() or 'another process'}; waiting.")
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} since {datetime.now():%H:%M:%S}")
        stream.flush()
        yield stream.fileno()


# -- the whole way -----------------------------------------------------------------------------------------------


def make_book(book: dict[str, Any], executor: list[str], lock: int) -> str:
    """Make every page that is not up to date and build the site; return a sentence for the terminal.

    Parameters
    ----------
    book : dict
        Profile and data of the book, as `contents.made_book` describes them.
    executor : list of str
        Where Snakemake runs its jobs, as `executor_options` gives it.
    lock : int
        File descriptor of the `book_lock`, passed on to Snakemake.

    Raises
    ------
    BookFailed
        Where a page, a training or Jupyter Book failed, with the first cause of each, or the disk is full.
    """
    state = results_folder() / "book.json"
    write_text_if_changed(state, json.dumps(book, indent=2))
    index, mark = repository() / SITE / "index.html", results_folder() / BUILT
    if not index.is_file():
        mark.unlink(missing_ok=True)
    before = mark.stat().st_mtime_ns if mark.exists() else None
    done = subprocess.run(_snakemake(state, executor), cwd=repository(), pass_fds=[lock])
    place = index.relative_to(repository())
    if done.returncode:
        mark.unlink(missing_ok=True)
        _raise_if_disk_full()
        missing = missing_pages(book)
        if not missing:
            raise BookFailed("The site could not be built (see above).")
        build_book(book, missing_allowed=True)
        raise BookFailed(failure_report(book, missing))
    if before == mark.stat().st_mtime_ns:
        return f"Nothing to do: the book is up to date. Open {place}"
    return f"The book is ready. Open {place}"


def executor_options(cores: int, cluster: Path | None) -> list[str]:
    """Options of Snakemake for this machine's cores (0: all of them), or for the profile of a cluster.

    Raises RefusedInput for a folder that holds no Snakemake profile.
    """
    if cluster is None:
        return ["--cores", str(cores or os.cpu_count() or 1)]
    if not (cluster / "config.yaml").is_file():
        problem = Problem(str(cluster), "no config.yaml", "a Snakemake profile", "See profiles/slurm.")
        raise RefusedInput("The cluster", [problem])
    return ["--profile", str(cluster.resolve())]


def _snakemake(state: Path, executor: list[str]) -> list[str]:
    return [
        *(sys.executable, "-m", "snakemake", *executor, "--keep-going", "--rerun-incomplete"),
        # --nolock: `als book` holds the checkout, and its lock, unlike Snakemake's, does not outlive a kill
        *("--rerun-triggers", "params", "--nolock"),
        *("--quiet", "all", "--config", f"state={state}"),
    ]


def _raise_if_disk_full() -> None:
    free = shutil.disk_usage(repository()).free
    if free < FREE_DISK_NEEDED:
        raise BookFailed(
            f"The disk is full ({free / 1e6:.0f} MB free). The previous book is untouched.\n"
            "Free some space and run it again; finished pages and runs are kept."
        )


# -- the site ----------------------------------------------------------------------------------------------------


def build_book(book: dict[str, Any], missing_allowed: bool = False) -> Path:
    """Build the site from the pages of a book, and put it at `_build/html`.

    missing_allowed: replace each page whose notebook failed by a page that says so, and go on after warnings; the
    caller still reports the failure. Raises BookFailed, and leaves the old site as it was, when Jupyter Book finds
    anything wrong. A second process waits for the first.
    """
    with exclusive_lock(repository() / SITE):
        return _build(book, missing_allowed)


def _build(book: dict[str, Any], missing_allowed: bool) -> Path:
    missing = _publish(book)
    if missing and not missing_allowed:
        raise BookFailed(f"pages not made: {', '.join(missing)}")
    write_text_if_changed(repository() / "book" / "claims.md", site.claims_page(site.book_claims()))
    strict = [] if missing else ["-W", "-n"]
    log = repository() / "logs" / "book.log"
    log.parent.mkdir(exist_ok=True)
    target = repository() / SITE
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as tmp_dir:
        jupyter_book = Path(sys.executable).with_name("jupyter-book")
        command = [jupyter_book, "build", *strict, "--keep-going", "--all", "--path-output", tmp_dir, "."]
        with log.open("w", encoding="utf-8") as stream:
            done = subprocess.run(command, cwd=repository(), stdout=stream, stderr=subprocess.STDOUT)
        built = Path(tmp_dir) / "_build" / "html"
        if done.returncode or not (built / "index.html").is_file():
            raise BookFailed(f"{_warnings(log)}\nThe whole log is {log}; the previous book is untouched.")
        if target.exists():
            target.rename(Path(tmp_dir) / "old")
        built.rename(target)
    return target


def _publish(book: dict[str, Any]) -> list[str]:
    """Copy rendered pages into book/, remove pages that do not belong, and name the pages that are missing."""
    pages = book_pages()
    for study in {page.split("/")[0] for page in pages}:
        shutil.rmtree(repository() / "book" / study, ignore_errors=True)
    missing = []
    for page in pages:
        made, target = page_folder(page, book), repository() / "book" / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if (made / PAGE).is_file():
            rendered = json.loads((made / PAGE).read_text(encoding="utf-8"))
            put_on_top(rendered, elsewhere(page, book))
            target.with_name(f"{target.name}.ipynb").write_text(json.dumps(rendered), encoding="utf-8")
            shutil.copytree(made / FILES, target)
        else:
            missing.append(page)
            text = _missing_page(page, book)
            target.with_name(f"{target.name}.md").write_text(text, encoding="utf-8")
    return missing


def elsewhere(page: str, book: dict[str, Any]) -> str:
    """A notice for a page that shows none of the reader's data, in a book that has some: where they are.

    Empty for a page about the reader's data, for a page that takes no data, and in a book without a reader's data.
    """
    own = {name: entry for name, entry in book["data"].items() if entry["kind"] == "own"}
    takes = [name for name in DATA if name in parameters_of(source_of(page)[0])]
    if not own or not takes or data_of(page, book).get("kind") == "own":
        return ""
    places = []
    for name, entry in own.items():
        first = next((other for other in book_pages() if data_of(other, book) == entry), None)
        places.append(
            f"{entry['name']} ({KIND_WORDS[DATA[name]]})"
            + (f" is on {{doc}}`/book/{first}`" if first else "")
        )
    wanted = " or ".join(KIND_WORDS[DATA[name]] for name in takes)
    return f"This page takes {wanted}, and this book was given none: {'; '.join(places)}."


def put_on_top(rendered: dict[str, Any], text: str) -> None:
    """Put a notice below the title of a rendered page; nothing for an empty text."""
    if not text:
        return
    below = next((n for n, cell in enumerate(rendered["cells"], 1) if cell["cell_type"] == "markdown"), 0)
    myst = note_block("Not your data", text, "warning").myst
    rendered["cells"].insert(
        below, {"cell_type": "markdown", "id": "not-your-data", "metadata": {}, "source": myst}
    )


def _missing_page(page: str, book: dict[str, Any]) -> str:
    own, trainings = failure_file(book, page), failed_trainings(book)
    if own.is_file():
        why, causes = "Its notebook failed.", own.read_text(encoding="utf-8")
    else:
        why = "Its job was killed, or a training that it needs failed."
        causes = "".join(f"train/{file.stem}: {file.read_text(encoding='utf-8')}" for file in trainings)
    shown = f"\n\n```text\n{causes}```" if causes else ""
    return (
        f"# {page}: not made\n\n{why} `make book` tries again; a partly executed notebook is kept under "
        f"`logs/`.{shown}\n"
    )


def _warnings(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    marked = [line for line in lines if "WARNING" in line or "ERROR" in line or "Error" in line]
    return "\n".join(marked[:40] or lines[-20:])


# -- what changed since the last book ----------------------------------------------------------------------------


def digests_file() -> Path:
    """File with the `figure_digests` of the last book."""
    return results_folder() / "figures.json"


def figure_digests(book: dict[str, Any]) -> FigureDigests:
    """SHA-256 of each figure (SVG) and table (CSV) of each finished page, and of each input of the page.

    Returns page -> `files` and `made_from`, each name -> digest.
    """
    digests = {}
    for page in book_pages():
        folder = page_folder(page, book)
        if not (folder / PAGE).is_file():
            continue
        stamp = stamp_of(folder / PAGE)
        made_from = {"profile": stamp["profile"], "cohort": stamp["cohort_digest"], "Python": stamp["python"]}
        files = [file for file in sorted((folder / FILES).iterdir()) if file.suffix in COMPARED]
        digests[page] = {
            "made_from": made_from | stamp["inputs"],
            "files": {file.name: file_digest(file) for file in files},
        }
    return digests


def changes(before: FigureDigests, now: FigureDigests) -> list[str]:
    """One line a page whose figures or tables differ: which of them, and its changed inputs by kind."""
    lines = []
    for page in sorted(before.keys() | now.keys()):
        if page not in before or page not in now:
            lines.append(f"{page}: {'new' if page in now else 'not made'}")
        elif differing := _differing(before[page]["files"], now[page]["files"]):
            causes = _differing(before[page]["made_from"], now[page]["made_from"])
            lines.append(f"{page}: {', '.join(differing)}, because of {_by_kind(causes)}")
    return lines


def changes_since_last(book: dict[str, Any]) -> list[str]:
    """`changes` since the last book of this checkout, whose digests are replaced; empty where there was none.

    Pages whose cohort or profile is another now are left out: they differ because they are about something else.
    """
    now, file = figure_digests(book), digests_file()
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else now
    write_text_if_changed(file, json.dumps(now, indent=1))
    other = {page for page in before.keys() & now.keys() if _about(before[page]) != _about(now[page])}
    return changes(
        *({name: page for name, page in each.items() if name not in other} for each in (before, now))
    )


def _about(page: dict[str, dict[str, str]]) -> tuple[str, str]:
    return page["made_from"]["cohort"], page["made_from"]["profile"]


def _differing(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]


def _by_kind(causes: list[str]) -> str:
    if not causes:
        return "none of its inputs: another machine, or chance"
    kinds: dict[str, list[str]] = {}
    for cause in causes:
        kind = next(kind for start, kind in KINDS.items() if cause.startswith(start))
        kinds.setdefault(kind, []).append(cause)
    return "; ".join(f"{kind} ({', '.join(names)})" for kind, names in kinds.items())
