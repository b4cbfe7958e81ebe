"""Figures and sentences about the tissue study's augmentation (Xia 2024, section 4.4, Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from als_core.book import interactive
from als_core.cohorts.group_word import DONOR, IMAGE, GroupWord
from als_core.cohorts.quality import AXIS_LABELS
from als_core.figures.drawn import Drawn, as_written, listed, number, percent
from als_core.figures.pictures import image_grid
from als_core.figures.primitives import draw_distributions, draw_reference, panels
from als_core.figures.style import MUTED, PALETTE, house_style
from als_core.studies.xia2024.augmentation import AUGMENTATIONS, FIGURE_5, Augmentation
from als_core.studies.xia2024.figures_data import QUALITY_NAMES, QUALITY_UNITS, marked

AMPLIFIED = ("noise", "colour_denoised")
"""Augmentations that one cannot see at full size: their change is also shown, ten times as large."""

FACTOR = 10

KEPT = 0.01
"""Change of a median, as a share of it, up to which an augmentation is said to keep it."""

RAISED = 0.05
"""Rise of the median sharpness, as a share of it, from which an augmentation is said to raise it."""

CONSTANTS = {
    "diameter": "window of {:g} px",
    "sigma_levels": "SD {:g} levels",
    "sigma_pixels": "and {:g} px",
    "canny_low": "edges above {:g}",
    "canny_high": "and {:g}",
    "dilations": "widened by {:g} px",
    "factor": "factor {:g}",
    "border": "{:.1%} of each side",
    "levels": "whole numbers below {:g}",
    "shift_sd": "corners moved by SD {:.2%} of the side",
    "clip_limit": "contrast limit {:g}",
    "tiles": "{:g} tiles each way",
    "strength": "strength {:g} levels",
    "patch": "patches of {:g} px",
    "search": "searched within {:g} px",
}

PRINTED = {"rotate": "90° (section 4.4); counter-clockwise: released code", "flip": "left to right (Fig. 5)"}
"""What the paper prints of an augmentation's constants."""


def augment_each(
    image: np.ndarray, names: Sequence[str], generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Apply each augmentation of `names` to an image, uint8 (H, W, 3)."""
    entries = [AUGMENTATIONS[name] for name in names]
    return {each.name: each(image, generator) if each.random else each(image) for each in entries}


@house_style()
def augmentation_gallery(original: np.ndarray, augmented: Mapping[str, np.ndarray], path: str) -> Drawn:
    """Show an image and its augmented copies three to a row, then changes too small to be seen (Fig. 5).

    augmented : name of an augmentation -> uint8 image. path : of the original, for the caption.
    """
    titles = {name: _title(AUGMENTATIONS[name]) for name in augmented}
    shown = [
        ("original", "Original", original),
        *((name, titles[name], augmented[name]) for name in augmented),
    ]
    for name in AMPLIFIED:
        if name in augmented:
            change = augmented[name].astype(int) - original.astype(int)
            picture = np.clip(128 + FACTOR * change, 0, 255).astype(np.uint8)
            shown.append(
                (
                    f"{name}, change",
                    f"Change by {titles[name].partition(' ')[2].lower()}, × {FACTOR}",
                    picture,
                )
            )
    rows = [shown[at : at + 3] for at in range(0, len(shown), 3)]
    figure = image_grid(
        [[image for *_, image in row] for row in rows],
        titles=[[title for _, title, _ in row] for row in rows],
    )
    aside = not all(AUGMENTATIONS[name].panel for name in augmented)
    caption = (
        "The same image under the two methods that section 3 of the paper sets aside: listed, and not used."
        if aside
        else f"One training image ({as_written(path)}) and its {len(augmented)} augmented copies, in the order of Fig. 5. "
        f"Last, what two of them change, {FACTOR} times as large on mid-grey."
    )
    changes = [
        {"image": name, "title": title, "mean_level": image.mean(), "sd": image.std()}
        for name, title, image in shown
    ]
    return Drawn(
        figure,
        caption,
        f"Grid of images: the original, then {listed(titles.values())}.",
        pd.DataFrame(changes).assign(source=path),
    )


def gallery_to_compare(original: np.ndarray, augmented: Mapping[str, np.ndarray]) -> str:
    """Lay each augmented copy over its original, with a slider between the two (HTML)."""
    after = {_title(AUGMENTATIONS[name]): image for name, image in augmented.items()}
    return interactive.before_after(original, after, "Compare each copy with its original")


@house_style()
def quality_by_augmentation(quality: pd.DataFrame) -> Drawn:
    """Draw the four quality measures of the originals and of each augmented set.

    quality : one row per image, columns of `AXIS_LABELS` and `augmentation` ("original" among its values).
    """
    order = list(dict.fromkeys(quality["augmentation"]))
    colours = {name: MUTED if name == "original" else PALETTE[0] for name in order}
    medians = quality.groupby("augmentation", sort=False)[list(AXIS_LABELS)].median()
    figure, grid = panels(4, height=0.9 + 0.26 * len(order), sharey=True)
    for letter, axes, column in zip("abcd", grid, AXIS_LABELS, strict=True):
        draw_distributions(axes, quality, column, "augmentation", colours=colours, order=order)
        draw_reference(axes, medians.loc["original", column])
        axes.set_title(f"({letter}) {QUALITY_NAMES[column]}", fontsize=8.5)
        axes.set_xlabel(QUALITY_UNITS[column], fontsize=8)
    said = [
        f"{name}: {row.laplacian_variance:.0f}, {row.snr:.1f}, {row.brightness_mean:.0f}, {row.contrast_sd:.1f}"
        for name, row in medians.iterrows()
    ]
    return Drawn(
        figure,
        "Image quality of the training images before (grey) and after each augmentation (blue). "
        "Boxes span the middle half, whiskers 5 % to 95 %; the dashed line is the median of the originals.",
        "Four panels of box plots, one box for the originals and one for each augmentation. Medians of sharpness, "
        f"signal-to-noise ratio, brightness and contrast. {'; '.join(said)}.",
        quality,
    )


def quality_changes(quality: pd.DataFrame) -> pd.DataFrame:
    """Compare the medians of each quality measure before and after each augmentation.

    quality : as in `quality_by_augmentation`, augmentation given by title.

    Returns
    -------
    DataFrame
        By augmentation: `sharpness`, `snr`, `contrast` and `brightness_factor` as factors, `brightness` in levels, of
        medians over images.
    """
    medians = quality.groupby("augmentation", sort=False)[list(AXIS_LABELS)].median()
    base = medians.loc["original"]
    changes = pd.DataFrame(
        {
            "sharpness": medians["laplacian_variance"] / base["laplacian_variance"],
            "snr": medians["snr"] / base["snr"],
            "brightness": medians["brightness_mean"] - base["brightness_mean"],
            "brightness_factor": medians["brightness_mean"] / base["brightness_mean"],
            "contrast": medians["contrast_sd"] / base["contrast_sd"],
        }
    )
    return changes.drop(index="original")


def quality_kept(changes: pd.DataFrame) -> list[str]:
    """Name the augmentations that change no median by more than `KEPT`. changes: of `quality_changes`."""
    factors = changes[["sharpness", "snr", "brightness_factor", "contrast"]]
    return list(changes.index[(factors - 1).abs().max(axis=1) <= KEPT])


def quality_change_words(changes: pd.DataFrame) -> str:
    """Say what augmentation does to image quality, and why. changes: of `quality_changes`."""
    scaling, noise, perspective = (AUGMENTATIONS[name] for name in ("scale", "noise", "perspective"))
    lines = [f"{_sharpness_span(changes)}."]
    if scaling.title in changes.index:
        lines.append(f"{scaling.title} shrinks an image and enlarges it again, which blurs it.")
    if noise.title in changes.index:
        shift = changes["brightness"][noise.title]
        lines.append(
            f"{noise.title} never subtracts: it adds whole numbers from 0 to {noise.constants['levels'] - 1}, "
            f"so the images become brighter ({number(shift, 1, signed=True)} levels) as well as noisier, and noise counts "
            "as sharp."
        )
    if perspective.title in changes.index:
        contrast = 100 * (changes["contrast"][perspective.title] - 1)
        lines.append(
            f"{perspective.title} leaves black corners where the image has moved away. Their borders count as sharp, and "
            f"they change the contrast by {number(contrast, 0, signed=True)} %: a network can recognise such a copy by its "
            "border."
        )
    if kept := quality_kept(changes):
        lines.append(f"{_kept_words(kept)}.")
    return " ".join(lines)


def _kept_words(kept: Sequence[str]) -> str:
    named = listed(name.lower() for name in kept).capitalize()
    verb = "changes" if len(kept) == 1 else "change"
    return f"{named} {verb} no median of the four quality measures by more than {percent(KEPT)}"


def augmentation_answer(
    changes: pd.DataFrame, originals: int, total: int, unit: GroupWord = DONOR, kind: str = "published"
) -> dict[str, str]:
    """Fill the answer box of the page on augmentation.

    changes: of `quality_changes`. originals, total: images of the training set. kind: of the cohort; runs without
    augmentation are recorded for the paper's only.
    """
    kept = quality_kept(changes)
    altered = f"{_kept_words(kept)}; the others do" if kept else "Each changes image quality"
    trained = "this page trains none"
    if kind == "published":
        trained += "; {ref}`xia-benchmark` shows two with and without"
    return {
        "question": "How does the study turn a few hundred images into more, and what does that do to them?",
        "found": f"{originals} {marked('training images', kind)} become {total:,} by {len(changes)} augmentations each. "
        f"{altered}. {_sharpness_span(changes)}.",
        "how_sure": "The steps are those of the authors' released code, and are exact; the paper prints only that "
        "rotation is by 90 degrees and mirroring left to right.",
        "not_shown": "Whether augmentation makes a network better: "
        f"{trained}. No copy of an image adds {'a new image' if unit == IMAGE else unit.a}.",
    }


def _sharpness_span(changes: pd.DataFrame) -> str:
    most, least = changes["sharpness"].idxmax(), changes["sharpness"].idxmin()
    factor = changes["sharpness"][most]
    if factor > 1 + RAISED:
        raised = f"{most} multiplies the median sharpness by {number(factor, 1)}"
    else:
        raised = f"No augmentation raises the median sharpness by more than {percent(RAISED)}"
        if factor > 1 + KEPT:
            raised += f" (most: {most.lower()}, {number(100 * (factor - 1), 0, signed=True)} %)"
    return f"{raised}, and {least.lower()} multiplies it by {number(changes['sharpness'][least], 2)}"


def constants_table() -> pd.DataFrame:
    """List every augmentation with its constants in words, and where these come from."""
    return pd.DataFrame(
        {
            "Method": [each.title for each in AUGMENTATIONS.values()],
            "Panel": [each.panel or "" for each in AUGMENTATIONS.values()],
            "Status": [_status(each) for each in AUGMENTATIONS.values()],
            "Constants": [constants_in_words(each) for each in AUGMENTATIONS.values()],
            "From": [_source(each) for each in AUGMENTATIONS.values()],
        }
    )


def constants_in_words(entry: Augmentation) -> str:
    """Write an augmentation's constants: "window of 15 px, SD 30 levels and 75 px"."""
    words = [CONSTANTS.get(key, key + " {:g}").format(value) for key, value in entry.constants.items()]
    return ", ".join(words).replace(", and", " and").replace("%", " %")


def _status(entry: Augmentation) -> str:
    if entry.variant_of:
        return f"our variant of {AUGMENTATIONS[entry.variant_of].title}"
    return entry.status


def _source(entry: Augmentation) -> str:
    if entry.name in PRINTED:
        return PRINTED[entry.name]
    if entry.variant_of or entry.added:
        return "this book"
    return "released code" if entry.constants else "no constants"


def _title(entry: Augmentation) -> str:
    return f"({entry.panel}) {entry.title}" if entry.panel else entry.title


def set_aside() -> list[str]:
    """Names of the augmentations that section 3 of the paper lists and does not use."""
    return [each.name for each in AUGMENTATIONS.values() if each.status.startswith("set aside")]


def training_claims(split_sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Regenerate the augmented row of Table 2. split_sizes: by part, before augmentation; total: after it."""
    return {
        "xia2024.section4_2_1.augmentations.count": len(FIGURE_5),
        "xia2024.table2.augmented.train": total - split_sizes["train"],
        "xia2024.table2.augmented.size": total,
        "xia2024.table2.augmented.validation": split_sizes["validation"],
        "xia2024.table2.augmented.test": split_sizes["test"],
        "xia2024.section4_6.training_set.images": total,
    }
