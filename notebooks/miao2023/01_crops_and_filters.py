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
# (miao-crops-page)=
# # Crops and filters
#
# Which crops the super-resolution study has, what stands in for them here, and what its four filters do
# ({cite:t}`miao2023`, sections 1.3, 2.1 and 2.2, Fig. 1 to 9).

# %% tags=["parameters"]
profile = "test"
cohort = (
    "synthetic"  # or a folder whose labels are ALS and one other; for any other cohort of the book, synthetic
)
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.studies.miao2023 import figures_crops as figures
from als_core.studies.miao2023.amounts import CropAmounts
from als_core.studies.miao2023.audit import cases_in_a_split_by_crop
from als_core.studies.miao2023.cohort import grey_crops, is_case, open_crops, truth_and_masks
from als_core.studies.miao2023.filters import FILTERS, MOVES, low_resolution, moved, shares_of, trimmed
from als_core.studies.miao2023.restoration import count_aggregates, psnr, sharpness
from als_core.studies.miao2023.synthetic import CropParameters, plan

page = Page("miao2023/01_crops_and_filters", profile, "Miao et al., Fig. 1 to 9")
amounts = page.profile.amounts("miao2023", CropAmounts)
data = open_crops(cohort, CropParameters(side=amounts.crop_side))
page.about_cohort(data)
crops, (truth, masks), als = grey_crops(data), truth_and_masks(data), is_case(data)

# %% [markdown]
# ## The study in one picture
#
# Seven of the paper's figures are flow charts and textbook illustrations without study data. Together they say this:

# %%
steps = [
    ("Crops", "39 of post-mortem\ntissue, TDP-43"),
    ("Filters", "Gaussian, median,\nmean, equalisation"),
    ("Super-resolution", "a generative\nadversarial network"),
    ("Copies", "turned, shifted, scaled,\nuntil classes are equal"),
    ("Split", "70 % training,\n30 % test"),
    ("Networks", "VGG16, ResNet50,\nMobileNetV3"),
    ("Answer", "ALS or not, from the\nnumbers of the pixels"),
    ("Measures", "sensitivity, specificity,\naccuracy, AUC"),
]
page.figure(
    figures.pipeline(steps),
    "miao-pipeline",
    "The study's pipeline, in place of Fig. 1 to 5, 8 and 9. The order of copies and split is not clear from the text, and matters: see {ref}`miao-leak`.",
    "Eight boxes joined by arrows: " + ", ".join(heading.lower() for heading, _ in steps) + ".",
    pd.DataFrame(steps, columns=["step", "what"]),
    of_cohort=False,
)

# %% [markdown]
# ## The listing
#
# Fig. 6 lists the crops by name. A name such as `SD003_17_crops2_r` is read here as case SD003_17, second crop; the paper
# does not explain its parts.

# %%
listed, facts = plan(), cases_in_a_split_by_crop()
page.figure(
    figures.listing(listed),
    "miao-fig6-listing",
    "The published listing: each column is a case, each square one of its crops (Fig. 6 in the paper).",
    f"Two rows of columns of squares. {facts['crops']} crops of {facts['cases']} cases, {facts['als_cases']} of them with ALS; {facts['pairs']} cases have two crops.",
    listed[["path", "label", "group"]],
    of_cohort=False,
)
page.text(
    f"**{facts['crops']} crops are of {facts['cases']} cases**, and {facts['pairs']} cases have two crops. Crops of one case are alike, so there are "
    f"{facts['cases']} independent units. If crops were split at random, all cases would stay on one side with a chance of {facts['none_torn']:.2g}. "
    f"Read by SD number alone there would be {facts['numbers']} cases, and {facts['numbers_with_both_labels']} of them would be both ALS and not."
)

# %% [markdown]
# ## The crops of this page
#
# No image of the study is public. The synthetic crops have exactly the listed structure. In each, TDP-43 lies diffusely in the
# nucleus; with ALS, some cells lose it there and carry bright aggregates in the cytoplasm (section 1.3). What is recorded
# of this specimen is blurred by a point spread and has the Poisson noise of the photons. How strong the sign is was chosen, not measured.

# %%
shown = [*np.flatnonzero(als)[:3], *np.flatnonzero(~als)[:3]]
names = f"three of ALS, then three of {data.samples['label'][~als].iloc[0]}"
rows = {f"Crops ({names})": crops[shown]}
if truth is not None:
    rows |= {"Their truth: no blur, no noise": truth[shown], "Their aggregates": masks[shown]}
page.figure(
    figures.crop_rows(rows),
    "miao-crops",
    f"Six crops: {names}."
    + (
        " Below, the noise-free specimen of each, and the mask of its aggregates."
        if truth is not None
        else ""
    ),
    f"Rows of six grey images of cells: {names}.",
    data.samples.loc[shown, ["path", "label", "group"]],
)

# %% [markdown]
# ## The filters
#
# Section 2.2.1 names four filters and no constant of any. The constants here are in the table; they are ours.

# %%
chosen = int(np.flatnonzero(als)[0])
page.figure(
    figures.filtered(crops[chosen], {each.title: each(crops[chosen]) for each in FILTERS.values()}),
    "miao-fig7-filters",
    "A crop before and after each filter; below, the part around its brightest spot, enlarged three times (Fig. 7 in the paper shows the Gaussian filter).",
    "Five pairs of grey images of one cell: as it was, and after "
    + ", ".join(each.title.lower() for each in FILTERS.values())
    + ".",
    pd.DataFrame({"filter": list(FILTERS), "crop": data.samples["path"][chosen]}),
)
constants = [
    ", ".join(f"{name} {value:g} pixels" for name, value in each.constants.items())
    for each in FILTERS.values()
]
page.table(
    pd.DataFrame({"Filter": [each.title for each in FILTERS.values()], "Constants": constants}),
    "miao-filters",
    "The four filters and their constants.",
)

# %%
methods = {"Before": lambda crop: crop} | {each.title: each for each in FILTERS.values()}
effects = pd.DataFrame([{"filter": name, "crop": n, "Sharpness (levels²/pixel²)": sharpness(method(crop))} for name, method in methods.items() for n, crop in enumerate(crops)])  # fmt: skip
if truth is not None:
    made = [(method(crop), n) for method in methods.values() for n, crop in enumerate(crops)]
    effects["PSNR to the truth (dB)"] = [psnr(image, truth[n]) for image, n in made]
    effects["Aggregates missed or invented"] = [
        sum(count_aggregates(image, masks[n])[1:]) for image, n in made
    ]
medians = effects.drop(columns="crop").groupby("filter", sort=False).median()
page.figure(
    figures.filter_effects(effects),
    "miao-filter-effects",
    f"What each filter does to all {len(crops)} crops: median, quartiles, and whiskers from 5 to 95 percent.",
    "Box plots, one row a filter. Medians: "
    + "; ".join(
        f"{name}: " + ", ".join(f"{label} {value:.3g}" for label, value in row.items())
        for name, row in medians.iterrows()
    )
    + ".",
    effects,
)
if truth is not None:
    best, worst = medians["PSNR to the truth (dB)"].idxmax(), medians["PSNR to the truth (dB)"].idxmin()
    page.text(
        f"Nearest to the truth: {best}, with a median PSNR of {medians.loc[best, 'PSNR to the truth (dB)']:.1f} dB against {medians.loc['Before', 'PSNR to the truth (dB)']:.1f} dB of the crops themselves; "
        f"farthest: {worst} ({medians.loc[worst, 'PSNR to the truth (dB)']:.1f} dB). Equalisation gives every crop its own scale of brightness."
    )

# %% [markdown]
# ## Low-resolution partners and balancing copies
#
# Section 2.2.3 makes low-resolution images by down-sampling and noise; section 2.1 turns, shifts and scales images until the
# classes are equal.

# %%
settings, rng = amounts.super_resolution, np.random.default_rng(seed)
original = trimmed(crops[chosen], settings.factor)
reduced = low_resolution(original, settings.factor, rng, noise_sd=settings.noise_sd)
page.figure(
    figures.crop_rows(
        {
            f"A crop, its {settings.factor}-fold reduction with noise, and four of its copies": [
                original,
                reduced,
                *(moved(original, rng) for _ in range(4)),
            ]
        }
    ),
    "miao-copies",
    f"A crop, reduced {settings.factor} times with noise of {settings.noise_sd:g} levels, and turned by up to {MOVES['turn']:g} degrees, shifted by up to {MOVES['shift']:.0%} of the side and scaled by up to {MOVES['scale']:.0%}.",
    "Six grey images of one cell: the crop, a coarse and noisy version of it, and four slightly moved copies.",
    pd.DataFrame({"move": list(MOVES), "largest": list(MOVES.values())}),
)
counts = shares_of(als, amounts.copies * len(als), balanced=True)
page.text(
    f"To make {counts.sum()} images with equal classes, a crop of ALS is shown {counts[als].min()} to {counts[als].max()} times and a control "
    f"{counts[~als].min()} to {counts[~als].max()} times, itself included. Copies are no new cases: {data.samples['group'].nunique()} stay {data.samples['group'].nunique()}."
)

# %%
page.provenance()
