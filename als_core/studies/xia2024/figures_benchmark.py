"""Figures and tables of training and benchmark (Xia 2024, Fig. 2 and 7, Table 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from als_core.figures.style import INK, MUTED, PALETTE, WIDTH, house_style
from als_core.studies.xia2024.figures_data import class_colours
from als_core.training.recipe import Recipe
from als_core.training.runs import Run

TRAINING, VALIDATION = PALETTE[1], PALETTE[0]
DEEPEST = 0.6  # opacity of a full cell: text on it reads on light and on dark pages


@house_style()
def training_curves(histories: pd.DataFrame, chosen: Sequence[int], majority: float) -> Figure:
    """Loss and accuracy by epoch of every run of one network, training and validation, the kept epoch as a dot.

    histories: columns run, epoch, and those of `training.course.HISTORY`. chosen: epoch kept by each run.
    majority: share of validation images in the commonest training class, 0 .. 1.
    """
    figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    for axes, measure in ((loss, "loss"), (accuracy, "accuracy")):
        for part, colour in (("train", TRAINING), ("validation", VALIDATION)):
            for run, history in histories.groupby("run"):
                values = history[f"{part}_{measure}"]
                few = "o" if len(history) < 3 else ""
                axes.plot(history["epoch"], values, color=colour, linewidth=1.2, alpha=0.85, marker=few)
                if part == "validation":
                    kept = history["epoch"] == chosen[run]
                    axes.plot(history["epoch"][kept], values[kept], "o", color=colour, markersize=6)
        axes.set(xlabel="Epoch", title=f"{measure.capitalize()}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
    loss.set_ylabel("Cross-entropy")
    accuracy.set(ylim=(0, 1.02))
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    accuracy.axhline(majority, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    handles = [
        Line2D([], [], color=TRAINING, label="training"),
        Line2D([], [], color=VALIDATION, label="validation"),
        Line2D([], [], color=VALIDATION, marker="o", linestyle="", label="epoch kept"),
        Line2D([], [], color=MUTED, linestyle=(0, (4, 3)), linewidth=1, label="majority class"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    plt.close(figure)
    return figure


@house_style()
def validation_curves(histories: pd.DataFrame, majority: float) -> Figure:
    """Fig. 2, top: validation accuracy by epoch, a panel a network and a line a run.

    histories: columns name, run, epoch, validation_accuracy. majority: as in `training_curves`.
    """
    names = list(dict.fromkeys(histories["name"]))
    columns = 3
    lines = math.ceil(len(names) / columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(WIDTH, 0.3 + 1.75 * lines), sharey=True, squeeze=False
    )
    for axes in grid.ravel()[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(grid.ravel(), names, strict=False):
        for _, history in histories[histories["name"] == name].groupby("run"):
            few = "o" if len(history) < 3 else ""
            axes.plot(
                history["epoch"], history["validation_accuracy"], color=VALIDATION, linewidth=1.1, alpha=0.7, marker=few, markersize=3,
            )  # fmt: skip
        axes.axhline(majority, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
        axes.set(title=name, ylim=(0, 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="y")
    for axes in grid[-1]:
        axes.set_xlabel("Epoch")
    for axes in grid[:, 0]:
        axes.set_ylabel("Validation accuracy")
    plt.close(figure)
    return figure


@house_style()
def runs_as_points(runs: pd.DataFrame, table: pd.DataFrame, published: pd.Series | None) -> Figure:
    """Fig. 2, middle: accuracy and Matthews correlation of every run as a point, the exact interval as a line.

    runs: from `training.benchmark.run_table`. table: from `accuracy_table`. published: accuracy, 0 .. 1,
    by name, drawn as diamonds; None leaves them out.
    """
    names = table["name"].tolist()
    places = {name: place for place, name in enumerate(names)}
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 0.8 + 0.3 * len(names)), sharey=True)
    at = runs["name"].map(places) + _fanned(runs)
    panels[0].hlines(range(len(names)), table["low"], table["high"], color=MUTED, linewidth=1)
    if published is not None:
        ours = published[published.index.isin(names)]
        panels[0].plot(ours, ours.index.map(places), "D", color=PALETTE[1], fillstyle="none", markersize=7)
    for axes, measure, label in zip(
        panels, ("accuracy", "matthews"), ("Accuracy", "Matthews correlation"), strict=True
    ):
        axes.plot(runs[measure], at, "o", color=PALETTE[0], markersize=4.5, alpha=0.85)
        axes.set(xlabel=label, yticks=range(len(names)), yticklabels=names)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    panels[0].xaxis.set_major_formatter(PercentFormatter(1))
    panels[0].set(xlim=(0, 1.02), ylim=(len(names) - 0.4, -0.6))
    panels[1].axvline(0, color=MUTED, linewidth=0.8)
    panels[1].set_xlim(min(-0.2, runs["matthews"].min() - 0.05), 1.02)
    figure.get_layout_engine().set(
        wspace=0.06
    )  # room between the 100 % of the left and the least of the right
    plt.close(figure)
    return figure


@house_style()
def class_measures(table: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Fig. 2, bottom: sensitivity and specificity of each class, every run a point.

    table: from `training.benchmark.class_table`.
    """
    names = list(dict.fromkeys(table["name"]))
    colours = class_colours(classes)
    offsets = dict(
        zip(classes, np.linspace(-0.28, 0.28, len(classes)) if len(classes) > 1 else [0], strict=True)
    )
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 1.0 + 0.42 * len(names)), sharey=True)
    for axes, measure in zip(panels, ("sensitivity", "specificity"), strict=True):
        for label in classes:
            rows = table[(table["measure"] == measure) & (table["class"] == label)]
            at = rows["name"].map(names.index) + offsets[label]
            axes.plot(rows["value"], at, "o", color=colours[label], markersize=4, alpha=0.85)
        axes.set(xlabel=measure.capitalize(), xlim=(-0.03, 1.03), yticks=range(len(names)), yticklabels=names)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        for place in range(1, len(names)):
            axes.axhline(place - 0.5, color=MUTED, linewidth=0.4, alpha=0.5)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    panels[0].set_ylim(len(names) - 0.45, -0.55)
    handles = [Line2D([], [], marker="o", linestyle="", color=colours[name], label=name) for name in classes]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(classes), 5))
    plt.close(figure)
    return figure


@house_style()
def confusion_matrices(matrices: dict[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Fig. 7: one matrix a network, rows the true class; shade and percent are shares of the row.

    matrices: name to int (C, C), counts over all runs.
    """
    columns = 3
    lines = math.ceil(len(matrices) / columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(WIDTH, 0.5 + 2.3 * lines), sharex=True, sharey=True, squeeze=False
    )
    for axes in grid.ravel()[len(matrices) :]:
        axes.set_axis_off()
    size = 8.5 if len(classes) < 5 else 8
    for axes, (name, matrix) in zip(grid.ravel(), matrices.items(), strict=False):
        shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        for (true, answered), share in np.ndenumerate(shares):
            corner = (answered - 0.48, true - 0.48)
            axes.add_patch(
                plt.Rectangle(corner, 0.96, 0.96, color=PALETTE[0], alpha=DEEPEST * share, linewidth=0)
            )
            text = f"{matrix[true, answered]}" + (f"\n{share:.0%}" if len(classes) < 5 else "")
            axes.text(answered, true, text, ha="center", va="center", color=INK, fontsize=size)
        axes.set(title=name, xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5), aspect="equal")
        axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    figure.supxlabel("Answered class", fontsize=9)
    figure.supylabel("True class", fontsize=9)
    plt.close(figure)
    return figure


BATCH_NORM = {
    "eval": "keeps the statistics it came with",
    "adapt": "measured once on the training images, then kept",
    "train": "follows the batches",
}


def training_card(runs: Sequence[Run], reason: str, parameters: tuple[int, int]) -> pd.DataFrame:
    """How the runs of one recipe were trained, as rows of two columns.

    reason: why they start from these weights. parameters: how many train, and how many there are.
    """
    about = runs[0].about
    recipe = Recipe.from_data(about["recipe"])
    images, parts = about["training_images"], about["samples"]
    steps = math.ceil(images / recipe.batch_size)
    frozen = about["cached_prefix"]
    rows = {
        "Recipe": about["title"],
        "Trains": f"{', '.join(recipe.trains)}: {parameters[0]:,} of {parameters[1]:,} parameters",
        "Starts from": f"{about['weights']} weights. {reason}",
        "Batch norm of frozen stages": BATCH_NORM[recipe.batch_norm],
        "Optimiser": f"{recipe.optimizer}, learning rate {recipe.learning_rate:g}, weight decay {recipe.weight_decay:g}",
        "Amount": f"{recipe.epochs} epochs of {steps} steps, {recipe.batch_size} images a step",
        "Images": f"{images} to train on ({parts['train']} samples, {recipe.copies} of each), {parts.get('validation', 0)} to validate, {parts['test']} to test, {recipe.side} × {recipe.side} pixels",
        "Weights kept": f"those of {about['checkpoint_rule']}",
        "Computed once per image": ", ".join(frozen) or "nothing",
        "Device": f"{about['device']}, {recipe.precision}",
    }
    return pd.DataFrame({"What": list(rows), "How": list(rows.values())})


def run_rows(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run: its seed, the epoch kept, and right answers on the validation and test parts."""
    rows = []
    for run in runs:
        counts = {part: run.confusion(part) for part in ("validation", "test")}
        right = {part: f"{np.trace(each)} of {each.sum()}" for part, each in counts.items()}
        answered = (counts["test"].sum(0) > 0).sum()
        rows.append(
            {
                "Seed": run.about["seed"],
                "Epoch kept": f"{run.about['chosen_epoch']} of {len(run.history)}",
                "Right, validation": right["validation"],
                "Right, test": right["test"],
                "Classes answered, test": f"{answered} of {len(run.classes)}",
            }
        )
    return pd.DataFrame(rows)


def accuracy_rows(table: pd.DataFrame, published: pd.Series | None) -> pd.DataFrame:
    """`training.benchmark.accuracy_table` as a reader wants it: percentages as text, counts of each run.

    published: accuracy as printed, text by name; None leaves the column out.
    """
    rows = pd.DataFrame({"Model": table["name"]})
    if published is not None:
        rows["Published"] = table["name"].map(published).fillna("")
    (n,) = table["n"].unique()
    rows[f"Right of {n}, by run"] = table["correct"].map(lambda counts: ", ".join(map(str, counts)))
    for column in ("mean", "median"):
        rows[column.capitalize()] = table[column].map(percent)
    rows["SD"] = table["sd"].map(percent)
    rows["Least to greatest"] = _range(table["least"], table["greatest"])
    rows["95 %, images independent"] = _range(table["low"], table["high"])
    if table["group_low"].notna().any():
        rows["95 %, over donors"] = _range(table["group_low"], table["group_high"])
    return rows


def paired_rows(table: pd.DataFrame) -> pd.DataFrame:
    """`training.benchmark.paired_table` as a reader wants it."""
    return pd.DataFrame(
        {
            "First": table["first"],
            "Second": table["second"],
            "Difference": table["difference"].map(lambda value: f"{100 * value:+.1f} points"),
            "McNemar p, run by run": [
                p_value(least) if least == greatest else f"{p_value(least)} to {p_value(greatest)}"
                for least, greatest in zip(table["mcnemar_least"], table["mcnemar_greatest"], strict=True)
            ],
            "p of the mean": table["p"].map(p_value),
        }
    )


def confusion_rows(name: str, matrix: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """A confusion matrix as rows: name, true, answered, count."""
    rows = [
        (name, classes[true], classes[answered], count) for (true, answered), count in np.ndenumerate(matrix)
    ]
    return pd.DataFrame(rows, columns=["name", "true", "answered", "count"])


def recorded_rows(recorded: Sequence[Sequence[Run]]) -> pd.DataFrame:
    """One row a recipe of which runs were recorded: what it is, on what, with what, and its right answers by run."""
    rows = []
    for runs in recorded:
        about, counts = runs[0].about, [run.confusion("test") for run in runs]
        shares = [np.trace(each) / each.sum() for each in counts]
        rows.append(
            {
                "Recipe": about["title"],
                "Cohort": about["cohort"],
                "Split": about["split"],
                "Weights": about["weights"],
                "Device": about["device"],
                "Right, by run": ", ".join(str(np.trace(each)) for each in counts) + f" of {counts[0].sum()}",
                "Mean": percent(float(np.mean(shares))),
                "Date": min(run.about["began"] for run in runs)[:10],
            }
        )
    return pd.DataFrame(rows)


def percent(share: float) -> str:
    """A share as a percentage with one decimal; empty for NaN."""
    return "" if math.isnan(share) else f"{100 * share:.1f}"


def p_value(p: float) -> str:
    """A p value with two digits that count."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _range(low: pd.Series, high: pd.Series) -> list[str]:
    return [
        "" if math.isnan(a) else percent(a) if a == b else f"{percent(a)} to {percent(b)}"
        for a, b in zip(low, high, strict=True)
    ]


def _fanned(runs: pd.DataFrame) -> np.ndarray:
    """Offsets that keep the runs of one name apart, centred on 0."""
    counts = runs.groupby("name")["run"].transform("count")
    return ((runs["run"] - (counts - 1) / 2) * 0.45 / counts.clip(lower=2)).to_numpy()
