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
# (xia-by-donor)=
# # What separates the classes?
#
# The same classifiers under splits by image and, where they are known, by slide and by donor, each beside
# what it reaches when there is nothing to learn ({cite:t}`xia2024` splits by image, section 4.2.1).
#
# <!-- not own -->
# Which cue carries the answer is asked, too.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.quality import quality_table
from als_core.studies.xia2024 import by_donor, scans, separation, words, words_separation
from als_core.studies.xia2024 import figures_separation as figures
from als_core.studies.xia2024.amounts import TissueAmounts
from als_core.studies.xia2024.benchmark import baseline_features
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.figures_data import two_sides
from als_core.studies.xia2024.recipes import RECIPES, with_added
from als_core.studies.xia2024.synthetic import TissueParameters, without_effect
from als_core.studies.xia2024.train import frozen_features, runs_by_donor

page = Page("xia2024/07_by_donor", profile, "Xia 2024, sections 4.2.1 and 2.2, split by donor")
data = open_for_page(page, cohort)
unit = data.unit

# %% [markdown]
# ## What is measured, and how
#
# Each image becomes a few numbers: what a frozen network passes to its head, colour statistics, the stained
# area (where the colour is that of a brown stain), or one measure of image quality. A ridge regression with
# classes of equal weight learns from the training part. The score is balanced accuracy, the mean over
# classes of the share that is right; guessing gives one half for two classes, and less for more.
#
# Splits hold out images, and where they are known whole slides and whole donors; each is held out once per
# round. On {ref}`xia-cohort` the same measures are cut at one threshold with one donor left out at a time,
# so with few donors the scores can differ much. The null permutes the labels and repeats everything, so that
# nothing about the classes can be learnt.
#
# <!-- groups -->
# Labels are permuted over whole donors. What remains in the null is recognising donors.

# %% tags=["show"]
amounts = page.profile.amounts("tissue_by_donor", by_donor.ByDonorAmounts)
training = page.profile.amounts("tissue_training", TissueAmounts)
images, slides = data.images(), figures.slides_of(data.samples)
folders, sides = scans.folders_by_donor(data), two_sides(data.classes)
features = {f"{RECIPES[name].name}, frozen": frozen_features(name, data, training) for name in amounts.heads}
features |= baseline_features(images) | figures.single_measures(quality_table(images))
asked = separation.questions(data.samples["label"])
table, counts = separation.separation_table(
    features, asked, data.groups, slides, rounds=amounts.rounds, permutations=amounts.permutations, seed=seed
)

# %%
page.show(figures.scores_by_split(table, separation.EVERY_CLASS, unit=unit), "xia-by-donor-accuracy")
caption = words_separation.scores_caption(amounts.permutations, unit)
page.table(figures.score_rows(table, unit), "xia-by-donor-table", caption)
page.text(words_separation.split_words(table, unit))

# %% [markdown]
# <!-- not own -->
# ## Two questions, in new donors
#
# <!-- not own -->
# ALS against control is the question of the paper's abstract; concordant against discordant, among patients,
# is its question about cognition.

# %%
contrasts = len(asked) > 1 and separation.BY_DONOR in set(table["split"])
if contrasts:
    page.show(figures.scores_by_question(table, unit), "xia-two-questions")

# %% [markdown]
# <!-- not own -->
# ## Which cue carries it?
#
# <!-- not own -->
# A frozen network is shown the images as they are, then without colour, then with equal brightness and
# contrast, then blurred to the sharpness of the softest image, then with all of these at once. The last rows
# of the figure above are the reverse: one cue alone.

# %% tags=["show"]
ladder = []
for name in amounts.cues if contrasts else ():
    shown = {
        cue: frozen_features(name, data, training, remove(images)) for cue, remove in separation.CUES.items()
    }
    for cue, numbers in shown.items():
        found, _ = separation.separation_table(
            {RECIPES[name].name: numbers}, asked[1:], data.groups, slides, rounds=amounts.rounds,
            permutations=amounts.permutations, splits=(separation.BY_DONOR,), seed=seed,
        )  # fmt: skip
        ladder.append(found.assign(cue=cue))
ladder = pd.concat(ladder, ignore_index=True) if ladder else None
if ladder is not None:
    page.show(figures.scores_by_cue(ladder, unit), "xia-cues")
    page.text(words_separation.cue_words(ladder, unit))

# %% [markdown]
# <!-- groups -->
# ## Donor by donor
#
# <!-- groups -->
# Classifiers on the features of frozen networks (*frozen*), and networks trained under splits by donor: *head
# trained* where all stages but the head are frozen, *trained* where more than the head trains. A donor's vote
# is the class predicted most often for its images while the donor was held out; a tie counts as wrong. Images
# of a donor are not independent, so the interval is over donors.

# %% tags=["show"]
trained = {}
if by_donor.can_validate(data.labels, data.groups):
    by_network = runs_by_donor(with_added(amounts.trained), data, training, seed)
    trained = {RECIPES[name].name: runs for name, runs in by_network.items()}
votes = figures.donor_votes(counts, trained, data)
if len(votes):
    page.show(figures.donor_grid(votes, data.classes, unit), "xia-donor-grid")
    caption = f"{unit.many.capitalize()} whose vote is right while they are held out."
    page.table(figures.vote_rows(votes, unit), "xia-donor-votes", caption)
    page.text(words_separation.missed_by_all(votes, data.classes, unit))
    page.text(words_separation.patient_votes(votes, data.classes, unit, data.kind))
    if len(folders):
        page.text(scans.vote_words(folders, votes, data.classes, sides[0], unit))
frozen = words.frozen_substitutions(amounts.heads, training)
page.substitutions(frozen | words.substitutions(trained, by_fold=True), words.forbids(trained, frozen))

# %% [markdown]
# ## Checks of the procedure
#
# <!-- groups -->
# The same classifiers are asked for the slide or the donor of an image in place of its class, in folds by
# image, where there are five images or more of each.
#
# Baselines see synthetic tissue whose sections differ strongly between people and not between classes: a
# sound procedure must stay at chance when all sections of a person are held out.

# %%
units = {"slide": slides, unit.one: data.groups}
known = {name: each for name, each in units.items() if each is not None}
recognised = separation.recognition_table(features, known, seed)
if len(recognised):
    page.table(
        figures.recognition_rows(recognised),
        "xia-slide-recognition",
        f"How often the {' or the '.join(known)} of an image is named correctly.",
    )
sizes = page.profile.amounts("synthetic_tissue", TissueParameters)
empty_images, empty_labels, empty_donors = without_effect(sizes, seed)
empty, _ = separation.separation_table(
    baseline_features(empty_images), separation.questions(empty_labels), empty_donors, None,
    rounds=amounts.rounds, permutations=amounts.permutations, seed=seed,
)  # fmt: skip
page.show(
    figures.scores_by_split(empty, separation.EVERY_CLASS, synthetic=True),
    "xia-nothing-to-find",
    of_cohort=False,
)
page.text(words_separation.recognition_words(recognised, empty))

# %% [markdown]
# ## What this means
#
# A score under a split by image can hold much that is not about the class, and its interval over images
# does not show it.
#
# <!-- groups -->
# What holds in donors that were never seen may be about the class; it may also be anything
# else that differs between the donors of the classes.
#
# <!-- published -->
# What also stays when colour, brightness, contrast and sharpness are made equal may be the disease, or
# another difference between these donors' sections. All of this was found after looking at the images, in
# few donors, so it describes this cohort and predicts nothing yet. A new cohort would settle more than more
# fields of these slides: donors of all classes in each batch of sections, with section thickness, fixation
# and scanner recorded.

# %%
together = scans.coincidence(folders, *sides, unit)
units = words_separation.units_by_question(data)
answer = words_separation.separation_answer(
    table, units, unit, together, data.kind, ladder, sizes.disease_effect
)
page.answer(**answer)
page.made_of(
    weights=words.weights_of_features(amounts.heads, training),
    splits=f"{amounts.rounds} rounds, {amounts.permutations} permutations, seed {seed}",
    runs=words.run_names([run for runs in trained.values() for run in runs]),
)
page.provenance()
