"""Verdicts: each can be reached, by its own way only."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from als_core.claims.published import claim_named, claims
from als_core.claims.verdicts import VERDICTS, Circumstances, judge

PARAMS = "xia2024.table1.resnet18.params"
COUNT = "xia2024.section4_1.control.images"
ACCURACY = "xia2024.table1.miniset_densesenet.accuracy"  # 34 of 38
OWN_DATA = Circumstances("published", data_of="xia2024")
AS_PAPER = replace(OWN_DATA, weights=True, amounts=True)
SYNTHETIC, OWN, NO_COHORT = Circumstances("synthetic"), Circumstances("own"), Circumstances()


def verdict(claim_id, value, circumstances):
    return judge(claim_named(claim_id), value, circumstances).kind


@pytest.mark.parametrize(
    ("claim_id", "value", "circumstances", "expected"),
    [
        # needs no data: judged everywhere
        (PARAMS, 11_178_051, NO_COHORT, "reproduced"),
        (PARAMS, 11_178_051, SYNTHETIC, "reproduced"),
        (PARAMS, 11_178_051, OWN, "reproduced"),
        (PARAMS, 11_300_000, SYNTHETIC, "differs"),
        (PARAMS, 11_178_051, Circumstances(went_in=True), "not a target"),
        # made from other printed numbers
        ("turrisi2024.table2.sex.statistic", 3.613, NO_COHORT, "differs"),
        ("turrisi2024.table2.sex.p_value", 0.073, SYNTHETIC, "reproduced"),
        ("turrisi2024.section2_4.smote.train.subjects", 730, SYNTHETIC, "reproduced"),
        # the make-up of the cohort
        (COUNT, 70, OWN_DATA, "reproduced"),
        (COUNT, 69, OWN_DATA, "differs"),
        (COUNT, 70, SYNTHETIC, "not a target"),
        (COUNT, 70, OWN, "stand-in"),
        (COUNT, 70, Circumstances("published", data_of="miao2023"), "stand-in"),
        ("xia2024.derived.test.control.images", 14, OWN_DATA, "reproduced"),
        ("xia2024.section4_6.training_set.images", 1140, OWN_DATA, "reproduced"),
        ("turrisi2024.section2_1.als.subjects", 548, SYNTHETIC, "not a target"),
        # measured on the cohort, and not an input
        ("turrisi2024.table2.age.statistic", 0.11, SYNTHETIC, "stand-in"),
        ("turrisi2024.table2.age.statistic", 0.11, Circumstances("published", "turrisi2024"), "reproduced"),
        ("turrisi2024.section3_1_1.als.median_age", 65, replace(SYNTHETIC, went_in=True), "not a target"),
        # trained: data, weights and amounts, then the rule
        (ACCURACY, 89.47, AS_PAPER, "reproduced"),
        (ACCURACY, 80.0, AS_PAPER, "reproduced"),
        (ACCURACY, 70.0, AS_PAPER, "differs"),
        (ACCURACY, 89.47, replace(AS_PAPER, weights=False), "stand-in"),
        (ACCURACY, 89.47, replace(AS_PAPER, amounts=False), "stand-in"),
        (ACCURACY, 89.47, replace(AS_PAPER, cohort="synthetic"), "stand-in"),
        ("xia2024.section5.mean.mcc", 0.84, AS_PAPER, "stand-in"),  # no rule was fixed
        # settled beforehand, whatever comes out
        ("xia2024.section2_2.every_run.accuracy", 95.0, AS_PAPER, "cannot hold"),
        ("xia2024.table2.augmented.train", 1026, OWN_DATA, "conflicts"),
        ("xia2024.table3.resnet18.epochs", 150, OWN_DATA, "not a target"),
        # no number
        (PARAMS, math.nan, NO_COHORT, "not yet run"),
        (PARAMS, None, NO_COHORT, "not yet run"),
        (ACCURACY, np.float64("inf"), AS_PAPER, "not yet run"),
        (COUNT, None, SYNTHETIC, "not yet run"),
    ],
)
def test_verdict(claim_id, value, circumstances, expected):
    assert verdict(claim_id, value, circumstances) == expected


@pytest.mark.parametrize("cohort", ["published", "synthetic", "own"])
@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=3)))
def test_success_needs_what_the_claim_needs(cohort, flags):
    """With the printed value itself as the regenerated one, over every claim and every circumstance."""
    weights, amounts, went_in = flags
    for claim in claims().values():
        for data_of in (claim.paper, "another"):
            circumstances = Circumstances(cohort, data_of, weights, amounts, went_in)
            inside = {"<": -1, ">": 1}.get(claim.printed.relation, 0)
            kind = judge(claim, claim.value + inside, circumstances).kind
            assert kind in VERDICTS and kind not in ("differs", "not yet run")
            if kind == "reproduced":
                assert not went_in and not claim.settled
                same_data = cohort == "published" and data_of == claim.paper
                assert claim.needs in ("nothing", "printed") or same_data
                assert claim.needs != "training" or (weights and amounts and claim.rule)


def test_every_claim_without_a_number_is_settled_or_not_yet_run():
    for claim, value in itertools.product(claims().values(), (None, math.nan)):
        assert judge(claim, value, AS_PAPER).kind == (claim.settled or "not yet run")


def test_the_binomial_rule_is_clopper_pearson():
    for claim_id, count in ((ACCURACY, 34), ("xia2024.section2_2.best_run.accuracy", 37)):
        low, high = proportion_confint(count, 38, alpha=0.05, method="beta")
        for share, kind in ((low + 1e-6, "reproduced"), (low - 1e-6, "differs"), (high + 1e-6, "differs")):
            assert verdict(claim_id, 100 * share, AS_PAPER) == kind
        assert verdict(claim_id, 100 * (high - 1e-6), AS_PAPER) == "reproduced"
    perfect = "xia2024.section5.control_best.sensitivity"  # 14 of 14
    low, _ = proportion_confint(14, 14, alpha=0.05, method="beta")
    assert [verdict(perfect, share, AS_PAPER) for share in (1.0, low + 1e-6, low - 1e-6, 1.5)] == [
        "reproduced",
        "reproduced",
        "differs",
        "differs",
    ]


def test_the_spread_rule_is_two_printed_standard_deviations():
    f1 = "turrisi2024.table3.svm_p.dl7.f1_mean"  # 91.76 ± 0.31
    as_paper = replace(AS_PAPER, data_of="turrisi2024")
    assert [verdict(f1, value, as_paper) for value in (91.15, 92.37, 91.13, 92.39)] == [
        "reproduced",
        "reproduced",
        "differs",
        "differs",
    ]


def test_an_order_is_judged_as_a_bound():
    as_paper = replace(AS_PAPER, data_of="wang2023")
    better = "wang2023.abstract.overlap.ig_minus_svm.difference"
    assert [verdict(better, value, as_paper) for value in (0.02, 0.0, -0.1)] == [
        "reproduced",
        "differs",
        "differs",
    ]
    assert verdict("wang2023.abstract.overlap.ig.rank", 2, as_paper) == "differs"


def test_a_value_from_no_cohort_cannot_stand_for_one_that_needs_it():
    with pytest.raises(ValueError, match="say which cohort"):
        judge(claim_named(COUNT), 70, NO_COHORT)


@pytest.mark.parametrize("value", [True, "70", [70], 70 + 0j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="is a number"):
        judge(claim_named(COUNT), value, OWN_DATA)


def test_reasons_say_both_numbers():
    assert judge(claim_named(PARAMS), 11_178_051, NO_COHORT).reason == "11,178,051 against the printed 11.2M"
    assert "34 of 38" in judge(claim_named(ACCURACY), 70.0, AS_PAPER).reason
    assert "weights and amounts" in judge(claim_named(ACCURACY), 70.0, OWN_DATA).reason
    assert "X11" in judge(claim_named("xia2024.table2.augmented.train"), 1026, OWN_DATA).reason
