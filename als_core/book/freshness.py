"""What a page is made from, and whether these inputs are still the same: the stamp in every rendered page.

A page depends on

- its notebook and the library modules which that imports, directly or through others;
- the sections of its profile that they read, and the data that it is about (`contents.data_of`): no other data;
- the published numbers, and each file of data that they name;
- the pinned packages, and the references that it is to be cited with.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from als_core.book.contents import references_of, source_of
from als_core.book.profile import load_profile
from als_core.storage import (
    PACKAGE,
    content_key,
    file_digest,
    modules_used,
    repository,
    source_digest,
)

NAMED = ("data/", "benchmarks/")
"""A string that starts so, in a notebook or a module it uses, and names a file or folder of the repository, is an input."""


def stamp_of(notebook_file: Path) -> dict[str, Any]:
    """Read the stamp of a rendered page, without parsing the rest into a notebook."""
    return json.loads(notebook_file.read_text(encoding="utf-8"))["metadata"].get("als", {})


def inputs_of(page: str) -> dict[str, Path]:
    """Every file that a page is made from, by its path in the repository; profile and cohort are not among them."""
    root = repository()
    source, _ = source_of(page)
    library = modules_used(source)
    named = [file for code in (source, *library) for file in _files_named(code)]
    files = [source, *named, *_published_numbers(source), root / "requirements.lock"]
    return {
        **{file.relative_to(PACKAGE.parent).as_posix(): file for file in library},
        **{file.resolve().relative_to(root).as_posix(): file for file in files},
    }


def amounts_read(source: Path, profile: str) -> dict[str, str]:
    """Digests of the profile's sections that a Python file names, and of the profile's sentence."""
    settings = load_profile(profile)
    sections = {name: settings.sections.get(name, {}) for name in sorted(_read(source).sections)}
    given = {"sentence": settings.sentence, **sections}
    return {f"profiles/{profile}.yml, {name}": content_key(value) for name, value in given.items()}


def stamp(page: str, profile: str, cohort_digest: str) -> dict[str, Any]:
    """Digests of everything that a page would be made from now, as JSON values."""
    digests = {name: _digest(path) for name, path in inputs_of(page).items()}
    digests |= amounts_read(source_of(page)[0], profile)
    digests["CITATION.cff and book/references.bib"] = content_key(references_of(page))
    return {
        "page": page,
        "profile": profile,
        "cohort_digest": cohort_digest,
        "inputs": digests,
        "key": content_key(page, profile, cohort_digest, digests),
    }


def _digest(file: Path) -> str:
    """Digest of an input. Of a library module only the code counts; of a notebook also its text, which is shown."""
    return source_digest(file) if PACKAGE in file.parents else file_digest(file)


def drop_stale_pages(made: Mapping[str, Path], keys: Mapping[str, str]) -> None:
    """Remove rendered pages that their inputs would not make any more, so that they are made again.

    Snakemake knows of those that it made itself. A page that `als page` made it would take for up to date.
    made, keys: file of each page, and the key of its stamp as it is now, by page.
    """
    for page, file in made.items():
        if file.is_file() and stamp_of(file).get("key") != keys[page]:
            file.unlink()


def changed_since(stamped: dict[str, Any], profile: str, cohort_digest: str) -> list[str]:
    """Inputs that differ between a stamp and now, by name, "profile" or "cohort". Empty if the page is fresh."""
    changed = []
    if stamped["profile"] != profile:
        changed.append(f"profile ({stamped['profile']}, the book's is {profile})")
    if stamped["cohort_digest"] != cohort_digest:
        changed.append("cohort")
    now = stamp(stamped["page"], stamped["profile"], cohort_digest)["inputs"]
    changed += [
        name
        for name in sorted(now.keys() | stamped["inputs"].keys())
        if now.get(name) != stamped["inputs"].get(name)
    ]
    return changed


def _published_numbers(source: Path) -> list[Path]:
    """Printed numbers that a page can judge: its paper's, or all of them where its folder is not a paper's."""
    data = repository() / "data"
    own = sorted((data / "published").glob(f"{source.parent.name}_*.csv"))
    if own:
        return [*own, *sorted((data / "published").glob("claim_*.csv"))]
    return [
        file
        for folder in ("published", "audit", "manifests")
        for file in sorted((data / folder).glob("*.csv"))
    ]


def _files_named(source: Path) -> list[Path]:
    """Files of the repository that a Python file names by their path, or by the path of a folder above them."""
    places = [repository() / name for name in sorted(_read(source).paths)]
    return [file for place in places for file in [place, *sorted(place.rglob("*"))] if file.is_file()]


class _Named(NamedTuple):
    """What a Python file names: sections of a profile, paths of data."""

    sections: set[str]
    paths: set[str]


def _read(source: Path) -> _Named:
    return _named_in(source.read_text(encoding="utf-8"), str(source))


@cache
def _named_in(code: str, place: str) -> _Named:
    named = _Named(set(), set())
    for node in ast.walk(ast.parse(code, filename=place)):
        match node:
            case ast.Call(func=ast.Attribute(attr="amounts"), args=[ast.Constant(value=str(section)), *_]):
                named.sections.add(section)
            case ast.Constant(value=str(text)) if text.startswith(NAMED) and "\n" not in text:
                named.paths.add(text)
    return named
