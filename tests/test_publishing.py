"""Files that publish the book: workflows, forms, citation and archive metadata fit their schemas and each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from als_core.__main__ import app
from als_core.book.contents import reference
from als_core.storage import repository

ROOT = repository()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [
    path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"
]
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "custom.github-workflows-require-timeout": WORKFLOWS,
    "vendor.github-issue-forms": FORMS,
    "vendor.github-issue-config": [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess:
    program = Path(sys.executable).with_name(name)
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_fit_their_schema(schema):
    done = tool("check-jsonschema", "--builtin-schema", schema, *SCHEMAS[schema])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_workflow_does_not_fit(tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    assert tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", broken).returncode == 1


def test_workflows_use_make_targets_and_commands_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    for path in WORKFLOWS:
        text = path.read_text()
        assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= targets
        assert set(re.findall(r"\.venv/bin/als ([a-z]+)", text)) <= commands


def test_citation_is_valid_by_cffconvert():
    done = tool("cffconvert", "--validate", "-i", "CITATION.cff")
    assert done.returncode == 0, done.stdout + done.stderr


def fields(bibtex: str) -> dict[str, str]:
    return {name: value.strip("{}") for name, value in re.findall(r"(\w+)\s*=\s*(\{+.*?\}+)", bibtex)}


def test_als_cite_agrees_with_cffconvert():
    theirs = fields(tool("cffconvert", "-f", "bibtex", "-i", "CITATION.cff").stdout)
    ours = fields(reference())
    assert ours["author"] == theirs["author"] and ours["title"] == theirs["title"]
    assert ours["year"] == theirs["year"]


def test_metadata_of_the_archive_agree_with_the_citation():
    archive = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    theirs = json.loads(tool("cffconvert", "-f", "zenodo", "-i", "CITATION.cff").stdout)
    assert {name: archive[name] for name in theirs} == theirs
    assert archive["upload_type"] == "software" and len(archive["description"]) > 100


def test_no_backtick_follows_the_fence_of_a_directive():
    """Markdown does not take such a line for a fence: the directive is printed and the rest of the page becomes code."""
    for page in sorted((ROOT / "book").glob("*.md")):
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not (line.startswith("```{") and "`" in line.lstrip("`")), f"{page.name}: {line}"
