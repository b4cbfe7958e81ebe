"""Sentences of the page on what separates the classes: its answer box, splits, cues, donors and checks."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.group_word import DONOR, IMAGE, GroupWord
from als_core.figures.drawn import as_written, listed, number, p_value, percent, percent_range
from als_core.refusal import counted
from als_core.studies.xia2024.figures_data import PAPER_CLASSES, marked
from als_core.studies.xia2024.separation import (
    ALL_CUES,
    ALONE,
    BY_DONOR,
    BY_IMAGE,
    COGNITION,
    DISEASE,
    EVERY_CLASS,
)


def separation_answer(
    table: pd.DataFrame,
    units: tuple[int, int],
    unit: GroupWord = DONOR,
    together: str = "",
    kind: str = "published",
    ladder: pd.DataFrame | None = None,
    effect: float = 1.0,
) -> dict[str, str]:
    """Fill the answer box of the page on what separates the classes.

    table: `separation.separation_table`. units: how many donors there are, and how many of them had ALS.
    together: how classes and folders of scans coincide (`scans.coincidence`), where the files name folders.
    kind: of the cohort: what can be said of its tissue depends on it. ladder: `separation_table` with a column cue,
    of images whose cues were removed. effect: of disease, as a synthetic cohort was drawn with (`TissueParameters`).
    """
    best = {name: best_by_donor(table, name) for name in (DISEASE, COGNITION, EVERY_CLASS)}
    if best[DISEASE] is None:
        asked = best[EVERY_CLASS]
        if asked is None:
            return _answer_by_image(table, unit, kind)
        return {
            "question": f"What separates the classes in {unit.many} that a classifier has not seen?",
            "found": f"In new {unit.many} the best of the classifiers reaches {percent(asked.score)} (balanced; guessing gives {percent(asked.chance)}).",
            "how_sure": f"95 % interval over {counted(units[0], unit.one, unit.many)} {percent_range(asked.low, asked.high)}; permuted labels give {percent(asked.null)}; p {p_value(asked.p_family)} as the best of several classifiers.",
            "not_shown": "What carries the difference: classifiers alone cannot separate preparation from biology.",
        }
    als, cognition = best[DISEASE], best[COGNITION]
    if kind == "synthetic":
        found = _found_in_synthetic(als, cognition, units[0], unit, effect)
    else:
        found = _found_in_tissue(
            als, cognition, unit, _other_causes(table, als, together) + _without_cues(ladder)
        )
    return {
        "question": f"Do the images tell ALS from control in new {unit.many}, and do they tell who had impaired cognition?",
        "found": found,
        "how_sure": (
            f"The 95 % intervals, over {units[0]} and {counted(units[1], unit.one, unit.many)}, are {percent_range(als.low, als.high)} "
            f"and {percent_range(cognition.low, cognition.high)}. Each is the best of several classifiers: permuted labels "
            f"reach its score with p {p_value(als.p_family)} and {p_value(cognition.p_family)}.{_alone(table, cognition)}"
        ),
        "not_shown": _not_shown(kind, together),
    }


def _found_in_tissue(als, cognition, unit: GroupWord, causes: str) -> str:
    """Say whether sections differ. causes: what else can be behind a difference of ALS and control, in sentences."""
    guessing = f"(guessing: {percent(als.chance)})"
    if als.p_family <= 0.05:
        said = (
            f"ALS and control sections differ: {_bracketed(als.name)} has a balanced accuracy of {percent(als.score)} in "
            f"{unit.many} not seen before {guessing}.{causes}"
        )
    else:
        said = (
            f"ALS and control sections are not shown to differ: the best balanced accuracy in {unit.many} not seen before "
            f"is {percent(als.score)} {guessing}."
        )
    differ = "are not shown to differ" if cognition.p_family > 0.05 else "differ"
    return (
        f"{said} ALS with and without impaired thinking (concordant and discordant) {differ}: {percent(cognition.score)} at "
        f"best, where guessing gives {percent(cognition.chance)}."
    )


def _found_in_synthetic(als, cognition, donors: int, unit: GroupWord, effect: float) -> str:
    """Say whether classifiers show what was drawn: a sign of disease in every ALS section, or nothing."""
    scored = f"balanced accuracy {percent(als.score)}, p {p_value(als.p_family)}"
    shown, apart = als.p_family <= 0.05, cognition.p_family <= 0.05
    if not effect:
        drawn = "No sign of disease was drawn into these synthetic sections"
        if not (shown or apart):
            return f"{drawn}, and no classifier is above chance in new {unit.many} (best {scored})."
        return f"{drawn}, yet a classifier is above chance in new {unit.many}: a false positive."
    said = "A sign of disease was drawn into every synthetic ALS section and no control."
    if shown:
        said += f" {_bracketed(als.name)} finds it in new {unit.many} ({scored})."
    else:
        said += (
            f" With {donors} {unit.many} these classifiers did not show it (best {scored}): so small a cohort can miss a real "
            "difference."
        )
    separated = "are separated" if apart else "are not shown to differ"
    return (
        f"{said} The two drawn kinds of ALS section {separated}: balanced accuracy {percent(cognition.score)} in new "
        f"{unit.many} (guessing: {percent(cognition.chance)})."
    )


def _not_shown(kind: str, together: str) -> str:
    if kind == "synthetic":
        return "Anything about tissue: these images are synthetic, and what differs between their classes was drawn into them."
    carried = (
        "What carries the difference. Disease, section thickness, fixation and scanning may differ together"
    )
    if kind == "own":
        return f"{carried}."
    names = ", and names folders of scans only" if together else ""
    return f"{carried}; the release describes none of them{names}."


def _answer_by_image(table: pd.DataFrame, unit: GroupWord, kind: str) -> dict[str, str]:
    """The answer box where no group can be held out: what folds of images give."""
    rows = table[(table["question"] == EVERY_CLASS) & (table["split"] == BY_IMAGE)]
    best = next(rows.loc[[rows["score"].idxmax()]].itertuples())
    why = f"this cohort has too few {unit.many} to hold any out: each class needs two"
    if unit == IMAGE:
        why = "which images belong together is not known"
    return {
        "question": "What separates the classes in images that a classifier has not seen?",
        "found": f"In held-out {marked('images', kind)} the best of the classifiers, {as_written(best.name)}, reaches "
        f"{percent(best.score)} (balanced; guessing gives {percent(best.chance)}).",
        "how_sure": f"95 % interval {percent_range(best.low, best.high)}; permuted labels give {percent(best.null)}. "
        f"The score may be too high, because {why}.",
        "not_shown": "Anything about images from elsewhere, and what carries the difference.",
    }


def units_by_question(cohort: Cohort) -> tuple[int, int]:
    """Count the donors of a cohort, and those among them who are no controls."""
    if cohort.groups is None:
        return 0, 0
    patients = cohort.groups[(cohort.samples["label"] != "control").to_numpy()]
    return len(set(cohort.groups)), len(set(patients))


def _other_causes(table: pd.DataFrame, best, together: str) -> str:
    """Say what else tells ALS from control in new donors: the best single measure of quality, and the folder of scans."""
    rows = table[(table["question"] == DISEASE) & (table["split"] == BY_DONOR)]
    rows = rows[rows["name"].str.endswith(ALONE)]
    causes = []
    if len(rows) and rows["score"].max() < best.score:
        top = rows.loc[rows["score"].idxmax()]
        causes.append(f"{top['name'].lower()} gets {percent(top['score'])}")
    if together:
        causes.append(f"one folder of slide scans holds {together}")
    return f" But {listed(causes)}: this need not be the disease." if causes else ""


def _without_cues(ladder: pd.DataFrame | None) -> str:
    """Say what is left of ALS against control once every cue is removed, where that is more than chance."""
    if ladder is None:
        return ""
    rows = ladder[(ladder["question"] == DISEASE) & (ladder["cue"] == ALL_CUES)]
    best = rows.loc[rows["score"].idxmax()]
    if best["p"] > 0.05:
        return ""
    return (
        f" With colour, brightness, contrast and sharpness made equal, {percent(best['score'])} remain, so these alone do "
        "not explain it."
    )


def _alone(table: pd.DataFrame, best) -> str:
    """Name the classifiers that are above chance in a contrast when taken alone, where the best of all is not."""
    rows = table[(table["question"] == best.question) & (table["split"] == BY_DONOR)].dropna(subset="p")
    below = rows[rows["p"] <= 0.05]
    if best.p_family <= 0.05 or below.empty:
        return ""
    each = listed(f"{_bracketed(row.name)} has p {p_value(row.p)}" for row in below.itertuples())
    return f" Taken alone, {each} for {best.question}; among {len(rows)} classifiers that can be chance."


def _bracketed(name: str) -> str:
    return name.replace(", frozen", " (frozen)")


def patient_votes(
    votes: pd.DataFrame, classes: Sequence[str], unit: GroupWord = DONOR, kind: str = "published"
) -> str:
    """Say how many patients each classifier's vote gets right among three classes; empty for other classes.

    votes: of `figures_separation.donor_votes`. kind: of the cohort.
    """
    if set(classes) != PAPER_CLASSES:
        return ""
    patients = votes[votes["label"] != list(classes).index("control")]
    right = patients.groupby("name", sort=False)["right"].agg(["sum", "size"]).sort_values("sum")
    (*others, (most, n)), best = right.itertuples(index=False, name=None), right.index[-1]
    donors = f"{marked(unit.many, kind)} with ALS"
    said = f"By votes over three classes, {_bracketed(best)} gets {most} of {n} {donors} right"
    if not others:
        return f"{said}."
    low, high = others[0][0], others[-1][0]
    rest = f"{low}" if low == high else f"{low} to {high}"
    return f"{said}, the other classifiers {rest}. The best of {len(right)} can be so by chance."


def best_by_donor(table: pd.DataFrame, question: str):
    """Return the row with the best score under the split by donor for a question, or None."""
    rows = table[(table["question"] == question) & (table["split"] == BY_DONOR)].dropna(subset="p")
    return next(rows.loc[[rows["score"].idxmax()]].itertuples()) if len(rows) else None


def scores_caption(permutations: int, unit: GroupWord = DONOR) -> str:
    """Caption of the table of all scores."""
    return (
        f"Balanced accuracy, its interval over {unit.many}, and the null, for every question and split. "
        f"{permutations} permutations allow no p below {p_value(1 / (1 + permutations))}."
    )


def missed_by_all(votes: pd.DataFrame, classes: Sequence[str], unit: GroupWord = DONOR) -> str:
    """Name the donors that no classifier's vote gets right. votes: of `figures_separation.donor_votes`."""
    right = votes.groupby("group")["right"].any()
    labels = votes.drop_duplicates("group").set_index("group")["label"]
    missed = [f"{as_written(group)} ({as_written(classes[labels[group]])})" for group in right.index[~right]]
    if not missed:
        return f"Each {unit.one} is classified correctly by at least one of the classifiers."
    return f"No classifier gets {listed(missed, 'or')} right."


def recognition_words(recognised: pd.DataFrame, empty: pd.DataFrame) -> str:
    """Say how well donors or slides are recognised, and whether anything is found where nothing is.

    recognised: of `separation.recognition_table`. empty: `separation.separation_table` of tissue without disease.
    """
    said = []
    if len(recognised):
        best = recognised.loc[recognised["share"].idxmax()]
        said.append(
            f"{_bracketed(best['name'])} names the {best['unit']} in {percent(best['share'])} of images (guessing "
            f"{percent(1 / best['units'])}): a split that leaves images of one {best['unit']} on both sides can be answered "
            "by recognising it."
        )
    found = empty[(empty["split"] == BY_DONOR) & (empty["question"] == EVERY_CLASS)]
    above = found.loc[found["p_family"] <= 0.05, "name"]
    drawn = "On synthetic tissue without a disease effect"
    if len(found):
        said.append(
            f"{drawn} no classifier is above its null when donors are held out."
            if above.empty
            else f"{drawn} {listed(above)} is above its null when donors are held out: by chance, or by a leak."
        )
    return " ".join(said)


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
        f"With folds of images, {_bracketed(image['name'])} reaches {percent(image['score'])}. With the labels permuted over {unit.many}, "
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
        verdict = "is above chance" if best["p"] <= 0.05 else "is not shown to be above chance"
        sentences.append(
            f"With colour, brightness, contrast and sharpness made equal, {question} {verdict}: {percent(best['score'])} in "
            f"new {unit.many} ({best['name']}; permuted labels {percent(best['null'])} ± {number(100 * best['null_sd'], 0)} "
            f"points, p {p_value(best['p'])})."
        )
    if not sentences:
        return "The two contrasts need the classes of the study, which this cohort does not have."
    return " ".join(sentences)
