"""The API pages: every module and every public name is on one."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from als_core.book.reference import PACKAGES, package_modules, packages_below, read_module
from als_core.storage import repository


def test_every_module_is_on_the_page_of_its_package():
    for package in PACKAGES:
        page = (repository() / "book" / f"api_{package}.md").read_text()
        assert re.search(rf"^```{{als-[a-z]+}} {package}$", page, re.MULTILINE)
    listed = [file for package in PACKAGES for file in package_modules(package)]
    assert sorted(listed) == sorted(
        path for path in (repository() / "als_core").rglob("*.py") if not path.stem.startswith("__")
    )


def test_the_drawing_names_the_packages_that_are_imported():
    assert packages_below("foundation") == [] and packages_below("statistics") == []
    assert packages_below("studies")[0] == "book" and packages_below("book")[-1] == "foundation"


@pytest.mark.parametrize(
    "name", ["als_core.refusal", "als_core.statistics.intervals", "als_core.cohorts.cohort"]
)
def test_names_and_docstrings_read_are_those_of_the_imported_module(name):
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
