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
# # ROC curves, leaks and cost (Fig. 14 and 17)
#
# How well the three networks rank cases they have not seen, how much of a score a leaking split can make,
# what classical methods reach, and what each network costs ({cite:t}`miao2023`, sections 1.5, 3, 4.2 and
# 4.4).

# %% tags=["parameters"]
profile = "test"
crops = "synthetic"  # or a folder of crops labelled ALS and one other word
channel = ""  # of images with several: a number from 0, or red, green, blue
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.claims.published import published_table
from als_core.cohorts.group_word import CASE, word_of
from als_core.statistics.bounds import auc_bounds_of_accuracy
from als_core.storage import results_folder
from als_core.studies.miao2023 import audit, checks, protocol, words
from als_core.studies.miao2023 import figures_roc as figures
from als_core.studies.miao2023 import train as training
from als_core.studies.miao2023.cohort import grey_crops, is_case, open_crops
from als_core.studies.miao2023.networks import cost_table, measure_cost
from als_core.studies.miao2023.protocol import CropSettings, draw_all_splits, make_pool
from als_core.studies.miao2023.synthetic import CropParameters
from als_core.training.train import found_device

source = "Miao et al., Fig. 14 and 17, and results named without numbers"
page = Page("miao2023/04_roc_and_cost", profile, source)
settings = page.profile.amounts("miao2023", CropSettings)
data = open_crops(crops, CropParameters(side=settings.crop_side), channel=channel)
page.about_cohort(data)
unit = word_of(data, CASE)
images, als, cases = data.images(), is_case(data), data.groups
weights, device = training.choose_weights(settings.weights), found_device()

# %% [markdown]
# (miao-roc)=
# ## ROC curves
#
# Each network at the setting whose training the paper prints. Fig. 14 and 17 are pictures; their areas are
# printed in the text, and set beside those of the split by crop, the plainest reading of section 2.4. All
# heads are trained on the same splits.

# %%
splits = draw_all_splits(als, cases, seed, repeats=settings.repeats, copies=settings.copies)
pool = make_pool(images, splits, settings.side, seed)
features, heads = {}, {}
for model, cell in training.PLOTTED.items():
    base = training.load_base(model, weights.name, images, settings.side)
    features[model] = training.base_features(base, pool, results_folder() / "features", device)
    heads[model] = training.train_grid(
        model, [cell], features[model], pool, splits, cases, seed, settings.epochs
    )
predictions, logs = training.gather(heads.values())
scored = training.score_cells(predictions, logs).set_index(["network", "protocol"])
page.show(figures.roc_curves(predictions, training.PLOTTED, scored, unit), "miao-fig14-fig17-roc")
page.html(figures.roc_with_threshold(predictions, "resnet50", unit))
page.claims(training.auc_claims(scored))

# %% [markdown]
# Which accuracy and AUC can one set of scores have together? For a given share of ALS, each accuracy implies
# a lowest possible AUC.

# %%
m1, m8, share = audit.accuracy_against_auc(), audit.difference_of_two_aucs(), audit.als_share()
accuracies = np.linspace(0.6, 1, 201)
least = [auc_bounds_of_accuracy(accuracy, share).least for accuracy in accuracies]
bounds = pd.DataFrame({"accuracy": accuracies, "least_auc": least})
page.show(figures.accuracy_against_auc(bounds, share, m1["least_auc"]), "miao-bound", of_cohort=False)
sizes = audit.cases_in_a_split_by_crop()["test_cases"], audit.sizes_behind_the_test_accuracy()["of_listed"]
page.text(words.incompatible(m1, m8, *sizes))

# %% [markdown]
# (miao-leak)=
# ## What the split does
#
# Section 2.1 names the split first ("After collecting the images, we split them") and the copies after it,
# without saying that this was the order of the steps; section 2.4 splits 70 to 30. The printed shares below
# hint at the other order. Copying first and then splitting is replayed here as one of four ways.

# %%
aucs = training.split_aucs(predictions)
leaking = [s for s in splits if s.protocol == protocol.COPIES_FIRST]
page.show(figures.protocol_aucs(aucs, unit), "miao-protocols")
parts = len(leaking[0].train), len(leaking[0].test)
longer = training.train_longer("vgg16", features["vgg16"], pool, leaking, cases, seed, settings.epochs)
strength = training.follow_feature_strength(predictions, "vgg16", features["vgg16"], pool)
page.text(words.split_order(audit.sizes_behind_the_logged_shares(), audit.steps_of_the_resnet50_log()))
page.text(words.leak(scored, parts, audit.sizes_behind_the_logged_shares()["total"]))
page.text(words.undertrained("vgg16", scored, strength, longer, unit))

# %% [markdown]
# ## Without any sign of disease
#
# The same with one network (MobileNetV3, only its head trained, smaller images, fewer copies) on synthetic
# crops whose labels mean nothing: no disease, but crops in groups that differ in look. How much a leak gives
# depends on the model.
# Any score above chance comes from the split. Chance is measured: groups are held out, and labels are
# permuted across them.

# %%
null = checks.no_signal(settings.no_signal)
moved = checks.shifts(null).set_index("protocol")
page.show(figures.no_signal_aucs(null), "miao-no-signal")
page.text(words.no_signal(null, moved))

# %% [markdown]
# ## Classical methods
#
# Section 4.4 says that deep learning did better than traditional machine learning, without numbers. Here
# four classical methods see the percentiles, sharpness, texture and number of bright spots of a crop, in
# the same five folds of cases.

# %%
folds = [s for s in splits if s.protocol == protocol.CROSS_VALIDATED]
classical = checks.train_classical(checks.classical_features(grey_crops(data)), folds, cases, seed)
tested = pd.concat(
    [predictions[predictions["protocol"] == protocol.CROSS_VALIDATED], classical], ignore_index=True
)
compared = checks.compare_methods(tested)
page.show(figures.case_accuracies(compared, training.majority_share(als, cases), unit), "miao-classical")
page.text(words.classical(compared, unit))

# %% [markdown]
# ## What they cost
#
# Section 1.5 names training time, memory and inference time, section 2.3 sensitivity and specificity. Times
# are of the machine that made this page; memory is counted tensor by tensor and does not depend on it.
# Training time is estimated for as many images as the printed VGG16 log: 20 epochs of 391 images, every image
# through the whole network, batch size 16.

# %%
size = {"side": settings.side, "batch": 16, "repeats": settings.timing_repeats, "device": device}
variants = ("frozen base", *settings.fine_tuned)
costs = pd.DataFrame([measure_cost(m, variant=v, **size) for m in training.PLOTTED for v in variants])
steps = training.EPOCHS * -(-audit.sizes_behind_the_logged_shares()["total"] // size["batch"])
caption = "Cost of the three networks on images of {side} × {side} pixels, batches of {batch}, on {device}."
page.table(cost_table(costs, steps), "miao-cost", caption.format(**size))
announced = audit.announced_table(published_table("miao2023_promised_not_reported"))
caption = "What the paper names or describes, what it prints of it, and where this book has its own."
page.table(announced, "miao-announced", caption, of_cohort=False)
page.text(words.announced(audit.announced_results_and_time(), announced))

# %% [markdown]
# ## What this means
#
# Split by case, copy afterwards, and print counts: then nobody has to ask which images a number is of. It
# does not mean that the study's networks do not work. Arithmetic shows that two printed numbers are not of
# one network on one test set, and a null shows what a leak could add; neither shows what the study did.

# %%
page.answer(**words.roc_box(m1, moved, m8, *sizes, share))
page.substitutions(**words.substitutions(data.kind, words.network_rows(settings, weights.name, unit)))
said = f"{settings.repeats} of each kind, five folds of {unit.many}, seed {seed}"
page.made_of(weights=weights.reason, splits=said, device=device.type)
page.provenance()
