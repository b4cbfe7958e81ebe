"""Figures of the page on speed, from `benchmarks/results/latest.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, PercentFormatter

from als_core.figures.style import INK, MUTED, PALETTE, WIDTH, house_style

MODES = {
    "fp32": ("folded fp32", PALETTE[0]),
    "fp32 compiled": ("fp32, compiled", PALETTE[2]),
    "bf16": ("reduced precision (bf16)", PALETTE[1]),
    "bf16 compiled": ("bf16, compiled", PALETTE[3]),
}


def speed_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a comparison: what, ratio with its range, target, whether it is met, and how it was measured."""
    told = []
    for each in rows:
        target = each["target"]
        told.append(
            {
                "What": each["name"],
                "Times less": _times(each["ratio_median"]),
                "Range": f"{_times(each['ratio_min'])} to {_times(each['ratio_max'])}",
                "Rounds": each["rounds"],
                "Target": "" if target is None else _times(target),
                "Met": "" if target is None else ("yes" if each["ratio_median"] >= target else "no"),
                "Against a script that keeps its memory": _times(each["memory_kept"])
                if each.get("memory_kept")
                else "",
                "By the clock": _times(each["clock_ratio_median"]),
                "Memory copied, GB/s": _speeds(each.get("memory_gb_per_second")),
                "Equal": each["equal_within"],
                "How scaled": each["scaled"],
            }
        )
    return pd.DataFrame(told)


def gpu_table(told: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a network and mode of what `benchmarks.gpu` told of each network, the ordinary script as a row of its own."""
    rows = []
    for name, of in told.items():
        plain = of["ordinary"]
        ways = {"ordinary script": plain} | {MODES[mode][0]: found for mode, found in of["ours"].items()}
        for way, found in ways.items():
            rows.append(
                {
                    "Network": name,
                    "How": way,
                    "Images per second": f"{found['images per second']:,.0f}",
                    "Times as fast": _times(found["images per second"] / plain["images per second"]),
                    "Utilisation": f"{found['utilisation']:.0%}" if "utilisation" in found else "",
                    "Whole recipe, minutes": f"{found['whole'] / 60:,.2f}",
                    "Times less": _times(plain["whole"] / found["whole"]),
                }
            )
    return pd.DataFrame(rows)


@house_style()
def speed_ratios(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Ratio of every comparison on a logarithmic axis, its target as a tick, that against kept memory hollow.

    rows: of the results file; those of one `name` up to its last comma differ in their mode and share a line.
    """
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for each in rows:
        lines.setdefault(each["name"].rsplit(", ", 1)[0] if each.get("mode") else each["name"], []).append(
            each
        )
    order, shown = list(MODES), {each.get("mode", "fp32") for each in rows}
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.3 * len(lines)))
    for place, group in enumerate(lines.values()):
        group = sorted(group, key=lambda each: order.index(each.get("mode", "fp32")))
        for number, each in enumerate(group):
            colour = MODES[each.get("mode", "fp32")][1]
            height = place + min(0.32, 0.8 / len(group)) * (number - (len(group) - 1) / 2)
            axes.plot([each["ratio_min"], each["ratio_max"]], [height] * 2, color=colour, linewidth=1.4)
            axes.plot(each["ratio_median"], height, "o", color=colour, markersize=5)
            if each.get("memory_kept"):
                axes.plot(
                    each["memory_kept"], height, "o", color=colour, markersize=5, markerfacecolor="none"
                )
            if each["target"]:
                axes.plot(each["target"], height, "|", color=INK, markersize=8, markeredgewidth=1.4)
    axes.axvline(1, color=MUTED, linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.set_yticks(range(len(lines)), list(lines))
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlabel("Cost of the ordinary script divided by ours")
    axes.grid(axis="x")
    used = [MODES[mode] for mode in order if mode in shown]
    handles = [Line2D([], [], color=colour, marker="o", label=label) for label, colour in used]
    handles += [
        Line2D([], [], color=MUTED, marker="o", linestyle="", markerfacecolor="none", label="against kept memory"),
        Line2D([], [], color=INK, marker="|", linestyle="", markeredgewidth=1.4, label="target"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    plt.close(figure)
    return figure


@house_style()
def cost_by_images(sizes: pd.DataFrame) -> Figure:
    """Seconds of the frozen prefix and of one epoch against the number of images, and growth in proportion (dashed).

    sizes: columns images, prefix, epoch.
    """
    figure, axes = plt.subplots(figsize=(WIDTH * 0.6, 2.8))
    for name, label, colour in (("epoch", "one epoch", PALETTE[0]), ("prefix", "frozen prefix, once", PALETTE[1])):  # fmt: skip
        axes.plot(sizes["images"], sizes[name], "o-", color=colour, label=label)
        axes.plot(sizes["images"], sizes[name].iloc[0] * sizes["images"] / sizes["images"].iloc[0], color=MUTED, linestyle=(0, (4, 3)), linewidth=1)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="Images", ylabel="Processor seconds")
    axes.set_xticks(sizes["images"], [str(each) for each in sizes["images"]])
    axes.minorticks_off()
    axes.legend()
    axes.grid()
    plt.close(figure)
    return figure


@house_style()
def where_time_goes(shares: pd.DataFrame) -> Figure:
    """Share of a training step's processor time by kind of operation. shares: one row a network, 0 .. 1."""
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.45 * len(shares)))
    left = np.zeros(len(shares))
    for kind, colour in zip(shares, PALETTE, strict=False):
        axes.barh(shares.index, shares[kind], left=left, color=colour, label=kind, height=0.6)
        left += shares[kind].to_numpy()
    axes.set(xlim=(0, 1), xlabel="Share of the processor time of a step")
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside lower center", ncols=4)
    plt.close(figure)
    return figure


def _speeds(told: Sequence[float] | None) -> str:
    """The middle of lowest, median and highest, and the other two; nothing where it was not measured."""
    return "" if told is None else f"{told[1]:.0f} ({told[0]:.0f} to {told[2]:.0f})"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 20 else f"{ratio:.1f}x"
