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
# (xia-cohort)=
# # Cohort and image quality
#
# Which images the networks learn from, how good they are, and where they come from
# ({cite:t}`xia2024`, sections 2.1, 4.1 to 4.3, Fig. 1 and 4, Table 2).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np

from als_core.book.page import Page
from als_core.cohorts.quality import quality_table
from als_core.cohorts.splits import PARTS, groups_across
from als_core.statistics.separation import separate_groups
from als_core.studies.xia2024 import figures_copies, scans
from als_core.studies.xia2024 import figures_data as figures
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.synthetic import TissueParameters, synthetic_tissue_arrays

page = Page("xia2024/01_cohort_and_quality", profile, "Xia 2024, Fig. 1, Fig. 4, Table 2")
data = open_for_page(page, cohort)
page.substitutions(*figures.stand_ins(data))
samples, unit = data.samples, data.unit

# %% [markdown]
# ## Classes
#
# <!-- not own -->
# The study sorts fields of post-mortem frontal cortex, stained for the protein TDP-43, into three classes:
# *control* (no ALS), *concordant* (TDP-43 pathology and impaired cognition) and *discordant* (the same
# pathology, cognition spared). The fields are from two areas that cognitive impairment in ALS involves: BA44,
# which serves language, and BA46, which serves planning and working memory. Whether a section shows the
# difference between concordant and discordant is the question of the paper.

# %%
counts = samples["label"].value_counts().sort_index()
page.show(figures.class_bars(counts), "xia-fig4-classes")
classes = [name for name in ("control", "concordant", "discordant") if name in counts]
page.claims({f"xia2024.section4_1.{name}.images": counts[name] for name in classes})

# %% [markdown]
# ## Image quality
#
# Four numbers per image: the variance of its Laplacian (sharpness: how much fine detail there is, on a grey
# copy of 256 × 256 pixels), and the mean (brightness), standard deviation (contrast) and their ratio
# (signal-to-noise ratio) of the whole grey image. The paper does not define them; these definitions come
# from the released code.
#
# <!-- not own -->
# The paper's violins pool the classes and print no numbers. Here each class has its own violin; whether
# classes differ by donor is tested below.

# %%
quality = quality_table(data.images()).assign(
    **{name: samples[name] for name in ("path", "label", "group") if name in samples}
)
sharpness = quality["laplacian_variance"]
ends = [data.image(int(row)) for row in (sharpness.idxmin(), sharpness.idxmax())]
page.show(figures.quality_by_class(quality, ends), "xia-fig1-quality")

# %% [markdown]
# ## Does image quality alone distinguish the classes?
#
# <!-- groups -->
# Images of one donor resemble each other, so the donor is the unit. Donors are ranked by the median of
# their images; the test permutes the class labels over whole donors. Then a threshold on the same number,
# learnt from all other donors, classifies the images of each donor in turn, and is compared with the same
# procedure under permuted labels.
#
# <!-- published -->
# **This comparison was made after looking at the images**, not planned before: its p values describe this
# cohort, and are no confirmation.

# %%
found = {}
if figures.can_be_separated(samples["label"], data.groups):
    positive = (samples["label"] == figures.two_sides(data.classes)[0]).to_numpy()
    for measure in figures.AXIS_LABELS:
        values = quality[measure].to_numpy()
        found[measure] = separate_groups(values, positive, data.groups, np.random.default_rng(seed))
    sharp = found["laplacian_variance"]
    drawn = figures.values_by_donor(quality, "laplacian_variance", sharp, data.classes, unit)
    page.show(drawn, "xia-sharpness-by-donor")
    page.html(figures.donors_to_point_at(drawn.data, "laplacian_variance", unit))
    caption = (
        f"How well each quality measure separates {unit.many}, and classifies images of new {unit.many}."
    )
    page.table(figures.separation_table(found, data.classes, unit), "xia-quality-separates", caption)
page.text(figures.sharpness_finding(found, data.classes, unit))

# %% [markdown]
# ## Which single property predicts the label?
#
# Not only sharpness can be a shortcut. A network sees colours, corners and traces of compression. It does
# not see the type or the size of a file, but these can reveal that classes were saved or scanned
# separately, and a covariate such as scanner or age may show in the image. Each alone predicts the label of
# donors that were left out, or of images where donors are unknown. The same procedure with permuted labels
# says how well the best of all properties does by chance. `als check` names the same shortcuts; what it
# notices besides is listed below the table.
#
# <!-- published -->
# Were the classes scanned together? The released images were cut from scans of whole slides, and each file
# still names the folder of its scan.

# %%
page.table(figures.shortcut_rows(data.shortcuts, unit), "xia-shortcuts", figures.shortcut_caption(unit))
page.text(figures.check_words(data.notices, data.shortcuts))
folders, sides = scans.folders_by_donor(data), figures.two_sides(data.classes)
if len(folders):
    page.table(scans.folder_table(folders), "xia-scan-folders", scans.FOLDERS)
    page.text(scans.folder_words(folders, *sides, unit))

# %% [markdown]
# ## The split
#
# The split of section 4.2.1 is 6 : 2 : 2, stratified by class, image by image.
#
# <!-- not own -->
# Images are fields of a microscope slide, and slides come from donors. Fields of one slide share its stain,
# its scanner session and its donor, so they are not independent. The release of {cite:t}`xia2024` lists a
# case and a region for each image; the paper does not print how many there are.
#
# Near-duplicates are another way for test images to be known from training. Every file is compared with
# every other, byte by byte, and by a hash that stays the same when an image is saved again.

# %%
split = published_split(data, seed)
table = samples.assign(part=split.parts).pivot_table(
    index="label", columns="part", values="path", aggfunc="count"
)
table = table[list(PARTS)].assign(all=counts).rename_axis(columns=None).reset_index()
caption = "Images of each class in the three parts of the split (after Table 2 in the paper)."
page.table(table, "xia-table2-division", caption)
page.claims(figures.division_claims(samples["label"], split))

shared = None
if "slide" in samples:
    one = figures.one_field_per_slide(samples)
    fields = [data.image(row) for row in one.index]
    page.show(figures.slides_at_a_glance(fields, one, samples, unit), "xia-slides")
if data.groups is not None:
    shared = figures.share_with_known_donor(split, data.groups)
    placed = samples.assign(part=split.parts)[["group", "label", "part"]]
    page.show(figures.donors_over_parts(placed, unit), "xia-donors-over-parts")
    across = len(groups_across(split, data.groups))
    page.text(figures.donors_in_parts_words(across, len(set(data.groups)), shared, unit))

page.text(figures_copies.near_duplicate_words(data.copies, len(data)))
if data.copies:
    caption = "Sets of images that show the same, and the parts of the split by image they are in."
    page.table(figures_copies.copy_rows(data.copies, samples["path"], split.parts), "xia-copies", caption)
for name, drawn in figures_copies.first_copies(data, split.parts).items():
    page.show(drawn, name)
page.text(figures_copies.overlap_words(data, split.parts))

# %% [markdown]
# <!-- not own -->
# ## The synthetic stand-in
#
# <!-- not own -->
# Where the real images cannot be had, this book uses synthetic tissue: haematoxylin and DAB mixed by the
# law of Beer and Lambert {cite:p}`ruifrok2001`, with neurons, nuclei, vessels and vacuoles, and brown
# deposits as the sign of disease. Its lesions are known, and its effects of disease, donor and slide can
# each be set to zero. It is an invention, made to look similar.

# %%
if data.kind == "published":
    parameters = TissueParameters(side=data.image_shape[0], fields_per_slide=1)
    drawn, _, plan = synthetic_tissue_arrays(parameters, seed)
    beside = figures.four_of_each(data, drawn, plan["label"], np.random.default_rng(seed))
    page.show(figures.synthetic_beside(beside), "xia-synthetic-beside")

# %% [markdown]
# ## What this means
#
# A network that is given images can use anything that differs between their classes. A difference in
# sharpness or contrast may be biology. It may as well be how samples were prepared, stained or scanned, if
# that was done class by class. Until these causes are separated, a high accuracy does not show what a
# network has learnt.
#
# <!-- published -->
# In tissue, neurons shrink and their surround loosens; sections are cut at some thickness, fixed for some
# time, and scanned. A few donors in each class cannot separate these causes. A new cohort would need
# section thickness, fixation and scanner recorded for each slide, and donors of all classes in each batch.
#
# It does not mean that the classes look alike: what remains when sharpness is equal is another question.

# %%
together = scans.coincidence(folders, *sides, unit)
page.answer(**figures.cohort_answer(samples, shared, found, data.classes, unit, together, data.kind))
page.made_of(split=f"{split.name}, seed {seed}")
page.provenance()
