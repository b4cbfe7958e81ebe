"""The two 3-D networks: the slides' four-block CNN, and the eight-block CNN with public weights.

Panagiotaras    block1-4, flatten, dropout, dense1, dense2, head   slides "Model" and "PyTorch implementation"
Turrisi         block1-8, flatten, head                            Turrisi et al. 2023, used in Turrisi et al.
2024

The slides print neither pool sizes nor input size. Pools of 2, 3, 2, 3 are those of the code the slides
re-present (GitHub repository jrieke/cnn-interpretability, Rieke et al. 2018), and with them a 1 mm volume of
197 x 233 x 189 voxels gives the 5120 inputs that the slides print for the first dense layer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import nibabel
import numpy as np
import torch
from scipy.ndimage import zoom
from torch import Tensor, nn

from als_core.cohorts.sources import fetch_file, registry
from als_core.models.stages import Backbone, seeded
from als_core.models.weights import LoadedWeights, load_weights
from als_core.refusal import Problem, RefusedInput, refuse_if

PANAGIOTARAS_MAPS = (8, 16, 32, 64)
PANAGIOTARAS_POOLS: Mapping[str, tuple[int, ...]] = {
    "published": (2, 3, 2, 3),  # 78 voxels a side or more
    "small": (2, 2, 2, 1),  # 38 or more: volumes of 4 mm, of which the published pools leave nothing
}
PUBLISHED_DROPOUT = 0.8

TURRISI_MAPS = (8, 8, 16, 16, 32, 32, 64, 64)
TURRISI_POOLS = {1: 4, 3: 3, 5: 2, 7: 2}  # after these blocks
TURRISI_SHAPE = (73, 96, 96)  # z, x, y
MOST_LAST = 1_000_000  # below, variances of batch norm stay within a thousandth of the exact ones
WEIGHTS = "turrisi2023_weights"  # in the registry of public material


class VolumeNetwork(nn.Module):
    """Stages run one after another on volumes (N, 1, *shape), floating point -> class scores (N, classes).

    The same contract as `models.stages.StagedNetwork`; the volumes must have exactly `shape`, because a
    dense layer follows the last maps. The scores are logits: no softmax is applied. On a CPU maps lie
    channels-last: half the time, the scores equal up to rounding. Not where more than `MOST_LAST` voxels train:
    batch norm then sums in single precision.
    """

    def __init__(
        self, stages: OrderedDict[str, nn.Module], shape: Sequence[int], backbone: Backbone | None = None
    ):
        super().__init__()
        self.stages = nn.Sequential(stages)
        self.shape = tuple(shape)
        self.backbone = backbone
        self.active: tuple[str, ...] = ()

    def forward(self, volumes: Tensor) -> Tensor:
        """Class scores (N, classes). Raises RefusedInput for volumes of another type or shape."""
        expected = (1, *self.shape)
        if not volumes.is_floating_point() or tuple(volumes.shape[1:]) != expected:
            remedy = "Prepare them at the resolution the network was built for, with a channel axis."
            found = f"{volumes.dtype}, shape {tuple(volumes.shape)}"
            problem = Problem(
                "volumes", found, f"floating point, (N, {', '.join(map(str, expected))})", remedy
            )
            raise RefusedInput("Volumes for the network", [problem])
        if volumes.device.type == "cpu" and not (self.training and volumes.numel() > MOST_LAST):
            volumes = volumes.to(memory_format=torch.channels_last_3d)  # all maps then lie as the volumes do
        return self.stages(volumes)


def panagiotaras_network(
    shape: Sequence[int],
    variant: str = "published",
    *,
    seed: int,
    classes: int = 2,
) -> VolumeNetwork:
    """The CNN of the slides for volumes of `shape` (X, Y, Z).

    Four blocks of Conv3d 3 x 3 x 3 without padding, batch norm, ReLU and max pooling; dropout; dense
    layers of 128 and 64; `classes` outputs. variant: whose pools, a key of PANAGIOTARAS_POOLS; everything
    else is the same. At 1 mm the published variant has 737 026 parameters. seed: of the initial values.
    Raises RefusedInput for a volume of which the pools leave nothing.
    """
    pools = PANAGIOTARAS_POOLS[variant]
    least = _least_side(pools)
    if len(shape) != 3 or min(shape) < least:
        fitting = [name for name, other in PANAGIOTARAS_POOLS.items() if _least_side(other) <= min(shape)]
        remedy = f"Use a finer resolution{f', or the variant {fitting[0]}' if fitting else ''}."
        problem = Problem(
            "volume size", " x ".join(map(str, shape)), f"{least} voxels a side or more", remedy
        )
        raise RefusedInput(f"The {variant} network", [problem])
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    sides = list(shape)
    with seeded(seed):
        for number, (inputs, outputs, pool) in enumerate(
            zip((1, *PANAGIOTARAS_MAPS), PANAGIOTARAS_MAPS, pools, strict=False), 1
        ):
            stages[f"block{number}"] = _block(nn.Conv3d(inputs, outputs, 3), pool)
            sides = [(side - 2) // pool for side in sides]
        stages["flatten"] = nn.Flatten()
        stages["dropout"] = nn.Dropout(PUBLISHED_DROPOUT)
        stages["dense1"] = _dense(PANAGIOTARAS_MAPS[-1] * prod(sides), 128)
        stages["dense2"] = _dense(128, 64)
        stages["head"] = nn.Linear(64, classes)
    return VolumeNetwork(stages, shape)


def turrisi_network(*, seed: int = 0) -> VolumeNetwork:
    """The eight-block CNN of Turrisi et al. 2023 for volumes (73, 96, 96), control against Alzheimer's
    disease.

    Blocks of Conv3d 3 x 3 x 3 (padding 1, no bias), batch norm and ReLU, max pooling after blocks 1, 3, 5
    and 7; 64 maps of 1 x 2 x 2 give 256 features and two outputs. Read off the released weights, which
    `load_turrisi_weights` puts in. seed: of the initial values.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    with seeded(seed):
        for number, (inputs, outputs) in enumerate(zip((1, *TURRISI_MAPS), TURRISI_MAPS, strict=False), 1):
            convolution = nn.Conv3d(inputs, outputs, 3, padding=1, bias=False)
            stages[f"block{number}"] = _block(convolution, TURRISI_POOLS.get(number, 1))
        stages["flatten"] = nn.Flatten()
        stages["head"] = nn.Linear(256, 2)
    return VolumeNetwork(stages, TURRISI_SHAPE, _RELEASED)


def _least_side(pools: Sequence[int]) -> int:
    """The smallest side that leaves one voxel, found by undoing each block from the last."""
    side = 1
    for pool in reversed(pools):
        side = side * pool + 2
    return side


def _block(convolution: nn.Conv3d, pool: int) -> nn.Sequential:
    layers = OrderedDict(conv=convolution, norm=nn.BatchNorm3d(convolution.out_channels), relu=nn.ReLU())
    if pool > 1:
        layers["pool"] = nn.MaxPool3d(pool)
    return nn.Sequential(layers)


def _dense(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(linear=nn.Linear(inputs, outputs), relu=nn.ReLU()))


@dataclass(frozen=True)
class _ReleasedNetwork(Backbone):
    """The authors' names for the tensors of `turrisi_network`."""

    def shapes(self) -> dict[str, torch.Size]:
        with torch.device("meta"):
            ours = turrisi_network().state_dict()
        return {
            old + key.removeprefix(new): value.shape
            for key, value in ours.items()
            for old, new in self.renames
            if key.startswith(new)
        }


_RELEASED = _ReleasedNetwork(
    name="3D_CNN_pretrained_model",
    renames=(
        *(
            (f"embedding.{number - 1}.{place}.", f"stages.block{number}.{layer}.")
            for number in range(1, 9)
            for place, layer in enumerate(("conv", "norm"))
        ),
        ("f.0.", "stages.head."),
    ),
    left_out="",
)


def load_turrisi_weights(network: VolumeNetwork, file: Path | None = None) -> LoadedWeights:
    """Put the public weights into `turrisi_network`, in place.

    file: the state dict as released; by default the local copy or a download. Read with
    `weights_only=True`. Raises RefusedInput with every key that is missing, unknown or of another shape, or
    when the file holds anything but tensors; the network is then unchanged.
    """
    return load_weights(network, str(file or fetch_file(WEIGHTS, registry()[WEIGHTS])))


def turrisi_input(image: nibabel.Nifti1Image) -> Tensor:
    """One volume as the network was trained on: float32 (1, 1, 73, 96, 96).

    Zoomed by a half and then to 96 x 96 x 73, both by nearest neighbour, less the mean and over the sd of
    its non-zero voxels; z first. image: (X, Y, Z) with axes nearest to RAS+ (the released code states no
    orientation), as from `images.volumes.reorient`. Raises RefusedInput for a constant volume.
    """
    voxels = zoom(np.asarray(image.dataobj, dtype=np.float32), 0.5, order=0)
    z, x, y = TURRISI_SHAPE
    voxels = zoom(voxels, [side / own for side, own in zip((x, y, z), voxels.shape, strict=True)], order=0)
    inside = voxels[voxels != 0].astype(np.float64)
    refuse_if(
        "A volume for the eight-block network",
        [Problem("voxels", f"{inside.size} that are not 0, all alike", "an image", "Export it again.")]
        if inside.size < 2 or np.ptp(inside) == 0
        else [],
    )
    scaled = (voxels - inside.mean()) / inside.std(ddof=1)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32))[None, None]


@torch.inference_mode()
def deep_features(network: VolumeNetwork, volumes: Tensor) -> dict[str, np.ndarray]:
    """DL7 and DL8 of Turrisi et al. 2024 (section 2.2.2): float32 (N, 256) each.

    DL7 is block 7 after its pooling, DL8 is block 8; both in eval mode, maps flattened (64 x 1 x 2 x 2).
    """
    network.eval()
    maps = network.stages[:7](volumes)
    return {
        "DL7": maps.flatten(1).numpy(force=True),
        "DL8": network.stages[7](maps).flatten(1).numpy(force=True),
    }
