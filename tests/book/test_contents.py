"""Pages of the book: their notebooks and parameters, how they are run again, and how they are cited."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from als_core.book import contents
from als_core.book.contents import (
    book_pages,
    book_parameters,
    parameters_of,
    reference,
    references_of,
    source_of,
)
from als_core.book.freshness import inputs_of
from als_core.refusal import RefusedInput
from als_core.storage import repository, results_folder

PAGES = book_pages()


@pytest.fixture
def book(request):
    """A book that was made with some profile and cohort."""
    own = getattr(request, "param", "synthetic")
    entry = {"parameters": {"cohort": own}, "kind": "own", "slug": "s", "digest": "d"}
    scans = {
        "parameters": {"brains": f"adni:{own}", "patients": "AD"},
        "kind": "own",
        "slug": "b",
        "digest": "b",
    }
    state = {"profile": "quick", "data": {"cohort": entry, "brains": scans}}
    results_folder().mkdir(parents=True, exist_ok=True)
    (results_folder() / "book.json").write_text(json.dumps(state))


@pytest.mark.parametrize("page", PAGES)
def test_the_command_of_a_page_names_its_notebook_and_parameters_it_has(page, book):
    command = contents.papermill_command(page, book_parameters(page))
    assert all(len(line) < 85 for line in command.splitlines())
    tool, notebook, output, *options = shlex.split(command.replace("\\\n", " "))
    assert tool == ".venv/bin/papermill" and output == "mine.ipynb"
    assert (repository() / notebook).is_file()
    given = dict(zip(options[1::3], options[2::3], strict=True))
    known = parameters_of(source_of(page)[0])
    assert options[::3] == ["-p"] * len(given) and set(given) <= set(known)
    assert given["profile"] == "quick" and given.get("cohort", "synthetic") == "synthetic"
    assert "cohort" not in known or given["cohort"] == "synthetic"
    if "model" in known:
        assert given["model"] == page.rpartition("/")[2]


@pytest.mark.parametrize("book", ["/home/reader/private/slides"], indirect=True)
def test_the_place_of_a_readers_folder_is_not_shown(book):
    commands = [contents.papermill_command(page, book_parameters(page)) for page in PAGES]
    assert "private" not in "".join(commands)
    assert any("-p cohort path/to/folder" in command for command in commands)
    assert any("-p brains adni:path/to/folder" in command for command in commands)


@pytest.mark.parametrize("cell", ["level = 1 + 1", "import os", "level, other = 1, 2"])
def test_parameters_must_be_plain(tmp_path, cell):
    source = tmp_path / "page.py"
    source.write_text(f'# # Title\n# %% tags=["parameters"]\nlevel = [1]\nname = "# %%"\n# %%\n{cell}\n')
    assert parameters_of(source) == {"level": [1], "name": "# %%"}
    source.write_text(f'# %% tags=["parameters"]\n{cell}\n')
    with pytest.raises(ValueError):
        parameters_of(source)
    source.write_text("# %%\nlevel = 1\n")
    with pytest.raises(ValueError, match="found 0"):
        parameters_of(source)


def test_launch_and_edit_lead_to_tracked_files():
    page = "xia2024/04_train/resnet18"
    targets = contents.launch_targets(page, "owner/companion")
    for address in (
        unquote(targets["Binder"]).partition("urlpath=lab/tree/")[2],
        unquote(targets["Colab"]).partition("/blob/main/")[2],
    ):
        assert address == "notebooks/xia2024/04_train.ipynb" and (repository() / address).is_file()
    assert "/v2/gh/owner/companion/main?" in targets["Binder"]
    assert contents.edit_target("a b.py", "owner/companion").endswith("/companion/edit/main/a%20b.py")


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
    monkeypatch.setattr(contents, "repository", lambda: tmp_path)
    assert contents.repository_address() == address
    monkeypatch.setenv("GITHUB_REPOSITORY", "fork/companion")
    assert contents.repository_address() == "fork/companion"


def test_a_page_is_cited_with_its_paper():
    companion, paper = references_of("xia2024/04_train/resnet18")
    assert companion == reference() and paper == reference("xia2024") and "doi = " in paper
    assert references_of("audit/01_claims") == [companion]
    with pytest.raises(RefusedInput, match=r"one of .*xia2024"):
        reference("xia2099")


def test_a_page_below_a_notebook_is_that_notebook_with_a_model(tmp_path, monkeypatch):
    notebook = tmp_path / "notebooks" / "study" / "01_page.py"
    notebook.parent.mkdir(parents=True)
    notebook.touch()
    monkeypatch.setattr(contents, "repository", lambda: Path(tmp_path))
    assert source_of("study/01_page") == (notebook, {})
    assert source_of("study/01_page/resnet18") == (notebook, {"model": "resnet18"})
    with pytest.raises(RefusedInput, match="no notebook of that name"):
        source_of("study/02_none")


def test_every_page_the_graph_names_is_a_page():
    graph = (repository() / "Snakefile").read_text(encoding="utf-8")
    named = set(re.findall(rf'"((?:{"|".join({page.partition("/")[0] for page in PAGES})})/\d*\w+)"', graph))
    assert "xia2024/07_by_donor" in named and named <= set(PAGES)


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("xia2024/05_benchmark", "data/recorded/xia2024/"),
        ("xia2024/05_benchmark", "data/sources.yml"),
        ("xia2024/07_by_donor", "data/weights.yml"),
        ("turrisi2024/03_classifiers", "data/audit/numbers.csv"),
    ],
)
def test_a_page_is_made_again_for_every_file_of_data_that_it_reads(page, file):
    assert any(name.startswith(file) for name in inputs_of(page))
