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
    """`als book synthetic` in a checkout, with its own results and no real data."""
    arguments = ["book", "synthetic", "--profile", profile, "--cores", str(CORES)]
    with log.open("a") as stream:
        return psutil.Popen(
            [sys.executable, "-m", "als_core", *arguments],
            cwd=root, env=environment_in(root), stdout=stream, stderr=stream,
        )  # fmt: skip


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


def interrupt(root: Path, profile: str, kills: int, log: Path) -> pd.DataFrame:
    """Spend `kills` on builds in `root`; one row a kill.

    Two kills are at most half an undisturbed build apart. Columns: kill, build, seconds (since the build was
    resumed), killed, at_work (running jobs), finished (pages and runs before the kill), made_again (number of
    these that were written again afterwards), same (whether every file of the finished build has the same bytes).
    """
    rng = np.random.default_rng(0)
    began = time.monotonic()
    if start(root, profile, log).wait():
        raise SystemExit(f"the undisturbed build failed: see {log}")
    seconds, expected = time.monotonic() - began, left_behind(root)
    from_nothing(root)
    rows: list[dict] = []
    build, before = 1, {}
    while True:
        wait, kind = rng.uniform(1, max(2, seconds / 2)), KINDS[rng.choice(3, p=[0.6, 0.2, 0.2])]
        process = start(root, profile, log)
        try:
            code = process.wait(timeout=wait if len(rows) < kills else None)
        except psutil.TimeoutExpired:
            code = None
        now = finished(root)
        if rows and rows[-1]["build"] == build:
            rows[-1]["made_again"] = sum(now.get(path) != written for path, written in before.items())
        if code is None:
            before = now
            rows.append({"kill": len(rows) + 1, "build": build, "seconds": round(wait, 1), "killed": kind,
                         "at_work": kill(process, kind, rng), "finished": len(before), "made_again": 0, "same": False})  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
            continue
        if code:
            raise SystemExit(f"build {build} did not finish after a kill (exit code {code}): see {log}")
        same = _compare(root, expected, build)
        rows = [row | {"same": same} if row["build"] == build else row for row in rows]
        if len(rows) == kills:
            return pd.DataFrame(rows)
        from_nothing(root)
        build, before = build + 1, {}


def _compare(root: Path, expected: dict[str, bytes], build: int) -> bool:
    """Print what differs from the undisturbed build and which temporary folders are left; True if nothing differs."""
    now = left_behind(root)
    different = sorted(name for name in now.keys() | expected.keys() if now.get(name) != expected.get(name))
    left = leftovers(root)
    print(f"build {build}: {len(now)} files, {len(different)} differ {different[:8]}; {len(left)} temporary "
          f"folders left {left[:4]}", file=sys.stderr, flush=True)  # fmt: skip
    return not different


def main() -> None:
    """Spend the kills, write the record, and fail where a build was not the same."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="test")
    parser.add_argument("--pages", nargs="*", default=(), help="only these, and the prose pages")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--record", type=Path, help="CSV to write, one row a kill")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = copy_checkout(Path(temporary) / "checkout", chosen.pages or None)
        table = interrupt(root, chosen.profile, chosen.kills, root.parent / "builds.log")
    if chosen.record:
        chosen.record.parent.mkdir(parents=True, exist_ok=True)
        shown = table.assign(same=table["same"].map({True: "yes", False: "no"}))
        shown.columns = [name.replace("_", " ").capitalize() for name in shown]
        shown.to_csv(chosen.record, index=False, lineterminator="\n")
    print(table.to_string(index=False))
    sys.exit(0 if table["same"].all() else "some builds were not the same")


if __name__ == "__main__":
    main()
