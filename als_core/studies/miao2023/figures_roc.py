"""Figures of the page on ROC curves, leaks and cost (Miao)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from als_core.book import interactive
from als_core.claims.published import claim_named
from als_core.cohorts.group_word import CASE, GroupWord
from als_core.figures.drawn import Drawn, percent
from als_core.figures.primitives import (
    draw_reference,
    draw_roc_curves,
    draw_rows,
    legend,
    panels,
    roc_points,
)
from als_core.figures.style import INK, MUTED, PALETTE, house_style
from als_core.refusal import counted
from als_core.studies.miao2023.checks import PERMUTED
from als_core.studies.miao2023.figures import COLOURS, TITLES
from als_core.studies.miao2023.networks import CROP_NETWORKS
from als_core.studies.miao2023.protocol import (
    BY_CASE,
    BY_CROP,
    COPIES_FIRST,
    PROTOCOLS,
    shown_as,
)


@house_style()
def roc_curves(
    predictions: pd.DataFrame,
    cells: Mapping[str, tuple[float, int]],
    aucs: pd.DataFrame,
    unit: GroupWord = CASE,
) -> Drawn:
    """Draw the ROC curve of every split by case and by crop, a panel per network.

    predictions : of the networks' printed settings; cells : network to learning rate and batch size
    aucs : index network and protocol, column auc: the mean over splits
    """
    protocols = (BY_CASE, BY_CROP)
    shown = predictions[predictions["protocol"].isin(protocols)]
    points = roc_points(shown, ["network", "protocol", "number"])
    figure, axes = panels(len(cells), height=3.2)
    for one, (network, (rate, batch)) in zip(axes, cells.items(), strict=True):
        draw_roc_curves(one, points[points["network"] == network], ["protocol", "number"], COLOURS)
        means = ", ".join(
            f"{aucs.loc[(network, each), 'auc']:.2f} {shown_as(each, unit)}" for each in protocols
        )
        one.set_title(f"{TITLES[network]}\nrate {rate:g}, batch {batch}\nAUC {means}", fontsize=8)
    legend(figure, {shown_as(protocol, unit): ("line", COLOURS[protocol]) for protocol in protocols})
    caption = (
        f"ROC curves of the three networks on held-out crops, one line for each split by {unit.one} or by crop. "
        "Each network has the setting that the paper plots: Fig. 14 is ResNet50 and Fig. 17 mobile_net_v3; "
        "no curve of VGG16 is printed."
    )
    said = [f"{TITLES[network]} {aucs.loc[(network, BY_CASE), 'auc']:.2f}" for network in cells]
    alt = (
        f"Three panels of step curves from the lower left to the upper right. Mean AUC by {unit.one}: "
        f"{', '.join(said)}."
    )
    named = points["protocol"].map(lambda protocol: shown_as(protocol, unit))
    return Drawn(figure, caption, alt, points.assign(protocol=named))


def roc_with_threshold(predictions: pd.DataFrame, network: str, unit: GroupWord = CASE) -> str:
    """Move a threshold along the ROC curve of each split of one network in `roc_curves` (HTML)."""
    shown = predictions[
        (predictions["network"] == network) & predictions["protocol"].isin((BY_CASE, BY_CROP))
    ]
    split = (
        shown["protocol"].map(lambda protocol: shown_as(protocol, unit))
        + ", split "
        + (shown["number"] + 1).astype(str)
    )
    both = shown.groupby(split)["truth"].transform("nunique") == 2
    return interactive.roc_threshold(
        shown[both].assign(split=split),
        truth="truth",
        score="score",
        by="split",
        positive="ALS",
        heading=f"Move the threshold of {TITLES[network]}",
    )


@house_style()
def accuracy_against_auc(bounds: pd.DataFrame, als_share: float, least_auc: float) -> Drawn:
    """Draw which accuracies and AUCs go together on one test set, and the pair printed for ResNet50.

    bounds : columns accuracy and least_auc; least_auc : at the printed accuracy
    """
    accuracy = claim_named("miao2023.fig13.lr0_0001.batch16.accuracy")
    auc = claim_named("miao2023.section3.resnet50.auc")
    figure, (axes,) = panels(1, height=3.0, width=5.0)
    axes.fill_between(bounds["accuracy"], bounds["least_auc"], 1, color=PALETTE[0], alpha=0.18, lw=0)
    axes.plot(
        bounds["accuracy"],
        bounds["least_auc"],
        color=PALETTE[0],
        label="lowest possible AUC at this accuracy",
    )
    axes.plot(accuracy.value, auc.value, "X", color=PALETTE[4], ms=9, zorder=3)
    text = f"printed for ResNet50:\naccuracy {accuracy.printed.text}, AUC {auc.printed.text}"
    style = {"arrowstyle": "-", "color": MUTED, "lw": 0.8, "shrinkB": 6}
    place = (accuracy.value, auc.value - 0.28)
    axes.annotate(
        text, (accuracy.value, auc.value), place, ha="right", va="top", fontsize=8.5, arrowprops=style
    )
    axes.set(xlabel="Accuracy", ylabel="AUC", xlim=(0.6, 1.005), ylim=(0, 1.02))
    axes.grid()
    axes.legend(loc="upper left")
    caption = (
        "Which accuracies and AUCs one set of scores can have together (shaded); the printed pair lies "
        f"outside. The share of ALS is {percent(als_share, 1)}, as in Fig. 6."
    )
    alt = (
        f"A shaded area above a rising line. At accuracy {accuracy.printed.text} the line is at "
        f"{least_auc:.3f}; the printed pair, with AUC {auc.printed.text}, lies far below it."
    )
    pair = pd.DataFrame({"accuracy": [accuracy.value], "auc": [auc.value]})
    return Drawn(
        figure, caption, alt, pd.concat([bounds.assign(source="bound"), pair.assign(source="printed")])
    )


def protocol_aucs(aucs: pd.DataFrame, unit: GroupWord = CASE) -> Drawn:
    """Draw the AUC of each network under the four ways of splitting.

    aucs: columns network, protocol, number, auc.
    """
    names = {protocol: shown_as(protocol, unit) for protocol in PROTOCOLS}
    aucs = aucs.assign(protocol=aucs["protocol"].map(names))
    figure, networks = _auc_rows(aucs.assign(panel=aucs["network"].map(TITLES)), list(names.values()))
    means = aucs.groupby(["network", "protocol"])["auc"].mean()
    said = [
        f"{TITLES[n]}: " + ", ".join(f"{p} {means[n, p]:.2f}" for p in names.values())
        for n in means.index.levels[0]
    ]
    caption = (
        "AUC of each network under four ways of splitting the crops. A dot is a split, a tick the mean; "
        "the dashed line is chance."
    )
    alt = f"{counted(networks, 'panel')} of dots by way of splitting. Means: {'; '.join(said)}."
    return Drawn(figure, caption, alt, aucs)


def no_signal_aucs(null: pd.DataFrame) -> Drawn:
    """Draw the AUC on crops without a sign of disease. null: of `checks.no_signal`."""
    order = [PERMUTED, BY_CASE, BY_CROP, COPIES_FIRST]
    long = null.melt("cohort", var_name="protocol", value_name="auc")
    figure, _ = _auc_rows(long.assign(panel=f"MobileNetV3 features, {counted(len(null), 'cohort')}"), order)
    said = ", ".join(f"{name} {null[name].mean():.3f}" for name in order)
    caption = (
        f"AUC on {counted(len(null), 'synthetic cohort')} without any sign of disease, by way of splitting. "
        "A dot is a cohort (mean over its splits), a tick the mean; the dashed line is chance."
    )
    return Drawn(figure, caption, f"Four rows of dots. Means: {said}.", long)


@house_style()
def _auc_rows(aucs: pd.DataFrame, order: Sequence[str]) -> tuple[Figure, int]:
    """Rows of AUCs by protocol, a panel per value of the column panel."""
    names = list(dict.fromkeys(aucs["panel"]))
    figure, axes = panels(len(names), height=0.9 + 0.34 * len(order), sharey=True)
    for one, name in zip(axes, names, strict=True):
        part = aucs[aucs["panel"] == name].rename(columns={"auc": "value"}).dropna(subset=["value"])
        means = part.groupby("protocol", as_index=False)["value"].mean()
        draw_rows(one, means, row="protocol", colour=INK, kind="tick", order=order)
        colours = {protocol: COLOURS.get(protocol, COLOURS[BY_CASE]) for protocol in order}
        draw_rows(one, means.drop(columns="value"), row="protocol", colour=colours, dots=part, order=order)
        draw_reference(one, 0.5)
        one.set(xlabel="AUC", xlim=(-0.02, 1.02))
        one.set_title(name, fontsize=8.5)
    return figure, len(names)


def case_accuracies(table: pd.DataFrame, majority: float, unit: GroupWord = CASE) -> Drawn:
    """Draw the accuracy on cases of networks and classical methods with exact intervals.

    table : columns network, kind, cases, accuracy, low, high
    """
    titles = {name: entry.display for name, entry in CROP_NETWORKS.items()}
    rows = table.assign(name=table["network"].replace(titles), value=table["accuracy"])
    kinds = dict(zip(dict.fromkeys(rows["kind"]), PALETTE, strict=False))
    colours = dict(zip(rows["name"], rows["kind"].map(kinds), strict=True))
    figure, (axes,) = panels(1, height=0.9 + 0.32 * len(rows))
    draw_rows(axes, rows, colour=colours)
    draw_reference(axes, majority)
    axes.set(xlabel=f"Accuracy on {unit.many}", xlim=(0, 1.02))
    marks = {kind: ("interval", colour) for kind, colour in kinds.items()}
    legend(figure, marks | {"always the commoner label": ("dashed", MUTED)})
    cases = counted(int(table["cases"].iloc[0]), unit.one, unit.many)
    said = [
        f"{row.name}: {row.value:.2f} ({row.low:.2f} to {row.high:.2f})"
        for row in rows.itertuples(index=False)
    ]
    caption = (
        f"Accuracy of networks and classical methods on {cases} in five folds, with exact 95 % intervals."
    )
    alt = f"Dots with wide intervals, one row for each method. {'; '.join(said)}."
    return Drawn(figure, caption, alt, table)
