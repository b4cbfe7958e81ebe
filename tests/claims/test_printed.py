"""Printed numbers: every form the papers use, and what counts as equal at their precision."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from als_core.claims.printed import agrees_as_printed, parse_printed, value_at_printed_precision

FORMS = [
    # text, relation, value, half a unit of the last digit
    ("1.9G", "=", 1.9e9, 0.05e9),
    ("11.22M", "=", 11_220_000, 5_000),
    ("7.0M", "=", 7_000_000, 50_000),
    ("95232", "=", 95_232, 0.5),
    ("222,801", "=", 222_801, 0.5),
    ("63.16%", "=", 63.16, 0.005),
    ("71.32 %", "=", 71.32, 0.005),
    ("(9 × 114) 1026", "=", 1026, 0.5),
    ("~80%", "~", 80, 0.5),
    ("about 14 months", "~", 14, 0.5),
    ("> 84%", ">", 84, 0.5),
    ("<60", "<", 60, 0.5),
    ("1e-4", "=", 0.0001, 0.00005),
    ("0.6510", "=", 0.651, 0.00005),
    ("-3.5", "=", -3.5, 0.05),
    ("stratified-3-fold", "=", 3, 0.5),
    ("nine", "=", 9, 0.5),
    ("1 (best of 4)", "=", 1, 0.5),
]

SEVERAL = [
    ("0.8±0.1", [0.8, 0.1]),
    ("91.76 ± 0.31", [91.76, 0.31]),
    ("6:2:2 train:validation:test", [6, 2, 2]),
    ("80/20", [80, 20]),
    ("150-300", [150, 300]),
    ("2–4 years", [2, 4]),
    ("2010 to 2018", [2010, 2018]),
    ("3x3x3", [3, 3, 3]),
    ("512×512×z", [512, 512]),
    ("70% / 30% train/test", [70, 30]),
    ("50, 3, 2", [50, 3, 2]),
]


@pytest.mark.parametrize(("text", "relation", "value", "half_unit"), FORMS)
def test_a_text_with_one_number_gives_its_value_and_precision(text, relation, value, half_unit):
    (printed,) = parse_printed(text)
    assert (printed.text, printed.relation, printed.value) == (text, relation, value)
    assert printed.half_unit == pytest.approx(half_unit, rel=1e-12)


@pytest.mark.parametrize(("text", "values"), SEVERAL)
def test_a_text_with_several_numbers_gives_each(text, values):
    assert [printed.value for printed in parse_printed(text)] == values


@pytest.mark.parametrize(
    "text", ["", "Adam", "ResNet18", "BA44; BA46", "last two modules", "F1-score", "1.5T", "(3 runs)"]
)
def test_a_text_without_a_number_gives_none(text):
    assert parse_printed(text) == ()


@pytest.mark.parametrize(
    ("text", "agreeing", "differing"),
    [
        ("11.2M", [11_178_051, 11_150_000, 11_250_000], [11_149_999, 11_250_001]),
        ("95232", [95_232], [95_231, 95_233]),
        ("3.34", [3.336, 3.335, 3.345], [3.3349, 3.3451, 3.61]),
        ("> 84%", [84.01, 100], [84, 83.9, math.nan]),
        ("< 60", [59.9, -1], [60, 61, math.nan]),
        ("> 0 (better)", [1e-3], [0, 0.1 + 0.2 - 0.3, -1e-3]),  # what rounding leaves of a tie is no lead
        ("~80%", [79.5, 80.5], [79.4, 80.6]),
        ("1e-4", [1e-4, 1.4e-4], [1.6e-4, 4e-5, math.nan, math.inf]),
    ],
)
def test_values_agree_within_half_a_unit_or_beyond_a_bound(text, agreeing, differing):
    (printed,) = parse_printed(text)
    assert all(agrees_as_printed(value, printed) for value in agreeing)
    assert not any(agrees_as_printed(value, printed) for value in differing)


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("11.2M", 11_178_051, "11.2M"),
        ("7.0M", 6_956_931, "7.0M"),
        ("1.9G", 1_894_400_000, "1.9G"),
        ("222,801", 1234567.8, "1,234,568"),
        ("63.16%", 63.15789, "63.16%"),
        ("(9 × 114) 1026", 1140, "1140"),
        ("1e-4", 0.000234, "2e-4"),
        ("> 0 (better)", 0.03125, "0.0312"),  # a bound fixes no precision
        ("> 84%", 91.23456789, "91.2%"),
        ("> 0 (better)", 0.1 + 0.2 - 0.3, "0"),
        ("0.73", math.nan, "nan"),
        ("0.001", 0.0001, "0.0001"),
        ("0.0", 0, "0.0"),
    ],
)
def test_a_value_is_written_in_the_printed_form(text, value, shown):
    assert value_at_printed_precision(value, parse_printed(text)[0]) == shown


@pytest.mark.parametrize(
    ("text", "value", "unit", "shown"),
    [
        ("1", 0.8, "fraction", "0.80"),
        ("one", 0.9286, "fraction", "0.93"),
        ("1", 1.0, "fraction", "1.00"),
        ("0.95", 0.826, "fraction", "0.83"),
        ("~ 80%", 43.75, "percent", "44%"),
        ("~ 80%", 4.4, "percent", "4.4%"),
        ("> 84%", 91.23456789, "percent", "91.2%"),
        ("1", 1e-4, "fraction", "0.0001"),
        ("38", 37.0, "images", "37"),
        ("one", 3, "", "3"),
        ("95232", 95_231, "parameters", "95231"),
    ],
)
def test_a_share_printed_without_decimals_keeps_two_digits_and_a_count_none(text, value, unit, shown):
    assert value_at_printed_precision(value, parse_printed(text)[0], unit) == shown


numbers = st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False)


@settings(deadline=None, database=None)
@given(numbers, st.integers(0, 4), st.sampled_from(["", "%", "K", "M", "G"]))
def test_a_number_agrees_with_its_own_rounding_and_with_no_neighbour(
    number: Decimal, places: int, suffix: str
):
    scale = {"K": 1000, "M": 10**6, "G": 10**9}.get(suffix, 1)
    unit = Decimal(1).scaleb(-places)
    (printed,) = parse_printed(f"{number.quantize(unit)}{suffix}")
    assert agrees_as_printed(float(number * scale), printed)
    assert agrees_as_printed(printed.value, printed)
    assert value_at_printed_precision(printed.value, printed) == printed.text
    beyond = float((number.quantize(unit) + unit * Decimal("0.51")) * scale)
    assert not agrees_as_printed(beyond, printed)
