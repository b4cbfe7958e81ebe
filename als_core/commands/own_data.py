"""Commands for a reader's own data: `als check`, `manifest`, `leaks` and `predict`; `register` adds them to the command line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from als_core.commands.predict import fit_problems, predict
from als_core.storage import atomic_write

if TYPE_CHECKING:
    import pandas as pd

    from als_core.cohorts.cohort import Cohort
    from als_core.cohorts.duplicates import ImagePair

WORD = typer.Option(help="What a group is, for the pages: a plural such as patients, or 'mouse, mice'.")
TAKEN_BY = {
    "resize": ("images",),
    "fit": ("images",),
    "convert": ("images",),
    "accept": ("images", "crops", "volumes"),
    "group_word": ("images", "crops", "volumes"),
    "mask_label": ("volumes",),
    "positive": ("features",),
}
"""Kinds of data that an option of `als check` is for."""
Folder = Annotated[Path, typer.Argument(help="A folder with manifest.csv, or with one subfolder per class")]


def check(
    folder: Annotated[Path, typer.Argument(help="A folder of images or volumes, or a feature table")],
    resize: Annotated[int | None, typer.Option(help="Side in pixels that all images get.")] = None,
    fit: Annotated[str | None, typer.Option(help="With --resize: crop (default), pad or stretch.")] = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Convert grey, palette, CMYK, transparent and 16-bit images.")
    ] = False,
    accept: Annotated[
        list[str] | None, typer.Option(help="Number of a check whose findings are right; may be repeated.")
    ] = None,
    mask_label: Annotated[
        int | None, typer.Option(help="Volumes: the value that is meant in masks with several.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="Feature tables: the label of interest, ALS or AD if left out.")
    ] = None,
    group_word: Annotated[str, WORD] = "",
) -> None:
    """List everything that is wrong with a reader's data, and what simple properties tell of the label.

    Options are kept in the folder's cohort.yml, which the book reads too.
    """
    from als_core.cohorts.folders import feature_file, kind_of

    settings = {
        "resize": resize,
        "fit": fit,
        "convert": convert or None,
        "accept": sorted(accept or ()) or None,
        "group_word": group_word or None,
        "mask_label": mask_label,
        "positive": positive,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    kind = kind_of(folder)
    _refuse_other_options(folder, settings, kind)
    if kind in ("images", "crops"):
        _check_images(folder, settings, kind)
    elif kind == "volumes":
        _check_volumes(folder, settings)
    else:
        file = folder if folder.is_file() else feature_file(folder) or folder / "manifest.csv"
        _check_features(file, positive)


def _refuse_other_options(folder: Path, settings: dict, kind: str) -> None:
    """Raise RefusedInput for options that are not for this kind of data."""
    if not (wrong := [name for name in settings if kind not in TAKEN_BY[name]]):
        return
    from als_core.book.build import KIND_WORDS  # seconds to load; a check without a refusal does not need it
    from als_core.refusal import Problem, RefusedInput

    def remedy(name: str) -> str:
        if kind == "volumes" and name in ("resize", "fit", "convert"):
            return "Leave it out: all scans are resampled to one grid."
        if kind == "crops" and name in ("resize", "fit", "convert"):
            return (
                "Leave it out: crops become 8-bit squares of one size by themselves. To show them on the pages of the "
                f"tissue study (TISSUE=, --tissue), write `{name}: {str(settings[name]).lower()}` into cohort.yml."
            )
        if kind == "features":
            return "Leave it out; what has to change is changed in the table itself."
        return "Leave it out."

    problems = [
        Problem(
            f"--{name.replace('_', '-')}",
            KIND_WORDS[kind],
            " or ".join(KIND_WORDS[each] for each in TAKEN_BY[name] if each != "crops"),  # they are images
            remedy(name),
        )
        for name in wrong
    ]
    raise RefusedInput(f"The options for {folder}", problems)


def _check_images(folder: Path, settings: dict, kind: str) -> None:
    from als_core.cohorts.shortcuts import shortcut_notices
    from als_core.refusal import refuse_if

    about = _settled(folder, settings)
    refuse_if(f"The options for {folder}", fit_problems(settings.get("fit"), about) if about else [])
    cohort = _open(folder, kind == "crops", about)
    height, width = cohort.image_shape
    what = "grey crops" if kind == "crops" else "images"
    typer.echo(
        f"{cohort.name}: {len(cohort)} {what} of {width} x {height} pixels; {_counts(cohort.samples)}. No problems."
    )
    for notice in (*cohort.notices, *shortcut_notices(cohort.shortcuts, cohort.groups is not None)):
        typer.echo(f"Note: {notice}")
    if settings:
        _keep(folder, about)


def _open(folder: Path, as_crops: bool, about=None):
    """Open a folder of images, or of grey crops of one channel, as the book does. Raises RefusedInput."""
    if as_crops:
        from als_core.studies.miao2023.cohort import open_crops
        from als_core.studies.miao2023.synthetic import CropParameters

        return open_crops(str(folder), CropParameters(), about=about)
    from als_core.cohorts.cohort import Cohort

    return Cohort.load(folder, about=about, progress=True)


def _settled(folder: Path, settings: dict):
    """What `cohort.yml` says together with options; None for a file that is wrong, which the check then reports."""
    from als_core.cohorts.check import read_about

    about, problems = read_about(folder)
    return None if problems else _with(folder, about, settings)


def _with(folder: Path, about, settings: dict):
    """What `cohort.yml` says together with options of a command. Raises RefusedInput for values that do not fit."""
    from als_core.cohorts.check import validated
    from als_core.refusal import refuse_if

    accept = tuple(dict.fromkeys((*about.accept, *settings.get("accept", ()))))
    settled, problems = validated({**about.model_dump(), **settings, "accept": accept}, "the options")
    refuse_if(f"The cohort in {folder}", problems)
    return settled


def _keep(folder: Path, about) -> None:
    """Write what a reader settled into cohort.yml, for the book."""
    defaults = type(about)().model_dump()
    said = {
        name: value
        for name, value in about.model_dump(mode="json").items()
        if value != defaults[name] and value != []
    }
    file = folder / "cohort.yml"
    text = _merged(file.read_text(encoding="utf-8") if file.is_file() else "", said)
    with atomic_write(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(f"Kept for the book in {file}.")


def _merged(text: str, said: dict) -> str:
    """Put settings into the text of a cohort.yml; its comments and the lines of other keys stay."""
    old, lines = yaml.safe_load(text) or {}, text.splitlines()
    for name in (name for name, value in said.items() if old.get(name) != value):
        flow = yaml.safe_dump({name: said[name]}, allow_unicode=True, default_flow_style=True, width=10_000)
        new = flow.strip()[1:-1]
        place = next((n for n, line in enumerate(lines) if line.startswith(f"{name}:")), len(lines))
        end = place + 1
        while end < len(lines) and lines[end].startswith((" ", "-")):
            end += 1
        comment = lines[place].partition(" #")[2] if place < len(lines) else ""
        lines[place:end] = [f"{new}  #{comment}" if comment else new]
    merged = "\n".join([*lines, ""])
    with suppress(yaml.YAMLError):  # one line in braces, for instance
        if yaml.safe_load(merged) == said:
            return merged
    return yaml.safe_dump(said, allow_unicode=True, sort_keys=False)


def _check_volumes(folder: Path, settings: dict) -> None:
    from als_core.cohorts.volume_cohort import VolumeCohort
    from als_core.cohorts.volumes import Preprocessing

    about = _settled(folder, settings)
    cohort = VolumeCohort.load(folder, Preprocessing(), about=about)
    typer.echo(f"{cohort.name}: {len(cohort)} volumes; {_counts(cohort.samples)}. No problems.")
    for notice in cohort.notices:
        typer.echo(f"Note: {notice}")
    if settings:
        _keep(folder, about)


def _check_features(file: Path, positive: str | None) -> None:
    from als_core.cohorts.tables import read_table
    from als_core.studies.turrisi2024.feature_table import NOT_FEATURES, load_feature_table

    rows = read_table(file.name, file, file.name, NOT_FEATURES)
    labels = set(rows["label"]) if "label" in rows else set()
    if positive is None:  # as the book chooses
        positive = "AD" if "AD" in labels and "ALS" not in labels else "ALS"
    table = load_feature_table(file, positive, neighbours=1)
    subjects, features = table.features.shape
    cases = int(table.positive.sum())
    typer.echo(
        f"{file.name}: {subjects} subjects, {features} features; {positive} {cases}, other {subjects - cases}. No problems."
    )
    for notice in table.notices:
        typer.echo(f"Note: {notice}")


def manifest(
    folder: Annotated[
        Path, typer.Argument(help="A folder with one subfolder per class, or with a table of labels")
    ],
    group_from: Annotated[
        str,
        typer.Option(
            help="A regular expression whose first bracket is the group, parent (the folder of a file), or NONE."
        ),
    ] = "NONE",
    table: Annotated[Path | None, typer.Option(help="A table of labels, instead of subfolders.")] = None,
    path: Annotated[
        str,
        typer.Option(
            help="With --table: the path of an image, columns in braces, as in 'images/{number:0>5}.jpg'."
        ),
    ] = "{path}",
    label: Annotated[str, typer.Option(help="With --table: the column of labels.")] = "label",
    group: Annotated[str, typer.Option(help="With --table: the column of groups.")] = "",
    only: Annotated[str, typer.Option(help="With --table: labels to keep, separated by commas.")] = "",
    group_word: Annotated[str, WORD] = "",
) -> None:
    """Write the manifest of a folder, to be read over and edited."""
    from als_core.cohorts.check import read_about
    from als_core.cohorts.folders import READ_AS_CLASSES, list_samples, table_samples, write_manifest
    from als_core.refusal import Problem, refuse_if

    only_with_table = {"path": path != "{path}", "label": label != "label", "group": group, "only": only}
    refuse_if(
        f"The options for {folder}",
        [
            Problem(f"--{name}", "no --table", "--table with it", "Name the table, or leave the option out.")
            for name, given in only_with_table.items()
            if given and table is None
        ],
    )
    if table is not None and group_from.upper() != "NONE":
        remedy = "Leave it out, or name the column of groups: --group COLUMN."
        problem = Problem("--group-from", "--table beside it", "one subfolder per class", remedy)
        refuse_if(f"The options for {folder}", [problem])
    if group_word:
        about, problems = read_about(folder)
        refuse_if(f"The cohort in {folder}", problems)
        about = _with(folder, about, {"group_word": group_word})
    if table is None:
        samples = list_samples(folder, None if group_from.upper() == "NONE" else group_from)
    else:
        kept = tuple(name.strip() for name in only.split(",") if name.strip())
        samples = table_samples(
            folder, table if table.is_file() else folder / table, path, label, group, kept
        )
    file = write_manifest(folder, samples)
    groups = f", {samples['group'].nunique()} groups" if "group" in samples else ", no groups"
    typer.echo(f"{file}: {len(samples)} samples; {_counts(samples)}{groups}.")
    for notice in samples.attrs["notices"]:
        if notice != READ_AS_CLASSES:  # there is a manifest now
            typer.echo(f"Note: {notice}")
    if group_word:
        _keep(folder, about)


def leaks(
    folder: Folder,
    split: Annotated[
        Path | None,
        typer.Option(help="A CSV with path, part (train, validation, test) and, for several, fold."),
    ] = None,
) -> None:
    """Look for copies, overlaps and groups that a split has on both sides; without --split, for what could be.

    Ends with exit code 1 where a split leaks.
    """
    from als_core.cohorts.duplicates import find_overlaps
    from als_core.cohorts.splits import read_splits, split_leaks
    from als_core.refusal import counted

    cohort, paths = _open_with_copies(folder)
    splits = read_splits(split if split.is_file() else folder / split, paths) if split else ()
    overlaps = find_overlaps(cohort.image, len(cohort), cohort.twins)
    pairs = (*cohort.twins, *overlaps)
    typer.echo(
        f"{cohort.name}: {len(cohort)} images; sets of copies: {len(cohort.copies)}; pairs that overlap: {len(overlaps)}."
    )
    for pair in pairs[:SHOWN]:
        typer.echo(f"  {paths[pair.first]} and {paths[pair.second]}: {pair.how}{_apart(cohort, pair)}")
    if len(pairs) > SHOWN:
        typer.echo(f"  and {len(pairs) - SHOWN} more")
    leaking = 0
    for each in splits:
        found = split_leaks(each, cohort.groups, cohort.twins, overlaps)
        leaking += len(found)
        outside = int((each.parts == "").sum())
        rest = f" In no part: {counted(outside, 'image')}." if outside else ""
        typer.echo(f"{each.name}: {_leaks_in_words(found)}{rest}")
        for row in found.head(SHOWN).itertuples():
            names = row.how if row.kind == "group" else " and ".join(paths[number] for number in row.samples)
            more = "" if row.kind == "group" else f" ({row.how})"
            typer.echo(f"  {names}: in {' and '.join(row.parts)}{more}")
    if leaking:
        raise typer.Exit(1)


SHOWN = 10  # findings of one kind on the terminal


def _open_with_copies(folder: Path) -> tuple[Cohort, list[str]]:
    """Open a folder of images or crops with all its copies, whatever their labels; and the reader's names of its files."""
    from als_core.book.build import KIND_WORDS
    from als_core.cohorts.cohort import Cohort
    from als_core.cohorts.folders import kind_of
    from als_core.refusal import Problem, RefusedInput

    kind = kind_of(folder)
    if kind not in ("images", "crops"):
        remedy = "Give a folder of images; of scans and tables `als check` names what is in them twice."
        raise RefusedInput("als leaks", [Problem(str(folder), KIND_WORDS[kind], "images", remedy)])
    try:
        if kind == "crops":
            cohort = _open(folder, True)
            return cohort, cohort.samples["original_path"].tolist()
        cohort = Cohort.load(folder, progress=True, keep_copies=True)
        return cohort, cohort.samples["path"].tolist()
    except RefusedInput as refusal:  # the options that remedies name are those of another command
        advised = [
            replace(each, remedy=each.remedy.replace("add --", "run `als check` with --"))
            for each in refusal.problems
        ]
        raise RefusedInput(refusal.subject, advised) from refusal


def _apart(cohort: Cohort, pair: ImagePair) -> str:
    """What a pair does not share, in words, where that is worth knowing."""
    names = [name for name in ("label", "group") if name in cohort.samples]
    two = cohort.samples.iloc[[pair.first, pair.second]]
    differing = [name for name in names if two[name].nunique() > 1]
    return f", with different {' and '.join(f'{name}s' for name in differing)}" if differing else ""


def _leaks_in_words(found: pd.DataFrame) -> str:
    from als_core.refusal import counted

    if found.empty:
        return "no group and no copy is in two parts."
    kinds = (("group", "group", "groups"), ("copies", "pair of copies", "pairs of copies"))
    kinds = (*kinds, ("overlap", "overlapping pair", "overlapping pairs"))
    counts = found["kind"].value_counts()
    said = [counted(int(counts[kind]), *words) for kind, *words in kinds if kind in counts]
    return f"{' and '.join(said)} {'is' if len(found) == 1 else 'are'} in two parts."


def _counts(samples: pd.DataFrame) -> str:
    return ", ".join(
        f"{name} {count}" for name, count in samples["label"].value_counts().sort_index().items()
    )


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    for command in (check, manifest, leaks, predict):
        app.command()(command)
