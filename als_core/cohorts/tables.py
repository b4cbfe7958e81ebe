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

from als_core.cohorts.checks import merge_problems
from als_core.refusal import Problem, RefusedInput, counted, refuse_if

# A spreadsheet runs a cell that starts so as a formula.
FORMULA = re.compile(r"^[=+\-@]")
# Unicode's categories of what is not seen: control, format, surrogate, private use, line and paragraph separator.
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# How pandas and spreadsheets name the column of row numbers that they write beside the data.
ROW_NUMBERS = re.compile(r"Unnamed: \d+(_level_\d+)?|")
DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?(e[+-]?\d+)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
# The first line that Excel writes and reads to name the delimiter.
SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)


def read_table(
    subject: str, file: Path, where: str, names: Sequence[str] = (), unnamed_allowed: bool = False
) -> pd.DataFrame:
    """Read a UTF-8 table with a header as text cells, RangeIndex; `attrs["notices"]` says how it was read.

    Delimiter, decimal comma, spaces after delimiters, empty rows at the end, and the letter case of columns in
    `names` are settled from the file. Every line must have as many cells as the header, every column a name, and
    no name may come twice: what is left to a guess would shift columns without a word. Raises RefusedInput.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
        named = SEPARATOR_LINE.match(text)
        text = text[named.end() :] if named else text
        delimiter = named[1] if named else _delimiter(text.split("\n", 1)[0])
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        found = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, UnicodeDecodeError):
            found = f"bytes that are not UTF-8 ({error.reason} at byte {error.start})"
        problem = Problem(where, found.lower(), "a UTF-8 table", "Save it as CSV UTF-8.", check="ALS002")
        raise RefusedInput(subject, [problem]) from error
    rows = [(number, cells) for number, cells in enumerate(lines, 2 if named else 1) if cells]
    full = len(rows)
    while len(rows) > 1 and not any(cell.strip() for cell in rows[-1][1]):
        rows.pop()
    if not rows:
        problem = Problem(where, "no columns", "a UTF-8 table", "Save it as CSV UTF-8.", check="ALS002")
        raise RefusedInput(subject, [problem])
    notices = []
    if delimiter != ",":
        notices.append(f"{where} is read with {DELIMITERS[delimiter]} between cells.")
    if named:
        notices.append(f"{where}: the first line names the delimiter and is no header.")
    if full > len(rows):
        notices.append(f"{where}: {counted(full - len(rows), 'empty row')} at the end passed over.")
    if all(cell.startswith(" ") for cell in rows[0][1][1:]) and len(rows[0][1]) > 1:
        rows = [
            (number, cells[:1] + [cell.removeprefix(" ") for cell in cells[1:]]) for number, cells in rows
        ]
        notices.append(f"{where}: the space after each delimiter was dropped.")
    (_, columns), *rows = rows
    columns = _without_empty_ends(columns, rows)
    known = {name for name in names if name not in columns}
    renamed = {name: name.strip().lower() for name in columns if name.strip().lower() in known}
    if renamed:
        columns = [renamed.get(name, name) for name in columns]
        notices.append(f"{where}: columns {', '.join(renamed)} are read as {', '.join(renamed.values())}.")
    refuse_if(subject, _shape_problems(where, columns, rows, unnamed_allowed))
    table = pd.DataFrame([cells for _, cells in rows], columns=columns, dtype=str)
    if delimiter != ",":
        notices += _read_decimal_commas(subject, where, table)
    table.attrs["notices"] = [f"{notice} (ALS028)" for notice in notices]
    return table


def _delimiter(header: str) -> str:
    """The delimiter that parts the header into most names; a comma where none does, or where it does too."""
    counts = {sign: len(next(csv.reader([header], delimiter=sign), [])) for sign in DELIMITERS}
    return "," if counts[","] > 1 else max(counts, key=counts.get)


def _without_empty_ends(columns: list[str], rows: list[tuple[int, list[str]]]) -> list[str]:
    """Columns without names and cells at the right end, as spreadsheets write them, are cut from every row."""
    width = len(columns)
    while width > 1 and not columns[width - 1] and not any(any(cells[width - 1 :]) for _, cells in rows):
        width -= 1
    for _, cells in rows:
        if len(cells) == len(columns):
            del cells[width:]
    return columns[:width]


def _shape_problems(
    where: str, columns: list[str], rows: list[tuple[int, list[str]]], unnamed_allowed: bool
) -> list[Problem]:
    problems = [
        Problem(
            where,
            f"the column `{name}` {count} times",
            "each column once",
            "Rename or drop one.",
            1,
            "ALS002",
        )
        for name, count in Counter(columns).items()
        if count > 1
    ]
    for place, name in enumerate(columns):
        if ROW_NUMBERS.fullmatch(name.strip()) and not unnamed_allowed:
            values = ", ".join(cells[place] for _, cells in rows[:3] if place < len(cells))
            found = f"a column without a name (column {place + 1}: {values}, ...)"
            remedy = "Name it, or drop it; row numbers are written by to_csv without index=False."
            problems.append(Problem(where, found, "a name for each column", remedy, 1, "ALS002"))
    problems += [
        Problem(
            where,
            f"{len(cells)} cells",
            f"{len(columns)}, as in the header",
            "Mend the line.",
            number,
            "ALS002",
        )
        for number, cells in rows
        if len(cells) != len(columns)
    ]
    return merge_problems(problems)


def _read_decimal_commas(subject: str, where: str, table: pd.DataFrame) -> list[str]:
    """Put points for decimal commas, in place, where a whole column can only be read so."""
    changed, problems = [], []
    for name in table:
        cells = [cell for cell in table[name] if cell]
        if not any("," in cell for cell in cells) or not all(DECIMAL_COMMA.fullmatch(cell) for cell in cells):
            continue
        if all(THOUSANDS.fullmatch(cell) for cell in cells if "," in cell):
            found = f"`{next(cell for cell in cells if ',' in cell)}`, thousands or a decimal comma"
            remedy = "Write a decimal point, and no comma between thousands."
            problems.append(Problem(f"{where}, column `{name}`", found, "a number", remedy, check="ALS002"))
        table[name] = table[name].str.replace(",", ".")
        changed.append(name)
    refuse_if(subject, problems)
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return [f"{where}: decimal commas in {', '.join(changed[:3])}{more}."] if changed else []


def cell_problems(table: pd.DataFrame, where: str, columns: Sequence[str]) -> list[Problem]:
    """Empty and unsafe cells of these columns, where the table has them. Row 0 of the table is line 2 of the file.

    Unsafe is what a spreadsheet would run, and what can be taken for another word: invisible signs, spaces
    around, decomposed letters. A path is spelled as its disk spells it, so it may be decomposed.
    """
    problems = []
    for column in (name for name in columns if name in table):
        for row, cell in enumerate(table[column]):

            def problem(found: str, expected: str, remedy: str, row: int = row, column: str = column) -> None:
                place = f"{where}, column `{column}`"
                problems.append(Problem(place, found, expected, remedy, row + 2, "ALS004"))

            if not cell.strip():
                problem("an empty cell", "a value", "Fill it in, or drop the row.")
            elif FORMULA.match(cell):
                problem(repr(cell), "plain text that no spreadsheet would run", "Rename it.")
            elif expected := other_than_it_looks(cell):
                problem(ascii(cell), expected, "Type it again.")
            elif column != "path" and not unicodedata.is_normalized("NFC", cell):
                problem(ascii(cell), "composed letters (NFC)", "Type it again.")
    return problems


def other_than_it_looks(cell: str) -> str:
    """What a cell should have been that is not what one sees; empty where it is."""
    if cell != cell.strip():
        return "no space around it"
    return "signs that can be seen" if any(unicodedata.category(sign) in UNSEEN for sign in cell) else ""


def row_number_problems(features: pd.DataFrame, where: str) -> list[Problem]:
    """Numeric columns that count the rows: as a feature, one predicts any label that the rows are sorted by."""
    counted = pd.Series(range(len(features)), features.index, dtype=float)
    remedy = "Drop the column, or shuffle the rows if it is a measurement."
    return [
        Problem(f"{where}, column `{name}`", "the number of the row", "a measurement", remedy, check="ALS002")
        for name, column in features.items()
        if len(column) > 2 and (column.astype(float) - column.iloc[0]).equals(counted)
    ]
