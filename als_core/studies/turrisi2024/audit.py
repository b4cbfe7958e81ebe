"""Recompute the numbers of the audit's findings on the T1w study (Turrisi 2024).

Each function gives a finding's numbers by name, from the printed numbers alone; F1, accuracies and shares of Table 3 in
percent, the metrics of Table 4 as fractions, as the paper prints them. `data/audit/numbers.csv` has the numbers as the
findings state them.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.model_selection import StratifiedKFold

from als_core.claims.findings import Facts, finding, named_ends
from als_core.claims.published import claim_named, published_table
from als_core.statistics.bounds import METRICS, least_mean_auc, possible_tables
from als_core.statistics.curves import auc_bounds, auc_interval, auprc_bounds
from als_core.statistics.granularity import printed_range
from als_core.statistics.groups import chi_square, ks_from_distance, percentages

ALS, MIMICS, FOLDS = 548, 106, 3
REPRESENTATIONS = ("radiomics", "dl7", "dl8")


def folds() -> list[tuple[int, int]]:
    """Count ALS and mimics in each of three stratified test folds of 218, as scikit-learn makes them."""
    is_als = np.repeat([True, False], [ALS, MIMICS])
    tests = [test for _, test in StratifiedKFold(FOLDS).split(is_als, is_als)]
    return [(int(is_als[test].sum()), int((~is_als[test]).sum())) for test in tests]


def printed(representation: str) -> dict[str, str]:
    """Return precision, recall and F1 of Table 4, as printed."""
    return {
        metric: claim_named(f"turrisi2024.table4.{representation}.{metric}").printed.text
        for metric in ("precision", "recall", "f1")
    }


def tables_of(representation: str) -> np.ndarray:
    """List every table of counts over all subjects that agrees with Table 4; fold means are taken as pooled."""
    return possible_tables(ALS, MIMICS, **printed(representation))


def tables_of_the_best_model() -> np.ndarray:
    """List every table of counts that agrees with the precision of DL7 with SVM (P) and one of its three recalls.

    The abstract, Table 4 and section 3.2 print different recalls (finding T5). Fold means are taken as pooled.
    """
    precision = printed("dl7")["precision"]
    names = ("abstract.best.recall", "table4.dl7.recall", "section3_2.dl7_svm_p.recall")
    recalls = (claim_named(f"turrisi2024.{name}").printed.text for name in names)
    return np.concatenate(
        [possible_tables(ALS, MIMICS, precision=precision, recall=each) for each in recalls]
    )


def always_als_f1(positives: int, negatives: int) -> float:
    """Return the F1 of answering ALS for everybody, in percent."""
    return 100 * 2 * positives / (2 * positives + negatives)


def always_als_metrics() -> tuple[float, float]:
    """Return F1 and balanced accuracy of answering ALS for everybody, as fractions."""
    return always_als_f1(ALS, MIMICS) / 100, 0.5


def f1_table() -> pd.Series:
    """Return the 24 mean F1 of Table 3 in percent, by method and representation."""
    table = published_table("turrisi2024_table3_f1").set_index(["method", "representation"])
    return table["f1_mean_percent"]


@finding("T1")
def auprc_of_the_worst_ranking() -> Facts:
    """Compute the AUPRC of the worst ranking possible, and of scores without information, ALS positive."""
    least = min(auprc_bounds(*fold).least for fold in folds())
    share = ALS / (ALS + MIMICS)
    return {
        "printed": claim_named("turrisi2024.table4.radiomics.auprc").value,
        "least": least,
        "chance": share,
        "chance_mimics": 1 - share,
        "auc_turned": 1 - claim_named("turrisi2024.table4.radiomics.auc").value,
        "best_auc": claim_named("turrisi2024.table4.dl7.auc").value,
        "auprc_mimics": _binormal_auprc(1 - claim_named("turrisi2024.table4.radiomics.auc").value, 1 - share),
    }


@finding("T2")
def least_auc_of_the_printed_metrics() -> Facts:
    """Compute the least AUC that precision and recall leave, for one set of predictions and for means of runs."""
    tables = tables_of("radiomics")
    forced = auc_bounds(METRICS["recall"](tables), METRICS["specificity"](tables)).least
    mixed = least_mean_auc(*folds()[0], **printed("radiomics"))
    specificity = METRICS["specificity"](mixed.tables)
    return {
        "tables": len(tables),
        "least": forced.min(),
        "least_of_means": mixed.least_auc,
        "none_spared_percent": 100 * mixed.weights[specificity == 0].sum(),
        "all_spared_percent": 100 * mixed.weights[specificity == 1].sum(),
    }


@finding("T3")
def f1_of_always_answering_als() -> Facts:
    """Compare the F1 of always answering ALS on the three folds with the 24 cells of Table 3."""
    baseline = np.mean([always_als_f1(*fold) for fold in folds()])
    cells = f1_table()
    return {
        "baseline": baseline,
        "cells": len(cells),
        "above": int((cells > baseline).sum()),
        "below": int((cells < baseline).sum()),
        "best": cells.max(),
        "gain": cells.max() - baseline,
        "median": cells.median(),
        "als_percent": 100 * ALS / (ALS + MIMICS),
    }


@finding("T4")
def tables_of_counts_behind_table_4() -> Facts:
    """Compute the range of each metric over all tables of counts that agree with Table 4."""
    facts: Facts = {}
    for name in REPRESENTATIONS:
        balanced = METRICS["balanced_accuracy"](tables_of(name))
        facts |= {f"{name}_balanced_least": balanced.min(), f"{name}_balanced_most": balanced.max()}
    tables = tables_of("dl7")
    spared = METRICS["specificity"](tables)
    # against always answering ALS the discordant ones are the mimics found and the ALS patients missed
    p = [stats.binomtest(int(t[0, 0]), int(t[0, 0] + t[1, 0])).pvalue for t in tables]
    found = f1_table()["SVM (P)", "DL7"]
    spread = published_table("turrisi2024_table3_f1").set_index(["method", "representation"])["f1_sd_percent"]
    t = (found - f1_of_always_answering_als()["baseline"]) / (spread["SVM (P)", "DL7"] / math.sqrt(FOLDS))
    return facts | {
        "tables": len(tables),
        "spared_least": int(tables[:, 0, 0].min()),
        "spared_most": int(tables[:, 0, 0].max()),
        "mimics": MIMICS,
        "specificity_least": spared.min(),
        "specificity_most": spared.max(),
        "matthews_least": METRICS["matthews"](tables).min(),
        "matthews_most": METRICS["matthews"](tables).max(),
        "accuracy_least": 100 * METRICS["accuracy"](tables).min(),
        "accuracy_most": 100 * METRICS["accuracy"](tables).max(),
        "always_als": 100 * ALS / (ALS + MIMICS),
        "p_least": min(p),
        "p_most": max(p),
        "p_folds": 2 * stats.t.sf(t, FOLDS - 1),
    }


def possible_metrics() -> pd.DataFrame:
    """Return all metrics of every table of counts that agrees with Table 4, one row a table, with the model's `name`."""
    titles = zip(REPRESENTATIONS, ("Radiomics, DNNv", "DL7, SVM (P)", "DL8, SVM (P)"), strict=True)
    parts = [
        pd.DataFrame({"name": title, **{metric: of(tables_of(name)) for metric, of in METRICS.items()}})
        for name, title in titles
    ]
    return pd.concat(parts, ignore_index=True)


@finding("T5")
def recalls_of_the_best_model() -> Facts:
    """Compute the F1 that each printed recall of one model gives with its printed precision."""
    recalls = {
        "abstract": claim_named("turrisi2024.abstract.best.recall").value,
        "table": claim_named("turrisi2024.table4.dl7.recall").value,
        "text": claim_named("turrisi2024.section3_2.dl7_svm_p.recall").value,
    }
    precision = claim_named("turrisi2024.table4.dl7.precision")
    low, high = (float(end) for end in printed_range(printed("dl7")["recall"]))
    f1_low = float(printed_range(printed("dl7")["f1"])[0])
    facts: Facts = {f"f1_{name}": _f1(precision.value, recall) for name, recall in recalls.items()}
    return facts | {
        "f1_least": _f1(precision.value - precision.printed.half_unit, low),
        "f1_most": _f1(precision.value + precision.printed.half_unit, high),
        # precision at which the largest recall that prints 0.95 gives an F1 that prints 0.92
        "precision_needed": f1_low * high / (2 * high - f1_low),
        "f1_table_3": f1_table()["SVM (P)", "DL7"],
    }


@finding("T6")
def optima_of_a_nested_search() -> Facts:
    """Count the optima of a nested search, the share of a fold, and how far F1 moves by sampling."""
    optima = published_table("turrisi2024_table1_hyperparameters")
    sets = optima.groupby(["representation", "method"]).ngroups
    return {
        "test_share_percent": 100 / FOLDS,
        "printed_share": claim_named("turrisi2024.section2_4.grid_search.test_share").value,
        "optima": sets,
        "optima_nested": sets * FOLDS,
        "cells": len(f1_table()),
        "f1_error": 100 * _f1_error(tables_of("dl7")[0]),
        "gain": f1_of_always_answering_als()["gain"],
    }


@finding("T7")
def optima_at_the_ends_of_their_grid() -> Facts:
    """Count optima of Table 1 at an end of the values tried (the degree, with two values, is left out)."""
    optima = published_table("turrisi2024_table1_hyperparameters")
    optima = optima[optima["hyperparameter"] != "d"]
    grids = published_table("turrisi2024_search_grids")
    at_end = []
    for row in optima.itertuples():
        tried = grids[(grids["hyperparameter"] == row.hyperparameter)
                      & (grids["method"].isin([row.method, "SVM (all kernels)"]))]["candidate_value"]  # fmt: skip
        at_end.append(row.optimal_value in (tried.min(), tried.max()))
    ends = optima[at_end]
    return {
        "optima": len(optima),
        "at_end": len(ends),
        "knn_at_end": int((ends["method"] == "Knn").sum()),
        "sigmoid_f1": f1_table()["SVM (S)", "DL7"],
        "baseline": f1_of_always_answering_als()["baseline"],
    }


@finding("T8")
def sizes_after_oversampling() -> Facts:
    """Compute training sizes after oversampling the mimics of two folds to as many as the ALS patients."""
    sizes = [2 * (ALS - als) for als, _ in folds()]
    silent = published_table("turrisi2024_resampling")
    return {
        "sizes": ", ".join(map(str, sizes)),
        "printed": claim_named("turrisi2024.section2_4.smote.train.subjects").value,
        "not_reported": int((silent["value_as_printed"] == "not reported").sum()),
    }


def demographic_counts() -> pd.DataFrame:
    """Return the counts of the second Table 1: rows (variable, level), columns ALS and mimicking."""
    people = published_table("turrisi2024_table1b_demographics")
    return people.pivot_table(index=["variable", "level"], columns="group", values="n")


def table2_readings() -> dict[str, dict[str, float]]:
    """Return every reading of the numbers of Table 2 that follow from other printed numbers, by claim id.

    The correction of the chi-square is not printed, and the distance of the ages is rounded, so that its p is one of a
    range: by two approximations at the least, printed and greatest distance.
    """
    sex = demographic_counts().loc["sex"].to_numpy(int)
    tests = {
        "without correction": chi_square(sex, yates=False),
        "with Yates' correction": chi_square(sex, yates=True),
    }
    printed = claim_named("turrisi2024.table2.age.statistic").printed
    ages = {}
    for distance in (printed.value - printed.half_unit, printed.value, printed.value + printed.half_unit):
        ks = ks_from_distance(distance, ALS, MIMICS)
        ages |= {f"D = {distance:.3f}, limit": ks.p_limit, f"D = {distance:.3f}, effective size": ks.p_finite}
    return {
        "turrisi2024.table2.sex.statistic": {name: test.statistic for name, test in tests.items()},
        "turrisi2024.table2.sex.p_value": {name: test.p for name, test in tests.items()},
        "turrisi2024.table2.age.p_value": ages,
    }


@finding("T9")
def group_tests_from_the_counts() -> Facts:
    """Recompute Table 2 and the percentages from the counts of the second Table 1, by each reading."""
    counts, readings = demographic_counts(), table2_readings()
    statistic, p, ages = readings.values()
    recomputed = [percentages(counts.loc[variable].to_numpy()) for variable in counts.index.levels[0]]
    shares = pd.DataFrame(np.vstack(recomputed), counts.index, counts.columns).stack()
    people = published_table("turrisi2024_table1b_demographics")
    as_printed = people.set_index(["variable", "level", "group"])["percent"]
    return {
        "pearson": statistic["without correction"],
        "pearson_p": p["without correction"],
        "yates": statistic["with Yates' correction"],
        "yates_p": p["with Yates' correction"],
        "printed": claim_named("turrisi2024.table2.sex.statistic").value,
        "ks_p_limit": ages["D = 0.110, limit"],
        "ks_p_finite": ages["D = 0.110, effective size"],
        "ks_p_most": max(ages.values()),
        "percentages": len(as_printed),
        "percentages_off": int(((shares - as_printed).abs() > 0.05).sum()),
    }


@finding("T10")
def age_difference_of_the_groups() -> Facts:
    """Apply Welch's test to the printed means and standard deviations of age, and over their rounding."""
    ages = [[claim_named(f"turrisi2024.section3_1_1.{group}.{what}").value for what in ("mean_age", "sd_age")]
            for group in ("als", "mimicking")]  # fmt: skip
    (mean, sd), (other_mean, other_sd) = ages

    def welch(means: tuple[float, float], sds: tuple[float, float]) -> float:
        return float(
            stats.ttest_ind_from_stats(means[0], sds[0], ALS, means[1], sds[1], MIMICS, False).pvalue
        )

    shifts = list(product((-0.5, 0.5), repeat=4))
    p = [welch((mean + a, other_mean + b), (sd + c, other_sd + d)) for a, b, c, d in shifts]
    ratio = (other_sd / sd) ** 2
    return {
        "difference": mean - other_mean,
        "p": welch((mean, other_mean), (sd, other_sd)),
        "p_least": min(p),
        "p_most": max(p),
        "variance_ratio": ratio,
        "variance_p": 2 * stats.f.sf(ratio, MIMICS - 1, ALS - 1),
        "age_auc": stats.norm.cdf((mean - other_mean) / math.hypot(sd, other_sd)),
    }


@finding("T11")
def field_of_view() -> Facts:
    """Multiply the printed voxel and matrix sizes."""
    voxel = claim_named("turrisi2024.section2_1.voxel.x").value
    return {
        "in_plane_mm": voxel * claim_named("turrisi2024.section2_1.matrix.x").value,
        "through_plane_mm": voxel * claim_named("turrisi2024.section2_1.matrix.z_mode").value,
    }


@finding("T12")
def intervals_of_the_aucs() -> Facts:
    """Compute intervals of the printed AUCs from the class sizes, and the AUPRC gained over chance."""
    facts: Facts = {}
    for name in ("dl7", "dl8"):
        interval = auc_interval(claim_named(f"turrisi2024.table4.{name}.auc").value, ALS, MIMICS)
        facts |= named_ends(f"{name}_low", f"{name}_high", interval)
    chance = ALS / (ALS + MIMICS)
    auc = claim_named("turrisi2024.table4.dl7.auc").value
    return facts | {
        "chance": chance,
        "expected_auprc": _binormal_auprc(auc, chance),
        "printed_auprc": claim_named("turrisi2024.table4.dl7.auprc").value,
        "dl8_gain_percent": 100 * (claim_named("turrisi2024.table4.dl8.auprc").value - chance) / (1 - chance),
    }


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall)


def _f1_error(table: np.ndarray) -> float:
    """Return the standard error of F1 over resampled subjects, by the delta method: 0 to 1."""
    n = table.sum()
    h, w = table[1, 1] / n, (table[0, 1] + table[1, 0]) / n  # shares of hits and errors; F1 = 2h / (2h + w)
    slope = np.array([2 * w, -2 * h]) / (2 * h + w) ** 2
    covariance = np.array([[h * (1 - h), -h * w], [-h * w, w * (1 - w)]]) / n
    return float(math.sqrt(slope @ covariance @ slope))


def _binormal_auprc(auc: float, positive_share: float) -> float:
    """Return the AUPRC of two normal score distributions of equal spread with this AUC, for large samples."""
    shift = math.sqrt(2) * stats.norm.ppf(auc)
    thresholds = np.linspace(-8, 8 + shift, 20001)
    recall, alarms = stats.norm.sf(thresholds - shift), stats.norm.sf(thresholds)
    precision = positive_share * recall / (positive_share * recall + (1 - positive_share) * alarms)
    return float(-np.trapezoid(precision, recall))
