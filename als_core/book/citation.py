"""References as BibTeX: the companion's from `CITATION.cff`, any other from the book's bibliography."""

from __future__ import annotations

from datetime import date

import yaml

from als_core.refusal import Problem, RefusedInput
from als_core.storage import repository

COMPANION = "als_imaging_companion"


def reference(key: str = "") -> str:
    """The reference of this key in `book/references.bib`; without a key, that of the companion.

    Raises RefusedInput, naming the keys there are, for one that is not.
    """
    return _bibliography_entry(key) if key else _companion()


def _companion() -> str:
    about = yaml.safe_load((repository() / "CITATION.cff").read_text(encoding="utf-8"))
    names = [
        author.get("name") or f"{author['family-names']}, {author['given-names']}"
        for author in about["authors"]
    ]
    fields = {
        "author": " and ".join(f"{{{name}}}" if "," not in name else name for name in names),
        "title": f"{{{about['title']}}}",
        "version": about["version"],
        "year": str(date.fromisoformat(about["date-released"]).year),
        "doi": about.get("doi", ""),
        "url": about.get("repository-code", ""),
    }
    body = "".join(f",\n  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@software{{{COMPANION}{body}\n}}\n"


def _bibliography_entry(key: str) -> str:
    from pybtex.database import BibliographyData, parse_file

    entries = parse_file(str(repository() / "book" / "references.bib")).entries
    if key not in entries:
        known = ", ".join(entries)
        raise RefusedInput("als cite", [Problem(key, "no such reference", f"one of {known}", "Choose one.")])
    return BibliographyData({key: entries[key]}).to_string("bibtex")
