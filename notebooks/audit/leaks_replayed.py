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
# What would each leak do to a number? On synthetic tissue, crops, brains and feature tables, where the truth is known because
# we drew it, one protocol is run with each leak as a switch: alone, together, at no signal, a weak and a strong one, and for few and
# many donors. That a leak *can* lift a number does not say that it did in any paper; what the papers describe is in
# [the findings](audit-numbers).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.studies.cross_paper import figures_audit as figures
from als_core.studies.cross_paper import leak_switches as leaks
from als_core.studies.cross_paper.leak_amounts import EFFECTS, SIGNALS, LeakAmounts, banks
from als_core.studies.cross_paper.leak_pools import cohort_samples, null_tissue_images
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters

page = Page("audit/leaks_replayed", profile)
amounts = page.profile.amounts("leaks", LeakAmounts)
material = banks(amounts, seed)

# %% [markdown]
# ## The switches
#
# Without any switch, donors are split into training, validation and test parts; scaling, SMOTE and augmented copies touch the training part alone; the
# penalty of a linear model and its stopping time are chosen on the validation part; and the mean test AUC of five splits is reported. Each switch changes one
# of these steps, and declares beforehand which way it moves the AUC where there is nothing to find.

# %%
described = pd.DataFrame(
    [(name, switch.says, *(switch.direction_for(kind) for kind in leaks.KINDS)) for name, switch in leaks.SWITCHES.items()],
    columns=["Switch", "What is done", *leaks.KINDS],
)  # fmt: skip
page.table(
    described,
    "audit-leak-switches",
    "The switches, and the direction each declares for each kind of material.",
)

# %% [markdown]
# ## Each alone, where there is nothing to find
#
# In a null cohort the labels are dealt to donors by lot. Whatever is then found was let in by the protocol.

# %%
null = pd.concat(
    [leaks.replay(bank, [0.0], [amounts.of(bank.kind).null_cohort], amounts.null_cohorts, leaks.alone(bank.kind), seed, True, amounts.jobs)
     for bank in material], ignore_index=True,
)  # fmt: skip
moved = leaks.directions(null)
page.figure(
    figures.leak_shifts(moved, [leaks.PERMUTED, *leaks.SWITCHES]),
    "audit-leak-shifts",
    f"How far each switch moves the AUC of {amounts.null_cohorts} null cohorts of each kind (means with 95 % intervals; "
    + ", ".join(f"{bank.kind} of {amounts.of(bank.kind).null_cohort} {bank.donor}s" for bank in material)
    + "). *Labels permuted* is the honest protocol with labels dealt once more: it shows how far chance moves. *Synthetic cohorts.*",
    "Dot plot of shifts in area under the curve, switches as rows, four kinds of material in colour. "
    + "; ".join(f"{row.kind}, {row.switches}: {row.shift:+.2f}" for row in moved.dropna(subset="shift").itertuples())
    + ".",
    moved,
)  # fmt: skip

# %%
judged = moved[moved["declared"] != "not applicable"]
page.text(
    f"{int(judged['holds'].sum())} of {len(judged)} directions hold on these cohorts (*up*: above two standard errors; *none*: within three; *mirrored*: exactly)."
)
page.table(
    moved.round(3).assign(holds=moved["holds"].map({True: "yes", False: "no"})).rename(columns={"kind": "TrainingImages", "switches": "Switch", "declared": "Declared", "honest": "AUC without", "moved": "AUC with", "shift": "Shift", "error": "Standard error", "holds": "Holds"}),
    "audit-leak-directions",
    "Declared and found directions on null cohorts, AUC reported. *Synthetic cohorts.*",
)  # fmt: skip

# %% [markdown]
# ## Something from nothing
#
# One switch after another, still with nothing to find. Bars are what would be reported; diamonds are what the very same models are worth on
# donors that took no part.

# %%
order = [
    "split by image",
    "augment first",
    "oversample first",
    "tune on test",
    "stop on test",
    "best of five",
]
steps = leaks.summary(
    pd.concat([leaks.replay(bank, [0.0], [amounts.of(bank.kind).null_cohort], amounts.curve_cohorts * 2, leaks.stacked(bank.kind, order), seed + 1, jobs=amounts.jobs)
               for bank in material], ignore_index=True)
)  # fmt: skip
last = steps.groupby("kind", sort=False).last()
page.headline(
    f"With no signal at all, six leaks together turn an AUC of one half into {last.loc['tissue', 'reported']:.2f} on synthetic tissue; on new donors the same models are at {last.loc['tissue', 'deployed']:.2f}."
)
page.figure(
    figures.something_from_nothing(steps),
    "audit-something-from-nothing",
    f"Nothing to find: mean AUC of {amounts.curve_cohorts * 2} null cohorts as leaks are added from left to right (bars, with 95 % intervals), and AUC of the same models on new donors (diamonds). *Synthetic cohorts.*",
    "Bar charts for four kinds of material; bars rise from one half towards one as leaks are added, diamonds stay near one half. "
    + "; ".join(f"{kind}: reported {row.reported:.2f}, on new donors {row.deployed:.2f}" for kind, row in last.iterrows())
    + ".",
    steps,
)  # fmt: skip

# %% [markdown]
# ## Weak and strong signals, few and many donors
#
# With many donors and a strong signal a leak has little left to add. With the numbers of donors that such studies have, it decides what is
# reported.

# %%
shown = {leaks.HONEST: "honest", "split by image": "split by image", "all that lift": "all leaks together"}
curves = leaks.summary(
    pd.concat(
        [leaks.replay(bank, [0.0, *EFFECTS[bank.kind]], amounts.of(bank.kind).curve, amounts.curve_cohorts,
                      {name: chosen for name, chosen in leaks.alone(bank.kind).items() if name in shown}, seed + 2, jobs=amounts.jobs)
         for bank in material], ignore_index=True,
    )
)  # fmt: skip
effects = {kind: dict(zip((0.0, *sizes), SIGNALS, strict=True)) for kind, sizes in EFFECTS.items()}
tissue = curves[
    (curves["kind"] == "tissue")
    & (curves["donors"] == curves.loc[curves["kind"] == "tissue", "donors"].min())
]
page.figure(
    figures.leaks_by_donors(curves, effects, shown),
    "audit-leaks-by-donors",
    f"Reported AUC against the number of donors, at three strengths of signal (means of {amounts.curve_cohorts} cohorts with 95 % intervals). Dashed: what the honest models are worth on new donors. *Synthetic cohorts.*",
    "Grid of line charts, four kinds of material by three strengths of signal, number of donors across. Tissue with the fewest donors: "
    + "; ".join(f"{effects['tissue'][row.effect]}, {shown[row.switches]}: {row.reported:.2f}" for row in tissue.itertuples())
    + ".",
    curves,
)  # fmt: skip

# %% [markdown]
# ## A convolutional network does the same
#
# The linear models above learn on fixed features. A small convolutional network on the pixels of null tissue, nothing chosen:

# %%
checks = leaks.convolutional_check(
    null_tissue_images(24, 8, 32, seed + 3, amounts.jobs), amounts.checks, donors=8, seed=seed
)
found = checks.groupby("split", sort=False)["reported"].agg(["mean", "sem", "size"]).reset_index()
page.table(
    found.round(3).rename(
        columns={"split": "Split", "mean": "Mean AUC", "sem": "Standard error", "size": "Cohorts"}
    ),
    "audit-leak-network",
    "A small convolutional network on null cohorts of eight donors with eight fields each. *Synthetic cohorts.*",
)

# %% [markdown]
# ## The cohort of this book, its labels dealt anew
#
# The last test needs no synthetic image. The labels of the cohort of this book are dealt anew to its donors: no disease can be
# found any more, and yet a split by image finds one.

# %%
data = open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False)
title, reference = (
    data.about.get("title", data.name),
    "control" if "control" in data.classes else data.classes[-1],
)
positive = (data.samples["label"] != reference).to_numpy()
if reason := leaks.why_not_by_donor(positive, data.groups):
    page.text(f"The labels of {title} cannot be dealt to donors: {reason}.")
else:
    samples = cohort_samples(data.images(), positive, data.groups)
    draws = leaks.by_image_and_by_donor(samples, amounts.draws, seed, amounts.jobs)
    means = draws.groupby(["labels", "split"])["reported"].mean()
    page.figure(
        figures.draws_by_split(draws),
        "audit-labels-dealt-anew",
        f"{title}: a linear model on colour and texture of the images tells {reference} from the rest, with the labels as they are and dealt anew to its {len(np.unique(data.groups))} donors. One point a draw.",
        "Rows of points, one a draw, for two splits and two sets of labels. Mean AUC: " + "; ".join(f"{labels}, split {split}: {value:.2f}" for (labels, split), value in means.items()) + ".",
        draws,
    )  # fmt: skip
    page.text(
        f"With labels that no image can hold, the split by image still has a mean AUC of {means[leaks.PERMUTED, 'by image']:.2f}, and the split by donor {means[leaks.PERMUTED, 'by donor']:.2f}. "
        "Only what goes beyond that can be about the class."
    )

# %%
page.made_of(
    Data="synthetic tissue, crops, brains and feature tables; at the end the cohort of the book", Seed=seed
)
page.provenance(("numpy", "scipy", "scikit-learn", "imbalanced-learn", "torch", "matplotlib"))
