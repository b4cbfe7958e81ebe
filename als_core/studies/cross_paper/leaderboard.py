"""The leaderboard of heatmap methods: what each scores above its nulls, and which sanity checks it passes.

A mark is "pass", "fail" or "-" (does not apply). "Above" a null means that the lower end of a 95 % bootstrap
interval over subjects of the paired difference is above zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from als_core.explain.methods import METHODS
from als_core.explain.patterns import LinearMaps
from als_core.explain.sanity import Explainer, Limits, untrained
from als_core.statistics.intervals import draw_groups
from als_core.storage import atomic_write, code_digest, content_key, exclusive_lock, results_folder
from als_core.studies.cross_paper.evaluation_sets import (
    BrainFold,
    HeatmapAmounts,
    Subjects,
    brain_folds,
    edges,
    random_map,
    tissue_subjects,
)
from als_core.studies.cross_paper.heatmap_scores import check_methods, explain_all, try_maps

SCORE = "dice_area"  # what the ranking is made with; the others stand beside it
NULLS = ("same smoothness", "atlas only", "untrained")
COLUMNS = (
    "*Likeness to untrained*: correlation with the map of an untrained network, low where a map depends on what was "
    f"learned; a method fails above {Limits.similarity}. *Random maps as faithful*: share of random maps that mark "
    f"what the score rests on at least as well, and their number; a method fails above {Limits.random}."
)
"""What two columns of `lines` mean, for captions."""
CHECKS = ("depends on parameters", "faithful", "speaks", "repeatable")
TABLES = ("overlap", "checks")
CONTROLS = {"edges": "Edges of the image", "random": "Random map"}
WANG = {
    "integrated_gradients": "Integrated gradients",
    "lrp_epsilon": "LRP, epsilon",
    "lrp_zplus": "LRP, z+",
    "lrp_alpha2beta1": "LRP, alpha 2 beta 1",
    "guided_grad_cam": "Guided Grad-CAM",
    "svm_pattern": "SVM pattern",
    "svm_weights": "SVM weights",
}
"""Methods of the comparison of Wang et al. 2023, by title. The abstract page does not say which LRP rule."""


def titles() -> dict[str, str]:
    """Title of every method and control."""
    return {name: method.title for name, method in METHODS.items()} | CONTROLS | WANG


def wang_maps(
    fold: BrainFold, network: nn.Module | None = None, svm: LinearMaps | None = None
) -> dict[str, Tensor]:
    """Heatmaps (N, *spatial) of a fold's subjects by the methods of WANG: by its network and SVM, or by others.

    The two maps of the SVM are the same for every subject.
    """
    subjects, svm = fold.subjects, svm or fold.svm
    own = {name: METHODS[name].importance(**subjects.settings) for name in WANG if name in METHODS}
    maps = explain_all(own, network or subjects.network, subjects.images, subjects.targets)
    linear = {"svm_pattern": svm.pattern, "svm_weights": svm.weights}
    shape = subjects.truths.shape
    return maps | {name: torch.from_numpy(np.abs(one)).expand(shape) for name, one in linear.items()}


def wang_overlaps(
    fold: BrainFold, maps: Mapping[str, Tensor], number: int, draws: int, seed: int
) -> pd.DataFrame:
    """`try_maps` of one fold with the SVM: columns fold, subject, method, map, score, value.

    maps: `wang_maps` of the fold. For the SVM, "untrained" is the map of an SVM that learnt exchanged labels.
    """
    subjects, generator = fold.subjects, torch.Generator().manual_seed(seed + number)
    noise = untrained(subjects.network, subjects.images, generator)
    table = try_maps(
        maps, wang_maps(fold, noise, fold.svm_of_noise), subjects.truths, generator=generator,
        areas=subjects.settings["areas"], within=subjects.within, draws=draws,
    )  # fmt: skip
    return table.assign(fold=number, subject=subjects.groups[table["image"]]).drop(columns="image")


def average_maps(fold: BrainFold, maps: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Sum over a fold's subjects of each method's positive heat, each map at mass 1: (*spatial), by method."""
    sums = {}
    for name, own in maps.items():
        heat = np.where(fold.subjects.within, np.maximum(own.double().cpu().numpy(), 0), 0.0)
        mass = heat.sum(axis=tuple(range(1, heat.ndim)), keepdims=True)
        sums[name] = np.divide(heat, mass, out=np.zeros_like(heat), where=mass > 0).sum(0)
    return sums


def method_scores(table: pd.DataFrame, generator: np.random.Generator, resamples: int) -> pd.DataFrame:
    """Mean score of each method with its interval, its nulls, and its lead over each null with an interval.

    table: columns subject, method, map, score, value; one row for each score and method, columns score, method,
    subjects, mean, low, high, and for each null found <null>, <null> low (the lower end of the lead over it)
    and above <null>. Subjects are resampled whole, the same ones for every method and map.
    """
    drawn = _resamples(table, generator, resamples)
    rows = []
    for (score, method), own in table.groupby(["score", "method"], sort=False):
        by_map = own.groupby(["subject", "map"])["value"].mean().unstack()
        values = by_map["method"].to_numpy()
        low, high = _ends(values, drawn)
        row = {"score": score, "method": method, "subjects": len(values), "mean": by_map["method"].mean(), "low": low, "high": high}  # fmt: skip
        for null in NULLS:
            if null in by_map:
                lead = _ends(values - by_map[null].to_numpy(), drawn)[0]
                row |= {null: by_map[null].mean(), f"{null} low": lead, f"above {null}": bool(lead > 0)}
        rows.append(row)
    return pd.DataFrame(rows)


def rank_shares(
    table: pd.DataFrame, methods: Sequence[str], generator: np.random.Generator, resamples: int
) -> pd.DataFrame:
    """Share of bootstrap resamples of the subjects in which a method has each rank by its mean SCORE, 1 the best.

    Methods by row in the order given, ranks 1 to their number by column; rows sum to 1. Ties share the better rank.
    """
    drawn = _resamples(table, generator, resamples)
    means = drawn @ _values(table)[list(methods)].to_numpy() / drawn.sum(1, keepdims=True)
    ranks = (means[:, :, None] < means[:, None, :]).sum(2) + 1
    counts = [
        [(ranks[:, place] == rank).mean() for rank in range(1, len(methods) + 1)]
        for place in range(len(methods))
    ]
    return pd.DataFrame(counts, index=list(methods), columns=range(1, len(methods) + 1))


def lead(
    table: pd.DataFrame, method: str, other: str, generator: np.random.Generator, resamples: int
) -> tuple[float, float, float]:
    """Mean difference in SCORE between two methods over the same subjects, and its 95 % bootstrap interval."""
    own = _values(table)
    difference = (own[method] - own[other]).to_numpy()
    low, high = _ends(difference, _resamples(table, generator, resamples))
    return float(difference.mean()), low, high


def trial(
    subjects: Subjects, seed: int, *, draws: int, nulls: int, checked: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every method and the two controls on one modality: overlaps (as `try_maps`, with subject) and checks.

    checked: how many images go through the sanity checks. The checks have a column `random_maps` beside those of
    `check_methods`: with how many, over all images, a method is compared.
    """
    generator = torch.Generator().manual_seed(seed)
    explainers = subjects.explainers() | {"edges": edges, "random": random_map(generator)}
    few = subjects.some(checked)
    maps, blind = (
        explain_all(explainers, network, subjects.images, subjects.targets)
        for network in (subjects.network, untrained(subjects.network, subjects.images, generator))
    )
    table = try_maps(
        maps, blind, subjects.truths, generator=generator, areas=subjects.settings.get("areas"),
        within=subjects.within, draws=draws,
    )  # fmt: skip
    checks = check_methods(
        explainers, maps, blind, few.network, few.images, few.targets, generator=generator, within=few.within,
        fill=few.settings["fill"], nulls=nulls,
    )  # fmt: skip
    return (
        table.assign(subject=subjects.groups[table["image"]]),
        checks.assign(random_maps=nulls * len(few.images)),
    )


def tried(modality: str, amounts: HeatmapAmounts, seed: int) -> Subjects:
    """Who is on the leaderboard of a modality, "Brains" (the first fold's patients) or "Tissue"."""
    if modality == "Brains":
        return next(iter(brain_folds(amounts, seed))).subjects.some(amounts.tried)
    return tissue_subjects(amounts, seed)


def book_trial(
    modality: str, amounts: HeatmapAmounts, seed: int, subjects: Subjects | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`trial` of a modality, kept in the results folder: all pages that show the leaderboard show the same one.

    subjects: what `tried` gives, where it is at hand. Made by one process at a time, and anew when the amounts
    or any code below change.
    """
    folder = (
        results_folder()
        / "leaderboards"
        / content_key(modality, asdict(amounts), seed, code_digest(__name__))
    )
    with exclusive_lock(folder):
        if not folder.is_dir():
            tables = trial(
                subjects or tried(modality, amounts, seed), seed,
                draws=amounts.draws, nulls=amounts.nulls, checked=amounts.checked,
            )  # fmt: skip
            with atomic_write(folder) as room:
                room.mkdir()
                for name, table in zip(TABLES, tables, strict=True):
                    table.to_csv(room / f"{name}.csv", index=False)
        overlap, checks = (pd.read_csv(folder / f"{name}.csv", dtype={"subject": str}) for name in TABLES)
    return overlap, checks


def lines(modality: str, scores: pd.DataFrame, checks: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard as a reader sees it, best overlap first: one row a method, cells in words.

    scores: from `method_scores`. Columns On, Method, Overlap (with its interval), one for each null, AUC, what two
    sanity checks measured, and Fails: the nulls and checks that the method does not pass.
    """
    own = scores[scores["score"] == SCORE].sort_values("mean", ascending=False).set_index("method")
    auc = scores[scores["score"] == "voxel_auc"].set_index("method")["mean"]
    measured = checks.pivot(index="method", columns="check", values="value")
    failed, total = marks(scores, checks) == "fail", checks["random_maps"].iloc[0]
    rows = []
    for method, row in own.iterrows():
        faithful = measured.loc[method, "faithful"]
        nulls = {f"Null: {null}": f"{row[null]:.2f}" if pd.notna(row.get(null)) else "–" for null in NULLS}
        rows.append(
            {"On": modality, "Method": titles()[method]}
            | {"Overlap": f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"}
            | nulls
            | {
                "AUC": f"{auc[method]:.2f}",
                "Likeness to untrained": f"{measured.loc[method, 'depends on parameters']:z.2f}",
                "Random maps as faithful": f"{faithful:.2f} ({faithful * total:.0f} of {total})",
                "Fails": ", ".join(failed.columns[failed.loc[method]]) or "none",
            }
        )
    return pd.DataFrame(rows)


def lines_of(methods: Sequence[str], modality: str, amounts: HeatmapAmounts, seed: int) -> pd.DataFrame:
    """The lines of some methods, names in METHODS, on the leaderboard of the book."""
    overlap, checks = book_trial(modality, amounts, seed)
    scores = method_scores(overlap, np.random.default_rng(seed), amounts.resamples)
    table = lines(modality, scores, checks)
    return table[table["Method"].isin([METHODS[name].title for name in methods])]


def marks(scores: pd.DataFrame, checks: pd.DataFrame) -> pd.DataFrame:
    """What each method passes: one row a method, columns NULLS then CHECKS, cells "pass", "fail" or "-"."""
    own = scores[scores["score"] == SCORE].set_index("method")
    passed = checks.pivot(index="method", columns="check", values="passed").reindex(own.index)
    columns = {
        null: own[f"above {null}"] if f"above {null}" in own else pd.Series(np.nan, own.index)
        for null in NULLS
    } | {check: passed[check] for check in CHECKS}
    return pd.DataFrame(columns).apply(lambda column: column.map({True: "pass", False: "fail"}).fillna("-"))


def first_maps(subjects: Subjects, explainers: Mapping[str, Explainer]) -> dict[str, np.ndarray]:
    """The heat of each explainer on the first image, positive, zero outside `within`: (*spatial) by name."""
    one = subjects.some(1)
    found = {}
    for name, explain in explainers.items():
        heat = explain(one.network, one.images, one.targets)[0].double().cpu().numpy()
        found[name] = np.maximum(heat if one.within is None else np.where(one.within, heat, 0.0), 0.0)
    return found


def _values(table: pd.DataFrame) -> pd.DataFrame:
    """SCORE of the methods' own maps, subjects by row, methods by column."""
    own = table[(table["map"] == "method") & (table["score"] == SCORE)]
    return own.groupby(["subject", "method"])["value"].mean().unstack()


def _resamples(table: pd.DataFrame, generator: np.random.Generator, resamples: int) -> np.ndarray:
    """How often each subject, sorted by name, was drawn: (resamples, subjects)."""
    return draw_groups(np.unique(table["subject"]), resamples, generator)[1]


def _ends(values: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Central 95 % of the mean over resamples of subjects; a subject without a value counts in none."""
    there = ~np.isnan(values)
    if not there.any():
        return np.nan, np.nan
    times = drawn[:, there]
    times = times[times.sum(1) > 0]
    low, high = np.quantile(times @ values[there] / times.sum(1), [0.025, 0.975])
    return float(low), float(high)
