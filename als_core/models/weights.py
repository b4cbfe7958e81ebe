"""Pretrained weights as a named input: `imagenet`, `random`, or the path of a state dict.

imagenet   torchvision's own weights, from its cache or downloaded into it, checked against the SHA-256
           prefix that their file name carries. Never replaced silently: a caller that may do without
           them says so with `available_weights(..., fallback="random")` and is told which was taken.
random     initial values of the same torchvision network drawn from a seed of their own, then its
           batch-norm statistics measured on given images. Like ImageNet weights, they are the same for
           every run of a recipe, whatever the run's seed.
a path     `.pt`, `.pth` or `.safetensors`: a whole network of ours, or a torchvision backbone.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torchvision.models import WeightsEnum

from als_core.models.stages import StagedNetwork, seeded
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import content_key, file_digest

CALIBRATION_BATCH = 16
DOWNLOAD_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Backbone:
    """A torchvision classifier whose weights, its last layer left out, fill stages of a `StagedNetwork`.

    name: as torchvision's model registry spells it. renames: prefix of a key of its state dict, and
    the prefix of the same key in ours. left_out: prefix of the keys of its own classifier.
    weights: the entry of torchvision's weights enumeration that `imagenet` means.
    """

    name: str
    renames: tuple[tuple[str, str], ...]
    left_out: str
    weights: str = "IMAGENET1K_V1"

    @property
    def imagenet(self) -> WeightsEnum:
        """torchvision's description of the weights: address, file name, preprocessing."""
        return torchvision.models.get_model_weights(self.name)[self.weights]

    def shapes(self) -> dict[str, torch.Size]:
        """Shape of every tensor of the torchvision network's state dict, its classifier left out."""
        with torch.device("meta"):
            state = torchvision.models.get_model(self.name, weights=None).state_dict()
        return {key: value.shape for key, value in state.items() if not key.startswith(self.left_out)}

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same tensors under our names; what belongs to the classifier is left out."""
        ours = {}
        for key, value in state.items():
            for old, new in self.renames:
                if key.startswith(old):
                    ours[new + key.removeprefix(old)] = value
        return ours


@dataclass(frozen=True)
class WeightsChoice:
    """Which weights will be used, by name (`imagenet`, `random` or a path), and one sentence saying why."""

    name: str
    reason: str


@dataclass(frozen=True)
class LoadedWeights:
    """What was put into a network: its name, one sentence for the page, a digest of the tensors, their names."""

    name: str
    sentence: str
    digest: str
    covered: frozenset[str]


def available_weights(
    preferred: str, backbone: Backbone | None, fallback: str | None = None
) -> WeightsChoice:
    """Decide which weights a network can have here, and say why; nothing is loaded.

    preferred: `imagenet`, `random` or a path. backbone: the network's; None means that no pretrained
    weights exist for it, so that `imagenet` comes out as `random` with that reason.
    fallback: None, or "random" to do without ImageNet weights that cannot be had.
    A path that is not there is always refused. Downloads the ImageNet weights if need be.
    Raises RefusedInput.
    """
    if fallback not in (None, "random"):
        raise ValueError(f"fallback={fallback!r}: expected None or 'random'")
    if preferred == "random":
        return WeightsChoice("random", "Random weights were asked for.")
    if preferred != "imagenet":
        refuse_if(f"weights {preferred}", _file_problems(Path(preferred)))
        return WeightsChoice(preferred, "This file was asked for.")
    if backbone is None:
        reason = "No pretrained weights exist for this network; it starts from the seed of the run."
        return WeightsChoice("random", reason)
    try:
        file = imagenet_file(backbone)
    except RefusedInput as refusal:
        if fallback is None:
            raise
        found = "; ".join(problem.found.partition(" (")[0] for problem in refusal.problems)
        return WeightsChoice("random", f"No ImageNet weights of {backbone.name} here: {found}.")
    return WeightsChoice("imagenet", f"The ImageNet weights of {backbone.name} ({file.name}) are available.")


def load_weights(
    network: StagedNetwork, name: str, *, seed: int = 0, images: Tensor | None = None
) -> LoadedWeights:
    """Put weights into `network` in place; what they do not cover (gates, head) keeps its values.

    name: `imagenet`, `random` or a path. seed and images are read by `random` only: the seed of the
    backbone's initial values, the same for all runs of a recipe, and the training images
    (N, 3, H, W), floating point, normalised as the network gets them, on which batch-norm statistics
    are measured. A network without a backbone takes `random`, which leaves it as it was built, or a path.
    Raises RefusedInput with every problem at once, and then leaves the network unchanged.
    """
    backbone = network.backbone
    if name == "random":
        if backbone is None:
            sentence = "No pretrained weights: all initial values are drawn from the seed of the run."
            return LoadedWeights(name, sentence, _digest(network.state_dict()), frozenset())
        state = backbone.renamed(random_backbone(backbone, seed=seed, images=images))
        sentence = (
            f"{backbone.name} with random weights (seed {seed}), its batch-norm statistics measured on "
            f"{len(images)} training images; not pretrained on anything."
        )
    elif name == "imagenet":
        if backbone is None:
            remedy = "Ask for random weights, or for what available_weights gives."
            problem = Problem("weights", "imagenet", "weights that exist for this network", remedy)
            raise RefusedInput("weights of a network without a backbone", [problem])
        file = imagenet_file(backbone)
        state = _modern_keys(backbone.imagenet.get_state_dict(map_location="cpu", weights_only=True))
        refuse_if(f"weights {file.name}", _shape_errors(state, backbone.shapes(), backbone.left_out))
        state = backbone.renamed(state)
        sentence = f"{backbone.name} pretrained on ImageNet ({backbone.weights} of torchvision, {file.name})."
    else:
        state = _fitting_state(Path(name), network)
        sentence = f"Weights from the file {Path(name).name}."
    network.load_state_dict({**network.state_dict(), **state})
    return LoadedWeights(name, sentence, _digest(state), frozenset(state))


def imagenet_file(backbone: Backbone) -> Path:
    """Path of torchvision's ImageNet weights in its cache, downloaded if not there, SHA-256 checked.

    The cache is `checkpoints` under `torch.hub.get_dir()`, which TORCH_HOME moves. torchvision checks
    the SHA-256 prefix in the file's name at download only; here a cached file is checked as well.
    Raises RefusedInput where it cannot be had or is not what its name says.
    """
    url = backbone.imagenet.url
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    prefix = torch.hub.HASH_REGEX.search(file.name).group(1)
    subject = f"ImageNet weights of {backbone.name}"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        patience = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # urlopen has no other way to be impatient here
        try:
            torch.hub.download_url_to_file(url, str(file), hash_prefix=prefix)
        except (OSError, RuntimeError) as failure:  # no network, or a wrong SHA-256
            remedy = (
                f"Download {url} where there is a network and put it there, set TORCH_HOME to a cache "
                "that has it, or ask for weights 'random' or a path."
            )
            found = f"no such file, and the download failed ({failure})"
            raise RefusedInput(subject, [Problem(str(file), found, "the file", remedy)]) from failure
        finally:
            socket.setdefaulttimeout(patience)
    digest = file_digest(file)
    if not digest.startswith(prefix):
        found = f"a file whose SHA-256 starts with {digest[: len(prefix)]}"
        problem = Problem(str(file), found, f"SHA-256 {prefix}...", "Delete it; it will be downloaded again.")
        raise RefusedInput(subject, [problem])
    return file


def random_backbone(backbone: Backbone, *, seed: int, images: Tensor | None) -> dict[str, Tensor]:
    """State dict of the torchvision network with seeded initial values, calibrated on `images`.

    images: (N, 3, H, W), floating point, N >= 2, on the device where the pass is to run.
    The plain backbone is calibrated, without the gates of the network it goes into, as the statistics
    of ImageNet weights are; so ResNet18 and its variants share one. Raises RefusedInput.
    """
    problems = []
    if images is None or images.ndim != 4 or images.shape[1] != 3 or len(images) < 2:
        found = "no images" if images is None else f"images of shape {tuple(images.shape)}"
        remedy = "Pass the training images: batch-norm statistics of random weights are measured on them."
        problems.append(Problem("images", found, "two or more, (N, 3, H, W)", remedy))
    refuse_if(f"random weights of {backbone.name}", problems)
    with seeded(seed):
        network = torchvision.models.get_model(backbone.name, weights=None).to(images.device)
        calibrate_batch_norm(network, images)
    return {key: value.cpu() for key, value in network.state_dict().items()}


def calibrate_batch_norm(network: nn.Module, images: Tensor) -> None:
    """Measure the statistics of every batch-norm layer on `images` in one pass, in place.

    TrainableTail mean and variance become the plain average over batches of (nearly) equal size, at most
    16 images each, every layer seeing what the layers before it give in training mode.
    """
    batches = images.tensor_split(ceil(len(images) / CALIBRATION_BATCH))
    with torch.no_grad():
        update_bn(batches, network)


def _file_problems(path: Path) -> list[Problem]:
    if path.suffix not in (".pt", ".pth", ".safetensors"):
        remedy = "Name imagenet, random, or such a file."
        return [Problem(str(path), "another kind of name", "a .pt, .pth or .safetensors file", remedy)]
    if not path.is_file():
        return [Problem(str(path), "no such file", "a state dict", "Correct the path.")]
    return []


def _fitting_state(path: Path, network: StagedNetwork) -> dict[str, Tensor]:
    """The tensors of a file under our names, once all of them are known to fit."""
    subject = f"weights {path}"
    refuse_if(subject, _file_problems(path))
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as failure:  # on damaged files torch raises nearly every kind there is
        remedy = "Save `network.state_dict()` of tensors only, with torch.save or safetensors."
        found = f"a file that cannot be read as tensors ({type(failure).__name__})"
        raise RefusedInput(subject, [Problem(path.name, found, "a state dict", remedy)]) from failure
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        remedy = "Save `network.state_dict()` itself, not a dictionary around it."
        problem = Problem(path.name, "something other than named tensors", "a state dict", remedy)
        raise RefusedInput(subject, [problem])
    refuse_if(subject, _no_numbers(state))
    backbone = network.backbone
    if backbone is not None and not any(key.startswith("stages.") for key in state):
        state = _modern_keys(state)
        refuse_if(subject, _shape_errors(state, backbone.shapes(), backbone.left_out))
        return backbone.renamed(state)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    refuse_if(subject, _shape_errors(state, shapes))
    return dict(state)


def _shape_errors(
    state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], left_out: str | None = None
) -> list[Problem]:
    """Every key that is missing, unknown or of another shape. Keys that start with `left_out` are free."""
    remedy = "Use the weights of this network, of the same variant, number of classes and image side."
    problems = []
    for key, shape in shapes.items():
        if key not in state:
            # the counter of batches is not in files from before it existed, and nothing here reads it
            if not key.endswith("num_batches_tracked"):
                problems.append(Problem(key, "nothing", f"a tensor of shape {tuple(shape)}", remedy))
        elif state[key].shape != shape:
            found = f"shape {tuple(state[key].shape)}"
            problems.append(Problem(key, found, f"shape {tuple(shape)}", remedy))
    for key, value in state.items():
        if key not in shapes and not (left_out and key.startswith(left_out)):
            problems.append(Problem(key, f"a tensor of shape {tuple(value.shape)}", "no such key", remedy))
    return problems


def _no_numbers(state: Mapping[str, Tensor]) -> list[Problem]:
    """Every tensor that is not made of finite real numbers, one beside the other in memory."""
    problems = []
    for key, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            found = f"a {str(value.layout).removeprefix('torch.')} tensor of {value.dtype}"
            problems.append(Problem(key, found, "a dense tensor of real numbers", "Save it as such."))
        elif not value.isfinite().all():
            found = f"{int((~value.isfinite()).sum())} values that are no finite numbers"
            problems.append(
                Problem(key, found, "finite numbers", "Use weights of a training that did not diverge.")
            )
    return problems


def _modern_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's DenseNet files spell `norm.1` what its code has long spelled `norm1`."""
    return {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)\.", r"\1\2.", key): value
        for key, value in state.items()
    }


def _digest(state: Mapping[str, Tensor]) -> str:
    parts = [part for key in sorted(state) for part in (key, state[key].detach().cpu().numpy())]
    return content_key(*parts)
