"""Recomputing only what a patch can reach equals covering the image and running the whole network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from als_core.explain.occlusion import area_effects, occlusion, score_drops
from als_core.explain.receptive_field import as_sequence, bounding_box, plan

SIZES = {2: (23, 21), 3: (15, 14, 13)}


class Opaque(nn.Module):
    """The same network, not recognisable as a sequence: every region runs in full."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images)


def layered(axes: int, inplace: bool = False) -> nn.Sequential:
    """Padding, stride, dilation, groups, and pools that overlap, pad, or leave a remainder."""
    conv, norm, pool = (
        getattr(nn, f"{kind}{axes}d") for kind in ("Conv", "BatchNorm", "MaxPool")
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Sequential(conv(1, 4, 3, padding=1), norm(4), nn.ReLU(inplace), nn.Dropout(0.5)),
            nn.Sequential(conv(4, 4, 3, padding=2, dilation=2, groups=2), nn.LeakyReLU(0.1), pool(3, 2, 1)),
            nn.Sequential(conv(4, 4, (2,) * axes, stride=(1,) * (axes - 1) + (2,)), norm(4), pool(2)),
            nn.Hardswish(inplace),
            nn.Flatten(),
            nn.LazyLinear(3),
        ).double()
        network(torch.zeros(2, 1, *SIZES[axes]).double())
        for module in network.modules():
            if isinstance(module, norm):
                module.running_mean.normal_(0, 0.2)
                module.bias.data.normal_()
    return network.eval()


@pytest.fixture(params=[2, 3], ids=["2d", "3d"])
def case(request):
    axes = request.param
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((2, 1, *SIZES[axes]), generator=generator, dtype=torch.float64)
    return layered(axes, inplace=axes == 2), images, torch.tensor([0, 2])


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_patches_equal_the_full_network(case, score):
    model, images, targets = case
    assert len(as_sequence(model, images[:1]).windows) == 5
    settings = {"patch": 5, "stride": 4, "fill": 0.3, "score": score}
    expected = occlusion(Opaque(model).eval(), images, targets, **settings)
    for batch in (3, 64):
        heatmap = occlusion(model, images, targets, **settings, batch=batch)
        torch.testing.assert_close(heatmap, expected, rtol=1e-9, atol=1e-12)


def test_regions_of_any_size_and_place_equal_the_full_network(case):
    model, images, targets = case
    rng = np.random.default_rng(0)
    regions = [tuple(slice(0, 1) for _ in images.shape[2:]), tuple(slice(0, n) for n in images.shape[2:])]
    for _ in range(30):
        ends = [sorted(rng.integers(0, n, 2)) for n in images.shape[2:]]
        regions.append(tuple(slice(int(low), int(high) + 1) for low, high in ends))
    call = (images, targets, regions, images.mean(0), "logit", 7)
    torch.testing.assert_close(
        score_drops(model, *call), score_drops(Opaque(model).eval(), *call), rtol=1e-9, atol=1e-12
    )


def test_areas_of_any_shape_equal_the_full_network(case):
    model, images, targets = case
    areas = np.random.default_rng(0).integers(0, 3, images.shape[2:])
    areas[:4, :5] = 9
    areas[-1, -1] = 7
    effects = area_effects(model, images, targets, areas=areas, fill=-0.1)
    expected = area_effects(Opaque(model).eval(), images, targets, areas=areas, fill=-0.1)
    torch.testing.assert_close(effects.drops, expected.drops, rtol=1e-9, atol=1e-12)


def test_boxes_by_hand():
    """Convolution 3 wide, padding 1, then a pool of 2, on 9 voxels: voxel 4 reaches 3 to 5, then 1 to 2."""
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2), nn.Flatten()).eval()
    windows = as_sequence(network, torch.randn(1, 1, 9, 9)).windows
    one = (slice(4, 5), slice(4, 5))
    assert windows[0].changed(one, (9, 9)) == (slice(3, 6),) * 2
    assert windows[0].seen((slice(0, 2),) * 2) == (slice(-1, 3),) * 2
    assert windows[1].changed((slice(3, 6),) * 2, (4, 4)) == (slice(1, 3),) * 2
    assert windows[1].changed((slice(8, 9),) * 2, (4, 4)) == (slice(4, 4),) * 2  # the remainder is not seen
    steps, box = plan(windows, one, [(9, 9), (9, 9), (4, 4)])
    assert len(steps) == 2 and box == (slice(1, 3),) * 2
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[2, 3] = mask[4, 3] = True
    assert bounding_box((mask,)) == (slice(2, 5), slice(3, 4))


def test_less_is_computed(case):
    model, images, targets = case
    seen = []
    model[0][1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].numel()))
    assert as_sequence(model, images[:1]) is None  # a hook wants to see every image whole
    settings = {"patch": 5, "stride": 5}
    occlusion(model, images, targets, **settings)
    full, norm = sum(seen), model[0][1]
    norm._forward_pre_hooks.clear()
    seen.clear()
    original = norm.forward
    norm.forward = lambda x: seen.append(x.numel()) or original(x)
    occlusion(model, images, targets, **settings)
    assert sum(seen) < 0.5 * full


def test_what_is_no_plain_sequence_is_left_whole(small_network, some_images):
    image = some_images(2)[:1]
    assert as_sequence(small_network(2), image) is None  # begins with a block of its own kind

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))

        def forward(self, x):
            return self.stages(2 * x)

    assert as_sequence(Scaled().double().eval(), image) is None
    padded = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.Flatten(), nn.Linear(128, 2))
    assert as_sequence(padded.double().eval(), image) is None
