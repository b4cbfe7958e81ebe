"""Non-finite numbers: training stops and says where, and an undefined value is not averaged away."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import toy_training as toy

from als_core.cohorts.volumes import brain_box, mni_map
from als_core.statistics import metrics
from als_core.studies.brains import training as volumes
from als_core.studies.cross_paper import leak_switches
from als_core.studies.turrisi2024.small_network import SmallNetwork
from als_core.studies.xia2024 import by_donor
from als_core.studies.xia2024.separation import score_of_counts
from als_core.training.epochs import Diverged

ONE_STEP = {"epochs": 1, "batch_size": 64, "weight_decay": 3e38}
"""The loss of the only epoch is taken before its only step, whose gradient overflows."""


def with_large_heads(*arguments):
    network = toy.builder(*arguments)
    network.stages.head.weight.data.mul_(8)
    return network


@pytest.mark.parametrize("recipe", [toy.TOY, toy.HEAD_ONLY], ids=["loop", "heads"])
@pytest.mark.parametrize("checkpoint", ["best validation", "last epoch"])
def test_a_last_step_that_ruins_the_weights_stops_the_run_with_recipe_seed_and_epoch(
    tmp_path, recipe, checkpoint
):
    spoilt = replace(recipe, **ONE_STEP, checkpoint=checkpoint)
    with pytest.raises(
        Diverged, match=rf"{recipe.name} .*seed 4: .* not finite in epoch 1; the run was stopped"
    ):
        toy.train(tmp_path, spoilt, (4,), builder=with_large_heads)
    assert not list(tmp_path.rglob("run.json")) and not list(tmp_path.rglob("predictions.csv"))


@pytest.mark.parametrize("watch", ["training", "validation"])
def test_the_small_network_of_tables_stops_too(watch):
    features = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    network = SmallNetwork(watch, trials=2, batch_size=8, learning_rate=1e30, random_state=6)
    with pytest.raises(Diverged, match=r"50-3-2 network, seed 6: .* in epoch 1; the run was stopped"):
        network.fit(features, np.arange(40) % 2)


def test_the_network_of_the_leak_replay_stops_too():
    images = np.full((8, 16, 16, 3), 7, np.uint8)  # one grey: nothing to scale by
    with pytest.raises(Diverged, match="leak replay, seed 2"):
        leak_switches.network_scores(images, np.arange(8) < 4, np.arange(8), seed=2)


def test_a_loss_that_is_no_number_stops_the_volumes_too():
    """A scan of NaN represents any cause."""
    shape = mni_map("t1", 4).shape
    cohort = SimpleNamespace(
        volume=lambda row: np.full(shape, np.nan, np.float32), labels=np.arange(6) % 2, classes=("AD", "CN")
    )
    amounts = volumes.PanagiotarasAmounts(resolution=4, variant="small", epochs=3)
    assert amounts.box == brain_box(4)
    with pytest.raises(Diverged, match=r"slides \(small\), seed 7: 1 of 1 values not finite in epoch 1"):
        volumes.train_volumes(cohort, np.arange(4), np.arange(4, 6), amounts, seed=7)


def test_a_class_that_is_missing_from_a_part_has_no_sensitivity_and_no_mean_hides_it(tmp_path):
    run = toy.train(tmp_path, replace(toy.HEAD_ONLY, epochs=2), (0,))[0]
    absent = run.classes[1]
    rows = run.predictions
    rows.loc[(rows["label"] == absent) & (rows["part"] == "test"), "part"] = "left out"
    counts = run.confusion()
    undefined = np.isnan(metrics.sensitivity(counts))
    assert undefined.tolist() == [name == absent for name in run.classes]
    assert np.isnan(metrics.balanced_accuracy(counts)) and counts.sum() == 6


def test_a_donor_with_one_image_is_judged_once_and_widens_the_interval():
    labels, groups = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array(list("aaabcccd"))
    counts = np.zeros((8, 2), dtype=int)
    counts[np.arange(8), labels] = 1
    counts[3] = [0, 1]  # the only image of donor b is called wrong
    votes = by_donor.group_votes(counts, labels, groups).set_index("group")
    assert votes["right"].tolist() == [True, False, True, True] and votes.loc["b", "share"] == 0
    found = score_of_counts(counts, labels, groups)
    assert found["score"] == 7 / 8 and found["low"] < 7 / 8 <= found["high"]
