"""The folder of slide scans that each released image was cut from, as its file names it.

The images were exported from QuPath to ImageJ, which keeps the address of the slide among its properties
(`location=...` in TIFF tag 50839). The release says nothing about these folders. If a folder is a scanning session, as its
name suggests, sessions and classes can be compared donor by donor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pandas as pd
from PIL import Image

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.group_word import DONOR, GroupWord
from als_core.figures.drawn import as_written, listed
from als_core.refusal import counted

IMAGEJ_PROPERTIES = 50839
LOCATION = re.compile(r"location=[^\n]*?(?P<path>/[^\n]+)")
FOLDERS = "Donors of each class by the folder of slide scans that the released files name."


def scan_folder(file: Path) -> str | None:
    """Return the name of the folder that an image's slide was in; None where the file does not name it."""
    with Image.open(file) as image:
        properties = getattr(image, "tag_v2", {}).get(IMAGEJ_PROPERTIES, b"")
    found = LOCATION.search(bytes(properties)[12:].decode("utf-16-le", errors="ignore"))
    return PurePosixPath(unquote(found["path"])).parent.name if found else None


def folders_by_donor(cohort: Cohort) -> pd.DataFrame:
    """Return one row per donor and folder of scans: columns group, label, folder, images.

    Empty for a cohort that is not the authors' images, or whose files name no folder.
    """
    columns = ["group", "label", "folder"]
    if cohort.kind != "published" or cohort.groups is None:
        return pd.DataFrame(columns=[*columns, "images"])
    named = cohort.samples.assign(
        folder=[scan_folder(cohort.folder / path) for path in cohort.samples["path"]]
    )
    return named.dropna(subset="folder").groupby(columns).size().rename("images").reset_index()


def folder_table(folders: pd.DataFrame) -> pd.DataFrame:
    """Count donors by folder (rows) and class (columns). folders: of `folders_by_donor`."""
    counts = pd.crosstab(folders["folder"], folders["label"])
    return counts.rename_axis(index="Folder of scans", columns=None).reset_index()


def main_folder(folders: pd.DataFrame, control: str) -> tuple[str, list[str]]:
    """Return the folder with most donors who are not controls, and the controls whose slides it holds as well."""
    ill = folders.loc[folders["label"] != control, "folder"]
    folder = ill.mode().iloc[0]
    there = (folders["folder"] == folder) & (folders["label"] == control)
    return folder, sorted(folders.loc[there, "group"])


def coincidence(folders: pd.DataFrame, control: str, others: str, unit: GroupWord = DONOR) -> str:
    """Count who is in the folder of the others: "10 of 10 ALS donors and 1 of 5 control donors"; empty without folders."""
    if folders.empty:
        return ""
    folder, controls = main_folder(folders, control)
    is_control, there = folders["label"] == control, folders["folder"] == folder
    ill, of_ill, of_controls = (
        folders.loc[rows, "group"].nunique() for rows in (there & ~is_control, ~is_control, is_control)
    )
    return (
        f"{ill} of {counted(of_ill, f'{others} {unit.one}', f'{others} {unit.many}')} and "
        f"{len(controls)} of {counted(of_controls, f'{control} {unit.one}', f'{control} {unit.many}')}"
    )


def folder_words(folders: pd.DataFrame, control: str, others: str, unit: GroupWord = DONOR) -> str:
    """Say what the files name, how it coincides with the classes, and what cannot be separated then."""
    folder, controls = main_folder(folders, control)
    which = f" ({listed(map(as_written, controls))})" if controls else ""
    names = listed(f"`{name}`" for name in sorted(set(folders["folder"])))
    return (
        f"Each file names the folder that its slide was in: {names}. `{folder}` has the slides of "
        f"{coincidence(folders, control, others, unit)}{which}. If a folder is a scanning session, session and class nearly "
        "coincide, and no classifier can tell which of the two it has learnt. A network does not see these names; it sees "
        "what differed between the sessions. The release does not say what the folders are."
    )


def vote_words(
    folders: pd.DataFrame, votes: pd.DataFrame, classes: Sequence[str], control: str, unit: GroupWord = DONOR
) -> str:
    """Say how often controls from the main folder of the others are taken for controls, beside the other controls.

    votes: of `figures_separation.donor_votes`. Empty where no control is from that folder.
    """
    folder, here = main_folder(folders, control)
    controls = votes[votes["label"] == list(classes).index(control)]
    from_there = controls["group"].isin(here)
    if not from_there.any() or from_there.all():
        return ""
    return (
        f"The {control} {unit.one if len(here) == 1 else unit.many} from `{folder}`, {listed(map(as_written, here))}, "
        f"{_right(controls[from_there])}; the other {control} {unit.many} {_right(controls[~from_there])}. This fits a "
        f"classifier that recognises the folder, and {'one ' + unit.one if len(here) == 1 else f'{len(here)} {unit.many}'} cannot show it."
    )


def _right(votes: pd.DataFrame) -> str:
    return f"got {int(votes['right'].sum())} of {counted(len(votes), 'vote')} right"
