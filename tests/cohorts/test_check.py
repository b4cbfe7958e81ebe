"""Every planted fault is found, all in one report; a sound folder passes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from als_core.cohorts.cohort import Cohort
from als_core.refusal import RefusedInput


def refusal(folder: Path) -> RefusedInput:
    with pytest.raises(RefusedInput) as caught:
        Cohort.load(folder)
    return caught.value


def edit(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    change(table).to_csv(folder / "manifest.csv", index=False)


def cell(row: int, column: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[row, column] = value
        return table

    return change


def test_a_sound_folder_becomes_a_cohort(cohort_folder):
    cohort = Cohort.load(cohort_folder())
    assert len(cohort) == 12 and cohort.classes == ("class 0", "class 1")
    assert cohort.labels.tolist() == [0] * 6 + [1] * 6
    assert cohort.images().shape == (12, 32, 32, 3) and cohort.images([3, 0]).dtype == np.uint8
    np.testing.assert_array_equal(cohort.images([3])[0], cohort.image(3))
    assert cohort.notices == () and cohort.twins == ()


def test_digest_follows_content_and_not_place(cohort_folder, tmp_path):
    folder = cohort_folder()
    before = Cohort.load(folder).digest
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert Cohort.load(moved).digest == before
    edit(moved, cell(0, "label", "class 1"))
    assert Cohort.load(moved).digest != before


FAULTS = {
    "missing file": (cell(0, "path", "images/none.png"), "no such file"),
    "path upwards": (cell(0, "path", "../outside.png"), "leaves the folder"),
    "absolute path": (cell(0, "path", "/etc/hostname"), "leaves the folder"),
    "duplicate path": (cell(1, "path", "images/000.png"), "again"),
    "same path, spelled otherwise": (cell(1, "path", "images/./000.png"), "again"),
    "empty label": (cell(0, "label", ""), "an empty cell"),
    "formula": (cell(0, "label", "=HYPERLINK(1)"), "HYPERLINK"),
    "newline in a name": (cell(0, "path", "images/a\nb.png"), "a\\nb"),
    "wrong digest": (
        lambda t: t.assign(sha256=["0" * 64] + [""] * (len(t) - 1)),
        "where the manifest says 000000000000",
    ),
    "one label": (lambda t: t.assign(label="only"), "two or more"),
    "a label with one group": (lambda t: t.assign(group=["a"] * 6 + list(t["group"][6:])), "one group"),
    "a label with too few samples": (cell(0, "label", "rare"), "1 sample"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=FAULTS)
def test_faults_of_the_manifest(cohort_folder, fault):
    folder = cohort_folder()
    change, words = FAULTS[fault]
    edit(folder, change)
    assert any(words in str(problem) for problem in refusal(folder).problems), refusal(folder)


def save(**options) -> Callable[[Path, Image.Image], None]:
    return lambda path, image: image.convert(options["mode"]).save(path, format=options.get("format"))


def animated(path: Path, image: Image.Image) -> None:
    image.save(path, format="TIFF", save_all=True, append_images=[image.rotate(90)])


IMAGE_FAULTS = {
    "truncated": (lambda path, _: path.write_bytes(path.read_bytes()[:-200]), "damaged"),
    "empty": (lambda path, _: path.write_bytes(b""), "an empty file"),
    "text": (lambda path, _: path.write_text("no image"), "no image"),
    "grey": (save(mode="L"), "greyscale"),
    "palette": (save(mode="P"), "palette"),
    "transparent alpha": (lambda path, image: image.putalpha(100) or image.save(path), "alpha"),
    "CMYK": (save(mode="CMYK", format="TIFF"), "print colours"),
    "16 bit": (lambda path, _: Image.fromarray(np.zeros((32, 32), np.uint16)).save(path), "16-bit"),
    "animated": (animated, "2 frames"),
    "other size": (lambda path, image: image.resize((40, 32)).save(path), "40 x 32"),
    "too small": (lambda path, image: image.resize((8, 8)).save(path), "8 x 8"),
}


@pytest.mark.parametrize("fault", IMAGE_FAULTS, ids=IMAGE_FAULTS)
def test_faults_of_an_image(cohort_folder, fault):
    folder = cohort_folder()
    spoil, words = IMAGE_FAULTS[fault]
    path = folder / "images" / "000.png"
    with Image.open(path) as image:
        spoil(path, image.copy())
    (problem,) = refusal(folder).problems
    assert words in problem.found and problem.row == 2 and "000.png" in problem.where


def test_a_truncated_tiff_is_damaged(cohort_folder):
    folder = cohort_folder()
    with Image.open(folder / "images" / "000.png") as image:
        image.save(folder / "images" / "000.tif")
    (folder / "images" / "000.tif").write_bytes((folder / "images" / "000.tif").read_bytes()[:1000])
    edit(folder, cell(0, "path", "images/000.tif"))
    (problem,) = refusal(folder).problems
    assert "damaged" in problem.found


def test_all_problems_come_in_one_report(cohort_folder):
    folder = cohort_folder(classes=3, groups=4, fields=3)
    with Image.open(folder / "images" / "000.png") as image:
        image.convert("L").save(folder / "images" / "000.png")
    (folder / "images" / "001.png").write_bytes(b"")
    edit(folder, cell(2, "path", "images/none.png"))
    edit(folder, cell(3, "path", "../out.png"))
    edit(folder, cell(4, "label", "=1"))
    edit(folder, cell(5, "group", ""))
    report = str(refusal(folder))
    for words in ("greyscale", "an empty file", "no such file", "leaves the folder", "=1", "an empty cell"):
        assert words in report
    assert "nothing was computed" in report


def test_a_link_out_of_the_folder_is_refused(cohort_folder, tmp_path):
    folder = cohort_folder()
    outside = tmp_path / "outside.png"
    (folder / "images" / "000.png").rename(outside)
    (folder / "images" / "000.png").symlink_to(outside)
    (problem,) = refusal(folder).problems
    assert "leaves the folder" in problem.found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no manifest.csv"),
        ("", "no columns"),
        ("path\nimages/000.png\n", "label"),
        ("path,label\n", "no rows"),
    ],
)
def test_unreadable_manifests(cohort_folder, content, words):
    folder = cohort_folder()
    (folder / "manifest.csv").unlink()
    if content is not None:
        (folder / "manifest.csv").write_text(content)
    assert words in str(refusal(folder))


def test_an_empty_folder_and_none_at_all(tmp_path):
    assert "an empty folder" in str(refusal(tmp_path))
    assert "no such folder" in str(refusal(tmp_path / "none"))


def test_copies_are_noticed_and_no_error(cohort_folder):
    folder = cohort_folder(side=64)
    shutil.copy(folder / "images" / "000.png", folder / "images" / "001.png")
    with Image.open(folder / "images" / "010.png") as image:
        image.save(folder / "images" / "011.png", compress_level=1)  # other bytes, same pixels
    twins = Cohort.load(folder).twins
    assert [(pair.first, pair.second, pair.identical) for pair in twins] == [(0, 1, True), (2, 3, False)]


def test_one_label_a_group_where_the_cohort_says_so(cohort_folder):
    folder = cohort_folder()
    edit(folder, cell(0, "label", "class 1"))
    Cohort.load(folder)
    (folder / "cohort.yml").write_text("label_of: group\n")
    assert "donor 0-0" in str(refusal(folder))


def test_cohort_yml_refuses_unknown_keys(cohort_folder):
    folder = cohort_folder()
    (folder / "cohort.yml").write_text("titel: typo\n")
    assert "titel" in str(refusal(folder))
