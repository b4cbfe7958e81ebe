"""The slides' preparation of a scan, step by step, and the slices at which they show it.

Whole head, linear and non-linear registration, brain extraction, normalisation: slides "Classification System
Overview" and "Preprocessing". The two slides give different orders and kinds of registration; both kinds are
shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import nibabel
import numpy as np
import pandas as pd

from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import mni_map, read_volume, reorient, template_brain
from als_core.studies.brains.synthetic import BrainParameters, plan, render, scanner_affine
from als_core.studies.brains.training import PanagiotarasAmounts

AXES = ("x", "y", "z")
SLIDE_GRID = (193, 229, 193)  # voxels; the printed slice numbers lie evenly about its middle
STEPS = ("As scanned", "Registered, affine", "Registered, non-linear", "Brain only", "Normalised")

STATES = {"Brain only": "before normalisation", "Normalised": "normalised, as the network sees scans"}


def raw_scans(
    cohorts: Mapping[str, VolumeCohort], amounts: PanagiotarasAmounts
) -> dict[str, nibabel.Nifti1Image]:
    """The first scan of each field strength as a scanner gives it; a synthetic one is drawn with skull and
    scalp.
    """
    return {
        field: synthetic_head(amounts.brains(field), amounts.shown)
        if cohort.kind == "synthetic"
        else read_volume(cohort.folder / cohort.samples["path"].iloc[0])
        for field, cohort in cohorts.items()
    }


def slice_numbers(printed: pd.DataFrame, shape: Sequence[int]) -> list[tuple[str, int]]:
    """The printed slice positions on a grid of `shape` voxels, at the same share of each side.

    printed: columns axis and slice_index, as transcribed.
    """
    sides = {axis: (side, own) for axis, side, own in zip(AXES, SLIDE_GRID, shape, strict=True)}
    return [
        (axis, int((index + 0.5) / sides[axis][0] * sides[axis][1]))
        for axis, index in zip(printed["axis"], printed["slice_index"], strict=True)
    ]


def synthetic_head(parameters: BrainParameters, resolution: int) -> nibabel.Nifti1Image:
    """The first scan of a synthetic plan with skull and scalp, in a pose of its own."""
    head = replace(parameters, whole_head=True, resolution=resolution)
    row = plan(head).iloc[0]
    return nibabel.Nifti1Image(render(head, row), scanner_affine(head, row))


def prepare_in_steps(
    image: nibabel.Nifti1Image, resolution: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Prepare a scan and keep the volume of each step.

    Returns
    -------
    dict of STEPS to float32 (X, Y, Z), all but the first on the MNI grid of `resolution` mm; and the record
    of the registration
    """
    from als_core.cohorts import registration  # SimpleITK is slow to import, and needed only here

    upright, _ = reorient(image)
    grid = mni_map("t1", resolution)
    bent, record = registration.register(upright, mni_map("t1", registration.FINE_MM), "nonlinear")
    affine = bent.GetNthTransform(0)
    linear, warped = (
        np.asarray(registration.resample(upright, grid, transform)[0].dataobj) for transform in (affine, bent)
    )
    brain = template_brain(grid)
    normalised = np.where(brain, (warped - warped[brain].mean()) / warped[brain].std(), 0)
    volumes = (np.asarray(upright.dataobj), linear, warped, np.where(brain, warped, 0), normalised)
    return dict(zip(STEPS, volumes, strict=True)), record


def steps_in_words(record: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """What was done to one scan, a row for each step of its record (`volumes.preprocess`): columns Step,
    Done.
    """
    turned, registered, sampled, extracted, normalised = record
    oblique = max(turned["oblique_degrees"])
    bent = registered.get("demons")
    done = {
        "Reorientation": f"from {turned['from']} to {turned['to']}; {oblique:.1f}° off the grid's axes",
        "Registration": registered["method"]
        + (f"; displaced by up to {bent['largest_shift_mm']:.0f} mm" if bent else ""),
        "Resampling": f"{sampled['interpolation']}; {' × '.join(map(str, sampled['shape']))} voxels",
        "Brain extraction": f"{extracted['voxels']:,} voxels of the template's brain, "
        f"{100 * extracted['share_with_signal']:.1f} % of them with signal",
        "Normalisation": f"{normalised['method']}: less the mean {normalised['mean']:.3g}, over the standard "
        f"deviation {normalised['sd']:.3g}",
    }
    return pd.DataFrame({"Step": list(done), "Done to the first scan": list(done.values())})
