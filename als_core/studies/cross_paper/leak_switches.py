"""Leaks as switches: one protocol in which each step can let something of the test part through, alone or together.

The honest protocol splits donors into training (60 %), validation (20 %) and test parts, scales, oversamples the
rarer class and adds augmented copies in the training part alone, trains a linear model, and chooses its penalty
and when to stop on the validation part; it is repeated with five splits, and the mean AUC counts. Each switch
changes one of these steps. Each declares, for each kind of material, which way it moves the reported AUC when
there is nothing to find; `directions` holds it to that over null cohorts, as `leaks.directions` does for the
protocols of Turrisi 2024.

Donors that took no part say what the models that were reported are worth: `deployed`.
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
from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from als_core.statistics.paired import permute_labels_over_groups
from als_core.studies.cross_paper.leak_models import GradientFlow, areas, network_scores
from als_core.studies.cross_paper.leak_pools import Bank, Samples
from als_core.studies.turrisi2024.feature_table import NEIGHBOURS
from als_core.studies.turrisi2024.leaks import PERMUTED, Direction

RUNS = 5
HELD = 0.2  # of the donors, for validation, and again for the test
HONEST = "none"

# kinds of material whose studies have the step that a switch changes
IMAGES = ("tissue", "crops")
CLUSTERED = ("tissue", "crops", "brains")
UNBALANCED = ("tissue", "crops", "feature tables")
KINDS = ("tissue", "crops", "brains", "feature tables")


@dataclass(frozen=True)
class Switch:
    """One leak. says: what is done in place of what. direction: where its step exists, in the kinds `applies`."""

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
            Switch("augment first", "copies are made before the split and dealt like images", "up", IMAGES),
            Switch("oversample first", "made-up samples are added before the split and dealt like donors", "up",
                   UNBALANCED),
            Switch("tune on test", "the penalty is the one that is best on the test part", "up"),
            Switch("stop on test", "training stops when the test part is answered best", "up"),
            Switch("best of five", "the best of five splits is reported, not the mean", "up"),
            Switch("scale on all", "means and spreads are those of all samples, test part included", "none"),
            Switch("other class", "the score of the other class is handed to the curve", "mirrored"),
        )
    }
)  # fmt: skip
DATA_SWITCHES = (
    "split by image",
    "augment first",
    "oversample first",
    "scale on all",
)  # what a fit depends on

Chosen = frozenset[str]


class Outcome(NamedTuple):
    """AUC as it would be reported, and of the same models on donors that took no part."""

    reported: float
    deployed: float


class Fits(NamedTuple):
    """AUCs of every run, penalty and stopping time, (RUNS, penalties, times) each."""

    validation: np.ndarray
    test: np.ndarray
    fresh: np.ndarray


def outcome_of(samples: Samples, fresh: Samples, switches: Iterable[str], seed: int) -> Outcome:
    """The protocol with some switches on. Raises ValueError for a switch that is none.

    samples: three or more donors of each label. fresh: donors that take no part in anything.
    """
    chosen = frozenset(switches)
    return read(fits(samples, fresh, chosen, seed), chosen)


def fits(samples: Samples, fresh: Samples, switches: Iterable[str], seed: int) -> Fits:
    """All models of the protocol; of the switches those count that change what a model is trained on."""
    chosen = _known(switches)
    runs = [_one_fit(samples, fresh, chosen, np.random.default_rng((seed, run))) for run in range(RUNS)]
    return Fits(*(np.stack(each) for each in zip(*runs, strict=True)))


def read(models: Fits, switches: Iterable[str]) -> Outcome:
    """What is reported of these models: of the switches those count that choose among them."""
    chosen = _known(switches)
    picked = [_pick(*run, chosen) for run in zip(*models, strict=True)]
    if "best of five" in chosen:
        picked = [max(picked)]
    reported, deployed = np.mean(picked, axis=0)
    return Outcome(float(1 - reported if "other class" in chosen else reported), float(deployed))


def applicable(kind: str) -> tuple[str, ...]:
    """Switches whose step exists in this kind of material."""
    return tuple(name for name, switch in SWITCHES.items() if kind in switch.applies)


def alone(kind: str) -> dict[str, Chosen]:
    """No switch, each that applies by itself, and all that move the score up together."""
    upward = frozenset(name for name in applicable(kind) if SWITCHES[name].direction == "up")
    each = {name: frozenset([name]) for name in applicable(kind)}
    return {HONEST: frozenset(), **each, "all that lift": upward}


def stacked(kind: str, order: Sequence[str]) -> dict[str, Chosen]:
    """No switch, then one more at each step, in `order`; those that do not apply are left out."""
    known = [name for name in order if name in applicable(kind)]
    return {HONEST: frozenset()} | {f"+ {name}": frozenset(known[: i + 1]) for i, name in enumerate(known)}


def replay(
    bank: Bank,
    effects: Sequence[float],
    donors: Sequence[int],
    cohorts: int,
    sets: Mapping[str, Chosen],
    seed: int = 0,
    permuted: bool = False,
    jobs: int = 1,
) -> pd.DataFrame:
    """Cohorts dealt from a bank at every size of effect and number of donors, with every set of switches.

    permuted: also the honest protocol with labels dealt anew to donors, as `PERMUTED`. One row a cohort and
    set: kind, effect, donors, cohort, switches, reported, deployed. A progress bar goes to stderr.
    """
    tasks = list(product(effects, donors, range(cohorts)))
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        work = Parallel(return_as="generator")(
            delayed(_replayed)(bank, *task, sets, seed, permuted) for task in tasks
        )
        rows = [
            row for part in tqdm(work, bank.kind, len(tasks), unit="cohort", disable=None) for row in part
        ]
    return pd.DataFrame(rows)


def directions(replayed: pd.DataFrame) -> pd.DataFrame:
    """Did each switch move the reported AUC of null cohorts as declared? One row a kind and switch.

    replayed: from `replay` with the sets of `alone` and `permuted`, at effect 0. Columns: kind, switches,
    declared, honest and moved (means), shift and its standard error, holds. "up" holds where the mean shift is
    above two standard errors, "none" and the permuted labels where it is within three, "mirrored" where every
    AUC is 1 minus the honest one. A switch that does not apply has no numbers.
    """
    if (replayed["effect"] != 0).any():
        raise ValueError("directions are declared for cohorts without an effect")
    rows = []
    for kind, part in replayed.groupby("kind", sort=False):
        by_set = part.pivot_table(index=["donors", "cohort"], columns="switches", values="reported")
        declared = {PERMUTED: "none"} | {name: each.direction_for(kind) for name, each in SWITCHES.items()}
        for name, direction in declared.items():
            row = {"kind": kind, "switches": name, "declared": direction}
            rows.append(row)
            if direction == "not applicable":
                continue
            shift = by_set[name] - by_set[HONEST]
            error = shift.std() / np.sqrt(len(shift))
            row |= {
                "honest": by_set[HONEST].mean(),
                "moved": by_set[name].mean(),
                "shift": shift.mean(),
                "error": error,
            }
            row["holds"] = bool(
                {
                    "up": shift.mean() > 2 * error,
                    "none": abs(shift.mean()) <= 3 * error,
                    "mirrored": np.allclose(by_set[name], 1 - by_set[HONEST]),
                }[direction]
            )
    return pd.DataFrame(rows)


def summary(
    replayed: pd.DataFrame, by: Sequence[str] = ("kind", "effect", "donors", "switches")
) -> pd.DataFrame:
    """Means over cohorts with their 95 % intervals: reported, low, high, deployed, and the cohorts behind them."""
    groups = replayed.groupby(list(by), sort=False)
    table = groups.agg(reported=("reported", "mean"), sd=("reported", "std"), deployed=("deployed", "mean"),
                       cohorts=("reported", "size"))  # fmt: skip
    half = 1.96 * table.pop("sd") / np.sqrt(table["cohorts"])
    return table.assign(low=table["reported"] - half, high=table["reported"] + half).reset_index()


def why_not_by_donor(positive: np.ndarray, groups: np.ndarray | None) -> str:
    """What keeps a cohort from `by_image_and_by_donor`, as a phrase; empty where nothing does."""
    if groups is None:
        return "it names no groups"
    labels = {donor: set(positive[groups == donor]) for donor in np.unique(groups)}
    if any(len(each) > 1 for each in labels.values()):
        return "some of its groups have two labels"
    counts = [sum(label in each for each in labels.values()) for label in (False, True)]
    return "" if min(counts) >= 3 else "it has fewer than three groups of a label"


def by_image_and_by_donor(samples: Samples, draws: int, seed: int = 0, jobs: int = 1) -> pd.DataFrame:
    """A cohort's own labels, and labels dealt anew to its donors, split by donor and by image.

    One row a draw, labels ("as they are" or `PERMUTED`) and split: what an AUC says when the labels cannot be known
    from anything but the donor. Donors that took no part do not exist here, so `deployed` is not given.
    """
    tasks = list(product(range(draws), ("as they are", PERMUTED), ("by donor", "by image")))
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        reported = Parallel()(delayed(_drawn)(samples, *task, seed) for task in tasks)
    table = pd.DataFrame(tasks, columns=["draw", "labels", "split"])
    return table.assign(reported=reported).sort_values(["labels", "split", "draw"], ignore_index=True)


def convolutional_check(images: np.ndarray, cohorts: int, donors: int, seed: int = 0) -> pd.DataFrame:
    """Null cohorts of images split by donor and by image, with a small convolutional network for the linear model.

    images: uint8 (donors, fields, side, side, 3) without a disease. donors: of a cohort; half of them are called
    positive. It trains on all but the test part, and nothing is chosen. One row a cohort and split: cohort, split, reported.
    """
    rows = []
    for cohort in range(cohorts):
        rng = np.random.default_rng((seed, cohort))
        chosen = images[rng.permutation(len(images))[:donors]]
        flat = chosen.reshape(-1, *chosen.shape[2:])
        groups = np.repeat(np.arange(donors), chosen.shape[1])
        positive = groups < donors // 2
        for name, unit in {"by donor": groups, "by image": np.arange(len(flat))}.items():
            test = _parts(_Rows(flat, positive, unit, positive), rng) == 2
            scores = network_scores(flat, positive, ~test, int(rng.integers(2**31)))
            reported = float(areas(positive[test], scores[test]))
            rows.append({"cohort": cohort, "split": name, "reported": reported})
    return pd.DataFrame(rows)


class _Rows(NamedTuple):
    """Rows to split: features, labels, what is dealt as one, and whether a row may be tested on."""

    features: np.ndarray
    positive: np.ndarray
    unit: np.ndarray
    judged: np.ndarray


def _one_fit(
    samples: Samples, fresh: Samples, chosen: Chosen, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = _rows(samples, chosen)
    if "oversample first" in chosen:
        rows = _with_made_up(rows, rng)
    parts = _parts(rows, rng)
    training = rows.features[parts == 0]
    scaled_by = rows.features if "scale on all" in chosen else training
    mean, spread = scaled_by.mean(0), scaled_by.std(0)
    spread[spread == 0] = 1  # a constant feature says nothing, and is 0 after this
    training, labels = (training - mean) / spread, rows.positive[parts == 0]
    if "oversample first" not in chosen and labels.mean() != 0.5:
        training, labels = _oversampled(training, labels, rng)
    centre = training.mean(0)
    model = GradientFlow(training - centre, labels)

    def judged(features: np.ndarray, positive: np.ndarray) -> np.ndarray:
        return areas(positive, model.scores((features - mean) / spread - centre))

    held = [(parts == part) & rows.judged for part in (1, 2)]
    return (
        judged(rows.features[held[0]], rows.positive[held[0]]),
        judged(rows.features[held[1]], rows.positive[held[1]]),
        judged(fresh.features[:, 0], fresh.positive),
    )


def _rows(samples: Samples, chosen: Chosen) -> _Rows:
    """Every sample and copy as a row; `unit` is what the split deals: donor, image, or each row by itself."""
    n, copies, width = samples.features.shape
    image = np.repeat(np.arange(n), copies)
    if "augment first" in chosen:
        unit, judged = np.arange(n * copies), np.ones(n * copies, bool)
    else:
        unit = image if "split by image" in chosen else np.repeat(samples.groups, copies)
        judged = np.tile(np.arange(copies) == 0, n)
    return _Rows(samples.features.reshape(-1, width), np.repeat(samples.positive, copies), unit, judged)


def _with_made_up(rows: _Rows, rng: np.random.Generator) -> _Rows:
    """The rows and as many made-up ones of the rarer class as make the classes equal, each a unit of its own."""
    mean, spread = rows.features.mean(0), rows.features.std(0)
    spread[spread == 0] = 1
    features, positive = _oversampled((rows.features - mean) / spread, rows.positive, rng)
    added = len(positive) - len(rows.positive)
    return _Rows(
        np.concatenate([rows.features, features[len(rows.positive) :] * spread + mean]),
        positive,
        np.concatenate([rows.unit, rows.unit.max() + 1 + np.arange(added)]),
        np.concatenate([rows.judged, np.ones(added, bool)]),
    )


def _oversampled(
    features: np.ndarray, positive: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    rarer = int(min(positive.sum(), (~positive).sum()))
    if rarer < 2:
        raise ValueError(f"{rarer} training samples of one label: SMOTE draws between two or more")
    smote = SMOTE(k_neighbors=min(NEIGHBOURS, rarer - 1), random_state=int(rng.integers(2**31)))
    features, labels = smote.fit_resample(features, positive.astype(int))
    return features, labels == 1


def _parts(rows: _Rows, rng: np.random.Generator) -> np.ndarray:
    """0 training, 1 validation, 2 test: units of each label dealt at random, at least one to each part."""
    part = np.zeros(len(rows.unit), int)
    for label in (False, True):
        units = rng.permutation(np.unique(rows.unit[rows.positive == label]))
        held = max(1, round(HELD * len(units)))
        if len(units) < 3:
            raise ValueError(f"{len(units)} donors of one label: three are needed, one for each part")
        part[np.isin(rows.unit, units[:held])] = 1
        part[np.isin(rows.unit, units[held : 2 * held])] = 2
    return part


def _pick(validation: np.ndarray, test: np.ndarray, fresh: np.ndarray, chosen: Chosen) -> tuple[float, float]:
    """Test and fresh AUC at the time and penalty that are best where the switches say."""
    stop = (test if "stop on test" in chosen else validation).argmax(1)
    each = np.arange(len(stop))
    best = (test if "tune on test" in chosen else validation)[each, stop].argmax()
    return float(test[best, stop[best]]), float(fresh[best, stop[best]])


def _replayed(
    bank: Bank,
    effect: float,
    donors: int,
    cohort: int,
    sets: Mapping[str, Chosen],
    seed: int,
    permuted: bool,
) -> list[dict]:
    samples, fresh = bank.deal(effect, donors, np.random.default_rng((seed, cohort, donors)))
    seed = int(np.random.SeedSequence((seed, cohort, donors)).generate_state(1)[0])
    about = {"kind": bank.kind, "effect": effect, "donors": donors, "cohort": cohort}
    made: dict[Chosen, Fits] = {}
    rows = []
    for name, chosen in sets.items():
        needed = chosen & frozenset(DATA_SWITCHES)
        if needed not in made:
            made[needed] = fits(samples, fresh, needed, seed)
        rows.append(about | {"switches": name} | read(made[needed], chosen)._asdict())
    if permuted:
        dealt = permute_labels_over_groups(samples.positive, samples.groups, np.random.default_rng(seed))
        outcome = outcome_of(Samples(samples.features, dealt, samples.groups), fresh, (), seed)
        rows.append(about | {"switches": PERMUTED} | outcome._asdict())
    return rows


def _drawn(samples: Samples, draw: int, labels: str, split: str, seed: int) -> float:
    positive = samples.positive
    if labels == PERMUTED:
        positive = permute_labels_over_groups(positive, samples.groups, np.random.default_rng((seed, draw)))
    cohort = Samples(samples.features, positive, samples.groups)
    switches = () if split == "by donor" else ("split by image",)
    return outcome_of(cohort, cohort, switches, seed + draw).reported


def _known(switches: Iterable[str]) -> Chosen:
    chosen = frozenset(switches)
    if unknown := chosen - set(SWITCHES):
        raise ValueError(f"no such switch: {', '.join(sorted(unknown))}; known: {', '.join(SWITCHES)}")
    return chosen
