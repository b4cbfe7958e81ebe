"""Put the finished pages into the book and build it: a whole new site, or the old one untouched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from als_core.book.contents import book_pages
from als_core.book.execute import FILES, PAGE
from als_core.storage import exclusive_lock, repository, results_folder, write_text_if_changed

SITE = "_build/html"


class BookFailed(RuntimeError):
    """Jupyter Book refused to build; the message holds its warnings and where its log is."""


def pages_folder(profile: str, slug: str) -> Path:
    """Where the rendered pages of one profile and cohort are kept."""
    return results_folder() / profile / slug / "pages"


def build_book(profile: str, slug: str, missing_allowed: bool = False) -> Path:
    """Build the site from the pages of one profile and cohort, and put it at `_build/html`.

    missing_allowed: a page whose notebook failed is replaced by a page that says so, and warnings do
    not stop the build; the caller still reports failure. Raises BookFailed, leaving the old site as it
    was, when Jupyter Book finds anything wrong. A second process waits for the first.
    """
    with exclusive_lock(repository() / SITE):
        return _built(profile, slug, missing_allowed)


def _built(profile: str, slug: str, missing_allowed: bool) -> Path:
    missing = _publish(profile, slug)
    if missing and not missing_allowed:
        raise BookFailed(f"pages not made: {', '.join(missing)}")
    _write_summaries()
    strict = [] if missing else ["-W", "-n"]
    log = repository() / "logs" / "book.log"
    log.parent.mkdir(exist_ok=True)
    site = repository() / SITE
    site.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{site.name}.", dir=site.parent) as room:
        jupyter_book = Path(sys.executable).with_name("jupyter-book")
        command = [jupyter_book, "build", *strict, "--keep-going", "--all"]
        with log.open("w", encoding="utf-8") as stream:
            done = subprocess.run(
                [*command, "--path-output", room, "."],
                cwd=repository(),
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        built = Path(room) / "_build" / "html"
        if done.returncode or not (built / "index.html").is_file():
            raise BookFailed(f"{_warnings(log)}\nThe whole log is {log}; the previous book is untouched.")
        if site.exists():
            site.rename(Path(room) / "old")
        built.rename(site)
    return site


def _publish(profile: str, slug: str) -> list[str]:
    """Copy rendered pages into book/, remove what does not belong, and name the pages that are missing."""
    made = pages_folder(profile, slug)
    pages = book_pages()
    for study in {page.split("/")[0] for page in pages}:
        shutil.rmtree(repository() / "book" / study, ignore_errors=True)
    missing = []
    for page in pages:
        target = repository() / "book" / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if (made / page / PAGE).is_file():
            shutil.copyfile(made / page / PAGE, target.with_name(f"{target.name}.ipynb"))
            shutil.copytree(made / page / FILES, target)
        else:
            missing.append(page)
            text = _missing_page(page, profile, slug)
            target.with_name(f"{target.name}.md").write_text(text, encoding="utf-8")
    return missing


def _write_summaries() -> None:
    """The pages that are computed from the claims: all of them in a table, and the landing page's summary."""
    from als_core.book.claims_page import (  # ledger stands on this module
        book_claims,
        claims_page,
        landing_table,
    )

    rows = book_claims()
    line = json.loads((results_folder() / "book.json").read_text(encoding="utf-8"))["line"]
    write_text_if_changed(repository() / "book" / "claims.md", claims_page(rows))
    write_text_if_changed(repository() / "book" / "generated" / "landing.md", landing_table(rows, line))


def failure_file(profile: str, slug: str, job: str) -> Path:
    """Where a page, or the training of a network (`train/<network>`), says in one line what it failed of."""
    return results_folder() / profile / slug / "failed" / f"{job}.txt"


def _missing_page(page: str, profile: str, slug: str) -> str:
    own = failure_file(profile, slug, page)
    trainings = sorted(failure_file(profile, slug, "train").with_suffix("").glob("*.txt"))
    lines = [file.read_text(encoding="utf-8") for file in ([own] if own.is_file() else trainings)]
    return (
        f"# {page}: not made\n\nThis page, or a training it needs, failed, so nothing of it is shown. "
        f"`make book` tries again; a partly executed notebook lies under `logs/`.\n\n"
        f"```text\n{''.join(lines)}```\n"
    )


def _warnings(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    marked = [line for line in lines if "WARNING" in line or "ERROR" in line or "Error" in line]
    return "\n".join(marked[:40] or lines[-20:])


def write_book_state(profile: str, state: dict) -> None:
    """Say which profile and cohort the book is about; the build refuses pages of any other."""
    text = json.dumps({"profile": profile, **state}, indent=2)
    path = results_folder() / "book.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
