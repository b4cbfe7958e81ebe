"""The table of all claims, computed from the pages of the book that was made last."""

from __future__ import annotations

import html
from typing import Any

from als_core.book.blocks import VERDICT_SIGNS, verdict_html
from als_core.book.contents import PAGE, book_pages, made_book, page_folder, papers
from als_core.book.freshness import stamp_of
from als_core.claims.claims import anchor_of, every_claim
from als_core.claims.verdicts import NO_TARGET
from als_core.storage import results_folder


def book_claims() -> list[dict[str, Any]]:
    """One row per published claim, as judged by the pages of the book that was made last; `not yet run` before any."""
    if not (results_folder() / "book.json").is_file():
        return every_claim([])
    made = made_book()
    files = [page_folder(page, made) / PAGE for page in book_pages()]
    recorded = [row for file in files if file.is_file() for row in stamp_of(file)["claims"]]
    return every_claim(recorded, made["profile"])


def claims_page(rows: list[dict[str, Any]]) -> str:
    """MyST of the page with all claims: one table a paper, each claim linked to the page that judges it."""
    parts = [
        f"# All claims\n\n{_claims_lead(rows)} The rules are explained in [](how_to_read_a_verdict.md). `als claims --json` prints the same table.\n",
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


def _claims_lead(rows: list[dict[str, Any]]) -> str:
    """Say how many numbers are listed, and how many of them no verdict counts."""
    settings = sum(row["verdict"] == NO_TARGET for row in rows)
    return (
        f"{len(rows)} numbers that the five papers print about their own work, each with its regenerated value and its "
        f"verdict. {settings} of them are *not a target* (settings, inputs, values quoted from other work): they are "
        "listed here and count in no total."
    )


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


def _claim_line(row: dict[str, Any]) -> str:
    verdict = verdict_html(row["verdict"], link=f"{row['page']}.html" if row["page"] else "")
    return (
        f'<tr id="{html.escape(anchor_of(row["id"]))}" data-verdict="{row["verdict"]}"><th scope="row"><code>{html.escape(row["id"])}</code></th>'
        f"<td>{html.escape(row['location'])}</td>"
        f'<td class="als-number">{html.escape(row["published"])}</td>'
        f'<td class="als-number">{html.escape(row["shown"]) or "–"}</td>'
        f'<td>{verdict}<br><span class="als-quiet">{html.escape(row["page"].removeprefix("book/"))}</span></td></tr>'
    )
