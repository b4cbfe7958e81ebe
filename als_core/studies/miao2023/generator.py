"""The super-resolution network: a residual generator with pixel-shuffle, and its discriminator.

Miao et al. (Section 1.5) used a generative adversarial network without saying which. These follow SRGAN
(Ledig et al. 2017, arXiv 1609.04802, Fig. 4), made small enough for a laptop and for 39 crops:

generator       conv, residual blocks, a skip around them, one pixel-shuffle for each doubling, conv; what it
                gives is added to the bicubic enlargement. No batch norm (Lim et al. 2017, arXiv 1707.02921,
                found it to harm). Its last layer starts at zero, so an untrained generator is bicubic.
discriminator   strided convolutions with leaky ReLU, a mean over the map and a linear layer: one score an
                image, high where it takes it for a true one.

Images are grey, (N, 1, H, W), floating point, 0 to 1.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from als_core.models.stages import seeded
from als_core.refusal import Problem, refuse_if

FACTORS = (2, 4)


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
    """Low-resolution images (N, 1, H, W) -> (N, 1, factor H, factor W). Values are not clipped."""

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
    """Images (N, 1, H, W) -> scores (N,), logits: above 0 where an image is taken for a true one."""

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
    """Images (N, C, H, W) enlarged by `factor` with bicubic interpolation, not clipped."""
    return functional.interpolate(images, scale_factor=factor, mode="bicubic", align_corners=False)


def build_generator(factor: int, *, channels: int, blocks: int, seed: int) -> Generator:
    """A generator with initial values drawn from `seed`; the global random state is left as it was.

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
    """A discriminator with initial values drawn from `seed`; the global random state is left as it was."""
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
    """Grey values (N, 1, H, W), 0 to 1, as uint8 (N, H, W)."""
    return values.squeeze(1).clamp(0, 1).mul(255).round().to(torch.uint8)
