"""A network whose decision depends on a known patch only, in 2-D and 3-D, built and not trained."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

SIDE = {2: 24, 3: 12}
PATCH = {2: 5, 3: 3}
STRIDE = {2: 2, 3: 3}  # volumes are slow: there the patches of occlusion lie side by side, as the truth does
CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


@dataclass(frozen=True)
class Planted:
    """Class 0 is pattern 0 somewhere, class 1 is pattern 1; elsewhere values of the same size, +1 or -1."""

    model: nn.Module
    images: Tensor
    targets: Tensor
    truths: np.ndarray
    areas: np.ndarray
    settings: dict

    def call(self, method, **more):
        return method.bound(**self.settings)(self.model, self.images, self.targets, **more)


class PlantedNet(nn.Module):
    """Matched filter for each pattern, threshold (ReLU), spread over the patch, mean, one score each."""

    def __init__(self, patterns: Tensor):
        super().__init__()
        axes, side = patterns.ndim - 1, patterns.shape[-1]
        filters, spread = (CONVOLUTION[axes](k, 2, side, padding=side // 2) for k in (1, 2))
        filters.weight.data = patterns[:, None].clone()
        filters.bias.data.fill_(-0.7 * side**axes)
        spread.weight.data = torch.eye(2).reshape(2, 2, *[1] * axes) * torch.ones_like(spread.weight)
        spread.bias.data.zero_()
        self.body = nn.ModuleDict(
            {"find": nn.Sequential(filters, nn.ReLU()), "spread": nn.Sequential(spread)}
        )
        self.head = nn.Linear(2, 2)
        self.head.weight.data = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        self.head.bias.data.zero_()

    def forward(self, images: Tensor) -> Tensor:
        found = self.body["spread"](self.body["find"](images))
        return self.head(torch.relu(found).flatten(2).mean(2))


def planted(axes: int) -> Planted:
    rng, count = np.random.default_rng(0), 4
    side, patch = SIDE[axes], PATCH[axes]
    patterns = rng.choice([-1.0, 1.0], (2, *[patch] * axes))
    images = rng.choice([-1.0, 1.0], (count, 1, *[side] * axes))
    targets = np.arange(count) % 2
    truths = np.zeros((count, *[side] * axes), dtype=bool)
    for image, truth, target in zip(images, truths, targets, strict=True):
        corner = rng.integers(1, (side - patch) // STRIDE[axes], axes) * STRIDE[axes]
        place = tuple(slice(start, start + patch) for start in corner)
        image[0][place] = patterns[target]
        truth[place] = True
    # eight areas: the halves of each axis
    areas = sum(2**axis * (index >= side // 2) for axis, index in enumerate(np.indices([side] * axes))) + 1
    model = PlantedNet(torch.tensor(patterns, dtype=torch.float32)).double().eval()
    settings = {"layer": "body.spread", "patch": 3, "stride": STRIDE[axes], "areas": areas, "fill": 0.0}
    return Planted(model, torch.tensor(images), torch.tensor(targets), truths, areas, settings)


@pytest.fixture(params=[2, 3], ids=["2d", "3d"])
def plant(request) -> Planted:
    return planted(request.param)


class Block(nn.Module):
    """Convolution, batch norm and an in-place ReLU, one level down."""

    def __init__(self, axes: int, before: int, after: int, bias: bool, inplace: bool):
        super().__init__()
        self.conv = CONVOLUTION[axes](before, after, 3, padding=1, bias=bias)
        self.norm = BATCH_NORM[axes](after)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


def small_net(axes: int, *, norm: bool = True, bias: bool = True, inplace: bool = False, seed: int = 0):
    """A nested network (two blocks, max and average pooling, dropout, two dense layers), float64, eval."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        blocks = [Block(axes, a, b, bias, inplace) for a, b in pairwise((1, 4, 6))]
        model = nn.Sequential(
            nn.Sequential(blocks[0], MAX_POOL[axes](2)),
            nn.Sequential(nn.Sequential(blocks[1])),
            nn.Sequential(AVERAGE_POOL[axes](2), nn.Flatten(), nn.Dropout(0.5)),
            nn.Linear(6 * 2**axes, 8, bias=bias),
            nn.ReLU(inplace=inplace),
            nn.Linear(8, 3, bias=bias),
        )
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.weight.data.uniform_(0.5, 1.5)
                if norm:
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.5, 1.5)
                    module.bias.data.normal_(0, 0.1)
    return model.double().eval()


@pytest.fixture
def small_network():
    return small_net


@pytest.fixture
def some_images():
    def make(axes: int, count: int = 2, side: int = 8, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn((count, 1, *[side] * axes), generator=generator, dtype=torch.float64)

    return make
