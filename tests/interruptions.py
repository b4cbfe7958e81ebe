"""Kill -9 at seeded random moments of `als book`, resume, and compare with an undisturbed build.

    python tests/interruptions.py                          # 20 kills over builds of the `test` profile
    python tests/interruptions.py --pages xia2024/02_augmentation xia2024/04_train/basic_cnn
    python tests/interruptions.py --profile quick --kills 6   # one quick build, again and again

Works in a copy of this checkout. A build is killed, resumed and killed again. When it finishes, it is compared and the
next build starts from nothing, until all kills are spent. Every prediction, table and figure must have the same bytes,
and pages and runs that were finished before a kill must not be made again. One row a kill goes to --record, as CSV.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from checkouts import copy_checkout, environment_in

MADE = ("_build", "results", "logs", ".snakemake", "book/generated", "book/claims.md")
KINDS = ("everything", "als book alone", "one process below it")
COMPARED = (".csv", ".svg", ".png")
MEASURED = ("One image (ms)", "Training (minutes)")  # columns of measured times
CORES = 2


def start(root: Path, profile: str, log: Path) -> psutil.Popen:
    """`als book synthetic` in a checkout, with results of its own and no real data."""
    command = [
        sys.executable,
        "-m",
        "als_core",
        "book",
        "synthetic",
        "--profile",
        profile,
        "--cores",
        str(CORES),
    ]
    with log.open("a") as stream:
        return psutil.Popen(
            command,
            cwd=root,
            env=environment_in(root),
            stdout=stream,
            stderr=stream,
        )


def kill(build: psutil.Popen, kind: str, rng: np.random.Generator) -> str:
    """Kill -9 the processes that `kind` selects, and name them."""
    below = build.children(recursive=True)
    if kind == "one process below it" and below:
        chosen = [below[rng.integers(len(below))]]
    else:
        chosen = [build] if kind == "als book alone" else [build, *below]
    names = []
    for process in chosen:
        try:
            names.append(_named(process.cmdline()))
            process.kill()
        except psutil.NoSuchProcess:
            continue
    build.wait()
    return ", ".join(dict.fromkeys(name for name in names if name))


def _named(command: Sequence[str]) -> str:
    """Name a process by its job in the book; empty for shells and other carriers."""
    line = " ".join(command)
    if job := re.search(r"als_core (page|train|book|site)( \S+)?", line):
        kind, which = job.groups()
        return f"{kind}{which}" if kind in ("page", "train") else kind
    for mark, name in (("ipykernel", "kernel"), ("jupyter-book", "Jupyter Book"), ("snakemake", "Snakemake")):
        if mark in line:
            return name
    return ""


def left_behind(root: Path) -> dict[str, bytes]:
    """Every prediction, history, table and figure in the results of a checkout, by its path there.

    Columns of measured times are left out.
    """
    results = root / "results"
    return {
        path.relative_to(results).as_posix(): _without_times(path)
        for path in sorted(results.rglob("*"))
        if path.suffix in COMPARED
        and not any(part.startswith(".") for part in path.relative_to(results).parts)
    }


def _without_times(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".csv" or not any(name.encode() in content.partition(b"\n")[0] for name in MEASURED):
        return content
    return pd.read_csv(path, dtype=str).drop(columns=list(MEASURED), errors="ignore").to_csv().encode()


def finished(root: Path) -> dict[Path, int]:
    """When each finished page and run was written, in nanoseconds."""
    marks = [*root.glob("results/*/*/pages/**/page.ipynb"), *root.glob("results/**/run.json")]
    return {path: path.stat().st_mtime_ns for path in marks if "/." not in path.as_posix()}


def leftovers(root: Path) -> list[Path]:
    """Temporary folders that a kill left behind."""
    return [
        path for folder in ("results", "_build") for path in (root / folder).rglob(".*.*") if path.is_dir()
    ]


def from_nothing(root: Path) -> None:
    """Remove everything built in the copy."""
    for name in MADE:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def undisturbed(root: Path, profile: str, log: Path) -> tuple[float, dict[str, bytes]]:
    """Seconds and results of an undisturbed build."""
    began = time.monotonic()
    if start(root, profile, log).wait():
        raise SystemExit(f"the undisturbed build failed: see {log}")
    return time.monotonic() - began, left_behind(root)


def interrupt(root: Path, profile: str, kills: int, seed: int, log: Path, share: float = 0.5) -> pd.DataFrame:
    """Spend `kills` on builds in `root`; one row a kill.

    share: the longest time between two kills, as a share of an undisturbed build's. Columns: kill, build, seconds
    (since the build was taken up), killed, at_work (what was running), finished (pages and runs before the kill), made_again (of
    these, rewritten when the build went on), and same (whether all files of the build it fell in were the same bytes).
    """
    rng = np.random.default_rng(seed)
    seconds, expected = undisturbed(root, profile, log)
    from_nothing(root)
    rows: list[dict] = []
    build, before = 1, {}

    def count_made_again() -> None:
        """Count what was finished before the last kill and has been written again since."""
        if rows and rows[-1]["build"] == build:
            now = finished(root)
            rows[-1]["made_again"] = sum(now.get(path) != written for path, written in before.items())

    while len(rows) < kills:
        wait, kind = rng.uniform(1, max(2, share * seconds)), KINDS[rng.choice(3, p=[0.6, 0.2, 0.2])]
        process = start(root, profile, log)
        try:
            code = process.wait(timeout=wait)
        except psutil.TimeoutExpired:
            count_made_again()
            before = finished(root)
            at_work = kill(process, kind, rng)
            rows.append({"kill": len(rows) + 1, "build": build, "seconds": round(wait, 1), "killed": kind,
                         "at_work": at_work, "finished": len(before), "made_again": 0, "same": False})  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
            continue
        _compared(code, root, rows, build, expected, count_made_again, log)
        from_nothing(root)
        build, before = build + 1, {}
    _compared(start(root, profile, log).wait(), root, rows, build, expected, count_made_again, log)
    return pd.DataFrame(rows)


def _compared(code, root, rows, build, expected, count_made_again, log) -> None:
    """Judge a finished build."""
    count_made_again()
    if code:
        raise SystemExit(f"build {build} did not finish after a kill (exit code {code}): see {log}")
    now = left_behind(root)
    different = sorted(name for name in now.keys() | expected.keys() if now.get(name) != expected.get(name))
    if different:
        print(
            f"build {build}: {len(different)} of {len(expected)} files differ: {different[:8]}",
            file=sys.stderr,
        )
    if left := leftovers(root):
        print(f"build {build}: {len(left)} temporary folders left: {left[:4]}", file=sys.stderr)
    for row in rows:
        if row["build"] == build:
            row["same"] = not different
    print(f"build {build}: {len(now)} files, {len(different)} differ", file=sys.stderr, flush=True)


def main() -> None:
    """Spend the kills, write the record, and fail where a build was not the same."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="test")
    parser.add_argument("--pages", nargs="*", default=(), help="only these, and the prose pages")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--share", type=float, default=0.5, help="longest time between kills, of a whole build"
    )
    parser.add_argument("--record", type=Path, help="CSV to write, one row a kill")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = copy_checkout((chosen.folder or Path(temporary)) / "checkout", chosen.pages or None)
        log = root.parent / "builds.log"
        table = interrupt(root, chosen.profile, chosen.kills, chosen.seed, log, chosen.share)
    if chosen.record:
        chosen.record.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(chosen.record, index=False, lineterminator="\n")
    print(table.to_string(index=False))
    sys.exit(0 if table["same"].all() else "some builds were not the same")


if __name__ == "__main__":
    main()
