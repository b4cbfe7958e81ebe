"""The lock pins every requirement by hash, and every package in it has a licence in the table."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

import pandas as pd
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from als_core.storage import repository

LOCK = (repository() / "requirements.lock").read_text(encoding="utf-8")


def locked() -> dict[str, list[tuple[Requirement, int]]]:
    """Requirements of the lock by name, each with its number of hashes."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", LOCK.split("\n", 1)[1]):
        if not entry.startswith("#"):
            requirement = Requirement(entry.split("\\")[0].strip())
            hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry))
            found.setdefault(canonicalize_name(requirement.name), []).append((requirement, hashes))
    return found


def pin(requirement: Requirement) -> Version:
    (only,) = requirement.specifier
    assert only.operator == "==", requirement
    return Version(only.version)


def test_every_entry_is_one_version_with_hashes_and_no_index_is_named():
    entries = [entry for several in locked().values() for entry in several]
    assert len(entries) > 150
    assert all(pin(requirement) and hashes for requirement, hashes in entries)
    entries_only = re.sub(r"^\s*#.*$", "", LOCK, flags=re.MULTILINE)
    assert not re.search(r"^-|index-url|find-links|://|file:", entries_only, re.MULTILINE)


def test_what_is_required_is_locked_at_its_pin_for_every_python():
    entries = locked()
    for line in (repository() / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if asked := line.split("#")[0].strip():
            requirement = Requirement(asked)
            several = entries[canonicalize_name(requirement.name)]
            for python in ("3.11", "3.12"):
                where = {"python_version": python, "python_full_version": f"{python}.1"}
                if requirement.marker is not None and not requirement.marker.evaluate(where):
                    continue
                here = [each for each, _ in several if each.marker is None or each.marker.evaluate(where)]
                assert {pin(each) for each in here} == {pin(requirement)}, f"{asked}: renew the lock"


def test_every_locked_package_has_its_licence_in_the_table():
    table = pd.read_csv(repository() / "data" / "licences.csv", keep_default_na=False)
    listed = {
        canonicalize_name(name): Version(number)
        for name, number in zip(table["Name"], table["Version"], strict=True)
    }
    for name, several in locked().items():
        for requirement, _ in several:
            try:
                installed = Version(version(name))
            except PackageNotFoundError:
                continue  # of another platform or Python
            if (requirement.marker is None or requirement.marker.evaluate()) and installed == pin(
                requirement
            ):
                # one lock serves several Pythons and may pin a package twice; the table has one row
                pins = {pin(each) for each, _ in several}
                assert listed.get(name) in pins, f"{name}: renew the table of licences"
    assert (table["License"] != "").all()
