"""Filters, low-resolution pairs and balancing copies against plain versions; crops of any file, read or refused."""

import cv2
import numpy as np
import pytest

from als_core.refusal import RefusedInput
from als_core.studies.miao2023.crop_files import bit_depth, centre_square, read_channel, to_8_bits
from als_core.studies.miao2023.filters import (
    FILTERS,
    AFFINE_LIMITS,
    to_grey,
    enlarge,
    low_resolution,
    random_affine,
    affine_copies,
    image_counts,
    trim,
)

every_filter = pytest.mark.parametrize("name", FILTERS)


@pytest.fixture
def crop():
    return np.random.default_rng(0).integers(0, 256, (40, 37), dtype=np.uint8)


@every_filter
def test_a_filter_gives_a_new_image_of_the_same_shape(name, crop):
    before = crop.copy()
    filtered = FILTERS[name](crop)
    assert filtered.shape == crop.shape and filtered.dtype == np.uint8
    assert (filtered != crop).any() and not np.shares_memory(filtered, crop)
    np.testing.assert_array_equal(crop, before)
    np.testing.assert_array_equal(FILTERS[name](crop), filtered)


@every_filter
@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8)), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8), np.uint8)]
)
def test_a_filter_refuses_what_is_no_grey_image(name, wrong):
    with pytest.raises(ValueError, match=r"expected an 8-bit grey image"):
        FILTERS[name](wrong)


def test_filters_equal_their_plain_versions(crop):
    row, column = 17, 21
    around = crop[row - 1 : row + 2, column - 1 : column + 2]
    assert FILTERS["median"](crop)[row, column] == np.median(around)
    assert abs(FILTERS["mean"](crop)[row, column] - around.mean()) <= 0.5
    reach = np.arange(-3, 4)
    weights = np.exp(-(reach**2) / 2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    expected = (crop[row - 3 : row + 4, column - 3 : column + 4] * weights).sum()
    assert abs(FILTERS["gaussian"](crop)[row, column] - expected) < 1.5  # OpenCV's weights have 8 bits
    dark = (crop // 4).astype(np.uint8)
    shares = np.bincount(FILTERS["equalise"](dark).ravel() // 64, minlength=4) / crop.size
    np.testing.assert_allclose(shares, 0.25, atol=0.06)


def test_grey_is_the_channel_itself_where_all_are_equal(crop):
    np.testing.assert_array_equal(to_grey(np.stack([crop] * 3, axis=2)), crop)
    colour = np.zeros((5, 5, 3), np.uint8)
    colour[..., 1] = 100
    assert (to_grey(colour) == 59).all()


def test_low_resolution_is_block_means_and_noise(crop):
    even = trim(crop, 4)
    assert even.shape == (40, 36)
    blocks = low_resolution(even, 4, np.random.default_rng(0), noise_sd=0)
    expected = np.array(
        [[even[r : r + 4, c : c + 4].mean() for c in range(0, 36, 4)] for r in range(0, 40, 4)]
    )
    np.testing.assert_array_equal(blocks, np.rint(expected))
    flat = np.full((200, 200), 128, np.uint8)
    noisy = low_resolution(flat, 2, np.random.default_rng(0), noise_sd=5)
    assert 4.8 < noisy.std() < 5.2 and abs(noisy.mean() - 128) < 0.2
    with pytest.raises(ValueError, match="not divisible by 4"):
        low_resolution(crop, 4, np.random.default_rng(0), noise_sd=0)
    with pytest.raises(ValueError, match="smaller than 64"):
        trim(crop, 64)


def test_enlarging_repeats_pixels_or_interpolates_about_the_same_places(crop):
    np.testing.assert_array_equal(enlarge(crop, 2, "nearest"), crop.repeat(2, 0).repeat(2, 1))
    smooth = cv2.GaussianBlur(crop, (0, 0), 3)
    back = low_resolution(enlarge(smooth, 2, "bicubic"), 2, np.random.default_rng(0), noise_sd=0)
    assert np.abs(back.astype(int) - smooth).max() <= 2


def test_a_moved_copy_is_turned_shifted_and_scaled_within_the_limits():
    """A bright spot goes where the drawn turn, scale and shift take it."""
    image = np.zeros((101, 101), np.uint8)
    cv2.circle(image, (70, 50), 3, 255, -1)
    for seed in range(5):
        copy = random_affine(image, np.random.default_rng(seed))
        draw = np.random.default_rng(seed)
        turn = np.deg2rad(draw.uniform(-AFFINE_LIMITS["turn"], AFFINE_LIMITS["turn"]))
        shift = draw.uniform(-AFFINE_LIMITS["shift"], AFFINE_LIMITS["shift"], 2) * 101
        reach = np.log(1 + AFFINE_LIMITS["scale"])
        away = 20 * np.exp(draw.uniform(-reach, reach))
        place = np.array([50 + away * np.cos(turn), 50 - away * np.sin(turn)]) + shift
        rows, columns = np.nonzero(copy > 100)
        np.testing.assert_allclose([columns.mean(), rows.mean()], place, atol=0.7)
        np.testing.assert_array_equal(random_affine(image, np.random.default_rng(seed)), copy)


def test_copies_do_not_depend_on_how_many_others_there_are(crop):
    images = np.stack(
        [crop, crop.T[:40, :37] if crop.T.shape == crop.shape else np.roll(crop, 5), crop[::-1]]
    )
    many, of_many = affine_copies(images, np.array([2, 0, 3]), 7)
    few, of_few = affine_copies(images, np.array([1, 1, 1]), 7)
    assert of_many.tolist() == [0, 0, 2, 2, 2] and of_few.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(few[[0, 2]], many[[0, 2]])
    assert len(np.unique(many.reshape(5, -1), axis=0)) == 5
    assert affine_copies(images, np.zeros(3, int), 7)[0].shape == (0, *images.shape[1:])


def test_shares_add_up_balance_classes_and_hold_every_original():
    labels = np.array([1] * 28 + [0] * 11)
    even = image_counts(labels, 391, balanced=False)
    assert even.sum() == 391 and even.min() == 10 and even.max() == 11
    equal = image_counts(labels, 270, balanced=True)
    assert equal[labels == 1].sum() == equal[labels == 0].sum() == 135
    assert np.ptp(equal[labels == 1]) <= 1 and np.ptp(equal[labels == 0]) <= 1
    with pytest.raises(RefusedInput, match="at least one of every sample"):
        image_counts(labels, 38, balanced=False)


def written(folder, image, name="crop.png"):
    assert cv2.imwrite(str(folder / name), image)
    return folder / name


def test_a_grey_crop_is_read_as_stored_whatever_holds_it(tmp_path, crop):
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
