"""The plan of recorded runs: which jobs, in which order, and that nothing is trained or recorded twice."""

from dataclasses import replace

import numpy as np
import pytest

from als_core.cohorts.cohort import Cohort
from als_core.models.weights import WeightsChoice
from als_core.refusal import RefusedInput
from als_core.studies.xia2024 import record
from als_core.studies.xia2024 import train as tissue_runs
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.record import BY_DONOR, BY_IMAGE, PLAN, Job, chosen_jobs
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.synthetic import TissueParameters, make_synthetic_tissue
from als_core.training.recipe import reduced
from als_core.training.runs import load_run


def tiny(recipe):
    return reduced(recipe, epochs=2, side=64, copies=1, batch_size=4)


@pytest.fixture
def cohort(tmp_path) -> Cohort:
    sizes = TissueParameters(side=64, donors_with_both_regions=0, donors_per_class=3, fields_per_slide=2)
    make_synthetic_tissue(tmp_path / "cohort", sizes, seed=0, progress=False)
    return Cohort.load(tmp_path / "cohort", kind="synthetic")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where runs are recorded, and the same weights with and without a network."""
    monkeypatch.setattr(record, "recorded_folder", lambda: tmp_path / "recorded")
    monkeypatch.setattr(
        tissue_runs, "available_weights", lambda *given, **more: WeightsChoice("random", "a test")
    )
    return tmp_path / "recorded"


def test_a_plan_is_worked_through_once_and_goes_on_where_it_is_longer(cohort, folder):
    plan = (Job("resnet18", BY_IMAGE, seeds=2, change=tiny), Job("resnet18", BY_DONOR, change=tiny))
    lines = list(record.record(cohort, plan))
    assert len(lines) == 2 + 3 and len(list(folder.glob("resnet18/*"))) == 5
    assert "seeds by image" in lines[0] and "fold 1 of 3, seed 0" in lines[2]
    assert list(record.record(cohort, plan)) == []
    longer = (Job("resnet18", BY_IMAGE, seeds=3, change=tiny),)
    assert [line.split(":")[0][-6:] for line in record.record(cohort, longer)] == ["seed 2"]


def test_a_run_that_diverges_is_said_and_the_next_job_begins(cohort, folder):
    def wild(recipe):
        return replace(tiny(recipe), learning_rate=1e30)

    plan = (Job("resnet18", BY_IMAGE, seeds=2, change=wild), Job("resnet18", BY_IMAGE, seeds=1, change=tiny))
    lines = []
    with pytest.raises(RefusedInput, match="2 problems") as refusal:
        lines.extend(line for line in record.record(cohort, plan) if lines.append(line))
    *diverged, recorded = lines
    assert [
        f"seed {seed}" in line and line.endswith("the run was stopped") for seed, line in enumerate(diverged)
    ] == [True] * 2
    assert [problem.where for problem in refusal.value.problems] == [line.split(": ")[0] for line in diverged]
    assert recorded.split(":")[1].strip().startswith(next(folder.glob("resnet18/*")).name)


def test_smaller_runs_are_shown_until_published_ones_are_recorded_and_never_for_larger_ones(
    cohort, folder, monkeypatch
):
    monkeypatch.setattr(tissue_runs, "recorded_folder", lambda: folder)
    monkeypatch.setattr(tissue_runs, "REDUCED_SIDE", 32)
    recipe, split = tiny(RECIPES["resnet18"]), published_split(cohort)
    quick = TissueAmounts(side=32, without_imagenet="random")

    def sides(amounts):
        runs = tissue_runs.recorded_runs(recipe, cohort, split, amounts)
        return [
            (run.about["recipe"]["side"], dict(run.about["recipe"]["reduced_from"])["side"]) for run in runs
        ]

    list(record.record(cohort, (Job("resnet18", BY_IMAGE, seeds=1, side=32, change=tiny),)))
    assert sides(quick) == [(32, 400)]
    assert sides(replace(quick, side=64)) == [], "the profile's own images are larger"
    list(record.record(cohort, (Job("resnet18", BY_IMAGE, seeds=1, change=tiny),)))
    assert sides(quick) == [(64, 400)], "a run of published size takes the place of the smaller one"
    assert sides(replace(quick, recorded=False)) == []
    assert sides(replace(quick, without_imagenet=None)) == [], "random weights, which this profile refuses"
    monkeypatch.setattr(
        tissue_runs, "available_weights", lambda *given, **more: WeightsChoice("imagenet", "a test")
    )
    assert sides(quick) == [], "random weights, where this machine has ImageNet's"


def test_recorded_heatmaps_are_of_the_test_images_and_weights_stay_behind(cohort, folder):
    list(record.record(cohort, (Job("resnet18", BY_IMAGE, seeds=1, change=tiny),)))
    (of_run,) = folder.glob("resnet18/*")
    run, tested = load_run(of_run), np.load(of_run / "heatmaps.npz")
    assert tested["sample"].tolist() == np.flatnonzero(run.predictions["part"] == "test").tolist()
    assert tested["last"].shape == (len(tested["sample"]), 3, 2, 2)
    assert tested["last"].min() >= 0 and tested["last"].max() == 1
    assert not [file.name for file in of_run.iterdir() if "weights" in file.name]


def test_networks_that_need_pretraining_are_not_recorded_from_random_weights(cohort, folder):
    (line,) = record.record(cohort, (Job("resnet18_se", BY_IMAGE, fast=True),))
    assert line.endswith("no ImageNet weights here, left out") and not folder.exists()


def test_jobs_are_chosen_by_number_and_other_words_are_refused():
    assert chosen_jobs("") == PLAN
    assert chosen_jobs("8") == PLAN[8:9] and chosen_jobs("0-2") == PLAN[:3]
    assert PLAN[8].network == "resnet18_se" and PLAN[8].recipe.precision == "bf16"
    for wrong in ("x", "3-1", "0-99", "-2", "4-"):
        with pytest.raises(RefusedInput, match=f"found {wrong}; expected a number from 0 to {len(PLAN) - 1}"):
            chosen_jobs(wrong)
