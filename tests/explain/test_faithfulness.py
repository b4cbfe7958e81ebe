"""Measures of faithfulness against Quantus, Captum, a plain loop and a score known in closed form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from faithfulness_oracle import FILL, SIDE, STEPS, SUBSETS, TABLE, TARGET, fixed_case, fixed_subsets
from torch import nn

from als_core.explain.faithfulness import faithfulness, perturbation_curve, random_subsets, subset_drops
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


# --- oracles: Quantus 0.6.0 (recorded, see faithfulness_oracle.py) and Captum


def quantus_rows() -> pd.DataFrame:
    return pd.read_csv(TABLE).set_index(["image", "measure", "step"])["quantus"]


def test_deletion_is_quantus_pixel_flipping():
    model, images, heat = fixed_case()
    settings = {"steps": STEPS, "fill": FILL, "score": "logit", "generator": dice_rolls()}
    curve = perturbation_curve(model, images, TARGET, heat, "deletion", **settings)
    recorded = quantus_rows().xs("deletion", level="measure").to_numpy().reshape(len(images), STEPS)
    np.testing.assert_allclose(curve.scores[:, 1:], recorded, atol=1e-5)


def test_faithfulness_correlation_is_quantus():
    model, images, heat = fixed_case()
    recorded = quantus_rows().xs("faithfulness correlation", level="measure")
    for row, expected in enumerate(recorded):
        subsets = torch.zeros(SUBSETS, SIDE**2, dtype=torch.bool)
        subsets.scatter_(1, torch.from_numpy(fixed_subsets(row)), True)
        part = slice(row, row + 1)
        drops = subset_drops(
            model, images[part], TARGET, heat[part], subsets.view(-1, SIDE, SIDE), fill=FILL, batch=9
        )
        assert drops.correlation.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("axes", [2, 3])
def test_infidelity_is_captums(axes, small_network, some_images):
    model, images = small_network(axes), some_images(axes)
    heatmaps = images.flip(0)[:, 0]
    subsets = random_subsets(images.shape[2:], 5, 12, generator=dice_rolls())
    drops = subset_drops(model, images, 1, heatmaps, subsets, fill=0.2, batch=5)
    waiting = iter(subsets)

    def cover(inputs):  # Captum asks once for each subset: (what the heatmap is multiplied with, the image)
        subset = next(waiting)[None, None]
        return subset.expand_as(inputs).to(inputs), torch.where(subset, 0.2, inputs)

    expected = captum_infidelity(
        model, cover, images, heatmaps[:, None], target=1, n_perturb_samples=len(subsets),
        max_examples_per_batch=len(images),
    )  # fmt: skip
    torch.testing.assert_close(drops.infidelity, expected)


def test_the_heat_of_a_linear_model_is_faithful_in_every_measure():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 1, bias=False)).eval()
    images = torch.randn(2, 1, 4, 4, generator=dice_rolls())
    subsets = random_subsets((4, 4), 5, 30, generator=dice_rolls())
    heat = (images * model[1].weight.detach().view(4, 4))[:, 0]
    own = subset_drops(model, images, 0, heat, subsets)
    torch.testing.assert_close(own.correlation, torch.ones(2))
    torch.testing.assert_close(own.infidelity, torch.zeros(2), atol=1e-10, rtol=0)
    twice = subset_drops(model, images, 0, 2 * heat, subsets)
    torch.testing.assert_close(twice.correlation, torch.ones(2))
    assert (twice.infidelity > 0.01).all()
    assert subset_drops(model, images, 0, torch.zeros_like(heat), subsets).correlation.isnan().all()


def test_subsets_have_their_size_and_what_does_not_fit_is_refused():
    subsets = random_subsets((3, 2), 2, 50, generator=dice_rolls())
    assert subsets.flatten(1).sum(1).tolist() == [2] * 50 and subsets.any(0).all()
    with pytest.raises(RefusedInput, match="size"):
        random_subsets((3, 2), 6, 1, generator=dice_rolls())
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).eval()
    with pytest.raises(RefusedInput, match="subsets"):
        subset_drops(model, torch.ones(1, 1, 2, 2), 0, torch.ones(1, 2, 2), subsets)
