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
# Four ways to ask the Alzheimer network where it looks: sensitivity, guided backpropagation, occlusion and brain area
# occlusion (slides by I. Panagiotaras, after Rieke et al., [2018](https://doi.org/10.1007/978-3-030-02628-8_3)). The slides
# show the maps and print no number about them. On synthetic brains the answer is known, so the maps can be marked.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"  # names the tissue cohort; ADNI is given on application only, so the brains here are always synthetic
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.volumes import brain_box, mni_map, template_brain
from als_core.explain.nulls import exceedance
from als_core.studies.brains import figures, training
from als_core.studies.brains import heatmaps as explain
from als_core.studies.brains.atlas import available_atlas
from als_core.studies.brains.cohorts import published_split
from als_core.studies.brains.synthetic import effect_map, without_effects
from als_core.studies.brains.training import PanagiotarasAmounts
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts

page = Page("panagiotaras/02_heatmaps", profile, "Panagiotaras, Visualization Methods, Relevant Brain Areas")
amounts = page.profile.amounts("panagiotaras", PanagiotarasAmounts)
parameters, box = amounts.brains("1.5T"), amounts.box
on, off = (training.study_brains(each) for each in (parameters, without_effects(parameters)))
page.about_cohort(on)

# %% [markdown]
# ## Two networks
#
# One network learns from scans in which AD has an effect, its twin from the same plan with the effect taken out: the twin has
# nothing to find. Both train on the training part of the printed split, and the maps are of the validation part, which
# trains and chooses nothing. Every map explains the score of AD, for patients and for controls.

# %%
split = published_split(on)
rows, target = split.rows("validation"), on.classes.index("AD")
networks = {
    name: training.train_volumes(data, split.rows("train"), rows, amounts, seed)
    for name, data in {"on": on, "off": off}.items()
}
reached = {name: each.curves["validation_accuracy"].iloc[-1] for name, each in networks.items()}
page.text(
    f"On {len(rows)} scans of {len(np.unique(on.groups[rows]))} patients that were not trained on, the network is right in {reached['on']:.0%} "
    f"with the effect, and its twin in {reached['off']:.0%} without; always giving the commonest label is right in {np.bincount(on.labels[rows]).max() / len(rows):.0%}."
)

# %%
atlas = available_atlas(amounts.resolution)
grid = mni_map("t1", amounts.resolution)
template, brain = np.asarray(grid.dataobj)[box], template_brain(grid)[box]
truth = explain.true_places(effect_map(parameters, "AD"))[box]
settings = {"areas": atlas.labels[box], "patch": amounts.patch // amounts.resolution}
patients = rows[on.labels[rows] == target]
averages = explain.average_relevance(networks["on"].network, on, rows, box, target, **settings)
blind = explain.average_relevance(networks["off"].network, off, patients, box, target, **settings)

# %% [markdown]
# ## Averages over patients and over controls

# %%
counts = on.samples["label"].iloc[rows].value_counts()
page.figure(
    figures.heatmap_slices(template, averages, truth),
    "panagiotaras-heatmaps",
    f"Average relevance for the score of AD over {counts['AD']} scans of patients and {counts['CN']} of controls, on the template. Each map has its own scale, from nothing (the grey brain) to its 99.5th percentile (pale yellow). Outlined in blue: where AD truly changes these brains.",
    "Four rows of brain slices, one for each method, three planes for patients at the left and for controls at the right, with relevance in colour and the true effect around ventricles and medial temporal lobes outlined.",
    explain.relevance_table(averages, atlas, box),
)

# %%
alike = explain.likeness(averages, brain)
page.table(
    alike.rename(
        columns={"method": "Method", "spearman": "Spearman correlation", "pearson": "Pearson correlation"}
    ).round(3),
    "panagiotaras-likeness",
    "How alike the averages over patients and over controls are, over the voxels of the brain.",
)
page.text(
    f"The slides remark that the maps of patients and of controls look much alike. Measured here, the rank correlation is between "
    f"{alike['spearman'].min():.2f} and {alike['spearman'].max():.2f}: the closer to 1, the more a map shows where the network looks in everybody, and the less what is ill in one person."
)

# %% [markdown]
# ## Relevance by brain area
#
# A large area gathers much relevance by size alone. Its share of the relevance is therefore divided by its share of the
# voxels: 1 is what a map without preference gives. What covering a whole area does to the score is shared out evenly
# among its voxels.

# %%
areas = explain.relevance_table(averages, atlas, box)
page.figure(
    figures.area_relevance(areas),
    "panagiotaras-areas",
    f"Relevance by brain area, corrected for size; filled for patients, open for controls. Areas: {atlas.source}.",
    "Four panels, one for each method, with a line for each brain area and dots at its share of relevance over its share of voxels; the areas with most are "
    + ", ".join(areas.groupby("area")["concentration"].mean().nlargest(3).index)
    + ".",
    areas,
)

# %%
of_patients = areas[areas["label"] == "AD"].pivot(index="area", columns="method", values="concentration")
leading = of_patients.assign(Mean=of_patients.mean(axis=1)).sort_values("Mean", ascending=False)
sizes = areas.groupby("area")["millilitres"].first().round(1)
page.table(
    leading.round(2)
    .head(12)
    .assign(**{"Size (ml)": sizes})
    .rename_axis("Area")
    .reset_index()
    .rename_axis(columns=None),
    "panagiotaras-area-table",
    "The twelve areas with most relevance for their size, in patients; the figure's data hold all of them.",
)

# %% [markdown]
# ## Do the maps find the truth?
#
# **Statistic**: the chance that a voxel inside the true effect map has more relevance, in the average over patients, than a
# voxel of the brain outside it (AUC of voxels; 0.5 for a map that knows nothing). It stands beside two nulls: random maps as
# smooth as the map itself, and the same statistic for the twin network, which had no effect to find.

# %%
generator = np.random.default_rng(seed)
scores = {
    method: explain.concentration(own["AD"], truth, brain, generator, amounts.null_maps)
    for method, own in averages.items()
}
table = pd.DataFrame(scores).T.rename(columns={"auc": "on"}).rename_axis("method").reset_index()
table["off"] = [
    explain.concentration(own["AD"], truth, brain, generator, amounts.null_maps)["auc"]
    for own in blind.values()
]
page.figure(
    figures.concentration(table),
    "panagiotaras-concentration",
    "Whether relevance gathers where AD truly changes the brain: the network that could learn the effect (filled), its twin without an effect (open), and random maps as smooth (grey, 95 %).",
    "For each of four methods two dots on an axis from 0 to 1. "
    + " ".join(
        f"{row.method}: effect on {row.on:.2f}, effect off {row.off:.2f}." for row in table.itertuples()
    ),
    table,
)

# %%
above = (table["off"] > table["null_high"]).sum()
page.text(
    f"With the effect on, relevance inside the truth is {table['times'].min():.1f} to {table['times'].max():.1f} times that of an even map. "
    f"By the random maps alone, {above} of the {len(table)} maps of the twin would count as finding a truth that its scans do not have: "
    "a network can be sensitive where brains differ most, whatever it learnt. So the twin is the fair comparison, and random maps are too weak a one."
)

# %% [markdown]
# ## The same with many null cohorts
#
# A network is slow to train again; a linear model on principal components over voxels is not. Its sensitivity is the absolute
# weight of each voxel. In each null cohort the labels are exchanged between patients of the cohort without effects.

# %%
seen = {name: training.study_brains(training.linear_brains(amounts, name == "on")) for name in ("on", "off")}
parts = {name: training.voxel_components(data, seed) for name, data in seen.items()}
inside = explain.true_places(effect_map(training.linear_brains(amounts, effects=True), "AD"))[
    brain_box(training.LINEAR_RESOLUTION)
]
folds = training.patient_folds(seen["on"], amounts.folds, seed)
effect_on = explain.linear_trial(parts["on"], seen["on"].labels, seen["on"].groups, folds, inside)
nulls = []
for draw in range(amounts.null_cohorts):
    labels = training.relabelled(seen["off"].labels, seen["off"].groups, generator)
    folds = training.patient_folds(seen["off"], amounts.folds, draw, labels)
    nulls.append(explain.linear_trial(parts["off"], labels, seen["off"].groups, folds, inside))
nulls = pd.DataFrame(nulls)
p_values = {name: exceedance(effect_on[name], nulls[name]) for name in nulls}

# %%
data = pd.concat(
    [nulls.assign(cohort="null"), pd.DataFrame([effect_on]).assign(cohort="effect on")], ignore_index=True
)
page.figure(
    figures.null_histograms(
        {"null cohorts": nulls["accuracy"]}, 0.5, {"effect on": effect_on["accuracy"]}, "Accuracy by patient"
    ),
    "panagiotaras-null-accuracy",
    f"Accuracy by patient of the linear model in {len(nulls)} null cohorts and in the cohort with the effect (p = {p_values['accuracy']:.2g}; {len(nulls)} can give no less than {1 / (1 + len(nulls)):.2g}).",
    f"Histogram of accuracy over null cohorts around {nulls['accuracy'].mean():.2f}, and a line for the cohort with the effect at {effect_on['accuracy']:.2f}.",
    data,
)
page.figure(
    figures.null_histograms(
        {"null cohorts": nulls["auc"]},
        0.5,
        {"effect on": effect_on["auc"]},
        "AUC of voxels of the weight map",
    ),
    "panagiotaras-null-concentration",
    f"Whether the weights of the linear model gather in the true effect map: {len(nulls)} null cohorts and the cohort with the effect (p = {p_values['auc']:.2g}; {len(nulls)} can give no less than {1 / (1 + len(nulls)):.2g}).",
    f"Histogram of the AUC of voxels over null cohorts around {nulls['auc'].mean():.2f}, and a line for the cohort with the effect at {effect_on['auc']:.2f}.",
    data,
)

# %% [markdown]
# ## The same methods on trial
#
# Another page, {ref}`audit-heatmaps`, tries every method of the book scan by scan: against random maps, random brain areas and an untrained network,
# and by sanity checks. These are the lines of its leaderboard for the four methods of the slides.

# %%
trial_amounts = page.profile.amounts("heatmaps", HeatmapAmounts)
page.table(
    leaderboard.lines_of(explain.SLIDE_METHODS, "Brains", trial_amounts, seed).drop(columns="On"),
    "panagiotaras-leaderboard",
    "The four methods on the leaderboard for brains: overlap with the true effect in the same brain (Dice area, share of the best possible, with its 95 % interval over patients), the overlap of its nulls, and the checks it fails.",
)

# %%
best = table.loc[table["on"].idxmax()]
page.headline(
    f"On synthetic brains, {best['method'].lower()} ranks a voxel that the disease changed above one it did not in {best['on']:.0%} of pairs; for a network trained without any effect it is {best['off']:.0%}. "
    f"Averages over patients and over controls correlate with up to {alike['spearman'].max():.2f}."
)

# %%
page.made_of(
    effect_off=f"{off.name} without effects: {len(off)} scans, digest {off.digest}",
    atlas=atlas.source,
    truth=f"voxels above {explain.TRUTH_FROM:g} of the largest change of signal",
    amounts=amounts,
    split=f"{split.name}, seed {seed}",
)
page.provenance()
