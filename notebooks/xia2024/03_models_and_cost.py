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
# What the six networks of the tissue study are made of, what of them trains, and what one image costs
# ({cite:t}`xia2024`, sections 4.5 and 4.6, Fig. 6, Tables 1 and 3).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"

# %%
import re
from itertools import product

import pandas as pd
import torch

from als_core.book.page import Page
from als_core.claims.printed import agrees_as_printed
from als_core.claims.published import claim_named
from als_core.models.cost import cost, describe
from als_core.studies.xia2024 import figures_networks as figures
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.networks import TISSUE_NETWORKS, build_tissue_network
from als_core.studies.xia2024.recipes import RECIPES, RELEASED
from als_core.studies.xia2024.recovered import Gates, gates_that_fit, gates_tried, sides_that_fit
from als_core.studies.xia2024.synthetic import TissueParameters

page = Page("xia2024/03_models_and_cost", profile, "Xia 2024, Fig. 6, Table 1, Table 3")
shape = (1, 3, 400, 400)
variants = list(product(TISSUE_NETWORKS, ("published", "released")))
with torch.device("meta"):  # shapes without values: counting needs no more
    networks = {key: build_tissue_network(key[0], variant=key[1], seed=0) for key in variants}

drawn = {}
for (name, variant), network in networks.items():
    stages = describe(network, shape)
    drawn[TISSUE_NETWORKS[name].display, variant] = stages.assign(active=stages["stage"].isin(network.active))

# %% [markdown]
# ## The networks, drawn from their modules
#
# The drawings are made from the modules that this book trains, not by hand. Each network comes in two variants.
# *Published* follows the text of the paper, *released* follows the code that was published with it, which was read and not
# run. The paper prints neither widths nor the reduction inside the gates; the ones drawn here were
# recovered from the printed costs (see below).
#
# A squeeze-and-excitation gate weighs each map of a layer by a number between 0 and 1, which it computes from the means of all
# maps.

# %%
gates = [
    name for name, _ in networks["miniset_densesenet", "published"].stages.named_children() if "se" in name
]
first_gate = networks["miniset_densesenet", "published"].stages.get_submodule(gates[0]).gate
stages = drawn["Miniset-DenseSENet", "published"].set_index("stage")
maps = stages["output_shape"][gates[0]]
steps = describe(first_gate, maps)
page.figure(
    figures.gate_drawing(steps, maps),
    "xia-fig6-se",
    f"The squeeze-and-excitation gate {gates[0]} of Miniset-DenseSENet (Fig. 6 (1) in the paper). Blue layers have parameters; boxes are as tall as what leaves them is long, on a logarithmic scale.",
    f"Block diagram of a gate. {maps[1]} maps of {maps[2]} by {maps[3]} run to a multiplication; a branch takes the mean of each map, then two linear layers of "
    + " and ".join(f"{count:,}" for count in steps["parameters"] if count)
    + " parameters with a ReLU between, and a sigmoid, and joins them there.",
    steps.assign(output_shape=steps["output_shape"].map(lambda size: " x ".join(map(str, size[1:])))),
)

# %%
captions = {
    "xia-fig6-basic-cnn": ("The basic CNN (Fig. 6 (2) in the paper).", ["Basic CNN"]),
    "xia-fig6-densenet": (
        "DenseNet121 without and with gates (Fig. 6 (3) in the paper).",
        ["DenseNet121", "Miniset-DenseSENet"],
    ),
    "xia-resnets": (
        "ResNet18 and its two variants with gates, which the paper does not draw.",
        ["ResNet18", "ResNet18+SE", "ResNet18+CBAM"],
    ),
}
reading = (
    " Shapes are as wide as the maps are large (logarithmic), gates have round ends, and in each shape stands its number of parameters; at the right, "
    "the size of what leaves a stage for an image of 400 × 400 pixels. BN is batch norm, /2 a stride of 2, and 64-4-64 a gate that reduces 64 channels to 4."
)
dashed = " A dashed outline marks stages that are frozen and yet run in training mode: their batch norm follows the batches, their dropout drops."
for figure, (caption, names) in captions.items():
    chosen = {key: stages for key, stages in drawn.items() if key[0] in names}
    page.figure(
        figures.stage_drawing(chosen, shape),
        figure,
        caption + reading + dashed * any(stages["active"].any() for stages in chosen.values()),
        "A column of shapes for each network and variant, narrowing from the image to the scores. "
        + " ".join(
            f"{name}, {variant}: {', '.join(stages['stage'])}; {stages['parameters'].sum():,} parameters, of which {stages['trainable'].sum():,} train."
            for (name, variant), stages in chosen.items()
        ),
        figures.stage_table(chosen),
    )

# %% [markdown]
# ## FLOPs and parameters
#
# Table 1 prints two costs of each network. They are counted here, live. The printed FLOPs are *multiply-accumulates* as the
# package `thop` counts them for one image of 400 × 400 pixels: one for each product in a convolution or a linear layer,
# four for each value that a batch norm gets, and about one for each value that an average pooling gets; biases, ReLU, maximum pooling and
# sigmoid are free. The printed row of the basic CNN covers its three blocks without the head.
#
# Beside them stand the exact multiply-accumulates (MACs) of convolutions and matrix products alone. Who counts
# a multiplication and an addition as two operations gets twice that number.

# %%
whole = {
    name: drawn[entry.display, "published"].set_index("stage") for name, entry in TISSUE_NETWORKS.items()
}
covered = {
    name: whole[name].loc[list(entry.counted or whole[name].index)] for name, entry in TISSUE_NETWORKS.items()
}
listed = {
    entry.display: (whole[name], drawn[entry.display, "released"]) for name, entry in TISSUE_NETWORKS.items()
}
listed = {"Basic CNN, blocks alone": (covered["basic_cnn"], drawn["Basic CNN", "released"][:3]), **listed}
page.table(
    pd.DataFrame(
        {
            "Network": title,
            "FLOPs, as printed": f"{published['published_flops'].sum():,}",
            "Exact MACs": f"{published['macs'].sum():,}",
            "Parameters": f"{published['parameters'].sum():,}",
            "Train (published)": f"{published['trainable'].sum():,}",
            "Train (released)": f"{released['trainable'].sum():,}",
        }
        for title, (published, released) in listed.items()
    ),
    "xia-cost",
    "What one image of 400 × 400 pixels costs, and how many parameters there are and train, with three classes.",
)

# %%
cells = {
    f"xia2024.table1.{name}.{cell}": stages[column].sum()
    for cell, column in (("flops", "published_flops"), ("params", "parameters"))
    for name, stages in covered.items()
}
page.claims(cells)

# %% [markdown]
# ## Recovered, not known
#
# A network that costs what the paper prints need not be the paper's network: others cost the same, to the printed
# precision.


# %%
plain = whole["densenet121"]
channels = {
    stage: size[1] for stage, size in plain["output_shape"].items() if len(size) == 4 and stage != "norm"
}
printed = claim_named("xia2024.table1.miniset_densesenet.params").printed
tried = gates_tried(channels)
fitting = gates_that_fit(tried, channels, int(plain["parameters"].sum()), printed)
other = Gates(("transition1", "transition2", "transition3"), 4)
one_weight = int(plain["parameters"].sum()) + sum(channels[f"block{number}"] for number in (1, 2, 3))
letter = "prints" if agrees_as_printed(one_weight, printed) else "does not print"

sides = sides_that_fit(("basic_cnn", "resnet18", "densenet121"), range(396, 402))
alike = sum(agrees_as_printed(int(value), claim_named(cell).printed) for cell, value in cells.items())
page.text(
    f"{alike} of the {len(cells)} cells of Table 1 come out as printed.\n\n"
    f"**The side of the images.** Of the sides from 396 to 401 pixels, {', '.join(map(str, sides))} print the FLOPs of the three networks without gates. "
    "The paper says 400.\n\n"
    f"**Where the gates stand.** A gate can follow any of {len(channels)} stages of DenseNet121, and reduce its channels 2, 4, 8, 16 or 32 times. Of these {len(tried):,} "
    f"combinations {len(fitting)} print {printed.text} parameters{', gates after the three transitions that reduce 4 times among them' * (other in fitting)}. "
    "Drawn and trained here are gates after the first three dense blocks that reduce 16 times: between the dense blocks is where section 4.5.1 puts them, 16 is the usual "
    "reduction, and the released code has the same.\n\n"
    f"**What a gate is.** Section 4.5 prints the gate as one weight for each channel. To the letter, the network would have {one_weight:,} parameters, which {letter} {printed.text}; "
    "two linear layers, as the caption of Fig. 6 says, do."
)

# %% [markdown]
# ## Hyper-parameters
#
# Table 3 of the paper is what a recipe of this book starts from, so none of it can be a result. Section 4.5.2
# gives other numbers for Miniset-DenseSENet; the book follows Table 3.

# %%
page.table(
    pd.DataFrame(
        {
            "Network": recipe.name,
            "Learning rate": recipe.learning_rate,
            "Batch size": recipe.batch_size,
            "Optimiser": recipe.optimizer,
            "Epochs": recipe.epochs,
            "Weight decay": f"{recipe.weight_decay:g}",
        }
        for recipe in RECIPES.values()
    ),
    "xia-table3",
    "Hyper-parameters of the six recipes (Table 3 in the paper).",
)
settings = ("learning_rate", "batch_size", "epochs", "weight_decay")
printed_as = {"basic_cnn": "3_layer_cnn"}
page.claims(
    {
        f"xia2024.table3.{printed_as.get(name, name)}.{setting}": getattr(recipe, setting)
        for (name, recipe), setting in product(RECIPES.items(), settings)
    }
    | {
        f"xia2024.section4_5_2.training.{setting}": getattr(RECIPES["miniset_densesenet"], setting)
        for setting in settings[:3]
    }
)

# %% [markdown]
# ## Where the paper and the released code part
#
# Section 4.6 freezes the pretrained parts of the networks, all of them except the last two modules of ResNet18+CBAM. The released code
# freezes nothing in ResNet18, DenseNet121 and Miniset-DenseSENet, and the whole backbone of ResNet18+CBAM. Its basic CNN makes its
# head after its optimiser, so that the head keeps the values it was born with. This book trains the published
# variant unless a page says otherwise.


# %%
def trains(stages: pd.DataFrame) -> str:
    live = stages["trainable"] > 0
    return "everything" if live[stages["parameters"] > 0].all() else ", ".join(stages["stage"][live])


def dropout(stages: pd.DataFrame) -> str:
    return ", ".join(sorted(set(re.findall(r"dropout ([\d.]+)", " ".join(stages["kind"]))))) or "none"


page.table(
    pd.DataFrame(
        {
            "Network": entry.display,
            "Trains (published)": trains(drawn[entry.display, "published"]),
            "Trains (released)": trains(drawn[entry.display, "released"]),
            "Dropout (published)": dropout(drawn[entry.display, "published"]),
            "Dropout (released)": dropout(drawn[entry.display, "released"]),
        }
        for entry in TISSUE_NETWORKS.values()
    ),
    "xia-published-released",
    "What trains, and the share of values that dropout sets to zero, in each variant. Stages without parameters are left out.",
)

# %%
page.table(
    figures.settings_that_differ(RECIPES, RELEASED),
    "xia-released-settings",
    "The other settings in which the variants part. Batch norm: `eval` keeps the statistics of frozen stages, `train` lets them follow the batches. Scaling: whose mean and sd of each colour. Flip: training images are mirrored at random. Checkpoint: the epoch that is kept. Plateau: how the learning rate falls.",
)

# %% [markdown]
# ## As this book runs them
#
# The profile decides how large the images are and how long is trained, and the cohort how many classes there are.

# %%
amounts = page.profile.amounts("tissue_training", TissueAmounts)
classes = len(
    open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False).classes
)
recipes = {name: amounts.recipe(name) for name in TISSUE_NETWORKS}
with torch.device("meta"):
    run_here = {
        name: build_tissue_network(name, classes=classes, side=recipe.side, seed=0)
        for name, recipe in recipes.items()
    }
spent = {name: cost(network, (1, 3, network.side, network.side)) for name, network in run_here.items()}
page.table(
    pd.DataFrame(
        {
            "Network": recipe.name,
            "Side in pixels": recipe.side,
            "Images per training image": recipe.copies,
            "Batch size": recipe.batch_size,
            "Epochs": recipe.epochs,
            "MACs per image": f"{spent[name].macs:,}",
            "Parameters that train": f"{spent[name].parameters_trainable:,}",
        }
        for name, recipe in recipes.items()
    ),
    "xia-as-run",
    f"What the pages that follow train with the profile {page.profile.name}: {classes} classes, {amounts.runs} runs of each.",
)

# %%
page.made_of(
    data="none but the number of classes", counted_on="one image of 3 × 400 × 400, shapes without values"
)
page.provenance()
