"""The published claims: the numbers of the five papers, each with an id that does not change.

A claim is derived, never typed. In `data/published`, `claim_columns.csv` says of each column of each transcription
whether its cells are claims, names or left out; `claim_kinds.csv` says by which word an agreeing value is called;
`claim_marks.csv` says which claims the audit settles beforehand. `claims()` reads them; `cells()` accounts for every
cell.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from als_core.claims.printed import Printed, agrees_as_printed, parse_printed
from als_core.refusal import Problem, RefusedInput
from als_core.storage import repository

NEEDS = ("nothing", "printed", "composition", "cohort", "training")
RULES = ("", "equal", "order", "binomial", "best", "spread")
SUCCESSES = ("adds up", "as built", "as released", "reproduced")

# Why a printed number is never a target.
NOT_A_TARGET = (
    "acquisition setting",
    "architecture as given",
    "display setting",
    "hyper-parameter",
    "literature value",
    "significance threshold",
    "software version",
    "wall time",
)

_ID = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+){2,}")


@dataclass(frozen=True)
class Paper:
    """version: the edition the numbers are from.

    runs: how many runs (seeds) stand behind its trained results, where it says so.
    """

    version: str
    runs: int | None = None


PAPERS: Mapping[str, Paper] = MappingProxyType(
    {
        "xia2024": Paper("medRxiv 2024.09.22.24313406, 7 November 2024", runs=5),
        "miao2023": Paper("manuscript, date not printed"),
        "turrisi2024": Paper("preprint, date not printed"),
        "panagiotaras": Paper("slides, date not printed"),
        "wang2023": Paper("abstract page of the journal version, NeuroImage, April 2023"),
    }
)


@dataclass(frozen=True)
class Claim:
    """One published number.

    id, paper, source : str
        The name that never changes, the paper's key, and file, line and column of the transcription.
    location : str
        Where the paper prints it, in words.
    printed : Printed
        The number and its precision.
    unit : str
        Unit of the printed and of a regenerated value (`percent` is 0 to 100).
    needs : str
        What a regenerated value is made from: `nothing` (code alone), `printed` (other printed numbers),
        `composition` (how the cohort is made up, from which synthetic cohorts are built), `cohort` (measured on
        its samples), `training` (models trained on it).
    success, basis : str
        The word for a value that agrees (one of SUCCESSES), and on what it rests, where that has to be said.
    rule, amount
        How a trained result is judged, fixed before any run: `equal` at printed precision; `order`, a difference of
        two shares of `amount` trials on the printed side of 0; `binomial`, inside the exact 95 % interval of the
        printed share of `amount` trials; `best`, the same for the best of the paper's runs; `spread`, within two
        printed standard deviations, `amount` each; empty where nothing was fixed.
    settled, why : str
        A verdict that no computation changes (`not a target`, `cannot hold`, `conflicts`), and its reason.
    issue : str
        The finding that settled it. Claims of one issue are counted together.
    conflicts_with, findings : tuple of str
        Ids of the claims it conflicts with, and of the audit's findings about it.
    """

    id: str
    paper: str
    location: str
    printed: Printed
    unit: str
    needs: str
    source: str
    success: str = ""
    basis: str = ""
    rule: str = ""
    amount: float | None = None
    settled: str = ""
    why: str = ""
    issue: str = ""
    conflicts_with: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        return self.printed.value

    @property
    def quantity(self) -> str:
        """What is measured: the last part of the id."""
        return self.id.rpartition(".")[2]


@dataclass(frozen=True)
class Cell:
    """One non-empty cell of a transcription: the claims made of it, or why there are none."""

    file: str
    line: int
    column: str
    text: str
    claims: tuple[str, ...] = ()
    reason: str = ""


def published_folder() -> Path:
    """Return the folder of transcriptions, `data/published` of this checkout."""
    return repository() / "data" / "published"


def published_table(name: str, as_printed: bool = False) -> pd.DataFrame:
    """Read one transcription by file name, with or without `.csv`.

    `as_printed` keeps every cell as text, so that `0.6510` stays `0.6510`; without it pandas reads numbers.
    Raises FileNotFoundError for an unknown name.
    """
    path = published_folder() / f"{name.removesuffix('.csv')}.csv"
    if as_printed:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    return pd.read_csv(path)


def editions() -> pd.DataFrame:
    """Return the edition of each paper that is judged, and what is known of another one.

    Columns paper, judged, other_edition, doi, what_differs; the last three are empty where none is known.
    """
    judged = pd.DataFrame(
        [(key, paper.version) for key, paper in PAPERS.items()], columns=["paper", "judged"]
    )
    return judged.merge(published_table("editions", as_printed=True), on="paper", how="left").fillna("")


def claims() -> Mapping[str, Claim]:
    """Return every claim by id, in the order of the transcriptions. Raises ValueError where these are broken."""
    return _read()[0]


def cells() -> tuple[Cell, ...]:
    """Return every non-empty cell of every transcription, with its claims or the reason it has none."""
    return _read()[1]


def claim_named(claim_id: str) -> Claim:
    """Return the claim of this id. Raises RefusedInput with the three nearest ids for an unknown one."""
    if claim_id not in claims():
        raise RefusedInput("claims", [unknown_claim(claim_id)])
    return claims()[claim_id]


def unknown_claim(claim_id: str) -> Problem:
    """Describe an unknown claim id, with the three nearest ones."""
    near = difflib.get_close_matches(claim_id, claims(), n=3, cutoff=0.0)
    return Problem("claim", claim_id, "the id of a published claim", f"Nearest ids: {', '.join(near)}.")


def snapshot() -> str:
    """Write every claim as one line: id, printed text, unit, needs and location.

    The committed `data/published/claim_ids.txt` pins ids and their meaning; a test compares the two.
    """
    lines = ("\t".join((c.id, c.printed.text, c.unit, c.needs, c.location)) for c in claims().values())
    return "\n".join(lines) + "\n"


@cache
def _read() -> tuple[Mapping[str, Claim], tuple[Cell, ...]]:
    found: dict[str, Claim] = {}
    accounted: list[Cell] = []
    for file, columns in _columns_by_file().items():
        rows = _rows(file)
        if unlisted := set(rows[0]) ^ set(columns):
            raise ValueError(f"{file} and claim_columns.csv disagree on columns {sorted(unlisted)}")
        for line, row in enumerate(rows, 2):
            for column, text in row.items():
                if not text:
                    continue
                cell = Cell(file, line, column, text)
                made, reason = _claims_of(cell, row, columns[column])
                if columns[column]["once"] and line > 2:
                    if text != rows[0][column]:
                        raise ValueError(f"{file}, line {line}: {column} should repeat {rows[0][column]}")
                elif doubled := [c.id for c in made if c.id in found]:
                    raise ValueError(f"{file}, line {line}: {', '.join(doubled)} is claimed twice")
                else:
                    found |= {claim.id: claim for claim in made}
                accounted.append(replace(cell, claims=tuple(c.id for c in made), reason=reason))
    for mark in _rows("claim_marks.csv"):
        found |= {claim.id: claim for claim in _marked(mark, found)}
    kinds = _rows("claim_kinds.csv")
    found = {claim_id: _with_kind(claim, kinds) for claim_id, claim in found.items()}
    return MappingProxyType(found), tuple(accounted)


def _columns_by_file() -> dict[str, dict[str, dict[str, str]]]:
    by_file: dict[str, dict[str, dict[str, str]]] = {}
    for column in _rows("claim_columns.csv"):
        by_file.setdefault(column["file"], {})[column["column"]] = column
    return by_file


def _rows(file: str) -> list[dict[str, str]]:
    with (published_folder() / file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _claims_of(cell: Cell, row: Mapping[str, str], column: Mapping[str, str]) -> tuple[list[Claim], str]:
    """The claims made of a cell, or why there are none; ValueError for a number that is neither."""
    if column["role"] == "name":
        return [], "names or describes its row"
    if column["role"] == "bookkeeping":
        return [], "says where a number is printed and how it is judged"
    if column["role"] == "left out":
        return [], column["why_left_out"]
    if row.get("excluded"):
        return [], row["excluded"]
    relation = f"{row['relation']} " if row.get("relation") else ""
    numbers = parse_printed(relation + (column["form"] or "{cell}").format(cell=cell.text))
    if not numbers:
        if any(map(str.isdigit, cell.text)):
            raise ValueError(f"{cell.file}, line {cell.line}: {cell.text!r} has digits and no claim")
        return [], "no number"
    if len(numbers) == 1:
        return [_claim(cell, row, column, numbers[0])], ""
    parts = [part.strip() for part in row.get("quantity", "").split(";")]
    if len(parts) != len(numbers):
        raise ValueError(f"{cell.file}, line {cell.line}: {len(numbers)} numbers, quantities {parts}")
    pairs = zip(parts, numbers, strict=True)
    return [_claim(cell, {**row, "quantity": part}, column, number, part) for part, number in pairs], ""


def _claim(
    cell: Cell, row: Mapping[str, str], column: Mapping[str, str], printed: Printed, part: str = ""
) -> Claim:
    place = row.get("section") or row.get("figure") or ""
    words = dict(row) | {"where": _where(place)}
    ready = {name: row[name] for name in ("row", "quantity") if name in row}
    slugs = {name: _slug(text) for name, text in row.items()} | {"place": _slug(_where(place.split(";")[0]))}
    claim_id = column["id"].format_map(slugs | ready)
    rule, _, amount = column["rule"].format_map(words).partition(" ")
    if rule in ("binomial", "best", "spread") and not amount:
        rule = ""
    not_a_target = column["not_a_target"].format_map(words)
    claim = Claim(
        id=claim_id,
        paper=claim_id.partition(".")[0],
        location=column["location"].format_map(words) + (f", {part}" if part else ""),
        printed=printed,
        unit=column["unit"].format_map(words),
        needs=column["needs"].format_map(words),
        source=f"{cell.file}, line {cell.line}, {cell.column}",
        rule=rule,
        amount=float(amount) if amount else None,
        settled="not a target" if not_a_target else "",
        why=not_a_target,
    )
    if problem := _wrong(claim):
        raise ValueError(f"{claim.source}: {claim_id}: {problem}")
    return claim


def _wrong(claim: Claim) -> str:
    if not _ID.fullmatch(claim.id) or claim.paper not in PAPERS:
        return "not an id"
    if claim.needs not in NEEDS or claim.rule not in RULES:
        return f"unknown needs {claim.needs!r} or rule {claim.rule!r}"
    if claim.settled and claim.why not in NOT_A_TARGET:
        return f"unknown reason {claim.why!r}"
    if claim.rule in ("binomial", "best") and not agrees_as_printed(
        share_of(claim, printed_count(claim)), claim.printed
    ):
        return f"no count of {claim.amount:.0f} gives {claim.printed.text}"
    return ""


def printed_count(claim: Claim) -> int:
    """Return how many of its `amount` trials a printed share is: 34 for 89.47% of 38."""
    return round(claim.value / share_of(claim, 1))


def share_of(claim: Claim, count: float) -> float:
    """Return `count` of the claim's trials as a share in its unit, a fraction or a percentage."""
    return count / claim.amount * (100.0 if claim.unit == "percent" else 1.0)


def _with_kind(claim: Claim, kinds: list[dict[str, str]]) -> Claim:
    """Name the word for an agreeing value: that of the last row which fits what the claim needs and its id."""
    fitting = [
        kind for kind in kinds if kind["needs"] == claim.needs and fnmatchcase(claim.id, kind["claims"])
    ]
    if not fitting or fitting[-1]["success"] not in SUCCESSES:
        raise ValueError(f"claim_kinds.csv: no word for a value that agrees with {claim.id}")
    return replace(claim, success=fitting[-1]["success"], basis=fitting[-1]["basis"])


def _marked(mark: Mapping[str, str], found: Mapping[str, Claim]) -> Iterator[Claim]:
    """Yield the claims that a mark of the audit names, with its finding and, where it settles them, its verdict.

    The numbers in a reason are those that the finding states.
    """
    patterns = mark["claims"].split()
    matched = [claim for claim in found.values() if any(fnmatchcase(claim.id, each) for each in patterns)]
    if not matched or (mark["verdict"] == "conflicts") != bool(mark["conflicts_with"]):
        raise ValueError(
            f"claim_marks.csv: {mark['claims']} ({mark['finding']}) names claims that are not there"
        )
    why = f"{mark['why'].format_map(_stated_numbers(mark['finding']))} (audit finding {mark['finding']})"
    for claim in matched:
        claim = replace(claim, findings=tuple(dict.fromkeys((*claim.findings, mark["finding"]))))
        if mark["verdict"]:
            against = tuple(mark["conflicts_with"].format(*claim.id.split(".")).split())
            if mark["conflicts_with"] == "each other":
                against = tuple(other.id for other in matched if other.id != claim.id)
            if set(against) - set(found):
                raise ValueError(f"claim_marks.csv: {' '.join(against)} names claims that are not there")
            settled = {"settled": mark["verdict"], "why": why, "issue": mark["finding"]}
            claim = replace(claim, conflicts_with=against, **settled)
        yield claim


def _stated_numbers(finding_id: str) -> dict[str, str]:
    """Return the numbers that a finding of the audit states, by name, as text."""
    with (repository() / "data/audit/numbers.csv").open(newline="", encoding="utf-8") as stream:
        return {row["name"]: row["stated"] for row in csv.DictReader(stream) if row["finding"] == finding_id}


def _where(section: str) -> str:
    """A place of the paper in words: `4.2.1` is Section 4.2.1, `Abstract; 1` is Abstract and Section 1."""
    places = (place.strip() for place in section.split(";"))
    return ", ".join(f"Section {place}" if place[:1].isdigit() else place for place in places)


def _slug(text: str) -> str:
    """Text for an id: lower case, one underscore for anything else than letters and digits.

    Section 4.2.1 is `section4_2_1` and Fig. 16 `fig16`; `<60` is `under_60` and `>75` is `over_75`.
    """
    text = re.sub(r"^(section|fig)(?:ure|\.)? (?=\d)", r"\1", text.lower())
    text = text.replace("<", "under ").replace(">", "over ")
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")
