"""The registry of the tissue study against Table 3 as printed, and what every entry of it must keep."""

import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.xia2024 import recipes
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.recipes import OF_PAPER, RECIPES, RELEASED
from als_core.training.recipe import Recipe, reduced
from als_core.training.train import build_network

EVERY = [*RECIPES.values(), *RELEASED.values()]


def test_the_paper_s_recipes_are_table_3():
    path = repository() / "data" / "published" / "xia2024_table3_hyperparameters.csv"
    printed = pd.read_csv(path).set_index("model").rename(index={"3-layer CNN": "Basic CNN"})
    own = pd.DataFrame(
        {
            RECIPES[name].name: {column: getattr(RECIPES[name], column) for column in printed}
            for name in OF_PAPER
        }
    ).T
    pd.testing.assert_frame_equal(
        own.sort_index(), printed.sort_index(), check_dtype=False, check_names=False
    )


@pytest.mark.parametrize("recipe", EVERY, ids=lambda recipe: recipe.title)
def test_a_recipe_trains_stages_that_its_network_has(recipe):
    network = build_network(replace(recipe, side=64), 3, seed=0)
    stages = {name for name, _ in network.stages.named_children()}
    assert set(recipe.trains) <= stages
    assert set(network.active) == (stages - set(recipe.trains) if recipe.batch_norm == "train" else set())


def test_an_added_network_claims_no_paper():
    added = set(RECIPES) - set(OF_PAPER)
    assert added and all(not RECIPES[name].paper for name in added)


def test_a_reduced_recipe_says_so_and_knows_what_it_was():
    recipe = RECIPES["resnet18"]
    assert recipe.title == "ResNet18 (as printed)"
    smaller = reduced(recipe, epochs=8, side=64, copies=1)
    assert smaller.title == "ResNet18 (as printed; epochs 8 for 150, side 64 for 400, copies 1 for 10)"
    assert smaller.own == recipe and reduced(smaller, epochs=4).own == recipe
    assert reduced(recipe, epochs=150, side=None) == recipe


def test_a_size_above_the_recipe_s_is_refused():
    with pytest.raises(RefusedInput) as refused:
        reduced(RECIPES["resnet18"], epochs=151, side=0)
    assert {problem.where for problem in refused.value.problems} == {"epochs", "side"}
    with pytest.raises(TypeError, match="weight_decay"):
        reduced(RECIPES["resnet18"], weight_decay=1)


@pytest.mark.parametrize(
    "recipe", [RECIPES["resnet18_cbam"], RELEASED["densenet121"], reduced(RECIPES["resnet18"], side=64)]
)
def test_a_recipe_survives_json(recipe):
    data = json.loads(json.dumps(recipe.as_data()))
    assert Recipe.from_data(data) == recipe
    del data["precision"]  # written before there was a choice
    assert Recipe.from_data(data) == recipe


def test_the_network_without_gates_differs_from_miniset_in_gates_alone():
    plain, gated = recipes.without_gates(), RECIPES["miniset_densesenet"]
    same = ("learning_rate", "batch_size", "epochs", "weight_decay", "side", "copies")
    assert [getattr(plain, name) for name in same] == [getattr(gated, name) for name in same]
    assert not plain.options and plain.trains == RECIPES["densenet121"].trains


def test_a_page_that_shows_results_need_not_import_torch():
    code = "import sys, als_core.studies.xia2024.recipes, als_core.training.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository()).returncode == 0


def test_each_variant_of_a_network_is_its_own_recipe():
    found = {name: recipes.variant_of("resnet18", name) for name in recipes.VARIANTS}
    assert len({recipe.title for recipe in found.values()}) == len(recipes.VARIANTS) == 4
    assert found["paper"] == RECIPES["resnet18"] and found["released"] == RELEASED["resnet18"]
    second = found["section 4.5.2"]
    assert (second.batch_size, second.epochs, second.copies, second.checkpoint) == (16, 50, 4, "last epoch")
    assert found["no augmentation"].copies == 1


@pytest.mark.parametrize(
    "network, variant, words",
    [
        ("resnet18", "relesed", "paper, released"),
        ("efficientnet_lite0", "released", "a network of the paper"),
    ],
)
def test_a_variant_that_does_not_exist_is_refused_in_words(network, variant, words):
    with pytest.raises(RefusedInput, match=words):
        recipes.variant_of(network, variant)


def test_a_variant_that_asks_for_less_than_the_profile_gets_less():
    amounts = TissueAmounts(epochs={"resnet18": 100}, batch_size={"resnet18": 32}, copies=1)
    second = amounts.recipe("resnet18", "section 4.5.2")
    assert (second.epochs, second.batch_size, second.copies) == (50, 16, 1)
    assert amounts.recipe("resnet18").epochs == 100
