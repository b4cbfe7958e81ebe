"""From an executed notebook to a page: blocks become Markdown cells and files, code stays folded away."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nbformat
from nbformat.v4 import new_markdown_cell

from als_core.book.blocks import FILES, MIME


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
    on_top: list[nbformat.NotebookNode] = []
    cells = []
    for cell in executed.cells:
        cell = _tidy(cell)
        blocks = []
        if cell.cell_type == "code":
            blocks = [output.data[MIME] for output in cell.outputs if MIME in output.get("data", {})]
            cell.outputs = [output for output in cell.outputs if MIME not in output.get("data", {})]
        cells.append(cell)
        for place, block in enumerate(blocks):
            claims += block["claims"]
            headlines += [block["headline"]] if block["headline"] else []
            titles += [block["title"]] if block["title"] else []
            for name, content in block["files"].items():
                decoded = base64.b64decode(content)
                if files.setdefault(name, decoded) != decoded:
                    raise ValueError(f"two blocks of {folder} bring different files named {name}")
            if block["myst"]:
                text = block["myst"].replace(FILES, folder)
                shown = new_markdown_cell(text, id=f"{cell.id[:50]}-{place}")
                (on_top if block["on_top"] else cells).append(shown)
    for title in titles:
        opening = next(cell for cell in cells if cell.cell_type == "markdown")
        opening.source = re.sub(
            r"^# .*$", lambda _, title=title: f"# {title}", opening.source, count=1, flags=re.M
        )
    below_title = next((n for n, cell in enumerate(cells, 1) if cell.cell_type == "markdown"), 0)
    notebook = executed.copy()
    notebook.cells = [*cells[:below_title], *on_top, *cells[below_title:]]
    notebook.metadata = {
        k: executed.metadata[k] for k in ("kernelspec", "language_info") if k in executed.metadata
    }
    return RenderedPage(notebook, files, claims, " ".join(headlines))


def _tidy(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop run times from the cell (they would differ each time), and fold its code."""
    cell = cell.copy()
    metadata = {key: value for key, value in cell.metadata.items() if key not in ("papermill", "execution")}
    if cell.cell_type == "code":
        tags = set(metadata.get("tags", []))
        if "injected-parameters" in tags:
            metadata["mystnb"] = {
                "code_prompt_show": "Parameters of this run",
                "code_prompt_hide": "Hide parameters",
            }
        if not tags & {"remove-cell", "remove-input"}:
            tags |= {"hide-input"}
        if "parameters" in tags:
            tags |= {"remove-cell"}  # the defaults; what was run stands in the injected cell
        metadata["tags"] = sorted(tags)
    cell.metadata = nbformat.from_dict(metadata)
    return cell
