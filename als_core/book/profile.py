"""Profiles: sizes and repeats of the computations, read from `profiles/<name>.yml`; never a rule or a result."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import read_yaml, repository

Amounts = TypeVar("Amounts")


@dataclass(frozen=True)
class Profile:
    """Sizes and repeats of one profile.

    sentence : str
        Shown at the top of each page; empty for `paper`, which has the published sizes.
    sections : dict
        Name -> settings of one study or generator, read by the pages that use them.
    """

    name: str
    sentence: str
    sections: dict[str, dict[str, Any]]

    def amounts(self, section: str, kind: type[Amounts]) -> Amounts:
        """Read a section as a dataclass `kind`; a missing section has its defaults.

        Raises RefusedInput naming every key or value that does not fit.
        """
        given = self.sections.get(section, {})
        known = [field.name for field in fields(kind)]
        problems = [
            ((name,), "an unknown key", f"one of {', '.join(known)}") for name in given if name not in known
        ]
        try:
            amounts = pydantic.TypeAdapter(kind).validate_python(
                {k: v for k, v in given.items() if k in known}
            )
        except pydantic.ValidationError as error:
            problems += [
                (found["loc"], found["msg"], f"amounts of {kind.__name__}") for found in error.errors()
            ]
        refuse_if(
            f"The profile {self.name}",
            (
                Problem(
                    f"profiles/{self.name}.yml, {'.'.join(map(str, (section, *place)))}",
                    found,
                    expected,
                    "Correct it.",
                )
                for place, found, expected in problems
            ),
        )
        return amounts


def profile_path(name: str) -> Path:
    """File of a profile."""
    return repository() / "profiles" / f"{name}.yml"


def load_profile(name: str) -> Profile:
    """Read a profile. Raises RefusedInput where there is none of that name, or it is no mapping of sections."""
    path = profile_path(name)
    if not path.is_file():
        known = ", ".join(sorted(entry.stem for entry in path.parent.glob("*.yml")))
        problem = Problem(name, "no such profile", f"one of {known}", "Choose one of them.")
        raise RefusedInput("The profile", [problem])
    content = read_yaml(path) or {}
    sentence = content.pop("sentence", "")
    wrong = [key for key, value in content.items() if not isinstance(value, dict)]
    if wrong:
        problem = Problem(
            f"profiles/{name}.yml", f"{', '.join(wrong)} with one value", "sections", "Indent it."
        )
        raise RefusedInput("The profile", [problem])
    return Profile(name, sentence, content)
