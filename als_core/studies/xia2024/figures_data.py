"""Figures and sentences about the tissue study's images: classes, quality, donors, splits (Xia 2024, Fig. 1 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from als_core.book import interactive
from als_core.claims.published import claim_named
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.group_word import DONOR, IMAGE, GroupWord
from als_core.cohorts.quality import AXIS_LABELS
from als_core.cohorts.shortcuts import missing_notices
from als_core.cohorts.splits import PARTS, Split
from als_core.figures.drawn import Drawn, as_written, listed, number, p_value, percent, percent_range
from als_core.figures.pictures import draw_image, halved, image_grid
from als_core.figures.primitives import (
    LONGEST_LINE,
    draw_bars,
    draw_distributions,
    draw_reference,
    draw_rows,
    legend,
    panels,
    wrapped,
)
from als_core.figures.style import INK, MUTED, PALETTE, WIDTH, house_style
from als_core.refusal import counted
from als_core.statistics.separation import Separation
from als_core.studies.xia2024.synthetic import TissueParameters

QUALITY_NAMES = {
    "laplacian_variance": "Sharpness",
    "snr": "Signal-to-noise ratio",
    "brightness_mean": "Brightness",
    "contrast_sd": "Contrast",
}
"""What text calls each measure of `als_core.cohorts.quality`."""

QUALITY_UNITS = {
    "laplacian_variance": "Laplacian variance, levels²",
    "snr": "mean / SD",
    "brightness_mean": "levels, 0 to 255",
    "contrast_sd": "SD, levels",
}

SLIDES_SHOWN = 8  # of a class and region

PAPER_CLASSES = {"control", "concordant", "discordant"}


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Give each class its colour, the same on every page that shows the cohort."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(classes)}


def two_sides(classes: Sequence[str]) -> tuple[str, str]:
    """Name the class that is compared with all others, and what to call the others: "control" and "ALS"."""
    first = "control" if "control" in classes else classes[0]
    others = [name for name in classes if name != first]
    return first, "ALS" if set(classes) == PAPER_CLASSES else listed(others, "or")


def _sides_in_prose(classes: Sequence[str]) -> tuple[str, str]:
    first, others = map(as_written, two_sides(classes))
    return first, others


def marked(noun: str, kind: str) -> str:
    """Say before a noun that it is synthetic, where the cohort is of this kind: "images" or "synthetic images"."""
    return f"synthetic {noun}" if kind == "synthetic" else noun


def stand_ins(cohort: Cohort) -> tuple[dict[str, tuple[str, str]], str]:
    """List what a synthetic cohort uses in place of the paper's images, and what that forbids; no rows for others."""
    forbids = "No statement about ALS follows from this page: its images were drawn by a program."
    if cohort.kind != "synthetic":
        return {}, forbids
    printed = claim_named("xia2024.table2.original.size").printed.text
    rows = {
        "Images": (f"{len(cohort)}, drawn by a program", f"{printed} micrographs of post-mortem cortex"),
        "Side of an image": (f"{cohort.image_shape[0]} px", f"{TissueParameters().side} px"),
    }
    return rows, forbids


@house_style()
def class_bars(counts: pd.Series) -> Drawn:
    """Draw images per class (the bar chart of Fig. 4). counts: int, indexed by class."""
    figure, (axes,) = panels(1, height=0.62 + 0.36 * len(counts))
    colours = pd.DataFrame({"images": class_colours(list(counts.index)).values()})
    draw_bars(axes, counts.to_frame("images"), colours, texts=[f"{count:,}" for count in counts])
    axes.set_xlabel("Images")
    return Drawn(
        figure,
        "Number of images in each class, as in the bar chart of Fig. 4 in the paper.",
        f"Horizontal bars, images in each class: {listed(f'{name} {count}' for name, count in counts.items())}.",
        counts.rename_axis("class").reset_index(name="images"),
    )


@house_style()
def quality_by_class(quality: pd.DataFrame, images: Sequence[np.ndarray]) -> Drawn:
    """Draw the four quality measures by class, and the least and the most sharp image (Fig. 1).

    quality : one row per image, columns of `AXIS_LABELS`, `path` and `label`.
    images : the images of the rows with the least and the greatest Laplacian variance, uint8.
    """
    classes = sorted(quality["label"].unique())
    ends = [quality["laplacian_variance"].idxmin(), quality["laplacian_variance"].idxmax()]
    figure = Figure(figsize=(WIDTH, 4.6))
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.45))
    grid, below = upper.subplots(1, 4, sharey=True), lower.subplots(1, 2)
    for letter, axes, column in zip("abcd", grid, AXIS_LABELS, strict=True):
        draw_distributions(
            axes, quality, column, "label", colours=class_colours(classes), order=classes, violins=True
        )
        axes.set_title(f"({letter}) {QUALITY_NAMES[column]}", fontsize=8.5)
        axes.set_xlabel(QUALITY_UNITS[column], fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    for axes, image, word, at in zip(below, images, ("Least", "Most"), ends, strict=True):
        draw_image(axes, image, f"{word} sharp: {quality['laplacian_variance'][at]:,.0f} levels²")
    medians = quality.groupby("label")[list(AXIS_LABELS)].median()
    said = [
        f"{label}: sharpness {row.laplacian_variance:.0f}, signal-to-noise ratio {row.snr:.1f}, "
        f"brightness {row.brightness_mean:.0f}, contrast {row.contrast_sd:.0f}"
        for label, row in medians.iterrows()
    ]
    return Drawn(
        figure,
        "Image quality by class, and the least and the most sharp image (after Fig. 1 in the paper, which pools the "
        "classes). Each violin shows all images of a class; the bar in it spans the middle half, the dot is the median.",
        f"Four panels of violins, one per class, above two images. Medians by class. {'; '.join(said)}.",
        quality,
    )


@house_style()
def values_by_donor(
    quality: pd.DataFrame, measure: str, found: Separation, classes: Sequence[str], unit: GroupWord = DONOR
) -> Drawn:
    """Draw a quality measure of every image, donors sorted by their median.

    quality : one row per image, columns path, label, group and `measure`.
    found : of `separate_groups` for the same column, positive for the first of `two_sides`.
    """
    first, others = two_sides(classes)
    labels = quality.drop_duplicates("group").set_index("group")["label"]
    table = found.groups.assign(label=found.groups["group"].map(labels))
    table["name"] = table["group"].astype(str) + ", " + table["label"]
    if table["name"].str.len().max() > LONGEST_LINE:  # the colour tells the class, too
        table["name"] = table["group"].astype(str)
    names = dict(zip(table["group"], table["name"], strict=True))
    colours = class_colours(classes)
    figure, (axes,) = panels(1, height=0.95 + 0.24 * len(table))
    draw_rows(
        axes,
        table.rename(columns={"median": "value"}),
        kind="tick",
        colour=dict(zip(table["name"], table["label"].map(colours), strict=True)),
        dots=pd.DataFrame({"name": quality["group"].map(names), "value": quality[measure]}),
        spread=0.5,
    )
    for line in axes.lines:  # a median lies over its donor's dots
        if line.get_marker() == "|":
            line.set(color=INK, zorder=4)
    if found.complete:
        draw_reference(axes, _between(found.groups))
    axes.set_xscale("log")
    axes.set_xticks(ticks := _ticks(quality[measure]), [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(f"{QUALITY_NAMES[measure]}: {QUALITY_UNITS[measure]}")
    entries = {name: ("dot", colours[name]) for name in classes} | {f"median of {unit.a}": ("tick", INK)}
    if found.complete:
        entries["midway between the two"] = ("dashed", MUTED)
    legend(figure, entries, columns=5)
    spans = {
        name: table.loc[table["positive"] == side, "median"]
        for name, side in ((first, True), (others, False))
    }
    ranges = listed(f"{name} {part.min():,.0f} to {part.max():,.0f}" for name, part in spans.items())
    rows = [f"{row.group} ({row.label}) {row.median:,.0f}" for row in table.itertuples()]
    marks = (
        quality[["path", "group", "label", measure]].rename(columns={measure: "value"}).assign(mark="image")
    )
    medians = table[["group", "label", "median"]].rename(columns={"median": "value"}).assign(mark="median")
    return Drawn(
        figure,
        f"{QUALITY_NAMES[measure]} of every image, by {unit.one}; the axis is logarithmic. "
        f"{unit.many.capitalize()} are sorted by their median.",
        f"One row of dots for each of {len(table)} {unit.many}. Medians: {ranges}. By {unit.one}: {', '.join(rows)}.",
        pd.concat([marks, medians], ignore_index=True),
    )


def donors_to_point_at(marks: pd.DataFrame, measure: str, unit: GroupWord = DONOR) -> str:
    """Make the medians of `values_by_donor` tell their donor when pointed at (HTML). marks: the figure's data."""
    return interactive.named_points(
        marks[marks["mark"] == "median"].assign(named=f"{unit.one} " + marks["group"].astype(str)),
        x="value",
        name="named",
        row="label",
        x_label=f"{QUALITY_NAMES[measure]}, median of {unit.a} ({QUALITY_UNITS[measure]})",
        heading=f"Which {unit.one} is it?",
        log=True,
    )


def _between(groups: pd.DataFrame) -> float:
    """Half way (on a logarithmic axis) between the medians of two kinds of groups that do not overlap."""
    lower, upper = sorted(
        [groups.loc[groups["positive"] == side, "median"] for side in (True, False)], key=max
    )
    return float(np.sqrt(lower.max() * upper.min()))


def _ticks(values: pd.Series) -> list[int]:
    steps = [step * 10**power for power in range(5) for step in (1, 2, 5)]
    return [step for step in steps if values.min() <= step <= values.max()]


def separation_table(
    found: Mapping[str, Separation], classes: Sequence[str], unit: GroupWord = DONOR
) -> pd.DataFrame:
    """Summarise, for each quality measure, how well it separates `two_sides`. found: by column of the measure."""
    first, others = two_sides(classes)
    medians = f"{unit.one.capitalize()} medians"
    rows = []
    for measure, each in found.items():
        spans = [each.groups.loc[each.groups["positive"] == side, "median"] for side in (True, False)]
        low, high = np.quantile(each.null, [0.05, 0.95])
        rows.append(
            {
                "Measure": f"{QUALITY_NAMES[measure]} ({QUALITY_UNITS[measure]})",
                f"{medians}, {first}": f"{number(spans[0].min(), 1)} to {number(spans[0].max(), 1)}",
                f"{medians}, {others}": f"{number(spans[1].min(), 1)} to {number(spans[1].max(), 1)}",
                f"AUC of {unit.one} medians": number(max(each.auc, 1 - each.auc)),
                "p": p_value(each.p),
                f"Balanced accuracy, {unit.one} left out": percent(each.balanced_accuracy),
                f"95 % over {unit.many}": percent_range(each.accuracy.low, each.accuracy.high),
                "Labels permuted, 5 to 95 %": percent_range(low, high),
            }
        )
    return pd.DataFrame(rows)


def sharpness_finding(
    found: Mapping[str, Separation], classes: Sequence[str], unit: GroupWord = DONOR
) -> str:
    """Say how far sharpness separates the classes, in two to four sentences. found: may be empty."""
    if not found and unit == IMAGE:
        return "Which images belong together is not known here, so whole groups of them cannot be left out."
    if not found:
        return f"This needs at least two {unit.many} of each kind, each with images of one class, which this cohort does not have."
    first, others = _sides_in_prose(classes)
    sharp = found["laplacian_variance"]
    kinds = sharp.groups["positive"].sum(), (~sharp.groups["positive"]).sum()
    low, high = np.quantile(sharp.null, [0.05, 0.95])
    threshold = (
        f"One threshold, learnt without the {unit.one} it is applied to, tells {first} from {others} with a balanced "
        f"accuracy of {percent(sharp.balanced_accuracy)} (95 % interval over {unit.many} "
        f"{percent_range(sharp.accuracy.low, sharp.accuracy.high)}); with labels permuted over {unit.many} the same "
        f"procedure reaches {percent_range(low, high)} in nine of ten permutations."
    )
    complete = [QUALITY_NAMES[name].lower() for name, each in found.items() if each.complete]
    if not sharp.complete:
        overlap = (
            f"The {unit.one} medians of sharpness of {first} and {others} overlap "
            f"(AUC {number(max(sharp.auc, 1 - sharp.auc))}, p {_p_phrase(sharp.p)})."
        )
        return f"{overlap} {threshold}"
    word = "sharper" if sharp.auc == 1 else "less sharp"
    ways = (
        f"Only {round(sharp.p * sharp.arrangements)} of the {sharp.arrangements:,} ways to label these {unit.many} "
        f"separate them so completely (p {_p_phrase(sharp.p)})."
        if sharp.exact
        else f"No more than a share of {p_value(sharp.p)} of random labellings separates {unit.many} so completely."
    )
    also = [name for name in complete if name != "sharpness"]
    more = f" {listed(also).capitalize()} {_verb(also, 'separates', 'separate')} the {unit.many} just as completely." if also else ""  # fmt: skip
    lead = (
        f"By the median of its images, each of the {kinds[0]} {first} {unit.many} is {word} than each of the {kinds[1]} "
        f"{others} {unit.many}."
    )
    return f"{lead} {ways} {threshold}{more}"


def cohort_answer(
    samples: pd.DataFrame,
    shared: float | None,
    found: Mapping[str, Separation],
    classes: Sequence[str],
    unit: GroupWord = DONOR,
    together: str = "",
    kind: str = "published",
) -> dict[str, str]:
    """Fill the answer box of the page on the cohort.

    Parameters
    ----------
    samples : DataFrame
        The manifest; columns group and slide where they are known.
    shared : float, optional
        Share of the test images with a training image of the same donor, 0 to 1.
    found : by quality measure
        Empty where donors are unknown, too few, or hold several classes.
    together : str
        How classes and folders of scans coincide (`scans.coincidence`), where the files name folders.
    kind : str
        Of the cohort.
    """
    question = "Where do the images come from, and does their quality alone distinguish the classes?"
    units = {"slide": ("slide", "slides"), "group": (unit.one, unit.many)}
    come_from = [
        counted(samples[column].nunique(), *noun) for column, noun in units.items() if column in samples
    ]
    images = counted(len(samples), "image")
    base = f"The cohort has {images} of {len(classes)} classes; which images belong together is not known."
    if come_from and kind == "synthetic":
        base = f"The {counted(len(samples), 'synthetic image')} imitate {listed(come_from)}."
    elif come_from:
        base = f"The {images} come from {listed(come_from)}."
    if not found:
        needed = (
            "that it is known which images belong together"
            if unit == IMAGE
            else f"two {unit.many} of each class"
        )
        alike = "that belong together" if unit == IMAGE else f"of one {unit.one}"
        return {
            "question": question,
            "found": base,
            "how_sure": f"Counts are exact. How much images {alike} resemble each other is not known here.",
            "not_shown": f"Whether image quality alone distinguishes the classes: this needs {needed}.",
        }
    first, others = _sides_in_prose(classes)
    sharp = found["laplacian_variance"]
    if sharp.complete:
        word = "sharper" if sharp.auc == 1 else "less sharp"
        seen = (
            f"By the median of its images, every {first} {unit.one} is {word} than every {others} {unit.one}: one threshold "
            f"on sharpness, learnt from the other {unit.many}, has a balanced accuracy of {percent(sharp.balanced_accuracy)} (guessing: 50 %)."
        )
        sure = (
            f"Chance separates these {unit.many} so completely with p {_p_phrase(sharp.p)}, but it was found after looking "
            f"at {len(found)} related measures, in {come_from[-1]}."
        )
    else:
        seen = (
            f"Sharpness does not separate {first} {unit.many} from {others} {unit.many} completely; alone, it has a "
            f"balanced accuracy of {percent(sharp.balanced_accuracy)} in {unit.many} not seen before (guessing: 50 %)."
        )
        sure = (
            f"The 95 % interval over {unit.many} is {percent_range(sharp.accuracy.low, sharp.accuracy.high)}, "
            f"and permuted labels give {percent(sharp.null.mean())}."
        )
    split = f" In a split by image, {percent(shared)} of the test images have a training image of the same {unit.one}." if shared is not None else ""  # fmt: skip
    if kind == "synthetic":
        not_shown = "Anything about the sharpness of real tissue: a program drew these images."
    else:
        not_shown = f"Why images differ in sharpness: preparation, scanner and biology cannot be separated with these {unit.many}."
    if together:
        not_shown += f" One folder of slide scans holds {together}."
    return {
        "question": question,
        "found": f"{base} {seen}",
        "how_sure": sure + split,
        "not_shown": not_shown,
    }


def can_be_separated(labels: np.ndarray, groups: np.ndarray | None) -> bool:
    """Whether donors are known, hold one class each, and are at least two on each of `two_sides`."""
    if groups is None:
        return False
    pairs = pd.DataFrame({"group": groups, "label": labels}).drop_duplicates()
    classes = sorted(set(labels))
    sides = pairs["label"] == two_sides(classes)[0]
    return pairs["group"].is_unique and min(sides.sum(), (~sides).sum()) >= 2


def one_field_per_slide(samples: pd.DataFrame) -> pd.DataFrame:
    """Choose the first image of each slide, of at most `SLIDES_SHOWN` slides of a class and, where known, region."""
    one = samples.drop_duplicates("slide")
    return one.groupby([name for name in ("label", "region") if name in one]).head(SLIDES_SHOWN)


@house_style()
def slides_at_a_glance(
    fields: Sequence[np.ndarray], table: pd.DataFrame, images: pd.DataFrame, unit: GroupWord = DONOR
) -> Drawn:
    """Show one field of a slide, donors side by side within their class, regions one above the other.

    fields : uint8 images, one per row of `table` (columns label, slide, path and, where known, group and region).
    images : the manifest, for the number of images per slide.
    """
    known = [name for name in ("group", "region") if name in table]
    placed = table.assign(region=table.get("region", ""), group=table.get("group", table["slide"]))
    placed["nth"] = placed.groupby(["label", "region", "group"]).cumcount()  # of a donor's slides
    columns = {
        name: sorted(set(zip(part["group"], part["nth"], strict=True)))
        for name, part in placed.groupby("label")
    }
    colours, across = class_colours(sorted(columns)), max(map(len, columns.values()))
    lines = list(product(sorted(columns), sorted(placed["region"].unique())))
    shown: list[list[np.ndarray | None]] = [[None] * across for _ in lines]
    titles, frames = ([[""] * across for _ in lines] for _ in range(2))
    for row, image in zip(placed.itertuples(), fields, strict=True):
        line, column = lines.index((row.label, row.region)), columns[row.label].index((row.group, row.nth))
        shown[line][column] = halved(image)
        titles[line][column], frames[line][column] = str(row.group), colours[row.label]
    figure = image_grid(
        shown,
        titles=titles,
        frames=frames,
        labels=["\n".join(filter(None, (wrapped(name, 16), region))) for name, region in lines],
        label_colours=[colours[name] for name, _ in lines],
    )
    counts = images.groupby(["label", "slide", *known], as_index=False).size()
    slides = images["slide"].nunique()
    share = f"each of the {slides} slides" if len(table) == slides else f"{len(table)} of the {slides} slides"
    order = listed(
        ["class", *({"region": "brain region", "group": unit.one}[name] for name in reversed(known))]
    )
    donors = f" {unit.many.capitalize()}: {placed['group'].nunique()}." if "group" in known else ""
    return Drawn(
        figure,
        f"One field of {share}, by {order}. Fields of one slide can share the tone of its stain.",
        f"Grid of {len(table)} images, one per slide, by {order}.{donors} Frames have the colour of the class.",
        counts.rename(columns={"size": "images"}).merge(
            table[["slide", "path"]].rename(columns={"path": "shown"}), on="slide"
        ),
    )


@house_style()
def donors_over_parts(table: pd.DataFrame, unit: GroupWord = DONOR) -> Drawn:
    """Draw how a split divides the images of each donor. table: columns group, label, part, one row per image."""
    donors = table.drop_duplicates("group").sort_values(["label", "group"])
    parts = {"train": 0.35, "validation": 0.65, "test": 1.0}
    counts = table.groupby(["group", "part"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=donors["group"], columns=list(parts), fill_value=0)
    palette = class_colours(sorted(table["label"].unique()))
    colours = pd.DataFrame({part: donors["label"].map(palette).to_numpy() for part in parts})
    figure, (axes,) = panels(1, height=0.7 + 0.19 * len(donors))
    draw_bars(axes, counts, colours, opacity=parts)
    axes.set(xlabel="Images: train (pale), validation, test (full colour)", ylabel=unit.one.capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", labelsize=8)
    split_up = int(((counts > 0).sum(axis=1) > 1).sum())
    return Drawn(
        figure,
        f"Where the images of each {unit.one} go in the split by image. "
        "Pale is training, full colour test; colours are classes.",
        f"One stacked bar for each of {len(donors)} {unit.many} with its images in training, validation and test; "
        f"{split_up} of them have images in more than one part.",
        table.groupby(["group", "label", "part"], as_index=False).size().rename(columns={"size": "images"}),
    )


def share_with_known_donor(split: Split, groups: np.ndarray) -> float:
    """Share of the test images that have a training image of the same donor, 0 to 1."""
    return float(np.isin(groups[split.rows("test")], groups[split.rows("train")]).mean())


def division_claims(labels: pd.Series, split: Split) -> dict[str, int]:
    """Regenerate the row of Table 2 for the original images."""
    sizes = {part: len(split.rows(part)) for part in PARTS}
    return {"xia2024.table2.original.size": len(labels)} | {
        f"xia2024.table2.original.{part}": size for part, size in sizes.items()
    }


def donors_in_parts_words(across: int, donors: int, shared: float, unit: GroupWord = DONOR) -> str:
    """Say how many donors a split by image divides, and what that allows."""
    of_them = counted(donors, unit.one, unit.many)
    which = (
        f"All {of_them} have"
        if across == donors
        else f"{across} of {of_them} {_verb([0] * across, 'has', 'have')}"
    )
    return (
        f"{which} images in more than one part, and {percent(shared)} of the test images have a training image of the "
        f"same {unit.one}. A network can then score by recognising {unit.a}, without learning anything about the classes."
    )


def shortcut_rows(report: pd.DataFrame, unit: GroupWord = DONOR) -> pd.DataFrame:
    """List the shortcut report (`cohorts.shortcuts.shortcut_report`) for reading, the strongest property first."""
    return pd.DataFrame(
        {
            "Property": report["property"].str.capitalize(),
            f"Right, {unit.many} left out": report["accuracy"].map(percent),
            "By guessing": report["chance"].map(percent),
            "p": report["p"].map(p_value),
            "p, best of all properties": report["p_any"].map(p_value),
            "Shortcut": np.where(report["named"], "yes", "no"),
        }
    )


def shortcut_caption(unit: GroupWord = DONOR) -> str:
    """Caption of `shortcut_rows`: what p tests, and what is called a shortcut."""
    return (
        f"How well each property alone predicts the label of {unit.many} that were left out. p tests, by permuted labels, "
        "how strongly the property differs between labels. A *shortcut* has a p of at most 0.05 as the best of all "
        "properties and predicts better than guessing."
    )


def check_words(notices: Sequence[str], report: pd.DataFrame) -> str:
    """Say which properties are shortcuts, and repeat what the check of the cohort noticed, as a list."""
    named = [as_written(name.lower()) for name in report.loc[report["named"], "property"]]
    found = (
        f"{listed(named).capitalize()} alone {_verb(named, 'predicts', 'predict')} the label better than guessing (check ALS026)."
        if named
        else "No single property predicts the label better than the best property does under permuted labels."
    )
    notices = [*notices, *missing_notices(report)]
    return "\n".join([found, *(["", *(f"- {as_written(notice)}" for notice in notices)] if notices else [])])


def four_of_each(
    cohort: Cohort, drawn: np.ndarray, labels: pd.Series, generator: np.random.Generator
) -> dict[str, tuple[list[np.ndarray], list[str]]]:
    """Choose four random images of each class of a cohort, and the first four of each class drawn, by heading."""
    rows = {}
    for name in cohort.classes:
        members = np.flatnonzero(cohort.samples["label"] == name)
        chosen = generator.choice(members, min(4, len(members)), replace=False)
        rows[f"This page's cohort: {name}"] = (
            [cohort.image(i) for i in chosen],
            list(cohort.samples["path"][chosen]),
        )
    for name in sorted(labels.unique()):
        chosen = np.flatnonzero(labels == name)[:4]
        rows[f"Synthetic: {name}"] = [drawn[i] for i in chosen], [f"synthetic field {i}" for i in chosen]
    return rows


@house_style()
def synthetic_beside(rows: Mapping[str, tuple[Sequence[np.ndarray], Sequence[str]]]) -> Drawn:
    """Show fields of the cohort above synthetic ones. rows: heading -> uint8 images and the name of each."""
    figure = image_grid(
        [[halved(image) for image in images] for images, _ in rows.values()], headings=list(rows), largest=1.7
    )
    table = [(heading, name) for heading, (_, names) in rows.items() for name in names]
    return Drawn(
        figure,
        "Fields of this page's cohort, and below them fields drawn by the generator of synthetic tissue.",
        f"Rows of micrographs: {'; '.join(f'{heading}, {len(names)} fields' for heading, (_, names) in rows.items())}.",
        pd.DataFrame(table, columns=["heading", "image"]),
    )


def _p_phrase(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _verb(things: Sequence[object], one: str, several: str) -> str:
    return one if len(things) == 1 else several
