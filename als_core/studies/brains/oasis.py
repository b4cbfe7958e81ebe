"""OASIS-1 grey-matter maps with clinical dementia ratings, through nilearn: real volumes for readers online.

Marcus et al. 2007, Journal of Cognitive Neuroscience 19, 1498-1507. The maps are SPM8's, already in MNI
space and modulated by volume; they are not T1-weighted images, and the page that uses them says so. Who
uses them agrees to the data usage agreement at https://sites.wustl.edu/oasisbrains/.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd

from als_core.cohorts.check import MANIFEST, About
from als_core.cohorts.sources import cache_folder
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import Preprocessing
from als_core.refusal import Problem, RefusedInput
from als_core.storage import atomic_write

NAME = "oasis1"
FIELD_STRENGTH = 1.5  # tesla (Marcus et al. 2007)
ABOUT = About(
    title="OASIS-1 grey-matter maps",
    citation="Marcus et al. 2007, https://doi.org/10.1162/jocn.2007.19.9.1498",
    licence="OASIS data usage agreement",
    label_of="group",
)


def oasis_cohort(
    resolution: int = 2, subjects: int | None = None, *, url: str | None = None, cache: Path | None = None
) -> VolumeCohort:
    """The cohort of OASIS-1 subjects with a clinical dementia rating (CDR): label AD for CDR above 0, else CN.

    subjects: how many of the 403, in the order of the release; None for all (about 1 GB). url: the server,
    by default NITRC as nilearn has it. Subjects without a rating, most of them young, are left out, and
    a notice counts them. Raises RefusedInput where the download fails.
    """
    from nilearn.datasets import fetch_oasis_vbm  # not at import: only this path needs the fetchers

    try:
        found = fetch_oasis_vbm(n_subjects=subjects, data_dir=cache_folder() / "nilearn", url=url, verbose=0)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; nilearn adds ValueError
        problem = Problem(
            "OASIS-1",
            f"no download ({type(error).__name__}: {error})",
            "the archive at www.nitrc.org",
            "Go online and try again; what has arrived is kept.",
        )
        raise RefusedInput("The OASIS-1 cohort", [problem]) from error
    table = _manifest(found.ext_vars, [Path(path) for path in found.gray_matter_maps])
    count = len(found.gray_matter_maps)
    folder = cache_folder() / f"{NAME}-{count}"
    if not folder.is_dir():
        with atomic_write(folder) as room:
            (room / "volumes").mkdir(parents=True)
            for source, path in zip(table.pop("source"), table["path"], strict=True):
                _link(source, room / path)
            table.to_csv(room / MANIFEST, index=False)
    cohort = VolumeCohort.load(
        folder, Preprocessing(resolution, "already"), name=NAME, kind="published", about=ABOUT, cache=cache
    )
    left_out = f"{count - len(cohort)} of {count} subjects have no clinical dementia rating and are left out."
    return replace(cohort, notices=(*cohort.notices, left_out))


def _manifest(subjects: pd.DataFrame, maps: list[Path]) -> pd.DataFrame:
    """One row a rated subject. `subjects` has nilearn's columns: id, mf, age, cdr, ..."""
    by_id = {path.name.split("OAS1", 1)[1][:9]: path for path in maps}
    rated = subjects[subjects["cdr"].notna()]
    return pd.DataFrame(
        {
            "path": [f"volumes/{name}.nii.gz" for name in rated["id"]],
            "label": ["AD" if rating > 0 else "CN" for rating in rated["cdr"]],
            "group": rated["id"].to_list(),
            "visit": 0,
            "age": rated["age"].astype(float).to_list(),
            "sex": rated["mf"].to_list(),
            "field_strength": FIELD_STRENGTH,
            "diagnosis": [f"CDR {rating:g}" for rating in rated["cdr"]],
            "source": [by_id[name.removeprefix("OAS1")] for name in rated["id"]],
        }
    )


def _link(source: Path, target: Path) -> None:
    """The same file under another name, without copying where the disk allows it."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
