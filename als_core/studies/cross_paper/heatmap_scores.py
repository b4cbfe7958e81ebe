"""Heatmaps on trial: every method, its overlap with the truth, its nulls and its sanity checks, as tables.

One row per method, map, image and score, so that a page can take intervals over subjects and draw what
it likes; nothing is averaged over images here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from als_core.explain.contract import check_call
from als_core.explain.nulls import atlas_only, phase_randomised
from als_core.explain.overlap import SCORES
from als_core.explain.sanity import Explainer, judge


def overlaps(
    heatmaps: np.ndarray | Tensor,
    truths: np.ndarray,
    *,
    within: np.ndarray | None = None,
) -> pd.DataFrame:
    """All of `overlap.SCORES` for each heatmap: columns image, score, value.

    heatmaps (N, *spatial); truths bool (N, *spatial), or (*spatial) for all; within bool (*spatial).
    The heatmap's positive values count, its evidence for the target.
    """
    heat = heatmaps.double().cpu().numpy() if isinstance(heatmaps, Tensor) else np.asarray(heatmaps)
    rows = [
        {"image": image, "score": name, "value": score.function(one, truth, within)}
        for image, (one, truth) in enumerate(zip(heat, np.broadcast_to(truths, heat.shape), strict=True))
        for name, score in SCORES.items()
    ]
    return pd.DataFrame(rows)


def explain_all(
    explainers: Mapping[str, Explainer], model: nn.Module, images: Tensor, target: int | Tensor
) -> dict[str, Tensor]:
    """Heatmaps (N, *spatial) of every method: explainers with settings bound (`Method.importance`), by name."""
    targets = check_call(model, images, target)
    named = tqdm(explainers.items(), desc="heatmaps", disable=None)
    return {method: explainer(model, images, targets) for method, explainer in named}


def try_maps(
    maps: Mapping[str, Tensor],
    blind: Mapping[str, Tensor],
    truths: np.ndarray,
    *,
    generator: torch.Generator,
    areas: np.ndarray | None = None,
    within: np.ndarray | None = None,
    draws: int = 5,
) -> pd.DataFrame:
    """Overlap of every method's heatmaps and of their nulls: columns method, map, image, score, value.

    `map` is "method"; "same smoothness" (a phase-randomised twin of the method's own map); "untrained" (`blind`:
    the method on a network of noise); and, where `areas` (*spatial) are given, "atlas only". Random null values
    are means over `draws` maps. Other arguments as `overlaps`.
    """
    numbers = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    tables = []
    for method, own in tqdm(maps.items(), desc="overlaps", disable=None):
        heatmaps = own.double().cpu().numpy()
        several = {
            "method": [heatmaps],
            "untrained": [blind[method]],
            "same smoothness": [
                np.stack([phase_randomised(one, numbers) for one in heatmaps]) for _ in range(draws)
            ],
        }
        if areas is not None:
            several["atlas only"] = [
                np.broadcast_to(atlas_only(areas, numbers), heatmaps.shape) for _ in range(draws)
            ]
        for name, each in several.items():
            scores = pd.concat([overlaps(one, truths, within=within) for one in each])
            mean = scores.groupby(["image", "score"], sort=False, as_index=False)["value"].mean()
            tables.append(mean.assign(method=method, map=name))
    return pd.concat(tables, ignore_index=True)[["method", "map", "image", "score", "value"]]


def check_methods(
    explainers: Mapping[str, Explainer],
    maps: Mapping[str, Tensor],
    blind: Mapping[str, Tensor],
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    *,
    generator: torch.Generator,
    **settings,
) -> pd.DataFrame:
    """`sanity.judge` for every method: columns method, check, measured, value, limit, passed.

    maps, blind: as of `try_maps`; of them, those of `images`, which come first.
    """
    rows = [
        {
            "method": method,
            "check": check.name,
            "measured": check.measured,
            "value": check.value,
            "limit": check.limit,
            "passed": check.passed,
        }
        for method, explainer in tqdm(explainers.items(), desc="sanity checks", disable=None)
        for check in judge(
            explainer, model, images, target, generator=generator,
            trained=maps[method][: len(images)], blind=[blind[method][: len(images)]], **settings,
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)
