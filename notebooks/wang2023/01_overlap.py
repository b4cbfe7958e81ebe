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
# (wang-overlap-page)=
# # Do heatmaps find the disease?
#
# Wang et al. ([2023](https://doi.org/10.1016/j.neuroimage.2023.119929)) compare heatmaps of a network that
# tells Alzheimer's disease (AD) from controls with maps of a linear support vector machine (SVM), by their
# overlap with a meta-analysis of 77 studies. ADNI gives its scans on application, and this book has no copy
# of the map of the meta-analysis. Here the same comparison is made on synthetic brains, where the true
# effect of the disease is known voxel by voxel, or on the brains and the reference that you give.

# %% tags=["parameters"]
profile = "test"
brains = "synthetic"  # or "oasis1", "adni:FOLDER", or a FOLDER of volumes with manifest.csv
patients = "AD"  # the label of the patients, whose score is explained
seed = 0
reference = (
    ""  # a map (NIfTI) or a list of peaks (CSV with x, y, z and n), MNI152: in place of the true effect
)
reference_threshold = 0.0  # of a map: its voxels from this value on, in its own unit; of peaks: a p value
reference_side = "above"  # of a map; or "below" (minus the threshold), or "both"
reference_space = "header"  # or "MNI152", for a map whose header does not say so, and for peaks

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.explain.overlap import SCORES, dice_curve
from als_core.studies.brains.cohorts import open_brains
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import (
    HeatmapAmounts,
    brain_folds,
    group_truth,
    own_reference,
)
from als_core.studies.panagiotaras import display
from als_core.studies.panagiotaras.words import about_brains
from als_core.studies.wang2023 import figures, words

page = Page("wang2023/01_overlap", profile, "Wang et al. 2023, abstract")
amounts = page.profile.amounts("heatmaps", HeatmapAmounts)
synthetic = {"1.5T": amounts.volumes.brains("1.5T")}
field, data = next(iter(open_brains(brains, synthetic, folds=amounts.folds, patients=patients).items()))
page.about_cohort(data)
page.text(about_brains({field: data}))

# %% [markdown]
# ## What is compared
#
# The source used here is the page of the abstract. It prints a ranking and no value of overlap: all three
# heatmap methods above the SVM, integrated gradients first. It names neither the rule of layer-wise relevance
# propagation (LRP), nor the measure of overlap, the network or the number of subjects, so three rules and
# four measures are compared below. The journal version (April 2023) compares with SVM *activation patterns*;
# the first preprint ([arXiv 2207.11352](https://arxiv.org/abs/2207.11352), version 1) with SVM *weights*.
# Both are shown. A weight says how a voxel is used, and may serve to cancel noise; the pattern says how a
# voxel moves with the prediction (Haufe et al. [2014](https://doi.org/10.1016/j.neuroimage.2013.10.067)).
#
# To compare with a meta-analysis of your own (activation likelihood estimation or voxel-based morphometry,
# say), run in the root of the repository:
#
# ```bash
# .venv/bin/papermill notebooks/wang2023/01_overlap.ipynb mine.ipynb -p profile quick \
#   -p brains /path/to/scans -p reference /path/to/MAP.nii.gz -p reference_threshold 0.01
# ```
#
# Without `-p brains` the networks learn from synthetic brains. The map must be in MNI152 space; its header is
# checked. A list of peaks (CSV with x, y, z in mm, and the number of subjects n) becomes a map by a Gaussian
# around each peak, as in activation likelihood estimation; `reference_threshold` is then a p value.

# %%
mine, met = None, "the true effect" if data.kind == "synthetic" else ""
if reference:
    stated = {"threshold": reference_threshold, "side": reference_side, "space": reference_space}
    mine = own_reference(reference, amounts, **stated)
    met = "your reference"
    page.made_of(reference_map=mine.record)
    page.text(words.own_reference(mine.record))
if not met:
    page.text(words.NO_REFERENCE)

# %%
tables, sums, learned, covered = [], [], [], []
given = None if mine is None else mine.truth
for number, fold in enumerate(brain_folds(amounts, seed, given, cohort=data, patients=patients), 1):
    held = fold.subjects
    maps = leaderboard.wang_maps(fold)
    tables += [leaderboard.wang_overlaps(fold, maps, number, amounts.draws, seed)] if met else []
    sums.append(leaderboard.average_maps(fold, maps))
    learned.append((held.accuracy, held.tested, held.largest, len(held.groups)))
    covered.extend(held.truths[:, held.within].mean(1))
    brain = held.within
titles, subjects = leaderboard.WANG, sum(count for *_, count in learned)
page.text(words.how_compared(learned, amounts.folds, words.compared_with(met)))

# %% [markdown]
# ## Overlap, nulls and ranks
#
# Keep the hottest voxels, few to all, and take the Dice coefficient with the true effect each time: the area
# under that curve, as a share of the best that this truth allows, needs no threshold. A value means little
# alone, because a map can overlap by being smooth or by keeping to brain areas. Three nulls say how much:
# random maps of the same smoothness, random values by area of the atlas, and the same method on a network
# that has learned nothing (for the SVM: one that learned permuted labels).

# %%
if met:
    table, generator = pd.concat(tables, ignore_index=True), np.random.default_rng(seed)
    scores = leaderboard.method_scores(table, generator, amounts.resamples)
    ranks = leaderboard.rank_shares(table, list(titles), generator, amounts.resamples)
    own = scores[scores["score"] == leaderboard.SCORE].sort_values("mean", ascending=False)
    values = table[(table["score"] == leaderboard.SCORE) & (table["map"] == "method")]
    page.show(figures.overlap_and_ranks(own, values, ranks, titles, met), "wang-overlap")
    page.text(words.nulls_in_words(own, titles, leaderboard.NULLS))

# %% [markdown]
# ## The published ranking
#
# LRP is compared with its epsilon rule, and the SVM with activation patterns, as in the journal version; the
# other rules and the weights are in the second table. A statement *holds here* where the interval over
# patients excludes the opposite. A heatmap knows one scan and an SVM map all scans it learned from; the
# average maps below lessen that difference. Network, reference and scans differ from the paper's: its ranking
# is neither confirmed nor refuted. Last come four measures of overlap, because the abstract does not say
# which it used.

# %%
if met:
    pairs = [(name, svm) for name in titles if not name.startswith("svm") for svm in words.COMPARED]
    leads = {pair: leaderboard.lead(table, *pair, generator, amounts.resamples) for pair in pairs}
    four = [*words.PUBLISHED.values(), "svm_pattern"]
    first = leaderboard.rank_shares(table, four, generator, amounts.resamples)[1]
    page.table(words.ranking_table(leads, first, titles), "wang-ranking", words.RANKING)
    page.claims(words.claims(leads, own, four))
    page.table(words.leads_table(leads, titles), "wang-leads", words.LEADS)

# %%
if met:
    wide = scores.pivot(index="method", columns="score", values="mean").loc[list(titles)]
    heads = {name: score.title for name, score in SCORES.items()}
    shown = wide.rename(columns=heads, index=titles).round(3).rename_axis("Method").reset_index()
    page.table(shown, "wang-measures", words.measures_caption(np.mean(covered)))
    page.text(words.measures_in_words(wide, titles, np.mean(covered)))

# %% [markdown]
# ## The average map
#
# The meta-analysis is a map of groups; the abstract does not say whether heatmaps were averaged. Here the
# average gives each patient's heat the same weight, is over all patients, and the truth, where it is known,
# is the effect on an average brain.

# %%
averages = {titles[name]: sum(part[name] for part in sums) for name in titles}
truth = None if not met else (group_truth(amounts) if mine is None else mine.truth) & brain
inside = words.mass_inside(averages, truth)
drawn = figures.average_maps(*display.on_template(averages, truth, amounts.volumes), inside, met, subjects)
page.show(drawn, "wang-average-maps")
page.text(words.edge_in_words(words.edge_heat(averages, brain)))

# %%
if met:
    curves = {title: dice_curve(heat, truth, brain) for title, heat in averages.items()}
    drawn = figures.dice_curves(curves, dice_curve(truth.astype(float), truth, brain), met)
    page.show(drawn, "wang-dice-curves")
    page.html(figures.dice_at_threshold(drawn.data, met))
else:
    correlations = words.correlations(averages, brain)
    page.show(figures.method_likeness(correlations), "wang-likeness")

# %% [markdown]
# ## What this means
#
# Where the truth is known, heatmaps can be scored, and the scores of one cohort say which differences are
# larger than the spread between patients. They depend on the measure, on the null that one asks for, and on
# artefacts such as an edge where the volume ends. This page knows the abstract only, which ranks the
# methods and gives no measure, number of subjects or interval. Nothing here says that the published ranking
# is wrong: it was measured with another network, on scans of its own choice, against another map.

# %%
if met:
    averaged = {title: curve.area / curve.best_area for title, curve in curves.items()}
    page.answer(**words.answer(own, leads, titles, met, averaged, data.kind))
else:
    page.answer(**words.answer_without_truth(correlations))
page.substitutions(*words.substitutions(data, amounts.effect, met))
page.made_of(amounts=amounts, split=f"{amounts.folds} folds by patient, seed {seed}", maps=words.MAPS)
page.provenance()
