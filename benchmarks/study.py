"""The T1w study's 24 configurations on feature tables of the published size: 654 subjects, 107 features each.

`python -m benchmarks.study [JOBS]` runs it, nested 3 x 3 with five trials of each network, and prints what it
cost as JSON. Seconds of the processor say the same on a machine that others use; over two cores they are
twice the seconds on the clock at best.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from joblib.externals.loky import get_reusable_executor

from als_core.studies.turrisi2024.feature_table import synthetic_demographics, synthetic_feature_table
from als_core.studies.turrisi2024.nested_cv import study
from als_core.studies.turrisi2024.study import REPRESENTATIONS
from benchmarks.measuring import cost


def main(jobs: int) -> dict:
    subjects = synthetic_demographics(np.random.default_rng(0))
    tables = {
        name: synthetic_feature_table(np.random.default_rng(number), subjects, effect=2.0)
        for number, name in enumerate(REPRESENTATIONS)
    }
    features = {name: table.features for name, table in tables.items()}
    positive = next(iter(tables.values())).positive
    made = []

    def work() -> None:
        made.append(study(features, positive, jobs=jobs))
        get_reusable_executor().shutdown(wait=True)  # the seconds of a process count when it has ended

    spent = cost(work)
    shape = " x ".join(map(str, features["Radiomics"].shape))
    configurations = made[0].predictions.groupby(["representation", "method"]).ngroups
    return {"table": shape, "configurations": configurations, "jobs": jobs, **spent}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)))
