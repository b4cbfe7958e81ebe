"""Runs: whole on disk or absent, found by what went in, scored from predictions, the same after kill -9."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
import toy_training
from toy_training import HEAD_ONLY, TOY, cohort_split_images, train

from als_core.models.stages import IMAGENET_SCALING
from als_core.refusal import RefusedInput
from als_core.storage import build_if_missing, code_digest, exclusive_lock, modules_used, repository
from als_core.studies.xia2024.recipes import RECIPES
from als_core.training import heads, runs
from als_core.training import train as training
from als_core.training.features import as_input
from als_core.training.recipe import reduced

COHORT, SPLIT, OWN_IMAGES = cohort_split_images()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(folder) + train(folder, HEAD_ONLY)


def test_a_run_holds_what_it_says(trained):
    _, all_runs = trained
    for run in all_runs:
        assert run.folder.name == run.about["key"]
        assert {each.name for each in run.folder.iterdir()} == {
            "run.json", "history.csv", "predictions.csv", "weights.safetensors",
        }  # fmt: skip
        assert len(run.history) == TOY.epochs and len(run.predictions) == 45
        scores = run.predictions[[f"score {name}" for name in COHORT.classes]].to_numpy()
        np.testing.assert_allclose(scores.sum(1), 1, atol=1e-8)
        assert (run.predictions["part"] == SPLIT.parts).all()
        best = run.history["validation_accuracy"].argmax() + 1
        assert run.about["chosen_epoch"] == best
    assert all_runs[0].about["cached_prefix"] == ["stem"]
    assert all_runs[2].about["cached_prefix"] == ["stem", "gate", "body", "pool"]


def test_the_weights_of_a_run_give_its_predictions(trained):
    for run in trained[1]:
        network = toy_training.network(seed=99)
        network.load_state_dict(run.weights())
        scaled = as_input(torch.from_numpy(OWN_IMAGES.images), IMAGENET_SCALING)
        with torch.no_grad():
            scores = network.eval()(scaled).softmax(1)
        scored = run.predictions[[f"score {name}" for name in COHORT.classes]]
        np.testing.assert_allclose(scores, scored, atol=1e-5)
    frozen = list((trained[0] / "runs" / "frozen").iterdir())
    assert len(frozen) == 2  # stem and body of the gated runs, stem, body and gate of the head-only runs


def test_confusion_counts_equal_scikit_learn(trained):
    for run in trained[1]:
        test = run.predictions[run.predictions["part"] == "test"]
        expected = sklearn.metrics.confusion_matrix(test["label"], test["predicted"], labels=COHORT.classes)
        np.testing.assert_array_equal(run.confusion(), expected)
        assert expected.sum() == 9 and expected.trace() > 4


def test_runs_that_exist_are_not_trained_again(trained, monkeypatch):
    folder, all_runs = trained
    monkeypatch.setattr(training, "_Work", lambda *_: pytest.fail("trained again"))
    again = train(folder) + train(folder, HEAD_ONLY)
    assert [run.folder for run in again] == [run.folder for run in all_runs]


def test_seeds_trained_later_are_the_same_runs(trained, tmp_path):
    one_by_one = [train(tmp_path, recipe, (seed,))[0] for recipe in (TOY, HEAD_ONLY) for seed in (0, 1)]
    for run, other in zip(trained[1], one_by_one, strict=True):
        assert run.about["key"] == other.about["key"]
        for name in ("history.csv", "predictions.csv"):
            assert (run.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_seeds_whose_frozen_part_differs_each_train_on_their_own(tmp_path):
    def own_gates(recipe, classes, seed):
        return toy_training.network(seed)

    both = train(tmp_path / "both", HEAD_ONLY, builder=own_gates)
    alone = train(tmp_path / "alone", HEAD_ONLY, (1,), builder=own_gates)[0]
    assert (both[1].folder / "history.csv").read_bytes() == (alone.folder / "history.csv").read_bytes()


def test_a_key_changes_with_everything_that_went_in():
    one = runs.RunIdentity(TOY, "by image", "d", 0, "toy", "c", "random", "v")
    others = [
        replace(one, **change)
        for change in (
            {"recipe": replace(TOY, epochs=7)}, {"split": "by donor"}, {"split_digest": "e"}, {"seed": 1},
            {"cohort_digest": "x"}, {"weights": "imagenet"}, {"code": "w"}, {"copies": "c"},
        )
    ]  # fmt: skip
    assert len({each.key for each in [one, *others]}) == len(others) + 1
    assert one.key == replace(one).key


def test_the_code_of_a_run_covers_the_module_that_builds_its_network():
    """A network in a file of its own: its file is part of its runs' code and of no other run's."""
    gated, lite = RECIPES["resnet18_se"], RECIPES["efficientnet_lite0"]
    modules = [recipe.builder.partition(":")[0] for recipe in (gated, lite)]
    assert modules[0] != modules[1]
    for recipe, module in zip((gated, lite), modules, strict=True):
        (identity,) = training.identify_runs(recipe, COHORT, SPLIT, [0], "random")
        assert identity.code == code_digest("als_core.training.train", module)
    used = {file.name for file in modules_used(repository() / "als_core/training/train.py")}
    assert {"fit.py", "heads.py", "tail.py", "features.py", "folding.py", "weights.py"} <= used


def test_a_recorded_run_is_found_by_what_went_in_whatever_the_code(trained, tmp_path):
    _, all_runs = trained
    maps = {"last": np.linspace(0, 1, 6), "sample": np.arange(3)}
    kept = runs.record_run(all_runs[0], tmp_path / "toy", maps)
    runs.record_run(all_runs[1], tmp_path / "toy")
    assert not list(kept.glob("*.safetensors"))
    with np.load(kept / "heatmaps.npz") as stored:
        assert stored["last"].dtype == np.float16 and (stored["sample"] == maps["sample"]).all()

    def found(recipe=TOY, cohort=COHORT.digest, split=SPLIT, weights="random"):
        return runs.find_recorded(tmp_path, recipe, cohort, split, weights)

    assert [run.about["seed"] for run in found()] == [0, 1]
    assert all(run.recorded for run in found()) and found()[0].predictions.equals(all_runs[0].predictions)
    assert len(found(replace(TOY, precision="bf16", compiled=True))) == 2
    elsewhere = replace(SPLIT, parts=SPLIT.parts[::-1].copy())
    for other in (
        found(replace(TOY, epochs=5)),
        found(cohort="x"),
        found(split=elsewhere),
        found(weights="imagenet"),
    ):
        assert other == []
    with pytest.raises(RefusedInput, match="recorded run"):
        found()[0].weights()


def test_a_run_that_fails_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "load_run", None)
    monkeypatch.setattr(heads, "train_heads", None)
    monkeypatch.setattr(
        "pandas.DataFrame.to_csv", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        train(tmp_path, seeds=(0,))
    left = [path.name for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")]
    assert left == ["frozen"]
    assert len(list((tmp_path / "runs" / ".unfinished").glob("*.pt"))) == 1  # and goes on from there


def test_images_that_do_not_fit_are_refused(tmp_path):
    for recipe, found in (
        (replace(TOY, copies=10), "training images: found 27"),
        (replace(TOY, side=9), "images"),
    ):
        with pytest.raises(RefusedInput, match=found):
            train(tmp_path, recipe)


def test_adapted_and_followed_statistics_train_too(tmp_path):
    adapted = train(tmp_path, replace(HEAD_ONLY, batch_norm="adapt"), (0,))[0]
    stem = "stages.stem.1.running_mean"
    assert not torch.equal(adapted.weights()[stem], toy_training.network(0).state_dict()[stem])
    followed = train(tmp_path, replace(TOY, batch_norm="train", scaling="cohort", flip=True), (0,))[0]
    assert followed.about["cached_prefix"] == []
    assert followed.about["scaling"] != adapted.about["scaling"]


def test_copies_are_trained_on_and_not_scored(tmp_path):
    train_rows = SPLIT.rows("train")
    everyone = np.arange(45)
    images = replace(OWN_IMAGES, copies=OWN_IMAGES.images[:, :, ::-1].copy(), copies_of=everyone)
    run = train(tmp_path, replace(HEAD_ONLY, copies=2), (0,), images)[0]
    assert run.about["training_images"] == 2 * len(train_rows) and len(run.predictions) == 45
    other = OWN_IMAGES.images.copy()
    other[SPLIT.rows("test")] = 0  # copies of test images are never looked at
    hidden = replace(images, copies=other[:, :, ::-1].copy())
    again = train(tmp_path / "again", replace(HEAD_ONLY, copies=2), (0,), hidden)[0]
    assert run.predictions.equals(again.predictions)


def test_two_makers_take_turns(tmp_path):
    made, order = tmp_path / "thing", []

    def make(name: str) -> None:
        with exclusive_lock(made):
            order.append(f"{name} begins")
            time.sleep(0.2)
            order.append(f"{name} ends")

    makers = [threading.Thread(target=make, args=(name,)) for name in ("first", "second")]
    for maker in makers:
        maker.start()
        time.sleep(0.05)
    for maker in makers:
        maker.join()
    assert order == ["first begins", "first ends", "second begins", "second ends"]


def test_what_several_want_at_once_is_made_once_and_then_without_a_lock(tmp_path):
    wanted, made = tmp_path / "thing", []

    def make() -> None:
        time.sleep(0.2)
        made.append(wanted.mkdir())

    makers = [threading.Thread(target=build_if_missing, args=(wanted, make)) for _ in range(3)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    with exclusive_lock(wanted):  # whoever found it there did not wait for this
        reader = threading.Thread(target=build_if_missing, args=(wanted, make))
        reader.start()
        reader.join(5)
    assert len(made) == 1 and not reader.is_alive()


KILLED = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[2])
import toy_training
from dataclasses import replace
toy_training.train(Path(sys.argv[1]), replace(toy_training.TOY, epochs=30), (0, 1), save_every=1)
"""


@pytest.mark.slow
def test_kill_9_in_the_middle_then_rerun_gives_the_same_bytes(tmp_path):
    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), str(Path(__file__).parents[1])], cwd=repository(),
            env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    undisturbed, victim = start(whole), start(broken)
    unfinished = broken / "runs" / ".unfinished"
    while not list(unfinished.glob("*.pt")):
        assert victim.poll() is None, "it was to be killed before it ended"
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not list((broken / "runs").glob("*/run.json"))
    assert undisturbed.wait() == 0 and start(broken).wait() == 0
    made = sorted(path.relative_to(whole) for path in whole.rglob("*.csv"))
    assert len(made) == 4
    for path in made:
        assert (whole / path).read_bytes() == (broken / path).read_bytes(), path
    assert not list(unfinished.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet18_se"])
def test_a_tissue_network_learns_colour_on_random_weights(name, tmp_path):
    """Head-only and gated, 32 pixels: far above chance, and rebuilt from its weights with equal scores."""
    images = np.repeat(np.repeat(OWN_IMAGES.images, 4, axis=1), 4, axis=2)
    recipe = replace(reduced(RECIPES[name], epochs=6, side=32, copies=1), learning_rate=5e-3, batch_size=8)
    run = training.train_recipe(
        recipe, COHORT, SPLIT, (0, 1), replace(OWN_IMAGES, images=images), weights="random",
        runs=tmp_path / "runs", features=None, device=torch.device("cpu"),
    )[0]  # fmt: skip
    assert run.confusion().trace() > 0.7 * run.confusion().sum()
    network = training.trained_network(run)
    with torch.no_grad():
        scores = network(as_input(torch.from_numpy(images), IMAGENET_SCALING)).softmax(1)
    scored = run.predictions[[f"score {each}" for each in run.classes]]
    np.testing.assert_allclose(scores, scored, atol=1e-4)
    assert json.loads((run.folder / "run.json").read_text())["weights"] == "random"
