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
brains = "synthetic"  # or "oasis1", "adni:FOLDER", or a FOLDER of T1w volumes with manifest.csv
patients = "ALS"  # the label of the patients
seed = 0

# %%
import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.graphics.gofplots import ProbPlot

from als_core.book.page import Page
from als_core.claims.published import claim_named, published_table
from als_core.cohorts.volumes import read_volume
from als_core.statistics.groups import chi_square, kolmogorov_smirnov, ks_from_distance, percentages
from als_core.studies.brains.synthetic import BrainParameters, plan
from als_core.studies.turrisi2024 import figures, study, words
from als_core.studies.turrisi2024.audit import table2_readings
from als_core.studies.turrisi2024.classifiers import METHODS
from als_core.studies.turrisi2024.feature_table import synthetic_feature_table
from als_core.studies.turrisi2024.nested_cv import outer_folds
from als_core.studies.turrisi2024.study import STRUCTURE, TurrisiAmounts, open_patients

# %%
page = Page("turrisi2024/01_cohort", profile, "Turrisi 2024, Fig. 2 and 3, Table 1 (patients), Table 2")
amounts = page.profile.amounts("turrisi2024", TurrisiAmounts)
data = open_patients(brains, amounts, seed, patients)
page.about_cohort(data)
synthetic = data.kind == "synthetic"
# ages and sexes need no volume: all 654 planned patients are here, and volumes are drawn of some of them
people = plan(BrainParameters(STRUCTURE, seed=seed)) if synthetic else data.samples
known = {"age", "sex"} <= set(people)
substituted = words.substitutions(data, amounts)
page.substitutions(
    {name: substituted[name] for name in words.OF_VOLUMES if name in substituted},
    words.forbids(data, words.FORBIDS_BRIGHTNESS),
)

# %% [markdown]
# ## The groups
#
# In the paper, all patients came with signs that made ALS possible. The larger group has ALS; the smaller
# one has a disease that looks like it, a *mimic*. The printed counts are added up here, and every
# percentage of the paper's table of patients is computed from the count beside it, within its group.

# %%
groups = published_table("turrisi2024_cohort").set_index("row")["n_subjects"]
printed = published_table("turrisi2024_table1b_demographics")
counts = printed.pivot(index=["variable", "level"], columns="group", values="n")
shares = counts.groupby(level="variable", sort=False).transform(lambda n: percentages(n.to_numpy()))
computed = [shares.loc[(row.variable, row.level), row.group] for row in printed.itertuples()]
page.table(
    words.patients_table(printed, computed),
    "turrisi-table1-patients",
    "Patients by sex and age: printed counts and percentages, and the percentages that the counts make "
    "(Table 1 (patients) in the paper). *Printed numbers only.*",
    of_cohort=False,
)
page.claims(
    {
        "turrisi2024.section2_1.all.subjects": int(groups["als"] + groups["mimicking"]),
        "turrisi2024.section2_1.mimicking.subjects": int(
            groups[groups.index.str.startswith("mimicking.")].sum()
        ),
    }
    | {
        f"{words.patients_claim(row)}.percent": share
        for row, share in zip(printed.itertuples(), computed, strict=True)
    }
)

# %% [markdown]
# ## Do the groups differ in sex and age?
#
# Table 2 of the paper tests sex with Pearson's chi-square and age with the two-sample test of Kolmogorov and
# Smirnov. Sex is tested again from the printed counts, both ways in use. The ages themselves are not public;
# the printed distance D, which is rounded, and the sizes of the groups leave a range for p.

# %%
sex = counts.loc["sex"].to_numpy()
pearson, yates = chi_square(sex, yates=False), chi_square(sex, yates=True)
statistic, distance = (claim_named(f"turrisi2024.table2.{name}.statistic").value for name in ("sex", "age"))
from_distance = ks_from_distance(distance, int(groups["als"]), int(groups["mimicking"]))
p_of_printed = stats.chi2.sf(statistic, 1)
ill = people["label"] == patients
on_page = kolmogorov_smirnov(*(people.loc[rows, "age"] for rows in (ill, ~ill))) if known else None
page.table(
    words.tests_table(
        pearson,
        yates,
        (statistic, p_of_printed),
        (distance, from_distance),
        on_page,
        len(people),
        synthetic,
    ),
    "turrisi-table2-tests",
    "Tests of a difference between the groups (after Table 2 in the paper). *Printed numbers, but for a "
    "last row that says otherwise.*",
    of_cohort=False,
)
page.claims(table2_readings() | ({"turrisi2024.table2.age.statistic": on_page.distance} if known else {}))
if data.kind == "own":
    page.answer(**words.own_groups(people, patients, data.name, on_page))
else:
    page.answer(**words.als_against_mimics())
page.text(words.tests_sentence(pearson, yates, statistic, p_of_printed, distance, from_distance))

# %% [markdown]
# ## Are ages normally distributed?
#
# Points on the dashed line would be ages of a normal distribution. Points below it at the left end are
# patients younger than such a distribution would have: a long left tail. Ages of a synthetic cohort are drawn
# to the printed means, spreads and ranges, so the shape of their distribution is the book's.

# %%
if known:
    quantiles = []
    for label, ages in people.groupby("label")["age"]:
        plotted = ProbPlot(ages, fit=True)
        normal = plotted.loc + plotted.scale * plotted.theoretical_quantiles
        quantiles.append(pd.DataFrame({"label": label, "normal": normal, "age": plotted.sorted_data}))
    page.show(
        figures.quantile_plots(pd.concat(quantiles, ignore_index=True), synthetic), "turrisi-fig2-quantiles"
    )
    if synthetic:  # they were planned with these very numbers
        page.claims(study.demographic_claims(people), page.circumstances(went_in=True))
        page.claims(study.diagnosis_claims(people))

# %% [markdown]
# ## Brightness
#
# A histogram of voxel values for each patient, background left out, averaged within each group. The units of
# a T1-weighted scan are arbitrary: they depend on the scanner's gain, in the synthetic volumes too.

# %%
values = [np.asarray(read_volume(data.folder / path).dataobj).ravel() for path in data.samples["path"]]
values = [each[each > 0] for each in values]
edges = np.linspace(0, np.quantile(np.concatenate(values), 0.999), 41)
voxels = np.array([np.histogram(each, edges)[0] for each in values])
median = float(np.median(np.concatenate(values)))
by_label = data.samples.groupby("label").indices.items()
histograms = pd.concat(words.mean_histogram(label, edges, voxels[rows]) for label, rows in by_label)
page.show(figures.mean_histograms(histograms, median), "turrisi-fig3-histograms")
page.claims({"turrisi2024.section3_1_2.voxel.most_values": median})

# %% [markdown]
# ## Sizes that the protocol makes
#
# Three stratified folds of the printed groups, and SMOTE on the training part of each, run as the classifiers
# run them: on a table of 654 subjects whose features are noise.

# %%
table = synthetic_feature_table(
    np.random.default_rng(seed), np.repeat([True, False], [groups["als"], groups["mimicking"]])
)
oversample = METHODS["SVM (L)"].pipeline(seed)[:-1]
rows = []
for number, (train, test) in enumerate(outer_folds(table.positive, seed), 1):
    resampled, _ = oversample.fit_resample(
        table.features.to_numpy()[train], table.positive[train].astype(int)
    )
    rows.append((number, len(train), int(table.positive[train].sum()), len(resampled), len(test)))
sizes = pd.DataFrame(rows, columns=["Fold", "Training", "ALS in training", "Training after SMOTE", "Test"])
page.table(
    sizes, "turrisi-fold-sizes", "Subjects in the three folds. *Printed group sizes only.*", of_cohort=False
)
usual = sizes.mode().iloc[0].astype(int)
page.claims(
    {
        "turrisi2024.section2_4.outer.train.subjects": int(usual["Training"]),
        "turrisi2024.section2_4.outer.test.subjects": int(usual["Test"]),
        "turrisi2024.section2_4.smote.train.subjects": int(usual["Training after SMOTE"]),
    }
)

# %% [markdown]
# ## What this means
#
# The paper's two tests find no difference in sex or age, and the printed sizes of groups and folds add up.
# This does not make the groups alike: their printed mean ages differ by some years, and the mimics are four
# diseases whose ages the paper does not print separately. Scores of classifiers on scans therefore have to be
# read beside a classifier that sees age and sex alone.

# %%
page.made_of(volumes=f"{len(data)} at {data.settings.resolution} mm", seed=seed)
page.provenance()
