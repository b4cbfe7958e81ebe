"""All seeds of a recipe, from a cohort to finished runs: the one way runs come about.

What is there already is not trained again, a recorded run stands in for one, an interrupted run goes on
where it was, and two processes never train the same run. Where all but a linear head is frozen, all
seeds are trained at once; otherwise one after the other over a shared frozen prefix.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split
from als_core.models.stages import StagedNetwork, set_trainable
from als_core.models.weights import calibrate_batch_norm, load_weights
from als_core.refusal import refuse_if
from als_core.storage import content_key, exclusive_lock, remove_orphans
from als_core.studies.xia2024.networks import build_tissue_network
from als_core.training.epochs import raise_if_not_finite, seeded_dropout
from als_core.training.features import (
    IMAGENET_SCALING,
    Inputs,
    Scaling,
    as_input,
    cohort_scaling,
    frozen_inputs,
    image_inputs,
    state_dict_digest,
)
from als_core.training.fit import class_scores, first_run_stage, fit
from als_core.training.heads import stacked, train_heads, unstacked
from als_core.training.images import TrainingImages, shape_errors
from als_core.training.recipe import CHECKPOINT_RULES, Recipe
from als_core.training.runs import SCORE, Run, RunIdentity, code_version, find_recorded, find_run, write_run

CODE = (
    "als_core.studies.xia2024.augmentation",
    "als_core.studies.xia2024.augmented_set",
    "als_core.models.attention",
    "als_core.models.channels_last",
    "als_core.models.cpu_forms",
    "als_core.models.dense_blocks",
    "als_core.models.folding",
    "als_core.models.stages",
    "als_core.studies.xia2024.networks",
    "als_core.models.transitions",
    "als_core.models.weights",
    *(
        f"als_core.training.{name}"
        for name in (
            "compiling",
            "course",
            "fit",
            "heads",
            "material",
            "prefix",
            "recipes",
            "repeats",
            "running",
        )
    ),
)
"""Modules whose source is a run's code version."""

Builder = Callable[[int], nn.Module]
"""Seed -> network of stages on the CPU with its starting weights; what trains is set by the recipe."""


def train_recipe(
    recipe: Recipe,
    cohort: Cohort,
    split: Split,
    seeds: Sequence[int],
    material: Callable[[], TrainingImages],
    *,
    weights: str,
    runs: Path,
    features: Path | None,
    device: torch.device | None = None,
    recorded: Path | None = None,
    builder: Callable[[Recipe, int, str, Tensor], Builder] | None = None,
    code: Sequence[str] = CODE,
    save_every: int = 10,
) -> list[Run]:
    """Runs of a recipe on one split, one a seed in the order of `seeds`; those not there yet are trained.

    material: gives the images; called only where something has to be trained. weights: `imagenet`,
    `random` or a path, as resolved by `models.weights.available_weights`. runs: folder of the store.
    features: folder of frozen prefixes' outputs, None to keep them in memory. device: the one
    found by default. recorded: folder of recorded runs, looked into first. builder: (recipe, number of classes, weights, scaled training
    images (n, 3, H, W)) -> `Builder`; by default the networks of `models.tissue`. code: modules whose
    source belongs to the runs' identity. save_every: epochs between two saved states of a run.
    Raises `course.Diverged`, and RefusedInput for material that does not fit recipe and cohort.
    """
    version = code_version(code)
    identities = [
        RunIdentity(recipe, split.name, content_key(split.parts.tolist()), seed, cohort.name, cohort.digest,
                    weights, version)
        for seed in seeds
    ]  # fmt: skip

    def there() -> list[Run | None]:
        kept = [find_recorded(recorded, identity) if recorded else None for identity in identities]
        return [run or find_run(runs, identity) for run, identity in zip(kept, identities, strict=True)]

    if all(found := there()):
        return found
    images = material()
    refuse_if(f"Training {recipe.title}", shape_errors(images, recipe, cohort, split))
    scaling = cohort_scaling(images.images) if recipe.scaling == "cohort" else IMAGENET_SCALING
    build = (builder or tissue_builder)(
        recipe, len(cohort.classes), weights, _scaled(images, split.rows("train"), scaling)
    )
    work = _Work(
        recipe, cohort, split, images, build, scaling, Path(runs), features, device or found_device()
    )
    if work.head_only:
        # all seeds in one batch, also those that are there: a batch of other size may round otherwise
        with exclusive_lock(work.runs / content_key([identity.key for identity in identities])):
            if not all(there()):
                work.run_heads(identities)
    else:
        for identity, run in zip(identities, found, strict=True):
            if run is None:
                with exclusive_lock(work.runs / identity.key):
                    if find_run(runs, identity) is None:
                        work.run_one(identity, save_every)
    return there()


def tissue_builder(recipe: Recipe, n_classes: int, weights: str, images: Tensor) -> Builder:
    """Builder of the recipe's network from `models.tissue` with the named weights, which are read once.

    images: scaled training images; random weights measure their batch-norm statistics on them.
    """
    build = partial(
        build_tissue_network, recipe.network, classes=n_classes, side=recipe.side, variant=recipe.variant
    )  # fmt: skip
    first = build(seed=0)
    covered = load_weights(first, weights, images=images).covered
    loaded = {name: tensor for name, tensor in first.state_dict().items() if name in covered}

    def with_weights(seed: int) -> StagedNetwork:
        network = build(seed=seed)
        network.load_state_dict({**network.state_dict(), **loaded})
        return network

    return with_weights


def trained_network(run: Run) -> StagedNetwork:
    """The network of `models.tissue` that a run trained, with the weights it kept, in eval mode on the CPU.

    Raises RefusedInput for a recorded run, which has no weights.
    """
    recipe = Recipe.from_data(run.about["recipe"])
    network = build_tissue_network(
        recipe.network, classes=len(run.classes), side=recipe.side, variant=recipe.variant, seed=0
    )
    network.load_state_dict(run.weights())
    return network.eval()


def found_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class _Work:
    """What the runs of one recipe, cohort and split share while they are made."""

    recipe: Recipe
    cohort: Cohort
    split: Split
    material: TrainingImages
    build: Builder
    scaling: Scaling
    runs: Path
    features: Path | None
    device: torch.device
    began: float = field(default_factory=time.time)
    shared: dict[str, Inputs] = field(default_factory=dict)

    @cached_property
    def labels(self) -> Tensor:
        """Class number of each row of the material."""
        return torch.from_numpy(self.cohort.labels[self.material.samples])

    @cached_property
    def train(self) -> Tensor:
        """Rows that are trained on."""
        return torch.from_numpy(self.material.training_rows(self.split))

    @cached_property
    def validation(self) -> Tensor:
        """Rows that the checkpoint is chosen on."""
        return torch.from_numpy(self.split.rows("validation"))

    @cached_property
    def head_only(self) -> bool:
        """Whether everything but a linear head is frozen and nothing asks for the general loop."""
        network = self.freeze(self.build(0))
        alone = first_run_stage(self.recipe, network) == len(network.stages) - 1
        return alone and isinstance(network.stages[-1], nn.Linear) and self.recipe.plateau is None

    def freeze(self, network: nn.Module) -> nn.Module:
        """Set what trains, and whether the batch norm of the rest follows the batches."""
        frozen = [name for name, _ in network.stages.named_children() if name not in self.recipe.trains]
        set_trainable(network, self.recipe.trains, frozen if self.recipe.batch_norm == "train" else ())
        return network

    def network(self, seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
        """A seed's network on the device, ready to train, and a copy of the state it was built with."""
        network = self.build(seed)
        start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self.freeze(network).to(self.device)
        if self.recipe.batch_norm == "adapt":
            images = _scaled(self.material, self.split.rows("train"), self.scaling)
            with seeded_dropout(seed, self.device):
                calibrate_batch_norm(network, images.to(self.device))
        return network, start

    def inputs(self, network: nn.Module) -> Inputs:
        """Images, or the frozen prefix's output, which all seeds of equal prefix share."""
        prefix = network.stages[: first_run_stage(self.recipe, network)]
        key = state_dict_digest(prefix.state_dict())
        if key not in self.shared:
            self.shared.clear()  # one at a time: they can be gigabytes
            if len(prefix):
                self.shared[key] = frozen_inputs(
                    prefix, self.material.blocks, self.scaling, storage=self.recipe.feature_storage,
                    device=self.device, folder=self.features, precision=self.recipe.precision,
                )  # fmt: skip
            else:
                self.shared[key] = image_inputs(
                    self.material.blocks, self.scaling, torch.float32, self.device
                )
        return self.shared[key]

    def run_heads(self, identities: Sequence[RunIdentity]) -> None:
        """Train the heads of all seeds of equal prefix together and write every run that is not there."""
        companies: dict[str, list] = {}
        for identity in identities:
            network, start = self.network(identity.seed)
            prefix = state_dict_digest(network.stages[:-1].state_dict())
            companies.setdefault(prefix, []).append((identity, network, start))
        for company in companies.values():
            networks = [network for _, network, _ in company]
            inputs = self.inputs(networks[0])
            heads = train_heads(
                self.recipe, inputs.batch(torch.arange(len(inputs))), self.labels.to(self.device), self.train,
                self.validation, stacked([network.stages[-1] for network in networks]),
                [identity.seed for identity, _, _ in company],
            )  # fmt: skip
            for place, (identity, network, start) in enumerate(company):
                if find_run(self.runs, identity) is None:
                    network.stages[-1].load_state_dict(unstacked(heads.weights[place]))
                    chosen = int(heads.chosen_epochs[place])
                    self.write(identity, network, start, heads.histories[place], chosen)

    def run_one(self, identity: RunIdentity, save_every: int) -> None:
        """Train one run, from the state an interrupted one left where there is one, and write it."""
        network, start = self.network(identity.seed)
        state = self.runs / ".unfinished" / f"{identity.key}.pt"
        remove_orphans(state)
        fitted = fit(
            self.recipe, network, self.inputs(network), self.labels, self.train, self.validation,
            identity.seed, state=state, save_every=save_every,
        )  # fmt: skip
        self.write(identity, network, start, fitted.history, fitted.chosen_epoch)
        state.unlink(missing_ok=True)

    def write(
        self,
        identity: RunIdentity,
        network: nn.Module,
        start: dict[str, Tensor],
        history: pd.DataFrame,
        chosen_epoch: int,
    ) -> None:
        """Score every sample and write the run's folder."""
        samples = torch.arange(len(self.cohort.labels))
        # a head trained alone was trained in fp32, so it answers in fp32
        recipe = replace(self.recipe, precision="fp32") if self.head_only else self.recipe
        scores = class_scores(recipe, network.eval(), self.inputs(network), samples)
        raise_if_not_finite(identity.recipe.title, identity.seed, chosen_epoch, scores)
        shares = scores.double().softmax(1).cpu().numpy()
        told = {
            "path": self.cohort.samples["path"], "part": self.split.parts, "label": self.cohort.samples["label"],
        }  # fmt: skip
        told |= {SCORE + name: shares[:, number] for number, name in enumerate(self.cohort.classes)}
        parts, counts = np.unique(self.split.parts, return_counts=True)
        cut = first_run_stage(self.recipe, network)
        about = {
            "chosen_epoch": chosen_epoch,
            "checkpoint_rule": CHECKPOINT_RULES[self.recipe.checkpoint],
            "cached_prefix": [name for name, _ in network.stages.named_children()][:cut],
            "scaling": [list(self.scaling.mean), list(self.scaling.sd)],
            "training_images": len(self.train),
            "samples": dict(zip(parts.tolist(), counts.tolist(), strict=True)),
            **_circumstances(self.device, self.began),
        }
        state = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        frozen = [name for name, tensor in state.items() if torch.equal(tensor, start[name])]
        write_run(self.runs, identity, about, history, pd.DataFrame(told), state, frozen)


def _scaled(material: TrainingImages, rows: np.ndarray, scaling: Scaling) -> Tensor:
    return as_input(torch.from_numpy(material.images[rows]), scaling)


def _circumstances(device: torch.device, began: float) -> dict[str, Any]:
    """Device, versions and times: what a run's numbers may depend on in their last digits.

    seconds: since work on this recipe began in this process, seeds before it included.
    """
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else f"CPU ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "versions": {module.__name__: module.__version__ for module in (torch, np)}
        | {"python": platform.python_version()},
        "began": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - began, 1),
    }
