"""The counts of Table 1 cell by cell, and the counting against thop, torch and a count by hand."""

import copy

import pandas as pd
import pytest
import thop
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from als_core.models.attention import SqueezeExcitation
from als_core.models.cost import Cost, cost, describe, kind
from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.xia2024.build import COUNTED, build_tissue_network
from als_core.studies.xia2024.recipes import OF_PAPER, PRINTED, RECIPES, RELEASED_VARIANT

TABLE_1 = repository() / "data" / "published" / "xia2024_table1_model_cost_accuracy.csv"
PUBLISHED_SHAPE = (1, 3, 400, 400)
EVERY = [(name, variant) for name in OF_PAPER for variant in (PRINTED, RELEASED_VARIANT)]


def as_printed_like(value, printed):
    """`value` with the unit and the number of decimals of `printed`: 1894400000 like 1.9G is 1.9G."""
    unit = printed[-1] if printed[-1] in "GM" else ""
    decimals = len(printed.rstrip("GM").partition(".")[2])
    return f"{value / {'G': 1e9, 'M': 1e6, '': 1}[unit]:.{decimals}f}{unit}"


@pytest.mark.parametrize("name", OF_PAPER)
def test_both_cells_of_table_1_come_out_as_printed(name):
    rows = pd.read_csv(TABLE_1, dtype=str).set_index("model")
    row = rows.loc[RECIPES[name].name]
    network = build_tissue_network(name, seed=0, side=400)
    counted = cost(network, PUBLISHED_SHAPE, stages=COUNTED.get(name))
    assert as_printed_like(counted.published_flops, row["flops_as_printed"]) == row["flops_as_printed"]
    printed = row["parameters_as_printed"]
    assert as_printed_like(counted.parameters_total, printed) == printed


def test_the_registry_has_the_rows_of_table_1():
    printed = pd.read_csv(TABLE_1)["model"].tolist()
    assert [RECIPES[name].name for name in OF_PAPER] == printed


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_counts_are_those_of_thop_and_of_torch(name, variant):
    network = build_tissue_network(name, variant=variant, seed=0, side=64)
    images = torch.zeros(1, 3, 64, 64)
    counted = cost(network, images.shape)
    flops, parameters = thop.profile(copy.deepcopy(network), inputs=(images,), verbose=False)
    assert (counted.published_flops, counted.parameters_total) == (flops, parameters)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(images)
    assert 2 * counted.macs == counter.get_total_flops()


@pytest.mark.parametrize("name", OF_PAPER)
def test_counts_are_those_of_thop_at_the_published_size(name):
    network = build_tissue_network(name, seed=0, side=400)
    counted = cost(network, PUBLISHED_SHAPE, stages=COUNTED.get(name))
    # thop does not see the head that the released Basic CNN builds during its first pass
    whole = network.stages[: len(COUNTED[name])] if name in COUNTED else network
    flops, parameters = thop.profile(whole, inputs=(torch.zeros(PUBLISHED_SHAPE),), verbose=False)
    assert (counted.published_flops, counted.parameters_total) == (flops, parameters)


def test_a_count_by_hand():
    network = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),  # 6 x 4 x 4 outputs of 2 x 9 products
        nn.BatchNorm2d(6),  # 96 inputs
        nn.ReLU(),
        nn.AvgPool2d(2),  # 6 x 2 x 2 outputs
        nn.BatchNorm2d(6, affine=False),  # 24 inputs
        nn.AdaptiveAvgPool2d(1),  # 6 outputs of 4 inputs
        nn.Flatten(),
        nn.Linear(6, 5),  # 5 outputs of 6 products
    )
    network[0].requires_grad_(False)
    products = 96 * 18 + 30
    assert cost(network, (1, 4, 8, 8)) == Cost(
        published_flops=products + 4 * 96 + 24 + 2 * 24 + 6 * (4 + 1),
        macs=products,
        parameters_total=(6 * 2 * 9 + 6) + 12 + 35,
        parameters_trainable=12 + 35,
    )
    assert cost(network, (3, 4, 8, 8)).macs == 3 * products


def test_volumes_are_counted_too():
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2), nn.AvgPool3d(2), nn.AdaptiveAvgPool3d(1))
    flops, parameters = thop.profile(
        copy.deepcopy(network), inputs=(torch.zeros(1, 1, 6, 6, 6),), verbose=False
    )
    counted = cost(network, (1, 1, 6, 6, 6))
    assert (counted.published_flops, counted.parameters_total) == (flops, parameters)


def test_trunk_and_full_counts_of_the_basic_cnn():
    network = build_tissue_network("basic_cnn", seed=0, side=400)
    full = cost(network, PUBLISHED_SHAPE)
    head = cost(network, PUBLISHED_SHAPE, stages=("head",))
    assert (full.published_flops, full.parameters_total) == (1_976_332_950, 82_028_491)
    assert head.parameters_total == 320_000 * 256 + 256 + 256 * 50 + 50 + 50 * 3 + 3
    with pytest.raises(RefusedInput, match="tail"):
        cost(network, PUBLISHED_SHAPE, stages=("tail", "head"))


def test_a_description_says_what_runs_and_adds_up():
    network = build_tissue_network("miniset_densesenet", seed=0, side=64)
    rows = describe(network, (2, 3, 64, 64)).set_index("stage")
    assert list(rows.index) == [name for name, _ in network.stages.named_children()]
    values = torch.zeros(2, 3, 64, 64)
    with torch.inference_mode():
        network.eval()
        for name, stage in network.stages.named_children():
            values = stage(values)
            assert rows.loc[name, "output_shape"] == tuple(values.shape)
    assert rows["parameters"].sum() == 7_128_963
    assert rows.loc[rows["trainable"] > 0].index.tolist() == ["se1", "se2", "se3", "head"]
    assert rows.loc["block2", "kind"] == "12 x dense layer"
    assert rows.loc["se3", "kind"] == "SE gate 1024-64-1024"
    assert rows.loc["pool", "kind"] == "ReLU + global average"
    # a stage describes itself in turn
    gate = describe(network.stages.se1.gate, (1, 256, 16, 16))
    assert gate["stage"].tolist() == ["average", "flatten", "squeeze", "relu", "excite", "sigmoid"]
    assert describe(SqueezeExcitation(32), (1, 32, 4, 4))["stage"].tolist() == ["network"]


def test_words_for_layers():
    assert kind(nn.Conv2d(3, 8, (5, 3), stride=2)) == "5x3 convolution 3-8 stride 2"
    assert kind(nn.Sequential(nn.Dropout(0.25), nn.Linear(4, 2))) == "dropout 0.25 + linear 4-2"


def test_counting_leaves_the_network_as_it_was():
    network = build_tissue_network("resnet18_cbam", seed=0, side=64)
    network.stages.layer1.train()
    network.stages.layer2.eval()
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    cost(network, (1, 3, 64, 64))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(RefusedInput):
        cost(network, (1, 3, 16, 16))
