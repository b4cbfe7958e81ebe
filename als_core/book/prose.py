"""The prose of a notebook on its page: paragraphs that fit the page's data, in a reader's word for groups.

A notebook is one text for the paper's images and for a reader's. A paragraph that is true of some data only begins with
a comment, which Jupyter does not show:

    <!-- not own -->    left out where the data are a reader's own
    <!-- published -->  left out where the data are not a paper's own
    <!-- groups -->     left out where it is not known which samples belong together

On pages about a reader's own data, the paper's word for groups ("donors") becomes the reader's ("dishes").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

from nbformat import NotebookNode

from als_core.cohorts.group_word import CASE, DONOR, GroupWord

MIME = "application/vnd.als.block+json"
"""Type of the output that is a block of a page (`blocks.Block`). Here, because the process that runs a notebook loads
neither pandas nor matplotlib."""
PLACEHOLDER = "%FILES%"
"""In a block, in place of the page's folder of files until the page is rendered."""
ROLE = re.compile(r"\{(?P<name>[a-z:]+)\}`(?P<text>[^`<]*?)\s*(?:<[^>`]*>)?`")
MARK = re.compile(r"<!-- (?P<of>not own|published|groups) -->\n")
WORDS_OF_PAPERS = {"miao2023": CASE}
"""What a study's notebooks call a group, by study; donors in all others."""


@dataclass(frozen=True)
class Data:
    """What prose depends on. own, published: whether the data are a reader's, a paper's. groups: whether groups are known.
    word: for groups.
    """

    own: bool = False
    groups: bool = True
    word: GroupWord = DONOR
    of_paper: GroupWord = DONOR
    published: bool = False

    def holds(self, condition: str) -> bool:
        """Whether a paragraph with this mark is shown."""
        holds = {"not own": not self.own, "published": self.published, "groups": self.groups}
        return holds[condition]

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, for `blocks.Block`."""
        return asdict(self)


def word_of_paper(page: str) -> GroupWord:
    """What the notebook of a page calls a group."""
    return WORDS_OF_PAPERS.get(page.partition("/")[0], DONOR)


def fit_prose(executed: NotebookNode) -> NotebookNode:
    """Copy an executed notebook with prose that fits the data it ran on; empty cells are left out."""
    fitted = deepcopy(executed)
    outputs = [output for cell in fitted.cells for output in cell.get("outputs", [])]
    about = [block["prose"] for each in outputs if (block := each.get("data", {}).get(MIME))]
    data = next((_read(each) for each in about if each), Data())
    for cell in fitted.cells:
        if cell.cell_type == "markdown":
            cell.source = fit_text(cell.source, data)
    fitted.cells = [cell for cell in fitted.cells if cell.source.strip() or cell.cell_type != "markdown"]
    return fitted


def fit_text(text: str, data: Data) -> str:
    """Drop the paragraphs whose mark does not hold and the marks of the others; put the reader's word for the paper's."""
    kept = []
    for paragraph in text.split("\n\n"):
        mark = MARK.match(paragraph)
        if not mark or data.holds(mark["of"]):
            kept.append(paragraph[mark.end() if mark else 0 :])
    shown = "\n\n".join(kept)
    return replace_word(shown, data.of_paper, data.word) if data.own else shown


def replace_word(text: str, old: GroupWord, new: GroupWord) -> str:
    """Put one word for groups in place of another, with its article; parts of names such as `by-donor` stay.

    >>> replace_word("A donor, and donors", DONOR, GroupWord("animal", "animals"))
    'An animal, and animals'
    """
    pattern = rf"(?<![-\w])(?:(?P<article>an?) )?(?P<noun>{old.one}|{old.many})(?![-\w])"

    def other(found: re.Match[str]) -> str:
        noun = new.many if found["noun"].lower() == old.many else new.one
        text = f"{new.a}" if found["article"] else noun
        return text[0].upper() + text[1:] if found[0][0].isupper() else text

    return re.sub(pattern, other, text, flags=re.IGNORECASE)


def plain_roles(text: str) -> str:
    """Replace MyST roles, which only the book resolves, by plain words: a citation by its paper, a formula by LaTeX.

    >>> plain_roles("As {cite:t}`xia2024` and {ref}`the audit <audit-heatmaps>` say, {math}`n_1`.")
    'As Xia 2024 and the audit say, $n_1$.'
    """

    def words(role: re.Match[str]) -> str:
        name, inner = role["name"].partition(":")[0], role["text"]
        if name == "cite":
            return ", ".join(re.sub(r"(\D)(\d)", r"\1 \2", key, count=1).title() for key in inner.split(","))
        if name == "math":
            return f"${inner}$"
        return inner.replace("-", " ") if name in ("ref", "numref") else inner

    return ROLE.sub(words, text)


def _read(content: Mapping[str, Any]) -> Data:
    words = {name: GroupWord(**content[name]) for name in ("word", "of_paper")}
    return Data(content["own"], content["groups"], published=content["published"], **words)
