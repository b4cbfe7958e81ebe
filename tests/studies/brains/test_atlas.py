"""Atlases: the small parcellation covers the brain and agrees with AAL where both have an area."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from als_core.cohorts.volumes import mni_map
from als_core.refusal import RefusedInput
from als_core.studies.brains.anatomy import anatomy
from als_core.studies.brains.atlas import (
    AREAS,
    LOCAL_AAL,
    SMALL_SOURCE,
    area_name,
    available_atlas,
    fetch_aal,
    open_atlas,
    small_atlas,
)


@pytest.mark.parametrize("resolution", [2, 3, 4])
def test_the_small_parcellation_covers_the_brain_and_is_symmetric(resolution):
    atlas, body = small_atlas(resolution), anatomy(resolution)
    assert atlas.labels.shape == mni_map("t1", resolution).shape and atlas.labels.dtype == np.int32
    assert (
        len(atlas.names) == 2 * (len(AREAS) + 1) - 1 == 27
    )  # areas of AREAS and the ventricles, on both sides but one
    assert set(np.unique(atlas.labels)) == {0, *atlas.names}
    assert "boxes" in atlas.source
    tissue = body.grey + body.white > 0.5
    assert (atlas.labels[tissue] > 0).mean() > 0.95
    assert not atlas.labels[body.grey + body.white + body.fluid < 0.5].any()
    sizes = atlas.sizes()
    for name in AREAS:
        if f"{name}, left" in sizes:
            # the plane between the halves lies on a voxel, which is the right one's
            assert sizes[f"{name}, left"] == pytest.approx(sizes[f"{name}, right"], rel=0.25), name
    assert 900 < sum(sizes.values()) < 1900  # ml


def test_sizes_by_hand():
    atlas = small_atlas(4)
    number, name = next(iter(atlas.names.items()))
    assert atlas.sizes()[name] == pytest.approx((atlas.labels == number).sum() * 0.064)


def test_the_small_parcellation_agrees_with_aal(real_data):
    """Of each AAL area's grey matter, the share that lies in the small area of its kind."""
    aal, small, grey = available_atlas(2), small_atlas(2), anatomy(2).grey > 0.5
    assert aal.source.startswith("AAL") and "boxes" not in aal.source
    kinds = {
        "Hippocampus": "Medial temporal",
        "Amygdala": "Medial temporal",
        "Precentral gyrus": "Sensorimotor",
        "Thalamus": "Deep grey",
        "Insula": "Insula",
        "Middle temporal gyrus": "Lateral temporal",
        "Calcarine cortex": "Occipital",
        "Middle frontal gyrus": "Frontal",
        "Cerebellum, lobule 8": "Cerebellum",
    }
    for theirs, ours in kinds.items():
        for side in ("left", "right"):
            (number,) = (n for n, name in aal.names.items() if name == f"{theirs}, {side}")
            (own,) = (n for n, name in small.names.items() if name == f"{ours}, {side}")
            where = (aal.labels == number) & grey & (small.labels > 0)
            assert (small.labels[where] == own).mean() > 0.5, (theirs, side)


def test_what_is_available_is_said(monkeypatch):
    monkeypatch.delenv("ALS_DATA", raising=False)
    assert available_atlas(4).source == SMALL_SOURCE


def test_areas_have_names_for_people(real_data):
    assert area_name("Cerebelum_4_5_L") == "Cerebellum, lobule 4 and 5, left"
    assert area_name("Cerebelum_Crus1_R") == "Cerebellum, crus 1, right"
    assert area_name("Vermis_10") == "Vermis, lobule 10" and area_name("Other_L") == "Other_L"
    lines = (real_data / LOCAL_AAL[1]).read_text(encoding="utf-8").split()[1::2]
    assert len({area_name(code) for code in lines}) == len(lines) == 116
    assert not any("_" in area_name(code) for code in lines)
    with pytest.raises(RefusedInput, match="'available' or 'aal'"):
        open_atlas("mine", 4)


def test_local_aal_sits_where_it_should(real_data):
    assert all((real_data / name).is_file() for name in LOCAL_AAL)
    atlas = available_atlas(4)
    names = {name: number for number, name in atlas.names.items()}
    for side, sign in (("left", -1), ("right", 1)):
        voxels = np.argwhere(atlas.labels == names[f"Hippocampus, {side}"])
        centre = atlas.affine @ [*voxels.mean(axis=0), 1]
        assert np.linalg.norm(centre[:3] - [sign * 27, -22, -12]) < 8  # mm; the hippocampus in MNI space


def test_nilearns_fetcher_is_used_as_it_stores_aal(tmp_path):
    """What the fetcher finds already downloaded needs no network."""
    folder = tmp_path / "aal_SPM12" / "aal" / "atlas"
    folder.mkdir(parents=True)
    grid = mni_map("t1", 4)
    labels = np.zeros(grid.shape, dtype=np.int16)
    labels[20:25, 20:25, 20:25], labels[30:35, 20:25, 20:25] = 2001, 4101
    nibabel.save(nibabel.Nifti1Image(labels, grid.affine), folder / "AAL.nii")
    entries = [(2001, "Precentral_L"), (4101, "Hippocampus_L")]
    lines = "".join(f"<label><index>{number}</index><name>{name}</name></label>" for number, name in entries)
    (folder / "AAL.xml").write_text(f"<atlas><data>{lines}</data></atlas>", encoding="utf-8")
    atlas = fetch_aal(4, tmp_path)
    assert atlas.names == {2001: "Precentral gyrus, left", 4101: "Hippocampus, left"}
    assert np.array_equal(atlas.labels, labels)


def test_an_unreachable_atlas_is_refused_with_a_way_on(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RefusedInput, match="set areas to 'available'"):
        fetch_aal(4, tmp_path)
