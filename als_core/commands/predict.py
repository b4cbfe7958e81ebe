"""The command `als predict`: score new images with a trained run, and say what the scores can and cannot mean."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from als_core.storage import atomic_write


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
    from als_core.refusal import Problem, counted
    from als_core.training.prediction import find_trained, new_images, score_images, what_scores_mean

    trained = find_trained(run)
    about, problems = read_about(folder)
    asked = {"resize": resize, "fit": fit, "convert": convert or None}
    said = {name: value for name, value in asked.items() if value is not None}
    about, unfit = validated(about.model_dump() | said, "the options")
    problems += unfit
    if output.exists():
        remedy = "Move it away, or name another with --output."
        problems.append(Problem(str(output), "a file", "a name that is free", remedy))
    paths, conversion = new_images(folder, about, trained, problems)
    table = score_images(trained, folder, paths, conversion)
    with atomic_write(output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    counts = Counter(table["predicted"])
    predicted = ", ".join(f"{name} {counts[name]}" for name in trained.classes)
    typer.echo(f"{output}: {counted(len(table), 'image')}; predicted {predicted}.")
    typer.echo(what_scores_mean(trained))
