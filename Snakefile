# The graph of the book: site <- pages <- notebook, library modules it uses, profile, cohort, published numbers.
# `make book` runs it; on a cluster: `als book --cluster profiles/slurm`.

import json
import sys
from pathlib import Path

from als_core.book.contents import book_pages
from als_core.book.freshness import amounts_read, inputs_of, stamp
from als_core.storage import code_digest, content_key, file_digest

PROFILE = config["profile"]
STATE = config["state"]  # file with the cohort's name, folder and digest, written by `als book`
COHORT = json.loads(Path(STATE).read_text())
SLUG = COHORT["slug"]
PAGES = book_pages()
WRITTEN = {"book/claims.md"}  # by the build itself, from the claims of the pages
PROSE = sorted(
    {str(p) for folder in ("book", "book/_static", "book/_ext") for p in Path(folder).glob("*.*")} - WRITTEN
)

# Each job has a digest of its inputs' contents among its params, and `als book` reruns by params alone: time stamps
# are wrong after a checkout, a copy, or an edit made while a job was running.
KEYS = {page: stamp(page, PROFILE, COHORT["digest"])["key"] for page in PAGES}
LIBRARY = sorted(map(str, Path("als_core").rglob("*.py")))  # the API pages are its docstrings
TABLES = ["data/papers.yml", "data/licences.csv", *sorted(map(str, Path("data/trust").glob("*.csv")))]
BOOK_FILES = [*PROSE, "_config.yml", "_toc.yml", *TABLES, *LIBRARY]

# Networks of the tissue study are those with a page of their own. Pages listed in RUNS wait for their training jobs;
# every other page trains what it needs itself, or nothing.
TRAINED = "xia2024/04_train/"
NETWORKS = [page.removeprefix(TRAINED) for page in PAGES if page.startswith(TRAINED)]
RUNS = {TRAINED + network: [network] for network in NETWORKS} | {
    "xia2024/05_benchmark": NETWORKS,
    "xia2024/06_grad_cam": [network for network in NETWORKS if network == "miniset_densesenet"],
}
TRAINING_KEY = content_key(
    COHORT["digest"],
    amounts_read(Path("notebooks/xia2024/04_train.py"), PROFILE),
    code_digest("als_core.studies.xia2024.train"),
)

localrules: all, book

wildcard_constraints:
    page="|".join(PAGES),
    network="|".join(NETWORKS) or "none",


rule all:
    input:
        "results/book.built",


rule train:
    input:
        state=STATE,
    output:
        touch(f"results/{PROFILE}/{SLUG}/runs/{{network}}.done"),
    params:
        python=sys.executable,
        profile=PROFILE,
        key=TRAINING_KEY,
    log:
        f"logs/{PROFILE}/{SLUG}/train/{{network}}.log",
    resources:
        mem_mb=4000,
        runtime=600,
    shell:
        "{params.python} -m als_core train {wildcards.network} --profile {params.profile} --state {input.state}"
        " 2> {log}"


rule page:
    input:
        files=lambda wildcards: list(inputs_of(wildcards.page)),
        state=STATE,
        runs=lambda wildcards: expand(rules.train.output, network=RUNS.get(wildcards.page, [])),
    output:
        f"results/{PROFILE}/{SLUG}/pages/{{page}}/page.ipynb",
    params:
        python=sys.executable,
        profile=PROFILE,
        key=lambda wildcards: KEYS[wildcards.page],
    log:
        f"logs/{PROFILE}/{SLUG}/{{page}}.log",
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        # warnings of the kernel go to the log; a failed job prints its name and first cause itself
        "{params.python} -m als_core page {wildcards.page} --profile {params.profile} --state {input.state}"
        " 2> {log}"


rule book:
    input:
        pages=expand(rules.page.output, page=PAGES),
        files=BOOK_FILES,
    output:
        # a mark, not the site itself: Snakemake removes an output before its job, but the old site must stay
        touch("results/book.built"),
    params:
        python=sys.executable,
        profile=PROFILE,
        slug=SLUG,
        key=content_key(KEYS, {name: file_digest(name) for name in BOOK_FILES}),
    shell:
        "{params.python} -m als_core site --profile {params.profile} --slug {params.slug}"
