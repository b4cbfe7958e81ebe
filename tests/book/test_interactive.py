"""What can be played with: its values are those of the library, it works by keyboard, and without a script it is no obstacle."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from test_browser import browser  # noqa: F401  (a fixture)

from als_core.book import interactive
from als_core.statistics.granularity import possible_counts, possible_sizes
from als_core.statistics.power import accuracy_interval, donors_needed
from als_core.storage import repository

SCRIPT = (repository() / "book" / "_static" / "play.js").read_text(encoding="utf-8")
STYLE = (repository() / "book" / "_static" / "companion.css").read_text(encoding="utf-8")
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
SCORES = pd.DataFrame(
    {"als": [True, True, True, False, False], "score": [0.9, 0.8, 0.3, 0.6, 0.1], "split": "by case, 1"}
)
OTHER_SPLIT = pd.DataFrame({"als": [True, False], "score": [0.2, 0.7], "split": "by crop, 1"})
CURVES = pd.DataFrame(
    {"method": ["a", "a", "b", "b"], "kept": [0.1, 0.5, 0.1, 0.5], "dice": [0.2, 0.4, 0.1, 0.8]}
)
DONORS = pd.DataFrame(
    {"donor": ["d1", "d2", "d3<"], "class": ["ALS", "ALS", "control"], "sharpness": [1.0, 3.0, 7.0]}
)

BLOCKS = {
    "overlay": interactive.heatmap_overlay(
        IMAGE, {"Grad-CAM": RNG.random((4, 4)), "LRP": RNG.random((8, 8))}, "a test image"
    ),
    "roc": interactive.roc_threshold(pd.concat([SCORES, OTHER_SPLIT]), "als", "score", "split", "ALS"),
    "curves": interactive.curve_slider(CURVES, "kept", "dice", "method", "share kept", "Dice"),
    "donors": interactive.donor_calculator(),
    "share": interactive.share_calculator("70.34%", 150),
    "points": interactive.named_points(DONORS, "sharpness", "donor", "class", "sharpness"),
    "wipe": interactive.before_after(IMAGE, {"Rotating": np.rot90(IMAGE), "Noise": IMAGE[::-1]}),
}


def test_every_kind_of_block_is_on_a_page():
    makers = [
        name
        for name, made in vars(interactive).items()
        if getattr(made, "__module__", "") == interactive.__name__
    ]
    places = [
        *(repository() / "als_core" / "studies").rglob("*.py"),
        *(repository() / "notebooks").rglob("*.py"),
    ]
    texts = [path.read_text(encoding="utf-8") for path in places]
    public = [name for name in makers if not name.startswith("_")]
    assert len(public) == len(BLOCKS)
    assert [name for name in public if not any(f"interactive.{name}(" in text for text in texts)] == []


def test_values_are_in_the_block_and_markup_is_escaped():
    for kind, text in BLOCKS.items():
        assert f'data-play="{kind}"' in text and "http" not in text
        json.loads(re.search(r'application/json">(.*?)</script>', text)[1])
    assert "d3&lt;: 7" in BLOCKS["points"] and "d3<" not in BLOCKS["points"]


def test_only_what_makes_sense_without_a_script_is_shown_without_one():
    assert [kind for kind, text in BLOCKS.items() if " hidden>" not in text] == ["points"]


def test_counts_along_the_thresholds_are_those_of_the_samples():
    data = json.loads(re.search(r'application/json">(.*?)</script>', BLOCKS["roc"])[1])
    points = data["curves"]["by case, 1"]["points"]
    assert points == [[0.9, 1, 0], [0.8, 2, 0], [0.6, 2, 1], [0.3, 3, 1], [0.1, 3, 2]]
    with pytest.raises(ValueError, match="both classes"):
        interactive.roc_threshold(SCORES.assign(als=True), "als", "score", "split", "ALS")


def test_dots_lie_where_their_values_say_on_a_linear_and_on_a_logarithmic_axis():
    places = {}
    for log in (False, True):
        table = DONORS.assign(sharpness=[1.0, 10.0, 100.0])
        text = interactive.named_points(table, "sharpness", "donor", "class", "sharpness", log=log)
        places[log] = [float(place) for place in re.findall(r'<circle cx="([\d.]+)"', text)]
    shares = {log: (middle - low) / (high - low) for log, (low, middle, high) in places.items()}
    assert shares == {False: pytest.approx(9 / 99, abs=1e-3), True: pytest.approx(0.5, abs=1e-3)}


def test_numbers_have_no_exponent():
    text = interactive.named_points(
        DONORS.assign(sharpness=[0.00051, 1900.4, 123456]), "sharpness", "donor", "class", "sharpness"
    )
    assert "e+" not in text and all(
        f">{name}: {n}<" in text for name, n in {"d1": "0.00051", "d2": "1900"}.items()
    )


def test_dots_of_equal_value_do_not_cover_each_other():
    text = interactive.named_points(
        DONORS.assign(sharpness=1.0, **{"class": "ALS"}), "sharpness", "donor", "class", "sharpness"
    )
    assert len(set(re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', text))) == len(DONORS)


def test_an_image_larger_than_a_screen_is_made_smaller():
    large = np.zeros((960, 1920, 3), np.uint8)
    assert "aspect-ratio: 480 / 240" in interactive.before_after(large, {"none": large})


def test_a_heatmap_without_heat_is_black_and_not_an_error():
    assert "data:image/webp" in interactive.heatmap_overlay(IMAGE, {"none": np.zeros((4, 4))}, "an image")


@pytest.fixture(scope="module")
def tab(browser):  # noqa: F811
    context = browser.new_context(viewport={"width": 900, "height": 900})
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.set_content(
        f"<style>{STYLE}</style><main class='bd-article'>{''.join(BLOCKS.values())}</main><script>{SCRIPT}</script>"
    )
    yield page
    assert page.errors == []
    context.close()


def said(tab, kind: str) -> str:
    return tab.inner_text(f'[data-play="{kind}"] output')


@pytest.mark.browser
@pytest.mark.parametrize("accuracy", [0.5, 0.8947, 1.0])
@pytest.mark.parametrize("images, correlation", [(1, 0.0), (10, 0.5), (2.5, 1.0)])
def test_the_donor_formulas_are_those_of_the_library(tab, accuracy, images, correlation):
    z = 1.959963984540054
    low, high = tab.evaluate(f"AlsPlay.accuracyInterval({accuracy}, 15, {images}, {correlation}, {z})")
    expected = accuracy_interval(accuracy, 15, images, correlation)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    for within in (0.02, 0.05, 0.3):
        needed = tab.evaluate(f"AlsPlay.donorsNeeded({accuracy}, {within}, {images}, {correlation}, {z})")
        assert needed == donors_needed(accuracy, within, images, correlation)


@pytest.mark.browser
@pytest.mark.parametrize("text", ["70.34%", "0.7034", "97.37%", "89.47 %", "0.95", "1", "100%"])
def test_possible_shares_are_those_of_the_library(tab, text):
    assert tab.evaluate(f"AlsPlay.possibleSizes('{text}', 400)") == possible_sizes([text], 400)
    for n in (7, 38, 118, 391):
        assert tab.evaluate(f"AlsPlay.possibleCounts('{text}', {n})") == list(possible_counts(text, n))


@pytest.mark.browser
def test_every_block_is_shown_and_says_something(tab):
    for kind in BLOCKS:
        assert tab.is_visible(f'[data-play="{kind}"]')
    assert "118" in said(tab, "share") and "145" in said(tab, "share")
    assert "independent images" in said(tab, "donors") and "sensitivity" in said(tab, "roc")


@pytest.mark.browser
def test_without_a_script_nothing_is_shown_that_does_not_work(browser):  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(f"<style>{STYLE}</style><main class='bd-article'>{''.join(BLOCKS.values())}</main>")
    visible = [kind for kind in BLOCKS if page.is_visible(f'[data-play="{kind}"]')]
    assert visible == ["points"]
    context.close()


@pytest.mark.browser
def test_sliders_move_by_keyboard(tab):
    tab.focus('[data-play="overlay"] input')
    tab.keyboard.press("End")
    assert said(tab, "overlay") == "Grad-CAM, opacity 100 %"
    tab.select_option('[data-play="overlay"] select', "LRP")
    assert said(tab, "overlay").startswith("LRP")
    tab.focus('[data-play="roc"] input')
    tab.keyboard.press("Home")
    cells = tab.eval_on_selector_all('[data-play="roc"] tbody td', "all => all.map(c => c.textContent)")
    assert cells == ["1", "2", "0", "2"] and "sensitivity 33 %, specificity 100 %" in said(tab, "roc")
    tab.focus('[data-play="roc"] select')
    tab.keyboard.press("ArrowDown")
    assert "ALS from a score of 0.7: sensitivity 0 %, specificity 0 %" in said(tab, "roc")
    tab.focus('[data-play="curves"] input')
    tab.keyboard.press("End")
    values = tab.eval_on_selector_all(
        '[data-play="curves"] td:not(.als-bar)', "all => all.map(c => c.textContent)"
    )
    assert values == ["0.40", "0.80"]
    tab.focus('[data-play="wipe"] input')
    tab.keyboard.press("End")
    assert said(tab, "wipe").startswith("left 100 %: Rotating")


@pytest.mark.browser
def test_dots_tell_their_name_by_arrow_keys_and_by_pointer(tab):
    dots = '[data-play="points"] circle'
    tab.focus(f"{dots}:nth-of-type(1)")
    assert said(tab, "points") == "d1: 1"
    tab.keyboard.press("ArrowRight")
    assert said(tab, "points") == "d2: 3"
    tab.hover(f"{dots} >> nth=2")
    assert said(tab, "points") == "d3<: 7"


@pytest.mark.browser
def test_a_wrong_entry_is_answered_in_words(tab):
    tab.fill('[data-play="share"] input[name="printed"]', "about 70")
    assert said(tab, "share").startswith("Type one number")
    tab.fill('[data-play="share"] input[name="printed"]', "70.34%")
    tab.fill('[data-play="donors"] input[name="within"]', "0")
    assert said(tab, "donors").startswith("Give an accuracy")
    tab.fill('[data-play="donors"] input[name="within"]', "5")
