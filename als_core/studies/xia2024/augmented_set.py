"""The augmented training set of Xia et al. 2024 (Table 2): the originals and k augmentations of each.

Computed once, in threads, and kept as one array on disk under a key of everything it depends on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from als_core.refusal import Problem, refuse_if
from als_core.storage import atomic_write, content_key, exclusive_lock, file_digest
from als_core.studies.xia2024 import augmentation
from als_core.studies.xia2024.augmentation import AUGMENTATIONS, MINIMUM_SIDE

ORIGINAL = "original"
"""What the index calls an image that was not augmented."""


@dataclass(frozen=True)
class AugmentedSet:
    """Originals first, then augmentation by augmentation, each in the order of the source images.

    images: read-only memory map, uint8 (n * (1 + k), H, W, 3), RGB.
    index: one row per image: `source` (row of the original, 0 to n - 1) and `augmentation` (a name, or
    "original"). Labels and groups of the set are those of the originals, taken at `index["source"]`.
    key: names the set; equal keys mean equal images. file: the array on disk (.npy).
    """

    images: np.ndarray
    index: pd.DataFrame
    key: str
    file: Path


def augmented_set(images: np.ndarray, names: Sequence[str], seed: int, folder: Path | str) -> AugmentedSet:
    """Return `images` and the augmentations `names` (keys of `AUGMENTATIONS`) of each, from `folder`/<key> if it exists.

    images: uint8 (n, H, W, 3), RGB; augment the training images alone, after splitting.
    seed: for the random augmentations, not negative. Each pair of image and augmentation has a generator
    of its own, so neither the other names, their order, nor the number of threads changes an image.

    The key covers images, names, constants, seed, the code of the augmentations and the versions of OpenCV
    and NumPy. A file of the wrong size is replaced; two processes that need the same set compute it once.

    Raises RefusedInput for invalid input, and OSError, naming `folder`, where it cannot be
    written or the disk is full; nothing half-written is left under the final name.
    """
    images = np.asarray(images)
    names = list(names)
    refuse_if("augmented set", _problems(images, names, seed))
    key = _key(images, names, seed)
    file = Path(folder) / key / "images.npy"
    shape = (len(images) * (1 + len(names)), *images.shape[1:])
    array = _loaded(file, shape)
    if array is None:
        try:
            with exclusive_lock(file):
                array = _loaded(file, shape)  # another process may have made it while this one waited
                if array is None:
                    _make(images, names, seed, file)
                    array = _loaded(file, shape)
        except OSError as error:
            raise OSError(
                error.errno, f"the augmented set: {error.strerror or error}", str(folder)
            ) from error
    index = pd.DataFrame(
        {
            "source": np.tile(np.arange(len(images)), 1 + len(names)),
            "augmentation": np.repeat([ORIGINAL, *names], len(images)),
        }
    )
    return AugmentedSet(array, index, key, file)


def _problems(images: np.ndarray, names: list[str], seed: int) -> Iterator[Problem]:
    expected = f"uint8 (n, H, W, 3), n at least 1, sides at least {MINIMUM_SIDE} px"
    fits = images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] == 3
    if not fits or len(images) == 0 or min(images.shape[1:3]) < MINIMUM_SIDE:
        found = f"{images.dtype} {images.shape}"
        yield Problem("images", found, expected, "Decode to 8-bit RGB at one common size first.")
    for name in dict.fromkeys(names):
        if name not in AUGMENTATIONS:
            known = ", ".join(AUGMENTATIONS)
            yield Problem("names", repr(name), f"one of {known}", "Correct the name.")
        elif names.count(name) > 1:
            yield Problem("names", f"{name!r} {names.count(name)} times", "each once", "Name it once.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        yield Problem("seed", repr(seed), "a whole number, 0 or more", "Give another seed.")


def _key(images: np.ndarray, names: list[str], seed: int) -> str:
    recipe = [[name, dict(AUGMENTATIONS[name].constants)] for name in names]
    code = [file_digest(file) for file in (augmentation.__file__, __file__)]
    return content_key(images, recipe, int(seed), code, cv2.__version__, np.__version__)


def _loaded(file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The array as a read-only memory map; None where it is absent, cut short, or not of this shape."""
    try:
        array = np.load(file, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    whole = file.stat().st_size == array.offset + array.nbytes
    return array if whole and array.shape == shape and array.dtype == np.uint8 else None


def _make(images: np.ndarray, names: list[str], seed: int, file: Path) -> None:
    jobs = [(row, name) for name in names for row in range(len(images))]
    with (
        atomic_write(file) as temporary,
        temporary.open("wb") as stream,
        _one_opencv_thread(),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        # ordinary writes, not a writable memory map, which on a full disk ends the process without a message
        shape = (len(images) * (1 + len(names)), *images.shape[1:])
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(np.ascontiguousarray(images).data)
        copies = pool.map(lambda job: _augmented(images[job[0]], *job, seed), jobs)
        for copy in copies:
            stream.write(np.ascontiguousarray(copy).data)


def _augmented(image: np.ndarray, row: int, name: str, seed: int) -> np.ndarray:
    chosen = AUGMENTATIONS[name]
    if not chosen.random:
        return chosen(image)
    return chosen(image, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(row, *name.encode()))))


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Switch off OpenCV's own threads, as there is one thread per core here; restore them on leaving."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
