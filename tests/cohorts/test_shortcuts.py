"""One property predicts the label of groups that were left out, against labels permuted over groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from own_data import texture
from scipy.stats import rankdata
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.neighbors import NearestCentroid

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.shortcuts import _left_out_accuracy, measure, shortcut_notices, shortcut_report
from als_core.cohorts.sources import local_folder, sources


def samples(groups: int = 16, fields: int = 3, mixed: bool = False) -> pd.DataFrame:
    number = np.arange(groups * fields)
    label = number % 2 if mixed else number // fields % 2
    return pd.DataFrame(
        {"label": np.array(["als", "control"])[label], "group": [f"d{n // fields}" for n in number]}
    )


def test_the_accuracy_is_that_of_nearest_centroids_of_the_other_groups():
    generator = np.random.default_rng(0)
    for _ in range(20):
        groups, labels = generator.integers(0, 7, 40), generator.integers(0, 3, 40)
        values = generator.normal(size=40) + labels
        ranks, right = rankdata(values)[:, None], np.zeros(40)
        for train, test in LeaveOneGroupOut().split(ranks, labels, groups):
            model = NearestCentroid().fit(ranks[train], labels[train])
            right[test] = model.predict(ranks[test]) == labels[test]
        expected = np.mean([right[labels == label].mean() for label in range(3)])
        assert _left_out_accuracy(values, labels, np.unique(groups, return_inverse=True)[1]) == pytest.approx(
            expected
        )


@pytest.mark.parametrize("mixed", [False, True])
def test_a_property_of_the_label_is_named_and_noise_is_not(mixed):
    table = samples(mixed=mixed)
    table["age"] = np.random.default_rng(0).normal(60, 10, len(table)).round(1)
    table["site"] = np.random.default_rng(1).choice(["Leeds", "York"], len(table))
    noise = np.random.default_rng(2).normal(size=len(table))
    measures = pd.DataFrame({"sharpness": noise + 4 * (table["label"] == "als"), "brightness": noise})
    report = shortcut_report(table, measures).set_index("property")
    assert report.index[report["named"]].tolist() == ["sharpness"]
    assert set(report.index) == {"sharpness", "brightness", "age", "site"}
    assert report["groups"].eq(16).all() and report.loc["sharpness", "accuracy"] > 0.9
    assert shortcut_notices(report.reset_index())[0].startswith("Sharpness alone predicts the label of")


def test_noise_is_named_no_more_often_than_the_level_says():
    table = samples(groups=12, fields=1)
    named = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        measures = pd.DataFrame(
            generator.normal(size=(12, 4)), columns=["sharpness", "brightness", "red", "blue"]
        )
        named += shortcut_report(table, measures, permutations=99, seed=seed)["named"].any()
    assert named <= 6  # of 40 at the level 0.05: more has a probability of 0.01


def test_a_category_that_coincides_with_the_label_is_named_however_few_the_groups():
    table = samples(groups=4)
    measures = pd.DataFrame(
        {"file_type": np.where(table["label"] == "als", "JPEG", "PNG"), "sharpness": range(12)}
    )
    assert shortcut_report(table, measures).query("named")["property"].tolist() == ["file type"]


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Measures that say nothing of the label."""
    return pd.DataFrame({"brightness": np.random.default_rng(3).normal(size=len(table))})


@pytest.mark.parametrize("missing", ["", "NA", "unknown"])
@pytest.mark.parametrize(("fields", "groups_with_a_value"), [(1, 39), (3, 40)])
def test_a_cell_without_a_value_leaves_a_numeric_covariate_in_the_test(missing, fields, groups_with_a_value):
    table = samples(groups=40, fields=fields)
    age = np.where(table["label"] == "als", 70, 50) + np.arange(len(table)) % 7
    table["age"] = age.astype(str)
    table.loc[5, "age"] = missing
    report = shortcut_report(table, plain(table), permutations=99).set_index("property")
    assert report.loc["age", ["named", "accuracy", "groups", "missing"]].tolist() == [
        True,
        1,
        groups_with_a_value,
        1,
    ]
    assert report.loc["brightness", ["groups", "missing"]].tolist() == [40, 0]
    predicts, without = shortcut_notices(report.reset_index())
    assert predicts.startswith("Age alone predicts") and without.startswith("No value of age in 1 sample: ")


def test_a_covariate_that_few_samples_have_is_not_named_for_chance_and_hides_no_other():
    table = samples(groups=40, fields=1)
    table["age"] = np.where(table["label"] == "als", "70", "50")
    named = 0
    for seed in range(20):
        weight = np.random.default_rng(seed).normal(80, 9, 40).astype(str)
        weight[4:] = ""
        report = shortcut_report(table.assign(weight=weight), plain(table), permutations=99, seed=seed)
        assert report.set_index("property").loc["age", "named"]
        named += report.set_index("property").loc["weight", "named"]
    assert named <= 3  # of 20 at the level 0.05: more has a probability of 0.02


def test_a_covariate_that_one_label_lacks_is_named_by_its_absence():
    table = samples(groups=8, fields=1)
    table["onset"] = np.where(table["label"] == "als", 60 + np.arange(8), "")
    report = shortcut_report(table, plain(table), permutations=99)
    assert report.query("named")["property"].tolist() == ["onset"]


def test_measures_say_what_they_are_called():
    pixels = texture(0)
    plain = measure(pixels, "PNG", (72, 72), 5184)
    assert plain["file_type"] == "PNG" and plain["image_size"] == "72 x 72" and plain["bytes_per_pixel"] == 1
    blurred = measure(np.full_like(pixels, 90), "PNG", (72, 72), 5184)
    assert blurred["sharpness"] == 0 and plain["sharpness"] > 5 and blurred["brightness"] == 90
    marked = pixels.copy()
    marked[:8, :8] = 255
    assert measure(marked, "PNG", (72, 72), 1)["corners"] > plain["corners"] + 10
    assert measure(pixels[..., ::-1].copy(), "PNG", (72, 72), 1)["red"] == pytest.approx(plain["blue"])


def test_sharpness_tells_the_labels_of_the_published_images(real_data):
    source = sources()["xia2024"]
    if not (folder := local_folder("xia2024", source)):
        pytest.skip("real data absent: xia2024")
    cohort = Cohort.load(folder, name="xia2024", kind="published", manifest=source.manifest)
    named = cohort.shortcuts.query("named").set_index("property")
    assert "sharpness" in named.index and named["groups"].eq(15).all()
    assert named.loc["sharpness", "accuracy"] > 2 * named.loc["sharpness", "chance"]
