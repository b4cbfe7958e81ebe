"""Notebooks equal their twins, keep one shape, and are in the table of contents."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from pathlib import Path

import jupytext
import pytest
import yaml
from jupytext.compare import compare_notebooks

from als_core.book.contents import DATA, book_pages, parameters_of, source_of
from als_core.storage import repository

MOST_CELLS, MOST_LINES, LONGEST_LINE, MOST_STRINGS = 18, 5, 110, 0.3
NOTEBOOKS = sorted((repository() / "notebooks").rglob("*.py"))


def page_name(path: Path) -> str:
    return path.relative_to(repository() / "notebooks").with_suffix("").as_posix()


@pytest.fixture(params=NOTEBOOKS, ids=[page_name(path) for path in NOTEBOOKS])
def source(request) -> Path:
    return request.param


def test_the_twin_has_the_same_contents(source):
    twin = source.with_suffix(".ipynb")
    assert twin.is_file(), "run `make pairs`"
    compare_notebooks(jupytext.read(twin), jupytext.read(source), fmt="py:percent", compare_outputs=False)


def test_the_twin_has_no_outputs(source):
    cells = json.loads(source.with_suffix(".ipynb").read_text())["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_defaults_are_the_test_profile(source):
    defaults = parameters_of(source)
    assert defaults["profile"] == "test"
    assert {defaults[name] for name in DATA if name in defaults} <= {"synthetic", ""}


def test_it_names_itself_and_ends_with_provenance(source):
    notebook = jupytext.read(source)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert f'"{page_name(source)}' in "\n".join(code)
    assert "page.provenance(" in code[-1].rstrip().splitlines()[-1]
    assert notebook.cells[0].cell_type == "markdown" and "# " in notebook.cells[0].source


def test_logic_lives_in_the_library(source):
    tree = ast.parse(source.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno > MOST_LINES] == []
    assert len(jupytext.read(source).cells) < MOST_CELLS


def test_code_is_more_than_strings(source):
    """The science is visible: captions and alternative texts are in the library, prose is in Markdown cells."""
    cells = jupytext.read(source).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert [line for line in source.read_text().splitlines() if len(line) > LONGEST_LINE] == []
    assert string_length(code) <= MOST_STRINGS * len(code), f"{string_length(code) / len(code):.0%}"


def test_it_closes_with_what_this_means(source):
    prose = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    headings = re.findall(r"^##+ (.*)$", "\n".join(prose), re.MULTILINE)
    assert headings[-1].startswith(("What this means", "What it does not"))


def string_length(code: str) -> int:
    """Characters of code within string literals; of an f-string all of it, with the expressions in it."""
    lines = code.splitlines(keepends=True)
    total, opened = 0, []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        kind = tokenize.tok_name[token.type]
        if kind not in ("STRING", "FSTRING_START", "FSTRING_END"):
            continue
        begin, end = (sum(map(len, lines[: row - 1])) + column for row, column in (token.start, token.end))
        # from Python 3.12 on, an f-string is several tokens
        if kind == "FSTRING_START":
            opened.append(begin)
            continue
        begin = opened.pop() if kind == "FSTRING_END" else begin
        total += 0 if opened else end - begin
    return total


def test_every_twin_has_its_text():
    assert [
        path
        for path in (repository() / "notebooks").rglob("*.ipynb")
        if path.with_suffix(".py") not in NOTEBOOKS
    ] == []


def test_every_notebook_and_every_prose_page_is_in_the_contents():
    assert {source_of(page)[0] for page in book_pages()} == set(NOTEBOOKS)
    contents = (repository() / "_toc.yml").read_text()
    files = [line.split("file: ")[1] for line in contents.splitlines() if "file: " in line]
    listed = {*files, yaml.safe_load(contents)["root"]}
    assert len(files) == len(set(files)), "a page listed twice makes Jupyter Book refuse the contents"
    prose = {f"book/{path.stem}" for path in (repository() / "book").glob("*.md")}
    assert prose <= listed and listed - prose <= {f"book/{page}" for page in book_pages()} | {"book/claims"}
