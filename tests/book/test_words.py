"""The book's own prose keeps to the rules of writing that a program can check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from als_core.storage import repository

ROOT = repository()
PROSE = sorted([*(ROOT / "book").glob("*.md"), ROOT / "data" / "papers.yml"])
PROSE = [path for path in PROSE if path.name != "claims.md"]  # made from the claims
TABLES = [
    ROOT / "data" / "audit" / f"{name}.csv" for name in ("announced", "coverage", "equations", "figure_pages")
]
CODE = [ROOT / "als_core" / "book" / f"{name}.py" for name in ("finder", "interactive", "landing")]
CODE += [ROOT / "book" / "_ext" / f"{name}.py" for name in ("als_book", "als_links", "als_pages")]
EVERY = pytest.mark.parametrize("path", [*PROSE, *TABLES, *CODE], ids=lambda path: path.name)

RIDDLES = re.compile(
    r"\b(?:anew|whoever|whomever|whichever|of ours|at hand|as told|is told|are told|dealt|stands? (?:in|on|at|under|beside|above)"
    r"|the one \w+ the other|such a one)\b",
    re.IGNORECASE,
)
ALL_OF_ALL = re.compile(r"\b(\d+) of the \1\b|\b(\d+) of \2 \w+")
LONGEST_CODE = 110


def prose_of(path: Path) -> str:
    """The text without code, directives' options and addresses."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = re.sub(
            r"^(`{3,})(?!.*\{(?:glossary|dropdown)\}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL
        )
    return re.sub(r"`[^`\n]*`|https?://\S+|\(\S+\.md\)", " ", text)


@EVERY
def test_no_riddle_is_in_the_prose(path):
    text = prose_of(path)
    assert [found[0] for found in RIDDLES.finditer(text)] == []
    assert [found[0] for found in ALL_OF_ALL.finditer(text)] == []


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_percent_signs_stand_apart_in_prose(path):
    assert re.findall(r"\d%", prose_of(path)) == []


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_lines_of_code_are_short(path):
    blocks = re.findall(
        r"^```(?:\{code-block\} )?(?:python|bash|yaml).*?^```", path.read_text(encoding="utf-8"), re.M | re.S
    )
    long = [line for block in blocks for line in block.splitlines()[1:] if len(line) > LONGEST_CODE]
    assert [line for line in long if not line.startswith(":caption:")] == []
