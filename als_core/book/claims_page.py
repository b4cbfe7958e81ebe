"""Every published claim with what became of it in the book as it stands: the table page and the landing page."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from als_core.book.blocks import VERDICT_SIGNS
from als_core.book.build import pages_folder
from als_core.book.contents import book_pages
from als_core.book.execute import PAGE, stamp_of
from als_core.claims.claims import anchor_of, count_verdicts, every_claim
from als_core.storage import repository, results_folder

THUMBNAIL = (2 * 144, 2 * 74)  # pixels: twice as many as on the page, for sharp screens


def papers() -> dict[str, dict[str, Any]]:
    """The five papers as `data/papers.yml` introduces them, by key."""
    return yaml.safe_load((repository() / "data" / "papers.yml").read_text(encoding="utf-8"))


def book_claims() -> list[dict[str, Any]]:
    """One row per published claim, from the pages of the book that was made last.

    Before any book was made, no claim is run yet.
    """
    book = results_folder() / "book.json"
    if not book.is_file():
        return every_claim([])
    made = json.loads(book.read_text(encoding="utf-8"))
    folder = pages_folder(made["profile"], made["slug"])
    files = [folder / page / PAGE for page in book_pages()]
    recorded = [row for file in files if file.is_file() for row in stamp_of(file)["claims"]]
    return every_claim(recorded, made["profile"])


def claims_page(rows: list[dict[str, Any]]) -> str:
    """The page with all claims, as MyST: one table a paper, each claim linked to the page that judges it."""
    parts = [
        "# All claims\n\nEvery number the five papers print, and what became of it in this book. "
        "The rules are explained in [](how_to_read_a_verdict.md). `als claims --json` prints the same table.\n",
        f"```{{raw}} html\n{_claims_filter()}\n```\n",
    ]
    for paper, about in papers().items():
        of_paper = [row for row in rows if row["paper"] == paper]
        body = "".join(_claim_line(row) for row in of_paper)
        head = "".join(
            f'<th scope="col">{name}</th>'
            for name in ("Claim", "In the paper", "Published", "Regenerated", "Verdict and page")
        )
        parts.append(  # without scripts the tables open by hand, and nothing is lost but the filter
            f"## {about['title']}: {about['about']}\n\n```{{raw}} html\n"
            f'<details class="als-claims"><summary>{len(of_paper)} claims</summary><div class="als-verdicts"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>\n```\n"
        )
    return "\n".join(parts)


def _claims_filter() -> str:
    """A form that shows only the claims with some words, in their name, place or page, or with some verdict."""
    verdicts = "".join(f"<option>{name}</option>" for name in VERDICT_SIGNS)
    return (
        '<form class="als-filter" id="claims-filter"><label>Words <input type="search" name="words" placeholder="table1 resnet18"></label>'
        f'<label>Verdict <select name="verdict"><option value="">all</option>{verdicts}</select></label>'
        f'<output aria-live="polite"></output></form><script>{FILTER}</script>'
    )


FILTER = """
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("claims-filter");
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", () => {
    const words = form.words.value.toLowerCase().split(/\\s+/).filter(Boolean), verdict = form.verdict.value;
    let shown = 0;
    document.querySelectorAll("details.als-claims").forEach(box => {
      let here = 0;
      box.querySelectorAll("tbody tr").forEach(row => {
        const text = row.textContent.toLowerCase();
        row.hidden = !(words.every(word => text.includes(word)) && (!verdict || row.dataset.verdict === verdict));
        here += !row.hidden;
      });
      box.open = here > 0 && Boolean(words.length || verdict);
      shown += here;
    });
    form.querySelector("output").textContent = `${shown} claims`;
  });
});
"""


def landing_table(rows: list[dict[str, Any]], line: str) -> str:
    """One row a paper: a picture, what it says, what became of its numbers, and the one thing to know. As MyST."""
    counts = count_verdicts(rows)
    cohorts = {
        paper: {row["cohort"] for row in rows if row["paper"] == paper and row["cohort"]}
        for paper in papers()
    }
    body = "".join(
        _paper_row(paper, about, counts.loc[paper], cohorts[paper]) for paper, about in papers().items()
    )
    names = ("Paper", "It reports", "Its printed numbers here", "One thing to know")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f"*{line}*\n\n```{{raw}} html\n"
        f'<div class="als-verdicts als-landing"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n```\n'
    )


def _paper_row(paper: str, about: dict[str, Any], counts: Any, cohorts: set[str]) -> str:
    page, figure = about["picture"]
    made = repository() / "book" / page / f"{figure}.png"
    first = next((name for name in book_pages() if name.startswith(f"{paper}/")), None)
    picture = (
        f'<span class="als-thumbnail"><img alt="" src="{_thumbnail(made)}"></span>' if made.is_file() else ""
    )
    title = f"<strong>{html.escape(about['title'])}</strong><br>{html.escape(about['about'])}"
    link = f'<a href="{first}.html">{title}{picture}</a>' if first else title
    shown = [name for name in VERDICT_SIGNS if name != "not a target" and counts[name]]
    verdicts = "<br>".join(
        f'<span class="als-verdict als-verdict-{name.replace(" ", "-")}">{counts[name]} {VERDICT_SIGNS[name]} {name}</span>'
        for name in shown
    )
    data = (
        html.escape(f"Data: {', '.join(sorted(cohorts)).replace('-', ' ')}.")
        if cohorts
        else "No page was made."
    )
    return (
        f'<tr><th scope="row">{link}</th><td>{html.escape(about["says"])}</td>'
        f'<td>{verdicts}<br>of {counts["total"]} targets<br><span class="als-quiet">{data}</span></td>'
        f"<td>{html.escape(_headline(about['headline']))}</td></tr>"
    )


def _thumbnail(figure: Path) -> str:
    """The upper left of a figure as an image of few bytes that stands in the page itself."""
    width, height = THUMBNAIL
    with Image.open(figure) as picture:
        scaled = picture.convert("RGB").resize((width, round(picture.height * width / picture.width)))
    stream = io.BytesIO()
    scaled.crop((0, 0, width, min(height, scaled.height))).save(stream, format="WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _headline(page: str) -> str:
    """What a page calls the one thing to know; empty where it was not made or calls nothing so."""
    file = repository() / "book" / f"{page}.ipynb"
    return stamp_of(file).get("headline", "") if file.is_file() else ""


def _claim_line(row: dict[str, Any]) -> str:
    link = f'<a href="{html.escape(row["page"])}.html">' if row["page"] else ""
    return (
        f'<tr id="{html.escape(anchor_of(row["id"]))}" data-verdict="{row["verdict"]}"><th scope="row"><code>{html.escape(row["id"])}</code></th>'
        f"<td>{html.escape(row['location'])}</td>"
        f'<td class="als-number">{html.escape(row["published"])}</td>'
        f'<td class="als-number">{html.escape(row["shown"]) or "–"}</td>'
        f'<td><span class="als-verdict als-verdict-{row["verdict"].replace(" ", "-")}">'
        f"{link}{VERDICT_SIGNS[row['verdict']]} {row['verdict']}{'</a>' if link else ''}</span>"
        f'<br><span class="als-quiet">{html.escape(row["page"].removeprefix("book/"))}</span></td></tr>'
    )
