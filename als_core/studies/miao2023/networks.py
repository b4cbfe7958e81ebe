"""The three classifiers of Miao et al. 2023 (Section 2.4), by transfer learning on torchvision's networks.

    VGG16         block1-5, pool, head             ResNet50      stem, layer1-4, pool, head
    MobileNetV3   stem, group1-6, last, pool, head

The paper names VGG-16, ResNet-50 and mobile_net_v3, and that they were pre-trained. It leaves open the size
of the last (Large here), what replaces the classifier (a mean over each map and one linear layer here, so
that the three differ in their base alone) and what is trained. Two variants of each, what trains as data:

frozen base   the head alone.
last block    the head and the last block of the base (block5, layer4; group6 and last).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torchvision
from torch import nn

from als_core.models.stages import Backbone, StagedNetwork, seeded, set_trainable
from als_core.refusal import Problem, refuse_if

# index of the first and the last module of each stage in `features`, as torchvision numbers them
_VGG_BLOCKS = {"block1": (0, 4), "block2": (5, 9), "block3": (10, 16), "block4": (17, 23), "block5": (24, 30)}
# one group a resolution and width, as rows of Table 1 of Howard et al. 2019 (arXiv 1905.02244)
_MOBILE_GROUPS = {
    "stem": (0, 0),
    "group1": (1, 1),
    "group2": (2, 3),
    "group3": (4, 6),
    "group4": (7, 10),
    "group5": (11, 12),
    "group6": (13, 15),
    "last": (16, 16),
}


def _feature_renames(groups: Mapping[str, tuple[int, int]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"features.{number}.", f"stages.{name}.{number}.")
        for name, (first, last) in groups.items()
        for number in range(first, last + 1)
    )


VGG16 = Backbone("vgg16", _feature_renames(_VGG_BLOCKS), left_out="classifier.")
RESNET50 = Backbone(
    "resnet50",
    (("conv1.", "stages.stem.conv1."), ("bn1.", "stages.stem.bn1."), ("layer", "stages.layer")),
    left_out="fc.",
)
MOBILENET_V3 = Backbone("mobilenet_v3_large", _feature_renames(_MOBILE_GROUPS), left_out="classifier.")


def _with_head(
    stages: OrderedDict[str, nn.Module], features: int, classes: int, side: int, backbone: Backbone
) -> StagedNetwork:
    stages["pool"] = nn.Sequential(OrderedDict(average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))
    stages["head"] = nn.Linear(features, classes)
    return StagedNetwork(stages, side=side, smallest_side=32, backbone=backbone)


def _grouped(features: nn.Sequential, groups: Mapping[str, tuple[int, int]]) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        (name, nn.Sequential(OrderedDict((str(n), features[n]) for n in range(first, last + 1))))
        for name, (first, last) in groups.items()
    )


def _vgg16(classes: int, side: int) -> StagedNetwork:
    with torch.device("meta"):  # its own classifier, nine tenths of its weights, is never made
        features = torchvision.models.vgg16(weights=None).features
    features.to_empty(device=torch.get_default_device())
    for layer in features:
        if isinstance(layer, nn.Conv2d):  # as torchvision starts it
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    stages = _grouped(features, _VGG_BLOCKS)
    return _with_head(stages, 512, classes, side, VGG16)


def _resnet50(classes: int, side: int) -> StagedNetwork:
    base = torchvision.models.resnet50(weights=None)
    stem = OrderedDict(conv1=base.conv1, bn1=base.bn1, relu=base.relu, maxpool=base.maxpool)
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(stem))
    for number in range(1, 5):
        stages[f"layer{number}"] = getattr(base, f"layer{number}")
    return _with_head(stages, 2048, classes, side, RESNET50)


def _mobilenet_v3(classes: int, side: int) -> StagedNetwork:
    stages = _grouped(torchvision.models.mobilenet_v3_large(weights=None).features, _MOBILE_GROUPS)
    return _with_head(stages, 960, classes, side, MOBILENET_V3)


@dataclass(frozen=True)
class CropNetwork:
    """One classifier: its name in figures, how it is built, what trains in each variant, and its base."""

    display: str
    build: Callable[[int, int], StagedNetwork]
    variants: Mapping[str, tuple[str, ...]]
    backbone: Backbone


def _variants(*last_block: str) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({"frozen base": ("head",), "last block": (*last_block, "head")})


CROP_NETWORKS: Mapping[str, CropNetwork] = MappingProxyType(
    {
        "vgg16": CropNetwork("VGG16", _vgg16, _variants("block5"), VGG16),
        "resnet50": CropNetwork("ResNet50", _resnet50, _variants("layer4"), RESNET50),
        "mobilenet_v3": CropNetwork("MobileNetV3", _mobilenet_v3, _variants("group6", "last"), MOBILENET_V3),
    }
)


def build_crop_network(
    name: str, *, classes: int = 2, side: int = 224, variant: str = "frozen base", seed: int
) -> StagedNetwork:
    """Build one of `CROP_NETWORKS` with initial values drawn from `seed`, its variant's stages trainable.

    classes: number of scores. side: image side in pixels it is meant for; any from 32 is taken. Pretrained
    values are put in afterwards (`als_core.models.weights.load_weights`). The global random state is left as
    it was. Raises RefusedInput with all problems at once.
    """
    problems = []
    if name not in CROP_NETWORKS:
        problems.append(Problem("network", name, f"one of {', '.join(CROP_NETWORKS)}", "Correct the name."))
    if variant not in ("frozen base", "last block"):
        problems.append(Problem("variant", variant, "frozen base or last block", "Correct the name."))
    if classes < 2:
        problems.append(Problem("classes", str(classes), "2 or more", "Give the number of labels."))
    if side < 32:
        problems.append(Problem("side", f"{side} pixels", "32 or more", "Use larger images."))
    refuse_if("building a network", problems)
    with seeded(seed):
        network = CROP_NETWORKS[name].build(classes, side)
    set_trainable(network, CROP_NETWORKS[name].variants[variant])
    return network
