"""How bad input is refused: every problem at once, each with what was found, expected and to do.

A checker collects `Problem`s and raises one `RefusedInput`; nothing is computed or written before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input.

    where: the file, column or setting it is about, as the reader would name it.
    found, expected: short statements of fact. remedy: what to do about it.
    row: 1-based line of the file (the header is line 1), where there is one.
    check: number of the check that found it (`cohorts.checks`). count: inputs with this problem; `examples`
    names up to three of them where there are several.
    """

    where: str
    found: str
    expected: str
    remedy: str
    row: int | None = None
    check: str = ""
    count: int = 1
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = self.where if self.row is None else f"{self.where}, line {self.row}"
        text = f"{self.check} {place}: found {self.found}; expected {self.expected}. {self.remedy}".lstrip()
        if self.examples:
            text += f" For example: {'; '.join(self.examples)}."
        # what comes from a file may hold a line break, or what a terminal would obey
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


class RefusedInput(ValueError):
    """Input that was refused before any computing, with all its problems."""

    def __init__(self, subject: str, problems: Sequence[Problem]):
        if not problems:
            raise ValueError("a refusal needs at least one problem")
        self.subject = subject
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{subject}: {count} problem{'' if count == 1 else 's'}, nothing was computed."]
        lines += [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        super().__init__("\n".join(lines))

    def __reduce__(self):  # exceptions cross process borders by their constructor's arguments
        return type(self), (self.subject, self.problems)


def refuse_if(subject: str, problems: Iterable[Problem]) -> None:
    """Raise `RefusedInput` when there is at least one problem."""
    found = tuple(problems)
    if found:
        raise RefusedInput(subject, found)
