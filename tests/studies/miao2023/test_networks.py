"""The contract of every crop classifier in every variant, its base against torchvision's, and its cost."""

from functools import lru_cache

import pytest
import torch
import torchvision

from als_core.models.cost import cost
from als_core.models.stages import first_live_stage, live_stages, train_mode
from als_core.models.weights import load_weights
from als_core.refusal import RefusedInput
from als_core.studies.miao2023.networks import CROP_NETWORKS, LiveBytes, build_crop_network, measure_cost

SIDE = 40
EVERY = [(name, variant) for name, entry in CROP_NETWORKS.items() for variant in entry.variants]
every_network = pytest.mark.parametrize(("name", "variant"), EVERY)
each = pytest.mark.parametrize("name", CROP_NETWORKS)


@lru_cache
def built(name, variant="frozen base", seed=0):
    """A network that several tests read and none changes but for its mode; building VGG16 takes a second."""
    return build_crop_network(name, side=SIDE, variant=variant, seed=seed)


@pytest.fixture(scope="module")
def images():
    return torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@every_network
def test_scores_have_one_column_per_class_and_repeat(name, variant, images):
    network = built(name, variant).eval()
    with torch.inference_mode():
        scores = network(images)
        assert scores.shape == (4, 2) and scores.isfinite().all()
        assert torch.equal(scores, network(images))


@every_network
def test_gradients_reach_exactly_the_trainable_stages(name, variant, images):
    network = train_mode(built(name, variant))
    network.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(network(images), torch.tensor([0, 1, 1, 0])).backward()
    trains = CROP_NETWORKS[name].variants[variant]
    assert live_stages(network) == trains
    for key, parameter in network.named_parameters():
        assert (parameter.grad is not None) == (key.split(".")[1] in trains), key


@each
def test_the_frozen_base_is_all_but_the_head(name):
    network = built(name)
    assert first_live_stage(network) == len(network.stages) - 1
    assert isinstance(network.stages.head, torch.nn.Linear)


@each
def test_the_base_computes_what_torchvision_computes(name, images):
    """Every weight goes to its place: the last maps equal those of torchvision's network."""
    backbone = CROP_NETWORKS[name].backbone
    theirs = torchvision.models.get_model(backbone.name, weights=None).eval()
    ours = build_crop_network(name, side=SIDE, seed=1).eval()
    state = backbone.renamed(theirs.state_dict())
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) == {"stages.head.weight", "stages.head.bias"}
    with torch.inference_mode():
        if name == "resnet50":
            theirs.fc = torch.nn.Identity()
            expected = theirs(images)
        else:
            expected = theirs.features(images).mean((2, 3))
        torch.testing.assert_close(ours.stages[:-1](images), expected)


@each
def test_parameters_are_torchvision_s_without_its_classifier(name):
    backbone = CROP_NETWORKS[name].backbone
    with torch.device("meta"):
        theirs = torchvision.models.get_model(backbone.name, weights=None)
    base = sum(p.numel() for key, p in theirs.named_parameters() if not key.startswith(backbone.left_out))
    counted = cost(built(name), (1, 3, SIDE, SIDE))
    assert counted.parameters_total == base + counted.parameters_trainable
    assert counted.parameters_trainable == 2 * (built(name).stages.head.in_features + 1)


@each
def test_random_weights_are_put_in_and_calibrated(name, images):
    network = build_crop_network(name, side=SIDE, seed=0)
    head = network.stages.head.weight.clone()
    loaded = load_weights(network, "random", images=images)
    assert "not pretrained" in loaded.sentence
    assert torch.equal(network.stages.head.weight, head)
    with torch.inference_mode():
        assert network.eval()(images).isfinite().all()


def test_initial_values_come_from_the_seed_alone():
    before = torch.get_rng_state()
    first = build_crop_network("mobilenet_v3", seed=2).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = build_crop_network("mobilenet_v3", seed=2).state_dict()
    other = build_crop_network("mobilenet_v3", seed=3).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["stages.head.weight"], other["stages.head.weight"])


@each
def test_wrong_images_are_refused(name):
    wrong = {
        "(2, 40, 40, 3)": torch.zeros(2, SIDE, SIDE, 3),
        "torch.uint8": torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8),
        "31 x 40": torch.zeros(2, 3, 31, SIDE),
    }
    for found, images in wrong.items():
        with pytest.raises(RefusedInput) as refusal:
            built(name)(images)
        assert found in str(refusal.value)


def test_wrong_arguments_are_refused_with_all_its_problems():
    with pytest.raises(RefusedInput) as refusal:
        build_crop_network("alexnet", classes=1, side=4, variant="mine", seed=0)
    assert [p.where for p in refusal.value.problems] == ["network", "variant", "classes", "side"]


def test_live_bytes_are_those_of_storages_alive():
    x = torch.zeros(1000)
    with LiveBytes() as counter:
        a = x + 1
        view = a[:10]
        b = a + 1
        assert (counter.now, counter.peak) == (8000, 8000)
        del a
        assert counter.now == 8000  # the view holds its storage
        del view
        assert counter.now == 4000
        del b
    assert (counter.now, counter.peak) == (0, 8000)


def test_cost_is_counted_and_memory_repeats():
    frozen, again = (measure_cost("mobilenet_v3", side=32, batch=4, repeats=1) for _ in range(2))
    block = measure_cost("mobilenet_v3", side=32, batch=4, repeats=1, variant="last block")
    assert frozen["step_mib"] == again["step_mib"] and frozen["inference_mib"] == again["inference_mib"]
    assert frozen["inference_mib"] > frozen["parameters"] * 4 / 2**20
    assert block["trainable"] > frozen["trainable"] == 2 * 961 and block["step_mib"] > frozen["step_mib"]
    every = measure_cost("mobilenet_v3", side=32, batch=4, repeats=1, variant="all layers")
    assert every["trainable"] == every["parameters"] > block["trainable"]
    assert min(frozen["inference_ms"], frozen["step_ms"]) > 0
