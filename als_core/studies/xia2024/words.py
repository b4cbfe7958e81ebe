"""Sentences on the pages of the tissue study that depend on what was computed: answer boxes and substitutions.

Every function returns whole sentences from numbers, so that tests can hold them against the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from als_core.claims.published import claim_named
from als_core.claims.verdicts import Circumstances
from als_core.cohorts.group_word import DONOR, IMAGE, GroupWord
from als_core.figures.drawn import listed, number, p_value, percent, percent_range
from als_core.models.weights import named_weights
from als_core.refusal import counted
from als_core.statistics import metrics
from als_core.statistics.intervals import clopper_pearson
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.benchmark import (
    ALS_OR_CONTROL,
    COLOUR,
    KIND_OF_ALS,
    Answers,
    networks_behind,
    paired_table,
    question_table,
)
from als_core.studies.xia2024.figures_data import PAPER_CLASSES, marked
from als_core.studies.xia2024.recipes import PAPER, RECIPES
from als_core.studies.xia2024.train import tissue_weights
from als_core.training.recipe import Recipe
from als_core.training.runs import Run

PRINTED_RUNS = 5
ABLATIONS = (
    "The heads of ResNet18 and EfficientNet-Lite0 were also trained without the nine augmented copies, and ResNet18 by the "
    "protocol that section 4.5.2 describes (80/20, batches of 16, 50 epochs, rotation, mirroring and contrast). Some "
    "networks with gates were trained on smaller images. These runs are recorded ones."
)
"""What is shown where there are `train.recorded_ablations`."""
BY_DONOR_PAGE = "{ref}`What separates the classes? <xia-by-donor>`"


def decimal(value: float) -> str:
    """Write a setting without an exponent, as Table 3 of the paper does.

    >>> decimal(8e-05)
    '0.00008'
    """
    return np.format_float_positional(value, trim="-")


def recipe_of(runs: Sequence[Run]) -> Recipe:
    """Return the recipe that runs were trained by."""
    return Recipe.from_data(runs[0].about["recipe"])


def trains_head_only(recipe: Recipe) -> bool:
    """Whether all stages of a network are frozen but its head."""
    return set(recipe.trains) <= {"pool", "head"}


def pretraining(run: Run) -> str:
    """Say in a few words which training the starting weights of a run come from."""
    name = run.about["weights"]
    if name == "random":
        return "random weights" if run.about["recipe"]["network"] != "basic_cnn" else "none, as in the paper"
    entry = named_weights().get(name)
    return "ImageNet-1k (torchvision)" if entry is None else f"ImageNet-1k ({entry.training})"


def is_pretrained_as_printed(run: Run) -> bool:
    """Whether a run starts as the paper says: from ImageNet, or from nothing for the Basic CNN."""
    return run.about["weights"] != "random" or run.about["recipe"]["network"] == "basic_cnn"


def ran_as_printed(runs: Sequence[Run]) -> bool:
    """Whether runs have their recipe's own sizes and start as the paper says."""
    return not recipe_of(runs).reduced_from and is_pretrained_as_printed(runs[0])


def circumstances_of(runs: Sequence[Run], cohort_kind: str) -> Circumstances:
    """Return what the verdict rules need to know of the runs behind a number."""
    recipe, first = recipe_of(runs), runs[0]
    if first.about["recipe"]["network"] == "basic_cnn":
        weights = "none needed"
    else:
        weights = pretraining(first) if is_pretrained_as_printed(first) else ""
    return Circumstances(
        cohort=cohort_kind,
        data_of=PAPER if cohort_kind == "published" else "",
        weights=weights,
        amounts=not recipe.reduced_from,
        seeds=len(runs),
        recorded=first.recorded,
    )


def substitutions(
    runs_by_network: Mapping[str, Sequence[Run]], by_fold: bool = False
) -> dict[str, tuple[str, str]]:
    """List what runs used in place of what the paper used: network -> (here, in the paper).

    by_fold: runs are one a fold, so their number is not compared with that of the paper's.
    """
    sizes = {
        "side": lambda pixels: f"{pixels} pixels",
        "copies": lambda images: f"{counted(images, 'image')} per training image",
        "batch_size": lambda images: f"batches of {images}",
        "epochs": lambda epochs: counted(epochs, "epoch"),
    }
    rows = {}
    for runs in runs_by_network.values():
        recipe, pairs = recipe_of(runs), []
        for field, value in recipe.reduced_from:
            pairs.append([sizes[field](size) for size in (getattr(recipe, field), value)])
        if not is_pretrained_as_printed(runs[0]):
            pairs.append(["random weights", "ImageNet weights"])
        if recipe.paper == PAPER and len(runs) != PRINTED_RUNS and not by_fold:
            pairs.append([counted(number, "run") for number in (len(runs), PRINTED_RUNS)])
        if pairs:
            here, full = ("; ".join(side) for side in zip(*pairs, strict=True))
            rows[recipe.name] = here, _in_full(recipe, full)
    return rows


def _in_full(recipe: Recipe, full: str) -> str:
    return full if recipe.paper == PAPER else f"not in the paper; in full: {full}"


def frozen_substitutions(networks: Sequence[str], amounts: TissueAmounts) -> dict[str, tuple[str, str]]:
    """List frozen networks without ImageNet weights here: name -> (here, in the paper)."""
    without = [RECIPES[name] for name in networks if tissue_weights(name, amounts).name == "random"]
    return {
        f"{recipe.name}, frozen": ("random weights", _in_full(recipe, "ImageNet weights"))
        for recipe in without
    }


def forbids(runs_by_network: Mapping[str, Sequence[Run]], frozen: Iterable[str] = ()) -> str:
    """Say which conclusions the substitutions rule out. frozen: names of frozen networks with random weights."""
    reduced = [recipe_of(runs) for runs in runs_by_network.values() if not ran_as_printed(runs)]
    in_paper = [recipe.name for recipe in reduced if recipe.paper == PAPER]
    others = [recipe.name for recipe in reduced if recipe.paper != PAPER]
    said = "With fewer runs than printed, an average is judged with the interval that its own runs give."
    if in_paper:
        said = (
            f"Do not compare the accuracy of {listed(in_paper)} on this page with the paper's, or with that of networks "
            "trained at other sizes."
        )
    elif others:
        said = f"Do not compare the accuracy of {listed(others)} on this page with that of networks trained at other sizes."
    if in_paper and others:
        said += f" {listed(others)}, not in the paper: compare at equal sizes only."
    if names := list(frozen):
        said += f" {listed(names)}: the score shows nothing about ImageNet features."
    return said


def name_with_variant(recipe: Recipe) -> str:
    """Name a network, with what sets its recipe apart from the printed one."""
    usual = recipe.variant == RECIPES.get(recipe.network, recipe).variant
    return recipe.name if usual else f"{recipe.name} ({recipe.variant})"


def training_title(recipe: Recipe) -> str:
    """Return the title of the page on training one network."""
    return f"Training: {name_with_variant(recipe)}"


def training_answer(
    runs: Sequence[Run], majority: float, unit: GroupWord = DONOR, kind: str = "published"
) -> dict[str, str]:
    """Fill the answer box of a training page.

    majority: share of the test images in the commonest training class. kind: of the cohort.
    """
    recipe = recipe_of(runs)
    confusions = [run.confusion() for run in runs]
    n = int(confusions[0].sum())
    shares = [float(np.trace(each) / each.sum()) for each in confusions]
    above = sum(share > majority for share in shares)
    size = _trained_how(recipe)
    if not all(is_pretrained_as_printed(run) for run in runs):
        size += ", from random weights in place of ImageNet's"
    commonest = f"naming the commonest class ({percent(majority)})"
    if above == len(runs):
        beyond = f"{'every run' if len(runs) > 1 else 'the run'} does better than {commonest}"
    elif above:
        beyond = f"{above} of the {len(runs)} runs {'does' if above == 1 else 'do'} better than {commonest}"
    else:
        beyond = f"{'no run does' if len(runs) > 1 else 'the run does not do'} better than {commonest}"
    spread = percent(shares[0]) if len(set(shares)) == 1 else percent_range(min(shares), max(shares))
    return {
        "question": f"How was {name_with_variant(recipe)} trained, and what did it learn?",
        "found": f"Trained {size}, {recipe.name} classifies {spread} of {n} {marked('test images', kind)} correctly; {beyond}.",
        "how_sure": (
            f"{'One run' if len(runs) == 1 else f'The spread is over {len(runs)} runs'} on one split; one test image is "
            f"{number(100 / n, 1)} percentage points. Training and test images can show the same slide."
        ),
        "not_shown": f"What is left when {unit.many} are kept apart: see {BY_DONOR_PAGE}."
        if unit != IMAGE
        else "What is left when images that belong together are kept apart: which these are is not known.",
    }


def _trained_how(recipe: Recipe) -> str:
    less = dict(recipe.reduced_from)
    if not less:
        return "at published size"
    images = [f"on images of {recipe.side} pixels"] if "side" in less else []
    if "copies" in less:
        images.append(
            "without augmented copies"
            if recipe.copies == 1
            else f"with {recipe.copies - 1} augmented copies of each"
        )
    epochs = [f"for {recipe.epochs} epochs in place of {less['epochs']}"] if "epochs" in less else []
    return ", ".join([*epochs, *([listed(images)] if images else [])]) or f"in batches of {recipe.batch_size}"


def curves_words(runs: Sequence[Run]) -> str:
    """Say how far the last epoch fits the training images better than the validation images."""
    last = [run.history.iloc[-1] for run in runs]
    if any(np.isnan(each["validation_accuracy"]) for each in last):
        return (
            "This protocol has no validation part: nothing shows how far the training images are overfitted."
        )
    gaps = [each["train_accuracy"] - each["validation_accuracy"] for each in last]
    if max(gaps) <= 0:
        return "By the last epoch no run fits its training images better than the validation images."
    return (
        f"By the last epoch the training images are fitted better than the validation images, by up to "
        f"{100 * max(gaps):.0f} percentage points."
    )


def benchmark_answer(
    answers: Sequence[Answers],
    classes: Sequence[str],
    runs_by_network: Mapping[str, Sequence[Run]],
    printed: Mapping[str, float] | None,
    unit: GroupWord = DONOR,
    kind: str = "published",
) -> dict[str, str]:
    """Fill the answer box of the benchmark page.

    printed: accuracy in the paper, 0 to 1, by name. It is only named beside runs of published size on the paper's images.
    kind: of the cohort.
    """
    shares = {each.name: each.right.mean(1) for each in answers}
    n = len(answers[0].truth)
    recipes = {recipe_of(runs).name: recipe_of(runs) for runs in runs_by_network.values()}
    at_size = [recipe_of(runs).name for runs in runs_by_network.values() if ran_as_printed(runs)]
    if printed is None or kind != "published" or not at_size:
        printed = {}
    sure = f"One split by image and {n} test images: one image is {number(100 / n, 1)} percentage points."
    attention = [name for name in at_size if dict(recipes[name].options).get("gate")]
    if not attention:
        sure += " Whether attention helps is open: no network with attention was trained at published size with such weights."
    return {
        "question": "Which network classifies the images best, and does attention help?",
        "found": " ".join(
            [
                _accuracies(at_size, shares, recipes, printed, n, kind),
                _two_questions_answered(answers, classes, at_size, bool(len(printed))),
            ]
        ).strip(),
        "how_sure": " ".join(
            [
                sure,
                *_attention_against_plain(answers, attention, at_size, recipes, printed, unit),
                *_all_on_one_side(at_size, shares, printed, n),
            ]
        ),
        "not_shown": f"That the networks recognise the classes in new {unit.many}: images of one {unit.one} can be in "
        "training and test parts."
        if unit != IMAGE
        else "That the networks do as well on other images: images that belong together can be in training and test parts.",
    }


def _accuracies(
    at_size: Sequence[str],
    shares: Mapping[str, np.ndarray],
    recipes: Mapping[str, Recipe],
    printed: Mapping[str, float],
    n: int,
    kind: str,
) -> str:
    """Name the accuracy of each network that ran as printed; of the best one where none did. Then of colour alone."""
    names = sorted(at_size, key=lambda name: -shares[name].mean())
    most = ""
    if names:
        start = "At published size and with weights of the paper's kind, "
    else:
        highest = max(shares[name].mean() for name in recipes)
        names = [name for name in recipes if shares[name].mean() == highest]
        start = "No network was trained at published size with weights of the paper's kind. At the sizes of this page, "
        if kind == "synthetic":
            start = (
                "Not answered here: no network was trained on the authors' images, at published size and from ImageNet "
                "weights. At the sizes of this page, "
            )
        if len(recipes) > 1:
            most = f", the most of {len(recipes)} networks"
    each = []
    for name in names:
        note = f"{percent(printed[name])} in the paper" if name in printed else ""
        note = note or ("" if recipes[name].paper == PAPER else "not in the paper")
        each.append(f"{name} gets {percent(shares[name].mean())}" + (f" ({note})" if note else ""))
    colour = f" Colour statistics alone get {percent(shares[COLOUR].mean())}." if COLOUR in shares else ""
    return f"{start}{listed(each)} of {n} {marked('test images', kind)} right{most}.{colour}"


def _two_questions_answered(
    answers: Sequence[Answers], classes: Sequence[str], at_size: Sequence[str], of_paper: bool
) -> str:
    """Say how networks and colour answer ALS or control, and which kind of ALS; nothing for other classes.

    The networks are those that ran as printed (at_size), or all where none did. of_paper: whether the data are the paper's.
    """
    if set(classes) != PAPER_CLASSES:
        return ""
    means = question_table(answers, classes).groupby(["question", "name"])["value"].mean().dropna()
    networks = [each.name for each in answers if each.learns and (not at_size or each.name in at_size)]
    called = (
        "this network" if len(networks) == 1 else "these networks" if at_size else "all networks of this page"
    )
    als, kind = (means[question].reindex(networks).dropna() for question in (ALS_OR_CONTROL, KIND_OF_ALS))
    colour = [
        f", colour alone {percent(means[question][COLOUR])}" if COLOUR in means[question] else ""
        for question in (ALS_OR_CONTROL, KIND_OF_ALS)
    ]
    printed = claim_named("xia2024.abstract.headline.accuracy").printed.text
    there = f" ({printed} for Miniset-DenseSENet in the abstract)" if of_paper else ""
    said = f"ALS or control: {called} {percent_range(als.min(), als.max())}{there}{colour[0]}"
    if len(kind):
        ends = percent_range(kind.min(), kind.max())
        if none := [name for name in als.index if name not in kind.index]:
            called += f" except {listed(none)} (called no ALS image ALS)"
        said += f". Concordant or discordant, among ALS images called ALS: {called} {ends}{colour[1]}, guessing 50 %"
    return said + "."


def _attention_against_plain(
    answers: Sequence[Answers],
    attention: Sequence[str],
    at_size: Sequence[str],
    recipes: Mapping[str, Recipe],
    printed: Mapping[str, float],
    unit: GroupWord,
) -> list[str]:
    """Compare each network with attention with the same one without, where both ran at published size."""
    by_name, said = {each.name: each for each in answers}, []
    for name in attention:
        gated = recipes[name]
        same = [
            other for other in at_size if recipes[other].builder == gated.builder and other not in attention
        ]
        for plain in (recipes[other] for other in same):
            (row,) = paired_table([(by_name[name], by_name[plain.name])]).itertuples()
            also = [
                f"{what} {decimal(getattr(gated, field))} in place of {decimal(getattr(plain, field))}"
                for field, what in (
                    ("epochs", "epochs"),
                    ("learning_rate", "learning rate"),
                    ("batch_size", "batch size"),
                    ("weight_decay", "weight decay"),
                )
                if getattr(gated, field) != getattr(plain, field)
            ]
            besides = f"; they differ in more than attention ({'; '.join(also)})" if also else ""
            both = {name, plain.name} <= set(printed.keys())
            there = number(100 * (printed[name] - printed[plain.name]), 1, signed=True) if both else ""
            start = "Whether attention helps is open: " if also or row.p > 0.05 else ""
            said.append(
                f"{start}{name}, in {counted(len(by_name[name].given), 'run')}, minus {plain.name} is "
                f"{number(100 * row.difference, 1, signed=True)} points here ({f'{there} in the paper; ' if both else ''}"
                f"p {p_value(row.p)}, permuted over {unit.many}){besides}."
            )
    return said


def _all_on_one_side(
    at_size: Sequence[str], shares: Mapping[str, np.ndarray], printed: Mapping[str, float], n: int
) -> list[str]:
    """Say of each network of the paper whose runs all lie on one side of the printed accuracy that they do."""
    said = []
    for name in at_size:
        if name not in printed:
            continue
        below, above = (shares[name] < printed[name]).all(), (shares[name] > printed[name]).all()
        if below or above:
            side = "below" if below else "above"
            low, high = clopper_pearson(round(n * printed[name]), n)
            one = len(shares[name]) == 1
            what = "it" if one else "their mean"
            inside = f"contains {what}" if low <= shares[name].mean() <= high else f"does not contain {what}"
            said.append(
                f"{f'The run of {name} is' if one else f'All runs of {name} are'} {side} the printed {percent(printed[name])}, whose 95 % interval on {n} "
                f"images, {percent_range(low, high)}, {inside}."
            )
    return said


def gates_words(difference: float, p: float, unit: str, runs: Sequence[Run]) -> str:
    """Say what the gates change at equal hyper-parameters.

    difference: of mean accuracies. unit: of the test. runs: of the network with gates.
    """
    points, which = number(abs(100 * difference), 1), "lower" if difference < 0 else "higher"
    chance = "chance can explain this" if p > 0.05 else "more than chance explains"
    limits = (
        ""
        if ran_as_printed(runs)
        else " These runs are not of published size: they test nothing about the paper's gates."
    )
    return (
        f"With gates the mean accuracy is {points} percentage points {which} at equal hyper-parameters; {chance} "
        f"(p {p_value(p)}, two-sided, over {unit}).{limits}"
    )


def augmentation_words(runs_by_name: Mapping[str, Sequence[Run]]) -> str:
    """Say what the augmented copies change in accuracy. runs_by_name: of `train.recorded_ablations`; empty without them."""
    by_network: dict[str, dict[str, np.ndarray]] = {}
    for name, runs in runs_by_name.items():
        network, _, what = name.rpartition(", ")
        confusions = np.array([run.confusion() for run in runs])
        by_network.setdefault(network, {})[what] = metrics.accuracy(confusions)
    said = []
    for network, shares in by_network.items():
        if {"nine augmented copies", "no augmentation"} <= shares.keys():
            copies, none = shares["nine augmented copies"], shares["no augmentation"]
            each = f"of {network} by {number(100 * (copies.mean() - none.mean()), 1, signed=True)} points"
            said.append(
                each + (" (every run with them above every run without)" if copies.min() > none.max() else "")
            )
    return f"The nine augmented copies change the test accuracy {listed(said)}." if said else ""


def paired_words(tests: pd.DataFrame, unit: str) -> str:
    """Say which of the comparisons that the paper draws are larger than chance. tests: of `benchmark.paired_table`."""
    small = tests[tests["p"] < 0.05]
    if small.empty:
        return f"Of {len(tests)} comparisons, none has p below 0.05 in the test over {unit}."
    named = listed(
        f"{row.first} against {row.second} (p {p_value(row.p)})" for row in small.itertuples(index=False)
    )
    corrected = int((small["p"] < 0.05 / len(tests)).sum())
    return (
        f"Of {len(tests)} comparisons, {len(small)} {'has' if len(small) == 1 else 'have'} p below 0.05 in the test over "
        f"{unit}: {named}. {str(corrected) if corrected else 'None'} {'are' if corrected > 1 else 'is'} below "
        f"0.05 / {len(tests)} = {0.05 / len(tests):.2g} (Bonferroni)."
    )


def paired_caption(tests: pd.DataFrame, runs_by_network: Mapping[str, Sequence[Run]]) -> str:
    """Caption the comparisons, and say how many of them test the paper's ranking. tests: of `benchmark.paired_table`."""
    of_paper = {
        recipe_of(runs).name: runs for runs in runs_by_network.values() if recipe_of(runs).paper == PAPER
    }
    between = tests[tests["first"].isin(of_paper) & tests["second"].isin(of_paper)]
    as_printed = [name for name, runs in of_paper.items() if ran_as_printed(runs)]
    testing = int((between["first"].isin(as_printed) & between["second"].isin(as_printed)).sum())
    caption = (
        "The paper's comparisons, and those with networks and baselines that this book adds, on the same test images. "
        "Difference: first minus second."
    )
    if testing == len(between):
        return caption
    start, where = (f"Only {testing}", "the others") if testing else ("None", "each")
    return (
        f"{caption} {start} of the {counted(len(between), 'row')} with two networks of the paper "
        f"{'test' if testing > 1 else 'tests'} its ranking: in {where}, a network was trained at another size, or from "
        "other weights, than in the paper."
    )


def against_colour(table: pd.DataFrame, networks: Sequence[str], baseline: str) -> str:
    """Say how far each network's mean accuracy is from that of colour statistics. table: `benchmark.accuracy_table`."""
    rows = table.set_index("name")
    points = 100 * (rows["mean"] - rows.loc[baseline, "mean"])
    said = listed(f"{name} {number(points[name], 1, signed=True)}" for name in networks)
    return (
        f"Mean accuracy minus that of colour statistics alone, in percentage points: {said}. One test image is "
        f"{number(100 / rows.loc[baseline, 'n'], 1)} points."
    )


def printed_accuracies() -> pd.Series:
    """Return the accuracy printed in Table 1 by the network's name, as text."""
    from als_core.claims.published import claim_named

    return pd.Series(
        {
            recipe.name: claim_named(f"xia2024.table1.{network}.accuracy").printed.text
            for network, recipe in RECIPES.items()
            if recipe.paper == PAPER
        }
    )


def claim_circumstances(
    claims: Sequence[str], runs_by_network: Mapping[str, Sequence[Run]], cohort_kind: str
) -> dict[str, Circumstances]:
    """Return under which circumstances each claim on the test set was regenerated.

    Where several networks are behind a claim, the network farthest from the paper's protocol decides.
    """
    return {
        claim: min(
            (circumstances_of(runs_by_network[network], cohort_kind) for network in networks_behind(claim)),
            key=lambda each: (bool(each.weights), each.amounts, each.seeds or 0),
        )
        for claim in claims
    }


def source_of(recipe: Recipe) -> str:
    """Say what of the paper a page on a network regenerates; empty for a network that is not in it."""
    return "Xia 2024, section 4.6, Table 3" if recipe.paper == PAPER else ""


def seconds_of(runs: Sequence[Run]) -> str:
    """Say how long the runs took."""
    return f"{max(run.about['seconds'] for run in runs):.0f} s for {counted(len(runs), 'run')}"


def run_names(runs: Sequence[Run]) -> str:
    """List the keys of runs, with a mark for recorded ones."""
    if not runs:
        return "none"
    marks = {True: " (recorded)", False: ""}
    return ", ".join(f"{run.about['key']}{marks[run.recorded]}" for run in runs)


def weights_of(runs_by_network: Mapping[str, Sequence[Run]]) -> str:
    """List the starting weights by network."""
    return "; ".join(f"{RECIPES[name].name} {pretraining(runs[0])}" for name, runs in runs_by_network.items())


def weights_of_features(networks: Sequence[str], amounts: TissueAmounts) -> str:
    """List the weights of frozen networks, by network."""
    return "; ".join(f"{RECIPES[name].name} {tissue_weights(name, amounts).name}" for name in networks)
