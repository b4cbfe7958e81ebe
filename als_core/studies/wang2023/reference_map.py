"""The reader's own reference map: a NIfTI meta-analysis (ALE, VBM), checked for space and thresholded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from nilearn.image import resample_to_img

from als_core.cohorts.volumes import read_volume
from als_core.refusal import Problem, refuse_if

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


@dataclass(frozen=True)
class ReferenceMap:
    """values float32 (X, Y, Z) on the heatmaps' grid; truth bool, the voxels beyond the threshold inside
    the brain; record: how it came about, plain JSON values."""

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
    """Read a map, resample it linearly to the heatmaps' grid and keep what passes the threshold.

    grid: any image on the heatmaps' grid, in MNI152 space; brain: bool on that grid. threshold > 0, in
    the map's own unit; side: values at or above it, at or below minus it, or both. space: by default the
    header must say MNI152; "MNI152" states it for a file that says nothing better (many programs
    write "aligned"), but not against one that says Talairach. Raises RefusedInput for an unreadable or
    4-D file, another space, and a map of which nothing, or less than half, lies in the brain.
    """
    path = Path(path)
    image = read_volume(path)
    header = nibabel.load(path).header
    code = int(header["sform_code"]) or int(header["qform_code"])
    problems = []
    if code == 3 or (space == "header" and code != 4):
        remedy = (
            "Convert it to MNI152 (icbm2tal, as GingerALE does)."
            if code == 3
            else "If it is in MNI152 space all the same, say so with space='MNI152'."
        )
        problems.append(
            Problem(str(path), f"space {SPACES.get(code, code)!r}", "MNI152 in the header", remedy)
        )
    if threshold <= 0:
        problems.append(
            Problem("threshold", str(threshold), "a positive number", "Choose the side by side=.")
        )
    if brain.shape != grid.shape or brain.dtype != bool:
        problems.append(
            Problem("brain", f"{brain.dtype} {brain.shape}", f"bool {grid.shape}", "Resample it.")
        )
    refuse_if(f"The reference map {path.name}", problems)

    values = np.asarray(
        resample_to_img(image, grid, interpolation="linear", force_resample=True, copy_header=True).dataobj,
        dtype=np.float32,
    )
    beyond = {
        "above": values >= threshold,
        "below": values <= -threshold,
        "both": np.abs(values) >= threshold,
    }[side]
    inside = float(brain[beyond].mean()) if beyond.any() else 0.0
    if inside < LEAST_INSIDE:
        found = f"{int(beyond.sum())} voxels beyond the threshold, {inside:.0%} of them in the brain"
        remedy = (
            f"Check threshold (the map runs from {values.min():.3g} to {values.max():.3g}), side and space."
        )
        expected = f"at least {LEAST_INSIDE:.0%} in the brain"
        refuse_if(f"The reference map {path.name}", [Problem(str(path), found, expected, remedy)])
    record = {
        "file": path.name,
        "space": SPACES[4] if code == 4 else f"MNI152 as stated; header: {SPACES.get(code, code)}",
        "threshold": threshold,
        "side": side,
        "interpolation": "linear",
        "voxels": int((beyond & brain).sum()),
        "inside_brain": round(inside, 4),
    }
    return ReferenceMap(values, beyond & brain, record)
