"""What separates the classes of the tissue study: two questions, three splits, and which cue carries the answer.

    questions       ALS against control; concordant against discordant, given ALS
    splits          folds by image, by slide and by donor; each unit is held out once a round
    classifiers     ridge regression with classes of equal weight, on frozen features of a network, on colour statistics,
                    on the stained area, or on one quality measure alone
    null            the same procedure with labels permuted over whole donors, from the folds on
    cues            the images as they are, and with colour, brightness, contrast or sharpness made equal

The score is balanced accuracy (mean of the shares of each class that are classified correctly; 0.5 by guessing), with
a bootstrap interval over donors. Features are divided by their standard deviation over all images, which knows no
label. The procedure was fixed before the networks of the paper were recorded, but after images had been looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from sklearn.model_selection import StratifiedKFold

from als_core.cohorts.quality import measure_quality
from als_core.statistics.intervals import bootstrap_over_groups
from als_core.statistics.metrics import balanced_accuracy, one_confusion_each
from als_core.statistics.paired import permutation_p_value, permute_labels_over_groups

PENALTY = 1.0  # on squared weights of standardised features, for each training sample
FOLDS = 5  # of a round by image
BY_IMAGE, BY_SLIDE, BY_DONOR = "by image", "by slide", "by donor"

Fold = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Question:
    """Two classes of samples that a classifier is to tell apart.

    name : str
        "ALS against control".
    rows : int (n,)
        Samples it is about.
    positive : bool (n,)
        Of these samples.
    """

    name: str
    rows: np.ndarray
    positive: np.ndarray


def questions(labels: pd.Series) -> list[Question]:
    """Return the two questions of the study for labels control, concordant and discordant; none for other labels."""
    if not {"control", "concordant", "discordant"} <= set(labels):
        return []
    every = np.arange(len(labels))
    patients = np.flatnonzero((labels != "control").to_numpy())
    return [
        Question("ALS against control", every, (labels != "control").to_numpy()),
        Question(
            "Concordant against discordant", patients, (labels.iloc[patients] == "concordant").to_numpy()
        ),
    ]


def draw_folds(positive: np.ndarray, units: np.ndarray | None, generator: np.random.Generator) -> list[Fold]:
    """Draw one round of folds, (training rows, test rows); whole units of both classes are held out, each once.

    units: name of each sample's slide or donor, of one label each; None draws folds by image. There are as many folds
    as the class with fewest units has units, at most `FOLDS`.
    """
    if units is None:
        folds = min(FOLDS, int(positive.sum()), int((~positive).sum()))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=int(generator.integers(2**32)))
        return list(splitter.split(positive, positive))
    kinds = [np.unique(units[positive]), np.unique(units[~positive])]
    count = min(FOLDS, *map(len, kinds))
    fold_of = {}
    for names in kinds:
        order = generator.permutation(names)
        fold_of |= {name: place % count for place, name in enumerate(order)}
    number = np.array([fold_of[unit] for unit in units])
    return [(np.flatnonzero(number != fold), np.flatnonzero(number == fold)) for fold in range(count)]


def gram_matrix(features: np.ndarray) -> np.ndarray:
    """Return inner products of features (n, d), each divided by its standard deviation over all samples, (n, n)."""
    sd = features.std(0)
    scaled = (features - features.mean(0)) / np.where(sd > 0, sd, 1)
    return scaled @ scaled.T


def predict_folds(gram: np.ndarray, positive: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Predict each test sample by ridge regression with classes of equal weight, bool (n,).

    gram: (n, n) of `gram_matrix`. The minimum of sum w_i (y_i - x_i b - c)^2 + `PENALTY` n |b|^2, where w_i gives both
    classes the same total weight, in its dual form; a sample is positive where the fitted value is above 0.
    """
    predicted = np.zeros(len(positive), bool)
    targets = np.where(positive, 1.0, -1.0)
    for train, test in folds:
        weight = np.where(positive[train], 0.5 / positive[train].mean(), 0.5 / (~positive[train]).mean())
        share = weight / weight.sum()
        inner, across = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
        row, level = inner @ share, share @ inner @ share
        centred = inner - row[:, None] - row + level
        # both classes have the same total weight, so the weighted mean of the targets is 0
        system = centred + np.diag(PENALTY * len(train) / weight)
        dual = cho_solve(cho_factor(system), targets[train])
        held_out = across - (across @ share)[:, None] - row + level
        predicted[test] = held_out @ dual > 0
    return predicted


def separate(
    features: np.ndarray,
    question: Question,
    groups: np.ndarray,
    units: np.ndarray | None,
    *,
    rounds: int,
    permutations: int,
    seed: int = 0,
) -> dict[str, float]:
    """Answer a question from features under one kind of split, beside its null.

    Parameters
    ----------
    features : float (all samples, d)
    question : Question
    groups : (all samples,)
        Donors; labels are permuted over them, and the interval resamples them.
    units : (all samples,) or None
        What a fold keeps together (slides or donors); None for folds by image.
    rounds : int
        Rounds of folds over which predictions are pooled.
    permutations : int
        Of labels over donors, one round of folds each; 0 for none.

    Returns
    -------
    dict
        score, low, high (95 %, over donors), null (mean), null_sd, null_low, null_high (5 and 95 %), p (one-sided).
    """
    rows, positive = question.rows, question.positive
    gram, donors = gram_matrix(features[rows]), groups[rows]
    kept = None if units is None else units[rows]
    generator = np.random.default_rng(seed)
    confusions = np.zeros((len(rows), 2, 2), dtype=np.int64)
    for _ in range(rounds):
        predicted = predict_folds(gram, positive, draw_folds(positive, kept, generator))
        confusions += one_confusion_each(positive.astype(int), predicted.astype(int), 2)
    score = float(balanced_accuracy(confusions.sum(0)))
    interval = bootstrap_over_groups(confusions, donors, balanced_accuracy, generator, strata=positive)
    null = np.empty(permutations)
    for number in range(permutations):
        draw = np.random.default_rng((seed, number))
        permuted = permute_labels_over_groups(positive.astype(int), donors, draw).astype(bool)
        guess = predict_folds(gram, permuted, draw_folds(permuted, kept, draw))
        null[number] = (guess[permuted].mean() + (~guess[~permuted]).mean()) / 2
    found = {"score": score, "low": interval.low, "high": interval.high}
    if not permutations:
        return found | dict.fromkeys(("null", "null_sd", "null_low", "null_high", "p"), np.nan)
    low, high = np.quantile(null, [0.05, 0.95])
    return found | {
        "null": float(null.mean()), "null_sd": float(null.std(ddof=1)), "null_low": float(low),
        "null_high": float(high), "p": permutation_p_value(score, null),
    }  # fmt: skip


def separation_table(
    features: Mapping[str, np.ndarray],
    asked: list[Question],
    groups: np.ndarray,
    slides: np.ndarray | None,
    *,
    rounds: int,
    permutations: int,
    splits: tuple[str, ...] = (BY_IMAGE, BY_SLIDE, BY_DONOR),
    seed: int = 0,
) -> pd.DataFrame:
    """Answer every question from every set of features under every split: one row each, columns of `separate`.

    features: by the name of what is measured. slides: None leaves out folds by slide.
    """
    units = {BY_IMAGE: None, BY_SLIDE: slides, BY_DONOR: groups}
    rows = []
    for question in asked:
        for split in splits:
            if split == BY_SLIDE and slides is None:
                continue
            for name, each in features.items():
                found = separate(
                    each, question, groups, units[split], rounds=rounds, permutations=permutations, seed=seed
                )
                rows.append({"question": question.name, "split": split, "name": name} | found)
    return pd.DataFrame(rows)


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


def _blurred_to(image: np.ndarray, goal: float, steps: int = 10) -> np.ndarray:
    if measure_quality(image).laplacian_variance <= goal:
        return image
    low, high = 0.0, 12.0  # pixels; the sharpness falls with the width of the blur
    for _ in range(steps):
        middle = (low + high) / 2
        sharp = measure_quality(cv2.GaussianBlur(image, (0, 0), middle)).laplacian_variance
        low, high = (middle, high) if sharp > goal else (low, middle)
    return cv2.GaussianBlur(image, (0, 0), high)


CUES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda images: images,
    "without colour": grey,
    "equal brightness and contrast": equal_brightness_and_contrast,
    "equal sharpness": equal_sharpness,
    "all of these": lambda images: equal_sharpness(equal_brightness_and_contrast(images)),
}
"""What is made equal in all images before a network sees them, step by step."""
