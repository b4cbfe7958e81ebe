"""Things to play with on a page: HTML with the page's own values, which a few lines of script bring to life.

Each function returns a string for `page.html(...)`. Call it below the static figure (`page.show`) of the same
values. Where scripts are off the figure stays as it is, and a block is hidden, or shows all it has.
Nothing is fetched: images and values are in the string. `book/_static/play.js` has the script; sliders, menus
and points work by keyboard, and what changes is announced to screen readers.

    page.html(interactive.heatmap_overlay(image, {"Grad-CAM": heat, "LRP": other}, "a test image of ALS"))
    page.html(interactive.roc_threshold(table, truth="is_als", score="score", by="split", positive="ALS"))
    page.html(interactive.curve_slider(curves, x="kept", y="dice", by="map", x_label="Kept", y_label="Dice"))
    page.html(interactive.donor_calculator(accuracy=0.8947, correlation=0.5, images_per_donor=10))
    page.html(interactive.share_calculator("70.34%", largest=400))
    page.html(interactive.named_points(table, x="sharpness", name="donor", row="class", x_label="Sharpness"))
    page.html(interactive.before_after(image, {"Rotating": rotated, "Adding noise": noisy}))
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator
from PIL import Image
from scipy import stats

LEAST_SIDE = 320  # pixels; smaller images are enlarged without blur, so that their pixels can be seen
MOST_SIDE = 480  # pixels; larger images are made smaller, so that a page stays light
LEVEL = 0.95
HEAT = "inferno"
WIDTH, ROW, LEFT, RIGHT, FOOT = 640, 44, 150, 20, 46  # of the drawing of named points, in its own units
CROWDED, SHIFTS = 12, (0, -11, 11, -5, 5)  # dots nearer than this to the last one are moved up or down


def heatmap_overlay(
    image: np.ndarray | Mapping[str, np.ndarray],
    heatmaps: Mapping[str, np.ndarray],
    subject: str,
    heading: str = "Lay the heat over the image",
    menu: str = "Method",
) -> str:
    """An image under a heatmap, with a menu of heatmaps and a slider of opacity.

    Parameters
    ----------
    image : uint8 (H, W) or (H, W, 3), or one for each heatmap, by the same names.
    heatmaps : by name, float (h, w); each is scaled to its own greatest absolute value.
    subject : what the image shows, for its alternative text.
    menu : what the names are.
    """
    images = image if isinstance(image, Mapping) else dict.fromkeys(heatmaps, image)
    first = next(iter(heatmaps))
    size = _display_size(images[first].shape[:2])
    maps = {}
    for name, heat in heatmaps.items():
        heat = np.abs(np.nan_to_num(np.asarray(heat, float)))
        scaled = heat / heat.max() if heat.max() > 0 else heat
        coloured = (matplotlib.colormaps[HEAT](scaled)[..., :3] * 255).astype(np.uint8)
        maps[name] = _image_address(coloured, size, Image.Resampling.BILINEAR)
    data = {"maps": maps, "images": {}}
    if isinstance(image, Mapping):
        data["images"] = {name: _image_address(images[name], size) for name in maps}
    slider = _slider("Opacity of the heat (%)", "opacity", 100, 50)
    pictures = _stack(size, subject, images[first], f"heatmap over {subject}", maps[first])
    return _block(
        "overlay", heading, data, f"<form>{_menu(menu, 'method', maps)}{slider}{_output()}</form>{pictures}"
    )


def roc_threshold(
    table: pd.DataFrame,
    truth: str,
    score: str,
    by: str,
    positive: str,
    heading: str = "Move the threshold",
) -> str:
    """ROC curves with a menu, a slider of the threshold and the confusion matrix that follows from it.

    Parameters
    ----------
    table : one row for each sample. truth : column of bool, True for the class `positive`.
    score : column of float; a sample is called positive where its score is at least the threshold.
    by : column that names the split that a sample belongs to: one curve each.
    """
    curves = {}
    for name, part in table.groupby(by, sort=False):
        labels, scores = part[truth].astype(bool).to_numpy(), part[score].astype(float).to_numpy()
        if labels.all() or not labels.any():
            raise ValueError(f"a ROC curve needs samples of both classes; {name} has one")
        points = [
            [float(f"{t:.5g}"), int((labels & (scores >= t)).sum()), int((~labels & (scores >= t)).sum())]
            for t in np.unique(scores)[::-1]
        ]
        counts = {"positives": int(labels.sum()), "negatives": int((~labels).sum())}
        curves[str(name)] = {"points": points} | counts
    called = html.escape(positive)
    matrix = (
        "<table><caption>Samples at this threshold</caption><thead><tr><td></td>"
        f'<th scope="col">called {called}</th><th scope="col">called other</th></tr></thead>'
        f'<tbody><tr><th scope="row">{called}</th><td></td><td></td></tr>'
        '<tr><th scope="row">other</th><td></td><td></td></tr></tbody></table>'
    )
    steps = len(next(iter(curves.values()))["points"])
    slider = _slider("Threshold, strict to lax", "step", steps - 1, steps // 2)
    form = f"{_menu('Split', 'curve', curves)}{slider}"
    return _block(
        "roc",
        heading,
        {"curves": curves, "positive": positive},
        f'<form>{form}{_output()}</form><div class="als-side"><div class="als-plot"></div>{matrix}</div>',
    )


def curve_slider(
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    x_label: str,
    y_label: str,
    heading: str = "Move along the curves",
) -> str:
    """A slider along x, and the value of each curve there. It starts at the highest point of all curves.

    Parameters
    ----------
    table : long format. x, y : columns of float.
    by : column that names the curve. Where a curve has no point at an x of another, its nearest one is shown.
    """
    curves = {
        str(name): part.sort_values(x)[[x, y]].astype(float).to_numpy().round(6).tolist()
        for name, part in table.groupby(by, sort=False)
    }
    places = sorted({point[0] for curve in curves.values() for point in curve})
    data = {"curves": curves, "places": places, "x": x_label, "y": y_label}
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td></td><td class="als-bar"><span></span></td></tr>'
        for name in curves
    )
    values = f"<table><caption>{html.escape(y_label)}</caption><tbody>{rows}</tbody></table>"
    highest = max((point for curve in curves.values() for point in curve), key=lambda point: point[1])
    slider = _slider(x_label, "step", len(places) - 1, places.index(highest[0]))
    return _block("curves", heading, data, f"<form>{slider}{_output()}</form>{values}")


def donor_calculator(
    accuracy: float = 0.9, correlation: float = 0.5, images_per_donor: float = 10, donors: int = 15
) -> str:
    """How sure an accuracy is with so many donors, and how many a wanted certainty needs.

    The formulas are those of `als_core.statistics.power` (`accuracy_interval`, `donors_needed`), at 95 %.
    """
    fields = (
        _number("Accuracy (%)", "accuracy", 50, 100, round(100 * accuracy, 2), "any")
        + _number("Donors", "donors", 1, 100000, donors, "1")
        + _number("Images a donor", "images", 1, 10000, images_per_donor, "any")
        + _slider("Correlation within a donor", "correlation", 100, round(100 * correlation))
        + _number("Wanted: plus or minus (%)", "within", 1, 49, 5, "any")
    )
    data = {"z": float(stats.norm.ppf((1 + LEVEL) / 2)), "level": round(100 * LEVEL)}
    return _block("donors", "How many donors?", data, f"<form>{fields}{_output()}</form>")


def share_calculator(printed: str = "70.34%", largest: int = 400) -> str:
    """Every number of images of which a printed percentage is a share.

    The check is that of `als_core.statistics.granularity` (`possible_sizes`, `possible_counts`).
    """
    field = (
        '<label>Printed share <input type="text" name="printed" inputmode="text" '
        f'value="{html.escape(printed)}"></label>' + _number("Of at most", "largest", 1, 100000, largest, "1")
    )
    form = f"<form>{field}{_output()}</form>"
    return _block("share", "Of how many images can it be a share?", {}, form)


def named_points(
    table: pd.DataFrame,
    x: str,
    name: str,
    row: str,
    x_label: str,
    heading: str = "Point at a dot for its name",
    log: bool = False,
) -> str:
    """Dots in rows, each of which tells its name and value when pointed at or reached by keyboard.

    Parameters
    ----------
    table : one row for each dot, usually the data (CSV) of the static figure.
    x : column of float; rows without a value are left out.
    name : column with the name of a dot. row : column with the row that it is drawn in.
    log : whether the axis is logarithmic, as in the static figure; values must then be positive.
    """
    drawn = table[[x, name, row]].dropna(subset=[x])
    values = drawn[x].astype(float)
    forth = np.log if log else np.asarray
    least, most = float(forth(values.min())), float(forth(values.max()))
    scale = (WIDTH - LEFT - RIGHT) / (most - least) if most > least else 0.0
    rows = list(dict.fromkeys(drawn[row].astype(str)))
    height = ROW * len(rows) + FOOT
    marks = []
    for number, label in enumerate(rows):
        y = ROW * (number + 0.5)
        marks.append(
            f'<text x="{LEFT - 12}" y="{y + 5:g}" text-anchor="end">{html.escape(label)}</text>'
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:g}" y2="{y:g}"/>'
        )
        last, crowd = -math.inf, 0
        for _, point in drawn[drawn[row].astype(str) == label].sort_values(x).iterrows():
            place = LEFT + scale * (float(forth(float(point[x]))) - least)
            crowd = crowd + 1 if place - last < CROWDED else 0
            last = place
            text = html.escape(f"{point[name]}: {_plain(point[x], 4)}")
            marks.append(
                f'<circle cx="{place:.1f}" cy="{y + SHIFTS[crowd % len(SHIFTS)]:g}" r="6" role="listitem" '
                f'tabindex="-1" aria-label="{text}"><title>{text}</title></circle>'
            )
    for value in _round_values(float(values.min()), float(values.max()), log):
        place = LEFT + scale * (float(forth(value)) - least)
        marks.append(
            f'<text x="{place:.1f}" y="{height - 26}" text-anchor="middle">{_plain(value, 3)}</text>'
        )
    marks.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{height - 6}" text-anchor="middle">'
        f"{html.escape(x_label)}</text>"
    )
    drawing = (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="list" '
        f'aria-label="{html.escape(f"{x_label}, {len(drawn)} points")}">{"".join(marks)}</svg>'
    )
    hint = (
        '<p class="als-hint">Point at a dot, or reach the first with Tab and the others with arrow keys.</p>'
    )
    body = f'{hint}<div class="als-scroll">{drawing}</div>{_output()}'
    return _block("points", heading, {}, body, always=True)


def before_after(
    before: np.ndarray, after: Mapping[str, np.ndarray], heading: str = "Before and after"
) -> str:
    """An image and what was made of it, with a menu of what was done and a slider that wipes between the two.

    Parameters
    ----------
    before : uint8 (H, W) or (H, W, 3).
    after : by name, uint8 images; another size is scaled to that of `before`.
    """
    size = _display_size(before.shape[:2])
    images = {name: _image_address(image, size) for name, image in after.items()}
    first = next(iter(images))
    slider = _slider("Share that shows the result (%)", "share", 100, 50)
    form = f"<form>{_menu('What was done', 'name', images)}{slider}{_output()}</form>"
    pictures = _stack(size, "before", before, f"after: {first}", images[first])
    return _block("wipe", heading, {"images": images}, f"{form}{pictures}")


# --- parts


def _block(kind: str, heading: str, data: Mapping[str, Any], body: str, always: bool = False) -> str:
    """A block of one kind, values as JSON. always: shown without a script, too, where it makes sense."""
    values = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    hidden = "" if always else " hidden"
    return (
        f'<section class="als-play" data-play="{kind}" aria-label="{html.escape(heading)}"{hidden}>'
        f'<p class="als-play-title">{html.escape(heading)}</p>{body}'
        f'<script type="application/json">{values}</script></section>'
    )


def _stack(size: tuple[int, int], alt: str, image: np.ndarray, over_alt: str, over: str) -> str:
    """An image under another one, of which the address is given."""
    return (
        f'<div class="als-stack" style="aspect-ratio: {size[0]} / {size[1]}">'
        f'<img alt="{html.escape(alt)}" src="{_image_address(image, size)}">'
        f'<img alt="{html.escape(over_alt)}" class="als-over" src="{over}"></div>'
    )


def _menu(label: str, name: str, choices: Mapping[str, Any]) -> str:
    options = "".join(f"<option>{html.escape(choice)}</option>" for choice in choices)
    return f'<label>{html.escape(label)} <select name="{name}">{options}</select></label>'


def _slider(label: str, name: str, most: int, value: int) -> str:
    return (
        f'<label>{html.escape(label)} <input type="range" name="{name}" min="0" max="{most}" '
        f'value="{value}"></label>'
    )


def _number(label: str, name: str, least: float, most: float, value: float, step: str) -> str:
    return (
        f'<label>{html.escape(label)} <input type="number" name="{name}" min="{least:g}" max="{most:g}" '
        f'value="{value:g}" step="{step}"></label>'
    )


def _round_values(low: float, high: float, log: bool) -> list[float]:
    """A few round values from low to high, for an axis; low alone where both are equal."""
    locator = LogLocator(subs=(1, 2, 5)) if log else MaxNLocator(5)
    within = [float(value) for value in locator.tick_values(low, high) if low <= value <= high]
    return within or [low]


def _plain(value: float, digits: int) -> str:
    """A number with so many significant digits, never with an exponent."""
    return np.format_float_positional(value, precision=digits, unique=False, fractional=False, trim="-")


def _output() -> str:
    return '<output aria-live="polite"></output>'


def _display_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Width and height in which an image is stored: a multiple of its own, or at most `MOST_SIDE` wide."""
    height, width = shape
    times = math.ceil(LEAST_SIDE / width) if width < LEAST_SIDE else min(1, MOST_SIDE / width)
    return round(width * times), round(height * times)


def _image_address(
    image: np.ndarray, size: tuple[int, int], enlarged: Image.Resampling = Image.Resampling.NEAREST
) -> str:
    picture = Image.fromarray(np.asarray(image, np.uint8)).convert("RGB")
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BOX if picture.width > size[0] else enlarged)
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
