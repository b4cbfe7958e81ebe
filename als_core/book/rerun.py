"""How a reader runs a page again: the papermill command, the notebook with the book's parameters, and where to open it.

Everything leads to the tracked notebook under `notebooks/`, never to the executed copy that the page was made from.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import quote

import nbformat

from als_core.book.contents import source_of
from als_core.storage import repository, results_folder

BRANCH = "main"
OWN_FOLDER = "path/to/folder"  # stands for a reader's own folder: where it lies is nobody else's business


def book_parameters(page: str) -> dict[str, str]:
    """The parameters with which the book that was made last runs a page."""
    book = json.loads((results_folder() / "book.json").read_text(encoding="utf-8"))
    cohort = OWN_FOLDER if Path(book["cohort"]).is_absolute() else book["cohort"]
    return {"profile": book["profile"], "cohort": cohort, **source_of(page)[1]}


def tracked_notebook(page: str) -> str:
    """The Jupyter twin of a page's notebook, by its path in the repository."""
    return source_of(page)[0].with_suffix(".ipynb").relative_to(repository()).as_posix()


def papermill_command(page: str, parameters: dict[str, str], output: str = "mine.ipynb") -> str:
    """The shell command that runs a page's notebook with `parameters`, from the root of the repository."""
    given = [word for name, value in parameters.items() for word in ("-p", name, value)]
    return shlex.join([".venv/bin/papermill", tracked_notebook(page), output, *given])


def notebook_with_parameters(page: str, parameters: dict[str, str]) -> str:
    """A page's notebook without outputs, and with `parameters` injected after its own, as JSON."""
    from papermill.iorw import load_notebook_node  # half a second that most commands need not wait
    from papermill.parameterize import parameterize_notebook

    notebook = load_notebook_node(str(repository() / tracked_notebook(page)))
    notebook = parameterize_notebook(notebook, parameters)
    notebook.metadata.pop("papermill", None)  # the time of this build would make each one differ
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
    return nbformat.writes(notebook)


def repository_address() -> str | None:
    """`owner/name` on GitHub: of the workflow that builds the book, else of the remote `origin`, else None."""
    if named := os.environ.get("GITHUB_REPOSITORY"):
        return named
    asked = ["git", "-C", str(repository()), "remote", "get-url", "origin"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    found = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?$", answer)
    return found[1] if found else None


def launch_targets(page: str, address: str, branch: str = BRANCH) -> dict[str, str]:
    """Where a page's tracked notebook opens, ready to run: by name of the service."""
    notebook, place = quote(tracked_notebook(page)), f"{address}/{quote(branch)}"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{place}?urlpath={quote(f'lab/tree/{notebook}', safe='')}",
        "Colab": f"https://colab.research.google.com/github/{address}/blob/{quote(branch)}/{notebook}",
    }


def edit_target(source: str, address: str, branch: str = BRANCH) -> str:
    """Where the source of a page is edited: the text of its notebook, or its Markdown."""
    return f"https://github.com/{address}/edit/{quote(branch)}/{quote(source)}"
