"""Run the audit live: recompute every finding's numbers and compare them with the numbers it states.

The computations are plain functions, one per finding, to read and to disagree with: `computation_of("M1")`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from als_core.claims.findings import computation_of, findings
from als_core.claims.printed import agrees_as_printed, parse_printed
from als_core.claims.published import claims
from als_core.studies.miao2023 import audit as miao2023
from als_core.studies.panagiotaras import audit as panagiotaras  # noqa: F401  (registers its findings)
from als_core.studies.turrisi2024 import audit as turrisi2024
from als_core.studies.wang2023 import audit as wang2023  # noqa: F401  (registers its findings)
from als_core.studies.xia2024 import audit as xia2024

COLUMNS = ("finding", "name", "means", "stated", "computed", "agrees")


def check(finding_id: str) -> pd.DataFrame:
    """Compare a finding's numbers as stated with the same numbers computed now.

    Columns `COLUMNS`, one row a number. A number agrees when it rounds to the stated one; words have to be equal.
    Raises KeyError for a number that is stated and not computed.

    >>> check("M3")[["name", "stated", "agrees"]].head(2).to_dict("records")
    [{'name': 'equal', 'stated': '6', 'agrees': True}, {'name': 'cells', 'stated': '9', 'agrees': True}]
    """
    computed = computation_of(finding_id)()
    rows = [
        (finding_id, each.name, each.means, each.text, value, _agrees(each.text, value))
        for each in findings()[finding_id].stated
        for value in (computed[each.name],)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def check_all(only: Iterable[str] | None = None) -> pd.DataFrame:
    """Return `check` of every finding, or of those in `only`, as one table."""
    return pd.concat([check(each) for each in (findings() if only is None else only)], ignore_index=True)


def claims_of(finding_id: str) -> tuple[str, ...]:
    """Return the ids of the published claims that a finding is about."""
    return tuple(claim.id for claim in claims().values() if finding_id in claim.findings)


def recomputed_claims() -> dict[str, float | None]:
    """Recompute the claims that follow from other printed numbers and that no other page records, by id.

    The value is None for claims that cannot hold, which have a verdict without one.
    """
    grids = miao2023.means_of_the_grids()
    images = miao2023.sizes_behind_the_logged_shares()["total"]
    correlation = xia2024.correlation_of_flops_and_accuracy()["correlation"]
    computed = {f"miao2023.section3.{model}.average_accuracy": float(grids[model]) for model in grids}
    computed |= {
        "miao2023.fig10.steps_per_epoch": math.ceil(images / int(miao2023.log(10)["batch_size"][0])),
        "turrisi2024.section4.all_configurations.f1_median": float(turrisi2024.f1_table().median()),
        "xia2024.section2_2.flops_and_accuracy.correlation": float(correlation),
    }
    settled = (claim.id for claim in claims().values() if claim.settled == "cannot hold")
    return computed | {claim_id: None for claim_id in settled if claim_id not in computed}


def _agrees(stated: str, computed: float | str) -> bool:
    if isinstance(computed, str):
        return stated == computed
    (printed,) = parse_printed(stated)
    return bool(agrees_as_printed(float(computed), printed))
