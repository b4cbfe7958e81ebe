"""How much of the tissue study's training a profile does. Imports no torch, so that a page can ask cheaply."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from als_core.studies.xia2024.recipes import variant_of, without_gates
from als_core.training.recipe import Recipe, reduced


@dataclass(frozen=True)
class TissueAmounts:
    """How much of the tissue study's training a profile does.

    side: images are this many pixels square, for all networks or by network; the published 400 where it is not
    named. copies: training images per sample, None for the published ten. epochs, batch_size: by network; the
    published number where it is not named. With a tenth of the images, an eighth of the batch keeps about the steps
    of an epoch. precision: by network; fp32 where it is not named. runs: number of seeds, counted from 0. recorded:
    show recorded runs where there are any. without_imagenet: what stands in for ImageNet weights that cannot be had;
    None refuses to go on without them.
    """

    side: int | dict[str, int] | None = None
    copies: int | None = None
    epochs: dict[str, int] = field(default_factory=dict)
    batch_size: dict[str, int] = field(default_factory=dict)
    precision: dict[str, Literal["fp32", "bf16"]] = field(default_factory=dict)
    runs: int = 5
    recorded: bool = True
    without_imagenet: Literal["random"] | None = None

    def recipe(self, network: str, variant: str = "paper") -> Recipe:
        """The recipe of a network with this profile's amounts; its title names what differs.

        variant: a name in `recipes.VARIANTS`. Where it asks for less than the profile, less is done.
        """
        recipe = variant_of(network, variant)
        side = self.side.get(network) if isinstance(self.side, dict) else self.side
        sizes = {"side": side, "copies": self.copies}
        sizes |= {name: getattr(self, name).get(network) for name in ("epochs", "batch_size")}
        sizes = {name: min(size, getattr(recipe, name)) for name, size in sizes.items() if size is not None}
        return replace(reduced(recipe, **sizes), precision=self.precision.get(network, "fp32"))

    def without_gates(self) -> Recipe:
        """Return `recipes.without_gates` at this profile's sizes."""
        gated = self.recipe("miniset_densesenet")
        names = ("epochs", "side", "copies", "batch_size")
        return reduced(without_gates(), **{name: getattr(gated, name) for name in names})
