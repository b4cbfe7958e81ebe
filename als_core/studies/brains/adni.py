"""ADNI's tables and NIfTI files as a manifest: one scan a visit, several visits a patient.

Tables are recognised by their columns, under any file name:

| table                                              | columns                                           |
|----------------------------------------------------|---------------------------------------------------|
| list of scans on the slides                        | PTID, Exam Date, Image ID, Visit, Diagnosis       |
| image collection, MRILIST                          | Subject, Acq Date, Image Data ID, Visit, Group    |
| Key_MRI, All_Images (names since October 2024)     | subject_id, image_date, image_id, image_visit     |
| diagnoses: DXSUM_PDXCONV_ADNIALL, since then DXSUM | PTID, EXAMDATE, DIAGNOSIS or DXCURREN or DXCHANGE |

A list of scans without diagnoses takes them from the table of diagnoses, of the examination nearest in time.
ADNI gives its data on application; none of them are in this project.
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

# Our column, and its names in ADNI's tables: capitals, one space for each run of spaces, dots and
# underscores.
COLUMNS = {
    "group": ("PTID", "SUBJECT", "SUBJECT ID"),
    "exam_date": ("EXAM DATE", "ACQ DATE", "SCANDATE", "IMAGE DATE", "MRI DATE"),
    "image_id": ("IMAGE ID", "IMAGE DATA ID", "IMAGEUID"),
}
OPTIONAL = {
    "visit_name": ("VISIT", "IMAGE VISIT", "MRI VISIT", "VISCODE2"),
    "month": ("MONTH",),
    "label": ("DIAGNOSIS", "GROUP", "RESEARCH GROUP"),
    "field_strength": ("MRI FIELD STR", "FIELD STRENGTH", "MAGSTRENGTH"),
    "age": ("AGE", "ENTRY AGE"),
    "sex": ("SEX", "PTGENDER"),
}
NAMES = {"group": "PTID", "exam_date": "Exam Date", "image_id": "Image ID", "label": "Diagnosis"}
# One diagnosis, spelled differently by the phases of ADNI, by its tables and by the slides.
SPELLINGS = {"NC": "CN", "NL": "CN", "CN": "CN", "Dementia": "AD", "AD": "AD"}
SPELLINGS |= dict.fromkeys(("MCI", "EMCI", "LMCI"), "MCI") | {"SMC": "SMC"}
CODES = {
    "DIAGNOSIS": {1: "CN", 2: "MCI", 3: "AD"},
    "DXCURREN": {1: "CN", 2: "MCI", 3: "AD"},
    # from one diagnosis to another: the second counts
    "DXCHANGE": dict.fromkeys((1, 7, 9), "CN")
    | dict.fromkeys((2, 4, 8), "MCI")
    | dict.fromkeys((3, 5, 6), "AD"),
}
PATIENT = re.compile(r"\d{3}_S_\d{4,5}$")
DATES = ("%Y-%m-%d", "%m/%d/%Y")
NEAREST = pd.Timedelta(days=183)  # between a scan and the examination that gives its diagnosis


def read_adni_folder(folder: Path | str, labels: tuple[str, ...]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Make the manifest of a folder with ADNI's NIfTI files and its tables, and say what was left out.

    Parameters
    ----------
    folder : path
        NIfTI files at any depth; the table of scans and, where that has no diagnoses, the table of diagnoses.
    labels : diagnoses to keep, such as ("AD", "CN")

    Raises
    ------
    RefusedInput
        Without a table of scans, and as `read_adni_table` and `adni_manifest` do.
    """
    folder = Path(folder)
    tables = [path for path in sorted(folder.glob("*.csv")) if not path.name.startswith(".")]
    headers = {path: _named_columns(_read(path)) for path in tables}
    scans = [
        path for path, names in headers.items() if {"group", "image_id"} & set(names) == {"group", "image_id"}
    ]
    diagnoses = [path for path, names in headers.items() if path not in scans and "dates" in names]
    if len(scans) != 1:
        found = f"{len(scans)} tables of scans ({', '.join(path.name for path in scans) or 'no CSV'})"
        remedy = "Download the CSV of your image collection, or the table Key_MRI, into it."
        expected = "one CSV with a patient, a date and an image number in each row"
        raise RefusedInput(f"The ADNI folder {folder}", [Problem(str(folder), found, expected, remedy)])
    table = read_adni_table(scans[0], *diagnoses[:1])
    return adni_manifest(table, folder, labels)


def read_adni_table(path: Path | str, diagnoses: Path | None = None) -> pd.DataFrame:
    """Read a table of scans, comma- or tab-separated: one row a scan, in the file's order.

    Parameters
    ----------
    path : the table of scans
    diagnoses : the table of diagnoses, for a table of scans that has none

    Returns
    -------
    DataFrame group (PTID), exam_date, image_id (int), label (AD, CN, MCI or SMC; empty where no examination
        is near), visit (0, 1, ... by date within the patient), and visit_name, month (float), field_strength,
        age and sex where the table has them.

    Raises
    ------
    RefusedInput
        With every problem found.
    """
    path = Path(path)
    subject = f"The ADNI table {path.name}"
    raw = _read(path)
    names = _named_columns(raw)
    needed = [*COLUMNS, *([] if diagnoses else ["label"])]
    refuse_if(
        subject,
        (
            Problem(
                path.name,
                f"columns {', '.join(raw.columns)}",
                f"a column `{NAMES[ours]}`",
                "Export it too.",
                1,
            )
            for ours in needed
            if ours not in names
        ),
    )
    table = pd.DataFrame({ours: raw[name].str.strip() for ours, name in names.items() if ours != "dates"})
    if "label" in table and table["label"].str.fullmatch(PATIENT).all() and len(table):
        exchanged = Problem(
            f"{path.name}, column `{names['label']}`", f"patients, such as {table['label'][0]}",
            f"diagnoses: {', '.join(SPELLINGS)}", f"Exchange it with the column `{names['group']}`.",
        )  # fmt: skip
        raise RefusedInput(subject, [exchanged])
    dates = _dates(table["exam_date"])
    months = pd.to_numeric(table["month"], errors="coerce") if "month" in table else None
    refuse_if(subject, _problems(table, names, dates, months, path.name))
    table = table.assign(exam_date=dates, image_id=table["image_id"].str.lstrip("I").astype(int))
    if months is not None:
        table["month"] = months
    if "label" in table:
        table["label"] = table["label"].map(SPELLINGS)
    else:
        table["label"] = _diagnoses_of(table, diagnoses)
    table["visit"] = table.groupby("group")["exam_date"].rank(method="dense").astype(int) - 1
    return table


def adni_manifest(
    table: pd.DataFrame, folder: Path | str, labels: tuple[str, ...] = ("AD", "CN")
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Match the files under `folder` with the table's rows.

    A file belongs to a scan when its path holds the PTID and its name the image number (as `_I32237` or
    `_32237_`). Rows without a file are left out: ADNI's tables list scans that were not downloaded. So are
    patients whose scans have more than one of `labels`.

    Returns
    -------
    DataFrame with columns path, label, group, visit, diagnosis, image_id, exam_date and covariates; and
    a sentence for each kind of scan that was left out

    Raises
    ------
    RefusedInput
        For each file without a row, each scan with several files, and each visit with several scans.
    """
    folder = Path(folder)
    rows = defaultdict(list)
    for number, (group, image) in enumerate(zip(table["group"], table["image_id"], strict=True)):
        rows[image].append((number, group))
    files: dict[int, list[Path]] = defaultdict(list)
    problems = []
    volumes = [file for file in sorted(folder.rglob("*")) if file.name.endswith(SUFFIXES)]
    for file in volumes:
        place = file.relative_to(folder)
        images = {int(image) for image in re.findall(r"(?<!\d)\d{4,7}(?!\d)", file.name)}
        own = {number for image in images for number, group in rows.get(image, ()) if group in str(place)}
        if len(own) == 1:
            files[own.pop()].append(place)
        else:
            found = f"{len(own)} rows of the table for it"
            problems.append(
                Problem(str(place), found, "one, by patient and image number", "Rename or remove it.")
            )
    for number, places in files.items():
        if len(places) > 1:
            where = f"{table['group'][number]}, image {table['image_id'][number]}"
            found = " and ".join(place.name for place in places)
            problems.append(Problem(where, found, "one NIfTI file", "Remove all but one."))
    kept = table.loc[sorted(files)].assign(path=[files[row][0].as_posix() for row in sorted(files)])
    kept = kept[kept["label"].isin(labels)]
    for (group, visit), scans in kept.groupby(["group", "visit"]):
        if len(scans) > 1:
            found = f"{len(scans)} scans, images {', '.join(map(str, scans['image_id']))}"
            problems.append(
                Problem(f"{group}, visit {visit}", found, "one scan a visit", "Keep one file of them.")
            )
    if not volumes or not len(kept):
        found = f"{len(volumes)} NIfTI files, {len(kept)} of them labelled {' or '.join(labels)}"
        problems.append(Problem(str(folder), found, "scans of both", "Convert DICOM with dcm2niix first."))
    refuse_if(f"The scans in {folder}", problems)
    torn = kept.groupby("group")["label"].transform("nunique") > 1
    left_out = {
        "rows of the table have no file here": len(table) - len(files),
        f"scans have another diagnosis than {' or '.join(labels)}": len(files) - len(kept),
        "scans are of patients whose diagnosis changed between these": int(torn.sum()),
    }
    kept = kept[~torn].reset_index(drop=True)
    manifest = kept.assign(diagnosis=kept["label"], exam_date=kept["exam_date"].dt.date)
    covariates = [
        name for name in ("field_strength", "age", "sex") if name in manifest and manifest[name].ne("").all()
    ]
    columns = ["path", "label", "group", "visit", "diagnosis", "image_id", "exam_date", *covariates]
    if "sex" in covariates:
        manifest["sex"] = manifest["sex"].str[0].str.upper()
    return manifest[columns], tuple(f"{count} {what}." for what, count in left_out.items() if count)


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(
            path, dtype=str, keep_default_na=False, sep=None, engine="python", encoding="utf-8-sig"
        )
    except (OSError, ValueError, csv.Error) as error:  # pandas' own errors are ValueErrors
        found = " ".join(str(error).split())
        problem = Problem(path.name, found, "a comma- or tab-separated table", "Export it again.")
        raise RefusedInput(f"The ADNI table {path.name}", [problem]) from error


def _named_columns(raw: pd.DataFrame) -> dict[str, str]:
    """Our name of a column -> its name in the file; "dates": the examination date of a table of diagnoses."""
    plain = {re.sub(r"[\s._]+", " ", name).strip().upper(): name for name in raw.columns}
    names = {
        ours: next(plain[theirs] for theirs in known if theirs in plain)
        for ours, known in (COLUMNS | OPTIONAL).items()
        if set(known) & set(plain)
    }
    return names | ({"dates": plain["EXAMDATE"]} if {"EXAMDATE", "PTID"} <= set(plain) else {})


def _dates(cells: pd.Series) -> pd.Series:
    read = [pd.to_datetime(cells, format=form, errors="coerce") for form in DATES]
    return read[0].fillna(read[1])


def _problems(
    table: pd.DataFrame, names: dict[str, str], dates: pd.Series, months: pd.Series | None, name: str
) -> Iterator[Problem]:
    checks = [
        ("group", table["group"].str.fullmatch(PATIENT), "a patient such as 011_S_0003"),
        ("exam_date", dates.notna(), "a date such as 2005-09-12"),
        ("image_id", table["image_id"].str.fullmatch(r"I?[0-9]{1,9}"), "a number"),
        ("image_id", ~table["image_id"].duplicated(), "each scan once"),
    ]
    if months is not None:
        checks.append(("month", months.between(0, 1200), "months since baseline"))
    if "label" in table:
        checks.append(("label", table["label"].isin(SPELLINGS), f"one of {', '.join(SPELLINGS)}"))
    for column, right, expected in checks:
        for row in table.index[~right.astype(bool)]:
            where, cell = f"{name}, column `{names[column]}`", repr(table.at[row, column])
            yield Problem(where, cell, expected, "Correct or drop the row.", row + 2)


def _diagnoses_of(table: pd.DataFrame, path: Path) -> pd.Series:
    """The diagnosis of each scan at the patient's nearest examination, "" where none is within `NEAREST`."""
    raw = _read(path)
    names = {name.strip().upper(): name for name in raw.columns}
    label = pd.Series(index=raw.index, dtype=object)
    for column, codes in CODES.items():
        if column in names:
            label = label.fillna(pd.to_numeric(raw[names[column]], errors="coerce").map(codes))
    known = pd.DataFrame(
        {"group": raw[names["PTID"]].str.strip(), "date": _dates(raw[names["EXAMDATE"]]), "label": label}
    )
    known = known.dropna().sort_values("date")
    scans = table[["group", "exam_date"]].reset_index().sort_values("exam_date")
    found = pd.merge_asof(scans, known, left_on="exam_date", right_on="date", by="group",
                          direction="nearest", tolerance=NEAREST)  # fmt: skip
    return found.set_index("index")["label"].fillna("").sort_index()
