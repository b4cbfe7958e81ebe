"""The seven verdicts on a published number, and the rules that give them.

What went in cannot come out as a success, and what the paper's own data did not make is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import Literal

from als_core.claims.printed import agrees_as_printed
from als_core.claims.published import Claim, printed_count

VERDICTS: Mapping[str, str] = MappingProxyType(
    {
        "reproduced": "equal to the printed precision; for a trained result also the paper's data, weights and "
        "amounts, and inside a rule fixed before the run",
        "differs": "judged by the same rule, and not so",
        "stand-in": "data, weights or amounts differ from the paper's: shown, not judged",
        "cannot hold": "the printed value is arithmetically impossible; the audit page shows how",
        "conflicts": "two printed values disagree with each other",
        "not a target": "an input, a literature value or a wall time: in no total",
        "not yet run": "this profile did not compute it",
    }
)

# How many printed standard deviations a mean over a few splits may move when the splits are drawn anew.
SPREADS = 2.0
_TAIL = 0.025  # of a two-sided exact 95% interval

_ON = {
    "synthetic": "synthetic samples",
    "own": "your own samples",
    "published": "public data of another study",
}


@dataclass(frozen=True)
class Verdict:
    """kind: a key of VERDICTS. reason: why, as a phrase without a full stop."""

    kind: str
    reason: str


@dataclass(frozen=True)
class Circumstances:
    """Under what a number was regenerated; what is not declared is taken to differ from the paper.

    cohort: the kind of the cohort it is from, None where there was none.
    data_of: for a published cohort, the key of the paper whose very data it is.
    weights: the paper's starting weights were used, or it needs none. amounts: its sizes, epochs and repeats.
    went_in: the number was an input, say to build the cohort or to set a recipe.
    """

    cohort: Literal["published", "synthetic", "own"] | None = None
    data_of: str = ""
    weights: bool = False
    amounts: bool = False
    went_in: bool = False


def judge(claim: Claim, regenerated: float | None, circumstances: Circumstances) -> Verdict:
    """The verdict on a regenerated value, in the claim's unit; None or NaN where there is none.

    What is settled about a claim comes first, then whether there is a number, then whether it went in, then
    whether the paper's data, weights and amounts made it, and only then the comparison. Raises ValueError
    for a value that needs a cohort and names none, TypeError for one that is no number.
    """
    if claim.settled:
        return Verdict(claim.settled, claim.why)
    value = as_number(regenerated)
    if value is None:
        return Verdict("not yet run", "the page gave no number")
    if circumstances.went_in:
        return Verdict("not a target", "this value was an input")
    if claim.needs in ("nothing", "printed"):
        return _compared(claim, value)
    if circumstances.cohort is None:
        raise ValueError(f"{claim.id} needs {claim.needs}: say which cohort the value {value} is from")
    if claim.needs == "composition" and circumstances.cohort == "synthetic":
        return Verdict("not a target", "the synthetic cohort was built from it")
    if circumstances.cohort != "published" or circumstances.data_of != claim.paper:
        return Verdict("stand-in", f"computed on {_ON[circumstances.cohort]}, not on the paper's data")
    if claim.needs in ("composition", "cohort"):
        return _compared(claim, value)
    given = {"weights": circumstances.weights, "amounts": circumstances.amounts}
    if differing := [name for name, same in given.items() if not same]:
        return Verdict("stand-in", f"the paper's data, but other {' and '.join(differing)}")
    return _by_rule(claim, value)


def as_number(value: float | None) -> int | float | None:
    """A finite number as Python's own int or float; None for None, NaN and infinity, else TypeError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"a regenerated value is a number or None, not {value!r}")
    if isinstance(value, Integral):
        return int(value)
    return float(value) if math.isfinite(value) else None


def _compared(claim: Claim, value: float) -> Verdict:
    kind = "reproduced" if agrees_as_printed(value, claim.printed) else "differs"
    return Verdict(kind, f"{_plain(value)} against the printed {claim.printed.text}")


def _by_rule(claim: Claim, value: float) -> Verdict:
    if not claim.rule:
        return Verdict("stand-in", "no rule was fixed for it before the run")
    if claim.rule == "equal":
        return _compared(claim, value)
    if claim.rule == "spread":
        inside = abs(value - claim.value) <= SPREADS * claim.amount
        rule = f"{SPREADS:g} printed standard deviations ({claim.amount:g} each) of {claim.printed.text}"
    else:
        trials, count = round(claim.amount), printed_count(claim)
        share = value / (100.0 if claim.unit == "percent" else 1.0)
        inside = 0.0 <= share <= 1.0 and min(_tails(share, count, trials)) >= _TAIL
        rule = f"the exact 95% interval of {count} of {trials}"
    if inside:
        return Verdict("reproduced", f"{_plain(value)} is within {rule}")
    return Verdict("differs", f"{_plain(value)} is outside {rule}")


def _plain(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _tails(share: float, count: int, trials: int) -> tuple[float, float]:
    """P(at least `count`) and P(at most `count`) of `trials`; both are 0.025 or more inside Clopper-Pearson."""
    # summed here and not asked of SciPy, whose import would cost every page half a second
    chances = [
        math.comb(trials, hits) * share**hits * (1.0 - share) ** (trials - hits) for hits in range(trials + 1)
    ]
    return sum(chances[count:]), sum(chances[: count + 1])
