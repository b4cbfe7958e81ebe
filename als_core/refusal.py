"""Refusals of bad input: all problems at once, each with the value found, the values accepted and a remedy.

A checker collects `Problem`s and raises one `RefusedInput`, before anything is computed or written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def counted(count: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: "1 donor", "15 donors"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input.

    where : str
        File, column or setting, as the reader would name it.
    found, expected : str
        Short statements of fact.
    remedy : str
        What to do about it, as a sentence.
    row : int, optional
        1-based line of the file (the header is line 1).
    check : str
        Number of the check that found it (`cohorts.checks`).
    count : int
        Inputs with this problem; `examples` names up to three of them.
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
        # text from a file may hold line breaks or control sequences of a terminal
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


class RefusedInput(ValueError):
    """Input that was refused before anything was computed, with all its problems."""

    def __init__(self, subject: str, problems: Sequence[Problem]):
        if not problems:
            raise ValueError("a refusal needs at least one problem")
        self.subject = subject
        self.problems = tuple(problems)
        lines = [f"{subject}: {counted(len(self.problems), 'problem')}, nothing was computed."]
        lines += [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        super().__init__("\n".join(lines))

    def __reduce__(self):  # pickle passes an exception's constructor arguments to another process
        return type(self), (self.subject, self.problems)


def refuse_if(subject: str, problems: Iterable[Problem]) -> None:
    """Raise `RefusedInput` when there is at least one problem."""
    listed = tuple(problems)
    if listed:
        raise RefusedInput(subject, listed)
