"""Label images of brain areas on the MNI grid: AAL where it can be had, else a small parcellation.

AAL: Tzourio-Mazoyer et al. 2002, NeuroImage 15, 273-289. The small parcellation is made of nilearn's bundled
tissue maps and of boxes in MNI space; it is coarse, and its source says so on every page that uses it. Areas
have names for people ("Hippocampus, left"), not AAL's codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
from nilearn.image import resample_to_img

from als_core.cohorts.sources import cache_folder
from als_core.cohorts.volumes import mni_map, read_volume
from als_core.refusal import Problem, RefusedInput
from als_core.storage import data_folder
from als_core.studies.brains.anatomy import anatomy, coordinates

LOCAL_AAL = ("mri/aal.nii.gz", "mri/aal_labels.txt")  # under ALS_DATA
SMALL_SOURCE = "a small parcellation of this project, made of tissue maps and boxes in MNI space"

AREAS: dict[str, tuple[str, tuple[tuple[tuple[float, float], ...], ...]]] = {
    "Brainstem": ("any", (((0, 13), (-46, -8), (-80, -12)),)),
    "Cerebellum": ("any", (((0, 20), (-95, -42), (-80, -8)), ((0, 60), (-95, -36), (-80, -24)))),
    "Medial temporal": ("grey", (((14, 36), (-42, 4), (-36, -6)),)),
    "Deep grey": ("grey", (((0, 32), (-34, 22), (-8, 20)),)),
    "Insula": ("grey", (((32, 44), (-22, 22), (-12, 16)),)),
    "Lateral temporal": ("grey", (((36, 80), (-60, 24), (-50, 2)), ((14, 80), (-60, 24), (-50, -6)))),
    "Sensorimotor": (
        "grey",
        (((0, 28), (-42, -10), (50, 90)), ((20, 52), (-36, 4), (36, 80)), ((40, 80), (-26, 12), (12, 46))),
    ),
    "Frontal": ("grey", (((0, 80), (-10, 100), (-40, 90)),)),
    "Occipital": ("grey", (((0, 80), (-120, -72), (-30, 40)), ((0, 36), (-72, -54), (-24, 10)))),
    "Parietal": ("grey", (((0, 80), (-90, -10), (10, 90)),)),
    "Frontal white matter": ("white", (((0, 80), (0, 100), (-40, 90)),)),
    "Temporal white matter": ("white", (((24, 80), (-60, 0), (-50, 4)),)),
    "Posterior white matter": ("white", (((0, 80), (-120, 0), (-40, 90)),)),
}
MIDDLE = ("Brainstem",)
VENTRICLES = "Lateral ventricle"


# AAL's codes without the side, and what they stand for.
NAMES = {
    "Precentral": "Precentral gyrus", "Postcentral": "Postcentral gyrus",
    "Rolandic_Oper": "Rolandic operculum", "Frontal_Sup": "Superior frontal gyrus",
    "Frontal_Sup_Orb": "Superior frontal gyrus, orbital part", "Frontal_Mid": "Middle frontal gyrus",
    "Frontal_Mid_Orb": "Middle frontal gyrus, orbital part",
    "Frontal_Inf_Oper": "Inferior frontal gyrus, opercular part",
    "Frontal_Inf_Tri": "Inferior frontal gyrus, triangular part",
    "Frontal_Inf_Orb": "Inferior frontal gyrus, orbital part",
    "Supp_Motor_Area": "Supplementary motor area", "Olfactory": "Olfactory cortex",
    "Frontal_Sup_Medial": "Superior frontal gyrus, medial part",
    "Frontal_Med_Orb": "Medial frontal gyrus, orbital part", "Rectus": "Straight gyrus", "Insula": "Insula",
    "Cingulum_Ant": "Anterior cingulate", "Cingulum_Mid": "Middle cingulate",
    "Cingulum_Post": "Posterior cingulate", "Hippocampus": "Hippocampus",
    "ParaHippocampal": "Parahippocampal gyrus", "Amygdala": "Amygdala", "Calcarine": "Calcarine cortex",
    "Cuneus": "Cuneus", "Lingual": "Lingual gyrus", "Fusiform": "Fusiform gyrus",
    "Occipital_Sup": "Superior occipital gyrus", "Occipital_Mid": "Middle occipital gyrus",
    "Occipital_Inf": "Inferior occipital gyrus", "Parietal_Sup": "Superior parietal lobule",
    "Parietal_Inf": "Inferior parietal lobule", "SupraMarginal": "Supramarginal gyrus",
    "Angular": "Angular gyrus", "Precuneus": "Precuneus", "Paracentral_Lobule": "Paracentral lobule",
    "Caudate": "Caudate", "Putamen": "Putamen", "Pallidum": "Pallidum", "Thalamus": "Thalamus",
    "Heschl": "Heschl's gyrus", "Temporal_Sup": "Superior temporal gyrus",
    "Temporal_Mid": "Middle temporal gyrus", "Temporal_Inf": "Inferior temporal gyrus",
    "Temporal_Pole_Sup": "Temporal pole, superior part", "Temporal_Pole_Mid": "Temporal pole, middle part",
    "Cerebelum": "Cerebellum", "Vermis": "Vermis",
}  # fmt: skip
SIDES = {"L": ", left", "R": ", right"}


def area_name(code: str) -> str:
    """A code of AAL in words: "Cerebelum_4_5_L" is "Cerebellum, lobule 4 and 5, left". Unknown codes stay."""
    stem, _, side = code.rpartition("_")
    stem, side = (stem, SIDES[side]) if side in SIDES else (code, "")
    part = ""
    if stem.startswith(("Cerebelum_", "Vermis_")):
        stem, *lobules = stem.split("_")
        part = ", " + ("" if lobules[0].startswith("Crus") else "lobule ") + " and ".join(lobules)
        part = part.replace("Crus", "crus ")
    return f"{NAMES[stem]}{part}{side}" if stem in NAMES else code


@dataclass(frozen=True)
class Atlas:
    """Brain areas on one grid.

    labels: int32 (X, Y, Z), 0 where no area is. names: of each label that occurs. source: one phrase for
    the page. affine: of the grid, mm.
    """

    labels: np.ndarray
    names: dict[int, str]
    source: str
    affine: np.ndarray

    def sizes(self) -> dict[str, float]:
        """Size of each area in ml, by name."""
        voxel = abs(np.linalg.det(self.affine[:3, :3])) / 1000
        counts = np.bincount(self.labels.ravel(), minlength=max(self.names) + 1)
        return {name: float(counts[number] * voxel) for number, name in self.names.items()}


def open_atlas(name: str, resolution: int) -> Atlas:
    """The areas of a page. name: "available" (see `available_atlas`) or "aal" (see `fetch_aal`)."""
    if name not in ("available", "aal"):
        raise RefusedInput("The atlas", [Problem("areas", repr(name), "'available' or 'aal'", "Choose one.")])
    return fetch_aal(resolution) if name == "aal" else available_atlas(resolution)


def available_atlas(resolution: int) -> Atlas:
    """AAL where ALS_DATA holds it, else the small parcellation; `source` says which. Never downloads."""
    data = data_folder()
    if data and all((data / name).is_file() for name in LOCAL_AAL):
        return _local_aal(*(data / name for name in LOCAL_AAL), resolution)
    return small_atlas(resolution)


def fetch_aal(resolution: int, folder: Path | str | None = None) -> Atlas:
    """AAL (its version for SPM 12) through nilearn, downloaded into `folder` (default: the cache) unless it is there.

    Raises RefusedInput where it cannot be had.
    """
    from nilearn.datasets import fetch_atlas_aal  # not at import: the offline paths do without the fetchers

    try:
        found = fetch_atlas_aal(version="SPM12", data_dir=folder or cache_folder() / "nilearn", verbose=0)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; nilearn adds ValueError
        problem = Problem(
            "AAL",
            f"no download ({type(error).__name__})",
            "the atlas from www.gin.cnrs.fr",
            "Go online, put it into ALS_DATA, or set areas to 'available'.",
        )
        raise RefusedInput("The atlas", [problem]) from error
    names = {
        int(number): name for number, name in zip(found.indices, found.labels, strict=True) if int(number)
    }
    return _placed(
        nibabel.load(found.maps), names, "AAL (Tzourio-Mazoyer et al. 2002), for SPM 12", resolution
    )


@lru_cache(maxsize=2)
def small_atlas(resolution: int) -> Atlas:
    """The parcellation made from bundled maps and boxes; 27 areas, at every resolution."""
    body = anatomy(resolution)
    x, y, z = coordinates(body.affine, body.grey.shape)
    tissue = np.argmax(np.stack([body.fluid, body.grey, body.white]), axis=0)
    brain = body.fluid + body.grey + body.white > 0.5
    tissues = {"grey": brain & (tissue == 1), "white": brain & (tissue == 2)}
    tissues["any"] = tissues["grey"] | tissues["white"]
    labels = np.zeros(body.grey.shape, dtype=np.int32)
    names: dict[int, str] = {}

    def take(name: str, place: np.ndarray, sides: dict[str, np.ndarray]) -> None:
        for side, half in sides.items():
            number = len(names) + 1
            names[number] = f"{name}{side}"
            labels[place & half & (labels == 0)] = number

    halves = {", left": x < 0, ", right": x >= 0}
    take(VENTRICLES, brain & (body.ventricles < 0), halves)
    for name, (kind, boxes) in AREAS.items():
        place = np.zeros(labels.shape, dtype=bool)
        for (x0, x1), (y0, y1), (z0, z1) in boxes:
            place |= (np.abs(x) >= x0) & (np.abs(x) < x1) & (y >= y0) & (y < y1) & (z >= z0) & (z < z1)
        take(name, place & tissues[kind], {"": np.ones_like(x, dtype=bool)} if name in MIDDLE else halves)
    return Atlas(labels, names, SMALL_SOURCE, body.affine)


def _local_aal(image: Path, names: Path, resolution: int) -> Atlas:
    lines = (line.split() for line in names.read_text(encoding="utf-8").splitlines() if line.strip())
    table = {int(parts[0]): parts[1] for parts in lines}
    return _placed(read_volume(image), table, "AAL (Tzourio-Mazoyer et al. 2002)", resolution)


def _placed(image: nibabel.Nifti1Image, names: dict[int, str], source: str, resolution: int) -> Atlas:
    """A known atlas in MNI space, moved onto our grid by nearest neighbour."""
    grid = mni_map("t1", resolution)
    moved = resample_to_img(image, grid, interpolation="nearest", force_resample=True, copy_header=True)
    labels = np.round(np.asarray(moved.dataobj)).astype(np.int32)
    present = {number: area_name(name) for number, name in names.items() if (labels == number).any()}
    return Atlas(np.where(np.isin(labels, list(present)), labels, 0), present, source, grid.affine)
