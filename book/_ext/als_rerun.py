"""Sphinx extension: rerunning. `{als-commands}` lists the command of each page; buttons lead to the tracked notebooks.

Each page made from a notebook offers the executed notebook, with its outputs and captions, to download. Launch and
edit buttons appear where the repository's address is known (see `als_core.book.contents.repository_address`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from als_core.book import contents as rerun
from als_core.book.contents import book_pages, executed_notebook, source_of
from als_core.storage import repository

NOTEBOOKS = "_notebooks"


class Commands(SphinxDirective):
    """The papermill command of every page of the book, with the book's own profile and cohort."""

    def run(self) -> list[nodes.Node]:
        lines = []
        for page in book_pages():
            command = rerun.papermill_command(page, rerun.book_parameters(page))
            lines += [f"[](/book/{page}.ipynb)", "", "```bash", command, "```", ""]
        return self.parse_text_to_nodes("\n".join(lines))


def change_buttons(app, pagename, templatename, context, doctree) -> None:
    """Buttons of a page: launch, edit, and the notebook in place of the rendered page's source."""
    buttons = context.get("header_buttons")
    if not buttons:
        return
    page = pagename.removeprefix("book/")
    address = rerun.repository_address()
    if page in book_pages():
        source = source_of(page)[0].relative_to(repository()).as_posix()
        link = f"{context['pathto'](NOTEBOOKS, 1)}/{page}.ipynb"
        for group in buttons:
            if group.get("label") == "download-buttons" and executed_notebook(page).is_file():
                group["buttons"] = [
                    _link(".ipynb", link, "Download this page as a notebook, with its outputs"),
                    *(button for button in group["buttons"] if button.get("label") == "download-pdf-button"),
                ]
        if address:
            targets = rerun.launch_targets(page, address)
            links = [_link(name, url, f"Open the notebook on {name}") for name, url in targets.items()]
            buttons.insert(0, _group("Run this notebook elsewhere", "fas fa-rocket", links))
    else:
        source = f"{pagename}.md"
    if address and (repository() / source).is_file():
        edit = _link("Edit", rerun.edit_target(source, address), "Suggest a change to this page")
        buttons.insert(0, edit | {"icon": "fas fa-pencil-alt", "text": ""})


def _link(text: str, url: str, tooltip: str) -> dict:
    return {"type": "link", "text": text, "url": url, "tooltip": tooltip, "icon": "fas fa-code"}


def _group(tooltip: str, icon: str, links: list[dict]) -> dict:
    return {"type": "group", "tooltip": tooltip, "icon": icon, "buttons": links, "label": "launch-buttons"}


def write_notebooks(app, exception) -> None:
    """Put each page's executed notebook where its button leads."""
    if exception or app.builder.format != "html":
        return
    for page in book_pages():
        if (executed := executed_notebook(page)).is_file():
            target = Path(app.outdir) / NOTEBOOKS / f"{page}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(executed, target)


def setup(app):
    app.add_directive("als-commands", Commands)
    app.connect("html-page-context", change_buttons, priority=900)
    app.connect("build-finished", write_notebooks, priority=450)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
