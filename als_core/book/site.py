"""Pages of the site that are computed from the claims: the table of all claims, and the landing page's table."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

from PIL import Image

from als_core.book.blocks import VERDICT_SIGNS, inline_html, verdict_html
from als_core.book.contents import PAGE, book_pages, made_book, pages_folder, papers
from als_core.book.freshness import stamp_of
from als_core.claims.claims import anchor_of, count_verdicts, every_claim
from als_core.storage import repository, results_folder

THUMBNAIL = (2 * 144, 2 * 74)  # pixels: twice as many as on the page, for sharp screens


def book_claims() -> list[dict[str, Any]]:
    """One row per published claim, as judged by the pages of the book that was made last; `not yet run` before any."""
    if not (results_folder() / "book.json").is_file():
        return every_claim([])
    made = made_book()
    folder = pages_folder(made["profile"], made["slug"])
    files = [folder / page / PAGE for page in book_pages()]
    recorded = [row for file in files if file.is_file() for row in stamp_of(file)["claims"]]
    return every_claim(recorded, made["profile"])


def claims_page(rows: list[dict[str, Any]]) -> str:
    """MyST of the page with all claims: one table a paper, each claim linked to the page that judges it."""
    parts = [
        "# All claims\n\nEvery number that the five papers print, its regenerated value and its verdict. "
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
        parts.append(  # without scripts the tables open by hand and only the filter is missing
            f"## {about['title']}: {about['about']}\n\n```{{raw}} html\n"
            f'<details class="als-claims"><summary>{len(of_paper)} claims</summary><div class="als-verdicts"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>\n```\n"
        )
    return "\n".join(parts)


def _claims_filter() -> str:
    """A form that filters the claims by words in their row and by verdict."""
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
    """MyST of a table with one row a paper: picture, what it reports, its verdicts, and the main result here."""
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
    verdicts = "<br>".join(verdict_html(name, f"{counts[name]} ") for name in shown)
    data = (
        html.escape(f"Data: {', '.join(sorted(cohorts)).replace('-', ' ')}.")
        if cohorts
        else "No page was made."
    )
    return (
        f'<tr><th scope="row">{link}</th><td>{html.escape(about["says"])}</td>'
        f'<td>{verdicts}<br>of {counts["total"]} targets<br><span class="als-quiet">{data}</span></td>'
        f"<td>{inline_html(_headline(about['headline']))}</td></tr>"
    )


def _thumbnail(figure: Path) -> str:
    """The upper left of a figure as a small image within the page itself."""
    width, height = THUMBNAIL
    with Image.open(figure) as picture:
        scaled = picture.convert("RGB").resize((width, round(picture.height * width / picture.width)))
    stream = io.BytesIO()
    scaled.crop((0, 0, width, min(height, scaled.height))).save(stream, format="WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _headline(page: str) -> str:
    """The main result of a page; empty where the page was not made or states none."""
    file = repository() / "book" / f"{page}.ipynb"
    return stamp_of(file).get("headline", "") if file.is_file() else ""


def _claim_line(row: dict[str, Any]) -> str:
    verdict = verdict_html(row["verdict"], link=f"{row['page']}.html" if row["page"] else "")
    return (
        f'<tr id="{html.escape(anchor_of(row["id"]))}" data-verdict="{row["verdict"]}"><th scope="row"><code>{html.escape(row["id"])}</code></th>'
        f"<td>{html.escape(row['location'])}</td>"
        f'<td class="als-number">{html.escape(row["published"])}</td>'
        f'<td class="als-number">{html.escape(row["shown"]) or "–"}</td>'
        f'<td>{verdict}<br><span class="als-quiet">{html.escape(row["page"].removeprefix("book/"))}</span></td></tr>'
    )
