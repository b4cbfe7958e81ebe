"""Run one notebook with papermill in a fresh process, and render it to a stamped page.

The text file of a pair is the source; its .ipynb twin is for Jupyter and is not read here. Rendering turns each
block that the notebook showed into a Markdown cell and its files, and folds the code away.
"""

from __future__ import annotations

import base64
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from nbformat.v4 import new_markdown_cell
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from als_core.book.contents import (
    EXECUTED,
    FILES,
    PAGE,
    parameters_of,
    source_of,
    unknown_parameters,
    without_home,
)
from als_core.book.freshness import stamp
from als_core.book.prose import MIME, PLACEHOLDER, fit_prose, plain_roles
from als_core.refusal import refuse_if
from als_core.storage import atomic_write, repository

LABEL = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)
"""Target of a cross-reference in MyST, e.g. `(xia-augmentation)=`."""


SHOWN = "show"
"""Tag of a code cell that a reader of the page should see: data, model, training, measurement."""


class NotebookFailed(RuntimeError):
    """A cell of a notebook ended in an error; the message names notebook, cell and error."""


def execute(page: str, folder: Path, parameters: dict[str, Any], cohort_digest: str) -> None:
    """Execute the notebook of `page` with `parameters` and write the page to `folder`, whole or not at all.

    The folder gets the page (rendered, stamped), its files, and the executed notebook to download. Unknown
    parameters are refused before anything runs; a notebook that fails leaves its partly executed copy under
    logs/ and raises NotebookFailed.
    """
    source, distinguishing = source_of(page)
    parameters = parameters | distinguishing
    _check_parameters(page, source, parameters)
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made_from = stamp(page, parameters["profile"], cohort_digest)
    started = time.monotonic()
    with atomic_write(folder) as tmp_dir:
        tmp_dir.mkdir()
        executed = _run(page, notebook, source.parent, parameters, tmp_dir / "raw.ipynb")
        executed = fit_prose(executed)
        _hide_homes(executed, parameters)
        rendered = render(executed, Path(page).name)
        rendered.notebook.metadata["als"] = {
            **made_from,
            "page": page,
            "parameters": {key: without_home(value) for key, value in parameters.items()},
            "claims": rendered.claims,
            "headline": rendered.headline,
            "seconds": round(time.monotonic() - started, 1),
            "python": sys.version.split()[0],
        }
        (tmp_dir / FILES).mkdir()
        for file_name, content in rendered.files.items():
            (tmp_dir / FILES / file_name).write_bytes(content)
        nbformat.write(rendered.notebook, tmp_dir / PAGE)
        nbformat.write(without_blocks(executed), tmp_dir / EXECUTED)


def _run(
    page: str, notebook: nbformat.NotebookNode, cwd: Path, parameters: dict[str, Any], raw: Path
) -> nbformat.NotebookNode:
    """Run a notebook in a kernel of its own and return it executed. raw: a file for it, removed afterwards."""
    nbformat.write(notebook, raw)
    result = raw.with_name("result.ipynb")
    # Kernels that start at the same moment can be given the same TCP ports; sockets in a folder of their own
    # cannot be confused. The path must be short: a socket's name holds about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="als-") as sockets:
        try:
            papermill.execute_notebook(
                str(raw),
                str(result),
                parameters=parameters,
                cwd=str(cwd),
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/k"}}),
            )
        except PapermillExecutionError as error:
            kept = repository() / "logs" / f"{page.replace('/', '.')}.failed.ipynb"
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(result, kept)
            raise NotebookFailed(
                f"{page}: cell {error.cell_index} ended in {error.ename}: {error.evalue}\n"
                f"The partly executed notebook is {kept}"
            ) from error
    executed = nbformat.read(result, as_version=4)
    raw.unlink()
    result.unlink()
    return executed


def _check_parameters(page: str, source: Path, parameters: dict[str, Any]) -> None:
    known = parameters_of(source)
    refuse_if(f"The parameters of {page}", unknown_parameters(parameters, known))


def _hide_homes(executed: nbformat.NotebookNode, parameters: dict[str, Any]) -> None:
    """Replace folders of the reader's machine in the cell of injected parameters, which the page shows."""
    for cell in executed.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            for value in parameters.values():
                cell.source = cell.source.replace(str(value), str(without_home(value)))


@dataclass(frozen=True)
class RenderedPage:
    """A page as Jupyter Book reads it, the files it refers to, the claims it recorded, and its headline."""

    notebook: nbformat.NotebookNode
    files: Mapping[str, bytes]
    claims: list[dict[str, Any]]
    headline: str = ""


def render(executed: nbformat.NotebookNode, folder: str) -> RenderedPage:
    """Turn an executed notebook into a page.

    folder: name of the folder of files beside the page. Raises ValueError when two blocks bring a file
    of one name with different content.
    """
    files: dict[str, bytes] = {}
    claims: list[dict[str, Any]] = []
    headlines: list[str] = []
    titles: list[str] = []
    answers: list[nbformat.NotebookNode] = []  # of the blocks on top, the first
    on_top: list[nbformat.NotebookNode] = []
    cells = []
    for cell in executed.cells:
        cell = _tidy(cell)
        shown = []
        if cell.cell_type == "code":
            shown = [output.data[MIME] for output in cell.outputs if MIME in output.get("data", {})]
            cell.outputs = [output for output in cell.outputs if MIME not in output.get("data", {})]
        cells.append(cell)
        for place, block in enumerate(shown):
            claims += block["claims"]
            headlines += [block["headline"]] if block["headline"] else []
            titles += [block["title"]] if block["title"] else []
            for name, content in block["files"].items():
                decoded = base64.b64decode(content)
                if files.setdefault(name, decoded) != decoded:
                    raise ValueError(f"two blocks of {folder} bring different files named {name}")
            if block["myst"]:
                text = block["myst"].replace(PLACEHOLDER, folder)
                block_cell = new_markdown_cell(text, id=f"{cell.id[:50]}-{place}")
                if block["on_top"]:
                    (answers if block["headline"] else on_top).append(block_cell)
                else:
                    cells.append(block_cell)
    for title in titles:
        opening = next(cell for cell in cells if cell.cell_type == "markdown")
        opening.source = re.sub(
            r"^# .*$", lambda _, title=title: f"# {title}", opening.source, count=1, flags=re.M
        )
    below_title = next((n for n, cell in enumerate(cells, 1) if cell.cell_type == "markdown"), 0)
    notebook = executed.copy()
    notebook.cells = [*cells[:below_title], *answers, *on_top, *cells[below_title:]]
    notebook.metadata = _kernel_metadata(executed)
    return RenderedPage(notebook, files, claims, " ".join(headlines))


def without_blocks(executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Copy an executed notebook for download: outputs as their previews, and text without markup that only the book reads."""
    notebook = executed.copy()
    notebook.cells = [_without_run_times(cell) for cell in executed.cells]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_roles(LABEL.sub("", cell.source))
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(MIME, None)
    notebook.metadata = _kernel_metadata(executed)
    return notebook


def _kernel_metadata(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    kept = ("kernelspec", "language_info")
    return nbformat.from_dict({key: notebook.metadata[key] for key in kept if key in notebook.metadata})


def _without_run_times(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Copy a cell without the times of its run, which would differ each time."""
    cell = deepcopy(cell)
    for key in ("papermill", "execution"):
        cell.metadata.pop(key, None)
    return cell


def _tidy(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Copy a cell without run times, and with its code folded unless it is tagged `SHOWN`."""
    cell = _without_run_times(cell)
    metadata = dict(cell.metadata)
    if cell.cell_type == "code":
        tags = set(metadata.get("tags", []))
        if "injected-parameters" in tags:
            metadata["mystnb"] = {
                "code_prompt_show": "Parameters of this run",
                "code_prompt_hide": "Hide parameters",
            }
        if not tags & {"remove-cell", "remove-input", SHOWN}:
            tags |= {"hide-input"}
        if "parameters" in tags:
            tags |= {"remove-cell"}  # the defaults; the injected cell has the values of this run
        metadata["tags"] = sorted(tags)
    cell.metadata = nbformat.from_dict(metadata)
    return cell
