"""Profiles give amounts of a known kind, and refuse what they do not know."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from als_core.book.profile import Profile, load_profile
from als_core.refusal import RefusedInput
from als_core.studies.xia2024.synthetic import TissueParameters


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


def test_the_profiles_of_the_book():
    for name in ("test", "quick", "paper"):
        assert isinstance(load_profile(name).amounts("synthetic_tissue", TissueParameters), TissueParameters)
    assert load_profile("paper").sentence == "" and load_profile("test").sentence
    with pytest.raises(RefusedInput, match="one of paper, quick, test"):
        load_profile("fast")
