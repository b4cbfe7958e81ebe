"""Grad-CAM and guided Grad-CAM, for images and volumes.

Selvaraju et al. 2017 (arXiv 1610.02391), equations 1 and 2. The contract of all methods is in
`als_core.explain.contract`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from als_core.explain.contract import (
    check_call,
    differentiable,
    find_layer,
    gradients_of,
    target_scores,
    to_heatmap,
)
from als_core.explain.gradients import guided_gradient
from als_core.explain.interception import captured_output
from als_core.refusal import Problem, RefusedInput


def layer_map(model: nn.Module, images: Tensor, targets: Tensor, layer: nn.Module | str) -> Tensor:
    """Sum over the layer's channels of activation x mean gradient, (N, *layer's spatial), signed.

    Raises RefusedInput when the layer is not run exactly once, or its output is no (N, K, *spatial)
    tensor, or is empty.
    """
    return layer_maps(model, images, targets, [layer])[0]


def layer_maps(
    model: nn.Module, images: Tensor, targets: Tensor, layers: Sequence[nn.Module | str]
) -> list[Tensor]:
    """`layer_map` of several layers, from one pass forward and one back. Raises as it does."""
    modules = [find_layer(model, layer) for layer in layers]
    with differentiable(images) as leaf:
        with ExitStack() as watched:
            captured = [watched.enter_context(captured_output(module)) for module in modules]
            scores = target_scores(model, leaf, targets)
        maps = [_only_output(outputs, leaf.ndim) for outputs in captured]
        gradients = gradients_of(scores, maps)
    weights = [gradient.flatten(2).mean(2) for gradient in gradients]
    return [
        torch.einsum("nk,nk...->n...", *pair)
        for pair in zip(weights, (m.detach() for m in maps), strict=True)
    ]


def _only_output(outputs: list, dimensions: int) -> Tensor:
    """What a layer returned, once it is known to be maps of which Grad-CAM can be taken."""
    shapes = [tuple(output.shape) if isinstance(output, Tensor) else type(output) for output in outputs]
    if len(outputs) != 1 or not isinstance(outputs[0], Tensor) or outputs[0].ndim != dimensions:
        found = f"{len(outputs)} outputs {shapes}"
        expected = f"one output (N, channels, {dimensions - 2} spatial axes)"
        raise RefusedInput("Grad-CAM", [Problem("layer", found, expected, "Choose a convolutional layer.")])
    if not outputs[0].numel():
        raise RefusedInput(
            "Grad-CAM",
            [Problem("layer", f"an empty output {shapes[0]}", "some voxels", "Choose an earlier layer.")],
        )
    return outputs[0]


def _upsampled(maps: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(maps[:, None], size=size, mode={2: "bilinear", 3: "trilinear"}[len(size)])


def grad_cam(model: nn.Module, images: Tensor, target: int | Tensor, *, layer: nn.Module | str) -> Tensor:
    """Where the channels of `layer` that raise the score are active, brought to the images' size.

    Score units, >= 0. `layer`: a module of the model, or its dotted name.
    A map that is zero everywhere says that nothing at that layer speaks for the target: it is returned
    as it is, and `contract.blank` finds it.
    """
    return grad_cams(model, images, target, layers=[layer])[0]


def grad_cams(
    model: nn.Module, images: Tensor, target: int | Tensor, *, layers: Sequence[nn.Module | str]
) -> list[Tensor]:
    """`grad_cam` of several layers, from one pass forward and one back."""
    targets = check_call(model, images, target)
    maps = layer_maps(model, images, targets, layers)
    return [to_heatmap(_upsampled(of_layer.clamp(min=0), images.shape[2:])) for of_layer in maps]


def guided_grad_cam(
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    *,
    layer: nn.Module | str,
) -> Tensor:
    """Guided backpropagation times Grad-CAM, summed over channels, signed.

    The unit is that of the product and means nothing by itself. Zero everywhere where Grad-CAM is (see
    `grad_cam`). Raises RefusedInput for a model without ReLU and for an empty or unusable layer.
    """
    targets = check_call(model, images, target)
    maps = layer_map(model, images, targets, layer).clamp(min=0)
    guided = guided_gradient(model, images, targets)
    return to_heatmap(guided * _upsampled(maps, images.shape[2:]))
