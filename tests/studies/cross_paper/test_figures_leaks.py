"""Figures and sentences of the page on leaks: whole words, every mark, and both kinds of rows commented."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn_words import assert_words, words

from als_core.cohorts.group_word import GroupWord
from als_core.statistics.null_check import PERMUTED
from als_core.studies.cross_paper import figures_leaks as figures
from als_core.studies.cross_paper.leak_pools import EFFECTS, KINDS, FeaturePool, KindAmounts, LeakAmounts
from als_core.studies.cross_paper.leak_switches import (
    check_switches,
    cumulative_leaks,
    mean_by_set,
    replay,
    single_leaks,
)

SMALL = KindAmounts(60, 15, (15, 20))
NOTHING, DONORS = {kind: [0.0] for kind in KINDS}, {kind: [15] for kind in KINDS}
AMOUNTS = LeakAmounts(SMALL, SMALL, SMALL, SMALL, null_cohorts=2)


@pytest.fixture(scope="module")
def pools() -> list[FeaturePool]:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((60, 2, 2, 4))
    return [FeaturePool(kind, {e: values + e for e in (0.0, *EFFECTS[kind])}, 0.5, "donor") for kind in KINDS]


@pytest.fixture(scope="module")
def null(pools) -> pd.DataFrame:
    sets = {kind: single_leaks(kind) for kind in KINDS}
    return replay(pools, NOTHING, DONORS, 2, sets, permuted=True)


def test_leak_shifts_show_every_leak_that_applies(null, pools):
    checked = check_switches(null)
    drawn = figures.leak_shifts(checked, pools, AMOUNTS)
    assert_words(drawn)
    applied = checked[checked["declared"] != "not applicable"]
    assert len(drawn.data) == len(applied) and "2 null cohorts" in drawn.caption
    assert "tissue of 15 donors" in drawn.caption and "tissue, split by image: " in drawn.alt


def test_something_from_nothing_has_horizontal_labels_and_a_row_per_step(pools):
    sets = {kind: cumulative_leaks(kind) for kind in KINDS}
    steps = mean_by_set(replay(pools, NOTHING, DONORS, 2, sets))
    drawn = figures.something_from_nothing(steps)
    assert_words(drawn)
    assert drawn.data is steps and "+ split by image" in words(drawn.figure)
    assert not any(label.get_rotation() for axes in drawn.figure.axes for label in axes.get_xticklabels())
    last = steps[steps["kind"] == "tissue"].iloc[-1]
    assert f"tissue: reported {last['reported']:.2f}, on new donors {last['deployed']:.2f}" in drawn.alt


def test_leaks_by_donors_offers_every_point(pools):
    sets = {
        kind: {name: chosen for name, chosen in single_leaks(kind).items() if name in figures.LINES}
        for kind in KINDS
    }
    effects = {kind: [0.0, *EFFECTS[kind]] for kind in KINDS}
    curves = mean_by_set(replay(pools, effects, dict.fromkeys(KINDS, (15, 20)), 1, sets))
    drawn = figures.leaks_by_donors(curves)
    assert_words(drawn)
    assert len(drawn.data) == len(curves) and set(drawn.data["signal"]) == {
        "no signal",
        "weak signal",
        "strong signal",
    }


def draws(own: float) -> pd.DataFrame:
    """Forty draws; with permuted labels AUCs from 0.4 to 0.6 by donor, and 0.8 by image."""
    rows = []
    for number in range(40):
        areas = {
            ("as they are", "by donor"): own,
            ("as they are", "by image"): 0.95,
            (PERMUTED, "by image"): 0.8,
        }
        areas[PERMUTED, "by donor"] = 0.4 + 0.2 * number / 39
        rows += [
            {"draw": number, "labels": a, "split": b, "reported": value} for (a, b), value in areas.items()
        ]
    return pd.DataFrame(rows)


def test_draws_by_split_names_cohort_and_class():
    drawn = figures.draws_by_split(draws(0.92), "The images of A", "control", 15)
    assert_words(drawn)
    assert len(drawn.data) == 160 and "as they are, split by donor 0.92" in drawn.alt
    assert "The images of A" in drawn.caption and "15 donors" in drawn.caption


def test_the_row_in_favour_of_the_images_is_commented_with_its_p_value():
    text = figures.own_labels(draws(0.92), "control")
    assert "control against the rest has 0.92" in text and "0 permuted draws of 40 reach it (p 0.024)" in text
    assert "more than the recognition of donors" in text and "does not show" not in text
    dish = GroupWord("dish", "dishes")
    drawn = figures.draws_by_split(draws(0.92), "a_b", "c*d", 15, dish)
    said = " ".join([drawn.caption, drawn.alt, figures.own_labels(draws(0.92), "c*d", dish)])
    assert "donor" not in said and "15 dishes" in said and r"a\_b" in said and r"c\*d" in said
    assert "does not show" in figures.own_labels(draws(0.55), "control")
    few = figures.own_labels(draws(0.92).query("draw < 12"), "control")
    assert "p 0.077" in few and "So few permutations cannot decide" in few


def test_the_answer_and_the_directions_are_those_of_the_tables(null, pools):
    checked = check_switches(null)
    sets = {kind: cumulative_leaks(kind) for kind in KINDS}
    steps = mean_by_set(replay(pools, NOTHING, DONORS, 2, sets))
    answer = figures.answer(steps, checked)
    last = steps[steps["kind"] == "tissue"].iloc[-1]
    assert (
        f"into {last['reported']:.2f} on drawn tissue" in answer["found"]
        and "2 cohorts" in answer["how_sure"]
    )
    assert "6 leaks together (split by image, " in answer["found"]
    table = figures.direction_table(checked)
    assert table.notna().all(axis=None) and len(table) == (checked["declared"] != "not applicable").sum()
    held = int((table["As expected"] == "yes").sum())
    assert figures.agreement(checked).startswith(
        f"{held} of {len(table)} declared" if held < len(table) else "All "
    )


@pytest.mark.parametrize(
    ("in_errors", "said"),
    [
        # two tails of t with 9 degrees of freedom beyond 2: 0.0766; 1 - 0.9234 ** 4 and 1 - 0.9234 ** 4 - 4 * 0.0766 * 0.9234 ** 3
        ([0.1, -1.9, 2.0, np.nan], "here none are beyond 2 standard errors. The chance of 1 or more is 0.27 if"),
        ([0.1, -1.9, -2.1, 2.4], "here 2 (c, *scale*; d, *scale*) are beyond 2 standard errors. The chance of 2 or more is 0.032 if"),
        ([0.1, 0.2, 0.3, 3.4], "here 1 (d, *scale*) is beyond 2 standard errors. The chance of 1 or more"),
    ],
)  # fmt: skip
def test_shifts_beyond_two_standard_errors_are_counted_named_and_given_their_chance(in_errors, said):
    checked = pd.DataFrame({"kind": list("abcd"), "procedure": "scale", "declared": "none", "cohorts": 10,
                            "in_errors": in_errors, "holds": True})  # fmt: skip
    text = figures.agreement(checked)
    assert "because it judges 4 shifts that should all be 0" in text and said in text
    assert text.endswith("1 is beyond 3." if 3.4 in in_errors else "None is beyond 3.")


def test_the_convolutional_network_is_compared_cohort_by_cohort():
    def checks(gains):
        pairs = [(number, 0.5, 0.5 + gain) for number, gain in enumerate(gains)]
        return pd.DataFrame(
            [
                (number, split, value)
                for number, *both in pairs
                for split, value in zip(("by donor", "by image"), both, strict=True)
            ],
            columns=["cohort", "split", "reported"],
        )

    clear = figures.network_words(checks([0.2, 0.25, 0.3]))
    assert "adds +0.25 to the AUC (standard error 0.03, 3 cohorts): the network does the same" in clear
    assert "too little to say" in figures.network_words(checks([-0.2, 0.1, 0.3]))
