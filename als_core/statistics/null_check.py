"""Null checks: does a procedure move a score as declared where there is nothing to find?

1. Declare for each procedure which way it should move a score on null cohorts (`Direction`).
2. Score every procedure, and a reference procedure, on the same null cohorts (`replay`).
3. Compare the mean shift with its standard error over cohorts (`check_directions`).

=================  =========================================================
declared           the declaration holds where
=================  =========================================================
``up``             the mean shift is above `UP_ERRORS` standard errors
``none``           the mean shift is within `NONE_ERRORS` standard errors of 0
``mirrored``       every score is 1 minus the reference score
``not applicable`` never judged: the procedure has no such step
=================  =========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

Direction = Literal["up", "none", "mirrored", "not applicable"]
PERMUTED = "labels permuted"
UP_ERRORS, NONE_ERRORS = 2, 3


def replay(
    score: Callable[..., Iterable[Mapping[str, Any]]],
    tasks: Sequence[tuple],
    jobs: int = 1,
    description: str = "null cohorts",
) -> pd.DataFrame:
    """Score cohorts in parallel and collect the rows; a progress bar goes to stderr.

    Parameters
    ----------
    score : called with each task's arguments; returns that task's rows, as mappings of column to value.
    tasks : arguments of each call, picklable.
    jobs : processes, each with one thread. The rows and their order do not depend on it.
    """
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        work = Parallel(return_as="generator", batch_size=1)(delayed(score)(*task) for task in tasks)
        parts = tqdm(work, description, len(tasks), unit="task", disable=None)
        return pd.DataFrame([row for part in parts for row in part])


def check_directions(scores: pd.DataFrame, declared: Mapping[str, Direction], reference: str) -> pd.DataFrame:
    """Compare the shift of every procedure with the direction declared for it.

    Parameters
    ----------
    scores : one row per null cohort, one column per procedure; all procedures saw the same cohorts.
    declared : procedure -> direction. A procedure that is not applicable needs no column.
    reference : the column from which shifts are measured.

    Returns
    -------
    DataFrame
        One row per declared procedure: procedure, declared, cohorts, reference and score (means over
        cohorts), shift and its standard error `error`, in_errors (the first over the second) and holds. All
        but the first two are NaN where a procedure is not applicable.

    Raises
    ------
    ValueError
        For fewer than two cohorts, which have no standard error.
    """
    if len(scores) < 2:
        raise ValueError(f"{len(scores)} null cohort: a standard error needs two or more")
    before = scores[reference]
    rows = []
    for procedure, direction in declared.items():
        row = {"procedure": procedure, "declared": direction}
        if direction != "not applicable":
            after = scores[procedure]
            shift, error = (after - before).mean(), (after - before).sem()
            row |= {"cohorts": len(scores), "reference": before.mean(), "score": after.mean()}
            row |= {"shift": shift, "error": error, "in_errors": shift / error if error else np.nan}
            rules = {
                "up": shift > UP_ERRORS * error,
                "none": abs(shift) <= NONE_ERRORS * error,
                "mirrored": np.allclose(after, 1 - before),
            }
            row["holds"] = bool(rules[direction])
        rows.append(row)
    columns = [
        "procedure",
        "declared",
        "cohorts",
        "reference",
        "score",
        "shift",
        "error",
        "in_errors",
        "holds",
    ]
    return pd.DataFrame(rows, columns=columns)
