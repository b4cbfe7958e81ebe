"""Images that stand for pairs of classes, and heat on lesions: against counts by hand, and on a trained network."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from als_core.cohorts.cohort import Cohort
from als_core.explain.grad_cam import grad_cam, layer_map
from als_core.explain.overlap import mass_inside
from als_core.refusal import RefusedInput
from als_core.studies.xia2024 import heatmaps
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.recipes import OF_PAPER, PRINTED, RECIPES, RELEASED_VARIANT
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.synthetic import TissueParameters, make_synthetic_tissue
from als_core.studies.xia2024.train import training_images
from als_core.training.recipe import reduced
from als_core.training.runs import SCORE
from als_core.training.train import train_recipe, trained_network


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue") / "synthetic"
    make_synthetic_tissue(folder, TissueParameters(side=64, donors_per_class=2, donors_with_both_regions=0,
                                                   fields_per_slide=5), seed=0, progress=False)  # fmt: skip
    return Cohort.load(folder, kind="synthetic")


@pytest.fixture(scope="module")
def runs(cohort, tmp_path_factory):
    recipe = reduced(RECIPES["miniset_densesenet"], epochs=1, side=32, copies=1)
    split = published_split(cohort)
    return train_recipe(
        recipe, cohort, split, range(2), training_images(recipe, cohort, split), weights="random",
        runs=tmp_path_factory.mktemp("runs"), features=None, device=torch.device("cpu"),
    )  # fmt: skip


def test_the_highest_score_stands_for_its_pair():
    said = pd.DataFrame(
        [(0, "a", "a", 0.6), (1, "a", "b", 0.7), (2, "a", "a", 0.8), (0, "a", "a", 0.8), (1, "b", "b", 0.5)],
        columns=["sample", "label", "predicted", "score"],
    )
    chosen = heatmaps.examples_of_pairs(said)
    assert chosen[["label", "predicted", "sample", "count"]].to_numpy().tolist() == [
        ["a", "a", 2, 3],  # of two equal scores the first
        ["a", "b", 1, 1],
        ["b", "b", 1, 1],
    ]


def test_a_run_explained_is_the_run_that_predicted(runs, cohort):
    said = heatmaps.tested(runs)
    rows = said[said["run"] == 1]
    assert (runs[1].predictions["part"].iloc[rows["sample"]] == "test").all()
    with torch.inference_mode():
        inputs = heatmaps.network_inputs(runs[1], cohort, rows["sample"].tolist())
        scores = trained_network(runs[1])(inputs).softmax(1)
    written = runs[1].predictions.iloc[rows["sample"]][[SCORE + name for name in cohort.classes]]
    np.testing.assert_allclose(scores.numpy(), written.to_numpy(), atol=1e-5)
    np.testing.assert_allclose(rows["score"], written.max(axis=1))


def test_heat_of_pairs_is_grad_cam_of_the_predicted_class(runs, cohort):
    chosen = heatmaps.examples_of_pairs(heatmaps.tested(runs))
    heat, places = heatmaps.heat_of_pairs(chosen, runs, cohort, "after se2")
    assert places == (4, 4)
    for row, found in zip(chosen.itertuples(), heat, strict=True):
        network = trained_network(runs[row.run])
        inputs = heatmaps.network_inputs(runs[row.run], cohort, [row.sample])
        expected = grad_cam(network, inputs, cohort.classes.index(row.predicted), layer="stages.se2")
        np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-6)


def test_a_recorded_run_is_refused(runs, cohort):
    chosen = heatmaps.examples_of_pairs(heatmaps.tested(runs[:1]))
    with pytest.raises(RefusedInput, match="recorded"):
        heatmaps.heat_of_pairs(chosen, [replace(runs[0], recorded=True)], cohort, "last")


@pytest.mark.parametrize("name", OF_PAPER)
@pytest.mark.parametrize("variant", [PRINTED, RELEASED_VARIANT])
def test_the_last_maps_are_those_the_head_averages(name, variant):
    network = build_tissue_network(name, variant=variant, side=64, seed=0).eval()
    images = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    layers = heatmaps.map_layers(network)
    height, width = heatmaps.places(network, images, layers["last"])
    assert height == width == {"basic_cnn": 8}.get(name, 2)
    if name == "basic_cnn":
        return
    # with a global average and a linear head, Grad-CAM adds up to the score without its bias
    with torch.no_grad():
        scores = network(images)[:, 1] - [*network.stages.head.modules()][-1].bias[1]
    total = layer_map(network, images, torch.tensor([1, 1]), layers["last"]).sum((1, 2))
    torch.testing.assert_close(total, scores, rtol=1e-4, atol=1e-5)


def test_heat_on_is_mass_inside_of_every_pair():
    rng = np.random.default_rng(0)
    maps, truths = rng.normal(size=(3, 5, 6)), rng.random((2, 5, 6)) < 0.3
    maps[2] = -1
    expected = [[mass_inside(one, truth) for truth in truths] for one in maps]
    np.testing.assert_allclose(heatmaps.heat_on(maps, truths), expected)


def test_overlap_by_hand(runs, cohort):
    said = heatmaps.tested(runs[:1])
    overlap = heatmaps.lesion_overlap(said, runs[:1], cohort, torch.Generator().manual_seed(0))
    masks = heatmaps.lesion_masks(cohort, said["sample"].tolist())
    lesioned = [sample for sample in sorted(masks) if masks[sample].any()]
    assert set(overlap["sample"]) == set(lesioned) and "control" not in set(overlap["label"])
    row = overlap[overlap["layer"] == "after se1"].iloc[0]
    network = trained_network(runs[0])
    heat = grad_cam(network, heatmaps.network_inputs(runs[0], cohort, [row["sample"]]),
                    cohort.classes.index(row["label"]), layer="stages.se1")  # fmt: skip
    full = torch.nn.functional.interpolate(heat[None], size=(64, 64), mode="bilinear")[0, 0].numpy()

    def dense(sample):
        return mass_inside(full, masks[sample]) / masks[sample].mean()

    assert (overlap["noise"] != overlap["own"]).any()
    others = [dense(one) for one in lesioned if cohort.groups[one] != row["group"]]
    np.testing.assert_allclose(
        [row["own"], row["others"]], [dense(row["sample"]), np.mean(others)], rtol=1e-4
    )


@pytest.mark.parametrize("finds_its_own", [True, False])
def test_the_difference_sees_a_signal_and_nothing_where_there_is_none(finds_its_own):
    rng = np.random.default_rng(1)
    count, side = 60, 24
    truths = np.array([cv2.GaussianBlur(rng.random((side, side)), (0, 0), 2) for _ in range(count)])
    truths = truths > np.quantile(truths, 0.9, axis=(1, 2), keepdims=True)
    maps = np.array([cv2.GaussianBlur(rng.random((side, side)), (0, 0), 2) - 0.4 for _ in range(count)])
    dense = heatmaps.heat_on(maps + 0.1 * finds_its_own * truths, truths) / truths.mean((1, 2))
    groups = np.arange(count) // 4
    apart = groups[:, None] != groups
    table = pd.DataFrame({"sample": range(count), "group": groups, "layer": "last", "height": 2, "width": 2,
                          "noise": 1.0, "own": np.diag(dense), "others": (dense * apart).sum(1) / apart.sum(1)})  # fmt: skip
    means = heatmaps.lesion_means(table, rng).set_index("kind")
    gap, apart = means.loc["difference"], table["own"] - table["others"]
    assert gap["mean"] == pytest.approx(apart.mean()) and gap["groups"] == 15 and gap["images"] == count
    if finds_its_own:
        assert gap["low"] > 0
    else:
        assert abs(gap["mean"]) < 3 * apart.std() / np.sqrt(count)


def test_masks_are_checked_all_at_once_and_cropped_like_images(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    wide = np.zeros((4, 6), np.uint8)
    wide[:, 1:3] = 255
    cv2.imwrite(str(folder / "wide.png"), wide)
    cv2.imwrite(str(folder / "small.png"), wide[:2])
    samples = pd.DataFrame({"path": list("abcd"), "mask": ["wide.png", "small.png", "missing.png", ""]})
    cohort = Cohort("own", folder, "own", samples, (4, 6))
    assert heatmaps.lesion_masks(cohort, [0, 3])[0].tolist() == [[True, True, False, False]] * 4
    with pytest.raises(RefusedInput) as refusal:
        heatmaps.lesion_masks(cohort, range(4))
    assert [problem.where for problem in refusal.value.problems] == ["small.png", "missing.png"]
    assert heatmaps.lesion_masks(replace(cohort, samples=samples[["path"]]), range(4)) == {}


def test_a_head_of_noise_gives_other_maps(runs, cohort):
    checks, again = (
        heatmaps.without_last_layer(heatmaps.tested(runs), runs, cohort, torch.Generator().manual_seed(0))
        for _ in range(2)
    )
    assert len(checks) == len(heatmaps.tested(runs)) and checks["blank"].dtype == bool
    pd.testing.assert_frame_equal(checks, again)
