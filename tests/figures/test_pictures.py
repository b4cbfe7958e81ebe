"""Pictures show each image at its place, heat where it is, and boxes joined by arrows."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from drawn_words import words
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from als_core.figures.pictures import (
    canvas,
    draw_arrow,
    draw_box,
    draw_image,
    draw_slices,
    flow_chart,
    halved,
    image_grid,
    overlay,
    plane,
)
from als_core.figures.style import PALETTE, WIDTH

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def test_an_image_grid_keeps_order_shape_titles_and_frames():
    other = 255 - IMAGE
    figure = image_grid(
        [[IMAGE, other], [other, None]],
        titles=[["first", ""], ["third", ""]],
        labels=["upper", "lower"],
        frames=[["", PALETTE[4]], ["", ""]],
    )
    shown = [axes for axes in figure.axes if axes.images]
    assert [int(axes.images[0].get_array()[0, 0, 0]) for axes in shown] == [
        IMAGE[0, 0, 0],
        *[other[0, 0, 0]] * 2,
    ]
    boxes = [axes.get_position() for axes in shown]
    assert boxes[0].y0 == boxes[1].y0 > boxes[2].y1
    assert boxes[0].x0 == pytest.approx(boxes[2].x0) and boxes[1].x0 > boxes[0].x1
    height = figure.get_size_inches()[1]
    assert boxes[0].height * height / (boxes[0].width * WIDTH) == pytest.approx(30 / 40)
    assert {"first", "third", "upper", "lower"} == set(words(figure))
    assert to_hex(shown[1].spines["top"].get_edgecolor()) == PALETTE[4]
    assert to_hex(shown[0].spines["top"].get_edgecolor()) != PALETTE[4]


def test_a_grey_image_runs_from_black_to_its_brightest_and_outlines_a_region():
    axes = Figure().subplots()
    region = np.zeros((10, 10), bool)
    region[2:5, 2:5] = True
    draw_image(axes, np.arange(100.0).reshape(10, 10), outline=region, brightest=50)
    assert axes.images[0].get_clim() == (0, 50)
    (border,) = (path for each in axes.collections for path in each.get_paths() if len(path.vertices))
    assert border.vertices.min() >= 1 and border.vertices.max() <= 5


def test_halving_averages_four_pixels():
    image = np.array([[0, 4, 9], [8, 8, 9]], np.uint8)
    assert halved(image).tolist() == [[5]]
    assert halved(IMAGE).shape == (15, 20, 3)


def test_heat_covers_the_grey_image_in_proportion():
    heat = np.zeros((3, 4))
    assert np.ptp(overlay(IMAGE, heat).astype(int), axis=2).max() == 0
    heat[0, 0] = 5
    coloured = np.ptp(overlay(IMAGE, heat).astype(int), axis=2)
    assert coloured[:5, :5].min() > 60 and coloured[20:, 25:].max() == 0
    np.testing.assert_array_equal(overlay(IMAGE, heat), overlay(IMAGE, 100 * heat))
    full = np.array(mpl.colormaps["YlOrRd"](1.0)[:3])
    black = overlay(np.zeros((4, 4)), np.ones((4, 4)))
    np.testing.assert_allclose(black[0, 0] / 255, 0.75 * full, atol=1 / 255)
    half = overlay(np.zeros((4, 4)), np.ones((4, 4)), top=2.0)
    assert (half < black).any() and half.any()


def test_slices_are_upright_clear_outside_the_brain_and_carry_heat():
    volume = np.zeros((6, 8, 10))
    volume[1:5, 1:7, 2:9] = 1 + np.arange(7)  # brighter upwards
    heat = 0.01 * (volume > 0)
    heat[2, 3, 7] = 1.0
    row = Figure().subplots(1, 2)
    draw_slices(row, volume, [("x", 2), ("z", 7)], titles=["side", "above"], heat=heat)
    side, above = (axes.images[0].get_array() for axes in row)
    assert side.shape == (10, 8, 4) and above.shape == (8, 6, 4)
    assert side[0, 0, 3] == 0 and side[5, 3, 3] == 255
    assert side[1, 1, 0] > side[7, 1, 0]  # up is up
    assert np.ptp(side[..., :3].astype(int), axis=2).argmax() == np.ravel_multi_index((9 - 7, 3), (10, 8))
    assert [axes.get_title(loc="left") or axes.get_title() for axes in row] == ["side", "above"]
    np.testing.assert_array_equal(plane(volume, "y", 3)[0], volume[:, 3, -1])


def test_drawings_count_in_inches():
    figure, axes = canvas(2.0)
    assert tuple(figure.get_size_inches()) == (WIDTH, 2.0)
    draw_box(axes, (3, 1), (1.0, 0.5), "pool", facecolor=PALETTE[0])
    (box,) = (patch for patch in axes.patches if isinstance(patch, FancyBboxPatch))
    extent = box.get_path().get_extents()
    assert (extent.x0, extent.x1, extent.y0, extent.y1) == pytest.approx((2.5, 3.5, 0.75, 1.25))
    assert words(figure) == ["pool"]
    draw_arrow(axes, (0, 0), (1, 0), (1, 1))
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [1, 0]]
    assert axes.texts[-1].xy == (1, 1)


def test_a_flow_chart_reads_like_text_and_its_arrows_turn_square_corners():
    figure = flow_chart([(f"step {at}", "what it does") for at in range(5)])
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    places = [(box.get_x(), box.get_y()) for box in boxes]
    assert len(places) == 5 and places[4][0] == places[0][0] and places[4][1] < places[0][1]
    (turn,) = figure.axes[0].lines
    x, y = turn.get_data()
    assert all(a == b or c == d for a, b, c, d in zip(x, x[1:], y, y[1:], strict=False))
    assert {"step 0", "step 4"} <= set(words(figure))
