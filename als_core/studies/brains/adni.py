"""The table of scans that ADNI exports, and the manifest made of it and a folder of its NIfTI files.

Columns as on the slides of Panagiotaras ("CSV table from ADNI"): PTID, Exam Date, Image ID, Visit, Month,
Diagnosis. ADNI data are had by application; nothing of them is in this project.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from als_core.cohorts.volumes import SUFFIXES
from als_core.refusal import Problem, RefusedInput, refuse_if

COLUMNS = {
    "PTID": "group",
    "Exam Date": "exam_date",
    "Image ID": "image_id",
    "Visit": "visit_name",
    "Month": "month",
    "Diagnosis": "label",
}
# One diagnosis, spelled differently by the phases of ADNI and by the slides.
SPELLINGS = {"NC": "CN", "NL": "CN", "CN": "CN", "Dementia": "AD", "AD": "AD", "MCI": "MCI"}
PATIENT = re.compile(r"\d{3}_S_\d{4}$")


def read_adni_table(path: Path | str) -> pd.DataFrame:
    """Read the exported table, comma- or tab-separated: one row a scan, in the file's order.

    Columns: group (PTID), exam_date, image_id (int), visit_name, month (float, since baseline), label (AD,
    CN or MCI), and visit (0, 1, ... by date within the patient, equal for scans of one day). Further columns
    of the file are left out. Raises RefusedInput with every problem found.
    """
    path = Path(path)
    subject = f"The ADNI table {path.name}"
    try:
        raw = pd.read_csv(
            path, dtype=str, keep_default_na=False, sep=None, engine="python", encoding="utf-8-sig"
        )
    except (OSError, ValueError, csv.Error) as error:  # pandas' own errors are ValueErrors
        found = " ".join(str(error).split())
        problem = Problem(path.name, found, "a comma- or tab-separated table", "Export it again.")
        raise RefusedInput(subject, [problem]) from error
    # other exports of the same table write Exam.Date or EXAM DATE
    plain = {re.sub(r"[\s._]+", " ", name).strip().upper(): name for name in raw.columns}
    found = {wanted: plain.get(wanted.upper()) for wanted in COLUMNS}
    refuse_if(
        subject,
        (
            Problem(
                path.name, f"columns {', '.join(raw.columns)}", f"a column `{wanted}`", "Export it too.", 1
            )
            for wanted, name in found.items()
            if name is None
        ),
    )
    table = pd.DataFrame({COLUMNS[wanted]: raw[name].str.strip() for wanted, name in found.items()})
    dates = pd.to_datetime(table["exam_date"], format="%Y-%m-%d", errors="coerce")
    months = pd.to_numeric(table["month"], errors="coerce")
    refuse_if(subject, _problems(table, dates, months, path.name))
    table = table.assign(
        exam_date=dates,
        month=months,
        image_id=table["image_id"].str.lstrip("I").astype(int),
        label=table["label"].map(SPELLINGS),
    )
    table["visit"] = table.groupby("group")["exam_date"].rank(method="dense").astype(int) - 1
    return table


def _problems(table: pd.DataFrame, dates: pd.Series, months: pd.Series, name: str) -> Iterator[Problem]:
    checks = (
        ("group", "PTID", table["group"].str.fullmatch(PATIENT), "a patient such as 011_S_0003"),
        ("exam_date", "Exam Date", dates.notna(), "a date such as 2005-09-12"),
        ("image_id", "Image ID", table["image_id"].str.fullmatch(r"I?[0-9]{1,9}"), "a number"),
        ("month", "Month", months.between(0, 1200), "months since baseline"),
        ("label", "Diagnosis", table["label"].isin(SPELLINGS), f"one of {', '.join(SPELLINGS)}"),
        ("image_id", "Image ID", ~table["image_id"].duplicated(), "each scan once"),
    )
    for column, printed, right, expected in checks:
        for row in table.index[~right.astype(bool)]:
            cell = table.at[row, column]
            yield Problem(
                f"{name}, column `{printed}`", repr(cell), expected, "Correct or drop the row.", row + 2
            )


def adni_manifest(
    table: pd.DataFrame, folder: Path | str, labels: tuple[str, ...] = ("AD", "CN")
) -> pd.DataFrame:
    """The manifest of the table's scans with these labels whose files lie under `folder`.

    A file belongs to a scan when its path holds the PTID and its name the image number (as `_I32237` or
    `_32237_`). Columns path, label, group, visit, diagnosis, image_id, exam_date. Raises RefusedInput listing
    every scan with no file or with more than one.
    """
    folder = Path(folder)
    by_number = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        if file.name.endswith(SUFFIXES):
            for number in set(re.findall(r"(?<!\d)\d{4,7}(?!\d)", file.name)):
                by_number[int(number)].append(file)
    wanted = table[table["label"].isin(labels)].reset_index(drop=True)
    paths, problems = [], []
    for row in wanted.itertuples():
        files = [file for file in by_number[row.image_id] if row.group in str(file.relative_to(folder))]
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "no file"
            problems.append(
                Problem(
                    f"{row.group}, image {row.image_id}",
                    names,
                    "one NIfTI file under the folder",
                    "Convert and copy it there, or drop the row.",
                )
            )
        paths.append(files[0].relative_to(folder).as_posix() if files else "")
    refuse_if(f"The scans in {folder}", problems)
    manifest = wanted.assign(path=paths, diagnosis=wanted["label"], exam_date=wanted["exam_date"].dt.date)
    return manifest[["path", "label", "group", "visit", "diagnosis", "image_id", "exam_date"]]
