"""What a notebook writes its page with: banners, figures, tables, claims with their verdicts, provenance."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd
from IPython.display import publish_display_data
from matplotlib.figure import Figure

from als_core.book import blocks
from als_core.book.contents import source_of
from als_core.book.profile import load_profile
from als_core.claims.claims import record
from als_core.claims.verdicts import Circumstances
from als_core.cohorts.cohort import Cohort
from als_core.figures.drawn import Drawn
from als_core.storage import repository

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "matplotlib")


class Page:
    """One page being written. Each method shows one block, in the order of the calls.

    name: `study/NN_name`, the notebook's own. profile: how much to compute. source: what of the paper
    the page regenerates, e.g. "Xia 2024, Fig. 5".
    """

    def __init__(self, name: str, profile: str, source: str = ""):
        self.name = name
        self.source = source
        self.profile = load_profile(profile)
        self._cohort: Cohort | None = None
        self._made_of: dict[str, str] = {}
        if self.profile.sentence:
            self._show(blocks.note_block("Amounts", self.profile.sentence, "note als-profile"))

    def about_cohort(self, cohort: Cohort) -> None:
        """Name the cohort this page is about: verdicts, captions and provenance follow from it."""
        self._cohort = cohort
        title = blocks.cell_text(cohort.about.get("title") or cohort.name)
        if cohort.kind == "synthetic":
            text = (
                "Every image on this page was drawn by a computer program. It shows how the study's "
                "methods behave on a cohort whose truth is known, and nothing about the disease."
            )
            self._show(blocks.note_block("Synthetic cohort", text, "warning"))
        elif cohort.kind == "own":
            text = f"This page shows {title}, not the paper's data: no number of the paper is judged by it."
            self._show(blocks.note_block("Your own cohort", text, "warning"))
        if cohort.groups is None:
            text = (
                "The manifest has no `group` column, so it is not known which images come from one donor. "
                "Only splits by image are possible; accuracy under them may be too high, and intervals too narrow."
            )
            self._show(blocks.note_block("No groups", text, "warning"))
        counts = cohort.samples["label"].value_counts().sort_index()
        self._made_of["Data"] = (
            f"{title}: {len(cohort)} images ({', '.join(f'{n} {c}' for c, n in counts.items())})"
        )
        self._made_of["Data digest"] = cohort.digest
        for key in ("citation", "licence"):
            if cohort.about.get(key):
                self._made_of[f"Data {key}"] = cohort.about[key]

    def made_of(self, **facts: str) -> None:
        """Add facts to the provenance at the page's end (weights, splits, settings)."""
        self._made_of |= {name.replace("_", " ").capitalize(): str(value) for name, value in facts.items()}

    def text(self, text: str) -> None:
        """A paragraph of MyST with computed numbers in it."""
        self._show(blocks.text_block(text))

    def title(self, text: str) -> None:
        """This page's title, in place of the notebook's, where one notebook makes several pages."""
        self._show(blocks.title_block(text))

    def headline(self, text: str) -> None:
        """The one thing to know from this page, in plain text; the landing page shows it too."""
        self._show(blocks.headline_block(text))

    def answer(self, *, question: str, found: str, how_sure: str, not_shown: str) -> None:
        """The box below the page's title. Call it where the numbers are known; it is shown on top.

        Each text is one or two sentences of MyST in which every number is computed. `found` is what the
        landing page says of this page.
        """
        self._show(blocks.answer_block(question, found, how_sure, not_shown))

    def substitutions(self, rows: Mapping[str, tuple[str, str]], forbids: str) -> None:
        """Show, below the box, what this page used in place of what the paper used.

        rows: setting -> (here, in the paper); rows in which both agree are left out, and nothing is shown where
        all agree. forbids: the conclusions that these substitutions rule out, in one sentence.
        """
        differing = {name: pair for name, pair in rows.items() if pair[0] != pair[1]}
        if differing:
            self._show(blocks.substitutions_block(differing, forbids))

    def show(self, drawn: Drawn, name: str, *, of_cohort: bool = True) -> None:
        """A numbered figure with the caption, alternative text and data that its plot function made.

        name: lower-case words joined by hyphens, unique in the book. of_cohort: as in `figure`.
        """
        self.figure(drawn.figure, name, drawn.caption, drawn.alt, drawn.data, of_cohort=of_cohort)

    def html(self, text: str) -> None:
        """HTML of our own making (a table that can be filtered, say); what came from data is escaped already."""
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
        """A numbered figure, its alternative text, and the data behind it to download.

        of_cohort: whether it shows the page's cohort, whose kind the caption then ends with.
        """
        note = self._data_note() if of_cohort else ""
        self._show(blocks.figure_block(figure, name, f"{caption.strip()}{note}", alt, data))

    def table(self, table: pd.DataFrame, name: str, caption: str, *, of_cohort: bool = True) -> None:
        """A numbered table, to download as CSV. of_cohort: as in `figure`; False for what is only printed."""
        note = self._data_note() if of_cohort else ""
        self._show(blocks.table_block(table, name, f"{caption.strip()}{note}"))

    def download(self, table: pd.DataFrame, name: str, text: str) -> None:
        """A table to download as CSV and not to read here, such as one row per case and classifier.

        name: lower-case words joined by hyphens, unique in the book. text: what a row is, without a full stop.
        """
        self._show(blocks.download_block(table, name, text))

    def claims(
        self, regenerated: Mapping[str, float | None], circumstances: Circumstances | None = None
    ) -> None:
        """Judge regenerated values by claim id and show published, regenerated and verdict.

        circumstances: in place of what follows from the page's cohort and profile.
        """
        setting = circumstances or self.circumstances()
        of = {
            "page": self.name,
            "cohort": self._cohort.name if self._cohort else "",
            "profile": self.profile.name,
        }
        rows = [record(claim, value, setting, **of) for claim, value in regenerated.items()]
        if rows:
            self._show(blocks.verdict_block(rows))

    def circumstances(self, **declared: Any) -> Circumstances:
        """Under which circumstances this page regenerates a value; what is not declared is taken to differ."""
        return Circumstances(**({"cohort": self._cohort.kind if self._cohort else None} | declared))

    def provenance(self, packages: Sequence[str] = PACKAGES) -> None:
        """How the page was made: data, settings, versions. The last block of every page."""
        rows = {
            **({"Regenerates": self.source} if self.source else {}),
            **self._made_of,
            "Profile": self.profile.name,
            "Notebook": source_of(self.name)[0].relative_to(repository()).as_posix(),
            "Python": platform.python_version(),
            "Packages": ", ".join(f"{package} {version(package)}" for package in packages),
        }
        self._show(blocks.details_block("How this page was made", rows))

    def _data_note(self) -> str:
        if self._cohort is None or self._cohort.kind == "published":
            return ""
        return " *Synthetic cohort.*" if self._cohort.kind == "synthetic" else " *Own cohort.*"

    def _show(self, block: blocks.Block) -> None:
        publish_display_data(block.bundle())
