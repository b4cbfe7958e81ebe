"""PSNR, SSIM and sharpness against plain versions; aggregates counted on images made by hand and drawn."""

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from als_core.studies.miao2023.restoration import count_aggregates, find_spots, psnr, sharpness, ssim
from als_core.studies.miao2023.synthetic import CropParameters, synthetic_crops_arrays


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
