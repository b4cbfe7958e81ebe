"""The check of a cohort's folder, once a book: later processes only compare the files' sizes and times.

`check_folder` decodes and hashes every image and searches for near-duplicates. Its result is kept in the results
folder together with a fingerprint of the input: the manifest's and `cohort.yml`'s contents, path, size and
modification time of each image, and the code of the check. Any difference makes the whole check run again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
import pydantic

from als_core.cohorts.check import MANIFEST, About, CheckedFolder, check_folder, read_manifest
from als_core.storage import atomic_write, code_digest, content_key, results_folder

CODE = "als_core.cohorts.checked"
SETTLED = 50_000_000
"""Nanoseconds since the last change of a file after which a further change surely gets another time."""


def checked_folder(
    folder: Path, manifest: Path | None = None, about: About | None = None, **options: Any
) -> CheckedFolder:
    """Check a cohort's folder as `check_folder` does, or load the result for files that have not changed since.

    options: further arguments of `check_folder` that do not change its result.

    Raises RefusedInput with every problem found.
    """
    place = results_folder() / "checked" / f"{content_key(str(folder), str(manifest), _as_json(about))}.json"
    fingerprint = _fingerprint(folder, manifest, about)
    with suppress(OSError, ValueError, KeyError, TypeError):  # a missing or damaged file: check again
        kept = json.loads(place.read_text(encoding="utf-8"))
        if fingerprint is not None and kept["fingerprint"] == fingerprint:
            return _from_json(kept["checked"])
    checked = check_folder(folder, manifest, about, **options)
    if fingerprint is not None and fingerprint == _fingerprint(folder, manifest, about):
        with suppress(OSError), atomic_write(place) as temporary:  # without it the check is only slower
            content = {"fingerprint": fingerprint, "checked": _to_json(checked)}
            temporary.write_text(json.dumps(content), encoding="utf-8")
    return checked


def _fingerprint(folder: Path, manifest: Path | None, about: About | None) -> str | None:
    """Digest of all that the check depends on; None where a file is absent or changed a moment ago."""
    manifest = manifest or folder / MANIFEST
    try:
        texts = [file.read_bytes() if file.is_file() else b"" for file in (manifest, folder / "cohort.yml")]
        names = list(read_manifest(folder, manifest)["path"])
        status = [(folder / name).stat() for name in names]
    except (OSError, ValueError):  # the check says what is wrong
        return None
    if time.time_ns() - max(each.st_mtime_ns for each in status) < SETTLED:
        return None
    files = [[name, each.st_size, each.st_mtime_ns] for name, each in zip(names, status, strict=True)]
    return content_key(str(folder), *texts, files, _as_json(about), code_digest(CODE))


def _as_json(about: About | None) -> dict[str, Any] | None:
    return about.model_dump() if about else None


def _to_json(checked: CheckedFolder) -> dict[str, Any]:
    """Each field by its type; a table as its columns, with their types."""
    return {
        name: {"types": value.dtypes.astype(str).to_dict(), "columns": value.to_dict(orient="list")}
        if kind is pd.DataFrame
        else pydantic.TypeAdapter(kind).dump_python(value, mode="json")
        for name, kind in get_type_hints(CheckedFolder).items()
        for value in [getattr(checked, name)]
    }


def _from_json(content: Mapping[str, Any]) -> CheckedFolder:
    kinds = get_type_hints(CheckedFolder)
    values = {}
    for each in fields(CheckedFolder):
        value = content[each.name]
        if kinds[each.name] is pd.DataFrame:
            values[each.name] = pd.DataFrame(value["columns"]).astype(value["types"])
        else:
            values[each.name] = pydantic.TypeAdapter(kinds[each.name]).validate_python(value)
    return CheckedFolder(**values)
