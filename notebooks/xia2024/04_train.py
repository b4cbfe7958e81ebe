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
# How one of the six networks of the tissue study was trained, with all its runs
# ({cite:t}`xia2024`, section 4.6 and Table 3). There is such a page for each network.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0
model = "resnet18"

# %%
from als_core.book.page import Page
from als_core.statistics.baselines import majority_class
from als_core.studies.xia2024 import figures_benchmark as figures
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.benchmark import histories
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.train import parameter_counts, tissue_runs, tissue_weights
from als_core.training.recipe import ADDED_RECIPES, RECIPES

page = Page("xia2024/04_train" + f"/{model}", profile, "Xia 2024, section 4.6, Table 3")
page.title(f"Training: {(RECIPES | ADDED_RECIPES)[model].name}")
data = open_for_page(page, cohort)
amounts = page.profile.amounts("tissue_training", TissueAmounts)
recipe, weights = amounts.recipe(model), tissue_weights(model, amounts)
split = published_split(data, seed)
runs = tissue_runs(model, data, amounts, split=split, seed=seed)
slug = model.replace("_", "-")

# %%
page.text("## The recipe")
page.table(
    figures.training_card(runs, weights.reason, parameter_counts(recipe, len(data.classes))),
    f"xia-training-card-{slug}",
    f"How {recipe.name} was trained on this page. Where the recipe names two numbers, the second is the paper's.",
)

# %% [markdown]
# ## Curves
#
# The training part is what the network learns from. The validation part decides which epoch's weights are kept, and
# nothing else; the test part is looked at once, with these weights.

# %%
curves = histories(runs)
truth = data.labels[split.rows("validation")]
majority = (truth == majority_class(data.labels[split.rows("train")], len(data.classes))).mean()
kept = [run.about["chosen_epoch"] for run in runs]
best = [run.history["validation_accuracy"].max() for run in runs]
page.figure(
    figures.training_curves(curves, kept, majority),
    f"xia-training-{slug}",
    f"{recipe.name}: loss and accuracy by epoch for {len(runs)} seeds on one split. The dot is the epoch whose weights are kept, the dashed line the share of the validation images that the commonest training class gets right.",
    f"Two panels of curves over {recipe.epochs} epochs for {len(runs)} runs. Best validation accuracy by run: {', '.join(f'{value:.0%}' for value in best)}, in epoch {', '.join(map(str, kept))}; the majority class gets {majority:.0%}. Training accuracy of the last epoch: {', '.join(f'{run.history.train_accuracy.iloc[-1]:.0%}' for run in runs)}.",
    curves,
)

# %%
page.table(
    figures.run_rows(runs),
    f"xia-training-runs-{slug}",
    f"The runs of {recipe.name}: one split, one seed a run. A run that answers fewer classes than there are has not learnt to tell them apart.",
)

# %%
past = sum(value > majority for value in best)
last = [run.history.iloc[-1] for run in runs]
gap = max(each["train_accuracy"] - each["validation_accuracy"] for each in last)
page.text(
    f"**{past} of {len(runs)} runs got past the majority class** on the validation part ({majority:.0%}). "
    f"In the last epoch training accuracy is ahead of validation accuracy by up to {100 * gap:.0f} points. "
    "The curves are from the split by image: training, validation and test images can show one slide. "
    "How the six networks compare is on the page {ref}`xia-benchmark`, and what is left when donors are kept apart is on "
    "the page {ref}`xia-by-donor`."
)

# %%
page.made_of(
    split=f"{split.name}, seed {seed}",
    weights=weights.name,
    training_took=f"{max(run.about['seconds'] for run in runs):.0f} s for {len(runs)} runs",
    runs=", ".join(f"{run.about['key']}{' (recorded)' * run.recorded}" for run in runs),
)
page.provenance()
