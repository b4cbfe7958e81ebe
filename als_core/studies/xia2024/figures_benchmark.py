"""Figures and tables of training, benchmark and splits by donor (Xia 2024, Fig. 2 and 7, Table 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from als_core.book import interactive
from als_core.cohorts.group_word import DONOR, IMAGE, GroupWord
from als_core.figures.drawn import Drawn, as_written, listed, number, p_value, percent, percent_range
from als_core.figures.primitives import (
    TRAINING,
    VALIDATION,
    confusion_figure,
    confusion_table,
    draw_curves,
    draw_reference,
    draw_rows,
    legend,
    panels,
    percent_axis,
)
from als_core.figures.style import INK, MUTED, house_style
from als_core.refusal import counted
from als_core.statistics.metrics import matthews, mean_matthews_one_against_rest
from als_core.studies.xia2024.figures_data import class_colours
from als_core.studies.xia2024.words import decimal, pretraining, trains_head_only
from als_core.training.recipe import Recipe
from als_core.training.runs import Run


@house_style()
def training_curves(
    name: str, histories: pd.DataFrame, chosen: Sequence[int], majority: float | None
) -> Drawn:
    """Draw loss and accuracy by epoch of every run of one network, with the epoch that was kept.

    Parameters
    ----------
    name : str
        Of the network.
    histories : DataFrame
        One row per run and epoch: run, epoch, train_loss, validation_loss, train_accuracy, validation_accuracy.
    chosen : sequence of int
        Epoch kept by each run.
    majority : float or None
        Share of the validation images in the commonest training class, 0 to 1; None without such images.
    """
    figure, both = panels(2, height=2.9)
    kept = dict(enumerate(chosen))
    validated = majority is not None
    for axes, measure in zip(both, ("loss", "accuracy"), strict=True):
        colours = {f"train_{measure}": TRAINING} | (
            {f"validation_{measure}": VALIDATION} if validated else {}
        )
        chosen_at = {f"validation_{measure}": kept} if validated else {}
        draw_curves(axes, histories, "epoch", colours, group="run", chosen=chosen_at)
        axes.set(xlabel="Epoch", title=measure.capitalize())
    both[0].set_ylabel("Cross-entropy")
    percent_axis(both[1], "y").set_ylim(0, 1.02)
    entries = {"training": ("line", TRAINING)}
    runs = histories.groupby("run")
    marks, validation = "There is no validation part; the weights of the last epoch are kept.", ""
    if validated:
        draw_reference(both[1], majority, along="y")
        entries |= {
            "validation": ("line", VALIDATION),
            "epoch kept": ("dot", VALIDATION),
            "majority class": ("dashed", MUTED),
        }
        marks = (
            "The dot is the epoch whose weights are kept, the dashed line the share of the validation images "
            "that the commonest training class gets right."
        )
        best = listed(percent(value) for value in runs["validation_accuracy"].max())
        validation = (
            f"Best validation accuracy by run: {best}; weights kept of epoch {listed(chosen)}; the majority "
            f"class gets {percent(majority)}. "
        )
    legend(figure, entries)
    last = listed(percent(value) for value in runs["train_accuracy"].last())
    return Drawn(
        figure,
        f"{name}: loss and accuracy by epoch, a line for each run. "
        f"{counted(len(chosen), 'seed').capitalize()} on one split. {marks}",
        f"Two panels of curves over {histories['epoch'].max()} epochs for {counted(len(chosen), 'run')}. "
        f"{validation}"
        f"Training accuracy of the last epoch: {last}.",
        histories.assign(kept=histories["epoch"] == histories["run"].map(kept)),
    )


@house_style()
def validation_curves(histories: pd.DataFrame, majority: float) -> Drawn:
    """Draw validation accuracy by epoch, a panel per network and a line per run (Fig. 2, top).

    histories : columns name, run, epoch, validation_accuracy. majority : as in `training_curves`.
    """
    names = list(dict.fromkeys(histories["name"]))
    figure, grid = panels(len(names), min(3, len(names)), height=1.85, sharey=True)
    for axes, name in zip(grid, names, strict=True):
        own = histories[histories["name"] == name]
        draw_curves(axes, own, "epoch", {"validation_accuracy": VALIDATION}, group="run")
        draw_reference(axes, majority, along="y")
        percent_axis(axes, "y").set(title=name, ylim=(0, 1.02))
    figure.supxlabel("Epoch", fontsize=9, color=INK)
    figure.supylabel("Validation accuracy", fontsize=9, color=INK)
    best = histories.groupby("name", sort=False)["validation_accuracy"].max()
    said = listed(f"{name} {percent(value)}" for name, value in best.items())
    return Drawn(
        figure,
        "Validation accuracy by epoch, a line for each run (Fig. 2, top, in the paper); the dashed line is the majority class.",
        f"{counted(len(names), 'panel')} of curves, one per network. Highest validation accuracy: {said}; "
        f"the majority class gets {percent(majority)}.",
        histories[["name", "run", "epoch", "validation_accuracy"]].assign(majority=majority),
    )


@house_style()
def runs_as_points(runs: pd.DataFrame, table: pd.DataFrame, published: pd.Series | None) -> Drawn:
    """Draw accuracy and Matthews correlation of every run, and the exact interval of the middle run (Fig. 2, middle).

    runs, table : of `benchmark.run_table` and `benchmark.accuracy_table`. published : accuracy, 0 to 1, by
    name, drawn as diamonds; None leaves them out.
    """
    order = table["name"].tolist()
    figure, both = panels(2, height=0.8 + 0.3 * len(order), sharey=True)
    printed = table["name"].map(published) if published is not None else np.nan
    intervals = table[["name", "low", "high"]].assign(printed=printed)
    for axes, measure in zip(both, ("accuracy", "matthews"), strict=True):
        dots = runs[["name", measure]].rename(columns={measure: "value"}).dropna()
        rows = intervals if measure == "accuracy" else intervals[["name"]]
        draw_rows(axes, rows, dots=dots, order=order)
    percent_axis(both[0]).set(xlim=(0, 1.02), xlabel="Accuracy")
    draw_reference(both[1], 0)
    both[1].set(xlim=(min(-0.2, runs["matthews"].min() - 0.05), 1.02), xlabel="Matthews correlation")
    undefined = [
        f"{name} ({counted(n, 'run')})"
        for name, n in runs[runs["matthews"].isna()].groupby("name", sort=False).size().items()
    ]
    notes = [
        "A dot is a run, a line the exact 95 % interval of the middle run (of two, the lower), with images taken as "
        "independent.",
        "Diamonds: accuracy printed in Table 1." if published is not None else "",
        f"No Matthews correlation exists where one class only is predicted: {listed(undefined)}."
        if undefined
        else "",
    ]
    means = listed(f"{name} {percent(mean)}" for name, mean in zip(table["name"], table["mean"], strict=True))
    return Drawn(
        figure,
        " ".join(
            [
                "Accuracy and Matthews correlation of every run on the test part (Fig. 2, middle, in the paper)."
            ]
            + [note for note in notes if note]
        ),
        f"One dot for each run of {len(order)} networks and baselines. Mean accuracy: {means}.",
        runs.merge(intervals, on="name", how="left"),
    )


def runs_to_point_at(runs: pd.DataFrame) -> str:
    """Make every run tell its accuracy when pointed at (HTML). runs: of `benchmark.run_table`."""
    named = runs["name"] + ", run " + (runs["run"] + 1).astype(str)
    counts = runs["correct"].astype(str) + " of " + runs["n"].astype(str) + " images right"
    return interactive.named_points(
        runs.assign(run=named + ", " + counts, percent=100 * runs["accuracy"]),
        x="percent",
        name="run",
        row="name",
        x_label="Accuracy on the test part (%)",
        heading="Which run is it?",
    )


@house_style()
def class_measures(table: pd.DataFrame, classes: Sequence[str]) -> Drawn:
    """Draw sensitivity and specificity of each class, every run a dot (Fig. 2, bottom). table: `benchmark.class_table`."""
    order, colours = list(dict.fromkeys(table["name"])), class_colours(classes)
    shifts = np.linspace(-0.28, 0.28, len(classes)) if len(classes) > 1 else [0.0]
    figure, both = panels(2, height=1.0 + 0.42 * len(order), sharey=True)
    for axes, measure in zip(both, ("sensitivity", "specificity"), strict=True):
        for label, shift in zip(classes, shifts, strict=True):
            dots = table[(table["measure"] == measure) & (table["class"] == label)].dropna(subset="value")
            draw_rows(
                axes, table[["name"]], dots=dots, order=order, shift=shift, spread=0.14, colour=colours[label]
            )
        percent_axis(axes).set(xlabel=measure.capitalize(), xlim=(-0.03, 1.03))
        for place in range(1, len(order)):
            draw_reference(axes, place - 0.5, along="y", kind="dotted")
    legend(figure, {name: ("dot", colours[name]) for name in classes}, columns=min(len(classes), 5))
    means = table.groupby(["measure", "name"], sort=False)["value"].mean(numeric_only=True)["sensitivity"]
    sizes = table[table["measure"] == "sensitivity"].drop_duplicates("class").set_index("class")["n"]
    return Drawn(
        figure,
        "Sensitivity and specificity of each class, a dot for each run (Fig. 2, bottom, in the paper). "
        f"Test images: {listed(f'{n} {as_written(name)}' for name, n in sizes.items())}.",
        "Dots by network, class and run. Mean sensitivity over classes and runs: "
        f"{listed(f'{name} {percent(value)}' for name, value in means.items())}.",
        table,
    )


@house_style()
def confusion_matrices(matrices: Mapping[str, np.ndarray], classes: Sequence[str]) -> Drawn:
    """Draw one confusion matrix per network, counts over all its runs (Fig. 7). matrices: name -> int (C, C)."""
    right = [f"{name} {np.trace(matrix)} of {matrix.sum()}" for name, matrix in matrices.items()]
    return Drawn(
        confusion_figure(matrices, classes),
        "Confusion matrices on the test part, counts added up over runs (Fig. 7 in the paper, which does not say of which run). "
        "Shade and percentages are shares of the true class.",
        f"{counted(len(matrices), 'matrix', 'matrices')} of true by predicted class. Correct over all runs: {listed(right)}.",
        confusion_table(matrices, classes),
    )


@house_style()
def two_questions(table: pd.DataFrame, commoner: float) -> Drawn:
    """Draw how many images are right for ALS or control, and for the kind of ALS, every run a dot.

    table : of `benchmark.question_table`. commoner : share of the test images that always naming the commoner of ALS and
    control gets right.
    """
    order = list(dict.fromkeys(table["name"]))
    figure, both = panels(2, height=0.8 + 0.3 * len(order), sharey=True)
    for axes, (question, part) in zip(both, table.groupby("question", sort=False), strict=True):
        dots = part.dropna(subset="value")
        draw_rows(axes, part[["name"]], dots=dots, order=order)
        percent_axis(axes).set(title=question, xlim=(0, 1.02), xlabel="Images right")
    draw_reference(both[0], commoner)
    draw_reference(both[1], 0.5)
    means = table.groupby(["question", "name"], sort=False)["value"].mean().dropna()
    spoken = [
        f"{question}: {listed(f'{name} {percent(value)}' for name, value in means[question].items())}"
        for question in dict.fromkeys(table["question"])
    ]
    return Drawn(
        figure,
        "Images right when the three classes are read as two questions, a dot for each run. Left: ALS or control; "
        f"the dashed line, {percent(commoner)}, is always naming the commoner. Right: concordant or discordant, "
        "among ALS images that were predicted to be ALS; the dashed line is guessing.",
        f"Two panels of dots by network. {'; '.join(spoken)}.",
        table,
    )


def stage_rows(stages: pd.DataFrame) -> pd.DataFrame:
    """Format `models.cost.describe`: the stages of a network and how many of their parameters train."""
    return pd.DataFrame(
        {
            "Stage": stages["stage"],
            "What it is": stages["kind"],
            "Output": ["×".join(map(str, shape[1:])) for shape in stages["output_shape"]],
            "Parameters": [f"{count:,}" for count in stages["parameters"]],
            "Train": [
                f"{train:,}" if train else "frozen" if count else "no parameters"
                for train, count in zip(stages["trainable"], stages["parameters"], strict=True)
            ],
        }
    )


def run_sizes(runs_by_network: Mapping[str, Sequence[Run]]) -> dict[str, str]:
    """Say in a few words which runs those of each network are, by its name: recorded or not, and of which image side."""
    named = {}
    for runs in runs_by_network.values():
        recipe = Recipe.from_data(runs[0].about["recipe"])
        full = "published size" if not recipe.reduced_from else f"{recipe.side} px"
        named[recipe.name] = f"{'recorded' if runs[0].recorded else 'profile'}, {full}"
    return named


def run_sources(runs_by_network: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """List which runs of each network a page shows: recorded or of the profile, sizes, weights, number."""
    rows = []
    for runs in runs_by_network.values():
        about, recipe = runs[0].about, Recipe.from_data(runs[0].about["recipe"])
        rows.append(
            {
                "Network": recipe.name,
                "Runs": f"{len(runs)}, {'recorded' if runs[0].recorded else 'of this profile'}",
                "Image side": f"{recipe.side} px",
                "Epochs": recipe.epochs,
                "Training images": about["training_images"],
                "Starting weights": pretraining(runs[0]),
                "What trains": "the head only" if trains_head_only(recipe) else listed(recipe.trains),
                "Computed in": recipe.precision + (", compiled" if recipe.compiled else ""),
            }
        )
    return pd.DataFrame(rows)


def ablation_rows(runs_by_name: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """List accuracy on the test part by recipe: images right by run, and their mean."""
    rows = []
    for name, runs in runs_by_name.items():
        counts = [run.confusion() for run in runs]
        right = [int(np.trace(each)) for each in counts]
        n = int(counts[0].sum())
        rows.append(
            {
                "Recipe": name,
                "Runs": len(runs),
                f"Right of {n}, by run": ", ".join(map(str, right)),
                "Mean": _tenth(float(np.mean(right)) / n),
            }
        )
    return pd.DataFrame(rows)


def as_share(printed: pd.Series | None) -> pd.Series | None:
    """Turn printed percentages into shares, 0 to 1."""
    return None if printed is None else printed.str.rstrip("%").astype(float) / 100


def _frozen_batch_norm(run: Run, parameters: tuple[int, int]) -> str:
    """Say what the batch norm of frozen stages does. parameters: how many train, and how many there are."""
    how = run.about["recipe"].get("batch_norm", "eval")
    if parameters[0] == parameters[1]:
        return "no stage is frozen"
    if how == "train":
        return "follows the batches"
    if how == "adapt" or run.about["weights"] == "random":
        return "measured once on the training images, then kept"
    return "keeps the statistics of its pretraining"


def training_card(runs: Sequence[Run], reason: str, parameters: tuple[int, int]) -> pd.DataFrame:
    """List how the runs of one recipe were trained, in two columns.

    reason : why runs that are trained here start from these weights. parameters : how many train, and how many there are.
    """
    about = runs[0].about
    reason = about["weights_sentence"] if runs[0].recorded else reason
    recipe = Recipe.from_data(about["recipe"])
    images, parts = about["training_images"], about["samples"]
    steps = math.ceil(images / recipe.batch_size)
    frozen = about["cached_prefix"]
    rows = {
        "Recipe": about["title"],
        "Trains": f"{', '.join(recipe.trains)}: {parameters[0]:,} of {parameters[1]:,} parameters",
        "Starts from": f"{pretraining(runs[0])}. {reason}",
        "Batch norm of frozen stages": _frozen_batch_norm(runs[0], parameters),
        "Optimiser": f"{recipe.optimizer}, learning rate {decimal(recipe.learning_rate)}, "
        f"weight decay {decimal(recipe.weight_decay)}",
        "Length": f"{recipe.epochs} epochs of {steps} steps, {recipe.batch_size} images a step",
        "Images": f"{images} to train on ({parts['train']} samples, {recipe.copies} of each), "
        f"{parts.get('validation', 0)} to validate, {parts['test']} to test, {recipe.side} × {recipe.side} pixels",
        "Weights kept": f"those of {about['checkpoint_rule']}",
        "Computed once per image": ", ".join(frozen) or "nothing",
        "Device": f"{about['device']}, {recipe.precision}",
    }
    return pd.DataFrame({"What": list(rows), "How": list(rows.values())})


def run_rows(runs: Sequence[Run]) -> pd.DataFrame:
    """List each run: its seed, the epoch kept, correct predictions on both parts, and two Matthews correlations.

    The first is the usual one for several classes, the second the mean over classes that the released code computes.
    """
    rows = []
    for run in runs:
        counts = {part: run.confusion(part) for part in ("validation", "test")}
        right = {part: f"{np.trace(each)} of {each.sum()}" for part, each in counts.items()}
        rows.append(
            {
                "Seed": run.about["seed"],
                "Epoch kept": f"{run.about['chosen_epoch']} of {len(run.history)}",
                "Correct, validation": right["validation"],
                "Correct, test": right["test"],
                "Classes predicted, test": f"{(counts['test'].sum(0) > 0).sum()} of {len(run.classes)}",
                "MCC": number(float(matthews(counts["test"]))),
                "MCC, class against rest": number(float(mean_matthews_one_against_rest(counts["test"]))),
            }
        )
    return pd.DataFrame(rows)


def accuracy_rows(
    table: pd.DataFrame,
    published: pd.Series | None,
    unit: GroupWord = DONOR,
    sizes: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Format `benchmark.accuracy_table`: percentages as text, counts of each run.

    published : accuracy as printed, text by name; None leaves the column out. unit: images leave out the interval over
    groups. sizes : `run_sizes`; None leaves the column out.
    """
    rows = pd.DataFrame({"Model": table["name"]})
    if sizes is not None:
        rows["Runs"] = table["name"].map(sizes).fillna("")
    if published is not None:
        rows["Published"] = table["name"].map(published).fillna("")
    (n,) = table["n"].unique()
    rows[f"Correct of {n}, by run"] = table["correct"].map(lambda counts: ", ".join(map(str, counts)))
    for column in ("mean", "median", "sd"):
        rows[{"sd": "SD"}.get(column, column.capitalize())] = table[column].map(_tenth)
    run = "middle run (of two, the lower)" if table["correct"].map(len).mod(2).eq(0).any() else "middle run"
    rows[f"95 % of the {run}, images independent"] = _ranges(table, "low", "high")
    if unit != IMAGE:
        rows[f"95 % of the mean, {unit.many} resampled"] = _ranges(table, "group_low", "group_high")
    return rows


def paired_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Format `benchmark.paired_table`: the difference in points, p by run and of the mean."""
    least, greatest = (table[column].map(p_value) for column in ("mcnemar_least", "mcnemar_greatest"))
    return pd.DataFrame(
        {
            "Comparison": table["first"] + " against " + table["second"],
            "Difference, points": [number(100 * value, 1, signed=True) for value in table["difference"]],
            "McNemar p, by run": least.where(least == greatest, least + " to " + greatest),
            "p of the mean": table["p"].map(p_value),
        }
    )


def _tenth(share: float) -> str:
    return percent(share, 1)


def _ranges(table: pd.DataFrame, low: str, high: str) -> list[str]:
    return [percent_range(*ends, digits=1) for ends in zip(table[low], table[high], strict=True)]
