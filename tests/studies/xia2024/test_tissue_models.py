"""The contract of every network of the registry in every variant, and what is particular to each."""

from functools import lru_cache
from itertools import pairwise

import pytest
import torch
import torchvision

from als_core.models.stages import first_live_stage, live_stages, set_trainable, train_mode
from als_core.refusal import RefusedInput
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.recipes import OF_PAPER, PRINTED, RECIPES, RELEASED, RELEASED_VARIANT

SIDE = 64
EVERY = [(name, PRINTED) for name in RECIPES] + [(name, RELEASED_VARIANT) for name in RELEASED]
every_network = pytest.mark.parametrize(("name", "variant"), EVERY)


def build(name, variant=PRINTED, seed=0, **settings):
    return build_tissue_network(name, variant=variant, seed=seed, **{"side": SIDE, **settings})


@lru_cache
def built(name, variant=PRINTED):
    """A network that several tests read and none changes but for its mode; building one takes time."""
    return build(name, variant)


@pytest.fixture(scope="module")
def images():
    return torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def parameters(network, trainable_only=False):
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trainable_only)


def biases_before_batch_norm(network):
    """Names of convolutions' biases that a batch norm follows: it subtracts them again."""
    layers = [(name, each) for name, each in network.named_modules() if not list(each.children())]
    return {
        f"{name}.bias"
        for (name, layer), (_, following) in pairwise(layers)
        if isinstance(layer, torch.nn.Conv2d) and isinstance(following, torch.nn.BatchNorm2d)
    }


def statistics(stage):
    return {name: value.clone() for name, value in stage.named_buffers()}


@every_network
def test_scores_have_one_column_per_class_and_repeat(name, variant, images):
    network = build(name, variant, classes=5).eval()
    with torch.inference_mode():
        scores = network(images)
        assert scores.shape == (4, 5)
        assert scores.isfinite().all()
        assert torch.equal(scores, network(images))


@every_network
def test_gradient_reaches_exactly_what_trains(name, variant, images):
    network = train_mode(build(name, variant))
    torch.manual_seed(0)  # dropout
    torch.nn.functional.cross_entropy(network(images), torch.tensor([0, 1, 2, 0])).backward()
    trains = (RECIPES if variant == PRINTED else RELEASED)[name].trains
    before_norm = biases_before_batch_norm(network)
    for key, parameter in network.named_parameters():
        assert (parameter.grad is not None) == (key.split(".")[1] in trains), key
        if variant == PRINTED and parameter.grad is not None:
            # a bias in front of batch norm is subtracted again: its gradient is zero by design
            assert parameter.grad.abs().sum() > 0 or key in before_norm, key


@every_network
def test_statistics_of_frozen_stages_never_move(name, variant, images):
    network = train_mode(build(name, variant))
    stages = dict(network.stages.named_children())
    before = {stage: statistics(module) for stage, module in stages.items()}
    network(images)
    live = live_stages(network)
    for stage, module in stages.items():
        after = statistics(module)
        assert module.training == (stage in live)
        moved = [key for key in after if not torch.equal(after[key], before[stage][key])]
        assert moved == (list(after) if stage in live else []), stage


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "resnet18_se", "miniset_densesenet"])
def test_scores_of_an_image_do_not_depend_on_its_batch_where_batch_norm_is_frozen(name, images):
    network = build(name)
    with torch.no_grad():
        alone = torch.cat([train_mode(network)(image[None]) for image in images])
        torch.testing.assert_close(train_mode(network)(images), alone, rtol=1e-4, atol=1e-5)
        plain = network.train()(images)  # what a plain train() would have done
    assert (plain - alone).abs().max() > 1e-2


@every_network
def test_prefix_and_suffix_are_the_whole(name, variant, images):
    network = built(name, variant).eval()
    cut = first_live_stage(network)
    with torch.inference_mode():
        features = network.stages[:cut](images)
        kept = features.clone()
        assert torch.equal(network.stages[cut:](features), network(images))
        assert torch.equal(features, kept)  # a cache would be spoilt by a suffix that works in place
    assert not any(p.requires_grad for p in network.stages[:cut].parameters())


def test_the_frozen_prefix_ends_where_section_4_6_says():
    def first(name, variant):
        network = built(name, variant)
        return [stage for stage, _ in network.stages.named_children()][first_live_stage(network)]

    assert {name: first(name, PRINTED) for name in OF_PAPER} == {
        "basic_cnn": "block1",
        "resnet18": "head",
        "densenet121": "head",
        "resnet18_se": "se1",
        "resnet18_cbam": "cbam1",
        "miniset_densesenet": "se1",
    }
    # in the released code batch norm moves everywhere: nothing can be computed once and kept
    assert all(first_live_stage(built(name, RELEASED_VARIANT)) == 0 for name in OF_PAPER)


def test_what_trains_has_the_size_of_what_section_4_6_names():
    def trainable(name, variant):
        return parameters(built(name, variant), trainable_only=True)

    head, dense_head, se, cbam = 512 * 3 + 3, 1024 * 3 + 3, 43_520, 43_912
    resnet = torchvision.models.resnet18()
    last_two_stages = parameters(resnet.layer3) + parameters(resnet.layer4)
    assert trainable("resnet18", PRINTED) == head
    assert trainable("densenet121", PRINTED) == dense_head
    assert trainable("resnet18_se", PRINTED) == head + se
    assert trainable("resnet18_cbam", PRINTED) == head + cbam + last_two_stages == 10_538_891
    assert trainable("miniset_densesenet", PRINTED) == dense_head + 172_032
    assert trainable("resnet18_cbam", RELEASED_VARIANT) == head + cbam
    assert trainable("basic_cnn", RELEASED_VARIANT) == 95_232
    for name in ("resnet18", "densenet121", "miniset_densesenet"):
        assert trainable(name, RELEASED_VARIANT) == parameters(built(name))


@pytest.mark.parametrize(
    ("plain", "gated", "added"),
    [
        ("resnet18", "resnet18_se", 43_520),
        ("resnet18", "resnet18_cbam", 43_912),
        ("densenet121", "miniset_densesenet", 172_032),
    ],
)
def test_gates_add_exactly_their_parameters(plain, gated, added):
    assert parameters(built(gated)) - parameters(built(plain)) == added


def test_the_basic_cnn_has_the_released_head():
    head = build_tissue_network("basic_cnn", seed=0, side=400).stages.head
    assert [layer.in_features for layer in head if isinstance(layer, torch.nn.Linear)] == [320_000, 256, 50]
    assert build("basic_cnn", side=67)(torch.zeros(1, 3, 67, 67)).shape == (1, 3)


@pytest.mark.parametrize("variant", [PRINTED, RELEASED_VARIANT])
@pytest.mark.parametrize("name", OF_PAPER)
def test_of_the_paper_s_networks_only_the_released_ones_have_dropout(name, variant, images):
    network = built(name, variant)
    rates = {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)}
    released = {"basic_cnn": 0.3, "resnet18": 0.8, "resnet18_se": 0.85, "resnet18_cbam": 0.85}
    assert rates == (set() if variant == PRINTED else {released.get(name, 0.9)})
    if variant == RELEASED_VARIANT:
        train_mode(network)
        torch.manual_seed(0)
        with torch.no_grad():
            assert not torch.equal(network(images), network(images))


def test_the_released_miniset_pools_negative_values_too():
    negative = -torch.ones(1, 1024, 2, 2)
    assert built("miniset_densesenet").stages.pool(negative).eq(0).all()
    assert built("miniset_densesenet", RELEASED_VARIANT).stages.pool(negative).eq(-1).all()


@every_network
def test_a_state_dict_carries_everything(name, variant, images):
    first, second = build(name, variant, seed=0).eval(), build(name, variant, seed=1).eval()
    with torch.inference_mode():
        assert not torch.equal(first(images), second(images))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(images), second(images))


@pytest.mark.parametrize("name", RECIPES)
def test_initial_values_come_from_the_seed_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build(name, seed=2).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = build(name, seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@every_network
def test_wrong_images_are_refused(name, variant):
    wrong = {
        "shape (2, 64, 64, 3)": torch.zeros(2, SIDE, SIDE, 3),
        "shape (3, 64, 64)": torch.zeros(3, SIDE, SIDE),
        "torch.uint8": torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8),
        "64 x 16": torch.zeros(2, 3, SIDE, 16),
    }
    for found, images in wrong.items():
        with pytest.raises(RefusedInput) as refusal:
            built(name, variant)(images)
        assert found in str(refusal.value)


def test_all_problems_of_an_image_batch_are_reported_at_once():
    with pytest.raises(RefusedInput) as refusal:
        built("resnet18")(torch.zeros(2, 3, 8, 8, dtype=torch.int32))
    assert len(refusal.value.problems) == 2


def test_every_network_but_the_basic_cnn_takes_images_of_any_side():
    with torch.inference_mode():
        for name in [name for name in RECIPES if name != "basic_cnn"]:
            assert built(name).eval()(torch.zeros(1, 3, 32, 47)).shape == (1, 3)
        with pytest.raises(RefusedInput, match="64 x 64, the size its head was built for"):
            built("basic_cnn")(torch.zeros(1, 3, 32, 32))


def test_a_wrong_request_is_refused_with_all_its_problems():
    with pytest.raises(RefusedInput) as refusal:
        build_tissue_network("vgg", variant="mine", seed=0)
    assert [problem.where for problem in refusal.value.problems] == ["network", "variant"]
    with pytest.raises(RefusedInput, match="8 or more"):
        build_tissue_network("basic_cnn", side=4, seed=0)
    network = build("resnet18")
    with pytest.raises(RefusedInput) as refusal:
        set_trainable(network, ("layer5", "head"), active=("body",))
    assert [problem.found for problem in refusal.value.problems] == ["layer5", "body"]
    assert live_stages(network) == ("head",)


def test_nothing_live_means_all_is_prefix():
    network = build("resnet18")
    set_trainable(network, ())
    assert first_live_stage(network) == len(network.stages)
    assert not any(stage.training for stage in train_mode(network).stages)
