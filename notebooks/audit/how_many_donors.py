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
# (audit-donors)=
# # How many donors would it take?
#
# An accuracy of 0.89 on 38 images sounds precise to two digits. How far from it the truth may lie depends
# on how many donors (cases, patients, subjects) the images come from, how many images each gives, and how
# alike the images of one donor are in being right or wrong.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
from itertools import product

import numpy as np
import pandas as pd

from als_core.book import interactive
from als_core.book.page import Page
from als_core.statistics import power
from als_core.studies.cross_paper import figures_audit as figures
from als_core.studies.cross_paper import words_audit
from als_core.studies.cross_paper.headlines import printed_widths
from als_core.studies.xia2024.audit import differences_from_best
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters

page = Page("audit/how_many_donors", profile)
ACCURACY = 0.85

# %% [markdown]
# ## The interval against the number of donors
#
# The width of an interval of an accuracy shrinks with the number of images only as long as these are
# independent. With correlation *r* within donors and *m* images of each, *d* donors carry as much
# information as *d m* / (1 + (*m* − 1) *r*) independent images, and never as much as *d* / *r*. Grey lines:
# how far from a measured accuracy of 0.85 the true one may lie. Coloured bars: the printed results.

# %%
designs = {  # images of each donor, and their correlation
    "1 image a donor": (1, 0.0),
    "10 images, r 0.5": (10, 0.5),
    "10 images, r 0.2": (10, 0.2),
    "100 images, r 0.2": (100, 0.2),
}
curves = pd.DataFrame(
    [
        (label, donors, power.accuracy_interval(ACCURACY, donors, *design).half_width)
        for label, design in designs.items()
        for donors in np.unique(np.geomspace(5, 1000, 60).round().astype(int))
    ],
    columns=["label", "donors", "half_width"],
)
data = open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False)
marks = printed_widths(data, ACCURACY)
page.show(figures.width_by_donors(curves, marks), "audit-width-by-donors")

# %% [markdown]
# The grey line of 100 images a donor lies only a little below that of 10: past a few images of each donor,
# only more donors make an accuracy more certain.
#
# ## How many donors for a given width?
#
# The same formula, turned round: the fewest donors whose interval is narrow enough.

# %%
settings = [(1, 0.0), (3, 0.3), (10, 0.2), (10, 0.5)]
needed = pd.DataFrame(
    [
        (within, *setting, power.donors_needed(ACCURACY, within, *setting))
        for within, setting in product((0.1, 0.05, 0.02), settings)
    ],
    columns=["within", "images", "correlation", "donors"],
)
shown = needed.assign(within=[f"± {100 * within:.0f} points" for within in needed["within"]])
shown.columns = ["Accuracy known within", "Images a donor", "Correlation", "Donors"]
page.table(
    shown,
    "audit-donors-needed",
    f"Donors needed for a 95 % interval of a given width, at an accuracy of {ACCURACY}.",
    of_cohort=False,
)
page.html(interactive.donor_calculator(ACCURACY, correlation=0.5, images_per_donor=10, donors=20))
page.text(words_audit.images_for_donors(*(power.donors_needed(ACCURACY, 0.05, n, 0.5) for n in (10, 1000))))

# %% [markdown]
# ## How many to tell two models apart?
#
# A paired test needs the share of images that exactly one of the two models gets right. That share is not
# printed; it is at least the difference in accuracy, and seldom as small. For the three models nearest to
# the best one in Table 1 of Xia 2024:

# %%
apart = pd.DataFrame(
    [
        (f"Miniset-DenseSENet and {name}", f"{100 * difference:.1f}", f"{100 * discordant:.0f} %",
         power.donors_to_tell_apart(difference, discordant),
         power.donors_to_tell_apart(difference, discordant, 10, 0.3))
        for name, difference in differences_from_best()[-3:][::-1]
        for discordant in (max(0.1, difference), 0.2)
    ],
    columns=["Models", "Difference, points", "Images one alone gets right", "Independent images",
             "Donors with 10 images, correlation 0.3"],
)  # fmt: skip
page.table(
    apart,
    "audit-donors-to-tell-apart",
    "Donors that a paired test would need to find the printed differences (power 80 %, two-sided 5 %).",
    of_cohort=False,
)

# %% [markdown]
# ## Does the rule hold? Simulated cohorts
#
# Cohorts of 20 donors with ten images each are simulated with a known accuracy. Of 100 intervals of 95 %,
# 95 should contain it: with the correlation known, and with every image taken as independent.

# %%
cohorts = {"test": 300, "quick": 4000, "paper": 20000}[profile]
rows = []
for r in (0.0, 0.1, 0.2, 0.35, 0.5, 0.75):
    generator = np.random.default_rng((seed, int(100 * r)))
    measured = power.simulate_accuracies(ACCURACY, 20, 10, r, cohorts, generator)
    rows.append(("every image independent", r, power.coverage(measured, ACCURACY, 20, 10, assumed=0.0)))
    rows.append(("correlation known", r, power.coverage(measured, ACCURACY, 20, 10, assumed=r)))
covered = pd.DataFrame(rows, columns=["interval", "correlation", "coverage"])
page.show(figures.coverage_by_correlation(covered, cohorts), "audit-coverage", of_cohort=False)
page.answer(**words_audit.answer_on_donors(marks, needed, covered, ACCURACY))

# %% [markdown]
# ## On your own numbers
#
# ```python
# from als_core.statistics import power
#
# power.accuracy_interval(0.9, donors=12, images_per_donor=20, correlation=0.4)
# power.donors_needed(0.9, within=0.05, images_per_donor=20, correlation=0.4)
# # from the predictions of a model you have, right or wrong by image
# power.within_donor_correlation(right, groups)
# ```
#
# The checks of [the findings](audit-numbers) can be used in the same way: `als_core.statistics.granularity`
# (of how many images can a percentage be a share?) and `als_core.statistics.bounds` (which counts agree
# with printed metrics, and what can a test show from counts alone?).
#
# ## What this means
#
# A new study should plan its donors first and its images second. An interval that counts every image is too
# narrow, unless each image has its own donor or images of one donor are no more alike than others. A
# difference of a few points between two models needs hundreds of donors.
#
# ## What it does not
#
# The page does not say that a printed accuracy is too high or too low. It assumes how alike images of one
# donor are; predictions per image would show it.

# %%
page.made_of(Data="printed numbers, and simulations", Seed=seed)
page.provenance(("numpy", "scipy", "matplotlib"))
