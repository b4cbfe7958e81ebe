"""Drawn images with a known sign, and the words, for the page on heatmaps of a reader's own network.

The page also measures faithfulness, and whether the relevance of three networks adds up to the score.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models import densenet121

from als_core.explain.faithfulness import faithfulness, random_subsets, subset_drops
from als_core.explain.lrp import SHIFTING, absorbed_by_layer, propagate
from als_core.explain.lrp_rules import COMPOSITES
from als_core.explain.methods import METHODS
from als_core.figures.drawn import number, percent
from als_core.models.weights import calibrate_batch_norm
from als_core.refusal import counted

BRIGHTER = 1.5  # the sign, in standard deviations of the noise
NEEDS = "The methods of this book: what each needs, and what its values mean."
FAITHFUL = (
    "How faithful each heatmap is to the network: means over the images that it was not trained on. Higher "
    "is better, but lower for infidelity, which is given where heat is meant to sum to the score."
)
CONSERVATION = (
    "Does relevance add up? Score of a class, relevance of the whole image, and what the shifts of layers "
    "keep; last, the share of the score that is lost in the same network without shifts."
)
DENSENET = "DenseNet121 of torchvision"
WORDS = {
    "gradient": "a differentiable network", "relu": "ReLUs", "rules": "operations that LRP knows",
    "layer": "`layer`, a name", "patch": "`patch`", "areas": "`areas`", "stride": "`stride`", "fill": "`fill`",
    "baseline": "`baseline`", "steps": "`steps`",
}  # fmt: skip


def draw(count: int, sides: Sequence[int], seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """Draw noise images, every other one with a brighter square (cube) in one place.

    Returns
    -------
    images float32 (count, 1, *sides), labels int64 (count,), and where the sign is, bool (*sides)
    """
    generator = np.random.default_rng([seed, len(sides)])
    sign = np.zeros(sides, dtype=bool)
    sign[tuple(slice(side // 4, side // 4 + side // 4) for side in sides)] = True
    labels = np.arange(count) % 2
    images = generator.standard_normal((count, 1, *sides)) + BRIGHTER * sign * labels.reshape(
        -1, *[1] * (len(sides) + 1)
    )
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels), sign


def blocks(sides: Sequence[int]) -> np.ndarray:
    """A label image that cuts each side in four: int (*sides), 1 and up; the sign of `draw` is one block."""
    quarters = [np.arange(side) * 4 // side for side in sides]
    mesh = np.meshgrid(*quarters, indexing="ij")
    return 1 + sum(axis * 4**place for place, axis in enumerate(mesh))


def first_with_sign(images: Tensor, labels: Tensor) -> int:
    """The first image of class 1."""
    return int(torch.nonzero(labels == 1)[0, 0])


def pictures(
    images: Tensor, maps: Mapping[str, Tensor], sign: np.ndarray, shown: int
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """One image, its positive heat by method and the sign as pictures (H, W); of a volume the slice through
    the sign.
    """
    middle = int(np.median(np.argwhere(sign)[:, -1]))

    def flat(voxels: np.ndarray) -> np.ndarray:
        return voxels[..., middle] if voxels.ndim == 3 else voxels

    heat = {name: flat(np.maximum(one[shown].double().numpy(force=True), 0)) for name, one in maps.items()}
    return flat(images[shown, 0].numpy()), heat, flat(sign)


def share_inside(maps: Mapping[str, Tensor], sign: np.ndarray, shown: int) -> dict[str, float]:
    """Share of each method's positive heat inside the sign."""
    shares = {}
    for name, one in maps.items():
        heat = np.maximum(one[shown].double().numpy(force=True), 0)
        shares[name] = float(heat[sign].sum() / max(heat.sum(), 1e-12))
    return shares


@torch.inference_mode()
def in_words(network: nn.Module, images: Tensor, labels: Tensor) -> str:
    """How well the network does on images or volumes (N, C, *spatial) that it was not trained on."""
    right = (network(images).argmax(1) == labels).double().mean().item()
    noun = "volume" if images.dim() == 5 else "image"
    return (
        f"The network classifies {percent(right)} of {counted(len(labels), noun)} correctly that it was not trained "
        "on."
    )


def faithful_table(
    network: nn.Module, images: Tensor, labels: Tensor, maps: Mapping[str, Tensor], seed: int
) -> pd.DataFrame:
    """Three measures of faithfulness for each method's maps; 50 subsets, each of a tenth of the voxels."""
    generator, by_title = torch.Generator().manual_seed(seed), {each.title: each for each in METHODS.values()}
    spatial = images.shape[2:]
    subsets = random_subsets(spatial, spatial.numel() // 10, 50, generator=generator)
    rows = []
    for title, heat in maps.items():
        gain = faithfulness(network, images, labels, heat, generator=generator)
        drops = subset_drops(network, images, labels, heat, subsets)
        in_score = by_title[title].sums_to_score
        rows.append(
            {
                "Method": title,
                "Insertion minus deletion": round(gain.mean().item(), 3),
                "Faithfulness correlation": round(drops.correlation.nanmean().item(), 3),
                "Infidelity": f"{drops.infidelity.mean().item():.3g}" if in_score else "",
            }
        )
    return pd.DataFrame(rows)


class SharedReLU(nn.Module):
    """A network that calls one ReLU object after each of its two convolutions."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.second(self.relu(self.first(images))))
        return self.head(maps.mean((2, 3)))


def awkward_networks(images: Tensor, seed: int) -> dict[str, nn.Module]:
    """Three networks whose relevance is easily lost, untrained; their batch norm is measured on `images`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = {
            DENSENET: densenet121(num_classes=3),
            "One ReLU object, called twice": SharedReLU(),
            "No ReLU before the pooling": nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1),
                nn.Flatten(), nn.Linear(8, 3),
            ),
        }  # fmt: skip
        for network in networks.values():
            network.to(images.dtype).train()
            calibrate_batch_norm(network, images)
            network.eval()
    return networks


def without_shifts(network: nn.Module) -> nn.Module:
    """A copy with biases, and the shifts of batch norm, set to 0."""
    bare = copy.deepcopy(network)
    for module in bare.modules():
        if isinstance(module, SHIFTING):
            for shift in (module.bias, getattr(module, "running_mean", None)):
                if shift is not None:
                    shift.data.zero_()
    return bare


def conservation(networks: Mapping[str, nn.Module], image: Tensor) -> pd.DataFrame:
    """Score, relevance and what shifts keep of it for one image (1, C, H, W), by network and LRP rule."""
    rows = []
    for name, network in networks.items():
        bare = without_shifts(network)
        with torch.inference_mode():
            target = int(network(image).argmax())
        for rules in COMPOSITES:
            found, lost = (propagate(each, image, target, rules=rules) for each in (network, bare))
            relevance = found.heatmap.sum().item()
            rows.append(
                {
                    "Network": name,
                    "LRP rule": rules,
                    "Score": found.score.item(),
                    "Relevance of the image": relevance,
                    "Kept by shifts": found.score.item() - relevance,
                    "Lost without shifts": lost.absorbed_share.abs().item(),
                }
            )
    return pd.DataFrame(rows)


def conservation_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `conservation` as printed."""
    lost = [f"{each:.0e}" if each else "0" for each in table["Lost without shifts"]]
    return table.round(3).assign(**{"Lost without shifts": lost})


def conservation_words(table: pd.DataFrame, network: nn.Module, image: Tensor) -> str:
    """Where DenseNet121 keeps relevance under the epsilon rule, and how exactly the parts add up."""
    with torch.inference_mode():
        target = int(network(image).argmax())
    kept = {name: values.item() for name, values in absorbed_by_layer(network, image, target).items()}
    modules = dict(network.named_modules())
    norms = {name: each for name, each in kept.items() if not isinstance(modules[name], nn.Linear)}
    most = max(norms, key=lambda name: abs(norms[name]))
    row = table[(table["Network"] == DENSENET) & (table["LRP rule"] == "epsilon")].iloc[0]
    rest = row["Kept by shifts"] - sum(kept.values())
    share = abs(rest) / max(abs(row["Relevance of the image"]), sum(map(abs, kept.values())))
    return (
        f"Without shifts at most {table['Lost without shifts'].max():.0e} of the score is lost, by the "
        f"stabiliser of the epsilon rule. In DenseNet121 the shifts of {len(norms)} batch-norm layers keep "
        f"{number(sum(norms.values()), 3)} under the epsilon rule; the "
        f"largest part is {number(norms[most])}, in `{most}`. What each layer keeps was computed apart, as shift times slope. Together with the "
        f"relevance of the image these parts are the score, but for {number(rest, 3)} "
        f"({percent(share, 2)} of the larger of both sums), which the stabiliser and rounding take."
    )


def needs() -> pd.DataFrame:
    """What each method of METHODS needs and returns, a row a method."""
    return pd.DataFrame(
        {
            "Method": method.title,
            "Name": f"`{name}`",
            "Needs": ", ".join(WORDS[need] for need in method.needs),
            "Values": f"{method.sign}; {method.unit}",
        }
        for name, method in METHODS.items()
    )


def answer(maps: Mapping[str, Tensor], sign: np.ndarray, areas: np.ndarray, shown: int) -> dict[str, str]:
    """The answer box, from the heatmaps of the volume. areas: label image, for the methods that cover areas."""
    shares = share_inside(maps, sign, shown)
    given_areas = {method.title for method in METHODS.values() if "areas" in method.needs}
    best = max(shares.keys() - given_areas, key=shares.get)
    found = (
        f"With one call for each method. In a drawn volume a brighter cube, the sign of class 1, fills "
        f"{percent(float(sign.mean()))}; {best.lower()} puts {percent(shares[best])} of its relevance there."
    )
    one_area = np.array_equal(areas == areas[sign][0], sign)
    for name in sorted(shares.keys() & given_areas):
        found += f" {name} puts {percent(shares[name])} there"
        if one_area:
            found += f"; the sign is exactly one of the {len(np.unique(areas))} areas that it covers, which favours it"
        found += "."
    return {
        "question": "How do I get these heatmaps for a network of my own?",
        "found": found,
        "how_sure": "One network and one volume: the page shows how, not which method is best.",
        "not_shown": "Whether a heatmap of your network shows what you hope. Compare it with one of a "
        "network that had nothing to learn.",
    }
