"""What a crop classifier costs: time, memory, parameters and operations.

Section 1.5 of Miao et al. announces training time, memory and inference time; only the wall times in the logs
of Fig. 10 and 12 are printed. Times are medians after a warm-up, on the machine that runs this. Memory is
what tensors take at the worst moment, parameters included, counted as they are made and freed: a number that
does not depend on the machine, and leaves out the work space inside single operations.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from als_core.models.cost import cost
from als_core.models.stages import train_mode
from als_core.studies.miao2023.networks import CROP_NETWORKS, build_crop_network

MIB = 2**20


def measure_cost(
    name: str,
    *,
    side: int,
    batch: int,
    variant: str = "frozen base",
    repeats: int = 5,
    device: torch.device | None = None,
) -> pd.Series:
    """Cost of one of `CROP_NETWORKS` on images of `side` pixels.

    Entries: network, variant, parameters, trainable, macs (multiply-accumulates of one image), inference_ms
    (one image), step_ms (one step of training on `batch` images, the whole network run), inference_mib and
    step_mib (peak memory of these).
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_crop_network(name, side=side, variant=variant, seed=0).to(device)
    counted = cost(network, (1, 3, side, side))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, side, side, generator=generator).to(device)
    labels = (torch.arange(batch) % 2).to(device)

    @torch.inference_mode()
    def infer() -> None:
        network(images[:1])

    network.eval()
    inference_ms, inference_mib = _milliseconds(infer, repeats, device), _peak_mib(infer, network)
    optimizer = torch.optim.Adam([each for each in network.parameters() if each.requires_grad])

    def step() -> None:
        loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    train_mode(network)
    # memory first: the first step is the one that makes the optimiser's state
    step_mib = _peak_mib(step, network)
    return pd.Series(
        {
            "network": CROP_NETWORKS[name].display,
            "variant": variant,
            "parameters": counted.parameters_total,
            "trainable": counted.parameters_trainable,
            "macs": counted.macs,
            "inference_ms": inference_ms,
            "step_ms": _milliseconds(step, repeats, device),
            "inference_mib": inference_mib,
            "step_mib": step_mib,
        }
    )


class LiveBytes(TorchDispatchMode):
    """Within, counts the bytes of every tensor storage that is made, less those freed again.

    now: bytes alive. peak: the most there were at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.see(leaf)
        return result

    def see(self, tensor: Tensor) -> None:
        """Count the tensor's storage, unless it is counted already."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._seen:
            self._seen.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def _peak_mib(work: Callable[[], None], network: nn.Module) -> float:
    with LiveBytes() as counter:
        for tensor in (*network.parameters(), *network.buffers()):
            counter.see(tensor)
        work()
    return counter.peak / MIB


def _milliseconds(work: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Median time of `work` after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times[1:]))
