"""The matrix of heatmaps shows what there is, and says where there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from als_core.figures.style import SMALLEST_TEXT
from als_core.studies.xia2024.figures_heatmaps import class_matrix, heat_on_lesions, heated, pair_cells

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("with_heat", [True, False])
def test_empty_cells_say_so_and_others_say_what_they_are(classes, with_heat):
    chosen = pd.DataFrame({"label": ["a", "b"], "predicted": ["a", "a"], "count": [1, 7], "path": ["i/x.png", "i/y.png"],
                           "seed": [0, 2], "score": [0.913, 0.5], "sample": [4, 9]})  # fmt: skip
    heat = [np.ones((8, 8)), np.zeros((8, 8))] if with_heat else None
    cells = pair_cells(chosen, [IMAGE, IMAGE], heat, (2, 2), {4: np.eye(30, dtype=bool)})
    figure = class_matrix(cells, classes)
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    words = [text.get_text() for text in texts]
    assert words.count("none") == len(classes) ** 2 - 2
    assert {"1 case\nx.png, seed 0, 0.91", "7 cases\ny.png, seed 2, 0.50", "true b", "predicted a"} <= set(
        words
    )
    assert words.count("no heat") == with_heat
    assert min(text.get_fontsize() for text in texts) >= SMALLEST_TEXT


def test_heat_covers_the_grey_image_by_its_strength():
    heat = np.zeros((3, 4))
    assert np.ptp(heated(IMAGE, heat).astype(int), axis=2).max() == 0
    heat[0, 0] = 5
    coloured = np.ptp(heated(IMAGE, heat).astype(int), axis=2)
    assert coloured[:5, :5].min() > 60 and coloured[20:, 25:].max() == 0
    np.testing.assert_array_equal(heated(IMAGE, heat), heated(IMAGE, 100 * heat))


def test_points_and_means_are_drawn_by_layer():
    table = pd.DataFrame(
        {"layer": ["first", "last"] * 3, "own": [1.2, 1, 1.4, 1, np.nan, 1], "others": 1.0, "noise": 0.9}
    )
    means = pd.DataFrame([(layer, 8, 8, kind, 1.1, 1.0, 1.2) for layer in ("first", "last") for kind in ("own", "others", "noise")],
                         columns=["layer", "height", "width", "kind", "mean", "low", "high"])  # fmt: skip
    axes = heat_on_lesions(table, means).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["first\n8 × 8", "last\n8 × 8"]
    drawn = [points.get_offsets()[:, 1].tolist() for points in axes.collections]
    assert [1.2, 1.4] in drawn and [1, 1, 1] in drawn  # what is missing is not drawn
