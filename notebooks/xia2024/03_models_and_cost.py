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
# (xia-models)=
# # Six networks and what they cost
#
# What the six networks of the tissue study are made of, which parts of them train, and what one image costs
# ({cite:t}`xia2024`, sections 4.5 and 4.6, Fig. 6, Tables 1 and 3).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"

# %%
from itertools import product

import torch

from als_core.book.page import Page
from als_core.claims.printed import agrees_as_printed
from als_core.claims.published import claim_named
from als_core.models.cost import cost, describe
from als_core.studies.xia2024 import figures_networks as figures
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.build import COUNTED, build_tissue_network
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.recipes import OF_PAPER, PRINTED, RECIPES, RELEASED, RELEASED_VARIANT
from als_core.studies.xia2024.recovered import Gates, gates_that_fit, gates_tried, sides_that_fit
from als_core.studies.xia2024.synthetic import TissueParameters

page = Page("xia2024/03_models_and_cost", profile, "Xia 2024, Fig. 6, Table 1, Table 3")

# %% [markdown]
# ## The networks, drawn from their modules
#
# The drawings are made from the modules that this book trains, not by hand. Each network comes in two
# variants: *as printed* follows the text of the paper, *as released* the code that was published with it,
# which was read and not run. The paper prints neither widths nor the reduction inside the gates; the values
# drawn here were recovered from the printed costs (see below).

# %%
shape = (1, 3, 400, 400)
stages = {}
for name, variant in product(OF_PAPER, (PRINTED, RELEASED_VARIANT)):
    with torch.device("meta"):  # shapes without values: counting needs no more
        network = build_tissue_network(name, variant=variant, seed=0)
    table = describe(network, shape)
    stages[RECIPES[name].name, variant] = table.assign(active=table["stage"].isin(network.active))

# %% [markdown]
# A squeeze-and-excitation gate weighs each feature map of a layer by a number between 0 and 1, which it
# computes from the means of all maps.

# %%
with torch.device("meta"):
    gated = build_tissue_network("miniset_densesenet", seed=0)
first = next(name for name, _ in gated.stages.named_children() if name.startswith("se"))
maps = stages["Miniset-DenseSENet", PRINTED].set_index("stage")["output_shape"][first]
steps = describe(gated.stages.get_submodule(first).gate, maps)
page.show(figures.gate_drawing(steps, maps, f"{first} of Miniset-DenseSENet"), "xia-fig6-se")

# %% [markdown]
# **How to read the drawings.** Read from the image at the top to the class scores at the bottom. A shape is
# as wide as its feature maps are large (on a logarithmic scale); gates have round ends. The number in a
# shape counts its parameters. At the right is the size of a stage's output for an image of 400 × 400
# pixels. BN is batch norm, /2 a stride of 2, and 64-4-64 a gate that reduces 64 channels to 4.
#
# **Frozen** stages keep the weights of their pretraining; blue stages change while the network trains.
# Batch norm divides feature maps by their spread, and there are two sources for it: the stored spread of
# the pretraining images, or the spread within the batch that is being trained on. A stage that is frozen
# and *in training mode* keeps its weights, yet takes the spread of the batch, so its output depends on
# which images share a batch, and it is drawn with a dashed outline.

# %%
drawings = {
    "xia-fig6-basic-cnn": "The basic CNN, stage by stage (Fig. 6 (2) in the paper).",
    "xia-fig6-densenet": "DenseNet121 without and with gates (Fig. 6 (3) in the paper).",
    "xia-resnets": "ResNet18 and its two variants with gates, which the paper does not draw.",
}
shown = [("Basic CNN",), ("DenseNet121", "Miniset-DenseSENet"), ("ResNet18", "ResNet18+SE", "ResNet18+CBAM")]
for (name, caption), networks in zip(drawings.items(), shown, strict=True):
    chosen = {key: table for key, table in stages.items() if key[0] in networks}
    page.show(figures.stage_drawing(chosen, shape, caption), name)

# %% [markdown]
# ## FLOPs and parameters
#
# Table 1 prints two costs of each network. They are counted here, live. The printed FLOPs are
# *multiply-accumulates* as the package `thop` counts them for one image of 400 × 400 pixels: one for each
# product in a convolution or a linear layer, four for each value that enters a batch norm, and about one
# for each value that enters an average pooling; biases, ReLU, maximum pooling and sigmoid are free. The
# printed row of the basic CNN covers its three blocks without the head.
#
# Beside them are the exact multiply-accumulates (MACs) of convolutions and matrix products alone. Counting
# a multiplication and an addition as two operations gives twice that number.

# %%
counted = {RECIPES[name].name: stages_counted for name, stages_counted in COUNTED.items()}
caption = (
    "What one image of 400 × 400 pixels costs, and how many parameters there are and train (three classes)."
)
page.table(figures.cost_table(stages, counted), "xia-cost", caption)
cells = {}
for name, cell in product(OF_PAPER, ("flops", "params")):
    table = stages[RECIPES[name].name, PRINTED].set_index("stage")
    covered = table.loc[list(COUNTED.get(name, table.index))]
    cells[f"xia2024.table1.{name}.{cell}"] = covered[figures.COST_COLUMNS[cell]].sum()
page.claims(cells)

# %% [markdown]
# ## Recovered, not known
#
# A network that costs what the paper prints need not be the paper's network: others cost the same, to the
# printed precision.

# %%
plain = stages["DenseNet121", PRINTED].set_index("stage")
channels = figures.gate_places(plain["output_shape"])
parameters = int(plain["parameters"].sum())
printed = claim_named("xia2024.table1.miniset_densesenet.params").printed
tried = gates_tried(channels)
fitting = gates_that_fit(tried, channels, parameters, printed)
transitions = Gates(("transition1", "transition2", "transition3"), 4)
one_weight = parameters + sum(channels[f"block{number}"] for number in (1, 2, 3))
sides = sides_that_fit(("basic_cnn", "resnet18", "densenet121"), range(396, 402))
found = (len(channels), len(tried), len(fitting), transitions in fitting, one_weight, printed)
page.text(figures.recovered_words(sides, *found))

# %% [markdown]
# ## Hyper-parameters, and where the paper and the released code differ
#
# A recipe of this book starts from Table 3 of the paper, so none of its numbers can be a result. Section
# 4.5.2 gives other numbers for Miniset-DenseSENet; the book follows Table 3.
#
# Section 4.6 freezes the pretrained parts of the networks, all of them except the last two modules of
# ResNet18+CBAM. The released code freezes nothing in ResNet18, DenseNet121 and Miniset-DenseSENet, and the
# whole backbone of ResNet18+CBAM. Its basic CNN creates its head after its optimiser, so that the head
# keeps its random initial values. This book trains the networks as printed unless a page says otherwise; the
# notebook `04_train` trains any of them as released with `-p variant released`.

# %%
caption = "Hyper-parameters of the six recipes (Table 3 in the paper)."
page.table(figures.hyper_parameters(RECIPES[name] for name in OF_PAPER), "xia-table3", caption)
page.claims(figures.hyper_parameter_claims({name: RECIPES[name] for name in OF_PAPER}))
caption = "What trains, and the share of values that dropout sets to zero, in each variant of each network."
page.table(figures.variants_table(stages), "xia-published-released", caption)
caption = f"The other settings in which the variants differ. {figures.SETTINGS}"
page.table(
    figures.settings_that_differ({name: RECIPES[name] for name in OF_PAPER}, RELEASED),
    "xia-released-settings",
    caption,
)

# %% [markdown]
# ## What this means
#
# Built for 400 × 400 pixels, the networks of this book have the sizes and costs that the paper prints. Runs
# on smaller images (last table) cost less, and the head of the Basic CNN is then smaller. FLOPs count
# operations. They say little about the time an image takes, and nothing about what the network has learnt.
#
# It does not mean that the paper's networks are known. Where the text and the code disagree, results can
# differ by more than the gates change, and both variants are therefore kept. The last table lists the sizes
# that the pages of this book train with, which the profile decides.

# %%
amounts = page.profile.amounts("tissue_training", TissueAmounts)
sizes = page.profile.amounts("synthetic_tissue", TissueParameters)
classes = len(open_cohort(cohort, sizes, progress=False).classes)
recipes, spent = {name: amounts.recipe(name) for name in OF_PAPER}, {}
for name, recipe in recipes.items():
    with torch.device("meta"):
        network = build_tissue_network(name, classes=classes, side=recipe.side, seed=0)
    spent[name] = cost(network, (1, 3, network.side, network.side))
caption = figures.as_run_caption(classes, amounts.runs, amounts.recorded)
page.table(figures.as_run(recipes, spent), "xia-as-run", caption)
agreeing = sum(agrees_as_printed(int(value), claim_named(cell).printed) for cell, value in cells.items())
page.answer(**figures.cost_answer(agreeing, len(cells), len(fitting)))
page.made_of(data="none but the number of classes", counted_on="one image of 3 × 400 × 400, without values")
page.provenance()
