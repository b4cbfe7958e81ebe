"""Heatmaps of a cohort of volumes: averages by label, relevance by brain area, and overlap with the true
effect.

The relevance of a scan is the absolute value of its heatmap, so that a voxel that speaks for and one that
speaks against the target both count; averages are over the scans of a label. Methods are those of the
slides (Panagiotaras, "Visualization Methods"; Rieke et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from als_core.cohorts.splits import Split
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.explain.methods import METHODS
from als_core.explain.nulls import phase_randomised
from als_core.explain.overlap import mass_inside, relevance_by_area, voxel_auc
from als_core.explain.sanity import rank_correlation
from als_core.statistics.paired import permutation_p_value, permute_labels_over_groups
from als_core.studies.brains.atlas import Atlas
from als_core.studies.brains.cohorts import prepared_brains, published_split, with_labels
from als_core.studies.brains.synthetic import BrainParameters, without_effects
from als_core.studies.brains.training import (
    BATCH,
    Box,
    by_patient,
    patient_folds,
    scans,
)
from als_core.studies.panagiotaras.linear import VoxelComponents, linear_predictions

SLIDE_METHODS = ("sensitivity", "guided_backpropagation", "occlusion", "area_occlusion")

Averages = Mapping[str, Mapping[str, np.ndarray]]
"""Method, by its title, to label to the average relevance (X, Y, Z), float64, 0 and up."""


def explained_split(cohort: VolumeCohort, folds: int, seed: int) -> Split:
    """A split by patient in "train" and "validation", whose scans are explained.

    The slides' fixed split where the manifest has it, else one fold against the others.
    """
    if "part" in cohort.samples:
        return published_split(cohort)
    split = patient_folds(cohort, folds, seed)[0]
    parts = np.where(split.parts == "test", "validation", "train")
    return Split(f"{split.name}, the other folds train", "group", parts)


def twin_cohorts(
    cohort: VolumeCohort, parameters: BrainParameters, seed: int
) -> tuple[VolumeCohort, VolumeCohort]:
    """What the twin network, which has no disease to learn, is trained on, and the scans it explains.

    Synthetic brains are drawn again without effects. Real ones keep their scans; the twin learns labels
    permuted across patients.
    """
    if cohort.kind == "synthetic":
        twin = prepared_brains(without_effects(parameters))
        return twin, twin
    permuted = permute_labels_over_groups(cohort.labels, cohort.groups, np.random.default_rng([seed, 2]))
    return with_labels(cohort, permuted), cohort


def average_relevance(
    network: nn.Module,
    cohort: VolumeCohort,
    rows: np.ndarray,
    box: Box,
    target: int,
    *,
    areas: np.ndarray,
    patch: int,
) -> Averages:
    """Mean |heatmap| of the slides' four methods over the scans `rows`, for each label among them.

    target: the class whose score is explained, for every scan the same. areas: label image on the box's
    grid. patch: side of an occluded cube, voxels; it is covered by 0, the mean of the brain. What covering
    an area does is shared out evenly among its voxels, so that all four maps are relevance per voxel and a
    large area does not lead by size alone.
    """
    size = np.bincount(areas.ravel())[areas]
    device = next(network.parameters()).device
    averages: dict[str, dict[str, np.ndarray]] = {}
    for name in SLIDE_METHODS:
        explain = METHODS[name].bound(areas=areas, patch=patch, stride=patch, fill=0.0)
        own = averages.setdefault(METHODS[name].title, {})
        for label in np.unique(cohort.labels[rows]):
            of_label = rows[cohort.labels[rows] == label]
            total = torch.zeros(areas.shape, dtype=torch.float64)
            for part in np.split(of_label, range(BATCH, len(of_label), BATCH)):
                heatmaps = explain(network, scans(cohort, part, box).to(device), target)
                total += heatmaps.abs().double().sum(0).cpu()
            mean = (total / len(of_label)).numpy()
            own[cohort.classes[label]] = mean / size if name == "area_occlusion" else mean
    return averages


def relevance_table(averages: Averages, atlas: Atlas, box: Box) -> pd.DataFrame:
    """Relevance of each brain area: columns method, label, area, millilitres, mean, share, concentration.

    mean: relevance per voxel, in the method's unit. share: of the relevance in all areas. concentration:
    that share over the area's share of voxels, which takes its size out; 1 is what an even map gives.
    """
    areas, sizes, tables = atlas.labels[box], atlas.sizes(), []
    for method, own in averages.items():
        for label, relevance in own.items():
            found = relevance_by_area(relevance, areas)
            names = [atlas.names[int(number)] for number in found.areas]
            tables.append(
                pd.DataFrame(
                    {
                        "method": method,
                        "label": label,
                        "area": names,
                        "millilitres": [sizes[name] for name in names],
                        "mean": found.mean,
                        "share": found.share,
                        "concentration": found.concentration,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def likeness(averages: Averages, brain: np.ndarray) -> pd.DataFrame:
    """How alike the averages of two labels are inside the brain: columns method, spearman, pearson."""
    rows = []
    for method, own in averages.items():
        first, second = (torch.from_numpy(relevance[brain])[None] for relevance in own.values())
        pearson = float(torch.corrcoef(torch.cat([first, second]))[0, 1])
        spearman = float(rank_correlation(first, second)[0])
        rows.append({"method": method, "spearman": spearman, "pearson": pearson})
    return pd.DataFrame(rows)


def twin_likeness(averages: Averages, blind: Averages, label: str, brain: np.ndarray) -> pd.DataFrame:
    """How alike the network's and its twin's average maps of one label are: columns method, spearman,
    pearson.
    """
    pairs = {method: {"on": own[label], "off": blind[method][label]} for method, own in averages.items()}
    return likeness(pairs, brain)


def concentration(
    relevance: np.ndarray, truth: np.ndarray, brain: np.ndarray, generator: np.random.Generator, draws: int
) -> dict[str, float]:
    """Whether a relevance map (X, Y, Z) gathers in the truth, beside random maps of its own smoothness.

    auc: chance that a voxel of the truth has more relevance than another voxel of the brain (0.5: none
    does). times: relevance inside over what an even map has there. null_low, null_high: central 95 % of
    the AUC of `draws` phase-randomised maps. p: share of them that reach the AUC, itself counted in.
    """
    auc = voxel_auc(relevance, truth, brain)
    masked = np.where(brain, relevance, 0.0)
    null = np.array([voxel_auc(phase_randomised(masked, generator), truth, brain) for _ in range(draws)])
    low, high = np.quantile(null, [0.025, 0.975])
    even = truth[brain].mean()
    return {
        "auc": auc,
        "times": mass_inside(relevance, truth, brain) / even,
        "null_low": float(low),
        "null_high": float(high),
        "p": permutation_p_value(auc, null),
    }


def concentration_table(
    averages: Averages,
    blind: Averages,
    truth: np.ndarray,
    brain: np.ndarray,
    label: str,
    generator: np.random.Generator,
    draws: int,
) -> pd.DataFrame:
    """`concentration` of each method's map of one label, by the network (on) and by its twin (off).

    Columns method, on, times, null_low, null_high, p, off.
    """
    on = [concentration(own[label], truth, brain, generator, draws) for own in averages.values()]
    off = [voxel_auc(own[label], truth, brain) for own in blind.values()]
    table = pd.DataFrame(on).rename(columns={"auc": "on"})
    table.insert(0, "method", list(averages))
    return table.assign(off=off)


def linear_trial(
    components: VoxelComponents,
    labels: np.ndarray,
    groups: np.ndarray,
    splits: Sequence[Split],
    truth: np.ndarray | None,
) -> dict[str, float]:
    """Accuracy of the linear stand-in by patient and, where the truth is known, auc of its weight map in it.

    The map is the absolute weight of each voxel, the sensitivity of a linear model; auc as `concentration`.
    """
    patients = by_patient(linear_predictions(components, labels, groups, splits))
    trial = {"accuracy": float((patients["label"] == patients["predicted"]).mean())}
    if truth is None:
        return trial
    weights = np.abs(components.weight_map(labels))
    return trial | {"auc": voxel_auc(weights, truth & components.brain, components.brain)}
