"""Synthetic crops: structure, determinism, exact zeros, truth and mask; a reader's crops, read or refused."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from als_core.__main__ import app
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.reading import turned
from als_core.refusal import RefusedInput
from als_core.storage import file_digest
from als_core.studies.miao2023.cohort import (
    bit_depth,
    centre_square,
    channel_number,
    grey_crops,
    is_case,
    open_crops,
    read_channel,
    to_8_bits,
    truth_and_masks,
)
from als_core.studies.miao2023.restoration import sharpness
from als_core.studies.miao2023.synthetic import (
    CropParameters,
    cohort_key,
    make_synthetic_crops,
    plan,
    render_crop,
    synthetic_crops_arrays,
)

SMALL = CropParameters(side=64)


@pytest.fixture(scope="module")
def small():
    return synthetic_crops_arrays(SMALL, 0)


def test_the_plan_has_the_published_structure():
    table = plan()
    assert table["label"].value_counts().to_dict() == {"ALS": 28, "NO-ALS": 11}
    assert table["group"].nunique() == 26
    assert (table["group"].value_counts() == 2).sum() == 13
    assert table.groupby("label")["group"].nunique().to_dict() == {"ALS": 17, "NO-ALS": 9}
    assert (table.groupby("group")["label"].nunique() == 1).all()
    assert all(table[column].is_unique for column in ("path", "truth", "mask"))
    assert not table["path"].str.contains("ALS").any()


def test_a_crop_is_the_same_alone_in_any_order(small):
    images, truths, masks, table = small
    for row in list(table.itertuples())[::-9]:
        crop = render_crop(SMALL, row, 0)
        np.testing.assert_array_equal(crop.image, images[row.Index])
        np.testing.assert_array_equal(crop.truth, truths[row.Index])
        np.testing.assert_array_equal(crop.mask, masks[row.Index])
        assert crop.aggregates == table["aggregates"][row.Index]
    assert (render_crop(SMALL, table.loc[0], 1).image != images[0]).any()
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_without_disease_effect_no_pixel_depends_on_the_label(small):
    parameters = replace(SMALL, disease_effect=0)
    for row in plan().iloc[::8].itertuples():
        crop = render_crop(parameters, row, 0)
        other = render_crop(parameters, row._replace(label="NO-ALS" if row.label == "ALS" else "ALS"), 0)
        np.testing.assert_array_equal(crop.image, other.image)
        assert not crop.mask.any() and crop.aggregates == 0
        assert (render_crop(parameters, row._replace(label="ALS"), 1).image != crop.image).any()


def test_case_effect_is_what_crops_of_a_case_share():
    """With it, brightness varies far more between cases than within; without, hardly."""

    def ratio(effect):
        images, _, _, table = synthetic_crops_arrays(replace(SMALL, disease_effect=0, case_effect=effect), 3)
        brightness = pd.Series(np.log(images[..., 0].mean(axis=(1, 2)) - 10))
        two = table["group"].duplicated(keep=False)
        by_case = brightness[two].groupby(table["group"][two])
        return 2 * by_case.mean().var() / by_case.var().mean()

    assert ratio(0) < 3.2  # F(12, 13) exceeds 3.2 with probability 0.025
    assert ratio(3) > 6


def test_the_sign_is_aggregates_in_the_mask_and_a_darker_nucleus(small):
    _, truths, masks, table = small
    without = synthetic_crops_arrays(replace(SMALL, disease_effect=0), 0)[1]
    control = (table["label"] != "ALS").to_numpy()
    np.testing.assert_array_equal(truths[control], without[control])
    assert not masks[control].any()
    change = truths[~control].astype(int) - without[~control]
    assert (change[masks[~control]] > 20).mean() > 0.95
    assert change.min() < -20 and not (change[masks[~control]] < 0).any()
    counts = [ndimage.label(mask, np.ones((3, 3)))[1] for mask in masks]
    assert table["aggregates"].tolist() == counts and max(counts) > 3


def test_a_crop_is_its_truth_blurred_with_poisson_noise():
    row = plan().iloc[3]
    crop = render_crop(CropParameters(side=256), row, 0)
    image, truth = crop.image[..., 0].astype(float), crop.truth.astype(float)
    assert (crop.image == crop.image[..., :1]).all()
    assert abs(image.mean() - truth.mean()) < 0.5
    smooth = cv2.GaussianBlur(truth, (0, 0), 0.35 * 256 / 32)
    noise = (image - smooth)[truth < 230]
    signal = (smooth - 0.04 * 255)[truth < 230]
    bright, dark = signal > np.quantile(signal, 0.9), signal < np.quantile(signal, 0.3)
    # variance in proportion to the signal above the camera's offset
    ratio = (noise[bright].var() / signal[bright].mean()) / (noise[dark].var() / signal[dark].mean())
    assert 0.8 < ratio < 1.25
    assert sharpness(crop.truth) > sharpness(np.rint(smooth).astype(np.uint8))


def test_a_small_crop_shows_the_same_field_as_a_large_one():
    row = plan().iloc[5]
    large = render_crop(CropParameters(side=256), row, 0).truth
    small = render_crop(CropParameters(side=64), row, 0).truth
    reduced = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.99


def test_a_folder_holds_what_the_arrays_hold_and_loads_as_a_cohort(tmp_path, small):
    images, truths, masks, table = small
    make_synthetic_crops(tmp_path / "crops", SMALL, 0, progress=False)
    cohort = Cohort.load(tmp_path / "crops", kind="synthetic")
    np.testing.assert_array_equal(cohort.images(), images)
    for found, expected in zip(truth_and_masks(cohort), (truths, masks), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(grey_crops(cohort), images[..., 0])
    assert cohort.samples["aggregates"].astype(int).tolist() == table["aggregates"].tolist()
    assert is_case(cohort).sum() == 28 and not cohort.twins
    assert json.loads((tmp_path / "crops" / "parameters.json").read_text()) == {
        "seed": 0,
        "disease_effect": 1.0,
        "case_effect": 1.0,
        "side": 64,
    }


def test_the_key_follows_every_argument():
    keys = {cohort_key(SMALL, 0), cohort_key(SMALL, 1), cohort_key(replace(SMALL, case_effect=2), 0)}
    assert len(keys) == 3


def test_bad_parameters_are_refused_all_at_once():
    with pytest.raises(RefusedInput) as refusal:
        CropParameters(disease_effect=-1, case_effect=float("nan"), side=8)
    assert [p.where for p in refusal.value.problems] == ["disease_effect", "case_effect", "side"]


def own_folder(folder, crops, labels=None):
    """A reader's folder: PNG crops as given, every crop a case of its own."""
    folder.mkdir(exist_ok=True)
    for name, crop in crops.items():
        assert cv2.imwrite(str(folder / name), crop)
    labels = labels or ["ALS", "control"] * (len(crops) // 2)
    pd.DataFrame({"path": list(crops), "label": labels, "group": list(crops)}).to_csv(
        folder / "manifest.csv", index=False
    )
    return str(folder)


def test_own_crops_of_odd_size_and_12_bits_become_8_bit_squares(tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    generator = np.random.default_rng(0)
    crops = {f"{n}.png": generator.integers(0, 4096, (67 + n, 65), dtype=np.uint16) for n in range(8)}
    cohort = open_crops(own_folder(tmp_path / "mine", crops), SMALL)
    assert cohort.kind == "own" and cohort.name == "mine"
    assert cohort.images().shape == (8, 64, 64, 3)
    assert 110 < cohort.images().mean() < 140
    assert is_case(cohort).tolist() == [True, False] * 4
    assert truth_and_masks(cohort) == (None, None)


def test_what_a_reader_accepted_and_named_holds_for_crops_too(tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    generator = np.random.default_rng(0)
    crops = {f"{n}.png": generator.integers(0, 256, (64, 64), dtype=np.uint8) for n in range(8)}
    folder = own_folder(tmp_path / "mine", crops)
    table = pd.read_csv(tmp_path / "mine" / "manifest.csv").assign(
        group=["7", "1", "007", "2", "3", "4", "5", "6"]
    )
    table.to_csv(tmp_path / "mine" / "manifest.csv", index=False)
    with pytest.raises(RefusedInput, match="ALS017"):
        open_crops(folder, SMALL)
    (tmp_path / "mine" / "cohort.yml").write_text("title: Cortex\naccept: [ALS017]\nresize: 32\n")
    cohort = open_crops(folder, SMALL)
    assert cohort.about["title"] == "Cortex" and cohort.image_shape == (64, 64)
    done = CliRunner().invoke(app, ["check", folder])
    assert done.exit_code == 0 and "8 grey crops of 64 x 64 pixels" in done.output, done.output


def test_copies_of_crops_are_refused_under_the_readers_names_and_accepted_as_the_refusal_says(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    noise = np.random.default_rng(0).integers(0, 256, (16, 64, 64), dtype=np.uint8)
    crops = {f"field {n}.png": each for n, each in enumerate(noise)}
    crops |= dict.fromkeys(("field 8.png", "field 9.png"), crops["field 4.png"])  # each a group, one label
    folder = own_folder(tmp_path / "mine", crops, ["ALS"] * 10 + ["control"] * 6)
    refusal = CliRunner().invoke(app, ["check", folder]).exception
    assert f"The crops in {folder}: 1 problem" in str(refusal) and "--accept ALS020" in str(refusal)
    assert "field 4.png, line 6 and field 8.png, line 10 and field 9.png, line 11" in str(refusal)
    assert "crops/0" not in str(refusal)
    done = CliRunner().invoke(app, ["check", folder, "--accept", "ALS020", "--group-word", "dishes"])
    assert done.exit_code == 0, done.exception
    assert "14 grey crops" in done.output and "label or group: field 8.png, field 9.png" in done.output
    cohort = open_crops(folder, SMALL)
    assert len(cohort) == 14 and cohort.about["group_word"] == "dishes", "kept in cohort.yml for the book"


def test_checksums_are_of_the_readers_files_and_copies_of_crops_are_found_under_their_names(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    noise = np.random.default_rng(0).integers(0, 4096, (8, 70, 70), dtype=np.uint16)
    crops = {f"field {n}.png": each for n, each in enumerate(noise)}
    crops["field 2.png"] = crops["field 0.png"]
    folder = own_folder(tmp_path / "mine", crops)
    manifest = tmp_path / "mine" / "manifest.csv"
    table = pd.read_csv(manifest)
    table["group"] = ["a", "b", "a", *table["group"][3:]]
    table["sha256"] = [file_digest(tmp_path / "mine" / name) for name in table["path"]]
    table.to_csv(manifest, index=False)
    cohort = open_crops(folder, SMALL)
    assert len(cohort) == 8 and cohort.images().dtype == np.uint8
    found = CliRunner().invoke(app, ["leaks", folder])
    assert found.exit_code == 0, found.exception
    assert "8 images; sets of copies: 1; " in found.output and "field 0.png and field 2.png: " in found.output

    table.loc[[4, 5], "sha256"] = "0" * 64
    table.to_csv(manifest, index=False)
    with pytest.raises(RefusedInput, match="where the manifest says 000000000000") as refusal:
        open_crops(folder, SMALL)
    (problem,) = refusal.value.problems
    assert (problem.check, problem.count) == ("ALS012", 2)
    assert problem.examples[0].startswith("field 4.png, line 6")


def test_own_crops_that_cannot_be_used_are_refused_with_their_reasons(tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    noise = np.random.default_rng(0).integers(1, 255, (64, 64, 3), dtype=np.uint8)
    bad = {
        "black.png": np.zeros((64, 64), np.uint8),
        "colours.png": noise,
        "long.png": noise[:, :33, 0],
        "good.png": noise[..., 0],
    }
    folder = own_folder(tmp_path / "mine", bad)
    with pytest.raises(RefusedInput) as refusal:
        open_crops(folder, SMALL)
    assert [p.row for p in refusal.value.problems] == [2, 3, 4]
    for reason in ("0 in every pixel", "3 channels that differ", "too far from a square"):
        assert reason in str(refusal.value)
    with pytest.raises(RefusedInput, match=r"no manifest.csv"):
        open_crops(str(tmp_path / "nowhere"), SMALL)
    (tmp_path / "mine" / "manifest.csv").write_text("path,label\ngood.png,ALS\nlong.png,control\n")
    with pytest.raises(RefusedInput, match="no column `group`"):
        open_crops(folder, SMALL)


def test_a_crops_manifest_is_read_as_that_of_images_and_its_notices_and_columns_are_kept(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64), dtype=np.uint8)
    folder = own_folder(tmp_path / "mine", {f"{n}.png": each for n, each in enumerate(noise)})
    manifest = tmp_path / "mine" / "manifest.csv"
    table = pd.read_csv(manifest).assign(source="Leeds")
    table.loc[len(table)] = ["._0.png", "ALS", "x", "York"]
    table.rename(columns={"path": "Path", "label": " Label"}).to_csv(manifest, index=False, sep=";")
    cohort = open_crops(folder, SMALL)
    assert len(cohort) == 8 and set(cohort.samples["source"]) == {"Leeds"}
    assert cohort.samples["original_path"].tolist() == [f"{n}.png" for n in range(8)]
    notices = "\n".join(cohort.notices)
    for words in ("semicolons", "Path,  Label are read as path, label", "such as ._0.png"):
        assert words in notices, notices


@pytest.mark.parametrize("option", [("--convert",), ("--resize", "64"), ("--fit", "pad")])
def test_als_check_refuses_to_convert_or_resize_crops(tmp_path, monkeypatch, option):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64), dtype=np.uint8)
    folder = own_folder(tmp_path / "mine", {f"{n}.png": each for n, each in enumerate(noise)})
    refusal = str(CliRunner().invoke(app, ["check", folder, *option]).exception)
    assert f"{option[0]}: found crops; expected images. Leave it out" in refusal and "--tissue" in refusal
    value = option[1] if option[1:] else "true"
    assert f"`{option[0].strip('-')}: {value}` into cohort.yml" in refusal
    assert not (tmp_path / "mine" / "cohort.yml").exists()


def test_crops_of_other_labels_are_refused_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    tissue = {f"{n}.png": np.zeros((64, 64), np.uint8) for n in range(4)}
    folder = own_folder(tmp_path / "tissue", tissue, ["control", "concordant", "discordant", "control"])
    with pytest.raises(
        RefusedInput, match="labels concordant, control, discordant; expected ALS and one other"
    ):
        open_crops(folder, SMALL)
    opened = open_crops("synthetic", SMALL)
    assert opened.kind == "synthetic" and len(opened) == 39


def test_a_colour_folder_is_read_from_the_channel_it_names(tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path / "results"))
    generator = np.random.default_rng(0)
    crops = {f"{n}.png": generator.integers(0, 256, (64, 64, 3), dtype=np.uint8) for n in range(8)}
    folder = own_folder(tmp_path / "mine", crops)
    with pytest.raises(RefusedInput, match="set `channel`"):
        open_crops(folder, SMALL)
    green = np.stack([crop[..., 1] for crop in crops.values()])
    for channel in ("green", "1", 1):
        np.testing.assert_array_equal(grey_crops(open_crops(folder, SMALL, channel=channel)), green)
    red = grey_crops(open_crops(folder, SMALL, channel="Red"))
    np.testing.assert_array_equal(
        red, np.stack([crop[..., 2] for crop in crops.values()])
    )  # OpenCV: blue first
    assert channel_number("") is None
    for wrong in ("TDP-43", "-1", 1.5):
        with pytest.raises(RefusedInput, match="a number from 0, or red, green or blue"):
            open_crops(folder, SMALL, channel=wrong)


def written(folder, image, name="crop.png"):
    assert cv2.imwrite(str(folder / name), image)
    return folder / name


@pytest.fixture
def crop():
    return np.random.default_rng(0).integers(0, 256, (40, 37), dtype=np.uint8)


def test_a_grey_crop_is_read_as_stored_from_every_kind_of_file(tmp_path, crop):
    deep = crop.astype(np.uint16) * 257
    opaque = np.dstack([crop] * 3 + [np.full_like(crop, 255)])
    green = np.dstack([np.zeros_like(crop), crop, np.zeros_like(crop)])
    for image, expected in (
        (crop, crop),
        (deep, deep),
        (np.dstack([crop] * 3), crop),
        (opaque, crop),
        (green, crop),
    ):
        found = read_channel(written(tmp_path, image))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_stored_on_its_side_is_turned_upright(tmp_path, crop, suffix, orientation):
    blocks = np.kron(crop[:5, :4], np.ones((16, 16), np.uint8))  # what JPEG keeps
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turned(blocks, inverse)))
    stored.save(tmp_path / f"crop{suffix}", exif=exif, **({"quality": 95} if suffix == ".jpg" else {}))
    read = read_channel(tmp_path / f"crop{suffix}")
    assert read.shape == blocks.shape
    assert np.abs(read.astype(int) - blocks).mean() < (5 if suffix == ".jpg" else 1e-9)


def test_several_channels_need_a_number_colours_counting_from_red(tmp_path, crop):
    red, blue = crop, np.ascontiguousarray(crop[::-1])
    path = written(tmp_path, np.dstack([blue, np.zeros_like(crop), red]))  # OpenCV writes blue first
    with pytest.raises(RefusedInput, match="2 channels that differ"):
        read_channel(path)
    np.testing.assert_array_equal(read_channel(path, 0), red)
    np.testing.assert_array_equal(read_channel(path, 2), blue)
    with pytest.raises(RefusedInput, match="a channel 3"):
        read_channel(path, 3)
    pages = tmp_path / "pages.tif"
    assert cv2.imwritemulti(str(pages), [red, blue])
    np.testing.assert_array_equal(read_channel(pages, 1), blue)


def test_what_shows_nothing_or_does_not_decode_is_refused_with_the_reason(tmp_path, crop):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    reasons = {
        written(tmp_path, np.zeros((9, 9), np.uint8), "black.png"): "0 in every pixel",
        written(tmp_path, np.full((9, 9), 7, np.uint8), "even.png"): "7 in every pixel",
        written(tmp_path, crop.astype(np.float32), "real.tif"): "float32 values",
        broken: "bytes that do not decode",
        tmp_path / "absent.png": "no such file",
    }
    for path, reason in reasons.items():
        with pytest.raises(RefusedInput, match=reason) as refusal:
            read_channel(path)
        assert str(path) in str(refusal.value)


def test_bits_are_those_of_the_camera_and_relative_brightness_is_kept():
    dim, bright = np.array([[100, 300]], np.uint16), np.array([[1000, 4000]], np.uint16)
    assert bit_depth([dim, bright]) == 12 and bit_depth([dim]) == 10
    assert bit_depth([np.array([[255]], np.uint8)]) == 8 and bit_depth([np.array([[65535]], np.uint16)]) == 16
    np.testing.assert_array_equal(to_8_bits(bright, 12), [[62, 250]])
    np.testing.assert_array_equal(to_8_bits(dim, 12), [[6, 18]])
    with pytest.raises(ValueError, match="does not fit in 8 bits"):
        to_8_bits(dim, 8)


def test_a_nearly_square_crop_is_cut_to_its_centre(crop):
    np.testing.assert_array_equal(centre_square(crop), crop[1:38])
    with pytest.raises(ValueError, match="too far from a square"):
        centre_square(np.zeros((64, 40), np.uint8))
    with pytest.raises(ValueError, match="fewer than 32"):
        centre_square(np.zeros((31, 31), np.uint8))
