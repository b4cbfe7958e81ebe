"""A toy network, cohort and images that the training tests share."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split
from als_core.models.attention import SqueezeExcitation
from als_core.models.stages import seeded, set_trainable
from als_core.training.images import TrainingImages
from als_core.training.recipe import Recipe
from als_core.training.runs import Run
from als_core.training.train import train_recipe

SIDE, CLASSES, N = 8, 3, 45

TOY = Recipe("Toy", "toy", "published", 3e-2, 8, 20, 1e-3, ("gate", "head"), side=SIDE, copies=1)
HEAD_ONLY = Recipe("Toy head", "toy", "published", 0.3, 8, 20, 1e-3, ("pool", "head"), side=SIDE, copies=1)


class Toy(nn.Module):
    """The least that training asks of a network: named stages run one after another."""

    backbone = None  # no pretrained weights exist for it

    def __init__(self, stages: OrderedDict[str, nn.Module]):
        super().__init__()
        self.stages = nn.Sequential(stages)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.stages(images)


def network(seed: int, dropout: float = 0.0, gate_seed: int | None = None) -> Toy:
    """Convolution and batch norm, an SE gate that sees 16 channels, convolution and batch norm, pool, head.

    As with pretrained weights, all but gate and head is the same for every seed; with `gate_seed` the gate too.
    """

    def block(inputs: int, outputs: int) -> nn.Sequential:
        norm = nn.BatchNorm2d(outputs)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), norm, nn.ReLU(inplace=True))

    with seeded(0):
        stages = OrderedDict(stem=block(3, 16), gate=nn.Identity(), body=block(16, 16))
    with seeded(seed if gate_seed is None else gate_seed):
        stages["gate"] = SqueezeExcitation(16)
    with seeded(seed):
        stages["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        head = nn.Linear(16, CLASSES)
        stages["head"] = nn.Sequential(nn.Dropout(dropout), head) if dropout else head
    return Toy(stages)


def frozen(seed: int, recipe: Recipe = TOY, dtype: torch.dtype = torch.float32, **more) -> Toy:
    """The toy network with what trains set as the recipe says."""
    built = network(seed, **more).to(dtype)
    names = [name for name, _ in built.stages.named_children() if name not in recipe.trains]
    set_trainable(built, recipe.trains, names if recipe.batch_norm == "train" else ())
    return built


def builder(recipe, n_classes, seed):
    """What `train_recipe` takes in place of a recipe's own builder."""
    return network(seed) if "gate" in recipe.trains else network(seed, gate_seed=0)


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 8, 8, 3) noise, colour number `label` lifted by 60 levels; labels (N,)."""
    labels = np.arange(N) % CLASSES
    images = np.random.default_rng(0).integers(40, 160, (N, SIDE, SIDE, 3))
    images[np.arange(N), :, :, labels] += 60
    return images.astype(np.uint8), labels


def train(folder: Path, recipe=TOY, seeds=(0, 1), images=None, **more) -> list[Run]:
    """`train_recipe` on the toy cohort and network, with its folders under `folder`."""
    cohort, split, toy_images = cohort_split_images()
    return train_recipe(
        recipe, cohort, split, seeds, images or toy_images, weights="random",
        runs=folder / "runs", features=folder / "features", device=torch.device("cpu"), **{"builder": builder} | more,
    )  # fmt: skip


def cohort_split_images() -> tuple[Cohort, Split, TrainingImages]:
    """A cohort of the toy images, two of each five samples held out, and its images."""
    images, labels = images_and_labels()
    names = np.array(["control", "concordant", "discordant"])
    samples = pd.DataFrame({"path": [f"images/{i}.png" for i in range(N)], "label": names[labels]})
    cohort = Cohort("toy", Path("toy"), "synthetic", samples, (SIDE, SIDE))
    parts = np.array(["train", "train", "train", "validation", "test"])[np.arange(N) // 3 % 5]
    return cohort, Split("by image", "image", parts), TrainingImages(images)
