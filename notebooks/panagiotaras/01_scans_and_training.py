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
# (panagiotaras-training)=
# # Scans and training
#
# The Alzheimer study (slides by I. Panagiotaras): T1-weighted brain scans of patients with Alzheimer's
# disease (AD) and of controls (CN), and a small 3-D network that classifies them. A patient has several
# scans, so the first question is what a split by scan gives away.

# %% tags=["parameters"]
profile = "test"
brains = "synthetic"  # or "oasis1", "adni:FOLDER", or a FOLDER of volumes with manifest.csv
patients = "AD"  # the label of the patients
areas = "available"  # the atlas: AAL under ALS_DATA, else a small one; "aal" downloads AAL
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.claims.published import published_table
from als_core.models.cost import describe
from als_core.statistics.paired import permute_labels_over_groups
from als_core.studies.brains import training
from als_core.studies.brains.atlas import open_atlas
from als_core.studies.brains.cohorts import open_brains
from als_core.studies.brains.networks import panagiotaras_network
from als_core.studies.panagiotaras import audit, figures, linear, preparation, tables, words

page = Page(
    "panagiotaras/01_scans_and_training",
    profile,
    "Panagiotaras, data tables, Model, Preprocessing, Classification",
)
amounts = page.profile.amounts("panagiotaras", training.PanagiotarasAmounts)
cohorts = open_brains(brains, amounts.synthetic, folds=amounts.folds, patients=patients)
field, shown = next(iter(cohorts.items()))
page.about_cohort(shown)
page.text(words.about_brains(cohorts))

# %% [markdown]
# ## What a split by scan gives away
#
# Scans of one patient are alike. Where one of them is in training and another is tested, a model can score by
# recognising the patient. To see how much, take cohorts in which **nothing is to be learned**: labels are
# permuted across patients. A linear model on principal components is fitted to each, once with folds by
# patient and once with folds by scan. Any accuracy above one half is then a leak.

# %%
null = linear.linear_cohort(shown, amounts, effects=False)
components = linear.voxel_components(null, seed)
generator, rows = np.random.default_rng([seed, 1]), []
for draw in range(amounts.null_cohorts):
    labels = permute_labels_over_groups(null.labels, null.groups, generator)
    folds = {
        "Folds by patient": training.patient_folds(null, amounts.folds, draw, labels),
        "Folds by scan": training.image_folds(null, amounts.folds, draw, labels),
    }
    rows.append(
        {name: linear.linear_accuracy(components, labels, null.groups, each) for name, each in folds.items()}
    )
nulls = pd.DataFrame(rows)
page.show(figures.inflation(nulls), "panagiotaras-inflation")
page.text(words.image_folds_in_words(null, amounts.folds, seed))

# %% [markdown]
# The guard of this book refuses folds by scan wherever a split promises to separate patients, as quoted
# above.
#
# ## Scans and patients, as printed
#
# The slides count images and patients at each field strength, in all and in the two parts of one fixed split.
# Sums and shares are computed here from the printed training and validation counts. Below them is the slides'
# list of earlier studies.

# %%
sums, shares = tables.data_tables(), tables.split_shares()
page.table(shares, "panagiotaras-data-tables", tables.SHARES, of_cohort=False)
page.claims(tables.data_claims(sums), page.circumstances(cohort="synthetic"))
page.text(
    words.printed_split(
        audit.shares_of_the_printed_splits(), audit.class_shares_at_3t(), audit.accuracy_of("3T")
    )
)
page.table(tables.literature(), "panagiotaras-literature", tables.LITERATURE, of_cohort=False)

# %% [markdown]
# ## Preparing a scan
#
# The slides name Aliza, ANTs and FSL; this book takes them to be for viewing, registration and finding the
# brain. The overview slide says non-linear registration; the preprocessing slide says linear registration,
# and another order of the last two steps. Here both kinds are shown on one scan of each field strength,
# made with SimpleITK and nilearn. A synthetic scan is drawn with skull and scalp for this figure alone; the
# network below learns from brains that are in the template's space.

# %%
heads = preparation.raw_scans(cohorts, amounts)
steps = {each: preparation.prepare_in_steps(head, amounts.shown)[0] for each, head in heads.items()}
atlas = open_atlas(areas, amounts.shown)
page.show(figures.preparation(steps, atlas.labels, atlas.source), "panagiotaras-pipeline")
page.table(preparation.steps_in_words(shown.record(0)), "panagiotaras-preprocessing", tables.STEPS)
positions = published_table("panagiotaras_slice_positions")
for name, step in {"panagiotaras-slices-raw": "Brain only", "panagiotaras-slices": "Normalised"}.items():
    volumes = {each: own[step] for each, own in steps.items()}
    cuts = preparation.slice_numbers(positions, next(iter(volumes.values())).shape)
    page.show(figures.slice_grid(volumes, cuts, positions, preparation.STATES[step]), name)

# %% [markdown]
# Normalisation changes no edge in these pictures: it moves all grey values of a scan together, so that scans
# of two scanners can be compared.
#
# ## The network
#
# Four blocks, each a convolution of 3 × 3 × 3 voxels, batch normalisation, ReLU and pooling; then 80 %
# dropout and three dense layers. The slides print neither pool sizes nor the size of the input. With pools of
# 2, 3, 2 and 3, as in the public code of Rieke et al. ([2018](https://doi.org/10.1007/978-3-030-02628-8_3)),
# whose title and 1.5T counts the slides share, a volume of 1 mm leaves the printed 5120 inputs of the first
# dense layer.

# %%
published = panagiotaras_network((197, 233, 189), "published", seed=seed)
layers = tables.layers(describe(published, (1, 1, *published.shape)))
page.table(layers, "panagiotaras-network", tables.NETWORK, of_cohort=False)
page.claims({"panagiotaras.code.dense_1.in": published.stages.dense1.linear.in_features})
network = panagiotaras_network(shown.volume(0)[amounts.box].shape, amounts.variant, seed=seed)
total, here = (sum(each.numel() for each in one.parameters()) for one in (published, network))
page.text(words.network_size(total, audit.sizes_of_the_printed_layers(), here, network.shape, amounts))

# %% [markdown]
# ## Learning, and accuracy on patients held out
#
# Adam at a rate of 0.0001, five scans a batch. No patient is in two parts of a fold. One fold tests, the next
# is watched and chooses nothing, the others train; the weights of the last epoch are tested. `train_volumes`
# is this loop, `predict` gives the network's answer for scans it has not seen.
#
# Accuracy is over all scans, with an interval over patients: scans of one patient are not independent. A
# class that is more common than the other makes an empty answer look good, so the accuracy of always giving
# the commonest label is marked.

# %%
curves, predictions = [], []
for each, data in cohorts.items():
    for fold, split in enumerate(training.patient_folds(data, amounts.folds, seed), 1):
        trained = training.train_volumes(
            data, split.rows("train"), split.rows("validation"), amounts, seed + fold
        )
        predicted = training.predict(trained.network, data, split.rows("test"), amounts.box)
        curves.append(trained.curves.assign(fold=fold, field=each))
        predictions.append(predicted.assign(fold=fold, field=each))
curves, predictions = (pd.concat(parts, ignore_index=True) for parts in (curves, predictions))
page.show(figures.learning_curves(curves), "panagiotaras-curves")

# %%
pooled, folds = tables.accuracies(predictions, np.random.default_rng(seed))
page.show(figures.accuracies(folds, pooled), "panagiotaras-accuracy")
page.table(tables.rounded(pooled), "panagiotaras-accuracies", tables.ACCURACIES)
page.table(tables.per_scan(predictions, shown.classes), "panagiotaras-predictions", tables.PREDICTIONS)
page.claims(tables.accuracy_claims(pooled))

# %% [markdown]
# ## What this means
#
# An accuracy says something about the disease only where patients are kept apart, and where it is compared
# with always giving the commonest label. The slides' fixed split keeps patients apart: its patients add up.
# They print no such comparison, and do not say how the five folds were made. Where patients have several
# scans, a split by scan can report an accuracy well above one half from nothing: a warning, not a finding
# about the slides. Nor do the accuracies above say how well the slides' network does on ADNI: the scans here
# are fewer and coarser (see the box on top).

# %%
page.answer(**words.training_answer(pooled, nulls, shown.kind, patients))
page.substitutions(words.substitutions(cohorts, amounts), words.forbids(cohorts))
for each, data in cohorts.items():
    page.made_of(**{f"Scans at {each}": f"{data.name}: {len(data)} scans, digest {data.digest}"})
page.made_of(null_cohort=f"{null.name}: {len(null)} scans, digest {null.digest}", amounts=amounts)
page.made_of(split=f"{amounts.folds} folds by patient, seed {seed}", atlas=atlas.source)
page.provenance()
