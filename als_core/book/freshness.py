"""What a page was made from, and whether it still is: the stamp in every rendered page.

A page depends on its notebook, the library modules that the notebook imports (directly or through
others), the sections of its profile that it reads, its cohort, the published numbers, the data files that it or
these modules name, and the pinned packages. (The amounts of a synthetic cohort are part of that cohort's digest.)
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from als_core.book.contents import source_of
from als_core.book.profile import load_profile
from als_core.storage import content_key, file_digest, repository

PACKAGE = "als_core"
NAMED = ("data/", "benchmarks/")
"""A string that starts so, in a notebook or a module it uses, and is a file or folder of ours, is an input."""


def modules_used(source: Path) -> tuple[Path, ...]:
    """Files of the library that a Python file imports, directly or through others, sorted.

    Found by reading import statements, so nothing is run. Importing a module also runs the `__init__`
    of the packages it lies in, so these belong to the answer.
    """
    found: set[Path] = set()
    waiting = [Path(source)]
    while waiting:
        for module in _imports(waiting.pop()):
            if module not in found:
                found.add(module)
                waiting.append(module)
    return tuple(sorted(found))


def inputs_of(page: str) -> dict[str, Path]:
    """Every file a page is made from, by its path in the repository (profile and cohort apart)."""
    root = repository()
    source, _ = source_of(page)
    code = [source, *modules_used(source)]
    named = [file for module in code for file in _files_named(module)]
    files = [*code, *named, *_published_numbers(source), root / "requirements.lock"]
    return {file.resolve().relative_to(root).as_posix(): file for file in files}


def amounts_read(source: Path, profile: str) -> dict[str, str]:
    """Digests of the profile's sections that a Python file asks for by name, and of the profile's sentence."""
    settings = load_profile(profile)
    sections = {name: settings.sections.get(name, {}) for name in sorted(_read(source).sections)}
    given = {"sentence": settings.sentence, **sections}
    return {f"profiles/{profile}.yml, {name}": content_key(value) for name, value in given.items()}


def stamp(page: str, profile: str, cohort_digest: str) -> dict[str, Any]:
    """What a page is made from right now, as JSON-able digests."""
    digests = {name: file_digest(path) for name, path in inputs_of(page).items()}
    digests |= amounts_read(source_of(page)[0], profile)
    return {
        "page": page,
        "profile": profile,
        "cohort_digest": cohort_digest,
        "inputs": digests,
        "key": content_key(page, profile, cohort_digest, digests),
    }


def changed_since(stamped: dict[str, Any], profile: str, cohort_digest: str) -> list[str]:
    """What differs between a stamp and now: names of inputs, "profile" or "cohort". Empty if the page is fresh."""
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
    """The printed numbers a page can judge: its own paper's, or all data of ours where its folder is no paper's."""
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
    """Files of the repository that a Python file names by their path, or by that of a folder above them."""
    places = [repository() / name for name in sorted(_read(source).paths)]
    return [file for place in places for file in [place, *sorted(place.rglob("*"))] if file.is_file()]


def _imports(source: Path) -> set[Path]:
    return {file for name in _read(source).imports for file in _files(name)}


class _Named(NamedTuple):
    """What a Python file names: modules it imports, sections of a profile, paths of data."""

    imports: set[str]
    sections: set[str]
    paths: set[str]


def _read(source: Path) -> _Named:
    return _named_in(source.read_text(encoding="utf-8"), str(source))


@cache
def _named_in(code: str, place: str) -> _Named:
    named = _Named(set(), set(), set())
    for node in ast.walk(ast.parse(code, filename=place)):
        match node:
            case ast.Import(names=names):
                named.imports.update(alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                named.imports.update([module, *(f"{module}.{alias.name}" for alias in names)])
            case ast.Call(func=ast.Attribute(attr="amounts"), args=[ast.Constant(value=str(section)), *_]):
                named.sections.add(section)
            case ast.Constant(value=str(text)) if text.startswith(NAMED) and "\n" not in text:
                named.paths.add(text)
    return named


def _files(name: str) -> list[Path]:
    """The files behind a dotted name of this library: the module, and the packages it lies in."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return []
    files = []
    for depth in range(1, len(parts) + 1):
        place = repository().joinpath(*parts[:depth])
        files += [file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()]
    return files
