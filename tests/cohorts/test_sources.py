"""Downloads: whole, checked, resumable, and plain about what cannot be had. A server on loopback stands in."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
import requests

from als_core.cohorts import sources as module
from als_core.cohorts.sources import fetch, fetch_file, local_folder, reachable, registry, sources
from als_core.refusal import RefusedInput


@pytest.fixture
def server(public_server):
    return public_server(3, size=100)


def test_everything_arrives_and_is_not_fetched_again(server):
    assert reachable(server.source) and local_folder("stand-in", server.source) is None
    folder = fetch("stand-in", server.source, progress=False)
    assert local_folder("stand-in", server.source) == folder
    assert len(server.asked) == 3
    fetch("stand-in", server.source, progress=False)
    assert len(server.asked) == 3


def test_files_of_one_folder_do_not_collide_on_making_it(server, monkeypatch):
    make = os.makedirs

    def slowly(*arguments, **settings):  # long enough for every thread to find the folder missing
        time.sleep(0.2)
        make(*arguments, **settings)

    monkeypatch.setattr("pooch.core.os.makedirs", slowly)
    folder = fetch("stand-in", server.source, progress=False)
    assert len(list((folder / "images").iterdir())) == 3


def test_a_damaged_and_a_missing_file_are_fetched_anew_and_no_other(server):
    folder = fetch("stand-in", server.source, progress=False)
    (folder / "images" / "0.tif").write_bytes(b"damaged")
    (folder / "images" / "1.tif").unlink()
    server.asked.clear()
    fetch("stand-in", server.source, progress=False)
    assert sorted(server.asked) == ["/0.tif", "/1.tif"]


def test_a_changed_source_is_refused_and_nothing_is_left(server):
    (server.site / "2.tif").write_bytes(b"not what it was")
    with pytest.raises(RefusedInput, match=r"images/2.tif: found other bytes") as caught:
        fetch("stand-in", server.source, progress=False)
    assert len(caught.value.problems) == 1
    assert not list(Path(os.environ["ALS_CACHE"]).rglob("2.tif"))


def test_no_network_is_said_once_a_file(server):
    server.shutdown()
    server.server_close()
    assert not reachable(server.source)
    with pytest.raises(RefusedInput, match="no answer from the network") as caught:
        fetch("stand-in", server.source, progress=False)
    assert len(caught.value.problems) == 3 and "make data" in str(caught.value)


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ALS_CACHE", str(tmp_path / "file"))
    with pytest.raises((RefusedInput, NotADirectoryError)) as caught:
        fetch("stand-in", server.source, progress=False)
    assert "ALS_CACHE" in str(caught.value)


def test_als_data_comes_before_the_cache(server, tmp_path, monkeypatch):
    fetch("stand-in", server.source, progress=False)
    local = tmp_path / "local" / "stand-in" / "images"
    local.mkdir(parents=True)
    monkeypatch.setenv("ALS_DATA", str(tmp_path / "local"))
    assert local_folder("stand-in", server.source) == Path(os.environ["ALS_CACHE"]) / "stand-in"
    for number in range(3):
        (local / f"{number}.tif").write_bytes(b"checked later")
    assert local_folder("stand-in", server.source) == local.parent


def test_the_registry_is_whole():
    assert all(
        source.licence and source.citation and source.version and source.get for source in registry().values()
    )
    assert {"xia2024", "oasis1", "adni", "aal", "turrisi2023_weights", "imagenet_torchvision"} <= set(
        registry()
    )
    assert list(sources()) == ["xia2024"]  # what `make data` downloads
    files = sources()["xia2024"].files()
    assert len(files) == 190 and all(len(digest) == 64 for digest in files.values())


def test_one_file_is_downloaded_once_and_other_bytes_are_refused(server, tmp_path, monkeypatch):
    content = (server.site / "0.tif").read_bytes()
    one = server.source.model_copy(
        update={
            "url": f"{server.source.url}0.tif",
            "sha256": hashlib.sha256(content).hexdigest(),
            "local": "w/0.tif",
        }
    )
    with pytest.raises(RefusedInput, match="other bytes"):
        fetch_file("other", one.model_copy(update={"sha256": "0" * 64}))
    assert fetch_file("one", one).read_bytes() == content
    count = len(server.asked)
    assert fetch_file("one", one).is_file() and len(server.asked) == count
    with pytest.raises(RefusedInput, match=r"put the file at w/0\.tif in the folder that ALS_DATA names"):
        fetch_file("one", one.model_copy(update={"url": "http://127.0.0.1:9/other_name.tif"}))
    (tmp_path / "data" / "w").mkdir(parents=True)
    (tmp_path / "data" / "w" / "0.tif").write_bytes(b"damaged")
    monkeypatch.setenv("ALS_DATA", str(tmp_path / "data"))
    with pytest.raises(RefusedInput, match="Fetch the file again"):
        fetch_file("one", one)
    (tmp_path / "data" / "w" / "0.tif").write_bytes(content)
    assert fetch_file("one", one) == tmp_path / "data" / "w" / "0.tif"


def test_errors_that_are_not_about_downloading_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        module._download_problem("x", sources()["xia2024"], ZeroDivisionError())
    assert (
        "no answer" in module._download_problem("x", sources()["xia2024"], requests.ConnectionError()).found
    )
