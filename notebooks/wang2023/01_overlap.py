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
# (wang-overlap-page)=
# # Do heatmaps find the disease?
#
# Wang et al. ([2023](https://doi.org/10.1016/j.neuroimage.2023.119929)) compare heatmaps of a network that tells Alzheimer's disease (AD) from controls with maps of a linear
# support vector machine (SVM), by their overlap with a meta-analysis of 77 studies. Here the same comparison is made on
# synthetic brains, where the true effect of the disease is known voxel by voxel.

# %% tags=["parameters"]
profile = "test"
cohort = "synthetic"  # names the tissue cohort; here the brains are always synthetic, as only there the truth is known
seed = 0
reference = ""  # a map of your own in MNI152 space (NIfTI), which then takes the place of the true effect
reference_threshold = 0.0  # with a map: its voxels from this value on count, in its own unit
reference_side = "above"  # or "below" (minus the threshold), or "both"
reference_space = "header"  # or "MNI152", for a map in that space whose header does not say so

# %%
import numpy as np
import pandas as pd

from als_core.book.page import Page
from als_core.explain.overlap import SCORES, dice_curve
from als_core.studies.cross_paper import figures_heatmaps as figures
from als_core.studies.cross_paper import leaderboard
from als_core.studies.cross_paper.evaluation_sets import (
    HeatmapAmounts,
    brain_cohort,
    brain_folds,
    group_truth,
    own_reference,
)

page = Page("wang2023/01_overlap", profile, "Wang et al. 2023, abstract")
amounts = page.profile.amounts("heatmaps", HeatmapAmounts)
data = brain_cohort(amounts)
page.about_cohort(data)
mine = None
if reference:
    stated = {"threshold": reference_threshold, "side": reference_side, "space": reference_space}
    mine = own_reference(reference, amounts, **stated)
    page.made_of(reference_map=mine.record)
    page.text(
        f"**Held against a map of your own**, `{mine.record['file']}` (threshold {reference_threshold:g}, {mine.record['voxels']} voxels of {amounts.resolution} mm, "
        f"{mine.record['inside_brain']:.0%} of what passes it lies in the brain), and not against the true effect: where this page says *truth*, that map is meant."
    )
met, in_each = ("the true effect", "the true effect in the same brain") if mine is None else ("your map",) * 2

# %% [markdown]
# ## What is compared
#
# The source used here is the page of the abstract. It prints a ranking and no value of overlap: all three heatmap methods
# above the SVM, integrated gradients first. It names neither the rule of layer-wise relevance propagation (LRP), nor the
# measure of overlap, the network or the number of subjects, so three rules and four measures stand below. The journal version
# (April 2023) compares with SVM *activation patterns*; the first preprint
# ([arXiv 2207.11352](https://arxiv.org/abs/2207.11352), version 1) with SVM *weights*. Both are shown. A weight says how a voxel is used,
# and may serve to cancel noise; the pattern says how a voxel moves with the answer (Haufe et al.
# [2014](https://doi.org/10.1016/j.neuroimage.2013.10.067)).
#
# The meta-analysis of the paper is not public. Who has a map of this kind (from activation likelihood estimation or voxel-based
# morphometry, say) runs this page with it: `papermill 01_overlap.ipynb mine.ipynb -p reference MAP.nii.gz -p reference_threshold 0.01`, in the
# folder `notebooks/wang2023`. The map must be in MNI152 space; it is resampled to the grid of the heatmaps and thresholded, and takes the place of the true
# effect below.

# %%
tables, sums, learnt, covered = [], [], [], []
given = None if mine is None else mine.truth
for number, fold in enumerate(brain_folds(amounts, seed, given), 1):
    tables.append(leaderboard.wang_overlaps(fold, number, amounts.draws, seed))
    sums.append(leaderboard.average_maps(fold))
    learnt.append((fold.subjects.accuracy, fold.subjects.tested, fold.subjects.largest))
    covered.extend(fold.subjects.truths[:, fold.subjects.within].mean(1))
    brain, example = fold.subjects.within, fold.subjects.images[0, 0].cpu().numpy()
table = pd.concat(tables, ignore_index=True)
subjects = table["subject"].nunique()
right = sum(accuracy * tested for accuracy, tested, _ in learnt) / sum(tested for _, tested, _ in learnt)
page.text(
    f"A network and an SVM learn from the same scans in each of {amounts.folds} folds by patient. The networks name {right:.0%} of the {sum(tested for _, tested, _ in learnt)} "
    f"scans correctly that they have not seen (the commonest label holds {max(most for *_, most in learnt):.0%} or less in a fold). The first scan of each of "
    f"{subjects} patients with AD is explained by the network of the fold in which it was not learnt from, and its heatmap is held against {'the change that the disease made in this very brain' if mine is None else 'your map'}. "
    f"The effect of disease is {amounts.effect:g} times its stated size, voxels are {amounts.resolution} mm."
)

# %% [markdown]
# ## Overlap, nulls and ranks
#
# Keep the hottest voxels, few to all, and take the Dice coefficient with the true effect each time: the area under that curve, as a share of the
# best that this truth allows, needs no threshold. A value means little alone, because a map can meet the truth by being smooth or by
# keeping to brain areas. Three nulls say how much: random maps of the same smoothness, random values by area of the atlas, and
# the same method on a network that has learnt nothing (for the SVM: one that learnt exchanged labels).

# %%
generator = np.random.default_rng(seed)
titles = leaderboard.WANG
standing = leaderboard.standings(table, generator, amounts.resamples)
ranks = leaderboard.rank_shares(table, list(titles), generator, amounts.resamples)
own = standing[standing["score"] == leaderboard.SCORE].sort_values("mean", ascending=False)
values = table[(table["score"] == leaderboard.SCORE) & (table["map"] == "method")]
page.figure(
    figures.overlap_and_ranks(own, values, ranks, titles, met),
    "wang-overlap",
    f"Left: overlap of each heatmap with {in_each}, one dot for each of {subjects} patients, mean with 95 % bootstrap interval over patients, and three nulls. "
    "Right: how often each method has each rank when patients are drawn anew, in percent. Heatmaps of the network blue, maps of the SVM orange. The intervals know the spread between patients, not between trainings.",
    "Dots with intervals for seven methods. "
    + "; ".join(
        f"{titles[row.method]} {row.mean:.2f} ({row.low:.2f} to {row.high:.2f})" for row in own.itertuples()
    )
    + ". A grid beside them shows the share of resamples at each rank.",
    standing,
)

# %% [markdown]
# ## Against the published ranking
#
# LRP stands here with its epsilon rule, and the SVM with activation patterns, as in the journal version. The other rules and the weights are in the table.

# %%
published = {"lrp": "lrp_epsilon", "ig": "integrated_gradients", "ggc": "guided_grad_cam"}
leads = {
    (name, svm): leaderboard.lead(table, name, svm, generator, amounts.resamples)
    for name in titles
    if not name.startswith("svm")
    for svm in ("svm_pattern", "svm_weights")
}
four = [*published.values(), "svm_pattern"]
means = own.set_index("method")["mean"]
page.claims(
    {
        f"wang2023.abstract.overlap.{short}_minus_svm.difference": leads[name, "svm_pattern"][0]
        for short, name in published.items()
    }
    | {"wang2023.abstract.overlap.ig.rank": int(means[four].rank(ascending=False)["integrated_gradients"])}
)


# %%
def verdict(low, high):
    return "above" if low > 0 else "below" if high < 0 else "not told apart"


page.table(
    pd.DataFrame(
        {
            "Heatmap": titles[name],
            "Compared with": titles[svm],
            "Difference": f"{mean:+.3f}",
            "95 % interval": f"{low:+.3f} to {high:+.3f}",
            "Here": verdict(low, high),
        }
        for (name, svm), (mean, low, high) in leads.items()
    ),
    "wang-leads",
    f"Overlap of each heatmap less that of the SVM map, in the same {subjects} patients, with the bootstrap interval over patients.",
)

# %%
of_four = leaderboard.rank_shares(table, four, generator, amounts.resamples)
first = of_four[1]
best = own.iloc[0]["method"]
told = {short: verdict(*leads[name, "svm_pattern"][1:]) for short, name in published.items()}
above = [short.upper() for short, what in told.items() if what == "above"]
at_null = [
    titles[row["method"]]
    for _, row in own.iterrows()
    if not all(row[f"above {null}"] for null in leaderboard.NULLS)
]
page.text(
    f"**Integrated gradients best?** Among LRP, integrated gradients, guided Grad-CAM and SVM patterns, integrated gradients come first in {first['integrated_gradients']:.0%} of the resamples; "
    + ", ".join(
        f"{titles[name]} in {share:.0%}" for name, share in first.items() if name != "integrated_gradients"
    )
    + f". **All three above SVM patterns?** Above with an interval that excludes zero: {', '.join(above) if above else 'none'} of LRP, IG, GGC. "
    + (
        f"**At a null:** {', '.join(at_null)} did not clear all three nulls."
        if at_null
        else "Every method clears all three nulls."
    )
    + " A heatmap here knows one scan and an SVM map all scans it learnt from; the averages below lessen that difference. This is another cohort, another network and a truth without measurement error: it can neither confirm nor refute the ranking on ADNI."
)

# %% [markdown]
# ## Do the measures agree?

# %%
wide = standing.pivot(index="method", columns="score", values="mean").loc[list(titles)]
page.table(
    wide.rename(columns={name: score.title for name, score in SCORES.items()}, index=titles)
    .round(3)
    .rename_axis("Method")
    .reset_index(),
    "wang-measures",
    "Four measures of overlap, means over patients; higher is better in each. Chance is 0.5 for the AUC, and "
    f"{np.mean(covered):.3f} for mass inside and the pointing game.",
)
page.text(
    "First by measure: "
    + "; ".join(f"{SCORES[name].title}: {titles[wide[name].idxmax()]}" for name in SCORES)
    + ". Where these differ, which method is best depends on a choice that the abstract does not print."
)

# %% [markdown]
# ## The average map
#
# The meta-analysis is a map of groups, so heatmaps were averaged before they met it. Here each patient's heat gets the same weight,
# the average is over all patients, and the truth is the effect on an average brain.

# %%
truth = (group_truth(amounts) if mine is None else mine.truth) & brain
averages = {titles[name]: sum(part[name] for part in sums) for name in titles}
where = np.argwhere(truth)
cut = tuple(int(np.median(where[:, axis])) for axis in (1, 2))
page.figure(
    figures.average_maps(example, truth, averages, cut, met.removeprefix("the ")),
    "wang-average-maps",
    f"Average heatmaps of {subjects} patients in a coronal slice (above) and an axial slice (below), each on its own scale; {met}{' on an average brain' if mine is None else ''} is outlined.",
    f"Eight pairs of brain slices: one brain with the outline of {'the true effect in the medial temporal lobe and around the ventricles' if mine is None else met}, and the average map of seven methods with the same outline.",
    pd.DataFrame(
        {
            "map": list(averages),
            "mass inside": [
                heat[truth].sum() / heat.sum() if heat.any() else np.nan for heat in averages.values()
            ],
        }
    ),
)

# %%
curves = {title: dice_curve(heat, truth, brain) for title, heat in averages.items()}
perfect = dice_curve(truth.astype(float), truth, brain)
thin = np.unique(np.linspace(0, len(perfect.kept) - 1, 200).astype(int))
kept, size = perfect.kept, truth.sum()
count = np.arange(len(kept))
best_dice = 2 * np.minimum(count, size) / (count + size)
page.figure(
    figures.dice_curves(
        {title: (one.kept[thin], one.dice[thin]) for title, one in curves.items()},
        (kept[thin], best_dice[thin]),
        met,
    ),
    "wang-dice-curves",
    f"Dice of the average map with {'the effect on an average brain' if mine is None else met}, for every number of voxels kept.",
    "Eight curves that rise and fall; areas as a share of the best: "
    + ", ".join(f"{title} {one.area / one.best_area:.2f}" for title, one in curves.items())
    + ".",
    pd.DataFrame(
        {"kept": kept[thin], "best": best_dice[thin]}
        | {title: one.dice[thin] for title, one in curves.items()}
    ),
)

# %%
areas = pd.Series({title: one.area / one.best_area for title, one in curves.items()}).sort_values(
    ascending=False
)
page.text(
    "As average maps, by Dice area: "
    + ", ".join(f"{title} {area:.2f}" for title, area in areas.items())
    + ". One map a method, so no interval over patients stands here."
)

# %%
mean, low, high = leads["integrated_gradients", "svm_pattern"]
page.headline(
    f"On synthetic brains the map that meets {met} best is that of {titles[best]} (overlap {own.iloc[0]['mean']:.2f} of 1). "
    f"Integrated gradients, first in the paper, reach {abs(mean):.2f} {'more' if mean > 0 else 'less'} than SVM patterns (95 % interval of the difference {low:+.2f} to {high:+.2f})."
)
page.made_of(
    amounts=amounts,
    split=f"{amounts.folds} folds by patient, seed {seed}",
    maps="positive values; absolute values where a sign is no evidence (guided Grad-CAM, SVM)",
)
page.provenance()
