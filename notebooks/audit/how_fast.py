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
# (how-fast)=
# # How much time does the companion save?
#
# The companion saves time in four ways. It computes frozen layers once per image, trains all seeds of a
# linear head together, folds frozen batch norm into convolutions, and recomputes only what an occluded patch
# can reach. A recipe can also ask for bfloat16 (`precision`) and `torch.compile` (`compiled`). This page
# compares each of these with the script one would ordinarily write, which is `benchmarks/ordinary.py`.

# %% tags=["parameters"]
profile = "test"
seed = 0

# %%
import json

import pandas as pd

from als_core.book.page import Page
from als_core.storage import repository
from als_core.studies.cross_paper import figures_speed as figures

page = Page("audit/how_fast", profile)
comparisons = pd.read_csv(repository() / "benchmarks/comparisons.csv")
found = json.loads((repository() / "benchmarks/results/latest.json").read_text())
ratios = figures.compare(comparisons, found)

# %% [markdown]
# ## The comparison
#
# The ordinary script decodes PNG files in every epoch with two loader workers, runs the whole network in
# every step, and trains one seed after the other. It computes the same result: after three Adam steps in
# double precision, its scores and the companion's agree to rounding, and a test checks that for all six
# networks of the tissue study.
#
# Each ratio is processor time of the ordinary script divided by that of the companion, both with PyTorch on
# one thread, in rounds that alternate between the two on one machine. Processor time depends less than the
# clock on other users of the machine.
#
# - *Training step*: seconds per image of an epoch, without what happens once in a run (folding, compiling).
# - *Five runs from a cold start*: everything from imports to five finished runs of published size. The
#   ordinary script is measured for part of one epoch and multiplied; its augmentation and validation are
#   left out, in its favour.
# - *Occlusion map*: one volume of 45 x 50 x 45 voxels in patches of 5, against one forward pass a position.

# %%
page.answer(**figures.speed_answer(ratios, found))
page.show(figures.speed_ratios(ratios), "speed-ratios", of_cohort=False)

# %%
page.table(figures.speed_table(ratios), "speed-table", figures.TABLE_CAPTION, of_cohort=False)

# %% [markdown]
# ## The whole book
#
# Where a whole book was timed on the machine of the ratios, its time is given here.

# %%
page.text(figures.book_sentence(found["book"]))

# %% [markdown]
# ## Measure it on your machine
#
# `make bench` measures every row and writes `benchmarks/results/latest.json`, from which this page is made.
# `python -m benchmarks --only occlusion` measures a part. Results of another machine are dropped first, so
# that all ratios on this page are of one machine. Leave the machine alone meanwhile.
#
# ## What this means
#
# Where only a head trains, time is spent on the frozen prefix once, not in each of hundreds of epochs; the
# saving grows with epochs and seeds. Where layers inside the network train, only constant factors are left,
# and bfloat16 rounds: its results are close to those in single precision, and not equal. Compiling takes time
# once per network (*Once a run, seconds* in the table), so it pays in long runs only. None of these ratios
# says anything about a network's accuracy.

# %%
page.made_of(Data="measured times", Machine=found["device"] or figures.MISSING)
page.provenance(("torch", "matplotlib"))
