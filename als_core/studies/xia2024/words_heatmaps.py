"""Sentences of the page on heatmaps: which runs they explain, what the checks say, and the answer box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from als_core.figures.drawn import listed, number, percent
from als_core.refusal import counted
from als_core.studies.xia2024.figures_data import marked
from als_core.studies.xia2024.heatmaps import RULE
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.words import is_pretrained_as_printed, pretraining, recipe_of, trains_head_only
from als_core.training.runs import Run

NO_LESIONS = (
    "This cannot be asked of the images of this page: no lesion is marked in them, or only recorded heatmaps of the "
    "network are left."
)
EXPLAINED_FORBIDS = "Do not read these maps as maps of Miniset-DenseSENet of the paper."


def explained_substitutions(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """List what the explained runs are in place of the paper's: setting -> (here, in the paper)."""
    recipe, printed = recipe_of(runs), RECIPES["miniset_densesenet"]
    rows = {"network": (recipe.name, printed.name)}
    if recipe.reduced_from:
        rows["image side, pixels"] = (f"{recipe.side}", f"{recipe.own.side}")
    if not is_pretrained_as_printed(runs[0]):
        rows["starting weights"] = ("random", "ImageNet")
    return rows


def explained_words(runs: Sequence[Run], predicted: pd.DataFrame) -> str:
    """Say which runs the maps come from and how good they are. predicted: of `heatmaps.tested`."""
    images = predicted["sample"].nunique()
    right = (predicted["label"] == predicted["predicted"]).groupby(predicted["run"]).sum()
    largest = predicted.drop_duplicates("sample")["label"].value_counts().max()
    return (
        f"The maps come from {counted(len(runs), 'run')} of {runs[0].title}, started from {pretraining(runs[0])}, under the "
        f"split by image. Of {images} test images {'it classifies' if len(runs) == 1 else 'the runs classify'} "
        f"{listed(right)} correctly; the largest class has {largest}. A heatmap is only as good as its network."
    )


def matrix_caption(
    runs: Sequence[Run],
    predicted: pd.DataFrame,
    places: tuple[int, int],
    lesions: Mapping[int, np.ndarray],
    layer: str = "the last convolutional layer",
) -> tuple[str, str]:
    """Return the first sentence and the rest of the caption of Fig. 3."""
    title = f"{recipe_of(runs).name} by true and predicted class: the image, and the heat for the predicted class (Fig. 3 in the paper)."
    note = (
        f"Heat at {layer}, {places[0]} × {places[1]} values, parted by white lines. {RULE} Below it: number "
        f"of cases among {predicted['sample'].nunique()} test images and {counted(predicted['run'].nunique(), 'run')}, file, "
        "seed and score."
    )
    if any(mask.any() for mask in lesions.values()):
        note += " Lesions are outlined."
    return title, note


def sanity_words(checks: pd.DataFrame | None) -> str:
    """Say how the maps change when the head is replaced by noise. checks: of `heatmaps.without_last_layer`."""
    if checks is None:
        return "The runs of this page are recorded ones without weights, so this was not tested here."
    by_run = checks.groupby("seed")["correlation"].mean()
    blank = int(checks["blank"].sum())
    if by_run.isna().any():
        first = "Some maps are constant, so their correlation with the maps of a head of noise does not exist for every run."
    else:
        first = (
            "With a head of noise the correlation of the maps with the trained network's (Spearman, over pixels) is "
            f"{listed(number(value) for value in by_run)}, by run. Near 0 a map depends on what the head learned; near 1 "
            "any head would draw it."
        )
    second = (
        f"{counted(blank, 'map')} of {len(checks)} {'is' if blank == 1 else 'are'} blank."
        if blank
        else "No map is blank."
    )
    return f"{first} {second}"


def _own_against_others(gap: pd.Series) -> str:
    """Say which lesions get more heat. gap: own less others, equal but for rounding where a map has one value."""
    if round(gap["low"], 6) > 0:
        return "more than on the lesions of others"
    if round(gap["high"], 6) < 0:
        return "less than on the lesions of others"
    return "not distinguishable from the lesions of others"


def lesion_words(means: pd.DataFrame, unit: str) -> str:
    """Say how much heat lies on the lesion of its own image. means: of `heatmaps.lesion_means`."""
    last = means[means["layer"] == "last"].set_index("kind")
    own, others, noise, gap = (last.loc[kind] for kind in ("own", "others", "noise", "difference"))
    return (
        f"At the last layer the lesion of an image gets {number(own['mean'])} times the heat of an even map "
        f"({number(own['low'])} to {number(own['high'])}), lesions of other images {number(others['mean'])} times, and with a "
        f"head of noise {number(noise['mean'])} times: {_own_against_others(gap)} ({gap['images']} images, {gap['groups']} {unit})."
    )


def heatmap_answer(
    runs: Sequence[Run],
    predicted: pd.DataFrame,
    places: tuple[int, int],
    kind: str = "published",
    means: pd.DataFrame | None = None,
) -> dict[str, str]:
    """Fill the answer box of the Grad-CAM page.

    kind: of the cohort. means: of `heatmaps.lesion_means`, where lesions are known.
    """
    largest = float(predicted.drop_duplicates("sample")["label"].value_counts(normalize=True).max())
    share = float((predicted["label"] == predicted["predicted"]).mean())
    recipe = recipe_of(runs)
    size = "published size" if not recipe.reduced_from else f"{recipe.side} pixels"
    what = "what makes the classes different" if kind == "own" else "the disease"
    heat = ""
    if means is not None:
        last = means[means["layer"] == "last"].set_index("kind")
        on_own, on_others, gap = (last.loc[row] for row in ("own", "others", "difference"))
        heat = (
            f"The lesion of {'a synthetic' if kind == 'synthetic' else 'an'} image gets {number(on_own['mean'])} times the "
            f"heat of an even map ({number(on_own['low'])} to {number(on_own['high'])}), lesions of other images "
            f"{number(on_others['mean'])} times: {_own_against_others(gap)}. "
        )
    if kind == "synthetic":
        not_shown = "Anything about real tissue: a program drew these images and their lesions."
    elif means is not None:
        not_shown = "That the same holds for other images."
    elif kind == "own":
        not_shown = f"That the heat lies on {what}: nothing in these images is marked."
    else:
        not_shown = "That the heat lies on pathology: the authors' images come without marked lesions."
    tested = "test images" if heat else marked("test images", kind)
    unknown = (
        f"Whether the map shows {what} is not known: nothing in these images is marked, and as no weights are kept of "
        "recorded runs, it was not checked that the map depends on what the network learned. "
        if runs[0].recorded
        else ""
    )
    frozen = (
        " Only its last layer was trained on these images; all other layers are as their pretraining left them."
        if trains_head_only(recipe)
        else ""
    )
    to = "they point to regions, not to details" if max(places) > 1 else "they point nowhere"
    return {
        "question": f"Where does the network look, and does the heatmap show {what}?",
        "found": (
            f"{heat}{unknown}{recipe.name} at {size} classifies {percent(share)} of the {tested} correctly "
            f"(the commonest class: {percent(largest)}), and its heatmaps have {places[0]} × {places[1]} values: {to}."
        ),
        "how_sure": (
            f"From {counted(len(runs), 'run')} and {predicted['sample'].nunique()} test images that "
            f"{'it' if len(runs) == 1 else 'the runs'} did not train on; images were chosen by a rule before any map was "
            f"drawn.{frozen}"
        ),
        "not_shown": not_shown,
    }
