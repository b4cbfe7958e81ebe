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
# Which images the tissue study learns from, how good they are, and who they come from
# ({cite:t}`xia2024`, sections 2.1, 4.1 to 4.3, Fig. 1 and 4, Table 2).

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"
seed = 0

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.cohorts.quality import quality_table
from als_core.cohorts.splits import PARTS, groups_across
from als_core.studies.xia2024 import figures_data as figures
from als_core.studies.xia2024.cohort import open_for_page
from als_core.studies.xia2024.splits import published_split
from als_core.studies.xia2024.synthetic import TissueParameters, synthetic_tissue_arrays

page = Page("xia2024/01_cohort_and_quality", profile, "Xia 2024, Fig. 1, Fig. 4, Table 2")
data = open_for_page(page, cohort)
samples = data.samples

# %% [markdown]
# ## Classes
#
# The study sorts fields of post-mortem frontal cortex, stained for the protein TDP-43, into three classes:
# *control* (no ALS), *concordant* (TDP-43 pathology and impaired cognition) and *discordant* (the same pathology,
# cognition spared). Whether a reader's own folder or the authors' images, the bars show what the manifest holds.

# %%
counts = samples["label"].value_counts().sort_index()
page.figure(
    figures.class_bars(counts),
    "xia-fig4-classes",
    "Images per class (the bar chart of Fig. 4 in the paper).",
    "Horizontal bars of the number of images in each class: "
    + ", ".join(f"{k} {v}" for k, v in counts.items())
    + ".",
    counts.rename_axis("class").reset_index(name="images"),
)

# %%
page.claims(
    {
        f"xia2024.section4_1.{name}.images": counts[name]
        for name in ("control", "concordant", "discordant")
        if name in counts
    }
)

# %% [markdown]
# ## Image quality
#
# Four numbers per image: the variance of its Laplacian (sharpness, on a grey copy of 256 × 256 pixels), and the mean
# (brightness), standard deviation (contrast) and their ratio (signal-to-noise) of the whole grey image. The paper
# does not define them; these definitions were found in the authors' released code.

# %%
quality = quality_table(data.images()).assign(path=samples["path"], label=samples["label"])
low, high = quality["laplacian_variance"].idxmin(), quality["laplacian_variance"].idxmax()
extremes = {
    f"{word} Laplacian variance: {quality['laplacian_variance'][i]:.0f}": data.image(i)
    for word, i in (("Least", low), ("Greatest", high))
}
summary = quality.groupby("label")[list(figures.AXIS_LABELS)].median().round(2)

page.figure(
    figures.quality_violins(quality, extremes),
    "xia-fig1-quality",
    "Image quality by class: (a) sharpness, (b) signal-to-noise ratio, (c) brightness, (d) contrast, each violin with its quartiles; below, the least and the most sharp image (Fig. 1 in the paper, which pools the classes).",
    "Four violin plots, one for each quality measure with one violin a class, above the two images with the least and the greatest Laplacian variance. Medians by class: "
    + "; ".join(
        f"{name}: Laplacian variance {row.iloc[0]:.0f}, signal-to-noise {row.iloc[1]:.1f}, brightness {row.iloc[2]:.0f}, contrast {row.iloc[3]:.0f}"
        for name, row in summary.iterrows()
    )
    + ".",
    quality,
)

# %%
spread = quality["laplacian_variance"].agg(["min", "median", "max"])
page.text(
    f"Sharpness runs from {spread['min']:.0f} to {spread['max']:.0f} (median {spread['median']:.0f}) over {len(data)} images. "
    "The paper prints its violins without numbers, so there is nothing here to judge; the values behind the figure can be downloaded."
)

# %% [markdown]
# ## Training, validation and test images
#
# The split of section 4.2.1: 6 : 2 : 2, stratified by class, image by image.

# %%
split = published_split(data, seed)
table = samples.assign(part=split.parts).pivot_table(
    index="label", columns="part", values="path", aggfunc="count"
)
table = table[list(PARTS)].assign(all=counts).rename_axis(columns=None).reset_index()
page.table(
    table,
    "xia-table2-division",
    "Images of each class in the three parts of the split (after Table 2 in the paper).",
)

# %%
sizes = {part: len(split.rows(part)) for part in PARTS}
in_test = samples.loc[split.parts == "test", "label"].value_counts()
page.claims(
    {"xia2024.table2.original.size": len(data)}
    | {f"xia2024.table2.original.{part}": size for part, size in sizes.items()}
    | {
        f"xia2024.derived.test.{name}.images": in_test[name]
        for name in ("control", "concordant", "discordant")
        if name in in_test
    }
)

# %% [markdown]
# ## Donors and slides
#
# Images are fields of a microscope slide, and slides come from donors. Fields of one slide share its stain, its
# scanner session and its donor, so they are not independent. The release of {cite:t}`xia2024` lists a case and a region for each image;
# the paper does not print how many there are.

# %%
if "slide" in samples:
    first = samples.drop_duplicates("slide")
    page.figure(
        figures.slides_at_a_glance([data.image(i) for i in first.index], first.reset_index()),
        "xia-slides",
        f"One field of each of the {len(first)} slides, by class, region and donor. Stain and tone are shared within a slide and differ between slides.",
        f"Grid of {len(first)} micrographs, one for each slide, from {samples['group'].nunique()} donors; rows are classes and brain regions, columns are donors, and the tone of the stain differs visibly from slide to slide.",
        samples.groupby(["label", "group", "region", "slide"], as_index=False)
        .size()
        .rename(columns={"size": "images"}),
    )

# %%
if data.groups is not None:
    across = groups_across(split, data.groups)
    placed = samples.assign(part=split.parts)[["group", "label", "part"]]
    tested = samples.loc[split.parts == "test", "group"]
    also_trained = tested.isin(samples.loc[split.parts == "train", "group"]).mean()
    page.figure(
        figures.groups_over_parts(placed, "Donor"),
        "xia-donors-over-parts",
        "Where the images of each donor go in the split by image: pale for training, full colour for test.",
        f"One stacked bar for each of {samples['group'].nunique()} donors showing its images in training, validation and test; {len(across)} donors have images in more than one part.",
        placed.groupby(["group", "label", "part"], as_index=False).size().rename(columns={"size": "images"}),
    )
    donors = samples["group"].nunique()
    slides = f", {samples['slide'].nunique()} slides" if "slide" in samples else ""
    page.headline(
        f"{len(data)} images come from {donors} donors{slides}; in the published kind of split, "
        f"{also_trained:.0%} of the test images have a training image of the same donor."
    )
    page.text(
        f"Under the split by image, {len(across)} of the {donors} donors stand in more than one part. A network can then score by "
        "recognising a donor or a slide, without having learnt anything about the disease."
    )

# %% [markdown]
# ## Images that stand twice
#
# Every file is compared with every other: byte by byte, and by a hash that stays the same when an image is saved again.

# %%
for pair in data.twins:
    names = (samples["path"][pair.first], samples["path"][pair.second])
    nature = "identical, byte for byte" if pair.identical else "nearly identical"
    parts = " and ".join(dict.fromkeys((str(split.parts[pair.first]), str(split.parts[pair.second]))))
    page.figure(
        figures.copies(data.image(pair.first), data.image(pair.second), names),
        f"xia-copies-{pair.first}-{pair.second}",
        f"`{names[0]}` and `{names[1]}` are {nature}; in the split by image they stand in {parts}.",
        f"Two micrographs side by side, {names[0]} and {names[1]}, which are {nature}, and the difference between them as a grey image.",
        samples.loc[[pair.first, pair.second], ["path", "label", "sha256"]],
    )
if not data.twins:
    page.text(f"None of the {len(data)} images is a copy of another.")

# %% [markdown]
# ## The synthetic stand-in
#
# Where the real images cannot be had, the book is built on synthetic tissue: haematoxylin and DAB mixed by the law of Beer
# and Lambert {cite:p}`ruifrok2001`, with neurons, nuclei, vessels and vacuoles, and brown deposits as the sign of disease. It has a
# true lesion mask, and its effects of disease, donor and slide can each be set to zero. It is an invention, made to look alike.

# %%
drawn, masks, plan = synthetic_tissue_arrays(
    TissueParameters(side=data.image_shape[0], fields_per_slide=1), seed
)
rng = np.random.default_rng(seed)
rows = {
    f"Cohort of this page: {name}": [
        data.image(i) for i in rng.choice(np.flatnonzero(samples["label"] == name), 4, replace=False)
    ]
    for name in data.classes
}
drawn_rows = {
    f"Drawn: {name}": drawn[(plan["label"] == name).to_numpy()][:4] for name in sorted(plan["label"].unique())
}
page.figure(
    figures.fields_side_by_side(rows | drawn_rows),
    "xia-synthetic-beside",
    "Fields of this page's cohort above fields drawn by the generator of synthetic tissue, four of each class.",
    "Rows of four micrographs for each class of the cohort of this page, and below them rows of four synthetic fields for each class of the generator.",
    pd.DataFrame({"heading": [*rows, *drawn_rows]}),
)

# %%
page.made_of(split=f"{split.name}, seed {seed}")
page.provenance()
