"""The augmented set: what is in it, that it is made once, and that neither threads nor order matter."""

import errno
import os
import resource
import subprocess
import sys
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from als_core.refusal import RefusedInput
from als_core.storage import exclusive_lock
from als_core.studies.xia2024 import augmented_set as module
from als_core.studies.xia2024.augmentation import AUGMENTATIONS, FIGURE_5
from als_core.studies.xia2024.augmented_set import augmented_set

CHEAP = ("flip", "noise", "perspective")


def tiny_images(count=3, height=16, width=20):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def make(folder, images=None, names=CHEAP, seed=1):
    return augmented_set(tiny_images() if images is None else images, names, seed, folder)


@pytest.fixture
def computed(monkeypatch):
    """How many images were augmented, by name, since the test began."""
    calls = []
    plain = module._augmented

    def counted(image, row, name, seed):
        calls.append((name, row))
        return plain(image, row, name, seed)

    monkeypatch.setattr(module, "_augmented", counted)
    return calls


def test_114_images_become_1140_originals_first(tmp_path):
    images = tiny_images(114)
    made = make(tmp_path, images, FIGURE_5)
    assert made.images.shape == (1140, 16, 20, 3) and made.images.dtype == np.uint8
    assert np.array_equal(made.images[:114], images)
    assert list(made.index["source"]) == list(range(114)) * 10
    assert list(made.index["augmentation"]) == [n for n in ("original", *FIGURE_5) for _ in range(114)]
    for position in np.random.default_rng(0).choice(np.arange(114, 1140), 60, replace=False):
        source, name = made.index.loc[position, ["source", "augmentation"]]
        if not AUGMENTATIONS[name].random:
            assert np.array_equal(made.images[position], AUGMENTATIONS[name](images[source])), name


def test_array_is_read_only_and_mapped(tmp_path):
    made = make(tmp_path)
    assert isinstance(made.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        made.images[0, 0, 0, 0] = 1


def test_random_augmentations_differ_by_image_and_by_seed(tmp_path):
    same = np.repeat(tiny_images(1), 3, axis=0)
    made, other = make(tmp_path, same, ["noise"], 1), make(tmp_path, same, ["noise"], 2)
    assert not np.array_equal(made.images[3], made.images[4])
    assert not np.array_equal(made.images[3:], other.images[3:])


@given(names=st.permutations(CHEAP).flatmap(lambda order: st.integers(1, 3).map(lambda kept: order[:kept])))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_image_does_not_depend_on_the_other_names_or_their_order(tmp_path, names):
    everything, some = make(tmp_path, names=CHEAP), make(tmp_path, names=names)
    for name in names:
        rows = everything.images[(everything.index["augmentation"] == name).to_numpy()]
        assert np.array_equal(some.images[(some.index["augmentation"] == name).to_numpy()], rows)


def test_an_image_does_not_depend_on_the_threads(tmp_path, monkeypatch):
    many = make(tmp_path / "many")
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    one = make(tmp_path / "one")
    assert np.array_equal(many.images, one.images) and many.key == one.key


def test_second_call_computes_nothing(tmp_path, computed):
    first = make(tmp_path)
    assert len(computed) == 9
    second = make(tmp_path)
    assert len(computed) == 9
    assert np.array_equal(first.images, second.images) and first.index.equals(second.index)


def cut_short(file):
    os.truncate(file, file.stat().st_size - 1)


def too_long(file):
    with file.open("ab") as stream:
        stream.write(b"\0")


def emptied(file):
    file.write_bytes(b"")


def overwritten(file):
    file.write_bytes(b"not an array at all")


def of_another_shape(file):
    np.save(file, tiny_images(2))


def of_another_type(file):
    np.save(file, np.load(file).astype(np.int8))


@pytest.mark.parametrize(
    "damage", [cut_short, too_long, emptied, overwritten, of_another_shape, of_another_type]
)
def test_damaged_file_is_made_again(tmp_path, computed, damage):
    whole = np.array(make(tmp_path).images)
    damage(make(tmp_path).file)
    assert np.array_equal(make(tmp_path).images, whole)
    assert len(computed) == 18


def test_key_changes_with_everything_it_should(tmp_path, monkeypatch):
    keys = [make(tmp_path).key, make(tmp_path, seed=2).key, make(tmp_path, names=CHEAP[::-1]).key]
    changed = tiny_images()
    changed[0, 0, 0, 0] ^= 1
    keys.append(make(tmp_path, changed).key)
    monkeypatch.setitem(AUGMENTATIONS, "noise", replace(AUGMENTATIONS["noise"], constants={"levels": 11}))
    keys.append(make(tmp_path).key)
    monkeypatch.setattr(cv2, "__version__", "another")
    keys.append(make(tmp_path).key)
    assert len(set(keys)) == len(keys)


def test_opencv_threads_are_as_before_even_after_a_failure(tmp_path, monkeypatch):
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        make(tmp_path)
        assert cv2.getNumThreads() == 3
        monkeypatch.setattr(module, "_augmented", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(tmp_path, seed=2)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_failure_leaves_nothing_and_the_next_call_succeeds(tmp_path, monkeypatch):
    with monkeypatch.context() as failing:
        failing.setattr(module, "_augmented", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(tmp_path)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] in ([], ["images.npy.lock"])
    assert len(make(tmp_path).images) == 12


def test_leftovers_of_a_killed_process_go(tmp_path):
    made = make(tmp_path)
    leftover = made.file.with_name(f".{made.file.name}.abc") / made.file.name
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    made.file.unlink()
    make(tmp_path)
    assert not leftover.parent.exists()


def test_two_processes_make_one_set(tmp_path):
    code = (
        "import sys, numpy as np; from als_core.studies.xia2024.augmented_set import augmented_set;"
        "images = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8);"
        "made = augmented_set(images, ['noise', 'perspective'], 1, sys.argv[1]);"
        "print(made.images.sum(dtype=np.int64))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in "ab"
    ]
    first, second = (process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert first == second != ""
    assert len(list(tmp_path.rglob("*.npy"))) == 1


def test_who_waited_for_another_process_loads_what_that_one_made(tmp_path, computed):
    made = make(tmp_path)
    whole = made.file.read_bytes()
    made.file.unlink()
    found = []
    with exclusive_lock(made.file):
        waiting = threading.Thread(target=lambda: found.append(make(tmp_path)))
        waiting.start()
        waiting.join(0.3)
        assert not found  # held back
        made.file.write_bytes(whole)
    waiting.join(30)
    assert len(computed) == 9 and np.array_equal(found[0].images[:3], tiny_images())


def test_a_write_that_the_disk_refuses_names_the_folder(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # the array takes 11 kB
    try:
        with pytest.raises(OSError, match=tmp_path.name) as caught:
            make(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG and "augmented set" in str(caught.value)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] in ([], ["images.npy.lock"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_named_but_serves_what_it_holds(tmp_path):
    held = make(tmp_path)
    tmp_path.chmod(0o500)
    try:
        assert np.array_equal(make(tmp_path).images, held.images)
        with pytest.raises(PermissionError, match=tmp_path.name):
            make(tmp_path, seed=2)
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError, match="taken"):
        make(tmp_path / "taken")


def test_all_problems_come_at_once(tmp_path):
    with pytest.raises(RefusedInput) as caught:
        augmented_set(tiny_images() / 255, ["flip", "flip", "blur"], -1, tmp_path)
    assert [problem.where for problem in caught.value.problems] == ["images", "names", "names", "seed"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(0, 16, 16, 3), (2, 8, 16, 3), (2, 16, 16), (2, 16, 16, 1)])
def test_images_that_do_not_fit_are_refused(tmp_path, shape):
    with pytest.raises(RefusedInput, match="images"):
        make(tmp_path, np.zeros(shape, np.uint8))
