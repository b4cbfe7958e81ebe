"""A meta-analysis to compare heatmaps with: a published map (NIfTI), or a list of peaks turned into a map.

A map must be in MNI152 space, which its header or the reader says. Peaks (CSV with x, y, z in mm, MNI, and
where known n, the subjects of the study, and study) become a map as in activation likelihood estimation: each
peak a Gaussian whose width shrinks with n, the strongest peak of a study in each voxel, studies joined as 1 -
prod(1 - m) (Eickhoff et al. 2009, Human Brain Mapping 30, 2907-2926; Turkeltaub et al. 2012). Such a map is
compared with studies whose peaks lie anywhere in the brain, voxel by voxel, without correction for the number
of voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import pandas as pd
from nilearn.image import resample_to_img

from als_core.cohorts.tables import read_table
from als_core.cohorts.volumes import MNI152, read_volume
from als_core.refusal import Problem, RefusedInput, refuse_if

# NIfTI-1 standard, qform_code and sform_code
SPACES = {
    0: "unknown",
    1: "scanner",
    2: "aligned to another file",
    3: "Talairach",
    4: "MNI152",
    5: "another template",
}
LEAST_INSIDE = 0.5  # share of the thresholded map that must lie in the brain; a map in MNI space is near 1
# Mean distances of matching places, mm: between subjects and between templates (Eickhoff et al. 2009).
BETWEEN_SUBJECTS, BETWEEN_TEMPLATES = 11.6, 5.7
SUBJECTS = 20  # of a study that does not say how many it has
NULL_DRAWS = 200_000  # values of the map where no study knows of another
LARGEST_COORDINATE = 120.0  # mm from the origin of MNI space; beyond, no brain


@dataclass(frozen=True)
class ReferenceMap:
    """What heatmaps are compared with.

    Attributes
    ----------
    values : float32 (X, Y, Z), on the heatmaps' grid
    truth : bool (X, Y, Z), the voxels beyond the threshold inside the brain
    record : how it was made, plain JSON values
    """

    values: np.ndarray
    truth: np.ndarray
    record: dict[str, Any]


def read_reference(
    path: Path | str,
    grid: nibabel.Nifti1Image,
    brain: np.ndarray,
    *,
    threshold: float,
    side: Literal["above", "below", "both"] = "above",
    space: Literal["header", "MNI152"] = "header",
) -> ReferenceMap:
    """Read a map or a list of peaks (.csv), bring it to the heatmaps' grid and keep what passes the
    threshold.

    Parameters
    ----------
    grid : any image on the heatmaps' grid, in MNI152 space
    brain : bool, on that grid
    threshold : above 0; of a map in its own unit, of peaks the p value (0.001, say)
    side : of a map; values at or above the threshold, at or below minus it, or both
    space : by default the header must say MNI152; "MNI152" states it for a file that says nothing better
        (many
        programs write "aligned"), but not against one that says Talairach. A list of peaks cannot say, so it
        needs it.

    Raises
    ------
    RefusedInput For an unreadable or 4-D file, another space, and a map of which nothing, or less than half,
        is in the brain.
    """
    path = Path(path)
    problems = []
    if threshold <= 0 or (path.suffix == ".csv" and threshold >= 1):
        expected = "a p value, above 0 and below 1" if path.suffix == ".csv" else "a positive number"
        problems.append(
            Problem("threshold", str(threshold), expected, "Correct it; the side is chosen by side=.")
        )
    if brain.shape != grid.shape or brain.dtype != bool:
        problems.append(
            Problem("brain", f"{brain.dtype} {brain.shape}", f"bool {grid.shape}", "Resample it.")
        )
    if path.suffix == ".csv":
        studies, record = _read_peaks(path, space, problems)
        refuse_if(f"The reference map {path.name}", problems)
        values, critical = likelihood_map(studies, grid, brain, threshold)
        beyond = values >= critical
        record |= {"critical_value": round(critical, 6)}
    else:
        values, record = _read_map(path, grid, space, problems)
        refuse_if(f"The reference map {path.name}", problems)
        beyond = {"above": values, "below": -values, "both": np.abs(values)}[side] >= threshold
        record |= {"side": side}
    inside = float(brain[beyond].mean()) if beyond.any() else 0.0
    if inside < LEAST_INSIDE:
        found = f"{int(beyond.sum())} voxels beyond the threshold, {100 * inside:.0f} % of them in the brain"
        remedy = (
            f"Check threshold (the map runs from {values.min():.3g} to {values.max():.3g}), side and space."
        )
        problem = Problem(str(path), found, f"at least {100 * LEAST_INSIDE:.0f} % in the brain", remedy)
        raise RefusedInput(f"The reference map {path.name}", [problem])
    record = {"file": path.name, "threshold": threshold} | record
    record |= {"voxels": int((beyond & brain).sum()), "inside_brain": round(inside, 4)}
    return ReferenceMap(values, beyond & brain, record)


def kernel_sd(subjects: np.ndarray) -> np.ndarray:
    """Standard deviation (mm) of the Gaussian around a peak of a study with so many subjects.

    Uncertainty between templates and, shrinking with the root of n, between subjects. A mean distance of d
    between two places in 3-D is that of Gaussians with sd d / (2 sqrt(2 / pi)) along each axis.
    """
    between_subjects, between_templates = (
        distance / (2 * np.sqrt(2 / np.pi)) for distance in (BETWEEN_SUBJECTS, BETWEEN_TEMPLATES)
    )
    return np.sqrt(between_templates**2 + between_subjects**2 / np.asarray(subjects, float))


def likelihood_map(
    studies: list[tuple[np.ndarray, float]], grid: nibabel.Nifti1Image, brain: np.ndarray, p: float
) -> tuple[np.ndarray, float]:
    """The map of several studies' peaks, and the value that a share p of the null reaches.

    Parameters
    ----------
    studies : peaks (n, 3) in mm and number of subjects of each study
    grid, brain : as of `read_reference`
    p : the share of voxels that reach the value where studies have nothing to do with each other. For that
        each study
        takes a voxel of the brain by itself, `NULL_DRAWS` times.

    Returns
    -------
    float32 (X, Y, Z), the chance that at least one study has a peak in the voxel; and the critical value
    """
    voxel = abs(np.linalg.det(grid.affine[:3, :3]))
    index = np.stack(np.indices(grid.shape), axis=-1)
    places = nibabel.affines.apply_affine(grid.affine, index)
    none, null = np.ones(grid.shape), np.ones(NULL_DRAWS)
    generator = np.random.default_rng(0)
    for peaks, subjects in studies:
        sd = float(kernel_sd(subjects))
        nearest = np.min([((places - peak) ** 2).sum(-1) for peak in peaks], axis=0)
        own = voxel * np.exp(-nearest / (2 * sd**2)) / (sd * np.sqrt(2 * np.pi)) ** 3
        none *= 1 - np.minimum(own, 1)
        null *= 1 - np.minimum(generator.choice(own[brain], NULL_DRAWS), 1)
    return (1 - none).astype(np.float32), float(np.quantile(1 - null, 1 - p))


def _read_map(
    path: Path, grid: nibabel.Nifti1Image, space: str, problems: list[Problem]
) -> tuple[np.ndarray, dict[str, Any]]:
    image = read_volume(path)
    header = nibabel.load(path).header
    code = int(header["sform_code"]) or int(header["qform_code"])
    if code == 3 or (space == "header" and code != MNI152):
        remedy = (
            "Convert it to MNI152 (icbm2tal, as GingerALE does)."
            if code == 3
            else "If it is in MNI152 space all the same, say so with space='MNI152'."
        )
        found = f"space {SPACES.get(code, code)!r}"
        problems.append(Problem(str(path), found, "MNI152 in the header", remedy))
    placed = resample_to_img(image, grid, interpolation="linear", force_resample=True, copy_header=True)
    said = SPACES[MNI152] if code == MNI152 else f"MNI152 as stated; header: {SPACES.get(code, code)}"
    return np.asarray(placed.dataobj, dtype=np.float32), {"space": said, "interpolation": "linear"}


def _read_peaks(
    path: Path, space: str, problems: list[Problem]
) -> tuple[list[tuple[np.ndarray, float]], dict[str, Any]]:
    subject = f"The list of peaks {path.name}"
    table = read_table(subject, path, path.name)
    refuse_if(subject, _peak_problems(table, path.name))
    if space != "MNI152":
        remedy = "Say space='MNI152' if they are; convert Talairach coordinates first."
        problems.append(Problem(path.name, "coordinates without a space", "MNI152, stated", remedy))
    table = table.assign(n=pd.to_numeric(table["n"]) if "n" in table else SUBJECTS)
    names = table["study"] if "study" in table else table.index.astype(str)
    studies = [
        (own[["x", "y", "z"]].astype(float).to_numpy(), float(own["n"].min()))
        for _, own in table.groupby(names, sort=False)
    ]
    record = {
        "space": "MNI152 as stated",
        "peaks": len(table),
        "studies": len(studies),
        "kernel": "Gaussian, by subjects",
    }
    return studies, record


def _peak_problems(table: pd.DataFrame, name: str) -> Iterator[Problem]:
    for column in ("x", "y", "z"):
        if column not in table:
            yield Problem(name, f"columns {', '.join(table)}", f"a column `{column}`", "Add it, in mm.", 1)
            return
    for column in ("x", "y", "z", "n"):
        if column not in table:
            continue
        values = pd.to_numeric(table[column], errors="coerce")
        right = values.between(1, 1e6) if column == "n" else values.abs() <= LARGEST_COORDINATE
        expected = (
            "a number of subjects" if column == "n" else f"mm, at most {LARGEST_COORDINATE:g} from the origin"
        )
        for row in table.index[~right]:
            yield Problem(
                f"{name}, column `{column}`", repr(table.at[row, column]), expected, "Correct it.", row + 2
            )
