"""Splits by donor for networks that train, and what their runs say of each donor."""

import numpy as np
import pytest
from toy_training import train

from als_core.cohorts.splits import guard
from als_core.studies.xia2024.by_donor import can_validate, count_predictions, group_votes, splits_by_donor

# 5, 4 and 6 donors of a class, 4 images each
LABELS = np.repeat([0, 1, 2], [20, 16, 24])
GROUPS = np.repeat([f"d{i:02d}" for i in range(15)], 4)


def test_splits_for_networks_test_each_donor_once():
    splits = splits_by_donor(LABELS, GROUPS, np.random.default_rng(0))
    assert len(splits) == 4
    for split in splits:
        guard(split, GROUPS)
        assert all(len(set(LABELS[split.rows(part)])) == 3 for part in ("train", "validation", "test"))
    tested = np.concatenate([split.rows("test") for split in splits])
    assert sorted(tested) == list(range(60))
    assert can_validate(LABELS, GROUPS) and not can_validate(LABELS, None)
    with pytest.raises(ValueError, match="three are needed"):
        splits_by_donor(np.array([0, 0, 1, 1]), np.array(list("abcd")), np.random.default_rng(0))


def test_votes_by_hand():
    labels, groups = np.array([0, 0, 1, 1, 1]), np.array(["a", "a", "b", "b", "c"])
    counts = np.array([[2, 0], [0, 2], [1, 1], [0, 2], [0, 0]])  # c was never held out
    assert group_votes(counts, labels, groups).to_dict("list") == {
        "group": ["a", "b"], "label": [0, 1], "share": [0.5, 0.75], "vote": [-1, 1], "right": [False, True],
    }  # fmt: skip


def test_predictions_are_counted_on_each_run_s_test_part(tmp_path):
    runs = train(tmp_path)
    counts = count_predictions(runs)
    tested = (runs[0].predictions["part"] == "test").to_numpy()
    assert (counts.sum(1) == np.where(tested, len(runs), 0)).all()
    predicted = runs[0].predictions["predicted"].map(list(runs[0].classes).index)
    assert (counts[np.flatnonzero(tested), predicted[tested]] > 0).all()
