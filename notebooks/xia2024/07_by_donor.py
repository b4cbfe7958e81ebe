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
# (xia-by-donor)=
# # What survives a split by donor
#
# The same classifiers and baselines under splits that keep less or more apart, each beside what it reaches when the labels are
# dealt anew to whole donors. {cite:t}`xia2024` splits by image (section 4.2.1); this page has no counterpart in the paper.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
from dataclasses import replace

import pandas as pd

from als_core.book.page import Page
from als_core.statistics.intervals import clopper_pearson
from als_core.studies.xia2024 import by_donor
from als_core.studies.xia2024 import figures_benchmark as figures
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.benchmark import COLOUR, MAJORITY, baseline_features
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.synthetic import TissueParameters, synthetic_tissue_arrays
from als_core.studies.xia2024.train import frozen_features, runs_by_donor, tissue_runs, tissue_weights

page = Page("xia2024/07_by_donor", profile)
data = open_for_page(page, cohort)
training = page.profile.amounts("tissue_training", TissueAmounts)
amounts = page.profile.amounts("tissue_by_donor", by_donor.ByDonorAmounts)
labels, groups = data.labels, data.groups
slides = data.samples["slide"].to_numpy(str) if "slide" in data.samples else None
allowed = by_donor.protocols(labels, groups, slides)
features = baseline_features(data.images())
features |= {
    f"{RECIPES[network].name}, frozen": frozen_features(network, data, training) for network in amounts.heads
}

# %% [markdown]
# ## The splits
#
# *By image*: folds of images, stratified by class. *By slide*: one slide of each class is held out together. *By donor*: one donor of each
# class is held out together. In each, the held-out images are answered by a classifier that never saw their unit.
#
# The null keeps the images and deals the labels anew, to whole donors. No class is left to recognise then, but slides and donors
# still are. What a split allows to score by recognising them is in its null.

# %%
table, counts = by_donor.study(features, labels, groups, slides, amounts, seed)
trained = {}
if by_donor.BY_DONOR in allowed and by_donor.can_validate(labels, groups):
    for network in amounts.trained:
        name = f"{RECIPES[network].name}, trained"
        counts[by_donor.BY_IMAGE, name] = by_donor.calls_of_runs(
            tissue_runs(network, data, training, seed=seed)
        )
        trained[name] = runs_by_donor(network, data, training, seed)
        counts[by_donor.BY_DONOR, name] = by_donor.calls_of_runs(trained[name])
extra = [
    {"protocol": protocol, "name": name} | by_donor.summary(each, labels, groups, None, seed)
    for (protocol, name), each in counts.items()
    if name in trained
]
table = pd.concat([table, pd.DataFrame(extra)]) if extra else table
table = table.sort_values("protocol", key=lambda column: column.map(list(allowed).index), kind="stable")

# %%
weights = {network: tissue_weights(network, training).name for network in (*amounts.heads, *amounts.trained)}
side = training.recipe(amounts.heads[0]).side
page.text(
    f"**Classifiers.** *{'*, *'.join(features)}*: ridge regression on class indicators, with nothing tuned, on colour numbers or on what the head of a frozen network gets from an image of {side} × {side} pixels"
    f" ({', '.join(f'{name} {value}' for name, value in weights.items())} weights; batch-norm statistics of random weights are measured on all images, without labels). This takes the place of a head trained by Adam, because it can be repeated for {amounts.permutations} permutations."
    + "".join(
        f" *{name}*: {runs[0].title}, one run for each of {len(runs)} splits by donor, which together hold out every donor once; by image, the runs of the page {{ref}}`xia-benchmark`. No null was computed for it."
        for name, runs in trained.items()
    )
    + f" Folds are drawn {amounts.rounds} times."
    + " Donors here hold images of several classes, so a fold holds out several donors at once, and labels are dealt anew within donors."
    * (groups is not None and not by_donor.holds_one_label(labels, groups))
    + "\n\n"
    + (
        ""
        if by_donor.BY_DONOR in allowed
        else "**Not possible here.** "
        + (
            "Without a `group` column images cannot be held out by donor, and labels cannot be dealt to donors. "
            if groups is None
            else "A class has one donor alone, so none can be held out and one be left to learn from. "
        )
        + "What follows is the split by image only, against labels dealt to images, and says nothing about new donors."
    )
)

# %% [markdown]
# ## Accuracy under each split

# %%
main = table[table["protocol"] != by_donor.LEFT_OUT]
units = "images" if groups is None else "donors"
title = f"Accuracy of each classifier under each split, over {units}."
page.show(figures.accuracy_by_protocol(main, title), "xia-by-donor-accuracy")
page.table(
    figures.protocol_rows(main),
    "xia-by-donor-table",
    f"Accuracy in percent, its interval over {units}, and the null of each split. p: share of permutations that reach the observed accuracy, one-sided.",
)

# %% [markdown]
# ## One donor left out
#
# Leaving out one donor at a time looks like the strictest split, and has a trap: the held-out donor's class is rarer in training than
# the others, so a classifier that leans on the shares of the classes is wrong more often than chance. An accuracy under
# it can only be read beside its own null.

# %%
left_out = table[table["protocol"] == by_donor.LEFT_OUT]
if len(left_out):
    title = "Accuracy with one donor left out at a time, over the null of the same procedure."
    page.show(figures.accuracy_by_protocol(left_out, title), "xia-one-donor-left-out")
else:
    page.text("There are no donors to leave out in this cohort.")

# %% [markdown]
# ## Are slides recognised?

# %%
known = {unit: names for unit, names in (("slide", slides), ("donor", groups)) if names is not None}
recognised = by_donor.recognition_table(features, known, seed)
if len(recognised):
    page.table(
        figures.recognition_rows(recognised),
        "xia-slide-recognition",
        "How often the same classifiers name the slide or donor of an image, when asked for that in place of the class (folds by image). Chance: one over their number.",
    )
else:
    page.text(
        f"The manifest names no slide or donor with {by_donor.FOLDS} images or more, so this cannot be asked."
    )

# %% [markdown]
# ## Donor by donor
#
# A donor's vote is the class that all answers on its images name most often, each given while the donor was held out. Donors are
# independent, images are not, so the interval of the votes is the honest one.

# %%
by_donors = {
    name: by_donor.group_votes(each, labels, groups)
    for (protocol, name), each in counts.items()
    if protocol == by_donor.BY_DONOR
}
if by_donors:
    votes = pd.concat([each.assign(name=name) for name, each in by_donors.items()], ignore_index=True)
    ends = pd.DataFrame(
        {name: clopper_pearson(each["right"].sum(), len(each))[:2] for name, each in by_donors.items()}
    ).T.set_axis(["low", "high"], axis=1)
    tally = figures.vote_rows(votes, ends)
    page.show(figures.donor_grid(votes, data.classes), "xia-donor-grid")
    page.table(
        tally,
        "xia-donor-votes",
        "Donors whose vote is right, under the split by donor, with the exact 95 % interval over donors, in percent.",
    )

# %% [markdown]
# ## The same on images with nothing to find
#
# Here every image is drawn, donors differ strongly in stain and preparation, and the disease leaves no trace: not one pixel depends on the
# class. A sound procedure must stay at its chance.

# %%
drawn_of = replace(
    page.profile.amounts("synthetic_tissue", TissueParameters), disease_effect=0, donor_effect=3, side=64
)
images, _, drawn = synthetic_tissue_arrays(drawn_of, seed)
empty_labels, empty_donors = drawn["label"].factorize(sort=True)[0], drawn["group"].to_numpy(str)
empty, _ = by_donor.study(baseline_features(images), empty_labels, empty_donors, None, amounts, seed)
empty = empty[empty["protocol"] != by_donor.LEFT_OUT]
title = f"Accuracy on {len(images)} synthetic fields of {len(set(empty_donors))} donors without a disease effect, not this page's cohort."
page.show(figures.accuracy_by_protocol(empty, title), "xia-nothing-to-find")

# %%
at = table.set_index(["protocol", "name"])
image = at.loc[by_donor.BY_IMAGE, COLOUR]
if by_donor.BY_DONOR in allowed:
    donor = table[(table["protocol"] == by_donor.BY_DONOR) & (table["name"] != MAJORITY)]
    tested = donor.dropna(subset="p")
    shown = recognised.iloc[recognised["share"].argmax()] if len(recognised) else None
    best = tested.loc[tested["accuracy"].idxmax()]
    page.headline(
        f"Held out by image, colour statistics alone name {image.accuracy:.0%} of the images, and {image.null_mean:.0%} when the labels of whole donors are dealt anew. "
        f"Held out by donor, the best of {len(tested)} classifiers reaches {best['accuracy']:.0%} ({best['low']:.0%} to {best['high']:.0%} over {len(set(groups))} donors), where permuted labels give {best['null_mean']:.0%}."
    )
    page.text(
        "## What this says, and what it does not\n\n"
        f"**It says** how far accuracy moves with the split. By image, colour statistics reach {image.accuracy:.0%}; with labels dealt anew to donors, so that no class is left to learn, the same procedure reaches {image.null_mean:.0%} on average, where always naming the commonest class reaches {at.loc[by_donor.BY_IMAGE, MAJORITY].accuracy:.0%}. "
        f"By donor, the classifiers reach {donor['accuracy'].min():.0%} to {donor['accuracy'].max():.0%}, against {tested['null_mean'].min():.0%} to {tested['null_mean'].max():.0%} with permuted labels; {(tested['p'] < 0.05).sum()} of {len(tested)} have p below 0.05, without correction for their number. "
        + (
            f"At best the {shown['unit']} of an image is named in {shown['share']:.0%} of cases, among {shown['units']}. "
            if shown is not None
            else ""
        )
        + "An accuracy under a split by image therefore holds much that is not about the class, and its interval over images does not show it.\n\n"
        f"**It does not say** that these images hold no sign of the classes. With {len(set(groups))} donors, an interval over donors is {100 * (donor['high'] - donor['low']).min():.0f} to {100 * (donor['high'] - donor['low']).max():.0f} points wide, and in the permutation tests an accuracy had to reach {tested['null_high'].min():.0%} to {tested['null_high'].max():.0%} to stand out at all, so an effect of moderate size would be missed often. "
        "Nor does it say what the networks of the paper would reach by donor: weights, sizes and epochs here are those named above. Nothing follows for donors, stains or laboratories outside this cohort, or for living people. What would settle more is more donors, not more fields of these."
    )
else:
    page.text(
        "## What this says, and what it does not\n\n"
        f"**It says** that colour statistics name {image.accuracy:.0%} of held-out images correctly when images are split at random, and that labels dealt anew to images give {image.null_mean:.0%}.\n\n"
        "**It does not say** how a classifier does on a new donor. If images of one donor or slide are on both sides of the split, the accuracy may come from recognising them; only a manifest with a `group` column can tell."
    )

# %%
page.made_of(
    weights=", ".join(f"{network} {name}" for network, name in weights.items()),
    splits=f"{', '.join(allowed)}; {amounts.rounds} rounds, {amounts.permutations} permutations, seed {seed}",
    runs=", ".join(
        f"{run.about['key']}{' (recorded)' * run.recorded}" for runs in trained.values() for run in runs
    )
    or "none",
)
page.provenance()
