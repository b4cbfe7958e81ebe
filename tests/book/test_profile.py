"""Profiles: typed sections with defaults; unknown keys and names are refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from als_core.book.profile import Profile, load_profile
from als_core.refusal import RefusedInput


@dataclass(frozen=True)
class Amounts:
    epochs: int = 5
    side: int | None = None


def test_a_section_is_typed_and_has_its_defaults():
    profile = Profile("x", "", {"study": {"side": 64}})
    assert (
        profile.amounts("study", Amounts) == Amounts(5, 64) and profile.amounts("none", Amounts) == Amounts()
    )


def test_every_wrong_key_is_named():
    profile = Profile("x", "", {"study": {"epochs": "many", "sides": 3}})
    with pytest.raises(RefusedInput) as caught:
        profile.amounts("study", Amounts)
    assert {problem.where for problem in caught.value.problems} == {
        "profiles/x.yml, study.epochs",
        "profiles/x.yml, study.sides",
    }


def test_a_name_that_is_no_profile_is_refused_with_the_known_ones():
    with pytest.raises(RefusedInput, match="one of paper, quick, test"):
        load_profile("fast")
