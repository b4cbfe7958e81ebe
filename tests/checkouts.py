"""A copy of this checkout without built files, with few pages where few are enough, and commands run in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
COPIED = (
    "als_core",
    "benchmarks",
    "book",
    "data",
    "notebooks",
    "profiles",
    "Snakefile",
    "_config.yml",
    "_toc.yml",
    "CITATION.cff",
    "requirements.lock",
)


def copy_checkout(root: Path, pages: Collection[str] | None = None, also: Collection[str] = ()) -> Path:
    """Copy the inputs of a book to `root`, and the files and folders named in `also`.

    pages: keep only these of the pages made from notebooks; None keeps all.
    """
    root.mkdir(parents=True, exist_ok=True)
    studies = [path.name for path in (REPOSITORY / "notebooks").iterdir()]
    made_of_book = shutil.ignore_patterns("__pycache__", "recorded", "generated", "claims.md", *studies)
    for name in (*COPIED, *also):
        source = REPOSITORY / name
        ignore = made_of_book if name == "book" else shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, root / name, ignore=ignore) if source.is_dir() else shutil.copy(source, root)
    if pages is not None:
        keep_pages(root, pages)
    return root


def keep_pages(root: Path, pages: Collection[str]) -> None:
    """Keep in a copy's table of contents the prose and `pages`; of the API pages, which take long, the titles."""
    for file in (root / "book").glob("api_*.md"):
        file.write_text(file.read_text(encoding="utf-8").partition("```{als-floor}")[0], encoding="utf-8")
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))

    def kept(chapters: list[dict]) -> list[dict]:
        """Chapters that stay; one whose sections all go loses the key as well."""
        staying = []
        for chapter in chapters:
            below = kept(chapter.get("sections", []))
            chapter = {key: value for key, value in chapter.items() if key != "sections"}
            if chapter["file"].count("/") == 1 or chapter["file"].removeprefix("book/") in pages:
                staying.append(chapter | ({"sections": below} if below else {}))
        return staying

    for part in contents["parts"]:
        part["chapters"] = kept(part["chapters"])
    contents["parts"] = [part for part in contents["parts"] if part["chapters"]]
    _keep_labels(root, contents, pages)
    (root / "_toc.yml").write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")


def _keep_labels(root: Path, contents: dict, pages: Collection[str]) -> None:
    """Put the labels of the notebooks that are left out on a page of their own, so that links to them resolve."""
    left_out = [
        file
        for file in sorted((root / "notebooks").glob("*/*.py"))
        if not any(page.startswith(f"{file.parent.name}/{file.stem}") for page in pages)
    ]
    labels = [label for file in left_out for label in re.findall(r"^# \((.+)\)=$", file.read_text(), re.M)]
    sections = [f"({label})=\n## {label}\n" for label in labels]
    (root / "book" / "left_out.md").write_text("\n".join(["# Left out\n", *sections]), encoding="utf-8")
    if not any(chapter["file"] == "book/left_out" for chapter in contents["parts"][-1]["chapters"]):
        contents["parts"][-1]["chapters"].append({"file": "book/left_out"})


def environment_in(root: Path) -> dict[str, str]:
    """Environment of a command in a copy: its own modules and results, no real data, one thread a process."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ALS_DATA", "ALS_RESULTS", "ALS_WEIGHTS")
    }
    return kept | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}


def run_in(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python with the given arguments in a copy."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment_in(root),
        capture_output=True,
        text=True,
        check=False,
    )
