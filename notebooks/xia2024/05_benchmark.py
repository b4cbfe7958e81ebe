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
# (xia-benchmark)=
# # Benchmark
#
# Six networks and three trivial baselines on one split by image: every run, every class, and which differences the test images
# can carry ({cite:t}`xia2024`, sections 2.2 and 4.6, Fig. 2 and 7, Table 1).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
from dataclasses import replace

import pandas as pd

from als_core.book.blocks import pipe_table
from als_core.book.page import Page
from als_core.claims.published import claim_named
from als_core.statistics.baselines import majority_class
from als_core.storage import repository
from als_core.studies.xia2024 import benchmark
from als_core.studies.xia2024 import figures_benchmark as figures
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.train import recipe_runs, tissue_runs
from als_core.training.recipe import RECIPES

page = Page("xia2024/05_benchmark", profile, "Xia 2024, Table 1, Fig. 2, Fig. 7")
data = open_for_page(page, cohort)
amounts = page.profile.amounts("tissue_training", TissueAmounts)
split = published_split(data, seed)
runs = {network: tissue_runs(network, data, amounts, split=split, seed=seed) for network in RECIPES}
networks = [benchmark.answers_of_runs(of_one, data.groups) for of_one in runs.values()]
features = benchmark.baseline_features(data.images())
answers = networks + benchmark.baseline_answers(features, data.labels, split, data.groups)

# %%
printed = {
    recipe.name: claim_named(f"xia2024.table1.{network}.accuracy").printed.text
    for network, recipe in RECIPES.items()
}
printed = None if data.kind == "own" else pd.Series(printed)
published = None if printed is None else printed.str.rstrip("%").astype(float) / 100
weights = sorted({run.about["weights"] for of_one in runs.values() for run in of_one})
page.text(
    f"Each network is trained {amounts.runs} times, with {amounts.runs} seeds on one split: "
    + "; ".join(of_one[0].title for of_one in runs.values())
    + f". Of two numbers the first is this page's and the second the paper's. Pretrained weights: {' and '.join(weights)}. How each was trained is on the pages of the networks.\n\n"
    f"The baselines learn from the same {len(split.rows('train'))} training images. *{benchmark.MAJORITY}* always names the commonest training class. "
    f"*{benchmark.AREA}* is given one number an image, the share of pixels stained brown. *{benchmark.COLOUR}* is given {features[benchmark.COLOUR].shape[1]} numbers: mean, standard deviation "
    "and five percentiles of red, green, blue and of the three stains. Both use ridge regression on class indicators, with nothing tuned. A network shows that it sees more than tone where it does better than these."
)

# %% [markdown]
# ## Convergence
#
# Fig. 2 of the paper shows accuracy over epochs without saying of which part. Here it is the validation part.

# %%
curves = pd.concat([benchmark.histories(of_one) for of_one in runs.values()], ignore_index=True)
truth = data.labels[split.rows("validation")]
majority = (truth == majority_class(data.labels[split.rows("train")], len(data.classes))).mean()
top = curves.groupby("name", sort=False)["validation_accuracy"].max()
page.figure(
    figures.validation_curves(curves, majority),
    "xia-fig2-curves",
    "Validation accuracy by epoch, a line for each run (Fig. 2, top, in the paper); the dashed line is the majority class.",
    f"Six panels of curves, one a network. Highest validation accuracy: {', '.join(f'{name} {value:.0%}' for name, value in top.items())}; the majority class gets {majority:.0%}.",
    curves[["name", "run", "epoch", "validation_accuracy"]],
)

# %% [markdown]
# ## Accuracy of every run
#
# Table 1 calls its accuracies averages, section 2.2 speaks of medians; both are given. The exact interval treats the
# test images as independent, which fields of one slide are not, so it is too narrow. The interval over donors draws whole donors; it
# does not train anew, and under a split by image the same donors were trained on.

# %%
every, table = benchmark.run_table(answers), benchmark.accuracy_table(answers, seed)
undefined = every["matthews"].isna().sum()
page.figure(
    figures.runs_as_points(every, table, published),
    "xia-fig2-runs",
    f"Accuracy and Matthews correlation on the test part, a point for each run (Fig. 2, middle, in the paper); grey lines: exact 95 % interval of the median run, images taken as independent{'; diamonds: accuracy printed in Table 1' * (published is not None)}.{f' {undefined} of {len(every)} runs answered one class only: there the Matthews correlation does not exist.' * bool(undefined)}",
    "Points for each run of six networks and three baselines. Mean accuracy: "
    + ", ".join(f"{row.name} {row.mean:.0%}" for row in table.itertuples(index=False))
    + ".",
    every,
)
page.table(
    figures.accuracy_rows(table, printed),
    "xia-table1-accuracy",
    "Accuracy on the test part in percent (after Table 1 in the paper): right answers of each run, mean, median, standard deviation over runs, and two 95 % intervals, of the median run with images taken as independent, and of the mean over runs where there are donors to draw.",
)

# %%
same = {
    "weights": all(run.about["weights"] == "imagenet" for name in runs for run in runs[name] if name != "basic_cnn"),
    "amounts": amounts.runs == 5 and all(amounts.recipe(network) == RECIPES[network] for network in runs),
}  # fmt: skip
page.claims(benchmark.as_printed(networks, data.classes), page.circumstances(**same))

# %% [markdown]
# ## Classes
#
# A test class holds few images, so one image more or less moves its sensitivity by several points.

# %%
by_class = benchmark.class_table(answers, data.classes)
means = by_class.groupby(["measure", "name"], sort=False)["value"].mean(skipna=False)
sizes = by_class[by_class["measure"] == "sensitivity"].drop_duplicates("class").set_index("class")["n"]
page.figure(
    figures.class_measures(by_class, data.classes),
    "xia-fig2-classes",
    f"Sensitivity and specificity of each class, a point for each run (Fig. 2, bottom, in the paper). Test images: {', '.join(f'{n} {name}' for name, n in sizes.items())}.",
    "Points by network, class and run. Mean sensitivity over classes and runs: "
    + ", ".join(f"{name} {value:.0%}" for name, value in means["sensitivity"].items())
    + ".",
    by_class,
)
page.figure(
    figures.confusion_matrices({each.name: each.confusions.sum(0) for each in answers}, data.classes),
    "xia-fig7-confusion",
    f"Confusion matrices on the test part (Fig. 7 in the paper, which does not say of which run). Counts are added up over the runs of a network, {amounts.runs} for each, and one for a baseline; shade and percent are shares of the true class.",
    "Nine matrices of true by answered class. Right answers over all runs: "
    + ", ".join(f"{each.name} {each.right.sum()} of {each.right.size}" for each in answers)
    + ".",
    pd.concat([figures.confusion_rows(each.name, each.confusions.sum(0), data.classes) for each in answers]),
)

# %% [markdown]
# ## Which differences can these test images carry?
#
# The paper ranks Miniset-DenseSENet above all others, and the networks with pretrained weights above the Basic CNN, without a
# test. McNemar's test looks at images that only one of two gets right, run by run. The other test exchanges two models by
# whole donors (by image where there are none), on the mean over runs. Neither p is corrected for the number of comparisons.

# %%
pairs = benchmark.compared(answers, RECIPES["miniset_densesenet"].name, RECIPES["basic_cnn"].name)
tests = benchmark.paired_table(pairs, seed)
page.table(
    figures.paired_rows(tests),
    "xia-paired-tests",
    "The comparisons that the paper draws, and Miniset-DenseSENet against the baselines, on the same test images. Difference: first minus second.",
)
colour = table.set_index("name")["mean"]
ahead = [each.name for each in networks if colour[each.name] > colour[benchmark.COLOUR]]
page.text(
    f"Of {len(tests)} comparisons {(tests['p'] < 0.05).sum()} have p below 0.05 in the test over {'images' if data.groups is None else 'donors'}, and {(tests['p'] < 0.05 / len(tests)).sum()} below 0.05 divided by their number (Bonferroni). "
    f"Networks with a higher mean accuracy than colour statistics: {len(ahead)} of {len(networks)}{' (' * bool(ahead)}{', '.join(ahead)}{')' * bool(ahead)}."
)

# %% [markdown]
# ## What the gates change by themselves
#
# In Table 3 Miniset-DenseSENet differs from DenseNet121 in learning rate, epochs and weight decay as well as in its gates. Here DenseNet121
# is trained once more, with the hyper-parameters of Miniset-DenseSENet.

# %%
plain = recipe_runs(amounts.without_gates(), data, amounts, split, range(amounts.runs), seed)
equal = replace(benchmark.answers_of_runs(plain, data.groups), name="DenseNet121, as Miniset-DenseSENet")
by_name = {each.name: each for each in answers}
trio = [by_name["Miniset-DenseSENet"], equal, by_name["DenseNet121"]]
(gates,) = benchmark.paired_table([trio[:2]], seed).itertuples()
baselines = [each for each in answers if not each.learns]
page.table(
    figures.accuracy_rows(benchmark.accuracy_table(trio + baselines, seed), None),
    "xia-gates-alone",
    f"With gates, and without them at equal hyper-parameters ({plain[0].title}), then with its own; columns as in the table of accuracies.",
)
page.text(
    f"At equal hyper-parameters the gates change the mean accuracy by {100 * gates.difference:+.1f} points (p = {gates.p:.2f}, two-sided, over {'images' if data.groups is None else 'donors'})."
)

# %%
recorded = benchmark.recorded_runs(repository() / "data/recorded")
if recorded:
    page.text(
        "## Recorded runs\n\nRuns at other amounts than this page's, computed before and kept with the project. Each is shown with its own cohort, whatever the cohort of this page; none of them went into the figures above unless it is named in the provenance as recorded. Test part, accuracy in percent.\n\n"
        + pipe_table(figures.recorded_rows(recorded))
    )

# %%
page.made_of(
    split=f"{split.name}, seed {seed}",
    weights=", ".join(f"{network} {of_one[0].about['weights']}" for network, of_one in runs.items()),
    runs=", ".join(f"{run.about['key']}{' (recorded)' * run.recorded}" for of_one in [*runs.values(), plain] for run in of_one),
)  # fmt: skip
page.provenance()
