"""Build a network of the registry by its name.

Apart from `networks`, so that the code behind a network's runs does not include the registry, and with it every other
network: an added recipe then changes no run but its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from als_core.models.stages import StagedNetwork
from als_core.refusal import Problem, refuse_if
from als_core.studies.xia2024.recipes import BASIC, PRINTED, RECIPES, RELEASED, RELEASED_VARIANT
from als_core.training.train import build_network

COUNTED: Mapping[str, tuple[str, ...]] = MappingProxyType({"basic_cnn": BASIC})
"""Stages that the FLOPs and parameters printed in Table 1 cover, where these are not all stages."""


def build_tissue_network(
    name: str, *, classes: int = 3, side: int = 400, variant: str = PRINTED, seed: int
) -> StagedNetwork:
    """Build a network of the registry with initial values drawn from `seed`; its recipe's stages train.

    Parameters
    ----------
    name : str
        Key of `recipes.RECIPES`.
    classes, side : int
        Number of scores; side of the images in pixels.
    variant : str
        `recipes.PRINTED` or `recipes.RELEASED_VARIANT`.
    seed : int
        Pretrained values are put in afterwards (`als_core.models.weights.load_weights`).

    Raises
    ------
    RefusedInput
        With all problems at once.
    """
    registry = RELEASED if variant == RELEASED_VARIANT else RECIPES
    problems = []
    if name not in registry:
        problems.append(Problem("network", name, f"one of {', '.join(registry)}", "Correct the name."))
    if variant not in (PRINTED, RELEASED_VARIANT):
        expected = f"{PRINTED} or {RELEASED_VARIANT}"
        problems.append(Problem("variant", variant, expected, "Correct the name."))
    refuse_if("building a network", problems)
    return build_network(replace(registry[name], side=side), classes, seed)
