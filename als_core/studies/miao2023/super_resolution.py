"""Training the super-resolution network on pairs of crops, and measuring what it gives on held-out cases.

Miao et al. (Sections 2.2.3 and 2.2.4): low-resolution images come from down-sampling with noise, a generator
learns the way back, and a discriminator makes it a generative adversarial network. Loss, sizes and amounts
are not printed; here a generator is first trained on content (mean squared error, which is what PSNR
measures) and a copy of it then with an adversarial term as well, so that the two can be told apart. A
perceptual term is added where pretrained VGG16 weights are at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from als_core.models.stages import IMAGENET_SCALING
from als_core.models.weights import load_weights
from als_core.refusal import Problem, refuse_if
from als_core.statistics.intervals import bootstrap_over_groups
from als_core.studies.miao2023.amounts import SuperResolution
from als_core.studies.miao2023.filters import enlarged, low_resolution, require_grey8
from als_core.studies.miao2023.generator import Generator, as_images, build_discriminator, build_generator
from als_core.studies.miao2023.networks import build_crop_network
from als_core.studies.miao2023.restoration import Counted, count_aggregates, psnr, sharpness, ssim

MEASURES = ("psnr", "ssim", "sharpness", "found", "missed", "invented")
REFERENCE = "bicubic"
"""The method that every other is compared with."""
LAST_RATE = 0.1
"""Share of the learning rate that is left when the two generators part."""


class Pairs(NamedTuple):
    """low: uint8 (n, h, w). high: uint8 (n, factor h, factor w), what should come out."""

    low: np.ndarray
    high: np.ndarray


class Trained(NamedTuple):
    """The two generators, both after the same number of steps, and the losses of every step.

    history: columns step (from 1), generator (`both` while they are one, then `content` or `adversarial`),
    content, adversarial, perceptual and discriminator, the terms without their weights; NaN where there is none.
    """

    content: Generator
    adversarial: Generator
    history: pd.DataFrame


def make_pairs(crops: np.ndarray, truth: np.ndarray, settings: SuperResolution, seed: int) -> Pairs:
    """Each crop reduced with noise, beside its truth.

    crops, truth: uint8 (n, H, W), sides divisible by the factor. Where no truth is known, the crops
    themselves. The noise of a crop does not depend on the others. Raises ValueError for other images.
    """
    if crops.shape != truth.shape:
        raise ValueError(f"crops of {crops.shape} and truth of {truth.shape} do not pair")
    low = [
        low_resolution(crop, settings.factor, np.random.default_rng([seed, row]), noise_sd=settings.noise_sd)
        for row, crop in enumerate(crops)
    ]
    return Pairs(np.stack(low), truth)


def perceptual_network(weights: str) -> nn.Module:
    """VGG16 up to its third block with these weights (`imagenet` or a path), frozen: maps of grey images.

    Images (N, 1, H, W), 0 to 1. Random weights are refused: their maps mean nothing.
    """
    problem = Problem("weights", weights, "pretrained weights", "Train without the perceptual term.")
    refuse_if("A perceptual loss", [problem] if weights == "random" else [])
    network = build_crop_network("vgg16", seed=0)
    load_weights(network, weights)
    return Perceptual(network.stages[:3])


class Perceptual(nn.Module):
    """Grey images (N, 1, H, W), 0 to 1, as `stages` see them: three equal channels, scaled as ImageNet's."""

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
) -> Trained:
    """Train a generator on content, then one copy of it on content and one with a discriminator as well.

    train: rows of the pairs; no other is looked at. seed: initial values, and the drawing of patches.
    perceptual: see `perceptual_network`; its term joins the adversarial one. Both generators come back on the
    CPU in eval mode. Raises RefusedInput for pairs that do not fit the settings, and RuntimeError where a
    loss is no number.
    """
    refuse_if("Training super-resolution", _problems(pairs, train, settings))
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    patches = _Patches(pairs, np.asarray(train), settings, seed, device)
    sizes = {"channels": settings.channels, "blocks": settings.blocks}
    content = build_generator(settings.factor, **sizes, seed=seed).to(device)
    rows = _train_content(content, patches, settings)
    adversarial = deepcopy(content)
    same_patches = deepcopy(patches)
    rows += _train_further(content, patches, settings)
    discriminator = build_discriminator(channels=settings.channels, seed=seed).to(device)
    perceptual = perceptual.to(device) if perceptual is not None else None
    rows += _train_adversarial(adversarial, discriminator, perceptual, same_patches, settings)
    return Trained(content.cpu().eval(), adversarial.cpu().eval(), pd.DataFrame(rows))


@torch.inference_mode()
def restored(generator: Generator, low: np.ndarray) -> np.ndarray:
    """Low-resolution images uint8 (n, h, w) as the generator enlarges them, uint8 (n, H, W)."""
    for image in low[:1]:
        require_grey8(image)
    outputs = [as_images(generator(_as_tensor(image[None]))) for image in low]
    return torch.cat(outputs).numpy()


def enlargements(pairs: Pairs, rows: Sequence[int], factor: int, trained: Trained) -> dict[str, np.ndarray]:
    """Rows of the pairs enlarged by every method, uint8 (rows, H, W) by name."""
    low = pairs.low[np.asarray(rows)]
    plain = {
        name: np.stack([enlarged(each, factor, name) for each in low]) for name in ("nearest", REFERENCE)
    }
    return plain | {
        "content": restored(trained.content, low),
        "adversarial": restored(trained.adversarial, low),
    }


def judge_restorations(
    images: Mapping[str, np.ndarray], truth: np.ndarray, masks: np.ndarray | None, cases: Sequence[str]
) -> pd.DataFrame:
    """One row a method and crop, with the columns case and `MEASURES`.

    images: method to uint8 (n, H, W). truth: uint8 (n, H, W). masks: bool (n, H, W), or None where nothing is
    known of aggregates; found, missed and invented are NaN then. sharpness is a share of the truth's.
    """
    rows = []
    for method, restorations in images.items():
        for number, (image, true, case) in enumerate(zip(restorations, truth, cases, strict=True)):
            row = {"method": method, "crop": number, "case": case}
            row |= {"psnr": psnr(image, true), "ssim": ssim(image, true)}
            row["sharpness"] = sharpness(image) / sharpness(true)
            counted = count_aggregates(image, masks[number]) if masks is not None else (np.nan,) * 3
            rows.append(row | dict(zip(("found", "missed", "invented"), counted, strict=True)))
    return pd.DataFrame(rows)


def count_all(images: Mapping[str, np.ndarray], masks: np.ndarray) -> pd.DataFrame:
    """Aggregates found, missed and invented in all images of each kind together, indexed by kind.

    images: kind to uint8 (n, H, W). masks: bool (n, H, W).
    """
    sums = {
        kind: np.sum([count_aggregates(*pair) for pair in zip(several, masks, strict=True)], axis=0)
        for kind, several in images.items()
    }
    return pd.DataFrame.from_dict(sums, orient="index", columns=list(Counted._fields))


def summarise(judged: pd.DataFrame, seed: int, resamples: int = 2000) -> pd.DataFrame:
    """Mean of every measure by method, with 95 % intervals, alone and less that of `REFERENCE`.

    judged: from `judge_restorations`. Columns: method, measure, mean, low, high, gain, gain_low, gain_high.
    Cases are resampled, as the crops of one are alike; the gain is taken crop by crop.
    """
    base = judged[judged["method"] == REFERENCE].set_index("crop")
    rows = []
    for method, part in judged.groupby("method", sort=False):
        cases = part["case"].to_numpy()
        for measure in MEASURES:
            values = part[measure].to_numpy(float)
            gains = values - base.loc[part["crop"], measure].to_numpy(float)
            row = {"method": method, "measure": measure, "mean": values.mean(), "gain": gains.mean()}
            row["low"], row["high"] = _interval(values, cases, seed, resamples)
            row["gain_low"], row["gain_high"] = _interval(gains, cases, seed, resamples)
            rows.append(row)
    columns = ["method", "measure", "mean", "low", "high", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows)[columns]


def _interval(values: np.ndarray, cases: np.ndarray, seed: int, resamples: int) -> tuple[float, float]:
    each = np.stack([values, np.ones_like(values)], axis=1)
    generator = np.random.default_rng(seed)
    interval = bootstrap_over_groups(
        each, cases, lambda sums: sums[:, 0] / sums[:, 1], generator, resamples=resamples
    )
    return interval.low, interval.high


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
    """Random patches of the training pairs, turned and mirrored, drawn from a generator of their own."""

    def __init__(
        self, pairs: Pairs, train: np.ndarray, settings: SuperResolution, seed: int, device: torch.device
    ):
        self.low, self.high = (_as_tensor(each[train]).to(device) for each in pairs)
        self.settings, self.generator = settings, torch.Generator().manual_seed(seed)

    def draw(self) -> tuple[Tensor, Tensor]:
        """One batch: (batch, 1, patch, patch) and (batch, 1, factor patch, factor patch)."""
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


def _train_content(generator: Generator, patches: _Patches, settings: SuperResolution) -> list[dict]:
    rate, steps = settings.learning_rate, settings.content_steps
    optimizer = torch.optim.Adam(generator.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1), LAST_RATE * rate)
    rows = []
    for step in tqdm(range(1, steps + 1), "content loss", unit="step", disable=None):
        low, high = patches.draw()
        loss = functional.mse_loss(generator(low), high)
        _descend(optimizer, loss)
        schedule.step()
        rows.append(_row(step, "both", content=loss))
    return rows


def _train_further(generator: Generator, patches: _Patches, settings: SuperResolution) -> list[dict]:
    optimizer = torch.optim.Adam(generator.parameters(), lr=LAST_RATE * settings.learning_rate)
    rows = []
    for step in tqdm(range(1, settings.further_steps + 1), "content, further", unit="step", disable=None):
        low, high = patches.draw()
        loss = functional.mse_loss(generator(low), high)
        _descend(optimizer, loss)
        rows.append(_row(settings.content_steps + step, "content", content=loss))
    return rows


def _train_adversarial(
    generator: Generator,
    discriminator: nn.Module,
    perceptual: Callable[[Tensor], Tensor] | None,
    patches: _Patches,
    settings: SuperResolution,
) -> list[dict]:
    optimizer = torch.optim.Adam(generator.parameters(), lr=LAST_RATE * settings.learning_rate)
    # the discriminator starts from nothing, so it learns at the full rate
    opponent = torch.optim.Adam(discriminator.parameters(), lr=settings.learning_rate)
    rows = []
    for step in tqdm(range(1, settings.further_steps + 1), "adversarial", unit="step", disable=None):
        low, high = patches.draw()
        made = generator(low)
        against = _told_apart(discriminator(high), True) + _told_apart(discriminator(made.detach()), False)
        _descend(opponent, against / 2)
        content = functional.mse_loss(made, high)
        adversarial = _told_apart(discriminator(made), True)
        loss = content + settings.adversarial * adversarial
        seen = None
        if perceptual is not None:
            seen = functional.mse_loss(perceptual(made), perceptual(high))
            loss = loss + settings.perceptual * seen
        _descend(optimizer, loss)
        terms = {"content": content, "adversarial": adversarial, "discriminator": against / 2}
        rows.append(_row(settings.content_steps + step, "adversarial", perceptual=seen, **terms))
    return rows


def _told_apart(scores: Tensor, true: bool) -> Tensor:
    """Cross-entropy of the discriminator's scores with "all true" or "none true"."""
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(true)))


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    if not torch.isfinite(loss):
        raise RuntimeError("a loss of super-resolution is no number; lower the learning rate")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _row(step: int, generator: str, **terms: Tensor | None) -> dict:
    names = ("content", "adversarial", "perceptual", "discriminator")
    values = {name: float("nan") if terms.get(name) is None else terms[name].item() for name in names}
    return {"step": step, "generator": generator} | values


def _as_tensor(images: np.ndarray) -> Tensor:
    """uint8 (n, H, W) as (n, 1, H, W), 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(images)).float().div(255).unsqueeze(1)
