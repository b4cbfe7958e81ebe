"""What a piece of work costs, and the ratio of two ways of doing it, each round one after the other.

Cost is processor time: user and system seconds of this process and of its children (loader workers), PyTorch
on one thread. Unlike the time on the clock it says the same on a machine that others use; the clock is
kept beside it.
"""

from __future__ import annotations

import ctypes
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Cost = dict[str, float]  # processor and clock, seconds


def cost(work: Callable[[], Any]) -> Cost:
    """Run `work` and say what it took."""
    before, clock = _processor(), time.perf_counter()
    work()
    return {"processor": _processor() - before, "clock": time.perf_counter() - clock}


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def give_memory_back() -> None:
    """Undo `als_core.training.memory.keep_freed_memory`: glibc as it is once a first large tensor was freed."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    # malloc.h: trim threshold, mmap threshold (at its highest, 32 MiB), how many mappings
    for option, value in ((-1, 64 << 20), (-3, 32 << 20), (-4, 65536)):
        libc.mallopt(option, value)
    libc.malloc_trim(0)


def copying_speed() -> float:
    """GB read and written in a second by one core that copies 256 MB: how slow memory is just now.

    On a machine that others use it differs tenfold from hour to hour, and ways that pass over memory often feel it most.
    """
    source = np.ones(2**28, np.uint8)
    target = np.ones_like(source)
    seconds = [cost(lambda: np.copyto(target, source))["clock"] for _ in range(5)]
    return 2 * source.nbytes / 1e9 / statistics.median(seconds)


def alternated(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Cost]]:
    """Costs of each way in each round; in a round they follow each other, in the next in the other order."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            costs[name].append(cost(ways[name]))
    return costs


def row(
    name: str,
    baseline: Sequence[Cost],
    ours: Sequence[Cost],
    *,
    target: float | None,
    equal_within: str,
    scaled: str = "",
    by: str = "processor",
    **more: Any,
) -> dict[str, Any]:
    """A row of the table: ratios of the paired rounds, their medians in seconds, and what the reader must know."""
    ratios = sorted(b[by] / o[by] for b, o in zip(baseline, ours, strict=True))
    clock = [b["clock"] / o["clock"] for b, o in zip(baseline, ours, strict=True)]
    return {
        "name": name,
        "baseline": statistics.median(each[by] for each in baseline),
        "ours": statistics.median(each[by] for each in ours),
        "measured_by": f"{by} seconds",
        "ratio_min": ratios[0],
        "ratio_median": statistics.median(ratios),
        "ratio_max": ratios[-1],
        "clock_ratio_median": statistics.median(clock),
        "rounds": len(ratios),
        "target": target,
        "equal_within": equal_within,
        "scaled": scaled,
        **more,
    }


def in_fresh_process(module: str, *arguments: Any, environment: Mapping[str, str]) -> tuple[dict, Cost]:
    """The JSON that `python -m module arguments` prints last, and what the process cost from start to end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    answer: list[str] = []

    def work() -> None:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        answer.append(done.stdout.splitlines()[-1])

    spent = cost(work)
    return json.loads(answer[0]), spent
