"""How much of the crops study a profile computes (its section `miao2023`). Imports no torch: a page asks cheaply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class SuperResolution:
    """Everything that decides how the super-resolution network is built and trained, save pairs and seed.

    factor: 2 or 4. channels, blocks: width and residual blocks of the generator. content_steps: steps on
    content alone, with a learning rate of Adam that falls to a tenth as a half cosine. further_steps: steps
    after that at this tenth, by one copy of the generator on content alone and by the other with the
    adversarial term too. batch: patches a step; patch: their side in low-resolution pixels. adversarial,
    perceptual: weights of the two terms beside a content loss of weight 1. noise_sd: noise of the
    low-resolution images in levels of 255.
    """

    factor: Literal[2, 4] = 4
    channels: int = 64
    blocks: int = 16
    content_steps: int = 20_000
    further_steps: int = 10_000
    batch: int = 16
    patch: int = 24
    learning_rate: float = 5e-4
    adversarial: float = 1e-2
    perceptual: float = 1e-2
    noise_sd: float = 4.0


@dataclass(frozen=True)
class NoSignal:
    """Amounts of `crop_checks.no_signal`, which says what each is."""

    cohorts: int = 200
    side: int = 64
    copies: int = 10
    repeats: int = 10
    permutations: int = 10


@dataclass(frozen=True)
class CropAmounts:
    """How much of the crops study a profile does; the defaults are the paper's, or ours where it is silent.

    crop_side: of the synthetic crops in pixels. side: what a classifier sees of a crop, in pixels. epochs: of
    every head. copies: training images a crop. repeats: splits of each protocol. last_block_epochs,
    last_block_copies: of the variant that trains the last block too. timing_repeats: measurements a time is the
    median of. weights: of the bases, see `crops.settle_weights`.
    """

    crop_side: int = 256
    super_resolution: SuperResolution = field(default_factory=SuperResolution)
    side: int = 224
    epochs: int = 20
    copies: int = 10
    repeats: int = 25
    last_block_epochs: int = 20
    last_block_copies: int = 10
    no_signal: NoSignal = field(default_factory=NoSignal)
    timing_repeats: int = 5
    weights: Literal["imagenet", "imagenet if cached", "random"] = "imagenet"
