"""Augmentations: an oracle for each, one contract for all, and the release's own numbers on its images."""

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from als_core.cohorts.quality import measure_quality
from als_core.storage import data_folder
from als_core.studies.xia2024.augmentation import AUGMENTATIONS, FIGURE_5, MINIMUM_SIDE

ANY_IMAGE = arrays(np.uint8, st.tuples(st.integers(16, 24), st.integers(16, 24), st.just(3)))
FILTERS = ("gray_denoised", "colour_denoised", "gray_nonlocal", "colour_nonlocal")


def apply(name, image, seed=0):
    chosen = AUGMENTATIONS[name]
    return chosen(image, np.random.default_rng(seed)) if chosen.random else chosen(image)


def smooth_image(height=80, width=100):
    """Broad waves of colour: interpolation errors stay below a level or two."""
    row, column = np.mgrid[:height, :width]
    waves = [np.sin(row / 9 + shift) * np.cos(column / 11 - shift) for shift in (0, 1, 2)]
    return np.rint(128 + 60 * np.stack(waves, axis=2)).astype(np.uint8)


def noisy_patch(sd=2.0, shape=(64, 80, 3)):
    return np.rint(np.random.default_rng(3).normal(120, sd, shape)).astype(np.uint8)


# --- oracles ---


@given(ANY_IMAGE)
def test_flip_reverses_columns(image):
    assert np.array_equal(apply("flip", image), image[:, ::-1])


@given(ANY_IMAGE)
def test_gray_is_luma_in_three_channels(image):
    gray = apply("gray", image)
    assert np.abs(gray - (image @ [0.299, 0.587, 0.114])[..., None]).max() <= 0.51
    assert np.array_equal(gray, gray[..., [1, 2, 0]])


@given(ANY_IMAGE)
def test_brighten_multiplies_and_clips(image):
    assert np.array_equal(apply("brighten", image), np.minimum(np.rint(image * 1.5), 255))


def test_rotate_is_a_quarter_turn_and_four_of_them_are_none():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.array_equal(apply("rotate", image), np.rot90(image))
    turned = image
    for _ in range(4):
        turned = apply("rotate", turned)
    assert np.array_equal(turned, image)


def test_rotate_stretches_what_is_not_square():
    wide = np.zeros((20, 40, 3), np.uint8)
    wide[:, 20:] = 255  # right half white: on top after a counter-clockwise turn
    turned = apply("rotate", wide)
    assert turned[:9].min() == 255 and turned[11:].max() == 0


def bilinear(image, rows, columns):
    """Values at fractional positions, 0 outside; the plain version."""
    height, width = image.shape[:2]
    padded = np.pad(image.astype(float), ((1, 2), (1, 2), (0, 0)))
    rows, columns = np.clip(rows, -1, height) + 1, np.clip(columns, -1, width) + 1
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def resized(image, height, width):
    """Bilinear, pixel centres aligned, edges repeated."""
    rows = np.clip((np.arange(height) + 0.5) * image.shape[0] / height - 0.5, 0, image.shape[0] - 1)
    columns = np.clip((np.arange(width) + 0.5) * image.shape[1] / width - 0.5, 0, image.shape[1] - 1)
    return bilinear(image, *np.meshgrid(rows, columns, indexing="ij"))


def test_crop_enlarges_what_is_inside_the_border():
    image = np.random.default_rng(0).integers(0, 256, (400, 120, 3), dtype=np.uint8)
    expected = resized(image[10:-10, 3:-3], 400, 120)  # 10 of 400 pixels, and 3 of 120
    assert np.abs(apply("crop", image) - expected).max() <= 1


def test_scale_blurs_and_moves_nothing():
    image = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    expected = resized(np.rint(resized(image, 45, 72)), 50, 80)
    scaled = apply("scale", image)
    assert np.abs(scaled - expected).max() <= 2
    assert scaled.std() < image.std()
    assert np.abs(apply("scale", smooth_image()).astype(int) - smooth_image()).max() <= 2


def test_noise_is_even_from_0_to_9_before_it_clips():
    image = np.full((200, 200, 3), 100, np.uint8)
    added = apply("noise", image).astype(int) - image
    counts = np.bincount(added.ravel())
    assert len(counts) == 10
    assert np.abs(counts / added.size - 0.1).max() < 0.005  # 120 000 draws: 5.8 standard errors
    assert added.mean() == pytest.approx(4.5, abs=0.05)
    assert added.std() == pytest.approx(np.sqrt(99 / 12), abs=0.03)
    channels = added.reshape(-1, 3)
    assert abs(np.corrcoef(channels.T)[np.triu_indices(3, 1)]).max() < 0.03  # each channel on its own
    assert apply("noise", np.full((20, 20, 3), 250, np.uint8)).max() == 255


def test_perspective_takes_the_corners_where_the_generator_says():
    image = smooth_image(80, 120)
    corners = np.array([[0, 0], [119, 0], [0, 79], [119, 79]], float)
    moved = corners + np.random.default_rng(5).normal(size=(4, 2)) * [120 / 80, 80 / 80]  # 5 px of 400
    # the eight unknowns of the map back, from moved corner (x, y) to corner (u, v)
    rows = []
    for (x, y), (u, v) in zip(moved, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    back = np.append(np.linalg.solve(rows, corners.ravel()), 1).reshape(3, 3)
    row, column = np.mgrid[:80, :120]
    u, v, w = np.einsum("ij,jrc->irc", back, np.stack([column, row, np.ones_like(row)]))
    expected = bilinear(image, v / w, u / w)
    inside = np.s_[5:-5, 5:-5]  # black wedges meet the image at the border
    assert np.abs(apply("perspective", image, 5)[inside] - expected[inside]).max() <= 2
    assert np.abs(image[inside] - expected[inside]).max() > 5  # else this would hold for no change at all


def plain_bilateral(image, diameter, sigma_levels, sigma_pixels):
    radius = diameter // 2
    image = image.astype(float).reshape(*image.shape[:2], -1)
    padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    total, weights = np.zeros_like(image), np.zeros((*image.shape[:2], 1))
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down**2 + right**2 <= radius**2:
                there = padded[radius + down :, radius + right :][: image.shape[0], : image.shape[1]]
                apart = np.abs(there - image).sum(axis=2, keepdims=True)
                weight = np.exp(
                    -(down**2 + right**2) / (2 * sigma_pixels**2) - apart**2 / (2 * sigma_levels**2)
                )
                total += weight * there
                weights += weight
    return total / weights


def stepped_image():
    """Noise on two flat halves with a sharp edge between them."""
    image = noisy_patch(4.0, (40, 60, 3)).astype(int)
    image[:, 30:] -= 70
    return image.astype(np.uint8)


@pytest.mark.parametrize("name", ["gray_denoised", "colour_denoised"])
def test_denoising_is_a_bilateral_filter_away_from_edges(name):
    image = stepped_image()
    source = apply("gray", image) if name == "gray_denoised" else image
    expected = plain_bilateral(source[..., :1] if name == "gray_denoised" else source, 15, 30, 75)
    denoised = apply(name, image)
    near = np.abs(np.arange(60) - 29.5) < 3  # the edge lies on columns 29 or 30, widened by 2
    assert np.array_equal(denoised[:, 28:32], source[:, 28:32])
    assert np.abs(denoised[:, ~near] - expected[:, ~near]).max() <= 0.51
    assert denoised[:, ~near].std(axis=(0, 1)).max() < source[:, ~near].std(axis=(0, 1)).max()


def test_gray_nonlocal_is_non_local_means():
    image = noisy_patch(3.0, (24, 28, 3))
    luma = apply("gray", image)[..., 0].astype(float)
    padded = np.pad(luma, 13, mode="reflect")  # half of 21, and half of 7
    patches = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))  # of every pixel and 10 around
    total, weights = np.zeros_like(luma), np.zeros_like(luma)
    for down in range(21):
        for right in range(21):
            there = patches[down : down + 24, right : right + 28]
            weight = np.exp(-((there - patches[10:34, 10:38]) ** 2).mean(axis=(2, 3)) / 3**2)
            total += weight * there[..., 3, 3]
            weights += weight
    assert (
        np.abs(apply("gray_nonlocal", image)[..., 0] - total / weights).max() <= 1.5
    )  # OpenCV: integer weights


@pytest.mark.parametrize("name", FILTERS)
def test_denoising_takes_noise_and_leaves_the_mean(name):
    image = noisy_patch()
    source = apply("gray", image) if name.startswith("gray") else image
    denoised = apply(name, image)
    assert denoised.var(axis=(0, 1)).max() < source.var(axis=(0, 1)).min() / 2
    assert np.abs(denoised.mean(axis=(0, 1)) - source.mean(axis=(0, 1))).max() < 0.7


def test_colour_nonlocal_does_not_swap_red_and_blue():
    image = noisy_patch() // np.array([1, 2, 4], np.uint8)
    assert np.abs(apply("colour_nonlocal", image).mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 1


def test_enhancing_spreads_the_luma_of_the_denoised_image_and_keeps_its_colour():
    image = smooth_image(100, 120) // 4 + 90
    before, after = (
        cv2.cvtColor(apply(name, image), cv2.COLOR_RGB2YUV).astype(int)
        for name in ("colour_denoised", "colour_denoised_enhanced")
    )
    assert after[..., 0].std() > 1.5 * before[..., 0].std()
    assert np.abs(after[..., 1:] - before[..., 1:]).max() <= 2


# --- the contract: a new augmentation is covered by being registered ---


@pytest.fixture(params=AUGMENTATIONS)
def name(request):
    return request.param


@pytest.mark.parametrize("shape", [(MINIMUM_SIDE, MINIMUM_SIDE, 3), (16, 41, 3), (53, 17, 3), (40, 40, 3)])
def test_contract_shape_and_type_stay_and_the_input_too(name, shape):
    image = noisy_patch(5.0, shape)
    before = image.copy()
    image.setflags(write=False)
    out = apply(name, image)
    assert out.shape == shape and out.dtype == np.uint8
    assert np.array_equal(image, before) and not np.shares_memory(out, image)
    assert not np.array_equal(out, image)


def test_contract_equal_generators_give_equal_images(name):
    image = noisy_patch()
    assert np.array_equal(apply(name, image, 1), apply(name, image, 1))
    assert np.array_equal(apply(name, image, 1), apply(name, image, 2)) != AUGMENTATIONS[name].random


def test_contract_views_give_what_copies_give(name):
    image = noisy_patch()
    assert np.array_equal(apply(name, image[::-1, ::-1]), apply(name, image[::-1, ::-1].copy()))


def test_contract_one_colour_stays_one_colour(name):
    if name in ("noise", "perspective"):
        pytest.skip("adds noise, or black corners")
    out = apply(name, np.full((40, 50, 3), 77, np.uint8))
    assert np.ptp(out.reshape(-1, 3), axis=0).max() == 0


def test_contract_bad_images_are_refused(name):
    good = noisy_patch()
    for bad in (good / 255, good[..., 0], good[..., :1], good[:, :8], good[None], np.dstack([good, good])):
        with pytest.raises(ValueError, match="expected"):
            apply(name, bad)


def test_contract_a_generator_goes_where_it_has_an_effect_and_nowhere_else(name):
    chosen = AUGMENTATIONS[name]
    with pytest.raises(TypeError, match="generator"):
        chosen(noisy_patch(), None if chosen.random else np.random.default_rng(0))


def test_the_nine_of_figure_5_are_in_the_order_of_its_panels():
    assert "".join(AUGMENTATIONS[each].panel for each in FIGURE_5) == "abcdefghi"
    status = [each.status for each in AUGMENTATIONS.values()]
    assert status.count("in Fig. 5") == 9 and status.count("set aside in Section 3") == 2


# --- the release's own numbers: Laplacian variance of its augmented images ---

RELEASED = {
    "106.tif": {
        "gray_denoised": 631.6077052494511,
        "colour_denoised": 632.090868893778,
        "colour_denoised_enhanced": 6915.097451330861,
        "brighten": 221.1701807731297,
    },
    "112.tif": {
        "gray_denoised": 359.29389541759156,
        "colour_denoised": 363.7148721218109,
        "colour_denoised_enhanced": 3530.571038505994,
        "brighten": 172.1457519493997,
    },
}


@pytest.mark.parametrize("file", RELEASED)
def test_values_of_the_release_come_out_on_its_own_images(file):
    if data_folder() is None or not (data_folder() / "xia2024" / "images" / file).exists():
        pytest.skip("ALS_DATA does not hold the images of Xia et al. 2024")
    image = tifffile.imread(data_folder() / "xia2024" / "images" / file)
    found = {name: measure_quality(apply(name, image)).laplacian_variance for name in RELEASED[file]}
    assert found == pytest.approx(RELEASED[file], rel=1e-5)
    # its noise was not seeded, so only close: 643.6 and 397.2
    noisy = measure_quality(apply("noise", image)).laplacian_variance
    assert noisy == pytest.approx({"106.tif": 643.6, "112.tif": 397.2}[file], rel=0.01)
