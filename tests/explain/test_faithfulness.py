"""Insertion and deletion against a plain loop and a score known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from als_core.explain.faithfulness import faithfulness, perturbation_curve
from als_core.refusal import RefusedInput


def dice_rolls(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
@pytest.mark.parametrize("axes", [2, 3])
def test_equals_a_plain_loop(kind, axes, small_network, some_images):
    model, images = small_network(axes), some_images(axes)
    targets = torch.tensor([0, 2])
    heatmaps = images.flip(0)[:, 0]
    settings = {"steps": 4, "fill": 0.2, "generator": dice_rolls()}
    curve = perturbation_curve(model, images, targets, heatmaps, kind, **settings, batch=3)
    voxels = heatmaps[0].numel()
    for image, target, heat, scores in zip(images, targets, heatmaps, curve.scores, strict=True):
        order = heat.flatten().argsort(descending=True)
        for step, score in enumerate(scores):
            changed = order[: step * voxels // 4]
            flat = image.flatten().clone() if kind == "deletion" else torch.full((voxels,), 0.2).double()
            flat[changed] = 0.2 if kind == "deletion" else image.flatten()[changed]
            with torch.no_grad():
                expected = model(flat.view(1, *image.shape)).softmax(1)[0, target]
            torch.testing.assert_close(score, expected)
    torch.testing.assert_close(curve.area, (curve.scores[:, 1:] + curve.scores[:, :-1]).sum(1) / 8)


def test_only_voxels_within_are_changed():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False)).eval()
    model[1].weight.data.fill_(1.0)
    images = torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]])
    settings = {"steps": 2, "score": "logit", "within": np.array([[False, True], [True, False]])}
    call = (model, images, 0, images[:, 0])
    deleted = perturbation_curve(*call, "deletion", generator=dice_rolls(), **settings)
    assert deleted.scores.tolist() == [[10.0, 7.0, 5.0]] and deleted.share.tolist() == [0, 0.5, 1]
    inserted = perturbation_curve(*call, "insertion", generator=dice_rolls(), **settings)
    assert inserted.scores.tolist() == [[5.0, 8.0, 10.0]]
    with pytest.raises(RefusedInput, match="within"):
        perturbation_curve(
            *call, "deletion", generator=dice_rolls(), **settings | {"within": np.ones((2, 2))}
        )


def test_areas_of_a_sum_are_those_of_its_order():
    """Score = mean of the image: deleting hottest-first follows the sorted values."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False)).eval()
    model[1].weight.data.fill_(1.0)
    images = torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]])
    settings = {"steps": 4, "score": "logit", "generator": dice_rolls()}
    right = perturbation_curve(model, images, 0, images[:, 0], "deletion", **settings)
    assert right.scores.tolist() == [[10.0, 6.0, 3.0, 1.0, 0.0]]
    wrong = perturbation_curve(model, images, 0, -images[:, 0], "deletion", **settings)
    assert wrong.scores.tolist() == [[10.0, 9.0, 7.0, 4.0, 0.0]]
    assert faithfulness(model, images, 0, images[:, 0], **settings).item() == pytest.approx(2 * (5.0 - 3.75))


def test_ties_fall_in_random_order_and_not_in_reading_order():
    model = nn.Sequential(nn.Flatten(), nn.Linear(400, 1, bias=False)).eval()
    model[1].weight.data = torch.linspace(1, 0, 400)[None]
    images, flat = torch.ones(1, 1, 20, 20), torch.zeros(1, 20, 20)
    area = faithfulness(model, images, 0, flat, steps=10, score="logit", generator=dice_rolls())
    ordered = faithfulness(
        model,
        images,
        0,
        model[1].weight.detach().view(1, 20, 20),
        steps=10,
        score="logit",
        generator=dice_rolls(),
    )
    assert abs(area) < 0.15 * ordered


@pytest.mark.parametrize(
    ("heatmaps", "kind", "steps", "words"),
    [
        (torch.zeros(1, 3, 2), "deletion", 2, "shape"),
        (torch.zeros(1, 2, 2), "deletion", 5, "steps"),
        (torch.zeros(1, 2, 2), "removal", 2, "kind"),
    ],
)
def test_bad_input_is_refused(heatmaps, kind, steps, words):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).eval()
    with pytest.raises(RefusedInput, match=words):
        perturbation_curve(
            model, torch.ones(1, 1, 2, 2), 0, heatmaps, kind, steps=steps, generator=dice_rolls()
        )
