"""The 107 radiomic features of a volume inside its mask, under PyRadiomics' names and definitions.

Seven families: 18 first order, 14 shape, 24 GLCM, 14 GLDM, 16 GLRLM, 16 GLSZM, 5 NGTDM (Turrisi 2024, section
2.2.1). GLDM, GLRLM, GLSZM and NGTDM come from MIRP, the surface mesh from scikit-image, the rest from its
definition in NumPy; PyRadiomics itself is the stored oracle of the tests, because it does not install on Python
3.12.

Definitions: PyRadiomics documentation (https://pyradiomics.readthedocs.io, "Radiomic Features") and the Image
Biomarker Standardisation Initiative (IBSI) reference manual, https://doi.org/10.48550/arXiv.1612.07003.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.special import entr
from tqdm import tqdm

from als_core.refusal import Problem, refuse_if
from als_core.storage import atomic_write, code_digest, content_key

# PyRadiomics' name and, after the colon, MIRP's abbreviation without the suffixes that MIRP adds for its
# settings
_TEXTURE = {
    "gldm": """
        DependenceEntropy:ngl_dc_entr DependenceNonUniformity:ngl_dcnu
        DependenceNonUniformityNormalized:ngl_dcnu_norm DependenceVariance:ngl_dc_var
        GrayLevelNonUniformity:ngl_glnu GrayLevelVariance:ngl_gl_var HighGrayLevelEmphasis:ngl_hgce
        LargeDependenceEmphasis:ngl_hde LargeDependenceHighGrayLevelEmphasis:ngl_hdhge
        LargeDependenceLowGrayLevelEmphasis:ngl_hdlge LowGrayLevelEmphasis:ngl_lgce
        SmallDependenceEmphasis:ngl_lde SmallDependenceHighGrayLevelEmphasis:ngl_ldhge
        SmallDependenceLowGrayLevelEmphasis:ngl_ldlge
    """,
    "glrlm": """
        GrayLevelNonUniformity:rlm_glnu GrayLevelNonUniformityNormalized:rlm_glnu_norm
        GrayLevelVariance:rlm_gl_var HighGrayLevelRunEmphasis:rlm_hgre LongRunEmphasis:rlm_lre
        LongRunHighGrayLevelEmphasis:rlm_lrhge LongRunLowGrayLevelEmphasis:rlm_lrlge
        LowGrayLevelRunEmphasis:rlm_lgre RunEntropy:rlm_rl_entr RunLengthNonUniformity:rlm_rlnu
        RunLengthNonUniformityNormalized:rlm_rlnu_norm RunPercentage:rlm_r_perc RunVariance:rlm_rl_var
        ShortRunEmphasis:rlm_sre ShortRunHighGrayLevelEmphasis:rlm_srhge
        ShortRunLowGrayLevelEmphasis:rlm_srlge
    """,
    "glszm": """
        GrayLevelNonUniformity:szm_glnu GrayLevelNonUniformityNormalized:szm_glnu_norm
        GrayLevelVariance:szm_gl_var HighGrayLevelZoneEmphasis:szm_hgze LargeAreaEmphasis:szm_lze
        LargeAreaHighGrayLevelEmphasis:szm_lzhge LargeAreaLowGrayLevelEmphasis:szm_lzlge
        LowGrayLevelZoneEmphasis:szm_lgze SizeZoneNonUniformity:szm_zsnu
        SizeZoneNonUniformityNormalized:szm_zsnu_norm SmallAreaEmphasis:szm_sze
        SmallAreaHighGrayLevelEmphasis:szm_szhge SmallAreaLowGrayLevelEmphasis:szm_szlge
        ZoneEntropy:szm_zs_entr ZonePercentage:szm_z_perc ZoneVariance:szm_zs_var
    """,
    "ngtdm": """
        Busyness:ngt_busyness Coarseness:ngt_coarseness Complexity:ngt_complexity Contrast:ngt_contrast
        Strength:ngt_strength
    """,
}
FIRST_ORDER = (
    "10Percentile", "90Percentile", "Energy", "Entropy", "InterquartileRange", "Kurtosis", "Maximum", "Mean",
    "MeanAbsoluteDeviation", "Median", "Minimum", "Range", "RobustMeanAbsoluteDeviation", "RootMeanSquared",
    "Skewness", "TotalEnergy", "Uniformity", "Variance",
)  # fmt: skip
SHAPE = (
    "Elongation", "Flatness", "LeastAxisLength", "MajorAxisLength", "Maximum2DDiameterColumn",
    "Maximum2DDiameterRow", "Maximum2DDiameterSlice", "Maximum3DDiameter", "MeshVolume", "MinorAxisLength",
    "Sphericity", "SurfaceArea", "SurfaceVolumeRatio", "VoxelVolume",
)  # fmt: skip
GLCM = (
    "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation",
    "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2",
    "InverseVariance", "JointAverage", "JointEnergy", "JointEntropy", "MCC", "MaximumProbability", "SumAverage",
    "SumEntropy", "SumSquares",
)  # fmt: skip
TEXTURE = {family: dict(pair.split(":") for pair in pairs.split()) for family, pairs in _TEXTURE.items()}
FAMILIES: dict[str, tuple[str, ...]] = {
    "firstorder": FIRST_ORDER,
    "shape": SHAPE,
    "glcm": GLCM,
    **{family: tuple(names) for family, names in TEXTURE.items()},
}
NAMES = tuple(f"{family}_{name}" for family, names in FAMILIES.items() for name in names)
LIBRARIES = ("mirp", "scikit-image", "scipy", "numpy")

# MIRP's settings that make its matrices PyRadiomics': 13 directions averaged, 26 neighbours at distance 1
MIRP_SETTINGS = {
    "base_feature_families": ["ngldm", "glrlm", "glszm", "ngtdm"],
    "base_discretisation_method": "none",
    "glrlm_spatial_method": "3d_average",
    "glszm_spatial_method": "3d",
    "ngtdm_spatial_method": "3d",
    "ngldm_spatial_method": "3d",
    "ibsi_compliant": False,
}


@dataclass(frozen=True)
class RadiomicSettings:
    """What a radiomic value depends on besides the volume and its mask.

    bin_width: width of a grey-level bin, in the units of the (normalised) intensities; bins start at
    multiples of it, as in PyRadiomics. normalised_sd: None keeps the intensities; a number brings the whole
    volume to mean 0 and this standard deviation first (PyRadiomics' `normalize` with `normalizeScale`).
    """

    bin_width: float = 25.0
    normalised_sd: float | None = None


def radiomic_features(
    volume: np.ndarray, mask: np.ndarray, spacing: Sequence[float], settings: RadiomicSettings | None = None
) -> pd.Series:
    """Measure all 107 features of one volume, float64, indexed `family_Name` in the order of `FAMILIES`.

    volume: (Z, Y, X), any real dtype. mask: (Z, Y, X) bool, the voxels that count. spacing: voxel edges in
    mm, in the order of the axes. PyRadiomics writes the same names with `original_` in front.

    Lengths are in mm, `SurfaceArea` in mm2, volumes in mm3, `TotalEnergy` in intensity2 mm3; first-order
    values are in intensities or their powers; texture is in bin numbers (from 1) and voxels.

    Raises RefusedInput for shapes that do not fit, values that are not finite, a mask thinner than two
    voxels, or a mask whose intensities all fall into one bin.
    """
    settings = settings or RadiomicSettings()
    volume, mask = np.asarray(volume, np.float64), np.asarray(mask)
    spacing = np.asarray(spacing, np.float64)
    refuse_if("Radiomic features", _problems(volume, mask, spacing))
    if settings.normalised_sd is not None:
        volume = (volume - volume.mean()) / (volume.std(ddof=1) or 1.0) * settings.normalised_sd
    box = tuple(slice(edge.min(), edge.max() + 1) for edge in np.nonzero(mask))
    volume, mask = volume[box], mask[box]
    levels = grey_levels(volume, mask, settings.bin_width)
    refuse_if("Radiomic features", _flatness(volume[mask], levels, settings))
    values = {f"shape_{name}": value for name, value in _shape(mask, spacing)}
    values |= {
        f"firstorder_{name}": value
        for name, value in _first_order(volume[mask], levels[mask], spacing.prod())
    }
    values |= _texture(levels, mask)
    values |= {f"glcm_{name}": value for name, value in _glcm(cooccurrence(levels))}
    return pd.Series({name: float(values[name]) for name in NAMES}, name="value")


def grey_levels(volume: np.ndarray, mask: np.ndarray, bin_width: float) -> np.ndarray:
    """Bin intensities: from 1 in the mask, 0 outside; int64, (Z, Y, X). Edges are multiples of the width."""
    inside = volume[mask]
    levels = np.zeros(volume.shape, np.int64)
    levels[mask] = np.floor(inside / bin_width) - np.floor(inside.min() / bin_width) + 1
    return levels


def cooccurrence(levels: np.ndarray) -> np.ndarray:
    """Count grey-level co-occurrences, both ways, in 13 directions; (13, G, G), level 0 left out."""
    count = levels.max() + 1
    matrices = []
    for step in [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]:
        here = tuple(slice(max(0, -s), size - max(0, s)) for s, size in zip(step, levels.shape, strict=True))
        there = tuple(slice(max(0, s), size - max(0, -s)) for s, size in zip(step, levels.shape, strict=True))
        pairs = np.bincount((levels[here] * count + levels[there]).ravel(), minlength=count**2)
        pairs = pairs.reshape(count, count)[1:, 1:]
        matrices.append(pairs + pairs.T)
    return np.array(matrices)


def _glcm(matrices: np.ndarray) -> Iterator[tuple[str, float]]:
    """Measure the 24 features of co-occurrences (13, G, G), averaged over the directions that have any."""
    counts = matrices[matrices.any((1, 2))]
    p = counts / counts.sum((1, 2), keepdims=True)
    size = p.shape[1]
    level, step = np.arange(1, size + 1), np.arange(size)
    i, j = np.ix_(level, level)
    margin = p.sum(2)  # of i and of j: the matrices are symmetric
    average = margin @ level
    variance = margin @ level**2 - average**2
    sums, steps = (
        np.array([np.bincount(each.ravel(), one.ravel()) for one in p]) for each in (i + j, np.abs(i - j))
    )
    entropy, joint = entr(margin).sum(1) / np.log(2), entr(p).sum((1, 2)) / np.log(2)
    information = 2 * entropy - joint  # mutual, bits
    product = (p * (i * j)).sum((1, 2))
    from_middle = i + j - 2 * average[:, None, None]
    values = {
        "Autocorrelation": product,
        "ClusterProminence": (p * from_middle**4).sum((1, 2)),
        "ClusterShade": (p * from_middle**3).sum((1, 2)),
        "ClusterTendency": (p * from_middle**2).sum((1, 2)),
        "Contrast": steps @ step**2,
        "Correlation": np.divide(product - average**2, variance, out=np.ones(len(p)), where=variance > 0),
        "DifferenceAverage": steps @ step,
        "DifferenceEntropy": entr(steps).sum(1) / np.log(2),
        "DifferenceVariance": steps @ step**2 - (steps @ step) ** 2,
        "Id": steps @ (1 / (1 + step)),
        "Idm": steps @ (1 / (1 + step**2)),
        "Idmn": steps @ (1 / (1 + (step / size) ** 2)),
        "Idn": steps @ (1 / (1 + step / size)),
        "Imc1": np.divide(-information, entropy, out=np.zeros(len(p)), where=entropy > 0),
        "Imc2": np.sqrt(np.maximum(-np.expm1(-2 * information), 0)),
        "InverseVariance": steps[:, 1:] @ (1 / step[1:] ** 2),
        "JointAverage": average,
        "JointEnergy": (p**2).sum((1, 2)),
        "JointEntropy": joint,
        "MCC": maximal_correlation(counts),
        "MaximumProbability": p.max((1, 2)),
        "SumAverage": sums @ np.arange(sums.shape[1]),
        "SumEntropy": entr(sums).sum(1) / np.log(2),
        "SumSquares": variance,
    }
    yield from ((name, np.mean(value)) for name, value in values.items())


def maximal_correlation(matrices: np.ndarray) -> float:
    """Compute the maximal correlation coefficient (MCC), averaged over directions; 0 to 1.

    The square root of the second largest eigenvalue of Q(i, j) = sum over k of p(i, k) p(j, k) / (p(i) p(k)).
    MIRP 2.7.0 fills Q only where p(i, j) > 0, which is not this definition. For symmetric p the same value is
    the second largest modulus among the eigenvalues of p(i, k) / sqrt(p(i) p(k)), a symmetric matrix.
    """
    values = []
    for counts in matrices:
        margin = counts.sum(1)
        present = margin > 0
        if present.sum() == 1:
            values.append(1.0)  # PyRadiomics' value for a flat region
        elif present.any():
            scaled = counts[np.ix_(present, present)] / np.sqrt(np.outer(margin[present], margin[present]))
            values.append(np.sort(np.abs(np.linalg.eigvalsh(scaled)))[-2])
    return float(np.mean(values))


def radiomic_table(
    subjects: Sequence[str],
    load: Callable[[int], tuple[np.ndarray, np.ndarray, Sequence[float]]],
    folder: Path | str,
    settings: RadiomicSettings | None = None,
    jobs: int = 1,
) -> pd.DataFrame:
    """Measure every subject, (N, 107), indexed by subject; a progress bar goes to stderr.

    load: position -> (volume, mask, spacing), called in the worker processes. Each subject's values are in
    one JSON file of `folder`, with the settings, library versions and code that made them, named by all of
    these and the volume, mask and spacing: an interrupted table is resumed, and what changed is measured
    again. Raises what `load` and `radiomic_features` raise.
    """
    settings, folder = settings or RadiomicSettings(), Path(folder)
    work = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_measured_once)(load, position, folder, settings) for position in range(len(subjects))
    )
    rows = list(tqdm(work, total=len(subjects), desc="radiomic features", unit="subject", disable=None))
    return pd.DataFrame(rows, index=pd.Index(subjects, name="subject"), columns=NAMES)


def _measured_once(load: Callable, position: int, folder: Path, settings: RadiomicSettings) -> pd.Series:
    volume, mask, spacing = load(position)
    made_with = {
        "settings": asdict(settings),
        "versions": {name: version(name) for name in LIBRARIES},
        "code": code_digest(__name__),
    }
    key = content_key(np.asarray(volume), np.asarray(mask), [float(edge) for edge in spacing], made_with)
    file = folder / f"{key}.json"
    if not file.exists():
        values = radiomic_features(volume, mask, spacing, settings)
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(made_with | {"features": values.to_dict()}, indent=1))
    return pd.Series(json.loads(file.read_text())["features"])


def _problems(volume: np.ndarray, mask: np.ndarray, spacing: np.ndarray) -> Iterator[Problem]:
    if spacing.shape != (3,) or not (spacing > 0).all():
        yield Problem("spacing", f"{spacing.tolist()}", "three edges in mm", "Read it off the header.")
    non_finite = int((~np.isfinite(volume)).sum())
    if non_finite:
        yield Problem("volume", f"{non_finite} values not finite", "numbers only", "Set the background to 0.")
    if volume.ndim != 3 or mask.shape != volume.shape:
        found = f"shapes {volume.shape} and {mask.shape}"
        yield Problem("volume and mask", found, "the same three axes", "Resample the mask to the volume.")
        return
    if mask.dtype != bool:
        values = np.unique(mask)
        shown = ", ".join(f"{value:g}" for value in values[:5]) + (", ..." if len(values) > 5 else "")
        remedy = "Pass `mask > 0`; of a mask with several labels `mask == 1`, or another of them."
        yield Problem("mask", f"{mask.dtype} with the values {shown}", "bool", remedy)
        return
    extent = [int(np.ptp(edge)) + 1 if edge.size else 0 for edge in np.nonzero(mask)]
    if min(extent) < 2:
        yield Problem("mask", f"{extent} voxels along the axes", "at least 2 each", "Check the brain mask.")


def _flatness(inside: np.ndarray, levels: np.ndarray, settings: RadiomicSettings) -> Iterator[Problem]:
    if levels.max() == 1:
        found = f"one bin of width {settings.bin_width:g} for all intensities (range {np.ptp(inside):.3g})"
        remedy = "Set normalised_sd (100 gives tens of bins) or a smaller bin_width."
        yield Problem("volume inside the mask", found, "at least two bins", remedy)


def _first_order(values: np.ndarray, levels: np.ndarray, voxel_mm3: float) -> Iterator[tuple[str, float]]:
    p10, p25, median, p75, p90 = np.percentile(values, (10, 25, 50, 75, 90))
    mean, variance = values.mean(), values.var()
    robust = values[(values >= p10) & (values <= p90)]
    share = np.bincount(levels)[1:] / levels.size
    share = share[share > 0]
    yield "10Percentile", p10
    yield "90Percentile", p90
    yield "Energy", (values**2).sum()
    yield "Entropy", -(share * np.log2(share)).sum()
    yield "InterquartileRange", p75 - p25
    yield "Kurtosis", ((values - mean) ** 4).mean() / variance**2  # 3 for a normal distribution, not 0
    yield "Maximum", values.max()
    yield "Mean", mean
    yield "MeanAbsoluteDeviation", np.abs(values - mean).mean()
    yield "Median", median
    yield "Minimum", values.min()
    yield "Range", np.ptp(values)
    yield "RobustMeanAbsoluteDeviation", np.abs(robust - robust.mean()).mean()
    yield "RootMeanSquared", np.sqrt((values**2).mean())
    yield "Skewness", ((values - mean) ** 3).mean() / variance**1.5
    yield "TotalEnergy", (values**2).sum() * voxel_mm3
    yield "Uniformity", (share**2).sum()
    yield "Variance", variance


def _shape(mask: np.ndarray, spacing: np.ndarray) -> Iterator[tuple[str, float]]:
    from skimage.measure import marching_cubes, mesh_surface_area

    # Where a 2 x 2 x 2 block of the mask can be cut in two ways, scikit-image and PyRadiomics cut
    # differently:
    # on the MNI brain at 2 mm, area and sphericity differ by 5 in 100 000, the mesh volume by 1.
    vertices, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float64), 0.5, spacing=tuple(spacing))
    first, second, third = vertices[faces].transpose(1, 0, 2)
    mesh_volume = abs((first * np.cross(second, third)).sum()) / 6
    area = mesh_surface_area(vertices, faces)
    axes = _principal_axes(np.argwhere(mask) * spacing)
    yield "VoxelVolume", mask.sum() * spacing.prod()
    yield "MeshVolume", mesh_volume
    yield "SurfaceArea", area
    yield "SurfaceVolumeRatio", area / mesh_volume
    yield "Sphericity", (36 * np.pi * mesh_volume**2) ** (1 / 3) / area
    yield "LeastAxisLength", axes[0]
    yield "MinorAxisLength", axes[1]
    yield "MajorAxisLength", axes[2]
    yield "Elongation", axes[1] / axes[2]
    yield "Flatness", axes[0] / axes[2]
    yield "Maximum3DDiameter", _diameter(vertices)
    for axis, plane in enumerate(("Slice", "Column", "Row")):
        position = vertices[:, axis]
        yield (
            f"Maximum2DDiameter{plane}",
            max(_diameter(vertices[position == here]) for here in np.unique(position)),
        )


def _principal_axes(points: np.ndarray) -> np.ndarray:
    """Compute the lengths of the axes of the ellipsoid with the points' covariance, shortest first, in mm."""
    variances = np.linalg.eigvalsh(np.cov(points.T, bias=True))
    return 4 * np.sqrt(np.clip(variances, 0, None))


def _diameter(points: np.ndarray) -> float:
    """Find the largest distance between two points; it is between corners of the convex hull."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    if len(points) == 1:
        return 0.0
    spread = points[:, np.ptp(points, axis=0) > 0]
    if spread.shape[1] > 1 and len(spread) > 100:
        spread = spread[ConvexHull(spread).vertices]
    return pdist(spread).max()


def _texture(levels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    from mirp import extract_features  # imported here: only the measuring processes pay for it

    with _root_logger_kept():
        measured = extract_features(
            image=levels.astype(np.float64), mask=mask.astype(np.int64), export_features=True, **MIRP_SETTINGS
        )[0].iloc[0]
    # MIRP's columns carry suffixes for its settings; the abbreviation before them is followed by _d1 or _3d
    short = {column.split("_d1")[0].split("_3d")[0]: value for column, value in measured.items()}
    return {
        f"{family}_{name}": short[abbr] for family, names in TEXTURE.items() for name, abbr in names.items()
    }


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """MIRP sets the root logger to print everything; it does not where there is a handler already."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
