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
# # Accuracy of every run
#
# Six networks of the paper, one that is not in it, and three baselines that see no structure, on one split
# by image ({cite:t}`xia2024`, sections 2.2 and 4.6, Fig. 2 and 7, Table 1).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%

import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.splits import split_table
from als_core.statistics.metrics import majority_class
from als_core.studies.xia2024 import benchmark, words
from als_core.studies.xia2024 import figures_benchmark as figures
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.figures_data import PAPER_CLASSES
from als_core.studies.xia2024.recipes import RECIPES
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.train import recipe_runs, recorded_ablations, tissue_runs

page = Page("xia2024/05_benchmark", profile, "Xia 2024, Table 1, Fig. 2, Fig. 7")
data = open_for_page(page, cohort)

# %% [markdown]
# ## Networks and baselines
#
# For each network the page shows recorded runs where there are any for this cohort, of published size or
# else of 200 pixels, and runs at the profile's sizes where there are none; the tables mark each, and only
# published sizes are judged. *Majority class* always predicts the commonest training class. *Stained area*
# is given one number per image, the share of pixels that have the colour of a brown stain (DAB). *Colour
# statistics* are given mean, spread and percentiles of red, green, blue and of three separated stains. Both
# use ridge regression without anything tuned. A network that does no better gives no evidence that it uses
# structure beyond colour.

# %% tags=["show"]
amounts = page.profile.amounts("tissue_training", TissueAmounts)
split = published_split(data, seed)
runs = {network: tissue_runs(network, data, amounts, split=split, seed=seed) for network in RECIPES}
networks = [benchmark.answers_of_runs(of_one, data.groups) for of_one in runs.values()]
features = benchmark.baseline_features(data.images())
answers = networks + benchmark.baseline_answers(features, data.labels, split, data.groups)
page.table(figures.run_sources(runs), "xia-benchmark-runs", "Which runs of each network this page shows.")
page.substitutions(words.substitutions(runs), words.forbids(runs))
page.download(
    split_table(split, data.samples["path"]),
    "xia-split",
    "The split, in the form that `als leaks --split` reads",
)

# %% [markdown]
# ## Fig. 2: accuracy by epoch and by run
#
# Fig. 2 of the paper shows accuracy over epochs without saying of which part. Here it is the validation part;
# the test part is looked at once, with the weights of the epoch that was kept.

# %%
curves = pd.concat([benchmark.histories(of_one) for of_one in runs.values()], ignore_index=True)
truth = data.labels[split.rows("validation")]
commonest = majority_class(data.labels[split.rows("train")], len(data.classes))
page.show(figures.validation_curves(curves, (truth == commonest).mean()), "xia-fig2-curves")
every, table = benchmark.run_table(answers), benchmark.accuracy_table(answers, seed)
printed = None if data.kind == "own" else words.printed_accuracies()
shares = figures.as_share(printed)
page.show(figures.runs_as_points(every, table, shares), "xia-fig2-runs")
page.html(figures.runs_to_point_at(every))
# %% [markdown]
# ## Table 1
#
# Table 1 calls its accuracies averages, section 2.2 speaks of medians; both are given. The exact interval is
# that of one run, the middle one. It treats the test images as independent, and is too narrow where they are
# not, as fields of one slide.
#
# <!-- not own -->
# Where the text leaves open what a printed number is, this book fixes one reading. For three ResNets: the
# mean over their runs. For ResNet18 and Miniset-DenseSENet in four of five runs: the lower of their medians.
# A run that predicts only one class counts with a Matthews correlation of 0.
#
# <!-- groups -->
# The interval over donors resamples whole donors; the networks are not trained again for it.

# %%
page.table(
    figures.accuracy_rows(table, printed, data.unit, figures.run_sizes(runs)),
    "xia-table1-accuracy",
    "Accuracy on the test part (after Table 1 in the paper).",
)
values = benchmark.as_printed(networks, data.classes, curves)
page.claims(values, words.claim_circumstances(list(values), runs, data.kind))

# %% [markdown]
# ## Class by class
#
# <!-- not own -->
# The abstract speaks of telling ALS from control. The three classes are collapsed to two, and then the two
# classes of ALS are compared among ALS images that were called ALS.
#
# Where a test class holds few images, one image more or less moves its sensitivity by several points.

# %%
if set(data.classes) == PAPER_CLASSES:
    control = (answers[0].truth == data.classes.index("control")).mean()
    asked = benchmark.question_table(answers, data.classes)
    page.show(figures.two_questions(asked, max(control, 1 - control)), "xia-two-classes")

page.show(
    figures.class_measures(benchmark.class_table(answers, data.classes), data.classes), "xia-fig2-classes"
)
matrices = {each.name: each.confusions.sum(0) for each in networks}
page.show(figures.confusion_matrices(matrices, data.classes), "xia-fig7-confusion")

# %% [markdown]
# ## Which differences are larger than chance?
#
# The paper ranks Miniset-DenseSENet above all others, and networks with pretrained weights above the Basic
# CNN, without a test. McNemar's test looks at images that only one of two gets right, run by run. The other
# test exchanges two models by whole donors, or by image where donors are unknown, on the mean over runs.

# %%
pairs = benchmark.compared(answers, RECIPES["miniset_densesenet"].name, RECIPES["basic_cnn"].name)
tests = benchmark.paired_table(pairs, seed)
page.table(figures.paired_rows(tests), "xia-paired-tests", words.paired_caption(tests, runs))
page.text(words.paired_words(tests, data.unit.many))
page.text(words.against_colour(table, [each.name for each in networks], benchmark.COLOUR))

# %% [markdown]
# ## Changing one thing at a time
#
# In Table 3 Miniset-DenseSENet differs from DenseNet121 in learning rate, epochs and weight decay as well as
# in its gates. Here DenseNet121 is trained once more, with the hyper-parameters of Miniset-DenseSENet.

# %%
plain = recipe_runs(amounts.without_gates(), data, amounts, split, range(amounts.runs), seed)
gated = recipe_runs(amounts.recipe("miniset_densesenet"), data, amounts, split, range(amounts.runs), seed)
trio = benchmark.gates_alone(gated, plain, data.groups)
(gates,) = benchmark.paired_table([tuple(trio)], seed).itertuples()
page.table(
    figures.accuracy_rows(benchmark.accuracy_table(trio, seed), None, data.unit),
    "xia-gates-alone",
    "With gates, and without them at equal hyper-parameters.",
)
page.text(words.gates_words(gates.difference, gates.p, data.unit.many, gated))

ablations = recorded_ablations(data, amounts, seed)
if ablations:
    page.text(words.ABLATIONS)
    page.table(
        figures.ablation_rows(ablations),
        "xia-ablations",
        "Accuracy with and without augmentation, by the second protocol, and on smaller images.",
    )
    page.text(words.augmentation_words(ablations))

# %% [markdown]
# ## What this means
#
# Networks that were trained for fewer epochs, on smaller or fewer images, cannot be ranked against others:
# the first table says which. Nor does a test part of a few dozen images rank networks whose accuracies
# differ by a few of them: read the intervals and the tests, not the order of the rows.
#
# <!-- groups -->
# And a network can be right about an image because it knows the slide. Whether it recognises the class is
# another question; what is left in donors that no network has seen is on {ref}`xia-by-donor`.

# %%
page.answer(**words.benchmark_answer(answers, data.classes, runs, shares, data.unit, data.kind))
page.made_of(
    split=f"{split.name}, seed {seed}",
    weights=words.weights_of(runs),
    runs=words.run_names([run for of_one in [*runs.values(), plain] for run in of_one]),
)
page.provenance()
