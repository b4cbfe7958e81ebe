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
# (turrisi-features)=
# # Three descriptions of a brain
#
# What is measured on each T1-weighted volume: 107 radiomic features, and two layers of a network that was trained on another
# disease (Turrisi et al. 2024, section 2.2, Fig. 1).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"  # or a folder of T1w volumes, labels ALS and one other; for any other cohort of the book, synthetic
seed = 0

# %%
import numpy as np
import pandas as pd
from torch import nn

from als_core.book.page import Page
from als_core.models.cost import describe
from als_core.studies.turrisi2024 import figures
from als_core.studies.turrisi2024.radiomics import FAMILIES
from als_core.studies.turrisi2024.study import (
    SETTINGS,
    TurrisiAmounts,
    extractor,
    group_differences,
    is_positive,
    measure_features,
    open_patients,
    varying,
)

page = Page("turrisi2024/02_features", profile, "Turrisi 2024, Fig. 1, section 2.2")
amounts = page.profile.amounts("turrisi2024", TurrisiAmounts)
data = open_patients(cohort, amounts, seed)
page.about_cohort(data)
network, weights = extractor(amounts.without_weights, seed)
features = measure_features(data, network, amounts.jobs)
positive = is_positive(data)

# %% [markdown]
# ## The extractor, drawn from its module
#
# Eight blocks of convolution, batch norm and ReLU, some with pooling. DL7 is what leaves block 7, DL8 what leaves block 8. The
# network is not trained further.

# %%
shape = (1, 1, *network.shape)
stages = describe(network, shape)
page.figure(
    figures.extractor_drawing(stages, shape, {"block7": "DL7", "block8": "DL8"}),
    "turrisi-fig1-extractor",
    f"The network that gives the deep features (Fig. 1 in the paper), with {weights}. Boxes are as tall as the maps that leave a block, on a logarithmic scale.",
    "Eight boxes from left to right, shrinking: "
    + "; ".join(
        f"block {place}, {stage.output_shape[1]} maps of {' by '.join(map(str, stage.output_shape[2:]))}"
        for place, stage in enumerate(stages[:8].itertuples(), 1)
    )
    + ". DL7 is taken after block 7 and DL8 after block 8.",
    stages.assign(output_shape=stages["output_shape"].map(lambda size: " x ".join(map(str, size[1:]))))[
        ["stage", "kind", "output_shape", "parameters"]
    ],
    of_cohort=False,
)
page.text(f"**Weights:** {weights}.")
if weights.startswith("random"):
    page.text(
        "A network with random weights is a stand-in. It still answers to what differs between volumes, but no feature of it was learnt."
    )

# %% [markdown]
# ## How many features
#
# Counted in what was measured: the columns of the tables, and the layers of the module.

# %%
slugs = {"firstorder": "first_order"}
counted = {f"radiomics.{slugs.get(name, name)}": 0 for name in FAMILIES}
for column in features["Radiomics"]:
    family = column.partition("_")[0]
    counted[f"radiomics.{slugs.get(family, family)}"] += 1
counted |= {
    "radiomics.all": features["Radiomics"].shape[1],
    "dl7": features["DL7"].shape[1],
    "dl8": features["DL8"].shape[1],
}
page.claims(
    {
        f"turrisi2024.section2_2_1.{name}.features": count
        for name, count in counted.items()
        if name.startswith("radiomics")
    }
    | {f"turrisi2024.section2_2_2.{name}.features": counted[name] for name in ("dl7", "dl8")}
    | {
        "turrisi2024.section2_2_2.backbone.convolutional.layers": sum(
            isinstance(m, nn.Conv3d) for m in network.modules()
        )
    }
)

# %%
used = {name: varying(table) for name, table in features.items()}
rows = [(name, table.shape[1], used[name].shape[1]) for name, table in features.items()]
same = [column for name in features for column in features[name].columns.difference(used[name].columns)]
page.table(
    pd.DataFrame(rows, columns=["representation", "features", "that differ between patients"]),
    "turrisi-feature-counts",
    f"Features of the {len(data)} patients of this page. What is the same for everybody is left out before classifying.",
)
page.text(
    f"Radiomic features are measured inside the patient's brain after registration to MNI space at {data.settings.resolution} mm: the template's brain "
    f"mask, where there is signal. Intensities are brought to mean 0 and a standard deviation of {SETTINGS.normalised_sd:g}, and grey levels are "
    f"{SETTINGS.bin_width:g} wide; the paper states neither. The 107 values are checked against PyRadiomics in the tests. "
    "A ReLU answers 0 to whatever does not excite it, so some deep features are 0 for everybody"
    + (f": {len(same)} features here." if same else "; here none is.")
    + (
        ""
        if data.settings.resolution == 1
        else f" The extractor was made for volumes of 1 mm and halves them first; at {data.settings.resolution} mm the halving is left out."
    )
)

# %% [markdown]
# ## How far the groups are apart
#
# The difference between the groups' means in each feature, over the standard deviation within the groups. Where nothing differs,
# the dots still scatter, by about as much as {math}`\sqrt{1/n_1 + 1/n_2}`.

# %%
effects = group_differences(used, positive)
expected = np.sqrt(1 / positive.sum() + 1 / (~positive).sum())
beyond = effects.groupby("representation", sort=False)["d"].apply(lambda d: (d.abs() > 2 * expected).mean())
page.figure(
    figures.separation(effects),
    "turrisi-separation",
    f"Standardised difference between the groups, a dot a feature: {len(effects)} features by family and layer; {len(same)} that are the same for everybody are left out. Families of texture: grey-level co-occurrence (glcm), dependence (gldm), run length (glrlm) and size zone (glszm) matrices, and neighbouring grey-tone difference (ngtdm).",
    "Dots along rows for each radiomic family and each deep layer, spread around zero. Share of features more than two standard errors from zero: "
    + ", ".join(f"{name} {share:.0%}" for name, share in beyond.items())
    + ".",
    effects,
)
if data.kind == "synthetic":
    page.text(
        f"The disease of these brains acts on the precentral gyrus and the corticospinal tract, {amounts.effect:g} times as strongly as in a brain of its stated size. "
        "Both are small against the brain, and the extractor learnt another disease and pools coarsely: what age, folds and ventricles do to its features is large beside what a local change does."
    )
largest = effects.loc[effects["d"].abs().idxmax()]
page.headline(
    f"{sum(table.shape[1] for table in features.values())} features describe each brain; {', '.join(f'{share:.0%} of {name}' for name, share in beyond.items())} "
    f"differ between the groups by more than two standard errors, where 5% would by chance."
)
page.text(
    f"The largest difference is that of `{largest['feature']}`, {largest['d']:.2f} standard deviations. With this many features and {len(data)} patients "
    "the largest of them is large by chance as well: which features matter has to be judged on patients that were not looked at."
)

# %% [markdown]
# ## How alike the features are
#
# Many features say the same thing twice. The number of directions that hold 95% of the (standardised) variance is what a classifier has
# to work with.

# %%
matrices = {name: np.corrcoef(table.to_numpy(), rowvar=False) for name, table in used.items()}
directions = {}
for name, matrix in matrices.items():
    share = np.sort(np.linalg.eigvalsh(matrix))[::-1].cumsum() / len(matrix)
    directions[name] = int(np.searchsorted(share, 0.95)) + 1
page.figure(
    figures.correlations(matrices),
    "turrisi-correlations",
    "Correlation between every two features of a representation, in the order of the tables.",
    "Three square heatmaps of correlations, red for alike and blue for opposed. Directions that hold 95% of the variance: "
    + ", ".join(f"{name} {count} of {len(matrices[name])}" for name, count in directions.items())
    + ".",
    pd.DataFrame(
        [(name, len(matrices[name]), count) for name, count in directions.items()],
        columns=["representation", "features", "directions with 95% of the variance"],
    ),
)
page.text(
    "Directions that hold 95% of the variance: "
    + ", ".join(f"{count} of {len(matrices[name])} ({name})" for name, count in directions.items())
    + "."
)

# %%
page.made_of(
    extractor=weights,
    radiomics=f"bin width {SETTINGS.bin_width:g}, normalised to sd {SETTINGS.normalised_sd:g}",
    volumes=f"{data.settings.resolution} mm",
    seed=seed,
)
page.provenance()
