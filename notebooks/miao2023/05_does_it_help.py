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
# (miao-does-it-help)=
# # Does super-resolution help the classifier?
#
# The paper's title joins two steps, super-resolution and classification, but the paper prints no number that
# compares classification with and without the first. *Super-resolution* means enlarging an image by a program
# here, not a microscope beyond the diffraction limit. The whole chain runs: the same classifiers, in the same
# folds of cases, on raw, filtered, interpolated and GAN-enlarged crops ({cite:t}`miao2023`, sections 1.5, 2.2
# and 4.7).

# %% tags=["parameters"]
profile = "test"
crops = "synthetic"  # or a folder of crops labelled ALS and one other word
channel = ""  # of images with several: a number from 0, or red, green, blue
seed = 0

# %%
import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.group_word import CASE, word_of
from als_core.studies.miao2023 import chain, figures, words, words_chain
from als_core.studies.miao2023.cohort import grey_crops, is_case, open_crops, truth_and_masks
from als_core.studies.miao2023.protocol import CropSettings
from als_core.studies.miao2023.restoration import count_all
from als_core.studies.miao2023.synthetic import CropParameters
from als_core.studies.miao2023.train import choose_weights, majority_share
from als_core.training.train import found_device

page = Page("miao2023/05_does_it_help", profile, "Miao et al., sections 1.5, 2.2 and 4.7")
settings = page.profile.amounts("miao2023", CropSettings)
data = open_crops(crops, CropParameters(side=settings.crop_side), channel=channel)
page.about_cohort(data)
unit = word_of(data, CASE)
null = open_crops("synthetic", CropParameters(side=settings.crop_side, disease_effect=0))
weights, device = choose_weights(settings.weights), found_device()

# %% [markdown]
# ## The same crops, seven ways
#
# Each crop is classified as recorded, after each of the four filters, and twice after it was reduced and
# enlarged again: by bicubic interpolation and by the adversarial network. **Each fold trains its own
# network on its training cases**, so no tested case has been seen by the network that enlarges it or by the
# classifier. If the GAN beats interpolation, it has added something the classifier uses, true or invented.
#
# Two classifiers look at every input: a network on a frozen base, and logistic regression on measured
# brightness, sharpness, texture and spots. If only the network gains, the original crop may have held enough
# and the network failed to use it.

# %%
truth, masks = truth_and_masks(data)
options = {"settings": settings.chain, "seed": seed, "weights": weights.name, "device": device}
result = chain.classify_inputs(grey_crops(data), truth, is_case(data), data.groups, **options)
page.show(figures.input_images(result.tested, [0, 1], data.samples, unit), "miao-chain-inputs")

# %% [markdown]
# ## Accuracy by input
#
# The right panel is a control: the chain again on synthetic crops that carry no sign of disease, in groups
# that still differ in look. There every input should be at chance, and a difference between two inputs
# shows how far chance alone can move them.

# %%
without = chain.classify_inputs(
    grey_crops(null), truth_and_masks(null)[0], is_case(null), null.groups, **options
)
cohorts = {"with a sign": result, "without a sign": without}
scores = pd.concat(
    [chain.score_inputs(each.predictions).assign(cohort=name) for name, each in cohorts.items()]
)
majority = majority_share(is_case(data), data.groups)
page.show(figures.input_accuracies(scores, majority, unit), "miao-chain-accuracy")
comparisons = chain.compare_all(cohorts, chain.GAN, chain.BICUBIC, seed)
page.text(words_chain.inputs_compared(scores, comparisons, unit))

# %% [markdown]
# ## Is the help real?
#
# A classifier can do better on an image that shows more of what is there, or on one that shows what the
# network has learned to expect. The truth of the synthetic crops tells the two apart: aggregates found and
# missed, and spots outside aggregates, counted in the very images that were tested.

# %%
counts = None if masks is None else count_all(result.tested | {"Truth": truth}, masks)
if counts is not None:
    page.show(
        figures.aggregate_counts(counts.rename(index=figures.INPUT_NAMES), len(data)), "miao-chain-aggregates"
    )
page.text(words_chain.is_the_help_real(comparisons, counts, *cohorts))

# %%
table = chain.predictions_by_case(result.predictions)
caption = f"Score of ALS of every {unit.one} by classifier and input, from five folds of {unit.many}."
page.table(figures.prediction_table(table, unit), "miao-chain-predictions", caption)

# %% [markdown]
# ## What this means
#
# Super-resolution adds no cases and no photons: it can only arrange what the reduced crop still holds, with
# what it has learned from other cases. Where a classifier gains, the first question is whether a simpler
# one on the original crop does as well. It does not mean that the paper's own step is useless: it prints no
# comparison, and its crops are not public.
#
# The paper also warms up on MNIST digits. That is left out: handwritten digits have neither cells nor
# cases, and the paper prints no number of it.

# %%
tested = int(scores["cases"].iloc[0])
factor = settings.chain.super_resolution.factor
help_box = words_chain.help_box(data.kind, comparisons, counts, *cohorts, tested, weights.name, factor, unit)
page.answer(**help_box)
page.substitutions(**words.substitutions(data.kind, words.chain_rows(settings, weights.name, unit)))
page.made_of(
    weights=weights.reason, splits=f"five folds of {unit.many}, the same for all inputs; seed {seed}"
)
page.provenance()
