"""The three classifiers of Miao et al. 2023 (Section 2.4) on torchvision's networks, and what they cost.

    VGG16         block1-5, pool, head             ResNet50      stem, layer1-4, pool, head
    MobileNetV3   stem, group1-6, last, pool, head

The paper names VGG-16, ResNet-50 and mobile_net_v3, and that they were pre-trained. It leaves open the size
of the last (Large here), what replaces the classifier (a mean over each map and one linear layer here, so
that the three differ in their base alone) and what is trained. Three variants of each:

frozen base   the head alone
last block    the head and the last block of the base (block5, layer4; group6 and last)
all layers    every stage: full fine-tuning, which section 1.5 may mean by "fine-tune"

Section 1.5 names training time, memory and inference time; only the wall times in the logs of Fig. 10 and
12 are printed. Times here are medians after a warm-up, on the machine that runs this. Memory is the peak of
all tensors, parameters included, counted as they are made and freed: it does not depend on the machine, and
leaves out the work space inside single operations.
"""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from als_core.models.cost import cost
from als_core.models.stages import Backbone, StagedNetwork, seeded, set_trainable, train_mode
from als_core.refusal import Problem, refuse_if

VARIANTS = ("frozen base", "last block", "all layers")
MIB = 2**20

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


def _variants(*blocks: str, last: int = 1) -> Mapping[str, tuple[str, ...]]:
    """What trains in each variant of a base of these blocks, of which `last` count as the last block."""
    trains = (("head",), (*blocks[-last:], "head"), (*blocks, "head"))
    return MappingProxyType(dict(zip(VARIANTS, trains, strict=True)))


_LAYERS = ("stem", "layer1", "layer2", "layer3", "layer4")
CROP_NETWORKS: Mapping[str, CropNetwork] = MappingProxyType(
    {
        "vgg16": CropNetwork("VGG16", _vgg16, _variants(*_VGG_BLOCKS), VGG16),
        "resnet50": CropNetwork("ResNet50", _resnet50, _variants(*_LAYERS), RESNET50),
        "mobilenet_v3": CropNetwork(
            "MobileNetV3", _mobilenet_v3, _variants(*_MOBILE_GROUPS, last=2), MOBILENET_V3
        ),
    }
)


def build_crop_network(
    name: str, *, classes: int = 2, side: int = 224, variant: str = "frozen base", seed: int
) -> StagedNetwork:
    """Build one of `CROP_NETWORKS` with initial values drawn from `seed`, its variant's stages trainable.

    classes : number of scores
    side : image side in pixels it is meant for; any from 32 is taken
    variant : one of `VARIANTS`

    Load pretrained values afterwards (`als_core.models.weights.load_weights`). The global random state is
    left as it was. Raises RefusedInput with all problems at once.
    """
    problems = []
    if name not in CROP_NETWORKS:
        problems.append(Problem("network", name, f"one of {', '.join(CROP_NETWORKS)}", "Correct the name."))
    if variant not in VARIANTS:
        problems.append(Problem("variant", variant, f"one of {', '.join(VARIANTS)}", "Correct the name."))
    if classes < 2:
        problems.append(Problem("classes", str(classes), "2 or more", "Give the number of labels."))
    if side < 32:
        problems.append(Problem("side", f"{side} pixels", "32 or more", "Use larger images."))
    refuse_if("building a network", problems)
    with seeded(seed):
        network = CROP_NETWORKS[name].build(classes, side)
    set_trainable(network, CROP_NETWORKS[name].variants[variant])
    return network


def measure_cost(
    name: str,
    *,
    side: int,
    batch: int,
    variant: str = "frozen base",
    repeats: int = 5,
    device: torch.device | None = None,
) -> pd.Series:
    """Measure the cost of one of `CROP_NETWORKS` on images of `side` pixels.

    Entries: network, variant, parameters, trainable, macs (multiply-accumulates of one image), inference_ms
    (one image), step_ms (one step of training on `batch` images through the whole network), inference_mib and
    step_mib (their peak memory).
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_crop_network(name, side=side, variant=variant, seed=0).to(device)
    counted = cost(network, (1, 3, side, side))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, side, side, generator=generator).to(device)
    labels = (torch.arange(batch) % 2).to(device)

    @torch.inference_mode()
    def infer() -> None:
        network(images[:1])

    network.eval()
    inference_ms, inference_mib = _milliseconds(infer, repeats, device), _peak_mib(infer, network)
    optimizer = torch.optim.Adam([each for each in network.parameters() if each.requires_grad])

    def step() -> None:
        loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    train_mode(network)
    # memory first: the first step allocates the optimiser's state
    step_mib = _peak_mib(step, network)
    return pd.Series(
        {
            "network": CROP_NETWORKS[name].display,
            "variant": variant,
            "parameters": counted.parameters_total,
            "trainable": counted.parameters_trainable,
            "macs": counted.macs,
            "inference_ms": inference_ms,
            "step_ms": _milliseconds(step, repeats, device),
            "inference_mib": inference_mib,
            "step_mib": step_mib,
        }
    )


def cost_table(costs: pd.DataFrame, steps: int) -> pd.DataFrame:
    """Name the costs for people. costs: rows of `measure_cost`; steps: of a whole training."""
    columns = {
        "network": "Network", "variant": "Part trained", "parameters": "Parameters (millions)",
        "trainable": "Parameters trained", "macs": "Multiply-adds (millions)",
        "inference_ms": "One image (ms)",
        "minutes": "Training (minutes)", "inference_mib": "Memory, one image (MiB)",
        "step_mib": "Memory, training (MiB)",
    }  # fmt: skip
    millions = costs[["parameters", "macs"]] / 1e6
    # the part trained does not change inference: one time per network
    inference = costs.groupby("network")["inference_ms"].transform("median")
    minutes = costs["step_ms"] * steps / 60_000
    table = costs.assign(inference_ms=inference, minutes=minutes, **millions)[list(columns)]
    table["variant"] = table["variant"].replace("frozen base", "head")
    times = ["inference_ms", "minutes"]  # vary between runs: two digits
    for column in table.columns.difference(["network", "variant", "trainable", *times]):
        table[column] = table[column].map(lambda value: float(f"{value:.3g}"))
    table[times] = table[times].map(lambda value: f"{float(f'{value:.2g}'):g}")
    table["trainable"] = table["trainable"].map("{:,.0f}".format)
    return table.rename(columns=columns)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensor storages made within: alive (`now`), and the most at once (`peak`)."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.see(leaf)
        return result

    def see(self, tensor: Tensor) -> None:
        """Count the storage of a tensor once."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._seen:
            self._seen.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def _peak_mib(work: Callable[[], None], network: nn.Module) -> float:
    with LiveBytes() as counter:
        for tensor in (*network.parameters(), *network.buffers()):
            counter.see(tensor)
        work()
    return counter.peak / MIB


def _milliseconds(work: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Median time of `work` after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times[1:]))
