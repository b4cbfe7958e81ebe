"""Folders of slide scans: read from files, counted by donor, and put in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image, TiffImagePlugin

from als_core.cohorts.sources import sources
from als_core.studies.xia2024 import scans
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters


def tiff(path, location: str | None):
    """An image as ImageJ saves it, with the address of its slide among its properties."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if location is not None:
        tags.tagtype[scans.IMAGEJ_PROPERTIES] = 7  # undefined: bytes
        tags[scans.IMAGEJ_PROPERTIES] = b"JIJIofni\x01\x00\x00\x00" + f"location={location}".encode(
            "utf-16-le"
        )
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path, tiffinfo=tags)
    return path


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("qupath.Server: file:/D:/Scans%20A/SD001%20BA44.tiff", "Scans A"),
        ("qupath.Server: file:/D:/deep/er/Scans_B/1.tiff", "Scans_B"),
        ("elsewhere", None),
        (None, None),
    ],
)
def test_the_folder_is_the_one_that_the_file_names(tmp_path, location, folder):
    assert scans.scan_folder(tiff(tmp_path / "1.tif", location)) == folder


def test_a_picture_of_another_format_names_none(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "1.png")
    assert scans.scan_folder(tmp_path / "1.png") is None


@pytest.fixture
def folders() -> pd.DataFrame:
    """Three ALS donors and one of two controls in one folder."""
    rows = [("a", "concordant", "one", 5), ("b", "discordant", "one", 4), ("c", "discordant", "one", 3),
            ("x", "control", "one", 2), ("y", "control", "two", 2)]  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "label", "folder", "images"])


def test_donors_are_counted_by_folder_and_class(folders):
    table = scans.folder_table(folders).set_index("Folder of scans")
    assert table.loc["one"].to_dict() == {"concordant": 1, "control": 1, "discordant": 2}
    assert table.loc["two"].to_dict() == {"concordant": 0, "control": 1, "discordant": 0}
    assert scans.main_folder(folders, "control") == ("one", ["x"])
    assert scans.coincidence(folders, "control", "ALS") == "3 of 3 ALS donors and 1 of 2 control donors"
    said = scans.folder_words(folders, "control", "ALS")
    assert "`one` has the slides of 3 of 3 ALS donors and 1 of 2 control donors (x)" in said
    without = folders[folders["group"] != "x"]
    assert "and 0 of 1 control donor." in scans.folder_words(without, "control", "ALS")


def test_votes_for_controls_of_either_folder_stand_side_by_side(folders):
    votes = pd.DataFrame(
        [("m", "x", 1, False), ("m", "y", 1, True), ("n", "x", 1, False), ("n", "y", 1, True), ("m", "a", 0, True)],
        columns=["name", "group", "label", "right"],
    )  # fmt: skip
    classes = ("concordant", "control", "discordant")
    said = scans.vote_words(folders, votes, classes, "control")
    assert "from `one`, x, got 0 of 2 votes right; the other control donors got 2 of 2 votes right" in said
    assert scans.vote_words(folders, votes[votes["group"] != "y"], classes, "control") == ""


def test_drawn_images_name_no_folder():
    cohort = open_cohort("synthetic", TissueParameters(side=32, fields_per_slide=1), progress=False)
    folders = scans.folders_by_donor(cohort)
    assert folders.empty and scans.coincidence(folders, "control", "ALS") == ""


def test_the_authors_files_name_two_folders_that_nearly_are_the_classes(real_data):
    source = sources()["xia2024"]
    manifest = pd.read_csv(source.manifest)
    named = [scans.scan_folder(real_data / "xia2024" / path) for path in manifest["path"]]
    assert sorted(pd.Series(named).value_counts()) == [60, 130]
    ill = manifest["label"] != "control"
    by_folder = pd.Series(ill.to_numpy()).groupby(np.array(named)).agg(["sum", "size"])
    assert sorted(by_folder["sum"]) == [0, 120]
