"""A linear model on principal components of scans: the stand-in that many null cohorts are tried on.

A network is slow to train again; this model is not. Its sensitivity is the weight of each voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from als_core.cohorts.splits import Split
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import brain_box
from als_core.studies.brains.cohorts import at_resolution, prepared_brains
from als_core.studies.brains.synthetic import BrainParameters, without_effects
from als_core.studies.brains.training import PanagiotarasAmounts, prediction_table

LINEAR_RESOLUTION = 4  # mm; what the model sees in every profile
COMPONENTS = 20


@dataclass(frozen=True)
class VoxelComponents:
    """Scans as a few numbers each: principal components over brain voxels, cached for any number of fits.

    scores: float64 (n, COMPONENTS). axes: (COMPONENTS, voxels). brain: bool (X, Y, Z), which voxels these
    are. The components see all scans, but no label.
    """

    scores: np.ndarray
    axes: np.ndarray
    brain: np.ndarray

    def weight_map(self, labels: np.ndarray) -> np.ndarray:
        """Weight of each voxel in the linear model's score, float64 (X, Y, Z), 0 outside the brain."""
        pipeline = linear_model().fit(self.scores, labels)
        scaler, model = pipeline[0], pipeline[-1]
        weights = np.zeros(self.brain.shape)
        weights[self.brain] = (model.coef_[0] / scaler.scale_) @ self.axes
        return weights


def voxel_components(cohort: VolumeCohort, seed: int) -> VoxelComponents:
    """The components of a cohort prepared at LINEAR_RESOLUTION."""
    box = brain_box(LINEAR_RESOLUTION)
    volumes = np.array([cohort.volume(row)[box] for row in range(len(cohort))])
    brain = (volumes != 0).mean(0) > 0.5
    pca = PCA(min(COMPONENTS, len(cohort) // 2), svd_solver="randomized", random_state=seed)
    scores = pca.fit_transform(volumes[:, brain])
    return VoxelComponents(scores.astype(float), pca.components_.astype(float), brain)


def linear_model() -> Pipeline:
    """The stand-in: logistic regression on standardised components."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))


def linear_predictions(
    components: VoxelComponents, labels: np.ndarray, groups: np.ndarray, splits: Sequence[Split]
) -> pd.DataFrame:
    """Fit the stand-in to training and validation scans of each split, and predict its test scans.

    Columns as of `predict`, and fold.
    """
    parts = []
    for fold, split in enumerate(splits, 1):
        learned, test = np.flatnonzero(split.parts != "test"), split.rows("test")
        model = linear_model().fit(components.scores[learned], labels[learned])
        shares = model.predict_proba(components.scores[test])
        parts.append(prediction_table(test, groups, labels, shares).assign(fold=fold))
    return pd.concat(parts, ignore_index=True)


def linear_accuracy(
    components: VoxelComponents, labels: np.ndarray, groups: np.ndarray, splits: Sequence[Split]
) -> float:
    """Accuracy over scans of the stand-in."""
    predicted = linear_predictions(components, labels, groups, splits)
    return float((predicted["label"] == predicted["predicted"]).mean())


def linear_brains(amounts: PanagiotarasAmounts, effects: bool) -> BrainParameters:
    """The 1.5T plan as the stand-in sees it, with effects, or the null cohort without any."""
    brains = replace(amounts.brains("1.5T"), resolution=LINEAR_RESOLUTION)
    return brains if effects else without_effects(brains)


def linear_cohort(
    cohort: VolumeCohort, amounts: PanagiotarasAmounts, *, effects: bool = True
) -> VolumeCohort:
    """The scans of `cohort` at LINEAR_RESOLUTION; without effects the synthetic null cohort.

    Real scans have no copy without the disease: with labels permuted over patients they are their own null
    cohort.
    """
    if cohort.kind == "synthetic":
        return prepared_brains(linear_brains(amounts, effects))
    return at_resolution(cohort, LINEAR_RESOLUTION)
