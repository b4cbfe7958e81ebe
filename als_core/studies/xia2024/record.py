"""Record runs for the book: the plan, in the order in which each hour of computing buys the most.

`als record` works through the plan, run by run. It resumes an interrupted run, skips what is recorded already, and
copies each finished run without its weights to `data/recorded/xia2024`, with the heatmaps of its test images.
Runs are of published size, but for jobs on smaller images (`train.REDUCED_SIDE`), which are shown and not judged.
Runs with gates or trained convolutions compute in bf16 through `torch.compile` on a CPU; each run says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split
from als_core.explain.grad_cam import layer_map
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.heatmaps import BATCH, map_layers, network_inputs
from als_core.studies.xia2024.recipes import RECIPES, second_protocol, without_augmentation
from als_core.studies.xia2024.splits import published_split, second_split
from als_core.studies.xia2024.train import (
    REDUCED_SIDE,
    donor_splits,
    recipe_runs,
    recorded_folder,
    tissue_weights,
)
from als_core.training.epochs import Diverged
from als_core.training.recipe import Recipe, reduced
from als_core.training.runs import Run, find_recorded, record_run
from als_core.training.train import trained_network

BY_IMAGE, BY_DONOR, SECOND = "image", "donor", "80/20"


@dataclass(frozen=True)
class Job:
    """Runs of one recipe: one a seed on one split by image, or one a fold by donor.

    network : key of the registry. split : "image", "donor" or "80/20". seeds : number of seeds; folds have seed 0.
    side : smaller than published, which marks the runs as a substitute; None for the recipe's own.
    change : what makes an ablation of the recipe, or None. fast : bf16 and compiled, on a CPU.
    """

    network: str
    split: str
    seeds: int = 5
    side: int | None = None
    change: Callable[[Recipe], Recipe] | None = None
    fast: bool = False

    @property
    def recipe(self) -> Recipe:
        """The recipe these runs are trained by."""
        recipe = RECIPES[self.network]
        recipe = self.change(recipe) if self.change else recipe
        recipe = reduced(recipe, side=self.side)
        return replace(recipe, precision="bf16", compiled=True) if self.fast else recipe

    def __str__(self) -> str:
        unit = "folds by donor" if self.split == BY_DONOR else f"seeds by {self.split}"
        return f"{self.recipe.title}, {unit}"


PLAN = (
    *(
        Job(network, split)
        for network in ("resnet18", "efficientnet_lite0")
        for split in (BY_IMAGE, BY_DONOR)
    ),
    Job("densenet121", BY_IMAGE),
    *(Job(network, BY_IMAGE, change=without_augmentation) for network in ("resnet18", "efficientnet_lite0")),
    Job("resnet18", SECOND, change=second_protocol),
    Job("resnet18_se", BY_IMAGE, seeds=3, fast=True),
    Job("resnet18_cbam", BY_IMAGE, seeds=1, fast=True),
    Job("basic_cnn", BY_IMAGE, seeds=1, fast=True),
    Job("resnet18_se", BY_IMAGE, side=REDUCED_SIDE, fast=True),
    Job("resnet18_cbam", BY_IMAGE, side=REDUCED_SIDE, fast=True),
    Job("resnet18_se", BY_DONOR, side=REDUCED_SIDE, fast=True),
    Job("resnet18_se", BY_IMAGE, fast=True),
    Job("resnet18_cbam", BY_IMAGE, fast=True),
    Job("basic_cnn", BY_IMAGE, fast=True),
    Job("miniset_densesenet", BY_IMAGE, fast=True),
)


def chosen_jobs(numbers: str) -> tuple[Job, ...]:
    """Return the jobs of the plan with these numbers: "8", "0-5", or "" for all. Raises RefusedInput for others."""
    first, dash, last = numbers.partition("-")
    if not numbers:
        return PLAN
    ends = [end for end in (first, last if dash else first) if end.isdecimal() and int(end) < len(PLAN)]
    if len(ends) < 2 or int(ends[0]) > int(ends[1]):
        expected = f"a number from 0 to {len(PLAN) - 1}, or two of them, such as 0-5"
        problem = Problem(
            "--jobs", numbers, expected, "`als record --list` prints the plan with its numbers."
        )
        raise RefusedInput("The jobs to record", [problem])
    return PLAN[int(ends[0]) : int(ends[1]) + 1]


def record(cohort: Cohort, plan: tuple[Job, ...] = PLAN) -> Iterator[str]:
    """Train and record what the plan lacks, run by run; yield a line for each run.

    Where no ImageNet weights can be had, heads train on random weights. A network with gates or trained
    convolutions is then left out of the plan: on random weights it would show nothing about the paper.
    Of a run that diverges the line says so, and the plan goes on.

    Raises
    ------
    RefusedInput
        At the end of the plan, naming every run that diverged.
    """
    diverged = []
    sizes = TissueAmounts(without_imagenet="random")
    for job in plan:
        weights = tissue_weights(job.network, sizes).name
        if job.fast and weights == "random" and job.network != "basic_cnn":
            yield f"{job}: no ImageNet weights here, left out"
            continue
        for split, seeds in _runs_of(job, cohort):
            known = find_recorded(recorded_folder(), job.recipe, cohort.digest, split, weights)
            missing = [seed for seed in seeds if seed not in {run.about["seed"] for run in known}]
            # heads train together; other runs one by one, each recorded as it ends
            for together in [[seed] for seed in missing] if job.fast else [missing]:
                for seed, run in _trained(job.recipe, cohort, sizes, split, together):
                    line = f"{job}, {split.name}, seed {seed}"
                    if isinstance(run, Diverged):
                        diverged.append(
                            Problem(
                                line, str(run), "a run to its last epoch", "Record it again, or report it."
                            )
                        )
                        yield f"{line}: {run}"
                        continue
                    folder = record_run(
                        run, recorded_folder() / job.network, heatmaps_of_test_images(run, cohort)
                    )
                    yield f"{line}: {folder.name}, {run.about['seconds']:.0f} s"
    refuse_if("Recording the plan", diverged)


def _trained(
    recipe: Recipe, cohort: Cohort, amounts: TissueAmounts, split: Split, seeds: Sequence[int]
) -> list[tuple[int, Run | Diverged]]:
    """Return the run of each seed, or what stopped it; heads that train together stop together, so each is then tried alone."""
    try:
        return [(run.about["seed"], run) for run in recipe_runs(recipe, cohort, amounts, split, seeds)]
    except Diverged as stopped:
        if len(seeds) == 1:
            return [(seeds[0], stopped)]
    return [pair for seed in seeds for pair in _trained(recipe, cohort, amounts, split, [seed])]


def heatmaps_of_test_images(run: Run, cohort: Cohort) -> dict[str, np.ndarray]:
    """Return Grad-CAM at the last convolutional layer for the run's test images and every class.

    Keys: `sample` (n,), row in the cohort; `last` (n, classes, h, w), each map divided by its greatest value;
    `greatest` (n, classes), in units of the score. The run did not train on these images.
    """
    network = trained_network(run)
    samples = np.flatnonzero(run.predictions["part"] == "test")
    inputs = network_inputs(run, cohort, samples.tolist())
    layer = map_layers(network)["last"]
    of_classes = []
    for number in range(len(run.classes)):
        batches = inputs.split(BATCH)
        targets = (torch.full((len(batch),), number) for batch in batches)
        maps = [layer_map(network, *pair, layer) for pair in zip(batches, targets, strict=True)]
        of_classes.append(torch.cat(maps).clamp(min=0))
    maps = torch.stack(of_classes, dim=1)
    greatest = maps.amax((2, 3))
    scaled = maps / greatest.clamp(min=torch.finfo(maps.dtype).tiny)[:, :, None, None]
    return {"sample": samples, "last": scaled.numpy(), "greatest": greatest.numpy()}


def _runs_of(job: Job, cohort: Cohort) -> Iterator[tuple[Split, range]]:
    if job.split == BY_DONOR:
        yield from ((split, range(1)) for split in donor_splits(cohort))
        return
    split = (second_split if job.split == SECOND else published_split)(cohort)
    yield split, range(job.seeds)
