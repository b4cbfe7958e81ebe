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
# # Training one network
#
# One network of the tissue study: its recipe, the call that trains it, and all its runs
# ({cite:t}`xia2024`, section 4.6 and Table 3).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0
model = "resnet18"
variant = "paper"  # or "released" (as the published code trains), "no augmentation", "section 4.5.2"

# %%
from als_core.book.page import Page
from als_core.models.cost import describe
from als_core.statistics.metrics import majority_class
from als_core.storage import results_folder
from als_core.studies.xia2024 import figures_benchmark as figures
from als_core.studies.xia2024 import words
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.benchmark import histories
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.recipes import variant_of
from als_core.studies.xia2024.train import (
    parameter_counts,
    split_of,
    tissue_runs,
    tissue_weights,
    training_images,
)
from als_core.training.train import build_network, train_recipe

slug = model.replace("_", "-")
page = Page(f"xia2024/04_train/{model}", profile, words.source_of(variant_of(model, variant)))
page.title(words.training_title(variant_of(model, variant)))
data = open_for_page(page, cohort)

# %% [markdown]
# ## The network and its recipe
#
# A recipe is data: the network, what trains in it, and every hyper-parameter. Stages that do not train are
# frozen: their output for an image never changes, so it is computed once and kept.

# %% tags=["show"]
amounts = page.profile.amounts("tissue_training", TissueAmounts)
recipe = amounts.recipe(model, variant)
network = build_network(recipe, classes=len(data.classes), seed=seed)
stages = describe(network, (1, 3, recipe.side, recipe.side))

# %%
page.table(
    figures.stage_rows(stages),
    f"xia-training-stages-{slug}",
    f"The stages of {recipe.name} for images of {recipe.side} pixels, and what trains.",
)

# %% [markdown]
# ## One run
#
# The images are split by image, 6 : 2 : 2, or 80 : 20 by the protocol of section 4.5.2. Only training images
# are augmented, after the split. The call below trains one seed at the sizes of this book's profile; where
# recorded runs are shown below, it is not among them. `als_core.training.fit` is the loop behind it.

# %% tags=["show"]
split = split_of(variant, data, seed)
weights = tissue_weights(model, amounts)
images = training_images(recipe, data, split, seed)
store = results_folder()
(first,) = train_recipe(
    recipe, data, split, [seed], images,
    weights=weights.name, runs=store / "runs", features=store / "features",
)  # fmt: skip
first.history.tail(3).round(6)

# %% [markdown]
# ## All runs
#
# Where runs were recorded for this cohort, of published size or else of 200 pixels, they are shown;
# elsewhere, all seeds at the sizes of the profile.

# %% tags=["show"]
runs = tissue_runs(model, data, amounts, split=split, seed=seed, variant=variant)

# %%
page.table(
    figures.training_card(runs, weights.reason, parameter_counts(words.recipe_of(runs), len(data.classes))),
    f"xia-training-card-{slug}",
    f"How the runs of {recipe.name} on this page were trained.",
)
page.substitutions(words.substitutions({model: runs}), words.forbids({model: runs}))

# %% [markdown]
# ## Curves
#
# The training part is what the network learns from. The validation part decides which epoch's weights are
# kept, where the recipe keeps the best, and nothing else; the test part is looked at once, with these
# weights.

# %%
truth = data.labels[split.rows("validation")]
commonest = majority_class(data.labels[split.rows("train")], len(data.classes))
kept = [run.about["chosen_epoch"] for run in runs]
majority = (truth == commonest).mean() if len(truth) else None
page.show(figures.training_curves(recipe.name, histories(runs), kept, majority), f"xia-training-{slug}")
page.text(words.curves_words(runs))

# %% [markdown]
# The paper's equation 3 defines the Matthews correlation (MCC) for two classes. For three there are two ways:
# the usual generalisation, and the mean over classes, each against the rest, which the released code
# computes.

# %%
page.table(
    figures.run_rows(runs),
    f"xia-training-runs-{slug}",
    f"The runs of {recipe.name}, one seed each, and how many classes each run predicts at all.",
)

# %% [markdown]
# ## What this means
#
# These accuracies are from a split by image: training, validation and test images can show the same slide
# or donor, so part of what is learnt may be the slide. How the networks compare is on {ref}`xia-benchmark`.
#
# <!-- groups -->
# What is left when whole donors are held out is on {ref}`xia-by-donor`.

# %%
tested = data.labels[split.rows("test")]
page.answer(**words.training_answer(runs, (tested == commonest).mean(), data.unit, data.kind))
page.made_of(
    split=f"{split.name}, seed {seed}",
    weights=words.pretraining(runs[0]),
    training_took=words.seconds_of(runs),
    runs=words.run_names(runs),
)
page.provenance()
