"""What changed between two books, and of what: data, code, profile or library."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from typer.testing import CliRunner

from als_core.__main__ import app
from als_core.book import changes as module
from als_core.book.build import pages_folder
from als_core.book.changes import changes, changes_since_last, record_file

PAGE = "study/01_page"
MADE_FROM = {
    "profile": "test",
    "cohort": "abc",
    "Python": "3.11.7",
    "requirements.lock": "1",
    "als_core/studies/miao2023/filters.py": "1",
    "notebooks/study/01_page.py": "1",
    "data/published/study.csv": "1",
    "profiles/test.yml, sentence": "1",
}
BEFORE = {PAGE: {"made_from": MADE_FROM, "files": {"one.svg": "1", "one.csv": "1"}}}


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        ("profile", "profile (profile)"),
        ("profiles/test.yml, sentence", "profile (profiles/test.yml, sentence)"),
        ("cohort", "data (cohort)"),
        ("data/published/study.csv", "data (data/published/study.csv)"),
        ("als_core/studies/miao2023/filters.py", "code (als_core/studies/miao2023/filters.py)"),
        ("notebooks/study/01_page.py", "code (notebooks/study/01_page.py)"),
        ("requirements.lock", "library (requirements.lock)"),
        ("Python", "library (Python)"),
        (None, "nothing it was made from"),
    ],
)
def test_a_changed_figure_is_listed_with_its_cause(cause, kind):
    now = deepcopy(BEFORE)
    now[PAGE]["files"]["one.svg"] = "2"
    if cause:
        now[PAGE]["made_from"][cause] = "2"
    (line,) = changes(BEFORE, now)
    assert line.startswith(f"{PAGE}: one.svg, because of {kind}")


def test_what_does_not_show_is_not_listed_and_pages_come_and_go():
    now = deepcopy(BEFORE)
    now[PAGE]["made_from"]["als_core/studies/miao2023/filters.py"] = "2"
    assert changes(BEFORE, now) == []
    assert changes(BEFORE, {}) == [f"{PAGE}: not made"] and changes({}, BEFORE) == [f"{PAGE}: new"]


def test_each_book_is_compared_with_the_one_before(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "book_pages", lambda: [PAGE, "study/02_not_made"])
    folder = pages_folder("test", "slug") / PAGE
    (folder / "files").mkdir(parents=True)

    def made(figure: str, code: str) -> None:
        inputs = {"als_core/studies/miao2023/filters.py": code}
        stamp = {"profile": "test", "cohort_digest": "abc", "python": "3.11.7", "inputs": inputs}
        (folder / "page.ipynb").write_text(json.dumps({"metadata": {"als": stamp}}))
        (folder / "files" / "one.svg").write_text(figure)
        (folder / "files" / "one.png").write_text("not compared")

    made("<svg>1</svg>", "1")
    assert changes_since_last("test", "slug") == []
    older = tmp_path / "older.json"
    older.write_bytes(record_file().read_bytes())
    made("<svg>2</svg>", "2")
    expected = f"{PAGE}: one.svg, because of code (als_core/studies/miao2023/filters.py)"
    assert changes_since_last("test", "slug") == [expected]
    assert changes_since_last("test", "slug") == []
    assert CliRunner().invoke(app, ["changed", str(older)]).output.strip() == expected
    assert "No figure" in CliRunner().invoke(app, ["changed", str(record_file())]).output
