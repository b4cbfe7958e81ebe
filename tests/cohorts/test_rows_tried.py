"""What readers bring, situation by situation, and the tests that hold the right outcome of each.

A test is a function, or the name of a case in `test_own_data.CASES` or `test_pages_of_own_data.FOLDERS`. Each
situation has a test of its own and at least one of a variant.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from test_own_data import CASES
from test_pages_of_own_data import FOLDERS

TESTS = Path(__file__).parents[1]

READING = {
    "every PNG has an alpha channel that is opaque everywhere": ("opaque alpha", "opaque alpha in a TIFF", "transparent alpha", "transparent alpha, converted"),
    "no two images of one size": ("no two of one size", "no two of one size, resized", "sizes by donor, padded"),
    "8-bit RGB TIFF, compressed": ("8-bit TIFF, tiff_lzw", "8-bit TIFF, tiff_adobe_deflate", "8-bit TIFF, jpeg", "8-bit TIFF, packbits", "8-bit TIFF of 256 pixels, deflate"),
    "16-bit RGB TIFF with separate planes": ("16-bit TIFF with separate planes", "16-bit TIFF, pixel by pixel", "12 bits in 16, converted", "test_converted_pixels_are_those_that_were_stored"),
    "grey, 16-bit grey, CMYK and palette images": ("grey", "grey, converted", "16-bit grey", "CMYK", "CMYK, converted", "palette", "palette, converted"),
    "JPEG or PNG stored turned": ("test_images_stored_turned_are_read_upright",),
    "no manifest, one subfolder per class": ("one folder per class", "class folders below another, capital suffix", "test_a_manifest_is_written_with_groups_from_names_or_folders"),
    "five rows of commas at the end": ("five rows of commas at the end", "three rows of commas in between", "empty columns at the right"),
    "capital header, a space after every comma": ("capital header, spaces after commas", "path called file"),
    "byte order mark, semicolons, CRLF": ("byte order mark, semicolons, CRLF", "tabs"),
    "companions of macOS and Windows": ("class folders with companions", "companions in the manifest"),
    "one group per image": ("one group per image", "groups in a column called Patient_ID"),
    "groups 7 and 007, P07 and P-07, NA": ("7 and 007", "P07, p07 and P-07", "P07 and P-07, accepted", "a number that became 7.0", "NA for half of the images", "unknown for two donors"),
    "identical images under both labels": ("identical under both labels", "mirrored under both labels", "identical under both labels, accepted"),
    "file type, size or sharpness tells the label": ("JPEG and PNG", "one class resaved at another size", "one class blurred", "a site for each label", "test_the_shortcut_report_names_sharpness_on_the_published_images"),
    "colour images labelled ALS and control": ("test_what_a_folder_holds_is_told_by_content", "grey crops of ALS"),
    "a folder of NIfTI": ("a folder of NIfTI", "NIfTI in a manifest"),
    "sform and qform of code 0 or against each other; one volume in 4-D": ("test_a_header_must_say_once_which_side_is_left", "test_one_volume_in_four_dimensions_is_read"),
    "masks of 0 and 255, two labels, intensities, empty, one voxel, one plane": ("test_a_mask_of_two_values_is_read_whatever_the_values", "test_a_mask_that_is_none_is_refused_with_the_values_found", "test_a_label_of_a_mask_can_be_chosen_and_is_kept", "test_a_mask_moves_with_its_volume_onto_the_grid"),
    "a feature table written with its index": ("a feature table with its index", "an index that was read and written again", "a feature that counts the rows"),
    "a feature table of subjects twice": ("subjects twice", "visits as groups"),
    "feature tables at all": ("a feature table", "a folder with a feature table", "decimal commas", "thousands"),
}  # fmt: skip

PAGES = {
    "a copy across donors": ("a copy across donors", "a turned copy across donors", "a copy across donors, accepted", "test_units_linked_by_copies_become_one"),
    "six images, three per label": ("test_fewer_images_than_training_needs_are_refused_by_the_check", "test_eight_images_are_enough_for_the_check"),
    "one label with three images": ("one label with three images", "test_rare_labels_are_in_every_part"),
    "a column slide without region": ("a column slide without region", "slides without donors", "test_slides_are_shown_without_donors_or_regions_and_at_most_eight_a_class"),
    "images taller than 2048 or lower than 32 pixels": ("images taller than 2048 pixels", "images lower than 32 pixels"),
    "donors held out where labels have unequally many": ("test_every_donor_is_held_out_where_labels_have_unequally_many",),
    "20 identical images": ("20 identical images", "test_twenty_copies_are_one_set_and_nineteen_pairs"),
    "underscores, long labels, labels in Chinese": ("labels in Chinese, and long ones", "labels with signs of Markdown and mathematics", "test_long_names_are_broken_into_lines_and_short_ones_are_not", "test_letters_without_a_font_are_named_and_dollar_signs_are_no_formula"),
    "a scan that cannot be registered": ("test_a_head_upside_down_or_with_axes_swapped_is_refused", "test_a_volume_that_is_not_where_it_says_is_refused"),
    "aligned slices of different people": ("test_aligned_slices_of_different_people_are_no_copies_and_a_copy_among_them_is",),
    "a volume that fails in preparing": ("test_a_volume_that_cannot_be_prepared_is_named",),
}  # fmt: skip


@pytest.fixture(scope="module")
def functions() -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py"))


@pytest.mark.parametrize("situation", READING | PAGES)
def test_each_situation_has_its_tests(situation, functions):
    for name in (READING | PAGES)[situation]:
        assert name in CASES or name in FOLDERS or f"def {name}(" in functions, f"{name} is no test"
