"""Everything that is checked about a cohort's folder before any computing, all problems at once.

The folder holds `manifest.csv` (columns `path` and `label`; `group` and covariates where known), the
images it names, and, if wanted, `cohort.yml` with a title, a citation and what a label belongs to.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pandas as pd
import pydantic
import yaml
from PIL import Image, UnidentifiedImageError

from als_core.cohorts.duplicates import Fingerprint, ImagePair, find_twins, fingerprint
from als_core.cohorts.tables import cell_problems, other_than_it_looks, read_table
from als_core.refusal import Problem, RefusedInput, refuse_if

MANIFEST = "manifest.csv"
REQUIRED_COLUMNS = ("path", "label")
LARGEST_SIDE = 20_000  # pixels; a larger image is a whole slide, to be cut into fields first
SMALLEST_SIDE = 16  # pixels; below, the networks' pooling leaves nothing
MINIMUM_GROUPS = 2  # per label: one to learn from, one to be judged on
MINIMUM_SAMPLES = 3  # per label: one each for training, validation and test
# Of the many that Pillow opens, those that hold nothing but pixels; PostScript, for one, is a program.
FORMATS = ("PNG", "TIFF", "JPEG", "BMP", "WEBP", "GIF")


class About(pydantic.BaseModel):
    """What `cohort.yml` may say. Unknown keys are refused."""

    model_config = pydantic.ConfigDict(extra="forbid")

    title: str = ""
    citation: str = ""
    licence: str = ""
    label_of: Literal["image", "group"] = "image"


@dataclass(frozen=True)
class CheckedFolder:
    """What a folder holds once it has passed: see `Cohort` for the fields."""

    samples: pd.DataFrame
    image_shape: tuple[int, int]
    twins: tuple[ImagePair, ...]
    notices: tuple[str, ...]
    about: dict[str, str]


@dataclass
class _Image:
    """One decoded file: what the check needs of it, not its pixels."""

    digest: str = ""
    size: tuple[int, int] | None = None  # (height, width)
    mark: Fingerprint | None = None
    problems: list[Problem] = field(default_factory=list)


def check_folder(folder: Path, manifest: Path | None = None, about: About | None = None) -> CheckedFolder:
    """Check a cohort's folder. Raises RefusedInput with every problem found.

    manifest, about: used in place of the folder's own `manifest.csv` and `cohort.yml` where given.
    """
    table = read_manifest(folder, manifest or folder / MANIFEST)
    about, problems = (about, []) if about else read_about(folder)
    problems += check_cells(table)
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(partial(_check_image, folder), enumerate(table["path"])))
    problems += [problem for image in images for problem in image.problems]
    problems += _check_sizes(table, images)
    if "sha256" in table:
        problems += _check_digests(table, images)
    problems += check_labels(table, about)
    refuse_if(f"The cohort in {folder}", problems)

    twins = find_twins([image.digest for image in images], [image.mark for image in images])
    samples = table.assign(sha256=[image.digest for image in images])
    return CheckedFolder(samples, images[0].size, twins, notices_of(samples, twins), about.model_dump())


def read_manifest(folder: Path, manifest: Path) -> pd.DataFrame:
    """The manifest as text cells, RangeIndex. What makes it unreadable is refused at once."""
    subject = f"The cohort in {folder}"
    shape = "a folder with manifest.csv (columns path,label and, where known, group) and the images it names"
    if not folder.is_dir():
        raise RefusedInput(subject, [Problem(str(folder), "no such folder", shape, "Check the path.")])
    if not manifest.is_file():
        count = sum(1 for entry in folder.iterdir() if not entry.name.startswith("."))
        found = "an empty folder" if count == 0 else f"{count} entries and no {MANIFEST}"
        raise RefusedInput(subject, [Problem(str(folder), found, shape, f"Write {MANIFEST} there.")])
    table = read_table(subject, manifest, MANIFEST)
    missing = [column for column in REQUIRED_COLUMNS if column not in table]
    refuse_if(
        subject,
        (
            Problem(
                MANIFEST, f"columns {', '.join(table.columns)}", f"a column `{column}`", f"Add `{column}`.", 1
            )
            for column in missing
        ),
    )
    if table.empty:
        raise RefusedInput(subject, [Problem(MANIFEST, "no rows", "one row a sample", "List the samples.")])
    return table


def read_about(folder: Path) -> tuple[About, list[Problem]]:
    path = folder / "cohort.yml"
    if not path.is_file():
        return About(), []
    remedy = f"Keys it may hold: {', '.join(About.model_fields)}."
    try:
        return About.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {}), []
    except pydantic.ValidationError as error:
        return About(), [
            Problem(
                path.name,
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}",
                "a known key with a fitting value",
                remedy,
            )
            for e in error.errors()
        ]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return About(), [Problem(path.name, str(error).replace("\n", " "), "a YAML mapping", remedy)]


def check_cells(table: pd.DataFrame) -> list[Problem]:
    """Empty, unsafe and repeated cells of a manifest. Row 0 of the table is line 2 of the file."""
    problems = cell_problems(table, MANIFEST, ("path", "label", "group"))
    first_seen: dict[str, int] = {}
    for row, path in enumerate(table["path"]):
        name = os.path.normpath(path)
        if name in first_seen:
            expected = f"each path once (first in line {first_seen[name] + 2})"
            remedy = "Drop one of the two rows."
            problems.append(Problem(f"{MANIFEST}, column `path`", f"{path} again", expected, remedy, row + 2))
        first_seen.setdefault(name, row)
    return problems


def _check_image(folder: Path, numbered: tuple[int, str]) -> _Image:
    """Decode one image wholly, and say what is wrong with it."""
    row, name = numbered
    image = _Image()

    def refuse(found: str, expected: str, remedy: str) -> _Image:
        image.problems.append(Problem(name or MANIFEST, found, expected, remedy, row + 2))
        return image

    if not name.strip() or other_than_it_looks(name):
        return image  # the cell itself is refused already
    if problems := placement(folder, name, row + 2):
        image.problems += problems
        return image
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        return refuse(
            (error.strerror or str(error)).lower(), "an image file", "Correct the path, or add the file."
        )
    image.digest = sha256(content).hexdigest()
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            mode, (width, height), frames = picture.mode, picture.size, getattr(picture, "n_frames", 1)
            if max(width, height) > LARGEST_SIDE or min(width, height) < SMALLEST_SIDE:
                return refuse(
                    f"{width} x {height} pixels",
                    f"{SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side",
                    "Cut it into fields, or drop it.",
                )
            deep = any("16" in str(tile.args) for tile in picture.tile)
            picture.load()
            if frames > 1:
                refuse(f"{frames} frames", "one image in the file", "Save the one frame that is meant.")
            if mode == "RGB" and deep:  # Pillow would drop the lower half of every value without a word
                refuse("16 bits a colour", "8-bit RGB", "Convert it to 8-bit RGB.")
            elif mode == "RGB":
                image.size, image.mark = (height, width), fingerprint(picture)
            else:
                refuse(f"mode {mode}{MODES.get(mode, '')}", "8-bit RGB", "Convert it to 8-bit RGB.")
    except UnidentifiedImageError:
        refuse("bytes that are no image" if content else "an empty file", "an image file", "Export it again.")
    except Exception as error:  # on damaged files Pillow raises nearly every kind there is
        refuse(f"a damaged file ({error})", "an image that decodes wholly", "Copy or export it again.")
    return image


def placement(folder: Path, name: str, line: int, what: str = "an image file") -> list[Problem]:
    """What is wrong with where a manifest's path leads; empty for an ordinary file inside the folder."""

    def problem(found: str, expected: str, remedy: str) -> list[Problem]:
        return [Problem(name, found, expected, remedy, line)]

    try:
        place = (folder / name).resolve()
        inside = not Path(name).is_absolute() and place.is_relative_to(folder.resolve())
        there = place.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, links in a circle, a NUL
        return problem(
            f"no such file ({error.__class__.__name__})", what, "Correct the path, or add the file."
        )
    if not inside:
        expected = "a path relative to the manifest and inside its folder"
        return problem("a path that leaves the folder", expected, "Move the file into the folder.")
    return [] if there else problem("no such file", what, "Correct the path, or add the file.")


MODES = {
    "L": " (greyscale)",
    "P": " (palette)",
    "RGBA": " (with alpha)",
    "CMYK": " (print colours)",
    "I;16": " (16-bit greyscale)",
    "1": " (black and white)",
}


def _check_sizes(table: pd.DataFrame, images: list[_Image]) -> list[Problem]:
    """All images must have the size of most."""
    sizes = Counter(image.size for image in images if image.size)
    if len(sizes) < 2:
        return []
    (height, width), count = sizes.most_common(1)[0]
    return [
        Problem(
            name,
            f"{image.size[1]} x {image.size[0]} pixels",
            f"{width} x {height}, as {count} others have",
            "Crop or resize it to the common size.",
            row + 2,
        )
        for row, (name, image) in enumerate(zip(table["path"], images, strict=True))
        if image.size and image.size != (height, width)
    ]


def _check_digests(table: pd.DataFrame, images: list[_Image]) -> list[Problem]:
    return [
        Problem(
            name,
            f"SHA-256 {image.digest[:12]}...",
            f"{digest[:12]}... as the manifest says",
            "Fetch the file again, or correct the manifest if the change was meant.",
            row + 2,
        )
        for row, (name, digest, image) in enumerate(zip(table["path"], table["sha256"], images, strict=True))
        if image.digest and digest and image.digest != digest.lower()
    ]


def check_labels(table: pd.DataFrame, about: About) -> list[Problem]:
    problems = []
    counts = table["label"].value_counts()
    if len(counts) < 2:
        problems.append(
            Problem(
                f"{MANIFEST}, column `label`",
                f"one label, {counts.index[0]}",
                "two or more",
                "Add the samples it is to be told from.",
            )
        )
    for names in counts.groupby(counts.index.str.casefold()).groups.values():
        if len(names) > 1:
            found = f"{' and '.join(sorted(names))}, which differ only in case"
            remedy = "Spell the label one way."
            problems.append(Problem(f"{MANIFEST}, column `label`", found, "one spelling", remedy))
    for label, count in counts.sort_index().items():
        if count < MINIMUM_SAMPLES:
            problems.append(
                Problem(
                    f"label {label}",
                    f"{count} sample(s)",
                    f"at least {MINIMUM_SAMPLES}",
                    "Add samples, or drop the label.",
                )
            )
    if "group" not in table:
        return problems
    for label, groups in table.groupby("label")["group"].unique().items():
        if len(groups) < MINIMUM_GROUPS:
            problems.append(
                Problem(
                    f"label {label}",
                    f"one group, {groups[0]}",
                    f"at least {MINIMUM_GROUPS} groups",
                    "Add samples of another group: with one, label and group cannot be told apart.",
                )
            )
    if about.label_of == "group":
        for group, labels in table.groupby("group")["label"].unique().items():
            if len(labels) > 1:
                problems.append(
                    Problem(
                        f"group {group}",
                        f"labels {', '.join(sorted(labels))}",
                        "one label a group",
                        "Correct the label, or say `label_of: image` in cohort.yml.",
                    )
                )
    return problems


def notices_of(samples: pd.DataFrame, twins: tuple[ImagePair, ...]) -> tuple[str, ...]:
    notices = []
    for pair in twins:
        nature = "byte-identical" if pair.identical else "nearly identical"
        first, second = samples["path"][pair.first], samples["path"][pair.second]
        notices.append(
            f"{first} and {second} are {nature}: a split that promises separation keeps them together."
        )
    if "group" not in samples:
        notices.append(
            "The manifest has no group column: only splits by image are possible, and images of one donor may "
            "stand on both sides."
        )
    return tuple(notices)
