"""Runs commands in a copy of this checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from checkouts import environment_in


@pytest.fixture(scope="session")
def run_in() -> Callable[..., subprocess.CompletedProcess]:
    """Runs Python with the given arguments in a copy."""

    def run(root: Path, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *command],
            cwd=root,
            env=environment_in(root),
            capture_output=True,
            text=True,
            check=False,
        )

    return run
