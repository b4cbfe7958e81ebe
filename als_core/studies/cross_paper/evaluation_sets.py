"""Who stands before the judge of heatmaps: trained networks, images they have not learnt from, and the truth.

Brains: folds by patient of a synthetic cohort of AD and CN; a network and a linear SVM learn from the same
scans, and the first scan of every held-out AD patient is explained. Tissue: one network under a split by
donor; held-out images with a lesion are explained, those that it names correctly first. How strong the effects are is an
amount: a heatmap can be judged only where the network has found something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import split_by_group
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import mni_map, template_brain
from als_core.explain.methods import METHODS
from als_core.explain.patterns import LinearMaps, svm_maps
from als_core.explain.sanity import Explainer
from als_core.statistics.paired import permute_labels_over_groups
from als_core.studies.brains.atlas import available_atlas
from als_core.studies.brains.cohorts import PATIENTS, prepared_brains
from als_core.studies.brains.synthetic import effect_map, true_places
from als_core.studies.brains.training import (
    Box,
    PanagiotarasAmounts,
    class_scores,
    patient_folds,
    scans,
    train_volumes,
)
from als_core.studies.wang2023.reference_map import ReferenceMap, read_reference
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.heatmaps import lesion_masks, network_inputs
from als_core.studies.xia2024.synthetic import TissueParameters
from als_core.studies.xia2024.train import tissue_runs
from als_core.training.train import trained_network

FIELD = "1.5T"
# The last blocks whose maps still have places: of the brain network's fourth, pools leave 1 x 2 x 1 at 4 mm,
# and Grad-CAM of that is the same everywhere.
BRAIN_LAYER, TISSUE_LAYER = "stages.block3", "stages.block3"
TISSUE_NETWORK = "basic_cnn"


@dataclass(frozen=True)
class HeatmapAmounts:
    """How much of the heatmap studies a profile does; defaults are ours, as the abstract prints none.

    resolution (mm), variant, fraction, effect, epochs, folds: of the synthetic brains and their network, as in
    `training.volumes.PanagiotarasAmounts`. tissue, training: the tissue cohort and its network. steps: of
    integrated gradients. patch: occluded places along the shorter side of an image. draws: null maps for
    each image. tried: images of each modality on the leaderboard. checked: those of them that go
    through the sanity checks. nulls: random maps a heatmap's faithfulness is compared to. resamples: of
    the bootstrap.
    """

    resolution: int = 2
    variant: Literal["published", "small"] = "published"
    fraction: float = 1.0
    effect: float = 1.0
    epochs: int = 20
    folds: int = 5
    tissue: TissueParameters = field(default_factory=TissueParameters)
    training: TissueAmounts = field(default_factory=lambda: TissueAmounts(copies=1, runs=1))
    steps: int = 50
    patch: int = 10
    draws: int = 5
    tried: int = 30
    checked: int = 10
    nulls: int = 19
    resamples: int = 2000

    @property
    def volumes(self) -> PanagiotarasAmounts:
        """The same amounts as the training of volumes knows them."""
        return PanagiotarasAmounts(
            self.resolution, self.variant, (self.fraction,) * 2, self.effect, self.epochs, self.folds
        )


@dataclass(frozen=True)
class Subjects:
    """A network in eval mode, images it has not learnt from, and where in each of them the effect is.

    images: float32 (n, C, *spatial) on the network's device. targets: the true class, int64 (n,). truths: bool
    (n, *spatial). groups: donor or patient (n,). within: bool (*spatial), the voxels that count, or None for all.
    settings: layer, patch, fill, baseline, steps and, for brains, areas, for `Method.importance`.
    accuracy: of the network on the `tested` held-out images. largest: share of the commonest label there.
    """

    network: nn.Module
    images: Tensor
    targets: Tensor
    truths: np.ndarray
    groups: np.ndarray
    within: np.ndarray | None
    settings: dict[str, Any]
    accuracy: float
    tested: int
    largest: float

    def explainers(self) -> dict[str, Explainer]:
        """Every method of the book that these images allow: without areas there is no occlusion of areas."""
        return {
            name: method.importance(**self.settings)
            for name, method in METHODS.items()
            if "areas" not in method.needs or "areas" in self.settings
        }

    def some(self, count: int) -> Subjects:
        """The first `count` of them, or all where there are fewer."""
        first = slice(count)
        parts = {name: getattr(self, name)[first] for name in ("images", "targets", "truths", "groups")}
        return Subjects(**{**self.__dict__, **parts})


@dataclass(frozen=True)
class BrainFold:
    """The held-out patients of a fold; maps of an SVM that learnt from the same scans as their network, and of
    one that learnt from them with patients' labels exchanged at random."""

    subjects: Subjects
    svm: LinearMaps
    svm_of_noise: LinearMaps


def brain_cohort(amounts: HeatmapAmounts) -> VolumeCohort:
    """The synthetic brains of these amounts."""
    return prepared_brains(amounts.volumes.brains(FIELD))


def group_truth(amounts: HeatmapAmounts) -> np.ndarray:
    """Where the disease changes an average brain, bool, on the grid of the heatmaps: in place of a meta-analysis."""
    return true_places(effect_map(amounts.volumes.brains(FIELD), PATIENTS))[amounts.volumes.box]


def own_reference(path: Path | str, amounts: HeatmapAmounts, **settings: Any) -> ReferenceMap:
    """A reader's map on the grid of the heatmaps. settings: threshold, side, space, of `read_reference`."""
    grid = mni_map("t1", amounts.resolution)
    found = read_reference(Path(path).expanduser(), grid, template_brain(grid), **settings)
    box = amounts.volumes.box
    return replace(found, values=found.values[box], truth=found.truth[box])


def brain_folds(
    amounts: HeatmapAmounts,
    seed: int,
    reference: np.ndarray | None = None,
    *,
    cohort: VolumeCohort | None = None,
    patients: str = PATIENTS,
) -> Iterator[BrainFold]:
    """Each fold's subjects, one fold in memory at a time. All scans that are not tested are learnt from.

    reference: bool, on the grid of the heatmaps, what takes the place of the true effect in every brain. cohort: other
    brains than the synthetic ones of these amounts; without a reference their truths are empty. patients: the label
    whose score is explained.
    """
    cohort, box = cohort or brain_cohort(amounts), amounts.volumes.box
    areas = available_atlas(amounts.resolution).labels[box]
    for fold, split in enumerate(patient_folds(cohort, amounts.folds, seed), 1):
        learnt, test = np.flatnonzero(split.parts != "test"), split.rows("test")
        network = train_volumes(cohort, learnt, test, amounts.volumes, seed + fold).network
        right = class_scores(network, cohort, test, box).argmax(1).numpy() == cohort.labels[test]
        seen = scans(cohort, learnt, box)[:, 0].numpy()
        brain = (seen != 0).mean(0) > 0.5

        first = (
            cohort.samples.iloc[test]
            .query("label == @patients")
            .sort_values("visit")
            .drop_duplicates("group")
        )
        rows = first.sort_values("group").index.to_numpy()
        device = next(network.parameters()).device
        subjects = Subjects(
            network=network,
            images=scans(cohort, rows, box).to(device),
            targets=torch.tensor(cohort.labels[rows], device=device),
            truths=np.array([_truth(cohort, row, box, reference) & brain for row in rows]),
            groups=cohort.groups[rows],
            within=brain,
            settings={
                "layer": BRAIN_LAYER, "patch": max(1, min(brain.shape) // amounts.patch), "fill": 0.0,
                "baseline": 0.0, "steps": amounts.steps, "areas": areas,
            },
            accuracy=float(right.mean()),
            tested=len(test),
            largest=float(np.bincount(cohort.labels[test]).max() / len(test)),
        )  # fmt: skip
        labels = cohort.labels[learnt]
        exchanged = permute_labels_over_groups(
            labels, cohort.groups[learnt], np.random.default_rng([seed, fold])
        )
        yield BrainFold(subjects, *(svm_maps(seen, told, mask=brain) for told in (labels, exchanged)))


def _truth(cohort: VolumeCohort, row: int, box: Box, reference: np.ndarray | None) -> np.ndarray:
    """Where the effect is in one scan: the reference, else its true effect; nowhere where neither is known."""
    if reference is not None:
        return reference
    effect = cohort.effect(row)
    return np.zeros(cohort.grid.shape, dtype=bool)[box] if effect is None else true_places(effect)[box]


def tissue_cohort(amounts: HeatmapAmounts, seed: int) -> Cohort:
    """The synthetic tissue of these amounts."""
    return open_cohort("synthetic", amounts.tissue, seed=seed, progress=False)


def tissue_subjects(amounts: HeatmapAmounts, seed: int) -> Subjects:
    """Held-out images with a lesion, as many as are tried, donors in turn.

    Of each donor those whose class the network names come first: a map of a wrong answer has no truth to meet.
    """
    cohort = tissue_cohort(amounts, seed)
    split = split_by_group(cohort.labels, cohort.groups, np.random.default_rng(seed))
    run = tissue_runs(TISSUE_NETWORK, cohort, amounts.training, split=split, seed=seed)[0]
    network = trained_network(run)
    test = split.rows("test")
    told = run.predictions.iloc[test]
    right = (told["label"] == told["predicted"]).to_numpy()

    masks = lesion_masks(cohort, test.tolist())
    side = run.about["recipe"]["side"]
    # of the network's own side: pixels of which the mask covers half or more
    truths = {
        row: cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) >= 0.5
        for row, mask in masks.items()
    }
    shown = [row for row in test if row in truths and truths[row].any()]
    named = pd.DataFrame({"right": right, "group": cohort.groups[test]}, index=test).loc[shown]
    named = named.sort_values("right", ascending=False, kind="stable")
    turn = named.groupby("group").cumcount()  # of a donor's images the rightly named come first
    rows = turn.sort_values(kind="stable").index[: amounts.tried].to_numpy()
    learnt = np.flatnonzero(split.parts == "train")
    mean = network_inputs(run, cohort, learnt.tolist()).mean((0, 2, 3))[:, None, None]
    return Subjects(
        network=network,
        images=network_inputs(run, cohort, rows.tolist()),
        targets=torch.tensor(cohort.labels[rows]),
        truths=np.array([truths[row] for row in rows]),
        groups=cohort.groups[rows],
        within=None,
        settings={
            "layer": TISSUE_LAYER, "patch": max(1, side // amounts.patch), "fill": mean,
            "baseline": mean.expand(-1, side, side), "steps": amounts.steps,
        },
        accuracy=float(right.mean()),
        tested=len(test),
        largest=float(told["label"].value_counts(normalize=True).max()),
    )  # fmt: skip


def edges(model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """A control that must fail: where the image itself changes, whatever network is explained."""
    steps = torch.gradient(images.mean(1), dim=tuple(range(1, images.ndim - 1)))
    return sum(step.square() for step in steps).sqrt()


def random_map(generator: torch.Generator) -> Explainer:
    """A control that must fail: other noise each time it is asked."""

    def explain(model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        return torch.rand(images[:, 0].shape, generator=generator).to(images)

    return explain
