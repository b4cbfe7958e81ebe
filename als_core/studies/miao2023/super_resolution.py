"""Super-resolution: a residual generator with pixel-shuffle, its discriminator, and how both are trained.

Miao et al. (Section 1.5) used a generative adversarial network without saying which; layers, loss, sizes and
results are not printed. These follow SRGAN (Ledig et al. 2017, arXiv 1609.04802, Fig. 4), made small enough
for a laptop and for 39 crops:

generator       conv, residual blocks, a skip around them, one pixel-shuffle for each doubling, conv; its
                output is added to the bicubic enlargement. No batch norm (Lim et al. 2017, arXiv 1707.02921,
                found it to harm). The last layer starts at zero, so an untrained generator is bicubic.
discriminator   strided convolutions with leaky ReLU, a mean over the map and a linear layer: one score per
                image, high where the image looks true.

Training (Sections 2.2.3 and 2.2.4): low-resolution images come from down-sampling with noise, and the
generator learns the way back. It is first trained on content (mean squared error, which is what PSNR
measures). Then it is copied: one copy continues on content, the other also has to pass the discriminator, so
that the adversarial term can be separated from longer training. A perceptual term joins it where pretrained
VGG16 weights are available.

Images are grey, (N, 1, H, W), floating point, 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from als_core.models.stages import IMAGENET_SCALING, seeded
from als_core.models.weights import load_weights
from als_core.refusal import Problem, refuse_if
from als_core.studies.miao2023.filters import enlarge, low_resolution, require_grey8
from als_core.studies.miao2023.networks import build_crop_network
from als_core.studies.miao2023.protocol import SuperResolution
from als_core.studies.miao2023.restoration import REFERENCE

FACTORS = (2, 4)
TERMS = ("content", "adversarial", "perceptual", "discriminator")
"""Losses by step, unweighted; the columns of a history."""
LAST_RATE = 0.1
"""Share of the learning rate that is left when the two generators part."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a PReLU between them, added to what came in."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.body(maps)


class Generator(nn.Module):
    """Enlarges images (N, 1, H, W) to (N, 1, factor H, factor W). Values are not clipped."""

    def __init__(self, factor: int, channels: int, blocks: int):
        super().__init__()
        self.factor = factor
        self.entry = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.PReLU(channels))
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        doubling = (
            layer
            for _ in range(int(math.log2(factor)))
            for layer in (
                nn.Conv2d(channels, 4 * channels, 3, padding=1),
                nn.PixelShuffle(2),
                nn.PReLU(channels),
            )
        )
        self.enlarge = nn.Sequential(*doubling)
        self.exit = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Raises RefusedInput for images of another kind."""
        refuse_not_grey(images)
        maps = self.entry(images)  # (N, C, H, W)
        maps = self.enlarge(maps + self.blocks(maps))  # (N, C, factor H, factor W)
        return self.exit(maps) + bicubic(images, self.factor)


class Discriminator(nn.Module):
    """Scores images (N, 1, H, W): logits (N,), above 0 where an image is taken for a true one."""

    def __init__(self, channels: int):
        super().__init__()
        widths = (1, channels, 2 * channels, 4 * channels)
        self.body = nn.Sequential(
            *(
                layer
                for inputs, outputs in pairwise(widths)
                for layer in (nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.2))
            )
        )
        self.head = nn.Linear(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Raises RefusedInput for images of another kind."""
        refuse_not_grey(images)
        return self.head(self.body(images).mean((2, 3))).squeeze(1)


def bicubic(images: Tensor, factor: int) -> Tensor:
    """Enlarge images (N, C, H, W) by `factor` with bicubic interpolation, not clipped."""
    return functional.interpolate(images, scale_factor=factor, mode="bicubic", align_corners=False)


def build_generator(factor: int, *, channels: int, blocks: int, seed: int) -> Generator:
    """Build a generator with initial values drawn from `seed`; the global random state is left as it was.

    factor: 2 or 4. channels: width of every layer. blocks: residual blocks. Raises RefusedInput.
    """
    problems = []
    if factor not in FACTORS:
        problems.append(Problem("factor", str(factor), "2 or 4", "Choose one of them."))
    for name, value in (("channels", channels), ("blocks", blocks)):
        if value < 1:
            problems.append(Problem(name, str(value), "1 or more", "Choose a larger number."))
    refuse_if("building a generator", problems)
    with seeded(seed):
        return Generator(factor, channels, blocks)


def build_discriminator(*, channels: int, seed: int) -> Discriminator:
    """Build a discriminator with initial values drawn from `seed`; the global random state is unchanged."""
    problem = Problem("channels", str(channels), "1 or more", "Choose a larger number.")
    refuse_if("building a discriminator", [problem] if channels < 1 else [])
    with seeded(seed):
        return Discriminator(channels)


def refuse_not_grey(images: Tensor) -> None:
    """Raise RefusedInput, with every problem at once, unless images are floating point (N, 1, H, W)."""
    problems = []
    if not images.is_floating_point():
        problems.append(Problem("images", str(images.dtype), "a floating-point type", "Scale them to 0-1."))
    if images.ndim != 4 or images.shape[1] != 1:
        found = f"shape {tuple(images.shape)}"
        problems.append(Problem("images", found, "(N, 1, H, W)", "Pass one grey channel."))
    refuse_if("images for super-resolution", problems)


def as_images(values: Tensor) -> Tensor:
    """Return grey values (N, 1, H, W), 0 to 1, as uint8 (N, H, W)."""
    return values.squeeze(1).clamp(0, 1).mul(255).round().to(torch.uint8)


class Pairs(NamedTuple):
    """Low-resolution images, uint8 (n, h, w), and their targets, uint8 (n, factor h, factor w)."""

    low: np.ndarray
    high: np.ndarray


class Generators(NamedTuple):
    """The two generators, both after the same number of steps, and the losses of every step.

    history: columns step (from 1), generator (`both` while they are one, then `content` or `adversarial`),
    content, adversarial, perceptual and discriminator (unweighted terms; NaN where a term is not used).
    """

    content: Generator
    adversarial: Generator
    history: pd.DataFrame


def make_pairs(crops: np.ndarray, truth: np.ndarray, settings: SuperResolution, seed: int) -> Pairs:
    """Reduce each crop, add noise, and pair it with its truth.

    crops, truth: uint8 (n, H, W), sides divisible by the factor; where no truth is known, pass the crops
    twice. The noise of a crop does not depend on the others. Raises ValueError for other images.
    """
    if crops.shape != truth.shape:
        raise ValueError(f"crops of {crops.shape} and truth of {truth.shape} do not pair")
    low = [
        low_resolution(crop, settings.factor, np.random.default_rng([seed, row]), noise_sd=settings.noise_sd)
        for row, crop in enumerate(crops)
    ]
    return Pairs(np.stack(low), truth)


def perceptual_network(weights: str) -> nn.Module:
    """Load VGG16 up to its third block with these weights (`imagenet` or a path), frozen.

    It maps images (N, 1, H, W), 0 to 1. Raises RefusedInput for random weights: their maps mean nothing.
    """
    problem = Problem("weights", weights, "pretrained weights", "Train without the perceptual term.")
    refuse_if("A perceptual loss", [problem] if weights == "random" else [])
    network = build_crop_network("vgg16", seed=0)
    load_weights(network, weights)
    return Perceptual(network.stages[:3])


class Perceptual(nn.Module):
    """Feeds grey images (N, 1, H, W), 0 to 1, to `stages`: three equal channels, scaled as ImageNet's."""

    def __init__(self, stages: nn.Sequential):
        super().__init__()
        self.stages = stages.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        mean, sd = (
            images.new_tensor(each)[:, None, None] for each in (IMAGENET_SCALING.mean, IMAGENET_SCALING.sd)
        )
        return self.stages((images - mean) / sd)


def train_super_resolution(
    pairs: Pairs,
    train: Sequence[int],
    settings: SuperResolution,
    seed: int,
    *,
    perceptual: nn.Module | None = None,
    device: torch.device | None = None,
    on_content: bool = True,
) -> Generators:
    """Train a generator on content, then one copy of it on content and one with a discriminator as well.

    train : rows of the pairs; no other row is read
    seed : of initial values and patches
    perceptual : see `perceptual_network`; its term joins the adversarial one
    on_content : False leaves the first copy as it was when the second one was made

    Both generators come back on the CPU in eval mode. Raises RefusedInput for pairs that do not fit the
    settings, and RuntimeError where a loss is not finite.
    """
    refuse_if("Training super-resolution", _problems(pairs, train, settings))
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    patches = _Patches(pairs, np.asarray(train), settings, seed, device)
    sizes = {"channels": settings.channels, "blocks": settings.blocks}
    lying = {"device": device, "memory_format": torch.channels_last}  # a quarter faster on a CPU
    content = build_generator(settings.factor, **sizes, seed=seed).to(**lying)
    rows = _train(content, patches, settings, "both")
    adversarial, same_patches = deepcopy(content), deepcopy(patches)
    if on_content:
        rows += _train(content, patches, settings, "content")
    discriminator = build_discriminator(channels=settings.channels, seed=seed).to(**lying)
    perceptual = perceptual.to(device) if perceptual is not None else None
    rows += _train(adversarial, same_patches, settings, "adversarial", discriminator, perceptual)
    return Generators(content.cpu().eval(), adversarial.cpu().eval(), pd.DataFrame(rows))


@torch.inference_mode()
def apply_generator(generator: Generator, low: np.ndarray) -> np.ndarray:
    """Enlarge low-resolution images uint8 (n, h, w) with the generator, uint8 (n, H, W)."""
    for image in low[:1]:
        require_grey8(image)
    outputs = [as_images(generator(_as_tensor(image[None]))) for image in low]
    return torch.cat(outputs).numpy()


def enlargements(
    pairs: Pairs, rows: Sequence[int], factor: int, trained: Generators
) -> dict[str, np.ndarray]:
    """Enlarge rows of the pairs by every method; return uint8 (rows, H, W) by name."""
    low = pairs.low[np.asarray(rows)]
    plain = {name: np.stack([enlarge(each, factor, name) for each in low]) for name in ("nearest", REFERENCE)}
    return plain | {
        "content": apply_generator(trained.content, low),
        "adversarial": apply_generator(trained.adversarial, low),
    }


def _problems(pairs: Pairs, train: Sequence[int], settings: SuperResolution) -> list[Problem]:
    problems = []
    height, width = pairs.low.shape[1:]
    if pairs.high.shape[1:] != (settings.factor * height, settings.factor * width):
        found = f"{pairs.low.shape[1:]} and {pairs.high.shape[1:]} pixels"
        problems.append(Problem("pairs", found, f"a factor of {settings.factor}", "Make the pairs with it."))
    if not 1 <= settings.patch <= min(height, width):
        expected = f"1 to {min(height, width)}"
        problems.append(Problem("patch", str(settings.patch), expected, "Choose a smaller patch."))
    if not len(train):
        problems.append(Problem("train", "no rows", "at least one pair", "Give rows to train on."))
    return problems


class _Patches:
    """Random patches of the training pairs, rotated and mirrored, drawn from their own random generator."""

    def __init__(
        self, pairs: Pairs, train: np.ndarray, settings: SuperResolution, seed: int, device: torch.device
    ):
        self.low, self.high = (_as_tensor(each[train]).to(device) for each in pairs)
        self.settings, self.generator = settings, torch.Generator().manual_seed(seed)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Draw one batch: (batch, 1, patch, patch) and (batch, 1, factor patch, factor patch)."""
        size, factor = self.settings.patch, self.settings.factor
        lows, highs = [], []
        for _ in range(self.settings.batch):
            row, top, left = (
                int(torch.randint(limit, (1,), generator=self.generator))
                for limit in (len(self.low), *(side - size + 1 for side in self.low.shape[2:]))
            )
            turns, mirror = (int(torch.randint(n, (1,), generator=self.generator)) for n in (4, 2))
            for source, kept, f in ((self.low, lows, 1), (self.high, highs, factor)):
                patch = source[row, :, f * top : f * (top + size), f * left : f * (left + size)]
                patch = torch.rot90(patch, turns, (1, 2))
                kept.append(patch.flip(2) if mirror else patch)
        return torch.stack(lows), torch.stack(highs)


def _train(
    generator: Generator,
    patches: _Patches,
    settings: SuperResolution,
    phase: str,
    discriminator: nn.Module | None = None,
    perceptual: Callable[[Tensor], Tensor] | None = None,
) -> list[dict]:
    """Train for one phase, `both`, `content` or `adversarial`; the last needs a discriminator.

    Return its losses.
    """
    first = phase == "both"
    steps, done = (settings.content_steps, 0) if first else (settings.further_steps, settings.content_steps)
    last_rate = LAST_RATE * settings.learning_rate
    optimizer = torch.optim.Adam(
        generator.parameters(), lr=settings.learning_rate if first else last_rate, fused=True
    )
    cosine = (
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1), last_rate) if first else None
    )
    if discriminator is not None:
        # the discriminator starts untrained, so it learns at the full rate
        opponent = torch.optim.Adam(discriminator.parameters(), lr=settings.learning_rate, fused=True)
    rows = []
    for step in tqdm(
        range(done + 1, done + steps + 1), f"super-resolution, {phase}", unit="step", disable=None
    ):
        low, high = patches.draw()
        made = generator(low)
        terms = {"content": functional.mse_loss(made, high)}
        loss = terms["content"]
        if discriminator is not None:
            true = _discriminator_loss(discriminator(high), True)
            terms["discriminator"] = (true + _discriminator_loss(discriminator(made.detach()), False)) / 2
            _descend(opponent, terms["discriminator"])
            terms["adversarial"] = _discriminator_loss(discriminator(made), True)
            loss = loss + settings.adversarial * terms["adversarial"]
            if perceptual is not None:
                terms["perceptual"] = functional.mse_loss(perceptual(made), perceptual(high))
                loss = loss + settings.perceptual * terms["perceptual"]
        _descend(optimizer, loss)
        if cosine is not None:
            cosine.step()
        rows.append(
            {"step": step, "generator": phase} | {n: terms[n].item() if n in terms else np.nan for n in TERMS}
        )
    return rows


def _discriminator_loss(scores: Tensor, true: bool) -> Tensor:
    """Cross-entropy of the discriminator's scores with "all images true" or "no image true"."""
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(true)))


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    if not torch.isfinite(loss):
        raise RuntimeError("a loss of super-resolution is not finite; lower the learning rate")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _as_tensor(images: np.ndarray) -> Tensor:
    """uint8 (n, H, W) as (n, 1, H, W), 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(images)).float().div(255).unsqueeze(1)
