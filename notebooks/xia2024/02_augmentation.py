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
# The nine ways in which the training images are multiplied, the two that were set aside, and what each does to
# image quality ({cite:t}`xia2024`, sections 3 and 4.4, Fig. 5, Table 2).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.quality import AXIS_LABELS, quality_table
from als_core.studies.xia2024 import figures_augmentation as figures
from als_core.studies.xia2024.augmentation import AUGMENTATIONS, FIGURE_5
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.splits import augmented_training_set, published_split

page = Page("xia2024/02_augmentation", profile, "Xia 2024, Fig. 5, Table 2")
data = open_for_page(page, cohort)
split = published_split(data, seed)

# %% [markdown]
# ## The nine, and the two set aside
#
# Only images of the training part are augmented, after the split. The paper names the methods without their constants; the
# table says where each constant is from.

# %%
rng = np.random.default_rng(seed)
row = int(split.rows("train")[0])
original = data.image(row)
made = {
    entry.name: entry(original, rng) if entry.random else entry(original) for entry in AUGMENTATIONS.values()
}
shown = {f"({AUGMENTATIONS[name].panel}) {AUGMENTATIONS[name].title}": made[name] for name in FIGURE_5}
aside = {
    entry.title: made[entry.name] for entry in AUGMENTATIONS.values() if entry.status.startswith("set aside")
}

page.figure(
    figures.augmentation_gallery(original, shown),
    "xia-fig5-augmentations",
    f"One training image (`{data.samples['path'][row]}`) and its nine augmented copies, in the order of the panels of Fig. 5.",
    "An original micrograph above a three by three grid of its augmented copies: " + ", ".join(shown) + ".",
    pd.DataFrame({"panel": list(shown), "augmentation": FIGURE_5}),
)

# %%
page.figure(
    figures.augmentation_gallery(original, aside),
    "xia-set-aside",
    "The same image under the two methods that section 3 of the paper sets aside: they were listed, and not used.",
    "An original micrograph above two altered copies: " + ", ".join(aside) + ".",
    pd.DataFrame({"method": list(aside)}),
)

# %%
constants = pd.DataFrame(
    {
        "Method": [entry.title for entry in AUGMENTATIONS.values()],
        "Panel": [entry.panel or "" for entry in AUGMENTATIONS.values()],
        "Status": [entry.status for entry in AUGMENTATIONS.values()],
        "Constants": [
            ", ".join(f"{key} {value:g}" for key, value in entry.constants.items())
            for entry in AUGMENTATIONS.values()
        ],
    }
)
page.table(
    constants,
    "xia-augmentation-constants",
    "Augmentations and the constants used here; shifts and borders are shares of the side.",
)

# %% [markdown]
# ## How many training images that makes

# %%
training = augmented_training_set(data, split, seed)
page.claims(
    {
        "xia2024.section4_2_1.augmentations.count": len(FIGURE_5),
        "xia2024.table2.augmented.train": len(training.images) - len(split.rows("train")),
        "xia2024.table2.augmented.size": len(training.images),
        "xia2024.section4_6.training_set.images": len(training.images),
    }
)

# %% [markdown]
# ## What augmentation does to image quality
#
# The four quality measures of every original and every augmented copy in the training set.

# %%
titles = {entry.name: entry.title for entry in AUGMENTATIONS.values()}
quality = quality_table(training.images).assign(
    augmentation=training.index["augmentation"].map(lambda name: titles.get(name, name)).to_numpy()
)
medians = quality.groupby("augmentation", sort=False)[list(AXIS_LABELS)].median()
page.figure(
    figures.quality_by_augmentation(quality),
    "xia-quality-by-augmentation",
    "Quality of the training images before (grey) and after each augmentation: median, quartiles, and whiskers from 5 to 95 percent; the dashed line is the median of the originals.",
    "Four panels of box plots, one box for the originals and one for each augmentation. Median Laplacian variance: "
    + ", ".join(f"{name} {value:.0f}" for name, value in medians["laplacian_variance"].items())
    + ".",
    quality,
)

# %%
sharp = medians["laplacian_variance"] / medians["laplacian_variance"]["original"]
page.text(
    f"Taking the median, {sharp.idxmax().lower()} raises the Laplacian variance most ({sharp.max():.1f} times the originals'), and {sharp.idxmin().lower()} lowers it most "
    f"({sharp.min():.2f} times). Turning and mirroring leave brightness, contrast and signal-to-noise as they were, as they must."
)

# %%
page.made_of(split=f"{split.name}, seed {seed}", augmented_set=training.key)
page.provenance()
