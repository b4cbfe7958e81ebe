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
# # One network, nine settings
#
# A classifier trained as the study describes, over its grid of learning rates and batch sizes, beside the printed log and grid; judged on
# training images, on other crops, and on other cases ({cite:t}`miao2023`, sections 2.4 and 3, Fig. 10 to 13, 15 and 16).

# %% tags=["parameters"]
profile = "test"
cohort = (
    "synthetic"  # or a folder whose labels are ALS and one other; for any other cohort of the book, synthetic
)
seed = 0
model = "mobilenet_v3"  # or vgg16, resnet50

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.storage import results_folder
from als_core.studies.miao2023 import audit, scores
from als_core.studies.miao2023 import figures_training as figures
from als_core.studies.miao2023 import train as training
from als_core.studies.miao2023.amounts import CropAmounts
from als_core.studies.miao2023.cohort import is_case, open_crops
from als_core.studies.miao2023.networks import CROP_NETWORKS
from als_core.studies.miao2023.splits import FOLDED, HONEST, PUBLISHED, draw_trials, every_trial, make_pool
from als_core.studies.miao2023.synthetic import CropParameters
from als_core.training.train import found_device

name, printed_name = CROP_NETWORKS[model].display, {"mobilenet_v3": "mobile_net_v3"}.get(model, model)
log_figure, grid_figure = {"vgg16": (10, 11), "resnet50": (12, 13), "mobilenet_v3": (16, 15)}[model]
slug, plotted = model.replace("_", "-"), training.PLOTTED[model]
page = Page(
    f"miao2023/03_train/{model}",
    profile,
    f"Miao et al., Fig. {min(log_figure, grid_figure)} and {max(log_figure, grid_figure)}",
)
amounts = page.profile.amounts("miao2023", CropAmounts)
data = open_crops(cohort, CropParameters(side=amounts.crop_side))
page.title(f"Training: {name}")
page.about_cohort(data)
images, als, cases = data.images(), is_case(data), data.groups
weights, device = training.settle_weights(amounts.weights), found_device()

# %% [markdown]
# ## What is trained
#
# The base of the network keeps its weights; a linear layer on the mean of its last maps learns. Section 2.4 prints a split
# of 70 to 30, 20 epochs, and nothing on optimiser, image size or unit of the split. Here: Adam, cross-entropy, and training images
# multiplied by turned, shifted and scaled copies until both classes are equal (section 2.1). Copies are made after the
# split, of training crops only.
#
# - *by crop*: 70 to 30 of the crops. Crops of one case can stand on both sides.
# - *by case*: 70 to 30 of the cases.
# - *cross-validation*: five folds of cases. Section 4.2 mentions one, without numbers.

# %%
every = every_trial(als, cases, seed, repeats=amounts.repeats, copies=amounts.copies)
pool = make_pool(
    images, every, amounts.side, seed
)  # of all protocols: the page on leaks uses the same features
cells = list(dict.fromkeys([*training.GRID, plotted]))
trials = [t for t in every if t.protocol in (HONEST, PUBLISHED, FOLDED)]
trained = training.train_network(
    model, cells, images, pool, trials, cases, seed, weights=weights.name, epochs=amounts.epochs, features=results_folder() / "features", device=device
)  # fmt: skip
page.text(
    f"**{name}**, {amounts.side} pixels a side. {weights.reason} {len(trials)} heads for each of {len(cells)} settings, on {len(trials[0].train)} images each; "
    f"{amounts.repeats} random splits by crop and by case."
)

# %% [markdown]
# ## The course of training
#
# The paper prints what Keras prints: loss and accuracy of the training images while they are being learnt from. They say nothing of
# other images. Two losses are marked: of always giving the class shares of Fig. 6, and of giving one half.

# %%
rate, batch = plotted
course = trained.logs[(trained.logs["learning_rate"] == rate) & (trained.logs["batch_size"] == batch)]
course = course[course["protocol"].isin([PUBLISHED, HONEST])]
printed = (
    None
    if log_figure == 16
    else audit.log(log_figure).astype({"epoch": int, "loss": float, "accuracy": float})
)
entropy = audit.log_against_a_constant_answer()["entropy"]
page.figure(
    figures.training_log(
        course, printed, {f"class shares, {entropy:.3f}": entropy, "one half, 0.693": np.log(2)}
    ),
    f"miao-log-{slug}",
    f"Training log of {name} at learning rate {rate:g}, batch size {batch}: here (each split thin, mean thick)"
    + (
        f" and as printed in Fig. {log_figure}."
        if printed is not None
        else ". Fig. 16 is a picture without numbers."
    ),
    f"Loss and accuracy by epoch. After the last epoch here: loss {course.query('epoch == epoch.max()')['loss'].mean():.3f}, accuracy {course.query('epoch == epoch.max()')['accuracy'].mean():.3f}.",
    course,
)

# %%
mean = course[course["protocol"] == PUBLISHED].groupby("epoch")[["loss", "accuracy"]].mean()
claims = {f"miao2023.section3.{printed_name}.loss": mean["loss"].iloc[-1]}
if model == "mobilenet_v3":
    lowest = mean["loss"].idxmin()
    claims["miao2023.fig16.mobile_net_v3.loss_rises_after"] = lowest if lowest < amounts.epochs else None
else:
    claims[f"miao2023.fig{log_figure}.steps_per_epoch"] = {
        10: -(-audit.sizes_behind_the_logged_shares()["total"] // 256),
        12: audit.steps_of_the_resnet50_log()["steps_needed"],
    }[log_figure]
    claims |= {
        f"miao2023.fig{log_figure}.epoch{epoch}.{column}": value
        for epoch, row in mean.iterrows()
        for column, value in row.items()
    }
if model == "vgg16":
    claims["miao2023.section2_4.vgg16.accuracy"] = 100 * mean["accuracy"].iloc[-1]
page.claims(claims)

# %% [markdown]
# ## The grid
#
# The captions of the printed grids say test set, the text calls their averages training accuracy. Below are both, apart.

# %%
scored = scores.score_cells(trained.predictions, trained.logs)
nine = scored[
    [cell in training.GRID for cell in zip(scored["learning_rate"], scored["batch_size"], strict=True)]
]
by = {
    p: part.pivot(index="batch_size", columns="learning_rate")[::-1] for p, part in nine.groupby("protocol")
}
original = audit.grid(printed_name).astype({"accuracy": float, "batch_size": int, "learning_rate": float})
grids = {
    f"Printed, Fig. {grid_figure}": original.pivot(
        index="batch_size", columns="learning_rate", values="accuracy"
    )[::-1],
    "Here: training images": by[PUBLISHED]["train_accuracy"],
    "Here: other crops": by[PUBLISHED]["accuracy"],
    "Here: other cases": by[HONEST]["accuracy"],
}
page.figure(
    figures.accuracy_grids(grids),
    f"miao-grid-{slug}",
    f"Accuracy of {name} over nine settings: as printed, and here on the images learnt from (last epoch), on crops held out, and on cases held out; means of {amounts.repeats} splits.",
    "Four grids of three by three accuracies. Means: "
    + ", ".join(f"{title.lower()} {grid.to_numpy().mean():.3f}" for title, grid in grids.items())
    + ".",
    nine,
)

# %%
columns = {"protocol": "Split", "batch_size": "Batch", "learning_rate": "Learning rate", "train_accuracy": "Training accuracy", "accuracy": "Test accuracy", "precision": "Precision", "sensitivity": "Sensitivity", "specificity": "Specificity", "auc": "AUC", "tp": "TP", "fn": "FN", "fp": "FP", "tn": "TN"}  # fmt: skip
as_text = {"learning_rate": nine["learning_rate"].map("{:g}".format)}
page.table(
    nine.round(3).assign(**as_text)[list(columns)].rename(columns=columns),
    f"miao-cells-{slug}",
    f"{name}: every cell under every split. ALS is positive; counts are of all test images of all splits together, AUC is the mean over splits.",
)
page.claims(
    {
        f"miao2023.fig{grid_figure}.lr{f'{lr:g}'.replace('.', '_')}.batch{size}.accuracy": value
        for (size, lr), value in by[PUBLISHED]["train_accuracy"].stack().items()
    }
    | {f"miao2023.section3.{printed_name}.average_accuracy": audit.means_of_the_grids()[printed_name]}
)

# %%
m2, m3, m4, m5 = (
    audit.means_of_the_grids(),
    audit.cells_that_repeat_another_grid(),
    audit.log_against_a_constant_answer(),
    audit.sizes_behind_the_test_accuracy(),
)
page.text({
    "vgg16": f"**The printed VGG16 numbers are those of a network that gives the class shares.** Always answering ALS is right for {m4['majority_percent']:.2f}% of the listed crops and always giving this share has a loss of {m4['entropy']:.4f}; the last ten printed losses average {m4['last_ten']:.4f}, the nine cells {m2['vgg16']:.2f}%. With equal classes these would be 50% and {m4['balanced_entropy']:.3f}.",
    "resnet50": f"**0.9925 is the last line of the printed training log, and stands in the grid as a test accuracy.** The text's average, 98.59%, is the mean of the nine cells ({m2['resnet50']:.2f}%). Why 0.9925 cannot be a test accuracy beside an AUC of 0.73 is on the page {{ref}}`miao-roc`.",
    "mobilenet_v3": f"**{m3['equal']} of the {m3['cells']} printed cells equal those of ResNet50 in Fig. 13** to four decimals (chance {m3['chance']:.0e} for independent tables); the other {m3['left_cells']} are all {m3['left']:.4f}. The text's average, 95.24%, is this row; the nine cells average {m2['mobile_net_v3']:.2f}%. A test accuracy of 70.34% is {m5['count']} of {m5['least_size']} and no share of fewer images, while 30% of the crops are {m5['of_listed']}; always answering ALS reaches {m5['majority_percent']:.2f}%.",
}[model])  # fmt: skip

# %% [markdown]
# ## Cases, and the last block
#
# In the cross-validation every case is tested once, and its crops answer together. The variant *last block* trains the last block of
# the base with the head.

# %%
folded = scores.score_cases(trained.predictions[trained.predictions["protocol"] == FOLDED])
picked = folded[(folded["learning_rate"] == rate) & (folded["batch_size"] == batch)].iloc[0]
majority = max(share := pd.Series(als).groupby(cases).first().mean(), 1 - share)
few = draw_trials(als, cases, HONEST, seed, repeats=1, copies=amounts.last_block_copies)
block = training.train_last_block(
    model, weights.name, images, (1e-4, 16), make_pool(images, few, amounts.side, seed), few, cases, seed, epochs=amounts.last_block_epochs, device=device
)  # fmt: skip
deep = scores.score_cells(block.predictions, block.logs).iloc[0]
columns |= {"cases": "Cases", "right": "Right", "accuracy": "Accuracy", "low": "Low", "high": "High"}
shown = folded[
    [cell in training.GRID for cell in zip(folded["learning_rate"], folded["batch_size"], strict=True)]
]
shown = shown.round(3).assign(learning_rate=shown["learning_rate"].map("{:g}".format))
order = [
    "batch_size",
    "learning_rate",
    "cases",
    "right",
    "accuracy",
    "low",
    "high",
    "sensitivity",
    "specificity",
    "auc",
]
page.table(
    shown[order].rename(columns=columns),
    f"miao-cases-{slug}",
    f"{name}: cases in five-fold cross-validation, with exact 95 % intervals of the accuracy.",
)
page.text(
    f"At the printed setting, {picked['right']} of {picked['cases']} cases are answered rightly ({picked['accuracy']:.0%}; 95 % interval {picked['low']:.0%} to {picked['high']:.0%}); "
    f"always giving the commoner label is right for {majority:.0%}. "
    f"With the last block trained too (epochs: {amounts.last_block_epochs}, learning rate 0.0001, batch size 16, one split by case): training accuracy {deep['train_accuracy']:.2f}, accuracy on {deep['tp'] + deep['fn'] + deep['fp'] + deep['tn']:.0f} other crops {deep['accuracy']:.2f}."
)

# %%
page.made_of(
    weights=weights.reason,
    splits=f"{amounts.repeats} by crop, {amounts.repeats} by case, five folds of cases, seed {seed}",
)
page.provenance()
