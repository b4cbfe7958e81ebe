"""Synthetic brains: the plan has the published margins, the effect is where its map says, and nowhere at 0."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from als_core.cohorts.volume_cohort import VolumeCohort
from als_core.cohorts.volumes import Preprocessing, mni_map, preprocess
from als_core.refusal import RefusedInput
from als_core.studies.brains import synthetic as synthetic_brain
from als_core.studies.brains.anatomy import anatomy, coordinates, distance_to_line
from als_core.studies.brains.structures import STRUCTURES, ages_of, thinned
from als_core.studies.brains.synthetic import (
    BrainParameters,
    effect_map,
    make_brains,
    plan,
    pose,
    render,
    render_effect,
    scanner_affine,
    without_effects,
)

QUICK = BrainParameters(structure="panagiotaras-3T", fraction=0.2, seed=7)
ALS = BrainParameters(structure="turrisi2024", fraction=0.05, seed=7)


def changed(row: pd.Series, **cells) -> pd.Series:
    return pd.Series({**row, **cells})


def test_the_slides_tables_come_out_at_full_counts():
    """All 36 cells of both data tables follow from the parts; counts built the cohort and are no result."""
    printed = {
        "panagiotaras-1.5T": {
            "scans": 969,
            "patients": 344,
            "AD": (475, 193),
            "CN": (494, 151),
            "train": (794, 284),
        },
        "panagiotaras-3T": {"scans": 180, "patients": 65, "AD": (88, 37), "CN": (92, 28), "train": (73, 25)},
    }
    for structure, cells in printed.items():
        table = plan(BrainParameters(structure=structure))
        assert (len(table), table["group"].nunique()) == (cells["scans"], cells["patients"])
        for column, value in (("label", "AD"), ("label", "CN"), ("part", "train")):
            rows = table[table[column] == value]
            assert (len(rows), rows["group"].nunique()) == cells[value]
        assert table.groupby("group")["part"].nunique().max() == 1


def test_the_turrisi_margins_come_out_at_full_counts():
    table = plan(BrainParameters(structure="turrisi2024"))
    assert table["group"].is_unique and (table["field_strength"] == 1.5).all()
    printed = {
        "ALS": (548, 318, 64, 12, 20, 95, 65, 171, 84),
        "mimicking": (106, 72, 60, 15, 17, 85, 62, 42, 14),
    }
    for label, (count, men, mean, sd, least, most, median, young, old) in printed.items():
        rows = table[table["label"] == label]
        age = rows["age"]
        assert (len(rows), (rows["sex"] == "M").sum()) == (count, men)
        assert (round(age.mean()), round(age.std()), round(age.median())) == (mean, sd, median)
        assert (age.min(), age.max(), (age < 60).sum(), (age > 75).sum()) == (least, most, young, old)
    assert sorted(table.loc[table["label"] == "mimicking", "diagnosis"].value_counts()) == [6, 10, 28, 62]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_fraction_keeps_every_margins_shares(structure):
    whole, part = (plan(BrainParameters(structure=structure, fraction=share)) for share in (1, 0.5))
    for column in ("label", "sex", "diagnosis", "part"):
        shares = [
            table.drop_duplicates("group")[column].value_counts(normalize=True) for table in (whole, part)
        ]
        pd.testing.assert_series_equal(*shares, check_like=True, atol=0.04, rtol=0)
    assert part["age"].mean() == pytest.approx(whole["age"].mean(), abs=1)
    assert len(part) / part["group"].nunique() == pytest.approx(
        len(whole) / whole["group"].nunique(), abs=0.15
    )
    assert part.groupby("group")[["label", "sex"]].nunique().to_numpy().max() == 1


def test_ages_and_thinning_by_hand():
    ages = ages_of(replace(STRUCTURES["turrisi2024"].arms[1].ages), 106)
    assert (np.diff(ages) >= 0).all() and (ages * 10 == np.round(ages * 10)).all()
    assert thinned(np.arange(10), 5).tolist() == [1, 3, 5, 7, 9]
    assert thinned(np.arange(10), 10).tolist() == list(range(10))


def render_all(parameters, table):
    return np.stack([render(parameters, row) for _, row in table.iterrows()])


def test_any_subset_renders_the_same_volumes():
    table = plan(QUICK)
    some = [9, 2, 5]
    all_of_them = render_all(QUICK, table.iloc[:10])
    assert np.array_equal(render_all(QUICK, table.iloc[some]), all_of_them[some])
    assert not np.array_equal(render(replace(QUICK, seed=8), table.iloc[2]), all_of_them[2])


def test_without_an_effect_no_volume_depends_on_its_label():
    """Labels permuted: every bit stays. With an effect, exactly those that become or cease to be ill change."""
    for parameters in (QUICK, ALS):
        table = plan(parameters).groupby("label").head(4)
        swapped = table.assign(label=table["label"].to_numpy()[::-1])
        silent = replace(parameters, effect=0.0)
        assert np.array_equal(render_all(silent, table), render_all(silent, swapped))
        assert not effect_map(silent, swapped["label"].iloc[0]).any()
        other = (render_all(parameters, table) != render_all(parameters, swapped)).any(axis=(1, 2, 3))
        assert other.all()


def test_the_null_cohort_depends_on_neither_label_nor_age_nor_sex():
    table = plan(ALS).head(6)
    other = table.assign(label="mimicking", age=30.0, sex=table["sex"].map({"M": "F", "F": "M"}))
    silent = without_effects(ALS)
    assert np.array_equal(render_all(silent, table), render_all(silent, other))
    for column in ("age", "sex"):
        mixed = table.assign(**{column: other[column]})
        assert not np.array_equal(render(replace(ALS, effect=0.0), table.iloc[0]),
                                  render(replace(ALS, effect=0.0), mixed.iloc[0]))  # fmt: skip


@pytest.mark.parametrize(("parameters", "label"), [(QUICK, "AD"), (ALS, "ALS")], ids=["AD", "ALS"])
def test_the_effect_is_where_its_map_says(parameters, label):
    row = plan(parameters).query("label == @label").iloc[0]
    ill, well = (render(parameters, changed(row, label=name)) for name in (label, "CN"))
    true = render_effect(parameters, row)
    assert true.max() > 0.03
    # both scans have the same noise, bias and gain: outside the map they are the same scan
    assert np.abs(ill - well)[true == 0].max() < 1e-3
    assert np.abs(ill - well)[true > 0.02].min() > 0
    assert (ill - well)[true > 0.02].max() < 0  # grey to fluid, white to darker: never brighter
    assert not render_effect(parameters, changed(row, label="CN")).any()


def test_the_effect_lies_in_the_anatomy_it_is_named_after(real_data):
    atlas = pytest.importorskip("als_core.studies.brains.atlas").available_atlas(2)
    parts = {
        "AD": ("Hippocampus", "Parahippocampal", "Amygdala", "Fusiform", "Temporal pole"),
        "ALS": ("Precentral", "Postcentral", "Paracentral", "Rolandic"),
    }
    for parameters, label in ((replace(QUICK, resolution=2), "AD"), (replace(ALS, resolution=2), "ALS")):
        weight = effect_map(parameters, label)
        body = anatomy(2)
        cortex = weight * (body.grey > 0.5) * (body.ventricles > 6)
        named = [number for number, name in atlas.names.items() if name.startswith(parts[label])]
        known = atlas.labels > 0
        share = cortex[np.isin(atlas.labels, named)].sum() / cortex[known].sum()
        assert share > 0.75, (label, share)


def test_disease_progresses_and_grows_with_effect():
    row = plan(QUICK).query("label == 'AD'").iloc[0]
    amounts = [
        render_effect(replace(QUICK, effect=effect), changed(row, visit=visit)).sum()
        for effect, visit in ((0.5, 0), (1, 0), (1, 1), (1, 3), (2, 3))
    ]
    assert (np.diff(amounts) > 0).all()


def test_age_takes_grey_matter_and_widens_ventricles():
    quiet = replace(QUICK, effect=0.0)
    row = plan(quiet).iloc[0]
    young, old = (synthetic_brain._signal(anatomy(4), quiet, changed(row, age=age),
                                          synthetic_brain.SCANNERS[3.0], 0.0) for age in (40.0, 90.0))  # fmt: skip
    assert (old <= young + 1e-6).all() and (young - old).sum() > 0
    near = np.abs(anatomy(4).ventricles) < 4
    assert (young - old)[near].mean() > 3 * (young - old)[anatomy(4).grey > 0.5].mean()


def test_field_strength_sets_contrast_and_noise():
    row = plan(QUICK).iloc[0]
    body = anatomy(4)
    bent = replace(QUICK, effect=0.0)
    found = {}
    for tesla in (1.5, 3.0):
        scan = render(bent, changed(row, field_strength=tesla))
        white, grey = (np.median(scan[share > 0.9]) for share in (body.white, body.grey))
        found[tesla] = (white - grey) / white
    assert found[3.0] > found[1.5] > 0.1
    # in air the magnitude of complex noise has mean sd * sqrt(pi / 2)
    head = replace(bent, whole_head=True)
    air = [render(head, changed(row, field_strength=tesla))[0, 0] for tesla in (1.5, 3.0)]
    gains = [100.0 * np.exp(0.15 * draw) for draw in [_gain(head, row)] * 2]
    for values, gain, tesla in zip(air, gains, (1.5, 3.0), strict=True):
        sd = synthetic_brain.SCANNERS[tesla].noise / 4**1.5
        assert values.mean() / gain == pytest.approx(sd * np.sqrt(np.pi / 2), rel=0.2)


def _gain(parameters: BrainParameters, row: pd.Series) -> float:
    """The draw of a scan's gain, by going through its generator's draws again."""
    generator = np.random.default_rng(synthetic_brain._stream(parameters, row, visit=True))
    generator.standard_normal()
    synthetic_brain._smooth_field(anatomy(4), synthetic_brain.BIAS_SPACING, 1.0, generator)
    generator.standard_normal((2, *anatomy(4).grey.shape), dtype=np.float32)
    return generator.standard_normal()


def test_visits_of_one_patient_are_more_alike_than_patients():
    table = plan(QUICK).query("label == 'CN'").groupby("group").head(2).iloc[:8]
    scans = render_all(QUICK, table).reshape(8, -1)
    alike = np.corrcoef(scans)
    same = table["group"].to_numpy()[:, None] == table["group"].to_numpy()
    assert alike[same & ~np.eye(8, dtype=bool)].min() > alike[~same].max()


def test_a_smooth_field_has_the_sd_it_is_given():
    generator = np.random.default_rng(0)
    fields = [synthetic_brain._smooth_field(anatomy(4), 16.0, 1.5, generator) for _ in range(40)]
    assert np.std(fields) == pytest.approx(1.5, rel=0.03)
    assert np.mean(fields) == pytest.approx(0, abs=0.02)


def test_distance_to_a_line_against_dense_points_on_it():
    points = ((10, 0, 0), (20, 10, 5), (20, 30, 5))
    mesh = coordinates(np.diag([3.0, 3.0, 3.0, 1]) + np.array([[0, 0, 0, -30]] * 3 + [[0] * 4]), (20, 20, 12))
    found = distance_to_line(mesh, points)
    steps = np.linspace(0, 1, 400)[:, None]
    dense = np.concatenate([np.array(a) + steps * np.subtract(b, a) for a, b in pairwise(points)])
    for voxel in [(0, 0, 0), (19, 3, 4), (7, 15, 11), (12, 12, 2)]:
        place = np.array([abs(mesh[0][voxel[0], 0, 0]), mesh[1][0, voxel[1], 0], mesh[2][0, 0, voxel[2]]])
        assert found[voxel] == pytest.approx(np.linalg.norm(dense - place, axis=1).min(), abs=0.02)


def test_tissue_fills_the_brain_and_the_ventricles_are_fluid():
    body = anatomy(2)
    total = body.white + body.grey + body.fluid
    assert total.max() < 1.001 and total[body.outside > 6].max() < 0.05
    assert body.fluid[body.ventricles < -2].mean() > 0.95
    assert 8 < (body.ventricles < 0).sum() * 8 / 1000 < 25  # ml; adults have about 10 to 40 with age
    assert {name: (place > 0.5).sum() * 8 / 1000 > 5 for name, place in body.places.items()} == dict.fromkeys(
        body.places, True
    )


def test_a_whole_head_has_a_rigid_pose_that_registration_undoes():
    parameters = replace(QUICK, whole_head=True, resolution=2, effect=0.0)
    row = plan(parameters).iloc[0]
    motion = pose(parameters, row)
    np.testing.assert_allclose(motion[:3, :3] @ motion[:3, :3].T, np.eye(3), atol=1e-12)
    assert not np.array_equal(motion, pose(parameters, changed(row, visit=5)))
    assert np.array_equal(pose(replace(parameters, whole_head=False), row), np.eye(4))
    scan = render(parameters, row)
    assert (scan[:2] > 0).all()  # noise in the air
    image = nibabel.Nifti1Image(scan, scanner_affine(parameters, row))
    done = preprocess(image, Preprocessing(4))
    assert max(done.record[0]["oblique_degrees"]) > 1
    # what is left after undoing the pose is the size that bending and registration settle on
    left = np.linalg.solve(motion, np.array(done.record[1]["matrix"])) @ [
        [0, 40, 0],
        [-20, -60, 30],
        [10, 40, 60],
        [1, 1, 1],
    ]
    assert np.abs(left[:3] - [[0, 40, 0], [-20, -60, 30], [10, 40, 60]]).max() < 6  # mm
    bare = render(replace(parameters, whole_head=False, resolution=4), row)
    brain = np.asarray(done.image.dataobj)
    assert np.corrcoef(brain[done.brain], bare[done.brain])[0, 1] > 0.8


def test_the_folder_is_a_cohort_and_is_whole_or_absent(tmp_path: Path, monkeypatch):
    folder = make_brains(tmp_path / "brains", replace(QUICK, fraction=0.1), progress=False)
    cohort = VolumeCohort.load(folder, Preprocessing(4, "already"), kind="synthetic")
    parameters = replace(QUICK, fraction=0.1)
    table = plan(parameters)
    assert len(cohort) == len(table) and cohort.classes == ("AD", "CN")
    stored = nibabel.load(folder / table["path"][0]).get_fdata()
    rendered = render(parameters, table.iloc[0])
    np.testing.assert_allclose(stored, rendered, atol=rendered.max() / 2**14)
    np.testing.assert_allclose(cohort.effect(0), render_effect(parameters, table.iloc[0]), atol=1e-4)
    with pytest.raises(RefusedInput, match="a folder that exists"):
        make_brains(folder, QUICK, progress=False)

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic_brain, "render_effect", broken)
    with pytest.raises(KeyboardInterrupt):
        make_brains(tmp_path / "half", QUICK, progress=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["brains"]


def test_wrong_parameters_are_refused_all_at_once():
    with pytest.raises(RefusedInput) as refusal:
        BrainParameters(structure="adni", fraction=0.0, resolution=5, effect=-1.0)
    assert [problem.where for problem in refusal.value.problems] == [
        "structure",
        "fraction",
        "resolution",
        "effect",
    ]


def test_the_regional_effect_can_be_found_and_only_where_it_is():
    """Mean signal inside the true map tells AD from CN; with the effect off it does not."""
    areas = {}
    inside = effect_map(QUICK, "AD") > 0.05
    brain = np.asarray(mni_map("t1", 4).dataobj) > 0.3
    for effect in (0.0, 2.0):
        parameters = replace(QUICK, fraction=0.8, effect=effect, age_effect=0.0)
        table = plan(parameters).drop_duplicates("group")
        scans = render_all(parameters, table)
        feature = scans[:, inside].mean(axis=1) / scans[:, brain].mean(axis=1)
        ill = (table["label"] == "AD").to_numpy()
        areas[effect] = np.mean(feature[ill][:, None] < feature[~ill])
    assert areas[2.0] > 0.9
    assert 0.25 < areas[0.0] < 0.75  # 30 against 22 patients: the sd of a null area is 0.08
