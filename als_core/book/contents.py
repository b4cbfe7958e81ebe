"""Pages of the book: the notebook and the parameters that make each, how to run it again, and how to cite it.

The table of contents lists the pages. `xia2024/01_cohort` is made by `notebooks/xia2024/01_cohort.py`;
`xia2024/04_train/resnet18` by `notebooks/xia2024/04_train.py` with the parameter `model="resnet18"`. Commands and
links lead to the tracked notebook under `notebooks/`, never to the executed copy from which a page was rendered.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
from collections.abc import Collection, Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from als_core.refusal import Problem, RefusedInput
from als_core.storage import read_yaml, repository, results_folder

if TYPE_CHECKING:
    from pybtex.database import BibliographyData

BRANCH = "main"
OWN_FOLDER = "path/to/folder"
"""In place of a reader's own folder, whose place is private."""
COMPANION = "als_imaging_companion"
PAGE, FILES, EXECUTED = "page.ipynb", "files", "executed.ipynb"
"""In the folder of a rendered page: the page, what it refers to, and the executed notebook to download."""
DATA = {"cohort": "images", "crops": "crops", "brains": "volumes", "features": "features"}
"""Parameter of a notebook -> kind of data that it takes (`cohorts.folders.kind_of`)."""
NO_DATA: dict[str, Any] = {"parameters": {}, "slug": "standard", "digest": "standard"}
"""What a page is about that takes none of a book's data."""
PARAMETERS = re.compile(r'^# %% .*tags=\[[^\]]*"parameters".*\n(?P<code>(?:(?!# %%).*\n?)*)', re.MULTILINE)


def book_pages() -> list[str]:
    """List the pages made from notebooks, in the order of the table of contents."""
    contents = read_yaml(repository() / "_toc.yml")
    files = [chapter["file"] for part in contents["parts"] for chapter in _flat(part["chapters"])]
    return [page for file in files if _source(page := file.removeprefix("book/"))]


def source_of(page: str) -> tuple[Path, dict[str, str]]:
    """Find the notebook that makes a page, and the parameters that distinguish the page from its others.

    Raises RefusedInput where there is no such notebook.
    """
    found = _source(page)
    if not found:
        problem = Problem(page, "no notebook of that name", f"notebooks/{page}.py", "Check the name.")
        raise RefusedInput("The page", [problem])
    return found


def data_of(page: str, book: dict[str, Any]) -> dict[str, Any]:
    """Which of the book's data a page is about: of those that its notebook has a parameter for, the last in `DATA`.

    Returns an entry of `book["data"]`, or `NO_DATA` where the page stays as its notebook has it.
    """
    known = parameters_of(source_of(page)[0])
    given = [book["data"][name] for name in DATA if name in known and name in book["data"]]
    return given[-1] if given else NO_DATA


def page_parameters(page: str, book: dict[str, Any]) -> dict[str, Any]:
    """Parameters with which a book runs a page; its notebook's defaults hold for the others."""
    source, distinguishing = source_of(page)
    known = parameters_of(source)
    given = {name: value for name, value in data_of(page, book)["parameters"].items() if name in known}
    return {"profile": book["profile"], **given, **distinguishing}


def page_folder(page: str, book: dict[str, Any]) -> Path:
    """Folder of a rendered page, by profile and by what the page is about."""
    return results_folder() / book["profile"] / data_of(page, book)["slug"] / "pages" / page


def parameters_of(source: Path) -> dict[str, Any]:
    """Read the defaults in the `parameters` cell of a notebook's text.

    Raises ValueError where there is not exactly one such cell, or it holds more than assignments of plain literals.
    """
    cells = [cell["code"] for cell in PARAMETERS.finditer(source.read_text(encoding="utf-8"))]
    if len(cells) != 1:
        raise ValueError(f"{source}: exactly one cell tagged `parameters` is needed, found {len(cells)}")
    return literals_assigned(cells[0])


def literals_assigned(code: str) -> dict[str, Any]:
    """Names and values of code that only assigns plain literals to names. Raises ValueError for any other code."""
    values = {}
    for node in ast.parse(code).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            raise ValueError(f"the parameters cell holds more than plain assignments: {ast.unparse(node)}")
        values[node.targets[0].id] = ast.literal_eval(node.value)
    return values


def unknown_parameters(given: Iterable[str], known: Collection[str]) -> list[Problem]:
    """One problem for each parameter that a notebook does not have."""
    names = ", ".join(known)
    return [
        Problem(name, "a parameter that the notebook does not have", f"one of {names}", "Correct its name.")
        for name in given
        if name not in known
    ]


def papers() -> dict[str, dict[str, Any]]:
    """Papers of the book, by key, as `data/papers.yml` introduces them."""
    return read_yaml(repository() / "data" / "papers.yml")


def made_book() -> dict[str, Any]:
    """State of the book that was made last.

    Returns
    -------
    dict
        `profile`; `line`, a sentence for each of the data; and `data`: by parameter of `DATA`, what was brought or
        chosen, with its `parameters` (of the notebook), `name`, `kind` (published, synthetic, own), `slug` and
        `digest`.
    """
    return json.loads((results_folder() / "book.json").read_text(encoding="utf-8"))


def book_parameters(page: str) -> dict[str, Any]:
    """Parameters with which the book that was made last runs a page, without places of the reader's machine."""
    return {name: without_home(value) for name, value in page_parameters(page, made_book()).items()}


def without_home(value: Any) -> Any:
    """Replace an absolute path, which belongs to the reader's machine, by a stand-in; leave other values as they are."""
    if not isinstance(value, str):
        return value
    source, colon, place = value.rpartition(":")  # adni:/home/...
    return f"{source}{colon}{OWN_FOLDER}" if Path(place).is_absolute() else value


def tracked_notebook(page: str) -> str:
    """Path in the repository of the Jupyter twin of a page's notebook."""
    return source_of(page)[0].with_suffix(".ipynb").relative_to(repository()).as_posix()


def executed_notebook(page: str) -> Path:
    """File of the executed notebook behind a page of the book that was made last, to be downloaded."""
    return page_folder(page, made_book()) / EXECUTED


def papermill_command(page: str, parameters: dict[str, Any]) -> str:
    """Shell command, one parameter a line, that runs a page's notebook from the root of the repository."""
    given = [shlex.join(["-p", name, str(value)]) for name, value in parameters.items()]
    return " \\\n  ".join([shlex.join([".venv/bin/papermill", tracked_notebook(page), "mine.ipynb"]), *given])


def repository_address() -> str | None:
    """Find `owner/name` on GitHub: of the workflow that builds the book, else of the remote `origin`, else None."""
    if named := os.environ.get("GITHUB_REPOSITORY"):
        return named
    asked = ["git", "-C", str(repository()), "remote", "get-url", "origin"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    found = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?$", answer)
    return found[1] if found else None


def launch_targets(page: str, address: str) -> dict[str, str]:
    """Addresses at which a page's tracked notebook opens ready to run, by name of the service."""
    notebook, place = quote(tracked_notebook(page)), f"{address}/{BRANCH}"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{place}?urlpath={quote(f'lab/tree/{notebook}', safe='')}",
        "Colab": f"https://colab.research.google.com/github/{address}/blob/{BRANCH}/{notebook}",
    }


def edit_target(source: str, address: str) -> str:
    """Address at which the source of a page is edited: the text of its notebook, or its Markdown."""
    return f"https://github.com/{address}/edit/{BRANCH}/{quote(source)}"


def reference(key: str = "") -> str:
    """BibTeX entry of a key in `book/references.bib`; without a key, that of the companion from `CITATION.cff`.

    Raises RefusedInput, naming the known keys, for an unknown one.
    """
    if not key:
        return _companion()
    keys = _bibliography(_references()).entries
    if key not in keys:
        problem = Problem(key, "no such reference", f"one of {', '.join(keys)}", "Choose one.")
        raise RefusedInput("The reference", [problem])
    return _bibtex(_references(), key)


def references_of(page: str) -> list[str]:
    """BibTeX entries to cite for a page: the companion's, and its paper's where the page is about one."""
    paper = page.partition("/")[0]
    return [reference(), *([reference(paper)] if paper in _bibliography(_references()).entries else [])]


def _companion() -> str:
    about = read_yaml(repository() / "CITATION.cff")
    names = [
        author.get("name") or f"{author['family-names']}, {author['given-names']}"
        for author in about["authors"]
    ]
    fields = {
        "author": " and ".join(f"{{{name}}}" if "," not in name else name for name in names),
        "title": f"{{{about['title']}}}",
        "version": about["version"],
        "year": str(date.fromisoformat(about["date-released"]).year),
        "doi": about.get("doi", ""),
        "url": about.get("repository-code", ""),
    }
    body = "".join(f",\n  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@software{{{COMPANION}{body}\n}}\n"


def _references() -> str:
    return (repository() / "book" / "references.bib").read_text(encoding="utf-8")


@cache
def _bibliography(text: str) -> BibliographyData:
    from pybtex.database import parse_string

    return parse_string(text, "bibtex")


@cache
def _bibtex(text: str, key: str) -> str:
    from pybtex.database import BibliographyData  # writing one entry takes it 15 ms

    return BibliographyData({key: _bibliography(text).entries[key]}).to_string("bibtex")


def _source(page: str) -> tuple[Path, dict[str, str]] | None:
    notebook = repository() / "notebooks" / f"{page}.py"
    if notebook.is_file():
        return notebook, {}
    several = notebook.parent.with_suffix(".py")
    return (several, {"model": notebook.stem}) if several.is_file() else None


def _flat(chapters: list[dict]) -> list[dict]:
    return [entry for chapter in chapters for entry in (chapter, *_flat(chapter.get("sections", [])))]
