"""Where files live and how they are written: whole or not at all, by one maker at a time, and keyed by content."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

PACKAGE = Path(__file__).resolve().parent


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, on failure removed.

    Works for a file or a folder that the caller creates. A reader never sees half of it, and a
    kill leaves only a name that starts with a dot.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as room:
        temporary = Path(room) / path.name
        yield temporary
        if temporary.is_dir() and path.is_dir():
            # a folder cannot replace a folder: the old one steps aside into the room that is removed
            path.replace(Path(room) / f"{path.name}.old")
        temporary.replace(path)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock of what is made at `path`; wait where another process has it.

    Whoever gets it looks first whether the thing is there by now. A killed process holds no lock.
    """
    lock = FileLock(path.parent / ".locks" / f"{path.name}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    lock.acquire()
    try:
        remove_orphans(path)
        yield
    finally:
        lock.release()


def build_if_missing(path: Path, make: Callable[[], object]) -> None:
    """Have `make` make what is at `path`, in one process at a time; do nothing, and lock nothing, where it is there."""
    if path.exists():
        return
    with exclusive_lock(path):
        if not path.exists():
            make()


def remove_orphans(path: Path) -> None:
    """Remove what `atomic_write` of this path left where it was killed. Call it with the lock held."""
    for orphan in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(orphan)


def write_text_if_changed(path: Path | str, text: str) -> bool:
    """Write `text` whole, unless the file says it already; the answer tells whether it was written.

    An unchanged file keeps its time stamp, so what depends on it is not run again.
    """
    path = Path(path)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_key(*parts: Any) -> str:
    """SHA-256 over arrays, bytes, and whatever JSON can say, in this order; first 16 digits.

    Raises TypeError for a part that is none of these, so that no object's address gets into a key.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"array {part.dtype.str} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        elif isinstance(part, bytes):
            digest.update(b"bytes" + part)
        else:
            digest.update(json.dumps(part, sort_keys=True, ensure_ascii=False).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def code_digest(*modules: str) -> str:
    """Digest of modules and of every library module they import, directly or through others; first 16 digits.

    Part of the key of every stored result, so that editing any code behind the result makes it stale.
    Comments, docstrings and layout are no part of it (see `source_digest`).

    Parameters
    ----------
    modules : str
        Dotted names, e.g. `als_core.studies.xia2024.train`; their order does not matter.

    Raises
    ------
    ModuleNotFoundError
        For a name that is no module.
    """
    named = {name: _module_file(name) for name in modules}
    used = {file.relative_to(PACKAGE).as_posix(): file for file in modules_used(*named.values())}
    return content_key({name: source_digest(file) for name, file in (named | used).items()})


def source_digest(path: Path | str) -> str:
    """Digest of what a Python file does: its syntax tree without docstrings and comments; first 16 digits.

    The tree is that of the running Python: another minor version may give another digest.
    """
    return _read_source(Path(path).read_text(encoding="utf-8"), str(path))[0]


def modules_used(*sources: Path) -> tuple[Path, ...]:
    """Files of the library that Python files import, directly or through others, sorted.

    Import statements are read, wherever they are in a file; nothing is run. Importing a module also runs the
    `__init__` of its packages, which are therefore included.
    """
    found: set[Path] = set()
    waiting = [Path(source) for source in sources]
    while waiting:
        source = waiting.pop()
        imports = _read_source(source.read_text(encoding="utf-8"), str(source))[1]
        new = {file for name in imports for file in _library_files(name)} - found
        found |= new
        waiting += new
    return tuple(sorted(found))


@cache
def _read_source(text: str, name: str) -> tuple[str, frozenset[str]]:
    """Digest of a source without its docstrings, and the dotted names that it imports."""
    tree = ast.parse(text, filename=name)
    imports: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                imports.update(alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                imports.update([module, *(f"{module}.{alias.name}" for alias in names)])
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not _is_text(each)]
    return content_key(ast.dump(tree)), frozenset(imports)


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a bare string: a docstring of a module, class, function or constant."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def _library_files(name: str) -> list[Path]:
    """Files of this library behind a dotted name: the module and the `__init__` of each package above it."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return []
    places = [PACKAGE.parent.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    candidates = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return [file for file in candidates if file.is_file()]


def _module_file(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name}: no such module", name=name)
    return Path(spec.origin)


def data_folder() -> Path | None:
    """The local folder of public data named by ALS_DATA, or None where it is not set.

    Raises FileNotFoundError when ALS_DATA names a folder that is not there.
    """
    named = os.environ.get("ALS_DATA")
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"ALS_DATA={named}: no such folder; unset it or point it at the data")
    return folder


def repository() -> Path:
    """The checkout this library runs from: the folder that holds `_toc.yml`."""
    return PACKAGE.parent


def results_folder() -> Path:
    """Where derived files of this checkout go; ALS_RESULTS moves it (tests give each run its own)."""
    return Path(os.environ.get("ALS_RESULTS", repository() / "results")).resolve()
