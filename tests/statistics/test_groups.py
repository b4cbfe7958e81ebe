"""Group differences against hand calculations, SciPy and the published counts of Turrisi 2024."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from als_core.statistics.groups import (
    chi_square,
    kolmogorov_smirnov,
    ks_from_distance,
    percentages,
)
from als_core.storage import repository

PUBLISHED = repository() / "data" / "published"


@pytest.fixture
def table1b() -> pd.DataFrame:
    table = pd.read_csv(PUBLISHED / "turrisi2024_table1b_demographics.csv")
    return table.pivot(index=["variable", "level"], columns="group", values=["n", "percent"])


def test_chi_square_by_hand():
    counts = np.array([[10, 20], [30, 40]])
    expected = np.outer([30, 70], [40, 60]) / 100
    gap = np.abs(counts - expected)
    assert chi_square(counts, yates=False).statistic == pytest.approx((gap**2 / expected).sum())
    assert chi_square(counts, yates=True).statistic == pytest.approx(((gap - 0.5) ** 2 / expected).sum())


def test_neither_reading_of_sex_gives_the_printed_statistic_and_yates_gives_its_p(table1b):
    sex = table1b["n"].loc["sex"].to_numpy()
    plain, corrected = chi_square(sex, yates=False), chi_square(sex, yates=True)
    assert round(plain.statistic, 2) == 3.61
    assert round(corrected.statistic, 2) == 3.21
    assert (plain.p, corrected.p) == pytest.approx((0.0573, 0.0730), abs=5e-5)
    printed = pd.read_csv(PUBLISHED / "turrisi2024_table2_tests.csv").set_index("variable").loc["sex"]
    assert printed["statistic"] not in (round(plain.statistic, 2), round(corrected.statistic, 2))


def test_eight_of_ten_printed_percentages_follow_from_the_counts(table1b):
    differs = []
    for variable in ("sex", "age"):
        counts, printed = table1b["n"].loc[variable], table1b["percent"].loc[variable]
        assert percentages(counts).sum(0) == pytest.approx([100, 100])
        wrong = ~np.isclose(percentages(counts).round(1), printed)
        differs += [(counts.index[row], counts.columns[column]) for row, column in np.argwhere(wrong)]
    assert sorted(differs) == [("60-75", "ALS"), ("<60", "ALS")]


def test_kolmogorov_smirnov_of_samples():
    first, second = np.random.default_rng(0).normal(0, 1, 40), np.random.default_rng(1).normal(0.6, 1, 25)
    found = kolmogorov_smirnov(first, second)
    everywhere = np.concatenate([first, second])
    gaps = [abs((first <= x).mean() - (second <= x).mean()) for x in everywhere]
    assert found.distance == pytest.approx(max(gaps))
    assert found.p_exact == stats.ks_2samp(first, second, method="exact").pvalue
    assert found.p_finite == pytest.approx(stats.ks_2samp(first, second, method="asymp").pvalue)
    # Kolmogorov's series, written out
    scaled = found.distance * np.sqrt(40 * 25 / 65)
    series = 2 * sum((-1) ** (k - 1) * np.exp(-2 * k**2 * scaled**2) for k in range(1, 50))
    assert found.p_limit == pytest.approx(series)


def test_no_distance_that_prints_as_0_11_has_the_printed_p():
    largest = ks_from_distance(0.105, 548, 106)
    assert largest.p_finite < largest.p_limit < 0.285  # the print is 0.29
    assert np.isnan(largest.p_exact)


def test_yates_on_a_larger_table_is_refused():
    with pytest.raises(ValueError, match="yates=False"):
        chi_square(np.ones((3, 2)), yates=True)
