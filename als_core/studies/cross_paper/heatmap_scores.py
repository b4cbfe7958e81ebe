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
from als_core.explain.sanity import Explainer, judge, untrained


def overlaps(
    heatmaps: np.ndarray | Tensor,
    truths: np.ndarray,
    *,
    within: np.ndarray | None = None,
    absolute: bool = False,
) -> pd.DataFrame:
    """All of `overlap.SCORES` for each heatmap: columns image, score, value.

    heatmaps (N, *spatial); truths bool (N, *spatial), or (*spatial) for all; within bool (*spatial).
    By default the heatmap's positive values count, its evidence for the target; `absolute` counts both
    signs as relevance.
    """
    heat = heatmaps.double().cpu().numpy() if isinstance(heatmaps, Tensor) else np.asarray(heatmaps)
    heat = np.abs(heat) if absolute else heat
    rows = [
        {"image": image, "score": name, "value": score.function(one, truth, within)}
        for image, (one, truth) in enumerate(zip(heat, np.broadcast_to(truths, heat.shape), strict=True))
        for name, score in SCORES.items()
    ]
    return pd.DataFrame(rows)


def try_methods(
    explainers: Mapping[str, Explainer],
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    truths: np.ndarray,
    *,
    generator: torch.Generator,
    areas: np.ndarray | None = None,
    within: np.ndarray | None = None,
    absolute: bool = False,
    draws: int = 5,
) -> pd.DataFrame:
    """Overlap of every method and of its nulls: columns method, map, image, score, value.

    `map` is "method"; "same smoothness" (a phase-randomised twin of the method's own map); "untrained"
    (the method on a network of noise); and, where `areas` (*spatial) are given, "atlas only". Null
    values are means over `draws` random maps (one network for "untrained"). Explainers are methods
    with settings bound (`Method.importance`); other arguments as `overlaps`.
    """
    targets = check_call(model, images, target)
    numbers = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    noise = untrained(model, images, generator)
    scored = {"within": within, "absolute": absolute}
    tables = []
    for method, explainer in tqdm(explainers.items(), desc="heatmaps on trial", disable=None):
        heatmaps = explainer(model, images, targets).double().cpu().numpy()
        maps = {
            "method": [heatmaps],
            "untrained": [explainer(noise, images, targets)],
            "same smoothness": [
                np.stack([phase_randomised(one, numbers) for one in heatmaps]) for _ in range(draws)
            ],
        }
        if areas is not None:
            maps["atlas only"] = [
                np.broadcast_to(atlas_only(areas, numbers), heatmaps.shape) for _ in range(draws)
            ]
        for name, several in maps.items():
            scores = pd.concat([overlaps(one, truths, **scored) for one in several])
            mean = scores.groupby(["image", "score"], sort=False, as_index=False)["value"].mean()
            tables.append(mean.assign(method=method, map=name))
    return pd.concat(tables, ignore_index=True)[["method", "map", "image", "score", "value"]]


def check_methods(
    explainers: Mapping[str, Explainer],
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    *,
    generator: torch.Generator,
    **settings,
) -> pd.DataFrame:
    """`sanity.judge` for every method: columns method, check, measured, value, limit, passed."""
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
        for check in judge(explainer, model, images, target, generator=generator, **settings)
    ]
    return pd.DataFrame(rows)
