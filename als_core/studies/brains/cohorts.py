"""The brains a page is about, by name: synthetic, OASIS-1, ADNI, or a reader's own folder of volumes.

| `brains`      | where the scans come from                                              | true effect |
|---------------|------------------------------------------------------------------------|-------------|
| `synthetic`   | drawn by `als_core.studies.brains.synthetic`                           | known       |
| `oasis1`      | ALS_DATA/oasis1, else grey-matter maps that nilearn downloads          | unknown     |
| `adni:FOLDER` | NIfTI files with ADNI's tables (`als_core.studies.brains.adni`)        | unknown     |
| `FOLDER`      | `manifest.csv` (path, label, group, and visit where known) and volumes | unknown     |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from als_core.cohorts.check import MANIFEST, About, read_manifest
from als_core.cohorts.splits import Split
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import Preprocessing, registration_needed
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import build_if_missing, code_digest, content_key, exclusive_lock, results_folder
from als_core.studies.brains.adni import read_adni_folder
from als_core.studies.brains.oasis import oasis_cohort
from als_core.studies.brains.synthetic import BrainParameters, make_brains

PATIENTS, CONTROLS = "AD", "CN"
MODELS = {
    "panagiotaras-1.5T": "the 1.5T scans of the Alzheimer slides (Panagiotaras)",
    "panagiotaras-3T": "the 3T scans of the Alzheimer slides (Panagiotaras)",
    "turrisi2024": "the paper's patients",
}
ALL_SCANS = "all scans"  # in place of a field strength, where the manifest has none


def open_brains(
    name: str, synthetic: Mapping[str, BrainParameters], *, folds: int, patients: str = PATIENTS
) -> dict[str, VolumeCohort]:
    """Open and prepare the brains of a page, a cohort for each field strength.

    Parameters
    ----------
    name : see the table above
    synthetic : the synthetic cohort of each field strength, such as "1.5T"; their resolution is everybody's
    folds : each label needs this many patients; a field strength with fewer is left out, and a notice says so
    patients : the label whose score is explained

    Raises
    ------
    RefusedInput
        For anything that would make a split by patient impossible or its numbers wrong: no patients named,
        two scans of one visit, columns exchanged, other than two labels, too few patients.
    """
    if name == "synthetic":
        return {field: prepared_brains(parameters) for field, parameters in synthetic.items()}
    resolution = max(parameters.resolution for parameters in synthetic.values())
    cohorts = _by_field(find_brains(name, resolution, folds, patients), folds)
    for each in cohorts.values():
        each.prepare()
    return cohorts


def find_brains(name: str, resolution: int, folds: int, patients: str = PATIENTS) -> VolumeCohort:
    """Open and check all scans of OASIS-1, ADNI or a folder. Nothing is prepared yet.

    Parameters and refusals are those of `open_brains`.
    """
    if name == "oasis1":
        cohort = oasis_cohort(resolution)
    elif name.startswith("adni:"):
        folder = Path(name.removeprefix("adni:")).expanduser()
        table, left_out = read_adni_folder(folder, (PATIENTS, CONTROLS))
        method = registration_needed(folder / path for path in table["path"])
        about = About(title="ADNI scans", citation="https://adni.loni.usc.edu", label_of="group")
        cohort = VolumeCohort.load(
            folder, Preprocessing(resolution, method), name="adni", about=about, table=table
        )
        cohort = replace(cohort, notices=(*cohort.notices, *left_out))
    else:
        cohort = _own_folder(Path(name).expanduser(), resolution)
    refuse_if(f"The brains in {cohort.folder}", _problems(cohort, patients, folds))
    return cohort


def open_synthetic_brains(parameters: BrainParameters, progress: bool = True) -> VolumeCohort:
    """The synthetic cohort of these parameters, drawn first where it is not in the results folder yet.

    Bare brains are in MNI space already; whole heads are registered to it. Prepared at the resolution they
    were drawn at.
    """
    key = content_key(asdict(parameters), code_digest(BrainParameters.__module__))
    folder = results_folder() / "cohorts" / f"synthetic-brains-{key}"
    build_if_missing(folder, lambda: make_brains(folder, parameters, progress=progress))
    registration = "affine" if parameters.whole_head else "already"
    return VolumeCohort.load(
        folder,
        Preprocessing(parameters.resolution, registration),
        name=f"synthetic-brains-{parameters.structure}",
        kind="synthetic",
        about=About(title=f"Synthetic brains modelled on {MODELS[parameters.structure]}", label_of="group"),
    )


def prepared_brains(parameters: BrainParameters) -> VolumeCohort:
    """The synthetic cohort of these parameters, drawn and prepared once, by one process at a time."""
    with exclusive_lock(results_folder() / "cohorts" / parameters.structure):
        cohort = open_synthetic_brains(parameters, progress=False)
        cohort.prepare()
    return cohort


def at_resolution(cohort: VolumeCohort, resolution: int) -> VolumeCohort:
    """The same scans prepared at another resolution (mm)."""
    other = replace(cohort, settings=replace(cohort.settings, resolution=resolution))
    other.prepare()
    return other


def published_split(cohort: VolumeCohort) -> Split:
    """The fixed split of the slides' data tables, by patient: parts "train" and "validation", no test part.

    Raises RefusedInput for a cohort whose manifest does not say which part a scan is in.
    """
    found = sorted(cohort.samples["part"].unique()) if "part" in cohort.samples else []
    if found != ["train", "validation"]:
        problem = Problem(
            "column `part`",
            ", ".join(found) or "none",
            "train and validation",
            "Use a cohort with the slides' structure, or split by group.",
        )
        raise RefusedInput(f"The published split of {cohort.name}", [problem])
    return Split("published fixed split", "group", cohort.samples["part"].to_numpy(dtype=str))


def _own_folder(folder: Path, resolution: int) -> VolumeCohort:
    table = read_manifest(folder, folder / MANIFEST)
    few = table["label"].nunique()
    if "group" in table and table["group"].nunique() == 2 < few:
        problem = Problem(
            f"{MANIFEST}, columns `label` and `group`", f"{few} labels and 2 groups",
            "few labels and many patients",
            "The columns look exchanged: put AD or CN (say) into `label`, the patient into `group`.",
        )  # fmt: skip
        raise RefusedInput(f"The brains in {folder}", [problem])
    method = registration_needed(folder / path for path in table["path"])
    cohort = VolumeCohort.load(folder, Preprocessing(resolution, method))
    if "visit" in cohort.samples or "group" not in cohort.samples:
        return cohort
    return replace(cohort, samples=cohort.samples.assign(visit=cohort.samples.groupby("group").cumcount()))


def _problems(cohort: VolumeCohort, patients: str, folds: int) -> Iterator[Problem]:
    samples, where = cohort.samples, "the scans" if cohort.name == "adni" else MANIFEST
    if len(cohort.classes) != 2 or patients not in cohort.classes:
        name = cohort.classes[0]
        remedy = f"Keep two labels, and name that of the patients: als book --patients {name}, or papermill -p patients {name}."
        yield Problem(where, f"labels {', '.join(cohort.classes)}", f"{patients} and one other", remedy)
    if cohort.groups is None:
        yield Problem(
            where, "no column `group`", "the patient of each scan", "Add it: scans are split by patient."
        )
        return
    torn = samples.groupby("group")["label"].nunique()
    for group in torn[torn > 1].index:
        yield Problem(
            f"patient {group}", "two labels", "one label a patient", "Correct it, or drop the patient."
        )
    if "visit" in samples:
        for (group, visit), scans in samples.groupby(["group", "visit"]):
            if len(scans) > 1:
                found = f"{len(scans)} scans, {' and '.join(scans['path'])}"
                yield Problem(
                    f"patient {group}, visit {visit}", found, "one scan a visit", "Keep one of them."
                )
    for label, count in samples.groupby("label")["group"].nunique().items():
        if count < folds:
            yield Problem(
                f"label {label}", f"{count} patients", f"at least {folds}, one for each fold", "Add patients."
            )


def _by_field(cohort: VolumeCohort, folds: int) -> dict[str, VolumeCohort]:
    """A cohort for each field strength that has enough patients of both labels; all scans where none has."""
    if "field_strength" not in cohort.samples:
        return {ALL_SCANS: cohort}
    fields = {}
    for tesla, rows in cohort.samples.groupby("field_strength").indices.items():
        part = cohort.subset(rows)
        patients = part.samples.groupby("label")["group"].nunique()
        if len(patients) == 2 and patients.min() >= folds:
            fields[f"{tesla:g}T"] = part
    used = sum(map(len, fields.values()))
    if not fields:
        return {ALL_SCANS: cohort}
    if used == len(cohort):
        return fields
    notice = (
        f"{len(cohort) - used} scans are at field strengths with fewer than {folds} patients of a label and "
        "are left out."
    )
    return {field: replace(part, notices=(*part.notices, notice)) for field, part in fields.items()}


def with_labels(cohort: VolumeCohort, labels: np.ndarray) -> VolumeCohort:
    """The same scans with other labels (class numbers), such as permuted ones."""
    return replace(cohort, samples=cohort.samples.assign(label=np.array(cohort.classes)[labels]))
