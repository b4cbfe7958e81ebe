"""Draw the structures in a field of synthetic tissue: neurons, glia, vessels, gaps, disease sign.

Lengths are in field units: a field of view is `FIELD` units wide, for any number of pixels.
Layers are uint8 squares that hold stain in 1/255 units of concentration. `tissue` has the channels cover,
haematoxylin and DAB; each structure covers the neuropil and the structures painted before it. All other
layers have one channel and lie on top.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

FIELD = 400  # one unit is one pixel of the authors' 400 x 400 images


class Pattern(NamedTuple):
    """Disease sign of one class at an effect of 1."""

    affected: float  # share of neurons with deposits
    puncta: float  # round deposits per affected neuron, mean
    filaments: float  # skein filaments per affected neuron, mean
    neuropil: float  # deposits in the neuropil of a field, mean
    depletion: float  # share of its DAB that the nucleus of an affected neuron loses


PATTERNS = {
    "concordant": Pattern(affected=0.6, puncta=2, filaments=5, neuropil=40, depletion=0.9),
    "discordant": Pattern(affected=0.35, puncta=7, filaments=0.5, neuropil=15, depletion=0.5),
}
DEPOSIT_DAB = 0.32  # DAB concentration that a deposit adds
NUCLEAR_DAB = 0.13  # DAB concentration of a neuron's nucleus, which the sign depletes

SUBPIXEL_BITS = 4
POINTS = 8  # of a winding line
FULL_TURN = 2 * math.pi
CORNER = 2.1  # radians from the apex of a cell body to the corners of its base
SIXTEENTHS = np.arange(16) * (FULL_TURN / 16)
UNIT_CIRCLE = np.stack([np.cos(SIXTEENTHS), np.sin(SIXTEENTHS)], axis=1)


class Neurons(NamedTuple):
    """Neurons of a field, one entry each."""

    centre: np.ndarray  # (n, 2) x, y
    angle: np.ndarray  # (n,) direction of the apical dendrite, radians
    length: np.ndarray  # (n,) half axis along that direction
    width: np.ndarray  # (n,) half axis across it
    taper: np.ndarray  # (n,) 0: an ellipse; 2: a drop with its tip at the apex
    wobble: np.ndarray  # (n, 4, 2) unevenness of the outline: cosine and sine amplitudes
    has_nucleus: np.ndarray  # (n,) bool: the section passed through it
    stain: np.ndarray  # (n,) DAB concentration of the cytoplasm


def place_neurons(rng: np.random.Generator) -> Neurons:
    """Place neurons on a jittered lattice that reaches over the border, roughly parallel within a field."""
    spacing, cells = 50, 9
    n = min(rng.poisson(28), cells**2)
    corner = np.stack(np.divmod(rng.permutation(cells**2)[:n], cells), axis=1) * spacing - spacing / 2
    length = np.minimum(np.exp(rng.normal(2.65, 0.16) + rng.normal(0, 0.3, n)), 23)
    return Neurons(
        centre=corner + rng.uniform(0.1, 0.9, (n, 2)) * spacing,
        angle=rng.uniform(0, FULL_TURN) + rng.vonmises(0, 1.5, n),
        length=length,
        width=length * rng.uniform(0.55, 0.85, n),
        taper=rng.uniform(0, 1.8, n),
        wobble=rng.normal(0, 0.03, (n, 4, 2)),
        has_nucleus=rng.random(n) < 0.7,
        stain=0.29 * np.exp(rng.normal(0, 0.28, n)),
    )


def draw_tissue(
    rng: np.random.Generator, neurons: Neurons, dryness: float, grid: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw all structures but the disease sign: layers `tissue` (grid, grid, 3) and `brown` (grid, grid).

    dryness: logarithm of how much more retracted and contrasted than average the preparation is.
    """
    tissue, brown = np.zeros((grid, grid, 3), np.uint8), np.zeros((grid, grid), np.uint8)
    _draw_vacuoles(rng, tissue, dryness)
    for _ in range(rng.poisson(0.6)):
        _draw_vessel(rng, tissue, dryness)
    _draw_neurons(rng, tissue, neurons, dryness)
    for _ in range(rng.poisson(24)):
        _draw_glia(rng, tissue, dryness)
    _draw_neurites(rng, brown)
    for _ in range(rng.poisson(2)):  # lipofuscin: brown granules, in every class
        middle = rng.uniform(0, FIELD, 2)
        for place in rng.normal(middle, 4, (rng.poisson(10), 2)):
            _paint(brown, _disc(place, rng.uniform(0.6, 1.4)), 80)
    return tissue, brown


def draw_sign(
    rng: np.random.Generator, neurons: Neurons, pattern: Pattern, effect: float, grid: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the disease sign: layers `deposits` (DAB added) and `depletion` (DAB taken from nuclei).

    effect: counts grow in proportion to it; the shares of neurons hit and of stain lost go to 1.
    """
    deposits, depletion = np.zeros((2, grid, grid), np.uint8)
    dab = round(255 * DEPOSIT_DAB)
    lost = round(255 * NUCLEAR_DAB * (1 - (1 - pattern.depletion) ** effect))
    somata, (nuclei, half_axes) = _somata(neurons), _nuclei(neurons)
    for i in np.flatnonzero(rng.random(len(somata)) < 1 - (1 - pattern.affected) ** effect):
        if neurons.has_nucleus[i]:
            _paint(depletion, _ellipse(nuclei[i], half_axes[i], neurons.angle[i]), lost)
        puncta, filaments = rng.poisson(effect * pattern.puncta), rng.poisson(effect * pattern.filaments)
        for place in _in_cytoplasm(rng, somata[i], neurons.centre[i], puncta):
            _paint(deposits, _disc(place, rng.uniform(1, 2.4)), dab)
        places = _in_cytoplasm(rng, somata[i], neurons.centre[i], filaments)
        skein = _lines(rng, places, rng.uniform(0, FULL_TURN, filaments), 0.9 * neurons.width[i], 0.7)
        for filament in _strips(skein, 0.8):
            _paint(deposits, filament, dab)
    share_of_filaments = pattern.filaments / (pattern.filaments + pattern.puncta)
    threads = rng.poisson(effect * pattern.neuropil * share_of_filaments)
    for thread in _strips(_anywhere(rng, threads, rng.uniform(5, 14, threads), 0.4), 0.8):
        _paint(deposits, thread, dab)
    for _ in range(rng.poisson(effect * pattern.neuropil * (1 - share_of_filaments))):
        _paint(deposits, _disc(rng.uniform(0, FIELD, 2), rng.uniform(0.8, 1.8)), dab)
    return deposits, depletion


def raggedness(rng: np.random.Generator, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw maps for `cv2.remap` that make smooth outlines uneven: x and y of each pixel's origin, (grid, grid)."""
    bends = rng.normal(0, 0.6 * grid / FIELD, (2, 66, 66)).astype(np.float32)
    x, y = (cv2.resize(bend, (grid, grid), interpolation=cv2.INTER_CUBIC) for bend in bends)
    place = np.arange(grid, dtype=np.float32)
    return x + place, y + place[:, None]


def _draw_vacuoles(rng: np.random.Generator, tissue: np.ndarray, dryness: float) -> None:
    n = rng.poisson(60 * math.exp(1.6 * dryness))
    sizes = np.minimum(np.exp(rng.normal(0.4 + 0.3 * dryness, 0.6, n)), 9)
    for place, size, flatness in zip(
        rng.uniform(0, FIELD, (n, 2)), sizes, rng.uniform(0.6, 1, n), strict=True
    ):
        _paint(tissue, _ellipse(place, (size, size * flatness)), _hole(dryness))


def _draw_vessel(rng: np.random.Generator, tissue: np.ndarray, dryness: float) -> None:
    line = _anywhere(rng, 1, rng.uniform(50, 180), 0.18)
    radius = math.exp(rng.normal(1.0, 0.4))
    cleft = np.maximum(rng.normal(0, 2.5 * math.exp(dryness), POINTS), 0)
    _paint(tissue, _strips(line + rng.normal(0, 1.5, 2), radius + cleft)[0], _hole(dryness))
    _paint(tissue, _strips(line, radius + 1)[0], _colour(0.19 * math.exp(0.5 * dryness), 0.09))
    if radius > 2.5:
        _paint(tissue, _strips(line, radius - 1.5)[0], _colour(0.1, 0.06))
    along = math.atan2(*(line[0, -1] - line[0, 0])[::-1])
    for place in line[0, rng.permutation(POINTS)[: rng.integers(1, 5)]]:
        _paint(
            tissue, _ellipse(place + rng.normal(0, radius / 2, 2), (5.5, 2.2), along), _glial(0.33, dryness)
        )


def _draw_neurons(rng: np.random.Generator, tissue: np.ndarray, neurons: Neurons, dryness: float) -> None:
    """Retraction clefts, dendrites, cell bodies with granular cytoplasm, pale nuclei with a nucleolus."""
    n = len(neurons.angle)
    somata, (nuclei, half_axes) = _somata(neurons), _nuclei(neurons)
    cleft = np.abs(rng.normal(0, 1.8, n)) * math.exp(1.3 * dryness) * (rng.random(n) < 0.7)
    reach = neurons.length * np.array([rng.uniform(1, 4, n), *rng.uniform(0.3, 1.2, (2, n))])
    dendrites = []
    for turn, length, root in zip((0, CORNER, -CORNER), reach, (0.25, 0.14, 0.14), strict=True):
        starts = neurons.centre + 0.7 * (_on_outline(somata, turn) - neurons.centre)
        lines = _lines(rng, starts, neurons.angle + turn, length, 0.12)
        dendrites.append(_strips(lines, np.linspace(root * neurons.width, 0.4, POINTS, axis=1)))
    pale = 0.2 * np.exp(0.8 * dryness + rng.normal(0, 0.15, n))
    nucleoli = nuclei + rng.normal(0, 0.15, (n, 2)) * neurons.width[:, None]
    for i, (soma, stain, angle) in enumerate(zip(somata, neurons.stain, neurons.angle, strict=True)):
        if cleft[i] > 0:
            wider = neurons.centre[i] + (soma - neurons.centre[i]) * (1 + 0.5 * cleft[i] / neurons.width[i])
            _paint(tissue, wider + rng.normal(0, 0.8 * cleft[i], 2), _hole(dryness))
        for dendrite in dendrites if neurons.taper[i] > 0.6 else ():
            _paint(tissue, dendrite[i], _colour(0.16, 0.65 * stain))
        _paint(tissue, soma, _colour(0.12 + 0.42 * stain, stain))
        if neurons.has_nucleus[i]:
            _paint(
                tissue, _ellipse(nuclei[i], half_axes[i] + 0.6, angle), _colour(1.15 * pale[i], NUCLEAR_DAB)
            )
            _paint(
                tissue, _ellipse(nuclei[i], half_axes[i] - 0.6, angle), _colour(0.9 * pale[i], NUCLEAR_DAB)
            )
            _paint(tissue, _disc(nucleoli[i], 0.1 * neurons.width[i] + 0.5), _colour(1.8 * pale[i], 0.22))


def _draw_glia(rng: np.random.Generator, tissue: np.ndarray, dryness: float) -> None:
    """One glial nucleus: dark and round (half of them), pale and larger, or dark and long."""
    kind = rng.random()
    centre, angle = rng.uniform(0, FIELD, 2), rng.uniform(0, math.pi)
    radius = rng.uniform(3.2, 4.8) if kind < 0.5 else rng.uniform(4.2, 6.2)
    if rng.random() < 0.35:
        gap = radius + abs(rng.normal(0, 2)) * math.exp(dryness)
        _paint(
            tissue, _ellipse(centre + rng.normal(0, 0.5 * gap, 2), (gap, 0.8 * gap), angle), _hole(dryness)
        )
    if kind < 0.5:
        _paint(
            tissue, _ellipse(centre, (radius, radius * 0.9), angle), _glial(rng.uniform(0.25, 0.5), dryness)
        )
    elif kind < 0.85:
        shade = rng.uniform(0.15, 0.26)
        _paint(tissue, _ellipse(centre, (radius, radius * 0.8), angle), _glial(1.3 * shade, dryness))
        _paint(tissue, _ellipse(centre, (radius - 1, radius * 0.8 - 1), angle), _glial(shade, dryness))
    else:
        _paint(tissue, _ellipse(centre, (radius * 1.2, 2), angle), _glial(0.33, dryness))


def _draw_neurites(rng: np.random.Generator, brown: np.ndarray) -> None:
    """Threads in the neuropil: most so faint that they are texture, some brown."""
    n = rng.poisson(100)
    lines = _anywhere(rng, n, np.exp(rng.normal(2.4, 0.5, n)), 0.2)
    stains = np.minimum(4 + rng.exponential(13, n), 70)
    for thread, stain in zip(_strips(lines, rng.uniform(0.3, 0.8, (n, 1))), stains, strict=True):
        _paint(brown, thread, round(stain))


def _somata(neurons: Neurons) -> np.ndarray:
    """Outlines of the cell bodies, (n, 40, 2), from the apex around."""
    turn = np.arange(40) * (FULL_TURN / 40)
    orders = np.arange(2, 6)[:, None] * turn
    taper = neurons.taper[:, None]
    uneven = 1 + 0.06 * taper * np.cos(3 * turn)
    uneven += neurons.wobble[..., 0] @ np.cos(orders) + neurons.wobble[..., 1] @ np.sin(orders)
    along = neurons.length[:, None] * np.cos(turn) * uneven
    across = neurons.width[:, None] * np.sin(turn) * np.sin(turn / 2) ** taper * (1 + 0.2 * taper) * uneven
    cos, sin = np.cos(neurons.angle)[:, None], np.sin(neurons.angle)[:, None]
    return neurons.centre[:, None] + np.stack(
        [along * cos - across * sin, along * sin + across * cos], axis=2
    )


def _on_outline(somata: np.ndarray, turn: float) -> np.ndarray:
    """The point (n, 2) of each outline that lies `turn` radians from the apex."""
    return somata[:, round(turn / FULL_TURN * somata.shape[1]) % somata.shape[1]]


def _nuclei(neurons: Neurons) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) and half axes (n, 2) of the nuclei, which lie in the broad part of the cell body."""
    direction = np.stack([np.cos(neurons.angle), np.sin(neurons.angle)], axis=1)
    centre = neurons.centre - direction * (0.13 * neurons.taper * neurons.length)[:, None]
    return centre, np.stack([0.62 * neurons.width, 0.52 * neurons.width], axis=1)


def _in_cytoplasm(rng: np.random.Generator, soma: np.ndarray, centre: np.ndarray, n: int) -> np.ndarray:
    """Points (n, 2) between the nucleus and the outline of a cell body."""
    return centre + (soma[rng.integers(len(soma), size=n)] - centre) * rng.uniform(0.6, 0.95, (n, 1))


def _anywhere(rng: np.random.Generator, n: int, length: np.ndarray | float, bending: float) -> np.ndarray:
    """Winding lines that start anywhere in any direction, (n, POINTS, 2)."""
    return _lines(rng, rng.uniform(0, FIELD, (n, 2)), rng.uniform(0, FULL_TURN, n), length, bending)


def _lines(
    rng: np.random.Generator,
    starts: np.ndarray,
    angles: np.ndarray,
    lengths: np.ndarray | float,
    bending: float,
) -> np.ndarray:
    """Winding lines, (n, POINTS, 2). bending: standard deviation of their turns, radians."""
    headings = angles[:, None] + np.cumsum(rng.normal(0, bending, (len(angles), POINTS - 1)), axis=1)
    steps = (
        np.stack([np.cos(headings), np.sin(headings)], axis=2)
        * np.reshape(lengths, (-1, 1, 1))
        / (POINTS - 1)
    )
    return starts[:, None] + np.concatenate([np.zeros_like(steps[:, :1]), np.cumsum(steps, axis=1)], axis=1)


def _strips(lines: np.ndarray, half_width: np.ndarray | float) -> np.ndarray:
    """Outlines of bands along lines, (n, 2 x POINTS, 2). half_width: one, or one a point, or (n, POINTS)."""
    ends = np.concatenate([lines[:, :1], lines, lines[:, -1:]], axis=1)
    along = ends[:, 2:] - ends[:, :-2]
    across = np.stack([-along[..., 1], along[..., 0]], axis=2) / np.linalg.norm(along, axis=2, keepdims=True)
    across *= np.broadcast_to(half_width, lines.shape[:2])[..., None]
    return np.concatenate([lines + across, (lines - across)[:, ::-1]], axis=1)


def _ellipse(
    centre: np.ndarray, half_axes: np.ndarray | tuple[float, float], angle: float = 0.0
) -> np.ndarray:
    cos, sin = math.cos(angle), math.sin(angle)
    return centre + (UNIT_CIRCLE * half_axes) @ np.array([[cos, sin], [-sin, cos]])


def _disc(centre: np.ndarray, radius: float) -> np.ndarray:
    return centre + radius * UNIT_CIRCLE


def _colour(haematoxylin: float, dab: float) -> tuple[int, int, int]:
    """An opaque colour of the layer `tissue`."""
    return 255, round(255 * min(haematoxylin, 1)), round(255 * min(dab, 1))


def _glial(haematoxylin: float, dryness: float) -> tuple[int, int, int]:
    return _colour(haematoxylin * math.exp(0.9 * dryness), 0.16)


def _hole(dryness: float) -> tuple[int, int, int]:
    """Gaps hold some stain that is out of focus, the less the drier the section."""
    return _colour(0.05 * math.exp(-1.5 * dryness), 0.03 * math.exp(-1.5 * dryness))


def _paint(layer: np.ndarray, outline: np.ndarray, colour: tuple[int, int, int] | int) -> None:
    """Fill a polygon, (points, 2) in field units, with soft edges."""
    points = (outline * (layer.shape[0] / FIELD) - 0.5) * 2**SUBPIXEL_BITS
    cv2.fillPoly(layer, [np.rint(points).astype(np.int32)], colour, cv2.LINE_AA, SUBPIXEL_BITS)
