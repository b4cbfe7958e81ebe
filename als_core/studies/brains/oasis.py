"""OASIS-1 with clinical dementia ratings: nilearn's grey-matter maps, or the user's own T1-weighted scans.

Marcus et al. 2007, Journal of Cognitive Neuroscience 19, 1498-1507. The maps that nilearn downloads are
SPM8's, in MNI space and modulated by volume; they are not T1-weighted images, and the cohort's title says so.
Users of OASIS agree to the data usage agreement at https://sites.wustl.edu/oasisbrains/.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd

from als_core.cohorts.check import About
from als_core.cohorts.sources import cache_folder
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import SUFFIXES, Preprocessing, registration_needed
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import data_folder

NAME = "oasis1"
FIELD_STRENGTH = 1.5  # tesla (Marcus et al. 2007)
MAPS, SCANS = "OASIS-1 grey-matter maps", "OASIS-1 T1-weighted scans"
SESSION = re.compile(r"(OAS1_\d{4})_MR(\d)")
COLUMNS = {"id": "ID", "mf": "M/F", "age": "Age", "cdr": "CDR"}  # nilearn's names and those of the release


def oasis_cohort(
    resolution: int = 2, subjects: int | None = None, *, url: str | None = None, cache: Path | None = None
) -> VolumeCohort:
    """The OASIS-1 sessions with a clinical dementia rating (CDR): label AD for CDR above 0, else CN.

    Scans under ALS_DATA/oasis1 are used where that folder is there: NIfTI files with a session such as
    OAS1_0001_MR1 in their path, one per session, and the release's CSV. Else grey-matter maps are downloaded.

    Parameters
    ----------
    resolution : mm
    subjects : how many of the 403 maps, in the order of the release; None for all (about 1 GB)
    url : the server of the maps, by default NITRC
    cache : folder of prepared volumes

    Raises
    ------
    RefusedInput
        Where the download fails, the CSV is missing, or files and sessions do not match.
    """
    data = data_folder()
    if data and (data / NAME).is_dir():
        folder = data / NAME
        subjects_table, files, title = *_own_scans(folder), SCANS
    else:
        folder = cache_folder() / "nilearn" / NAME
        subjects_table, files, title = *_downloaded(subjects, url), MAPS
    table = subjects_table[subjects_table["id"].isin(files)]
    rated = table[table["cdr"].notna()]
    sessions = rated["id"].str.extract(SESSION)
    manifest = pd.DataFrame(
        {
            "path": [files[name].resolve().relative_to(folder.resolve()).as_posix() for name in rated["id"]],
            "label": ["AD" if rating > 0 else "CN" for rating in rated["cdr"]],
            "group": sessions[0],  # a patient may have a second session
            "visit": sessions[1].astype(int) - 1,
            "age": rated["age"].astype(float),
            "sex": rated["mf"],
            "field_strength": FIELD_STRENGTH,
            "diagnosis": [f"CDR {rating:g}" for rating in rated["cdr"]],
        }
    ).reset_index(drop=True)
    method = "already" if title == MAPS else registration_needed(folder / path for path in manifest["path"])
    about = About(
        title=title, citation="Marcus et al. 2007, https://doi.org/10.1162/jocn.2007.19.9.1498",
        licence="OASIS data usage agreement", label_of="group",
    )  # fmt: skip
    cohort = VolumeCohort.load(
        folder,
        Preprocessing(resolution, method),
        name=NAME,
        kind="published",
        about=about,
        cache=cache,
        table=manifest,
    )
    if unrated := len(table) - len(rated):
        left_out = f"{unrated} of {len(table)} sessions have no clinical dementia rating and are left out."
        cohort = replace(cohort, notices=(*cohort.notices, left_out))
    return cohort


def _downloaded(subjects: int | None, url: str | None) -> tuple[pd.DataFrame, dict[str, Path]]:
    """The table of subjects as nilearn names its columns, and the map of each by its id."""
    from nilearn.datasets import fetch_oasis_vbm  # not at import: only this path needs the fetchers

    try:
        found = fetch_oasis_vbm(n_subjects=subjects, data_dir=cache_folder() / "nilearn", url=url, verbose=0)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; nilearn adds ValueError
        problem = Problem(
            "OASIS-1",
            f"no download ({type(error).__name__}: {error})",
            "the archive at www.nitrc.org, or T1-weighted scans in ALS_DATA/oasis1",
            "Go online and try again; what has arrived is kept.",
        )
        raise RefusedInput("The OASIS-1 cohort", [problem]) from error
    maps = [Path(path) for path in found.gray_matter_maps]
    return found.ext_vars, {SESSION.search(path.name).group(): path for path in maps}


def _own_scans(folder: Path) -> tuple[pd.DataFrame, dict[str, Path]]:
    """The release's table with nilearn's column names, and the scan of each session."""
    subject, problems = f"The OASIS-1 scans in {folder}", []
    tables = sorted(folder.glob("*cross-sectional*.csv"))
    if len(tables) != 1:
        found = f"{len(tables)} files *cross-sectional*.csv"
        problem = Problem(
            str(folder), found, "the release's table of subjects", "Save oasis_cross-sectional as CSV there."
        )
        raise RefusedInput(subject, [problem])
    table = pd.read_csv(tables[0])
    missing = [name for name in COLUMNS.values() if name not in table]
    for name in missing:
        problems.append(
            Problem(
                tables[0].name, "no such column", f"a column `{name}`", "Take the release's own table.", 1
            )
        )
    refuse_if(subject, problems)
    table = table.rename(columns={theirs: ours for ours, theirs in COLUMNS.items()})
    files: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        session = SESSION.search(file.relative_to(folder).as_posix())
        if session is None or not file.name.endswith(SUFFIXES):
            continue
        name = session.group()
        if name in files:
            found = f"{files[name].name} and {file.name}"
            problems.append(Problem(name, found, "one scan a session", "Keep the average of its repeats."))
        if name not in set(table["id"]):
            problems.append(
                Problem(name, "no row of the table", "one row a session", "Correct the file's name.")
            )
        files[name] = file
    if not files:
        problems.append(
            Problem(
                str(folder),
                "no NIfTI file of a session",
                "files such as OAS1_0001_MR1.nii.gz",
                "Convert them.",
            )
        )
    refuse_if(subject, problems)
    return table, files
