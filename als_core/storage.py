"""Files: written whole or not at all, built by one process at a time, and keyed by the content and code behind them.

atomic_write, exclusive_lock, build_if_missing    writing
content_key, file_digest, named_generator         keys of data, and random streams by name
code_digest, modules_used                         keys of code, from the import graph
repository, results_folder, data_folder           places
read_yaml                                         settings and registries
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from filelock import FileLock

PACKAGE = Path(__file__).resolve().parent


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, on failure removed.

    The caller creates a file or a folder there. Readers never see half of it, and a kill leaves only a name that
    starts with a dot.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as tmp_dir:
        temporary = Path(tmp_dir) / path.name
        yield temporary
        if temporary.is_dir() and path.is_dir():
            # a folder cannot replace a folder: move the old one into the temporary folder, which is removed
            path.replace(Path(tmp_dir) / f"{path.name}.old")
        temporary.replace(path)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock for building `path`; wait while another process holds it.

    Check again for `path` once the lock is held: another process may have built it. A killed process holds no lock.
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
    """Call `make` to build `path`, in one process at a time; return at once, without a lock, where it exists."""
    if path.exists():
        return
    with exclusive_lock(path):
        if not path.exists():
            make()


def remove_orphans(path: Path) -> None:
    """Remove temporary folders that a killed `atomic_write` of this path left. Call it with the lock held."""
    for orphan in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(orphan)


def write_text_if_changed(path: Path | str, text: str) -> bool:
    """Write `text` atomically unless the file already holds it. Return whether it was written.

    An unchanged file keeps its time stamp, so that nothing that depends on it runs again.
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
    """SHA-256 over arrays, bytes and JSON values, in this order; first 16 digits.

    Raises TypeError for any other kind of part, so that no object's address gets into a key.
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


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """Return a random stream of its own for each set of names, the same on every machine."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16])])


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
    """Digest of a Python file's code: its syntax tree without docstrings and comments; first 16 digits.

    The tree is that of the running Python: another minor version may give another digest.
    """
    return _read_source(Path(path).read_text(encoding="utf-8"), str(path))[0]


def modules_used(*sources: Path) -> tuple[Path, ...]:
    """Files of the library that Python files use, directly or through others, sorted.

    Import statements are read, wherever they are in a file, and strings that name a module (`als_core.a.b` or
    `als_core.a.b:function`, as recipes name the builder of their network); nothing is run. Importing a module also
    runs the `__init__` of its packages, which are therefore included.
    """
    library = _library()
    found: set[Path] = set()
    waiting = [Path(source) for source in sources]
    while waiting:
        source = waiting.pop()
        _, imports, named = _read_source(source.read_text(encoding="utf-8"), str(source))
        new = {file for name in imports | named for file in _files_behind(name, library)} - found
        found |= new
        waiting += new
    return tuple(sorted(found))


def imports_of(source: Path) -> tuple[Path, ...]:
    """Files of the library that a Python file imports itself, with the `__init__` of their packages, sorted."""
    names, library = _read_source(source.read_text(encoding="utf-8"), str(source))[1], _library()
    return tuple(sorted({file for name in names for file in _files_behind(name, library)}))


_PARSING = threading.Lock()
_MODULE_NAME = re.compile(rf"({PACKAGE.name}(?:\.\w+)+)(?::\w+)?")


@cache
def _read_source(text: str, name: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """Digest of a source without its docstrings, the dotted names it imports, and those it names in strings."""
    with _PARSING:  # CPython 3.11 counts the depth of all threads' trees in one place (its issue 106905)
        tree = ast.parse(text, filename=name)
    imports: set[str] = set()
    named: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if module := _MODULE_NAME.fullmatch(text):
                named.add(module[1])
            case ast.Import(names=names):
                imports.update(alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                imports.update([module, *(f"{module}.{alias.name}" for alias in names)])
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not _is_text(each)]
    return content_key(ast.dump(tree)), frozenset(imports), frozenset(named)


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a bare string: a docstring of a module, class, function or constant."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _library() -> dict[str, Path]:
    """Files of this library by dotted name; that of a package is its `__init__`."""
    root = PACKAGE.parent
    names = {file: file.relative_to(root).with_suffix("").parts for file in PACKAGE.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): file for file, parts in names.items()}


def _files_behind(name: str, library: Mapping[str, Path]) -> list[Path]:
    """Files behind a dotted name: the module and the `__init__` of each package above it."""
    parts = name.split(".")
    above = (".".join(parts[: depth + 1]) for depth in range(len(parts)))
    return [library[each] for each in above if each in library]


def _module_file(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name}: no such module", name=name)
    return Path(spec.origin)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, as the caller's own copy; equal files are parsed once in a process."""
    return deepcopy(_parsed_yaml(path.read_text(encoding="utf-8")))


@cache
def _parsed_yaml(text: str) -> Any:
    return yaml.safe_load(text)


def data_folder() -> Path | None:
    """Local folder of public data named by ALS_DATA, or None where it is not set.

    Raises FileNotFoundError when ALS_DATA names a folder that does not exist.
    """
    named = os.environ.get("ALS_DATA")
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"ALS_DATA={named}: no such folder; unset it or point it at the data")
    return folder


def repository() -> Path:
    """Root of the checkout this library runs from: the folder that holds `_toc.yml`."""
    return PACKAGE.parent


def results_folder() -> Path:
    """Folder of derived files of this checkout; ALS_RESULTS overrides it, and tests give each run its own."""
    return Path(os.environ.get("ALS_RESULTS", repository() / "results")).resolve()
