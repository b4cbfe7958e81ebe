"""The audit run live: every finding's numbers computed anew and compared with what the finding says.

The computations are plain functions, one a finding, that can be read and disagreed with: `computation_of("M1")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pandas as pd

from als_core.claims.findings import CATEGORIES, SEVERITIES, Facts, findings
from als_core.claims.printed import agrees_as_printed, parse_printed
from als_core.claims.published import PAPERS, claims
from als_core.evidence import (
    audit_miao2023,
    audit_panagiotaras,
    audit_turrisi2024,
    audit_wang2023,
    audit_xia2024,
)
from als_core.refusal import Problem, RefusedInput

_MODULES = {
    "X": audit_xia2024,
    "M": audit_miao2023,
    "T": audit_turrisi2024,
    "P": audit_panagiotaras,
    "W": audit_wang2023,
}
COLUMNS = ("finding", "name", "means", "stated", "computed", "agrees")


def computation_of(finding_id: str) -> Callable[[], Facts]:
    """The function that computes a finding's numbers. Raises RefusedInput for an id that is no finding's."""
    if finding_id not in findings():
        known = ", ".join(findings())
        raise RefusedInput("The audit", [Problem("finding", finding_id, f"one of {known}", "Correct it.")])
    return getattr(_MODULES[finding_id[0]], finding_id.lower())


def checked(finding_id: str) -> pd.DataFrame:
    """A finding's numbers: name, what each means, as stated, as computed just now, and whether these agree.

    A number agrees when it rounds to what is stated; words have to be equal. Raises KeyError for a number that
    is stated and not computed.

    >>> checked("M3")[["name", "stated", "agrees"]].head(2).to_dict("records")
    [{'name': 'equal', 'stated': '6', 'agrees': True}, {'name': 'cells', 'stated': '9', 'agrees': True}]
    """
    computed = computation_of(finding_id)()
    rows = [
        (
            finding_id,
            each.name,
            each.means,
            each.text,
            computed[each.name],
            _agrees(each.text, computed[each.name]),
        )
        for each in findings()[finding_id].stated
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def check_all(only: Iterable[str] | None = None) -> pd.DataFrame:
    """`checked` for every finding, or for those in `only`, one table in their order."""
    return pd.concat([checked(each) for each in (findings() if only is None else only)], ignore_index=True)


def count_findings() -> pd.DataFrame:
    """Findings by paper (rows), category and severity (columns of two levels)."""
    table = pd.DataFrame([(f.paper, f.category, f.severity) for f in findings().values()])
    counts = table.groupby([0, 1, 2]).size().unstack([1, 2], fill_value=0)
    columns = pd.MultiIndex.from_product([CATEGORIES, SEVERITIES], names=["category", "severity"])
    return counts.reindex(index=list(PAPERS), columns=columns, fill_value=0).rename_axis("paper")


def claims_of(finding_id: str) -> tuple[str, ...]:
    """The ids of the published claims that a finding is about."""
    return tuple(claim.id for claim in claims().values() if finding_id in claim.findings)


def recomputed_claims() -> dict[str, float | None]:
    """Claims that follow from other printed numbers alone, and those that no value can save, by id.

    Averages of the crops study, the steps of its log, the median F1 of the T1w study; None for what the findings
    settle as *cannot hold*.
    """
    grids = audit_miao2023.m2()
    size = audit_miao2023.m6()["total"]
    batch = int(audit_miao2023.log(10)["batch_size"][0])
    computed = {f"miao2023.section3.{model}.average_accuracy": float(grids[model]) for model in grids}
    computed["miao2023.fig10.steps_per_epoch"] = math.ceil(size / batch)
    computed["turrisi2024.section4.all_configurations.f1_median"] = float(
        audit_turrisi2024.f1_table().median()
    )
    settled = (claim.id for claim in claims().values() if claim.settled == "cannot hold")
    return computed | {claim_id: None for claim_id in settled if claim_id not in computed}


def _agrees(stated: str, computed: float | str) -> bool:
    if isinstance(computed, str):
        return stated == computed
    (printed,) = parse_printed(stated)
    return bool(agrees_as_printed(float(computed), printed))
