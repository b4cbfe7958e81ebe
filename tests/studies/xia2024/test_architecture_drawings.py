"""Drawings of networks hold what the modules hold."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from drawn_words import assert_words, words

from als_core.claims.published import claim_named
from als_core.models.attention import SqueezeExcitation
from als_core.models.cost import describe
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.figures_networks import (
    as_run_caption,
    compact,
    cost_answer,
    cost_table,
    gate_drawing,
    hyper_parameter_claims,
    hyper_parameters,
    recovered_words,
    settings_that_differ,
    stage_drawing,
    stage_table,
    variants_table,
)
from als_core.studies.xia2024.recipes import OF_PAPER, PRINTED, RECIPES, RELEASED, RELEASED_VARIANT

SHAPE = (1, 3, 64, 64)


@pytest.fixture(scope="module")
def networks():
    described = {}
    with torch.device("meta"):
        for name, variant in product(
            ("resnet18", "resnet18_se", "resnet18_cbam"), (PRINTED, RELEASED_VARIANT)
        ):
            network = build_tissue_network(name, variant=variant, side=64, seed=0)
            stages = describe(network, SHAPE)
            described[name, variant] = stages.assign(active=stages["stage"].isin(network.active))
    return described


def test_every_stage_is_drawn_on_its_row_with_its_parameters(networks):
    drawn = stage_drawing(networks, SHAPE, "Three residual networks, stage by stage.")
    assert_words(drawn)
    said = [word.strip() for word in words(drawn.figure)]
    rows = [word for word in said if word.startswith(("stem", "layer", "se", "pool", "head"))]
    assert rows == ["stem", "layer1", "se1 / cbam1", "layer2", "se2 / cbam2", "layer3", "se3 / cbam3", "layer4",
                    "se4 / cbam4", "pool", "head"]  # fmt: skip
    assert said.count("148 k") == len(networks)  # layer1 of each
    assert said.count("610") == 2 and said.count("512") == 3  # gates: CBAM; SE, and the size after the pool
    assert {"10.5 M", "45.1 k"} <= set(said)  # what trains, by the paper
    assert "frozen, in training mode" in said and "Dashed outlines" in drawn.caption
    assert "resnet18, as printed: stem, layer1" in drawn.alt and "11,178,051 parameters" in drawn.alt


def test_the_gate_is_drawn_from_its_layers():
    shape = (1, 64, 16, 16)
    drawn = gate_drawing(describe(SqueezeExcitation(64).gate, shape), shape, "se1 of a network")
    assert_words(drawn)
    said = words(drawn.figure)
    assert {"global\naverage", "linear\n64-4", "ReLU", "linear\n4-64", "sigmoid"} <= set(said)
    assert said.count("256\nparameters") == 2 and said.count("64 × 16 × 16") == 2


def test_the_table_behind_a_drawing_keeps_every_number(networks):
    table = stage_table(networks)
    totals = table.groupby(["network", "variant"])["parameters"].sum()
    assert totals["resnet18", PRINTED] == totals["resnet18", RELEASED_VARIANT] == 11_178_051
    assert table["output_shape"].iloc[0] == "64 × 16 × 16"


def test_counts_in_few_characters():
    counts = {512: "512", 9_536: "9,536", 33_280: "33.3 k", 147_968: "148 k", 2_099_712: "2.10 M", 9_212_459_008: "9.21 G"}  # fmt: skip
    assert {count: compact(count) for count in counts} == counts


def test_settings_that_differ_name_the_networks_they_hold_for():
    table = settings_that_differ(RECIPES, RELEASED).set_index("Setting")
    assert table.loc["flip"].tolist() == ["no", "yes", "all"]
    assert table.loc["weight decay"].tolist() == ["0.001", "0", "Basic CNN"]
    assert not {"trains", "variant", "name", "epochs"} & set(table.index)
    assert settings_that_differ(RECIPES, {name: RECIPES[name] for name in OF_PAPER}).empty


def test_costs_are_listed_for_all_stages_and_for_those_that_the_paper_counts(networks):
    rows = cost_table(networks, {"resnet18_se": ("stem", "layer1")}).set_index("Network")
    assert rows.loc["resnet18", "Parameters"] == "11,178,051"
    stages = networks["resnet18_se", PRINTED].set_index("stage")
    assert (
        rows.loc["resnet18_se, stages the paper counts", "Parameters"]
        == f"{stages['parameters'][:2].sum():,}"
    )


def test_variants_say_what_trains(networks):
    rows = variants_table(networks).set_index("Network")
    assert rows.loc["resnet18", ["Trains (as printed)", "Trains (as released)"]].tolist() == [
        "head",
        "everything",
    ]
    assert rows.loc["resnet18", ["Dropout (as printed)", "Dropout (as released)"]].tolist() == ["none", "0.8"]


def test_the_sizes_are_those_of_runs_trained_here_beside_recorded_ones():
    caption = as_run_caption(3, 2, True)
    assert caption.startswith("Sizes of the runs trained on these pages: 3 classes, 2 runs of each network.")
    assert caption.endswith("Recorded runs are shown instead where there are any.")
    assert as_run_caption(2, 1, False).endswith("2 classes, 1 run of each network.")


def test_hyper_parameters_and_their_claims_agree():
    recipes = {name: RECIPES[name] for name in OF_PAPER}
    rows, claims = hyper_parameters(recipes.values()), hyper_parameter_claims(recipes)
    assert rows["Epochs"].tolist() == [
        claims[name] for name in claims if "table3" in name and "epochs" in name
    ]
    assert claims["xia2024.section4_5_2.training.epochs"] == 200
    of_densenet = rows.set_index("Network").loc["DenseNet121"]
    assert (of_densenet["Learning rate"], of_densenet["Weight decay"]) == ("0.00008", "0.08")


@pytest.mark.parametrize("fits", [True, False])
def test_what_is_recovered_is_said_as_such(fits):
    printed = claim_named("xia2024.table1.miniset_densesenet.params").printed
    text = recovered_words([397, 398], 8, 1275, 244, fits, 6_958_723, printed)
    assert (
        "397 and 398 print" in text
        and "does not print 7.1M" in text
        and "1,275 combinations 244 print" in text
    )
    assert ("transitions that reduce 4 times among them" in text) == fits


@pytest.mark.parametrize(("agreeing", "start"), [(12, "All 12 costs"), (11, "11 of 12 costs")])
def test_the_answer_counts_agreeing_costs(agreeing, start):
    answer = cost_answer(agreeing, 12, 244)
    assert answer["found"].startswith(start) and "244 arrangements" in answer["how_sure"]
