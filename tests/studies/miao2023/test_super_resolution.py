"""Super-resolution: untrained it is bicubic, training reads its own rows only, held-out cases gain."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from als_core.refusal import RefusedInput
from als_core.studies.miao2023.filters import enlarge
from als_core.studies.miao2023.networks import build_crop_network
from als_core.studies.miao2023.protocol import BY_CASE, SuperResolution, draw_splits
from als_core.studies.miao2023.restoration import MEASURES, count_all, judge_restorations, psnr, summarise
from als_core.studies.miao2023.super_resolution import (
    Pairs,
    Perceptual,
    apply_generator,
    as_images,
    bicubic,
    build_discriminator,
    build_generator,
    enlargements,
    make_pairs,
    perceptual_network,
    train_super_resolution,
)
from als_core.studies.miao2023.synthetic import CropParameters, synthetic_crops_arrays

TINY = SuperResolution(factor=2, channels=4, blocks=1, content_steps=4, further_steps=3, batch=2, patch=8)


@pytest.fixture
def low():
    return torch.rand(2, 1, 12, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [2, 4])
def test_an_untrained_generator_enlarges_as_bicubic(factor, low):
    generator = build_generator(factor, channels=4, blocks=2, seed=0)
    with torch.inference_mode():
        made = generator(low)
    assert made.shape == (2, 1, 12 * factor, 10 * factor)
    assert torch.equal(made, bicubic(low, factor))


def test_bicubic_is_that_of_the_comparison():
    image = np.random.default_rng(0).integers(60, 200, (16, 16), dtype=np.uint8)
    ours = as_images(bicubic(torch.from_numpy(image)[None, None].float() / 255, 2))[0].numpy()
    assert np.abs(ours.astype(int) - enlarge(image, 2, "bicubic")).max() <= 1


def test_a_generator_can_change_every_pixel_and_gradient_reaches_every_weight(low):
    generator = build_generator(2, channels=4, blocks=2, seed=0)
    torch.nn.init.normal_(generator.exit.weight, generator=torch.Generator().manual_seed(0))
    made = generator(low)
    assert (made != bicubic(low, 2)).all()
    made.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in generator.parameters())


def test_the_output_follows_a_shift_of_the_input():
    """Only convolutions and pixel-shuffle: a shift by a pixel is one by `factor`, away from the border."""
    generator = build_generator(2, channels=4, blocks=1, seed=0)
    torch.nn.init.normal_(generator.exit.weight, generator=torch.Generator().manual_seed(0))
    image = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        here, there = generator(image), generator(image.roll(1, 3))
    torch.testing.assert_close(there[..., 18:-16], here[..., 16:-18])


def test_a_discriminator_gives_one_score_an_image_of_any_size(low):
    discriminator = build_discriminator(channels=4, seed=0)
    assert discriminator(low).shape == (2,)
    assert discriminator(torch.rand(3, 1, 33, 48)).shape == (3,)
    discriminator(low).sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())


def test_initial_values_come_from_the_seed_alone(low):
    before = torch.get_rng_state()
    first, again = (build_generator(2, channels=4, blocks=1, seed=3).state_dict() for _ in range(2))
    other = build_generator(2, channels=4, blocks=1, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["entry.0.weight"], other["entry.0.weight"])


def test_wrong_images_and_orders_are_refused(low):
    for network in (
        build_generator(2, channels=4, blocks=1, seed=0),
        build_discriminator(channels=4, seed=0),
    ):
        with pytest.raises(RefusedInput) as refusal:
            network(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
        assert len(refusal.value.problems) == 2
    with pytest.raises(RefusedInput) as refusal:
        build_generator(3, channels=0, blocks=0, seed=0)
    assert [p.where for p in refusal.value.problems] == ["factor", "channels", "blocks"]
    with pytest.raises(RefusedInput, match="channels"):
        build_discriminator(channels=0, seed=0)


def test_values_become_images_clipped_and_rounded():
    values = torch.tensor([[[[-0.1, 0.5], [1.2, 100.4 / 255]]]])
    assert as_images(values).tolist() == [[[0, 128], [255, 100]]]


@pytest.fixture(scope="module")
def crops():
    return synthetic_crops_arrays(CropParameters(side=64), 0)


@pytest.fixture(scope="module")
def pairs(crops):
    return make_pairs(crops[0][..., 0], crops[1], TINY, 0)


def states(trained):
    return [g.state_dict() for g in (trained.content, trained.adversarial)]


def test_pairs_are_reduced_crops_beside_their_truth(crops, pairs):
    images, truths, *_ = crops
    assert pairs.low.shape == (39, 32, 32)
    np.testing.assert_array_equal(pairs.high, truths)
    blocks = images[..., 0].reshape(39, 32, 2, 32, 2).mean((2, 4))
    assert 3.5 < (pairs.low - blocks).std() < 4.5
    some = make_pairs(images[:3, ..., 0], truths[:3], TINY, 0)
    np.testing.assert_array_equal(some.low, pairs.low[:3])
    with pytest.raises(ValueError, match="do not pair"):
        make_pairs(images[..., 0], truths[:, :32], TINY, 0)


def test_the_same_seed_gives_the_same_generators_and_another_others(pairs):
    first, again = (train_super_resolution(pairs, range(9), TINY, 1) for _ in range(2))
    other = train_super_resolution(pairs, range(9), TINY, 2)
    for one, two, three in zip(states(first), states(again), states(other), strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)
        assert not torch.equal(one["exit.weight"], three["exit.weight"])
    assert not torch.equal(states(first)[0]["exit.weight"], states(first)[1]["exit.weight"])


def test_rows_outside_training_are_never_looked_at(pairs):
    spoilt = Pairs(pairs.low.copy(), pairs.high.copy())
    for each in spoilt:
        each[9:] = 0
    first, second = (train_super_resolution(p, range(9), TINY, 1) for p in (pairs, spoilt))
    for one, two in zip(states(first), states(second), strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_both_generators_get_the_same_steps_and_the_same_patches(pairs):
    history = train_super_resolution(pairs, range(9), TINY, 1).history
    assert history["generator"].tolist() == ["both"] * 4 + ["content"] * 3 + ["adversarial"] * 3
    further = dict(list(history.groupby("generator")))
    assert further["content"]["step"].tolist() == further["adversarial"]["step"].tolist() == [5, 6, 7]
    assert further["content"]["content"].iloc[0] == further["adversarial"]["content"].iloc[0]
    assert further["content"]["discriminator"].isna().all()
    assert further["adversarial"][["adversarial", "discriminator"]].notna().all(axis=None)
    neutral = replace(TINY, adversarial=0.0)
    without = states(train_super_resolution(pairs, range(9), neutral, 1))
    assert all(torch.equal(without[0][key], without[1][key]) for key in without[0])


def test_a_perceptual_term_is_used_where_weights_are_and_random_ones_are_refused(pairs):
    network = Perceptual(build_crop_network("mobilenet_v3", side=32, seed=0).stages[:2])
    settings = replace(TINY, patch=16, perceptual=1.0)
    trained = train_super_resolution(pairs, range(9), settings, 1, perceptual=network)
    plain = train_super_resolution(pairs, range(9), settings, 1)
    assert trained.history.query("generator == 'adversarial'")["perceptual"].gt(0).all()
    assert torch.equal(states(trained)[0]["exit.weight"], states(plain)[0]["exit.weight"])
    assert not torch.equal(states(trained)[1]["exit.weight"], states(plain)[1]["exit.weight"])
    with pytest.raises(RefusedInput, match="pretrained weights"):
        perceptual_network("random")


def test_what_does_not_fit_is_refused_all_at_once(pairs):
    with pytest.raises(RefusedInput) as refusal:
        train_super_resolution(pairs, [], replace(TINY, factor=4, patch=64), 0)
    assert [p.where for p in refusal.value.problems] == ["pairs", "patch", "train"]


def test_judging_counts_and_the_gain_is_taken_crop_by_crop(crops):
    _, truths, masks, table = crops
    noisy = np.clip(truths.astype(int) + np.random.default_rng(0).integers(-9, 10, truths.shape), 0, 255)
    nearly = truths.copy()
    nearly[:, 0, 0] += 1  # PSNR of the truth itself is infinite, and has no interval
    images = {"bicubic": noisy.astype(np.uint8)[:12], "truth": nearly[:12]}
    judged = judge_restorations(images, truths[:12], masks[:12], table["group"][:12])
    assert len(judged) == 24
    assert judged.loc[0, "psnr"] == psnr(images["bicubic"][0], truths[0])
    assert judged.loc[12:, "sharpness"].to_numpy() == pytest.approx(1, abs=1e-3)
    counted = judged.loc[12:, "found"] + judged.loc[12:, "missed"]
    assert counted.tolist() == table["aggregates"][:12].tolist()
    together = count_all(images, masks[:12])
    assert together.loc["truth"].sum() == judged.loc[12:, ["found", "missed", "invented"]].sum().sum()
    summary = summarise(judged, 0, resamples=200).set_index(["method", "measure"])
    ssim = judged.pivot(index="crop", columns="method", values="ssim")
    gain = summary.loc[("truth", "ssim")]
    assert gain["gain"] == pytest.approx((ssim["truth"] - ssim["bicubic"]).mean())
    assert 0 < gain["gain_low"] <= gain["gain"] <= gain["gain_high"]
    assert (summary.loc["bicubic", ["gain", "gain_low", "gain_high"]] == 0).all(axis=None)
    unknown = judge_restorations(images, truths[:12], None, table["group"][:12])
    assert unknown[["found", "missed", "invented"]].isna().all(axis=None) and set(MEASURES) <= set(unknown)


@pytest.mark.slow
def test_on_held_out_cases_the_content_generator_beats_bicubic_in_psnr(crops):
    images, truths, masks, table = crops
    labels, cases = (table["label"] == "ALS").to_numpy(), table["group"].to_numpy()
    settings = SuperResolution(
        factor=2,
        channels=16,
        blocks=2,
        content_steps=250,
        further_steps=40,
        batch=8,
        patch=16,
        learning_rate=2e-3,
    )
    pairs = make_pairs(images[..., 0], truths, settings, 0)
    (split,) = draw_splits(labels, cases, BY_CASE, 0, repeats=1)
    train, test = split.train_crops, split.test_crops
    assert not set(cases[train]) & set(cases[test])
    trained = train_super_resolution(pairs, train, settings, 0)
    made = enlargements(pairs, test, settings.factor, trained)
    np.testing.assert_array_equal(made["content"], apply_generator(trained.content, pairs.low[test]))
    summary = summarise(judge_restorations(made, truths[test], masks[test], cases[test]), 0)
    gain = summary.set_index(["method", "measure"])
    assert gain.loc[("content", "psnr"), "gain_low"] > 0.5  # dB
    assert gain.loc[("nearest", "psnr"), "gain_high"] < 0
