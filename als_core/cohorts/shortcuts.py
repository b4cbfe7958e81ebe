"""Shortcuts: how well one simple property of an image, or one covariate, predicts the label, by group.

Each property alone predicts the label of groups that were left out: all groups but one give each class its mean
rank, or its share of each category, and the nearest class is the answer. The test compares the share of a property's
variance that lies between labels with its null, labels permuted over groups; and with the largest share of any
property under permuted labels, so that trying many properties does not count as finding one. A network can learn every property named here. Where it comes from preparation, scanner or saving, the
network's accuracy then says nothing about the disease.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from als_core.cohorts.identifiers import says_missing, unnamed_groups
from als_core.refusal import counted
from als_core.statistics.paired import permutation_p_value, permute_labels

PERMUTATIONS = 500
ALPHA = 0.05
CORNER = 8  # the corners are this part of the shorter side
SHARPNESS_SIDE = 256  # pixels of the shorter side; larger images are reduced to it first
# Columns of a manifest that are no covariates: names of samples and units, and other files.
NOT_COVARIATES = (
    "path",
    "label",
    "group",
    "subject",
    "slide",
    "case",
    "sha256",
    "mask",
    "truth",
    "source",
    "diagnosis",
)

MEASURES = {
    "file_type": "file type",
    "image_size": "image size",
    "bytes_per_pixel": "bytes per pixel",
    "sharpness": "sharpness",
    "brightness": "brightness",
    "contrast": "contrast",
    "red": "colour (share of red)",
    "blue": "colour (share of blue)",
    "corners": "corners against the rest",
}


def measure(pixels: np.ndarray, kind: str, size: tuple[int, int], file_bytes: int) -> dict[str, str | float]:
    """Properties of one image, as `MEASURES` names them.

    pixels: uint8 (H, W, 3). kind: file format. size: (height, width) as stored. file_bytes: size of the file.
    Sharpness is the logarithm of the Laplacian's variance, brightness and contrast are grey levels.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = SHARPNESS_SIDE / min(grey.shape)
    small = grey if scale >= 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    side = max(1, min(grey.shape) // CORNER)
    ends = (slice(side), slice(-side, None))
    corners = np.concatenate([grey[rows, columns] for rows in ends for columns in ends])
    red, green, blue, _ = cv2.mean(pixels)
    total = max(red + green + blue, 1e-9)
    mean, spread = cv2.meanStdDev(grey)
    return {
        "file_type": kind,
        "image_size": f"{size[1]} x {size[0]}",
        "bytes_per_pixel": file_bytes / (size[0] * size[1]),
        "sharpness": float(np.log1p(cv2.Laplacian(small, cv2.CV_64F).var())),
        "brightness": float(mean[0, 0]),
        "contrast": float(spread[0, 0]),
        "red": red / total,
        "blue": blue / total,
        "corners": float(corners.mean() - mean[0, 0]),
    }


def shortcut_report(
    samples: pd.DataFrame, measures: pd.DataFrame, permutations: int = PERMUTATIONS, seed: int = 0
) -> pd.DataFrame:
    """How well each property alone predicts the label of left-out groups; the strongest first.

    samples: a manifest with `label` and, where known, `group` (without it each sample is left out alone).
    measures: one row per sample, as `measure` gives them. Covariates are all other columns of the manifest.
    Columns: property; accuracy (balanced over labels); chance (of guessing); p; p_any (against the best of all
    properties); groups (number left out in turn); named (whether to call it a shortcut: p_any of at most 0.05 and
    more accurate than guessing, or a category that coincides with the label); missing (samples without a value).

    Of a numeric property, samples without a value are left out; where no sample of a label has one, whether there is
    a value is the property. Among categories, no value is a category.
    """
    labels = pd.factorize(samples["label"], sort=True)[0]
    groups = samples["group"].to_numpy(str) if "group" in samples else np.arange(len(samples)).astype(str)
    values = {MEASURES[name]: measures[name] for name in measures}
    other = (*NOT_COVARIATES, *unnamed_groups(samples), *measures)
    values |= {name: _numbers_or_words(samples[name]) for name in samples if name not in other}
    missing = {name: int(column.isna().sum()) for name, column in values.items()}
    mixed = (pd.Series(labels).groupby(groups).nunique() > 1).any()
    if not mixed:  # a group is one observation: its median, or its most frequent category
        first = pd.Series(np.arange(len(labels))).groupby(groups, sort=False).first().to_numpy()
        values = {name: _of_groups(column, groups) for name, column in values.items()}
        labels, groups = labels[first], groups[first]
    columns = {
        name: read for name, column in values.items() if (read := _as_numbers(column, labels)) is not None
    }
    generator = np.random.default_rng(seed)
    observed = _explained(columns, labels)
    null = np.array(
        [_explained(columns, permute_labels(labels, groups, generator)) for _ in range(permutations)]
    )
    count = pd.factorize(groups)[0]
    report = pd.DataFrame(
        {
            "property": list(columns),
            "accuracy": [_left_out_accuracy(column, labels, count) for column in columns.values()],
            "chance": 1 / (labels.max() + 1),
            "p": [permutation_p_value(share, each) for share, each in zip(observed, null.T, strict=True)],
            "p_any": [permutation_p_value(share, null.max(1)) for share in observed],
            "groups": [len(set(groups[~np.isnan(column)])) for column in columns.values()],
            "missing": [missing[name] for name in columns],
        }
    )
    complete = np.array([column.dtype.kind == "i" for column in columns.values()], bool) & (
        observed > 1 - 1e-9
    )
    report["named"] = ((report["p_any"] <= ALPHA) & (report["accuracy"] > report["chance"])) | complete
    return report.sort_values(["named", "accuracy"], ascending=False, ignore_index=True)


def shortcut_notices(report: pd.DataFrame, has_groups: bool = True) -> list[str]:
    """One sentence for each property that is called a shortcut, and one for cells without a value."""
    unit = "left-out groups" if has_groups else "left-out images"
    named = [
        f"{row.property.capitalize()} alone predicts the label of {100 * row.accuracy:.0f} % of {unit} (balanced over "
        f"labels; {100 * row.chance:.0f} % by guessing; p = {row.p_any:.3f} over all properties): a network can use it (ALS026)."
        for row in report.itertuples()
        if row.named
    ]
    return [*named, *missing_notices(report)]


def missing_notices(report: pd.DataFrame) -> list[str]:
    """One sentence on numeric properties that some samples have no value of; none where there are none."""
    cells = [
        f"{row.property} in {counted(row.missing, 'sample')}" for row in report.itertuples() if row.missing
    ]
    return cells and [
        f"No value of {', of '.join(cells)}: the test for shortcuts leaves them out or, where no sample of a label has a "
        "value, tests whether there is one (ALS026)."
    ]


def _numbers_or_words(column: pd.Series) -> pd.Series:
    """Read cells as float64, NaN where there is none, if all that hold a value hold numbers; else leave them."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    missing = column.astype(str).map(lambda cell: not cell.strip() or says_missing(cell))
    return numbers if numbers.notna().any() and (numbers.notna() | missing).all() else column


def _of_groups(column: pd.Series, groups: np.ndarray) -> pd.Series:
    by_group = column.reset_index(drop=True).groupby(groups, sort=False)
    if pd.api.types.is_numeric_dtype(column):
        return by_group.median()
    return by_group.agg(lambda cells: cells.mode().iloc[0])


def _as_numbers(column: pd.Series, labels: np.ndarray) -> np.ndarray | None:
    """Categories as int codes, numbers as float64; None for a constant, and for names of single samples.

    Numbers that no sample of some label has become two categories: with and without a value.
    """
    if column.nunique() < 2:
        return None
    if pd.api.types.is_numeric_dtype(column):
        known = column.notna().to_numpy()
        if set(labels[known]) == set(labels):
            return column.to_numpy(np.float64)
        return known.astype(np.int64)
    if column.nunique() > max(2, len(column) // 2):
        return None
    return pd.factorize(column)[0].astype(np.int64)


def _explained(columns: dict[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Share of each property's variance that lies between labels; of categories, that of the best one.

    A sample without a value counts as the mean, so that the share under permuted labels is as large as of any other
    property, however few have a value.
    """
    number = np.bincount(labels)
    shares = []
    for column in columns.values():
        levels = (
            [column == level for level in range(column.max() + 1)] if column.dtype.kind == "i" else [column]
        )
        best = 0.0
        for level in levels:
            centred = np.nan_to_num(level - np.nanmean(level))
            between = (np.bincount(labels, centred) ** 2 / number).sum()
            best = max(best, between / (centred @ centred))
        shares.append(best)
    return np.array(shares)


def _left_out_accuracy(column: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Balanced accuracy of one property over samples with a value, each group left out in turn. groups: int (n,), from 0."""
    known = ~np.isnan(column)
    column, labels, groups = column[known], labels[known], groups[known]
    classes, count = labels.max() + 1, groups.max() + 1
    cell = labels * count + groups
    number = np.bincount(cell, minlength=classes * count).reshape(classes, count)
    left = number.sum(1, keepdims=True) - number  # (classes, groups): members outside the group
    if column.dtype.kind == "f":
        column = pd.Series(column).rank().to_numpy()
        total = np.bincount(cell, column, minlength=classes * count).reshape(classes, count)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (total.sum(1, keepdims=True) - total) / left
        evidence = -np.abs(column - means[:, groups])  # (classes, n)
    else:
        levels = column.max() + 1
        joint = np.bincount((cell * levels) + column, minlength=classes * count * levels)
        joint = joint.reshape(classes, count, levels)
        seen = joint.sum(1, keepdims=True) - joint
        with np.errstate(invalid="ignore", divide="ignore"):
            evidence = seen[:, groups, column] / left[:, groups]
    evidence = np.nan_to_num(evidence, nan=-np.inf)
    best = evidence == evidence.max(0)
    right = best[labels, np.arange(len(labels))] / best.sum(0)  # a tie is a guess
    per_class = np.bincount(labels, right, minlength=classes) / number.sum(1)
    return float(per_class.mean())
