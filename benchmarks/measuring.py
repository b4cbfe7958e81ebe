"""Processor time of a piece of work, and the ratio of two ways of doing it in rounds that alternate between them.

Processor time is user and system seconds of a process and its children (loader workers), PyTorch on one thread. It
depends less on other users of the machine than the clock does; the clock is kept beside it.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Cost = dict[str, float]
"""Seconds: `processor` and `clock`."""

Runner = Callable[..., tuple[dict[str, Any], Cost]]
"""(module, *arguments) -> what its `main` returned, and what that cost."""


def used() -> Cost:
    """Return the seconds that this process and its finished children have used so far."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"processor": sum(each.ru_utime + each.ru_stime for each in both), "clock": time.perf_counter()}


def between(start: Cost, end: Cost) -> Cost:
    """Return the seconds from one reading of `used` to a later one."""
    return {by: end[by] - start[by] for by in start}


def cost(work: Callable[[], Any]) -> Cost:
    """Run `work` and return what it cost."""
    start = used()
    work()
    return between(start, used())


def alternate(ways: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Measure every way once a round, in the opposite order in every other round."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            costs[name].append(ways[name]())
    return costs


def compared(
    subject: str, way: str, ordinary: Sequence[Cost], companion: Sequence[Cost], **more: Any
) -> dict[str, Any]:
    """Return one row of the results: median seconds of both, and the ratio of processor time in each round."""
    ratios = sorted(a["processor"] / b["processor"] for a, b in zip(ordinary, companion, strict=True))
    clock = [a["clock"] / b["clock"] for a, b in zip(ordinary, companion, strict=True)]
    seconds = [statistics.median(each["processor"] for each in costs) for costs in (ordinary, companion)]
    spread = {"ratio": statistics.median(ratios), "ratio_low": ratios[0], "ratio_high": ratios[-1]}
    row = {"subject": subject, "way": way, "ordinary_seconds": seconds[0], "companion_seconds": seconds[1]}
    return row | spread | {"clock_ratio": statistics.median(clock), "rounds": len(ratios)} | more


def in_fresh_process(environment: Mapping[str, str]) -> Runner:
    """Return a runner that starts `python -m module arguments` and reads the JSON that it prints last."""

    def run(module: str, *arguments: Any) -> tuple[dict[str, Any], Cost]:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        start = used()
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1]), between(start, used())

    return run
