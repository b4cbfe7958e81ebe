"""Tables that a reader brings, as text: read strictly, and checked for cells that are not what they look like."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from als_core.refusal import Problem, RefusedInput, refuse_if

# A spreadsheet runs a cell that starts so as a formula.
FORMULA = re.compile(r"^[=+\-@]")
# Unicode's categories of what is not seen: control, format, surrogate, private use, line and paragraph separator.
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def read_table(subject: str, file: Path, where: str) -> pd.DataFrame:
    """A comma-separated UTF-8 file with a header, as text cells, RangeIndex; what is no such table is refused.

    Every line must have as many cells as the header, and no column may come twice: what is left to a reader's
    guess would shift columns without a word.
    """
    expected, remedy = "a comma-separated UTF-8 table", "Save it as CSV UTF-8."
    try:
        text = file.read_bytes().decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        found = error.strerror if isinstance(error, OSError) else str(error)
        raise RefusedInput(subject, [Problem(where, found.lower(), expected, remedy)]) from error
    rows = [(number, cells) for number, cells in enumerate(lines, 1) if cells]
    if not rows:
        raise RefusedInput(subject, [Problem(where, "No columns", expected, remedy)])
    (_, columns), *rows = rows
    problems = [
        Problem(where, f"the column `{name}` {count} times", "each column once", "Rename or drop one.", 1)
        for name, count in Counter(columns).items()
        if count > 1
    ]
    problems += [
        Problem(where, f"{len(cells)} cells", f"{len(columns)}, as in the header", "Mend the line.", number)
        for number, cells in rows
        if len(cells) != len(columns)
    ]
    refuse_if(subject, problems)
    return pd.DataFrame([cells for _, cells in rows], columns=columns, dtype=str)


def cell_problems(table: pd.DataFrame, where: str, columns: Sequence[str]) -> list[Problem]:
    """Empty and unsafe cells of these columns, where the table has them. Row 0 of the table is line 2 of the file.

    Unsafe is what a spreadsheet would run, and what can be taken for another word: invisible signs, spaces
    around, decomposed letters. A path is spelled as its disk spells it, so it may be decomposed.
    """
    problems = []
    for column in (name for name in columns if name in table):
        for row, cell in enumerate(table[column]):

            def problem(found: str, expected: str, remedy: str, row: int = row, column: str = column) -> None:
                problems.append(Problem(f"{where}, column `{column}`", found, expected, remedy, row + 2))

            if not cell.strip():
                problem("an empty cell", "a value", "Fill it in, or drop the row.")
            elif FORMULA.match(cell):
                problem(repr(cell), "plain text that no spreadsheet would run", "Rename it.")
            elif expected := other_than_it_looks(cell):
                problem(ascii(cell), expected, "Type it anew.")
            elif column != "path" and not unicodedata.is_normalized("NFC", cell):
                problem(ascii(cell), "composed letters (NFC)", "Type it anew.")
    return problems


def other_than_it_looks(cell: str) -> str:
    """What a cell should have been that is not what one sees; empty where it is."""
    if cell != cell.strip():
        return "no space around it"
    return "signs that can be seen" if any(unicodedata.category(sign) in UNSEEN for sign in cell) else ""
