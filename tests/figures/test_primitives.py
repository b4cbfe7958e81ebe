"""Plot primitives draw each value at its place, in its colour, with its label."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn_words import words
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from als_core.figures.drawn import listed, number, p_value, percent, percent_range
from als_core.figures.primitives import (
    LONGEST_LINE,
    NULL,
    TRAINING,
    VALIDATION,
    confusion_figure,
    confusion_table,
    draw_bars,
    draw_cells,
    draw_curves,
    draw_distributions,
    draw_histograms,
    draw_reference,
    draw_roc_curves,
    draw_rows,
    legend,
    panels,
    percent_axis,
    roc_points,
    wrapped,
)
from als_core.figures.style import INK, PALETTE
from als_core.refusal import counted


@pytest.fixture
def axes():
    return Figure().subplots()


def points(axes, marker):
    """Positions of all marks of one kind, as (x, y)."""
    lines = [line for line in axes.lines if line.get_marker() == marker]
    return [pair for line in lines for pair in zip(*map(list, line.get_data()), strict=True)]


def test_panels_leave_no_empty_axes_and_nothing_open_in_pyplot():
    figure, four = panels(4, 3, height=1.5)
    assert len(figure.axes) == len(four) == 4
    assert figure.get_size_inches()[1] == 3.0
    assert plt.get_fignums() == []


def test_curves_keep_the_colours_of_training_and_validation_and_mark_the_kept_epoch(axes):
    table = pd.DataFrame(
        {
            "run": [0, 0, 0, 1, 1, 1],
            "epoch": [1, 2, 3] * 2,
            "train": range(6),
            "validation": [5, 4, 6, 3, 2, 1],
        }
    )
    colours = {"train": TRAINING, "validation": VALIDATION}
    draw_curves(axes, table, "epoch", colours, group="run", chosen={"validation": {0: 2, 1: 3}})
    lines = [line for line in axes.lines if line.get_marker() == ""]
    assert [line.get_color() for line in lines] == [TRAINING, TRAINING, VALIDATION, VALIDATION]
    assert list(lines[2].get_ydata()) == [5, 4, 6]
    assert points(axes, "o") == [(2, 4), (3, 1)]
    assert {line.get_color() for line in axes.lines if line.get_marker() == "o"} == {VALIDATION}
    assert PALETTE[:2] == (TRAINING, VALIDATION)


def test_a_mean_curve_is_thicker_than_the_lines_of_its_groups(axes):
    table = pd.DataFrame({"fold": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], "loss": [2.0, 1.0, 4.0, 2.0]})
    draw_curves(axes, table, "epoch", {"loss": TRAINING}, group="fold", mean=True)
    *thin, thick = axes.lines
    assert list(thick.get_ydata()) == [3.0, 1.5]
    assert thick.get_linewidth() > max(line.get_linewidth() for line in thin)


def test_rows_draw_what_the_table_holds_and_leave_out_what_it_does_not(axes):
    table = pd.DataFrame({"name": ["a", "b"], "value": [0.7, 0.6], "low": [0.5, np.nan], "high": [0.8, np.nan],
                          "null": [0.4, 0.3], "null_low": [0.3, np.nan], "null_high": [0.5, np.nan],
                          "printed": [np.nan, 0.9]})  # fmt: skip
    draw_rows(axes, table, colour={"a": PALETTE[2], "b": PALETTE[3]})
    assert points(axes, "o") == [(0.7, 0), (0.6, 1)]
    assert [line.get_color() for line in axes.lines if line.get_marker() == "o"] == [PALETTE[2], PALETTE[3]]
    (interval,) = (line.get_segments()[0].tolist() for line in axes.collections)
    assert interval == [[0.5, 0], [0.8, 0]]
    (band,) = axes.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((0.3, 0.2))
    assert to_hex(band.get_facecolor()) == NULL
    assert points(axes, "|") == [(0.4, 0)] and points(axes, "x") == [(0.3, 1)]  # in its band; without one
    assert points(axes, "D") == [(0.9, 1)]
    assert {"a", "b"} <= set(words(axes))
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is on top


def test_every_run_is_a_dot_of_its_own_around_its_row(axes):
    dots = pd.DataFrame({"name": ["b"] * 3 + ["a"] * 20, "value": [0.5] * 3 + [0.2] * 20})
    draw_rows(axes, pd.DataFrame({"name": ["a", "b"]}), dots=dots, spread=0.4)
    drawn = points(axes, "o")
    assert len(set(drawn)) == 23
    assert all(abs(y - (x == 0.5)) <= 0.2 for x, y in drawn)
    assert np.mean([y for x, y in drawn if x == 0.5]) == pytest.approx(1)


def test_rows_follow_the_order_given_and_can_be_shifted(axes):
    table = pd.DataFrame({"name": ["a", "b", "c"], "value": [1, 2, 3]})
    draw_rows(axes, table, order=["b", "a"], shift=0.25, kind="open dot")
    assert points(axes, "o") == [(1, 1.25), (2, 0.25)]
    assert {line.get_fillstyle() for line in axes.lines} == {"none"}


def test_a_reference_line_crosses_the_plot_at_its_value(axes):
    draw_reference(axes, 0.5)
    draw_reference(axes, 0.1, along="y", colour=INK)
    upright, level = axes.lines
    assert list(upright.get_xdata()) == [0.5, 0.5] and list(level.get_ydata()) == [0.1, 0.1]
    assert level.get_color() == INK


@pytest.mark.parametrize("violins", [True, False])
def test_distributions_have_their_median_in_their_row(axes, violins):
    table = pd.DataFrame({"group": ["x"] * 5 + ["y"] * 5, "size": [1, 2, 3, 4, 5, 11, 12, 13, 14, 15]})
    draw_distributions(axes, table, "size", "group", order=["y", "x"], colours={"x": PALETTE[0], "y": PALETTE[1]}, violins=violins)  # fmt: skip
    if violins:
        assert points(axes, "o") == [(13, 0), (3, 1)]
        fills = [body.get_facecolor()[0] for body in axes.collections[:2]]
    else:
        medians = [line for line in axes.lines if line.get_color() == INK]
        assert [set(line.get_xdata()) for line in medians] == [{13}, {3}]
        fills = [box.get_facecolor() for box in axes.patches]
    assert [to_hex(fill) for fill in fills] == [PALETTE[1], PALETTE[0]]


def test_histograms_share_their_bins_and_mark_means_and_lines(axes):
    values = {"a": np.array([0.0, 0.0, 1.0]), "b": np.array([0.5, 0.5])}
    draw_histograms(axes, values, {"a": PALETTE[0], "b": PALETTE[1]}, marks={0.9: ("dashed", INK)})
    counts = {name: sum(p.get_height() for p in axes.patches if to_hex(p.get_facecolor()) == colour)
              for name, colour in (("a", PALETTE[0]), ("b", PALETTE[1]))}  # fmt: skip
    assert counts == {"a": 3, "b": 2}
    assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx([1 / 3, 0.5, 0.9])


def test_stacked_bars_begin_where_the_part_before_ends(axes):
    table = pd.DataFrame({"train": [3, 1], "test": [2, 4]}, index=["d1", "d2"])
    draw_bars(axes, table, {"train": PALETTE[0], "test": PALETTE[1]}, texts=["5", "five"])
    drawn = [(bar.get_x(), bar.get_width(), to_hex(bar.get_facecolor())) for bar in axes.patches]
    assert drawn == [(0, 3, PALETTE[0]), (0, 1, PALETTE[0]), (3, 2, PALETTE[1]), (1, 4, PALETTE[1])]
    assert {"d1", "d2", " 5", " five"} <= set(words(axes))


def test_bars_take_a_colour_for_each_row(axes):
    table = pd.DataFrame({"train": [3, 1], "test": [2, 4]})
    colours = pd.DataFrame({part: [PALETTE[2], PALETTE[3]] for part in table})
    draw_bars(axes, table, colours, opacity={"train": 0.5, "test": 1})
    assert [bar.get_facecolor() for bar in axes.patches[:2]] == [to_rgba(PALETTE[2], 0.5), to_rgba(PALETTE[3], 0.5)]  # fmt: skip


def test_cells_are_darker_the_larger_their_share(axes):
    shares = np.array([[0.0, 0.5], [1.0, np.nan]])
    draw_cells(axes, shares, np.array([["0", "5"], ["9", ""]]), ["r", "s"], ["u", "v"], framed=shares == 1)
    filled = [cell for cell in axes.patches if cell.get_fill()]
    assert [cell.get_alpha() for cell in filled] == pytest.approx([0.12, 0.56, 1.0])
    (frame,) = (cell for cell in axes.patches if not cell.get_fill())
    assert frame.get_xy() == filled[-1].get_xy()
    inks = {text.get_text(): text.get_color() for text in axes.texts}
    assert inks == {"0": INK, "5": INK, "9": "#ffffff"}


def test_confusion_matrices_name_their_axes_and_count_each_cell():
    matrices = {"A": np.array([[3, 1], [0, 4]]), "B": np.array([[0, 0], [2, 2]])}
    figure = confusion_figure(matrices, ["ALS", "control"])
    said = words(figure)
    assert {"Predicted class", "True class", "A", "B", "3\n75 %", "4\n100 %"} <= set(said)
    assert said.count("0\n0 %") == 3
    first = figure.axes[0]
    (three,) = (text for text in first.texts if text.get_text().startswith("3"))
    assert three.get_position() == (0, 0)
    table = confusion_table(matrices, ["ALS", "control"])
    assert table.loc[(table["name"] == "A") & (table["true"] == "ALS"), "count"].tolist() == [3, 1]
    assert table["count"].sum() == 12


def test_roc_curves_enclose_the_areas_that_scikit_learn_computes(axes):
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"split": "a", "truth": generator.integers(0, 2, 80), "score": generator.random(80)})
    one_class = pd.DataFrame({"split": "b", "truth": 1, "score": [0.1, 0.2]})
    roc = roc_points(pd.concat([table, one_class]), ["split"])
    assert set(roc["split"]) == {"a"}
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(roc_auc_score(table["truth"], table["score"]))
    draw_roc_curves(axes, roc, ["split"], {"a": PALETTE[4]})
    curve, chance = axes.lines
    assert curve.get_color() == PALETTE[4] and list(curve.get_ydata()) == roc["y"].tolist()
    assert list(chance.get_xdata()) == [0, 1] == list(chance.get_ydata())


def test_a_legend_explains_each_mark_once():
    figure, (axes,) = panels(1, height=2)
    legend(figure, {"a run": ("dot", PALETTE[0]), "permuted": ("band", NULL), "printed": ("diamond", INK)})
    handles = figure.legends[0].legend_handles
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a run", "permuted", "printed"]
    assert (
        handles[0].get_marker() == "o" and handles[1].get_alpha() == 0.35 and handles[2].get_marker() == "D"
    )
    percent_axis(axes).set_xlim(0, 1)
    assert axes.xaxis.get_major_formatter()(0.5) == "50 %"


def test_long_names_are_broken_into_lines_and_short_ones_are_not():
    name = "a very long label of a class that goes on and on"
    assert wrapped("control") == "control"
    assert max(map(len, wrapped(name).split("\n"))) <= LONGEST_LINE
    assert wrapped(name).replace("\n", " ") == name


def test_letters_without_a_font_are_named_and_dollar_signs_are_no_formula(axes):
    from als_core.figures import style

    assert style.signs_without_font("ALS äß Ελ жи, 5 µm²") == ""
    private = chr(0xE123) * 2
    assert style.signs_without_font(f"a {private}") == private[0]
    assert set(style.installed_fonts()) <= set(style.FALLBACK_FONTS)
    with style.house_style():
        axes.set_title("$x^$ and 5 $")
        style.to_png(axes.figure)


def test_numbers_in_words():
    assert [number(-0.153), number(-0.001), number(0.5, 1, signed=True), number(np.nan)] == ["−0.15", "0.00", "+0.5", ""]  # fmt: skip
    assert [percent(0.954), percent(0.9545, 1), percent(np.nan)] == ["95 %", "95.5 %", ""]
    assert [percent_range(0.39, 0.71), percent_range(0.5, 0.5), percent_range(np.nan, 0.5)] == ["39 % to 71 %", "50 %", ""]  # fmt: skip
    assert [p_value(0.0001), p_value(0.0312), p_value(0.5), p_value(np.nan)] == [
        "< 0.001",
        "0.031",
        "0.50",
        "",
    ]
    assert [counted(1, "donor"), counted(1200, "donor"), counted(2, "class", "classes")] == ["1 donor", "1,200 donors", "2 classes"]  # fmt: skip
    assert [listed("a"), listed("ab"), listed("abc"), listed("ab", "or")] == ["a", "a and b", "a, b and c", "a or b"]  # fmt: skip
