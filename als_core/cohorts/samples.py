"""What cohorts of images, volumes and feature rows have in common: samples with labels and groups."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

Kind = Literal["published", "synthetic", "own"]


class Samples:
    """Base of every cohort.

    samples: one row a sample, in order, with column label and, where samples belong together, group.
    """

    samples: pd.DataFrame

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted; a label's number is its place here."""
        return tuple(sorted(self.samples["label"].unique()))

    @cached_property
    def labels(self) -> np.ndarray:
        """Class number of each sample, int64 (n,)."""
        return self.samples["label"].map(self.classes.index).to_numpy(dtype=np.int64)

    @cached_property
    def groups(self) -> np.ndarray | None:
        """Independent unit (donor, case, patient) of each sample, or None where the table has none."""
        return self.samples["group"].to_numpy(dtype=str) if "group" in self.samples else None
