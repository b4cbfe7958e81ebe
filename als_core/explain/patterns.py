"""Maps of a linear classifier: its weights, and the activation pattern that belongs to them.

Haufe et al. 2014 (doi 10.1016/j.neuroimage.2013.10.067): a weight says how a voxel is used, which
includes cancelling noise where no signal is; the pattern, covariance times weights, says where the
signal is that the classifier reads. Equation 6: A = Cov(X) W Cov(S)^-1 with S = X W.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from als_core.refusal import Problem, refuse_if


def activation_pattern(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How much each feature moves, in its own unit, per unit of the classifier's output.

    features (samples, p) as the classifier saw them; weights (p,) or (p, k) for k outputs; the pattern
    has the shape of weights. For one output it is Cov(X) w / Var(X w). Signed. Never forms the p x p
    covariance. Raises RefusedInput for fewer than two samples, values that are not finite, shapes that
    do not meet, and outputs that are constant or copies of each other.
    """
    features, weights = np.asarray(features, dtype=float), np.asarray(weights, dtype=float)
    problems = []
    if features.ndim != 2 or len(features) < 2 or weights.ndim not in (1, 2):
        shapes = f"features {features.shape}, weights {weights.shape}"
        problems.append(
            Problem("shapes", shapes, "(samples >= 2, p) and (p,) or (p, k)", "Flatten the images.")
        )
    elif features.shape[1] != len(weights):
        found = f"{features.shape[1]} features and {len(weights)} weights"
        problems.append(Problem("weights", found, "one weight per feature", "Use the same mask for both."))
    elif not (np.isfinite(features).all() and np.isfinite(weights).all()):
        problems.append(Problem("features", "NaN or infinite values", "finite values", "Clean the images."))
    refuse_if("activation pattern", problems)
    centred = features - features.mean(axis=0)
    columns = weights.reshape(len(weights), -1)
    outputs = centred @ columns
    spread = outputs.T @ outputs
    if np.linalg.matrix_rank(spread, hermitian=True) < len(spread):
        problem = Problem("weights", "a constant or repeated output", "outputs that vary", "Refit.")
        refuse_if("activation pattern", [problem])
    # the sample size cancels between the two covariances
    return np.linalg.solve(spread, outputs.T @ centred).T.reshape(weights.shape)


@dataclass(frozen=True)
class LinearMaps:
    """weights and pattern, float64 of one image's shape, zero outside the mask, signed: positive speaks
    for the second class (in sorted order)."""

    weights: np.ndarray
    pattern: np.ndarray


def svm_maps(images: np.ndarray, labels: np.ndarray, *, mask: np.ndarray | None = None) -> LinearMaps:
    """Weights and activation pattern of a linear support vector machine fitted to whole images.

    images (N, *shape); labels (N,) of two classes; mask bool (*shape), the voxels used (default all).
    C is 1. Voxels are not scaled: give images of one unit.
    """
    from sklearn.svm import SVC

    images, labels = np.asarray(images), np.asarray(labels)
    mask = np.ones(images.shape[1:], dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    problems = []
    if mask.shape != images.shape[1:] or not mask.any():
        found = f"shape {mask.shape}, {int(mask.sum())} voxels"
        problems.append(Problem("mask", found, f"voxels on the grid {images.shape[1:]}", "Resample it."))
    if len(labels) != len(images) or len(np.unique(labels)) != 2:
        found = f"{len(labels)} labels of {len(np.unique(labels))} classes for {len(images)} images"
        problems.append(Problem("labels", found, "one label per image, two classes", "Select two classes."))
    refuse_if("SVM maps", problems)
    features = images[:, mask].astype(float)
    weights = SVC(kernel="linear").fit(features, labels).coef_[0]
    return LinearMaps(_placed(weights, mask), _placed(activation_pattern(features, weights), mask))


def _placed(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    placed = np.zeros(mask.shape)
    placed[mask] = values
    return placed
