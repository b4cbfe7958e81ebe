"""Layer-wise relevance propagation for 2-D and 3-D networks with batch norm, skips, joins and gates.

While the network runs forward, each torch function that touches the signal is replaced by one whose
backward pass carries relevance instead of gradient (`interception` says why functions, not modules):

| operation | relevance |
|---|---|
| convolution, transposed convolution, dense | the composite's rule (`lrp_rules`) |
| batch norm after a convolution or dense layer | folded into it first: one layer, one rule |
| batch norm elsewhere (DenseNet's first ones) | affine per channel: epsilon rule, its shift absorbs |
| ReLU and other activations, dropout | passed on unchanged |
| max pooling | to the largest input |
| average pooling, mean, sum, interpolation | by contribution |
| a + b (skips), a - b | by contribution |
| joining, slicing, reshaping, padding | moved along |
| signal x gate (squeeze-and-excitation, CBAM) | all to the signal: a gate is a constant |

A gate is what comes out of a sigmoid, hard sigmoid or softmax (Arras et al. 2017, arXiv 1706.07206).
Anything else that relevance reaches is refused by name; what it does not reach may be anything.
Rules: Bach et al. 2015; canonisation: Motzkus et al. 2022 (arXiv 2202.13621).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from als_core.explain.contract import check_call, differentiable, target_scores, to_heatmap
from als_core.explain.interception import refuse_opaque, works_in_place
from als_core.explain.lrp_rules import COMPOSITES, STABILISER, Composite, share, share_by
from als_core.refusal import Problem, RefusedInput, refuse_if


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


# operations by the name of the torch function, without the trailing _ of those that work in place
CONVOLUTIONS = _named("conv1d conv2d conv3d")
TRANSPOSED = _named("conv_transpose1d conv_transpose2d conv_transpose3d")
PASSING = _named("""
    relu relu6 leaky_relu prelu elu gelu silu mish hardswish hardtanh tanh
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout""")
GATING = _named("sigmoid hardsigmoid")
SUMMING = _named("""
    add sub rsub __add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ mean sum interpolate
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d""")
MULTIPLYING = _named("mul multiply __mul__ __rmul__ __imul__")
DIVIDING = _named("div divide true_divide __truediv__ __itruediv__")
MOVING = _named("""
    flatten view view_as reshape reshape_as unflatten squeeze unsqueeze permute transpose movedim flip
    expand expand_as contiguous clone to float double pad
    cat concat concatenate stack split chunk unbind narrow select gather __getitem__ max amax
    max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d""")


SHIFTING = (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)
"""Layers with a bias, or with a shift that acts as one."""


@dataclass(frozen=True)
class Relevance:
    """heatmap (N, *spatial), in units of the score; score (N,) of the target, which was shared out."""

    heatmap: Tensor
    score: Tensor

    @property
    def absorbed_share(self) -> Tensor:
        """(score - sum of the heatmap) / score, (N,): what biases, batch norm and stabilisers kept.

        0 is full conservation. It is negative where negative biases make inputs share more than the
        score, and grows without bound as the score nears zero.
        """
        return (self.score - self.heatmap.flatten(1).sum(1)) / self.score


def propagate(
    model: nn.Module, images: Tensor, target: int | Tensor, *, rules: str | Composite = "epsilon"
) -> Relevance:
    """The target's score, shared out layer by layer down to the images.

    `rules`: a name in `lrp_rules.COMPOSITES`, or a Composite. Raises RefusedInput, with the name of the
    operation, when relevance reaches one that has no rule, and for compiled models.
    """
    targets = check_call(model, images, target)
    refuse_opaque(model, "LRP")
    if isinstance(rules, str) and rules not in COMPOSITES:
        problem = Problem("rules", repr(rules), f"one of {sorted(COMPOSITES)}", "Or pass a Composite.")
        refuse_if("LRP", [problem])
    composite = COMPOSITES[rules] if isinstance(rules, str) else rules
    # constants as parameters: whatever still requires a gradient then descends from the images
    constants = {name: parameter.detach() for name, parameter in model.named_parameters()}
    with differentiable(images) as leaf:
        with RelevanceRules(composite, leaf):
            scores = target_scores(lambda x: functional_call(model, constants, (x,)), leaf, targets)
        if not scores.requires_grad:
            raise _refusal("a score without gradient", "Remove torch.no_grad or .detach() from the model.")
        (relevance,) = torch.autograd.grad(scores, leaf, scores.detach(), materialize_grads=True)
    return Relevance(to_heatmap(relevance), scores.detach())


def lrp(
    model: nn.Module, images: Tensor, target: int | Tensor, *, rules: str | Composite = "epsilon"
) -> Tensor:
    """Each voxel's relevance for the target's score, in units of the score, summed over channels, signed.

    Settings, refusals and source as `propagate`, which also tells what was absorbed on the way.
    """
    return propagate(model, images, target, rules=rules).heatmap


def absorbed_by_layer(model: nn.Module, images: Tensor, target: int | Tensor) -> dict[str, Tensor]:
    """What the shift of each layer keeps of the score under the epsilon rule, (N,) by the layer's name.

    A shift is a layer's bias or, in batch norm, its bias minus mean times scale. In a network of linear
    layers, batch norm, ReLU, and mean or max pooling, the score is the sum over pixels and shifts of value
    times slope, which is how the epsilon rule without stabiliser shares it out. So these values and the sum
    of the heatmap add up to the score. Layers called as functions and gates are not followed.
    """
    targets = check_call(model, images, target)
    probes: list[tuple[str, Tensor, Tensor]] = []

    def add_probe(name: str, module: nn.Module, output: Tensor) -> Tensor:
        shift = module.bias
        if hasattr(module, "running_var"):
            scale = (module.running_var + module.eps).rsqrt() * (
                1 if module.weight is None else module.weight
            )
            shift = (0 if shift is None else shift) - module.running_mean * scale
        if shift is None:
            return output
        probe = output.new_zeros(output.shape[:2], requires_grad=True)
        probes.append((name, shift.detach(), probe))
        return output + probe.view(*probe.shape, *[1] * (output.ndim - 2))

    hooks = []
    try:
        for name, module in model.named_modules():
            if isinstance(module, SHIFTING):
                hooks.append(
                    module.register_forward_hook(lambda m, _, out, name=name: add_probe(name, m, out))
                )
        with differentiable(images) as leaf:
            score = target_scores(model, leaf, targets).sum()
            slopes = torch.autograd.grad(score, [probe for *_, probe in probes], materialize_grads=True)
    finally:
        for hook in hooks:
            hook.remove()
    kept: dict[str, Tensor] = {}
    for (name, shift, _), slope in zip(probes, slopes, strict=True):
        kept[name] = kept.get(name, 0) + slope @ shift
    return kept


@dataclass(frozen=True)
class _Origin:
    """What is known of a tensor on the signal's way: whether it is a gate, and the linear layer it left."""

    gate: bool = False
    layer: tuple | None = None  # (name, operation, signal, weight, bias)


class RelevanceRules(TorchFunctionMode):
    """While active, functions of tensors that descend from `images` carry relevance backward."""

    def __init__(self, composite: Composite, images: Tensor):
        super().__init__()
        self.composite = composite
        self.origins = WeakIdKeyDictionary()
        self.origins[images] = _Origin()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        signals = _signals((args, kwargs))
        if not signals:
            return function(*args, **kwargs)
        if not all(signal in self.origins for signal in signals):
            raise _refusal("a custom autograd function or checkpoint", "Rewrite it in torch functions.")
        name = function.__name__
        if not works_in_place(function, kwargs):
            return self._carry(name, function, args, kwargs)
        written, *others = args if args else [kwargs.pop("input")]
        before = written.clone()  # what the backward pass needs is not overwritten
        if written in self.origins:
            self.origins[before] = self.origins[written]
        result = self._carry(
            name.rstrip("_"), lambda x, *y, **z: function(x.clone(), *y, **z), (before, *others), kwargs
        )
        written.copy_(result)  # into the tensor itself: whoever else holds it sees the change
        self.origins[written] = self.origins[result]
        return written

    def _carry(self, name: str, function: Callable, args: tuple, kwargs: dict):
        """One operation: its result, which remembers how relevance goes back through it."""
        signals = _signals((args, kwargs))
        gate = all(self.origins[signal].gate for signal in signals)
        if name in MOVING:
            return self._keep(function(*args, **kwargs), gate)
        if name == "linear" or name in CONVOLUTIONS | TRANSPOSED:
            return self._linear(name, function, *args, **kwargs)
        if function is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if not _signals(kwargs):  # the rules below take signals by position, as all of torch.nn does
            if name in PASSING | GATING and len(signals) == 1:
                return self._keep(self._passed(function, args, kwargs), gate or name in GATING)
            if name in SUMMING or (name in DIVIDING and not _signals(args[1])):
                return self._keep(self._sum(function, args, kwargs), gate)
            if name in MULTIPLYING:
                return self._product(function, *args, **kwargs)
        return self._keep(function(*args, **kwargs), gate or name == "softmax", refused=name)

    def _keep(self, result, gate: bool = False, layer: tuple | None = None, refused: str | None = None):
        """Remember each tensor of a result that descends from the images."""
        if isinstance(result, tuple | list):
            kept = [self._keep(part, gate, layer, refused) for part in result]
            return type(result)(kept)
        if not isinstance(result, Tensor) or not result.requires_grad:
            return result
        if refused:
            result = _Refuse.apply(refused, result)
        self.origins[result] = _Origin(gate, layer)
        return result

    def _passed(self, function, args, kwargs):
        signal, *settings = args
        return _Carry.apply(
            lambda x: function(x, *settings, **kwargs), lambda relevance, x: (relevance,), signal
        )

    def _linear(self, name, function, input, weight, bias=None, *settings, **named):
        if _signals((weight, bias)):
            return self._keep(
                function(input, weight, bias, *settings, **named), refused=f"{name} of two signals"
            )

        def operation(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
            return function(x, w, b, *settings, **named)

        rule = self.composite.dense if name == "linear" else self.composite.convolution
        result = _Carry.apply(
            lambda x: operation(x, weight, bias),
            lambda relevance, x: (share_by(rule, operation, x, weight, bias, relevance),),
            input,
        )
        if name in TRANSPOSED:  # its output channels are not the weight's first axis: nothing folds into it
            return self._keep(result)
        return self._keep(result, layer=(name, operation, input, weight, bias))

    def _batch_norm(
        self, input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
    ):
        if training or running_mean is None:
            result = F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
            return self._keep(result, refused="batch norm by the batch's own statistics")
        scale = (running_var + eps).rsqrt() * (1 if weight is None else weight)
        shift = (0 if bias is None else bias) - running_mean * scale
        layer = self.origins[input].layer
        if layer is not None and input.shape[1] == len(layer[3]) == len(scale):
            name, operation, signal, kernel, offset = layer
            kernel = kernel * scale.view(-1, *[1] * (kernel.ndim - 1))
            offset = shift if offset is None else offset * scale + shift
            return self._linear(name, operation, signal, kernel, offset)
        shape = (1, -1, *[1] * (input.ndim - 2))
        scale, shift = scale.view(shape), shift.view(shape)
        return self._keep(_shared(lambda x: x * scale + shift, input))

    def _sum(self, function, args, kwargs):
        places = [i for i, argument in enumerate(args) if _signals(argument)]

        def total(*signals: Tensor) -> Tensor:
            filled = list(args)
            for place, signal in zip(places, signals, strict=True):
                filled[place] = signal
            return function(*filled, **kwargs)

        return _shared(total, *[args[place] for place in places])

    def _product(self, function, first, second, **kwargs):
        factors = [factor for factor in (first, second) if _signals(factor)]
        gates = [factor for factor in factors if self.origins[factor].gate]
        if len(factors) == 2 and len(gates) != 1:
            result = function(first, second, **kwargs)
            return self._keep(result, bool(gates), refused="a product of two signals without a gate")
        if len(factors) == 2:
            constant = gates[0].detach()
            signal = second if gates[0] is first else first
        else:
            signal = factors[0]
            constant = second if signal is first else first
        return self._keep(_shared(lambda x: x * constant, signal), self.origins[signal].gate)


class _Carry(torch.autograd.Function):
    """operation(*signals) forward; redistribute(relevance, *signals) backward."""

    @staticmethod
    def forward(context, operation: Callable, redistribute: Callable, *signals: Tensor) -> Tensor:
        context.redistribute = redistribute
        context.save_for_backward(*signals)
        result = operation(*signals)
        # eval-mode dropout returns its input, which autograd would take for a view that nobody may write to
        return result.clone() if any(result is signal for signal in signals) else result

    @staticmethod
    def backward(context, relevance: Tensor):
        return None, None, *context.redistribute(relevance, *context.saved_tensors)


class _Refuse(torch.autograd.Function):
    """The identity, which refuses relevance with the name of the operation before it."""

    @staticmethod
    def forward(context, name: str, signal: Tensor) -> Tensor:
        context.name = name
        return signal.view_as(signal)

    @staticmethod
    def backward(context, relevance: Tensor):
        raise _refusal(context.name, "Explain the scores before it, or use another method.")


def _shared(total: Callable[..., Tensor], *signals: Tensor) -> Tensor:
    return _Carry.apply(
        total, lambda relevance, *inputs: tuple(share(total, inputs, relevance, STABILISER)), *signals
    )


def _signals(arguments) -> list[Tensor]:
    """The tensors within arguments, however nested, that descend from the images."""
    if isinstance(arguments, Tensor):
        return [arguments] if arguments.requires_grad else []
    if isinstance(arguments, dict):
        arguments = arguments.values()
    elif not isinstance(arguments, tuple | list):
        return []
    return [signal for argument in arguments for signal in _signals(argument)]


def _refusal(found: str, remedy: str) -> RefusedInput:
    return RefusedInput(
        "LRP", [Problem("model", found, "operations with a rule (see als_core.explain.lrp)", remedy)]
    )
