"""A cohort of volumes: everything wrong is reported at once, nothing is computed before, little is held in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from als_core.cohorts import volume_cohort
from als_core.cohorts.check import About
from als_core.cohorts.volume_cohort import VolumeCohort, examine_mask
from als_core.cohorts.volumes import Preprocessing, mni_map
from als_core.refusal import RefusedInput
from als_core.storage import file_digest

IN_PLACE = Preprocessing(4, "already")


def write(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, mni_map("t1", 4).affine if affine is None else affine), path)


@pytest.fixture
def volume_folder(tmp_path: Path) -> Callable[..., Path]:
    """Builds a sound folder: two labels, three patients each, two visits."""

    def build(name: str = "scans", **columns) -> Path:
        folder = tmp_path / name
        template = np.asarray(mni_map("t1", 4).dataobj)
        rows = []
        for label in ("AD", "CN"):
            for patient in range(3):
                for visit in range(2):
                    path = f"volumes/{label}{patient}{visit}.nii.gz"
                    noise = np.random.default_rng([patient, visit, label == "AD"]).normal(
                        1, 0.05, template.shape
                    )
                    write(folder / path, (template * noise).astype(np.float32))
                    rows.append({"path": path, "label": label, "group": f"{label}-{patient}", "visit": visit,
                                 "age": 70 + visit, "sex": "F", "field_strength": 1.5, "diagnosis": label})  # fmt: skip
        pd.DataFrame(rows).assign(**columns).to_csv(folder / "manifest.csv", index=False)
        return folder

    return build


def test_a_folder_becomes_a_cohort_without_preparing_anything(volume_folder, tmp_path):
    cohort = VolumeCohort.load(volume_folder(), IN_PLACE, cache=tmp_path / "cache")
    assert (len(cohort), cohort.classes, cohort.name) == (12, ("AD", "CN"), "scans")
    assert cohort.labels.tolist() == [0] * 6 + [1] * 6 and len(set(cohort.groups)) == 6
    assert cohort.samples["age"].dtype == float and cohort.samples["visit"].dtype.kind == "i"
    assert not (tmp_path / "cache").exists()
    assert cohort.effect(0) is None


def test_prepared_volumes_are_mapped_from_the_cache_and_recorded(volume_folder, tmp_path):
    cohort = VolumeCohort.load(volume_folder(), IN_PLACE, cache=tmp_path / "cache")
    first = cohort.volume(0)
    assert isinstance(first, np.memmap) and not first.flags.writeable and first.dtype == np.float32
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
    cohort.prepare()
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 12
    steps = [step["step"] for step in cohort.record(5)]
    assert steps == ["reorientation", "registration", "resampling", "brain extraction", "normalisation"]


def test_the_cache_goes_by_content_not_by_name(volume_folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cohort = VolumeCohort.load(volume_folder(), IN_PLACE, cache=cache)
    cohort.prepare()

    def refused(*_):
        raise AssertionError("prepared again")

    monkeypatch.setattr(volume_cohort, "preprocess", refused)
    monkeypatch.setattr(volume_cohort, "_code", lambda: "other code")
    with pytest.raises(AssertionError, match="prepared again"):
        cohort.volume(0)
    monkeypatch.undo()
    monkeypatch.setattr(volume_cohort, "examine_volume", refused)  # passed before: not read again either
    other = VolumeCohort.load(volume_folder("copy"), IN_PLACE, cache=cache)
    assert other._prepared(0) == cohort._prepared(0) and other._prepared(0).exists()
    assert other.digest == cohort.digest
    settings = Preprocessing(3, "already"), IN_PLACE
    assert len({volume_cohort._prepared(cache, "digest", each) for each in settings}) == 2


def test_everything_wrong_is_told_at_once_and_nothing_is_computed(volume_folder, tmp_path):
    folder = volume_folder()
    table = pd.read_csv(folder / "manifest.csv").astype(object)
    template = np.asarray(mni_map("t1", 4).dataobj)
    sheared = mni_map("t1", 4).affine.copy()
    sheared[0, 1] = 2
    (folder / table["path"][1]).write_bytes(b"damaged")
    write(folder / table["path"][2], template, sheared)
    write(folder / table["path"][3], np.stack([template, template], axis=-1))
    write(folder / table["path"][4], np.ones((50, 59, 48)))
    write(folder / "areas.nii.gz", np.ones((20, 20, 20)))
    table["mask"] = ["areas.nii.gz", *[""] * 10, "gone.nii.gz"]
    table.loc[5, "path"] = "../elsewhere.nii.gz"
    table.loc[6, "path"] = "volumes/gone.nii.gz"
    table.loc[7, "age"], table.loc[8, "sex"], table.loc[9, "field_strength"] = 720, "female", "3T"
    table.to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(RefusedInput) as refusal:
        VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    found = {problem.row: problem.found for problem in refusal.value.problems}
    expected = {
        2: "another grid than its volume's",
        3: "a damaged file",
        4: "a sheared affine",
        5: "4-D, 50 x 59 x 48 x 2",
        6: "the same value 1 in every voxel",
        7: "a path that leaves the folder",
        9: "'720'",
        10: "'female'",
        11: "'3T'",
        None: "no such file",  # in lines 8 and 13
    }
    assert set(found) == set(expected)
    assert all(words in found[line] for line, words in expected.items())
    assert all(problem.remedy for problem in refusal.value.problems)
    assert not (tmp_path / "cache").exists()


def test_an_interrupted_preparation_leaves_no_half_volume_and_goes_on(volume_folder, tmp_path, monkeypatch):
    cohort = VolumeCohort.load(volume_folder(), IN_PLACE, cache=tmp_path / "cache")
    cohort.volume(0)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(volume_cohort.np, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        cohort.volume(1)
    monkeypatch.undo()
    assert not cohort._prepared(1).exists()
    assert not list((tmp_path / "cache").glob(".*"))
    cohort.prepare()
    assert all(cohort._prepared(number).exists() for number in range(12))


def test_the_same_scan_under_two_names_is_noticed(volume_folder, tmp_path):
    folder = volume_folder()
    table = pd.read_csv(folder / "manifest.csv")
    (folder / table["path"][7]).write_bytes((folder / table["path"][6]).read_bytes())
    cohort = VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    (twins,) = cohort.twins
    assert (twins.first, twins.second, twins.identical) == (6, 7, True)
    assert "2 images are byte-identical copies" in cohort.notices[0]


@pytest.mark.parametrize(("copy", "number", "left"), [(6, "ALS019", 10), (2, "ALS020", 11)])
def test_copies_of_a_scan_with_two_labels_or_groups_are_refused_or_left_out(
    volume_folder, tmp_path, copy, number, left
):
    folder = volume_folder()
    paths = pd.read_csv(folder / "manifest.csv")["path"]
    (folder / paths[copy]).write_bytes((folder / paths[0]).read_bytes())
    with pytest.raises(RefusedInput, match=f"1 problem.*\n.*{number} {paths[0]}, line 2 and {paths[copy]}"):
        VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    accepted = About(accept=(number,))
    cohort = VolumeCohort.load(folder, IN_PLACE, about=accepted, cache=tmp_path / "cache")
    assert len(cohort) == left and cohort.twins == () and paths[copy] not in set(cohort.samples["path"])
    assert "Left out, as accepted" in cohort.notices[0] and paths[copy] in cohort.notices[0]


def test_a_scan_of_another_checksum_than_the_manifests_is_refused(volume_folder, tmp_path):
    folder = volume_folder()
    table = pd.read_csv(folder / "manifest.csv")
    right = [file_digest(folder / name) for name in table["path"]]
    table.assign(sha256=right).to_csv(folder / "manifest.csv", index=False)
    assert len(VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")) == 12
    table.assign(sha256=["ab" * 32, *right[1:]]).to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(RefusedInput) as refusal:
        VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    (problem,) = refusal.value.problems
    assert (problem.check, problem.row) == ("ALS012", 2)


def test_the_digest_follows_bytes_and_settings(volume_folder, tmp_path):
    folder = volume_folder()
    load = VolumeCohort.load
    digests = [
        load(folder, settings).digest for settings in (IN_PLACE, IN_PLACE, Preprocessing(2, "already"))
    ]
    assert digests[0] == digests[1] != digests[2]
    write(folder / "volumes/AD00.nii.gz", np.asarray(mni_map("t1", 4).dataobj) * 2)
    assert load(folder, IN_PLACE).digest != digests[0]


def test_a_subset_keeps_its_rows_and_twins(volume_folder, tmp_path):
    folder = volume_folder()
    table = pd.read_csv(folder / "manifest.csv")
    (folder / table["path"][7]).write_bytes((folder / table["path"][6]).read_bytes())
    part = VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache").subset([0, 7, 6])
    assert part.samples["path"].tolist() == table["path"][[0, 7, 6]].tolist()
    assert [(pair.first, pair.second) for pair in part.twins] == [(1, 2)]


def test_a_volume_that_cannot_be_prepared_is_named(volume_folder, tmp_path):
    folder = volume_folder()
    table = pd.read_csv(folder / "manifest.csv")
    away = mni_map("t1", 4).affine.copy()
    away[2, 3] += 300  # mm: no brain is left in view
    write(folder / table["path"][2], np.asarray(mni_map("t1", 4).dataobj), away)
    cohort = VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    with pytest.raises(RefusedInput, match=rf"The volume {table['path'][2]}"):
        cohort.volume(2)


def masks(folder, make):
    """Put a mask beside the first scan of a folder, and name it in the manifest."""
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    scan = nibabel.load(folder / table["path"][0])
    nibabel.save(nibabel.Nifti1Image(make(scan.shape), scan.affine), folder / "mask.nii.gz")
    table["mask"] = ["mask.nii.gz", *[""] * (len(table) - 1)]
    table.to_csv(folder / "manifest.csv", index=False)


def box(shape, value=1, size=4, kind=np.uint8):
    mask = np.zeros(shape, kind)
    mask[tuple(slice(5, 5 + extent) for extent in np.broadcast_to(size, 3))] = value
    return mask


def two_labels(shape):
    return box(shape) + box(shape, 2, 2)


@pytest.mark.parametrize(
    "make",
    [
        box,
        lambda shape: box(shape, 255),
        lambda shape: box(shape, 0.7, 4, np.float32),
        lambda shape: box(shape)[..., None],
    ],
    ids=["0 and 1", "0 and 255", "0 and 0.7", "a fourth axis of one"],
)
def test_a_mask_of_two_values_is_read_whatever_the_values(volume_folder, tmp_path, make):
    folder = volume_folder()
    masks(folder, make)
    cohort = VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    table = cohort.samples
    inside, problems = examine_mask(*(folder / table[name][0] for name in ("mask", "path")), "mask")
    assert not problems and inside.dtype == bool and inside.sum() == 64
    assert cohort.mask(1) is None


@pytest.mark.parametrize(
    ("make", "found", "remedy"),
    [
        (two_labels, "the values 0, 1, 3", "--mask-label with one of 1, 3"),
        (lambda shape: np.random.default_rng(0).normal(size=shape), "as of intensities", "Threshold it"),
        (lambda shape: np.zeros(shape, np.uint8), "the value 0 in every voxel", "leave the cell empty"),
        (lambda shape: np.ones(shape, np.uint8), "the value 1 in every voxel", "Export it again"),
        (lambda shape: box(shape, size=1), "1 x 1 x 1 voxels inside (1 voxel)", "in a viewer"),
        (lambda shape: box(shape, size=(1, 6, 7)), "1 x 6 x 7 voxels inside", "in a viewer"),
        (lambda shape: box(shape) + np.uint8(1), "the values 1, 2", "--mask-label"),
        (lambda shape: box((*shape[:2], 5), size=2), "another grid", "Resample it"),
    ],
    ids=[
        "two labels",
        "intensities",
        "empty",
        "full",
        "one voxel",
        "one plane",
        "no background",
        "another grid",
    ],
)
def test_a_mask_that_is_none_is_refused_with_the_values_found(volume_folder, tmp_path, make, found, remedy):
    folder = volume_folder()
    masks(folder, make)
    with pytest.raises(RefusedInput) as caught:
        VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    (problem,) = caught.value.problems
    assert found in problem.found and remedy in problem.remedy and problem.where == "mask.nii.gz"


def test_a_damaged_mask_is_refused_as_a_damaged_scan_is(volume_folder, tmp_path):
    folder = volume_folder()
    masks(folder, box)
    content = bytearray((folder / "mask.nii.gz").read_bytes())
    content[20:40] = b"\xff" * 20  # no longer a stream that zlib can read
    (folder / "mask.nii.gz").write_bytes(content)
    with pytest.raises(RefusedInput) as caught:
        VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    (problem,) = caught.value.problems
    assert "a damaged file (Error -3" in problem.found and (problem.where, problem.row) == ("mask.nii.gz", 2)


def test_a_label_of_a_mask_can_be_chosen_and_is_kept(volume_folder, tmp_path):
    folder = volume_folder()
    masks(folder, two_labels)
    cohorts = [
        VolumeCohort.load(folder, IN_PLACE, about=About(mask_label=label), cache=tmp_path / "cache")
        for label in (1, 3)
    ]
    assert cohorts[0].digest != cohorts[1].digest
    with pytest.raises(RefusedInput, match="0 and 7, as --mask-label says"):
        VolumeCohort.load(folder, IN_PLACE, about=About(mask_label=7), cache=tmp_path / "cache")


def test_a_mask_moves_with_its_volume_onto_the_grid(volume_folder, tmp_path):
    folder = volume_folder()
    masks(folder, box)
    cohort = VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    scan = nibabel.load(folder / "mask.nii.gz")
    inside = cohort.mask(0)
    step = next(step for step in cohort.record(0) if step["step"] == "registration")
    to_scanner = np.array(step.get("matrix", np.eye(4))) @ cohort.grid.affine
    places = nibabel.affines.apply_affine(np.linalg.inv(scan.affine) @ to_scanner, np.argwhere(inside))
    assert inside.any() and (places.round() >= 5).all() and (places.round() <= 8).all()
