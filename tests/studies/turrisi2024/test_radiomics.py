"""Radiomic features against PyRadiomics 3.0.1 (stored), and against their definitions written out."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
from radiomics_oracle import SPACING, TABLE, oracle_volume

from als_core.refusal import RefusedInput
from als_core.studies.turrisi2024 import radiomics
from als_core.studies.turrisi2024.radiomics import (
    FAMILIES,
    NAMES,
    RadiomicSettings,
    radiomic_features,
    radiomic_table,
)

ORACLE = pd.read_csv(TABLE, index_col="feature")
# A 2 x 2 x 2 block whose corners are in and out crosswise can be cut by triangles in more than one way.
# scikit-image (Lewiner 2003) keeps the surface closed; PyRadiomics uses the table of 1987. Only the mesh differs.
AMBIGUOUS_MESH = "shape_" + pd.Index(["MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity"])


def relative_error(column: str, settings: RadiomicSettings | None = None) -> pd.Series:
    mask_kind = "ragged" if column == "ragged" else "smooth"
    values = radiomic_features(*oracle_volume(mask_kind), SPACING, settings)
    return (values - ORACLE[column]).abs() / ORACLE[column].abs()


def test_names_and_families_are_those_of_pyradiomics():
    assert {family: len(names) for family, names in FAMILIES.items()} == {
        "firstorder": 18,
        "shape": 14,
        "glcm": 24,
        "gldm": 14,
        "glrlm": 16,
        "glszm": 16,
        "ngtdm": 5,
    }
    assert len(set(NAMES)) == 107
    assert set(NAMES) == set(ORACLE.index)


def test_all_107_equal_pyradiomics():
    error = relative_error("smooth")
    assert len(error) == 107
    assert error.max() < 1e-6, error.nlargest(5)


def test_all_107_equal_pyradiomics_on_normalised_intensities():
    error = relative_error("normalised", RadiomicSettings(normalised_sd=100.0))
    assert len(error) == 107
    assert error.max() < 1e-6, error.nlargest(5)


def test_a_ragged_mask_differs_in_the_mesh_alone():
    error = relative_error("ragged")
    assert error.drop(AMBIGUOUS_MESH).max() < 1e-6
    assert error[AMBIGUOUS_MESH].between(1e-6, 0.05).all()


def test_the_mesh_of_a_ragged_mask_is_closed_and_its_volume_is_the_sum_of_tetrahedra():
    """The check of what PyRadiomics cannot check: every edge has two triangles; V and A written out."""
    from skimage.measure import marching_cubes

    _, mask = oracle_volume("ragged")
    vertices, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(float), 0.5, spacing=SPACING)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] % 2 == 0).all()
    volume = area = 0.0
    for a, b, c in vertices[faces]:
        volume += np.linalg.det([a, b, c]) / 6
        area += np.linalg.norm(np.cross(b - a, c - a)) / 2
    values = radiomic_features(*oracle_volume("ragged"), SPACING)
    assert values["shape_MeshVolume"] == pytest.approx(abs(volume))
    assert values["shape_SurfaceArea"] == pytest.approx(area)
    assert values["shape_SurfaceVolumeRatio"] == pytest.approx(area / abs(volume))
    assert values["shape_Sphericity"] == pytest.approx(np.cbrt(36 * np.pi * volume**2) / area)


def test_cooccurrence_and_mcc_by_hand():
    levels = np.array([[[1, 2, 2], [0, 1, 2]]])
    counts = radiomics.cooccurrence(levels)
    # along the last axis the pairs are (1,2), (2,2), (1,2); each counted both ways
    assert counts.shape == (13, 2, 2)
    np.testing.assert_array_equal(counts[0], [[0, 2], [2, 2]])
    p = counts[0] / counts[0].sum()
    margin = p.sum(1)
    q = sum(np.outer(p[:, k], p[:, k]) / margin[k] for k in range(2)) / margin[:, None]
    second = np.sort(np.linalg.eigvals(q).real)[0]
    assert radiomics.maximal_correlation(counts[:1]) == pytest.approx(np.sqrt(second))


def test_a_table_is_resumed_and_measured_anew_where_something_changed(tmp_path, monkeypatch):
    volume, mask = oracle_volume("smooth")
    volumes = [volume, volume + 13.0]

    def load(position):
        return volumes[position], mask, SPACING

    first = radiomic_table(["a", "b"], load, tmp_path)
    assert first.index.tolist() == ["a", "b"]
    assert first.columns.tolist() == list(NAMES)
    pd.testing.assert_series_equal(
        first.loc["b"], radiomic_features(*load(1)), check_names=False, check_exact=True
    )
    recorded = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert recorded["settings"] == {"bin_width": 25.0, "normalised_sd": None}

    measured = []
    real = radiomics.radiomic_features
    monkeypatch.setattr(radiomics, "radiomic_features", lambda *a: measured.append(1) or real(*a))
    pd.testing.assert_frame_equal(radiomic_table(["a", "b"], load, tmp_path), first)
    assert measured == []
    volumes[1] = volume + 14.0
    radiomic_table(["a", "b"], load, tmp_path)
    assert len(measured) == 1
    radiomic_table(["a", "b"], load, tmp_path, RadiomicSettings(bin_width=20.0))
    assert len(measured) == 3


def test_measuring_leaves_logging_alone(capfd):
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    radiomic_features(*oracle_volume("smooth"), SPACING)
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)
    assert capfd.readouterr() == ("", "")


VOLUME, MASK = oracle_volume("smooth")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((VOLUME, MASK[1:], SPACING), "same three axes"),
        ((VOLUME, MASK.astype(int), SPACING), "mask > 0"),
        ((VOLUME, MASK, (1, 0, 1)), "three edges in mm"),
        ((np.where(VOLUME > 250, np.nan, VOLUME), MASK, SPACING), "values not finite"),
        ((VOLUME, np.zeros_like(MASK), SPACING), "at least 2 each"),
        ((VOLUME * 0.01, MASK, SPACING), "smaller bin_width"),
        ((VOLUME * 0, MASK, SPACING, RadiomicSettings(normalised_sd=100.0)), "one bin"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, reason):
    with pytest.raises(RefusedInput, match=reason):
        radiomic_features(*arguments)
