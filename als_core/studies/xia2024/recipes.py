"""The networks of the tissue study and how each is trained: the registry that every page, the graph and the tests read.

Values are those of Table 3 of Xia 2024, and what trains is section 4.6. "The last two modules" of ResNet18+CBAM are
taken as layer3 and layer4; the Basic CNN, which the section does not list, trains whole. Where the paper is silent,
the choice is the companion's: frozen batch norm keeps its statistics, the epoch with the best validation accuracy is
kept, pixels are scaled as the pretrained weights expect.

`RECIPES`     what pages show: the six networks as printed, then networks that are not in the paper
`RELEASED`    the six as the published code trains them (GitHub repository YQ-XiaMLTech/ALS-classification, `run.py`,
              read and not run): it differs in what trains, lets batch norm follow the batches, mirrors images at
              random, scales by the cohort, lowers the learning rate on a plateau, keeps the last epoch, has dropout
ablations     functions of a recipe: `without_augmentation`, `second_protocol`, `without_gates`
`VARIANTS`    names under which a page can be asked for another recipe of a network than the printed one

This module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from als_core.refusal import Problem, refuse_if
from als_core.training.recipe import Plateau, Recipe

PAPER = "xia2024"
PRINTED, RELEASED_VARIANT = "as printed", "as released"
_NETWORKS = "als_core.studies.xia2024.networks"

_END = ("pool", "head")
BASIC = ("block1", "block2", "block3")
RESNET = ("stem", "layer1", "layer2", "layer3", "layer4")
DENSENET = (
    "stem", "block1", "transition1", "block2", "transition2", "block3", "transition3", "block4", "norm",
)  # fmt: skip
SE, CBAM = ("se1", "se2", "se3", "se4"), ("cbam1", "cbam2", "cbam3", "cbam4")


def _printed(
    name: str, network: str, family: str, rate: float, batch: int, epochs: int, decay: float,
    trains: tuple[str, ...], **options: Any,
) -> Recipe:  # fmt: skip
    return Recipe(
        name, network, PRINTED, rate, batch, epochs, decay, trains,
        paper=PAPER, builder=f"{_NETWORKS}:{family}", options=tuple(options.items()),
    )  # fmt: skip


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.network: recipe
        for recipe in (
            _printed("Basic CNN", "basic_cnn", "basic_cnn", 1e-4, 64, 300, 1e-3, (*BASIC, "head")),
            _printed("ResNet18", "resnet18", "resnet18", 1e-4, 64, 150, 8e-3, _END),
            _printed("DenseNet121", "densenet121", "densenet121", 8e-5, 32, 250, 8e-2, _END),
            _printed("ResNet18+SE", "resnet18_se", "resnet18", 5e-4, 128, 300, 8e-4, (*SE, *_END), gate="se"),
            _printed(
                "ResNet18+CBAM", "resnet18_cbam", "resnet18", 1e-4, 128, 200, 8e-3,
                ("layer3", "layer4", *CBAM, *_END), gate="cbam",
            ),
            _printed(
                "Miniset-DenseSENet", "miniset_densesenet", "densenet121", 1e-4, 32, 200, 1e-3,
                (*SE[:3], *_END), gate="se",
            ),
            # networks that are not in the paper: below this line, one recipe each
            Recipe(
                "EfficientNet-Lite0", "efficientnet_lite0", "as ResNet18", 1e-4, 64, 150, 8e-3, _END,
                builder="als_core.studies.xia2024.efficientnet_lite:efficientnet_lite0",
            ),
        )
    }
)  # fmt: skip
"""By network, in the order of Table 1; the recipe says itself whether it is of the paper (`Recipe.paper`)."""

OF_PAPER = tuple(network for network, recipe in RECIPES.items() if recipe.paper == PAPER)
"""Networks with a row in Table 1, in its order."""


def with_added(networks: Iterable[str]) -> tuple[str, ...]:
    """Return these networks and every one of the registry that is not in the paper."""
    return tuple(dict.fromkeys([*networks, *(name for name in RECIPES if name not in OF_PAPER)]))


def _released(network: str, trains: tuple[str, ...], plateau: Plateau, dropout: float, **more: Any) -> Recipe:
    options = (*RECIPES[network].options, ("dropout", dropout), *more.pop("options", ()))
    return replace(
        RECIPES[network], variant=RELEASED_VARIANT, trains=trains, plateau=plateau, flip=True, scaling="cohort",
        batch_norm="train", checkpoint="last epoch", options=options, **more,
    )  # fmt: skip


RELEASED: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.network: recipe
        for recipe in (
            # the Basic CNN's head is built after the optimiser, so it keeps its initial values
            _released("basic_cnn", BASIC, Plateau(0.5, 1e-5), 0.3, weight_decay=0.0),
            _released("resnet18", (*RESNET, *_END), Plateau(0.5, 1e-6), 0.8),
            _released("densenet121", (*DENSENET, *_END), Plateau(0.8, 1e-6), 0.9),
            _released("resnet18_se", (*SE, *_END), Plateau(0.5, 1e-6), 0.85),
            _released("resnet18_cbam", (*CBAM, *_END), Plateau(0.5, 1e-6), 0.85),
            _released(
                "miniset_densesenet", (*DENSENET, *SE[:3], *_END), Plateau(0.1, 1e-5), 0.9,
                options=(("last_relu", False),),
            ),
        )
    }
)  # fmt: skip
"""By network. Learning rates, batch sizes and epochs stay those of Table 3."""


def without_augmentation(recipe: Recipe) -> Recipe:
    """Return the recipe trained on the training images alone, without their nine augmented copies."""
    return replace(recipe, variant="without augmentation", copies=1)


def second_protocol(recipe: Recipe) -> Recipe:
    """Return the recipe of section 4.5.2: batches of 16, 50 epochs, rotation, mirroring and contrast.

    Its split is 80/20 (`als_core.studies.xia2024.splits.second_split`); one copy for each of the three
    augmentations the section names.
    """
    return replace(
        recipe, variant="section 4.5.2", batch_size=16, epochs=50, copies=4, checkpoint="last epoch"
    )


def without_gates(recipe: Recipe = RECIPES["miniset_densesenet"]) -> Recipe:
    """Return DenseNet121 under the hyper-parameters of Miniset-DenseSENet, so that the two differ in gates alone.

    In Table 3 they differ in learning rate, epochs and weight decay as well.
    """
    plain = RECIPES["densenet121"]
    shared = ("learning_rate", "batch_size", "epochs", "weight_decay")
    changes = {name: getattr(recipe.own, name) for name in shared}
    return replace(plain, variant="with the hyper-parameters of Miniset-DenseSENet", **changes)


VARIANTS: Mapping[str, Callable[[str], Recipe | None]] = MappingProxyType(
    {
        "paper": RECIPES.get,
        "released": RELEASED.get,
        "no augmentation": lambda network: without_augmentation(RECIPES[network]),
        "section 4.5.2": lambda network: second_protocol(RECIPES[network]),
    }
)
"""By the name that the notebook on training takes as its parameter `variant`: a network's recipe, or None."""
SECOND = "section 4.5.2"


def variant_of(network: str, variant: str) -> Recipe:
    """Return a network's recipe in a variant of `VARIANTS`. Raises RefusedInput where there is none."""
    if variant not in VARIANTS:
        problem = Problem(
            "variant", repr(variant), f"one of {', '.join(VARIANTS)}", "Set `variant` to one of them."
        )
        refuse_if("Recipe", [problem])
    recipe = VARIANTS[variant](network)
    if recipe is None:
        problem = Problem(
            "variant", f"{variant!r} for {network}", f"a network of the paper: {', '.join(OF_PAPER)}",
            "Choose one of these networks, or leave `variant` at paper.",
        )  # fmt: skip
        refuse_if("Recipe", [problem])
    return recipe
