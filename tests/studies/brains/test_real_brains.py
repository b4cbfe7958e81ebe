"""Real brains by name: ADNI's tables before and after their renaming, own folders, and the pages made from
them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from real_brains import KEY_MRI, PATIENTS, adni_data, manifest_data, oasis_data, save, scans, table_file

from als_core.book.contents import FILES, PAGE
from als_core.cohorts.volumes import mni_map
from als_core.refusal import RefusedInput
from als_core.storage import repository
from als_core.studies.brains.adni import adni_manifest, read_adni_folder, read_adni_table
from als_core.studies.brains.cohorts import open_brains
from als_core.studies.brains.training import PanagiotarasAmounts, patient_folds
from als_core.studies.turrisi2024.feature_table import synthetic_feature_table

SYNTHETIC = PanagiotarasAmounts(resolution=4, fractions=(0.01, 0.01)).synthetic

SLIDES_TABLE = [
    ["PTID", "Exam Date", "Image ID", "Visit", "Month", "Diagnosis"],
    ["011_S_0003", "2005-09-12", "32237", "Screening", "0", "AD"],
    ["011_S_0003", "2006-09-12", "35576", "Month 12", "11.9672", "AD"],
    ["011_S_0005", "2005-09-07", "32246", "Screening", "0", "NC"],
    ["011_S_0005", "2007-09-07", "200385", "Month 24", "23.9344", "NC"],
]


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
        KEY_MRI,
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

OF_GUIDE = re.findall(
    r"^\.venv/bin/als (page .*)$",
    (repository() / "book/bring_your_own_images.md").read_text("utf-8"),
    re.MULTILINE,
)
BESIDE = ["page panagiotaras/01_scans_and_training oasis1", "page wang2023/01_overlap --brains adni:my_adni"]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the guide's commands name, and with the results of all of them."""
    folder = tmp_path_factory.mktemp("readers")
    oasis_data(folder / "data")
    adni_data(folder / "my_adni")
    manifest_data(folder / "my_scans")
    ill = np.arange(60) < 40
    table = synthetic_feature_table(np.random.default_rng(0), ill, columns=8).features
    table.insert(0, "label", np.where(ill, "FTD", "control"))
    table.to_csv(folder / "my_features.csv")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", [*OF_GUIDE, *BESIDE])
def test_a_page_is_made_by_the_command_of_the_guide(command, readers):
    environment = os.environ | {"ALS_DATA": str(readers / "data"), "ALS_RESULTS": str(readers / "results")}
    arguments = [*shlex.split(command), "--profile", "test"]
    done = subprocess.run(
        [sys.executable, "-m", "als_core", *arguments],
        cwd=readers,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    folder = Path(done.stdout.rpartition("Open ")[2].strip()).parent
    made = (folder / PAGE).read_text(encoding="utf-8")
    assert str(readers) not in made and '"stderr"' not in made, "the site would not be built"
    cells = json.loads(made)["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    tables = {file.stem: pd.read_csv(file) for file in (folder / FILES).glob("*.csv")}
    assert "*Own cohort" in text or "oasis1" in command
    assert ("FTD" in text) == ("FTD" in command)
    page = arguments[1].partition("/")[0]
    if page == "turrisi2024":
        assert r"Can classifiers tell FTD from control in my\_features.csv?" in text  # as Markdown shows it
    else:
        assert "is not known" in text and "*Synthetic cohort" not in text
    if arguments[1].endswith("training"):
        predictions = tables["panagiotaras-predictions"]
        assert len(predictions) == len(scans()) and predictions["Patient"].nunique() == 2 * PATIENTS
        # a patient's scans are held out together: never in training in one fold while tested in it
        assert predictions.groupby("Patient")["Fold"].nunique().max() == 1
        steps = tables["panagiotaras-preprocessing"].iloc[1, 1]
        assert ("already in MNI space" in steps) == ("oasis1" in command)
        assert ("Which ADNI scans the paper used" in text) == ("adni" in command)
    elif page == "panagiotaras":
        assert "No truth here" in text and "panagiotaras-concentration" not in tables
    elif page == "wang2023":
        assert "No truth here" in text and "wang-likeness" in tables
        assert not {"wang-overlap", "wang-ranking", "wang-dice-curves"} & set(tables)
