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
# (panagiotaras-own-network)=
# # Use these heatmaps on your own PyTorch model
#
# The last slide of I. Panagiotaras offers the heatmap methods for "your own PyTorch model". This page does
# that: a network defined here, which the library has never seen, is trained in plain PyTorch and explained
# with one call for each method, once on images and once on volumes. Replace network and data by yours and
# keep the calls.

# %% tags=["parameters"]
profile = "test"
seed = 0

# %%
import torch
from torch import nn

from als_core.book.page import Page
from als_core.explain.methods import METHODS
from als_core.studies.panagiotaras import figures, own_network

page = Page(
    "panagiotaras/03_your_own_network",
    profile,
    "Panagiotaras, Visualization Methods (on your own PyTorch model)",
)

# %% [markdown]
# ## Images (2-D)
#
# Any `nn.Module` that maps images (N, C, H, W) to class scores (N, classes) will do. The images here are
# noise; in those of class 1 one square, the *sign*, is brighter, so it is known what a heatmap should show.

# %%
images, labels, sign = own_network.draw(count=80, sides=(32, 32), seed=seed)
torch.manual_seed(seed)
network = nn.Sequential(
    nn.Conv2d(1, 8, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 8, 5),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(800, 2),
)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
for _ in range(40):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(images[20:]), labels[20:]).backward()
    optimizer.step()
network.eval()

# %%
settings = {"patch": 6, "stride": 2, "fill": 0.0, "baseline": 0.0, "steps": 32, "layer": "3"}
names = (
    "sensitivity",
    "guided_backpropagation",
    "occlusion",
    "integrated_gradients",
    "lrp_epsilon",
    "grad_cam",
)
maps = {
    METHODS[name].title: METHODS[name].importance(**settings)(network, images[:20], labels[:20])
    for name in names
}
shown = own_network.first_with_sign(images, labels)
page.show(
    figures.own_model(*own_network.pictures(images, maps, sign, shown), "an image with the sign", "Image"),
    "own-network-2d",
)
page.text(own_network.in_words(network, images[:20], labels[:20]))

# %% [markdown]
# ## How faithful are the maps?
#
# Three measures need no known sign. *Insertion minus deletion* (Petsiuk et al. 2018) covers and uncovers
# the hottest pixels first. *Faithfulness correlation* (Bhatt et al. 2020) covers random subsets of pixels
# and correlates their heat with the change of the score. *Infidelity* (Yeh et al. 2019) is the mean squared
# difference between the heat of a covered subset and the change of the score. The tests compare them with
# Quantus and Captum.

# %%
faithful = own_network.faithful_table(network, images[:20], labels[:20], maps, seed)
page.table(faithful, "own-network-faithful", own_network.FAITHFUL, of_cohort=False)

# %% [markdown]
# ## Does relevance add up?
#
# Layer-wise relevance propagation shares a score out, so relevance should sum to the score. Biases, and the
# shifts of batch norm, take their share and keep it: relevance ends there, and no pixel receives it. Three
# networks in which relevance is easily lost show how much that is. They are untrained; images are drawn.
# **Tolerance**: without any shift the tests allow a loss of 0.1 % of the score for the epsilon rule, whose
# stabiliser of 10⁻⁶ takes some, and of 10⁻⁶ of the score for the other rules.

# %%
pixels = own_network.draw(count=8, sides=(64, 64), seed=seed)[0].expand(-1, 3, -1, -1)
networks = own_network.awkward_networks(pixels, seed)
sums = own_network.conservation(networks, pixels[:1])
page.table(
    own_network.conservation_rows(sums), "own-network-conservation", own_network.CONSERVATION, of_cohort=False
)
page.text(own_network.conservation_words(sums, networks[own_network.DENSENET], pixels[:1]))

# %% [markdown]
# ## Volumes (3-D)
#
# The same calls with `Conv3d` and volumes (N, C, X, Y, Z). Areas of an atlas can be covered one by one, if
# each voxel has the number of its area. Here the volume is cut into 64 cubes, one of which is the sign.

# %%
volumes, labels, sign = own_network.draw(count=60, sides=(16, 16, 16), seed=seed)
areas = own_network.blocks((16, 16, 16))
torch.manual_seed(seed)
network = nn.Sequential(
    nn.Conv3d(1, 8, 3),
    nn.ReLU(),
    nn.MaxPool3d(2),
    nn.Conv3d(8, 8, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(1000, 2),
)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
for _ in range(40):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(volumes[20:]), labels[20:]).backward()
    optimizer.step()
network.eval()

# %%
settings = {"patch": 4, "stride": 2, "fill": 0.0, "areas": areas}
names = ("sensitivity", "guided_backpropagation", "occlusion", "area_occlusion")
maps = {
    METHODS[name].title: METHODS[name].importance(**settings)(network, volumes[:20], labels[:20])
    for name in names
}
shown = own_network.first_with_sign(volumes, labels)
drawn = figures.own_model(
    *own_network.pictures(volumes, maps, sign, shown), "a slice of a volume with the sign", "Slice"
)
page.show(drawn, "own-network-3d")
page.text(own_network.in_words(network, volumes[:20], labels[:20]))

# %% [markdown]
# ## What each method needs
#
# A method takes the settings that it needs from those offered and ignores the others. A network that a method
# cannot explain is refused by name: layer-wise relevance propagation knows a list of operations, and the
# gradient methods need a differentiable model. A heatmap has the shape of the image, without its channels.

# %%
page.table(own_network.needs(), "own-network-methods", own_network.NEEDS, of_cohort=False)

# %% [markdown]
# ## What this means
#
# A heatmap of your network costs one call. What it is worth is another question: ask for it in the same way
# of a network that had nothing to learn, as {ref}`the page before <panagiotaras-heatmaps-page>` does, and try
# the methods against sanity checks ({ref}`audit-heatmaps`). On these drawn images the sign is large and the
# network finds it; that says nothing of a real network.

# %%
page.answer(**own_network.answer(maps, sign, areas, shown))
page.made_of(images="80 of 32 × 32 pixels and 60 of 16 × 16 × 16 voxels, drawn", seed=seed)
page.provenance()
