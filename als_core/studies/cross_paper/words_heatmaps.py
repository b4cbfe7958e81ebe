"""The computed sentences of the page that compares heatmap methods where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from als_core.explain.methods import METHODS
from als_core.explain.sanity import Limits
from als_core.figures.drawn import listed, percent
from als_core.refusal import counted
from als_core.studies.brains.words import drawn_effect
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts, Subjects
from als_core.studies.cross_paper.leaderboard import CONTROLS, NULLS, SCORE

OWNERS = {"Brains": "patient", "Tissue": "donor"}
FORBIDS = "Do not carry this ranking over to real scans or slides: effects here are drawn by a program."


def board_caption(checks: Mapping[str, pd.DataFrame]) -> str:
    """Caption of the leaderboard, with how many random maps make a method fail. checks: by modality."""
    totals = {name: int(table["random_maps"].iloc[0]) for name, table in checks.items()}
    fewest = {
        name: next(n for n in range(total + 1) if n / total > Limits.random) for name, total in totals.items()
    }
    fails = listed(f"{fewest[name]} or more of {total} ({name.lower()})" for name, total in totals.items())
    return (
        "Every method on brains and on tissue, highest overlap first, with its nulls and two sanity checks. Overlap: "
        "Dice area with its 95 % interval over patients or donors. Limits, set before looking: likeness (Spearman "
        f"correlation) {Limits.similarity}, share of random maps as faithful {Limits.random}; here a method fails "
        f"with {fails}."
    )


def passing(marks: pd.DataFrame) -> list[str]:
    """Name the methods without a failed check. marks: from `leaderboard.marks`."""
    return [name for name in METHODS if name in marks.index and (marks.loc[name] != "fail").all()]


def answer(
    marks: Mapping[str, pd.DataFrame], sets: Mapping[str, Subjects], tissue: pd.DataFrame, checked: int
) -> dict[str, str]:
    """Answer which methods pass every check.

    tissue: scores on tissue, of `leaderboard.method_scores`. checked: images of a modality that sanity checks use, at
    most.
    """
    counts = [
        f"{counted(len(each.images), 'image')} of {counted(len(set(each.groups)), OWNERS[name])} ({name.lower()})"
        for name, each in sets.items()
    ]
    return {
        "question": "Which heatmap methods pass the checks that an edge filter and a random map must fail?",
        "found": f"{passing_everywhere(marks)} {passing_by_data(marks)} {edge_sentence(tissue)}",
        "how_sure": f"The overlap rests on {listed(counts)}, with one network each; the sanity checks use at most "
        f"{counted(checked, 'image')} of each kind. A method that fails here may pass with more images, and the reverse.",
        "not_shown": "How the methods rank on real patients. A method that passes can still mislead there, where "
        "nobody knows which places a network used.",
    }


def passing_everywhere(marks: Mapping[str, pd.DataFrame]) -> str:
    """Say which methods pass every check on each modality."""
    everywhere = [name for name in METHODS if all(name in passing(table) for table in marks.values())]
    if not everywhere:
        return f"No method passes every check on {listed(name.lower() for name in marks)} alike."
    names = "; ".join(METHODS[name].title for name in everywhere)
    verb = "passes" if len(everywhere) == 1 else "pass"
    return f"On {listed(name.lower() for name in marks)} alike, {names} {verb} every check."


def passing_by_data(marks: Mapping[str, pd.DataFrame]) -> str:
    """Say how many of the methods tried on each modality pass every check, and which."""
    parts = []
    for name, table in marks.items():
        good, tried = passing(table), len(table.index.intersection(list(METHODS)))
        named = f" ({'; '.join(METHODS[each].title for each in good)})" if good else ""
        verb = "passes" if len(good) == 1 else "pass"
        parts.append(f"on synthetic {name.lower()} {len(good)} of {tried} methods {verb} every check{named}")
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def edge_sentence(tissue: pd.DataFrame) -> str:
    """Compare the overlap of an edge filter on tissue with that of the best method there."""
    own = tissue[tissue["score"] == SCORE].set_index("method")["mean"]
    best = own.drop(list(CONTROLS)).idxmax()
    edges, highest = f"{own['edges']:.2f}", f"{own[best]:.2f}"
    than = "as much as" if edges == highest else "more than" if own["edges"] > own[best] else "less than"
    return (
        f"An edge filter that never saw the network overlaps with the lesions of tissue by {edges}, {than} the best "
        f"method ({METHODS[best].title}, {highest})."
    )


def substitutions(amounts: HeatmapAmounts) -> tuple[dict[str, tuple[str, str]], str]:
    """List what was used here in place of the papers' data, setting -> (here, papers); and what that forbids."""
    tissue = amounts.tissue
    return {
        "Images": ("synthetic brains and tissue", "MRI scans and stained tissue"),
        "Effect of the disease in brains": (drawn_effect(amounts.effect), "that of the disease"),
        "Effect of the disease in tissue": (f"{tissue.disease_effect:g} (drawn)", "that of the disease"),
        "Resolution": (f"{amounts.resolution} mm; {amounts.training.side} pixels", "differs by paper"),
        "Images explained": (f"at most {amounts.tried} of each kind", "differs by paper"),
    }, FORBIDS


def evaluation_set(name: str, images: Subjects) -> str:
    """Say how accurate the network of a modality is, and what is explained."""
    within, place = images.within, "the image" if images.within is None else "the brain"
    shares = [(truth if within is None else truth[within]).mean() for truth in images.truths]
    return (
        f"**{name}.** The network names {percent(images.accuracy)} of {counted(images.tested, 'held-out image')} "
        f"correctly (commonest label {percent(images.largest)}). {counted(len(images.images), 'image')} of "
        f"{counted(len(set(images.groups)), OWNERS[name])} enter the comparison; the truth covers "
        f"{percent(sum(shares) / len(shares))} of {place} on average."
    )


def modality_result(name: str, scores: pd.DataFrame, marks: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Say which overlap is highest, which methods do not beat a null, and which pass everything."""
    own = scores[scores["score"] == SCORE].set_index("method")["mean"]
    leader = own.drop(list(CONTROLS)).idxmax()
    at_null = [titles[m] for m in METHODS if m in own and (marks.loc[m, list(NULLS)] == "fail").any()]
    nulls = f"Not above all nulls: {'; '.join(at_null)}." if at_null else "Every method beats all its nulls."
    return (
        f"**{name}.** The best overlap of a method is {own[leader]:.2f} ({titles[leader]}); an edge filter has "
        f"{own['edges']:.2f}. {nulls} {passing_sentence(passing(marks), titles)}"
    )


def passing_sentence(names: Sequence[str], titles: Mapping[str, str]) -> str:
    """Say which methods pass every check."""
    return f"Passing every check: {'; '.join(titles[name] for name in names) if names else 'none'}."
