"""The numbered checks of a reader's data: what each looks for, why, and whether a reader may accept what it finds.

The guide lists them from here. `als check FOLDER --accept ALS017` keeps the decision in the folder's `cohort.yml`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from als_core.refusal import Problem

EXAMPLES = 3


@dataclass(frozen=True)
class Check:
    """One check. text: what it finds and what to do. accepted: what happens where a reader accepts it, or empty."""

    number: str
    title: str
    text: str
    accepted: str = ""


_CHECKS = (
    Check("ALS001", "Folder", "A folder needs a `manifest.csv`, or one subfolder per class with images in it. "
          "`als manifest FOLDER` writes a manifest from names, folders or a table."),
    Check("ALS002", "Table", "A table is UTF-8 text with one delimiter (comma, semicolon or tab), one name per column, "
          "and as many cells in each line as in the header. A column without a name is usually the row number that "
          "a program wrote beside the data; as a feature it would predict any label that the rows are sorted by."),
    Check("ALS003", "Columns", "Images and volumes need the columns `path` and `label`; a feature table needs `subject`, "
          "`label` and at least one feature. Letter case and spaces around a column name do not matter."),
    Check("ALS004", "Cells", "An empty path, label or group, a formula that a spreadsheet would run, and characters that "
          "cannot be seen are refused, because two cells that look the same must be the same."),
    Check("ALS005", "Path listed twice", "A file that is listed twice could be in the training and in the test part."),
    Check("ALS006", "Path", "Paths are relative to the manifest, and lead to a file inside its folder."),
    Check("ALS007", "File", "Each file must decode to its end as PNG, TIFF, JPEG, BMP, WebP or GIF."),
    Check("ALS008", "Frames", "A file with several frames or pages has no single image; save the one that is meant."),
    Check("ALS009", "Colour", "Pages work on 8-bit RGB. An opaque alpha channel is dropped. `--convert` repeats a grey "
          "channel in red, green and blue, looks palette colours up, converts CMYK without a colour profile, lays "
          "transparent images on white, and divides 16-bit values by one power of two for the whole cohort: the "
          "smallest that brings its largest value below 256. Other kinds are refused."),
    Check("ALS010", "Size", "All images of a cohort have one size. `--resize 400` scales the shorter side to 400 pixels "
          "and keeps the central square; `--fit pad` keeps everything on a black square, `--fit stretch` ignores "
          "the proportions. If one class has other sizes than another, a resized image still shows it: see ALS026."),
    Check("ALS011", "Sides", "An image has 16 to 20,000 pixels a side. Larger ones are whole slides: cut them into fields."),
    Check("ALS012", "Checksum", "Where the manifest has a column `sha256`, each file must have that checksum."),
    Check("ALS013", "Labels", "A cohort has two or more labels, each spelled in one way."),
    Check("ALS014", "Sizes of classes", "Training, validation and test part each need a sample of every label: three per "
          "label. Networks cannot train on fewer than eight samples in all."),
    Check("ALS015", "Groups of a label", "With one group only, a label and that group cannot be told apart."),
    Check("ALS016", "One label per group", "Where `cohort.yml` says `label_of: group`, all samples of a group share a label."),
    Check("ALS017", "Groups that are probably one", "Group names that differ only in letter case, separators, leading zeros "
          "or a trailing `.0` are probably one donor, whose images a split by group would put on both sides.",
          "Each spelling is a group of its own."),
    Check("ALS018", "Groups that mean missing", "`NA`, `unknown`, `none` and the like as a group would make one donor of "
          "everything whose donor is not known.", "The word is the name of a group."),
    Check("ALS019", "Copies with different labels", "Two copies of an image cannot both be labelled rightly.",
          "All copies of such an image are left out."),
    Check("ALS020", "Copies in different groups", "A copy of an image under another group breaks every split by group. Near "
          "copies count too: saved again, mirrored or turned.", "Only the first of such copies is kept."),
    Check("ALS021", "cohort.yml", "An optional YAML file beside the manifest. Keys that are not known are refused."),
    Check("ALS022", "Copies", "Copies within a group, or in a cohort without groups. A split by image may put one into the "
          "training and the other into the test part."),
    Check("ALS023", "No groups", "Without a column `group` only splits by image are possible, and images of one donor may be "
          "in the training and in the test part. No page can then say how well unseen donors are recognised."),
    Check("ALS024", "One group per image", "Where each image is a group of its own, a split by group is a split by image."),
    Check("ALS025", "Groups that look like visits, copies or dates", "Names such as `S001_1` and `S001_2` are often two visits "
          "of one subject; `Mar-01` and `1E+05` are often what a spreadsheet made of an identifier. Correct the "
          "groups if so."),
    Check("ALS026", "Shortcuts", "One simple property (file type, size, sharpness, brightness, contrast, colour, corners) or one "
          "covariate (site, scanner, age, sex) predicts the label of groups that were left out, better than the "
          "best property does under labels permuted over groups. A network can use it too; where it comes from "
          "preparation, scanner or saving, an accuracy then says nothing about the disease."),
    Check("ALS027", "Passed over", "Companion files of operating systems, empty rows at the end of a table, and classes without "
          "an image are passed over."),
    Check("ALS028", "Read as", "What was settled in reading: a delimiter, a decimal mark, column names, a conversion."),
    Check("ALS029", "Overlap", "Two images show the same place, shifted: tiles of one slide that overlap. `als leaks` looks for "
          "them by matching small features."),
)  # fmt: skip
CHECKS = {check.number: check for check in _CHECKS}


def unknown_accepts(accepted: Iterable[str]) -> list[Problem]:
    """Numbers that no check has, or that nobody can accept."""
    known = [check.number for check in _CHECKS if check.accepted]
    return [
        Problem("accept", number, f"one of {', '.join(known)}", "Correct or drop it.", check="ALS021")
        for number in accepted
        if number not in known
    ]


def merge_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Put problems of one cause together: one problem with a count, the different findings and three examples.

    Problems are of one cause where check, expectation and remedy are the same.
    """
    causes: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        causes.setdefault((problem.check, problem.expected, problem.remedy), []).append(problem)
    merged = []
    for cause in causes.values():
        first = cause[0]
        if len(cause) == 1:
            merged.append(first)
            continue
        found = list(dict.fromkeys(problem.found for problem in cause))
        places = list(dict.fromkeys(problem.where for problem in cause))
        more = f" and {len(found) - EXAMPLES} other findings" if len(found) > EXAMPLES else ""
        shown = [
            f"{problem.where}, line {problem.row}" if problem.row else problem.where for problem in cause
        ]
        if len(places) == 1:
            shown = [f"line {problem.row}" for problem in cause if problem.row]
        elif len(found) > 1:
            shown = [f"{place} ({problem.found})" for place, problem in zip(shown, cause, strict=True)]
        merged.append(
            replace(
                first,
                where=f"{places[0]}, {len(cause)} times" if len(places) == 1 else f"{len(cause)} places",
                found="; ".join(found[:EXAMPLES]) + more,
                row=None,
                count=len(cause),
                examples=tuple(shown[:EXAMPLES]),
            )
        )
    return merged


def checks_as_markdown() -> str:
    """The checks as the guide lists them."""
    return "\n".join(
        f"**{check.number} {check.title}.** {check.text}"
        + (f" *`--accept {check.number}`: {check.accepted}*" if check.accepted else "")
        + "\n"
        for check in _CHECKS
    )
