"""On another processor the last digits differ, and no more than is stated: tried with the vector units switched off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from als_core.storage import repository

TOLERANCE = 1e-5
"""Of a score (softmax, 0 to 1) after training; the book's page on trust states it."""
PLAIN = {
    "ATEN_CPU_CAPABILITY": "default",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OMP_NUM_THREADS": "1",
}
TRAINING = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch, toy_training
toy_training.train(Path(sys.argv[1]), seeds=(0, 1))
print(torch.backends.cpu.get_cpu_capability())
"""


def trained(folder: Path, **settings: str) -> tuple[str, pd.DataFrame]:
    """The vector units that PyTorch used, and every score of two toy runs."""
    command = [sys.executable, "-c", TRAINING, str(folder), str(repository() / "tests")]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    tables = [pd.read_csv(path) for path in sorted(folder.rglob("predictions.csv"))]
    assert len(tables) == 2
    return done.stdout.strip(), pd.concat(tables).filter(like="score ")


def test_scores_agree_without_vector_units_and_with_one_thread(tmp_path):
    usual, scores = trained(tmp_path / "usual")
    plain, others = trained(tmp_path / "plain", **PLAIN)
    assert plain == "DEFAULT"
    difference = np.abs(scores.to_numpy() - others.to_numpy()).max()
    assert difference < TOLERANCE, difference
    assert usual == plain or difference > 0, "the settings had no effect"
    assert (scores.to_numpy().argmax(1) == others.to_numpy().argmax(1)).all()
