"""The store of runs, and the tables that come from it.

A run is one recipe, one split, one seed, and everything it left behind, in a folder named by its key:

    run.json             what went in (`RunIdentity`), and versions, device, times, the epoch kept
    history.csv          one row an epoch, columns `epochs.HISTORY`
    predictions.csv      one row a sample: path, part, label, then `score <class>`, softmax, 0 .. 1
    weights.safetensors  every tensor that training changed; `frozen/<digest>.safetensors` beside the
                         runs holds the others, once for all runs that share them
    heatmaps.npz         of a recorded run: heatmaps of test images, which the run did not train on

The folder is whole or absent. A recorded run is the same folder without weights, kept with the
project. Every number about a run is computed from its predictions.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from als_core.cohorts.splits import Split
from als_core.refusal import Problem, RefusedInput
from als_core.statistics import metrics
from als_core.storage import atomic_write, content_key
from als_core.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

SCORE = "score "
FROZEN = "frozen"


@dataclass(frozen=True)
class RunIdentity:
    """What makes a run the run it is.

    split: name and digest of its parts. cohort: name and digest. weights: name of what it started
    from. code: digest of the code behind it (`storage.code_digest`). copies: digest of how augmented images were made;
    empty where none are trained on.
    """

    recipe: Recipe
    split: str
    split_digest: str
    seed: int
    cohort: str
    cohort_digest: str
    weights: str
    code: str
    copies: str = ""

    def as_data(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return vars(self) | {"recipe": self.recipe.as_data()}

    @property
    def key(self) -> str:
        """16 hexadecimal digits: the run's folder name."""
        return content_key(self.as_data())


@dataclass(frozen=True)
class Run:
    """A finished run on disk. about: run.json. recorded: kept with the project, not computed here."""

    folder: Path
    about: Mapping[str, Any]
    recorded: bool = False

    @property
    def title(self) -> str:
        """The recipe's name, variant and what was changed in it."""
        return self.about["title"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return tuple(self.about["classes"])

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """predictions.csv, with `predicted`, the class with the highest score (the first of equals)."""
        table = pd.read_csv(self.folder / "predictions.csv", dtype={"path": str, "part": str, "label": str},
                            keep_default_na=False)  # fmt: skip
        scores = table[[SCORE + name for name in self.classes]].to_numpy(dtype=float)
        return table.assign(predicted=np.array(self.classes, dtype=object)[scores.argmax(1)])

    @cached_property
    def history(self) -> pd.DataFrame:
        """history.csv."""
        return pd.read_csv(self.folder / "history.csv")

    def weights(self) -> dict[str, Tensor]:
        """State of the network with the weights that were kept. Raises RefusedInput for a recorded run."""
        from safetensors.torch import load_file

        if self.recorded:
            remedy = "Train it here, without the recorded runs."
            problem = Problem(str(self.folder), "a recorded run", "a run with weights", remedy)
            raise RefusedInput(f"Weights of {self.title}", [problem])
        frozen = self.folder.parent / FROZEN / f"{self.about['frozen_weights']}.safetensors"
        return load_file(frozen) | load_file(self.folder / "weights.safetensors")

    def confusion(self, part: str = "test") -> np.ndarray:
        """Counts of (true, predicted) class over the samples of a part, int64 (C, C)."""
        rows = self.predictions[self.predictions["part"] == part]
        numbers = {name: number for number, name in enumerate(self.classes)}
        truth, predicted = (rows[each].map(numbers).to_numpy(np.int64) for each in ("label", "predicted"))
        return metrics.confusion_matrix(truth, predicted, len(self.classes))


def write_run(
    folder: Path,
    identity: RunIdentity,
    about: Mapping[str, Any],
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    weights: Mapping[str, Tensor],
    frozen: Collection[str] = (),
) -> Run:
    """Write a run's folder under `folder`, whole.

    predictions: columns path, part, label and `score <class>` in class order. Scores are written with
    nine significant digits, which hold a float32 exactly. weights: state of the network; `frozen` names what training left as it was.
    """
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    left = {name: tensors.pop(name) for name in frozen}
    digest = content_key(*(part for name in left for part in (name, left[name].numpy())))
    shared = Path(folder) / FROZEN / f"{digest}.safetensors"
    if not shared.exists():
        with atomic_write(shared) as temporary:
            save_file(left, temporary)
    classes = [name.removeprefix(SCORE) for name in predictions.columns if name.startswith(SCORE)]
    everything = {
        "key": identity.key, "title": identity.recipe.title, **identity.as_data(),
        "classes": classes, "frozen_weights": digest, **about,
    }  # fmt: skip
    path = Path(folder) / identity.key
    with atomic_write(path) as temporary:
        temporary.mkdir()
        (temporary / "run.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
        for name, table in (("history", history), ("predictions", predictions)):
            table.to_csv(temporary / f"{name}.csv", index=False, float_format="%.9g", lineterminator="\n")
        save_file(tensors, temporary / "weights.safetensors")
    return load_run(path)


def load_run(path: Path) -> Run:
    """The run in a folder. Raises FileNotFoundError where there is none."""
    about = json.loads((Path(path) / "run.json").read_text(encoding="utf-8"))
    return Run(Path(path), about)


def find_run(folder: Path, identity: RunIdentity) -> Run | None:
    """The run with this identity under `folder`, if it is there."""
    path = Path(folder) / identity.key
    return load_run(path) if path.is_dir() else None


def find_recorded(folder: Path, recipe: Recipe, cohort_digest: str, split: Split, weights: str) -> list[Run]:
    """Return the recorded runs of a recipe on a cohort and split from named weights, by seed, whatever code made them.

    Precision and compiling may differ from the recipe's: they change rounding, and `run.json` says them. Of two runs
    of one seed the one in fp32 counts. folder: searched at any depth for run.json.
    """
    wanted = cohort_digest, content_key(split.parts.tolist()), weights
    by_seed: dict[int, Run] = {}
    for about, path in _recorded(Path(folder)):
        same = (about["cohort_digest"], about["split_digest"], about["weights"]) == wanted
        made = Recipe.from_data(about["recipe"])
        same = same and _without_rounding(made) == _without_rounding(recipe)
        if same and (about["seed"] not in by_seed or made.precision == "fp32"):
            by_seed[about["seed"]] = Run(path, about, recorded=True)
    return [by_seed[seed] for seed in sorted(by_seed)]


def _recorded(folder: Path) -> list[tuple[dict[str, Any], Path]]:
    files = sorted(folder.rglob("run.json"))
    return [(json.loads(file.read_text(encoding="utf-8")), file.parent) for file in files]


def _without_rounding(recipe: Recipe) -> Recipe:
    return replace(recipe, precision="fp32", compiled=False)


def record_run(run: Run, folder: Path, heatmaps: Mapping[str, np.ndarray] | None = None) -> Path:
    """Copy a run without its weights to `folder`/<key>, where `find_recorded` finds it; return that folder.

    heatmaps: arrays to keep with it, by name, as float16 where they are floating point.
    """
    path = Path(folder) / run.folder.name
    with atomic_write(path) as temporary:
        shutil.copytree(run.folder, temporary, ignore=shutil.ignore_patterns("*.safetensors"))
        if heatmaps:
            kept = {
                name: array.astype(np.float16) if array.dtype.kind == "f" else array
                for name, array in heatmaps.items()
            }
            np.savez_compressed(temporary / "heatmaps.npz", **kept)
    return path
