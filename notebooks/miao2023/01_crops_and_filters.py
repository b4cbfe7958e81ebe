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
# # Crops and filters (Fig. 6, 7 and 9)
#
# Before any network is trained, two things decide what its scores can mean: how many independent cases
# there are, and what filtering does to the signs a network should find ({cite:t}`miao2023`, sections 1.3,
# 2.1 and 2.2).

# %% tags=["parameters"]
profile = "test"
crops = "synthetic"  # or a folder of crops labelled ALS and one other word
channel = ""  # of images with several: a number from 0, or red, green, blue
seed = 0

# %%
import numpy as np

from als_core.book.page import Page
from als_core.cohorts.group_word import CASE, word_of
from als_core.studies.miao2023 import figures, words
from als_core.studies.miao2023.audit import cases_in_a_split_by_crop, sizes_behind_the_logged_shares
from als_core.studies.miao2023.cohort import grey_crops, is_case, open_crops, truth_and_masks
from als_core.studies.miao2023.filters import image_counts, low_resolution, random_affine, trim
from als_core.studies.miao2023.protocol import CropSettings
from als_core.studies.miao2023.restoration import measure_filters
from als_core.studies.miao2023.synthetic import CropParameters, plan

page = Page("miao2023/01_crops_and_filters", profile, "Miao et al., Fig. 6, 7 and 9")
settings = page.profile.amounts("miao2023", CropSettings)
data = open_crops(crops, CropParameters(side=settings.crop_side), channel=channel)
page.about_cohort(data)
grey, (truth, masks), als = grey_crops(data), truth_and_masks(data), is_case(data)

# %% [markdown]
# ## The study in one picture
#
# Most of the paper's first nine figures are flow charts and textbook illustrations. The study itself has
# eight steps:

# %%
page.show(figures.pipeline(), "miao-pipeline", of_cohort=False)

# %% [markdown]
# ## The listing
#
# Fig. 6 lists the crops by name. A name such as `SD003_17_crops2_r` is read here as the second crop of
# SD003_17; the paper does not explain its parts.

# %%
facts = cases_in_a_split_by_crop()
page.show(figures.listing(plan()), "miao-fig6-listing", of_cohort=False)
page.text(words.listing(facts))

# %% [markdown]
# ## The crops of this page
#
# <!-- not own -->
# No image of the study is public. The synthetic crops have exactly the listed structure. In each, TDP-43
# lies diffusely in the nucleus; with ALS, some cells lose it there and carry bright aggregates in the
# cytoplasm (section 1.3). A simulated microscope records this specimen: blurred by a point spread, with the
# Poisson noise of photons. How strong the sign is was chosen, not measured.

# %%
shown = [*np.flatnonzero(als)[:3], *np.flatnonzero(~als)[:3]]
specimens = (None, None) if truth is None else (truth[shown], masks[shown])
page.show(figures.example_crops(grey[shown], *specimens, data.samples.iloc[shown]), "miao-crops")

# %% [markdown]
# ## The filters
#
# Section 2.2.1 names four filters and prints no constant of any. The constants here are a common choice.

# %%
chosen = int(np.flatnonzero(als)[0])
page.show(figures.filtered(grey[chosen], data.samples["path"].iloc[chosen]), "miao-fig7-filters")
page.table(words.filter_constants(), "miao-filters", "The four filters and their constants.")

# %%
effects = measure_filters(grey, truth, masks)
medians = effects.drop(columns="crop").groupby("filter", sort=False).median()
page.show(figures.filter_effects(effects), "miao-filter-effects")
page.text(words.filters(medians))

# %% [markdown]
# ## Low-resolution partners and balancing copies
#
# Section 2.2.3 makes low-resolution images by down-sampling and noise; section 2.1 rotates, shifts and
# scales images until the classes are equal.

# %%
sr, rng = settings.super_resolution, np.random.default_rng(seed)
original = trim(grey[chosen], sr.factor)
reduced = low_resolution(original, sr.factor, rng, noise_sd=sr.noise_sd)
copies = [random_affine(original, rng) for _ in range(4)]
page.show(figures.copies(original, reduced, copies, sr), "miao-copies")
counts = image_counts(als, settings.copies * len(als), balanced=True)
page.text(
    words.balancing(
        counts, als, len(set(data.groups)), sizes_behind_the_logged_shares()["total"], word_of(data, CASE)
    )
)

# %% [markdown]
# ## What this means
#
# The number that counts is the number of cases. Copies, crops of one case, and enlarged crops add images
# and no cases, so an interval or a split that treats images as independent claims more than there is. It
# does not mean that filters are useless: whether they help a classifier is measured in
# {ref}`miao-does-it-help`.

# %%
page.answer(**words.crops_box(facts, medians))
page.substitutions(
    **words.substitutions(data.kind, {"Constants of filters and copies": ("see below", "not printed")})
)
page.provenance()
