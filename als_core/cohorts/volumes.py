"""Brain volumes: NIfTI read with every check, then preprocessing as steps that leave a record.

The steps, in this order: reorientation to RAS, registration to MNI space, resampling to the MNI grid,
brain extraction, intensity normalisation over brain voxels (slides of Panagiotaras, "Preprocessing";
Rieke et al. 2018, section 2). The MNI grid and mask are those of nilearn's bundled ICBM152 2009a.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from nibabel.affines import obliquity
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nilearn.datasets import (
    load_mni152_brain_mask,
    load_mni152_gm_template,
    load_mni152_template,
    load_mni152_wm_template,
)
from scipy.ndimage import gaussian_filter1d

from als_core.refusal import Problem, RefusedInput, refuse_if

SUFFIXES = (".nii", ".nii.gz")
UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    zlib.error,
)
"""What nibabel and the decompressors raise on files that are cut short or damaged."""
SMALLEST_SIDE = 16  # voxels; below, no network here leaves anything after pooling
LARGEST_VOLUME = 512**3  # voxels; twice a 0.5 mm whole head, and 0.5 GB as float32
SMALLEST_VOXEL, LARGEST_VOXEL = 0.1, 10.0  # mm; outside, the affine is in other units
# Cosine between two voxel axes. Rounding of a rotation stored in float32 stays below 1e-6.
LARGEST_SHEAR = 1e-3
LEAST_BRAIN_IN_VIEW = 0.5
# Mutual information with the template: 0.31 and more for heads rightly placed, real and synthetic; 0.16 and
# less
# where axes are swapped or turned over. A mirrored head has the same value as a right one.
LEAST_MATCH = 0.22
LARGEST_DISAGREEMENT = 2.0  # mm, between sform and qform at the far corner
MNI152 = 4  # NIfTI-1 standard, sform_code and qform_code
SMOOTHING = 0.42  # Gaussian sd in voxels of the coarser grid: full width at half maximum of one voxel

BRAIN_EXTRACTION = f"{__name__}.template_brain"
"""How the brain is found, as records and the digests of cohorts name it."""


@dataclass(frozen=True)
class Preprocessing:
    """How volumes are prepared.

    resolution: voxel side of the MNI grid in whole mm. registration: "affine" (12 parameters),
    "nonlinear" (affine, then demons), or "already" for a volume that is in MNI space.
    """

    resolution: int = 1
    registration: Literal["already", "affine", "nonlinear"] = "affine"


@dataclass(frozen=True)
class Preprocessed:
    """A volume on the MNI grid.

    image: float32 (X, Y, Z), mean 0 and sd 1 over the brain, 0 outside it. brain: bool (X, Y, Z).
    record: one entry a step, with its settings and what it measured; plain JSON values.
    """

    image: nibabel.Nifti1Image
    brain: np.ndarray
    record: tuple[dict[str, Any], ...]


def read_volume(path: Path | str) -> nibabel.Nifti1Image:
    """A NIfTI file as float32 (X, Y, Z) with its affine (mm, RAS+). Raises RefusedInput."""
    image, problems = examine_volume(Path(path))
    refuse_if(f"The volume {path}", problems)
    return image


def examine_volume(
    path: Path, where: str | None = None, row: int | None = None
) -> tuple[nibabel.Nifti1Image | None, list[Problem]]:
    """Read a NIfTI file and say everything that is wrong with it; the image is None where anything is.

    where, row: what to call the file in a problem, and its line in the manifest.
    """
    where = where or str(path)

    def problem(found: str, expected: str, remedy: str) -> Problem:
        return Problem(where, found, expected, remedy, row)

    if not path.name.lower().endswith(SUFFIXES):
        remedy = "Convert it, from DICOM with dcm2niix for instance."
        return None, [problem("another file type", "a NIfTI file, .nii or .nii.gz", remedy)]
    if not path.is_file():
        return None, [problem("no such file", "a NIfTI file", "Correct the path, or add the file.")]
    try:
        image = nibabel.load(path)
        if problems := list(_header_problems(image, problem)):
            return None, problems
        with np.errstate(over="ignore"):  # what becomes infinite is found below
            voxels = image.get_fdata(dtype=np.float32, caching="unchanged")
        voxels = voxels.reshape(voxels.shape[:3])  # (X, Y, Z, 1) is one volume
    except UNREADABLE as error:
        found = f"a damaged file ({' '.join(str(error).split())})"
        return None, [problem(found, "a NIfTI file that reads to its end", "Copy or convert it again.")]
    if bad := np.count_nonzero(~np.isfinite(voxels)):
        remedy = "Set them to 0, or mask them before export."
        return None, [problem(f"{bad} voxels that are not finite", "a number in every voxel", remedy)]
    if voxels.min() == voxels.max():
        found = f"the same value {voxels.flat[0]:g} in every voxel"
        return None, [problem(found, "an image", "Export it again, or drop it.")]
    return nibabel.Nifti1Image(voxels, image.affine), []


def _header_problems(image: Any, problem: Callable[[str, str, str], Problem]) -> Iterator[Problem]:
    """What shape and affine alone give away, before a voxel is read."""
    if not isinstance(image, nibabel.Nifti1Pair):
        yield problem(type(image).__name__, "NIfTI", "Convert it to NIfTI.")
        return
    kind = image.get_data_dtype()
    if kind.kind not in "iuf":
        remedy = "Export magnitudes, not phases or colours."
        yield problem(f"voxels of type {kind}", "one real number a voxel", remedy)
    if len(image.shape) < 3 or np.prod(image.shape[3:]) != 1:
        found = f"{len(image.shape)}-D, {_times(image.shape)}"
        remedy = "Save the one volume that is meant (nibabel.four_to_three, or fslroi)."
        yield problem(found, "one 3-D volume", remedy)
    elif min(image.shape[:3]) < SMALLEST_SIDE or np.prod(image.shape) > LARGEST_VOLUME:
        expected = f"at least {SMALLEST_SIDE} a side and at most {LARGEST_VOLUME:,} in all"
        remedy = "Use the volume, not a slice or a montage of it."
        yield problem(f"{_times(image.shape)} voxels", expected, remedy)
    yield from _orientation_problems(image, problem)
    axes = image.affine[:3, :3]
    sides = np.linalg.norm(axes, axis=0)
    sound = np.isfinite(image.affine).all() and min(sides) > 0
    if not sound or abs(np.linalg.det(axes / sides)) < 1e-6:
        remedy = "Take the affine from the scanner's own export."
        yield problem("a singular affine", "three independent voxel axes", remedy)
        return
    cosines = np.abs((axes / sides).T @ (axes / sides) - np.eye(3)).max()
    if cosines > LARGEST_SHEAR:
        found = f"a sheared affine (axes {np.degrees(np.arccos(cosines)):.1f} degrees apart)"
        remedy = "Resample it once onto an unsheared grid (nilearn.image.resample_img)."
        yield problem(found, "voxel axes at right angles", remedy)
    if min(sides) < SMALLEST_VOXEL or max(sides) > LARGEST_VOXEL:
        found = f"voxels of {' x '.join(f'{side:.3g}' for side in sides)} mm"
        expected = f"{SMALLEST_VOXEL:g} to {LARGEST_VOXEL:g} mm a side"
        yield problem(found, expected, "Correct the units of the affine.")


def _orientation_problems(image: nibabel.Nifti1Pair, problem: Callable[..., Problem]) -> list[Problem]:
    """Refuse a header that does not say, or says in two ways, which side is left."""
    (scanner, scanner_code), (stated, stated_code) = image.get_qform(coded=True), image.get_sform(coded=True)
    remedy = "Find out which side is left, and write the affine with code 1 (scanner) into sform and qform."
    if not scanner_code and not stated_code:
        found = "a header without an orientation (sform and qform code 0)"
        return [problem(found, "an affine that says which side is left", remedy)]
    if not scanner_code or not stated_code:
        return []
    handed = np.sign([np.linalg.det(each[:3, :3]) for each in (scanner, stated)])
    if handed[0] != handed[1]:
        return [problem("left and right exchanged between sform and qform", "one orientation", remedy)]
    corner = np.array([*image.shape[:3], 1.0])
    apart = float(np.linalg.norm((scanner - stated) @ corner))
    if scanner_code == stated_code and apart > LARGEST_DISAGREEMENT:
        return [problem(f"sform and qform {apart:.0f} mm apart under one code", "one place", remedy)]
    return []


def registration_needed(paths: Iterable[Path]) -> Literal["already", "affine"]:
    """Whether scans need registering: not where every header says MNI152 (code 4)."""
    codes = []
    for path in paths:
        try:
            header = nibabel.load(path).header
            codes.append(int(header["sform_code"]) or int(header["qform_code"]))
        except (*UNREADABLE, KeyError):
            codes.append(0)  # refused with its reason when it is read
    return "already" if codes and all(code == MNI152 for code in codes) else "affine"


def _same_grid(image: nibabel.Nifti1Image, like: nibabel.Nifti1Image) -> bool:
    return image.shape == like.shape and np.allclose(image.affine, like.affine, atol=1e-3)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


@lru_cache(maxsize=8)
def mni_map(name: Literal["t1", "grey", "white"], resolution: int) -> nibabel.Nifti1Image:
    """A bundled ICBM152 map on the MNI grid: float32 (X, Y, Z), 0 to 1, brain only.

    Smoothed to the voxel size before every `resolution`-th voxel is kept, so that thin tissue fades and
    does not flicker. At 1 mm it is 197 x 233 x 189 voxels, the corner at (-98, -134, -72) mm.
    """
    load = {"t1": load_mni152_template, "grey": load_mni152_gm_template, "white": load_mni152_wm_template}
    image = load[name](resolution=1)
    voxels = coarser(np.asarray(image.dataobj, dtype=np.float32), resolution)
    return nibabel.Nifti1Image(np.ascontiguousarray(voxels), image.affine @ np.diag([resolution] * 3 + [1]))


def coarser(voxels: np.ndarray, step: int) -> np.ndarray:
    """Every `step`-th voxel along each axis, of a map that is smoothed to voxels of that size first."""
    if step == 1:
        return voxels
    for axis in range(voxels.ndim):  # what one axis leaves out, the next does not smooth
        smooth = gaussian_filter1d(voxels, SMOOTHING * step, axis)
        voxels = smooth[(slice(None),) * axis + (slice(None, None, step),)]
    return voxels


def template_brain(image: nibabel.Nifti1Image) -> np.ndarray:
    """nilearn's ICBM152 brain mask, bool (X, Y, Z): the brain extraction.

    The same for every volume, so it holds only after registration. `image` must lie on the MNI grid.
    """
    resolution = round(float(image.affine[0, 0]))
    grid = mni_map("t1", resolution)
    if not _same_grid(image, grid):
        raise ValueError(
            f"the template's brain mask needs a volume on the MNI grid, {_times(grid.shape)} voxels"
        )
    mask = np.asarray(load_mni152_brain_mask(resolution=resolution).dataobj, dtype=bool)
    return mask[tuple(slice(side) for side in grid.shape)]  # at 3 mm nilearn's grid has an empty layer more


def brain_box(resolution: int, margin: int = 1) -> tuple[slice, slice, slice]:
    """The smallest box of the MNI grid that holds the template's brain, with `margin` voxels around it.

    `volume[brain_box(4)]` is what a small network needs to see: less than half of the grid.
    """
    brain = template_brain(mni_map("t1", resolution))
    spans = []
    for axis, size in enumerate(brain.shape):
        inside = np.flatnonzero(brain.any(axis=tuple(other for other in range(3) if other != axis)))
        spans.append(slice(max(0, int(inside[0]) - margin), min(size, int(inside[-1]) + 1 + margin)))
    return tuple(spans)


def preprocess(image: nibabel.Nifti1Image, settings: Preprocessing) -> Preprocessed:
    """Take a volume from scanner space to a normalised brain on the MNI grid.

    Deterministic. Raises RefusedInput where registration left less than half of the template's brain in
    the field of view, or the brain is constant.
    """
    upright, turned = reorient(image)
    grid = mni_map("t1", settings.resolution)
    if settings.registration == "already" and _same_grid(upright, grid):
        resampled = upright
        registered = {"step": "registration", "method": "already in MNI space"}
        done = "none: on the grid already"
        sampling = {"step": "resampling", "interpolation": done, "shape": list(grid.shape)}
    else:
        from als_core.cohorts import registration  # SimpleITK is slow to import, and needed only here

        template = mni_map("t1", registration.FINE_MM)
        transform, registered = registration.register(upright, template, settings.registration)
        if (match := registered.get("mutual_information", np.inf)) < LEAST_MATCH:
            problem = Problem(
                "registration", f"mutual information {match:.2f} with the template",
                f"{LEAST_MATCH} or more, as of a T1-weighted head",
                "Check in a viewer that up, front and left are where the affine says, and that it is a T1w "
                "scan.",
            )  # fmt: skip
            raise RefusedInput("The preprocessing of a volume", [problem])
        resampled, sampling = registration.resample(upright, grid, transform)
    brain, extraction = _extract(resampled)
    voxels = np.asarray(resampled.dataobj)
    mean, sd = float(voxels[brain].mean(dtype=np.float64)), float(voxels[brain].std(dtype=np.float64))
    normalised = np.where(brain, (voxels - np.float32(mean)) / np.float32(sd), np.float32(0))
    normalisation = {"step": "normalisation", "method": "z-score over brain voxels", "mean": mean, "sd": sd}
    return Preprocessed(
        nibabel.Nifti1Image(normalised, grid.affine),
        brain,
        (turned, registered, sampling, extraction, normalisation),
    )


def reorient(image: nibabel.Nifti1Image) -> tuple[nibabel.Nifti1Image, dict[str, Any]]:
    """The volume with its axes permuted and flipped to be nearest to RAS+, and the record of it.

    No voxel is interpolated: what remains oblique is straightened by resampling.
    """
    upright = nibabel.as_closest_canonical(image)
    record = {
        "step": "reorientation",
        "from": "".join(nibabel.aff2axcodes(image.affine)),
        "to": "RAS",
        "oblique_degrees": [round(float(angle), 3) for angle in np.degrees(obliquity(upright.affine))],
        "voxel_mm": [round(float(side), 4) for side in upright.header.get_zooms()],
    }
    return upright, record


def _extract(image: nibabel.Nifti1Image) -> tuple[np.ndarray, dict[str, Any]]:
    """The brain, checked for being in view, and the record of it."""
    brain = template_brain(image)
    voxels = np.asarray(image.dataobj)
    in_view = float(np.mean(voxels[brain] != 0))
    if in_view < LEAST_BRAIN_IN_VIEW or np.ptp(voxels[brain]) == 0:
        problem = Problem(
            "brain extraction",
            f"signal in {in_view:.0%} of the brain",
            "signal in most of it",
            "Check the affine and the field of view; say registration='already' only for a "
            "volume that is in MNI space.",
        )
        raise RefusedInput("The preprocessing of a volume", [problem])
    record = {
        "step": "brain extraction",
        "method": BRAIN_EXTRACTION,
        "voxels": int(np.count_nonzero(brain)),
        "share_with_signal": round(in_view, 4),
    }
    return brain, record
