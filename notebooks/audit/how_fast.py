# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (how-fast)=
# # How fast, against an ordinary script?
#
# The book computes frozen layers once per image, trains all seeds of a head together, and runs what is left in a cheaper equal form. Here that is
# measured against the script one would ordinarily write, which is kept in `benchmarks/ordinary.py`: PNG files decoded in each epoch by two workers, the
# whole network in every step, one seed after the other. Both give the same numbers; the column *Equal* says how nearly.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import json

import pandas as pd

from als_core.book.page import Page
from als_core.storage import repository
from als_core.studies.cross_paper import figures_speed as figures
from als_core.studies.xia2024.recipes import RECIPES

page = Page("audit/how_fast", profile)
found = json.loads((repository() / "benchmarks/results/latest.json").read_text())
rows, parts = found["rows"], found["parts"]

# %% [markdown]
# ## Measured
#
# Each line is the cost of the ordinary script divided by ours: processor seconds of all processes with PyTorch on one thread, which depend less than the clock on who else
# uses the machine (the classifiers alone by the clock, as they are spread over cores). The ways take turns on one machine, each training step in a fresh process after
# steps that are not measured, and ratios are of neighbours. An epoch of ours is what each epoch after the first adds to a run,
# because a run folds its frozen stages once and not in each of up to 250 epochs; *How scaled* says how long that start takes.
#
# *Folded fp32* is what the book does. *Reduced precision* and *compiled* are choices a recipe can name (`precision`, `compiled`); they are then part of every run's key and title.
# Compiled, the code of a training step is written by `torch.compile`, which takes a minute or two, once. Freed memory is kept by our process, in huge pages (for occlusion in ordinary ones), and given back by the
# ordinary one, as the C library does by itself. One call changes that in any script, so the ratio against a script that keeps its memory stands beside.

# %%
targeted = [each for each in rows if each["target"]]
met = [each for each in targeted if each["ratio_median"] >= each["target"]]
tables = [each for each in rows if each.get("network") == "all" and each["mode"] == "fp32"]
whole = "; ".join(f"{each['ratio_median']:.1f} times less at {each['side']} pixels" for each in tables)
page.headline(
    (
        f"All of Table 1 costs {whole} than with an ordinary script, with the same numbers coming out. "
        if tables
        else ""
    )
    + f"{len(met)} of {len(targeted)} targets are met."
)
page.figure(
    figures.speed_ratios(rows),
    "speed-ratios",
    f"Cost of the ordinary script divided by ours: median (dot) and range of the rounds (line). Measured on {found['device']}.",
    "Dots on a logarithmic axis, one line a comparison. "
    + "; ".join(f"{each['name']}: {each['ratio_median']:.1f} times, target {each['target']}" for each in rows)
    + ".",
    pd.DataFrame(rows),
    of_cohort=False,
)  # fmt: skip

# %%
dates = sorted(each["measured"][:10] for each in rows)
loads = [each["load"] for each in rows]
page.table(
    figures.speed_table(rows),
    "speed-table",
    f"Targets beside what was measured ({dates[0]} to {dates[-1]}; {min(loads):.0f} to {max(loads):.0f} processes were wanting a core at the time).",
    of_cohort=False,
)
gained = [
    each["ratio_median"] / each["memory_kept"]
    for each in rows
    if "training step" in each["name"] and each["mode"] == "fp32"
]
page.text(
    "*Memory copied* is how fast one core copied memory before each process of a row: median, lowest and highest. Others use the machine, so it changes from hour to hour, "
    "and with it the ratio of two ways of which one passes over memory more often. The rows of Table 1 are sums of the others and have none."
)
page.text(
    f"In these training steps, keeping its memory makes the ordinary script {min(gained):.2f} to {max(gained):.2f} times as fast; below 1 it is slower, "
    "because its loader workers are forked in each epoch and what is kept is then copied when it is written to. "
    "The targets of training steps were set on another machine, where keeping memory was worth 1.2 to 2.4 times."
)
page.text(
    "Epochs of the ordinary script were measured once, in part, and multiplied, as *How scaled* says. "
    f"On a GPU: {found['gpu']}. "
    + ("" if found["gpu"] == "measured" else "The same code runs there; its speed is not known.")
)
if found["gpu"] == "measured":
    on_gpu = {name: parts[f"gpu {name}"] for name in RECIPES if f"gpu {name}" in parts}
    page.table(
        figures.gpu_table({RECIPES[name].name: told for name, told in on_gpu.items()}),
        "speed-gpu",
        f"On {next(iter(on_gpu.values()))['on']} at 400 pixels, published batches and epochs, five seeds, by the clock. "
        "Utilisation: operations in a second over the most that a matrix product reaches there; where a head alone trains, of the frozen prefix.",
        of_cohort=False,
    )

# %% [markdown]
# ## What reduced precision does to predictions
#
# Training amplifies rounding, so two runs that differ by almost nothing end apart. What bf16 changes is therefore set beside what a change of one in a million
# in the inputs changes in fp32.

# %%
if "precision" in parts:
    told = parts["precision"]
    effect = pd.DataFrame(
        {
            "Network": RECIPES[name].name,
            f"Other predictions of {told['images']}: noise floor": of["noise floor"]["other predictions"],
            "bf16": of["bf16"]["other predictions"],
            "Largest change of a class share: noise floor": of["noise floor"][
                "largest difference of a share"
            ],
            "by bf16": of["bf16"]["largest difference of a share"],
        }
        for name, of in told["networks"].items()
    )
    page.table(
        effect.round(3),
        "speed-precision",
        f"At 64 pixels, {told['epochs']} epochs, random weights. Noise floor: fp32 against fp32 with inputs changed by one in a million.",
        of_cohort=False,
    )

# %% [markdown]
# ## How cost grows, and where the rest of it goes

# %%
if "growth" in parts:
    sizes = pd.DataFrame(parts["growth"]["sizes"])
    page.figure(
        figures.cost_by_images(sizes), "speed-growth",
        "Cost against the number of (random) images, ResNet18+SE at 64 pixels. Dashed: in proportion to it.",
        "Two rising lines on logarithmic axes beside dashed ones of growth in proportion. " + "; ".join(f"{row.images} images: {row.epoch:.2f} seconds an epoch" for row in sizes.itertuples()) + ".",
        sizes, of_cohort=False,
    )  # fmt: skip

# %%
if "profile" in parts:
    shares = (
        pd.DataFrame(parts["profile"]["shares"])
        .T.fillna(0)
        .rename(index={name: each.name for name, each in RECIPES.items()})
    )
    shares = shares[sorted(shares, key=lambda kind: -shares[kind].sum())]
    page.figure(
        figures.where_time_goes(shares), "speed-profile",
        "Where a training step of ours spends its time at 128 pixels. Convolutions are the work itself; *all else* is products, sums and ReLUs, a pass over the maps each.",
        "Stacked bars. " + "; ".join(f"{name}: convolutions {row['convolutions']:.0%}" for name, row in shares.iterrows()) + ".",
        shares.reset_index(names="network"), of_cohort=False,
    )  # fmt: skip

# %% [markdown]
# ## The whole book
#
# All pages in the `quick` profile on all cores, in a copy of the checkout, after installation; then the same command again.

# %%
if "book" in parts:
    told = parts["book"]
    limits = {"first": 20 * 60, "again": 15}
    spent = pd.DataFrame(
        [
            {
                "Build": {"first": "from nothing", "again": "with nothing to do"}[which],
                "Pages made": told[which]["pages"],
                "Minutes": told[which]["clock"] / 60,
                "Target, minutes": limit / 60,
                "Processor, minutes": told[which]["processor"] / 60,
                "Memory of all processes at once, GB": told[which]["peak_gb"],
                "Largest process, GB": told[which]["largest_process_gb"],
                "Met": "yes" if told[which]["clock"] < limit and told[which]["peak_gb"] < 8 else "no",
            }
            for which, limit in limits.items()
        ]
    )
    page.table(
        spent.round(2),
        "speed-book",
        f"`make book` on the {told['cohort']} images, {told['device']}, {told['measured'][:10]}. At once, all processes were to need less than 8 GB; what they share is counted in each.",
        of_cohort=False,
    )

# %% [markdown]
# ## On your machine
#
# `make bench` runs all of it anew, on a GPU as well where there is one, and writes `benchmarks/results/latest.json`, from which this page is made; `python -m benchmarks --quick --only steps` runs a part.
# In a script of your own, `als_core.training.memory.keep_freed_memory()` at the start is one line to try: where memory is slow to come by it saves up to half of the time.

# %%
page.made_of(
    Data="measured times",
    Versions=", ".join(f"{name} {number}" for name, number in found["versions"].items()),
)
page.provenance(("torch", "matplotlib"))
