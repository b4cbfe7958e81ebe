"""The leaderboard's arithmetic: intervals of leads, ranks and marks, on tables whose answer is known."""

import numpy as np
import pandas as pd
import torch
from torch import nn

from als_core.explain.sanity import judge
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts, edges, random_map

VALUES = {"good": (0.8, 0.9, 0.7, 0.8), "poor": (0.3, 0.2, 0.4, 0.3)}
NULL = (0.3, 0.31, 0.29, 0.3)


def table() -> pd.DataFrame:
    rows = []
    for method, values in VALUES.items():
        for subject, (own, null) in enumerate(zip(values, NULL, strict=True)):
            shared = {"subject": f"s{subject}", "method": method, "score": "dice_area"}
            rows += [shared | {"map": "method", "value": own}, shared | {"map": "untrained", "value": null}]
    return pd.DataFrame(rows)


def test_what_lies_above_its_null_is_told_from_what_lies_at_it():
    found = leaderboard.method_scores(table(), np.random.default_rng(0), 500).set_index("method")
    assert found.loc["good", "above untrained"] and not found.loc["poor", "above untrained"]
    assert found.loc["good", "mean"] == np.mean(VALUES["good"])
    assert found.loc["good", "low"] < 0.8 < found.loc["good", "high"]


def test_ranks_follow_the_values_and_every_row_sums_to_one():
    shares = leaderboard.rank_shares(table(), ["poor", "good"], np.random.default_rng(0), 200)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.loc["good", 1] == 1 and shares.loc["poor", 2] == 1


def test_the_lead_is_the_mean_of_paired_differences():
    mean, low, high = leaderboard.lead(table(), "good", "poor", np.random.default_rng(0), 500)
    assert np.isclose(mean, 0.5) and 0 < low <= mean <= high


def test_a_check_that_does_not_apply_is_no_pass_and_no_failure():
    scores = leaderboard.method_scores(table(), np.random.default_rng(0), 100)
    checks = pd.DataFrame(
        [{"method": m, "check": c, "passed": m == "good"} for m in VALUES for c in leaderboard.CHECKS]
    )
    found = leaderboard.marks(scores, checks)
    assert (found["atlas only"] == "-").all()
    assert found.loc["good", "untrained"] == "pass" and found.loc["poor", "untrained"] == "fail"
    assert (found.loc["poor", list(leaderboard.CHECKS)] == "fail").all()


def test_controls_that_never_look_at_the_network_fail():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 2)).eval()
    images, target = torch.randn(3, 1, 16, 16), torch.tensor([0, 1, 0])
    noise = random_map(torch.Generator().manual_seed(0))
    expected = {"edges": ("depends on parameters", edges), "random": ("repeatable", noise)}
    one_map = torch.rand(16, 16, generator=torch.Generator().manual_seed(1))
    expected["one map"] = ("depends on parameters", lambda model, images, target: one_map.expand(3, 16, 16))
    for check, explain in expected.values():
        found = judge(explain, model, images, target, generator=torch.Generator().manual_seed(1), draws=1, nulls=1)  # fmt: skip
        assert check in [one.name for one in found if not one.passed]


def test_the_leaderboard_is_made_once_and_said_in_words(monkeypatch):
    """All pages read one trial; amounts or seed of another kind make another."""
    made = []
    values = table().assign(image=0)
    auc = values.assign(score="voxel_auc", value=0.75)
    overlap = pd.concat([values, auc], ignore_index=True).replace({"good": "grad_cam", "poor": "occlusion"})
    checks = pd.DataFrame(
        [
            {
                "method": m,
                "check": c,
                "value": 0.25,
                "passed": None if c == "speaks" else m == "grad_cam",
                "random_maps": 8,
            }
            for m in ("grad_cam", "occlusion")
            for c in leaderboard.CHECKS
        ]
    )

    def trial(subjects, seed, **amounts):
        made.append((subjects, seed))
        return overlap, checks

    monkeypatch.setattr(leaderboard, "trial", trial)
    amounts = HeatmapAmounts(resamples=200)
    for _ in range(2):
        found = leaderboard.book_trial("Tissue", amounts, 0, "subjects")
        pd.testing.assert_frame_equal(found[0], overlap)
        assert found[1]["passed"].notna().sum() == 6  # the rest does not apply
    line = leaderboard.lines_of(["grad_cam"], "Tissue", amounts, 0).iloc[0]
    assert made == [("subjects", 0)]
    leaderboard.book_trial("Tissue", amounts, 1, "subjects")
    leaderboard.book_trial("Brains", amounts, 0, "subjects")
    assert len(made) == 3
    assert line["Method"] == "Grad-CAM" and line["Overlap"].startswith("0.80 (0.7")
    assert (line["Null: untrained"], line["Null: atlas only"], line["AUC"]) == ("0.30", "–", "0.75")
    assert line["Fails"] == "none" and line["Random maps as faithful"] == "0.25 (2 of 8)"
    fails = leaderboard.lines_of(["occlusion"], "Tissue", amounts, 0)["Fails"].item()
    assert fails == "untrained, depends on parameters, faithful, repeatable"
