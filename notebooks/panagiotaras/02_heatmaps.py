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
# (panagiotaras-heatmaps-page)=
# # Heatmaps of the brain
#
# Four ways to ask the Alzheimer network where it looks: sensitivity, guided backpropagation, occlusion and
# brain area occlusion (slides by I. Panagiotaras; the same four as in Rieke et al.,
# [2018](https://doi.org/10.1007/978-3-030-02628-8_3)). The slides show the maps and print no number about
# them. On synthetic brains it is known where the disease is, so the maps can be scored; on real ones they can
# still be compared with a network that had no disease to learn.

# %% tags=["parameters"]
profile = "test"
brains = "synthetic"  # or "oasis1", "adni:FOLDER", or a FOLDER of volumes with manifest.csv
patients = "AD"  # the label of the patients, whose score is explained
areas = "available"  # the atlas: AAL under ALS_DATA, else a small one; "aal" downloads AAL
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.volumes import mni_map, template_brain
from als_core.statistics.paired import permutation_p_value, permute_labels_over_groups
from als_core.studies.brains import training
from als_core.studies.brains.atlas import open_atlas
from als_core.studies.brains.cohorts import open_brains
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts
from als_core.studies.panagiotaras import display, figures, linear, tables, words
from als_core.studies.panagiotaras import heatmaps as explain

page = Page("panagiotaras/02_heatmaps", profile, "Panagiotaras, Visualization Methods, Relevant Brain Areas")
amounts = page.profile.amounts("panagiotaras", training.PanagiotarasAmounts)
cohorts = open_brains(brains, amounts.synthetic, folds=amounts.folds, patients=patients)
field, on = next(iter(cohorts.items()))
page.about_cohort(on)
page.text(words.about_brains({field: on}))

# %% [markdown]
# ## Two networks
#
# One network learns from scans in which the disease has an effect. Its **twin** has nothing to find: it
# learns from the same synthetic people drawn without effects of disease, age and sex, or, for real brains,
# from labels permuted across people. Both are trained on the same people, and all maps are of other people,
# who had no part in training or tuning. Every map explains the score of the patients' label, for patients
# and for controls.

# %%
split = explain.explained_split(on, amounts.folds, seed)
off, twin_scans = explain.twin_cohorts(on, amounts.brains("1.5T"), seed)
rows, box, target = split.rows("validation"), amounts.box, on.classes.index(patients)
network, twin = (training.train_volumes(data, split.rows("train"), rows, amounts, seed) for data in (on, off))
reached = {
    name: one.curves["validation_accuracy"].iloc[-1] for name, one in {"on": network, "off": twin}.items()
}
page.text(words.twin_in_words(reached, on.labels[rows], on.groups[rows], on.kind))

# %% [markdown]
# ## One scan, and averages over patients and over controls
#
# Sensitivity asks how much the score changes with a voxel, guided backpropagation the same but only along
# positive paths; occlusion covers a cube, brain area occlusion a whole area, and both measure how far the
# score falls. The maps drawn here are absolute values, and averages are their means: evidence for the label
# and against it does not cancel.

# %%
atlas = open_atlas(areas, amounts.resolution)
settings = {"areas": atlas.labels[box], "patch": amounts.patch // amounts.resolution}
ill = rows[on.labels[rows] == target]
single = explain.average_relevance(network.network, on, ill[:1], box, target, **settings)
share = training.class_scores(network.network, on, ill[:1], box).softmax(1)[0, target].item()
shown = display.scan_and_maps(on, ill[0], single, amounts, patients)
page.show(figures.one_scan(*shown, patients, share), "panagiotaras-one-scan")
page.html(figures.scan_to_lay_over(*shown, patients))
averages = explain.average_relevance(network.network, on, rows, box, target, **settings)
page.show(display.averages(on, rows, averages, amounts), "panagiotaras-heatmaps")
brain = template_brain(mni_map("t1", amounts.resolution))[box]
alike = explain.likeness(averages, brain)
page.table(tables.likeness(alike), "panagiotaras-likeness", tables.LIKENESS)
page.text(words.likeness_in_words(alike))

# %% [markdown]
# ## Relevance by brain area
#
# A large area collects much relevance by size alone. Its share of the relevance is therefore divided by its
# share of the voxels: 1 is what a map without preference gives. What covering a whole area does to the score
# is shared out evenly among its voxels.

# %%
by_area = explain.relevance_table(averages, atlas, box)
page.show(figures.area_relevance(by_area, atlas.source, patients), "panagiotaras-areas")
page.table(tables.leading_areas(by_area, patients), "panagiotaras-area-table", tables.AREAS)
truth, change = display.true_effect(on, amounts, amounts.resolution), None
if truth is not None:
    change = explain.relevance_table({"Drawn change": {patients: truth[box]}}, atlas, box)
page.text(words.focus_in_words(by_area, change, patients))

# %% [markdown]
# ## Do the maps find the disease?
#
# **Statistic**: the chance that a voxel inside the true effect has more relevance, in the average over
# patients, than a voxel of the brain outside it (AUC of voxels; 0.5 for a map that knows nothing). It is
# compared with random maps as smooth as the map itself, and with the twin network. Where the true effect is
# not known, there is no such number, and only network and twin are compared.

# %%
blind = explain.average_relevance(twin.network, twin_scans, ill, box, target, **settings)
generator, scores = np.random.default_rng(seed), None
if truth is None:
    page.text(words.NO_TRUTH)
    compared = explain.twin_likeness(averages, blind, patients, brain)
    page.table(tables.likeness(compared), "panagiotaras-twin-likeness", tables.TWIN_LIKENESS)
else:
    maps = (averages, blind, truth[box], brain, patients)
    scores = explain.concentration_table(*maps, generator, amounts.null_maps)
    page.show(figures.concentration(scores, "without an effect"), "panagiotaras-concentration")
    outside = (settings["areas"][truth[box]] == 0).mean()
    page.text(words.truth_in_words(scores, outside, atlas.names.values()))

# %% [markdown]
# ## The same with many null cohorts
#
# A network is slow to train again; a linear model on principal components over voxels is not. Its sensitivity
# is the absolute weight of each voxel. In each null cohort the labels are permuted across patients: of
# synthetic brains drawn without effects, or of the real brains themselves.
#
# Another page, {ref}`audit-heatmaps`, tries every method of the book on synthetic brains scan by scan:
# against random maps, random brain areas and an untrained network, and by sanity checks. Where this page is
# about synthetic brains too, its rows for the four methods of the slides end this section.

# %%
seen, null = (linear.linear_cohort(on, amounts, effects=effects) for effects in (True, False))
parts, null_parts = (linear.voxel_components(data, seed) for data in (seen, null))
inside = display.linear_truth(on, amounts)
folds = training.patient_folds(seen, amounts.folds, seed)
real = explain.linear_trial(parts, seen.labels, seen.groups, folds, inside)
nulls = []
for draw in range(amounts.null_cohorts):
    labels = permute_labels_over_groups(null.labels, null.groups, generator)
    folds = training.patient_folds(null, amounts.folds, draw, labels)
    nulls.append(explain.linear_trial(null_parts, labels, null.groups, folds, inside))
nulls = pd.DataFrame(nulls)
for measure in nulls:
    p = permutation_p_value(real[measure], nulls[measure])
    drawn = figures.null_cohorts(nulls[measure], real[measure], p, *words.MEASURES[measure])
    page.show(drawn, f"panagiotaras-null-{words.NAMES[measure]}")
page.text(words.linear_in_words(nulls, real))

# %%
trial = page.profile.amounts("heatmaps", HeatmapAmounts)
if on.kind == "synthetic":
    lines = leaderboard.lines_of(explain.SLIDE_METHODS, "Brains", trial, seed).drop(columns="On")
    page.table(lines, "panagiotaras-leaderboard", f"{tables.LEADERBOARD} {leaderboard.COLUMNS}")

# %% [markdown]
# ## What this means
#
# A heatmap shows where a network is sensitive. Whether that is where the disease is, only a known effect or a
# fair comparison can say; the fair comparison is a network of the same kind that had nothing to learn. That
# maps of patients and of controls look alike, as the slides remark, fits a network that looks at the same
# places in everybody. It does not mean that the maps are wrong, and nothing here says where the slides' own
# network looks. The same methods can be used {ref}`on your own network <panagiotaras-own-network>`.

# %%
leading = words.leading_areas(by_area, change, patients)
scans, people = (len(rows), len(ill)), tuple(len(set(on.groups[each])) for each in (rows, ill))
majority = np.bincount(on.labels[rows]).max() / len(rows)
page.answer(**words.heatmap_answer(reached, alike, scores, leading, scans, people, majority))
page.substitutions(words.substitutions({field: on}, amounts), words.forbids({field: on}))
page.made_of(twin=f"{off.name}: {len(off)} scans, digest {off.digest}", atlas=atlas.source, amounts=amounts)
page.made_of(truth=words.truth_made_of(truth), split=f"{split.name}, seed {seed}")
page.provenance()
