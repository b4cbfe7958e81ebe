"""What a page was made from, and whether it still is: the stamp in every rendered page.

A page depends on its notebook, the library modules that the notebook imports (directly or through
others), its profile, its cohort, the published numbers and the pinned packages.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

from als_core.pages.contents import source_of
from als_core.pages.profile import profile_path
from als_core.storage import content_key, file_digest, repository

PACKAGE = "als_core"


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


def inputs_of(page: str, profile: str) -> dict[str, Path]:
    """Every file a page is made from, by its path in the repository (the cohort apart)."""
    root = repository()
    source, _ = source_of(page)
    files = [
        source,
        *modules_used(source),
        profile_path(profile),
        *_published_numbers(source),
        root / "requirements.txt",
    ]
    return {file.resolve().relative_to(root).as_posix(): file for file in files}


def stamp(page: str, profile: str, cohort_digest: str) -> dict[str, Any]:
    """What a page is made from right now, as JSON-able digests."""
    digests = {name: file_digest(path) for name, path in inputs_of(page, profile).items()}
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


@cache
def _imports(source: Path) -> frozenset[Path]:
    tree = ast.parse(source.read_text(encoding="utf-8"), filename=str(source))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(file for name in names for file in _files(name))


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
