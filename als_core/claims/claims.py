"""Record what pages regenerate, and give every published claim its verdict.

A page records each number it regenerates as a row. The rows of all pages, completed by the claims that no page
recorded, are the book's account of the five papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from als_core.claims.printed import value_at_printed_precision
from als_core.claims.published import Claim, claim_named, claims, unknown_claim
from als_core.claims.verdicts import VERDICTS, Circumstances, Regenerated, Verdict, judge, nearest_reading
from als_core.refusal import Problem, refuse_if

COLUMNS = (
    "id",
    "paper",
    "location",
    "quantity",
    "published",
    "regenerated",
    "shown",
    "verdict",
    "reason",
    "page",
    "cohort",
    "profile",
)


def record(
    claim_id: str,
    regenerated: Regenerated,
    circumstances: Circumstances,
    *,
    page: str,
    cohort: str = "",
    profile: str = "",
) -> dict:
    """Judge a regenerated value and return it as a row of `COLUMNS` that JSON can hold.

    Parameters
    ----------
    claim_id, regenerated, circumstances
        As for `judge`. The row keeps the value (`regenerated`) and the value in the printed form (`shown`).
    page, cohort, profile : str
        Names. A cohort of the kind `published` is the paper's own data where it has the paper's key.

    Raises RefusedInput, with the three nearest ids, for an unknown claim; else as `judge` does.
    """
    claim = claim_named(claim_id)
    verdict = judge(claim, regenerated, replace(circumstances, data_of=circumstances.data_of or cohort))
    return _row(claim, verdict, nearest_reading(claim, regenerated)[0], page, cohort, profile)


def every_claim(recorded: Iterable[Mapping], profile: str = "") -> list[dict]:
    """Complete the rows that pages recorded to one row per claim, in the order of the papers.

    A claim that no page recorded keeps its settled verdict, or is `not yet run` in `profile`. A page's
    `not yet run` gives way to another page's verdict; of equal verdicts the first page by name is kept.
    Raises RefusedInput naming every row of an unknown or since changed claim, and every two pages that disagree.
    """
    kept: dict[str, Mapping] = {}
    problems = []
    for row in sorted(recorded, key=lambda row: (row["id"], row["page"])):
        if problem := _unusable(row):
            problems.append(problem)
            continue
        first = kept.setdefault(row["id"], row)
        if first["verdict"] == "not yet run":
            kept[row["id"]] = row
        elif row["verdict"] not in ("not yet run", first["verdict"]):
            found = f"{first['verdict']!r} by {first['page']} and {row['verdict']!r} by {row['page']}"
            remedy = "Record it on one page only, or under the same circumstances."
            problems.append(Problem(row["id"], found, "one verdict", remedy))
    refuse_if("recorded claims", problems)
    return [
        dict(kept[claim.id]) if claim.id in kept else _unrecorded(claim, profile)
        for claim in claims().values()
    ]


def anchor_of(claim_id: str) -> str:
    """Return a claim's anchor on the page of all claims: its id without dots, which the theme cannot follow."""
    return claim_id.replace(".", "-")


def _row(
    claim: Claim,
    verdict: Verdict,
    regenerated: int | float | None = None,
    page: str = "",
    cohort: str = "",
    profile: str = "",
) -> dict:
    shown = "" if regenerated is None else value_at_printed_precision(regenerated, claim.printed, claim.unit)
    return {
        "id": claim.id,
        "paper": claim.paper,
        "location": claim.location,
        "quantity": claim.quantity,
        "published": claim.printed.text,
        "regenerated": regenerated,
        "shown": shown,
        "verdict": verdict.kind,
        "reason": verdict.reason,
        "page": page,
        "cohort": cohort,
        "profile": profile,
    }


def _unrecorded(claim: Claim, profile: str) -> dict:
    unrecorded = Verdict("not yet run", "no page has recorded it")
    settled = judge(claim, None, Circumstances()) if claim.settled else unrecorded
    return _row(claim, settled, profile=profile)


def _unusable(row: Mapping) -> Problem | None:
    """Describe what is wrong with a recorded row by itself, None where nothing is."""
    claim = claims().get(row["id"])
    again = f"Run {row['page']} again."
    if claim is None:
        return unknown_claim(row["id"])
    if set(row) != set(COLUMNS) or row["verdict"] not in VERDICTS:
        return Problem(
            row["id"], f"verdict {row.get('verdict')!r}, columns {sorted(row)}", "a recorded row", again
        )
    if row["published"] != claim.printed.text:
        return Problem(row["id"], f"printed {row['published']}", f"printed {claim.printed.text}", again)
    return None
