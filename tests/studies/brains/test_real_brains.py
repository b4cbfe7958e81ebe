"""Real brains by name: ADNI's tables before and after their renaming, own folders, and the pages made from
them."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from als_core.book.blocks import MIME
from als_core.cohorts.volumes import mni_map
from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.brains.adni import adni_manifest, read_adni_folder, read_adni_table
from als_core.studies.brains.cohorts import open_brains
from als_core.studies.brains.synthetic import BrainParameters, plan, render, scanner_affine
from als_core.studies.brains.training import PanagiotarasAmounts, patient_folds

HEAD = replace(BrainParameters(), fraction=0.01, effect=3.0)
SYNTHETIC = PanagiotarasAmounts(resolution=4, fractions=(0.01, 0.01)).synthetic

SLIDES_TABLE = [
    ["PTID", "Exam Date", "Image ID", "Visit", "Month", "Diagnosis"],
    ["011_S_0003", "2005-09-12", "32237", "Screening", "0", "AD"],
    ["011_S_0003", "2006-09-12", "35576", "Month 12", "11.9672", "AD"],
    ["011_S_0005", "2005-09-07", "32246", "Screening", "0", "NC"],
    ["011_S_0005", "2007-09-07", "200385", "Month 24", "23.9344", "NC"],
]


def table_file(path: Path, rows: list[list[str]], sign: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(sign.join(row) for row in rows) + "\n", encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(("sign", "name"), [(",", "table.csv"), ("\t", "table.tsv")])
def test_the_slides_table_is_read_as_exported(tmp_path, sign, name):
    table = read_adni_table(table_file(tmp_path / name, SLIDES_TABLE, sign))
    assert table["group"].tolist() == ["011_S_0003"] * 2 + ["011_S_0005"] * 2
    assert table["label"].tolist() == ["AD", "AD", "CN", "CN"]
    assert table["image_id"].tolist() == [32237, 35576, 32246, 200385]
    assert table["visit"].tolist() == [0, 1, 0, 1]
    # the slides' months are days / 30.5
    days = table["exam_date"].sub(table.groupby("group")["exam_date"].transform("min")).dt.days
    np.testing.assert_allclose(table["month"], days / 30.5, atol=5e-5)


SCANS = [row[:3] for row in SLIDES_TABLE[1:]]
EXAMINED = [
    ("011_S_0003", "2005-09-01"),
    ("011_S_0003", "2006-10-01"),
    ("011_S_0005", "2005-09-07"),
    ("011_S_0005", "2007-08-01"),
]
# header and rows of the table of scans; name, header and codes of the table of diagnoses
EXPORTS = {
    "image collection": (
        ["Image Data ID", "Subject", "Group", "Sex", "Age", "Visit", "Acq Date"],
        [[f"I{scan[2]}", scan[0], group, "F", "75", "m12", f"{scan[1][5:7]}/{scan[1][8:]}/{scan[1][:4]}"]
         for scan, group in zip(SCANS, ["AD", "AD", "CN", "CN"], strict=True)],
        None,
    ),
    "MRILIST and DXSUM before October 2024": (
        ["TYPE", "SUBJECT", "VISIT", "MAGSTRENGTH", "SCANDATE", "IMAGEUID"],
        [["Original", scan[0], "Month 12", "1.5", scan[1], scan[2]] for scan in SCANS],
        ("DXSUM_PDXCONV_ADNIALL.csv", ["Phase", "PTID", "EXAMDATE", "DXCHANGE", "DXCURREN"],
         [["", "3"], ["5", ""], ["", "1"], ["7", ""]]),
    ),
    "Key_MRI and DXSUM since October 2024": (
        ["subject_id", "image_id", "image_visit", "image_date", "mri_field_str"],
        [[scan[0], f"I{scan[2]}", "m12", scan[1], "3.0"] for scan in SCANS],
        ("All_Subjects_DXSUM_12Nov2024.csv", ["PHASE", "PTID", "EXAMDATE", "DIAGNOSIS", "VISCODE"],
         [["3.0", "m"], ["3", "m"], ["1.0", "m"], ["1", "m"]]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("export", EXPORTS)
def test_adnis_tables_give_one_manifest_whatever_their_names(export, tmp_path):
    header, rows, diagnoses = EXPORTS[export]
    table_file(tmp_path / "any_name.csv", [header, *rows])
    if diagnoses:
        name, heads, cells = diagnoses
        examined = [
            ["ADNI1", patient, date, *cell] for (patient, date), cell in zip(EXAMINED, cells, strict=True)
        ]
        table_file(tmp_path / name, [heads, *examined])
    for patient, _, image in SCANS:
        path = tmp_path / patient / f"ADNI_{patient}_MR_I{image}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    manifest, left_out = read_adni_folder(tmp_path, ("AD", "CN"))
    assert manifest[["label", "group", "visit"]].to_numpy().tolist() == [
        ["AD", "011_S_0003", 0], ["AD", "011_S_0003", 1], ["CN", "011_S_0005", 0], ["CN", "011_S_0005", 1],
    ]  # fmt: skip
    assert left_out == () and ("field_strength" in manifest) == (export != "image collection")


def test_a_wrong_adni_table_is_refused_with_every_line(tmp_path):
    rows = [list(row) for row in SLIDES_TABLE]
    rows[1][0], rows[2][1], rows[3][2], rows[4][4] = "11-3", "12.9.2006", "35576", "soon"
    rows[4][5] = "healthy"
    rows[0] = [name.replace(" ", ".") for name in rows[0]]  # another export's spelling is not the problem
    with pytest.raises(RefusedInput) as refusal:
        read_adni_table(table_file(tmp_path / "table.csv", rows))
    lines = sorted((problem.row, problem.where.split("`")[1]) for problem in refusal.value.problems)
    assert lines == [(2, "PTID"), (3, "Exam.Date"), (4, "Image.ID"), (5, "Diagnosis"), (5, "Month")]
    with pytest.raises(RefusedInput) as refusal:
        read_adni_table(table_file(tmp_path / "table.csv", [["PTID", "Visit"], ["011_S_0003", "Screening"]]))
    assert len(refusal.value.problems) == 3  # the month follows from the dates


def test_exchanged_columns_of_an_adni_table_are_one_problem(tmp_path):
    rows = [[row[5], *row[1:5], row[0]] for row in SLIDES_TABLE[1:]]
    with pytest.raises(RefusedInput, match="Exchange it with the column `PTID`") as refusal:
        read_adni_table(table_file(tmp_path / "table.csv", [SLIDES_TABLE[0], *rows]))
    assert len(refusal.value.problems) == 1


def test_scans_are_found_by_patient_and_image_number(tmp_path):
    rows = [*SLIDES_TABLE, ["011_S_0009", "2005-09-07", "11111", "Screening", "0", "MCI"]]
    table = read_adni_table(table_file(tmp_path / "table.csv", rows))
    scans = tmp_path / "scans"
    names = [
        "011_S_0003/ADNI_011_S_0003_MR_MPR_Br_20060601_S9138_I32237.nii",
        "011_S_0003/Month12/011_S_0003_9-12-06_Month12_35576_AD_Warped.nii.gz",
        "011_S_0005/ADNI_011_S_0005_MR_I32246.nii.gz",
        "011_S_0009/ADNI_011_S_0009_MR_I11111.nii.gz",
    ]
    for name in names:
        (scans / name).parent.mkdir(parents=True, exist_ok=True)
        (scans / name).touch()
    manifest, left_out = adni_manifest(table, scans)
    assert manifest["path"].tolist() == names[:3]
    assert left_out == (
        "1 rows of the table have no file here.",
        "1 scans have another diagnosis than AD or CN.",
    )
    (scans / "011_S_0005/again_I32246.nii").touch()
    (scans / "011_S_0005/unlisted_I77777.nii").touch()
    with pytest.raises(RefusedInput) as refusal:
        adni_manifest(table, scans)
    assert [problem.where for problem in refusal.value.problems] == [
        "011_S_0005/unlisted_I77777.nii",
        "011_S_0005, image 32246",
    ]


def test_two_scans_of_one_visit_and_a_changed_diagnosis(tmp_path):
    rows = [list(row) for row in SLIDES_TABLE]
    rows[2][1] = rows[1][1]
    rows[4][5] = "AD"
    for patient, _, image in SCANS:
        (tmp_path / patient).mkdir(exist_ok=True)
        (tmp_path / patient / f"I{image}.nii").touch()
    with pytest.raises(RefusedInput, match=r"011_S_0003, visit 0: found 2 scans, images 32237, 35576"):
        adni_manifest(read_adni_table(table_file(tmp_path / "table.csv", rows)), tmp_path)
    rows[2][1] = "2006-09-12"
    manifest, left_out = adni_manifest(read_adni_table(table_file(tmp_path / "table.csv", rows)), tmp_path)
    assert set(manifest["group"]) == {"011_S_0003"}
    assert left_out == ("2 scans are of patients whose diagnosis changed between these.",)


# ------------------------------------------------------------------------------------- folders of volumes


def save(path: Path, voxels: np.ndarray, affine: np.ndarray, code: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_data_dtype(np.int16)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    nibabel.save(image, path)


@pytest.fixture
def own_folder(tmp_path: Path) -> Callable[[], tuple[Path, pd.DataFrame]]:
    """Builds a folder in MNI space: two labels, three patients each, the first of each with two visits."""

    def build() -> tuple[Path, pd.DataFrame]:
        grid, rows = mni_map("t1", 4), []
        for label in ("AD", "CN"):
            for patient, visit in ((0, 0), (0, 1), (1, 0), (2, 0)):
                name = f"{label}{patient}{visit}.nii.gz"
                noise = np.random.default_rng([patient, visit, label == "AD"]).normal(1, 0.05, grid.shape)
                save(tmp_path / "own" / name, 1000 * np.asarray(grid.dataobj) * noise, grid.affine, 4)
                rows.append({"path": name, "label": label, "group": f"{label}{patient}", "visit": visit})
        return tmp_path / "own", pd.DataFrame(rows)

    return build


def test_an_own_folder_is_opened_with_patients_apart(own_folder):
    folder, table = own_folder()
    table.to_csv(folder / "manifest.csv", index=False)
    ((field, cohort),) = open_brains(str(folder), SYNTHETIC, folds=3).items()
    assert (field, cohort.kind, len(cohort)) == ("all scans", "own", 8)
    assert cohort.settings.registration == "already" and cohort._prepared(7).exists()
    for split in patient_folds(cohort, 3, seed=0):
        sides = [set(cohort.groups[split.rows(part)]) for part in ("train", "validation", "test")]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    table.assign(field_strength=[1.5] * 8).to_csv(folder / "manifest.csv", index=False)
    assert list(open_brains(str(folder), SYNTHETIC, folds=3)) == ["1.5T"]
    table.assign(field_strength=[3] + [1.5] * 7).drop(columns="visit").to_csv(
        folder / "manifest.csv", index=False
    )
    ((field, part),) = open_brains(str(folder), SYNTHETIC, folds=3).items()
    assert (field, len(part)) == ("1.5T", 7) and "1 scans are at field strengths" in part.notices[-1]


SPOILT = {
    "exchanged columns": (
        lambda t: t.rename(columns={"label": "group", "group": "label"}), "The columns look exchanged"),
    "two scans of a visit": (lambda t: t.assign(visit=0), "patient AD0, visit 0: found 2 scans"),
    "no patients": (lambda t: t.drop(columns="group"), "no column `group`"),
    "three labels": (
        lambda t: t.assign(label=t["label"].where(t.index > 3, ["MCI"] * 3 + ["AD"] * 5)), "AD and one other|sample"),
    "two labels of a patient": (
        lambda t: t.assign(group=t["group"].replace("CN0", "AD0"), visit=range(8)), "patient AD0: found two labels"),
    "other labels": (lambda t: t.assign(label=t["label"].replace("AD", "ALS")), "-p patients ALS"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_a_manifest_that_would_mislead_is_refused_in_words(case, own_folder):
    folder, table = own_folder()
    change, words = SPOILT[case]
    change(table).to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(RefusedInput, match=words):
        open_brains(str(folder), SYNTHETIC, folds=3)


def test_missing_tables_few_patients_and_4d_files_are_refused_in_words(own_folder, tmp_path, monkeypatch):
    folder, table = own_folder()
    with pytest.raises(RefusedInput, match=r"no manifest\.csv"):
        open_brains(str(folder), SYNTHETIC, folds=3)
    with pytest.raises(RefusedInput, match=r"0 tables of scans \(no CSV\)"):
        open_brains(f"adni:{folder}", SYNTHETIC, folds=3)
    monkeypatch.setenv("ALS_DATA", str(tmp_path))
    (tmp_path / "oasis1").mkdir()
    with pytest.raises(RefusedInput, match=r"0 files \*cross-sectional\*\.csv"):
        open_brains("oasis1", SYNTHETIC, folds=3)
    table.to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(RefusedInput, match="label AD: found 3 patients; expected at least 5"):
        open_brains(str(folder), SYNTHETIC, folds=5)
    grid = mni_map("t1", 4)
    save(folder / table["path"][2], np.stack([np.asarray(grid.dataobj)] * 2, axis=-1), grid.affine, 4)
    with pytest.raises(RefusedInput, match="4-D, 50 x 59 x 48 x 2"):
        open_brains(str(folder), SYNTHETIC, folds=3)


# -------------------------------------------------------------- pages, from the command line, on such folders


def scans() -> pd.DataFrame:
    """Three patients of each label, the first of each with two visits."""
    table = plan(HEAD)
    first = table.groupby("label")["group"].transform(lambda group: group.drop_duplicates().iloc[0])
    visits = (table["visit"] == 0) | ((table["visit"] == 1) & (table["group"] == first))
    few = table.drop_duplicates("group").groupby("label").head(3)["group"]
    return table[visits & table["group"].isin(few)].reset_index(drop=True)


def oasis_data(data: Path) -> None:
    """T1-weighted brains in MNI space and the release's table, under the folder that ALS_DATA names."""
    rows = [["ID", "M/F", "Hand", "Age", "Educ", "SES", "MMSE", "CDR", "eTIV", "nWBV", "ASF", "Delay"]]
    patients = {group: number for number, group in enumerate(dict.fromkeys(scans()["group"]), 1)}
    for _, row in scans().iterrows():
        session = f"OAS1_{patients[row['group']]:04d}_MR{row['visit'] + 1}"
        rating = "1" if row["label"] == "AD" else "0"
        rows.append([session, row["sex"], "R", "75", "2", "3", "29", rating, "1344", "0.743", "1.306", "N/A"])
        path = data / "oasis1" / session / f"{session}_mpr_n4_anon_111_t88_masked_gfc.nii.gz"
        save(path, render(HEAD, row), scanner_affine(HEAD, row), 4)
    rows.append(["OAS1_0400_MR1", "F", "R", "30", *[""] * 8])
    table_file(data / "oasis1" / "oasis_cross-sectional.csv", rows)


def adni_data(folder: Path) -> None:
    """Whole heads in scanner space and ADNI's tables as they are named since October 2024."""
    head, images, exams = replace(HEAD, whole_head=True), [], []
    patients = {
        group: f"{number:03d}_S_{1000 + number}"
        for number, group in enumerate(dict.fromkeys(scans()["group"]), 1)
    }
    for number, row in scans().iterrows():
        patient, date, image = patients[row["group"]], f"20{10 + row['visit']}-05-01", 40000 + number
        images.append([patient, f"I{image}", "m12", date, "1.5"])
        exams.append(["ADNI1", patient, date, "3" if row["label"] == "AD" else "1"])
        path = folder / patient / f"ADNI_{patient}_MR_MPRAGE_br_raw_I{image}.nii.gz"
        save(path, render(head, row), scanner_affine(head, row), 1)
    table_file(
        folder / "All_Subjects_Key_MRI_12Nov2024.csv",
        [EXPORTS["Key_MRI and DXSUM since October 2024"][0], *images],
    )
    table_file(
        folder / "All_Subjects_DXSUM_12Nov2024.csv", [["PHASE", "PTID", "EXAMDATE", "DIAGNOSIS"], *exams]
    )


def run_page(page: str, brains: str, tmp_path: Path) -> tuple[str, dict[str, pd.DataFrame]]:
    """Run a notebook by papermill's command line; the text it shows, and its tables by name."""
    out = tmp_path / f"{Path(page).name}.ipynb"
    source = repository() / "notebooks" / f"{page}.ipynb"
    command = [
        sys.executable,
        "-m",
        "papermill",
        source,
        out,
        "-p",
        "profile",
        "test",
        "-p",
        "brains",
        brains,
        "-k",
        "python3",
    ]
    done = subprocess.run(
        list(map(str, command)), cwd=source.parent, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]
    text, tables = [], {}
    for cell in json.loads(out.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            block = output.get("data", {}).get(MIME)
            if block:
                text.append(block["myst"])
                for name, content in block["files"].items():
                    if name.endswith(".csv"):
                        tables[name.removesuffix(".csv")] = pd.read_csv(io.BytesIO(base64.b64decode(content)))
    return "\n".join(text), tables


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["oasis", "adni"])
def test_pages_are_made_from_an_oasis_and_an_adni_shaped_folder(shape, tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    brains = "oasis1" if shape == "oasis" else f"adni:{tmp_path / 'adni'}"
    oasis_data(tmp_path / "data") if shape == "oasis" else adni_data(tmp_path / "adni")
    text, tables = run_page("panagiotaras/01_scans_and_training", brains, tmp_path)
    predictions = tables["panagiotaras-predictions"]
    assert len(predictions) == 8 and predictions["Patient"].nunique() == 6
    # a patient's scans are held out together: never in training in one fold while tested in it
    assert predictions.groupby("Patient")["Fold"].nunique().max() == 1
    assert "is not known" in text and "Synthetic" not in text
    steps = tables["panagiotaras-preprocessing"].iloc[1, 1]
    assert ("already in MNI space" in steps) == (shape == "oasis")
    text, tables = run_page("wang2023/01_overlap", brains, tmp_path)
    assert "No truth here" in text and "wang-likeness" in tables
    assert not {"wang-overlap", "wang-ranking", "wang-dice-curves"} & set(tables)
