"""`als predict` scores new images as the run scored its own, and refuses what the run cannot answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from als_core.__main__ import app
from als_core.cohorts.cohort import Cohort
from als_core.refusal import RefusedInput
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.train import recipe_runs
from als_core.training.prediction import what_scores_mean
from als_core.training.runs import SCORE, Run, record_run

sys.path.insert(0, str(Path(__file__).parents[1] / "cohorts"))
from own_data import cohort, edit, texture


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Run, Path]:
    """A basic CNN trained for one epoch on 24 images, and their folder."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALS_RESULTS", str(place / "results"))
        folder = cohort(place / "images")
        data = Cohort.load(folder)
        amounts = TissueAmounts(
            side=48, copies=1, epochs={"basic_cnn": 1}, batch_size={}, runs=1, without_imagenet="random"
        )
        split = published_split(data)
        (run,) = recipe_runs(amounts.recipe("basic_cnn"), data, amounts, split, [0], 0)
    return run, folder


def predict(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    if isinstance(result.exception, RefusedInput):
        return 1, str(result.exception)
    assert result.exception is None, result.exception
    return 0, result.output


def new(folder: Path, count: int = 3, mode: str = "RGB", side: int = 72) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(texture(100 + number, side)).convert(mode).save(folder / f"{number}.png")
    return folder


def test_the_run_s_own_images_get_the_scores_it_gave_them(trained, tmp_path):
    run, folder = trained
    edit(folder, lambda table: table.drop(columns=["label", "group"]))
    code, printed = predict(run.folder, folder, "--output", tmp_path / "scores.csv")
    assert code == 0, printed
    table = pd.read_csv(tmp_path / "scores.csv")
    columns = [SCORE + name for name in run.classes]
    assert table.columns.tolist() == ["path", *columns, "predicted"]
    np.testing.assert_allclose(table[columns], run.predictions[columns], atol=1e-5)
    assert (table["predicted"] == run.predictions["predicted"]).all()


def test_a_folder_without_a_manifest_is_scored_and_the_terminal_says_what_that_means(
    trained, tmp_path, monkeypatch
):
    run, _ = trained
    monkeypatch.setenv("ALS_RESULTS", str(run.folder.parents[1]))
    folder = new(tmp_path / "new")
    (folder / "Thumbs.db").write_bytes(b"x")
    code, printed = predict(run.folder.name, folder, "--output", tmp_path / "scores.csv")
    assert code == 0 and "scores.csv: 3 images; predicted als" in printed
    confusion = run.confusion("test")
    assert f"{np.trace(confusion)} of {confusion.sum()} were right" in printed and "95 % interval" in printed
    assert "images of the cohort images (als, control" in printed and "another scanner, stain" in printed
    assert what_scores_mean(run) in printed and "of donors that it was trained on" in printed
    assert "a name that is free" in predict(run.folder, folder, "--output", tmp_path / "scores.csv")[1]


def labelled(folder: Path) -> Path:
    new(folder)
    pd.DataFrame({"path": ["0.png", "1.png", "2.png"], "label": ["als", "ALS-FTD", "ALS-FTD"]}).to_csv(
        folder / "manifest.csv", index=False
    )
    return folder


def of_another_checksum(folder: Path) -> Path:
    new(folder)
    pd.DataFrame({"path": ["0.png"], "sha256": ["ab" * 32]}).to_csv(folder / "manifest.csv", index=False)
    return folder


def of_two_sizes(folder: Path) -> Path:
    new(folder)
    Image.fromarray(texture(9, 80)).save(folder / "9.png")
    return folder


@pytest.mark.parametrize(
    ("make", "words", "option"),
    [
        (labelled, ("ALS-FTD in 2 rows", "als, control, or no label"), ()),
        (of_another_checksum, ("ALS012 0.png, line 2", "the manifest says abababababab"), ()),
        (lambda folder: new(folder, mode="L"), ("mode L (greyscale)", "--convert"), ("--convert",)),
        (lambda folder: new(folder, side=40), ("40 x 40 pixels", "--resize 48"), ("--resize", "48")),
        (of_two_sizes, ("80 x 80 pixels", "--resize 72"), ("--resize", "72")),
        (lambda folder: new(folder, 0), ("no image",), ()),
        (lambda folder: folder, ("no image",), ()),
    ],
)
def test_what_the_run_cannot_answer_is_refused_with_the_remedy(trained, tmp_path, make, words, option):
    run, _ = trained
    folder, output = make(tmp_path / "new"), tmp_path / "scores.csv"
    code, printed = predict(run.folder, folder, "--output", output)
    assert code == 1 and "1 problem" in printed and not output.exists()
    assert all(word in printed for word in words), printed
    if option:
        assert predict(run.folder, folder, "--output", output, *option)[0] == 0


def test_an_empty_label_is_none_and_companions_are_passed_over_with_a_notice(trained, tmp_path):
    folder = new(tmp_path / "new", 2)
    table = pd.DataFrame({"Path": ["0.png", "._0.png", "1.png"], "label": ["als", "", ""]})
    table.to_csv(folder / "manifest.csv", index=False)
    code, printed = predict(trained[0].folder, folder, "--output", tmp_path / "scores.csv")
    assert code == 0 and "scores.csv: 2 images" in printed, printed
    assert "Note: 1 row of companion files, such as ._0.png, were passed over (ALS027)." in printed
    assert "columns Path are read as path" in printed


def test_an_output_that_cannot_be_written_is_refused_before_scoring(trained, tmp_path, monkeypatch):
    folder, file = new(tmp_path / "new"), tmp_path / "scores.csv"
    file.write_text("kept")
    code, printed = predict(trained[0].folder, folder, "--output", file / "deeper" / "x.csv")
    assert code == 1 and f"{file}: found a file; expected a folder for x.csv. Move it away" in printed
    monkeypatch.setattr("os.access", lambda _, mode, **__: not mode & os.W_OK)
    code, printed = predict(trained[0].folder, folder, "--output", tmp_path / "new.csv")
    assert code == 1 and f"{tmp_path}: found a folder that may not be written to" in printed
    assert file.read_text() == "kept" and not (tmp_path / "new.csv").exists()


def test_fit_without_a_size_to_resize_to_is_refused(trained, tmp_path):
    folder, output = new(tmp_path / "new"), tmp_path / "scores.csv"
    code, printed = predict(trained[0].folder, folder, "--output", output, "--fit", "pad")
    assert code == 1 and "1 problem" in printed and "ALS010 --fit: found pad without --resize" in printed
    (folder / "cohort.yml").write_text("resize: 72\n")
    assert predict(trained[0].folder, folder, "--output", output, "--fit", "pad")[0] == 0


def test_a_recorded_run_and_an_unknown_one_are_refused_kindly(trained, tmp_path, monkeypatch):
    run, _ = trained
    monkeypatch.setenv("ALS_RESULTS", str(run.folder.parents[1]))
    folder = new(tmp_path / "new")
    recorded = record_run(run, tmp_path / "recorded")
    code, printed = predict(recorded, folder)
    assert code == 1 and "without weights" in printed and "`make book` keeps the weights" in printed
    code, printed = predict("0123456789abcdef", folder)
    assert code == 1 and "found no run" in printed and run.folder.name in printed
    assert "found no run" in predict(".", folder)[1] and "found no run" in predict("*", folder)[1]


@pytest.mark.parametrize("options", [("--fit", "squeeze"), ("--resize", "8")])
def test_an_option_with_a_value_that_does_not_fit_is_refused(trained, tmp_path, options):
    output = tmp_path / "scores.csv"
    code, printed = predict(trained[0].folder, new(tmp_path / "new"), "--output", output, *options)
    assert code == 1 and f"the options: found {options[0].strip('-')}: Input should be" in printed
    assert "1 problem" in printed and not output.exists()
