"""The form in which stages run on a CPU: what a training step and a frozen prefix share."""

from __future__ import annotations

from torch import nn

from als_core.models.channels_last import in_channels_last
from als_core.models.dense_blocks import in_one_buffer
from als_core.models.transitions import in_slabs


def for_cpu(stage: nn.Module) -> nn.Module:
    """A stage for maps channels last on a CPU: changed in place, all tensors still its own.

    Whatever type a folded stage is to compute in, it must have before.
    """
    return in_slabs(in_one_buffer(in_channels_last(stage)))
