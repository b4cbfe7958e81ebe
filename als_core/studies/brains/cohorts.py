"""Opening synthetic brains as a checked cohort, and the fixed split that the slides print for them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from als_core.cohorts import volumes
from als_core.cohorts.check import About
from als_core.cohorts.splits import Split
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import Preprocessing
from als_core.refusal import Problem, RefusedInput
from als_core.storage import build_if_missing, content_key, file_digest, results_folder
from als_core.studies.brains import anatomy as brain_anatomy
from als_core.studies.brains import structures as brain_structures
from als_core.studies.brains import synthetic as synthetic_brain
from als_core.studies.brains.synthetic import BrainParameters, make_brains

CODE = (brain_anatomy, brain_structures, synthetic_brain, volumes)


def open_synthetic_brains(parameters: BrainParameters, progress: bool = True) -> VolumeCohort:
    """The synthetic cohort of these parameters, made first where it is not in the results folder yet.

    Bare brains are in MNI space already; whole heads are registered to it. Prepared at the resolution they
    were drawn at.
    """
    key = content_key(asdict(parameters), [file_digest(Path(module.__file__)) for module in CODE])
    folder = results_folder() / "cohorts" / f"synthetic-brains-{key}"
    build_if_missing(folder, lambda: make_brains(folder, parameters, progress=progress))
    registration = "affine" if parameters.whole_head else "already"
    return VolumeCohort.load(
        folder,
        Preprocessing(parameters.resolution, registration),
        name=f"synthetic-brains-{parameters.structure}",
        kind="synthetic",
        about=About(title=f"Synthetic brains with the counts of {parameters.structure}", label_of="group"),
    )


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
