"""A cohort of brain volumes: a manifest of NIfTI files, checked wholly, then prepared and cached one by one.

`manifest.csv`: `path,label` required, `group` (patient) wanted, and where known `visit, age, sex,
field_strength, diagnosis, mask`. Nothing here holds more than a few volumes in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
from scipy.ndimage import affine_transform

from als_core.cohorts import check
from als_core.cohorts.checks import merge_problems, unknown_accepts
from als_core.cohorts.duplicates import ImagePair, check_copies, find_twins
from als_core.cohorts.samples import Kind, Samples
from als_core.cohorts.tables import other_than_it_looks
from als_core.cohorts.volumes import (
    BRAIN_EXTRACTION,
    UNREADABLE,
    Preprocessing,
    examine_volume,
    mni_map,
    preprocess,
    read_volume,
)
from als_core.refusal import Problem, RefusedInput, counted, refuse_if
from als_core.storage import atomic_write, code_digest, content_key, file_digest, results_folder

MOST_LABELS = 12  # different values that are listed; more are intensities
READERS = 4  # volumes read at a time while checking: a 1 mm head is 35 MB as float32

# What a covariate's cell must be, where the manifest has the column: a test, and the words for it.
COVARIATES: dict[str, tuple[Callable[[str], bool], str]] = {
    "visit": (lambda cell: cell.isascii() and cell.isdigit(), "a whole number, 0 for the first"),
    "age": (lambda cell: 0 <= float(cell) <= 120, "years, 0 to 120"),
    "sex": (lambda cell: cell in ("M", "F"), "M or F"),
    "field_strength": (lambda cell: 0 < float(cell) <= 12, "tesla"),
}
NUMBERS = {"visit": int, "age": float, "field_strength": float}


@dataclass(frozen=True)
class VolumeCohort(Samples):
    """Checked volumes of one cohort, prepared when they are first asked for.

    name, folder, kind, samples, twins, notices, about: as in `cohorts.cohort.Cohort`; twins are
    byte-identical files only. settings: how volumes are prepared (`volumes.preprocess`).
    cache: folder of the prepared volumes, one `.npy` and one `.json` each, named by content.
    """

    name: str
    folder: Path
    kind: Kind
    samples: pd.DataFrame
    settings: Preprocessing
    cache: Path
    twins: tuple[ImagePair, ...] = ()
    notices: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        folder: Path | str,
        settings: Preprocessing,
        *,
        name: str | None = None,
        kind: Kind = "own",
        about: check.About | None = None,
        cache: Path | None = None,
        table: pd.DataFrame | None = None,
    ) -> VolumeCohort:
        """Check a folder with `manifest.csv` and make it a cohort. Nothing is prepared yet.

        Every file is read to its end, unless its prepared volume is in the cache: then it has passed before.

        Parameters
        ----------
        cache : by default `volumes` in the results folder
        table : in place of `manifest.csv`, with paths relative to the folder

        Raises
        ------
        RefusedInput
            With every problem found.
        """
        folder = Path(folder).resolve()
        cache = Path(cache or results_folder() / "volumes")
        if table is None:
            table = check.read_manifest(folder, folder / check.MANIFEST)
        table = table.astype(str)
        about, problems = (about, []) if about else check.read_about(folder)
        problems += [*unknown_accepts(about.accept), *check.check_cells(table)]
        problems += [problem for column in COVARIATES if column in table for problem in _cells(table, column)]

        def examined(row: int) -> tuple[str, list[Problem]]:
            digest, found = _examined(folder, table.iloc[row], row + 2, settings, cache)
            # a synthetic scan names its effect there: of any value, and empty where there is none
            if kind != "synthetic" and not found and table.iloc[row].get("mask", ""):
                paths = (folder / table.iloc[row][column] for column in ("mask", "path"))
                found = examine_mask(*paths, table["mask"][row], row + 2, about.mask_label)[1]
            return digest, found

        with ThreadPoolExecutor(READERS) as pool:
            files = list(pool.map(examined, range(len(table))))
        problems += [problem for _, found in files for problem in found]
        digests = [digest for digest, _ in files]
        if "sha256" in table:
            problems += check.check_digests(table, digests)
        problems += check.check_labels(table, about)
        twins = find_twins(digests, [None] * len(table))
        copies, dropped = check_copies(table, twins, about.accept)
        refuse_if(f"The cohort in {folder}", merge_problems([*problems, *copies]))

        notices = [*table.attrs.get("notices", ()), *check.left_out_notices(table, dropped)]
        samples = table.assign(sha256=digests).drop(index=dropped).reset_index(drop=True)
        samples.attrs.clear()
        refuse_if(f"The cohort in {folder}", merge_problems(check.check_labels(samples, about)))
        if "mask" in samples and kind != "synthetic":
            samples["mask_sha256"] = [file_digest(folder / name) if name else "" for name in samples["mask"]]
        for column, kind_of in NUMBERS.items():
            if column in samples:
                samples[column] = samples[column].map(kind_of)
        twins = find_twins(samples["sha256"].tolist(), [None] * len(samples))
        return cls(
            name=name or folder.name,
            folder=folder,
            kind=kind,
            samples=samples,
            settings=settings,
            cache=cache,
            twins=twins,
            notices=(*notices, *check.notices_of(samples, twins)),
            about=about.model_dump(),
        )

    @cached_property
    def digest(self) -> str:
        """Key of what is in the cohort: the manifest, every file's bytes, and how volumes are prepared."""
        table = self.samples.astype(str).to_dict(orient="list")
        label = [self.about["mask_label"]] if self.about.get("mask_label") is not None else []
        return content_key(table, asdict(self.settings), BRAIN_EXTRACTION, *label)

    @property
    def grid(self) -> nibabel.Nifti1Image:
        """The template on the grid all prepared volumes lie on; `grid.shape` is (X, Y, Z)."""
        return mni_map("t1", self.settings.resolution)

    def volume(self, number: int) -> np.ndarray:
        """Sample `number`, prepared: float32 (X, Y, Z), mapped from the cache, read-only.

        Prepared and cached first where it is not yet.
        """
        path = self._prepared(number)
        if not path.exists():
            self._prepare(number)
        return np.load(path, mmap_mode="r")

    def record(self, number: int) -> list[dict[str, Any]]:
        """What was done to sample `number`, one entry a step (`volumes.Preprocessed.record`)."""
        self.volume(number)
        return json.loads(self._prepared(number).with_suffix(".json").read_text(encoding="utf-8"))

    def effect(self, number: int) -> np.ndarray | None:
        """The file in column `mask` (the true effect map of a synthetic scan), float32 on the scan's own
        grid.
        """
        name = self.samples["mask"].iloc[number] if "mask" in self.samples else ""
        return np.asarray(nibabel.load(self.folder / name).dataobj, dtype=np.float32) if name else None

    def mask(self, number: int) -> np.ndarray | None:
        """The reader's own mask of sample `number` on the MNI grid, bool (X, Y, Z), nearest voxel.

        None where the manifest names none. The mask moves with the affine part of its volume's registration.
        """
        row = self.samples.iloc[number]
        if self.kind == "synthetic" or not row.get("mask", ""):
            return None
        paths = (self.folder / row[column] for column in ("mask", "path"))
        inside, problems = examine_mask(*paths, row["mask"], label=self.about.get("mask_label"))
        refuse_if(f"The mask {row['mask']}", problems)
        step = next(step for step in self.record(number) if step["step"] == "registration")
        to_scanner = np.array(step.get("matrix", np.eye(4))) @ self.grid.affine
        voxel = np.linalg.inv(nibabel.load(self.folder / row["mask"]).affine) @ to_scanner
        grid = {"output_shape": self.grid.shape, "order": 0}
        return affine_transform(inside.astype(np.uint8), voxel[:3, :3], voxel[:3, 3], **grid) > 0

    def subset(self, rows: Sequence[int]) -> VolumeCohort:
        """These samples as a cohort of their own, in the order given."""
        samples = self.samples.iloc[np.asarray(rows)].reset_index(drop=True)
        twins = find_twins(samples["sha256"].tolist(), [None] * len(samples))
        return replace(self, samples=samples, twins=twins)

    def prepare(self) -> None:
        """Prepare every volume that is not in the cache; resumes after an interruption."""
        for number in range(len(self)):
            if not self._prepared(number).exists():
                self._prepare(number)

    def _prepared(self, number: int) -> Path:
        return _prepared(self.cache, self.samples["sha256"].iloc[number], self.settings)

    def _prepare(self, number: int) -> None:
        name = self.samples["path"].iloc[number]
        try:
            prepared = preprocess(read_volume(self.folder / name), self.settings)
        except RefusedInput as refusal:
            raise RefusedInput(f"The volume {name}", refusal.problems) from refusal
        path = self._prepared(number)
        # the record first: where the volume is, its record is
        with atomic_write(path.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(prepared.record, indent=1), encoding="utf-8")
        with atomic_write(path) as temporary:
            np.save(temporary, np.asarray(prepared.image.dataobj, dtype=np.float32))


def _examined(
    folder: Path, sample: pd.Series, line: int, settings: Preprocessing, cache: Path
) -> tuple[str, list[Problem]]:
    """A row's file digest, and everything wrong with its volume and with where its mask is."""
    if not sample["path"].strip() or other_than_it_looks(sample["path"]):
        return "", []  # refused already
    if problems := check.placement(folder, sample["path"], line, "a NIfTI file"):
        return "", problems
    path = folder / sample["path"]
    digest = file_digest(path)
    if not _prepared(cache, digest, settings).exists():
        problems += examine_volume(path, sample["path"], line)[1]
    mask = sample.get("mask", "")
    if mask and not problems:
        problems += check.placement(folder, mask, line, "a NIfTI file")
    return digest, problems


def examine_mask(
    mask: Path, volume: Path, where: str, line: int | None = None, label: int | None = None
) -> tuple[np.ndarray | None, list[Problem]]:
    """Read a mask as bool (X, Y, Z) on its volume's grid, and say everything that is wrong with it.

    Accepted are 0 and one other value, or several whole numbers of which `label` is the mask; at
    least two voxels along each axis. where, line: what to call the file in a problem, and its line in the manifest.
    """
    try:
        image, like = nibabel.load(mask), nibabel.load(volume)
        values = np.asarray(image.dataobj)
    except UNREADABLE as error:
        found = f"a damaged file ({' '.join(str(error).split())})"
        return None, [Problem(where, found, "a NIfTI file", "Export it again.", line)]
    grid = like.shape[:3]
    if (
        values.shape[:3] != grid
        or values.size != np.prod(grid)
        or not np.allclose(image.affine, like.affine, atol=1e-3)
    ):
        remedy = "Resample it (nilearn.image.resample_to_img, interpolation='nearest')."
        found = f"another grid than its volume's, {' x '.join(map(str, image.shape))} voxels"
        expected = f"{' x '.join(map(str, grid))} voxels and the same affine"
        return None, [Problem(where, found, expected, remedy, line)]
    values = values.reshape(grid)
    inside, found, remedy = _inside(values, label)
    if found:
        expected = "0 and one other value" if label is None else f"0 and {label}, as --mask-label says"
        return None, [Problem(where, found, expected, remedy, line)]
    extent = [int(np.ptp(places)) + 1 for places in np.nonzero(inside)]
    if min(extent) < 2:
        found = f"{' x '.join(map(str, extent))} voxels inside ({counted(int(inside.sum()), 'voxel')})"
        remedy = "Check the mask in a viewer: a region has a volume."
        return None, [Problem(where, found, "at least 2 voxels along each axis", remedy, line)]
    return inside, []


def _inside(values: np.ndarray, label: int | None) -> tuple[np.ndarray, str, str]:
    """The voxels of a mask, or what is wrong with its values and what to do about it."""
    there = np.unique(values)
    shown = ", ".join(f"{value:g}" for value in there[:MOST_LABELS])
    whole = len(there) <= MOST_LABELS and np.array_equal(there, there.round())
    others = [int(value) for value in there if value] if whole else []
    if label is not None and label in others:
        return values == label, "", ""
    if label is not None or (whole and len(others) > 1):
        choose = (
            f"Add --mask-label with one of {', '.join(map(str, others))}, or save the mask that is meant."
        )
        return values, f"the values {shown}", choose if others else "Save the mask that is meant."
    if not whole and len(there) > 2:
        span = f"{len(there):,} values from {there[0]:g} to {there[-1]:g}, as of intensities"
        return values, span, "Threshold it (nilearn.image.binarize_img), or name the mask's own file."
    if len(there) == 1:
        return values, f"the value {shown} in every voxel", "Export it again, or leave the cell empty."
    return values != 0, "" if 0 in there else f"the values {shown}", "Set the background to 0."


def _cells(table: pd.DataFrame, column: str) -> Iterator[Problem]:
    fits, words = COVARIATES[column]
    for row, cell in enumerate(table[column]):
        try:
            right = fits(cell)
        except ValueError:
            right = False
        if not right:
            where = f"{check.MANIFEST}, column `{column}`"
            yield Problem(where, repr(cell), words, "Correct it, or drop the column.", row + 2)


def _prepared(cache: Path, digest: str, settings: Preprocessing) -> Path:
    """Where a file's prepared volume is: by its bytes, the settings, and the code that reads them."""
    return cache / f"{content_key(digest, asdict(settings), _code())}.npy"


@lru_cache(maxsize=1)
def _code() -> str:
    return code_digest(preprocess.__module__)
