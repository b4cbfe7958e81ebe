"""What runs in a step, against whole images through the plain network: equal for every network with a frozen part."""

import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from als_core.models.stages import first_live_stage, set_trainable, train_mode
from als_core.models.transitions import GatedTransition
from als_core.studies.xia2024.networks import build_tissue_network
from als_core.training.epochs import epoch_generator
from als_core.training.features import IMAGENET_SCALING, as_input, frozen_inputs
from als_core.training.fit import class_scores, fit
from als_core.training.recipe import RECIPES
from als_core.training.tail import TrainableTail, mean_and_maximum

CPU, SIDE, N = torch.device("cpu"), 48, 12
FROZEN_PART = [name for name in RECIPES if name != "basic_cnn"]
IMAGES = np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)
LABELS, ROWS = torch.arange(N) % 3, torch.arange(N)


def built(name, dtype=torch.float64):
    network = build_tissue_network(name, side=SIDE, seed=3).to(dtype)
    set_trainable(network, RECIPES[name].trains)
    return network


def cached(network, precision="fp32"):
    prefix = network.stages[: first_live_stage(network)]
    storage = "fp64" if next(network.parameters()).dtype == torch.float64 else "fp32"
    return frozen_inputs(
        prefix, [IMAGES], IMAGENET_SCALING, storage=storage, device=CPU, folder=None, precision=precision
    )


def test_a_gate_and_the_frozen_transition_after_it_run_as_one_stage():
    network = built("miniset_densesenet")
    part = network.stages[first_live_stage(network) :]
    running = TrainableTail(part, RECIPES["miniset_densesenet"].trains, "fp32", CPU).stages
    assert {name for name, stage in running.named_children() if type(stage) is GatedTransition} == {
        "se1", "se2", "se3",
    }  # fmt: skip
    left_out = set(dict(part.named_children())) - set(dict(running.named_children()))
    assert left_out == {"transition1", "transition2", "transition3"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FROZEN_PART)
def test_cached_and_folded_training_is_plain_training_to_1e_12(name):
    """Six Adam steps in double precision: scores of every image to 1e-12, every tensor to 1e-11."""
    recipe = replace(
        RECIPES[name], epochs=2, batch_size=4, side=SIDE, checkpoint="last epoch", learning_rate=1e-3
    )
    network, plain = built(name), built(name)
    inputs = cached(network)
    fit(recipe, network, inputs, LABELS, ROWS, ROWS[:0], seed=1)
    scaled = as_input(torch.from_numpy(IMAGES), IMAGENET_SCALING, torch.float64)
    optimiser = torch.optim.Adam(
        [each for each in plain.parameters() if each.requires_grad],
        recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    train_mode(plain)
    for epoch in (1, 2):
        for rows in torch.randperm(N, generator=epoch_generator(1, epoch)).split(4):
            optimiser.zero_grad()
            cross_entropy(plain(scaled[rows]), LABELS[rows]).backward()
            optimiser.step()
    for key, value in plain.state_dict().items():
        # Adam divides by the size of a gradient: a weight whose gradient is next to none shows its rounding
        assert (network.state_dict()[key] - value).abs().max() < 1e-11, key
    assert (plain.state_dict()["stages.head.weight"] - built(name).state_dict()["stages.head.weight"]).any()
    assert (class_scores(recipe, network, inputs, ROWS) - plain.eval()(scaled)).abs().max() < 1e-12


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_a_head_alone_predicts_the_same_in_fp32(name):
    network = built(name, torch.float32)
    network.stages.head.weight.data.mul_(50)  # scores far enough apart to be no ties
    scores = class_scores(RECIPES[name], network, cached(network), ROWS)
    whole = network.eval()(as_input(torch.from_numpy(IMAGES), IMAGENET_SCALING)).detach()
    assert torch.equal(scores.argmax(1), whole.argmax(1)) and len(scores.argmax(1).unique()) > 1
    torch.testing.assert_close(scores, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18_se", "resnet18_cbam", "miniset_densesenet", "basic_cnn"])
def test_reduced_precision_is_near_and_leaves_what_trains_in_fp32(name):
    network = built(name, torch.float32)
    start = first_live_stage(network)
    live = [stage for stage, _ in network.stages.named_children()][start:]
    live = [stage for stage in live if stage in RECIPES[name].trains]
    batch = cached(network).batch(ROWS) if start else as_input(torch.from_numpy(IMAGES), IMAGENET_SCALING)
    scores, gradients = [], []
    for precision in ("fp32", "bf16"):
        running = TrainableTail(network.stages[start:], live, precision, CPU).mode(training=True)
        scores.append(running(batch))
        network.zero_grad()
        cross_entropy(scores[-1], LABELS).backward()
        trained = [each.grad for each in network.parameters() if each.requires_grad]
        assert all(each.dtype == torch.float32 for each in trained)
        gradients.append(network.stages.head.get_parameter(_last_weight(network)).grad.clone())
    assert scores[1].dtype == torch.float32
    assert 0 < (scores[0] - scores[1]).abs().max() < 0.1 * scores[0].abs().max().clamp(min=1)
    assert torch.cosine_similarity(*(each.flatten() for each in gradients), dim=0) > 0.98


def test_mean_and_maximum_have_pytorchs_gradients_with_ties_too():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 4, (3, 5, 4, 6), generator=generator).double()  # many equal maxima
    maps = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
    own = maps, maps.mean((2, 3)), maps.amax((2, 3))
    weights = [torch.randn(each.shape, dtype=torch.float64, generator=generator) for each in own]
    weights[0] = weights[0].contiguous(memory_format=torch.channels_last)
    found = []
    for answers in (own, mean_and_maximum(maps)):
        torch.testing.assert_close(answers, own, rtol=0, atol=1e-14)
        total = sum((answer * weight).sum() for answer, weight in zip(answers, weights, strict=True))
        found.append(torch.autograd.grad(total, maps)[0])
    torch.testing.assert_close(*found, rtol=0, atol=1e-14)
    assert found[1].is_contiguous(memory_format=torch.channels_last)


def _last_weight(network):
    return [name for name, _ in network.stages.head.named_parameters() if name.endswith("weight")][-1]


def test_kept_memory_is_not_fetched_again():
    """Page faults of a process that frees and takes 64 MB twenty times."""
    code = (
        "import sys, resource, torch\n"
        "from als_core.training.memory import keep_freed_memory\n"
        "if sys.argv[1] == 'keep' and not keep_freed_memory(): sys.exit(3)\n"
        "for _ in range(5): torch.ones(1 << 24)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20): torch.ones(1 << 24)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    done = [subprocess.run([sys.executable, "-c", code, way], capture_output=True, text=True) for way in ("keep", "plain")]  # fmt: skip
    if done[0].returncode == 3:
        pytest.skip("not glibc")
    kept, plain = (int(each.stdout) for each in done)
    pages = (1 << 26) // resource.getpagesize()  # of one tensor
    assert kept <= 4 * pages and kept <= plain
