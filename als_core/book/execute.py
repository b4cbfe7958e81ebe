"""Run one notebook with papermill in a fresh process and leave a rendered, stamped page, or nothing.

The text file of a pair is the source; its .ipynb twin is for Jupyter and is not read here.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from als_core.book.contents import source_of
from als_core.book.freshness import stamp
from als_core.book.render import render
from als_core.refusal import Problem, refuse_if
from als_core.storage import atomic_write, repository

PAGE = "page.ipynb"
FILES = "files"


class NotebookFailed(RuntimeError):
    """A cell of a notebook ended in an error; the message names notebook, cell and error."""


def execute(page: str, folder: Path, parameters: dict[str, Any], cohort_digest: str) -> None:
    """Execute the notebook of `page` with `parameters` and write the page to `folder`, whole or not at all.

    The folder gets `page.ipynb` (rendered, stamped) and `files/`. A notebook that fails leaves its
    partly executed copy under logs/ and raises NotebookFailed. Unknown parameters are refused first.
    """
    source, singling = source_of(page)
    parameters = parameters | singling
    notebook = jupytext.read(source)
    _check_parameters(page, notebook, parameters)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made_from = stamp(page, parameters["profile"], cohort_digest)
    started = time.monotonic()
    # Kernels that start at the same moment can be given the same TCP ports; sockets in a folder of their own
    # cannot be confused. The path must be short: a socket's name holds about a hundred characters.
    with atomic_write(folder) as room, tempfile.TemporaryDirectory(prefix="als-") as sockets:
        room.mkdir()
        executed_path = room / "executed.ipynb"
        raw_path = room / "raw.ipynb"
        nbformat.write(notebook, raw_path)
        try:
            papermill.execute_notebook(
                str(raw_path),
                str(executed_path),
                parameters=parameters,
                cwd=str(source.parent),
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/k"}}),
            )
        except PapermillExecutionError as error:
            kept = _keep_failed(executed_path, page)
            text = f"{page}: cell {error.cell_index} ended in {error.ename}: {error.evalue}\nThe partly executed notebook is {kept}"
            raise NotebookFailed(text) from error
        executed = nbformat.read(executed_path, as_version=4)
        _hide_homes(executed, parameters)
        rendered = render(executed, Path(page).name)
        rendered.notebook.metadata["als"] = {
            **made_from,
            "page": page,
            "parameters": {key: _without_home(value) for key, value in parameters.items()},
            "claims": rendered.claims,
            "headline": rendered.headline,
            "seconds": round(time.monotonic() - started, 1),
            "python": sys.version.split()[0],
        }
        executed_path.unlink()
        raw_path.unlink()
        (room / FILES).mkdir()
        for file_name, content in rendered.files.items():
            (room / FILES / file_name).write_bytes(content)
        nbformat.write(rendered.notebook, room / PAGE)


def parameters_of(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Defaults of the `parameters` cell: plain literals only. Raises ValueError for anything else."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"exactly one cell tagged `parameters` is needed, found {len(cells)}")
    defaults = {}
    for node in ast.parse(cells[0].source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            raise ValueError(f"the parameters cell holds more than plain assignments: {ast.unparse(node)}")
        defaults[node.targets[0].id] = ast.literal_eval(node.value)
    return defaults


def _check_parameters(page: str, notebook: nbformat.NotebookNode, parameters: dict[str, Any]) -> None:
    known = parameters_of(notebook)
    refuse_if(
        f"The run of {page}",
        [
            Problem(name, "a parameter the notebook does not have", ", ".join(known), "Correct its name.")
            for name in parameters
            if name not in known
        ],
    )


def _keep_failed(executed: Path, page: str) -> Path:
    kept = repository() / "logs" / f"{page.replace('/', '.')}.failed.ipynb"
    kept.parent.mkdir(exist_ok=True)
    shutil.copyfile(executed, kept)
    return kept


def _without_home(value: Any) -> Any:
    """A path of the reader's machine is nobody else's business: only its last part goes on a page."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _hide_homes(executed: nbformat.NotebookNode, parameters: dict[str, Any]) -> None:
    """Take the folders of the reader's machine out of the cell of injected parameters, which the page shows."""
    for cell in executed.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            for value in parameters.values():
                cell.source = cell.source.replace(str(value), str(_without_home(value)))


def load_page(folder: Path) -> nbformat.NotebookNode:
    """The rendered page in a folder written by `execute`."""
    return nbformat.read(folder / PAGE, as_version=4)


def stamp_of(notebook_file: Path) -> dict[str, Any]:
    """The stamp of a rendered page without parsing the rest into a notebook."""
    return json.loads(notebook_file.read_text(encoding="utf-8"))["metadata"].get("als", {})
