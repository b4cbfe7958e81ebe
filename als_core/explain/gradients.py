"""Heatmaps from the gradient by the image: sensitivity, guided backpropagation, integrated gradients.

The contract of all methods is in `als_core.explain.contract`.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from tqdm import TqdmWarning

from als_core.explain.contract import check_call, differentiable, gradient_of, target_scores, to_heatmap
from als_core.explain.interception import GuidedReLUs, refuse_opaque
from als_core.refusal import Problem, RefusedInput, refuse_if


def sensitivity(model: nn.Module, images: Tensor, target: int | Tensor, *, signed: bool = False) -> Tensor:
    """How fast the target's score moves with each voxel: its gradient.

    Score per unit of intensity. By default the largest absolute value over channels, >= 0 (Simonyan et
    al. 2014, arXiv 1312.6034, section 3.1); with `signed` the sum over channels, where positive means
    that a brighter voxel raises the score.
    """
    targets = check_call(model, images, target)
    with differentiable(images) as leaf:
        gradient = gradient_of(target_scores(model, leaf, targets), leaf)
    return to_heatmap(gradient, signed)


def guided_gradient(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Guided gradient per channel, shape of the images; see `guided_backpropagation`."""
    refuse_opaque(model, "guided backpropagation")
    with differentiable(images) as leaf:
        with GuidedReLUs() as relus:
            scores = target_scores(model, leaf, targets)
        if not relus.count:
            raise RefusedInput(
                "guided backpropagation",
                [
                    Problem(
                        "model", "no ReLU", "at least one", "It would be the plain gradient: use sensitivity."
                    )
                ],
            )
        return gradient_of(scores, leaf)


def guided_backpropagation(
    model: nn.Module, images: Tensor, target: int | Tensor, *, signed: bool = True
) -> Tensor:
    """Gradient that keeps, at every ReLU, only positive parts that meet positive inputs.

    Score per unit of intensity, summed over channels; with `signed=False` the largest absolute value
    over channels. Springenberg et al. 2015 (arXiv 1412.6806). ReLUs are found however nested, as
    modules or functions, in place or not. Raises RefusedInput when the model has none.
    """
    targets = check_call(model, images, target)
    return to_heatmap(guided_gradient(model, images, targets), signed)


def integrated_gradients(
    model: nn.Module,
    images: Tensor,
    target: int | Tensor,
    *,
    baseline: float | Tensor = 0.0,
    steps: int = 64,
    batch: int = 16,
) -> Tensor:
    """Each voxel's share of score(image) - score(baseline), in units of the score, signed.

    Sundararajan et al. 2017 (arXiv 1703.01365), equation 1, by Captum with Gauss-Legendre quadrature.
    `baseline`: the image without evidence, a number or a tensor that broadcasts to one image (C, *spatial).
    `steps`: gradients per image. `batch`: images per forward pass, which moves no value;
    larger ones are slower on a CPU, whose caches they leave.
    """
    with warnings.catch_warnings():
        # Captum imports a progress bar that is not used here; in a notebook without widgets that warns
        warnings.simplefilter("ignore", TqdmWarning)
        from captum.attr import IntegratedGradients

    targets = check_call(model, images, target)
    problems = [
        Problem(name, str(value), "at least 1", "Raise it.")
        for name, value in (("steps", steps), ("batch", batch))
        if value < 1
    ]
    refuse_if("integrated gradients", problems)
    start = torch.as_tensor(baseline, dtype=images.dtype, device=images.device).expand(images.shape)
    with torch.inference_mode(False), torch.no_grad():
        target_scores(model, images, targets)  # refuses what is no class of the model
        attribution = IntegratedGradients(model).attribute(
            images.detach().clone(),
            baselines=start.clone(),
            target=targets,
            n_steps=steps,
            internal_batch_size=max(batch, len(images)),  # Captum takes whole steps only
        )
    return to_heatmap(attribution)
