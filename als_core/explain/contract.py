"""What every heatmap method shares: the check of a call, the score it explains, the shape it returns.

A method is `method(model, images, target, **settings) -> heatmap`:

- `model` in eval mode maps images to class scores (N, K), best before any softmax;
- `images` (N, C, H, W) or (N, C, D, H, W), float, any device;
- `target` one class for all images, or one per image (N,);
- `heatmap` (N, H, W) or (N, D, H, W), dtype and device of the images, finite, not normalised:
  sign and unit of its values are stated by each method and by its row in `als_core.explain.methods`.

No method changes the model: parameters, their gradients, mode and hooks are as they were before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from als_core.refusal import Problem, RefusedInput, refuse_if


def check_call(model: nn.Module, images: Tensor, target: int | Tensor) -> Tensor:
    """The targets as int64 (N,) on the images' device, once the call has been found sound.

    Raises RefusedInput with every problem: a module in training mode, images of a wrong shape or
    type, with values that are not finite, or on another device or of another type than the model,
    targets that are not whole numbers or not one per image.
    """
    problems = []
    training = [name or type(model).__name__ for name, module in model.named_modules() if module.training]
    if training:
        problems.append(
            Problem("model", f"{len(training)} modules in training mode ({training[0]} first)", "eval mode",
                    "Call model.eval() first: dropout and batch norm would change the score.")
        )  # fmt: skip
    if images.ndim not in (4, 5) or not len(images):
        problems.append(
            Problem("images", f"shape {tuple(images.shape)}", "(N, C, H, W) or (N, C, D, H, W)",
                    "Add the missing batch or channel axis.")
        )  # fmt: skip
    if not images.is_floating_point():
        problems.append(
            Problem("images", f"{images.dtype}", "floating point", "Convert as the model was trained.")
        )
    elif not images.isfinite().all():
        problems.append(Problem("images", "NaN or infinite values", "finite values", "Clean the images."))
    parameter = next(model.parameters(), None)
    if parameter is not None and (parameter.dtype, parameter.device) != (images.dtype, images.device):
        problems.append(
            Problem("images", f"{images.dtype} on {images.device}",
                    f"{parameter.dtype} on {parameter.device}, as the model",
                    "Move one to the other with .to().")
        )  # fmt: skip
    targets = torch.as_tensor(target, device=images.device)
    if targets.dtype == torch.bool or targets.is_floating_point() or targets.is_complex():
        problems.append(Problem("target", f"{targets.dtype}", "whole numbers", "Pass class indices."))
    if targets.ndim and targets.shape != images.shape[:1]:
        problems.append(
            Problem("target", f"shape {tuple(targets.shape)}", f"one class, or ({len(images)},)",
                    "Pass one class per image.")
        )  # fmt: skip
    refuse_if("heatmap", problems)
    return targets.long().expand(len(images))


def target_scores(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The score of each image's target class, (N,), from one forward pass.

    Raises RefusedInput when the model does not return (N, K) scores or a target is none of K classes.
    """
    scores = model(images)
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != len(images):
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise RefusedInput(
            "heatmap",
            [
                Problem(
                    "model", f"output {found}", f"scores ({len(images)}, classes)", "Explain a classifier."
                )
            ],
        )
    classes = scores.shape[1]
    if targets.min() < 0 or targets.max() >= classes:
        found = f"class {int(targets.min())} to {int(targets.max())}"
        raise RefusedInput(
            "heatmap", [Problem("target", found, f"0 to {classes - 1}", "Pass a class that the model has.")]
        )
    return scores.gather(1, targets[:, None])[:, 0]


@contextmanager
def differentiable(images: Tensor) -> Iterator[Tensor]:
    """A fresh leaf copy of the images that requires gradients, whatever gradient mode the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield images.detach().clone().requires_grad_()


def gradient_of(scores: Tensor, inputs: Tensor) -> Tensor:
    """Gradient of each image's score by `inputs` (N, ...); images do not mix in eval mode.

    Raises RefusedInput when the scores carry no gradient back to the inputs.
    """
    return gradients_of(scores, [inputs])[0]


def gradients_of(scores: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of each image's score by several tensors (N, ...), in one backward pass. Raises as `gradient_of`."""
    if scores.requires_grad:
        gradients = torch.autograd.grad(scores.sum(), inputs, allow_unused=True)
        if all(gradient is not None for gradient in gradients):
            return gradients
    raise RefusedInput(
        "heatmap",
        [Problem("model", "a score without gradient", "differentiable steps from images to score",
                 "Remove torch.no_grad or .detach() from the model, or use occlusion.")],
    )  # fmt: skip


def to_heatmap(attribution: Tensor, signed: bool = True) -> Tensor:
    """(N, C, *spatial) to (N, *spatial): sum over channels, or the largest absolute value if not `signed`.

    Raises FloatingPointError when a value is not finite.
    """
    heatmap = attribution.sum(1) if signed else attribution.abs().amax(1)
    if not heatmap.isfinite().all():
        raise FloatingPointError(
            "the heatmap holds NaN or infinite values: the model's weights may be broken"
        )
    return heatmap.detach()


def blank(heatmap: Tensor) -> Tensor:
    """Which images' heatmaps are zero everywhere, bool (N,): nothing was found, which is a result."""
    return (heatmap == 0).flatten(1).all(1)


def find_layer(model: nn.Module, layer: nn.Module | str) -> nn.Module:
    """The module itself, or the one of that dotted name in `model` (a name survives copying the model).

    Raises RefusedInput when the model has no such module.
    """
    if isinstance(layer, str):
        found = dict(model.named_modules()).get(layer)
    else:
        found = layer if any(module is layer for module in model.modules()) else None
    if found is None:
        label = repr(layer) if isinstance(layer, str) else f"a {type(layer).__name__} of another model"
        names = [name for name, _ in model.named_children()]
        raise RefusedInput(
            "heatmap",
            [Problem("layer", label, f"a module of the model, such as {names}", "Name one of them.")],
        )
    return found
