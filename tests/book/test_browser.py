"""Every page of the built book in Chromium: nothing asked of other hosts, no error, no sideways scroll, words for pictures."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

from als_core.storage import repository

pytestmark = pytest.mark.browser

SITE = repository() / "_build" / "html"
PAGES = (
    sorted(path.relative_to(SITE).as_posix() for path in (SITE / "book").rglob("*.html"))
    if SITE.is_dir()
    else []
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW, WIDE = 390, 1280
SHORTEST_ALT = 30


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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES or ["none"])
def test_a_page_reads_well(browser, address, page, theme):
    context = browser.new_context(viewport={"width": WIDE, "height": 900}, color_scheme=theme)
    context.add_init_script(f"localStorage.setItem('mode','{theme}');localStorage.setItem('theme','{theme}')")
    tab = context.new_page()
    errors, elsewhere = [], []
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on(
        "request",
        lambda request: (
            elsewhere.append(request.url) if not request.url.startswith((address, "data:")) else None
        ),
    )
    tab.goto(address + page, wait_until="load")
    assert errors == [] and elsewhere == []
    assert tab.evaluate("document.documentElement.dataset.theme") == theme
    figures = tab.eval_on_selector_all("figure img", "all => all.map(i => [i.alt, i.offsetWidth])")
    assert all(len(alt) >= SHORTEST_ALT for alt, _ in figures)
    assert sum(width > 0 for _, width in figures) * 2 == len(figures), (
        "one of the light and the dark figure is shown"
    )
    tab.set_viewport_size({"width": NARROW, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= NARROW
    context.close()


def test_pages_weigh_little(address):
    for page in PAGES:
        text = (SITE / page).read_text()
        pictures = {
            name
            for name in (path.name for path in (SITE / "_images").glob("*.svg"))
            if name in text and "-dark" not in name
        }
        weight = len(text) + sum((SITE / "_images" / name).stat().st_size for name in pictures)
        assert weight < 3_000_000, f"{page}: {weight / 1e6:.1f} MB"
    assert Path(SITE / "index.html").is_file()
