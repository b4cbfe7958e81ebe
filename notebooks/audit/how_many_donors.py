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
# An accuracy of 0.89 on 38 images sounds precise to two digits. How far from it the truth may lie depends on how many donors (cases, patients,
# subjects) the images come from, how many images each gives, and how alike the images of one donor are in being right or wrong.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.statistics import power
from als_core.studies.cross_paper import figures_audit as figures
from als_core.studies.cross_paper.headlines import headlines
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters

page = Page("audit/how_many_donors", profile)
simulated = {"test": 300, "quick": 4000, "paper": 20000}[profile]  # cohorts a point

# %% [markdown]
# ## The interval against the number of donors
#
# With correlation *r* within donors, *m* images a donor and *d* donors say as much as *d m* / (1 + (*m* - 1) *r*) independent images, and never as much as *d* / *r*.
# Grey lines: how wide the 95 % interval of an accuracy of 0.85 is. Coloured bars: the printed results, from all images independent (lower end) to each
# donor counting once (upper end).

# %%
ACCURACY = 0.85
donors = np.unique(np.geomspace(5, 1000, 60).round().astype(int))
settings = {
    "1 image a donor": (1, 0.0),
    "10 images, r 0.5": (10, 0.5),
    "10 images, r 0.2": (10, 0.2),
    "100 images, r 0.2": (100, 0.2),
}
curves = pd.DataFrame(
    [(label, n, power.half_width(ACCURACY, n, *setting)) for label, setting in settings.items() for n in donors],
    columns=["label", "donors", "half_width"],
)  # fmt: skip
printed = headlines().query("measure == 'accuracy'").drop_duplicates(["paper", "donors"], keep="last")
data = open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False)
marks = [
    (
        row.paper,
        figures.PAPER_NAMES[row.paper] + (f" {row.result.split()[0]}" if row.paper == "panagiotaras" else ""),
        row.donors,
        row.images,
        row.value,
    )
    for row in printed.itertuples()
]
if data.groups is not None:
    marks.append(("this book", "this book's cohort", len(np.unique(data.groups)), len(data), ACCURACY))
marks = pd.DataFrame(marks, columns=["paper", "label", "donors", "images", "accuracy"])
marks["low"] = [power.half_width(row.accuracy, row.images) for row in marks.itertuples()]
marks["high"] = [power.half_width(row.accuracy, row.donors) for row in marks.itertuples()]

# %%
tissue = marks.set_index("paper").loc["xia2024"]
page.headline(
    f"An accuracy measured on {tissue['images']} images of {tissue['donors']} donors is known within {100 * tissue['low']:.0f} to {100 * tissue['high']:.0f} percentage points either way, depending on how alike the images of a donor are."
)
page.figure(
    figures.width_by_donors(curves, marks),
    "audit-width-by-donors",
    "Half width of the 95 % interval of an accuracy against the number of donors. The abstract page of Wang 2023 prints neither an accuracy nor a number of subjects, so it has no mark; the donors of the crops study are its inferred test cases.",
    "Falling grey curves of interval half width against donors on a logarithmic axis, with a coloured bar for each printed result. "
    + "; ".join(f"{row.label}: {row.donors} donors, {100 * row.low:.0f} to {100 * row.high:.0f} points" for row in marks.itertuples())
    + ".",
    pd.concat([curves.assign(what="curve"), marks.assign(what="printed result")]),
)  # fmt: skip

# %% [markdown]
# ## How many donors for a given width?

# %%
wanted = [
    (within, images, correlation)
    for within in (0.1, 0.05, 0.02)
    for images, correlation in ((1, 0.0), (3, 0.3), (10, 0.2), (10, 0.5))
]
needed = pd.DataFrame(
    [(f"± {100 * within:.0f} points", images, correlation, power.donors_needed(ACCURACY, within, images, correlation)) for within, images, correlation in wanted],
    columns=["Accuracy known within", "Images a donor", "Correlation", "Donors"],
)  # fmt: skip
page.table(
    needed,
    "audit-donors-needed",
    f"Donors needed for a 95 % interval of a given width, at an accuracy of {ACCURACY}.",
)
ten, one = (power.donors_needed(ACCURACY, 0.05, images, 0.5) for images in (10, 1000))
page.text(
    f"More images cannot stand in for donors: at a correlation of 0.5, ± 5 points take {ten} donors with ten images each, and still {one} with a thousand each."
)

# %% [markdown]
# ## How many to tell two models apart?
#
# A paired test needs the share of images that just one of the two gets right. It is not printed; it is at least the difference in accuracy, and seldom
# as small. Table 1 of Xia 2024:

# %%
pairs = [
    ("Miniset-DenseSENet and ResNet18", 1 / 38),
    ("Miniset-DenseSENet and ResNet18+SE", 3 / 38),
    ("Miniset-DenseSENet and DenseNet121", 4 / 38),
]
apart = pd.DataFrame(
    [(name, f"{100 * difference:.1f}", f"{100 * discordant:.0f} %", power.donors_to_tell_apart(difference, discordant), power.donors_to_tell_apart(difference, discordant, 10, 0.3))
     for name, difference in pairs for discordant in (max(0.1, difference), 0.2)],
    columns=["Models", "Difference, points", "Images one alone gets right", "Independent images", "Donors with 10 images, correlation 0.3"],
)  # fmt: skip
page.table(
    apart,
    "audit-donors-to-tell-apart",
    "What a paired test would need to find the printed differences (power 80 %, two-sided 5 %).",
)

# %% [markdown]
# ## Does the rule hold? Simulated cohorts
#
# Cohorts of 20 donors with ten images each are drawn with a known accuracy of 0.85. How many of their 95 % intervals hold it?

# %%
correlations = [0.0, 0.1, 0.2, 0.35, 0.5, 0.75]
covered = pd.DataFrame(
    [(label, r, power.coverage(ACCURACY, 20, 10, r, assumed, simulated, np.random.default_rng((seed, int(100 * r)))))
     for r in correlations for label, assumed in (("every image independent", 0.0), ("correlation known", r))],
    columns=["interval", "correlation", "coverage"],
)  # fmt: skip
naive = covered[covered["interval"] == "every image independent"].set_index("correlation")["coverage"]
page.figure(
    figures.coverage_by_correlation(covered),
    "audit-coverage",
    f"Share of {simulated} simulated cohorts (20 donors, ten images each) whose 95 % interval holds the true accuracy.",
    "Two lines of coverage against correlation: with the correlation known it stays near 95 percent, with every image taken as independent it falls. "
    + "; ".join(f"correlation {r}: {value:.0%}" for r, value in naive.items())
    + ".",
    covered,
)  # fmt: skip

# %% [markdown]
# ## On your own numbers
#
# ```python
# from als_core.statistics import power
#
# power.accuracy_interval(0.9, donors=12, images_per_donor=20, correlation=0.4)
# power.donors_needed(0.9, within=0.05, images_per_donor=20, correlation=0.4)
# # from the answers of a model you have, right or wrong by image
# power.within_donor_correlation(right, groups)
# ```
#
# The checks of [the findings](audit-numbers) are there in the same way: `als_core.statistics.granularity` (is a percentage possible at this number of images?),
# `als_core.statistics.bounds` (which counts agree with printed metrics; what can a test say of counts alone?) and `als_core.statistics.chance`.

# %%
page.made_of(Data="printed numbers, and simulations", Seed=seed)
page.provenance(("numpy", "scipy", "matplotlib"))
