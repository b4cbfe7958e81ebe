"""Public material that is downloaded and never committed: the registry `data/sources.yml` and its fetching."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd
import platformdirs
import pydantic
import requests
from filelock import FileLock, Timeout
from tqdm import tqdm

from als_core.refusal import Problem, RefusedInput, refuse_if
from als_core.storage import data_folder, file_digest, read_yaml, repository

CACHE_NAME = "als-imaging-companion"
PROBE_SECONDS = 5
PARALLEL_DOWNLOADS = 4  # more would be unkind to a public server


class Source(pydantic.BaseModel):
    """One entry of the registry.

    Attributes
    ----------
    checksums : a manifest under data/ with columns `path` and `sha256`; "" for material that is not fetched
        file by file
    sha256 : of a source that is one file
    local : where such a file may be in the folder that ALS_DATA names
    get : how a reader gets it, in a phrase
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    title: str
    url: str
    version: str
    licence: str
    citation: str
    checksums: str = ""
    sha256: str = ""
    local: str = ""
    get: str = ""
    label_of: Literal["image", "group"] = "image"

    @property
    def manifest(self) -> Path:
        """The committed manifest: what the source holds, with the SHA-256 of each file."""
        return repository() / "data" / self.checksums

    def files(self) -> dict[str, str]:
        """SHA-256 of each file, by its path relative to the cohort's folder."""
        table = pd.read_csv(self.manifest, dtype=str)
        return dict(zip(table["path"], table["sha256"], strict=True))


def sources() -> dict[str, Source]:
    """The entries of the registry that `fetch` downloads file by file, by name."""
    return {name: source for name, source in registry().items() if source.checksums}


def registry() -> dict[str, Source]:
    """All public material, by name. Raises pydantic.ValidationError where an entry is not whole."""
    entries = read_yaml(repository() / "data/sources.yml")
    return {name: Source.model_validate(entry) for name, entry in entries.items()}


def cache_folder() -> Path:
    """Where downloads are kept for all checkouts of one user; ALS_CACHE moves it."""
    return Path(os.environ.get("ALS_CACHE") or platformdirs.user_cache_dir(CACHE_NAME))


def local_folder(name: str, source: Source) -> Path | None:
    """The folder that already holds every file of the source: under ALS_DATA, or the cache. None if neither.

    Presence only: the checksums are verified when the cohort is loaded.
    """
    data = data_folder()
    candidates = [data / name] if data else []
    candidates.append(cache_folder() / name)
    for folder in candidates:
        if all((folder / path).is_file() for path in source.files()):
            return folder
    return None


def reachable(source: Source) -> bool:
    """Whether the first file of the source answers within a few seconds."""
    try:
        answer = requests.head(
            _url(source, next(iter(source.files()))), timeout=PROBE_SECONDS, allow_redirects=True
        )
    except requests.RequestException:
        return False
    return answer.ok


def fetch(name: str, source: Source, progress: bool = True) -> Path:
    """Download what is missing or damaged, check every file, and give the folder.

    Files arrive whole or not at all, so an interrupted download goes on where it stopped. A second
    process waits for the first. Raises RefusedInput listing every file that could not be had.
    """
    import pooch  # not above: its import warns, in notebooks, of a progress bar that is not used there

    folder = cache_folder() / name
    files = source.files()
    with _held(folder, name):
        for within in {PurePosixPath(path).parent for path in files}:
            # pooch looks whether a folder is there and then makes it: two threads at once would collide
            (folder / within).mkdir(parents=True, exist_ok=True)
        retriever = pooch.create(
            path=folder,
            base_url="",
            registry={path: f"sha256:{digest}" for path, digest in files.items()},
            urls={path: _url(source, path) for path in files},
            retry_if_failed=1,
        )
        problems: list[Problem] = []
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            jobs = {
                pool.submit(retriever.fetch, path, downloader=pooch.HTTPDownloader(timeout=30)): path
                for path in files
            }
            for job in tqdm(as_completed(jobs), total=len(jobs), desc=source.title, disable=not progress):
                if error := job.exception():
                    problems.append(_download_problem(jobs[job], source, error))
    refuse_if(f"The download of {source.title}", sorted(problems, key=lambda problem: problem.where))
    return folder


def fetch_file(name: str, source: Source) -> Path:
    """The one file of a source: under ALS_DATA, else in the cache, else downloaded. Its checksum is verified.

    Raises RefusedInput where it cannot be had, or has other bytes.
    """
    import pooch  # not above: its import warns, in notebooks, of a progress bar that is not used there

    def refuse(where: str, found: str, expected: str, remedy: str) -> RefusedInput:
        return RefusedInput(
            source.title[0].upper() + source.title[1:], [Problem(where, found, expected, remedy)]
        )

    bytes_of = f"SHA-256 {source.sha256[:12]}..."
    data = data_folder()
    if data and (data / source.local).is_file():
        if file_digest(data / source.local) != source.sha256:
            raise refuse(source.local, "other bytes than those released", bytes_of, "Fetch the file again.")
        return data / source.local
    try:
        return Path(
            pooch.retrieve(
                source.url, f"sha256:{source.sha256}", PurePosixPath(source.url).name, cache_folder() / name,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        )  # fmt: skip
    except (requests.RequestException, OSError) as error:
        remedy = f"Go online, or put the file at {source.local} in the folder that ALS_DATA names."
        raise refuse(source.url, "no answer from the network", "the released file", remedy) from error
    except ValueError as error:  # pooch's word for a wrong checksum
        remedy = "The source has changed: do not use it; tell the maintainers."
        raise refuse(source.url, "other bytes than those released", bytes_of, remedy) from error


def _url(source: Source, path: str) -> str:
    return source.url + PurePosixPath(path).name


def _download_problem(path: str, source: Source, error: BaseException) -> Problem:
    if isinstance(error, requests.RequestException):
        remedy = "Go online and run `make data` again, or set ALS_DATA to a folder that holds it."
        return Problem(path, "no answer from the network", f"the file from {source.url}", remedy)
    if isinstance(error, OSError):
        remedy = "Make room or make it writable, or set ALS_CACHE to a folder that is."
        return Problem(path, f"{error.strerror or error} in {cache_folder()}", "a writable cache", remedy)
    if isinstance(error, ValueError):  # pooch's word for a wrong checksum
        return Problem(
            path,
            "other bytes than those the project was built on",
            "the SHA-256 of the manifest",
            "The source has changed: do not use it; tell the maintainers.",
        )
    raise error


@contextmanager
def _held(folder: Path, name: str) -> Iterator[None]:
    """Hold the source's lock; say why where it cannot be had."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / f".{name}.lock", timeout=3600)
        with lock:
            yield
    except Timeout as error:
        problem = Problem(
            str(folder), "another process downloading for over an hour", "a free cache", "Stop it."
        )
        raise RefusedInput(f"The cache of {name}", [problem]) from error
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        problem = Problem(
            str(folder),
            "a cache that cannot be written",
            "a writable folder",
            "Make it writable, or set ALS_CACHE to one that is.",
        )
        raise RefusedInput(f"The cache of {name}", [problem]) from error
