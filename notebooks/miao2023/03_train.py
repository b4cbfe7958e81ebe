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
# A classifier trained as the study describes, over its grid of learning rates and batch sizes: on its
# training images, on other crops, and on other cases ({cite:t}`miao2023`, sections 2.4 and 3, Fig. 10 to
# 13, 15 and 16).

# %% tags=["parameters"]
profile = "test"
crops = "synthetic"  # or a folder of crops labelled ALS and one other word
channel = ""  # of images with several: a number from 0, or red, green, blue
seed = 0
model = "mobilenet_v3"  # or vgg16, resnet50

# %%
from als_core.book.page import Page
from als_core.cohorts.group_word import CASE, word_of
from als_core.storage import results_folder
from als_core.studies.miao2023 import audit, figures, protocol, words
from als_core.studies.miao2023 import train as training
from als_core.studies.miao2023.cohort import is_case, open_crops
from als_core.studies.miao2023.networks import CROP_NETWORKS, VARIANTS
from als_core.studies.miao2023.protocol import CropSettings, draw_all_splits, draw_splits, make_pool
from als_core.studies.miao2023.synthetic import CropParameters
from als_core.training.train import found_device

name, slug, printed = CROP_NETWORKS[model].display, model.replace("_", "-"), training.PRINTED[model]
page = Page(f"miao2023/03_train/{model}", profile, printed.source)
page.title(f"Training: {name} ({printed.figures})")
settings = page.profile.amounts("miao2023", CropSettings)
data = open_crops(crops, CropParameters(side=settings.crop_side), channel=channel)
page.about_cohort(data)
unit = word_of(data, CASE)
images, als, cases = data.images(), is_case(data), data.groups
weights, device = training.choose_weights(settings.weights), found_device()

# %% [markdown]
# ## What is trained
#
# The base of the network keeps its weights; a linear layer on the mean of its last maps is trained. Section
# 2.4 prints a split of 70 to 30, 20 epochs, and nothing on optimiser, image size or unit of the split.
# Here: Adam, cross-entropy, and training images multiplied by rotated, shifted and scaled copies until both
# classes are equal (section 2.1). Copies are made after the split, of training crops only.
#
# - *by crop*: 70 to 30 of the crops. Crops of one case can be on both sides.
# - *by case*: 70 to 30 of the cases.
# - *cross-validation*: five folds of cases. Section 4.2 mentions one, without numbers.

# %%
every = draw_all_splits(als, cases, seed, repeats=settings.repeats, copies=settings.copies)
pool = make_pool(images, every, settings.side, seed)
splits = [s for s in every if s.protocol in (protocol.BY_CASE, protocol.BY_CROP, protocol.CROSS_VALIDATED)]
base = training.load_base(model, weights.name, images, settings.side)
features = training.base_features(base, pool, results_folder() / "features", device)
cells = list(dict.fromkeys([*training.GRID, printed.cell]))
heads = training.train_grid(model, cells, features, pool, splits, cases, seed, settings.epochs)

# %% [markdown]
# ## The training log
#
# The paper prints the output of Keras: loss and accuracy of the training images while they are trained on.
# They say nothing about other images. Two losses are marked: of always giving the class shares of Fig. 6,
# and of always giving one half.

# %%
log = training.plotted_log(heads.logs, printed.cell)
page.show(
    figures.training_log(
        log, printed.log(), training.constant_losses(audit.als_share()), name, printed.log_figure, unit
    ),
    f"miao-log-{slug}",
)
by_epoch = log[log["protocol"] == protocol.BY_CROP].groupby("epoch")[["loss", "accuracy"]].mean()
page.text(words.training_log(by_epoch, settings.repeats))

# %% [markdown]
# ## The grid
#
# The captions of the printed grids say test set, the text calls their averages training accuracy. Both are
# below, apart.

# %%
scored = training.score_cells(heads.predictions, heads.logs)
nine = training.nine_cells(scored)
grids = training.accuracy_grids(nine, printed.grid(), printed.grid_figure, unit)
page.show(figures.accuracy_grids(grids, name, settings.repeats, unit), f"miao-grid-{slug}")
caption = f"{name}: every cell under every split; ALS is positive, counts are summed, AUC is averaged."
page.table(training.cell_table(nine, unit), f"miao-cells-{slug}", caption)
page.text(
    words.printed_numbers(
        model,
        audit.means_of_the_grids(),
        audit.cells_that_repeat_another_grid(),
        audit.log_against_a_constant_answer(),
        audit.sizes_behind_the_test_accuracy(),
    )
)

# %% [markdown]
# ## Cases
#
# In the cross-validation every case is tested once, and the scores of its crops are averaged.

# %%
folded = heads.predictions[heads.predictions["protocol"] == protocol.CROSS_VALIDATED]
by_setting = training.nine_cells(training.score_cases(folded))
caption = f"{name}: {unit.many} classified correctly in five folds, with exact 95 % intervals."
page.table(training.case_table(by_setting, unit), f"miao-cases-{slug}", caption)
plotted = training.at_cell(folded, printed.cell)
(right,) = training.score_cases(plotted).to_dict("records")
majority = training.majority_share(als, cases)
page.text(words.cases_right(right, majority, unit))
predictions = training.average_by_case(plotted).drop(columns=training.CELL)
caption = f"{name}: score of ALS of every {unit.one} at the setting the paper plots, from five folds."
page.table(figures.prediction_table(predictions, unit), f"miao-predictions-{slug}", caption)

# %% [markdown]
# ## Training more than the head
#
# Section 1.5 says that pre-trained networks were fine-tuned, and not which layers. *Last block* trains the
# last block of the base with the head; *all layers* is full fine-tuning.

# %%
few = draw_splits(als, cases, protocol.BY_CASE, seed, repeats=1, copies=settings.fine_tuned_copies)
few_pool = make_pool(images, few, settings.side, seed)
options = {"epochs": settings.fine_tuned_epochs, "device": device}
tuned = {
    variant: training.fine_tune(model, variant, weights.name, images, few_pool, few, cases, seed, **options)
    for variant in settings.fine_tuned
}
tuned_rate, tuned_batch = training.FINE_TUNING
setting = f"one split by {unit.one}, learning rate {tuned_rate:g}, batch size {tuned_batch}"
caption = f"{name}: variants that train more than the head; {setting}."
page.table(training.tuned_table(tuned), f"miao-fine-tuned-{slug}", caption)
page.text(words.left_out(settings, VARIANTS))

# %% [markdown]
# ## Published beside regenerated
#
# All numbers that this training regenerates, in one list. Grid cells: training accuracy, split by crop.
# Averages and step counts that follow from other printed numbers are checked in {ref}`audit-numbers`.

# %%
page.claims(printed.claims(by_epoch, nine))

# %% [markdown]
# ## What this means
#
# A network trained long enough fits its training images even if the labels mean nothing; what
# counts are cases that it has not seen, and with so few cases intervals are wide. It does not mean that the
# paper's network is worse or better: its crops are not public.

# %%
last = log[(log["protocol"] == protocol.BY_CROP) & (log["epoch"] == log["epoch"].max())]
page.answer(**words.training_box(data.kind, name, right, last["accuracy"], majority, unit))
page.substitutions(**words.substitutions(data.kind, words.network_rows(settings, weights.name, unit)))
page.made_of(
    weights=weights.reason,
    splits=f"{settings.repeats} by crop, as many by {unit.one}, five folds; seed {seed}",
)
page.provenance()
