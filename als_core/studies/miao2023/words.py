"""Computed sentences of the crops study's pages: answer boxes, substitutions, and what figures show.

Every function returns whole sentences of MyST. Conditions live here, where they are tested.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from als_core.claims.findings import Facts
from als_core.claims.published import claim_named
from als_core.cohorts.group_word import CASE, GroupWord
from als_core.figures.drawn import listed, number, p_value, percent, percent_range
from als_core.refusal import counted
from als_core.studies.miao2023.chain import CELL
from als_core.studies.miao2023.checks import PERMUTED
from als_core.studies.miao2023.figures import METHODS, TITLES
from als_core.studies.miao2023.filters import FILTERS
from als_core.studies.miao2023.protocol import BY_CASE, BY_CROP, COPIES_FIRST, CropSettings, SuperResolution
from als_core.studies.miao2023.super_resolution import Pairs
from als_core.studies.miao2023.train import GRID, LONGER

Box = dict[str, str]
"""The four texts of `Page.answer`."""

ACCURACY = "miao2023.fig13.lr0_0001.batch16.accuracy"
AUC = "miao2023.section3.{}.auc"
SHARES = ("3.mobile_net_v3.average", "4_5.mobile_net_v3.test")
CROPS = {"synthetic": "synthetic crops", "own": "the crops of this folder"}


def printed(claim_id: str) -> str:
    """Return a published number as the paper prints it, with a space before the percent sign."""
    return re.sub(r"(?<=\d)%", " %", claim_named(claim_id).printed.text)


# --- what was used here, and in the paper


def substitutions(kind: str, rows: Mapping[str, tuple[str, str]]) -> dict:
    """Return the arguments of `Page.substitutions` for crops of this kind (`synthetic` or `own`)."""
    crops = {"synthetic": "drawn by a program", "own": "the reader's own"}[kind]
    forbids = {
        "synthetic": "Do not compare numbers of this page with the paper's, and draw no conclusion about ALS "
        "from them: they show how the methods behave where the truth is known.",
        "own": "Do not compare numbers of this page with the paper's: other crops were used.",
    }[kind]
    return {"rows": {"Crops": (crops, "post-mortem tissue, not public"), **rows}, "forbids": forbids}


def network_rows(settings: CropSettings, weights: str, unit: GroupWord = CASE) -> dict[str, tuple[str, str]]:
    """Return the rows of `substitutions` that describe how classifiers are trained."""
    start = {"random": "random", "imagenet": "ImageNet"}.get(weights, weights)
    return {
        "Starting weights": (start, "pre-trained, source not printed"),
        "Image side": (f"{settings.side} pixels", "not printed"),
        "Epochs": (str(settings.epochs), str(int(claim_named("miao2023.fig10.epochs").value))),
        "Splits": (f"{settings.repeats} by crop and by {unit.one}, five folds", "one, unit not printed"),
    }


def super_resolution_rows(settings: CropSettings) -> dict[str, tuple[str, str]]:
    """Return the rows of `substitutions` that describe how the generator is trained."""
    chosen = settings.super_resolution
    steps = f"{chosen.content_steps} on content, then {chosen.further_steps} with each loss"
    return {
        "Network": ("a small SRGAN", "a GAN, layers not printed"),
        "Enlargement": (f"{chosen.factor} times", "not printed"),
        "Training steps": (steps, "not printed"),
    }


def chain_rows(settings: CropSettings, weights: str, unit: GroupWord = CASE) -> dict[str, tuple[str, str]]:
    """Return the rows of `substitutions` that describe the whole chain."""
    chain = settings.chain
    network = network_rows(settings, weights)
    steps = chain.super_resolution.content_steps + chain.super_resolution.further_steps
    return super_resolution_rows(settings) | {
        "Enlargement": (f"{chain.super_resolution.factor} times, of crops reduced as much", "not printed"),
        "Training steps": (f"{steps} in each of five folds", "not printed"),
        "Classifier": (TITLES[chain.network], "three networks"),
        "Starting weights": network["Starting weights"],
        "Image side": (f"{chain.side} pixels", "not printed"),
        "Learning rate, batch size": ("{:g}, {}".format(*CELL), "grid of nine"),
        "Images made of each crop": (str(chain.copies), "not printed"),
        "Splits": (f"five folds of {unit.many}", "one, unit not printed"),
    }


# --- page 01


def listing(facts: Facts) -> str:
    """Say what the listing of Fig. 6 implies for splits."""
    return (
        f"**{facts['crops']} crops are of {facts['cases']} cases**, and {facts['pairs']} cases have two "
        f"crops. Crops of one case are alike, so there are {facts['cases']} independent units. If crops were "
        f"split at random, the chance that no case has crops in both parts would be {facts['none_torn']:.2g}. Read "
        f"by SD number alone there would be {facts['numbers']} cases, and "
        f"{facts['numbers_with_both_labels']} of them would be both ALS and not."
    )


def filter_constants() -> pd.DataFrame:
    """List the filters with their constants."""
    rows = [
        (each.title, ", ".join(_in_pixels(*pair) for pair in each.constants.items()) or "none")
        for each in FILTERS.values()
    ]
    return pd.DataFrame(rows, columns=["Filter", "Constants"])


def _in_pixels(name: str, value: float) -> str:
    return f"{name} {value:g} {'pixel' if value == 1 else 'pixels'}"


def filters(medians: pd.DataFrame) -> str:
    """Say which filter comes nearest to the truth, and what happens to aggregates.

    medians: by filter, of `restoration.measure_filters`. Only synthetic crops have a known truth.
    """
    if "PSNR to the truth (dB)" not in medians:
        return "No noise-free truth of these crops is known, so only their sharpness can be compared."
    psnr, wrong = medians["PSNR to the truth (dB)"], medians["Aggregates missed or invented"]
    equalised, smoothed = FILTERS["equalise"].title, [name for name in FILTERS if name != "equalise"]
    best = psnr[[FILTERS[name].title for name in smoothed]].idxmax()
    named = f"the {best}".replace("the M", "the m")
    change = "brings a crop nearer to" if psnr[best] > psnr["Before"] else "does not bring a crop nearer to"
    return (
        f"On synthetic crops, smoothing {change} the noise-free truth: median PSNR {number(psnr[best], 1)} dB after {named}, "
        f"{number(psnr['Before'], 1)} dB unfiltered. The median number of aggregates that the spot rule misses or invents in "
        f"a crop is {wrong[best]:g} after it, {wrong['Before']:g} without a filter and {wrong[equalised]:g} after histogram "
        f"equalisation, which changes grey levels by design (PSNR {number(psnr[equalised], 1)} dB)."
    )


def balancing(
    counts: np.ndarray, als: np.ndarray, cases: int, log_size: float, unit: GroupWord = CASE
) -> str:
    """Say how often crops are shown to make classes equal.

    counts: images per crop; log_size: images of the printed log.
    """

    def times(part: np.ndarray) -> str:
        return listed(sorted(set(part.tolist())), "or") + " times"

    return (
        f"To make {counts.sum()} images with equal classes from {len(counts)} crops, a crop of ALS is shown "
        f"{times(counts[als])} and a control {times(counts[~als])}, the crop itself included. Copies are no "
        f"new {unit.many}: there are still {cases}. (The printed VGG16 log is of {log_size:g} images; where the "
        "odd one may come from is in {ref}`miao-leak`.)"
    )


def crops_box(facts: Facts, medians: pd.DataFrame) -> Box:
    """Return the answer box of the page on crops and filters."""
    return {
        "question": "Which crops does the study have, and what do its four filters do to them?",
        "found": f"The paper lists {facts['crops']} crops of only {facts['cases']} cases. {filters(medians)}",
        "how_sure": "The counts follow from the printed list, if a name is read as case and crop; the paper "
        "does not explain its names. Filters were measured on the crops of this page, with constants of this "
        "book's choice.",
        "not_shown": "No image of the study is public, so how its own crops look after filtering is not "
        "known.",
    }


# --- page 02


def what_is_trained(
    settings: SuperResolution,
    pairs: Pairs,
    train: int,
    test: int,
    test_cases: int,
    perceptual: bool,
    unit: GroupWord = CASE,
) -> str:
    """Say on how many crops the network is trained and tested, and how it is set."""
    term = (
        "A perceptual term (VGG16 with ImageNet weights) joins the adversarial one."
        if perceptual
        else "There is no perceptual term, because no ImageNet weights of VGG16 are available here."
    )
    return (
        f"Training: {counted(train, 'crop')}; held out: {counted(test, 'crop')} of "
        f"{counted(test_cases, f'other {unit.one}', f'other {unit.many}')}. Enlarged {settings.factor} times, from {pairs.low.shape[2]} "
        f"to {pairs.high.shape[2]} pixels a side. Residual blocks: {settings.blocks}, channels: "
        f"{settings.channels}. Steps on content: {settings.content_steps}, then with each loss: "
        f"{settings.further_steps}. {term}"
    )


def _gain(row: pd.Series, before: str = " (", after: str = ")") -> str:
    interval = f"{number(row['gain_low'], signed=True)} to {number(row['gain_high'], signed=True)}"
    return f"{number(row['gain'], signed=True)} dB{before}95 % interval {interval}{after}"


def gains(summary: pd.DataFrame) -> str:
    """Say what each generator gains over bicubic enlarging. summary: of `restoration.summarise`."""
    of = summary.set_index(["method", "measure"])
    mean = of["mean"].unstack()
    change = mean.loc["adversarial"] - mean.loc["content"]
    return (
        f"**Compared with bicubic, crop by crop**, the generator trained on content changes PSNR by "
        f"{_gain(of.loc[('content', 'psnr')])}, the adversarial one by "
        f"{_gain(of.loc[('adversarial', 'psnr')])}. The adversarial loss by itself, compared with as many "
        f"steps on content, changes PSNR by {number(change['psnr'], signed=True)} dB, SSIM by "
        f"{number(change['ssim'], 3, signed=True)} and sharpness by "
        f"{number(change['sharpness'], signed=True)} of the truth's."
    )


def aggregates(counts: pd.DataFrame) -> str:
    """Say what enlarging does to the count of aggregates. counts: of `restoration.count_all`, with a row `Truth`."""
    before, after, truth = (counts.loc[n] for n in (METHODS["bicubic"], METHODS["adversarial"], "Truth"))
    said = (
        f"Of {counted(int(before.found + before.missed), 'aggregate')} in these crops, the spot rule finds {before.found} "
        f"after bicubic enlarging, {after.found} after the adversarial network and {truth.found} in the truth itself. "
        f"Spots outside aggregates: {before.invented}, {after.invented} and {truth.invented}."
    )
    if not after.invented:
        return said
    return (
        f"{said} Whether they are the same spots was not compared, and an image nearer to the truth on average is no proof "
        "that each spot in it was in the cell."
    )


def super_resolution_box(
    kind: str,
    summary: pd.DataFrame,
    counts: pd.DataFrame | None,
    crops: int,
    cases: int,
    unit: GroupWord = CASE,
) -> Box:
    """Return the answer box of the page on super-resolution. kind: of the cohort."""
    gain, without = (
        summary.set_index(["method", "measure"]).loc[(n, "psnr")] for n in ("adversarial", "content")
    )
    trained = {"synthetic": "trained on the noise-free truth", "own": "trained on crops as recorded"}[kind]
    nearness = "about as near to the truth as"
    if gain["gain_low"] > 0:
        nearness = "nearer to the truth than"
    elif gain["gain_high"] < 0:
        nearness = "less near to the truth than"
    found = (
        f"On {CROPS[kind]} of {unit.many} it has not seen, a generative network {trained} comes {nearness} plain "
        f"interpolation (PSNR {_gain(gain, '; ', '')}; without the adversarial loss "
        f"{number(without['gain'], signed=True)} dB)."
    )
    if counts is not None:
        kinds = (METHODS["bicubic"], METHODS["adversarial"], "Crop as recorded", "Truth")
        bicubic, gan, recorded, true = (counts.loc[name] for name in kinds)
        found += (
            f" In its images the spot rule finds {gan.found} of {gan.found + gan.missed} aggregates and marks "
            f"{counted(gan.invented, 'spot')} outside aggregates; after interpolation {bicubic.found} and "
            f"{bicubic.invented}, in the crops as recorded {recorded.found} and {recorded.invented}, in the truth itself "
            f"{true.found} and {true.invented}."
        )
    return {
        "question": "Does a generative network enlarge crops better than interpolation, and does it draw "
        "things that are not there?",
        "found": found,
        "how_sure": f"One training, judged on {counted(crops, 'held-out crop')} of {counted(cases, unit.one, unit.many)}; "
        f"intervals resample {unit.many}. Another training or other {unit.many} may differ. The network also removes "
        "noise, which interpolation does not: how much of a gain is enlarging is not separated here.",
        "not_shown": "The paper prints neither its network nor a result of it, so this network is not the "
        "paper's. Whether enlarged crops are classified better is the question of {ref}`miao-does-it-help`.",
    }


# --- page 03


def printed_numbers(model: str, m2: Facts, m3: Facts, m4: Facts, m5: Facts) -> str:
    """Say what the printed log and grid of a network allow. m2 to m5: of the study's `audit`."""
    if model == "vgg16":
        return (
            "**The last printed VGG16 losses and accuracies are close to those of always giving the class shares.** Always "
            f"predicting ALS is right for {number(m4['majority_percent'])} % of the listed crops, and always "
            f"giving this share has a loss of {m4['entropy']:.4f}; the last ten printed losses average "
            f"{m4['last_ten']:.4f}, and the nine printed cells {number(m2['vgg16'])} %, which is the average "
            f"in the text. With equal classes these would be 50 % and {m4['balanced_entropy']:.3f}: if the classes were made "
            "equal, as section 2.1 says, the closeness is a coincidence."
        )
    if model == "resnet50":
        return (
            f"**{printed(ACCURACY)} is the last line of the printed training log, and appears in the grid as "
            f"a test accuracy.** A slip in the caption would explain it. The text's average, "
            f"{printed('miao2023.section3.resnet50.average_accuracy')}, is the mean of the nine cells "
            f"({number(m2['resnet50'])} %). Why {printed(ACCURACY)} cannot be a test accuracy beside an AUC "
            f"of {printed(AUC.format('resnet50'))} is explained in {{ref}}`miao-roc`."
        )
    return (
        f"**{m3['equal']} of the {m3['cells']} printed cells equal those of ResNet50 in Fig. 13** to four "
        f"decimals, as independent tables would about once in {number(round(1e-9 / m3['chance'], -1), 0)} billion; "
        "a slip in copying is the plain "
        f"reading. The other {m3['left_cells']} cells are all {m3['left']:.4f}, and the text's average, "
        f"{printed('miao2023.section3.mobile_net_v3.average_accuracy')}, is this row; the nine cells average "
        f"{number(m2['mobile_net_v3'])} %. A test accuracy of "
        f"{printed('miao2023.section4_5.mobile_net_v3.test_accuracy')} is {m5['count']} of "
        f"{m5['least_size']} and no share of fewer images, while 30 % of the crops are {m5['of_listed']}; "
        f"always predicting ALS reaches {number(m5['majority_percent'])} %."
    )


def training_log(log: pd.DataFrame, repeats: int) -> str:
    """Say whether the mean loss of a log falls to its last epoch. log: mean loss and accuracy by epoch."""
    lowest, last = int(log["loss"].idxmin()), int(log.index[-1])
    start = (
        f"Over {counted(repeats, 'split')} by crop, the mean loss falls from {number(log['loss'].iloc[0], 3)}"
    )
    if lowest == last:
        end = number(log["loss"].iloc[-1], 3)
        return f"{start} to {end} and is lowest in the last epoch ({last})."
    least = number(log["loss"][lowest], 3)
    return f"{start} to its lowest value, {least}, in epoch {lowest} of {last}, and rises after it."


def cases_right(row: pd.Series, majority: float, unit: GroupWord = CASE) -> str:
    """Say how many cases a network classifies correctly. row: of `train.score_cases`."""
    if row["low"] > majority:
        verdict = f"below the interval: the network has learned something that holds for other {unit.many}"
    elif row["high"] < majority:
        verdict = "above the interval: at this threshold the constant answer is better"
    else:
        verdict = "inside the interval: accuracy alone shows no difference from the constant answer"
    return (
        f"At the setting the paper plots, {row['right']} of {row['cases']} {unit.many} are classified correctly at a "
        f"threshold of 0.5 ({percent(row['accuracy'])}; 95 % interval {percent_range(row['low'], row['high'])}). Always "
        f"giving the commoner label is right for {percent(majority)} of them, which lies {verdict}. Within folds, the "
        f"network ranks {_pairs(row, unit)}."
    )


def _pairs(row: pd.Series, unit: GroupWord) -> str:
    """Say in how many pairs of cases of one fold the case with ALS has the higher score."""
    ranked = number(row["ranked"], 0 if float(row["ranked"]).is_integer() else 1)
    return f"ALS above the other label in {ranked} of {row['pairs']} pairs of {unit.many}"


def left_out(settings: CropSettings, variants: tuple[str, ...]) -> str:
    """Say which fine-tuning variants this profile leaves out, if any."""
    missing = [name for name in variants[1:] if name not in settings.fine_tuned]
    if not missing:
        return "Every variant was trained."
    names = listed(f"*{name}*" for name in missing)
    return (
        f"To save time this profile leaves out {names}; the setting `fine_tuned` of a profile's section "
        "`miao2023` names the variants to train."
    )


def training_box(
    kind: str, name: str, row: pd.Series, trained: pd.Series, majority: float, unit: GroupWord = CASE
) -> Box:
    """Return the answer box of a training page.

    row : of `train.score_cases` at the plotted setting
    trained : training accuracy at the same setting, of each split by crop
    majority : share of the cases with the commoner label
    """
    return {
        "question": f"How well does {name}, trained as the study describes, classify crops of {unit.many} it has "
        "not seen?",
        "found": f"Trained on {CROPS[kind]} at the setting the paper plots (learning rate "
        f"{row['learning_rate']:g}, batch size {row['batch_size']}), {name} classifies {row['right']} of "
        f"{row['cases']} unseen {unit.many} correctly ({percent(row['accuracy'])}, at a threshold of 0.5; always giving the "
        f"commoner label: {percent(majority)}) and within folds ranks {_pairs(row, unit)}. In the trainings by crop, at the same "
        f"setting, it reaches {percent(trained.mean())} on its training images on average "
        f"({percent_range(trained.min(), trained.max())} between splits).",
        "how_sure": f"With {row['cases']} {unit.many} the 95 % interval is wide: "
        f"{percent_range(row['low'], row['high'])}.",
        "not_shown": "Nothing about the paper's own result: its crops are not public, and it prints no "
        "optimiser, image size or unit of the split.",
    }


# --- page 04


def incompatible(m1: Facts, m8: Facts, test_cases: int, test_crops: int) -> str:
    """Say why the accuracy and AUC printed for ResNet50 cannot be of one network on one test set.

    m1, m8: of the study's `audit`.
    """
    accuracy = printed(ACCURACY)
    low, high = (printed(AUC.format(model)) for model in ("resnet50", "mobile_net_v3"))
    return (
        f"**The printed accuracy {accuracy} and the printed AUC {low} cannot both come from one network on one test set**, "
        f"unless more than {m1['share_needed_percent']:.1f} % of its images are of one class. At the class share of "
        f"Fig. 6 a ROC curve with a point of this accuracy has an area of at least {m1['least_auc']:.3f} "
        f"({m1['least_auc_balanced']:.3f} with equal classes); scores with an AUC of {low} reach an accuracy "
        f"of {m1['greatest_accuracy']:.3f} at most. The harmless reading: {accuracy} is also the last line "
        "of the printed *training* log, so the caption that calls it a test accuracy may be a slip. Nor do "
        f"{high} and {low} show that two networks differ at this size: as independent sets of {test_cases} "
        f"cases, p = {p_value(m8['p_cases'])}, and of {test_crops} crops, {p_value(m8['p_crops'])}; only copies "
        "counted as independent images would give p "
        f"{p_value(m8['p_copies'])}."
    )


def split_order(m6: Facts, m9: Facts) -> str:
    """Say what the printed shares hint about the order of copying and splitting.

    m6, m9: of the study's `audit`.
    """
    average, tested = (printed(f"miao2023.section{claim}_accuracy") for claim in SHARES)
    return (
        f"The printed numbers hint at an order: all accuracies of the VGG16 log are shares of {m6['total']} "
        f"images, and {m6['total']} split 70 to 30 is {m6['train']} and {m6['test']}, of which {average} and "
        f"{tested} are possible shares. **That {m6['total']} images were made of {m6['originals']} crops and "
        f"then split is inferred, not known.** If so, VGG16 also trained on its test images, for {m6['total']} is the size of a "
        "*training* log. The other reading is that these images are the training part alone, copied after the split, in the "
        f"order of section 2.1; the ResNet50 log is of {m9['size']} images (finding M9). A log of the authors would settle it."
    )


def leak(scored: pd.DataFrame, sizes: tuple[int, int], log_size: float) -> str:
    """Say what the split after copying gives. sizes: numbers of training and test images."""
    accuracy = scored.xs(COPIES_FIRST, level="protocol")["accuracy"]
    said = listed(f"{TITLES[name]} {number(value, 3)}" for name, value in accuracy.items())
    total = sum(sizes)
    origin = f" ({log_size:g} is ten for each of 39 crops, and one more)" if total == log_size else ""
    return (
        f"Copies first, then a split: {total} images{origin}, {sizes[0]} for training and {sizes[1]} for the "
        f"test. Nearly every test image has a copy of its crop in training. Test accuracy there: {said}."
    )


def undertrained(
    network: str,
    scored: pd.DataFrame,
    strength: Mapping[str, float],
    longer: float,
    unit: GroupWord = CASE,
) -> str:
    """Give a possible reason for an AUC under the leaking split that lies below that by case.

    scored : index network and protocol; strength : of `train.follow_feature_strength`
    longer : AUC under the leaking split after `train.LONGER` times as many epochs
    """
    low, by_case = (scored.loc[(network, protocol), "auc"] for protocol in (COPIES_FIRST, BY_CASE))
    constant = no_controls(scored)
    name = TITLES[network]
    if low >= by_case:
        return (
            f"{name} scores no lower with the leak (AUC {low:.2f}) than by {unit.one} ({by_case:.2f}). {constant}"
        ).strip()
    return (
        f"**{name} is worse with the leak (AUC {low:.2f}) than by {unit.one} ({by_case:.2f}).** One possible reason: at the "
        "printed setting a head takes very few steps, and the leaking split keeps the classes unequal, so that the first thing "
        "to learn is the commoner label. The scores follow how strongly an image drives the features as a whole "
        f"(correlation {number(strength[COPIES_FIRST])}; by {unit.one}, with equal classes, {number(strength[BY_CASE])}). After "
        f"{LONGER} times as many epochs the same split reaches an AUC of {longer:.2f}. Leak and class balance were not varied "
        f"separately. {constant}"
    ).strip()


def no_controls(scored: pd.DataFrame) -> str:
    """Name the networks that recognise no control under the leaking split; empty where there is none."""
    constant = [TITLES[n] for n, p in scored.index if p == COPIES_FIRST and scored.loc[(n, p), "tn"] == 0]
    if not constant:
        return ""
    return f"{listed(constant)} recognised no control, so test accuracy cannot exceed the share of ALS among the test images."


def no_signal(null: pd.DataFrame, moved: pd.DataFrame) -> str:
    """Say what each split scores without a sign of disease. moved: of `checks.shifts`, index protocol."""
    errors = moved["in_errors"]
    verdict = "within" if abs(errors[BY_CASE]) <= 3 else "more than"
    leaked = null[COPIES_FIRST].mean() - null[BY_CASE].mean()
    return (
        f"By case the mean AUC is {moved.loc[BY_CASE, 'auc']:.3f}, against {null[PERMUTED].mean():.3f} with "
        f"permuted labels: {verdict} three standard errors ({number(errors[BY_CASE], 1, signed=True)}). By "
        f"crop it is {moved.loc[BY_CROP, 'auc']:.3f} ({number(errors[BY_CROP], 1, signed=True)} standard "
        f"errors). Copying before the split gives {moved.loc[COPIES_FIRST, 'auc']:.3f} "
        f"({number(errors[COPIES_FIRST], 1, signed=True)} standard errors), {number(leaked, 3, signed=True)} "
        "against the split by case, though there is nothing to learn."
    )


def classical(scores: pd.DataFrame, unit: GroupWord = CASE) -> str:
    """Compare the best classical method with the best network. scores: of `checks.compare_methods`.

    Each network is scored at one setting only, so neither kind is called better.
    """
    best = scores.sort_values("accuracy", ascending=False).groupby("kind").first()
    network, method = best.loc["network on a frozen base"], best.loc["classical"]
    tried = scores["kind"].value_counts()
    return (
        f"The best of {counted(tried['classical'], 'classical method')}, {method['network']}, classifies "
        f"{method['right']} of {method['cases']} {unit.many} correctly; the best of "
        f"{counted(tried['network on a frozen base'], 'network')}, {TITLES[network['network']]}, "
        f"{network['right']}. Each network was trained at one setting, that of the training which the paper "
        f"plots. The training pages list {len(GRID)} settings of each network, and another setting can classify "
        f"more {unit.many} correctly. The best of each kind was picked afterwards, so these numbers do not show "
        "that either kind is better."
    )


def announced(m11: Facts, table: pd.DataFrame) -> str:
    """Say how many named items are printed, and what the two logs say of time. table: of `announced_table`."""
    nothing = int((table["Printed"] == "nothing").sum())
    return (
        f"**Of {len(table)} items that the paper names or describes, {nothing} are not printed and {len(table) - nothing} only in "
        "part.** "
        f"The two printed logs take {m11['vgg16_hours']:.2f} hours (VGG16) and {m11['resnet50_hours']:.2f} hours (ResNet50), "
        f"nearly the same, though VGG16 needs {m11['multiply_adds_ratio']:.1f} times the multiply-adds at "
        "224 pixels: reading images, not the network, may have set the time."
    )


def roc_box(m1: Facts, moved: pd.DataFrame, m8: Facts, test_cases: int, test_crops: int, share: float) -> Box:
    """Return the answer box of the page on ROC curves, leaks and cost. share: of ALS among the listed crops."""
    beyond = {
        name: f"{number(abs(errors), 1)} standard errors {'above' if errors > 0 else 'below'}"
        if np.isfinite(errors)
        else "not distinguishable from"
        for name, errors in moved["in_errors"].items()
    }
    accuracy, auc = printed(ACCURACY), printed(AUC.format("resnet50"))
    return {
        "question": "Do the printed accuracies and AUCs fit together, and how much of a score can a leaking "
        "split make?",
        "found": f"The accuracy of {accuracy} and the AUC of {auc} printed for ResNet50 cannot both come from one "
        "network on one test set: that accuracy needs an AUC (0.5 is chance, 1 a perfect ranking) of at least "
        f"{m1['least_auc']:.2f}. {accuracy} is also the last line of the printed training log, so a slip in "
        f"a caption is the plain reading. On {int(moved['cohorts'].iloc[0])} synthetic cohorts drawn without disease, copying "
        f"before the split gives one network a mean AUC of {moved.loc[COPIES_FIRST, 'auc']:.2f}; splitting by case, "
        f"{moved.loc[BY_CASE, 'auc']:.2f}.",
        "how_sure": f"The first is arithmetic, for any scores with the class share of Fig. 6 ({percent(share, 1)} ALS). In the "
        f"second, the AUC with copies first is {beyond[COPIES_FIRST]} that of permuted labels; split by case, "
        f"{beyond[BY_CASE]} it.",
        "not_shown": "That the study copied before it split is inferred from its printed shares, not known. "
        f"Which network is better remains open: the printed AUCs differ with p = {p_value(m8['p_cases'])} "
        f"on about {test_cases} test cases and {p_value(m8['p_crops'])} on {test_crops} test crops.",
    }
