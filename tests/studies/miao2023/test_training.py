"""Splits, pools, grids and scores of the crop classifiers: promises, plain versions, signal and no signal."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from als_core.book.profile import load_profile
from als_core.studies.miao2023.checks import (
    CLASSICAL,
    PERMUTED,
    classical_features,
    no_signal,
    shifts,
    train_classical,
)
from als_core.studies.miao2023.filters import affine_copies
from als_core.studies.miao2023.protocol import (
    BY_CASE,
    BY_CROP,
    COPIES_FIRST,
    CROSS_VALIDATED,
    PROTOCOLS,
    CropSettings,
    NoSignal,
    draw_all_splits,
    draw_splits,
    make_pool,
)
from als_core.studies.miao2023.synthetic import CropParameters, plan, synthetic_crops_arrays
from als_core.studies.miao2023.train import (
    GRID,
    base_features,
    build_recipe,
    choose_weights,
    fine_tune,
    load_base,
    nine_cells,
    score_cases,
    score_cells,
    split_aucs,
    train_grid,
    train_splits,
)

CPU = torch.device("cpu")
TABLE = plan()
LABELS, CASES = (TABLE["label"] == "ALS").to_numpy(), TABLE["group"].to_numpy()


def splits_of(protocol, **more):
    return draw_splits(LABELS, CASES, protocol, 0, **{"repeats": 3, "copies": 10} | more)


def of(pairs):
    return set(pairs[:, 0].tolist())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_split_never_tests_an_image_that_it_trains_on(protocol):
    splits = splits_of(protocol)
    assert len(splits) == (5 if protocol == CROSS_VALIDATED else 3)
    for split in splits:
        assert not set(map(tuple, split.train.tolist())) & set(map(tuple, split.test.tolist()))
        if protocol in (BY_CASE, CROSS_VALIDATED):
            assert not set(CASES[list(of(split.train))]) & set(CASES[list(of(split.test))])
        if protocol == BY_CROP:
            assert not of(split.train) & of(split.test)
        if protocol != COPIES_FIRST:
            assert (split.test[:, 1] == 0).all() and of(split.train) | of(split.test) == set(range(39))
            assert {0, 1} == set(LABELS[list(of(split.test))].tolist())
    assert (draw_splits(LABELS, CASES, protocol, 0, repeats=3)[0].train == splits[0].train).all()


def test_sizes_are_those_of_the_paper_and_the_audit():
    assert all(len(of(t.test)) == 12 and len(of(t.train)) == 27 for t in splits_of(BY_CROP))
    assert all(len(set(CASES[list(of(t.test))])) == 8 for t in splits_of(BY_CASE))
    for split in splits_of(COPIES_FIRST):
        assert (len(split.train), len(split.test)) == (273, 118)
        assert np.isin(split.test[:, 0], split.train[:, 0]).all()  # every test image has a copy in training


def test_training_images_are_balanced_and_equally_many_in_all_splits_of_a_protocol():
    for protocol in (BY_CASE, BY_CROP, CROSS_VALIDATED):
        for split in splits_of(protocol):
            assert len(split.train) == 270 and LABELS[split.train[:, 0]].sum() == 135
    unbalanced = splits_of(BY_CASE, balanced=False)[0]
    counts = np.unique(unbalanced.train[:, 0], return_counts=True)[1]
    assert counts.sum() == 270 and np.ptp(counts) <= 1


@pytest.fixture(scope="module")
def images():
    return synthetic_crops_arrays(CropParameters(side=64), 0)[0]


@pytest.fixture(scope="module")
def splits():
    return draw_all_splits(LABELS, CASES, 0, repeats=2, copies=4)


@pytest.fixture(scope="module")
def pool(images, splits):
    return make_pool(images, splits, 32, 0)


@pytest.fixture(scope="module")
def features(images, pool):
    return base_features(load_base("mobilenet_v3", "random", images, 32), pool, None, CPU)


def test_a_pool_holds_each_image_at_its_row(images, splits, pool):
    rows = pool.rows(splits[0].train)
    np.testing.assert_array_equal(pool.pairs[rows], splits[0].train)
    whole = make_pool(images, splits, 64, 0)
    crop, copy = next((c, k) for c, k in splits[0].train.tolist() if k == 2)
    counts = np.where(np.arange(39) == crop, 2, 0)
    (row,) = whole.rows(np.array([[crop, copy]]))
    np.testing.assert_array_equal(whole.images[row], affine_copies(images, counts, 0)[0][1])
    np.testing.assert_array_equal(whole.images[whole.rows(np.array([[5, 0]]))[0]], images[5])
    with pytest.raises(KeyError):
        pool.rows(np.array([[0, 999]]))


def test_a_head_learns_as_the_plain_loop_does(images, pool, features, splits):
    """One split compared with torch.nn.Linear and torch.optim.Adam, images in the order of the heads."""
    from als_core.models.stages import seeded
    from als_core.training.epochs import epoch_generator

    recipe = build_recipe("mobilenet_v3", 1e-3, 16, side=32, epochs=3)
    split = splits[0]
    trained = train_splits(recipe, features, pool, [split], CASES, 5)
    with seeded(5 + split.number):
        head = torch.nn.Linear(960, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    rows, labels = (
        torch.from_numpy(pool.rows(split.train)),
        torch.from_numpy(LABELS[split.train[:, 0]]).long(),
    )
    for epoch in (1, 2, 3):
        order = torch.randperm(len(rows), generator=epoch_generator(5 + split.number, epoch))
        for batch in order.split(16):
            loss = torch.nn.functional.cross_entropy(head(features[rows[batch]]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        expected = head(features[torch.from_numpy(pool.rows(split.test))]).softmax(1)[:, 1].numpy()
    np.testing.assert_allclose(trained.predictions["score"], expected, atol=1e-4)
    assert trained.logs["epoch"].tolist() == [1, 2, 3]


def test_a_grid_has_nine_cells_scored_from_their_predictions(pool, features, splits):
    trained = train_grid("mobilenet_v3", GRID, features, pool, splits, CASES, 0, epochs=2)
    scored = nine_cells(score_cells(trained.predictions, trained.logs))
    assert len(scored) == 9 * len(PROTOCOLS) and set(scored["network"]) == {"mobilenet_v3"}
    row = scored.query(f"protocol == '{BY_CASE}'").iloc[4]
    part = trained.predictions.query(
        f"protocol == '{BY_CASE}' and learning_rate == {row.learning_rate} and batch_size == {row.batch_size}"
    )
    called = part["score"] > 0.5
    assert row.accuracy == pytest.approx((called == part["truth"]).mean())
    assert (row.tp, row.fp) == ((called & part["truth"]).sum(), (called & ~part["truth"]).sum())
    assert row.tp + row.fn == part["truth"].sum() and row.sensitivity == row.tp / (row.tp + row.fn)
    each = [roc_auc_score(p["truth"], p["score"]) for _, p in part.groupby("number")]
    assert row.auc == pytest.approx(np.mean(each))
    logs = trained.logs.query(
        f"protocol == '{BY_CASE}' and learning_rate == {row.learning_rate} and batch_size == {row.batch_size}"
    )
    assert row.train_accuracy == pytest.approx(logs.query("epoch == 2")["accuracy"].mean())


def test_cross_validation_answers_every_case_once(pool, features, splits):
    recipe = build_recipe("mobilenet_v3", 1e-3, 16, side=32, epochs=2)
    folds = [t for t in splits if t.protocol == CROSS_VALIDATED]
    predictions = train_splits(recipe, features, pool, folds, CASES, 0).predictions
    assert sorted(predictions["crop"]) == list(range(39))
    (row,) = score_cases(predictions).itertuples()
    assert row.cases == 26 and row.low <= row.accuracy == row.right / 26 <= row.high
    means = predictions.groupby("case").agg(truth=("truth", "first"), score=("score", "mean"))
    assert row.auc == pytest.approx(roc_auc_score(means["truth"], means["score"]))
    by_fold = predictions.groupby(["number", "case"]).agg(truth=("truth", "first"), score=("score", "mean"))
    pairs = [
        one > other
        for _, fold in by_fold.groupby("number")
        for one in fold.loc[fold["truth"], "score"]
        for other in fold.loc[~fold["truth"], "score"]
    ]
    assert (row.ranked, row.pairs) == (sum(pairs), len(pairs))


def test_an_auc_of_one_class_is_nan():
    table = pd.DataFrame(
        {"network": "a", "learning_rate": 1.0, "batch_size": 1, "protocol": BY_CASE, "number": [0, 0]}
    )
    assert split_aucs(table.assign(truth=True, score=0.5))["auc"].isna().all()


@pytest.mark.parametrize("variant", ["last block", "all layers"])
def test_fine_tuning_trains_more_than_the_head(images, pool, splits, variant):
    split = [s for s in splits if s.protocol == BY_CASE][:1]
    tuned = fine_tune("mobilenet_v3", variant, "random", images, pool, split, CASES, 0, epochs=1, device=CPU)
    assert len(tuned.predictions) == len(split[0].test) and tuned.logs["loss"].notna().all()
    base = load_base("mobilenet_v3", "random", images, 32)
    frozen = train_splits(
        build_recipe("mobilenet_v3", 1e-4, 16, side=32, epochs=1), base_features(base, pool, None, CPU), pool,
        split, CASES, 0,
    )  # fmt: skip
    assert (tuned.predictions["score"] - frozen.predictions["score"]).abs().max() > 1e-3


def test_pixels_are_scaled_by_the_crops_own_colours_for_random_weights(images):
    base = load_base("mobilenet_v3", "random", images, 64)
    assert base.scaling.mean[0] == pytest.approx(images[..., 0].mean() / 255)
    assert "not pretrained" in base.sentence


def test_every_profile_s_amounts_fit_together():
    by_profile = {
        name: load_profile(name).amounts("miao2023", CropSettings) for name in ("test", "quick", "paper")
    }
    for amounts in by_profile.values():
        settings = amounts.super_resolution
        assert CropParameters(side=amounts.crop_side).side % settings.factor == 0
        assert settings.patch <= amounts.crop_side // settings.factor
        chain = amounts.chain.super_resolution
        assert amounts.crop_side % chain.factor == 0 and chain.patch <= amounts.crop_side // chain.factor
        # folds hold the most crops: every one of them, and each class, must get its images
        draw_splits(
            LABELS, CASES, CROSS_VALIDATED, 0, repeats=1, copies=min(amounts.copies, amounts.chain.copies)
        )
    assert by_profile["paper"] == CropSettings() and by_profile["quick"].no_signal.cohorts >= 50


def test_weights_are_the_same_kind_for_all_three(monkeypatch, tmp_path):
    assert choose_weights("random").name == "random"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth").touch()
    choice = choose_weights("imagenet if cached")
    assert choice.name == "random" and "ResNet50, MobileNetV3 are cached" in choice.reason


def test_classical_methods_learn_from_training_crops_alone(images):
    values = classical_features(images[..., 0])
    assert len(values) == 39 and values.notna().all(axis=None)
    folds = splits_of(CROSS_VALIDATED)
    predictions = train_classical(values, folds, CASES, 0)
    assert set(predictions["network"]) == set(CLASSICAL)
    scored = score_cases(predictions, ["network", "protocol"])
    assert (scored["cases"] == 26).all() and scored["auc"].max() > 0.85
    train = np.unique(folds[0].train[:, 0])
    spoilt = values.copy()
    spoilt.loc[~spoilt.index.isin(train)] += 100
    again = train_classical(spoilt.loc[:], [folds[0]._replace(test=folds[0].train)], CASES, 0)
    same = train_classical(values, [folds[0]._replace(test=folds[0].train)], CASES, 0)
    pd.testing.assert_frame_equal(again, same)


@pytest.mark.slow
def test_a_sign_of_disease_is_found_on_unseen_cases():
    images, *_ = synthetic_crops_arrays(CropParameters(side=64, disease_effect=3), 0)
    drawn = draw_splits(LABELS, CASES, BY_CASE, 0, repeats=5, copies=4)
    pool = make_pool(images, drawn, 64, 0)
    found = base_features(load_base("mobilenet_v3", "random", images, 64), pool, None, CPU)
    trained = train_splits(build_recipe("mobilenet_v3", 1e-3, 16, side=64), found, pool, drawn, CASES, 0)
    assert split_aucs(trained.predictions)["auc"].mean() > 0.85


@pytest.mark.slow
def test_without_a_sign_the_split_by_case_is_at_chance_and_the_leak_is_not():
    aucs = no_signal(NoSignal(cohorts=50, side=48, copies=4, repeats=4, permutations=4))
    assert list(aucs) == ["cohort", BY_CASE, PERMUTED, BY_CROP, COPIES_FIRST] and aucs.notna().all(axis=None)
    moved = shifts(aucs).set_index("protocol")
    assert abs(moved.loc[BY_CASE, "in_errors"]) <= 3
    assert moved.loc[COPIES_FIRST, "in_errors"] > 2
    lift = aucs[COPIES_FIRST] - aucs[BY_CASE]
    assert lift.mean() > 2 * lift.std() / np.sqrt(len(lift))
