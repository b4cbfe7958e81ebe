"""The null-check harness: the rules for a shift, by hand, and what a seeded null distribution does to them."""

import numpy as np
import pandas as pd
import pytest

from als_core.statistics.null_check import check_directions, replay


def scores(**shifts: list[float]) -> pd.DataFrame:
    reference = np.array([0.40, 0.50, 0.45, 0.55])
    return pd.DataFrame({"honest": reference} | {name: reference + shift for name, shift in shifts.items()})


def test_a_shift_and_its_standard_error_by_hand():
    (row,) = check_directions(scores(leak=[0.1, 0.2, 0.1, 0.2]), {"leak": "up"}, "honest").to_dict("records")
    assert row["reference"] == pytest.approx(0.475) and row["score"] == pytest.approx(0.625)
    assert row["shift"] == pytest.approx(0.15)
    assert row["error"] == pytest.approx(np.std([0.1, 0.2, 0.1, 0.2], ddof=1) / 2)
    assert row["in_errors"] == pytest.approx(row["shift"] / row["error"])
    assert row["cohorts"] == 4 and row["holds"]


@pytest.mark.parametrize(
    ("shift", "direction", "holds"),
    [
        # the standard error of -1, 1, -1, 1 is 1 / sqrt(3); twice it is 1.15, three times it 1.73
        (1.2, "up", True),
        (1.1, "up", False),
        (-1.2, "up", False),
        (1.7, "none", True),
        (-1.7, "none", True),
        (1.8, "none", False),
        (0.0, "mirrored", False),
    ],
)
def test_up_needs_two_standard_errors_and_none_allows_three(shift, direction, holds):
    moved = scores(leak=np.array([-1.0, 1.0, -1.0, 1.0]) + shift)
    assert check_directions(moved, {"leak": direction}, "honest")["holds"].tolist() == [holds]


def test_mirrored_needs_every_score_to_be_one_minus_the_reference():
    table = scores().assign(turned=lambda t: 1 - t["honest"])
    assert check_directions(table, {"turned": "mirrored"}, "honest")["holds"].all()
    table.loc[2, "turned"] += 0.001
    assert not check_directions(table, {"turned": "mirrored"}, "honest")["holds"].any()


def test_equal_scores_do_not_move_up_and_do_move_none():
    same = scores(same=[0.0] * 4)
    table = check_directions(same, {"same": "none"}, "honest")
    assert table["holds"].all() and np.isnan(table["in_errors"]).all()
    assert not check_directions(same, {"same": "up"}, "honest")["holds"].any()


def test_what_does_not_apply_has_no_numbers_and_needs_no_column():
    table = check_directions(scores(leak=[0.1] * 4), {"absent": "not applicable", "leak": "none"}, "honest")
    assert table["procedure"].tolist() == ["absent", "leak"]
    assert table.iloc[0, 2:].isna().all() and table.iloc[1, 2:-2].notna().all()


def test_one_cohort_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        check_directions(scores(leak=[0.1] * 4).head(1), {"leak": "up"}, "honest")


def test_none_holds_for_nearly_all_seeded_nulls_and_up_for_few():
    """Three standard errors over 50 cohorts: about 0.4 % of nulls are outside; two, one-sided: about 2.5 %."""
    rng = np.random.default_rng(0)
    results = {"none": [], "up": []}
    for _ in range(300):
        table = pd.DataFrame(rng.normal(0.5, 0.1, (50, 2)), columns=["honest", "other"])
        for direction, held in results.items():
            held.append(check_directions(table, {"other": direction}, "honest")["holds"].item())
    assert np.mean(results["none"]) > 0.98 and np.mean(results["up"]) < 0.07


def two_rows(cohort: int, width: int) -> list[dict]:
    return [{"cohort": cohort, "procedure": name, "auc": cohort / width} for name in ("honest", "leak")]


def test_replay_keeps_the_order_of_the_tasks_with_any_number_of_processes():
    tasks = [(number, 10) for number in range(5)]
    one, two = (replay(two_rows, tasks, jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert one["cohort"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
