"""Synthetic tissue: structure, determinism, exact zeros of each effect, mask, and signal against no signal."""

import json
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from als_core.refusal import RefusedInput
from als_core.studies.xia2024 import synthetic as synthetic_tissue
from als_core.studies.xia2024.staining import separate_stains
from als_core.studies.xia2024.synthetic import (
    TissueParameters,
    cohort_key,
    make_synthetic_tissue,
    plan,
    render_field,
    synthetic_tissue_arrays,
)

SMALL = TissueParameters(side=64, donors_per_class=2, donors_with_both_regions=1, fields_per_slide=2)


def rendered(parameters, table, seed=0):
    images, masks = zip(*(render_field(parameters, row, seed) for row in table.itertuples()), strict=True)
    return np.stack(images), np.stack(masks)


def test_the_plan_has_the_structure_of_the_authors_images():
    table = plan(TissueParameters())
    assert table["label"].value_counts().to_dict() == {"control": 70, "concordant": 60, "discordant": 60}
    assert table["group"].nunique() == 15
    assert table.groupby("label")["group"].nunique().tolist() == [5, 5, 5]
    assert table["slide"].value_counts().tolist() == [10] * 19
    assert table.groupby("label")["slide"].nunique().to_dict() == {
        "control": 7,
        "concordant": 6,
        "discordant": 6,
    }
    assert (table.groupby("group")["region"].nunique() == 2).sum() == 4
    assert (table.groupby("group")["label"].nunique() == 1).all()
    assert table["path"].is_unique and table["mask"].is_unique
    named = table["path"].str.cat([table["group"], table["slide"], table["mask"]])
    assert not named.str.contains("control|cord", case=False).any()


def test_a_field_is_the_same_alone_in_any_order_and_on_any_day():
    images, masks, table = synthetic_tissue_arrays(SMALL, seed=5)
    again, masks_again = rendered(SMALL, table.iloc[::-3], seed=5)
    np.testing.assert_array_equal(again, images[::-3])
    np.testing.assert_array_equal(masks_again, masks[::-3])
    other, _, _ = synthetic_tissue_arrays(SMALL, seed=6)
    assert (other != images).any(axis=(1, 2, 3)).all()


def test_all_fields_differ():
    images, _, _ = synthetic_tissue_arrays(SMALL, seed=0)
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


@pytest.mark.parametrize("side", [64, 200])
def test_without_disease_effect_no_pixel_depends_on_the_label(side):
    parameters = replace(SMALL, disease_effect=0, side=side)
    table = plan(parameters).iloc[::3]
    permuted = table.assign(label=np.random.default_rng(0).permutation(table["label"].to_numpy()))
    assert (permuted["label"] != table["label"]).any()
    images, masks = rendered(parameters, table)
    images_of_permuted, _ = rendered(parameters, permuted)
    np.testing.assert_array_equal(images_of_permuted, images)
    assert not masks.any()
    with_disease, _ = rendered(replace(parameters, disease_effect=1), table.assign(label="concordant"))
    assert (with_disease != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(("effect", "shared"), [("donor_effect", "group"), ("slide_effect", "slide")])
def test_preparation_depends_on_a_donor_or_slide_by_its_effect_only(effect, shared):
    """The deviation of a field's preparation from its own, effect-free one is common to donor or slide."""
    table = plan(SMALL)
    deviations = {}
    for amount in (0, 0.5, 1):
        both_off = replace(SMALL, donor_effect=0, slide_effect=0)
        parameters = replace(both_off, **{effect: amount})
        fields = list(zip(table["group"], table["slide"], table["path"], strict=True))
        base = np.array([synthetic_tissue._preparation(both_off, field, 0) for field in fields])
        deviations[amount] = (
            np.array([synthetic_tissue._preparation(parameters, f, 0) for f in fields]) - base
        )
    assert not deviations[0].any()
    np.testing.assert_allclose(deviations[1], 2 * deviations[0.5], atol=1e-12)
    by_unit = pd.DataFrame(deviations[1]).groupby(table[shared].to_numpy())
    assert by_unit.std().max().max() < 1e-12
    assert by_unit.first().round(9).drop_duplicates().shape[0] == table[shared].nunique()


def test_between_slides_colour_spread_vanishes_with_its_effects():
    """Variance ratio of mean colour: slides against fields. Near 1 without effects, far above with them."""

    def ratio(effect):
        parameters = TissueParameters(0, effect, effect, side=32, fields_per_slide=4)
        images, _, table = synthetic_tissue_arrays(parameters, seed=1)
        colour = pd.Series(images.mean(axis=(1, 2, 3))).groupby(table["slide"])
        return 4 * colour.mean().var() / colour.var().mean()

    assert ratio(0) < 2  # F(18, 57) exceeds 2 with probability 0.025
    assert ratio(1) > 5


def test_the_mask_is_where_the_sign_changed_the_image_and_nowhere_else():
    parameters = TissueParameters(
        side=400, donors_per_class=1, donors_with_both_regions=0, fields_per_slide=2
    )
    table = plan(parameters)
    images, masks = rendered(parameters, table)
    unaffected, _ = rendered(replace(parameters, disease_effect=0), table)
    control = (table["label"] == "control").to_numpy()
    assert not masks[control].any()
    np.testing.assert_array_equal(images[control], unaffected[control])
    changed = np.abs(images.astype(int) - unaffected).max(axis=3) > 4
    for mask, change in zip(masks[~control], changed[~control], strict=True):
        assert 0.003 < mask.mean() < 0.2
        near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(
            bool
        )  # the lens blurs a pixel or two
        assert not (change & ~near).any()
        assert change[mask].mean() > 0.8


@pytest.mark.parametrize("side", [64, 400])
def test_lesions_are_darker_and_browner_than_their_surround(side):
    parameters = TissueParameters(
        side=side, donors_per_class=1, donors_with_both_regions=0, fields_per_slide=3
    )
    table = plan(parameters).query("label != 'control'")
    width = max(3, side // 40) | 1
    for image, mask in zip(*rendered(parameters, table), strict=True):
        surround = cv2.dilate(mask.astype(np.uint8), np.ones((width, width))).astype(bool) & ~mask
        dab = separate_stains(image)[..., 1]
        assert dab[mask].mean() > dab[surround].mean() + 0.03
        assert image[mask].mean() < image[surround].mean() - 10


def test_more_effect_means_more_sign_and_concordant_has_more_than_discordant():
    share = {}
    for effect in (0.3, 1, 3):
        parameters = replace(SMALL, disease_effect=effect, fields_per_slide=4)
        _, masks, table = synthetic_tissue_arrays(parameters, seed=0)
        share[effect] = pd.Series(masks.mean(axis=(1, 2))).groupby(table["label"]).mean()
    for less, more in pairwise(share.values()):
        assert (more[["concordant", "discordant"]] > less[["concordant", "discordant"]]).all()
    assert all(s["concordant"] > 1.5 * s["discordant"] > s["control"] == 0 for s in share.values())


def test_a_small_image_shows_the_same_field_as_a_large_one():
    row = plan(SMALL).iloc[4]
    large, _ = render_field(replace(SMALL, side=400), row, 0)
    for side in (64, 96, 200):
        small, _ = render_field(replace(SMALL, side=side), row, 0)
        reduced = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
        coarse = [
            cv2.resize(x, (32, 32), interpolation=cv2.INTER_AREA).astype(float) for x in (small, reduced)
        ]
        assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.9
        assert np.abs(small.mean(axis=(0, 1)) - large.mean(axis=(0, 1))).max() < 3


def test_a_folder_holds_what_the_arrays_hold_and_is_replaced_whole(tmp_path):
    folder = tmp_path / "tissue"
    folder.mkdir()
    (folder / "left over.txt").touch()
    make_synthetic_tissue(folder, SMALL, seed=2, progress=False)
    images, masks, table = synthetic_tissue_arrays(SMALL, seed=2)
    manifest = pd.read_csv(folder / "manifest.csv")
    pd.testing.assert_frame_equal(manifest, table, check_dtype=False)
    for i, row in enumerate(manifest.itertuples()):
        np.testing.assert_array_equal(cv2.imread(str(folder / row.path))[..., ::-1], images[i])
        np.testing.assert_array_equal(
            cv2.imread(str(folder / row.mask), cv2.IMREAD_UNCHANGED), masks[i] * 255
        )
    written = json.loads((folder / "parameters.json").read_text())
    assert written["seed"] == 2 and written["side"] == 64
    assert sorted(p.name for p in folder.iterdir()) == ["images", "manifest.csv", "masks", "parameters.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["tissue"]


def test_nothing_is_left_of_a_cohort_that_could_not_be_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imwrite", lambda *_: False)
    with pytest.raises(OSError, match="could not be written"):
        make_synthetic_tissue(tmp_path / "tissue", SMALL, seed=0, progress=False)
    assert not list(tmp_path.iterdir())


def test_the_key_follows_every_argument():
    keys = {cohort_key(SMALL, 0), cohort_key(SMALL, 1), cohort_key(replace(SMALL, donor_effect=2), 0)}
    assert len(keys) == 3 and cohort_key(SMALL, 0) in keys


def test_bad_parameters_are_refused_all_at_once():
    with pytest.raises(RefusedInput) as refusal:
        TissueParameters(
            disease_effect=-1,
            donor_effect=float("nan"),
            slide_effect=float("inf"),
            side=8,
            fields_per_slide=0,
        )
    assert [problem.where for problem in refusal.value.problems] == [
        "disease_effect",
        "donor_effect",
        "slide_effect",
        "side",
        "fields_per_slide",
    ]


def colour_accuracy(seed, **parameters):
    """Accuracy of logistic regression on colour statistics, folds by image and folds by donor."""
    cohort = TissueParameters(side=48, fields_per_slide=4, **parameters)
    images, _, table = synthetic_tissue_arrays(cohort, seed)
    pixels = np.concatenate([images / 255, separate_stains(images)], axis=3).reshape(len(images), -1, 6)
    features = np.hstack(
        [pixels.mean(axis=1), pixels.std(axis=1), *np.percentile(pixels, [5, 50, 95], axis=1)]
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    by_image = StratifiedKFold(5, shuffle=True, random_state=0)
    by_donor = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    labels, donors = table["label"], table["group"]
    return [
        cross_val_score(model, features, labels, cv=by_image).mean(),
        cross_val_score(model, features, labels, cv=by_donor.split(features, labels, donors)).mean(),
    ]


@pytest.mark.slow
def test_signal_no_signal_and_the_leak():
    seeds = range(4)
    null = np.array([colour_accuracy(s, disease_effect=0, donor_effect=0, slide_effect=0) for s in seeds])
    leak = np.array([colour_accuracy(s, disease_effect=0, donor_effect=3, slide_effect=1) for s in seeds])
    sign = np.array([colour_accuracy(s, disease_effect=4, donor_effect=1, slide_effect=1) for s in seeds])
    chance = 7 / 19  # the share of the largest class
    assert null.mean(axis=0).max() < chance + 0.08
    assert leak[:, 0].mean() > chance + 0.15
    assert leak[:, 1].mean() < chance + 0.08
    assert sign.mean(axis=0).min() > chance + 0.3
