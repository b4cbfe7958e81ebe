"""Figures of the crops study (Miao et al., Fig.

6, 7, 9 to 17), each with its caption, alternative text and data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from als_core.cohorts.group_word import CASE, GroupWord
from als_core.figures.drawn import Drawn, as_written, listed, number, percent
from als_core.figures.pictures import flow_chart, image_grid
from als_core.figures.primitives import (
    draw_bars,
    draw_cells,
    draw_curves,
    draw_distributions,
    draw_reference,
    draw_rows,
    legend,
    panels,
    percent_axis,
)
from als_core.figures.style import INK, MUTED, PALETTE, house_style
from als_core.refusal import counted
from als_core.studies.miao2023.chain import GAN, INPUTS, MEASURED, RAW
from als_core.studies.miao2023.checks import PERMUTED
from als_core.studies.miao2023.filters import AFFINE_LIMITS, FILTERS
from als_core.studies.miao2023.networks import CROP_NETWORKS
from als_core.studies.miao2023.protocol import (
    BY_CASE,
    BY_CROP,
    COPIES_FIRST,
    CROSS_VALIDATED,
    SuperResolution,
    shown_as,
)
from als_core.studies.miao2023.restoration import Counted

COLOURS = {
    BY_CASE: PALETTE[0],
    BY_CROP: PALETTE[2],
    CROSS_VALIDATED: PALETTE[3],
    COPIES_FIRST: PALETTE[1],
    PERMUTED: PALETTE[6],
}
COUNT_COLOURS = {"found": PALETTE[2], "missed": MUTED, "spot outside aggregates": PALETTE[4]}
METHODS = {
    "nearest": "Nearest neighbour",
    "bicubic": "Bicubic",
    "content": "Generator, content loss",
    "adversarial": "Generator, adversarial",
}
"""Display name of each method of enlarging."""
INPUT_NAMES = {
    RAW: "Crop as recorded",
    **{name: each.title for name, each in FILTERS.items()},
    "bicubic": "Reduced, then bicubic",
    GAN: "Reduced, then GAN",
}
"""Display name of each input of the chain."""
TITLES = {name: entry.display for name, entry in CROP_NETWORKS.items()} | {MEASURED: "Measured features"}
PIPELINE = (
    ("Crops", "39 of post-mortem\ntissue, TDP-43"),
    ("Filters", "Gaussian, median,\nmean, equalisation"),
    ("Super-resolution", "a generative\nadversarial network"),
    ("Copies", "rotated, shifted, scaled,\nuntil classes are equal"),
    ("Split", "70 % training,\n30 % test"),
    ("Networks", "VGG16, ResNet50,\nMobileNetV3"),
    ("Prediction", "ALS or not, for\neach image"),
    ("Measures", "sensitivity, specificity,\naccuracy, AUC"),
)
"""The steps of the study, in the order of its sections."""


def pipeline() -> Drawn:
    """Draw the steps of the study, in place of its Fig. 9."""
    caption = (
        "The study's pipeline, in place of Fig. 9. The text names the split before the copies and does "
        "not say that this was the order, which matters: see {ref}`miao-leak`."
    )
    alt = f"Eight boxes joined by arrows: {listed(heading.lower() for heading, _ in PIPELINE)}."
    table = pd.DataFrame(PIPELINE, columns=["step", "content"]).replace("\n", " ", regex=True)
    return Drawn(flow_chart(PIPELINE), caption, alt, table)


@house_style()
def listing(samples: pd.DataFrame) -> Drawn:
    """Draw Fig. 6: a column per case, a square per crop. samples: columns path, label and group."""
    labels = sorted(samples["label"].unique())
    most = samples["group"].value_counts().max()
    widest = samples.groupby("label")["group"].nunique().max()
    figure, axes = panels(len(labels), 1, height=1.35)
    for one, label, colour in zip(axes, labels, PALETTE, strict=False):
        sizes = samples[samples["label"] == label].groupby("group").size()
        for x, count in enumerate(sizes):
            one.scatter([x] * count, np.arange(count), marker="s", s=70, color=colour)
        one.set_xticks(range(len(sizes)), sizes.index, rotation=60, ha="right", fontsize=8)
        one.set(xlim=(-0.6, widest - 0.4), ylim=(-0.6, most - 0.4), yticks=[])
        one.set_title(f"{label}: {counted(sizes.sum(), 'crop')} of {counted(len(sizes), 'case')}")
    sizes = samples["group"].value_counts()
    summary = f"{counted(len(samples), 'crop')} of {counted(len(sizes), 'case')}"
    caption = (
        "The crops that Fig. 6 of the paper lists, by case and class. A column is a case, a square a crop."
    )
    alt = f"Two rows of columns of squares: {summary}, of which {(sizes == 2).sum()} have two crops."
    return Drawn(figure, caption, alt, samples[["path", "label", "group"]])


def example_crops(
    crops: np.ndarray, truth: np.ndarray | None, masks: np.ndarray | None, samples: pd.DataFrame
) -> Drawn:
    """Show crops in a row, below them their specimens and aggregates where known.

    crops, truth : uint8 (n, H, W); masks : bool (n, H, W); samples : rows with path, label and group
    """
    labels = samples["label"].value_counts(sort=False)
    names = listed(f"{counted(n, 'crop')} of {label}" for label, n in labels.items())
    rows, headings = [list(crops)], [f"As recorded: {names}"]
    caption = f"Examples of the crops of this page: {as_written(names)}."
    alt = f"A row of grey images of cells: {names}."
    if truth is not None and masks is not None:
        rows += [list(truth), list((masks * 255).astype(np.uint8))]
        headings += ["Specimen: no blur, no noise", "Aggregates of the specimen"]
        caption += " Below each crop, its noise-free specimen and the mask of its aggregates."
        alt = f"Three rows of images of cells: {names}; below, their noise-free specimens and aggregates."
    return Drawn(_pictures(rows, headings=headings), caption, alt, samples[["path", "label", "group"]])


def filtered(crop: np.ndarray, path: str) -> Drawn:
    """Show Fig. 7: a crop before and after each filter, and a detail of each. crop: uint8 (H, W)."""
    images = {"Before": crop} | {each.title: each(crop) for each in FILTERS.values()}
    window = _around_brightest(crop)
    details = [np.kron(image[window], np.ones((3, 3), np.uint8)) for image in images.values()]
    titles = [[name.replace(" ", "\n", 1) for name in images], [""] * len(images)]
    figure = _pictures([list(images.values()), details], titles=titles)
    caption = (
        "One crop before and after each of the four filters (Fig. 7 of the paper shows the Gaussian filter). "
        "Below, the part around its brightest spot, enlarged three times."
    )
    said = listed(map(_inline, list(images)[1:]))
    alt = f"Five pairs of grey images of one crop: as recorded, and after {said}."
    return Drawn(figure, caption, alt, pd.DataFrame({"image": list(images), "crop": path}))


def filter_effects(table: pd.DataFrame) -> Drawn:
    """Draw what each filter does to every crop.

    table: columns filter, crop, and measures named by their axis.
    """
    measures = [name for name in table if name not in ("filter", "crop")]
    order = list(dict.fromkeys(table["filter"]))
    figure, axes = panels(len(measures), height=0.8 + 0.32 * len(order), sharey=True)
    for one, measure in zip(axes, measures, strict=True):
        draw_distributions(one, table, measure, "filter", order=order)
        one.set_xlabel(measure)
        if table[measure].min() > 0 and table[measure].max() > 20 * table[measure].min():
            one.set_xscale("log")
    medians = table.drop(columns="crop").groupby("filter", sort=False).median()
    said = [
        f"{name}: " + ", ".join(f"{label} {number(value, 1)}" for label, value in row.items())
        for name, row in medians.iterrows()
    ]
    caption = (
        f"What each filter does to all {table['crop'].nunique()} crops. "
        "Boxes: median and quartiles; whiskers from 5 to 95 %."
    )
    return Drawn(figure, caption, f"Box plots, one row for each filter. Medians: {'; '.join(said)}.", table)


def copies(
    original: np.ndarray, reduced: np.ndarray, moved: Sequence[np.ndarray], settings: SuperResolution
) -> Drawn:
    """Show a crop, its low-resolution version and some of its copies, all uint8."""
    limits = (
        f"rotated by up to {AFFINE_LIMITS['rotation']:g} degrees, shifted by up to "
        f"{percent(AFFINE_LIMITS['shift'])} of the side and scaled by up to {percent(AFFINE_LIMITS['scale'])}"
    )
    low = np.kron(reduced, np.ones((settings.factor, settings.factor), np.uint8))
    titles = [["Crop", "Low resolution", *[f"Copy {n + 1}" for n in range(len(moved))]]]
    figure = _pictures([[original, low, *moved]], titles=titles)
    caption = (
        f"A crop, its low-resolution version and {counted(len(moved), 'copy', 'copies')} of it. Low "
        f"resolution: reduced {settings.factor} times, with noise of {settings.noise_sd:g} grey levels. "
        f"Copies: {limits}."
    )
    alt = f"Grey images of one crop: as recorded, coarse and noisy, and copies {limits}."
    data = pd.DataFrame({"transformation": list(AFFINE_LIMITS), "largest": list(AFFINE_LIMITS.values())})
    return Drawn(figure, caption, alt, data)


@house_style()
def super_resolution_losses(history: pd.DataFrame) -> Drawn:
    """Draw losses by step, smoothed over a twentieth of the steps.

    history: of `super_resolution.Generators`.
    """
    window = max(1, history["step"].max() // 20)
    figure, (left, right) = panels(2, height=2.8)
    colours = {"both": MUTED, "content": PALETTE[0], "adversarial": PALETTE[1]}
    parts = dict(list(history.groupby("generator", sort=False)))
    smooth = [
        part.assign(**part[["content", "adversarial", "discriminator"]].rolling(window, min_periods=1).mean())
        for part in parts.values()
    ]
    for part in smooth:
        draw_curves(left, part, "step", {"content": colours[part["generator"].iloc[0]]})
    draw_curves(right, smooth[-1], "step", {"adversarial": PALETTE[1], "discriminator": PALETTE[2]})
    draw_reference(right, np.log(2), along="y")
    left.set(yscale="log", xlabel="Step", ylabel="Mean squared error", title="Content loss")
    right.set(xlabel="Step", ylabel="Cross-entropy (nats)", title="Adversarial losses")
    names = ("both, before they part", "generator, content", "generator, adversarial", "discriminator")
    entries = {name: ("line", c) for name, c in zip(names, [*colours.values(), PALETTE[2]], strict=True)}
    legend(figure, entries | {"chance, ln 2": ("dashed", MUTED)}, columns=5)
    ends = {name: part["content"].tail(window).mean() for name, part in parts.items()}
    caption = (
        f"Losses of the two generators and the discriminator by training step, averaged over {window} steps. "
        "Left: mean squared error, the same for both generators until they part. Right: how well the "
        "discriminator tells true from generated images, and what that costs the generator."
    )
    alt = (
        "Two panels of curves by training step. Mean squared error at the end: "
        f"content {ends['content']:.4f}, adversarial {ends['adversarial']:.4f}; "
        f"it was {history['content'].iloc[0]:.4f} at the first step. Adversarial losses start near ln 2."
    )
    return Drawn(figure, caption, alt, pd.concat(smooth, ignore_index=True))


def enlarged_crops(
    low: np.ndarray,
    by_method: Mapping[str, np.ndarray],
    truth: np.ndarray,
    masks: np.ndarray | None,
    samples: pd.DataFrame,
) -> Drawn:
    """Show crops in rows: low resolution, each method of enlarging, and the truth with outlined aggregates.

    low : uint8 (n, h, w); by_method : method to uint8 (n, H, W); truth, masks : (n, H, W)
    """
    factor = truth.shape[1] // low.shape[1]
    coarse = [np.kron(each, np.ones((factor, factor), np.uint8)) for each in low]
    names = ["Low resolution", *(METHODS[name].replace(", ", ",\n") for name in by_method), "Truth"]
    columns = (coarse, *by_method.values(), truth)
    rows = [[_stretched(images[at], truth[at]) for images in columns] for at in range(len(truth))]
    titles = [names] + [[""] * len(names)] * (len(rows) - 1)
    outlines = None if masks is None else [[*[None] * (len(names) - 1), mask] for mask in masks]
    caption = f"Held-out crops enlarged {factor} times by each method, beside the truth."
    if masks is not None:
        caption += " Aggregates are outlined in the truth."
    said = listed(_inline(name.replace("\n", " ")) for name in names)
    figure = image_grid(rows, titles=titles, outlines=outlines)
    data = pd.concat([samples.assign(image=name.replace("\n", " ")) for name in names], ignore_index=True)
    alt = f"{counted(len(rows), 'row')} of grey images, each of one crop: {said}."
    return Drawn(figure, caption, alt, data)


def restoration(summary: pd.DataFrame, crops: int, cases: int, unit: GroupWord = CASE) -> Drawn:
    """Draw the mean of each measure by method with its interval. summary: of `restoration.summarise`."""
    measures = {"psnr": "PSNR (dB)", "ssim": "SSIM", "sharpness": "Sharpness (truth = 1)"}
    table = summary.assign(name=summary["method"].map(METHODS), value=summary["mean"])
    figure, axes = panels(len(measures), height=0.8 + 0.32 * table["name"].nunique(), sharey=True)
    for one, (measure, label) in zip(axes, measures.items(), strict=True):
        draw_rows(one, table[table["measure"] == measure])
        one.set_xlabel(label)
    mean = summary.pivot(index="method", columns="measure", values="mean").loc[summary["method"].unique()]
    said = [
        f"{METHODS[method]}: " + ", ".join(f"{label} {number(row[key])}" for key, label in measures.items())
        for method, row in mean.iterrows()
    ]
    caption = (
        f"How near each method comes to the truth on {counted(crops, 'held-out crop')}: means with 95 % "
        f"intervals. Intervals come from resampling the {counted(cases, unit.one, unit.many)}."
    )
    alt = f"Dots with intervals, one row for each method. {'; '.join(said)}."
    return Drawn(figure, caption, alt, summary)


def aggregate_counts(counts: pd.DataFrame, crops: int) -> Drawn:
    """Draw aggregates found and missed, and spots outside aggregates.

    counts: index kind of image, columns of `restoration.Counted`.
    """
    figure, (axes,) = panels(1, height=0.9 + 0.34 * len(counts))
    texts = [f"{row.found:g} / {row.missed:g} / {row.invented:g}" for row in counts.itertuples()]
    parts = counts[list(Counted._fields)].set_axis(list(COUNT_COLOURS), axis=1)
    draw_bars(axes, parts, COUNT_COLOURS, texts=texts)
    axes.set_xlabel("Aggregates found / missed / spots outside aggregates")
    legend(figure, {kind: ("patch", colour) for kind, colour in COUNT_COLOURS.items()})
    said = [
        f"{row.Index}: {row.found} found, {row.missed} missed, {row.invented} outside"
        for row in counts.itertuples()
    ]
    caption = (
        f"Aggregates found and missed, and spots outside aggregates, in {counted(crops, 'crop')}, by kind of image. "
        "Found: an aggregate with a bright spot on it; missed: one without."
    )
    if "Truth" in counts.index:
        caption += f" In the truth itself the rule marks {counted(counts.loc['Truth', 'invented'], 'spot')} outside aggregates."
    return Drawn(
        figure, caption, f"Stacked bars. {'; '.join(said)}.", counts.rename_axis("image").reset_index()
    )


@house_style()
def training_log(
    ours: pd.DataFrame,
    printed: pd.DataFrame | None,
    references: Mapping[str, float],
    network: str,
    figure_number: int,
    unit: GroupWord = CASE,
) -> Drawn:
    """Draw loss and accuracy of the training images by epoch, beside the printed log.

    ours : columns learning_rate, batch_size, protocol, number, epoch, loss, accuracy
    printed : columns epoch, loss, accuracy; None where no log is printed
    references : losses to mark, by name
    """
    figure, axes = panels(2, height=3.2)
    protocols = list(dict.fromkeys(ours["protocol"]))
    for one, column, label in zip(axes, ("loss", "accuracy"), ("Loss (nats)", "Accuracy"), strict=True):
        for protocol in protocols:
            part = ours[ours["protocol"] == protocol].rename(columns={column: "value"})
            draw_curves(one, part, "epoch", {"value": COLOURS[protocol]}, group="number", mean=True)
        if printed is not None:
            one.plot(printed["epoch"], printed[column], "o", color=INK, markersize=3.5)
        one.set(xlabel="Epoch", ylabel=label)
    marks = {f"here, {shown_as(protocol, unit)}": ("line", COLOURS[protocol]) for protocol in protocols}
    if printed is not None:
        marks["printed"] = ("dot", INK)
    for kind, (name, value) in zip(("dashed", "dotted"), references.items(), strict=True):
        draw_reference(axes[0], value, along="y", kind=kind)
        marks[name] = (kind, MUTED)
    axes[0].set_ylim(bottom=0)
    legend(figure, marks, columns=3)
    splits = ours.groupby("protocol", sort=False)["number"].nunique()
    drawn = listed(f"{count} {shown_as(protocol, unit)}" for protocol, count in splits.items())
    last = ours[(ours["epoch"] == ours["epoch"].max()) & (ours["protocol"] == BY_CROP)]
    setting = f"learning rate {ours['learning_rate'].iloc[0]:g}, batch size {ours['batch_size'].iloc[0]}"
    beside = f" and as printed in Fig. {figure_number}" if printed is not None else ""
    caption = (
        f"Training log of {network}, here{beside}. Setting: {setting}. Thin lines are splits ({drawn}), thick lines their "
        "means; the numbers compared with the paper are those by crop."
    )
    if printed is None:
        caption += f" Fig. {figure_number} is a picture without numbers."
    alt = (
        f"Loss and accuracy of the training images by epoch. After the last epoch here, by crop: loss "
        f"{number(last['loss'].mean(), 3)}, accuracy {number(last['accuracy'].mean(), 3)}."
    )
    tables = [ours.assign(source="here")]
    if printed is not None:
        tables.append(printed[["epoch", "loss", "accuracy"]].assign(source="printed"))
        alt += f" Printed: loss {printed['loss'].iloc[-1]:.3f}, accuracy {printed['accuracy'].iloc[-1]:.3f}."
    return Drawn(figure, caption, alt, pd.concat(tables, ignore_index=True))


@house_style()
def accuracy_grids(
    grids: Mapping[str, pd.DataFrame], network: str, repeats: int, unit: GroupWord = CASE
) -> Drawn:
    """Draw grids of accuracy side by side. grids: title to a table, batch sizes by learning rates."""
    figure, axes = panels(len(grids), height=2.4, sharey=True)
    for one, (title, grid) in zip(axes, grids.items(), strict=True):
        values = grid.to_numpy(float)
        texts = np.vectorize("{:.3f}".format)(values)
        rates = [f"{rate:g}" for rate in grid.columns]
        draw_cells(one, np.clip((values - 0.3) / 0.7, 0, 1), texts, list(map(str, grid.index)), rates)
        one.set_title(title, fontsize=8.5)
        one.set_xlabel("Learning rate")
        one.tick_params(labelsize=8)
    axes[0].set_ylabel("Batch size")
    means = [f"{title.lower()} {grid.to_numpy().mean():.3f}" for title, grid in grids.items()]
    caption = (
        f"Accuracy of {network} over nine settings: as printed, and here on three kinds of images. "
        f"Here: training images (last epoch), other crops, and other {unit.many}; means of {repeats} splits."
    )
    cells = pd.concat(
        [grid.stack().rename("accuracy").reset_index().assign(grid=title) for title, grid in grids.items()]
    )
    return Drawn(figure, caption, f"Grids of three by three accuracies. Means: {', '.join(means)}.", cells)


@house_style()
def input_accuracies(scores: pd.DataFrame, majority: float, unit: GroupWord = CASE) -> Drawn:
    """Draw the accuracy of the chain by input, with and without a sign of disease.

    scores : columns cohort, network, input, cases, accuracy, low, high
    """
    cohorts = list(dict.fromkeys(scores["cohort"]))
    networks = list(dict.fromkeys(scores["network"]))
    shifts = dict(zip(networks, np.linspace(-0.16, 0.16, len(networks)), strict=True))
    colours = dict(zip(networks, PALETTE, strict=False))
    table = scores.assign(name=scores["input"].astype(str).map(INPUT_NAMES), value=scores["accuracy"])
    order = [INPUT_NAMES[name] for name in INPUTS]
    figure, axes = panels(len(cohorts), height=1.2 + 0.36 * len(order), sharey=True)
    for one, cohort in zip(axes, cohorts, strict=True):
        for network in networks:
            part = table[(table["cohort"] == cohort) & (table["network"] == network)]
            draw_rows(one, part, colour=colours[network], order=order, shift=shifts[network])
        draw_reference(one, 0.5, kind="dotted")
        draw_reference(one, majority)
        one.set(xlabel=f"Accuracy on {unit.many}", xlim=(0, 1.02), title=cohort[0].upper() + cohort[1:])
        percent_axis(one)
    marks = {TITLES[network]: ("interval", colours[network]) for network in networks}
    marks |= {"always the commoner label": ("dashed", MUTED), "chance of equal classes": ("dotted", MUTED)}
    legend(figure, marks, columns=2)
    said = [
        f"{TITLES[network]}, {cohort}: "
        + ", ".join(f"{row.name} {percent(row.value)}" for row in part.itertuples(index=False))
        for (network, cohort), part in table.groupby(["network", "cohort"], sort=False)
    ]
    caption = (
        f"Accuracy on {counted(int(scores['cases'].iloc[0]), unit.one, unit.many)} by input and classifier, in the same "
        "five folds, with and without a sign of disease. Bars are exact 95 % intervals."
    )
    alt = f"Dots with wide intervals by input, in two panels. {'; '.join(said)}."
    return Drawn(figure, caption, alt, scores)


def input_images(
    tested: Mapping[str, np.ndarray], rows: Sequence[int], samples: pd.DataFrame, unit: GroupWord = CASE
) -> Drawn:
    """Show crops as the classifiers of the chain are tested on them, a column per input."""
    names = [INPUT_NAMES[name].replace(" ", "\n", 1).replace(", ", ",\n") for name in tested]
    titles = [names] + [[""] * len(names)] * (len(rows) - 1)
    grid = [[images[row] for images in tested.values()] for row in rows]
    said = "; ".join(_inline(INPUT_NAMES[name]) for name in tested)
    caption = (
        f"The same crops in each input of the chain. The GAN of each crop was trained on other {unit.many}."
    )
    alt = f"{counted(len(rows), 'row')} of grey images, each row one crop: {said}."
    shown = samples.iloc[list(rows)][["path", "label", "group"]]
    data = shown.merge(pd.DataFrame({"input": list(tested)}), "cross")
    return Drawn(_pictures(grid, titles=titles), caption, alt, data)


def prediction_table(table: pd.DataFrame, unit: GroupWord = CASE) -> pd.DataFrame:
    """Name the columns of predictions by case for people."""
    names = {
        "network": "Classifier",
        "number": "Fold",
        "case": unit.one.capitalize(),
        "truth": "ALS",
        "score": "Score of ALS",
    }
    named = table.round(4).rename(columns=INPUT_NAMES | names)
    named["ALS"] = named["ALS"].map({True: "yes", False: "no"})
    return named.replace({"Classifier": TITLES}) if "Classifier" in named else named


def _inline(name: str) -> str:
    """A display name inside a sentence: its first letter small, but for Gauss."""
    return name if name.startswith("Gauss") else name[0].lower() + name[1:]


def _pictures(rows: Sequence[Sequence[np.ndarray]], **words: Sequence) -> Figure:
    """An image grid in which every image has its own scale of grey."""
    return image_grid([[_stretched(image) for image in row] for row in rows], **words)


def _stretched(image: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """Grey levels from 0 to the brightest thousandth of `scale` (default: the image), as uint8."""
    top = max(float(np.quantile(image if scale is None else scale, 0.999)), 1.0)
    return np.clip(image / top * 255, 0, 255).astype(np.uint8)


def _around_brightest(image: np.ndarray) -> tuple[slice, slice]:
    """A third of an image each way, around its brightest spot."""
    spot = np.unravel_index(gaussian_filter(image.astype(float), len(image) / 50).argmax(), image.shape)
    third = len(image) // 3
    starts = [
        int(np.clip(at - third // 2, 0, side - third)) for at, side in zip(spot, image.shape, strict=True)
    ]
    return slice(starts[0], starts[0] + third), slice(starts[1], starts[1] + third)
