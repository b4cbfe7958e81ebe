"""Score new images with the network that a run trained: find the run, check the images, and say what scores mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from als_core.cohorts.check import MANIFEST, About, check_cells, check_digests, check_images
from als_core.cohorts.checks import merge_problems
from als_core.cohorts.folders import NAMES, list_images, without_companions
from als_core.cohorts.reading import Conversion, read_image
from als_core.cohorts.tables import read_table
from als_core.refusal import Problem, RefusedInput, counted, refuse_if
from als_core.statistics import metrics
from als_core.statistics.intervals import clopper_pearson
from als_core.storage import repository, results_folder
from als_core.training.recipe import Recipe
from als_core.training.runs import SCORE, Run, load_run

BATCH = 32  # images read and scored at a time


def find_trained(name: str) -> Run:
    """Find a run with weights by its key in the results folder, or by its folder. Raises RefusedInput."""
    store = results_folder() / "runs"
    folder = next((each for each in (store / name, Path(name)) if (each / "run.json").is_file()), None)
    if folder and (folder / "weights.safetensors").is_file():
        return load_run(folder)
    runs = (file.parent for file in (repository() / "data" / "recorded").rglob("run.json"))
    recorded = next((each for each in runs if each.name == Path(name).name), None)
    kept = sorted(file.parent for file in store.glob("*/weights.safetensors"))
    known = "; ".join(f"{each.name} ({load_run(each).title})" for each in kept[:3]) or "none yet"
    expected = f"the key of one of {counted(len(kept), 'run')} with weights in {store}: {known}"
    if folder or recorded:
        found = "a recorded run: predictions and history, without weights"
        remedy = (
            "Train the network here: `make book` keeps the weights of what it trains; at published size, move the "
            "recorded run's folder away and run `als record`."
        )
    else:
        found, remedy = "no run", "Correct the key, or train one: `make book` keeps what it trains."
    raise RefusedInput("The run to predict with", [Problem(name, found, expected, remedy)])


def new_images(
    folder: Path, about: About, run: Run, problems: Sequence[Problem] = ()
) -> tuple[list[str], Conversion, list[str]]:
    """List the images to score, how they are converted in reading, and how the manifest was read, in sentences.

    Parameters
    ----------
    folder : Path
        With `manifest.csv`, whose column `label` may be missing, empty, or hold classes of the run; else all images in
        it. Rows of companion files are passed over.
    about : About
        Conversions that the reader asked for.
    run : Run
    problems : of Problem
        Found before; they are reported with the others.

    Raises
    ------
    RefusedInput
        For labels that the run does not know, images that cannot be read, of several sizes, too small, or of another
        checksum than in the manifest.
    """
    subject = f"The images in {folder}"
    table = _listed(subject, folder)
    side = Recipe.from_data(run.about["recipe"]).side
    conversion, images, found = check_images(folder, table, about)
    cells = table.drop(columns="label", errors="ignore")  # an empty label is none
    problems = [*problems, *check_cells(cells), *found, *_unknown_labels(table, run)]
    if "sha256" in table:
        problems += check_digests(table, [image.digest for image in images])
    small = [row for row, image in enumerate(images) if image.size and min(image.size) < side]
    if small:
        height, width = images[small[0]].size
        expected = f"at least {side} pixels a side, as the run was trained on"
        remedy = f"Take larger images, or add --resize {side} to enlarge them, which adds no detail."
        names = tuple(table["path"][row] for row in small[:3])
        where = counted(len(small), "image")
        problems.append(
            Problem(where, f"{width} x {height} pixels", expected, remedy, None, "ALS010", len(small), names)
        )
    refuse_if(subject, merge_problems(problems))
    return table["path"].tolist(), conversion, table.attrs.get("notices", [])


def _listed(subject: str, folder: Path) -> pd.DataFrame:
    manifest = folder / MANIFEST
    if manifest.is_file():
        table = read_table(subject, manifest, MANIFEST, NAMES)
        lacking = [] if "path" in table else ["no column `path`"]
        table = table if lacking else without_companions(table)
    else:
        table = pd.DataFrame({"path": list_images(folder)}, dtype=str)
        lacking = []
    if table.empty:
        lacking = ["no image"]
    expected = f"images, or {MANIFEST} with a column `path`"
    refuse_if(
        subject,
        [Problem(str(folder), found, expected, "Check the path.", check="ALS001") for found in lacking],
    )
    return table


def _unknown_labels(table: pd.DataFrame, run: Run) -> list[Problem]:
    labels = table.get("label", pd.Series(dtype=str)).str.strip()
    known = ("", *run.classes)
    return [
        Problem(
            f"{MANIFEST}, column `label`",
            f"{label} in {counted(count, 'row')}",
            f"{', '.join(run.classes)}, or no label",
            "Leave the label out, or take a run that was trained on these labels.",
            check="ALS013",
        )
        for label, count in labels[~labels.isin(known)].value_counts().items()
    ]


def score_images(run: Run, folder: Path, paths: Sequence[str], conversion: Conversion) -> pd.DataFrame:
    """Score images with the network that a run trained: columns path, `score <class>` (0 to 1), predicted.

    At most `BATCH` images are in memory at a time.
    """
    import torch  # seconds to load; a refusal does not need it

    from als_core.models.stages import Scaling
    from als_core.training.features import as_input
    from als_core.training.images import resized
    from als_core.training.train import trained_network

    network, side = trained_network(run), Recipe.from_data(run.about["recipe"]).side
    scaling, scores = Scaling(*map(tuple, run.about["scaling"])), []
    for start in range(0, len(paths), BATCH):
        images = np.stack([read_image(folder / path, conversion) for path in paths[start : start + BATCH]])
        with torch.inference_mode():
            logits = network(as_input(torch.from_numpy(resized(images, side)), scaling))
        scores.append(logits.double().softmax(1).numpy())
    scores = np.concatenate(scores)
    table = pd.DataFrame(
        {"path": list(paths)} | {SCORE + name: scores[:, at] for at, name in enumerate(run.classes)}
    )
    return table.assign(predicted=np.array(run.classes, dtype=object)[scores.argmax(1)])


def what_scores_mean(run: Run) -> str:
    """Say what a run's scores rest on and what they do not cover; accuracy and interval from its own predictions."""
    confusion = run.confusion("test")
    correct, n = (int(count) for count in metrics.accuracy_counts(confusion))
    low, high = clopper_pearson(correct, n)
    constant = confusion.sum(1).max() / n
    shared = (
        " Its test images may be of donors that it was trained on; expect less for new donors."
        if run.about["split"].startswith("by image")
        else ""
    )
    return "\n".join(
        [
            f"What the scores rest on: {run.title}, trained on {run.about['training_images']} images of the cohort "
            f"{run.about['cohort']} ({', '.join(run.classes)}; split {run.about['split']}, seed {run.about['seed']}).",
            f"On held-out images of that cohort {correct} of {n} were right: {100 * correct / n:.0f} % (95 % interval "
            f"{100 * low:.0f} to {100 * high:.0f} %, images taken as independent; always naming the commonest class "
            f"gives {100 * constant:.0f} %).{shared}",
            "What they do not cover: images of another scanner, stain, laboratory or tissue. There a high score can be "
            "wrong, and an image of none of these classes gets one of them all the same. A score is the share that "
            "the network gives a class; it was not calibrated, and is no probability of a disease.",
        ]
    )
