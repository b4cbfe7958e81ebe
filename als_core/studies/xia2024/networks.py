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

Two variants of each, with what trains as data:

published   section 4.6. "The last two modules" of ResNet18+CBAM are taken as layer3 and layer4, and
            the Basic CNN, which the section does not list, trains whole. No dropout is mentioned.
released    what the released code does (GitHub repository YQ-XiaMLTech/ALS-classification, read, not
            run). ResNet18, DenseNet121 and Miniset-DenseSENet train whole. ResNet18+SE and +CBAM train
            gates and head, while the batch norm of their frozen backbone follows the batches. The Basic
            CNN's head is built after the optimiser and keeps its initial values. All have dropout, and
            Miniset-DenseSENet has no ReLU between its last batch norm and the pooling.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torchvision
from torch import Tensor, nn
from torch.nn import functional

from als_core.models.attention import CBAM, SqueezeExcitation
from als_core.models.stages import StagedNetwork, seeded, set_trainable
from als_core.models.weights import Backbone
from als_core.refusal import Problem, refuse_if

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


def _basic_cnn(classes: int, side: int, dropout: float = 0.0) -> StagedNetwork:
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


def _resnet18(classes: int, side: int, gate: str | None = None, dropout: float = 0.0) -> StagedNetwork:
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


def _densenet121(
    classes: int, side: int, gate: str | None = None, dropout: float = 0.0, last_relu: bool = True
) -> StagedNetwork:
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


@dataclass(frozen=True)
class Variant:
    """One way of building a network and the stages that train in it.

    build(classes=..., side=...) gives the network. trains: stages whose parameters train.
    active: stages that run in training mode although they are frozen (see `set_trainable`).
    """

    build: Callable[..., StagedNetwork]
    trains: tuple[str, ...]
    active: tuple[str, ...] = ()


@dataclass(frozen=True)
class TissueNetwork:
    """One row of Table 1: its name as printed, its variants, and what its printed counts cover.

    counted: the stages that the printed FLOPs and parameters cover, or None for all.
    """

    display: str
    variants: Mapping[str, Variant]
    counted: tuple[str, ...] | None = None


_BLOCKS = ("block1", "block2", "block3")
_RESNET = ("stem", "layer1", "layer2", "layer3", "layer4")
_DENSENET = (
    "stem",
    "block1",
    "transition1",
    "block2",
    "transition2",
    "block3",
    "transition3",
    "block4",
    "norm",
)
_SE = ("se1", "se2", "se3", "se4")
_CBAM = ("cbam1", "cbam2", "cbam3", "cbam4")
_END = ("pool", "head")

TISSUE_NETWORKS: Mapping[str, TissueNetwork] = {
    "basic_cnn": TissueNetwork(
        "Basic CNN",
        {
            "published": Variant(_basic_cnn, trains=(*_BLOCKS, "head")),
            "released": Variant(partial(_basic_cnn, dropout=0.3), trains=_BLOCKS, active=("head",)),
        },
        counted=_BLOCKS,
    ),
    "resnet18": TissueNetwork(
        "ResNet18",
        {
            "published": Variant(_resnet18, trains=_END),
            "released": Variant(partial(_resnet18, dropout=0.8), trains=(*_RESNET, *_END)),
        },
    ),
    "densenet121": TissueNetwork(
        "DenseNet121",
        {
            "published": Variant(_densenet121, trains=_END),
            "released": Variant(partial(_densenet121, dropout=0.9), trains=(*_DENSENET, *_END)),
        },
    ),
    "resnet18_se": TissueNetwork(
        "ResNet18+SE",
        {
            "published": Variant(partial(_resnet18, gate="se"), trains=(*_SE, *_END)),
            "released": Variant(
                partial(_resnet18, gate="se", dropout=0.85), trains=(*_SE, *_END), active=_RESNET
            ),
        },
    ),
    "resnet18_cbam": TissueNetwork(
        "ResNet18+CBAM",
        {
            "published": Variant(partial(_resnet18, gate="cbam"), trains=("layer3", "layer4", *_CBAM, *_END)),
            "released": Variant(
                partial(_resnet18, gate="cbam", dropout=0.85), trains=(*_CBAM, *_END), active=_RESNET
            ),
        },
    ),
    "miniset_densesenet": TissueNetwork(
        "Miniset-DenseSENet",
        {
            "published": Variant(partial(_densenet121, gate="se"), trains=(*_SE[:3], *_END)),
            "released": Variant(
                partial(_densenet121, gate="se", dropout=0.9, last_relu=False),
                trains=(*_DENSENET, *_SE[:3], *_END),
            ),
        },
    ),
}

ADDED_NETWORKS: Mapping[str, TissueNetwork] = {}
"""Networks that are no row of Table 1: a reader's own. The book's page "Add a model" says how."""

EVERY_NETWORK: Mapping[str, TissueNetwork] = {**TISSUE_NETWORKS, **ADDED_NETWORKS}


def build_tissue_network(
    name: str, *, classes: int = 3, side: int = 400, variant: str = "published", seed: int
) -> StagedNetwork:
    """Build one of `EVERY_NETWORK` with initial values drawn from `seed`, its variant's stages trainable.

    classes: number of scores. side: image side in pixels; the Basic CNN then takes no other, the rest
    take any from 32. Pretrained values are put in afterwards (`als_core.models.weights.load_weights`).
    The global random state is left as it was. Raises RefusedInput with all problems at once.
    """
    problems = []
    if name not in EVERY_NETWORK:
        problems.append(Problem("network", name, f"one of {', '.join(EVERY_NETWORK)}", "Correct the name."))
    if variant not in ("published", "released"):
        problems.append(Problem("variant", variant, "published or released", "Correct the name."))
    if classes < 2:
        problems.append(Problem("classes", str(classes), "2 or more", "Give the number of labels."))
    smallest = 8 if name == "basic_cnn" else 32
    if side < smallest:
        problems.append(Problem("side", f"{side} pixels", f"{smallest} or more", "Use larger images."))
    refuse_if("building a network", problems)
    chosen = EVERY_NETWORK[name].variants[variant]
    with seeded(seed):
        network = chosen.build(classes=classes, side=side)
    set_trainable(network, chosen.trains, chosen.active)
    return network
