"""Synthetic tissue: fields of cortex stained with haematoxylin and DAB, with an invented disease sign.

The drawing imitates, by eye and by colour statistics, the fields that Xia 2024 released: neuropil, neurons
with brown cytoplasm, glial nuclei, vessels, vacuoles and retraction clefts, in Beer-Lambert colours.

The disease sign is an invention, and no finding about ALS can be read from it. In both disease classes some
neurons carry brown deposits in the cytoplasm and lose the stain of their nucleus, and deposits lie in the
neuropil. "concordant" has more of it, and mostly winding skeins; "discordant" has less, and nearly only
round puncta. `anatomy.PATTERNS` holds the numbers at `disease_effect=1`. Controls have none.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from als_core.cohorts.reading import write_png
from als_core.refusal import Problem, refuse_if
from als_core.storage import atomic_write, code_digest, content_key, named_generator
from als_core.studies.xia2024.anatomy import (
    FIELD,
    PATTERNS,
    draw_sign,
    draw_tissue,
    place_neurons,
    raggedness,
)
from als_core.studies.xia2024.staining import transmittance

CLASSES = ("control", "concordant", "discordant")
REGIONS = ("BA44", "BA46")
VISIBLE_CHANGE = 0.03  # DAB concentration; the mask holds pixels that the sign changed by more
SMALLEST_GRID = 192  # pixels; a smaller image is drawn on a multiple of its side and averaged down


@dataclass(frozen=True)
class TissueParameters:
    """Parameters of a synthetic cohort. The defaults have the structure of the authors' 190 images.

    disease_effect: strength of the disease sign; 0: no pixel depends on the label. 1 is moderate.
    donor_effect, slide_effect: spread of stain and preparation between donors, and between slides of a
        donor; 0: no dependence. Both at 1 give about the spread between the authors' slides.
    side: width and height of the images in pixels. The field of view stays the same.
    donors_per_class, donors_with_both_regions, fields_per_slide: one slide per donor and region; the first
        `donors_with_both_regions` donors have slides of both regions.

    Raises RefusedInput naming every value out of range.
    """

    disease_effect: float = 1.0
    donor_effect: float = 1.0
    slide_effect: float = 1.0
    side: int = 400
    donors_per_class: int = 5
    donors_with_both_regions: int = 4
    fields_per_slide: int = 10

    def __post_init__(self) -> None:
        donors = self.donors_per_class * len(CLASSES)
        ranges = {
            "disease_effect": (0, 20, "0 to 20"),
            "donor_effect": (0, 10, "0 to 10"),
            "slide_effect": (0, 10, "0 to 10"),
            "side": (32, 2048, "32 to 2048 pixels"),
            "donors_per_class": (1, 1000, "1 to 1000"),
            "donors_with_both_regions": (0, donors, f"0 to {donors}, the number of donors"),
            "fields_per_slide": (1, 1000, "1 to 1000"),
        }
        refuse_if(
            "The parameters of synthetic tissue",
            (
                Problem(name, str(getattr(self, name)), expected, "Change it.")
                for name, (lowest, highest, expected) in ranges.items()
                if not lowest <= getattr(self, name) <= highest
            ),
        )


class Preparation(NamedTuple):
    """How a field was stained and prepared, each relative to the average slide (logarithms of factors)."""

    haematoxylin: float
    dab: float
    dryness: float  # grain, clefts, vacuoles and dark nuclei go together in the authors' slides


# Fitted to the authors' images: standard deviations of the logarithms between slides, and between fields of
# a slide; concentrations in the neuropil; least squares of the residual stain on haematoxylin.
SLIDE_SPREAD = Preparation(haematoxylin=0.11, dab=0.20, dryness=0.5)
FIELD_SPREAD = Preparation(haematoxylin=0.045, dab=0.13, dryness=0.15)
NEUROPIL_HAEMATOXYLIN, NEUROPIL_DAB = 0.124, 0.083
RESIDUAL_SLOPE, RESIDUAL_OF_WHITE = 0.14, -0.015
LARGEST_DRYNESS = 1.5  # beyond it, in either direction, nothing looks like a section
BROWN_HAEMATOXYLIN = 0.4  # brown is never pure DAB: haematoxylin that comes with each unit of it
BOUND_SHARE = 0.4  # DAB in structures varies less between slides than in neuropil: power of its factor


def plan(parameters: TissueParameters) -> pd.DataFrame:
    """List the cohort's manifest before any image exists: path, label, group, slide, region, mask.

    Donors take the classes in turn, and neither file names nor donor names hold the class.
    """
    rows = []
    for donor in range(parameters.donors_per_class * len(CLASSES)):
        both = donor < parameters.donors_with_both_regions
        for region in REGIONS if both else REGIONS[donor % 2 :][:1]:
            for _ in range(parameters.fields_per_slide):
                name, group = f"{len(rows) + 1:03d}.png", f"donor-{donor + 1:02d}"
                label = CLASSES[donor % len(CLASSES)]
                rows.append((f"images/{name}", label, group, f"{group}-{region}", region, f"masks/{name}"))
    return pd.DataFrame(rows, columns=["path", "label", "group", "slide", "region", "mask"])


def render_field(parameters: TissueParameters, row: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Render one field; the result does not depend on which other fields are rendered.

    row: a row of `plan` with the attributes path, label, group, slide.
    Returns the image, uint8 (side, side, 3), RGB, and its lesion mask, bool (side, side): True where the
    disease sign changed the DAB concentration by more than `VISIBLE_CHANGE`.
    """
    reduction = math.ceil(SMALLEST_GRID / parameters.side)
    grid = parameters.side * reduction
    field = (row.group, row.slide, row.path)
    preparation = _preparation(parameters, field, seed)
    anatomy = named_generator(seed, "anatomy", *field)
    neurons = place_neurons(anatomy)
    layers = draw_tissue(anatomy, neurons, preparation.dryness, grid)
    if parameters.disease_effect > 0 and row.label in PATTERNS:
        drawn = named_generator(seed, "sign", *field)
        layers += draw_sign(drawn, neurons, PATTERNS[row.label], parameters.disease_effect, grid)
    maps = raggedness(named_generator(seed, "ragged", *field), grid)
    tissue, brown, *sign = (
        cv2.remap(layer, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for layer in layers
    )

    texture = named_generator(seed, "texture", *field)
    stains = _concentrations(texture, tissue, brown, preparation)
    mask = np.zeros((parameters.side, parameters.side), bool)
    if sign:
        deposits, depletion = (layer * _bound_dab(preparation) for layer in sign)
        stains[..., 0] += BROWN_HAEMATOXYLIN * deposits
        stains[..., 1] += deposits - depletion
        change = cv2.resize(deposits + depletion, mask.shape, interpolation=cv2.INTER_AREA)
        mask = change > VISIBLE_CHANGE
    return _photograph(texture, stains, parameters.side), mask


def synthetic_tissue_arrays(
    parameters: TissueParameters, seed: int
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Render the cohort in memory: images uint8 (n, side, side, 3), masks bool (n, side, side), and its `plan`."""
    table = plan(parameters)
    images, masks = zip(*_rendered(parameters, table, seed), strict=True)
    return np.stack(images), np.stack(masks), table


def without_effect(sizes: TissueParameters, seed: int) -> tuple[np.ndarray, pd.Series, np.ndarray]:
    """Return images, labels and donors of tissue in which donors differ strongly and the disease leaves no trace."""
    parameters = replace(sizes, disease_effect=0, donor_effect=3, side=64)
    images, _, table = synthetic_tissue_arrays(parameters, seed)
    return images, table["label"], table["group"].to_numpy(str)


def make_synthetic_tissue(
    folder: Path | str, parameters: TissueParameters, seed: int, progress: bool = True
) -> None:
    """Write the cohort: images/*.png, masks/*.png (255 on the sign), manifest.csv, parameters.json.

    The folder is written atomically and replaces one of that name. progress: show a bar on stderr.
    """
    table = plan(parameters)
    with atomic_write(folder) as temporary:
        for name in ("images", "masks"):
            (temporary / name).mkdir(parents=True)
        fields = zip(table.itertuples(), _rendered(parameters, table, seed), strict=True)
        for row, (image, mask) in tqdm(fields, "synthetic tissue", len(table), disable=not progress):
            write_png(temporary / row.path, image[..., ::-1])
            write_png(temporary / row.mask, mask.astype(np.uint8) * 255)
        table.to_csv(temporary / "manifest.csv", index=False)
        made_of = {
            "seed": seed,
            **asdict(parameters),
            "patterns": {k: v._asdict() for k, v in PATTERNS.items()},
        }
        (temporary / "parameters.json").write_text(json.dumps(made_of, indent=2) + "\n", encoding="utf-8")


def cohort_key(parameters: TissueParameters, seed: int) -> str:
    """Return the key of the content that `make_synthetic_tissue` writes: its arguments, and the code that draws."""
    return content_key(asdict(parameters), seed, code_digest(__name__))


def _rendered(
    parameters: TissueParameters, table: pd.DataFrame, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Image and mask of each row, in order. Threads: OpenCV and NumPy release the interpreter."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(partial(render_field, parameters, seed=seed), table.itertuples())


def _preparation(parameters: TissueParameters, field: tuple[str, str, str], seed: int) -> Preparation:
    """Donor, slide and field effects, added up. Donor and slide share the spread between slides."""
    donor, slide, own = (
        named_generator(seed, "preparation", *field[: 1 + level]).standard_normal(len(Preparation._fields))
        for level in range(3)
    )
    between = math.sqrt(0.5) * (parameters.donor_effect * donor + parameters.slide_effect * slide)
    haematoxylin, dab, dryness = (between * SLIDE_SPREAD + own * FIELD_SPREAD).tolist()
    return Preparation(haematoxylin, dab, min(max(dryness, -LARGEST_DRYNESS), LARGEST_DRYNESS))


def _bound_dab(preparation: Preparation) -> np.float32:
    """Concentration per unit of a layer for DAB that is bound to a structure."""
    return np.float32(math.exp(BOUND_SHARE * preparation.dab) / 255)


def _concentrations(
    rng: np.random.Generator, tissue: np.ndarray, brown: np.ndarray, preparation: Preparation
) -> np.ndarray:
    """Haematoxylin and DAB without the sign, float32 (grid, grid, 2); noise may take them below 0."""
    grid = len(tissue)
    neuropil = 1 - tissue[..., 0] * np.float32(1 / 255)
    grain = _noise(rng, grid, (0.2, 0.42), (0.04, 1.4))
    grain *= np.float32(math.exp(preparation.dryness))
    clumps = _noise(rng, grid, (0.28, 0.8), (0.15, 4.0))
    patches = rng.normal(0, 0.05, (7, 7)).astype(np.float32)
    patches = cv2.resize(patches, (grid, grid), interpolation=cv2.INTER_CUBIC)

    dab = (tissue[..., 2] + brown.astype(np.float32)) * _bound_dab(preparation)
    haematoxylin = (tissue[..., 1] + np.float32(BROWN_HAEMATOXYLIN) * brown) * np.float32(1 / 255)
    stains = np.empty((grid, grid, 2), np.float32)
    scale = np.float32(NEUROPIL_HAEMATOXYLIN * math.exp(preparation.haematoxylin))
    stains[..., 0] = scale * neuropil * (1 + grain + 0.3 * patches) + haematoxylin * (1 + 0.4 * clumps)
    scale = np.float32(NEUROPIL_DAB * math.exp(preparation.dab))
    stains[..., 1] = scale * neuropil * (1 + 1.3 * grain + patches) + dab * (1 + clumps)
    return stains


def _noise(rng: np.random.Generator, grid: int, *components: tuple[float, float]) -> np.ndarray:
    """Smooth noise, float32 (grid, grid): a sum over (weight, radius in field units) of blurred white noise.

    White noise averaged over a pixel of several units has less spread, so a small image is a large one
    seen from afar. At one pixel a unit each component has about the standard deviation `weight`.
    """
    scale = grid / FIELD
    white = rng.standard_normal((grid, grid), dtype=np.float32)
    return sum(
        np.float32(weight * scale * 2 * math.sqrt(math.pi) * radius)
        * cv2.GaussianBlur(white, (0, 0), radius * scale)
        for weight, radius in components
    )


def _photograph(rng: np.random.Generator, stains: np.ndarray, side: int) -> np.ndarray:
    """Photograph the stained section: lens blur, noise in brightness, `side` pixels of 8 bits."""
    grid = len(stains)
    stains = np.maximum(stains, 0)
    residual = np.float32(RESIDUAL_SLOPE) * stains[..., :1] + np.float32(RESIDUAL_OF_WHITE)
    light = transmittance(np.concatenate([stains, residual], axis=2))
    light = cv2.GaussianBlur(light, (0, 0), 0.5 * grid / FIELD)
    light += np.float32(2 / 255 * grid / FIELD) * rng.standard_normal((grid, grid, 1), dtype=np.float32)
    if grid > side:
        light = cv2.resize(light, (side, side), interpolation=cv2.INTER_AREA)
    return np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8)
