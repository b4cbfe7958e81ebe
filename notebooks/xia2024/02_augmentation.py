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
# (xia-augmentation)=
# # Augmentation
#
# The nine ways in which the training images are multiplied, the two that were set aside, and what each does
# to image quality ({cite:t}`xia2024`, sections 3 and 4.4, Fig. 5, Table 2).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np

from als_core.book.page import Page
from als_core.cohorts.quality import quality_table
from als_core.cohorts.splits import PARTS
from als_core.studies.xia2024 import figures_augmentation as figures
from als_core.studies.xia2024.augmentation import AUGMENTATIONS, FIGURE_5
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.figures_data import stand_ins
from als_core.studies.xia2024.splits import augmented_training_set, published_split

page = Page("xia2024/02_augmentation", profile, "Xia 2024, Fig. 5, Table 2")
data = open_for_page(page, cohort)
page.substitutions(*stand_ins(data))
split = published_split(data, seed)

# %% [markdown]
# ## Nine augmentations
#
# With few images a network learns them by heart. Altered copies make that harder: a mirrored or turned
# image is still an image of the same class. Only images of the training part are augmented, after the
# split, so that no copy of a test image is ever trained on.
#
# Denoising and noise can hardly be seen at this size; the last two pictures show what they change, ten
# times as large, on mid-grey.

# %%
row = int(split.rows("train")[0])
original, path = data.image(row), data.samples["path"][row]
augmented = figures.augment_each(original, FIGURE_5, np.random.default_rng(seed))
page.show(figures.augmentation_gallery(original, augmented, path), "xia-fig5-augmentations")
page.html(figures.gallery_to_compare(original, augmented))

# %% [markdown]
# Section 3 of the paper lists two more, which it sets aside: making the image brighter, and equalising its
# contrast after denoising.

# %%
aside = figures.augment_each(original, figures.set_aside(), np.random.default_rng(seed))
page.show(figures.augmentation_gallery(original, aside, path), "xia-set-aside")

# %% [markdown]
# ## Constants
#
# Section 4.4 names the methods. Of their constants it prints one, the 90 degrees of the rotation; the
# others are those of the authors' released code, unless the table says otherwise. Lengths are shares of the
# side of the image, so that a smaller copy of an image keeps the same field.

# %%
caption = "Augmentations, the constants used here, and where these come from."
page.table(figures.constants_table(), "xia-augmentation-constants", caption)

# %% [markdown]
# ## How many training images that makes
#
# Table 2 of the paper lists the augmented set. Its training cell counts the copies without the originals;
# its size counts both, and leaves out the validation and test images, which are not augmented.

# %%
training = augmented_training_set(data, split, seed=seed)
sizes = {part: len(split.rows(part)) for part in PARTS}
page.claims(figures.training_claims(sizes, len(training.images)))

# %% [markdown]
# ## What augmentation does to image quality
#
# The four quality measures of every original and of every augmented copy in the training set.

# %%
titles = {entry.name: entry.title for entry in AUGMENTATIONS.values()}
names = training.index["augmentation"].map(lambda name: titles.get(name, name))
quality = quality_table(training.images).assign(augmentation=names.to_numpy())
page.show(figures.quality_by_augmentation(quality), "xia-quality-by-augmentation")

# %%
changes = figures.quality_changes(quality)
page.text(figures.quality_change_words(changes))

# %% [markdown]
# ## What this means
#
# The copies differ from their originals in sharpness and contrast, by which classes can differ as well
# ({ref}`xia-cohort`). That may be a merit: a network that sees each image at several
# degrees of sharpness can rely on sharpness less. Whether it does so is a matter of training, which this
# page does not do.
#
# It does not mean that there are more data. Ten copies of an image come from one image.
#
# <!-- groups -->
# That image is of one donor, and results stay as uncertain as the number of donors makes them.

# %%
total = len(training.images)
page.answer(**figures.augmentation_answer(changes, sizes["train"], total, data.unit, data.kind))
page.made_of(split=f"{split.name}, seed {seed}", augmented_set=training.key)
page.provenance()
