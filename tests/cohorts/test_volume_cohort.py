"""A cohort of volumes: everything wrong is told at once, nothing is computed before, little is held in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from als_core.cohorts import volume_cohort
from als_core.cohorts.volume_cohort import VolumeCohort, check_atlas
from als_core.cohorts.volumes import Preprocessing, mni_map
from als_core.refusal import RefusedInput
from als_core.studies.brains.adni import adni_manifest, read_adni_table

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
    assert "byte-identical" in cohort.notices[0]


def test_the_digest_follows_bytes_and_settings(volume_folder, tmp_path):
    folder = volume_folder()
    load = VolumeCohort.load
    digests = [
        load(folder, settings).digest for settings in (IN_PLACE, IN_PLACE, Preprocessing(2, "already"))
    ]
    assert digests[0] == digests[1] != digests[2]
    write(folder / "volumes/AD00.nii.gz", np.asarray(mni_map("t1", 4).dataobj) * 2)
    assert load(folder, IN_PLACE).digest != digests[0]


def test_an_atlas_of_another_grid_is_refused(volume_folder, tmp_path):
    cohort = VolumeCohort.load(volume_folder(), IN_PLACE, cache=tmp_path / "cache")
    areas = (np.asarray(mni_map("grey", 4).dataobj) > 0.5).astype(np.uint8)
    write(tmp_path / "areas.nii.gz", areas)
    assert np.array_equal(check_atlas(tmp_path / "areas.nii.gz", cohort), areas)
    write(
        tmp_path / "finer.nii.gz",
        (np.asarray(mni_map("grey", 2).dataobj) > 0.5).astype(np.uint8),
        mni_map("grey", 2).affine,
    )
    with pytest.raises(RefusedInput, match=r"finer\.nii\.gz: found a grid of 99 x 117 x 95"):
        check_atlas(tmp_path / "finer.nii.gz", cohort)


SLIDES_TABLE = [
    ["PTID", "Exam Date", "Image ID", "Visit", "Month", "Diagnosis"],
    ["011_S_0003", "2005-09-12", "32237", "Screening", "0", "AD"],
    ["011_S_0003", "2006-09-12", "35576", "Month 12", "11.9672", "AD"],
    ["011_S_0005", "2005-09-07", "32246", "Screening", "0", "NC"],
    ["011_S_0005", "2007-09-07", "200385", "Month 24", "23.9344", "NC"],
]


@pytest.mark.parametrize(("sign", "name"), [(",", "table.csv"), ("\t", "table.tsv")])
def test_the_slides_table_is_read_as_exported(tmp_path, sign, name):
    (tmp_path / name).write_text(
        "\n".join(sign.join(row) for row in SLIDES_TABLE) + "\n", encoding="utf-8-sig"
    )
    table = read_adni_table(tmp_path / name)
    assert table["group"].tolist() == ["011_S_0003"] * 2 + ["011_S_0005"] * 2
    assert table["label"].tolist() == ["AD", "AD", "CN", "CN"]
    assert table["image_id"].tolist() == [32237, 35576, 32246, 200385]
    assert table["visit"].tolist() == [0, 1, 0, 1]
    # the slides' months are days / 30.5
    days = table["exam_date"].sub(table.groupby("group")["exam_date"].transform("min")).dt.days
    np.testing.assert_allclose(table["month"], days / 30.5, atol=5e-5)


def test_a_wrong_adni_table_is_refused_with_every_line(tmp_path):
    rows = [list(row) for row in SLIDES_TABLE]
    rows[1][0], rows[2][1], rows[3][2], rows[4][4] = "11-3", "12.9.2006", "35576", "soon"
    rows[4][5] = "healthy"
    rows[0] = [name.replace(" ", ".") for name in rows[0]]  # another export's spelling is not the problem
    path = tmp_path / "table.csv"
    path.write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    with pytest.raises(RefusedInput) as refusal:
        read_adni_table(path)
    lines = sorted((problem.row, problem.where.split("`")[1]) for problem in refusal.value.problems)
    assert lines == [(2, "PTID"), (3, "Exam Date"), (4, "Image ID"), (5, "Diagnosis"), (5, "Month")]
    path.write_text("PTID,Visit\n011_S_0003,Screening\n", encoding="utf-8")
    with pytest.raises(RefusedInput) as refusal:
        read_adni_table(path)
    assert len(refusal.value.problems) == 4


def test_scans_are_found_by_patient_and_image_number(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(",".join(row) for row in SLIDES_TABLE), encoding="utf-8")
    table = read_adni_table(path)
    scans = tmp_path / "scans"
    names = [
        "011_S_0003/ADNI_011_S_0003_MR_MPR_Br_20060601_S9138_I32237.nii",
        "011_S_0003/Month12/011_S_0003_9-12-06_Month12_35576_AD_Warped.nii.gz",
        "011_S_0005/ADNI_011_S_0005_MR_I32246.nii.gz",
        "011_S_0005/ADNI_011_S_0005_MR_I200385.nii.gz",
        "other/ADNI_099_S_0001_MR_I32246.nii.gz",
    ]
    for name in names:
        (scans / name).parent.mkdir(parents=True, exist_ok=True)
        (scans / name).touch()
    manifest = adni_manifest(table, scans)
    assert manifest["path"].tolist() == names[:4]
    assert manifest[["label", "visit"]].to_numpy().tolist() == [["AD", 0], ["AD", 1], ["CN", 0], ["CN", 1]]
    (scans / names[3]).unlink()
    (scans / "011_S_0005/again_I32246.nii").touch()
    with pytest.raises(RefusedInput) as refusal:
        adni_manifest(table, scans)
    assert [problem.where for problem in refusal.value.problems] == [
        "011_S_0005, image 32246",
        "011_S_0005, image 200385",
    ]
