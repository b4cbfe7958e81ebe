"""Figures of the T1w study (Turrisi 2024): ages, intensities, extractor, features and classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from als_core.figures.drawn import Drawn, as_written, listed, number, percent
from als_core.figures.pictures import canvas, draw_arrow, draw_box
from als_core.figures.primitives import (
    NULL,
    ON_COLOUR,
    confusion_figure,
    confusion_table,
    draw_reference,
    draw_rows,
    legend,
    panels,
)
from als_core.figures.style import INK, MUTED, PALETTE, SMALLEST_TEXT, WIDTH, house_style
from als_core.refusal import counted

GROUP_COLOURS = {"ALS": PALETTE[0]}  # whatever ALS is compared with is orange
FAMILY_NAMES = {"firstorder": "first order", "shape": "shape"}  # the others are abbreviations, in capitals
REPRESENTATION_COLOURS = {
    "Radiomics": PALETTE[0],
    "DL7": PALETTE[1],
    "DL8": PALETTE[2],
    "age and sex": PALETTE[3],
}


@house_style()
def quantile_plots(quantiles: pd.DataFrame, synthetic: bool) -> Drawn:
    """Draw Fig. 2: ages of each group against the quantiles of a normal distribution with its mean and sd.

    quantiles: columns label, normal and age (years), one row per patient.
    """
    groups = list(quantiles.groupby("label"))
    figure, grid = panels(len(groups), height=3.1, sharex=True, sharey=True)
    ends = quantiles[["normal", "age"]].to_numpy()
    ends = [ends.min() - 2, ends.max() + 2]
    for axes, letter, (label, part) in zip(grid, "ab", groups, strict=True):
        axes.plot(ends, ends, "--", color=MUTED, linewidth=1)
        colour = GROUP_COLOURS.get(label, PALETTE[1])
        axes.scatter(part["normal"], part["age"], s=9, color=colour, linewidth=0, alpha=0.7)
        axes.set(xlim=ends, ylim=ends, xlabel="Normal quantile (years)")
        axes.set_title(f"({letter}) {label}, n = {len(part)}")
        axes.grid()
    grid[0].set_ylabel("Age (years)")
    skew = [f"{label} {number(part['age'].skew())}" for label, part in groups]
    drawn_to = f" All {len(quantiles)} planned patients; their ages were drawn to the printed summaries."
    return Drawn(
        figure,
        "Ages against normal quantiles, by group (Fig. 2 in the paper)." + (drawn_to if synthetic else ""),
        "Two quantile plots, one for each group, of age in years against the quantile of a normal "
        f"distribution, with a dashed diagonal. Skewness: {', '.join(skew)}.",
        quantiles,
    )


@house_style()
def mean_histograms(histograms: pd.DataFrame, median: float) -> Drawn:
    """Draw Fig. 3: mean histogram of voxel values in each group, with one standard deviation around it.

    histograms: columns label, value (middle of the bin), mean and sd (voxels of a patient), volumes.
    """
    groups = list(histograms.groupby("label"))
    figure, grid = panels(len(groups), height=2.9, sharex=True, sharey=True)
    for axes, letter, (label, part) in zip(grid, "ab", groups, strict=True):
        width = np.diff(part["value"])[0] * 0.92
        axes.bar(part["value"], part["mean"], width=width, color=GROUP_COLOURS.get(label, PALETTE[1]))
        low, high = (part["mean"] - part["sd"]).clip(0), part["mean"] + part["sd"]
        axes.vlines(part["value"], low, high, INK, linewidth=0.7)
        axes.set(xlabel="Voxel value (0 left out)", title=f"({letter}) {label}")
        axes.grid(axis="y")
    grid[0].set_ylabel("Voxels per patient")
    volumes = sum(part["volumes"].iloc[0] for _, part in groups)
    return Drawn(
        figure,
        f"Mean histogram of the voxel values of {volumes} volumes, by group (Fig. 3 in the paper). "
        "Lines: one standard deviation between patients.",
        "Two bar histograms, one for each group, of voxels per patient against voxel value, each with the "
        f"peak of white matter at the right; half of all values are below {median:.0f}.",
        histograms,
    )


@house_style()
def extractor_drawing(
    stages: pd.DataFrame, input_shape: Sequence[int], taken: Mapping[str, str], weights: str
) -> Drawn:
    """Draw Fig. 1: the blocks of the extractor from left to right, and where features are taken.

    stages: from `models.cost.describe`. input_shape: (1, 1, Z, X, Y). taken: stage -> name of its features.
    A block is as high as its maps are (on a logarithmic scale).
    """
    blocks = stages[stages["output_shape"].map(len) == 5].reset_index(drop=True)
    figure, axes = canvas(2.5)
    step, middle = WIDTH / (len(blocks) + 1), 1.25
    small = {"ha": "center", "va": "center", "fontsize": SMALLEST_TEXT}
    axes.text(step / 2, middle, "T1w\n" + "\n× ".join(map(str, input_shape[2:])), **small, color=INK)
    for place, stage in blocks.iterrows():
        x, height = step * (place + 1.5), 0.25 + 0.17 * np.log2(stage["output_shape"][-1])
        feature = taken.get(stage["stage"])
        colour = REPRESENTATION_COLOURS.get(feature, PALETTE[6])
        draw_box(
            axes,
            (x, middle),
            (step - 0.2, height),
            f"{place + 1}",
            ink=ON_COLOUR,
            facecolor=colour,
            linewidth=0,
        )
        draw_arrow(axes, (x - step + step / 2 - 0.1, middle), (x - step / 2 + 0.1, middle))
        maps, *sides = stage["output_shape"][1:]
        axes.text(x, 0.25, f"{maps} maps\n" + "×".join(map(str, sides)), **small, color=INK)
        pool = stage["kind"].rpartition("max pool ")[2] if "max pool" in stage["kind"] else ""
        axes.text(x, 2.1, f"pool {pool}" if pool else "", **small, color=MUTED)
        axes.text(x, 2.35, feature or "", **small, color=colour, fontweight="bold")
    named = [
        f"block {place + 1}, {row['output_shape'][1]} maps of "
        f"{' by '.join(map(str, row['output_shape'][2:]))}"
        for place, row in blocks.iterrows()
    ]
    shapes = stages["output_shape"].map(lambda size: " x ".join(map(str, size[1:])))
    places = [f"{name} after {stage.replace('block', 'block ')}" for stage, name in taken.items()]
    return Drawn(
        figure,
        f"The network that gives the deep features (Fig. 1 in the paper), with {weights}. "
        "Boxes are as high as the maps that leave a block, on a logarithmic scale.",
        f"{counted(len(blocks), 'box', 'boxes')} from left to right, shrinking: {'; '.join(named)}. "
        f"Features are taken: {listed(places)}.",
        stages.assign(output_shape=shapes)[["stage", "kind", "output_shape", "parameters"]],
    )


@house_style()
def separation(effects: pd.DataFrame, chance: float, constant: int, patients: str = "ALS") -> Drawn:
    """Draw how far the groups are apart in each feature: one dot per feature, by family or layer.

    effects: columns family, representation, feature, d (difference of the means over the pooled sd).
    chance: standard error of d where nothing differs. constant: features left out. patients: their label.
    """
    effects = effects.assign(family=effects["family"].map(lambda name: FAMILY_NAMES.get(name, name.upper())))
    families = list(dict.fromkeys(effects["family"]))
    colours = (
        effects.drop_duplicates("family").set_index("family")["representation"].map(REPRESENTATION_COLOURS)
    )
    figure, (axes,) = panels(1, height=0.9 + 0.34 * len(families))
    names = pd.DataFrame({"name": families})
    dots = effects.rename(columns={"family": "name", "d": "value"})
    draw_rows(axes, names, colour=colours.to_dict(), dots=dots, spread=0.6)
    draw_reference(axes, 0, kind="line")
    axes.set_xlabel(f"{patients} minus the others, in standard deviations")
    beyond = effects.groupby("representation", sort=False)["d"].apply(lambda d: (d.abs() > 2 * chance).mean())
    return Drawn(
        figure,
        f"Standardised difference between the groups in {counted(len(effects), 'feature')}, by family and "
        f"layer. Features that are the same for everybody ({constant}) are left out. Families of texture: "
        "grey-level co-occurrence (GLCM), dependence (GLDM), run length (GLRLM) and size zone (GLSZM) "
        "matrices, and neighbouring grey-tone difference (NGTDM).",
        "Dots along rows for each radiomic family and each deep layer, spread around zero. Share of features "
        "more than two standard errors from zero: "
        f"{', '.join(f'{name} {percent(share)}' for name, share in beyond.items())}.",
        effects,
    )


@house_style()
def correlations(features: Mapping[str, pd.DataFrame], directions: Mapping[str, int]) -> Drawn:
    """Draw the correlation of every two features, a panel per representation.

    directions: how many directions hold 95 % of the variance, by representation.
    """
    figure, grid = panels(len(features), height=2.7)
    cells = []
    for axes, (name, table) in zip(grid, features.items(), strict=True):
        matrix = np.corrcoef(table.to_numpy(), rowvar=False)
        shown = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        axes.set(title=f"{name}, {len(matrix)} features", xticks=[], yticks=[])
        row, column = np.triu_indices(len(matrix), 1)
        pairs = {
            "representation": name,
            "row": row,
            "column": column,
            "correlation": matrix[row, column].round(3),
        }
        cells.append(pd.DataFrame(pairs))
    figure.colorbar(shown, ax=grid, shrink=0.8, pad=0.015).set_label("Correlation", color=INK)
    held = [f"{name} {count} of {features[name].shape[1]}" for name, count in directions.items()]
    return Drawn(
        figure,
        "Correlation between every two features of a representation, in the order of the tables.",
        "Three square maps of correlations, red for features that rise together and blue for opposed ones. "
        f"Directions that hold 95 % of the variance: {', '.join(held)}.",
        pd.concat(cells, ignore_index=True),
    )


@house_style()
def f1_dots(table: pd.DataFrame, always: float, always_printed: float | None, patients: str = "ALS") -> Drawn:
    """Draw Table 3: F1 of every method on every representation, by both protocols, beside the printed F1.

    table: columns protocol, method, representation, mean, sd, printed, printed_sd (percent; none printed for a
    reader's data). always, always_printed: F1 of answering with the patients' label for everybody, on this
    cohort and on the paper's folds; None where the data are a reader's. patients: their label.
    """
    names, methods = list(dict.fromkeys(table["representation"])), list(dict.fromkeys(table["method"]))
    figure, grid = panels(len(names), height=1.35 + 0.36 * len(methods), sharey=True, sharex=True)
    looks = {
        "printed": ("open dot", MUTED, -0.25),
        "tuned once": ("square", INK, 0.0),
        "nested": ("dot", "", 0.25),
    }
    for axes, name in zip(grid, names, strict=True):
        part = table[table["representation"] == name]
        for source, (kind, colour, shift) in looks.items():
            value, sd = ("printed", "printed_sd") if source == "printed" else ("mean", "sd")
            rows = part.drop_duplicates("method") if source == "printed" else part[part["protocol"] == source]
            rows = pd.DataFrame({"name": rows["method"], "value": rows[value], "sd": rows[sd]})
            rows = rows.assign(low=rows["value"] - rows["sd"], high=rows["value"] + rows["sd"])
            colour = colour or REPRESENTATION_COLOURS.get(name, PALETTE[0])
            draw_rows(axes, rows, order=methods, shift=shift, kind=kind, colour=colour, linewidth=1.1)
        draw_reference(axes, always, colour=INK)
        if always_printed is not None:
            draw_reference(axes, always_printed, kind="dotted")
        axes.set(title=name, xlabel=f"F1 of {patients} (%)")
    entries = {
        "this page, tuned once": ("square", INK),
        "this page, nested (colour)": ("dot", PALETTE[0]),
        f"always {patients}, this page ({number(always)})": ("dashed", INK),
    }
    lines, of_paper = f"a vertical line for always answering {patients} at {always:.1f} percent", []
    if always_printed is not None:
        printed = table.drop_duplicates(["method", "representation"])["printed"].dropna()
        lines += f", and one at {always_printed:.1f} percent for always ALS on the paper's folds"
        of_paper = [f"{int((printed > always_printed).sum())} of {len(printed)} printed means"]
        always_als = f"always ALS, the paper's folds ({number(always_printed)})"
        entries = {"printed": ("open dot", MUTED), **entries, always_als: ("dotted", MUTED)}
    legend(figure, entries, columns=3)
    above = of_paper + [
        f"{int((part['mean'] > always).sum())} of {len(part)} means here ({protocol})"
        for protocol, part in table.groupby("protocol", sort=False)
    ]
    return Drawn(
        figure,
        f"Mean F1 of {as_written(patients)} with its standard deviation, {'printed and ' if of_paper else ''}on this page, "
        "by two protocols (Table 3 in the paper). "
        f"Lines: the F1 of answering {as_written(patients)} for everybody. Standard deviations are over folds, and trials of "
        "the networks.",
        f"Dots with error bars for {counted(len(methods), 'method')} in {counted(len(names), 'panel')}, with {lines}. "
        "To the right of their line: "
        f"{listed(above)}.",
        table,
    )


@house_style()
def confusion_panels(
    counts: Mapping[str, np.ndarray], classes: tuple[str, str], reported: bool = True
) -> Drawn:
    """Draw Fig. 4: confusion matrices side by side.

    counts: title -> int (2, 2), rows the truth, the patients last. reported: whether these are the configurations
    of the paper's Table 4; else the best ones of the page.
    """
    other, als = classes
    which = (
        "the configurations of the paper's Table 4" if reported else "the best configurations of this page"
    )
    said = [
        f"{title}: {c[0, 0]} of {c[0].sum()} {other} and {c[1, 1]} of {c[1].sum()} {als} answers right."
        for title, c in counts.items()
    ]
    return Drawn(
        confusion_figure(counts, classes),
        f"Answers for test subjects of all folds, by {which} (Fig. 4 in the paper). "
        "Of the networks, all trials are counted. Shade and percentage: share of the true class.",
        f"Confusion matrices side by side. {' '.join(said)}",
        confusion_table(counts, classes),
    )


@house_style()
def null_dots(replayed: pd.DataFrame, caption: str) -> Drawn:
    """Draw the AUC of the nested protocol on each cohort or draw, beside the AUC with permuted labels.

    replayed: from `leaks.replay`, one method, without leaks. caption: whole, because both controls use this
    figure.
    """
    areas = replayed.rename(columns={"representation": "name", "auc": "value"})
    names = list(dict.fromkeys(areas["name"]))
    figure, (axes,) = panels(1, height=1.1 + 0.62 * len(names))
    for protocol, shift in (("nested", -0.2), ("labels permuted", 0.2)):
        part = areas[areas["protocol"] == protocol]
        means = part.groupby("name", sort=False, as_index=False)["value"].mean()
        colour = dict.fromkeys(names, NULL) if shift > 0 else REPRESENTATION_COLOURS
        draw_rows(
            axes,
            pd.DataFrame({"name": names}),
            order=names,
            colour=colour,
            dots=part,
            shift=shift,
            spread=0.26,
        )
        draw_rows(axes, means, order=names, colour=INK, kind="tick", shift=shift)
    draw_reference(axes, 0.5)
    axes.set_xlabel("AUC")
    legend(
        figure,
        {
            "labels as they are (colour)": ("dot", PALETTE[0]),
            "labels permuted": ("dot", NULL),
            "mean": ("tick", INK),
        },
    )
    means = areas.pivot_table(index="name", columns="protocol", values="value", sort=False)
    said = [
        f"{name} {number(row['nested'], 3)} and {number(row['labels permuted'], 3)}"
        for name, row in means.iterrows()
    ]
    return Drawn(
        figure,
        caption,
        "Dots of AUC for each representation, with the labels as they are and with permuted ones; means "
        f"{'; '.join(said)}.",
        replayed,
    )
