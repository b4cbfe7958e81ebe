"""Recipes: a network of the tissue study with its published hyper-parameters, as data.

Values are those of Table 3 of Xia 2024, and what trains is section 4.6. Where the paper is silent the
choice is ours, and is a field with a default: the frozen batch norm (`batch_norm`), which epoch's
weights are kept (`checkpoint`), how pixels are scaled (`scaling`).

Two variants of each. `published` follows the text. `released` follows the code published with the
paper (GitHub repository YQ-XiaMLTech/ALS-classification, `run.py`, read and not run): it differs in what
trains, lets batch norm follow the batches everywhere, mirrors training images at random, scales by
the cohort's own mean and sd, lowers the learning rate on a plateau, keeps the last epoch, and gives the
Basic CNN no weight decay.

This module imports no torch, so that a page which only shows results need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal

from als_core.refusal import Problem, refuse_if

Checkpoint = Literal["best validation", "last epoch"]

CHECKPOINT_RULES: Mapping[str, str] = MappingProxyType(
    {
        "best validation": "the epoch with the best validation accuracy, the earliest of equals",
        "last epoch": "the last epoch",
    }
)


@dataclass(frozen=True)
class Plateau:
    """Multiply the learning rate by `factor`, down to `minimum`, after `patience` epochs without a lower
    validation loss (`torch.optim.lr_scheduler.ReduceLROnPlateau` with its other defaults)."""

    factor: float
    minimum: float
    patience: int = 5


@dataclass(frozen=True)
class Recipe:
    """One network and everything that decides how it is trained, save data, split and seed.

    name: as in Table 1. network: its name in `als_core.studies.xia2024.networks`. variant: published or released.
    learning_rate, batch_size, epochs, weight_decay: Table 3; weight decay is the L2 term of
    `torch.optim.Adam`, added to the gradient. trains: stages that train, all others are frozen.
    side: images are this many pixels square. copies: training images per sample, the image itself and
    its augmentations (10 = itself and nine). batch_norm of frozen stages: `eval` keeps the statistics
    they came with; `adapt` measures them once on the training images before training; `train` lets
    them follow the batches, and then no frozen prefix can be cached. checkpoint: see
    `CHECKPOINT_RULES`; only the validation part has a say. scaling of pixels: the mean and sd of
    ImageNet or of the cohort. flip: mirror each training image with probability one half, each time.
    plateau: a learning-rate schedule, or None. precision: `bf16` runs the network under autocast;
    weights, loss, Adam and a head trained alone stay fp32. compiled: have `torch.compile` write the code
    of a training step (`als_core.training.compiling`); a head trained alone has none to write.
    feature_storage: type in which the frozen prefix's output is kept, whatever it was computed in; fp32 is exact,
    and maps computed in bf16 then stay bf16.
    """

    name: str
    network: str
    variant: Literal["published", "released"]
    learning_rate: float
    batch_size: int
    epochs: int
    weight_decay: float
    trains: tuple[str, ...]
    optimizer: Literal["Adam"] = "Adam"
    side: int = 400
    copies: int = 10
    batch_norm: Literal["eval", "adapt", "train"] = "eval"
    checkpoint: Checkpoint = "best validation"
    scaling: Literal["imagenet", "cohort"] = "imagenet"
    flip: bool = False
    plateau: Plateau | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    compiled: bool = False
    feature_storage: Literal["fp32", "fp16", "fp64"] = "fp32"

    def as_data(self) -> dict[str, Any]:
        """The fields as JSON can hold them: what a run's key is made of."""
        return asdict(self) | {"trains": list(self.trains)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Recipe:
        """The recipe that `as_data` gave; a field it does not name has its default."""
        plateau = data.get("plateau")
        built = {"trains": tuple(data["trains"]), "plateau": plateau and Plateau(**plateau)}
        return cls(**{**data, **built})

    @property
    def title(self) -> str:
        """Name and variant, and every field that is not the recipe's own, with what it is there.

        >>> reduced(RECIPES["resnet18"], epochs=8, side=64).title
        'ResNet18 (published; epochs 8 for 150, side 64 for 400)'
        """
        own = _OWN.get((self.network, self.variant))
        changes = "its own" if own is None else ", ".join(_changes(own, self))
        return f"{self.name} ({self.variant}{'; ' if changes else ''}{changes})"


_END = ("pool", "head")
_TRUNKS = {
    "basic_cnn": ("block1", "block2", "block3"),
    "resnet18": ("stem", "layer1", "layer2", "layer3", "layer4"),
    "densenet121": ("stem", "block1", "transition1", "block2", "transition2", "block3", "transition3", "block4", "norm"),
}  # fmt: skip
_SE, _CBAM = ("se1", "se2", "se3", "se4"), ("cbam1", "cbam2", "cbam3", "cbam4")

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.network: recipe
        for recipe in (
            Recipe("Basic CNN", "basic_cnn", "published", 1e-4, 64, 300, 1e-3, (*_TRUNKS["basic_cnn"], "head")),
            Recipe("ResNet18", "resnet18", "published", 1e-4, 64, 150, 8e-3, _END),
            Recipe("DenseNet121", "densenet121", "published", 8e-5, 32, 250, 8e-2, _END),
            Recipe("ResNet18+SE", "resnet18_se", "published", 5e-4, 128, 300, 8e-4, (*_SE, *_END)),
            Recipe("ResNet18+CBAM", "resnet18_cbam", "published", 1e-4, 128, 200, 8e-3,
                   ("layer3", "layer4", *_CBAM, *_END)),
            Recipe("Miniset-DenseSENet", "miniset_densesenet", "published", 1e-4, 32, 200, 1e-3,
                   (*_SE[:3], *_END)),
        )
    }
)  # fmt: skip
"""The published variant of the six recipes, by network, in the order of Table 1."""


def _released(network: str, trains: tuple[str, ...], plateau: Plateau, **more: Any) -> Recipe:
    return replace(
        RECIPES[network], variant="released", trains=trains, plateau=plateau, flip=True, scaling="cohort",
        batch_norm="train", checkpoint="last epoch", **more,
    )  # fmt: skip


RELEASED: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.network: recipe
        for recipe in (
            _released("basic_cnn", _TRUNKS["basic_cnn"], Plateau(0.5, 1e-5), weight_decay=0.0),
            _released("resnet18", (*_TRUNKS["resnet18"], *_END), Plateau(0.5, 1e-6)),
            _released("densenet121", (*_TRUNKS["densenet121"], *_END), Plateau(0.8, 1e-6)),
            _released("resnet18_se", (*_SE, *_END), Plateau(0.5, 1e-6)),
            _released("resnet18_cbam", (*_CBAM, *_END), Plateau(0.5, 1e-6)),
            _released("miniset_densesenet", (*_TRUNKS["densenet121"], *_SE[:3], *_END), Plateau(0.1, 1e-5)),
        )
    }
)
"""The released variant of the six, by network. Learning rates, batch sizes and epochs stay those of Table 3."""

ADDED_RECIPES: Mapping[str, Recipe] = {}
"""By network, how those of `als_core.studies.xia2024.networks.ADDED_NETWORKS` are trained."""

_OWN = {
    (recipe.network, recipe.variant): recipe
    for recipe in (*RECIPES.values(), *RELEASED.values(), *ADDED_RECIPES.values())
}


def reduced(
    recipe: Recipe,
    *,
    epochs: int | None = None,
    side: int | None = None,
    copies: int | None = None,
    batch_size: int | None = None,
) -> Recipe:
    """The recipe with smaller amounts; its title then says which, and what they were.

    batch_size: with fewer training images, a smaller batch keeps the number of steps in an epoch.
    Raises RefusedInput for an amount below 1 or above the recipe's.
    """
    amounts = {"epochs": epochs, "side": side, "copies": copies, "batch_size": batch_size}
    amounts = {name: amount for name, amount in amounts.items() if amount is not None}
    refuse_if(
        f"Reducing {recipe.name}",
        (
            Problem(
                name, str(amount), f"1 to {getattr(recipe, name)}", "Choose an amount the recipe contains."
            )
            for name, amount in amounts.items()
            if not 1 <= amount <= getattr(recipe, name)
        ),
    )
    return replace(recipe, **amounts)


def _changes(own: Recipe, other: Recipe) -> list[str]:
    """Fields in which `other` is not `own`, in words."""
    pairs = ((field.name, getattr(own, field.name), getattr(other, field.name)) for field in fields(own))
    return [f"{name.replace('_', ' ')} {_say(new)} for {_say(old)}" for name, old, new in pairs if old != new]


def _say(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(value) or "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value)
