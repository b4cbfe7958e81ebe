"""Prose of notebooks fits the data of a page: paragraphs of the paper only, paragraphs on groups, the word for them."""

from __future__ import annotations

import re

import jupytext
import nbformat
import pytest
from markdown_it import MarkdownIt
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from als_core.book.page import Page
from als_core.book.prose import Data, fit_prose, fit_text, replace_word
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.group_word import CASE, DONOR, GROUP, GroupWord, read_group_word, word_of
from als_core.figures.drawn import as_written
from als_core.storage import repository

DISH, ANIMAL = GroupWord("dish", "dishes"), GroupWord("animal", "animals")
TISSUE = sorted((repository() / "notebooks" / "xia2024").glob("*.py"))
OF_THE_PAPER = re.compile(r"\bALS\b|(?i:\bdonors?\b|TDP|post-mortem|cogniti|patholog|concordant|microscope)")
TEXT = """# A title

<!-- not own -->
The paper's donors.

<!-- published -->
Found in these images.

<!-- groups -->
A donor is held out, see {ref}`xia-by-donor`.

Donors' images."""


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (Data(), "# A title\n\nThe paper's donors.\n\nA donor is held out, see {ref}`xia-by-donor`.\n\nDonors' images."),
        (Data(published=True), "# A title\n\nThe paper's donors.\n\nFound in these images.\n\nA donor is held out, see {ref}`xia-by-donor`.\n\nDonors' images."),
        (Data(True, True, DISH), "# A title\n\nA dish is held out, see {ref}`xia-by-donor`.\n\nDishes' images."),
        (Data(True, True, ANIMAL), "# A title\n\nAn animal is held out, see {ref}`xia-by-donor`.\n\nAnimals' images."),
        (Data(True, False, GROUP), "# A title\n\nGroups' images."),
    ],
)  # fmt: skip
def test_paragraphs_that_do_not_hold_are_left_out_and_no_mark_is_left(data, shown):
    assert fit_text(TEXT, data) == shown


def test_names_that_hold_the_word_stay():
    text = "`als_core.by_donor`, donor_1.png, xia-by-donor, donor"
    assert replace_word(text, DONOR, DISH) == "`als_core.by_donor`, donor_1.png, xia-by-donor, dish"


def test_the_page_says_what_its_prose_depends_on(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr("als_core.book.page.publish_display_data", shown.append)
    samples = {"path": ["a"], "label": ["x"], "group": ["g"]}
    cohort = Cohort("mine", tmp_path, "own", _frame(samples), (8, 8), about={"group_word": "mouse, mice"})
    Page("miao2023/01_crops_and_filters", "test").about_cohort(cohort)
    outputs = [new_output("display_data", bundle) for bundle in shown]
    executed = nbformat.v4.new_notebook(cells=[
        new_markdown_cell("Cases, and a case."), new_markdown_cell("<!-- not own -->\nOf the paper."), new_code_cell("", outputs=outputs),
    ])  # fmt: skip
    assert [cell.source for cell in fit_prose(executed).cells] == ["Mice, and a mouse.", ""]


def _frame(columns):
    import pandas as pd

    return pd.DataFrame(columns)


@pytest.mark.parametrize("groups", [True, False])
@pytest.mark.parametrize("path", TISSUE, ids=lambda path: path.stem)
def test_no_prose_of_a_tissue_page_speaks_of_the_papers_cohort_on_readers_data(path, groups):
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown"]
    text = "\n\n".join(fit_text(cell, Data(True, groups, GROUP)) for cell in cells)
    text = re.sub(r"^\([\w-]+\)=$|\{\w+(:\w+)?\}`[^`]*`", "", text, flags=re.M)
    assert [found[0] for found in OF_THE_PAPER.finditer(text)] == [] and "<!--" not in text


@pytest.mark.parametrize(
    "path", sorted((repository() / "notebooks").rglob("*.py")), ids=lambda path: path.stem
)
def test_every_comment_in_prose_is_a_known_mark(path):
    for cell in jupytext.read(path).cells:
        if cell.cell_type == "markdown":
            assert "<!--" not in fit_text(cell.source, Data())


@pytest.mark.parametrize(
    ("text", "one"),
    [("patients", "patient"), ("dishes", "dish"), ("biopsies", "biopsy"), ("cases", "case"), ("mouse, mice", "mouse"), ("boxes", "box"), ("cell lines", "cell line")],
)  # fmt: skip
def test_the_singular_of_a_group_word(text, one):
    assert read_group_word(text).one == one


@pytest.mark.parametrize("text", ["mice", "s", "glass", "<b>s", "a,b,c", "patients|", ""])
def test_a_group_word_without_a_singular_is_refused_with_what_is_accepted(text):
    with pytest.raises(ValueError, match="both forms, as in 'mouse, mice'"):
        read_group_word(text)


def test_only_a_readers_cohort_gets_another_word(tmp_path):
    def cohort(kind, **about):
        return Cohort("c", tmp_path, kind, _frame({"label": ["x"]}), (8, 8), about=about)

    assert word_of(cohort("published", group_word="dishes")) == DONOR
    assert word_of(cohort("synthetic"), CASE) == CASE
    assert word_of(cohort("own")) == GROUP and word_of(cohort("own", group_word="dishes")) == DISH


@pytest.mark.parametrize(
    "label", ["<b>x</b>", "a_b_c", "*x*", "a|b", "`x`", "$x^2$", "&lt;", "[x](y)", "a\\_b", "#1", "{x}"]
)
def test_any_label_is_shown_as_it_is_in_markdown(label):
    tokens = (
        MarkdownIt("commonmark")
        .enable("table")
        .parse(f"Of {as_written(label)} images.\n\n| {as_written(label)} |\n|--|\n| {as_written(label)} |")
    )
    shown = ["".join(child.content for child in token.children) for token in tokens if token.type == "inline"]
    assert shown == [f"Of {label} images.", label, label]
