"""The grid of heatmap methods and the page's sentences, on marks whose answer is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from drawn_words import assert_words
from drawn_words import words as words_in

from als_core.explain.methods import METHODS
from als_core.studies.cross_paper import figures_heatmaps as figures
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper import words_heatmaps as words
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts

SHOWN = [*METHODS, *leaderboard.CONTROLS]
TITLES = {name: leaderboard.titles()[name] for name in SHOWN}


def marks(*good: str) -> pd.DataFrame:
    columns = [*leaderboard.NULLS, *leaderboard.CHECKS]
    return pd.DataFrame([["pass" if n in good else "fail"] * len(columns) for n in SHOWN], SHOWN, columns)


def images(count: int = 2) -> SimpleNamespace:
    truth = np.zeros((count, 4, 4), bool)
    truth[:, :2] = True
    return SimpleNamespace(
        images=[0] * count,
        groups=["a"] * count,
        truths=truth,
        within=None,
        accuracy=0.75,
        tested=8,
        largest=0.5,
    )


@pytest.mark.parametrize("grey", [True, False])
def test_grid_shows_and_offers_every_mark(grey):
    picture, heat = np.random.default_rng(0).random((12, 12) if grey else (12, 12, 3)), np.eye(12)
    boards = [
        figures.Board(
            name,
            picture,
            heat > 0,
            dict.fromkeys(SHOWN, heat),
            marks("lrp_zplus"),
            dict.fromkeys(SHOWN, 0.25),
        )
        for name in ("Brains", "Tissue")
    ]
    drawn = figures.trial_grid(boards, TITLES, list(leaderboard.CONTROLS))
    assert_words(drawn)
    assert len(drawn.data) == 2 * len(SHOWN) * 7 and (drawn.data["overlap"] == 0.25).all()
    assert words_in(drawn.figure).count("✓") == 14 == (drawn.data["mark"] == "pass").sum()
    assert words_in(drawn.figure).count("✕") == (drawn.data["mark"] == "fail").sum()
    assert f"Brains. Passing every check: {TITLES['lrp_zplus']}." in drawn.alt


def test_answer_counts_the_methods_that_pass_on_each_modality():
    sets, tried = {"Brains": images(1), "Tissue": images()}, len(METHODS)
    both = {
        "Brains": marks("lrp_zplus", "grad_cam"),
        "Tissue": marks("lrp_zplus").drop(index="area_occlusion"),
    }
    tissue = pd.DataFrame({"score": leaderboard.SCORE, "method": SHOWN, "mean": 0.2})
    found = words.answer(both, sets, tissue, 2)
    assert found["found"].startswith(
        f"On brains and tissue alike, {TITLES['lrp_zplus']} passes every check. On synthetic brains 2 of {tried} methods "
        f"pass every check (Grad-CAM; {TITLES['lrp_zplus']}); on synthetic tissue 1 of {tried - 1} methods passes every "
        f"check ({TITLES['lrp_zplus']}). An edge filter that never saw the network overlaps with the lesions of tissue by "
        "0.20, as much as"
    )
    assert "1 image of 1 patient (brains) and 2 images of 1 donor (tissue)" in found["how_sure"]
    tissue.loc[tissue["method"].isin(["grad_cam", "edges"]), "mean"] = 0.3, 0.4
    none = words.answer({"Brains": marks(), "Tissue": marks("lrp_zplus", "grad_cam")}, sets, tissue, 2)[
        "found"
    ]
    assert none.startswith(
        f"No method passes every check on brains and tissue alike. On synthetic brains 0 of {tried} methods pass "
        f"every check; on synthetic tissue 2 of {tried} methods pass every check (Grad-CAM; {TITLES['lrp_zplus']}). An edge"
    )
    assert none.endswith("by 0.40, more than the best method (Grad-CAM, 0.30).")
    tissue["mean"] = tissue["mean"].where(tissue["method"] != "edges", 0.1)
    assert "by 0.10, less than the best method" in words.edge_sentence(tissue)


def test_the_caption_says_how_many_random_maps_make_a_method_fail():
    checks = {"Brains": pd.DataFrame({"random_maps": [9, 9]}), "Tissue": pd.DataFrame({"random_maps": [190]})}
    caption = words.board_caption(checks)
    assert caption.endswith(
        "here a method fails with 1 or more of 9 (brains) and 20 or more of 190 (tissue)."
    )
    assert words.board_caption({"Brains": pd.DataFrame({"random_maps": [1]})}).endswith(
        "1 or more of 1 (brains)."
    )


def test_sentences_on_a_modality():
    standing = pd.DataFrame({"score": leaderboard.SCORE, "method": SHOWN, "mean": 0.1})
    standing.loc[standing["method"] == "grad_cam", "mean"] = 0.6
    assert "0.60 (Grad-CAM)" in words.modality_result("Tissue", standing, marks("grad_cam"), TITLES)
    assert "Passing every check: none." in words.modality_result("Tissue", standing, marks(), TITLES)
    every = words.modality_result("Tissue", standing, marks(*METHODS), TITLES)
    assert "Every method beats all its nulls." in every
    assert "75 % of 8 held-out images" in words.evaluation_set("Tissue", images())
    assert "50 % of the image" in words.evaluation_set("Tissue", images())
    rows, forbids = words.substitutions(HeatmapAmounts(effect=3))
    assert "up to 90 % of the medial" in rows["Effect of the disease in brains"][0] and forbids.endswith(".")
