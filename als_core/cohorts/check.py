"""Check everything about a cohort's folder before any computing, and report all problems at once, one per cause.

The folder holds `manifest.csv` (columns `path` and `label`; `group` and covariates where known) and the images it
names, or one subfolder per class; and, if wanted, `cohort.yml` with a title, a citation, what a label belongs to,
and what a reader settled: conversions and accepted checks. `cohorts.checks` describes each check.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pydantic
import yaml
from PIL import Image
from tqdm import tqdm

from als_core.cohorts import identifiers
from als_core.cohorts.checks import merge_problems, unknown_accepts
from als_core.cohorts.duplicates import (
    Fingerprint,
    ImagePair,
    check_copies,
    copy_sets,
    find_twins,
    fingerprint,
)
from als_core.cohorts.folders import MANIFEST, NAMES, list_samples, without_companions
from als_core.cohorts.group_word import read_group_word
from als_core.cohorts.reading import Conversion, Fit, Unreadable, decode, depth_of, largest_deep_value
from als_core.cohorts.shortcuts import measure
from als_core.cohorts.tables import cell_problems, other_than_it_looks, read_table
from als_core.refusal import Problem, RefusedInput, counted, refuse_if

REQUIRED_COLUMNS = ("path", "label")
MINIMUM_GROUPS = 2  # per label: one to learn from, one to be judged on
MINIMUM_SAMPLES = 3  # per label: one each for training, validation and test
# In all: with 6 images, networks with batch norm diverge on the few that are left to train on; with 8 none does.
MINIMUM_IN_ALL = 8


class About(pydantic.BaseModel):
    """What `cohort.yml` may say. Unknown keys are refused.

    accept: numbers of checks whose findings a reader accepts. convert, resize, fit: see `reading.Conversion`.
    mask_label: the value of a volume's mask that is meant, where it has several. group_word: what its groups are, as
    `group_word.read_group_word` takes it.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    title: str = ""
    citation: str = ""
    licence: str = ""
    label_of: Literal["image", "group"] = "image"
    accept: tuple[str, ...] = ()
    convert: bool = False
    resize: int | None = pydantic.Field(default=None, ge=16, le=4096)
    fit: Fit = "crop"
    mask_label: int | None = None
    group_word: str = ""

    @pydantic.field_validator("group_word")
    @classmethod
    def _has_both_forms(cls, text: str) -> str:
        if text:
            read_group_word(text)
        return text

    def texts(self) -> dict[str, str]:
        """The keys that pages show, as texts."""
        return {
            name: getattr(self, name) for name in ("title", "citation", "licence", "label_of", "group_word")
        }


KEYS = f"Keys it may hold: {', '.join(About.model_fields)}."


@dataclass(frozen=True)
class CheckedFolder:
    """What a folder holds once it has passed: see `Cohort` for the fields."""

    samples: pd.DataFrame
    image_shape: tuple[int, int]
    twins: tuple[ImagePair, ...]
    notices: tuple[str, ...]
    about: dict[str, str]
    conversion: Conversion
    measures: pd.DataFrame


@dataclass
class ExaminedImage:
    """One decoded file: what the check needs of it, not its pixels. size: (height, width)."""

    digest: str = ""
    size: tuple[int, int] | None = None
    mark: Fingerprint | None = None
    notes: tuple[str, ...] = ()
    measures: dict[str, str | float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def check_folder(
    folder: Path,
    manifest: Path | None = None,
    about: About | None = None,
    progress: bool = False,
    keep_copies: bool = False,
) -> CheckedFolder:
    """Check a cohort's folder. Raises RefusedInput with every problem found, one per cause.

    manifest, about: used in place of the folder's own `manifest.csv` and `cohort.yml` where given.
    progress: show a bar on the terminal. keep_copies: neither refuse nor leave out copies in different labels or groups.
    """
    table = read_manifest(folder, manifest or folder / MANIFEST)
    about, problems = (about, []) if about else read_about(folder)
    problems += unknown_accepts(about.accept)
    problems += check_cells(table)
    conversion, images, found = check_images(folder, table, about, progress)
    problems += found
    if "sha256" in table:
        problems += check_digests(table, [image.digest for image in images])
    problems += check_labels(table, about)

    twins = find_twins([image.digest for image in images], [image.mark for image in images])
    copies, dropped = ([], []) if keep_copies else check_copies(table, twins, about.accept)
    refuse_if(f"The cohort in {folder}", merge_problems([*problems, *copies]))

    samples = table.assign(sha256=[image.digest for image in images])
    measures = pd.DataFrame([image.measures for image in images])
    notices = _reading_notices(images, dropped, samples)
    if dropped:
        kept = np.setdiff1d(np.arange(len(samples)), dropped)
        place = {old: new for new, old in enumerate(kept)}
        samples, measures = (each.iloc[kept].reset_index(drop=True) for each in (samples, measures))
        pairs = (pair for pair in twins if {pair.first, pair.second} <= set(place))
        twins = tuple(replace(pair, first=place[pair.first], second=place[pair.second]) for pair in pairs)
        refuse_if(f"The cohort in {folder}", merge_problems(check_labels(samples, about)))
    notices = (*table.attrs.get("notices", ()), *notices, *notices_of(samples, twins))
    samples.attrs.clear()
    return CheckedFolder(samples, images[0].size, twins, notices, about.texts(), conversion, measures)


def check_images(
    folder: Path, table: pd.DataFrame, about: About, progress: bool = False
) -> tuple[Conversion, list[ExaminedImage], list[Problem]]:
    """Decode the images of a table with a column path: how they are converted, what is in each, what is wrong."""
    conversion = _settle_conversion(folder, table, about)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        examined = pool.map(partial(examine_image, folder, conversion), enumerate(table["path"]))
        images = list(tqdm(examined, total=len(table), desc="images", disable=not progress or None))
    problems = [problem for image in images for problem in image.problems]
    return conversion, images, problems + _check_sizes(table, images)


def read_manifest(folder: Path, manifest: Path) -> pd.DataFrame:
    """The manifest as text cells, RangeIndex; without one, a row for each image of the class folders.

    `attrs["notices"]` says how it was read. What makes it unreadable is refused at once.
    """
    subject = f"The cohort in {folder}"
    if not manifest.is_file():
        return list_samples(folder)
    table = read_table(subject, manifest, MANIFEST, NAMES)
    found = f"columns {', '.join(table.columns)}"
    refuse_if(
        subject,
        (
            Problem(
                MANIFEST, found, f"a column `{column}`", f"Add `{column}`, or correct its name.", 1, "ALS003"
            )
            for column in REQUIRED_COLUMNS
            if column not in table
        ),
    )
    table = without_companions(table)
    if table.empty:
        problem = Problem(MANIFEST, "no rows", "one row for each sample", "List the samples.", check="ALS003")
        raise RefusedInput(subject, [problem])
    return table


def read_about(folder: Path) -> tuple[About, list[Problem]]:
    """What `cohort.yml` says, and what is wrong with it."""
    path = folder / "cohort.yml"
    if not path.is_file():
        return About(), []
    try:
        return validated(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, path.name)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found = str(error).replace("\n", " ")
        return About(), [Problem(path.name, found, "a YAML mapping", KEYS, check="ALS021")]


def validated(values: object, where: str) -> tuple[About, list[Problem]]:
    """What a mapping of keys of `cohort.yml` says, and what is wrong with it. where: names its source."""
    if not isinstance(values, dict):
        found, expected = f"a {type(values).__name__}", "keys with values, such as title: My cohort"
        return About(), [Problem(where, found, expected, KEYS, check="ALS021")]
    try:
        return About.model_validate(values), []
    except pydantic.ValidationError as error:
        found = [f"{'.'.join(map(str, each['loc']))}: {_misfit(each)}" for each in error.errors()]
        expected = "a known key with a fitting value"
        return About(), [Problem(where, each, expected, KEYS, check="ALS021") for each in found]


def _misfit(error: Mapping[str, Any]) -> str:
    one = error["type"] == "tuple_type" and isinstance(error["input"], str)
    return f"{error['input']}, which has to be in brackets: [{error['input']}]" if one else error["msg"]


def check_cells(table: pd.DataFrame) -> list[Problem]:
    """Empty, unsafe and repeated cells of a manifest. Row 0 of the table is line 2 of the file."""
    problems = cell_problems(table, MANIFEST, ("path", "label", "group"))
    first_seen: dict[str, int] = {}
    for row, path in enumerate(table["path"]):
        name = os.path.normpath(path)
        if path.strip() and name in first_seen:
            found = f"{path} again (first in line {first_seen[name] + 2})"
            where, remedy = f"{MANIFEST}, column `path`", "Drop one of the two rows."
            problems.append(Problem(where, found, "each path once", remedy, row + 2, "ALS005"))
        first_seen.setdefault(name, row)
    return problems


def examine_image(folder: Path, conversion: Conversion, numbered: tuple[int, str]) -> ExaminedImage:
    """Decode one image to its end, and say what is wrong with it."""
    row, name = numbered
    image = ExaminedImage()
    if not name.strip() or other_than_it_looks(name):
        return image  # the cell itself is refused already
    if problems := placement(folder, name, row + 2):
        image.problems += problems
        return image
    try:
        content = (folder / name).read_bytes()
        image.digest = sha256(content).hexdigest()
        pixels, kind, stored, image.notes = decode(content, conversion)
    except Unreadable as error:
        problem = Problem(name, error.found, error.expected, error.remedy, row + 2, error.check)
        image.problems.append(problem)
        return image
    except OSError as error:
        found, remedy = (error.strerror or str(error)).lower(), "Correct the path, or add the file."
        image.problems.append(Problem(name, found, "an image file", remedy, row + 2, "ALS006"))
        return image
    image.size, image.mark = pixels.shape[:2], fingerprint(Image.fromarray(pixels))
    image.measures = measure(pixels, kind, stored, len(content))
    return image


def placement(folder: Path, name: str, line: int, what: str = "an image file") -> list[Problem]:
    """What is wrong with where a manifest's path leads; empty for an ordinary file inside the folder."""

    def problem(found: str, expected: str, remedy: str) -> list[Problem]:
        return [Problem(name, found, expected, remedy, line, "ALS006")]

    absent = "Correct the path, or add the file."
    try:
        place, root = (folder / name).resolve(), folder.resolve()
        inside, there = place.is_relative_to(root), place.is_file()
        slashes = not there and "\\" in name and (folder / name.replace("\\", "/")).is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, links in a circle, a NUL
        return problem(f"no such file ({error.__class__.__name__})", what, absent)
    expected = "a path relative to the manifest and inside its folder"
    if not inside:
        return problem("a path that leaves the folder", expected, "Move the file into the folder.")
    if Path(name).is_absolute():
        return problem("an absolute path", expected, f"Leave out {root}/ in all paths.")
    if slashes:
        return problem("a path with \\ in it", expected, "Write / in place of \\ in all paths.")
    return [] if there else problem("no such file", what, absent)


def _settle_conversion(folder: Path, table: pd.DataFrame, about: About) -> Conversion:
    """The conversion a reader asked for; with 16-bit images among the files, the bits of their largest value."""
    conversion = Conversion(about.convert, about.resize, about.fit)
    if not about.convert:
        return conversion

    def largest(name: str) -> int:
        return 0 if placement(folder, name, 0) else largest_deep_value((folder / name).read_bytes())

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        highest = max(pool.map(largest, table["path"]), default=0)
    return replace(conversion, bits=depth_of(highest)) if highest else conversion


def _check_sizes(table: pd.DataFrame, images: list[ExaminedImage]) -> list[Problem]:
    """All images must have one size."""
    sizes = Counter(image.size for image in images if image.size)
    if len(sizes) < 2:
        return []
    (height, width), count = sizes.most_common(1)[0]
    other = [
        (row, image.size) for row, image in enumerate(images) if image.size and image.size != (height, width)
    ]
    shown = [f"{table['path'][row]}, line {row + 2} ({w} x {h})" for row, (h, w) in other[:3]]
    side = min(min(size) for size in sizes)
    remedy = f"Crop or resize them, or add --resize {side} (with --fit pad or stretch where the edges count; ALS010)."
    if len(other) == 1:
        row, (h, w) = other[0]
        expected = f"{width} x {height}, as {count} others have"
        return [Problem(table["path"][row], f"{w} x {h} pixels", expected, remedy, row + 2, "ALS010")]
    heights, widths = zip(*sizes, strict=True)
    found = f"{len(sizes)} sizes, {min(widths)} to {max(widths)} pixels wide and {min(heights)} to {max(heights)} high"
    where = f"{len(images)} images"
    return [Problem(where, found, "one size", remedy, None, "ALS010", len(other), tuple(shown))]


def check_digests(table: pd.DataFrame, digests: Sequence[str]) -> list[Problem]:
    """Files whose SHA-256 is not that of the manifest's column `sha256`; an empty text on either side is passed over."""
    remedy = "Fetch the file again, or correct the manifest if the change was meant."
    rows = enumerate(zip(table["path"], table["sha256"], digests, strict=True))
    return [
        Problem(
            name,
            f"SHA-256 {digest[:12]}... where the manifest says {listed[:12]}...",
            "the file that the manifest describes",
            remedy,
            row + 2,
            "ALS012",
        )
        for row, (name, listed, digest) in rows
        if digest and listed and digest != listed.lower()
    ]


def check_labels(table: pd.DataFrame, about: About) -> list[Problem]:
    """What is wrong with labels and groups, apart from single cells."""
    table = table[table["label"].str.strip() != ""]
    where = f"{MANIFEST}, column `label`"
    counts = table["label"].value_counts()
    problems = []
    if len(counts) < 2:
        remedy = "Add samples of another label, to compare with."
        found = f"one label, {counts.index[0]}" if len(counts) else "no label"
        problems.append(Problem(where, found, "two or more", remedy, check="ALS013"))
    for names in identifiers.spelled_alike(counts.index):
        cased = len({name.casefold() for name in names}) == 1
        found = f"{' and '.join(names)}, which differ only in {'case' if cased else 'spelling'}"
        problems.append(Problem(where, found, "one spelling", "Spell the label one way.", check="ALS013"))
    remedy = "Add samples, or drop the label."
    problems += [
        Problem(
            f"label {label}", counted(count, "sample"), f"at least {MINIMUM_SAMPLES}", remedy, check="ALS014"
        )
        for label, count in counts.sort_index().items()
        if count < MINIMUM_SAMPLES
    ]
    if 0 < len(table) < MINIMUM_IN_ALL:
        expected, remedy = (
            f"at least {MINIMUM_IN_ALL} in all",
            "Add samples: networks cannot train on so few.",
        )
        problems.append(Problem(MANIFEST, counted(len(table), "sample"), expected, remedy, check="ALS014"))
    if "group" not in table:
        return problems
    remedy = "Add samples of another group: with one, label and group cannot be told apart."
    problems += [
        Problem(
            f"label {label}",
            f"one group, {groups[0]}",
            f"at least {MINIMUM_GROUPS} groups",
            remedy,
            check="ALS015",
        )
        for label, groups in table.groupby("label")["group"].unique().items()
        if len(groups) < MINIMUM_GROUPS
    ]
    if about.label_of == "group":
        remedy = "Correct the label, or say `label_of: image` in cohort.yml."
        problems += [
            Problem(
                f"group {group}",
                f"labels {', '.join(sorted(labels))}",
                "one label a group",
                remedy,
                check="ALS016",
            )
            for group, labels in table.groupby("group")["label"].unique().items()
            if len(labels) > 1
        ]
    return problems + [
        each for each in identifiers.group_problems(table, MANIFEST) if each.check not in about.accept
    ]


def _reading_notices(images: list[ExaminedImage], dropped: list[int], samples: pd.DataFrame) -> Iterator[str]:
    for note, count in Counter(note for image in images for note in image.notes).items():
        yield f"{counted(count, 'image')}: {note} (ALS028)."
    yield from left_out_notices(samples, dropped)


def left_out_notices(samples: pd.DataFrame, dropped: Sequence[int]) -> list[str]:
    """Say which samples are left out because a reader accepted copies under other labels or groups."""
    if not dropped:
        return []
    names = ", ".join(samples["path"][row] for row in dropped[:3])
    more = f" and {len(dropped) - 3} more" if len(dropped) > 3 else ""
    return [
        f"Left out, as accepted, because a copy has another label or group: {names}{more} (ALS019, ALS020)."
    ]


def notices_of(samples: pd.DataFrame, twins: tuple[ImagePair, ...]) -> tuple[str, ...]:
    """What is worth knowing about copies and names, and no reason to refuse, in sentences."""
    notices = []
    sets = copy_sets(twins, len(samples))
    if sets:
        examples = "; ".join(" and ".join(samples["path"][row] for row in rows[:3]) for rows in sets[:3])
        natures = " or ".join(sorted({pair.nature for pair in twins}))
        copies = sum(map(len, sets))
        which = (
            f": {examples}" if len(sets) <= 3 and max(map(len, sets)) <= 3 else f", for example {examples}"
        )
        notices.append(
            f"{copies} images are {natures} copies of one another{which}. A split by image may put one into the training "
            "and the other into the test part (ALS022)."
        )
    missing = sorted(label for label in samples["label"].unique() if identifiers.says_missing(label))
    if missing:
        notices.append(
            f"The label {missing[0]} reads like a word for a missing value; it is used as a label (ALS018)."
        )
    if "group" not in samples:
        named = identifiers.unnamed_groups(samples)
        rename = f" If {named[0]} is the group, rename that column to group." if named else ""
        notices.append(
            "The manifest has no group column: only splits by image are possible, and images that belong together may "
            f"be in the training and in the test part (ALS023).{rename}"
        )
    else:
        if samples["group"].nunique() == len(samples):
            notices.append(
                f"Each of the {len(samples)} samples is a group of its own: a split by group is a split by image here (ALS024)."
            )
        notices += identifiers.group_notices(samples["group"].tolist())
    return tuple(notices)
