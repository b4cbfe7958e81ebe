"""Leaks as switches: one protocol, each step of which can let something of the test part through.

The honest protocol splits donors into training (60 %), validation (20 %) and test parts. It scales,
oversamples the rarer class and adds augmented copies in the training part alone, trains a linear model, and
chooses its penalty and stopping time on the validation part. The mean test AUC of five splits is reported.
Each switch changes one of these steps, and declares for each kind of data which way it moves that AUC when
there is nothing to find; `check_switches` holds it to that. `deployed` is the AUC of the same models on
donors that took no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE

from als_core.statistics import null_check
from als_core.statistics.curves import auc_by_column
from als_core.statistics.null_check import PERMUTED, Direction, check_directions
from als_core.statistics.paired import permute_labels_over_groups
from als_core.studies.cross_paper.leak_pools import KINDS, FeaturePool, Samples
from als_core.studies.turrisi2024.feature_table import NEIGHBOURS

RUNS = 5
HELD_OUT = 0.2  # of the donors, for validation, and again for the test
HONEST, ALL_LEAKS = "none", "all leaks together"
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
TIMES = tuple(np.geomspace(0.03, 100, 10).tolist())
NETWORK_STEPS = 100

# kinds of data whose studies have the step that a switch changes
IMAGES = ("tissue", "crops")
CLUSTERED = ("tissue", "crops", "brains")
UNBALANCED = ("tissue", "crops", "feature tables")


@dataclass(frozen=True)
class Switch:
    """One leak. says: what is done instead. direction: declared for the kinds it `applies` to."""

    name: str
    says: str
    direction: Direction
    applies: tuple[str, ...] = KINDS

    def direction_for(self, kind: str) -> Direction:
        return self.direction if kind in self.applies else "not applicable"


SWITCHES: Mapping[str, Switch] = MappingProxyType(
    {
        switch.name: switch
        for switch in (
            Switch("split by image", "images are split, not donors", "up", CLUSTERED),
            Switch("augment first", "copies are made before the split and split like images", "up", IMAGES),
            Switch("oversample first", "SMOTE acts before the split; its samples are split like donors", "up",
                   UNBALANCED),
            Switch("tune on test", "the penalty is the one that is best on the test part", "up"),
            Switch("stop on test", "training stops when the test AUC is highest", "up"),
            Switch("best of five", "the best of five splits is reported, not the mean", "up"),
            Switch("scale on all", "means and spreads are those of all samples, test part included", "none"),
            Switch("other class", "the score of the other class is given to the curve", "mirrored"),
        )
    }
)  # fmt: skip
# the switches that affect the training data; the others choose among trained models
DATA_SWITCHES = frozenset({"split by image", "augment first", "oversample first", "scale on all"})
ORDER = (
    "split by image",
    "augment first",
    "oversample first",
    "tune on test",
    "stop on test",
    "best of five",
)

SwitchSet = frozenset[str]


class Result(NamedTuple):
    """AUC as it would be reported, and of the same models on donors that took no part."""

    reported: float
    deployed: float


class RunAreas(NamedTuple):
    """AUCs of every run, penalty and stopping time, (RUNS, penalties, times) each."""

    validation: np.ndarray
    test: np.ndarray
    new: np.ndarray


class Rows(NamedTuple):
    """Rows to split: features, labels, the unit that is split, and whether a row may be judged."""

    features: np.ndarray
    positive: np.ndarray
    unit: np.ndarray
    judged: np.ndarray


class GradientFlow:
    """Ridge regression of the labels, trained by gradient descent in infinitely small steps from zero.

    In closed form: along the i-th principal direction of the training features, with variance s, the weights
    at time t are those of ridge regression times 1 - exp(-t (s + penalty)).
    """

    def __init__(self, features: np.ndarray, positive: np.ndarray):
        """features: (n, F), centred. positive: bool (n,)."""
        target = np.where(positive, 1.0, -1.0)
        variances, self.directions = np.linalg.eigh(features.T @ features / len(features))
        self.variances = np.maximum(variances, 0)  # rounding takes some that are 0 below it
        self.along = self.directions.T @ (features.T @ (target - target.mean())) / len(features)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Score samples (n, F) at every penalty and time, (n, penalties, times)."""
        variances, penalties, times = np.ix_(self.variances, PENALTIES, TIMES)
        rate = variances + penalties
        weights = self.along[:, None, None] * -np.expm1(-times * rate) / rate
        return np.tensordot(features @ self.directions, weights, axes=1)


def run_protocol(samples: Samples, new: Samples, switches: Iterable[str], seed: int) -> Result:
    """Run the protocol with some switches on.

    samples: three or more donors of each label. new: donors that take no part in anything. Raises ValueError
    for an unknown switch.
    """
    return report(train_runs(samples, new, switches, seed), switches)


def train_runs(samples: Samples, new: Samples, switches: Iterable[str], seed: int) -> RunAreas:
    """Fit every model of every run. Only switches that affect the training data are used here."""
    chosen = _known(switches)
    runs = [_train_run(samples, new, chosen, np.random.default_rng((seed, run))) for run in range(RUNS)]
    return RunAreas(*(np.stack(each) for each in zip(*runs, strict=True)))


def report(runs: RunAreas, switches: Iterable[str]) -> Result:
    """Choose a model of each run and report it. Only switches that affect this choice are used here."""
    chosen = _known(switches)
    picked = [_choose_model(*run, chosen) for run in zip(*runs, strict=True)]
    if "best of five" in chosen:
        picked = [max(picked)]
    reported, deployed = np.mean(picked, axis=0)
    return Result(float(1 - reported if "other class" in chosen else reported), float(deployed))


def applicable(kind: str) -> tuple[str, ...]:
    """List the switches whose step exists in this kind of data."""
    return tuple(name for name, switch in SWITCHES.items() if kind in switch.applies)


def single_leaks(kind: str) -> dict[str, SwitchSet]:
    """List sets of switches: none, each that applies by itself, and all that should move the score up."""
    each = {name: frozenset([name]) for name in applicable(kind)}
    upward = frozenset(name for name in each if SWITCHES[name].direction == "up")
    return {HONEST: frozenset(), **each, ALL_LEAKS: upward}


def cumulative_leaks(kind: str, order: Sequence[str] = ORDER) -> dict[str, SwitchSet]:
    """List sets of switches: none, then one more at each step, leaving out what does not apply."""
    known = [name for name in order if name in applicable(kind)]
    return {HONEST: frozenset()} | {f"+ {name}": frozenset(known[: i + 1]) for i, name in enumerate(known)}


def replay(
    pools: Sequence[FeaturePool],
    effects: Mapping[str, Sequence[float]],
    donors: Mapping[str, Sequence[int]],
    cohorts: int,
    sets: Mapping[str, Mapping[str, SwitchSet]],
    seed: int = 0,
    permuted: bool = False,
    jobs: int = 1,
) -> pd.DataFrame:
    """Replay cohorts sampled from pools, with every set of switches; a progress bar goes to stderr.

    Parameters
    ----------
    effects, donors, sets : by kind, such as `single_leaks(kind)` for each.
    cohorts : for each size of effect and number of donors.
    permuted : also run the honest protocol with labels permuted across donors, as `PERMUTED`.

    Returns
    -------
    DataFrame
        One row per cohort and set: kind, effect, donors, cohort, switches, reported, deployed.
    """
    tasks = [
        (pool, *task, sets[pool.kind], seed, permuted)
        for pool in pools
        for task in product(effects[pool.kind], donors[pool.kind], range(cohorts))
    ]
    return null_check.replay(_replay_cohort, tasks, jobs, "cohorts")


def check_switches(replayed: pd.DataFrame) -> pd.DataFrame:
    """Compare the shift of every switch with its declared direction, on null cohorts.

    replayed: from `replay` with `single_leaks` and `permuted`, at effect 0. One row per kind and switch:
    kind, then the columns of `null_check.check_directions`.
    """
    if (replayed["effect"] != 0).any():
        raise ValueError("directions are declared for cohorts without an effect")
    tables = []
    for kind, part in replayed.groupby("kind", sort=False):
        scores = part.pivot(index=["donors", "cohort"], columns="switches", values="reported")
        declared = {PERMUTED: "none"} | {name: each.direction_for(kind) for name, each in SWITCHES.items()}
        table = check_directions(scores, declared, HONEST)
        table.insert(0, "kind", kind)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def mean_by_set(replayed: pd.DataFrame) -> pd.DataFrame:
    """Average over cohorts: reported with its 95 % interval low to high, deployed, and cohorts."""
    groups = replayed.groupby(["kind", "effect", "donors", "switches"], sort=False)
    table = groups.agg(
        reported=("reported", "mean"),
        error=("reported", "sem"),
        deployed=("deployed", "mean"),
        cohorts=("reported", "size"),
    )
    half = 1.96 * table.pop("error")
    return table.assign(low=table["reported"] - half, high=table["reported"] + half).reset_index()


def why_not_permutable(positive: np.ndarray, groups: np.ndarray | None) -> str:
    """Say what keeps a cohort from `compare_splits`, as a phrase; empty where nothing does."""
    if groups is None:
        return "it names no groups"
    labels = {donor: set(positive[groups == donor]) for donor in np.unique(groups)}
    if any(len(each) > 1 for each in labels.values()):
        return "some of its groups have two labels"
    counts = [sum(label in each for each in labels.values()) for label in (False, True)]
    return "" if min(counts) >= 3 else "it has fewer than three groups of a label"


def compare_splits(samples: Samples, draws: int, seed: int = 0, jobs: int = 1) -> pd.DataFrame:
    """Score a cohort with its own labels and with labels permuted across donors, split by donor and by image.

    Returns one row per draw, labels ("as they are" or `PERMUTED`) and split, with the `reported` AUC.
    """
    tasks = product(range(draws), ("as they are", PERMUTED), ("by donor", "by image"))
    table = null_check.replay(_score_split, [(samples, *task, seed) for task in tasks], jobs, "draws")
    return table.sort_values(["labels", "split", "draw"], ignore_index=True)


def convolutional_check(images: np.ndarray, cohorts: int, donors: int, seed: int = 0) -> pd.DataFrame:
    """Train a small convolutional network on null cohorts of images, split by donor and by image.

    images: uint8 (donors, fields, side, side, 3) without a disease. donors: of a cohort; half of them are
    called positive. It trains on all but the test part, and nothing is chosen. One row per cohort and split:
    cohort, split, reported.
    """
    rows = []
    for cohort in range(cohorts):
        rng = np.random.default_rng((seed, cohort))
        chosen = images[rng.permutation(len(images))[:donors]]
        flat = chosen.reshape(-1, *chosen.shape[2:])
        groups = np.repeat(np.arange(donors), chosen.shape[1])
        positive = groups < donors // 2
        for name, unit in {"by donor": groups, "by image": np.arange(len(flat))}.items():
            test = _split(Rows(flat, positive, unit, positive), rng) == 2
            scores = network_scores(flat, positive, ~test, int(rng.integers(2**31)))
            reported = float(auc_by_column(positive[test], scores[test]))
            rows.append({"cohort": cohort, "split": name, "reported": reported})
    return pd.DataFrame(rows)


def network_scores(images: np.ndarray, positive: np.ndarray, training: np.ndarray, seed: int) -> np.ndarray:
    """Train a small network on some images and score all. Raises `Diverged` for non-finite scores."""
    import torch  # only this function needs it
    from torch import nn

    from als_core.models.stages import seeded
    from als_core.training.epochs import raise_if_not_finite

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for so small a network more threads only wait for each other
    with seeded(seed):
        network = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2),
        )  # fmt: skip
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    rows, labels = torch.from_numpy(training), torch.from_numpy(positive.astype(np.int64))
    inputs = (inputs - inputs[rows].mean((0, 2, 3), keepdim=True)) / inputs[rows].std((0, 2, 3), keepdim=True)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(NETWORK_STEPS):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
        optimiser.step()
    with torch.inference_mode():
        scores = network(inputs)
    torch.set_num_threads(threads)
    raise_if_not_finite("network of the leak replay", seed, NETWORK_STEPS, scores)
    return (scores[:, 1] - scores[:, 0]).numpy()


def _train_run(
    samples: Samples, new: Samples, chosen: SwitchSet, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = _rows(samples, chosen)
    if "oversample first" in chosen:
        rows = _add_synthetic(rows, rng)
    parts = _split(rows, rng)
    training = rows.features[parts == 0]
    scaled_by = rows.features if "scale on all" in chosen else training
    mean, spread = scaled_by.mean(0), scaled_by.std(0)
    spread[spread == 0] = 1  # a constant feature says nothing, and is 0 after this
    training, labels = (training - mean) / spread, rows.positive[parts == 0]
    if "oversample first" not in chosen and labels.mean() != 0.5:
        training, labels = _oversample(training, labels, rng)
    centre = training.mean(0)
    model = GradientFlow(training - centre, labels)

    def area(features: np.ndarray, positive: np.ndarray) -> np.ndarray:
        return auc_by_column(positive, model.scores((features - mean) / spread - centre))

    held_out = [(parts == part) & rows.judged for part in (1, 2)]
    return (
        *(area(rows.features[each], rows.positive[each]) for each in held_out),
        area(new.features[:, 0], new.positive),
    )


def _rows(samples: Samples, chosen: SwitchSet) -> Rows:
    """Make every sample and copy a row, whose unit is its donor, its image, or itself."""
    n, copies, width = samples.features.shape
    image = np.repeat(np.arange(n), copies)
    if "augment first" in chosen:
        unit, judged = np.arange(n * copies), np.ones(n * copies, bool)
    else:
        unit = image if "split by image" in chosen else np.repeat(samples.groups, copies)
        judged = np.tile(np.arange(copies) == 0, n)
    return Rows(samples.features.reshape(-1, width), np.repeat(samples.positive, copies), unit, judged)


def _add_synthetic(rows: Rows, rng: np.random.Generator) -> Rows:
    """Add SMOTE's samples of the rarer class until the classes are equal, each a unit of its own."""
    mean, spread = rows.features.mean(0), rows.features.std(0)
    spread[spread == 0] = 1
    features, positive = _oversample((rows.features - mean) / spread, rows.positive, rng)
    added = len(positive) - len(rows.positive)
    return Rows(
        np.concatenate([rows.features, features[len(rows.positive) :] * spread + mean]),
        positive,
        np.concatenate([rows.unit, rows.unit.max() + 1 + np.arange(added)]),
        np.concatenate([rows.judged, np.ones(added, bool)]),
    )


def _oversample(
    features: np.ndarray, positive: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    rarer = int(min(positive.sum(), (~positive).sum()))
    if rarer < 2:
        raise ValueError(f"{rarer} training samples of one label: SMOTE interpolates between two or more")
    smote = SMOTE(k_neighbors=min(NEIGHBOURS, rarer - 1), random_state=int(rng.integers(2**31)))
    features, labels = smote.fit_resample(features, positive.astype(int))
    return features, labels == 1


def _split(rows: Rows, rng: np.random.Generator) -> np.ndarray:
    """Assign units of each label at random: 0 training, 1 validation, 2 test, at least one to each."""
    part = np.zeros(len(rows.unit), int)
    for label in (False, True):
        units = rng.permutation(np.unique(rows.unit[rows.positive == label]))
        held_out = max(1, round(HELD_OUT * len(units)))
        if len(units) < 3:
            raise ValueError(f"{len(units)} donors of one label: three are needed, one for each part")
        part[np.isin(rows.unit, units[:held_out])] = 1
        part[np.isin(rows.unit, units[held_out : 2 * held_out])] = 2
    return part


def _choose_model(
    validation: np.ndarray, test: np.ndarray, new: np.ndarray, chosen: SwitchSet
) -> tuple[float, float]:
    """Return the AUC on the test part and on new donors at the chosen time and penalty."""
    stop = (test if "stop on test" in chosen else validation).argmax(1)
    each = np.arange(len(stop))
    best = (test if "tune on test" in chosen else validation)[each, stop].argmax()
    return float(test[best, stop[best]]), float(new[best, stop[best]])


def _replay_cohort(
    pool: FeaturePool,
    effect: float,
    donors: int,
    cohort: int,
    sets: Mapping[str, SwitchSet],
    seed: int,
    permuted: bool,
) -> list[dict]:
    samples, new = pool.sample_cohort(effect, donors, np.random.default_rng((seed, cohort, donors)))
    seed = int(np.random.SeedSequence((seed, cohort, donors)).generate_state(1)[0])
    about = {"kind": pool.kind, "effect": effect, "donors": donors, "cohort": cohort}
    trained: dict[SwitchSet, RunAreas] = {}
    rows = []
    for name, chosen in sets.items():
        needed = chosen & DATA_SWITCHES
        if needed not in trained:
            trained[needed] = train_runs(samples, new, needed, seed)
        rows.append(about | {"switches": name} | report(trained[needed], chosen)._asdict())
    if permuted:
        labels = permute_labels_over_groups(samples.positive, samples.groups, np.random.default_rng(seed))
        result = run_protocol(Samples(samples.features, labels, samples.groups), new, (), seed)
        rows.append(about | {"switches": PERMUTED} | result._asdict())
    return rows


def _score_split(samples: Samples, draw: int, labels: str, split: str, seed: int) -> list[dict]:
    positive = samples.positive
    if labels == PERMUTED:
        positive = permute_labels_over_groups(positive, samples.groups, np.random.default_rng((seed, draw)))
    cohort = Samples(samples.features, positive, samples.groups)
    switches = () if split == "by donor" else ("split by image",)
    reported = run_protocol(cohort, cohort, switches, seed + draw).reported
    return [{"draw": draw, "labels": labels, "split": split, "reported": reported}]


def _known(switches: Iterable[str]) -> SwitchSet:
    chosen = frozenset(switches)
    if unknown := chosen - set(SWITCHES):
        raise ValueError(f"no such switch: {', '.join(sorted(unknown))}; known: {', '.join(SWITCHES)}")
    return chosen
