"""Sentences and tables of the T1w pages (Turrisi 2024), computed from results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from als_core.claims.published import claim_named
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.figures.drawn import as_written, listed, number, p_value, percent_range
from als_core.refusal import counted
from als_core.statistics.bounds import METRICS
from als_core.statistics.groups import ChiSquare, KolmogorovSmirnov
from als_core.studies.brains.words import drawn_effect
from als_core.studies.turrisi2024.audit import (
    ALS,
    MIMICS,
    age_difference_of_the_groups,
    f1_of_always_answering_als,
    table2_readings,
    tables_of_the_best_model,
)
from als_core.studies.turrisi2024.classifiers import METHODS
from als_core.studies.turrisi2024.nested_cv import metric_intervals
from als_core.studies.turrisi2024.study import FINE_MM, REPORTED, REPRESENTATIONS, TableCohort, TurrisiAmounts

FORBIDS = (
    "Do not compare the scores of this page with the paper's: they show how the methods behave on drawn "
    "brains, and nothing about ALS."
)
FORBIDS_BRIGHTNESS = (
    "Do not compare the histograms or the fitted ages of this page with the paper's: volumes are drawn."
)
FORBIDS_OWN = "Do not compare the scores of this page with the paper's: patients and sizes differ."
OF_VOLUMES = ("Patients", "Voxel side")  # substitutions that matter on a page without features
OF_FEATURES = (*OF_VOLUMES, "Disease", "Extractor's weights")  # and without classifiers
LEVELS = {"<60": "under_60", "60-75": "60_75", ">75": "over_75", "F": "f", "M": "m"}
READABLE = {"<60": "under 60", "60-75": "60 to 75", ">75": "over 75", "F": "women", "M": "men"}
FAMILY_SLUGS = {"firstorder": "first_order"}  # of claim ids
OPTIMA_HEADS = {"tuned once": "Here, tuned once", "nested": "Here, nested, fold by fold"}
INTERVALS = {"balanced_accuracy": "Balanced accuracy", "auc": "AUC", "f1": "F1"}
OTHERS = {
    "precision": "Precision",
    "recall": "Recall",
    "auprc": "AUPRC",
    "f1_other": "F1, other",
    "precision_other": "Precision, other",
    "recall_other": "Recall, other",
    "auprc_other": "AUPRC, other",
    "matthews": "MCC",
}


def slug(text: str) -> str:
    """Write a name as claim ids do."""
    return text.lower().replace(" (", "_").replace(")", "").replace(" ", "_")


def forbids(data: VolumeCohort | TableCohort, drawn: str = FORBIDS) -> str:
    """Say what the substitutions of a page rule out. drawn: for synthetic patients."""
    return drawn if data.kind == "synthetic" else FORBIDS_OWN


def voxel_side(data: VolumeCohort | TableCohort) -> str:
    """Say the resolution of the volumes; of a table there are none."""
    return f"{data.settings.resolution} mm" if isinstance(data, VolumeCohort) else "none: a feature table"


def substitutions(
    data: VolumeCohort | TableCohort, amounts: TurrisiAmounts, weights: str = "public"
) -> dict[str, tuple[str, str]]:
    """List what a page used in place of what the paper used, for `Page.substitutions`."""
    source = "the public ones of the same group"
    rows = {
        "Voxel side": (voxel_side(data), f"{FINE_MM} mm"),
        "Extractor's weights": (source if weights.startswith("public") else weights, source),
        "Neighbours of SMOTE": (str(amounts.neighbours), str(TurrisiAmounts.neighbours)),
        "Classifiers": (str(len(amounts.methods)), str(len(TurrisiAmounts.methods))),
    }
    if data.kind != "synthetic":
        return rows
    return {
        "Patients": (f"{len(data)}, drawn by a program", f"{ALS + MIMICS}, scanned"),
        "Disease": (drawn_effect(amounts.effect, "ALS"), "real"),
    } | rows


def patients_claim(row: NamedTuple) -> str:
    """Name the claims of one row of the paper's table of patients, without their last part."""
    return f"turrisi2024.table1b.{row.variable}.{LEVELS[row.level]}.{row.group.lower()}"


def patients_table(printed: pd.DataFrame, computed: Sequence[float]) -> pd.DataFrame:
    """Lay out the table of patients for reading: printed counts and percentages, and those computed."""
    return pd.DataFrame(
        {
            "Variable": printed["variable"],
            "Level": printed["level"].map(READABLE),
            "Group": printed["group"],
            "Patients": printed["n"],
            "Printed (%)": printed["percent"],
            "From the count (%)": np.round(computed, 2),
        }
    )


def tests_table(
    pearson: ChiSquare,
    yates: ChiSquare,
    printed_sex: tuple[float, float],
    printed_age: tuple[float, KolmogorovSmirnov],
    here: KolmogorovSmirnov | None,
    patients: int,
    synthetic: bool,
) -> pd.DataFrame:
    """Lay out the tests of Table 2. printed_sex: statistic and its p; printed_age: distance and its p."""
    sex, age = (
        [claim_named(f"turrisi2024.table2.{name}.{what}").printed.text for what in ("statistic", "p_value")]
        for name in ("sex", "age")
    )
    distance, from_distance = printed_age
    rows = [
        ("Sex", "printed", *sex),
        ("Sex", "Pearson, from the printed counts", pearson.statistic, pearson.p),
        ("Sex", "Pearson with Yates' correction", yates.statistic, yates.p),
        ("Sex", "p that belongs to the printed statistic", *printed_sex),
        ("Age", "printed", *age),
        ("Age", "p of the printed D, finite samples", distance, from_distance.p_finite),
        ("Age", "p of the printed D, limit", distance, from_distance.p_limit),
    ]
    if here is not None:
        kind = "synthetic patients" if synthetic else "patients"
        rows.append(("Age", f"ages of {patients} {kind}, exact", here.distance, here.p_exact))
    table = pd.DataFrame(rows, columns=["Variable", "Source", "Statistic", "p"])
    numbers = table[["Statistic", "p"]].map(
        lambda value: value if isinstance(value, str) else number(value, 4)
    )
    return table.assign(**numbers)


def tests_sentence(
    pearson: ChiSquare,
    yates: ChiSquare,
    statistic: float,
    p_of_statistic: float,
    distance: float,
    from_distance: KolmogorovSmirnov,
) -> str:
    """Say how the printed tests of sex and age relate to the printed counts."""
    ordered = sorted([yates.statistic, pearson.statistic])
    place = "is between" if ordered[0] <= statistic <= ordered[1] else "is not between"
    return (
        f"The printed chi-square of sex, {statistic:.2f}, {place} the two ways of computing it from the "
        f"printed counts ({pearson.statistic:.2f}, p {p_value(pearson.p)}, and {yates.statistic:.2f} with "
        f"Yates' correction, p {p_value(yates.p)}); its own p is {p_value(p_of_statistic)}. For age, D = "
        f"{distance:.2f} in groups of {ALS} and {MIMICS} has a p of {p_value(from_distance.p_finite)} or "
        f"{p_value(from_distance.p_limit)}. What age and sex alone can tell is in the tables of "
        "{ref}`turrisi-classifiers`."
    )


def mean_histogram(label: str, edges: np.ndarray, voxels: np.ndarray) -> pd.DataFrame:
    """Average the histograms of a group's volumes. edges: (bins + 1,). voxels: counts (volumes, bins)."""
    middles = (edges[1:] + edges[:-1]) / 2
    mean, sd = voxels.mean(0), voxels.std(0, ddof=1)
    return pd.DataFrame({"label": label, "value": middles, "mean": mean, "sd": sd, "volumes": len(voxels)})


def als_against_mimics() -> dict[str, str]:
    """Answer the question of the page of patients from the printed numbers."""
    readings, welch = table2_readings(), age_difference_of_the_groups()
    sex, age = (list(readings[f"turrisi2024.table2.{name}.p_value"].values()) for name in ("sex", "age"))
    means = {
        what: [
            claim_named(f"turrisi2024.section3_1_1.{group}.{what}").value for group in ("als", "mimicking")
        ]
        for what in ("mean_age", "sd_age")
    }
    (als, mimics), (als_sd, mimics_sd) = means.values()
    least = min(*sex, *age)
    crosses = "none below 0.05" if least > 0.05 else "not all above 0.05"
    return {
        "question": "Do the patients with ALS and those with a disease that looks like it differ in age or "
        "sex, before any image is used?",
        "found": "The paper's two tests, of sex and of the distribution of age, have p values from "
        f"{p_value(least)} to {p_value(max(*sex, *age))} when they are computed again from the printed numbers, "
        f"{crosses}. The printed mean ages are {als - mimics:.0f} years apart ({als:.0f} ± {als_sd:.0f} and {mimics:.0f} ± "
        f"{mimics_sd:.0f}); Welch's p is {p_value(welch['p'])}, between {p_value(welch['p_least'])} and "
        f"{p_value(welch['p_most'])} within rounding (finding T10).",
        "how_sure": "Sex is tested again from the printed counts. The ages are not public, and the printed distance between "
        f"their distributions is rounded, which allows p from {p_value(min(age))} to {p_value(max(age))}.",
        "not_shown": "Whether age tells the diseases apart in single patients: age and sex alone are a baseline on the page "
        "of the classifiers.",
    }


def referrals() -> str:
    """Say what the best printed model would do for 100 patients like the paper's."""
    tables = tables_of_the_best_model()
    als = round(100 * ALS / (ALS + MIMICS))
    spared = _whole_range((100 - als) * METRICS["specificity"](tables))
    missed = _whole_range(als * (1 - METRICS["recall"](tables)))
    return (
        f"Of 100 referrals like the paper's, {als} have ALS and {100 - als} a mimic. This model recognises {spared} of the "
        f"{100 - als} mimics and takes {missed} of the {als} ALS patients for a mimic."
    )


def against_always_als(synthetic: bool) -> dict[str, str]:
    """Answer the question of the page of classifiers, from the printed numbers."""
    facts = f1_of_always_answering_als()
    balanced = METRICS["balanced_accuracy"](tables_of_the_best_model())
    auc = claim_named("turrisi2024.table4.dl7.auc").printed.text
    return {
        "question": "Can classifiers on a T1-weighted scan tell ALS from diseases that look like it?",
        "found": "Somewhat, by the printed numbers: the model with the greatest F1 ranks better than chance "
        f"(AUC {auc}) and has a balanced accuracy of {percent_range(balanced.min(), balanced.max())}, where naming everyone "
        f"ALS has 50 %. F1 does not show this: {facts['below']} of the paper's {facts['cells']} pairs of classifier and features "
        f"have a lower F1 than naming everyone ALS ({facts['baseline']:.2f} %), and the best is {facts['gain']:.2f} points above "
        f"it. {referrals()}",
        "how_sure": "This follows from the printed precision and the three printed recalls of this model (finding T5), with "
        f"means over folds taken as pooled counts. Tuning, age and the choice among {facts['cells']} pairs are not allowed for.",
        "not_shown": "Whether the images add anything to age and sex in real patients: the paper has no such "
        f"baseline, and {'the brains on this page are drawn' if synthetic else 'this page shows others'}.",
    }


def own_groups(
    people: pd.DataFrame, patients: str, name: str, age: KolmogorovSmirnov | None
) -> dict[str, str]:
    """Answer the question of the page of patients for a reader's data.

    people: one row each, column label. age: the test of a difference; None where ages are not known.
    """
    first = as_written(patients)
    counts = people["label"].value_counts()
    others = listed(as_written(label) for label in counts.index if label != patients)
    sizes = f"{counts[patients]} people have the label {first} and {counts.sum() - counts[patients]} the label {others}"
    found, sure = f"{sizes}. Their ages are not known.", "Counts are exact."
    if age is not None:
        found = f"{sizes}; the distributions of their ages are {number(age.distance)} apart (p {p_value(age.p_exact)})."
        sure = "The distance is that of Kolmogorov and Smirnov, 0 to 1, with its exact p value."
    return {
        "question": f"Do {first} and {others} in {as_written(name)} differ in age, before any image is used?",
        "found": found,
        "how_sure": sure,
        "not_shown": "That the groups are alike. A test that finds no difference does not show that there is none. "
        "The tables of this page on sex and age show the paper's patients.",
    }


def own_answer(best: str, patients: str, others: str, name: str) -> dict[str, str]:
    """Answer the question of the page of classifiers for a reader's data. best: from `best_here`."""
    return {
        "question": f"Can classifiers tell {as_written(patients)} from {as_written(others)} in {as_written(name)}?",
        "found": best,
        "how_sure": "In the nested protocol no test subject has a part in training or tuning. Intervals are "
        "over these subjects, not over other sites or scanners.",
        "not_shown": "That it holds elsewhere, or that it is more than age and sex alone would give.",
    }


def optima_table(optima: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Put the printed optimum of Table 1 beside the one tuned once and the three nested ones.

    Columns representation, method, parameter, printed, tuned once, nested (fold by fold).
    """
    keys = ["representation", "method", "parameter"]
    by_protocol = optima.groupby([*keys, "protocol"], sort=False)["value"].agg(list).unstack("protocol")
    table = pd.DataFrame(
        {
            "tuned once": by_protocol["tuned once"].map(lambda values: values[0]),
            "nested": by_protocol["nested"].map(lambda values: ", ".join(f"{value:g}" for value in values)),
        }
    )
    table = table.reset_index()
    return printed.merge(table, _how(table, printed), on=keys).fillna({"printed": "–"})


def _how(table: pd.DataFrame, printed: pd.DataFrame) -> Literal["inner", "right"]:
    """How to join a table with the printed one: a reader's own features have no printed row."""
    return "inner" if set(table["representation"]) & set(printed["representation"]) else "right"


def f1_comparison(summary: pd.DataFrame, printed: pd.DataFrame, own: bool = False) -> pd.DataFrame:
    """Put the printed F1 of Table 3 beside both protocols', in percent, a row per protocol and cell.

    own: for a reader's data, of which nothing is printed.
    """
    here = (100 * summary["f1"]).reset_index()
    here = here[here["representation"] != "no image"]
    renamed = printed.rename(columns={"f1_mean_percent": "printed", "f1_sd_percent": "printed_sd"})
    table = renamed.merge(here, _how(here, printed), on=["method", "representation"])
    if own:
        table = table.assign(printed=np.nan, printed_sd=np.nan)
    return table[["protocol", "method", "representation", "mean", "sd", "printed", "printed_sd"]]


def f1_cells(comparison: pd.DataFrame, without_image: pd.DataFrame) -> pd.DataFrame:
    """Lay Table 3 out for reading: a row per method, a column per representation and protocol.

    without_image: mean and sd of F1 (0 to 1) by method; such a row has the same cell in every column.
    """
    cells = [f"{number(m)} ± {number(s)}" for m, s in zip(comparison["mean"], comparison["sd"], strict=True)]
    heads = comparison["representation"] + ", " + comparison["protocol"]
    table = comparison.assign(cell=cells, head=heads)
    wide = table.pivot(index="method", columns="head", values="cell")[
        list(dict.fromkeys(sorted(heads, key=str)))
    ]
    wide = wide.loc[list(dict.fromkeys(comparison["method"]))]
    for method, row in (100 * without_image).iterrows():
        wide.loc[method] = f"{number(row['mean'])} ± {number(row['sd'])}"
    return wide.rename_axis(None, axis=1).rename_axis("Method").reset_index()


def f1_caption(patients: str) -> str:
    """Caption the table of F1. patients: their label."""
    return (
        f"F1 of {as_written(patients)} on this page in percent, mean and standard deviation, by two protocols (after Table 3 "
        "in the paper). The last rows use no image, so theirs is the same in every column."
    )


def table1_claims(optima: pd.DataFrame) -> dict[str, float]:
    """Name the hyper-parameters tuned once by claim id. optima: from `optima_table`."""
    return {
        f"turrisi2024.table1.{slug(row['representation'])}.{slug(row['method'])}.{row['parameter'].lower()}": float(
            row["tuned once"]
        )
        for row in optima.to_dict("records")
        if row["representation"] in REPRESENTATIONS
    }


def table3_claims(comparison: pd.DataFrame) -> dict[str, float]:
    """Name F1 tuned once, its differences that the text orders, and the median of the printed means."""
    of_paper = (comparison["protocol"] == "tuned once") & comparison["printed"].notna()
    cells = comparison[of_paper].to_dict("records")
    claims = {
        f"turrisi2024.table3.{slug(row['method'])}.{slug(row['representation'])}.f1_{part}": row[part]
        for row in cells
        for part in ("mean", "sd")
    }
    means = {(row["representation"], row["method"]): row["mean"] for row in cells}
    for name, method in means:
        if name == "DL7" and ("DL8", method) in means:
            lead = means["DL7", method] - means["DL8", method]
            claims[f"turrisi2024.section4.dl7_minus_dl8.{slug(method)}.f1"] = lead
    if {name for name, _ in means} == {"Radiomics", "DL7", "DL8"}:
        best = {deep: max(mean for (name, _), mean in means.items() if name.startswith("DL") == deep)
                for deep in (True, False)}  # fmt: skip
        claims["turrisi2024.section4.best_deep_minus_best_radiomics.f1"] = best[True] - best[False]
    return claims | {
        "turrisi2024.section4.all_configurations.f1_median": f1_of_always_answering_als()["median"]
    }


def table4_claims(summary: pd.DataFrame, methods: Sequence[str]) -> dict[str, float]:
    """Name the metrics of the configurations of Table 4, tuned once, by claim id."""
    claims = {}
    for name, method in reported_cells(methods, summary.index.unique("representation")):
        means = summary.loc[("tuned once", name, method)].xs("mean", level=1)
        for metric in ("f1", "precision", "recall", "auc", "auprc"):
            claims[f"turrisi2024.table4.{slug(name)}.{metric}"] = means[metric]
        if name == "DL7":
            claims |= {f"turrisi2024.abstract.best.{metric}": means[metric] for metric in ("f1", "recall")}
            claims["turrisi2024.section3_2.dl7_svm_p.recall"] = means["recall"]
    return claims


def metric_tables(
    predictions: pd.DataFrame,
    summary: pd.DataFrame,
    wanted: list[tuple[str, str, str]],
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make Table 4 for some configurations: three metrics with intervals, and means of the others.

    wanted: protocol, representation and method of each row. The first table also has the columns `value`,
    `low` and `high` of balanced accuracy, as numbers.
    """
    with_intervals, others = [], []
    indexed = predictions.set_index(["protocol", "representation", "method"]).sort_index()
    for protocol, representation, method in wanted:
        part = indexed.loc[(protocol, representation, method)]
        with np.errstate(invalid="ignore"):  # resamples without a mimic in a fold have no AUC there: left out
            # the same resamples for every row, so that rows can be compared
            found = metric_intervals(part, np.random.default_rng(seed), resamples)
        about = {
            "Features": representation,
            "Method": method,
            "Protocol": protocol if _is_tuned(method) else "both",
        }
        texts = {head: _interval(found.loc[metric]) for metric, head in INTERVALS.items()}
        with_intervals.append(about | texts | found.loc["balanced_accuracy"].to_dict())
        mean = summary.loc[(protocol, representation, method)].xs("mean", level=1)
        others.append(about | {head: round(mean[metric], 2) for metric, head in OTHERS.items()})
    return pd.DataFrame(with_intervals), pd.DataFrame(others)


def _is_tuned(method: str) -> bool:
    return method in METHODS and bool(METHODS[method].grid)


def best_cells(summary: pd.DataFrame) -> pd.DataFrame:
    """Find each protocol's best cell by F1 and by balanced accuracy, and its score under the other protocol.

    Columns Chosen by, Protocol, Best cell, Score, Same cell by the other protocol, Difference; percent and
    points.
    """
    rows = []
    for metric, name in (("f1", "F1"), ("balanced_accuracy", "Balanced accuracy")):
        means = 100 * summary[metric, "mean"].unstack("protocol")
        for protocol, other in (("tuned once", "nested"), ("nested", "tuned once")):
            cell = means[protocol].idxmax()
            best, same = means.loc[cell, protocol], means.loc[cell, other]
            row = {
                "Chosen by": name,
                "Protocol": protocol,
                "Best cell": ", ".join(cell),
                "Score (%)": round(best, 2),
            }
            rows.append(
                row | {"Other protocol (%)": round(same, 2), "Difference (points)": round(best - same, 2)}
            )
    return pd.DataFrame(rows)


def protocol_difference(summary: pd.DataFrame, null_shift: pd.Series | None = None) -> str:
    """Say what tuning on all subjects does to the tuned cells, the best cell, and a null cohort.

    summary: of both protocols, tuned methods only. null_shift: row of `leaks.check_leaks` for "tuned once".
    """
    means = 100 * summary["balanced_accuracy", "mean"].unstack("protocol")
    shift = means["tuned once"] - means["nested"]
    higher = int((shift > 0).sum())
    best = {protocol: means[protocol].max() for protocol in means}
    text = (
        f"Tuning once on all subjects moves the balanced accuracy of {counted(len(shift), 'tuned cell')} by "
        f"{number(shift.mean(), 1, signed=True)} points on average ({number(shift.min(), 1, signed=True)} to "
        f"{number(shift.max(), 1, signed=True)}), and {higher} of them upwards. The best tuned cell has "
        f"{number(best['tuned once'], 1)} % tuned once and {number(best['nested'], 1)} % nested."
    )
    if null_shift is None:
        return text
    points, error = 100 * null_shift["shift"], 100 * null_shift["error"]
    return (
        f"{text} Where there is nothing to find, the same change moves {null_shift['method']} by "
        f"{number(points, 1, signed=True)} points (standard error {number(error, 1)})."
    )


def best_here(
    table: pd.DataFrame, positive: np.ndarray, others: str, patients: str = "ALS", drawn: bool = False
) -> str:
    """Say how the best configurations of this page compare with always the patients' label.

    table: from `metric_tables`. positive: bool, one entry per subject; the others have the label `others`. drawn:
    whether the brains are synthetic.
    """
    mimics = int((~positive).sum())
    who = f"{len(positive)} {'drawn brains' if drawn else 'subjects'}"
    images = table[(table["Features"] != "no image") & (table["Protocol"] != "tuned once")]
    best = images.loc[images.groupby("Features", sort=False)["value"].idxmax()]
    named = [f"{row['Features']} {row['value']:.2f} ({row['Method']})" for row in best.to_dict("records")]
    sure = best.loc[best["low"].round(2) > 0.5, "Features"].tolist()  # as it is printed in the table
    above = f"its interval is above 0.50 for {listed(sure)}" if sure else "no interval is above 0.50"
    return (
        f"On the {who} of this page, best balanced accuracy by representation, nested protocol: "
        f"{listed(named)}; always {as_written(patients)} has "
        f"0.50. The best of several methods is often above 0.50 by luck; {above}. There are "
        f"{mimics} {as_written(others)} subjects: one more or less moves balanced accuracy by {50 / mimics:.1f} points."
    )


def auprc_floor(printed: str, least: float) -> str:
    """Compare the printed AUPRC of radiomics with the least that ALS as the positive class can have."""
    verdict = "cannot be one of ALS" if float(printed) < least else "can be one of ALS"
    return (
        f"The printed AUPRC of radiomics, {printed}, {verdict}: the worst ranking there is, all mimics "
        f"first, has {number(least)} in a fold of the printed size."
    )


def printed_model(facts: Mapping[str, float], audit: Mapping[str, float]) -> str:
    """Say what the printed numbers of the best model leave possible. facts: `f1_of_always_answering_als()`; audit: `tables_of_counts_behind_table_4()`."""
    above = counted(int(facts["above"]), "printed mean")
    return (
        f"In the paper, {above} of {facts['cells']} exceeds the F1 of always answering ALS. Every table of "
        "counts that agrees with the printed precision, recall and F1 of DL7 with SVM (P) recognises "
        f"{audit['spared_least']:.0f} to {audit['spared_most']:.0f} of {audit['mimics']} mimics. The printed AUC of this "
        "model says that its ranking holds some information."
    )


def _whole_range(values: np.ndarray) -> str:
    """Write the range of expected counts, rounded to whole patients."""
    low, high = round(float(np.min(values))), round(float(np.max(values)))
    return f"{low}" if low == high else f"{low} or {high}" if high == low + 1 else f"{low} to {high}"


def _interval(row: pd.Series) -> str:
    """Write a value with its interval, without a place where a narrow column could break it."""
    return f"{row['value']:.2f}\u00a0({row['low']:.2f}–{row['high']:.2f})"


def rows_of(cells: Iterable[tuple[str, str]], protocols: Iterable[str]) -> list[tuple[str, str, str]]:
    """List protocol, representation and method of cells; a method with nothing to tune has one protocol."""
    return [
        (protocol, name, method)
        for name, method in cells
        for protocol in (protocols if _is_tuned(method) else ["nested"])
    ]


def reported_cells(methods: Sequence[str], representations: Iterable[str]) -> list[tuple[str, str]]:
    """List representation and method of the configurations of Table 4 that are computed."""
    known = set(representations)
    return [(name, method) for name, method in REPORTED.items() if method in methods and name in known]
