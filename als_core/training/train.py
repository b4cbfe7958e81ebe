"""Train a recipe for several seeds and store the runs. All training of staged networks goes through here.

Runs that exist are not trained again, an interrupted run goes on where it was, and two processes never train the same
run. Where all but a linear head is frozen, all seeds are trained at once; otherwise one after the other over a shared
frozen prefix.
"""

from __future__ import annotations

import importlib
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.splits import Split
from als_core.models.stages import IMAGENET_SCALING, Scaling, StagedNetwork, seeded, set_trainable
from als_core.models.weights import LoadedWeights, calibrate_batch_norm, load_weights, state_dict_digest
from als_core.refusal import refuse_if
from als_core.storage import code_digest, content_key, exclusive_lock, remove_orphans
from als_core.training.epochs import raise_if_not_finite
from als_core.training.features import Inputs, as_input, cohort_scaling, frozen_inputs, image_inputs
from als_core.training.fit import class_scores, first_run_stage, fit
from als_core.training.heads import stacked, train_heads, unstacked
from als_core.training.images import TrainingImages, shape_errors
from als_core.training.recipe import CHECKPOINT_RULES, Recipe
from als_core.training.runs import SCORE, Run, RunIdentity, find_run, write_run

Builder = Callable[[Recipe, int, int], nn.Module]
"""(recipe, number of classes, seed) -> staged network on the CPU with initial values drawn from the seed."""


def build_network(recipe: Recipe, classes: int, seed: int) -> StagedNetwork:
    """Build a recipe's network with initial values drawn from `seed`; the recipe's stages train.

    The global random state is left as it was. Raises RefusedInput for sizes the network cannot take.
    """
    module, _, function = recipe.builder.partition(":")
    build = getattr(importlib.import_module(module), function)
    with seeded(seed):
        network = build(classes=classes, side=recipe.side, **dict(recipe.options))
    return freeze(recipe, network)


def freeze(recipe: Recipe, network: nn.Module) -> nn.Module:
    """Set which stages train, and whether the batch norm of the others follows the batches; return the network."""
    frozen = [name for name, _ in network.stages.named_children() if name not in recipe.trains]
    set_trainable(network, recipe.trains, frozen if recipe.batch_norm == "train" else ())
    return network


def identify_runs(
    recipe: Recipe, cohort: Cohort, split: Split, seeds: Sequence[int], weights: str, copies: str = ""
) -> list[RunIdentity]:
    """Return the identities of a recipe's runs on one split, one a seed.

    weights: name as in `models.weights`. copies: `TrainingImages.copies_digest`.
    """
    modules = [recipe.builder.partition(":")[0]] if recipe.builder else []
    code, parts = code_digest(__name__, *modules), content_key(split.parts.tolist())
    return [
        RunIdentity(recipe, split.name, parts, seed, cohort.name, cohort.digest, weights, code, copies)
        for seed in seeds
    ]


def train_recipe(
    recipe: Recipe,
    cohort: Cohort,
    split: Split,
    seeds: Sequence[int],
    images: TrainingImages,
    *,
    weights: str,
    runs: Path,
    features: Path | None,
    device: torch.device | None = None,
    builder: Builder = build_network,
    save_every: int = 10,
) -> list[Run]:
    """Train a recipe on one split and return its runs, one a seed in the order of `seeds`.

    Parameters
    ----------
    recipe, cohort, split, seeds
    images : TrainingImages
    weights : str
        Starting weights as `models.weights.load_weights` takes them.
    runs : Path
        Folder of the store. Runs that are there are not trained again.
    features : Path or None
        Folder of frozen prefixes' outputs; None keeps them in memory.
    device : torch.device, optional
        By default the GPU where there is one.
    builder : Builder
    save_every : int
        Epochs between two saved states of a run.

    Raises
    ------
    epochs.Diverged
    RefusedInput
        For images that do not fit recipe, cohort or split.
    """
    identities = identify_runs(recipe, cohort, split, seeds, weights, images.copies_digest)
    if all(found := [find_run(runs, identity) for identity in identities]):
        return found
    refuse_if(f"Training {recipe.title}", shape_errors(images, recipe, cohort, split))
    work = _Work(
        recipe, cohort, split, images, weights, builder, Path(runs), features, device or found_device()
    )
    if work.head_only:
        # all seeds in one batch, also those that exist: a batch of another size may round otherwise
        with exclusive_lock(work.runs / content_key([identity.key for identity in identities])):
            if not all(find_run(runs, identity) for identity in identities):
                work.run_heads(identities)
    else:
        for identity in identities:
            with exclusive_lock(work.runs / identity.key):
                if find_run(runs, identity) is None:
                    work.run_one(identity, save_every)
    return [find_run(runs, identity) for identity in identities]


def trained_network(run: Run) -> StagedNetwork:
    """Return the network that a run trained, with the weights it kept, in eval mode on the CPU.

    Raises RefusedInput for a recorded run, which has no weights.
    """
    network = build_network(Recipe.from_data(run.about["recipe"]), len(run.classes), seed=0)
    network.load_state_dict(run.weights())
    return network.eval()


def found_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class _Work:
    """What the runs of one recipe, cohort and split share while they are made."""

    recipe: Recipe
    cohort: Cohort
    split: Split
    images: TrainingImages
    weights: str
    builder: Builder
    runs: Path
    features: Path | None
    device: torch.device
    began: float = field(default_factory=time.time)
    shared: dict[str, Inputs] = field(default_factory=dict)

    @cached_property
    def labels(self) -> Tensor:
        """Class number of each row of the images."""
        return torch.from_numpy(self.cohort.labels[self.images.samples])

    @cached_property
    def train(self) -> Tensor:
        """Rows that are trained on."""
        return torch.from_numpy(self.images.training_rows(self.split))

    @cached_property
    def validation(self) -> Tensor:
        """Rows that the checkpoint is chosen on."""
        return torch.from_numpy(self.split.rows("validation"))

    def plain(self, seed: int) -> nn.Module:
        """A seed's network before pretrained weights are put in."""
        return freeze(self.recipe, self.builder(self.recipe, len(self.cohort.classes), seed))

    @cached_property
    def scaling(self) -> Scaling:
        """How pixels are scaled: as the pretrained weights expect, or by the cohort."""
        if self.recipe.scaling == "cohort":
            return cohort_scaling(self.images.images)
        return scaling_of(self.plain(0))

    @cached_property
    def pretrained(self) -> tuple[LoadedWeights, dict[str, Tensor]]:
        """The starting weights, read once, and their tensors."""
        network = self.plain(0)
        loaded = load_weights(network, self.weights, images=self.scaled_training_images())
        state = {name: tensor for name, tensor in network.state_dict().items() if name in loaded.covered}
        return loaded, state

    def scaled_training_images(self) -> Tensor:
        """Training images without copies, (n, 3, H, W)."""
        return as_input(torch.from_numpy(self.images.images[self.split.rows("train")]), self.scaling)

    @cached_property
    def head_only(self) -> bool:
        """Whether everything but a linear head is frozen and nothing asks for the general loop."""
        network = self.plain(0)
        alone = first_run_stage(self.recipe, network) == len(network.stages) - 1
        return alone and isinstance(network.stages[-1], nn.Linear) and self.recipe.plateau is None

    def network(self, seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
        """A seed's network on the device, ready to train, and a copy of the state it started from."""
        network = self.plain(seed)
        network.load_state_dict({**network.state_dict(), **self.pretrained[1]})
        start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        network.to(self.device)
        if self.recipe.batch_norm == "adapt":
            with seeded(seed, self.device):
                calibrate_batch_norm(network, self.scaled_training_images().to(self.device))
        return network, start

    def inputs(self, network: nn.Module) -> Inputs:
        """Images, or the frozen prefix's output, which all seeds of equal prefix share."""
        prefix = network.stages[: first_run_stage(self.recipe, network)]
        key = state_dict_digest(prefix.state_dict())
        if key not in self.shared:
            self.shared.clear()  # one at a time: they can be gigabytes
            if len(prefix):
                self.shared[key] = frozen_inputs(
                    prefix, self.images.blocks, self.scaling,
                    device=self.device, folder=self.features, precision=self.recipe.precision,
                )  # fmt: skip
            else:
                self.shared[key] = image_inputs(self.images.blocks, self.scaling, torch.float32, self.device)
        return self.shared[key]

    def run_heads(self, identities: Sequence[RunIdentity]) -> None:
        """Train the heads of all seeds of equal prefix together and write every run that does not exist."""
        by_prefix: dict[str, list] = {}
        for identity in identities:
            network, start = self.network(identity.seed)
            prefix = state_dict_digest(network.stages[:-1].state_dict())
            by_prefix.setdefault(prefix, []).append((identity, network, start))
        for group in by_prefix.values():
            networks = [network for _, network, _ in group]
            inputs = self.inputs(networks[0])
            heads = train_heads(
                self.recipe, inputs.batch(torch.arange(len(inputs))), self.labels.to(self.device), self.train,
                self.validation, stacked([network.stages[-1] for network in networks]),
                [identity.seed for identity, _, _ in group],
            )  # fmt: skip
            for place, (identity, network, start) in enumerate(group):
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
        # a head trained alone was trained in fp32, so its scores are fp32
        recipe = replace(self.recipe, precision="fp32") if self.head_only else self.recipe
        samples = torch.arange(len(self.cohort.labels))
        scores = class_scores(recipe, network.eval(), self.inputs(network), samples)
        raise_if_not_finite(identity.recipe.title, identity.seed, chosen_epoch, scores, "score")
        shares = scores.double().softmax(1).cpu().numpy()
        columns = {
            "path": self.cohort.samples["path"], "part": self.split.parts, "label": self.cohort.samples["label"],
        }  # fmt: skip
        columns |= {SCORE + name: shares[:, number] for number, name in enumerate(self.cohort.classes)}
        parts, counts = np.unique(self.split.parts, return_counts=True)
        cut = first_run_stage(self.recipe, network)
        weights = self.pretrained[0]
        about = {
            "chosen_epoch": chosen_epoch,
            "checkpoint_rule": CHECKPOINT_RULES[self.recipe.checkpoint],
            "weights_sentence": weights.sentence,
            "weights_digest": weights.digest,
            "cached_prefix": [name for name, _ in network.stages.named_children()][:cut],
            "scaling": [list(self.scaling.mean), list(self.scaling.sd)],
            "training_images": len(self.train),
            "samples": dict(zip(parts.tolist(), counts.tolist(), strict=True)),
            **_circumstances(self.device, self.began),
        }
        state = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        frozen = [name for name, tensor in state.items() if torch.equal(tensor, start[name])]
        write_run(self.runs, identity, about, history, pd.DataFrame(columns), state, frozen)


def scaling_of(network: nn.Module) -> Scaling:
    """Return how pixels are scaled for a network: as its backbone's weights expect, or as ImageNet's."""
    backbone = getattr(network, "backbone", None)
    return IMAGENET_SCALING if backbone is None else backbone.scaling


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
