"""Pretrained weights as a named input: `imagenet`, a name of `data/weights.yml`, `random`, or the path of a state dict.

imagenet   ImageNet weights of the network, by the first of these that can be had: torchvision's own, from its cache
           or downloaded into it; a file of `data/weights.yml` in the folder named by ALS_WEIGHTS; a file that a
           Python package holds. `available_weights` says which, and why. Never replaced silently.
random     initial values of the same network drawn from a seed of their own, then its batch-norm statistics
           measured on given images. Like ImageNet weights, they are the same for every run of a recipe.
a path     `.pt`, `.pth` or `.safetensors`: a whole staged network, or a backbone with its own keys.

Every file is checked: torchvision's against the SHA-256 prefix in its name, the others against `data/weights.yml`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from als_core.models.stages import Backbone, StagedNetwork, seeded
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import content_key, file_digest, read_yaml, repository

CALIBRATION_BATCH = 16
CALIBRATION_IMAGES = 48
"""More measure nothing better: an image of 400 x 400 has 169 places in the last maps of a ResNet."""
DOWNLOAD_TIMEOUT_S = 20.0
TORCHVISION, RANDOM = "imagenet", "random"


@dataclass(frozen=True)
class NamedWeights:
    """An entry of `data/weights.yml`, or of a `weights.yml` in the folder named by ALS_WEIGHTS.

    name : str
    backbone : str
        `Backbone.name` of the networks it fits.
    file : str
        In the folder named by ALS_WEIGHTS or, where `package` is given, in that Python package.
    sha256, training, architecture, source, licence : str
        What the file is; pages show it.
    left_out : tuple of str
        Prefixes of keys that the backbone does not have.
    """

    name: str
    backbone: str
    file: str
    sha256: str
    training: str
    architecture: str
    source: str
    licence: str
    package: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """One sentence for the page: architecture, training, source."""
        return f"{self.architecture}, {self.training} ({self.source}; {self.licence})."

    def path(self) -> Path | None:
        """Where the file is on this machine, checked against its SHA-256; None where it is not here.

        Raises
        ------
        RefusedInput
            For a file of another SHA-256.
        """
        folder = _package_folder(self.package) if self.package else weights_folder()
        file = folder / self.file if folder else None
        if file is None or not file.is_file():
            return None
        if (digest := _digest_of_file(file)) != self.sha256:
            found = f"a file whose SHA-256 starts with {digest[:8]}"
            remedy = f"Replace it by the file from {self.source}."
            problem = Problem(str(file), found, f"SHA-256 {self.sha256[:8]}...", remedy)
            raise RefusedInput(f"weights {self.name}", [problem])
        return file


@dataclass(frozen=True)
class WeightsChoice:
    """Which weights will be used (`imagenet`, a name, `random` or a path), and one sentence saying why."""

    name: str
    reason: str


@dataclass(frozen=True)
class LoadedWeights:
    """Weights in a network: their name, one sentence for the page, a digest and the names of their tensors."""

    name: str
    sentence: str
    digest: str
    covered: frozenset[str]


def weights_folder() -> Path | None:
    """Return the folder named by ALS_WEIGHTS, or None. Raises FileNotFoundError where it does not exist."""
    named = os.environ.get("ALS_WEIGHTS")
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"ALS_WEIGHTS={named}: no such folder; unset it or point it at the weights")
    return folder


def named_weights() -> dict[str, NamedWeights]:
    """Return every entry of `data/weights.yml`, then those of the user's own `weights.yml`, by name.

    Raises
    ------
    RefusedInput
        For entries of the user's file that lack a field, with all of them at once.
    """
    files = [repository() / "data/weights.yml"]
    if folder := weights_folder():
        files.append(folder / "weights.yml")
    entries, problems = {}, []
    for file in filter(Path.is_file, files):
        for name, fields in (read_yaml(file) or {}).items():
            fields = {**fields, "left_out": tuple(fields.get("left_out", ()))}
            try:
                entries[name] = NamedWeights(name, **fields)
            except TypeError as error:
                expected = "backbone, file, sha256, training, architecture, source, licence"
                problems.append(Problem(f"{file.name}, {name}", str(error), expected, "Complete the entry."))
    refuse_if("weights.yml", problems)
    return entries


def imagenet_names(backbone: Backbone | None) -> tuple[str, ...]:
    """Return the names of every ImageNet training a backbone could start from, the preferred one first."""
    if backbone is None:
        return ()
    named = (name for name, entry in named_weights().items() if entry.backbone == backbone.name)
    return (*([TORCHVISION] if backbone.weights else []), *named)


def available_weights(
    preferred: str, backbone: Backbone | None, fallback: str | None = None
) -> WeightsChoice:
    """Decide which weights a network can have here, and say why. Loads nothing.

    Parameters
    ----------
    preferred : str
        `imagenet`, a name of `data/weights.yml`, `random` or a path.
    backbone : Backbone or None
        None means that no pretrained weights exist for the network: `imagenet` then comes out as `random`.
    fallback : None or "random"
        "random" does without ImageNet weights that cannot be had.

    Raises
    ------
    RefusedInput
        For weights that cannot be had. A path or a name that does not lead to a file is always refused.
    """
    if fallback not in (None, RANDOM):
        raise ValueError(f"fallback={fallback!r}: expected None or 'random'")
    if preferred == RANDOM:
        return WeightsChoice(RANDOM, "Random weights were asked for.")
    if preferred in (entries := named_weights()):
        refuse_if(f"weights {preferred}", _absent(entries[preferred]))
        return WeightsChoice(preferred, entries[preferred].sentence)
    if preferred != TORCHVISION:
        refuse_if(f"weights {preferred}", _file_problems(Path(preferred)))
        return WeightsChoice(preferred, "This file was asked for.")
    if backbone is None:
        reason = "No pretrained weights exist for this network; it starts from the seed of the run."
        return WeightsChoice(RANDOM, reason)
    refusal: RefusedInput | None = None
    for name in imagenet_names(backbone):
        if name == TORCHVISION:
            try:
                file = imagenet_file(backbone)
            except RefusedInput as failure:
                refusal = failure
                continue
            reason = f"The ImageNet weights of {backbone.title} from torchvision ({file.name}) are available."
            return WeightsChoice(TORCHVISION, reason)
        if entries[name].path():
            return WeightsChoice(name, entries[name].sentence)
    if fallback is None:
        raise refusal or RefusedInput(f"ImageNet weights of {backbone.name}", _absent_backbone(backbone))
    if refusal:
        found = "; ".join(problem.found.partition(" (")[0] for problem in refusal.problems)
    else:
        found = "data/weights.yml names no file of them that is here"
    said = f"ImageNet weights of {backbone.title} could not be had when this page was built: {found}."
    return WeightsChoice(RANDOM, said)


def load_weights(
    network: StagedNetwork, name: str, *, seed: int = 0, images: Tensor | None = None
) -> LoadedWeights:
    """Put weights into `network` in place. Tensors they do not cover (gates, head) keep their values.

    Parameters
    ----------
    network : StagedNetwork
        One without a backbone takes `random`, which leaves it as it was built, or a path.
    name : str
        `imagenet` (torchvision's), a name of `data/weights.yml`, `random` or a path.
    seed : int
        Of `random`: the backbone's initial values, the same for all runs of a recipe.
    images : Tensor, floating point (N, 3, H, W)
        Of `random`: training images, normalised, on which batch-norm statistics are measured.

    Raises
    ------
    RefusedInput
        With every problem at once; the network is then unchanged.
    """
    backbone = network.backbone
    if name == RANDOM:
        if backbone is None:
            sentence = "No pretrained weights: all initial values are drawn from the seed of the run."
            return LoadedWeights(name, sentence, state_dict_digest(network.state_dict()), frozenset())
        state = backbone.renamed(random_backbone(backbone, seed=seed, images=images))
        sentence = (
            f"{backbone.name} with random weights (seed {seed}), its batch-norm statistics measured on "
            f"{min(len(images), CALIBRATION_IMAGES)} training images; not pretrained on anything."
        )
    elif name == TORCHVISION:
        if backbone is None or not backbone.weights:
            remedy = "Ask for random weights, or for the name that available_weights gives."
            problem = Problem("weights", "imagenet", "weights that torchvision has for this network", remedy)
            raise RefusedInput("weights of a network without torchvision's", [problem])
        file = imagenet_file(backbone)
        state = _modern_keys(backbone.imagenet.get_state_dict(map_location="cpu", weights_only=True))
        refuse_if(f"weights {file.name}", _shape_errors(state, backbone.shapes(), (backbone.left_out,)))
        state = backbone.renamed(state)
        sentence = f"{backbone.name} pretrained on ImageNet ({backbone.weights} of torchvision, {file.name})."
    elif name in (entries := named_weights()):
        entry = entries[name]
        refuse_if(f"weights {name}", _absent(entry))
        state = _fitting_state(entry.path(), network, entry.left_out)
        sentence = entry.sentence
    else:
        state = _fitting_state(Path(name), network)
        sentence = f"Weights from the file {Path(name).name}."
    network.load_state_dict({**network.state_dict(), **state})
    return LoadedWeights(name, sentence, state_dict_digest(state), frozenset(state))


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
            found = f"no file of them, and the download failed ({failure})"
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

    images: (N, 3, H, W), floating point, N >= 2, on the device where the pass is to run; at most
    `CALIBRATION_IMAGES` of them are used, evenly spread over their order.
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
        network = backbone.plain().to(images.device)
        count = min(len(images), CALIBRATION_IMAGES)
        calibrate_batch_norm(network, images[torch.arange(count) * len(images) // count])
    return {key: value.cpu() for key, value in network.state_dict().items()}


def calibrate_batch_norm(network: nn.Module, images: Tensor) -> None:
    """Measure the statistics of every batch-norm layer on `images` in one pass, in place.

    Running mean and variance become the plain average over batches of (nearly) equal size, at most
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


def _fitting_state(path: Path, network: StagedNetwork, left_out: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The tensors of a file under the stages' names, once all of them are known to fit; `left_out` is not read."""
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
        state = {key: value for key, value in _modern_keys(state).items() if not key.startswith(left_out)}
        refuse_if(subject, _shape_errors(state, backbone.shapes(), (backbone.left_out,)))
        return backbone.renamed(state)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    refuse_if(subject, _shape_errors(state, shapes))
    return dict(state)


def _shape_errors(
    state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], left_out: tuple[str, ...] = ()
) -> list[Problem]:
    """Every key that is missing, unknown or of another shape. Keys that start with one of `left_out` are free."""
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
        if key not in shapes and not key.startswith(tuple(filter(None, left_out))):
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


def state_dict_digest(state: Mapping[str, Tensor]) -> str:
    """Digest of named tensors, whatever their order."""
    parts = [part for key in sorted(state) for part in (key, state[key].detach().cpu().numpy())]
    return content_key(*parts)


@cache
def _digest_of_file(file: Path) -> str:
    """SHA-256 of a file of weights, which does not change while a process runs."""
    return file_digest(file)


def _package_folder(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found else None


def _absent(entry: NamedWeights) -> list[Problem]:
    if entry.path():
        return []
    place = f"package {entry.package}" if entry.package else "the folder named by ALS_WEIGHTS"
    remedy = f"Get it from {entry.source}, or ask for other weights."
    return [Problem(entry.file, f"no such file in {place}", "the file", remedy)]


def _absent_backbone(backbone: Backbone) -> list[Problem]:
    return [
        problem
        for entry in named_weights().values()
        if entry.backbone == backbone.name
        for problem in _absent(entry)
    ]
