"""How a forward pass is observed: hooks on modules, and interception of the functions that modules call.

Methods that change the rule of an operation (guided backpropagation, LRP) intercept torch functions
instead of hooking modules: `nn.ReLU`, `F.relu`, `torch.relu` and `x.relu_()` are then one and the same
however deep they are nested, no module is touched and nothing can be left behind. Both kinds live in
a context manager.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from als_core.refusal import Problem, refuse_if

RELUS = frozenset((F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_))


@contextmanager
def captured_output(layer: nn.Module) -> Iterator[list]:
    """Collect what `layer` returns at each of its calls, by one forward hook that is removed on leaving.

    An operation that works in place on the output right after (DenseNet's last ReLU) changes what is
    collected: it is then the output after that operation.
    """
    outputs: list = []
    handle = layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def count_hooks(model: nn.Module) -> int:
    """Hooks of all kinds on all modules of the model."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


def refuse_opaque(model: nn.Module, subject: str) -> None:
    """Raise RefusedInput for scripted or compiled modules: their operations cannot be intercepted."""
    refuse_if(
        subject,
        [
            Problem(f"module {name!r}", type(module).__name__, "a plain module", "Pass the uncompiled model.")
            for name, module in model.named_modules()
            if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod")
        ],
    )


def works_in_place(function, settings: dict) -> bool:
    """Whether a torch function writes into its first argument (`relu_`, `add_`, `inplace=True`)."""
    name = function.__name__
    return bool(settings.get("inplace")) or (name.endswith("_") and not name.endswith("__"))


class GuidedReLUs(TorchFunctionMode):
    """While active, every ReLU passes back only positive gradients at positive inputs; `count` counts them.

    Springenberg et al. 2015 (arXiv 1412.6806), Fig. 1. Other activations keep their own gradient.
    """

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function not in RELUS:
            return function(*args, **kwargs)
        self.count += 1
        signal = args[0] if args else kwargs["input"]
        rectified = _GuidedReLU.apply(signal)
        return signal.copy_(rectified) if works_in_place(function, kwargs) else rectified


class _GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(context, signal: Tensor) -> Tensor:
        context.save_for_backward(signal > 0)  # not the signal: an in-place caller overwrites it
        return signal.clamp(min=0)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        (active,) = context.saved_tensors
        return gradient.clamp(min=0) * active
