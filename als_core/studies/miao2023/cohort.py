"""The cohort of crops that a page is about: the synthetic crops, or a reader's folder.

Microscopes save 8, 12 or 16 bits, one channel or several, as colours or as pages of a TIFF. A crop that can
be read in one way only is read that way; a crop that could be read in several ways, or shows nothing, is
refused with the reason. A crop stored on its side is turned upright. A reader's crops become 8-bit squares of
one size, and these are the cohort.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from als_core.cohorts.check import (
    MANIFEST,
    About,
    check_cells,
    check_digests,
    placement,
    read_about,
    read_manifest,
)
from als_core.cohorts.checks import merge_problems
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.reading import orientation_of, turned, write_png
from als_core.cohorts.tables import read_table
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import (
    atomic_write,
    build_if_missing,
    code_digest,
    content_key,
    file_digest,
    results_folder,
)
from als_core.studies.miao2023.filters import to_grey
from als_core.studies.miao2023.synthetic import CASE, CropParameters, cohort_key, make_synthetic_crops

SYNTHETIC = "synthetic"
ORIGINAL = "original_path"
"""Column of a prepared manifest: the reader's own path of each crop."""
MULTIPLE = 4  # sides are trimmed to it, so that both 2x and 4x super-resolution divide them
DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras record; 10 to 14 come in files of 16."""
COLOURS = ("red", "green", "blue")
MOST_TRIMMED = 0.2  # of the longer side; a crop further from square would lose part of its subject
SMALLEST_SIDE = 32  # pixels; the networks' own limit


def open_crops(
    crops: str,
    parameters: CropParameters,
    seed: int = 0,
    channel: str | int = "",
    about: About | None = None,
) -> Cohort:
    """Open the crops of a folder whose labels are ALS and one other word, or the synthetic crops.

    Parameters
    ----------
    crops : "synthetic", or a folder with manifest.csv (columns path, label, group)
    parameters, seed : of the synthetic cohort
    channel : of a reader's images that have several: a number from 0, "red", "green" or "blue"; empty where
        every image holds one channel only
    about : in place of the folder's own `cohort.yml`

    Raises
    ------
    RefusedInput
        With every problem found, under the names of the reader's files.
    """
    number = channel_number(channel)
    if crops != SYNTHETIC:
        own = Path(crops).expanduser().resolve()
        prepared = prepare_own_crops(own, results_folder() / "cohorts", number)
        about, problems = (about, []) if about else read_about(own)
        refuse_if(f"The crops in {own}", problems)
        about = about.model_copy(update={"title": about.title or own.name, "convert": False, "resize": None})
        return _load_prepared(prepared, own, about, _manifest(own).attrs["notices"])
    folder = results_folder() / "cohorts" / f"synthetic-crops-{cohort_key(parameters, seed)}"
    build_if_missing(folder, lambda: make_synthetic_crops(folder, parameters, seed, progress=False))
    about = About(title="Synthetic microscopy crops", label_of="group")
    return Cohort.load(folder, name="synthetic-crops", kind="synthetic", about=about)


def channel_number(channel: str | int) -> int | None:
    """Return the number of a channel given as a number or a colour; None for an empty text.

    Raises RefusedInput for anything else.
    """
    text = str(channel).strip().lower()
    if text in COLOURS:
        return COLOURS.index(text)
    expected = "a number from 0, or red, green or blue"
    problem = Problem("channel", repr(channel), expected, "Correct it, or leave it empty for one channel.")
    refuse_if("The parameters of the page", [problem] if text and not text.isdecimal() else [])
    return int(text) if text else None


def prepare_own_crops(folder: Path, results: Path, channel: int | None = None) -> Path:
    """Write a reader's crops as 8-bit squares of one size under `results`; return the new folder.

    folder: has manifest.csv with `path`, `label` and `group`, the case a crop is of. The common size is that
    of the smallest crop; larger ones are reduced. Raises RefusedInput with every crop that cannot be used.
    """
    subject = f"The crops in {folder}"
    table = _manifest(folder)
    remedy = "Add it; `group` names the case, and repeats the path where every crop is a case of its own."
    missing = [] if "group" in table else [Problem(MANIFEST, "no column `group`", "one", remedy, 1)]
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
    if "sha256" in table:  # of the reader's files; the prepared ones have their own
        files = [folder / name for name in table["path"]]
        problems += check_digests(table, [file_digest(file) if file.is_file() else "" for file in files])
        table = table.drop(columns="sha256")
    refuse_if(subject, merge_problems(problems))

    side = min(len(crop) for crop in crops) // MULTIPLE * MULTIPLE
    bits = bit_depth(crops)
    target = results / f"own-crops-{content_key(table.to_dict(orient='list'), *crops, code_digest(__name__))}"
    if not target.is_dir():
        with atomic_write(target) as temporary:
            (temporary / "crops").mkdir(parents=True)
            names = [f"crops/{number + 1:04d}.png" for number in range(len(crops))]
            for name, crop in zip(names, crops, strict=True):
                grey = to_8_bits(_resized(crop, side), bits)
                write_png(temporary / name, np.repeat(grey[..., None], 3, axis=2))
            prepared = table.assign(path=names, **{ORIGINAL: table["path"]})
            prepared.to_csv(temporary / MANIFEST, index=False)
    return target


def _load_prepared(prepared: Path, own: Path, about: About, notices: Sequence[str]) -> Cohort:
    """Load the prepared crops of the folder `own`; problems and notices name the reader's files.

    notices: of the reader's own manifest; they come first.
    """
    table = read_table(f"The crops in {own}", prepared / MANIFEST, MANIFEST)
    original = dict(zip(table["path"], table[ORIGINAL], strict=True))

    def in_own_names(text: str) -> str:
        return re.sub(r"crops/\d+\.png", lambda name: original.get(name[0], name[0]), text)

    try:
        cohort = Cohort.load(prepared, name=own.name, kind="own", about=about)
    except RefusedInput as refusal:
        problems = [
            replace(each, where=in_own_names(each.where), examples=tuple(map(in_own_names, each.examples)))
            for each in refusal.problems
        ]
        raise RefusedInput(f"The crops in {own}", problems) from refusal
    return replace(cohort, notices=(*notices, *map(in_own_names, cohort.notices)))


def is_case(cohort: Cohort) -> np.ndarray:
    """Return which samples are of ALS, bool (n,)."""
    return cohort.samples["label"].to_numpy() == CASE


def grey_crops(cohort: Cohort) -> np.ndarray:
    """Return every crop as one grey channel, uint8 (n, H, W)."""
    return np.stack([to_grey(image) for image in cohort.images()])


def truth_and_masks(cohort: Cohort) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Return specimens, uint8 (n, H, W), and aggregates, bool (n, H, W), of all crops; None where unknown."""
    if not {"truth", "mask"} <= set(cohort.samples):
        return None, None
    return _layer(cohort, "truth"), _layer(cohort, "mask") > 0


def read_channel(path: Path | str, channel: int | None = None) -> np.ndarray:
    """Read one channel of an image file as it is stored: uint8 or uint16 (H, W).

    channel: its number from 0, in the order red, green, blue or of the pages; needed where more than one
    holds something and they differ. A full alpha channel and empty channels do not count.
    Raises RefusedInput naming the file and the reason.
    """
    channels = _channels(Path(path))
    if channel is not None:
        if not 0 <= channel < len(channels):
            raise _refused(path, f"{len(channels)} channels", f"a channel {channel}", "Correct the number.")
        chosen = channels[channel]
    else:
        filled = [each for each in channels if each.any()]
        if any(not np.array_equal(filled[0], each) for each in filled[1:]):
            means = ", ".join(f"{number}: {each.mean():.0f}" for number, each in enumerate(channels))
            found = f"{len(filled)} channels that differ (means {means})"
            remedy = 'Say which channel is TDP-43: set `channel` to its number or colour, e.g. "green".'
            raise _refused(path, found, "one channel, or the number of one", remedy)
        chosen = filled[0] if filled else channels[0]
    if chosen.min() == chosen.max():
        remedy = "Export it again, or drop it."
        raise _refused(path, f"{chosen.max()} in every pixel", "an image that shows something", remedy)
    return np.ascontiguousarray(chosen)


def bit_depth(crops: Sequence[np.ndarray]) -> int:
    """Return the smallest of `DEPTHS` that holds every value of all crops, which must be from one camera."""
    largest = max(int(crop.max()) for crop in crops)
    return next(bits for bits in DEPTHS if largest < 2**bits)


def to_8_bits(crop: np.ndarray, bits: int) -> np.ndarray:
    """Return a crop of `bits` bits as uint8, its brightness relative to other crops of that depth kept."""
    if crop.max() >= 2**bits:
        raise ValueError(f"a value of {crop.max()} does not fit in {bits} bits")
    return crop if crop.dtype == np.uint8 else (crop >> max(bits - 8, 0)).astype(np.uint8)


def centre_square(crop: np.ndarray) -> np.ndarray:
    """Cut the largest centred square out of a crop (H, W, ...).

    Raises ValueError where that would cut off more than `MOST_TRIMMED` of the longer side, or leave fewer
    than `SMALLEST_SIDE` pixels.
    """
    height, width = crop.shape[:2]
    side = min(height, width)
    if side < (1 - MOST_TRIMMED) * max(height, width):
        raise ValueError(f"{width} x {height} pixels, too far from a square")
    if side < SMALLEST_SIDE:
        raise ValueError(f"{width} x {height} pixels, fewer than {SMALLEST_SIDE} a side")
    top, left = (height - side) // 2, (width - side) // 2
    return crop[top : top + side, left : left + side]


def _channels(path: Path) -> list[np.ndarray]:
    """Every channel of every page of a file, upright, (H, W) each, colours in the order red, green, blue."""
    if not path.is_file():
        raise _refused(path, "no such file", "an image file", "Correct the path, or add the file.")
    try:
        _, pages = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # more pixels than OpenCV will allot
        found = f"a file that OpenCV refuses ({error.err})"
        raise _refused(path, found, "a crop", "Export it again.") from error
    if not pages:
        raise _refused(path, "bytes that do not decode", "a PNG, TIFF or JPEG image", "Export it again.")
    orientation = orientation_of(path)
    pages = [turned(page, orientation) for page in pages]
    channels: list[np.ndarray] = []
    for page in pages:
        layers = list(np.moveaxis(page, 2, 0)) if page.ndim == 3 else [page]
        if len(layers) == 4 and (layers[3] == np.iinfo(page.dtype).max).all():
            layers.pop()  # alpha, opaque everywhere
        channels += layers[2::-1] + layers[3:]  # OpenCV has blue first
    kinds = {str(each.dtype) for each in channels} - {"uint8", "uint16"}
    if kinds:
        expected = "whole numbers of 8 or 16 bits"
        raise _refused(path, f"{', '.join(sorted(kinds))} values", expected, "Save it as 16-bit TIFF.")
    return channels


def _refused(path: Path | str, found: str, expected: str, remedy: str) -> RefusedInput:
    return RefusedInput("A crop", [Problem(str(path), found, expected, remedy)])


def _manifest(folder: Path) -> pd.DataFrame:
    path = folder / MANIFEST
    if not path.is_file():
        expected = "a folder with manifest.csv (columns path, label, group) and the crops it names"
        problem = Problem(str(folder), f"no {MANIFEST}", expected, "Write one: als manifest --help.")
        raise RefusedInput(f"The crops in {folder}", [problem])
    return read_manifest(folder, path)


def _label_problems(table: pd.DataFrame) -> list[Problem]:
    labels = sorted(set(table["label"]))
    if len(labels) == 2 and CASE in labels:
        return []
    remedy = f"Name the cases {CASE} and all others by one other word."
    return [Problem(MANIFEST, f"labels {', '.join(labels)}", f"{CASE} and one other label", remedy)]


def _layer(cohort: Cohort, column: str) -> np.ndarray:
    paths = [cohort.folder / name for name in cohort.samples[column]]
    return np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths])


def _resized(crop: np.ndarray, side: int) -> np.ndarray:
    return crop if len(crop) == side else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
