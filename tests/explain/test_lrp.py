"""LRP against Zennit, against gradient x input, by hand, and by conservation."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import LayerMapComposite
from zennit.layer import Sum
from zennit.rules import AlphaBeta as ZennitAlphaBeta
from zennit.rules import Epsilon as ZennitEpsilon
from zennit.rules import Norm, Pass, ZPlus
from zennit.torchvision import ResNetCanonizer
from zennit.types import Activation, AvgPool, Convolution

from als_core.explain.interception import count_hooks
from als_core.explain.lrp import RelevanceRules, absorbed_by_layer, lrp, propagate
from als_core.explain.lrp_rules import (
    COMPOSITES,
    STABILISER,
    ZPLUS,
    AlphaBeta,
    Composite,
    Epsilon,
    share_by,
    stabilised,
)
from als_core.refusal import RefusedInput
from als_core.studies.panagiotaras.own_network import awkward_networks, conservation, without_shifts

both = pytest.mark.parametrize("axes", [2, 3])
ZENNIT_RULES = {
    "epsilon": ZennitEpsilon(1e-6),
    "z+": ZPlus(STABILISER),
    "alpha2beta1": ZennitAlphaBeta(2, 1, STABILISER),
}


def zennit_relevance(model, images, targets, rules, canonizers):
    composite = LayerMapComposite(
        [
            (Convolution, ZENNIT_RULES[rules]),
            (nn.Linear, ZennitEpsilon(1e-6 if rules == "epsilon" else STABILISER)),
            ((AvgPool, Sum), Norm(STABILISER)),
            (Activation, Pass()),
        ],
        canonizers=canonizers,
    )

    def start(scores):
        return scores * F.one_hot(targets, scores.shape[1])

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.eps = 1e-12  # Zennit divides by sqrt(1 + eps) once more after it has folded
    with Gradient(model=model, composite=composite) as attributor:
        return attributor(images, start)[1].sum(1)


@both
@pytest.mark.parametrize("rules", COMPOSITES)
def test_equals_zennit_with_batch_norm(axes, rules, small_network, some_images):
    # a seed in which no unit lacks negative contributions: there Zennit's alpha-beta does not conserve
    model, images = small_network(axes, seed=7), some_images(axes)
    targets = torch.tensor([0, 2])
    expected = zennit_relevance(model, images, targets, rules, [SequentialMergeBatchNorm()])
    relevance = lrp(model, images, targets, rules=rules)
    assert (relevance - expected).abs().max() < 1e-6 * expected.abs().max()


def unsettled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norm as after training: no scale of 1, no shift of 0."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return model.double().eval()


def torchvision_model(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return unsettled(getattr(torchvision.models, name)(num_classes=3))


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("rules", COMPOSITES)
def test_equals_zennit_on_a_residual_network(rules, pictures):
    targets = torch.tensor([0, 2])
    model = torchvision_model("resnet18")
    expected = zennit_relevance(model, pictures, targets, rules, [ResNetCanonizer()])
    relevance = lrp(model, pictures, targets, rules=rules)
    assert (relevance - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "squeezenet1_1"])
def test_without_stabiliser_the_epsilon_rule_is_gradient_times_input(name, pictures):
    """Ancona et al. 2018 (arXiv 1711.06104), proposition 1: for ReLU networks, however they branch."""
    model = torchvision_model(name)
    leaf = pictures.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    expected = (gradient * pictures).sum(1)
    relevance = lrp(model, pictures, 1, rules=Composite(Epsilon(1e-12), Epsilon(1e-12)))
    assert (relevance - expected).abs().max() < 1e-4 * expected.abs().max()


@both
@pytest.mark.parametrize("name", ["z+", "alpha2beta1"])
def test_conserves_relevance_without_biases(axes, name, small_network, some_images):
    model, images = small_network(axes, norm=False, bias=False), some_images(axes, side=10)
    images[:, :, :6] = 0  # a black background, whose units have few or no inputs
    convolution = COMPOSITES[name].convolution
    for rules in (name, Composite(convolution, convolution)):
        result = propagate(model, images, torch.tensor([0, 2]), rules=rules)
        if rules == name:
            assert result.absorbed_share.abs().max() < 1e-4
        else:  # the last layer's own score must be above 0 for its positive part to carry it
            positive = result.score > 0
            assert positive.any() and result.absorbed_share[positive].abs().max() < 1e-4


@pytest.mark.parametrize("rules", ["z+", "alpha2beta1"])
def test_the_absorbed_share_accounts_for_biases(rules, small_network, some_images):
    result = propagate(small_network(2), some_images(2), 1, rules=rules)
    missing = result.score - result.heatmap.flatten(1).sum(1)
    torch.testing.assert_close(result.absorbed_share, missing / result.score)
    assert result.absorbed_share.abs().min() > 0.01


@pytest.fixture(scope="module")
def awkward(pictures):
    """DenseNet121 with batch norm, one ReLU object used twice, and no ReLU before the pooling."""
    return awkward_networks(pictures, seed=0)


@pytest.mark.parametrize("rules, tolerance", {"epsilon": 1e-3, "z+": 1e-6, "alpha2beta1": 1e-6}.items())
def test_relevance_is_conserved_without_shifts(rules, tolerance, awkward, pictures):
    table = conservation(awkward, pictures[:1]).query("`LRP rule` == @rules")
    assert len(table) == 3
    for lost in table["Lost without shifts"]:
        assert lost < tolerance


def test_shifts_and_image_share_the_score_out(awkward, pictures):
    """The score is homogeneous in pixels and shifts together (Euler): an oracle that knows no rule of LRP."""
    exact = Composite(Epsilon(1e-12), Epsilon(1e-12))
    for model in awkward.values():
        result, kept = propagate(model, pictures, 1, rules=exact), absorbed_by_layer(model, pictures, 1)
        parts = torch.stack([result.heatmap.flatten(1).sum(1), *kept.values()])
        assert ((parts.sum(0) - result.score).abs() < 1e-5 * parts.abs().sum(0)).all()
        assert (result.absorbed_share.abs() > 0.1).all()  # there was something to absorb


def test_the_awkward_networks_are_what_they_are_called(awkward, pictures):
    densenet, shared, unrectified = awkward.values()
    assert sum(isinstance(module, nn.BatchNorm2d) for module in densenet.modules()) == 121
    calls = []
    handle = shared.relu.register_forward_hook(lambda *_: calls.append(1))
    shared(pictures)
    handle.remove()
    assert len(calls) == 2
    maps = unrectified[:4](pictures)
    assert isinstance(unrectified[4], nn.AdaptiveAvgPool2d) and (maps < 0).any()
    bare = without_shifts(unrectified)
    assert bare[0].bias.abs().sum() == bare[1].running_mean.abs().sum() == 0 < unrectified[0].bias.abs().sum()


def test_what_a_layer_keeps_by_hand_and_no_hook_stays():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2)).double().eval()
    values = {"1.weight": [[2.0, 1.0]], "1.bias": [3.0], "3.weight": [[4.0], [0.0]], "3.bias": [5.0, 0.0]}
    model.load_state_dict({name: torch.tensor(each) for name, each in values.items()})
    kept = absorbed_by_layer(model, torch.tensor([[[[1.0, 1.0]]], [[[-4.0, 0.0]]]]).double(), 0)
    assert {name: values.tolist() for name, values in kept.items()} == {"1": [12.0, 0.0], "3": [5.0, 5.0]}
    assert count_hooks(model) == 0


def test_rules_by_hand():
    """Two inputs 1 and 2, weights (1, -1) and (2, 1) to two outputs, biases 1 and -1, relevances 3 and 5."""
    signal = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    weight = torch.tensor([[1.0, -1.0], [2.0, 1.0]], dtype=torch.float64)
    bias = torch.tensor([3.0, -1.0], dtype=torch.float64)
    relevance = torch.tensor([[3.0, 5.0]], dtype=torch.float64)
    # contributions: output 0 gets 1 and -2 and bias 3, z = 2; output 1 gets 2 and 2 and bias -1, z = 3
    by_hand = {
        Epsilon(0.0): [1 / 2 * 3 + 2 / 3 * 5, -2 / 2 * 3 + 2 / 3 * 5],
        Epsilon(1.0): [1 / 3 * 3 + 2 / 4 * 5, -2 / 3 * 3 + 2 / 4 * 5],
        ZPLUS: [1 / 4 * 3 + 2 / 4 * 5, 0 / 4 * 3 + 2 / 4 * 5],
        AlphaBeta(2.0, 1.0): [2 * 1 / 4 * 3 + 2 * 2 / 4 * 5, 2 * 2 / 4 * 5 - 2 / 2 * 3],
    }
    for rule, expected in by_hand.items():
        shared = share_by(rule, F.linear, signal, weight, bias, relevance)
        torch.testing.assert_close(shared, torch.tensor([expected], dtype=torch.float64))
    # without the bias, output 1 has no negative contribution: its relevance is shared once, not twice
    shared = share_by(AlphaBeta(2.0, 1.0), F.linear, signal, weight, None, relevance)
    expected = [2 * 3 + 2 / 4 * 5, 2 / 4 * 5 - 3]
    torch.testing.assert_close(shared, torch.tensor([expected], dtype=torch.float64))
    # negative inputs change sides: contributions -1 and -2 to output 0, -2 and 2 to output 1
    mixed = share_by(ZPLUS, F.linear, signal * torch.tensor([-1.0, 1.0]), weight, None, relevance)
    torch.testing.assert_close(mixed, torch.tensor([[0.0, 5.0]], dtype=torch.float64))


def test_rules_are_checked_as_data():
    with pytest.raises(ValueError, match="alpha - beta must be 1"):
        AlphaBeta(2.0, 0.5)
    assert stabilised(torch.tensor([0.0, -1.0]), 0.5).tolist() == [0.5, -1.5]
    with pytest.raises(RefusedInput, match="alpha2beta1"):
        propagate(nn.Flatten().eval(), torch.ones(1, 1, 2, 2), 0, rules="gamma")


class Gated(nn.Module):
    """Squeeze-and-excitation, then a spatial gate as CBAM's, on 3 channels."""

    def __init__(self):
        super().__init__()
        self.first, self.squeeze, self.spatial = nn.Conv2d(1, 3, 3), nn.Linear(3, 3), nn.Conv2d(2, 1, 3, 1, 1)
        self.last = nn.Linear(3, 2)

    def gates(self, x):
        channel = torch.sigmoid(self.squeeze(x.mean((2, 3))))[:, :, None, None]
        scaled = x * channel.expand_as(x)
        spread = torch.cat(tensors=[scaled.max(1, keepdim=True)[0], scaled.std(1, keepdim=True)], dim=1)
        return channel, torch.sigmoid(self.spatial(spread))

    def forward(self, images, fixed=None):
        x = F.relu(torch.cat(tensors=[self.first(images)], dim=1))
        channel, spatial = self.gates(x) if fixed is None else fixed
        return self.last(F.adaptive_avg_pool2d(x * channel * spatial, 1).flatten(1))


def test_gates_are_constants():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Gated().double().eval()
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gates = [gate.detach() for gate in model.gates(F.relu(model.first(images)))]
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf, gates)[:, 0].sum(), leaf)
    relevance = lrp(model, images, 0, rules=Composite(Epsilon(1e-12), Epsilon(1e-12)))
    torch.testing.assert_close(relevance, (gradient * images).sum(1))


class InPlace(nn.Module):
    """A skip that takes the tensor an in-place ReLU has changed, and an in-place sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(1, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

    def forward(self, images):
        x = self.first(images)
        skip = x
        out = self.second(F.dropout(F.relu(x, inplace=True), training=self.training))
        out += skip
        return self.last((F.relu_(out) / 2).mean((2, 3)))


def test_in_place_operations_mean_what_torch_means():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = InPlace().double().eval()
    images = torch.randn(2, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaf = images.clone().requires_grad_()
    scores = model(leaf)[:, 1]
    (gradient,) = torch.autograd.grad(scores.sum(), leaf)
    result = propagate(model, images, 1, rules=Composite(Epsilon(1e-12), Epsilon(1e-12)))
    torch.testing.assert_close(result.score, scores.detach())
    torch.testing.assert_close(result.heatmap, (gradient * images).sum(1))


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context, gradient):
        return 3 * context.saved_tensors[0] ** 2 * gradient


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda x: x.softmax(1), "softmax"),
        (lambda x: F.layer_norm(x, x.shape[1:]), "layer_norm"),
        (lambda x: F.batch_norm(x, None, None, training=True), "own statistics"),
        (lambda x: x * x, "two signals without a gate"),
        (lambda x: 1 / (x.abs() + 1), "reciprocal|div|abs"),
        (lambda x: torch.matmul(x, x.transpose(1, 0)), "matmul"),
        (lambda x: F.linear(x, x), "linear of two signals"),
        (lambda x: torch.add(x, other=x), "add"),
        (lambda x: Cube.apply(x) + 1, "custom autograd function"),
        (lambda x: x.detach(), "without gradient"),
    ],
    ids=[
        "softmax",
        "layernorm",
        "batchstat",
        "square",
        "divide",
        "matmul",
        "weights",
        "keyword",
        "custom",
        "detached",
    ],
)
def test_what_has_no_rule_is_refused_by_name(step, words):
    class Odd(nn.Sequential):
        def forward(self, x):
            return step(super().forward(x))

    model = Odd(nn.Flatten(), nn.Linear(4, 2)).eval()
    with pytest.raises(RefusedInput, match=words):
        lrp(model, torch.rand(2, 1, 2, 2), 0)


def test_the_rules_end_with_their_context(small_network, some_images):
    model, images = small_network(2), some_images(2)
    leaf = images.clone().requires_grad_()
    with pytest.raises(OSError), RelevanceRules(COMPOSITES["z+"], leaf):
        raise OSError
    names = {type(model(leaf).grad_fn).__name__}
    assert names == {"AddmmBackward0"}
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in model.parameters())
