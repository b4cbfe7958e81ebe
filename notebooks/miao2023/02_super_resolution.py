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
# A generative adversarial network that enlarges crops, what it gains over interpolation on cases it has not seen, and
# whether it draws aggregates that are not there ({cite:t}`miao2023`, sections 1.5, 2.1 and 2.2).

# %% tags=["parameters"]
profile = "test"
cohort = (
    "synthetic"  # or a folder whose labels are ALS and one other; for any other cohort of the book, synthetic
)
seed = 0

# %%
import numpy as np

from als_core.book.page import Page
from als_core.studies.miao2023 import figures_crops as figures
from als_core.studies.miao2023 import super_resolution as training
from als_core.studies.miao2023.amounts import CropAmounts
from als_core.studies.miao2023.cohort import grey_crops, is_case, open_crops, truth_and_masks
from als_core.studies.miao2023.filters import trimmed
from als_core.studies.miao2023.splits import HONEST, draw_trials
from als_core.studies.miao2023.synthetic import CropParameters
from als_core.studies.miao2023.train import settle_weights

page = Page("miao2023/02_super_resolution", profile, "Miao et al., sections 2.2.3 and 2.2.4")
amounts = page.profile.amounts("miao2023", CropAmounts)
settings = amounts.super_resolution
data = open_crops(cohort, CropParameters(side=amounts.crop_side))
page.about_cohort(data)
weights = settle_weights(amounts.weights)

# %% [markdown]
# ## What is learnt
#
# The paper names a generative adversarial network, and prints neither its layers nor its loss nor a result. Here the network follows SRGAN (Ledig et al. 2017,
# [arXiv 1609.04802](https://arxiv.org/abs/1609.04802)), small: residual blocks, a pixel-shuffle for each doubling, and bicubic
# interpolation to which it adds what it has learnt. Low-resolution images are means over blocks of pixels, with noise. The aim is the
# noise-free truth where it is known (synthetic crops), else the crop itself.
#
# A generator is first trained on content, the mean squared error. Then it is copied. One copy goes on in the same way; the other
# also has to pass for true before a discriminator. Both get the same patches and the same number of steps.

# %%
crops = np.stack([trimmed(crop, settings.factor) for crop in grey_crops(data)])
truth, masks = truth_and_masks(data)
pairs = training.make_pairs(crops, crops if truth is None else truth, settings, seed)
trial = draw_trials(is_case(data), data.groups, HONEST, seed, repeats=1, copies=amounts.copies)[0]
train, test = (np.unique(part[:, 0]) for part in (trial.train, trial.test))
perceptual = None if weights.name == "random" else training.perceptual_network(weights.name)
trained = training.train_super_resolution(pairs, train, settings, seed, perceptual=perceptual)
page.text(
    f"{len(train)} crops of {len(set(data.groups[train]))} cases are learnt from, {len(test)} crops of {len(set(data.groups[test]))} other cases are held out. "
    f"Enlarged {settings.factor} times, from {pairs.low.shape[2]} to {pairs.high.shape[2]} pixels a side. Residual blocks: {settings.blocks}, channels: {settings.channels}. "
    f"Steps on content: {settings.content_steps}, then with each loss: {settings.further_steps}. "
    + (
        "A perceptual term (VGG16 with ImageNet weights) joins the adversarial one."
        if perceptual
        else "No perceptual term, as there are no ImageNet weights of VGG16 here."
    )
)

# %%
page.figure(
    figures.super_resolution_course(trained.history),
    "miao-gan-course",
    "Losses by step, smoothed. Left: mean squared error of both generators, the same until they part. Right: how well the discriminator tells true from made, and what the generator pays for it.",
    "Two panels of curves by training step: the content loss falls; the adversarial losses stay near the guessing level of ln 2 when neither side wins.",
    trained.history,
)

# %% [markdown]
# ## Held-out crops

# %%
held = truth if truth is not None else crops
made = training.enlargements(pairs, test, settings.factor, trained)
first = np.arange(min(4, len(test)))
page.figure(
    figures.enlargements(
        pairs.low[test[first]],
        {name: images[first] for name, images in made.items()},
        held[test[first]],
        None if masks is None else masks[test[first]],
    ),
    "miao-enlarged",
    f"Held-out crops enlarged {settings.factor} times by each method, and the truth"
    + (" with its aggregates outlined." if masks is not None else "."),
    "Rows of six grey images of one crop each: low resolution, nearest neighbour, bicubic, generator with content loss, generator with adversarial loss, truth.",
    data.samples.loc[test[first], ["path", "label", "group"]],
)

# %% [markdown]
# ## How near to the truth
#
# PSNR and SSIM compare with the truth. Sharpness is the mean squared gradient as a share of the truth's: 1 is as sharp, and noise
# counts as sharp. Intervals resample cases.

# %%
judged = training.judge_restorations(
    made, held[test], None if masks is None else masks[test], data.groups[test]
)
summary = training.summarise(judged, seed)
measures = {"psnr": "PSNR (dB)", "ssim": "SSIM", "sharpness": "Sharpness (truth = 1)"}
of = summary.set_index(["method", "measure"])
page.figure(
    figures.restoration(summary, measures),
    "miao-restoration",
    f"Mean over {len(test)} held-out crops, with 95 % intervals from resampling their {len(set(data.groups[test]))} cases.",
    "Dots with intervals for four methods. "
    + "; ".join(
        f"{figures.METHODS[name]}: "
        + ", ".join(f"{label} {of.loc[(name, measure), 'mean']:.2f}" for measure, label in measures.items())
        for name in made
    )
    + ".",
    summary,
)

# %%
gain = {name: of.loc[(name, "psnr")] for name in ("content", "adversarial")}
words = {
    name: f"{g['gain']:+.2f} dB (95 % interval {g['gain_low']:+.2f} to {g['gain_high']:+.2f})"
    for name, g in gain.items()
}
adversarial, content = of.xs("adversarial")["mean"], of.xs("content")["mean"]
page.text(
    f"**Against bicubic, crop by crop**, the generator trained on content changes PSNR by {words['content']}, the adversarial one by {words['adversarial']}. "
    f"What the adversarial loss alone changes, against as many steps on content: PSNR {adversarial['psnr'] - content['psnr']:+.2f} dB, "
    f"SSIM {adversarial['ssim'] - content['ssim']:+.3f}, sharpness {adversarial['sharpness'] - content['sharpness']:+.2f} of the truth's."
)

# %% [markdown]
# ## Does it invent aggregates?
#
# For a diagnosis this matters more than decibels. The same rule (a Laplacian of Gaussian above a fixed contrast) looks for bright
# compact spots in every image and compares them with the mask. Found: an aggregate with a spot on it. Missed: one without.
# Invented: a spot on no aggregate. Faint specks that are no aggregates lie in every cell, and a generator may turn them into some.

# %%
if masks is not None:
    images = {figures.METHODS[name]: part for name, part in made.items()}
    images = {"Crop as recorded": crops[test], **images, "Truth": truth[test]}
    counted = training.count_all(images, masks[test])
    page.figure(
        figures.aggregate_counts(counted),
        "miao-aggregates",
        f"Aggregates found, missed and invented in the {len(test)} held-out crops, before and after enlarging. The last row is the rule's own error.",
        "Stacked bars, one for each kind of image: "
        + "; ".join(
            f"{row.Index}: {row.found} found, {row.missed} missed, {row.invented} invented"
            for row in counted.itertuples()
        )
        + ".",
        counted.rename_axis("image").reset_index(),
    )
    before, after = counted.loc[figures.METHODS["bicubic"]], counted.loc[figures.METHODS["adversarial"]]
    page.text(
        f"Of {int(before.found + before.missed)} aggregates, {before.found} are seen after bicubic enlarging and {after.found} after the adversarial network; "
        f"spots on no aggregate: {before.invented} before, {after.invented} after, {counted.loc['Truth'].invented} on the truth itself."
    )
else:
    page.text("No mask of aggregates is known for these crops, so what is invented cannot be counted.")

# %%
page.made_of(
    weights=weights.reason, split=f"by case, seed {seed}, {len(test)} of {len(crops)} crops held out"
)
page.provenance()
