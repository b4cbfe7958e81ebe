"""Quality measures against plain arithmetic, and against the values the authors' release lists."""

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from als_core.cohorts.quality import AXIS_LABELS, Quality, measure_quality, quality_table
from als_core.storage import data_folder

RELEASED = {  # file of the release: its Laplacian variance, mean brightness and contrast there
    "106.tif": (634.1632880622055, 184.9890125, 19.907434020356405),
    "112.tif": (388.5909423818812, 190.4053, 18.75852657886541),
    "13.tif": (1312.1080804856028, 195.40635625, 25.852427707046893),
}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_mean_sd_and_their_ratio_are_those_of_the_luma(image):
    gray = np.rint(image @ np.array([0.299, 0.587, 0.114]))
    found = measure_quality(image)
    assert found.brightness_mean == pytest.approx(gray.mean(), abs=0.01)
    assert found.contrast_sd == pytest.approx(gray.std(), abs=0.01)
    assert found.snr == pytest.approx(gray.mean() / gray.std(), abs=0.001)


def test_laplacian_is_four_neighbours_minus_four_centres_mirrored_at_the_border():
    luma = np.random.default_rng(1).integers(0, 256, (256, 256), dtype=np.uint8)  # no resizing at this side
    wide = np.pad(luma.astype(float), 1, mode="reflect")
    plain = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wide[1:-1, 1:-1]
    found = measure_quality(np.stack([luma] * 3, axis=2)).laplacian_variance
    assert found == pytest.approx(plain.var(), rel=1e-12)


def test_the_laplacian_copy_is_reduced_with_a_triangle_filter():
    luma = np.random.default_rng(2).integers(0, 256, (512, 512), dtype=np.uint8)
    halving = np.zeros((256, 512))
    for tap, weight in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):  # a triangle over four pixels
        np.add.at(halving, (np.arange(256), np.clip(2 * np.arange(256) + tap, 0, 511)), weight / 8)
    expected = cv2.Laplacian(halving @ luma @ halving.T, cv2.CV_64F).var()
    found = measure_quality(np.stack([luma] * 3, axis=2)).laplacian_variance
    assert found == pytest.approx(expected, rel=0.01)  # rounding to levels, and Pillow's border
    box = luma.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    assert cv2.Laplacian(box, cv2.CV_64F).var() > 1.5 * expected  # so another filter would be noticed


def test_red_and_blue_are_not_swapped():
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 255
    assert measure_quality(red).brightness_mean == pytest.approx(0.299 * 255, abs=0.5)
    assert measure_quality(red[..., ::-1].copy()).brightness_mean == pytest.approx(0.114 * 255, abs=0.5)


@given(level=st.integers(0, 255), side=st.integers(1, 40))
def test_one_level_has_no_signal_to_noise_ratio(level, side):
    found = measure_quality(np.full((side, side + 1, 3), level, np.uint8))
    assert found.brightness_mean == level
    assert found.contrast_sd == 0 and found.laplacian_variance == 0
    assert np.isnan(found.snr)


def test_table_is_the_measures_row_by_row(image):
    images = np.stack([image, image // 2, 255 - image])
    table = quality_table(images)
    assert list(table.columns) == list(Quality._fields) == list(AXIS_LABELS)
    assert [tuple(row) for row in table.to_numpy()] == [tuple(measure_quality(each)) for each in images]


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 4), (0, 8, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="8-bit RGB"):
        measure_quality(np.zeros(shape, np.uint8))


def test_other_types_are_refused(image):
    with pytest.raises(ValueError, match="float64"):
        measure_quality(image / 255)


@pytest.mark.parametrize("name", RELEASED)
def test_values_of_the_release_come_out_on_its_own_images(name):
    if data_folder() is None:
        pytest.skip("ALS_DATA is not set")
    file = data_folder() / "xia2024" / "images" / name
    if not file.exists():
        pytest.skip(f"{file} is not there")
    found = measure_quality(tifffile.imread(file))
    laplacian, brightness, contrast = RELEASED[name]
    assert found.laplacian_variance == pytest.approx(laplacian, rel=1e-12)
    assert found.brightness_mean == pytest.approx(brightness, rel=1e-12)
    assert found.contrast_sd == pytest.approx(contrast, rel=1e-12)
    assert found.snr == pytest.approx(brightness / contrast, rel=1e-12)
