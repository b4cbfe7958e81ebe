"""The examples in docstrings that a reader can use on their own paper run as written."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("statistics.granularity", "statistics.bounds", "statistics.power", "studies.cross_paper.audit")


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_written(name):
    result = doctest.testmod(importlib.import_module(f"als_core.{name}"))
    assert result.attempted and not result.failed
