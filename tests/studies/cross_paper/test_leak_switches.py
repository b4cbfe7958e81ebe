"""Leaks as switches: the model against plain descent, every step against its description, and directions on null cohorts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from als_core.statistics.null_check import PERMUTED
from als_core.studies.cross_paper import leak_switches
from als_core.studies.cross_paper.leak_pools import (
    KINDS,
    FeaturePool,
    Samples,
    brain_pool,
    cohort_samples,
    crop_pool,
    image_features,
    null_tissue_images,
    random_features,
    table_pool,
    tissue_field,
    tissue_pool,
)
from als_core.studies.cross_paper.leak_switches import (
    ALL_LEAKS,
    HONEST,
    PENALTIES,
    SWITCHES,
    TIMES,
    GradientFlow,
    RunAreas,
    applicable,
    check_switches,
    compare_splits,
    convolutional_check,
    cumulative_leaks,
    mean_by_set,
    report,
    run_protocol,
    single_leaks,
    train_runs,
)


def pool_of(
    kind: str, donors: int = 60, each: int = 4, copies: int = 3, width: int = 12, share: float = 2 / 3
) -> FeaturePool:
    """Plain random features: a part of the donor's, a part of the sample's, a little of the copy's."""
    rng = np.random.default_rng(7)
    values = rng.standard_normal((donors, 1, 1, width)) * (1.5 if each > 1 else 0)
    values = values + rng.standard_normal((donors, each, 1, width)) + 0.2 * rng.standard_normal((donors, each, copies, width))  # fmt: skip
    shift = np.zeros(width)
    shift[:3] = 1.0
    return FeaturePool(kind, {0.0: values, 2.0: values + 2 * shift}, share, "donor")


POOLS = {
    "tissue": (pool_of("tissue"), 12),
    "crops": (pool_of("crops", each=2, donors=90, share=17 / 26), 26),
    "brains": (pool_of("brains", each=3, copies=1, width=40, share=0.5), 16),
    "feature tables": (
        pool_of("feature tables", each=1, copies=1, width=60, donors=260, share=548 / 654),
        110,
    ),
}


def replay(pool: FeaturePool, effects: list, donors: list, cohorts: int, sets: dict, **settings):
    """Replay one pool."""
    kind = pool.kind
    return leak_switches.replay([pool], {kind: effects}, {kind: donors}, cohorts, {kind: sets}, **settings)


# --- the model and its score


def test_gradient_flow_is_gradient_descent_in_small_steps():
    rng = np.random.default_rng(0)
    features, positive = rng.standard_normal((30, 8)), rng.random(30) < 0.5
    features -= features.mean(0)
    target = np.where(positive, 1.0, -1.0)
    target -= target.mean()
    scores = GradientFlow(features, positive).scores(features)
    for i, penalty in enumerate(PENALTIES):
        weights, time, step = np.zeros(8), 0.0, 5e-4
        for k, until in enumerate(TIMES[:6]):
            while time < until - step / 2:
                weights -= step * (features.T @ (features @ weights - target) / 30 + penalty * weights)
                time += step
            assert scores[:, i, k] == pytest.approx(features @ weights, abs=4e-3)


def test_gradient_flow_ends_in_ridge_regression(monkeypatch):
    monkeypatch.setattr(leak_switches, "TIMES", (1e9,))
    rng = np.random.default_rng(1)
    features, positive = rng.standard_normal((40, 5)), rng.random(40) < 0.4
    features -= features.mean(0)
    scores = GradientFlow(features, positive).scores(features)
    for i, penalty in enumerate(PENALTIES):
        ridge = Ridge(alpha=40 * penalty).fit(features, np.where(positive, 1.0, -1.0))
        assert scores[:, i, 0] == pytest.approx(ridge.predict(features) - ridge.intercept_, abs=1e-8)


# --- each step does what its switch says, and nothing else


def parts_of(switches: tuple[str, ...], monkeypatch) -> tuple:
    """The rows and parts of one fit."""
    seen = {}
    split = leak_switches._split

    def spy(rows, rng):
        seen["rows"], seen["parts"] = rows, split(rows, rng)
        return seen["parts"]

    monkeypatch.setattr(leak_switches, "_split", spy)
    pool, donors = POOLS["tissue"]
    samples, new = pool.sample_cohort(0.0, donors, np.random.default_rng(0))
    leak_switches._train_run(samples, new, frozenset(switches), np.random.default_rng(0))
    copies = samples.features.shape[1]
    image = np.repeat(np.arange(len(samples.positive)), copies)
    return seen["rows"], seen["parts"], image, np.repeat(samples.groups, copies)


def crossing(names: np.ndarray, parts: np.ndarray) -> int:
    """How many names have rows in more than one part."""
    return sum(len(np.unique(parts[names == name])) > 1 for name in np.unique(names))


def test_without_switches_no_donor_is_in_two_parts_and_originals_are_judged(monkeypatch):
    rows, parts, image, group = parts_of((), monkeypatch)
    assert crossing(group, parts) == 0 and rows.judged.sum() == len(np.unique(image))
    for label in (False, True):
        assert {0, 1, 2} == set(parts[rows.positive == label])


def test_split_by_image_keeps_copies_with_their_image_and_divides_donors(monkeypatch):
    rows, parts, image, group = parts_of(("split by image",), monkeypatch)
    assert crossing(image, parts) == 0 and crossing(group, parts) >= 8
    assert rows.judged.sum() == len(np.unique(image))


def test_augment_first_divides_images_and_judges_copies(monkeypatch):
    rows, parts, image, _ = parts_of(("augment first",), monkeypatch)
    assert crossing(image, parts) > 20 and rows.judged.all()


def test_oversample_first_adds_rows_of_the_rarer_class_that_are_judged_and_keeps_donors_whole(monkeypatch):
    rows, parts, image, group = parts_of(("oversample first",), monkeypatch)
    synthetic = np.arange(len(parts)) >= len(image)
    assert rows.positive.mean() == 0.5 and synthetic.sum() == len(image) // 3 and rows.judged[synthetic].all()
    assert crossing(group, parts[: len(image)]) == 0 and not rows.positive[synthetic].any()
    assert len(np.unique(parts[synthetic])) == 3


def test_scale_on_all_changes_the_models_single_leaks(monkeypatch):
    pool, donors = POOLS["tissue"]
    samples, new = pool.sample_cohort(0.0, donors, np.random.default_rng(0))
    honest, leaky = (train_runs(samples, new, switches, 0) for switches in ((), ("scale on all",)))
    assert not np.allclose(honest.test, leaky.test) and honest.test.shape == leaky.test.shape


def made(validation: list, test: list, new: list) -> RunAreas:
    """Models of two runs, two penalties and two times."""
    return RunAreas(*(np.array(each, float) for each in (validation, test, new)))


MODELS = made(
    [[[0.9, 0.8], [0.5, 0.6]], [[0.1, 0.2], [0.4, 0.3]]],
    [[[0.5, 0.7], [0.6, 0.4]], [[0.2, 0.9], [0.3, 0.8]]],
    [[[0.51, 0.52], [0.53, 0.54]], [[0.61, 0.62], [0.63, 0.64]]],
)


@pytest.mark.parametrize(("switches", "reported", "deployed"), [
    # honest: run 1 stops at (0.9, 0.6) and takes penalty 1; run 2 stops at (0.2, 0.4) and takes penalty 2
    ((), (0.5 + 0.3) / 2, (0.51 + 0.63) / 2),
    # the penalty that is best on the test at those times: run 1 has 0.5 and 0.4, run 2 has 0.9 and 0.3
    (("tune on test",), (0.5 + 0.9) / 2, (0.51 + 0.62) / 2),
    # the time that is best on the test: run 1 (0.7, 0.6), validation there 0.8 and 0.5; run 2 (0.9, 0.8), 0.2 and 0.3
    (("stop on test",), (0.7 + 0.8) / 2, (0.52 + 0.64) / 2),
    (("tune on test", "stop on test"), (0.7 + 0.9) / 2, (0.52 + 0.62) / 2),
    (("best of five",), 0.5, 0.51),
    (("other class",), 1 - (0.5 + 0.3) / 2, (0.51 + 0.63) / 2),
])  # fmt: skip
def test_reported_and_deployed_auc_by_hand(switches, reported, deployed):
    assert report(MODELS, switches) == pytest.approx((reported, deployed))


def test_the_seed_decides_the_result():
    pool, donors = POOLS["tissue"]
    samples, new = pool.sample_cohort(0.0, donors, np.random.default_rng(0))
    assert run_protocol(samples, new, ("split by image",), 3) == run_protocol(
        samples, new, ("split by image",), 3
    )
    assert run_protocol(samples, new, (), 3) != run_protocol(samples, new, (), 4)


@pytest.mark.slow
def test_two_jobs_give_what_one_gives():
    pool, donors = POOLS["brains"]
    one, two = (replay(pool, [0.0], [donors], 2, single_leaks("brains"), jobs=jobs) for jobs in (1, 2))
    assert one.equals(two)


def test_unknown_switches_and_too_few_donors_are_refused():
    pool, _ = POOLS["brains"]
    samples, new = pool.sample_cohort(0.0, 6, np.random.default_rng(0))
    with pytest.raises(ValueError, match="no such switch: split by moon"):
        run_protocol(samples, new, ("split by moon",), 0)
    with pytest.raises(ValueError, match="new"):
        pool.sample_cohort(0.0, 59, np.random.default_rng(0))
    few = Samples(samples.features[:6], samples.positive[:6], samples.groups[:6])
    with pytest.raises(ValueError, match="three are needed"):
        run_protocol(few, new, (), 0)
    with pytest.raises(ValueError, match="without an effect"):
        check_switches(replay(pool, [2.0], [8], 1, single_leaks("brains")))


def test_cumulative_leaks_grow_by_one_and_skip_what_does_not_apply():
    sets = cumulative_leaks("brains", ["best of five", "augment first", "split by image"])
    assert list(sets) == [HONEST, "+ best of five", "+ split by image"]
    assert sets["+ split by image"] == {"best of five", "split by image"}


# --- directions, over seeded null cohorts


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_switch_moves_null_cohorts_as_it_declares(kind):
    pool, donors = POOLS[kind]
    table = check_switches(replay(pool, [0.0], [donors], 50, single_leaks(kind), permuted=True)).set_index(
        "procedure"
    )
    assert set(table.index) == {PERMUTED, *SWITCHES}
    for name, switch in SWITCHES.items():
        assert table.loc[name, "declared"] == switch.direction_for(kind)
    applied = table[table["declared"] != "not applicable"]
    assert set(applied.index) - {PERMUTED} == set(applicable(kind)) and applied["holds"].all(), (
        table.to_string()
    )
    assert abs(table.loc[PERMUTED, "reference"] - 0.5) < 0.1


def test_all_leaks_report_a_high_auc_for_models_at_chance_on_new_donors():
    pool, donors = POOLS["tissue"]
    table = mean_by_set(replay(pool, [0.0], [donors], 30, single_leaks("tissue"))).set_index("switches")
    assert table.loc[ALL_LEAKS, "reported"] > 0.9
    assert table["deployed"].between(0.4, 0.6).all()


def test_the_honest_protocol_reports_a_real_effect_without_bias():
    pool, _ = POOLS["tissue"]
    (row,) = mean_by_set(replay(pool, [2.0], [24], 20, {HONEST: frozenset()})).itertuples()
    assert row.reported > 0.8 and row.low - 0.05 < row.deployed < row.high + 0.05


# --- the pools


@pytest.mark.slow
@pytest.mark.parametrize("pool", [
    lambda: tissue_pool(3, [1.0], 2, 48, 0), lambda: crop_pool(3, [1.0], 48, 0), lambda: brain_pool(3, [3.0], 2, 0),
    lambda: table_pool(12, [1.0], 0),
], ids=KINDS)  # fmt: skip
def test_a_pool_has_the_same_donors_without_and_with_the_effect(pool):
    pool = pool()
    none, some = pool.features[0.0], pool.features[1.0 if pool.kind != "brains" else 3.0]
    assert none.shape == some.shape and none.ndim == 4 and np.isfinite(none).all()
    assert not np.allclose(none, some)
    between = np.abs(none - none[::-1]).mean()
    assert np.abs(none - some).mean() < 3 * between


def test_new_donors_are_not_in_the_cohort_and_shares_of_labels_are_as_asked():
    values = np.arange(30.0).reshape(30, 1, 1, 1)
    pool = FeaturePool("tissue", {0.0: values, 1.0: values + 0.5}, 2 / 3, "donor")
    samples, new = pool.sample_cohort(1.0, 12, np.random.default_rng(0))
    donors = np.floor(np.concatenate([samples.features, new.features])).ravel()
    assert sorted(donors) == list(range(30))
    assert samples.positive.sum() == 8 and new.positive.sum() == 9
    assert (
        (samples.features.ravel() % 1 == 0.5) == samples.positive
    ).all()  # the sign is on positive donors alone


def test_features_of_an_image_by_hand():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, ::2, 0] = 10
    features = image_features(image)
    assert features.shape == (36,) and features[[0, 24]].tolist() == [0, 10]
    assert features[27] == pytest.approx(
        np.diff(image[..., 0].astype(float)).std(), rel=1e-5
    )  # pixels 1 apart
    assert features[30] == 0  # pixels 2 apart are equal


def test_random_features_do_not_depend_on_scale_or_on_a_constant_column():
    values = np.random.default_rng(0).standard_normal((6, 4, 5))
    same = random_features(values * 3 + 1)
    assert random_features(values) == pytest.approx(same) and (same >= 0).all() and same.shape == (6, 4, 100)
    constant = np.concatenate([values, np.ones((6, 4, 1))], axis=-1)
    assert np.isfinite(random_features(constant)).all()


def test_a_field_without_effect_does_not_depend_on_the_label():
    images = null_tissue_images(2, 2, 32, 0)
    assert images.shape == (2, 2, 32, 32, 3)
    assert (images[1, 1] == tissue_field(0.0, 1, 1, 32, 0)).all()
    assert not (images[1, 1] == tissue_field(2.0, 1, 1, 32, 0)).all()


def test_permuted_labels_can_be_recognised_from_the_donor_single_leaks():
    images = null_tissue_images(12, 4, 48, 3).reshape(-1, 48, 48, 3)
    groups = np.repeat([f"d{i}" for i in range(12)], 4)
    samples = cohort_samples(images, groups < "d3", groups, side=48)
    table = compare_splits(samples, draws=12).groupby(["labels", "split"])["reported"].mean()
    assert table[PERMUTED, "by image"] > 0.6 and abs(table[PERMUTED, "by donor"] - 0.5) < 0.2


@pytest.mark.slow
def test_a_convolutional_network_leaks_under_a_split_by_image_too():
    images = null_tissue_images(24, 8, 32, 1)
    reported = convolutional_check(images, cohorts=10, donors=8).groupby("split")["reported"]
    mean, error = reported.mean(), reported.std() / np.sqrt(10)
    assert abs(mean["by donor"] - 0.5) <= 3 * error["by donor"]
    assert mean["by image"] > 0.5 + 2 * error["by image"]
