"""Builds what readers bring: a folder of coloured images with donors, scans, and a feature table without signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = 72
FIELDS = 3


def texture(seed: int, side: int = SIDE, width: int | None = None) -> np.ndarray:
    """A smooth random colour image, uint8 (side, width, 3)."""
    noise = np.random.default_rng(seed).normal(size=(side, width or side, 3))
    smooth = gaussian_filter(noise, (2, 2, 0))
    return (128 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def rows(donors: int = 8, fields: int = FIELDS) -> Iterator[tuple[str, str, str, int]]:
    """(path without suffix, label, group, number): als and control by halves, each donor of one label."""
    for donor in range(donors):
        for field in range(fields):
            label = "als" if donor < donors // 2 else "control"
            yield f"d{donor + 1:02d}_{field + 1}", label, f"d{donor + 1:02d}", donor * fields + field


def cohort(
    folder: Path,
    save: Callable[[Path, Image.Image, int, str], object] | None = None,
    suffix: str = ".png",
    pixels: Callable[[int], np.ndarray] = texture,
    manifest: bool = True,
    donors: int = 8,
) -> Path:
    """24 images of 72 x 72, two labels, eight donors. save: (path without suffix, picture, number, label) writes one."""
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    for name, label, group, number in rows(donors):
        picture = Image.fromarray(pixels(number))
        path = folder / f"{name}{suffix}"
        path = (save(folder / name, picture, number, label) if save else picture.save(path)) or path
        table.append((path.name, label, group))
    if manifest:
        pd.DataFrame(table, columns=["path", "label", "group"]).to_csv(folder / "manifest.csv", index=False)
    return folder


def edit(folder: Path, change: Callable[[pd.DataFrame], object]) -> Path:
    """Change the manifest in place; `change` may give back another table."""
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    changed = change(table)
    (changed if isinstance(changed, pd.DataFrame) else table).to_csv(folder / "manifest.csv", index=False)
    return folder


def features(subjects: int = 60, seed: int = 0) -> pd.DataFrame:
    """subject, label and eight features without signal, sorted by label."""
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(subjects, 8))).add_prefix("f")
    table.insert(0, "subject", [f"S{number:03d}" for number in range(subjects)])
    table.insert(1, "label", (["ALS"] * (subjects // 2) + ["control"] * (subjects - subjects // 2)))
    return table


def scans(folder: Path, count: int = 12) -> Path:
    """NIfTI heads of 40 x 48 x 40 voxels with a bright mark on the left, in one folder per class."""
    for number in range(count):
        label = "AD" if number < count // 2 else "CN"
        (folder / label).mkdir(parents=True, exist_ok=True)
        head = gaussian_filter(np.random.default_rng(number).normal(size=(40, 48, 40)), 2).astype(np.float32)
        head[5:12, 20:28, 15:25] += 1
        image = nibabel.Nifti1Image(head, np.diag([4.0, 4, 4, 1]))
        image.set_sform(image.affine, 1)
        nibabel.save(image, folder / label / f"s{number:02d}.nii.gz")
    return folder
