"""The command line: settings of the environment, refusals, and help."""

from __future__ import annotations

import os

from typer.testing import CliRunner

from als_core.__main__ import app


def test_a_relative_data_folder_means_the_same_to_every_kernel(tmp_path, monkeypatch, cohort_folder):
    folder = cohort_folder()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("ALS_DATA", "data")
    done = CliRunner().invoke(app, ["check", str(folder)])
    assert done.exit_code == 0, done.output
    assert os.environ["ALS_DATA"] == str(tmp_path / "data")


def test_a_folder_that_is_no_snakemake_profile_is_refused_as_a_cluster():
    done = CliRunner().invoke(app, ["book", "synthetic", "--cluster", "profiles"])
    assert done.exit_code and "no config.yaml" in str(done.exception)
