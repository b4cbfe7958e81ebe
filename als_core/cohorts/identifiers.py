"""Compare the names of groups with each other: spellings of one name, words for missing, visits, spoilt dates.

A group is what a split keeps together, so two spellings of one donor put its images on both sides of a split, and
one word for several donors keeps apart what is not one. Nothing is corrected here: a reader decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from als_core.cohorts.checks import merge_problems
from als_core.refusal import Problem

# As people write that a value is not known, in lower case and without full stops.
MISSING = frozenset(
    ("na", "n/a", "nan", "none", "null", "nil", "unknown", "unk", "missing", "not available", "not known",
     "undefined", "tbd", "?", "??", "-", "--", "---", "#n/a", "#name?", "#ref!", "#value!", "<na>", "nat",
     "unbekannt", "inconnu", "desconocido", "-9", "-99", "-999")
)  # fmt: skip
SEPARATORS = re.compile(r"(?<=[^\W_])[\s_./:\-–—]+(?=[^\W_])")
TOKENS = re.compile(r"\d+|[^\W\d_]+|[^\w\s]|_")
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
SPOILT = {
    "a date": re.compile(rf"(\d{{1,2}}-({MONTHS})|({MONTHS})-\d{{2,4}}|\d{{4}}-\d\d-\d\d 00:00:00)", re.IGNORECASE),
    "a number in scientific notation": re.compile(r"\d(\.\d+)?E[+-]\d+", re.IGNORECASE),
}  # fmt: skip
# Columns that are probably the group under another name.
GROUP_WORDS = (
    "donor",
    "patient",
    "subject",
    "case",
    "individual",
    "animal",
    "mouse",
    "participant",
    "person",
)
LEAST_STEMS = 3  # below, a common beginning is no sign of repeated visits


def canonical(name: str) -> tuple[str, ...]:
    """A name without what people vary: letter case, separators, leading zeros, a trailing `.0` of a number.

    >>> canonical("P-07") == canonical("p7") == canonical("P 007"), canonical("7.0") == canonical("7")
    (True, True)
    >>> canonical("1-11") == canonical("11-1"), canonical("A+") == canonical("A-")
    (False, False)
    """
    name = re.sub(r"^(\d+)\.0+$", r"\1", name.strip().casefold())
    tokens = TOKENS.findall(SEPARATORS.sub(" ", name))
    return tuple(token.lstrip("0") or "0" if token.isdigit() else token for token in tokens)


def spelled_alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Sets of different names with one canonical form, each sorted."""
    alike: dict[tuple[str, ...], set[str]] = {}
    for name in names:
        alike.setdefault(canonical(name), set()).add(name)
    return sorted(tuple(sorted(spellings)) for spellings in alike.values() if len(spellings) > 1)


def says_missing(name: str) -> bool:
    """Whether a cell reads like a word for a missing value."""
    return name.strip().casefold().rstrip(".").replace("n.a", "na") in MISSING


def group_problems(
    table: pd.DataFrame, where: str, column: str = "group", accepts: bool = True
) -> list[Problem]:
    """Names of groups that are probably one, and words for missing where they cover several samples.

    accepts: whether a reader can accept them with `--accept`; for a feature table, names are changed instead.
    """
    counts = table[column].value_counts()
    place = f"{where}, column `{column}`"
    action = "add --accept ALS017" if accepts else "rename one"
    remedy = f"Spell each {column} one way, or {action} if they differ."
    problems = [
        Problem(place, " and ".join(names), "one spelling per group", remedy, check="ALS017")
        for names in spelled_alike(counts.index)
    ]
    action = "add --accept ALS018" if accepts else "rename it"
    remedy = f"Fill in the {column}s or drop the rows, or {action} if it is a name."
    problems += [
        Problem(place, f"`{name}` in {count} rows", "names of groups", remedy, check="ALS018")
        for name, count in counts.items()
        if count > 1 and says_missing(name)
    ]
    return merge_problems(problems)


def group_notices(names: Sequence[str], what: str = "groups") -> Iterator[str]:
    """Sentences about names that look like visits of one subject, or like what a spreadsheet made of a name."""
    distinct = list(dict.fromkeys(names))
    stems: dict[str, set[str]] = {}
    for name in distinct:
        stem, _, suffix = name.rpartition(next((sign for sign in reversed(name) if sign in "_-. "), "_"))
        if stem and len(suffix) <= 3 and re.search(r"\d$", stem):
            stems.setdefault(stem, set()).add(suffix)
    repeated = {stem: sorted(suffixes) for stem, suffixes in stems.items() if len(suffixes) > 1}
    suffixes = set().union(*repeated.values()) if repeated else set()
    if len(repeated) >= LEAST_STEMS and len(repeated) > len(suffixes):
        stem = next(iter(repeated))
        examples = " and ".join(name for name in distinct if name.startswith(stem))
        yield (
            f"{len(repeated)} {what} come with several endings, such as {examples}: if these are visits or copies of "
            "one subject, give them one `group` (ALS025)."
        )
    for kind, pattern in SPOILT.items():
        if spoilt := [name for name in distinct if pattern.fullmatch(name)]:
            yield (
                f"{kind.capitalize()} among the {what}, such as {spoilt[0]}, is often what a spreadsheet made of a name: "
                f"compare the {what} with the original list (ALS025)."
            )


def unnamed_groups(columns: Iterable[str]) -> list[str]:
    """Columns that are probably groups under another name: `donor`, `patient_id`, `Subject`."""
    return [name for name in columns if re.sub(r"[\s_]*(id|number|no|nr)?$", "", name.lower()) in GROUP_WORDS]
