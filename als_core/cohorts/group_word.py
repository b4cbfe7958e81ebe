"""The word for the groups of a cohort: donors in the papers' cohorts, a reader's own word elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class GroupWord:
    """A noun and its plural, as sentences, captions and axes use them.

    >>> f"{GroupWord('animal', 'animals').a} of {GroupWord('dish', 'dishes').a}"
    'an animal of a dish'
    """

    one: str
    many: str

    @property
    def a(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.one[0].lower() in 'aeiou' else 'a'} {self.one}"


DONOR = GroupWord("donor", "donors")
CASE = GroupWord("case", "cases")
GROUP = GroupWord("group", "groups")
IMAGE = GroupWord("image", "images")
ENDINGS = {"ies": "y", "ches": "ch", "shes": "sh", "sses": "ss", "xes": "x", "s": ""}
ACCEPTED = "a plural such as patients, or both forms, as in 'mouse, mice'"


class Named(Protocol):
    """A cohort of any kind of data, as far as its words are concerned."""

    kind: str
    about: Mapping[str, str]


def word_of(cohort: Named, of_paper: GroupWord = DONOR) -> GroupWord:
    """What the groups of a cohort are called: the paper's word, a reader's own, or groups where a reader gave none."""
    if cohort.kind != "own":
        return of_paper
    word = cohort.about.get("group_word")
    return read_group_word(word) if word else GROUP


def read_group_word(text: str) -> GroupWord:
    """Read a plural ("patients"), or a noun and its plural ("mouse, mice").

    Raises ValueError for anything else; its message says what is accepted.

    >>> read_group_word("dishes").one, read_group_word("mouse, mice").one
    ('dish', 'mouse')
    """
    words = [word.strip() for word in text.split(",")]
    if not 1 <= len(words) <= 2 or not all(
        re.fullmatch(r"[^\W\d_]+([ -][^\W\d_]+)*", word) for word in words
    ):
        raise ValueError(f"{text!r}, which is no word; expected {ACCEPTED}")
    if len(words) == 2:
        return GroupWord(*words)
    (many,) = words
    ending = next((ending for ending in ENDINGS if many.endswith(ending) and not many.endswith("ss")), None)
    if ending is None or many == ending:
        raise ValueError(f"{text!r}, whose singular is not known; expected {ACCEPTED}")
    return GroupWord(many.removesuffix(ending) + ENDINGS[ending], many)
