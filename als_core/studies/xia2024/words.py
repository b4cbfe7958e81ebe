"""Sentences on the pages of the tissue study that depend on what was computed: answer boxes and substitutions.

Every function returns whole sentences from numbers, so that tests can hold them against the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from als_core.claims.verdicts import Circumstances
from als_core.cohorts.group_word import DONOR, IMAGE, GroupWord
from als_core.figures.drawn import as_written, counted, listed, number, p_value, percent, percent_range
from als_core.models.weights import named_weights
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.benchmark import Answers, networks_behind, two_questions
from als_core.studies.xia2024.figures_data import PAPER_CLASSES
from als_core.studies.xia2024.heatmaps import RULE
from als_core.studies.xia2024.recipes import PAPER, RECIPES
from als_core.studies.xia2024.separation import ALL_CUES, BY_DONOR, BY_IMAGE, COGNITION, DISEASE, EVERY_CLASS
from als_core.studies.xia2024.train import tissue_weights
from als_core.training.recipe import Recipe
from als_core.training.runs import Run

PRINTED_RUNS = 5


def recipe_of(runs: Sequence[Run]) -> Recipe:
    """Return the recipe that runs were trained by."""
    return Recipe.from_data(runs[0].about["recipe"])


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


def substitutions(runs_by_network: Mapping[str, Sequence[Run]]) -> dict[str, tuple[str, str]]:
    """List what runs used in place of what the paper used: setting -> (here, in the paper)."""
    rows = {}
    for runs in runs_by_network.values():
        recipe, name = recipe_of(runs), runs[0].about["recipe"]["name"]
        for field, value in recipe.reduced_from:
            label = {"side": "image side, pixels", "copies": "training images a sample"}.get(
                field, field.replace("_", " ")
            )
            rows.setdefault(f"{label}, {name}", (f"{getattr(recipe, field):,}", f"{value:,}"))
        if not is_pretrained_as_printed(runs[0]):
            rows[f"starting weights, {name}"] = ("random", "ImageNet")
        if recipe.paper == PAPER and len(runs) != PRINTED_RUNS:
            rows[f"runs, {name}"] = (str(len(runs)), str(PRINTED_RUNS))
    return rows


def forbids(runs_by_network: Mapping[str, Sequence[Run]]) -> str:
    """Say which conclusions the substitutions rule out."""
    reduced = [
        recipe_of(runs).name
        for runs in runs_by_network.values()
        if recipe_of(runs).reduced_from or not is_pretrained_as_printed(runs[0])
    ]
    if not reduced:
        return "With fewer runs than printed, an average is judged with the interval that its own runs give."
    return (
        f"Do not compare the accuracy of {listed(reduced)} on this page with the paper's, or with that of networks "
        "trained at other sizes."
    )


def name_with_variant(recipe: Recipe) -> str:
    """Name a network, with what sets its recipe apart from the printed one."""
    usual = recipe.variant == RECIPES.get(recipe.network, recipe).variant
    return recipe.name if usual else f"{recipe.name} ({recipe.variant})"


def training_title(recipe: Recipe) -> str:
    """Return the title of the page on training one network."""
    return f"Training: {name_with_variant(recipe)}"


def training_answer(runs: Sequence[Run], majority: float, unit: GroupWord = DONOR) -> dict[str, str]:
    """Fill the answer box of a training page. majority: share of the test images in the commonest training class."""
    recipe = recipe_of(runs)
    confusions = [run.confusion() for run in runs]
    n = int(confusions[0].sum())
    shares = [float(np.trace(each) / each.sum()) for each in confusions]
    above = sum(share > majority for share in shares)
    size = "at published size" if not recipe.reduced_from else f"with images of {recipe.side} pixels"
    if above == len(runs):
        beyond = f"every run does better than naming the commonest class ({percent(majority)})"
    elif above:
        beyond = (
            f"{above} of the {len(runs)} runs do better than naming the commonest class ({percent(majority)})"
        )
    else:
        beyond = f"no run does better than naming the commonest class ({percent(majority)})"
    spread = percent(shares[0]) if len(set(shares)) == 1 else percent_range(min(shares), max(shares))
    return {
        "question": f"How was {name_with_variant(recipe)} trained, and what did it learn?",
        "found": f"Trained {size}, {recipe.name} classifies {spread} of {n} test images correctly; {beyond}.",
        "how_sure": (
            f"The spread is over {counted(len(runs), 'run')} on one split; one test image is "
            f"{percent(1 / n, 1)}. Training and test images can show the same slide."
        ),
        "not_shown": f"What is left when {unit.many} are kept apart: that is on the page on splits by {unit.one}."
        if unit != IMAGE
        else "What is left when images that belong together are kept apart: which these are is not known.",
    }


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
    unit: GroupWord = DONOR,
) -> dict[str, str]:
    """Fill the answer box of the benchmark page."""
    networks = [each for each in answers if each.learns]
    means = {each.name: float(each.right.mean()) for each in networks}
    highest, n = max(means.values()), len(networks[0].truth)
    best = [name for name, mean in means.items() if mean == highest]
    verb = "is" if len(best) == 1 else "are"
    found = f"{listed(best)} {verb} best here with {percent(highest)} of {n} test images correct on average."
    if set(classes) == PAPER_CLASSES:
        both = [two_questions(each.confusions.sum(0), classes) for each in networks]
        als, kinds = (
            [float(np.trace(m) / m.sum()) for m in each if m.sum()] for each in zip(*both, strict=True)
        )
        kind = percent_range(min(kinds), max(kinds)) if kinds else "none"
        found += (
            f" For the question ALS or control, the networks reach {percent_range(min(als), max(als))};"
            f" between the two classes of ALS they get {kind} right."
        )
    at_size = [
        recipe_of(runs).name
        for runs in runs_by_network.values()
        if not recipe_of(runs).reduced_from and recipe_of(runs).paper and is_pretrained_as_printed(runs[0])
    ]
    judged = f"{listed(at_size)} ran at published size and can be judged." if at_size else "No network of the paper ran at published size here."  # fmt: skip
    return {
        "question": "Which of the six networks classifies the images best, and does attention help?",
        "found": found,
        "how_sure": (
            f"One split by image, {n} test images: one image is {percent(1 / n, 1)}, and networks whose "
            f"intervals overlap cannot be ranked. {judged}"
        ),
        "not_shown": f"That the networks recognise the classes in new {unit.many}: images of one {unit.one} can be in "
        "training and test parts."
        if unit != IMAGE
        else "That the networks do as well on other images: images that belong together can be in training and test parts.",
    }


def separation_answer(table: pd.DataFrame, donors: int, unit: GroupWord = DONOR) -> dict[str, str]:
    """Fill the answer box of the page on what separates the classes. table: `separation.separation_table`."""
    over = counted(donors, unit.one, unit.many)
    best = {name: best_by_donor(table, name) for name in (DISEASE, COGNITION, EVERY_CLASS)}
    if best[DISEASE] is None:
        asked = best[EVERY_CLASS]
        if asked is None:
            return _answer_by_image(table, unit)
        return {
            "question": f"What separates the classes in {unit.many} that a classifier has not seen?",
            "found": f"In new {unit.many} the best of the classifiers reaches {percent(asked.score)} (balanced; guessing gives {percent(asked.chance)}).",
            "how_sure": f"95 % interval over {over} {percent_range(asked.low, asked.high)}; permuted labels give {percent(asked.null)}; p {p_value(asked.p_family)} as the best of several classifiers.",
            "not_shown": "What carries the difference: preparation and biology cannot be told apart by classifiers alone.",
        }
    als, cognition = best[DISEASE], best[COGNITION]
    apart = "not shown to be above chance" if cognition.p_family > 0.05 else "above chance"
    return {
        "question": f"Do the images tell ALS from control in new {unit.many}, and do they tell who had impaired cognition?",
        "found": (
            f"ALS against control: yes, {percent(als.score)} in {unit.many} not seen before ({als.name}), where guessing "
            f"gives {percent(als.chance)}. Concordant against discordant, the question about cognition: {apart}, "
            f"{percent(cognition.score)} at best."
            if als.p_family <= 0.05
            else f"ALS against control: not shown, {percent(als.score)} in {unit.many} not seen before. Concordant against "
            f"discordant: {apart}, {percent(cognition.score)} at best."
        ),
        "how_sure": (
            f"Over {over} the 95 % intervals are {percent_range(als.low, als.high)} and "
            f"{percent_range(cognition.low, cognition.high)}; permuted labels give {percent(als.null)} and "
            f"{percent(cognition.null)}. As the best of several classifiers these scores have p "
            f"{p_value(als.p_family)} and {p_value(cognition.p_family)}."
        ),
        "not_shown": f"What carries the difference: section, fixation, scanner and disease differ together in these {unit.many}.",
    }


def _answer_by_image(table: pd.DataFrame, unit: GroupWord) -> dict[str, str]:
    """The answer box where no group can be held out: what folds of images give."""
    rows = table[(table["question"] == EVERY_CLASS) & (table["split"] == BY_IMAGE)]
    best = next(rows.loc[[rows["score"].idxmax()]].itertuples())
    why = f"this cohort has too few {unit.many} to hold any out: each class needs two"
    if unit == IMAGE:
        why = "which images belong together is not known"
    return {
        "question": "What separates the classes in images that a classifier has not seen?",
        "found": f"In held-out images the best of the classifiers, {as_written(best.name)}, reaches "
        f"{percent(best.score)} (balanced; guessing gives {percent(best.chance)}).",
        "how_sure": f"95 % interval {percent_range(best.low, best.high)}; permuted labels give {percent(best.null)}. "
        f"The score may be too high, because {why}.",
        "not_shown": "Anything about images from elsewhere, and what carries the difference.",
    }


def best_by_donor(table: pd.DataFrame, question: str):
    """Return the row with the best score under the split by donor for a question, or None."""
    rows = table[(table["question"] == question) & (table["split"] == BY_DONOR)].dropna(subset="p")
    return next(rows.loc[[rows["score"].idxmax()]].itertuples()) if len(rows) else None


def split_words(table: pd.DataFrame, unit: GroupWord = DONOR) -> str:
    """Say how far the score of all classes moves from folds by image to folds by donor, and what its nulls are."""
    rows = table[table["question"] == EVERY_CLASS]
    by_image, by_donor = (rows[rows["split"] == split] for split in (BY_IMAGE, BY_DONOR))
    if by_donor.empty:
        why = (
            "It is not known which images belong together"
            if unit == IMAGE
            else f"There are too few {unit.many} to hold any out"
        )
        return f"{why}, so only folds of images are shown."
    image = by_image.loc[by_image["score"].idxmax()]
    donor = by_donor.set_index("name").loc[image["name"]]
    return (
        f"With folds of images, {image['name']} reaches {percent(image['score'])}. With the labels permuted over {unit.many}, "
        f"nothing but {unit.many} can be recognised; the same procedure then reaches {percent(image['null'])}. "
        f"With whole {unit.many} held out it reaches {percent(donor['score'])}, and permuted labels "
        f"give {percent(donor['null'])}."
    )


def cue_words(table: pd.DataFrame, unit: GroupWord = DONOR) -> str:
    """Say what is left of each contrast once every cue is removed. table: `separation_table` with a column cue."""
    sentences = []
    for question in (DISEASE, COGNITION):
        rows = table[(table["question"] == question) & (table["cue"] == ALL_CUES)]
        if rows.empty:
            continue
        best = rows.loc[rows["score"].idxmax()]
        sentences.append(
            f"With colour, brightness, contrast and sharpness made equal, {question} still reaches "
            f"{percent(best['score'])} in new {unit.many} ({best['name']}; permuted labels {percent(best['null'])} ± "
            f"{number(100 * best['null_sd'], 0)} points, p {p_value(best['p'])})."
        )
    if not sentences:
        return "The two contrasts need the classes of the study, which this cohort does not have."
    return " ".join(sentences)


def gates_words(difference: float, p: float, unit: str) -> str:
    """Say what the gates change at equal hyper-parameters. difference: of mean accuracies. unit: of the test."""
    points = number(100 * difference, 1, signed=True)
    return (
        f"At equal hyper-parameters the gates change the mean accuracy by {points} percentage points "
        f"(p {p_value(p)}, two-sided, over {unit})."
    )


def paired_words(tests: pd.DataFrame, unit: str) -> str:
    """Say how many of the comparisons the paper draws these test images can carry."""
    small, corrected = (int((tests["p"] < bound).sum()) for bound in (0.05, 0.05 / len(tests)))
    each = f"Of {len(tests)} comparisons, {small or 'none'} {'has' if small == 1 else 'have'} p below 0.05 in the test over {unit}"
    return f"{each}; {corrected or 'none'} {'is' if corrected == 1 else 'are'} below 0.05 divided by their number."


def ahead_of_colour(table: pd.DataFrame, networks: Sequence[str], baseline: str) -> str:
    """Say which networks do better than colour statistics on average. table: `benchmark.accuracy_table`."""
    means = table.set_index("name")["mean"]
    ahead = [name for name in networks if means[name] > means[baseline]]
    if not ahead:
        return "No network does better on average than colour statistics without any picture of the tissue."
    return f"On average {listed(ahead)} {'does' if len(ahead) == 1 else 'do'} better than colour statistics alone."


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
        f"split by image. Of {images} test images they classify {listed(right)} correctly, run by run; the largest class "
        f"has {largest}. A heatmap is only as good as its network."
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
        f"Heat at {layer}, {places[0]} × {places[1]} values, parted by white lines. Each cell shows {RULE}. Below it: number "
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


def lesion_words(means: pd.DataFrame, unit: str) -> str:
    """Say how much heat lies on the lesion of its own image. means: of `heatmaps.lesion_means`."""
    last = means[means["layer"] == "last"].set_index("kind")
    own, others, noise, gap = (last.loc[kind] for kind in ("own", "others", "noise", "difference"))
    if gap["low"] > 0:
        verdict = "more than on the lesions of others"
    elif gap["high"] < 0:
        verdict = "less than on the lesions of others"
    else:
        verdict = "not distinguishable from the lesions of others"
    return (
        f"At the last layer the lesion of an image gets {number(own['mean'])} times the heat of an even map "
        f"({number(own['low'])} to {number(own['high'])}), lesions of other images {number(others['mean'])} times, and with a "
        f"head of noise {number(noise['mean'])} times: {verdict} ({gap['images']} images, {gap['groups']} {unit})."
    )


def heatmap_answer(
    runs: Sequence[Run], predicted: pd.DataFrame, places: tuple[int, int], own: bool = False
) -> dict[str, str]:
    """Fill the answer box of the Grad-CAM page."""
    share = float((predicted["label"] == predicted["predicted"]).mean())
    recipe = recipe_of(runs)
    size = "published size" if not recipe.reduced_from else f"{recipe.side} pixels"
    to = "they point to regions, not to details" if max(places) > 1 else "they point nowhere"
    return {
        "question": f"Where does the network look, and does the heatmap show {'what makes the classes different' if own else 'the disease'}?",
        "found": (
            f"{recipe.name} at {size} classifies {percent(share)} of the test images correctly, and its heatmaps have "
            f"{places[0]} × {places[1]} values: {to}."
        ),
        "how_sure": (
            f"From {counted(len(runs), 'run')} and {predicted['sample'].nunique()} test images that the runs did not train "
            "on; images were chosen by a rule before any map was drawn."
        ),
        "not_shown": "That the heat lies on what makes the classes different: nothing in these images is marked."
        if own
        else "That the heat lies on pathology: the authors' images come without marked lesions.",
    }
