"""Rerunning a page: the command, the notebook to download, and launch links, for every page of the book."""

from __future__ import annotations

import json
import shlex
import subprocess
from urllib.parse import unquote

import jupytext
import nbformat
import pytest

from als_core.book import rerun
from als_core.book.contents import book_pages, source_of
from als_core.book.execute import parameters_of
from als_core.storage import repository, results_folder

PAGES = book_pages()


@pytest.fixture
def book(request):
    """A book that was made with some profile and cohort."""
    state = {"profile": "quick", "cohort": getattr(request, "param", "synthetic")}
    results_folder().mkdir(parents=True, exist_ok=True)
    (results_folder() / "book.json").write_text(json.dumps(state))


@pytest.mark.parametrize("page", PAGES)
def test_the_command_of_a_page_names_its_notebook_and_parameters_it_has(page, book):
    tool, notebook, output, *options = shlex.split(rerun.papermill_command(page, rerun.book_parameters(page)))
    assert tool == ".venv/bin/papermill" and output == "mine.ipynb"
    assert (repository() / notebook).is_file()
    given = dict(zip(options[1::3], options[2::3], strict=True))
    known = parameters_of(jupytext.read(source_of(page)[0]))
    assert options[::3] == ["-p"] * len(given) and set(given) <= set(known)
    assert given["profile"] == "quick" and given["cohort"] == "synthetic"
    if "model" in known:
        assert given["model"] == page.rpartition("/")[2]


@pytest.mark.parametrize("book", ["/home/reader/private/slides"], indirect=True)
def test_where_a_readers_folder_lies_is_not_told(book):
    assert "private" not in rerun.papermill_command(PAGES[0], rerun.book_parameters(PAGES[0]))


@pytest.mark.parametrize("page", PAGES)
def test_the_notebook_to_download_is_the_tracked_one_with_the_books_parameters(page, book):
    parameters = rerun.book_parameters(page)
    text = rerun.notebook_with_parameters(page, parameters)
    assert text == rerun.notebook_with_parameters(page, parameters), "the same each time"
    made = nbformat.reads(text, as_version=4)
    nbformat.validate(made)
    injected = [cell for cell in made.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    tracked = nbformat.read(repository() / rerun.tracked_notebook(page), as_version=4)
    others = [cell.source for cell in made.cells if cell not in injected]
    assert others == [cell.source for cell in tracked.cells]
    values: dict[str, str] = {}
    exec(injected[0].source, values)
    assert {name: values[name] for name in parameters} == parameters
    assert not any(cell.get("outputs") for cell in made.cells)


@pytest.mark.parametrize("page", PAGES)
def test_launch_and_edit_lead_to_tracked_files(page):
    tracked = set(
        subprocess.run(
            ["git", "-C", repository(), "ls-files", "notebooks"], capture_output=True, text=True, check=False
        ).stdout.split()
    ) or {path.relative_to(repository()).as_posix() for path in (repository() / "notebooks").rglob("*.*")}
    targets = rerun.launch_targets(page, "owner/companion")
    assert unquote(targets["Binder"]).partition("urlpath=lab/tree/")[2] in tracked
    assert "/v2/gh/owner/companion/main?" in targets["Binder"]
    assert unquote(targets["Colab"]).partition("/blob/main/")[2] in tracked
    source = source_of(page)[0].relative_to(repository()).as_posix()
    assert unquote(rerun.edit_target(source, "owner/companion")).partition("/edit/main/")[2] in tracked


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/owner/companion.git", "owner/companion"),
        ("git@github.com:owner/companion.v2.git", "owner/companion.v2"),
        ("https://example.org/owner/companion.git", None),
    ],
)
def test_the_address_is_that_of_the_remote(tmp_path, monkeypatch, remote, address):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    monkeypatch.setattr(rerun, "repository", lambda: tmp_path)
    assert rerun.repository_address() == address
    monkeypatch.setenv("GITHUB_REPOSITORY", "fork/companion")
    assert rerun.repository_address() == "fork/companion"
