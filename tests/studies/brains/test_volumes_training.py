"""The Alzheimer study's training: folds by patient, seeded runs, and a pipeline with and without a signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from als_core.cohorts.volumes import brain_box, mni_map, template_brain
from als_core.refusal import RefusedInput
from als_core.statistics.paired import permutation_p_value, permute_labels_over_groups
from als_core.studies.brains import training
from als_core.studies.brains.cohorts import prepared_brains, published_split
from als_core.studies.brains.synthetic import effect_map, true_places
from als_core.studies.brains.training import PanagiotarasAmounts
from als_core.studies.panagiotaras import heatmaps as explain
from als_core.studies.panagiotaras import linear

TINY = PanagiotarasAmounts(
    resolution=4, variant="small", fractions=(0.01, 0.01), effect=3.0, epochs=1, folds=3, patch=60
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALS_RESULTS", str(tmp_path_factory.mktemp("brains")))
        yield prepared_brains(TINY.brains("1.5T"))


def test_scans_are_the_cropped_volumes_and_leave_the_cache_alone(tiny):
    batch = training.scans(tiny, [3, 1], TINY.box)
    expected = np.stack([np.asarray(tiny.volume(row))[TINY.box] for row in (3, 1)])
    assert batch.dtype == torch.float32 and np.array_equal(batch[:, 0].numpy(), expected)
    batch += 1
    assert np.array_equal(np.asarray(tiny.volume(3))[TINY.box], expected[0])


def test_folds_test_every_scan_once_and_keep_patients_whole(tiny):
    splits = training.patient_folds(tiny, 3, seed=0)
    assert np.array_equal(sum(split.parts == "test" for split in splits), np.ones(len(tiny)))
    for split in splits:
        held = {part: set(tiny.groups[split.rows(part)]) for part in ("train", "validation", "test")}
        assert not held["train"] & held["test"] and not held["train"] & held["validation"]
        assert not held["validation"] & held["test"]
        assert all(len(set(tiny.labels[split.rows(part)])) == 2 for part in held)
    again = training.patient_folds(tiny, 3, seed=0)
    assert all(np.array_equal(a.parts, b.parts) for a, b in zip(splits, again, strict=True))
    other = training.patient_folds(tiny, 3, seed=1)
    assert any((a.parts != b.parts).any() for a, b in zip(splits, other, strict=True))


def test_a_split_by_image_is_refused_unless_it_is_meant(tiny):
    with pytest.raises(RefusedInput, match=r"samples in \w+ and \w+") as refusal:
        training.image_folds(tiny, 3, seed=0, promise="group")
    assert len(refusal.value.problems) > 1
    assert len(training.image_folds(tiny, 3, seed=0)) == 3


def test_a_run_follows_from_its_seed_and_from_nothing_else(tiny):
    split = published_split(tiny)
    train, validation = split.rows("train")[::3], split.rows("validation")[:3]
    torch.manual_seed(1)
    first = training.train_volumes(tiny, train, validation, TINY, seed=4)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = training.train_volumes(tiny, train, validation, TINY, seed=4)
    assert torch.equal(before, torch.get_rng_state())
    pd.testing.assert_frame_equal(first.curves, second.curves)
    other = training.train_volumes(tiny, train, validation, TINY, seed=5)
    assert not first.curves.equals(other.curves) and not first.network.training


def test_curves_of_validation_are_those_of_the_network_that_is_left(tiny):
    split = published_split(tiny)
    rows = split.rows("validation")[:4]
    trained = training.train_volumes(tiny, split.rows("train")[::4], rows, replace(TINY, epochs=2), seed=0)
    scores = training.class_scores(trained.network, tiny, rows, TINY.box)
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(tiny.labels[rows])).item()
    assert list(trained.curves["epoch"]) == [1, 2]
    assert trained.curves["validation_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)


def test_a_patient_is_judged_by_the_mean_of_its_scans():
    predictions = pd.DataFrame(
        {
            "patient": ["a", "a", "b"],
            "fold": 1,
            "label": [0, 0, 1],
            "predicted": [0, 1, 1],
            "share": [0.9, 0.4, 0.2],
        }
    )
    each = training.by_patient(predictions).set_index("patient")
    assert each.loc["a", "share"] == pytest.approx(0.65)
    assert list(each["predicted"]) == [0, 1]


def test_the_weight_map_is_the_slope_of_the_linear_model(tiny):
    components = linear.voxel_components(tiny, seed=0)
    weights = components.weight_map(tiny.labels)
    model = linear.linear_model().fit(components.scores, tiny.labels)
    step = np.zeros(components.brain.shape)
    step[tuple(np.argwhere(components.brain)[1234])] = 1.0
    moved = components.scores[:1] + components.axes @ step[components.brain]
    rise = model.decision_function(moved) - model.decision_function(components.scores[:1])
    assert rise.item() == pytest.approx((weights * step).sum(), rel=1e-6)
    assert not weights[~components.brain].any()


def test_average_relevance_is_the_mean_of_absolute_maps(tiny):
    from als_core.explain.methods import METHODS
    from als_core.studies.brains.atlas import small_atlas

    rows = published_split(tiny).rows("validation")[[0, -1]]
    network = training.train_volumes(tiny, rows, rows, TINY, seed=0).network
    areas = small_atlas(4).labels[TINY.box]
    averages = explain.average_relevance(network, tiny, rows, TINY.box, 0, areas=areas, patch=15)
    assert list(averages) == [METHODS[name].title for name in explain.SLIDE_METHODS]
    assert set(averages["Occlusion"]) == {"AD", "CN"}
    images = training.scans(tiny, rows[:1], TINY.box)
    alone = METHODS["guided_backpropagation"].function(network, images, 0).abs()[0].double().numpy()
    assert np.allclose(averages["Guided backpropagation"][tiny.classes[tiny.labels[rows[0]]]], alone)
    spread = METHODS["area_occlusion"].function(network, images, 0, areas=areas).abs()[0].double().numpy()
    first = averages["Brain area occlusion"][tiny.classes[tiny.labels[rows[0]]]]
    assert first[areas == 5].sum() == pytest.approx(spread[areas == 5].mean(), rel=1e-5)
    table = explain.relevance_table(averages, small_atlas(4), TINY.box)
    assert np.allclose(table.groupby(["method", "label"])["share"].sum(), 1)


def test_concentration_is_one_for_the_truth_and_chance_for_noise():
    truth = np.zeros((12, 12, 12), dtype=bool)
    truth[2:5, 2:5, 2:5] = True
    brain = np.ones_like(truth)
    rng = np.random.default_rng(0)
    found = explain.concentration(truth.astype(float) + 0.1, truth, brain, rng, draws=19)
    assert found["auc"] == 1.0 and found["times"] > 5 and found["p"] == pytest.approx(1 / 20)
    noise = [
        explain.concentration(rng.random(truth.shape), truth, brain, rng, draws=19)["p"] for _ in range(40)
    ]
    assert 0.3 < np.mean(noise) < 0.7


SIGNAL = replace(TINY, fractions=(0.1, 0.1), epochs=10, folds=5)


@pytest.mark.slow
def test_with_the_effect_on_patients_are_told_apart_and_heat_gathers_in_the_truth():
    cohort = prepared_brains(SIGNAL.brains("1.5T"))
    split = published_split(cohort)
    rows = split.rows("validation")
    network = training.train_volumes(cohort, split.rows("train"), rows, SIGNAL, seed=0).network
    shares = training.class_scores(network, cohort, rows, SIGNAL.box).softmax(1)[:, 0].numpy()
    predictions = pd.DataFrame(
        {"patient": cohort.groups[rows], "fold": 1, "label": cohort.labels[rows], "share": shares}
    )
    patients = training.by_patient(predictions)
    assert (patients["label"] == patients["predicted"]).mean() >= 5 / 6

    brain = template_brain(mni_map("t1", 4))[SIGNAL.box]
    truth = true_places(effect_map(SIGNAL.brains("1.5T"), "AD"))[SIGNAL.box]
    from als_core.explain.gradients import sensitivity

    ill = training.scans(cohort, rows[cohort.labels[rows] == 0], SIGNAL.box)
    relevance = sensitivity(network, ill, 0).mean(0).double().numpy()
    found = explain.concentration(relevance, truth, brain, np.random.default_rng(0), draws=99)
    assert found["p"] == pytest.approx(0.01) and found["times"] > 1.2

    # the linear model on cached features: its null are the same scans with labels exchanged between patients
    components = linear.voxel_components(cohort, seed=0)
    inside = truth
    own = explain.linear_trial(
        components, cohort.labels, cohort.groups, training.patient_folds(cohort, 5, 0), inside
    )
    nulls = permuted_trials(cohort, components, inside, draws=39)
    assert permutation_p_value(own["accuracy"], nulls["accuracy"]) <= 0.05
    assert permutation_p_value(own["auc"], nulls["auc"]) <= 0.05


@pytest.mark.slow
def test_with_the_effect_off_there_is_chance_and_no_concentration():
    cohort = prepared_brains(linear.linear_brains(SIGNAL, effects=False))
    components = linear.voxel_components(cohort, seed=0)
    box = brain_box(linear.LINEAR_RESOLUTION)
    truth = true_places(effect_map(linear.linear_brains(SIGNAL, effects=True), "AD"))[box]
    # every other null cohort is tried as if it were real, against the rest
    nulls = permuted_trials(cohort, components, truth, draws=80)
    real, null = nulls[::2], nulls[1::2]
    assert abs(nulls["accuracy"].mean() - 0.5) < 0.06
    for measure in ("accuracy", "auc"):
        p_values = np.array([permutation_p_value(value, null[measure]) for value in real[measure]])
        assert (p_values <= 0.05).mean() <= 0.15 and p_values.mean() > 0.35


def permuted_trials(cohort, components, truth, draws):
    generator = np.random.default_rng(7)
    trials = []
    for draw in range(draws):
        labels = permute_labels_over_groups(cohort.labels, cohort.groups, generator)
        folds = training.patient_folds(cohort, 5, draw, labels)
        trials.append(explain.linear_trial(components, labels, cohort.groups, folds, truth))
    return pd.DataFrame(trials)
