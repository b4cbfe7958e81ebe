"""The 3-D networks: the slides' listing and its parameter count by hand, and the public weights as released."""

from __future__ import annotations

from functools import partial

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

from als_core.cohorts.volumes import brain_box, mni_map, read_volume, reorient
from als_core.explain.interception import captured_output
from als_core.models.stages import live_stages, set_trainable, train_mode
from als_core.refusal import RefusedInput
from als_core.studies.brains.networks import (
    PANAGIOTARAS_POOLS,
    TURRISI_SHAPE,
    deep_features,
    load_turrisi_weights,
    panagiotaras_network,
    turrisi_input,
    turrisi_network,
)

WHOLE = (197, 233, 189)  # the MNI grid at 1 mm
SMALL = (38, 47, 40)  # the brain's box at 4 mm


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def test_the_published_network_has_the_count_of_a_count_by_hand():
    by_hand = 0
    for inputs, outputs in ((1, 8), (8, 16), (16, 32), (32, 64)):
        by_hand += inputs * outputs * 3 * 3 * 3 + outputs  # convolution
        by_hand += 2 * outputs  # batch norm
    for inputs, outputs in ((5120, 128), (128, 64), (64, 2)):
        by_hand += inputs * outputs + outputs
    network = panagiotaras_network(WHOLE, seed=0)
    assert parameters(network) == by_hand == 737_026
    assert network.stages.dense1.linear.in_features == 5120


def test_the_published_network_is_the_slides_listing():
    network = panagiotaras_network(WHOLE, seed=0)
    listing = [
        nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d,
        nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d,
        nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d,
        nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d,
        nn.Flatten, nn.Dropout, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear,
    ]  # fmt: skip
    layers = [module for module in network.modules() if not list(module.children())]
    assert [type(layer) for layer in layers] == listing
    assert [layer.kernel_size for layer in layers if isinstance(layer, nn.MaxPool3d)] == [2, 3, 2, 3]
    assert {layer.kernel_size for layer in layers if isinstance(layer, nn.Conv3d)} == {(3, 3, 3)}
    assert layers[17].p == 0.8


@pytest.mark.parametrize(("variant", "least"), [("published", 78), ("small", 38)])
def test_the_smallest_side_is_where_the_pools_leave_one_voxel(variant, least):
    network = panagiotaras_network((least,) * 3, variant, seed=0)
    assert network.stages.dense1.linear.in_features == 64
    network.eval()
    assert network(torch.zeros(1, 1, least, least, least)).shape == (1, 2)
    with pytest.raises(RefusedInput, match=f"{least} voxels a side or more"):
        panagiotaras_network((least, least - 1, least), variant, seed=0)


def test_a_refusal_names_the_variant_that_fits():
    with pytest.raises(RefusedInput, match="or the variant small"):
        panagiotaras_network(mni_map("t1", 4).shape, seed=0)


@pytest.mark.parametrize("shape", [SMALL, (50, 59, 48), (45, 38, 61)])
def test_the_dense_input_follows_from_the_volume(shape):
    network = panagiotaras_network(shape, "small", seed=0).eval()
    assert network(torch.randn(2, 1, *shape)).shape == (2, 2)


def test_the_small_network_fits_the_brain_box_at_4_mm():
    assert tuple(part.stop - part.start for part in brain_box(4)) == SMALL
    assert set(PANAGIOTARAS_POOLS) == {"published", "small"}


@pytest.mark.parametrize("build", [partial(panagiotaras_network, SMALL, "small"), turrisi_network])
def test_the_contract_of_staged_networks(build):
    network, same, other = build(seed=1), build(seed=1), build(seed=2)
    weight = "stages.block1.conv.weight"
    assert torch.equal(network.state_dict()[weight], same.state_dict()[weight])
    assert not torch.equal(network.state_dict()[weight], other.state_dict()[weight])
    volumes = torch.randn(2, 1, *network.shape, generator=torch.Generator().manual_seed(0))
    network.eval()
    scores = network(volumes)
    staged = volumes
    for stage in network.stages:
        staged = stage(staged)
    torch.testing.assert_close(scores, staged, rtol=1e-4, atol=1e-6)
    assert scores.shape == (2, 2)
    # mean, not value: the sum over both volumes' scores reaches every voxel's neighbourhood
    volumes.requires_grad_()
    network(volumes).sum().backward()
    assert volumes.grad.isfinite().all() and volumes.grad.ne(0).any()
    set_trainable(network, ["block8" if len(network.stages) == 10 else "dense1", "head"])
    assert live_stages(network)[-1] == "head" and len(live_stages(network)) == 2
    train_mode(network)
    assert not network.stages.block1.training and network.stages.head.training
    assert not any(getattr(module, "inplace", False) for module in network.modules())  # explainers hook them


@pytest.mark.parametrize("build", [partial(panagiotaras_network, SMALL, "small"), turrisi_network])
def test_maps_lie_channels_last_unless_many_voxels_train_and_scores_stay(build, monkeypatch):
    network = build(seed=1).eval()
    volumes = torch.randn(3, 1, *network.shape, generator=torch.Generator().manual_seed(0))
    expected = network.stages(volumes)
    alone = torch.cat([network(each) for each in volumes.split(1)])
    with captured_output(network.stages.block1) as maps:
        for scores in (network(volumes), alone):
            torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-6)
        for most in (volumes.numel(), volumes.numel() - 1):
            monkeypatch.setattr("als_core.studies.brains.networks.MOST_LAST", most)
            network.train()(volumes)
    lasting = [each.is_contiguous(memory_format=torch.channels_last_3d) for each in maps]
    assert lasting == [True, True, False]


def test_volumes_of_another_kind_are_refused():
    network = panagiotaras_network(SMALL, "small", seed=0).eval()
    for wrong in (
        torch.zeros(1, 1, 38, 40, 47),
        torch.zeros(1, *SMALL),
        torch.zeros(1, 1, *SMALL, dtype=torch.long),
    ):
        with pytest.raises(RefusedInput, match=r"\(N, 1, 38, 47, 40\)"):
            network(wrong)


@pytest.mark.slow
def test_one_step_of_the_published_network_at_1_mm():
    network = panagiotaras_network(WHOLE, seed=0)
    network.train()
    image = torch.from_numpy(np.asarray(mni_map("t1", 1).dataobj))[None, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    before = {name: value.clone() for name, value in network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    batch = image + 0.1 * torch.randn(image.shape, generator=generator)
    nn.functional.cross_entropy(network(batch), torch.tensor([1])).backward()
    optimizer.step()
    # Adam's first step moves every parameter that has a gradient by the learning rate
    steps = {name: (value - before[name]).abs().max().item() for name, value in network.named_parameters()}
    assert steps["stages.head.weight"] == pytest.approx(1e-4, rel=0.01)
    assert all(0 < step < 1.01e-4 for step in steps.values())


def test_the_eight_blocks_give_256_features_twice():
    network = turrisi_network(seed=0)
    by_hand = sum(
        a * b * 27 + 2 * b
        for a, b in ((1, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64))
    )
    assert parameters(network) == by_hand + 256 * 2 + 2
    features = deep_features(network, torch.randn(3, 1, *TURRISI_SHAPE))
    assert {name: values.shape for name, values in features.items()} == {"DL7": (3, 256), "DL8": (3, 256)}
    maps = network.stages[:6](torch.zeros(1, 1, *TURRISI_SHAPE))
    assert maps.shape == (1, 32, 3, 4, 4) and network.stages[6:8](maps).shape == (1, 64, 1, 2, 2)


def test_the_input_is_nearest_neighbour_z_first_and_scaled_over_what_is_not_zero():
    """Against the plain rule: output voxel i of an axis of n to m is input voxel round(i (n - 1) / (m - 1))."""
    voxels = np.random.default_rng(0).integers(1, 100, (60, 70, 80)).astype(np.float32)
    voxels[:20] = 0
    given = turrisi_input(nibabel.Nifti1Image(voxels, np.eye(4)))
    plain = voxels
    for sides in ((30, 35, 40), (96, 96, 73)):
        picks = [
            np.floor(np.arange(m) * (n - 1) / (m - 1) + 0.5).astype(int)
            for n, m in zip(plain.shape, sides, strict=True)
        ]
        plain = plain[np.ix_(*picks)]
    inside = plain[plain != 0]
    expected = ((plain - inside.mean()) / inside.std(ddof=1)).transpose(2, 0, 1)
    assert given.shape == (1, 1, 73, 96, 96) and given.dtype == torch.float32
    differing = np.abs(given[0, 0].numpy() - expected) > 1e-3
    assert differing.mean() < 0.02  # a voxel halfway between two neighbours may go to either
    with pytest.raises(RefusedInput, match="all alike"):
        turrisi_input(nibabel.Nifti1Image(np.ones((40, 40, 40), np.float32), np.eye(4)))


def released_state() -> dict[str, torch.Tensor]:
    """A state dict with the authors' key names."""
    ours = turrisi_network(seed=3).state_dict()
    theirs = {}
    for key, value in ours.items():
        parts = key.removeprefix("stages.").split(".")
        if parts[0] == "head":
            theirs[f"f.0.{parts[1]}"] = value
        else:
            layer = {"conv": 0, "norm": 1}[parts[1]]
            theirs[f"embedding.{int(parts[0][5:]) - 1}.{layer}.{parts[2]}"] = value
    return theirs


def test_weights_under_the_released_names_go_where_they_belong(tmp_path):
    torch.save(released_state(), tmp_path / "weights.pt")
    network = turrisi_network(seed=0)
    loaded = load_turrisi_weights(network, tmp_path / "weights.pt")
    for name, value in turrisi_network(seed=3).state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
    assert loaded.digest


def test_weights_with_another_key_or_shape_are_refused_and_change_nothing(tmp_path):
    state = released_state()
    del state["embedding.4.1.running_var"]
    state["embedding.0.0.weight"] = torch.zeros(8, 1, 5, 5, 5)
    state["extra.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "weights.pt")
    network = turrisi_network(seed=0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(RefusedInput) as refusal:
        load_turrisi_weights(network, tmp_path / "weights.pt")
    found = {problem.where: problem.found for problem in refusal.value.problems}
    assert found["embedding.4.1.running_var"] == "nothing"
    assert found["embedding.0.0.weight"] == "shape (8, 1, 5, 5, 5)"
    assert "no such key" in {p.expected for p in refusal.value.problems if p.where == "extra.weight"}
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_file_with_anything_but_tensors_is_refused_unrun(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "whole_module.pt")  # a pickle of code, not of tensors
    with pytest.raises(RefusedInput, match="cannot be read as tensors"):
        load_turrisi_weights(turrisi_network(), tmp_path / "whole_module.pt")


# Every 32nd value for the real volume below, from the public weights; 4 decimals.
PINNED = {
    "DL7": [0.2687, 1.2016, 0.4520, 0.3471, 0.0152, 0.1450, 0.2230, 0.0],
    "DL8": [0.1817, 0.1851, 0.0, 0.0, 0.1247, 0.0, 0.1068, 0.1078],
}


def test_the_public_weights_give_the_pinned_features_of_a_real_volume(real_data):
    image, _ = reorient(read_volume(real_data / "mri" / "chris_t1.nii.gz"))
    network = turrisi_network()
    loaded = load_turrisi_weights(network)
    assert loaded.digest == "bd96e7f4e1d3f3ec"
    features = deep_features(network, turrisi_input(image))
    for name, values in features.items():
        assert values.shape == (1, 256) and np.isfinite(values).all()
        np.testing.assert_allclose(values[0, ::32], PINNED[name], atol=2e-3)
