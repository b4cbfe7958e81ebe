"""The API pages: every module and every public name is on one."""

from __future__ import annotations

import importlib.util
import inspect
import re

import pytest
from docutils import nodes
from docutils.core import publish_from_doctree
from docutils.utils import new_document

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


@pytest.fixture(scope="module")
def pages():
    file = repository() / "book" / "_ext" / "als_reference.py"
    spec = importlib.util.spec_from_file_location("als_reference", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCSTRING = """Fit it.

Parameters
----------
train, validation : int64 (n,)
    Rows of the `images`; all
    of them are read.
sha256 : of a source
    that is one file
seed : of the order. state : Path or None

Raises
------
epochs.Diverged
RefusedInput
    Where there is no row.

Returns
-------
DataFrame group (PTID) and label, empty
    where no examination is near
"""
TABLE = """| kind | `cost` |
|---|:--|
| near | quadratic |
| overlap | |
"""


def test_numpydoc_sections_are_headings_with_definition_lists(pages):
    made = pages.paragraphs(DOCSTRING)
    assert [one.astext() for one in made if isinstance(one, nodes.rubric)] == [
        "Parameters",
        "Raises",
        "Returns",
    ]
    listed = [one for one in made if isinstance(one, nodes.definition_list)]
    entries = [[(item[0].astext(), item[1].astext().strip()) for item in each] for each in listed]
    assert entries == [
        [
            ("train, validation", "int64 (n,). Rows of the images; all of them are read."),
            ("sha256", "of a source that is one file"),
            ("seed", "of the order"),
            ("state", "Path or None"),
        ],
        [("epochs.Diverged", ""), ("RefusedInput", "Where there is no row.")],
    ]
    assert made[-1].astext().startswith("DataFrame group") and isinstance(made[-1], nodes.paragraph)


def test_tables_are_tables_and_indented_text_stays_as_it_is(pages):
    (table,) = pages.paragraphs(TABLE)
    rows = [[cell.astext() for cell in row] for row in table.findall(nodes.row)]
    assert rows == [["kind", "cost"], ["near", "quadratic"], ["overlap", ""]]
    assert [len(part) for part in (*table.findall(nodes.thead), *table.findall(nodes.tbody))] == [1, 2]
    kept = ("  a    b\n  c    d", "=====  ====\na      b\n=====  ====", ">>> f(1)\n2")
    for text in kept:
        (literal,) = pages.paragraphs(text)
        assert isinstance(literal, nodes.literal_block) and literal.astext() == text
    (formula,) = pages.paragraphs("|a - b| / |b|, (N,) >= 0")
    assert isinstance(formula, nodes.paragraph)
    (bullets,) = pages.paragraphs("- one\n- two, over\n  two lines")
    assert [item.astext() for item in bullets] == ["one", "two, over two lines"]


def test_no_docstring_of_the_library_leaves_marks_of_a_section_or_table_in_its_text(pages):
    files = [file for package in PACKAGES for file in package_modules(package)]
    for module in map(read_module, files):
        for docstring in (module.docstring, *(entry.docstring for entry in module.entries)):
            document = new_document(module.name)
            document += pages.paragraphs(docstring)
            for paragraph in document.findall(nodes.paragraph):
                assert not re.search(r"---|\|---| : \w+ \(|^\|.*\|$", paragraph.astext()), paragraph.astext()
            for table in document.findall(nodes.table):
                assert len({len(row) for row in table.findall(nodes.row)}) == 1, table.astext()
            publish_from_doctree(document, writer_name="html5", settings_overrides={"halt_level": 2})
