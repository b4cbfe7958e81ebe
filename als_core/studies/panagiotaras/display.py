"""Heatmaps brought to the resolution of figures: on a scan, on the template, with the true effect where it is
known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import brain_box, mni_map
from als_core.figures.drawn import Drawn
from als_core.studies.brains.anatomy import regrid
from als_core.studies.brains.cohorts import PATIENTS, at_resolution
from als_core.studies.brains.synthetic import effect_map, render, render_effect, true_places
from als_core.studies.brains.training import PanagiotarasAmounts
from als_core.studies.panagiotaras import figures
from als_core.studies.panagiotaras.heatmaps import Averages
from als_core.studies.panagiotaras.linear import LINEAR_RESOLUTION

FIELD = "1.5T"  # whose synthetic brains are explained


def true_effect(cohort: VolumeCohort, amounts: PanagiotarasAmounts, resolution: int) -> np.ndarray | None:
    """Where the disease changes an average brain, bool on the MNI grid; None for real brains, where it is
    unknown.
    """
    if cohort.kind != "synthetic":
        return None
    return true_places(effect_map(replace(amounts.brains(FIELD), resolution=resolution), PATIENTS))


def linear_truth(cohort: VolumeCohort, amounts: PanagiotarasAmounts) -> np.ndarray | None:
    """`true_effect` in the box that the linear stand-in sees."""
    whole = true_effect(cohort, amounts, LINEAR_RESOLUTION)
    return None if whole is None else whole[brain_box(LINEAR_RESOLUTION)]


def scan_and_maps(
    cohort: VolumeCohort, row: int, maps: Averages, amounts: PanagiotarasAmounts, label: str
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray | None]:
    """One scan, its map by method, and where the disease changed it (None where unknown), on the grid of figures.

    maps: of that scan alone, by method and label; those of `label` are returned.
    """
    if cohort.kind == "synthetic":  # drawn again, finer than the network sees it
        finer = replace(amounts.brains(FIELD), resolution=amounts.shown)
        scan = render(finer, cohort.samples.iloc[row])
        truth = true_places(render_effect(finer, cohort.samples.iloc[row]))
    else:
        scan, truth = np.asarray(at_resolution(cohort.subset([row]), amounts.shown).volume(0)), None
    return scan, {name: to_display(own[label], amounts) for name, own in maps.items()}, truth


def averages(cohort: VolumeCohort, rows: np.ndarray, maps: Averages, amounts: PanagiotarasAmounts) -> Drawn:
    """`figures.average_heatmaps` of the scans `rows`."""
    shown = {
        name: {label: to_display(heat, amounts) for label, heat in own.items()} for name, own in maps.items()
    }
    counts = cohort.samples["label"].iloc[rows].value_counts()
    return figures.average_heatmaps(
        template(amounts), shown, true_effect(cohort, amounts, amounts.shown), counts
    )


def to_display(volume: np.ndarray, amounts: PanagiotarasAmounts) -> np.ndarray:
    """A map in the network's box on the whole MNI grid of the figures, trilinear, 0 outside the box."""
    whole = np.zeros(mni_map("t1", amounts.resolution).shape, dtype=np.float32)
    whole[amounts.box] = volume
    if amounts.shown == amounts.resolution:
        return whole
    return regrid(whole, amounts.shown, mni_map("t1", amounts.shown).shape, given=amounts.resolution)


def on_template(
    maps: Mapping[str, np.ndarray], truth: np.ndarray | None, amounts: PanagiotarasAmounts
) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
    """The template, a truth (bool) and maps in the network's box, all on the MNI grid of the figures."""
    fine = None if truth is None else to_display(truth.astype(np.float32), amounts) >= 0.5
    return template(amounts), fine, {name: to_display(heat, amounts) for name, heat in maps.items()}


def template(amounts: PanagiotarasAmounts) -> np.ndarray:
    """The template at the resolution of figures, 0 outside the brain."""
    voxels = np.asarray(mni_map("t1", amounts.shown).dataobj)
    return np.where(voxels > 0.1, voxels, 0)
