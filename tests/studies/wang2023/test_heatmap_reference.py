"""The reader's own reference: a map resampled and thresholded, or peaks turned into one; refused in another space."""

from __future__ import annotations

import nbformat
import nibabel
import numpy as np
import pytest

from als_core.book.execute import PAGE, NotebookFailed, execute
from als_core.cohorts.volumes import mni_map
from als_core.refusal import RefusedInput
from als_core.studies.cross_paper.evaluation_sets import HeatmapAmounts, brain_folds, own_reference
from als_core.studies.wang2023.reference_map import kernel_sd, likelihood_map, read_reference

CENTRE, WIDTH = np.array([-24.0, -20.0, -16.0]), 15.0  # mm; near the left hippocampus


def blob(shape, affine):
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    place = nibabel.affines.apply_affine(affine, index)
    return np.exp(-((place - CENTRE) ** 2).sum(-1) / (2 * WIDTH**2)).astype(np.float32)


def placed(side, corner, count):
    affine = np.diag([side, side, side, 1.0])
    affine[:3, 3] = corner
    return (count, count, count), affine


@pytest.fixture
def grid():
    shape, affine = placed(4.0, (-72, -72, -60), 32)
    return nibabel.Nifti1Image(np.zeros(shape, np.float32), affine)


@pytest.fixture
def save(tmp_path):
    def write(code, scale=1.0):
        shape, affine = placed(3.0, (-80, -75, -70), 50)
        image = nibabel.Nifti1Image(scale * blob(shape, affine), affine)
        image.set_sform(affine, code)
        image.set_qform(affine, 0)
        path = tmp_path / "ale.nii.gz"
        nibabel.save(image, path)
        return path

    return write


def test_a_map_is_resampled_to_the_grid_and_thresholded(save, grid):
    brain = np.ones(grid.shape, dtype=bool)
    brain[:5] = False
    reference = read_reference(save(4), grid, brain, threshold=0.5)
    expected = blob(grid.shape, grid.affine)
    assert np.abs(reference.values - expected).max() < 0.02
    sure = np.abs(expected - 0.5) > 0.02
    assert (reference.truth == ((expected >= 0.5) & brain))[sure].all()
    assert reference.record["voxels"] == reference.truth.sum() > 100
    assert reference.record["space"] == "MNI152" and reference.record["inside_brain"] > 0.9


@pytest.mark.parametrize(("side", "scale"), [("below", -1.0), ("both", -1.0), ("both", 1.0)])
def test_the_side_of_the_effect_is_chosen(side, scale, save, grid):
    brain = np.ones(grid.shape, dtype=bool)
    upward = read_reference(save(4), grid, brain, threshold=0.5).truth
    path = save(4, scale)
    assert (read_reference(path, grid, brain, threshold=0.5, side=side).truth == upward).all()
    if scale < 0:
        with pytest.raises(RefusedInput, match="0 voxels beyond"):
            read_reference(path, grid, brain, threshold=0.5)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5])
def test_another_space_is_refused_unless_stated(code, save, grid):
    brain, path = np.ones(grid.shape, dtype=bool), save(code)
    if code == 0:  # neither the space nor which side is left: not to be stated either
        with pytest.raises(RefusedInput, match="which side is left"):
            read_reference(path, grid, brain, threshold=0.5, space="MNI152")
        return
    with pytest.raises(RefusedInput, match="MNI152 in the header"):
        read_reference(path, grid, brain, threshold=0.5)
    if code == 3:
        with pytest.raises(RefusedInput, match="Talairach"):
            read_reference(path, grid, brain, threshold=0.5, space="MNI152")
    else:
        stated = read_reference(path, grid, brain, threshold=0.5, space="MNI152")
        assert "as stated" in stated.record["space"]


def test_a_map_outside_the_brain_and_bad_settings_are_refused(save, grid):
    elsewhere = np.zeros(grid.shape, dtype=bool)
    elsewhere[25:] = True
    with pytest.raises(RefusedInput, match="0 % of them in the brain"):
        read_reference(save(4), grid, elsewhere, threshold=0.5)
    with pytest.raises(RefusedInput, match="2 problems"):
        read_reference(save(4), grid, elsewhere[:5], threshold=-1)
    with pytest.raises(RefusedInput, match="no such file"):
        read_reference("nowhere.nii", grid, elsewhere, threshold=0.5)


def test_a_peak_is_as_uncertain_as_subjects_and_templates_are():
    """Places with this sd along each axis lie, on average, as far from their centre as published (mm)."""
    draws = np.random.default_rng(0).standard_normal((200_000, 3))
    large = float(kernel_sd(1e12))  # many subjects: templates alone
    assert np.linalg.norm(large * draws, axis=1).mean() == pytest.approx(5.7, rel=0.01)
    subjects = np.sqrt(kernel_sd(1) ** 2 - large**2)
    assert np.linalg.norm(subjects * draws, axis=1).mean() == pytest.approx(11.6, rel=0.01)
    # full width at half maximum of 20 subjects, as GingerALE and NiMARE have it
    assert 2 * np.sqrt(2 * np.log(2)) * kernel_sd(20) == pytest.approx(9.24, abs=0.01)


def test_studies_join_as_chances_and_the_null_has_its_share(grid):
    brain = np.ones(grid.shape, dtype=bool)
    peak = np.array([[-24.0, -20.0, -16.0]])
    one, critical = likelihood_map([(peak, 20.0)], grid, brain, 0.01)
    assert one.sum() == pytest.approx(1, rel=0.02)  # the chance that the peak is anywhere
    assert nibabel.affines.apply_affine(
        grid.affine, np.unravel_index(one.argmax(), one.shape)
    ) == pytest.approx(peak[0])
    assert (one >= critical).mean() == pytest.approx(0.01, abs=0.002)
    twice, _ = likelihood_map([(peak, 20.0)] * 2, grid, brain, 0.01)
    np.testing.assert_allclose(twice, 1 - (1 - one.astype(float)) ** 2, atol=1e-6)
    same, _ = likelihood_map([(np.repeat(peak, 3, axis=0), 20.0)], grid, brain, 0.01)
    assert np.array_equal(same, one)  # of one study the strongest peak counts


def test_peaks_become_a_reference_where_they_cluster(grid, tmp_path):
    brain, path = np.ones(grid.shape, dtype=bool), tmp_path / "peaks.csv"
    near = [f"{-24 + shift},{-20},{-16},{n},s{n}" for shift, n in ((0, 12), (4, 30), (-4, 80))]
    path.write_text("\n".join(["x,y,z,n,study", *near, "40,20,30,15,other"]))
    found = read_reference(path, grid, brain, threshold=0.0001, space="MNI152")  # no single peak reaches it
    places = nibabel.affines.apply_affine(grid.affine, np.argwhere(found.truth))
    assert found.truth.any() and np.linalg.norm(places - CENTRE, axis=1).max() < 20
    assert (found.record["peaks"], found.record["studies"]) == (4, 4)
    path.write_text("x,y,z\n-24,-20,-16\n-22,-20,-16\n-26,-20,-16\n")
    assert read_reference(path, grid, brain, threshold=0.001, space="MNI152").truth.any()


def test_peaks_without_a_space_or_with_wrong_cells_are_refused(grid, tmp_path):
    brain, path = np.ones(grid.shape, dtype=bool), tmp_path / "peaks.csv"
    path.write_text("x,y,z,n\n-24,-20,-16,20\n")
    with pytest.raises(RefusedInput, match="coordinates without a space"):
        read_reference(path, grid, brain, threshold=0.001)
    with pytest.raises(RefusedInput, match="a p value, above 0 and below 1"):
        read_reference(path, grid, brain, threshold=5, space="MNI152")
    path.write_text("x,y,z,n\n-24,-20,left,0\n-24,-200,-16,20\n")
    with pytest.raises(RefusedInput) as refusal:
        read_reference(path, grid, brain, threshold=0.001, space="MNI152")
    assert sorted((problem.row, problem.found) for problem in refusal.value.problems) == [
        (2, "'0'"), (2, "'left'"), (3, "'-200'"),
    ]  # fmt: skip
    path.write_text("x,y\n1,2\n")
    with pytest.raises(RefusedInput, match="a column `z`"):
        read_reference(path, grid, brain, threshold=0.001, space="MNI152")


@pytest.fixture
def ale(tmp_path):
    """A reader's map around the left hippocampus, on the whole MNI grid at 2 mm, with other units than ours."""
    grid = mni_map("t1", 2)
    image = nibabel.Nifti1Image(0.05 * blob(grid.shape, grid.affine), grid.affine)
    image.set_sform(grid.affine, 4)
    path = tmp_path / "my_ale.nii.gz"
    nibabel.save(image, path)
    return path


AMOUNTS = HeatmapAmounts(resolution=4, variant="small", fraction=0.01, epochs=1, folds=2)


def test_a_readers_map_lies_on_the_heatmaps_grid(ale):
    found = own_reference(ale, AMOUNTS, threshold=0.03)
    box = AMOUNTS.volumes.box
    expected = 0.05 * blob(mni_map("t1", 4).shape, mni_map("t1", 4).affine)[box]
    assert found.truth.shape == found.values.shape == expected.shape
    assert np.abs(found.values - expected).max() < 0.004
    assert found.truth.any() and (expected[found.truth] > 0.025).all()


@pytest.mark.slow
def test_a_readers_map_takes_the_place_of_the_truth(ale, tmp_path):
    reference = own_reference(ale, AMOUNTS, threshold=0.03).truth
    subjects = next(iter(brain_folds(AMOUNTS, 0, reference))).subjects
    assert all((truth == reference & subjects.within).all() for truth in subjects.truths)

    given = {"profile": "test", "reference": str(ale), "reference_threshold": 0.03}
    execute("wang2023/01_overlap", tmp_path / "page", given, "none")
    page = "\n".join(cell.source for cell in nbformat.read(tmp_path / "page" / PAGE, as_version=4).cells)
    assert "Compared with a map of your own" in page and "my_ale.nii.gz" in page
    assert "Overlap with the true effect" not in page and str(ale.parent) not in page
    with pytest.raises(NotebookFailed, match="beyond the threshold"):
        execute("wang2023/01_overlap", tmp_path / "page", given | {"reference_threshold": 9.0}, "none")
