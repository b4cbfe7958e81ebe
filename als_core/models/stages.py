"""A network as a row of named stages: what trains, what is frozen, and where the frozen part ends.

The contract with training and explaining: a network is a module with `stages`, an `nn.Sequential` of
named children, and `forward(images)` is `stages(images)`. What trains is data, a tuple of stage names.
So `stages[:first_live_stage(network)]` is the frozen prefix, computed once per image and cached, and
the rest is what one step of training has to run.

A frozen stage stays in eval mode while the others train. Its batch-norm layers therefore use their
stored statistics and never move them, and its output for an image does not depend on the batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from als_core.refusal import Problem, refuse_if


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each colour, of values 0 to 1: a network gets (value - mean) / sd."""

    mean: tuple[float, float, float]
    sd: tuple[float, float, float]


IMAGENET_SCALING = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What torchvision's weights were trained with (https://docs.pytorch.org/vision/stable/models.html)."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained classifier whose weights, its last layer left out, fill stages of a `StagedNetwork`.

    name : str
        As torchvision's model registry spells it, or as `data/weights.yml` does for other networks.
    renames : tuple of (str, str)
        Prefix of a key of its state dict, and the prefix of the same key here.
    left_out : str
        Prefix of the keys of its own classifier.
    weights : str
        Entry of torchvision's weights enumeration that `imagenet` means; empty where torchvision has none.
    scaling : Scaling
        How pixels are scaled for its weights.
    """

    name: str
    renames: tuple[tuple[str, str], ...]
    left_out: str
    weights: str = "IMAGENET1K_V1"
    scaling: Scaling = IMAGENET_SCALING

    @property
    def imagenet(self) -> WeightsEnum:
        """torchvision's description of the weights: address, file name, preprocessing."""
        return torchvision.models.get_model_weights(self.name)[self.weights]

    @property
    def title(self) -> str:
        """The name as torchvision's classes write it (DenseNet121); for other networks the name itself."""
        return type(self.imagenet).__name__.removesuffix("_Weights") if self.weights else self.name

    def plain(self) -> nn.Module:
        """Build the whole network with its own names and initial values (torchvision's)."""
        return torchvision.models.get_model(self.name, weights=None)

    def shapes(self) -> dict[str, torch.Size]:
        """Return the shape of every tensor of its state dict, the classifier left out."""
        with torch.device("meta"):
            state = self.plain().state_dict()
        return {key: value.shape for key, value in state.items() if not key.startswith(self.left_out)}

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same tensors under the stages' names; tensors of the classifier are left out."""
        renamed = {}
        for key, value in state.items():
            for old, new in self.renames:
                if key.startswith(old):
                    renamed[new + key.removeprefix(old)] = value
        return renamed


class StagedNetwork(nn.Module):
    """Stages run one after another on images (N, 3, H, W), floating point -> class scores (N, classes).

    stages: in order, by name in field terms (stem, layer1, se1, ..., pool, head).
    side: the image side in pixels it was built for. smallest_side: H and W may be anything from here
    on; None where they must be exactly `side`.
    backbone: the torchvision network whose weights fill some stages, or None.
    active: names of stages that are in training mode although no parameter of theirs trains
    (`set_trainable`). The scores are logits: no softmax is applied.
    """

    def __init__(
        self,
        stages: OrderedDict[str, nn.Module],
        *,
        side: int,
        smallest_side: int | None,
        backbone: Backbone | None = None,
    ):
        super().__init__()
        self.stages = nn.Sequential(stages)
        self.side = side
        self.smallest_side = smallest_side
        self.backbone = backbone
        self.active: tuple[str, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes). Raises RefusedInput for images of another kind or size."""
        refuse_wrong_images(self, images)
        return self.stages(images)


def refuse_wrong_images(network: StagedNetwork, images: Tensor) -> None:
    """Raise RefusedInput, with every problem at once, unless `network` can take these images."""
    problems = []
    if not images.is_floating_point():
        remedy = "Scale to 0-1, normalise, and pass float32."
        problems.append(Problem("images", str(images.dtype), "a floating-point type", remedy))
    if images.ndim != 4 or images.shape[1] != 3:
        remedy = "Move the colour channels behind the batch axis."
        problems.append(Problem("images", f"shape {tuple(images.shape)}", "(N, 3, H, W)", remedy))
    else:
        height, width = images.shape[2:]
        found = f"{height} x {width}"
        if network.smallest_side is None and (height, width) != (network.side, network.side):
            expected = f"{network.side} x {network.side}, the size its head was built for"
            remedy = "Resize the images, or build the network with their side."
            problems.append(Problem("image size", found, expected, remedy))
        elif network.smallest_side is not None and min(height, width) < network.smallest_side:
            expected = f"{network.smallest_side} or more pixels on each side"
            problems.append(Problem("image size", found, expected, "Use larger images."))
    refuse_if("images for the network", problems)


def set_trainable(network: nn.Module, trains: Sequence[str], active: Sequence[str] = ()) -> None:
    """Let exactly the stages in `trains` train; freeze all others.

    active: frozen stages that nevertheless run in training mode, so that their batch-norm statistics
    follow the batches and their dropout drops. The paper asks for none; the released code does so.
    Raises RefusedInput for names that are not stages of this network.
    """
    names = [name for name, _ in network.stages.named_children()]
    unknown = [name for name in (*trains, *active) if name not in names]
    refuse_if(
        "what trains in a network",
        [Problem("stage", name, f"one of {', '.join(names)}", "Correct the name.") for name in unknown],
    )
    for name, stage in network.stages.named_children():
        stage.requires_grad_(name in trains)
    network.active = tuple(active)


def live_stages(network: nn.Module) -> tuple[str, ...]:
    """Names of the stages that hold a trainable parameter or are active, in order."""
    return tuple(
        name
        for name, stage in network.stages.named_children()
        if name in network.active or any(parameter.requires_grad for parameter in stage.parameters())
    )


def first_live_stage(network: nn.Module) -> int:
    """Index of the first stage that is not frozen: `stages[:index]` is the frozen prefix.

    The number of stages where everything is frozen.
    """
    live = live_stages(network)
    flags = [name in live for name, _ in network.stages.named_children()]
    return flags.index(True) if live else len(flags)


def train_mode(network: nn.Module) -> nn.Module:
    """Put live stages in training mode and all others in eval mode; return the network.

    Use this in place of `network.train()`, which would let frozen batch-norm statistics move.
    """
    live = live_stages(network)
    network.train()
    for name, stage in network.stages.named_children():
        stage.train(name in live)
    return network


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within, initial values and dropout are drawn from `seed`, on the CPU and on `device` where that is a GPU.

    The global generators are left as they were.
    """
    on_gpu = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=on_gpu):
        # not torch.manual_seed: that would also reseed every GPU
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield
