"""Volumes: every bad file is refused with its reason; each preprocessing step against what it should do."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nilearn.datasets import load_mni152_brain_mask, load_mni152_template
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from als_core.cohorts.registration import register, resample
from als_core.cohorts.volumes import (
    Preprocessing,
    brain_box,
    examine_volume,
    mni_map,
    preprocess,
    read_volume,
    registration_needed,
    reorient,
    template_brain,
)
from als_core.refusal import RefusedInput

TWO_MM = np.diag([2.0, 2.0, 2.0, 1.0])
CORNERS = np.array([[x, y, z, 1] for x in (-50, 50) for y in (-80, 50) for z in (-30, 60)], dtype=float).T


def noise(shape: tuple[int, ...] = (20, 22, 24)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = TWO_MM) -> Path:
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def turned(degrees: tuple[float, float, float], shift: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    motion[:3, 3] = shift
    return motion


def truncated(path: Path) -> None:
    content = save(path, noise()).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def half_of_the_voxels(path: Path) -> None:
    """A sound gzip file whose NIfTI stops early: only reading to the end shows it."""
    whole = gzip.decompress(save(path, noise()).read_bytes())
    path.write_bytes(gzip.compress(whole[: len(whole) // 2]))


def sheared() -> np.ndarray:
    affine = TWO_MM.copy()
    affine[0, 1] = 0.3
    return affine


def flat() -> np.ndarray:
    affine = TWO_MM.copy()
    affine[:3, 1] = affine[:3, 0]
    return affine


BAD_FILES = {
    "cut gzip": (truncated, "a damaged file"),
    "cut NIfTI": (half_of_the_voxels, "a damaged file"),
    "no NIfTI": (lambda path: path.write_bytes(b"not a volume" * 100), "a damaged file"),
    "empty": (lambda path: path.write_bytes(b""), "a damaged file"),
    "missing": (lambda path: None, "no such file"),
    "4-D": (lambda path: save(path, noise((20, 20, 20, 2))), "4-D, 20 x 20 x 20 x 2"),
    "slice": (lambda path: save(path, noise((200, 200, 1))), "200 x 200 x 1 voxels"),
    "constant": (lambda path: save(path, np.full((20, 20, 20), 7.0)), "the same value 7 in every voxel"),
    "NaN": (lambda path: save(path, np.where(noise() > 2, np.nan, 1)), "voxels that are not finite"),
    "sheared": (lambda path: save(path, noise(), sheared()), "a sheared affine"),
    "singular": (lambda path: save(path, noise(), flat()), "a singular affine"),
    "metres": (lambda path: save(path, noise(), np.diag([0.001, 0.001, 0.001, 1])), "voxels of 0.001"),
}


@pytest.mark.parametrize(("write", "found"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_with_its_name_and_a_remedy(tmp_path, write, found):
    path = tmp_path / "scan.nii.gz"
    write(path)
    image, problems = examine_volume(path, "scan.nii.gz", row=5)
    assert image is None
    (problem,) = problems
    assert (problem.where, problem.row) == ("scan.nii.gz", 5)
    assert found in problem.found and problem.remedy
    with pytest.raises(RefusedInput, match=r"scan\.nii\.gz"):
        read_volume(path)


def test_another_file_type_is_refused_before_it_is_opened(tmp_path):
    _, (problem,) = examine_volume(tmp_path / "scan.dcm")
    assert "dcm2niix" in problem.remedy


def test_all_that_the_header_shows_is_told_at_once(tmp_path):
    affine = sheared()
    affine[:3, :3] *= 100
    _, problems = examine_volume(save(tmp_path / "scan.nii.gz", noise((20, 20, 20, 3)), affine))
    assert [problem.found.split()[0] for problem in problems] == ["4-D,", "a", "voxels"]


def test_a_good_file_is_read_whatever_its_storage(tmp_path):
    voxels = noise()
    image = nibabel.Nifti1Image(voxels, turned((5, -8, 12)) @ TWO_MM)
    image.set_data_dtype(np.int16)  # stored with a scale factor
    nibabel.save(image, tmp_path / "scan.nii")
    read = read_volume(tmp_path / "scan.nii")
    assert read.get_data_dtype() == np.float32
    np.testing.assert_allclose(np.asarray(read.dataobj), voxels, atol=np.ptp(voxels) / 2**15)


@pytest.mark.parametrize("name", ["SCAN.NII.GZ", "SCAN.NII", "scan.nii.GZ"])
def test_the_letter_case_of_a_suffix_does_not_matter(tmp_path, name):
    suffix = ".nii.gz" if name.lower().endswith(".gz") else ".nii"
    save(tmp_path / f"written{suffix}", noise()).rename(tmp_path / name)
    np.testing.assert_array_equal(read_volume(tmp_path / name).dataobj, noise())


def test_one_volume_in_four_dimensions_is_read(tmp_path):
    read = read_volume(save(tmp_path / "scan.nii.gz", noise()[..., None]))
    assert read.shape == (20, 22, 24) and np.allclose(read.dataobj, noise())


def coded(path: Path, sform: tuple[np.ndarray, int], qform: tuple[np.ndarray, int]) -> Path:
    image = nibabel.Nifti1Image(noise(), TWO_MM)
    image.set_sform(*sform)
    image.set_qform(*qform)
    nibabel.save(image, path)
    return path


def test_a_header_must_say_once_which_side_is_left(tmp_path):
    mirrored = TWO_MM @ np.diag([-1.0, 1, 1, 1])
    path = tmp_path / "scan.nii.gz"
    for sform, qform, found in (
        ((TWO_MM, 0), (TWO_MM, 0), "without an orientation"),
        ((TWO_MM, 1), (mirrored, 1), "left and right exchanged"),
        ((TWO_MM, 1), (turned((0, 0, 20)) @ TWO_MM, 1), "mm apart under one code"),
    ):
        with pytest.raises(RefusedInput, match=found):
            read_volume(coded(path, sform, qform))
    for sform, qform in (((TWO_MM, 0), (TWO_MM, 1)), ((TWO_MM, 4), (turned((0, 0, 20)) @ TWO_MM, 1))):
        read_volume(coded(path, sform, qform))  # one of them, or two that say different things on purpose


def test_scans_are_registered_unless_all_say_mni152(tmp_path):
    mni, other = tmp_path / "mni.nii.gz", tmp_path / "other.nii.gz"
    coded(mni, (TWO_MM, 4), (TWO_MM, 1)), coded(other, (TWO_MM, 1), (TWO_MM, 1))
    assert registration_needed([mni, mni]) == "already"
    assert registration_needed([mni, other]) == registration_needed([mni, tmp_path / "none.nii"]) == "affine"


def test_reorienting_moves_no_voxel_in_the_world():
    voxels = noise()
    affine = turned((3, 0, 0)) @ np.array([[0, -2, 0, 9], [0, 0, 2, 4], [-2, 0, 0, 1], [0, 0, 0, 1.0]])
    upright, record = reorient(nibabel.Nifti1Image(voxels, affine))
    assert nibabel.aff2axcodes(upright.affine) == ("R", "A", "S")
    assert record["from"] == "".join(nibabel.aff2axcodes(affine)) != "RAS"
    assert max(record["oblique_degrees"]) == pytest.approx(3, abs=0.01)
    for voxel in [(0, 0, 0), (3, 7, 11), (19, 21, 23)]:
        world = affine @ [*voxel, 1]
        place = tuple(np.round(np.linalg.solve(upright.affine, world)[:3]).astype(int))
        assert np.asarray(upright.dataobj)[place] == voxels[voxel]


def world_function(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A smooth function of the place in mm, 100 and up, on any grid."""
    x, y, z = np.tensordot(affine[:3, :3], np.indices(shape), axes=1) + affine[:3, 3, None, None, None]
    return (200 + x + 0.5 * y + 20 * np.sin(z / 25)).astype(np.float32)


def test_an_oblique_volume_is_resampled_onto_the_grid_and_the_record_says_so():
    affine = turned((10, -6, 15)) @ np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ [40, 44, 40]
    image = nibabel.Nifti1Image(world_function(affine, (81, 89, 81)), affine)
    done = preprocess(image, Preprocessing(4, "already"))
    steps = {step["step"]: step for step in done.record}
    assert list(steps) == ["reorientation", "registration", "resampling", "brain extraction", "normalisation"]
    assert max(steps["reorientation"]["oblique_degrees"]) > 10
    assert steps["resampling"]["interpolation"] == "trilinear"
    grid = mni_map("t1", 4)
    assert done.image.shape == grid.shape and np.array_equal(done.image.affine, grid.affine)
    voxels = np.asarray(done.image.dataobj) * steps["normalisation"]["sd"] + steps["normalisation"]["mean"]
    truth = world_function(grid.affine, grid.shape)
    # trilinear at 3 mm of a sine of wavelength 157 mm, after smoothing to 4 mm: well under 1 %
    assert np.abs(voxels - truth)[done.brain].max() < 0.5


def test_a_volume_on_the_grid_is_not_interpolated():
    image = mni_map("t1", 4)
    done = preprocess(image, Preprocessing(4, "already"))
    brain = np.asarray(load_mni152_brain_mask(resolution=4).dataobj, dtype=bool)
    assert np.array_equal(done.brain, brain)
    assert done.record[3]["method"] == f"{template_brain.__module__}.{template_brain.__qualname__}"
    inside = np.asarray(image.dataobj, dtype=np.float64)[brain]
    np.testing.assert_allclose(
        np.asarray(done.image.dataobj)[brain], (inside - inside.mean()) / inside.std(), atol=1e-5
    )
    assert not np.asarray(done.image.dataobj)[~brain].any()


def test_a_volume_that_is_not_where_it_says_is_refused():
    image = mni_map("t1", 4)
    elsewhere = turned((0, 0, 0), (0, 0, 150)) @ image.affine
    with pytest.raises(RefusedInput, match="already"):
        preprocess(nibabel.Nifti1Image(np.asarray(image.dataobj), elsewhere), Preprocessing(4, "already"))


def moved(degrees: tuple[float, float, float], scale: float) -> tuple[nibabel.Nifti1Image, np.ndarray]:
    """The template in another pose and size, by its affine alone, and the truth: MNI to scanner mm."""
    truth = turned(degrees, (25, -18, 30)) @ np.diag([scale, scale, scale, 1])
    template = mni_map("t1", 2)
    return nibabel.Nifti1Image(np.asarray(template.dataobj), truth @ template.affine), truth


def test_affine_registration_finds_a_known_pose_and_size():
    image, truth = moved((12, -7, 9), 1.08)
    transform, record = register(reorient(image)[0], mni_map("t1", 2), "affine")
    error = (np.array(record["matrix"]) - truth) @ CORNERS
    assert np.linalg.norm(error[:3], axis=0).max() < 0.5  # mm
    back, _ = resample(image, mni_map("t1", 4), transform)
    np.testing.assert_allclose(np.asarray(back.dataobj), np.asarray(mni_map("t1", 4).dataobj), atol=0.12)


def test_registration_refuses_a_method_it_does_not_have():
    with pytest.raises(ValueError, match="already, affine or nonlinear"):
        register(mni_map("t1", 4), mni_map("t1", 4), "thin plate")


@pytest.mark.slow
def test_demons_bring_a_bent_brain_nearer_to_the_template_without_folding():
    template = mni_map("t1", 2)
    x, y, z = np.indices(template.shape).astype(float)
    places = [x + 3 * np.sin(y / 12), y + 3 * np.sin(z / 12), z]
    bent = nibabel.Nifti1Image(
        map_coordinates(np.asarray(template.dataobj), places, order=1).astype(np.float32), template.affine
    )
    errors = {}
    for method in ("affine", "nonlinear"):
        transform, record = register(bent, template, method)
        back, _ = resample(bent, template, transform)
        errors[method] = np.abs(np.asarray(back.dataobj) - np.asarray(template.dataobj)).mean()
    assert errors["nonlinear"] < 0.7 * errors["affine"]
    assert record["demons"]["least_jacobian"] > 0 and 2 < record["demons"]["largest_shift_mm"] < 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [lambda head: head[:, :, ::-1], lambda head: head.transpose(2, 0, 1)],
    ids=["upside down", "axes swapped"],
)
def test_a_head_upside_down_or_with_axes_swapped_is_refused(real_data, spoil):
    head = read_volume(real_data / "mri" / "chris_t1.nii.gz")
    voxels = np.ascontiguousarray(spoil(np.asarray(head.dataobj)))
    with pytest.raises(RefusedInput, match="mutual information 0"):
        preprocess(nibabel.Nifti1Image(voxels, head.affine), Preprocessing(4))


@pytest.mark.slow
def test_a_real_head_lands_in_the_template_whatever_its_pose(real_data):
    head = read_volume(real_data / "mri" / "chris_t1.nii.gz")
    places = []
    for pose in (np.eye(4), turned((14, -9, 11), (20, -30, 40))):
        image = nibabel.Nifti1Image(np.asarray(head.dataobj), pose @ head.affine)
        done = preprocess(image, Preprocessing(4))
        matrix = np.array(done.record[1]["matrix"])
        places.append(np.linalg.solve(pose, matrix @ CORNERS)[:3])
        brain = np.asarray(done.image.dataobj)[done.brain]
        template = np.asarray(mni_map("t1", 4).dataobj)[done.brain]
        assert np.corrcoef(brain, template)[0, 1] > 0.5
    assert np.linalg.norm(places[0] - places[1], axis=0).max() < 1.0  # mm: the same answer from both poses


def test_maps_are_nilearns_at_1_mm_and_share_their_corner_at_every_resolution():
    assert np.array_equal(mni_map("t1", 1).get_fdata(), load_mni152_template(resolution=1).get_fdata())
    for resolution in (2, 3, 4):
        image = mni_map("grey", resolution)
        mask = load_mni152_brain_mask(resolution=resolution)
        assert np.array_equal(image.affine, mask.affine)
        brain = template_brain(image)
        x, y, z = brain.shape
        assert np.array_equal(brain, np.asarray(mask.dataobj, dtype=bool)[:x, :y, :z])
        assert brain.sum() == np.count_nonzero(mask.dataobj)
    # smoothing keeps the amount of tissue: ml at 4 mm against ml at 1 mm
    fine, coarse = mni_map("grey", 1).get_fdata().sum(), mni_map("grey", 4).get_fdata().sum() * 64
    assert coarse == pytest.approx(fine, rel=0.01)


def test_the_brain_box_holds_the_brain_and_little_else():
    brain = template_brain(mni_map("t1", 4))
    box = brain_box(4, margin=0)
    assert brain[box].sum() == brain.sum()
    assert all(brain[box].any(axis=axes).take([0, -1]).all() for axes in ((1, 2), (0, 2), (0, 1)))
    assert brain[brain_box(4)].size < brain.size / 1.5
