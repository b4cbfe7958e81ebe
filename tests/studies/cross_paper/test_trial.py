"""The tables of the trial: complete, and with the truth in the right place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from als_core.explain.methods import METHODS
from als_core.explain.overlap import SCORES, voxel_auc
from als_core.explain.sanity import untrained
from als_core.studies.cross_paper.heatmap_scores import check_methods, explain_all, overlaps, try_maps


def dice_rolls(seed=0):
    return torch.Generator().manual_seed(seed)


def test_overlaps_has_one_row_per_image_and_score():
    heatmaps = np.random.default_rng(0).standard_normal((3, 6, 6))
    truth = np.eye(6, dtype=bool)
    table = overlaps(torch.tensor(heatmaps), truth)
    assert len(table) == 3 * len(SCORES)
    row = table[(table["image"] == 1) & (table["score"] == "voxel_auc")]
    assert row["value"].item() == voxel_auc(heatmaps[1], truth)


def maps_of(explainers, plant):
    noise = untrained(plant.model, plant.images, dice_rolls())
    return [explain_all(explainers, model, plant.images, plant.targets) for model in (plant.model, noise)]


def test_methods_beat_all_their_nulls_on_the_planted_patch(plant):
    names = ("sensitivity", "grad_cam", "lrp_zplus")
    explainers = {name: METHODS[name].importance(**plant.settings) for name in names}
    maps, blind = maps_of(explainers, plant)
    table = try_maps(maps, blind, plant.truths, generator=dice_rolls(), areas=plant.areas, draws=3)
    assert list(table.columns) == ["method", "map", "image", "score", "value"]
    assert len(table) == 3 * 4 * len(plant.images) * len(SCORES)
    auc = table[table["score"] == "voxel_auc"].groupby(["method", "map"])["value"].mean().unstack()
    assert (auc["method"] > 0.95).all()
    for null in ("same smoothness", "untrained", "atlas only"):
        assert (auc[null] < 0.8).all()
    assert auc["atlas only"].mean() == pytest.approx(0.5, abs=0.2)


def test_checks_as_a_table(plant):
    explainers = {"edges": lambda model, images, target: images[:, 0].abs().cumsum(1)}
    few, settings = 2, {"nulls": 3, "steps": 2}
    call = plant.model, plant.images[:few], plant.targets[:few]
    table = check_methods(explainers, *maps_of(explainers, plant), *call, generator=dice_rolls(), **settings)
    assert table["check"].tolist() == ["repeatable", "speaks", "depends on parameters", "faithful"]
    assert table.set_index("check")["passed"].to_dict() == {
        "repeatable": True,
        "speaks": True,
        "depends on parameters": False,
        "faithful": False,
    }
