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
