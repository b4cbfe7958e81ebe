"""What publishes the book: workflows, forms, hooks, citation and archive metadata say what their readers expect."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from als_core.__main__ import app
from als_core.book.citation import reference
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
def test_files_keep_their_schema(schema):
    done = tool("check-jsonschema", "--builtin-schema", schema, *SCHEMAS[schema])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_workflow_would_be_noticed(tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    assert tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", broken).returncode == 1


def test_workflows_test_both_pythons_build_check_links_deploy_release_and_refresh():
    jobs = {
        path.stem: yaml.safe_load(path.read_text())["jobs"] | {"text": path.read_text()} for path in WORKFLOWS
    }
    assert jobs["book"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    assert jobs["book"]["deploy"]["needs"] == ["test", "build"]
    for words in ("make book", "make links", "upload-pages-artifact", "deploy-pages"):
        assert words in jobs["book"]["text"]
    assert "sha256sum" in jobs["release"]["text"] and "gh release create" in jobs["release"]["text"]
    assert "self-hosted" in jobs["gpu"]["paper"]["runs-on"] and "als record" in jobs["gpu"]["text"]


def test_every_make_target_and_command_a_workflow_uses_is_there():
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


def test_als_cite_says_what_cffconvert_says():
    theirs = fields(tool("cffconvert", "-f", "bibtex", "-i", "CITATION.cff").stdout)
    ours = fields(reference())
    assert ours["author"] == theirs["author"] and ours["title"] == theirs["title"]
    assert ours["year"] == theirs["year"]
    assert "doi = " in reference("xia2024")


def test_the_archive_is_told_what_the_citation_says():
    archive = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    theirs = json.loads(tool("cffconvert", "-f", "zenodo", "-i", "CITATION.cff").stdout)
    assert {name: archive[name] for name in theirs} == theirs
    assert archive["upload_type"] == "software" and len(archive["description"]) > 100


def test_binder_installs_the_pinned_set():
    assert (ROOT / ".binder" / "requirements.txt").read_text().split() == ["-r", "../requirements.txt"]
    assert (ROOT / ".binder" / "runtime.txt").read_text().strip() in ("python-3.11", "python-3.12")
    assert "--no-deps --editable ." in (ROOT / ".binder" / "postBuild").read_text()


def test_hooks_run_tests_that_exist():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff", "ruff-format", "pairs", "stripped", "contents"]
    tests = (ROOT / "tests" / "pages" / "test_notebooks.py").read_text()
    for hook in hooks[2:]:
        name = re.search(r"-k (\w+)", hook["entry"])[1]
        assert f"def {name}(" in tests


def test_the_transcript_of_slurm_shows_equal_results_and_no_machine():
    text = (ROOT / "book" / "slurm.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `([0-9a-f]{16})` \| `([0-9a-f]{16})` \|", text)
    assert len(rows) == 4 and all(here == there for here, there in rows)
    assert not re.search(r"/(tmp|home|root|work|var)/", text)


def test_the_cluster_profile_is_one_of_snakemake(monkeypatch):
    settings = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    assert settings["executor"] == "slurm" and settings["slurm-status-command"] == "squeue"
    pinned = (ROOT / "requirements-slurm.txt").read_text()
    assert re.search(r"^snakemake-executor-plugin-slurm==\d", pinned, re.MULTILINE)
    told = CliRunner().invoke(app, ["book", "synthetic", "--cluster", "profiles"])
    assert told.exit_code and "no config.yaml" in str(told.exception)


def test_no_backtick_follows_the_fence_of_a_directive():
    """Markdown does not take such a line for a fence: the directive is printed and the rest of the page becomes code."""
    for page in sorted((ROOT / "book").glob("*.md")):
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not (line.startswith("```{") and "`" in line.lstrip("`")), f"{page.name}: {line}"
