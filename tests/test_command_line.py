"""The command line, as far as it is not the book's own tests."""

import os

from typer.testing import CliRunner

from als_core.__main__ import app


def test_a_relative_data_folder_means_the_same_to_every_kernel(tmp_path, monkeypatch, cohort_folder):
    folder = cohort_folder()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("ALS_DATA", "data")
    told = CliRunner().invoke(app, ["check", str(folder)])
    assert told.exit_code == 0, told.output
    assert os.environ["ALS_DATA"] == str(tmp_path / "data")
