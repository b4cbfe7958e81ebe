"""Sphinx extension of the book: fresh pages only, light and dark figures, nothing from another host.

Warnings it can raise, all fatal under `-W`: [als.stale] a page that is not what its inputs would make
now, or from another profile or cohort than the book's; [als.error] an executed page with an error or
a warning in it; [als.external] a page that would ask another host for something; [als.image] a missing image.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

from sphinx.util import logging

from als_core.book.contents import book_pages, data_of, made_book
from als_core.book.freshness import changed_since, stamp_of
from als_core.figures.style import to_dark

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]


def warn(kind: str, message: str) -> None:
    log.warning(f"{message} [als.{kind}]", type="als", subtype=kind)


def check_pages(app, config) -> None:
    """Every page made from a notebook is there, fresh, without errors, and of this book."""
    book = made_book()
    for page in book_pages():
        file = ROOT / "book" / f"{page}.ipynb"
        if not file.is_file():
            warn("stale", f"{page} has not been made; run `make book`")
            continue
        changed = changed_since(stamp_of(file), book["profile"], data_of(page, book)["digest"])
        if changed:
            warn("stale", f"{page} is stale, changed since it was made: {', '.join(changed)}")
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        if any(output["output_type"] == "error" for output in outputs):
            warn("error", f"{page}: a cell ended in an error")
        for output in outputs:
            if output.get("name") == "stderr":
                warn("error", f"{page}: a cell wrote to stderr: {''.join(output['text'])[:300]}")


def drop_remote_scripts(app, pagename, templatename, context, doctree) -> None:
    """sphinx-thebe puts the address of another host on every page; the book does not use it."""

    def ours(asset) -> bool:
        body = (getattr(asset, "attributes", None) or {}).get("body") or ""
        return "thebe" not in str(getattr(asset, "filename", asset)).lower() and "THEBE" not in body

    context["script_files"] = [asset for asset in context.get("script_files", []) if ours(asset)]
    context["css_files"] = [asset for asset in context.get("css_files", []) if ours(asset)]


FIGURE = re.compile(r'<img (?P<before>[^>]*?)src="(?P<src>[^"]*?_images/[^"]+)\.svg"(?P<after>[^>]*)>')
VIEW_BOX = re.compile(r'<svg[^>]*? viewBox="[\d.-]+ [\d.-]+ (?P<width>[\d.]+) (?P<height>[\d.]+)"')
LINK = re.compile(r'<a class="reference internal image-reference" [^>]*>(\s*<img [^>]*>)\s*</a>')


def add_dark_figures(app, exception) -> None:
    """Put a dark twin beside every figure, for the theme to choose from, with the size of both.

    Without a size a page grows while its pictures arrive, and links into it land where the heading was before.
    """
    if exception or app.builder.format != "html":
        return
    images = Path(app.outdir) / "_images"
    sizes = {}
    for svg in images.glob("*.svg"):
        if not svg.stem.endswith("-dark"):
            light = svg.read_text(encoding="utf-8")
            sizes[svg.stem] = size_of_svg(light)
            svg.with_name(f"{svg.stem}-dark.svg").write_text(to_dark(light), encoding="utf-8")

    def pair(found: re.Match[str]) -> str:
        before, src, after = found["before"], found["src"], found["after"]
        size = sizes.get(unquote(src).rpartition("/")[2], "")
        return "".join(
            # lazy: the twin that is hidden is not fetched
            f'<img loading="lazy" {size} class="als-{theme} dark-light" {before}src="{src}{ending}.svg"{after}>'
            for theme, ending in (("light", ""), ("dark", "-dark"))
        )

    for page in html_pages(app):
        text = page.read_text(encoding="utf-8")
        changed = FIGURE.sub(pair, LINK.sub(r"\1", text))
        if changed != text:
            page.write_text(changed, encoding="utf-8")


def size_of_svg(svg: str) -> str:
    """Width and height of an SVG image as attributes of its `img`; empty where it states no view box."""
    box = VIEW_BOX.search(svg)
    return f'width="{round(float(box["width"]))}" height="{round(float(box["height"]))}"' if box else ""


TOGGLE = '<summary><span class="toctree-toggle"'


def name_toggles(app, exception) -> None:
    """The theme's arrows that open a part of the contents get a name, for who hears the page."""
    if exception or app.builder.format != "html":
        return
    for page in html_pages(app):
        text = page.read_text(encoding="utf-8")
        if TOGGLE in text:
            page.write_text(
                text.replace(TOGGLE, TOGGLE.replace(">", ' aria-label="Pages below">', 1)), encoding="utf-8"
            )


MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")


def copy_mathjax(app, exception) -> None:
    """MathJax from the site itself: of the package's 24 MB only the 2 MB that pages ask for."""
    if exception or app.builder.format != "html":
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    if package is None:
        warn("external", "sphinx-mathjax-offline is not installed: formulas would come from another host")
        return
    source = next(Path(package.origin).parent.joinpath("static").rglob("tex-chtml.js")).parent
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target / part)


IMAGE = re.compile(r"<img\b[^>]*?\bsrc=[\"']([^\"']+)", re.IGNORECASE)
REMOTE = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*?\b(?:src|href)=[\"'](?:https?:)?//[^\"']+",
    re.IGNORECASE,
)


def check_offline(app, exception) -> None:
    """No page asks another host for anything, and every image is there."""
    if exception or app.builder.format != "html":
        return
    for page in html_pages(app):
        text = page.read_text(encoding="utf-8")
        place = page.relative_to(app.outdir)
        for found in REMOTE.findall(text):
            if 'rel="canonical"' not in found:
                warn("external", f"{place}: {found[:160]}")
        for source in IMAGE.findall(text):
            if not source.startswith(("data:", "http")) and not (page.parent / source.split("?")[0]).exists():
                warn("image", f"{place}: missing image {source}")


def html_pages(app) -> list[Path]:
    """Pages of the site, without what packages put under _static."""
    out = Path(app.outdir)
    return [page for page in out.rglob("*.html") if "_static" not in page.relative_to(out).parts]


def setup(app):
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("config-inited", check_pages)
    app.connect("html-page-context", drop_remote_scripts, priority=900)
    app.connect("build-finished", copy_mathjax, priority=400)
    app.connect("build-finished", add_dark_figures, priority=500)
    app.connect("build-finished", name_toggles, priority=600)
    app.connect("build-finished", check_offline, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
