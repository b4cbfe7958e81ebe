"""Splits into training, validation and test samples, and the guard that holds a split to its promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from als_core.cohorts.checks import merge_problems
from als_core.cohorts.duplicates import ImagePair, copy_sets
from als_core.cohorts.tables import read_table
from als_core.refusal import Problem, RefusedInput, refuse_if

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Which part each sample is in.

    parts: (n,) of "train", "validation" or "test". promise: "image" (every sample in one part, and no
    more than that) or "group" (no group, and no image and its copy, in two parts).
    """

    name: str
    promise: Literal["image", "group"]
    parts: np.ndarray

    def rows(self, part: str) -> np.ndarray:
        """Row numbers of a part, ascending."""
        return np.flatnonzero(self.parts == part)


def split_by_image(labels: np.ndarray, generator: np.random.Generator) -> Split:
    """Split samples at random, stratified by label (Xia 2024, section 4.2.1: 6:2:2).

    The test part is drawn first, then the validation part from what remains; sizes are rounded to
    whole samples, and so 190 samples give 114, 38 and 38. Where a part would lack a label, each label is
    divided by itself instead, with one sample at least in each part.
    Raises RefusedInput for a label with fewer than three samples.
    """
    rows = np.arange(len(labels))
    n_validation = n_test = round(0.2 * len(rows))
    states = [_state(generator) for _ in range(2)]
    try:
        rest, test = train_test_split(rows, test_size=n_test, stratify=labels, random_state=states[0])
        train, validation = train_test_split(
            rest, test_size=n_validation, stratify=labels[rest], random_state=states[1]
        )
        parts = _parts(len(rows), train, validation, test)
    except ValueError:  # fewer samples in a part than there are labels
        parts = np.full(len(rows), "")
    if any(len(np.unique(labels[parts == part])) < len(np.unique(labels)) for part in PARTS):
        parts = _one_of_each_label_at_least(labels, generator)
    return Split("by image", "image", parts)


def split_by_group(
    labels: np.ndarray,
    groups: np.ndarray,
    generator: np.random.Generator,
) -> Split:
    """Split whole groups at random, 6:2:2, each label's groups shared out as evenly as they allow.

    Raises RefusedInput, naming the labels, when a label has fewer than three groups: then not every
    part can hold it.
    """
    _refuse_few_groups(labels, groups, len(PARTS))
    rows = np.arange(len(labels))
    test = _held_out(rows, labels, groups, 0.2, generator)
    rest = np.setdiff1d(rows, test)
    validation = _held_out(rest, labels, groups, 0.25, generator)
    train = np.setdiff1d(rest, validation)
    return Split("by group", "group", _parts(len(rows), train, validation, test))


def guard(
    split: Split, groups: np.ndarray | None, twins: Sequence[ImagePair] = (), names: Sequence[str] = ()
) -> Split:
    """Hand the split back if it keeps its promise.

    names: what to call each sample in a message (paths, say). Raises RefusedInput naming every group and every
    pair of copies that is in two parts of a split that promises separation.
    """
    if split.promise == "image":
        return split
    if groups is None:
        problem = Problem(
            split.name, "no group column", "the group of each sample", "Add `group` to the manifest."
        )
        raise RefusedInput(f"The split {split.name}", [problem])
    remedy = "Split by group, with groups that belong together under one name."
    problems = []
    for leak in split_leaks(split, groups, twins).itertuples():
        parts = " and ".join(leak.parts)
        if leak.kind == "group":
            problems.append(Problem(leak.how, f"samples in {parts}", "one part only", remedy))
            continue
        first, second = (names[row] if len(names) else f"sample {row}" for row in leak.samples)
        found, remove = f"{leak.how} images in {parts}", "Give both one group, or drop one."
        problems.append(Problem(f"{first} and {second}", found, "one part only", remove))
    refuse_if(f"The split {split.name}", problems)
    return split


def split_table(split: Split, paths: Sequence[str]) -> pd.DataFrame:
    """A split to download, cite and check: columns path, part, fold."""
    return pd.DataFrame({"path": list(paths), "part": split.parts, "fold": 0})


def read_splits(file: Path, paths: Sequence[str]) -> list[Split]:
    """Splits from a CSV with columns path, part and, for several, fold; samples that a fold lacks have part "".

    Promises are those of a split by group. Raises RefusedInput for unknown paths and parts, and repeated rows.
    """
    table = read_table(f"The split {file.name}", file, file.name, ("path", "part", "fold"))
    lacking = [name for name in ("path", "part") if name not in table]
    expected = "columns path, part and, for several splits, fold"
    refuse_if(
        f"The split {file.name}",
        [Problem(file.name, f"no column `{name}`", expected, "Add it.", 1, "ALS003") for name in lacking],
    )
    expected = "a row for each image, with its path and part"
    empty = [Problem(file.name, "no rows", expected, "Add them.", None, "ALS003")] if table.empty else []
    refuse_if(f"The split {file.name}", empty)
    table["fold"] = table.get("fold", "")
    row_of = {path.removeprefix("./"): row for row, path in enumerate(paths)}
    table["path"] = table["path"].str.removeprefix("./")
    aliases = {
        "val": "validation",
        "valid": "validation",
        "dev": "validation",
        "training": "train",
        "testing": "test",
    }
    table["part"] = table["part"].str.strip().str.lower().replace(aliases)
    problems = []
    for row, line in enumerate(table.itertuples(index=False)):
        if line.path not in row_of:
            expected, remedy = "a path of the cohort", "Correct it, or drop the row."
            problems.append(Problem(file.name, f"path {line.path}", expected, remedy, row + 2, "ALS006"))
        if line.part not in PARTS:
            expected = ", ".join(PARTS)
            problems.append(
                Problem(file.name, f"part {line.part}", expected, "Correct it.", row + 2, "ALS004")
            )
    for row in np.flatnonzero(table.duplicated(["path", "fold"])):
        found, expected = f"path {table['path'][row]} again in its fold", "each path once in each fold"
        problems.append(Problem(file.name, found, expected, "Drop one row.", int(row) + 2, "ALS005"))
    refuse_if(f"The split {file.name}", merge_problems(problems))
    splits = []
    for fold, lines in table.groupby("fold", sort=True):
        parts = np.full(len(paths), "", dtype="<U10")
        parts[[row_of[path] for path in lines["path"]]] = lines["part"]
        splits.append(Split(f"fold {fold}" if fold else file.stem, "group", parts))
    return splits


def split_leaks(
    split: Split,
    groups: np.ndarray | None,
    twins: Sequence[ImagePair],
    overlaps: Sequence[ImagePair] = (),
) -> pd.DataFrame:
    """What a split has in two parts: columns kind ("group", "copies" or "overlap"), samples (row numbers), parts, how.

    twins: copies, n - 1 pairs for a set of n; of each set that is in two parts every sample is paired that is not in the
    part of the set's first. overlaps: pairs that show the same place.
    """
    rows = []
    if groups is not None:
        for group, parts in groups_across(split, groups).items():
            rows.append(("group", tuple(np.flatnonzero(groups == group)), parts, f"group {group}"))
    earlier = {pair.second: pair for pair in twins}
    for copies in copy_sets(twins, len(split.parts)):
        first, *others = [row for row in copies if split.parts[row]] or [-1]
        for other in others:
            if split.parts[other] == split.parts[first]:
                continue
            pair = earlier.get(other)
            direct = pair and split.parts[pair.first] not in ("", split.parts[other])
            one, how = (pair.first, pair.nature) if direct else (first, "copies of one image")
            rows.append(("copies", (one, other), _in_order(split.parts[[one, other]]), how))
    for pair in overlaps:
        parts = _in_order(np.unique(split.parts[[pair.first, pair.second]]))
        if len(parts) > 1:
            rows.append(("overlap", (pair.first, pair.second), parts, pair.nature))
    return pd.DataFrame(rows, columns=["kind", "samples", "parts", "how"])


def groups_across(split: Split, groups: np.ndarray) -> dict[str, tuple[str, ...]]:
    """Groups that have samples in more than one part, with those parts in order."""
    found = {group: _in_order(np.unique(split.parts[groups == group])) for group in np.unique(groups)}
    return {str(group): parts for group, parts in found.items() if len(parts) > 1}


def _in_order(parts: np.ndarray) -> tuple[str, ...]:
    return tuple(part for part in PARTS if part in parts)


def _one_of_each_label_at_least(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Part of each sample, each label divided by itself; the parts of a rare label have one sample at least."""
    parts = np.full(len(labels), PARTS[0], dtype="<U10")
    names, counts = np.unique(labels, return_counts=True)
    refuse_if(
        "A split by image",
        (
            Problem(
                f"label {name}",
                f"{count} samples",
                f"at least {len(PARTS)}",
                "Add samples, or drop the label.",
            )
            for name, count in zip(names, counts, strict=True)
            if count < len(PARTS)
        ),
    )
    for name in names:
        rows = generator.permutation(np.flatnonzero(labels == name))
        n_validation = n_test = max(1, round(0.2 * len(rows)))
        if n_validation + n_test >= len(rows):
            n_validation, n_test = 1, 1
        parts[rows[:n_test]] = "test"
        parts[rows[n_test : n_test + n_validation]] = "validation"
    return parts


def _refuse_few_groups(labels: np.ndarray, groups: np.ndarray, least: int) -> None:
    refuse_if(
        "A split by group",
        (
            Problem(
                f"label {label}", f"{count} group(s)", f"at least {least}", "Add groups, or split by image."
            )
            for label in np.unique(labels)
            if (count := len(np.unique(groups[labels == label]))) < least
        ),
    )


def _held_out(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Rows of one of the folds that share out labels and groups evenly, about `share` of the rows."""
    least = min(len(np.unique(groups[rows][labels[rows] == label])) for label in np.unique(labels[rows]))
    folds = min(round(1 / share), least)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=_state(generator))
    _, held = next(splitter.split(rows, labels[rows], groups[rows]))
    return rows[held]


def _parts(count: int, train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> np.ndarray:
    parts = np.empty(count, dtype=object)
    for part, rows in zip(PARTS, (train, validation, test), strict=True):
        parts[rows] = part
    return parts.astype(str)


def _state(generator: np.random.Generator) -> int:
    """scikit-learn takes integers for seeds, not generators."""
    return int(generator.integers(2**32))
