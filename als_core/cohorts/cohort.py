"""A cohort: samples with labels and groups, loaded from a folder after everything about it was checked."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from als_core.cohorts.check import About, check_folder
from als_core.cohorts.checked import checked_folder
from als_core.cohorts.duplicates import ImagePair, copy_sets
from als_core.cohorts.group_word import IMAGE, GroupWord, word_of
from als_core.cohorts.reading import Conversion, read_image
from als_core.cohorts.samples import Kind, Samples
from als_core.cohorts.shortcuts import shortcut_report
from als_core.storage import content_key


@dataclass(frozen=True)
class Cohort(Samples):
    """Checked samples of one cohort.

    name: short name, used in folder names and on pages.
    folder: the folder the manifest's paths are relative to.
    kind: "published" (the very data of the paper), "synthetic" or "own" (a reader's).
    samples: the manifest, one row a sample, in manifest order, with its file digest in `sha256`.
    twins: pairs of byte-identical or near-identical images; n - 1 pairs for a set of n copies.
    notices: what is worth knowing and no reason to refuse, in sentences, each with the number of its check.
    conversion: how images are converted and resized in reading, as the reader asked for.
    measures: simple properties of each image (`cohorts.shortcuts.measure`), one row a sample.
    """

    name: str
    folder: Path
    kind: Kind
    samples: pd.DataFrame
    image_shape: tuple[int, int]
    twins: tuple[ImagePair, ...] = ()
    notices: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)
    conversion: Conversion = field(default_factory=Conversion)
    measures: pd.DataFrame | None = None

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        name: str | None = None,
        kind: Kind = "own",
        manifest: Path | None = None,
        about: About | None = None,
        progress: bool = False,
        keep_copies: bool = False,
    ) -> Cohort:
        """Check a folder with `manifest.csv`, or with one subfolder per class, and make it a cohort.

        manifest, about: used in place of the folder's own `manifest.csv` and `cohort.yml` where given. keep_copies: take
        copies in different labels or groups as they are, to look at them.
        Raises RefusedInput with every problem found, before anything is computed.
        """
        folder = Path(folder).resolve()
        if keep_copies:
            checked = check_folder(folder, manifest, about, progress, keep_copies=True)
        else:
            checked = checked_folder(folder, manifest, about, progress=progress)
        return cls(
            name=name or folder.name,
            folder=folder,
            kind=kind,
            samples=checked.samples,
            image_shape=checked.image_shape,
            twins=checked.twins,
            notices=checked.notices,
            about=checked.about,
            conversion=checked.conversion,
            measures=checked.measures,
        )

    @property
    def unit(self) -> GroupWord:
        """What intervals resample and permutations move whole: its groups, or images where there are none."""
        return IMAGE if self.groups is None else word_of(self)

    @cached_property
    def digest(self) -> str:
        """Key of the cohort's content: every column of the manifest, every image's bytes, and the conversion."""
        table = self.samples.astype(str).to_dict(orient="list")
        unchanged = self.conversion == Conversion()
        return content_key(table) if unchanged else content_key(table, asdict(self.conversion))

    @cached_property
    def copies(self) -> list[tuple[int, ...]]:
        """Sets of samples whose images are copies of one another, rows ascending."""
        return copy_sets(self.twins, len(self))

    @cached_property
    def shortcuts(self) -> pd.DataFrame:
        """How well each simple property predicts the label by group (`cohorts.shortcuts.shortcut_report`)."""
        return shortcut_report(self.samples, self.measures)

    def image(self, number: int) -> np.ndarray:
        """Sample `number` as uint8 (height, width, 3), RGB."""
        return read_image(self.folder / self.samples["path"].iloc[number], self.conversion)

    def images(self, numbers: Sequence[int] | None = None) -> np.ndarray:
        """Samples as uint8 (n, height, width, 3), RGB, in the order asked for (all by default)."""
        wanted = range(len(self)) if numbers is None else numbers
        stack = np.empty((len(wanted), *self.image_shape, 3), dtype=np.uint8)

        def fill(place: int) -> None:
            stack[place] = self.image(int(wanted[place]))

        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, range(len(wanted))))
        return stack
