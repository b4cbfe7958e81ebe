"""Figures and sentences about the tissue images show every image, and say what the numbers say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn_words import assert_words, words
from matplotlib.colors import to_hex

from als_core.cohorts.cohort import Cohort
from als_core.cohorts.duplicates import ImagePair
from als_core.cohorts.group_word import IMAGE
from als_core.cohorts.quality import quality_table
from als_core.cohorts.splits import Split
from als_core.statistics.separation import separate_groups
from als_core.studies.xia2024 import figures_augmentation as augmentation
from als_core.studies.xia2024 import figures_copies
from als_core.studies.xia2024 import figures_data as figures
from als_core.studies.xia2024.augmentation import AUGMENTATIONS, FIGURE_5

CLASSES = ("concordant", "control", "discordant")
COLOURS = figures.class_colours(CLASSES)


def images(count, side=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def manifest(donors=5, fields=4):
    """Donors of three classes; those of the control class have the sharpest images."""
    rows = [
        {
            "label": label,
            "group": f"{label[:4]}-{donor}",
            "region": "BA44",
            "slide": f"{label[:4]}-{donor}-BA44",
        }
        for label in CLASSES
        for donor in range(donors)
        for _ in range(fields)
    ]
    table = pd.DataFrame(rows).assign(path=[f"images/{at}.png" for at in range(len(rows))])
    generator = np.random.default_rng(0)
    base = table["label"].map({"control": 1500.0, "concordant": 400.0, "discordant": 350.0})
    table["laplacian_variance"] = base * generator.uniform(0.8, 1.2, len(table))
    for name, spread in (("snr", 8.0), ("brightness_mean", 180.0), ("contrast_sd", 20.0)):
        table[name] = spread * generator.uniform(0.8, 1.2, len(table))
    return table


def separations(table):
    positive, groups = (table["label"] == "control").to_numpy(), table["group"].to_numpy()
    return {
        measure: separate_groups(table[measure].to_numpy(), positive, groups, np.random.default_rng(0), 30)
        for measure in figures.AXIS_LABELS
    }


@pytest.fixture(scope="module")
def table():
    return manifest()


@pytest.fixture(scope="module")
def found(table):
    return separations(table)


def test_bars_count_the_images_of_each_class():
    drawn = figures.class_bars(pd.Series({"concordant": 60, "control": 70}))
    assert_words(drawn)
    assert [bar.get_width() for bar in drawn.figure.axes[0].patches] == [60, 70]
    assert "concordant 60 and control 70" in drawn.alt
    assert drawn.data["images"].tolist() == [60, 70]


def test_quality_shows_a_violin_for_each_class_and_measure(table):
    drawn = figures.quality_by_class(table, images(2))
    assert_words(drawn)
    upper = drawn.figure.axes[:4]
    assert all(len(axes.collections) >= 3 for axes in upper)
    median = table.loc[table["label"] == "control", "laplacian_variance"].median()
    assert f"control: sharpness {median:.0f}" in drawn.alt
    assert f"Least sharp: {table['laplacian_variance'].min():,.0f} levels²" in words(drawn.figure)
    assert len(drawn.data) == len(table)


def test_every_image_is_a_dot_in_the_row_of_its_donor(table, found):
    drawn = figures.values_by_donor(table, "laplacian_variance", found["laplacian_variance"], CLASSES)
    assert_words(drawn)
    (axes,) = drawn.figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert len(rows) == 15 and all(row.endswith("control") for row in rows[:5])
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in dots) == len(table)
    control = [line for line in dots if to_hex(line.get_color()) == COLOURS["control"]]
    assert all(-0.3 < y < 4.3 for line in control for y in line.get_ydata())
    (between,) = (line for line in axes.lines if line.get_linestyle() == "--" and line.get_marker() == "None")
    medians = table.groupby(["label", "group"])["laplacian_variance"].median()
    assert medians[["concordant", "discordant"]].max() < between.get_xdata()[0] < medians["control"].min()
    assert (drawn.data["mark"] == "median").sum() == 15
    assert f"{medians['control'].max():,.0f}" in drawn.alt


def test_the_finding_counts_donors_and_arrangements(table, found):
    text = figures.sharpness_finding(found, CLASSES)
    assert text.startswith(
        "By the median of its images, each of the 5 control donors is sharper than each of the 10 ALS donors."
    )
    assert "Only 2 of the 3,003 ways to label these donors" in text
    assert "tells control from ALS with a balanced accuracy of 100 % (95 % interval over donors" in text


def test_the_finding_says_when_donors_overlap_and_when_nothing_can_be_asked(table):
    flat = table.assign(laplacian_variance=table["snr"])
    text = figures.sharpness_finding(separations(flat), CLASSES)
    assert text.startswith("The donor medians of sharpness of control and ALS overlap (AUC 0.")
    assert "needs at least two donors" in figures.sharpness_finding({}, CLASSES)


def test_the_answer_follows_the_numbers(table, found):
    answer = figures.cohort_answer(table, 0.75, found, CLASSES)
    assert answer["found"].startswith(
        "The 60 images come from 15 slides and 15 donors. By the median of its images, every control donor is sharper"
    )
    assert "75 % of the test images" in answer["how_sure"] and "4 related measures" in answer["how_sure"]
    flat = separations(table.assign(laplacian_variance=table["snr"]))
    assert (
        "does not separate control donors from ALS donors"
        in figures.cohort_answer(table, None, flat, CLASSES)["found"]
    )
    made = figures.cohort_answer(table, None, flat, CLASSES, kind="synthetic")
    assert made["found"].startswith(
        "The 60 synthetic images imitate 15 slides and 15 donors. Sharpness does not"
    )
    score = f"{100 * flat['laplacian_variance'].balanced_accuracy:.0f} %"
    assert (
        f"it has a balanced accuracy of {score} in donors not seen before (guessing: 50 %)." in made["found"]
    )
    assert made["not_shown"] == "Anything about the sharpness of real tissue: a program drew these images."
    unknown = figures.cohort_answer(table[["path", "label"]], None, {}, CLASSES, IMAGE)
    assert (
        unknown["found"]
        == "The cohort has 60 images of 3 classes; which images belong together is not known."
    )
    assert not any("donor" in text for text in unknown.values())
    for each in (answer, unknown):
        assert list(each) == ["question", "found", "how_sure", "not_shown"] and all(each.values())


def test_two_sides_are_control_and_als_or_the_first_class_and_the_rest():
    assert figures.two_sides(CLASSES) == ("control", "ALS")
    assert figures.two_sides(("a", "b", "c")) == ("a", "b or c")


def test_separation_needs_two_donors_of_each_kind_with_one_class(table):
    assert figures.can_be_separated(table["label"], table["group"].to_numpy())
    assert not figures.can_be_separated(table["label"], None)
    one = table[(table["label"] != "control") | (table["group"] == "cont-0")]
    assert not figures.can_be_separated(one["label"], one["group"].to_numpy())
    assert not figures.can_be_separated(table["label"], np.resize(["a", "b", "c", "d"], len(table)))


def test_the_table_of_measures_has_one_row_each(found):
    rows = figures.separation_table(found, CLASSES)
    assert rows["AUC of donor medians"].iloc[0] == "1.00" and rows["p"].iloc[0] == "< 0.001"
    assert len(rows) == 4 and "Donor medians, ALS" in rows
    assert rows["Balanced accuracy, donor left out"].iloc[0] == "100 %"


def test_each_slide_is_shown_once_framed_in_the_colour_of_its_class(table):
    one = table.drop_duplicates("slide")
    drawn = figures.slides_at_a_glance(images(len(one)), one, table)
    assert_words(drawn)
    shown = [axes for axes in drawn.figure.axes if axes.images]
    frames = [to_hex(axes.spines["top"].get_edgecolor()) for axes in shown]
    assert frames == [COLOURS[label] for label in CLASSES for _ in range(5)]
    assert "15 slides" in drawn.caption and drawn.data["images"].sum() == len(table)


@pytest.mark.parametrize("lacking", [["region"], ["group"], ["region", "group"], []])
def test_slides_are_shown_without_donors_or_regions_and_at_most_eight_a_class(table, lacking):
    samples = table.drop(columns=lacking)
    samples = pd.concat([samples, samples.assign(slide=samples["slide"] + "'")], ignore_index=True)
    one = figures.one_field_per_slide(samples)
    assert one.groupby("label").size().tolist() == [8, 8, 8]
    drawn = figures.slides_at_a_glance(images(len(one)), one, samples)
    assert_words(drawn)
    assert len([axes for axes in drawn.figure.axes if axes.images]) == 24
    assert "24 of the 30 slides" in drawn.caption
    assert all(
        name not in drawn.caption for name in ("region", "donor") if name.replace("donor", "group") in lacking
    )


def test_shortcuts_and_notices_of_the_check_are_repeated():
    report = pd.DataFrame(
        {
            "property": ["sharpness", "file type"],
            "accuracy": [0.9, 0.5],
            "chance": 0.5,
            "p": [0.001, 0.6],
            "p_any": [0.002, 1.0],
            "named": [True, False],
            "missing": [2, 0],
        }
    )
    assert figures.shortcut_rows(report)["Shortcut"].tolist() == ["yes", "no"]
    said = figures.check_words(["An image a_b is odd (ALS028)."], report)
    assert said.startswith("Sharpness alone predicts the label") and r"- An image a\_b is odd" in said
    assert "- No value of sharpness in 2 samples: the test for shortcuts leaves them out" in said
    said = figures.check_words([], report.iloc[1:])
    assert said.startswith("No single property") and "No value of" not in said


def test_stacked_bars_hold_every_image_of_a_donor(table):
    parts = np.resize(["train", "train", "validation", "test"], len(table))
    drawn = figures.donors_over_parts(table.assign(part=parts)[["group", "label", "part"]])
    assert_words(drawn)
    assert sum(bar.get_width() for bar in drawn.figure.axes[0].patches) == len(table)
    assert "15 of them have images in more than one part" in drawn.alt
    split = Split("by image", "image", parts)
    assert figures.share_with_known_donor(split, table["group"].to_numpy()) == 1
    claims = figures.division_claims(table["label"], split)
    assert claims["xia2024.table2.original.train"] == 30


@pytest.mark.parametrize(
    ("across", "start"),
    [(15, "All 15 donors have images"), (1, "1 of 15 donors has images"), (4, "4 of 15 donors have images")],
)
def test_donors_in_several_parts_are_counted_in_words(across, start):
    text = figures.donors_in_parts_words(across, 15, 0.5)
    assert text.startswith(start) and "50 % of the test images" in text


def test_near_duplicates_show_their_difference_only_where_there_is_one():
    first = images(1)[0]
    second = first.copy()
    second[0, 0] = 255 - second[0, 0]
    rows = pd.DataFrame({"path": ["a.png", "b.png"], "label": "control", "sha256": ["x", "y"]})
    near = figures_copies.near_duplicate(first, second, rows, ["train", "test"], False)
    same = figures_copies.near_duplicate(first, first, rows, ["train", "train"], True)
    for drawn, count in ((near, 3), (same, 2)):
        assert_words(drawn)
        assert len([axes for axes in drawn.figure.axes if axes.images]) == count
    assert (
        near.caption
        == "a.png and b.png are nearly identical; the split by image puts them in train and test."
    )
    assert same.caption.endswith("identical, byte for byte; the split by image puts them both in train.")


def test_sets_of_copies_are_counted_and_listed_with_their_parts():
    assert figures_copies.near_duplicate_words([], 9).startswith("None of the 9 images")
    assert figures_copies.near_duplicate_words([(0, 2)], 9).startswith(
        "One pair of the 9 images is identical"
    )
    many = figures_copies.near_duplicate_words([(0, 2), tuple(range(3, 9))], 9)
    assert "8 of the 9" in many and "in 2 sets of copies; the first 3 pairs are shown" in many
    rows = figures_copies.copy_rows([(0, 1, 2, 3, 4, 5)], list("abcdef"), ["train"] * 5 + ["test"])
    assert rows.iloc[0].tolist() == [6, "test, train", "a, b, c, d and 2 more"]


def test_images_that_overlap_are_named_with_their_parts_and_copies_are_not():
    scan = np.kron(images(1, 70, seed=3)[0], np.ones((6, 6, 1), np.uint8))
    tiles = [scan[:300, :300], scan[60:360, 60:360], images(1, 300)[0], scan[:300, :300]]

    class Cut:
        samples = pd.DataFrame({"path": list("abcd")})
        twins = (ImagePair(0, 3, True),)

        def image(self, number):
            return np.ascontiguousarray(tiles[number])

        def __len__(self):
            return len(tiles)

    said = figures_copies.overlap_words(Cut(), ["train", "test", "train", "train"])
    assert said.startswith("2 pairs of other images overlap: a and b show the same place in 64 %")
    assert "(train and test)" in said and "b and d show" in said and " c " not in said
    alone = Cut()
    alone.twins = ()
    tiles[1:] = images(3, 300, seed=4)
    assert figures_copies.overlap_words(alone, ["train"] * 4) == "No two images overlap."
    Cut.__len__ = lambda self: figures_copies.OVERLAPS_SEARCHED + 1
    assert "als leaks" in figures_copies.overlap_words(Cut(), [])


def test_synthetic_fields_are_below_those_of_the_cohort():
    rows = {
        "This page's cohort: a": (images(2), ["x.png", "y.png"]),
        "Synthetic: a": (images(2), ["f 0", "f 1"]),
    }
    drawn = figures.synthetic_beside(rows)
    assert_words(drawn)
    assert drawn.data["image"].tolist() == ["x.png", "y.png", "f 0", "f 1"]


# augmentation


@pytest.fixture(scope="module")
def augmented_quality():
    originals = np.stack(
        [np.kron(image, np.ones((4, 4, 1), np.uint8)) for image in images(3, 16, 3) // 2 + 60]
    )
    rows = [quality_table(originals).assign(augmentation="original")]
    for name in FIGURE_5:
        copies = [
            augmentation.augment_each(image, [name], np.random.default_rng(1))[name] for image in originals
        ]
        rows.append(quality_table(np.stack(copies)).assign(augmentation=AUGMENTATIONS[name].title))
    return pd.concat(rows, ignore_index=True)


def test_the_gallery_shows_original_copies_and_amplified_changes():
    image = images(1, 32)[0] // 2 + 60
    drawn = augmentation.augmentation_gallery(
        image, augmentation.augment_each(image, FIGURE_5, np.random.default_rng(0)), "a.png"
    )
    assert_words(drawn)
    assert {"Original", "(a) Flipping", "(i) Rotating", "Change by adding noise, × 10"} <= set(
        words(drawn.figure)
    )
    assert len(drawn.data) == len([axes for axes in drawn.figure.axes if axes.images]) == 12
    aside = augmentation.augment_each(image, augmentation.set_aside(), np.random.default_rng(0))
    drawn = augmentation.augmentation_gallery(image, aside, "a.png")
    assert_words(drawn)
    assert "sets aside" in drawn.caption and len(drawn.data) == 3


def test_quality_by_augmentation_names_the_medians(augmented_quality):
    drawn = augmentation.quality_by_augmentation(augmented_quality)
    assert_words(drawn)
    assert next(label.get_text() for label in drawn.figure.axes[0].get_yticklabels()) == "original"
    assert "Adding noise: " in drawn.alt


def test_the_words_say_how_noise_brightens(augmented_quality):
    changes = augmentation.quality_changes(augmented_quality)
    assert changes.loc["Adding noise", "brightness"] == pytest.approx(4.5, abs=0.6)
    assert changes.loc["Flipping"].round(6).tolist() == [1, 1, 0, 1, 1]
    text = augmentation.quality_change_words(changes)
    assert (
        "adds whole numbers from 0 to 9" in text
        and f"+{changes.loc['Adding noise', 'brightness']:.1f} levels" in text
    )
    changes = changes.drop(
        index=["Gray denoised", "Colour denoised"]
    )  # these blocks leave them nothing to smooth
    text = augmentation.quality_change_words(changes)
    answer = augmentation.augmentation_answer(changes, 114, 912)
    said = "Flipping, grayscale and rotating change no median of the four quality measures by more than 1 %"
    assert answer["found"].startswith(
        f"114 training images become 912 by 7 augmentations each. {said}; the others do."
    )
    assert "xia-benchmark" in answer["not_shown"]
    made = augmentation.augmentation_answer(changes, 114, 912, kind="synthetic")
    assert made["found"].startswith("114 synthetic training images become 912")
    assert made["not_shown"].startswith(
        "Whether augmentation makes a network better: this page trains none. No copy"
    )
    assert text.endswith(f"{said}.") and "enlarges it again, which blurs it" in text
    one = changes.drop(index=["Flipping", "Rotating"])
    assert "Grayscale changes no median" in augmentation.quality_change_words(one)
    none = augmentation.augmentation_answer(one.drop(index="Grayscale"), 114, 800)
    assert "Each changes image quality." in none["found"]


def test_constants_are_words_and_the_angle_is_printed():
    table = augmentation.constants_table().set_index("Method")
    assert table.loc["Rotating", "From"].startswith("90° (section 4.4)")
    assert table.loc["Cropping", "Constants"] == "2.5 % of each side"
    assert table.loc["Gray, non-local means", "Status"] == "our variant of Gray denoised"
    assert not table["Constants"].str.contains("_").any()
    claims = augmentation.training_claims({"train": 114, "validation": 38, "test": 38}, 1140)
    assert claims["xia2024.table2.augmented.train"] == 1026 and claims["xia2024.table2.augmented.test"] == 38


def test_an_augmentation_keeps_a_measure_up_to_one_per_cent():
    changes = pd.DataFrame(
        1.0, index=["Kept", "Brighter"], columns=["sharpness", "snr", "brightness_factor", "contrast"]
    )
    changes.loc["Kept"], changes.loc["Brighter", "brightness_factor"] = 0.991, 1.011
    assert augmentation.quality_kept(changes) == ["Kept"]


def test_where_nothing_gets_sharper_the_words_say_so(augmented_quality):
    changes = augmentation.quality_changes(augmented_quality)
    duller = changes.assign(sharpness=changes["sharpness"].clip(upper=1.0))
    none = "No augmentation raises the median sharpness by more than 5 %"
    assert augmentation.quality_change_words(duller).startswith(f"{none}, and scaling multiplies it by 0.")
    duller.loc["Perspective", "sharpness"] = 1.037
    assert augmentation.quality_change_words(duller).startswith(
        f"{none} (most: perspective, +4 %), and scaling"
    )
    duller.loc["Perspective", "sharpness"] = 1.3
    assert augmentation.quality_change_words(duller).startswith(
        "Perspective multiplies the median sharpness by 1.3, and scaling"
    )


def test_synthetic_images_are_said_to_stand_in(cohort_folder):
    cohort = Cohort.load(cohort_folder(), kind="synthetic")
    rows, forbids = figures.stand_ins(cohort)
    assert rows["Side of an image"] == ("32 px", "400 px") and rows["Images"][1].startswith("190 micrographs")
    assert "No statement about ALS" in forbids
    assert figures.stand_ins(Cohort.load(cohort.folder))[0] == {}
