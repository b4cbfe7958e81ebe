"""What readers bring, each with one situation: read, refused once with the remedy, or named. See `own_data`."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import tifffile
from own_data import cohort, edit, features, rows, scans, texture
from PIL import Image
from typer.testing import CliRunner

from als_core.__main__ import app
from als_core.cohorts.checks import CHECKS, checks_as_markdown
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.duplicates import find_overlaps
from als_core.cohorts.folders import kind_of
from als_core.cohorts.reading import read_image
from als_core.cohorts.sources import local_folder, sources
from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import Preprocessing
from als_core.refusal import RefusedInput
from als_core.storage import repository

READ = "No problems."


class Case(NamedTuple):
    """One input and its outcome.

    make: builds it. check: number in the refusal, or in a note where it is read. words: in what is printed.
    options: of `als check`. refused: whether it is refused; one cause then makes one problem.
    """

    make: Callable[[Path], object]
    check: str
    words: str
    options: tuple[str, ...] = ()
    refused: bool = False


def saved(mode: str, suffix: str, **options) -> Callable[[Path], Path]:
    """All images in another mode or format."""
    return lambda folder: cohort(
        folder, lambda path, picture, *_: _save(path, picture.convert(mode), suffix, **options)
    )


def _save(path: Path, picture: Image.Image, suffix: str, **options) -> Path:
    path = path.with_suffix(suffix)
    picture.save(path, **options)
    return path


def deep(planar: bool, bits: int = 16) -> Callable[[Path], Path]:
    def save(path: Path, picture: Image.Image, *_) -> Path:
        values = np.asarray(picture).astype(np.uint16) << (bits - 8)
        path = path.with_suffix(".tif")
        planes = np.moveaxis(values, 2, 0) if planar else values
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate" if planar else "contig")
        return path

    return lambda folder: cohort(folder, save)


def transparent(path: Path, picture: Image.Image, *_) -> Path:
    picture.putalpha(Image.fromarray(texture(1)[..., 0]))
    return _save(path, picture, ".png")


def sizes(height: Callable[[int], int], width: Callable[[int], int]) -> Callable[[Path], Path]:
    return lambda folder: cohort(folder, pixels=lambda number: texture(number, height(number), width(number)))


def text(folder: Path, change: Callable[[str], str | bytes]) -> Path:
    """Rewrite the manifest's text."""
    file = cohort(folder) / "manifest.csv"
    changed = change(file.read_text())
    file.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    return folder


def class_folders(folder: Path, below: str = "", suffix: str = ".png") -> Path:
    for name, label, group, number in rows():
        place = folder / below / label / (group if suffix == ".JPG" else "")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(texture(number)).save(place / f"{name}{suffix}")
    return folder


def companions(folder: Path) -> Path:
    """What macOS and Windows leave behind, in the folder and, where there is one, in the manifest."""
    for file in list(folder.rglob("*.png")):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7" + bytes(100))
        file.with_suffix(".json").write_text("{}")
        (file.parent / "Thumbs.db").write_bytes(b"x")
        (file.parent / ".DS_Store").write_bytes(b"x")
    if (folder / "manifest.csv").exists():
        edit(folder, lambda t: pd.concat([t, t.assign(path="._" + t["path"])]))
    return folder


def groups(change: Callable[[pd.DataFrame], object]) -> Callable[[Path], Path]:
    return lambda folder: edit(cohort(folder), change)


def rename(names: dict[str, str]) -> Callable[[Path], Path]:
    return groups(lambda t: t.assign(group=t["group"].replace(names)))


def spell_one_image_otherwise(names: dict[str, str]) -> Callable[[Path], Path]:
    """The first image of a donor has another spelling of its name."""

    def change(table: pd.DataFrame) -> None:
        for old, new in names.items():
            table.loc[table.index[table["group"] == old][0], "group"] = new

    return groups(change)


def copied(
    first: str, second: str, change: Callable[[Image.Image], Image.Image] | None = None
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        cohort(folder)
        if change:
            with Image.open(folder / first) as picture:
                change(picture).save(folder / second)
        else:
            shutil.copy(folder / first, folder / second)
        return folder

    return make


def noisy(picture: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(stream, "JPEG", quality=80)
    return Image.open(stream)


def by_class(als: str, control: str) -> Callable[[Path], Path]:
    return lambda folder: cohort(
        folder,
        lambda path, picture, _, label: _save(
            path,
            picture,
            als if label == "als" else control,
            **({"quality": 95} if (als if label == "als" else control) == ".jpg" else {}),
        ),
    )


def blurred_class(folder: Path) -> Path:
    from PIL import ImageFilter

    def save(path: Path, picture: Image.Image, _, label: str) -> Path:
        return _save(path, picture.filter(ImageFilter.GaussianBlur(2)) if label == "als" else picture, ".png")

    return cohort(folder, save, donors=16)


def table(change: Callable[[pd.DataFrame], pd.DataFrame], **options) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        folder.mkdir()
        change(features()).to_csv(folder / "features.csv", **{"index": False, **options})
        return folder / "features.csv"

    return make


CASES = {
    # pixels
    "opaque alpha": Case(saved("RGBA", ".png"), "ALS028", "24 images: an alpha channel that is opaque everywhere dropped"),
    "opaque alpha in a TIFF": Case(saved("RGBA", ".tif"), "ALS028", "alpha channel"),
    "transparent alpha": Case(lambda f: cohort(f, transparent), "ALS009", "--convert", refused=True),
    "transparent alpha, converted": Case(lambda f: cohort(f, transparent), "ALS028", "laid on white", ("--convert",)),
    "no two of one size": Case(sizes(lambda n: 60 + n, lambda n: 90 - n), "ALS010", "24 sizes, 67 to 90 pixels wide and 60 to 83 high", refused=True),
    "no two of one size, resized": Case(sizes(lambda n: 60 + n, lambda n: 90 - n), "ALS028", "of 48 x 48 pixels", ("--resize", "48")),
    "sizes by donor, padded": Case(sizes(lambda n: 60 + n // 3, lambda n: 72), "ALS028", "filled up with black", ("--resize", "64", "--fit", "pad")),
    **{
        f"8-bit TIFF, {name}": Case(saved("RGB", ".tif", compression=name), "", READ)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    },
    "8-bit TIFF of 256 pixels, deflate": Case(lambda f: cohort(f, lambda p, i, *_: _save(p, i.resize((256, 256)), ".tif", compression="tiff_adobe_deflate")), "", READ),
    "16-bit TIFF with separate planes": Case(deep(planar=True), "ALS009", "16 bits a colour", refused=True),
    "16-bit TIFF, pixel by pixel": Case(deep(planar=False), "ALS009", "16 bits a colour", refused=True),
    "12 bits in 16, converted": Case(deep(planar=True, bits=12), "ALS028", "16-bit values divided by 16", ("--convert",)),
    "grey": Case(saved("L", ".png"), "ALS009", "24 places: found mode L (greyscale)", refused=True),
    "grey, converted": Case(saved("L", ".png"), "ALS028", "24 images: grey repeated in three channels", ("--convert",)),
    "16-bit grey": Case(lambda f: cohort(f, lambda p, i, *_: _save(p, Image.fromarray(np.asarray(i.convert("L")).astype(np.uint16) << 8), ".png")), "ALS009", "16-bit greyscale", refused=True),
    "CMYK": Case(saved("CMYK", ".jpg"), "ALS009", "print colours", refused=True),
    "CMYK, converted": Case(saved("CMYK", ".tif"), "ALS028", "without a colour profile", ("--convert",)),
    "palette": Case(saved("P", ".gif"), "ALS009", "palette", refused=True),
    "palette, converted": Case(saved("P", ".png"), "ALS028", "palette colours looked up", ("--convert",)),
    # folders and manifests
    "one folder per class": Case(class_folders, "ALS023", "als 12, control 12. No problems."),
    "class folders below another, capital suffix": Case(lambda f: class_folders(f, "images", ".JPG"), "ALS023", READ),
    "class folders with companions": Case(lambda f: companions(class_folders(f)), "ALS027", "companion file"),
    "companions in the manifest": Case(lambda f: companions(cohort(f)), "ALS027", "24 rows of companion files"),
    "images without classes": Case(lambda f: cohort(f, manifest=False), "ALS001", "als manifest --help", refused=True),
    "five rows of commas at the end": Case(lambda f: text(f, lambda t: t + ",,\n" * 5), "ALS028", "5 empty rows at the end"),
    "three rows of commas in between": Case(lambda f: text(f, lambda t: t.replace("\n", "\n,,\n,,\n,,\n", 1)), "ALS004", "9 places: found an empty cell", refused=True),
    "capital header, spaces after commas": Case(lambda f: text(f, lambda t: t.title().replace(",", ", ").replace(".Png", ".png").replace("D0", "d0")), "ALS028", "Path, Label, Group are read as"),
    "byte order mark, semicolons, CRLF": Case(lambda f: text(f, lambda t: b"\xef\xbb\xbf" + t.replace(",", ";").replace("\n", "\r\n").encode()), "ALS028", "semicolons"),
    "tabs": Case(lambda f: text(f, lambda t: t.replace(",", "\t")), "ALS028", "tabs"),
    "empty columns at the right": Case(lambda f: text(f, lambda t: t.replace("\n", ",,\n")), "", READ),
    "path called file": Case(lambda f: text(f, lambda t: t.replace("path", "file", 1)), "ALS003", "a column `path`", refused=True),
    # identifiers
    "groups in a column called Patient_ID": Case(groups(lambda t: t.rename(columns={"group": "Patient_ID"})), "ALS023", "If Patient_ID is the group, rename"),
    "one group per image": Case(groups(lambda t: t.assign(group=t["path"].str[:-4])), "ALS024", "a split by group is a split by image"),
    "7 and 007": Case(lambda f: edit(rename({"d07": "7", "d08": "8"})(f), lambda t: t.loc.__setitem__((18, "group"), "007")), "ALS017", "007 and 7", refused=True),
    "P07, p07 and P-07": Case(spell_one_image_otherwise({"d01": "D01", "d02": "d-02"}), "ALS017", "2 times", refused=True),
    "a number that became 7.0": Case(lambda f: edit(rename({"d07": "7"})(f), lambda t: t.loc.__setitem__((18, "group"), "7.0")), "ALS017", "7 and 7.0", refused=True),
    "P07 and P-07, accepted": Case(spell_one_image_otherwise({"d02": "d-02"}), "", READ, ("--accept", "ALS017")),
    "NA for half of the images": Case(rename({f"d0{n}": "NA" for n in (3, 4, 5, 6)}), "ALS018", "`NA` in 12 rows", refused=True),
    "unknown for two donors": Case(rename({"d03": "Unknown", "d06": "Unknown"}), "ALS018", "`Unknown` in 6 rows", refused=True),
    "visits as groups": Case(groups(lambda t: t.assign(group=t["group"] + "_" + (t.index % 2 + 1).astype(str))), "ALS025", "d01_1 and d01_2"),
    "dates as groups": Case(rename({"d07": "Mar-07", "d08": "Mar-08"}), "ALS025", "Mar-07"),
    "scientific notation as a group": Case(rename({"d07": "1.2E+05"}), "ALS025", "1.2E+05"),
    "labels with other separators": Case(groups(lambda t: t.assign(label=np.tile(["stage 1", "stage-01", "control"], 8))), "ALS013", "stage 1 and stage-01, which differ only in spelling", refused=True),
    # copies
    "identical under both labels": Case(copied("d01_1.png", "d05_1.png"), "ALS019", "d01_1.png, line 2 and d05_1.png, line 14", refused=True),
    "mirrored under both labels": Case(copied("d01_1.png", "d05_1.png", noisy), "ALS019", "different labels", refused=True),
    "identical under both labels, accepted": Case(copied("d01_1.png", "d05_1.png"), "ALS019", "Left out, as accepted", ("--accept", "ALS019")),
    "a copy across donors": Case(copied("d01_1.png", "d02_1.png"), "ALS020", "--accept ALS020 to keep only the first", refused=True),
    "a turned copy across donors": Case(copied("d01_1.png", "d02_1.png", lambda p: p.rotate(90)), "ALS020", "different groups", refused=True),
    "a copy across donors, accepted": Case(copied("d01_1.png", "d02_1.png"), "ALS020", "23 images", ("--accept", "ALS020")),
    "a copy within a donor": Case(copied("d01_1.png", "d01_2.png"), "ALS022", "d01_1.png and d01_2.png"),
    # shortcuts
    "JPEG and PNG": Case(by_class(".jpg", ".png"), "ALS026", "File type alone predicts the label of 100 %"),
    "one class resaved at another size": Case(lambda f: cohort(f, lambda p, i, _, label: _save(p, i.resize((80, 80)) if label == "als" else i, ".png")), "ALS026", "Image size alone predicts", ("--resize", "72")),
    "one class blurred": Case(blurred_class, "ALS026", "Sharpness alone predicts the label of 100 %"),
    "a site for each label": Case(groups(lambda t: t.assign(site=t["label"].map({"als": "Leeds", "control": "York"}))), "ALS026", "Site alone predicts"),
    # crops, volumes, feature tables
    "grey crops of ALS": Case(lambda f: edit(saved("L", ".png")(f), lambda t: t.assign(label=t["label"].replace({"als": "ALS"}))), "", "24 grey crops of 72 x 72 pixels"),
    "a folder of NIfTI": Case(scans, "ALS023", "12 volumes; AD 6, CN 6. No problems."),
    "NIfTI in a manifest": Case(lambda f: _volume_manifest(scans(f)), "", "12 volumes"),
    "a feature table": Case(table(lambda t: t), "", "60 subjects, 8 features; ALS 30, other 30. No problems."),
    "a folder with a feature table": Case(lambda f: table(lambda t: t)(f).parent, "", "60 subjects"),
    "a feature table with its index": Case(table(lambda t: t, index=True), "ALS002", "a column without a name", refused=True),
    "an index that was read and written again": Case(table(lambda t: t.assign(**{"Unnamed: 0": range(60)})), "ALS002", "a column without a name", refused=True),
    "a feature that counts the rows": Case(table(lambda t: t.assign(id=range(1, 61))), "ALS002", "the number of the row", refused=True),
    "subjects twice": Case(table(lambda t: pd.concat([t[:15], t[-15:]]).pipe(lambda h: pd.concat([h.assign(subject=h["subject"] + "_1"), h.assign(subject=h["subject"] + "_2")]))), "ALS025", "give them one `group`"),
    "decimal commas": Case(table(lambda t: t, sep=";", decimal=","), "ALS028", "decimal commas in f0, f1, f2"),
    "thousands": Case(table(lambda t: t.assign(f0="1,500"), sep=";"), "ALS002", "thousands or a decimal comma", refused=True),
}  # fmt: skip


def _volume_manifest(folder: Path) -> Path:
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.*") if path.is_file())
    data = {
        "path": [f.as_posix() for f in files],
        "label": [f.parts[0] for f in files],
        "group": [f.name[:3] for f in files],
    }
    pd.DataFrame(data).to_csv(folder / "manifest.csv", index=False)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and what was printed; a refusal as the command line shows it."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(result.exception, RefusedInput):
        assert all(problem.remedy for problem in result.exception.problems)
        return 1, f"{result.output}{result.exception}"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ordinary_mess_is_read_named_or_refused_once(case, tmp_path):
    place = case.make(tmp_path / "given")
    code, printed = run("check", place, *case.options)
    assert code == case.refused, printed
    assert case.words in printed and case.check in printed, printed
    if case.refused:
        assert "1 problem, nothing was computed" in printed, printed
    else:
        assert READ in printed


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_images_stored_turned_are_read_upright(tmp_path, suffix, orientation):
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}

    def save(path: Path, picture: Image.Image, number: int, _) -> Path:
        exif = Image.Exif()
        exif[274] = orientation if number % 2 else 1
        stored = picture.transpose(back[orientation]) if number % 2 else picture
        options = {"quality": 95} if suffix == ".jpg" else {}
        return _save(path, stored, suffix, exif=exif, **options)

    read = Cohort.load(cohort(tmp_path, save, pixels=lambda number: texture(number, 60, 90)))
    assert read.image_shape == (60, 90)
    for number in (0, 1):
        difference = np.abs(read.image(number).astype(int) - texture(number, 60, 90))
        assert difference.mean() < (10 if suffix == ".jpg" else 1e-9)


def test_converted_pixels_are_those_that_were_stored(tmp_path):
    folder = deep(planar=True, bits=12)(tmp_path / "given")
    assert run("check", folder, "--convert")[0] == 0
    read = Cohort.load(folder)
    np.testing.assert_array_equal(read.image(3), texture(3))
    plain = Cohort.load(cohort(tmp_path / "plain"))
    assert read.conversion.bits == 12 and read.digest != plain.digest


def test_what_a_reader_settled_is_kept_for_the_book(tmp_path):
    folder = saved("L", ".png")(tmp_path / "given")
    (folder / "cohort.yml").write_text("title: Mine\n")
    edit(folder, lambda t: t.loc.__setitem__((0, "group"), "D-01"))
    assert run("check", folder, "--convert", "--resize", "48", "--accept", "ALS017")[0] == 0
    read = Cohort.load(folder)
    assert read.image_shape == (48, 48) and read.about["title"] == "Mine"
    assert run("check", folder)[0] == 0
    code, printed = run("check", folder, "--accept", "ALS009")
    assert code == 1 and "one of ALS017" in printed


def test_what_a_reader_settled_is_kept_for_scans_too(tmp_path):
    folder = _volume_manifest(scans(tmp_path / "given"))
    (folder / "cohort.yml").write_text("title: Mine\naccept: [ALS018]\n")
    edit(folder, lambda t: t.assign(group=["7", "007", *t["group"][2:]]))
    assert "or add --accept ALS017" in run("check", folder)[1]
    code, printed = run("check", folder, "--accept", "ALS017", "--group-word", "mouse, mice")
    assert code == 0 and READ in printed, printed
    kept = VolumeCohort.load(folder, Preprocessing()).about
    assert (kept["title"], kept["accept"], kept["group_word"]) == (
        "Mine",
        ("ALS018", "ALS017"),
        "mouse, mice",
    )
    code, printed = run("check", folder, "--accept", "ALS009")
    assert code == 1 and "ALS021 accept: found ALS009; expected one of ALS017" in printed


@pytest.mark.parametrize(
    ("make", "options", "refusals"),
    [
        (scans, ("--resize", 64, "--fit", "pad", "--convert", "--accept", "ALS017"),
         [f"--{name}: found scans; expected images. Leave it out" for name in ("resize", "fit", "convert")]),
        (cohort, ("--mask-label", 1, "--resize", 64), ["--mask-label: found images; expected scans. Leave it out."]),
        (scans, ("--positive", "AD"), ["--positive: found scans; expected a feature table. Leave it out."]),
        (cohort, ("--positive", "als"), ["--positive: found images; expected a feature table. Leave it out."]),
        (cohort, ("--fit", "pad"), ["ALS010 --fit: found pad without --resize; expected both. Add --resize"]),
        (table(lambda t: t), ("--accept", "ALS017", "--group-word", "people"),
         [f"--{name}: found a feature table; expected images or scans." for name in ("accept", "group-word")]),
    ],
)  # fmt: skip
def test_an_option_that_is_not_for_the_data_is_refused(tmp_path, make, options, refusals):
    code, printed = run("check", make(tmp_path / "given"), *options)
    assert code == 1 and f"{len(refusals)} problem" in printed, printed
    assert all(words in printed for words in refusals), printed
    assert not list(tmp_path.rglob("cohort.yml"))


def test_a_feature_table_is_not_offered_what_it_does_not_take(tmp_path):
    subjects = {"S001": "S-000", "S002": "P7", "S003": "p-07"}
    code, printed = run("check", table(lambda t: t.replace({"subject": subjects}))(tmp_path / "given"))
    assert code == 1 and "Spell each subject one way, or rename one if they differ." in printed
    assert "--accept" not in printed


def test_a_manifest_is_written_with_groups_from_names_or_folders(tmp_path):
    folder = companions(class_folders(tmp_path / "given"))
    (folder / "als" / "d01_1.png").rename(folder / "als" / "d01_1.PNG")
    code, printed = run("manifest", folder, "--group-from", r"(d\d+)_")
    assert code == 0 and "24 samples; als 12, control 12, 8 groups." in printed
    read = Cohort.load(folder)
    assert len(set(read.groups)) == 8 and "als/d01_1.PNG" in set(read.samples["path"])
    assert "a folder without one" in run("manifest", folder)[1]
    parents = class_folders(tmp_path / "parents", suffix=".JPG")
    assert "8 groups" in run("manifest", parents, "--group-from", "parent")[1]
    assert "no groups" in run("manifest", class_folders(tmp_path / "none"))[1]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("(x+)_", "none in 24 of 24 paths"), ("(", "a regular expression"), ("parent", "one more folder")],
)
def test_a_pattern_that_does_not_fit_is_refused(tmp_path, pattern, words):
    code, printed = run("manifest", class_folders(tmp_path / "given"), "--group-from", pattern)
    assert code == 1 and words in printed and not (tmp_path / "given" / "manifest.csv").exists()


def test_a_manifest_is_written_from_a_table_of_labels(tmp_path):
    folder = cohort(
        tmp_path / "given", lambda p, i, n, _: _save(p.with_name(f"Blood_{n:05d}"), i, ".png"), manifest=False
    )
    labels = ["A"] * 10 + ["B"] * 10 + ["A, B"] * 2 + [""] * 3  # one more row than images
    pd.DataFrame({"Image": range(25), "Category": labels}).to_csv(folder / "labels.csv")
    command = (
        "manifest",
        folder,
        "--table",
        "labels.csv",
        "--path",
        "Blood_{Image:0>5}.png",
        "--label",
        "Category",
    )
    code, printed = run(*command, "--only", "A,B")
    assert (
        code == 0
        and "20 samples; A 10, B 10" in printed
        and "Passed over: 5 rows with another label or none" in printed
    )
    assert len(Cohort.load(folder)) == 20
    assert "no column `Kind`" in run(*command[:-1], "Kind")[1]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{number:05d}.png", "found {number:05d}, a format of numbers; expected columns in braces, filled up as text "
         "where need be. Cells are text: write {number:0>5}."),
        ("{number:05}.png", "Cells are text: write {number:0>5}."),
        ("{number:d}.png", "Cells are text: write {number}."),
        ("{number.png", "Correct the braces"),
        ("{}.png", "found no column ``; expected one of number, label"),
    ],
)  # fmt: skip
def test_a_path_that_cells_of_text_do_not_fit_is_refused(tmp_path, path, words):
    pd.DataFrame({"number": [7, 8], "label": ["A", "B"]}).to_csv(tmp_path / "labels.csv", index=False)
    code, printed = run("manifest", tmp_path, "--table", "labels.csv", "--path", path)
    assert code == 1 and "1 problem" in printed and words in printed, printed


def test_the_real_blood_cells_become_a_cohort_in_one_command(tmp_path, real_data):
    source = real_data / "bccd_wbc"
    if not source.is_dir():
        pytest.skip("real data absent: bccd_wbc")
    shutil.copytree(
        source,
        tmp_path / "cells",
        ignore=lambda _, names: [n for n in names if n[-5] not in "02468" and n.endswith("jpg")],
    )
    code, printed = run("manifest", tmp_path / "cells", "--table", "labels.csv", "--path", "images/BloodImage_{Image:0>5}.jpg",
                        "--label", "Category", "--only", "NEUTROPHIL,EOSINOPHIL,LYMPHOCYTE,MONOCYTE")  # fmt: skip
    assert code == 0, printed
    assert Cohort.load(tmp_path / "cells").image_shape == (480, 640)


# ------------------------------------------------------------------------------------------------ leaks and the guide


def overlapping(folder: Path) -> Path:
    """Donors of two fields each that overlap by half, and a copy within the third donor."""
    scans_of = {donor: texture(donor, 300) for donor in range(6)}
    table = []
    for donor, scan in scans_of.items():
        for field, left in enumerate((0, 100)):
            name = f"{donor}_{field}.png"
            folder.mkdir(exist_ok=True)
            Image.fromarray(scan[:200, left : left + 200]).save(folder / name)
            table.append((name, "als" if donor < 3 else "control", f"d{donor}"))
    pd.DataFrame(table, columns=["path", "label", "group"]).to_csv(folder / "manifest.csv", index=False)
    return folder


def test_leaks_names_what_a_split_has_on_both_sides(tmp_path):
    folder = overlapping(tmp_path / "tiles")
    code, printed = run("leaks", folder)
    assert code == 0 and "sets of copies: 0; pairs that overlap: 6" in printed
    assert "0_0.png and 0_1.png: the same place in 50 % of the image" in printed
    names = [f"{donor}_{field}.png" for donor in range(6) for field in range(2)]
    parts = ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    pd.DataFrame({"path": names, "part": parts}).to_csv(tmp_path / "by_donor.csv", index=False)
    code, printed = run("leaks", folder, "--split", tmp_path / "by_donor.csv")
    assert code == 0 and "no group and no copy is in two parts" in printed
    pd.DataFrame({"path": names, "part": ["train", "test"] * 6}).to_csv(
        tmp_path / "by_image.csv", index=False
    )
    code, printed = run("leaks", folder, "--split", tmp_path / "by_image.csv")
    assert code == 1 and "by_image: 6 groups and 6 overlapping pairs are in two parts." in printed


def test_leaks_shows_copies_that_a_cohort_may_not_have_and_says_what_a_split_leaves_out(tmp_path):
    folder = cohort(tmp_path / "given")
    first, *_, last = sorted(path.name for path in folder.glob("*.png"))
    shutil.copy(folder / first, folder / last)
    code, printed = run("check", folder)
    assert code == 1 and "ALS019" in printed
    code, printed = run("leaks", folder)
    assert code == 0 and f"{first} and {last}: byte-identical, with different labels and groups" in printed
    pd.DataFrame({"path": [first, last], "part": ["train", "test"]}).to_csv(folder / "mine.csv", index=False)
    code, printed = run("leaks", folder, "--split", "mine.csv")
    assert code == 1 and "mine: 1 pair of copies is in two parts. In no part: 22 images." in printed
    (folder / "mine.csv").write_text("path,part\n")
    code, printed = run("leaks", folder, "--split", "mine.csv")
    assert code == 1 and "mine.csv: found no rows; expected a row for each image" in printed


def test_leaks_names_the_command_whose_options_it_advises_and_refuses_other_data(tmp_path):
    folder = cohort(tmp_path / "given", pixels=lambda number: texture(number, 72 + number % 2, 72))
    code, printed = run("leaks", folder)
    assert code == 1 and "run `als check` with --resize 72" in printed
    code, printed = run("leaks", scans(tmp_path / "scans"))
    assert code == 1 and "found scans; expected images" in printed


def test_what_a_reader_wrote_into_cohort_yml_stays(tmp_path):
    folder = cohort(tmp_path / "given")
    (folder / "cohort.yml").write_text(
        "# our clinic, do not lose\ntitle: Überlingen A   # inline\naccept:  # asked for\n  - ALS018\n",
        encoding="utf-8",
    )
    code, printed = run("check", folder, "--group-word", "dishes", "--accept", "ALS017")
    assert code == 0, printed
    assert (folder / "cohort.yml").read_text(encoding="utf-8").splitlines() == [
        "# our clinic, do not lose",
        "title: Überlingen A   # inline",
        "accept: [ALS018, ALS017]  # asked for",
        "group_word: dishes",
    ]


def test_a_cohort_yml_in_braces_is_written_anew(tmp_path):
    folder = cohort(tmp_path / "given")
    (folder / "cohort.yml").write_text("{title: Mine}\n")
    code, printed = run("check", folder, "--group-word", "dishes")
    assert code == 0, printed
    assert (folder / "cohort.yml").read_text() == "title: Mine\ngroup_word: dishes\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- title: Mine\n", "found a list; expected keys with values"),
        ("accept: ALS017\n", "found accept: ALS017, which has to be in brackets: [ALS017]"),
    ],
)
def test_a_cohort_yml_of_another_shape_is_refused_in_words(tmp_path, text, words):
    folder = cohort(tmp_path / "given")
    (folder / "cohort.yml").write_text(text)
    code, printed = run("check", folder)
    assert code == 1 and words in printed, printed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.replace("/", "\\"), "a path with \\ in it"),
        (lambda path: "{root}/" + path, "an absolute path"),
        (lambda path: "images/d01_1.png", "23 times: found images/d01_1.png again (first in line 2)"),
    ],
)
def test_paths_of_other_habits_are_refused_once_with_what_to_type(tmp_path, change, words):
    folder = tmp_path / "given"
    cohort(folder / "images")
    table = pd.read_csv(folder / "images" / "manifest.csv")
    table["path"] = [change(f"images/{path}").format(root=folder) for path in table["path"]]
    table.to_csv(folder / "manifest.csv", index=False)
    (folder / "images" / "manifest.csv").unlink()
    code, printed = run("check", folder)
    assert code == 1 and printed.count(words) == 1, printed


def test_leaks_refuses_a_cohort_yml_that_check_refuses(tmp_path):
    folder = cohort(tmp_path / "given")
    (folder / "cohort.yml").write_text("resize: many\n")
    code, printed = run("leaks", folder)
    assert code == 1 and "ALS021 cohort.yml: found resize" in printed, printed


def test_two_fields_of_the_published_images_overlap(real_data):
    source = sources()["xia2024"]
    if not (folder := local_folder("xia2024", source)):
        pytest.skip("real data absent: xia2024")
    names = ("images/97.tif", "images/149.tif", "images/2.tif", "images/3.tif")
    pairs = find_overlaps(lambda number: read_image(folder / names[number]), len(names))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1)] and "70 %" in pairs[0].how


def test_the_guide_lists_every_check_as_the_registry_does():
    guide = (repository() / "book" / "bring_your_own_images.md").read_text(encoding="utf-8")
    assert checks_as_markdown() in guide, "paste checks_as_markdown() into the guide"
    tried = {case.check for case in CASES.values()} - {""}
    assert tried <= set(CHECKS)
    assert [
        check for check in CHECKS.values() if check.accepted and f"--accept {check.number}" not in guide
    ] == []


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (cohort, "images"),
        (class_folders, "images"),
        (saved("L", ".png"), "images"),
        (
            lambda f: edit(
                saved("L", ".png")(f), lambda t: t.assign(label=t["label"].replace({"als": "ALS"}))
            ),
            "crops",
        ),
        (lambda f: edit(cohort(f), lambda t: t.assign(label=t["label"].replace({"als": "ALS"}))), "images"),
        (scans, "volumes"),
        (lambda f: _volume_manifest(scans(f)), "volumes"),
        (table(lambda t: t), "features"),
        (lambda f: table(lambda t: t)(f).parent, "features"),
    ],
)
def test_what_a_folder_holds_is_told_by_content(tmp_path, make, kind):
    place = tmp_path / "given"
    assert kind_of(make(place) or place) == kind


@pytest.mark.parametrize("text", ["no JSON", "[1]", '{"page": 1}', '{"page": {}}'])
def test_changed_refuses_a_file_that_holds_no_digests(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    code, printed = run("changed", tmp_path / "other.json")
    assert code == 1 and "expected results/figures.json of a book" in printed, printed


def test_claims_prints_a_dash_where_nothing_was_regenerated(monkeypatch):
    row = {"id": "a", "published": "0.9", "regenerated": None, "verdict": "not yet run"}
    monkeypatch.setattr("als_core.book.site.book_claims", lambda: [row, row | {"regenerated": 0.0}])
    assert run("claims")[1] == "a\t0.9\t-\tnot yet run\na\t0.9\t0.0\tnot yet run\n"


def test_files_of_types_that_are_not_read_are_named(tmp_path):
    folder = class_folders(tmp_path / "given")
    (folder / "als" / "d01_1.png").rename(folder / "als" / "d01_1.HEIC")
    (folder / "control" / "d05_1.png").rename(folder / "control" / "d05_1.jp2")
    (folder / "mimic").mkdir()
    (folder / "mimic" / "one.dcm").write_bytes(b"x")
    code, printed = run("check", folder)
    assert code == 0 and "Passed over: 3 files of types that are not read (" in printed, printed
    assert "1 .heic, such as als/d01_1.HEIC" in printed and "1 .dcm, such as mimic/one.dcm" in printed
    assert "no image that can be read is in mimic, so no class is made of it (ALS027)" in printed
    for file in folder.glob("als/*.png"):
        file.rename(file.with_suffix(".heic"))
    code, printed = run("check", folder)
    assert code == 1 and "14 files of types that are not read (12 .heic, such as" in printed, printed


@pytest.mark.parametrize("name", [b"M\xfcller.png", b"M\xfcller.heic"])
def test_names_that_are_not_utf8_are_refused_or_named(tmp_path, name):
    folder = class_folders(tmp_path / "given")
    file = folder / "als" / "d01_1.png"
    try:
        file.rename(file.with_name(os.fsdecode(name)))
    except OSError:
        pytest.skip("this disk takes names in UTF-8 only")
    checked = run("check", folder)
    code, printed = run("manifest", folder)
    if name.endswith(b".png"):
        assert code == 1 and "ALS004 names of files: found 1 path with bytes that are not UTF-8" in printed
        assert checked == (code, printed) and not (folder / "manifest.csv").exists()
    else:
        assert code == 0 and "such as als/M\\udcfcller.heic" in printed, printed


def test_a_column_whose_name_has_a_dot_is_put_into_a_path(tmp_path):
    folder = class_folders(tmp_path / "given")
    table = pd.DataFrame(list(rows()), columns=["a.b", "label", "x[0]", "0"])
    table.to_csv(folder / "labels.csv", index=False)
    command = ("manifest", folder, "--table", "labels.csv", "--group", "x[0]", "--path")
    assert "found no column `a.c`" in run(*command, "{label}/{a.c}.png")[1]
    code, printed = run(*command, "{label}/{a.b}.png")
    assert code == 0 and "24 samples; als 12, control 12, 8 groups." in printed, printed


@pytest.mark.parametrize(
    "options",
    [
        ("--only", "als"),
        ("--label", "kind"),
        ("--path", "{name}"),
        ("--group", "donor"),
        ("--group-from", "parent", "--table", "labels.csv"),
    ],
)
def test_an_option_of_the_other_way_to_write_a_manifest_is_refused(tmp_path, options):
    folder = class_folders(tmp_path / "given")
    pd.DataFrame({"path": ["als/d01_1.png"], "label": ["als"]}).to_csv(folder / "labels.csv", index=False)
    code, printed = run("manifest", folder, *options)
    assert code == 1 and f"1 problem, nothing was computed.\n  1. {options[0]}: found" in printed, printed
    assert not (folder / "manifest.csv").exists()


def test_a_manifest_that_was_just_written_is_not_called_missing(tmp_path):
    code, printed = run("manifest", class_folders(tmp_path / "given"))
    assert code == 0 and "No manifest.csv" not in printed, printed


def test_columns_are_read_in_any_letter_case(tmp_path):
    code, printed = run("check", edit(cohort(tmp_path / "given"), lambda t: t.assign(SHA256="0" * 64)))
    assert code == 1 and "ALS012" in printed, printed
    folder = _volume_manifest(scans(tmp_path / "scans"))
    code, printed = run("check", edit(folder, lambda t: t.assign(Visit="first")))
    assert code == 1 and "a whole number, 0 for the first" in printed, printed


def test_a_file_that_is_no_table_is_not_called_a_missing_folder(tmp_path):
    (tmp_path / "features.xlsx").write_bytes(b"PK")
    code, printed = run("check", tmp_path / "features.xlsx")
    assert code == 1 and "found a file of type .xlsx" in printed and "Save a spreadsheet as CSV" in printed


def test_a_table_is_found_beside_its_companion(tmp_path):
    file = table(lambda t: t)(tmp_path / "given")
    file.with_name("._features.csv").write_bytes(b"\0\5\26\7")
    assert "60 subjects" in run("check", file.parent)[1]


def test_the_line_that_names_the_delimiter_is_no_header(tmp_path):
    file = table(lambda t: t, sep=";", decimal=",")(tmp_path / "given")
    file.write_text("sep=;\n" + file.read_text())
    code, printed = run("check", file)
    assert code == 0 and "60 subjects" in printed and "the first line names the delimiter" in printed, printed


def test_cells_that_are_no_numbers_are_shown(tmp_path):
    cells = ["0,5", "0,25", "1,5", "2,5", "", *["0"] * 55]
    code, printed = run("check", table(lambda t: t.assign(f0=cells))(tmp_path / "given"))
    assert code == 1 and "5 cells without a finite number, such as `0,5`, `0,25`, `1,5`;" in printed, printed


def test_the_patients_of_a_feature_table_are_als_or_ad_or_named(tmp_path):
    def labelled(name: str, case: str) -> Path:
        return table(lambda t: t.assign(label=t["label"].replace({"ALS": case})))(tmp_path / name)

    assert "AD 30, other 30. No problems." in run("check", labelled("ad", "AD"))[1]
    code, printed = run("check", labelled("case", "case"))
    assert code == 1 and "--positive LABEL for als check, --patients LABEL for als book" in printed, printed
    assert "case 30, other 30" in run("check", labelled("named", "case"), "--positive", "case")[1]


def test_an_empty_label_of_a_feature_table_is_an_empty_cell(tmp_path):
    code, printed = run("check", table(lambda t: t.assign(label=["", *t["label"][1:]]))(tmp_path / "given"))
    assert code == 1 and "1 problem" in printed and "line 2: found an empty cell" in printed, printed


def test_rows_of_a_group_count_once_in_a_feature_table(tmp_path):
    paired = table(lambda t: t.assign(group=np.repeat(range(30), 2)))(tmp_path / "paired")
    code, printed = run("check", paired)
    assert code == 0 and "30 subjects, 8 features; ALS 15, other 15." in printed, printed
    assert "Left out: 30 further rows of a group" in printed
    one = table(lambda t: t.assign(group=np.where(t["label"] == "ALS", "only", t["subject"])))
    code, printed = run("check", one(tmp_path / "one"))
    assert code == 1 and "positive class: found 1 subjects" in printed, printed


def test_a_group_of_a_feature_table_has_one_label(tmp_path):
    mixed = table(lambda t: t.assign(group=[*t["subject"][:-1], "S000"]))
    code, printed = run("check", mixed(tmp_path / "given"))
    assert code == 1 and "1 problem" in printed, printed
    assert "group S000 with the labels ALS and control" in printed and "Correct the label or" in printed


def test_a_companion_listed_among_crops_does_not_make_them_images(tmp_path):
    folder = edit(
        saved("L", ".png")(tmp_path / "given"), lambda t: t.assign(label=t["label"].replace({"als": "ALS"}))
    )
    table = pd.read_csv(folder / "manifest.csv")
    (folder / "._d01_1.png").write_bytes(b"of macOS")
    pd.concat([table.iloc[:1].assign(path="._d01_1.png"), table]).to_csv(folder / "manifest.csv", index=False)
    assert kind_of(folder) == "crops"
