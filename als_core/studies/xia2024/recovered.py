"""What Table 1 of Xia 2024 leaves open: other networks that print the same costs.

The widths, gates and image side of the networks in `als_core.studies.xia2024.networks` were recovered from the printed
costs, and are not the only ones that give them. What fits is counted here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations, product
from typing import NamedTuple

import torch

from als_core.claims.printed import Printed, agrees_as_printed
from als_core.claims.published import claim_named
from als_core.models.cost import cost
from als_core.studies.xia2024.build import COUNTED, build_tissue_network

REDUCTIONS = (2, 4, 8, 16, 32)


class Gates(NamedTuple):
    """Stages that a squeeze-and-excitation gate follows, and the reduction inside all of them."""

    after: tuple[str, ...]
    reduction: int


def sides_that_fit(networks: Sequence[str], sides: Iterable[int]) -> list[int]:
    """Image sides, in pixels, at which all of these networks print their FLOPs of Table 1."""
    return [side for side in sides if all(_flops_fit(name, side) for name in networks)]


def gates_tried(channels: Mapping[str, int], reductions: Sequence[int] = REDUCTIONS) -> list[Gates]:
    """Every choice of at least one of these stages with every reduction. channels: of a stage's output."""
    choices = chain.from_iterable(combinations(channels, size) for size in range(1, len(channels) + 1))
    return [Gates(after, reduction) for after, reduction in product(choices, reductions)]


def gate_parameters(gates: Gates, channels: Mapping[str, int]) -> int:
    """Parameters of two linear layers without bias, C to C // r and back, after each of the stages."""
    return sum(2 * channels[stage] * (channels[stage] // gates.reduction) for stage in gates.after)


def gates_that_fit(
    tried: Iterable[Gates], channels: Mapping[str, int], without: int, printed: Printed
) -> list[Gates]:
    """Those that bring a network of `without` parameters to the printed number."""
    return [
        gates for gates in tried if agrees_as_printed(without + gate_parameters(gates, channels), printed)
    ]


def _flops_fit(name: str, side: int) -> bool:
    with torch.device("meta"):  # shapes without values: counting needs no more
        network = build_tissue_network(name, side=side, seed=0)
    counted = cost(network, (1, 3, side, side), COUNTED.get(name))
    return agrees_as_printed(counted.published_flops, claim_named(f"xia2024.table1.{name}.flops").printed)
