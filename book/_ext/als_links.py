"""Sphinx extension: links that nobody has to write, and numbers of the book's own figures.

On each page the first use of a glossary term, of a finding's number and of a cited work becomes a link. Figures and tables are numbered
by page, as in "Book figure X3.1" (X for the study's first letter, 3 for its third page), so that they cannot be mistaken
for those of a paper.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from docutils import nodes
from pybtex.database import parse_file
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

from als_core.book.contents import book_pages
from als_core.claims.findings import findings

ROOT = Path(__file__).resolve().parents[2]
BREAKABLE = re.compile(r"(?<=\d) (?=%)|(?<=[=<>±≤≥]) (?=[\d.])|(?<=\bp) (?=[=<\d])")
GLOSSARY = "book/glossary"
AUDIT = "audit/published_numbers"
EVERYDAY = {
    "sample",
    "case",
    "group",
    "split",
    "run",
    "claim",
    "verdict",
    "profile",
    "page",
    "cohort",
    "recipe",
    "head",
}
"""Terms that are also everyday words: linked by hand only, where the defined meaning matters."""

UNLINKED = (
    nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.raw, nodes.math, nodes.math_block,
    nodes.term, nodes.topic, nodes.caption, nodes.rubric, nodes.citation, addnodes.download_reference,
    addnodes.pending_xref, addnodes.desc, addnodes.glossary, addnodes.index,
)  # fmt: skip
BIBLIOGRAPHY = "book/references.bib"
WORK = re.compile(
    r"(?P<name>(?:van )?[A-Z][\w-]+)(?: et al\.| and others| and [A-Z][\w-]+),? \(?(?P<year>(?:19|20)\d\d)\b"
)
FINDING = re.compile(
    r"(?:(?<=\bfinding )|(?<=\bfindings )|(?<=\b[A-Z]\d, )|(?<=\b[A-Z]\d\d, )|(?<=\b[A-Z]\d and )|(?<=\b[A-Z]\d\d and ))"
    r"(?P<id>[A-Z]\d{1,2})\b(?![.-])"
)
REASON = re.compile(r'(?<=<span class="als-reason">)[^<]*')
"""Why a verdict was given: HTML of a page's own making, in which each finding is linked."""


def glossary_terms() -> list[str]:
    """Terms of the glossary, longest first: lines at the margin inside its `{glossary}` blocks."""
    text = (ROOT / f"{GLOSSARY}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    terms = [line for block in blocks for line in block.splitlines() if line and not line.startswith(" ")]
    return sorted(terms, key=len, reverse=True)


def term_pattern(terms: list[str]) -> re.Pattern[str]:
    """Any of the terms as a whole word, in the singular or with a plural s; abbreviations only as they are written."""

    def one(term: str) -> str:
        word = re.escape(term)
        exact = any(letter.isupper() for letter in term[1:]) or len(term) < 4
        return word if exact else f"(?i:{word}s?)"

    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(one, terms))})(?![\w-])")


def cited_works() -> dict[tuple[str, str], str]:
    """Keys of the bibliography by the first author's surname and the year; two works of one surname and year have none."""
    entries = parse_file(str(ROOT / BIBLIOGRAPHY)).entries
    works: dict[tuple[str, str], list[str]] = {}
    for key, entry in entries.items():
        if entry.persons.get("author") and "year" in entry.fields:
            surname = " ".join(
                entry.persons["author"][0].prelast_names + entry.persons["author"][0].last_names
            )
            works.setdefault((surname, entry.fields["year"]), []).append(key)
    return {work: keys[0] for work, keys in works.items() if len(keys) == 1}


class FirstUses(SphinxTransform):
    """Link the first use of each glossary term, finding and cited work on a page."""

    default_priority = 760  # after the page is parsed, before references are collected

    def apply(self) -> None:
        page = self.env.docname
        if page == GLOSSARY or page.startswith("book/api") or not page.startswith("book/"):
            return
        terms = [term for term in glossary_terms() if term.lower() not in EVERYDAY]
        by_word = {term.lower(): term for term in terms}
        seen: set[str] = set()

        def term_link(found: re.Match[str]) -> nodes.Node | None:
            word = found[0].lower()
            term = by_word.get(word) or by_word.get(word.removesuffix("s"))
            if term is None or term in seen:
                return None
            seen.add(term)
            link = addnodes.pending_xref(
                "", nodes.inline(found[0], found[0], classes=["als-term"]), refdomain="std", reftype="term",
                reftarget=term, refdoc=page, refexplicit=True, refwarn=True,
            )  # fmt: skip
            return link

        here = posixpath.dirname(page)
        audit = posixpath.relpath(f"book/{AUDIT}.html", here)

        def finding_link(found: re.Match[str]) -> nodes.Node | None:
            if found["id"] in seen or found["id"] not in findings():
                return None
            seen.add(found["id"])
            return nodes.reference("", found[0], internal=True, refuri=f"{audit}#finding-{found['id']}")

        def finding_html(found: re.Match[str]) -> str:
            known = found["id"] in findings()
            return f'<a href="{audit}#finding-{found[0]}">{found[0]}</a>' if known else found[0]

        works = cited_works()

        def work_link(found: re.Match[str]) -> nodes.Node | None:
            key = works.get((found["name"], found["year"]))
            if key is None or key in seen:
                return None
            seen.add(key)
            bibliography = posixpath.relpath("book/bibliography.html", here)
            return nodes.reference("", found[0], internal=True, refuri=f"{bibliography}#work-{key}")

        self._link(WORK, work_link)
        if AUDIT in book_pages() and page != f"book/{AUDIT}":
            self._link(FINDING, finding_link)
            for raw in self.document.findall(nodes.raw):
                if "als-reason" in raw.astext():
                    text = REASON.sub(lambda reason: FINDING.sub(finding_html, reason[0]), raw.astext())
                    raw.clear()
                    raw += nodes.Text(text)
                    raw.rawsource = text
        if terms:
            self._link(term_pattern(terms), term_link)

    def _link(self, pattern: re.Pattern[str], link: Callable[[re.Match[str]], nodes.Node | None]) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if not _is_prose(text):
                continue
            pieces = list(_pieces(str(text), pattern, link))
            if any(not isinstance(piece, nodes.Text) for piece in pieces):
                text.parent.replace(text, pieces)


def _is_prose(text: nodes.Text) -> bool:
    node: nodes.Node | None = text.parent
    while node is not None:
        if isinstance(node, UNLINKED):
            return False
        node = node.parent
    return True


def _pieces(text: str, pattern: re.Pattern[str], link) -> Iterator[nodes.Node]:
    start = 0
    for found in pattern.finditer(text):
        node = link(found)
        if node is not None:
            if found.start() > start:
                yield nodes.Text(text[start : found.start()])
            yield node
            start = found.end()
    if start < len(text):
        yield nodes.Text(text[start:])


def number_figures(app, env) -> None:
    """Number figures and tables by page: the study's letter, the page's place in the study, and the figure's on the page."""
    places = page_places(book_pages())
    for docname, kinds in env.toc_fignumbers.items():
        place = places.get(docname.removeprefix("book/"))
        if place is None:
            place = docname.rpartition("/")[2][:1].upper() + "0"
        for numbers in kinds.values():
            for count, name in enumerate(numbers, 1):
                numbers[name] = (place, count)


def page_places(pages: list[str]) -> dict[str, str]:
    """The letter of each page's study with the page's place in it: `xia2024/05_benchmark` is X11 where it is the eleventh.

    >>> page_places(["xia2024/01_a", "xia2024/02_b", "wang2023/01_c"])
    {'xia2024/01_a': 'X1', 'xia2024/02_b': 'X2', 'wang2023/01_c': 'W1'}
    """
    counts: dict[str, int] = {}
    places = {}
    for page in pages:
        study = page.partition("/")[0]
        counts[study] = counts.get(study, 0) + 1
        places[page] = f"{study[0].upper()}{counts[study]}"
    return places


class UnbrokenNumbers(SphinxTransform):
    """Keep a number on the line of its percent sign, and of the sign before it: "95 %", "p = 0.04", "± 3"."""

    default_priority = 990  # after everything that looks for words

    def apply(self, **kwargs) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if isinstance(
                text.parent, (nodes.literal, nodes.literal_block, nodes.raw, nodes.math, nodes.math_block)
            ):
                continue
            kept = unbroken(str(text))
            if kept != text:
                text.parent.replace(text, nodes.Text(kept))


def unbroken(text: str) -> str:
    """The text with spaces that do not break between numbers and their signs."""
    return BREAKABLE.sub("\N{NO-BREAK SPACE}", text)


def setup(app):
    app.add_transform(FirstUses)
    app.add_transform(UnbrokenNumbers)
    app.connect("env-check-consistency", number_figures)  # after Sphinx has numbered them
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
