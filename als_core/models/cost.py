"""What a network costs: FLOPs as Xia et al. 2024 print them, exact multiply-accumulates, parameters.

The "FLOPs" of Table 1 are multiply-accumulates as the package thop (0.1.0 and later) counts them, one
layer object at a time on one forward pass of one 400 x 400 image:

    convolution, linear             one per multiply-accumulate; biases are free
    batch norm with scale, shift    4 per input element (2 without)
    average pooling                 1 per output element; adaptive: 1 + inputs per output
    ReLU, max pooling, sigmoid,     0
    and whatever is no layer object

Exact multiply-accumulates (convolutions and matrix products only, function calls included) are half of
what `torch.utils.flop_counter` counts. Both are counted live, on the meta device: shapes without data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from math import prod

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd
from torch.utils.flop_counter import FlopCounterMode

from als_core.models.attention import CBAM, ChannelGate, SqueezeExcitation
from als_core.models.stages import StagedNetwork, refuse_wrong_images
from als_core.refusal import Problem, refuse_if

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE_AVERAGE_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)


@dataclass(frozen=True)
class Cost:
    """Operations of one forward pass and parameters, all as counts.

    published_flops: in the convention of Table 1 (see the module). macs: multiply-accumulates.
    """

    published_flops: int
    macs: int
    parameters_total: int
    parameters_trainable: int


def cost(network: nn.Module, input_shape: Sequence[int], stages: Sequence[str] | None = None) -> Cost:
    """Count what one forward pass of an input of `input_shape`, batch axis included, costs.

    stages: count these alone, by name as `describe` lists them (all are run); None counts all.
    Raises RefusedInput for an unknown stage or a shape that the network does not take.
    """
    rows = describe(network, input_shape)
    if stages is not None:
        names = list(rows["stage"])
        remedy = "Correct the name."
        unknown = [
            Problem("stage", stage, f"one of {', '.join(names)}", remedy)
            for stage in stages
            if stage not in names
        ]
        refuse_if("counting the cost of stages", unknown)
        rows = rows[rows["stage"].isin(stages)]
    sums = rows[["published_flops", "macs", "parameters", "trainable"]].sum()
    return Cost(*(int(value) for value in sums))


def describe(network: nn.Module, input_shape: Sequence[int]) -> pd.DataFrame:
    """The architecture as data, one row per stage in order of execution.

    Columns: stage; kind (its layers in words); output_shape (a tuple with the batch axis); parameters;
    trainable (how many of them train); macs; published_flops (see the module).
    A network with `stages` gives its stages, an `nn.Sequential` (also a stage of a network) its
    children, and anything else one row. Nothing is computed and the network is left as it was.
    """
    values = torch.empty(tuple(input_shape), device="meta")
    if isinstance(network, StagedNetwork):
        refuse_wrong_images(network, values)
    parts = getattr(network, "stages", network)
    named = parts.named_children() if isinstance(parts, nn.Sequential) else [("network", network)]
    rows = []
    with _evaluating(network):
        for name, part in named:
            published_flops, macs, values = _one_pass(part, values)
            parameters = list(part.parameters())
            rows.append(
                {
                    "stage": name,
                    "kind": kind(part),
                    "output_shape": tuple(values.shape),
                    "parameters": sum(parameter.numel() for parameter in parameters),
                    "trainable": sum(
                        parameter.numel() for parameter in parameters if parameter.requires_grad
                    ),
                    "macs": macs,
                    "published_flops": published_flops,
                }
            )
    return pd.DataFrame(rows)


def kind(module: nn.Module) -> str:
    """A module in words, for tables and drawings: `7x7 convolution 3-64 stride 2 + batch norm + ReLU`."""
    match module:
        case SqueezeExcitation():
            return f"SE gate {_bottleneck(module.gate)}"
        case CBAM():
            return f"{kind(module.channel)} + 7x7 spatial gate"
        case ChannelGate():
            return f"channel gate {_bottleneck(module.shared)}"
        case _ConvNd():
            size = "x".join(str(side) for side in module.kernel_size)
            stride = "" if set(module.stride) == {1} else f" stride {max(module.stride)}"
            return f"{size} convolution {module.in_channels}-{module.out_channels}{stride}"
        case nn.Linear():
            return f"linear {module.in_features}-{module.out_features}"
        case nn.Dropout():
            return f"dropout {module.p:g}"
        case nn.ReLU():
            return "ReLU"
    if isinstance(module, BATCH_NORMS):
        return "batch norm"
    if isinstance(module, MAX_POOLS):
        return f"max pool {module.kernel_size}"
    if isinstance(module, AVERAGE_POOLS):
        return f"average pool {module.kernel_size}"
    if isinstance(module, ADAPTIVE_AVERAGE_POOLS):
        return "global average"
    if isinstance(module, (nn.Sequential, nn.ModuleDict)):
        runs = [(text, len(list(run))) for text, run in groupby(kind(child) for child in module.children())]
        return " + ".join(text if count == 1 else f"{count} x {text}" for text, count in runs)
    words = re.findall(r"[A-Z]+[a-z0-9]*", type(module).__name__)
    return " ".join(words).lower()


def _bottleneck(layers: nn.Sequential) -> str:
    return f"{layers.squeeze.in_features}-{layers.squeeze.out_features}-{layers.excite.out_features}"


def _published_operations(module: nn.Module, inputs: Tensor, outputs: Tensor) -> int:
    """Operations of one layer object in the published convention; 0 for whatever it does not count."""
    if isinstance(module, _ConvNd):
        inputs_per_group = inputs.shape[1] // module.groups
        return outputs.numel() * inputs_per_group * prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return outputs.numel() * module.in_features
    if isinstance(module, BATCH_NORMS):
        return inputs.numel() * (4 if module.affine else 2)
    if isinstance(module, AVERAGE_POOLS):
        return outputs.numel()
    if isinstance(module, ADAPTIVE_AVERAGE_POOLS):
        inputs_per_output = prod(inputs.shape[2:]) / prod(outputs.shape[2:])
        return int(outputs.numel() * (inputs_per_output + 1))
    return 0


def _one_pass(part: nn.Module, values: Tensor) -> tuple[int, int, Tensor]:
    """Published operations, multiply-accumulates and output of one pass of shapes through `part`."""
    counts = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        counts.append(_published_operations(module, inputs[0], outputs))

    leaves = [module for module in part.modules() if not any(True for _ in module.children())]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    tensors = [*part.named_parameters(), *part.named_buffers()]
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            values = functional_call(part, shapes, (values,))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(counts), counter.get_total_flops() // 2, values


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode within, and every module's own mode again afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
