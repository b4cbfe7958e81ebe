"""Folders as people have them: tell by content what is in one, list its samples without a manifest, write a manifest."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from PIL import Image

from als_core.cohorts.reading import FORMATS, SUFFIXES
from als_core.cohorts.tables import read_table
from als_core.refusal import Problem, RefusedInput, counted, refuse_if
from als_core.storage import atomic_write

MANIFEST = "manifest.csv"
VOLUME_SUFFIXES = (".nii", ".nii.gz")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
# What operating systems and viewers leave beside images: never a sample, whatever its suffix.
COMPANIONS = re.compile(
    r"\..*|Thumbs\.db|desktop\.ini|ehthumbs\.db|__MACOSX|.*\.(json|xml|txt|csv|tsv|yml|yaml|md|db|ini|lnk)",
    re.I,
)
NAMES = (
    *("path", "label", "group", "subject", "age", "sex", "visit", "slide", "field_strength", "diagnosis"),
    *("mask", "truth", "sha256"),
)
"""Columns that are read by name, in any letter case."""
READ_AS_CLASSES = f"No {MANIFEST}: each subfolder is read as a class (ALS028)."
CASE = "ALS"  # crops are of it and of one other label
LOOKED_AT = 8  # files that tell grey crops from colour images

Kind = Literal["images", "crops", "volumes", "features"]


def kind_of(place: Path | str) -> Kind:
    """What a folder or a table holds, by content: "images", "crops" (grey, ALS and one other label), "volumes" or "features".

    Raises RefusedInput where it holds none of them, or images and volumes side by side without a manifest.
    """
    place = Path(place)
    if place.is_file():
        refuse_if(f"The file {place}", _type_problems(place))
        return "features"
    if (place / MANIFEST).is_file():
        table = read_table(f"The cohort in {place}", place / MANIFEST, MANIFEST, NAMES)
        if "path" not in table:
            return "features" if {"subject", "label"} <= set(table) else "images"
    elif feature_file(place):
        return "features"
    else:
        table = list_samples(place)
    volumes = sum(_is(path, VOLUME_SUFFIXES) for path in table["path"])
    if volumes > len(table) / 2:
        return "volumes"
    return "crops" if _are_crops(place, table) else "images"


def feature_file(folder: Path) -> Path | None:
    """The one table of a folder without a manifest and without images or volumes in it; None where there is none."""
    if not folder.is_dir() or next(_samples(folder), None):
        return None
    tables = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in TABLE_SUFFIXES[:2] and not is_companion(path.name)
    ]
    return tables[0] if len(tables) == 1 else None


def list_samples(folder: Path, group_from: str | None = None) -> pd.DataFrame:
    """The samples of a folder with one subfolder per class: text columns path, label and, if asked for, group.

    group_from: a regular expression whose first bracket (or whole match) in the path is the group; "parent" for the
    folder a file lies in, below that of its class; None for no groups. `attrs["notices"]` says what was passed over.
    Raises RefusedInput where there are no such folders, the expression does not fit every path, or a path is not UTF-8.
    """
    subject = f"The cohort in {folder}"
    accepted = f"{MANIFEST} (columns path, label and, where known, group), or one subfolder per class with images in it"
    if not folder.is_dir():
        raise RefusedInput(
            subject, [Problem(str(folder), "no such folder", accepted, "Check the path.", check="ALS001")]
        )
    paths = [path.relative_to(folder) for path in _samples(folder)]
    inside = [path for path in paths if len(path.parts) > 1]
    # images/als/..., images/control/...: the classes are below a folder that holds everything
    depth = 0
    while (
        inside
        and len({path.parts[: depth + 1] for path in inside}) == 1
        and min(len(p.parts) for p in inside) > depth + 2
    ):
        depth += 1
    unread = _unread_files(folder)
    if len({path.parts[depth] for path in inside}) < 2:
        entries = sum(not is_companion(entry.name) for entry in folder.iterdir())
        found = f"{entries} entries and no {MANIFEST}" if entries else "an empty folder"
        found += f"; {unread}" if unread else ""
        remedy = "Sort the images into one folder per class, or write a manifest: als manifest --help."
        raise RefusedInput(subject, [Problem(str(folder), found, accepted, remedy, check="ALS001")])
    table = pd.DataFrame({"path": [p.as_posix() for p in inside], "label": [p.parts[depth] for p in inside]})
    refuse_if(subject, _encoding_problems(table))
    if group_from:
        table["group"] = _groups(subject, inside, group_from, depth)
    passed = sum(1 for entry in _files(folder) if COMPANIONS.fullmatch(entry.name) and entry.name != MANIFEST)
    notices = [READ_AS_CLASSES]
    if passed:
        notices.append(
            f"Passed over: {counted(passed, 'companion file')}, such as Thumbs.db or ._name (ALS027)."
        )
    if len(inside) < len(paths):
        notices.append(
            f"Passed over: {counted(len(paths) - len(inside), 'image')} outside the class folders (ALS027)."
        )
    if unread:
        notices.append(f"Passed over: {unread} (ALS027).")
    if without := _folders_without_samples(folder.joinpath(*inside[0].parts[:depth]), set(table["label"])):
        notices.append(
            f"Passed over: no image that can be read is in {', '.join(without)}, so no class is made of it (ALS027)."
        )
    table.attrs["notices"] = notices
    return table


def list_images(folder: Path) -> list[str]:
    """Paths of all images below a folder, relative to it, companions left out."""
    files = [path.relative_to(folder).as_posix() for path in _samples(folder)]
    return [path for path in files if _is(path, SUFFIXES)]


def table_samples(folder: Path, file: Path, path_from: str, label_column: str, group_column: str = "",
                  only: tuple[str, ...] = ()) -> pd.DataFrame:  # fmt: skip
    """Samples of a table beside the images: text columns path, label and, if named, group.

    path_from: the path of an image, with columns in braces: "images/Image_{number:0>5}.jpg" fills up with zeros.
    only: labels to keep. Rows without a label or with another one, and rows whose file is missing, are passed over
    and counted in `attrs["notices"]`. Raises RefusedInput where nothing is left, a column is missing, or a path cannot
    be made.
    """
    subject = f"The table {file}"
    rows = read_table(subject, file, file.name, unnamed_allowed=True)
    wanted = _columns_of(subject, path_from)
    wanted += [name for name in (label_column, group_column) if name]
    lacking = [name for name in wanted if name not in rows]
    expected = f"one of {', '.join(filter(None, rows.columns))}"
    refuse_if(
        subject,
        [
            Problem(file.name, f"no column `{n}`", expected, "Correct the name.", check="ALS003")
            for n in lacking
        ],
    )
    paths = [CellFormatter().vformat(path_from, (), row) for row in rows.to_dict(orient="records")]
    table = pd.DataFrame({"path": paths, "label": rows[label_column].str.strip()})
    if group_column:
        table["group"] = rows[group_column].str.strip()
    labelled = table["label"].isin(only) if only else table["label"] != ""
    there = table["path"].map(lambda path: (folder / path).is_file())
    kept = table[labelled & there].reset_index(drop=True)
    if kept.empty:
        example = f"no file {paths[0]}" if not there.any() else "no row with a wanted label"
        raise RefusedInput(
            subject,
            [
                Problem(
                    file.name,
                    example,
                    "rows whose images are there",
                    "Correct --path or --only.",
                    check="ALS006",
                )
            ],
        )
    kept.attrs["notices"] = [
        f"Passed over: {counted(number, 'row')} with {reason} (ALS027)."
        for number, reason in (
            (int((~labelled).sum()), "another label or none"),
            (int((labelled & ~there).sum()), "no image"),
        )
        if number
    ]
    return kept


class CellFormatter(string.Formatter):
    """Put cells into a path by the whole name of their column: {a.b} is the column `a.b`, no attribute of `a`."""

    def get_field(self, field_name: str, args: Sequence[str], kwargs: Mapping[str, str]) -> tuple[str, str]:
        """The cell of a column, and the name of that column."""
        return kwargs[field_name], field_name


def _columns_of(subject: str, path_from: str) -> list[str]:
    """The columns in braces of a path. Raises RefusedInput where they cannot be put in: cells are text."""

    def refused(found: str, remedy: str) -> RefusedInput:
        expected = "columns in braces, filled up as text where need be"
        return RefusedInput(subject, [Problem("--path", found, expected, remedy, check="ALS003")])

    try:
        fields = [field for field in string.Formatter().parse(path_from) if field[1] is not None]
    except ValueError as error:
        raise refused(f"{path_from} ({error})", "Correct the braces, as in {number:0>5}.") from error
    for _, name, spec, _ in fields:
        try:
            format("", spec)
            fits = not re.match(r"0(?![<>^])", spec)  # {number:05} makes 70000 of 7
        except ValueError:
            fits = False
        if not fits:
            width = re.search(r"[1-9]\d*", spec)
            instead = f"{{{name}:0>{width[0]}}}" if width else f"{{{name}}}"
            raise refused(f"{{{name}:{spec}}}, a format of numbers", f"Cells are text: write {instead}.")
    return [name for _, name, _, _ in fields]


def write_manifest(folder: Path, table: pd.DataFrame) -> Path:
    """Write a manifest into its folder. Raises RefusedInput where there is one: it may have been edited."""
    file = folder / MANIFEST
    if file.exists():
        problem = Problem(
            str(file), "a manifest", "a folder without one", "Move it away first.", check="ALS001"
        )
        raise RefusedInput(f"The cohort in {folder}", [problem])
    with atomic_write(file) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    return file


def is_companion(path: str) -> bool:
    """Whether a path leads to what an operating system left beside the images."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return name.startswith("._") or name.lower() in (".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db")


def _type_problems(file: Path) -> Iterator[Problem]:
    """Say what to do with a file that is no table."""
    if file.suffix.lower() not in TABLE_SUFFIXES:
        found = f"a file of type {file.suffix}" if file.suffix else "a file without a suffix"
        expected = f"a folder, or a table ({', '.join(TABLE_SUFFIXES)})"
        remedy = "Save a spreadsheet as CSV UTF-8; of an image or a scan, give the folder that it is in."
        yield Problem(file.name, found, expected, remedy, check="ALS001")


def _encoding_problems(table: pd.DataFrame) -> Iterator[Problem]:
    """Names with bytes that are not UTF-8, which Python reads as lone surrogates."""
    names = [path for path in table["path"] if any("\ud800" <= sign <= "\udfff" for sign in path)]
    if names:
        found = f"{counted(len(names), 'path')} with bytes that are not UTF-8"
        remedy = "Rename the files and folders."
        shown = tuple(ascii(name) for name in names[:3])
        yield Problem("names of files", found, "names in UTF-8", remedy, None, "ALS004", len(names), shown)


def _unread_files(folder: Path) -> str:
    """Count the files of types that are not read, companions left out, and give an example of each type."""
    types: dict[str, list[Path]] = {}
    for path in _files(folder):
        if not _is(path.name, SUFFIXES + VOLUME_SUFFIXES) and not COMPANIONS.fullmatch(path.name):
            types.setdefault(path.suffix.lower(), []).append(path.relative_to(folder))
    if not types:
        return ""
    shown = [
        f"{len(paths)} {_printable(suffix) or 'without a suffix'}, such as {_printable(paths[0].as_posix())}"
        for suffix, paths in sorted(types.items(), key=lambda each: -len(each[1]))[:3]
    ]
    count = sum(map(len, types.values()))
    more = f"; and {len(types) - 3} more types" if len(types) > 3 else ""
    return f"{counted(count, 'file')} of types that are not read ({'; '.join(shown)}{more})"


def _folders_without_samples(place: Path, classes: set[str]) -> list[str]:
    """Folders beside those of the classes that hold no sample, companions left out."""
    return [
        _printable(entry.name)
        for entry in sorted(place.iterdir())
        if entry.is_dir() and entry.name not in classes and not COMPANIONS.fullmatch(entry.name)
    ]


def _printable(name: str) -> str:
    """A name for the terminal, whose bytes need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder in natural order of folders and names; links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not COMPANIONS.fullmatch(name))
        yield from (Path(place) / name for name in sorted(names))


def _samples(folder: Path) -> Iterator[Path]:
    suffixes = SUFFIXES + VOLUME_SUFFIXES
    return (
        path for path in _files(folder) if _is(path.name, suffixes) and not COMPANIONS.fullmatch(path.name)
    )


def _is(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().endswith(suffixes)


def _groups(subject: str, paths: list[Path], group_from: str, depth: int) -> list[str]:
    if group_from.lower() == "parent":
        flat = [path for path in paths if len(path.parts) < depth + 3]
        if flat:
            found = f"{len(flat)} images directly in the folder of their class, such as {flat[0].as_posix()}"
            expected, remedy = "one more folder per group", "Use --group-from with a regular expression."
            raise RefusedInput(subject, [Problem("--group-from", found, expected, remedy, check="ALS001")])
        return [path.parent.name for path in paths]
    try:
        pattern = re.compile(group_from)
    except re.error as error:
        problem = Problem(
            "--group-from",
            f"{group_from} ({error})",
            "a regular expression, parent or NONE",
            "Correct it.",
            check="ALS001",
        )
        raise RefusedInput(subject, [problem]) from error
    found = [pattern.search(path.as_posix()) for path in paths]
    names = [(match[1] if pattern.groups else match[0]) if match else "" for match in found]
    if missing := [path.as_posix() for path, name in zip(paths, names, strict=True) if not name]:
        expected = f"a match of {group_from} in every path"
        problem = Problem("--group-from", f"none in {len(missing)} of {len(paths)} paths", expected, "Correct it.",
                          check="ALS001", count=len(missing), examples=tuple(missing[:3]))  # fmt: skip
        raise RefusedInput(subject, [problem])
    return names


def without_companions(table: pd.DataFrame) -> pd.DataFrame:
    """Drop the rows of companion files from a manifest; `attrs["notices"]` says how many there were."""
    companions = table["path"].map(is_companion).astype(bool)
    if not companions.any():
        return table
    notices, example = table.attrs["notices"], table["path"][companions].iloc[0]
    table = table[~companions].reset_index(drop=True)
    rows = counted(int(companions.sum()), "row")
    passed = f"{rows} of companion files, such as {example}, were passed over (ALS027)."
    table.attrs["notices"] = [*notices, passed]
    return table


def _are_crops(folder: Path, table: pd.DataFrame) -> bool:
    """Whether images are grey and labelled ALS and one other word: what the pages on crops can use."""
    if not {"path", "label", "group"} <= set(table):
        return False
    table = without_companions(table)
    if table["label"].nunique() != 2 or CASE not in set(table["label"]):
        return False
    return all(_is_grey(folder / path) for path in table["path"].iloc[:LOOKED_AT])


def _is_grey(path: Path) -> bool:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.mode[:1] in ("L", "I", "1"):
                return True
            bands = [band.tobytes() for band in picture.convert("RGB").split()]
            return bands[0] == bands[1] == bands[2]
    except Exception:  # the check that follows says what is wrong with the file
        return False
