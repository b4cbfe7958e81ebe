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
# (xia-grad-cam)=
# # Grad-CAM
#
# Where a network looks when it names a class ({cite:t}`xia2024`, sections 2.3 and 4.7, Fig. 3), and what can
# be said of whether the map comes from what the network learned.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np
import torch

from als_core.book.page import Page
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts
from als_core.studies.xia2024 import figures_heatmaps as figures
from als_core.studies.xia2024 import heatmaps, words, words_heatmaps
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.cohort import open_for_page

page = Page("xia2024/06_grad_cam", profile, "Xia 2024, Fig. 3")
data = open_for_page(page, cohort)

# %% [markdown]
# ## The runs that are explained
#
# The paper explains Miniset-DenseSENet. Its runs are shown here where heatmaps of it were recorded for this
# cohort; else those of a recorded network with gates, or else of ResNet18, and of published size rather than
# of smaller images. Where nothing is recorded, Miniset-DenseSENet is shown at the sizes of this profile.

# %% tags=["show"]
amounts = page.profile.amounts("tissue_training", TissueAmounts)
runs = heatmaps.explained_runs(data, amounts, seed)
recorded = runs[0].recorded
predicted = heatmaps.tested(runs)
page.text(words_heatmaps.explained_words(runs, predicted))
page.substitutions(words_heatmaps.explained_substitutions(runs), words_heatmaps.EXPLAINED_FORBIDS)

# %% [markdown]
# ## One image for each pair of classes
#
# Grad-CAM (Selvaraju et al. 2017) weighs each feature map of a layer by the mean slope of the class score
# with respect to it, adds the maps up and keeps what is positive. Section 4.7 takes the last convolutional
# layer. A heatmap can be no finer than that layer: one value for each 32 × 32 pixels that the
# network sees.
#
# The paper does not say how the images of Fig. 3 were chosen. Here a rule chooses them, from the predictions
# alone and before any map is drawn. A recorded run did not train on any image that is shown.

# %% tags=["show"]
chosen = heatmaps.examples_of_pairs(predicted)
shown = [data.image(sample) for sample in chosen["sample"]]
lesions = heatmaps.lesion_masks(data, chosen["sample"].tolist())
if recorded:
    heat, places = heatmaps.recorded_heat(chosen, runs)
else:
    heat, places = heatmaps.heat_of_pairs(chosen, runs, data, "last")

# %%
cells = figures.pair_cells(chosen, shown, heat, places, lesions)
title, note = words_heatmaps.matrix_caption(runs, predicted, places, lesions)
page.show(figures.class_matrix(chosen, cells, data.classes, title, note), "xia-fig3-grad-cam")
page.html(figures.heat_to_lay_over(chosen, cells))

# %%
if not recorded and min(places) < 6:
    finer, size = heatmaps.heat_of_pairs(chosen, runs, data, "after se2")
    cells = figures.pair_cells(chosen, shown, finer, size, lesions)
    title, note = words_heatmaps.matrix_caption(runs, predicted, size, lesions, layer="the second gate")
    page.show(figures.class_matrix(chosen, cells, data.classes, title, note), "xia-fig3-finer")

# %% [markdown]
# ## Does the map come from what was learned?
#
# A map that stays the same when the head of the network is replaced by noise shows the image and not the
# decision (Adebayo et al. 2018). This needs a network's weights, which are not kept with recorded runs.

# %%
generator = torch.Generator().manual_seed(seed)
checks = None if recorded else heatmaps.without_last_layer(predicted, runs, data, generator)
page.text(words_heatmaps.sanity_words(checks))

# %% [markdown]
# <!-- not own -->
# ## Does the heat lie on the lesion?
#
# <!-- not own -->
# Only where the lesion is known can this be asked. It is known in synthetic tissue, where every pixel that
# the sign of disease changed is in a mask. The heat for the true class is compared with what an even map
# would put on the same lesion, with what the same map puts on the lesions of other images, and with a head of
# noise.

# %%
means = None
if not recorded:
    generator = torch.Generator().manual_seed(seed)
    overlap = heatmaps.lesion_overlap(predicted, runs, data, generator)
    if len(overlap):
        means = heatmaps.lesion_means(overlap, np.random.default_rng(seed))
        unit = data.unit.many
        page.show(figures.heat_on_lesions(overlap, means, unit, f"other {unit}"), "xia-heat-on-lesions")
        page.text(words_heatmaps.lesion_words(means, unit))
if data.kind != "own" and (recorded or not len(overlap)):
    page.text(words_heatmaps.NO_LESIONS)

# %% [markdown]
# ## Grad-CAM on trial
#
# Another page, {ref}`audit-heatmaps`, tests every method of the book on synthetic tissue: against random maps
# and an untrained network, and by sanity checks. This is the row of Grad-CAM. The network there is the small
# basic CNN of the benchmark, read at its third block.

# %%
trial_amounts = page.profile.amounts("heatmaps", HeatmapAmounts)
row = leaderboard.lines_of(["grad_cam"], "Tissue", trial_amounts, seed)
row = row.drop(columns=["On", "Null: atlas only"])
caption = (
    "Grad-CAM on the leaderboard for synthetic tissue: overlap with the lesion, its nulls, and failed checks."
)
page.table(row, "xia-grad-cam-leaderboard", f"{caption} {leaderboard.COLUMNS}", of_cohort=False)

# %% [markdown]
# ## What this means
#
# A heatmap shows what a network used, not what makes the classes different. Where a network tells classes
# apart by how sharp an image is, its map will be as smooth and as plausible as if it had found their cause.
#
# <!-- not own -->
# Whether heat lies on pathology can be measured only with marked lesions, which the authors' images do not
# have.

# %%
page.answer(**words_heatmaps.heatmap_answer(runs, predicted, places, data.kind, means))
page.made_of(
    split=runs[0].about["split"],
    weights=words.pretraining(runs[0]),
    runs=words.run_names(runs),
    images_shown=heatmaps.RULE,
)
page.provenance()
