"""Which other networks print the same costs, against the networks built and counted."""

from __future__ import annotations

from als_core.claims.published import claim_named
from als_core.models.attention import SqueezeExcitation
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.recovered import (
    Gates,
    gate_parameters,
    gates_that_fit,
    gates_tried,
    sides_that_fit,
)


def test_sides_around_the_published_one():
    # 396 prints 8.9G for DenseNet121 and 401 prints 6.1G for ResNet18
    assert sides_that_fit(("resnet18", "densenet121"), (396, 397, 400, 401)) == [397, 400]
    assert sides_that_fit(("basic_cnn",), (395, 396)) == [396]


def test_every_choice_is_tried_once():
    tried = gates_tried({"a": 8, "b": 16}, reductions=(2, 4))
    assert len(tried) == len(set(tried)) == 3 * 2
    assert Gates(("a", "b"), 4) in tried


def test_the_gates_of_the_book_are_among_those_that_fit():
    channels = {"block1": 256, "block2": 512, "block3": 1024}
    ours = Gates(("block1", "block2", "block3"), 16)
    gates = [SqueezeExcitation(size, 16) for size in channels.values()]
    built = sum(parameter.numel() for gate in gates for parameter in gate.parameters())
    assert gate_parameters(ours, channels) == built
    network = build_tissue_network("miniset_densesenet", seed=0)
    total = sum(parameter.numel() for parameter in network.parameters())
    printed = claim_named("xia2024.table1.miniset_densesenet.params").printed
    fit = gates_that_fit(gates_tried(channels), channels, total - built, printed)
    assert ours in fit and Gates(("block3",), 2) not in fit  # 1 048 576 more would print 8.0M
