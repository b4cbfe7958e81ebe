"""Tables of the pages on the Alzheimer slides: printed counts and sums, layers, accuracies, predictions,
brain areas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from als_core.claims.published import published_table
from als_core.figures.drawn import number
from als_core.studies.brains.training import by_patient, clustered_accuracy
from als_core.studies.panagiotaras.audit import FIELDS, accuracy_of, spread_of

SLUGS = {"1.5T": "1_5t", "3T": "3t"}  # of a field strength in claim ids
SHARES = (
    "Images and patients in the two parts of the printed split, with their sums and shares. *Printed "
    "numbers only.*"
)
NETWORK = (
    "The published network for this book's template of 197 × 233 × 189 voxels, stage by stage. The slices that the slides "
    "name (193 × 229 × 193) give a first dense layer of the same width."
)
STEPS = "What was done to the first scan that the network learns from."
ACCURACIES = (
    "Accuracy over scans, with its 95 % interval over patients, and over patients (the mean over a patient's scans "
    "decides), and the mean and standard deviation (SD) over folds."
)
PREDICTIONS = (
    "The prediction for each scan, by the network of the fold in which its patient was held out. *Share* is the "
    "network's softmax output for that label."
)
LITERATURE = (
    "Earlier classifiers of AD against controls, as the slides list them; their accuracies come from other "
    "data and other ways of splitting. *Printed numbers only.*"
)

LIKENESS = "How alike the average maps of patients and of controls are, over the voxels of the brain."
TWIN_LIKENESS = (
    "How alike the average maps of patients are by the network and by its twin that learned permuted labels, "
    "over the voxels of the brain. Close to 1, a map owes little to what the network learned of the disease."
)
AREAS = "The twelve areas with most relevance for their size, in patients; the figure's data hold all areas."
LEADERBOARD = (
    "The four methods on the leaderboard for synthetic brains: overlap with the true effect in the same "
    "brain (Dice area, share of the best possible, with its 95 % interval over patients), the overlap of "
    "its nulls, and the checks it fails."
)


def likeness(alike: pd.DataFrame) -> pd.DataFrame:
    """Correlations of `heatmaps.likeness` with headers in words."""
    heads = {"method": "Method", "spearman": "Spearman correlation", "pearson": "Pearson correlation"}
    return alike.rename(columns=heads).round(3)


def leading_areas(table: pd.DataFrame, patients: str) -> pd.DataFrame:
    """The areas with most relevance for their size in patients, by method, with their sizes."""
    own = table[table["label"] == patients].pivot(index="area", columns="method", values="concentration")
    leading = own.assign(Mean=own.mean(axis=1)).sort_values("Mean", ascending=False).round(2).head(12)
    sizes = table.groupby("area")["millilitres"].first().round(1)
    return leading.assign(**{"Size (ml)": sizes}).rename_axis("Area").reset_index().rename_axis(columns=None)


def data_tables() -> pd.Series:
    """Every cell of both data tables, from the counts of each that are no sums: field, unit, class, part ->
    n.
    """
    wide = _parts().unstack("class").assign(all=lambda table: table.sum(axis=1)).stack().unstack("split")
    return wide.assign(All=wide.sum(axis=1)).stack()


def split_shares() -> pd.DataFrame:
    """The two parts of the printed split with their sums and shares."""
    wide = _parts().unstack(["split", "class"])
    wide.columns = [f"{part} {label}" for part, label in wide.columns]
    sums = {part: wide[[f"{part} AD", f"{part} CN"]].sum(axis=1) for part in ("Train", "Validation")}
    ill = {f"AD in {part.lower()} (%)": (100 * wide[f"{part} AD"] / n).round(1) for part, n in sums.items()}
    held = (100 * sums["Validation"] / sum(sums.values())).round(1)
    wide = wide.assign(Sum=sum(sums.values()), **ill, **{"Share in validation (%)": held})
    return wide.reset_index().rename(columns={"field_strength": "Field", "unit": "Unit"})


def _parts() -> pd.Series:
    counts = published_table("panagiotaras_data_statistics")
    counts = counts.set_index(["field_strength", "split", "unit", "class"])["n"]
    return counts.drop(index="All", level="split").drop(index="all", level="class")


def data_claims(sums: pd.Series) -> dict[str, int]:
    """The cells of `data_tables` by claim id."""
    return {
        f"panagiotaras.data.{SLUGS[field]}.{part}.{label}.{unit}".lower(): int(n)
        for (field, unit, label, part), n in sums.items()
    }


def layers(description: pd.DataFrame) -> pd.DataFrame:
    """The stages of a network (`models.cost.describe`) as a reader sees them."""
    shapes = [" × ".join(map(str, shape[1:])) for shape in description["output_shape"]]
    table = description[["stage", "kind", "output_shape", "parameters"]].assign(output_shape=shapes)
    return table.set_axis(["Stage", "Layers", "Output", "Parameters"], axis=1)


def accuracies(
    predictions: pd.DataFrame, generator: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy at each field strength with its interval over patients, and of each fold.

    predictions: of `training.predict`, with columns fold and field. Printed values are NaN where the slides
    have none.
    """
    rows, folds = [], []
    for field, own in predictions.groupby("field", sort=False):
        value, interval = clustered_accuracy(own, generator)
        right = own["label"] == own["predicted"]
        each = right.groupby(own["fold"]).mean()
        patients = by_patient(own)
        folds.append(pd.DataFrame({"field": field, "accuracy": each}))
        rows.append(
            {
                "field": field, "scans": len(own), "patients": len(patients), "accuracy": value,
                "low": interval.low, "high": interval.high,
                "majority": own["label"].value_counts(normalize=True).max(),
                "by_patient": (patients["label"] == patients["predicted"]).mean(),
                "fold_mean": each.mean(), "fold_sd": each.std(),
                "printed": accuracy_of(field) if field in FIELDS else np.nan,
                "spread": spread_of(field) if field in FIELDS else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows), pd.concat(folds, ignore_index=True)


def rounded(pooled: pd.DataFrame) -> pd.DataFrame:
    """The accuracies with headers in words and two digits."""
    heads = {"field": "Field", "scans": "Scans", "patients": "Patients", "accuracy": "Accuracy",
             "interval": "95 % interval", "majority": "Always the commonest label",
             "by_patient": "Accuracy by patient", "fold_mean": "Mean over folds", "fold_sd": "SD over folds",
             "printed": "Printed", "spread": "Printed after ±"}  # fmt: skip
    ends = zip(pooled["low"], pooled["high"], strict=True)
    named = pooled.assign(interval=[f"{number(low)} to {number(high)}" for low, high in ends])
    return named[list(heads)].rename(columns=heads).round(2)


def accuracy_claims(pooled: pd.DataFrame) -> dict[str, float]:
    """Mean and spread over folds by claim id; nothing for scans of other field strengths."""
    known = pooled[pooled["field"].isin(SLUGS)]
    values = {}
    for row in known.itertuples():
        values[f"panagiotaras.results.{SLUGS[row.field]}.accuracy"] = row.fold_mean
    for row in known.itertuples():
        values[f"panagiotaras.results.{SLUGS[row.field]}.accuracy_spread"] = row.fold_sd
    means = known.set_index("field")["fold_mean"]
    if set(means.index) >= {"1.5T", "3T"}:
        values["panagiotaras.slide_classification.accuracy_1_5t_minus_3t.accuracy"] = (
            means["1.5T"] - means["3T"]
        )
    return values


def per_scan(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Each scan's label and prediction by name."""
    names = np.array(classes)
    table = predictions.assign(label=names[predictions["label"]], predicted=names[predictions["predicted"]])
    columns = {"field": "Field", "patient": "Patient", "scan": "Scan", "fold": "Fold", "label": "Label",
               "predicted": "Predicted", "share": f"Share of {classes[0]}"}  # fmt: skip
    return table[list(columns)].rename(columns=columns).round(2)


def literature() -> pd.DataFrame:
    """Earlier studies as the slides list them."""
    table = published_table("panagiotaras_literature_table").drop(columns="row")
    heads = [
        "Authors",
        "Method",
        "Modalities",
        "What is looked at",
        "Data",
        "n",
        "Accuracy, AD against controls",
    ]
    return table.set_axis(heads, axis=1)
