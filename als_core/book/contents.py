"""Which pages the book has, and which notebook, with which parameters, makes each.

The table of contents is the list. `xia2024/01_cohort` is made by `notebooks/xia2024/01_cohort.py`;
`xia2024/04_train/resnet18` by `notebooks/xia2024/04_train.py` with the parameter `model="resnet18"`.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from als_core.refusal import Problem, RefusedInput
from als_core.storage import repository


def book_pages() -> list[str]:
    """Pages made from notebooks, in the order of the table of contents."""
    contents = yaml.safe_load((repository() / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in contents["parts"] for chapter in _flat(part["chapters"])]
    return [page for file in files if _source(page := file.removeprefix("book/"))]


def source_of(page: str) -> tuple[Path, dict[str, str]]:
    """The notebook that makes a page, and the parameters that single the page out.

    Raises RefusedInput where there is no such notebook.
    """
    found = _source(page)
    if not found:
        problem = Problem(page, "no notebook of that name", f"notebooks/{page}.py", "Check the name.")
        raise RefusedInput("The page", [problem])
    return found


def _source(page: str) -> tuple[Path, dict[str, str]] | None:
    notebook = repository() / "notebooks" / f"{page}.py"
    if notebook.is_file():
        return notebook, {}
    several = notebook.parent.with_suffix(".py")
    return (several, {"model": notebook.stem}) if several.is_file() else None


def _flat(chapters: list[dict]) -> list[dict]:
    return [entry for chapter in chapters for entry in (chapter, *_flat(chapter.get("sections", [])))]
