"""A page as notebooks write it: what it says of its data, its foot, its previews, and the parameters it refuses."""

from __future__ import annotations

import re
from types import SimpleNamespace

import nbformat
import pandas as pd
import papermill
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from papermill.exceptions import PapermillExecutionError

from als_core.book.blocks import MIME, plain_roles
from als_core.book.page import Page
from als_core.claims.verdicts import Circumstances

NAME = "xia2024/02_augmentation"
ALT = "A line that rises from 0 to 1, drawn for a test."


@pytest.fixture
def shown(monkeypatch) -> list[dict]:
    """What a page has shown, as bundles by MIME type."""
    bundles: list[dict] = []
    monkeypatch.setattr("als_core.book.page.publish_display_data", bundles.append)
    return bundles


@pytest.mark.parametrize(
    ("kind", "note"), [("synthetic", "*Synthetic cohort.*"), ("own", "*Own cohort.*"), ("published", "")]
)
def test_only_figures_and_tables_of_the_cohort_are_marked_with_its_kind(kind, note, shown):
    page = Page(NAME, "paper")
    page._cohort = SimpleNamespace(kind=kind, name="brains")
    for of_cohort in (True, False):
        page.table(pd.DataFrame({"n": [1]}), "a-table", "Counted.", of_cohort=of_cohort)
        page.figure(Figure(), "a-figure", "Counted.", ALT, pd.DataFrame(), of_cohort=of_cohort)
    texts = [bundle[MIME]["myst"] for bundle in shown]
    assert len(texts) == 4 and all("Counted." in text for text in texts)
    assert [("cohort.*" in text) for text in texts] == [bool(note)] * 2 + [False] * 2
    assert all(note in text for text in texts[:2])


def test_a_preview_shows_caption_alternative_text_and_plain_words(shown):
    page = Page(NAME, "paper")
    numbers = pd.DataFrame({"n": [1]})
    caption = "Sharpness of *each* image <of> {cite:t}`xia2024`, see {ref}`the audit <audit-heatmaps>`."
    page.figure(Figure(), "a-figure", caption, f'{ALT} "quoted"', numbers)
    page.table(numbers, "a-table", caption)
    page.answer(question=caption, found="Yes.", how_sure="Very.", not_shown="Why.")
    figure, table, answer = shown
    words = "Sharpness of <em>each</em> image &lt;of&gt; Xia 2024, see the audit."
    assert f"<figcaption>{words}</figcaption></figure>" in figure["text/html"]
    assert f'<figure><img alt="{ALT} &quot;quoted&quot;" src="data:image/svg+xml' in figure["text/html"]
    assert words in table["text/html"] and "<table" in table["text/html"]
    assert answer["text/markdown"].startswith(f"**Question.** {plain_roles(caption)}")


def test_a_verdict_and_its_reason_are_apart_in_a_preview(shown):
    Page(NAME, "paper").claims({"xia2024.table2.original.size": 3.0}, Circumstances(went_in=True))
    text = re.sub(r"<[^>]+>", "", shown[-1]["text/html"])
    assert re.search(r"not a target \w", text)


def test_the_foot_says_how_to_run_cite_and_report(shown):
    Page("xia2024/04_train/resnet18", "paper", "Xia 2024").provenance()
    run, cite, report, made = (bundle[MIME]["myst"] for bundle in shown)
    assert "papermill notebooks/xia2024/04_train.ipynb mine.ipynb \\\n  -p profile test" in run
    assert "-p model resnet18" in run
    assert "@software{als_imaging_companion" in cite and "@article{xia2024" in cite
    assert "Page: xia2024/04_train/resnet18" in report and "http" not in report
    assert "Regenerates" in made and "notebooks/xia2024/04_train.py" in made


NOTEBOOK = [
    'profile = "test"\ncohort = "synthetic"',
    f'from als_core.book.page import Page\n\npage = Page("{NAME}", profile)',
    "page.provenance()",
]


@pytest.fixture
def notebook(tmp_path):
    """A notebook of three cells, the first tagged `parameters`, and its file."""
    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOK]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(made, tmp_path / "page.ipynb")
    return tmp_path / "page.ipynb"


def run(notebook, **parameters) -> str:
    """Run a notebook with papermill and return all that its cells put out."""
    done = papermill.execute_notebook(
        notebook, notebook.with_name("mine.ipynb"), parameters, kernel_name="python3", progress_bar=False
    )
    return str([cell.get("outputs") for cell in done.cells])


@pytest.mark.slow
def test_papermill_with_an_unknown_parameter_ends_in_an_error_that_names_the_known_ones(notebook):
    with pytest.raises(PapermillExecutionError) as raised:
        run(notebook, cohorte="synthetic", profile="quick")
    text = re.sub(r"\x1b\[[\d;]*m", "", str(raised.value))
    assert (
        "cohorte: found a parameter that the notebook does not have; expected one of profile, cohort" in text
    )


@pytest.mark.slow
def test_a_run_with_known_parameters_shows_them_in_its_foot(notebook):
    put_out = run(notebook, cohort="/home/reader/slides", profile="quick")
    assert "-p profile quick" in put_out and "-p cohort path/to/folder" in put_out
    assert "/home/reader" not in put_out


@pytest.mark.slow
def test_a_notebook_runs_without_papermill(notebook):
    made = nbformat.read(notebook, as_version=4)
    NotebookClient(made).execute()
    assert "-p profile test" in str(made.cells[2].outputs)
