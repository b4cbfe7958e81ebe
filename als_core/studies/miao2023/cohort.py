"""The cohort of crops that a book is about: synthetic, or the reader's own folder.

A reader's crops may have any bit depth, odd sizes and several channels; they are read as
`als_core.studies.miao2023.crop_files` says and written anew as 8-bit squares of one size, which then are the cohort.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from als_core.cohorts.check import MANIFEST, About, check_cells, placement
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.sources import sources
from als_core.cohorts.tables import read_table
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import atomic_write, build_if_missing, content_key, file_digest, results_folder
from als_core.studies.miao2023 import crop_files
from als_core.studies.miao2023.crop_files import bit_depth, centre_square, read_channel, to_8_bits
from als_core.studies.miao2023.filters import as_grey
from als_core.studies.miao2023.synthetic import CASE, CropParameters, cohort_key, make_synthetic_crops

SYNTHETIC = "synthetic"
COLUMNS = ("path", "label", "group")
MULTIPLE = 4  # sides are trimmed to it, so that both 2x and 4x super-resolution divide them


def open_crops(cohort: str, parameters: CropParameters, seed: int = 0, channel: int | None = None) -> Cohort:
    """The crops of a folder whose labels are ALS and one other, else the synthetic crops.

    cohort: what the book is about: a folder with manifest.csv, or a name ("synthetic", or a public source). A
    book is about one cohort; where that one is no crops of ALS and controls, the synthetic ones stand here.
    parameters, seed: of the synthetic cohort. channel: of a reader's images that have several (see
    `read_channel`). Raises RefusedInput with every problem found.
    """
    if (
        cohort != SYNTHETIC
        and cohort not in sources()
        and _labels_fit(own := Path(cohort).expanduser().resolve())
    ):
        prepared = prepare_own_crops(own, results_folder() / "cohorts", channel)
        return Cohort.load(prepared, name=own.name, kind="own", about=About(title=own.name))
    folder = results_folder() / "cohorts" / f"synthetic-crops-{cohort_key(parameters, seed)}"
    build_if_missing(folder, lambda: make_synthetic_crops(folder, parameters, seed, progress=False))
    about = About(title="Synthetic microscopy crops", label_of="group")
    return Cohort.load(folder, name="synthetic-crops", kind="synthetic", about=about)


def prepare_own_crops(folder: Path, results: Path, channel: int | None = None) -> Path:
    """Write a reader's crops as 8-bit squares of one size under `results`, and say where.

    folder: has manifest.csv with `path`, `label` and `group`, the case a crop is of. The common size is that of
    the smallest crop; larger ones are reduced. Raises RefusedInput with every crop that cannot be used.
    """
    subject = f"The crops in {folder}"
    table = _manifest(folder)
    lacking = [name for name in COLUMNS if name not in table]
    remedy = "Add it; `group` names the case, and repeats the path where every crop is a case of its own."
    missing = [Problem(MANIFEST, f"no column `{each}`", "one", remedy, 1) for each in lacking]
    refuse_if(subject, missing or [*check_cells(table), *_label_problems(table)])
    crops, problems = [], []
    for row, name in enumerate(table["path"]):
        if misplaced := placement(folder, name, row + 2):
            problems += misplaced
            continue
        try:
            crops.append(centre_square(read_channel(folder / name, channel)))
        except RefusedInput as refusal:
            problems += [Problem(name, p.found, p.expected, p.remedy, row + 2) for p in refusal.problems]
        except ValueError as reason:
            expected = "a nearly square crop inside the folder"
            problems.append(Problem(name, str(reason), expected, "Crop it, or drop it.", row + 2))
    refuse_if(subject, problems)

    side = min(len(crop) for crop in crops) // MULTIPLE * MULTIPLE
    bits = bit_depth(crops)
    key = content_key(
        table.to_dict(orient="list"), *crops, file_digest(__file__), file_digest(crop_files.__file__)
    )
    target = results / f"own-crops-{key}"
    if not target.is_dir():
        with atomic_write(target) as room:
            (room / "crops").mkdir(parents=True)
            names = [f"crops/{number + 1:04d}.png" for number in range(len(crops))]
            for name, crop in zip(names, crops, strict=True):
                _write(room / name, to_8_bits(_resized(crop, side), bits))
            table.assign(path=names, source=table["path"]).to_csv(room / MANIFEST, index=False)
    return target


def is_case(cohort: Cohort) -> np.ndarray:
    """Which samples are of ALS, bool (n,)."""
    return cohort.samples["label"].to_numpy() == CASE


def grey_crops(cohort: Cohort) -> np.ndarray:
    """Every crop as one grey channel, uint8 (n, H, W)."""
    return np.stack([as_grey(image) for image in cohort.images()])


def truth_and_masks(cohort: Cohort) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Every crop's specimen, uint8 (n, H, W), and its aggregates, bool (n, H, W); None of both where unknown."""
    if not {"truth", "mask"} <= set(cohort.samples):
        return None, None
    return _layer(cohort, "truth"), _layer(cohort, "mask") > 0


def _manifest(folder: Path) -> pd.DataFrame:
    path = folder / MANIFEST
    if not path.is_file():
        expected = "a folder with manifest.csv (columns path, label, group) and the crops it names"
        problem = Problem(str(folder), f"no {MANIFEST}", expected, "Correct COHORT.")
        raise RefusedInput(f"The crops in {folder}", [problem])
    return read_table(f"The crops in {folder}", path, MANIFEST)


def _labels_fit(folder: Path) -> bool:
    table = _manifest(folder)
    return "label" in table and not _label_problems(table)


def _label_problems(table: pd.DataFrame) -> list[Problem]:
    found = sorted(set(table["label"]))
    if len(found) == 2 and CASE in found:
        return []
    remedy = f"Name the cases {CASE} and all others by one other word."
    return [Problem(MANIFEST, f"labels {', '.join(found)}", f"{CASE} and one other label", remedy)]


def _layer(cohort: Cohort, column: str) -> np.ndarray:
    paths = [cohort.folder / name for name in cohort.samples[column]]
    return np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths])


def _resized(crop: np.ndarray, side: int) -> np.ndarray:
    return crop if len(crop) == side else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)


def _write(path: Path, grey: np.ndarray) -> None:
    if not cv2.imwrite(str(path), np.repeat(grey[..., None], 3, axis=2)):
        raise OSError(f"{path} could not be written")
