"""Synthetic microscopy crops: TDP-43 in the cells of 26 cases, with a disease sign that we chose.

The structure is the listing of Miao et al. (Fig. 6): 39 crops, 28 of ALS and 11 not, of 26 cases, 13 of them
with two crops. No image of that study is public, so what is drawn follows its words alone (Section 1.3):
TDP-43 lies diffusely in the nucleus; in ALS some cells lose it there and gather it in the cytoplasm.

A specimen is drawn without noise on the grid of the crop: that is its truth. The crop is what a microscope
would record of it: blurred by a Gaussian point spread, with Poisson noise of the photons and a camera offset.
Specks of autofluorescence lie in the cytoplasm of every cell, ill or not; they are fainter than aggregates.

The disease sign is an invention, and no finding about ALS can be read from it. Lengths are in micrometres;
the field of view is `FIELD` wide for any number of pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage
from tqdm import tqdm

from als_core.cohorts.reading import write_png
from als_core.refusal import Problem, refuse_if
from als_core.storage import atomic_write, code_digest, content_key, file_digest, named_generator, repository

LISTING = repository() / "data" / "published" / "miao2023_fig6_samples.csv"
CASE = "ALS"
"""The label of the cases; everything else is a control."""

FIELD = 32.0  # µm across; a crop shows a cell and parts of its neighbours
POINT_SPREAD = 0.35  # µm, sd: about the 0.8 µm full width of a confocal microscope out of its best focus
PHOTONS = 960.0  # recorded from a square micrometre of full brightness: 60 in a pixel of 128 a side
OFFSET = 0.04  # of full brightness: what the camera shows in the dark

# Brightness as shares of the full scale. Nothing here was measured on the study's images.
NUCLEUS, CYTOPLASM, BACKGROUND = 0.42, 0.13, 0.03
AGGREGATE, SPECK = 0.55, 0.10
VISIBLE = 0.5  # of an aggregate's own brightness: the mask holds the pixels above


@dataclass(frozen=True)
class CropParameters:
    """What a synthetic cohort of crops is made of. Its structure is that of the published listing.

    disease_effect: amount of the disease sign; 0: no pixel depends on the label. 1 is moderate.
    case_effect: spread of brightness, background and cell size between cases; 0: no dependence.
    side: width and height of crop, truth and mask in pixels. The field of view stays the same.

    Raises RefusedInput naming every value out of range.
    """

    disease_effect: float = 1.0
    case_effect: float = 1.0
    side: int = 128

    def __post_init__(self) -> None:
        ranges = {
            "disease_effect": (0, math.inf, "a finite number, 0 or more"),
            "case_effect": (0, math.inf, "a finite number, 0 or more"),
            "side": (32, 1024, "32 to 1024 pixels"),
        }
        refuse_if(
            "The parameters of synthetic crops",
            (
                Problem(name, str(getattr(self, name)), expected, "Change it.")
                for name, (lowest, highest, expected) in ranges.items()
                if not (lowest <= getattr(self, name) <= highest and math.isfinite(getattr(self, name)))
            ),
        )


class Crop(NamedTuple):
    """One rendered crop.

    image: uint8 (side, side, 3), the grey crop in three equal channels. truth: uint8 (side, side), the
    specimen without blur and noise, on the camera's scale. mask: bool (side, side), True on aggregates.
    aggregates: how many there are.
    """

    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    aggregates: int


class _Case(NamedTuple):
    """How the crops of a case differ from the average, as logarithms of factors."""

    brightness: float
    background: float
    size: float


CASE_SPREAD = _Case(brightness=0.25, background=0.3, size=0.08)
CROP_SPREAD = _Case(brightness=0.08, background=0.1, size=0.03)


class _Cell(NamedTuple):
    """Centre and radii in µm, and the radius of the outline at any angle as waves (amplitude, phase)."""

    x: float
    y: float
    radius: float
    nucleus: float
    waves: np.ndarray  # (orders, 2)


def plan(parameters: CropParameters | None = None) -> pd.DataFrame:
    """The cohort's manifest before any image exists: path, label, group, truth, mask.

    One row a crop of the published listing, in its order; a group is a case (SD number and second field).
    Nothing here depends on `parameters`; it is taken so that every synthetic cohort is planned alike.
    """
    listed = pd.read_csv(LISTING, dtype=str)
    names = listed["sample_id_as_printed"] + ".png"
    return pd.DataFrame(
        {
            "path": "crops/" + names,
            "label": listed["class_label"],
            "group": listed["case_id_sd_plus_second_field"],
            "truth": "truth/" + names,
            "mask": "masks/" + names,
        }
    )


def render_crop(parameters: CropParameters, row: Any, seed: int) -> Crop:
    """One crop, the same whichever others are rendered. row: a row of `plan` with path, label, group."""
    look = _look(parameters, row.group, row.path, seed)
    anatomy = named_generator(seed, "anatomy", row.group, row.path)
    cells = _place_cells(anatomy, look.size)
    specimen, nuclei = _draw_cells(anatomy, cells, look, parameters.side)
    aggregates = np.zeros_like(specimen)
    if parameters.disease_effect > 0 and row.label == CASE:
        sign = named_generator(seed, "sign", row.group, row.path)
        depletion, aggregates = _draw_sign(sign, cells, nuclei, parameters)
        specimen -= NUCLEUS * math.exp(look.brightness) * depletion
    mask = aggregates > VISIBLE
    specimen += AGGREGATE * math.exp(look.brightness) * aggregates
    specimen = np.clip(specimen, 0, 1)
    image = _photograph(named_generator(seed, "photons", row.group, row.path), specimen)
    count = int(ndimage.label(mask, np.ones((3, 3)))[1])
    return Crop(np.repeat(image[..., None], 3, axis=2), _recorded(specimen), mask, count)


def synthetic_crops_arrays(
    parameters: CropParameters, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Draw the cohort in memory.

    Returns crops, uint8 (n, side, side, 3), truths, uint8 (n, side, side), masks, bool (n, side, side), and
    the `plan` with the column `aggregates`.
    """
    table = plan(parameters)
    images, truths, masks, counts = zip(*_rendered(parameters, table, seed), strict=True)
    return np.stack(images), np.stack(truths), np.stack(masks), table.assign(aggregates=counts)


def make_synthetic_crops(
    folder: Path | str, parameters: CropParameters, seed: int, progress: bool = True
) -> None:
    """Write the cohort: crops, truth and masks as PNG, manifest.csv and parameters.json.

    Masks are 255 on aggregates. The folder appears whole or not at all, in place of one of that name.
    progress: show a bar on stderr.
    """
    table = plan(parameters)
    counts = []
    with atomic_write(folder) as temporary:
        for name in ("crops", "truth", "masks"):
            (temporary / name).mkdir(parents=True)
        crops = zip(table.itertuples(), _rendered(parameters, table, seed), strict=True)
        for row, crop in tqdm(crops, "synthetic crops", len(table), disable=not progress):
            write_png(temporary / row.path, crop.image)
            write_png(temporary / row.truth, crop.truth)
            write_png(temporary / row.mask, crop.mask.astype(np.uint8) * 255)
            counts.append(crop.aggregates)
        table.assign(aggregates=counts).to_csv(temporary / "manifest.csv", index=False)
        made_of = {"seed": seed, **asdict(parameters)}
        (temporary / "parameters.json").write_text(json.dumps(made_of, indent=2) + "\n", encoding="utf-8")


def cohort_key(parameters: CropParameters, seed: int) -> str:
    """Key of what `make_synthetic_crops` writes: its arguments, the listing, the code that draws."""
    return content_key(asdict(parameters), seed, file_digest(LISTING), code_digest(__name__))


def _rendered(parameters: CropParameters, table: pd.DataFrame, seed: int) -> Iterator[Crop]:
    return (render_crop(parameters, row, seed) for row in table.itertuples())


def _look(parameters: CropParameters, group: str, path: str, seed: int) -> _Case:
    """How this crop differs from the average one: its case's share and its own."""
    case = named_generator(seed, "case", group).standard_normal(len(_Case._fields))
    own = named_generator(seed, "crop", group, path).standard_normal(len(_Case._fields))
    return _Case(*(parameters.case_effect * case * CASE_SPREAD + own * CROP_SPREAD).tolist())


def _place_cells(rng: np.random.Generator, size: float) -> list[_Cell]:
    """A cell near the middle, and up to three around it; one that would reach into a nucleus is left out."""
    cells: list[_Cell] = []
    for number in range(1 + int(rng.integers(0, 4))):
        radius = float(rng.uniform(9, 12) * math.exp(size))
        angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(0, 2) if number == 0 else rng.uniform(18, 22)
        x, y = FIELD / 2 + away * math.cos(angle), FIELD / 2 + away * math.sin(angle)
        nucleus = radius * rng.uniform(0.42, 0.52)
        waves = np.stack([rng.uniform(0, (0.16, 0.1, 0.06)), rng.uniform(0, 2 * math.pi, 3)], axis=1)
        if all(math.hypot(x - other.x, y - other.y) > radius + other.nucleus for other in cells):
            cells.append(_Cell(x, y, radius, nucleus, waves))
    return cells


def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the pixels in µm, x (1, side) and y (side, 1)."""
    centres = (np.arange(side) + 0.5) * FIELD / side
    return centres[None, :], centres[:, None]


def _soft(distance: np.ndarray, side: int) -> np.ndarray:
    """1 inside (distance < 0, µm), 0 outside, linear over one pixel at the edge: an antialiased shape."""
    return np.clip(0.5 - distance * side / FIELD, 0, 1)


def _outline(cell: _Cell, angle: np.ndarray) -> np.ndarray:
    """Radius of the cell's body in µm at an angle."""
    orders = np.arange(2, 2 + len(cell.waves))
    waves = sum(a * np.cos(k * angle + phase) for k, (a, phase) in zip(orders, cell.waves, strict=True))
    return cell.radius * (1 + waves)


def _draw_cells(
    rng: np.random.Generator, cells: list[_Cell], look: _Case, side: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The specimen without the sign (side, side), and each cell's nucleus as a layer 0..1."""
    x, y = _grid(side)
    bodies = np.zeros((side, side))
    nuclei, specks = [], np.zeros((side, side))
    for cell in cells:
        dx, dy = x - cell.x, y - cell.y
        distance = np.hypot(dx, dy)
        bodies = np.maximum(bodies, _soft(distance - _outline(cell, np.arctan2(dy, dx)), side))
        nucleus = _soft(distance - cell.nucleus, side)
        for _ in range(int(rng.integers(1, 3))):  # nucleoli, which TDP-43 leaves out
            angle, away = rng.uniform(0, 2 * math.pi), cell.nucleus * rng.uniform(0, 0.6)
            centre = cell.x + away * math.cos(angle), cell.y + away * math.sin(angle)
            nucleus = nucleus * (1 - 0.7 * _spot(centre, cell.nucleus * rng.uniform(0.18, 0.26), side))
        nuclei.append(nucleus)
        for centre in _places_in_cytoplasm(rng, cell, int(rng.poisson(4))):
            specks = np.maximum(specks, _spot(centre, rng.uniform(0.3, 0.6), side))
    texture = 1 + 0.15 * _smooth_noise(rng, side, 1.2)
    nuclear = np.clip(sum(nuclei), 0, 1)
    light = math.exp(look.brightness)
    specimen = BACKGROUND * math.exp(look.background) * (1 + 0.3 * _smooth_noise(rng, side, 3.0))
    specimen += light * texture * (CYTOPLASM * bodies * (1 - nuclear) + NUCLEUS * nuclear)
    return specimen + light * SPECK * specks * (1 - nuclear), nuclei


def _draw_sign(
    rng: np.random.Generator, cells: list[_Cell], nuclei: list[np.ndarray], parameters: CropParameters
) -> tuple[np.ndarray, np.ndarray]:
    """What the disease takes from nuclei and adds as aggregates, both (side, side), 0..1.

    A cell is affected with probability 1 - exp(-2 effect); it then loses 1 - exp(-effect) of its nuclear
    protein, and gathers aggregates, on average 5 times the effect, at most 15.
    """
    effect, side = parameters.disease_effect, parameters.side
    depletion, aggregates = np.zeros((side, side)), np.zeros((side, side))
    for cell, nucleus in zip(cells, nuclei, strict=True):
        affected = rng.uniform() < 1 - math.exp(-2 * effect)
        count = min(int(rng.poisson(5 * effect)), 15)
        places = _places_in_cytoplasm(rng, cell, count)
        radii = rng.uniform(0.5, 1.3, len(places))
        if affected:
            depletion = np.maximum(depletion, (1 - math.exp(-effect)) * nucleus)
            for centre, radius in zip(places, radii, strict=True):
                aggregates = np.maximum(aggregates, _spot(centre, radius, side))
    return depletion, aggregates


def _places_in_cytoplasm(rng: np.random.Generator, cell: _Cell, count: int) -> list[tuple[float, float]]:
    """`count` points between nucleus and outline of a cell."""
    angles, shares = rng.uniform(0, 2 * math.pi, count), rng.uniform(0.25, 0.85, count)
    away = cell.nucleus + shares * (_outline(cell, angles) - cell.nucleus)
    return list(zip(cell.x + away * np.cos(angles), cell.y + away * np.sin(angles), strict=True))


def _spot(centre: tuple[float, float], radius: float, side: int) -> np.ndarray:
    """A disc with an antialiased edge, (side, side), 0..1."""
    x, y = _grid(side)
    return _soft(np.hypot(x - centre[0], y - centre[1]) - radius, side)


def _smooth_noise(rng: np.random.Generator, side: int, radius: float) -> np.ndarray:
    """Noise of sd 1 that varies over `radius` µm, (side, side); a larger image shows the same noise finer."""
    coarse = rng.standard_normal((int(FIELD), int(FIELD)), dtype=np.float32)  # one value a µm
    smooth = cv2.GaussianBlur(coarse, (0, 0), radius) * np.float32(2 * math.sqrt(math.pi) * radius)
    return cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR)


def _photograph(rng: np.random.Generator, specimen: np.ndarray) -> np.ndarray:
    """What a microscope records of the specimen: point spread, and Poisson noise; uint8 (side, side)."""
    pixel = FIELD / len(specimen)  # µm
    blurred = cv2.GaussianBlur(specimen, (0, 0), POINT_SPREAD / pixel, borderType=cv2.BORDER_REFLECT)
    return _recorded(rng.poisson(PHOTONS * pixel**2 * blurred) / (PHOTONS * pixel**2))


def _recorded(brightness: np.ndarray) -> np.ndarray:
    """Brightness 0..1 as the camera's levels of 255, above its offset."""
    return np.rint(255 * np.clip(OFFSET + (1 - OFFSET) * brightness, 0, 1)).astype(np.uint8)
