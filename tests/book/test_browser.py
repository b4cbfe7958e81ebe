"""Every page of the built book in Chromium, in both themes, on a screen and on a phone, from a server and from the disk.

`ALS_SITE` names another site to look at than `_build/html`. axe-core comes with a package that only these tests need.
"""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from als_core.storage import repository

pytestmark = pytest.mark.browser

SITE = Path(os.environ.get("ALS_SITE", repository() / "_build" / "html")).absolute()
LANDING = "book/index.html"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in (SITE / "book").rglob("*.html"))
EVERY_PAGE = pytest.mark.parametrize("page", PAGES or ["none"])
PLAY = ' data-play="'
PLAY_PAGES = [page for page in PAGES if PLAY in (SITE / page).read_text(encoding="utf-8")]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW, WIDE = 390, 1280
SHORTEST_ALT = 30
HEAVIEST_PAGE, HEAVIEST_LANDING = 3_000_000, 1_000_000  # bytes

# Serious or critical findings of axe in the theme's own markup, by rule, with the reason to accept them.
LEFT_TO_THE_THEME = {
    "aria-required-children": "Sphinx marks a bibliography as a list whose entries have the role of references",
}
AXE = """() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], elementRef: true,
    preload: false}).then(found =>
    found.violations.filter(one => ['serious', 'critical'].includes(one.impact)).flatMap(one => one.nodes.map(node =>
        ({rule: one.id, where: node.target.join(' '), ours: node.element.closest('.bd-article') !== null,
          why: node.failureSummary}))))"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def address():
    if not PAGES:
        pytest.skip("no book built: run `make book` first")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="run through `make test-browser`")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium installed")
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=chromium, args=list(FLAGS))


@pytest.fixture(scope="module")
def axe() -> str:
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None:
        pytest.skip("run through `make test-browser`, which installs axe-core")
    return Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")


class Visit:
    """A page opened in its own tab, with its requests and errors."""

    def __init__(self, browser, url: str, theme: str = "", width: int = WIDE, scripts: bool = True):
        """theme: chosen on an earlier visit; none on a first visit. scripts: whether those of the page run."""
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme or "light",
            java_script_enabled=scripts,
        )
        if theme:
            self.context.add_init_script(
                f"localStorage.setItem('mode','{theme}');localStorage.setItem('theme','{theme}')"
            )
        self.tab, self.errors, self.asked = self.context.new_page(), [], []
        self.tab.on("console", self._note)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(url, wait_until="load")

    def _note(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url')}")

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_) -> None:
        self.context.close()

    def asked_elsewhere(self, home: str) -> list[str]:
        return [url for url in self.asked if not url.startswith((home, "data:", "blob:"))]


@pytest.mark.parametrize("theme", ["light", "dark"])
@EVERY_PAGE
def test_a_page_reads_well(browser, address, axe, page, theme):
    with Visit(browser, address + page, theme) as visit:
        tab = visit.tab
        assert tab.evaluate("document.documentElement.dataset.theme") == theme
        figures = tab.eval_on_selector_all("figure img", "all => all.map(i => [i.alt, i.offsetWidth])")
        assert [alt for alt, _ in figures if len(alt) <= SHORTEST_ALT] == []
        assert sum(width > 0 for _, width in figures) * 2 == len(figures), (
            "one of the light and dark pictures is shown"
        )
        others = tab.eval_on_selector_all(
            ".bd-article :not(figure) > img", "all => all.filter(i => !i.hasAttribute('alt')).map(i => i.src)"
        )
        assert others == [], "a decorative image has an empty alt"
        fetched = [url for url in visit.asked if "/_images/" in url and url.endswith(".svg")]
        assert [url for url in fetched if url.endswith("-dark.svg") != (theme == "dark")] == [], (
            "a hidden picture was fetched"
        )
        # folded boxes are checked as well
        tab.add_style_tag(content="* { animation: none !important; transition: none !important; }")
        tab.evaluate("document.querySelectorAll('.bd-article details').forEach(box => box.open = true)")
        tab.evaluate(axe)
        found = tab.evaluate(AXE)
        assert [fault for fault in found if fault["rule"] not in LEFT_TO_THE_THEME] == []
        assert visit.errors == [] and visit.asked_elsewhere(address) == []


@EVERY_PAGE
def test_a_page_fits_a_phone(browser, address, page):
    with Visit(browser, address + page, width=NARROW) as visit:
        assert visit.tab.evaluate("document.documentElement.scrollWidth") <= NARROW
        visit.tab.evaluate("document.querySelectorAll('.bd-article details').forEach(box => box.open = true)")
        assert visit.tab.evaluate("document.documentElement.scrollWidth") <= NARROW, "with its boxes open"
        assert visit.errors == []


@EVERY_PAGE
def test_a_page_reads_from_the_disk(browser, address, page):
    with Visit(browser, (SITE / page).as_uri()) as visit:
        assert visit.errors == [] and visit.asked_elsewhere(SITE.as_uri()) == []
        shown = visit.tab.eval_on_selector_all(
            "figure img",
            "all => all.filter(i => i.offsetWidth && i.offsetTop < 900).map(i => i.complete && i.naturalWidth)",
        )
        assert 0 not in shown and False not in shown


SEARCHES = {
    "Fig. 6": "book/xia2024/03_models_and_cost.html#xia-fig6-se",
    "Figure 7": "book/xia2024/05_benchmark.html#xia-fig7-confusion",
    "Table 1": "book/xia2024/03_models_and_cost.html#xia-cost",
    "Miao Fig. 14": "book/miao2023/04_roc_and_cost.html#miao-fig14-fig17-roc",
    "97.37": "book/xia2024/05_benchmark.html",
    "0.73": "book/miao2023/04_roc_and_cost.html",
    "confusion matrix": "book/xia2024/05_benchmark.html#xia-fig7-confusion",
    "Grad-CAM": "book/xia2024/06_grad_cam.html#xia-fig3-grad-cam",
    "sharpness": "book/xia2024/01_cohort_and_quality.html#xia-fig1-quality",
    "radiomics": "book/turrisi2024/02_features.html#turrisi-feature-counts",
    "donors": "book/audit/how_many_donors.html",
    "Miniset-DenseSENet": "book/xia2024/",
}


@pytest.mark.parametrize("words", SEARCHES)
def test_the_search_finds_the_page_first_and_the_api_last(browser, address, words):
    with Visit(browser, f"{address}search.html?q={quote(words)}") as visit:
        visit.tab.wait_for_selector("#search-results p.search-summary:not(:empty)", timeout=20_000)
        links = "all => all.map(a => a.getAttribute('href'))"
        found = visit.tab.eval_on_selector_all("#search-results li > a", links)
        assert found[0].startswith(SEARCHES[words])
        api = [link.startswith("book/api") for link in found]
        assert api == sorted(api), "an entry of the API before a page"
        assert visit.errors == [] and visit.asked_elsewhere(address) == []


def let_scrolling_end(tab) -> None:
    """Wait until the page no longer moves; on a busy machine smooth scrolling takes seconds."""
    before, now = -1, 0
    tab.wait_for_timeout(600)
    while now != before:
        tab.wait_for_timeout(400)
        before, now = now, tab.evaluate("scrollY")


CONTENTS = "#pst-page-toc-nav a[href^='#']"


@EVERY_PAGE
def test_links_of_the_contents_land_at_their_headings(browser, address, page):
    with Visit(browser, address + page, width=1400) as visit:
        links = visit.tab.eval_on_selector_all(CONTENTS, "all => all.map(a => a.getAttribute('href'))")
    for link in {links[len(links) // 2], links[-1]} if links else ():
        with Visit(browser, address + page, width=1400) as visit:  # for the first time: no image is there yet
            visit.tab.eval_on_selector(f"{CONTENTS}[href='{link}']", "link => link.click()")
            let_scrolling_end(visit.tab)
            top, bottom = visit.tab.evaluate(
                """name => [document.getElementById(name).getBoundingClientRect().top,
                            document.documentElement.scrollHeight - scrollY - innerHeight]""",
                link[1:],
            )
            assert -36 <= top <= 164 or bottom <= 2, f"{link} is at {top:.0f} px"


@EVERY_PAGE
def test_the_answer_is_in_sight(browser, address, page):
    with Visit(browser, address + page, width=1400) as visit:
        box = visit.tab.query_selector(".als-answer")
        if box is None:
            pytest.skip("a page without an answer box")
        place = box.bounding_box()
        assert place["y"] + place["height"] <= 900


def test_a_figure_of_a_paper_is_two_clicks_from_the_landing_page(browser, address):
    with Visit(browser, address + LANDING, width=1400) as visit:
        visit.tab.click(".bd-article a:has-text('From the papers to this book')")
        visit.tab.click("table >> nth=0 >> tr:has-text('Fig. 6') >> a")
        let_scrolling_end(visit.tab)
        assert visit.tab.url.endswith("xia2024/03_models_and_cost.html#xia-fig6-se")
        place = visit.tab.query_selector("#xia-fig6-se").bounding_box()
        assert -100 < place["y"] < 900


@pytest.mark.parametrize("page", PLAY_PAGES or ["none"])
def test_what_can_be_played_with_answers_to_the_keyboard(browser, address, page):
    with Visit(browser, address + page) as visit:
        for block in visit.tab.query_selector_all(".als-play"):
            assert block.is_visible()
            control = block.query_selector("input[type='range'], input, circle[tabindex='0']")
            control.focus()
            said = [block.query_selector("output").inner_text()]
            for key in ("Home", "End", "Backspace"):  # the last for a field of text
                control.press(key)
                said.append(block.query_selector("output").inner_text())
            assert all(said) and len(set(said)) > 1, block.get_attribute("aria-label")
        assert visit.errors == []


@pytest.mark.parametrize("page", PLAY_PAGES or ["none"])
def test_without_scripts_the_figures_stay_and_what_needs_a_script_is_hidden(browser, address, page):
    with Visit(browser, address + page, scripts=False) as visit:
        assert [block.is_visible() for block in visit.tab.query_selector_all(".als-play form")].count(
            True
        ) == 0
        figures = visit.tab.query_selector_all("figure img")
        assert sum(figure.is_visible() for figure in figures) * 2 == len(figures) > 0


def test_first_uses_of_terms_lead_to_the_glossary(browser, address):
    with Visit(browser, address + "book/xia2024/06_grad_cam.html") as visit:
        links = "all => all.map(a => a.getAttribute('href'))"
        terms = visit.tab.eval_on_selector_all("a:has(> .als-term)", links)
        assert terms and len(set(terms)) == len(terms)
        assert all("glossary.html#term-" in link for link in terms)


def test_figures_of_the_book_are_numbered_as_its_own(browser, address):
    with Visit(browser, address + "book/xia2024/03_models_and_cost.html") as visit:
        numbers = visit.tab.eval_on_selector_all(
            "figure .caption-number, table .caption-number", "all => all.map(n => n.textContent.trim())"
        )
        assert {"Book figure X3.1", "Book table X3.1"} <= set(numbers)


@EVERY_PAGE
def test_a_page_weighs_little(address, page):
    """Text and images; of a figure either the light or the dark picture is fetched."""
    text = (SITE / page).read_text(encoding="utf-8")
    images = {(SITE / page).parent / source for source in re.findall(r'<img [^>]*?src="([^":]+)"', text)}
    images = {image.resolve() for image in images if not image.stem.endswith("-dark")}
    weight = len(text.encode()) + sum(image.stat().st_size for image in images)
    assert weight < (HEAVIEST_LANDING if page == LANDING else HEAVIEST_PAGE), f"{weight / 1e6:.2f} MB"


@EVERY_PAGE
def test_a_page_that_judges_claims_shows_each(address, page):
    source = SITE / "_sources" / Path(page).with_suffix(".ipynb")
    if not source.is_file():
        pytest.skip("not made from a notebook")
    recorded = json.loads(source.read_text(encoding="utf-8"))["metadata"]["als"]["claims"]
    text = (SITE / page).read_text(encoding="utf-8")
    blocks = re.findall(r'<div class="als-verdicts".*?</div>', text, re.DOTALL)
    shown = {claim for block in blocks for claim in re.findall(r'<tr title="([^"]+)"', block)}
    assert shown == {row["id"] for row in recorded}
