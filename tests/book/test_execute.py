"""A notebook gives a whole, stamped page or none, and a stamp knows what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from als_core.book import contents, freshness
from als_core.book import execute as module
from als_core.book import profile as profile_module
from als_core.book.execute import NotebookFailed, execute
from als_core.book.freshness import changed_since, stamp, stamp_of
from als_core.refusal import RefusedInput
from als_core.storage import modules_used, repository

NOTEBOOK = """# %% [markdown]
# # Title
# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
level = 1
# %%
{body}
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small checkout with one notebook; the library code is the real one."""
    root = tmp_path / "checkout"
    (root / "notebooks" / "study").mkdir(parents=True)
    (root / "book").mkdir()
    for name in ("profiles", "data/published"):
        shutil.copytree(repository() / name, root / name)
    for name in ("requirements.lock", "CITATION.cff", "book/references.bib"):
        shutil.copy(repository() / name, root / name)
    for part in (module, freshness, contents, profile_module):
        monkeypatch.setattr(part, "repository", lambda: root)

    def write(body: str) -> Path:
        source = root / "notebooks" / "study" / "01_page.py"
        source.write_text(NOTEBOOK.format(body=body))
        return source

    return write


PAGE = "study/01_page"
PARAMETERS = {"profile": "test", "cohort": "synthetic"}


@pytest.mark.slow
def test_a_page_is_executed_with_its_parameters_and_stamped(checkout, tmp_path):
    source = checkout("print(level + 1)")
    execute(PAGE, tmp_path / "page", PARAMETERS | {"level": 41}, "digest")
    page = json.loads((tmp_path / "page" / "page.ipynb").read_text())
    assert "42" in json.dumps(page["cells"])
    downloaded = json.loads((tmp_path / "page" / "executed.ipynb").read_text())
    assert "42" in json.dumps(downloaded["cells"]) and "papermill" not in json.dumps(downloaded)
    stamped = stamp_of(tmp_path / "page" / "page.ipynb")
    assert stamped["page"] == "study/01_page" and stamped["cohort_digest"] == "digest"
    assert changed_since(stamped, "test", "digest") == []
    assert changed_since(stamped, "quick", "other") == ["profile (test, the book's is quick)", "cohort"]
    source.write_text(source.read_text() + "# edited")
    assert changed_since(stamped, "test", "digest") == ["notebooks/study/01_page.py"]


@pytest.mark.slow
def test_a_failing_notebook_leaves_no_page_and_keeps_its_copy(checkout, tmp_path):
    source = checkout("raise KeyError('gone')")
    with pytest.raises(NotebookFailed, match="study/01_page: cell 3 ended in KeyError"):
        execute(PAGE, tmp_path / "page", PARAMETERS, "digest")
    assert not (tmp_path / "page").exists()
    assert (source.parents[2] / "logs" / "study.01_page.failed.ipynb").is_file()


def test_unknown_parameters_are_refused_all_at_once(checkout, tmp_path):
    checkout("pass")
    with pytest.raises(RefusedInput) as caught:
        execute(PAGE, tmp_path / "page", PARAMETERS | {"levle": 1, "sed": 2}, "digest")
    assert [problem.where for problem in caught.value.problems] == ["levle", "sed"]


def test_a_stamp_follows_contents_and_only_what_the_page_uses(checkout):
    source = checkout(
        'import als_core.statistics.metrics\npage.profile.amounts("heatmaps", int)\n"data/some"'
    )
    root = source.parents[2]
    (root / "data" / "some").mkdir()
    kept = root / "data" / "some" / "numbers.csv"
    kept.write_text("1")
    (root / "data" / "other.csv").write_text("1")

    def key() -> str:
        return stamp(PAGE, "test", "digest")["key"]

    given = stamp(PAGE, "test", "digest")["inputs"]
    own = {name for name in given if not name.startswith("data/published")}
    assert own == {
        "CITATION.cff and book/references.bib",
        "als_core/__init__.py",
        "als_core/statistics/__init__.py",
        "als_core/statistics/metrics.py",
        "notebooks/study/01_page.py",
        "data/some/numbers.csv",
        "profiles/test.yml, heatmaps",
        "profiles/test.yml, sentence",
        "requirements.lock",
    }
    before = key()
    source.touch()
    profile = root / "profiles" / "test.yml"
    whole = profile.read_text()
    for file, text in (
        (root / "profiles" / "quick.yml", "changed: {}"),
        (root / "data" / "other.csv", "2"),
        (profile, whole + "\nanother: {a: 1}"),
    ):
        file.write_text(text)
        assert key() == before
    for file, text in (
        (profile, whole.replace("heatmaps:", "heatmaps:\n  seen: 1")),
        (profile, whole.replace("sentence:", "sentence: Now")),
        (kept, "2"),
        (source, source.read_text() + "# edited"),
        (root / "requirements.lock", ""),
    ):
        old = file.read_text()
        file.write_text(text)
        assert key() != before, file
        file.write_text(old)
    assert key() == before
    others = {stamp(f"{PAGE}/{model}", "test", "digest")["key"] for model in ("resnet18", "densenet121")}
    assert len(others | {before}) == 3


def test_modules_are_followed_through_imports():
    used = {path.name for path in modules_used(repository() / "notebooks" / "xia2024" / "02_augmentation.py")}
    assert {"augmentation.py", "page.py", "style.py", "refusal.py", "augmented_set.py"} <= used
    assert not {"lrp.py", "radiomics.py", "__main__.py"} & used
