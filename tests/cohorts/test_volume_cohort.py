"""A cohort of volumes: everything wrong is reported at once, nothing is computed before, little is held in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from als_core.cohorts import volume_cohort
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import Preprocessing, mni_map
from als_core.refusal import RefusedInput

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
    cohort.prepare(progress=False)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 12
    assert np.array_equal(cohort.volumes([3, 0]), [cohort.volume(3), cohort.volume(0)])
    steps = [step["step"] for step in cohort.record(5)]
    assert steps == ["reorientation", "registration", "resampling", "brain extraction", "normalisation"]


def test_the_cache_goes_by_content_not_by_name(volume_folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cohort = VolumeCohort.load(volume_folder(), IN_PLACE, cache=cache)
    cohort.prepare(progress=False)

    def refused(*_):
        raise AssertionError("prepared again")

    monkeypatch.setattr(volume_cohort, "preprocess", refused)
    monkeypatch.setattr(volume_cohort, "_code", lambda _: "other code")
    with pytest.raises(AssertionError, match="prepared again"):
        cohort.volume(0)
    monkeypatch.undo()
    monkeypatch.setattr(volume_cohort, "examine_volume", refused)  # passed before: not read again either
    other = VolumeCohort.load(volume_folder("copy"), IN_PLACE, cache=cache)
    assert other._prepared(0) == cohort._prepared(0) and other._prepared(0).exists()
    assert other.digest == cohort.digest
    assert volume_cohort._prepared(cache, "digest", Preprocessing(3, "already"), cohort.find_brain) != (
        volume_cohort._prepared(cache, "digest", IN_PLACE, cohort.find_brain)
    )


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
        8: "no such file",
        9: "'720'",
        10: "'female'",
        11: "'3T'",
        13: "no such file",
    }
    assert sorted(found) == sorted(expected)
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
    cohort.prepare(progress=False)
    assert all(cohort._prepared(number).exists() for number in range(12))


@pytest.mark.slow
def test_two_processes_prepare_the_same_volumes(volume_folder, tmp_path):
    folder = volume_folder()
    cohorts = [VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / f"{jobs}") for jobs in (1, 2)]
    for jobs, cohort in enumerate(cohorts, 1):
        cohort.prepare(jobs=jobs, progress=False)
    assert np.array_equal(*(cohort.volumes() for cohort in cohorts))


def test_the_same_scan_under_two_names_is_noticed(volume_folder, tmp_path):
    folder = volume_folder()
    table = pd.read_csv(folder / "manifest.csv")
    (folder / table["path"][7]).write_bytes((folder / table["path"][6]).read_bytes())
    cohort = VolumeCohort.load(folder, IN_PLACE, cache=tmp_path / "cache")
    (twins,) = cohort.twins
    assert (twins.first, twins.second, twins.identical) == (6, 7, True)
    assert "2 images are byte-identical copies" in cohort.notices[0]


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
