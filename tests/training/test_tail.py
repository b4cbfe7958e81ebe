"""What runs in a training step, against whole images through the plain network: equal for every network with a frozen part."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_fit import run
from torch import nn
from torch.nn.functional import cross_entropy
from toy_training import TOY

from als_core.models.attention import CBAM, SqueezeExcitation
from als_core.models.stages import IMAGENET_SCALING, first_live_stage, set_trainable, train_mode
from als_core.refusal import RefusedInput
from als_core.studies.xia2024.build import build_tissue_network
from als_core.studies.xia2024.recipes import RECIPES
from als_core.training import tail
from als_core.training.epochs import epoch_generator
from als_core.training.features import as_input, frozen_inputs
from als_core.training.fit import class_scores, fit
from als_core.training.tail import TrainableTail, maybe_compile

CPU, SIDE, N = torch.device("cpu"), 48, 12
FROZEN_PART = [name for name in RECIPES if name not in ("basic_cnn", "efficientnet_lite0")]
IMAGES = np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)
LABELS, ROWS = torch.arange(N) % 3, torch.arange(N)


def built(name, dtype=torch.float64):
    network = build_tissue_network(name, side=SIDE, seed=3).to(dtype)
    set_trainable(network, RECIPES[name].trains)
    return network


def cached(network):
    prefix = network.stages[: first_live_stage(network)]
    return frozen_inputs(prefix, [IMAGES], IMAGENET_SCALING, device=CPU, folder=None, precision="fp32")


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
        running = TrainableTail(network.stages[start:], live, precision).mode(training=True)
        scores.append(running(batch))
        network.zero_grad()
        cross_entropy(scores[-1], LABELS).backward()
        trained = [each.grad for each in network.parameters() if each.requires_grad]
        assert all(each.dtype == torch.float32 for each in trained)
        gradients.append(network.stages.head.get_parameter(_last_weight(network)).grad.clone())
    assert scores[1].dtype == torch.float32
    assert 0 < (scores[0] - scores[1]).abs().max() < 0.1 * scores[0].abs().max().clamp(min=1)
    assert torch.cosine_similarity(*(each.flatten() for each in gradients), dim=0) > 0.98


def _last_weight(network):
    return [name for name, _ in network.stages.head.named_parameters() if name.endswith("weight")][-1]


COMPILED = replace(TOY, compiled=True, epochs=3)
LEFT_OVER = 29 % TOY.batch_size  # images of the toy's training part that make no whole batch
needs_compiler = pytest.mark.skipif(bool(tail._missing_compiler()), reason="no C++ compiler on this machine")


@needs_compiler
def test_a_compiled_run_is_the_run(monkeypatch):
    """Histories and weights in double precision; every whole batch goes through the compiled form and no other."""
    sizes, compile_of = [], torch.compile

    def counted(module, **options):
        compiled = compile_of(module, **options)
        return lambda batch: sizes.append(len(batch)) or compiled(batch)

    monkeypatch.setattr(torch, "compile", counted)
    (network, fitted), (compiled, again) = (
        run(each, dtype=torch.float64) for each in (replace(TOY, epochs=3), COMPILED)
    )
    assert LEFT_OVER and sizes == [TOY.batch_size] * (3 * (29 // TOY.batch_size))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], tensor, rtol=1e-9, atol=1e-11)
    histories = [torch.tensor(each.history.to_numpy()) for each in (again, fitted)]
    torch.testing.assert_close(*histories, rtol=1e-10, atol=1e-11)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("gate", [SqueezeExcitation, CBAM])
def test_compiled_gates_have_the_gradients_of_the_plain_ones(gate):
    """In bf16 and channels-last, as stored maps are: there a compiled `amax` gave NaN."""
    torch.manual_seed(5)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    stages = nn.Sequential(OrderedDict(gate=gate(64), pool=pool, head=nn.Linear(64, 3)))
    maps = (torch.randn(8, 64, 16, 16) + torch.randn(8, 64, 1, 1)).relu().bfloat16()
    maps = maps.contiguous(memory_format=torch.channels_last)
    plain = TrainableTail(stages, ["gate", "head"], "bf16").mode(training=True)
    gradients = []
    for step in (plain, maybe_compile(replace(COMPILED, batch_size=len(maps)), plain)):
        stages.zero_grad()
        step(maps).square().sum().backward()
        gradients.append([each.grad.clone() for each in stages.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert one.any() and (one - other).abs().max() <= 0.05 * one.abs().max()


def test_without_a_compiler_it_is_refused_before_training(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RefusedInput, match=r"g\+\+ or clang\+\+.*Install one"):
        run(COMPILED)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RefusedInput, match="no-such-compiler"):
        run(COMPILED)
    assert (
        maybe_compile(TOY, plain := torch.nn.Identity()) is plain
    )  # a recipe that asks for nothing needs nothing
