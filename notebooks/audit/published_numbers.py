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
# A consistency check of the numbers that the five papers print, computed live from nothing but those numbers (and the
# public list of images of one of them). It says what numbers allow and what they do not; it says nothing about how they
# came to be. Several findings are ordinary slips, and a harmless reading is given wherever one was found.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"

# %%
import pandas as pd

from als_core.book.page import Page
from als_core.claims.findings import CATEGORIES, SEVERITIES, findings
from als_core.cohorts.quality import AXIS_LABELS, quality_table
from als_core.studies.cross_paper import audit
from als_core.studies.cross_paper import figures_audit as figures
from als_core.studies.cross_paper.findings_table import findings_table
from als_core.studies.cross_paper.headlines import headlines, with_intervals
from als_core.studies.miao2023 import audit as audit_miao2023
from als_core.studies.turrisi2024 import audit as audit_turrisi2024
from als_core.studies.xia2024 import audit as audit_xia2024
from als_core.studies.xia2024.cohort import open_cohort
from als_core.studies.xia2024.synthetic import TissueParameters

page = Page("audit/published_numbers", profile, "all printed numbers of the five papers")
found = list(findings().values())

# %% [markdown]
# ## The findings at a glance
#
# *Arithmetically impossible*: the printed values cannot hold together as labelled, whatever the data were. *Inconsistent*: two
# statements disagree, or a value does not follow from others. *Risky practice*: the number can be valid, but leakage,
# optimism or an uninformative comparison is likely. *Not reported*: needed to judge, and not there.

# %%
by_category = pd.Series([f.category for f in found]).value_counts()[list(CATEGORIES)]
page.headline(
    f"{len(found)} findings on printed numbers, each recomputed live: "
    + ", ".join(f"{count} {name}" for name, count in by_category.items())
    + f"; {sum(f.severity == 'critical' for f in found)} of them touch a main claim."
)
tiles = pd.DataFrame([(f.id, f.paper, f.category, f.severity, f.title) for f in found],
                     columns=["id", "paper", "category", "severity", "title"])  # fmt: skip
page.figure(
    figures.findings_map(tiles, list(CATEGORIES)),
    "audit-findings-map",
    f"The {len(found)} findings by paper and category. Critical: {SEVERITIES['critical']}; major: {SEVERITIES['major']}; moderate: {SEVERITIES['moderate']}; minor: {SEVERITIES['minor']}.",
    "Grid of tiles with the ids of the findings, papers as rows and four categories as columns, coloured by severity. Findings by paper: "
    + ", ".join(f"{figures.PAPER_NAMES[name]} {count}" for name, count in tiles["paper"].value_counts(sort=False).items())
    + ".",
    tiles,
)  # fmt: skip

# %% [markdown]
# ## Main results, held against what is trivial
#
# Each main result with two 95 % intervals: as if every image were independent, and as if each donor (case, patient, subject) counted once. The
# truth lies between. The cross is what is reached without looking at an image.

# %%
results = with_intervals(headlines())
page.figure(
    figures.headline_intervals(results),
    "audit-headlines",
    "Main printed results with their intervals and the trivial answer. Donors of the tissue study are counted in its public list of images; the 118 test images and 8 test cases of the crops study are inferred (findings M5, M7); the accuracy of the T1w study follows from its printed precision, recall and F1 (finding T4).",
    "Forest plot of ten printed accuracies and areas under the curve, each with a thick and a thin interval and a cross for the trivial answer. "
    + "; ".join(f"{row.result} {row.measure} {row.value:.2f}, {row.low:.2f} to {row.high:.2f} by images, {row.donor_low:.2f} to {row.donor_high:.2f} by donors, trivial {row.trivial:.2f}" for row in results.itertuples())
    + ".",
    results,
)  # fmt: skip

# %% [markdown]
# ## Which differences could be significant at all
#
# Two classifiers were judged on the same 38 images, and only how many each got right is printed. The exact McNemar test depends on how their errors
# overlap; here it is for every overlap that the counts allow (finding X6).

# %%
ranges = audit_xia2024.mcnemar_table()
page.figure(
    figures.mcnemar_ranges(ranges),
    "audit-mcnemar",
    f"Miniset-DenseSENet ({audit_xia2024.right(audit_xia2024.BEST)} of {audit_xia2024.TEST} right) against each other model of Table 1 in Xia 2024: the range of p over all overlaps of errors. Green lies wholly below 0.05, red wholly above; olive reaches from one side to the other.",
    "Horizontal ranges of p on a logarithmic axis with a dashed line at 0.05. "
    + "; ".join(f"{row.name} {row.least:.3g} to {row.greatest:.3g}" for row in ranges.itertuples(index=False))
    + ".",
    ranges,
)  # fmt: skip

# %% [markdown]
# ## Of how many images is a percentage a share?
#
# A share of *n* images is a whole number over *n*, and so printed digits tell something of *n*. The logs and accuracies of the crops study
# (findings M5, M6, M9):

# %%
fits = audit_miao2023.sizes_of_shares(450)
page.figure(
    figures.sizes_that_fit(fits, 450),
    "audit-sizes",
    "Numbers of images of which printed shares can be shares. All twenty accuracies of the VGG16 log fit 391 images, those of the ResNet50 log 400; 70.34% is no share of fewer than 118, and 39 crops are listed.",
    "Rows of ticks along an axis from 0 to 450 images. " + "; ".join(f"{name}: {', '.join(map(str, sizes[:4]))}{' and more' if len(sizes) > 4 else ''}" for name, sizes in fits.items()) + ".",
    pd.DataFrame([(name, size) for name, sizes in fits.items() for size in sizes], columns=["printed", "images"]),
)  # fmt: skip

# %% [markdown]
# ## Which tables of counts agree with printed metrics?
#
# Precision, recall and F1 of Table 4 in Turrisi 2024, to two decimals, leave few tables of counts over 654 subjects. All of them are here
# (findings T2, T4); the dashed line is the F1 of answering ALS for everybody.

# %%
possible = audit_turrisi2024.possible_metrics()
trivial = (audit_turrisi2024.always_als_f1(audit_turrisi2024.ALS, audit_turrisi2024.MIMICS) / 100, 0.5)
page.figure(
    figures.possible_metrics(possible, trivial),
    "audit-possible-tables",
    "Every table of counts that agrees with Table 4 of Turrisi 2024, by F1 and balanced accuracy. By F1 the best model lies at the trivial answer; by balanced accuracy Radiomics and DL7 are level.",
    "Scatter of F1 against balanced accuracy in three clusters. "
    + "; ".join(f"{title}: F1 {part['f1'].min():.3f} to {part['f1'].max():.3f}, balanced accuracy {part['balanced_accuracy'].min():.3f} to {part['balanced_accuracy'].max():.3f}" for title, part in possible.groupby("name", sort=False))
    + f"; always ALS: F1 {trivial[0]:.3f}, balanced accuracy 0.5.",
    possible,
)  # fmt: skip

# %% [markdown]
# ## All findings
#
# Each finding opens to where it stands, what was computed, what follows, what a fair reproduction does instead, and then to its numbers as computed on this
# page and the code that computed them, so that it can be disagreed with.

# %%
checks = audit.check_all()
page.html(findings_table(found, checks))
page.text(
    f"{int(checks['agrees'].sum())} of {len(checks)} numbers in the findings agree with what was computed here."
)

# %% [markdown]
# ## What the public images add
#
# The tissue study prints neither donors nor slides; its public list of images has both (finding X8). What its text says of outliers (finding X16) can be
# checked on the images themselves, where they are at hand.

# %%
listed = audit_xia2024.public_manifest()
by_class = listed.groupby("label").agg(
    donors=("group", "nunique"), slides=("slide", "nunique"), images=("path", "size")
)
page.table(
    by_class.reset_index().rename(columns={"label": "class"}).rename(columns=str.capitalize),
    "audit-public-images",
    f"Donors, slides and images in the public list of Xia 2024, by class. {int(listed['sha256'].duplicated().sum())} image stands there twice.",
)  # fmt: skip

data = open_cohort(cohort, page.profile.amounts("synthetic_tissue", TissueParameters), progress=False)
if data.kind == "published":
    outside = audit_xia2024.outliers(quality_table(data.images())[list(AXIS_LABELS)])
    outside["measure"] = outside["measure"].map(AXIS_LABELS)
    page.table(
        outside.set_axis(["Measure", "Low outliers", "High outliers"], axis=1),
        "audit-public-outliers",
        f"Outliers among the {len(data)} public images by the fences of Tukey (1.5 quartile ranges beyond the quartiles).",
    )
else:
    page.text("The public images are not at hand in this book, so their outliers are not counted here.")

# %% [markdown]
# ## Sums and averages, judged
#
# Numbers that follow from other printed numbers.

# %%
page.claims(audit.recomputed_claims())
page.made_of(Data="the numbers in data/published, and data/manifests/xia2024.csv", Findings="data/audit")
page.provenance(("numpy", "scipy", "scikit-learn", "pandas", "matplotlib"))
