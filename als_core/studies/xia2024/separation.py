"""What separates the classes of the tissue study: three questions, three splits, and which cue carries the answer.

    questions       all classes; ALS against control; concordant against discordant, given ALS
    splits          folds by image, by slide and by donor; each unit is held out once a round
    classifiers     ridge regression (`als_core.statistics.linear`) on frozen features of a network, on colour
                    statistics, on the stained area, or on one quality measure alone
    null            the same procedure with labels permuted over whole donors, from the folds on
    cues            the images as they are, and with colour, brightness, contrast or sharpness made equal

The score is balanced accuracy: the mean over classes of the share that is classified correctly, one over the number of
classes by guessing. Its interval resamples donors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from als_core.cohorts.quality import measure_quality
from als_core.statistics.intervals import bootstrap_over_groups
from als_core.statistics.linear import (
    draw_folds,
    fewest_units,
    predict_folds,
    standardised,
)
from als_core.statistics.metrics import balanced_accuracy, one_confusion_each
from als_core.statistics.paired import one_label_each, permutation_p_value, permute_labels

BY_IMAGE, BY_SLIDE, BY_DONOR = "by image", "by slide", "by donor"
ALONE = " alone"
"""How the name of a classifier ends that is given one measure."""
EVERY_CLASS, DISEASE, COGNITION = "all classes", "ALS against control", "concordant against discordant"


@dataclass(frozen=True)
class Question:
    """Classes of samples that a classifier is to tell apart.

    name : str
    rows : int (n,)
        Samples it is about.
    labels : int (n,)
        Their class numbers, from 0.
    """

    name: str
    rows: np.ndarray
    labels: np.ndarray

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing."""
        return 1 / (int(self.labels.max()) + 1)


def questions(labels: pd.Series) -> list[Question]:
    """Return the questions that a cohort allows: all its classes and, for the study's classes, its two contrasts."""
    every = np.arange(len(labels))
    asked = [Question(EVERY_CLASS, every, labels.factorize(sort=True)[0])]
    if {"control", "concordant", "discordant"} == set(labels):
        patients = np.flatnonzero((labels != "control").to_numpy())
        asked += [
            Question(DISEASE, every, (labels != "control").to_numpy().astype(np.int64)),
            Question(
                COGNITION, patients, (labels.iloc[patients] == "concordant").to_numpy().astype(np.int64)
            ),
        ]
    return asked


def splits_allowed(
    labels: np.ndarray, groups: np.ndarray | None, slides: np.ndarray | None
) -> dict[str, np.ndarray | None]:
    """Return the splits that a cohort allows, with the unit each keeps together.

    A split by unit needs two units of every class; one by slide, more slides than donors.
    """
    splits: dict[str, np.ndarray | None] = {BY_IMAGE: None}
    if fewest_units(labels, groups) > 1:
        if fewest_units(labels, slides) > 1 and len(set(slides)) > len(set(groups)):
            splits[BY_SLIDE] = slides
        splits[BY_DONOR] = groups
    return splits


def separate(
    features: np.ndarray,
    question: Question,
    groups: np.ndarray | None,
    units: np.ndarray | None,
    *,
    rounds: int,
    permutations: int,
    seed: int = 0,
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Answer a question from features under one kind of split, beside its null.

    Parameters
    ----------
    features : float (all samples, d)
    question : Question
    groups : (all samples,) or None
        Donors; labels are permuted over them, and the interval resamples them.
    units : (all samples,) or None
        What a fold keeps together (slides or donors); None for folds of images.
    rounds : int
        Rounds of folds over which predictions are pooled.
    permutations : int
        Of labels over donors, one round of folds each; 0 for none. The n-th is the same for all features.

    Returns
    -------
    dict
        score, low, high (95 %, over donors), null (mean), null_sd, null_low, null_high (5 and 95 %), p (one-sided).
    ndarray, int64 (n, classes)
        How often each sample of the question was predicted to be of each class.
    ndarray, float (permutations,)
        Score under each permutation.
    """
    rows, labels = question.rows, question.labels
    classes = int(labels.max()) + 1
    scaled = standardised(features[rows])
    donors = None if groups is None else groups[rows]
    kept = None if units is None else units[rows]
    generator = np.random.default_rng(seed)
    counts = np.zeros((len(rows), classes), dtype=np.int64)
    for _ in range(rounds):
        predicted = predict_folds(scaled, labels, draw_folds(labels, kept, generator))
        counts[np.arange(len(rows)), predicted] += 1
    null = np.empty(permutations)
    for number in range(permutations):
        draw = np.random.default_rng((seed, number))
        permuted = permute_labels(labels, donors, draw)
        predicted = predict_folds(scaled, permuted, draw_folds(permuted, kept, draw))
        null[number] = balanced_accuracy(one_confusion_each(permuted, predicted, classes).sum(0))
    found = score_of_counts(counts, labels, donors, seed)
    if not permutations:
        return found | dict.fromkeys(("null", "null_sd", "null_low", "null_high", "p"), np.nan), counts, null
    low, high = np.quantile(null, [0.05, 0.95])
    return found | {
        "null": float(null.mean()), "null_sd": float(null.std(ddof=1)), "null_low": float(low),
        "null_high": float(high), "p": permutation_p_value(found["score"], null),
    }, counts, null  # fmt: skip


def score_of_counts(
    counts: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, seed: int = 0
) -> dict[str, float]:
    """Return the balanced accuracy of pooled predictions and its 95 % interval over groups.

    counts: int (n, classes), how often each sample was predicted to be of each class; samples without a prediction do
    not count. groups: resampled within classes where each has one label; None resamples samples.
    """
    predicted = counts.sum(1) > 0
    counts, labels = counts[predicted], labels[predicted]
    units = np.arange(len(labels)) if groups is None else groups[predicted]
    confusions = np.eye(counts.shape[1], dtype=np.int64)[labels][:, :, None] * counts[:, None, :]
    strata = labels if one_label_each(labels, units) and fewest_units(labels, units) > 1 else None
    generator = np.random.default_rng(seed)
    interval = bootstrap_over_groups(confusions, units, balanced_accuracy, generator, strata=strata)
    return {"score": float(balanced_accuracy(confusions.sum(0))), "low": interval.low, "high": interval.high}


def separation_table(
    features: Mapping[str, np.ndarray],
    asked: list[Question],
    groups: np.ndarray | None,
    slides: np.ndarray | None,
    *,
    rounds: int,
    permutations: int,
    splits: tuple[str, ...] = (BY_IMAGE, BY_SLIDE, BY_DONOR),
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[tuple[str, str, str], np.ndarray]]:
    """Answer every question from every set of features under every split that the cohort allows.

    features: by the name of what is measured. Returns one row each (question, split, name, chance, what `separate`
    gives, and `p_family`), and the counts of predictions by (question, split, name). `p_family` is the p value of a
    score among all features of its question and split: the share of permutations in which any of them reaches it
    (Westfall and Young 1993), so that the best of several is not taken for more than it is.
    """
    rows, counts = [], {}
    for question in asked:
        of_question = [None if each is None else each[question.rows] for each in (groups, slides)]
        for split in splits_allowed(question.labels, *of_question):
            if split not in splits:
                continue
            units = {BY_IMAGE: None, BY_SLIDE: slides, BY_DONOR: groups}[split]
            family, nulls = [], []
            for name, each in features.items():
                found, predicted, null = separate(
                    each, question, groups, units, rounds=rounds, permutations=permutations, seed=seed
                )
                key = {"question": question.name, "split": split, "name": name}
                counts[tuple(key.values())] = predicted
                family.append(key | {"chance": question.chance} | found)
                nulls.append(null)
            largest = np.max(nulls, axis=0)
            rows += [
                row | {"p_family": permutation_p_value(row["score"], largest) if permutations else np.nan}
                for row in family
            ]
    return pd.DataFrame(rows), counts


def recognition_table(
    features: Mapping[str, np.ndarray], units: Mapping[str, np.ndarray], seed: int = 0
) -> pd.DataFrame:
    """Measure how well slides or donors themselves are recognised: one row a set of features and kind of unit.

    units: by kind ("slide", "donor"), the name of each sample's unit; units with fewer than 5 images are left
    out, and a kind of which fewer than two remain. Columns: name, unit, right, answers, units, share (0 to 1).
    """
    rows = []
    for unit, names in units.items():
        _, number, sizes = np.unique(names, return_inverse=True, return_counts=True)
        kept = np.flatnonzero(sizes[number] >= 5)
        remaining, labels = np.unique(number[kept], return_inverse=True)
        if len(remaining) < 2:
            continue
        folds = draw_folds(labels, None, np.random.default_rng(seed))
        for name, each in features.items():
            predicted = predict_folds(standardised(each[kept]), labels, folds)
            right = int((predicted == labels).sum())
            rows.append((name, unit, right, len(labels), len(remaining), right / len(labels)))
    return pd.DataFrame(rows, columns=["name", "unit", "right", "answers", "units", "share"])


# cues: images uint8 (n, H, W, 3) in, images of the same shape out


def grey(images: np.ndarray) -> np.ndarray:
    """Return the images in grey, three equal colours."""
    return np.stack(
        [cv2.cvtColor(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for each in images]
    )


def equal_brightness_and_contrast(images: np.ndarray) -> np.ndarray:
    """Return grey images of equal mean and standard deviation: the medians over all images."""
    flat = grey(images)[..., 0].astype(np.float32)
    means, sds = flat.mean((1, 2)), flat.std((1, 2))
    scale = np.median(sds) / np.where(sds > 0, sds, 1)
    moved = (flat - means[:, None, None]) * scale[:, None, None] + np.median(means)
    return np.repeat(moved.round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=3)


def equal_sharpness(images: np.ndarray) -> np.ndarray:
    """Return the images blurred, each by the Gaussian that brings its sharpness down to the softest image's.

    Sharpness is the variance of the Laplacian (`cohorts.quality.measure_quality`).
    """
    goal = min(measure_quality(each).laplacian_variance for each in images)
    return np.stack([_blurred_to(each, goal) for each in images])


def _blurred_to(image: np.ndarray, goal: float) -> np.ndarray:
    if measure_quality(image).laplacian_variance <= goal:
        return image
    low, high = 0.0, 12.0  # pixels; the sharpness falls with the width of the blur
    for _ in range(10):
        middle = (low + high) / 2
        sharp = measure_quality(cv2.GaussianBlur(image, (0, 0), middle)).laplacian_variance
        low, high = (middle, high) if sharp > goal else (low, middle)
    return cv2.GaussianBlur(image, (0, 0), high)


ALL_CUES = "all of these"
CUES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda images: images,
    "without colour": grey,
    "equal brightness and contrast": equal_brightness_and_contrast,
    "equal sharpness": equal_sharpness,
    ALL_CUES: lambda images: equal_sharpness(equal_brightness_and_contrast(images)),
}
"""What is made equal in all images before a network sees them, step by step."""
