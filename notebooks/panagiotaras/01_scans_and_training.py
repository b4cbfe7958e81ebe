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
# The Alzheimer study (slides by I. Panagiotaras): T1-weighted brain scans of ADNI, of patients with Alzheimer's disease
# (AD) and of controls (CN), and a small 3-D network that tells them apart. Which scans there are, how they are
# prepared, what the network is, and how well it does on patients it has not seen.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"  # names the tissue cohort; ADNI is given on application only, so the brains here are always synthetic
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.claims.published import published_table
from als_core.models.cost import describe
from als_core.refusal import RefusedInput
from als_core.studies.brains import figures, training
from als_core.studies.brains.networks import panagiotaras_network
from als_core.studies.brains.training import FIELDS, PanagiotarasAmounts
from als_core.studies.panagiotaras.audit import (
    accuracy_of,
    class_shares_at_3t,
    shares_of_the_printed_splits,
    sizes_of_the_printed_layers,
    spread_of,
)

page = Page(
    "panagiotaras/01_scans_and_training",
    profile,
    "Panagiotaras, data tables, Model, Preprocessing, Classification",
)
amounts = page.profile.amounts("panagiotaras", PanagiotarasAmounts)
brains = {field: training.study_brains(amounts.brains(field)) for field in FIELDS}
shown = brains["1.5T"]
page.about_cohort(shown)

# %% [markdown]
# ## Scans and patients, as printed
#
# The slides count images and patients at each field strength, in all and in the two parts of one fixed split. There are
# about three images of a patient. Sums and shares are computed here from the printed training and validation counts.

# %%
printed = published_table("panagiotaras_data_statistics")
counts = printed.set_index(["field_strength", "split", "unit", "class"])["n"]
parts = counts.drop(index="All", level="split").drop(index="all", level="class")
summed = parts.unstack(["split", "class"])
summed.columns = [f"{part} {label}" for part, label in summed.columns]
by_part = {part: summed[[f"{part} AD", f"{part} CN"]].sum(axis=1) for part in ("Train", "Validation")}
summed = summed.assign(
    Sum=sum(by_part.values()),
    **{f"AD in {part.lower()} (%)": (100 * summed[f"{part} AD"] / n).round(1) for part, n in by_part.items()},
    **{"Share in validation (%)": (100 * by_part["Validation"] / sum(by_part.values())).round(1)},
)
page.table(
    summed.reset_index().rename(columns={"field_strength": "Field", "unit": "Unit"}),
    "panagiotaras-data-tables",
    "Images and patients in the two parts of the printed split, with their sums and shares. *Printed numbers only.*",
    of_cohort=False,
)

# %%
# every cell of both tables, from the eight counts of each that are no sums
wide = parts.unstack("class").assign(all=lambda table: table.sum(axis=1)).stack().unstack("split")
sums = wide.assign(All=wide.sum(axis=1)).stack()
slug = {"1.5T": "1_5t", "3T": "3t"}
page.claims(
    {
        f"panagiotaras.data.{slug[field]}.{part}.{label}.{unit}".lower(): int(n)
        for (field, unit, label, part), n in sums.items()
    },
    page.circumstances(cohort="synthetic"),
)

# %%
consistent, uneven = shares_of_the_printed_splits(), class_shares_at_3t()
page.text(
    f"{consistent['sums_holding']} of the {consistent['sums']} printed sums are the sums of their parts. But the split is uneven. At 3T "
    f"{consistent['at_3_percent']:.0f} % of the patients are validation (one fold of five would hold 20 %), and "
    f"{uneven['train_ad_percent']:.0f} % of the training images show AD against {uneven['validation_ad_percent']:.0f} % of the validation images. "
    f"Always answering CN would be right for {uneven['majority']:.1%} of these; the printed accuracy at 3T is {accuracy_of('3T'):.0%}."
)

# %% [markdown]
# ## Earlier studies, as the slides list them

# %%
literature = published_table("panagiotaras_literature_table").drop(columns="row")
literature.columns = [
    "Authors",
    "Method",
    "Modalities",
    "What is looked at",
    "Data",
    "n",
    "Accuracy, AD against controls",
]
page.table(
    literature,
    "panagiotaras-literature",
    "Earlier classifiers of AD against controls, as the slides list them; their accuracies come from other data and other ways of splitting. *Printed numbers only.*",
    of_cohort=False,
)

# %% [markdown]
# ## The tools and the network
#
# The slides name three tools: Aliza (to look at scans), ANTs (to register them) and FSL (to find the brain); the network is
# written in PyTorch.
#
# Four blocks, each a convolution of 3 × 3 × 3 voxels, batch normalisation, ReLU and pooling; then 80 % dropout and three
# dense layers. The slides print neither pool sizes nor the size of the input. With pools of 2, 3, 2 and 3, as in the code of
# Rieke et al. ([2018](https://doi.org/10.1007/978-3-030-02628-8_3)) that the slides build on, a volume of 1 mm leaves the printed 5120 inputs.

# %%
published = panagiotaras_network((197, 233, 189), "published", seed=seed)
listing = describe(published, (1, 1, *published.shape))[["stage", "kind", "output_shape", "parameters"]]
listing["output_shape"] = [" × ".join(map(str, shape[1:])) for shape in listing["output_shape"]]
listing.columns = ["Stage", "Layers", "Output", "Parameters"]
page.table(
    listing,
    "panagiotaras-network",
    "The published network for a volume of 197 × 233 × 189 voxels, stage by stage.",
    of_cohort=False,
)
page.claims({"panagiotaras.code.dense_1.in": published.stages.dense1.linear.in_features})

# %% [markdown]
# ## Preparing a scan
#
# The book prepares scans with SimpleITK and nilearn, and keeps a record of every step for every scan. The overview slide says non-linear registration,
# and the preprocessing slide linear registration and another order of the last two steps. The synthetic brains of this
# page are drawn in the template's space without a skull, so that registration has nothing to do.

# %%
steps = pd.DataFrame(
    {
        "Step": step.pop("step"),
        "Record": "; ".join(
            f"{name.replace('_', ' ')} {f'{value:.4g}' if isinstance(value, float) else value}"
            for name, value in step.items()
        ),
    }
    for step in shown.record(0)
)
page.table(steps, "panagiotaras-preprocessing", "What was done to the first scan.")

# %%
positions = published_table("panagiotaras_slice_positions")
volume = np.asarray(shown.volume(0))
numbers = figures.slice_numbers(positions, volume.shape)
titles = positions.groupby("axis")["slice_index"].apply(list).to_dict()
page.figure(
    figures.slices(volume, numbers, titles),
    "panagiotaras-slices",
    f"The first scan as the network sees it, at the {len(positions)} slice positions that the slides print. They lie evenly about the middle of a grid of 193 × 229 × 193 voxels of 1 mm; shown are the slices at the same share of our grid.",
    "Fifteen grey slices of one brain without skull: five from the side, five from the front and five from above, titled by the printed slice numbers.",
    positions.assign(slice_here=np.concatenate([numbers[axis] for axis in "xyz"])),
)

# %%
small = panagiotaras_network(shown.volume(0)[amounts.box].shape, amounts.variant, seed=seed)
total, here = (sum(each.numel() for each in network.parameters()) for network in (published, small))
by_hand = sizes_of_the_printed_layers()
page.text(
    f"The network has {total:,} parameters; counted by hand from the printed layers there are {by_hand['parameters']:,.0f}. "
    f"{by_hand['dense_percent']:.0f} % of them are in the first dense layer. This page trains the variant *{amounts.variant}* on volumes of "
    f"{' × '.join(map(str, small.shape))} voxels of {amounts.resolution} mm, with {here:,} parameters."
)

# %% [markdown]
# ## Learning
#
# Adam at a rate of 0.0001, five scans a batch. No patient is in two parts of a fold; a quarter of what is left after testing
# validates and chooses nothing: the weights of the last epoch are tested.

# %%
found = {
    field: training.cross_validate(data, training.patient_folds(data, amounts.folds, seed), amounts, seed)
    for field, data in brains.items()
}
curves = pd.concat([one.curves.assign(field=field) for field, one in found.items()], ignore_index=True)
last = (
    curves[curves["epoch"] == amounts.epochs]
    .groupby("field")[["train_accuracy", "validation_accuracy"]]
    .mean()
)
page.figure(
    figures.learning_curves(curves),
    "panagiotaras-curves",
    f"Learning curves of {amounts.folds} folds (thin) and their mean (thick) over {amounts.epochs} epochs. Training figures are taken with dropout, validation figures without.",
    "Loss above and accuracy below, by epoch, for 1.5T at the left and 3T at the right. After the last epoch: "
    + "; ".join(
        f"{field} training accuracy {row.iloc[0]:.2f}, validation accuracy {row.iloc[1]:.2f}"
        for field, row in last.iterrows()
    )
    + ".",
    curves,
)

# %%
generator = np.random.default_rng(seed)
rows, folds = [], []
for field, one in found.items():
    told, data = one.predictions, brains[field]
    value, interval = training.clustered_accuracy(told, generator)
    each = told.groupby("fold").apply(
        lambda fold: (fold["label"] == fold["predicted"]).mean(), include_groups=False
    )
    patients = training.by_patient(told)
    folds.append(pd.DataFrame({"field": field, "accuracy": each}))
    rows.append({"field": field, "scans": len(told), "patients": len(patients), "accuracy": value, "low": interval.low, "high": interval.high}
        | {"majority": told["label"].value_counts(normalize=True).max(), "by_patient": (patients["label"] == patients["predicted"]).mean()}
        | {"fold_mean": each.mean(), "fold_sd": each.std(), "printed": accuracy_of(field), "spread": spread_of(field)})  # fmt: skip
pooled, folds = pd.DataFrame(rows), pd.concat(folds, ignore_index=True)
page.figure(
    figures.fold_accuracies(folds, pooled),
    "panagiotaras-accuracy",
    "Accuracy on patients that the network has not seen: each fold, all scans with a 95 % interval over patients, always giving the commonest label, and what the slides print (mean and spread, of what is not said).",
    "Dots with intervals for 1.5T and 3T. "
    + " ".join(
        f"{row.field}: accuracy {row.accuracy:.2f}, interval {row.low:.2f} to {row.high:.2f}, commonest label {row.majority:.2f}, printed {row.printed:.2f}."
        for row in pooled.itertuples()
    ),
    pooled,
)

# %%
page.table(
    pooled.rename(columns={"by_patient": "accuracy by patient"})
    .rename(columns=lambda name: name.replace("_", " ").capitalize())
    .round(3),
    "panagiotaras-accuracies",
    "Accuracy over scans and over patients (the mean of a patient's scans decides), with the mean and standard deviation over folds.",
)
page.claims(
    {f"panagiotaras.results.{slug[row.field]}.accuracy": row.fold_mean for row in pooled.itertuples()}
    | {f"panagiotaras.results.{slug[row.field]}.accuracy_spread": row.fold_sd for row in pooled.itertuples()}
)

# %% [markdown]
# ## What a split by image would have shown
#
# A patient has several scans, and they are alike. Where one of them trains and another is tested, a model can score by knowing
# the patient again. The guard refuses such a split when it claims to separate patients:

# %%
data = training.study_brains(training.linear_brains(amounts, effects=False))
try:
    training.image_folds(data, amounts.folds, seed, promise="group")
except RefusedInput as refusal:
    torn = [problem for problem in refusal.problems if problem.where.startswith("group")]
    page.text(
        f"> {refusal.subject} is refused: {len(torn)} of {len(np.unique(data.groups))} patients have scans in more than one part. First: *{torn[0].where}, {torn[0].found}; expected: {torn[0].expected}.*"
    )

# %% [markdown]
# What it hides is shown here on purpose. In the null cohort nothing depends on the label: whatever is above chance is a
# leak. A linear model on the first principal components over voxels is fitted again and again, each time with the
# labels exchanged between patients, once with folds by patient and once with folds by image.

# %%
components = training.voxel_components(data, seed)
nulls = {"Folds by patient": [], "Folds by image": []}
for draw in range(amounts.null_cohorts):
    labels = training.relabelled(data.labels, data.groups, generator)
    drawn = (
        training.patient_folds(data, amounts.folds, draw, labels),
        training.image_folds(data, amounts.folds, draw, labels),
    )
    for name, splits in zip(nulls, drawn, strict=True):
        told = training.linear_predictions(components, labels, data.groups, splits)
        nulls[name].append((told["label"] == told["predicted"]).mean())
nulls = pd.DataFrame(nulls)
page.figure(
    figures.null_histograms(dict(nulls.items()), 0.5, {}, "Accuracy where there is nothing to learn"),
    "panagiotaras-inflation",
    f"Accuracy of a linear model in {len(nulls)} null cohorts, with folds by patient and, against the guard, with folds by image.",
    f"Two histograms of accuracy: by patient around {nulls['Folds by patient'].mean():.2f}, by image around {nulls['Folds by image'].mean():.2f}, with a dashed line at one half.",
    nulls,
)

# %%
means = nulls.mean()
page.headline(
    f"On synthetic brains with a strong effect the Alzheimer network reaches {pooled['accuracy'][0]:.0%} at 1.5T and {pooled['accuracy'][1]:.0%} at 3T on unseen patients. "
    f"With no effect at all, folds by image would report {means['Folds by image']:.0%} where folds by patient report {means['Folds by patient']:.0%}."
)

# %%
second = brains["3T"]
page.made_of(
    second_cohort=f"{second.name}: {len(second)} scans, digest {second.digest}",
    null_cohort=f"{data.name} without effects: {len(data)} scans, digest {data.digest}",
    amounts=amounts,
    split=f"{amounts.folds} folds by patient, seed {seed}",
)
page.provenance()
