"""The frozen prefix: exact against the plain loop, computed once, keyed by what it depends on."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from toy_training import frozen, images_and_labels

from als_core.models.stages import IMAGENET_SCALING, first_live_stage, live_stages
from als_core.training import features as prefix
from als_core.training.features import Scaling, as_input, frozen_inputs, image_inputs
from als_core.training.tail import TrainableTail

CPU = torch.device("cpu")
IMAGES, LABELS = images_and_labels()


def features(network, blocks=(IMAGES,), folder=None, scaling=IMAGENET_SCALING, **more):
    stages = network.stages[: first_live_stage(network)]
    return frozen_inputs(stages, list(blocks), scaling, device=CPU, folder=folder, **more)


def test_training_on_cached_features_is_the_plain_loop_to_1e_12():
    """Nine Adam steps in double precision; the plain loop forwards whole images, frozen batch norm in eval mode."""
    labels = torch.from_numpy(LABELS)
    plain, cached = (frozen(3, dtype=torch.float64) for _ in range(2))
    inputs = features(cached)
    suffix = cached.stages[first_live_stage(cached) :]
    assert first_live_stage(cached) == 1
    scaled = as_input(torch.from_numpy(IMAGES), IMAGENET_SCALING, torch.float64)
    optimisers = [
        torch.optim.Adam(
            [each for each in network.parameters() if each.requires_grad], 1e-2, weight_decay=1e-3
        )
        for network in (plain, cached)
    ]
    plain.eval(), cached.eval()
    generator = torch.Generator().manual_seed(0)
    for _ in range(9):
        rows = torch.randperm(len(IMAGES), generator=generator)[:16]
        for optimiser, scores in zip(
            optimisers,
            (lambda rows: plain(scaled[rows]), lambda rows: suffix(inputs.batch(rows))),
            strict=True,
        ):
            optimiser.zero_grad()
            cross_entropy(scores(rows), labels[rows]).backward()
            optimiser.step()
    start = frozen(3, dtype=torch.float64)
    for name, tensor in plain.state_dict().items():
        assert (tensor - cached.state_dict()[name]).abs().max() < 1e-12, name
    assert (plain.stages.gate.gate.squeeze.weight - start.stages.gate.gate.squeeze.weight).abs().max() > 1e-3
    everything = torch.arange(len(IMAGES))
    assert (plain(scaled) - suffix(inputs.batch(everything))).abs().max() < 1e-12


def test_scaling_is_what_it_says():
    expected = (IMAGES / 255 - np.array(IMAGENET_SCALING.mean)) / np.array(IMAGENET_SCALING.sd)
    found = as_input(torch.from_numpy(IMAGES), IMAGENET_SCALING)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)
    own = prefix.cohort_scaling(IMAGES)
    np.testing.assert_allclose(own.mean, (IMAGES / 255).mean((0, 1, 2)))
    np.testing.assert_allclose(own.sd, (IMAGES / 255).std((0, 1, 2)))
    with pytest.raises(ValueError, match="one value"):
        prefix.cohort_scaling(np.zeros_like(IMAGES))


def test_stored_features_are_memory_mapped_and_equal_those_in_memory(tmp_path):
    network = frozen(0)
    kept, stored = features(network), features(network, folder=tmp_path)
    assert torch.equal(kept.blocks[0], stored.blocks[0])
    assert stored.batch(torch.arange(3)).dtype == torch.float32
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_maps_computed_in_bf16_stay_in_it_and_lose_nothing(tmp_path):
    network, rows = frozen(0), torch.arange(len(IMAGES))
    for folder in (None, tmp_path):
        narrow = features(network, folder=folder, precision="bf16").batch(rows)
        assert narrow.dtype == torch.bfloat16
        assert narrow.is_contiguous(memory_format=torch.channels_last)
    (file,) = tmp_path.glob("*.npy")
    assert file.stat().st_size == 128 + 2 * narrow.numel()  # an .npy's header and two bytes a value
    running = TrainableTail(network.stages[first_live_stage(network) :], live_stages(network), "bf16")
    scores = running(narrow)
    assert scores.dtype == torch.float32
    whole = network.eval()(as_input(torch.from_numpy(IMAGES), IMAGENET_SCALING))
    assert 0 < (scores - whole).abs().max() < 0.05 * whole.abs().max()


def test_what_is_there_is_not_computed_again(tmp_path, monkeypatch):
    first = features(frozen(0), folder=tmp_path)
    monkeypatch.setattr(prefix, "_save", lambda *_: pytest.fail("computed again"))
    assert torch.equal(
        features(frozen(1), folder=tmp_path).blocks[0], first.blocks[0]
    )  # seeds share the prefix


def test_a_changed_input_is_another_file(tmp_path):
    def files(**changed):
        network = changed.pop("network", frozen(0))
        features(network, folder=tmp_path, **changed)
        return len(list(tmp_path.glob("*.npy")))

    other_weights, other_layers = frozen(0), frozen(0)
    other_weights.stages.stem[0].weight.data[0, 0, 0, 0] += 1e-3
    other_layers.stages.stem[0].padding_mode = "reflect"
    other_image = IMAGES.copy()
    other_image[0, 0, 0, 0] += 1
    assert files() == 1
    assert files(network=other_weights) == 2
    assert files(blocks=(other_image,)) == 3
    assert files(scaling=Scaling((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))) == 4
    assert files(precision="bf16") == 5
    assert files(network=other_layers) == 6
    assert files() == 6


@pytest.mark.parametrize("make", [image_inputs, None], ids=["images", "features"])
def test_blocks_count_on(make):
    network = frozen(0)
    blocks, rows = (IMAGES[:20], IMAGES[20:33], IMAGES[33:]), torch.tensor([44, 0, 19, 20, 32, 33, 7])
    if make:
        apart, whole = (make(each, IMAGENET_SCALING, torch.float32, CPU) for each in (blocks, (IMAGES,)))
    else:
        apart, whole = features(network, blocks), features(network)
    assert len(apart) == len(whole) == 45
    torch.testing.assert_close(apart.batch(rows), whole.batch(rows))


def test_mirroring_turns_the_images_that_are_asked_for():
    inputs = image_inputs([IMAGES], IMAGENET_SCALING, torch.float32, CPU)
    rows, mirrored = torch.tensor([4, 5]), torch.tensor([True, False])
    plain, found = inputs.batch(rows), inputs.batch(rows, mirrored)
    assert torch.equal(found[0], plain[0].flip(-1)) and torch.equal(found[1], plain[1])
    with pytest.raises(ValueError, match="mirroring needs images"):
        features(frozen(0)).batch(rows, mirrored)
