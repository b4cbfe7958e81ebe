"""Occlusion against a slow loop and Captum; by area against setting each area by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, Occlusion

from als_core.explain.occlusion import area_effects, area_occlusion, occlusion
from als_core.refusal import RefusedInput

both = pytest.mark.parametrize("axes", [2, 3])


def slow_occlusion(model, image, target, patch, stride, fill, probability):
    """One forward per position, in plain loops."""

    def score(one):
        with torch.no_grad():
            scores = model(one[None])[0]
        return (scores.softmax(0) if probability else scores)[target]

    size = image.shape[1:]
    total, count = torch.zeros(size, dtype=image.dtype), torch.zeros(size, dtype=image.dtype)
    starts = []
    for axis in range(len(size)):
        at = list(range(0, size[axis] - patch[axis] + 1, stride[axis]))
        if at[-1] != size[axis] - patch[axis]:
            at.append(size[axis] - patch[axis])
        starts.append(at)
    for corner in product(*starts):
        place = tuple(slice(a, a + w) for a, w in zip(corner, patch, strict=True))
        covered = image.clone()
        for channel in range(len(image)):
            covered[(channel, *place)] = fill
        total[place] += score(image) - score(covered)
        count[place] += 1
    return total / count


@both
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_equals_a_slow_loop_and_keeps_both_signs(axes, score, small_network, some_images):
    model, images = small_network(axes), some_images(axes)
    targets = torch.tensor([0, 2])
    patch, stride = (4, 3, 5)[:axes], (3, 3, 2)[:axes]
    settings = {"patch": patch, "stride": stride, "fill": 0.3, "score": score}
    heatmaps = occlusion(model, images, targets, **settings, batch=5)
    for image, target, heatmap in zip(images, targets, heatmaps, strict=True):
        expected = slow_occlusion(model, image, target, patch, stride, 0.3, score == "probability")
        torch.testing.assert_close(heatmap, expected)
    assert heatmaps.min() < 0 < heatmaps.max()
    for batch in (1, 64):
        torch.testing.assert_close(occlusion(model, images, targets, **settings, batch=batch), heatmaps)


def test_equals_captum_where_patches_tile_the_image(small_network, some_images):
    model, images = small_network(2), some_images(2)
    expected = Occlusion(model).attribute(images, (1, 4, 4), (1, 2, 2), 0.5, target=1)[:, 0]
    heatmap = occlusion(model, images, 1, patch=4, stride=2, fill=0.5)
    torch.testing.assert_close(heatmap.float(), expected)  # Captum sums in single precision


def test_patches_lie_side_by_side_by_default_and_the_cover_may_be_an_image(small_network, some_images):
    model, images = small_network(2), some_images(2)
    mean = images.mean(0)
    with torch.no_grad():
        covered = images.clone()
        covered[:, :, 4:, :4] = mean[:, 4:, :4]
        drop = (model(images) - model(covered))[:, 1]
    heatmap = occlusion(model, images, 1, patch=4, fill=mean)
    torch.testing.assert_close(heatmap[:, 4:, :4], drop[:, None, None].expand(2, 4, 4))


@both
def test_area_occlusion_equals_setting_each_area_by_hand_and_captum(axes, small_network, some_images):
    model, images = small_network(axes), some_images(axes)
    areas = np.random.default_rng(0).choice([0, 7, 2001, 9170], images.shape[2:])
    settings = {"areas": areas, "fill": -0.2, "batch": 5}
    heatmap = area_occlusion(model, images, 2, **settings)
    effects = area_effects(model, images, 2, **settings)
    assert effects.areas.tolist() == [7, 2001, 9170]
    assert (heatmap[:, torch.tensor(areas == 0)] == 0).all()
    with torch.no_grad():
        for area, drop in zip(effects.areas, effects.drops.T, strict=True):
            covered = images.clone()
            inside = torch.tensor(areas == int(area))
            covered[:, :, inside] = -0.2
            expected = (model(images) - model(covered))[:, 2]
            torch.testing.assert_close(drop, expected)
            torch.testing.assert_close(heatmap[:, inside], expected[:, None].expand(2, int(inside.sum())))
    mask = torch.tensor(np.unique(areas, return_inverse=True)[1].reshape(areas.shape))[None, None]
    captum = FeatureAblation(model).attribute(images, -0.2, 2, feature_mask=mask)[:, 0]
    torch.testing.assert_close(heatmap, captum * torch.tensor(areas > 0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"patch": 9}, "patch"),
        ({"patch": 0}, "patch"),
        ({"patch": (2, 2, 2)}, "2 numbers each"),
        ({"patch": 2, "stride": 3}, "uncovered"),
        ({"patch": 4, "batch": 0}, "batch"),
        ({"patch": 4, "score": "margin"}, "'logit' or 'probability'"),
    ],
)
def test_unusable_settings_are_refused(settings, words, small_network, some_images):
    with pytest.raises(RefusedInput, match=words):
        occlusion(small_network(2), some_images(2), 0, **settings)


@pytest.mark.parametrize(
    ("areas", "words"),
    [
        (np.ones((4, 4), int), "grid"),
        (np.full((8, 8), 1.5), "fractions"),
        (np.zeros((8, 8), int), "0 for background"),
        (-np.eye(8, dtype=int), "0 for background"),
    ],
)
def test_label_images_of_another_kind_are_refused(areas, words, small_network, some_images):
    with pytest.raises(RefusedInput, match=words):
        area_occlusion(small_network(2), some_images(2), 0, areas=areas)
