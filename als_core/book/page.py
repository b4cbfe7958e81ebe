"""Writes a notebook's page: banners, figures, tables, claims with their verdicts, and the page's foot.

    page = Page("xia2024/01_cohort_and_quality", profile, "Xia 2024, Fig. 3 and Table 2")
    page.show(figures.sharpness_by_donor(table), "xia-sharpness-by-donor")
    page.claims({"xia2024.table2.original.size": len(cohort)})
    page.answer(question=..., found=..., how_sure=..., not_shown=...)
    page.provenance()

Works the same under papermill, nbconvert and in plain Jupyter.
"""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import pandas as pd
from IPython import get_ipython
from IPython.display import publish_display_data
from matplotlib.figure import Figure

from als_core.book import blocks
from als_core.book.contents import (
    literals_assigned,
    papermill_command,
    parameters_of,
    references_of,
    source_of,
    unknown_parameters,
    without_home,
)
from als_core.book.profile import load_profile
from als_core.book.prose import Data, word_of_paper
from als_core.claims.claims import record
from als_core.claims.verdicts import Circumstances
from als_core.cohorts.cohort import Cohort
from als_core.cohorts.group_word import GROUP, word_of
from als_core.figures.drawn import Drawn, as_written
from als_core.figures.style import signs_without_font
from als_core.refusal import refuse_if
from als_core.storage import repository

LEFT_OUT = "Left out"  # how the notice of a cohort begins that names samples which no page shows
INJECTED = "# Parameters\n"  # how papermill begins the cell that it adds
RUN_TEXT = "From the root of a checkout in which `make book` or `make test` was run once:"
REPORT_TEXT = (
    "If a number looks wrong, a sentence is unclear or the run fails, open an issue in the repository of this book "
    "and copy these lines into its form."
)
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "matplotlib")


class Page:
    """One page being written. Each method shows one block, in the order of the calls.

    Parameters
    ----------
    name : str
        `study/NN_name`, as the notebook's file is called; with `/model` where one notebook makes several pages.
    profile : str
        How much to compute: `test`, `quick` or `paper`.
    source : str
        What of the paper the page regenerates, e.g. "Xia 2024, Fig. 5".

    Raises
    ------
    RefusedInput
        For an unknown profile, and for parameters of the run that the notebook does not have.
    """

    def __init__(self, name: str, profile: str, source: str = ""):
        _refuse_unknown_parameters(name)
        self.name = name
        self.source = source
        self.profile = load_profile(profile)
        self._cohort: Cohort | None = None
        self._made_of: dict[str, str] = {}
        if self.profile.sentence:
            self._show(blocks.note_block("Sizes and repeats", self.profile.sentence, "note als-profile"))

    def about_cohort(self, cohort: Cohort) -> None:
        """Name the cohort that this page is about; verdicts, captions and provenance follow from it.

        What a reader must know of the cohort is said below the answer box, wherever the notebook calls this.
        """
        self._cohort = cohort
        of_paper = word_of_paper(self.name)
        word = word_of(cohort, of_paper)
        about = Data(
            cohort.kind == "own", cohort.groups is not None, word, of_paper, cohort.kind == "published"
        )
        self._show(blocks.Block("", prose=about.as_json()))
        title = cohort.about.get("title") or cohort.name
        if cohort.kind == "synthetic":
            text = (
                "Every image on this page was drawn by a computer program. It shows how the study's "
                "methods behave on a cohort whose truth is known, and nothing about the disease."
            )
            self._show(blocks.note_block("Synthetic cohort", text, "warning", on_top=True))
        elif cohort.kind == "own":
            text = f"This page shows {as_written(title)}, not the cohort of the paper: no printed number is judged by it."
            left_out = [notice for notice in cohort.notices if notice.startswith(LEFT_OUT)]
            text = " ".join([text, *map(as_written, left_out)])
            self._show(blocks.note_block("Your own cohort", text, "warning", on_top=True))
        if cohort.groups is None:
            text = (
                "The manifest has no `group` column, so it is unknown which images "
                f"{'belong together' if word == GROUP else f'come from one {word.one}'}. "
                "Only splits by image are possible; their accuracy may be too high, and intervals too narrow."
            )
            self._show(blocks.note_block("No groups", text, "warning", on_top=True))
        if boxes := signs_without_font("".join(cohort.classes)):
            text = (
                f"Figures show {boxes} as boxes, because no font on this machine has these characters. Install Noto "
                "Sans CJK, or another font that has them, and make the page again."
            )
            self._show(blocks.note_block("Letters without a font", text, "warning", on_top=True))
        counts = cohort.samples["label"].value_counts().sort_index()
        self._made_of["Data"] = (
            f"{title}: {len(cohort)} samples ({', '.join(f'{n} {c}' for c, n in counts.items())})"
        )
        self._made_of["Data digest"] = cohort.digest
        for key in ("citation", "licence"):
            if cohort.about.get(key):
                self._made_of[f"Data {key}"] = cohort.about[key]

    def made_of(self, **facts: str) -> None:
        """Add facts to the provenance at the page's end (weights, splits, settings)."""
        self._made_of |= {name.replace("_", " ").capitalize(): str(value) for name, value in facts.items()}

    def text(self, text: str) -> None:
        """Show a paragraph of MyST with computed numbers in it."""
        self._show(blocks.text_block(text))

    def title(self, text: str) -> None:
        """Set this page's title in place of the notebook's, where one notebook makes several pages."""
        self._show(blocks.title_block(text))

    def answer(self, *, question: str, found: str, how_sure: str, not_shown: str) -> None:
        """Show the box below the page's title. Call it where the numbers are known; it is shown on top.

        Each text is one or two sentences of MyST in which every number is computed. `found` is also shown on the
        landing page.
        """
        self._show(blocks.answer_block(question, found, how_sure, not_shown))

    def substitutions(self, rows: Mapping[str, tuple[str, str]], forbids: str) -> None:
        """Show, below the box, which data, sizes or weights this page used in place of the paper's.

        rows: setting -> (here, in the paper); rows in which both agree are left out, and nothing is shown where
        all agree. forbids: the conclusions that these substitutions rule out, in one sentence.
        """
        differing = {name: pair for name, pair in rows.items() if pair[0] != pair[1]}
        if differing:
            self._show(blocks.substitutions_block(differing, forbids))

    def show(self, drawn: Drawn, name: str, *, of_cohort: bool = True) -> None:
        """Show a numbered figure with the caption, alternative text and data that its plot function made.

        name: lower-case words joined by hyphens, unique in the book. of_cohort: as in `figure`.
        """
        self.figure(drawn.figure, name, drawn.caption, drawn.alt, drawn.data, of_cohort=of_cohort)

    def html(self, text: str) -> None:
        """Show HTML, e.g. a table that can be filtered; the caller has escaped everything that came from data."""
        self._show(blocks.html_block(text))

    def figure(
        self,
        figure: Figure,
        name: str,
        caption: str,
        alt: str,
        data: pd.DataFrame,
        *,
        of_cohort: bool = True,
    ) -> None:
        """Show a numbered figure with its alternative text, and its data to download.

        of_cohort: whether it shows the page's cohort, whose kind the caption then ends with.
        """
        note = self._data_note() if of_cohort else ""
        self._show(blocks.figure_block(figure, name, f"{caption.strip()}{note}", alt, data))

    def table(self, table: pd.DataFrame, name: str, caption: str, *, of_cohort: bool = True) -> None:
        """Show a numbered table, to download as CSV. of_cohort: as in `figure`; False for the paper's numbers."""
        note = self._data_note() if of_cohort else ""
        self._show(blocks.table_block(table, name, f"{caption.strip()}{note}"))

    def download(self, table: pd.DataFrame, name: str, text: str) -> None:
        """A table to download as CSV and not to read here, such as one row per case and classifier.

        name: lower-case words joined by hyphens, unique in the book. text: what a row is, without a full stop.
        """
        self._show(blocks.download_block(table, name, text))

    def claims(
        self,
        regenerated: Mapping[str, float | None],
        circumstances: Circumstances | Mapping[str, Circumstances] | None = None,
    ) -> None:
        """Judge regenerated values by claim id and show published, regenerated and verdict.

        circumstances: in place of what follows from the page's cohort and profile; by claim id where they differ.
        """
        setting = circumstances or self.circumstances()
        of = {
            "page": self.name,
            "cohort": self._cohort.name if self._cohort else "",
            "profile": self.profile.name,
        }
        settings = setting if isinstance(setting, Mapping) else dict.fromkeys(regenerated, setting)
        rows = [record(claim, value, settings[claim], **of) for claim, value in regenerated.items()]
        if rows:
            self._show(blocks.verdict_block(rows))

    def circumstances(self, **declared: Any) -> Circumstances:
        """Circumstances under which this page regenerates a value; those not declared are taken to differ."""
        return Circumstances(**({"cohort": self._cohort.kind if self._cohort else None} | declared))

    def provenance(self, packages: Sequence[str] = PACKAGES) -> None:
        """Foot of the page, its last blocks: how to run it, how to cite it, where to report, and how it was made."""
        references = references_of(self.name)
        cited = "The companion and the paper:" if len(references) > 1 else "The companion:"
        command = papermill_command(self.name, self._parameters())
        self._show(blocks.code_details_block("Run this page", RUN_TEXT, command, "bash"))
        self._show(blocks.code_details_block("Cite this page", cited, _wrapped(references), "bibtex"))
        self._show(blocks.code_details_block("Report an issue", REPORT_TEXT, self._report(), "text"))
        self._show(blocks.details_block("How this page was made", self._facts(packages)))

    def _facts(self, packages: Sequence[str]) -> dict[str, str]:
        return {
            **({"Regenerates": self.source} if self.source else {}),
            **self._made_of,
            "Profile": self.profile.name,
            "Notebook": source_of(self.name)[0].relative_to(repository()).as_posix(),
            "Python": platform.python_version(),
            "Packages": ", ".join(f"{package} {version(package)}" for package in packages),
        }

    def _report(self) -> str:
        digest = self._made_of.get("Data digest", "none")
        return f"Page: {self.name}\nProfile: {self.profile.name}\nData digest: {digest}\nExpected:\nFound:"

    def _parameters(self) -> dict[str, Any]:
        """Parameters of this run: those of the notebook's parameters cell, as they are set now."""
        shell = get_ipython()
        now = shell.user_ns if shell else {}
        defaults = parameters_of(source_of(self.name)[0]) | source_of(self.name)[1]
        return {name: without_home(now.get(name, default)) for name, default in defaults.items()}

    def _data_note(self) -> str:
        if self._cohort is None or self._cohort.kind == "published":
            return ""
        return " *Synthetic cohort.*" if self._cohort.kind == "synthetic" else " *Own cohort.*"

    def _show(self, block: blocks.Block) -> None:
        publish_display_data(block.bundle())


def _wrapped(references: Sequence[str]) -> str:
    """BibTeX entries with long values broken into lines, which BibTeX reads as one."""
    wrap = partial(textwrap.fill, width=76, subsequent_indent=" " * 8, break_on_hyphens=False)
    return "\n\n".join("\n".join(map(wrap, entry.strip().splitlines())) for entry in references)


def _refuse_unknown_parameters(page: str) -> None:
    """Raise RefusedInput where papermill was given a parameter that the notebook does not have.

    Papermill only logs an unknown name and assigns it in a cell of its own behind the parameters cell, so that the
    run would go on with the default. Both cells are in IPython's history; without papermill the second is absent.
    """
    shell = get_ipython()
    history = shell.user_ns.get("In", []) if shell else []
    for own, injected in pairwise(history):
        if injected.startswith(INJECTED):
            try:
                known, given = literals_assigned(own), literals_assigned(injected)
            except (SyntaxError, ValueError):
                continue  # these are other cells
            refuse_if(f"The parameters of {page}", unknown_parameters(given, known))
