"""The matrix of heatmaps shows what there is, and says where there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn_words import assert_words, words

from als_core.studies.xia2024.figures_heatmaps import class_matrix, heat_on_lesions, pair_cells

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("with_heat", [True, False])
def test_empty_cells_say_so_and_others_say_what_they_are(classes, with_heat):
    chosen = pd.DataFrame({"label": ["a", "b"], "predicted": ["a", "a"], "count": [1, 7], "path": ["i/x.png", "i/y.png"],
                           "seed": [0, 2], "score": [0.913, 0.5], "sample": [4, 9]})  # fmt: skip
    heat = [np.ones((8, 8)), np.zeros((8, 8))] if with_heat else None
    cells = pair_cells(chosen, [IMAGE, IMAGE], heat, (2, 2), {4: np.eye(30, dtype=bool)})
    drawn = class_matrix(chosen, cells, classes, "Heat by true and predicted class.", "Below, cases.")
    assert_words(drawn)
    said = words(drawn.figure)
    assert said.count("none") == len(classes) ** 2 - 2
    assert {"1 case\nx.png, seed 0, 0.91", "7 cases\ny.png, seed 2, 0.50", "true b", "predicted a"} <= set(
        said
    )
    assert said.count("no heat") == with_heat
    assert "Cases by true and predicted class: a as a 1 and b as a 7." in drawn.alt
    assert ("and its heatmap" in drawn.alt) == with_heat
    assert drawn.data["greatest_heat"].tolist() == ([1.0, 0.0] if with_heat else [None, None])


def test_points_and_means_are_drawn_by_layer():
    table = pd.DataFrame(
        {"layer": ["first", "last"] * 3, "own": [1.2, 1, 1.4, 1, np.nan, 1], "others": 1.0, "noise": 0.9}
    )
    means = pd.DataFrame([(layer, 8, 8, kind, 1.1, 1.0, 1.2) for layer in ("first", "last") for kind in ("own", "others", "noise")],
                         columns=["layer", "height", "width", "kind", "mean", "low", "high"])  # fmt: skip
    drawn = heat_on_lesions(table, means, "donors", "other donors")
    assert_words(drawn)
    axes = drawn.figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["first, 8 × 8", "last, 8 × 8"]
    values = [sorted(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
    assert [1.2, 1.4] in values and [1, 1, 1] in values  # what is missing is not drawn
    assert sum(line.get_marker() == "|" for line in axes.lines) == len(means)
    assert "first, its own lesion 1.10 (1.00 to 1.20)" in drawn.alt and "over donors" in drawn.caption
