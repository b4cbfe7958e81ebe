"""Make, check and query the ALS Imaging Companion: a book that regenerates five papers on image-based diagnosis."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from als_core.commands.own_data import register
from als_core.storage import exclusive_lock, repository, results_folder

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

register(app)  # check, manifest, leaks, predict

ProfileOption = Annotated[str, typer.Option(help="How much to compute: test, quick or paper.")]
StateOption = Annotated[Path, typer.Option(help="File in which `als book` described profile and data.")]
Data = Annotated[
    str,
    typer.Argument(
        help="auto, xia2024, synthetic, or your data of any kind, which is recognised by content."
    ),
]
Tissue = Annotated[str, typer.Option(help="Several data: a folder of images of any kind.")]
Crops = Annotated[str, typer.Option(help="Several data: a folder of crops labelled ALS and one other word.")]
Brains = Annotated[str, typer.Option(help="Several data: oasis1, adni:FOLDER, or a folder of NIfTI scans.")]
Features = Annotated[str, typer.Option(help="Several data: a feature table.")]
Channel = Annotated[str, typer.Option(help="Of crops with several: red, green, blue, or a number from 0.")]
Patients = Annotated[str, typer.Option(help="Of scans and feature tables: the label of the patients.")]


@app.callback()
def _resolve_data_folder() -> None:
    # a kernel works in another folder, where a relative ALS_DATA would mean another place
    if named := os.environ.get("ALS_DATA"):
        os.environ["ALS_DATA"] = str(Path(named).resolve())


@app.command()
def book(
    data: Data = "auto",
    tissue: Tissue = "",
    crops: Crops = "",
    brains: Brains = "",
    features: Features = "",
    channel: Channel = "",
    patients: Patients = "",
    profile: ProfileOption = "quick",
    cores: Annotated[int, typer.Option(help="Number of jobs at once; all cores by default.")] = 0,
    cluster: Annotated[
        Path | None, typer.Option(help="Folder of a Snakemake profile: jobs run on that cluster.")
    ] = None,
) -> None:
    """Make every page that is not up to date and build the site."""
    from als_core.book.build import book_lock, executor_options, make_book

    executor = executor_options(cores, cluster)
    given = {"tissue": tissue, "crops": crops, "brains": brains, "features": features}
    with book_lock(partial(typer.echo, err=True)) as lock:
        typer.echo(make_book(_settled(data, given, profile, channel, patients), executor, lock))


@app.command()
def page(
    name: Annotated[str, typer.Argument(help="A page, such as turrisi2024/03_classifiers.")],
    data: Data = "auto",
    tissue: Tissue = "",
    crops: Crops = "",
    brains: Brains = "",
    features: Features = "",
    channel: Channel = "",
    patients: Patients = "",
    profile: ProfileOption = "quick",
    state: Annotated[Path | None, typer.Option(hidden=True)] = None,  # Snakemake's jobs: the data are settled
) -> None:
    """Make one page of the book, without the site."""
    from als_core.book.contents import EXECUTED, PAGE, data_of, page_folder, page_parameters, source_of
    from als_core.book.execute import execute
    from als_core.book.failures import keep_failure
    from als_core.book.freshness import stamp_of

    source_of(name)
    given = {"tissue": tissue, "crops": crops, "brains": brains, "features": features}
    book = _read_state(state) if state else _settled(data, given, profile, channel, patients, name)
    folder = page_folder(name, book)
    typer.echo(f"{name}: running")
    # a job of a killed book may still be writing this page
    with keep_failure(book, name), exclusive_lock(folder):
        execute(name, folder, page_parameters(name, book), data_of(name, book)["digest"])
    typer.echo(f"{name}: made in {stamp_of(folder / PAGE)['seconds']:.0f} s")
    if not state:
        typer.echo(f"Open {folder / EXECUTED}")


@app.command()
def changed(
    other: Annotated[Path, typer.Argument(help="results/figures.json of another book, or of an older one.")],
) -> None:
    """List figures and tables that differ from another book's, and why: data, code, profile or library."""
    from als_core.book.build import changes, digests_file

    before, now = (_read_digests(file) for file in (other, digests_file()))
    typer.echo("\n".join(changes(before, now)) or "No figure and no table differs.")


@app.command()
def data() -> None:
    """Download the public images into a cache shared by all checkouts, and check them."""
    from als_core.cohorts.sources import fetch, local_folder, sources

    (results_folder() / "network_did_not_answer").unlink(missing_ok=True)
    for name, source in sources().items():
        folder = local_folder(name, source) or fetch(name, source)
        typer.echo(f"{source.title}: {folder}")


@app.command()
def claims(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a claim.")] = False,
) -> None:
    """Print every published number with its regenerated value and its verdict."""
    from als_core.book.site import book_claims

    rows = book_claims()
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for row in rows:
            regenerated = "-" if row["regenerated"] is None else row["regenerated"]
            typer.echo(f"{row['id']}\t{row['published']}\t{regenerated}\t{row['verdict']}")


@app.command()
def cite(
    key: Annotated[
        str, typer.Argument(help="A paper, or another key of the bibliography; the companion by default.")
    ] = "",
) -> None:
    """Print how to cite the companion, or a paper, as BibTeX."""
    from als_core.book.contents import reference

    typer.echo(reference(key).rstrip())


@app.command()
def pdf() -> None:
    """Print the last book as one PDF (needs an installed Chromium)."""
    from als_core.book.pdf import print_book

    typer.echo(f"Open {print_book().relative_to(repository())}")


@app.command()
def record(
    jobs: Annotated[str, typer.Option(help="Which jobs of the plan, e.g. 0-5 or 8; all by default.")] = "",
    list_only: Annotated[bool, typer.Option("--list", help="Print the plan and stop.")] = False,
) -> None:
    """Train runs on the authors' images, most at published size, and keep them, without weights, in data/recorded.

    Takes hours to days on a CPU. Interrupted runs resume; runs that are recorded are skipped.
    """
    from als_core.studies.xia2024.cohort import PUBLISHED, open_cohort
    from als_core.studies.xia2024.record import PLAN, chosen_jobs
    from als_core.studies.xia2024.record import record as record_jobs
    from als_core.studies.xia2024.synthetic import TissueParameters

    if list_only:
        for number, job in enumerate(PLAN):
            typer.echo(f"{number}\t{job}")
        return
    chosen = chosen_jobs(jobs)
    for line in record_jobs(open_cohort(PUBLISHED, TissueParameters()), chosen):
        typer.echo(line)


@app.command(hidden=True)
def train(network: str, state: StateOption) -> None:
    """Train all runs of one network of the tissue study (called by Snakemake)."""
    from als_core.book.failures import keep_failure
    from als_core.book.profile import load_profile
    from als_core.refusal import counted
    from als_core.studies.xia2024.amounts import TissueAmounts
    from als_core.studies.xia2024.cohort import open_cohort
    from als_core.studies.xia2024.synthetic import TissueParameters
    from als_core.studies.xia2024.train import tissue_runs

    book = _read_state(state)
    settings = load_profile(book["profile"])
    with keep_failure(book, f"train/{network}"):
        parameters = settings.amounts("synthetic_tissue", TissueParameters)
        cohort = open_cohort(book["data"]["cohort"]["parameters"]["cohort"], parameters, progress=False)
        typer.echo(f"training {network}: running")
        runs = tissue_runs(network, cohort, settings.amounts("tissue_training", TissueAmounts))
        counts = [run.confusion() for run in runs]
        correct = ", ".join(f"{each.trace()}/{each.sum()}" for each in counts)
        typer.echo(f"training {network}: {counted(len(runs), 'run')}, correct on the test part: {correct}")


@app.command(hidden=True)
def site(state: StateOption) -> None:
    """Build the site from finished pages (called by Snakemake)."""
    from als_core.book.build import build_book, changes_since_last

    typer.echo("book: building")
    book = _read_state(state)
    build_book(book)
    for line in changes_since_last(book):
        typer.echo(f"changed since the last book: {line}")


def _read_digests(file: Path) -> dict[str, Any]:
    """Digests of a book's figures. Raises RefusedInput for a file that holds something else."""
    from als_core.refusal import Problem, RefusedInput

    found = "JSON of something else"
    try:
        digests = json.loads(file.read_text(encoding="utf-8"))
        if all({"files", "made_from"} <= set(page) for page in digests.values()):
            return digests
    except IsADirectoryError:
        found = "a folder"
    except ValueError:
        found = "text that is no JSON"
    except (AttributeError, TypeError):
        pass
    expected, remedy = "results/figures.json of a book", "Name that file; `als book` writes it."
    raise RefusedInput("The other book", [Problem(str(file), found, expected, remedy)])


def _read_state(state: Path) -> dict[str, Any]:
    return json.loads(state.read_text(encoding="utf-8"))


def _settled(
    data: str, given: dict[str, str], profile: str, channel: str, patients: str, page: str = ""
) -> dict[str, Any]:
    """Open and check the data, print which they are, and return the state of the book.

    page: the only one that will be made, if it is one.
    """
    from als_core.studies.cross_paper.book_data import refuse_other_data, settle

    book, lines = settle(data, given, profile, channel, patients, [page] if page else None)
    for line in lines:
        typer.echo(line)
    if page:
        refuse_other_data(page, book)
    return book


def main() -> None:
    """Run the command line; a refusal ends with its message, without a traceback."""
    try:
        app()
    except Exception:
        from als_core.book.failures import exit_with_message  # loads papermill: half a second

        with exit_with_message():
            raise


if __name__ == "__main__":
    main()
