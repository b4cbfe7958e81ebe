"""Filters, reduced crops, balancing copies and measures of restoration against plain versions."""

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from als_core.refusal import RefusedInput
from als_core.studies.miao2023.filters import (
    AFFINE_LIMITS,
    FILTERS,
    affine_copies,
    enlarge,
    image_counts,
    low_resolution,
    random_affine,
    to_grey,
    trim,
)
from als_core.studies.miao2023.restoration import (
    count_aggregates,
    find_spots,
    measure_filters,
    psnr,
    sharpness,
    ssim,
)
from als_core.studies.miao2023.synthetic import CropParameters, synthetic_crops_arrays

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


def test_a_copy_is_rotated_shifted_and_scaled_within_the_limits():
    """A bright spot goes where the drawn turn, scale and shift take it."""
    image = np.zeros((101, 101), np.uint8)
    cv2.circle(image, (70, 50), 3, 255, -1)
    for seed in range(5):
        copy = random_affine(image, np.random.default_rng(seed))
        draw = np.random.default_rng(seed)
        turn = np.deg2rad(draw.uniform(-AFFINE_LIMITS["rotation"], AFFINE_LIMITS["rotation"]))
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


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    truth = cv2.GaussianBlur(generator.integers(0, 256, (48, 48)).astype(np.uint8), (0, 0), 2)
    return np.clip(truth + generator.normal(0, 5, truth.shape), 0, 255).astype(np.uint8), truth


def test_psnr_equals_scikit_image_and_is_infinite_for_equal_images(pair):
    image, truth = pair
    assert psnr(image, truth) == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=255))
    assert psnr(truth, truth) == np.inf


def test_ssim_of_one_pixel_equals_the_formula():
    """Plain version of Wang et al. 2004 at the centre, averaged over the image the function averages."""
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 256, (40, 40)).astype(np.uint8)
    image = generator.integers(0, 256, (40, 40)).astype(np.uint8)
    x, y = image.astype(float), truth.astype(float)

    def window(values):
        return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)

    mx, my = window(x), window(y)
    vx, vy, cov = window(x * x) - mx**2, window(y * y) - my**2, window(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    each = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(image, truth) == pytest.approx(each[5:-5, 5:-5].mean(), abs=1e-6)
    assert ssim(truth, truth) == 1


def test_sharpness_is_the_mean_squared_gradient():
    ramp = np.tile(np.arange(0, 120, 3, dtype=np.uint8), (40, 1))
    assert sharpness(ramp) == 9
    assert sharpness(np.full((9, 9), 5, np.uint8)) == 0


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_two_sizes_or_kinds_are_refused(measure, pair):
    image, truth = pair
    with pytest.raises(ValueError, match="cannot be compared"):
        measure(image[:-1], truth)
    with pytest.raises(ValueError, match="8-bit grey"):
        measure(image / 255, truth)


def test_aggregates_found_missed_and_invented_are_counted_one_by_one():
    image, mask = np.full((128, 128), 40, np.uint8), np.zeros((128, 128), bool)
    for number, (x, y) in enumerate([(30, 30), (90, 30), (60, 60), (30, 95)]):
        disc = cv2.circle(np.zeros((128, 128), np.uint8), (x, y), 3, 1, -1).astype(bool)
        if number != 1:  # the second is in the mask alone: missed
            image[disc] = 160
        if number != 3:  # the last is in the image alone: invented
            mask |= disc
    assert find_spots(image).max() == 3
    assert count_aggregates(image, mask) == (2, 1, 1)
    assert count_aggregates(np.full_like(image, 40), mask) == (0, 3, 0)
    with pytest.raises(ValueError, match="a mask of"):
        count_aggregates(image, mask[:-1])


def test_what_is_broad_or_faint_is_no_spot():
    broad = cv2.circle(np.full((128, 128), 20, np.uint8), (64, 64), 25, 120, -1)
    faint = cv2.circle(np.full((128, 128), 20, np.uint8), (64, 64), 3, 45, -1)
    assert find_spots(broad).max() == 0 and find_spots(faint).max() == 0


def test_on_the_truth_nearly_every_aggregate_is_found_and_few_are_invented():
    _, truths, masks, _ = synthetic_crops_arrays(CropParameters(side=128), 0)
    found, missed, invented = np.sum(
        [count_aggregates(*each) for each in zip(truths, masks, strict=True)], axis=0
    )
    assert found > 100 and missed <= 0.01 * found and invented <= 0.05 * found


def test_filters_are_measured_on_every_crop():
    images, truths, masks, _ = synthetic_crops_arrays(CropParameters(side=64), 0)
    table = measure_filters(images[:3, ..., 0], truths[:3], masks[:3])
    assert len(table) == 3 * (1 + len(FILTERS)) and table.notna().all(axis=None)
    second = FILTERS["median"](images[1, ..., 0])
    (row,) = table[(table["filter"] == "Median filter") & (table["crop"] == 1)].to_dict("records")
    assert row["PSNR to the truth (dB)"] == psnr(second, truths[1])
    assert list(measure_filters(images[:3, ..., 0], None, None)) == list(table)[:3]
