"""The page on speed: its table, figure and sentences, from `benchmarks/results/latest.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.ticker import FuncFormatter

from als_core.figures.drawn import Drawn, listed
from als_core.figures.primitives import draw_reference, draw_rows, legend, panels
from als_core.figures.style import INK, PALETTE
from als_core.refusal import counted

KEY = ["part", "subject", "way"]
MISSING = "not measured yet"
TABLE_CAPTION = """Targets and measured ratios. Differences are of scores: absolute in double precision, for occlusion
a share of the largest drop."""
HOW_TO_MEASURE = "`make bench` measures it."
RESULTS = ["ratio", "ratio_low", "ratio_high", "clock_ratio", "rounds", "ordinary_seconds", "companion_seconds",
           "once_seconds", "difference", "measured"]  # fmt: skip


def compare(comparisons: pd.DataFrame, found: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a comparison: its target, and what was measured (NaN where nothing was).

    comparisons : columns part, subject, name, way, target (NaN for none). found : the results file.
    """
    rows = pd.DataFrame(found["rows"]).reindex(columns=[*KEY, *RESULTS])
    table = comparisons.merge(rows.astype(dict.fromkeys(KEY, object)), on=KEY, how="left")
    return table.assign(label=table["name"] + ", " + table["way"])


def speed_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of targets for readers; `table` is of `compare`."""
    return pd.DataFrame([_printed_row(row) for row in table.to_dict("records")])


def speed_ratios(table: pd.DataFrame) -> Drawn:
    """Draw the ratio of each measured comparison with its range and target on a logarithmic axis; before any, all targets."""
    missing = int(table["ratio"].isna().sum())
    if missing < len(table):
        table = table.dropna(subset=["ratio"])
    figure, (axes,) = panels(1, height=0.9 + 0.26 * len(table))
    values = table.rename(columns={"ratio": "value", "ratio_low": "low", "ratio_high": "high"})
    targets = table[["label", "target"]].rename(columns={"target": "value"})
    draw_rows(axes, values[["label", "value", "low", "high"]], row="label")
    draw_rows(axes, targets, row="label", colour=INK, kind="tick", order=table["label"].tolist())
    draw_reference(axes, 1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.set_xlabel("Processor time of the ordinary script / of the companion")
    legend(figure, {"median and range of the rounds": ("interval", PALETTE[0]), "target": ("tick", INK)})
    lines = [f"{row['Comparison']}: {row['Times less']}" for row in speed_table(table).to_dict("records")]
    caption = "How many times less processor time the companion needs than an ordinary script."
    if missing:
        caption += f" Comparisons {MISSING}: {missing}; the table below lists them."
    data = table[["name", "way", "target", "ratio", "ratio_low", "ratio_high"]]
    alt = f"Dots on a logarithmic axis, one row a comparison. {'; '.join(lines)}."
    return Drawn(figure, caption, alt, data)


def found_sentence(table: pd.DataFrame) -> str:
    """Answer how much the companion saves: cold runs of a head, training steps by precision, occlusion."""
    measured = table.dropna(subset=["ratio"])
    if measured.empty:
        return f"The comparison with an ordinary script is {MISSING} on this version. {HOW_TO_MEASURE}"
    half = measured["way"].str.startswith("bf16")
    steps, said = measured["part"] == "steps", []
    for rows, noun in (
        (measured["part"] == "heads", "five runs of a head from a cold start"),
        (steps & ~half, "a training step in single precision (that of the script)"),
        (steps & half, "one in bfloat16"),
        *(
            ((measured["part"] == "occlusion") & (measured["way"] == way), f"occlusion ({way})")
            for way in measured.loc[measured["part"] == "occlusion", "way"].unique()
        ),
    ):
        ratios = measured.loc[rows, "ratio"]
        if len(ratios):
            low, high = times(ratios.min()), times(ratios.max())
            said.append(f"{low if low == high else f'{low} to {high}'} for {noun}")
    aimed = measured.dropna(subset=["target"])
    met = int((aimed["ratio"] >= aimed["target"]).sum())
    targets = f"Targets met: {met} of {len(aimed)} measured."
    return (
        f"An ordinary script needs this many times the companion's processor time: {listed(said)}. {targets}"
    )


def how_sure_sentence(table: pd.DataFrame, found: Mapping[str, Any]) -> str:
    """Say on what machine, when and how often it was measured, and what is missing."""
    missing = int(table["ratio"].isna().sum())
    if missing == len(table):
        return "Not at all before it is measured: the targets below are intentions."
    rounds, last = int(table["rounds"].min()), table["measured"].dropna().max()
    sentence = f"Last measured on {last}, on one machine ({found['device']}), with {counted(rounds, 'round')} or more a row."
    return f"{sentence} Rows not measured yet: {missing} of {len(table)}." if missing else sentence


def book_sentence(book: Mapping[str, Any] | None) -> str:
    """Say how long the pages of the last recorded book took."""
    if not book:
        return (
            "No time of a whole book is recorded with these ratios; {doc}`Run it yourself </book/run_it_yourself>` says "
            "how long to expect. "
            "`python -m benchmarks --only book` records that of your last `make book`."
        )
    return (
        f"The {counted(book['pages'], 'page')} of the last recorded book ({book['profile']} profile) took "
        f"{book['seconds'] / 60:.1f} minutes, added up. The longest is `{book['longest_page']}` with "
        f"{book['longest_seconds'] / 60:.1f} minutes. Several pages run at a time, so the clock shows less."
    )


def times(ratio: float) -> str:
    """Write a ratio as "2.8×" or "1,210×"; "not measured yet" for NaN."""
    return MISSING if pd.isna(ratio) else f"{ratio:,.0f}×" if ratio >= 20 else f"{ratio:.1f}×"


def _printed_row(row: Mapping[str, Any]) -> dict[str, str]:
    measured, aimed = pd.notna(row["ratio"]), pd.notna(row["target"])
    verdict = "met" if row["ratio"] >= row["target"] else "below target"
    once = row["once_seconds"]
    return {
        "Comparison": row["label"],
        "Target": times(row["target"]) if aimed else "",
        "Times less": times(row["ratio"]),
        "Range": f"{times(row['ratio_low'])} to {times(row['ratio_high'])}" if measured else "",
        "Verdict": verdict if measured and aimed else "",
        "By the clock": times(row["clock_ratio"]) if measured else "",
        "Once a run, seconds": f"{once:.0f}" if pd.notna(once) else "",
        "Largest difference": f"{row['difference']:.0e}" if pd.notna(row["difference"]) else "",
    }


def speed_answer(ratios: pd.DataFrame, found: Mapping[str, Any]) -> dict[str, str]:
    """Fill the answer box of the page. found: content of `benchmarks/results/latest.json`."""
    return {
        "question": "How much processor time does the companion save?",
        "found": found_sentence(ratios),
        "how_sure": how_sure_sentence(ratios, found),
        "not_shown": "The ratios on another machine: they depend on processor and memory. `make bench` uses no GPU.",
    }
