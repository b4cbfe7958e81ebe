"""Downloads: whole, checked, resumable, and plain about what cannot be had. A server on loopback stands in."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import requests

from als_core.cohorts import sources as module
from als_core.cohorts.sources import fetch, local_folder, reachable, sources
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
    for source in sources().values():
        files = source.files()
        assert source.licence and source.citation and source.version
        assert all(len(digest) == 64 for digest in files.values())
    assert len(sources()["xia2024"].files()) == 190


def test_errors_that_are_not_about_downloading_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        module._download_problem("x", sources()["xia2024"], ZeroDivisionError())
    assert (
        "no answer" in module._download_problem("x", sources()["xia2024"], requests.ConnectionError()).found
    )
