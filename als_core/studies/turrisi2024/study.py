"""The T1w study (Turrisi 2024) on a cohort of brain volumes: patients, features, and two controls.

From volumes to three tables of features (radiomics, DL7, DL8), each subject measured once and kept in the
results folder. Null patients have no effect of anything, so that a score on them is chance; control patients
have the atrophy that the extractor was trained to find, so that a feature that ignores it says nothing about
ALS either.
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
from scipy.ndimage import binary_fill_holes, binary_opening
from tqdm import TqdmWarning

from als_core.cohorts.check import MANIFEST
from als_core.cohorts.folders import feature_file
from als_core.cohorts.samples import Kind, Samples
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.refusal import Problem, RefusedInput
from als_core.storage import (
    atomic_write,
    code_digest,
    content_key,
    exclusive_lock,
    file_digest,
    results_folder,
)
from als_core.studies.brains.cohorts import find_brains, open_brains, open_synthetic_brains
from als_core.studies.brains.oasis import MAPS
from als_core.studies.brains.synthetic import BrainParameters, without_effects
from als_core.studies.turrisi2024.classifiers import METHODS
from als_core.studies.turrisi2024.feature_table import NEIGHBOURS, least_class_size, load_feature_table
from als_core.studies.turrisi2024.radiomics import RadiomicSettings, radiomic_table

POSITIVE = "ALS"
STRUCTURE, CONTROL_STRUCTURE = "turrisi2024", "panagiotaras-1.5T"  # of `brains.structures`
REPRESENTATIONS = ("Radiomics", "DL7", "DL8")
OF_TABLE = "Your features"  # the representation of a reader's table
REPORTED = {"Radiomics": "DNNv", "DL7": "SVM (P)", "DL8": "SVM (P)"}  # Table 4: the method of each
# intensities of T1w images have no unit; 25 is then a quarter sd
SETTINGS = RadiomicSettings(normalised_sd=100)
# of many null cohorts: tuned like any other, over two values instead of six
NULL_METHOD = replace(METHODS["SVM (L)"], grid={"C": (0.001, 0.1)})
FINE_MM = 1  # the extractor halves volumes of this resolution before anything else


@dataclass(frozen=True)
class TurrisiAmounts:
    """Sizes and repeats of the study in a profile; the defaults are the published ones.

    fraction : share of the 654 patients that synthetic brains are drawn of.
    at_most : of each label, the first this many of them; None all.
    effect : of the disease, 1 for the size stated in `brains.synthetic.DISEASES`.
    resolution : voxel side, mm.
    methods : classifiers by name, of `METHODS`.
    neighbours : of SMOTE.
    resamples : of each bootstrap interval.
    null_fraction : share of the patients drawn without any effect, from whom null cohorts are made.
    null_cohorts : number of null cohorts.
    leaks_on : number of null cohorts, of one representation, on which each leak is replayed, by method.
    control_fraction : share of 344 patients of whom the positive control (Alzheimer-like atrophy) is drawn.
    control_effect : size of their atrophy; like `effect`.
    control_draws : draws of folds, and as many permutations of labels, in the positive control.
    without_weights : "random" allows random weights where the public ones of the extractor cannot be had.
    jobs : processes.
    """

    fraction: float = 1.0
    at_most: int | None = None
    effect: float = 1.0
    resolution: int = FINE_MM
    methods: tuple[str, ...] = tuple(METHODS)
    neighbours: int = NEIGHBOURS
    resamples: int = 2000
    null_fraction: float = 0.2
    null_cohorts: int = 100
    leaks_on: dict[str, int] = field(default_factory=lambda: {"SVM (P)": 50, "DNNv": 50})
    control_fraction: float = 1.0
    control_effect: float = 1.0
    control_draws: int = 100
    without_weights: Literal["random"] | None = None
    jobs: int = 1


@dataclass(frozen=True)
class TableCohort(Samples):
    """The subjects of a reader's feature table, as a page's cohort.

    samples : columns label, group (the subject, or the table's own), and age and sex where the table has them.
    features : float64 (n, F), indexed by sample number.
    """

    name: str
    samples: pd.DataFrame
    features: pd.DataFrame
    digest: str
    notices: tuple[str, ...] = ()
    kind: Kind = "own"

    @property
    def about(self) -> dict[str, str]:
        """What a page shows of the table beside its name: nothing."""
        return {}


def open_patients(
    brains: str, amounts: TurrisiAmounts, seed: int, patients: str = POSITIVE, features: str = ""
) -> VolumeCohort | TableCohort:
    """Open the subjects of a page, one scan or row each.

    Parameters
    ----------
    brains : "synthetic", or scans as `brains.cohorts.find_brains` takes them
    patients : label of the patients
    features : file of a feature table, in place of scans

    Raises
    ------
    RefusedInput
        With every problem found.
    """
    if features:
        return open_table(features, patients)
    if brains != "synthetic":
        scans = find_brains(brains, amounts.resolution, least_class_size(1), patients)
        first = first_scans(scans)
        if not (further := len(scans) - len(first)):
            return first
        shown = "the first visit of each is shown, or the first row where the manifest names no visits"
        notice = f"Left out: {further} further scans of patients; {shown}."
        return replace(first, notices=(*scans.notices, notice))
    drawn = open_synthetic_brains(_parameters(amounts.fraction, amounts, seed), progress=False)
    if amounts.at_most is None:
        return drawn
    first = drawn.samples.groupby("label").head(amounts.at_most)
    return replace(drawn, samples=first.reset_index(drop=True))


def open_table(features: str, patients: str = POSITIVE) -> TableCohort:
    """Open a feature table as a cohort, one row of each group, as `load_feature_table` reads it.

    features: a CSV file, or a folder that holds one table only. Raises RefusedInput with every problem found.
    """
    file = table_file(features)
    table = load_feature_table(file, patients, neighbours=1)
    samples = pd.DataFrame({"label": table.labels, "group": table.features.index})
    if table.groups is not None:
        samples["group"] = table.groups
    if table.demographics is not None:
        samples = samples.join(table.demographics.reset_index(drop=True))
    values = table.features.set_axis([str(number) for number in range(len(samples))])
    return TableCohort(file.name, samples, values, content_key(file_digest(file), patients), table.notices)


def table_file(features: str) -> Path:
    """File of a feature table, named itself or by the folder that holds no other table."""
    place = Path(features).expanduser().resolve()
    return (feature_file(place) or place / MANIFEST) if place.is_dir() else place


def fit_neighbours(amounts: TurrisiAmounts, positive: np.ndarray) -> TurrisiAmounts:
    """Lower the neighbours of SMOTE to what the smaller class allows in an inner training part."""
    members = int(min(positive.sum(), (~positive).sum()))
    fitting = [n for n in range(1, amounts.neighbours + 1) if least_class_size(n) <= members]
    return replace(amounts, neighbours=max(fitting, default=amounts.neighbours))


def open_null_patients(amounts: TurrisiAmounts, seed: int) -> VolumeCohort:
    """Open synthetic patients whose brains depend on neither label nor age nor sex."""
    parameters = without_effects(_parameters(amounts.null_fraction, amounts, seed + 1))
    return open_synthetic_brains(parameters, progress=False)


def open_control_patients(amounts: TurrisiAmounts, seed: int, brains: str = "synthetic") -> VolumeCohort:
    """Open the positive control: patients with Alzheimer's disease (AD) and controls, the first scan of each.

    Synthetic ones, with the sizes of a profile, are the brains of the Panagiotaras pages, which need them
    anyway. brains: those, or a name that `brains.cohorts.open_brains` takes. Raises RefusedInput for
    grey-matter maps, which the extractor does not know, and as `open_brains`.
    """
    parameters = BrainParameters(
        CONTROL_STRUCTURE,
        amounts.control_fraction,
        resolution=amounts.resolution,
        effect=amounts.control_effect,
        seed=seed,
    )
    if brains == "synthetic":
        opened = open_synthetic_brains(parameters, progress=False)
    else:
        folds = least_class_size(amounts.neighbours)
        opened = next(iter(open_brains(brains, {"all": parameters}, folds=folds).values()))
        if opened.about.get("title") == MAPS:
            problem = Problem("control", MAPS, "T1-weighted scans", "Put them into ALS_DATA/oasis1.")
            raise RefusedInput("The positive control", [problem])
    return first_scans(opened)


def first_scans(cohort: VolumeCohort) -> VolumeCohort:
    """Keep the first scan of each group, in manifest order: that of the lowest `visit`, where there is such a column."""
    samples = cohort.samples
    if "visit" in samples:
        samples = samples.sort_values("visit", kind="stable")
    return cohort.subset(sorted(samples.drop_duplicates("group").index))


def _parameters(fraction: float, amounts: TurrisiAmounts, seed: int) -> BrainParameters:
    return BrainParameters(
        STRUCTURE, fraction=fraction, resolution=amounts.resolution, effect=amounts.effect, seed=seed
    )


def is_positive(cohort: VolumeCohort | TableCohort, label: str = POSITIVE) -> np.ndarray:
    """Mark the patients with a label, bool (n,)."""
    return (cohort.samples["label"] == label).to_numpy()


def extractor(without_weights: str | None, seed: int = 0):
    """Build the network that gives DL7 and DL8; return it with a phrase that says where its weights are from.

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


def measure_features(cohort: VolumeCohort | TableCohort, network, jobs: int = 1) -> dict[str, pd.DataFrame]:
    """Measure radiomics (n, 107), DL7 and DL8 (n, 256 each) of every patient, indexed by sample number.

    Of a reader's table nothing is measured: its features are there.

    Each patient's values are in a file of their own, named by the volume and what measured it, so an
    interrupted measurement is resumed. Two processes do not measure one cohort at a time: the second waits,
    and reads what the first has stored.
    """
    if isinstance(cohort, TableCohort):
        return {OF_TABLE: cohort.features}
    folder = results_folder() / "features"
    subjects = [str(number) for number in range(len(cohort))]
    load = partial(_for_radiomics, cohort)
    with exclusive_lock(folder / f"radiomics-{cohort.digest}"):
        radiomics = radiomic_table(subjects, load, folder / "radiomics", SETTINGS, jobs)
    return {"Radiomics": radiomics} | measure_deep_features(cohort, network)


def measure_deep_features(cohort: VolumeCohort, network) -> dict[str, pd.DataFrame]:
    """Measure DL7 and DL8 (n, 256 each) of every patient; stored like those of `measure_features`."""
    from als_core.training.features import state_dict_digest

    folder = results_folder() / "features"
    weights = content_key(
        state_dict_digest(network.state_dict()), code_digest(__name__, "als_core.studies.brains.networks")
    )
    with exclusive_lock(folder / f"deep-{cohort.digest}"):
        deep = [_deep(cohort, number, network, weights, folder / "deep") for number in range(len(cohort))]
    subjects = pd.Index([str(number) for number in range(len(cohort))], name="subject")
    tables = {name: np.stack([each[name] for each in deep]).astype(np.float64) for name in ("DL7", "DL8")}
    return {
        name: pd.DataFrame(values, subjects, [f"{name}_{number:03d}" for number in range(values.shape[1])])
        for name, values in tables.items()
    }


def intensities(cohort: VolumeCohort, number: int) -> np.ndarray:
    """Undo the normalisation of a volume: float32 (X, Y, Z), the scanner's unit, 0 outside the brain.

    A normalised volume has its mean at 0, where background lies too; here the two can be told apart.
    """
    settings = next(step for step in cohort.record(number) if step["step"] == "normalisation")
    nothing = -settings["mean"] / settings["sd"]  # what an intensity of 0 became
    volume = cohort.volume(number)
    signal = (volume != 0) & (volume > nothing + 1e-4)
    return np.where(signal, volume * np.float32(settings["sd"]) + np.float32(settings["mean"]), np.float32(0))


def brain_of(cohort: VolumeCohort, number: int) -> np.ndarray:
    """Find the patient's own brain, bool (X, Y, Z): the reader's mask, else the template's where there is signal.

    The template's mask alone would give everybody the same shape. Holes are filled, and bumps of a single
    voxel's width are taken off.
    """
    own = cohort.mask(number)
    if own is not None:
        return own
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
    """Drop features that are the same for everybody: they separate nobody."""
    return features.loc[:, np.ptp(features.to_numpy(), axis=0) > 0]


def group_differences(representations: Mapping[str, pd.DataFrame], positive: np.ndarray) -> pd.DataFrame:
    """Compute Cohen's d of each feature between the groups; above 0: greater in the patients.

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


def best_methods(metrics: pd.DataFrame) -> dict[str, str]:
    """Pick for each representation the method with the greatest mean balanced accuracy, an optimistic choice.

    metrics: from `nested.fold_metrics`.
    """
    means = metrics.groupby(["representation", "method"], sort=False)["balanced_accuracy"].mean()
    return {name: ours.idxmax()[1] for name, ours in means.groupby("representation", sort=False)}


DIAGNOSES = {
    "cervical_spondylotic_myelopathy": "cervical spondylotic myelopathy",
    "myasthenia_gravis": "myasthenia gravis",
    "monomelic_amyotrophy": "monomelic amyotrophy (Hirayama)",
    "peripheral_motor_neuropathy": "peripheral motor neuropathy",
}


def demographic_claims(patients: pd.DataFrame) -> dict[str, float]:
    """Compute the printed summaries of age and sex from a table of patients, by claim id."""
    others = next(name for name in sorted(set(patients["label"])) if name != "ALS")
    by_group = patients.groupby("label")["age"].agg(["mean", "std", "median", "min", "max"])
    bands = pd.cut(patients["age"], [0, 59.95, 75.05, 200], labels=["under_60", "60_75", "over_75"])
    ages = {
        "mean_age": "mean",
        "sd_age": "std",
        "median_age": "median",
        "minimum_age": "min",
        "maximum_age": "max",
    }
    claims: dict[str, float] = {
        "turrisi2024.section2_1.als.subjects": int((patients["label"] == "ALS").sum())
    }
    for group, label in {"als": "ALS", "mimicking": others}.items():
        ours = patients["label"] == label
        claims |= {
            f"turrisi2024.section3_1_1.{group}.{name}": by_group.loc[label, column]
            for name, column in ages.items()
        }
        claims |= {
            f"turrisi2024.table1b.age.{band}.{group}.n": int((ours & (bands == band)).sum())
            for band in bands.cat.categories
        }
        claims |= {
            f"turrisi2024.table1b.sex.{sex.lower()}.{group}.n": int((ours & (patients["sex"] == sex)).sum())
            for sex in "FM"
        }
    return claims


def diagnosis_claims(patients: pd.DataFrame) -> dict[str, int]:
    """Count the mimics by diagnosis, by claim id."""
    counts = patients["diagnosis"].value_counts()
    return {
        f"turrisi2024.section2_1.mimicking.{slug}.subjects": int(counts[name])
        for slug, name in DIAGNOSES.items()
    }
