"""Every figure, equation and announcement of the papers has its page, and the search finds it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from torchvision.models.densenet import _DenseBlock

from als_core.book import finder
from als_core.book.contents import book_pages
from als_core.book.site import papers
from als_core.claims.claims import every_claim
from als_core.claims.published import published_table
from als_core.storage import repository
from als_core.studies.xia2024.build import build_tissue_network

TABLES = ("figure_pages", "equations", "announced", "coverage", "search_terms")
NUMBERED = re.compile(r"(Figure|Table) (\d+)")


def function_exists(name: str) -> bool:
    """Whether `module:function`, or `module` alone, names something of the library, without importing the module."""
    module, _, function = name.partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin:
        return False
    if not function:
        return True
    text = Path(spec.origin).read_text(encoding="utf-8")
    return re.search(rf"^(?:def|class) {re.escape(function)}\b", text, re.MULTILINE) is not None


def is_test(name: str) -> bool:
    """Whether `file:test` names a test of this repository."""
    file, _, test = name.partition(":")
    path = repository() / file
    return path.is_file() and f"def {test}(" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", finder.read_audit("equations"), ids=lambda row: row["says"][:40])
def test_each_equation_names_a_function_and_a_test_that_exist(row):
    assert function_exists(row["function"]) and is_test(row["test"])
    assert row["latex"].count("{") == row["latex"].count("}") and row["says"]


def test_the_equations_are_those_the_papers_print():
    labels = [(row["paper"], row["label"]) for row in finder.read_audit("equations")]
    numbered = {pair for pair in labels if pair[1] != "not numbered"}
    assert len(labels) == 13 and len(numbered) == 9
    assert numbered == {("xia2024", f"Equation {n}") for n in range(1, 7)} | {
        ("miao2023", f"Equation {n}") for n in range(1, 4)
    }


def test_a_dense_layer_reads_all_maps_before_it():
    network = build_tissue_network("densenet121", seed=0).eval()
    block = next(module for module in network.modules() if isinstance(module, _DenseBlock))
    layers = list(block.children())
    start = torch.randn(2, layers[0].norm1.num_features, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = [start]
        for layer in layers:  # x_l = H_l([x_0, ..., x_(l-1)])
            read = torch.cat(outputs, 1)
            maps = layer.conv1(torch.relu(layer.norm1(read)))
            outputs.append(layer.conv2(torch.relu(layer.norm2(maps))))
        torch.testing.assert_close(block(start), torch.cat(outputs, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("table", TABLES)
def test_each_row_leads_to_pages_of_the_book(table):
    for row in finder.read_audit(table):
        for page in row["page"].split():
            assert finder.pages_named(page), row


def test_the_figures_named_are_shown_by_their_notebooks():
    for row in finder.read_audit("figure_pages"):
        pages = row["page"].split()
        notebooks = {page: (repository() / "notebooks" / f"{page}.py").read_text("utf-8") for page in pages}
        shown = {
            page: {name for name in row["figures"].split() if shows(notebooks[page], name)} for page in pages
        }
        assert set().union(*shown.values()) == set(row["figures"].split()), row
        for page, names in shown.items():  # a page shows one of them, or judges numbers of the table
            assert names or not row["figures"] or "page.claims(" in notebooks[page], (page, row)


def shows(notebook: str, name: str) -> bool:
    """Whether a notebook names a figure, or makes the name from the name of a network."""
    family = re.match(r"miao-(?:log|grid)-", name)
    return f'"{name}"' in notebook or bool(family and f'f"{family[0]}{{' in notebook)


def test_each_item_of_the_papers_has_its_code_and_pages_or_a_reason():
    rows = finder.read_audit("coverage")
    assert len(rows) >= 75 and {row["paper"] for row in rows} == set(papers())
    assert len({(row["paper"], row["item"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["status"] in ("faithful", "stand-in", "out of scope"), row
        assert bool(row["page"]) == bool(row["code"]) == (row["status"] != "out of scope"), row
        assert row["note"] or row["status"] == "faithful", row
        assert all(map(function_exists, row["code"].split())), row


def test_each_figure_on_a_page_is_covered_by_an_item_on_that_page():
    covered = {page for row in finder.read_audit("coverage") for page in row["page"].split()}
    shown = {page for row in finder.read_audit("figure_pages") for page in row["page"].split()}
    assert shown <= covered


def test_a_module_or_function_that_is_not_there_is_noticed():
    assert function_exists("als_core.explain.lrp") and function_exists("als_core.explain.lrp:lrp")
    assert not function_exists("als_core.explain.lrp:lpr") and not function_exists("als_core.explain.lpr")


def test_the_list_item_by_item_says_how_near_the_book_is():
    text = finder.finder_text({})
    assert text.count("### Item by item") == len(papers())
    assert "{als-code}`als_core.explain.grad_cam.grad_cam`" in text
    assert " more | {als-code}" in text or " more ·" in text
    counts = re.search(
        r"Item by item, (\d+) of (\d+) are faithful, (\d+) .* and (\d+) are", finder.finder_lead()
    )
    faithful, every, stand_ins, left_out = map(int, counts.groups())
    assert faithful + stand_ins + left_out == every == text.count("| **")


def test_what_miao_promised_is_among_the_announced():
    promised = published_table("miao2023_promised_not_reported", as_printed=True)
    listed = {
        (row["item"], row["place"]) for row in finder.read_audit("announced") if row["paper"] == "miao2023"
    }
    assert set(zip(promised["item"], promised["promised_in_section"].astype(str), strict=True)) <= listed
    assert {row["paper"] for row in finder.read_audit("announced")} == set(papers())


def test_titles_in_the_contents_begin_with_the_figures_of_the_page():
    titles = finder._toc_titles()
    on_page: dict[str, set[tuple[str, int]]] = {}
    for row in finder.read_audit("figure_pages"):
        if (found := NUMBERED.match(row["label"])) and row["paper"] != "panagiotaras":
            for page in row["page"].split():
                on_page.setdefault(page, set()).add((found[1].replace("Figure", "Fig."), int(found[2])))
    for page, wanted in on_page.items():
        title = titles.get(f"book/{page}") or titles[f"book/training_{page.partition('/')[0]}"]
        assert numbers_in(title.partition(":")[0]) == wanted, page


def numbers_in(title: str) -> set[tuple[str, int]]:
    """Figures and tables in a title such as `Fig. 10 to 13, 15, Table 1`."""
    found, kind, last, span = set(), "", 0, False
    for word in re.findall(r"Fig\.|Table|\d+|to", title):
        if word in ("Fig.", "Table"):
            kind = word
        elif word == "to":
            span = True
        else:
            number = int(word)
            found |= {(kind, n) for n in range(last + 1 if span else number, number + 1)}
            last, span = number, False
    return found


def test_numbers_of_a_title_are_read():
    assert numbers_in("Fig. 10 to 12, 15, Table 1") == {("Fig.", n) for n in (10, 11, 12, 15)} | {
        ("Table", 1)
    }


def test_the_page_says_of_each_figure_where_it_is_or_why_not():
    text = finder.finder_text({"xia-fig6-se": "xia2024/03_models_and_cost"})
    assert "{ref}`Six networks and what they cost <xia-fig6-se>`" in text
    assert "No page: an illustration of the field" in text
    assert text.count("$$") == 2 * 13 and text.count("## ") >= len(papers())


@pytest.mark.parametrize(
    "typed, key",
    [
        ("Fig. 6", "fig 6"),
        ("figure 6", "fig 6"),
        ("97.37 %", "97.37"),
        ("Table 1", "table 1"),
        ("Grad-CAM", "grad-cam"),
    ],
)
def test_words_are_normalised(typed, key):
    assert finder.normalised(typed) == key


def test_the_search_puts_the_page_of_a_figure_table_or_number_first():
    rows = every_claim([])
    auc = next(row for row in rows if row["id"] == "miao2023.section3.resnet50.auc")
    rows[rows.index(auc)] = auc | {"page": "miao2023/04_roc_and_cost"}
    answers = finder.search_answers(rows, {"xia-fig6-se": "xia2024/03_models_and_cost"})
    assert answers["fig 6"][0][:2] == ("book/xia2024/03_models_and_cost", "xia-fig6-se")
    assert answers["xia 2024 fig 6"] == answers["fig 6"][:1]
    assert answers["table 1"][0][0] == "book/xia2024/03_models_and_cost"
    assert answers["0.73"][0][0] == "book/miao2023/04_roc_and_cost"
    assert answers["97.37"][0][0] == "book/claims"
    pages = {f"book/{page}" for page in book_pages()} | {"book/claims"}
    assert {target[0] for targets in answers.values() for target in targets} <= pages
