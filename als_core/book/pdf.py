"""The whole book as one PDF: Sphinx puts all pages on one, and an installed Chromium prints it.

LaTeX would need half a gigabyte of packages; Chromium prints the site's own figures, formulas and verdicts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from als_core.book.build import BUILT
from als_core.book.failures import BookFailed
from als_core.refusal import Problem, refuse_if
from als_core.storage import atomic_write, repository, results_folder

PDF = "_build/book.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FOOTER = (
    '<div style="font-size:8px;width:100%;text-align:center">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)
OPEN_EVERYTHING = "document.querySelectorAll('details').forEach(box => box.open = true)"
FETCH_PICTURES = (  # lazy pictures are fetched when they come into view, which never happens on paper
    "document.querySelectorAll('img').forEach(picture => picture.loading = 'eager');"
    "Promise.all([...document.images].map(picture => picture.decode().catch(() => null))).then(() => true)"
)
FORMULAS_SET = "window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"
TOO_LONG = 600_000  # milliseconds


def print_book() -> Path:
    """Print the book that was made last to `_build/book.pdf` and return its path.

    Raises RefusedInput where no book was made or no Chromium is installed, BookFailed where Sphinx fails.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    problems = []
    if not (results_folder() / BUILT).is_file():
        problems.append(Problem("the book", "no finished book", "a finished book", "Run `make book` first."))
    if browser is None:
        problems.append(
            Problem("a browser", "none", " or ".join(BROWSERS), "On Debian: apt-get install chromium.")
        )
    refuse_if("als pdf", problems)
    target = repository() / PDF
    with tempfile.TemporaryDirectory(prefix=".pdf.", dir=target.parent) as tmp_dir:
        page = _one_page(Path(tmp_dir))
        with atomic_write(target) as temporary:
            _print(page, temporary, browser)
    return target


def _one_page(tmp_dir: Path) -> Path:
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "--builder", "singlehtml", "--all"]
    done = subprocess.run(
        [*command, "--path-output", tmp_dir, "."], cwd=repository(), capture_output=True, text=True
    )
    site = tmp_dir / "_build" / "singlehtml"
    made, page = site / "book" / "index.html", site / "book.html"
    if done.returncode or not made.is_file():
        raise BookFailed(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    # Sphinx writes the page into a folder, but with addresses relative to its parent; raw HTML has them relative to the folder
    text = made.read_text(encoding="utf-8").replace('src="../_images/', 'src="_images/')
    page.write_text(text, encoding="utf-8")
    return page


def _print(page: Path, target: Path, browser: str) -> None:
    from playwright.sync_api import sync_playwright  # in requirements-browser.txt

    margin = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        tab = chromium.new_page(color_scheme="light")
        tab.set_default_timeout(TOO_LONG)
        tab.goto(page.as_uri(), wait_until="load")
        tab.evaluate(FORMULAS_SET)
        tab.evaluate(OPEN_EVERYTHING)
        tab.evaluate(FETCH_PICTURES)
        tab.pdf(
            path=target,
            format="A4",
            scale=0.75,  # the site's 16 px are 12 pt; 9 pt suit a printed page
            print_background=True,
            outline=True,
            tagged=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            margin=margin,
        )
        chromium.close()
