"""Figures and sentences of the page on leaks, from the tables of `leak_switches`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom, t

from als_core.cohorts.group_word import DONOR, GroupWord
from als_core.figures.drawn import Drawn, as_written, listed, number, p_value
from als_core.figures.primitives import draw_curves, draw_reference, draw_rows, legend, panels
from als_core.figures.style import INK, MUTED, PALETTE, house_style
from als_core.refusal import counted
from als_core.statistics.null_check import NONE_ERRORS, PERMUTED, UP_ERRORS
from als_core.statistics.paired import permutation_p_value
from als_core.studies.cross_paper.leak_pools import EFFECTS, KINDS, SIGNALS, FeaturePool, LeakAmounts
from als_core.studies.cross_paper.leak_switches import ALL_LEAKS, HONEST, ORDER, SWITCHES

KIND_COLOURS = dict(zip(KINDS, PALETTE, strict=False))
SPLIT_COLOURS = {"by donor": PALETTE[2], "by image": PALETTE[1]}
LINES = {
    HONEST: ("honest", PALETTE[2]),
    "split by image": ("split by image", PALETTE[1]),
    ALL_LEAKS: (ALL_LEAKS, PALETTE[4]),
}
DIRECTIONS = {"up": "rises", "none": "no change", "mirrored": "1 − AUC", "not applicable": "not applicable"}


@house_style()
def leak_shifts(checked: pd.DataFrame, pools: Sequence[FeaturePool], amounts: LeakAmounts) -> Drawn:
    """Draw how far each switch moves the AUC of null cohorts, by kind of data, with 95 % intervals.

    checked: from `leak_switches.check_switches`.
    """
    order = [PERMUTED, *SWITCHES]
    applied = checked.dropna(subset="shift").astype({"shift": float, "error": float})
    half = 1.96 * applied["error"]
    rows = applied.rename(columns={"procedure": "name", "shift": "value"})
    rows = rows.assign(low=rows["value"] - half, high=rows["value"] + half)
    figure, (axes,) = panels(1, height=1.2 + 0.47 * len(order))
    for place, (kind, colour) in enumerate(KIND_COLOURS.items()):
        draw_rows(axes, rows[rows["kind"] == kind], order=order, colour=colour, shift=(place - 1.5) * 0.17)
    draw_reference(axes, 0, kind="line")
    axes.set_xlabel("Reported AUC minus that of the honest protocol, with nothing to find")
    legend(figure, {kind: ("interval", colour) for kind, colour in KIND_COLOURS.items()})
    sizes = listed(f"{pool.kind} of {amounts.of(pool.kind).null_cohort} {pool.donor}s" for pool in pools)
    said = [
        f"{row['kind']}, {row['name']}: {number(row['value'], signed=True)}"
        for row in rows.to_dict("records")
    ]
    return Drawn(
        figure,
        f"Shift of the AUC by each leak, in {counted(amounts.null_cohorts, 'null cohort')} of each kind of "
        f"data. Means with 95 % intervals; cohorts: {sizes}. *{PERMUTED.capitalize()}* is the honest "
        "protocol after permuting labels across donors: it shows how far chance moves. *Synthetic cohorts.*",
        "Dot plot of shifts in area under the curve, leaks as rows, kinds of data in colour. "
        f"{'; '.join(said)}.",
        rows.drop(columns="in_errors"),
    )


@house_style()
def something_from_nothing(steps: pd.DataFrame) -> Drawn:
    """Draw the reported AUC of null cohorts as leaks are added one by one, and the AUC on new donors.

    steps: from `leak_switches.mean_by_set`, sets of `cumulative_leaks` in their order.
    """
    order = [HONEST, *(f"+ {name}" for name in SWITCHES if f"+ {name}" in set(steps["switches"]))]
    rows = steps.rename(columns={"switches": "name", "reported": "value", "deployed": "printed"})
    figure, grid = panels(len(KINDS), height=1.1 + 0.34 * len(order), sharex=True, sharey=True)
    for axes, (kind, colour) in zip(grid, KIND_COLOURS.items(), strict=True):
        part = rows[rows["kind"] == kind]
        draw_rows(axes, part, order=order, colour=colour)
        for row in part.to_dict("records"):
            axes.annotate(
                number(row["value"]),
                (row["value"], order.index(row["name"])),
                (0, 5),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=INK,
            )
        draw_reference(axes, 0.5)
        axes.set(title=kind, xlim=(min(0.35, rows["printed"].min() - 0.05), 1.05))
    figure.supxlabel("AUC with nothing to find", fontsize=9, color=INK)
    legend(
        figure,
        {
            "reported, with 95 % interval": ("interval", MUTED),
            "the same models on new donors": ("diamond", INK),
        },
        loc="outside upper center",
    )
    cohorts = counted(int(steps["cohorts"].iloc[0]), "null cohort")
    last = steps.groupby("kind", sort=False).last()
    said = [
        f"{kind}: reported {number(row['reported'])}, on new donors {number(row['deployed'])}"
        for kind, row in last.iterrows()
    ]
    return Drawn(
        figure,
        f"Nothing to find: mean AUC of {cohorts} as leaks are added from top to bottom. A row without a "
        "dot is a leak that this kind of data cannot have. *Synthetic cohorts.*",
        "Rows of dots for four kinds of data; dots move from one half towards one as leaks are added, "
        f"diamonds stay near one half. {'; '.join(said)}.",
        steps,
    )


@house_style()
def leaks_by_donors(curves: pd.DataFrame) -> Drawn:
    """Draw the reported AUC against the number of donors, by kind (columns) and signal (rows).

    curves: from `leak_switches.mean_by_set`, with the sets of `LINES`.
    """
    signals = {kind: dict(zip((0.0, *sizes), SIGNALS, strict=True)) for kind, sizes in EFFECTS.items()}
    curves = curves.assign(
        signal=[signals[kind][effect] for kind, effect in zip(curves["kind"], curves["effect"], strict=True)]
    )
    figure, grid = panels(len(KINDS) * len(SIGNALS), len(KINDS), height=1.5, sharey=True, sharex=False)
    for place, axes in enumerate(grid):
        signal, kind = SIGNALS[place // len(KINDS)], KINDS[place % len(KINDS)]
        part = curves[(curves["kind"] == kind) & (curves["signal"] == signal)].sort_values("donors")
        for name, (_, colour) in LINES.items():
            line = part[part["switches"] == name]
            axes.fill_between(
                line["donors"], line["low"], line["high"], color=colour, alpha=0.25, linewidth=0
            )
            draw_curves(axes, line, "donors", {"reported": colour})
        honest = part[part["switches"] == HONEST]
        axes.plot(honest["donors"], honest["deployed"], color=INK, linestyle="--", linewidth=1)
        draw_reference(axes, 0.5, along="y")
        axes.set(xscale="log", ylim=(0.38, 1.04))
        ticks = sorted(part["donors"].unique())
        axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=8)
        axes.minorticks_off()
        if signal == SIGNALS[0]:
            axes.set_title(kind)
        if kind == KINDS[0]:
            axes.set_ylabel(f"AUC\n{signal}")
    figure.supxlabel("Donors of the cohort (cases, patients, subjects)", fontsize=9, color=INK)
    entries = {label: ("line", colour) for label, colour in LINES.values()}
    legend(figure, entries | {"honest models on new donors": ("dashed", INK)}, loc="outside upper center")
    fewest = curves[
        (curves["kind"] == "tissue")
        & (curves["donors"] == curves.loc[curves["kind"] == "tissue", "donors"].min())
    ]
    said = [
        f"{row['signal']}, {LINES[row['switches']][0]}: {number(row['reported'])}"
        for row in fewest.to_dict("records")
    ]
    return Drawn(
        figure,
        "Reported AUC against the number of donors, at three strengths of signal, honest and with leaks. "
        f"Means of {counted(int(curves['cohorts'].iloc[0]), 'cohort')} with 95 % intervals. "
        "*Synthetic cohorts.*",
        "Grid of line charts, four kinds of data by three strengths of signal, number of donors across. "
        f"Tissue with the fewest donors: {'; '.join(said)}.",
        curves,
    )


@house_style()
def draws_by_split(
    draws: pd.DataFrame, title: str, reference: str, donors: int, unit: GroupWord = DONOR
) -> Drawn:
    """Draw the AUC of every draw under two splits, with the cohort's own labels and with permuted ones.

    draws: from `leak_switches.compare_splits`. reference: the class that is told from the rest.
    """
    splits = draws["split"].replace({"by donor": f"by {unit.one}"})
    named = draws.assign(name=draws["labels"] + ", split " + splits, value=draws["reported"])
    means = named.groupby(["name", "split"], sort=False, as_index=False)["value"].mean()
    colours = dict(zip(means["name"], means["split"].map(SPLIT_COLOURS), strict=True))
    figure, (axes,) = panels(1, height=0.8 + 0.42 * len(means))
    draw_rows(axes, means, colour=INK, kind="tick")
    draw_rows(axes, means[["name"]], colour=colours, dots=named)
    for place, row in means.iterrows():
        axes.text(1.03, place, f"mean {number(row['value'])}", va="center", fontsize=8, color=INK)
    draw_reference(axes, 0.5)
    axes.set(xlabel="AUC, mean of five splits, one dot per draw", xlim=(0, 1.18))
    axes.set_xticks(np.linspace(0, 1, 6))
    return Drawn(
        figure,
        f"{as_written(title)}: AUC for {as_written(reference)} against the rest, with the labels as they are and permuted across "
        f"{unit.many}. A linear model on colour and texture of the images; {donors} {unit.many}. One dot per draw, "
        "ticks are means.",
        "Rows of dots, one per draw, for two splits and two sets of labels. Mean AUC: "
        f"{'; '.join(f'{name} {number(value)}' for name, value in zip(means['name'], means['value'], strict=True))}.",
        draws,
    )


def own_labels(draws: pd.DataFrame, reference: str, unit: GroupWord = DONOR) -> str:
    """Say what both splits find with the cohort's own labels and with permuted ones."""
    areas = {key: part["reported"].to_numpy() for key, part in draws.groupby(["labels", "split"])}
    own, null = areas["as they are", "by donor"], areas[PERMUTED, "by donor"]
    p = permutation_p_value(own.mean(), null)
    spread = f" ({number(own.min())} to {number(own.max())} over {counted(len(own), 'draw')} of the split)"
    if p <= 0.05:
        verdict = (
            f"So this contrast is more than the recognition of {unit.many}. What carries it, the classes themselves or "
            "something else that differs between their images, such as sharpness, this test cannot say."
        )
    elif len(null) < 19:
        verdict = f"So few permutations cannot decide whether the contrast is more than the recognition of {unit.many}."
    else:
        verdict = f"So this test does not show that the contrast is more than the recognition of {unit.many}."
    return (
        "With permuted labels the split by image still has a mean AUC of "
        f"{number(areas[PERMUTED, 'by image'].mean())}, and the split by {unit.one} {number(null.mean())}. "
        f"With the labels as they are and {unit.many} held out, {as_written(reference)} against the rest has "
        f"{number(own.mean())}{spread if len(own) > 1 else ''}; "
        f"{counted(int((null >= own.mean()).sum()), 'permuted draw')} of {len(null)} reach it (p "
        f"{p_value(p)}). {verdict}"
    )


def agreement(checked: pd.DataFrame) -> str:
    """Say how many declared directions hold. checked: from `check_switches`."""
    applied = checked[checked["declared"] != "not applicable"]
    held = int(applied["holds"].astype(bool).sum())
    share = "All" if held == len(applied) else f"{held} of"
    return (
        f"{share} {len(applied)} declared directions hold on these cohorts. *Rises* means a shift above "
        f"{UP_ERRORS} standard errors, *no change* a shift within {NONE_ERRORS}, and *1 − AUC* exactly that. "
        f"{_shifts_by_chance(applied[applied['declared'] == 'none'])}"
    )


def _shifts_by_chance(unchanged: pd.DataFrame) -> str:
    """Say which shifts that should be 0 lie beyond the narrower limit, how likely so many are, and whether any is beyond
    the wider one."""
    (cohorts,) = unchanged["cohorts"].unique()
    errors = unchanged["in_errors"].astype(float).abs()
    beyond = unchanged[errors > UP_ERRORS]
    named = [f"{row.kind}, *{row.procedure}*" for row in beyond.itertuples()]
    tail = 2 * t.sf(UP_ERRORS, cohorts - 1)
    chance = binom.sf(max(len(beyond), 1) - 1, len(unchanged), tail)
    which = f"{len(beyond)} ({'; '.join(named)})" if named else "none"
    farther = int((errors > NONE_ERRORS).sum())
    return (
        f"The limit of *no change* is wider because it judges {len(unchanged)} shifts that should all be 0: here {which} "
        f"{'is' if len(beyond) == 1 else 'are'} beyond {UP_ERRORS} standard errors. The chance of {max(len(beyond), 1)} or "
        f"more is {chance:.2g} if the shifts are independent. {farther or 'None'} "
        f"{'are' if farther > 1 else 'is'} beyond {NONE_ERRORS}."
    )


def network_words(checks: pd.DataFrame) -> str:
    """Say whether a convolutional network scores higher under the split by image. checks: of `convolutional_check`."""
    by_split = checks.pivot(index="cohort", columns="split", values="reported")
    difference = by_split["by image"] - by_split["by donor"]
    mean, error = float(difference.mean()), float(difference.sem())
    verdict = (
        "the network does the same as the linear models"
        if mean > UP_ERRORS * error
        else "too little to say, with so few cohorts, that the network does the same as the linear models"
    )
    return (
        f"Cohort by cohort, the split by image adds {number(mean, signed=True)} to the AUC (standard error {number(error)}, "
        f"{counted(len(by_split), 'cohort')}): {verdict}."
    )


def direction_table(checked: pd.DataFrame) -> pd.DataFrame:
    """Lay out `check_switches` for reading, without the switches that do not apply."""
    table = checked[checked["declared"] != "not applicable"]
    numbers = {"reference": "AUC without", "score": "AUC with", "shift": "Shift", "error": "Standard error"}
    shown = pd.DataFrame(
        {"Data": table["kind"], "Leak": table["procedure"], "Expected": table["declared"].map(DIRECTIONS)}
    )
    for column, name in numbers.items():
        shown[name] = table[column].astype(float).round(3)
    return shown.assign(**{"As expected": table["holds"].map({True: "yes", False: "no"})})


def answer(steps: pd.DataFrame, checked: pd.DataFrame) -> Mapping[str, str]:
    """Answer the page's question. steps: as in `something_from_nothing`. checked: from `check_switches`."""
    last = steps[steps["kind"] == "tissue"].iloc[-1]
    shifts = checked[checked["kind"] == "tissue"].set_index("procedure")["shift"].astype(float)
    largest = shifts.drop(PERMUTED).drop("other class").idxmax()
    return {
        "question": "How far can mistakes in an evaluation raise the AUC where there is nothing to find?",
        "found": f"{counted(len(ORDER), 'leak')} together ({listed(ORDER)}) turn an AUC of 0.5, which is guessing, into "
        f"{number(last['reported'])} on drawn tissue images that differ in nothing but their donors; on new donors the same models have "
        f"{number(last['deployed'])}. The largest single leak there is *{largest}* "
        f"({number(shifts[largest], signed=True)}).",
        "how_sure": "The truth is known, because the images are drawn: "
        f"{counted(int(last['cohorts']), 'cohort')} without a "
        f"signal were evaluated; 95 % interval of that mean {number(last['low'])} to {number(last['high'])}.",
        "not_shown": "That any of these leaks made a number in any paper. What the papers describe is in "
        "{ref}`the findings <audit-numbers>`.",
    }
