# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (turrisi-cohort)=
# # Patients, and what sets the groups apart before any image
#
# Who the T1w study compares, and whether age, sex or the brightness of the scans differ between the groups
# (Turrisi et al. 2024, sections 2.1, 2.4 and 3.1, Fig. 2 and 3, Table 1 (patients), Table 2).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"  # or a folder of T1w volumes, labels ALS and one other; for any other cohort of the book, synthetic
seed = 0

# %%
from collections import Counter

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.graphics.gofplots import ProbPlot

from als_core.book.page import Page
from als_core.claims.printed import agrees_as_printed
from als_core.claims.published import claim_named, published_table
from als_core.cohorts.volumes import read_volume
from als_core.statistics.groups import chi_square, kolmogorov_smirnov, ks_from_distance, percentages
from als_core.studies.brains.synthetic import BrainParameters, plan
from als_core.studies.turrisi2024 import figures
from als_core.studies.turrisi2024.classifiers import METHODS
from als_core.studies.turrisi2024.feature_table import synthetic_demographics, synthetic_feature_table
from als_core.studies.turrisi2024.nested_cv import outer_folds
from als_core.studies.turrisi2024.study import STRUCTURE, TurrisiAmounts, open_patients

page = Page("turrisi2024/01_cohort", profile, "Turrisi 2024, Fig. 2 and 3, Table 1 (patients), Table 2")
amounts = page.profile.amounts("turrisi2024", TurrisiAmounts)
data = open_patients(cohort, amounts, seed)
page.about_cohort(data)
synthetic = data.kind == "synthetic"
# ages and sexes need no volume, so those of all 654 planned patients stand here; volumes are drawn of some
patients = plan(BrainParameters(STRUCTURE, seed=seed)) if synthetic else data.samples
known = {"age", "sex"} <= set(patients)

# %% [markdown]
# ## The groups
#
# All patients came with signs that made ALS possible. The larger group has ALS; the smaller one has a disease that
# looks like it, a *mimic*. The printed counts are added up here.

# %%
groups = published_table("turrisi2024_cohort").set_index("row")["n_subjects"]
mimics = groups[groups.index.str.startswith("mimicking.")]
page.claims(
    {
        "turrisi2024.section2_1.all.subjects": int(groups["als"] + groups["mimicking"]),
        "turrisi2024.section2_1.mimicking.subjects": int(mimics.sum()),
    }
)

# %% [markdown]
# ## Sex and age in classes, from the printed counts
#
# Every percentage of the paper's table of patients is computed from the count beside it, within its group.

# %%
printed = published_table("turrisi2024_table1b_demographics")
shares, slugs = {}, {"<60": "under_60", "60-75": "60_75", ">75": "over_75", "F": "f", "M": "m"}
for variable, rows in printed.groupby("variable", sort=False):
    counts = rows.pivot(index="level", columns="group", values="n")
    percent = pd.DataFrame(percentages(counts.to_numpy()), counts.index, counts.columns)
    shares |= {
        f"turrisi2024.table1b.{variable}.{slugs[level]}.{group.lower()}.percent": percent.loc[level, group]
        for level in counts.index
        for group in counts.columns
    }
computed = [
    shares[f"turrisi2024.table1b.{row.variable}.{slugs[row.level]}.{row.group.lower()}.percent"]
    for row in printed.itertuples()
]
page.table(
    printed[["variable", "level", "group", "n", "percent"]].assign(recomputed=np.round(computed, 2)),
    "turrisi-table1-patients",
    "Patients by sex and age: printed counts and percentages, and the percentages that the counts make (Table 1 (patients) in the paper). *Printed numbers only.*",
    of_cohort=False,
)
page.claims(shares)

# %% [markdown]
# ## Do the groups differ in sex and age?
#
# Table 2 of the paper tests sex with Pearson's chi-square and age with the two-sample test of Kolmogorov and Smirnov. Sex
# is tested again from the printed counts, both ways in use. The ages themselves are not public; but the printed distance D and
# the sizes of the groups fix p.

# %%
sex = printed[printed["variable"] == "sex"].pivot(index="level", columns="group", values="n").to_numpy()
pearson, yates = chi_square(sex, yates=False), chi_square(sex, yates=True)
statistic, distance = (claim_named(f"turrisi2024.table2.{name}.statistic").value for name in ("sex", "age"))
from_distance = ks_from_distance(distance, int(groups["als"]), int(groups["mimicking"]))
p_of_printed = stats.chi2.sf(statistic, 1)
rows = [
    ("sex", "printed", statistic, claim_named("turrisi2024.table2.sex.p_value").value),
    ("sex", "Pearson, from the printed counts", pearson.statistic, pearson.p),
    ("sex", "Pearson with Yates' correction", yates.statistic, yates.p),
    ("sex", "p that belongs to the printed statistic", statistic, p_of_printed),
    ("age", "printed", distance, claim_named("turrisi2024.table2.age.p_value").value),
    ("age", "p of the printed D, finite samples", distance, from_distance.p_finite),
    ("age", "p of the printed D, limit", distance, from_distance.p_limit),
]
if known:
    label = patients["label"] == "ALS"
    on_page = kolmogorov_smirnov(patients.loc[label, "age"], patients.loc[~label, "age"])
    ages_of = f"ages of {len(patients)} {'synthetic ' if synthetic else ''}patients, exact"
    rows.append(("age", ages_of, on_page.distance, on_page.p_exact))
page.table(
    pd.DataFrame(rows, columns=["variable", "how", "statistic", "p"]).round(4),
    "turrisi-table2-tests",
    "Tests of a difference between the groups (after Table 2 in the paper).",
)
page.claims(
    {
        "turrisi2024.table2.sex.statistic": pearson.statistic,
        "turrisi2024.table2.sex.p_value": pearson.p,
        "turrisi2024.table2.age.p_value": from_distance.p_finite,
    }
    | ({"turrisi2024.table2.age.statistic": on_page.distance} if known else {})
)
close = sum(agrees_as_printed(value, claim_named(claim).printed) for claim, value in shares.items())
page.headline(
    f"The printed counts of men and women give a chi-square of {pearson.statistic:.2f}, or {yates.statistic:.2f} with Yates' correction; "
    f"the paper prints {statistic:.2f}. Of the {len(printed)} percentages in its table of patients, {close} follow from the counts beside them as printed."
)
page.text(
    f"The printed {statistic:.2f} lies between the two ways of computing it (p {pearson.p:.3f} and {yates.p:.3f}), and its own p is {p_of_printed:.3f}. "
    f"For age, D = {distance:.2f} in groups of {groups['als']} and {groups['mimicking']} has a p of {from_distance.p_finite:.2f} or {from_distance.p_limit:.2f}. "
    "None of this crosses 0.05. But a test that finds no difference does not show that groups are matched: "
    "what age and sex alone can tell stands in every table of {ref}`turrisi-classifiers`."
)

# %% [markdown]
# ## Are ages normally distributed?
#
# Points on the dashed line would be ages of a normal distribution. Points below it at the left end are patients younger
# than such a distribution would have: a long left tail. Ages of a synthetic cohort are drawn to the printed means, spreads and
# ranges, so their shape is ours.

# %%
if known:
    quantiles = []
    for label, ages in patients.groupby("label")["age"]:
        plotted = ProbPlot(ages, fit=True)
        normal = plotted.loc + plotted.scale * plotted.theoretical_quantiles
        quantiles.append(pd.DataFrame({"label": label, "normal": normal, "age": plotted.sorted_data}))
    quantiles = pd.concat(quantiles, ignore_index=True)
    skew = patients.groupby("label")["age"].skew()
    page.figure(
        figures.quantile_plots(quantiles),
        "turrisi-fig2-quantiles",
        "Ages against normal quantiles, by group (Fig. 2 in the paper)"
        + (
            f": all {len(patients)} planned patients, whose ages were drawn to the printed summaries."
            if synthetic
            else "."
        ),
        "Two quantile plots, one a group, of age in years against the quantile of a normal distribution, with a dashed diagonal. Skewness: "
        + ", ".join(f"{name} {value:.2f}" for name, value in skew.items())
        + ".",
        quantiles,
    )
    by_group = patients.groupby("label")["age"]
    summary = by_group.agg(["mean", "std", "median", "min", "max"])
    bands = pd.crosstab(
        pd.cut(patients["age"], [0, 59.95, 75.05, 200], labels=["under_60", "60_75", "over_75"]),
        patients["label"],
    )
    others = next(name for name in summary.index if name != "ALS")
    names = {"als": "ALS", "mimicking": others}
    columns = {
        "mean_age": "mean",
        "sd_age": "std",
        "median_age": "median",
        "minimum_age": "min",
        "maximum_age": "max",
    }
    # the synthetic patients were planned with these very numbers
    planned = page.circumstances(went_in=synthetic)
    page.claims(
        {
            f"turrisi2024.section3_1_1.{slug}.{claim}": summary.loc[name, column]
            for slug, name in names.items()
            for claim, column in columns.items()
        }
        | {
            f"turrisi2024.table1b.age.{band}.{slug}.n": int(bands.loc[band, name])
            for slug, name in names.items()
            for band in bands.index
        }
        | {
            f"turrisi2024.table1b.sex.{letter}.{slug}.n": int(
                ((patients["label"] == name) & (patients["sex"] == letter.upper())).sum()
            )
            for slug, name in names.items()
            for letter in "fm"
        }
        | {"turrisi2024.section2_1.als.subjects": int((patients["label"] == "ALS").sum())},
        planned,
    )
    if "diagnosis" in patients and synthetic:
        diagnoses = patients["diagnosis"].value_counts()
        slugs_of = {
            "cervical_spondylotic_myelopathy": "cervical spondylotic myelopathy",
            "myasthenia_gravis": "myasthenia gravis",
            "monomelic_amyotrophy": "monomelic amyotrophy (Hirayama)",
            "peripheral_motor_neuropathy": "peripheral motor neuropathy",
        }
        page.claims(
            {
                f"turrisi2024.section2_1.mimicking.{slug}.subjects": int(diagnoses[name])
                for slug, name in slugs_of.items()
            }
        )

# %% [markdown]
# ## Brightness
#
# A histogram of voxel values for each patient, background left out, averaged within each group. The units of a
# T1-weighted scan are arbitrary: they depend on the scanner's gain, in the synthetic volumes too.

# %%
values = [np.asarray(read_volume(data.folder / path).dataobj).ravel() for path in data.samples["path"]]
values = [each[each > 0] for each in values]
edges = np.linspace(0, np.quantile(np.concatenate(values), 0.999), 41)
counts = np.array([np.histogram(each, edges)[0] for each in values])
histograms = pd.concat(
    pd.DataFrame(
        {
            "label": name,
            "value": (edges[1:] + edges[:-1]) / 2,
            "mean": counts[rows].mean(0),
            "sd": counts[rows].std(0, ddof=1),
        }
    )
    for name, rows in data.samples.groupby("label").indices.items()
)
middle = float(np.median(np.concatenate(values)))
page.figure(
    figures.mean_histograms(histograms),
    "turrisi-fig3-histograms",
    f"Mean histogram of voxel values of the {len(data)} volumes of this page, by group; lines, one standard deviation between patients (Fig. 3 in the paper).",
    f"Two bar histograms, one a group, of voxels a patient against voxel value, alike in shape, each with its peak of white matter at the right; half of all values lie below {middle:.0f}.",
    histograms,
)
page.claims({"turrisi2024.section3_1_2.voxel.most_values": middle})

# %% [markdown]
# ## Sizes that the protocol makes
#
# Three stratified folds of the printed groups, and SMOTE on the training part of each, run as the classifiers run
# them: on a table of 654 subjects whose features are noise.

# %%
table = synthetic_feature_table(
    np.random.default_rng(seed), synthetic_demographics(np.random.default_rng(seed))
)
folds = outer_folds(table.positive, seed)
oversample = METHODS["SVM (L)"].pipeline(seed)[:-1]
after = [
    len(oversample.fit_resample(table.features.to_numpy()[train], table.positive[train].astype(int))[0])
    for train, _ in folds
]
sizes = pd.DataFrame(
    {
        "fold": range(1, len(folds) + 1),
        "training": [len(train) for train, _ in folds],
        "ALS in training": [int(table.positive[train].sum()) for train, _ in folds],
        "training after SMOTE": after,
        "test": [len(test) for _, test in folds],
    }
)
page.table(
    sizes,
    "turrisi-fold-sizes",
    "Subjects in the three folds. *Printed group sizes only.*",
    of_cohort=False,
)
most_often = {name: Counter(sizes[name]).most_common(1)[0][0] for name in sizes}
page.claims(
    {
        "turrisi2024.section2_4.outer.train.subjects": most_often["training"],
        "turrisi2024.section2_4.outer.test.subjects": most_often["test"],
        "turrisi2024.section2_4.smote.train.subjects": most_often["training after SMOTE"],
    }
)
page.text(
    f"SMOTE makes {', '.join(map(str, after))} training subjects in the three folds; the paper prints one number."
)

# %%
page.made_of(volumes=f"{len(data)} at {data.settings.resolution} mm", seed=seed)
page.provenance()
