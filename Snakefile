# The graph of the book: site <- pages <- notebook, library modules it uses, profile, cohort, published numbers.
# `make book` runs it; on a cluster: `als book --cluster profiles/slurm`.

import json
import sys
from pathlib import Path

from als_core.book.contents import book_pages, data_of
from als_core.book.freshness import amounts_read, drop_stale_pages, stamp
from als_core.storage import code_digest, content_key, file_digest

STATE = config["state"]  # file with the book's profile and data, written by `als book`
BOOK = json.loads(Path(STATE).read_text())
PROFILE = BOOK["profile"]
TISSUE = BOOK["data"]["cohort"]
PAGES = book_pages()
ABOUT = {page: data_of(page, BOOK) for page in PAGES}  # a page knows its own data only, and is remade for those only
MADE = f"results/{PROFILE}/{{slug}}/pages/{{page}}/page.ipynb"
WRITTEN = {"book/claims.md"}  # by the build itself, from the claims of the pages
PROSE = sorted(
    {str(p) for folder in ("book", "book/_static", "book/_ext") for p in Path(folder).glob("*.*")} - WRITTEN
)

# Each job has a digest of its inputs' contents among its params, and `als book` reruns by params alone: time stamps
# are wrong after a checkout, a copy, or an edit made while a job was running. Only files made by other jobs are inputs:
# Snakemake reruns for any other content of an input, but a comment in a module, or data of other pages, change no page.
KEYS = {page: stamp(page, PROFILE, ABOUT[page]["digest"])["key"] for page in PAGES}
LIBRARY = sorted(map(str, Path("als_core").rglob("*.py")))  # the API pages are its docstrings
TABLES = ["data/papers.yml", "data/licences.csv", *sorted(map(str, Path("data/trust").glob("*.csv")))]
BOOK_FILES = [*PROSE, "_config.yml", "_toc.yml", *TABLES, *LIBRARY]
BOOK_KEY = content_key(BOOK, KEYS, {name: file_digest(name) for name in BOOK_FILES})
BUILT = Path("results/book.built")
if workflow.is_main_process:  # and not one of the jobs that it starts
    pages_made = {page: Path(MADE.format(slug=ABOUT[page]["slug"], page=page)) for page in PAGES}
    drop_stale_pages(pages_made, KEYS)
    # Snakemake asks nothing of a job whose output is there and of which it has no record, as after `rm -r .snakemake`
    if not all(map(Path.is_file, pages_made.values())) or (BUILT.is_file() and BUILT.read_text() != BOOK_KEY):
        BUILT.unlink(missing_ok=True)

# Networks of the tissue study are those with a page of their own. Pages listed in RUNS wait for their training jobs;
# every other page trains what it needs itself, or nothing.
TRAINED = "xia2024/04_train/"
NETWORKS = [page.removeprefix(TRAINED) for page in PAGES if page.startswith(TRAINED)]
RUNS = {TRAINED + network: [network] for network in NETWORKS} | {
    "xia2024/05_benchmark": NETWORKS,
    "xia2024/06_grad_cam": [network for network in NETWORKS if network == "miniset_densesenet"],
}
# The longest pages start first: one of them left for the end would run alone, on one core, for minutes. Those that
# use what another trains follow with the trainings, so that they do not wait for it.
LONGEST = [
    page
    for page in (
        "turrisi2024/03_classifiers",
        "xia2024/07_by_donor",
        "panagiotaras/01_scans_and_training",
        "audit/leaks_replayed",
        "audit/heatmaps_on_trial",
        "miao2023/04_roc_and_cost",
    )
    if page in PAGES
]
LONG = [
    page
    for page in ("panagiotaras/02_heatmaps", "wang2023/01_overlap", "miao2023/05_does_it_help")
    if page in PAGES
]
TRAINING_KEY = content_key(
    TISSUE["digest"],
    amounts_read(Path("notebooks/xia2024/04_train.py"), PROFILE),
    code_digest("als_core.studies.xia2024.train"),
)

localrules: all, book

wildcard_constraints:
    page="|".join(PAGES),
    slug="|".join({about["slug"] for about in ABOUT.values()}),
    network="|".join(NETWORKS) or "none",


rule all:
    input:
        "results/book.built",


rule train:
    output:
        touch(f"results/{PROFILE}/{TISSUE['slug']}/runs/{{network}}.done"),
    priority: 1
    params:
        python=sys.executable,
        key=TRAINING_KEY,
    log:
        f"logs/{PROFILE}/{TISSUE['slug']}/train/{{network}}.log",
    resources:
        mem_mb=4000,
        runtime=600,
    shell:
        "{params.python:q} -m als_core train {wildcards.network} --state {config[state]:q} 2> {log}"


rule page:
    input:
        runs=lambda wildcards: expand(rules.train.output, network=RUNS.get(wildcards.page, [])),
    output:
        MADE,
    wildcard_constraints:
        page="|".join(page for page in PAGES if page not in [*LONGEST, *LONG]) or "none",
    params:
        python=sys.executable,
        key=lambda wildcards: KEYS[wildcards.page],
    log:
        f"logs/{PROFILE}/{{slug}}/{{page}}.log",
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        # warnings of the kernel go to the log; a failed job prints its name and first cause itself
        "{params.python:q} -m als_core page {wildcards.page} --state {config[state]:q} 2> {log}"


use rule page as longest_page with:
    wildcard_constraints:
        page="|".join(LONGEST) or "none",
    priority: 2


use rule page as long_page with:
    wildcard_constraints:
        page="|".join(LONG) or "none",
    priority: 1


rule book:
    input:
        pages=[MADE.format(slug=about["slug"], page=page) for page, about in ABOUT.items()],
    output:
        # a mark, not the site itself: Snakemake removes an output before its job, but the old site must stay
        str(BUILT),
    params:
        python=sys.executable,
        key=BOOK_KEY,
    shell:
        "{params.python:q} -m als_core site --state {config[state]:q} && printf %s {params.key} > {output}"
