"""Where each figure, table, equation and announcement of the five papers is found in the book.

The answers are tables of `data/audit`: `figure_pages.csv`, `equations.csv`, `announced.csv`, `coverage.csv` and, for
the search, `search_terms.csv`. This module reads them and writes the page "From the papers to this book" and the search's answers.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from als_core.book.blocks import cell_text
from als_core.book.contents import book_pages
from als_core.book.site import papers
from als_core.claims.claims import anchor_of
from als_core.storage import read_yaml, repository

NAME = re.compile(r"^:name: ([a-z0-9-]+)$", re.MULTILINE)
FIGURES_FIRST = re.compile(r"(Fig\.|Table) [\d, ]")
"""Titles in the contents begin with the figures of the paper."""
SHORT = {"Figure": "Fig.", "Equation": "Eq."}


def read_audit(name: str) -> list[dict[str, str]]:
    """The rows of a table of `data/audit`, as text."""
    with (repository() / "data" / "audit" / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def short_label(label: str) -> str:
    """`Figure 6` as pages and search print it, `Fig. 6`; other labels as they are."""
    kind, _, rest = label.partition(" ")
    return f"{SHORT.get(kind, kind)} {rest}".strip()


def pages_named(page: str) -> list[str]:
    """The pages behind an entry of the tables: itself, or those that one notebook makes, one for each network."""
    return [name for name in book_pages() if name == page or name.startswith(f"{page}/")]


def figures_on_pages() -> dict[str, str]:
    """Names of the figures and tables of the book that was made last, and the page each is on."""
    found: dict[str, str] = {}
    for page in book_pages():
        file = repository() / "book" / f"{page}.ipynb"
        if file.is_file():
            cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
            for cell in cells:
                found |= dict.fromkeys(NAME.findall("".join(cell["source"])), page)
    return found


# --- the page


def finder_text(made: Mapping[str, str]) -> str:
    """The page's sections as MyST, one for each paper.

    made: figures of the book by name, as `figures_on_pages` finds them; a figure that is not among them is linked
    by its page alone.
    """
    figures, equations, announced, coverage = map(
        read_audit, ("figure_pages", "equations", "announced", "coverage")
    )
    captions = _captions()
    parts = []
    for paper, about in papers().items():
        of_paper = [row for row in figures if row["paper"] == paper]
        parts += [f"## {about['title']}: {about['about']}", _figure_table(of_paper, captions, made)]
        if rows := [row for row in equations if row["paper"] == paper]:
            parts += ["### Equations", *map(_equation, rows)]
        if rows := [row for row in announced if row["paper"] == paper]:
            parts += ["### Announced, planned or promised", _announced_table(rows)]
        parts += ["### Item by item", _coverage_table([row for row in coverage if row["paper"] == paper])]
    return "\n\n".join(parts) + "\n"


def finder_lead() -> str:
    """One sentence: how many figures, tables and equations there are, and how many have a page."""
    figures = [row for row in read_audit("figure_pages") if not row["label"].startswith("(")]
    with_page = sum(bool(row["page"]) for row in figures)
    partly = sum(bool(row["page"] and row["shows"]) for row in figures)
    return (
        f"Of the {len(figures)} figures and tables of the papers {with_page} have a page; on {partly} of these the page "
        f"shows something in place of the original, which is stated. The papers print {len(read_audit('equations'))} "
        "equations; each is computed by a function of the library and checked by a test. "
        f"{_coverage_words(read_audit('coverage'))}"
    )


def _figure_table(rows: list[dict[str, str]], captions: Mapping[tuple[str, str], str], made) -> str:
    lines = ["| In the paper | What it shows | In this book |", "| :-- | :-- | :-- |"]
    for row in rows:
        shown = captions.get((row["paper"], row["label"]), "")
        where = _links(row, made) if row["page"] else f"No page: {cell_text(row['reason'])}."
        if row["page"] and row["shows"]:
            where += f". Shown: {cell_text(row['shows'])}."
        lines.append(f"| {cell_text(short_label(row['label']))} | {cell_text(shown)} | {where} |")
    return "\n".join(lines)


def _links(row: Mapping[str, str], made: Mapping[str, str]) -> str:
    """Links to the figures of a row, or to its pages where none of its figures was made."""
    first = {page: name for name, page in _figures_or_pages(row, made) if name}
    if first:
        return " · ".join(f"{{ref}}`{page_words(page)} <{name}>`" for page, name in first.items())
    pages = [page for name in row["page"].split() for page in pages_named(name)]
    return " · ".join(page_link(page) for page in pages) or "(page not in this book)"


def page_link(page: str) -> str:
    """A link to a page, as MyST."""
    return f"{{doc}}`{page_words(page)} </book/{page}>`"


def page_words(page: str) -> str:
    """A page as a link calls it: its title in the contents, else its file name in words."""
    title = _toc_titles().get(f"book/{page}", page.rpartition("/")[2].lstrip("0123456789_").replace("_", " "))
    words = re.sub(r"[<>`]", "", title.partition(": ")[2] if FIGURES_FIRST.match(title) else title)
    return words[0].upper() + words[1:]


def _toc_titles() -> dict[str, str]:
    contents = read_yaml(repository() / "_toc.yml")

    def walk(chapters: list[dict]) -> Iterator[tuple[str, str]]:
        for chapter in chapters:
            if "title" in chapter:
                yield chapter["file"], chapter["title"]
            yield from walk(chapter.get("sections", []))

    return dict(pair for part in contents["parts"] for pair in walk(part["chapters"]))


def _equation(row: Mapping[str, str]) -> str:
    name = "" if row["label"] == "not numbered" else f"{row['label']}, "
    module, _, function = row["function"].partition(":")
    pages = " · ".join(page_link(page) for page in pages_named(row["page"]))
    used = f" Used on {pages}." if pages else ""
    return (
        f"**{name}{row['section'][0].lower() + row['section'][1:] if name else row['section']}**: {row['says']}.\n\n"
        f"$$\n{row['latex']}\n$$\n\n"
        f"Computed by {{als-code}}`{module}.{function}`, checked by `{row['test'].replace(':', '::')}`.{used}"
    )


def _announced_table(rows: list[dict[str, str]]) -> str:
    lines = ["| The paper names | Place | What the book does | Page |", "| :-- | :-- | :-- | :-- |"]
    for row in rows:
        place = f"Section {row['place']}" if row["place"][0].isdigit() else row["place"]
        pages = " · ".join(page_link(page) for name in row["page"].split() for page in pages_named(name))
        item = f"{cell_text(row['item'])} ({row['kind']})"
        lines.append(f"| {item} | {cell_text(place)} | {cell_text(row['book'])} | {pages} |")
    return "\n".join(lines)


def _coverage_words(rows: list[dict[str, str]]) -> str:
    """How many items have each status."""
    counts = Counter(row["status"] for row in rows)
    return (
        f"Item by item, {counts['faithful']} of {len(rows)} are faithful, {counts['stand-in']} have a stand-in, and "
        f"{counts['out of scope']} are out of scope."
    )


def _coverage_table(rows: list[dict[str, str]]) -> str:
    """What a paper has, where the book and the library have it, and how near that is to the paper."""
    lines = [
        "````{container} als-coverage",
        "| Item | In this book | In the library | How close to the paper |",
        "| :-- | :-- | :-- | :-- |",
    ]
    for row in rows:
        code = " · ".join(f"{{als-code}}`{name.replace(':', '.')}`" for name in row["code"].split())
        near = f"**{row['status'].capitalize()}**" + (f": {cell_text(row['note'])}" if row["note"] else "")
        pages = " · ".join(_first_page(name) for name in row["page"].split())
        lines.append(f"| {cell_text(row['item'])} | {pages} | {code} | {near} |")
    return "\n".join([*lines, "````"])


def _first_page(name: str) -> str:
    """A link to a page, or to the first of those that one notebook makes, with their number.

    The name alone where this book is made without the page.
    """
    pages = pages_named(name)
    if not pages:
        return f"`{name}`"
    return page_link(pages[0]) + (f" and {len(pages) - 1} more" if len(pages) > 1 else "")


def _captions() -> dict[tuple[str, str], str]:
    with (repository() / "data" / "published" / "figures.csv").open(newline="", encoding="utf-8") as stream:
        return {(row["paper"], row["label"]): row["caption_in_own_words"] for row in csv.DictReader(stream)}


# --- the search


def search_answers(
    rows: list[Mapping[str, Any]], made: Mapping[str, str]
) -> dict[str, list[tuple[str, str, str]]]:
    """What the search puts first, by what was typed: (page of the site, anchor, words of the link).

    rows: the claims as `book_claims` gives them; a printed number leads to the pages that judge it. Keys are
    normalised as `book/_static/search.js` does it: lower case, `fig` for figure, no percent sign.
    """
    answers: dict[str, list[tuple[str, str, str]]] = {}

    def add(words: str, target: tuple[str, str, str]) -> None:
        for key in {normalised(words), normalised(f"{target[2].split(',')[0]} {words}")}:
            if target not in answers.setdefault(key, []):
                answers[key].append(target)

    titles = {paper: about["title"] for paper, about in papers().items()}
    for row in read_audit("figure_pages"):
        kind = re.match(r"(?:Figure|Table) \d+", row["label"])
        for name, page in _figures_or_pages(row, made) if kind else ():
            label = short_label(kind[0])
            add(label, (f"book/{page}", name, f"{titles[row['paper']]}, {label}: {page_words(page)}"))
    for row in read_audit("search_terms"):
        for name, page in _figures_or_pages(row, made):
            add(row["words"], (f"book/{page}", name, page_words(page)))
    for row in rows:
        if row["page"]:
            place = f"{titles.get(row['paper'], row['paper'])}, {row['location']}: {row['published']}"
            add(row["published"].lstrip("><~ "), (f"book/{row['page']}", "", place))
    for row in rows:
        if re.search(r"\d", row["published"]):
            place = f"All claims, {row['location']}: {row['published']}"
            key = normalised(row["published"].lstrip("><~ "))
            if len(answers.get(key, ())) < 8:
                answers.setdefault(key, []).append(("book/claims", anchor_of(row["id"]), place))
    return answers


def _figures_or_pages(row: Mapping[str, str], made: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(anchor, page) of a row's figures on the pages made, one a page, else of its pages without an anchor."""
    found = {made[name]: name for name in reversed(row["figures"].split()) if name in made}
    if found:
        yield from ((name, page) for page, name in reversed(found.items()))
    else:
        yield from (("", page) for name in row["page"].split() for page in pages_named(name))


def normalised(words: str) -> str:
    """What is typed, in the form of the answers' keys.

    >>> normalised("Figure 6"), normalised("97.37 %")
    ('fig 6', '97.37')
    """
    text = re.sub(r"\bfigs?(?:ure)?s?\b\.?", "fig", words.lower())
    text = re.sub(r"[%,;:()\"']", " ", text.replace("±", " "))
    return " ".join(text.split()).rstrip(".")
