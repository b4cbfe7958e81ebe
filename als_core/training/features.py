"""The frozen prefix of a network: computed once per image, kept on disk, and fed to what trains.

What is frozen, in eval mode, gives the same output for an image whatever batch it is in. So the
stages before the first one that trains are run once over all images, and each step of training starts
from their output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset
from tqdm import tqdm

from als_core.models.folding import folded
from als_core.models.stages import Scaling
from als_core.models.weights import state_dict_digest
from als_core.storage import atomic_write, build_if_missing, code_digest, content_key, file_digest

# NumPy and its files know no bfloat16: its bits are kept as integers
BF16_BITS = torch.int16

# A CPU is fastest where the maps of a batch fit its cache: one image of 400 x 400 (2.9x for EfficientNet-Lite0 over 32
# of them), five of 224 x 224; of small images it wants many, which a GPU wants of all.
EXTRACTION_BATCH = 32
EXTRACTION_PIXELS = 2**18


def cohort_scaling(images: np.ndarray) -> Scaling:
    """Mean and sd of each colour over all pixels of uint8 images (n, H, W, 3)."""
    counts = [np.bincount(images[..., colour].ravel(), minlength=256) for colour in range(3)]
    values, size = np.arange(256) / 255, images[..., 0].size
    mean = [float(count @ values / size) for count in counts]
    sd = [float(np.sqrt(count @ (values - m) ** 2 / size)) for count, m in zip(counts, mean, strict=True)]
    if min(sd) == 0:
        raise ValueError(
            "a colour has one value in every pixel of every image: its sd is 0, nothing to scale by"
        )
    return Scaling(tuple(mean), tuple(sd))


def as_input(images: Tensor, scaling: Scaling, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 images (n, H, W, 3) as a network takes them: (n, 3, H, W), scaled, channels last in memory."""
    mean, sd = (
        torch.tensor(each, dtype=dtype, device=images.device).mul(255) for each in (scaling.mean, scaling.sd)
    )
    return images.to(dtype).sub_(mean).div_(sd).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Inputs:
    """What the trained part of a network is fed: images, or the frozen prefix's output for them.

    blocks: tensors whose rows count on from one to the next, uint8 images (n, H, W, 3) or stored
    maps (n, h, w, C) or vectors (n, C). dtype: what a batch comes out as, unless it is of maps kept in bf16.
    """

    blocks: tuple[Tensor, ...]
    scaling: Scaling
    dtype: torch.dtype
    device: torch.device

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks)

    def batch(self, rows: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Rows (k,) as (k, channels, H, W), channels last, or (k, C).

        mirrored: bool (k,), images to mirror left to right. Raises ValueError where there are stored
        maps in place of images: a mirrored image has other ones.
        """
        gathered = self._gather(rows).to(self.device, non_blocking=True)
        if mirrored is not None:
            if gathered.dtype != torch.uint8:
                raise ValueError("mirroring needs images, and these are a frozen prefix's output")
            gathered = torch.where(mirrored.to(self.device)[:, None, None, None], gathered.flip(2), gathered)
        if gathered.dtype == torch.uint8:
            return as_input(gathered, self.scaling, self.dtype)
        if gathered.dtype != torch.bfloat16:
            gathered = gathered.to(self.dtype)
        return gathered.permute(0, 3, 1, 2) if gathered.ndim == 4 else gathered

    def _gather(self, rows: Tensor) -> Tensor:
        first = self.blocks[0]
        if len(self.blocks) == 1:
            return first.index_select(0, rows.to(first.device))
        # maps may be large: one pass over them, not one for each block
        joined = ConcatDataset(self.blocks)
        return torch.stack([joined[row] for row in rows.tolist()]) if len(rows) else first[:0]


def image_inputs(
    blocks: Sequence[np.ndarray], scaling: Scaling, dtype: torch.dtype, device: torch.device
) -> Inputs:
    """Images themselves, uint8 (n, H, W, 3) a block, kept on `device`: for a network without a frozen prefix."""
    tensors = (torch.from_numpy(np.require(block, requirements=["C", "W"])).to(device) for block in blocks)
    return Inputs(tuple(tensors), scaling, dtype, device)


def frozen_inputs(
    prefix: nn.Sequential,
    blocks: Sequence[np.ndarray],
    scaling: Scaling,
    *,
    device: torch.device,
    folder: Path | None,
    precision: str = "fp32",
) -> Inputs:
    """Compute the prefix's output for every image of every block, unless `folder` has it already.

    Parameters
    ----------
    prefix : nn.Sequential
        Frozen stages; put in eval mode. It computes, folded, in its own floating-point type, or with bf16 weights
        and maps where `precision` is "bf16".
    blocks : sequence of uint8 (n, H, W, 3)
    scaling : Scaling
    device : torch.device
    folder : Path or None
        One `.npy` a block, memory-mapped, named by its content: images, scaling, weights, layers and their code,
        precision, kind of device. None keeps the output in memory.
    precision : "fp32" or "bf16"
        Maps computed in bf16 are kept and given out in bf16.
    """
    prefix.eval()
    if folder is not None:
        digest = content_key(prefix_digest(prefix), [scaling.mean, scaling.sd], precision, device.type)
    tensors = []
    for block in blocks:
        batches = _outputs(prefix, block, scaling, device, precision)
        if folder is None:
            features = np.concatenate(list(batches))
        else:
            path = Path(folder) / f"{content_key(digest, block)}.npy"
            build_if_missing(path, partial(_save, batches, len(block), path))
            # copy-on-write, because torch wants memory it could write to
            features = np.lib.format.open_memmap(path, mode="c")
        kept = torch.from_numpy(features)
        tensors.append(kept.view(torch.bfloat16) if kept.dtype == BF16_BITS else kept)
    if device.type != "cpu":
        tensors = [tensor.to(device) for tensor in tensors]
    return Inputs(tuple(tensors), scaling, _floating_type(prefix), device)


def prefix_digest(prefix: nn.Sequential) -> str:
    """Digest of what the prefix computes: its layers as they print, the code behind them, torch, every tensor."""
    modules = sorted({type(layer).__module__ for layer in prefix.modules()})
    own = [name for name in modules if name.startswith("als_core.")]
    others = [file_digest(sys.modules[name].__file__) for name in modules if name not in own]
    code = [code_digest(__name__, *own), others]
    return content_key(repr(prefix), torch.__version__, code, state_dict_digest(prefix.state_dict()))


def _outputs(
    prefix: nn.Sequential, images: np.ndarray, scaling: Scaling, device: torch.device, precision: str
) -> Iterator[np.ndarray]:
    """The prefix's output batch by batch, maps as (b, h, w, C)."""
    dtype = _floating_type(prefix)
    computing = torch.bfloat16 if precision == "bf16" else dtype
    prefix = folded(prefix).to(device, computing, memory_format=torch.channels_last)
    size = EXTRACTION_BATCH
    if device.type == "cpu":
        size = max(1, min(size, EXTRACTION_PIXELS // (images.shape[1] * images.shape[2])))
    for start in tqdm(range(0, len(images), size), "frozen prefix", unit="batch", disable=None, leave=False):
        batch = torch.from_numpy(images[start : start + size].copy()).to(device)
        with torch.inference_mode():
            output = prefix(as_input(batch, scaling, dtype).to(computing))
        if output.ndim == 4:
            output = output.permute(0, 2, 3, 1)
        if output.ndim == 4 and output.dtype == torch.bfloat16:
            output = output.contiguous().view(BF16_BITS)
        else:
            output = output.to(dtype).contiguous()
        yield output.cpu().numpy()


def _save(batches: Iterator[np.ndarray], count: int, path: Path) -> None:
    """Write batches one after the other as one `.npy` of `count` rows.

    By ordinary writes: a full disk under a writable memory map ends the process without a word.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        for number, batch in enumerate(batches):
            if number == 0:
                header = np.lib.format.header_data_from_array_1_0(batch) | {
                    "shape": (count, *batch.shape[1:])
                }
                np.lib.format.write_array_header_1_0(stream, header)
            stream.write(batch.data)


def _floating_type(network: nn.Module) -> torch.dtype:
    return next((each.dtype for each in network.parameters()), torch.float32)
