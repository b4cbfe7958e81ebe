"""The library as the API pages show it: packages, modules and public names, read from the source without running it.

Reading instead of importing keeps the build of the book quick (no torch) and free of side effects.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from als_core import ENGINE
from als_core.storage import imports_of, repository

GROUND = "foundation"
"""Name for the modules that lie below all packages."""
PACKAGES = (GROUND, *ENGINE, "studies", "commands")
"""Parts of the library, each importing only from itself and from those before it."""


@dataclass(frozen=True)
class Entry:
    """One public name. kind: function, class, method or data. signature: as written, without the name."""

    name: str
    kind: str
    signature: str
    docstring: str


@dataclass(frozen=True)
class Module:
    """One module: its dotted name, its docstring, and its public names in the order of the source."""

    name: str
    docstring: str
    entries: tuple[Entry, ...]


def package_modules(package: str) -> list[Path]:
    """Files of a package in the order of their paths; of `studies`, those of every study."""
    library = repository() / "als_core"
    files = library.glob("*.py") if package == GROUND else (library / package).rglob("*.py")
    return sorted(file for file in files if not file.stem.startswith("__"))


def packages_below(package: str) -> list[str]:
    """The other packages from which the modules of a package import, the nearest first."""
    used = {file for module in package_modules(package) for file in imports_of(module)}
    return [name for name in reversed(PACKAGES) if name != package and used & set(package_modules(name))]


def read_module(file: Path) -> Module:
    """Read what a module offers: public functions, classes with their public methods, and documented constants."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    name = file.relative_to(repository()).with_suffix("").as_posix().replace("/", ".")
    return Module(name, ast.get_docstring(tree) or "", tuple(_entries(tree.body)))


def _entries(body: list[ast.stmt], owner: str = "") -> Iterator[Entry]:
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.FunctionDef) and not statement.name.startswith("_"):
            kind = "method" if owner else "function"
            yield Entry(
                owner + statement.name, kind, _signature(statement), ast.get_docstring(statement) or ""
            )
        elif isinstance(statement, ast.ClassDef) and not statement.name.startswith("_"):
            yield Entry(statement.name, "class", _fields(statement), ast.get_docstring(statement) or "")
            yield from _entries(statement.body, f"{statement.name}.")
        elif not owner and (name := _constant(statement)) and (text := _text(following)):
            yield Entry(name, "data", "", text)


def _signature(function: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"({_without_self(function.args)}){returns}"


def _without_self(arguments: ast.arguments) -> str:
    return re.sub(r"^(self|cls)(, )?", "", ast.unparse(arguments))


def _fields(kind: ast.ClassDef) -> str:
    """Arguments of a class: those of its `__init__`, or the fields of a dataclass."""
    for statement in kind.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return f"({_without_self(statement.args)})"
    fields = [ast.unparse(statement) for statement in kind.body if isinstance(statement, ast.AnnAssign)]
    return f"({', '.join(fields)})" if fields else ""


def _constant(statement: ast.stmt) -> str:
    target = (
        statement.target
        if isinstance(statement, ast.AnnAssign)
        else statement.targets[0]
        if isinstance(statement, ast.Assign)
        else None
    )
    return target.id if isinstance(target, ast.Name) and not target.id.startswith("_") else ""


def _text(statement: ast.stmt | None) -> str:
    """The bare string after a constant, which documents it."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
