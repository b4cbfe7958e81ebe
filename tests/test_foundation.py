"""Refusals, atomic writes and keys; and the order in which packages import each other."""

from __future__ import annotations

import pickle
import re
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

from als_core import ENGINE, storage
from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import (
    atomic_write,
    code_digest,
    content_key,
    data_folder,
    file_digest,
    imports_of,
    repository,
    write_text_if_changed,
)

MODULES = sorted(
    path
    for path in (repository() / "als_core").rglob("*.py")
    if path.stem != "__main__" and path.parent.name != "commands"
)
ORDER = ("als_core", *ENGINE)
STUDIES = {path.parent.name for path in (repository() / "als_core" / "studies").glob("*/__init__.py")}


def package_of(module: Path) -> str:
    """Package of a module; `studies/__init__.py` is the ground's, as it holds no code."""
    return "als_core" if module.parent.name == "studies" else module.parent.name


def test_a_refusal_lists_everything_and_survives_a_process_border():
    problems = [Problem("a.csv", "x", "y", "Mend it.", 3), Problem("b", "u", "v", "Drop it.")]
    with pytest.raises(RefusedInput) as caught:
        refuse_if("The input", iter(problems))
    assert "a.csv, line 3: found x; expected y. Mend it." in str(caught.value) and "2 problems" in str(
        caught.value
    )
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value) and copy.problems == tuple(problems)
    refuse_if("The input", [])


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_write_is_whole_or_not_at_all(tmp_path, kind):
    target = tmp_path / "out"

    def write(path: Path, content: str) -> None:
        if kind == "folder":
            path.mkdir()
            path = path / "inner"
        path.write_text(content)

    def content() -> str:
        return (target / "inner" if kind == "folder" else target).read_text()

    with pytest.raises(RuntimeError), atomic_write(target) as temporary:
        write(temporary, "half")
        raise RuntimeError
    assert not target.exists() and list(tmp_path.iterdir()) == []
    for text in ("first", "second"):
        with atomic_write(target) as temporary:
            write(temporary, text)
        assert content() == text and list(tmp_path.iterdir()) == [target]


def test_an_unchanged_text_keeps_its_time(tmp_path):
    path = tmp_path / "a" / "b.json"
    assert write_text_if_changed(path, "x")
    before = path.stat().st_mtime_ns
    assert not write_text_if_changed(path, "x") and path.stat().st_mtime_ns == before
    assert write_text_if_changed(path, "y") and path.read_text() == "y"


def test_keys_follow_content_type_and_order():
    array = np.arange(6)
    same = {content_key(array, "a"), content_key(np.arange(6), "a"), content_key(array[::-1][::-1], "a")}
    assert len(same) == 1
    different = [
        (array, "b"),
        (array.reshape(2, 3), "a"),
        (array.astype(float), "a"),
        ("a", array),
        (b"a",),
        ("a",),
    ]
    assert len({content_key(*parts) for parts in different} | same) == 7
    assert content_key({"b": 1, "a": 2}) == content_key({"a": 2, "b": 1})
    with pytest.raises(TypeError):
        content_key(object())


def test_digests_are_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_code_digest_follows_the_code_of_every_module_imported(tmp_path, monkeypatch):
    library = tmp_path / "toy_library"
    library.mkdir()
    monkeypatch.setattr(storage, "PACKAGE", library)
    monkeypatch.setattr(storage, "_MODULE_NAME", re.compile(r"(toy_library(?:\.\w+)+)(?::\w+)?"))
    monkeypatch.syspath_prepend(tmp_path)
    files = {name: library / f"{name}.py" for name in ("__init__", "top", "middle", "low", "other")}
    for name, text in {
        "__init__": "",
        "top": "def run():\n    from toy_library import middle\n",
        "middle": '"""Words."""\nimport toy_library.low\n',
        "low": 'SIZE = 1\n"""Its unit."""\n\ndef half():\n    """Words."""\n    return SIZE / 2\n',
        "other": "",
    }.items():
        files[name].write_text(text)

    def digest() -> str:
        return code_digest("toy_library.top")

    before, low = digest(), files["low"].read_text()
    assert before == code_digest("toy_library.top", "toy_library.top") != code_digest("toy_library.low")
    assert code_digest("toy_library.top", "toy_library.other") == code_digest(
        "toy_library.other", "toy_library.top"
    )
    for words in (low.replace("Words", "Other words"), low.replace("unit", "kind"), f"# Why\n\n{low}"):
        files["low"].write_text(words)
        assert digest() == before
    files["low"].write_text(low.replace("/ 2", "/ 3"))
    assert digest() != before
    files["low"].write_text(low)
    files["other"].write_text("changed = True")
    assert digest() == before
    files["__init__"].write_text("changed = True")
    assert digest() != before
    files["low"].write_text(low + 'BUILDER = "toy_library.other:build"\n')
    assert files["other"] in storage.modules_used(files["top"]), "a module named in a string is used"
    with pytest.raises(ModuleNotFoundError, match="none"):
        code_digest("toy_library.none")


def test_als_data_must_be_there(monkeypatch, tmp_path):
    monkeypatch.delenv("ALS_DATA", raising=False)
    assert data_folder() is None
    monkeypatch.setenv("ALS_DATA", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="ALS_DATA"):
        data_folder()


def test_imports_point_down_the_house():
    """The engine in its order, then the studies: each imports itself and `brains`, `cross_paper` every one."""
    upward = []
    for module in MODULES:
        here = package_of(module)
        for used in imports_of(module):
            there = package_of(used)
            if here in STUDIES:
                allowed = there in (here, "brains") or there not in STUDIES or here == "cross_paper"
            else:
                allowed = there in ORDER[: ORDER.index(here) + 1]
            if not allowed:
                upward.append(f"{here}.{module.stem} imports {there}.{used.stem}")
    assert upward == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: set(imports_of(module)) - {module} for module in MODULES}
    list(TopologicalSorter(graph).static_order())


def test_every_package_has_its_place_in_the_order():
    assert {package_of(module) for module in MODULES} == {*ORDER, *STUDIES}


def test_modules_are_of_a_size_to_be_read():
    long = {path.name: count for path in MODULES if (count := len(path.read_text().splitlines())) > 600}
    assert long == {}


def test_packages_export_nothing():
    """A page's inputs are traced by imports; a package that imports its modules would make every one an input."""
    inits = (repository() / "als_core").rglob("__init__.py")
    assert [init for init in inits if imports_of(init)] == []
