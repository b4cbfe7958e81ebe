"""The command line: settings of the environment, refusals, and help."""

from __future__ import annotations

import os
import subprocess
import sys

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


def test_help_lists_each_command_with_a_sentence():
    shown = CliRunner().invoke(app, ["--help"]).output
    for command in app.registered_commands:
        if not command.hidden:
            assert f" {command.name or command.callback.__name__} " in shown and command.callback.__doc__


def test_a_check_of_images_loads_neither_torch_nor_what_draws_and_runs_pages(cohort_folder):
    """These take seconds to import, more than checking 200 images."""
    code = (
        "import sys; from als_core.__main__ import app; sys.argv = ['als', 'check', sys.argv[1]]\n"
        "try: app()\n"
        "except SystemExit as end: assert not end.code\n"
        "slow = {'torch', 'matplotlib', 'papermill', 'sklearn', 'scipy.stats'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code, str(cohort_folder())], capture_output=True, text=True)
    assert done.returncode == 0 and "No problems." in done.stdout, done.stderr


def test_a_job_of_the_book_loads_nothing_that_draws_or_trains():
    """The notebook's kernel loads it; loaded twice, it would cost each of some forty jobs a second more."""
    code = (
        "import sys, als_core.__main__, als_core.book.execute, als_core.book.failures\n"
        "slow = {'torch', 'matplotlib', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
