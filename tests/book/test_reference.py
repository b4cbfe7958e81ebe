"""The API pages: every module and every public name is on one, and the floors are those of the library."""

from __future__ import annotations

import importlib
import inspect

import pytest

from als_core.book.reference import FLOORS, GROUND, floor_modules, floors_below, read_module
from als_core.storage import repository

LIBRARY = repository() / "als_core"


def test_every_package_is_a_floor_and_every_floor_a_page():
    packages = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}
    assert packages == set(FLOORS) - {GROUND}
    for floor in FLOORS:
        page = (repository() / "book" / f"api_{floor}.md").read_text()
        assert f"```{{als-floor}} {floor}\n" in page
    modules = {path for floor in FLOORS for path in floor_modules(floor)}
    assert modules == {path for path in LIBRARY.rglob("*.py") if not path.stem.startswith("__")}


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_stands_only_on_those_below(floor):
    assert all(FLOORS.index(name) < FLOORS.index(floor) for name in floors_below(floor))


@pytest.mark.parametrize(
    "name", ["als_core.refusal", "als_core.statistics.intervals", "als_core.cohorts.cohort"]
)
def test_what_is_read_is_what_is_imported(name):
    module = importlib.import_module(name)
    file = repository() / (name.replace(".", "/") + ".py")
    read = read_module(file)
    assert inspect.cleandoc(read.docstring) == inspect.cleandoc(module.__doc__)
    own = {
        key: value
        for key, value in vars(module).items()
        if getattr(value, "__module__", "") == name
        and not key.startswith("_")
        and inspect.isroutine(value) | inspect.isclass(value)
    }
    top = {entry.name: entry for entry in read.entries if entry.kind in ("function", "class")}
    assert set(top) == set(own)
    for key, entry in top.items():
        # a dataclass without a docstring is given its signature as one
        if entry.docstring:
            assert inspect.cleandoc(entry.docstring) == inspect.getdoc(own[key])
        if inspect.isfunction(own[key]):
            arguments = entry.signature.partition("(")[2]
            assert all(argument in arguments for argument in inspect.signature(own[key]).parameters)
