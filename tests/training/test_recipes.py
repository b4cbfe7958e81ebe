"""Recipes against Table 3 as published, and against what the networks say of themselves."""

import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.xia2024.networks import ADDED_NETWORKS, EVERY_NETWORK, TISSUE_NETWORKS
from als_core.studies.xia2024.recipes import RECIPES, RELEASED
from als_core.training.recipe import Recipe, reduced  # , Recipe, reduced


def test_recipes_are_table_3():
    path = repository() / "data" / "published" / "xia2024_table3_hyperparameters.csv"
    printed = pd.read_csv(path).set_index("model").rename(index={"3-layer CNN": "Basic CNN"})
    ours = pd.DataFrame(
        {recipe.name: {column: getattr(recipe, column) for column in printed} for recipe in RECIPES.values()}
    ).T
    pd.testing.assert_frame_equal(
        ours.sort_index(), printed.sort_index(), check_dtype=False, check_names=False
    )


@pytest.mark.parametrize(
    ("recipes", "networks"),
    [(RECIPES, TISSUE_NETWORKS), (RELEASED, TISSUE_NETWORKS), (ADDED_RECIPES, ADDED_NETWORKS)],
    ids=["published", "released", "added"],
)
def test_what_trains_is_what_the_networks_say(recipes, networks):
    assert set(recipes) == set(networks)
    for name, recipe in recipes.items():
        variant = EVERY_NETWORK[name].variants[recipe.variant]
        assert recipe.name == EVERY_NETWORK[name].display
        assert set(recipe.trains) == set(variant.trains)
        stages = {stage for stage, _ in variant.build(classes=3, side=32).stages.named_children()}
        follow = stages - set(recipe.trains) if recipe.batch_norm == "train" else set()
        assert follow == set(variant.active)


def test_a_reduced_recipe_says_so():
    recipe = RECIPES["resnet18"]
    assert recipe.title == "ResNet18 (published)"
    assert reduced(recipe, epochs=8, side=64, copies=1).title == (
        "ResNet18 (published; epochs 8 for 150, side 64 for 400, copies 1 for 10)"
    )
    assert replace(recipe, weight_decay=0.1).title == "ResNet18 (published; weight decay 0.1 for 0.008)"
    assert "trains head for pool+head" in replace(recipe, trains=("head",)).title


def test_more_than_published_is_no_reduction():
    with pytest.raises(RefusedInput) as refused:
        reduced(RECIPES["resnet18"], epochs=151, side=0)
    assert {problem.where for problem in refused.value.problems} == {"epochs", "side"}


@pytest.mark.parametrize("recipe", [RECIPES["resnet18_cbam"], RELEASED["densenet121"]])
def test_a_recipe_survives_json(recipe):
    data = json.loads(json.dumps(recipe.as_data()))
    assert Recipe.from_data(data) == recipe
    del data["precision"]  # written before there was a choice
    assert Recipe.from_data(data) == recipe


def test_a_page_that_shows_results_need_not_import_torch():
    code = "import sys, als_core.training.recipe, als_core.training.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository()).returncode == 0
