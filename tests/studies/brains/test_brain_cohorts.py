"""Synthetic brains as a cohort by name, made once; and the slides' fixed split."""

from __future__ import annotations

import numpy as np
import pytest

from als_core.cohorts.splits import guard
from als_core.refusal import RefusedInput
from als_core.studies.brains import cohorts as brain_cohorts
from als_core.studies.brains.cohorts import open_synthetic_brains, published_split
from als_core.studies.brains.synthetic import BrainParameters, plan, render

QUICK = BrainParameters(structure="panagiotaras-3T", fraction=0.1)


def test_a_synthetic_cohort_is_made_once_and_prepared_in_place(monkeypatch):
    cohort = open_synthetic_brains(QUICK, progress=False)
    assert cohort.kind == "synthetic" and cohort.about["title"].startswith("Synthetic brains")
    rendered = render(QUICK, plan(QUICK).iloc[2])
    prepared = cohort.volume(2)
    assert np.corrcoef(prepared[prepared != 0], rendered[prepared != 0])[0, 1] > 0.9999
    monkeypatch.setattr(brain_cohorts, "make_brains", None)  # a second opening makes nothing
    assert open_synthetic_brains(QUICK, progress=False).digest == cohort.digest


def test_the_published_split_keeps_patients_apart_and_its_shares():
    cohort = open_synthetic_brains(BrainParameters(structure="panagiotaras-3T", fraction=0.2), progress=False)
    split = guard(published_split(cohort), cohort.groups, cohort.twins)
    assert set(split.parts) == {"train", "validation"}
    # 73 training and 107 validation scans in the slides' table for 3T: more validation than training
    assert len(split.rows("validation")) > len(split.rows("train"))
    other = open_synthetic_brains(BrainParameters(structure="turrisi2024", fraction=0.02), progress=False)
    with pytest.raises(RefusedInput, match="split by group"):
        published_split(other)
