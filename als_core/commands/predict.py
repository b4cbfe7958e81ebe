"""The command `als predict`: score new images with a trained run, and say what the scores can and cannot mean."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from als_core.refusal import Problem, counted
from als_core.storage import atomic_write

if TYPE_CHECKING:
    from als_core.cohorts.check import About


def predict(
    run: Annotated[str, typer.Argument(help="Key of a trained run (results/runs/KEY), or its folder.")],
    folder: Annotated[Path, typer.Argument(help="A folder of images, with or without manifest.csv.")],
    output: Annotated[Path, typer.Option(help="The table to write.")] = Path("scores.csv"),
    resize: Annotated[int | None, typer.Option(help="Side in pixels that all images get.")] = None,
    fit: Annotated[str | None, typer.Option(help="With --resize: crop (default), pad or stretch.")] = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Convert grey, palette, CMYK, transparent and 16-bit images.")
    ] = False,
) -> None:
    """Score unlabelled images with a trained run, and say what the scores can and cannot mean."""
    from als_core.cohorts.check import read_about, validated
    from als_core.training.prediction import find_trained, new_images, score_images, what_scores_mean

    trained = find_trained(run)
    about, problems = read_about(folder)
    asked = {"resize": resize, "fit": fit, "convert": convert or None}
    said = {name: value for name, value in asked.items() if value is not None}
    about, unfit = validated(about.model_dump() | said, "the options")
    problems += [*(unfit or fit_problems(fit, about)), *_output_problems(output)]
    paths, conversion, notices = new_images(folder, about, trained, problems)
    table = score_images(trained, folder, paths, conversion)
    with atomic_write(output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    counts = Counter(table["predicted"])
    predicted = ", ".join(f"{name} {counts[name]}" for name in trained.classes)
    typer.echo(f"{output}: {counted(len(table), 'image')}; predicted {predicted}.")
    for notice in notices:
        typer.echo(f"Note: {notice}")
    typer.echo(what_scores_mean(trained))


def fit_problems(fit: str | None, about: About) -> list[Problem]:
    """List what is wrong with the option `--fit`, which has no effect on images that keep their size."""
    if fit is None or about.resize:
        return []
    remedy = "Add --resize with the side in pixels, or leave --fit out."
    return [Problem("--fit", f"{fit} without --resize", "both", remedy, check="ALS010")]


def _output_problems(output: Path) -> Iterator[Problem]:
    """List why the table could not be written, before anything is scored."""
    another = "name another with --output."
    if output.exists():
        yield Problem(str(output), "a file", "a name that is free", f"Move it away, or {another}")
        return
    place = next(each for each in output.absolute().parents if each.exists())
    if not place.is_dir():
        yield Problem(str(place), "a file", f"a folder for {output.name}", f"Move it away, or {another}")
    elif not os.access(place, os.W_OK | os.X_OK):
        remedy = f"Change its permissions, or {another}"
        yield Problem(
            str(place), "a folder that may not be written to", f"a folder for {output.name}", remedy
        )
