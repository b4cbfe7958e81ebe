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
# (audit-numbers)=
# # What the printed numbers can mean
#
# This page checks the numbers that five papers print against each other and against one public list of
# images; for a few it also uses released code, networks built again and a simulation. It says what numbers
# allow and what they do not. It does not say how they came to be: where a harmless reading was found, it is
# named.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"

# %%
from als_core.book import interactive
from als_core.book.page import Page
from als_core.claims.findings import findings
from als_core.claims.published import editions
from als_core.cohorts.quality import AXIS_LABELS, quality_table
from als_core.studies.cross_paper import audit, findings_table, words_audit
from als_core.studies.cross_paper import figures_audit as figures
from als_core.studies.cross_paper.headlines import headlines, with_intervals
from als_core.studies.miao2023.audit import sizes_of_shares
from als_core.studies.turrisi2024.audit import always_als_metrics, possible_metrics
from als_core.studies.xia2024.audit import images_by_class, mcnemar_table, outliers, public_manifest
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters

page = Page("audit/published_numbers", profile, "all printed numbers of the five papers")

# %% [markdown]
# ## The findings at a glance
#
# A *finding* is something that the printed numbers show together and no single one shows. There are four
# kinds. *Arithmetically impossible*: the printed values cannot hold together as labelled, for any
# data. *Inconsistent*: two statements disagree, or a value does not follow from others. *Risky practice*:
# the number can be valid, but leakage, optimism or an uninformative comparison is likely. *Not reported*:
# needed to judge, and missing.
#
# Papers change between editions, so the table names the edition whose numbers are judged.

# %%
found = list(findings().values())
checks = audit.check_all()
page.answer(**words_audit.answer_on_findings(found, checks))
page.show(figures.findings_map(found), "audit-findings-map")
names = ["Paper", "Edition judged", "Other edition", "DOI", "What differs there"]
page.table(
    editions().replace({"paper": figures.PAPER_NAMES}).set_axis(names, axis=1),
    "audit-editions",
    "The edition of each paper that is judged, and another edition where one is known.",
)

# %% [markdown]
# ## Main results beside the answer that needs no image
#
# An accuracy means little without two other numbers: what always giving the commonest answer would reach,
# and how far chance alone could move it. Each main result has two 95 % intervals here, as if every image
# were independent, and as if each donor (case, patient, subject) counted once. The truth lies between. A
# cross is the answer without an image.

# %%
results = with_intervals(headlines())
page.show(figures.headline_intervals(results), "audit-headlines")

# %% [markdown]
# Several thin intervals reach down to their cross. Where independent cases are few, such a number cannot
# distinguish a good result from none; where they are many (the T1w study), it says that by accuracy little is
# gained over the constant answer.
#
# ## Which differences could be significant at all
#
# Two classifiers were judged on the same 38 images, and only how many each got right is printed. The exact
# McNemar test depends on how their errors overlap, so it is done here for every overlap that the counts
# allow (finding X6).

# %%
page.show(figures.mcnemar_ranges(mcnemar_table(), "Miniset-DenseSENet"), "audit-mcnemar")

# %% [markdown]
# Red ranges cannot reach 0.05 with any predictions; a larger test set could decide.
#
# ## Which images and which answers lie behind a percentage
#
# A share of *n* images is a whole number over *n*, so printed digits tell something of *n*. The logs and
# accuracies of the crops study are shares of more images than are listed (findings M5, M6, M9). In the same
# way, precision, recall and F1 to two decimals leave few tables of counts; all that agree with Table 4 of
# Turrisi 2024 are drawn here
# (findings T2, T4).

# %%
page.show(figures.sizes_that_fit(sizes_of_shares(450), 450), "audit-sizes")
page.html(interactive.share_calculator("70.34%", 450))
page.show(figures.possible_metrics(possible_metrics(), always_als_metrics()), "audit-possible-tables")

# %% [markdown]
# By F1 the best model lies at the level of answering ALS for everybody; by balanced accuracy, which weighs
# both groups alike, the radiomic features are level with DL7 or ahead, and DL8 is behind.
#
# ## All findings
#
# Each finding opens to its place in the paper, what was computed, what follows, what a fair reproduction
# does instead, its numbers as computed on this page, and the code that computed them, so that anybody can
# disagree with it.

# %%
page.html(findings_table.findings_table(found, checks))

# %% [markdown]
# ## What the public images add, and what adds up
#
# The tissue study prints neither donors nor slides; its public list of images has both (finding X8). What
# its text says of outliers (finding X16) can be checked on the images themselves, where this book has them.
# The last table judges the sums and averages that follow from other printed numbers.

# %%
listed = public_manifest()
page.table(images_by_class(listed), "audit-public-images", words_audit.images_caption(listed))
data = open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False)
if data.kind == "published":
    outside = outliers(quality_table(data.images())[list(AXIS_LABELS)]).replace(AXIS_LABELS)
    outside.columns = ["Measure", "Low outliers", "High outliers"]
    page.table(outside, "audit-public-outliers", words_audit.outliers_caption(len(data)))
page.claims(audit.recomputed_claims())

# %% [markdown]
# ## What this means
#
# Printed numbers can be checked before anything is trained, and most of them pass: sums, shares and sizes
# add up. What remains falls into three kinds. A few labels do not go with their numbers, and a corrected
# caption would mend most of these. Several comparisons rest on too few independent cases to be decided. And
# splits by image or crop let a network recognise a donor, which no printed number can exclude.
#
# ## What it does not
#
# No finding speaks of a person or an intention, and none says that a method fails on patients. A paper can
# be right and briefly described. If a number or a reading here is unfair or mistaken, please open an issue:
# corrections and replies by the authors are welcome.

# %%
page.made_of(Data="the numbers in data/published, and data/manifests/xia2024.csv", Findings="data/audit")
page.provenance(("numpy", "scipy", "scikit-learn", "pandas", "matplotlib"))
