"""The verdicts on published numbers, and the rules that give them.

| verdict | given to |
|---|---|
| adds up, as built, as released, reproduced | a value that agrees; which of the four is fixed with the claim |
| differs | a value judged by the same rule that does not agree |
| stand-in | a value made from other data, weights or amounts than the paper's |
| conflicts, cannot hold, not a target | a claim that is settled before any page computes it |
| not yet run | a claim without a value |

A value that was put into a computation cannot come out of it as a success, and a value that the paper's own data
did not make is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import Literal

from als_core.claims.printed import agrees_as_printed
from als_core.claims.published import PAPERS, Claim, printed_count, share_of

NO_TARGET = "not a target"
"""The verdict that counts in no total."""
VERDICTS: Mapping[str, str] = MappingProxyType(
    {
        "reproduced": "a measurement on the paper's data, with weights of the kind it names and at its sizes, "
        "lies inside a rule fixed before the run",
        "adds up": "arithmetic on the paper's own printed numbers agrees",
        "as built": "the architecture, rebuilt, has the printed size or cost; the reason says whether its "
        "configuration was printed or recovered",
        "as released": "counted on the released data, and as printed",
        "differs": "judged by the same rule, and not so",
        "stand-in": "data, weights or amounts differ from the paper's: shown, not judged",
        "conflicts": "two printed statements disagree, or one holds only under a reading the text does not give",
        "cannot hold": "no reading of the printed words makes it arithmetically possible",
        NO_TARGET: "an input, a literature value or a wall time: in no total",
        "not yet run": "this profile did not compute it",
    }
)

Z = 1.96  # standard errors of a 95 % interval
SPREADS = 2.0  # printed standard deviations by which a mean over other splits may move

Regenerated = float | Mapping[str, float] | None

_COMPUTED_ON = {
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
    """How a number was regenerated; what is not declared is taken to differ from the paper.

    cohort : {"published", "synthetic", "own"} or None
        Kind of the cohort the number is from; None where there was none.
    data_of : str
        For a published cohort, the key of the paper whose very data it is.
    weights : str
        Which training the starting weights come from, where they are of the kind the paper names ("ImageNet-1k,
        torchvision"), or "none needed"; empty where the weights differ.
    amounts : bool
        Whether sizes, epochs and, where `seeds` is None, the number of runs are the paper's.
    seeds : int or None
        Number of runs (seeds) behind the number. Fewer than the paper's are judged by the interval they give.
    recorded : bool
        Whether the runs were recorded and kept with the project.
    went_in : bool
        Whether the number was an input, say to build the cohort or to set a recipe.
    """

    cohort: Literal["published", "synthetic", "own"] | None = None
    data_of: str = ""
    weights: str = ""
    amounts: bool = False
    seeds: int | None = None
    recorded: bool = False
    went_in: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.weights, str):
            raise TypeError(f"weights: name the training they come from, not {self.weights!r}")


def judge(claim: Claim, regenerated: Regenerated, circumstances: Circumstances) -> Verdict:
    """Return the verdict on a regenerated value.

    Parameters
    ----------
    claim : Claim
    regenerated : float, mapping or None
        The value in the claim's unit; None or NaN where there is none. Where the text leaves open how a number
        was computed, a mapping of each reading to its value: the reading nearest to the printed number is judged.
    circumstances : Circumstances

    What is settled about a claim comes first, then whether there is a value, whether it was an input, whether the
    paper's data, weights and amounts made it, and only then the comparison. Raises ValueError for a value that
    needs a cohort and names none, TypeError for a value that is not a number.
    """
    if claim.settled:
        return Verdict(claim.settled, claim.why)
    value, reading = nearest_reading(claim, regenerated)
    if value is None:
        return Verdict("not yet run", "the page gave no number")
    if circumstances.went_in:
        return Verdict(NO_TARGET, "this value was an input")
    if claim.needs in ("nothing", "printed"):
        return _compare(claim, value, reading)
    if circumstances.cohort is None:
        raise ValueError(f"{claim.id} needs {claim.needs}: say which cohort the value {value} is from")
    if claim.needs == "composition" and circumstances.cohort == "synthetic":
        return Verdict(NO_TARGET, "the synthetic cohort was built from it")
    if circumstances.cohort != "published" or circumstances.data_of != claim.paper:
        return Verdict(
            "stand-in", f"computed on {_COMPUTED_ON[circumstances.cohort]}, not on the paper's data"
        )
    if claim.needs in ("composition", "cohort"):
        return _compare(claim, value, reading)
    same = {"weights": bool(circumstances.weights), "amounts": circumstances.amounts}
    if differing := [name for name, is_same in same.items() if not is_same]:
        return Verdict("stand-in", f"the paper's data, but other {' and '.join(differing)}")
    verdict = _judge_trained(claim, value, circumstances.seeds)
    runs = "recorded runs" if circumstances.recorded else "runs of this profile"
    return Verdict(verdict.kind, f"{verdict.reason}; {runs}, starting weights: {circumstances.weights}")


def nearest_reading(claim: Claim, regenerated: Regenerated) -> tuple[int | float | None, str]:
    """Return the value to judge and the name of its reading, empty where only one reading was given.

    Of several readings one that agrees comes first, then the nearest to the printed number.
    """
    if not isinstance(regenerated, Mapping):
        return as_number(regenerated), ""
    readings = {
        name: number for name, value in regenerated.items() if (number := as_number(value)) is not None
    }
    if not readings:
        return None, ""
    nearest = min(
        readings,
        key=lambda name: (
            not agrees_as_printed(readings[name], claim.printed),
            abs(readings[name] - claim.value),
        ),
    )
    return readings[nearest], nearest


def as_number(value: float | None) -> int | float | None:
    """Return a finite number as Python's own int or float, None for None, NaN and infinity; else TypeError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"a regenerated value is a number or None, not {value!r}")
    if isinstance(value, Integral):
        return int(value)
    return float(value) if math.isfinite(value) else None


def _compare(claim: Claim, value: float, reading: str = "") -> Verdict:
    """Compare at the printed precision."""
    reason = f"{_short(value)} against the printed {claim.printed.text}"
    if reading:
        reason += f" ({reading})"
    if claim.basis:
        reason += f"; {claim.basis}"
    return Verdict(claim.success if agrees_as_printed(value, claim.printed) else "differs", reason)


def _judge_trained(claim: Claim, value: float, seeds: int | None) -> Verdict:
    """Judge a trained result by the rule that was fixed for its claim."""
    if not claim.rule:
        return Verdict("stand-in", "no rule was fixed for it before the run")
    if claim.rule == "equal":
        return _compare(claim, value)
    if claim.rule == "order":
        return _judge_order(claim, value, seeds)
    if claim.rule == "spread":
        inside = abs(value - claim.value) <= SPREADS * claim.amount
        rule = f"{SPREADS:g} printed standard deviations ({claim.amount:g} each) of {claim.printed.text}"
        return _inside_or_not(inside, value, rule)
    return _judge_share(claim, value, seeds)


def _judge_share(claim: Claim, value: float, seeds: int | None) -> Verdict:
    """Judge a share of test samples by the exact 95 % interval of the printed share.

    With fewer runs than the paper's, a value inside the interval is reproduced. One outside differs only where
    the exact interval of its own answers, over all its runs, lies outside as well; otherwise more runs must decide.
    The best of several runs grows with their number, so it is judged with the paper's number of runs only.
    """
    from als_core.statistics.intervals import clopper_pearson  # imports SciPy, which most pages do without

    trials, count, wanted = round(claim.amount), printed_count(claim), PAPERS[claim.paper].runs
    printed, share = clopper_pearson(count, trials), value / share_of(claim, claim.amount)
    inside = printed.low <= share <= printed.high
    rule = f"the exact 95 % interval of {count} of {trials}"
    if seeds is None or wanted is None or seeds >= wanted:
        return _inside_or_not(inside, value, rule)
    if claim.rule == "best":
        return Verdict("stand-in", f"the best of {wanted} runs is printed, and there are {seeds}")
    answers = trials * seeds
    own = clopper_pearson(min(answers, max(0, round(share * answers))), answers)
    ends = " to ".join(_short(share_of(claim, end * claim.amount)) for end in own[:2])
    if inside or own.high < printed.low or own.low > printed.high or not 0 <= share <= 1:
        verdict = _inside_or_not(inside, value, rule)
        return Verdict(verdict.kind, f"{verdict.reason}; {seeds} of {wanted} runs, interval {ends}")
    return Verdict(
        "stand-in", f"{seeds} of {wanted} runs cannot decide: their interval, {ends}, reaches into {rule}"
    )


def _judge_order(claim: Claim, value: float, seeds: int | None) -> Verdict:
    """Judge a difference of two shares of the same test samples by the printed side of 0.

    With fewer runs than the paper's, a difference on the other side differs only beyond the 95 % half width of a
    difference of two shares, each of all answers of its runs.
    """
    verdict, wanted = _compare(claim, value), PAPERS[claim.paper].runs
    if verdict.kind == claim.success or seeds is None or wanted is None or seeds >= wanted:
        return verdict
    half_width = share_of(claim, claim.amount * Z * math.sqrt(0.5 / (claim.amount * seeds)))
    runs = f"{verdict.reason}; {seeds} of {wanted} runs leave ± {_short(half_width)}"
    if abs(value) > half_width:
        return Verdict("differs", runs)
    return Verdict("stand-in", f"{runs}, too much to decide")


def _inside_or_not(inside: bool, value: float, rule: str) -> Verdict:
    if inside:
        return Verdict("reproduced", f"{_short(value)} is within {rule}")
    return Verdict("differs", f"{_short(value)} is outside {rule}")


def _short(value: float) -> str:
    return (f"{value:,}" if isinstance(value, int) else f"{value:.6g}").replace("-", "−")
