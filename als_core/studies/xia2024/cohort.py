"""Which tissue cohort a book is about: the authors' images, a synthetic stand-in, or the reader's own folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from als_core.book.page import Page
from als_core.cohorts.check import About
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.sources import fetch, local_folder, reachable, sources
from als_core.refusal import Problem, RefusedInput
from als_core.storage import build_if_missing, results_folder
from als_core.studies.xia2024.synthetic import TissueParameters, cohort_key, make_synthetic_tissue

PUBLISHED = "xia2024"
SYNTHETIC = "synthetic"
AUTO = "auto"


@dataclass(frozen=True)
class Choice:
    """A cohort by name, or a folder, and in one sentence why it was taken."""

    cohort: str
    reason: str


def choose(wanted: str = AUTO) -> Choice:
    """Settle what `auto` means: the authors' images where they are at hand or can be fetched, else synthetic.

    A network that did not answer is not asked again until `make data` is run: the choice is kept in the
    results folder, so that a book does not change under its reader.
    """
    if wanted == PUBLISHED:
        return Choice(PUBLISHED, "asked for")
    if wanted == SYNTHETIC:
        return Choice(SYNTHETIC, "asked for")
    if wanted != AUTO:
        return Choice(str(Path(wanted).expanduser().resolve()), "your folder")
    source = sources()[PUBLISHED]
    folder = local_folder(PUBLISHED, source)
    if folder:
        return Choice(PUBLISHED, "the authors' images")
    unanswered = results_folder() / "network_did_not_answer"
    if not unanswered.exists():
        if reachable(source):
            return Choice(PUBLISHED, "the authors' images will be downloaded")
        unanswered.parent.mkdir(parents=True, exist_ok=True)
        unanswered.touch()
    return Choice(
        SYNTHETIC,
        "the authors' images are neither cached nor reachable; `make data` fetches them when you are online",
    )


def open_cohort(cohort: str, synthetic: TissueParameters, seed: int = 0, progress: bool = True) -> Cohort:
    """Load a cohort by name or folder, fetching or making it first where that is needed.

    synthetic: parameters of the synthetic cohort (used only for it). Raises RefusedInput with all
    problems of the input.
    """
    if cohort == PUBLISHED:
        return _open_published(progress)
    if cohort == SYNTHETIC:
        return _open_synthetic(synthetic, seed, progress)
    if cohort == AUTO:
        raise ValueError("`auto` is settled by choose() before a cohort is opened")
    folder = Path(cohort)
    if not folder.is_dir():
        problem = Problem(
            cohort,
            "neither a known cohort nor a folder",
            f"{PUBLISHED}, {SYNTHETIC}, or a folder with manifest.csv",
            "Correct its name or path.",
        )
        raise RefusedInput("The cohort", [problem])
    return Cohort.load(folder)


def open_for_page(page: Page, cohort: str) -> Cohort:
    """Open the tissue cohort of a page at its profile's sizes, and have the page say at its top what it is.

    Raises RefusedInput with all problems of the input.
    """
    opened = open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False)
    page.about_cohort(opened)
    return opened


def _open_published(progress: bool) -> Cohort:
    source = sources()[PUBLISHED]
    folder = local_folder(PUBLISHED, source) or fetch(PUBLISHED, source, progress)
    about = About(
        title=source.title, citation=source.citation, licence=source.licence, label_of=source.label_of
    )
    return Cohort.load(folder, name=PUBLISHED, kind="published", manifest=source.manifest, about=about)


def _open_synthetic(parameters: TissueParameters, seed: int, progress: bool) -> Cohort:
    folder = results_folder() / "cohorts" / f"synthetic-tissue-{cohort_key(parameters, seed)}"
    build_if_missing(folder, lambda: make_synthetic_tissue(folder, parameters, seed=seed, progress=progress))
    about = About(title="Synthetic tissue", label_of="group")
    return Cohort.load(folder, name="synthetic-tissue", kind="synthetic", about=about)


def describe(cohort: Cohort, choice: Choice) -> str:
    """One line for the terminal: which cohort, how many samples, and why it was taken."""
    groups = "no group column" if cohort.groups is None else f"{len(set(cohort.groups))} groups"
    return f"Cohort: {cohort.name}, {len(cohort)} images, {len(cohort.classes)} classes, {groups} ({choice.reason})."
