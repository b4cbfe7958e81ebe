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
# Where the evidence of Miniset-DenseSENet lies in an image, for each pair of true and predicted class, and whether it
# lies on the lesion where the lesion is known ({cite:t}`xia2024`, sections 2.3 and 4.7, Fig. 3).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np
import pandas as pd
import torch

from als_core.book.page import Page
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts
from als_core.studies.xia2024 import figures_heatmaps as figures
from als_core.studies.xia2024 import heatmaps
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.train import tissue_runs

page = Page("xia2024/06_grad_cam", profile, "Xia 2024, Fig. 3")
data = open_for_page(page, cohort)
amounts = page.profile.amounts("tissue_training", TissueAmounts)
runs = tissue_runs("miniset_densesenet", data, amounts, seed=seed)

weighted = [
    run for run in runs if not run.recorded
]  # a recorded run has predictions, and no weights to explain
said = heatmaps.tested(weighted or runs)
images, right = said["sample"].nunique(), (said["label"] == said["predicted"]).groupby(said["seed"]).sum()

# %%
page.text(
    f"The maps on this page come from {len(weighted or runs)} runs of {runs[0].title}, started from {runs[0].about['weights']} weights and trained under the "
    f"split by image. Of {images} test images they name {', '.join(map(str, right))} correctly (by run); the largest class holds {said.drop_duplicates('sample')['label'].value_counts().max()}. A map is worth what its network is worth: where that is hardly better than chance, the map shows "
    "what the network computes, and nothing about the tissue."
)

# %% [markdown]
# ## One image for each pair of classes
#
# Grad-CAM (Selvaraju et al. 2017) weighs each map of a layer by the mean slope of the class score with respect to it, adds the maps up
# and keeps what is positive. Section 4.7 takes the last convolutional layer. It can be no finer than that layer: the maps of DenseNet121 have
# one value for each 32 × 32 pixels that the network is given.
#
# The paper does not say how the images of Fig. 3 were chosen. Here a rule chooses them, from the predictions
# alone and before any map is drawn.

# %%
chosen = heatmaps.standing_for_pairs(said)
shown = [data.image(sample) for sample in chosen["sample"]]
lesions = heatmaps.lesion_masks(data, chosen["sample"].tolist())
below = (
    f" Each cell shows {heatmaps.RULE}. Below, the number of cases ({images} test images, {said['run'].nunique()} runs), then file, seed and score."
    + " Lesions are outlined." * any(mask.any() for mask in lesions.values())
)
if weighted:
    heat, places = heatmaps.heat_of_pairs(chosen, weighted, data, "last")
    title = "Miniset-DenseSENet by true and predicted class: images, and heat for the predicted class (Fig. 3 in the paper)."
    layer = (
        f"Heat is from the last convolutional layer, {places[0]} × {places[1]} values, parted by white lines."
    )
    cells = figures.pair_cells(chosen, shown, heat, places, lesions)
    page.show(figures.class_matrix(chosen, cells, data.classes, title, layer + below), "xia-fig3-grad-cam")
else:
    page.text(
        "The runs of this page were made elsewhere and recorded without their weights, so there is no heat to show. The images that would stand in the matrix follow without it."
    )
    title = "Miniset-DenseSENet by true and predicted class: the images of Fig. 3 by the rule of this page, without heat."
    cells = figures.pair_cells(chosen, shown, lesions=lesions)
    page.show(figures.class_matrix(chosen, cells, data.classes, title, below.strip()), "xia-fig3-grad-cam")

# %%
if weighted and min(places) < 6:
    finer, size = heatmaps.heat_of_pairs(chosen, weighted, data, "after se2")
    page.text(
        f"From images of {runs[0].about['recipe']['side']} pixels the last layer makes {places[0]} × {places[1]} values (12 × 12 at the published 400 pixels): too few to say where in an image anything lies. The same cells "
        "follow at an earlier layer, the output of the second gate. Its maps are finer, and farther from the decision."
    )
    title = f"The same images, with the heat for the predicted class at the second gate, {size[0]} × {size[1]} values."
    cells = figures.pair_cells(chosen, shown, finer, size, lesions)
    page.show(figures.class_matrix(chosen, cells, data.classes, title, below.strip()), "xia-fig3-finer")

# %% [markdown]
# ## Does the map come from what was learnt?
#
# A map that stays the same when the head of the network is replaced by noise shows the image and not the
# decision (Adebayo et al. 2018).

# %%
if weighted:
    checks = heatmaps.without_last_layer(said, weighted, data, torch.Generator().manual_seed(seed))
    by_run = checks.groupby("seed")["correlation"].mean()
    alike = (
        f"is {', '.join(f'{value:.2f}' for value in by_run)} (mean over images, by run)"
        if by_run.notna().all()
        else "is not defined for all runs, as maps are constant"
    )
    page.text(
        f"With a head of noise, the correlation of the maps with their own (Spearman, over pixels) {alike}. Near 0 says that a map hangs on what the head has learnt, near 1 that any head would draw it. "
        f"A blank map would say that nothing at the last layer speaks for the class that was predicted; {checks['blank'].sum()} of {len(checks)} are blank."
    )

# %% [markdown]
# ## Does the heat lie on the lesion?
#
# Only where the lesion is known can this be asked. It is known in synthetic tissue, where every pixel that the sign of disease
# changed is in a mask. The heat here is the one for the *true* class. It is compared with what an even map would put on the same
# lesion, with what the same map puts on the lesions of other images (a map that knows nothing of its own
# image does equally well on both), and with a head of noise (heat that lies on lesions without anything learnt follows what
# stands out in the image).

# %%
overlap = (
    heatmaps.lesion_overlap(said, weighted, data, torch.Generator().manual_seed(seed))
    if weighted
    else pd.DataFrame()
)
unit, strangers = ("images", "other images") if data.groups is None else ("donors", "other donors")
if len(overlap):
    means = heatmaps.lesion_means(overlap, np.random.default_rng(seed))
    means[["mean", "low", "high"]] = means[["mean", "low", "high"]].round(2) + 0.0  # no -0.00
    page.show(figures.heat_on_lesions(overlap, means, unit, strangers), "xia-heat-on-lesions")

# %%
if len(overlap):
    own, others, noise, gap = means[means["layer"] == "last"].itertuples()
    verdict = "above 0" if gap.low > 0 else "below 0" if gap.high < 0 else "not told apart from 0"
    better = [row.layer for row in means.itertuples() if row.kind == "difference" and row.low > 0]
    page.text(
        f"**Last layer.** The lesion of an image gets {own.mean:.2f} times the heat of an even map ({own.low:.2f} to {own.high:.2f}), lesions of {strangers} get {others.mean:.2f} times, and with a head of noise it gets {noise.mean:.2f} times. "
        f"The difference is {gap.mean:.2f} ({gap.low:.2f} to {gap.high:.2f}; {gap.images} images, {gap.groups} {unit}): {verdict}.\n\n"
        f"**All layers.** Of the {means['layer'].nunique()} layers, {len(better)} put more heat on the image's own lesion than on others', by an interval that leaves out 0"
        f"{': ' * bool(better)}{', '.join(better)}. Nothing was corrected for looking at several layers. With a head of noise, the lesion gets "
        f"{', '.join(f'{row.mean:.2f} ({row.layer})' for row in means.itertuples() if row.kind == 'noise')} times the heat of an even map."
    )
else:
    page.text(
        f"There is nothing to measure here: {'these images come without lesion masks' if weighted else 'the runs have no weights'}. Whether the heat lies on "
        "pathology is not known from this page, and cannot be read from the pictures by eye."
    )

# %% [markdown]
# ## Grad-CAM on trial
#
# Another page, {ref}`audit-heatmaps`, tries every method of the book on synthetic tissue: against random maps and an untrained network, and by sanity
# checks. This is the line of Grad-CAM on its leaderboard. The network there is the small basic CNN of the benchmark, read at its third block.

# %%
trial_amounts = page.profile.amounts("heatmaps", HeatmapAmounts)
page.table(
    leaderboard.lines_of(["grad_cam"], "Tissue", trial_amounts, seed).drop(
        columns=["On", "Null: atlas only"]
    ),
    "xia-grad-cam-leaderboard",
    "Grad-CAM on the leaderboard for tissue: overlap with the lesion (Dice area, share of the best possible, with its 95 % interval over donors), the overlap of its nulls, and the checks it fails. *Synthetic tissue.*",
    of_cohort=False,
)

# %%
page.made_of(
    split=runs[0].about["split"],
    weights=runs[0].about["weights"],
    runs=", ".join(f"{run.about['key']}{' (recorded)' * run.recorded}" for run in runs),
    images_shown=f"for each pair of classes {heatmaps.RULE}",
)
page.provenance()
