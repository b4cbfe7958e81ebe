"""Whatever the bytes are, a reader's input is read or refused, and nothing else happens (property-based).

The examples are derived from the tests themselves (`derandomize`), so that a run is like the last one.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_hostile_inputs import _load_checkpoint, _network

from als_core.cohorts.check import About, check_cells, check_labels, examine_image, placement
from als_core.cohorts.reading import Conversion
from als_core.cohorts.tables import read_table
from als_core.cohorts.volumes import examine_volume
from als_core.refusal import RefusedInput
from als_core.studies.brains.adni import read_adni_table
from als_core.studies.miao2023.cohort import read_channel
from als_core.studies.turrisi2024.feature_table import load_feature_table

few = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
damage = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)


def damaged(content: bytes, changes: list[tuple[float, int]], kept: float) -> bytes:
    """Some bytes replaced (place as a share of the length), the rest after the share `kept` cut off."""
    data = bytearray(content)
    for place, value in changes:
        data[int(place * len(data))] = value
    return bytes(data[: int(kept * len(data)) + 1])


def read_or_refused(open_, *arguments) -> bool:
    """Whether it was read; anything but a result or a refusal with remedies is raised on."""
    try:
        open_(*arguments)
    except RefusedInput as refusal:
        assert all(problem.where and problem.remedy for problem in refusal.problems)
        assert all(line.isprintable() for line in str(refusal).splitlines())
        return False
    return True


@few
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(tmp_path, content):
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    for open_ in (lambda: read_table("table", file, "table.csv"), lambda: load_feature_table(file)):
        read_or_refused(open_)
    read_or_refused(read_adni_table, file)


@few
@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(words, min_size=width, max_size=width), min_size=1, max_size=4)
    )
)
def test_a_table_written_by_another_library_is_read_back(tmp_path, rows):
    names = [f"column {number}" for number in range(len(rows[0]))]
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    table = read_table("table", tmp_path / "table.csv", "table.csv")
    while rows and not any(cell.strip() for cell in rows[-1]):  # empty rows at the end are passed over
        rows.pop()
    assert table.columns.tolist() == names and table.to_numpy(object).tolist() == rows


@few
@given(rows=st.lists(st.tuples(words, words, words), min_size=1, max_size=6))
def test_any_cells_are_judged_and_told_in_signs_that_can_be_seen(rows):
    table = pd.DataFrame(rows, columns=["path", "label", "group"], dtype=str)
    problems = [*check_cells(table), *check_labels(table, About(label_of="group"))]
    assert all(str(problem).isprintable() for problem in problems)
    spotless = [cell.isalnum() and cell.isascii() for row in rows for cell in row]
    if all(spotless) and table["path"].is_unique:
        assert check_cells(table) == []


@few
@given(
    parts=st.lists(
        st.sampled_from(["..", ".", "a", "out", "back", "/", "~", "\0", "a" * 300, "b.png"]) | words,
        max_size=6,
    )
)
def test_no_path_leaves_the_folder(tmp_path, parts):
    folder = tmp_path / "given"
    if not folder.exists():
        (folder / "a").mkdir(parents=True)
        (folder / "b.png").touch()
        (tmp_path / "b.png").touch()
        (folder / "out").symlink_to(tmp_path)
        (folder / "back").symlink_to(folder)
    name = "/".join(parts)
    if not placement(folder, name, 2):
        assert (folder / name).resolve().is_relative_to(folder) and (folder / name).is_file()


@pytest.mark.parametrize(
    "conversion", [Conversion(), Conversion(convert=True, resize=20)], ids=["", "converted"]
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "BMP", "WEBP", "GIF"])
def test_damaged_images_are_read_or_refused(tmp_path, kind, conversion):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, format=kind)
    sound = stream.getvalue()
    (tmp_path / "image").write_bytes(sound)
    assert kind == "GIF" or not examine_image(tmp_path, conversion, (0, "image")).problems

    @few
    @given(changes=damage, kept=st.sampled_from([1, 1, 1, 0.9, 0.5, 0.1]))
    def every_damage(changes, kept):
        (tmp_path / "image").write_bytes(damaged(sound, changes, kept))
        image = examine_image(tmp_path, conversion, (0, "image"))
        assert image.problems or image.size
        read_or_refused(read_channel, tmp_path / "image")

    every_damage()


def test_damaged_volumes_are_read_or_refused(tmp_path):
    voxels = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.int16)
    sound = nibabel.Nifti1Image(voxels, np.diag([2.0, 2, 2, 1])).to_bytes()

    @few
    @given(changes=damage, kept=st.sampled_from([1, 1, 1, 0.9, 0.02]), headers=st.booleans())
    def every_damage(changes, kept, headers):
        if headers:  # most of the file is voxels, in which nothing can be wrong
            changes = [(place * 352 / len(sound), value) for place, value in changes]
        (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(damaged(sound, changes, kept), 1))
        image, problems = examine_volume(tmp_path / "scan.nii.gz")
        assert (image is None) == bool(problems)

    every_damage()


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_checkpoints_are_read_or_refused(tmp_path, zipped):
    torch.save(_network().state_dict(), tmp_path / "weights.pt", _use_new_zipfile_serialization=zipped)
    sound = (tmp_path / "weights.pt").read_bytes()

    @few
    @given(changes=damage, kept=st.sampled_from([1, 1, 1, 0.9, 0.3]))
    def every_damage(changes, kept):
        (tmp_path / "weights.pt").write_bytes(damaged(sound, changes, kept))
        read_or_refused(_load_checkpoint, Path(tmp_path))

    every_damage()
