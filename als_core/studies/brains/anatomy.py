"""The anatomy synthetic brains are drawn from: tissue of the bundled ICBM152 and where disease acts on it.

Places are lines through MNI space (mm) with a radius, drawn once for both hemispheres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import affine_transform, distance_transform_edt, label

from als_core.cohorts.volumes import coarser, mni_map

# The template averages 152 heads and is blurred by it; tissue shares to this power, rescaled to sum to 1,
# are about as crisp as one head's.
CRISPNESS = 2.5
EDGE_MM = 4.0  # over which a place fades out
COARSE = 2  # mm; distances change slowly, and are computed at this grid for every resolution

# (x, y, z) with x to the right; the left side is its mirror image. Each with its radius in mm.
PLACES: dict[str, tuple[tuple[float, tuple[tuple[float, float, float], ...]], ...]] = {
    "medial temporal": (
        (7.0, ((22, -4, -20), (27, -14, -20), (31, -26, -12), (25, -36, -2))),  # amygdala, hippocampus
        (6.0, ((20, -8, -28), (22, -24, -22), (18, -38, -10))),  # entorhinal, parahippocampal
    ),
    "precentral": (
        (8.0, ((8, -21, 68), (22, -20, 66), (34, -15, 60), (44, -6, 48), (51, 1, 36), (56, 6, 22))),
    ),
    "corticospinal": (
        (
            5.0,
            (
                (34, -22, 54),
                (27, -22, 32),
                (24, -18, 14),
                (21, -16, 4),
                (15, -18, -10),
                (7, -22, -26),
                (5, -30, -46),
            ),
        ),
    ),
}


@dataclass(frozen=True)
class Anatomy:
    """Maps on the MNI grid, float32 (X, Y, Z) each.

    white, grey, fluid: share of the voxel, 0 to 1; together 1 in the brain and 0 outside it.
    ventricles: distance to the border of the lateral ventricles in mm, negative inside.
    outside: distance to the brain in mm, 0 inside. places: weight of each place, 0 to 1, in any tissue.
    """

    affine: np.ndarray
    white: np.ndarray
    grey: np.ndarray
    fluid: np.ndarray
    ventricles: np.ndarray
    outside: np.ndarray
    places: dict[str, np.ndarray]


@lru_cache(maxsize=2)
def anatomy(resolution: int) -> Anatomy:
    """The anatomy at `resolution` mm, on the grid of `mni_map`."""
    white, grey, fluid = _tissue(resolution)
    coarse = mni_map("t1", COARSE)
    brain = np.asarray(coarse.dataobj) > 0.1
    outside = distance_transform_edt(~brain, sampling=COARSE)
    grid = mni_map("t1", resolution)
    fields = {name: _place(name, coarse.affine, coarse.shape) for name in PLACES}
    fields = {"ventricles": _ventricles(brain), "outside": outside} | fields
    fields = {name: regrid(field, resolution, grid.shape) for name, field in fields.items()}
    return Anatomy(
        affine=grid.affine,
        white=white,
        grey=grey,
        fluid=fluid,
        ventricles=fields.pop("ventricles"),
        outside=fields.pop("outside"),
        places=fields,
    )


def coordinates(affine: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MNI coordinates of a grid's voxels in mm, as an open mesh. The affine's axes must be the world's."""
    return np.ix_(*(affine[axis, 3] + affine[axis, axis] * np.arange(n) for axis, n in enumerate(shape)))


def distance_to_line(
    mesh: tuple[np.ndarray, np.ndarray, np.ndarray], points: tuple[tuple[float, float, float], ...]
) -> np.ndarray:
    """Distance in mm from each voxel to a chain of segments, both hemispheres folded onto x >= 0."""
    x, y, z = np.abs(mesh[0]), mesh[1], mesh[2]
    nearest = np.inf
    for start, end in zip(np.array(points[:-1], float), np.array(points[1:], float), strict=True):
        way = end - start
        along = ((x - start[0]) * way[0] + (y - start[1]) * way[1] + (z - start[2]) * way[2]) / (way @ way)
        along = np.clip(along, 0, 1)
        squared = sum((axis - start[k] - along * way[k]) ** 2 for k, axis in enumerate((x, y, z)))
        nearest = np.minimum(nearest, squared)
    return np.sqrt(nearest)


def _tissue(resolution: int) -> tuple[np.ndarray, ...]:
    """Shares of white matter, grey matter and fluid."""
    shares = [np.asarray(mni_map(name, 1).dataobj) for name in ("white", "grey")]
    brain = np.asarray(mni_map("t1", 1).dataobj) > 0
    shares.append(np.clip(1 - shares[0] - shares[1], 0, 1) * brain)
    crisp = [np.clip(share, 0, 1) ** CRISPNESS for share in shares]
    total = np.maximum(sum(crisp), 1e-6)
    maps = (coarser(share / total * brain, resolution) for share in crisp)
    return tuple(np.ascontiguousarray(share, dtype=np.float32) for share in maps)


def _place(name: str, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mesh = coordinates(affine, shape)
    weights = [
        np.clip((radius - distance_to_line(mesh, points)) / EDGE_MM + 0.5, 0, 1)
        for radius, points in PLACES[name]
    ]
    return np.maximum.reduce(weights)


def _ventricles(brain: np.ndarray) -> np.ndarray:
    """Signed distance to the lateral ventricles: the largest body of fluid deep inside the brain."""
    grey, white = (mni_map(name, COARSE) for name in ("grey", "white"))
    fluid = brain & (np.asarray(grey.dataobj) + np.asarray(white.dataobj) < 0.5)
    x, y, z = coordinates(grey.affine, grey.shape)
    deep = (np.abs(x) < 34) & (y > -48) & (y < 38) & (z > 2) & (z < 34)
    bodies, count = label(fluid & deep)
    sizes = np.bincount(bodies.ravel(), minlength=count + 1)[1:]
    inside = bodies == 1 + int(np.argmax(sizes))
    return distance_transform_edt(~inside, sampling=COARSE) - distance_transform_edt(inside, sampling=COARSE)


def regrid(field: np.ndarray, resolution: int, shape: tuple[int, ...], *, given: int = COARSE) -> np.ndarray:
    """A field on the MNI grid of `given` mm on that of `resolution` mm, trilinear: both grids share their
    corner.
    """
    scale = [resolution / given] * 3
    return affine_transform(field.astype(np.float32), scale, output_shape=shape, order=1, mode="nearest")
