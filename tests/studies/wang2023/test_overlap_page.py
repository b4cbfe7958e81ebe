"""The overlap page's figures and sentences: every mark in the data, and words that follow from the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from als_core.explain.overlap import dice_curve
from als_core.studies.wang2023 import figures, words

TITLES = {"integrated_gradients": "Integrated gradients", "lrp_epsilon": "LRP, epsilon", "guided_grad_cam": "Guided Grad-CAM",
          "svm_pattern": "SVM pattern"}  # fmt: skip
NULLS = ("same smoothness", "atlas only", "untrained")


@pytest.fixture
def values() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"subject": f"p{subject}", "method": method, "value": rng.uniform(0.2, 0.8)}
        for method in TITLES
        for subject in range(19)
    )


@pytest.fixture
def standing(values) -> pd.DataFrame:
    means = values.groupby("method", sort=False)["value"].mean()
    table = pd.DataFrame({"method": means.index, "mean": means.values, "subjects": 19}).assign(
        low=means.values - 0.1, high=means.values + 0.1
    )
    return table.assign(**dict.fromkeys(NULLS, 0.3), **{f"above {null}": True for null in NULLS})


def first_sentence(caption: str) -> int:
    return len(caption.split(". ")[0].split())


def test_the_overlap_figure_holds_every_dot_null_and_cell(values, standing):
    ranks = pd.DataFrame(np.eye(4), index=list(TITLES), columns=range(1, 5))
    drawn = figures.overlap_and_ranks(standing, values, ranks, TITLES, "the true effect")
    counts = drawn.data["mark"].value_counts()
    assert counts["patient"] == 4 * 19 and counts["share of resamples"] == 16
    assert counts["mean"] == 4 and all(counts[null] == 4 for null in NULLS)
    dots = sum(len(line.get_xdata()) for line in drawn.figure.axes[0].lines if line.get_marker() == "o")
    assert dots == 4 * 19
    best = standing.loc[standing["mean"].idxmax()]
    assert f"{TITLES[best['method']]} {best['mean']:.2f}" in drawn.alt and "19 patients" in drawn.caption
    assert first_sentence(drawn.caption) <= 25


def test_average_maps_curves_and_likeness_hold_what_they_draw():
    rng = np.random.default_rng(1)
    brain = np.zeros((20, 22, 20))
    brain[2:18, 2:20, 2:18] = 1 + rng.random((16, 18, 16))
    truth = np.zeros(brain.shape, dtype=bool)
    truth[6:9, 6:12, 6:9] = True
    maps = {title: rng.random(brain.shape) * (brain > 0) for title in TITLES.values()}
    inside = words.mass_inside(maps, truth)
    drawn = figures.average_maps(brain, truth, maps, inside, "the true effect", 7)
    assert (
        len(drawn.data) == 2 * len(maps)
        and "7 patients" in drawn.caption
        and first_sentence(drawn.caption) <= 25
    )
    plain = figures.average_maps(brain, None, maps, words.mass_inside(maps, None), "", 7)
    assert "outlined" not in plain.caption and plain.data["mass_inside"].isna().all()

    within = brain > 0
    curves = {title: dice_curve(heat, truth, within) for title, heat in maps.items()}
    perfect = dice_curve(truth.astype(float), truth, within)
    drawn = figures.dice_curves(curves, perfect, "the true effect")
    assert set(drawn.data["map"]) == {"best possible", *maps} and drawn.data["dice"].max() > 0.9
    assert f"{curves['SVM pattern'].area / curves['SVM pattern'].best_area:.2f}" in drawn.alt

    alike = words.correlations(maps, within)
    assert np.allclose(np.diag(alike), 1) and len(figures.method_likeness(alike).data) == 16


def test_the_ranking_is_judged_by_its_intervals():
    leads = {("lrp_epsilon", "svm_pattern"): (0.1, 0.05, 0.2), ("integrated_gradients", "svm_pattern"): (-0.1, -0.2, -0.05),
             ("guided_grad_cam", "svm_pattern"): (0.0, -0.1, 0.1)}  # fmt: skip
    for share, decided in ((0.99, "holds here"), (0.01, "does not hold here"), (0.5, "undecided here")):
        first = pd.Series({"integrated_gradients": share, "lrp_epsilon": 1 - share})
        table = words.ranking_table(leads, first, TITLES)
        assert table["Verdict"].tolist() == ["holds here", "does not hold here", "undecided here", decided]
    assert "−0.100" in table["Measured here"][1] and "−0.200 to −0.050" in table["Interval"].tolist()
    named = words.leads_table(leads, TITLES)
    assert named["Here"].tolist() == ["above", "below", "no difference shown"]


def test_sentences_follow_from_the_numbers(standing):
    assert words.nulls_in_words(standing, TITLES, NULLS) == "Every method exceeds all three nulls."
    failed = standing.assign(**{"above untrained": [True, False, True, False]})
    text = words.nulls_in_words(failed.assign(**{"untrained low": -0.02}), TITLES, NULLS)
    assert "LRP, epsilon exceeds the null *untrained* by +" in text and text.count("begins at −0.02") == 2

    scores = ["dice_area", "mass_inside", "voxel_auc", "pointing_game"]
    wide = pd.DataFrame(0.5, index=list(TITLES), columns=scores)
    wide.loc["lrp_epsilon"] = 0.9
    assert words.measures_in_words(wide, TITLES, 0.09) == "By all 4 measures, LRP, epsilon comes first."
    wide.loc["guided_grad_cam", "voxel_auc"], wide.loc["svm_pattern", "pointing_game"] = 1.0, 0.0
    wide.loc["svm_pattern", "mass_inside"] = 0.18
    text = words.measures_in_words(wide, TITLES, 0.09)
    assert "AUC of voxels: Guided Grad-CAM" in text and "0.000 for SVM pattern" in text
    assert text.endswith("Of all heat in these maps 18 % is inside; in an even map it would be 9 %.")


def test_the_bright_rim_is_mentioned_where_there_is_one():
    brain = np.zeros((6, 6, 6), dtype=bool)
    brain[1:5, 1:5, 1:] = brain[3:5, 3:5, 0] = True  # lower in one corner: the surface follows
    even = brain.astype(float)
    rim = even.copy()
    rim[1:5, 1:5, 1] *= 10
    rim[3:5, 3:5, :2] = np.array([10.0, 1.0])
    ratios = words.edge_heat({"even": even, "rim": rim}, brain)
    assert ratios["even"] == pytest.approx(1) and ratios["rim"] == pytest.approx(84 / 16 * 160 / (160 + 68))
    text = words.edge_in_words(ratios)
    assert "even map: rim 3.7 times" in text
    assert words.edge_in_words({"even": 1.0}).startswith("No map has more than 1.0 times")


def test_the_answer_names_the_best_map_and_the_signed_interval(standing):
    leads = {("integrated_gradients", "svm_pattern"): (-0.12, -0.2, -0.04)}
    averaged = dict.fromkeys(TITLES.values(), 0.9) | {TITLES["integrated_gradients"]: 0.77}
    answer = words.answer(standing, leads, TITLES, "the true effect", averaged, "synthetic")
    assert set(answer) == {"question", "found", "how_sure", "not_shown"}
    assert (
        "overlaps 0.12 less than SVM patterns scan by scan" in answer["found"]
        and "integrated gradients has 0.77 and the SVM pattern 0.90." in answer["found"]
        and "−0.20 to −0.04" in answer["how_sure"]
    )
    assert "same places in every patient" in answer["how_sure"]
    assert answer["found"].startswith("On synthetic brains, the map that best matches the true effect")
    assert "as a share of the best possible" in answer["found"] and "public" not in answer["not_shown"]
    own = words.answer(standing, leads, TITLES, "your reference", averaged, "own")
    assert "drawn" not in own["how_sure"] and own["found"].startswith("On these brains, the map that best")
    alike = pd.DataFrame([[1, 0.2], [0.2, 1]], index=["a", "b"], columns=["a", "b"])
    assert "0.20" in words.answer_without_truth(alike)["found"]
