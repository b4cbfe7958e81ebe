"""A whole recipe that trains a head only, from a cold start: published images, copies, epochs and five seeds.

`python -m benchmarks.heads NETWORK SIDE PRECISION COHORT WEIGHTS` really runs it, in an empty results folder
(ALS_RESULTS), and prints how long each part took as JSON. WEIGHTS: a file of the backbone's weights, as ImageNet's
would be one (`benchmarks.weights` writes a stand-in).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path


def main(network: str, side: int, precision: str, cohort_folder: str, weights: str) -> dict:
    began = time.process_time()
    parts: dict[str, float] = {}

    def done(part: str) -> None:
        parts[part] = time.process_time() - began - sum(parts.values())

    from als_core.training.memory import keep_freed_memory

    from als_core.cohorts.cohort import Cohort
    from als_core.studies.xia2024.amounts import TissueAmounts
    from als_core.studies.xia2024.splits import augmented_training_set, published_split
    from als_core.training.images import prepare_images
    from als_core.training.train import train_recipe

    keep_freed_memory()
    done("imports")
    cohort = Cohort.load(Path(cohort_folder))
    split = published_split(cohort)
    done("cohort")
    recipe = replace(TissueAmounts(side=side).recipe(network), precision=precision)
    copies = augmented_training_set(cohort, split)
    material = prepare_images(recipe, cohort, split, copies)
    done("augmentation")
    from als_core.storage import results_folder

    runs = train_recipe(
        recipe, cohort, split, range(5), lambda: material, weights=weights, runs=results_folder() / "runs",
        features=results_folder() / "features",
    )  # fmt: skip
    done("frozen prefix, heads, runs")
    return {
        "parts": parts,
        "runs": len(runs),
        "epochs": recipe.epochs,
        "training images": len(material.training_rows(split)),
    }


if __name__ == "__main__":
    network, side, precision, folder, weights = sys.argv[1:]
    print(json.dumps(main(network, int(side), precision, folder, weights)))
