"""The tissue study's runs at reduced amounts: what is reduced is said, features and splits are right, effects are found."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from als_core.cohorts.cohort import Cohort
from als_core.models.stages import IMAGENET_SCALING
from als_core.models.weights import WeightsChoice
from als_core.refusal import RefusedInput
from als_core.studies.xia2024 import train as tissue_runs
from als_core.studies.xia2024 import words
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.augmentation import FIGURE_5, SECOND_PROTOCOL
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.by_donor import count_predictions, splits_by_donor
from als_core.studies.xia2024.recipes import RECIPES, second_protocol
from als_core.studies.xia2024.synthetic import TissueParameters, make_synthetic_tissue
from als_core.studies.xia2024.train import augmentations_of, copies_digest
from als_core.training.features import as_input
from als_core.training.recipe import Recipe, reduced

SIDE = 64
STRONG = TissueAmounts(
    side=SIDE,
    copies=1,
    epochs={"basic_cnn": 6, "resnet18": 100, "densenet121": 100, "efficientnet_lite0": 100, "resnet18_se": 12, "resnet18_cbam": 8, "miniset_densesenet": 6},
    batch_size={"basic_cnn": 8, "resnet18": 4, "densenet121": 4, "efficientnet_lite0": 4, "resnet18_se": 8, "resnet18_cbam": 8, "miniset_densesenet": 4},
    runs=1,
    without_imagenet="random",
)  # fmt: skip
QUICK = replace(STRONG, epochs=dict.fromkeys(RECIPES, 1), runs=2)


def tissue(folder, **parameters) -> Cohort:
    parameters = TissueParameters(side=SIDE, donors_with_both_regions=0, **parameters)
    make_synthetic_tissue(folder, parameters, seed=0, progress=False)
    return Cohort.load(folder, kind="synthetic")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Cohort:
    return tissue(tmp_path_factory.mktemp("small") / "cohort", donors_per_class=3, fields_per_slide=4)


@pytest.fixture(scope="module")
def strong(tmp_path_factory) -> Cohort:
    return tissue(tmp_path_factory.mktemp("strong") / "cohort", disease_effect=4, fields_per_slide=12)


@pytest.fixture(autouse=True)
def random_weights(monkeypatch):
    """The same weights with and without a network."""
    monkeypatch.setattr(
        tissue_runs, "available_weights", lambda *given, **more: WeightsChoice("random", "a test")
    )


def test_a_recipe_says_what_was_reduced_and_a_smaller_batch_keeps_the_steps():
    printed = RECIPES["resnet18_se"]
    recipe = TissueAmounts(copies=1, batch_size={"resnet18_se": 16}).recipe("resnet18_se")
    assert recipe.title == "ResNet18+SE (as printed; batch size 16 for 128, copies 1 for 10)"
    assert -(-114 // recipe.batch_size) == 8 and -(-1140 // printed.batch_size) == 9
    assert TissueAmounts().recipe("resnet18_se") == printed
    with pytest.raises(RefusedInput, match="batch_size: found 129; expected 1 to 128"):
        reduced(printed, batch_size=129)


def test_without_gates_is_densenet_at_the_hyper_parameters_of_the_gated_network():
    plain, gated = STRONG.without_gates(), STRONG.recipe("miniset_densesenet")
    assert plain.network == "densenet121" and plain.trains == RECIPES["densenet121"].trains
    own = {"name", "network", "trains", "variant", "options"}
    assert {name for name in vars(plain) if getattr(plain, name) != getattr(gated, name)} == own


def test_copies_are_those_of_the_recipe_and_part_of_what_a_run_is():
    printed = RECIPES["resnet18"]
    assert (
        augmentations_of(printed) == FIGURE_5
        and augmentations_of(second_protocol(printed)) == SECOND_PROTOCOL
    )
    four = reduced(printed, copies=4)
    assert augmentations_of(four) == FIGURE_5[:3] and augmentations_of(reduced(printed, copies=1)) == ()
    digests = [
        copies_digest(recipe, seed) for recipe in (printed, four, second_protocol(printed)) for seed in (0, 1)
    ]
    assert len(set(digests)) == 6 and copies_digest(reduced(printed, copies=1), 0) == ""


@pytest.mark.parametrize("network, trains", [("resnet18", 512 * 3 + 3), ("densenet121", 1024 * 3 + 3)])
def test_parameters_that_train_are_counted(network, trains):
    counted, every = tissue_runs.parameter_counts(RECIPES[network], classes=3)
    built = build_tissue_network(network, seed=0)
    assert counted == trains and every == sum(each.numel() for each in built.parameters())


def test_frozen_features_are_what_the_head_is_given(small):
    features = tissue_runs.frozen_features("resnet18", small, QUICK)
    network = build_tissue_network("resnet18", side=SIDE, seed=0).eval()
    scaled = as_input(torch.from_numpy(small.images()), IMAGENET_SCALING)
    tissue_runs.load_weights(network, "random", images=scaled)
    with torch.no_grad():
        expected = network.eval().stages[:-1](scaled).numpy()
    assert features.shape == (36, 512)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(tissue_runs.frozen_features("resnet18", small, QUICK), features)


def test_frozen_features_in_bf16_are_those_of_fp32_to_its_rounding(small):
    fine, coarse = (
        tissue_runs.frozen_features("resnet18", small, replace(QUICK, precision={"resnet18": precision}))
        for precision in ("fp32", "bf16")
    )
    assert coarse.dtype == np.float32
    difference = np.abs(coarse - fine).max()
    assert 0 < difference < 0.05 * np.abs(fine).max()


def test_runs_are_found_again_and_runs_by_donor_test_each_donor_once(small):
    runs = tissue_runs.tissue_runs("resnet18", small, QUICK)
    assert [run.about["seed"] for run in runs] == [0, 1]
    again = tissue_runs.tissue_runs("resnet18", small, QUICK)
    assert [run.folder.stat().st_mtime_ns for run in again] == [run.folder.stat().st_mtime_ns for run in runs]
    by_donor = tissue_runs.runs_by_donor(["resnet18"], small, QUICK)["resnet18"]
    assert len(by_donor) == 3 and {run.about["seed"] for run in by_donor} == {0}
    for run in by_donor:
        parts = run.predictions.groupby(small.groups)["part"].nunique()
        assert (parts == 1).all()
    counts = count_predictions(by_donor)
    assert (counts.sum(1) == 1).all()


def test_recorded_runs_by_donor_count_where_every_fold_has_one(small, monkeypatch):
    first, *_ = tissue_runs.donor_splits(small)
    assert tissue_runs.runs_by_donor([], small, QUICK) == {}  # nothing is recorded of this cohort

    def recorded(recipe, cohort, split, amounts):
        whole = recipe.network != "resnet18" or split.name != first.name
        side = 200 if (recipe.network, split.name) == ("resnet18_se", first.name) else 400
        run = SimpleNamespace(about={"recipe": {"side": side}, "weights": "imagenet"})
        return [run] if whole and recipe.network in ("resnet18", "resnet18_se", "efficientnet_lite0") else []

    monkeypatch.setattr(tissue_runs, "recorded_runs", recorded)
    found = tissue_runs.runs_by_donor([], small, QUICK)
    assert list(found) == ["efficientnet_lite0"], "one fold of ResNet18 is missing, one of SE has other sizes"
    assert len(found["efficientnet_lite0"]) == 3


@pytest.mark.parametrize("variant, validated", [("released", 7), ("section 4.5.2", 0)])
def test_a_page_can_ask_for_another_variant(variant, validated, small):
    one = replace(QUICK, runs=1, copies=1)
    (run,) = tissue_runs.tissue_runs("basic_cnn", small, one, variant=variant)
    assert run.about["recipe"]["variant"] in (variant, f"as {variant}")
    assert run.about["samples"].get("validation", 0) == validated
    (printed,) = tissue_runs.tissue_runs("basic_cnn", small, one)
    assert run.about["key"] != printed.about["key"]
    recipe = Recipe.from_data(run.about["recipe"])
    assert words.training_title(recipe) == f"Training: Basic CNN ({recipe.variant})"
    assert words.training_title(Recipe.from_data(printed.about["recipe"])) == "Training: Basic CNN"
    said = words.curves_words([run])
    assert ("no validation part" in said) == (not validated) and "nan" not in said


@pytest.mark.slow
@pytest.mark.parametrize("network", RECIPES)
def test_a_strong_effect_is_found_in_new_donors(network, strong):
    split = splits_by_donor(strong.labels, strong.groups, np.random.default_rng(0))[0]
    (run,) = tissue_runs.tissue_runs(network, strong, STRONG, split=split)
    counts = run.confusion()
    assert binomtest(int(counts.trace()), int(counts.sum()), 1 / 3, alternative="greater").pvalue < 0.001
