"""The command line: `als book`, `als check FOLDER`, `als claims`, `als cite`, `als data`, ...; `page` and `site` serve the graph."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from als_core.own_data import register
from als_core.refusal import Problem, RefusedInput
from als_core.storage import exclusive_lock, repository, results_folder, write_text_if_changed

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

register(app)  # check, manifest, leaks

LEAST_ROOM = 100_000_000  # bytes; a site has about 50 MB

ProfileOption = Annotated[str, typer.Option(help="How much to compute: quick, paper or test.")]


@app.callback()
def _resolve_data_folder() -> None:
    """A page's kernel works in another folder: a relative ALS_DATA would mean something else there."""
    if named := os.environ.get("ALS_DATA"):
        os.environ["ALS_DATA"] = str(Path(named).resolve())


@app.command()
def book(
    cohort: Annotated[
        str, typer.Argument(help="auto, xia2024, synthetic, or a folder with manifest.csv")
    ] = "auto",
    profile: ProfileOption = "quick",
    cores: Annotated[int, typer.Option(help="How many jobs at once; all cores by default.")] = 0,
    cluster: Annotated[
        Path | None, typer.Option(help="A folder with a Snakemake profile: jobs run where it says.")
    ] = None,
) -> None:
    """Make every page that is not up to date and build the book."""
    from als_core.book.checkout_lock import checkout_held

    with checkout_held(partial(typer.echo, err=True)) as held:
        _make_book(cohort, profile, _executor(cores, cluster), held)


def _make_book(cohort: str, profile: str, executor: list[str], held: int) -> None:
    from als_core.book.build import SITE, BookFailed, build_book, write_book_state

    state = _settle_cohort(cohort, profile)
    state_file = results_folder() / "cohorts" / f"{state['slug']}.json"
    write_text_if_changed(state_file, json.dumps(state, indent=2))
    write_book_state(profile, state)
    site, mark = repository() / SITE / "index.html", results_folder() / "book.built"
    if not site.is_file():
        mark.unlink(missing_ok=True)
    before = mark.stat().st_mtime_ns if mark.exists() else None
    done = subprocess.run(_snakemake(profile, state_file, executor), cwd=repository(), pass_fds=[held])
    if done.returncode:
        mark.unlink(missing_ok=True)
        if (left := shutil.disk_usage(repository()).free) < LEAST_ROOM:
            typer.echo(
                f"The disk is full ({left / 1e6:.0f} MB left): the previous book is untouched.", err=True
            )
            typer.echo("Make room and run it again; what is finished is kept.", err=True)
            raise typer.Exit(1)
        try:
            build_book(profile, state["slug"], missing_allowed=True)
            typer.echo("Some pages could not be made (see above); the book was built without them.", err=True)
        except BookFailed as error:
            typer.echo(str(error), err=True)
        raise typer.Exit(1)
    if before == mark.stat().st_mtime_ns:
        typer.echo(f"Nothing to do: the book is up to date. Open {site.relative_to(repository())}")
    else:
        typer.echo(f"The book is ready. Open {site.relative_to(repository())}")


@app.command()
def changed(
    record: Annotated[Path, typer.Argument(help="results/figures.json of another book, or an older one")],
) -> None:
    """List the figures and tables that differ from a record, and why: data, code, profile or library."""
    from als_core.book.changes import changes, record_file

    before, now = (json.loads(file.read_text(encoding="utf-8")) for file in (record, record_file()))
    typer.echo("\n".join(changes(before, now)) or "No figure and no table differs.")


@app.command()
def data() -> None:
    """Download the public images (into a cache shared by all checkouts) and check them."""
    from als_core.cohorts.sources import fetch, local_folder, sources

    (results_folder() / "network_did_not_answer").unlink(missing_ok=True)
    for name, source in sources().items():
        folder = local_folder(name, source) or fetch(name, source)
        typer.echo(f"{source.title}: {folder}")


@app.command()
def claims(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a claim.")] = False,
) -> None:
    """Print every published claim with what was regenerated and its verdict."""
    from als_core.book.claims_page import book_claims

    rows = book_claims()
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for row in rows:
            typer.echo(f"{row['id']}\t{row['published']}\t{row['regenerated']}\t{row['verdict']}")


@app.command()
def cite(
    key: Annotated[
        str, typer.Argument(help="A paper or another key of the bibliography; the companion by default.")
    ] = "",
) -> None:
    """Print how to cite the companion, or a paper, as BibTeX."""
    from als_core.book.citation import reference

    typer.echo(reference(key).rstrip())


@app.command()
def pdf() -> None:
    """Print the book that was made last as one PDF (needs an installed Chromium)."""
    from als_core.book.pdf import print_book

    typer.echo(f"Open {print_book().relative_to(repository())}")


@app.command()
def record() -> None:
    """Keep the runs of published size that were trained here in the repository, for pages to be made from."""
    from als_core.training.runs import load_run, record_run

    for folder in sorted((results_folder() / "runs").glob("*/run.json")):
        run = load_run(folder.parent)
        if run.about["cohort"] == "xia2024" and ";" not in run.about["title"]:
            kept = record_run(run, repository() / "data/recorded/xia2024" / run.about["recipe"]["network"])
            typer.echo(f"{run.about['title']}, seed {run.about['seed']}: {kept.relative_to(repository())}")


@app.command(hidden=True)
def page(
    name: str,
    state: Annotated[Path, typer.Option()],
    profile: ProfileOption = "quick",
) -> None:
    """Make one page (called by the graph)."""
    from als_core.book.build import failure_file, pages_folder
    from als_core.book.execute import execute, stamp_of
    from als_core.book.failures import failure_kept

    cohort = json.loads(state.read_text(encoding="utf-8"))
    folder = pages_folder(profile, cohort["slug"]) / name
    typer.echo(f"{name}: running")
    # a job whose book was killed may still be at it
    with failure_kept(failure_file(profile, cohort["slug"], name)), exclusive_lock(folder):
        execute(name, folder, {"profile": profile, "cohort": cohort["cohort"]}, cohort["digest"])
    typer.echo(f"{name}: made in {stamp_of(folder / 'page.ipynb')['seconds']:.0f} s")


@app.command(hidden=True)
def train(
    network: str,
    state: Annotated[Path, typer.Option()],
    profile: ProfileOption = "quick",
) -> None:
    """Train all runs of one network of the tissue study (called by the graph)."""
    from als_core.book.build import failure_file
    from als_core.book.failures import failure_kept
    from als_core.book.profile import load_profile
    from als_core.studies.xia2024.amounts import TissueAmounts
    from als_core.studies.xia2024.cohort import open_cohort
    from als_core.studies.xia2024.synthetic import TissueParameters
    from als_core.studies.xia2024.train import tissue_runs
    from als_core.training.memory import keep_freed_memory
    from als_core.training.runs import score_runs

    keep_freed_memory()
    settings = load_profile(profile)
    about = json.loads(state.read_text(encoding="utf-8"))
    with failure_kept(failure_file(profile, about["slug"], f"train/{network}")):
        parameters = settings.amounts("synthetic_tissue", TissueParameters)
        cohort = open_cohort(about["cohort"], parameters, progress=False)
        typer.echo(f"training {network}: running")
        runs = tissue_runs(network, cohort, settings.amounts("tissue_training", TissueAmounts))
        right = ", ".join(f"{row.correct}/{row.n}" for row in score_runs(runs).itertuples())
        typer.echo(f"training {network}: {len(runs)} runs, right on the test part: {right}")


@app.command(hidden=True)
def site(slug: Annotated[str, typer.Option()], profile: ProfileOption = "quick") -> None:
    """Build the site from finished pages (called by the graph)."""
    from als_core.book.build import build_book
    from als_core.book.changes import changes_since_last

    typer.echo("book: building")
    build_book(profile, slug)
    for line in changes_since_last(profile, slug):
        typer.echo(f"changed since the last book: {line}")


def _settle_cohort(wanted: str, profile: str) -> dict[str, str]:
    """Choose, open and check the cohort, say which it is, and give its state."""
    from als_core.book.profile import load_profile
    from als_core.studies.xia2024.cohort import choose, describe, open_cohort, state
    from als_core.studies.xia2024.synthetic import TissueParameters

    choice = choose(wanted)
    cohort = open_cohort(choice.cohort, load_profile(profile).amounts("synthetic_tissue", TissueParameters))
    typer.echo(describe(cohort, choice))
    for notice in cohort.notices:
        typer.echo(f"Note: {notice}")
    return json.loads(state(cohort, choice))


def _executor(cores: int, cluster: Path | None) -> list[str]:
    """Where Snakemake runs its jobs: on this machine's cores, or as the profile of a cluster says."""
    if cluster is None:
        return ["--cores", str(cores or os.cpu_count() or 1)]
    if not (cluster / "config.yaml").is_file():
        problem = Problem(str(cluster), "no config.yaml", "a Snakemake profile", "See profiles/slurm.")
        raise RefusedInput("The cluster", [problem])
    return ["--profile", str(cluster.resolve())]


def _snakemake(profile: str, state: Path, executor: list[str]) -> list[str]:
    return [
        *(sys.executable, "-m", "snakemake", *executor, "--keep-going", "--rerun-incomplete"),
        # --nolock: `als book` holds the checkout, and its lock, unlike Snakemake's, does not outlive a kill
        *("--rerun-triggers", "params", "--nolock"),
        *("--quiet", "all", "--config", f"profile={profile}", f"state={state}"),
    ]


def main() -> None:
    """Run the command line; a refusal is told in its own words, without a traceback."""
    from als_core.book.failures import told_plainly

    with told_plainly():
        app()


if __name__ == "__main__":
    main()
