"""The ordinary script: what a good researcher writes without waste and without work on speed.

Two loader workers decode the PNG images in every epoch, and every step runs the whole network. Frozen layers need
no gradients and stay in eval mode, so the results equal the companion's. Nothing here imports from als_core.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset):
    """Image files and their class numbers, decoded at each access."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int], side: int):
        self.files, self.labels = files, labels
        scale = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.transform = transforms.Compose([transforms.Resize((side, side)), transforms.ToTensor(), scale])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.transform(Image.open(self.files[number]).convert("RGB")), self.labels[number]


def bottleneck(channels: int) -> list[nn.Module]:
    narrow = channels // 16
    return [
        nn.Linear(channels, narrow, bias=False),
        nn.ReLU(inplace=True),
        nn.Linear(narrow, channels, bias=False),
    ]


class SE(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.fc = nn.Sequential(*bottleneck(channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        b, c = x.shape[:2]
        y = nn.functional.adaptive_avg_pool2d(x, 1).view(b, c)
        return x * self.fc(y).view(b, c, 1, 1)


class CBAM(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.mlp = nn.Sequential(*bottleneck(channels))
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, c = x.shape[:2]
        average = self.mlp(nn.functional.adaptive_avg_pool2d(x, 1).view(b, c))
        largest = self.mlp(nn.functional.adaptive_max_pool2d(x, 1).view(b, c))
        x = x * torch.sigmoid(average + largest).view(b, c, 1, 1)
        summary = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], dim=1)
        return x * torch.sigmoid(self.conv(summary))


def network(name: str, side: int) -> nn.Sequential:
    """Build one of the six networks for three classes, with the layers the paper trains in training mode."""
    if name == "basic_cnn":
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in ((3, 32, 5), (32, 64, 3), (64, 128, 3)):
            convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        widths = (128 * (side // 8) ** 2, 256, 50, 3)
        layers += [nn.Flatten(), nn.Linear(*widths[:2]), nn.ReLU(), nn.Linear(*widths[1:3]), nn.ReLU(), nn.Linear(*widths[2:])]  # fmt: skip
        return nn.Sequential(*layers).train()
    if name.startswith("resnet18"):
        r = torchvision.models.resnet18(weights=None)
        gate = {"resnet18_se": SE, "resnet18_cbam": CBAM}.get(name, lambda channels: nn.Identity())
        trains = lambda layer: isinstance(layer, (SE, CBAM, nn.Linear))  # noqa: E731
        layers = [r.conv1, r.bn1, r.relu, r.maxpool, r.layer1, gate(64), r.layer2, gate(128),
                  r.layer3, gate(256), r.layer4, gate(512), r.avgpool, nn.Flatten(), nn.Linear(512, 3)]  # fmt: skip
        if name == "resnet18_cbam":
            trains = lambda layer: isinstance(layer, (CBAM, nn.Linear)) or layer in (r.layer3, r.layer4)  # noqa: E731
    else:
        f = torchvision.models.densenet121(weights=None).features
        gate = SE if name == "miniset_densesenet" else lambda channels: nn.Identity()
        trains = lambda layer: isinstance(layer, (SE, nn.Linear))  # noqa: E731
        layers = [f.conv0, f.norm0, f.relu0, f.pool0, f.denseblock1, gate(256), f.transition1, f.denseblock2,
                  gate(512), f.transition2, f.denseblock3, gate(1024), f.transition3, f.denseblock4, f.norm5,
                  nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 3)]  # fmt: skip
    for layer in layers:
        layer.requires_grad_(trains(layer)).train(trains(layer))
    return nn.Sequential(*layers)


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader) -> float:
    """Train for one epoch and return the mean loss. Layers keep their mode."""
    total = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    return total / len(loader.dataset)


def occlude(model: nn.Module, volume: Tensor, target: int, patch: int) -> np.ndarray:
    """Return the drop of the target's score with each patch set to 0, one forward pass a position, (x, y, z) of patches."""
    with torch.no_grad():
        whole = model(volume)[0, target]
        sides = [range(0, side - patch + 1, patch) for side in volume.shape[2:]]
        drops = np.zeros([len(each) for each in sides])
        for i, x in enumerate(sides[0]):
            for j, y in enumerate(sides[1]):
                for k, z in enumerate(sides[2]):
                    covered = volume.clone()
                    covered[:, :, x : x + patch, y : y + patch, z : z + patch] = 0
                    drops[i, j, k] = whole - model(covered)[0, target]
    return drops
