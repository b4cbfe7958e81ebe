"""The fixed network, images and heatmaps that Quantus 0.6.0 measured.

Run `python tests/explain/faithfulness_oracle.py` to measure them again: it rewrites faithfulness_oracle.csv
beside it. It needs `pip install quantus==0.6.0` in an environment of its own that has torch. Quantus is no
dependency of this project.
"""

import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

TABLE = Path(__file__).with_suffix(".csv")
SIDE, STEPS, FILL, TARGET = 6, 9, 0.25, 1
SUBSETS, SIZE = 40, 7
"""Voxels are covered in STEPS equal steps, or in SUBSETS random subsets of SIZE voxels each."""


def fixed_case() -> tuple[nn.Module, Tensor, Tensor]:
    """A small ReLU network, three images (3, 1, 6, 6) and their heatmaps (3, 6, 6), all of them drawn."""
    numbers = np.random.RandomState(11)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    )
    for parameter in model.parameters():
        parameter.data = torch.tensor(numbers.normal(0, 0.4, parameter.shape), dtype=torch.float32)
    images, heat = (torch.tensor(numbers.normal(size=(3, SIDE, SIDE)), dtype=torch.float32) for _ in range(2))
    return model.eval(), images[:, None], heat


def fixed_subsets(row: int) -> np.ndarray:
    """The subsets of an image, voxel numbers (SUBSETS, SIZE), as Quantus draws them after `seed(row)`."""
    numbers = np.random.RandomState(row)
    return np.stack([numbers.choice(SIDE**2, SIZE, replace=False) for _ in range(SUBSETS)])


def main() -> None:
    import quantus

    model, images, heat = fixed_case()
    cover = {"perturb_baseline": FILL, "abs": False, "normalise": False, "disable_warnings": True}
    flipping = quantus.PixelFlipping(features_in_step=SIDE**2 // STEPS, **cover)
    correlation = quantus.FaithfulnessCorrelation(nr_runs=SUBSETS, subset_size=SIZE, **cover)
    rows = []
    for row, (image, one) in enumerate(zip(images.numpy(), heat.numpy(), strict=True)):
        call = {
            "model": model,
            "x_batch": image[None],
            "y_batch": np.array([TARGET]),
            "a_batch": one[None, None],
        }
        np.random.seed(row)  # noqa: NPY002, what Quantus draws from
        (agreement,) = correlation(**call, channel_first=True, softmax=False)
        rows.append((row, "faithfulness correlation", 0, agreement))
        (scores,) = flipping(**call, channel_first=True, softmax=False)
        rows += [(row, "deletion", step, score) for step, score in enumerate(scores, 1)]
    with TABLE.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image", "measure", "step", "quantus"])
        writer.writerows((image, measure, step, f"{value:.8f}") for image, measure, step, value in rows)


if __name__ == "__main__":
    main()
