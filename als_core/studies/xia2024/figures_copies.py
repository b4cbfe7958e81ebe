"""Figures, tables and sentences about images of a cohort that show the same: copies and overlaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.duplicates import find_overlaps
from als_core.figures.drawn import Drawn, as_written
from als_core.figures.pictures import image_grid
from als_core.figures.style import house_style
from als_core.refusal import counted

COPIES_SHOWN = 3  # pairs


OVERLAPS_SEARCHED = 1000  # images; more take minutes


@house_style()
def near_duplicate(
    first: np.ndarray, second: np.ndarray, rows: pd.DataFrame, parts: Sequence[str], identical: bool
) -> Drawn:
    """Show two images that are the same or nearly so; where not the same, the absolute difference between them, too.

    rows : their two rows of the manifest (path, label, sha256). parts : of the split, in the same order.
    """
    difference = np.abs(first.astype(int) - second.astype(int)).max(axis=2)
    names, greatest = [str(path) for path in rows["path"]], int(difference.max())
    shown, titles = [first, second], list(names)
    seen = f"Two images side by side, {names[0]} and {names[1]}"
    if identical:
        nature, alt = "identical, byte for byte", f"{seen}, which are the same in every pixel."
    else:
        shown, titles = [*shown, difference], [*titles, f"Greatest difference: {greatest} of 255"]
        nature = "nearly identical"
        alt = f"{seen}, and the difference between them as a grey image with a greatest value of {greatest} of 255."
    where = f"both in {parts[0]}" if parts[0] == parts[1] else f"in {parts[0]} and {parts[1]}"
    return Drawn(
        image_grid([shown], titles=[titles], brightest=255),
        f"{as_written(names[0])} and {as_written(names[1])} are {nature}; the split by image puts them {where}.",
        alt,
        rows[["path", "label", "sha256"]].assign(part=list(parts), greatest_difference=greatest),
    )


def near_duplicate_words(sets: Sequence[Sequence[int]], images: int) -> str:
    """Say how many copies there are among the images of a cohort. sets: sample numbers of images that show the same."""
    if not sets:
        return f"None of the {images} images is a near-duplicate of another."
    copies = sum(map(len, sets))
    if copies == 2:
        return f"One pair of the {images} images is identical, or nearly so."
    shown = f"; the first {COPIES_SHOWN} pairs are shown" if copies - len(sets) > COPIES_SHOWN else ""
    return (
        f"{copies} of the {images} images are identical to another or nearly so, in {counted(len(sets), 'set')} "
        f"of copies{shown}."
    )


def overlap_words(cohort: Cohort, parts: Sequence[str]) -> str:
    """Say which images show partly the same place, and in which parts of the split by image; copies are left out."""
    if len(cohort) > OVERLAPS_SEARCHED:
        return f"With more than {OVERLAPS_SEARCHED:,} images, overlaps are not searched here: `als leaks` does that."
    paths = cohort.samples["path"].tolist()
    images = "other images" if cohort.twins else "images"
    said = [
        f"{as_written(paths[pair.first])} and {as_written(paths[pair.second])} show {pair.how} "
        f"({parts[pair.first]} and {parts[pair.second]})"
        for pair in find_overlaps(cohort.image, len(cohort), cohort.twins)
    ]
    if not said:
        return f"No two {images} overlap."
    more = f"; and {len(said) - COPIES_SHOWN} more" if len(said) > COPIES_SHOWN else ""
    return f"{counted(len(said), 'pair')} of {images} overlap: {'; '.join(said[:COPIES_SHOWN])}{more}."


def copy_rows(sets: Sequence[Sequence[int]], paths: Sequence[str], parts: Sequence[str]) -> pd.DataFrame:
    """List sets of copies: how many images each has, which, and in which parts of the split they are."""
    return pd.DataFrame(
        {
            "Images": [len(rows) for rows in sets],
            "Parts of the split": [", ".join(sorted({parts[row] for row in rows})) for rows in sets],
            "Which": [_some([paths[row] for row in rows]) for rows in sets],
        }
    )


def first_copies(cohort: Cohort, parts: Sequence[str]) -> dict[str, Drawn]:
    """Show the first `COPIES_SHOWN` pairs of copies, by the name of the figure. parts: of the split by image."""
    shown = {}
    for pair in cohort.twins[:COPIES_SHOWN]:
        rows = [pair.first, pair.second]
        images, table = map(cohort.image, rows), cohort.samples.loc[rows]
        shown[f"xia-copies-{pair.first}-{pair.second}"] = near_duplicate(
            *images, table, parts[rows], pair.identical
        )
    return shown


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
