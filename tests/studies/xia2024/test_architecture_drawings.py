"""Drawings of networks hold what the modules hold."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from matplotlib.text import Text

from als_core.figures.style import SMALLEST_TEXT
from als_core.models.attention import SqueezeExcitation
from als_core.models.cost import describe
from als_core.studies.xia2024.figures_networks import (
    compact,
    gate_drawing,
    settings_that_differ,
    stage_drawing,
    stage_table,
)
from als_core.studies.xia2024.networks import build_tissue_network
from als_core.studies.xia2024.recipes import RECIPES, RELEASED

SHAPE = (1, 3, 64, 64)


@pytest.fixture(scope="module")
def networks():
    described = {}
    with torch.device("meta"):
        for name, variant in product(("resnet18", "resnet18_se", "resnet18_cbam"), ("published", "released")):
            network = build_tissue_network(name, variant=variant, side=64, seed=0)
            stages = describe(network, SHAPE)
            described[name, variant] = stages.assign(active=stages["stage"].isin(network.active))
    return described


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text()]


def test_every_stage_is_drawn_on_its_row_with_its_parameters(networks):
    figure = stage_drawing(networks, SHAPE)
    words = [text.get_text().strip() for text in texts(figure)]
    rows = [word for word in words if word.startswith(("stem", "layer", "se", "pool", "head"))]
    assert rows == ["stem", "layer1", "se1 / cbam1", "layer2", "se2 / cbam2", "layer3", "se3 / cbam3", "layer4",
                    "se4 / cbam4", "pool", "head"]  # fmt: skip
    assert words.count("148 k") == len(networks)  # layer1 of each
    assert words.count("610") == 2 and words.count("512") == 3  # gates: CBAM; SE, and the size after the pool
    assert {"10.5 M", "45.1 k"} <= set(words)  # what trains, by the paper
    assert "frozen, in training mode" in words
    assert min(text.get_fontsize() for text in texts(figure)) >= SMALLEST_TEXT


def test_the_gate_is_drawn_from_its_layers():
    shape = (1, 64, 16, 16)
    figure = gate_drawing(describe(SqueezeExcitation(64).gate, shape), shape)
    words = [text.get_text() for text in texts(figure)]
    assert {"global\naverage", "linear\n64-4", "ReLU", "linear\n4-64", "sigmoid"} <= set(words)
    assert words.count("256\nparameters") == 2 and words.count("64 × 16 × 16") == 2
    assert min(text.get_fontsize() for text in texts(figure)) >= SMALLEST_TEXT


def test_the_table_behind_a_drawing_keeps_every_number(networks):
    table = stage_table(networks)
    totals = table.groupby(["network", "variant"])["parameters"].sum()
    assert totals["resnet18", "published"] == totals["resnet18", "released"] == 11_178_051
    assert table["output_shape"].iloc[0] == "64 × 16 × 16"


def test_counts_in_few_characters():
    counts = {512: "512", 9_536: "9,536", 33_280: "33.3 k", 147_968: "148 k", 2_099_712: "2.10 M", 9_212_459_008: "9.21 G"}  # fmt: skip
    assert {count: compact(count) for count in counts} == counts


def test_settings_that_differ_name_the_networks_they_hold_for():
    table = settings_that_differ(RECIPES, RELEASED).set_index("Setting")
    assert table.loc["flip"].tolist() == ["no", "yes", "all"]
    assert table.loc["weight decay"].tolist() == ["0.001", "0", "Basic CNN"]
    assert not {"trains", "variant", "name", "epochs"} & set(table.index)
    assert settings_that_differ(RECIPES, RECIPES).empty
