"""Tables of features, one row per subject: loading, checking, and synthetic ones with a chosen effect.

The file: CSV with `subject,label`, where known `age` (years) and `sex` (F or M), and one numeric column per
feature. Two labels, one of them the positive class. Turrisi 2024: 548 ALS and 106 mimics, 107 or 256
features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from als_core.cohorts.checks import merge_problems
from als_core.cohorts.identifiers import group_notices, group_problems
from als_core.cohorts.tables import cell_problems, read_table, row_number_problems
from als_core.refusal import Problem, counted, refuse_if

OUTER_FOLDS = INNER_FOLDS = 3
NEIGHBOURS = 5  # of SMOTE (Turrisi 2024, section 2.4)
NOT_FEATURES = ("subject", "label", "group", "age", "sex")


@dataclass(frozen=True)
class FeatureTable:
    """Checked features of one representation.

    features: float64 (n, F), indexed by subject, columns named. positive: bool (n,), the class of interest.
    labels: as in the file (n,), or None.
    demographics: `age` in years and `sex` (F or M) of the same subjects, or None where the file has neither.
    groups: the group of each subject (n,), each once, or None. notices: how the file was read, and what looks wrong.
    """

    features: pd.DataFrame
    positive: np.ndarray
    demographics: pd.DataFrame | None = None
    groups: np.ndarray | None = None
    notices: tuple[str, ...] = ()
    labels: np.ndarray | None = None


def load_feature_table(
    file: Path | str, positive_label: str = "ALS", neighbours: int = NEIGHBOURS
) -> FeatureTable:
    """Read a CSV as described above; of several rows of a `group` the first is kept, and a notice says so.

    neighbours: of SMOTE, at least. Raises RefusedInput with every problem found.
    """
    file = Path(file)
    table = read_table(file.name, file, file.name, NOT_FEATURES)
    refuse_if(file.name, _column_problems(table, positive_label))
    features = table.drop(columns=[name for name in NOT_FEATURES if name in table])
    features = features.apply(pd.to_numeric, errors="coerce").set_axis(pd.Index(table["subject"]))
    positive = (table["label"] == positive_label).to_numpy()
    unit = "group" if "group" in table else "subject"
    problems = [*cell_problems(table, file.name, ("subject", "label", "group")), *_row_problems(table)]
    problems += row_number_problems(features, file.name)
    problems += group_problems(table, file.name, unit, accepts=False)
    counted_once = ~table[[unit, "label"]].duplicated().to_numpy()
    problems += feature_problems(features, positive[counted_once], neighbours, table)
    refuse_if(file.name, merge_problems(problems))
    notices = table.attrs["notices"]
    if "group" not in table:
        notices = [*notices, *group_notices(table["subject"].tolist(), "subjects")]
    first = ~table[unit].duplicated().to_numpy()
    if left_out := int((~first).sum()):
        rows = counted(left_out, "further row")
        notices = [*notices, f"Left out: {rows} of a group that is in the table already."]
    table, features, positive = table[first], features[first], positive[first]
    groups = table["group"].to_numpy(str) if "group" in table else None
    known = None
    if {"age", "sex"} <= set(table):
        known = table.set_index("subject")[["age", "sex"]].astype({"age": float})
    labels = table["label"].to_numpy(str)
    return FeatureTable(features.astype(np.float64), positive, known, groups, tuple(notices), labels)


def feature_problems(
    features: pd.DataFrame,
    positive: np.ndarray,
    neighbours: int = NEIGHBOURS,
    cells: pd.DataFrame | None = None,
) -> list[Problem]:
    """List what keeps a table from nested cross-validation with SMOTE.

    features: (n, F). positive: bool, one value a subject, in any order. neighbours: SMOTE's k; an inner training
    part needs one more member of each class than that. cells: text of the features in the file, for examples.
    """
    problems = []
    values = features.to_numpy(np.float64)
    for name, column in zip(features.columns, values.T, strict=True):
        missing = np.flatnonzero(~np.isfinite(column))
        if len(missing):
            found = f"{len(missing)} cells without a finite number"
            if cells is not None:
                found += _examples(cells[name].iloc[missing])
            remedy = "Find out why it could not be computed; leave out the subject or the feature."
            row = int(missing[0]) + 2
            problems.append(Problem(f"column {name}", found, "a number in every row", remedy, row))
        elif len(column) and np.ptp(column) == 0:
            remedy = "Leave the column out: it separates nobody, and scaling would divide by 0."
            problems.append(
                Problem(f"column {name}", f"{column[0]:g} in every row", "values that differ", remedy)
            )
    least = least_class_size(neighbours)
    for name, members in (("positive", int(np.sum(positive))), ("other", int(np.sum(~positive)))):
        if members < OUTER_FOLDS:
            found, expected = f"{members} subjects", f"at least one for each of {OUTER_FOLDS} folds"
            problems.append(Problem(f"{name} class", found, expected, f"Bring {least} subjects or more."))
        elif members < least:
            inner = _left_after(_left_after(members, OUTER_FOLDS), INNER_FOLDS)
            found = f"{members} subjects, {inner} of them in an inner training part"
            expected = f"more than the {neighbours} neighbours of SMOTE there, so {least} subjects"
            remedy = (
                f"Bring more subjects, or set neighbours to {inner - 1}."
                if inner > 1
                else "Bring more subjects."
            )
            problems.append(Problem(f"{name} class", found, expected, remedy))
    return problems


def least_class_size(neighbours: int = NEIGHBOURS) -> int:
    """Find the smallest class whose inner training parts all have more members than SMOTE has neighbours."""
    size = neighbours + 1
    while _left_after(_left_after(size, OUTER_FOLDS), INNER_FOLDS) <= neighbours:
        size += 1
    return size


def synthetic_feature_table(
    rng: np.random.Generator, positive: np.ndarray, columns: int = 107, effect: float = 0.0
) -> FeatureTable:
    """Draw correlated features of subjects, with a chosen effect of their class. positive: bool (n,).

    Twelve hidden factors are mixed into `columns` features, to which as much noise is added again. `effect`:
    distance between the two class means in standard deviations of a factor, spread over three of them; 0: the
    class has no part in the features.
    """
    factors = rng.standard_normal((len(positive), 12))
    factors[:, :3] += effect / math.sqrt(3) * positive[:, None]
    mixing = rng.standard_normal((12, columns)) / math.sqrt(12)
    values = factors @ mixing + rng.standard_normal((len(positive), columns))
    subjects = pd.Index([f"S{number:04d}" for number in range(1, len(positive) + 1)], name="subject")
    features = pd.DataFrame(values, subjects, [f"feature_{number:03d}" for number in range(columns)])
    return FeatureTable(features, positive)


def demographic_features(demographics: pd.DataFrame) -> pd.DataFrame:
    """Encode age in years and sex as 0 (M) or 1 (F), float64 (n, 2): what is known without an image."""
    return pd.DataFrame({"age": demographics["age"], "female": demographics["sex"] == "F"}).astype(np.float64)


def _column_problems(table: pd.DataFrame, positive_label: str) -> Iterator[Problem]:
    for name in ("subject", "label"):
        if name not in table:
            expected = "columns subject, label, then features"
            yield Problem(f"column {name}", "no such column", expected, "Add it, or correct its name.")
    if not set(table.columns) - set(NOT_FEATURES):
        yield Problem("header", "no feature column", "one numeric column per feature", "Add the features.")
    if len({"age", "sex"} & set(table)) == 1:
        yield Problem("header", "one of age and sex", "both or neither", "Add the other, for the baseline.")
    if "label" in table:
        labels = sorted(label for label in table["label"].unique() if label.strip())
        if len(labels) != 2 or positive_label not in labels:
            expected = f"two labels, one of them {positive_label}"
            remedy = (
                "Leave out or merge further labels, and name that of the patients: --positive LABEL for als check, "
                "--patients LABEL for als book and als page."
            )
            yield Problem("column label", ", ".join(labels[:6]) or "nothing", expected, remedy)


def _row_problems(table: pd.DataFrame) -> Iterator[Problem]:
    for row, name in table["subject"][table["subject"].duplicated()].items():
        remedy = "Keep one row a subject: two would fall into different folds."
        yield Problem("column subject", f"{name} again", "each subject once", remedy, row + 2)
    yield from _group_label_problems(table)
    if "age" in table:
        age = pd.to_numeric(table["age"], errors="coerce")
        for row in np.flatnonzero(~age.between(0, 120)):
            found = f"{table['age'].iloc[row]}"
            yield Problem("column age", found, "years from 0 to 120", "Correct it or leave it out.", row + 2)
        for row in np.flatnonzero(~table["sex"].isin(["F", "M"])):
            found = f"{table['sex'].iloc[row]}"
            yield Problem("column sex", found, "F or M", "Correct it, or leave the subject out.", row + 2)


def _group_label_problems(table: pd.DataFrame) -> Iterator[Problem]:
    """List the groups whose rows have several labels: one row of a group is kept, and its label would be a guess."""
    if "group" not in table:
        return
    filled = table[(table["group"].str.strip() != "") & (table["label"].str.strip() != "")]
    for group, labels in filled.groupby("group", sort=False)["label"].unique().items():
        if len(labels) > 1:
            found = f"group {group} with the labels {' and '.join(sorted(labels))}"
            remedy = "Correct the label or the group, or leave the group out."
            yield Problem("column group", found, "one label for all rows of a group", remedy)


def _examples(cells: pd.Series) -> str:
    """Up to three different cells, as an addition to a finding; empty where all of them are empty."""
    shown = [f"`{cell}`" for cell in dict.fromkeys(cells) if cell.strip()]
    return f", such as {', '.join(shown[:3])}" if shown else ""


def _left_after(members: int, folds: int) -> int:
    """Count the members of a class in the smallest training part of a stratified cross-validation."""
    return members - math.ceil(members / folds)
