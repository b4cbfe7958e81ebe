"""Measure an occlusion map of one brain volume: one forward pass a position, batched, and by receptive field.

`python -m benchmarks.occlusion WAY SIDE PATCH` prints the cost as JSON; `ordinary` is one pass a position, and `equality`
prints how far the two others are from it. The network is that of the slides (Panagiotaras), its small variant.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import Tensor, nn

from als_core.explain.occlusion import occlusion
from als_core.studies.brains.networks import panagiotaras_network
from benchmarks import ordinary
from benchmarks.measuring import cost

WAYS = ("batched", "receptive field")


class Opaque(nn.Module):
    """A network that does not show that it is a plain sequence, so that every position runs whole, in batches."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, volumes: Tensor) -> Tensor:
        return self.network(volumes)


def occlusion_map(way: str, network: nn.Module, volume: Tensor, patch: int) -> Tensor:
    """Compute the map of a volume (1, 1, X, Y, Z), one value a voxel."""
    if way == "ordinary":
        found = torch.from_numpy(ordinary.occlude(network, volume, 0, patch)).float()
        for axis in range(3):
            found = found.repeat_interleave(patch, axis)
        return found
    model = network if way == "receptive field" else Opaque(network).eval()
    return occlusion(model, volume, 0, patch=patch).reshape(volume.shape[2:])


def main(way: str, side: int, patch: int) -> dict[str, Any]:
    """Measure one way, or compare all of them, on a random volume (side, side + patch, side)."""
    torch.set_num_threads(1)
    shape = (side, side + patch, side)
    network = panagiotaras_network(shape, "small", seed=0).eval()
    volume = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    if way != "equality":
        network(volume)  # not measured: the first pass of a process
        return {"cost": cost(lambda: occlusion_map(way, network, volume, patch))}
    plain = occlusion_map("ordinary", network, volume, patch)
    others = {each: occlusion_map(each, network, volume, patch) for each in WAYS}
    return {each: ((map_ - plain).abs().max() / plain.abs().max()).item() for each, map_ in others.items()}


if __name__ == "__main__":
    way, side, patch = sys.argv[1:]
    print(json.dumps(main(way, int(side), int(patch))))
