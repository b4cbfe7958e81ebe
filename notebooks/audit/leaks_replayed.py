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
# (audit-leaks)=
# # Leaks, replayed
#
# A leak is a step of an evaluation that lets something of the test samples into training, or into the choice
# of what is reported. Here one protocol is run with each leak as a switch, on synthetic tissue, crops, brains
# and feature tables: alone, together, at no signal, a weak and a strong one, and for few and many donors. The
# truth is known, because the data are drawn.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.group_word import word_of
from als_core.figures.drawn import as_written
from als_core.studies.cross_paper import figures_leaks as figures
from als_core.studies.cross_paper import leak_switches as leaks
from als_core.studies.cross_paper.leak_pools import (
    EFFECTS,
    KINDS,
    LeakAmounts,
    cohort_samples,
    feature_pools,
    null_tissue_images,
)
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters

# %% [markdown]
# ## The switches
#
# Without any switch, donors are split into training, validation and test parts; scaling, SMOTE and augmented
# copies see the training part alone; the penalty of a linear model and its stopping time are chosen on the
# validation part; and the mean test AUC of five splits is reported. Each switch changes one of these steps,
# and declares beforehand which way it moves the AUC where there is nothing to find.

# %%
page = Page("audit/leaks_replayed", profile)
amounts = page.profile.amounts("leaks", LeakAmounts)
pools = feature_pools(amounts, seed)
described = [
    (name, switch.says, *(figures.DIRECTIONS[switch.direction_for(kind)] for kind in KINDS))
    for name, switch in leaks.SWITCHES.items()
]
page.table(
    pd.DataFrame(described, columns=["Leak", "What is done", *KINDS]),
    "audit-leak-switches",
    "The leaks, and the direction in which each should move the AUC, by kind of data.",
)

# %% [markdown]
# ## Each alone, where there is nothing to find
#
# In a null cohort donors get their labels at random. Any signal that is then reported was let in by the
# protocol.

# %%
nothing = {kind: [0.0] for kind in KINDS}
donors = {kind: [amounts.of(kind).null_cohort] for kind in KINDS}
single = {kind: leaks.single_leaks(kind) for kind in KINDS}
null = leaks.replay(
    pools, nothing, donors, amounts.null_cohorts, single, seed, permuted=True, jobs=amounts.jobs
)
checked = leaks.check_switches(null)
page.show(figures.leak_shifts(checked, pools, amounts), "audit-leak-shifts")
page.text(figures.agreement(checked))
page.table(
    figures.direction_table(checked),
    "audit-leak-directions",
    "Expected and found shifts of the reported AUC on null cohorts. *Synthetic cohorts.*",
)

# %% [markdown]
# ## Something from nothing
#
# One leak after another, still with nothing to find. Dots are what would be reported; diamonds are the AUC of
# the very same models on donors that took no part.

# %%
cumulative = {kind: leaks.cumulative_leaks(kind) for kind in KINDS}
cohorts = 2 * amounts.curve_cohorts
steps = leaks.mean_by_set(
    leaks.replay(pools, nothing, donors, cohorts, cumulative, seed + 1, jobs=amounts.jobs)
)
page.answer(**figures.answer(steps, checked))
page.show(figures.something_from_nothing(steps), "audit-something-from-nothing")

# %% [markdown]
# ## Weak and strong signals, few and many donors
#
# With many donors and a strong signal a leak has little left to add. With few donors and a weak signal it can
# decide what is reported.

# %%
effects = {kind: [0.0, *EFFECTS[kind]] for kind in KINDS}
curve = {kind: amounts.of(kind).curve for kind in KINDS}
three = {
    kind: {name: single[kind].get(name, frozenset()) for name in figures.LINES if name in single[kind]}
    for kind in KINDS
}
replayed = leaks.replay(pools, effects, curve, amounts.curve_cohorts, three, seed + 2, jobs=amounts.jobs)
page.show(figures.leaks_by_donors(leaks.mean_by_set(replayed)), "audit-leaks-by-donors")

# %% [markdown]
# ## A convolutional network
#
# The linear models above learn on fixed features. A small convolutional network on the pixels of null tissue,
# nothing chosen:

# %%
images = null_tissue_images(24, 8, 32, seed + 3, amounts.jobs)
checks = leaks.convolutional_check(images, amounts.checks, donors=8, seed=seed)
by_split = checks.groupby("split", sort=False)["reported"].agg(["mean", "sem", "size"]).reset_index()
page.table(
    by_split.round(3).set_axis(["Split", "Mean AUC", "Standard error", "Cohorts"], axis=1),
    "audit-leak-network",
    "A small convolutional network on null cohorts of eight donors with eight fields each. *Synthetic "
    "cohorts.*",
)
page.text(figures.network_words(checks))

# %% [markdown]
# ## The cohort of this book, its labels permuted
#
# The last test works on any cohort with groups, also on yours. The labels of the cohort of this book, named
# below, are permuted across its donors or groups, so that nothing about the labels can be found any more. The
# rows with the labels as they are show what is left when donors are held out.

# %%
data = open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False)
title, unit = data.about.get("title") or data.name, word_of(data)
reference = "control" if "control" in data.classes else data.classes[-1]
positive = (data.samples["label"] != reference).to_numpy()
if reason := leaks.why_not_permutable(positive, data.groups):
    page.text(f"The labels of {as_written(title)} cannot be permuted across {unit.many}: {reason}.")
else:
    samples = cohort_samples(data.images(), positive, data.groups)
    draws = leaks.compare_splits(samples, amounts.draws, seed, amounts.jobs)
    page.show(
        figures.draws_by_split(draws, title, reference, len(np.unique(data.groups)), unit),
        "audit-labels-dealt-anew",
    )
    page.text(figures.own_labels(draws, reference, unit))

# %% [markdown]
# ## What this means
#
# A high score is evidence only together with the way it was evaluated. The leaks that matter most here are
# the ones that are easiest to make: splitting images instead of donors, copying or oversampling before the
# split, and reporting the best of several splits. Each is found by the same test, and it needs no new data:
# permute the labels across donors and run everything again. That a leak *can* raise a number does not say
# that it did so in any paper.

# %%
page.made_of(
    data="synthetic tissue, crops, brains and feature tables; at the end the cohort of the book", seed=seed
)
page.provenance(("numpy", "scipy", "scikit-learn", "imbalanced-learn", "torch", "matplotlib"))
