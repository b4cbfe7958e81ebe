"""Synthetic T1-weighted brains with a known effect: planned as a table, rendered one volume at a time.

A volume is the bundled ICBM152's tissue, changed by age, sex and disease, bent by a smooth random field, seen
through a scanner (contrast, bias field, gain, Rician noise: Gudbjartsson & Patz 1995). AD loses medial
temporal grey matter and widens the ventricles; ALS loses precentral grey matter and darkens the corticospinal
tract. Random numbers come from (seed, patient, visit) alone; with `effect` 0 no volume depends on its
label."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import atomic_write
from als_core.studies.brains.anatomy import Anatomy, anatomy
from als_core.studies.brains.structures import STRUCTURES, Arm, ages_of, thinned

LEAST_PATIENTS = 3  # of a label in a part, however small the fraction: one each to train, validate and test
RESOLUTIONS = (1, 2, 3, 4)  # mm


@dataclass(frozen=True)
class BrainParameters:
    """What to draw.

    structure: whose margins, a key of STRUCTURES. fraction: share of its patients, above 0 to 1.
    resolution: voxel side, 1 to 4 mm. effect: size of what disease does, 1 for the size stated in
    DISEASES, 0 for none. age_effect, sex_effect: the same for age and sex; a cohort whose margins differ
    between labels depends on the label through them unless they are 0 too.
    whole_head: with skull and scalp, in a random pose that the affine states, as a scanner would give it;
    otherwise brain only, in MNI space.
    """

    structure: str = "panagiotaras-1.5T"
    fraction: float = 1.0
    resolution: int = 4
    effect: float = 1.0
    age_effect: float = 1.0
    sex_effect: float = 1.0
    whole_head: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        def problems() -> Iterable[Problem]:
            if self.structure not in STRUCTURES:
                yield Problem("structure", self.structure, f"one of {', '.join(STRUCTURES)}", "Choose one.")
            if not 0 < self.fraction <= 1:
                yield Problem("fraction", str(self.fraction), "above 0, at most 1", "Correct it.")
            if self.resolution not in RESOLUTIONS:
                yield Problem("resolution", f"{self.resolution} mm", "1, 2, 3 or 4 mm", "Choose one.")
            if min(self.effect, self.age_effect, self.sex_effect) < 0:
                yield Problem("effect", "a negative size", "0 or more", "Correct it.")

        refuse_if("The parameters of synthetic brains", problems())


@dataclass(frozen=True)
class Disease:
    """What one label does at effect 1 in an average patient, at the first visit.

    shrinks: place whose grey matter becomes fluid, and the share lost. widening: of the ventricles, mm.
    darkens: place whose white matter loses signal, and the share lost.
    """

    shrinks: tuple[str, float]
    widening: float = 0.0
    darkens: tuple[str, float] | None = None


DISEASES: dict[str, Disease] = {
    "AD": Disease(shrinks=("medial temporal", 0.30), widening=2.0),
    "ALS": Disease(shrinks=("precentral", 0.15), darkens=("corticospinal", 0.08)),
}
PROGRESSION = 0.15  # further effect a visit, as a share of the first
SEVERITY_SPREAD = 0.35  # sd of the logarithm of a patient's severity


@dataclass(frozen=True)
class Scanner:
    """Signal of each tissue (white matter is 1), bias (sd of its logarithm), noise sd at 1 mm."""

    grey: float
    fluid: float
    bias: float
    noise: float


# More contrast, more signal and more bias at the higher field.
SCANNERS: dict[float, Scanner] = {
    1.5: Scanner(grey=0.76, fluid=0.34, bias=0.05, noise=0.045),
    3.0: Scanner(grey=0.70, fluid=0.26, bias=0.10, noise=0.03),
}

AGE_CENTRE, AGE_LOSS, AGE_WIDENING = 65.0, 0.003, 0.05  # years; share of grey matter and mm, each a year
GREY_SPREAD, WIDENING_MEAN, WIDENING_SPREAD = 0.03, 1.0, 0.7
SEX_SCALE = 0.01  # of each length; registration takes away most of the difference in head size
# Fields bend anatomy at three scales (mm between control points, mm sd): lobes, gyri, and between visits.
BENDING = ((40.0, 3.0), (16.0, 1.5))
VISIT_BENDING = (40.0, 0.3)
BIAS_SPACING = 70.0
GAIN_SPREAD, WHITE_LEVEL = 0.15, 100.0
GREY_LEVEL_SPREAD = 0.02  # of the grey-to-white contrast between visits
FLUID_RIM, SKULL, SCALP = 2.5, 7.0, 15.0  # mm from the brain to the end of each layer
SKULL_SIGNAL, SCALP_SIGNAL = 0.12, 0.85
POSE_DEGREES, POSE_MM = 6.0, 8.0


TRUTH_FROM = 0.1  # of the largest change of signal: voxels below are not counted as changed


def without_effects(parameters: BrainParameters) -> BrainParameters:
    """The null cohort: same plan, and volumes that depend on neither label nor age nor sex."""
    return replace(parameters, effect=0.0, age_effect=0.0, sex_effect=0.0)


def plan(parameters: BrainParameters) -> pd.DataFrame:
    """The cohort as a table, one row a scan, with the columns of a volume manifest and `part`.

    path, mask (the effect map), label, group (patient), visit (0, 1, ... a year apart), age (years),
    sex (M, F), field_strength (tesla), diagnosis, part (of the published fixed split, or "all").
    """
    structure = STRUCTURES[parameters.structure]
    rows, numbered = [], 0
    for place, arm in enumerate(structure.arms):
        generator = np.random.default_rng([parameters.seed, zlib.crc32(parameters.structure.encode()), place])
        for patient in _patients(arm, parameters.fraction, generator):
            numbered += 1
            group = f"{structure.field_strength:g}T-{numbered:04d}"
            for visit in range(patient["scans"]):
                name = f"{group}_visit{visit}.nii.gz"
                rows.append(
                    {
                        "path": f"volumes/{name}",
                        "mask": f"effects/{name}",
                        "label": arm.label,
                        "group": group,
                        "visit": visit,
                        "age": round(patient["age"] + visit, 1),
                        "sex": patient["sex"],
                        "field_strength": structure.field_strength,
                        "diagnosis": patient["diagnosis"],
                        "part": patient["part"],
                    }
                )
    return pd.DataFrame(rows)


def _patients(arm: Arm, fraction: float, generator: np.random.Generator) -> list[dict]:
    """One arm's patients; margins are thinned evenly, then combined at random."""
    parts, scans = [], []
    for part, (patients, visits) in arm.parts.items():
        count = max(LEAST_PATIENTS, round(fraction * patients))
        each = visits // patients + (np.arange(patients) < visits % patients)  # as equal as they go
        parts += [part] * count
        scans.append(generator.permutation(thinned(np.sort(each), count)))
    count = len(parts)
    men = arm.patients // 2 if arm.men is None else arm.men
    margins = {
        "sex": np.repeat(["M", "F"], [men, arm.patients - men]),
        "diagnosis": np.repeat(list(arm.diagnoses), list(arm.diagnoses.values())),
        "age": ages_of(arm.ages, arm.patients),
    }
    drawn = {name: generator.permutation(thinned(values, count)) for name, values in margins.items()}
    drawn |= {"part": np.array(parts), "scans": np.concatenate(scans)}
    return [{name: values[i].item() for name, values in drawn.items()} for i in range(count)]


def render(parameters: BrainParameters, row: pd.Series) -> np.ndarray:
    """One scan of a plan: float32 (X, Y, Z), 0 and up, white matter near 100; 0 outside a bare brain.

    On the MNI grid of `parameters.resolution`; for a whole head `scanner_affine` says where it lies.
    """
    body = anatomy(parameters.resolution)
    scanner = SCANNERS[float(row["field_strength"])]
    visit = np.random.default_rng(_stream(parameters, row, visit=True))
    contrast = replace(scanner, grey=scanner.grey * (1 + GREY_LEVEL_SPREAD * visit.standard_normal()))
    signal = _bent(_signal(body, parameters, row, contrast, _severity(parameters, row)), parameters, row)
    brain = signal > 0.3 * scanner.fluid
    seen = signal * np.exp(_smooth_field(body, BIAS_SPACING, scanner.bias, visit))
    # averaging n voxels of 1 mm into one divides the noise by the root of n
    noise = scanner.noise / parameters.resolution**1.5
    one, other = visit.standard_normal((2, *signal.shape), dtype=np.float32)
    seen = np.hypot(seen + np.float32(noise) * one, np.float32(noise) * other)
    gain = WHITE_LEVEL * np.exp(GAIN_SPREAD * visit.standard_normal())
    return (seen if parameters.whole_head else seen * brain) * np.float32(gain)


def render_effect(parameters: BrainParameters, row: pd.Series) -> np.ndarray:
    """The true effect map of one scan: float32 (X, Y, Z), where and by how much disease changed its signal.

    The absolute change of the noise-free signal at the scan's field strength, white matter being 1, bent
    as the scan is. All 0 for a label without an effect, and for every label where `effect` is 0.
    """
    body = anatomy(parameters.resolution)
    scanner = SCANNERS[float(row["field_strength"])]
    severity = _severity(parameters, row)
    if severity == 0:
        return np.zeros_like(body.grey)
    ill, well = (_signal(body, parameters, row, scanner, each) for each in (severity, 0.0))
    return _bent(np.abs(ill - well), parameters, row)


def effect_map(parameters: BrainParameters, label: str) -> np.ndarray:
    """The effect of one label on an average unbent brain in MNI space: float32 (X, Y, Z), white matter 1.

    Where heatmaps over a cohort are scored. At `effect` 0 it is all 0; ask with `effect` 1 for the places.
    """
    structure = STRUCTURES[parameters.structure]
    body = anatomy(parameters.resolution)
    scanner = SCANNERS[structure.field_strength]
    average = _Person(age=AGE_CENTRE, grey=0.0, widening=WIDENING_MEAN)
    ill, well = (
        _tissue_signal(body, parameters, average, label, scanner, severity)
        for severity in (parameters.effect, 0.0)
    )
    return np.abs(ill - well)


def true_places(effect: np.ndarray) -> np.ndarray:
    """The voxels that disease changes, bool: where the effect is above TRUTH_FROM of its largest value."""
    return effect > TRUTH_FROM * effect.max()


def make_brains(folder: Path | str, parameters: BrainParameters, progress: bool = True) -> Path:
    """Write a cohort folder: manifest.csv, volumes/, effects/, and synthetic.json with the parameters.

    The folder appears whole or not at all. Volumes are int16 NIfTI with a scale factor. Raises RefusedInput
    when the folder is there already.
    """
    folder = Path(folder)
    if folder.exists():
        problem = Problem(str(folder), "a folder that exists", "a new one", "Remove it, or name another.")
        raise RefusedInput("The synthetic brains", [problem])
    table = plan(parameters)
    with atomic_write(folder) as tmp_dir:
        for name in ("volumes", "effects"):
            (tmp_dir / name).mkdir(parents=True)
        rows = (row for _, row in table.iterrows())
        for row in tqdm(rows, total=len(table), desc="synthetic brains", disable=not progress):
            affine = scanner_affine(parameters, row)
            _write(tmp_dir / row["path"], render(parameters, row), affine)
            _write(tmp_dir / row["mask"], render_effect(parameters, row), affine)
        table.to_csv(tmp_dir / "manifest.csv", index=False)
        (tmp_dir / "synthetic.json").write_text(
            json.dumps(asdict(parameters), indent=2) + "\n", encoding="utf-8"
        )
    return folder


def scanner_affine(parameters: BrainParameters, row: pd.Series) -> np.ndarray:
    """Where the scan's voxels lie, 4 x 4, mm, RAS+: the MNI grid, for a whole head in its pose."""
    return pose(parameters, row) @ anatomy(parameters.resolution).affine


def pose(parameters: BrainParameters, row: pd.Series) -> np.ndarray:
    """The rigid motion from MNI to scanner space of one scan, 4 x 4 in mm; the identity for a bare brain."""
    motion = np.eye(4)
    if parameters.whole_head:
        generator = np.random.default_rng([*_stream(parameters, row, visit=True), 1])
        angles = POSE_DEGREES * generator.standard_normal(3)
        motion[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        motion[:3, 3] = POSE_MM * generator.standard_normal(3)
    return motion


def _write(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_data_dtype(np.int16)
    nibabel.save(image, path)


@dataclass(frozen=True)
class _Person:
    """What differs between people before disease: age (years), grey matter (share), ventricles (mm)."""

    age: float
    grey: float
    widening: float


def _stream(parameters: BrainParameters, row: pd.Series, visit: bool) -> list[int]:
    patient = zlib.crc32(str(row["group"]).encode())
    return [parameters.seed, patient, 1 + int(row["visit"]) if visit else 0]


def _severity(parameters: BrainParameters, row: pd.Series) -> float:
    """Size of the effect in this scan. The draw is made for every label, so that none shifts the others."""
    own = np.random.default_rng([*_stream(parameters, row, visit=False), 2]).standard_normal()
    spread = np.exp(SEVERITY_SPREAD * own - SEVERITY_SPREAD**2 / 2)  # mean 1
    present = row["label"] in DISEASES
    return parameters.effect * present * spread * (1 + PROGRESSION * int(row["visit"]))


def _signal(
    body: Anatomy, parameters: BrainParameters, row: pd.Series, scanner: Scanner, severity: float
) -> np.ndarray:
    """Noise-free signal of a scan before it is bent."""
    own = np.random.default_rng([*_stream(parameters, row, visit=False), 3]).standard_normal(2)
    person = _Person(
        age=float(row["age"]),
        grey=GREY_SPREAD * own[0],
        widening=WIDENING_MEAN + WIDENING_SPREAD * own[1],
    )
    return _tissue_signal(body, parameters, person, row["label"], scanner, severity)


def _tissue_signal(
    body: Anatomy, parameters: BrainParameters, person: _Person, label: str, scanner: Scanner, severity: float
) -> np.ndarray:
    years = parameters.age_effect * (person.age - AGE_CENTRE)
    lost = np.full_like(body.grey, AGE_LOSS * years + person.grey)
    widening = person.widening + AGE_WIDENING * years
    white_signal = np.float32(1)
    if severity > 0:
        disease = DISEASES[label]
        place, share = disease.shrinks
        lost += np.float32(severity * share) * body.places[place]
        widening += severity * disease.widening
        if disease.darkens:
            place, share = disease.darkens
            white_signal = 1 - np.float32(min(severity * share, 1)) * body.places[place]  # at most all of it
    grey = np.minimum(
        body.grey * np.maximum(1 - lost, 0), body.grey + body.fluid
    )  # what grows, grows into fluid
    fluid = body.fluid + body.grey - grey
    # the border of the ventricles moves outwards by `widening`, fading over one voxel
    reached = np.clip((max(widening, 0.0) - body.ventricles) / max(parameters.resolution, 1) + 0.5, 0, 1)
    tissue = body.white * white_signal + scanner.grey * grey + scanner.fluid * fluid
    brain = body.white + body.grey + body.fluid
    signal = tissue + reached * (scanner.fluid * brain - tissue)
    if parameters.whole_head:
        signal = signal + (1 - brain) * _shell(body, scanner)
    return signal.astype(np.float32)


def _shell(body: Anatomy, scanner: Scanner) -> np.ndarray:
    """Signal of fluid, skull and scalp around the brain."""
    layers = [body.outside <= FLUID_RIM, body.outside <= SKULL, body.outside <= SCALP]
    return np.select(layers, [scanner.fluid, SKULL_SIGNAL, SCALP_SIGNAL], 0.0)


def _bent(field: np.ndarray, parameters: BrainParameters, row: pd.Series) -> np.ndarray:
    """A field of the unbent brain as it lies in one scan, trilinear."""
    body = anatomy(parameters.resolution)
    patient = np.random.default_rng([*_stream(parameters, row, visit=False), 4])
    visit = np.random.default_rng([*_stream(parameters, row, visit=True), 4])
    scale = 1 - parameters.sex_effect * SEX_SCALE * (1 if row["sex"] == "M" else -1)
    places = []
    for axis, size in enumerate(field.shape):
        shift = sum(_smooth_field(body, spacing, sd, patient) for spacing, sd in BENDING)
        shift += _smooth_field(body, *VISIT_BENDING, visit)
        along = np.arange(size, dtype=np.float32)
        centre = -body.affine[axis, 3] / parameters.resolution  # the voxel at 0 mm
        along = (centre + scale * (along - centre)).reshape([-1 if k == axis else 1 for k in range(3)])
        places.append(along + shift / np.float32(parameters.resolution))
    return map_coordinates(field, np.stack(places), order=1, mode="constant")


def _smooth_field(body: Anatomy, spacing: float, sd: float, generator: np.random.Generator) -> np.ndarray:
    """A random field, float32 (X, Y, Z), mean 0, from cubic B-splines with random coefficients.

    sd is that of the field, at any spacing (mm) of its control points.
    """
    resolution = float(body.affine[0, 0])
    bases = [_spline_basis(n, spacing / resolution) for n in body.grey.shape]
    coefficients = generator.standard_normal([basis.shape[1] for basis in bases], dtype=np.float32)
    field = np.einsum("ia,abc->ibc", bases[0], coefficients, optimize=True)
    field = np.matmul(field.transpose(0, 2, 1), bases[1].T)  # (X, c, Y)
    field = np.matmul(field.transpose(0, 2, 1), bases[2].T)  # (X, Y, Z)
    return np.float32(sd / _SPLINE_SD**3) * field


@lru_cache(maxsize=64)
def _spline_basis(count: int, spacing: float) -> np.ndarray:
    """Cubic B-splines over `count` voxels, a knot every `spacing` voxels: float32 (count, splines)."""
    inner = int(np.ceil((count - 1) / spacing)) + 1
    knots = spacing * np.arange(-3, inner + 4)
    return BSpline.design_matrix(np.arange(count, dtype=float), knots, 3).toarray().astype(np.float32)


# Root of the mean over a knot interval of the sum of squared cubic B-splines: 151/315 a dimension.
_SPLINE_SD = (151 / 315) ** 0.5
