"""Every published claim with what became of it in the book as it stands: the table page and the landing page."""

from __future__ import annotations

import html
import json
from typing import Any

from als_core.evidence.claims import count_verdicts, every_claim
from als_core.pages.blocks import VERDICT_SIGNS
from als_core.pages.build import pages_folder
from als_core.pages.contents import book_pages
from als_core.pages.execute import PAGE, stamp_of
from als_core.storage import results_folder

PAPER_TITLES = {
    "xia2024": "Xia 2024: tissue images, attention",
    "miao2023": "Miao: super-resolution crops",
    "turrisi2024": "Turrisi 2024: T1w MRI, ALS and mimics",
    "panagiotaras": "Panagiotaras: Alzheimer MRI, heatmaps",
    "wang2023": "Wang 2023: heatmaps and a reference map",
}


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
        "The rules are explained in [](how_to_read_a_verdict.md). `als claims --json` prints the same table.\n"
    ]
    for paper, title in PAPER_TITLES.items():
        of_paper = [row for row in rows if row["paper"] == paper]
        body = "".join(_claim_line(row) for row in of_paper)
        head = "".join(
            f'<th scope="col">{name}</th>'
            for name in ("Claim", "In the paper", "Published", "Regenerated", "Verdict")
        )
        parts.append(
            f"## {title}\n\n```{{raw}} html\n"
            f'<details class="als-claims"><summary>{len(of_paper)} claims</summary><div class="als-verdicts"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>\n```\n"
        )
    return "\n".join(parts)


def landing_table(rows: list[dict[str, Any]], line: str) -> str:
    """What holds, one row a paper: counts of verdicts among the claims that are targets, as MyST."""
    counts = count_verdicts(rows)
    shown = [name for name in VERDICT_SIGNS if name != "not a target"]
    head = "".join(f'<th scope="col">{VERDICT_SIGNS[name]} {name}</th>' for name in shown)
    body = "".join(
        f'<tr><th scope="row">{html.escape(title)}</th>'
        + "".join(f'<td class="als-number">{counts.loc[paper, name] or "–"}</td>' for name in shown)
        + f'<td class="als-number">{counts.loc[paper, "total"]}</td></tr>'
        for paper, title in PAPER_TITLES.items()
    )
    return (
        f"*{line}*\n\n```{{raw}} html\n"
        '<div class="als-verdicts"><table><caption>Published numbers and what became of them in this book</caption>'
        f'<thead><tr><th scope="col">Paper</th>{head}<th scope="col">targets</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>\n```\n"
    )


def _claim_line(row: dict[str, Any]) -> str:
    link = f'<a href="{html.escape(row["page"])}.html">' if row["page"] else ""
    return (
        f'<tr id="{html.escape(row["id"])}"><th scope="row"><code>{html.escape(row["id"])}</code></th>'
        f"<td>{html.escape(row['location'])}</td>"
        f'<td class="als-number">{html.escape(row["published"])}</td>'
        f'<td class="als-number">{html.escape(row["shown"]) or "–"}</td>'
        f'<td><span class="als-verdict als-verdict-{row["verdict"].replace(" ", "-")}">'
        f"{link}{VERDICT_SIGNS[row['verdict']]} {row['verdict']}{'</a>' if link else ''}</span></td></tr>"
    )
