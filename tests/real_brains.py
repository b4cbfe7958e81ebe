"""Builds what readers of the brain pages bring: folders shaped as OASIS-1, as ADNI, or with a manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd

from als_core.studies.brains.synthetic import BrainParameters, plan, render, scanner_affine

HEAD = replace(BrainParameters(), fraction=0.03, effect=3.0)
PATIENTS = 5  # of each label: as few as the classifiers' folds allow
KEY_MRI = ["subject_id", "image_id", "image_visit", "image_date", "mri_field_str"]  # since October 2024


def table_file(path: Path, rows: list[list[str]], sign: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(sign.join(row) for row in rows) + "\n", encoding="utf-8-sig")
    return path


def save(path: Path, voxels: np.ndarray, affine: np.ndarray, code: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_data_dtype(np.int16)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    nibabel.save(image, path)


def scans() -> pd.DataFrame:
    """Some patients of each label, the first of each with two visits."""
    table = plan(HEAD)
    first = table.groupby("label")["group"].transform(lambda group: group.drop_duplicates().iloc[0])
    visits = (table["visit"] == 0) | ((table["visit"] == 1) & (table["group"] == first))
    few = table.drop_duplicates("group").groupby("label").head(PATIENTS)["group"]
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
        [KEY_MRI, *images],
    )
    table_file(
        folder / "All_Subjects_DXSUM_12Nov2024.csv", [["PHASE", "PTID", "EXAMDATE", "DIAGNOSIS"], *exams]
    )


def manifest_data(folder: Path, patients: str = "FTD") -> None:
    """Brains in MNI space with a manifest: one label that readers choose for their patients, and controls."""
    rows = []
    for number, row in scans().iterrows():
        name = f"{number:02d}.nii.gz"
        save(folder / name, render(HEAD, row), scanner_affine(HEAD, row), 4)
        label = patients if row["label"] == "AD" else "control"
        rows.append({"path": name, "label": label, "group": row["group"], "visit": row["visit"]})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
