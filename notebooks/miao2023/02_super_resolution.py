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
# (miao-super-resolution)=
# # Super-resolution
#
# Section 1.5 says that a generative adversarial network increased the resolution of the images. Here one is
# trained, compared with plain interpolation on cases it has not seen, and checked for aggregates that are not
# there ({cite:t}`miao2023`, sections 1.5, 2.1, 2.2.3 and 2.2.4).

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
from als_core.studies.miao2023 import super_resolution as training
from als_core.studies.miao2023.cohort import grey_crops, is_case, open_crops, truth_and_masks
from als_core.studies.miao2023.filters import trim
from als_core.studies.miao2023.protocol import BY_CASE, CropSettings, draw_splits
from als_core.studies.miao2023.restoration import count_all, judge_restorations, summarise
from als_core.studies.miao2023.synthetic import CropParameters
from als_core.studies.miao2023.train import choose_weights

page = Page("miao2023/02_super_resolution", profile, "Miao et al., sections 2.2.3 and 2.2.4")
settings = page.profile.amounts("miao2023", CropSettings)
data = open_crops(crops, CropParameters(side=settings.crop_side), channel=channel)
page.about_cohort(data)
unit = word_of(data, CASE)
weights = choose_weights(settings.weights)

# %% [markdown]
# ## What is learned
#
# The paper prints neither layers nor loss nor a result. Here the network follows SRGAN (Ledig et al. 2017,
# [arXiv 1609.04802](https://arxiv.org/abs/1609.04802)), small: residual blocks, a pixel-shuffle for each
# doubling, and bicubic interpolation to which it adds what it has learned. Low-resolution images are means
# over blocks of pixels, with noise. The target is the noise-free truth where it is known (synthetic crops),
# else the crop itself.
#
# A generator is first trained on content, the mean squared error. Then it is copied. One copy continues in
# the same way; the other also has to pass for true before a discriminator. Both get the same patches and
# the same number of steps. Cases of the test part are never seen in training.

# %%
sr = settings.super_resolution
grey = np.stack([trim(crop, sr.factor) for crop in grey_crops(data)])
truth, masks = truth_and_masks(data)
target = grey if truth is None else truth
pairs = training.make_pairs(grey, target, sr, seed)
(split,) = draw_splits(is_case(data), data.groups, BY_CASE, seed, repeats=1, copies=settings.copies)
train, test = split.train_crops, split.test_crops
perceptual = None if weights.name == "random" else training.perceptual_network(weights.name)
trained = training.train_super_resolution(pairs, train, sr, seed, perceptual=perceptual)

# %%
cases = len(set(data.groups[test]))
page.text(words.what_is_trained(sr, pairs, len(train), len(test), cases, perceptual is not None, unit))
page.show(figures.super_resolution_losses(trained.history), "miao-gan-course")

# %% [markdown]
# ## Held-out crops
#
# Each row is one crop of a case that the network has not seen.

# %%
made = training.enlargements(pairs, test, sr.factor, trained)
true, true_masks = target[test], None if masks is None else masks[test]
first = slice(0, 4)
page.show(
    figures.enlarged_crops(
        pairs.low[test][first],
        {name: images[first] for name, images in made.items()},
        true[first],
        None if true_masks is None else true_masks[first],
        data.samples.iloc[test[first]][["path", "label", "group"]],
    ),
    "miao-enlarged",
)

# %% [markdown]
# ## How near to the truth
#
# PSNR and SSIM compare an image with the truth. Sharpness is the mean squared gradient as a share of the
# truth's: 1 is as sharp, and noise counts as sharp. Intervals resample cases.

# %%
summary = summarise(judge_restorations(made, true, true_masks, data.groups[test]), seed)
page.show(figures.restoration(summary, len(test), cases, unit), "miao-restoration")
page.text(words.gains(summary))

# %% [markdown]
# ## Does it invent aggregates?
#
# For a diagnosis this matters more than decibels. One rule (a Laplacian of Gaussian above a fixed contrast)
# looks for bright compact spots in every image and compares them with the mask. *Found*: an aggregate with
# a spot on it. *Missed*: one without. Every cell also has faint specks that are no aggregates. The rule marks
# some of them in the truth itself, so a spot outside aggregates is invented only where the truth has none.

# %%
counts = None
if masks is None:
    page.text("No mask of aggregates is known for these crops, so inventions cannot be counted.")
else:
    names = {figures.METHODS[name]: images for name, images in made.items()}
    counts = count_all({"Crop as recorded": grey[test], **names, "Truth": true}, true_masks)
    page.show(figures.aggregate_counts(counts, len(test)), "miao-aggregates")
    page.text(words.aggregates(counts))

# %% [markdown]
# ## What this means
#
# A network that enlarges crops fills in what it has learned to expect. Nearer to the truth on average does
# not mean true in each spot, so counts of aggregates on enlarged crops need the original beside them. It
# does not mean that super-resolution cannot help: {ref}`miao-does-it-help` classifies enlarged crops.

# %%
page.answer(**words.super_resolution_box(data.kind, summary, counts, len(test), cases, unit))
page.substitutions(**words.substitutions(data.kind, words.super_resolution_rows(settings)))
held_out = f"by {unit.one}, seed {seed}, {len(test)} of {len(grey)} crops held out"
page.made_of(weights=weights.reason, split=held_out)
page.provenance()
