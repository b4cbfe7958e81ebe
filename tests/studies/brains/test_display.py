"""Maps brought to the resolution of figures: where they were, and only there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from als_core.cohorts.volumes import mni_map
from als_core.studies.brains.training import PanagiotarasAmounts
from als_core.studies.panagiotaras import display

AMOUNTS = PanagiotarasAmounts(resolution=4, variant="small", shown=2)


def test_a_map_stays_where_it_was_and_averages_are_drawn_on_the_template():
    coarse, fine = mni_map("t1", 4), mni_map("t1", 2)
    whole = np.zeros(coarse.shape, dtype=np.float32)
    whole[20:24, 30:34, 18:22] = 1
    box = whole[AMOUNTS.box]
    shown = display.to_display(box, AMOUNTS)
    assert shown.shape == fine.shape
    centres = [
        grid.affine @ [*np.argwhere(voxels > 0.5).mean(axis=0), 1]
        for grid, voxels in ((coarse, whole), (fine, shown))
    ]
    assert np.abs(centres[0] - centres[1]).max() < 1.1  # mm
    _, truth, maps = display.on_template({"one": box}, box > 0, AMOUNTS)
    assert truth.dtype == bool and np.array_equal(maps["one"], shown)
    samples = pd.DataFrame({"label": ["AD", "CN", "CN"]})
    cohort = SimpleNamespace(kind="own", samples=samples)
    both = {method: {"AD": box, "CN": box} for method in ("Sensitivity", "Occlusion")}
    drawn = display.averages(cohort, np.arange(3), both, AMOUNTS)
    assert "1 scans of label AD and 2 scans of label CN" in drawn.caption and len(drawn.data) == 12
    assert "mean_in_truth" not in drawn.data  # nothing is known of real brains
