"""Which figures and tables of a book differ from those of another, and what of their making changed.

A record holds, page by page, the SHA-256 of each figure (SVG) and table (CSV) and the stamp of what the page was
made from. Each build compares with the record of the build before and leaves its own in `results/figures.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from als_core.book.build import pages_folder
from als_core.book.contents import book_pages
from als_core.book.execute import FILES, PAGE, stamp_of
from als_core.storage import file_digest, results_folder, write_text_if_changed

Record = dict[str, dict[str, dict[str, str]]]
COMPARED = (".svg", ".csv")
# What an input is, by how its name begins; the first that fits.
KINDS = {
    "profile": "profile",
    "cohort": "data",
    "data/": "data",
    "requirements": "library",
    "Python": "library",
    "": "code",
}


def record_file() -> Path:
    """Where the last book's record lies."""
    return results_folder() / "figures.json"


def record_of(profile: str, slug: str) -> Record:
    """The record of the pages that are made: for each `made_from` and `files`, names to digests."""
    record = {}
    for page in book_pages():
        folder = pages_folder(profile, slug) / page
        if not (folder / PAGE).is_file():
            continue
        stamp = stamp_of(folder / PAGE)
        made_from = {"profile": stamp["profile"], "cohort": stamp["cohort_digest"], "Python": stamp["python"]}
        files = [file for file in sorted((folder / FILES).iterdir()) if file.suffix in COMPARED]
        record[page] = {
            "made_from": made_from | stamp["inputs"],
            "files": {file.name: file_digest(file) for file in files},
        }
    return record


def changes(before: Record, now: Record) -> list[str]:
    """One line a page whose figures or tables differ: which, and what it was made from that differs, by kind."""
    lines = []
    for page in sorted(before.keys() | now.keys()):
        if page not in before or page not in now:
            lines.append(f"{page}: {'new' if page in now else 'not made'}")
        elif differing := _differing(before[page]["files"], now[page]["files"]):
            causes = _differing(before[page]["made_from"], now[page]["made_from"])
            lines.append(f"{page}: {', '.join(differing)}, because of {_by_kind(causes)}")
    return lines


def changes_since_last(profile: str, slug: str) -> list[str]:
    """`changes` since the last book of this checkout, whose record is replaced; empty where there was none."""
    now, file = record_of(profile, slug), record_file()
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else now
    write_text_if_changed(file, json.dumps(now, indent=1))
    return changes(before, now)


def _differing(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]


def _by_kind(causes: list[str]) -> str:
    if not causes:
        return "nothing it was made from: another machine, or chance"
    kinds: dict[str, list[str]] = {}
    for cause in causes:
        kinds.setdefault(next(kind for start, kind in KINDS.items() if cause.startswith(start)), []).append(
            cause
        )
    return "; ".join(f"{kind} ({', '.join(names)})" for kind, names in kinds.items())
