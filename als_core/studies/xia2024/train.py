"""Train the networks of the tissue study, or find the runs that are recorded (Xia 2024, 4.2, 4.6).

recorded_runs    runs that are kept with the project (`data/recorded/xia2024`), of published size where there are any
tissue_runs      what a page shows of a network: recorded runs where there are any, else runs at the profile's sizes
recipe_runs      any recipe on any split: train what is missing
runs_by_donor    one run a fold of a round by donor, of the networks asked for and of those with recorded ones
frozen_features  what a head is fed when everything before it is frozen
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split, guard
from als_core.models.weights import RANDOM, WeightsChoice, available_weights, imagenet_names, load_weights
from als_core.storage import code_digest, content_key, repository, results_folder
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.augmentation import FIGURE_5, SECOND_PROTOCOL
from als_core.studies.xia2024.by_donor import splits_by_donor
from als_core.studies.xia2024.recipes import (
    RECIPES,
    SECOND,
    second_protocol,
    variant_of,
    without_augmentation,
)
from als_core.studies.xia2024.splits import augmented_training_set, published_split, second_split
from als_core.training.features import as_input, frozen_inputs
from als_core.training.images import TrainingImages, resized
from als_core.training.recipe import Recipe, reduced
from als_core.training.runs import Run, find_recorded, find_run
from als_core.training.train import build_network, found_device, identify_runs, scaling_of, train_recipe

REDUCED_SIDE = 200
"""Pixels of the recorded runs whose published 400 cost too much: all else as printed, shown and not judged."""


def recorded_folder():
    """Return the folder of runs that are kept with the project."""
    return repository() / "data/recorded/xia2024"  # one literal: `book.freshness` finds inputs by it


def tissue_weights(network: str, amounts: TissueAmounts) -> WeightsChoice:
    """Return which weights a network starts from here, and why. Raises RefusedInput where none are allowed."""
    backbone = build_network(replace(RECIPES[network], side=64), 3, seed=0).backbone
    return available_weights("imagenet", backbone, fallback=amounts.without_imagenet)


def parameter_counts(recipe: Recipe, classes: int) -> tuple[int, int]:
    """Return how many parameters of a recipe's network train, and how many there are."""
    sizes = [
        (each.numel(), each.requires_grad) for each in build_network(recipe, classes, seed=0).parameters()
    ]
    return sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)


def recorded_runs(recipe: Recipe, cohort: Cohort, split: Split, amounts: TissueAmounts) -> list[Run]:
    """Return the recorded runs that a page shows of a recipe on this cohort and split, by seed; none where there are none.

    Those of published size where there are any, else, unless the profile's own images are larger, those on images of
    `REDUCED_SIDE`. Of several trainings of ImageNet weights only the preferred one is shown
    (`models.weights.imagenet_names`); runs from random weights only where the profile would start from them too.
    Numeric precision and compiling may differ.
    """
    if not amounts.recorded:
        return []
    sizes = [recipe]
    if amounts.recipe(recipe.network).side <= REDUCED_SIDE < recipe.side:
        sizes.append(reduced(recipe, side=REDUCED_SIDE))
    backbone = build_network(replace(recipe, side=64), 3, seed=0).backbone
    options = [*product(sizes, imagenet_names(backbone))]
    if backbone is None or (
        amounts.without_imagenet and tissue_weights(recipe.network, amounts).name == RANDOM
    ):
        options += product(sizes, [RANDOM])
    for sized, weights in options:
        if found := find_recorded(recorded_folder(), sized, cohort.digest, split, weights):
            return found
    return []


def tissue_runs(
    network: str,
    cohort: Cohort,
    amounts: TissueAmounts,
    *,
    split: Split | None = None,
    seed: int = 0,
    variant: str = "paper",
) -> list[Run]:
    """Return the runs that a page shows of one network on one split, by default that of the variant.

    Recorded runs where there are any for this cohort; else one run a seed at the sizes of the
    profile, trained here unless they exist. `seed` draws the split. variant: a name in `recipes.VARIANTS`.
    """
    split = split or split_of(variant, cohort, seed)
    if recorded := recorded_runs(variant_of(network, variant), cohort, split, amounts):
        return recorded
    recipe = amounts.recipe(network, variant)
    return recipe_runs(recipe, cohort, amounts, split, range(amounts.runs), seed)


def split_of(variant: str, cohort: Cohort, seed: int = 0) -> Split:
    """Return the split that a variant of the recipes is printed with."""
    return (second_split if variant == SECOND else published_split)(cohort, seed)


def recipe_runs(
    recipe: Recipe, cohort: Cohort, amounts: TissueAmounts, split: Split, seeds: Sequence[int], seed: int = 0
) -> list[Run]:
    """Return the runs of any recipe on one split, one a seed, and train those that are missing. seed: of the copies."""
    weights, store = tissue_weights(recipe.network, amounts).name, results_folder() / "runs"
    identities = identify_runs(recipe, cohort, split, seeds, weights, copies_digest(recipe, seed))
    if all(found := [find_run(store, identity) for identity in identities]):
        return found
    return train_recipe(
        recipe, cohort, split, seeds, training_images(recipe, cohort, split, seed),
        weights=weights, runs=store, features=results_folder() / "features",
    )  # fmt: skip


def training_images(recipe: Recipe, cohort: Cohort, split: Split, seed: int = 0) -> TrainingImages:
    """Return a cohort's images at the recipe's side, with augmented copies of the training part where it uses them.

    Only training images are augmented, after the split, so no copy of a test image is trained on. seed: of the copies.
    """
    images = resized(cohort.images(), recipe.side)
    if recipe.copies == 1:
        return TrainingImages(images)
    train = split.rows("train")
    augmented = augmented_training_set(cohort, split, augmentations_of(recipe), seed)
    sources = augmented.index["source"].to_numpy()[len(train) :]
    copies = resized(augmented.images[len(train) :], recipe.side)
    return TrainingImages(images, copies, train[sources], copies_digest(recipe, seed))


def augmentations_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the augmentations of a recipe's copies: those of Fig. 5, or of section 4.5.2; the first where it asks for fewer."""
    return (SECOND_PROTOCOL if recipe.variant == SECOND else FIGURE_5)[: recipe.copies - 1]


def copies_digest(recipe: Recipe, seed: int) -> str:
    """Return a digest of how a recipe's copies are made; empty where it has none."""
    code = "als_core.studies.xia2024.augmented_set"
    return content_key(code_digest(code), augmentations_of(recipe), seed) if recipe.copies > 1 else ""


def recorded_ablations(cohort: Cohort, amounts: TissueAmounts, seed: int = 0) -> dict[str, list[Run]]:
    """Return recorded runs of changed recipes by what they are: without augmentation, section 4.5.2, smaller images."""
    split, found = published_split(cohort, seed), {}
    for network in ("resnet18", "efficientnet_lite0"):
        recipe = RECIPES[network]
        found[f"{recipe.name}, nine augmented copies"] = recorded_runs(recipe, cohort, split, amounts)
        plain = without_augmentation(recipe)
        found[f"{recipe.name}, no augmentation"] = recorded_runs(plain, cohort, split, amounts)
    other = second_protocol(RECIPES["resnet18"])
    found[f"{other.name}, section 4.5.2"] = recorded_runs(other, cohort, second_split(cohort, seed), amounts)
    for network in ("resnet18_se", "resnet18_cbam"):
        smaller = reduced(RECIPES[network], side=REDUCED_SIDE)
        name = f"{smaller.name}, images of {REDUCED_SIDE} pixels"
        found[name] = recorded_runs(smaller, cohort, split, amounts)
    return {name: runs for name, runs in found.items() if runs}


def donor_splits(cohort: Cohort, seed: int = 0) -> list[Split]:
    """Return one round of splits by donor: together they test each donor once, one of each class at a time.

    Raises RefusedInput where an image and its near-duplicate are of different donors (`cohorts.splits.guard`).
    """
    paths = cohort.samples["path"].tolist()
    splits = splits_by_donor(cohort.labels, cohort.groups, np.random.default_rng(seed))
    return [guard(split, cohort.groups, cohort.twins, paths) for split in splits]


def runs_by_donor(
    networks: Sequence[str], cohort: Cohort, amounts: TissueAmounts, seed: int = 0
) -> dict[str, list[Run]]:
    """Return one run a fold by donor of each network, by network; trained at the profile's sizes unless recorded.

    Every network with a recorded run on each fold is among them, asked for or not.
    """
    splits, shown = donor_splits(cohort, seed), {}
    for network in dict.fromkeys([*networks, *RECIPES]):
        if recorded := _recorded_on_each(network, cohort, splits, amounts):
            shown[network] = recorded
        elif network in networks:
            recipe = amounts.recipe(network)
            shown[network] = [
                run for split in splits for run in recipe_runs(recipe, cohort, amounts, split, [seed], seed)
            ]
    return shown


def _recorded_on_each(
    network: str, cohort: Cohort, splits: Sequence[Split], amounts: TissueAmounts
) -> list[Run]:
    """Return a recorded run of every split, all alike in size and weights; none where one split has none."""
    found = []
    for split in splits:
        if not (runs := recorded_runs(RECIPES[network], cohort, split, amounts)):
            return []
        found.append(runs[0])
    alike = {(run.about["recipe"]["side"], run.about["weights"]) for run in found}
    return found if len(alike) == 1 else []


def frozen_features(
    network: str, cohort: Cohort, amounts: TissueAmounts, images: np.ndarray | None = None
) -> np.ndarray:
    """Return what a network's head is fed for each image when everything before it is frozen, float32 (n, features).

    images: uint8 (n, H, W, 3) in place of the cohort's own, at the recipe's side or larger. Random weights measure
    their batch-norm statistics on images of the whole cohort, which know no label. Computed in the profile's precision.
    """
    recipe, weights = amounts.recipe(network), tissue_weights(network, amounts).name
    own = resized(cohort.images(), recipe.side) if images is None or weights == RANDOM else None
    built = build_network(recipe, len(cohort.classes), seed=0)
    scaling = scaling_of(built)
    measured_on = as_input(torch.from_numpy(own), scaling) if weights == RANDOM else None
    load_weights(built, weights, images=measured_on)
    shown = own if images is None else resized(images, recipe.side)
    inputs = frozen_inputs(
        built.stages[:-1], [shown], scaling,
        device=found_device(), folder=results_folder() / "features", precision=recipe.precision,
    )  # fmt: skip
    return inputs.batch(torch.arange(len(shown))).cpu().numpy()
