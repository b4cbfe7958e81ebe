"""Sphinx extension: the pages that are computed from all others, and what the search needs.

Before Sphinx reads a page, `book/generated` gets the landing page's answer, the overviews and the finder, which tracked
pages include. The search page gets `als-answers.js`: what to show first for the words of figures, tables and numbers.
"""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from docutils.utils import unescape
from sphinx import addnodes

from als_core.book import finder, landing
from als_core.book.contents import made_book
from als_core.book.site import book_claims, papers
from als_core.storage import write_text_if_changed

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "book" / "generated"


def write_generated(app, config) -> None:
    """Write what the landing page, the overviews and the finder include."""
    rows, made = book_claims(), finder.figures_on_pages()
    made_of = made_book()
    texts = {
        "front": landing.landing_text(
            rows, made_of["line"], made_of["data"]["cohort"]["kind"] == "published"
        ),
        "finder": f"{finder.finder_lead()}\n\n{finder.finder_text(made)}",
    }
    texts |= {
        f"overview_{paper}": landing.overview_text(paper, rows)
        for paper, about in papers().items()
        if "question" in about
    }
    texts |= {f"training_{paper}": landing.training_text(paper) for paper in papers()}
    for name, text in texts.items():
        write_text_if_changed(GENERATED / f"{name}.md", text)


def write_answers(app, exception) -> None:
    """Write what the search puts first, as a script, so that it also works from the disk."""
    if exception or app.builder.format != "html":
        return
    answers = finder.search_answers(book_claims(), finder.figures_on_pages())
    text = f"const ALS_ANSWERS = {json.dumps(answers, ensure_ascii=False, sort_keys=True)};\n"
    write_text_if_changed(Path(app.outdir) / "_static" / "als-answers.js", text)


def add_scripts(app, pagename, templatename, context, doctree) -> None:
    """Give a page with something to play with its script, and the search page the answers that come first."""
    if 'class="als-play"' in context.get("body", ""):
        app.add_js_file("play.js", loading_method="defer")
    if pagename == "search":
        app.add_js_file("als-answers.js", loading_method="defer")
        app.add_js_file("search.js", loading_method="defer")


def code_role(role, rawtext, text, lineno, inliner, options=None, content=None):
    """`{als-code}`: the name of a function, linked to the API page that lists it where there is one."""
    name = unescape(text)
    reference = addnodes.pending_xref(
        "", nodes.literal(name, name), refdomain="py", reftype="obj", reftarget=name, als_optional=True
    )
    return [reference], []


def leave_optional(app, env, node, contnode):
    """A function that no API page lists is named without a link."""
    return contnode if node.get("als_optional") else None


def setup(app):
    app.add_role("als-code", code_role)
    app.connect("config-inited", write_generated, priority=100)
    app.connect("html-page-context", add_scripts, priority=800)  # before scripts of other hosts are dropped
    app.connect("missing-reference", leave_optional)
    app.connect("build-finished", write_answers, priority=460)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
