"""Links that are made at build time, and the numbers of the book's own figures."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from als_core.book.contents import book_pages
from als_core.storage import repository


@pytest.fixture(scope="module")
def links():
    spec = importlib.util.spec_from_file_location(
        "als_links", repository() / "book" / "_ext" / "als_links.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["als_links"] = module
    spec.loader.exec_module(module)
    return module


def test_the_glossary_has_the_terms_that_readers_look_for(links):
    terms = links.glossary_terms()
    wanted = {
        "AUC", "ROC", "Dice", "permutation null", "SMOTE", "frozen", "held out", "BA44", "BA46", "donor", "near-duplicate",
        "F1", "MCC", "Grad-CAM", "LRP", "heatmap", "leakage", "TDP-43",
    }  # fmt: skip
    assert wanted <= set(terms) and len(terms) == len(set(terms))


@pytest.mark.parametrize(
    "text, words",
    [
        ("Heatmaps by Grad-CAM", ["Heatmaps", "Grad-CAM"]),
        ("the AUC, and AUCs", ["AUC"]),
        ("auc als", []),
        ("Held out by donors", ["Held out", "donors"]),
        ("dice and pre-heatmap", []),
        ("AUPRC is not AUC", ["AUPRC", "AUC"]),
    ],
)
def test_terms_are_whole_words_and_abbreviations_are_exact(links, text, words):
    pattern = links.term_pattern(
        sorted(["heatmap", "Grad-CAM", "AUC", "AUPRC", "held out", "donor", "ALS"], key=len)[::-1]
    )
    assert [found[0] for found in pattern.finditer(text)] == words


@pytest.mark.parametrize(
    "text, key",
    [
        ("(Selvaraju et al. 2017)", "selvaraju2017"),
        ("Zeiler and Fergus 2014", "zeiler2014"),
        ("Tzourio-Mazoyer et al. 2002", "tzouriomazoyer2002"),
        ("Hu et al. (2018)", "hu2018"),
    ],
)
def test_a_cited_work_is_in_the_bibliography(links, text, key):
    found = links.WORK.search(text)
    assert links.cited_works()[found["name"], found["year"]] == key


def test_numbers_stay_on_the_line_of_their_signs(links):
    plain = "in 95 % of 3 runs, p = 0.04, p < 0.001, 50 % ± 7 points"
    kept = links.unbroken(plain)
    assert kept.replace("\N{NO-BREAK SPACE}", " ") == plain
    assert kept.split(" ") == [
        "in",
        "95\xa0%",
        "of",
        "3",
        "runs,",
        "p\xa0=\xa00.04,",
        "p\xa0<\xa00.001,",
        "50\xa0%",
        "±\xa07",
        "points",
    ]


def test_no_two_works_have_one_surname_and_year(links):
    entries = links.parse_file(str(repository() / links.BIBLIOGRAPHY)).entries
    assert len(links.cited_works()) >= len(entries) - 2  # two of the papers print no year


def test_each_page_has_a_place_of_its_own(links):
    places = links.page_places(book_pages())
    assert len(set(places.values())) == len(places)
    assert places["xia2024/01_cohort_and_quality"] == "X1" and places["wang2023/01_overlap"] == "W1"


@pytest.mark.parametrize(
    "text, ids",
    [
        ("as audit finding X10 says", ["X10"]),
        ("(findings T2, T4)", ["T2", "T4"]),
        ("findings M5 and M6, M9", ["M5", "M6", "M9"]),
        ("T1-weighted scans, Book figure X3.1, the area M1", []),
    ],
)
def test_findings_are_found_by_their_word(links, text, ids):
    assert [found["id"] for found in links.FINDING.finditer(text)] == ids
