"""Computed sentences of the page on the whole chain: whether crops are classified better after super-resolution."""

from __future__ import annotations

import pandas as pd

from als_core.cohorts.group_word import CASE, GroupWord
from als_core.figures.drawn import number, p_value
from als_core.refusal import counted
from als_core.studies.miao2023.chain import BICUBIC, GAN, MEASURED, RAW
from als_core.studies.miao2023.figures import TITLES
from als_core.studies.miao2023.words import CROPS, Box


def _points(row: pd.Series) -> str:
    difference, low, high = (
        number(100 * row[name], 0, signed=True) for name in ("difference", "low", "high")
    )
    return f"{difference} percentage points (95 % interval {low} to {high})"


def inputs_compared(scores: pd.DataFrame, comparisons: pd.DataFrame, unit: GroupWord = CASE) -> str:
    """Say what each classifier gains from super-resolution, with and without a sign of disease.

    scores : columns cohort, network, input, right, cases
    comparisons : index (cohort, network), the GAN less bicubic
    """
    lines = []
    for (cohort, network), row in comparisons.iterrows():
        part = scores[(scores["cohort"] == cohort) & (scores["network"] == network)]
        right, cases = part.set_index("input")["right"], part["cases"].iloc[0]
        lines.append(
            f"- {TITLES[network]}, {cohort}: {right[GAN]} of {cases} {unit.many} correct on GAN-enlarged crops, "
            f"{right[BICUBIC]} on bicubic ones and {right[RAW]} on crops as recorded. GAN against bicubic, on the same {unit.many}: "
            f"{_points(row)}, p = {p_value(row['p_value'])}."
        )
    return "\n".join(lines)


def is_the_help_real(comparisons: pd.DataFrame, counts: pd.DataFrame | None, signal: str, null: str) -> str:
    """Judge by fixed rules whether super-resolution helps.

    comparisons : index (cohort, network), the GAN less bicubic
    counts : of tested images, index input, and `Truth`; or None
    signal, null : names of the two cohorts
    """
    sentences = []
    for network in comparisons.loc[signal].index:
        real, chance = comparisons.loc[(signal, network)], comparisons.loc[(null, network)]
        change = f"the accuracy of {_subject(network)} by {_points(real)}"
        start = f"Against interpolation, super-resolution changes {change}"
        if real["low"] == real["high"] == 0:
            sentences.append(f"Super-resolution changes no decision of {_subject(network)}.")
        elif real["low"] <= 0 <= real["high"]:
            sentences.append(f"{start}, an interval that includes zero: no help is shown.")
        elif abs(chance["difference"]) >= abs(real["difference"]):
            change = f"{number(100 * chance['difference'], 0, signed=True)} points"
            sentences.append(
                f"{start}, but also by {change} on crops without a sign: this is no evidence of help."
            )
        else:
            word = "helps" if real["difference"] > 0 else "harms"
            sentences.append(f"{start}, and by less on crops without a sign: it {word}.")
    if counts is not None:
        bicubic, gan, truth = (counts.loc[name] for name in (BICUBIC, GAN, "Truth"))
        sentences.append(
            f"In the tested crops the spot rule finds {gan.found} of {counted(gan.found + gan.missed, 'aggregate')} after "
            f"the GAN and {bicubic.found} after interpolation; outside aggregates it marks "
            f"{counted(gan.invented, 'spot')} after the GAN, {bicubic.invented} after interpolation and {truth.invented} in the truth "
            "itself."
        )
    return " ".join(sentences)


def _subject(network: str) -> str:
    return "logistic regression on measured features" if network == MEASURED else TITLES[network]


def help_box(
    kind: str,
    comparisons: pd.DataFrame,
    counts: pd.DataFrame | None,
    signal: str,
    null: str,
    cases: int,
    weights: str,
    factor: int,
    unit: GroupWord = CASE,
) -> Box:
    """Return the answer box of the page on the whole chain.

    kind: of the cohort. weights: name of the starting weights. factor: by which crops are reduced and enlarged.
    """
    weak = (
        " The network starts from random weights, so it is a weak test of help."
        if weights == "random"
        else ""
    )
    changes = comparisons.loc[null]["difference"]
    largest = number(100 * changes.abs().max(), 0)
    return {
        "question": "Are crops classified better after super-resolution, and is the help real?",
        "found": f"Measured on {CROPS[kind]}, reduced {factor} times and enlarged again. "
        + is_the_help_real(comparisons, counts, signal, null),
        "how_sure": f"Not very: {counted(cases, unit.one, unit.many)}, one training in five folds. On crops without any "
        f"sign of disease the same comparison changes by up to {largest} percentage points.{weak}",
        "not_shown": "How the paper's own super-resolution does: it prints no result of it, and its crops "
        "are not public.",
    }
