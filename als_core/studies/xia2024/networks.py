"""The six networks of the tissue study, each as the paper describes it and as the released code runs it.

Xia et al. 2024, sections 4.5 and 4.6, Fig. 6 and Table 1. The paper prints neither widths nor
reduction ratios; the configurations here are recovered from the twelve cells of Table 1, which they
reproduce to the printed precision, and agree with the released code. They are not unique: other
places for the SE gates give the same counts.

    Basic CNN            block1-3, head                       a convolution, batch norm, ReLU, max pool each
    ResNet18             stem, layer1-4, pool, head           torchvision, a biased linear head
    ResNet18+SE          ... layer1, se1, ..., layer4, se4    SE after each stage
    ResNet18+CBAM        ... layer1, cbam1, ..., cbam4        CBAM after each stage
    DenseNet121          stem, block1, transition1, ...       torchvision, a biased linear head
                         block4, norm, pool, head
    Miniset-DenseSENet   ... block1, se1, transition1, ...    SE after dense blocks 1-3, before each transition

What trains, and how, is in `recipes`. As released, all six have dropout, and Miniset-DenseSENet has no ReLU between
its last batch norm and the pooling.
"""

from __future__ import annotations

from collections import OrderedDict

import torchvision
from torch import Tensor, nn
from torch.nn import functional

from als_core.models.attention import CBAM, SqueezeExcitation
from als_core.models.stages import Backbone, StagedNetwork
from als_core.refusal import Problem, RefusedInput

RESNET18 = Backbone(
    name="resnet18",
    renames=(("conv1.", "stages.stem.conv1."), ("bn1.", "stages.stem.bn1."), ("layer", "stages.layer")),
    left_out="fc.",
)
DENSENET121 = Backbone(
    name="densenet121",
    renames=(
        ("features.conv0.", "stages.stem.conv0."),
        ("features.norm0.", "stages.stem.norm0."),
        ("features.denseblock", "stages.block"),
        ("features.transition", "stages.transition"),
        ("features.norm5.", "stages.norm."),
    ),
    left_out="classifier.",
)
GATES = {"se": SqueezeExcitation, "cbam": CBAM}


class GlobalAverage(nn.Module):
    """Mean over each map, (N, C, H, W) -> (N, C), by a function call as in torchvision's DenseNet.

    The published FLOPs convention counts pooling layers and does not see this one.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(maps, 1).flatten(1)


def _linear_head(features: int, classes: int, dropout: float) -> nn.Module:
    linear = nn.Linear(features, classes)
    return nn.Sequential(OrderedDict(dropout=nn.Dropout(dropout), linear=linear)) if dropout else linear


def basic_cnn(classes: int, side: int, dropout: float = 0.0) -> StagedNetwork:
    """Build the Basic CNN. dropout: rate after each block and hidden layer."""
    smallest = 8  # three pools of two leave one place
    if side < smallest:
        problem = Problem("side", f"{side} pixels", f"{smallest} or more", "Use larger images.")
        raise RefusedInput("building a network", [problem])
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, outputs, kernel) in enumerate([(3, 32, 5), (32, 64, 3), (64, 128, 3)], 1):
        layers = OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
            norm=nn.BatchNorm2d(outputs),
            relu=nn.ReLU(),
            pool=nn.MaxPool2d(2),
        )
        if dropout:
            layers["dropout"] = nn.Dropout(dropout)
        stages[f"block{number}"] = nn.Sequential(layers)
    widths = (128 * (side // 8) ** 2, 256, 50, classes)  # 320 000 at the published 400 pixels
    head: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number in (1, 2, 3):
        head[f"linear{number}"] = nn.Linear(widths[number - 1], widths[number])
        if number < 3:
            head[f"relu{number}"] = nn.ReLU()
            if dropout:
                head[f"dropout{number}"] = nn.Dropout(dropout)
    stages["head"] = nn.Sequential(head)
    return StagedNetwork(stages, side=side, smallest_side=None)


def resnet18(classes: int, side: int, gate: str | None = None, dropout: float = 0.0) -> StagedNetwork:
    """Build ResNet18. gate: `se` or `cbam` after each of the four layers. dropout: rate before the head."""
    backbone = torchvision.models.resnet18(weights=None)
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            OrderedDict(conv1=backbone.conv1, bn1=backbone.bn1, relu=backbone.relu, maxpool=backbone.maxpool)
        )
    )
    for number, channels in enumerate((64, 128, 256, 512), 1):
        stages[f"layer{number}"] = getattr(backbone, f"layer{number}")
        if gate:
            stages[f"{gate}{number}"] = GATES[gate](channels)
    stages["pool"] = nn.Sequential(OrderedDict(average=backbone.avgpool, flatten=nn.Flatten()))
    stages["head"] = _linear_head(512, classes, dropout)
    return StagedNetwork(stages, side=side, smallest_side=32, backbone=RESNET18)


def densenet121(
    classes: int, side: int, gate: str | None = None, dropout: float = 0.0, last_relu: bool = True
) -> StagedNetwork:
    """Build DenseNet121. gate: `se` after dense blocks 1 to 3. dropout: rate before the head."""
    features = torchvision.models.densenet121(weights=None).features
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            OrderedDict((name, features.get_submodule(name)) for name in ("conv0", "norm0", "relu0", "pool0"))
        )
    )
    for number, channels in enumerate((256, 512, 1024), 1):
        stages[f"block{number}"] = features.get_submodule(f"denseblock{number}")
        if gate:
            stages[f"{gate}{number}"] = GATES[gate](channels)
        stages[f"transition{number}"] = features.get_submodule(f"transition{number}")
    stages["block4"] = features.denseblock4
    stages["norm"] = features.norm5
    average: OrderedDict[str, nn.Module] = OrderedDict(average=GlobalAverage())
    stages["pool"] = nn.Sequential(OrderedDict(relu=nn.ReLU(), **average) if last_relu else average)
    stages["head"] = _linear_head(1024, classes, dropout)
    return StagedNetwork(stages, side=side, smallest_side=32, backbone=DENSENET121)
