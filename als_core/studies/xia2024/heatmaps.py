"""Grad-CAM of trained tissue networks: images that represent each true and predicted class, and heat on lesions.

Xia 2024, sections 2.3 and 4.7, Fig. 3. Which image represents which pair of classes is decided by the runs'
predictions alone. Heat comes from a run's weights or, for a recorded run, from the heatmaps of its test images that
were recorded with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from als_core.cohorts.cohort import Cohort
from als_core.explain.contract import blank
from als_core.explain.grad_cam import grad_cams
from als_core.explain.interception import captured_output
from als_core.explain.sanity import cascade, rank_correlation
from als_core.models.stages import Scaling, StagedNetwork
from als_core.refusal import Problem, refuse_if
from als_core.statistics.intervals import bootstrap_mean
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.train import recorded_runs, tissue_runs
from als_core.training.features import as_input
from als_core.training.images import resized
from als_core.training.runs import SCORE, Run
from als_core.training.train import trained_network

BATCH = 8
HEATMAPS = "heatmaps.npz"
EXPLAINED = ("miniset_densesenet", "resnet18_cbam", "resnet18_se", "resnet18")
RULE = "Each cell shows the test image of its pair of classes that any of the runs classified with the highest score."


def tested(runs: Sequence[Run]) -> pd.DataFrame:
    """What every run said of every test image, one row each.

    Columns: run (its place in `runs`), seed, sample (its row in the cohort), path, label, predicted, score
    (softmax of the predicted class, 0..1).
    """
    tables = []
    for place, run in enumerate(runs):
        rows = run.predictions[run.predictions["part"] == "test"]
        score = rows[[SCORE + name for name in run.classes]].max(axis=1)
        table = rows[["path", "label", "predicted"]].assign(run=place, seed=run.about["seed"], score=score)
        tables.append(table.rename_axis("sample").reset_index())
    return pd.concat(tables, ignore_index=True)


def examples_of_pairs(said: pd.DataFrame) -> pd.DataFrame:
    """For each pair of true and predicted class the row of `tested` that `RULE` picks, with `count`, the rows it had.

    Of equal scores the first run's first image. Pairs that never occurred have no row.
    """
    pairs = said.groupby(["label", "predicted"])
    first = said.loc[pairs["score"].idxmax()]
    return first.assign(count=pairs.size().to_numpy()).reset_index(drop=True)


def map_layers(network: StagedNetwork) -> dict[str, str]:
    """Layers whose maps Grad-CAM can show, by title, from the first to the last convolutional ones.

    After each gate, and last the maps that are averaged for the head: what section 4.7 calls the output of
    the last convolutional layer.
    """
    stages = dict(network.stages.named_children())
    names = list(stages)
    final = names[names.index("pool" if "pool" in names else "head") - 1]
    activated = "pool" in names and "relu" in dict(stages["pool"].named_children())
    gates = {
        f"after {name}": f"stages.{name}"
        for name in names
        if name.startswith(("se", "cbam")) and name != final
    }
    return gates | {"last": "stages.pool.relu" if activated else f"stages.{final}"}


def network_inputs(run: Run, cohort: Cohort, samples: Sequence[int]) -> Tensor:
    """Samples of the cohort as the run's network got them: (n, 3, side, side), float32, scaled."""
    images = resized(cohort.images(samples), run.about["recipe"]["side"])
    return as_input(torch.from_numpy(images), Scaling(*map(tuple, run.about["scaling"]))).contiguous()


def class_numbers(run: Run, names: pd.Series) -> Tensor:
    """Class names as the run's class numbers, int64 (n,)."""
    return torch.tensor([run.classes.index(name) for name in names])


def places(network: StagedNetwork, inputs: Tensor, layer: str) -> tuple[int, int]:
    """Height and width of the maps of a layer for these inputs."""
    with captured_output(network.get_submodule(layer)) as outputs, torch.inference_mode():
        network(inputs[:1])
    height, width = outputs[0].shape[2:]
    return height, width


def class_maps(
    network: StagedNetwork, inputs: Tensor, targets: Tensor, layers: Sequence[str]
) -> list[Tensor]:
    """`grad_cams` in small batches: the gradients of DenseNet121 need half a gigabyte for an image of 400 pixels."""
    batches = zip(inputs.split(BATCH), targets.split(BATCH), strict=True)
    maps = [grad_cams(network, some, target, layers=layers) for some, target in batches]
    return [torch.cat(of_layer) for of_layer in zip(*maps, strict=True)]


def explained_runs(cohort: Cohort, amounts: TissueAmounts, seed: int = 0) -> list[Run]:
    """Return the runs whose heatmaps a page shows: the first of `EXPLAINED` with recorded heatmaps, published sizes before
    smaller ones; where nothing is recorded Miniset-DenseSENet, as in the paper, at the sizes of the profile.
    """
    split = published_split(cohort, seed)
    recorded = [
        runs
        for network in EXPLAINED
        if (runs := recorded_runs(RECIPES[network], cohort, split, amounts))
        and all((run.folder / HEATMAPS).is_file() for run in runs)
    ]
    if recorded:
        return min(recorded, key=lambda runs: bool(runs[0].about["recipe"]["reduced_from"]))
    return tissue_runs(EXPLAINED[0], cohort, amounts, split=split, seed=seed)


def recorded_heat(chosen: pd.DataFrame, runs: Sequence[Run]) -> tuple[list[np.ndarray], tuple[int, int]]:
    """Return the recorded Grad-CAM of the predicted class for each row of `examples_of_pairs`, as `heat_of_pairs` does.

    Heat is at the size of the layer's maps, in units of the score.
    """
    heat = []
    for row in chosen.itertuples():
        with np.load(runs[row.run].folder / HEATMAPS) as stored:
            place = int(np.flatnonzero(stored["sample"] == row.sample)[0])
            number = runs[row.run].classes.index(row.predicted)
            heat.append(
                stored["last"][place, number].astype(np.float32) * float(stored["greatest"][place, number])
            )
    height, width = heat[0].shape
    return heat, (height, width)


def heat_of_pairs(
    chosen: pd.DataFrame, runs: Sequence[Run], cohort: Cohort, layer: str
) -> tuple[list[np.ndarray], tuple[int, int]]:
    """Grad-CAM of the predicted class at the layer of this title for each row of `examples_of_pairs`.

    Returns heat (side, side), float32, >= 0, in the order of the rows, and the places of the layer's maps.
    Raises RefusedInput for recorded runs.
    """
    heat: dict[int, np.ndarray] = {}
    for place, rows in chosen.groupby("run"):
        run = runs[place]
        network = trained_network(run)
        inputs = network_inputs(run, cohort, rows["sample"].tolist())
        name = map_layers(network)[layer]
        (maps,) = class_maps(network, inputs, class_numbers(run, rows["predicted"]), [name])
        heat |= dict(zip(rows.index, maps.numpy(), strict=True))
        size = places(network, inputs, name)
    return [heat[row] for row in chosen.index], size


def lesion_overlap(
    said: pd.DataFrame, runs: Sequence[Run], cohort: Cohort, generator: torch.Generator
) -> pd.DataFrame:
    """How much heat for the true class lies on the lesion of its own image, and on lesions of other images.

    said: rows of `tested`; those whose image has a lesion mask that is not empty are looked at. One row for
    each of them and each layer of `map_layers`, with seed, sample, label, layer, height, width (of the
    layer's maps), area (share of the image that is lesion), inside (share of the heat on it; NaN where
    there is no heat), own (inside / area: 1 is what an even map gives), others (the same for the
    lesions of the other images in `said`, averaged; of other groups only, where the cohort has groups) and
    noise (as own, the head of the network replaced by noise from `generator`, a CPU one). No rows where no
    two of these images are of different groups.
    """
    masks = lesion_masks(cohort, sorted(said["sample"].unique()))
    samples = [sample for sample, mask in masks.items() if mask.any()]
    truth = np.array([masks[sample].ravel() for sample in samples])
    groups = cohort.groups[samples] if cohort.groups is not None and samples else np.arange(len(samples))
    apart = groups[:, None] != groups
    tables = []
    for run in (runs[place] for place in said["run"].unique() if apart.any()):
        network = trained_network(run)
        inputs = network_inputs(run, cohort, samples)
        labels = cohort.samples["label"].iloc[samples]
        _, noise = next(cascade(network, inputs, generator))
        layers, targets = map_layers(network), class_numbers(run, labels)
        maps = [class_maps(model, inputs, targets, [*layers.values()]) for model in (network, noise)]
        for (title, layer), *both in zip(layers.items(), *maps, strict=True):
            on, on_by_noise = (heat_on(_enlarged(heat, masks), truth) for heat in both)
            dense = on / truth.mean(axis=1)
            height, width = places(network, inputs, layer)
            tables.append(
                pd.DataFrame(
                    {
                        "seed": run.about["seed"], "sample": samples, "label": labels.to_numpy(),
                        "group": groups, "layer": title, "height": height, "width": width,
                        "area": truth.mean(axis=1), "inside": np.diag(on), "own": np.diag(dense),
                        "others": (dense * apart).sum(axis=1) / apart.sum(axis=1),
                        "noise": np.diag(on_by_noise) / truth.mean(axis=1),
                    }
                )
            )  # fmt: skip
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _enlarged(heatmaps: Tensor, masks: Mapping[int, np.ndarray]) -> np.ndarray:
    """Heatmaps (n, h, w) at the size of the masks."""
    size = next(iter(masks.values())).shape
    return F.interpolate(heatmaps[:, None], size=size, mode="bilinear")[:, 0].numpy()


def lesion_means(overlap: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Means over images of `lesion_overlap`, runs averaged first, with 95 % bootstrap intervals over groups.

    Columns: layer, height, width, kind (`own`, `others`, `noise`, and `difference`, own less others), mean,
    low, high, images, groups. The interval is NaN where there are fewer than two groups. A run in which an
    image has no heat has no part in its mean.
    """
    shared, kinds = ["layer", "height", "width"], ["own", "others", "noise", "difference"]
    each = overlap.assign(difference=overlap["own"] - overlap["others"])
    each = each.groupby([*shared, "sample", "group"], sort=False)[kinds].mean().reset_index()
    rows = []
    for ((layer, height, width), every), kind in product(each.groupby(shared, sort=False), kinds):
        images = every.dropna(subset=kind)
        groups = images["group"].to_numpy()
        low = high = np.nan
        if len(set(groups)) > 1:
            low, high = bootstrap_mean(images[kind], groups, generator)
        rows.append(
            [layer, height, width, kind, images[kind].mean(), low, high, len(images), len(set(groups))]
        )
    return pd.DataFrame(rows, columns=[*shared, "kind", "mean", "low", "high", "images", "groups"])


def heat_on(heatmaps: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Share of the positive heat of each map (n, *spatial) on each truth, bool (m, *spatial): (n, m), 0..1.

    `overlap.mass_inside` of every map with every truth. NaN for a map without positive heat.
    """
    positive = np.maximum(heatmaps.reshape(len(heatmaps), -1), 0).astype(float)
    total = positive.sum(axis=1, keepdims=True)
    on = positive @ truths.reshape(len(truths), -1).T.astype(float)
    return np.divide(on, total, out=np.full_like(on, np.nan), where=total > 0)


def lesion_masks(cohort: Cohort, samples: Sequence[int]) -> dict[int, np.ndarray]:
    """The lesion masks of samples, by sample: the central square, bool (side, side); samples without one are left out.

    Raises RefusedInput with every mask that cannot be read or is not of the images' size.
    """
    masks, problems = {}, []
    names = cohort.samples["mask"] if "mask" in cohort.samples else pd.Series("", cohort.samples.index)
    height, width = cohort.image_shape
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    for sample in samples:
        name = names.iloc[sample]
        if not isinstance(name, str) or not name:
            continue
        try:
            with Image.open(cohort.folder / name) as picture:
                mask = np.asarray(picture.convert("L")) > 0
        except OSError as failure:
            problems.append(
                Problem(name, f"no readable mask ({failure})", "an image file", "Correct the path.")
            )
            continue
        if mask.shape != (height, width):
            problems.append(Problem(name, f"{mask.shape}", f"{(height, width)}, as the images", "Redraw it."))
        masks[sample] = mask[top : top + square, left : left + square]
    refuse_if("Lesion masks", problems)
    return masks


def without_last_layer(
    said: pd.DataFrame, runs: Sequence[Run], cohort: Cohort, generator: torch.Generator
) -> pd.DataFrame:
    """What becomes of the maps of the last layer when the head is replaced by noise of its size.

    One row a run and test image: seed, sample, blank (the trained network's map is zero everywhere),
    correlation (Spearman, over pixels, of the two maps for the predicted class; NaN where one is
    constant). Near 0 says that the maps come from what the head has learnt (Adebayo et al. 2018).
    generator: a CPU one.
    """
    tables = []
    for place, rows in said.groupby("run"):
        run = runs[place]
        network = trained_network(run)
        inputs, targets = (
            network_inputs(run, cohort, rows["sample"].tolist()),
            class_numbers(run, rows["predicted"]),
        )
        _, noise = next(cascade(network, inputs, generator))
        layer = map_layers(network)["last"]
        (maps,), (other,) = (class_maps(model, inputs, targets, [layer]) for model in (network, noise))
        tables.append(
            rows[["seed", "sample"]].assign(
                blank=blank(maps).numpy(), correlation=rank_correlation(maps, other)
            )
        )
    return pd.concat(tables, ignore_index=True)
