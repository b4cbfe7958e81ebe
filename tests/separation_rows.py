"""The table of scores as `studies.xia2024.separation` returns it, from rows written by hand."""

import pandas as pd

COLUMNS = (
    "question", "split", "name", "chance", "score", "low", "high",
    "null", "null_sd", "null_low", "null_high", "p",
)  # fmt: skip


def separation_rows(rows: list[tuple]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.assign(p_family=table["p"])
