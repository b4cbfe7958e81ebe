"""What tests share: a small cohort folder on disk, results kept apart, and the real data where they are."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from PIL import Image

from als_core.cohorts.sources import Source

# how long an example takes says more of the machine than of the code
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

pytest_plugins = ["planted"]  # fixtures of networks whose decision depends on a known patch

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """`../shared/data` is where the real data lie for the maintainers; ALS_DATA says otherwise."""
    beside = REPOSITORY.parent / "shared" / "data"
    if "ALS_DATA" not in os.environ and beside.is_dir():
        os.environ["ALS_DATA"] = str(beside)


@pytest.fixture(autouse=True)
def results_apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the results of this checkout."""
    monkeypatch.setenv("ALS_RESULTS", str(tmp_path_factory.mktemp("results")))


@pytest.fixture
def real_data() -> Path:
    """The folder of real public data. Skips, saying so, where it is absent."""
    if not os.environ.get("ALS_DATA"):
        pytest.skip("real data absent: set ALS_DATA to the folder that holds them")
    return Path(os.environ["ALS_DATA"])


@pytest.fixture
def cohort_folder(tmp_path: Path) -> Callable[..., Path]:
    """Builds a sound cohort folder: `classes` x `groups` x `fields` random images and their manifest."""

    def build(classes: int = 2, groups: int = 3, fields: int = 2, side: int = 32) -> Path:
        folder = tmp_path / "cohort"
        (folder / "images").mkdir(parents=True)
        generator = np.random.default_rng(0)
        rows = []
        for label in range(classes):
            for group in range(groups):
                for field in range(fields):
                    path = f"images/{label}{group}{field}.png"
                    pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / path)
                    rows.append({"path": path, "label": f"class {label}", "group": f"donor {label}-{group}"})
        pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
        return folder

    return build


class _Remembering(http.server.SimpleHTTPRequestHandler):
    """Takes its time over each file, and remembers what was asked."""

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        time.sleep(self.server.seconds)
        self.server.asked.append(self.path)
        super().do_GET()


class _Patient(http.server.ThreadingHTTPServer):
    # with the five of the standard library a caller may be turned away on a busy machine
    request_queue_size = 64


@pytest.fixture
def public_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., http.server.HTTPServer]]:
    """Starts a public server on loopback with some files, the source that describes it, and an empty cache.

    The server has `source`, `site` (its folder) and `asked` (the paths asked for, in order).
    """
    site = tmp_path / "site"
    site.mkdir()
    handler = functools.partial(_Remembering, directory=str(site))
    served = _Patient(("127.0.0.1", 0), handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    monkeypatch.setenv("ALS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ALS_DATA", raising=False)

    def start(files: int, size: int, seconds: float = 0.0) -> http.server.HTTPServer:
        lines = ["path,label,sha256"]
        for number in range(files):
            content = np.random.default_rng(number).bytes(size)
            (site / f"{number}.tif").write_bytes(content)
            lines.append(f"images/{number}.tif,a,{hashlib.sha256(content).hexdigest()}")
        (tmp_path / "manifest.csv").write_text("\n".join(lines))
        served.asked, served.site, served.seconds = [], site, seconds
        served.source = Source(
            title="Stand-in", url=f"http://127.0.0.1:{served.server_port}/", version="1", licence="none",
            citation="nobody", checksums=str(tmp_path / "manifest.csv"),
        )  # fmt: skip
        return served

    yield start
    served.shutdown()
    served.server_close()
