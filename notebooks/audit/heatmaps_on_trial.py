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
# (audit-heatmaps)=
# # Heatmaps on trial
#
# A heatmap always shows something. Whether it shows what the network has learnt can be asked only where the answer is known.
# Every method of this book is tried here on synthetic tissue and on synthetic brains, beside two controls that must fail.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"  # brains and tissue are always synthetic here, as only there the truth is known
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.explain.methods import METHODS
from als_core.studies.cross_paper import figures_heatmaps as figures
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts, brain_cohort, tissue_cohort

page = Page("audit/heatmaps_on_trial", profile)
amounts = page.profile.amounts("heatmaps", HeatmapAmounts)
brains, tissue = brain_cohort(amounts), tissue_cohort(amounts, seed)
page.about_cohort(brains)

# %%
tried = {name: leaderboard.tried(name, amounts, seed) for name in ("Brains", "Tissue")}
titles = {
    name: title
    for name, title in leaderboard.titles().items()
    if name in METHODS or name in leaderboard.CONTROLS
}
overlap, checks, standing, marks = {}, {}, {}, {}
for name, subjects in tried.items():
    overlap[name], checks[name] = leaderboard.book_trial(name, amounts, seed, subjects)
    standing[name] = leaderboard.standings(overlap[name], np.random.default_rng(seed), amounts.resamples)
    marks[name] = leaderboard.marks(standing[name], checks[name])


# %%
boards = [figures.board_of(name, tried[name], standing[name], marks[name], seed) for name in tried]
sound = {
    name: [method for method in METHODS if method in table.index and (table.loc[method] != "fail").all()]
    for name, table in marks.items()
}
everywhere = [titles[method] for method in METHODS if all(method in sound[name] for name in tried)]
page.figure(
    figures.trial_grid(boards, titles, list(leaderboard.CONTROLS)),
    "audit-heatmap-grid",
    "Each method on one image, its mean overlap with the truth (Dice area, share of the best possible) and its marks. *Beats*: the lower end of a 95 % bootstrap interval over subjects of the lead over that null is above zero. "
    "*Needs what was learnt*: the map changes when every parameter is replaced by noise. *Marks what counts*: the score falls faster when the hottest places are covered than for random maps as smooth. The two controls in italics never look at the network.",
    "Table of ten methods and two controls by rows, for brains and for tissue: a small heatmap, an overlap, and ticks or crosses for each check. "
    + " ".join(
        f"{name}: passing all, {', '.join(titles[method] for method in sound[name]) or 'none'}."
        for name in tried
    ),
    pd.concat([marks[name].assign(modality=name).reset_index() for name in tried], ignore_index=True),
)

# %%
for name, subjects in tried.items():
    page.text(
        f"**{name}.** The network names {subjects.accuracy:.0%} of {subjects.tested} held-out images correctly (commonest label {subjects.largest:.0%}). "
        f"{len(subjects.images)} images of {len(set(subjects.groups))} {'patients' if name == 'Brains' else 'donors'} are tried; the truth covers "
        f"{np.mean([truth.mean() if subjects.within is None else truth[subjects.within].mean() for truth in subjects.truths]):.0%} of {'the image' if subjects.within is None else 'the brain'} on average."
    )

# %% [markdown]
# ## Why one number is not enough
#
# A high overlap does not make a map an explanation: a filter that finds edges meets a lesion that has edges. It has never seen the
# network, and the checks say so. And a map can depend on what was learnt and still point elsewhere.


# %%
for name in tried:
    page.text(leaderboard.in_words(name, standing[name], marks[name], sound[name], titles))

# %% [markdown]
# ## The leaderboard

# %%
page.table(
    pd.concat([leaderboard.lines(name, standing[name], checks[name]) for name in tried]),
    "audit-heatmap-leaderboard",
    "Every method on both modalities, by overlap (Dice area with its 95 % interval over subjects), with its nulls and what the sanity checks measured. "
    "Limits, set before looking: likeness (Spearman correlation) 0.5, share of random maps as faithful 0.1.",
)

# %% [markdown]
# ## How to read a method's line
#
# - *Same smoothness*: a random map with the power spectrum of the method's own. *Atlas only*: random values by brain area. *Untrained*: the same method on a network of noise.
# - Occlusion is coarse by design: its overlap is limited by the size of its patch, and Grad-CAM's by the grid of the layer it reads: the third block of both networks, as the brain network's fourth leaves hardly a place to tell apart.
# - Slopes (sensitivity, guided methods) count by their absolute value; methods that share out the score by their positive part.
# - LRP reads the score of the class alone. Where that score is small, its positive heat is small too, although the network is sure.

# %%
control = standing["Tissue"].set_index(["score", "method"])["mean"][leaderboard.SCORE, "edges"]
page.headline(
    f"{len(everywhere)} of {len(METHODS)} heatmap methods pass every check on both brains and tissue{': ' * bool(everywhere)}{', '.join(everywhere)}. "
    f"An edge filter that never saw the network meets the lesions of tissue with an overlap of {control:.2f} of 1, and the checks catch it."
)
page.made_of(
    second_cohort=f"{tissue.name}: {len(tissue)} images, digest {tissue.digest}",
    amounts=amounts,
    split=f"brains: first of {amounts.folds} folds by patient; tissue: by donor; seed {seed}",
)
page.provenance()
