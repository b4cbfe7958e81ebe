"""The T1w study's features and null cohorts: whose brain, what is kept, what a null can and cannot show."""

from __future__ import annotations

from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml
from real_brains import PATIENTS, oasis_data

from als_core.book.profile import load_profile
from als_core.cohorts.volumes import mni_map, template_brain
from als_core.refusal import Problem, RefusedInput
from als_core.statistics.null_check import PERMUTED
from als_core.statistics.paired import permutation_p_value
from als_core.storage import repository
from als_core.studies.turrisi2024 import study as turrisi
from als_core.studies.turrisi2024 import words_features
from als_core.studies.turrisi2024.classifiers import METHODS
from als_core.studies.turrisi2024.feature_table import (
    least_class_size,
    synthetic_feature_table,
)
from als_core.studies.turrisi2024.leaks import check_leaks, null_labels, replay
from als_core.studies.turrisi2024.nested_cv import fold_metrics, study

AMOUNTS = turrisi.TurrisiAmounts(
    fraction=0.01, at_most=1, resolution=4, null_fraction=0.01, without_weights="random"
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A patient of each label, once for this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALS_RESULTS", str(tmp_path_factory.mktemp("results")))
        yield turrisi.open_patients("synthetic", AMOUNTS, seed=0)


def test_at_most_cuts_the_cohort_within_each_label(drawn):
    assert drawn.samples["label"].value_counts().to_dict() == {"ALS": 1, "mimicking": 1}
    assert turrisi.is_positive(drawn).sum() == 1
    assert drawn.samples["group"].nunique() == 2


def scans(folder, labels, groups=None):
    """Scans in MNI space, each a little different; one patient each unless said otherwise."""
    folder.mkdir()
    template = mni_map("t1", 4)
    for number, _ in enumerate(labels):
        values = np.asarray(template.dataobj) * (1 + 0.01 * number)
        image = nibabel.Nifti1Image(values.astype(np.float32), template.affine)
        image.set_sform(template.affine, 4)
        nibabel.save(image, folder / f"{number}.nii.gz")
    table = pd.DataFrame({"path": [f"{number}.nii.gz" for number in range(len(labels))], "label": labels})
    table.assign(group=groups or [f"P{number}" for number in range(len(labels))]).to_csv(
        folder / "manifest.csv", index=False
    )
    return str(folder)


def test_a_readers_scans_are_taken_with_their_own_labels_one_a_patient(tmp_path):
    labels = ["AD"] * 6 + ["CN"] * 6
    groups = [f"P{number}" for number in (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9)]
    folder = scans(tmp_path / "mine", labels, groups)
    data = turrisi.open_patients(folder, AMOUNTS, 0, "AD")
    assert data.kind == "own" and data.classes == ("AD", "CN") and len(data) == 10
    assert "2 further scans" in data.notices[-1]
    assert data.samples["group"].is_unique and turrisi.is_positive(data, "AD").sum() == 5
    with pytest.raises(RefusedInput, match=r"labels AD, CN; expected ALS and one other.*--patients AD"):
        turrisi.open_patients(folder, AMOUNTS, 0)


def test_the_scan_of_the_lowest_visit_is_shown_wherever_it_is_listed(tmp_path):
    groups = ["P0", "P0", "P0", *(f"P{number}" for number in range(1, 10))]
    folder = scans(tmp_path / "mine", ["AD"] * 7 + ["CN"] * 5, groups)
    manifest = tmp_path / "mine" / "manifest.csv"
    table = pd.read_csv(manifest).assign(visit=[2, 1, 10, *[0] * 9])
    table.to_csv(manifest, index=False)
    data = turrisi.open_patients(folder, AMOUNTS, 0, "AD")
    assert data.samples["path"].tolist() == ["1.nii.gz", *(f"{number}.nii.gz" for number in range(3, 12))]
    assert "2 further scans of patients; the first visit of each is shown" in data.notices[-1]


def test_a_feature_table_takes_the_place_of_scans(tmp_path):
    generator, positive = np.random.default_rng(0), np.arange(60) % 4 > 0
    drawn = synthetic_feature_table(generator, positive, 6)
    demographics = {
        "subject": drawn.features.index,
        "label": np.where(positive, "MND", "mimic"),
        "age": generator.uniform(40, 80, 60).round(1),
        "sex": np.where(np.arange(60) % 2, "F", "M"),
    }
    table = pd.DataFrame(demographics).assign(**drawn.features.reset_index(drop=True))
    table.to_csv(tmp_path / "mine.csv", index=False)
    data = turrisi.open_patients("synthetic", AMOUNTS, 0, "MND", str(tmp_path / "mine.csv"))
    (name, features) = turrisi.measure_features(data, network=None).popitem()
    assert name == turrisi.OF_TABLE and features.shape == (60, 6) and len(data) == 60
    np.testing.assert_allclose(features, drawn.features, rtol=1e-12)
    assert turrisi.is_positive(data, "MND").tolist() == drawn.positive.tolist()
    assert {"age", "sex"} <= set(data.samples) and data.samples["group"].tolist() == list(
        drawn.features.index
    )
    twice = table.assign(group=[f"G{number % 28}" for number in range(60)])
    twice.to_csv(tmp_path / "mine.csv", index=False)
    once = turrisi.open_table(str(tmp_path), "MND")
    assert len(once) == 28 and "32 further rows" in once.notices[-1] and once.digest != data.digest


@pytest.mark.parametrize(("members", "neighbours"), [(5, 1), (13, 4), (14, 5), (100, 5)])
def test_smote_gets_no_more_neighbours_than_an_inner_part_has(members, neighbours):
    positive = np.repeat([True, False], [members, 200])
    fitted = turrisi.fit_neighbours(turrisi.TurrisiAmounts(), positive)
    assert fitted.neighbours == neighbours and least_class_size(neighbours) <= members


def test_the_brain_mask_follows_the_patient(drawn):
    masks = [turrisi.brain_of(drawn, number) for number in range(len(drawn))]
    template = template_brain(drawn.grid)
    for number, mask in enumerate(masks):
        assert 0.8 * template.sum() < (mask & template).sum() < template.sum()
        raw_zero = drawn.volume(number) <= drawn.volume(number).min() + 1e-6
        assert raw_zero[mask].mean() < 0.01  # closed holes only
    assert (masks[0] != masks[1]).any()


def test_intensities_are_those_of_the_scan_with_background_at_zero(drawn):
    """The extractor was trained on volumes whose background is darker than any brain, not at the brain's mean."""
    scan = np.asarray(nibabel.load(drawn.folder / drawn.samples["path"].iloc[0]).dataobj)
    inside = template_brain(drawn.grid)
    found = turrisi.intensities(drawn, 0)
    np.testing.assert_allclose(found, np.where(inside, scan, 0), atol=1e-3 * scan.max())
    assert (found[~inside] == 0).all() and np.asarray(drawn.volume(0))[~inside].max() == 0


def test_features_are_measured_once_and_read_back(drawn, monkeypatch):
    network, _ = turrisi.extractor("random")
    first = turrisi.measure_features(drawn, network)
    assert {name: table.shape for name, table in first.items()} == {
        "Radiomics": (2, 107),
        "DL7": (2, 256),
        "DL8": (2, 256),
    }
    assert np.isfinite(pd.concat(first.values(), axis=1).to_numpy()).all()
    monkeypatch.setattr(network, "stages", None)  # measuring again would fail
    monkeypatch.setattr("als_core.studies.turrisi2024.radiomics.radiomic_features", None)
    monkeypatch.setattr(network, "state_dict", turrisi.extractor("random")[0].state_dict)
    for name, table in turrisi.measure_features(drawn, network).items():
        pd.testing.assert_frame_equal(table, first[name])


def test_missing_weights_are_named_or_refused(results, monkeypatch):
    def none(network, file=None):
        raise RefusedInput("weights", [Problem("network", "no answer", "weights", "Go online.")])

    monkeypatch.setattr("als_core.studies.brains.networks.load_turrisi_weights", none)
    assert turrisi.extractor("random")[1].startswith("random weights")
    with pytest.raises(RefusedInput):
        turrisi.extractor(None)


def test_varying_leaves_out_only_what_is_constant():
    table = pd.DataFrame({"same": [1.0, 1.0, 1.0], "one": [0.0, 0.0, 1e-9], "other": [1.0, 2.0, 3.0]})
    assert list(turrisi.varying(table)) == ["one", "other"]


def test_group_differences_are_cohens_d():
    positive = np.array([True, True, True, False, False])
    values = pd.DataFrame({"shape_A": [1.0, 2.0, 3.0, 0.0, 2.0]})
    found = turrisi.group_differences({"Radiomics": values}, positive)
    pooled = np.sqrt((2 * 1.0 + 1 * 2.0) / 3)  # variances 1 and 2, with 2 and 1 degrees of freedom
    assert found["d"].tolist() == pytest.approx([(2.0 - 1.0) / pooled])
    assert found["family"].tolist() == ["shape"]


def test_null_cohorts_agree_with_permuted_labels_and_a_leak_is_seen():
    """Fifty null cohorts agree with their permuted labels; a representation that knows the labels does not."""
    generator = np.random.default_rng(0)
    labels = null_labels(30, 50, neighbours=3, seed=1)
    null = replay(
        {"noise": generator.standard_normal((30, 6))}, labels, [turrisi.NULL_METHOD], 0, 3, leaks={}
    )
    assert check_leaks(null)["holds"].all()
    permuted = null.loc[null["protocol"] == PERMUTED, "auc"].to_numpy()
    null.loc[null["protocol"] == "nested", "auc"] = permuted + 0.1 + 0.01 * generator.standard_normal(50)
    assert not check_leaks(null)["holds"].any()


def test_best_methods_go_by_balanced_accuracy():
    metrics = pd.DataFrame(
        {
            "representation": ["a"] * 4 + ["b"] * 2,
            "method": ["x", "x", "y", "y", "x", "y"],
            "balanced_accuracy": [0.5, 0.7, 0.65, 0.65, 0.4, 0.5],
            "f1": [1.0, 1.0, 0.1, 0.1, 1.0, 0.0],
        }
    )
    assert turrisi.best_methods(metrics) == {"a": "y", "b": "y"}


def test_an_effect_beats_always_als_in_balanced_accuracy():
    table = synthetic_feature_table(np.random.default_rng(1), np.arange(90) >= 15, columns=30, effect=4.0)
    methods = [METHODS["SVM (L)"]]
    metrics = fold_metrics(study({"Radiomics": table.features}, table.positive, methods).predictions)
    best = turrisi.best_methods(metrics)["Radiomics"]
    assert metrics.loc[metrics["method"] == best, "balanced_accuracy"].mean() > 0.6


@pytest.mark.slow
def test_fifty_null_cohorts_of_brains_are_at_chance(results):
    """Features measured on brains without any effect, on every representation."""
    amounts = turrisi.TurrisiAmounts(resolution=4, null_fraction=0.05, without_weights="random")
    brains = turrisi.open_null_patients(amounts, seed=0)
    network, _ = turrisi.extractor("random")
    features = {
        name: turrisi.varying(table) for name, table in turrisi.measure_features(brains, network).items()
    }
    labels = null_labels(len(brains), 50, amounts.neighbours, 0)
    arrays = {name: table.to_numpy() for name, table in features.items()}
    checked = check_leaks(replay(arrays, labels, [turrisi.NULL_METHOD], 0, amounts.neighbours, leaks={}))
    assert set(checked["representation"]) == set(turrisi.REPRESENTATIONS)
    assert checked["holds"].all()


def test_control_patients_have_one_scan_each_and_the_sizes_of_the_panagiotaras_pages(results):
    amounts = load_profile("test").amounts("turrisi2024", turrisi.TurrisiAmounts)
    control = turrisi.open_control_patients(amounts, 0)
    assert control.samples["group"].is_unique and (control.samples["visit"] == 0).all()
    assert turrisi.is_positive(control, "AD").sum() == 6 and len(control) == 12
    for profile in ("test", "quick"):
        own = load_profile(profile).amounts("turrisi2024", turrisi.TurrisiAmounts)
        settings = yaml.safe_load((repository() / "profiles" / f"{profile}.yml").read_text())["panagiotaras"]
        assert (own.control_fraction, own.control_effect) == (settings["fractions"][0], settings["effect"])


@pytest.mark.slow
def test_the_control_on_an_oasis_folder_says_what_deep_features_make_of_these_people(
    results, tmp_path, monkeypatch
):
    """From T1-weighted files and the release's table to the sentence on the page, with the extractor as it is."""
    oasis_data(tmp_path)
    monkeypatch.setenv("ALS_DATA", str(tmp_path))
    amounts = load_profile("test").amounts("turrisi2024", turrisi.TurrisiAmounts)
    control = turrisi.open_control_patients(amounts, 0, "oasis1")
    assert control.kind == "published" and control.samples["group"].is_unique
    assert (control.samples["visit"] == 0).all() and (control.samples["diagnosis"] != "").all()
    has_atrophy = turrisi.is_positive(control, "AD")
    assert has_atrophy.sum() == PATIENTS == len(control) - has_atrophy.sum()
    deep = turrisi.measure_deep_features(control, turrisi.extractor("random")[0])
    arrays = {name: turrisi.varying(table).to_numpy() for name, table in deep.items()}
    draws = [has_atrophy] * 3
    replayed = replay(arrays, draws, [turrisi.NULL_METHOD], 0, amounts.neighbours, leaks={})
    by_protocol = replayed.pivot_table(
        index="representation", columns="protocol", values="auc", aggfunc=list, sort=False
    )
    summary = words_features.control_summary(by_protocol, permutation_p_value)
    assert summary["representation"].tolist() == ["DL7", "DL8"] and summary["auc"].between(0, 1).all()
    said = words_features.features_and_control((619, 498), {"DL7": 0.0}, summary, None, random_weights=True)
    assert "drawn" not in said["found"] + said["not_shown"]
    assert f"in {len(control)} people" in words_features.control_caption(has_atrophy, len(draws), None)

    maps = replace(control, about={"title": turrisi.MAPS})
    monkeypatch.setattr(turrisi, "open_brains", lambda *given, **settings: {"1.5T": maps})
    with pytest.raises(RefusedInput, match="T1-weighted scans"):
        turrisi.open_control_patients(amounts, 0, "oasis1")


@pytest.mark.slow
def test_public_deep_features_find_the_atrophy_of_the_positive_control(results, real_data):
    """AUC of DL7 on drawn Alzheimer-like atrophy at the sizes of quick, and no more than chance without atrophy."""
    amounts = load_profile("quick").amounts("turrisi2024", turrisi.TurrisiAmounts)
    network, weights = turrisi.extractor(None)
    assert weights.startswith("public")
    means = {}
    for effect in (amounts.control_effect, 0.0):
        patients = turrisi.open_control_patients(replace(amounts, control_effect=effect), seed=0)
        deep = turrisi.varying(turrisi.measure_deep_features(patients, network)["DL7"]).to_numpy()
        draws = [turrisi.is_positive(patients, "AD")] * 10
        control = replay({"DL7": deep}, draws, [turrisi.NULL_METHOD], 0, amounts.neighbours, leaks={})
        means[effect] = control.groupby("protocol")["auc"].mean()
    assert means[amounts.control_effect]["nested"] > 0.8
    assert abs(means[0.0]["nested"] - 0.5) < 0.25


@pytest.mark.slow
def test_with_the_effect_of_quick_every_representation_beats_always_als(results, real_data):
    """Measured on brains, by the public weights, at the amounts of the quick profile; one method of the eight."""
    amounts = load_profile("quick").amounts("turrisi2024", turrisi.TurrisiAmounts)
    data = turrisi.open_patients("synthetic", amounts, seed=0)
    network, weights = turrisi.extractor(None)
    assert weights.startswith("public")
    measured = turrisi.measure_features(data, network)
    features = {name: turrisi.varying(table) for name, table in measured.items()}
    outcome = study(features, turrisi.is_positive(data), [METHODS["SVM (L)"]], seed=0)
    metrics = fold_metrics(outcome.predictions)
    reached = metrics.groupby("representation")["balanced_accuracy"].mean()
    assert set(reached.index) == set(turrisi.REPRESENTATIONS)
    assert (reached > 0.65).all(), reached
