"""The runs of the tissue study at the amounts of a profile: one split and several seeds, or several splits (Xia 2024, 4.6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split, guard
from als_core.models.stages import set_trainable
from als_core.models.weights import WeightsChoice, available_weights, load_weights
from als_core.storage import repository, results_folder
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.by_donor import splits_by_donor
from als_core.studies.xia2024.networks import build_tissue_network
from als_core.studies.xia2024.splits import augmented_training_set, published_split
from als_core.training.features import IMAGENET_SCALING, as_input, frozen_inputs
from als_core.training.images import TrainingImages, prepare_images, resized
from als_core.training.recipe import Recipe
from als_core.training.runs import Run
from als_core.training.train import found_device, train_recipe


def tissue_weights(network: str, amounts: TissueAmounts) -> WeightsChoice:
    """Which pretrained weights a network starts from here, and why. Raises RefusedInput where none are allowed."""
    backbone = build_tissue_network(network, side=64, seed=0).backbone
    return available_weights("imagenet", backbone, fallback=amounts.without_imagenet)


def parameter_counts(recipe: Recipe, classes: int) -> tuple[int, int]:
    """How many parameters of a recipe's network train, and how many there are."""
    network = build_tissue_network(
        recipe.network, classes=classes, side=recipe.side, variant=recipe.variant, seed=0
    )
    set_trainable(network, recipe.trains)
    sizes = [(each.numel(), each.requires_grad) for each in network.parameters()]
    return sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)


def tissue_runs(
    network: str,
    cohort: Cohort,
    amounts: TissueAmounts,
    *,
    split: Split | None = None,
    seed: int = 0,
) -> list[Run]:
    """All seeds of one network on one split (by default the published one, drawn with `seed`).

    Runs that are there, or recorded, are not trained again. Augmented copies are made only where the
    recipe trains on them and something has to be trained.
    """
    split = split or published_split(cohort, seed)
    return recipe_runs(amounts.recipe(network), cohort, amounts, split, range(amounts.runs), seed)


def recipe_runs(
    recipe: Recipe, cohort: Cohort, amounts: TissueAmounts, split: Split, seeds: Sequence[int], seed: int = 0
) -> list[Run]:
    """As `tissue_runs` for any recipe and seeds. seed: of the augmented copies."""

    def material() -> TrainingImages:
        copies = augmented_training_set(cohort, split, seed) if recipe.copies > 1 else None
        return prepare_images(recipe, cohort, split, copies)

    return train_recipe(
        recipe,
        cohort,
        split,
        seeds,
        material,
        weights=tissue_weights(recipe.network, amounts).name,
        runs=results_folder() / "runs",
        features=results_folder() / "features",
        recorded=repository() / "data/recorded",
    )


def runs_by_donor(network: str, cohort: Cohort, amounts: TissueAmounts, seed: int = 0) -> list[Run]:
    """One run of a network for each split of a round by donor: together they test each of its donors once.

    Raises RefusedInput where an image and its copy are of different donors (`cohorts.splits.guard`).
    """
    recipe, paths = amounts.recipe(network), cohort.samples["path"].tolist()
    splits = splits_by_donor(cohort.labels, cohort.groups, np.random.default_rng(seed))
    runs = (
        recipe_runs(recipe, cohort, amounts, guard(split, cohort.groups, cohort.twins, paths), [seed], seed)
        for split in splits
    )
    return [run for runs_of_split in runs for run in runs_of_split]


def frozen_features(network: str, cohort: Cohort, amounts: TissueAmounts) -> np.ndarray:
    """What a network's head is given for each image when all before it is frozen: float32 (n, features).

    At the recipe's side. Random weights measure their batch-norm statistics on all images of the cohort,
    without their labels.
    """
    recipe = amounts.recipe(network)
    images = resized(cohort.images(), recipe.side)
    built = build_tissue_network(network, classes=len(cohort.classes), side=recipe.side, seed=0)
    scaled = as_input(torch.from_numpy(images), IMAGENET_SCALING)
    load_weights(built, tissue_weights(network, amounts).name, images=scaled)
    inputs = frozen_inputs(
        built.stages[:-1],
        [images],
        IMAGENET_SCALING,
        storage="fp32",
        device=found_device(),
        folder=results_folder() / "features",
    )
    return inputs.batch(torch.arange(len(images))).cpu().numpy()
