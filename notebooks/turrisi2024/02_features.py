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
# What is measured on each T1-weighted volume: 107 radiomic features, and two layers of a network, which the
# paper took from a study of Alzheimer's disease (Turrisi et al. 2024, section 2.2, Fig. 1).

# %% tags=["parameters"]
profile = "test"
brains = "synthetic"  # or "oasis1", "adni:FOLDER", or a FOLDER of T1w volumes with manifest.csv
patients = "ALS"  # the label of the patients
control = "synthetic"  # or T1w brains of AD and CN: "oasis1", "adni:FOLDER", or a FOLDER with manifest.csv
seed = 0

# %%
import numpy as np
import pandas as pd
from torch import nn

from als_core.book.page import Page
from als_core.models.cost import describe
from als_core.statistics.paired import permutation_p_value
from als_core.studies.turrisi2024 import figures, words
from als_core.studies.turrisi2024 import words_features as say
from als_core.studies.turrisi2024.leaks import replay
from als_core.studies.turrisi2024.study import (
    NULL_METHOD,
    SETTINGS,
    TurrisiAmounts,
    extractor,
    group_differences,
    is_positive,
    measure_deep_features,
    measure_features,
    open_control_patients,
    open_patients,
    varying,
)

# %%
page = Page("turrisi2024/02_features", profile, "Turrisi 2024, Fig. 1, section 2.2")
amounts = page.profile.amounts("turrisi2024", TurrisiAmounts)
data = open_patients(brains, amounts, seed, patients)
page.about_cohort(data)
network, weights = extractor(amounts.without_weights, seed)
features = measure_features(data, network, amounts.jobs)
used = {name: varying(table) for name, table in features.items()}
substituted = words.substitutions(data, amounts, weights)
page.substitutions(
    {name: substituted[name] for name in words.OF_FEATURES if name in substituted}, words.forbids(data)
)

# %% [markdown]
# ## The extractor, drawn from its module
#
# Eight blocks of convolution, batch norm and ReLU, some with pooling. DL7 is what leaves block 7, DL8 what
# leaves block 8. The network is not trained further.

# %%
shape = (1, 1, *network.shape)
drawing = figures.extractor_drawing(
    describe(network, shape), shape, {"block7": "DL7", "block8": "DL8"}, weights
)
page.show(drawing, "turrisi-fig1-extractor", of_cohort=False)

# %% [markdown]
# ## How many features
#
# Counted in what was measured: the columns of the tables, and the layers of the module. What is the same for
# everybody is left out before classifying: a ReLU answers 0 to everything that does not excite it.

# %%
families = pd.Series([column.partition("_")[0] for column in features["Radiomics"]]).value_counts()
counted = {words.FAMILY_SLUGS.get(family, family): int(count) for family, count in families.items()}
counted["all"] = features["Radiomics"].shape[1]
page.claims(
    {f"turrisi2024.section2_2_1.radiomics.{name}.features": count for name, count in counted.items()}
    | {
        f"turrisi2024.section2_2_2.{name.lower()}.features": features[name].shape[1]
        for name in ("DL7", "DL8")
    }
    | {
        "turrisi2024.section2_2_2.backbone.convolutional.layers": sum(
            isinstance(module, nn.Conv3d) for module in network.modules()
        )
    }
)
page.table(
    pd.DataFrame(
        [(name, features[name].shape[1], used[name].shape[1]) for name in features], columns=say.COUNT_HEADS
    ),
    "turrisi-feature-counts",
    f"Features of the {len(data)} patients of this page, and how many of them differ between patients.",
)
page.text(say.how_measured(data.settings.resolution, SETTINGS))

# %% [markdown]
# ## How far the groups are apart
#
# The difference between the groups' means in each feature, over the standard deviation within the groups.
# Where nothing differs, the dots still scatter, by about as much as {math}`\sqrt{1/n_1 + 1/n_2}`.

# %%
positive = is_positive(data, patients)
effects = group_differences(used, positive)
chance = np.sqrt(1 / positive.sum() + 1 / (~positive).sum())
constant = sum(features[name].shape[1] - used[name].shape[1] for name in features)
page.show(figures.separation(effects, chance, constant, patients), "turrisi-separation")
page.text(say.largest_difference(effects, chance))

# %% [markdown]
# ## Does the extractor see a disease at all?
#
# A positive control: the paper's network was trained to find Alzheimer's disease. On brains of patients and
# controls (drawn ones with and without atrophy of the medial temporal lobe and wide ventricles, where no real
# ones are given) a linear classifier on deep features must find the difference; otherwise a poor result on
# other patients says nothing about them. With random weights the control tests the steps of this page, not
# the paper's network. Folds are drawn several times; for each draw the labels are also permuted.

# %%
control_patients = open_control_patients(amounts, seed, control)
effect = amounts.control_effect if control_patients.kind == "synthetic" else None
has_atrophy = is_positive(control_patients, "AD")
deep = measure_deep_features(control_patients, network)
deep = {name: varying(table).to_numpy() for name, table in deep.items()}
draws = [has_atrophy] * amounts.control_draws
replayed = replay(deep, draws, [NULL_METHOD], seed, amounts.neighbours, amounts.jobs, leaks={})
caption = say.control_caption(has_atrophy, amounts.control_draws, effect)
page.show(figures.null_dots(replayed, caption), "turrisi-positive-control", of_cohort=False)
by_protocol = replayed.pivot_table(
    index="representation", columns="protocol", values="auc", aggfunc=list, sort=False
)
summary = say.control_summary(by_protocol, permutation_p_value)
page.table(
    say.control_table(summary),
    "turrisi-positive-control-summary",
    say.CONTROL_TABLE + say.control_mark(effect),
    of_cohort=False,
)

# %% [markdown]
# ## How alike the features are
#
# Many features say the same thing twice. The number of directions that hold 95 % of the (standardised)
# variance is what a classifier has to work with.

# %%
directions = {}
for name, table in used.items():
    variances = np.linalg.eigvalsh(np.corrcoef(table.to_numpy(), rowvar=False))[::-1]
    directions[name] = int(np.searchsorted(variances.cumsum() / len(variances), 0.95)) + 1
page.show(figures.correlations(used, directions), "turrisi-correlations")

# %% [markdown]
# ## What this means
#
# The three descriptions have as many features as the paper says. Whether they hold anything about a disease
# is a question for patients: on drawn brains, a difference only shows that a feature responds to what was
# drawn. Where deep features miss even the disease of the control, missing another one does not show that the
# scans hold no sign of it.

# %%
beyond = effects.groupby("representation", sort=False)["d"].apply(lambda d: (d.abs() > 2 * chance).mean())
counted = sum(table.shape[1] for table in features.values()), len(effects)
is_random, drawn = not weights.startswith("public"), data.kind == "synthetic"
page.answer(**say.features_and_control(counted, beyond, summary, effect, is_random, patients, drawn))
page.made_of(
    extractor=weights,
    radiomics=f"bin width {SETTINGS.bin_width:g}, normalised to sd {SETTINGS.normalised_sd:g}",
    volumes=f"{data.settings.resolution} mm",
    control=f"{control_patients.name}: {len(control_patients)} people, digest {control_patients.digest}",
    seed=seed,
)
page.provenance()
