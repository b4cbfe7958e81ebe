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
# A heatmap always shows something. Whether it shows what the network has learnt can be asked only where the
# answer is known. Every method of this book is compared here on synthetic tissue and on synthetic brains,
# beside two controls that must fail.

# %% tags=["parameters"]
profile = "test"
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.explain.methods import METHODS
from als_core.studies.cross_paper import figures_heatmaps as figures
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper import words_heatmaps as words
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts, brain_cohort, tissue_cohort

page = Page("audit/heatmaps_on_trial", profile)
amounts = page.profile.amounts("heatmaps", HeatmapAmounts)
brains, tissue = brain_cohort(amounts), tissue_cohort(amounts, seed)
page.about_cohort(brains)

# %%
sets = {name: leaderboard.tried(name, amounts, seed) for name in ("Brains", "Tissue")}
overlap, checks, scores, passed = {}, {}, {}, {}
for name, images in sets.items():
    overlap[name], checks[name] = leaderboard.book_trial(name, amounts, seed, images)
    generator = np.random.default_rng(seed)
    scores[name] = leaderboard.method_scores(overlap[name], generator, amounts.resamples)
    passed[name] = leaderboard.marks(scores[name], checks[name])

# %%
shown = [*METHODS, *leaderboard.CONTROLS]
titles = {name: leaderboard.titles()[name] for name in shown}
boards = [figures.board_of(name, sets[name], scores[name], passed[name], seed) for name in sets]
page.show(figures.trial_grid(boards, titles, list(leaderboard.CONTROLS)), "audit-heatmap-grid")
for board in boards:
    page.html(figures.heat_to_lay_over(board, titles))

# %%
for name, images in sets.items():
    page.text(words.evaluation_set(name, images))

# %% [markdown]
# ## Why one number is not enough
#
# A high overlap does not make a map an explanation: a filter that finds edges meets a lesion that has edges.
# It has never seen the network, and the checks say so. And a map can depend on what was learnt and still
# point elsewhere.


# %%
for name in sets:
    page.text(words.modality_result(name, scores[name], passed[name], titles))

# %% [markdown]
# ## The leaderboard

# %%
rows = [leaderboard.lines(name, scores[name], checks[name]) for name in sets]
page.table(pd.concat(rows), "audit-heatmap-leaderboard", words.board_caption(checks))

# %% [markdown]
# ## How to read a method's row
#
# - *Same smoothness*: a random map with the power spectrum of the method's own map. *Atlas only*: random
#   values by brain area. *Untrained*: the same method on a network of noise.
# - The size of its patch limits the overlap of occlusion, and the grid of the layer it reads that of
#   Grad-CAM. It reads the third block of both networks, because the brain network's fourth block has hardly
#   any places left.
# - Slopes (sensitivity, guided methods) count by their absolute value; methods that share out the score by
#   their positive part.
# - LRP reads the score of the class alone. Where that score is small, its positive heat is small too,
#   although the network is sure.

# %% [markdown]
# ## What this means
#
# A heatmap is evidence about a network only if it changes when the network does, and if covering its hottest
# places lowers the score. Overlap with a lesion shows neither. It does not follow that a method which passes
# here is right on real patients, or that one which fails here is useless: each passed or failed with these
# networks and effects.

# %%
page.answer(**words.answer(passed, sets, scores["Tissue"], amounts.checked))
page.substitutions(*words.substitutions(amounts))
page.made_of(
    second_cohort=f"{tissue.name}: {len(tissue)} images, digest {tissue.digest}",
    amounts=amounts,
    split=f"brains: first of {amounts.folds} folds by patient; tissue: by donor; seed {seed}",
)
page.provenance()
