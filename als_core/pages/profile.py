"""Profiles: how much to compute, never what is right. Read from `profiles/<name>.yml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
import yaml

from als_core.refusal import Problem, RefusedInput
from als_core.storage import repository


class Profile(pydantic.BaseModel):
    """Amounts of one profile; each study's section is read by its own pages.

    sentence: what a page of this profile says of its amounts; empty for `paper`, which has nothing to excuse.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: str
    sentence: str
    synthetic_tissue: dict[str, Any]


def profile_path(name: str) -> Path:
    """The file of a profile."""
    return repository() / "profiles" / f"{name}.yml"


def load_profile(name: str) -> Profile:
    """Read a profile. Raises RefusedInput where there is none of that name, or its keys are wrong."""
    path = profile_path(name)
    if not path.is_file():
        known = ", ".join(sorted(entry.stem for entry in path.parent.glob("*.yml")))
        raise RefusedInput(
            "The profile", [Problem(name, "no such profile", f"one of {known}", "Choose one of them.")]
        )
    try:
        return Profile(name=name, **yaml.safe_load(path.read_text(encoding="utf-8")))
    except pydantic.ValidationError as error:
        raise RefusedInput(
            f"The profile {name}",
            [
                Problem(
                    f"profiles/{name}.yml, {'.'.join(map(str, e['loc']))}",
                    e["msg"],
                    "a known key",
                    "Correct it.",
                )
                for e in error.errors()
            ],
        ) from error
