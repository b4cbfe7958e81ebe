"""The audit's findings: what the printed numbers allow, how serious each finding is, and what follows.

`data/audit/findings.csv` holds the words, with `{name}` in place of each number; `numbers.csv` holds the numbers as
stated; `statements.csv` what a paper says in words, where no transcription has it. Each study registers the functions
that recompute the numbers with `@finding("X1")`; the audit compares the two.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType

from als_core.claims.published import PAPERS
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import repository

Facts = dict[str, float | str]

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "arithmetically impossible": "the printed values cannot hold together as labelled, for any data",
        "inconsistent": "two statements disagree, or a value does not follow from others; "
        "where a harmless explanation was found, it is given",
        "risky practice": "the numbers can be valid; leakage, optimism or an uninformative comparison is likely",
        "not reported": "needed to judge or to repeat the result, and not there",
    }
)
SEVERITIES: Mapping[str, str] = MappingProxyType(
    {
        "critical": "a main claim rests on it",
        "major": "changes how a main number is read",
        "moderate": "matters when the study is repeated",
        "minor": "a slip that changes no conclusion",
    }
)

_COMPUTATIONS: dict[str, Callable[[], Facts]] = {}
_NAME = re.compile(r"\{(\w+)\}")
_WORDS = ("title", "computed", "follows", "instead")


@dataclass(frozen=True)
class Stated:
    """One number of a finding. text: as the finding states it. means: what it is."""

    name: str
    text: str
    means: str


@dataclass(frozen=True)
class Finding:
    """One finding, its words with their numbers in place.

    where: places in the paper. computed: what was computed, from what. follows: what it means, with the harmless
    reading where there is one. instead: what a fair reproduction does. stated: its numbers.
    """

    id: str
    paper: str
    category: str
    severity: str
    title: str
    where: str
    computed: str
    follows: str
    instead: str
    stated: tuple[Stated, ...]


def findings() -> Mapping[str, Finding]:
    """Return every finding by id, in the order of the papers. Raises RefusedInput naming all faults in the files."""
    return _read()


def finding(finding_id: str) -> Callable[[Callable[[], Facts]], Callable[[], Facts]]:
    """Register the decorated function as the computation of a finding's numbers, by name."""

    def register(function: Callable[[], Facts]) -> Callable[[], Facts]:
        _COMPUTATIONS[finding_id] = function
        return function

    return register


def computation_of(finding_id: str) -> Callable[[], Facts]:
    """Return the function that computes a finding's numbers. Raises RefusedInput for an unknown id."""
    if finding_id not in _COMPUTATIONS:
        known = ", ".join(_COMPUTATIONS)
        raise RefusedInput("The audit", [Problem("finding", finding_id, f"one of {known}", "Correct it.")])
    return _COMPUTATIONS[finding_id]


def named_ends(low: str, high: str, interval: Sequence[float], scale: float = 1.0) -> Facts:
    """Name the two ends of an interval as numbers of a finding, times `scale` (100 for percent)."""
    return {low: scale * interval[0], high: scale * interval[1]}


def statements(finding_id: str) -> Mapping[str, str]:
    """Return by name what the paper says in words, where a finding needs it and no transcription holds it."""
    return {row["name"]: row["says"] for row in _rows("statements.csv") if row["finding"] == finding_id}


@cache
def _read() -> Mapping[str, Finding]:
    stated: dict[str, list[Stated]] = {}
    for row in _rows("numbers.csv"):
        stated.setdefault(row["finding"], []).append(Stated(row["name"], row["stated"], row["means"]))
    rows, problems = _rows("findings.csv"), []
    for line, row in enumerate(rows, 2):
        problems += _problems(line, row, stated.get(row["id"], []))
    known = {row["id"] for row in rows}
    problems += [
        Problem("numbers.csv", f"numbers of {name}", "the id of a finding", "Correct it.")
        for name in stated.keys() - known
    ]
    refuse_if("The audit", problems)
    return MappingProxyType({row["id"]: _finding(row, tuple(stated[row["id"]])) for row in rows})


def _finding(row: Mapping[str, str], stated: tuple[Stated, ...]) -> Finding:
    numbers = {each.name: each.text for each in stated}
    words = {name: row[name].format_map(numbers) if name in _WORDS else row[name] for name in row}
    return Finding(**words, stated=stated)


def _problems(line: int, row: Mapping[str, str], stated: list[Stated]) -> list[Problem]:
    found = []

    def problem(what: str, expected: str) -> None:
        found.append(Problem("findings.csv", what, expected, "Correct it.", line))

    empty = [field.name for field in fields(Finding) if field.name != "stated" and not row.get(field.name)]
    if empty:
        problem(f"nothing in {', '.join(empty)}", "every column filled")
    for column, known in (("paper", PAPERS), ("category", CATEGORIES), ("severity", SEVERITIES)):
        if row.get(column) not in known:
            problem(f"{column} {row.get(column)!r}", f"one of {', '.join(known)}")
    used = {name for column in _WORDS for name in _NAME.findall(row.get(column) or "")}
    names = [each.name for each in stated]
    if len(set(names)) < len(names):
        problem("a number stated twice", "each name once in numbers.csv")
    if used != set(names):
        problem(
            f"names {', '.join(sorted(used ^ set(names)))}",
            "each number both in the words and in numbers.csv",
        )
    return found


def _rows(file: str) -> list[dict[str, str]]:
    with (repository() / "data" / "audit" / file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
