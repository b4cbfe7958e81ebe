"""A recipe: one network and everything that decides how it is trained, save data, split and seed.

Recipes are data. A study lists its own in one registry (`als_core.studies.xia2024.recipes.RECIPES`); whatever
reads recipes (pages, the graph, tests, guides) reads that registry. This module imports no torch, so that a page
that only shows results need not wait for it.
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
    """One network and how it is trained.

    name : str
        As a page prints it.
    network : str
        Key in its registry; lower case, underscores.
    variant : str
        What sets this recipe apart from others of the network ("as printed"); free text.
    learning_rate, batch_size, epochs, weight_decay
        Weight decay is the L2 term of `torch.optim.Adam`, added to the gradient.
    trains : tuple of str
        Stages that train. All others are frozen.
    paper : str
        Key of the paper the recipe is from ("xia2024"); empty for a network that no paper has.
    builder : str
        `module:function` of the function (classes=, side=, **options) -> StagedNetwork. Its module, and what that
        imports, is part of a run's code.
    options : tuple of (str, value)
        Further keyword arguments of the builder.
    side : int
        Images are this many pixels square.
    copies : int
        Training images per sample, the image itself included (10: itself and nine augmentations).
    batch_norm : "eval", "adapt" or "train"
        Of frozen stages: keep the statistics the weights came with; measure them once on the training images before
        training; or let them follow the batches, and then no frozen prefix can be cached.
    checkpoint : str
        Key of `CHECKPOINT_RULES`: whose epoch's weights are kept. Only the validation part has a say.
    scaling : "pretrained" or "cohort"
        Scale pixels as the pretrained weights expect, or by the cohort's own mean and sd.
    flip : bool
        Mirror each training image with probability one half, each time it is drawn.
    plateau : Plateau or None
        Schedule of the learning rate.
    precision : "fp32" or "bf16"
        `bf16` runs the network under autocast; weights, loss, Adam and the head stay fp32.
    compiled : bool
        Run training steps through `torch.compile`. A head trained alone has no step to compile.
    reduced_from : tuple of (str, value)
        Fields that `reduced` changed, with the recipe's own value.
    """

    name: str
    network: str
    variant: str
    learning_rate: float
    batch_size: int
    epochs: int
    weight_decay: float
    trains: tuple[str, ...]
    paper: str = ""
    builder: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    optimizer: Literal["Adam"] = "Adam"
    side: int = 400
    copies: int = 10
    batch_norm: Literal["eval", "adapt", "train"] = "eval"
    checkpoint: Checkpoint = "best validation"
    scaling: Literal["pretrained", "cohort"] = "pretrained"
    flip: bool = False
    plateau: Plateau | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    compiled: bool = False
    reduced_from: tuple[tuple[str, Any], ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them: what a run's key is made of."""
        pairs = {name: [list(pair) for pair in getattr(self, name)] for name in ("options", "reduced_from")}
        return asdict(self) | {"trains": list(self.trains)} | pairs

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `as_data` wrote; a field that is not named has its default."""
        plateau = data.get("plateau")
        built = {"trains": tuple(data["trains"]), "plateau": Plateau(**plateau) if plateau else None}
        built |= {
            name: tuple((key, value) for key, value in data.get(name, ()))
            for name in ("options", "reduced_from")
        }
        return cls(**{**data, **built})

    @property
    def own(self) -> Recipe:
        """The recipe before `reduced` changed it."""
        return replace(self, **dict(self.reduced_from), reduced_from=())

    @property
    def title(self) -> str:
        """Name and variant, and each reduced field with its own value.

        >>> toy = Recipe("Toy", "toy", "as printed", 1e-3, 8, 150, 0.0, ("head",))
        >>> reduced(toy, epochs=8, side=64).title
        'Toy (as printed; epochs 8 for 150, side 64 for 400)'
        """
        changes = [
            f"{name.replace('_', ' ')} {getattr(self, name)} for {value}" for name, value in self.reduced_from
        ]
        return f"{self.name} ({'; '.join(filter(None, [self.variant, ', '.join(changes)]))})"


def reduced(recipe: Recipe, **sizes: int | None) -> Recipe:
    """Return the recipe with smaller sizes; its title then says which, and what they were.

    Parameters
    ----------
    recipe : Recipe
    **sizes : int or None
        New values of `epochs`, `side`, `copies` or `batch_size`; None leaves a field as it is.

    Raises
    ------
    RefusedInput
        For a size below 1 or above the recipe's.
    """
    unknown = sizes.keys() - {"epochs", "side", "copies", "batch_size"}
    if unknown:
        raise TypeError(
            f"reduced() changes epochs, side, copies and batch_size, not {', '.join(sorted(unknown))}"
        )
    changes = {name: size for name, size in sizes.items() if size not in (None, getattr(recipe, name))}
    refuse_if(
        f"Reducing {recipe.name}",
        (
            Problem(name, str(size), f"1 to {getattr(recipe, name)}", "Choose a size the recipe contains.")
            for name, size in changes.items()
            if not 1 <= size <= getattr(recipe, name)
        ),
    )
    before = {name: getattr(recipe, name) for name in changes} | dict(recipe.reduced_from)
    in_order = [field.name for field in fields(recipe) if field.name in before]
    return replace(recipe, **changes, reduced_from=tuple((name, before[name]) for name in in_order))
