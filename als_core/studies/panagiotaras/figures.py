"""Figures of the Alzheimer slides: preparation, learning curves, accuracies, heatmaps and brain areas.

Each function returns a `Drawn`: the figure, its caption, its alternative text and every mark it draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from als_core.book import interactive
from als_core.cohorts.volumes import mni_map
from als_core.figures.drawn import Drawn, as_written, listed, number, p_value, percent
from als_core.figures.pictures import SMALL, draw_image, draw_slices, overlay, plane
from als_core.figures.primitives import (
    NULL,
    TRAINING,
    VALIDATION,
    draw_curves,
    draw_histograms,
    draw_reference,
    draw_rows,
    legend,
    panels,
    percent_axis,
)
from als_core.figures.style import INK, MUTED, PALETTE, house_style
from als_core.refusal import counted
from als_core.studies.panagiotaras.preparation import AXES, STEPS

ILL, WELL = PALETTE[4], PALETTE[0]  # the patients' label, the other one
FIELDS = {"1.5T": PALETTE[0], "3T": PALETTE[1]}
FOLDS = {"Folds by patient": PALETTE[0], "Folds by scan": PALETTE[1]}
VIEWS = {"x": "from the side", "y": "from the front", "z": "from above"}
MOST_AREAS = 12


def inflation(nulls: pd.DataFrame) -> Drawn:
    """Accuracy in null cohorts under both kinds of folds. nulls: columns of FOLDS, one row a null cohort."""
    figure, (axes,) = panels(1, height=2.5)
    draw_histograms(axes, {name: nulls[name] for name in FOLDS}, FOLDS, marks={0.5: ("dashed", INK)})
    percent_axis(axes).set(xlabel="Accuracy where there is nothing to learn", ylabel="Null cohorts")
    means = nulls.mean()
    entries = {f"{name}, mean {percent(means[name])}": ("patch", colour) for name, colour in FOLDS.items()}
    legend(figure, entries | {"chance": ("dashed", INK)}, loc="outside upper left")
    caption = (
        f"Accuracy of a linear model in {len(nulls)} cohorts where the label means nothing, with folds by "
        "patient and with folds by scan. Accuracy above the dashed line is a leak: a patient's scans are "
        "alike, and with folds by scan some of them are in training."
    )
    alt = (
        f"Two histograms of accuracy: folds by patient around {percent(means['Folds by patient'])}, folds by "
        f"scan around {percent(means['Folds by scan'])}, and a dashed line at chance, 50 %."
    )
    return Drawn(figure, caption, alt, nulls)


@house_style()
def preparation(steps: Mapping[str, Mapping[str, np.ndarray]], areas: np.ndarray, atlas: str) -> Drawn:
    """The steps of preparation of one scan at each field strength, with template and atlas.

    Parameters
    ----------
    steps : field strength -> step of STEPS -> volume (X, Y, Z)
    areas : label image on the grid of all steps but the first
    atlas : its source in a phrase
    """
    columns = len(STEPS) + 2
    figure, axes = panels(3 * len(steps) * columns, columns, height=1.05)
    template = next(iter(steps.values()))[STEPS[1]].shape
    resolution = round(197 / template[0])
    ground = np.asarray(mni_map("t1", resolution).dataobj)
    colours = ListedColormap(np.random.default_rng(1).uniform(0.25, 1, (int(areas.max()) + 1, 3)))
    rows = []
    for block, (field, volumes) in enumerate(steps.items()):
        shown = [*volumes.values(), np.where(ground > 0.1, ground, 0)]
        for line, axis in enumerate(AXES):
            row = axes[(3 * block + line) * columns :][:columns]
            for panel, volume, name in zip(row, shown, (*volumes, "Template"), strict=False):
                cut = (axis, volume.shape[AXES.index(axis)] // 2)
                draw_slices([panel], volume, [cut], titles=[name.replace(", ", ",\n") if not line else ""])
                rows.append({"field": field, "step": name, "axis": axis, "slice": cut[1]})
            picture = plane(areas, axis, areas.shape[AXES.index(axis)] // 2)
            row[-1].imshow(colours(picture), alpha=(picture > 0).astype(float))
            row[-1].set_axis_off()
            row[-1].set_title("" if line else "Atlas", fontsize=SMALL)
            rows.append(
                {"field": field, "step": "Atlas", "axis": axis, "slice": areas.shape[AXES.index(axis)] // 2}
            )
        _label(axes[3 * block * columns], field)
    caption = (
        f"One scan at {listed(steps)} on its way to the network, with the template and the atlas. From the "
        "left: as scanned; moved, turned, scaled and sheared onto the template (affine); bent onto it "
        f"(non-linear); without skull; normalised to mean 0 and standard deviation 1. Atlas: {atlas}."
    )
    alt = (
        f"Grid of slices from the side, from the front and from above, for {listed(steps)}: {listed(STEPS)}, "
        "then the template and coloured brain areas. Skull and scalp are seen in the first three columns "
        "only."
    )
    return Drawn(figure, caption, alt, pd.DataFrame(rows))


def slice_grid(
    volumes: Mapping[str, np.ndarray], cuts: Sequence[tuple[str, int]], printed: pd.DataFrame, what: str
) -> Drawn:
    """One scan of each field strength at the printed slice positions, a row for each axis.

    Parameters
    ----------
    volumes : field strength -> volume (X, Y, Z), 0 outside the brain
    cuts : axis and slice number, in the order of `printed`
    printed : columns axis and slice_index
    what : words for the scans' state, such as "before normalisation"
    """
    each = len(cuts) // len(AXES)
    corner, ends = _brain_ends(next(iter(volumes.values())) != 0)
    shown = [
        (axis, min(max(place - corner[AXES.index(axis)], 0), ends[AXES.index(axis)] - 1))
        for axis, place in cuts
    ]
    names = [f"{axis} = {place}" for axis, place in zip(printed["axis"], printed["slice_index"], strict=True)]
    figure, axes = panels(len(volumes) * len(cuts), each, height=1.25)
    for block, (field, volume) in enumerate(volumes.items()):
        cropped = volume[tuple(slice(first, first + size) for first, size in zip(corner, ends, strict=True))]
        own = axes[block * len(cuts) :][: len(cuts)]
        draw_slices(own, cropped, shown, titles=names)
        _label(own[0], field)
    caption = (
        f"A scan at {listed(volumes)} {what}, at the {len(cuts)} slice positions that the slides print. They "
        "lie evenly about the middle of a grid of 193 × 229 × 193 voxels of 1 mm; shown are the slices at "
        "the same share of this page's grid."
    )
    alt = (
        f"{len(cuts)} grey slices of a brain for {listed(volumes)}, {what}: {each} from the side, {each} "
        "from the front and as many from above, titled by the printed slice numbers."
    )
    table = printed.assign(slice_here=[place for _, place in cuts])
    return Drawn(figure, caption, alt, table)


def _brain_ends(brain: np.ndarray) -> tuple[list[int], list[int]]:
    """The first voxel and the size of the smallest box that holds a brain, along each axis."""
    spans = [
        np.flatnonzero(brain.any(axis=tuple(o for o in range(3) if o != axis)))[[0, -1]] for axis in range(3)
    ]
    return [int(first) for first, _ in spans], [int(last - first) + 1 for first, last in spans]


@house_style()
def _label(axes: Axes, text: str) -> None:
    """Write upright left of axes."""
    axes.text(
        -0.08, 0.5, text, transform=axes.transAxes, rotation=90, va="center", ha="right", fontsize=SMALL
    )


def learning_curves(curves: pd.DataFrame) -> Drawn:
    """Loss and accuracy by epoch, a column for each field strength.

    curves: columns field, fold, and those of `training.CURVES`.
    """
    fields = list(curves["field"].unique())
    figure, axes = panels(2 * len(fields), len(fields), height=2.1, sharex="col", sharey="row")
    for column, field in enumerate(fields):
        own = curves[curves["field"] == field]
        for line, measure in enumerate(("loss", "accuracy")):
            panel = axes[line * len(fields) + column]
            parts = {f"train_{measure}": TRAINING, f"validation_{measure}": VALIDATION}
            draw_curves(panel, own, "epoch", parts, group="fold", mean=True)
            panel.set_ylabel("" if column else measure.capitalize())
        axes[column].set_title(field)
        axes[len(fields) + column].set_xlabel("Epoch")
    legend(
        figure, {"training": ("line", TRAINING), "validation": ("line", VALIDATION)}, loc="outside upper left"
    )
    last = curves[curves["epoch"] == curves["epoch"].max()]
    means = last.groupby("field", sort=False)[["train_accuracy", "validation_accuracy"]].mean()
    folds, epochs = curves["fold"].nunique(), curves["epoch"].max()
    caption = (
        f"Loss and accuracy over {counted(epochs, 'epoch')}, each of {folds} folds (thin) and their mean "
        "(thick). Training values are measured with dropout, validation values without."
    )
    alt = (
        f"Loss above and accuracy below, by epoch, for {listed(fields)}. After the last epoch: "
        + "; ".join(
            f"{field} training accuracy {number(row.iloc[0])}, validation accuracy {number(row.iloc[1])}"
            for field, row in means.iterrows()
        )
    )
    return Drawn(figure, caption, f"{alt}.", curves)


def accuracies(folds: pd.DataFrame, pooled: pd.DataFrame) -> Drawn:
    """Accuracy of each fold and of all scans, of the commonest label, and as printed.

    Parameters
    ----------
    folds : columns field and accuracy
    pooled : one row for each field, columns field, accuracy, low, high, majority, printed, spread (the last
        two NaN
        where nothing is printed)
    """
    table = pooled.rename(columns={"field": "name", "accuracy": "value"})
    ends = {
        "printed_low": table["printed"] - table["spread"],
        "printed_high": table["printed"] + table["spread"],
    }
    figure, (axes,) = panels(1, height=1.1 + 0.7 * len(table))
    colours = {name: FIELDS.get(name, PALETTE[0]) for name in table["name"]}
    shown = table[["name", "value", "low", "high"]]
    draw_rows(axes, shown, colour=colours)
    draw_rows(axes, folds.rename(columns={"field": "name", "accuracy": "value"}), colour=colours, shift=-0.24,
              kind="tick", order=list(table["name"]))  # fmt: skip
    draw_rows(axes, table[["name", "printed"]].assign(**ends), shift=0.26, order=list(table["name"]))
    draw_rows(axes, table[["name"]].assign(null=table["majority"]), order=list(table["name"]))
    percent_axis(axes).set(xlabel="Accuracy on patients held out", xlim=(0, 1.02))
    entries = {
        "all scans, 95 % interval over patients": ("interval", MUTED),
        "a fold": ("tick", MUTED),
        "always the commonest label": ("cross", NULL),
    }
    if table["printed"].notna().any():
        entries["printed on the slides"] = ("diamond", INK)
    legend(figure, entries, loc="outside upper left", columns=2)
    caption = (
        "Accuracy on scans of patients that the network has not seen, with the accuracy of always giving "
        "the commonest label. The slides print a mean and a spread without saying of what."
    )
    alt = "Dots with intervals. " + " ".join(
        f"{row.field}: accuracy {percent(row.accuracy)}, interval {percent(row.low)} to {percent(row.high)}, "
        f"commonest label {percent(row.majority)}{_printed(row.printed)}."
        for row in pooled.itertuples()
    )
    marks = pd.concat([pooled.assign(mark="all scans"), folds.assign(mark="fold")], ignore_index=True)
    return Drawn(figure, caption, alt, marks)


def _printed(value: float) -> str:
    return "" if np.isnan(value) else f", printed {percent(value)}"


def one_scan(
    scan: np.ndarray, maps: Mapping[str, np.ndarray], truth: np.ndarray | None, label: str, score: float
) -> Drawn:
    """One scan and its heatmap by each method, in three planes.

    Parameters
    ----------
    scan : (X, Y, Z), 0 outside the brain
    maps : method -> relevance on the same grid, 0 and up
    truth : where the disease changed this scan, bool; None where that is not known
    label : of the scan
    score : softmax of the label that is explained
    """
    cuts = _cuts(scan != 0 if truth is None or not truth.any() else truth)
    figure, axes = panels(3 * (1 + len(maps)), 1 + len(maps), height=1.55)
    columns = {"Scan": None} | dict(maps)
    rows = []
    for place, (name, heat) in enumerate(columns.items()):
        own = axes[place :: len(columns)]
        draw_slices(own, scan, cuts, titles=[name.replace(" ", "\n", 1), "", ""], heat=heat, outline=truth)
        rows += [_picture(name, label, cut, heat, scan != 0, truth) for cut in cuts if heat is not None]
    outlined = "" if truth is None else " Outlined in blue: where the disease changed this brain."
    caption = (
        f"One scan (label {as_written(label)}) and its heatmap by {len(maps)} methods. The network gives the explained "
        f"label a share of {percent(score)}. Each map has its own scale, from nothing to its 99.5th "
        f"percentile.{outlined}"
    )
    alt = (
        "Slices of one brain from the side, the front and above: the scan, then its heatmaps by "
        f"{listed(maps)}."
    )
    return Drawn(figure, caption, alt, pd.DataFrame(rows))


def scan_to_lay_over(
    scan: np.ndarray, maps: Mapping[str, np.ndarray], truth: np.ndarray | None, label: str
) -> str:
    """Lay each map of `one_scan` over the slice from the front, with a slider of opacity (HTML)."""
    brain = scan != 0
    axis, place = _cuts(brain if truth is None or not truth.any() else truth)[1]
    low, high = np.percentile(scan[brain], [1, 99])
    grey = np.where(brain, np.clip((scan - low) / max(high - low, 1e-9), 0, 1), 0)
    heat = {name: np.minimum(own, np.percentile(own[brain], 99.5)) for name, own in maps.items()}
    return interactive.heatmap_overlay(
        (255 * plane(grey, axis, place)).astype(np.uint8),
        {name: plane(np.where(brain, own, 0), axis, place) for name, own in heat.items()},
        f"a slice from the front of a scan of label {label}",
    )


def average_heatmaps(
    template: np.ndarray,
    maps: Mapping[str, Mapping[str, np.ndarray]],
    truth: np.ndarray | None,
    counts: Mapping[str, int],
) -> Drawn:
    """Average heatmaps over the template, a row for each method, three planes for each label.

    Parameters
    ----------
    template : (X, Y, Z), 0 outside the brain
    maps : method -> label -> relevance on the same grid, 0 and up
    truth : bool, outlined; None where it is not known
    counts : scans of each label
    """
    labels = list(next(iter(maps.values())))
    cuts = _cuts(template > 0 if truth is None else truth)
    figure, axes = panels(3 * len(labels) * len(maps), 3 * len(labels), height=1.2)
    rows = []
    for line, (method, own) in enumerate(maps.items()):
        for block, label in enumerate(labels):
            place = (line * len(labels) + block) * 3
            views = [f"{label}\n{VIEWS[axis]}" for axis, _ in cuts]
            draw_slices(
                axes[place : place + 3],
                template,
                cuts,
                titles=None if line else views,
                heat=own[label],
                outline=truth,
            )
            rows += [_picture(method, label, cut, own[label], template > 0, truth) for cut in cuts]
        _label(axes[line * 3 * len(labels)], method.replace(" ", "\n", 1))
    outlined = "" if truth is None else " Outlined in blue: where the disease changes these brains."
    caption = (
        f"Average heatmaps over {listed(f'{counts[label]} scans of label {as_written(label)}' for label in labels)}, on "
        "the template. Averages of absolute values: evidence for and against the label counts alike. Each map has its own "
        f"scale, from nothing to its 99.5th percentile (dark red).{outlined}"
    )
    alt = (
        f"Rows of brain slices for {listed(maps)}; three planes for each of {listed(labels)}, with relevance "
        "in colour. " + _share_inside(pd.DataFrame(rows))
    )
    return Drawn(figure, caption, alt.strip(), pd.DataFrame(rows))


def _share_inside(rows: pd.DataFrame) -> str:
    """The heat inside the truth over the heat of the brain, as it is on the drawn planes."""
    if "mean_in_truth" not in rows:
        return ""
    ratio = (rows["mean_in_truth"] / rows["mean_in_brain"]).groupby(rows["method"], sort=False).mean()
    return "On the drawn planes, over all people, relevance inside the outline is on average " + listed(
        f"{number(value, 1)} times that of the brain ({name})" for name, value in ratio.items()
    ) + "."  # fmt: skip


def _picture(
    method: str,
    label: str,
    cut: tuple[str, int],
    heat: np.ndarray,
    brain: np.ndarray,
    truth: np.ndarray | None,
) -> dict[str, object]:
    """One drawn slice as a row of data: its place, the value at full colour, and mean values."""
    axis, place = cut
    own, inside = (each.take(place, AXES.index(axis)) for each in (heat, brain))
    row = {"method": method, "label": label, "axis": axis, "slice": place,
           "full_colour_at": float(np.percentile(heat[brain], 99.5)),
           "mean_in_brain": float(own[inside].mean())}  # fmt: skip
    if truth is not None:
        there = truth.take(place, AXES.index(axis)) & inside
        row["mean_in_truth"] = float(own[there].mean()) if there.any() else np.nan
    return row


def area_relevance(table: pd.DataFrame, atlas: str, patients: str) -> Drawn:
    """Relevance per brain area, corrected for size: a panel for each method, a line for each area.

    table: columns method, label, area, concentration (1: what an even map gives). Areas are ordered by their
    mean over methods in patients; of more than MOST_AREAS the first are drawn, and all are in the data. patients: the
    label drawn filled.
    """
    of_patients = table[table["label"] == patients]
    means = of_patients.groupby("area")["concentration"].mean().sort_values(ascending=False)
    order = list(means.index)[:MOST_AREAS]
    methods = list(table["method"].unique())
    figure, axes = panels(len(methods), height=0.9 + 0.26 * len(order), sharey=True, sharex=True)
    others = [label for label in table["label"].unique() if label != patients]
    for panel, method in zip(axes, methods, strict=True):
        own = table[table["method"] == method].rename(columns={"area": "name", "concentration": "value"})
        span = own.groupby("name", as_index=False)["value"].agg(low="min", high="max")
        draw_rows(panel, span, order=order, colour=MUTED, linewidth=1)
        draw_rows(panel, own[own["label"] == patients][["name", "value"]], order=order, colour=ILL)
        draw_rows(
            panel, own[own["label"] != patients][["name", "value"]], order=order, colour=WELL, kind="open dot"
        )
        draw_reference(panel, 1, colour=INK)
        panel.set_title(method.replace(" ", "\n", 1), fontsize=8.5)
        panel.tick_params(axis="y", labelsize=8)
    axes[0].set_xlim(0, 1.05 * table.loc[table["area"].isin(order), "concentration"].max())
    marks = {patients: ("dot", ILL)} | dict.fromkeys(others, ("open dot", WELL))
    legend(figure, marks | {"even": ("dashed", INK)}, loc="outside upper left")
    figure.supxlabel("Share of relevance over share of voxels", fontsize=9, color=INK)
    drawn = (
        ""
        if len(means) <= MOST_AREAS
        else f"; the {MOST_AREAS} of {len(means)} with most relevance for their size"
    )
    caption = (
        f"Share of the relevance in each brain area over its share of the voxels{drawn}. 1 is what a "
        f"map without preference gives. Areas: {atlas}."
    )
    first = "; ".join(f"{name} {number(value, 1)}" for name, value in means.head(3).items())
    alt = (
        f"{len(methods)} panels, one for each method, a row for each brain area. Most relevance for their "
        f"size: {first}."
    )
    return Drawn(figure, caption, alt, table)


def concentration(table: pd.DataFrame, twin: str) -> Drawn:
    """How far relevance gathers in the true effect: the network, its twin, and equally smooth random maps.

    table: one row for each method, columns method, on, off, null_low, null_high. twin: what `off` learned, in
    a phrase.
    """
    named = table.rename(columns={"method": "name"})
    figure, (axes,) = panels(1, height=0.9 + 0.42 * len(table))
    draw_rows(axes, named[["name", "null_low", "null_high"]])
    draw_rows(axes, named.assign(value=named["off"])[["name", "value"]], colour=WELL, kind="open dot")
    draw_rows(axes, named.assign(value=named["on"])[["name", "value"]], colour=ILL)
    draw_reference(axes, 0.5, colour=INK)
    axes.set(
        xlabel="Chance that a voxel in the true effect has more relevance than one outside it", xlim=(0, 1.02)
    )
    entries = {
        "with the effect": ("dot", ILL),
        twin: ("open dot", WELL),
        "random maps as smooth, 95 %": ("band", NULL),
    }
    legend(figure, entries | {"chance": ("dashed", INK)}, loc="outside upper left")
    caption = (
        "Whether relevance gathers where the disease truly changes the brain, for the network and for its "
        "twin that had no effect to learn."
    )
    alt = f"Two dots for each of {counted(len(table), 'method')} on an axis from 0 to 1. " + " ".join(
        f"{row.method}: with the effect {number(row.on)}, {twin} {number(row.off)}, random maps "
        f"{number(row.null_low)} to {number(row.null_high)}."
        for row in table.itertuples()
    )
    return Drawn(figure, caption, alt, table)


def null_cohorts(nulls: pd.Series, value: float, p: float, measure: str, real: str) -> Drawn:
    """One measure of the linear model over null cohorts and in the cohort itself.

    measure: what is measured, as the subject of a sentence. real: words for the cohort itself.
    """
    figure, (axes,) = panels(1, height=2.4)
    name = "null cohorts"
    draw_histograms(
        axes, {name: nulls}, {name: PALETTE[0]}, marks={0.5: ("dashed", INK), value: ("line", ILL)}
    )
    axes.set(xlabel=measure, ylabel="Null cohorts")
    entries = {
        f"{name}, mean {number(nulls.mean())}": ("patch", PALETTE[0]),
        f"{real}: {number(value)}": ("line", ILL),
    }
    legend(figure, entries | {"chance": ("dashed", INK)}, loc="outside upper left")
    least = p_value(1 / (1 + len(nulls)))
    caption = (
        f"{measure} in {len(nulls)} null cohorts and in {real}: p = {p_value(p)}. With {len(nulls)} null "
        f"cohorts p cannot be less than {least}."
    )
    alt = (
        f"Histogram of {measure.lower()} over null cohorts around {number(nulls.mean())}, and a line for "
        f"{real} at {number(value)}."
    )
    data = pd.DataFrame({"cohort": [*["null"] * len(nulls), real], "value": [*nulls, value]})
    return Drawn(figure, caption, alt, data)


def _cuts(mask: np.ndarray) -> list[tuple[str, int]]:
    """The slice along each axis in which a mask has most voxels."""
    others = {axis: tuple(other for other in range(3) if other != place) for place, axis in enumerate(AXES)}
    return [(axis, int(mask.sum(axis=along).argmax())) for axis, along in others.items()]


def own_model(
    image: np.ndarray, maps: Mapping[str, np.ndarray], truth: np.ndarray, what: str, title: str
) -> Drawn:
    """An image (H, W) and its heatmaps by method, each in its own scale, the place of the sign outlined.

    truth: bool (H, W). what: the image in a phrase. title: of the first panel.
    """
    figure, axes = panels(1 + len(maps), height=1.7)
    grey = (image - image.min()) / np.ptp(image)
    draw_image(axes[0], grey, title, outline=truth, outline_colour=PALETTE[7])
    rows = []
    for panel, (name, heat) in zip(axes[1:], maps.items(), strict=True):
        draw_image(
            panel, overlay(grey, heat), name.replace(" ", "\n", 1), outline=truth, outline_colour=PALETTE[7]
        )
        inside = heat[truth].sum() / max(heat.sum(), 1e-12)
        rows.append(
            {"method": name, "share_of_relevance_inside": inside, "share_of_area_inside": truth.mean()}
        )
    data = pd.DataFrame(rows)
    found = "; ".join(f"{row.method} {percent(row.share_of_relevance_inside)}" for row in data.itertuples())
    caption = (
        f"{what[0].upper()}{what[1:]} and its heatmaps by {len(maps)} methods, the sign outlined in blue."
    )
    alt = (
        f"{what[0].upper()}{what[1:]}, then its heatmaps. Relevance inside the outline, which holds "
        f"{percent(truth.mean())} of the area: {found}."
    )
    return Drawn(figure, caption, alt, data)
