"""Verdicts: each is reached in its own way only, by rules that were fixed beforehand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from als_core.claims.findings import findings
from als_core.claims.published import PAPERS, SUCCESSES, claim_named, claims
from als_core.claims.verdicts import VERDICTS, Circumstances, judge

PARAMS = "xia2024.table1.resnet18.params"
COUNT = "xia2024.section4_1.control.images"
ACCURACY = "xia2024.table1.miniset_densesenet.accuracy"  # 34 of 38
BEST_RUN = "xia2024.section2_2.best_run.accuracy"  # 37 of 38
ORDER = "xia2024.section3.resnet18_minus_densenet121.accuracy"
OWN_DATA = Circumstances("published", data_of="xia2024")
AS_PAPER = replace(OWN_DATA, weights="ImageNet-1k, torchvision", amounts=True)
TURRISI = replace(AS_PAPER, data_of="turrisi2024")
SYNTHETIC, OWN, NO_COHORT = Circumstances("synthetic"), Circumstances("own"), Circumstances()


def verdict(claim_id, value, circumstances):
    return judge(claim_named(claim_id), value, circumstances).kind


@pytest.mark.parametrize(
    ("claim_id", "value", "circumstances", "expected"),
    [
        # needs no data: judged everywhere
        (PARAMS, 11_178_051, NO_COHORT, "as built"),
        (PARAMS, 11_178_051, SYNTHETIC, "as built"),
        (PARAMS, 11_178_051, OWN, "as built"),
        (PARAMS, 11_300_000, SYNTHETIC, "differs"),
        (PARAMS, 11_178_051, Circumstances(went_in=True), "not a target"),
        # made from other printed numbers
        ("turrisi2024.table2.sex.statistic", 3.613, NO_COHORT, "differs"),
        ("turrisi2024.table2.sex.p_value", 0.073, SYNTHETIC, "adds up"),
        ("turrisi2024.section2_4.smote.train.subjects", 730, SYNTHETIC, "adds up"),
        # the make-up of the cohort
        (COUNT, 70, OWN_DATA, "as released"),
        (COUNT, 69, OWN_DATA, "differs"),
        (COUNT, 70, SYNTHETIC, "not a target"),
        (COUNT, 70, OWN, "stand-in"),
        (COUNT, 70, Circumstances("published", data_of="miao2023"), "stand-in"),
        ("xia2024.table2.original.size", 190, OWN_DATA, "as released"),
        ("xia2024.table2.original.test", 38, OWN_DATA, "adds up"),
        ("xia2024.section4_6.training_set.images", 1140, OWN_DATA, "adds up"),
        ("xia2024.section4_6.training_set.images", 1140, SYNTHETIC, "not a target"),
        ("turrisi2024.section2_1.als.subjects", 548, SYNTHETIC, "not a target"),
        # measured on the cohort, and not an input
        ("turrisi2024.table2.age.statistic", 0.11, SYNTHETIC, "stand-in"),
        ("turrisi2024.table2.age.statistic", 0.11, Circumstances("published", "turrisi2024"), "reproduced"),
        ("turrisi2024.section3_1_1.als.median_age", 65, replace(SYNTHETIC, went_in=True), "not a target"),
        # trained: data, weights and amounts, then the rule
        (ACCURACY, 89.47, AS_PAPER, "reproduced"),
        (ACCURACY, 80.0, AS_PAPER, "reproduced"),
        (ACCURACY, 70.0, AS_PAPER, "differs"),
        (ACCURACY, 89.47, replace(AS_PAPER, weights=""), "stand-in"),
        (ACCURACY, 89.47, replace(AS_PAPER, amounts=False), "stand-in"),
        (ACCURACY, 89.47, replace(AS_PAPER, cohort="synthetic"), "stand-in"),
        ("xia2024.section5.mean.mcc", 0.84, AS_PAPER, "stand-in"),  # no rule was fixed
        # a ranking is a difference above or below 0
        (ORDER, 3.0, AS_PAPER, "reproduced"),
        (ORDER, 0.0, AS_PAPER, "differs"),
        ("turrisi2024.section4.dl7_minus_dl8.knn.f1", -7.5, TURRISI, "reproduced"),
        ("turrisi2024.section4.dl7_minus_dl8.knn.f1", 7.5, TURRISI, "differs"),
        # settled beforehand, with any value
        ("xia2024.section2_2.every_run.accuracy", 95.0, AS_PAPER, "conflicts"),
        ("miao2023.fig12.steps_per_epoch", 25, NO_COHORT, "cannot hold"),
        ("turrisi2024.section2_4.grid_search.test_share", 20, NO_COHORT, "not a target"),
        ("turrisi2024.section2_1.voxel.z", 1, NO_COHORT, "not a target"),
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
@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=4)))
def test_success_needs_what_the_claim_needs(cohort, flags):
    """With the printed value itself as the regenerated one, for every claim in all circumstances."""
    weights, amounts, recorded, went_in = flags
    for claim, data_of, seeds in itertools.product(claims().values(), ("", "another"), (None, 1, 3, 5)):
        circumstances = Circumstances(
            cohort, data_of or claim.paper, "ImageNet-1k, named" * weights, amounts, seeds, recorded, went_in
        )
        inside = {"<": -1, ">": 1}.get(claim.printed.relation, 0)
        given = judge(claim, claim.value + inside, circumstances)
        assert given.kind in VERDICTS and given.kind not in ("differs", "not yet run")
        if given.kind in SUCCESSES:
            assert given.kind == claim.success and not went_in and not claim.settled
            assert claim.needs in ("nothing", "printed") or (cohort == "published" and not data_of)
            assert claim.needs != "training" or (weights and amounts and claim.rule)
        if given.kind == "reproduced":
            assert claim.needs in ("cohort", "training")
            assert claim.needs != "training" or "ImageNet-1k, named" in given.reason


def test_only_measurements_are_called_reproduced():
    for claim in claims().values():
        assert (claim.success == "reproduced") == (claim.needs in ("cohort", "training"))
        assert (claim.success == "as built") == (claim.needs == "nothing")
        assert claim.success != "as built" or claim.basis.startswith("configuration ")
        assert claim.success != "as released" or claim.needs == "composition"
        assert claim.needs != "printed" or claim.success == "adds up"


def test_a_verdict_is_never_harsher_than_its_finding():
    allowed = {
        "cannot hold": {"arithmetically impossible"},
        "conflicts": {"arithmetically impossible", "inconsistent"},
    }
    for claim in claims().values():
        if claim.settled in allowed:
            assert findings()[claim.issue].category in allowed[claim.settled], claim.id
        else:
            assert not claim.issue


def test_a_claim_cannot_hold_only_where_the_finding_offers_no_reading_of_the_text():
    impossible = sorted(claim.id for claim in claims().values() if claim.settled == "cannot hold")
    assert impossible == ["miao2023.fig12.steps_per_epoch", "turrisi2024.table4.radiomics.auprc"]


def test_every_claim_without_a_number_is_settled_or_not_yet_run():
    for claim, value in itertools.product(claims().values(), (None, math.nan)):
        assert judge(claim, value, AS_PAPER).kind == (claim.settled or "not yet run")


def test_the_binomial_rule_is_the_interval_of_clopper_and_pearson():
    for claim_id, count in ((ACCURACY, 34), (BEST_RUN, 37)):
        low, high = proportion_confint(count, 38, alpha=0.05, method="beta")
        for share, kind in ((low + 1e-6, "reproduced"), (low - 1e-6, "differs"), (high + 1e-6, "differs")):
            assert verdict(claim_id, 100 * share, AS_PAPER) == kind
        assert verdict(claim_id, 100 * (high - 1e-6), AS_PAPER) == "reproduced"
    perfect = "xia2024.section5.control_best.sensitivity"  # 14 of 14
    low, _ = proportion_confint(14, 14, alpha=0.05, method="beta")
    shares = (1.0, low + 1e-6, low - 1e-6, 1.5)
    expected = ["reproduced", "reproduced", "differs", "differs"]
    assert [verdict(perfect, share, AS_PAPER) for share in shares] == expected


@pytest.mark.parametrize(("seeds", "right"), list(itertools.product((1, 2, 3, 4), (20, 26, 28, 34, 38))))
def test_fewer_seeds_differ_only_where_their_own_interval_lies_outside(seeds, right):
    low, high = proportion_confint(34, 38, alpha=0.05, method="beta")
    own_low, own_high = proportion_confint(right * seeds, 38 * seeds, alpha=0.05, method="beta")
    inside, apart = low <= right / 38 <= high, own_high < low or own_low > high
    expected = "reproduced" if inside else "differs" if apart else "stand-in"
    given = judge(claim_named(ACCURACY), 100 * right / 38, replace(AS_PAPER, seeds=seeds))
    assert given.kind == expected and f"{seeds} of 5 runs" in given.reason


def test_the_best_of_fewer_runs_is_not_judged():
    assert verdict(BEST_RUN, 97.37, replace(AS_PAPER, seeds=3)) == "stand-in"
    assert verdict(BEST_RUN, 97.37, replace(AS_PAPER, seeds=5)) == "reproduced"


@pytest.mark.parametrize(
    ("seeds", "difference"), list(itertools.product((1, 3, 5), (-40.0, -18.0, -3.0, 3.0)))
)
def test_the_opposite_order_from_few_runs_differs_only_beyond_its_own_interval(seeds, difference):
    half_width = 100 * norm.ppf(0.975) * math.sqrt(2 * 0.25 / (38 * seeds))  # of two shares of one half
    decided = seeds == 5 or abs(difference) > half_width
    expected = "reproduced" if difference > 0 else "differs" if decided else "stand-in"
    assert verdict(ORDER, difference, replace(AS_PAPER, seeds=seeds)) == expected


def test_the_number_of_runs_is_the_printed_one():
    assert PAPERS["xia2024"].runs == claim_named("xia2024.section4_6.runs.count").value


def test_weights_are_declared_by_naming_their_training():
    with pytest.raises(TypeError, match="name the training"):
        Circumstances("published", weights=True)


def test_the_nearest_reading_is_judged_and_named():
    p = claim_named("turrisi2024.table2.sex.p_value")
    readings = {"without correction": 0.0573, "with Yates' correction": 0.0730}
    given = judge(p, readings, NO_COHORT)
    assert (given.kind, given.reason) == (
        "adds up",
        "0.073 against the printed 0.07 (with Yates' correction)",
    )
    assert judge(p, 0.0573, NO_COHORT).kind == "differs"
    assert judge(p, {"a": math.nan, "b": None}, NO_COHORT).kind == "not yet run"
    statistic = claim_named("turrisi2024.table2.sex.statistic")
    assert judge(statistic, {"plain": 3.61, "corrected": 3.21}, NO_COHORT).kind == "differs"


def test_the_spread_rule_is_two_printed_standard_deviations():
    f1 = "turrisi2024.table3.svm_p.dl7.f1_mean"  # 91.76 ± 0.31
    assert [verdict(f1, value, TURRISI) for value in (91.15, 92.37, 91.13, 92.39)] == [
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


def test_reasons_name_both_numbers_the_basis_and_the_weights():
    built = judge(claim_named(PARAMS), 11_178_051, NO_COHORT).reason
    assert built.startswith("11,178,051 against the printed 11.2M; configuration recovered")
    reason = judge(claim_named(ACCURACY), 70.0, replace(AS_PAPER, recorded=True)).reason
    assert "34 of 38" in reason and "recorded runs" in reason and "ImageNet-1k, torchvision" in reason
    assert "weights and amounts" in judge(claim_named(ACCURACY), 70.0, OWN_DATA).reason
    assert "X11" in judge(claim_named("xia2024.table2.augmented.train"), 1026, OWN_DATA).reason
    log_line = claim_named("miao2023.fig13.lr0_0001.batch16.accuracy").why
    assert "last line of the training log" in log_line
