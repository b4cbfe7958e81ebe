"""Registration of brain volumes to MNI space and resampling onto its grid, with SimpleITK.

Affine: Mattes mutual information inside the template's brain, from coarse to fine, from several starts
(after Mattes et al. 2003, IEEE TMI 22, 120-128). Non-linear: diffeomorphic demons on top of it
(Vercauteren et al. 2009, NeuroImage 45, S61-S72).
"""

from __future__ import annotations

from typing import Any, Literal

import nibabel
import numpy as np
import SimpleITK as sitk

# NIfTI counts x to the right and y to the front, ITK to the left and to the back.
TO_ITK = np.diag([-1.0, -1.0, 1.0, 1.0])
START_MM, COARSE_MM, FINE_MM = 8, 4, 2
FINE_SHARE = 0.25  # of the voxels at the finest level: moves the answer by less than half a millimetre
HISTOGRAM_BINS = 32
BRAIN_CENTRE = np.array([0.0, -20.0, 10.0])  # mm, MNI
# A whole head's centre of mass lies below the brain's, the lower the more neck is in view.
START_RISES = (0.0, 30.0)  # mm
START_NODS = (-0.3, 0.0, 0.3)  # radians about the left-right axis, in which heads differ most
MARGIN = 60.0  # mm of air around the head, so that no start gains by pushing it out of view
BRAIN_THRESHOLD = 0.2  # of the template's maximum, as nilearn's brain mask has it
DEMONS_STEPS = 60
DEMONS_SMOOTHING_MM = 8.0  # sd of the field's Gaussian: bends lobes, not single gyri
SMOOTHING = 0.42  # sd in voxels: full width at half maximum of one voxel


def register(
    moving: nibabel.Nifti1Image,
    template: nibabel.Nifti1Image,
    method: Literal["already", "affine", "nonlinear"],
) -> tuple[sitk.Transform, dict[str, Any]]:
    """The transform from template to scanner space (mm, ITK's axes), and the record of it.

    moving: float32, whole head or brain. template: float32, brain only, 0 outside. Runs on one thread
    with fixed sampling, so it is deterministic. The record's matrix maps MNI to scanner mm (RAS+).
    """
    if method == "already":
        return sitk.Transform(3, sitk.sitkIdentity), {
            "step": "registration",
            "method": "already in MNI space",
        }
    if method not in ("affine", "nonlinear"):
        raise ValueError(f"registration {method!r}: already, affine or nonlinear")
    # all that follows works at 2 mm or coarser, so nothing is padded or smoothed at full size
    fixed, floating = _at(to_itk(template), FINE_MM), _padded(_at(to_itk(moving), FINE_MM))
    affine = _best_start(fixed, floating)
    for side in (COARSE_MM, FINE_MM):
        similarity = _optimise(fixed, floating, side, affine)
    record = {
        "step": "registration",
        "method": "affine, Mattes mutual information",
        "mutual_information": round(-similarity, 4),
        "matrix": np.round(_as_matrix(affine), 6).tolist(),
    }
    if method == "affine":
        return affine, record
    field, record["demons"] = _bend(fixed, floating, affine)
    record["method"] += ", then diffeomorphic demons"
    return sitk.CompositeTransform([affine, field]), record  # the last one listed is applied first


def resample(
    image: nibabel.Nifti1Image, grid: nibabel.Nifti1Image, transform: sitk.Transform
) -> tuple[nibabel.Nifti1Image, dict[str, Any]]:
    """The volume on the grid of another, float32, trilinear, 0 outside its field of view; and the record.

    Where the grid is coarser than the volume, the volume is smoothed to the grid's voxel size first.
    """
    side = float(grid.header.get_zooms()[0])
    smoothed, sd = _smoothed(to_itk(image), side)
    placed = sitk.Resample(smoothed, to_itk(grid), transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    record = {
        "step": "resampling",
        "interpolation": "trilinear",
        "smoothing_sd_mm": [round(value, 3) for value in sd],
        "voxel_mm": side,
        "shape": list(grid.shape),
    }
    return nibabel.Nifti1Image(sitk.GetArrayFromImage(placed).T.copy(), grid.affine), record


def to_itk(image: nibabel.Nifti1Image) -> sitk.Image:
    """A nibabel volume as a SimpleITK image of float32, in the same place. Its axes must be at right angles."""
    affine = TO_ITK @ image.affine
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    converted = sitk.GetImageFromArray(np.asarray(image.dataobj, dtype=np.float32).T)
    converted.SetSpacing(sides.tolist())
    converted.SetOrigin(affine[:3, 3].tolist())
    converted.SetDirection((affine[:3, :3] / sides).ravel().tolist())
    return converted


def _smoothed(image: sitk.Image, side: float) -> tuple[sitk.Image, list[float]]:
    """The image smoothed to voxels of `side` mm along the axes where it is finer, and the sd used (mm)."""
    sd = [SMOOTHING * float(np.sqrt(max(0.0, side**2 - own**2))) for own in image.GetSpacing()]
    for axis, value in enumerate(sd):
        if value > 0:
            image = sitk.RecursiveGaussian(image, value, direction=axis)
    return image, sd


def _at(image: sitk.Image, side: float) -> sitk.Image:
    """The image at about `side` mm a voxel."""
    smoothed, _ = _smoothed(image, side)
    size = [int(np.ceil(n * own / side)) for n, own in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    return sitk.Resample(
        smoothed, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [side] * 3, image.GetDirection()
    )


def _padded(image: sitk.Image) -> sitk.Image:
    border = [int(np.ceil(MARGIN / side)) for side in image.GetSpacing()]
    return sitk.ConstantPad(image, border, border, 0.0)


def _method(fixed: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums over threads come in any order, and the optimiser would follow them
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    # Inside the brain only: the template has no skull, and would be stretched over it.
    method.SetMetricFixedMask(sitk.Cast(fixed > BRAIN_THRESHOLD, sitk.sitkUInt8))
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _best_start(fixed: sitk.Image, moving: sitk.Image) -> sitk.AffineTransform:
    """The best of several rigid registrations at the coarsest level, as an affine to go on from."""
    fixed, moving = _at(fixed, START_MM), _at(moving, START_MM)
    voxels = sitk.GetArrayViewFromImage(moving)
    centre_index = np.argwhere(voxels > voxels.mean()).mean(axis=0)[::-1]
    centre = np.array(moving.TransformContinuousIndexToPhysicalPoint(centre_index.tolist()))
    pivot = TO_ITK[:3, :3] @ BRAIN_CENTRE
    results = []
    for rise in START_RISES:
        for nod in START_NODS:
            rigid = sitk.Euler3DTransform()
            rigid.SetCenter(pivot.tolist())
            rigid.SetRotation(nod, 0.0, 0.0)
            rigid.SetTranslation((centre - pivot + np.array([0.0, 0.0, rise])).tolist())
            method = _method(fixed)
            method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.05, 30, relaxationFactor=0.6)
            method.SetOptimizerScalesFromPhysicalShift()
            method.SetInitialTransform(rigid, inPlace=True)
            method.Execute(fixed, moving)
            results.append((method.GetMetricValue(), len(results), rigid))
    rigid = min(results)[2]
    affine = sitk.AffineTransform(3)
    affine.SetCenter(rigid.GetCenter())
    affine.SetMatrix(rigid.GetMatrix())
    affine.SetTranslation(rigid.GetTranslation())
    return affine


def _optimise(fixed: sitk.Image, moving: sitk.Image, side: float, affine: sitk.AffineTransform) -> float:
    """Improve the affine in place at one level; the metric's value (the negative mutual information)."""
    fixed, moving = _at(fixed, side), _at(moving, side)
    method = _method(fixed)
    if side == FINE_MM:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(FINE_SHARE, seed=1)
    method.SetOptimizerAsRegularStepGradientDescent(0.5, 1e-3, 100, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(affine, inPlace=True)
    method.Execute(fixed, moving)
    return float(method.GetMetricValue())


def _bend(
    fixed: sitk.Image, moving: sitk.Image, affine: sitk.AffineTransform
) -> tuple[sitk.DisplacementFieldTransform, dict[str, float]]:
    """A smooth invertible field that bends the template's space before the affine is applied."""
    fixed = _at(fixed, COARSE_MM)
    brain = sitk.Cast(fixed > BRAIN_THRESHOLD, sitk.sitkFloat32)
    placed = sitk.Resample(_at(moving, COARSE_MM), fixed, affine) * brain
    # demons compare grey values, so the scan is given the template's histogram first
    placed = sitk.HistogramMatching(placed, fixed * brain, 256, 15, thresholdAtMeanIntensity=True)
    demons = sitk.DiffeomorphicDemonsRegistrationFilter()
    demons.SetNumberOfThreads(1)
    demons.SetNumberOfIterations(DEMONS_STEPS)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(DEMONS_SMOOTHING_MM / COARSE_MM)
    field = demons.Execute(fixed * brain, placed)
    inside = sitk.GetArrayViewFromImage(brain) > 0
    folding = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field))[inside]
    shifts = np.linalg.norm(sitk.GetArrayViewFromImage(field), axis=-1)
    measured = {
        "largest_shift_mm": round(float(shifts.max()), 3),
        "least_jacobian": round(float(folding.min()), 4),
    }
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64)), measured


def _as_matrix(affine: sitk.AffineTransform) -> np.ndarray:
    """The affine as a 4 x 4 matrix from MNI to scanner mm, both RAS+."""
    linear = np.array(affine.GetMatrix()).reshape(3, 3)
    centre = np.array(affine.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = np.array(affine.GetTranslation()) + centre - linear @ centre
    return TO_ITK @ matrix @ TO_ITK
