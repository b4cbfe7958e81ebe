"""Printed numbers: reading them out of a text, and comparing at their precision.

A paper prints `11.2M`, `> 84%`, `(9 × 114) 1026` or `0.77 ± 0.06`. Each becomes a `Printed`: the text, the
number, and half a unit of its last printed digit, within which a regenerated value says the same.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

_SCALES = {
    "": Decimal(1),
    "%": Decimal(1),
    "K": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
}
_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_RELATION_SIGNS = {"≈": "~", "about": "~", "approximately": "~"}
_NUMBER = re.compile(
    r"(?:(?P<relation>[<>~≈]|about|approximately)\s*)?"
    r"(?<![\w.])(?P<sign>(?<![\w)])-)?"  # the dash of 150-300 is no sign, and ResNet18 holds no number
    r"(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<fraction>\.\d+)?(?P<exponent>e[+-]?\d+)?"
    r"\s?(?P<suffix>[KMG%])?(?![\w])(?!\.\d)"
)
TIE = 1e-12  # rounding leaves less than this of the difference of two equal floats


@dataclass(frozen=True)
class Printed:
    """One number as a paper prints it.

    text: as printed. relation: `=`, `<`, `>`, or `~` for about. value: the number; a percentage stays in
    percent. half_unit: half a unit of the last printed digit, in units of the value. The rest says how to
    write another value in the same form.
    """

    text: str
    relation: str
    value: float
    half_unit: float
    decimals: int = 0
    scale: float = 1.0
    suffix: str = ""
    grouped: bool = False


def parse_printed(text: str) -> tuple[Printed, ...]:
    """Every number in a printed text, in order; none where it holds none.

    Text in brackets is a remark on the number and is not read, `3x3x3` and `6:2:2` are three numbers,
    `0.77 ± 0.06` are two, and a number word (zero to twelve) counts only where it is the whole text.
    A single number keeps the whole text; of several, each keeps its own part.
    """
    if text.strip().lower() in _WORDS:
        return (Printed(text, "=", float(_WORDS.index(text.strip().lower())), 0.5),)
    plain = re.sub(r"\([^)]*\)", " ", text).replace("−", "-")
    plain = re.sub(r"(?<=\d)\s*[x×]\s*(?=\d|[a-z]\b)", " × ", plain)
    found = tuple(_printed(match) for match in _NUMBER.finditer(plain))
    return found if len(found) != 1 else (_with_text(found[0], text.strip()),)


def _printed(match: re.Match) -> Printed:
    digits, fraction = match["digits"], match["fraction"] or ""
    suffix = match["suffix"] or ""
    scale = _SCALES[suffix] * Decimal(f"1{match['exponent'] or ''}")
    sign = match["sign"] or ""
    return Printed(
        text=match.group(0).strip(),
        relation=_RELATION_SIGNS.get(match["relation"], match["relation"] or "="),
        value=float(Decimal(sign + digits.replace(",", "") + fraction) * scale),
        half_unit=float(Decimal(5).scaleb(-max(len(fraction), 1)) * scale),
        decimals=max(len(fraction) - 1, 0),
        scale=float(scale),
        suffix=(match["exponent"] or "") + suffix,
        grouped="," in digits,
    )


def _with_text(printed: Printed, text: str) -> Printed:
    return Printed(**{**vars(printed), "text": text})


def agrees_as_printed(value: float, printed: Printed) -> bool:
    """Whether `value` says what is printed: within half a unit of the last digit, or beyond the bound.

    A tie may be rounded either way, so both agree; for `~` the rule is that of `=`. NaN never agrees.
    """
    if printed.relation == "<":
        return value < printed.value - TIE
    if printed.relation == ">":
        return value > printed.value + TIE
    if not math.isfinite(value):
        return False
    # binary floats cannot say most decimals: the last few of their own digits keep an exact tie a tie
    slack = 4 * math.ulp(max(abs(value), abs(printed.value)))
    return abs(value - printed.value) <= printed.half_unit + slack


def value_at_printed_precision(value: float, printed: Printed, unit: str = "") -> str:
    """`value` written in the form of `printed`: 11178051 beside `11.2M` becomes `11.2M`.

    Three digits are kept where the printed form fixes none: beside a bound (`> 84%`), for a value that is not
    finite, and for one that would be rounded to nothing. A share that is printed without decimals keeps two
    digits (unit `fraction` or `percent`), so that 0.80 beside `1` is not shown as equal.
    """
    value = 0.0 if 0 < abs(value) < TIE else value
    decimals = printed.decimals
    if not decimals and unit == "fraction":
        decimals = 2
    elif not decimals and unit == "percent" and abs(value) < 10:
        decimals = 1
    written = f"{value / printed.scale:{',' if printed.grouped else ''}.{decimals}f}"
    vanishes = value != 0 and not written.strip("-0.")
    if printed.relation in ("<", ">") or not math.isfinite(value) or vanishes:
        written = f"{value / printed.scale:.3g}"
    return f"{written}{printed.suffix}"
