"""The T1w study (Turrisi 2024) on a cohort of brain volumes: its features, and what to expect where nothing is to find.

From volumes to three tables of features (radiomics, DL7, DL8), each subject measured once and kept in the
results folder; then null cohorts, made of measured features and labels that mean nothing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import nibabel
import numpy as np
import pandas as pd
from filelock import FileLock
from joblib import Parallel, delayed, parallel_config
from scipy.ndimage import binary_fill_holes, binary_opening
from tqdm import TqdmWarning

from als_core.cohorts.check import MANIFEST
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import SUFFIXES, Preprocessing
from als_core.refusal import RefusedInput
from als_core.storage import atomic_write, content_key, results_folder
from als_core.studies.brains.cohorts import open_synthetic_brains
from als_core.studies.brains.synthetic import BrainParameters, without_effects
from als_core.studies.turrisi2024.classifiers import METHODS, Method
from als_core.studies.turrisi2024.feature_table import MARGINS, NEIGHBOURS, least_class_size
from als_core.studies.turrisi2024.nested_cv import fold_metrics, nested
from als_core.studies.turrisi2024.radiomics import RadiomicSettings, radiomic_table

POSITIVE = "ALS"
STRUCTURE = "turrisi2024"
REPRESENTATIONS = ("Radiomics", "DL7", "DL8")
REPORTED = {"Radiomics": "DNNv", "DL7": "SVM (P)", "DL8": "SVM (P)"}  # Table 4: the method of each
SETTINGS = RadiomicSettings(
    normalised_sd=100
)  # intensities of T1w images have no unit; 25 is then a quarter sd
# of many null cohorts: tuned like any other, over two values instead of six
NULL_METHOD = replace(METHODS["SVM (L)"], grid={"C": (0.001, 0.1)})
FINE_MM = 1  # the extractor halves volumes of this resolution before anything else


@dataclass(frozen=True)
class TurrisiAmounts:
    """How much of the study a profile does.

    fraction: share of the 654 patients that synthetic brains are drawn of. at_most: of each label, the first
    this many of them; None all. effect: of the disease, 1 for the size stated in `synthetic_brain.DISEASES`.
    resolution: voxel side, mm.
    methods: classifiers by name, of `METHODS`. neighbours: of SMOTE. resamples: of each bootstrap interval.
    null_fraction: share of the patients drawn without any effect, from whom null cohorts are made.
    null_cohorts: how many. leaks_on: on how many of them, of one representation, each leak is replayed, by
    method. without_weights: what stands in for the public weights of the extractor where they cannot be had;
    None refuses to go on without them. jobs: processes.
    """

    fraction: float = 1.0
    at_most: int | None = None
    effect: float = 1.0
    resolution: int = 2
    methods: tuple[str, ...] = tuple(METHODS)
    neighbours: int = NEIGHBOURS
    resamples: int = 2000
    null_fraction: float = 0.2
    null_cohorts: int = 100
    leaks_on: dict[str, int] = field(default_factory=lambda: {"SVM (P)": 50, "DNNv": 50})
    without_weights: Literal["random"] | None = None
    jobs: int = 1


def open_patients(cohort: str, amounts: TurrisiAmounts, seed: int) -> VolumeCohort:
    """The patients of a folder of T1w volumes whose labels are ALS and one other, else synthetic ones.

    cohort: a folder, or the name of any other cohort of the book, for which the patients are synthetic. A
    reader's volumes are registered affinely. Raises RefusedInput with every problem found in them.
    """
    if _has_patients(cohort):
        return VolumeCohort.load(Path(cohort).expanduser(), Preprocessing(amounts.resolution, "affine"))
    drawn = open_synthetic_brains(_parameters(amounts.fraction, amounts, seed), progress=False)
    if amounts.at_most is None:
        return drawn
    first = drawn.samples.groupby("label").head(amounts.at_most)
    return replace(drawn, samples=first.reset_index(drop=True))


def _has_patients(cohort: str) -> bool:
    manifest = Path(cohort).expanduser() / MANIFEST
    if not manifest.is_file():
        return False
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    if not {"path", "label"} <= set(table):
        return False
    labels = set(table["label"])
    return POSITIVE in labels and len(labels) == 2 and table["path"].str.endswith(SUFFIXES).all()


def open_null_patients(amounts: TurrisiAmounts, seed: int) -> VolumeCohort:
    """Synthetic patients whose brains depend on neither label nor age nor sex."""
    parameters = without_effects(_parameters(amounts.null_fraction, amounts, seed + 1))
    return open_synthetic_brains(parameters, progress=False)


def _parameters(fraction: float, amounts: TurrisiAmounts, seed: int) -> BrainParameters:
    return BrainParameters(
        STRUCTURE, fraction=fraction, resolution=amounts.resolution, effect=amounts.effect, seed=seed
    )


def is_positive(cohort: VolumeCohort) -> np.ndarray:
    """Who has ALS, bool (n,)."""
    return (cohort.samples["label"] == POSITIVE).to_numpy()


def extractor(without_weights: str | None, seed: int = 0):
    """The network that gives DL7 and DL8, and in words where its weights are from.

    without_weights: "random" takes seeded random values where the public weights cannot be had, and says so;
    None raises RefusedInput there.
    """
    with warnings.catch_warnings():
        # in a notebook its import warns of a progress bar that is missing there, and is not used
        warnings.simplefilter("ignore", TqdmWarning)
        import pooch
    from als_core.studies.brains.networks import load_turrisi_weights, turrisi_network

    network = turrisi_network(seed=seed)
    pooch.get_logger().setLevel(logging.WARNING)  # it announces every download on stderr
    try:
        load_turrisi_weights(network)
    except RefusedInput:
        if without_weights != "random":
            raise
        return network, f"random weights (seed {seed}), because the public ones could not be had"
    return network, "public weights, trained to tell Alzheimer's disease from healthy ageing"


def measure_features(cohort: VolumeCohort, network, jobs: int = 1) -> dict[str, pd.DataFrame]:
    """Radiomics (n, 107), DL7 and DL8 (n, 256 each) of every patient, indexed by sample number.

    Each patient's values lie in a file of their own, named by the volume and what measured it, so an
    interrupted measurement goes on where it stopped. Two processes do not measure one cohort at a time: the
    second waits, and reads what the first has left.
    """
    folder = results_folder() / "features"
    folder.mkdir(parents=True, exist_ok=True)
    subjects = [str(number) for number in range(len(cohort))]
    load = partial(_for_radiomics, cohort)
    weights = content_key(*(value.numpy(force=True) for value in network.state_dict().values()))
    with FileLock(folder / f"{cohort.digest}.lock"):
        radiomics = radiomic_table(subjects, load, folder / "radiomics", SETTINGS, jobs)
        deep = [_deep(cohort, number, network, weights, folder / "deep") for number in range(len(cohort))]
    tables = {"Radiomics": radiomics}
    for name in ("DL7", "DL8"):
        values = np.stack([each[name] for each in deep]).astype(np.float64)
        columns = [f"{name}_{number:03d}" for number in range(values.shape[1])]
        tables[name] = pd.DataFrame(values, radiomics.index, columns)
    return tables


def intensities(cohort: VolumeCohort, number: int) -> np.ndarray:
    """A prepared volume as it was before normalisation: float32 (X, Y, Z), the scanner's unit, 0 outside the brain.

    A normalised volume has its mean at 0, where background lies too: who needs to tell them apart starts here.
    """
    settings = next(step for step in cohort.record(number) if step["step"] == "normalisation")
    nothing = -settings["mean"] / settings["sd"]  # what an intensity of 0 became
    volume = cohort.volume(number)
    signal = (volume != 0) & (volume > nothing + 1e-4)
    return np.where(signal, volume * np.float32(settings["sd"]) + np.float32(settings["mean"]), np.float32(0))


def brain_of(cohort: VolumeCohort, number: int) -> np.ndarray:
    """The patient's own brain after registration, bool (X, Y, Z): the template's mask where there is signal.

    The template's mask alone would give everybody the same shape. Holes are filled, and bumps of a single
    voxel's width are taken off.
    """
    return binary_opening(binary_fill_holes(intensities(cohort, number) > 0), np.ones((2, 2, 2)))


def _for_radiomics(cohort: VolumeCohort, number: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    return cohort.volume(number), brain_of(cohort, number), (cohort.settings.resolution,) * 3


def _deep(cohort: VolumeCohort, number: int, network, weights: str, folder: Path) -> dict[str, np.ndarray]:
    # as the extractor was trained: background, at 0, is darker than any brain
    volume = intensities(cohort, number)
    file = folder / f"{content_key(volume, weights, cohort.settings.resolution)}.npz"
    if not file.exists():
        from als_core.studies.brains.networks import deep_features, turrisi_input

        # the extractor's first step keeps every second voxel, which would halve again what is coarse already
        times = 1 if cohort.settings.resolution == FINE_MM else 2
        repeated = volume.repeat(times, 0).repeat(times, 1).repeat(times, 2)
        image = nibabel.Nifti1Image(repeated, cohort.grid.affine)
        with atomic_write(file) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream,
                **{name: each[0] for name, each in deep_features(network, turrisi_input(image)).items()},
            )
    with np.load(file) as stored:
        return {name: stored[name] for name in ("DL7", "DL8")}


def varying(features: pd.DataFrame) -> pd.DataFrame:
    """The columns that are not the same for everybody: the others can tell nobody apart, and are refused."""
    return features.loc[:, np.ptp(features.to_numpy(), axis=0) > 0]


def group_differences(representations: Mapping[str, pd.DataFrame], positive: np.ndarray) -> pd.DataFrame:
    """Standardised difference of the groups' means (Cohen's d) in each feature; above 0: greater in ALS.

    Columns representation, family (of radiomics; else the representation), feature, d.
    """
    rows = []
    for name, features in representations.items():
        groups = features[positive], features[~positive]
        squares = sum(group.var() * (len(group) - 1) for group in groups)
        spread = np.sqrt(squares / (len(features) - 2))
        d = (groups[0].mean() - groups[1].mean()) / spread
        family = [column.partition("_")[0] if name == "Radiomics" else name for column in features]
        rows.append(
            pd.DataFrame({"representation": name, "family": family, "feature": d.index, "d": d.to_numpy()})
        )
    return pd.concat(rows, ignore_index=True)


def null_labels(subjects: int, cohorts: int, neighbours: int, seed: int) -> list[np.ndarray]:
    """Labels that mean nothing, one bool (subjects,) a cohort: mimics in the published share, or as SMOTE needs."""
    als, mimics = (group.size for group in MARGINS)
    negatives = max(round(subjects * mimics / (als + mimics)), least_class_size(neighbours))
    generator = np.random.default_rng(seed)
    return [generator.permutation(subjects) >= negatives for _ in range(cohorts)]


def null_areas(
    representations: Mapping[str, pd.DataFrame],
    labels: list[np.ndarray],
    method: Method,
    seed: int,
    neighbours: int,
    jobs: int = 1,
) -> pd.DataFrame:
    """AUC of the nested protocol on null cohorts, with their labels and with these permuted.

    representations: name -> features (n, F) of patients without an effect. jobs: processes, each with one
    thread; the areas do not depend on it. One row a representation and cohort: `representation`, `cohort`,
    `nested`, `permuted`, means over folds and trials.
    """
    tasks = [
        (name, number, features.to_numpy(np.float64), positive)
        for name, features in representations.items()
        for number, positive in enumerate(labels)
    ]
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        rows = Parallel()(delayed(_null_area)(*task, method, seed, neighbours) for task in tasks)
    return pd.DataFrame(rows, columns=["representation", "cohort", "nested", "permuted"])


def _null_area(
    name: str,
    number: int,
    features: np.ndarray,
    positive: np.ndarray,
    method: Method,
    seed: int,
    neighbours: int,
) -> tuple[str, int, float, float]:
    shuffled = np.random.default_rng((seed, number)).permutation(positive)
    nested_auc, permuted_auc = (
        fold_metrics(nested(features, truth, method, seed + number, neighbours).predictions)["auc"].mean()
        for truth in (positive, shuffled)
    )
    return name, number, nested_auc, permuted_auc


def null_summary(areas: pd.DataFrame) -> pd.DataFrame:
    """By representation: both mean AUCs, the standard error of their difference, and whether it is within three.

    areas: from `null_areas`. Columns representation, cohorts, nested, permuted, error, holds.
    """
    rows = []
    for name, ours in areas.groupby("representation", sort=False):
        difference = ours["nested"] - ours["permuted"]
        error = difference.std() / np.sqrt(len(ours))
        within = bool(abs(difference.mean()) <= 3 * error)
        rows.append((name, len(ours), ours["nested"].mean(), ours["permuted"].mean(), error, within))
    return pd.DataFrame(rows, columns=["representation", "cohorts", "nested", "permuted", "error", "holds"])


def best_methods(metrics: pd.DataFrame) -> dict[str, str]:
    """For each representation the method with the greatest mean balanced accuracy, an optimistic choice.

    metrics: from `nested.fold_metrics`.
    """
    means = metrics.groupby(["representation", "method"], sort=False)["balanced_accuracy"].mean()
    return {name: ours.idxmax()[1] for name, ours in means.groupby("representation", sort=False)}
